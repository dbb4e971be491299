//! The types a caller fills in and gets back; the same on every system.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;

/// How to start a warden.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The program to re-execute as the warden: one whose `main` calls [`super::reexec`] first. None is this very
    /// program, which a test binary is not.
    pub executable: Option<PathBuf>,
    /// A directory that keeps layers across restarts. None keeps them in a private tmpfs that ends with the warden.
    pub state: Option<PathBuf>,
    /// Most bytes that all layers together may hold in the tmpfs; None is half of the memory.
    pub store_bytes: Option<u64>,
    /// Which ids guests run with; None is the best that works here. An ordinary user can ask for [`Ids::Single`]
    /// even where `newuidmap` would give more, root for [`Ids::Identity`] or [`Ids::Single`].
    pub ids: Option<Ids>,
}

/// Which ids guests run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ids {
    /// Started by root: guest ids are host ids from 1,000,000,000 on.
    Shifted,
    /// Started by root where file systems can't be shifted: guest ids are the host's.
    Identity,
    /// Started by a user with subordinate ids (`newuidmap`).
    Subordinate,
    /// Started by a user without: every guest account is that one user; owners can't differ.
    Single,
}

/// How a limit of a guest is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// By a control group.
    Cgroup,
    /// By a resource limit per guest account.
    Rlimit,
    /// It isn't.
    None,
}

/// What the warden found on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Which ids guests run with.
    pub ids: Ids,
    /// How [`BootSpec::max_processes`] is kept.
    pub process_limit: Limit,
    /// How [`BootSpec::max_memory`] is kept.
    pub memory_limit: Limit,
    /// What doesn't work as on a real machine, each a sentence for the user.
    pub notes: Vec<String>,
}

/// Where a template's file system comes from.
#[derive(Debug)]
pub enum TemplateSource {
    /// The host's own system, read-only, without homes, credentials, logs and data.
    Host,
    /// A directory with a root file system, read-only.
    Directory(PathBuf),
    /// An uncompressed tar archive of a root file system.
    Tar(File),
}

/// A layer: what a machine changed on top of its parent. Numbers are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LayerId(pub u64);

/// A running guest. Numbers are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GuestId(pub u64);

/// What a layer lies on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Parent {
    /// A template, by the name it was added under.
    Template(String),
    /// A frozen layer.
    Layer(LayerId),
}

/// A layer as the warden knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerInfo {
    /// Its number.
    pub id: LayerId,
    /// What it lies on.
    pub parent: Parent,
    /// Whether it may be a parent, and no longer be booted.
    pub frozen: bool,
}

/// How to boot a guest.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BootSpec {
    /// Host name; None takes the first line of the guest's /etc/hostname.
    pub hostname: Option<String>,
    /// The machine's UUID, in /sys/class/dmi/id/product_uuid.
    pub uuid: Option<String>,
    /// Most processes and threads at once.
    pub max_processes: Option<u32>,
    /// Most bytes of memory, what is written to a tmpfs store included.
    pub max_memory: Option<u64>,
    /// Network cards, which become `eth0`, `eth1` and so on. They lead nowhere.
    pub nics: Vec<NicSpec>,
}

/// What a guest starts at boot, if it has it: there is no init that would start services. Such a guest also sees to
/// its own addresses.
pub const AT_BOOT: &str = "/etc/rc.local";

/// A network card to give a guest.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NicSpec {
    /// Its hardware address; None is a random one.
    pub mac: Option<[u8; 6]>,
    /// An address that it has from the start, with its prefix length, unless the guest has [`AT_BOOT`].
    pub address: Option<(IpAddr, u8)>,
}

/// A network interface as a guest has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicReport {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: Option<[u8; 6]>,
    /// Whether it is up and has a carrier.
    pub up: bool,
    /// Its addresses with their prefix lengths, but those that the kernel still checks.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// What a guest tells of its network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkReport {
    /// Its host name.
    pub host_name: String,
    /// Its interfaces but loopback, in the order in which the kernel numbered them.
    pub nics: Vec<NicReport>,
}

/// Why a guest ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// By `stop`.
    Stopped,
    /// By `shutdown`, or by the guest itself (`poweroff -f`, `halt -f`, a signal to init).
    PoweredOff,
    /// The guest asked for a reboot: boot the layer again.
    Rebooted,
    /// Its init was killed or failed, or the warden ended.
    Died,
}

/// A program to run in a guest.
#[derive(Debug, Default)]
pub struct ExecSpec {
    /// Absolute path in the guest; nothing is searched.
    pub program: String,
    /// The argument vector, its zeroth element included. Empty means the program's path alone.
    pub argv: Vec<String>,
    /// The whole environment; nothing is added.
    pub env: Vec<(String, String)>,
    /// Working directory; None is the account's home, or `/` where that can't be entered.
    pub cwd: Option<String>,
    /// Account, from the guest's own /etc/passwd; empty is root (id 0).
    pub user: String,
    /// Whether to start a session of its own. A guest agent doesn't.
    pub new_session: bool,
    /// Standard input; None is /dev/null.
    pub stdin: Option<File>,
    /// Standard output; None is /dev/null.
    pub stdout: Option<File>,
    /// Standard error; None is /dev/null.
    pub stderr: Option<File>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// It was killed by this signal.
    Signal(i32),
    /// It ended together with the guest.
    GuestEnded,
}

/// A process of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Number inside the guest.
    pub pid: u32,
    /// Its parent's number inside the guest; 0 for init.
    pub parent: u32,
    /// Short name.
    pub name: String,
    /// Arguments joined by spaces; the name in brackets where there are none.
    pub command_line: String,
    /// Owner's id in the guest.
    pub uid: u32,
    /// Owner's name from the guest's /etc/passwd; the id as text where it has none.
    pub owner: String,
    /// Start, in milliseconds since 1970.
    pub started_ms: i64,
}

/// An account of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Name.
    pub name: String,
    /// User id in the guest.
    pub uid: u32,
    /// Group id in the guest.
    pub gid: u32,
    /// Further groups, from the guest's /etc/group.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Its password as the guest's /etc/shadow has it; empty where there is none.
    pub shadow: String,
}

/// What kind of thing a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Other,
}

/// A file of a guest; a symbolic link is described itself, not what it points at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Last part of the path.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Permission bits, setuid, setgid and sticky included.
    pub mode: u32,
    /// Owner in the guest.
    pub uid: u32,
    /// Group in the guest.
    pub gid: u32,
    /// Last change of the content, in milliseconds since 1970.
    pub modified_ms: i64,
    /// Last access, in milliseconds since 1970.
    pub accessed_ms: i64,
    /// Where a symbolic link points; empty for anything else.
    pub target: String,
}

/// What to change about a file; None leaves it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last change, in milliseconds since 1970.
    pub modified_ms: Option<i64>,
    /// Last access, in milliseconds since 1970.
    pub accessed_ms: Option<i64>,
}

/// How to name a new temporary file or directory: `prefix` + random + `suffix` in `directory`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewName {
    /// Where; None is /tmp.
    pub directory: Option<String>,
    /// Before the random part.
    pub prefix: String,
    /// After the random part.
    pub suffix: String,
}
