//! From the command line's input to a checked program: what `build`, `graph` and `lint` share.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::{args, arguments, codes, project, shellcheck, terminal};
use crate::diagnostic::{Diagnostic, Problems, Severity, did_you_mean};
use crate::lint;
use crate::sema::context;
use crate::sema::existing::Selected;
use crate::sema::program::Program;
use crate::sema::{Files, Inputs, Purpose};
use crate::source::{SourceId, Sources};
use crate::syntax::ast;

/// The file system, for the check.
pub(crate) struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        crate::source::read_file(path)
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        Ok(std::fs::metadata(path)?.is_dir())
    }

    fn walk(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        fn below(path: &Path, out: &mut Vec<PathBuf>) -> io::Result<()> {
            if !std::fs::symlink_metadata(path)?.is_dir() {
                out.push(path.to_path_buf());
                return Ok(());
            }
            for entry in std::fs::read_dir(path)? {
                below(&entry?.path(), out)?;
            }
            Ok(())
        }
        let mut out = Vec::new();
        below(path, &mut out)?;
        out.sort();
        Ok(out)
    }

    fn unsendable(&self, context: &Path, source: &Path) -> Vec<PathBuf> {
        context::unsendable(context, source)
    }
}

/// Which file to read, and the directory that COPY reads from.
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    pub(crate) context: PathBuf,
}

/// CONTEXT is a directory or a VMWfile; `-f` names the file apart from it.
pub(crate) fn place(context: &Path, file: Option<&Path>) -> Result<Place, Diagnostic> {
    if let Some(file) = file {
        return Ok(Place { file: file.to_path_buf(), context: context.to_path_buf() });
    }
    if context.as_os_str() == "-" {
        return Ok(Place { file: context.to_path_buf(), context: PathBuf::from(".") });
    }
    match std::fs::metadata(context) {
        Ok(meta) if meta.is_dir() => {
            // `VMWfile`, not `./VMWfile`: it stands in every message.
            let file = if context == Path::new(".") { PathBuf::from("VMWfile") } else { context.join("VMWfile") };
            if file.exists() { Ok(Place { file, context: context.to_path_buf() }) } else { Err(no_vmwfile(context)) }
        }
        Ok(_) => {
            let parent = context.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Ok(Place { file: context.to_path_buf(), context: parent.to_path_buf() })
        }
        Err(e) => Err(unreadable(context, &e)),
    }
}

fn no_vmwfile(dir: &Path) -> Diagnostic {
    let mut others: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_vmwfile(name))
        .collect();
    others.sort();
    let help = match others.first() {
        Some(other) => format!("did you mean `-f {}`?", dir.join(other).display()),
        None => "write one there, name another with `-f FILE`, or give another directory".to_owned(),
    };
    Diagnostic::new(&codes::FILE_UNREADABLE, format!("there is no VMWfile in `{}`", dir.display())).help(help)
}

/// `VMWfile`, `VMWfile.*`, `*.vmwfile`, in any case.
pub(crate) fn is_vmwfile(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "vmwfile" || name.starts_with("vmwfile.") || name.ends_with(".vmwfile")
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let problem = Diagnostic::new(&codes::FILE_UNREADABLE, format!("can't read `{}`: {error}", path.display()));
    let near = (error.kind() == io::ErrorKind::NotFound).then(|| near_name(path)).flatten();
    match near {
        Some(near) => problem.help(format!("did you mean `{}`?", near.display())),
        None => problem.help("check the path, and that you may read it"),
    }
}

fn near_name(path: &Path) -> Option<PathBuf> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name()?.to_str()?;
    let names: Vec<String> =
        std::fs::read_dir(parent).ok()?.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
    did_you_mean(name, names.iter().map(String::as_str)).map(|n| path.with_file_name(n))
}

/// Reads and parses one file.
pub(crate) fn parse(file: &Path, sources: &mut Sources, problems: &mut Problems) -> Option<(SourceId, ast::File)> {
    parse_as(file, &Buffers::default(), sources, problems)
}

