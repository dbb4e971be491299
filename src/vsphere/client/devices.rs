//! Disks, network adapters, the CD drive and the TPM of a virtual machine: worked out from the devices that it has, and
//! changed together by one task.

use super::endpoint::Deadline;
use super::error::{Error, Result};
use super::session::Client;
use super::vm::same;
use crate::vsphere::wire::{
    Any, DeviceOperation, Element, Field, Nic, NicBacking, OptionValue, ReconfigVmTask, UpgradeVmTask, Value,
    VirtualDeviceConfigSpec, VirtualDeviceConnectInfo, VirtualMachineBootOptions, VirtualMachineConfigSpec,
    VirtualMachineProfileSpec,
};
use crate::vsphere::wire::{Moref, NIC_KINDS};

/// Controllers that a disk can be on, with how many units each has, the one it takes itself, and how many there may be.
const DISK_CONTROLLERS: &[Controller] = &[
    Controller { kind: "ParaVirtualSCSIController", units: 16, own: Some(7) },
    Controller { kind: "VirtualLsiLogicController", units: 16, own: Some(7) },
    Controller { kind: "VirtualLsiLogicSASController", units: 16, own: Some(7) },
    Controller { kind: "VirtualBusLogicController", units: 16, own: Some(7) },
    Controller { kind: "VirtualNVMEController", units: 15, own: None },
    Controller { kind: "VirtualAHCIController", units: 30, own: None },
    Controller { kind: "VirtualIDEController", units: 2, own: None },
];
/// Controllers that a CD drive can be on.
const CD_CONTROLLERS: &[Controller] = &[
    Controller { kind: "VirtualAHCIController", units: 30, own: None },
    Controller { kind: "VirtualIDEController", units: 2, own: None },
];
/// SCSI controllers of one machine.
const MOST_SCSI: i32 = 4;

struct Controller {
    kind: &'static str,
    units: i32,
    /// The unit that stands for the controller itself.
    own: Option<i32>,
}

/// Changes of a virtual machine's devices and of its other hardware; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceChange {
    /// What the first network adapter is attached to, where `nics` says nothing of it.
    pub network: Option<NicBacking>,
    /// Disks by number, with the bytes that they are to have at least.
    pub grown: Vec<(u32, u64)>,
    /// New disks: bytes, and whether they are thin.
    pub disks: Vec<(u64, bool)>,
    /// The id of the storage policy of new disks. It changes nothing by itself.
    pub policy: Option<String>,
    /// Network adapters by number, with what they are attached to; None removes one.
    pub nics: Vec<(u32, Option<NicBacking>)>,
    /// New network adapters.
    pub new_nics: Vec<NicBacking>,
    /// `[datastore] path` in the first CD drive, or nothing in it.
    pub cdrom: Option<Option<String>>,
    /// Whether there is a TPM.
    pub vtpm: Option<bool>,
    /// The hardware version at least.
    pub version: Option<u32>,
    /// `bios` or `efi`.
    pub firmware: Option<String>,
    /// Secure boot.
    pub secure_boot: Option<bool>,
    /// Whether processors can be added while it runs.
    pub cpu_hot_add: Option<bool>,
    /// Whether memory can be added while it runs.
    pub memory_hot_add: Option<bool>,
    /// Whether virtual machines can run within it.
    pub nested: Option<bool>,
}

/// What of a change a machine's devices don't allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Which part of the change.
    pub part: Part,
    /// In words.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// A part of a [`DeviceChange`]: its place in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first adapter's network.
    Network,
    /// Of `grown`.
    Grown(usize),
    /// Of `disks`.
    Disk(usize),
    /// Of `nics`.
    Nic(usize),
    /// The CD drive.
    Cdrom,
}

/// Why devices aren't changed.
#[derive(Debug)]
pub enum NotChanged {
    /// They don't allow it.
    Misfit(Misfit),
    /// vCenter.
    Failed(Error),
}

impl From<Error> for NotChanged {
    fn from(error: Error) -> Self {
        NotChanged::Failed(error)
    }
}

