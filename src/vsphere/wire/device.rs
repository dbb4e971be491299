//! Virtual devices. They are kept as elements, since an edit must send back the whole device, whatever its kind.

use super::declare::{data, family, words};
use super::policy::VirtualMachineProfileSpec;
use super::value::{Field, Moref, Value, WireError};
use super::xml::Element;

/// The kinds of network adapters.
pub const NIC_KINDS: &[&str] = &[
    "VirtualE1000",
    "VirtualE1000e",
    "VirtualPCNet32",
    "VirtualSriovEthernetCard",
    "VirtualVmxnet",
    "VirtualVmxnet2",
    "VirtualVmxnet3",
    "VirtualVmxnet3Vrdma",
];

data! {
    /// One change of a virtual machine's devices.
    VirtualDeviceConfigSpec {
        operation: Option<DeviceOperation> = "operation",
        file_operation: Option<String> = "fileOperation",
        /// The whole device, with its `xsi:type`.
        device: Element = "device",
        /// The storage policy of a disk.
        profile: Vec<VirtualMachineProfileSpec> = "profile",
    }

    /// A label and a summary.
    Description {
        label: String = "label",
        summary: String = "summary",
    }

    /// Whether a device is connected, now and at power-on.
    VirtualDeviceConnectInfo {
        migrate_connect: Option<String> = "migrateConnect",
        start_connected: bool = "startConnected",
        allow_guest_control: bool = "allowGuestControl",
        connected: bool = "connected",
        status: Option<String> = "status",
    }

    /// An adapter on a standard network.
    VirtualEthernetCardNetworkBackingInfo {
        device_name: String = "deviceName",
        use_auto_detect: Option<bool> = "useAutoDetect",
        network: Option<Moref> = "network",
        in_passthrough_mode: Option<bool> = "inPassthroughMode",
    }

    /// An adapter on a distributed port group.
    VirtualEthernetCardDistributedVirtualPortBackingInfo {
        port: DistributedVirtualSwitchPortConnection = "port",
    }

    /// A port of a distributed switch.
    DistributedVirtualSwitchPortConnection {
        switch_uuid: String = "switchUuid",
        portgroup_key: Option<String> = "portgroupKey",
        port_key: Option<String> = "portKey",
        connection_cookie: Option<i32> = "connectionCookie",
    }

    /// An adapter on a network that another product manages.
    VirtualEthernetCardOpaqueNetworkBackingInfo {
        opaque_network_id: String = "opaqueNetworkId",
        opaque_network_type: String = "opaqueNetworkType",
    }
}

family! {
    /// What a network adapter is attached to.
    NicBacking {
        Network(VirtualEthernetCardNetworkBackingInfo),
        Port(VirtualEthernetCardDistributedVirtualPortBackingInfo),
        Opaque(VirtualEthernetCardOpaqueNetworkBackingInfo),
    }
}

words! {
    /// What to do with a device.
    DeviceOperation = "VirtualDeviceConfigSpecOperation" {
        Add = "add",
        Edit = "edit",
        Remove = "remove",
    }
}

/// A network adapter: a device of one of [`NIC_KINDS`], kept whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Nic(Element);

impl Nic {
    /// The adapter that a device is; none when it is something else.
    pub fn of(device: &Element) -> Option<Nic> {
        let kind = device.xsi_type.as_deref()?;
        NIC_KINDS.contains(&kind).then(|| Nic(device.clone()))
    }

    /// The device, whole.
    pub fn device(&self) -> &Element {
        &self.0
    }

    /// Its key within the virtual machine.
    pub fn key(&self) -> Result<i32, WireError> {
        Field::read(&self.0, "key")
    }

    /// Its label, "Network adapter 1"; empty when it has none.
    pub fn label(&self) -> &str {
        self.0.child("deviceInfo").and_then(|info| info.child_text("label")).unwrap_or_default()
    }

    /// Its MAC address.
    pub fn mac(&self) -> Option<&str> {
        self.0.child_text("macAddress")
    }

    /// What it is attached to.
    pub fn backing(&self) -> Option<NicBacking> {
        self.0.child("backing").and_then(|e| NicBacking::from_element(e).ok())
    }

    /// Whether it connects at power-on; none when the server does not say.
    pub fn start_connected(&self) -> Option<bool> {
        self.0.child("connectable").and_then(|c| c.child("startConnected")).and_then(|e| bool::from_element(e).ok())
    }

    /// Attaches it to something else, and makes it connect at power-on.
    pub fn attach(&mut self, backing: &NicBacking) {
        self.put(backing.to_element("backing"), &["deviceInfo", "key"]);
        match self.0.child_mut("connectable") {
            Some(connectable) => match connectable.child_mut("startConnected") {
                Some(start) => start.text = "true".to_owned(),
                None => connectable.children.insert(0, true.to_element("startConnected")),
            },
            None => {
                let info = VirtualDeviceConnectInfo {
                    start_connected: true,
                    allow_guest_control: true,
                    connected: true,
                    ..VirtualDeviceConnectInfo::default()
                };
                self.put(info.to_element("connectable"), &["backing"]);
            }
        }
    }

    /// Replaces a child, or inserts it after the first present of `after` (the schema has an order).
    fn put(&mut self, child: Element, after: &[&str]) {
        if let Some(old) = self.0.child_mut(&child.name) {
            *old = child;
            return;
        }
        let place = after.iter().find_map(|name| self.0.children.iter().rposition(|c| c.name == *name));
        self.0.children.insert(place.map_or(0, |at| at + 1), child);
    }
}
