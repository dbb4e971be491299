//! Going on with a build whose process is gone: what its journal tells is made known again, what may be half-done is
//! looked at before it is done again, and nothing that is finished is repeated but what must be (secret KEYs, which no
//! journal holds).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::clone::finished;
use super::event::{Event, Outcome, StepId};
use super::journal::{Past, Record};
use super::ledger::{Entry, EntryId, State};
use super::machine::Worker;
use super::marks;
use super::options::{BuiltOutput, FailureClass};
use super::publish::Swap;
use super::sessions::{self, Sessions};
use super::shared::{Shared, Stop};
use super::{boot, codes, finish};
use crate::diagnostic::Diagnostic;
use crate::sema::order::{self, Node, attr_name};
use crate::sema::order_refs;
use crate::sema::program::{Action, Attr, KeySource, Machine, Ref, Step, WaitWhat};
use crate::sema::types::holds_secret;
use crate::sema::value::Value;
use crate::sema::value_parse::parse_key;
use crate::vsphere::client::{CANCELLED, Client, Deadline, Error, Inventory};
use crate::vsphere::wire::Moref;

/// The inventory as the build's first process has found it: without what the build has made itself, and with the
/// machines that it replaces under their names. What has been replaced for good stands for what it replaced.
pub(super) fn inventory(found: Inventory, past: &Past) -> Inventory {
    if past.entries.is_empty() {
        return found;
    }
    let replaced = |vm: &Moref| {
        past.swaps.iter().any(|s| s.new == *vm && s.old.as_ref().is_some_and(|old| found.get(old).is_none()))
    };
    let ours = |entity: &crate::vsphere::client::Entity| {
        past.entries.iter().any(|entry| match &entry.state {
            State::Made(vm) | State::Unpublished(vm) | State::Published(vm) => *vm == entity.moref && !replaced(vm),
            // It may be ours; whether it is, is looked at when its clone is taken over.
            State::Cloning(_) => entity.name == entry.name && entity.parent.as_ref() == Some(&entry.folder),
            State::Gone => false,
        })
    };
    let names: Vec<(Moref, String)> =
        past.swaps.iter().filter_map(|s| Some((s.old.clone()?, s.name.clone()))).collect();
    found.as_if(ours, &names)
}

/// Another vCenter answers than the one that the build was begun on: what is known by its objects' names there may be anybody's
/// here.
pub(super) fn elsewhere(past: &Past, client: &Client, build: &str) -> Option<Diagnostic> {
    let here = client.about().instance_uuid.clone().unwrap_or_default();
    let (begun_on, _) = past.server.as_ref().filter(|(_, instance)| *instance != here)?;
    let text = format!("the build `{build}` was begun on another vCenter than the one at {}", client.address());
    let help = format!(
        "give that one by `--vcenter`; if it is gone for good, `vmwbuild clean {build}` says how to forget the build"
    );
    Some(Diagnostic::new(&codes::NOT_RESUMABLE, text).note(format!("that one was at {begun_on}")).help(help))
}

