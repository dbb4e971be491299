//! Steps: commands go to the guest in batches, everything else one by one.

mod attach;
mod checkpoint;
mod copy;
mod direct;
mod job;
pub(super) mod outcome;
pub(super) mod snapshot;
mod wait;

use std::sync::Arc;

use super::event::{Event, StepId, Stream};
use super::journal::Record;
use super::machine::Worker;
use super::sessions::{self, Sessions};
use super::shared::{Shared, Stop};
use crate::guest::{self, BatchOutcome, Exit, Job, JobEnd};
use crate::sema::order::Node;
use crate::sema::order_refs;
use crate::sema::program::{Action, Machine, Ref, Step};
use outcome::Ended;

pub(super) use copy::{absolute, last_name};
pub(super) use direct::{Restart, reboot, restart};
pub(super) use job::{hook as hook_job, shell as shell_job};
pub(super) use outcome::inside;

/// How many steps go over together at most: what one request may carry is bounded.
const BATCH: usize = 64;

/// Runs the step and, where their texts are known already, those that follow it. Returns how many.
pub(super) async fn run(worker: &mut Worker, first: StepId) -> Result<usize, Stop> {
    let program = Arc::clone(&worker.shared.program);
    let machine = program.machine(worker.id);
    let step = program.step(first);
    if let Some(count) = Box::pin(attach::run(worker, machine, step)).await? {
        return Ok(count);
    }
    if !job::is_one(step) {
        Box::pin(direct::run(worker, machine, step)).await?;
        return Ok(1);
    }
    let login = sessions::needed(&worker.shared, machine, &step.context, step.span)?;
    let (steps, jobs) = collect(&worker.shared, machine, step, &login)?;
    if jobs.is_empty() {
        // A COPY too large for a batch.
        Box::pin(direct::run(worker, machine, step)).await?;
        return Ok(1);
    }
    Box::pin(batch(worker, machine, &steps, &jobs, login)).await?;
    Ok(steps.len())
}

/// The steps that can go over together, with their jobs.
fn collect<'a>(
    shared: &Shared,
    machine: &'a Machine,
    first: &'a Step,
    login: &guest::Login,
) -> Result<(Vec<&'a Step>, Vec<Job>), Stop> {
    let (mut steps, mut jobs): (Vec<&Step>, Vec<Job>) = (Vec::new(), Vec::new());
    let rest = machine.steps.get(first.id.index as usize..).unwrap_or_default();
    for (step, at) in rest.iter().take(BATCH).zip(1..) {
        if !steps.is_empty() && !follows(shared, machine, &steps, step, login) {
            break;
        }
        match job::of(shared, step) {
            Ok(Some(job)) => jobs.push(Job { id: jobs.len() as u64, ..job }),
            // Not for a batch after all, or its turn will tell what is wrong.
            Ok(None) => break,
            Err(_) if !steps.is_empty() => break,
            Err(stop) => return Err(stop),
        }
        steps.push(step);
        if job::ends_batch(shared, step, rest.get(at)) {
            break;
        }
    }
    Ok((steps, jobs))
}

/// Whether a step can go over in the same batch as those before it.
fn follows(shared: &Shared, machine: &Machine, before: &[&Step], step: &Step, login: &guest::Login) -> bool {
    if !job::is_one(step) || shared.board.is_done(Node::Step(step.id)) {
        return false;
    }
    let elsewhere = |node: &Node| node.machine() != machine.id;
    if shared.dag.needs(Node::Step(step.id)).into_iter().filter(elsewhere).any(|node| !shared.board.is_done(node)) {
        return false;
    }
    let mut known = true;
    order_refs::step(step, &mut |reference, _| {
        if let Ref::Key(owner, name) = reference
            && *owner == machine.id
        {
            let captured = machine.keys.get(name).and_then(|key| key.step);
            known &= !captured.is_some_and(|id| before.iter().any(|b| b.id == id));
        }
    });
    known && matches!(sessions::login(shared, machine, &step.context), Ok(Some(other)) if other == *login)
}

/// Sends a batch over and tells what becomes of it.
async fn batch(
    worker: &mut Worker,
    machine: &Machine,
    steps: &[&Step],
    jobs: &[Job],
    login: guest::Login,
) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let first = steps.first().ok_or(Stop::Cancelled)?;
    let guest = Sessions::of(worker, login, first.span).await?;
    let prepared = guest.prepare(jobs).map_err(|e| Stop::in_step(&e, first.span, &outcome::verb(first)))?;
    let record = noted(machine, steps, prepared.ticket()).ok_or(Stop::Cancelled)?;
    shared.journal.intend(&record).await.map_err(|e| Stop::journal(&e))?;
    let mut watch = Watch { shared: &shared, machine, steps, current: None, silent: None };
    let ran = shared.interruptible(guest.run_prepared(&prepared, &mut |event| watch.event(event))).await;
    let current = watch.current;
    conclude(worker, machine, steps, current, ran).await
}

