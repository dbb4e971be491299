//! The checked program: every machine that a build makes, with everything decided that can be decided before
//! the build runs. What is left open stands as expressions ([`Rt`]) over keys, attributes and secrets.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::source::Span;
use crate::syntax::Keyword;
use crate::syntax::ast::{BinaryOp, OutputKind, Type, UnaryOp};

use super::filter::Filter;
use super::template::env_refs;
use super::value::Value;

pub use super::program_step::{
    Action, Copy, CopyFrom, Invocation, KeySource, Need, Script, ScriptHole, Step, StepOptions, WaitWhat,
};

/// Index of a secret in [`Program::secrets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId(pub u32);

/// Index of a stage in [`Program::stages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageId(pub u32);

/// Index of a machine in [`Program::machines`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MachineId(pub u32);

/// A step of a machine: index in [`Machine::steps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId {
    /// The machine.
    pub machine: MachineId,
    /// Its place in the sequence, from 0.
    pub index: u32,
}

/// A checked program.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The secrets it names, in the order declared.
    pub secrets: Vec<Secret>,
    /// The values of its ARGs, as far as they are known: the file's, then those of each machine's stage.
    pub args: Vec<Arg>,
    /// The stages, in the order written; those that no target needs are left out.
    pub stages: Vec<Stage>,
    /// What the stages that are ON existing machines look for.
    pub selectors: Vec<super::existing::Selector>,
    /// The machines of all stages; a machine comes after those it is made from.
    pub machines: Vec<Machine>,
}

impl Program {
    /// The machine of that id.
    #[allow(clippy::indexing_slicing, reason = "an id is given with what it names, in this program")]
    pub fn machine(&self, id: MachineId) -> &Machine {
        &self.machines[id.0 as usize]
    }

    /// The stage of that id.
    #[allow(clippy::indexing_slicing, reason = "an id is given with what it names, in this program")]
    pub fn stage(&self, id: StageId) -> &Stage {
        &self.stages[id.0 as usize]
    }

    /// The step of that id.
    #[allow(clippy::indexing_slicing, reason = "an id is given with what it names, in this program")]
    pub fn step(&self, id: StepId) -> &Step {
        &self.machine(id.machine).steps[id.index as usize]
    }
}

/// An `ARG` with its value.
#[derive(Clone, Debug)]
pub struct Arg {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// The machine in whose stage it stands; None for one before the first FROM.
    pub machine: Option<MachineId>,
    /// The value with its type: a constant, or [`RtKind::Unset`].
    pub value: Rt,
    /// What gave the value (`--arg`, a file's name, a variable's); None: the default, or nothing.
    pub given_by: Option<String>,
}

/// A `SECRET`.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// `GENERATE n`: how many characters, when none is given.
    pub generate: Option<u32>,
}

/// A stage: what one FROM makes, once or as replicas.
#[derive(Clone, Debug)]
pub struct Stage {
    /// `AS name`.
    pub name: Option<String>,
    /// The FROM instruction.
    pub span: Span,
    /// Its machines, in FOR's order; one without FOR.
    pub machines: Vec<MachineId>,
    /// Whether it has a FOR.
    pub replicated: bool,
}

/// One machine: a stage, or one replica of it.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its id.
    pub id: MachineId,
    /// Its stage.
    pub stage: StageId,
    /// The loop value, with FOR.
    pub replica: Option<Value>,
    /// How it is called in output: `docker`, `worker[2]`, or `stage 3` for a stage without name.
    pub label: String,
    /// The FROM instruction.
    pub span: Span,
    /// What it is cloned from.
    pub origin: Origin,
    /// `--linked`.
    pub linked: bool,
    /// `--snapshot=`.
    pub snapshot: Option<String>,
    /// What a FROM of an OVA says beside the file.
    pub ova: Ova,
    /// `--os=`.
    pub os: Os,
    /// What it leaves. Never empty: [`OutputKind::None`] stands alone.
    pub outputs: Vec<Output>,
    /// The name in vCenter once finished, as `self.name` gives it: that of the VM output, else of the template
    /// output, else one made from the label.
    pub name: String,
    /// Where it is to live, as far as the file says; by keyword (DATACENTER … NETWORK). The stage's own and the
    /// file's globals are apart since the command line stands between them.
    pub placement: Placement,
    /// The file's global defaults.
    pub default_placement: Placement,
    /// The storage policy of the DATASTORE that holds.
    pub policy: Option<Setting>,
    /// The file's global LOGIN, used when neither the stage nor the command line gives one.
    pub default_login: Option<Login>,
    /// Changes before the first power-on.
    pub hardware: Hardware,
    /// The first ADDRESS, if given: `stage.ip` is of it.
    pub address: Option<Address>,
    /// Those of other adapters.
    pub more_addresses: Vec<Address>,
    /// HOSTNAME, if given.
    pub hostname: Option<Hostname>,
    /// The network step's guest context (who configures the network).
    pub context: Arc<GuestContext>,
    /// In sequence. Those that `--if` leaves out are not in it.
    pub steps: Vec<Step>,
    /// ONFAIL, in order.
    pub on_fail: Vec<Hook>,
    /// HEALTHCHECK.
    pub health: Option<Health>,
    /// ONREMOVE, in order.
    pub on_remove: Vec<Removal>,
    /// SERIAL.
    pub serial: Option<Serial>,
    /// Types of its keys, by name, with the step that captures each.
    pub keys: IndexMap<String, KeyInfo>,
    /// Attributes of this machine that anything asks for (so that an IP is awaited only if needed).
    pub wanted: Vec<Attr>,
}

