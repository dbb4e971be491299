//! Where a new virtual machine goes.

use super::error::{Error, Result};
use super::inventory::{Entity, EntityKind, Inventory, is_below};
use super::policies::Fit;
use crate::vsphere::wire::{Moref, VirtualMachineProfileSpec};

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
    /// Name or path of the datastore, or of a datastore cluster.
    pub datastore: Option<String>,
    /// Name or path of the folder.
    pub folder: Option<String>,
    /// The id of the storage policy.
    pub policy: Option<String>,
    /// The datastore is one that the policy fits, and not named.
    pub fitting: Option<Fit>,
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
    /// What it is the roomiest of, where it was chosen so: others may be at another time.
    pub among: Option<String>,
    /// The folder.
    pub folder: Moref,
    /// The folder's inventory path.
    pub folder_path: String,
    /// The id of the storage policy, where one was asked for.
    pub policy: Option<String>,
}

impl Placement {
    /// The storage policy as a specification has it.
    pub(super) fn profile(&self) -> Vec<VirtualMachineProfileSpec> {
        self.policy.iter().map(|id| VirtualMachineProfileSpec::of(id)).collect()
    }
}

impl Inventory {
    /// Derives where a clone of `source` goes. What was not asked for comes from the source's own place, or from
    /// being the only one there is; else the error names the candidates. The folder is the datacenter's topmost
    /// one unless another is asked for.
    pub fn place(&self, request: &PlacementRequest, source: &Entity) -> Result<Placement> {
        let datacenter = match &request.datacenter {
            Some(name) => self.find(EntityKind::Datacenter, name, None)?,
            None => match self.datacenter_of(&source.moref) {
                Some(datacenter) => datacenter,
                None => self.only(EntityKind::Datacenter, self.all(EntityKind::Datacenter).collect())?,
            },
        };
        let compute = self.compute(request, datacenter, source)?;
        let pool = match &request.pool {
            Some(_) => compute.pool.ok_or_else(|| none(EntityKind::Pool))?,
            None => compute.resource.reference("resourcePool").ok_or_else(|| none(EntityKind::Pool))?,
        };
        let folder = self.folder(request, datacenter)?;
        let (datastore, among) = self.datastore(request, datacenter, compute.resource, source)?;
        Ok(Placement {
            datacenter: datacenter.moref.clone(),
            pool,
            host: compute.host.map(|h| h.moref.clone()),
            datastore,
            among,
            folder: folder.moref.clone(),
            folder_path: folder.path.clone(),
            policy: request.policy.clone(),
        })
    }

