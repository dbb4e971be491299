//! What a descriptor means here: the machine that it is to be made.

use std::collections::HashMap;

use super::FORMAT;
use crate::sandbox::faults::{Answer, invalid_argument};
use crate::sandbox::machine::Property;
use crate::sandbox::server::{Call, Server};
use crate::vsphere::wire::{
    Any, CreateImportSpec, DeviceOperation, Element, Envelope, Fault, Field, HardwareItem, Moref, OptionValue,
    OvfCreateImportSpecParams, OvfCreateImportSpecResult, OvfFileItem, Value, VirtualDeviceConfigSpec,
    VirtualMachineConfigSpec, VirtualSystem,
};

/// `CreateImportSpec`.
pub(super) fn spec(server: &Server, call: &Call) -> Answer<Element> {
    let request: CreateImportSpec = call.read()?;
    let state = server.lock();
    state.inventory.owner(&request.resource_pool).ok_or_else(|| invalid_argument("resourcePool"))?;
    state.inventory.node(&request.datastore)?;
    let params = &request.cisp;
    let envelope = match Envelope::parse(request.ovf_descriptor.as_bytes()) {
        Ok(envelope) => envelope,
        Err(why) => return refused(call, Fault::new("OvfXmlFormat", format!("The descriptor can't be read: {why}."))),
    };
    let Some(system) = &envelope.system else {
        return refused(call, Fault::new("OvfUnsupportedElement", "The descriptor has no single virtual machine."));
    };
    let network = |name: &str| {
        let mapped = params.network_mapping.iter().find(|m| m.name == name);
        mapped.map_or_else(|| state.places.network.clone(), |m| m.network.clone())
    };
    let attached = |moref: &Moref| attached(&state.inventory, moref);
    let mut reading = Reading { params, envelope: &envelope, keys: HashMap::new(), next: -100, out: Out::default() };
    let configuration = Some(params.deployment_option.clone()).filter(|c| !c.is_empty());
    let configuration = configuration.or_else(|| envelope.configurations.first().cloned());
    let mut config = VirtualMachineConfigSpec {
        name: Some(params.entity_name.clone()),
        version: system.version.clone(),
        guest_id: system.os.clone().or_else(|| Some("otherLinux64Guest".to_owned())),
        annotation: system.annotation.clone(),
        num_cpus: Some(1),
        memory_mb: Some(1024),
        ..VirtualMachineConfigSpec::default()
    };
    for item in &system.items {
        if item.configuration.as_ref().is_some_and(|own| Some(own) != configuration.as_ref()) {
            continue;
        }
        let quantity = item.quantity.unwrap_or_default();
        match item.kind {
            3 => config.num_cpus = i32::try_from(quantity).ok(),
            4 => config.memory_mb = i64::try_from(quantity).ok(),
            5 | 6 | 20 => reading.controller(item),
            10 => reading.adapter(item, attached(&network(item.connection.as_deref().unwrap_or_default()))?),
            17 => reading.disk(item),
            // Drives without anything in them, and what no guest here could tell.
            1 | 14 | 15 | 16 | 23 | 24 => {}
            other => reading.out.error.push(
                Fault::new(
                    "OvfUnsupportedType",
                    format!("Hardware of the type {other} is not supported: {}.", item.name),
                )
                .with("instanceId", item.instance.clone()),
            ),
        }
    }
    let properties = properties(params, system, &mut config, &mut reading.out.error);
    let Out { devices, files, warning, error } = reading.out;
    config.device_change = devices;
    let import = Element::new("importSpec").typed("VirtualMachineImportSpec");
    let config = config.to_element("configSpec").with(properties);
    let import = import.with(config).with(request.resource_pool.to_element("resPoolEntity"));
    let import_spec = Some(import).filter(|_| error.is_empty());
    call.answer(&OvfCreateImportSpecResult { import_spec, file_item: files, warning, error })
}

fn refused(call: &Call, fault: Fault) -> Answer<Element> {
    call.answer(&OvfCreateImportSpecResult { error: vec![fault], ..OvfCreateImportSpecResult::default() })
}

