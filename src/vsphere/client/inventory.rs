//! The inventory: all objects with their paths, read in a few requests and looked up without any.

use std::collections::HashMap;

use super::error::{Error, Result};
use super::guest::GUEST_MANAGERS;
use super::names;
use super::properties::{Properties, spec_of};
use super::session::Client;
use crate::vsphere::wire::{
    CreateContainerView, DestroyView, DistributedVirtualSwitchPortConnection, FindChild, Moref, NicBacking, ObjectSpec,
    PropertyFilterSpec, PropertySpec, Selection, TraversalSpec, VirtualEthernetCardDistributedVirtualPortBackingInfo,
    VirtualEthernetCardNetworkBackingInfo, VirtualEthernetCardOpaqueNetworkBackingInfo,
};

/// How many paths an error names.
const SUGGESTIONS: usize = 8;

/// Kinds of objects that users name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntityKind {
    /// A datacenter.
    Datacenter,
    /// A folder.
    Folder,
    /// A cluster, or the compute resource of a lone host.
    Cluster,
    /// An ESXi host.
    Host,
    /// A resource pool or vApp.
    Pool,
    /// A datastore.
    Datastore,
    /// A datastore cluster.
    StoragePod,
    /// A network of any kind.
    Network,
    /// A distributed switch.
    Switch,
    /// A virtual machine or template.
    Vm,
}

impl EntityKind {
    /// What it is called in messages.
    pub fn name(self) -> &'static str {
        match self {
            EntityKind::Datacenter => "datacenter",
            EntityKind::Folder => "folder",
            EntityKind::Cluster => "cluster",
            EntityKind::Host => "host",
            EntityKind::Pool => "resource pool",
            EntityKind::Datastore => "datastore",
            EntityKind::StoragePod => "datastore cluster",
            EntityKind::Network => "network",
            EntityKind::Switch => "distributed switch",
            EntityKind::Vm => "virtual machine or template",
        }
    }
}

/// What is read: managed object types, what they are, and their properties. One unknown property would fail the
/// whole call, so there is nothing here that an older server lacks.
const READ: &[(&str, EntityKind, &[&str])] = &[
    ("Datacenter", EntityKind::Datacenter, &["name", "parent", "vmFolder"]),
    ("Folder", EntityKind::Folder, &["name", "parent"]),
    ("StoragePod", EntityKind::StoragePod, &["name", "parent"]),
    ("ClusterComputeResource", EntityKind::Cluster, &["name", "parent", "resourcePool", "datastore"]),
    ("ComputeResource", EntityKind::Cluster, &["name", "parent", "resourcePool", "datastore"]),
    ("HostSystem", EntityKind::Host, &["name", "parent"]),
    ("VirtualApp", EntityKind::Pool, &["name", "parent", "owner"]),
    ("ResourcePool", EntityKind::Pool, &["name", "parent", "owner"]),
    (
        "Datastore",
        EntityKind::Datastore,
        &["name", "parent", "summary.accessible", "summary.freeSpace", "summary.maintenanceMode"],
    ),
    ("DistributedVirtualPortgroup", EntityKind::Network, &["name", "parent", "key", "config.distributedVirtualSwitch"]),
    ("OpaqueNetwork", EntityKind::Network, &["name", "parent", "summary"]),
    ("Network", EntityKind::Network, &["name", "parent"]),
    ("VmwareDistributedVirtualSwitch", EntityKind::Switch, &["name", "parent", "uuid"]),
    ("DistributedVirtualSwitch", EntityKind::Switch, &["name", "parent", "uuid"]),
    (
        "VirtualMachine",
        EntityKind::Vm,
        &["name", "parent", "parentVApp", "config.template", "runtime.host", "datastore"],
    ),
];

/// One object of the inventory.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Its reference.
    pub moref: Moref,
    /// What it is.
    pub kind: EntityKind,
    /// Its name, decoded.
    pub name: String,
    /// Its inventory path: `/DC0/vm/folder/name`. A `/` within a name is `%2f`.
    pub path: String,
    /// Its parent.
    pub parent: Option<Moref>,
    /// Whether it is a template (virtual machines only).
    pub template: bool,
    /// Where it runs (virtual machines only).
    pub host: Option<Moref>,
    properties: Properties,
}

impl Entity {
    /// A property that is a reference.
    pub fn reference(&self, property: &str) -> Option<Moref> {
        self.properties.get(property)
    }

