//! What is known of the inventory beside its names: what a plan asks for, and how the answers are read.

use std::collections::HashMap;

use super::resolve::Found;
use crate::sema::program::{Action, HookAction, Machine, MachineId, NetworkMethod, Origin, Program};
use crate::syntax::ast::OutputKind;
use crate::vsphere::client::{Inventory, Properties};
use crate::vsphere::wire::{Element, Moref, PowerState, VirtualMachineSnapshotInfo};

/// Properties of sources that [`Source::read`] understands.
pub const SOURCE: &[&str] = &[
    "runtime.powerState",
    "guest.toolsVersion",
    "guest.toolsRunningStatus",
    "guest.guestFamily",
    "config.guestId",
    "config.guestFullName",
    "config.hardware.memoryMB",
    "config.hardware.device",
    "summary.storage.committed",
    "summary.storage.uncommitted",
    "snapshot",
];

/// Properties of hosts that [`Host::read`] understands.
pub const HOST: &[&str] = &["runtime.connectionState", "runtime.inMaintenanceMode", "summary.config.sslThumbprint"];

/// All that a plan is made of, beside program and inventory. What is absent is not known.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Of what is cloned.
    pub sources: HashMap<Moref, Source>,
    /// Of hosts that may run the machines.
    pub hosts: HashMap<Moref, Host>,
    /// The vCenter's root folder, which isn't in the inventory.
    pub root: Option<Moref>,
    /// Privileges that the account lacks, by object; None: not checked.
    pub lacking: Option<Vec<(Moref, Vec<String>)>>,
    /// What becomes of the machines; those that are missing are made.
    pub making: HashMap<MachineId, Making>,
    /// Why a host can't be connected to for transfers, or None if it can; empty: not checked.
    pub transfers: HashMap<Moref, Option<String>>,
}

/// Whether a machine is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Making {
    /// It is.
    Made {
        /// Why, although one like it was made before.
        why: Option<String>,
        /// The checkpoint that it goes on from, and how many of its steps are done there.
        from: Option<(String, u32)>,
    },
    /// It is there already.
    Cached,
    /// It is there, and stays as it is, whatever the recipe says.
    Kept,
    /// It leaves nothing, and nothing that is made needs it.
    Unneeded,
}

impl Default for Making {
    fn default() -> Self {
        Making::Made { why: None, from: None }
    }
}

/// A template or VM that machines are cloned from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// Whether it runs.
    pub power: PowerState,
    /// The version of VMware Tools as they last reported it; none without them.
    pub tools: Option<String>,
    /// `linuxGuest`, `windowsGuest` …
    pub family: Option<String>,
    /// The guest's name for people.
    pub guest: Option<String>,
    /// Bytes that its files take now.
    pub committed: u64,
    /// Bytes that they may grow by.
    pub uncommitted: u64,
    /// Its memory in MiB.
    pub memory_mib: u64,
    /// The names of its snapshots.
    pub snapshots: Vec<String>,
    /// Its devices.
    pub devices: Vec<Element>,
}

impl Source {
    /// From the properties named by [`SOURCE`].
    pub fn read(p: &Properties) -> Self {
        let text = |path: &str| p.text(path).filter(|t| !t.is_empty()).map(str::to_owned);
        let bytes = |path: &str| p.get::<i64>(path).and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
        let id = text("config.guestId").unwrap_or_default();
        // A template that never ran reports no family, but was made for one.
        let made_for = || id.starts_with("win").then(|| "windowsGuest".to_owned());
        let info: Option<VirtualMachineSnapshotInfo> = p.get("snapshot");
        let mut snapshots = Vec::new();
        let mut open = info.map(|i| i.root_snapshot_list).unwrap_or_default();
        while let Some(tree) = open.pop() {
            open.extend(tree.child_snapshot_list);
            snapshots.push(tree.name);
        }
        snapshots.sort();
        Source {
            power: p.get("runtime.powerState").unwrap_or_default(),
            tools: text("guest.toolsVersion").filter(|v| v != "0"),
            family: text("guest.guestFamily").or_else(made_for),
            guest: text("config.guestFullName"),
            committed: bytes("summary.storage.committed"),
            uncommitted: bytes("summary.storage.uncommitted"),
            memory_mib: u64::try_from(p.get::<i32>("config.hardware.memoryMB").unwrap_or_default()).unwrap_or_default(),
            snapshots,
            devices: p.list("config.hardware.device"),
        }
    }
}

/// A host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Why nothing can run there now; None if it can.
    pub out: Option<String>,
    /// The SHA-1 of its certificate, as vCenter knows it.
    pub thumbprint: Option<String>,
}

impl Host {
    /// From the properties named by [`HOST`].
    pub fn read(p: &Properties) -> Self {
        let state = p.text("runtime.connectionState").unwrap_or("connected");
        let maintenance: bool = p.get("runtime.inMaintenanceMode").unwrap_or_default();
        let out = match (state, maintenance) {
            ("connected", false) => None,
            ("connected", true) => Some("in maintenance mode".to_owned()),
            ("notResponding", _) => Some("not responding".to_owned()),
            (other, _) => Some(other.to_owned()),
        };
        let thumbprint = p.text("summary.config.sslThumbprint").filter(|t| !t.is_empty()).map(str::to_owned);
        Host { out, thumbprint }
    }
}

/// What commands and files in a guest need.
const GUEST: [&str; 3] = [
    "VirtualMachine.GuestOperations.Query",
    "VirtualMachine.GuestOperations.Modify",
    "VirtualMachine.GuestOperations.Execute",
];

