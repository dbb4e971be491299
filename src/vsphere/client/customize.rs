//! Customizing guests by vCenter: what is asked for, and whether it came to pass.

use std::net::{IpAddr, Ipv4Addr};

use super::endpoint::Deadline;
use super::error::{Error, Result};
use super::properties::Properties;
use super::rest::missing;
use super::session::Client;
use crate::vsphere::wire::{
    CustomizationSpecInfo, CustomizeVmTask, Element, GetCustomizationSpec, GuestInfoCustomizationInfo, Moref,
};

/// The specifications that a vCenter keeps.
#[derive(Clone, Debug, Default)]
pub struct Specifications(Vec<CustomizationSpecInfo>);

impl Specifications {
    /// Whether one is for Windows, by its name.
    ///
    /// # Errors
    /// [`Error::NotFound`], with near names.
    pub fn is_windows(&self, name: &str) -> Result<bool> {
        let found = self.0.iter().find(|info| info.name == name);
        let names = self.0.iter().map(|info| info.name.as_str());
        found
            .map(|info| info.kind == "Windows")
            .ok_or_else(|| missing("customization specification", name, name, names))
    }
}

/// What a guest is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customization {
    /// A specification of the server's to begin with, by name.
    pub spec: Option<String>,
    /// Whether the guest is Windows.
    pub windows: bool,
    /// The host name, without its domain. None: the virtual machine's name.
    pub host_name: Option<String>,
    /// The domain of the host name.
    pub domain: Option<String>,
    /// Of the network adapters in their order; what is left out has DHCP.
    pub adapters: Vec<Option<Adapter>>,
    /// Search domains.
    pub search: Vec<String>,
}

/// What a network adapter is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// Its address and the length of the prefix; None: from DHCP.
    pub address: Option<(IpAddr, u8)>,
    /// Default gateway.
    pub gateway: Option<IpAddr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
}

impl Customization {
    /// The specification as it is sent, for so many adapters. `base` is one that the server keeps.
    pub fn element(&self, base: Option<&Element>, adapters: usize) -> Element {
        let fresh = || Element::new("spec").with(self.identity()).with(Element::new("globalIPSettings"));
        let mut spec = base.map_or_else(fresh, |base| base.clone().named("spec"));
        if base.is_some() && (self.host_name.is_some() || self.domain.is_some()) {
            self.rename(&mut spec);
        }
        self.fill_global(&mut spec);
        let kept: Vec<Element> = spec.children_named("nicSettingMap").cloned().collect();
        // Where cloud-init's own data tell of the network, there are no adapters in the specification.
        if !(kept.is_empty() && !self.is_fixed() && is_cloud_init(&spec)) {
            let at = |at: usize| self.mapping(kept.get(at), self.adapters.get(at).and_then(Option::as_ref));
            replace(&mut spec, "nicSettingMap", (0..adapters).map(at).collect());
        }
        spec
    }

    fn name(&self, element: &str) -> Element {
        match &self.host_name {
            Some(name) => Element::new(element).typed("CustomizationFixedName").with(Element::text("name", name)),
            None => Element::new(element).typed("CustomizationVirtualMachineName"),
        }
    }

    fn identity(&self) -> Element {
        let identity = Element::new("identity");
        if !self.windows {
            return identity
                .typed("CustomizationLinuxPrep")
                .with(self.name("hostName"))
                .with(Element::text("domain", self.domain.as_deref().unwrap_or_default()));
        }
        let unattended = Element::new("guiUnattended")
            .with(Element::text("timeZone", "85"))
            .with(Element::text("autoLogon", "false"))
            .with(Element::text("autoLogonCount", "0"));
        // Sysprep asks on the console for what is empty.
        let user = Element::new("userData")
            .with(Element::text("fullName", "Administrator"))
            .with(Element::text("orgName", "-"))
            .with(self.name("computerName"))
            .with(Element::text("productId", ""));
        let identification = Element::new("identification").with(Element::text("joinWorkgroup", "WORKGROUP"));
        identity.typed("CustomizationSysprep").with(unattended).with(user).with(identification)
    }