    /// A property that is a list of references.
    pub fn references(&self, property: &str) -> Vec<Moref> {
        self.properties.list(property)
    }

    /// Whether a datastore can be written to at present, as far as is known.
    pub fn accessible(&self) -> bool {
        self.properties.get("summary.accessible").unwrap_or(true)
    }

    /// Whether a datastore is being emptied, or is empty already, for its maintenance.
    pub fn maintenance(&self) -> bool {
        self.properties.text("summary.maintenanceMode").is_some_and(|mode| mode != "normal")
    }

    /// Free bytes of a datastore.
    pub fn free_space(&self) -> i64 {
        self.properties.get("summary.freeSpace").unwrap_or_default()
    }
}

/// A snapshot of the inventory, as [`Client::inventory`] read it.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// By path, then by reference.
    entities: Vec<Entity>,
    by_moref: HashMap<Moref, usize>,
}

impl Client {
    /// Reads the whole inventory: a container view, one retrieval (more where the server pages), and its end.
    pub async fn inventory(&self) -> Result<Inventory> {
        let read = self.read_inventory().await?;
        match read {
            (_, false) => Ok(self.read_inventory().await?.0),
            (inventory, true) => Ok(inventory),
        }
    }

    /// The inventory, and whether its view has lived: views die with the session, and what a dead one shows is nothing.
    async fn read_inventory(&self) -> Result<(Inventory, bool)> {
        let content = self.content();
        let root = content.root_folder.clone();
        let Some(views) = content.view_manager.clone() else {
            return Err(Error::Protocol {
                address: self.address().to_owned(),
                call: "CreateContainerView".to_owned(),
                detail: "it has no view manager".to_owned(),
                excerpt: String::new(),
                lost_reply: false,
            });
        };
        let kinds = vec!["ManagedEntity".to_owned()];
        let create = CreateContainerView { this: views, container: root.clone(), kinds, recursive: true };
        let view = self.call(&create).await?;
        let generation = self.generation();
        let into = TraversalSpec {
            name: Some("view".to_owned()),
            kind: "ContainerView".to_owned(),
            path: "view".to_owned(),
            skip: Some(false),
            select_set: Vec::new(),
        };
        let prop_set = READ.iter().map(|(kind, _, paths)| PropertySpec {
            kind: (*kind).to_owned(),
            all: None,
            path_set: paths.iter().map(|p| (*p).to_owned()).collect(),
        });
        let mut spec = PropertyFilterSpec {
            prop_set: prop_set.collect(),
            object_set: vec![ObjectSpec {
                obj: view.clone(),
                skip: Some(true),
                select_set: vec![Selection::Traversal(into)],
            }],
            report_missing_objects_in_results: Some(true),
        };
        // Who works with an inventory works with guests next, and asks for this then.
        let guests = content.guest_operations_manager.clone();
        if let Some(manager) = guests.clone() {
            let also = spec_of(&[manager], GUEST_MANAGERS);
            spec.prop_set.extend(also.prop_set);
            spec.object_set.extend(also.object_set);
        }
        let found = self.retrieve(spec).await;
        let lived = self.generation() == generation;
        // A view that can't be destroyed dies with the session.
        let _ = self.call(&DestroyView { this: view }).await;
        let mut objects: Vec<_> = found?.into_iter().map(|c| (c.obj.clone(), Properties::of(c))).collect();
        if let Some(at) = objects.iter().position(|(object, _)| Some(object) == guests.as_ref()) {
            let (_, properties) = objects.swap_remove(at);
            self.know_guest_managers(&properties);
        }
        Ok((Inventory::of(&root, objects), lived))
    }

    /// The virtual machine of that name directly in a folder, asked from the server now.
    pub async fn vm_in_folder(&self, folder: &Moref, name: &str) -> Result<Option<Moref>> {
        let Some(index) = self.content().search_index.clone() else { return Ok(None) };
        let find = FindChild { this: index, entity: folder.clone(), name: names::encode(name) };
        Ok(self.call(&find).await?.filter(|found| found.kind == "VirtualMachine"))
    }
}

