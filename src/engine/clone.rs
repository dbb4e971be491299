//! Clone and reconfigure.

use std::time::Duration;

use super::event::{Event, Phase};
use super::hardware;
use super::journal::{Record, text_of};
use super::ledger::{Entry, EntryId, State};
use super::limits;
use super::machine::Worker;
use super::options::FailureClass;
use super::shared::{Shared, Stop};
use crate::cache::MARK;
use crate::diagnostic::Diagnostic;
use crate::plan::{Deploys, codes};
use crate::sema::program::{Machine, Origin};
use crate::syntax::ast::OutputKind;
use crate::vsphere::client::{CloneRequest, Deadline, HardwareChange, NAME_TAKEN, Placement, Progress};
use crate::vsphere::wire::Moref;

/// How often a clone is asked for whose replies are lost and that isn't there.
const MOST_LOST: u32 = 4;

/// How long a clone that is no longer wanted may take to end.
const UNWANTED: Duration = Duration::from_secs(120);

/// Runs the machine's clone.
pub(super) async fn run(worker: &mut Worker) -> Result<(), Stop> {
    let shared = std::sync::Arc::clone(&worker.shared);
    if checkpoint(worker).await? {
        return Ok(());
    }
    let machine = worker.machine();
    let resolved = shared.resolved.get(&worker.id).ok_or(Stop::Cancelled)?;
    match &resolved.deploys {
        Some(Deploys::Item(of)) => return super::library::deploy(worker, resolved, of).await,
        Some(Deploys::Ova(ova)) => return super::ova::deploy(worker, resolved, ova).await,
        None => {}
    }
    let (source, from) = source(&shared, machine)?;
    worker.phase(Phase::Cloning { from });
    hardware::check(&shared, machine, resolved, &source).await?;
    let base = match machine.linked || machine.snapshot.is_some() {
        true => Some(snapshot(&shared, machine, &source).await?),
        false => None,
    };
    let (linked, snapshot) = if machine.linked { (base, None) } else { (None, base) };
    let (name, placement) = target(&shared, machine, resolved);
    let hardware = changes(&shared, machine)?;
    let request = CloneRequest { name, placement, template: false, linked, snapshot, hardware };
    let (vm, entry) = clone(&shared, &source, request, machine, 0).await?;
    worker.vm = Some((vm.clone(), entry));
    hardware::run(worker, resolved, &vm).await
}

/// Clones from the checkpoint that the cache has found. False: there is none, or none any more.
async fn checkpoint(worker: &mut Worker) -> Result<bool, Stop> {
    let shared = std::sync::Arc::clone(&worker.shared);
    let machine = shared.program.machine(worker.id);
    let Some(start) = shared.cache.start(worker.id) else {
        if shared.past.starts.contains_key(&worker.id) {
            shared.journal.note(&Record::Unstarted { machine: worker.id.0 });
        }
        return Ok(false);
    };
    let resolved = shared.resolved.get(&worker.id).ok_or(Stop::Cancelled)?;
    worker.phase(Phase::Cloning { from: start.called() });
    let record =
        Record::Start { machine: worker.id.0, from: text_of(&start.vm), record: Box::new(start.record.clone()) };
    shared.journal.intend(&record).await.map_err(|e| Stop::journal(&e))?;
    let (name, placement) = target(&shared, machine, resolved);
    let (snapshot, hardware) = (Some(start.snapshot.clone()), changes(&shared, machine)?);
    let request = CloneRequest { name, placement, template: false, linked: None, snapshot, hardware };
    match clone(&shared, &start.vm, request, machine, 0).await {
        Ok((vm, entry)) => {
            worker.vm = Some((vm.clone(), entry));
            hardware::network(worker, resolved, &vm).await?;
            super::cache::begun(&shared, machine, start);
            Ok(true)
        }
        Err(Stop::Failed(failed)) => {
            // Somebody may have removed it meanwhile. A clone that may have been made is no case for another one.
            let there = shared.client.snapshots(&start.vm).await;
            let there = there.is_ok_and(|trees| trees.iter().any(|tree| tree.snapshot == start.snapshot));
            if there || shared.ledger.of(machine.id, 0).is_some() {
                return Err(Stop::Failed(failed));
            }
            shared.events.note(Some(worker.id), &format!("{} is gone: made from its source", start.called()));
            shared.journal.note(&Record::Unstarted { machine: worker.id.0 });
            Ok(false)
        }
        Err(stop) => Err(stop),
    }
}

