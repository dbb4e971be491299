//! `vmwbuild cp`: files and directories between this machine and the guest of one that exists.

use std::io::Write;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::exec::random;
use super::gauge::Gauge;
use super::machine::{self, Access, Refused, Way, failed, guest_failed};
use super::{args, codes, names, stdin, terminal};
use crate::diagnostic::Diagnostic;
use crate::engine::FailureClass;
use crate::guest::{self, CopyContent, CopyEntry, Guest, Job, quote};
use crate::source::Sources;
use crate::vsphere::client::Client;

/// One side of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Side {
    /// A path in a machine's guest.
    Guest { vm: String, path: String },
    /// A path here.
    Here(PathBuf),
    /// Standard input or output.
    Stream,
}

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Cp, color: args::When, verbose: u8) -> u8 {
    copied(options, verbose).unwrap_or_else(|(code, problem)| {
        terminal::show([&problem], &Sources::new(), color);
        code
    })
}

fn copied(options: &args::Cp, verbose: u8) -> Result<u8, Refused> {
    let (from, to) = (side(&options.source)?, side(&options.dest)?);
    let usage = |text: &str| (2, Diagnostic::new(&codes::COPY_ARGUMENTS, text));
    let vm = match (&from, &to) {
        (Side::Guest { .. }, Side::Guest { .. }) => {
            return Err(usage("both sides are in guests"))
                .map_err(|(code, d)| (code, d.help("copy to this machine first, and then into the other guest")));
        }
        (Side::Guest { vm, .. }, _) | (_, Side::Guest { vm, .. }) => vm.clone(),
        _ => {
            return Err(usage("neither side is in a guest"))
                .map_err(|(code, d)| (code, d.help("write the guest's path as `VM:/path`")));
        }
    };
    if options.owner.is_some() && matches!(from, Side::Guest { .. }) {
        return Err(usage("`--owner` is for what is put into a guest"));
    }
    // What is wrong here is told before anything is contacted.
    let entries = match &from {
        Side::Here(path) => Some(local(path)?),
        Side::Guest { .. } | Side::Stream => None,
    };
    if let Side::Here(path) = &to {
        local_dest(path)?;
    }
    let way = Way {
        connection: &options.connection,
        guest: &options.guest,
        profile: &options.profile,
        channel: options.guest_channel,
        verbose,
    };
    let Access { endpoint, login, options: settings } = machine::access(&way, &vm)?;
    let interrupted = FailureClass::Interrupted.exit_code();
    let done = machine::connected(endpoint, async |client, stop| {
        let Some(guest) = opened(client, &vm, &login, &settings, stop).await? else { return Ok(interrupted) };
        machine::needs_posix(&guest, &vm, "`cp`")?;
        let ran = tokio::select! {
            ran = transfer(&guest, &from, &to, entries, options.owner.as_deref()) => Some(ran),
            () = stop.cancelled() => None,
        };
        let Some(ran) = ran else {
            machine::part(&guest, &vm).await;
            return Ok(interrupted);
        };
        let cleaned = guest.cleanup().await;
        ran?;
        cleaned.map_err(|e| guest_failed(&e))?;
        Ok(0)
    })?;
    Ok(done.unwrap_or(interrupted))
}

async fn opened(
    client: &Client,
    vm: &str,
    login: &guest::Login,
    settings: &guest::Options,
    stop: &CancellationToken,
) -> Result<Option<Guest>, Refused> {
    let inventory = client.inventory().await.map_err(|e| failed(&e))?;
    names::remember(client, &inventory);
    let entity = inventory.vm(vm, None).map_err(|e| failed(&e))?;
    machine::open(client, entity, login, settings, stop).await
}