/// What the journal keeps of a batch.
fn noted(machine: &Machine, steps: &[&Step], ticket: &guest::Ticket) -> Option<Record> {
    let first = steps.first()?.id.index;
    let anchor = serde_json::to_value(ticket).ok()?;
    Some(Record::Batch { machine: machine.id.0, first, steps: steps.len() as u32, anchor })
}

/// Takes in what became of a batch.
async fn conclude(
    worker: &mut Worker,
    machine: &Machine,
    steps: &[&Step],
    current: Option<&Step>,
    ran: Result<guest::Result<BatchOutcome>, Stop>,
) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let first = steps.first().ok_or(Stop::Cancelled)?;
    let outcome = match ran {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => {
            let step = current.unwrap_or(first);
            let stop = Stop::in_step(&error, step.span, &outcome::verb(step));
            outcome::told(&shared, step, &stop);
            return Err(stop);
        }
        Err(stop) => return Err(stop),
    };
    for end in &outcome.ends {
        let Some(step) = steps.get(end.id as usize) else { continue };
        settle(&shared, machine, step, end)?;
        if matches!(end.exit, Exit::Code(code) if step.options.reboot_on.contains(&code)) {
            Box::pin(reboot(worker, step)).await?;
        }
    }
    Ok(())
}

/// Makes a step's end known: its key, its node, its event; a failure becomes the machine's.
fn settle(shared: &Shared, machine: &Machine, step: &Step, end: &JobEnd) -> Result<(), Stop> {
    match outcome::of(shared, machine, step, end) {
        Ok(ended) => {
            shared.finish(Node::Step(step.id));
            if matches!(step.action, Action::Key { .. }) {
                outcome::finished(shared, step, ended, end.elapsed);
            }
            Ok(())
        }
        Err(stop) => {
            outcome::told(shared, step, &stop);
            Err(stop)
        }
    }
}

/// Follows a batch while it runs.
struct Watch<'a> {
    shared: &'a Shared,
    machine: &'a Machine,
    steps: &'a [&'a Step],
    current: Option<&'a Step>,
    /// The step of which was told last that its output isn't shown.
    silent: Option<StepId>,
}

impl Watch<'_> {
    fn step(&self, id: u64) -> Option<&Step> {
        self.steps.get(usize::try_from(id).ok()?).copied()
    }

    fn event(&mut self, event: guest::Event) {
        let events = &self.shared.events;
        match event {
            guest::Event::Placed(ticket) => {
                let record = noted(self.machine, self.steps, &ticket);
                record.into_iter().for_each(|record| self.shared.journal.note(&record));
            }
            guest::Event::Started { id } => {
                self.current = usize::try_from(id).ok().and_then(|at| self.steps.get(at).copied());
                if let Some(step) = self.step(id) {
                    events.send(Event::StepStarted { step: step.id });
                }
            }
            guest::Event::Output { id, stream, bytes } => {
                if let Some(step) = self.step(id).map(|step| step.id) {
                    if let Some(secret) = self.shared.unmaskable(self.machine.id) {
                        if self.silent.replace(step) != Some(step) {
                            let text =
                                format!("what it prints isn't shown: `{secret}` may be in it, which no journal holds");
                            events.note(Some(self.machine.id), &text);
                        }
                        return;
                    }
                    let stream = match stream {
                        guest::Stream::Out => Stream::Out,
                        guest::Stream::Err => Stream::Err,
                    };
                    events.output(step, stream, &bytes);
                }
            }
            guest::Event::Omitted { id, bytes, .. } => {
                if self.step(id).is_some() {
                    events.note(Some(self.machine.id), &format!("{bytes} bytes of output are not shown"));
                }
            }
            guest::Event::Retrying { id, attempt, exit } => {
                if let Some(step) = self.step(id) {
                    events.send(Event::Retry {
                        step: step.id,
                        attempt,
                        of: step.options.retry.saturating_add(1),
                        reason: exit.to_string(),
                        delay: step.options.delay,
                    });
                }
            }
            guest::Event::Finished { id, exit, success, elapsed } => {
                let Some(step) = self.step(id) else { return };
                events.end_output(step.id);
                // A KEY is done when its value is known; a failure is told with its reason.
                if matches!(step.action, Action::Key { .. }) {
                    return;
                }
                if let Some(ended) = Ended::of(step, exit, success) {
                    self.shared.finish(Node::Step(step.id));
                    outcome::finished(self.shared, step, ended, elapsed);
                }
            }
            guest::Event::Note(text) => events.note(Some(self.machine.id), &text),
        }
    }
}
