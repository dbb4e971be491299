//! The instruction table: what is said of each keyword, once, for messages, help, docs and editors.

use super::keyword::Keyword;

/// What is said of an instruction.
#[derive(Debug)]
pub struct Info {
    /// The canonical spelling.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The forms it has, as a reader writes them: `[x]` may be left out, `x…` may be repeated, `a|b` is one of them.
    pub forms: &'static [&'static str],
    /// The words with a meaning of their own among its arguments.
    pub words: &'static [&'static str],
    /// Its own flags; those of every step stand in [`STEP_FLAGS`].
    pub flags: &'static [FlagInfo],
    /// Where it stands.
    pub place: Place,
    /// A line or a few, complete.
    pub example: &'static str,
}

/// Where an instruction may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before the first FROM, or in a stage.
    Anywhere,
    /// Before the first FROM only.
    Global,
    /// It opens a stage.
    Opens,
    /// Before a stage's first step; before the first FROM too, as a default for all stages.
    Placement,
    /// Before a stage's first step.
    Machine,
    /// In a stage, and it holds from there on.
    Setting,
    /// The same, and before the first FROM, as a default for all stages.
    GlobalSetting,
    /// A step: done in its place.
    Step,
    /// In a stage: says what is done later.
    Hook,
}

/// What is said of a flag.
#[derive(Debug)]
pub struct FlagInfo {
    /// Without its dashes.
    pub name: &'static str,
    /// What stands after `=`.
    pub value: FlagValue,
    /// One line.
    pub doc: &'static str,
}

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagValue {
    /// Nothing.
    None,
    /// A value; the placeholder names it.
    Value(&'static str),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Text that the guest's shell reads, where `$NAME` is the guest's.
    Guest(&'static str),
}

impl FlagValue {
    /// How it stands after the flag in a usage text: `=DURATION`, or nothing.
    pub fn usage(self) -> String {
        match self {
            FlagValue::None => String::new(),
            Value(name) | Guest(name) => format!("={name}"),
            OneOf(words) => format!("={}", words.join("|")),
        }
    }
}

const fn flag(name: &'static str, value: FlagValue, doc: &'static str) -> FlagInfo {
    FlagInfo { name, value, doc }
}

use FlagValue::{Guest, OneOf, Value};

/// The flags that every step takes.
pub static STEP_FLAGS: &[FlagInfo] = &[
    flag(
        "if",
        Value("CONDITION"),
        "do the step only if this is true; decided before the run, from ARGs and loop variables",
    ),
    flag("unless", Guest("\"COMMAND\""), "skip the step when this guest command succeeds"),
    flag("after", Value("STAGE[.KEY]"), "do it after that stage, or after that key was captured"),
    flag("serial", FlagValue::None, "one replica after the other, in the order of FOR"),
    flag("timeout", Value("DURATION"), "how long it may take"),
    flag("retry", Value("N"), "try again so many times when it fails"),
    flag("delay", Value("DURATION"), "how long to wait before a retry"),
    flag("ok", Value("CODES"), "the exit codes that are success, with commas between"),
    flag("reboot-on", Value("CODES"), "the exit codes that are success and ask for a reboot"),
    flag("allow-failure", FlagValue::None, "go on when it fails"),
    flag("user", Value("NAME"), "who runs it, for this step only"),
    flag("env", Guest("NAME=VALUE"), "a variable for this step only; may be given several times"),
    flag("no-cache", FlagValue::None, "do it in every build, and all that comes after it and depends on it"),
];

static FROM_FLAGS: &[FlagInfo] = &[
    flag("linked", FlagValue::None, "a linked clone, on a snapshot of the source"),
    flag("snapshot", Value("NAME"), "clone from this snapshot of the source"),
    flag("os", OneOf(&["unix", "windows"]), "what the guest is; unix if not given"),
    flag(
        "property",
        Value("KEY=VALUE"),
        "a property of an OVA's descriptor, or of an OVF in a library; may be repeated",
    ),
    flag(
        "configuration",
        Value("ID"),
        "which configuration of an OVA's descriptor, or of an OVF in a library; its default if not given",
    ),
    flag("disks", OneOf(&["thin", "thick", "eager"]), "how an OVA's disks are made; as vCenter likes if not given"),
    flag("accept-eula", FlagValue::None, "accept the licence agreements in an OVA, or in an OVF of a library"),
];
static OUTPUT_FLAGS: &[FlagInfo] = &[
    flag("exists", OneOf(&["fail", "replace", "keep"]), "what to do when the name is taken; fail if not given"),
    flag("after", Value("STAGE"), "give it its name only once that stage has ended well; may be repeated"),
    flag("snapshot", Value("NAME"), "leave a snapshot of this name"),
    flag("type", OneOf(&["ovf", "template"]), "what the library item is (LIBRARY only); ovf if not given"),
    flag("off", FlagValue::None, "leave the machine powered off (VM only)"),
];
static DATASTORE_FLAGS: &[FlagInfo] =
    &[flag("policy", Value("NAME"), "the storage policy of the machine's files and disks")];
static ADDRESS_FLAGS: &[FlagInfo] = &[
    flag(
        "method",
        OneOf(&["auto", "customize", "nmcli", "netplan", "ifupdown", "powershell"]),
        "how the guest is told; auto if not given",
    ),
    flag("nic", Value("N"), "which network adapter, from 1"),
    SPEC,
];
static HOSTNAME_FLAGS: &[FlagInfo] = &[
    flag(
        "method",
        OneOf(&["auto", "customize", "nmcli", "netplan", "ifupdown", "powershell"]),
        "how the guest is told; auto if not given",
    ),
    SPEC,
];
const SPEC: FlagInfo = flag("spec", Value("NAME"), "the customization specification of vCenter's to begin with");
static USER_FLAGS: &[FlagInfo] =
    &[flag("via", OneOf(&["auto", "sudo", "su", "runuser", "doas"]), "how to become that user; auto if not given")];
static COPY_FLAGS: &[FlagInfo] = &[
    flag("chown", Value("USER[:GROUP]"), "who owns what is copied"),
    flag("chmod", Value("MODE"), "its permissions, octal"),
    flag("render", FlagValue::None, "put values into the files copied, too"),
    flag("from", Value("STAGE"), "copy from that stage's machine"),
];
static WAIT_FLAGS: &[FlagInfo] = &[flag("interval", Value("DURATION"), "how long between two looks")];
static HEALTH_FLAGS: &[FlagInfo] = &[
    flag("interval", Value("DURATION"), "how long between two checks"),
    flag("timeout", Value("DURATION"), "how long one may take"),
    flag("retry", Value("N"), "how many failures in a row count"),
];
static REMOVE_FLAGS: &[FlagInfo] = &[
    flag("on", Value("STAGE"), "run it on a machine of that stage; on another one of its own if not given"),
    flag("timeout", Value("DURATION"), "how long it may take"),
    flag("user", Value("NAME"), "who runs it"),
    flag("env", Guest("NAME=VALUE"), "a variable for it; may be given several times"),
];
static SERIAL_FLAGS: &[FlagInfo] =
    &[flag("max-failures", Value("N"), "how many may fail before no further one is begun; 0 if not given")];
static HOOK_FLAGS: &[FlagInfo] = &[
    flag("timeout", Value("DURATION"), "how long it may take"),
    flag("user", Value("NAME"), "who runs it"),
    flag("env", Guest("NAME=VALUE"), "a variable for it; may be given several times"),
];

macro_rules! info {
    ($name:literal, $place:ident, $summary:literal, [$($form:literal),*], [$($word:literal),*], $flags:expr, $example:literal) => {{
        static INFO: Info = Info {
            name: $name,
            summary: $summary,
            forms: &[$($form),*],
            words: &[$($word),*],
            flags: $flags,
            place: Place::$place,
            example: $example,
        };
        &INFO
    }};
}

impl Keyword {
    /// What is said of it.
    pub fn info(self) -> &'static Info {
        match self {
            Keyword::Arg => info!(
                "ARG",
                Anywhere,
                "a value that the caller may give",
                ["ARG name", "ARG name: type", "ARG name = default", "ARG name: type = default"],
                [],
                &[],
                "ARG workers: int = 2"
            ),
            Keyword::Secret => info!(
                "SECRET",
                Anywhere,
                "a value that is never shown, given or made at build time",
                ["SECRET name", "SECRET name GENERATE length"],
                ["GENERATE"],
                &[],
                "SECRET root_password"
            ),
            Keyword::Include => info!(
                "INCLUDE",
                Anywhere,
                "the lines of another file, in this place",
                ["INCLUDE path"],
                [],
                &[],
                "INCLUDE common/base.vmwfile"
            ),
            Keyword::From => info!(
                "FROM",
                Opens,
                "opens a stage: a machine, cloned from a template, a VM or another stage",
                [
                    "FROM source [AS name]",
                    "FROM source AS name FOR v IN a..b",
                    "FROM source AS name FOR v IN ${{ list }}",
                    "FROM source AS name FOR v IN FILE path.csv"
                ],
                ["AS", "FOR", "IN", "FILE"],
                FROM_FLAGS,
                "FROM docker AS worker FOR n IN 1..3"
            ),
            Keyword::On => info!(
                "ON",
                Opens,
                "opens a stage on machines that exist already",
                ["ON 'pattern' [AS name]", "ON TAG category/tag [AS name]", "ON FOLDER path [AS name]"],
                ["AS", "TAG", "FOLDER"],
                &[],
                "ON 'web*' AS webs"
            ),
            Keyword::Output => info!(
                "OUTPUT",
                Machine,
                "what the stage leaves",
                [
                    "OUTPUT TEMPLATE name",
                    "OUTPUT VM name",
                    "OUTPUT LIBRARY library/item",
                    "OUTPUT OVA file",
                    "OUTPUT NONE"
                ],
                ["TEMPLATE", "VM", "LIBRARY", "OVA", "NONE"],
                OUTPUT_FLAGS,
                "OUTPUT --exists=replace TEMPLATE Docker-Template"
            ),
            Keyword::Datacenter => info!(
                "DATACENTER",
                Placement,
                "the datacenter of the machine",
                ["DATACENTER name"],
                [],
                &[],
                "DATACENTER Frankfurt"
            ),
            Keyword::Cluster => info!(
                "CLUSTER",
                Placement,
                "the cluster of the machine",
                ["CLUSTER name"],
                [],
                &[],
                "CLUSTER Compute-01"
            ),
            Keyword::Host => {
                info!("HOST", Placement, "the host of the machine", ["HOST name"], [], &[], "HOST esx01.example.org")
            }
            Keyword::Pool => info!(
                "POOL",
                Placement,
                "the resource pool of the machine",
                ["POOL name"],
                [],
                &[],
                "POOL Resources/build"
            ),
            Keyword::Datastore => info!(
                "DATASTORE",
                Placement,
                "the datastore of the machine",
                ["DATASTORE name", "DATASTORE --policy=NAME"],
                [],
                DATASTORE_FLAGS,
                "DATASTORE ssd-01"
            ),
            Keyword::Folder => info!(
                "FOLDER",
                Placement,
                "the folder of the machine",
                ["FOLDER path"],
                [],
                &[],
                "FOLDER templates/linux"
            ),
            Keyword::Network => info!(
                "NETWORK",
                Placement,
                "the network of the machine's first adapter",
                ["NETWORK name"],
                [],
                &[],
                "NETWORK \"VM Network\""
            ),
            Keyword::Cpu => info!(
                "CPU",
                Machine,
                "how many processors",
                ["CPU count [CORES per-socket]"],
                ["CORES"],
                &[],
                "CPU 4 CORES 2"
            ),
            Keyword::Memory => info!("MEMORY", Machine, "how much memory", ["MEMORY size"], [], &[], "MEMORY 8GB"),
            Keyword::Disk => info!(
                "DISK",
                Machine,
                "enlarges a disk, or adds one",
                ["DISK n SIZE size", "DISK ADD size [THIN|THICK]"],
                ["SIZE", "ADD", "THIN", "THICK"],
                &[],
                "DISK 1 SIZE 40GB"
            ),
            Keyword::Nic => info!(
                "NIC",
                Machine,
                "connects, adds or removes a network adapter",
                ["NIC [n] NETWORK name", "NIC ADD name", "NIC n REMOVE"],
                ["NETWORK", "ADD", "REMOVE"],
                &[],
                "NIC 2 NETWORK storage"
            ),
            Keyword::Cdrom => info!(
                "CDROM",
                Machine,
                "what is in the CD drive",
                ["CDROM [datastore] path.iso", "CDROM NONE"],
                ["NONE"],
                &[],
                "CDROM \"[iso] tools.iso\""
            ),
            Keyword::Hardware => info!(
                "HARDWARE",
                Machine,
                "settings of the virtual hardware",
                ["HARDWARE key=value…"],
                [],
                &[],
                "HARDWARE firmware=efi"
            ),
            Keyword::Config => info!(
                "CONFIG",
                Machine,
                "the machine's extra configuration, guestinfo among it",
                ["CONFIG key=value…"],
                [],
                &[],
                "CONFIG guestinfo.role=web"
            ),
            Keyword::Annotation => info!(
                "ANNOTATION",
                Machine,
                "the machine's notes in the inventory",
                ["ANNOTATION text"],
                [],
                &[],
                "ANNOTATION Built by ${{ build.id }}"
            ),
            Keyword::Label => info!(
                "LABEL",
                Machine,
                "the machine's custom attributes",
                ["LABEL key=value…"],
                [],
                &[],
                "LABEL owner=platform"
            ),
            Keyword::Tag => {
                info!("TAG", Machine, "the machine's tags", ["TAG category/tag…"], [], &[], "TAG environment/test")
            }
            Keyword::Address => info!(
                "ADDRESS",
                Machine,
                "the guest's network address",
                ["ADDRESS cidr|DHCP [GATEWAY ip] [DNS ip…] [SEARCH domain…] [DEVICE name]"],
                ["DHCP", "GATEWAY", "DNS", "SEARCH", "DEVICE"],
                ADDRESS_FLAGS,
                "ADDRESS 10.0.0.10/24 GATEWAY 10.0.0.1 DNS 10.0.0.2"
            ),
            Keyword::Hostname => info!(
                "HOSTNAME",
                Machine,
                "the guest's host name",
                ["HOSTNAME name"],
                [],
                HOSTNAME_FLAGS,
                "HOSTNAME web01.example.org"
            ),
            Keyword::Login => info!(
                "LOGIN",
                GlobalSetting,
                "the guest account that VMware Tools uses, from here on",
                ["LOGIN user [PASSWORD value]"],
                ["PASSWORD"],
                &[],
                "LOGIN root PASSWORD ${{ root_password }}"
            ),
            Keyword::User => info!(
                "USER",
                Setting,
                "who runs the steps from here on",
                ["USER name [PASSWORD value]"],
                ["PASSWORD"],
                USER_FLAGS,
                "USER deploy"
            ),
            Keyword::Workdir => info!(
                "WORKDIR",
                Setting,
                "the directory of the steps from here on",
                ["WORKDIR path"],
                [],
                &[],
                "WORKDIR /opt/app"
            ),
            Keyword::Env => info!(
                "ENV",
                Setting,
                "variables for the commands from here on",
                ["ENV name=value…"],
                [],
                &[],
                "ENV PATH=/opt/bin:$PATH LANG=C"
            ),
            Keyword::Shell => info!(
                "SHELL",
                Setting,
                "what reads the commands from here on",
                ["SHELL name", "SHELL [\"exe\", \"arg\"…]"],
                [],
                &[],
                "SHELL bash"
            ),
            Keyword::Run => info!(
                "RUN",
                Step,
                "a command in the guest",
                ["RUN command", "RUN [\"exe\", \"arg\"…]", "RUN <<EOF"],
                [],
                &[],
                "RUN --timeout=10m apt-get update"
            ),
            Keyword::Key => info!(
                "KEY",
                Step,
                "a typed value for later steps and other stages",
                [
                    "KEY name[: type] FROM RUN command",
                    "KEY name[: type] FROM FILE path [DELETE]",
                    "KEY name[: type] = value"
                ],
                ["FROM", "RUN", "FILE", "DELETE"],
                &[],
                "KEY token: secret FROM RUN docker swarm join-token -q worker"
            ),
            Keyword::Copy => info!(
                "COPY",
                Step,
                "files and directories, or a text, into the guest",
                ["COPY source… dest", "COPY <<EOF dest"],
                [],
                COPY_FLAGS,
                "COPY --chmod=0755 app.sh /usr/local/bin/"
            ),
            Keyword::Fetch => info!(
                "FETCH",
                Step,
                "files from the guest to here",
                ["FETCH path… dest"],
                [],
                &[],
                "FETCH /var/log/install.log logs/"
            ),
            Keyword::Reboot => {
                info!(
                    "REBOOT",
                    Step,
                    "restarts the guest and waits until it is ready",
                    ["REBOOT"],
                    [],
                    WAIT_FLAGS,
                    "REBOOT --timeout=10m"
                )
            }
            Keyword::Wait => info!(
                "WAIT",
                Step,
                "waits for something of the guest",
                ["WAIT TOOLS|IP|LOGIN|OFF", "WAIT FILE path", "WAIT RUN command"],
                ["TOOLS", "IP", "LOGIN", "OFF", "FILE", "RUN"],
                WAIT_FLAGS,
                "WAIT --timeout=5m FILE /var/lib/ready"
            ),
            Keyword::Note => {
                info!("NOTE", Step, "the title of the next step", ["NOTE text"], [], &[], "NOTE Install the packages")
            }
            Keyword::Checkpoint => info!(
                "CHECKPOINT",
                Step,
                "keeps the machine as it is here, for later builds to go on from",
                ["CHECKPOINT [name]"],
                [],
                &[],
                "CHECKPOINT installed"
            ),
            Keyword::Snapshot => {
                info!("SNAPSHOT", Step, "a snapshot that stays", ["SNAPSHOT name"], [], &[], "SNAPSHOT clean")
            }
            Keyword::Seal => {
                info!("SEAL", Step, "makes a template clean of what is one machine's own", ["SEAL"], [], &[], "SEAL")
            }
            Keyword::OnFail => info!(
                "ONFAIL",
                Hook,
                "what is done when the stage fails, before it is cleaned up",
                ["ONFAIL RUN command", "ONFAIL FETCH path… dest", "ONFAIL REVERT name"],
                ["RUN", "FETCH", "REVERT"],
                HOOK_FLAGS,
                "ONFAIL FETCH /var/log/install.log logs/"
            ),
            Keyword::Healthcheck => info!(
                "HEALTHCHECK",
                Hook,
                "how a machine that lives on is checked",
                ["HEALTHCHECK RUN command"],
                ["RUN"],
                HEALTH_FLAGS,
                "HEALTHCHECK RUN curl -f http://localhost/"
            ),
            Keyword::OnRemove => info!(
                "ONREMOVE",
                Hook,
                "what is done before a machine that lives on is removed",
                ["ONREMOVE RUN command"],
                ["RUN"],
                REMOVE_FLAGS,
                "ONREMOVE RUN docker node rm --force worker-1"
            ),
            Keyword::Serial => {
                info!(
                    "SERIAL",
                    Machine,
                    "how many machines of an ON are worked on at a time",
                    ["SERIAL count"],
                    [],
                    SERIAL_FLAGS,
                    "SERIAL 1"
                )
            }
        }
    }

    /// The canonical spelling.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The keyword that this word is, in any case.
    pub fn parse(word: &str) -> Option<Keyword> {
        // The longest has eleven letters; most words of a heredoc that went astray need no further look.
        if word.len() > 16 {
            return None;
        }
        Keyword::ALL.iter().copied().find(|k| k.name().eq_ignore_ascii_case(word))
    }

    /// Whether it is a step, and so takes [`STEP_FLAGS`] too. NOTE only titles one.
    pub fn is_step(self) -> bool {
        self.info().place == Place::Step && self != Keyword::Note
    }

    /// All flags that it takes: its own first.
    pub fn flags(self) -> impl Iterator<Item = &'static FlagInfo> {
        let steps: &'static [FlagInfo] = if self.is_step() { STEP_FLAGS } else { &[] };
        self.info().flags.iter().chain(steps)
    }

    /// The flag of that name, if it takes one.
    pub fn flag(self, name: &str) -> Option<&'static FlagInfo> {
        self.flags().find(|f| f.name == name)
    }
}

impl std::fmt::Display for Keyword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
