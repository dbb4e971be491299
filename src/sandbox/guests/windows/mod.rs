//! A guest that is taken for Windows: a Linux guest with a drive C:, in which `powershell.exe` and `cmd.exe` are small
//! stand-ins that know a part of both languages. What they run is real: processes, files, restarts.
//!
//! It is there to drive what talks to Windows guests: it proves that side's own logic, not how Windows behaves.

mod cmdlets;
mod commands;
mod eval;
mod library;
mod paths;
mod process;
mod syntax;
mod value;

use super::wire::FileOp;
use paths::real;

/// Marks a program that is one of Windows: what follows is its name.
pub const PROGRAM: &str = "windows:";

/// A file operation whose paths on drive C: are taken in any case.
pub fn located(op: FileOp) -> FileOp {
    let at = |path: String| match path.strip_prefix('/') {
        Some(rest) if rest.starts_with("C:/") || rest == "C:" => real(rest).to_string_lossy().into_owned(),
        _ => path,
    };
    match op {
        FileOp::OpenRead { path } => FileOp::OpenRead { path: at(path) },
        FileOp::OpenWrite { path, overwrite, mode } => FileOp::OpenWrite { path: at(path), overwrite, mode },
        FileOp::Stat { path } => FileOp::Stat { path: at(path) },
        FileOp::List { path } => FileOp::List { path: at(path) },
        FileOp::MakeDir { path, parents, mode } => FileOp::MakeDir { path: at(path), parents, mode },
        FileOp::RemoveFile { path } => FileOp::RemoveFile { path: at(path) },
        FileOp::RemoveDir { path, recursive } => FileOp::RemoveDir { path: at(path), recursive },
        FileOp::Rename { from, to, overwrite } => FileOp::Rename { from: at(from), to: at(to), overwrite },
        other @ (FileOp::SetAttributes { .. } | FileOp::MakeTempDir(_) | FileOp::MakeTempFile(_)) => other,
    }
}

/// Whether such a program is there.
pub fn has(program: &str) -> bool {
    commands::program(program).is_some()
}

/// Becomes the program; its exit code.
pub fn run(program: &str, arguments: &str, env: &[(String, String)]) -> i32 {
    for (name, _) in std::env::vars() {
        library::set_env(&name, "");
    }
    for (name, value) in env {
        library::set_env(name, value);
    }
    for directory in ["C:\\Users\\Public", "C:\\Windows\\Temp", "C:\\Windows\\System32\\config", "C:\\ProgramData"] {
        // It says so itself when it needs one that can't be made.
        let _ = std::fs::create_dir_all(real(directory));
    }
    let home = format!("C:\\Users\\{}\\AppData\\Local\\Temp", process::account());
    let _ = std::fs::create_dir_all(real(&home));
    let _ =
        std::env::set_current_dir(real("C:\\Windows\\System32")).or_else(|_| std::env::set_current_dir(real("C:\\")));
    match commands::program(program) {
        Some(program) => commands::run(program, arguments),
        None => 1,
    }
}
