//! The tool's handles: a warden, its guests, their processes.

use super::connection::{Connection, Control};
use super::wire::{self, Answer, Ask, ExecAsk, GuestAsk, Source, Start};
use super::{
    BootSpec, Config, Ended, Error, ExecSpec, Exit, Facts, Files, GuestId, LayerId, LayerInfo, Parent, ProcessInfo,
    Result, TemplateSource, User, cgroup,
};
use rustix::process::{Resource, Rlimit};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
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

/// A running guest. Cheap to clone; dropping it doesn't stop the guest.
#[derive(Debug, Clone)]
pub struct Guest {
    inner: Arc<GuestShared>,
}

#[derive(Debug)]
struct GuestShared {
    id: GuestId,
    layer: LayerId,
    control: Control,
    ended: watch::Receiver<Option<Ended>>,
    warden: Arc<Shared>,
}

/// A process started by [`Guest::exec`]. Dropping it doesn't end the process.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    connection: Connection,
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
        Ok(Guest { inner: Arc::new(GuestShared { id, layer, control, ended, warden: Arc::clone(&self.shared) }) })
    }

    async fn layer(&self, ask: &Ask) -> Result<LayerId> {
        match warden_answer(&self.shared.control, ask, &[]).await? {
            (Answer::Layer(id), _) => Ok(id),
            (other, _) => Err(unexpected(&other)),
        }
    }
}

impl Guest {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> GuestId {
        self.inner.id
    }

    /// The layer it writes to.
    #[must_use]
    pub fn layer(&self) -> LayerId {
        self.inner.layer
    }

    /// Waits until the guest has ended: by the calls below, by itself, or with the warden.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.inner.ended.clone();
        ended.wait_for(Option::is_some).await.ok().and_then(|how| *how).unwrap_or(Ended::Died)
    }

    /// Whether the guest has ended, and how.
    #[must_use]
    pub fn has_ended(&self) -> Option<Ended> {
        *self.inner.ended.borrow()
    }

    /// Ends the guest at once, like pulling the plug, and waits until it is gone. Fine when it is gone already.
    ///
    /// # Errors
    /// [`Error::WardenEnded`].
    pub async fn stop(&self) -> Result<()> {
        if self.has_ended().is_none() {
            let answer = warden_answer(&self.inner.warden.control, &Ask::Stop { guest: self.inner.id }, &[]).await;
            match answer.and_then(done) {
                // It ended by itself meanwhile.
                Ok(()) | Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
            self.ended().await;
        }
        Ok(())
    }

    /// Asks all processes to end, kills what is left after `grace`, and waits until the guest is gone.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub async fn shutdown(&self, grace: Duration) -> Result<()> {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.connect(wire::FOR_INIT, &GuestAsk::Shutdown { grace_ms }, &[]).await?;
        self.ended().await;
        Ok(())
    }

    /// Starts a program and returns when it runs.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`], [`Error::Os`] when it can't be executed or its directory not be entered,
    /// [`Error::Gone`].
    pub async fn exec(&self, spec: ExecSpec) -> Result<Process> {
        let internal = |e: std::io::Error| Error::Internal(format!("no pipe for a program of a guest: {e}"));
        let (failure, theirs) = std::io::pipe().map_err(internal)?;
        let files: [&Option<File>; 3] = [&spec.stdin, &spec.stdout, &spec.stderr];
        let mut descriptors = vec![theirs.as_fd()];
        descriptors.extend(files.iter().filter_map(|f| f.as_ref()).map(AsFd::as_fd));
        let ask = GuestAsk::Exec(ExecAsk {
            given: files.map(Option::is_some),
            program: spec.program,
            argv: spec.argv,
            env: spec.env,
            cwd: spec.cwd,
            user: spec.user,
            new_session: spec.new_session,
        });
        let mut connection = self.connect(wire::CONNECTION, &ask, &descriptors).await?;
        drop(descriptors);
        drop(theirs);
        let pid = match next_of_guest(&mut connection).await? {
            (Answer::Started(pid), _) => pid,
            (other, _) => return Err(unexpected(&other)),
        };
        // The pipe's other end closes when the program is executed, and speaks when it can't be.
        let mut failure = tokio::net::unix::pipe::Receiver::from_owned_fd(failure.into()).map_err(internal)?;
        let mut text = Vec::new();
        failure.read_to_end(&mut text).await.map_err(internal)?;
        if text.is_empty() {
            return Ok(Process { pid, connection });
        }
        Err(serde_json::from_slice(&text)
            .unwrap_or_else(|e| Error::Internal(format!("a failure in the guest can't be read: {e}"))))
    }

    /// Sends a signal to a process, with an account's right to.
    ///
    /// # Errors
    /// [`Error::Os`] as `kill(2)`: no such process, not permitted.
    pub async fn kill(&self, user: &str, pid: u32, signal: i32) -> Result<()> {
        done(self.ask(&GuestAsk::Kill { user: user.to_owned(), pid, signal }).await?)
    }

    /// All processes that run now, init included.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub async fn processes(&self) -> Result<Vec<ProcessInfo>> {
        match self.ask(&GuestAsk::Processes).await? {
            (Answer::Processes(processes), _) => Ok(processes),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Looks up an account in the guest's own /etc/passwd.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`], [`Error::Gone`].
    pub async fn user(&self, name: &str) -> Result<User> {
        match self.ask(&GuestAsk::User { name: name.to_owned() }).await? {
            (Answer::User(user), _) => Ok(user),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// File operations as an account; empty is root (id 0).
    #[must_use]
    pub fn files(&self, user: &str) -> Files {
        Files::new(self.clone(), user.to_owned())
    }

    /// Adds a network interface that leads nowhere, with an address to show.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel has no such interfaces (the module `dummy` can't be loaded).
    pub async fn add_dummy_link(
        &self,
        name: &str,
        mac: Option<[u8; 6]>,
        address: Option<(std::net::Ipv4Addr, u8)>,
    ) -> Result<()> {
        let address = address.map(|(ip, prefix)| (ip.octets(), prefix));
        done(self.ask(&GuestAsk::Link { name: name.to_owned(), mac, address }).await?)
    }

    /// Asks a helper in the guest; its first answer.
    pub(super) async fn ask(&self, ask: &GuestAsk) -> Result<(Answer, Vec<OwnedFd>)> {
        let mut connection = self.connect(wire::CONNECTION, ask, &[]).await?;
        next_of_guest(&mut connection).await
    }

    async fn connect(&self, mark: u8, ask: &GuestAsk, descriptors: &[BorrowedFd<'_>]) -> Result<Connection> {
        // Whatever keeps a request from reaching init, init isn't there.
        self.inner.control.ask(mark, ask, descriptors).await.map_err(|error| match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => {
                Error::Internal(format!("no connection to a guest: {error}"))
            }
            _ => Error::Gone,
        })
    }
}

impl Process {
    /// Its number inside the guest.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until it has ended.
    pub async fn wait(mut self) -> Exit {
        match self.connection.next().await {
            Ok(Some((Answer::Exit(exit), _))) => exit,
            _ => Exit::GuestEnded,
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

async fn next_of_guest(connection: &mut Connection) -> Result<(Answer, Vec<OwnedFd>)> {
    match connection.next().await? {
        Some((Answer::Failed(error), _)) => Err(error),
        Some(answer) => Ok(answer),
        None => Err(Error::Gone),
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
