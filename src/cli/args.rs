//! The command line's definition. Help texts here are where `--help` and the command reference come from.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::complete;

/// Build VMware templates and platforms from a VMWfile, through vCenter and VMware Tools alone.
#[derive(Parser, Debug)]
#[command(
    name = "vmwbuild",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "A first look, without any vCenter:\n  vmwbuild build --sandbox examples/hello\n\n\
                  Exit codes: 0 done; 1 the VMWfile has errors; 2 usage; 3 can't connect, log in or verify TLS;\n\
                  4 a guest command failed; 5 a vSphere operation failed; 6 a deadline passed; 130 interrupted."
)]
pub(crate) struct Cli {
    /// When to use colour; `auto` follows the terminal and NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub(crate) color: When,

    /// Say where each setting came from
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// `--color`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Build what a VMWfile describes
    #[command(after_help = "Examples:\n  vmwbuild build                        the VMWfile of this directory\n  \
                            vmwbuild build web/ --target image    one stage and what it needs\n  \
                            vmwbuild build -f VMWfile.lab --arg workers=5 --secret id=pw,env=PW\n  \
                            vmwbuild build --sandbox examples/hello")]
    Build(Box<Build>),
    /// Go on with a build whose process was killed, or lost vCenter
    #[command(
        after_help = "What the journal of the build tells is done is not done again, and commands that still run \
                            in a guest are followed to their end.\nSecrets are in no journal: give them again, and \
                            KEYs that are secret are captured again where they are needed.\n\nExamples:\n  \
                            vmwbuild resume                             the newest that didn't end\n  \
                            vmwbuild resume 20300131-1a2b3c4d --secret id=pw,env=PW"
    )]
    Resume(Box<Resume>),
    /// List builds: those that run, and what became of the others
    Builds(Builds),
    /// Remove the machines that failed, killed or kept builds have left in vCenter, and nothing else
    #[command(
        after_help = "A machine is removed only if it stands in the build's journal, bears the build's mark in its \
                            extraConfig, and was neither renamed nor made a template since.\n\nExamples:\n  \
                            vmwbuild clean --dry-run              the newest that left something\n  \
                            vmwbuild clean --all --yes"
    )]
    Clean(Box<Clean>),
    /// List what builds have left to go on from, and remove it
    #[command(after_help = "A build takes a template or machine as it is where it was made from the same: see \
                            docs/cache.md. CHECKPOINTs are kept on machines of their own.\n\nExamples:\n  \
                            vmwbuild cache ls\n  vmwbuild cache prune --older-than 168h --dry-run")]
    Cache(Cache),
    /// Run one command in the guest of a machine that exists; its exit code is ours
    #[command(after_help = "Examples:\n  vmwbuild exec web01 --login root -- systemctl is-active nginx\n  \
                            vmwbuild exec web01 --login root --user app -- sh -c 'ls \"$HOME\"'\n  \
                            vmwbuild exec --all 'web*' --login root -- uptime\n  \
                            vmwbuild exec db01 --login root -- psql shop < shop.sql\n\n\
                            The exit code is the command's, 128 and the signal's number if one ended it. When vmwbuild \
                            itself fails, it writes a message with a code (VMW123) to standard error and ends as \
                            `build` does; `--failure-code 255` tells the two apart by the exit code alone.")]
    Exec(Box<Exec>),
    /// Copy files and directories to or from the guest of a machine that exists
    #[command(after_help = "Examples:\n  vmwbuild cp site.conf web01:/etc/nginx/conf.d/ --login root\n  \
                            vmwbuild cp web01:/var/log/nginx logs --login root\n  \
                            pg_dump shop | vmwbuild cp - db01:/root/shop.sql --login root\n\n\
                            Into a directory that exists, or one written with `/` at its end, what is copied goes under \
                            its own name. A local path with `:/` in it is written with `./` before it.")]
    Cp(Box<Cp>),
    /// Show what `build` would do on this vCenter, and what is in its way; nothing is changed
    #[command(after_help = "Examples:\n  vmwbuild plan                         the VMWfile of this directory\n  \
                            vmwbuild plan --check-transfers web/  also whether file transfers reach the hosts\n  \
                            vmwbuild plan --json | jq .datastores\n\n\
                            Exit code 0 when a build could start, else the one that the build would end with.")]
    Plan(Box<Plan>),
    /// Test the connection to a vCenter step by step, and explain what is wrong
    #[command(
        after_help = "Without --selftest it changes nothing. The exit code is 0 when a build could connect (and the \
                            self-test's did end well), else as for `build`.\n\nExamples:\n  vmwbuild doctor\n  vmwbuild \
                            doctor --selftest debian-12 --login root -o transcript.jsonl\n\nThe transcript holds no names, \
                            addresses, accounts or passwords: other words stand for them. Read it before you attach it to \
                            a report all the same."
    )]
    Doctor(Box<Doctor>),
    /// Save connections by name, for `--vcenter NAME`
    Vcenter(Vcenter),
    /// Check VMWfiles without contacting anything
    Lint(Lint),
    /// Write VMWfiles in canonical form
    Fmt(Fmt),
    /// Draw what a VMWfile's steps wait for, as DOT, Mermaid, SVG or JSON
    #[command(after_help = "Examples:\n  vmwbuild graph examples/cluster -o cluster.svg\n  \
                            vmwbuild graph --machines --format mermaid\n  vmwbuild graph | dot -Tpng > graph.png")]
    Graph(Graph),
    /// Print a VMWfile as it is understood: machines, steps, keys and where each value comes from
    #[command(after_help = "Examples:\n  vmwbuild show examples/cluster --arg workers=3\n  \
                            vmwbuild show --json | jq '.machines[].steps[].waits_for'")]
    Show(Show),
    /// Make a VMWfile of a vmwscript deployment or playbook (JSON)
    #[command(after_help = "Examples:\n  vmwbuild convert swarm.json -o VMWfile\n  \
                            vmwbuild convert swarm.json | vmwbuild lint -\n\nThe VMWfile goes to standard output, what \
                            can't be converted to standard error. Passwords become SECRETs.")]
    Convert(Convert),
    /// Explain a diagnostic's code: what it means, a wrong and a right example
    Explain(Explain),
    /// Serve an editor: the Language Server Protocol on standard input and output
    #[command(after_help = "Editors start it by themselves: see docs/editors.md.")]
    Lsp(Lsp),
    /// Serve an embedded vCenter whose guests truly run, until Ctrl-C
    Sandbox(Sandbox),
    /// Begin a project: a VMWfile, .vmwignore and vmwbuild.toml that lint clean and build on the sandbox
    #[command(after_help = "Examples:\n  vmwbuild init web\n  vmwbuild init --ci github\n\nFiles that are there stay \
                            as they are.")]
    Init(Init),
    /// Print what connects a shell's completion with vmwbuild
    #[command(after_help = "Examples:\n  source <(vmwbuild completions bash)             in ~/.bashrc\n  \
                            source <(vmwbuild completions zsh)              in ~/.zshrc\n  \
                            vmwbuild completions fish | source              in ~/.config/fish/config.fish\n\n\
                            Stages, ARGs and SECRETs of the VMWfile at hand are completed too.")]
    Completions(Completions),
    /// Print the manual page, or write one a command to a directory
    Man(Man),
}