impl Client {
    /// Changes a machine's devices by one task, and the hardware version by another before it. `mark`, a key and a value
    /// of its extraConfig, is set by the same task; a machine that has it has had its change.
    pub async fn change_devices(
        &self,
        vm: &Moref,
        change: &DeviceChange,
        mark: Option<(&str, &str)>,
        deadline: Deadline,
    ) -> std::result::Result<(), NotChanged> {
        let mut paths = vec!["config.hardware.device"];
        if mark.is_some() {
            paths.extend(["config.extraConfig", "config.version"]);
        }
        let properties = self.properties(vm, &paths).await?;
        let options: Vec<OptionValue> = properties.list("config.extraConfig");
        if mark.is_some_and(|(key, value)| options.iter().any(|o| o.key == key && o.value.text() == value)) {
            return Ok(());
        }
        let devices: Vec<Element> = properties.list("config.hardware.device");
        let device_change = change.specs(&devices).map_err(NotChanged::Misfit)?;
        if let Some(wanted) = change.version
            && properties.text("config.version").and_then(version_number).is_none_or(|now| now < wanted)
        {
            self.upgrade(vm, wanted, deadline).await?;
        }
        let mark = mark.map(|(key, value)| OptionValue { key: key.to_owned(), value: Any::of(&value.to_owned()) });
        let spec = VirtualMachineConfigSpec {
            device_change,
            extra_config: mark.into_iter().collect(),
            firmware: change.firmware.clone(),
            boot_options: change
                .secure_boot
                .map(|enabled| VirtualMachineBootOptions { efi_secure_boot_enabled: Some(enabled) }),
            cpu_hot_add_enabled: change.cpu_hot_add,
            memory_hot_add_enabled: change.memory_hot_add,
            nested_hv_enabled: change.nested,
            ..VirtualMachineConfigSpec::default()
        };
        if spec == VirtualMachineConfigSpec::default() {
            return Ok(());
        }
        let request = ReconfigVmTask { this: vm.clone(), spec };
        let task = self.begin_once(vm, "VirtualMachine.reconfigure", &request).await?;
        self.wait_task(&task, "change the virtual machine's devices", deadline).await?;
        Ok(())
    }

    async fn upgrade(&self, vm: &Moref, version: u32, deadline: Deadline) -> Result<()> {
        let request = UpgradeVmTask { this: vm.clone(), version: Some(format!("vmx-{version:02}")) };
        let task = match self.begin_once(vm, "VirtualMachine.upgradeVirtualHardware", &request).await {
            Err(e) if e.is_fault("AlreadyUpgraded") => return Ok(()),
            other => other?,
        };
        match self.wait_task(&task, "upgrade the virtual hardware", deadline).await {
            Err(e) if e.is_fault("AlreadyUpgraded") => Ok(()),
            other => other.map(drop),
        }
    }
}

/// The number of `vmx-19`.
pub fn version_number(text: &str) -> Option<u32> {
    text.strip_prefix("vmx-")?.parse().ok()
}