/// What it is cloned from, and that thing's name.
fn source(shared: &Shared, machine: &Machine) -> Result<(Moref, String), Stop> {
    match &machine.origin {
        Origin::Inventory { .. } => {
            let resolved = shared.resolved.get(&machine.id).ok_or(Stop::Cancelled)?;
            resolved.source.clone().ok_or(Stop::Cancelled)
        }
        Origin::Existing { .. } => Err(Stop::Cancelled), // nothing is cloned
        Origin::Machine(parent) => {
            let source = shared.board.source(*parent).ok_or(Stop::Cancelled)?;
            Ok((source, shared.program.machine(*parent).label.clone()))
        }
    }
}

/// The name that the clone is made under: its own at once where that is free, so that the files in the datastore
/// are called like it; a passing one where the name is still another's, or nobody's.
pub(super) fn target(shared: &Shared, machine: &Machine, resolved: &crate::plan::Resolved) -> (String, Placement) {
    let named = machine.outputs.iter().filter(|o| o.kind.is_placed()).zip(&resolved.outputs);
    let mut sorted: Vec<_> = named.collect();
    // A machine that is to stay is the VM; its templates are clones of it.
    sorted.sort_by_key(|(output, _)| output.kind != OutputKind::Vm);
    match sorted.first() {
        Some((output, target)) if !super::finish::is_deferred(output, target) => {
            (target.name.clone(), target.placement.clone())
        }
        Some((_, target)) => (passing_name(shared, machine), target.placement.clone()),
        None => (passing_name(shared, machine), resolved.placement.clone()),
    }
}

/// A name that says whose it is, for what must not have its own name yet.
pub(super) fn passing_name(shared: &Shared, machine: &Machine) -> String {
    let label: String = machine.label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    // vSphere's names have at most 80 characters.
    let label: String = label.trim_matches('-').chars().take(40).collect();
    format!("vmwbuild-{}-{}-{label}", shared.options.build, machine.id.0)
}

pub(super) fn changes(shared: &Shared, machine: &Machine) -> Result<HardwareChange, Stop> {
    let asked = &machine.hardware;
    let mut extra = super::marks::making(shared, machine);
    // What a clone inherits isn't true of it.
    extra.push((MARK.to_owned(), String::new()));
    for (key, value) in &asked.config {
        extra.push((key.clone(), shared.text(value)?));
    }
    Ok(HardwareChange {
        cpus: asked.cpus,
        cores_per_socket: asked.cores,
        memory_mib: asked.memory.map(|bytes| bytes >> 20),
        annotation: asked.annotation.as_ref().map(|text| shared.text(text)).transpose()?,
        extra,
        networks: Vec::new(),
    })
}

/// The snapshot that it is cloned from.
async fn snapshot(shared: &Shared, machine: &Machine, source: &Moref) -> Result<Moref, Stop> {
    let trees = shared.client.snapshots(source).await;
    let trees = trees.map_err(|e| Stop::vsphere(&e, machine.span, "reading the snapshots"))?;
    let mut all = Vec::new();
    let mut open: Vec<_> = trees.iter().collect();
    while let Some(tree) = open.pop() {
        all.push(tree);
        open.extend(tree.child_snapshot_list.iter());
    }
    let found = match &machine.snapshot {
        Some(name) => all.iter().find(|tree| tree.name == *name),
        None => all.iter().max_by(|a, b| a.create_time.cmp(&b.create_time)),
    };
    found.map(|tree| tree.snapshot.clone()).ok_or_else(|| {
        let message = match &machine.snapshot {
            Some(name) => format!("the source has no snapshot `{name}`"),
            None => "a linked clone needs a snapshot of its source, and there is none".to_owned(),
        };
        let mut names: Vec<&str> = all.iter().map(|tree| tree.name.as_str()).collect();
        names.sort_unstable();
        let help = if names.is_empty() {
            match machine.linked {
                true => "make a snapshot of the source, or leave out `--linked`".to_owned(),
                false => "make one of that name, or leave out `--snapshot`".to_owned(),
            }
        } else {
            format!("it has: {}", names.join(", "))
        };
        let diagnostic = Diagnostic::new(&codes::NO_SNAPSHOT, message).primary(machine.span, "").help(help);
        Stop::failed(FailureClass::Vsphere, "no snapshot to link to", diagnostic)
    })
}

