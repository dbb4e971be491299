//! Layers as a file: what a disk is when it leaves a sandbox, or comes to one.
//!
//! A tar archive. Its first entry, `vmwbuild-layers.json`, tells the template that everything lies on and how many layers
//! there are; after it come the layers' own files, those of the lowest below `0/`, as overlay keeps them: a character
//! device 0:0 marks what a layer deletes, and extended attributes `trusted.overlay.*` what it replaces. Owners are those
//! of the guest. Other devices, sockets and attributes that the kernel trusts (capabilities, access lists) aren't kept:
//! an archive may come from anywhere.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use std::collections::HashMap;

use super::head::Head;
use super::ids::{COUNT, SHIFT};
use super::{Ids, LayerId, store::layer_path};

/// Overlay's attributes, as a root and as an ordinary user has them.
const TRUSTED: &str = "trusted.overlay.";
const OWN: &str = "user.overlay.";

/// Writes layers, the lowest first.
pub fn pack(ids: Ids, template: &str, layers: &[LayerId], to: File) -> io::Result<()> {
    let mut builder = tar::Builder::new(io::BufWriter::with_capacity(1 << 20, to));
    Head::new(template, layers.len() as u32).write(&mut builder)?;
    for (number, layer) in layers.iter().enumerate() {
        let mut packer = Packer { ids, root: layer_path(*layer), builder: &mut builder, linked: HashMap::new() };
        for name in names(&packer.root)? {
            if name != "meta.json" && name != "meta.new" {
                packer.add(Path::new(&name), &PathBuf::from(number.to_string()))?;
            }
        }
    }
    builder.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?.flush()
}

/// What is in a directory, in an order that is always the same.
fn names(path: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names: Vec<_> = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

struct Packer<'a, W: Write> {
    ids: Ids,
    root: PathBuf,
    builder: &'a mut tar::Builder<W>,
    /// Names of files with several of them, by inode.
    linked: HashMap<u64, PathBuf>,
}

impl<W: Write> Packer<'_, W> {
    fn add(&mut self, relative: &Path, prefix: &Path) -> io::Result<()> {
        let (path, name) = (self.root.join(relative), prefix.join(relative));
        let meta = fs::symlink_metadata(&path)?;
        let kind = meta.file_type();
        let mut header = self.header(&meta);
        if !kind.is_dir() && meta.nlink() > 1 {
            if let Some(first) = self.linked.get(&meta.ino()) {
                header.set_entry_type(tar::EntryType::Link);
                return self.builder.append_link(&mut header, &name, prefix.join(first));
            }
            self.linked.insert(meta.ino(), relative.to_owned());
        }
        if !kind.is_symlink() {
            let attributes = attributes(&path)?;
            self.builder.append_pax_extensions(attributes.iter().map(|(key, value)| (key.as_str(), &value[..])))?;
        }
        if kind.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            self.builder.append_data(&mut header, &name, io::empty())?;
            for child in names(&path)? {
                self.add(&relative.join(child), prefix)?;
            }
        } else if kind.is_file() {
            header.set_size(meta.len());
            self.builder.append_data(&mut header, &name, File::open(&path)?.take(meta.len()))?;
        } else if kind.is_symlink() {
            header.set_entry_type(tar::EntryType::Symlink);
            self.builder.append_link(&mut header, &name, fs::read_link(&path)?)?;
        } else if kind.is_fifo() || (kind.is_char_device() && meta.rdev() == 0) {
            header.set_entry_type(if kind.is_fifo() { tar::EntryType::Fifo } else { tar::EntryType::Char });
            if kind.is_char_device() {
                header.set_device_major(0)?;
                header.set_device_minor(0)?;
            }
            self.builder.append_data(&mut header, &name, io::empty())?;
        }
        Ok(())
    }

    fn header(&self, meta: &Metadata) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        let guest = |id: u32| if self.ids == Ids::Shifted { id.saturating_sub(SHIFT) } else { id };
        header.set_uid(u64::from(guest(meta.uid())));
        header.set_gid(u64::from(guest(meta.gid())));
        header.set_mode(meta.mode() & 0o7777);
        header.set_mtime(u64::try_from(meta.mtime()).unwrap_or_default());
        header.set_size(0);
        header
    }
}

/// The attributes of a file that are kept, as an archive calls them.
fn attributes(path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(Vec::new()),
        other => other?,
    };
    let mut kept = Vec::new();
    for name in names.get(..length).unwrap_or_default().split(|byte| *byte == 0) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        let Some(called) = in_archive(name) else { continue };
        let mut value = vec![0; 64 << 10];
        match rustix::fs::lgetxattr(path, name, &mut value[..]) {
            Ok(length) => value.truncate(length),
            Err(rustix::io::Errno::NODATA | rustix::io::Errno::PERM) => continue,
            Err(error) => return Err(error.into()),
        }
        kept.push((format!("SCHILY.xattr.{called}"), value));
    }
    kept.sort();
    Ok(kept)
}