#[derive(Args, Debug)]
pub(crate) struct Init {
    /// The project's directory; it is made where there is none
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Write what checks VMWfiles in this service on every push, too
    #[arg(long, value_name = "SERVICE")]
    pub(crate) ci: Option<Ci>,
}

/// `init --ci`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ci {
    /// .github/workflows/vmwfile.yml
    Github,
    /// .gitlab/vmwfile.yml, to be included
    Gitlab,
}

#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: ShellName,
}

/// A shell that completes.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShellName {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

#[derive(Args, Debug)]
pub(crate) struct Man {
    /// Write a page a command there; it is made where there is none
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

/// Which VMWfile, and what it is given.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct Input {
    /// A directory (its VMWfile is built, COPY reads from it) or a VMWfile
    #[arg(value_name = "CONTEXT", default_value = ".")]
    pub(crate) context: PathBuf,

    /// The VMWfile, if it isn't CONTEXT/VMWfile; `-` reads standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Only this stage and what it needs; may be repeated
    #[arg(long = "target", value_name = "STAGE", add = ArgValueCompleter::new(complete::stages))]
    pub(crate) targets: Vec<String>,

    /// The value of an ARG; may be repeated. Also: VMWBUILD_ARG_name in the environment
    #[arg(long = "arg", value_name = "NAME=VALUE", add = ArgValueCompleter::new(complete::arg_names))]
    pub(crate) args: Vec<String>,

