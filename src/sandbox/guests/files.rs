//! The tool's handle on a guest's files.

use super::client::{done, unexpected};
use super::wire::{Answer, FileOp, GuestAsk};
use super::{Attributes, Error, FileInfo, Guest, NewName, Result};
use std::fs::File;
use std::os::fd::OwnedFd;

/// File operations in a guest, done as one of its accounts, with that account's rights. Paths are the guest's own:
/// they are resolved inside it.
#[derive(Debug, Clone)]
pub struct Files {
    guest: Guest,
    user: String,
}

impl Files {
    pub(super) fn new(guest: Guest, user: String) -> Self {
        Self { guest, user }
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// [`Error::Os`] as `open(2)`; EISDIR for a directory, EINVAL for a device or pipe.
    pub async fn open_read(&self, path: &str) -> Result<(File, FileInfo)> {
        match self.ask(FileOp::OpenRead { path: path.to_owned() }).await? {
            (Answer::Info(info), mut files) => Ok((one(&mut files)?, info)),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Creates or truncates a regular file for writing; `mode` is for a new one.
    ///
    /// # Errors
    /// [`Error::Os`] as `open(2)`; EEXIST where there is one and `overwrite` is false.
    pub async fn open_write(&self, path: &str, overwrite: bool, mode: u32) -> Result<File> {
        match self.ask(FileOp::OpenWrite { path: path.to_owned(), overwrite, mode }).await? {
            (Answer::Done, mut files) => one(&mut files),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Describes a path; a symbolic link itself.
    ///
    /// # Errors
    /// [`Error::Os`] as `lstat(2)`.
    pub async fn stat(&self, path: &str) -> Result<FileInfo> {
        match self.ask(FileOp::Stat { path: path.to_owned() }).await? {
            (Answer::Info(info), _) => Ok(info),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Describes what is in a directory, in the file system's order, `.` and `..` first; for anything else the
    /// path itself.
    ///
    /// # Errors
    /// [`Error::Os`] as `opendir(3)`.
    pub async fn list(&self, path: &str) -> Result<Vec<FileInfo>> {
        match self.ask(FileOp::List { path: path.to_owned() }).await? {
            (Answer::List(list), _) => Ok(list),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Makes a directory, and missing ones above it where `parents` says so.
    ///
    /// # Errors
    /// [`Error::Os`] as `mkdir(2)`; EEXIST where the path exists.
    pub async fn make_dir(&self, path: &str, parents: bool, mode: u32) -> Result<()> {
        self.change(FileOp::MakeDir { path: path.to_owned(), parents, mode }).await
    }

    /// Removes a file or a symbolic link.
    ///
    /// # Errors
    /// [`Error::Os`] as `unlink(2)`.
    pub async fn remove_file(&self, path: &str) -> Result<()> {
        self.change(FileOp::RemoveFile { path: path.to_owned() }).await
    }

    /// Removes a directory, with what is in it where `recursive` says so.
    ///
    /// # Errors
    /// [`Error::Os`] as `rmdir(2)`.
    pub async fn remove_dir(&self, path: &str, recursive: bool) -> Result<()> {
        self.change(FileOp::RemoveDir { path: path.to_owned(), recursive }).await
    }

    /// Renames a file or directory; between file systems a file is copied.
    ///
    /// # Errors
    /// [`Error::Os`] as `rename(2)`; EEXIST where the target exists and `overwrite` is false.
    pub async fn rename(&self, from: &str, to: &str, overwrite: bool) -> Result<()> {
        self.change(FileOp::Rename { from: from.to_owned(), to: to.to_owned(), overwrite }).await
    }

    /// Changes mode, owner or times; of what a symbolic link points at.
    ///
    /// # Errors
    /// [`Error::Os`] as `chmod(2)`, `chown(2)` and `utimensat(2)`.
    pub async fn set_attributes(&self, path: &str, attributes: Attributes) -> Result<()> {
        self.change(FileOp::SetAttributes { path: path.to_owned(), attributes }).await
    }

    /// Makes an empty temporary directory (mode 0700); its path.
    ///
    /// # Errors
    /// [`Error::Os`] as `mkdir(2)`.
    pub async fn make_temp_dir(&self, name: NewName) -> Result<String> {
        self.path(FileOp::MakeTempDir(name)).await
    }

    /// Makes an empty temporary file (mode 0600); its path.
    ///
    /// # Errors
    /// [`Error::Os`] as `open(2)`.
    pub async fn make_temp_file(&self, name: NewName) -> Result<String> {
        self.path(FileOp::MakeTempFile(name)).await
    }

    async fn ask(&self, op: FileOp) -> Result<(Answer, Vec<OwnedFd>)> {
        self.guest.ask(&GuestAsk::File { user: self.user.clone(), op }).await
    }

    async fn change(&self, op: FileOp) -> Result<()> {
        done(self.ask(op).await?)
    }

    async fn path(&self, op: FileOp) -> Result<String> {
        match self.ask(op).await? {
            (Answer::Path(path), _) => Ok(path),
            (other, _) => Err(unexpected(&other)),
        }
    }
}

fn one(files: &mut Vec<OwnedFd>) -> Result<File> {
    files.pop().map(File::from).ok_or_else(|| Error::Internal("the guest sent no open file".to_owned()))
}
