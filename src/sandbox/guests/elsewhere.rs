//! The same interface where there are no namespaces: nothing can be started, so nothing else can be called.

use super::{
    Attributes, BootSpec, Config, Ended, Error, ExecSpec, Exit, Facts, FileInfo, GuestId, LayerId, LayerInfo,
    NetworkReport, NewName, Parent, ProcessInfo, Result, TemplateSource, User,
};
use std::convert::Infallible;
use std::fs::File;
use std::time::Duration;

/// Becomes the warden when the arguments say so; here never.
#[must_use]
pub fn reexec() -> Option<i32> {
    None
}

/// A handle on the warden and all its guests. Cheap to clone; when the last clone is dropped, all guests end.
#[derive(Debug, Clone)]
pub struct Guests(Infallible);

/// A running guest. Cheap to clone; dropping it doesn't stop the guest.
#[derive(Debug, Clone)]
pub struct Guest(Infallible);

/// A process started by [`Guest::exec`]. Dropping it doesn't end the process.
#[derive(Debug)]
pub struct Process(Infallible);

/// Tells how a guest's network is: there is none.
#[derive(Debug)]
pub struct NetworkWatch(Infallible);

/// File operations in a guest, done as one of its accounts, with that account's rights.
#[derive(Debug, Clone)]
pub struct Files(Infallible);

impl Guests {
    /// Starts a warden.
    ///
    /// # Errors
    /// [`Error::NeedsLinux`], always.
    pub async fn start(_config: Config) -> Result<Self> {
        Err(Error::NeedsLinux)
    }

    /// Finds out whether guests can run, by running one.
    ///
    /// # Errors
    /// [`Error::NeedsLinux`], always.
    pub async fn probe(_config: Config) -> Result<Facts> {
        Err(Error::NeedsLinux)
    }

    /// What the warden found on this host.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        match self.0 {}
    }

    /// Ends all guests and waits until nothing is left.
    pub async fn close(self) {
        match self.0 {}
    }

    /// Adds a template.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn add_template(&self, _name: &str, _source: TemplateSource) -> Result<()> {
        match self.0 {}
    }

    /// Writes layers into a file.
    ///
    /// # Errors
    /// When there is no room.
    pub async fn pack(&self, _parent: &Parent, _to: &File) -> Result<()> {
        match self.0 {}
    }

    /// Makes the layers that a file holds.
    ///
    /// # Errors
    /// When it can't be unpacked.
    pub async fn unpack(&self, _head: &super::Head, _from: &File) -> Result<Parent> {
        match self.0 {}
    }

    /// Makes an empty layer.
    ///
    /// # Errors
    /// When the parent doesn't exist or isn't frozen.
    pub async fn new_layer(&self, _parent: Parent) -> Result<LayerId> {
        match self.0 {}
    }

    /// Makes a layer a possible parent.
    ///
    /// # Errors
    /// While a guest runs on it.
    pub async fn freeze(&self, _layer: LayerId) -> Result<()> {
        match self.0 {}
    }

    /// Copies a layer.
    ///
    /// # Errors
    /// When it doesn't exist or the store is full.
    pub async fn copy_layer(&self, _layer: LayerId) -> Result<LayerId> {
        match self.0 {}
    }

    /// Deletes a layer.
    ///
    /// # Errors
    /// While it is in use.
    pub async fn delete_layer(&self, _layer: LayerId) -> Result<()> {
        match self.0 {}
    }

    /// All layers.
    ///
    /// # Errors
    /// When the warden has ended.
    pub async fn layers(&self) -> Result<Vec<LayerInfo>> {
        match self.0 {}
    }

    /// Boots a guest.
    ///
    /// # Errors
    /// When the layer can't be booted.
    pub async fn boot(&self, _layer: LayerId, _spec: BootSpec) -> Result<Guest> {
        match self.0 {}
    }
}

impl Guest {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> GuestId {
        match self.0 {}
    }

    /// The layer it writes to.
    #[must_use]
    pub fn layer(&self) -> LayerId {
        match self.0 {}
    }

    /// Waits until the guest has ended.
    pub async fn ended(&self) -> Ended {
        match self.0 {}
    }

    /// Whether the guest has ended, and how.
    #[must_use]
    pub fn has_ended(&self) -> Option<Ended> {
        match self.0 {}
    }

