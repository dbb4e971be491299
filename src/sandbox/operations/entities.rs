//! Folders, and deleting things.

use std::sync::Arc;

use crate::sandbox::faults::{Answer, duplicate_name, invalid_argument, invalid_power_state, not_found, not_supported};
use crate::sandbox::inventory::{Body, Inventory};
use crate::sandbox::machine::{Power, Vm};
use crate::sandbox::server::{Call, Server};
use crate::sandbox::tasks::Kind;
use crate::vsphere::wire::{Any, Moref, MoveIntoFolderTask, VirtualMachineConfigSpec};

impl Server {
    /// `DisconnectHost_Task`, `ReconnectHost_Task`.
    pub(in crate::sandbox) fn connect_host(self: &Arc<Self>, call: &Call, state: &'static str) -> Answer<Moref> {
        let (server, host) = (self.clone(), call.this.clone());
        let kind = match state {
            "connected" => Kind::exclusive("HostSystem.reconnect"),
            _ => Kind::exclusive("HostSystem.disconnect"),
        };
        self.begin(&call.method, call.task_fault.clone(), &call.this, kind, move |_| async move {
            server.lock().inventory.set_connection(&host, state);
            Ok(None)
        })
    }

    /// `CreateFolder`.
    pub(in crate::sandbox) fn create_folder(&self, call: &Call) -> Answer<Moref> {
        let name: String = call.arg("name")?;
        let mut state = self.lock();
        let kinds = match state.inventory.node(&call.this).map(|node| &node.body)? {
            Body::Folder(kinds) => *kinds,
            _ => return Err(not_found(&call.this)),
        };
        let name = state.inventory.free_name(&call.this, &name, None)?;
        Ok(state.inventory.add_folder(&call.this, &name, kinds))
    }

    /// `MoveIntoFolder_Task`.
    pub(in crate::sandbox) fn move_into_folder(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let request: MoveIntoFolderTask = call.read()?;
        let server = self.clone();
        let kind = Kind::shared("Folder.moveIntoFolder");
        self.begin(&call.method, call.task_fault.clone(), &call.this, kind, move |_| async move {
            let mut state = server.lock();
            for object in &request.list {
                let node = state.inventory.node(object)?;
                let fits = match &state.inventory.node(&request.this)?.body {
                    Body::Folder(kinds) => kinds.contains(&object.kind.as_str()),
                    _ => false,
                };
                if !fits || state.inventory.above(&request.this, &object.kind).is_some_and(|above| above == *object) {
                    return Err(invalid_argument("list"));
                }
                let same = state.inventory.child(&request.this, &node.name).filter(|found| *found != object);
                if let Some(same) = same {
                    return Err(duplicate_name(&node.name, same));
                }
                state.inventory.reparent(object, &request.this);
            }
            Ok(None)
        })
    }

    /// `Destroy_Task`.
    pub(in crate::sandbox) fn destroy(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let operation = match &self.lock().inventory.node(&call.this)?.body {
            Body::Vm(_) => "VirtualMachine.destroy",
            Body::Folder(_) => "Folder.destroy",
            _ => return Err(not_supported("deleting this object")),
        };
        let (server, object) = (self.clone(), call.this.clone());
        let fail = call.task_fault.clone();
        self.begin(&call.method, fail, &call.this, Kind::exclusive(operation), move |_| async move {
            server.delete(&object).await?;
            Ok(None)
        })
    }

    /// `UnregisterVM`. What is unregistered can't be registered again: its layers go.
    pub(in crate::sandbox) async fn unregister(&self, vm: &Moref) -> Answer<()> {
        self.lock().inventory.vm(vm)?;
        self.delete(vm).await
    }

    /// Deletes something, and all below it.
    pub(in crate::sandbox) async fn delete(&self, object: &Moref) -> Answer<()> {
        {
            let mut state = self.lock();
            let mut all = state.inventory.below(object);
            // What is below goes first.
            all.reverse();
            all.push(object.clone());
            check_deletable(&state.inventory, &all)?;
            for object in &all {
                state.inventory.remove(object);
                state.tags.forget(object);
            }
        }
        self.sweep().await;
        Ok(())
    }

    /// `CreateVM_Task`: a machine without a file system of its own begins with that of the default template.
    pub(in crate::sandbox) fn create_vm(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let spec: VirtualMachineConfigSpec = call.arg("config")?;
        let pool: Moref = call.arg("pool")?;
        let host: Option<Moref> = call.arg("host")?;
        let server = self.clone();
        let kind = Kind::shared("Folder.createVm");
        let folder = call.this.clone();
        self.begin(&call.method, call.task_fault.clone(), &call.this, kind, move |_| async move {
            let mut state = server.lock();
            let owner = state.inventory.owner(&pool).ok_or_else(|| invalid_argument("pool"))?;
            let host = host.or_else(|| state.inventory.a_host(&owner)).ok_or_else(|| invalid_argument("host"))?;
            let name = spec.name.as_deref().ok_or_else(|| invalid_argument("config.name"))?;
            let name = state.inventory.free_name(&folder, name, None)?;
            let base = crate::sandbox::guests::Parent::Template(crate::sandbox::DEFAULT_TEMPLATE.to_owned());
            let datastore = state.places.datastore.clone();
            let mut vm = Vm::new(host, Some(pool), datastore, base, crate::sandbox::now());
            // The devices are ours: what the client would make its disks of doesn't exist here.
            let number = state.inventory.number();
            let (store, network) = (state.places.datastore.clone(), state.places.network.clone());
            vm.config.devices =
                crate::sandbox::machine::devices(crate::sandbox::model::DATASTORE, &store, &network, &name, number);
            let spec = VirtualMachineConfigSpec { device_change: Vec::new(), ..spec };
            super::configure::apply(&mut vm, &spec)?;
            Ok(Some(Any::of(&state.inventory.add_vm(&folder, &name, vm))))
        })
    }
}

fn check_deletable(inventory: &Inventory, all: &[Moref]) -> Answer<()> {
    for object in all {
        match &inventory.node(object)?.body {
            Body::Vm(vm) if vm.power != Power::Off => {
                return Err(invalid_power_state(Some("poweredOff"), vm.power.as_str()));
            }
            Body::Vm(_) | Body::Folder(_) => {}
            _ => return Err(not_supported("deleting this object")),
        }
    }
    Ok(())
}
