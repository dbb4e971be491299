//! The inventory: folders, compute, storage, networks, virtual machines, and how they hang together.

use std::collections::HashMap;

use super::faults::{Answer, duplicate_name, invalid_name, not_found};
use super::machine::Vm;
use crate::vsphere::wire::{CustomFieldDef, Moref};

/// Which types derive from which, as far as clients ask for base types.
const BASES: &[(&str, &str)] = &[
    ("Folder", "ManagedEntity"),
    ("Datacenter", "ManagedEntity"),
    ("ComputeResource", "ManagedEntity"),
    ("ClusterComputeResource", "ComputeResource"),
    ("HostSystem", "ManagedEntity"),
    ("ResourcePool", "ManagedEntity"),
    ("VirtualApp", "ResourcePool"),
    ("Datastore", "ManagedEntity"),
    ("StoragePod", "Folder"),
    ("Network", "ManagedEntity"),
    ("OpaqueNetwork", "Network"),
    ("DistributedVirtualPortgroup", "Network"),
    ("DistributedVirtualSwitch", "ManagedEntity"),
    ("VmwareDistributedVirtualSwitch", "DistributedVirtualSwitch"),
    ("VirtualMachine", "ManagedEntity"),
    ("ManagedEntity", "ExtensibleManagedObject"),
    ("VirtualMachineSnapshot", "ExtensibleManagedObject"),
    ("ExtensibleManagedObject", "ManagedObject"),
    ("ContainerView", "ManagedObjectView"),
    ("ListView", "ManagedObjectView"),
    ("InventoryView", "ManagedObjectView"),
    ("ManagedObjectView", "View"),
];

/// Whether a type is another or derives from it.
pub(super) fn is_a(kind: &str, base: &str) -> bool {
    let mut at = kind;
    loop {
        if at == base || base == "ManagedObject" {
            return true;
        }
        match BASES.iter().find(|(name, _)| *name == at) {
            Some((_, next)) => at = next,
            None => return false,
        }
    }
}

/// One object of the inventory.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The name as on the wire: `%`, `/` and `\` escaped.
    pub name: String,
    pub parent: Option<Moref>,
    pub children: Vec<Moref>,
    pub body: Body,
}

/// What an object of the inventory is.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// What may be in it.
    Folder(&'static [&'static str]),
    Datacenter(Datacenter),
    /// A cluster, or what stands around a lone host.
    Compute(Compute),
    Host,
    Pool {
        owner: Moref,
    },
    Datastore,
    Network,
    Switch {
        uuid: String,
    },
    Portgroup {
        switch: Moref,
    },
    Vm(Box<Vm>),
}

#[derive(Clone, Debug)]
pub(super) struct Datacenter {
    pub vm: Moref,
    pub host: Moref,
    pub datastore: Moref,
    pub network: Moref,
}

#[derive(Clone, Debug)]
pub(super) struct Compute {
    pub cluster: bool,
    pub pool: Moref,
}

/// How many objects' changes are remembered one by one.
const CHANGES: usize = 20_000;

/// All objects.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    nodes: HashMap<Moref, Node>,
    /// In order of creation, which is the order that views show.
    order: Vec<Moref>,
    next: u64,
    /// Counts changes.
    pub clock: u64,
    changed: HashMap<Moref, u64>,
    /// When what isn't among them changed last, as far as is known.
    floor: u64,
    /// What changed since somebody asked last.
    fresh: Vec<Moref>,
    /// Custom attributes.
    pub fields: Vec<CustomFieldDef>,
    /// The last key that was given to one: none is given twice.
    pub last_field: i32,
    /// Their values, of all but virtual machines.
    pub labels: HashMap<Moref, Vec<(i32, String)>>,
    /// Hosts that can't be reached, and how that is called.
    pub lost_hosts: HashMap<Moref, &'static str>,
}

impl Inventory {
    /// The topmost folder.
    pub fn root() -> Moref {
        Moref::new("Folder", "group-d1")
    }

