//! What a helper inside a guest does with its files and processes, with the rights of the account it has become.

use super::wire::{Answer, FileOp};
use super::{Attributes, Error, FileInfo, FileKind, NewName, ProcessInfo, Result, accounts, sys, tree, windows};
use rustix::fs::{AtFlags, CWD, RenameFlags, Timespec, Timestamps};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Does a file operation; descriptors to send along with the answer.
pub fn file(op: FileOp) -> Result<(Answer, Option<OwnedFd>)> {
    let done = |()| (Answer::Done, None);
    match windows::located(op) {
        FileOp::OpenRead { path } => {
            let (file, info) = open_read(&path)?;
            Ok((Answer::Info(info), Some(file.into())))
        }
        FileOp::OpenWrite { path, overwrite, mode } => {
            Ok((Answer::Done, Some(open_write(&path, overwrite, mode)?.into())))
        }
        FileOp::Stat { path } => Ok((Answer::Info(describe(Path::new(&path)).on("stat", &path)?), None)),
        FileOp::List { path } => Ok((Answer::List(list(&path)?), None)),
        FileOp::MakeDir { path, parents, mode } => make_dir(&path, parents, mode).map(done),
        FileOp::RemoveFile { path } => fs::remove_file(&path).on("remove", &path).map(done),
        FileOp::RemoveDir { path, recursive: false } => fs::remove_dir(&path).on("remove", &path).map(done),
        FileOp::RemoveDir { path, recursive: true } => fs::remove_dir_all(&path).on("remove", &path).map(done),
        FileOp::Rename { from, to, overwrite } => rename(&from, &to, overwrite).map(done),
        FileOp::SetAttributes { path, attributes } => set_attributes(&path, attributes).map(done),
        FileOp::MakeTempDir(name) => {
            temporary(&name, |path| fs::DirBuilder::new().mode(0o700).create(path)).map(|p| (Answer::Path(p), None))
        }
        FileOp::MakeTempFile(name) => {
            temporary(&name, |path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop))
                .map(|p| (Answer::Path(p), None))
        }
    }
}

/// Turns a system's error into one that names what was tried.
trait On<T> {
    fn on(self, verb: &str, path: &str) -> Result<T>;
}

impl<T> On<T> for io::Result<T> {
    fn on(self, verb: &str, path: &str) -> Result<T> {
        self.map_err(|error| os(verb, path, error.raw_os_error().unwrap_or(libc::EIO)))
    }
}

impl<T> On<T> for rustix::io::Result<T> {
    fn on(self, verb: &str, path: &str) -> Result<T> {
        self.map_err(|error| os(verb, path, error.raw_os_error()))
    }
}

fn os(verb: &str, path: &str, errno: i32) -> Error {
    Error::Os { action: format!("{verb} {path}"), errno }
}

fn open_read(path: &str) -> Result<(File, FileInfo)> {
    // Without O_NONBLOCK a pipe without a writer would hold this helper for ever.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = file.on("open", path)?;
    let meta = file.metadata().on("stat", path)?;
    regular(path, &meta)?;
    let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok((file, info(name, &meta, String::new())))
}

fn open_write(path: &str, overwrite: bool, mode: u32) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).mode(mode & 0o7777).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = if overwrite { options.create(true).open(path) } else { options.create_new(true).open(path) };
    let file = file.on("create", path)?;
    regular(path, &file.metadata().on("stat", path)?)?;
    // Only now: a device must not be touched.
    file.set_len(0).on("truncate", path)?;
    Ok(file)
}

fn regular(path: &str, meta: &fs::Metadata) -> Result<()> {
    if meta.is_dir() {
        Err(os("open", path, libc::EISDIR))
    } else if meta.is_file() {
        Ok(())
    } else {
        Err(os("open", path, libc::EINVAL))
    }
}

fn describe(path: &Path) -> io::Result<FileInfo> {
    let meta = fs::symlink_metadata(path)?;
    let target = if meta.is_symlink() {
        fs::read_link(path).map(|target| target.to_string_lossy().into_owned()).unwrap_or_default()
    } else {
        String::new()
    };
    let name = path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
    Ok(info(name.into_owned(), &meta, target))
}

fn info(name: String, meta: &fs::Metadata, target: String) -> FileInfo {
    let kind = meta.file_type();
    FileInfo {
        name,
        kind: if kind.is_file() {
            FileKind::File
        } else if kind.is_dir() {
            FileKind::Directory
        } else if kind.is_symlink() {
            FileKind::Symlink
        } else {
            FileKind::Other
        },
        size: meta.size(),
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        modified_ms: milliseconds(meta.mtime(), meta.mtime_nsec()),
        accessed_ms: milliseconds(meta.atime(), meta.atime_nsec()),
        target,
    }
}

fn milliseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)
}

fn list(path: &str) -> Result<Vec<FileInfo>> {
    let directory = Path::new(path);
    let itself = describe(directory).on("stat", path)?;
    // A link to a directory is listed, as the path with a slash would be.
    if !fs::metadata(directory).is_ok_and(|meta| meta.is_dir()) {
        return Ok(vec![itself]);
    }
    let entries = fs::read_dir(directory).on("list", path)?;
    let named = |name: &str, at: PathBuf| describe(&at).map(|info| FileInfo { name: name.to_owned(), ..info });
    let mut all = Vec::new();
    all.extend(named(".", directory.join(".")).ok());
    all.extend(named("..", directory.join("..")).ok());
    for entry in entries {
        let entry = entry.on("list", path)?;
        // What is gone again since is left out.
        all.extend(describe(&entry.path()).ok());
    }
    Ok(all)
}

