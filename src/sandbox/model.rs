//! The inventory that a sandbox begins with: laid out and named as vcsim's default model.

use super::inventory::{Body, Compute, Datacenter, Inventory};
use super::machine::Vm;
use crate::vsphere::wire::Moref;

/// What a vm folder may hold; the datacenter's three others likewise.
const VMS: &[&str] = &["Folder", "VirtualMachine", "VirtualApp"];
const HOSTS: &[&str] = &["Folder", "ComputeResource"];
const DATASTORES: &[&str] = &["Folder", "StoragePod", "Datastore"];
const NETWORKS: &[&str] = &["Folder", "Network", "DistributedVirtualSwitch"];
const DATACENTERS: &[&str] = &["Folder", "Datacenter"];

/// The one datastore.
pub(super) const DATASTORE: &str = "LocalDS_0";
/// The standard network.
pub(super) const NETWORK: &str = "VM Network";
/// How many hosts the cluster has.
const CLUSTER_HOSTS: usize = 3;

/// Objects that the server itself refers to.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub vm_folder: Moref,
    pub cluster: Moref,
    pub datastore: Moref,
    pub network: Moref,
}

impl Inventory {
    /// Builds it.
    pub fn with_model() -> (Inventory, Places) {
        let mut inventory = Inventory::default();
        let root = Inventory::root();
        inventory.reserve(1);
        inventory.add(&root, "Datacenters", None, Body::Folder(DATACENTERS));
        let datacenter = inventory.make("Datacenter", "datacenter");
        let folders = ["v", "h", "s", "n"].map(|letter| inventory.make("Folder", &format!("group-{letter}")));
        let [vm, host, datastore, network] = folders.clone();
        let body = Datacenter { vm, host: host.clone(), datastore: datastore.clone(), network: network.clone() };
        inventory.add(&datacenter, "DC0", Some(&root), Body::Datacenter(body));
        let kinds = [("vm", VMS), ("host", HOSTS), ("datastore", DATASTORES), ("network", NETWORKS)];
        for (folder, (name, kinds)) in folders.iter().zip(kinds) {
            inventory.add(folder, name, Some(&datacenter), Body::Folder(kinds));
        }
        let store = inventory.make("Datastore", "datastore");
        inventory.add(&store, DATASTORE, Some(&datastore), Body::Datastore);
        let standard = inventory.make("Network", "network");
        inventory.add(&standard, NETWORK, Some(&network), Body::Network);
        let switch = inventory.make("VmwareDistributedVirtualSwitch", "dvs");
        let uuid = super::random_uuid();
        inventory.add(&switch, "DVS0", Some(&network), Body::Switch { uuid });
        let portgroup = inventory.make("DistributedVirtualPortgroup", "dvportgroup");
        inventory.add(&portgroup, "DC0_DVPG0", Some(&network), Body::Portgroup { switch });
        inventory.compute(&host, "DC0_H0", &["DC0_H0".to_owned()], false);
        let names: Vec<String> = (0..CLUSTER_HOSTS).map(|n| format!("DC0_C0_H{n}")).collect();
        let cluster = inventory.compute(&host, "DC0_C0", &names, true);
        let [vm_folder, ..] = folders;
        let places = Places { vm_folder, cluster, datastore: store, network: standard };
        (inventory, places)
    }

    /// A new reference of that kind.
    pub fn make(&mut self, kind: &str, prefix: &str) -> Moref {
        let number = self.number();
        // Folders are numbered `group-v3`, all else `vm-3`.
        let dash = if prefix.starts_with("group-") { "" } else { "-" };
        Moref::new(kind, format!("{prefix}{dash}{number}"))
    }

    fn compute(&mut self, folder: &Moref, name: &str, hosts: &[String], cluster: bool) -> Moref {
        let compute = match cluster {
            true => self.make("ClusterComputeResource", "domain-c"),
            false => self.make("ComputeResource", "domain-s"),
        };
        let pool = self.make("ResourcePool", "resgroup");
        self.add(&compute, name, Some(folder), Body::Compute(Compute { cluster, pool: pool.clone() }));
        for host in hosts {
            let object = self.make("HostSystem", "host");
            self.add(&object, host, Some(&compute), Body::Host);
        }
        self.add(&pool, "Resources", Some(&compute), Body::Pool { owner: compute.clone() });
        compute
    }

    /// Adds a virtual machine to a folder.
    pub fn add_vm(&mut self, folder: &Moref, name: &str, vm: Vm) -> Moref {
        let object = self.make("VirtualMachine", "vm");
        self.add(&object, name, Some(folder), Body::Vm(Box::new(vm)));
        object
    }

    /// Adds a folder to a folder of the same kind.
    pub fn add_folder(&mut self, parent: &Moref, name: &str, kinds: &'static [&'static str]) -> Moref {
        let letter = match kinds.last() {
            Some(&"VirtualApp") => "group-v",
            Some(&"ComputeResource") => "group-h",
            Some(&"Datastore") => "group-s",
            Some(&"DistributedVirtualSwitch") => "group-n",
            _ => "group-d",
        };
        let object = self.make("Folder", letter);
        self.add(&object, name, Some(parent), Body::Folder(kinds));
        object
    }

    /// The host of a compute resource with the fewest machines, of those that can be reached.
    pub fn a_host(&self, compute: &Moref) -> Option<Moref> {
        let load = |host: &Moref| self.vms().filter(|(_, _, vm)| vm.host == *host).count();
        let hosts = self.children(compute, "HostSystem").filter(|host| !self.lost_hosts.contains_key(host));
        hosts.min_by_key(|host| load(host)).cloned()
    }

    /// What a folder may hold, by its reference.
    pub fn kinds_of(folder: &Moref) -> &'static [&'static str] {
        match folder.value.strip_prefix("group-").and_then(|rest| rest.chars().next()) {
            Some('v') => VMS,
            Some('h') => HOSTS,
            Some('s') => DATASTORES,
            Some('n') => NETWORKS,
            _ => DATACENTERS,
        }
    }
}
