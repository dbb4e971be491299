//! What is said of a program. The fields' names are those of the JSON, described by `docs/schemas/show.json`.

use serde::Serialize;

/// A whole program.
#[derive(Clone, Debug, Serialize)]
pub struct Outline {
    /// Of the format.
    pub version: u32,
    /// Who wrote it.
    pub tool: Tool,
    /// Values of ARGs.
    pub args: Vec<Argument>,
    /// SECRETs.
    pub secrets: Vec<Secret>,
    /// Stages, in the order written.
    pub stages: Vec<Stage>,
    /// Machines, each after those it is made from.
    pub machines: Vec<Machine>,
}

/// The program that wrote it.
#[derive(Clone, Debug, Serialize)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Place {
    /// As it was given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// An ARG.
#[derive(Clone, Debug, Serialize)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// `int`, `list<ip>`.
    #[serde(rename = "type")]
    pub ty: String,
    /// As text.
    pub value: Option<String>,
    /// What gave the value: `--arg`, a file, a variable, `default`.
    pub given_by: String,
    /// The machine in whose stage it stands.
    pub machine: Option<String>,
    /// Where it is declared.
    pub place: Place,
}

/// A SECRET.
#[derive(Clone, Debug, Serialize)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// How many characters are made when none is given.
    pub generate: Option<u32>,
    /// The machines that use it.
    pub used_by: Vec<String>,
    /// Where it is declared.
    pub place: Place,
}

/// A stage.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// `AS name`.
    pub name: Option<String>,
    /// Whether it has a FOR.
    pub replicated: bool,
    /// Its machines' labels.
    pub machines: Vec<String>,
    /// The FROM.
    pub place: Place,
}

/// A machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// As in messages: `worker[2]`.
    pub label: String,
    /// Its stage.
    pub stage: Option<String>,
    /// The value of FOR's variable.
    pub replica: Option<String>,
    /// What it is made from.
    pub from: From,
    /// `unix`, `windows`.
    pub os: &'static str,
    /// Its name in vCenter.
    pub name: String,
    /// What it leaves.
    pub outputs: Vec<Output>,
    /// DATACENTER … NETWORK.
    pub placement: Vec<Placed>,
    /// What is changed before the first start.
    pub hardware: Hardware,
    /// ADDRESS.
    pub address: Option<Address>,
    /// Those of other adapters.
    pub more_addresses: Vec<Address>,
    /// HOSTNAME.
    pub hostname: Option<String>,
    /// What its clone, start, network and end wait for.
    pub waits_for: Vec<Wait>,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Its keys.
    pub keys: Vec<Key>,
    /// The FROM.
    pub place: Place,
}

/// What a machine is made from.
#[derive(Clone, Debug, Serialize)]
pub struct From {
    /// A machine of this build.
    pub machine: Option<String>,
    /// A template or VM of the inventory.
    pub inventory: Option<String>,
    /// `--linked`.
    pub linked: bool,
    /// `--snapshot=`.
    pub snapshot: Option<String>,
}

/// What a machine leaves.
#[derive(Clone, Debug, Serialize)]
pub struct Output {
    /// `TEMPLATE`, `VM`, `LIBRARY`, `OVA`, `NONE`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// `--exists=`.
    pub exists: &'static str,
    /// `--off`.
    pub off: bool,
    /// `--type=template`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub as_template: bool,
    /// `--snapshot=`.
    pub snapshot: Option<String>,
    /// `--after=`: the machines that must have ended well before it gets its name.
    pub after: Vec<String>,
}

/// A placement.
#[derive(Clone, Debug, Serialize)]
pub struct Placed {
    /// `DATASTORE`.
    pub keyword: &'static str,
    /// Its value.
    pub value: String,
    /// Whether it is the file's default, behind what the command line says.
    pub default: bool,
    /// Where it is given.
    pub place: Place,
}

/// Changes of the hardware.
#[derive(Clone, Debug, Serialize)]
pub struct Hardware {
    /// CPU.
    pub cpus: Option<u32>,
    /// CORES.
    pub cores: Option<u32>,
    /// MEMORY.
    pub memory: Option<String>,
    /// CONFIG.
    pub config: Vec<Env>,
    /// ANNOTATION.
    pub annotation: Option<String>,
    /// DISK, NIC, CDROM and HARDWARE, in words.
    pub devices: Vec<String>,
    /// LABEL.
    pub labels: Vec<Env>,
    /// TAG.
    pub tags: Vec<String>,
}

/// An ADDRESS.
#[derive(Clone, Debug, Serialize)]
pub struct Address {
    /// `--nic=`.
    pub nic: u32,
    /// None: DHCP.
    pub cidr: Option<String>,
    /// GATEWAY.
    pub gateway: Option<String>,
    /// DNS.
    pub dns: Vec<String>,
    /// SEARCH.
    pub search: Vec<String>,
}

/// A step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// From 1.
    pub number: u32,
    /// `RUN`, `KEY`, …
    pub kind: &'static str,
    /// The instruction in one line.
    pub text: String,
    /// NOTE.
    pub note: Option<String>,
    /// Who does it, and where.
    pub guest: Guest,
    /// `--timeout=`.
    pub timeout: Option<String>,
    /// `--retry=`.
    pub retry: u32,
    /// `--allow-failure`.
    pub allow_failure: bool,
    /// What must have been done on other machines.
    pub waits_for: Vec<Wait>,
    /// Where it stands.
    pub place: Place,
}

/// The context of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guest {
    /// The guest account; None: the command line's.
    pub login: Option<String>,
    /// USER, if another.
    pub user: Option<String>,
    /// WORKDIR.
    pub workdir: Option<String>,
    /// ENV.
    pub env: Vec<Env>,
    /// SHELL.
    pub shell: Vec<String>,
}

/// A name with a value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Env {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A key.
#[derive(Clone, Debug, Serialize)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// Whether it may stay unset.
    pub optional: bool,
    /// The number of the step that captures it; None: left out by `--if`.
    pub step: Option<u32>,
    /// `command`, `file`, `value`.
    pub from: Option<&'static str>,
    /// The machines with a step that uses it.
    pub used_by: Vec<String>,
    /// The KEY.
    pub place: Place,
}

/// Something that must have been done before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wait {
    /// What waits: `clone`, `start`, `network`, `step`, `export`, `finish`.
    pub what: &'static str,
    /// The other machine.
    pub machine: String,
    /// What of it.
    pub of: &'static str,
    /// The number of its step.
    pub step: Option<u32>,
    /// `from`, `key`, `attribute`, `after`, `copy`.
    pub why: &'static str,
    /// The key's or attribute's name.
    pub name: Option<String>,
}
