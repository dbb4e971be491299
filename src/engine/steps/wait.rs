//! WAIT.

use std::sync::Arc;
use std::time::Duration;

use super::super::boot::guest_ready;
use super::super::codes;
use super::super::machine::Worker;
use super::super::network::usable;
use super::super::options::FailureClass;
use super::super::sessions::{self, Sessions};
use super::super::shared::Stop;
use super::job;
use crate::diagnostic::{Diagnostic, text};
use crate::guest::{Body, Job};
use crate::sema::program::{Machine, Step, WaitWhat};
use crate::vsphere::client::{Deadline, Error, GuestState};
use crate::vsphere::wire::PowerState;

/// How long a WAIT without `--timeout` waits.
const LIMIT: Duration = Duration::from_secs(600);

/// How often the guest looks by itself.
const INTERVAL: Duration = Duration::from_secs(1);

/// Waits for it.
pub(super) async fn run(
    worker: &mut Worker,
    machine: &Machine,
    step: &Step,
    what: &WaitWhat,
    interval: Option<Duration>,
) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let vm = worker.there()?;
    let limit = step.options.timeout.unwrap_or(LIMIT);
    let deadline = Deadline::after(limit);
    let waiting = |what: &str| shared.events.waiting(machine.id, what, Some(limit));
    let failed = |error: &Error, what: &str| match error {
        Error::Timeout { .. } => late(machine, step, what, limit),
        other => Stop::vsphere(other, step.span, "WAIT"),
    };
    match what {
        WaitWhat::Tools => {
            waiting("VMware Tools");
            let ready = guest_ready(&shared.client, &vm, deadline);
            shared.interruptible(ready).await?.map_err(|e| failed(&e, "VMware Tools")).map(drop)
        }
        WaitWhat::Ip => {
            waiting("an IP address");
            let ip = |state: &GuestState| state.ip.as_deref().and_then(usable);
            let found = shared.client.wait_guest_state(&vm, deadline, "an IP address", ip);
            shared.interruptible(found).await?.map_err(|e| failed(&e, "an IP address")).map(|_| ())
        }
        WaitWhat::Off => {
            waiting("the machine to be off");
            let off = |state: &GuestState| (state.power == PowerState::Off).then_some(());
            let found = shared.client.wait_guest_state(&vm, deadline, "power off", off);
            shared.interruptible(found).await?.map_err(|e| failed(&e, "the machine to be off"))
        }
        WaitWhat::Login => {
            waiting("the login");
            let login = sessions::needed(&shared, machine, &step.context, step.span)?;
            let mut said = None;
            let opened = tokio::time::timeout(limit, async {
                loop {
                    let guest = Sessions::of(worker, login.clone(), step.span).await?;
                    match shared.interruptible(guest.verify()).await? {
                        Ok(()) => return Ok(()),
                        Err(error) => said = Some(error.to_string()),
                    }
                    shared.interruptible(tokio::time::sleep(interval.unwrap_or(INTERVAL))).await?;
                }
            });
            opened.await.unwrap_or_else(|_| {
                let what = format!("the guest to let {} in", shared.events.masker.text(&login.user));
                let why = said.unwrap_or_else(|| format!("the guest refuses user `{}`", login.user));
                Err(late_because(machine, step, &what, limit, Some(&shared.events.masker.text(&why))))
            })
        }
        WaitWhat::File(path) => {
            let path = shared.text(path)?;
            waiting(&format!("the file {path}"));
            let body = Job::exists(0, &path).body;
            until(worker, machine, step, body, interval, limit, &format!("the file {path}")).await
        }
        WaitWhat::Run(invocation) => {
            waiting("its command to succeed");
            let body = job::body(&shared, invocation, &step.context)?;
            until(worker, machine, step, body, interval, limit, "its command to succeed").await
        }
    }
}

/// The guest itself looks again and again; nothing is asked over the wire in between but whether it is done.
async fn until(
    worker: &mut Worker,
    machine: &Machine,
    step: &Step,
    body: Body,
    interval: Option<Duration>,
    limit: Duration,
    what: &str,
) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let job = job::until(&shared, step, body, interval.unwrap_or(INTERVAL))?;
    let login = sessions::needed(&shared, machine, &step.context, step.span)?;
    let guest = Sessions::of(worker, login, step.span).await?;
    let ran = shared.interruptible(tokio::time::timeout(limit, guest.run(job))).await;
    match ran {
        Ok(Ok(Ok(_))) => Ok(()),
        Ok(Ok(Err(error))) => Err(Stop::guest(&error, step.span, "WAIT")),
        Ok(Err(_)) => {
            // The loop in the guest doesn't know of our limit.
            let _ = guest.kill_all().await;
            Err(late(machine, step, what, limit))
        }
        Err(stop) => Err(stop),
    }
}

fn late(machine: &Machine, step: &Step, what: &str, limit: Duration) -> Stop {
    late_because(machine, step, what, limit, None)
}

fn late_because(machine: &Machine, step: &Step, what: &str, limit: Duration, why: Option<&str>) -> Stop {
    let message = format!("`{}` waited {} for {what}, in vain", machine.label, text::limit(limit));
    let diagnostic = Diagnostic::new(&codes::WAIT_TIMED_OUT, message)
        .primary(step.span, "")
        .help("allow more time with `--timeout`, or look why it doesn't come true");
    let diagnostic = match why {
        Some(why) => diagnostic.note(format!("in the end: {why}")),
        None => diagnostic,
    };
    Stop::failed(FailureClass::Deadline, format!("waited in vain for {what}"), diagnostic)
}
