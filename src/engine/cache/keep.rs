//! What is remembered of a machine when it is finished, and with a checkpoint.

use std::collections::BTreeMap;

use super::{files, secrets};
use crate::cache::{Checkpoint, MARK, Mark, Record, Verdict, trial};
use crate::engine::event::{MachineId, StepId};
use crate::engine::journal;
use crate::engine::marks;
use crate::engine::shared::Shared;
use crate::sema::order::{Node, attr_name};
use crate::sema::program::{Attr, Copy, Machine, Origin, Ref};
use crate::sema::types::holds_secret;
use crate::sema::value_parse::parse_key;
use crate::syntax::ast::OutputKind;
use crate::vsphere::client::{Deadline, HardwareChange};
use crate::vsphere::wire::Moref;

/// Writes it, and that it is finished, to a machine that is complete but for its name. Where it can't be written, the next build makes the machine
/// again: worth a note, no failure.
pub(in crate::engine) async fn remember(shared: &Shared, machine: &Machine, vm: &Moref) {
    let remembered = finished(shared, machine, Some(vm)).await.map(|text| (MARK.to_owned(), text));
    let extra = remembered.into_iter().chain([marks::made(vm)]).collect();
    let change = HardwareChange { extra, ..HardwareChange::default() };
    let deadline = Deadline::after(shared.options.deadlines.task);
    if let Err(error) = shared.client.reconfigure(vm, &change, deadline).await {
        shared
            .events
            .note(Some(machine.id), &format!("the next build makes it again: what made it can't be noted: {error}"));
    }
}

/// The same for a further template that is a clone of it.
pub(in crate::engine) async fn text_for_clone(shared: &Shared, machine: &Machine) -> (String, String) {
    // An empty value takes away what the clone has inherited.
    (MARK.to_owned(), finished(shared, machine, None).await.unwrap_or_default())
}

async fn finished(shared: &Shared, machine: &Machine, vm: Option<&Moref>) -> Option<String> {
    let recipe = &shared.cache.known(machine.id)?.recipe;
    let mut record = record(shared, machine, &recipe.whole).await?;
    record.vm = vm.map(|vm| vm.value.clone());
    record.steps = std::iter::once(&recipe.base)
        .chain(&recipe.steps)
        .map_while(|mark| mark.digest.as_ref().ok().map(crate::cache::Digest::short))
        .collect();
    record.to_text()
}

/// What is remembered with a checkpoint that is made after `steps` steps. None: nothing could go on from it.
pub(in crate::engine) async fn checkpoint_record(
    shared: &Shared,
    machine: &Machine,
    steps: u32,
    name: Option<&String>,
) -> Option<Record> {
    let known = shared.cache.known(machine.id)?;
    let mut record = record(shared, machine, known.recipe.steps.get(steps.checked_sub(1)? as usize)?).await?;
    let done = |name: &String| machine.keys.get(name).and_then(|k| k.step).is_some_and(|s| s.index < steps);
    record.keys.retain(|name, _| done(name));
    record.checkpoint = Some(Checkpoint { steps, name: name.cloned(), snapshot: String::new() });
    Some(record)
}

async fn record(shared: &Shared, machine: &Machine, mark: &Mark) -> Option<Record> {
    let digest = mark.digest.as_ref().ok()?;
    if !sure(shared, machine).await {
        return None;
    }
    let with = &shared.options.cache;
    let program = &shared.program;
    let of_secrets = secrets(program, &mark.secrets, &shared.options.secrets, with);
    Some(Record {
        digest: digest.to_string(),
        build: shared.options.build.clone(),
        made: journal::now(),
        machine: machine.label.clone(),
        fresh: with.avoid,
        key: if of_secrets.is_empty() { String::new() } else { with.key_id().unwrap_or_default() },
        secrets: of_secrets,
        needs: needs(shared, machine, mark),
        passed: trials(shared, machine),
        keys: keys(shared, machine),
        attrs: attrs(shared, machine),
        ..Record::default()
    })
}

