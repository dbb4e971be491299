//! Snapshots: frozen layers that a machine can go back to.

use std::sync::Arc;

use crate::sandbox::faults::{Answer, not_found, not_supported};
use crate::sandbox::guests::Parent;
use crate::sandbox::inventory::Inventory;
use crate::sandbox::machine::{Disk, Power, Snapshot};
use crate::sandbox::server::{Call, Server};
use crate::sandbox::tasks::{Kind, Outcome};
use crate::vsphere::wire::{Any, CreateSnapshotTask, Fault, Moref};

/// Longest chain of snapshots, as on real hosts.
const DEEPEST: usize = 32;

impl Server {
    /// `CreateSnapshot_Task`, and `CreateSnapshotEx_Task`. Memory isn't kept: going back to a snapshot with memory
    /// boots the guest anew.
    pub(in crate::sandbox) fn create_snapshot(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let name: String = call.arg("name")?;
        let description: Option<String> = call.arg("description")?;
        let memory = match call.method.as_str() {
            "CreateSnapshot_Task" => call.read::<CreateSnapshotTask>()?.memory,
            _ => call.arg("memory")?,
        };
        if self.lock().inventory.vm(&call.this)?.template {
            return Err(not_supported("snapshots of templates"));
        }
        let (server, vm) = (self.clone(), call.this.clone());
        let kind = Kind::exclusive("VirtualMachine.createSnapshot");
        self.begin(&call.method, call.task_fault.clone(), &call.this, kind, move |_| async move {
            let description = description.unwrap_or_default();
            server.snapshot(&vm, name, description, memory).await
        })
    }

    async fn snapshot(&self, vm: &Moref, name: String, description: String, memory: bool) -> Outcome {
        let switch = self.lock().inventory.vm(vm)?.switch.clone();
        let _switch = switch.lock().await;
        let _held = self.disks.lock().await;
        let power = self.lock().inventory.vm(vm)?.power;
        let base = match power {
            Power::Off => self.freeze(vm).await?,
            Power::On => {
                let copy = self.copy(vm).await?;
                match (&self.guests, copy.top) {
                    (Some(guests), Some(top)) => {
                        guests.freeze(top).await.map_err(|e| crate::sandbox::faults::machinery(&e))?;
                        Parent::Layer(top)
                    }
                    _ => copy.base,
                }
            }
        };
        let mut state = self.lock();
        let object = state.inventory.make("VirtualMachineSnapshot", "snapshot");
        let machine = state.inventory.change_vm(vm)?;
        if chain(&machine.snapshots, machine.current.as_ref()) >= DEEPEST {
            return Err(Fault::new("TooManySnapshotLevels", "The snapshot tree is too deep."));
        }
        let id = machine.snapshots.iter().map(|s| s.id).max().unwrap_or_default() + 1;
        machine.snapshots.push(Snapshot {
            object: object.clone(),
            id,
            name,
            description,
            created: crate::sandbox::now(),
            power: if memory { power } else { Power::Off },
            parent: machine.current.take(),
            base,
            config: machine.config.clone(),
        });
        machine.current = Some(object.clone());
        Ok(Some(Any::of(&object)))
    }

    /// `RemoveSnapshot_Task`.
    pub(in crate::sandbox) fn remove_snapshot(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let children: bool = call.arg("removeChildren")?;
        let (server, object) = (self.clone(), call.this.clone());
        let vm = machine_of(&self.lock().inventory, &object)?;
        let kind = Kind::exclusive("VirtualMachine.removeSnapshot");
        self.begin(&call.method, call.task_fault.clone(), &vm.clone(), kind, move |_| async move {
            {
                let mut state = server.lock();
                let machine = state.inventory.change_vm(&vm)?;
                let parent = machine.snapshot(&object).ok_or_else(|| not_found(&object))?.parent.clone();
                let mut gone = vec![object];
                let mut at = 0;
                while children && at < gone.len() {
                    let below = machine.snapshots.iter().filter(|s| s.parent.as_ref() == gone.get(at));
                    let below: Vec<Moref> = below.map(|s| s.object.clone()).collect();
                    gone.extend(below);
                    at += 1;
                }
                machine.snapshots.retain(|s| !gone.contains(&s.object));
                for snapshot in &mut machine.snapshots {
                    if snapshot.parent.as_ref().is_some_and(|p| gone.contains(p)) {
                        snapshot.parent.clone_from(&parent);
                    }
                }
                if machine.current.as_ref().is_some_and(|c| gone.contains(c)) {
                    machine.current = parent;
                }
                for snapshot in &gone {
                    state.inventory.touch(snapshot);
                }
            }
            server.sweep().await;
            Ok(None)
        })
    }

