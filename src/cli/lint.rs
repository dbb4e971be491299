//! `vmwbuild lint`: parse, check and lint without contacting anything.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use similar::TextDiff;

use super::project::Project;
use super::report::{self, Checked};
use super::{args, codes, fmt, load, shellcheck, terminal};
use crate::diagnostic::{Diagnostic, Problems, Severity, render_all};
use crate::lint::{Config, fix, normal};
use crate::sema::Purpose;
use crate::source::{Source, SourceId, Sources};
use crate::syntax::ast::Body;

/// Rounds of mending: a mend may make room for another.
const ROUNDS: usize = 8;

/// A VMWfile to look at.
struct Target {
    path: PathBuf,
    /// Whether the command line names it itself.
    named: bool,
    project: Option<Project>,
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

/// The files that are asked about, as they can be compared: only those are mended.
struct Ours(HashSet<PathBuf>);

impl Ours {
    /// The files that a finding's mend changes and that aren't among them.
    fn lacks<'a>(&self, found: &Diagnostic, sources: &'a Sources) -> Vec<&'a Source> {
        let edits = found.fix.iter().flat_map(|fix| &fix.edits);
        let files = edits.map(|edit| sources.get(edit.span.source).as_ref());
        files.filter(|file| file.path.as_deref().is_some_and(|path| !self.0.contains(&real(path)))).collect()
    }
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
    let ours = Ours(targets.iter().map(|t| real(&t.path)).collect());
    let mut outcomes = all(&targets, &ours, options);
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
    let safe = |d: &&Diagnostic| d.fix.as_ref().is_some_and(|f| f.safe);
    let mends = checked.iter().flat_map(|c| c.list.iter().filter(safe).map(|d| ours.lacks(d, &c.sources)));
    let (mendable, others): (Vec<_>, Vec<_>) = mends.partition(Vec::is_empty);
    let elsewhere: BTreeSet<&str> = others.iter().flatten().map(|file| file.name.as_str()).collect();
    if errors + warnings > 0 && people {
        let hint = match mendable.len() {
            0 => String::new(),
            n => format!(" ({n} can be mended with --fix)"),
        };
        terminal::say(&format!("{}, {}{hint}", count(errors, "error"), count(warnings, "warning")));
    }
    if people && let Some(first) = elsewhere.first() {
        let names = elsewhere.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let what = if elsewhere.len() == 1 { "it" } else { "them" };
        terminal::say(&format!("in {names} more can be mended: name {what} too, as in `lint --fix {first}`"));
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
            levels(project.as_ref(), Some(&path), options, &mut problems);
            targets.push(Target { path, named, project });
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

/// What counts in a file: the levels of the project for its path, then those of the command line.
fn levels(
    project: Option<&Project>,
    path: Option<&Path>,
    options: &args::Lint,
    problems: &mut Vec<Diagnostic>,
) -> Config {
    let mut config = Config::default();
    match project.map(|project| project.config(path)) {
        Some(Ok(levels)) => config = levels,
        Some(Err(list)) => problems.extend(list),
        None => {}
    }
    if let Err(errors) = config.set_lists(&options.allow, &options.warn, &options.deny) {
        problems.extend(errors.into_iter().map(|e| Diagnostic::new(&codes::BAD_CONFIG, e.message).help(e.help)));
    }
    config.shellcheck = options.shellcheck;
    config
}

/// All VMWfiles below a directory that .gitignore doesn't hold back; what isn't a directory stands for itself.
pub(crate) fn search(path: &Path) -> Vec<(PathBuf, bool)> {
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
fn expand(path: &Path) -> Vec<PathBuf> {
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
fn all(targets: &[Target], ours: &Ours, options: &args::Lint) -> Vec<(usize, Outcome)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(targets.len()));
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(target) = targets.get(index) else { break };
            let outcome = one(target, ours, options);
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

/// Looks at one, and mends it if that is asked for: it, and of what it includes those files that are asked about too.
fn one(target: &Target, ours: &Ours, options: &args::Lint) -> Outcome {
    let mut buffers = load::Buffers::default();
    let mut originals: Vec<(PathBuf, String)> = Vec::new();
    let mut fixes = 0;
    let mut view = look(target, &target.path, options, &buffers);
    let included = std::mem::take(&mut view.included);
    let mut root = target.path.clone();
    if (!view.whole || errors(&view.checked) > 0)
        && let Some((home, within)) = home(target, options)
    {
        (root, view) = (home, within);
    }
    if options.fix || options.diff {
        for _ in 0..ROUNDS {
            let sources = &view.checked.sources;
            let mends = |d: &&Diagnostic| ours.lacks(d, sources).is_empty();
            let mended = fix::apply(view.checked.list.iter().filter(mends), sources, options.unsafe_fixes);
            if mended.count == 0 {
                break;
            }
            let mut tried = buffers.clone();
            for (id, text) in &mended.texts {
                let source = sources.get(*id);
                let path = source.path.clone().unwrap_or_else(|| PathBuf::from("-"));
                if !originals.iter().any(|(p, _)| *p == path) {
                    originals.push((path.clone(), source.text.to_string()));
                }
                tried.set(&path, text.clone());
            }
            let now = look(target, &root, options, &tried);
            if errors(&now.checked) > errors(&view.checked) {
                // A mend that breaks a file is none: what stands so far is kept.
                break;
            }
            (view, buffers) = (now, tried);
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
    Outcome { checked: view.checked, included, mended, fixes }
}

fn errors(checked: &Checked) -> usize {
    checked.list.iter().filter(|d| d.severity == Severity::Error && d.code.severity == Severity::Error).count()
}

/// What a look at a file, or at one that includes it, has shown.
struct View {
    checked: Checked,
    /// The files that it includes.
    included: Vec<PathBuf>,
    /// Whether it says what a machine is made from.
    whole: bool,
}

/// Looks at a target within a file: itself, or one that includes it. Only what is found in the target counts then.
fn look(target: &Target, root: &Path, options: &args::Lint, buffers: &load::Buffers) -> View {
    let build =
        load::Build { id: "lint".to_owned(), date: "1970-01-01T00:00:00Z".to_owned(), args: None, existing: None };
    let purpose = if options.strict { Purpose::Build } else { Purpose::Lint };
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let input = args::Input { context: root.to_path_buf(), args: options.args.clone(), ..Default::default() };
    let defaults = |names: &[&str]| target.project.as_ref().map(|p| p.values(names)).unwrap_or_default();
    let loaded = load::load(&input, purpose, &build, &defaults, buffers, &mut sources, &mut problems);
    let mut view = View {
        checked: Checked { list: Vec::new(), sources: Sources::new() },
        included: Vec::new(),
        whole: loaded.is_none(),
    };
    if let Some(loaded) = loaded {
        let of_file = |id| sources.get(id).path.as_deref().map(real);
        view.included = loaded.files.iter().skip(1).filter_map(|(id, _)| of_file(*id)).collect();
        let mut lines = loaded.files.iter().flat_map(|(_, file)| file.instructions());
        view.whole = lines.any(|line| matches!(line.body, Body::From { .. } | Body::On { .. }));
        // What is wrong with levels was told before anything was looked at.
        let levels = |path: Option<&Path>| levels(target.project.as_ref(), path, options, &mut Vec::new());
        problems = loaded.lint(problems, &mut sources, &levels);
    }
    let mut list = problems.sorted();
    if root != target.path {
        let own = real(&target.path);
        let within: Vec<SourceId> = sources
            .iter()
            .filter(|(_, source)| source.path.as_deref().is_some_and(|path| real(path) == own))
            .map(|(id, _)| id)
            .collect();
        list.retain(|d| d.primary.as_ref().is_some_and(|label| within.contains(&label.span.source)));
        // As it was asked for, not as it is seen from there.
        within.iter().for_each(|id| sources.rename(*id, target.path.display().to_string()));
    }
    view.checked = Checked { list, sources };
    view
}

/// How far above an included file the files are looked for that may include it.
const ABOVE: usize = 4;

/// A VMWfile near a part of one that includes it, and the part as it is there: alone it lacks what it is to be
/// included for.
fn home(target: &Target, options: &args::Lint) -> Option<(PathBuf, View)> {
    let own = std::fs::canonicalize(&target.path).ok()?;
    let mut directory = target.path.parent().unwrap_or(Path::new("")).to_path_buf();
    for _ in 0..ABOVE {
        for candidate in expand(if directory.as_os_str().is_empty() { Path::new(".") } else { &directory }) {
            if candidate.is_dir() || real(&candidate) == own {
                continue;
            }
            let text = crate::source::read_file_text(&candidate).unwrap_or_default();
            if !text.to_ascii_uppercase().contains("INCLUDE") {
                continue;
            }
            let view = look(target, &candidate, options, &load::Buffers::default());
            if view.whole && view.included.contains(&own) {
                return Some((candidate, view));
            }
        }
        // `parts` lies in ``, `` in `..`: names stay as short as they were given.
        directory = match directory.components().next_back() {
            Some(Component::Normal(_)) => directory.parent().map(Path::to_path_buf)?,
            Some(Component::RootDir | Component::Prefix(_)) => return None,
            Some(Component::ParentDir | Component::CurDir) | None => directory.join(".."),
        };
    }
    None
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
