//! Customizing guests by vCenter: what is asked for, and whether it came to pass.

use std::net::IpAddr;

use super::endpoint::Deadline;
use super::error::{Error, Result};
use super::properties::Properties;
use super::session::Client;
use crate::vsphere::wire::{CustomizeVmTask, Element, GetCustomizationSpec, GuestInfoCustomizationInfo, Moref};

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
        let global = self.global();
        if !global.children.is_empty() {
            replace(&mut spec, "globalIPSettings", vec![global]);
        }
        // A kept specification that says as much about adapters as there are goes on saying it.
        let kept = spec.children_named("nicSettingMap").count();
        if base.is_none() || !self.adapters.is_empty() || kept != adapters {
            let maps = (0..adapters).map(|at| mapping(self.adapters.get(at).and_then(Option::as_ref))).collect();
            replace(&mut spec, "nicSettingMap", maps);
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

    fn global(&self) -> Element {
        let mut global = Element::new("globalIPSettings");
        global.children.extend(self.search.iter().map(|domain| Element::text("dnsSuffixList", domain)));
        // Linux has name servers for all adapters, Windows for each.
        if !self.windows {
            let all = self.adapters.iter().flatten().flat_map(|adapter| &adapter.dns);
            global.children.extend(all.map(|ip| Element::text("dnsServerList", ip.to_string())));
        }
        global
    }
}

/// Puts elements in the place of those with a name; at the end where there are none.
fn replace(parent: &mut Element, name: &str, with: Vec<Element>) {
    let at = parent.children.iter().position(|child| child.name == name).unwrap_or(parent.children.len());
    parent.children.retain(|child| child.name != name);
    let at = at.min(parent.children.len());
    parent.children.splice(at..at, with);
}

fn mapping(adapter: Option<&Adapter>) -> Element {
    let mut settings = Element::new("adapter");
    let dhcp = || Element::new("ip").typed("CustomizationDhcpIpGenerator");
    let fixed = adapter.and_then(|adapter| adapter.address);
    match fixed {
        Some((IpAddr::V4(ip), prefix)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            settings = settings
                .with(Element::new("ip").typed("CustomizationFixedIp").with(Element::text("ipAddress", ip.to_string())))
                .with(Element::text("subnetMask", std::net::Ipv4Addr::from(mask).to_string()));
        }
        Some((IpAddr::V6(_), _)) => {
            settings = settings.with(Element::new("ip").typed("CustomizationUnknownIpGenerator"))
        }
        None => settings = settings.with(dhcp()),
    }
    let Some(adapter) = adapter else { return Element::new("nicSettingMap").with(settings) };
    let gateway = adapter.gateway.map(|ip| Element::text("gateway", ip.to_string()));
    match fixed {
        Some((IpAddr::V6(ip), prefix)) => {
            let address = Element::new("ip")
                .typed("CustomizationFixedIpV6")
                .with(Element::text("ipAddress", ip.to_string()))
                .with(Element::text("subnetMask", prefix.to_string()));
            let mut v6 = Element::new("ipV6Spec").with(address);
            v6.children.extend(gateway);
            settings = settings.with(v6);
        }
        _ => settings.children.extend(gateway),
    }
    settings.children.extend(adapter.dns.iter().map(|ip| Element::text("dnsServerList", ip.to_string())));
    Element::new("nicSettingMap").with(settings)
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
    /// Has a powered-off virtual machine customized when it is powered on. `Ok` when that is pending already.
    pub async fn customize(&self, vm: &Moref, wanted: &Customization, deadline: Deadline) -> Result<()> {
        let base = match &wanted.spec {
            Some(name) => {
                let Some(manager) = self.content().customization_spec_manager.clone() else {
                    return Err(Error::Usage("this server keeps no customization specifications".to_owned()));
                };
                let item = self.call(&GetCustomizationSpec { this: manager, name: name.clone() }).await?;
                item.child("spec").cloned()
            }
            None => None,
        };
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
