//! Templates' file systems: the host's own, a directory, a tar archive.
//!
//! A template is a set of *tops*: folders of the guest that are an overlay of their own. The root is always one. The
//! host's system has one for each of its folders that guests may see, so that it works for ordinary users too, for
//! whom a folder with something mounted inside can't be a lower layer; everything else is a skeleton in the store.

use super::hints::{self, step};
use super::{Error, Ids, Result, host, ids, sys};
use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use rustix::thread::ThreadNameSpaceType;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A folder of the guest that is an overlay of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Top {
    /// Where in the guest, without the leading slash; empty is the root.
    pub at: String,
    /// Lower layers in the store, the uppermost first.
    pub lowers: Vec<String>,
}

impl Top {
    /// A name for directories in layers: no character means anything in mount options.
    pub fn key(&self) -> String {
        if self.at.is_empty() {
            return "root".to_owned();
        }
        let escape = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) { c.to_string() } else { format!("%{:X}", u32::from(c)) }
        };
        format!("at-{}", self.at.chars().map(escape).collect::<String>())
    }
}

/// What building templates needs to know.
#[derive(Debug)]
pub struct Builder<'a> {
    /// Which ids guests run with.
    pub ids: Ids,
    /// A user namespace with guests' ids.
    pub namespace: Option<&'a OwnedFd>,
    /// The template's directory in the store, fresh.
    pub directory: &'a Path,
}

impl Builder<'_> {
    /// The host's own system.
    pub fn host(&self) -> Result<Vec<Top>> {
        host::build(self)
    }

    /// A directory with a root file system.
    pub fn directory(&self, path: &Path) -> Result<Vec<Top>> {
        let what = |error: io::Error| Error::Internal(format!("template {}: {error}", path.display()));
        let meta = fs::metadata(path).map_err(what)?;
        if !meta.is_dir() {
            return Err(Error::Internal(format!("template {}: neither a directory nor a tar archive", path.display())));
        }
        self.looks_like_a_root(path, &path.display().to_string())?;
        Ok(vec![self.top("", path)?])
    }

    /// A tar archive of a root file system.
    pub fn tar(&self, archive: File) -> Result<Vec<Top>> {
        let root = self.directory.join("root");
        let failed = |error: io::Error| {
            Error::Internal(format!("the template's archive can't be unpacked: {}", with_causes(&error)))
        };
        self.make(&root, 0o755).map_err(failed)?;
        let archive = uncompressed(archive)?;
        let lowers = vec![shown(&root)];
        if self.ids == Ids::Shifted
            && let Some(namespace) = self.namespace
        {
            // From here on this process is a guest's root, and owners come out right by themselves.
            rustix::thread::move_into_thread_name_spaces(namespace.as_fd(), ThreadNameSpaceType::USER)
                .map_err(|error| failed(error.into()))?;
            let (uid, gid) = (rustix::thread::Uid::ROOT, rustix::thread::Gid::ROOT);
            rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|error| failed(error.into()))?;
            rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|error| failed(error.into()))?;
        }
        // Links in the archive then mean what they mean in the guest, and nothing leads out.
        rustix::process::chroot(&root).map_err(|error| failed(error.into()))?;
        std::env::set_current_dir("/").map_err(failed)?;
        rustix::process::umask(rustix::fs::Mode::empty());
        unpack(archive, self.ids != Ids::Single).map_err(failed)?;
        self.looks_like_a_root(Path::new("/"), "the template's archive")?;
        Ok(vec![Top { at: String::new(), lowers }])
    }

    /// A folder of the host as a top, read-only, its owners shifted, and for an ordinary user with folders of its own
    /// above, since the kernel lets nobody copy what belongs to ids without a mapping.
    pub fn top(&self, at: &str, path: &Path) -> Result<Top> {
        let mut top = Top { at: at.to_owned(), lowers: Vec::new() };
        let key = top.key();
        let what = format!("{} {}", hints::TEMPLATE, path.display());
        let fail = |error: io::Error| match hints::refused(hints::TEMPLATE, &error) {
            Error::Refused { cause, hint, .. } => Error::Refused { what: what.clone(), cause, hint },
            other => other,
        };
        let point = self.directory.join(&key);
        self.make(&point, 0o755).map_err(fail)?;
        self.bind(path, &point).map_err(fail)?;
        if self.ids.is_user() && fs::metadata(&point).map_err(fail)?.uid() != 0 {
            let own = self.directory.join(format!("{key}-own"));
            self.own_folders(&point, &own).map_err(fail)?;
            top.lowers.push(shown(&own));
        }
        top.lowers.push(shown(&point));
        Ok(top)
    }

    /// Makes a directory in the store that belongs to guests' root.
    pub fn make(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::DirBuilder::new().mode(mode).create(path)?;
        self.ids.own(path, 0, 0)
    }

    /// Marks a directory in the store as hiding what lies below it.
    pub fn hide_below(&self, path: &Path) -> io::Result<()> {
        let name = if self.ids.is_user() { "user.overlay.opaque" } else { "trusted.overlay.opaque" };
        Ok(rustix::fs::setxattr(path, name, b"y", rustix::fs::XattrFlags::empty())?)
    }

    fn bind(&self, path: &Path, point: &Path) -> io::Result<()> {
        let mount = open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
        if let (Ids::Shifted, Some(namespace)) = (self.ids, self.namespace) {
            sys::shift_owners(&mount, namespace)?;
        }
        Ok(move_mount(mount, "", CWD, point, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
    }

    /// Copies a tree's directories without what is in them. Those that can't be read are shown empty.
    fn own_folders(&self, from: &Path, to: &Path) -> io::Result<()> {
        let meta = fs::metadata(from)?;
        self.make(to, meta.mode() & 0o7777)?;
        let entries = match fs::read_dir(from) {
            Ok(entries) => entries,
            Err(_) => {
                // Not possible in a tmpfs before Linux 6.6; then opening it fails in the guest instead.
                let _ = self.hide_below(to);
                return Ok(());
            }
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                self.own_folders(&entry.path(), &to.join(entry.file_name()))?;
            }
        }
        Ok(())
    }

    fn looks_like_a_root(&self, path: &Path, name: &str) -> Result<()> {
        let there = |inside: &str| fs::symlink_metadata(path.join(inside)).is_ok();
        if there("bin") || there("usr/bin") || there("sbin") {
            Ok(())
        } else {
            Err(Error::Internal(format!("{name}: no root file system: it has neither /bin nor /usr/bin")))
        }
    }
}