/// A key of a machine.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    /// Its type.
    pub ty: Type,
    /// The KEY instruction.
    pub span: Span,
    /// The step that captures it; None when `--if` left it out.
    pub step: Option<StepId>,
    /// Whether it may stay unset (`--if`, `--unless`, `--allow-failure`).
    pub optional: bool,
}

/// What a machine is cloned from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// A machine of this build.
    Machine(MachineId),
    /// A template or VM of the inventory, by name or path.
    Inventory {
        /// As given.
        name: String,
        /// Where.
        span: Span,
    },
    /// Not at all: it exists, and stays (`ON`).
    Existing {
        /// Its inventory path; what is looked for where it wasn't looked for yet.
        path: String,
        /// Its reference's value, once it was looked for.
        moref: Option<String>,
        /// Where.
        span: Span,
    },
}

/// What is done when a machine fails.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The instruction.
    pub span: Span,
    /// As shown.
    pub text: String,
    /// What.
    pub action: HookAction,
    /// Who does it, where and with what.
    pub context: Arc<GuestContext>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
}

/// See [`Hook`].
#[derive(Clone, Debug)]
pub enum HookAction {
    /// A guest command.
    Run(Invocation),
    /// Files fetched.
    #[allow(missing_docs)]
    Fetch { paths: Vec<Template>, dest: Template },
    /// Back to the snapshot that a step of the machine has made.
    Revert(String),
}

/// How a machine that lives on is checked.
#[derive(Clone, Debug)]
pub struct Health {
    /// The instruction.
    pub span: Span,
    /// As shown.
    pub text: String,
    /// It succeeds while the machine is well.
    pub command: Invocation,
    /// Who runs it, where and with what.
    pub context: Arc<GuestContext>,
    /// `--interval`.
    pub interval: Duration,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--retry`: how many failures in a row count.
    pub retry: u32,
}

/// What is done elsewhere before a machine that lives on is removed.
#[derive(Clone, Debug)]
pub struct Removal {
    /// The instruction.
    pub span: Span,
    /// As shown.
    pub text: String,
    /// What is run.
    pub command: Invocation,
    /// Who runs it, where and with what.
    pub context: Arc<GuestContext>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--on`: on a machine of that stage; None: on another one of its own.
    pub on: Option<StageId>,
}

/// How many machines of a stage are worked on at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial {
    /// The machine whose end this one waits for.
    pub after: Option<MachineId>,
    /// How many may fail before no further one is begun.
    pub max_failures: u32,
}

/// The guest's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Os {
    /// Anything with a POSIX shell.
    Unix,
    /// Windows.
    Windows,
}

/// One thing that a stage leaves.
#[derive(Clone, Debug)]
pub struct Output {
    /// What.
    pub kind: OutputKind,
    /// Its name (template or VM: a name or inventory path).
    pub name: String,
    /// `--exists=`.
    pub exists: Exists,
    /// `--off`: a VM that is left powered off.
    pub off: bool,
    /// `--type=template`: a library item that is a VM template, and no OVF.
    pub as_template: bool,
    /// `--snapshot=`.
    pub snapshot: Option<String>,
    /// `--after=`: it gets its name only when these machines have ended well.
    pub after: Vec<MachineId>,
    /// The instruction (FROM where it is the default).
    pub span: Span,
}

/// `OUTPUT --exists=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Exists {
    /// An error.
    #[default]
    Fail,
    /// Swapped at the very end.
    Replace,
    /// Left as it is.
    Keep,
}

/// What a DATASTORE says that names none: one that its policy fits. No datastore's name is empty.
pub const BY_POLICY: &str = "";

/// Placement values by their keyword.
pub type Placement = IndexMap<Keyword, Setting>;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The value.
    pub value: String,
    /// Where it was given.
    pub span: Span,
}

