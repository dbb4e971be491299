//! Changing a machine's configuration.

use std::sync::Arc;

use crate::sandbox::faults::{Answer, invalid_argument, invalid_power_state, not_found};
use crate::sandbox::machine::{Config, Power, Vm};
use crate::sandbox::server::{Call, Server};
use crate::sandbox::tasks::{Kind, Outcome};
use crate::vsphere::wire::{
    DeviceOperation, Element, Fault, Field, Moref, ReconfigVmTask, VirtualDeviceConfigSpec, VirtualMachineConfigSpec,
};

/// Most processors, and most memory in MiB.
const MOST_CPUS: i32 = 768;
const MOST_MEMORY: i64 = 24 << 20;

impl Server {
    /// `ReconfigVM_Task`.
    pub(in crate::sandbox) fn reconfigure(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let request: ReconfigVmTask = call.read()?;
        let (server, vm) = (self.clone(), call.this.clone());
        let kind = Kind::exclusive("VirtualMachine.reconfigure");
        self.begin(&call.method, call.task_fault.clone(), &call.this, kind, move |_| async move {
            server.change_config(&vm, &request.spec)
        })
    }

    fn change_config(&self, vm: &Moref, spec: &VirtualMachineConfigSpec) -> Outcome {
        let mut state = self.lock();
        let node = state.inventory.node(vm)?;
        let (parent, own) = (node.parent.clone(), node.name.clone());
        let name = match (&spec.name, parent) {
            (Some(name), Some(parent)) => Some(state.inventory.free_name(&parent, name, Some(vm))?),
            _ => None,
        };
        // The copy is what is kept when nothing is refused.
        let mut changed = state.inventory.vm(vm)?.clone();
        let on = changed.power == Power::On;
        let hardware = spec.num_cpus.is_some_and(|n| n != changed.config.cpus)
            || spec.memory_mb.is_some_and(|n| n != changed.config.memory_mb);
        if on && hardware {
            return Err(invalid_power_state(Some("poweredOff"), changed.power.as_str()));
        }
        apply(&mut changed, spec)?;
        changed.version += 1;
        *state.inventory.change_vm(vm)? = changed;
        if let Some(name) = name.filter(|name| *name != own)
            && let Some(node) = state.inventory.change(vm)
        {
            node.name = name;
        }
        Ok(None)
    }
}

/// Applies a specification; the name is the caller's business.
pub(super) fn apply(vm: &mut Vm, spec: &VirtualMachineConfigSpec) -> Answer<()> {
    if let Some(cpus) = spec.num_cpus {
        if !(1..=MOST_CPUS).contains(&cpus) {
            return Err(invalid_argument("configSpec.numCPUs"));
        }
        vm.config.cpus = cpus;
    }
    if let Some(cores) = spec.num_cores_per_socket {
        if cores < 1 || vm.config.cpus % cores != 0 {
            return Err(invalid_argument("configSpec.numCoresPerSocket"));
        }
        vm.config.cores_per_socket = cores;
    }
    if let Some(memory) = spec.memory_mb {
        if !(4..=MOST_MEMORY).contains(&memory) || memory % 4 != 0 {
            return Err(invalid_argument("configSpec.memoryMB"));
        }
        vm.config.memory_mb = memory;
    }
    if let Some(annotation) = &spec.annotation {
        vm.config.annotation.clone_from(annotation);
    }
    if let Some(guest_id) = &spec.guest_id {
        vm.config.guest_id.clone_from(guest_id);
    }
    if let Some(uuid) = &spec.uuid {
        vm.uuid.clone_from(uuid);
    }
    if let Some(uuid) = &spec.instance_uuid {
        vm.instance_uuid.clone_from(uuid);
    }
    for option in &spec.extra_config {
        let value = option.value.text();
        vm.config.extra.retain(|(key, _)| *key != option.key);
        if !value.is_empty() {
            vm.config.extra.push((option.key.clone(), value.to_owned()));
        }
    }
    apply_devices(&mut vm.config, &spec.device_change)
}

