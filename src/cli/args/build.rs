//! What `build` and its kin take.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::sandbox::SandboxOptions;
use super::shared::{Connection, GuestChannel, GuestLogin, Input, Placement, Removal};
use crate::cli::complete;

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
pub(crate) struct Up {
    /// Replace no more dead machines than this; when there are more, none is, and the exit code is 5
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16))]
    pub(crate) replace_at_most: u16,

    /// Stay, and replace what dies: see docs/platforms.md
    #[arg(long, help_heading = "Watching", conflicts_with_all = ["report", "result"])]
    pub(crate) watch: bool,

    #[command(flatten)]
    pub(crate) watching: Watching,

    #[command(flatten)]
    pub(crate) build: Build,
}

/// How `up --watch` watches.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Watching")]
pub(crate) struct Watching {
    /// How long a host that is lost is waited for; with --watch, how long any sign that may pass (powered off, Tools silent)
    /// must last; what was deleted is dead at once
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    pub(crate) grace: Duration,

    /// Replace no more machines than so many within such a time; then only watch until there is room again
    #[arg(long, value_name = "N/DURATION", default_value = "10/1h", value_parser = budget, requires = "watch")]
    pub(crate) max_replacements: (usize, Duration),

    /// Replace the same machine a second time after this pause, doubled each time after
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration, requires = "watch")]
    pub(crate) pause: Duration,

    /// Wait for another controller of this platform to end, and go on then; without it, say who it is and end
    #[arg(long)]
    pub(crate) wait_lock: bool,

    /// How long a controller counts as alive after its last sign of life in vCenter; it gives one three times as often
    #[arg(long, value_name = "DURATION", default_value = "90s", value_parser = duration)]
    pub(crate) lease: Duration,

    /// Take no lock: you see to it that nobody else works on the platform
    #[arg(long, conflicts_with = "wait_lock")]
    pub(crate) no_lock: bool,

    /// Serve metrics for Prometheus at /metrics, and /healthz
    #[arg(long, value_name = "ADDRESS:PORT", requires = "watch")]
    pub(crate) metrics: Option<std::net::SocketAddr>,

    /// Write the same metrics to a file whenever they change, as node_exporter's textfile collector reads them
    #[arg(long, value_name = "FILE.prom", requires = "watch")]
    pub(crate) metrics_file: Option<PathBuf>,
}

/// `10/1h`.
fn budget(text: &str) -> Result<(usize, Duration), String> {
    let parts = text.split_once('/').and_then(|(n, span)| Some((n.parse().ok()?, duration(span).ok()?)));
    let usable = parts.filter(|(_, span)| !span.is_zero());
    usable.ok_or_else(|| "write it like `10/1h`: so many within such a time".to_owned())
}

#[derive(Args, Debug, Clone)]
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
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..),
        env = "VMWBUILD_PARALLEL")]
    pub(crate) parallel: u16,

    #[command(flatten)]
    pub(crate) clones: Clones,

    #[command(flatten)]
    pub(crate) waits: Waits,

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
    #[arg(long, value_name = "DURATION", value_parser = limit, env = "VMWBUILD_TIMEOUT")]
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

/// How many clones run at once; the others wait for their turn.
#[derive(Args, Debug, Clone)]
pub(crate) struct Clones {
    /// How many clones run at once on the vCenter
    #[arg(id = "clones", long = "clones", value_name = "N", default_value_t = 32,
        value_parser = clap::value_parser!(u16).range(1..), env = "VMWBUILD_CLONES")]
    pub(crate) in_all: u16,

    /// How many of them with one host, where the source is or the clone is asked to be; vCenter itself lets 8 go on
    #[arg(id = "clones-per-host", long = "clones-per-host", value_name = "N", default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..), env = "VMWBUILD_CLONES_PER_HOST")]
    pub(crate) per_host: u16,
}

impl Default for Clones {
    fn default() -> Self {
        Clones { in_all: 32, per_host: 8 }
    }
}

/// How long guests may take; both are for machines that are slow by nature.
#[derive(Args, Debug, Clone)]
pub(crate) struct Waits {
    /// How long a machine may take until its guest answers: booting, and vCenter's customization
    #[arg(long = "boot-timeout", value_name = "DURATION", default_value = "10m", value_parser = limit,
        env = "VMWBUILD_BOOT_TIMEOUT")]
    pub(crate) boot: Duration,

    /// How long a guest may take to shut down; then it is powered off
    #[arg(long = "shutdown-timeout", value_name = "DURATION", default_value = "5m", value_parser = limit,
        env = "VMWBUILD_SHUTDOWN_TIMEOUT")]
    pub(crate) shutdown: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        let usual = crate::engine::Deadlines::default();
        Waits { boot: usual.boot, shutdown: usual.shutdown }
    }
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
    #[arg(long, value_name = "DURATION", value_parser = limit)]
    pub(crate) timeout: Option<Duration>,

    /// How long a machine may take until its guest answers; else as the build was begun
    #[arg(long, value_name = "DURATION", value_parser = limit)]
    pub(crate) boot_timeout: Option<Duration>,

    /// How long a guest may take to shut down; else as the build was begun
    #[arg(long, value_name = "DURATION", value_parser = limit)]
    pub(crate) shutdown_timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) guest: GuestLogin,
}

#[derive(Args, Debug)]
pub(crate) struct Builds {
    /// As JSON, described by docs/schemas/builds.json
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

    /// Instead forget builds that began longer ago than this, ended and left nothing: their journals and logs
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with_all = ["build", "all"])]
    pub(crate) older_than: Option<Duration>,

    #[command(flatten)]
    pub(crate) removal: Removal,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// A time span of a flag.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    crate::syntax::literal::duration(text).ok_or_else(|| "write it like `90s`, `10m` or `1h30m`".to_owned())
}

/// How long something may take: nothing is done within no time.
fn limit(text: &str) -> Result<Duration, String> {
    let limit = duration(text)?;
    if limit.is_zero() { Err("it can't be zero".to_owned()) } else { Ok(limit) }
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

/// `--on-error`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    /// Remove them
    Clean,
    /// Leave them, and say where they are
    Keep,
    /// Build everything that doesn't depend on them first, then remove them
    Continue,
    /// Ask on the terminal: look inside, try again, keep or clean; other machines go on meanwhile
    Ask,
}
