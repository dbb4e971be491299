//! What `ls` and `destroy` take.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::shared::{Connection, Profile, Removal};

#[derive(Args, Debug)]
pub(crate) struct Ls {
    /// Only what this VMWfile (or the one in this directory), or the build of this id, has made
    #[arg(value_name = "CONTEXT|BUILD", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) what: Option<String>,

    /// The VMWfile, if it isn't CONTEXT/VMWfile, as it was given to `build`
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// As JSON, described by docs/schemas/ls.json
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) profile: Profile,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct Destroy {
    /// What this VMWfile (or the one in this directory), or the build of this id, has made
    #[arg(
        value_name = "CONTEXT|BUILD",
        required_unless_present = "file",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) what: Option<String>,

    /// The VMWfile, if it isn't CONTEXT/VMWfile, as it was given to `build`
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) removal: Removal,

    #[command(flatten)]
    pub(crate) profile: Profile,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
