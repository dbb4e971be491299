//! Datastores, networks and distributed switches.

use super::Scope;
use crate::sandbox::inventory::{Body, Node};
use crate::sandbox::value::{Val, boolean, derived, int, long, object, references, text, word};
use crate::vsphere::wire::{DistributedVirtualSwitchPortConnection, Moref, Nic, NicBacking};

pub(super) const DATASTORE: &[&str] = &["browser", "capability", "host", "info", "iormConfiguration", "summary", "vm"];

pub(super) const NETWORK: &[&str] = &["host", "summary", "vm"];

pub(super) const PORTGROUP: &[&str] = &["config", "host", "key", "portKeys", "summary", "vm"];

pub(super) const SWITCH: &[&str] =
    &["capability", "config", "networkResourcePool", "portgroup", "runtime", "summary", "uuid"];

/// What the datastore claims to hold.
const CAPACITY: i64 = 10 << 40;

pub(super) fn datastore(scope: &Scope<'_>, this: &Moref, node: &Node, name: &str) -> Val {
    let url = format!("ds:///vmfs/volumes/{}/", this.value);
    match name {
        "browser" => Val::Ref(Moref::new("HostDatastoreBrowser", format!("browser-{}", this.value))),
        "summary" => object(
            "DatastoreSummary",
            vec![
                ("datastore", Val::Ref(this.clone())),
                ("name", text(&node.name)),
                ("url", text(url)),
                ("capacity", long(CAPACITY)),
                ("freeSpace", long(CAPACITY / 2)),
                ("uncommitted", long(0)),
                ("accessible", boolean(true)),
                ("multipleHostAccess", boolean(true)),
                ("type", text("VMFS")),
                ("maintenanceMode", text("normal")),
            ],
        ),
        "info" => derived(
            "DatastoreInfo",
            vec![
                ("name", text(&node.name)),
                ("url", text(url)),
                ("freeSpace", long(CAPACITY / 2)),
                ("maxFileSize", long(64 << 40)),
            ],
        ),
        "capability" => object(
            "DatastoreCapability",
            vec![
                ("directoryHierarchySupported", boolean(true)),
                ("rawDiskMappingsSupported", boolean(false)),
                ("perFileThinProvisioningSupported", boolean(true)),
            ],
        ),
        "host" => {
            let mounts = hosts(scope).into_iter().map(|host| {
                let info =
                    vec![("accessMode", text("readWrite")), ("mounted", boolean(true)), ("accessible", boolean(true))];
                object(
                    "DatastoreHostMount",
                    vec![("key", Val::Ref(host)), ("mountInfo", object("HostMountInfo", info))],
                )
            });
            Val::List("DatastoreHostMount", mounts.collect())
        }
        "vm" => references(scope.inventory().vms().filter(|(_, _, vm)| vm.datastore == *this).map(|(o, ..)| o)),
        _ => Val::Unset,
    }
}

fn hosts(scope: &Scope<'_>) -> Vec<Moref> {
    scope.inventory().all().filter(|(_, n)| matches!(n.body, Body::Host)).map(|(o, _)| o.clone()).collect()
}

/// The networks that a machine's adapters are attached to.
pub(super) fn networks_of(scope: &Scope<'_>, devices: &[crate::vsphere::wire::Element]) -> Vec<Moref> {
    let mut found = Vec::new();
    for nic in devices.iter().filter_map(Nic::of) {
        if let Some(network) = of_nic(scope, &nic).filter(|n| scope.inventory().get(n).is_some() && !found.contains(n))
        {
            found.push(network);
        }
    }
    found
}

/// The network that an adapter is attached to.
pub(super) fn of_nic(scope: &Scope<'_>, nic: &Nic) -> Option<Moref> {
    match nic.backing() {
        Some(NicBacking::Network(backing)) => backing.network.or_else(|| named(scope, &backing.device_name)),
        Some(NicBacking::Port(backing)) => portgroup_of(&backing.port),
        Some(NicBacking::Opaque(_) | NicBacking::Other(_)) | None => None,
    }
}

