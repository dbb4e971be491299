//! Guest customization, and the specifications that the server keeps.

use std::sync::Arc;

use crate::sandbox::faults::{Answer, invalid_power_state};
use crate::sandbox::guests::{ExecSpec, Exit, Guest};
use crate::sandbox::machine::{Customization, Power};
use crate::sandbox::server::{Call, Server};
use crate::sandbox::tasks::Kind;
use crate::vsphere::wire::{
    CustomizationSpecInfo, CustomizeVmTask, Element, Fault, GetCustomizationSpec, Moref, Value,
};

/// The specifications that are there, with the kind of their guests.
const KEPT: [(&str, &str); 3] =
    [("sandbox-linux", "Linux"), ("sandbox-linux-static", "Linux"), ("sandbox-windows", "Windows")];

/// What is said about them.
pub(in crate::sandbox) fn kept_specifications() -> impl Iterator<Item = CustomizationSpecInfo> {
    KEPT.iter().map(|(name, kind)| said(name, kind))
}

fn said(name: &str, kind: &str) -> CustomizationSpecInfo {
    let (name, kind) = (name.to_owned(), kind.to_owned());
    CustomizationSpecInfo { name, kind, description: Some(String::new()), change_version: Some("1".to_owned()) }
}

impl Server {
    /// `CustomizeVM_Task`.
    pub(in crate::sandbox) fn customize(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let request: CustomizeVmTask = call.read()?;
        let (server, vm) = (self.clone(), call.this.clone());
        let kind = Kind::exclusive("VirtualMachine.customize");
        self.begin(&call.method, call.task_fault.clone(), &call.this, kind, move |_| async move {
            let mut state = server.lock();
            let machine = state.inventory.change_vm(&vm)?;
            if machine.power == Power::On {
                return Err(invalid_power_state(Some("poweredOff"), machine.power.as_str()));
            }
            if machine.customization.as_ref().is_some_and(|c| c.pending.is_some()) {
                return Err(Fault::new("CustomizationPending", "A customization is pending already."));
            }
            let (there, given) = (machine.macs().len(), request.spec.children_named("nicSettingMap").count());
            if there != given {
                return Err(Fault::new("NicSettingMismatch", "The number of adapters in the specification differs.")
                    .with("numberOfNicsInSpec", given as i64)
                    .with("numberOfNicsInVM", there as i64));
            }
            let windows =
                request.spec.child("identity").and_then(|i| i.xsi_type.as_deref()) == Some("CustomizationSysprep");
            if windows != machine.is_windows() {
                let text = "Customization of the guest operating system is not supported with this specification.";
                return Err(Fault::new("UncustomizableGuest", text)
                    .with("uncustomizableGuestOS", machine.config.guest_id.clone()));
            }
            let status = "TOOLSDEPLOYPKG_PENDING";
            machine.customization = Some(Customization { pending: Some(request.spec), status, error: String::new() });
            Ok(None)
        })
    }

    /// `DoesCustomizationSpecExist`.
    pub(in crate::sandbox) fn is_kept_customization(&self, call: &Call) -> Answer<Element> {
        let name = call.read::<GetCustomizationSpec>()?.name;
        call.answer(&KEPT.iter().any(|(kept, _)| *kept == name).to_element("returnval"))
    }

    /// `GetCustomizationSpec`.
    pub(in crate::sandbox) fn kept_customization(&self, call: &Call) -> Answer<Element> {
        let name = call.read::<GetCustomizationSpec>()?.name;
        let Some((name, kind)) = KEPT.iter().find(|(kept, _)| *kept == name) else {
            return Err(Fault::new("NotFound", "The object or item referred to could not be found."));
        };
        let info = said(name, kind).to_element("info");
        let own = |element: &str| Element::new(element).typed("CustomizationVirtualMachineName");
        let identity = match *kind {
            "Linux" => Element::new("identity")
                .typed("CustomizationLinuxPrep")
                .with(own("hostName"))
                .with(Element::text("domain", "sandbox.example"))
                .with(Element::text("timeZone", "Europe/Berlin")),
            _ => {
                let unattended = Element::new("guiUnattended")
                    .with(Element::text("timeZone", "110"))
                    .with(Element::text("autoLogon", "false"))
                    .with(Element::text("autoLogonCount", "0"));
                let user = Element::new("userData")
                    .with(Element::text("fullName", "Sandbox"))
                    .with(Element::text("orgName", "Sandbox"))
                    .with(own("computerName"))
                    .with(Element::text("productId", ""));
                let join = Element::new("identification").with(Element::text("joinWorkgroup", "WORKGROUP"));
                Element::new("identity").typed("CustomizationSysprep").with(unattended).with(user).with(join)
            }
        };
        let mut global = Element::new("globalIPSettings");
        let mut adapter = Element::new("adapter");
        if name.ends_with("-static") {
            // Whoever uses it says which address.
            global = global.with(Element::text("dnsServerList", "127.0.1.1"));
            adapter = adapter
                .with(Element::new("ip").typed("CustomizationUnknownIpGenerator"))
                .with(Element::text("subnetMask", "255.255.255.0"))
                .with(Element::text("gateway", "10.0.0.1"));
        } else {
            adapter = adapter.with(Element::new("ip").typed("CustomizationDhcpIpGenerator"));
        }
        let spec = Element::new("spec").with(identity).with(global).with(Element::new("nicSettingMap").with(adapter));
        call.answer(&Element::new("returnval").with(info).with(spec))
    }

