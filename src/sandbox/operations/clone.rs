//! Cloning, and making machines and templates of each other.

use std::sync::Arc;

use super::configure::apply;
use super::devices::{apply_devices, linked};
use crate::sandbox::faults::{Answer, invalid_argument, invalid_power_state, not_found, not_supported};
use crate::sandbox::inventory::{Body, Inventory};
use crate::sandbox::machine::{self, Config, Disk, Power, Vm};
use crate::sandbox::server::{Call, Server};
use crate::sandbox::tasks::{Kind, Outcome};
use crate::vsphere::wire::{Any, CloneVmTask, MarkAsVirtualMachine, Moref, VirtualMachineRelocateSpec};

impl Server {
    /// `CloneVM_Task`.
    pub(in crate::sandbox) fn clone_vm(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let request: CloneVmTask = call.read()?;
        {
            let state = self.lock();
            let source = state.inventory.vm(&request.this)?;
            check_place(&state.inventory, &request.folder, &request.spec.location)?;
            if request.spec.location.pool.is_none() && source.template && !request.spec.template {
                return Err(invalid_argument("spec.location.pool"));
            }
            if let Some(snapshot) = &request.spec.snapshot {
                source.snapshot(snapshot).ok_or_else(|| not_found(snapshot))?;
            }
            let linked = request.spec.location.disk_move_type.as_deref() == Some("createNewChildDiskBacking");
            if linked && request.spec.snapshot.is_none() {
                return Err(invalid_argument("spec.snapshot"));
            }
            if request.spec.customization.is_some() {
                return Err(not_supported("customization of guests"));
            }
        }
        let kind = Kind { operation: "VirtualMachine.clone", exclusive: false, cancelable: true };
        let (server, fail) = (self.clone(), call.task_fault.clone());
        self.begin(&call.method, fail, &call.this, kind, move |task| async move {
            let power_on = request.spec.power_on && !request.spec.template;
            server.pause(server.config.clone_delay).await;
            let clone = server.make_clone(request, &task).await?;
            if power_on {
                server.switch_on(&clone).await?;
            }
            Ok(Some(Any::of(&clone)))
        })
    }

    pub(in crate::sandbox) async fn make_clone(&self, request: CloneVmTask, task: &Moref) -> Answer<Moref> {
        let CloneVmTask { this: source, folder, name, spec } = request;
        self.lock().inventory.free_name(&folder, &name, None)?;
        self.progress(task, 10);
        let switch = self.lock().inventory.vm(&source)?.switch.clone();
        let _switch = switch.lock().await;
        let _held = self.disks.lock().await;
        let disk = match &spec.snapshot {
            Some(object) => {
                let state = self.lock();
                let snapshot = state.inventory.vm(&source)?.snapshot(object).ok_or_else(|| not_found(object))?;
                Disk { base: snapshot.base.clone(), top: None }
            }
            None if self.lock().inventory.vm(&source)?.power == Power::Off => {
                Disk { base: self.freeze(&source).await?, top: None }
            }
            None => self.copy(&source).await?,
        };
        self.progress(task, 80);
        let mut state = self.lock();
        let original = state.inventory.vm(&source)?.clone();
        let name = state.inventory.free_name(&folder, &name, None)?;
        let number = state.inventory.number();
        let config = spec.snapshot.as_ref().and_then(|s| original.snapshot(s)).map_or(&original.config, |s| &s.config);
        let pool = spec.location.pool.clone().or_else(|| original.pool.clone()).filter(|_| !spec.template);
        let host = place(&state.inventory, &spec.location, &original);
        let datastore = spec.location.datastore.clone().unwrap_or_else(|| original.datastore.clone());
        let mut vm = Vm::new(host, pool, datastore, disk.base, crate::sandbox::now());
        vm.disk.top = disk.top;
        vm.config = Config { devices: machine::cloned(&config.devices, number), ..config.clone() };
        if spec.location.disk_move_type.as_deref() == Some("createNewChildDiskBacking") {
            linked(&mut vm.config.devices);
        }
        vm.reported.id.clone_from(&original.reported.id);
        vm.reported.full_name.clone_from(&original.reported.full_name);
        vm.template = spec.template;
        apply_devices(&mut vm.config, &spec.location.device_change)?;
        if let Some(changes) = &spec.config {
            apply(&mut vm, changes)?;
        }
        Ok(state.inventory.add_vm(&folder, &name, vm))
    }