/// Changes of the virtual hardware. All None or empty: no reconfiguration.
#[derive(Clone, Debug, Default)]
pub struct Hardware {
    /// `CPU n`.
    pub cpus: Option<u32>,
    /// `CORES n`: cores a socket.
    pub cores: Option<u32>,
    /// `MEMORY`, in bytes; a multiple of 4 MiB.
    pub memory: Option<u64>,
    /// `CONFIG`: extraConfig.
    pub config: Vec<(String, Template)>,
    /// `ANNOTATION`.
    pub annotation: Option<Template>,
    /// `DISK`, `NIC`, `CDROM`, `HARDWARE`.
    pub devices: super::devices::Devices,
    /// `LABEL`: custom attributes.
    pub labels: Vec<(String, Template)>,
    /// `TAG`.
    pub tags: Vec<Tag>,
}

/// The library and the item of `library:LIBRARY/ITEM`, or of what OUTPUT LIBRARY names. An item's name has no `/` in it.
pub fn library_item(name: &str) -> Option<(&str, &str)> {
    let (library, item) = name.strip_prefix(LIBRARY).unwrap_or(name).rsplit_once('/')?;
    let (library, item) = (library.trim(), item.trim());
    (!library.is_empty() && !item.is_empty()).then_some((library, item))
}

/// What a source that is an OVA begins with.
pub const OVA: &str = "ova:";

/// The flags of a FROM of an OVA; of an item of a library it has but the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ova {
    /// `--property`: the descriptor's properties, with where each is given.
    pub properties: Vec<(String, String, Span)>,
    /// `--configuration`: which of the descriptor's.
    pub configuration: Option<String>,
    /// `--disks`.
    pub disks: Option<Disks>,
    /// `--accept-eula`.
    pub accepts: bool,
}

/// How an OVA's disks lie on the datastore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disks {
    /// They grow as they fill.
    Thin,
    /// They have their size at once.
    Thick,
    /// The same, written over with zeros.
    Eager,
}

/// What a source in a content library begins with.
pub const LIBRARY: &str = "library:";

/// A tag in vCenter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its category's name.
    pub category: String,
    /// Its own.
    pub name: String,
    /// Where it was given.
    pub span: Span,
}

impl Tag {
    /// Reads `category/tag`. A category's name has no `/` in it; a tag's may.
    pub fn parse(text: &str, span: Span) -> Option<Tag> {
        let (category, name) = text.split_once('/')?;
        let (category, name) = (category.trim().to_owned(), name.trim().to_owned());
        let fine = !category.is_empty() && !name.is_empty() && !text.chars().any(char::is_control);
        fine.then_some(Tag { category, name, span })
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.category, self.name)
    }
}

/// `ADDRESS`.
#[derive(Clone, Debug)]
pub struct Address {
    /// The address; None for DHCP. Type cidr.
    pub cidr: Option<Rt>,
    /// Type ip.
    pub gateway: Option<Rt>,
    /// Type ip.
    pub dns: Vec<Rt>,
    /// Search domains.
    pub search: Vec<Template>,
    /// The guest's device, else the first that is no loopback.
    pub device: Option<Template>,
    /// `--nic=`, from 1; what a DEVICE isn't given by.
    pub nic: u32,
    /// `--method=`.
    pub method: NetworkMethod,
    /// `--spec=`: a customization specification that vCenter keeps.
    pub spec: Option<String>,
    /// The instruction.
    pub span: Span,
}

/// `HOSTNAME`.
#[derive(Clone, Debug)]
pub struct Hostname {
    /// The name.
    pub name: Template,
    /// `--method=`.
    pub method: NetworkMethod,
    /// `--spec=`: a customization specification that vCenter keeps.
    pub spec: Option<String>,
    /// The instruction.
    pub span: Span,
}

/// `ADDRESS --method=`, `HOSTNAME --method=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum NetworkMethod {
    /// Whatever the guest has, in the order nmcli, netplan, ifupdown.
    #[default]
    Auto,
    /// NetworkManager.
    Nmcli,
    /// Netplan.
    Netplan,
    /// /etc/network/interfaces.
    Ifupdown,
    /// By vCenter, before the guest's first boot is over.
    Customize,
}

/// Text that is complete only when the build runs.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Template {
    /// In order; no two literals next to each other.
    pub pieces: Vec<TemplatePiece>,
}

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq)]
pub enum TemplatePiece {
    /// Text.
    Literal(String),
    /// A value, rendered as text.
    Value(Rt),
}

impl Template {
    /// A template that is only text.
    pub fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        Template { pieces: if text.is_empty() { vec![] } else { vec![TemplatePiece::Literal(text)] } }
    }

    /// The text, if nothing is left open.
    pub fn as_literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [TemplatePiece::Literal(text)] => Some(text),
            _ => None,
        }
    }
}