/// Adds, edits and removes devices.
pub(super) fn apply_devices(config: &mut Config, changes: &[VirtualDeviceConfigSpec]) -> Answer<()> {
    for (index, change) in changes.iter().enumerate() {
        let key = device_key(&change.device);
        let place = config.devices.iter().position(|d| device_key(d).is_some() && device_key(d) == key);
        let device = change.device.clone().named("device");
        match (&change.operation, place) {
            (Some(DeviceOperation::Edit), Some(place)) => {
                if let Some(old) = config.devices.get_mut(place) {
                    if old.xsi_type != device.xsi_type {
                        return Err(bad_device(index));
                    }
                    *old = merged(old, device);
                }
            }
            (Some(DeviceOperation::Remove), Some(place)) => {
                config.devices.remove(place);
            }
            (Some(DeviceOperation::Edit | DeviceOperation::Remove), None) => return Err(bad_device(index)),
            (Some(DeviceOperation::Add), _) => {
                let device = added(config, device);
                config.devices.push(device);
            }
            (Some(DeviceOperation::Other(_)) | None, _) => return Err(invalid_argument("deviceChange.operation")),
        }
    }
    Ok(())
}

fn bad_device(index: usize) -> Fault {
    let index = i32::try_from(index).unwrap_or_default();
    Fault::new("InvalidDeviceSpec", format!("Invalid configuration for device '{index}'."))
        .with("property", format!("virtualDeviceSpec.device[{index}]"))
        .with("deviceIndex", index)
}

fn device_key(device: &Element) -> Option<i32> {
    i32::read(device, "key").ok()
}

/// An edited device: what the edit leaves out stays as it was.
fn merged(old: &Element, mut new: Element) -> Element {
    for (place, child) in old.children.iter().enumerate() {
        if new.child(&child.name).is_none() {
            let place = place.min(new.children.len());
            new.children.insert(place, child.clone());
        }
    }
    new
}

/// An added device with a key, a label and an address of its own.
fn added(config: &Config, mut device: Element) -> Element {
    let nics = || config.devices.iter().filter(|d| d.child("macAddress").is_some());
    let is_nic = device.xsi_type.as_deref().is_some_and(|kind| crate::vsphere::wire::NIC_KINDS.contains(&kind));
    let first = if is_nic { 4000 } else { 10_000 };
    let mut key = first;
    while config.devices.iter().any(|d| device_key(d) == Some(key)) {
        key += 1;
    }
    match device.child_mut("key") {
        Some(child) => child.text = key.to_string(),
        None => device.children.insert(0, Element::text("key", key.to_string())),
    }
    if device.child("deviceInfo").is_none() {
        let number = key - first + 1;
        let label = if is_nic { format!("Network adapter {number}") } else { format!("Device {key}") };
        let info =
            Element::new("deviceInfo").with(Element::text("label", &label)).with(Element::text("summary", label));
        device.children.insert(1, info);
    }
    if is_nic && device.child_text("macAddress").is_none_or(str::is_empty) {
        let like = nics().next().and_then(|d| d.child_text("macAddress")).unwrap_or("00:50:56:80:00:00").to_owned();
        let number = u8::try_from(nics().count()).unwrap_or_default() & 0x3f;
        let tail = like.get(11..).unwrap_or(":00:00");
        device.children.retain(|c| c.name != "macAddress");
        device.children.push(Element::text("macAddress", format!("00:50:56:{:02x}{tail}", 0x80 | number)));
    }
    device
}

impl Server {
    /// `Rename_Task`.
    pub(in crate::sandbox) fn rename(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let name: String = call.arg("newName")?;
        let (server, object) = (self.clone(), call.this.clone());
        let operation = match object.kind.as_str() {
            "VirtualMachine" => "VirtualMachine.rename",
            _ => "ManagedEntity.rename",
        };
        self.begin(&call.method, call.task_fault.clone(), &call.this, Kind::exclusive(operation), move |_| async move {
            let mut state = server.lock();
            let parent = state.inventory.node(&object)?.parent.clone().ok_or_else(|| invalid_argument("newName"))?;
            let name = state.inventory.free_name(&parent, &name, Some(&object))?;
            state.inventory.change(&object).ok_or_else(|| not_found(&object))?.name = name;
            Ok(None)
        })
    }
}
