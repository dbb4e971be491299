//! From a step to what the guest runs.

use std::sync::Arc;

use super::super::sessions;
use super::super::shared::{Shared, Stop, value_failed};
use super::copy;
use crate::guest::{Body, EnvPiece, EnvVar, Guest, Interpreter, Job};
use crate::sema::order::Node;
use crate::sema::order_refs::{Uses, uses};
use crate::sema::program::{self, Action, GuestContext, Invocation, KeySource, Step, Template};
use crate::sema::script::render_script;
use crate::sema::types::holds_secret;

/// Whether a step can be a job of a batch.
pub(super) fn is_one(step: &Step) -> bool {
    match &step.action {
        Action::Run(_) => true,
        Action::Key { from, .. } => matches!(from, KeySource::Run(_) | KeySource::File { .. }),
        // What it sends may turn out too large for a batch. It acts as the login, its --unless as the user.
        Action::Copy(copy) => copy.from.is_none() && step.options.unless.is_none(),
        Action::Fetch { .. } | Action::Reboot | Action::Wait { .. } => false,
        Action::Checkpoint(_) | Action::Snapshot(_) => false,
    }
}

/// Whether nothing can follow it in the same batch: a restart may follow, or it captures a key. A key's value is known here
/// when its batch is over: other machines must not wait longer for it than they need to, and a command must not run when
/// what was captured before it is no value. A row of keys that only this machine needs goes over together.
pub(super) fn ends_batch(shared: &Shared, step: &Step, next: Option<&Step>) -> bool {
    let key = |step: &Step| matches!(step.action, Action::Key { .. });
    let awaited = || {
        let waiting = shared.dag.needed_by(Node::Step(step.id));
        waiting.iter().any(|node| node.machine() != step.id.machine)
    };
    !step.options.reboot_on.is_empty() || (key(step) && (!next.is_some_and(key) || awaited()))
}

/// The job of a step, its number still to be given; None for what isn't one.
pub(super) fn of(shared: &Shared, step: &Step) -> Result<Option<Job>, Stop> {
    let mut job = match &step.action {
        Action::Run(invocation) => Job::new(0, body(shared, invocation, &step.context)?),
        Action::Key { ty, from, .. } => {
            let mut job = match from {
                KeySource::Run(invocation) => Job::new(0, body(shared, invocation, &step.context)?),
                KeySource::File { path, delete } => Job::read_file(0, &shared.text(path)?, *delete),
                KeySource::Value(_) => return Ok(None),
            };
            job.capture = true;
            job.secret = holds_secret(ty);
            job
        }
        Action::Copy(copy) => {
            let sending = copy::sending(shared, step, copy)?;
            let job = Guest::copy_job(0, &sending.entries, sending.owner.as_deref());
            match job.map_err(|e| Stop::guest(&e, step.span, "COPY"))? {
                Some(job) => job,
                None => return Ok(None),
            }
        }
        Action::Fetch { .. } | Action::Reboot | Action::Wait { .. } => return Ok(None),
        Action::Checkpoint(_) | Action::Snapshot(_) => return Ok(None),
    };
    surroundings(shared, step, &mut job)?;
    Ok(Some(job))
}

/// Everything of a job but what it runs.
fn surroundings(shared: &Shared, step: &Step, job: &mut Job) -> Result<(), Stop> {
    let options = &step.options;
    let uses = if options.unless.is_some() { Uses::All } else { uses(&step.action) };
    // A COPY acts as the login: its files belong to whom --chown names.
    if !matches!(step.action, Action::Copy(_)) {
        place(shared, &step.context, uses, job)?;
    }
    job.ok = options.ok.iter().chain(&options.reboot_on).copied().collect();
    job.timeout = options.timeout.or(shared.options.deadlines.step);
    job.unless = options.unless.as_ref().map(|u| body(shared, u, &step.context)).transpose()?;
    job.retry = options.retry;
    job.delay = options.delay;
    job.allow_failure = options.allow_failure;
    Ok(())
}

