//! A machine's descriptor.

use std::fmt::Write;

use super::FORMAT;
use super::lease::layers_disk;
use crate::sandbox::faults::{Answer, invalid_argument};
use crate::sandbox::machine::{Property, Vm};
use crate::sandbox::server::{Call, Server};
use crate::vsphere::wire::{
    CreateDescriptor, Element, Field, NIC_KINDS, OvfCreateDescriptorParams, OvfCreateDescriptorResult,
};

/// `CreateDescriptor`.
pub(super) fn descriptor(server: &Server, call: &Call) -> Answer<Element> {
    let request: CreateDescriptor = call.read()?;
    let state = server.lock();
    let name = state.inventory.node(&request.obj)?.name.clone();
    let vm = state.inventory.vm(&request.obj)?;
    let network = |device: &Element| {
        let backing = device.child("backing");
        let port = backing.and_then(|b| b.child("port")).and_then(|p| p.child_text("portgroupKey"));
        let group = crate::vsphere::wire::Moref::new("DistributedVirtualPortgroup", port.unwrap_or_default());
        let named = state.inventory.node(&group).ok().map(|node| node.name.clone());
        named.or_else(|| backing?.child_text("deviceName").map(str::to_owned)).unwrap_or_default()
    };
    let text = written(vm, &name, &request.cdp, network).map_err(|_| invalid_argument("cdp"))?;
    call.answer(&OvfCreateDescriptorResult { ovf_descriptor: text, ..OvfCreateDescriptorResult::default() })
}