    /// A number that no other object has.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The last number that was given.
    pub fn last_number(&self) -> u64 {
        self.next
    }

    /// Makes sure that numbers up to this one aren't given again.
    pub fn reserve(&mut self, number: u64) {
        self.next = self.next.max(number);
    }

    /// Notes that something about an object has changed.
    pub fn touch(&mut self, object: &Moref) {
        self.clock += 1;
        self.changed.insert(object.clone(), self.clock);
        if self.changed.len() > CHANGES {
            // Most are of tasks and collectors that are gone. Everything counts as changed once, and is looked at anew.
            self.changed.clear();
            self.floor = self.clock;
        }
        self.fresh.push(object.clone());
    }

    /// What has changed since this was asked last.
    pub fn take_fresh(&mut self) -> Vec<Moref> {
        std::mem::take(&mut self.fresh)
    }

    /// When an object changed last.
    pub fn changed(&self, object: &Moref) -> u64 {
        self.changed.get(object).copied().unwrap_or_default().max(self.floor)
    }

    /// Adds an object under its parent.
    pub fn add(&mut self, object: &Moref, name: &str, parent: Option<&Moref>, body: Body) {
        let node = Node { name: name.to_owned(), parent: parent.cloned(), children: Vec::new(), body };
        self.nodes.insert(object.clone(), node);
        self.order.push(object.clone());
        if let Some(parent) = parent {
            if let Some(node) = self.nodes.get_mut(parent) {
                node.children.push(object.clone());
            }
            self.touch(&parent.clone());
        }
        self.touch(object);
    }

    /// Takes an object out.
    pub fn remove(&mut self, object: &Moref) -> Option<Node> {
        let node = self.nodes.remove(object)?;
        self.order.retain(|o| o != object);
        if let Some(parent) = &node.parent {
            if let Some(above) = self.nodes.get_mut(parent) {
                above.children.retain(|child| child != object);
            }
            self.touch(parent);
        }
        self.touch(object);
        Some(node)
    }

    /// Moves an object under another parent.
    pub fn reparent(&mut self, object: &Moref, parent: &Moref) {
        let Some(old) = self.nodes.get_mut(object).map(|node| node.parent.replace(parent.clone())) else { return };
        if let Some(old) = old {
            if let Some(node) = self.nodes.get_mut(&old) {
                node.children.retain(|child| child != object);
            }
            self.touch(&old);
        }
        if let Some(node) = self.nodes.get_mut(parent) {
            node.children.push(object.clone());
        }
        self.touch(parent);
        self.touch(object);
    }

    pub fn get(&self, object: &Moref) -> Option<&Node> {
        self.nodes.get(object)
    }

    /// The object to change; it counts as changed.
    pub fn change(&mut self, object: &Moref) -> Option<&mut Node> {
        if self.nodes.contains_key(object) {
            self.touch(object);
        }
        self.nodes.get_mut(object)
    }

    /// The object, or the fault that it doesn't exist.
    pub fn node(&self, object: &Moref) -> Answer<&Node> {
        self.nodes.get(object).ok_or_else(|| not_found(object))
    }

    pub fn vm(&self, object: &Moref) -> Answer<&Vm> {
        match self.nodes.get(object).map(|node| &node.body) {
            Some(Body::Vm(vm)) => Ok(vm),
            _ => Err(not_found(object)),
        }
    }

    /// The virtual machine to change; it counts as changed.
    pub fn change_vm(&mut self, object: &Moref) -> Answer<&mut Vm> {
        match self.change(object).map(|node| &mut node.body) {
            Some(Body::Vm(vm)) => Ok(vm),
            _ => Err(not_found(object)),
        }
    }

