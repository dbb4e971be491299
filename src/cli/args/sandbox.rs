//! The sandbox.

use std::path::PathBuf;

use clap::Args;

/// What the sandbox holds.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "Sandbox")]
pub(crate) struct SandboxOptions {
    /// A template of the sandbox: a directory or tar archive with a root file system, or `windows` for one whose guests
    /// are taken for Windows (docs/windows.md); may be repeated
    #[arg(long = "sandbox-template", value_name = "NAME=DIR|TAR|windows")]
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
pub(crate) struct Sandbox {
    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8989")]
    pub(crate) listen: std::net::SocketAddr,
    /// Short for --sandbox-template
    #[arg(long = "template", value_name = "NAME=DIR|TAR|windows")]
    pub(crate) own_templates: Vec<String>,
    /// Short for --sandbox-login
    #[arg(long = "login", value_name = "USER:PASSWORD")]
    pub(crate) own_logins: Vec<String>,
    #[command(flatten)]
    pub(crate) options: SandboxOptions,
    /// Keep everything in this directory, so that it survives a restart
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// How long a guest takes to boot
    #[arg(long, value_name = "DURATION", default_value = "100ms")]
    pub(crate) boot_delay: String,
    /// How long a clone takes, in addition to what it really takes
    #[arg(long, value_name = "DURATION", default_value = "0ms")]
    pub(crate) clone_delay: String,
    /// How often Tools look for programs that have ended; those of a real guest do every second
    #[arg(long, value_name = "DURATION", default_value = "5ms")]
    pub(crate) tools_timer: String,
}

impl Sandbox {
    /// What it holds, by either name of the flags.
    pub(crate) fn held(&self) -> SandboxOptions {
        let mut options = self.options.clone();
        options.templates.extend(self.own_templates.iter().cloned());
        options.logins.extend(self.own_logins.iter().cloned());
        options
    }
}
