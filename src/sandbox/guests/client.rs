//! The tool's handle on the warden.

use super::connection::{Connection, Control};
use super::guest::GuestShared;
use super::wire::{self, Answer, Ask, Source, Start};
use super::{
    BootSpec, Config, Ended, Error, ExecSpec, Exit, Facts, Guest, GuestId, LayerId, LayerInfo, Parent, Result,
    TemplateSource, cgroup,
};
use rustix::process::{Resource, Rlimit};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// A handle on the warden and all its guests. Cheap to clone; when the last clone and the last [`Guest`] are
/// dropped, all guests end.
#[derive(Debug, Clone)]
pub struct Guests {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    control: Control,
    facts: Facts,
    /// The janitor ends everything when the last copy of this pipe's end is closed, which the kernel does when the
    /// tool is killed.
    lifeline: Mutex<Option<OwnedFd>>,
    /// Turns true when the janitor has ended.
    over: watch::Receiver<bool>,
}

impl Guests {
    /// Starts a warden. Needs a tokio runtime with I/O.
    ///
    /// # Errors
    /// [`Error::Refused`] when the host lacks or forbids namespaces, with what to do about it.
    pub async fn start(config: Config) -> Result<Self> {
        let internal = |what: &str, error: std::io::Error| Error::Internal(format!("{what}: {error}"));
        let executable = match config.executable {
            Some(path) => path,
            None => std::env::current_exe().map_err(|e| internal("this program's own path is unknown", e))?,
        };
        let state = match config.state {
            Some(path) => Some(
                std::path::absolute(&path).map_err(|e| internal(&format!("state directory {}", path.display()), e))?,
            ),
            None => None,
        };
        allow_many_files();
        let (control, theirs) = Control::pair().map_err(|e| internal("no socket for the warden", e))?;
        let (watched, lifeline) = std::io::pipe().map_err(|e| internal("no pipe for the warden", e))?;
        let mut child = tokio::process::Command::new(&executable)
            .arg(super::WARDEN_ARGUMENT)
            // What the tool was told in variables is nothing for guests, whose inits are forks of the warden.
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::from(OwnedFd::from(watched)))
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| internal(&format!("{} can't be started", executable.display()), e))?;
        let (tell, over) = watch::channel(false);
        tokio::spawn(async move {
            let _ = child.wait().await;
            // A janitor that was killed couldn't clean up after itself.
            let _ = tokio::task::spawn_blocking(cgroup::sweep).await;
            let _ = tell.send(true);
        });
        let start = Start { state, store_bytes: config.store_bytes, ids: config.ids };
        let facts = match warden_answer(&control, &Ask::Start(start), &[]).await? {
            (Answer::Facts(facts), _) => facts,
            (other, _) => return Err(unexpected(&other)),
        };
        let lifeline = Mutex::new(Some(lifeline.into()));
        Ok(Self { shared: Arc::new(Shared { control, facts, lifeline, over }) })
    }

    /// Finds out whether guests can run here, by running `true` in one.
    ///
    /// # Errors
    /// [`Error::Refused`] with the setting that forbids it and what to do.
    pub async fn probe(config: Config) -> Result<Facts> {
        let guests = Self::start(config).await?;
        let facts = guests.shared.facts.clone();
        let outcome = guests.probe_guest().await;
        guests.close().await;
        outcome.map(|()| facts)
    }

    async fn probe_guest(&self) -> Result<()> {
        const NAME: &str = "probe";
        self.add_template(NAME, TemplateSource::Host).await?;
        let layer = self.new_layer(Parent::Template(NAME.to_owned())).await?;
        let outcome = self.probe_layer(layer).await;
        self.delete_layer(layer).await?;
        outcome
    }

    async fn probe_layer(&self, layer: LayerId) -> Result<()> {
        let guest = self.boot(layer, BootSpec::default()).await?;
        let spec = ExecSpec { program: "/bin/true".to_owned(), ..ExecSpec::default() };
        let exit = match guest.exec(spec).await {
            Ok(process) => process.wait().await,
            Err(error) => {
                guest.stop().await?;
                return Err(error);
            }
        };
        guest.stop().await?;
        if exit == Exit::Code(0) {
            Ok(())
        } else {
            Err(Error::Refused {
                what: "a first program in a guest".to_owned(),
                cause: format!("/bin/true ended with {exit:?}"),
                hint: "use a template of your own (a directory or a tar archive) instead of the host's system"
                    .to_owned(),
            })
        }
    }

    /// What the warden found on this host.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.shared.facts
    }

    /// Ends all guests and waits until nothing is left of them.
    pub async fn close(self) {
        drop(self.shared.lifeline.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut over = self.shared.over.clone();
        // An error means that the waiting task is gone, and so is the warden.
        let _ = over.wait_for(|over| *over).await;
    }

    /// Adds a template; one of the same name is replaced for layers made from now on.
    ///
    /// # Errors
    /// When its directory or archive can't be read.
    pub async fn add_template(&self, name: &str, source: TemplateSource) -> Result<()> {
        let absolute = |path: std::path::PathBuf| {
            std::path::absolute(&path)
                .map_err(|e| Error::Internal(format!("template directory {}: {e}", path.display())))
        };
        let (source, file) = match source {
            TemplateSource::Host => (Source::Host, None),
            TemplateSource::Directory(path) => (Source::Directory(absolute(path)?), None),
            TemplateSource::Tar(file) => (Source::Tar, Some(file)),
        };
        let descriptors: Vec<_> = file.iter().map(AsFd::as_fd).collect();
        let ask = Ask::AddTemplate { name: name.to_owned(), source };
        done(warden_answer(&self.shared.control, &ask, &descriptors).await?)
    }

    /// Makes an empty layer.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown parent, [`Error::Busy`] for one that isn't frozen.
    pub async fn new_layer(&self, parent: Parent) -> Result<LayerId> {
        self.layer(&Ask::NewLayer { parent }).await
    }

    /// Makes a layer a possible parent, for ever.
    ///
    /// # Errors
    /// [`Error::Busy`] while a guest runs on it.
    pub async fn freeze(&self, layer: LayerId) -> Result<()> {
        done(warden_answer(&self.shared.control, &Ask::Freeze { layer }, &[]).await?)
    }

    /// Copies a layer, also that of a running guest; the copy has the same parent and isn't frozen. Of a running
    /// guest it holds what a power cut would leave.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Internal`] when the store is full.
    pub async fn copy_layer(&self, layer: LayerId) -> Result<LayerId> {
        self.layer(&Ask::Copy { layer }).await
    }

    /// Writes what lies on a template down to it into a file: layers as they are when they leave a sandbox.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Internal`] when there is no room.
    pub async fn pack(&self, parent: &Parent, to: &std::fs::File) -> Result<()> {
        done(warden_answer(&self.shared.control, &Ask::Pack { parent: parent.clone() }, &[to.as_fd()]).await?)
    }

    /// Makes the layers that a file holds; what lies on them can be booted.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a template that isn't here, [`Error::Internal`] for a file that can't be unpacked.
    pub async fn unpack(&self, head: &super::Head, from: &std::fs::File) -> Result<Parent> {
        let mut parent = Parent::Template(head.template.clone());
        for number in 0..head.layers {
            let layer = self.new_layer(parent).await?;
            // The file's position is shared with the worker.
            let rewound = std::io::Seek::rewind(&mut &*from);
            rewound.map_err(|e| Error::Internal(format!("layers can't be unpacked: {e}")))?;
            let filled = warden_answer(&self.shared.control, &Ask::Unpack { layer, number }, &[from.as_fd()]).await;
            done(filled?)?;
            self.freeze(layer).await?;
            parent = Parent::Layer(layer);
        }
        Ok(parent)
    }

    /// Deletes a layer and what it holds.
    ///
    /// # Errors
    /// [`Error::Busy`] while a guest runs on it or other layers lie on it.
    pub async fn delete_layer(&self, layer: LayerId) -> Result<()> {
        done(warden_answer(&self.shared.control, &Ask::Delete { layer }, &[]).await?)
    }

    /// All layers; after a restart with a state directory those of before too.
    ///
    /// # Errors
    /// [`Error::WardenEnded`].
    pub async fn layers(&self) -> Result<Vec<LayerInfo>> {
        match warden_answer(&self.shared.control, &Ask::Layers, &[]).await? {
            (Answer::Layers(layers), _) => Ok(layers),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Boots a guest on a layer that isn't frozen, and that no other guest runs on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Busy`], or [`Error::Refused`] with what the host forbids.
    pub async fn boot(&self, layer: LayerId, spec: BootSpec) -> Result<Guest> {
        let (control, theirs) = Control::pair().map_err(|e| Error::Internal(format!("no socket for a guest: {e}")))?;
        let mut connection = ask_warden(&self.shared.control, &Ask::Boot { layer, spec }, &[theirs.as_fd()]).await?;
        drop(theirs);
        let id = match next_of_warden(&mut connection).await? {
            (Answer::Booted(id), _) => id,
            (other, _) => return Err(unexpected(&other)),
        };
        let (tell, ended) = watch::channel(None);
        tokio::spawn(async move {
            let how = match connection.next().await {
                Ok(Some((Answer::Ended(how), _))) => how,
                _ => Ended::Died,
            };
            let _ = tell.send(Some(how));
        });
        Ok(Guest::new(GuestShared { id, layer, control, ended, guests: self.clone() }))
    }

    /// Kills a guest; it is gone some moments later.
    pub(super) async fn stop(&self, guest: GuestId) -> Result<()> {
        done(warden_answer(&self.shared.control, &Ask::Stop { guest }, &[]).await?)
    }

    async fn layer(&self, ask: &Ask) -> Result<LayerId> {
        match warden_answer(&self.shared.control, ask, &[]).await? {
            (Answer::Layer(id), _) => Ok(id),
            (other, _) => Err(unexpected(&other)),
        }
    }
}

/// Every guest takes two descriptors and every process of one another: the usual 1024 are soon used up. Programs in
/// guests start with the usual limit again.
fn allow_many_files() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Refused at worst; then fewer guests run.
        let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

async fn ask_warden(control: &Control, ask: &Ask, descriptors: &[BorrowedFd<'_>]) -> Result<Connection> {
    control.ask(wire::CONNECTION, ask, descriptors).await.map_err(|e| Error::WardenEnded(e.to_string()))
}

async fn warden_answer(control: &Control, ask: &Ask, descriptors: &[BorrowedFd<'_>]) -> Result<(Answer, Vec<OwnedFd>)> {
    next_of_warden(&mut ask_warden(control, ask, descriptors).await?).await
}

async fn next_of_warden(connection: &mut Connection) -> Result<(Answer, Vec<OwnedFd>)> {
    match connection.next().await? {
        Some((Answer::Failed(error), _)) => Err(error),
        Some(answer) => Ok(answer),
        None => Err(Error::WardenEnded("it closed the connection without an answer".to_owned())),
    }
}

/// An answer that says no more than that it was done.
pub(super) fn done((answer, _): (Answer, Vec<OwnedFd>)) -> Result<()> {
    match answer {
        Answer::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

pub(super) fn unexpected(answer: &Answer) -> Error {
    Error::Internal(format!("an answer that doesn't fit the question: {answer:?}"))
}
