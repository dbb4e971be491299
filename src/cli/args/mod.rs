//! The command line's definition. Help texts here are where `--help` and the command reference come from.

mod belongings;
mod build;
mod cache;
mod file;
mod machine;
mod sandbox;
mod setup;
mod shared;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

pub(crate) use belongings::{Destroy, Ls};
pub(crate) use build::{Build, Builds, Clean, Clones, OnError, Plan, Progress, Resume, Up, Waits, Watching};
pub(crate) use cache::{Cache, CacheCommand, CacheLs, CachePrune};
pub(crate) use file::{Convert, Explain, Fmt, Format, Graph, GraphFormat, Lint, Lsp, Show};
pub(crate) use machine::{Cp, Exec};
pub(crate) use sandbox::{Sandbox, SandboxOptions};
pub(crate) use setup::{Ci, Completions, Doctor, Init, Man, ShellName, Vcenter, VcenterAdd, VcenterCommand};
pub(crate) use shared::{Connection, GuestChannel, GuestLogin, Input, Placement, Profile, Removal};

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
                  4 a guest command failed; 5 a vSphere operation failed; 6 a deadline passed; 130 interrupted;\n141 who read the output has gone."
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
    /// Make what a VMWfile declares and isn't there, and replace what is dead
    #[command(
        after_help = "As `build`, but what is there stays (as with `OUTPUT --exists=keep`), unless the file says \
                            `--exists=replace`. Before that, machines that this VMWfile has made and that are powered off, \
                            whose VMware Tools don't answer, or whose HEALTHCHECK fails, are removed: ONREMOVE runs on a \
                            machine that lives, and then they are made anew.\n\nExamples:\n  \
                            vmwbuild up examples/pool --arg workers=5\n  \
                            vmwbuild up --replace-at-most 0       make what is missing, and replace nothing\n  \
                            vmwbuild up --watch --args size.toml  stay: replace what dies, grow when size.toml does\n\n\
                            Two of one VMWfile don't run at a time: a custom attribute in vCenter is their lock. \
                            docs/platforms.md tells all of it."
    )]
    Up(Box<Up>),
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
                            vmwbuild clean --all --yes\n  \
                      vmwbuild clean --older-than 30d       journals and logs of builds that left nothing"
    )]
    Clean(Box<Clean>),
    /// List what builds have made in a vCenter: each machine tells its build, VMWfile and stage
    #[command(after_help = "It is read from the machines' extraConfig: whoever has made them, from wherever.\n\n\
                            Examples:\n  vmwbuild ls                           everything\n  \
                            vmwbuild ls .                         of the VMWfile here\n  \
                            vmwbuild ls 20300131-1a2b3c4d --json")]
    Ls(Box<Ls>),
    /// Remove what a VMWfile, or one build, has made: machines and templates
    #[command(
        after_help = "Only machines are removed whose extraConfig says that a build of this VMWfile (the project's name \
                            and the file's path below it), or that build, has made them. Copies that others have made \
                            of them stay, and so does what is half-made (`vmwbuild clean`).\n\nExamples:\n  \
                            vmwbuild destroy . --dry-run\n  vmwbuild destroy examples/cluster --yes\n  \
                            vmwbuild destroy 20300131-1a2b3c4d"
    )]
    Destroy(Box<Destroy>),
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
                      self-test's did end well), else as for `build`.\n\nExamples:\n  vmwbuild doctor\n  vmwbuild doctor \
                      --selftest debian-12 --login root -o transcript.jsonl\n\nThe transcript holds no names, addresses, \
                      accounts or passwords: other words stand for them. Read it before you attach it to a report all \
                      the same."
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