/// An error and what it comes from; the archive's reader names the entry only.
fn with_causes(error: &io::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// A path in the store, as text for mount options; the store's own names are plain.
fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn uncompressed(mut archive: File) -> Result<File> {
    let mut magic = [0; 6];
    let read = archive.read(&mut magic).unwrap_or(0);
    let kind = match magic.get(..read).unwrap_or_default() {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("xz"),
        [b'B', b'Z', b'h', ..] => Some("bzip2"),
        _ => None,
    };
    if let Some(kind) = kind {
        return Err(Error::Internal(format!("the template's archive is compressed with {kind}: uncompress it first")));
    }
    step("reading the template's archive", archive.rewind())?;
    Ok(archive)
}

fn unpack(archive: File, owners: bool) -> io::Result<()> {
    let mut archive = tar::Archive::new(io::BufReader::with_capacity(1 << 20, archive));
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(owners);
    archive.set_preserve_mtime(true);
    archive.set_overwrite(true);
    let mut directories = Vec::new();
    for (number, entry) in archive.entries()?.enumerate() {
        let mut entry = match entry {
            Err(error) if number == 0 => {
                let text = format!("it is no tar archive: {}", with_causes(&error));
                return Err(io::Error::new(error.kind(), text));
            }
            entry => entry?,
        };
        let kind = entry.header().entry_type();
        if kind.is_character_special() || kind.is_block_special() || kind.is_fifo() {
            // Devices are the warden's to make.
            continue;
        }
        if kind.is_dir() {
            // Their modes may forbid to put anything in.
            directories.push(entry);
        } else {
            entry.unpack_in("/")?;
        }
    }
    directories.sort_by(|a, b| b.path_bytes().cmp(&a.path_bytes()));
    for mut directory in directories {
        directory.unpack_in("/")?;
    }
    Ok(())
}

/// The mount points of this process' mount namespace.
pub fn mount_points() -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    fs::read("/proc/self/mountinfo")
        .unwrap_or_default()
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(std::ffi::OsString::from_vec(unescape(field))))
        .collect()
}

/// Undoes the kernel's octal escapes of spaces, tabs, newlines and backslashes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = (*first == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match octal {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// Whether owners of files can be shifted here, tried on a folder that every template of the host uses.
pub fn can_shift(namespace: &OwnedFd) -> bool {
    open_tree(CWD, "/usr", OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
        .is_ok_and(|mount| sys::shift_owners(&mount, namespace).is_ok())
}

/// Makes the namespace to shift by, as long as ids are shifted.
pub fn shifting_namespace(ids: Ids) -> Option<OwnedFd> {
    (ids == Ids::Shifted).then(|| ids::namespace(ids).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_no_character_that_mount_options_know() {
        let key = |at: &str| Top { at: at.to_owned(), lowers: Vec::new() }.key();
        assert_eq!(key(""), "root");
        assert_eq!(key("var/lib/dpkg"), "at-var%2Flib%2Fdpkg");
        assert_eq!(key("a:b,c\\d"), "at-a%3Ab%2Cc%5Cd");
    }

    #[test]
    fn undoes_the_kernels_escapes() {
        assert_eq!(unescape(br"/mnt/a\040b\134c"), br"/mnt/a b\c");
        assert_eq!(unescape(br"/x\9"), br"/x\9");
    }
}