/// Reads one side as it is written.
fn side(text: &str) -> Result<Side, Refused> {
    if text == "-" {
        return Ok(Side::Stream);
    }
    let here = text.starts_with("./") || text.starts_with("../");
    match text.split_once(":/").filter(|_| !here) {
        Some((vm, path)) if !vm.is_empty() => {
            let path = format!("/{}", path.trim_start_matches('/'));
            if path.split('/').any(|part| part == "..") {
                let text = format!("`{text}` leads up by `..`");
                let help = "write the guest's path without it";
                return Err((2, Diagnostic::new(&codes::COPY_ARGUMENTS, text).help(help)));
            }
            Ok(Side::Guest { vm: vm.to_owned(), path })
        }
        _ => match text.split_once(':').filter(|_| !here && !text.starts_with('/') && !Path::new(text).exists()) {
            Some((vm, path)) => {
                let text = format!("`{text}` has no absolute path in the guest");
                let help = format!("write `{vm}:/…`, or `./{vm}:{path}` for a file here");
                Err((2, Diagnostic::new(&codes::COPY_ARGUMENTS, text).help(help)))
            }
            None => Ok(Side::Here(PathBuf::from(text))),
        },
    }
}

/// A local source: what lies below it, with names relative to its parent. Directories come before their content.
struct Local {
    name: String,
    directory: bool,
    list: Vec<(String, PathBuf, CopyContent, u32)>,
}

fn local(path: &Path) -> Result<Local, Refused> {
    let io = |path: &Path, e: &std::io::Error| {
        let (code, help) = match e.kind() {
            std::io::ErrorKind::NotFound => (&codes::NO_SUCH_FILE, "check the path"),
            _ => (&codes::FILE_UNREADABLE, "check the path and its permissions"),
        };
        (2, Diagnostic::new(code, format!("can't read `{}`: {e}", path.display())).help(help))
    };
    // What is named itself is followed where it is a link; links below it stay links.
    let real = std::fs::canonicalize(path).map_err(|e| io(path, &e))?;
    let meta = std::fs::metadata(&real).map_err(|e| io(path, &e))?;
    let name = match path.file_name().or_else(|| real.file_name()).and_then(|n| n.to_str()) {
        Some(name) => name.to_owned(),
        None => {
            let text = format!("`{}` has no name that can be used in the guest", path.display());
            return Err((2, Diagnostic::new(&codes::COPY_ARGUMENTS, text)));
        }
    };
    let mut out = Local { name: name.clone(), directory: meta.is_dir(), list: Vec::new() };
    let mut open = vec![(name, real)];
    while let Some((name, path)) = open.pop() {
        let meta = match out.list.is_empty() {
            true => std::fs::metadata(&path),
            false => std::fs::symlink_metadata(&path),
        };
        let meta = meta.map_err(|e| io(&path, &e))?;
        let content = if meta.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(|e| io(&path, &e))? {
                let entry = entry.map_err(|e| io(&path, &e))?;
                let Ok(part) = entry.file_name().into_string() else {
                    let text = format!("the name of `{}` isn't UTF-8", entry.path().display());
                    return Err((2, Diagnostic::new(&codes::COPY_ARGUMENTS, text).help("rename it")));
                };
                open.push((format!("{name}/{part}"), entry.path()));
            }
            CopyContent::Directory
        } else if meta.is_symlink() {
            let target = std::fs::read_link(&path).map_err(|e| io(&path, &e))?;
            CopyContent::Symlink(target.to_string_lossy().into_owned())
        } else if meta.is_file() {
            // Opened once now, so that what can't be read is told before anything is sent.
            std::fs::File::open(&path).map_err(|e| io(&path, &e))?;
            CopyContent::File(path.clone())
        } else {
            terminal::say(&format!("note: `{}` is no file, directory or link, and is left out", path.display()));
            continue;
        };
        out.list.push((name, path, content, mode(&meta)));
    }
    Ok(out)
}

#[cfg(unix)]
fn mode(meta: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o7777
}

#[cfg(not(unix))]
fn mode(meta: &std::fs::Metadata) -> u32 {
    if meta.is_dir() { 0o755 } else { 0o644 }
}

