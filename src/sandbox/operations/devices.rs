//! Devices that are added, edited and removed. Disks and drives are entries of a list here, as large as they are said to
//! be; a network adapter is one that the guest sees.

use crate::sandbox::faults::{Answer, invalid_argument};
use crate::sandbox::machine::Config;
use crate::sandbox::model::DATASTORE;
use crate::vsphere::wire::{DeviceOperation, Element, Fault, Field, VirtualDeviceConfigSpec};

/// Adds, edits and removes devices.
pub(super) fn apply_devices(config: &mut Config, changes: &[VirtualDeviceConfigSpec]) -> Answer<()> {
    // What a client calls its new controllers, and what they are called here.
    let mut renamed: Vec<(i32, i32)> = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        let key = number(&change.device, "key");
        let place = config.devices.iter().position(|d| key.is_some() && number(d, "key") == key);
        let mut device = change.device.clone().named("device");
        match (&change.operation, place) {
            (Some(DeviceOperation::Edit), Some(place)) => {
                if let Some(old) = config.devices.get_mut(place) {
                    if old.xsi_type != device.xsi_type {
                        return Err(bad_device("InvalidDeviceSpec", index));
                    }
                    *old = edited(old, device, index)?;
                }
            }
            (Some(DeviceOperation::Remove), Some(place)) => {
                config.devices.remove(place);
            }
            (Some(DeviceOperation::Edit | DeviceOperation::Remove), None) => {
                return Err(bad_device("InvalidDeviceSpec", index));
            }
            (Some(DeviceOperation::Add), _) => {
                if let Some(controller) = device.child_mut("controllerKey")
                    && let Some((_, real)) = renamed.iter().find(|(own, _)| controller.text == own.to_string())
                {
                    controller.text = real.to_string();
                }
                if kind(&device) == "VirtualDisk" && change.file_operation.as_deref() != Some("create") {
                    // There are no files that a disk could be made of.
                    return Err(bad_device("FileNotFound", index));
                }
                let device = added(config, device, index)?;
                if let (Some(own), Some(real)) = (key, number(&device, "key")) {
                    renamed.push((own, real));
                }
                config.devices.push(device);
            }
            (Some(DeviceOperation::Other(_)) | None, _) => return Err(invalid_argument("deviceChange.operation")),
        }
    }
    Ok(())
}

/// Disks of a linked clone lie on those of its source.
pub(super) fn linked(devices: &mut [Element]) {
    for device in devices.iter_mut().filter(|d| kind(d) == "VirtualDisk") {
        if let Some(backing) = device.child_mut("backing")
            && backing.child("parent").is_none()
        {
            let file = backing.child_text("fileName").unwrap_or_default().to_owned();
            let parent = Element::new("parent").typed("VirtualDiskFlatVer2BackingInfo");
            let parent = parent.with(Element::text("fileName", file)).with(Element::text("diskMode", "persistent"));
            backing.children.push(parent);
        }
    }
}

fn bad_device(fault: &str, index: usize) -> Fault {
    let index = i32::try_from(index).unwrap_or_default();
    Fault::new(fault, format!("Invalid configuration for device '{index}'."))
        .with("property", format!("virtualDeviceSpec.device[{index}]"))
        .with("deviceIndex", index)
}

fn number(device: &Element, name: &str) -> Option<i32> {
    i32::read(device, name).ok()
}

fn kind(device: &Element) -> &str {
    device.xsi_type.as_deref().unwrap_or_default()
}

fn is_nic(device: &Element) -> bool {
    crate::vsphere::wire::NIC_KINDS.contains(&kind(device))
}

/// An edited device: what the edit leaves out stays as it was.
fn edited(old: &Element, mut new: Element, index: usize) -> Answer<Element> {
    for (place, child) in old.children.iter().enumerate() {
        if new.child(&child.name).is_none() {
            let place = place.min(new.children.len());
            new.children.insert(place, child.clone());
        }
    }
    if kind(&new) == "VirtualDisk" {
        resize(old, &mut new, index)?;
    }
    describe(&mut new);
    Ok(new)
}

/// Of the two sizes that a disk has, the one that differs is meant; bytes where both do.
fn resize(old: &Element, new: &mut Element, index: usize) -> Answer<()> {
    let read = |disk: &Element, name: &str| i64::read(disk, name).unwrap_or_default();
    let was = read(old, "capacityInBytes");
    let (bytes, kib) = (read(new, "capacityInBytes"), read(new, "capacityInKB"));
    let now = if bytes != was {
        bytes
    } else if kib > 0 {
        kib << 10
    } else {
        was
    };
    let lies_on_another = old.child("backing").is_some_and(|b| b.child("parent").is_some());
    if now < was || (now > was && lies_on_another) {
        return Err(bad_device("InvalidDeviceOperation", index));
    }
    set(new, "capacityInKB", &(now >> 10).to_string());
    set(new, "capacityInBytes", &now.to_string());
    Ok(())
}