    /// Does in a guest what was asked for, before its Tools are ready.
    pub(super) async fn customize_guest(&self, vm: &Moref, guest: &Guest) {
        let (spec, name) = {
            let mut state = self.lock();
            let name = state.inventory.node(vm).map(|node| node.name.clone()).unwrap_or_default();
            let Ok(machine) = state.inventory.change_vm(vm) else { return };
            let Some(customization) = &mut machine.customization else { return };
            let Some(spec) = customization.pending.take() else { return };
            customization.status = "TOOLSDEPLOYPKG_RUNNING";
            (spec, name)
        };
        let command = script(&spec, &name);
        let spec = ExecSpec {
            program: "/bin/sh".to_owned(),
            argv: vec!["sh".to_owned(), "-c".to_owned(), command],
            env: vec![("PATH".to_owned(), crate::sandbox::guest::SEARCH.to_owned())],
            cwd: Some("/".to_owned()),
            ..ExecSpec::default()
        };
        let done = match guest.exec(spec).await {
            Ok(process) => process.wait().await == Exit::Code(0),
            Err(_) => false,
        };
        let mut state = self.lock();
        if let Ok(machine) = state.inventory.change_vm(vm)
            && let Some(customization) = &mut machine.customization
        {
            customization.status = if done { "TOOLSDEPLOYPKG_SUCCEEDED" } else { "TOOLSDEPLOYPKG_FAILED" };
            if !done {
                customization.error = "The guest could not be given its name and addresses.".to_owned();
            }
        }
    }
}

/// What a specification says, for a shell.
fn script(spec: &Element, name: &str) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let mut out = String::from("set -e\n");
    let identity = spec.child("identity");
    let user = identity.and_then(|i| i.child("userData"));
    let named = identity.and_then(|i| i.child("hostName")).or_else(|| user.and_then(|u| u.child("computerName")));
    if let Some(named) = named {
        let own = quote(named.child_text("name").unwrap_or(name));
        out.push_str(&format!(
            "echo {own} >/etc/hostname\nhostname {own} 2>/dev/null || echo {own} >/proc/sys/kernel/hostname\n"
        ));
    }
    for (at, map) in spec.children_named("nicSettingMap").enumerate() {
        let Some(adapter) = map.child("adapter") else { continue };
        let v4 = adapter.child("ip").and_then(|ip| ip.child_text("ipAddress")).map(|ip| {
            let mask: std::net::Ipv4Addr =
                adapter.child_text("subnetMask").and_then(|m| m.parse().ok()).unwrap_or([255; 4].into());
            format!("{ip}/{}", u32::from(mask).count_ones())
        });
        let v6 = adapter.child("ipV6Spec");
        let fixed = v6.into_iter().flat_map(|v6| v6.children_named("ip"));
        let fixed =
            fixed.filter_map(|ip| Some(format!("{}/{}", ip.child_text("ipAddress")?, ip.child_text("subnetMask")?)));
        // There is nobody else with that address: nobody needs to look for one.
        let fixed: Vec<String> = fixed.map(|address| format!("{} dev eth{at} nodad", quote(&address))).collect();
        if v4.is_none() && fixed.is_empty() {
            continue;
        }
        out.push_str(&format!("ip addr flush dev eth{at} scope global\nip link set eth{at} up\n"));
        let v4 = v4.iter().map(|address| format!("{} dev eth{at}", quote(address)));
        v4.chain(fixed).for_each(|address| out.push_str(&format!("ip addr add {address}\n")));
        let gateways = [("-4", Some(adapter)), ("-6", v6)];
        for (family, gateway) in gateways.map(|(family, of)| (family, of.and_then(|of| of.child_text("gateway")))) {
            let Some(gateway) = gateway else { continue };
            out.push_str(&format!("ip {family} route replace default via {} dev eth{at}\n", quote(gateway)));
        }
    }
    if user.is_none() {
        out.push_str(&names(spec, quote));
    }
    out
}

/// The name servers and the search list, for a shell in a guest of Linux: of all adapters together.
fn names(spec: &Element, quote: impl Fn(&str) -> String) -> String {
    let global = spec.child("globalIPSettings");
    let adapters = || spec.children_named("nicSettingMap").filter_map(|map| map.child("adapter"));
    let all = |name: &'static str, own: &'static str| {
        let global = global.into_iter().flat_map(move |global| global.children_named(name));
        let adapters = adapters().flat_map(move |adapter| adapter.children_named(own));
        let mut all: Vec<&str> = Vec::new();
        for text in global.chain(adapters).map(|element| element.text.trim()).filter(|text| !text.is_empty()) {
            if !all.contains(&text) {
                all.push(text);
            }
        }
        all
    };
    let mut lines: Vec<String> =
        all("dnsServerList", "dnsServerList").iter().map(|server| format!("nameserver {server}")).collect();
    let domains = all("dnsSuffixList", "dnsDomain");
    if !domains.is_empty() {
        lines.push(format!("search {}", domains.join(" ")));
    }
    if lines.is_empty() {
        return String::new();
    }
    // A link leads to what some service writes anew, which doesn't know of this.
    let file = "/etc/resolv.conf";
    format!("test ! -L {file} || rm -f {file}\nprintf '%s\\n' {} >{file}\n", quote(&lines.join("\n")))
}
