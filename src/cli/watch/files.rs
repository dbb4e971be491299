//! Noticing that the files that a platform is made of have changed, or that somebody asks for them to be read again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use crate::cli::args;
use crate::source::Sources;

/// How often they are looked at: a few files, of which only the time is read.
const EVERY: Duration = Duration::from_secs(2);

/// A file's time and size; None: it isn't there.
type State = Option<(SystemTime, u64)>;

/// Follows files.
pub(super) struct Files {
    /// Told when one has changed, or at SIGHUP.
    pub(super) changed: Arc<Notify>,
    list: Arc<Mutex<Vec<(PathBuf, State)>>>,
    following: tokio::task::JoinHandle<()>,
}

impl Drop for Files {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl Files {
    /// Begins to follow them.
    pub(super) fn follow(paths: Vec<PathBuf>) -> Self {
        let changed = Arc::new(Notify::new());
        let list = Arc::new(Mutex::new(states(paths)));
        let following = tokio::spawn(follow(Arc::clone(&changed), Arc::clone(&list)));
        Files { changed, list, following }
    }

    /// Follows others from now on.
    pub(super) fn set(&self, paths: Vec<PathBuf>) {
        *self.list.lock().unwrap_or_else(PoisonError::into_inner) = states(paths);
    }
}

/// The files that a program was read from.
pub(super) fn of(sources: &Sources, input: &args::Input) -> Vec<PathBuf> {
    let texts = sources.iter().filter_map(|(_, source)| source.path.clone());
    texts.chain(input.arg_files.iter().cloned()).collect()
}

fn states(paths: Vec<PathBuf>) -> Vec<(PathBuf, State)> {
    paths.into_iter().map(|path| (path.clone(), state(&path))).collect()
}

fn state(path: &Path) -> State {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

async fn follow(changed: Arc<Notify>, list: Arc<Mutex<Vec<(PathBuf, State)>>>) {
    let mut hangup = Hangup::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {
                let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
                let mut any = false;
                for (path, before) in list.iter_mut() {
                    let now = state(path);
                    any |= now != *before;
                    *before = now;
                }
                if any {
                    changed.notify_one();
                }
            }
            () = hangup.next() => changed.notify_one(),
        }
    }
}

/// SIGHUP, where there is one.
#[cfg(unix)]
struct Hangup(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Hangup {
    fn new() -> Self {
        Hangup(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok())
    }

    async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
struct Hangup;

#[cfg(not(unix))]
impl Hangup {
    fn new() -> Self {
        Hangup
    }

    async fn next(&mut self) {
        std::future::pending().await
    }
}