/// Whether a machine is what its recipe says: its files, and those of what went into it, are still those that were read
/// when the build began.
async fn sure(shared: &Shared, machine: &Machine) -> bool {
    let cache = &shared.cache;
    let copies = machine.steps.iter().filter_map(|s| Some((s.id, files::copies(s)?)));
    let (ids, copies): (Vec<StepId>, Vec<Copy>) = copies.map(|(id, copy)| (id, copy.clone())).unzip();
    let now = files::states(&shared.options.context, copies).await;
    let same = ids.iter().zip(now).all(|(id, now)| now == cache.files.get(id).map(|files| files.state));
    let parent = match machine.origin {
        Origin::Machine(parent) => Some(parent),
        Origin::Inventory { .. } | Origin::Existing { .. } => None,
    };
    let values = cache.known(machine.id).map(|k| k.recipe.whole.values.clone()).unwrap_or_default();
    let mut inner = cache.inner();
    let inherited = parent.iter().chain(&values).any(|id| inner.unsure.contains(id));
    if !same || inherited {
        inner.unsure.insert(machine.id);
    }
    !inner.unsure.contains(&machine.id)
}

/// The tests that it must have passed to get its name, as they are now.
fn trials(shared: &Shared, machine: &Machine) -> BTreeMap<String, String> {
    let of = |id: &MachineId| {
        let test = shared.program.machine(*id);
        Some((test.label.clone(), trial(test, &shared.cache.known(*id)?.recipe)))
    };
    machine.outputs.iter().flat_map(|o| &o.after).filter_map(of).collect()
}

/// What was there already has passed its tests as they are now: that is noted, so that they aren't run again. (What is made
/// knows it from the beginning, and has its name only once it is so.)
pub(in crate::engine) async fn passed(shared: &Shared) {
    for machine in shared.program.machines.iter().filter(|m| m.outputs.iter().any(|o| !o.after.is_empty())) {
        let known = shared.cache.known(machine.id).filter(|k| k.verdict == Verdict::Cached);
        let Some(there) = known.and_then(|k| k.there.as_ref()) else { continue };
        let mut record = Record { passed: trials(shared, machine), ..there.record.clone() };
        let ended = |id: &MachineId| shared.board.is_done(Node::Finish(*id));
        if record.passed == there.record.passed || !machine.outputs.iter().flat_map(|o| &o.after).all(ended) {
            continue;
        }
        if !machine.outputs.iter().any(|o| o.kind == OutputKind::Vm) {
            let text = "the next build tests it again: nothing can be noted on a template";
            shared.events.note(Some(machine.id), text);
            continue;
        }
        record.vm = Some(there.vm.value.clone());
        let Some(text) = record.to_text() else { continue };
        let change = HardwareChange { extra: vec![(MARK.to_owned(), text)], ..HardwareChange::default() };
        let deadline = Deadline::after(shared.options.deadlines.task);
        if let Err(error) = shared.client.reconfigure(&there.vm, &change, deadline).await {
            let text = format!("the next build tests it again: that it has passed can't be noted: {error}");
            shared.events.note(Some(machine.id), &text);
        }
    }
}

/// The builds that have made what went into it.
fn needs(shared: &Shared, machine: &Machine, mark: &Mark) -> BTreeMap<String, String> {
    let parent = match machine.origin {
        Origin::Machine(parent) => Some(parent),
        Origin::Inventory { .. } | Origin::Existing { .. } => None,
    };
    let of = |id: &MachineId| {
        let known = shared.cache.known(*id)?;
        let build = match (&known.verdict, &known.there) {
            (Verdict::Cached | Verdict::Kept, Some(there)) => there.record.build.clone(),
            _ => shared.options.build.clone(),
        };
        Some((shared.program.machine(*id).label.clone(), build))
    };
    parent.iter().chain(&mark.values).filter(|id| **id != machine.id).filter_map(of).collect()
}

/// Its keys' values. Secret ones aren't kept, nor those that hold a secret by accident, nor what couldn't be read again.
fn keys(shared: &Shared, machine: &Machine) -> BTreeMap<String, Option<String>> {
    let mut out = BTreeMap::new();
    for (name, key) in &machine.keys {
        if key.step.is_none() || holds_secret(&key.ty) {
            continue;
        }
        match shared.board_value(&Ref::Key(machine.id, name.clone())) {
            Some(value) => {
                let text = value.to_text();
                let read = parse_key(&key.ty, text.as_bytes()).is_ok_and(|again| again == value);
                if read && shared.events.masker.text(&text) == text {
                    out.insert(name.clone(), Some(text));
                }
            }
            None if key.optional => {
                out.insert(name.clone(), None);
            }
            None => {}
        }
    }
    out
}

fn attrs(shared: &Shared, machine: &Machine) -> BTreeMap<String, String> {
    let value = shared.board_value(&Ref::Attr(machine.id, Attr::Hostname));
    value.into_iter().map(|v| (attr_name(Attr::Hostname).to_owned(), v.to_text())).collect()
}