/// What an attribute is called in an archive; none when it isn't kept.
fn in_archive(name: &str) -> Option<String> {
    match name.strip_prefix(OWN).or_else(|| name.strip_prefix(TRUSTED)) {
        // The inode that a file was copied up from: another sandbox has others.
        Some("origin" | "uuid") => None,
        Some(overlay) => Some(format!("{TRUSTED}{overlay}")),
        None => name.starts_with("user.").then(|| name.to_owned()),
    }
}

/// Fills a fresh layer with the files of one layer of an archive. This process has its directory as its root from then
/// on, so that no link leads out of it.
pub fn unpack(ids: Ids, number: u32, from: File, layer: LayerId) -> io::Result<()> {
    let archive = io::BufReader::with_capacity(1 << 20, from);
    rustix::process::chroot(layer_path(layer))?;
    std::env::set_current_dir("/")?;
    rustix::process::umask(Mode::empty());
    let prefix = number.to_string();
    let mut archive = tar::Archive::new(archive);
    // Their modes and times come last, when nothing is put into them any more.
    let mut directories = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let Some(path) = within(&entry.path()?, &prefix)? else { continue };
        let made = Made::read(ids, &mut entry)?;
        put(&mut entry, &path, &prefix)?;
        if entry.header().entry_type().is_dir() {
            directories.push((path, made));
        } else if !entry.header().entry_type().is_hard_link() {
            made.apply(ids, &path, entry.header().entry_type().is_symlink())?;
        }
    }
    directories.iter().rev().try_for_each(|(path, made)| made.apply(ids, path, false))
}

/// The path of an entry within its layer; none when it belongs to another layer.
fn within(path: &Path, prefix: &str) -> io::Result<Option<PathBuf>> {
    let Ok(rest) = path.strip_prefix(prefix) else { return Ok(None) };
    let plain = rest.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || rest.as_os_str().is_empty() || rest == Path::new("meta.json") || rest == Path::new("meta.new") {
        return Err(io::Error::other(format!("an entry has the name {}", path.display())));
    }
    Ok(Some(Path::new("/").join(rest)))
}

fn put(entry: &mut tar::Entry<'_, impl Read>, path: &Path, prefix: &str) -> io::Result<()> {
    let kind = entry.header().entry_type();
    if kind.is_dir() {
        return match fs::create_dir(path) {
            // A layer has the folders that it covers from the beginning.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && fs::symlink_metadata(path)?.is_dir() => Ok(()),
            other => other,
        };
    }
    let target = || entry.link_name()?.ok_or_else(|| io::Error::other("a link without what it leads to"));
    if kind.is_symlink() {
        std::os::unix::fs::symlink(target()?, path)
    } else if kind.is_hard_link() {
        let first = within(&target()?, prefix)?;
        fs::hard_link(first.ok_or_else(|| io::Error::other("a link into another layer"))?, path)
    } else if kind.is_character_special() || kind.is_fifo() {
        let header = entry.header();
        if kind.is_character_special() && (header.device_major()?, header.device_minor()?) != (Some(0), Some(0)) {
            return Err(io::Error::other(format!("{} is a device", path.display())));
        }
        let kind = if kind.is_fifo() { FileType::Fifo } else { FileType::CharacterDevice };
        Ok(rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), 0)?)
    } else if kind.is_file() {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let (size, written) = (entry.size(), io::copy(entry, &mut file)?);
        match written == size {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends in the middle of a file")),
        }
    } else {
        Err(io::Error::other(format!("{} is of a kind that no layer has", path.display())))
    }
}

/// What a file has besides content.
struct Made {
    uid: u32,
    gid: u32,
    mode: u32,
    written: i64,
    attributes: Vec<(String, Vec<u8>)>,
}

impl Made {
    fn read(ids: Ids, entry: &mut tar::Entry<'_, impl Read>) -> io::Result<Made> {
        let mut attributes = Vec::new();
        if let Some(extensions) = entry.pax_extensions()? {
            for extension in extensions {
                let extension = extension?;
                let name = extension.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr."));
                // Only what is kept is taken: nothing that the kernel trusts comes from an archive.
                let Some(name) = name.and_then(in_archive) else { continue };
                let name = match name.strip_prefix(TRUSTED) {
                    Some(overlay) if ids.is_user() => format!("{OWN}{overlay}"),
                    _ => name,
                };
                attributes.push((name, extension.value_bytes().to_vec()));
            }
        }
        let id = |id: u64| ids.in_store(u32::try_from(id).unwrap_or(COUNT));
        let header = entry.header();
        Ok(Made {
            uid: id(header.uid()?),
            gid: id(header.gid()?),
            mode: header.mode()? & 0o7777,
            written: i64::try_from(header.mtime()?).unwrap_or_default(),
            attributes,
        })
    }

    fn apply(&self, ids: Ids, path: &Path, symlink: bool) -> io::Result<()> {
        if ids != Ids::Single {
            std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))?;
        }
        if !symlink {
            fs::set_permissions(path, fs::Permissions::from_mode(self.mode))?;
        }
        for (name, value) in &self.attributes {
            rustix::fs::lsetxattr(path, OsStr::from_bytes(name.as_bytes()), value, XattrFlags::empty())?;
        }
        let time = Timespec { tv_sec: self.written, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}