/// What an adapter on that network has as its backing.
fn attached(inventory: &crate::sandbox::inventory::Inventory, network: &Moref) -> Answer<Element> {
    let node = inventory.node(network)?;
    let text = |name: &str, text: &str| Element::text(name, text);
    match (&node.body, network.kind.as_str()) {
        (crate::sandbox::inventory::Body::Portgroup { switch }, _) => {
            let uuid = match &inventory.node(switch)?.body {
                crate::sandbox::inventory::Body::Switch { uuid } => uuid.clone(),
                _ => String::new(),
            };
            let port = Element::new("port").with(text("switchUuid", &uuid)).with(text("portgroupKey", &network.value));
            Ok(Element::new("backing").typed("VirtualEthernetCardDistributedVirtualPortBackingInfo").with(port))
        }
        (_, "Network" | "OpaqueNetwork") => {
            let backing = Element::new("backing").typed("VirtualEthernetCardNetworkBackingInfo");
            Ok(backing.with(text("deviceName", &node.name)).with(network.to_element("network")))
        }
        _ => Err(invalid_argument("cisp.networkMapping")),
    }
}

/// What is set goes to the guest as an OVF environment on real servers; here it is kept where one can look. All of them, for
/// the machine that is made.
fn properties(
    params: &OvfCreateImportSpecParams,
    system: &VirtualSystem,
    config: &mut VirtualMachineConfigSpec,
    errors: &mut Vec<Fault>,
) -> Element {
    for given in &params.property_mapping {
        match system.properties.iter().find(|p| p.key == given.key) {
            Some(property) if property.configurable => config
                .extra_config
                .push(OptionValue { key: format!("ovf.{}", given.key), value: Any::of(&given.value) }),
            Some(_) => errors.push(Fault::new("OvfPropertyNetwork", format!("Property {} can't be set.", given.key))),
            None => errors.push(Fault::new("OvfProperty", format!("There is no property {}.", given.key))),
        }
    }
    let mut vapp = Element::new("vAppConfig").typed("VmConfigSpec");
    for (number, property) in (0i32..).zip(&system.properties) {
        let given = params.property_mapping.iter().find(|given| given.key == property.key);
        let value = given.map(|given| given.value.as_str()).or(property.default.as_deref()).unwrap_or_default();
        let mut info = Element::new("info");
        number.write("key", &mut info);
        for (name, text) in [
            ("classId", property.class.as_str()),
            ("instanceId", &property.instance),
            ("id", &property.id),
            ("type", &property.kind),
        ] {
            info.children.push(Element::text(name, text));
        }
        property.configurable.write("userConfigurable", &mut info);
        info.children.push(Element::text("value", value));
        vapp.children.push(Element::new("property").with(Element::text("operation", "add")).with(info));
    }
    vapp
}

/// The properties that an import spec's configuration has.
pub(super) fn properties_of(config: &Element) -> Vec<Property> {
    let all = config.child("vAppConfig").into_iter().flat_map(|vapp| vapp.children_named("property"));
    let of = |property: &Element| {
        let info = property.child("info")?;
        let text = |name: &str| info.child_text(name).unwrap_or_default().to_owned();
        Some(Property {
            class: text("classId"),
            id: text("id"),
            instance: text("instanceId"),
            kind: text("type"),
            configurable: text("userConfigurable") == "true",
            value: text("value"),
        })
    };
    all.filter_map(of).collect()
}

#[derive(Default)]
struct Out {
    devices: Vec<VirtualDeviceConfigSpec>,
    files: Vec<OvfFileItem>,
    warning: Vec<Fault>,
    error: Vec<Fault>,
}

struct Reading<'a> {
    params: &'a OvfCreateImportSpecParams,
    envelope: &'a Envelope,
    /// Controllers by their instance ids: their keys, and how many devices they have.
    keys: HashMap<String, (i32, i32)>,
    next: i32,
    out: Out,
}

