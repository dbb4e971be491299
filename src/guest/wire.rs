//! The few things that this room asks of a guest: start a program, list a directory, carry a file.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::error::{Error, Result};
use super::job::Login;
use crate::vsphere::client::{self, Client, Deadline, Download, GuestAuth, GuestFault, Source};
use crate::vsphere::wire::{
    GuestFileAttributes, GuestPosixFileAttributes, GuestProgramSpec, GuestWindowsFileAttributes, Moref,
};

/// Pauses while the guest doesn't answer.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often a directory is tried to be deleted.
const DELETIONS: u32 = 4;

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
    Remote(Remote),
    /// This machine, for tests of the scripts.
    #[cfg(test)]
    Local(super::tests::Local),
}

/// Guest operations as one account.
pub(super) struct Remote {
    /// With each password that the account may have: its steps may change it.
    logins: Mutex<Logins>,
    /// Whether one of them was taken; before, only the first is tried, lest the account is locked.
    accepted: AtomicBool,
    /// How long the guest may not answer.
    patience: Duration,
    /// Whether its paths are those of Windows.
    windows: bool,
}

struct Logins {
    /// By password.
    all: Vec<(String, client::Guest)>,
    /// The one in use.
    at: usize,
}

impl Remote {
    /// An account of a guest, with the password that it has.
    pub fn new(client: &Client, vm: &Moref, login: &Login, patience: Duration, windows: bool) -> Self {
        let auth = GuestAuth { username: login.user.clone(), password: login.password.clone() };
        let logins = Logins { all: vec![(login.password.clone(), client.guest(vm, auth))], at: 0 };
        Remote { logins: Mutex::new(logins), accepted: AtomicBool::new(false), patience, windows }
    }

    fn logins(&self) -> MutexGuard<'_, Logins> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account as it is now.
    fn guest(&self) -> Result<client::Guest> {
        let logins = self.logins();
        let found = logins.all.get(logins.at).map(|(_, guest)| guest.clone());
        found.ok_or_else(|| Error::Report("an account without a password".to_owned()))
    }

    /// A password that the account may have by now, or get. `at_once`: it may even be the first that is taken.
    pub fn also(&self, password: &str, at_once: bool) {
        let mut logins = self.logins();
        if at_once {
            self.accepted.store(true, Ordering::Relaxed);
        }
        if logins.all.iter().any(|(known, _)| known == password) {
            return;
        }
        let Some((_, guest)) = logins.all.first() else { return };
        let auth = GuestAuth { username: guest.username().to_owned(), password: password.to_owned() };
        let other = guest.client().guest(guest.vm(), auth);
        logins.all.push((password.to_owned(), other));
    }

    /// Takes the next password, unless all were tried.
    fn next(&self, tried: &mut usize) -> bool {
        let mut logins = self.logins();
        *tried += 1;
        logins.at = (logins.at + 1) % logins.all.len().max(1);
        *tried < logins.all.len()
    }
}

// There is one kind only where nothing is tested.
#[cfg_attr(not(test), allow(clippy::infallible_destructuring_match))]
impl Wire {
    /// The password of the account; empty when nobody knows.
    pub fn password(&self) -> String {
        match self {
            Wire::Remote(remote) => {
                let logins = remote.logins();
                logins.all.get(logins.at).map(|(password, _)| password.clone()).unwrap_or_default()
            }
            #[cfg(test)]
            Wire::Local(_) => String::new(),
        }
    }

    /// See [`Remote::also`].
    pub fn also(&self, password: &str, at_once: bool) {
        match self {
            Wire::Remote(remote) => remote.also(password, at_once),
            #[cfg(test)]
            Wire::Local(_) => {}
        }
    }

    /// Whether the guest is Windows.
    pub fn windows(&self) -> bool {
        match self {
            Wire::Remote(remote) => remote.windows,
            #[cfg(test)]
            Wire::Local(_) => false,
        }
    }

