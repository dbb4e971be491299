//! Commands and files in guests, through VMware Tools.
//!
//! [`Guest::open`] logs in and looks what the guest has; [`Guest::run_batch`] sends a list of [`Job`]s over in one go
//! and reports what becomes of them; [`Guest::copy_in`] and [`Guest::copy_out`] carry files. [`Guest::cleanup`] must be
//! awaited in the end, cancelled or not.

pub mod codes;
mod error;
mod job;
mod network;

pub use error::{Error, Result};
pub use job::{
    BatchOutcome, Body, CopyContent, CopyEntry, EnvPiece, EnvVar, Event, Exit, Interpreter, Job, JobEnd, Login,
    MAX_CAPTURE, RunAs, Stream, Via,
};
pub use network::{Address, NetworkMethod, hostname_script, network_script};

use std::path::Path;
use std::time::Duration;

use crate::vsphere::client::Client;
use crate::vsphere::wire::Moref;

/// How data travels between here and a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Channel {
    /// What is small through vCenter, what is large by transfers; all through vCenter once a transfer has failed.
    #[default]
    Auto,
    /// Through vCenter only; what is too large for that is an error (files) or abridged (output).
    Vcenter,
    /// Files and large outputs by transfers always.
    Transfer,
}

/// Settings of [`Guest::open`].
#[derive(Clone, Debug)]
pub struct Options {
    /// How data travels.
    pub channel: Channel,
    /// Names the work directory and marks our processes: letters, digits and `-`, unique to this build and machine.
    /// None: random.
    pub name: Option<String>,
    /// How long a refused login is repeated: up to 60 s just after a boot, else zero.
    pub boot_window: Duration,
    /// How long the guest may not answer (Tools restarting, machine busy) before that is an error.
    pub patience: Duration,
    /// How long processes have between SIGTERM and SIGKILL.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            channel: Channel::Auto,
            name: None,
            boot_window: Duration::ZERO,
            patience: Duration::from_secs(600),
            grace: Duration::from_secs(5),
        }
    }
}

/// One virtual machine's guest, as one account. Its operations go one after another.
pub struct Guest {}

/// Where events of a batch go.
pub type OnEvent<'a> = &'a mut (dyn FnMut(Event) + Send);

impl Guest {
    /// Logs in and looks what the guest has: one program started, one or two listings. Tools must be running.
    pub async fn open(_client: &Client, _vm: &Moref, _login: &Login, _options: Options) -> Result<Guest> {
        unimplemented!()
    }

    /// Looks anew at a guest that was restarted; the handle stays good. Repeats a refused login for up to 60 s.
    pub async fn reopen(&mut self) -> Result<()> {
        unimplemented!()
    }

    /// Runs jobs one after another, in the guest, without us in between; a failed one that isn't allowed to fail ends
    /// the batch. Dropping the future leaves the batch running: call [`Guest::kill_all`].
    pub async fn run_batch(&self, _jobs: &[Job], _on_event: OnEvent<'_>) -> Result<BatchOutcome> {
        unimplemented!()
    }

    /// Runs one job without events.
    pub async fn run(&self, _job: Job) -> Result<JobEnd> {
        unimplemented!()
    }

    /// Copies files, directories and links into the guest. `owner` is `user` or `user:group`; parents are made.
    /// `run_as`: only root, where the login is another.
    pub async fn copy_in(&self, _entries: &[CopyEntry], _owner: Option<&str>, _run_as: Option<&RunAs>) -> Result<()> {
        unimplemented!()
    }

    /// The same as a job for a batch; none when it is too large for that.
    pub fn copy_job(_id: u64, _entries: &[CopyEntry], _owner: Option<&str>) -> Result<Option<Job>> {
        unimplemented!()
    }

    /// Fetches files and directories. One file goes to `dest` itself, unless `into` is set or it is a directory; else all
    /// go below `dest` by their last names. Returns what was written.
    pub async fn copy_out(
        &self,
        _paths: &[String],
        _dest: &Path,
        _into: bool,
        _run_as: Option<&RunAs>,
    ) -> Result<Vec<std::path::PathBuf>> {
        unimplemented!()
    }

    /// Reads a file of at most `max` bytes (and [`MAX_CAPTURE`]).
    pub async fn read_file(&self, _path: &str, _max: usize, _run_as: Option<&RunAs>) -> Result<Vec<u8>> {
        unimplemented!()
    }

    /// Whether there is such a file or directory.
    pub async fn file_exists(&self, _path: &str) -> Result<bool> {
        unimplemented!()
    }

    /// Deletes a file or directory; no error when there is none.
    pub async fn delete(&self, _path: &str) -> Result<()> {
        unimplemented!()
    }

    /// What changes with each restart of the guest, as [`Guest::open`] or [`Guest::reopen`] found it.
    pub fn boot_id(&self) -> &str {
        unimplemented!()
    }

    /// Asks the guest now; differs from [`Guest::boot_id`] after a restart.
    pub async fn current_boot_id(&self) -> Result<String> {
        unimplemented!()
    }

    /// Ends the batch that runs, with all processes that its current job has started.
    pub async fn kill_all(&self) -> Result<()> {
        unimplemented!()
    }

    /// Removes the work directory. To be awaited on every way out, after [`Guest::kill_all`] where a batch was running.
    pub async fn cleanup(&self) -> Result<()> {
        unimplemented!()
    }
}

/// A word for a POSIX shell.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for part in text.split_inclusive('\'') {
        match part.strip_suffix('\'') {
            Some(head) => {
                quoted.push_str(head);
                quoted.push_str("'\\''");
            }
            None => quoted.push_str(part),
        }
    }
    quoted.push('\'');
    quoted
}
