//! The end of a machine: our traces removed from the guest, shut down, made a template, left running.

use std::sync::Arc;

use super::cache;
use super::clone::clone;
use super::event::MachineId;
use super::journal::{Record, text_of};
use super::ledger::State;
use super::machine::Worker;
use super::marks;
use super::network::usable;
use super::options::BuiltOutput;
use super::resume;
use super::shared::{Shared, Stop};
use super::steps::snapshot;
use crate::diagnostic::text;
use crate::plan::ResolvedOutput;
use crate::sema::order;
use crate::sema::program::{Machine, Origin, Output};
use crate::source::Span;
use crate::syntax::ast::OutputKind;
use crate::vsphere::client::{CloneRequest, Deadline, HardwareChange, ShutDown};
use crate::vsphere::wire::Moref;

/// Finishes the machine; what it has left.
pub(super) async fn run(worker: &mut Worker) -> Result<Vec<BuiltOutput>, Stop> {
    let shared = Arc::clone(&worker.shared);
    let program = Arc::clone(&shared.program);
    let machine = program.machine(worker.id);
    let (vm, entry) = worker.vm()?;
    let template = resume::is_template(&shared, machine, &vm).await?;
    if !template {
        resume::open_again(worker).await?;
    }
    let closed = shared.interruptible(worker.sessions.close()).await?;
    closed.map_err(|e| Stop::guest(&e, machine.span, "cleaning up in the guest"))?;
    shared.journal.note(&Record::Closed { machine: worker.id.0 });
    let resolved = shared.resolved.get(&worker.id).ok_or(Stop::Cancelled)?;
    let outputs: Vec<_> = machine.outputs.iter().filter(|o| o.kind.is_placed()).zip(&resolved.outputs).collect();
    let stays_vm = outputs.iter().any(|(o, _)| o.kind == OutputKind::Vm);
    let running = order::leaves_running(machine);
    let templates = outputs.iter().filter(|(o, _)| o.kind == OutputKind::Template).count();
    if order::boots(machine) && (!running || templates > 0) && !template {
        shut_down(&shared, worker.id, &vm, machine.span).await?;
    }
    if is_linked_to(&shared, machine) && !resume::has_snapshot(&shared, machine, &vm).await? {
        let made = shared.client.create_snapshot(&vm, "vmwbuild", "for linked clones", limit(&shared)).await;
        made.map_err(|e| Stop::vsphere(&e, machine.span, "making a snapshot"))?;
    }
    if !template && let Some((output, name)) = outputs.iter().find_map(|(o, _)| Some((o, o.snapshot.as_ref()?))) {
        leave_snapshot(&shared, &vm, name, output.span).await?;
    }
    // What is cloned from it, as a VM template of a library, tells by that that it is a copy.
    if !template && (!outputs.is_empty() || machine.outputs.iter().any(|o| o.as_template)) {
        cache::remember(&shared, machine, &vm).await;
    }
    let mut built = Vec::new();
    // The machine itself is the VM, or else the first template; further templates are clones of it.
    let mut itself = !stays_vm;
    for (number, (output, target)) in (0u32..).zip(&outputs) {
        let (made, made_entry) = if output.kind == OutputKind::Template && !itself {
            let name = if is_deferred(output, target) {
                format!("{}-{}", super::clone::passing_name(&shared, machine), built.len())
            } else {
                target.name.clone()
            };
            let mut extra = marks::made_as(&shared, machine, &target.name);
            extra.push(cache::text_for_clone(&shared, machine).await);
            let request = CloneRequest {
                name,
                placement: target.placement.clone(),
                template: true,
                linked: None,
                snapshot: None,
                hardware: HardwareChange { extra, ..HardwareChange::default() },
            };
            let made = clone(&shared, &vm, request, machine, number + 1).await?;
            // A clone has none of its source's.
            super::hardware::label(&shared, machine, &made.0).await?;
            made
        } else {
            if output.kind == OutputKind::Template {
                itself = false;
                shared.ledger.marking(entry).await.map_err(|e| Stop::journal(&e))?;
                if !template {
                    let marked = shared.client.mark_as_template(&vm).await;
                    marked.map_err(|e| Stop::vsphere(&e, output.span, "making a template"))?;
                }
            }
            (vm.clone(), entry)
        };
        let deferred = is_deferred(output, target);
        let state = if deferred { State::Unpublished(made.clone()) } else { State::Published(made.clone()) };
        if deferred {
            let old = &target.replaces;
            shared.journal.note(&Record::Swap {
                entry: made_entry.number(),
                machine: machine.id.0,
                output: number,
                new: text_of(&made),
                old: old.as_ref().map(text_of).unwrap_or_default(),
                name: target.name.clone(),
            });
            shared.swaps.push(super::publish::Swap {
                entry: made_entry,
                new: made.clone(),
                old: old.clone(),
                after: output.after.clone(),
                name: target.name.clone(),
                span: output.span,
            });
        }
        shared.ledger.set(made_entry, state);
        let described = describe(worker.id, machine, output, &made, &target.name);
        shared.journal.note(&Record::Output {
            machine: machine.id.0,
            output: number,
            kind: described.kind.to_owned(),
            name: target.name.clone(),
            vm: text_of(&made),
        });
        built.push(described);
    }
    if running && templates > 0 {
        let on = shared.client.power_on(&vm, limit(&shared)).await;
        on.map_err(|e| Stop::vsphere(&e, machine.span, "powering on again"))?;
    }
    if outputs.is_empty() {
        shared.ledger.set(entry, State::Unpublished(vm.clone()));
    }
    if running {
        for output in &mut built {
            output.ip = address(&shared, &vm).await;
        }
    }
    shared.board.set_source(worker.id, vm);
    Ok(built)
}

