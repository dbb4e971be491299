//! `vmwbuild fmt`: canonical form. Broken files are left alone, with their errors.

use std::io::Write;
use std::path::Path;

use similar::TextDiff;

use super::{args, codes, lint, load, terminal};
use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Sources;

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Fmt, color: args::When) -> u8 {
    let mut failed = false;
    for (file, _) in options.files.iter().flat_map(|f| lint::search(f)) {
        let (mut sources, mut problems) = (Sources::new(), Problems::new());
        let parsed = if file.is_dir() {
            if let Err(problem) = load::place(&file, None) {
                problems.push(problem);
            }
            None
        } else {
            load::parse(&file, &mut sources, &mut problems)
        };
        let text = parsed
            .filter(|_| !problems.has_errors())
            .map(|(id, ast)| (crate::format::format(&ast, &sources), sources.get(id).text.clone()));
        match text {
            None => failed = true,
            Some((new, _)) if file.as_os_str() == "-" && !options.check && !options.diff => terminal::print(&new),
            Some((new, old)) if new == *old => {}
            Some((new, old)) if options.diff => {
                let shown = lint::shown_name(&file);
                let diff = TextDiff::from_lines(&*old, new.as_str());
                terminal::print(&diff.unified_diff().header(&shown, &shown).to_string());
                failed = true;
            }
            Some(_) if options.check => {
                terminal::say(&format!("{} isn't in canonical form", file.display()));
                failed = true;
            }
            Some((new, _)) => match replace(&file, &new) {
                Ok(()) => terminal::say(&format!("{} formatted", file.display())),
                Err(e) => {
                    let text = format!("can't write `{}`: {e}", file.display());
                    problems.push(Diagnostic::new(&codes::OUTPUT_UNWRITABLE, text));
                    failed = true;
                }
            },
        }
        terminal::show(&problems.sorted(), &sources, color);
    }
    u8::from(failed)
}

/// Writes beside the file and renames over it, with its permissions: an interrupted run leaves the old file whole.
pub(crate) fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = std::fs::canonicalize(path)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::fs::metadata(&path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|e| e.error)?;
    Ok(())
}