/// The privileges that a build will use, by object; those of the vCenter itself by its root folder.
pub fn privileges(program: &Program, found: &Found, inventory: &Inventory, root: &Moref) -> Vec<(Moref, Vec<String>)> {
    let mut wanted: Vec<(Moref, Vec<String>)> = Vec::new();
    let mut add = |object: &Moref, list: &[&str]| {
        let at = wanted.iter().position(|(o, _)| o == object).unwrap_or_else(|| {
            wanted.push((object.clone(), Vec::new()));
            wanted.len() - 1
        });
        let Some((_, have)) = wanted.get_mut(at) else { return };
        for privilege in list {
            if !have.iter().any(|h| h == privilege) {
                have.push((*privilege).to_owned());
            }
        }
    };
    for machine in &program.machines {
        let Some(resolved) = found.machines.get(&machine.id) else { continue };
        if let (Origin::Existing { .. }, Some((vm, _))) = (&machine.origin, &resolved.source) {
            add(vm, &GUEST);
            if machine.steps.iter().any(|s| matches!(s.action, Action::Snapshot(_))) {
                add(vm, &["VirtualMachine.State.CreateSnapshot"]);
            }
            if machine.on_fail.iter().any(|h| matches!(h.action, HookAction::Revert(_))) {
                add(vm, &["VirtualMachine.State.RevertToSnapshot", "VirtualMachine.Interact.PowerOn"]);
            }
            continue;
        }
        if machine.policy.is_some() {
            add(root, &["StorageProfile.View"]);
        }
        if super::specs(machine).next().is_some() {
            add(root, &["VirtualMachine.Provisioning.ReadCustSpecs"]);
        }
        if let Some((source, _)) = &resolved.source {
            let template = inventory.get(source).is_some_and(|e| e.template);
            let clone = if template { "DeployTemplate" } else { "Clone" };
            add(source, &[&format!("VirtualMachine.Provisioning.{clone}")]);
        }
        if resolved.deploys.is_some() {
            add(&resolved.placement.pool, &["VApp.Import"]);
        }
        for place in std::iter::once(&resolved.placement).chain(resolved.outputs.iter().map(|o| &o.placement)) {
            add(&place.pool, &["Resource.AssignVMToPool"]);
            add(&place.datastore, &["Datastore.AllocateSpace"]);
            // What will be in a folder has at least what the account has on the folder.
            add(&place.folder, &["VirtualMachine.Inventory.CreateFromExisting", "VirtualMachine.Inventory.Delete"]);
            for privilege in of_machine(machine, program) {
                add(&place.folder, &[privilege]);
            }
        }
        // Those of libraries themselves can't be asked for: a library is no object of the inventory.
        if resolved.deploys.is_some() {
            add(&resolved.placement.pool, &["VApp.Import"]);
        }
        if resolved.items.iter().any(|item| !item.as_template) {
            add(&resolved.placement.folder, &["VApp.Export"]);
        }
        if resolved.items.iter().any(|item| item.as_template) {
            add(&resolved.placement.folder, &["VirtualMachine.Provisioning.CreateTemplateFromVM"]);
        }
        for (network, _) in &resolved.networks {
            add(network, &["Network.Assign"]);
        }
        for output in &resolved.outputs {
            if let Some(old) = &output.replaces {
                add(old, &["VirtualMachine.Inventory.Delete", "VirtualMachine.Config.Rename"]);
            }
        }
    }
    wanted
}

/// What is done to a machine once it is there.
fn of_machine(machine: &Machine, program: &Program) -> Vec<&'static str> {
    let mut list = vec!["VirtualMachine.Config.AdvancedConfig"];
    let hardware = &machine.hardware;
    if hardware.cpus.is_some() || hardware.cores.is_some() {
        list.push("VirtualMachine.Config.CPUCount");
    }
    if hardware.memory.is_some() {
        list.push("VirtualMachine.Config.Memory");
    }
    if hardware.annotation.is_some() {
        list.push("VirtualMachine.Config.Annotation");
    }
    list.extend(super::devices::privileges(machine));
    if crate::graph::boots(machine) {
        list.extend(["VirtualMachine.Interact.PowerOn", "VirtualMachine.Interact.PowerOff"]);
        list.extend(GUEST);
    }
    let methods = machine.address.iter().chain(&machine.more_addresses).map(|address| address.method);
    if methods.chain(machine.hostname.as_ref().map(|name| name.method)).any(|by| by == NetworkMethod::Customize) {
        list.push("VirtualMachine.Provisioning.Customize");
    }
    if machine.outputs.iter().any(|o| o.kind == OutputKind::Ova) {
        list.push("VApp.Export");
    }
    if machine.outputs.iter().any(|o| o.kind == OutputKind::Template) {
        list.push("VirtualMachine.Provisioning.MarkAsTemplate");
    }
    if machine.steps.iter().any(|s| matches!(s.action, Action::Snapshot(_))) {
        list.push("VirtualMachine.State.CreateSnapshot");
    }
    if machine.steps.iter().any(|s| matches!(s.action, Action::Checkpoint(_))) {
        list.extend(["VirtualMachine.Provisioning.Clone", "VirtualMachine.State.CreateSnapshot"]);
    }
    if machine.outputs.iter().any(|o| o.snapshot.is_some()) {
        list.push("VirtualMachine.State.CreateSnapshot");
    }
    let origin = Origin::Machine(machine.id);
    if program.machines.iter().any(|m| m.origin == origin) {
        list.push("VirtualMachine.Provisioning.Clone");
        if program.machines.iter().any(|m| m.linked && m.origin == origin) {
            list.push("VirtualMachine.State.CreateSnapshot");
        }
    }
    list
}
