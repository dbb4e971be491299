//! What comes out of a guest is put in its place here. The guest may be hostile: its archive is taken for what was asked for
//! and nothing else, and nothing is ever written, or moved, through a link that came with it.

use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Entry, EntryType};

use super::batch::local;
use super::error::{Error, Result};
use super::visible;

/// A path that was asked for.
pub(super) struct Wanted {
    /// As it was written.
    path: String,
    /// Its names, from the root on.
    relative: PathBuf,
    /// The last of them.
    name: PathBuf,
}

impl Wanted {
    /// An absolute path to something other than `/`.
    pub fn of(path: &str) -> Result<Self> {
        let drive = super::archive::drive_as_directory(path);
        let path = drive.as_deref().unwrap_or(path);
        let refuse = |detail: &str| Error::Copy { path: path.to_owned(), detail: detail.to_owned() };
        if !path.starts_with('/') || path.contains('\0') {
            return Err(refuse("it is no absolute path to something"));
        }
        if path.split('/').any(|part| part == "..") {
            return Err(refuse("it has `..` in it: write where it leads"));
        }
        let relative = relative(Path::new(path)).unwrap_or_default();
        match relative.file_name() {
            Some(name) => Ok(Wanted { path: path.to_owned(), name: PathBuf::from(name), relative }),
            None => Err(refuse("it is no absolute path to something")),
        }
    }
}

/// The names in a path, none of which may climb; its root and `.` are left out.
fn relative(path: &Path) -> Option<PathBuf> {
    path.components()
        .filter(|part| !matches!(part, Component::RootDir | Component::CurDir))
        .map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// Unpacks an archive here and moves what was asked for to its places. One file or directory goes to `dest` itself, unless
/// `into` is set or `dest` is a directory.
/// `prefix` begins the name of the directory that it is unpacked in, which is gone at the end.
pub(super) fn place(
    archive: impl Read,
    wanted: &[Wanted],
    dest: &Path,
    into: bool,
    prefix: &str,
) -> Result<Vec<PathBuf>> {
    let single = single(wanted.len(), dest, into);
    let directory = fetched_into(wanted.len(), dest, into);
    fs::create_dir_all(directory).map_err(|e| local(directory, &e))?;
    // Beside the destination, so that a rename does, and nothing half-written ever has its final name.
    let scratch = tempfile::Builder::new().prefix(prefix).tempdir_in(directory).map_err(|e| local(directory, &e))?;
    unpack(&mut Archive::new(archive), wanted, scratch.path())?;
    let mut written = Vec::new();
    for wanted in wanted {
        let from = scratch.path().join(&wanted.relative);
        if fs::symlink_metadata(&from).is_err() {
            let detail = "the guest sent an archive without it".to_owned();
            return Err(Error::Copy { path: wanted.path.clone(), detail });
        }
        let to = if single { dest.to_owned() } else { dest.join(&wanted.name) };
        move_into(&from, &to)?;
        written.push(to);
    }
    Ok(written)
}

/// Whether what is fetched gets the destination's own name.
fn single(count: usize, dest: &Path, into: bool) -> bool {
    count == 1 && !into && !dest.is_dir()
}

/// The directory in which so many things that are fetched will be.
pub fn fetched_into(count: usize, dest: &Path, into: bool) -> &Path {
    match single(count, dest, into) {
        true => dest.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")),
        false => dest,
    }
}

/// What the names of directories begin with in which a build unpacks what it fetches.
pub(super) fn prefix(build: Option<&str>) -> String {
    build.map_or_else(|| ".vmwbuild-".to_owned(), |build| format!(".vmwbuild-{build}-"))
}

/// Removes what a process of a build that was killed has left half unpacked in a directory.
pub fn remove_unpacked(directory: &Path, build: &str) {
    let prefix = prefix(Some(build));
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.filter_map(|entry| entry.ok()) {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix));
        if ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // What can't be removed is in nobody's way.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Unpacks what was asked for into an empty directory of ours.
fn unpack(archive: &mut Archive<impl Read>, wanted: &[Wanted], scratch: &Path) -> Result<()> {
    let all = || wanted.iter().map(|w| w.path.as_str()).collect::<Vec<_>>().join(" ");
    let broken = |e: &std::io::Error| Error::Copy {
        path: all(),
        detail: visible(&std::error::Error::source(e).map_or_else(|| e.to_string(), |s| format!("{e}: {s}"))),
    };
    archive.set_preserve_mtime(true);
    for entry in archive.entries().map_err(|e| broken(&e))? {
        let mut entry = entry.map_err(|e| broken(&e))?;
        let said = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let refused = |why: &str| Error::Copy {
            path: all(),
            detail: format!("the guest sent `{}`, {why}", visible(&said).replace('\n', "\\n")),
        };
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let path = checked(&entry, wanted).map_err(refused)?;
        // What is in the way is never followed, and a file never becomes a directory or the other way round.
        let before = fs::symlink_metadata(scratch.join(&path)).ok();
        if before.is_some_and(|before| before.is_dir() != kind.is_dir()) {
            return Err(refused("a file and a directory at once"));
        }
        match entry.unpack_in(scratch) {
            Ok(true) => {}
            Ok(false) => return Err(refused("which leads out of what was asked for")),
            Err(e) if is_ours(&e) => {
                let path = scratch.parent().unwrap_or(scratch).display().to_string();
                // What is around it speaks of passing names.
                let chain = std::iter::successors(std::error::Error::source(&e), |inner| inner.source());
                let detail = chain.last().map_or_else(|| e.to_string(), ToString::to_string);
                return Err(Error::Local { path, detail });
            }
            Err(e) => return Err(broken(&e)),
        }
        #[cfg(unix)]
        if kind.is_dir() {
            use std::os::unix::fs::PermissionsExt;
            // Else nobody but root could go on in it, or move or remove it.
            let mode = entry.header().mode().unwrap_or(0o755) & 0o777 | 0o700;
            let to = scratch.join(&path);
            fs::set_permissions(&to, fs::Permissions::from_mode(mode)).map_err(|e| local(&to, &e))?;
        }
    }
    Ok(())
}

/// Whether it is here that an archive can't be unpacked, whatever is in it.
fn is_ours(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), FileTooLarge | QuotaExceeded | ReadOnlyFilesystem | StorageFull)
}