/// An expression of known type that is evaluated while the build runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Rt {
    /// Where it is written.
    pub span: Span,
    /// Its type. [`Type::Secret`] is contagious.
    pub ty: Type,
    /// What it is.
    pub kind: RtKind,
}

/// See [`Rt`].
#[derive(Clone, Debug, PartialEq)]
pub enum RtKind {
    /// Known.
    Const(Value),
    /// Known later.
    Ref(Ref),
    /// No value at all, only a type: an ARG that `lint` was given no value for, and what is computed from it.
    /// Never in a program checked for [`super::Purpose::Build`].
    Unset,
    /// A key that this build never captures. Only `| default` takes it in, so that it never leaves the check.
    Missing,
    /// The inner value as one of this type: rendered as text, or text read as `value_parse::parse_value` does.
    Convert(Box<Rt>),
    /// A list.
    List(Vec<Rt>),
    /// `.field` of a json value.
    Field(Box<Rt>, String),
    /// `[i]` of a list or json value.
    Index(Box<Rt>, Box<Rt>),
    /// Negation.
    Unary(UnaryOp, Box<Rt>),
    /// An operation.
    Binary(BinaryOp, Box<Rt>, Box<Rt>),
    /// `then` where `cond` is true, else `other`.
    #[allow(missing_docs)]
    If { cond: Box<Rt>, then: Box<Rt>, other: Box<Rt> },
    /// A filter. `default` sees an unset key as missing.
    Filter(Filter, Box<Rt>, Vec<Rt>),
}

/// What only the running build knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ref {
    /// A secret.
    Secret(SecretId),
    /// A key of a machine.
    Key(MachineId, String),
    /// An attribute of a machine.
    Attr(MachineId, Attr),
}

/// An attribute of a machine that only the running build knows (`name` and the `ip` of a static ADDRESS are
/// constants).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attr {
    /// The BIOS UUID.
    Uuid,
    /// The managed object reference's value.
    Moref,
    /// What the guest calls itself.
    Hostname,
    /// The first address that Tools report, IPv4 before IPv6, no link-local.
    Ip,
}

/// Who runs a step, where and with what.
#[derive(Clone, Debug, Default)]
pub struct GuestContext {
    /// The guest account; None: from the command line, else the machine's `default_login`.
    pub login: Option<Login>,
    /// USER.
    pub user: Option<RunAs>,
    /// WORKDIR, absolute (`WORKDIR sub` after `WORKDIR /srv` is `/srv/sub`).
    pub workdir: Option<Template>,
    /// ENV, in order; a later value of the same name stands for the earlier (and may use it). Shared, since every
    /// step has all that were set before it.
    pub env: Vec<Arc<EnvVar>>,
    /// Those of `env` whose value refers to something that only the running build knows: few, where there may be
    /// hundreds that every step has.
    pub open_env: Vec<Arc<EnvVar>>,
    /// SHELL: the interpreter and its arguments; the script's path follows. Default `["sh"]`.
    pub shell: Vec<Template>,
}

impl GuestContext {
    /// One more variable, for what follows.
    pub(super) fn add_env(&mut self, var: EnvVar) {
        let var = Arc::new(var);
        let mut open = false;
        env_refs(&var.value, &mut |_, _| open = true);
        if open {
            self.open_env.push(Arc::clone(&var));
        }
        self.env.push(var);
    }
}

/// `LOGIN`.
#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    /// The account.
    pub user: Template,
    /// Its password; None: from the command line.
    pub password: Option<Template>,
    /// The instruction.
    pub span: Span,
}

/// `USER`, `--user=`.
#[derive(Clone, Debug, PartialEq)]
pub struct RunAs {
    /// The user.
    pub name: Template,
    /// How.
    pub via: Via,
    /// What sudo is told when it asks; None: the LOGIN's.
    pub password: Option<Template>,
}

/// `USER --via=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Via {
    /// From root `runuser` or `su`, else `sudo`, else `doas -n`.
    #[default]
    Auto,
    /// `sudo`.
    Sudo,
    /// `su`.
    Su,
    /// `runuser`.
    Runuser,
    /// `doas -n`.
    Doas,
}

/// One variable of ENV.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Vec<EnvPiece>,
}

/// A part of an ENV value.
#[derive(Clone, Debug, PartialEq)]
pub enum EnvPiece {
    /// Text, taken as it is.
    Literal(String),
    /// `$NAME`, `${NAME}`: the guest's variable, expanded there when the step runs.
    Variable(String),
    /// A value.
    Value(Rt),
}
