//! Guest operations of one virtual machine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::endpoint::Deadline;
use super::error::{Error, GuestFault, Result};
use super::properties::Properties;
use super::session::Client;
use crate::vsphere::wire::{
    ChangeFileAttributesInGuest, CreateTemporaryDirectoryInGuest, DeleteDirectoryInGuest, DeleteFileInGuest,
    GuestAuthentication, GuestFileAttributes, GuestFileInfo, GuestListFileInfo, GuestProcessInfo, GuestProgramSpec,
    ListFilesInGuest, ListProcessesInGuest, MakeDirectoryInGuest, Method, Moref, MoveFileInGuest,
    NamePasswordAuthentication, ReadEnvironmentVariableInGuest, StartProgramInGuest, TerminateProcessInGuest,
    ValidateCredentialsInGuest,
};

/// The first pause while the machine is busy; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What is read of the manager of guest operations.
pub(super) const GUEST_MANAGERS: &[&str] = &["authManager", "processManager", "fileManager"];
/// Files a page of a directory.
const PAGE: i32 = 500;

/// Who has the turn on each virtual machine.
#[derive(Default)]
pub(super) struct Locks {
    turns: Mutex<HashMap<Moref, Arc<tokio::sync::Mutex<()>>>>,
    managers: tokio::sync::OnceCell<Managers>,
}

/// The managers of guest operations.
#[derive(Clone)]
pub(super) struct Managers {
    auth: Option<Moref>,
    process: Option<Moref>,
    pub file: Option<Moref>,
}

impl Managers {
    fn of(p: &Properties) -> Self {
        Managers { auth: p.get("authManager"), process: p.get("processManager"), file: p.get("fileManager") }
    }
}

/// A user and password of a guest. The password is never shown.
#[derive(Clone)]
pub struct GuestAuth {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for GuestAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestAuth").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Guest operations of one virtual machine as one user. All of one virtual machine go one after another, however
/// many of these there are. While the machine or its Tools are busy, calls are repeated until the deadline; what else
/// fails comes back at once ([`Error::guest_fault`] classifies it).
#[derive(Clone)]
pub struct Guest {
    client: Client,
    vm: Moref,
    auth: GuestAuth,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Client {
    /// Guest operations of a virtual machine.
    pub fn guest(&self, vm: &Moref, auth: GuestAuth) -> Guest {
        let mut turns = self.inner.guests.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.entry(vm.clone()).or_default().clone();
        drop(turns);
        Guest { client: self.clone(), vm: vm.clone(), auth, turn }
    }

    async fn guest_managers(&self) -> Result<Managers> {
        let read = async {
            let Some(manager) = self.content().guest_operations_manager.clone() else {
                return Err(Error::Unsupported(format!("{} has no guest operations", self.address())));
            };
            Ok(Managers::of(&self.properties(&manager, GUEST_MANAGERS).await?))
        };
        self.inner.guests.managers.get_or_try_init(|| read).await.cloned()
    }

    /// Keeps what was read of the manager of guest operations along with something else.
    pub(super) fn know_guest_managers(&self, properties: &Properties) {
        let managers = Managers::of(properties);
        // Without these the read was refused; whoever needs them asks again and is told why.
        if managers.process.is_some() && managers.file.is_some() {
            let _ = self.inner.guests.managers.set(managers);
        }
    }
}

impl Guest {
    /// The virtual machine.
    pub fn vm(&self) -> &Moref {
        &self.vm
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The guest's user.
    pub fn username(&self) -> &str {
        &self.auth.username
    }

    pub(super) fn authentication(&self) -> GuestAuthentication {
        GuestAuthentication::NamePassword(NamePasswordAuthentication {
            interactive_session: false,
            username: self.auth.username.clone(),
            password: self.auth.password.clone(),
        })
    }

    pub(super) async fn managers(&self, deadline: Deadline) -> Result<Managers> {
        deadline.limit("finding the guest operations", self.client.guest_managers()).await
    }

    /// Waits for the turn on this virtual machine.
    pub(super) async fn turn(&self, deadline: Deadline, what: &str) -> Result<tokio::sync::MutexGuard<'_, ()>> {
        let turn = async { Ok(self.turn.lock().await) };
        deadline.limit(&format!("waiting for other guest operations to end, to {what},"), turn).await
    }

    /// Calls a method within the turn, again while the machine is busy. `what` completes "can't …".
    async fn run<M: Method>(&self, method: &M, what: &str, deadline: Deadline) -> Result<M::Returns> {
        let _turn = self.turn(deadline, what).await?;
        self.call(method, what, deadline).await
    }

