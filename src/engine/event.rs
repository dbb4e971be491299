//! What happens in a build, as the views see it. Text in events is already masked: no secret is in it.

use std::time::Duration;

use bytes::Bytes;

pub use crate::sema::order::Node;
pub use crate::sema::program::{MachineId, StepId};

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The first one: what will be built.
    Started {
        /// The build's id.
        build: String,
        /// Its machines, in the program's order.
        machines: Vec<MachineInfo>,
        /// What waits for what between machines.
        edges: Vec<EdgeInfo>,
    },
    /// Logged in.
    Connected {
        /// Host and port, never user information.
        server: String,
        /// The product's own name and version.
        product: String,
        /// The API version spoken.
        api: String,
    },
    /// A machine enters a phase.
    Phase {
        /// Which machine.
        machine: MachineId,
        /// What it is doing now.
        phase: Phase,
    },
    /// A task, or a transfer of files, of a machine has got further.
    Percent {
        /// Which machine.
        machine: MachineId,
        /// 0 to 100.
        percent: u8,
    },
    /// A machine waits for something; ends with its next event.
    Waiting {
        /// Which machine.
        machine: MachineId,
        /// For what: "VMware Tools", "key `manager.token`".
        what: String,
        /// When it gives up, if it does.
        limit: Option<Duration>,
        /// What another machine must have done, if it is that.
        node: Option<Node>,
    },
    /// A step begins (again, when it is retried).
    StepStarted {
        /// Which.
        step: StepId,
    },
    /// A step's command has printed something.
    Output {
        /// Which step.
        step: StepId,
        /// Where it was printed.
        stream: Stream,
        /// What, as the guest's bytes.
        data: Bytes,
    },
    /// A step failed and is tried again after a while.
    Retry {
        /// Which step.
        step: StepId,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// How many attempts there are.
        of: u32,
        /// Why it failed.
        reason: String,
        /// How long until the next attempt.
        delay: Duration,
    },
    /// A step has ended.
    StepFinished {
        /// Which.
        step: StepId,
        /// How.
        outcome: Outcome,
        /// How long it ran.
        elapsed: Duration,
    },
    /// A KEY that is no secret has its value.
    Key {
        /// The step that captured it.
        step: StepId,
        /// Its name.
        name: String,
        /// Its value.
        value: serde_json::Value,
    },
    /// Worth knowing, but no failure.
    Note {
        /// The machine it is about, if one.
        machine: Option<MachineId>,
        /// One line.
        text: String,
    },
    /// A template or VM has been made and has its name. What replaces another one, or waits for a test, has it at the
    /// build's end.
    Made {
        /// By which machine.
        machine: MachineId,
        /// What.
        made: Made,
    },
    /// A machine is done, one way or another.
    MachineFinished {
        /// Which.
        machine: MachineId,
        /// How.
        result: MachineResult,
        /// Since it was begun.
        elapsed: Duration,
    },
    /// Something is cleaned up, or left behind on purpose.
    Cleanup {
        /// One line: "removed `web-tmp` ", "kept `web-tmp`: …".
        text: String,
    },
    /// What whoever watches a platform sees and does between builds.
    Watch {
        /// In a word: "dead", "pause", "budget".
        what: &'static str,
        /// The label of the machine that it is about, if one.
        machine: Option<String>,
        /// One line.
        text: String,
    },
    /// The last one.
    Finished {
        /// Whether everything was built.
        ok: bool,
        /// Stopped from outside, by Ctrl-C or a signal.
        interrupted: bool,
        /// The whole build.
        elapsed: Duration,
        /// Requests made to vCenter, transfers included.
        requests: u64,
    },
}

/// A template or VM that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// "template" or "VM".
    pub kind: &'static str,
    /// Its name in vCenter.
    pub name: String,
    /// Its managed object reference's value.
    pub moref: String,
    /// Its address, where one is known.
    pub ip: Option<String>,
    /// Whether it was there already, and taken as it is.
    pub cached: bool,
    /// Whether its machine has ended before: it was [`Later`] then.
    pub late: bool,
}

/// What a machine that is done leaves, but doesn't yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    /// "template `x`".
    pub what: String,
    /// When it does: "once `test` has passed".
    pub when: String,
}

/// One machine's need of another.
#[derive(Clone, Debug)]
pub struct EdgeInfo {
    /// What is done first.
    pub from: Node,
    /// What waits for it.
    pub to: Node,
    /// Why, in a word: "from", "copy", "after", or the key's or attribute's name.
    pub why: String,
}

/// A machine as the views need to know it.
#[derive(Clone, Debug)]
pub struct MachineInfo {
    /// Its id.
    pub id: MachineId,
    /// How it is called: `worker[2]`.
    pub label: String,
    /// What it leaves: "template `x`", "VM `y`", "nothing".
    pub leaves: String,
    /// Its steps in order: what each says of itself.
    pub steps: Vec<StepInfo>,
}

/// A step as the views need to know it.
#[derive(Clone, Debug)]
pub struct StepInfo {
    /// The NOTE before it, if any.
    pub note: Option<String>,
    /// The instruction in one line.
    pub text: String,
}

/// What a machine is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not begun: something else must be done first.
    Pending,
    /// Being cloned.
    Cloning {
        /// From what.
        from: String,
    },
    /// Its virtual hardware is changed.
    Configuring,
    /// Powered on, the guest not yet ready.
    Booting,
    /// ADDRESS and HOSTNAME.
    Network,
    /// Its steps.
    Running,
    /// Files that other machines copy from it are fetched.
    Exporting,
    /// Shut down, made a template, swapped in.
    Finishing,
}

/// Where a command printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Done,
    /// Not run: why.
    Skipped(String),
    /// Not run: its machine goes on from a checkpoint after it.
    Cached,
    /// It failed, and was allowed to.
    Allowed(String),
    /// It failed: why, in a few words ("exit code 3", "timed out after 10m").
    Failed(String),
}

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineResult {
    /// What it left ("template `x`"), and what it leaves later.
    Built {
        /// What has its name.
        what: Vec<String>,
        /// What hasn't.
        later: Vec<Later>,
    },
    /// It was there before, and stays: its steps were run on it. "VM `x`".
    Ran(String),
    /// Not made, since it is there already: "template `x`"; or since nothing that is made needs it.
    Cached(String),
    /// Why not, in a few words; the diagnostic says more.
    Failed(String),
    /// Not finished because something else failed or the build was interrupted.
    Cancelled,
}

/// What a machine that is built has come to, for the views that people read.
pub fn built(what: &[String], later: &[Later]) -> String {
    let has = match what.is_empty() {
        true if later.is_empty() => Some("built nothing that stays".to_owned()),
        true => None,
        false => Some(format!("built {}", what.join(", "))),
    };
    let later = later.iter().map(|l| format!("made what becomes {} {}", l.what, l.when));
    has.into_iter().chain(later).collect::<Vec<_>>().join("; ")
}

/// How a machine comes to be, by what [`Phase::Cloning`] says, for the views that people read.
pub fn begun_from(source: &str) -> String {
    match source.strip_prefix(crate::sema::program::OVA) {
        Some(file) => format!("importing {file}"),
        None => format!("cloning {source}"),
    }
}
