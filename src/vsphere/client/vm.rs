//! Virtual machines.
use super::endpoint::Deadline;
use super::error::Result;
use super::inventory::Placement;
use super::session::Client;
use super::task::Progress;
use crate::vsphere::wire::{
    Moref, Nic, NicBacking, PowerState, VirtualMachineQuestionInfo, VirtualMachineSnapshotTree,
};

/// What a clone shall be.
#[derive(Clone, Debug)]
pub struct CloneRequest {
    /// Its name, as the user writes it.
    pub name: String,
    /// Where it goes.
    pub placement: Placement,
    /// Whether it becomes a template.
    pub template: bool,
    /// Clone from this snapshot, sharing its disks.
    pub linked: Option<Moref>,
    /// Changes of the hardware on the way. Networks are changed afterwards, by [`Client::reconfigure`].
    pub hardware: HardwareChange,
}

/// Changes of a virtual machine's configuration; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HardwareChange {
    /// Virtual processors.
    pub cpus: Option<u32>,
    /// Processor cores a socket.
    pub cores_per_socket: Option<u32>,
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// The annotation.
    pub annotation: Option<String>,
    /// Extra configuration; an empty value removes the key.
    pub extra: Vec<(String, String)>,
    /// What network adapters are attached to, by position: the first adapter, the second, … `None` leaves one alone.
    pub networks: Vec<Option<NicBacking>>,
}

/// The state of a virtual machine.
#[derive(Clone, Debug, PartialEq)]
pub struct VmState {
    /// Whether it runs.
    pub power: PowerState,
    /// Whether it is a template.
    pub template: bool,
    /// What it waits for an answer to.
    pub question: Option<VirtualMachineQuestionInfo>,
}

/// What the server knows of a guest.
#[derive(Clone, Debug, PartialEq)]
pub struct GuestState {
    /// Whether the virtual machine runs.
    pub power: PowerState,
    /// `guestToolsRunning` and others; none when unset.
    pub tools_running: Option<String>,
    /// Whether guest operations can be done; none where the server never says.
    pub operations_ready: Option<bool>,
    /// `linuxGuest`, `windowsGuest` and others; none when unset.
    pub family: Option<String>,
    /// The guest operating system's name, where known.
    pub full_name: Option<String>,
    /// The guest's main address, where known.
    pub ip: Option<String>,
    /// The host it runs on.
    pub host: Option<Moref>,
    /// A pending question.
    pub question: Option<VirtualMachineQuestionInfo>,
}

impl Client {
    /// Starts a clone; returns its task, to be given to [`Client::wait_clone`]. After a lost reply it looks for the
    /// clone before it fails.
    pub async fn start_clone(&self, _source: &Moref, _clone: &CloneRequest) -> Result<Moref> {
        unimplemented!()
    }

    /// Waits for a clone; returns the new virtual machine.
    pub async fn wait_clone(
        &self,
        _task: &Moref,
        _name: &str,
        _deadline: Deadline,
        _progress: impl FnMut(Progress) + Send,
    ) -> Result<Moref> {
        unimplemented!()
    }

    /// Changes the configuration. Fails when there are fewer network adapters than networks.
    pub async fn reconfigure(&self, _vm: &Moref, _change: &HardwareChange, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }

    /// The network adapters, in the order of their labels.
    pub async fn nics(&self, _vm: &Moref) -> Result<Vec<Nic>> {
        unimplemented!()
    }

    /// Powers on and waits until it is. A pending question fails it with [`super::Error::Question`].
    /// `Ok` when it is on already.
    pub async fn power_on(&self, _vm: &Moref, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }

    /// Powers off, hard. `Ok` when it is off already.
    pub async fn power_off(&self, _vm: &Moref, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }

    /// Asks the guest to shut down; when it hasn't after `patience`, or can't be asked, powers off. Returns whether
    /// the guest did it itself.
    pub async fn shut_down(&self, _vm: &Moref, _patience: Deadline, _deadline: Deadline) -> Result<bool> {
        unimplemented!()
    }

    /// Asks the guest to restart; returns at once.
    pub async fn reboot_guest(&self, _vm: &Moref) -> Result<()> {
        unimplemented!()
    }

    /// Resets, hard.
    pub async fn reset(&self, _vm: &Moref, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }

    /// Makes a template of a powered-off virtual machine.
    pub async fn mark_as_template(&self, _vm: &Moref) -> Result<()> {
        unimplemented!()
    }

    /// Makes a virtual machine of a template.
    pub async fn mark_as_vm(&self, _vm: &Moref, _pool: &Moref, _host: Option<&Moref>) -> Result<()> {
        unimplemented!()
    }

    /// Renames any object.
    pub async fn rename(&self, _object: &Moref, _name: &str, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }

    /// Powers off if needed, and deletes. `Ok` when it is gone already.
    pub async fn destroy_vm(&self, _vm: &Moref, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }

    /// Makes a snapshot of the disks alone; returns it.
    pub async fn create_snapshot(&self, _vm: &Moref, _name: &str, _about: &str, _deadline: Deadline) -> Result<Moref> {
        unimplemented!()
    }

    /// Deletes a snapshot.
    pub async fn remove_snapshot(&self, _snapshot: &Moref, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }

    /// Goes back to a snapshot.
    pub async fn revert_to_snapshot(&self, _snapshot: &Moref, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }

    /// The snapshot trees.
    pub async fn snapshots(&self, _vm: &Moref) -> Result<Vec<VirtualMachineSnapshotTree>> {
        unimplemented!()
    }

    /// The state.
    pub async fn vm_state(&self, _vm: &Moref) -> Result<VmState> {
        unimplemented!()
    }

    /// What the server knows of the guest.
    pub async fn guest_state(&self, _vm: &Moref) -> Result<GuestState> {
        unimplemented!()
    }

    /// Waits until `found` answers `Some` for the guest's state.
    pub async fn wait_guest_state<T>(
        &self,
        _vm: &Moref,
        _deadline: Deadline,
        _what: &str,
        _found: impl FnMut(&GuestState) -> Option<T> + Send,
    ) -> Result<T> {
        unimplemented!()
    }

    /// Answers a pending question.
    pub async fn answer(&self, _vm: &Moref, _question: &str, _choice: &str) -> Result<()> {
        unimplemented!()
    }
}
