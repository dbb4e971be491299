//! What DISK, NIC, CDROM and HARDWARE mean in an inventory: networks and images looked up, disks against free space.

use super::codes;
use super::resolve::{Failed, Networks, failed};
use crate::diagnostic::Diagnostic;
use crate::sema::devices::image_parts;
use crate::sema::program::Machine;
use crate::source::Span;
use crate::syntax::Keyword;
use crate::vsphere::client::{DeviceChange, EntityKind, Misfit, Part, disk_sizes};
use crate::vsphere::wire::{Element, NicBacking};

/// What a machine's devices become.
pub(super) fn resolve(
    machine: &Machine,
    network: Option<NicBacking>,
    networks: &mut Networks<'_>,
) -> Result<DeviceChange, Failed> {
    let asked = &machine.hardware.devices;
    let mut change = DeviceChange {
        network,
        grown: asked.grown.iter().map(|disk| (disk.number, disk.size)).collect(),
        disks: asked.added.iter().map(|disk| (disk.size, disk.thin)).collect(),
        cdrom: asked.cdrom.as_ref().map(|cdrom| cdrom.image.clone()),
        vtpm: asked.settings.vtpm,
        version: asked.settings.version,
        firmware: asked.settings.firmware.map(|firmware| firmware.as_str().to_owned()),
        secure_boot: asked.settings.secure_boot,
        cpu_hot_add: asked.settings.cpu_hot_add,
        memory_hot_add: asked.settings.memory_hot_add,
        nested: asked.settings.nested,
        ..DeviceChange::default()
    };
    for nic in &asked.nics {
        let backing = match &nic.network {
            Some(name) => Some(networks.find(&name.value, name.span)?),
            None => None,
        };
        change.nics.push((nic.number, backing));
    }
    for name in &asked.new_nics {
        change.new_nics.push(networks.find(&name.value, name.span)?);
    }
    if let Some(cdrom) = &asked.cdrom
        && let Some((datastore, _)) = cdrom.image.as_deref().and_then(image_parts)
    {
        let found = networks.inventory.find(EntityKind::Datastore, datastore, Some(networks.datacenter));
        found.map_err(|e| failed(&e, cdrom.span))?;
    }
    Ok(change)
}

/// How it is told that a machine's devices don't allow a change.
pub fn misfit(machine: &Machine, wrong: &Misfit) -> Diagnostic {
    let asked = &machine.hardware.devices;
    let place: Option<Span> = match wrong.part {
        Part::Network => machine.placement.get(&Keyword::Network).map(|s| s.span),
        Part::Grown(at) => asked.grown.get(at).map(|d| d.span),
        Part::Disk(at) => asked.added.get(at).map(|d| d.span),
        Part::Nic(at) => asked.nics.get(at).map(|n| n.span),
        Part::Cdrom => asked.cdrom.as_ref().map(|c| c.span),
    };
    Diagnostic::new(&codes::DEVICES_DIFFER, wrong.message.clone())
        .primary(place.unwrap_or(machine.span), "")
        .label(machine.span, "of what this is cloned from")
        .help(wrong.help.clone())
}

/// Bytes that its new and larger disks take at once, and may grow by.
pub(super) fn space(machine: &Machine, devices: &[Element]) -> (u64, u64) {
    let asked = &machine.hardware.devices;
    let (thin, thick): (Vec<_>, Vec<_>) = asked.added.iter().partition(|disk| disk.thin);
    let sum = |disks: Vec<&crate::sema::devices::NewDisk>| disks.iter().fold(0u64, |n, d| n.saturating_add(d.size));
    let sizes = disk_sizes(devices);
    let grown = asked.grown.iter().map(|disk| {
        let now = usize::try_from(disk.number).ok().and_then(|n| sizes.get(n.checked_sub(1)?).copied());
        now.map_or(0, |now| disk.size.saturating_sub(now))
    });
    (sum(thick), grown.fold(sum(thin), u64::saturating_add))
}

/// Privileges that the changes need.
pub(super) fn privileges(machine: &Machine) -> Vec<&'static str> {
    let hardware = &machine.hardware;
    let asked = &hardware.devices;
    let settings = &asked.settings;
    let mut list = Vec::new();
    let mut add = |needed: bool, privilege: &'static str| {
        if needed {
            list.push(privilege);
        }
    };
    add(!asked.grown.is_empty(), "VirtualMachine.Config.DiskExtend");
    add(!asked.added.is_empty(), "VirtualMachine.Config.AddNewDisk");
    let added = !asked.new_nics.is_empty() || asked.nics.iter().any(|n| n.network.is_none());
    add(added || asked.cdrom.is_some() || settings.vtpm.is_some(), "VirtualMachine.Config.AddRemoveDevice");
    add(asked.cdrom.is_some() || !asked.nics.is_empty(), "VirtualMachine.Config.EditDevice");
    add(asked.cdrom.is_some(), "VirtualMachine.Interact.SetCDMedia");
    add(settings.version.is_some(), "VirtualMachine.Config.UpgradeVirtualHardware");
    let set = settings.firmware.is_some() || settings.secure_boot.is_some() || settings.nested.is_some();
    add(set || settings.cpu_hot_add.is_some() || settings.memory_hot_add.is_some(), "VirtualMachine.Config.Settings");
    add(!hardware.labels.is_empty(), "Global.SetCustomField");
    add(!hardware.tags.is_empty(), "InventoryService.Tagging.AttachTag");
    list
}