    /// A file of ARG values: `name = value` lines, TOML (.toml) or JSON (.json); may be repeated, later ones win
    #[arg(long = "args", value_name = "FILE")]
    pub(crate) arg_files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) profile: Profile,
}

/// Which profile.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct Profile {
    /// Take ARGs, placement and vCenter from `[profile.NAME]` in vmwbuild.toml
    #[arg(long, value_name = "NAME", env = "VMWBUILD_PROFILE")]
    pub(crate) profile: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Plan {
    /// Connect to port 443 of the hosts that would run the machines, as file transfers do
    #[arg(long)]
    pub(crate) check_transfers: bool,

    /// Write it as JSON, see docs/schemas/plan.json
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) build: Build,
}

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Then clone this template, run a few commands in it, remove it again, and write down all that was said
    #[arg(long, value_name = "TEMPLATE", help_heading = "Self-test")]
    pub(crate) selftest: Option<String>,

    /// Where the self-test's transcript goes [default: vmwbuild-selftest.jsonl]
    #[arg(short = 'o', long, value_name = "FILE", requires = "selftest", help_heading = "Self-test")]
    pub(crate) output: Option<PathBuf>,

    /// How the self-test's data travels, see `build --help`
    #[arg(
        long,
        value_name = "WAY",
        default_value = "auto",
        env = "VMWBUILD_GUEST_CHANNEL",
        help_heading = "Self-test"
    )]
    pub(crate) guest_channel: GuestChannel,

    /// Write it as JSON, see docs/schemas/doctor.json
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) profile: Profile,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) placement: Placement,

    #[command(flatten)]
    pub(crate) guest: GuestLogin,
}

