//! `vmwbuild init`: the first files of a project.

use std::io::{self, Write};
use std::path::Path;

use super::{args, codes, terminal};
use crate::diagnostic::Diagnostic;
use crate::source::Sources;

/// A file and its text, its path relative to the project's directory.
type New = (&'static str, &'static str);

const PROJECT: &[New] = &[
    ("VMWfile", include_str!("init/VMWfile")),
    (".vmwignore", include_str!("init/vmwignore")),
    ("vmwbuild.toml", include_str!("init/vmwbuild.toml")),
    ("files/motd", include_str!("init/motd")),
];

const GITHUB: New = (".github/workflows/vmwfile.yml", include_str!("init/github.yml"));
const GITLAB: New = (".gitlab/vmwfile.yml", include_str!("init/gitlab.yml"));

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Init, color: args::When) -> u8 {
    let ci = options.ci.map(|ci| match ci {
        args::Ci::Github => GITHUB,
        args::Ci::Gitlab => GITLAB,
    });
    let mut problems = Vec::new();
    for (name, text) in PROJECT.iter().copied().chain(ci) {
        let path = options.directory.join(name);
        match create(&path, text) {
            Ok(true) => terminal::say(&format!("wrote {}", path.display())),
            Ok(false) => terminal::say(&format!("kept {}, which was there", path.display())),
            Err(e) => {
                let message = format!("can't write `{}`: {e}", path.display());
                problems.push(Diagnostic::new(&codes::OUTPUT_UNWRITABLE, message).help("check the directory"));
            }
        }
    }
    if !problems.is_empty() {
        terminal::show(&problems, &Sources::new(), color);
        return 2;
    }
    if options.ci == Some(args::Ci::Gitlab) {
        terminal::say(&format!("let .gitlab-ci.yml have: include: {{ local: {} }}", GITLAB.0));
    }
    let place =
        if options.directory == Path::new(".") { String::new() } else { format!(" {}", options.directory.display()) };
    terminal::say(&format!("next: vmwbuild build --sandbox{place}"));
    0
}

/// Writes a file that isn't there yet; whether it did.
fn create(path: &Path, text: &str) -> io::Result<bool> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::File::create_new(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    }
}
