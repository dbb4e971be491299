//! `vmwbuild lsp`: the language server, on standard input and output.

use std::path::Path;

use indexmap::IndexMap;

use super::{load, project::Project, terminal};
use crate::lint::Config;
use crate::lsp::{Host, over, serve};

/// The project's file decides as for `lint`.
struct Disk;

impl Host for Disk {
    fn levels(&self, file: &Path) -> Config {
        let project = Project::of(Some(file)).ok().flatten();
        // What is wrong with the project's file is `lint`'s to tell.
        project.and_then(|p| p.config(Some(file)).ok()).unwrap_or_default()
    }

    fn args(&self, file: &Path, names: &[&str]) -> IndexMap<String, (String, String)> {
        let project = Project::of(Some(file)).ok().flatten();
        project.map(|p| p.values(names)).unwrap_or_default()
    }

    fn is_vmwfile(&self, name: &str) -> bool {
        load::is_vmwfile(name)
    }

    fn log(&self, text: &str) {
        terminal::say(text);
    }
}

/// Runs it; the exit code.
pub(crate) fn run() -> u8 {
    let (connection, threads) = over(std::io::stdin(), std::io::stdout());
    let served = serve(&connection, &Disk);
    // The thread that writes ends with it.
    drop(connection);
    // A client that is gone, or says what is no message: the reason is the reading thread's.
    if let Err(e) = &served
        && !e.channel_is_disconnected()
    {
        terminal::say(&format!("the editor doesn't speak the Language Server Protocol: {e}"));
        return 1;
    }
    match threads.join() {
        Ok(()) => 0,
        Err(e) => {
            terminal::say(&format!("the editor can't be reached: {e}"));
            1
        }
    }
}