#[derive(Args, Debug)]
pub(crate) struct Vcenter {
    #[command(subcommand)]
    pub(crate) command: VcenterCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum VcenterCommand {
    /// Save a connection
    #[command(
        after_help = "Example:\n  vmwbuild vcenter add prod https://vc.example.com --username builder@vsphere.local \
                            --password-command 'pass show vc'"
    )]
    Add(VcenterAdd),
    /// Use a connection where nothing else names a vCenter
    Use {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List them; `*` marks the one in use
    Ls,
    /// Forget one
    Rm {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct VcenterAdd {
    /// Letters, digits, `-` and `_`
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// vCenter's address
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// The account
    #[arg(long, value_name = "USER")]
    pub(crate) username: Option<String>,
    /// A command whose output is the password
    #[arg(long, value_name = "COMMAND", group = "secret")]
    pub(crate) password_command: Option<String>,
    /// A variable that holds the password
    #[arg(long, value_name = "VAR", group = "secret")]
    pub(crate) password_env: Option<String>,
    /// Write the password itself into the file (mode 0600); it is asked for, or read from standard input
    #[arg(long, group = "secret")]
    pub(crate) store_password: bool,
    /// Accept the certificate with this SHA-256 or SHA-1 thumbprint
    #[arg(long, value_name = "HEX")]
    pub(crate) thumbprint: Option<String>,
    /// Trust the certificate authorities in this PEM file too
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Use it where nothing else names a vCenter
    #[arg(long = "use")]
    pub(crate) make_default: bool,
    /// Replace the connection of that name
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) input: Input,

    /// A SECRET's value: from a variable, a file, or the first line that a command prints; may be repeated
    #[arg(
        long = "secret",
        value_name = "id=NAME,env=VAR|src=FILE|cmd=COMMAND",
        add = ArgValueCompleter::new(complete::secrets)
    )]
    pub(crate) secrets: Vec<String>,

    /// Write a generated SECRET to a file (mode 0600); may be repeated
    #[arg(long = "secret-out", value_name = "id=NAME,dst=FILE")]
    pub(crate) secret_outs: Vec<String>,

    /// How many machines are worked on at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) parallel: u16,

    /// How the build is shown
    #[arg(long, value_name = "VIEW", default_value = "auto", env = "VMWBUILD_PROGRESS", help_heading = "Output")]
    pub(crate) progress: Progress,

    /// Write what happens to a file as JSON lines too, whatever the view; see docs/events.md
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) events: Option<PathBuf>,

    /// Write a page for browsers when the build has ended: graph, timeline, every step's output, what failed
    #[arg(long, value_name = "FILE.html", help_heading = "Output")]
    pub(crate) report: Option<PathBuf>,

    /// Write what came of the build as JSON when it has ended, also when it failed; see docs/schemas/result.json
    #[arg(long, value_name = "FILE.json", help_heading = "Output")]
    pub(crate) result: Option<PathBuf>,

    /// Make everything, also what is there already as it would be made; nothing goes on from a checkpoint
    #[arg(long, env = "VMWBUILD_NO_CACHE", value_parser = clap::builder::FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub(crate) no_cache: bool,

    /// What becomes of half-made machines when the build fails
    #[arg(long = "on-error", value_name = "WHAT", default_value = "clean", env = "VMWBUILD_ON_ERROR")]
    pub(crate) on_error: OnError,

    /// Stop the build after this time, and do with its machines what --on-error says
    #[arg(long, value_name = "DURATION", value_parser = duration, env = "VMWBUILD_TIMEOUT")]
    pub(crate) timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) placement: Placement,

    #[command(flatten)]
    pub(crate) guest: GuestLogin,

    /// How data travels to guests: small through vCenter and large by transfers with the ESXi host (auto), all
    /// through vCenter, or files always by transfers
    #[arg(long, value_name = "WAY", default_value = "auto", env = "VMWBUILD_GUEST_CHANNEL")]
    pub(crate) guest_channel: GuestChannel,

    /// Build on an embedded vCenter with guests that truly run; nothing is contacted, nothing stays
    #[arg(long, help_heading = "Sandbox", conflicts_with_all = ["vcenter", "thumbprint", "ca"])]
    pub(crate) sandbox: bool,

    #[command(flatten)]
    pub(crate) sandbox_options: SandboxOptions,
}

#[derive(Args, Debug)]
pub(crate) struct Resume {
    /// Which build, as `vmwbuild builds` lists it; else the newest that didn't end
    #[arg(value_name = "BUILD")]
    pub(crate) build: Option<String>,

    /// A SECRET's value, as for `build`; may be repeated
    #[arg(long = "secret", value_name = "id=NAME,env=VAR|src=FILE|cmd=COMMAND")]
    pub(crate) secrets: Vec<String>,

    /// How the build is shown; `auto` is tty on a terminal, else plain
    #[arg(long, value_name = "VIEW", default_value = "auto", env = "VMWBUILD_PROGRESS", help_heading = "Output")]
    pub(crate) progress: Progress,