/// A text within an attribute or an element.
fn quoted(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn written(
    vm: &Vm,
    own: &str,
    params: &OvfCreateDescriptorParams,
    network: impl Fn(&Element) -> String,
) -> Result<String, std::fmt::Error> {
    let name = quoted(params.name.as_deref().unwrap_or(own));
    let of = |kinds: &dyn Fn(&str) -> bool| -> Vec<&Element> {
        vm.config.devices.iter().filter(|d| d.xsi_type.as_deref().is_some_and(kinds)).collect()
    };
    let disks = of(&|kind| kind == "VirtualDisk");
    let nics = of(&|kind| NIC_KINDS.contains(&kind));
    let controllers = of(&|kind| subtype(kind).is_some());
    let mut networks: Vec<String> = nics.iter().map(|nic| network(nic)).collect();
    networks.sort();
    networks.dedup();
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\" \
         xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\" \
         xmlns:rasd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData\" \
         xmlns:vmw=\"http://www.vmware.com/schema/ovf\" \
         xmlns:vssd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData\">\n  <References>\n",
    );
    let file_of = |number: usize| {
        let key = layers_disk(number);
        params.ovf_files.iter().position(|file| file.device_id == key)
    };
    for (number, file) in params.ovf_files.iter().enumerate() {
        let (path, size) = (quoted(&file.path), file.size);
        writeln!(out, "    <File ovf:href=\"{path}\" ovf:id=\"file{}\" ovf:size=\"{size}\"/>", number + 1)?;
    }
    writeln!(out, "  </References>\n  <DiskSection>\n    <Info>The disks</Info>")?;
    for (number, disk) in disks.iter().enumerate() {
        let capacity = i64::read(disk, "capacityInBytes").unwrap_or_default();
        let content = file_of(number).map(|file| format!(" ovf:fileRef=\"file{}\" ovf:format=\"{FORMAT}\"", file + 1));
        let content = content.unwrap_or_default();
        writeln!(
            out,
            "    <Disk ovf:capacity=\"{capacity}\" ovf:capacityAllocationUnits=\"byte\" ovf:diskId=\"vmdisk{}\"{content}/>",
            number + 1
        )?;
    }
    writeln!(out, "  </DiskSection>\n  <NetworkSection>\n    <Info>The networks</Info>")?;
    for network in &networks {
        writeln!(out, "    <Network ovf:name=\"{}\"><Description/></Network>", quoted(network))?;
    }
    writeln!(
        out,
        "  </NetworkSection>\n  <VirtualSystem ovf:id=\"{name}\">\n    <Info>A virtual machine</Info>\n    <Name>{name}</Name>\n    \
         <OperatingSystemSection ovf:id=\"101\" vmw:osType=\"{}\"><Info>The guest</Info></OperatingSystemSection>",
        quoted(&vm.config.guest_id)
    )?;
    if !vm.config.annotation.is_empty() {
        let text = quoted(&vm.config.annotation);
        writeln!(
            out,
            "    <AnnotationSection><Info>About it</Info><Annotation>{text}</Annotation></AnnotationSection>"
        )?;
    }
    writeln!(
        out,
        "    <VirtualHardwareSection>\n      <Info>The hardware</Info>\n      <System><vssd:ElementName>Virtual Hardware \
         Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemIdentifier>{name}\
         </vssd:VirtualSystemIdentifier><vssd:VirtualSystemType>vmx-{}</vssd:VirtualSystemType></System>",
        vm.config.traits.version
    )?;
    let mut items = Items { out, next: 0 };
    items.add("CPUs", 3, &[("VirtualQuantity", &vm.config.cpus.to_string())])?;
    items.add(
        "Memory",
        4,
        &[("AllocationUnits", "byte * 2^20"), ("VirtualQuantity", &vm.config.memory_mb.to_string())],
    )?;
    let mut instances = Vec::new();
    for controller in controllers {
        let (kind, sub) = subtype(controller.xsi_type.as_deref().unwrap_or_default()).unwrap_or_default();
        let bus = i32::read(controller, "busNumber").unwrap_or_default().to_string();
        let instance = items.add("Controller", kind, &[("Address", &bus), ("ResourceSubType", sub)])?;
        instances.push((controller.child_text("key").unwrap_or_default().to_owned(), instance));
    }
    for (number, disk) in disks.iter().enumerate() {
        let text = |name| disk.child_text(name).unwrap_or_default();
        let parent = instances.iter().find(|(key, _)| key == text("controllerKey")).map(|(_, i)| i.to_string());
        let resource = format!("ovf:/disk/vmdisk{}", number + 1);
        items.add(
            &format!("Hard disk {}", number + 1),
            17,
            &[
                ("AddressOnParent", text("unitNumber")),
                ("HostResource", &resource),
                ("Parent", parent.as_deref().unwrap_or_default()),
            ],
        )?;
    }
    for nic in nics {
        let kind = nic.xsi_type.as_deref().unwrap_or_default().trim_start_matches("Virtual").to_ascii_uppercase();
        let network = quoted(&network(nic));
        items.add("Network adapter", 10, &[("Connection", &network), ("ResourceSubType", &kind)])?;
    }
    items.out.push_str("    </VirtualHardwareSection>\n");
    for property in &vm.config.properties {
        products(&mut items.out, property)?;
    }
    items.out.push_str("  </VirtualSystem>\n</Envelope>\n");
    Ok(items.out)
}

/// A property that may be set, in a section of its own: what it is by its class and instance stands there.
fn products(out: &mut String, property: &Property) -> std::fmt::Result {
    let part = |name: &str, text: &str| match text {
        "" => String::new(),
        text => format!(" ovf:{name}=\"{}\"", quoted(text)),
    };
    let (kind, qualifiers) = typed(&property.kind);
    let password = if property.kind.starts_with("password") { " ovf:password=\"true\"" } else { "" };
    writeln!(
        out,
        "    <ProductSection{}{}><Info>What may be set</Info><Property{}{}{} ovf:userConfigurable=\"{}\"{password}{}/>\
         </ProductSection>",
        part("class", &property.class),
        part("instance", &property.instance),
        part("key", &property.id),
        part("type", kind),
        part("qualifiers", &qualifiers),
        property.configurable,
        part("value", &property.value),
    )
}

