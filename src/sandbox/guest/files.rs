//! Files in guests.

use std::sync::Arc;

use regex::Regex;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Access, absolute, processes::moment, transfers};
use crate::sandbox::faults::{Answer, file, invalid_argument, of_file, unknown_method};
use crate::sandbox::guests::{Attributes, Error, FileInfo, FileKind, NewName};
use crate::sandbox::server::{Call, Server};
use crate::vsphere::wire::{
    ChangeFileAttributesInGuest, CreateTemporaryDirectoryInGuest, CreateTemporaryFileInGuest, DeleteDirectoryInGuest,
    DeleteFileInGuest, Element, GuestFileAttributes, GuestFileInfo, GuestListFileInfo, GuestPosixFileAttributes,
    GuestWindowsFileAttributes, ListFilesInGuest, MakeDirectoryInGuest, MoveDirectoryInGuest, MoveFileInGuest,
};

pub(super) const METHODS: &[&str] = &[
    "MakeDirectoryInGuest",
    "DeleteFileInGuest",
    "DeleteDirectoryInGuest",
    "MoveFileInGuest",
    "MoveDirectoryInGuest",
    "CreateTemporaryFileInGuest",
    "CreateTemporaryDirectoryInGuest",
    "ListFilesInGuest",
    "ChangeFileAttributesInGuest",
    "InitiateFileTransferToGuest",
    "InitiateFileTransferFromGuest",
];

/// How many files a page holds unless asked for otherwise.
const PAGE: usize = 50;

pub(super) async fn dispatch(server: &Arc<Server>, call: &Call, access: &Access) -> Answer<Element> {
    let files = access.guest.files(&access.user.name);
    match call.method.as_str() {
        "MakeDirectoryInGuest" => {
            let request: MakeDirectoryInGuest = call.read()?;
            let path = &request.directory_path;
            absolute(path, "directoryPath")?;
            let made = files.make_dir(path, request.create_parent_directories, 0o755).await;
            call.answer(&made.map_err(|e| of_file(&e, path))?)
        }
        "DeleteFileInGuest" => {
            let path = call.read::<DeleteFileInGuest>()?.file_path;
            absolute(&path, "filePath")?;
            let info = files.stat(&path).await.map_err(|e| of_file(&e, &path))?;
            if info.kind == FileKind::Directory {
                return Err(invalid_argument("filePath"));
            }
            call.answer(&files.remove_file(&path).await.map_err(|e| of_file(&e, &path))?)
        }
        "DeleteDirectoryInGuest" => {
            let request: DeleteDirectoryInGuest = call.read()?;
            let path = &request.directory_path;
            absolute(path, "directoryPath")?;
            let info = files.stat(path).await.map_err(|e| of_file(&e, path))?;
            if info.kind != FileKind::Directory {
                return Err(invalid_argument("directoryPath"));
            }
            call.answer(&files.remove_dir(path, request.recursive).await.map_err(|e| of_file(&e, path))?)
        }
        "MoveFileInGuest" => {
            let request: MoveFileInGuest = call.read()?;
            let (from, to) = (&request.src_file_path, &request.dst_file_path);
            absolute(from, "srcFilePath")?;
            absolute(to, "dstFilePath")?;
            let info = files.stat(from).await.map_err(|e| of_file(&e, from))?;
            if info.kind == FileKind::Directory {
                return Err(invalid_argument("srcFilePath"));
            }
            call.answer(&files.rename(from, to, request.overwrite).await.map_err(|e| of_move(&e, from, to))?)
        }
        "MoveDirectoryInGuest" => {
            let request: MoveDirectoryInGuest = call.read()?;
            let (from, to) = (&request.src_directory_path, &request.dst_directory_path);
            absolute(from, "srcDirectoryPath")?;
            absolute(to, "dstDirectoryPath")?;
            let info = files.stat(from).await.map_err(|e| of_file(&e, from))?;
            if info.kind != FileKind::Directory {
                return Err(invalid_argument("srcDirectoryPath"));
            }
            call.answer(&files.rename(from, to, false).await.map_err(|e| of_move(&e, from, to))?)
        }
        "CreateTemporaryFileInGuest" => {
            let r: CreateTemporaryFileInGuest = call.read()?;
            let name = new_name(r.prefix, r.suffix, r.directory_path)?;
            let shown = name.directory.clone().unwrap_or_else(|| "/tmp".to_owned());
            call.answer(&files.make_temp_file(name).await.map_err(|e| of_file(&e, &shown))?)
        }
        "CreateTemporaryDirectoryInGuest" => {
            let r: CreateTemporaryDirectoryInGuest = call.read()?;
            let name = new_name(r.prefix, r.suffix, r.directory_path)?;
            let shown = name.directory.clone().unwrap_or_else(|| "/tmp".to_owned());
            call.answer(&files.make_temp_dir(name).await.map_err(|e| of_file(&e, &shown))?)
        }
        "ListFilesInGuest" => {
            let request: ListFilesInGuest = call.read()?;
            absolute(&request.file_path, "filePath")?;
            let all = files.list(&request.file_path).await.map_err(|e| of_file(&e, &request.file_path))?;
            call.answer(&page(all, &request, access.windows.is_some())?)
        }
        "ChangeFileAttributesInGuest" => {
            let request: ChangeFileAttributesInGuest = call.read()?;
            let path = &request.guest_file_path;
            absolute(path, "guestFilePath")?;
            let attributes = attributes(&request.file_attributes, access.windows.is_some())?;
            call.answer(&files.set_attributes(path, attributes).await.map_err(|e| of_file(&e, path))?)
        }
        "InitiateFileTransferToGuest" => call.answer(&transfers::to_guest(server, call, access).await?),
        "InitiateFileTransferFromGuest" => call.answer(&transfers::from_guest(server, call, access).await?),
        _ => Err(unknown_method(&call.this, &call.method)),
    }
}

