//! Machines that exist (`ON`): worked on as they are, never cloned, never removed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::codes;
use super::machine::Worker;
use super::options::FailureClass;
use super::resume;
use super::shared::{Shared, Stop};
use crate::diagnostic::Diagnostic;
use crate::sema::program::{Machine, Origin, StageId};
use crate::vsphere::wire::{Moref, PowerState};

/// Failures of the stages whose SERIAL lets some pass.
#[derive(Default)]
pub(super) struct Failures(Mutex<HashMap<StageId, u32>>);

impl Failures {
    fn count(&self, stage: StageId) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&stage).copied().unwrap_or_default()
    }

    /// One more.
    pub(super) fn note(&self, machine: &Machine) {
        if machine.serial.is_some() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(machine.stage).or_default() += 1;
        }
    }
}

/// Whether the others of its stage go on although a machine has failed.
pub(super) fn tolerated(shared: &Shared, machine: &Machine) -> bool {
    machine.serial.is_some_and(|s| s.max_failures > 0 && shared.failures.count(machine.stage) <= s.max_failures)
}

/// Whether a machine exists already.
pub(super) fn is(machine: &Machine) -> bool {
    matches!(machine.origin, Origin::Existing { .. })
}

/// Finds it. It must run: what is off was turned off by somebody.
pub(super) async fn find(worker: &mut Worker) -> Result<(), Stop> {
    let shared = std::sync::Arc::clone(&worker.shared);
    let machine = shared.program.machine(worker.id);
    let Origin::Existing { moref: Some(moref), .. } = &machine.origin else { return Err(Stop::Cancelled) };
    let vm = Moref::new("VirtualMachine", moref);
    let state = shared.client.vm_state(&vm).await;
    let state = state.map_err(|e| Stop::vsphere(&e, machine.span, "looking at the machine"))?;
    if state.template || state.power != PowerState::On {
        let what = if state.template { "is a template" } else { "isn't powered on" };
        let diagnostic = Diagnostic::new(&codes::NOT_ON, format!("`{}` {what}", state.name))
            .primary(machine.span, "")
            .help("power it on, or choose others: ON never changes the power of what isn't its own");
        return Err(Stop::failed(FailureClass::Vsphere, what, diagnostic));
    }
    worker.exists(vm);
    Ok(())
}

/// Nothing of ours stays in it.
pub(super) async fn leave(worker: &mut Worker) -> Result<(), Stop> {
    let shared = std::sync::Arc::clone(&worker.shared);
    resume::open_again(worker).await?;
    let span = worker.machine().span;
    let closed = shared.interruptible(worker.sessions.close()).await?;
    closed.map_err(|e| Stop::guest(&e, span, "cleaning up in the guest"))?;
    shared.journal.note(&super::journal::Record::Closed { machine: worker.id.0 });
    Ok(())
}