    /// The name in a specification that the server keeps.
    fn rename(&self, spec: &mut Element) {
        let Some(identity) = spec.child_mut("identity") else { return };
        if let Some(user) = identity.child_mut("userData") {
            replace(user, "computerName", vec![self.name("computerName")]);
        } else if identity.child("hostName").is_some() {
            replace(identity, "hostName", vec![self.name("hostName")]);
            if let Some(domain) = &self.domain {
                replace(identity, "domain", vec![Element::text("domain", domain)]);
            }
        }
    }

    /// Whether an adapter is to have an address of its own.
    fn is_fixed(&self) -> bool {
        self.adapters.iter().flatten().any(|adapter| adapter.address.is_some())
    }

    /// What is for all adapters. What isn't said stays.
    fn fill_global(&self, spec: &mut Element) {
        let said = |name: &str, all: Vec<String>| all.into_iter().map(|one| Element::text(name, one)).collect();
        let domains = self.search.clone();
        // Linux has name servers for all adapters, Windows for each.
        let adapters = self.adapters.iter().flatten().filter(|_| !self.windows);
        let servers = adapters.flat_map(|adapter| &adapter.dns).map(IpAddr::to_string).collect();
        let global = spec.child("globalIPSettings").cloned().unwrap_or_else(|| Element::new("globalIPSettings"));
        let lists =
            vec![("dnsSuffixList", said("dnsSuffixList", domains)), ("dnsServerList", said("dnsServerList", servers))];
        replace(spec, "globalIPSettings", vec![filled(&global, &["dnsSuffixList", "dnsServerList"], lists)]);
    }

    /// What an adapter is to have: what is said of it in the place of what a specification has for it.
    fn mapping(&self, kept: Option<&Element>, adapter: Option<&Adapter>) -> Element {
        let dhcp = || Element::new("ip").typed("CustomizationDhcpIpGenerator");
        let fresh = || Element::new("nicSettingMap").with(Element::new("adapter").with(dhcp()));
        let mut map = kept.cloned().unwrap_or_else(fresh);
        let Some(adapter) = adapter else { return map };
        let text = |name: &str, ip: IpAddr| Element::text(name, ip.to_string());
        let gateway: Vec<Element> = adapter.gateway.map(|ip| text("gateway", ip)).into_iter().collect();
        let mut said: Vec<(&str, Vec<Element>)> = Vec::new();
        match adapter.address {
            Some((ip @ IpAddr::V4(_), prefix)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                let fixed = Element::new("ip").typed("CustomizationFixedIp").with(text("ipAddress", ip));
                said.push(("ip", vec![fixed]));
                said.push(("subnetMask", vec![text("subnetMask", Ipv4Addr::from(mask).into())]));
                said.push(("gateway", gateway));
            }
            Some((ip @ IpAddr::V6(_), prefix)) => {
                let fixed = Element::new("ip").typed("CustomizationFixedIpV6").with(text("ipAddress", ip));
                let fixed = fixed.with(Element::text("subnetMask", prefix.to_string()));
                let mut v6 = Element::new("ipV6Spec").with(fixed);
                let old = map.child("adapter").and_then(|adapter| adapter.child("ipV6Spec"));
                let old = old.iter().flat_map(|old| old.children_named("gateway")).cloned();
                v6.children.extend(if gateway.is_empty() { old.collect() } else { gateway });
                if kept.is_none() {
                    said.push(("ip", vec![Element::new("ip").typed("CustomizationUnknownIpGenerator")]));
                }
                said.push(("ipV6Spec", vec![v6]));
            }
            None => {
                said.push(("ip", vec![dhcp()]));
                said.push(("gateway", gateway));
            }
        }
        let dns = adapter.dns.iter().filter(|_| self.windows);
        said.push(("dnsServerList", dns.map(|ip| text("dnsServerList", *ip)).collect()));
        let mut old = map.child("adapter").cloned().unwrap_or_else(|| Element::new("adapter"));
        if adapter.address.is_none() {
            // A server gives these with the address.
            old.children.retain(|child| !matches!(child.name.as_str(), "subnetMask" | "gateway"));
        }
        replace(&mut map, "adapter", vec![filled(&old, &ADAPTER, said)]);
        map
    }
}

/// What an adapter's settings have, in the order of the schema.
const ADAPTER: [&str; 9] = [
    "ip",
    "subnetMask",
    "gateway",
    "ipV6Spec",
    "dnsServerList",
    "dnsDomain",
    "primaryWINS",
    "secondaryWINS",
    "netBIOS",
];