/// Whether something can be put there, as far as can be seen now.
fn local_dest(path: &Path) -> Result<(), Refused> {
    if path.is_dir() {
        return Ok(());
    }
    let asks_for_directory = path.to_string_lossy().ends_with('/');
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let missing = if asks_for_directory { path } else { parent };
    if missing.is_dir() {
        return Ok(());
    }
    let text = format!("there is no directory `{}`", missing.display());
    Err((2, Diagnostic::new(&codes::NO_SUCH_FILE, text).help("make it first, or copy to another place")))
}

/// What a path of the guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    Other,
    Missing,
    /// Not even its directory is there.
    Nowhere,
}

async fn look(guest: &Guest, path: &str) -> Result<Kind, Refused> {
    let path = path.trim_end_matches('/');
    let parent = path.rsplit_once('/').map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent });
    let (path, parent) = (quote(if path.is_empty() { "/" } else { path }), quote(parent));
    let mut job = Job::sh(
        0,
        format!(
            "if [ -d {path} ]; then echo d; elif [ -e {path} ] || [ -h {path} ]; then echo f; \
             elif [ -d {parent} ]; then echo m; else echo n; fi\n"
        ),
    );
    job.capture = true;
    let end = guest.run(job).await.map_err(|e| guest_failed(&e))?;
    Ok(match end.captured.as_deref() {
        Some(b"d\n") => Kind::Directory,
        Some(b"f\n") => Kind::Other,
        Some(b"m\n") => Kind::Missing,
        _ => Kind::Nowhere,
    })
}

async fn transfer(
    guest: &Guest,
    from: &Side,
    to: &Side,
    entries: Option<Local>,
    owner: Option<&str>,
) -> Result<(), Refused> {
    match (from, to) {
        (Side::Guest { vm, path }, to) => fetch(guest, vm, path, to).await,
        (_, Side::Guest { vm, path }) => {
            let spooled;
            let entries = match entries {
                Some(entries) => entries,
                None => {
                    let read = tokio::task::spawn_blocking(stdin::spool).await.map_err(std::io::Error::other);
                    spooled = read.and_then(|r| r).map_err(|e| {
                        let text = format!("can't read standard input: {e}");
                        let help = "it is kept in the temporary directory: see TMPDIR";
                        (2, Diagnostic::new(&codes::FILE_UNREADABLE, text).help(help))
                    })?;
                    let file = spooled.path().to_owned();
                    let content = CopyContent::File(file.clone());
                    Local { name: String::new(), directory: false, list: vec![(String::new(), file, content, 0o644)] }
                }
            };
            send(guest, vm, path, entries, owner).await
        }
        _ => Ok(()),
    }
}

fn in_the_way(text: String) -> Refused {
    let help = "remove what is there first, or name another path";
    (FailureClass::Guest.exit_code(), Diagnostic::new(&codes::IN_THE_WAY, text).help(help))
}

