//! Changing a machine's configuration.

use std::sync::Arc;

use super::devices::apply_devices;
use crate::sandbox::faults::{Answer, invalid_argument, invalid_power_state, not_found, not_supported};
use crate::sandbox::machine::{NEWEST_HARDWARE, Power, Vm};
use crate::sandbox::server::{Call, Server};
use crate::sandbox::tasks::{Kind, Outcome};
use crate::vsphere::wire::{Fault, Moref, ReconfigVmTask, UpgradeVmTask, VirtualMachineConfigSpec};

/// Most processors, and most memory in MiB.
const MOST_CPUS: i32 = 768;
const MOST_MEMORY: i64 = 24 << 20;

impl Server {
    /// `ReconfigVM_Task`.
    pub(in crate::sandbox) fn reconfigure(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let request: ReconfigVmTask = call.read()?;
        // Of a template only the name and the notes can be changed.
        let (name, annotation) = (request.spec.name.clone(), request.spec.annotation.clone());
        let allowed = VirtualMachineConfigSpec { name, annotation, ..VirtualMachineConfigSpec::default() };
        if request.spec != allowed && self.lock().inventory.vm(&call.this)?.template {
            return Err(not_supported("changing a template"));
        }
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
            || spec.memory_mb.is_some_and(|n| n != changed.config.memory_mb)
            || spec.firmware.as_ref().is_some_and(|f| *f != changed.config.traits.firmware);
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
pub(in crate::sandbox) fn apply(vm: &mut Vm, spec: &VirtualMachineConfigSpec) -> Answer<()> {
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
    let traits = &mut vm.config.traits;
    if let Some(firmware) = &spec.firmware {
        if !matches!(firmware.as_str(), "bios" | "efi") {
            return Err(invalid_argument("configSpec.firmware"));
        }
        traits.firmware.clone_from(firmware);
    }
    if let Some(secure) = spec.boot_options.as_ref().and_then(|b| b.efi_secure_boot_enabled) {
        if secure && traits.firmware != "efi" {
            return Err(invalid_argument("configSpec.bootOptions.efiSecureBootEnabled"));
        }
        traits.secure_boot = secure;
    }
    traits.cpu_hot_add = spec.cpu_hot_add_enabled.unwrap_or(traits.cpu_hot_add);
    traits.memory_hot_add = spec.memory_hot_add_enabled.unwrap_or(traits.memory_hot_add);
    traits.nested = spec.nested_hv_enabled.unwrap_or(traits.nested);
    apply_devices(&mut vm.config, &spec.device_change)
}

impl Server {
    /// `UpgradeVM_Task`.
    pub(in crate::sandbox) fn upgrade(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let request: UpgradeVmTask = call.read()?;
        let wanted = match &request.version {
            None => NEWEST_HARDWARE,
            Some(version) => version
                .strip_prefix("vmx-")
                .and_then(|n| n.parse::<u32>().ok())
                .filter(|n| *n <= NEWEST_HARDWARE)
                .ok_or_else(|| invalid_argument("version"))?,
        };
        let (server, vm) = (self.clone(), call.this.clone());
        let kind = Kind::exclusive("VirtualMachine.upgradeVirtualHardware");
        self.begin(&call.method, call.task_fault.clone(), &call.this, kind, move |_| async move {
            let mut state = server.lock();
            let machine = state.inventory.change_vm(&vm)?;
            if machine.power == Power::On {
                return Err(invalid_power_state(Some("poweredOff"), machine.power.as_str()));
            }
            if machine.config.traits.version >= wanted {
                let text = format!("The hardware is of version {} already.", machine.config.traits.version);
                return Err(Fault::new("AlreadyUpgraded", text));
            }
            machine.config.traits.version = wanted;
            machine.version += 1;
            Ok(None)
        })
    }

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