impl Inventory {
    pub(super) fn of(root: &Moref, found: Vec<(Moref, Properties)>) -> Self {
        let parents: HashMap<Moref, (String, Option<Moref>)> = found
            .iter()
            .map(|(moref, p)| {
                let parent = p.get("parent").or_else(|| p.get("parentVApp"));
                (moref.clone(), (names::decode(p.text("name").unwrap_or_default()), parent))
            })
            .collect();
        let path_of = |moref: &Moref| {
            let mut parts = Vec::new();
            let mut at = Some(moref.clone());
            // A parent chain is short; a circular one must not hold us for ever.
            for _ in 0..100 {
                let Some(here) = at.filter(|m| m != root) else { break };
                let Some((name, parent)) = parents.get(&here) else { break };
                parts.push(names::segment(name));
                at = parent.clone();
            }
            parts.iter().rev().map(|part| format!("/{part}")).collect::<String>()
        };
        let kind_of = |moref: &Moref| READ.iter().find(|(kind, ..)| *kind == moref.kind).map(|(_, kind, _)| *kind);
        let mut entities: Vec<Entity> = found
            .into_iter()
            .filter_map(|(moref, properties)| {
                let (name, parent) = parents.get(&moref)?.clone();
                Some(Entity {
                    kind: kind_of(&moref)?,
                    name,
                    path: path_of(&moref),
                    parent,
                    template: properties.get("config.template").unwrap_or_default(),
                    host: properties.get("runtime.host"),
                    moref,
                    properties,
                })
            })
            .collect();
        entities.sort_by(|a, b| (&a.path, &a.moref).cmp(&(&b.path, &b.moref)));
        let by_moref = entities.iter().enumerate().map(|(at, e)| (e.moref.clone(), at)).collect();
        Inventory { entities, by_moref }
    }

    /// The inventory as it would be without some objects, and with others under these names.
    pub fn as_if(&self, without: impl Fn(&Entity) -> bool, names: &[(Moref, String)]) -> Inventory {
        let mut entities: Vec<Entity> = self.entities.iter().filter(|e| !without(e)).cloned().collect();
        for (moref, name) in names {
            for entity in entities.iter_mut().filter(|e| e.moref == *moref) {
                let above = entity.path.rsplit_once('/').map_or("", |(above, _)| above);
                entity.path = format!("{above}/{}", names::segment(name));
                entity.name.clone_from(name);
            }
        }
        entities.sort_by(|a, b| (&a.path, &a.moref).cmp(&(&b.path, &b.moref)));
        let by_moref = entities.iter().enumerate().map(|(at, e)| (e.moref.clone(), at)).collect();
        Inventory { entities, by_moref }
    }

    /// Finds one object by name, by the end of its path (`folder/name`), or by its whole path (`/DC0/vm/name`).
    /// Within a datacenter when one is given. Errors: [`Error::NotFound`] with near names,
    /// [`Error::Ambiguous`] with the candidates' paths.
    pub fn find(&self, kind: EntityKind, name: &str, datacenter: Option<&Moref>) -> Result<&Entity> {
        let within =
            datacenter.filter(|_| !name.starts_with('/')).and_then(|dc| self.get(dc)).map(|dc| dc.path.clone());
        let inside = |e: &Entity| within.as_deref().is_none_or(|dc| is_below(&e.path, dc));
        self.pick(kind, name, inside)
    }

    /// The one object of a kind that fits name and condition.
    pub(super) fn pick(&self, kind: EntityKind, name: &str, fits: impl Fn(&Entity) -> bool) -> Result<&Entity> {
        let wanted = names::segments(name);
        let whole = name.starts_with('/');
        let candidates: Vec<&Entity> = self.all(kind).filter(|e| fits(e)).collect();
        let matches = |e: &&&Entity| {
            let path = names::segments(&e.path);
            let tail = match whole {
                true => path == wanted,
                false => !wanted.is_empty() && path.ends_with(&wanted),
            };
            tail || e.name == name
        };
        let found: Vec<&Entity> = candidates.iter().filter(matches).copied().collect();
        match found.as_slice() {
            [one] => Ok(one),
            [] => {
                let (near, more) = near(&candidates, &wanted);
                Err(Error::NotFound { kind: kind.name(), name: name.to_owned(), near, more })
            }
            several => Err(Error::Ambiguous {
                kind: kind.name(),
                name: name.to_owned(),
                candidates: several.iter().map(|e| e.path.clone()).collect(),
            }),
        }
    }

    /// Finds a virtual machine or template.
    pub fn vm(&self, name: &str, datacenter: Option<&Moref>) -> Result<&Entity> {
        self.find(EntityKind::Vm, name, datacenter)
    }

