//! The few things that this room asks of a guest: start a program, list a directory, carry a file.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::error::{Error, Result};
use crate::vsphere::client::{self, Deadline, Download, GuestFault, Source};
use crate::vsphere::wire::{GuestFileAttributes, GuestPosixFileAttributes, GuestProgramSpec};

/// Repeats what fails because the guest's agent doesn't answer, until it has not answered for so long. A macro,
/// since the compiler can't see that the future of an async closure is `Send` for every lifetime.
macro_rules! patiently {
    ($patience:expr, |$deadline:ident| $work:expr) => {{
        let mut patience = Patience::new($patience);
        loop {
            let $deadline = patience.deadline;
            match $work {
                Ok(done) => break Ok(done),
                Err(error) => {
                    if let Err(error) = patience.bear(error).await {
                        break Err(error);
                    }
                }
            }
        }
    }};
}

/// Pauses while the guest doesn't answer.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A program to start. Its variables consist of letters, digits and `_+/=.,:@%-` alone: there are servers that hand them
/// to a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// Absolute.
    pub path: String,
    /// Shell text.
    pub arguments: String,
    /// `NAME=value`; there are no others, PATH included.
    pub env: Vec<String>,
}

/// What a listing found.
pub(super) enum Listing {
    /// The names in the directory.
    Names(Vec<String>),
    /// No such directory, or it can't be listed just now.
    Missing,
}

/// The guest at the other end.
pub(super) enum Wire {
    /// Through vSphere.
    Remote {
        /// Guest operations as one account.
        guest: client::Guest,
        /// How long the guest may not answer.
        patience: Duration,
    },
    /// This machine, for tests of the scripts.
    #[cfg(test)]
    Local(super::tests::Local),
}

impl Wire {
    /// Starts a program. May be repeated, so it must see to it that twice does no harm.
    pub async fn start(&self, program: &Program) -> Result<()> {
        let (guest, patience) = match self {
            Wire::Remote { guest, patience } => (guest, *patience),
            #[cfg(test)]
            Wire::Local(local) => return local.start(program),
        };
        let spec = GuestProgramSpec {
            program_path: program.path.clone(),
            arguments: program.arguments.clone(),
            working_directory: None,
            env_variables: program.env.clone(),
        };
        let mut lost = 0;
        patiently!(patience, |deadline| match guest.start(&spec, deadline).await {
            Err(error) if error.lost_reply() && !matches!(error, client::Error::Timeout { .. }) && lost < 2 => {
                lost += 1;
                guest.start(&spec, deadline).await
            }
            other => other,
        })
        .map(|_| ())
    }

    /// The names in a directory.
    pub async fn list(&self, directory: &str) -> Result<Listing> {
        let (guest, patience) = match self {
            Wire::Remote { guest, patience } => (guest, *patience),
            #[cfg(test)]
            Wire::Local(local) => return Ok(local.list(directory)),
        };
        match patiently!(patience, |deadline| guest.list_all(directory, None, deadline).await) {
            // Servers give whole paths or names.
            Ok(files) => Ok(Listing::Names(
                files.into_iter().map(|file| file.path.rsplit('/').next().unwrap_or_default().to_owned()).collect(),
            )),
            Err(Error::Client(error)) => match error.guest_fault() {
                // Some servers say no more than that it failed.
                Some(GuestFault::FileNotFound | GuestFault::File | GuestFault::Other) => Ok(Listing::Missing),
                _ => Err(error.into()),
            },
            Err(error) => Err(error),
        }
    }

    /// Sends a file, readable by the account alone. `None`: sent. Else why transfers don't work here.
    pub async fn upload(&self, path: &str, source: &Source) -> Result<Option<String>> {
        let (guest, patience) = match self {
            Wire::Remote { guest, patience } => (guest, *patience),
            #[cfg(test)]
            Wire::Local(local) => return local.upload(path, source),
        };
        let attributes =
            || GuestFileAttributes::Posix(GuestPosixFileAttributes { permissions: Some(0o600), ..Default::default() });
        let sent = patiently!(patience, |deadline| guest.upload(path, source, attributes(), true, deadline).await);
        match sent {
            Ok(()) => Ok(None),
            Err(Error::Client(error @ client::Error::Transfer { .. })) => Ok(Some(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Begins to fetch a file; `Err` within `Ok`: why transfers don't work here.
    pub async fn download(&self, path: &str) -> Result<std::result::Result<Incoming, String>> {
        let (guest, patience) = match self {
            Wire::Remote { guest, patience } => (guest, *patience),
            #[cfg(test)]
            Wire::Local(local) => return local.download(path),
        };
        match patiently!(patience, |deadline| guest.download(path, deadline).await) {
            Ok(download) => Ok(Ok(Incoming::Remote(download))),
            Err(Error::Client(error @ client::Error::Transfer { .. })) => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Deletes a directory and all in it; none is no error.
    pub async fn delete_directory(&self, path: &str) -> Result<()> {
        let (guest, patience) = match self {
            Wire::Remote { guest, patience } => (guest, *patience),
            #[cfg(test)]
            Wire::Local(_) => {
                let _ = std::fs::remove_dir_all(path);
                return Ok(());
            }
        };
        patiently!(patience, |deadline| guest.delete_directory(path, true, deadline).await)
    }
}

/// A file on its way from the guest.
pub(super) enum Incoming {
    /// By a transfer.
    Remote(Download),
    /// From this machine, for tests.
    #[cfg(test)]
    Local(std::fs::File),
}

impl Incoming {
    /// The next piece; none at the end.
    pub async fn chunk(&mut self) -> client::Result<Option<Bytes>> {
        match self {
            Incoming::Remote(download) => download.chunk().await,
            #[cfg(test)]
            Incoming::Local(file) => {
                use std::io::Read;
                let mut piece = vec![0; 65536];
                let got = file.read(&mut piece).expect("a local file");
                piece.truncate(got);
                Ok((got > 0).then(|| piece.into()))
            }
        }
    }

    /// All of it, into a file here.
    pub async fn save(&mut self, path: &Path) -> Result<u64> {
        let local = |e: std::io::Error| Error::Local { path: path.display().to_string(), detail: e.to_string() };
        let mut file = tokio::fs::File::create(path).await.map_err(local)?;
        let mut size = 0;
        while let Some(piece) = self.chunk().await? {
            size += piece.len() as u64;
            tokio::io::AsyncWriteExt::write_all(&mut file, &piece).await.map_err(local)?;
        }
        tokio::io::AsyncWriteExt::flush(&mut file).await.map_err(local)?;
        Ok(size)
    }
}

/// How long a guest's agent that doesn't answer is borne with.
struct Patience {
    deadline: Deadline,
    whole: Duration,
    pause: Duration,
}

impl Patience {
    fn new(whole: Duration) -> Self {
        Patience { deadline: Deadline::after(whole), whole, pause: FIRST_PAUSE }
    }

    /// Waits a while after an error that passes by itself; gives back all others, and that one when the time is up.
    async fn bear(&mut self, error: client::Error) -> Result<()> {
        if error.guest_fault() != Some(GuestFault::Unavailable) {
            return Err(error.into());
        }
        if self.deadline.left() <= self.pause {
            return Err(Error::Unavailable { waited: self.whole, detail: error.to_string() });
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