/// An element with children in the order of a schema: those that are said, and else those that it has.
fn filled(old: &Element, schema: &[&str], said: Vec<(&str, Vec<Element>)>) -> Element {
    let mut new = Element { children: Vec::new(), ..old.clone() };
    for name in schema {
        match said.iter().find(|(own, all)| own == name && !all.is_empty()) {
            Some((_, all)) => new.children.extend(all.iter().cloned()),
            None => new.children.extend(old.children_named(name).cloned()),
        }
    }
    new
}

fn is_cloud_init(spec: &Element) -> bool {
    spec.child("identity").and_then(|identity| identity.xsi_type.as_deref()) == Some("CustomizationCloudinitPrep")
}

/// Puts elements in the place of those with a name; at the end where there are none.
fn replace(parent: &mut Element, name: &str, with: Vec<Element>) {
    let at = parent.children.iter().position(|child| child.name == name).unwrap_or(parent.children.len());
    parent.children.retain(|child| child.name != name);
    let at = at.min(parent.children.len());
    parent.children.splice(at..at, with);
}

/// How a customization ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Customized {
    /// The server says that it was done.
    Done,
    /// It says that it failed, and perhaps why.
    Failed(String),
}

impl Client {
    /// What is said about the specifications that the server keeps.
    pub async fn specifications(&self) -> Result<Specifications> {
        match self.content().customization_spec_manager.clone() {
            Some(manager) => Ok(Specifications(self.properties(&manager, &["info"]).await?.list("info"))),
            None => Ok(Specifications::default()),
        }
    }

    /// Has a powered-off virtual machine customized when it is powered on. `Ok` when that is pending already.
    pub async fn customize(&self, vm: &Moref, wanted: &Customization, deadline: Deadline) -> Result<()> {
        let base = match &wanted.spec {
            Some(name) => {
                let Some(manager) = self.content().customization_spec_manager.clone() else {
                    let text = "this server keeps no customization specifications: connect to a vCenter, or take another \
                                `--method`";
                    return Err(Error::Unsupported(text.to_owned()));
                };
                let item = match self.call(&GetCustomizationSpec { this: manager, name: name.clone() }).await {
                    // It was there when the build began.
                    Err(error) if error.is_fault("NotFound") => {
                        return Err(self.specifications().await?.is_windows(name).err().unwrap_or(error));
                    }
                    other => other?,
                };
                item.child("spec").cloned()
            }
            None => None,
        };
        if base.as_ref().is_some_and(is_cloud_init) && (wanted.host_name.is_some() || wanted.is_fixed()) {
            let name = wanted.spec.as_deref().unwrap_or_default();
            return Err(Error::Unsupported(format!(
                "the customization specification `{name}` is data of cloud-init's, which tell the name and the addresses \
                 themselves: leave HOSTNAME out, and write `ADDRESS --method=customize --spec={name} DHCP`"
            )));
        }
        let adapters = self.nics(vm).await?.len();
        let spec = wanted.element(base.as_ref(), adapters);
        let request = CustomizeVmTask { this: vm.clone(), spec };
        let task = match self.begin_once(vm, "VirtualMachine.customize", &request).await {
            Err(error) if error.is_fault("CustomizationPending") => return Ok(()),
            other => other?,
        };
        match self.wait_task(&task, "customize the guest", deadline).await {
            Err(error) if error.is_fault("CustomizationPending") => Ok(()),
            other => other.map(drop),
        }
    }