/// Puts entries into the guest: beside their place under a passing name, and then renamed.
async fn send(guest: &Guest, vm: &str, path: &str, from: Local, owner: Option<&str>) -> Result<(), Refused> {
    let kind = look(guest, path).await?;
    let trimmed = path.trim_end_matches('/');
    let missing = |what: &str| {
        let text = format!("there is no directory `{what}` in {vm}");
        let help = format!("make it first: `vmwbuild exec {vm} -- mkdir -p {what}`");
        (FailureClass::Guest.exit_code(), Diagnostic::new(&codes::NO_SUCH_FILE, text).help(help))
    };
    let target = match kind {
        Kind::Directory if from.name.is_empty() => {
            return Err(in_the_way(format!("`{path}` in {vm} is a directory, and standard input has no name")));
        }
        Kind::Directory => format!("{trimmed}/{}", from.name),
        Kind::Missing | Kind::Nowhere if path.ends_with('/') => return Err(missing(trimmed)),
        Kind::Other if path.ends_with('/') => {
            return Err(in_the_way(format!("`{trimmed}` in {vm} is a file, and should be a directory")));
        }
        Kind::Nowhere => {
            return Err(missing(trimmed.rsplit_once('/').map_or("/", |(parent, _)| parent)));
        }
        Kind::Missing | Kind::Other => trimmed.to_owned(),
    };
    let (parent, last) = target.rsplit_once('/').unwrap_or(("", &target));
    let passing = format!("{parent}/.vmwbuild-{}", random()?);
    // One file needs no archive, and has its own mode.
    let around = CopyEntry { path: passing.clone(), content: CopyContent::Directory, mode: 0o700 };
    let entries: Vec<CopyEntry> = from
        .directory
        .then_some(around)
        .into_iter()
        .chain(from.list.into_iter().map(|(name, _, content, mode)| {
            let below = name.strip_prefix(&from.name).unwrap_or(&name);
            CopyEntry { path: format!("{passing}/{last}{below}"), content, mode }
        }))
        .collect();
    let moved = async {
        let gauge = Gauge::new("sending");
        guest.copy_in(&entries, owner, None, gauge.moved()).await?;
        drop(gauge);
        let script = format!("{MOVE}move {} {}\n", quote(&format!("{passing}/{last}")), quote(&target));
        guest.run(Job::sh(0, script)).await
    };
    let moved = moved.await;
    let left = if matches!(moved, Err(guest::Error::Copy { .. })) { free(guest, parent).await } else { None };
    // Also what was half unpacked goes.
    let gone = guest.delete(&passing).await;
    let end = moved.map_err(|e| {
        // The entries are nothing that anybody has named.
        let e = match e {
            guest::Error::Copy { detail, .. } => guest::Error::Copy { path: target.clone(), detail },
            other => other,
        };
        let (code, mut problem) = told(guest_failed(&e), &passing, &target);
        if let Some(left) = left {
            problem = problem.note(format!("{left} KiB are free in `{parent}/` with what had arrived"));
        }
        (code, problem)
    })?;
    if !end.success {
        let said = String::from_utf8_lossy(&end.stderr_tail).trim().to_owned();
        if said.ends_with(" is a directory") || said.ends_with(" is no directory") {
            let what = if from.directory { "a directory" } else { "a file" };
            return Err(in_the_way(format!("{said} in {vm}, and {what} can't take its place")));
        }
        let problem = guest::Error::Copy { path: target, detail: said };
        return Err(guest_failed(&problem));
    }
    gone.map_err(|e| guest_failed(&e))
}

/// KiB that are free where a directory of the guest is, if that can be told.
async fn free(guest: &Guest, directory: &str) -> Option<u64> {
    let mut job = Job::sh(0, format!("df -Pk {}/\n", quote(directory)));
    job.capture = true;
    let said = guest.run(job).await.ok()?.captured?;
    String::from_utf8_lossy(&said).lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

/// The passing name is of no use to anybody.
fn told((code, mut problem): Refused, passing: &str, target: &str) -> Refused {
    let parent = target.rsplit_once('/').map_or("", |(parent, _)| parent);
    let last = target.rsplit('/').next().unwrap_or_default();
    let mend = |text: &mut String| {
        for form in [passing, passing.trim_start_matches('/')] {
            *text = text.replace(&format!("{form}/{last}"), target).replace(form, parent);
        }
    };
    mend(&mut problem.message);
    problem.notes.iter_mut().for_each(mend);
    (code, problem)
}

/// `move FROM TO`: renames a file over a file, and moves what is in a directory into one that is there.
const MOVE: &str = r#"move() {
if [ -d "$1" ] && [ ! -h "$1" ] && [ -d "$2" ]; then
for f in "$1"/* "$1"/.[!.]* "$1"/..?*; do
[ -e "$f" ] || [ -h "$f" ] || continue
(move "$f" "$2/${f##*/}") || return 1
done
elif [ -d "$2" ]; then echo "\`$2\` is a directory" >&2; return 1
elif [ -d "$1" ] && [ ! -h "$1" ] && { [ -e "$2" ] || [ -h "$2" ]; }; then echo "\`$2\` is no directory" >&2; return 1
else mv -f "$1" "$2"
fi
}
"#;

