//! The journal of a build: what is about to be done stands in it before it is done, so that a build whose process
//! was killed can be gone on with, and what it has left in vCenter is known.
//!
//! A journal is a file of JSON lines that only grows. The first line is the [`Header`]; a torn last line is as good
//! as none. Whoever works on a build holds a lock on its journal. No secret is ever in it.

mod past;
mod record;
mod store;

pub(in crate::engine) use past::Item;
pub use past::{Left, Past};
pub use record::{Connection, Ending, FORMAT, Header, NodeKind, Record, Settings, Text};
pub use store::{Broken, Kept, Standing, Store};

pub(in crate::engine) use record::text_of;

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a build's journal is written; nowhere, for a build that isn't kept.
#[derive(Clone, Default)]
pub struct Journal {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    /// The build's directory.
    directory: PathBuf,
    file: Mutex<File>,
    /// For syncing while others write.
    handle: File,
    /// Lines written.
    written: AtomicU64,
    /// How many of them have reached the disk. Held while syncing, so that one sync serves all who wait for one.
    synced: tokio::sync::Mutex<u64>,
    /// The first failure to write: nothing that needs an intent is done after it.
    failed: Mutex<Option<String>>,
    mortal: Mortal,
}

/// For tests: a process that ends at an exact place, as by kill -9.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mortal {
    /// The line, counted from 1 in this process; 0: never.
    pub line: u64,
    /// Before it is written, rather than after.
    pub before: bool,
}

impl Journal {
    /// No journal: everything is forgotten with the process.
    pub fn none() -> Self {
        Journal::default()
    }

    pub(in crate::engine::journal) fn over(directory: PathBuf, file: File, mortal: Mortal) -> io::Result<Self> {
        let handle = file.try_clone()?;
        let inner = Inner {
            directory,
            file: Mutex::new(file),
            handle,
            written: AtomicU64::new(0),
            synced: tokio::sync::Mutex::new(0),
            failed: Mutex::default(),
            mortal,
        };
        Ok(Journal { inner: Some(Arc::new(inner)) })
    }

    /// The build's directory, where it has one.
    pub fn directory(&self) -> Option<&std::path::Path> {
        self.inner.as_deref().map(|inner| inner.directory.as_path())
    }

    /// Where files on their way from one guest to another are kept until the build ends.
    pub(in crate::engine) fn files(&self) -> Option<PathBuf> {
        self.directory().map(|directory| directory.join("files"))
    }

    /// Removes these files. What can't be removed goes with the build's record.
    pub fn remove_files(&self) {
        if let Some(files) = self.files() {
            let _ = std::fs::remove_dir_all(files);
        }
    }

    /// Notes what has happened. It outlives this process at once, and a loss of power from the next intent on.
    pub fn note(&self, record: &Record) {
        if let Some(inner) = &self.inner {
            inner.write(record);
        }
    }

    /// A build has ended before it did anything. One that was taken up again stands as it stood.
    pub fn refused(&self, past: &Past, interrupted: bool) {
        if past.entries.is_empty() && past.done.is_empty() {
            let how = if interrupted { Ending::Interrupted } else { Ending::Failed };
            self.note(&Record::Ended { how, when: now(), left: Vec::new() });
        }
    }

    /// Notes what is about to happen; returns when that has reached the disk.
    ///
    /// # Errors
    /// It can't be written: then it must not be done.
    pub async fn intend(&self, record: &Record) -> io::Result<()> {
        self.note(record);
        self.reached().await
    }

    /// Returns when all that was noted so far has reached the disk.
    ///
    /// # Errors
    /// Something couldn't be written.
    pub async fn reached(&self) -> io::Result<()> {
        let Some(inner) = &self.inner else { return Ok(()) };
        let upto = inner.written.load(Ordering::SeqCst);
        let mut synced = inner.synced.lock().await;
        if *synced < upto {
            let upto = inner.written.load(Ordering::SeqCst);
            let own = Arc::clone(inner);
            let outcome = tokio::task::spawn_blocking(move || own.handle.sync_data()).await;
            if let Err(error) = outcome.map_err(io::Error::other).and_then(|synced| synced) {
                inner.fail(&error);
            }
            *synced = upto;
        }
        let failed = inner.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failed.map_or(Ok(()), |why| Err(io::Error::other(why)))
    }
}

impl Inner {
    fn write(&self, record: &Record) {
        let mut line = match serde_json::to_vec(record) {
            Ok(line) => line,
            Err(error) => return self.fail(&error.into()),
        };
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.written.load(Ordering::SeqCst) + 1;
        if self.mortal.line == number && self.mortal.before {
            die();
        }
        // One write a line: a line is whole, or the last one.
        if let Err(error) = file.write_all(&line) {
            self.fail(&error);
        }
        self.written.store(number, Ordering::SeqCst);
        if self.mortal.line == number {
            die();
        }
    }

    fn fail(&self, error: &io::Error) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get_or_insert_with(|| error.to_string());
    }
}

/// The time, as journals have it.
pub fn now() -> String {
    let now = time::OffsetDateTime::now_utc();
    let now = now.replace_nanosecond(0).unwrap_or(now);
    now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

/// Ends this process as kill -9 does.
fn die() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort();
}