    /// Ends the guest at once, like pulling the plug, and waits until it is gone.
    ///
    /// # Errors
    /// When the warden has ended.
    pub async fn stop(&self) -> Result<()> {
        match self.0 {}
    }

    /// Asks all processes to end, kills what is left after `grace`, and waits until the guest is gone.
    ///
    /// # Errors
    /// When the guest has ended.
    pub async fn shutdown(&self, _grace: Duration) -> Result<()> {
        match self.0 {}
    }

    /// Starts a program.
    ///
    /// # Errors
    /// When it can't be executed.
    pub async fn exec(&self, _spec: ExecSpec) -> Result<Process> {
        match self.0 {}
    }

    /// Sends a signal as an account.
    ///
    /// # Errors
    /// When there is no such process or the account may not.
    pub async fn kill(&self, _user: &str, _pid: u32, _signal: i32) -> Result<()> {
        match self.0 {}
    }

    /// All processes.
    ///
    /// # Errors
    /// When the guest has ended.
    pub async fn processes(&self) -> Result<Vec<ProcessInfo>> {
        match self.0 {}
    }

    /// Looks up an account.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`].
    pub async fn user(&self, _name: &str) -> Result<User> {
        match self.0 {}
    }

    /// File operations as an account.
    #[must_use]
    pub fn files(&self, _user: &str) -> Files {
        match self.0 {}
    }

    /// Follows the guest's network.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub async fn watch_network(&self) -> Result<NetworkWatch> {
        match self.0 {}
    }
}

impl NetworkWatch {
    /// How the network is, after each change.
    pub async fn next(&mut self) -> Option<NetworkReport> {
        match self.0 {}
    }
}

impl Process {
    /// Its number inside the guest.
    #[must_use]
    pub fn pid(&self) -> u32 {
        match self.0 {}
    }

    /// Waits until it has ended.
    pub async fn wait(self) -> Exit {
        match self.0 {}
    }
}

impl Files {
    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// As `open(2)`.
    pub async fn open_read(&self, _path: &str) -> Result<(File, FileInfo)> {
        match self.0 {}
    }

    /// Creates or truncates a regular file for writing.
    ///
    /// # Errors
    /// As `open(2)`.
    pub async fn open_write(&self, _path: &str, _overwrite: bool, _mode: u32) -> Result<File> {
        match self.0 {}
    }

    /// Describes a path.
    ///
    /// # Errors
    /// As `lstat(2)`.
    pub async fn stat(&self, _path: &str) -> Result<FileInfo> {
        match self.0 {}
    }

    /// Lists a directory.
    ///
    /// # Errors
    /// As `readdir(3)`.
    pub async fn list(&self, _path: &str) -> Result<Vec<FileInfo>> {
        match self.0 {}
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// As `mkdir(2)`.
    pub async fn make_dir(&self, _path: &str, _parents: bool, _mode: u32) -> Result<()> {
        match self.0 {}
    }

    /// Removes a file or link.
    ///
    /// # Errors
    /// As `unlink(2)`.
    pub async fn remove_file(&self, _path: &str) -> Result<()> {
        match self.0 {}
    }

    /// Removes a directory.
    ///
    /// # Errors
    /// As `rmdir(2)`.
    pub async fn remove_dir(&self, _path: &str, _recursive: bool) -> Result<()> {
        match self.0 {}
    }

    /// Renames a file or directory.
    ///
    /// # Errors
    /// As `rename(2)`.
    pub async fn rename(&self, _from: &str, _to: &str, _overwrite: bool) -> Result<()> {
        match self.0 {}
    }

    /// Changes mode, owner or times.
    ///
    /// # Errors
    /// As `chmod(2)`, `chown(2)` and `utimensat(2)`.
    pub async fn set_attributes(&self, _path: &str, _attributes: Attributes) -> Result<()> {
        match self.0 {}
    }

    /// Makes an empty temporary directory (mode 0700); returns its path.
    ///
    /// # Errors
    /// As `mkdir(2)`.
    pub async fn make_temp_dir(&self, _name: NewName) -> Result<String> {
        match self.0 {}
    }

    /// Makes an empty temporary file (mode 0600); returns its path.
    ///
    /// # Errors
    /// As `open(2)`.
    pub async fn make_temp_file(&self, _name: NewName) -> Result<String> {
        match self.0 {}
    }
}
