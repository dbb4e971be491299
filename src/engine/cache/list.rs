//! What builds have left in a vCenter to go on from, and removing checkpoints.

use std::collections::HashMap;
use std::time::Duration;

use super::assess::{all_snapshots, record};
use crate::cache::{CHECKPOINT_PREFIX, Record};
use crate::engine::marks::BUILD;
use crate::vsphere::client::{Client, Deadline, EntityKind, Error, Inventory, Properties};
use crate::vsphere::wire::{Moref, OptionValue};

/// What is asked of machines.
const READ: &[&str] = &["name", "config.extraConfig", "config.template", "snapshot", "summary.storage.committed"];

/// How many machines are asked for at once: a machine's extraConfig may be large.
const AT_ONCE: usize = 100;

/// How long removing one may take.
const LIMIT: Duration = Duration::from_secs(600);

/// A machine that a later build may know again.
#[derive(Clone, Debug)]
pub struct Held {
    /// The machine.
    pub vm: Moref,
    /// Its inventory path.
    pub path: String,
    /// Whether it is a template.
    pub template: bool,
    /// What is remembered of it.
    pub record: Record,
    /// Bytes that its files take.
    pub size: u64,
    /// Of a checkpoint: why no build goes on from it; None: builds do.
    pub useless: Option<String>,
    /// Of a checkpoint: why it isn't removed, since it isn't as it was made; None: it can be.
    pub spared: Option<String>,
}

impl Held {
    /// Whether it is a checkpoint, and not an output.
    pub fn is_checkpoint(&self) -> bool {
        self.record.checkpoint.is_some()
    }
}

/// Everything, by path.
///
/// # Errors
/// vCenter can't tell.
pub async fn list(client: &Client) -> Result<Vec<Held>, Error> {
    let inventory = client.inventory().await?;
    let all: Vec<Moref> = inventory.all(EntityKind::Vm).map(|e| e.moref.clone()).collect();
    let mut held = Vec::new();
    for part in all.chunks(AT_ONCE) {
        let read = client.properties_of(part, READ).await?;
        held.extend(read.iter().filter_map(|(vm, properties)| of(vm, properties, &inventory)));
    }
    // Of checkpoints of one digest builds take the newest.
    let mut newest: HashMap<String, (String, Moref)> = HashMap::new();
    for one in held.iter().filter(|h| h.is_checkpoint() && h.useless.is_none()) {
        let this = (one.record.made.clone(), one.vm.clone());
        let entry = newest.entry(one.record.digest.clone()).or_insert_with(|| this.clone());
        if *entry < this {
            *entry = this;
        }
    }
    for one in held.iter_mut().filter(|h| h.is_checkpoint() && h.useless.is_none()) {
        if newest.get(&one.record.digest).is_some_and(|(_, vm)| *vm != one.vm) {
            one.useless = Some("there is a newer one of the same".to_owned());
        }
    }
    held.sort_by(|a, b| (&a.path, &a.vm).cmp(&(&b.path, &b.vm)));
    Ok(held)
}

fn of(vm: &Moref, properties: &Properties, inventory: &Inventory) -> Option<Held> {
    let record = record(vm, properties)?;
    let template: bool = properties.get("config.template").unwrap_or_default();
    let size = properties.get::<i64>("summary.storage.committed").and_then(|n| u64::try_from(n).ok());
    let (mut useless, mut spared) = (None, None);
    if let Some(checkpoint) = &record.checkpoint {
        let name = properties.text("name").unwrap_or_default();
        let whole = all_snapshots(properties).iter().any(|(_, s, _)| s.value == checkpoint.snapshot);
        if !whole {
            useless = Some("its snapshot is gone".to_owned());
        }
        if !name.starts_with(CHECKPOINT_PREFIX) {
            useless = Some("it has been renamed".to_owned());
            spared = useless.clone();
        } else if template {
            spared = Some("it has been made a template".to_owned());
        } else if record.vm.is_none() || mark(properties).as_ref() != Some(&record.build) {
            useless = Some("it is a copy".to_owned());
            spared = Some("it doesn't bear the mark of the build that has made it".to_owned());
        }
    }
    Some(Held {
        path: inventory.get(vm).map_or_else(|| vm.value.clone(), |e| e.path.clone()),
        vm: vm.clone(),
        template,
        record,
        size: size.unwrap_or_default(),
        useless,
        spared,
    })
}

/// The build whose mark a machine bears.
fn mark(properties: &Properties) -> Option<String> {
    let options: Vec<OptionValue> = properties.list("config.extraConfig");
    options.into_iter().find(|o| o.key == BUILD).map(|o| o.value.text().to_owned())
}

/// Removes a checkpoint, if it is still what it was when it was listed. What it isn't any more, as a reason.
///
/// # Errors
/// It is still there.
pub async fn remove(client: &Client, held: &Held) -> Result<Option<String>, Error> {
    let read = client.properties_of(std::slice::from_ref(&held.vm), READ).await?;
    let Some((_, properties)) = read.first().filter(|(_, p)| p.text("name").is_some()) else {
        return Ok(Some("it is gone already".to_owned()));
    };
    let Some(now) = of(&held.vm, properties, &Inventory::default()) else {
        return Ok(Some("it isn't a checkpoint any more".to_owned()));
    };
    if let Some(why) = now.spared {
        return Ok(Some(why));
    }
    if now.record != held.record {
        return Ok(Some("it isn't a checkpoint any more".to_owned()));
    }
    client.destroy_vm(&held.vm, Deadline::after(LIMIT)).await.map(|()| None)
}