    /// The same for calls that do no harm when they are carried out twice: once more after a lost reply.
    async fn run_again<M: Method>(&self, method: &M, what: &str, deadline: Deadline) -> Result<M::Returns> {
        match self.run(method, what, deadline).await {
            Err(lost) if lost.lost_reply() && !deadline.passed() => self.run(method, what, deadline).await,
            other => other,
        }
    }

    /// The same for those who have the turn.
    pub(super) async fn call<M: Method>(&self, method: &M, what: &str, deadline: Deadline) -> Result<M::Returns> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match deadline.limit(&format!("trying to {what} in the guest"), self.client.call(method)).await
            {
                Ok(returns) => return Ok(returns),
                Err(error) => self.meaning(error, what),
            };
            if error.guest_fault() != Some(GuestFault::Busy) || deadline.left() <= pause {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A fault as the guest's failure, where it is.
    fn meaning(&self, error: Error, what: &str) -> Error {
        match error {
            Error::Fault { call, object, fault } => match GuestFault::of(&fault) {
                Some(kind) => Error::Guest { what: what.to_owned(), user: self.auth.username.clone(), kind, fault },
                None => Error::Fault { call, object, fault },
            },
            other => other,
        }
    }

    async fn process_manager(&self, deadline: Deadline) -> Result<Moref> {
        let manager = self.managers(deadline).await?.process;
        manager.ok_or_else(|| Error::Unsupported(format!("{} can't run programs in guests", self.client.address())))
    }

    pub(super) async fn file_manager(&self, deadline: Deadline) -> Result<Moref> {
        let manager = self.managers(deadline).await?.file;
        manager.ok_or_else(|| Error::Unsupported(format!("{} can't handle files in guests", self.client.address())))
    }

    /// Checks user and password. `Ok(false)` when the server can't check them (it has no such manager).
    pub async fn validate(&self, deadline: Deadline) -> Result<bool> {
        let Some(this) = self.managers(deadline).await?.auth else { return Ok(false) };
        let request = ValidateCredentialsInGuest { this, vm: self.vm.clone(), auth: self.authentication() };
        self.run(&request, &format!("log in as `{}`", self.auth.username), deadline).await?;
        Ok(true)
    }

    /// Starts a program; returns its process id. Never sent twice: after a lost reply the error's
    /// [`Error::lost_reply`] is true.
    pub async fn start(&self, program: &GuestProgramSpec, deadline: Deadline) -> Result<i64> {
        let this = self.process_manager(deadline).await?;
        let what = format!("start {}", program.program_path);
        let spec = program.clone();
        let request = StartProgramInGuest { this, vm: self.vm.clone(), auth: self.authentication(), spec };
        self.run(&request, &what, deadline).await
    }

    /// Processes of the guest: all when `pids` is empty, else those of them that are known.
    pub async fn processes(&self, pids: &[i64], deadline: Deadline) -> Result<Vec<GuestProcessInfo>> {
        let this = self.process_manager(deadline).await?;
        let pids = pids.to_vec();
        let request = ListProcessesInGuest { this, vm: self.vm.clone(), auth: self.authentication(), pids };
        self.run(&request, "list processes", deadline).await
    }

    /// Ends a process. `Ok` when it is gone already.
    pub async fn terminate(&self, pid: i64, deadline: Deadline) -> Result<()> {
        let this = self.process_manager(deadline).await?;
        let request = TerminateProcessInGuest { this, vm: self.vm.clone(), auth: self.authentication(), pid };
        done_if(self.run(&request, &format!("end process {pid}"), deadline).await, GuestFault::ProcessGone)
    }

    /// Environment variables as `NAME=value`; all when `names` is empty.
    pub async fn environment(&self, names: &[&str], deadline: Deadline) -> Result<Vec<String>> {
        let this = self.process_manager(deadline).await?;
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        let request = ReadEnvironmentVariableInGuest { this, vm: self.vm.clone(), auth: self.authentication(), names };
        self.run(&request, "read environment variables", deadline).await
    }

    /// Makes a directory. `Ok` when there is one already and `parents` is set.
    pub async fn make_directory(&self, path: &str, parents: bool, deadline: Deadline) -> Result<()> {
        let this = self.file_manager(deadline).await?;
        let request = MakeDirectoryInGuest {
            this,
            vm: self.vm.clone(),
            auth: self.authentication(),
            directory_path: path.to_owned(),
            create_parent_directories: parents,
        };
        let what = format!("make the directory {path}");
        match parents {
            true => done_if(self.run_again(&request, &what, deadline).await, GuestFault::FileExists),
            false => self.run(&request, &what, deadline).await,
        }
    }

    /// Deletes a file. `Ok` when there is none.
    pub async fn delete_file(&self, path: &str, deadline: Deadline) -> Result<()> {
        let this = self.file_manager(deadline).await?;
        let file_path = path.to_owned();
        let request = DeleteFileInGuest { this, vm: self.vm.clone(), auth: self.authentication(), file_path };
        done_if(self.run_again(&request, &format!("delete {path}"), deadline).await, GuestFault::FileNotFound)
    }

    /// Deletes a directory. `Ok` when there is none.
    pub async fn delete_directory(&self, path: &str, recursive: bool, deadline: Deadline) -> Result<()> {
        let this = self.file_manager(deadline).await?;
        let request = DeleteDirectoryInGuest {
            this,
            vm: self.vm.clone(),
            auth: self.authentication(),
            directory_path: path.to_owned(),
            recursive,
        };
        let what = format!("delete the directory {path}");
        done_if(self.run_again(&request, &what, deadline).await, GuestFault::FileNotFound)
    }

    /// Moves a file.
    pub async fn move_file(&self, from: &str, to: &str, overwrite: bool, deadline: Deadline) -> Result<()> {
        let this = self.file_manager(deadline).await?;
        let request = MoveFileInGuest {
            this,
            vm: self.vm.clone(),
            auth: self.authentication(),
            src_file_path: from.to_owned(),
            dst_file_path: to.to_owned(),
            overwrite,
        };
        self.run(&request, &format!("move {from} to {to}"), deadline).await
    }

    /// One page of a directory's files; the order is not sorted, and `pattern` is a regular expression on real
    /// servers. `max` is 50 on the server when absent.
    pub async fn list_files(
        &self,
        path: &str,
        pattern: Option<&str>,
        index: i32,
        max: Option<i32>,
        deadline: Deadline,
    ) -> Result<GuestListFileInfo> {
        let this = self.file_manager(deadline).await?;
        let request = ListFilesInGuest {
            this,
            vm: self.vm.clone(),
            auth: self.authentication(),
            file_path: path.to_owned(),
            index: (index > 0).then_some(index),
            max_results: max,
            match_pattern: pattern.map(str::to_owned),
        };
        self.run(&request, &format!("list {path}"), deadline).await
    }

    /// All files of a directory, page after page.
    pub async fn list_all(&self, path: &str, pattern: Option<&str>, deadline: Deadline) -> Result<Vec<GuestFileInfo>> {
        let mut files = Vec::new();
        loop {
            let index = i32::try_from(files.len()).unwrap_or(i32::MAX);
            let mut page = self.list_files(path, pattern, index, Some(PAGE), deadline).await?;
            let more = page.remaining > 0 && !page.files.is_empty();
            files.append(&mut page.files);
            if !more {
                return Ok(files);
            }
        }
    }

    /// Makes a directory with a name of its own; returns its path.
    pub async fn make_temporary_directory(
        &self,
        prefix: &str,
        suffix: &str,
        within: Option<&str>,
        deadline: Deadline,
    ) -> Result<String> {
        let this = self.file_manager(deadline).await?;
        let request = CreateTemporaryDirectoryInGuest {
            this,
            vm: self.vm.clone(),
            auth: self.authentication(),
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            directory_path: within.map(str::to_owned),
        };
        self.run(&request, "make a temporary directory", deadline).await
    }

    /// Sets attributes of a file.
    pub async fn set_attributes(&self, path: &str, attributes: GuestFileAttributes, deadline: Deadline) -> Result<()> {
        let this = self.file_manager(deadline).await?;
        let request = ChangeFileAttributesInGuest {
            this,
            vm: self.vm.clone(),
            auth: self.authentication(),
            guest_file_path: path.to_owned(),
            file_attributes: attributes,
        };
        self.run(&request, &format!("set the attributes of {path}"), deadline).await
    }
}

/// A failure that means that there was nothing to do.
fn done_if(outcome: Result<()>, nothing_to_do: GuestFault) -> Result<()> {
    match outcome {
        Err(e) if e.guest_fault() == Some(nothing_to_do) => Ok(()),
        other => other,
    }
}
