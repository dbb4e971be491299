//! `vmwbuild lint`: parse, check and lint without contacting anything.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use similar::TextDiff;

use super::project::Project;
use super::report::{self, Checked};
use super::{args, codes, fmt, load, shellcheck, terminal};
use crate::diagnostic::{Diagnostic, Problems, Severity, render_all};
use crate::lint::{Config, fix, normal};
use crate::sema::Purpose;
use crate::source::Sources;

/// Rounds of mending: a mend may make room for another.
const ROUNDS: usize = 8;

/// A VMWfile to look at.
struct Target {
    path: PathBuf,
    /// Whether the command line names it itself.
    named: bool,
    project: Option<Project>,
    config: Config,
}

/// What came of one.
struct Outcome {
    checked: Checked,
    /// The files that it includes.
    included: Vec<PathBuf>,
    /// Texts that mending changed: path, old, new.
    mended: Vec<(PathBuf, String, String)>,
    fixes: usize,
}

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Lint, color: args::When) -> u8 {
    let targets = match targets(options) {
        Ok(targets) => targets,
        Err(list) => {
            terminal::show(&list, &Sources::new(), color);
            return 2;
        }
    };
    let mut outcomes = all(&targets, options);
    // What another file includes is checked there, where its names are known.
    let included: HashSet<PathBuf> = outcomes.iter().flat_map(|(_, o)| o.included.clone()).collect();
    outcomes.retain(|(i, _)| targets.get(*i).is_none_or(|t| t.named || !included.contains(&real(&t.path))));
    let mut outcomes: Vec<Outcome> = outcomes.into_iter().map(|(_, o)| o).collect();
    let written = write_mended(&mut outcomes, options);
    let mut checked: Vec<Checked> = outcomes.into_iter().map(|o| o.checked).collect();
    checked.extend(written);
    report::once(&mut checked);

    let number = |s: Severity| -> usize {
        checked.iter().flat_map(|c| &c.list).filter(|d| d.severity == s).map(|d| d.count).sum()
    };
    let (errors, warnings) = (number(Severity::Error), number(Severity::Warning));
    if let Err(problem) = show(&checked, options, color) {
        terminal::show(&[problem], &Sources::new(), color);
        return 2;
    }
    let people = matches!(options.format, args::Format::Full | args::Format::Concise);
    if errors + warnings > 0 && people {
        let mendable = checked.iter().flat_map(|c| &c.list).filter(|d| d.fix.as_ref().is_some_and(|f| f.safe)).count();
        let hint = match mendable {
            0 => String::new(),
            n => format!(" ({n} can be mended with --fix)"),
        };
        terminal::say(&format!("{}, {}{hint}", count(errors, "error"), count(warnings, "warning")));
    }
    let too_many = options.max_warnings.is_some_and(|max| warnings > max);
    if too_many && people {
        let max = options.max_warnings.unwrap_or_default();
        terminal::say(&format!("more warnings than the {max} that --max-warnings allows"));
    }
    u8::from(errors > 0 || too_many)
}

/// The files to look at, each with its levels.
fn targets(options: &args::Lint) -> Result<Vec<Target>, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut projects: HashMap<PathBuf, Result<Option<Project>, ()>> = HashMap::new();
    let mut targets: Vec<Target> = Vec::new();
    for path in &options.paths {
        for (path, named) in search(path) {
            if let Some(known) = targets.iter_mut().find(|t| t.path == path) {
                known.named |= named;
                continue;
            }
            let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
            let project = projects
                .entry(directory)
                .or_insert_with(|| Project::of(Some(&path)).map_err(|problem| problems.push(problem)));
            let project = project.clone().ok().flatten();
            let mut config = Config::default();
            if let Some(project) = &project {
                match project.config(Some(&path)) {
                    Ok(levels) => config = levels,
                    Err(list) => problems.extend(list),
                }
            }
            if let Err(errors) = config.set_lists(&options.allow, &options.warn, &options.deny) {
                let list = errors.into_iter().map(|e| Diagnostic::new(&codes::BAD_CONFIG, e.message).help(e.help));
                problems.extend(list);
            }
            config.shellcheck = options.shellcheck;
            targets.push(Target { path, named, project, config });
        }
    }
    if options.shellcheck {
        problems.extend(shellcheck::available().err());
    }
    // One wrong name is wrong for every file.
    let mut said = HashSet::new();
    problems.retain(|p| said.insert(p.message.clone()));
    if problems.is_empty() { Ok(targets) } else { Err(problems) }
}

/// All VMWfiles below a directory that .gitignore doesn't hold back; what isn't a directory stands for itself.
fn search(path: &Path) -> Vec<(PathBuf, bool)> {
    if !path.is_dir() {
        return vec![(path.to_path_buf(), true)];
    }
    let mut found: Vec<PathBuf> = ignore::WalkBuilder::new(path)
        .require_git(false)
        .build()
        .filter_map(Result::ok)
        .filter(|e| e.file_type().is_some_and(|t| t.is_file()))
        .filter(|e| e.file_name().to_str().is_some_and(load::is_vmwfile))
        .map(ignore::DirEntry::into_path)
        // `VMWfile`, not `./VMWfile`: it stands in every message.
        .map(|p| p.strip_prefix("./").map(Path::to_path_buf).unwrap_or(p))
        .collect();
    found.sort();
    if found.is_empty() {
        // So that the message says what is missing.
        return vec![(path.to_path_buf(), true)];
    }
    found.into_iter().map(|p| (p, false)).collect()
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

/// Looks at all of them, on all processors, and gives the outcomes in the targets' order.
fn all(targets: &[Target], options: &args::Lint) -> Vec<(usize, Outcome)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(targets.len()));
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(target) = targets.get(index) else { break };
            let outcome = one(target, options);
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, outcome));
        }
    };
    if threads <= 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done
}