    /// `RemoveAllSnapshots_Task`.
    pub(in crate::sandbox) fn remove_all_snapshots(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let (server, vm) = (self.clone(), call.this.clone());
        let kind = Kind::exclusive("VirtualMachine.removeAllSnapshots");
        self.begin(&call.method, call.task_fault.clone(), &call.this, kind, move |_| async move {
            {
                let mut state = server.lock();
                let machine = state.inventory.change_vm(&vm)?;
                machine.current = None;
                let gone = std::mem::take(&mut machine.snapshots);
                for snapshot in &gone {
                    state.inventory.touch(&snapshot.object);
                }
            }
            server.sweep().await;
            Ok(None)
        })
    }

    /// `RevertToSnapshot_Task`, called on a snapshot.
    pub(in crate::sandbox) fn revert(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let vm = machine_of(&self.lock().inventory, &call.this)?;
        self.go_back(call, vm, call.this.clone())
    }

    /// `RevertToCurrentSnapshot_Task`, called on a machine.
    pub(in crate::sandbox) fn revert_to_current(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let current = self.lock().inventory.vm(&call.this)?.current.clone();
        let current = current.ok_or_else(|| Fault::new("NotFound", "The virtual machine has no current snapshot."))?;
        self.go_back(call, call.this.clone(), current)
    }

    fn go_back(self: &Arc<Self>, call: &Call, vm: Moref, snapshot: Moref) -> Answer<Moref> {
        let suppress: Option<bool> = call.arg("suppressPowerOn")?;
        let server = self.clone();
        let kind = Kind::exclusive("VirtualMachine.revertToSnapshot");
        self.begin(&call.method, call.task_fault.clone(), &vm.clone(), kind, move |_| async move {
            let power = server.restore(&vm, &snapshot).await?;
            server.sweep().await;
            if power == Power::On && suppress != Some(true) {
                server.switch_on(&vm).await?;
            }
            Ok(None)
        })
    }

    /// Puts a machine's disk and configuration back, which powers it off; its power then.
    async fn restore(&self, vm: &Moref, snapshot: &Moref) -> Answer<Power> {
        let switch = self.lock().inventory.vm(vm)?.switch.clone();
        let _switch = switch.lock().await;
        if self.lock().inventory.vm(vm)?.power != Power::Off {
            self.cut_power(vm).await?;
        }
        let _held = self.disks.lock().await;
        let mut state = self.lock();
        let machine = state.inventory.change_vm(vm)?;
        let kept = machine.snapshot(snapshot).ok_or_else(|| not_found(snapshot))?.clone();
        machine.disk = Disk { base: kept.base, top: None };
        machine.config = kept.config;
        machine.current = Some(kept.object);
        Ok(kept.power)
    }

    /// `RenameSnapshot`.
    pub(in crate::sandbox) fn rename_snapshot(&self, call: &Call) -> Answer<()> {
        let name: Option<String> = call.arg("name")?;
        let description: Option<String> = call.arg("description")?;
        let mut state = self.lock();
        let vm = machine_of(&state.inventory, &call.this)?;
        let machine = state.inventory.change_vm(&vm)?;
        let snapshot = machine.snapshots.iter_mut().find(|s| s.object == call.this);
        let snapshot = snapshot.ok_or_else(|| not_found(&call.this))?;
        if let Some(name) = name {
            snapshot.name = name;
        }
        if let Some(description) = description {
            snapshot.description = description;
        }
        Ok(())
    }
}

/// The machine that a snapshot is of.
fn machine_of(inventory: &Inventory, snapshot: &Moref) -> Answer<Moref> {
    let found = inventory.vms().find(|(_, _, vm)| vm.snapshot(snapshot).is_some());
    found.map(|(object, ..)| object.clone()).ok_or_else(|| not_found(snapshot))
}

/// How long the chain up to a snapshot is.
fn chain(snapshots: &[Snapshot], last: Option<&Moref>) -> usize {
    let find = |object: &Moref| snapshots.iter().find(|s| s.object == *object);
    std::iter::successors(last.and_then(find), |s| s.parent.as_ref().and_then(find)).count()
}