    /// A path as the guest writes it.
    fn path<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if self.windows() { path.replace('/', "\\").into() } else { path.into() }
    }

    /// Starts a program. May be repeated, so it must see to it that twice does no harm.
    pub async fn start(&self, program: &Program) -> Result<()> {
        let remote = match self {
            Wire::Remote(remote) => remote,
            #[cfg(test)]
            Wire::Local(local) => return local.start(program),
        };
        let spec = GuestProgramSpec {
            program_path: program.path.clone(),
            arguments: program.arguments.clone(),
            working_directory: None,
            env_variables: program.env.clone(),
        };
        let mut patience = Patience::new(remote);
        let mut lost = 0;
        loop {
            let error = match remote.guest()?.start(&spec, patience.deadline).await {
                Ok(_) => return patience.done(()),
                Err(error) => error,
            };
            if error.lost_reply() && !matches!(error, client::Error::Timeout { .. }) && lost < 2 {
                lost += 1;
                continue;
            }
            patience.again(error).await?;
        }
    }

    /// The names in a directory.
    pub async fn list(&self, directory: &str) -> Result<Listing> {
        let remote = match self {
            Wire::Remote(remote) => remote,
            #[cfg(test)]
            Wire::Local(local) => return Ok(local.list(directory)),
        };
        let mut patience = Patience::new(remote);
        loop {
            let error = match remote.guest()?.list_all(&self.path(directory), None, patience.deadline).await {
                // Servers give whole paths or names.
                Ok(files) => {
                    let separators: &[char] = if self.windows() { &['/', '\\'] } else { &['/'] };
                    let name = |path: &str| path.rsplit(separators).next().unwrap_or_default().to_owned();
                    return patience.done(Listing::Names(files.into_iter().map(|file| name(&file.path)).collect()));
                }
                Err(error) => error,
            };
            match error.guest_fault() {
                // Some servers say no more than that it failed.
                Some(GuestFault::FileNotFound | GuestFault::File | GuestFault::Other) => return Ok(Listing::Missing),
                _ => patience.again(error).await?,
            }
        }
    }

    /// Sends a file, readable by the account alone. `None`: sent. Else why transfers don't work here.
    pub async fn upload(&self, path: &str, source: &Source) -> Result<Option<String>> {
        let remote = match self {
            Wire::Remote(remote) => remote,
            #[cfg(test)]
            Wire::Local(local) => return local.upload(path, source),
        };
        let attributes = match self.windows() {
            true => GuestFileAttributes::Windows(GuestWindowsFileAttributes::default()),
            false => {
                GuestFileAttributes::Posix(GuestPosixFileAttributes { permissions: Some(0o600), ..Default::default() })
            }
        };
        let mut patience = Patience::new(remote);
        loop {
            match remote.guest()?.upload(&self.path(path), source, attributes.clone(), true, patience.deadline).await {
                Ok(()) => return Ok(None),
                Err(error @ client::Error::Transfer { .. }) => return Ok(Some(error.to_string())),
                Err(error) => patience.again(error).await?,
            }
        }
    }

    /// Begins to fetch a file; `Err` within `Ok`: why transfers don't work here.
    pub async fn download(&self, path: &str) -> Result<std::result::Result<Incoming, String>> {
        let remote = match self {
            Wire::Remote(remote) => remote,
            #[cfg(test)]
            Wire::Local(local) => return local.download(path),
        };
        let mut patience = Patience::new(remote);
        loop {
            match remote.guest()?.download(&self.path(path), patience.deadline).await {
                Ok(download) => return Ok(Ok(Incoming::Remote(Box::new(download)))),
                Err(error @ client::Error::Transfer { .. }) => return Ok(Err(error.to_string())),
                Err(error) => patience.again(error).await?,
            }
        }
    }

    /// Deletes a directory and all in it; none is no error. What is written into it just then may make the guest's
    /// deletion fail ("directory not empty"), as what was ended a moment ago may: it is tried again a few times.
    pub async fn delete_directory(&self, path: &str) -> Result<()> {
        let remote = match self {
            Wire::Remote(remote) => remote,
            #[cfg(test)]
            Wire::Local(_) => {
                for _ in 0..DELETIONS {
                    match std::fs::remove_dir_all(path) {
                        Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                            tokio::time::sleep(FIRST_PAUSE).await;
                        }
                        _ => break,
                    }
                }
                return Ok(());
            }
        };
        let mut patience = Patience::new(remote);
        let mut tries = 0;
        loop {
            let error = match remote.guest()?.delete_directory(&self.path(path), true, patience.deadline).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            tries += 1;
            match error.guest_fault() {
                Some(GuestFault::File | GuestFault::Other) if tries < DELETIONS => {
                    tokio::time::sleep(FIRST_PAUSE).await;
                }
                _ => patience.again(error).await?,
            }
        }
    }
}

/// A file on its way from the guest.
pub(super) enum Incoming {
    /// By a transfer.
    Remote(Box<Download>),
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
}

/// Repeats what fails because the guest's agent doesn't answer, until it has not answered for so long; and once with each
/// other password of the account, when it refuses one that it took before.
struct Patience<'a> {
    remote: &'a Remote,
    deadline: Deadline,
    pause: Duration,
    /// How many passwords were refused.
    tried: usize,
}

impl<'a> Patience<'a> {
    fn new(remote: &'a Remote) -> Self {
        Patience { remote, deadline: Deadline::after(remote.patience), pause: FIRST_PAUSE, tried: 0 }
    }

    /// The guest has let the account in.
    fn done<T>(&self, answer: T) -> Result<T> {
        self.remote.accepted.store(true, Ordering::Relaxed);
        Ok(answer)
    }

    /// Waits when it is worth another try, else hands the error back.
    async fn again(&mut self, error: client::Error) -> Result<()> {
        let before = self.remote.accepted.load(Ordering::Relaxed);
        match error.guest_fault() {
            Some(GuestFault::Unavailable) => {}
            Some(GuestFault::Login) if before => {
                if self.remote.next(&mut self.tried) {
                    return Ok(());
                }
                let user = self.remote.guest()?.username().to_owned();
                return Err(Error::LockedOut { user, detail: error.to_string() });
            }
            _ => return Err(error.into()),
        }
        if self.deadline.left() <= self.pause {
            return Err(Error::Unavailable { waited: self.deadline.allowed(), detail: error.to_string() });
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