/// Looks at one, and mends it if that is asked for.
fn one(target: &Target, options: &args::Lint) -> Outcome {
    let mut buffers = load::Buffers::default();
    let mut originals: Vec<(PathBuf, String)> = Vec::new();
    let mut fixes = 0;
    let (mut checked, mut included) = look(target, options, &buffers);
    if options.fix || options.diff {
        for _ in 0..ROUNDS {
            let mended = fix::apply(&checked.list, &checked.sources, options.unsafe_fixes);
            if mended.count == 0 {
                break;
            }
            let mut tried = buffers.clone();
            for (id, text) in &mended.texts {
                let source = checked.sources.get(*id);
                let path = source.path.clone().unwrap_or_else(|| PathBuf::from("-"));
                if !originals.iter().any(|(p, _)| *p == path) {
                    originals.push((path.clone(), source.text.to_string()));
                }
                tried.set(&path, text.clone());
            }
            let before = errors(&checked);
            let (now, included_now) = look(target, options, &tried);
            if errors(&now) > before {
                // A mend that breaks a file is none: what stands so far is kept.
                break;
            }
            (checked, included, buffers) = (now, included_now, tried);
            fixes += mended.count;
        }
    }
    let mended = originals
        .into_iter()
        .filter_map(|(path, old)| {
            let new = buffers.get(&path)?.to_owned();
            (new != old).then_some((path, old, new))
        })
        .collect();
    Outcome { checked, included, mended, fixes }
}

fn errors(checked: &Checked) -> usize {
    checked.list.iter().filter(|d| d.severity == Severity::Error && d.code.severity == Severity::Error).count()
}

fn look(target: &Target, options: &args::Lint, buffers: &load::Buffers) -> (Checked, Vec<PathBuf>) {
    let build =
        load::Build { id: "lint".to_owned(), date: "1970-01-01T00:00:00Z".to_owned(), args: None, existing: None };
    let purpose = if options.strict { Purpose::Build } else { Purpose::Lint };
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let input = args::Input { context: target.path.clone(), args: options.args.clone(), ..Default::default() };
    let defaults = |names: &[&str]| target.project.as_ref().map(|p| p.values(names)).unwrap_or_default();
    let loaded = load::load(&input, purpose, &build, &defaults, buffers, &mut sources, &mut problems);
    let mut included = Vec::new();
    if let Some(loaded) = loaded {
        let of_file = |id| sources.get(id).path.as_deref().map(real);
        included = loaded.files.iter().skip(1).filter_map(|(id, _)| of_file(*id)).collect();
        problems = loaded.lint(problems, &mut sources, &target.config);
    }
    (Checked { list: problems.sorted(), sources }, included)
}

/// A path as it can be compared.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| normal(path))
}

/// Writes what was mended, or shows the difference. What goes wrong is reported with the rest.
fn write_mended(outcomes: &mut [Outcome], options: &args::Lint) -> Option<Checked> {
    let mut problems = Vec::new();
    // Two files may include, and mend, a third: both have come to the same text.
    let mut seen: HashSet<PathBuf> = HashSet::new();
    let (mut files, mut fixes) = (0, 0);
    for outcome in outcomes {
        fixes += outcome.fixes;
        for (path, old, new) in outcome.mended.drain(..) {
            if !seen.insert(real(&path)) {
                continue;
            }
            files += 1;
            let shown = shown_name(&path);
            if options.diff {
                let diff = TextDiff::from_lines(old.as_str(), new.as_str());
                terminal::print(&diff.unified_diff().header(&shown, &shown).to_string());
            } else if path.as_os_str() == "-" {
                terminal::print(&new);
            } else if let Err(e) = fmt::replace(&path, &new) {
                let text = format!("can't write `{shown}`: {e}");
                problems.push(Diagnostic::new(&codes::OUTPUT_UNWRITABLE, text));
            }
        }
    }
    if files > 0 && !options.diff {
        terminal::say(&format!("{} mended in {}", count(fixes, "finding"), count(files, "file")));
    }
    (!problems.is_empty()).then(|| Checked { list: problems, sources: Sources::new() })
}

/// A file's name in messages.
pub(crate) fn shown_name(path: &Path) -> String {
    if path.as_os_str() == "-" { "<stdin>".to_owned() } else { path.display().to_string() }
}

/// Writes the findings in the format and to the place asked for.
fn show(checked: &[Checked], options: &args::Lint, color: args::When) -> Result<(), Diagnostic> {
    let text = match options.format {
        args::Format::Full if options.output.is_none() => {
            for one in checked {
                terminal::show(&one.list, &one.sources, color);
            }
            return Ok(());
        }
        args::Format::Full => {
            let style = crate::diagnostic::Style::plain();
            checked.iter().map(|c| render_all(&c.list, &c.sources, style)).collect()
        }
        args::Format::Concise => report::concise::write(checked),
        args::Format::Json => report::json::write(checked),
        args::Format::Github => report::github::write(checked),
        args::Format::Gitlab => report::gitlab::write(checked),
        args::Format::Sarif => report::sarif::write(checked),
    };
    match &options.output {
        None => terminal::print(&text),
        Some(path) => std::fs::write(path, text).map_err(|e| {
            let text = format!("can't write `{}`: {e}", path.display());
            Diagnostic::new(&codes::OUTPUT_UNWRITABLE, text)
        })?,
    }
    Ok(())
}

/// `1 error`, `2 errors`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
