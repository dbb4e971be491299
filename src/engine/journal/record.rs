//! What a journal holds: its first line, and the lines after it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::sema::order::Node;
use crate::sema::program::{MachineId, StepId};
use crate::vsphere::wire::Moref;

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// The first line: what is built, of what, on what. No password and no secret is in it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Header {
    /// The journal's format.
    pub format: u32,
    /// The program's version: another one may understand a VMWfile differently.
    pub version: String,
    /// The build's id.
    pub build: String,
    /// When it began (RFC 3339, UTC).
    pub date: String,
    /// The VMWfile, absolute; none for standard input.
    pub file: Option<PathBuf>,
    /// The context, absolute.
    pub context: PathBuf,
    /// Every text that the program was made of.
    pub texts: Vec<Text>,
    /// The values of ARGs, each with where it came from.
    pub args: BTreeMap<String, (String, String)>,
    /// `--target`.
    pub targets: Vec<String>,
    /// The machines that its ONs mean.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub existing: BTreeMap<String, Vec<crate::sema::existing::Existing>>,
    /// Whether what is there stays (`up`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub up: bool,
    /// Whether the vCenter was the sandbox of the build itself, and is gone with it.
    pub sandbox: bool,
    /// How vCenter is reached.
    pub connection: Connection,
    /// The settings that shape the build.
    pub settings: Settings,
}

/// A text that went into a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// As shown.
    pub name: String,
    /// Its file, absolute, if it has one.
    pub path: Option<PathBuf>,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// How vCenter is reached, but for the password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The name of the saved connection, where it was reached by one.
    #[serde(default)]
    pub saved: Option<String>,
    /// Its URL, without user information.
    pub url: String,
    /// The account.
    pub username: String,
    /// `--password-file`, absolute.
    pub password_file: Option<PathBuf>,
    /// `--thumbprint`.
    pub thumbprint: Option<String>,
    /// `--ca`, absolute.
    pub ca: Option<PathBuf>,
    /// `--insecure`.
    pub insecure: bool,
}

/// The settings that shape a build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// `--parallel`.
    pub parallel: usize,
    /// `--clones` and `--clones-per-host`; none in journals of versions that had no such flags.
    #[serde(default)]
    pub clones: Option<(usize, usize)>,
    /// `--boot-timeout` and `--shutdown-timeout`, in seconds; none in journals of versions that had no such flags.
    #[serde(default)]
    pub waits: Option<(u64, u64)>,
    /// `--on-error`.
    pub on_error: String,
    /// `--guest-channel`.
    pub channel: String,
    /// `--no-cache`.
    #[serde(default)]
    pub no_cache: bool,
    /// Placement from flags, by keyword.
    pub placement: BTreeMap<String, String>,
    /// Placement from variables, by keyword.
    pub default_placement: BTreeMap<String, String>,
    /// `--login`.
    pub login: Option<String>,
    /// `--login-password-file`, absolute.
    pub login_password_file: Option<PathBuf>,
}