    /// Waits until a guest was customized, or that failed. Servers before 7.0.2 don't say how it stands: there it has been
    /// done when the guest reports what it was to have.
    pub async fn wait_customized(&self, vm: &Moref, wanted: &Customization, deadline: Deadline) -> Result<Customized> {
        let told = |p: &Properties| {
            let info: Option<GuestInfoCustomizationInfo> = p.get("guest.customizationInfo");
            let info = info?;
            match info.customization_status.as_str() {
                "TOOLSDEPLOYPKG_SUCCEEDED" => Some(Customized::Done),
                "TOOLSDEPLOYPKG_FAILED" => Some(Customized::Failed(info.error_msg.unwrap_or_default())),
                _ => None,
            }
        };
        const WHAT: &str = "the guest to be customized";
        let mut watched = self.watch(vm, &["guest.customizationInfo"]);
        match watched.until(deadline, WHAT, |p| Ok(told(p))).await {
            Err(error) if error.is_fault("InvalidProperty") => {}
            other => return other,
        }
        let first = wanted.adapters.iter().flatten().find_map(|a| a.address).map(|(ip, _)| ip.to_string());
        self.wait_guest_state(vm, deadline, WHAT, |state| {
            let ip = first.as_ref().is_none_or(|ip| state.ip.as_ref() == Some(ip));
            let label = |name: &str| name.split('.').next().unwrap_or_default().to_lowercase();
            let wanted = wanted
                .host_name
                .as_ref()
                .is_none_or(|name| state.host_name.as_ref().is_some_and(|is| label(is) == label(name)));
            (ip && wanted).then_some(Customized::Done)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vsphere::wire::Limits;

    fn read(xml: &str) -> Element {
        Element::parse(xml.as_bytes(), Limits::default()).expect("well-formed")
    }

    fn wanted(windows: bool) -> Customization {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        Customization {
            windows,
            host_name: Some("web".to_owned()),
            domain: Some("corp.example".to_owned()),
            adapters: vec![Some(Adapter {
                address: Some((ip("10.0.0.178"), 24)),
                gateway: Some(ip("10.0.0.1")),
                dns: vec![ip("10.0.0.2")],
            })],
            search: vec!["a.example".to_owned()],
            ..Customization::default()
        }
    }

    /// What govc 0.37 sent for `vm.customize -ip 10.0.0.178 -netmask 255.255.255.0 -gateway 10.0.0.1 -dns-server 10.0.0.2
    /// -dns-suffix a.example -name web -domain corp.example`.
    #[test]
    fn linux_is_asked_for_as_govc_does() {
        let govc = read(
            r#"<spec xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><identity i:type="CustomizationLinuxPrep"><hostName i:type="CustomizationFixedName"><name>web</name></hostName><domain>corp.example</domain></identity><globalIPSettings><dnsSuffixList>a.example</dnsSuffixList><dnsServerList>10.0.0.2</dnsServerList></globalIPSettings><nicSettingMap><adapter><ip i:type="CustomizationFixedIp"><ipAddress>10.0.0.178</ipAddress></ip><subnetMask>255.255.255.0</subnetMask><gateway>10.0.0.1</gateway></adapter></nicSettingMap></spec>"#,
        );
        assert_eq!(wanted(false).element(None, 1), govc);
    }

    /// The same with `-type Windows`, but for what we say where govc says nothing: the time zone, two names that Sysprep would
    /// ask for, and the workgroup in the place of a domain, which a host name's isn't.
    #[test]
    fn windows_is_asked_for_as_govc_does() {
        let govc = read(
            r#"<spec xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><identity i:type="CustomizationSysprep"><guiUnattended><timeZone>85</timeZone><autoLogon>false</autoLogon><autoLogonCount>0</autoLogonCount></guiUnattended><userData><fullName>Administrator</fullName><orgName>-</orgName><computerName i:type="CustomizationFixedName"><name>web</name></computerName><productId></productId></userData><identification><joinWorkgroup>WORKGROUP</joinWorkgroup></identification></identity><globalIPSettings><dnsSuffixList>a.example</dnsSuffixList></globalIPSettings><nicSettingMap><adapter><ip i:type="CustomizationFixedIp"><ipAddress>10.0.0.178</ipAddress></ip><subnetMask>255.255.255.0</subnetMask><gateway>10.0.0.1</gateway><dnsServerList>10.0.0.2</dnsServerList></adapter></nicSettingMap></spec>"#,
        );
        assert_eq!(wanted(true).element(None, 1), govc);
    }

    /// A specification of the server's for two adapters, of which the second one is described.
    const KEPT: &str = r#"<spec xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><identity i:type="CustomizationLinuxPrep"><hostName i:type="CustomizationVirtualMachineName"/><domain>old.example</domain><timeZone>UTC</timeZone></identity><globalIPSettings><dnsSuffixList>old.example</dnsSuffixList><dnsServerList>10.9.9.9</dnsServerList></globalIPSettings><nicSettingMap><macAddress>00:50:56:00:00:01</macAddress><adapter><ip i:type="CustomizationUnknownIpGenerator"/><subnetMask>255.255.0.0</subnetMask><gateway>10.0.255.254</gateway><dnsDomain>adapter.example</dnsDomain></adapter></nicSettingMap><nicSettingMap><adapter><ip i:type="CustomizationFixedIp"><ipAddress>10.5.0.5</ipAddress></ip><subnetMask>255.0.0.0</subnetMask><ipV6Spec><ip i:type="CustomizationDhcpIpV6Generator"/><gateway>fe80::1</gateway></ipV6Spec></adapter></nicSettingMap></spec>"#;

    fn adapter(address: Option<(&str, u8)>) -> Option<Adapter> {
        let address = address.map(|(ip, prefix)| (ip.parse().expect("an address"), prefix));
        Some(Adapter { address, gateway: None, dns: Vec::new() })
    }

    #[test]
    fn a_kept_specification_keeps_what_is_not_said() {
        let base = read(KEPT);
        // What isn't said of anything is as it was, and so is what a name changes nothing of.
        assert_eq!(Customization::default().element(Some(&base), 2), base);
        let named = Customization { host_name: Some("db".to_owned()), ..Customization::default() };
        let spec = named.element(Some(&base), 2);
        let identity = spec.child("identity").expect("identity");
        assert_eq!(identity.child("hostName").and_then(|n| n.child_text("name")), Some("db"));
        assert_eq!(
            (identity.child_text("domain"), identity.child_text("timeZone")),
            (Some("old.example"), Some("UTC"))
        );
        // An address takes the place of the address; gateway, DNS and the other adapter stay.
        let addressed = Customization { adapters: vec![adapter(Some(("10.0.0.7", 16)))], ..Customization::default() };
        let fixed = r#"<ip i:type="CustomizationFixedIp"><ipAddress>10.0.0.7</ipAddress></ip>"#;
        let wanted = KEPT.replacen(r#"<ip i:type="CustomizationUnknownIpGenerator"/>"#, fixed, 1);
        assert_eq!(addressed.element(Some(&base), 2), read(&wanted));
        // Each list takes the place of that list alone.
        let searching = Customization { search: vec!["new.example".to_owned()], ..addressed };
        let wanted = wanted.replace("<dnsSuffixList>old.", "<dnsSuffixList>new.");
        assert_eq!(searching.element(Some(&base), 2), read(&wanted));
    }

    #[test]
    fn a_kept_adapter_takes_another_kind_of_address() {
        let base = read(KEPT);
        // A server gives mask and gateway too.
        let leased = Customization { adapters: vec![adapter(None)], ..Customization::default() };
        let wanted = KEPT.replace(
            r#"<ip i:type="CustomizationUnknownIpGenerator"/><subnetMask>255.255.0.0</subnetMask><gateway>10.0.255.254</gateway>"#,
            r#"<ip i:type="CustomizationDhcpIpGenerator"/>"#,
        );
        assert_eq!(leased.element(Some(&base), 2), read(&wanted));
        // An address of IPv6 is beside that of IPv4.
        let six = Customization { adapters: vec![None, adapter(Some(("fd00::7", 48)))], ..Customization::default() };
        let wanted = KEPT.replace(
            r#"<ip i:type="CustomizationDhcpIpV6Generator"/>"#,
            r#"<ip i:type="CustomizationFixedIpV6"><ipAddress>fd00::7</ipAddress><subnetMask>48</subnetMask></ip>"#,
        );
        assert_eq!(six.element(Some(&base), 2), read(&wanted));
    }

    #[test]
    fn there_is_a_mapping_for_each_adapter() {
        // Or vCenter refuses it.
        let count = |spec: &str, adapters| {
            let spec = Customization::default().element(Some(&read(spec)), adapters);
            spec.children_named("nicSettingMap").count()
        };
        assert_eq!((count(KEPT, 1), count(KEPT, 2), count(KEPT, 3)), (1, 2, 3));
        // What cloud-init reads tells of the network itself.
        let own = r#"<spec xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><identity i:type="CustomizationCloudinitPrep"><metadata>{}</metadata></identity><globalIPSettings/></spec>"#;
        assert_eq!(count(own, 2), 0);
    }
}
