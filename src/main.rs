//! The `vmwbuild` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The sandbox's guests are made by this very program, started anew with one thread.
    if let Some(code) = vmwbuild::sandbox::guests::reexec() {
        return code;
    }
    vmwbuild::cli::run(std::env::args_os())
}