/// Reads one file, `-` from standard input.
pub(crate) fn read(file: &Path, sources: &mut Sources, problems: &mut Problems) -> Option<SourceId> {
    read_as(file, &Buffers::default(), sources, problems)
}

/// [`parse`], with texts that stand for files.
fn parse_as(
    file: &Path,
    buffers: &Buffers,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<(SourceId, ast::File)> {
    let id = read_as(file, buffers, sources, problems)?;
    let ast = crate::syntax::parse(sources, id, problems);
    Some((id, ast))
}

fn read_as(file: &Path, buffers: &Buffers, sources: &mut Sources, problems: &mut Problems) -> Option<SourceId> {
    let stdin = file.as_os_str() == "-";
    let name = if stdin { "<stdin>".to_owned() } else { file.display().to_string() };
    let bytes = match buffers.get(file) {
        Some(text) => Ok(text.as_bytes().to_vec()),
        None if stdin => crate::source::read_text(io::stdin().lock()),
        None => crate::source::read_file(file),
    };
    let bytes = bytes.map_err(|e| problems.push(unreadable(file, &e))).ok()?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let at = e.utf8_error().valid_up_to();
            let text = format!("`{name}` isn't UTF-8 text: byte {at} begins no character");
            problems.push(
                Diagnostic::new(&codes::FILE_NOT_TEXT, text).help("save it as UTF-8, or check that it is a VMWfile"),
            );
            return None;
        }
    };
    if let Some(at) = text.find('\0') {
        let text = format!("`{name}` isn't text: byte {at} is NUL");
        problems.push(Diagnostic::new(&codes::FILE_NOT_TEXT, text).help("no shell can be given one; take it out"));
        return None;
    }
    let id = sources.add(name, (!stdin).then_some(file), text);
    hide(sources, id);
    Some(id)
}

/// Keeps the passwords that seem to stand in a file out of what is shown.
fn hide(sources: &mut Sources, id: SourceId) {
    for span in lint::secrets::written(sources, id) {
        sources.hide(span);
    }
}

/// Texts that stand for files: what standard input gave, and files with mends that aren't written yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(HashMap<PathBuf, String>);

impl Buffers {
    pub(crate) fn set(&mut self, path: &Path, text: String) {
        self.0.insert(lint::normal(path), text);
    }

    pub(crate) fn get(&self, path: &Path) -> Option<&str> {
        if self.0.is_empty() { None } else { self.0.get(&lint::normal(path)).map(String::as_str) }
    }
}

/// The file system, with the buffers over it.
struct Buffered<'a>(&'a Buffers);

impl Files for Buffered<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.0.get(path) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => Disk.read(path),
        }
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        Disk.is_dir(path)
    }

    fn walk(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        Disk.walk(path)
    }

    fn unsendable(&self, context: &Path, source: &Path) -> Vec<PathBuf> {
        Disk.unsendable(context, source)
    }
}

/// What identifies this build.
pub(crate) struct Build {
    pub(crate) id: String,
    pub(crate) date: String,
    /// The values of ARGs, where they are those of an earlier process: flags, files and variables don't count then.
    pub(crate) args: Option<arguments::Values>,
    /// The machines that its ONs mean, once they were looked for.
    pub(crate) existing: Option<Selected>,
}

impl Build {
    /// A new id, and now.
    pub(crate) fn new() -> Self {
        let now = time::OffsetDateTime::now_utc();
        let date =
            now.replace_nanosecond(0).ok().and_then(|t| t.format(&time::format_description::well_known::Rfc3339).ok());
        let mut bytes = [0u8; 4];
        if getrandom::fill(&mut bytes).is_err() {
            bytes = std::process::id().to_le_bytes();
        }
        let random: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let stamp = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
        Build { id: format!("{stamp}-{random}"), date: date.unwrap_or_default(), args: None, existing: None }
    }
}

/// A VMWfile that was read.
pub(crate) struct Loaded {
    /// The main file first, then those it includes.
    pub(crate) files: Vec<(SourceId, ast::File)>,
    /// None when there are errors.
    pub(crate) program: Option<Program>,
    /// The directory that COPY reads from.
    pub(crate) context: PathBuf,
    /// The values of ARGs that were given.
    pub(crate) values: arguments::Values,
}

