//! Commands on machines that exist.

use clap::Args;
use clap_complete::ArgValueCompleter;

use super::shared::{Connection, GuestChannel, GuestLogin, Profile};
use crate::cli::complete;

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

    /// Another user of the guest who runs it (by runuser, su, sudo or doas); sudo is given the password of the login
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