/// Where an entry goes, or why not.
fn checked(entry: &Entry<'_, impl Read>, wanted: &[Wanted]) -> std::result::Result<PathBuf, &'static str> {
    if entry.path_bytes().contains(&0) {
        return Err("a name with a NUL in it");
    }
    let outside = "which was not asked for";
    let path = entry.path().map_err(|_| "a name that can't be one here")?;
    let path = relative(&path).filter(|_| !path.is_absolute()).ok_or(outside)?;
    let root = wanted.iter().find(|wanted| path.starts_with(&wanted.relative)).ok_or(outside)?;
    match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::Directory => {}
        // A link that was asked for itself is followed in the guest.
        EntryType::Symlink if path == root.relative => return Err("a link instead of what it leads to"),
        EntryType::Symlink => {}
        EntryType::Link => {
            let target = entry.link_name().ok().flatten().and_then(|target| relative(&target));
            if !target.is_some_and(|target| wanted.iter().any(|wanted| target.starts_with(&wanted.relative))) {
                return Err("a link to what was not asked for");
            }
        }
        EntryType::GNUSparse => return Err("a file with holes: its size may be any"),
        EntryType::Block | EntryType::Char | EntryType::Fifo => return Err("a device or named pipe"),
        _ => return Err("of a kind that is unknown"),
    }
    Ok(path)
}

