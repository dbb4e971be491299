//! Property access: for every kind of object a table of all its properties, and what each holds now.

mod host;
mod managers;
mod network;
mod vm;

use super::faults::{Answer, invalid_property, not_found};
use super::inventory::{Body, Inventory, Node, is_a};
use super::server::{Fixed, State};
use super::session::SessionId;
use super::value::{Found, Val, boolean, references, text, word};
use crate::vsphere::wire::Moref;

pub(super) use managers::content;

/// What properties are read from: everything, as one session sees it at one moment.
pub(super) struct Scope<'a> {
    pub state: &'a State,
    pub fixed: &'a Fixed,
    /// None before the login.
    pub session: Option<&'a SessionId>,
}

/// Properties of all objects with a name and a place in the inventory.
const ENTITY: &[&str] = &[
    "alarmActionsEnabled",
    "availableField",
    "configIssue",
    "configStatus",
    "customValue",
    "declaredAlarmState",
    "disabledMethod",
    "effectiveRole",
    "name",
    "overallStatus",
    "parent",
    "permission",
    "recentTask",
    "tag",
    "triggeredAlarmState",
    "value",
];

/// Further properties by kind.
fn own(kind: &str) -> &'static [&'static str] {
    match kind {
        "Folder" | "StoragePod" => &["childEntity", "childType", "namespace"],
        "Datacenter" => {
            &["configuration", "datastore", "datastoreFolder", "hostFolder", "network", "networkFolder", "vmFolder"]
        }
        "ComputeResource" => host::COMPUTE,
        "ClusterComputeResource" => host::CLUSTER,
        "HostSystem" => host::HOST,
        "ResourcePool" => host::POOL,
        "VirtualApp" => host::APP,
        "Datastore" => network::DATASTORE,
        "Network" | "OpaqueNetwork" => network::NETWORK,
        "DistributedVirtualPortgroup" => network::PORTGROUP,
        "DistributedVirtualSwitch" | "VmwareDistributedVirtualSwitch" => network::SWITCH,
        "VirtualMachine" => vm::VM,
        "VirtualMachineSnapshot" => &["childSnapshot", "config", "vm", "availableField", "value"],
        other => managers::own(other),
    }
}

/// All properties of a kind of object.
pub(super) fn names(kind: &str) -> impl Iterator<Item = &'static str> + use<> {
    let entity = if is_a(kind, "ManagedEntity") { ENTITY } else { &[] };
    entity.iter().chain(own(kind)).copied()
}

/// Whether objects of that kind have the property that a path begins with. What is beneath is only known of an
/// object.
pub(super) fn check(kind: &str, path: &str) -> Answer<()> {
    let name = path.split(['.', '[']).next().unwrap_or_default();
    // Base types have what all entities have; for the others nothing is known here.
    let known = match own(kind) {
        [] if !is_a(kind, "ManagedEntity") => true,
        _ => names(kind).any(|n| n == name),
    };
    if known { Ok(()) } else { Err(invalid_property(path)) }
}

impl<'a> Scope<'a> {
    pub fn inventory(&self) -> &'a Inventory {
        &self.state.inventory
    }

    /// Whether an object exists.
    pub fn exists(&self, object: &Moref) -> bool {
        self.inventory().get(object).is_some() || managers::exists(self, object)
    }

    /// The value at a path, or the fault of an unknown property or object.
    pub fn read(&self, object: &Moref, path: &str) -> Answer<Option<crate::vsphere::wire::Any>> {
        if path.ends_with('.') {
            return Err(invalid_property(path));
        }
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let (name, rest) = path.split_at(end);
        let value = self.property(object, name, path)?;
        match value.at(rest.strip_prefix('.').unwrap_or(rest)) {
            Found::Value(any) => Ok(Some(any)),
            Found::Unset => Ok(None),
            Found::Unknown => Err(invalid_property(path)),
        }
    }

    /// The objects that a property refers to; none when the object lacks it.
    pub fn follow(&self, object: &Moref, path: &str) -> Vec<Moref> {
        let end = path.find('.').unwrap_or(path.len());
        let (name, rest) = path.split_at(end);
        let Ok(value) = self.property(object, name, path) else { return Vec::new() };
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() { value.targets() } else { value.inner(rest).map(Val::targets).unwrap_or_default() }
    }

    fn property(&self, object: &Moref, name: &str, path: &str) -> Answer<Val> {
        if !self.exists(object) {
            return Err(not_found(object));
        }
        if !names(&object.kind).any(|n| n == name) {
            return Err(invalid_property(path));
        }
        let Some(node) = self.inventory().get(object) else { return Ok(managers::property(self, object, name)) };
        Ok(match name {
            "name" => text(&node.name),
            "parent" => super::value::maybe(node.parent.clone(), Val::Ref),
            "overallStatus" | "configStatus" => word("ManagedEntityStatus", "green"),
            "alarmActionsEnabled" => boolean(true),
            "effectiveRole" => Val::List("int", vec![super::value::int(-1)]),
            "recentTask" => references(&recent_tasks(self, object, node)),
            "availableField" => managers::fields(self),
            "customValue" | "value" => match &node.body {
                Body::Vm(machine) => vm::labels(&machine.labels),
                _ => vm::labels(self.inventory().labels.get(object).map_or(&[], Vec::as_slice)),
            },
            "configIssue" => Val::List("Event", Vec::new()),
            "declaredAlarmState" | "triggeredAlarmState" => Val::List("AlarmState", Vec::new()),
            "permission" => Val::List("Permission", Vec::new()),
            "tag" => Val::List("Tag", Vec::new()),
            "disabledMethod" => Val::List("string", Vec::new()),
            _ => self.own(object, node, name),
        })
    }

    fn own(&self, object: &Moref, node: &Node, name: &str) -> Val {
        match &node.body {
            Body::Folder(kinds) => match name {
                "childEntity" => references(&node.children),
                "childType" => super::value::texts(kinds.iter().copied()),
                _ => Val::Unset,
            },
            Body::Datacenter(datacenter) => match name {
                "vmFolder" => Val::Ref(datacenter.vm.clone()),
                "hostFolder" => Val::Ref(datacenter.host.clone()),
                "datastoreFolder" => Val::Ref(datacenter.datastore.clone()),
                "networkFolder" => Val::Ref(datacenter.network.clone()),
                "datastore" => references(self.inventory().children(&datacenter.datastore, "Datastore")),
                "network" => references(self.inventory().children(&datacenter.network, "Network")),
                _ => Val::Unset,
            },
            Body::Compute(compute) => host::compute(self, object, node, compute, name),
            Body::Host => host::host(self, object, node, name),
            Body::Pool { owner } => host::pool(self, object, node, owner, name),
            Body::Datastore => network::datastore(self, object, node, name),
            Body::Network => network::network(self, object, node, name),
            Body::Portgroup { switch } => network::portgroup(self, object, node, switch, name),
            Body::Switch { uuid } => network::switch(self, object, node, uuid, name),
            Body::Vm(vm) => vm::vm(self, object, node, vm, name),
        }
    }
}

fn recent_tasks(scope: &Scope<'_>, object: &Moref, node: &Node) -> Vec<Moref> {
    match &node.body {
        Body::Vm(vm) => vm.tasks.clone(),
        _ => scope.state.tasks.recent().into_iter().filter(|task| scope.state.tasks.is_about(task, object)).collect(),
    }
}
