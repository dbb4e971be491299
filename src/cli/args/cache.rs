//! What `cache` takes.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::build::duration;
use super::shared::{Connection, Profile, Removal};

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
    /// As JSON, described by docs/schemas/cache.json
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

    #[command(flatten)]
    pub(crate) removal: Removal,

    #[command(flatten)]
    pub(crate) profile: Profile,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