impl DeviceChange {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        DeviceChange { policy: None, ..self.clone() } == DeviceChange::default()
    }

    /// The edits that make it of these devices; those that are as wanted already are left out.
    pub fn specs(&self, devices: &[Element]) -> std::result::Result<Vec<VirtualDeviceConfigSpec>, Misfit> {
        let mut draft = Draft { devices: devices.to_vec(), specs: Vec::new(), next: -101 };
        self.grow(&mut draft)?;
        for (index, (bytes, thin)) in self.disks.iter().enumerate() {
            draft.add_disk(*bytes, *thin).ok_or_else(|| Misfit {
                part: Part::Disk(index),
                message: "there is no place for another disk".to_owned(),
                help: "all controllers are full: take disks out of the template, or add fewer".to_owned(),
            })?;
        }
        self.connect(devices, &mut draft)?;
        for backing in &self.new_nics {
            draft.add_nic(backing);
        }
        if let Some(image) = &self.cdrom {
            draft.insert(image.as_deref());
        }
        match (self.vtpm, devices.iter().find(|d| is(d, "VirtualTPM"))) {
            (Some(true), None) => {
                let key = draft.key();
                draft.add(numbered("VirtualTPM", key), None);
            }
            (Some(false), Some(tpm)) => draft.change(DeviceOperation::Remove, tpm.clone()),
            _ => {}
        }
        let is_disk = |spec: &&mut VirtualDeviceConfigSpec| spec.file_operation.is_some();
        for disk in draft.specs.iter_mut().filter(is_disk) {
            disk.profile = self.policy.iter().map(|id| VirtualMachineProfileSpec::of(id)).collect();
        }
        Ok(draft.specs)
    }

    fn grow(&self, draft: &mut Draft) -> std::result::Result<(), Misfit> {
        let disks: Vec<Element> = draft.of(&["VirtualDisk"]);
        for (index, (number, wanted)) in self.grown.iter().enumerate() {
            let misfit = |message: String, help: String| Misfit { part: Part::Grown(index), message, help };
            let Some(disk) = labelled(&disks, "Hard disk", *number) else {
                return Err(misfit(format!("there is no disk {number}"), there_are("disk", disks.len())));
            };
            let now = capacity(disk);
            if now > *wanted {
                return Err(misfit(
                    format!("disk {number} has {} already, and never shrinks", gib(now)),
                    format!("write {} or more, or leave the line out", gib(now)),
                ));
            }
            if now == *wanted {
                continue;
            }
            if disk.child("backing").is_some_and(|b| b.child("parent").is_some()) {
                return Err(misfit(
                    format!("disk {number} lies on a snapshot, and can't be enlarged"),
                    "make a full clone: leave out `--linked`".to_owned(),
                ));
            }
            let mut disk = disk.clone();
            let bytes = i64::try_from(*wanted).unwrap_or(i64::MAX);
            set(&mut disk, "capacityInKB", &(bytes >> 10).to_string());
            set(&mut disk, "capacityInBytes", &bytes.to_string());
            draft.change(DeviceOperation::Edit, disk);
        }
        Ok(())
    }

    fn connect(&self, devices: &[Element], draft: &mut Draft) -> std::result::Result<(), Misfit> {
        let mut nics: Vec<Element> = devices.iter().filter(|d| Nic::of(d).is_some()).cloned().collect();
        nics.sort_by_key(|d| key_of(d).unwrap_or(i32::MAX));
        let mut wanted: Vec<(&Element, Option<&NicBacking>)> = Vec::new();
        for (index, (number, backing)) in self.nics.iter().enumerate() {
            let Some(nic) = labelled(&nics, "Network adapter", *number) else {
                return Err(Misfit {
                    part: Part::Nic(index),
                    message: format!("there is no network adapter {number}"),
                    help: format!("{}; `NIC ADD` adds one", there_are("adapter", nics.len())),
                });
            };
            wanted.push((nic, backing.as_ref()));
        }
        if let Some(backing) = &self.network {
            let Some(first) = nics.first() else {
                return Err(Misfit {
                    part: Part::Network,
                    message: "there is no network adapter to attach".to_owned(),
                    help: "`NIC ADD network` adds one, where the template has none".to_owned(),
                });
            };
            if !wanted.iter().any(|(nic, _)| *nic == first) {
                wanted.push((first, Some(backing)));
            }
        }
        for (device, backing) in wanted {
            let Some(backing) = backing else {
                draft.change(DeviceOperation::Remove, device.clone());
                continue;
            };
            let Some(mut nic) = Nic::of(device) else { continue };
            let right = nic.backing().is_some_and(|now| same(&now, backing));
            if !right || nic.start_connected() != Some(true) {
                nic.attach(backing);
                draft.change(DeviceOperation::Edit, nic.device().clone());
            }
        }
        Ok(())
    }
}

/// Devices as they become.
struct Draft {
    devices: Vec<Element>,
    specs: Vec<VirtualDeviceConfigSpec>,
    /// New devices have negative keys until the server gives them others.
    next: i32,
}

impl Draft {
    fn key(&mut self) -> i32 {
        self.next -= 1;
        self.next
    }

    /// Devices of some kinds, by their keys.
    fn of(&self, kinds: &[&str]) -> Vec<Element> {
        let mut found: Vec<Element> =
            self.devices.iter().filter(|d| kinds.iter().any(|kind| is(d, kind))).cloned().collect();
        found.sort_by_key(|d| key_of(d).unwrap_or(i32::MAX));
        found
    }

    fn change(&mut self, operation: DeviceOperation, device: Element) {
        if operation == DeviceOperation::Remove {
            self.devices.retain(|d| key_of(d) != key_of(&device));
        }
        let device = device.named("device");
        self.specs.push(VirtualDeviceConfigSpec { operation: Some(operation), device, ..Default::default() });
    }

    fn add(&mut self, device: Element, file_operation: Option<&str>) {
        self.devices.push(device.clone());
        self.specs.push(VirtualDeviceConfigSpec {
            operation: Some(DeviceOperation::Add),
            file_operation: file_operation.map(str::to_owned),
            device,
            ..Default::default()
        });
    }

