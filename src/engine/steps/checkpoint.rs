//! CHECKPOINT: the guest is shut down, a machine of its own is cloned from it, whose snapshot is kept, and the guest is
//! started again.
//!
//! A clone, and not a snapshot of the machine itself: that one becomes an output, or is removed when a later step fails,
//! which is when the checkpoint is wanted. Shut down, so that who goes on from it finds what the build itself found: a
//! guest that has just started.

use std::sync::Arc;

use super::super::boot;
use super::super::cache::{self, CHECKPOINT_PART};
use super::super::clone::clone;
use super::super::finish;
use super::super::ledger::State;
use super::super::machine::Worker;
use super::super::marks;
use super::super::shared::{Shared, Stop};
use crate::cache::{Digest, MARK, Record, checkpoint_name};
use crate::sema::program::{Machine, Step};
use crate::vsphere::client::{CloneRequest, Deadline, HardwareChange};
use crate::vsphere::wire::{Moref, PowerState};

/// The snapshot's name.
const SNAPSHOT: &str = "vmwbuild";

/// Keeps the checkpoint.
pub(super) async fn run(
    worker: &mut Worker,
    machine: &Machine,
    step: &Step,
    name: Option<&String>,
) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let vm = worker.there()?;
    let looked = shared.client.vm_state(&vm).await;
    let on = looked.map_err(|e| Stop::vsphere(&e, step.span, "CHECKPOINT"))?.power == PowerState::On;
    if on {
        let closed = shared.interruptible(worker.sessions.close()).await?;
        closed.map_err(|e| Stop::guest(&e, step.span, "cleaning up in the guest"))?;
        finish::shut_down(&shared, machine.id, &vm, step.span).await?;
    }
    let kept = keep(&shared, machine, step, name, &vm).await;
    // One that was off before (WAIT OFF) stays off.
    if on && !matches!(kept, Err(Stop::Cancelled)) {
        boot::run(worker).await?;
    }
    kept
}

async fn keep(shared: &Shared, machine: &Machine, step: &Step, name: Option<&String>, vm: &Moref) -> Result<(), Stop> {
    let record = cache::checkpoint_record(shared, machine, step.id.index + 1, name).await;
    let part = CHECKPOINT_PART + step.id.index;
    let Some((record, digest)) = record.and_then(|r| Digest::parse(&r.digest).map(|d| (r, d))) else {
        shared.events.note(Some(machine.id), "no checkpoint is kept: what comes before it isn't taken from the cache");
        return Ok(());
    };
    // One that this build had begun to make, it makes.
    if !shared.cache.claim(digest) && shared.ledger.of(machine.id, part).is_none() {
        shared.events.note(Some(machine.id), "the checkpoint is there already");
        return Ok(());
    }
    let made = make(shared, machine, step, vm, record, digest).await;
    if made.is_err() {
        shared.cache.release(digest);
    }
    made
}

async fn make(
    shared: &Shared,
    machine: &Machine,
    step: &Step,
    vm: &Moref,
    record: Record,
    digest: Digest,
) -> Result<(), Stop> {
    let part = CHECKPOINT_PART + step.id.index;
    let resolved = shared.resolved.get(&machine.id).ok_or(Stop::Cancelled)?;
    let about = format!("A checkpoint of `{}` for later builds. `vmwbuild cache prune` removes it.", machine.label);
    let mut extra = marks::making(shared, machine);
    extra.push((MARK.to_owned(), String::new()));
    let request = CloneRequest {
        name: checkpoint_name(&digest, &shared.options.build),
        placement: resolved.placement.clone(),
        template: false,
        linked: None,
        snapshot: None,
        hardware: HardwareChange { annotation: Some(about), extra, ..HardwareChange::default() },
    };
    let called = request.name.clone();
    let (holder, entry) = clone(shared, vm, request, machine, part).await?;
    let written = complete(shared, &holder, record, step).await?;
    if written {
        shared.ledger.set(entry, State::Published(holder));
        shared.events.note(Some(machine.id), &format!("the checkpoint is kept as {called}"));
    }
    Ok(())
}

/// The snapshot, then what is remembered: one without it is none.
async fn complete(shared: &Shared, holder: &Moref, mut record: Record, step: &Step) -> Result<bool, Stop> {
    let failed = |e: &_| Stop::vsphere(e, step.span, "CHECKPOINT");
    let limit = || Deadline::after(shared.options.deadlines.task);
    let trees = shared.client.snapshots(holder).await.map_err(|e| failed(&e))?;
    let snapshot = match trees.into_iter().find(|tree| tree.name == SNAPSHOT) {
        // An earlier process of this build has made it.
        Some(tree) => tree.snapshot,
        None => {
            let made = shared.client.create_snapshot(holder, SNAPSHOT, "for builds that go on from here", limit());
            made.await.map_err(|e| failed(&e))?
        }
    };
    record.vm = Some(holder.value.clone());
    if let Some(checkpoint) = &mut record.checkpoint {
        checkpoint.snapshot = snapshot.value;
    }
    let Some(text) = record.to_text() else { return Ok(false) };
    let change = HardwareChange { extra: vec![(MARK.to_owned(), text)], ..HardwareChange::default() };
    shared.client.reconfigure(holder, &change, limit()).await.map_err(|e| failed(&e))?;
    Ok(true)
}
