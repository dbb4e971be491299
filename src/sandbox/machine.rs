//! A virtual machine: configuration, power, snapshots, and what its guest has reported.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::guests::{LayerId, NicReport, Parent};
use super::model::NETWORK;
use crate::vsphere::wire::{
    Description, Element, Field, Moref, Value, VirtualDeviceConnectInfo, VirtualMachineQuestionInfo,
};

/// The hardware version of new machines, and the newest.
pub(super) const HARDWARE: u32 = 19;
pub(super) const NEWEST_HARDWARE: u32 = 21;

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    On,
    Off,
}

impl Power {
    pub fn as_str(self) -> &'static str {
        match self {
            Power::On => "poweredOn",
            Power::Off => "poweredOff",
        }
    }
}

/// Where a machine's file system stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Disk {
    /// What it lies on.
    pub base: Parent,
    /// What it has written since; none before it was first powered on.
    pub top: Option<LayerId>,
}

/// How Tools stand in a running guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tools {
    /// Not running: powered off, or still booting.
    Away,
    /// The guest restarts.
    Rebooting,
    /// Ready for guest operations.
    Ready,
}

/// What the guest has reported; empty until it has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reported {
    pub host_name: Option<String>,
    /// The address that others are to use.
    pub ip: Option<String>,
    /// Its interfaces; empty also where guests have none and the address is made up.
    pub nics: Vec<NicReport>,
    pub full_name: Option<String>,
    pub id: Option<String>,
}

/// How a guest's customization stands.
#[derive(Clone, Debug)]
pub(super) struct Customization {
    /// What the next boot does.
    pub pending: Option<Element>,
    pub status: &'static str,
    pub error: String,
}

#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub object: Moref,
    pub id: i32,
    pub name: String,
    pub description: String,
    pub created: String,
    pub power: Power,
    pub parent: Option<Moref>,
    /// The frozen state of the disk.
    pub base: Parent,
    /// The configuration of then.
    pub config: Config,
}

/// What a reconfiguration changes and a snapshot keeps.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub cpus: i32,
    pub cores_per_socket: i32,
    pub memory_mb: i64,
    pub annotation: String,
    pub guest_id: String,
    pub extra: Vec<(String, String)>,
    pub devices: Vec<Element>,
    pub traits: Traits,
    /// What whoever deploys it as an OVF may set.
    pub properties: Vec<Property>,
}

/// A property of an OVF that a machine was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Property {
    pub class: String,
    pub id: String,
    pub instance: String,
    pub kind: String,
    pub configurable: bool,
    /// What it is set to, or is without.
    pub value: String,
}

impl Property {
    /// With its class and instance: `class.id.instance`.
    pub fn key(&self) -> String {
        let parts = [&self.class, &self.id, &self.instance];
        parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(".")
    }
}

/// Settings of the virtual hardware that nothing here depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Traits {
    /// `vmx-19`: the number.
    pub version: u32,
    /// `bios` or `efi`.
    pub firmware: String,
    pub secure_boot: bool,
    pub cpu_hot_add: bool,
    pub memory_hot_add: bool,
    pub nested: bool,
}

