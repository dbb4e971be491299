//! OVF descriptors, as far as somebody has to know what is in one.

use super::xml::{Element, Limits, XmlError};

/// The largest descriptor that is read.
const LARGEST: usize = 8 << 20;

/// A descriptor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Envelope {
    /// The files that belong to it, in the order in which an archive has them.
    pub files: Vec<EnvelopeFile>,
    /// The disks that its machine has.
    pub disks: Vec<EnvelopeDisk>,
    /// The networks that it names.
    pub networks: Vec<String>,
    /// Its configurations, by id; the default first.
    pub configurations: Vec<String>,
    /// Its machine; none where there is none, or several.
    pub system: Option<VirtualSystem>,
}

/// A file beside a descriptor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvelopeFile {
    /// How the descriptor calls it.
    pub id: String,
    /// Its name.
    pub href: String,
    /// Its size, where it is told.
    pub size: Option<u64>,
    /// Whether it is compressed, or cut into several files.
    pub altered: bool,
}

/// A disk of a descriptor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvelopeDisk {
    /// How the descriptor calls it.
    pub id: String,
    /// The file with its content; none: it is empty.
    pub file: Option<String>,
    /// In bytes.
    pub capacity: u64,
    /// What its file is, as a URI.
    pub format: String,
}

/// The machine of a descriptor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VirtualSystem {
    /// Its id.
    pub id: String,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// A text about it.
    pub annotation: Option<String>,
    /// What it runs, as vSphere calls it.
    pub os: Option<String>,
    /// Its hardware's version: `vmx-19`.
    pub version: Option<String>,
    /// Its hardware.
    pub items: Vec<HardwareItem>,
    /// What may be set.
    pub properties: Vec<OvfProperty>,
    /// Its licence agreements.
    pub licences: Vec<String>,
}

/// A piece of hardware.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // as CIM calls them
pub struct HardwareItem {
    pub instance: String,
    pub name: String,
    pub kind: u32,
    pub subtype: String,
    pub parent: Option<String>,
    pub address: Option<i32>,
    pub quantity: Option<u64>,
    pub connection: Option<String>,
    pub resource: Option<String>,
    /// The configuration that has it; none: all.
    pub configuration: Option<String>,
}

/// Something that whoever deploys a descriptor may set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OvfProperty {
    /// With its class and instance: `class.key.instance`.
    pub key: String,
    /// Its parts.
    pub class: String,
    /// See `class`.
    pub id: String,
    /// See `class`.
    pub instance: String,
    /// What it takes, as vSphere writes it: `string(1..)`, `boolean`, `int(0..65535)`.
    pub kind: String,
    /// Whether it may be set at all.
    pub configurable: bool,
    /// What it is without.
    pub default: Option<String>,
}

impl Envelope {
    /// Reads a descriptor.
    ///
    /// # Errors
    /// No XML, or another document.
    pub fn parse(text: &[u8]) -> Result<Envelope, String> {
        let limits = Limits { bytes: LARGEST, ..Limits::default() };
        let root = Element::parse(text, limits).map_err(|e: XmlError| e.to_string())?;
        if root.name != "Envelope" {
            return Err(format!("its root is <{}>, and not <Envelope>", root.name));
        }
        let section = |name: &str| root.child(name).into_iter().flat_map(|s| s.children.iter());
        let own = |element: &Element, name: &str| element.attribute(name).map(str::to_owned);
        let files = section("References").filter(|e| e.name == "File").map(|e| EnvelopeFile {
            id: own(e, "id").unwrap_or_default(),
            href: own(e, "href").unwrap_or_default(),
            size: e.attribute("size").and_then(|n| n.parse().ok()),
            altered: e.attribute("chunkSize").is_some()
                || e.attribute("compression").is_some_and(|c| !c.is_empty() && c != "identity"),
        });
        let disks = section("DiskSection").filter(|e| e.name == "Disk").map(|e| EnvelopeDisk {
            id: own(e, "diskId").unwrap_or_default(),
            file: own(e, "fileRef").filter(|f| !f.is_empty()),
            capacity: capacity(e),
            format: own(e, "format").unwrap_or_default(),
        });
        let networks = section("NetworkSection").filter(|e| e.name == "Network").filter_map(|e| own(e, "name"));
        let mut configurations: Vec<(bool, String)> = section("DeploymentOptionSection")
            .filter(|e| e.name == "Configuration")
            .filter_map(|e| Some((e.attribute("default") != Some("true"), own(e, "id")?)))
            .collect();
        configurations.sort_by_key(|(other, _)| *other);
        Ok(Envelope {
            files: files.collect(),
            disks: disks.collect(),
            networks: networks.collect(),
            configurations: configurations.into_iter().map(|(_, id)| id).collect(),
            system: root.child("VirtualSystem").map(system),
        })
    }