    /// Write what happens to a file as JSON lines too, whatever the view; see docs/events.md
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) events: Option<PathBuf>,

    /// Write a page for browsers when the build has ended: graph, timeline, every step's output, what failed
    #[arg(long, value_name = "FILE.html", help_heading = "Output")]
    pub(crate) report: Option<PathBuf>,

    /// Write what came of the build as JSON when it has ended, also when it failed; see docs/schemas/result.json
    #[arg(long, value_name = "FILE.json", help_heading = "Output")]
    pub(crate) result: Option<PathBuf>,

    /// What becomes of half-made machines when the build fails; else as the build was begun
    #[arg(long = "on-error", value_name = "WHAT")]
    pub(crate) on_error: Option<OnError>,

    /// How many machines are worked on at once; else as the build was begun
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) parallel: Option<u16>,

    /// Stop the build after this time, and clean up
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) guest: GuestLogin,
}

#[derive(Args, Debug)]
pub(crate) struct Builds {
    /// As JSON: an array of objects
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Clean {
    /// Which build, as `vmwbuild builds` lists it; else the newest that left something
    #[arg(value_name = "BUILD", conflicts_with = "all")]
    pub(crate) build: Option<String>,

    /// All builds that left something and don't run
    #[arg(long)]
    pub(crate) all: bool,

    /// Say what would be removed, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Don't ask
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct Cache {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum CacheCommand {
    /// List checkpoints, and the templates and machines that later builds would know again
    Ls(CacheLs),
    /// Remove checkpoints: without a flag those that no build can go on from any more
    #[command(
        after_help = "Only machines are removed that vmwbuild has made to hold a checkpoint, and that were neither \
                            renamed nor made templates since. Templates and machines that builds have left are yours, \
                            and stay.\n\nExamples:\n  vmwbuild cache prune --dry-run\n  \
                            vmwbuild cache prune --older-than 168h --yes"
    )]
    Prune(CachePrune),
}

#[derive(Args, Debug)]
pub(crate) struct CacheLs {
    /// As JSON: an array of objects
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) profile: Profile,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct CachePrune {
    /// All checkpoints
    #[arg(long, conflicts_with = "older_than")]
    pub(crate) all: bool,

    /// Those that were made longer ago than this too
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) older_than: Option<Duration>,

    /// Say what would be removed, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Don't ask
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) profile: Profile,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// A time span of a flag.
fn duration(text: &str) -> Result<Duration, String> {
    crate::syntax::literal::duration(text).ok_or_else(|| "write it like `90s`, `10m` or `1h30m`".to_owned())
}

/// `--progress`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// `tty` on a terminal, else `plain`
    Auto,
    /// Machines side by side, redrawn as they go on
    Tty,
    /// A line an event; groups that fold under GitHub Actions and GitLab
    Plain,
    /// A JSON object a line on standard output; see docs/events.md
    Json,
    /// Nothing but what was built, and errors
    Quiet,
}

/// `--guest-channel`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GuestChannel {
    Auto,
    Vcenter,
    Transfer,
}

/// `--on-error`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    /// Remove them
    Clean,
    /// Leave them, and say where they are
    Keep,
    /// Build everything that doesn't depend on them first, then remove them
    Continue,
}

/// The vCenter. Each flag has a variable; the peers' variables are honoured after our own.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "vCenter")]
pub(crate) struct Connection {
    /// vCenter's address (`host`, `host:port`, `https://[user[:password]@]host[/sdk]`), or the name of a saved one
    /// [env: VMWBUILD_VCENTER, GOVC_URL, VSPHERE_SERVER, INFRAKIT_VSPHERE_VCURL]
    #[arg(long, value_name = "URL|NAME")]
    pub(crate) vcenter: Option<String>,

    /// The account [env: VMWBUILD_USERNAME, GOVC_USERNAME, VSPHERE_USER]
    #[arg(long, value_name = "USER")]
    pub(crate) username: Option<String>,

    /// A file with the password; asked for on a terminal if nothing gives it
    /// [env: VMWBUILD_PASSWORD_FILE, VMWBUILD_PASSWORD, GOVC_PASSWORD, VSPHERE_PASSWORD]
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// Don't verify the server's certificate at all; `--thumbprint` is safer
    /// [env: VMWBUILD_INSECURE, GOVC_INSECURE, VSPHERE_ALLOW_UNVERIFIED_SSL]
    #[arg(long)]
    pub(crate) insecure: bool,