impl Reading<'_> {
    fn add(&mut self, device: Element, makes_file: bool) {
        self.out.devices.push(VirtualDeviceConfigSpec {
            operation: Some(DeviceOperation::Add),
            file_operation: makes_file.then(|| "create".to_owned()),
            device,
            profile: Vec::new(),
        });
    }

    fn key(&mut self) -> i32 {
        self.next -= 1;
        self.next
    }

    fn controller(&mut self, item: &HardwareItem) {
        let subtype = item.subtype.to_ascii_lowercase();
        let kind = match (item.kind, subtype.as_str()) {
            // One of these is there from the beginning.
            (5, _) => {
                self.keys.insert(item.instance.clone(), (200, 0));
                return;
            }
            (6, "lsilogic" | "") => "VirtualLsiLogicController",
            (6, "lsilogicsas") => "VirtualLsiLogicSASController",
            (6, "buslogic") => "VirtualBusLogicController",
            (6, "virtualscsi") => "ParaVirtualSCSIController",
            (20, "vmware.sata.ahci" | "ahci") => "VirtualAHCIController",
            (20, "vmware.nvme.controller") => "VirtualNVMEController",
            _ => {
                let text = format!("A controller of the type {subtype} is not supported: {}.", item.name);
                return self.out.error.push(Fault::new("OvfUnsupportedSubType", text));
            }
        };
        let key = self.key();
        let bus = self.out.devices.iter().filter(|d| d.device.xsi_type.as_deref() == Some(kind)).count();
        let mut device = Element::new("device").typed(kind);
        key.write("key", &mut device);
        i32::try_from(bus).unwrap_or_default().write("busNumber", &mut device);
        if item.kind == 6 {
            "noSharing".to_owned().write("sharedBus", &mut device);
            7i32.write("scsiCtlrUnitNumber", &mut device);
        }
        self.keys.insert(item.instance.clone(), (key, 0));
        self.add(device, false);
    }

    fn adapter(&mut self, item: &HardwareItem, backing: Element) {
        let kind = match item.subtype.to_ascii_lowercase().as_str() {
            "e1000" | "pcnet32" | "" => "VirtualE1000",
            "e1000e" => "VirtualE1000e",
            "vmxnet3" => "VirtualVmxnet3",
            other => {
                let text = format!("A network adapter of the type {other} is not supported: {}.", item.name);
                return self.out.error.push(Fault::new("OvfUnsupportedSubType", text));
            }
        };
        let key = self.key();
        let mut device = Element::new("device").typed(kind);
        key.write("key", &mut device);
        device.children.push(backing);
        let mut connectable = Element::new("connectable");
        for name in ["startConnected", "allowGuestControl", "connected"] {
            true.write(name, &mut connectable);
        }
        device.children.push(connectable);
        "assigned".to_owned().write("addressType", &mut device);
        self.add(device, false);
    }

    fn disk(&mut self, item: &HardwareItem) {
        let wanted = item.resource.as_deref().unwrap_or_default();
        let disk = self.envelope.disks.iter().find(|d| wanted.rsplit('/').next() == Some(d.id.as_str()));
        let controller = item.parent.as_ref().and_then(|p| self.keys.get_mut(p));
        let (Some(disk), Some((controller, used))) = (disk, controller) else {
            let text = format!("The disk {} or its controller is not in the descriptor.", item.name);
            return self.out.error.push(Fault::new("OvfInvalidValue", text));
        };
        let (controller, unit) = (*controller, item.address.unwrap_or(*used));
        *used += 1;
        let number = self.out.devices.iter().filter(|d| d.file_operation.is_some()).count();
        let mut device = Element::new("device").typed("VirtualDisk");
        let key = self.key();
        key.write("key", &mut device);
        let thin = self.params.disk_provisioning.as_deref().is_none_or(|p| p == "thin");
        let mut backing = Element::new("backing").typed("VirtualDiskFlatVer2BackingInfo");
        let file = format!("[{}] {}/disk-{number}.vmdk", crate::sandbox::model::DATASTORE, self.params.entity_name);
        file.write("fileName", &mut backing);
        "persistent".to_owned().write("diskMode", &mut backing);
        thin.write("thinProvisioned", &mut backing);
        device.children.push(backing);
        controller.write("controllerKey", &mut device);
        unit.write("unitNumber", &mut device);
        let capacity = i64::try_from(disk.capacity).unwrap_or(i64::MAX);
        (capacity >> 10).write("capacityInKB", &mut device);
        capacity.write("capacityInBytes", &mut device);
        if let Some(file) = disk.file.as_ref().and_then(|id| self.envelope.file(id)) {
            self.out.files.push(OvfFileItem {
                device_id: format!("/{}/VirtualDisk:{number}", self.params.entity_name),
                path: file.href.clone(),
                size: file.size.and_then(|n| i64::try_from(n).ok()),
                cim_type: 17,
                ..OvfFileItem::default()
            });
            if disk.format != FORMAT {
                let text = format!(
                    "{}: the sandbox can't read this disk's format; its template stands for what is on it.",
                    file.href
                );
                self.out.warning.push(Fault::new("OvfUnsupportedDiskFormat", text));
            }
        }
        self.add(device, true);
    }
}