/// A property's type and qualifiers, of what vSphere calls it.
fn typed(kind: &str) -> (&str, String) {
    let within = |open: char, close: char| kind.split_once(open)?.1.strip_suffix(close);
    let word = kind.split(['(', '[']).next().unwrap_or_default();
    match (word, within('[', ']'), within('(', ')').and_then(|range| range.split_once(".."))) {
        ("string", Some(map), _) => ("string", format!("ValueMap{{{map}}}")),
        ("string" | "password", None, Some((low, high))) => {
            let bound = |name: &str, n: &str| (!n.is_empty()).then(|| format!("{name}({n})"));
            let both = [bound("MinLen", low), bound("MaxLen", high)];
            ("string", both.into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
        ("password", ..) => ("string", String::new()),
        ("int", _, Some(("0", "255"))) => ("uint8", String::new()),
        ("int", _, Some(("0", "65535"))) => ("uint16", String::new()),
        ("int", _, Some(("0", _))) => ("uint32", String::new()),
        ("int", ..) => ("sint32", String::new()),
        ("real", ..) => ("real32", String::new()),
        _ => (kind, String::new()),
    }
}

/// The resource type of a controller, and its subtype.
fn subtype(kind: &str) -> Option<(u32, &'static str)> {
    Some(match kind {
        "VirtualLsiLogicController" => (6, "lsilogic"),
        "VirtualLsiLogicSASController" => (6, "lsilogicsas"),
        "VirtualBusLogicController" => (6, "buslogic"),
        "ParaVirtualSCSIController" => (6, "VirtualSCSI"),
        "VirtualAHCIController" => (20, "vmware.sata.ahci"),
        "VirtualNVMEController" => (20, "vmware.nvme.controller"),
        "VirtualIDEController" => (5, ""),
        _ => return None,
    })
}

struct Items {
    out: String,
    next: u32,
}

impl Items {
    /// Adds one; its instance id. CIM wants the fields in the order of their names.
    fn add(&mut self, name: &str, kind: u32, fields: &[(&str, &str)]) -> Result<u32, std::fmt::Error> {
        self.next += 1;
        let (instance, kind) = (self.next.to_string(), kind.to_string());
        let common = [("ElementName", name), ("InstanceID", instance.as_str()), ("ResourceType", kind.as_str())];
        let mut all: Vec<(&str, &str)> = common.into_iter().chain(fields.iter().copied()).collect();
        all.retain(|(_, text)| !text.is_empty());
        all.sort_unstable();
        self.out.push_str("      <Item>");
        for (name, text) in all {
            write!(self.out, "<rasd:{name}>{text}</rasd:{name}>")?;
        }
        self.out.push_str("</Item>\n");
        Ok(self.next)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may
mod tests {
    use super::*;
    use crate::vsphere::wire::Envelope;

    #[test]
    fn properties_are_read_as_they_were_written() {
        let kinds = [
            "string",
            "string(1..8)",
            "string(2..)",
            "string[\"a\", \"b & c\"]",
            "password",
            "password(8..)",
            "boolean",
            "int",
            "int(0..255)",
            "int(0..65535)",
            "int(0..)",
            "real",
            "ip",
        ];
        let own = |kind: &str| Property {
            class: "org.example".to_owned(),
            id: "it's".to_owned(),
            kind: kind.to_owned(),
            configurable: true,
            value: "<\"&\">".to_owned(),
            ..Property::default()
        };
        let mut out = "<Envelope xmlns:ovf=\"o\"><VirtualSystem>".to_owned();
        for kind in kinds {
            products(&mut out, &own(kind)).unwrap();
        }
        out.push_str("</VirtualSystem></Envelope>");
        let read = Envelope::parse(out.as_bytes()).unwrap().system.unwrap().properties;
        for (kind, read) in kinds.into_iter().zip(&read) {
            let Property { class, id, instance, .. } = own(kind);
            assert_eq!((&read.class, &read.id, &read.instance, &*read.kind), (&class, &id, &instance, kind));
            assert!(read.configurable && read.key == "org.example.it's" && read.default == Some(own(kind).value));
        }
        assert_eq!(read.len(), kinds.len());
    }
}
