//! Steps that aren't jobs of a batch: REBOOT, WAIT, FETCH, large or inter-machine COPYs, `KEY = value`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::boot::guest_ready;
use super::super::codes;
use super::super::event::Event;
use super::super::journal::Record;
use super::super::machine::Worker;
use super::super::options::FailureClass;
use super::super::sessions::{self, Sessions};
use super::super::shared::{Shared, Stop};
use super::outcome::{Ended, finished, told, verb};
use super::{checkpoint, copy, job, snapshot, wait};
use crate::diagnostic::{Diagnostic, text};
use crate::guest::fetched_into;
use crate::sema::order::Node;
use crate::sema::program::{Action, GuestContext, KeySource, Machine, Ref, Step, StepId, Template};
use crate::sema::types::holds_secret;
use crate::source::Span;
use crate::vsphere::client::Deadline;

/// How long a guest may take to say which boot it is in, before it is taken for one that restarts.
const ANSWER: Duration = Duration::from_secs(20);

/// How often a restart is asked for whose replies are lost.
const MOST_LOST: u32 = 4;

/// Runs one step with its flags.
pub(super) async fn run(worker: &mut Worker, machine: &Machine, step: &Step) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let began = Instant::now();
    shared.events.send(Event::StepStarted { step: step.id });
    let result = attempts(worker, machine, step).await;
    let ended = match result {
        Ok(ended) => ended,
        Err(Stop::Failed(failed)) if step.options.allow_failure => Ended::Allowed(failed.short),
        Err(stop) => {
            told(&shared, step, &stop);
            return Err(stop);
        }
    };
    shared.finish(Node::Step(step.id));
    finished(&shared, step, ended, began.elapsed());
    Ok(())
}

async fn attempts(worker: &mut Worker, machine: &Machine, step: &Step) -> Result<Ended, Stop> {
    let shared = Arc::clone(&worker.shared);
    if let Some(unless) = job::unless(&shared, step)? {
        let login = sessions::needed(&shared, machine, &step.context, step.span)?;
        let guest = Sessions::of(worker, login, step.span).await?;
        let end = shared.interruptible(guest.run(unless)).await?;
        if end.map_err(|e| Stop::guest(&e, step.span, "--unless"))?.success {
            return Ok(Ended::Skipped("its --unless succeeded".to_owned()));
        }
    }
    // A WAIT has its own notion of time.
    let limit = if matches!(step.action, Action::Wait { .. }) { None } else { step.options.timeout };
    let mut attempt = 0;
    loop {
        attempt += 1;
        let result = match limit {
            None => act(worker, machine, step).await,
            Some(limit) => match tokio::time::timeout(limit, act(worker, machine, step)).await {
                Ok(result) => result,
                Err(_) => Err(timed_out(machine, step, limit)),
            },
        };
        match result {
            Err(Stop::Failed(failed)) if attempt <= step.options.retry => {
                shared.events.send(Event::Retry {
                    step: step.id,
                    attempt,
                    of: step.options.retry.saturating_add(1),
                    reason: shared.events.masker.text(&failed.short),
                    delay: step.options.delay,
                });
                shared.interruptible(tokio::time::sleep(step.options.delay)).await?;
            }
            Err(stop) => return Err(stop),
            Ok(()) => return Ok(Ended::Done),
        }
    }
}

fn timed_out(machine: &Machine, step: &Step, limit: Duration) -> Stop {
    let message = format!("`{}` in `{}` took longer than {}", verb(step), machine.label, text::limit(limit));
    let diagnostic = Diagnostic::new(&codes::STEP_TIMED_OUT, message)
        .primary(step.span, "")
        .help("allow more time with `--timeout`");
    Stop::failed(FailureClass::Deadline, "timed out", diagnostic)
}

async fn act(worker: &mut Worker, machine: &Machine, step: &Step) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    match &step.action {
        Action::Reboot => Box::pin(reboot(worker, step)).await,
        Action::Wait { what, interval } => Box::pin(wait::run(worker, machine, step, what, *interval)).await,
        Action::Fetch { paths, dest } => Box::pin(fetch(worker, machine, step, paths, dest)).await,
        Action::Copy(of) => {
            let sending = copy::sending(&shared, step, of)?;
            let login = sessions::needed(&shared, machine, &step.context, step.span)?;
            let guest = Sessions::of(worker, login, step.span).await?;
            let moved = Some(shared.events.moved(machine.id));
            let sent = guest.copy_in(&sending.entries, sending.owner.as_deref(), None, moved);
            shared.interruptible(sent).await?.map_err(|e| Stop::guest(&e, step.span, "COPY"))
        }
        Action::Key { name, ty, from: KeySource::Value(rt) } => {
            let value = shared.value(rt)?;
            if !holds_secret(ty) {
                shared.events.key(step.id, name, &value);
            }
            shared.board.set(Ref::Key(machine.id, name.clone()), value);
            Ok(())
        }
        Action::Checkpoint(name) => Box::pin(checkpoint::run(worker, machine, step, name.as_ref())).await,
        Action::Snapshot(name) => Box::pin(snapshot::run(worker, machine, step, name)).await,
        // These are jobs.
        Action::Run(_) | Action::Key { .. } => Ok(()),
    }
}

/// Restarts the guest and waits until it is back.
pub(in crate::engine) async fn reboot(worker: &mut Worker, step: &Step) -> Result<(), Stop> {
    let limit = step.options.timeout.unwrap_or(worker.shared.options.deadlines.boot);
    restart(worker, Restart { span: step.span, limit, context: &step.context, step: Some(step.id) }).await
}

