//! The command line: one command a file. Only this room prints, reads the environment and decides exit codes.

mod args;
mod arguments;
mod ask;
mod belongings;
mod build;
mod builds;
mod cache;
mod clean;
pub mod codes;
mod complete;
mod confirm;
mod convert;
mod cp;
mod doctor;
mod exec;
mod explain;
mod fleet;
mod fmt;
mod gauge;
mod graph;
mod init;
mod lint;
mod load;
mod lsp;
mod machine;
mod names;
mod plan;
mod project;
mod record;
mod report;
mod resume;
mod sandbox;
mod secrets;
mod select;
mod selftest;
mod settings;
mod shellcheck;
mod show;
mod stdin;
mod table;
mod telling;
mod terminal;
mod toml_file;
mod up;
mod vcenter;
mod watch;

use std::process::ExitCode;

use clap::Parser;

pub use explain::registry;

/// Runs the command line; what `main` returns.
///
/// Exit codes: 0 done; 1 the VMWfile has errors; 2 usage; 3 can't connect, log in or verify TLS; 4 a guest command
/// failed; 5 a vSphere operation failed; 6 a deadline passed; 130 interrupted; 141 whoever read standard output has
/// gone.
pub fn run(args: std::env::ArgsOs) -> ExitCode {
    if complete::answered() {
        return ExitCode::SUCCESS;
    }
    let cli = match args::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // clap knows which of the two streams.
            if let (Err(lost), false) = (e.print(), e.use_stderr()) {
                terminal::lose(lost);
            }
            return ExitCode::from(terminal::settle(if e.use_stderr() { 2 } else { 0 }, args::When::Auto));
        }
    };
    let code = match &cli.command {
        args::Command::Build(options) => build::run(options, cli.color, cli.verbose),
        args::Command::Up(options) => up::run(options, cli.color, cli.verbose),
        args::Command::Resume(options) => resume::run(options, cli.color, cli.verbose),
        args::Command::Builds(options) => builds::run(options),
        args::Command::Clean(options) => clean::run(options, cli.color, cli.verbose),
        args::Command::Ls(options) => belongings::ls(options, cli.color, cli.verbose),
        args::Command::Destroy(options) => belongings::destroy(options, cli.color, cli.verbose),
        args::Command::Cache(options) => cache::run(options, cli.color, cli.verbose),
        args::Command::Exec(options) => exec::run(options, cli.color, cli.verbose),
        args::Command::Cp(options) => cp::run(options, cli.color, cli.verbose),
        args::Command::Plan(options) => plan::run(options, cli.color, cli.verbose),
        args::Command::Doctor(options) => doctor::run(options, cli.color),
        args::Command::Vcenter(options) => vcenter::run(options, cli.color),
        args::Command::Lint(options) => lint::run(options, cli.color),
        args::Command::Fmt(options) => fmt::run(options, cli.color),
        args::Command::Graph(options) => graph::run(options, cli.color),
        args::Command::Show(options) => show::run(options, cli.color),
        args::Command::Convert(options) => convert::run(options, cli.color),
        args::Command::Lsp(_) => lsp::run(),
        args::Command::Explain(options) => explain::run(options),
        args::Command::Sandbox(options) => sandbox::run(options, cli.color),
        args::Command::Init(options) => init::run(options, cli.color),
        args::Command::Completions(options) => complete::run(options),
        args::Command::Man(options) => complete::manual(options),
    };
    ExitCode::from(terminal::settle(code, cli.color))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::args::Cli::command().debug_assert();
    }
}