fn named(scope: &Scope<'_>, name: &str) -> Option<Moref> {
    let mut all = scope.inventory().all();
    all.find(|(_, node)| matches!(node.body, Body::Network) && node.name == name).map(|(o, _)| o.clone())
}

fn portgroup_of(port: &DistributedVirtualSwitchPortConnection) -> Option<Moref> {
    // A port group's key is its reference.
    port.portgroup_key.as_ref().map(|key| Moref::new("DistributedVirtualPortgroup", key))
}

fn machines_on(scope: &Scope<'_>, this: &Moref) -> Val {
    let attached = scope.inventory().vms().filter(|(_, _, vm)| networks_of(scope, &vm.config.devices).contains(this));
    references(attached.map(|(o, ..)| o))
}

pub(super) fn network(scope: &Scope<'_>, this: &Moref, node: &Node, name: &str) -> Val {
    match name {
        "host" => references(&hosts(scope)),
        "vm" => machines_on(scope, this),
        "summary" => summary(this, node),
        _ => Val::Unset,
    }
}

fn summary(this: &Moref, node: &Node) -> Val {
    object(
        "NetworkSummary",
        vec![
            ("network", Val::Ref(this.clone())),
            ("name", text(&node.name)),
            ("accessible", boolean(true)),
            ("ipPoolName", Val::Unset),
            ("ipPoolId", Val::Unset),
        ],
    )
}

pub(super) fn portgroup(scope: &Scope<'_>, this: &Moref, node: &Node, switch: &Moref, name: &str) -> Val {
    match name {
        "key" => text(&this.value),
        "host" => references(&hosts(scope)),
        "vm" => machines_on(scope, this),
        "summary" => summary(this, node),
        "portKeys" => Val::List("string", Vec::new()),
        "config" => object(
            "DVPortgroupConfigInfo",
            vec![
                ("key", text(&this.value)),
                ("name", text(&node.name)),
                ("numPorts", int(128)),
                ("distributedVirtualSwitch", Val::Ref(switch.clone())),
                ("defaultPortConfig", Val::Unset),
                ("description", Val::Unset),
                ("type", text("earlyBinding")),
                ("backingType", text("standard")),
                ("uplink", boolean(false)),
                ("policy", Val::Unset),
                ("configVersion", text("1")),
                ("autoExpand", boolean(true)),
                ("segmentId", Val::Unset),
                ("logicalSwitchUuid", Val::Unset),
                ("transportZoneUuid", Val::Unset),
            ],
        ),
        _ => Val::Unset,
    }
}

pub(super) fn switch(scope: &Scope<'_>, this: &Moref, node: &Node, uuid: &str, name: &str) -> Val {
    let groups = || {
        let all = scope.inventory().all();
        references(all.filter(|(_, n)| matches!(&n.body, Body::Portgroup { switch } if switch == this)).map(|(o, _)| o))
    };
    match name {
        "uuid" => text(uuid),
        "portgroup" => groups(),
        "summary" => object(
            "DVSSummary",
            vec![
                ("name", text(&node.name)),
                ("uuid", text(uuid)),
                ("numPorts", int(128)),
                ("hostMember", references(&hosts(scope))),
                ("vm", Val::Unset),
                ("portgroupName", Val::Unset),
            ],
        ),
        "config" => derived(
            "VMwareDVSConfigInfo",
            vec![
                ("uuid", text(uuid)),
                ("name", text(&node.name)),
                ("numStandalonePorts", int(0)),
                ("numPorts", int(128)),
                ("maxPorts", int(8192)),
                ("configVersion", text("1")),
                ("switchIpAddress", Val::Unset),
            ],
        ),
        "runtime" => object("DVSRuntimeInfo", vec![("hostMemberRuntime", Val::Unset)]),
        "capability" => object("DVSCapability", vec![("dvsOperationSupported", boolean(true))]),
        "networkResourcePool" => Val::List("DVSNetworkResourcePool", Vec::new()),
        _ => word("string", ""),
    }
}