    /// Whether, and how, a host is connected.
    pub fn connection_of(&self, host: &Moref) -> &'static str {
        self.lost_hosts.get(host).copied().unwrap_or("connected")
    }

    /// Connects a host, or has it be lost; its machines show that too.
    pub fn set_connection(&mut self, host: &Moref, state: &'static str) {
        match state {
            "connected" => drop(self.lost_hosts.remove(host)),
            lost => drop(self.lost_hosts.insert(host.clone(), lost)),
        }
        let there: Vec<Moref> =
            self.vms().filter(|(_, _, vm)| vm.host == *host).map(|(object, ..)| object.clone()).collect();
        self.touch(host);
        there.iter().for_each(|vm| self.touch(vm));
    }

    /// All objects in order of creation.
    pub fn all(&self) -> impl Iterator<Item = (&Moref, &Node)> {
        self.order.iter().filter_map(|object| self.nodes.get_key_value(object))
    }

    /// All virtual machines and templates.
    pub fn vms(&self) -> impl Iterator<Item = (&Moref, &Node, &Vm)> {
        self.all().filter_map(|(object, node)| match &node.body {
            Body::Vm(vm) => Some((object, node, vm.as_ref())),
            _ => None,
        })
    }

    /// Children of that kind (or derived from it).
    pub fn children<'a>(&'a self, object: &Moref, kind: &'a str) -> impl Iterator<Item = &'a Moref> + 'a {
        let children = self.nodes.get(object).map(|node| node.children.as_slice()).unwrap_or_default();
        children.iter().filter(move |child| is_a(&child.kind, kind))
    }

    /// Everything below an object, in depth-first order.
    pub fn below(&self, object: &Moref) -> Vec<Moref> {
        let mut found = Vec::new();
        let mut open: Vec<&Moref> = match self.nodes.get(object) {
            Some(node) => node.children.iter().rev().collect(),
            None => return found,
        };
        while let Some(at) = open.pop() {
            found.push(at.clone());
            if let Some(node) = self.nodes.get(at) {
                open.extend(node.children.iter().rev());
            }
        }
        found
    }

    /// The nearest object above (or the object itself) of that kind.
    pub fn above(&self, object: &Moref, kind: &str) -> Option<Moref> {
        let mut at = object.clone();
        loop {
            if is_a(&at.kind, kind) {
                return Some(at);
            }
            at = self.nodes.get(&at)?.parent.clone()?;
        }
    }

    /// The child of that name.
    pub fn child(&self, parent: &Moref, name: &str) -> Option<&Moref> {
        let wanted = canonical(name);
        let children = self.nodes.get(parent)?.children.iter();
        children.into_iter().find(|c| self.nodes.get(*c).is_some_and(|node| node.name == wanted))
    }

    /// Checks a name for a new or renamed object: it must be usable, and none of its siblings may have it.
    /// Returns it as it is kept.
    pub fn free_name(&self, parent: &Moref, name: &str, own: Option<&Moref>) -> Answer<String> {
        let name = canonical(name);
        if name.is_empty() || name.chars().count() > 80 {
            return Err(invalid_name(&name, own));
        }
        match self.child(parent, &name).filter(|found| Some(*found) != own) {
            Some(found) => Err(duplicate_name(&name, found)),
            None => Ok(name),
        }
    }

    /// The compute resource that a pool belongs to.
    pub fn owner(&self, pool: &Moref) -> Option<Moref> {
        match &self.nodes.get(pool)?.body {
            Body::Pool { owner } => Some(owner.clone()),
            _ => None,
        }
    }
}

/// A name as it is kept: `%`, `/` and `\` escaped, whether or not the client has done so.
pub(super) fn canonical(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name.trim();
    while let Some(c) = rest.chars().next() {
        let escaped =
            rest.get(..3).map(str::to_ascii_lowercase).filter(|e| matches!(e.as_str(), "%25" | "%2f" | "%5c"));
        match (escaped, c) {
            (Some(escaped), _) => {
                out.push_str(&escaped);
                rest = rest.get(3..).unwrap_or_default();
                continue;
            }
            (None, '%') => out.push_str("%25"),
            (None, '/') => out.push_str("%2f"),
            (None, '\\') => out.push_str("%5c"),
            (None, c) => out.push(c),
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    out
}
