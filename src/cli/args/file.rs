//! Commands on VMWfiles, which ask no vCenter.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::shared::Input;
use crate::cli::complete;

#[derive(Args, Debug)]
pub(crate) struct Lint {
    /// VMWfiles, or directories that are searched for them; `-` is standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
    /// The value of an ARG; may be repeated. Also: `[args]` in vmwbuild.toml
    #[arg(long = "arg", value_name = "NAME=VALUE", add = ArgValueCompleter::new(complete::arg_names))]
    pub(crate) args: Vec<String>,
    /// Check as `build` does: values must be given
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
    /// VMWfiles, or directories that are searched for them; `-` is standard input, written to standard output
    #[arg(value_name = "PATH", default_value = ".")]
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