    /// A controller of these kinds with a free unit, and the unit. `first`: its key is looked at before others.
    fn room(&self, kinds: &[Controller], first: Option<i32>) -> Option<(i32, i32)> {
        let mut open: Vec<(i32, &Controller)> = Vec::new();
        for device in &self.devices {
            let kind = kinds.iter().find(|k| is(device, k.kind));
            if let (Some(kind), Some(key)) = (kind, key_of(device)) {
                open.push((key, kind));
            }
        }
        // Kinds are in the order of preference.
        let rank = |kind: &Controller| kinds.iter().position(|k| k.kind == kind.kind);
        open.sort_by_key(|(key, kind)| (first != Some(*key), rank(kind), *key < 0, key.abs()));
        open.into_iter().find_map(|(key, kind)| {
            let number = |d: &Element, name: &str| i32::read(d, name).ok();
            let taken: Vec<i32> = self
                .devices
                .iter()
                .filter(|d| number(d, "controllerKey") == Some(key))
                .filter_map(|d| number(d, "unitNumber"))
                .collect();
            let unit = (0..kind.units).find(|unit| Some(*unit) != kind.own && !taken.contains(unit))?;
            Some((key, unit))
        })
    }

    /// Adds a disk beside the first one, else where there is room, else on a controller that is added.
    fn add_disk(&mut self, bytes: u64, thin: bool) -> Option<()> {
        let first = self.of(&["VirtualDisk"]).first().and_then(|d| i32::read(d, "controllerKey").ok());
        let (controller, unit) = match self.room(DISK_CONTROLLERS, first) {
            Some(room) => room,
            None => (self.add_scsi()?, 0),
        };
        let mut backing = Element::new("backing").typed("VirtualDiskFlatVer2BackingInfo");
        // Without a name the server chooses one, beside the machine's other files.
        String::new().write("fileName", &mut backing);
        "persistent".to_owned().write("diskMode", &mut backing);
        thin.write("thinProvisioned", &mut backing);
        let key = self.key();
        let mut disk = numbered("VirtualDisk", key);
        disk.children.push(backing);
        controller.write("controllerKey", &mut disk);
        unit.write("unitNumber", &mut disk);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        (bytes >> 10).write("capacityInKB", &mut disk);
        bytes.write("capacityInBytes", &mut disk);
        self.add(disk, Some("create"));
        Some(())
    }

    /// Another SCSI controller; its key.
    fn add_scsi(&mut self) -> Option<i32> {
        let there: Vec<Element> = self.of(&DISK_CONTROLLERS.iter().map(|c| c.kind).collect::<Vec<_>>());
        let there: Vec<&Element> =
            there.iter().filter(|d| d.child("scsiCtlrUnitNumber").is_some() || is_scsi(d)).collect();
        let taken: Vec<i32> = there.iter().filter_map(|d| i32::read(d, "busNumber").ok()).collect();
        let bus = (0..MOST_SCSI).find(|bus| !taken.contains(bus))?;
        let kind = there.first().and_then(|d| d.xsi_type.clone()).unwrap_or_else(|| "ParaVirtualSCSIController".into());
        let key = self.key();
        let mut controller = numbered(&kind, key);
        bus.write("busNumber", &mut controller);
        "noSharing".to_owned().write("sharedBus", &mut controller);
        self.add(controller, None);
        Some(key)
    }

    /// Adds an adapter of the kind that the first one has.
    fn add_nic(&mut self, backing: &NicBacking) {
        let first = self.of(NIC_KINDS).first().and_then(|d| d.xsi_type.clone());
        let key = self.key();
        let mut nic = numbered(first.as_deref().unwrap_or("VirtualVmxnet3"), key);
        nic.children.push(backing.to_element("backing"));
        nic.children.push(connected(true).to_element("connectable"));
        "generated".to_owned().write("addressType", &mut nic);
        true.write("wakeOnLanEnabled", &mut nic);
        self.add(nic, None);
    }