/// Whether an output gets its name only when all is built.
pub(super) fn is_deferred(output: &Output, target: &ResolvedOutput) -> bool {
    target.replaces.is_some() || !output.after.is_empty()
}

/// `OUTPUT --snapshot`; an earlier process of this build may have made it.
async fn leave_snapshot(shared: &Shared, vm: &Moref, name: &str, span: Span) -> Result<(), Stop> {
    let failed = |e: &_| Stop::vsphere(e, span, "making the snapshot");
    if snapshot::ours(shared, vm, name).await.map_err(|e| failed(&e))?.is_some() {
        return Ok(());
    }
    let made = shared.client.create_snapshot(vm, name, &snapshot::about(shared), limit(shared)).await;
    made.map(drop).map_err(|e| failed(&e))
}

fn limit(shared: &Shared) -> Deadline {
    Deadline::after(shared.options.deadlines.task)
}

/// Whether another machine is a linked clone of this one.
fn is_linked_to(shared: &Shared, machine: &Machine) -> bool {
    shared.program.machines.iter().any(|m| m.linked && m.origin == Origin::Machine(machine.id))
}

/// Has the guest shut down, or powers the machine off.
pub(super) async fn shut_down(shared: &Shared, machine: MachineId, vm: &Moref, span: Span) -> Result<(), Stop> {
    let allowed = shared.options.deadlines.shutdown;
    let off = shared.interruptible(shared.client.shut_down(vm, Deadline::after(allowed), limit(shared))).await?;
    match off.map_err(|e| Stop::vsphere(&e, span, "shutting down"))? {
        ShutDown::ByItself => {}
        ShutDown::TooSlow => {
            let text = format!(
                "the guest hadn't shut down after {} and was powered off: what it was still writing is lost; \
                 --shutdown-timeout gives it more time",
                text::limit(allowed)
            );
            shared.events.note(Some(machine), &text);
        }
        ShutDown::NotAsked => {
            shared.events.note(Some(machine), "the guest couldn't be asked to shut down, and was powered off");
        }
    }
    Ok(())
}

pub(super) fn describe(id: MachineId, machine: &Machine, output: &Output, made: &Moref, name: &str) -> BuiltOutput {
    let kind = match output.kind {
        OutputKind::Template => "template",
        OutputKind::Vm => "VM",
        OutputKind::Library | OutputKind::Ova | OutputKind::None => "machine",
    };
    BuiltOutput {
        machine: id,
        label: machine.label.clone(),
        kind,
        name: name.to_owned(),
        moref: made.value.clone(),
        ip: None,
        cached: false,
    }
}

/// The address that Tools report now, if any: worth telling, not worth waiting for.
pub(super) async fn address(shared: &Shared, vm: &Moref) -> Option<String> {
    let state = shared.client.guest_state(vm).await.ok()?;
    state.ip.as_deref().and_then(usable).map(|ip| ip.to_string())
}