/// Makes known what was known. The steps that must be run again aren't marked as done.
///
/// # Errors
/// Something that is needed can't be had again.
pub(super) fn restore(shared: &Shared) -> Result<(), Vec<Diagnostic>> {
    let past = &shared.past;
    past.remove_unpacked(&shared.options.build);
    for id in &past.touched {
        shared.cache.spoil(*id);
    }
    if past.done.is_empty() {
        return Ok(());
    }
    let again = again(shared);
    let mut problems = Vec::new();
    for id in &again {
        let machine = shared.program.machine(id.machine);
        let step = shared.program.step(*id);
        let guest = !matches!(step.action, Action::Key { from: KeySource::Value(_), .. });
        if guest && past.done.contains(&Node::Finish(machine.id)) && !order::leaves_running(machine) {
            problems.push(uncapturable(shared, machine, step));
        } else if guest {
            let mut text = format!("captured again, since no journal holds a secret: {}", step.text);
            let given = given(shared, *id, &again);
            if !given.is_empty() {
                let whom = given.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
                text += &format!(
                    "; {whom} was given it before: if the command prints another value each time, that isn't the one which \
                     is used from here on"
                );
            }
            shared.events.note(Some(machine.id), &text);
        }
    }
    for ((machine, name), text) in &past.keys {
        let Some(key) = shared.program.machines.get(machine.0 as usize).and_then(|m| m.keys.get(name)) else {
            continue;
        };
        match parse_key(&key.ty, text.as_bytes()) {
            Ok(value) => shared.board.set(Ref::Key(*machine, name.clone()), value),
            Err(why) => problems.push(
                Diagnostic::new(&codes::NOT_RESUMABLE, format!("the journal's value of the key `{name}`: {why}"))
                    .primary(key.span, "")
                    .help(anew(shared)),
            ),
        }
    }
    for ((machine, name), text) in &past.attrs {
        let all = [Attr::Uuid, Attr::Moref, Attr::Hostname, Attr::Ip];
        let Some(attr) = all.into_iter().find(|a| attr_name(*a) == name) else { continue };
        let value = match attr {
            Attr::Ip => text.parse().ok().map(Value::Ip),
            Attr::Uuid | Attr::Moref | Attr::Hostname => Some(Value::Str(text.clone())),
        };
        value.into_iter().for_each(|v| shared.board.set(Ref::Attr(*machine, attr), v));
    }
    for machine in &shared.program.machines {
        if past.done.contains(&Node::Finish(machine.id))
            && let Some((_, entry)) = shared.ledger.of(machine.id, 0)
            && let State::Made(vm) | State::Unpublished(vm) | State::Published(vm) = entry.state
        {
            shared.board.set_source(machine.id, vm);
        }
        for step in &machine.steps {
            if let Action::Copy(copy) = &step.action
                && let Some(from) = copy.from
                && past.done.contains(&Node::Export(from))
            {
                shared.board.set_export(step.id, super::export::root(shared, step.id));
            }
        }
    }
    for swap in past.swaps.iter().filter(|s| past.done.contains(&Node::Finish(s.machine))) {
        let machine = shared.program.machine(swap.machine);
        let mut outputs = machine.outputs.iter().filter(|o| o.kind.is_placed());
        let output = outputs.nth(swap.output as usize);
        let span = output.map_or(machine.span, |o| o.span);
        let after = output.map(|o| o.after.clone()).unwrap_or_default();
        let Some(entry) = shared.ledger.numbered(swap.entry) else { continue };
        let (new, old, name) = (swap.new.clone(), swap.old.clone(), swap.name.clone());
        shared.swaps.push(Swap { entry, new, old, after, name, span });
    }
    for node in &past.done {
        let repeated = matches!(node, Node::Step(step) if again.contains(step));
        if !repeated {
            shared.board.finish(*node);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn uncapturable(shared: &Shared, machine: &Machine, step: &Step) -> Diagnostic {
    let message = format!("a secret key of `{}` is still needed, and can't be captured again", machine.label);
    Diagnostic::new(&codes::NOT_RESUMABLE, message)
        .primary(step.span, "no journal holds a secret, and this machine is finished and off")
        .help(anew(shared))
}

/// What to do when there is no going on.
pub(super) fn anew(shared: &Shared) -> String {
    format!("`vmwbuild clean {}` removes what the build has left; then build anew", shared.options.build)
}

/// The steps that are done, and must be done again since their values are needed and unknown: those that capture a
/// secret, and those that compute a value.
fn again(shared: &Shared) -> HashSet<StepId> {
    let past = &shared.past;
    let mut open: Vec<Ref> = Vec::new();
    for machine in &shared.program.machines {
        if past.done.contains(&Node::Finish(machine.id)) || shared.cache.passes(machine.id) {
            continue;
        }
        let mut visit = |r: &Ref, _| open.push(r.clone());
        order_refs::hardware(&machine.hardware, &mut visit);
        machine.default_login.iter().for_each(|l| order_refs::login(l, &mut visit));
        order_refs::context(&machine.context, order_refs::Uses::Files, &mut visit);
        machine.address.iter().chain(&machine.more_addresses).for_each(|a| order_refs::address(a, &mut visit));
        machine.hostname.iter().for_each(|h| order_refs::hostname(h, &mut visit));
        for step in machine.steps.iter().filter(|s| !past.done.contains(&Node::Step(s.id))) {
            references(step, &mut open);
        }
    }
    let (mut seen, mut again) = (HashSet::new(), HashSet::new());
    while let Some(reference) = open.pop() {
        if !seen.insert(reference.clone()) {
            continue;
        }
        let Ref::Key(owner, name) = &reference else { continue };
        let Some(key) = shared.program.machine(*owner).keys.get(name) else { continue };
        let Some(id) = key.step else { continue };
        let known = past.keys.contains_key(&(*owner, name.clone())) || !past.done.contains(&Node::Step(id));
        let step = shared.program.step(id);
        let Action::Key { ty, from, .. } = &step.action else { continue };
        // One that is optional may have been left unset by its own flags.
        if !known && (!key.optional || holds_secret(ty) || matches!(from, KeySource::Value(_))) {
            references(step, &mut open);
            again.insert(id);
        }
    }
    again
}

/// The machines that have done a step with what a KEY's step captured before, or with what is computed from that.
fn given<'a>(shared: &'a Shared, id: StepId, again: &HashSet<StepId>) -> Vec<&'a str> {
    let program = &shared.program;
    let captured_by = |id: StepId| {
        let owner = program.machine(id.machine);
        let keys = owner.keys.iter().filter(move |(_, key)| key.step == Some(id));
        keys.map(move |(name, _)| Ref::Key(owner.id, name.clone()))
    };
    let mut keys: HashSet<Ref> = captured_by(id).collect();
    let mut labels = Vec::new();
    loop {
        let known = keys.len();
        for machine in &program.machines {
            for step in &machine.steps {
                let mut used = Vec::new();
                references(step, &mut used);
                if !used.iter().any(|reference| keys.contains(reference)) {
                    continue;
                }
                let done = shared.past.done.contains(&Node::Step(step.id)) && !again.contains(&step.id);
                if matches!(step.action, Action::Key { from: KeySource::Value(_), .. }) {
                    keys.extend(captured_by(step.id));
                } else if done && !labels.contains(&machine.label.as_str()) {
                    labels.push(&machine.label);
                }
            }
        }
        if keys.len() == known {
            return labels;
        }
    }
}

fn references(step: &Step, out: &mut Vec<Ref>) {
    let mut visit = |r: &Ref, _| out.push(r.clone());
    order_refs::step(step, &mut visit);
    if let Action::Copy(copy) = &step.action {
        order_refs::copy_sources(&copy.sources, &mut visit);
    }
}

/// Passes a node that is done already. Of a finish: what it left.
pub(super) async fn pass(worker: &mut Worker, node: Node) -> Result<Vec<BuiltOutput>, Stop> {
    let shared = Arc::clone(&worker.shared);
    let program = Arc::clone(&shared.program);
    let machine = program.machine(worker.id);
    let over = shared.past.done.contains(&Node::Finish(machine.id));
    match node {
        Node::Clone(_) => {
            let found = shared.ledger.of(machine.id, 0);
            let (entry, vm) = match found.map(|(id, entry)| (id, entry.state)) {
                Some((id, State::Made(vm) | State::Unpublished(vm) | State::Published(vm))) => (id, vm),
                _ => return Err(vanished(&shared, machine)),
            };
            if !over {
                match shared.client.vm_state(&vm).await {
                    Ok(_) => {}
                    Err(e) if e.is_fault("ManagedObjectNotFound") => {
                        shared.ledger.set(entry, State::Gone);
                        return Err(vanished(&shared, machine));
                    }
                    Err(e) => return Err(Stop::vsphere(&e, machine.span, "looking at the machine")),
                }
            }
            worker.vm = Some((vm, entry));
        }
        Node::Boot(_) => {
            let off = |s: &&Step| matches!(s.action, Action::Wait { what: WaitWhat::Off, .. });
            let meant_off = machine.steps.iter().filter(off).any(|s| shared.board.is_done(Node::Step(s.id)));
            if !over && !meant_off && !shared.past.closed.contains(&machine.id) {
                // On already, unless the machine was stopped in between.
                worker.enter(node).await?;
                boot::run(worker).await?;
            }
        }
        Node::Step(id) => shared.events.send(Event::StepFinished {
            step: id,
            outcome: match shared.cache.is_before(id) {
                true => Outcome::Cached,
                false => Outcome::Skipped("done before".to_owned()),
            },
            elapsed: Duration::ZERO,
        }),
        Node::Finish(_) => {
            let closed = shared.interruptible(worker.sessions.close()).await?;
            closed.map_err(|e| Stop::guest(&e, machine.span, "cleaning up in the guest"))?;
            shared.journal.note(&Record::Closed { machine: machine.id.0 });
            return Ok(outputs(&shared, machine).await);
        }
        Node::Network(_) | Node::Export(_) => {}
    }
    Ok(Vec::new())
}

async fn outputs(shared: &Shared, machine: &Machine) -> Vec<BuiltOutput> {
    let mut built = Vec::new();
    for (number, output) in (0u32..).zip(machine.outputs.iter().filter(|o| o.kind.is_placed())) {
        let Some(made) = shared.past.outputs.get(&(machine.id, number)) else { continue };
        let mut described = finish::describe(machine.id, machine, output, &made.vm, &made.name);
        if order::leaves_running(machine) {
            described.ip = finish::address(shared, &made.vm).await;
        }
        built.push(described);
    }
    built
}

fn vanished(shared: &Shared, machine: &Machine) -> Stop {
    let message = format!("the machine of `{}`, on which steps have been run, is gone from vCenter", machine.label);
    let diagnostic = Diagnostic::new(&codes::NOT_RESUMABLE, message).primary(machine.span, "").help(anew(shared));
    Stop::failed(FailureClass::Vsphere, "its machine is gone", diagnostic)
}

/// The machine of a clone that an earlier process has asked for; None when there is none, and a new one is to be made.
pub(super) async fn adopt(
    shared: &Shared,
    source: &Moref,
    machine: &Machine,
    id: EntryId,
    entry: &Entry,
) -> Result<Option<Moref>, Stop> {
    let failed = |e: &Error| Stop::vsphere(e, machine.span, "looking for the clone");
    let limit = Deadline::after(shared.options.deadlines.task);
    match &entry.state {
        State::Made(vm) | State::Unpublished(vm) | State::Published(vm) => match shared.client.vm_state(vm).await {
            Ok(_) => return Ok(Some(vm.clone())),
            Err(e) if e.is_fault("ManagedObjectNotFound") => {}
            Err(e) => return Err(failed(&e)),
        },
        State::Cloning(task) => {
            let known = match task {
                Some(task) => match shared.client.properties(task, &["info.state"]).await {
                    Ok(_) => Some(task),
                    Err(e) if e.is_fault("ManagedObjectNotFound") => None,
                    Err(e) => return Err(failed(&e)),
                },
                None => None,
            };
            if let Some(task) = known {
                return match finished(shared, task, &entry.name, machine, id).await {
                    // By the process that had asked for it, when it was stopped: it is wanted again.
                    Err(Stop::Failed(failed)) if failed.diagnostic.code.number == CANCELLED.number => Ok(None),
                    ended => ended.map(Some),
                };
            }
            // The request may have been on its way when its sender went.
            let settled = shared.interruptible(shared.client.clones_settled(source, limit)).await?;
            settled.map_err(|e| failed(&e))?;
            let found = shared.client.vm_in_folder(&entry.folder, &entry.name).await.map_err(|e| failed(&e))?;
            if let Some(vm) = found
                && is_ours(&shared.client, &vm, &shared.options.build, &entry.label).await.map_err(|e| failed(&e))?
            {
                shared.ledger.set(id, State::Made(vm.clone()));
                return Ok(Some(vm));
            }
        }
        State::Gone => {}
    }
    shared.ledger.set(id, State::Gone);
    Ok(None)
}

/// Whether a machine bears the marks of a build.
pub(super) async fn is_ours(client: &Client, vm: &Moref, build: &str, label: &str) -> Result<bool, Error> {
    let extra = client.extra_config(vm).await?;
    let is = |key: &str, value: &str| extra.get(key).is_some_and(|v| v == value);
    if !extra.contains_key(marks::BUILD) {
        // What was just deployed from a library has its passing name first, and then its marks.
        let name = client.vm_state(vm).await?.name;
        return Ok(name.starts_with(&format!("vmwbuild-{build}-")));
    }
    Ok(is(marks::BUILD, build) && is(marks::MACHINE, label))
}

/// Whether a finish that was begun before has got as far as the template.
pub(super) async fn is_template(shared: &Shared, machine: &Machine, vm: &Moref) -> Result<bool, Stop> {
    if !shared.ledger.of(machine.id, 0).is_some_and(|(_, entry)| entry.marking) {
        return Ok(false);
    }
    let state = shared.client.vm_state(vm).await;
    state.map(|s| s.template).map_err(|e| Stop::vsphere(&e, machine.span, "looking at the machine"))
}

/// Whether a finish that was begun before has got as far as the snapshot.
pub(super) async fn has_snapshot(shared: &Shared, machine: &Machine, vm: &Moref) -> Result<bool, Stop> {
    if !shared.past.closed.contains(&machine.id) {
        return Ok(false);
    }
    let trees = shared.client.snapshots(vm).await;
    let trees = trees.map_err(|e| Stop::vsphere(&e, machine.span, "reading the snapshots"))?;
    Ok(trees.iter().any(|tree| tree.name == "vmwbuild"))
}

/// Opens the guest accounts that an earlier process has used, so that what it left in the guest is removed with them.
pub(super) async fn open_again(worker: &mut Worker) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    if shared.past.closed.contains(&worker.id) {
        return Ok(());
    }
    let Some(users) = shared.past.sessions.get(&worker.id) else { return Ok(()) };
    let program = Arc::clone(&shared.program);
    let machine = program.machine(worker.id);
    for user in users {
        let contexts = std::iter::once(&machine.context).chain(machine.steps.iter().map(|s| &s.context));
        // An account whose password isn't known any more is one that no step needed any more.
        let login =
            contexts.filter_map(|c| sessions::login(&shared, machine, c).ok().flatten()).find(|l| l.user == *user);
        if let Some(login) = login {
            let guest = Sessions::of(worker, login, machine.span).await?;
            match shared.interruptible(guest.look_once()).await? {
                // By now it may be locked, or have a password that nobody needed to know: another account cleans up.
                Err(error) if error.is_login() => guest.give_up(),
                looked => looked.map_err(|e| Stop::guest(&e, machine.span, "logging in to the guest"))?,
            }
        }
    }
    Ok(())
}