    /// Accept the certificate with this SHA-256 or SHA-1 thumbprint though its CA is unknown
    /// [env: VMWBUILD_THUMBPRINT, GOVC_TLS_KNOWN_HOSTS]
    #[arg(long, value_name = "HEX")]
    pub(crate) thumbprint: Option<String>,

    /// Trust the certificate authorities in this PEM file too [env: VMWBUILD_CA, GOVC_TLS_CA_CERTS]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

/// Placement of machines where the VMWfile's stages don't say. Each flag has a variable VMWBUILD_…, and GOVC_…
/// and INFRAKIT_VSPHERE_VC… are honoured.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "Placement, where the VMWfile's stages don't say")]
pub(crate) struct Placement {
    /// Datacenter [env: VMWBUILD_DATACENTER, GOVC_DATACENTER, INFRAKIT_VSPHERE_VCDATACENTER]
    #[arg(long, value_name = "NAME")]
    pub(crate) datacenter: Option<String>,
    /// Cluster [env: VMWBUILD_CLUSTER, GOVC_CLUSTER]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// ESXi host [env: VMWBUILD_HOST, GOVC_HOST, INFRAKIT_VSPHERE_VCHOST]
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Resource pool [env: VMWBUILD_POOL, GOVC_RESOURCE_POOL]
    #[arg(long, value_name = "NAME")]
    pub(crate) pool: Option<String>,
    /// Datastore [env: VMWBUILD_DATASTORE, GOVC_DATASTORE, INFRAKIT_VSPHERE_VCDATASTORE]
    #[arg(long, value_name = "NAME")]
    pub(crate) datastore: Option<String>,
    /// VM folder [env: VMWBUILD_FOLDER, GOVC_FOLDER]
    #[arg(long, value_name = "PATH")]
    pub(crate) folder: Option<String>,
    /// Network or port group of the first NIC [env: VMWBUILD_NETWORK, GOVC_NETWORK, INFRAKIT_VSPHERE_VCNETWORK]
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,
}

/// The guest account where no stage has a LOGIN.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "Guest account, where the VMWfile's stages have no LOGIN")]
pub(crate) struct GuestLogin {
    /// The guest's user [env: VMWBUILD_LOGIN (user:password), GOVC_GUEST_LOGIN, INFRAKIT_VSPHERE_VMUSER]
    #[arg(long, value_name = "USER")]
    pub(crate) login: Option<String>,
    /// A file with that user's password [env: VMWBUILD_LOGIN_PASSWORD_FILE, INFRAKIT_VSPHERE_VMPASS]
    #[arg(long, value_name = "FILE", requires = "login")]
    pub(crate) login_password_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Exec {
    /// The machine, by name or inventory path
    #[arg(value_name = "VM", required_unless_present = "all", add = ArgValueCompleter::new(complete::machines))]
    pub(crate) vm: Option<String>,

    /// The program, found on the guest's PATH, and its arguments; no shell reads them
    #[arg(value_name = "COMMAND", required = true, last = true)]
    pub(crate) command: Vec<String>,

    /// All machines whose name fits a pattern of `*` and `?` (with a `/` in it: whose path does); may be repeated
    #[arg(long, value_name = "PATTERN", conflicts_with = "vm", help_heading = "Many machines")]
    pub(crate) all: Vec<String>,

    /// How many machines at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..),
        help_heading = "Many machines")]
    pub(crate) parallel: u16,

    /// Another user of the guest who runs it (by runuser, su, sudo or doas)
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,

    /// The directory to run it in
    #[arg(long, value_name = "PATH")]
    pub(crate) workdir: Option<String>,

    /// An environment variable; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,

    /// End it, with everything it has started, after this time
    #[arg(long, value_name = "DURATION", conflicts_with = "detach")]
    pub(crate) timeout: Option<String>,