/// Clones; the ledger knows of it before vCenter does, and whatever becomes of it. A clone that an earlier process of
/// this build has asked for is taken over. `part`: 0 for the machine itself, else which further template it is.
pub(super) async fn clone(
    shared: &Shared,
    source: &Moref,
    request: CloneRequest,
    machine: &Machine,
    part: u32,
) -> Result<(Moref, EntryId), Stop> {
    if let Some((entry, begun)) = shared.ledger.of(machine.id, part)
        && let Some(vm) = super::resume::adopt(shared, source, machine, entry, &begun).await?
    {
        return Ok((vm, entry));
    }
    let _place = limits::place(shared, machine.id, source, request.placement.host.as_ref(), machine.span).await?;
    let entry = shared
        .ledger
        .begin(Entry {
            part,
            marking: request.template,
            ..Entry::new(machine, source.clone(), &request.name, &request.placement)
        })
        .await
        .map_err(|e| Stop::journal(&e))?;
    let mut lost = 0;
    loop {
        // Not interruptible: a request that is under way may make a machine, and its reply says which.
        let error = match shared.client.start_clone(source, &request).await {
            Ok(task) => {
                shared.ledger.set(entry, State::Cloning(Some(task.clone())));
                match finished(shared, &task, &request.name, machine, entry).await {
                    // The one whose reply was lost has come late, and has the name.
                    Err(Stop::Failed(failed)) if lost > 0 && failed.diagnostic.code.number == NAME_TAKEN.number => {
                        let found = settled(shared, source, &request, machine).await?;
                        let vm = found.ok_or(Stop::Failed(failed))?;
                        shared.ledger.set(entry, State::Made(vm.clone()));
                        return Ok((vm, entry));
                    }
                    ended => return ended.map(|vm| (vm, entry)),
                }
            }
            Err(error) => error,
        };
        if !error.lost_reply() {
            shared.ledger.set(entry, State::Gone);
            return Err(Stop::vsphere(&error, machine.span, "cloning"));
        }
        if let Some(vm) = settled(shared, source, &request, machine).await? {
            shared.ledger.set(entry, State::Made(vm.clone()));
            return Ok((vm, entry));
        }
        lost += 1;
        if lost == MOST_LOST {
            return Err(Stop::vsphere(&error, machine.span, "cloning"));
        }
    }
}

/// The machine of a clone whose reply was lost, once it is certain whether there is one.
async fn settled(
    shared: &Shared,
    source: &Moref,
    request: &CloneRequest,
    machine: &Machine,
) -> Result<Option<Moref>, Stop> {
    let deadline = Deadline::after(shared.options.deadlines.task);
    let found = shared.interruptible(shared.client.lost_clone(source, request, deadline)).await?;
    found.map_err(|e| Stop::vsphere(&e, machine.span, "looking for the clone"))
}

/// Follows a clone's task to its end.
pub(super) async fn finished(
    shared: &Shared,
    task: &Moref,
    name: &str,
    machine: &Machine,
    entry: EntryId,
) -> Result<Moref, Stop> {
    let deadline = Deadline::after(shared.options.deadlines.task);
    let progress: Box<dyn FnMut(Progress) + Send + '_> = Box::new(|progress| {
        if let Some(percent) = progress.percent {
            shared.events.send(Event::Percent { machine: machine.id, percent });
        }
    });
    let waited = shared.client.wait_clone(task, name, deadline, progress);
    match shared.interruptible(waited).await {
        Ok(Ok(vm)) => {
            shared.ledger.set(entry, State::Made(vm.clone()));
            Ok(vm)
        }
        Ok(Err(error)) => {
            // A failed clone task leaves nothing; one that is only not answered for any more may, or can't be followed.
            if matches!(error, crate::vsphere::client::Error::Task { .. }) {
                shared.ledger.set(entry, State::Gone);
            }
            Err(Stop::vsphere(&error, machine.span, "cloning"))
        }
        Err(stop) => {
            let deadline = Deadline::after(UNWANTED);
            let _ = shared.client.cancel_task(task, deadline).await;
            Err(stop)
        }
    }
}
