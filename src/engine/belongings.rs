//! What builds have made in a vCenter, told by the machines themselves: no file here knows better.

use std::collections::HashMap;
use std::time::Duration;

use super::marks::{Marks, Standing};
use super::network::usable;
use crate::vsphere::client::{Client, Deadline, EntityKind, Error, Inventory, Properties};
use crate::vsphere::wire::{Moref, PowerState};

/// What is asked of machines.
const READ: &[&str] = &[
    "name",
    "config.extraConfig",
    "config.template",
    "runtime.powerState",
    "runtime.connectionState",
    "guest.ipAddress",
];

/// How many machines are asked for at once: a machine's extraConfig may be large.
const AT_ONCE: usize = 100;

/// How long removing one may take.
const LIMIT: Duration = Duration::from_secs(600);

/// A machine or template that a build has made, or is making.
#[derive(Clone, Debug)]
pub struct Owned {
    /// The machine.
    pub vm: Moref,
    /// Its name, and its inventory path.
    pub name: String,
    /// See `name`.
    pub path: String,
    /// Whether it is a template.
    pub template: bool,
    /// Whether it runs.
    pub power: PowerState,
    /// Whether vCenter can't do anything with it: its host is lost, or its files are.
    pub lost: bool,
    /// The address that its guest reports.
    pub ip: Option<String>,
    /// What it says of itself.
    pub marks: Marks,
    /// Why it is nobody's to remove by its marks alone; None: it is.
    pub spared: Option<String>,
}

/// Everything that builds have made or are making, by path; without checkpoints, which are the cache's, and without what
/// others have made of it.
///
/// # Errors
/// vCenter can't tell.
pub async fn list(client: &Client) -> Result<Vec<Owned>, Error> {
    let inventory = client.inventory().await?;
    let all: Vec<Moref> = inventory.all(EntityKind::Vm).map(|e| e.moref.clone()).collect();
    let mut owned = Vec::new();
    for part in all.chunks(AT_ONCE) {
        let read = client.properties_of(part, READ).await?;
        owned.extend(read.iter().filter_map(|(vm, properties)| of(vm, properties, &inventory)));
    }
    // Who is known by its name alone may be a copy of another that is.
    let key = |o: &Owned| (o.marks.build.clone(), o.marks.machine.clone(), o.name.clone());
    let mut count: HashMap<_, usize> = HashMap::new();
    owned.iter().filter(|o| o.marks.by_name).for_each(|o| *count.entry(key(o)).or_default() += 1);
    for one in owned.iter_mut().filter(|o| o.marks.by_name) {
        if count.get(&key(one)).is_some_and(|n| *n > 1) {
            one.spared = Some("another machine says the same of itself: one is a copy of the other".to_owned());
        }
    }
    owned.sort_by(|a, b| (&a.path, &a.vm).cmp(&(&b.path, &b.vm)));
    Ok(owned)
}

fn of(vm: &Moref, properties: &Properties, inventory: &Inventory) -> Option<Owned> {
    let name = properties.text("name")?.to_owned();
    let marks = Marks::of(vm, &name, properties)?;
    let build = &marks.build;
    let spared = match marks.standing {
        Standing::Finished => None,
        Standing::HalfMade => Some(format!("the build {build} makes it still, or has left it half-made")),
        Standing::Checkpoint | Standing::Copy => return None,
    };
    let power: PowerState = properties.get("runtime.powerState").unwrap_or_default();
    let ip = properties.text("guest.ipAddress").and_then(usable).filter(|_| power == PowerState::On);
    Some(Owned {
        vm: vm.clone(),
        path: inventory.get(vm).map_or_else(|| name.clone(), |e| e.path.clone()),
        name,
        template: properties.get("config.template").unwrap_or_default(),
        power,
        lost: properties.text("runtime.connectionState").is_some_and(|state| state != "connected"),
        ip: ip.map(|ip| ip.to_string()),
        marks,
        spared,
    })
}

/// Removes one, if it is still what it was when it was listed. What it isn't any more, as a reason.
///
/// # Errors
/// It is still there.
pub async fn remove(client: &Client, owned: &Owned) -> Result<Option<String>, Error> {
    let read = client.properties_of(std::slice::from_ref(&owned.vm), READ).await?;
    let Some((_, properties)) = read.first().filter(|(_, p)| p.text("name").is_some()) else {
        return Ok(Some("it is gone already".to_owned()));
    };
    match of(&owned.vm, properties, &Inventory::default()) {
        Some(now) if now.marks == owned.marks && now.name == owned.name && now.spared.is_none() => {
            client.destroy_vm(&owned.vm, Deadline::after(LIMIT)).await.map(|()| None)
        }
        _ => Ok(Some("it isn't what it was a moment ago".to_owned())),
    }
}

/// Removes one that is half-made, if it is still what it was when it was listed.
///
/// # Errors
/// It is still there.
pub(super) async fn remove_half(client: &Client, owned: &Owned) -> Result<(), Error> {
    let read = client.properties_of(std::slice::from_ref(&owned.vm), READ).await?;
    let now = read.first().and_then(|(vm, properties)| of(vm, properties, &Inventory::default()));
    match now {
        Some(now) if now.marks == owned.marks => client.destroy_vm(&owned.vm, Deadline::after(LIMIT)).await,
        _ => Ok(()),
    }
}