    /// Read standard input to its end and give it to the command. Without this, that is done when it is a file or a
    /// pipe that holds something already
    #[arg(short = 'i', long, help_heading = "Input")]
    pub(crate) stdin: bool,

    /// Leave standard input alone, as in a loop that reads from it
    #[arg(short = 'n', long, conflicts_with = "stdin", help_heading = "Input")]
    pub(crate) no_stdin: bool,

    /// Leave it running, with its output in files of the guest, and say how to look
    #[arg(long)]
    pub(crate) detach: bool,

    /// The exit code when vmwbuild itself fails, instead of those of `build`
    #[arg(long, value_name = "CODE")]
    pub(crate) failure_code: Option<u8>,

    /// How input and large output travel, see `build --help`
    #[arg(long, value_name = "WAY", default_value = "auto", env = "VMWBUILD_GUEST_CHANNEL")]
    pub(crate) guest_channel: GuestChannel,

    #[command(flatten)]
    pub(crate) profile: Profile,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) guest: GuestLogin,
}

#[derive(Args, Debug)]
pub(crate) struct Cp {
    /// `VM:/path` in a guest, a path here, or `-` for standard input
    #[arg(value_name = "SRC", add = ArgValueCompleter::new(complete::sides))]
    pub(crate) source: String,

    /// A path here (`-`: standard output), or `VM:/path` in a guest
    #[arg(value_name = "DEST", add = ArgValueCompleter::new(complete::sides))]
    pub(crate) dest: String,

    /// Who owns what is put into the guest: `user` or `user:group`; else the login
    #[arg(long, value_name = "USER[:GROUP]")]
    pub(crate) owner: Option<String>,

    /// How data travels, see `build --help`
    #[arg(long, value_name = "WAY", default_value = "auto", env = "VMWBUILD_GUEST_CHANNEL")]
    pub(crate) guest_channel: GuestChannel,

    #[command(flatten)]
    pub(crate) profile: Profile,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) guest: GuestLogin,
}

/// What the sandbox holds.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "Sandbox")]
pub(crate) struct SandboxOptions {
    /// A template of the sandbox: a directory or tar archive with a root file system; may be repeated
    #[arg(long = "sandbox-template", value_name = "NAME=DIR|TAR")]
    pub(crate) templates: Vec<String>,
    /// A privilege that the sandbox says the account lacks; may be repeated
    #[arg(long = "sandbox-withhold", value_name = "PRIVILEGE", hide = true)]
    pub(crate) withheld: Vec<String>,
    /// A guest account that the sandbox accepts; without any, every password is right; may be repeated
    #[arg(long = "sandbox-login", value_name = "USER:PASSWORD")]
    pub(crate) logins: Vec<String>,
    /// Refuse a FROM name that the sandbox doesn't know, instead of using its default template
    #[arg(long = "sandbox-strict")]
    pub(crate) strict: bool,
    /// Something that goes wrong on purpose: METHOD:EFFECT[:skip=N][:count=N][:chance=0.1]; may be repeated
    #[arg(long = "fault", value_name = "FAULT", hide = true)]
    pub(crate) faults: Vec<String>,
    /// Decides the faults that come by chance
    #[arg(long = "fault-seed", value_name = "N", default_value_t = 0, hide = true)]
    pub(crate) seed: u64,
    /// As on a system where guests can't run
    #[arg(long = "without-guests", hide = true)]
    pub(crate) without_guests: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Lint {
    /// VMWfiles, or directories that are searched for them; `-` is standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
    /// The value of an ARG; may be repeated. Also: `[args]` in vmwbuild.toml
    #[arg(long = "arg", value_name = "NAME=VALUE", add = ArgValueCompleter::new(complete::arg_names))]
    pub(crate) args: Vec<String>,
    /// Check as `build` does: values must be given, and what this version can't execute is an error
    #[arg(long)]
    pub(crate) strict: bool,
    /// Ask the program `shellcheck` too, which must be on PATH, about commands for sh, bash and ksh
    #[arg(long)]
    pub(crate) shellcheck: bool,
    /// How findings are written
    #[arg(long, value_name = "FORMAT", default_value = "full", help_heading = "Output")]
    pub(crate) format: Format,
    /// Write them to a file instead
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
    /// Mend what can be mended without changing what a file means
    #[arg(long, help_heading = "Mending")]
    pub(crate) fix: bool,
    /// With --fix or --diff: what may change the meaning too
    #[arg(long, help_heading = "Mending")]
    pub(crate) unsafe_fixes: bool,
    /// Show what --fix would change, and change nothing
    #[arg(long, help_heading = "Mending")]
    pub(crate) diff: bool,
    /// Don't report this lint (a name, VMW123, or ShellCheck's SC1234), or `all`; may be repeated
    #[arg(long, value_name = "LINT", help_heading = "Levels", add = ArgValueCompleter::new(complete::lints))]
    pub(crate) allow: Vec<String>,
    /// Make this lint a warning, also one that is off or only advice; may be repeated
    #[arg(long, value_name = "LINT", help_heading = "Levels", add = ArgValueCompleter::new(complete::lints))]
    pub(crate) warn: Vec<String>,
    /// Make this lint an error; may be repeated
    #[arg(long, value_name = "LINT", help_heading = "Levels", add = ArgValueCompleter::new(complete::lints))]
    pub(crate) deny: Vec<String>,
    /// Exit with 1 if there are more warnings
    #[arg(long, value_name = "N", help_heading = "Levels")]
    pub(crate) max_warnings: Option<usize>,
}

/// `lint --format`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// With the lines, for people
    Full,
    /// A line each
    Concise,
    /// See docs/schemas/lint.json
    Json,
    /// Annotations of GitHub Actions
    Github,
    /// GitLab's code quality report
    Gitlab,
    /// SARIF 2.1.0
    Sarif,
}