impl Loaded {
    /// Lints it, and applies levels and pragmas to all that was found. `found` is what reading it gave, `levels`
    /// gives those of each file.
    pub(crate) fn lint(
        &self,
        found: Problems,
        sources: &mut Sources,
        levels: &dyn Fn(Option<&Path>) -> lint::Config,
    ) -> Problems {
        let level = |id: SourceId| levels(sources.get(id).path.as_deref());
        let mut ids = self.files.iter().map(|(id, _)| *id);
        let mut config = ids.next().map(level).unwrap_or_default();
        ids.for_each(|id| config.set_for(id, level(id)));
        let config = &config;
        let files: Vec<(SourceId, &ast::File)> = self.files.iter().map(|(id, file)| (*id, file)).collect();
        let linted = lint::lint(&files, self.program.as_ref(), sources, config);
        for span in lint::secrets::told(linted.iter()) {
            sources.hide(span);
        }
        let mut all = found;
        all.extend(linted);
        if config.shellcheck {
            all.extend(shellcheck::check(&files, sources));
        }
        lint::settle(all, &files, sources, config, self.program.is_some())
    }
}

/// What a project is called: as its directory.
fn project_name(context: &Path) -> String {
    std::fs::canonicalize(context)
        .ok()
        .and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "vmwbuild".to_owned())
}

/// What the machines of a VMWfile belong to, wherever it is checked out: the project's name, and the file's path below it.
/// What is wrong with the project's file is told by whoever reads its defaults, before this matters.
pub(crate) fn identity(input: &args::Input) -> String {
    place(&input.context, input.file.as_deref()).map_or_else(|_| String::new(), |place| identity_of(&place))
}

/// Where a VMWfile is, for people: the computer, and the path there.
pub(crate) fn whereabouts(input: &args::Input) -> String {
    place(&input.context, input.file.as_deref()).map_or_else(|_| String::new(), |place| whereabouts_of(&place))
}

/// The same of a place.
pub(crate) fn whereabouts_of(Place { file, .. }: &Place) -> String {
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.clone());
    format!("{}:{}", terminal::host().as_deref().unwrap_or_default(), file.display())
}

/// The same of a place. A name that the project declares stands for the directory of its `vmwbuild.toml`, else the
/// context's own name does.
pub(crate) fn identity_of(Place { file, context }: &Place) -> String {
    let declared = project::Project::of(Some(file)).ok().flatten();
    let declared = declared.as_ref().and_then(|p| Some((p.declared()?, p.directory())));
    let (project, context) = match declared {
        Some((name, directory)) => (name.to_owned(), directory),
        None => (project_name(context), context.as_path()),
    };
    let whole = |path: &Path| std::fs::canonicalize(path).ok();
    let below = whole(file).zip(whole(context)).and_then(|(f, c)| f.strip_prefix(c).ok().map(Path::to_path_buf));
    let name = below.or_else(|| file.file_name().map(PathBuf::from)).unwrap_or_default();
    // It is the same one on every system, whatever stands between directories there.
    let parts: Vec<_> = name.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    format!("{project}/{}", parts.join("/"))
}