impl Default for Traits {
    fn default() -> Self {
        Traits {
            version: HARDWARE,
            firmware: "efi".to_owned(),
            secure_boot: false,
            cpu_hot_add: false,
            memory_hot_add: false,
            nested: false,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Vm {
    pub uuid: String,
    pub instance_uuid: String,
    pub template: bool,
    pub host: Moref,
    /// None for templates.
    pub pool: Option<Moref>,
    pub datastore: Moref,
    pub config: Config,
    /// Custom attributes by their key. A snapshot has none, and a clone doesn't take them over.
    pub labels: Vec<(i32, String)>,
    pub version: u64,
    pub created: String,
    pub power: Power,
    pub booted: Option<String>,
    pub tools: Tools,
    pub reported: Reported,
    pub question: Option<VirtualMachineQuestionInfo>,
    /// What it was answered, until whoever asked has seen it.
    pub answer: Option<String>,
    pub snapshots: Vec<Snapshot>,
    pub current: Option<Moref>,
    pub disk: Disk,
    pub customization: Option<Customization>,
    /// Recent tasks.
    pub tasks: Vec<Moref>,
    /// The task that has it for itself.
    pub busy: Option<Moref>,
    /// Counts power-ons and restarts: what a timer of an earlier one says is void.
    pub epoch: u64,
    /// Held while it is switched on or off, or its disk is shared.
    pub switch: Arc<tokio::sync::Mutex<()>>,
}

impl Vm {
    /// A machine as it comes from the factory: powered off, one disk, one network adapter.
    pub fn new(host: Moref, pool: Option<Moref>, datastore: Moref, base: Parent, created: String) -> Self {
        let template = pool.is_none();
        Vm {
            uuid: super::random_uuid(),
            instance_uuid: super::random_uuid(),
            template,
            host,
            pool,
            datastore,
            config: Config {
                cpus: 1,
                cores_per_socket: 1,
                memory_mb: 1024,
                annotation: String::new(),
                guest_id: "otherLinux64Guest".to_owned(),
                extra: Vec::new(),
                devices: Vec::new(),
                traits: Traits::default(),
                properties: Vec::new(),
            },
            labels: Vec::new(),
            version: 1,
            created,
            power: Power::Off,
            booted: None,
            tools: Tools::Away,
            reported: Reported::default(),
            question: None,
            answer: None,
            snapshots: Vec::new(),
            current: None,
            disk: Disk { base, top: None },
            customization: None,
            tasks: Vec::new(),
            busy: None,
            epoch: 0,
            switch: Arc::default(),
        }
    }

    /// Whether its guest is taken for Windows.
    pub fn is_windows(&self) -> bool {
        self.config.guest_id.starts_with("win")
    }

    pub fn snapshot(&self, object: &Moref) -> Option<&Snapshot> {
        self.snapshots.iter().find(|s| s.object == *object)
    }

    /// The bytes that its disks can hold.
    pub fn capacity(&self) -> i64 {
        let disks = self.config.devices.iter().filter(|d| d.xsi_type.as_deref() == Some("VirtualDisk"));
        disks.filter_map(|d| i64::read(d, "capacityInBytes").ok()).fold(0, i64::saturating_add)
    }

    /// The network adapter's addresses, in their order.
    pub fn macs(&self) -> Vec<String> {
        self.config.devices.iter().filter_map(|d| d.child_text("macAddress")).map(str::to_owned).collect()
    }
}

fn device(kind: &str, key: i32, label: &str, summary: &str) -> Element {
    let mut element = Element::new("device").typed(kind);
    key.write("key", &mut element);
    Description { label: label.to_owned(), summary: summary.to_owned() }.write("deviceInfo", &mut element);
    element
}

fn on_controller(mut element: Element, controller: i32, unit: i32) -> Element {
    controller.write("controllerKey", &mut element);
    unit.write("unitNumber", &mut element);
    element
}

/// The devices of a new machine. `folder` is its directory on the datastore.
pub(super) fn devices(
    datastore_name: &str,
    datastore: &Moref,
    network: &Moref,
    folder: &str,
    number: u64,
) -> Vec<Element> {
    let mut ide = device("VirtualIDEController", 200, "IDE 0", "IDE 0");
    0i32.write("busNumber", &mut ide);
    let mut pci = device("VirtualPCIController", 100, "PCI controller 0", "PCI controller 0");
    0i32.write("busNumber", &mut pci);
    vec![4000i32, 1000].write("device", &mut pci);
    let mut scsi = device("ParaVirtualSCSIController", 1000, "SCSI controller 0", "VMware paravirtual SCSI");
    let mut scsi_rest = on_controller(Element::default(), 100, 3);
    0i32.write("busNumber", &mut scsi_rest);
    2000i32.write("device", &mut scsi_rest);
    true.write("hotAddRemove", &mut scsi_rest);
    "noSharing".to_owned().write("sharedBus", &mut scsi_rest);
    7i32.write("scsiCtlrUnitNumber", &mut scsi_rest);
    scsi.children.append(&mut scsi_rest.children);
    let mut disk = device("VirtualDisk", 2000, "Hard disk 1", "16,777,216 KB");
    let mut backing = Element::new("backing").typed("VirtualDiskFlatVer2BackingInfo");
    format!("[{datastore_name}] {folder}/{folder}.vmdk").write("fileName", &mut backing);
    datastore.write("datastore", &mut backing);
    "persistent".to_owned().write("diskMode", &mut backing);
    true.write("thinProvisioned", &mut backing);
    super::random_uuid().write("uuid", &mut backing);
    disk.children.push(backing);
    let mut disk = on_controller(disk, 1000, 0);
    (16i64 << 20).write("capacityInKB", &mut disk);
    (16i64 << 30).write("capacityInBytes", &mut disk);
    vec![ide, pci, scsi, disk, nic(4000, 1, network, &mac(number, 0))]
}

/// A network adapter on the standard network.
fn nic(key: i32, number: i32, network: &Moref, mac: &str) -> Element {
    let mut nic = device("VirtualVmxnet3", key, &format!("Network adapter {number}"), NETWORK);
    let mut backing = Element::new("backing").typed("VirtualEthernetCardNetworkBackingInfo");
    NETWORK.to_owned().write("deviceName", &mut backing);
    false.write("useAutoDetect", &mut backing);
    network.write("network", &mut backing);
    nic.children.push(backing);
    let connectable = VirtualDeviceConnectInfo {
        migrate_connect: Some("unset".to_owned()),
        start_connected: true,
        allow_guest_control: true,
        connected: false,
        status: Some("untried".to_owned()),
    };
    nic.children.push(connectable.to_element("connectable"));
    let mut nic = on_controller(nic, 100, 7);
    "assigned".to_owned().write("addressType", &mut nic);
    mac.to_owned().write("macAddress", &mut nic);
    true.write("wakeOnLanEnabled", &mut nic);
    nic
}

/// The address of a machine's adapter, in the range that vCenter assigns from.
pub(super) fn mac(machine: u64, adapter: u64) -> String {
    let [.., a, b] = machine.to_be_bytes();
    format!("00:50:56:{:02x}:{a:02x}:{b:02x}", 0x80 | (adapter & 0x3f))
}

/// A clone's devices: the same, with addresses of its own.
pub(super) fn cloned(devices: &[Element], number: u64) -> Vec<Element> {
    let mut adapter = 0;
    let mut out = devices.to_vec();
    for device in &mut out {
        if let Some(address) = device.child_mut("macAddress") {
            address.text = mac(number, adapter);
            adapter += 1;
        }
    }
    out
}
