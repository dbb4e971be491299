//! Tasks.
use super::endpoint::Deadline;
use super::error::Result;
use super::session::Client;
use crate::vsphere::wire::{Any, Moref};

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether it still waits for its turn.
    pub queued: bool,
    /// Per cent done, where the server tells.
    pub percent: Option<u8>,
}

impl Client {
    /// Waits for a task to end; returns its result. `what` names the operation for messages ("clone `web`").
    /// When the deadline passes, asks the server to cancel the task and returns [`super::Error::Timeout`].
    pub async fn wait_task(&self, _task: &Moref, _what: &str, _deadline: Deadline) -> Result<Option<Any>> {
        unimplemented!()
    }

    /// The same, telling progress as it changes.
    pub async fn wait_task_with(
        &self,
        _task: &Moref,
        _what: &str,
        _deadline: Deadline,
        _progress: impl FnMut(Progress) + Send,
    ) -> Result<Option<Any>> {
        unimplemented!()
    }

    /// Asks a task to end and waits until it has. `Ok` when it is over already or can't be cancelled.
    pub async fn cancel_task(&self, _task: &Moref, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }
}
