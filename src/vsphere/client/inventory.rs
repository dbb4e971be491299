//! The inventory: all objects with their paths, read in a few requests and looked up without any.
use super::error::Result;
use super::session::Client;
use crate::vsphere::wire::{Moref, NicBacking};

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

/// One object of the inventory.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Its reference.
    pub moref: Moref,
    /// What it is.
    pub kind: EntityKind,
    /// Its name, decoded.
    pub name: String,
    /// Its inventory path: `/DC0/vm/folder/name`. A `/` within a name stays `%2f`.
    pub path: String,
    /// Its parent.
    pub parent: Option<Moref>,
    /// Whether it is a template (virtual machines only).
    pub template: bool,
    /// Where it runs (virtual machines only).
    pub host: Option<Moref>,
}

/// A snapshot of the inventory, as [`Client::inventory`] read it.
#[derive(Clone, Debug, Default)]
pub struct Inventory {}

/// Where a new virtual machine shall be, as the user says; what is absent is derived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlacementRequest {
    /// Name or path of the datacenter.
    pub datacenter: Option<String>,
    /// Name or path of the cluster.
    pub cluster: Option<String>,
    /// Name or path of the host.
    pub host: Option<String>,
    /// Name or path of the resource pool.
    pub pool: Option<String>,
    /// Name or path of the datastore.
    pub datastore: Option<String>,
    /// Name or path of the folder.
    pub folder: Option<String>,
}

/// Where a new virtual machine will be.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// The datacenter.
    pub datacenter: Moref,
    /// The resource pool.
    pub pool: Moref,
    /// The host, where one was asked for.
    pub host: Option<Moref>,
    /// The datastore.
    pub datastore: Moref,
    /// The folder.
    pub folder: Moref,
    /// The folder's inventory path.
    pub folder_path: String,
}

impl Client {
    /// Reads the whole inventory.
    pub async fn inventory(&self) -> Result<Inventory> {
        unimplemented!()
    }

    /// The virtual machine of that name directly in a folder, asked from the server now.
    pub async fn vm_in_folder(&self, _folder: &Moref, _name: &str) -> Result<Option<Moref>> {
        unimplemented!()
    }
}

impl Inventory {
    /// Finds one object by name, by partial path from its end (`folder/name`), or by whole path (`/DC0/vm/name`).
    /// Within a datacenter when one is given. Errors: [`super::Error::NotFound`] with near names,
    /// [`super::Error::Ambiguous`] with the candidates' paths.
    pub fn find(&self, _kind: EntityKind, _name: &str, _datacenter: Option<&Moref>) -> Result<&Entity> {
        unimplemented!()
    }

    /// Finds a virtual machine or template.
    pub fn vm(&self, name: &str, datacenter: Option<&Moref>) -> Result<&Entity> {
        self.find(EntityKind::Vm, name, datacenter)
    }

    /// All virtual machines of that name in that folder (none, or one).
    pub fn vm_in(&self, _folder: &Moref, _name: &str) -> Option<&Entity> {
        unimplemented!()
    }

    /// An object by reference.
    pub fn get(&self, _moref: &Moref) -> Option<&Entity> {
        unimplemented!()
    }

    /// All objects of a kind, by path.
    pub fn all(&self, _kind: EntityKind) -> impl Iterator<Item = &Entity> {
        std::iter::empty()
    }

    /// The datacenter that holds an object.
    pub fn datacenter_of(&self, _moref: &Moref) -> Option<&Entity> {
        unimplemented!()
    }

    /// Derives where a clone of `source` goes. What was not asked for comes from the source's own place, or from
    /// being the only one there is; else the error names the candidates.
    pub fn place(&self, _request: &PlacementRequest, _source: &Entity) -> Result<Placement> {
        unimplemented!()
    }

    /// What a network adapter needs in order to be attached to a network named by the user.
    pub fn network(&self, _name: &str, _datacenter: Option<&Moref>) -> Result<NicBacking> {
        unimplemented!()
    }
}
