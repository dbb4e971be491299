//! Views: lists of objects that clients look at through the property collector.

use std::collections::HashSet;

use super::faults::{Answer, not_found};
use super::inventory::{Inventory, is_a};
use super::machine::Vm;
use super::value::{Val, boolean, texts};
use crate::vsphere::wire::Moref;

/// A list of objects.
#[derive(Clone, Debug)]
pub(super) enum View {
    /// Everything of some types under a container, as it is when it is looked at.
    Container { container: Moref, kinds: Vec<String>, recursive: bool },
    /// Given objects.
    List(Vec<Moref>),
}

impl View {
    /// A view of a container; it must be one.
    pub fn of_container(inventory: &Inventory, container: Moref, kinds: Vec<String>, recursive: bool) -> Answer<Self> {
        inventory.get(&container).ok_or_else(|| not_found(&container))?;
        Ok(View::Container { container, kinds, recursive })
    }

    /// The objects that it shows now.
    pub fn objects(&self, inventory: &Inventory) -> Vec<Moref> {
        match self {
            View::List(objects) => {
                // Tasks and managers may be listed too; those that vanish are nobody's entities.
                let there = |o: &&Moref| inventory.get(o).is_some() || !is_a(&o.kind, "ManagedEntity");
                objects.iter().filter(there).cloned().collect()
            }
            View::Container { container, kinds, recursive } => {
                let mut found = match recursive {
                    true => inventory.below(container),
                    false => inventory.get(container).map(|node| node.children.clone()).unwrap_or_default(),
                };
                with_machines(inventory, container, &mut found);
                found.retain(|o| kinds.is_empty() || kinds.iter().any(|kind| is_a(&o.kind, kind)));
                found
            }
        }
    }

    /// A property of a container view.
    pub fn property(&self, name: &str) -> Val {
        match (self, name) {
            (View::Container { container, .. }, "container") => Val::Ref(container.clone()),
            (View::Container { kinds, .. }, "type") => texts(kinds.iter().map(String::as_str)),
            (View::Container { recursive, .. }, "recursive") => boolean(*recursive),
            _ => Val::Unset,
        }
    }
}

/// Adds the machines of the hosts and pools that a view shows or is of: they are in folders, but hosts and pools
/// contain them too.
fn with_machines(inventory: &Inventory, container: &Moref, found: &mut Vec<Moref>) {
    let homes: HashSet<&Moref> = found
        .iter()
        .chain([container])
        .filter(|o| is_a(&o.kind, "HostSystem") || is_a(&o.kind, "ResourcePool"))
        .collect();
    if homes.is_empty() {
        return;
    }
    let known: HashSet<&Moref> = found.iter().collect();
    let inside = |vm: &Vm| homes.contains(&vm.host) || vm.pool.as_ref().is_some_and(|pool| homes.contains(pool));
    let more: Vec<Moref> =
        inventory.vms().filter(|(o, _, vm)| inside(vm) && !known.contains(o)).map(|(o, ..)| o.clone()).collect();
    found.extend(more);
}