/// Why a guest is restarted, and as whom it is looked at.
pub(in crate::engine) struct Restart<'a> {
    pub(in crate::engine) span: Span,
    /// How long it may take.
    pub(in crate::engine) limit: Duration,
    pub(in crate::engine) context: &'a GuestContext,
    /// The step that asks for it, so that a build that is gone on with knows that it was done.
    pub(in crate::engine) step: Option<StepId>,
}

/// Restarts the guest and waits until it is back.
pub(in crate::engine) async fn restart(worker: &mut Worker, why: Restart<'_>) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let vm = worker.there()?;
    let limit = why.limit;
    let failed = |e: &crate::vsphere::client::Error| Stop::vsphere(e, why.span, "REBOOT");
    shared.events.waiting(worker.id, "the restart", Some(limit));
    if worker.sessions.any().is_none() {
        // Without an account nothing tells one boot from the next but the account: log in, if there is one.
        let machine = shared.program.machine(worker.id);
        if let Some(login) = sessions::login(&shared, machine, why.context)? {
            Sessions::of(worker, login, why.span).await?;
        }
    }
    let mut before = String::new();
    if let Some(guest) = worker.sessions.any() {
        let boot = shared.interruptible(guest.boot_id()).await?;
        let boot = boot.map_err(|e| Stop::guest(&e, why.span, "logging in to the guest"))?;
        before.clone_from(&boot);
        if let Some(id) = why.step {
            if shared.past.restarts.get(&id).is_some_and(|before| *before != boot) {
                // An earlier process has asked for it, and it has come to pass.
                return Ok(());
            }
            let record = Record::Restart { machine: id.machine.0, step: id.index, boot };
            shared.journal.intend(&record).await.map_err(|e| Stop::journal(&e))?;
        }
    }
    let mut times = 0;
    let rebooted = loop {
        let asked = shared.interruptible(shared.client.reboot_guest(&vm, times > 0)).await?;
        times += 1;
        match &asked {
            Err(error) if error.lost_reply() && times < MOST_LOST => {}
            _ => break asked,
        }
        // One that doesn't answer, or has another boot, has heard of it though the reply was lost.
        if let Some(guest) = worker.sessions.any() {
            guest.reopen();
            let now = shared.interruptible(tokio::time::timeout(ANSWER, guest.boot_id())).await?;
            if !matches!(now, Ok(Ok(now)) if now == before) {
                break Ok(());
            }
        }
    };
    rebooted.map_err(|e| failed(&e))?;
    worker.sessions.reopen();
    let Some(guest) = worker.sessions.any() else {
        let ready = guest_ready(&shared.client, &vm, Deadline::after(limit));
        return shared.interruptible(ready).await?.map_err(|e| failed(&e)).map(drop);
    };
    let back = async {
        let mut pause = Duration::from_millis(50);
        let mut patience = Duration::from_secs(5);
        loop {
            // While it restarts, the guest answers with faults or not at all, and what was asked just before is lost.
            match tokio::time::timeout(patience, guest.boot_id()).await {
                Ok(Ok(now)) if now != before => return,
                Ok(_) => {}
                Err(_) => patience *= 2,
            }
            guest.reopen();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    };
    let waited = shared.interruptible(tokio::time::timeout(limit, back)).await?;
    if waited.is_err() {
        let message =
            format!("`{}` did not come back within {}", shared.program.machine(worker.id).label, text::limit(limit));
        let diagnostic = Diagnostic::new(&codes::WAIT_TIMED_OUT, message)
            .primary(why.span, "restarted here")
            .help("allow more time with `REBOOT --timeout=20m`, and look at the machine's console");
        return Err(Stop::failed(FailureClass::Deadline, "did not come back", diagnostic));
    }
    let ready = guest_ready(&shared.client, &vm, Deadline::after(limit));
    shared.interruptible(ready).await?.map_err(|e| failed(&e)).map(drop)
}

async fn fetch(
    worker: &mut Worker,
    machine: &Machine,
    step: &Step,
    paths: &[Template],
    dest: &Template,
) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let base = step.context.workdir.as_ref().map(|w| shared.text(w)).transpose()?;
    let paths: Vec<String> =
        paths.iter().map(|p| Ok(copy::absolute(base.as_deref(), &shared.text(p)?))).collect::<Result<_, Stop>>()?;
    let dest = shared.text(dest)?;
    let into = dest.ends_with('/') || paths.len() > 1;
    let dest = local(&shared, &dest);
    let user = sessions::run_as(&shared, step.context.user.as_ref())?;
    let login = sessions::needed(&shared, machine, &step.context, step.span)?;
    let guest = Sessions::of(worker, login, step.span).await?;
    let directory = fetched_into(paths.len(), &dest, into);
    // Found again from wherever the build is gone on with, or cleaned up.
    let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_path_buf());
    shared.journal.intend(&Record::Fetch { directory }).await.map_err(|e| Stop::journal(&e))?;
    let moved = Some(shared.events.moved(machine.id));
    let fetched = shared.interruptible(guest.copy_out(&paths, &dest, into, user.as_ref(), moved)).await?;
    let written = fetched.map_err(|e| Stop::guest(&e, step.span, "FETCH"))?;
    for path in written {
        shared.events.note(Some(worker.id), &format!("fetched {}", path.display()));
    }
    Ok(())
}

fn local(shared: &Shared, dest: &str) -> PathBuf {
    let dest = Path::new(dest);
    if dest.is_absolute() { dest.to_path_buf() } else { shared.options.context.join(dest) }
}