fn make_dir(path: &str, parents: bool, mode: u32) -> Result<()> {
    if let (true, Some(parent)) = (parents, Path::new(path).parent()) {
        fs::DirBuilder::new().recursive(true).create(parent).on("make directories above", path)?;
    }
    fs::DirBuilder::new().mode(mode & 0o7777).create(path).on("make directory", path)
}

fn rename(from: &str, to: &str, overwrite: bool) -> Result<()> {
    let result = if overwrite {
        rustix::fs::rename(from, to)
    } else {
        rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
    };
    match result {
        // Another file system, or a directory that is in the template.
        Err(rustix::io::Errno::XDEV) => {
            if overwrite && fs::symlink_metadata(to).is_ok_and(|meta| !meta.is_dir()) {
                fs::remove_file(to).on("replace", to)?;
            }
            tree::copy(Path::new(from), Path::new(to), tree::Attributes::Guest).on("copy to", to)?;
            if fs::symlink_metadata(from).on("stat", from)?.is_dir() {
                fs::remove_dir_all(from).on("remove", from)
            } else {
                fs::remove_file(from).on("remove", from)
            }
        }
        other => other.on("rename", from),
    }
}

fn set_attributes(path: &str, attributes: Attributes) -> Result<()> {
    // The owner first: changing it clears the setuid bit that the mode may set.
    if attributes.uid.is_some() || attributes.gid.is_some() {
        std::os::unix::fs::chown(path, attributes.uid, attributes.gid).on("change owner of", path)?;
    }
    if let Some(mode) = attributes.mode {
        fs::set_permissions(path, Permissions::from_mode(mode & 0o7777)).on("change mode of", path)?;
    }
    if attributes.modified_ms.is_some() || attributes.accessed_ms.is_some() {
        let times = Timestamps {
            last_access: timestamp(attributes.accessed_ms),
            last_modification: timestamp(attributes.modified_ms),
        };
        rustix::fs::utimensat(CWD, path, &times, AtFlags::empty()).on("change times of", path)?;
    }
    Ok(())
}

fn timestamp(ms: Option<i64>) -> Timespec {
    match ms {
        Some(ms) => Timespec { tv_sec: ms.div_euclid(1000), tv_nsec: ms.rem_euclid(1000).saturating_mul(1_000_000) },
        None => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
    }
}

fn temporary(name: &NewName, make: impl Fn(&Path) -> io::Result<()>) -> Result<String> {
    let directory = name.directory.as_deref().unwrap_or("/tmp");
    let mut tries = 0;
    loop {
        let mut random = [0; 6];
        getrandom::fill(&mut random).map_err(|e| Error::Internal(format!("no random numbers: {e}")))?;
        let letters: String =
            random.iter().map(|byte| char::from_digit(u32::from(*byte) % 36, 36).unwrap_or('x')).collect();
        let path = Path::new(directory).join(format!("{}{letters}{}", name.prefix, name.suffix));
        let shown = path.to_string_lossy().into_owned();
        match make(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 100 => tries += 1,
            other => return other.on("make", &shown).map(|()| shown),
        }
    }
}

/// All processes but this helper.
pub fn processes() -> Result<Vec<ProcessInfo>> {
    let names = accounts::names();
    let boot = fs::read_to_string("/proc/stat")
        .on("read", "/proc/stat")?
        .lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse::<i64>().ok())
        .unwrap_or(0);
    let ticks = sys::ticks_per_second();
    let own = std::process::id();
    let mut all: Vec<ProcessInfo> = fs::read_dir("/proc")
        .on("list", "/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        // What ended meanwhile is left out.
        .filter_map(|pid| process(pid, boot, ticks, &names))
        .collect();
    all.sort_by_key(|process| process.pid);
    Ok(all)
}

fn process(pid: u32, boot: i64, ticks: i64, names: &[(u32, String)]) -> Option<ProcessInfo> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let stat = fs::read(directory.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name is in parentheses and may itself contain some.
    let (head, tail) = stat.rsplit_once(") ")?;
    let name = head.split_once('(')?.1.to_owned();
    let mut fields = tail.split(' ');
    let parent = fields.nth(1)?.parse().ok()?;
    let started: i64 = fields.nth(17)?.parse().ok()?;
    // Init's own directory in /proc belongs to the host's root, which is nobody here.
    let uid = if pid == 1 { 0 } else { fs::metadata(&directory).ok()?.uid() };
    let arguments = fs::read(directory.join("cmdline")).unwrap_or_default();
    let arguments = String::from_utf8_lossy(&arguments).trim_end_matches('\0').replace('\0', " ");
    Some(ProcessInfo {
        pid,
        parent,
        command_line: if pid == 1 {
            "/sbin/init".to_owned()
        } else if arguments.is_empty() {
            format!("[{name}]")
        } else {
            arguments
        },
        name: if pid == 1 { "init".to_owned() } else { name },
        uid,
        owner: names.iter().find(|(id, _)| *id == uid).map_or_else(|| uid.to_string(), |(_, name)| name.clone()),
        started_ms: boot.saturating_mul(1000).saturating_add(started.saturating_mul(1000) / ticks),
    })
}