    /// `MarkAsTemplate`.
    pub(in crate::sandbox) async fn mark_as_template(&self, vm: &Moref) -> Answer<()> {
        let switch = self.lock().inventory.vm(vm)?.switch.clone();
        let _switch = switch.lock().await;
        {
            let state = self.lock();
            let machine = state.inventory.vm(vm)?;
            if machine.template {
                return Err(not_supported("marking a template as a template"));
            }
            if machine.power != Power::Off {
                return Err(invalid_power_state(Some("poweredOff"), machine.power.as_str()));
            }
            if let Some(task) = &machine.busy {
                return Err(crate::sandbox::faults::task_in_progress(task));
            }
        }
        let _held = self.disks.lock().await;
        self.freeze(vm).await?;
        let mut state = self.lock();
        let machine = state.inventory.change_vm(vm)?;
        machine.template = true;
        machine.pool = None;
        Ok(())
    }

    /// `MarkAsVirtualMachine`.
    pub(in crate::sandbox) fn mark_as_vm(&self, call: &Call) -> Answer<()> {
        let request: MarkAsVirtualMachine = call.read()?;
        let mut state = self.lock();
        let place_of =
            VirtualMachineRelocateSpec { pool: Some(request.pool.clone()), host: request.host, ..Default::default() };
        let original = state.inventory.vm(&request.this)?;
        if !original.template {
            return Err(not_supported("marking a virtual machine as a virtual machine"));
        }
        if state.inventory.owner(&request.pool).is_none() {
            return Err(invalid_argument("pool"));
        }
        let host = place(&state.inventory, &place_of, original);
        let machine = state.inventory.change_vm(&request.this)?;
        machine.template = false;
        machine.pool = Some(request.pool);
        machine.host = host;
        Ok(())
    }

    /// `RelocateVM_Task`: another pool, host, folder or network; there is one datastore.
    pub(in crate::sandbox) fn relocate(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let spec: VirtualMachineRelocateSpec = call.arg("spec")?;
        let (server, vm) = (self.clone(), call.this.clone());
        let kind = Kind::exclusive("VirtualMachine.relocate");
        self.begin(&call.method, call.task_fault.clone(), &call.this, kind, move |_| async move {
            server.move_vm(&vm, &spec)
        })
    }

    fn move_vm(&self, vm: &Moref, spec: &VirtualMachineRelocateSpec) -> Outcome {
        let mut state = self.lock();
        let folder = spec.folder.clone().or_else(|| state.inventory.get(vm).and_then(|n| n.parent.clone()));
        let folder = folder.ok_or_else(|| not_found(vm))?;
        check_place(&state.inventory, &folder, spec)?;
        let host = place(&state.inventory, spec, state.inventory.vm(vm)?);
        let machine = state.inventory.change_vm(vm)?;
        machine.host = host;
        if let Some(pool) = &spec.pool {
            machine.pool = Some(pool.clone());
        }
        apply_devices(&mut machine.config, &spec.device_change)?;
        if spec.folder.is_some() {
            state.inventory.reparent(vm, &folder);
        }
        Ok(None)
    }
}

/// Checks that what a place names exists and is of the right kind.
fn check_place(inventory: &Inventory, folder: &Moref, spec: &VirtualMachineRelocateSpec) -> Answer<()> {
    match inventory.node(folder).map(|node| &node.body) {
        Ok(Body::Folder(kinds)) if kinds.contains(&"VirtualMachine") => {}
        Ok(_) => return Err(invalid_argument("folder")),
        Err(fault) => return Err(fault),
    }
    let named = [
        (&spec.pool, "ResourcePool", "spec.location.pool"),
        (&spec.host, "HostSystem", "spec.location.host"),
        (&spec.datastore, "Datastore", "spec.location.datastore"),
    ];
    for (object, kind, field) in named {
        let Some(object) = object else { continue };
        if object.kind != kind {
            return Err(invalid_argument(field));
        }
        inventory.node(object)?;
    }
    crate::sandbox::pbm::check(spec)
}

/// The host for a machine: the one asked for, its own where the pool allows, else the pool's emptiest.
fn place(inventory: &Inventory, spec: &VirtualMachineRelocateSpec, vm: &Vm) -> Moref {
    if let Some(host) = &spec.host {
        return host.clone();
    }
    let compute = spec.pool.as_ref().and_then(|pool| inventory.owner(pool));
    compute.and_then(|compute| inventory.a_host(&compute)).unwrap_or_else(|| vm.host.clone())
}