/// A failed move: what exists is the target, what is missing the source.
fn of_move(error: &Error, from: &str, to: &str) -> crate::vsphere::wire::Fault {
    match error.io_kind() {
        Some(std::io::ErrorKind::AlreadyExists | std::io::ErrorKind::DirectoryNotEmpty) => {
            file("FileAlreadyExists", to)
        }
        _ => of_file(error, from),
    }
}

fn new_name(prefix: String, suffix: String, directory: Option<String>) -> Answer<NewName> {
    let directory = directory.filter(|d| !d.is_empty());
    if let Some(directory) = &directory {
        absolute(directory, "directoryPath")?;
    }
    if prefix.contains('/') || suffix.contains('/') {
        return Err(invalid_argument("prefix"));
    }
    Ok(NewName { directory, prefix, suffix })
}

/// The files that match, from an index on, and how many are left then.
fn page(all: Vec<FileInfo>, request: &ListFilesInGuest, windows: bool) -> Answer<GuestListFileInfo> {
    let pattern = match request.match_pattern.as_deref().filter(|p| !p.is_empty()) {
        Some(pattern) => Some(Regex::new(pattern).map_err(|_| invalid_argument("matchPattern"))?),
        None => None,
    };
    let index = usize::try_from(request.index.unwrap_or_default()).map_err(|_| invalid_argument("index"))?;
    let most = match request.max_results {
        Some(most) => usize::try_from(most).map_err(|_| invalid_argument("maxResults"))?,
        None => PAGE,
    };
    let fits = |f: &FileInfo| pattern.as_ref().is_none_or(|p| p.is_match(&f.name));
    let matching: Vec<FileInfo> = all.into_iter().filter(fits).collect();
    let left = matching.len().saturating_sub(index.saturating_add(most));
    let files = matching.into_iter().skip(index).take(most).map(|info| shown(info, windows)).collect();
    Ok(GuestListFileInfo { files, remaining: i32::try_from(left).unwrap_or(i32::MAX) })
}

fn shown(info: FileInfo, windows: bool) -> GuestFileInfo {
    let kind = match info.kind {
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::File | FileKind::Other => "file",
    };
    GuestFileInfo {
        kind: kind.to_owned(),
        size: i64::try_from(info.size).unwrap_or(i64::MAX),
        attributes: described(&info, windows),
        path: info.name,
    }
}

/// A file's attributes as its guest's family has them.
pub(super) fn described(info: &FileInfo, windows: bool) -> GuestFileAttributes {
    if !windows {
        return GuestFileAttributes::Posix(posix(info));
    }
    GuestFileAttributes::Windows(GuestWindowsFileAttributes {
        modification_time: Some(moment(info.modified_ms)),
        access_time: Some(moment(info.accessed_ms)),
        hidden: Some(false),
        read_only: Some(info.mode & 0o200 == 0),
        ..GuestWindowsFileAttributes::default()
    })
}

/// A file's attributes as the API has them.
pub(super) fn posix(info: &FileInfo) -> GuestPosixFileAttributes {
    GuestPosixFileAttributes {
        modification_time: Some(moment(info.modified_ms)),
        access_time: Some(moment(info.accessed_ms)),
        symlink_target: Some(info.target.clone()),
        owner_id: i32::try_from(info.uid).ok(),
        group_id: i32::try_from(info.gid).ok(),
        permissions: Some(i64::from(info.mode)),
    }
}

/// What attributes of the API mean for a file; those of one family don't fit a guest of the other.
pub(super) fn attributes(given: &GuestFileAttributes, windows: bool) -> Answer<Attributes> {
    let posix = match given {
        GuestFileAttributes::Posix(posix) if !windows => posix.clone(),
        GuestFileAttributes::Windows(given) if windows => GuestPosixFileAttributes {
            modification_time: given.modification_time.clone(),
            access_time: given.access_time.clone(),
            ..GuestPosixFileAttributes::default()
        },
        GuestFileAttributes::Posix(_) | GuestFileAttributes::Windows(_) => {
            return Err(invalid_argument("fileAttributes"));
        }
        // The base type has times alone.
        GuestFileAttributes::Other(element) => match element.xsi_type.as_deref() {
            None | Some("GuestFileAttributes") => GuestPosixFileAttributes {
                modification_time: element.child_text("modificationTime").map(str::to_owned),
                access_time: element.child_text("accessTime").map(str::to_owned),
                ..GuestPosixFileAttributes::default()
            },
            Some(_) => return Err(invalid_argument("fileAttributes")),
        },
    };
    let id = |value: Option<i32>| value.and_then(|id| u32::try_from(id).ok());
    let time = |text: &Option<String>| match text {
        Some(text) => match OffsetDateTime::parse(text, &Rfc3339) {
            Ok(time) => Ok(i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()),
            Err(_) => Err(invalid_argument("fileAttributes")),
        },
        None => Ok(None),
    };
    let mode = match posix.permissions {
        Some(mode) => match u32::try_from(mode).ok().filter(|mode| *mode <= 0o7777) {
            Some(mode) => Some(mode),
            None => return Err(invalid_argument("fileAttributes.permissions")),
        },
        None => None,
    };
    Ok(Attributes {
        mode,
        uid: id(posix.owner_id),
        gid: id(posix.group_id),
        modified_ms: time(&posix.modification_time)?,
        accessed_ms: time(&posix.access_time)?,
    })
}
