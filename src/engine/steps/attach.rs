//! Going on with a batch that an earlier process of the build has started, or was about to.

use std::sync::Arc;

use super::super::codes;
use super::super::machine::Worker;
use super::super::options::FailureClass;
use super::super::sessions::{self, Sessions};
use super::super::shared::{Shared, Stop};
use super::{Watch, conclude};
use crate::diagnostic::Diagnostic;
use crate::guest::{Standing, Ticket};
use crate::sema::order::Node;
use crate::sema::program::{Machine, Step};

/// Goes on with the batch that `first`, which isn't done, is in, or that comes after it. How many steps that took care of,
/// from `first` on; None: there is no such batch, or it never was started, or it doesn't hold `first`: then that is to be
/// run.
pub(super) async fn run(worker: &mut Worker, machine: &Machine, first: &Step) -> Result<Option<usize>, Stop> {
    let shared = Arc::clone(&worker.shared);
    let id = machine.id;
    if worker.attached || shared.past.closed.contains(&id) {
        return Ok(None);
    }
    let Some(batch) = shared.past.batches.get(&id) else { return Ok(None) };
    let inside = batch.first..batch.first.saturating_add(batch.steps);
    let wanted = first;
    let first = if inside.contains(&wanted.id.index) {
        wanted
    } else {
        // A secret key is captured again: its batch would take the place of the one that may still run.
        let undone = |step: &&Step| !shared.board.is_done(Node::Step(step.id));
        let later = machine.steps.iter().filter(|s| inside.contains(&s.id.index)).find(undone);
        match later.filter(|_| wanted.id.index < batch.first) {
            Some(step) => step,
            None => return Ok(None),
        }
    };
    // Once: what fails from here on is no reason to look again.
    worker.attached = true;
    let from = (first.id.index - batch.first) as usize;
    let ticket: Ticket = serde_json::from_value(batch.anchor.clone()).map_err(|e| unreadable(&shared, first, &e))?;
    let login = sessions::needed(&shared, machine, &first.context, first.span)?;
    let end = inside.end as usize;
    let steps: Vec<&Step> = machine.steps.iter().take(end).skip(batch.first as usize).collect();
    let over = steps.iter().all(|step| shared.past.done.contains(&Node::Step(step.id)));
    let (guest, standing) = Sessions::attach(worker, login, first.span, &ticket).await?;
    match standing {
        Standing::NeverStarted => return Ok(None),
        Standing::Begun | Standing::Restarted => {}
        // A secret key that is only captured again: nothing of its batch was still to be done when that was lost.
        Standing::Lost if over || shared.past.done.contains(&Node::Finish(id)) => return Ok(None),
        Standing::Lost if shared.past.ending.contains(&id) => return Err(ended(&shared, machine, first)),
        Standing::Lost => return Err(lost(machine, first)),
    }
    let mut watch = Watch { shared: &shared, machine, steps: &steps, current: None, silent: None };
    let ran = shared.interruptible(guest.follow(&ticket, from, &mut |event| watch.event(event))).await;
    let current = watch.current;
    conclude(worker, machine, &steps, current, ran).await?;
    Ok((first.id == wanted.id).then(|| steps.len().saturating_sub(from)))
}

fn unreadable(shared: &Shared, step: &Step, error: &serde_json::Error) -> Stop {
    let build = &shared.options.build;
    let diagnostic = Diagnostic::new(&codes::JOURNAL, format!("the journal's note of a batch can't be read: {error}"))
        .primary(step.span, "it began with this step, or an earlier one")
        .help(format!("`vmwbuild clean {build}` removes what the build has left; then build anew"));
    Stop::failed(FailureClass::Vsphere, "its journal can't be read", diagnostic)
}

/// An earlier process of the build was told to stop, and has ended the command, or removed what the guest had noted of it.
pub(super) fn ended(shared: &Shared, machine: &Machine, step: &Step) -> Stop {
    let what = shared.events.masker.text(&super::outcome::verb(step));
    let message = format!("`{what}` was ended in `{}` when the build was stopped", machine.label);
    let diagnostic = Diagnostic::new(&codes::NOT_RESUMABLE, message)
        .primary(step.span, "it may have run, in part or as a whole")
        .note("a machine that stays, as with `--on-error keep`, isn't left with a command that runs in it")
        .help(super::super::resume::anew(shared));
    Stop::failed(FailureClass::Guest, "it was ended when the build was stopped", diagnostic)
}

fn lost(machine: &Machine, step: &Step) -> Stop {
    let message = format!("nobody knows how far `{}` had come in `{}`", super::outcome::verb(step), machine.label);
    let diagnostic = Diagnostic::new(&codes::STEP_LOST, message)
        .primary(step.span, "it may have run, in part or as a whole")
        .note("what the guest had noted of it is gone: it was restarted early, or its files were removed")
        .help("build anew: a command that may have run isn't run again by itself");
    Stop::failed(FailureClass::Guest, "nobody knows how far it had come", diagnostic)
}