    /// Puts an image into the first CD drive, which is added where there is none; or takes it out.
    fn insert(&mut self, image: Option<&str>) {
        let backing = match image {
            Some(image) => {
                let mut backing = Element::new("backing").typed("VirtualCdromIsoBackingInfo");
                image.to_owned().write("fileName", &mut backing);
                backing
            }
            None => {
                let mut backing = Element::new("backing").typed("VirtualCdromRemotePassthroughBackingInfo");
                String::new().write("deviceName", &mut backing);
                false.write("exclusive", &mut backing);
                backing
            }
        };
        if let Some(mut drive) = self.of(&["VirtualCdrom"]).into_iter().next() {
            let start = image.is_some();
            let as_wanted = drive.child("backing").is_some_and(|now| same_image(now, &backing))
                && drive.child("connectable").and_then(|c| c.child_text("startConnected"))
                    == Some(if start { "true" } else { "false" });
            if !as_wanted {
                put(&mut drive, backing, &["deviceInfo", "key"]);
                put(&mut drive, connected(start).to_element("connectable"), &["backing"]);
                self.change(DeviceOperation::Edit, drive);
            }
            return;
        }
        if image.is_none() {
            return;
        }
        let (controller, unit) = match self.room(CD_CONTROLLERS, None) {
            Some(room) => room,
            None => {
                let key = self.key();
                let mut controller = numbered("VirtualAHCIController", key);
                0i32.write("busNumber", &mut controller);
                self.add(controller, None);
                (key, 0)
            }
        };
        let key = self.key();
        let mut drive = numbered("VirtualCdrom", key);
        drive.children.push(backing);
        drive.children.push(connected(true).to_element("connectable"));
        controller.write("controllerKey", &mut drive);
        unit.write("unitNumber", &mut drive);
        self.add(drive, None);
    }
}

fn connected(start_connected: bool) -> VirtualDeviceConnectInfo {
    VirtualDeviceConnectInfo {
        start_connected,
        allow_guest_control: true,
        connected: start_connected,
        ..VirtualDeviceConnectInfo::default()
    }
}

fn same_image(now: &Element, wanted: &Element) -> bool {
    now.xsi_type == wanted.xsi_type && now.child_text("fileName") == wanted.child_text("fileName")
}

fn numbered(kind: &str, key: i32) -> Element {
    let mut device = Element::new("device").typed(kind);
    key.write("key", &mut device);
    device
}

fn is(device: &Element, kind: &str) -> bool {
    device.xsi_type.as_deref() == Some(kind)
}

fn is_scsi(device: &Element) -> bool {
    device.xsi_type.as_deref().is_some_and(|kind| kind.contains("SCSI") || kind.contains("Logic"))
}

fn key_of(device: &Element) -> Option<i32> {
    i32::read(device, "key").ok()
}

/// The bytes of a disk.
fn capacity(disk: &Element) -> u64 {
    let read = |name| i64::read(disk, name).ok().and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
    read("capacityInBytes").or_else(|| read("capacityInKB").map(|kib| kib << 10)).unwrap_or_default()
}

/// The disks of a machine with their bytes.
pub fn disk_sizes(devices: &[Element]) -> Vec<u64> {
    devices.iter().filter(|d| is(d, "VirtualDisk")).map(capacity).collect()
}

/// The device that is labelled so: `Hard disk 2`. Where no label is of that form, the one at that place.
fn labelled<'a>(devices: &'a [Element], label: &str, number: u32) -> Option<&'a Element> {
    let own = |device: &Element| {
        let text = device.child("deviceInfo").and_then(|info| info.child_text("label")).unwrap_or_default();
        text.strip_prefix(label).and_then(|rest| rest.trim().parse::<u32>().ok())
    };
    if devices.iter().any(|d| own(d).is_some()) {
        return devices.iter().find(|d| own(d) == Some(number));
    }
    usize::try_from(number).ok().and_then(|n| devices.get(n.checked_sub(1)?))
}

fn there_are(what: &str, count: usize) -> String {
    match count {
        0 => format!("the machine has no {what}"),
        1 => format!("the machine has one {what}"),
        n => format!("the machine has {n} {what}s"),
    }
}

/// Sets a number that is there, or puts it at the end.
fn set(device: &mut Element, name: &str, text: &str) {
    match device.child_mut(name) {
        Some(child) => child.text = text.to_owned(),
        None => put(device, Element::text(name, text), &["capacityInKB", "unitNumber", "controllerKey"]),
    }
}

/// Replaces a child, or inserts it after the first present of `after` (the schema has an order).
fn put(device: &mut Element, child: Element, after: &[&str]) {
    if let Some(old) = device.child_mut(&child.name) {
        *old = child;
        return;
    }
    let place = after.iter().find_map(|name| device.children.iter().rposition(|c| c.name == *name));
    device.children.insert(place.map_or(0, |at| at + 1), child);
}

/// `20GiB`, as sizes are written in a VMWfile.
fn gib(bytes: u64) -> String {
    match bytes {
        b if b % (1 << 30) == 0 => format!("{}GiB", b >> 30),
        b => format!("{}MiB", b.div_ceil(1 << 20)),
    }
}