#[derive(Args, Debug)]
pub(crate) struct Fmt {
    /// VMWfiles, or directories with a VMWfile; `-` is standard input, written to standard output
    #[arg(value_name = "FILE", default_value = ".")]
    pub(crate) files: Vec<PathBuf>,
    /// Change nothing; exit code 1 if a file isn't in canonical form
    #[arg(long)]
    pub(crate) check: bool,
    /// Change nothing and show what would change; exit code 1 if a file isn't in canonical form
    #[arg(long)]
    pub(crate) diff: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Graph {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Everything that the build does; the default
    #[arg(long, conflicts_with = "machines")]
    pub(crate) steps: bool,
    /// Only a box a machine
    #[arg(long)]
    pub(crate) machines: bool,
    /// How it is written; by default as FILE's name says, else dot
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub(crate) format: Option<GraphFormat>,
    /// Write it to a file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}

/// `graph --format`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GraphFormat {
    /// Graphviz's language
    Dot,
    /// A Mermaid flowchart
    Mermaid,
    /// A drawing
    Svg,
    /// See docs/schemas/graph.json
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) input: Input,
    /// As JSON, described by docs/schemas/show.json
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    /// Write it to a file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Convert {
    /// The deployment, or the playbook; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Write the VMWfile there instead of to standard output; a file that is there is replaced
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// `VMW123` or the code's name; without it, all codes are listed
    #[arg(value_name = "CODE", add = ArgValueCompleter::new(complete::codes))]
    pub(crate) code: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Lsp {
    /// What many editors say; there is no other way
    #[arg(long, hide = true)]
    pub(crate) stdio: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Sandbox {
    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8989")]
    pub(crate) listen: std::net::SocketAddr,
    #[command(flatten)]
    pub(crate) options: SandboxOptions,
    /// Keep everything in this directory, so that it survives a restart
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// How long a guest takes to boot
    #[arg(long, value_name = "DURATION", default_value = "100ms")]
    pub(crate) boot_delay: String,
    /// How often Tools look for programs that have ended; those of a real guest do every second
    #[arg(long, value_name = "DURATION", default_value = "5ms")]
    pub(crate) tools_timer: String,
}