    /// A file, by how the descriptor calls it.
    pub fn file(&self, id: &str) -> Option<&EnvelopeFile> {
        self.files.iter().find(|f| f.id == id)
    }
}

fn system(element: &Element) -> VirtualSystem {
    let text = |section: &str, name: &str| element.child(section).and_then(|s| s.child_text(name)).map(str::to_owned);
    let hardware = element.child("VirtualHardwareSection");
    let items = hardware.into_iter().flat_map(|h| &h.children);
    let os = element.child("OperatingSystemSection");
    let name = element.child_text("Name").map(str::trim).filter(|name| !name.is_empty());
    let version = hardware.and_then(|h| h.child("System")).and_then(|s| s.child_text("VirtualSystemType"));
    VirtualSystem {
        id: element.attribute("id").unwrap_or_default().to_owned(),
        name: name.map(str::to_owned),
        annotation: text("AnnotationSection", "Annotation"),
        os: os.and_then(|s| s.attribute("osType")).map(str::to_owned),
        version: version.and_then(|v| v.split([',', ' ']).next()).map(str::to_owned),
        items: items.filter(|e| matches!(&*e.name, "Item" | "StorageItem" | "EthernetPortItem")).map(item).collect(),
        properties: element.children_named("ProductSection").flat_map(properties).collect(),
        licences: element
            .children_named("EulaSection")
            .filter_map(|e| e.child_text("License"))
            .map(str::to_owned)
            .collect(),
    }
}

fn item(element: &Element) -> HardwareItem {
    let text = |name: &str| element.child_text(name).map(|t| t.trim().to_owned());
    HardwareItem {
        instance: text("InstanceID").unwrap_or_default(),
        name: text("ElementName").unwrap_or_default(),
        kind: text("ResourceType").and_then(|n| n.parse().ok()).unwrap_or_default(),
        subtype: text("ResourceSubType").unwrap_or_default(),
        parent: text("Parent"),
        address: text("AddressOnParent").and_then(|n| n.parse().ok()),
        quantity: text("VirtualQuantity").and_then(|n| n.parse().ok()),
        connection: text("Connection"),
        resource: text("HostResource"),
        configuration: element.attribute("configuration").map(str::to_owned),
    }
}

fn properties(product: &Element) -> impl Iterator<Item = OvfProperty> {
    let part = |name: &str| product.attribute(name).map(str::trim).filter(|part| !part.is_empty());
    let (class, instance) = (part("class"), part("instance"));
    product.children_named("Property").map(move |property| {
        let own = property.attribute("key").unwrap_or_default();
        let parts = [class, Some(own), instance];
        OvfProperty {
            key: parts.into_iter().flatten().collect::<Vec<_>>().join("."),
            class: class.unwrap_or_default().to_owned(),
            id: own.to_owned(),
            instance: instance.unwrap_or_default().to_owned(),
            kind: kind(property),
            configurable: matches!(property.attribute("userConfigurable"), Some("true" | "1")),
            default: property.attribute("value").map(str::to_owned),
        }
    })
}

/// What a property takes: its type and its qualifiers, as vSphere writes both.
fn kind(property: &Element) -> String {
    let own = property.attribute("type").unwrap_or("string").trim();
    let qualifiers = property.attribute("qualifiers").unwrap_or_default();
    let of =
        |name: &str| Some(qualifiers.split_once(name)?.1.trim_start().strip_prefix('(')?.split_once(')')?.0.trim());
    let map = qualifiers.split_once("ValueMap").and_then(|(_, rest)| rest.split_once('{')?.1.split_once('}'));
    let word = if property.attribute("password") == Some("true") { "password" } else { "string" };
    match (own, map, of("MinLen"), of("MaxLen")) {
        ("string", Some((map, _)), ..) => format!("string[{map}]"),
        ("string", None, None, None) => word.to_owned(),
        ("string", None, low, high) => format!("{word}({}..{})", low.unwrap_or_default(), high.unwrap_or_default()),
        ("uint8", ..) => "int(0..255)".to_owned(),
        ("uint16", ..) => "int(0..65535)".to_owned(),
        ("uint32" | "uint64", ..) => "int(0..)".to_owned(),
        (own, ..) if own.starts_with("sint") || own == "int" => "int".to_owned(),
        (own, ..) if own.starts_with("real") => "real".to_owned(),
        (own, ..) => own.to_owned(),
    }
}

