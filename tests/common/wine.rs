//! Wine, which is large, and set up only when asked for: VMWBUILD_TEST_WINE=1 tests/run.

#![allow(clippy::print_stdout)] // what isn't run is told

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{DEADLINE, Run, run};

/// One prefix of it, and what it leaves running.
pub struct Wine {
    program: PathBuf,
    pub home: tempfile::TempDir,
}

impl Wine {
    /// None: it isn't there, which is told, and the test should return.
    pub fn new() -> Option<Self> {
        let Ok(program) = std::env::var("VMWBUILD_TEST_WINE_PROGRAM") else {
            println!("NOT RUN: Wine is not set up; VMWBUILD_TEST_WINE=1 tests/run does that and runs this");
            return None;
        };
        let wine = Wine { program: program.into(), home: tempfile::tempdir().expect("a directory") };
        // What serves its programs outlives them: it must not hold what they write to.
        let mut boot = wine.command(&wine.program);
        boot.args(["wineboot", "--init"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(boot.status().expect("it starts").success(), "Wine makes no prefix");
        Some(wine)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("WINEPREFIX", self.home.path().join("prefix"))
            .env("WINEDEBUG", "-all")
            .env("HOME", self.home.path());
        command.env_remove("DISPLAY").current_dir(self.home.path());
        command
    }

    /// Runs a batch file by `cmd`.
    pub fn cmd(&self, file: &Path) -> Run {
        run(self.command(&self.program).args(["cmd.exe", "/d", "/c", &windows_path(file)]), DEADLINE * 4)
    }

    /// The program under test as it is for Windows, in a directory. None: it couldn't be compiled here, which is told.
    pub fn vmwbuild(&self, dir: &Path) -> Option<Command> {
        let Ok(program) = std::env::var("VMWBUILD_TEST_WINDOWS_PROGRAM") else {
            println!(
                "NOT RUN: there is no program for Windows; VMWBUILD_TEST_WINE=1 tests/run compiles it and runs this"
            );
            return None;
        };
        let mut command = self.command(&self.program);
        // Where it finds what this Wine may lack.
        let libraries = std::env::var("VMWBUILD_TEST_WINE_LIBRARIES").unwrap_or_default();
        command.env("WINEPATH", windows_path(Path::new(&libraries))).arg(program).current_dir(dir);
        Some(command)
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        for what in ["-k", "-w"] {
            let server = self.program.with_file_name("wineserver");
            let _ = run(self.command(&server).arg(what), DEADLINE);
        }
    }
}

/// As Wine shows the host's files.
pub fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display().to_string().replace('/', "\\"))
}
