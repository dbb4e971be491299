//! The tool's handles on a guest and on its processes.

use super::client::{done, unexpected};
use super::connection::{Connection, Control};
use super::wire::{self, Answer, ExecAsk, GuestAsk};
use super::{Ended, Error, ExecSpec, Exit, Files, GuestId, Guests, LayerId, NetworkReport, ProcessInfo, Result, User};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

/// A running guest. Cheap to clone; dropping it doesn't stop the guest.
#[derive(Debug, Clone)]
pub struct Guest {
    inner: Arc<GuestShared>,
}

/// What all clones of a handle share.
#[derive(Debug)]
pub struct GuestShared {
    pub id: GuestId,
    pub layer: LayerId,
    pub control: Control,
    pub ended: watch::Receiver<Option<Ended>>,
    /// Keeps the warden.
    pub guests: Guests,
}

/// A process started by [`Guest::exec`]. Dropping it doesn't end the process.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    connection: Connection,
}

/// Tells how a guest's network is. See [`Guest::watch_network`].
#[derive(Debug)]
pub struct NetworkWatch {
    connection: Connection,
}

impl Guest {
    pub(super) fn new(inner: GuestShared) -> Self {
        Self { inner: Arc::new(inner) }
    }

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
            match self.inner.guests.stop(self.inner.id).await {
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

    /// Follows the guest's network; an earlier watch ends.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub async fn watch_network(&self) -> Result<NetworkWatch> {
        Ok(NetworkWatch { connection: self.connect(wire::FOR_INIT, &GuestAsk::Watch, &[]).await? })
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

impl NetworkWatch {
    /// How the network is: at once for the first time, then after each change. None when the guest has ended.
    pub async fn next(&mut self) -> Option<NetworkReport> {
        match self.connection.next().await {
            Ok(Some((Answer::Network(report), _))) => Some(report),
            _ => None,
        }
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

async fn next_of_guest(connection: &mut Connection) -> Result<(Answer, Vec<OwnedFd>)> {
    match connection.next().await? {
        Some((Answer::Failed(error), _)) => Err(error),
        Some(answer) => Ok(answer),
        None => Err(Error::Gone),
    }
}