/// `capacity`, in the units that are told: `byte * 2^30`.
fn capacity(disk: &Element) -> u64 {
    let number: u64 = disk.attribute("capacity").and_then(|n| n.trim().parse().ok()).unwrap_or_default();
    let units = disk.attribute("capacityAllocationUnits").unwrap_or("byte");
    let factor = units.split('*').skip(1).map(str::trim).try_fold(1u64, |factor, part| {
        let (base, power) = part.split_once('^').unwrap_or((part, "1"));
        factor.checked_mul(base.trim().parse::<u64>().ok()?.checked_pow(power.trim().parse().ok()?)?)
    });
    factor.and_then(|factor| number.checked_mul(factor)).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_read_whatever_its_prefixes() {
        let text = r#"<?xml version="1.0"?><o:Envelope xmlns:o="http://schemas.dmtf.org/ovf/envelope/1" xmlns:r="urn:r" xmlns:w="urn:w">
          <o:References><o:File o:id="f" o:href="a.vmdk" o:size="7"/><o:File o:id="g" o:href="b.gz" o:compression="gzip"/></o:References>
          <o:DiskSection><o:Disk o:diskId="d" o:fileRef="f" o:capacity="2" o:capacityAllocationUnits="byte * 2^30"/><o:Disk o:diskId="e" o:capacity="512"/></o:DiskSection>
          <o:NetworkSection><o:Network o:name="VM Network"/></o:NetworkSection>
          <o:DeploymentOptionSection><o:Configuration o:id="small"/><o:Configuration o:id="large" o:default="true"/></o:DeploymentOptionSection>
          <o:VirtualSystem o:id="sys"><o:Name> web </o:Name>
            <o:EulaSection><o:License>Agree</o:License></o:EulaSection>
            <o:ProductSection o:class="vami" o:instance="web"><o:Property o:key="ip" o:userConfigurable="true" o:value="x"/></o:ProductSection>
            <o:ProductSection><o:Property o:key="fixed"/></o:ProductSection>
            <o:OperatingSystemSection o:id="96" w:osType="debian12_64Guest"/>
            <o:VirtualHardwareSection><o:System><r:VirtualSystemType>vmx-19</r:VirtualSystemType></o:System>
              <o:Item o:configuration="small"><r:InstanceID>1</r:InstanceID><r:ResourceType>3</r:ResourceType><r:VirtualQuantity>2</r:VirtualQuantity></o:Item>
            </o:VirtualHardwareSection>
          </o:VirtualSystem></o:Envelope>"#;
        let envelope = Envelope::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (envelope.files[0].size, envelope.files[0].altered, envelope.files[1].altered),
            (Some(7), false, true)
        );
        assert_eq!((envelope.disks[0].capacity, envelope.disks[1].capacity), (2 << 30, 512));
        assert_eq!((&*envelope.networks[0], &*envelope.configurations[0]), ("VM Network", "large"));
        let system = envelope.system.unwrap();
        assert_eq!((system.name.as_deref(), system.os.as_deref()), (Some("web"), Some("debian12_64Guest")));
        assert_eq!((system.version.as_deref(), system.licences.len()), (Some("vmx-19"), 1));
        assert_eq!((system.items[0].kind, system.items[0].quantity), (3, Some(2)));
        assert_eq!(system.items[0].configuration.as_deref(), Some("small"));
        let keys: Vec<_> = system.properties.iter().map(|p| (&*p.key, p.configurable)).collect();
        assert_eq!(keys, [("vami.ip.web", true), ("fixed", false)]);
        assert!(Envelope::parse(b"<html><body>Sign in</body></html>").unwrap_err().contains("<html>"));
    }
}
