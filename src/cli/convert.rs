//! `vmwbuild convert`: a deployment of vmwscript to a VMWfile.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use super::{args, codes, lint, load, terminal};
use crate::diagnostic::{Diagnostic, Problems, Severity};
use crate::import::{self, Options};
use crate::lint::{Config, fix};
use crate::sema::{Inputs, Purpose};
use crate::source::{SourceId, Sources, Span};
use crate::syntax::Keyword;
use crate::syntax::ast::{File, Item};

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Convert, color: args::When) -> u8 {
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let Some(id) = load::read(&options.file, &mut sources, &mut problems) else {
        terminal::show(&problems.sorted(), &sources, color);
        return 1;
    };
    let made = vmwfile(&sources, id, &mut problems);
    // What is shown has no passwords in it; places stay as they are.
    let hidden = made.as_ref().map_or_else(|| import::passwords(&sources, id), |m| m.passwords.clone());
    let mut shown = Sources::new();
    let original = sources.get(id);
    shown.add(original.name.clone(), original.path.as_deref(), import::hide(&original.text, &hidden));
    if let Some(made) = &made {
        shown.add(made.name(options), None, made.text.clone());
        problems.extend(made.problems.clone());
        match &options.output {
            None => terminal::print(&made.text),
            Some(path) => {
                if let Err(e) = write(path, &made.text) {
                    let text = format!("can't write `{}`: {e}", path.display());
                    problems.push(Diagnostic::new(&codes::OUTPUT_UNWRITABLE, text));
                }
            }
        }
    }
    let list: Vec<Diagnostic> = problems.sorted().into_iter().map(|d| without_long_lines(d, &shown)).collect();
    terminal::show(&list, &shown, color);
    let count = |severity| list.iter().filter(|d| d.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if errors + warnings > 0 {
        terminal::say(&format!("{}, {}", lint::count(errors, "error"), lint::count(warnings, "warning")));
    }
    u8::from(errors > 0)
}

/// The longest line that is shown, in bytes; JSON made by a program may be one line of megabytes.
const LONGEST: usize = 2000;

/// Tells the place in words where its line is too long to be shown.
fn without_long_lines(mut diagnostic: Diagnostic, sources: &Sources) -> Diagnostic {
    let Some(span) = diagnostic.primary.as_ref().map(|l| l.span) else { return diagnostic };
    let file = sources.get(span.source);
    let before = file.text.get(..span.start as usize).unwrap_or_default();
    let after = file.text.get(span.start as usize..).unwrap_or_default();
    let near = |n: Option<usize>| n.is_some_and(|n| n <= LONGEST);
    let head = before.bytes().rev().take(LONGEST + 1).position(|b| b == b'\n').or(Some(before.len()));
    let tail = after.bytes().take(LONGEST + 1).position(|b| b == b'\n').or(Some(after.len()));
    if near(head) && near(tail) {
        return diagnostic;
    }
    diagnostic.primary = None;
    diagnostic.secondary.clear();
    // Not `place`: columns are counted from the line's start each time, and there may be thousands.
    diagnostic.note(format!("at byte {} of {}", span.start, file.name))
}

/// A VMWfile in canonical form, and what is still wrong with it.
struct Made {
    text: String,
    passwords: Vec<Span>,
    /// Their places are in the source after the original.
    problems: Vec<Diagnostic>,
}

impl Made {
    fn name(&self, options: &args::Convert) -> String {
        options.output.as_ref().map_or_else(|| "VMWfile".to_owned(), |p| p.display().to_string())
    }
}

/// Converts and checks. Commands whose text can't hold a value are written a second time, with the value in the
/// environment.
fn vmwfile(sources: &Sources, id: SourceId, problems: &mut Problems) -> Option<Made> {
    let mut options = Options::default();
    let mut said = Problems::new();
    let mut converted = import::convert(sources, id, &options, &mut said);
    problems.extend(said);
    let mut made = checked(sources, converted.take()?);
    if !made.runs.is_empty() {
        options.by_environment = std::mem::take(&mut made.runs);
        // All that it has to say was said before.
        if let Some(again) = import::convert(sources, id, &options, &mut Problems::new()) {
            let again = checked(sources, again);
            if again.made.problems.len() < made.made.problems.len() {
                made = again;
            }
        }
    }
    Some(made.made)
}

struct Checked {
    made: Made,
    /// The RUN instructions with errors, counted from 0.
    runs: BTreeSet<usize>,
}

fn checked(sources: &Sources, converted: import::Converted) -> Checked {
    let parse = |text: String, problems: &mut Problems| {
        let mut all = sources.clone();
        let id = all.add("VMWfile", None, text);
        let file = crate::syntax::parse(&all, id, problems);
        (all, file)
    };
    let mut problems = Problems::new();
    let (all, file) = parse(converted.text.clone(), &mut problems);
    let text = if problems.has_errors() { converted.text } else { crate::format::format(&file, &all) };
    let text = answered(text);
    // Places in what is written, not in what was formatted.
    let mut problems = Problems::new();
    let (mut all, file) = parse(text.clone(), &mut problems);
    if !problems.has_errors() {
        let inputs = Inputs {
            purpose: Purpose::Lint,
            existing: None,
            args: Default::default(),
            targets: Vec::new(),
            context: ".".into(),
            build_id: "convert".to_owned(),
            build_date: "1970-01-01T00:00:00Z".to_owned(),
            project: "convert".to_owned(),
        };
        crate::sema::check(&mut all, &file, &inputs, &load::Disk, &mut problems);
    }
    let errors: Vec<Diagnostic> = problems.sorted().into_iter().filter(|d| d.severity == Severity::Error).collect();
    let runs = runs_with_errors(&file, &errors);
    Checked { made: Made { text, passwords: converted.passwords, problems: errors }, runs }
}

/// Lints whose mends make a command answer what nobody is there to answer; it could never have gone on otherwise.
const ASKS: &[&str] = &["package-manager-asks", "sudo-asks"];

/// A VMWfile whose commands don't ask.
fn answered(text: String) -> String {
    let mut sources = Sources::new();
    let id = sources.add("VMWfile", None, text.as_str());
    let mut problems = Problems::new();
    let file = crate::syntax::parse(&sources, id, &mut problems);
    if problems.has_errors() {
        return text;
    }
    let found = crate::lint::lint(&[(id, &file)], None, &sources, &Config::default());
    let asks = found.iter().filter(|d| ASKS.contains(&d.code.name));
    let mended = fix::apply(asks, &sources, false).texts.remove(&id);
    mended.unwrap_or(text)
}

fn runs_with_errors(file: &File, errors: &[Diagnostic]) -> BTreeSet<usize> {
    let mut out = BTreeSet::new();
    let runs = file.items.iter().filter_map(|item| match item {
        Item::Instruction(i) if i.keyword.node == Keyword::Run => Some(i),
        _ => None,
    });
    for (number, run) in runs.enumerate() {
        let whole = run.heredocs.iter().fold(run.span, |span, doc| span.to(doc.end));
        let inside =
            |d: &Diagnostic| d.primary.as_ref().is_some_and(|l| l.span.start >= whole.start && l.span.end <= whole.end);
        if errors.iter().any(inside) {
            out.insert(number);
        }
    }
    out
}

/// Writes the whole file, or leaves what was there.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".vmwbuild-").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    set_mode(file.as_file(), path)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// The permissions of the file that is replaced, or those of a new one.
#[cfg(unix)]
fn set_mode(file: &std::fs::File, path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_or(0o644, |m| m.permissions().mode());
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &std::fs::File, _: &Path) -> std::io::Result<()> {
    Ok(())
}
