//! ONFAIL: what is done when a machine has failed, before it is cleaned up or kept. What goes wrong here is told, and
//! changes nothing of how the machine ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::boot::guest_ready;
use super::existing;
use super::journal::Record;
use super::machine::Worker;
use super::options::OnError;
use super::sessions::{self, Sessions};
use super::shared::{Shared, Stop};
use super::steps::{self, snapshot};
use crate::diagnostic::text;
use crate::sema::program::{Hook, HookAction};
use crate::vsphere::client::Deadline;

/// How long one may take without `--timeout`.
const LIMIT: Duration = Duration::from_secs(300);

/// How much of what a command prints is shown.
const MOST: usize = 64 * 1024;

/// Does them, in order. Going back to a snapshot is done also where a machine is stopped since another has failed, or
/// somebody has had enough: it is half-done either way.
pub(super) async fn run(worker: &mut Worker, stop: &Stop) {
    let shared = Arc::clone(&worker.shared);
    let program = Arc::clone(&shared.program);
    let machine = program.machine(worker.id);
    if machine.on_fail.is_empty() || worker.there().is_err() {
        return;
    }
    let failed = matches!(stop, Stop::Failed(_));
    let stays = existing::is(machine) || shared.on_error() == OnError::Keep;
    for hook in &machine.on_fail {
        let wanted = match hook.action {
            HookAction::Run(_) | HookAction::Fetch { .. } => failed,
            HookAction::Revert(_) => stays,
        };
        if !wanted {
            continue;
        }
        let limit = hook.timeout.unwrap_or(LIMIT);
        let told = tokio::select! {
            done = tokio::time::timeout(limit, one(worker, hook, limit)) => match done {
                Ok(Ok(text)) => text,
                Ok(Err(Stop::Failed(failed))) => format!("not done: {}", failed.diagnostic.message),
                Ok(Err(Stop::Cancelled)) => "not done: the build was stopped".to_owned(),
                Err(_) => format!("not done within {}", text::limit(limit)),
            },
            () = shared.control.leave.cancelled() => return,
        };
        shared.events.note(Some(worker.id), &format!("{}: {told}", hook.text));
    }
}

/// Does one; what came of it.
async fn one(worker: &mut Worker, hook: &Hook, limit: Duration) -> Result<String, Stop> {
    let shared = Arc::clone(&worker.shared);
    let program = Arc::clone(&shared.program);
    let machine = program.machine(worker.id);
    match &hook.action {
        HookAction::Run(invocation) => {
            let mut job = steps::hook_job(&shared, invocation, &hook.context)?;
            job.capture = true;
            job.timeout = Some(limit);
            let login = sessions::needed(&shared, machine, &hook.context, hook.span)?;
            let guest = Sessions::of(worker, login, hook.span).await?;
            let end = guest.run(job).await.map_err(|e| Stop::guest(&e, hook.span, "ONFAIL RUN"))?;
            let mut text = end.exit.to_string();
            if let Some(secret) = shared.unmaskable(machine.id) {
                return Ok(format!("{text}; its output isn't shown: `{secret}` may be in it, which no journal holds"));
            }
            for part in [end.captured.unwrap_or_default(), end.stderr_tail] {
                let tail = part.get(part.len().saturating_sub(MOST)..).unwrap_or_default();
                let tail = String::from_utf8_lossy(tail);
                if !tail.trim().is_empty() {
                    text = format!("{text}\n{}", tail.trim_end());
                }
            }
            Ok(text)
        }
        HookAction::Fetch { paths, dest } => {
            let base = hook.context.workdir.as_ref().map(|w| shared.text(w)).transpose()?;
            let paths: Vec<String> = paths
                .iter()
                .map(|p| Ok(steps::absolute(base.as_deref(), &shared.text(p)?)))
                .collect::<Result<_, Stop>>()?;
            let dest = shared.text(dest)?;
            let into = dest.ends_with('/') || paths.len() > 1;
            let dest = local(&shared, &dest);
            let user = sessions::run_as(&shared, hook.context.user.as_ref())?;
            let login = sessions::needed(&shared, machine, &hook.context, hook.span)?;
            let guest = Sessions::of(worker, login, hook.span).await?;
            let written = guest.copy_out(&paths, &dest, into, user.as_ref(), None).await;
            let written = written.map_err(|e| Stop::guest(&e, hook.span, "ONFAIL FETCH"))?;
            let written: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
            Ok(format!("fetched {}", written.join(", ")))
        }
        HookAction::Revert(name) => revert(worker, hook, name).await,
    }
}

fn local(shared: &Shared, dest: &str) -> PathBuf {
    let dest = Path::new(dest);
    if dest.is_absolute() { dest.to_path_buf() } else { shared.options.context.join(dest) }
}

/// Back to a snapshot that this build has made, and on again. Not interruptible: half-way back is nowhere.
async fn revert(worker: &mut Worker, hook: &Hook, name: &str) -> Result<String, Stop> {
    let shared = Arc::clone(&worker.shared);
    let vm = worker.there()?;
    let failed = |e: &_| Stop::vsphere(e, hook.span, "ONFAIL REVERT");
    let found = snapshot::ours(&shared, &vm, name).await.map_err(|e| failed(&e))?;
    let Some(found) = found else {
        return Ok("there is nothing to go back to: the snapshot wasn't made yet".to_owned());
    };
    shared.journal.intend(&Record::Reverting { machine: worker.id.0 }).await.map_err(|e| Stop::journal(&e))?;
    // What runs in the guest ends with it.
    worker.sessions = Sessions::default();
    let task = || Deadline::after(shared.options.deadlines.task);
    shared.client.revert_to_snapshot(&found, task()).await.map_err(|e| failed(&e))?;
    shared.client.power_on(&vm, task()).await.map_err(|e| failed(&e))?;
    let boot = Deadline::after(shared.options.deadlines.boot);
    guest_ready(&shared.client, &vm, boot).await.map_err(|e| failed(&e))?;
    Ok(format!("it is again as it was at the snapshot `{name}`, and runs"))
}
