//! `vmwbuild lint --shellcheck`: ShellCheck's findings in guest commands, by one process for all of a VMWfile.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::codes;
use crate::diagnostic::{Diagnostic, Problems};
use crate::lint::shellcheck::{EXCLUDED, Script, findings, scripts};
use crate::source::{SourceId, Sources};
use crate::syntax::ast;

/// Its name, looked for on PATH.
const PROGRAM: &str = "shellcheck";
/// Files of one call: an argument list has its limits.
const MOST: usize = 1000;

/// Whether it can be run at all.
pub(crate) fn available() -> Result<(), Diagnostic> {
    let asked = command().arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match asked {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(&format!("`{PROGRAM} --version` ended with {status}"))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let help = "install ShellCheck (the package `shellcheck` of Debian, Fedora, Homebrew and others), or leave \
                        --shellcheck out";
            Err(failed("there is no program `shellcheck` on PATH").help(help))
        }
        Err(e) => Err(failed(&format!("`{PROGRAM}` can't be run: {e}"))),
    }
}

/// What it finds in the commands of a file and those it includes.
pub(crate) fn check(files: &[(SourceId, &ast::File)], sources: &Sources) -> Problems {
    let mut all = Problems::new();
    let scripts = scripts(files, sources);
    for part in scripts.chunks(MOST) {
        match run(part) {
            Ok(found) => all.extend(found),
            Err(why) => all.push(failed(&why)),
        }
    }
    all
}

fn run(scripts: &[Script<'_>]) -> Result<Problems, String> {
    // Only its owner reads the directory: scripts may hold what nobody else is to read.
    let directory = tempfile::Builder::new().prefix("vmwbuild-").tempdir().map_err(|e| format!("no directory: {e}"))?;
    let mut call = command();
    call.args(["--norc", "--format=json1", "--color=never"]).arg(format!("--exclude={}", EXCLUDED.join(",")));
    for (index, script) in scripts.iter().enumerate() {
        let name = index.to_string();
        std::fs::write(directory.path().join(&name), &script.text).map_err(|e| format!("can't write a script: {e}"))?;
        call.arg(name);
    }
    let output = call.current_dir(directory.path()).output().map_err(|e| format!("`{PROGRAM}` can't be run: {e}"))?;
    // 1 says that there is something to tell.
    if !matches!(output.status.code(), Some(0 | 1)) {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{PROGRAM}` ended with {}: {}", output.status, said.trim()));
    }
    let number = |file: &str| Path::new(file).file_name()?.to_str()?.parse().ok();
    findings(&output.stdout, scripts, number).map_err(|e| format!("`{PROGRAM}` wrote what isn't understood: {e}"))
}

fn command() -> Command {
    let mut command = Command::new(PROGRAM);
    // What a user sets there would change what is found, and how it is written.
    command.env_remove("SHELLCHECK_OPTS").stdin(Stdio::null());
    command
}

fn failed(why: &str) -> Diagnostic {
    Diagnostic::new(&codes::SHELLCHECK_FAILED, why)
}