    /// The virtual machine or template of that name directly in that folder.
    pub fn vm_in(&self, folder: &Moref, name: &str) -> Option<&Entity> {
        self.all(EntityKind::Vm).find(|e| e.name == name && e.parent.as_ref() == Some(folder))
    }

    /// An object by reference.
    pub fn get(&self, moref: &Moref) -> Option<&Entity> {
        self.by_moref.get(moref).and_then(|at| self.entities.get(*at))
    }

    /// All objects of a kind, by path.
    pub fn all(&self, kind: EntityKind) -> impl Iterator<Item = &Entity> {
        self.entities.iter().filter(move |e| e.kind == kind)
    }

    /// The hosts that may run what is put in a pool: the one asked for, or all of the pool's cluster.
    pub fn hosts_of(&self, pool: &Moref, host: Option<&Moref>) -> Vec<&Entity> {
        if let Some(host) = host {
            return self.get(host).into_iter().collect();
        }
        let Some(owner) = self.get(pool).and_then(|p| p.reference("owner")) else { return Vec::new() };
        self.all(EntityKind::Host).filter(|h| h.parent.as_ref() == Some(&owner)).collect()
    }

    /// The datacenter that holds an object.
    pub fn datacenter_of(&self, moref: &Moref) -> Option<&Entity> {
        let mut at = self.get(moref)?;
        for _ in 0..100 {
            if at.kind == EntityKind::Datacenter {
                return Some(at);
            }
            at = self.get(at.parent.as_ref()?)?;
        }
        None
    }

    /// What a network adapter needs in order to be attached to a network named by the user.
    pub fn network(&self, name: &str, datacenter: Option<&Moref>) -> Result<NicBacking> {
        let network = self.find(EntityKind::Network, name, datacenter)?;
        Ok(match network.moref.kind.as_str() {
            "DistributedVirtualPortgroup" => {
                let switch = network.reference("config.distributedVirtualSwitch").and_then(|s| self.get(&s));
                let uuid = switch.and_then(|s| s.properties.text("uuid"));
                let key = network.properties.text("key").unwrap_or(&network.moref.value);
                let Some(uuid) = uuid else {
                    let path = &network.path;
                    return Err(Error::Unsupported(format!(
                        "the distributed switch of {path} can't be read: the account needs to see it"
                    )));
                };
                let port = DistributedVirtualSwitchPortConnection {
                    switch_uuid: uuid.to_owned(),
                    portgroup_key: Some(key.to_owned()),
                    ..DistributedVirtualSwitchPortConnection::default()
                };
                NicBacking::Port(VirtualEthernetCardDistributedVirtualPortBackingInfo { port })
            }
            "OpaqueNetwork" => {
                let summary = network.properties.values.get("summary");
                let text = |name: &str| summary.and_then(|s| s.0.child_text(name)).unwrap_or_default().to_owned();
                NicBacking::Opaque(VirtualEthernetCardOpaqueNetworkBackingInfo {
                    opaque_network_id: text("opaqueNetworkId"),
                    opaque_network_type: text("opaqueNetworkType"),
                })
            }
            _ => NicBacking::Network(VirtualEthernetCardNetworkBackingInfo {
                device_name: network.name.clone(),
                network: Some(network.moref.clone()),
                ..VirtualEthernetCardNetworkBackingInfo::default()
            }),
        })
    }
}

/// Whether a path lies below another.
pub(super) fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// Paths of objects with names near to the wanted one; where none is, the first ones, and how many more there are.
fn near(candidates: &[&Entity], wanted: &[String]) -> (Vec<String>, usize) {
    let name = wanted.last().map(|n| n.to_lowercase()).unwrap_or_default();
    let mut scored: Vec<(usize, &str)> = candidates
        .iter()
        .map(|e| (strsim::damerau_levenshtein(&name, &e.name.to_lowercase()), e))
        .filter(|(distance, e)| *distance <= (name.chars().count().max(e.name.chars().count()) / 3).max(1))
        .map(|(distance, e)| (distance, e.path.as_str()))
        .collect();
    scored.sort_unstable();
    if !scored.is_empty() {
        return (scored.into_iter().take(SUGGESTIONS).map(|(_, path)| path.to_owned()).collect(), 0);
    }
    let mut paths: Vec<String> = candidates.iter().map(|e| e.path.clone()).collect();
    paths.sort_unstable();
    paths.truncate(SUGGESTIONS);
    let more = candidates.len() - paths.len();
    (paths, more)
}