/// An added device with a key, a label, a place and an address of its own.
fn added(config: &Config, mut device: Element, index: usize) -> Answer<Element> {
    let (first, label) = match kind(&device) {
        "VirtualDisk" => (2000, "Hard disk"),
        "VirtualCdrom" => (16_000, "CD/DVD drive"),
        "VirtualTPM" => (11_000, "Virtual TPM"),
        "VirtualAHCIController" => (15_000, "SATA controller"),
        "VirtualNVMEController" => (31_000, "NVME controller"),
        "VirtualIDEController" => (200, "IDE"),
        kind if kind.contains("SCSI") || kind.contains("Logic") => (1000, "SCSI controller"),
        _ if is_nic(&device) => (4000, "Network adapter"),
        _ => (20_000, "Device"),
    };
    if kind(&device) == "VirtualTPM" {
        let another = config.devices.iter().any(|d| kind(d) == "VirtualTPM");
        if config.traits.firmware != "efi" || another {
            return Err(bad_device("InvalidDeviceSpec", index));
        }
    }
    if kind(&device) == "VirtualDisk" {
        new_disk(config, &mut device, index)?;
    }
    if matches!(kind(&device), "VirtualDisk" | "VirtualCdrom") {
        sits(config, &device, index)?;
    }
    let mut key = first;
    while config.devices.iter().any(|d| number(d, "key") == Some(key)) {
        key += 1;
    }
    match device.child_mut("key") {
        Some(child) => child.text = key.to_string(),
        None => device.children.insert(0, Element::text("key", key.to_string())),
    }
    if device.child("deviceInfo").is_none() {
        // Controllers are counted from 0, what people plug in from 1.
        let number = if label.ends_with("controller") || label == "IDE" { key - first } else { key - first + 1 };
        let label = format!("{label} {number}");
        let info =
            Element::new("deviceInfo").with(Element::text("label", &label)).with(Element::text("summary", label));
        device.children.insert(1, info);
    }
    if is_nic(&device) && device.child_text("macAddress").is_none_or(str::is_empty) {
        let nics: Vec<&Element> = config.devices.iter().filter(|d| d.child("macAddress").is_some()).collect();
        let like = nics.first().and_then(|d| d.child_text("macAddress")).unwrap_or("00:50:56:80:00:00").to_owned();
        let tail = like.get(11..).unwrap_or(":00:00");
        let free = (0u8..0x40).map(|n| format!("00:50:56:{:02x}{tail}", 0x80 | n));
        let mac = free.into_iter().find(|mac| !nics.iter().any(|d| d.child_text("macAddress") == Some(mac)));
        device.children.retain(|c| c.name != "macAddress");
        device.children.push(Element::text("macAddress", mac.unwrap_or(like)));
    }
    describe(&mut device);
    Ok(device)
}

/// A disk's size and file.
fn new_disk(config: &Config, device: &mut Element, index: usize) -> Answer<()> {
    let read = |name: &str| i64::read(device, name).unwrap_or_default();
    let bytes = if read("capacityInBytes") > 0 { read("capacityInBytes") } else { read("capacityInKB") << 10 };
    if bytes <= 0 {
        return Err(bad_device("InvalidDeviceSpec", index));
    }
    set(device, "capacityInKB", &(bytes >> 10).to_string());
    set(device, "capacityInBytes", &bytes.to_string());
    let beside = config.devices.iter().filter_map(|d| d.child("backing")?.child_text("fileName"));
    let folder = beside.filter_map(|file| file.strip_prefix(&format!("[{DATASTORE}] "))?.split('/').next()).next();
    let folder = folder.unwrap_or("machine").to_owned();
    let count = config.devices.iter().filter(|d| kind(d) == "VirtualDisk").count();
    let Some(backing) = device.child_mut("backing") else { return Err(bad_device("InvalidDeviceBacking", index)) };
    let named = backing.child_text("fileName").is_some_and(|name| name.ends_with(".vmdk"));
    if !named {
        set(backing, "fileName", &format!("[{DATASTORE}] {folder}/{folder}_{count}.vmdk"));
    }
    if backing.child("uuid").is_none() {
        backing.children.push(Element::text("uuid", crate::sandbox::random_uuid()));
    }
    Ok(())
}

/// Whether a device's controller is there, and its place on it free.
fn sits(config: &Config, device: &Element, index: usize) -> Answer<()> {
    let controller = number(device, "controllerKey");
    let unit = number(device, "unitNumber");
    let Some(there) = config.devices.iter().find(|d| controller.is_some() && number(d, "key") == controller) else {
        return Err(bad_device("InvalidController", index));
    };
    let taken =
        config.devices.iter().any(|d| number(d, "controllerKey") == controller && number(d, "unitNumber") == unit);
    let itself = number(there, "scsiCtlrUnitNumber").is_some_and(|own| Some(own) == unit);
    if unit.is_none() || taken || itself {
        return Err(bad_device("InvalidDeviceSpec", index));
    }
    Ok(())
}

/// The summary that people read.
fn describe(device: &mut Element) {
    let backing = device.child("backing");
    let summary = match kind(device) {
        "VirtualDisk" => {
            let digits = (i64::read(device, "capacityInKB").unwrap_or_default()).to_string();
            let mut text = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            Some(format!("{text} KB"))
        }
        "VirtualCdrom" => backing.map(|b| match b.child_text("fileName") {
            Some(file) => format!("ISO {file}"),
            None => "Remote device".to_owned(),
        }),
        _ if is_nic(device) => backing.and_then(|b| match (b.child_text("deviceName"), b.child("port")) {
            (Some(name), _) => Some(name.to_owned()),
            (None, Some(port)) => Some(format!("DVSwitch: {}", port.child_text("switchUuid").unwrap_or_default())),
            (None, None) => None,
        }),
        _ => None,
    };
    if let Some(summary) = summary
        && let Some(info) = device.child_mut("deviceInfo")
    {
        set(info, "summary", &summary);
    }
}

fn set(element: &mut Element, name: &str, text: &str) {
    match element.child_mut(name) {
        Some(child) => child.text = text.to_owned(),
        None => element.children.push(Element::text(name, text)),
    }
}
