//! The `vmwbuild` command.

use std::process::ExitCode;

/// A parser makes many small values and drops them; static (musl) programs would be slow at it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Must stay first: the sandbox's guests are made by this program, started anew with one thread.
    if let Some(code) = vmwbuild::sandbox::guests::reexec() {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    vmwbuild::cli::run(std::env::args_os())
}