/// What is run.
pub(super) fn body(shared: &Shared, invocation: &Invocation, context: &GuestContext) -> Result<Body, Stop> {
    match invocation {
        Invocation::Exec(words) => Ok(Body::Exec(texts(shared, words)?)),
        Invocation::Script(script) => {
            let rendered = render_script(script, &shared.board).map_err(value_failed)?;
            rendered.secrets.iter().for_each(|s| shared.events.masker.add(s));
            let interpreter = if script.shebang {
                Interpreter::Shebang
            } else {
                let argv = texts(shared, &context.shell)?;
                let argv = if argv.is_empty() { vec!["sh".to_owned()] } else { argv };
                Interpreter::Program { argv, errexit: script.errexit }
            };
            Ok(Body::Script { text: rendered.text, interpreter })
        }
    }
}

/// Who runs a job, where and with what: as much of the context as the step waits for, and no more, since the rest
/// may hang on values that aren't there yet.
fn place(shared: &Shared, context: &GuestContext, uses: Uses, job: &mut Job) -> Result<(), Stop> {
    if uses >= Uses::Files {
        job.workdir = context.workdir.as_ref().map(|w| shared.text(w)).transpose()?;
        job.run_as = sessions::run_as(shared, context.user.as_ref())?;
    }
    if uses >= Uses::All {
        job.env = env(shared, &context.env)?;
    }
    Ok(())
}

fn texts(shared: &Shared, templates: &[Template]) -> Result<Vec<String>, Stop> {
    templates.iter().map(|t| shared.text(t)).collect()
}

fn env(shared: &Shared, vars: &[Arc<program::EnvVar>]) -> Result<Vec<EnvVar>, Stop> {
    vars.iter()
        .map(|var| {
            let value = var.value.iter().map(|piece| {
                Ok(match piece {
                    program::EnvPiece::Literal(text) => EnvPiece::Literal(text.clone()),
                    program::EnvPiece::Variable(name) => EnvPiece::Variable(name.clone()),
                    program::EnvPiece::Value(rt) => {
                        let value = shared.value(rt)?;
                        EnvPiece::Literal(value.to_text())
                    }
                })
            });
            Ok(EnvVar { name: var.name.clone(), value: value.collect::<Result<_, Stop>>()? })
        })
        .collect()
}

/// Shell text of somebody who looks inside, run as a step's commands are.
pub(in crate::engine) fn shell(shared: &Shared, context: &GuestContext, text: String) -> Result<Job, Stop> {
    let argv = texts(shared, &context.shell).unwrap_or_default();
    let argv = if argv.is_empty() { vec!["sh".to_owned()] } else { argv };
    let interpreter = Interpreter::Program { argv, errexit: false };
    let mut job = Job::new(0, Body::Script { text, interpreter });
    place(shared, context, Uses::All, &mut job)?;
    Ok(job)
}

/// What an ONFAIL runs.
pub(in crate::engine) fn hook(shared: &Shared, invocation: &Invocation, context: &GuestContext) -> Result<Job, Stop> {
    let mut job = Job::new(0, body(shared, invocation, context)?);
    place(shared, context, Uses::All, &mut job)?;
    Ok(job)
}

/// A job for `unless` alone, for steps that aren't jobs themselves.
pub(super) fn unless(shared: &Shared, step: &Step) -> Result<Option<Job>, Stop> {
    let Some(invocation) = &step.options.unless else { return Ok(None) };
    let mut job = Job::new(0, body(shared, invocation, &step.context)?);
    place(shared, &step.context, Uses::All, &mut job)?;
    job.timeout = step.options.timeout;
    Ok(Some(job))
}

/// The guest's side of a WAIT FILE or WAIT RUN: looks again until it succeeds.
pub(super) fn until(shared: &Shared, step: &Step, body: Body, delay: std::time::Duration) -> Result<Job, Stop> {
    let mut job = Job::new(0, body);
    place(shared, &step.context, uses(&step.action), &mut job)?;
    job.ok = step.options.ok.clone();
    job.retry = u32::MAX;
    job.delay = delay;
    Ok(job)
}