/// Reads, parses and checks what `input` names. None when there is nothing to read.
pub(crate) fn load(
    input: &args::Input,
    purpose: Purpose,
    build: &Build,
    defaults: &dyn Fn(&[&str]) -> arguments::Values,
    buffers: &Buffers,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<Loaded> {
    let place = place(&input.context, input.file.as_deref()).map_err(|d| problems.push(d)).ok()?;
    let values = match &build.args {
        Some(values) => Ok(values.clone()),
        None => arguments::collect(&input.arg_files, &input.args, std::env::vars()),
    };
    let mut values = values.map_err(|list| problems.extend(list)).unwrap_or_default();
    let main = parse_as(&place.file, buffers, sources, problems)?;
    for (name, value) in defaults(&main.1.arg_names().collect::<Vec<_>>()) {
        values.entry(name).or_insert(value);
    }
    let project = project_name(&place.context);
    let inputs = Inputs {
        purpose,
        existing: build.existing.clone(),
        args: values.clone(),
        targets: input.targets.clone(),
        context: place.context.clone(),
        build_id: build.id.clone(),
        build_date: build.date.clone(),
        project,
    };
    let program = crate::sema::check(sources, &main.1, &inputs, &Buffered(buffers), problems);
    // The check has read what is included.
    let included: Vec<SourceId> = sources.iter().map(|(id, _)| id).filter(|id| *id != main.0).collect();
    included.into_iter().for_each(|id| hide(sources, id));
    let program = program.filter(|_| !problems.has_errors());
    let files = lint::with_included(main, sources);
    Some(Loaded { files, program, context: place.context, values })
}

/// Reads, parses and checks what `input` names. `None` when there are errors.
pub(crate) fn program(
    input: &args::Input,
    purpose: Purpose,
    build: &Build,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<(Program, PathBuf)> {
    let defaults = defaults(input, problems)?;
    let values = |names: &[&str]| defaults.values(names);
    let loaded = load(input, purpose, build, &values, &Buffers::default(), sources, problems)?;
    loaded.program.map(|program| (program, loaded.context))
}

/// The same for `build`: with the lints' warnings, under the levels of the project.
pub(crate) fn linted_program(
    input: &args::Input,
    build: &Build,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<Linted> {
    let defaults = defaults(input, problems)?;
    // What a build was begun with is what it goes on with.
    let own = |names: &[&str]| defaults.values(names);
    let loaded = load(input, Purpose::Build, build, &own, &Buffers::default(), sources, problems)?;
    let file = loaded.files.first().and_then(|(id, _)| sources.get(*id).path.clone());
    // What is wrong with the project's file is `lint`'s to tell; a build doesn't hang on it.
    let project = project::Project::of(file.as_deref()).ok().flatten();
    let levels = |file: Option<&Path>| project.as_ref().and_then(|p| p.config(file).ok()).unwrap_or_default();
    let found = std::mem::take(problems);
    // A denied lint stops no build: it is shown as what it is without. What the compiler found wrong stays an error, also
    // where the same code is a warning elsewhere.
    let place = |d: &Diagnostic| (d.code.number, d.primary.as_ref().map(|label| label.span));
    let wrong: HashSet<_> = found.iter().filter(|d| d.severity == Severity::Error).map(place).collect();
    let capped = loaded.lint(found, sources, &levels).into_iter().map(|d| {
        let fixed = d.code.severity == Severity::Error || wrong.contains(&place(&d));
        let severity = if fixed { d.severity } else { d.severity.min(Severity::Warning) };
        d.severity(severity)
    });
    problems.extend(capped.filter(|d| d.severity > Severity::Advice));
    let (context, values) = (loaded.context, loaded.values);
    loaded.program.map(|program| Linted { program, context, values, defaults })
}

/// A VMWfile that can be built.
pub(crate) struct Linted {
    pub(crate) program: Program,
    /// The directory that COPY reads from.
    pub(crate) context: PathBuf,
    /// The values of its ARGs that aren't its own defaults.
    pub(crate) values: arguments::Values,
    /// What its project gives.
    pub(crate) defaults: project::Defaults,
}

/// What the project of a VMWfile gives.
fn defaults(input: &args::Input, problems: &mut Problems) -> Option<project::Defaults> {
    let place = place(&input.context, input.file.as_deref()).map_err(|d| problems.push(d)).ok()?;
    let file = Some(place.file.as_path()).filter(|f| f.as_os_str() != "-");
    project::defaults(file, input.profile.profile.as_deref()).map_err(|d| problems.push(d)).ok()
}

/// The exit code of a VMWfile that gave no program: settings are told apart from what is wrong in the file.
pub(crate) fn failed(list: &[Diagnostic]) -> u8 {
    if list.iter().any(|d| d.code.number == codes::BAD_CONFIG.number) { 2 } else { 1 }
}
