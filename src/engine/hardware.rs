//! DISK, NIC, CDROM, HARDWARE and NETWORK on a machine that has just been cloned, and LABEL.

use super::event::Phase;
use super::machine::Worker;
use super::options::FailureClass;
use super::shared::{Shared, Stop};
use crate::diagnostic::Diagnostic;
use crate::plan::{Resolved, codes, misfit};
use crate::sema::program::Machine;
use crate::vsphere::client::{Deadline, DeviceChange, NotChanged};
use crate::vsphere::wire::{Element, Moref};

/// Under what a machine's extraConfig says whose devices it has: what adds some must not be done twice.
pub(super) const DEVICES_MARK: &str = "vmwbuild.devices";

/// Whether the source's devices allow what is asked for: told before anything is cloned.
pub(super) async fn check(shared: &Shared, machine: &Machine, resolved: &Resolved, source: &Moref) -> Result<(), Stop> {
    if machine.hardware.devices.is_empty() {
        return Ok(());
    }
    let properties = shared.client.properties(source, &["config.hardware.device"]).await;
    let properties = properties.map_err(|e| Stop::vsphere(&e, machine.span, "reading the source's devices"))?;
    let devices: Vec<Element> = properties.list("config.hardware.device");
    match resolved.devices.specs(&devices) {
        Ok(_) => Ok(()),
        Err(wrong) => Err(refused(misfit(machine, &wrong))),
    }
}

/// Gives a clone the devices that it is to have, and its labels.
pub(super) async fn run(worker: &Worker, resolved: &Resolved, vm: &Moref) -> Result<(), Stop> {
    let machine = worker.machine();
    if !resolved.devices.is_empty() {
        worker.phase(Phase::Configuring);
        let whose = format!("{}/{}", worker.shared.options.build, machine.id.0);
        // An adapter that is attached twice is attached; what is added twice is there twice.
        let mark = (!machine.hardware.devices.is_empty()).then_some((DEVICES_MARK, whose.as_str()));
        change(worker, &resolved.devices, mark, vm).await?;
    }
    label(&worker.shared, machine, vm).await
}

/// Of a machine that is cloned from a checkpoint, which has its devices, only the network may be another.
pub(super) async fn network(worker: &Worker, resolved: &Resolved, vm: &Moref) -> Result<(), Stop> {
    if resolved.devices.network.is_some() {
        worker.phase(Phase::Configuring);
        let only = DeviceChange { network: resolved.devices.network.clone(), ..DeviceChange::default() };
        let first = |number: u32| number == 1;
        // Where the file says what the first adapter is attached to, the checkpoint's is attached so.
        if !resolved.devices.nics.iter().any(|(number, _)| first(*number)) {
            change(worker, &only, None, vm).await?;
        }
    }
    label(&worker.shared, worker.machine(), vm).await
}

async fn change(worker: &Worker, wanted: &DeviceChange, mark: Option<(&str, &str)>, vm: &Moref) -> Result<(), Stop> {
    let (shared, machine) = (&worker.shared, worker.machine());
    let deadline = Deadline::after(shared.options.deadlines.task);
    match shared.client.change_devices(vm, wanted, mark, deadline).await {
        Ok(()) => Ok(()),
        Err(NotChanged::Misfit(wrong)) => Err(refused(misfit(machine, &wrong))),
        Err(NotChanged::Failed(e)) => {
            let what = if mark.is_some() { "changing the virtual hardware" } else { "attaching the network" };
            Err(Stop::vsphere(&e, machine.span, what))
        }
    }
}

fn refused(diagnostic: Diagnostic) -> Stop {
    debug_assert_eq!(diagnostic.code.number, codes::DEVICES_DIFFER.number);
    Stop::failed(FailureClass::Vsphere, "the source's devices don't allow it", diagnostic)
}

/// Sets the custom attributes of LABEL, and the tags.
pub(super) async fn label(shared: &Shared, machine: &Machine, vm: &Moref) -> Result<(), Stop> {
    tag(shared, machine, vm).await?;
    let labels = &machine.hardware.labels;
    if labels.is_empty() {
        return Ok(());
    }
    let mut values = Vec::new();
    for (name, value) in labels {
        values.push((name.clone(), shared.text(value)?));
    }
    let set = shared.client.label(vm, &values).await;
    set.map_err(|e| Stop::vsphere(&e, machine.span, "setting the LABELs"))
}

/// Gives the machine its tags. A clone inherits none.
async fn tag(shared: &Shared, machine: &Machine, vm: &Moref) -> Result<(), Stop> {
    let tags = &machine.hardware.tags;
    let Some(first) = tags.first() else { return Ok(()) };
    let ids: Vec<String> = tags.iter().filter_map(|tag| shared.tags.id(tag)).collect();
    let attached = shared.client.attach_tags(vm, &ids).await;
    attached.map_err(|e| Stop::vsphere(&e, first.span, "attaching the tags"))
}
