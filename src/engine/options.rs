//! What a build is given beside its program, and what comes of it.

use std::path::PathBuf;
use std::time::Duration;

use super::event::{Event, MachineId, Made};
use super::journal::{Journal, Past};
use crate::diagnostic::Diagnostic;
use crate::guest::Channel;
use crate::plan::PlacementDefaults;

/// How to build.
#[derive(Clone)]
pub struct Options {
    /// `build.id`; also marks the machines of this build in their extraConfig.
    pub build: String,
    /// What the machines belong to, for whoever finds them: the project's name, and the VMWfile's path below it.
    pub file: String,
    /// Where that VMWfile is: the computer, and its path there.
    pub from: String,
    /// The directory that COPY reads from and FETCH writes below.
    pub context: PathBuf,
    /// How many machines may be worked on at once; waiting ones don't count.
    pub parallel: usize,
    /// How many clones may run at once.
    pub clones: ClonesAtOnce,
    /// What becomes of half-made machines when a build fails.
    pub on_error: OnError,
    /// Where machines are to live, where the VMWfile's stages don't say.
    pub placement: PlacementDefaults,
    /// The guest account, where the VMWfile's stages don't say.
    pub login: LoginDefaults,
    /// How data travels to and from guests.
    pub channel: Channel,
    /// The secrets' values, by [`SecretId`](crate::sema::program::SecretId).
    pub secrets: Vec<String>,
    /// How long each wait may take.
    pub deadlines: Deadlines,
    /// The build's journal.
    pub journal: Journal,
    /// What the journal tells of earlier processes of this build.
    pub past: Past,
    /// How the cache is used.
    pub cache: super::cache::Use,
    /// How what is dead is replaced; None: it isn't looked for.
    pub up: Option<super::heal::Up>,
    /// How many requests of the client were sent for something else before: they aren't the build's.
    pub sent_before: u64,
    /// Whether a FROM name that the inventory lacks becomes the sandbox's default template.
    pub sandbox: bool,
}

/// How many clones may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClonesAtOnce {
    /// On the whole vCenter.
    pub in_all: usize,
    /// With one host as what they are read from, or written to where the host is asked for.
    pub per_host: usize,
}

/// `--on-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnError {
    /// They are removed.
    #[default]
    Clean,
    /// They stay as they are, and are named.
    Keep,
    /// They are removed, once everything that doesn't depend on them is built.
    Continue,
    /// Whoever holds the other end of [`Control::ask`] says so at the first failure; without one as `Clean`.
    Ask,
}

/// The guest account from outside the VMWfile, in the same order as [`PlacementDefaults`].
#[derive(Clone, Debug, Default)]
pub struct LoginDefaults {
    /// From flags.
    pub command_line: Option<GuestLogin>,
    /// From variables.
    pub environment: Option<GuestLogin>,
}

/// A guest account.
#[derive(Clone, PartialEq, Eq)]
pub struct GuestLogin {
    /// Its name.
    pub user: String,
    /// Its password; None: the VMWfile's own LOGIN may still have one.
    pub password: Option<String>,
}

impl std::fmt::Debug for GuestLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestLogin").field("user", &self.user).finish_non_exhaustive()
    }
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// A vCenter task: clone, reconfigure, power, snapshot.
    pub task: Duration,
    /// From power-on until the guest can run commands.
    pub boot: Duration,
    /// How long a login that is refused just after a boot is tried again: accounts may still be set up.
    pub login: Duration,
    /// An address reported by Tools, once something asks for it.
    pub ip: Duration,
    /// The guest shutting down before it is powered off.
    pub shutdown: Duration,
    /// A step without `--timeout`; None: no limit.
    pub step: Option<Duration>,
    /// The whole build, cleaning up apart; None: no limit.
    pub build: Option<Duration>,
}

impl Default for Deadlines {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Deadlines {
            task: minutes(60),
            boot: minutes(10),
            login: minutes(1),
            ip: minutes(5),
            shutdown: minutes(5),
            step: None,
            build: None,
        }
    }
}

/// What a build has made.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// In the program's order.
    pub outputs: Vec<BuiltOutput>,
    /// Requests made to vCenter, transfers included.
    pub requests: u64,
}

/// One template or VM that was made.
#[derive(Clone, Debug)]
pub struct BuiltOutput {
    /// By which machine.
    pub machine: MachineId,
    /// The machine's label.
    pub label: String,
    /// "template" or "VM".
    pub kind: &'static str,
    /// Its name in vCenter.
    pub name: String,
    /// Its managed object reference's value.
    pub moref: String,
    /// The address, if one was asked for or reported.
    pub ip: Option<String>,
    /// Whether it was there already, as it would be made.
    pub cached: bool,
}

impl BuiltOutput {
    /// What the views are told of it; `late`: after its machine has ended.
    pub(super) fn event(&self, late: bool) -> Event {
        let made = Made {
            kind: self.kind,
            name: self.name.clone(),
            moref: self.moref.clone(),
            ip: self.ip.clone(),
            cached: self.cached,
            late,
        };
        Event::Made { machine: self.machine, made }
    }
}

/// Why a build failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The exit code's class: that of the first failure.
    pub class: FailureClass,
    /// What is to be told, the first failure first.
    pub diagnostics: Vec<Diagnostic>,
}

/// Classes of failure, each with an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// Can't connect, log in or verify TLS: 3.
    Connection,
    /// A guest command failed: 4.
    Guest,
    /// A vSphere operation failed: 5.
    Vsphere,
    /// A deadline passed: 6.
    Deadline,
    /// Interrupted: 130.
    Interrupted,
}

impl FailureClass {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            FailureClass::Connection => 3,
            FailureClass::Guest => 4,
            FailureClass::Vsphere => 5,
            FailureClass::Deadline => 6,
            FailureClass::Interrupted => 130,
        }
    }
}

/// How a running build is stopped from outside.
#[derive(Clone, Debug, Default)]
pub struct Control {
    /// First Ctrl-C: stop, clean up, report.
    pub stop: tokio_util::sync::CancellationToken,
    /// Second Ctrl-C: leave at once, and say what stays and how to remove it.
    pub leave: tokio_util::sync::CancellationToken,
    /// Where questions go, for [`OnError::Ask`].
    pub ask: Option<tokio::sync::mpsc::UnboundedSender<super::ask::Question>>,
}
