//! Guest operations of one virtual machine.
use super::endpoint::Deadline;
use super::error::Result;
use super::session::Client;
use crate::vsphere::wire::{
    GuestFileAttributes, GuestFileInfo, GuestListFileInfo, GuestProcessInfo, GuestProgramSpec, Moref,
};

/// A user and password of a guest. The password is never shown.
#[derive(Clone)]
pub struct GuestAuth {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

/// Guest operations of one virtual machine as one user. All of one virtual machine go one after another, however
/// many of these there are. While the machine or its Tools are busy, calls are repeated until the deadline; what else
/// fails comes back at once ([`super::Error::guest_fault`] classifies it).
#[derive(Clone)]
pub struct Guest {}

impl Client {
    /// Guest operations of a virtual machine.
    pub fn guest(&self, _vm: &Moref, _auth: GuestAuth) -> Guest {
        unimplemented!()
    }
}

impl Guest {
    /// The virtual machine.
    pub fn vm(&self) -> &Moref {
        unimplemented!()
    }

    /// The client.
    pub fn client(&self) -> &Client {
        unimplemented!()
    }

    /// Checks user and password. `Ok(false)` when the server can't check them (it has no such manager).
    pub async fn validate(&self, _deadline: Deadline) -> Result<bool> {
        unimplemented!()
    }

    /// Starts a program; returns its process id. Never sent twice: after a lost reply the error's
    /// [`super::Error::lost_reply`] is true.
    pub async fn start(&self, _program: &GuestProgramSpec, _deadline: Deadline) -> Result<i64> {
        unimplemented!()
    }

    /// Processes of the guest: all when `pids` is empty, else those of them that are known.
    pub async fn processes(&self, _pids: &[i64], _deadline: Deadline) -> Result<Vec<GuestProcessInfo>> {
        unimplemented!()
    }

    /// Ends a process. `Ok` when it is gone already.
    pub async fn terminate(&self, _pid: i64, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }

    /// Environment variables as `NAME=value`; all when `names` is empty.
    pub async fn environment(&self, _names: &[&str], _deadline: Deadline) -> Result<Vec<String>> {
        unimplemented!()
    }

    /// Makes a directory. `Ok` when there is one already and `parents` is set.
    pub async fn make_directory(&self, _path: &str, _parents: bool, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }

    /// Deletes a file. `Ok` when there is none.
    pub async fn delete_file(&self, _path: &str, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }

    /// Deletes a directory. `Ok` when there is none.
    pub async fn delete_directory(&self, _path: &str, _recursive: bool, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }

    /// Moves a file.
    pub async fn move_file(&self, _from: &str, _to: &str, _overwrite: bool, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }

    /// One page of a directory's files; the order is not sorted, and `pattern` is a regular expression on real
    /// servers. `max` is 50 on the server when absent.
    pub async fn list_files(
        &self,
        _path: &str,
        _pattern: Option<&str>,
        _index: i32,
        _max: Option<i32>,
        _deadline: Deadline,
    ) -> Result<GuestListFileInfo> {
        unimplemented!()
    }

    /// All files of a directory, page after page.
    pub async fn list_all(
        &self,
        _path: &str,
        _pattern: Option<&str>,
        _deadline: Deadline,
    ) -> Result<Vec<GuestFileInfo>> {
        unimplemented!()
    }

    /// Makes a directory with a name of its own; returns its path.
    pub async fn make_temporary_directory(
        &self,
        _prefix: &str,
        _suffix: &str,
        _within: Option<&str>,
        _deadline: Deadline,
    ) -> Result<String> {
        unimplemented!()
    }

    /// Sets attributes of a file.
    pub async fn set_attributes(
        &self,
        _path: &str,
        _attributes: GuestFileAttributes,
        _deadline: Deadline,
    ) -> Result<()> {
        unimplemented!()
    }
}