    fn compute<'a>(
        &'a self,
        request: &PlacementRequest,
        datacenter: &'a Entity,
        source: &Entity,
    ) -> Result<Compute<'a>> {
        let cluster = match &request.cluster {
            Some(name) => Some(self.find(EntityKind::Cluster, name, Some(&datacenter.moref))?),
            None => None,
        };
        let inside = |e: &Entity| is_below(&e.path, &cluster.unwrap_or(datacenter).path);
        let host = match &request.host {
            Some(name) if name.starts_with('/') => Some(self.find(EntityKind::Host, name, None)?),
            Some(name) => Some(self.pick(EntityKind::Host, name, inside)?),
            None => None,
        };
        let owner = |host: &Entity| host.parent.as_ref().and_then(|p| self.get(p));
        let pool = match &request.pool {
            Some(name) if name.starts_with('/') => Some(self.find(EntityKind::Pool, name, None)?),
            Some(name) => {
                let of_host = host.and_then(owner);
                let inside = |e: &Entity| is_below(&e.path, &of_host.or(cluster).unwrap_or(datacenter).path);
                Some(self.pick(EntityKind::Pool, name, inside)?)
            }
            None => None,
        };
        let by_source = || {
            let same = source.host.as_ref().and_then(|h| self.get(h)).and_then(owner);
            same.filter(|resource| is_below(&resource.path, &datacenter.path))
        };
        let resource = pool
            .and_then(|p| p.reference("owner"))
            .and_then(|owner| self.get(&owner))
            .or(cluster)
            .or_else(|| host.and_then(owner))
            .or_else(by_source);
        let resource = match resource {
            Some(resource) => resource,
            None => {
                let all = self.all(EntityKind::Cluster).filter(|e| is_below(&e.path, &datacenter.path));
                self.only(EntityKind::Cluster, all.collect())?
            }
        };
        Ok(Compute { resource, host, pool: pool.map(|p| p.moref.clone()) })
    }

    fn folder(&self, request: &PlacementRequest, datacenter: &Entity) -> Result<&Entity> {
        let top =
            datacenter.reference("vmFolder").and_then(|f| self.get(&f)).ok_or_else(|| none(EntityKind::Folder))?;
        match &request.folder {
            None => Ok(top),
            Some(name) => {
                let vm_folder = |e: &Entity| e.moref == top.moref || is_below(&e.path, &top.path);
                match self.pick(EntityKind::Folder, name, vm_folder) {
                    // A whole path may name a folder of another datacenter; that can't be a clone's place by accident.
                    Err(Error::NotFound { .. }) if name.starts_with('/') => self.find(EntityKind::Folder, name, None),
                    other => other,
                }
            }
        }
    }

    fn datastore(
        &self,
        request: &PlacementRequest,
        datacenter: &Entity,
        resource: &Entity,
        source: &Entity,
    ) -> Result<(Moref, Option<String>)> {
        let within = Some(&datacenter.moref);
        let given = |datastore: &Moref| Ok((datastore.clone(), None));
        if let Some(fit) = &request.fitting {
            let chosen = self.fitting(fit, resource)?;
            return Ok((chosen.moref.clone(), Some("those that the policy fits".to_owned())));
        }
        if let Some(name) = &request.datastore {
            let missing = match self.find(EntityKind::Datastore, name, within) {
                Ok(datastore) => return given(&datastore.moref),
                Err(missing) => missing,
            };
            // A datastore cluster isn't a datastore: take its roomiest member that machines can be put on there.
            let pod = match self.find(EntityKind::StoragePod, name, within) {
                Ok(pod) => pod,
                Err(Error::NotFound { .. }) => return Err(missing),
                Err(other) => return Err(other),
            };
            return self.member(pod, name, resource).map(|m| (m.moref.clone(), Some(pod.moref.value.clone())));
        }
        let reachable: Vec<&Entity> =
            resource.references("datastore").iter().filter_map(|d| self.get(d)).filter(|d| d.accessible()).collect();
        let own = source.references("datastore");
        if let [own] = own.as_slice()
            && reachable.iter().any(|d| d.moref == *own)
        {
            return given(own);
        }
        self.only(EntityKind::Datastore, reachable).and_then(|d| given(&d.moref))
    }

    /// The roomiest of the datastores that the hosts reach, among those that a policy fits and that aren't being emptied.
    fn fitting(&self, fit: &Fit, resource: &Entity) -> Result<&Entity> {
        let reached: Vec<&Entity> = resource.references("datastore").iter().filter_map(|d| self.get(d)).collect();
        let why_not = |store: &Entity| {
            if fit.datastores.contains(&store.moref) {
                return None;
            }
            let told = fit.others.iter().find(|(other, _)| *other == store.moref).map(|(_, why)| why.as_str());
            Some(format!("doesn't suit it: {}", told.unwrap_or("vCenter says nothing of it")))
        };
        roomiest("datastores of the storage policy", &fit.policy, reached.into_iter(), why_not)
    }

    /// The roomiest datastore of a cluster of them, among those that the hosts reach and that aren't being emptied.
    fn member(&self, pod: &Entity, name: &str, resource: &Entity) -> Result<&Entity> {
        let reached = resource.references("datastore");
        let members = self.all(EntityKind::Datastore).filter(|d| d.parent.as_ref() == Some(&pod.moref));
        let unreached = |member: &Entity| {
            (!reached.contains(&member.moref)).then(|| format!("isn't reached from {}", resource.path))
        };
        roomiest(pod.kind.name(), name, members, unreached)
    }

    /// The only one; or the error that there are none, or several.
    fn only<'a>(&self, kind: EntityKind, candidates: Vec<&'a Entity>) -> Result<&'a Entity> {
        match candidates.as_slice() {
            [one] => Ok(one),
            [] => Err(none(kind)),
            several => Err(Error::Ambiguous {
                kind: kind.name(),
                name: String::new(),
                candidates: several.iter().map(|e| e.path.clone()).collect(),
            }),
        }
    }
}

/// The datastore with the most room, of those that can be used.
fn roomiest<'a>(
    kind: &'static str,
    name: &str,
    all: impl Iterator<Item = &'a Entity>,
    why_not: impl Fn(&Entity) -> Option<String>,
) -> Result<&'a Entity> {
    let mut why = Vec::new();
    let mut usable = Vec::new();
    for store in all {
        let fault = match () {
            () if !store.accessible() => Some("isn't accessible".to_owned()),
            () if store.maintenance() => Some("is in maintenance mode".to_owned()),
            () => why_not(store),
        };
        match fault {
            Some(fault) => why.push(format!("{} {fault}", store.name)),
            None => usable.push(store),
        }
    }
    let unusable = || Error::Unusable { kind, name: name.to_owned(), why };
    usable.into_iter().max_by_key(|store| store.free_space()).ok_or_else(unusable)
}

struct Compute<'a> {
    /// The cluster, or a lone host's compute resource.
    resource: &'a Entity,
    host: Option<&'a Entity>,
    pool: Option<Moref>,
}

fn none(kind: EntityKind) -> Error {
    Error::NotFound { kind: kind.name(), name: "(any)".to_owned(), near: Vec::new(), more: 0 }
}