/// Moves a file over another, or a directory into another.
fn move_into(from: &Path, to: &Path) -> Result<()> {
    let directory = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    if directory(from) && directory(to) {
        for entry in fs::read_dir(from).map_err(|e| local(from, &e))? {
            let entry = entry.map_err(|e| local(from, &e))?;
            move_into(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    fs::rename(from, to).map_err(|e| local(to, &e))
}

#[cfg(test)]
mod tests {
    use tar::{Builder, Header};

    use super::*;

    /// An entry as raw as a hostile guest writes it: nothing of its name is checked.
    fn entry(tar: &mut Builder<Vec<u8>>, kind: EntryType, name: &[u8], link: &[u8], content: &[u8]) {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        if let Some(gnu) = header.as_gnu_mut().filter(|_| kind == EntryType::GNUSparse) {
            // One hole of 8 GiB.
            (gnu.sparse[0].offset, gnu.sparse[0].numbytes) = (*b"77777777777\0", *b"00000000000\0");
            gnu.realsize = *b"77777777777\0";
        }
        header.set_cksum();
        tar.append(&header, content).expect("appended");
    }

    type Raw<'a> = (EntryType, &'a [u8], &'a [u8], &'a [u8]);

    /// All that is below a directory: names, kinds and contents, links not followed.
    fn tree(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut todo = vec![root.to_owned()];
        while let Some(path) = todo.pop() {
            let meta = fs::symlink_metadata(&path).expect("there");
            let name = path.strip_prefix(root).expect("below").display().to_string();
            if meta.is_dir() {
                todo.extend(fs::read_dir(&path).expect("a list").map(|e| e.expect("an entry").path()));
                found.push(format!("{name}/"));
            } else if meta.is_symlink() {
                found.push(format!("{name} -> {}", fs::read_link(&path).expect("a link").display()));
            } else {
                found.push(format!("{name}: {}", String::from_utf8_lossy(&fs::read(&path).expect("read"))));
            }
        }
        found.sort();
        found
    }

    /// Fetches `asked` of an archive of these entries to `world/here/out`; what it says, and the world then. `%` in names and
    /// links stands for where the world is.
    fn attack(asked: &str, entries: &[Raw<'_>]) -> (String, Vec<String>) {
        let world = tempfile::tempdir().expect("a directory");
        fs::create_dir(world.path().join("here")).expect("made");
        fs::write(world.path().join("victim"), "whole").expect("written");
        let place_of = |text: &[u8]| {
            let text = String::from_utf8_lossy(text).replace('%', &world.path().display().to_string());
            text.into_bytes()
        };
        let mut tar = Builder::new(Vec::new());
        for (kind, name, link, content) in entries {
            entry(&mut tar, *kind, &place_of(name), &place_of(link), content);
        }
        let archive = tar.into_inner().expect("an archive");
        let asked = Wanted::of(&String::from_utf8(place_of(asked.as_bytes())).expect("text")).expect("a path");
        let said = match place(archive.as_slice(), &[asked], &world.path().join("here/out"), false, ".vmwbuild-") {
            Ok(_) => "fetched".to_owned(),
            Err(e) => e.to_string().replace(&world.path().display().to_string(), "%"),
        };
        (said, tree(world.path()))
    }

    const FILE: EntryType = EntryType::Regular;
    const DIR: EntryType = EntryType::Directory;
    const LINK: EntryType = EntryType::Symlink;
    const HARD: EntryType = EntryType::Link;

    #[test]
    fn an_honest_archive_is_fetched() {
        let (said, world) = attack(
            "/srv/data",
            &[
                (DIR, b"./srv/data/", b"", b""),
                (FILE, b"./srv/data/new\nline", b"", b"one"),
                (LINK, b"./srv/data/link", b"/etc/passwd", b""),
                (HARD, b"./srv/data/same", b"./srv/data/new\nline", b""),
                (FILE, b"./srv/data/twice", b"", b"first"),
                (FILE, b"./srv/data/twice", b"", b"second"),
            ],
        );
        assert_eq!(said, "fetched");
        let want = [
            "/",
            "here/",
            "here/out/",
            "here/out/link -> /etc/passwd",
            "here/out/new\nline: one",
            "here/out/same: one",
            "here/out/twice: second",
            "victim: whole",
        ];
        assert_eq!(world, want);
    }

    #[test]
    fn nothing_leaves_the_destination_and_nothing_half_stays() {
        let attacks: &[(&str, &str, &[Raw<'_>])] = &[
            ("/f", "`/f`, which was not asked for", &[(FILE, b"/f", b"", b"x")]),
            ("/f", "`%/victim`, which was not asked for", &[(FILE, b"%/victim", b"", b"x")]),
            ("/f", "`../victim`, which was not asked for", &[(FILE, b"../victim", b"", b"x")]),
            ("/f", "`f/../../victim`, which was not asked for", &[(FILE, b"f/../../victim", b"", b"x")]),
            ("/f", "`g`, which was not asked for", &[(FILE, b"./f", b"", b"x"), (FILE, b"g", b"", b"x")]),
            // By a link above it, a file of ours would be moved away.
            ("/%/victim", "which was not asked for", &[(LINK, b"./tmp", b"/tmp", b"")]),
            ("/f", "a link instead of what it leads to", &[(LINK, b"./f", b"%", b"")]),
            (
                "/d",
                "outside of destination",
                &[(DIR, b"./d", b"", b""), (LINK, b"./d/l", b"%", b""), (FILE, b"./d/l/victim", b"", b"x")],
            ),
            ("/d", "outside of destination", &[(LINK, b"./d/l", b"../../..", b""), (FILE, b"./d/l/victim", b"", b"x")]),
            ("/d", "a file and a directory at once", &[(LINK, b"./d/l", b"%", b""), (DIR, b"./d/l", b"", b"")]),
            ("/d", "a file and a directory at once", &[(DIR, b"./d/l", b"", b""), (LINK, b"./d/l", b"%", b"")]),
            ("/d", "a file and a directory at once", &[(FILE, b"./d/f", b"", b"x"), (DIR, b"./d/f", b"", b"")]),
            ("/d", "", &[(FILE, b"./d/f", b"", b"x"), (FILE, b"./d/f/g", b"", b"x")]),
            ("/d", "a link to what was not asked for", &[(HARD, b"./d/f", b"%/victim", b"")]),
            ("/d", "a link to what was not asked for", &[(HARD, b"./d/f", b"d/../../victim", b"")]),
            ("/d", "", &[(LINK, b"./d/l", b"%/victim", b""), (HARD, b"./d/h", b"d/l", b"")]),
            ("/f", "a device or named pipe", &[(EntryType::Char, b"./f", b"", b"")]),
            ("/f", "a device or named pipe", &[(EntryType::Block, b"./f", b"", b"")]),
            ("/f", "a device or named pipe", &[(EntryType::Fifo, b"./f", b"", b"")]),
            ("/f", "a file with holes", &[(EntryType::GNUSparse, b"./f", b"", b"")]),
            ("/f", "of a kind that is unknown", &[(EntryType::new(b'V'), b"./f", b"", b"")]),
            ("/f", "without it", &[]),
            ("/d/f", "a file and a directory at once", &[(FILE, b"./d/f/x", b"", b"x"), (FILE, b"./d/f", b"", b"x")]),
            ("/d", "\\u{1b}]0;title", &[(FILE, b"\x1b]0;title", b"", b"x")]),
        ];
        for (asked, says, entries) in attacks {
            let (said, world) = attack(asked, entries);
            assert!(said != "fetched" && said.contains(says), "{entries:?}: {said}");
            assert!(!said.chars().any(char::is_control), "{said:?}");
            assert_eq!(world, ["/", "here/", "victim: whole"], "{entries:?}: {said}");
        }
    }

    #[test]
    fn a_size_that_is_a_lie_is_no_file() {
        let world = tempfile::tempdir().expect("a directory");
        let mut header = Header::new_gnu();
        header.set_path("f").expect("a name");
        header.set_size(1 << 50);
        header.set_cksum();
        let archive = [header.as_bytes().as_slice(), &[7; 5000]].concat();
        let dest = world.path().join("out");
        place(archive.as_slice(), &[Wanted::of("/f").expect("a path")], &dest, false, ".vmwbuild-").expect_err("a lie");
        assert_eq!(tree(world.path()).len(), 1, "{:?}", tree(world.path()));
    }

    #[test]
    fn paths_that_name_nothing_are_refused() {
        for path in ["", "/", "a", "/a/../b", "//", "/a\0b", "/."] {
            assert!(Wanted::of(path).is_err(), "{path:?}");
        }
        assert_eq!(Wanted::of("//a/./b/").expect("a path").relative, Path::new("a/b"));
    }
}
