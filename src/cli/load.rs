//! From the command line's input to a checked program: what `build`, `graph` and `lint` share.

use std::io;
use std::path::{Path, PathBuf};

use super::{args, arguments, codes};
use crate::diagnostic::{Diagnostic, Problems, did_you_mean};
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
        None => problem,
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
    let (name, bytes) = if file.as_os_str() == "-" {
        match crate::source::read_text(io::stdin().lock()) {
            Ok(bytes) => ("<stdin>".to_owned(), bytes),
            Err(e) => {
                problems.push(unreadable(file, &e));
                return None;
            }
        }
    } else {
        match crate::source::read_file(file) {
            Ok(bytes) => (file.display().to_string(), bytes),
            Err(e) => {
                problems.push(unreadable(file, &e));
                return None;
            }
        }
    };
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
    let path = (file.as_os_str() != "-").then_some(file);
    let id = sources.add(name, path, text);
    let ast = crate::syntax::parse(sources, id, problems);
    Some((id, ast))
}

/// What identifies this build.
pub(crate) struct Build {
    pub(crate) id: String,
    pub(crate) date: String,
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
        Build { id: format!("{stamp}-{random}"), date: date.unwrap_or_default() }
    }
}

/// Reads, parses and checks what `input` names. `None` when there are errors.
pub(crate) fn program(
    input: &args::Input,
    purpose: Purpose,
    build: &Build,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<(Program, PathBuf)> {
    let place = place(&input.context, input.file.as_deref()).map_err(|d| problems.push(d)).ok()?;
    let values = arguments::collect(&input.arg_files, &input.args, std::env::vars());
    let values = values.map_err(|list| problems.extend(list)).unwrap_or_default();
    let (_, file) = parse(&place.file, sources, problems)?;
    let project = std::fs::canonicalize(&place.context)
        .ok()
        .and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "vmwbuild".to_owned());
    let inputs = Inputs {
        purpose,
        args: values,
        targets: input.targets.clone(),
        context: place.context.clone(),
        build_id: build.id.clone(),
        build_date: build.date.clone(),
        project,
    };
    let program = crate::sema::check(sources, &file, &inputs, &Disk, problems)?;
    (!problems.has_errors()).then_some((program, place.context))
}
