//! Copies of directory trees: of a layer as it lies in the store, and of what a guest moves between file systems.

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What besides content is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attributes {
    /// Everything, overlay's marks of what is deleted or replaced included; it is an error when that fails.
    Layer,
    /// What the guest's account may set.
    Guest,
}

/// Copies a file or tree to a path that doesn't exist yet. What vanishes meanwhile is left out.
pub fn copy(from: &Path, to: &Path, attributes: Attributes) -> io::Result<()> {
    Copier { attributes, linked: HashMap::new() }.copy(from, to)
}

struct Copier {
    attributes: Attributes,
    /// Copies of files with several names, by device and inode.
    linked: HashMap<(u64, u64), PathBuf>,
}

impl Copier {
    fn copy(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let meta = fs::symlink_metadata(from)?;
        let kind = meta.file_type();
        if !kind.is_dir() && meta.nlink() > 1 {
            let key = (meta.dev(), meta.ino());
            if let Some(first) = self.linked.get(&key) {
                return fs::hard_link(first, to);
            }
            self.linked.insert(key, to.to_owned());
        }
        if kind.is_dir() {
            fs::create_dir(to)?;
            for entry in fs::read_dir(from)? {
                let name = entry?.file_name();
                match self.copy(&from.join(&name), &to.join(&name)) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    other => other?,
                }
            }
        } else if kind.is_file() {
            let mut source = File::open(from)?;
            let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
            io::copy(&mut source, &mut target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(from)?, to)?;
        } else {
            let kind = if kind.is_char_device() {
                FileType::CharacterDevice
            } else if kind.is_block_device() {
                FileType::BlockDevice
            } else if kind.is_fifo() {
                FileType::Fifo
            } else {
                // A socket means nothing without the process that listens on it.
                return Ok(());
            };
            // 0:0 marks what a layer deletes, and anybody may make it.
            rustix::fs::mknodat(CWD, to, kind, Mode::from_raw_mode(0o600), meta.rdev())?;
        }
        self.attributes(&meta, from, to)
    }

    fn attributes(&self, meta: &Metadata, from: &Path, to: &Path) -> io::Result<()> {
        let strict = self.attributes == Attributes::Layer;
        let owned = std::os::unix::fs::lchown(to, Some(meta.uid()), Some(meta.gid()));
        if strict {
            owned?;
        }
        if !meta.is_symlink() {
            fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o7777))?;
        }
        let extended = copy_extended(from, to);
        if strict {
            extended?;
        }
        let times = Timestamps {
            last_access: Timespec { tv_sec: meta.atime(), tv_nsec: meta.atime_nsec() },
            last_modification: Timespec { tv_sec: meta.mtime(), tv_nsec: meta.mtime_nsec() },
        };
        Ok(rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

fn copy_extended(from: &Path, to: &Path) -> io::Result<()> {
    let mut names = vec![0_u8; 64 << 10];
    let length = match rustix::fs::llistxattr(from, &mut names[..]) {
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(()),
        other => other?,
    };
    for name in names.get(..length).unwrap_or_default().split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0_u8; 64 << 10];
        let length = match rustix::fs::lgetxattr(from, name, &mut value[..]) {
            // Gone meanwhile, or not for us to see.
            Err(rustix::io::Errno::NODATA | rustix::io::Errno::PERM) => continue,
            other => other?,
        };
        rustix::fs::lsetxattr(to, name, value.get(..length).unwrap_or_default(), XattrFlags::empty())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_files_links_modes_and_times() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::create_dir_all(from.join("a/b"))?;
        fs::write(from.join("a/file"), "content")?;
        fs::hard_link(from.join("a/file"), from.join("a/b/same"))?;
        std::os::unix::fs::symlink("file", from.join("a/link"))?;
        fs::set_permissions(from.join("a"), fs::Permissions::from_mode(0o711))?;
        let old = Timespec { tv_sec: 1_000_000, tv_nsec: 5 };
        let times = Timestamps { last_access: old, last_modification: old };
        rustix::fs::utimensat(CWD, from.join("a/file"), &times, AtFlags::empty())?;
        copy(&from, &to, Attributes::Layer)?;
        assert_eq!(fs::read_to_string(to.join("a/b/same"))?, "content");
        assert_eq!(fs::metadata(to.join("a/file"))?.ino(), fs::metadata(to.join("a/b/same"))?.ino());
        assert_eq!(fs::read_link(to.join("a/link"))?, Path::new("file"));
        assert_eq!(fs::metadata(to.join("a"))?.mode() & 0o7777, 0o711);
        assert_eq!(fs::metadata(to.join("a/file"))?.mtime(), 1_000_000);
        Ok(())
    }
}