/// A line. Entries are numbered as they are begun; machines, steps and outputs as the program has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
#[allow(missing_docs)] // the fields say what they are
pub enum Record {
    /// Logged in to this server.
    Connected { server: String, instance: String },
    /// The digests of the machines, by id; empty for one that has none.
    Digests { list: Vec<String> },
    /// A machine is about to be cloned from the checkpoint that this machine holds.
    Start { machine: u32, from: String, record: Box<crate::cache::Record> },
    /// The checkpoint was gone: the machine is cloned from its source.
    Unstarted { machine: u32 },
    /// A process has taken the build up again.
    Resumed { when: String },
    /// A clone is about to be asked for.
    Clone {
        entry: u32,
        machine: u32,
        part: u32,
        label: String,
        source: String,
        name: String,
        folder: String,
        folder_path: String,
    },
    /// It runs as this task.
    Task { entry: u32, task: String },
    /// The machine exists.
    Made { entry: u32, vm: String },
    /// It is about to be made a template.
    Marking { entry: u32 },
    /// Finished, under a passing name.
    Unpublished { entry: u32, vm: String },
    /// Finished, and the user's.
    Published { entry: u32, vm: String },
    /// It has another name now.
    Renamed { entry: u32, name: String },
    /// It is about to be removed.
    Removing { entry: u32 },
    /// It doesn't exist.
    Gone { entry: u32 },
    /// It takes another one's place, or none's (`old` is empty then), when everything is built.
    Swap { entry: u32, machine: u32, output: u32, new: String, old: String, name: String },
    /// An output is there.
    Output { machine: u32, output: u32, kind: String, name: String, vm: String },
    /// An item is about to be left in a library; whether there was one of its name before this build. A VM template has a
    /// passing name first, and `old` is the id of what it replaces.
    Leaving {
        machine: u32,
        library: String,
        name: String,
        before: bool,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        passing: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        old: String,
    },
    /// It is made, and has still its passing name.
    MadeItem { library: String, name: String, id: String },
    /// There is nothing of it.
    NoItem { library: String, name: String },
    /// It is there, and whole.
    LeftItem { library: String, name: String },
    /// A guest account is used; our directory in the guest is named after the number.
    Session { machine: u32, number: u32, user: String },
    /// Our traces are removed from the machine's guest.
    Closed { machine: u32 },
    /// A batch of steps is about to be started.
    Batch { machine: u32, first: u32, steps: u32, anchor: serde_json::Value },
    /// A restart is about to be asked for; what the guest calls its present boot.
    Restart { machine: u32, step: u32, boot: String },
    /// What runs in the machine's guest is about to be ended, and our traces removed: the machine stays as it is.
    Ending { machine: u32 },
    /// The machine is about to be taken back to a snapshot: what was done on it is undone.
    Reverting { machine: u32 },
    /// Somebody is about to run something in a machine by hand: nobody knows what is in it then.
    Touched { machine: u32 },
    /// What comes out of a guest is about to be unpacked in a directory of this host's.
    Fetch { directory: PathBuf },
    /// An OVA is about to be written, and to get its final name.
    Exporting { file: String },
    /// An OVA is written, under its final name.
    Exported { file: String },
    /// A key's value, unless it is secret.
    Key { machine: u32, name: String, value: String },
    /// An attribute's value.
    Attr { machine: u32, name: String, value: String },
    /// A node of the graph is done.
    Done { machine: u32, node: NodeKind, step: Option<u32> },
    /// The build is over.
    Ended { how: Ending, when: String, left: Vec<String> },
}

/// How a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Everything is built.
    Done,
    /// It failed.
    Failed,
    /// It was stopped, and cleaned up.
    Interrupted,
    /// `vmwbuild clean` removed what it left.
    Cleaned,
}

/// The kind of a [`Node`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // as the nodes themselves
pub enum NodeKind {
    Clone,
    Boot,
    Network,
    Step,
    Export,
    Finish,
}

impl Record {
    /// That a node is done.
    pub(in crate::engine) fn done(node: Node) -> Record {
        let (node_kind, step) = match node {
            Node::Clone(_) => (NodeKind::Clone, None),
            Node::Boot(_) => (NodeKind::Boot, None),
            Node::Network(_) => (NodeKind::Network, None),
            Node::Step(step) => (NodeKind::Step, Some(step.index)),
            Node::Export(_) => (NodeKind::Export, None),
            Node::Finish(_) => (NodeKind::Finish, None),
        };
        Record::Done { machine: node.machine().0, node: node_kind, step }
    }
}

/// The node of a [`Record::Done`].
pub(super) fn node(machine: u32, kind: NodeKind, step: Option<u32>) -> Node {
    let id = MachineId(machine);
    match kind {
        NodeKind::Clone => Node::Clone(id),
        NodeKind::Boot => Node::Boot(id),
        NodeKind::Network => Node::Network(id),
        NodeKind::Step => Node::Step(StepId { machine: id, index: step.unwrap_or_default() }),
        NodeKind::Export => Node::Export(id),
        NodeKind::Finish => Node::Finish(id),
    }
}

/// A reference as text: `VirtualMachine:vm-42`.
pub(in crate::engine) fn text_of(moref: &Moref) -> String {
    format!("{}:{}", moref.kind, moref.value)
}

/// The reverse of [`text_of`].
pub(in crate::engine) fn moref_of(text: &str) -> Moref {
    let (kind, value) = text.split_once(':').unwrap_or(("VirtualMachine", text));
    Moref::new(kind, value)
}
