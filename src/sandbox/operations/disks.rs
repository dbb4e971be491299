//! Disks: layers over templates.

use std::collections::{HashMap, HashSet};

use crate::sandbox::faults::{Answer, machinery};
use crate::sandbox::guests::{LayerId, Parent};
use crate::sandbox::machine::Disk;
use crate::sandbox::rest::Holds;
use crate::sandbox::server::Server;
use crate::vsphere::wire::Moref;

impl Server {
    /// The layer that a machine writes to, made where there is none yet; none where guests can't run.
    pub(super) async fn writable(&self, vm: &Moref) -> Answer<Option<LayerId>> {
        let Some(guests) = &self.guests else { return Ok(None) };
        let _held = self.disks.lock().await;
        let disk = self.lock().inventory.vm(vm)?.disk.clone();
        if disk.top.is_some() {
            return Ok(disk.top);
        }
        let layer = guests.new_layer(disk.base).await.map_err(|e| machinery(&e))?;
        self.lock().inventory.change_vm(vm)?.disk.top = Some(layer);
        Ok(Some(layer))
    }

    /// The state of a machine that is off as something others can lie on. To be called with `disks` held.
    pub(in crate::sandbox) async fn freeze(&self, vm: &Moref) -> Answer<Parent> {
        let disk = self.lock().inventory.vm(vm)?.disk.clone();
        let (Some(guests), Some(top)) = (&self.guests, disk.top) else { return Ok(disk.base) };
        guests.freeze(top).await.map_err(|e| machinery(&e))?;
        let base = Parent::Layer(top);
        self.lock().inventory.change_vm(vm)?.disk = Disk { base: base.clone(), top: None };
        Ok(base)
    }

    /// A copy of what a running machine has written: what a power cut would leave. To be called with `disks` held.
    pub(super) async fn copy(&self, vm: &Moref) -> Answer<Disk> {
        let disk = self.lock().inventory.vm(vm)?.disk.clone();
        let (Some(guests), Some(top)) = (&self.guests, disk.top) else { return Ok(disk) };
        let copy = guests.copy_layer(top).await.map_err(|e| machinery(&e))?;
        Ok(Disk { base: disk.base, top: Some(copy) })
    }

    /// Deletes layers that nothing in the inventory needs any more.
    pub(in crate::sandbox) async fn sweep(&self) {
        let Some(guests) = &self.guests else { return };
        let _held = self.disks.lock().await;
        // When the warden has ended there is nothing left to delete.
        let Ok(layers) = guests.layers().await else { return };
        let parents: HashMap<LayerId, Parent> = layers.iter().map(|l| (l.id, l.parent.clone())).collect();
        let mut needed: HashSet<LayerId> = HashSet::new();
        {
            let state = self.lock();
            let held = state.libraries.iter().flat_map(|l| &l.items).filter_map(|item| match &item.holds {
                Holds::Machine(vm) => Some(vm.as_ref()),
                Holds::Template(_) => None,
            });
            for vm in state.inventory.vms().map(|(_, _, vm)| vm).chain(held) {
                let bases = vm.snapshots.iter().map(|s| &s.base).chain([&vm.disk.base]);
                let bases = bases.filter_map(|base| match base {
                    Parent::Layer(id) => Some(*id),
                    Parent::Template(_) => None,
                });
                for mut id in bases.chain(vm.disk.top) {
                    while needed.insert(id) {
                        match parents.get(&id) {
                            Some(Parent::Layer(parent)) => id = *parent,
                            _ => break,
                        }
                    }
                }
            }
        }
        let mut free: Vec<LayerId> = layers.iter().map(|l| l.id).filter(|id| !needed.contains(id)).collect();
        // Layers are numbered in order: those that lie on others come first.
        free.sort_unstable_by(|a, b| b.cmp(a));
        for id in free {
            // One that is still in use goes with the next sweep.
            let _ = guests.delete_layer(id).await;
        }
    }
}
