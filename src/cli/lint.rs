//! `vmwbuild lint`: parse and check without contacting anything.

use std::path::{Path, PathBuf};

use super::{args, load, terminal};
use crate::diagnostic::{Problems, Severity};
use crate::sema::Purpose;
use crate::source::Sources;

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Lint, color: args::When) -> u8 {
    let build = load::Build { id: "lint".to_owned(), date: "1970-01-01T00:00:00Z".to_owned() };
    let purpose = if options.strict { Purpose::Build } else { Purpose::Lint };
    let (mut errors, mut warnings) = (0, 0);
    for file in &options.files {
        for file in expand(file) {
            let (mut sources, mut problems) = (Sources::new(), Problems::new());
            let input = args::Input { context: file, args: options.args.clone(), ..Default::default() };
            load::program(&input, purpose, &build, &mut sources, &mut problems);
            let list = problems.sorted();
            errors += list.iter().filter(|d| d.severity == Severity::Error).count();
            warnings += list.iter().filter(|d| d.severity == Severity::Warning).count();
            terminal::show(&list, &sources, color);
        }
    }
    if errors + warnings > 0 {
        terminal::say(&format!("{}, {}", count(errors, "error"), count(warnings, "warning")));
    }
    u8::from(errors > 0)
}

/// A directory stands for every VMWfile right in it; what isn't a directory stands for itself.
pub(crate) fn expand(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return vec![path.to_path_buf()] };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        // `VMWfile`, not `./VMWfile`: it stands in every message.
        .map(|p| p.strip_prefix(".").map_or(p.clone(), Path::to_path_buf))
        .filter(|p| p.is_file() && p.file_name().and_then(|n| n.to_str()).is_some_and(load::is_vmwfile))
        .collect();
    found.sort();
    // None: the directory itself, so that the message says what is missing.
    if found.is_empty() { vec![path.to_path_buf()] } else { found }
}

/// `1 error`, `2 errors`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
