//! Setting up: connections, a new project, the shell.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::shared::{Connection, GuestChannel, GuestLogin, Placement, Profile};

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
