//! Tasks: waiting for their end, with progress, and cancelling them.

use std::time::Duration;

use super::endpoint::Deadline;
use super::error::{Error, Result};
use super::ovf::LEASE;
use super::session::Client;
use crate::vsphere::wire::{Any, CancelTask, Fault, Moref, TaskInfo, TaskState};

/// How long asking for a cancellation may take.
const CANCEL: Duration = Duration::from_secs(30);

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether it still waits for its turn.
    pub queued: bool,
    /// Per cent done, where the server tells.
    pub percent: Option<u8>,
}

impl Client {
    /// Waits for a task to end; returns its result. `what` names the operation for messages, as in "can't …":
    /// "clone `web`". When the deadline passes, the server is asked to cancel the task, and the error is
    /// [`Error::Timeout`]. A task that tells how far it is takes as long as it takes: then the deadline is for it to get
    /// any further, and the error is [`Error::Stalled`].
    pub async fn wait_task(&self, task: &Moref, what: &str, deadline: Deadline) -> Result<Option<Any>> {
        self.wait_task_with(task, what, deadline, |_| ()).await
    }

    /// The same, telling progress as it changes.
    pub async fn wait_task_with(
        &self,
        task: &Moref,
        what: &str,
        deadline: Deadline,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Option<Any>> {
        let mut told = None;
        let mut watcher = self.watch(task, &["info"]);
        let mut further = deadline;
        let ended = loop {
            let properties = match watcher.next(further, what).await {
                Ok(properties) => properties,
                Err(error) => break Err(error),
            };
            let Some(info) = properties.get::<TaskInfo>("info") else { continue };
            match info.state {
                TaskState::Success => break Ok(info.result),
                TaskState::Error => {
                    let unknown = || Fault::new("", "the server doesn't say why");
                    let fault = Box::new(info.error.unwrap_or_else(unknown));
                    break Err(Error::Task { what: what.to_owned(), fault });
                }
                TaskState::Queued | TaskState::Running | TaskState::Other(_) => {}
            }
            let percent = info.progress.and_then(|p| u8::try_from(p.clamp(0, 100)).ok());
            let now = Progress { queued: info.state == TaskState::Queued, percent };
            if told != Some(now) {
                if told.is_some_and(|before: Progress| before.percent != now.percent) {
                    further = Deadline::after(deadline.allowed());
                }
                told = Some(now);
                progress(now);
            }
        };
        let ended = match (ended, told.and_then(|told| told.percent)) {
            (Err(Error::Timeout { what, allowed }), Some(percent)) if further.instant() > deadline.instant() => {
                Err(Error::Stalled { what: format!("{what}, at {percent}%,"), silence: allowed })
            }
            (ended, _) => ended,
        };
        if let Err(Error::Timeout { .. } | Error::Stalled { .. }) = &ended {
            // It isn't awaited: the deadline is over. What it ends as, nobody asks any more.
            let (client, task) = (self.clone(), task.clone());
            let background = self.inner.background.clone();
            background.spawn(async move {
                let _ = tokio::time::timeout(CANCEL, client.call(&CancelTask { this: task })).await;
            });
        }
        ended
    }

    /// Asks a task to end and waits until it has, one way or another.
    /// What is under way may also be a lease, which is given up.
    pub async fn cancel_task(&self, task: &Moref, deadline: Deadline) -> Result<()> {
        if task.kind == LEASE {
            return self.abort_lease(task, deadline).await;
        }
        match deadline.limit("cancelling a task", self.call(&CancelTask { this: task.clone() })).await {
            Ok(()) => {}
            // Over already, forgotten already, or not to be cancelled: its end is awaited all the same.
            Err(Error::Fault { fault, .. }) if !fault.is_a("NoPermission") => {}
            Err(other) => return Err(other),
        }
        match self.wait_task(task, "cancel a task", deadline).await {
            Ok(_) | Err(Error::Task { .. }) => Ok(()),
            Err(e) if e.is_fault("ManagedObjectNotFound") => Ok(()),
            Err(other) => Err(other),
        }
    }
}