/// Brings something out of the guest.
async fn fetch(guest: &Guest, vm: &str, path: &str, to: &Side) -> Result<(), Refused> {
    let trimmed = path.trim_end_matches('/');
    let kind = look(guest, trimmed).await?;
    if matches!(kind, Kind::Missing | Kind::Nowhere) {
        let text = format!("there is no `{trimmed}` in {vm}, as far as the account can see");
        let help = format!("look what is there: `vmwbuild exec {vm} -- ls -la {}`", parent_of(trimmed));
        return Err((FailureClass::Guest.exit_code(), Diagnostic::new(&codes::NO_SUCH_FILE, text).help(help)));
    }
    let list = [trimmed.to_owned()];
    match to {
        Side::Stream if kind == Kind::Directory => {
            Err(in_the_way(format!("`{trimmed}` in {vm} is a directory, which can't go to standard output")))
        }
        Side::Stream => {
            let scratch = tempfile::tempdir().map_err(|e| local_failed(&std::env::temp_dir(), &e))?;
            let file = scratch.path().join("file");
            let gauge = Gauge::new("fetching");
            let kept =
                "make room there: what goes to standard output is kept in the temporary directory first (TMPDIR)";
            guest.copy_out(&list, &file, false, None, gauge.moved()).await.map_err(|e| kept_here(&e, kept))?;
            drop(gauge);
            let mut content = std::fs::File::open(&file).map_err(|e| local_failed(&file, &e))?;
            let written = std::io::copy(&mut content, &mut Stdout).and_then(|_| Stdout.flush());
            match written {
                // Whoever reads has had enough.
                Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                other => other.map_err(|e| local_failed(Path::new("standard output"), &e)),
            }
        }
        Side::Here(dest) => {
            let place =
                if dest.is_dir() { dest.join(trimmed.rsplit('/').next().unwrap_or_default()) } else { dest.clone() };
            let (ours, theirs) = (place.is_dir(), kind == Kind::Directory);
            if place.exists() && ours != theirs {
                let word = |directory| if directory { "a directory" } else { "a file" };
                let text =
                    format!("`{}` here is {}, and {} can't take its place", place.display(), word(ours), word(theirs));
                return Err(in_the_way(text));
            }
            let gauge = Gauge::new("fetching");
            let kept = "make room there, and check its permissions";
            guest.copy_out(&list, dest, false, None, gauge.moved()).await.map(|_| ()).map_err(|e| kept_here(&e, kept))
        }
        Side::Guest { .. } => Ok(()),
    }
}

/// Something that is wrong here and not in the guest, with what to do about it.
fn kept_here(error: &guest::Error, help: &str) -> Refused {
    let (code, problem) = guest_failed(error);
    let here = matches!(error, guest::Error::Local { .. });
    (code, if here { problem.help(help.to_owned()) } else { problem })
}

fn parent_of(path: &str) -> &str {
    path.rsplit_once('/').map(|(parent, _)| parent).filter(|p| !p.is_empty()).unwrap_or("/")
}

fn local_failed(path: &Path, e: &std::io::Error) -> Refused {
    guest_failed(&guest::Error::Local { path: path.display().to_string(), detail: e.to_string() })
}

/// Standard output, locked for each piece alone.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::stdout().lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stdout().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_read_as_it_is_meant() {
        let guest = |vm: &str, path: &str| Some(Side::Guest { vm: vm.into(), path: path.into() });
        let here = |path: &str| Some(Side::Here(path.into()));
        let of = |text: &str| side(text).ok();
        assert_eq!(of("web01:/etc/motd"), guest("web01", "/etc/motd"));
        assert_eq!(of("/DC0/vm/web 01:/etc/"), guest("/DC0/vm/web 01", "/etc/"));
        assert_eq!(of("-"), Some(Side::Stream));
        assert_eq!(of("file"), here("file"));
        assert_eq!(of("./a:/b"), here("./a:/b"));
        assert_eq!(of("/abs/file"), here("/abs/file"));
        assert_eq!(of("web01:etc"), None);
        assert_eq!(of("web01:/etc/../x"), None);
    }
}
