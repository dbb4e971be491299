//! Tasks: work that goes on after a call has been answered.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::faults::{self, Answer, not_found, request_canceled, task_in_progress};
use super::inventory::Body;
use super::server::Server;
use crate::vsphere::wire::{Any, Element, Fault, Moref, TaskInfo, TaskState};

/// How many tasks are remembered.
const REMEMBERED: usize = 1000;
/// How many of them a machine shows as recent.
const RECENT: usize = 20;

#[derive(Debug)]
pub(super) struct Task {
    pub info: TaskInfo,
    cancel: CancellationToken,
}

/// All tasks that are remembered.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    all: HashMap<Moref, Task>,
    order: VecDeque<Moref>,
    /// How many run of each kind on a host, and how many did at most; under no host, how many there were of a kind.
    running: HashMap<(&'static str, Option<Moref>), (usize, usize)>,
}

impl Tasks {
    pub fn get(&self, object: &Moref) -> Option<&Task> {
        self.all.get(object)
    }

    /// Whether a task is about an object.
    pub fn is_about(&self, task: &Moref, object: &Moref) -> bool {
        self.get(task).is_some_and(|task| task.info.entity.as_ref() == Some(object))
    }

    /// Counts one that begins (or ends) on a host.
    fn count(&mut self, operation: &'static str, host: Option<Moref>, begins: bool) {
        for key in [None].into_iter().chain(host.map(Some)) {
            let (now, most) = self.running.entry((operation, key)).or_default();
            *now = if begins { *now + 1 } else { now.saturating_sub(1) };
            *most = (*most).max(*now);
        }
    }

    /// How many of a kind ran at once at most: in all, and by host of what they were about.
    pub fn most_at_once(&self, operation: &str) -> (usize, BTreeMap<String, usize>) {
        let of = self.running.iter().filter(|((kind, _), _)| *kind == operation);
        let (mut all, mut hosts) = (0, BTreeMap::new());
        for ((_, host), (_, most)) in of {
            match host {
                Some(host) => drop(hosts.insert(host.value.clone(), *most)),
                None => all = *most,
            }
        }
        (all, hosts)
    }

    /// The last ones, oldest first.
    pub fn recent(&self) -> Vec<Moref> {
        self.order.iter().rev().take(RECENT).rev().cloned().collect()
    }
}

/// How a task is to be run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// What it does, as in `VirtualMachine.clone`.
    pub operation: &'static str,
    /// Whether the machine is busy meanwhile.
    pub exclusive: bool,
    /// Whether it can be cancelled.
    pub cancelable: bool,
}

impl Kind {
    /// A task that has its machine for itself.
    pub const fn exclusive(operation: &'static str) -> Self {
        Kind { operation, exclusive: true, cancelable: false }
    }

    /// A task that others may run beside.
    pub const fn shared(operation: &'static str) -> Self {
        Kind { operation, exclusive: false, cancelable: false }
    }
}

/// What a task does, given its own reference.
type Work = Box<dyn FnOnce(Moref) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send>;

/// What a task ends in.
pub(super) type Outcome = Answer<Option<Any>>;

impl Server {
    /// Begins a task about an object, and answers its reference. `work` gets the reference to tell progress with.
    pub fn begin<W>(
        self: &Arc<Self>,
        method: &str,
        fail: Option<Fault>,
        object: &Moref,
        kind: Kind,
        work: impl FnOnce(Moref) -> W + Send + 'static,
    ) -> Answer<Moref>
    where
        W: Future<Output = Outcome> + Send + 'static,
    {
        self.begin_boxed(method, fail, object, kind, Box::new(|task| Box::pin(work(task))))
    }

    /// The same with the work's type taken off, compiled once.
    fn begin_boxed(
        self: &Arc<Self>,
        method: &str,
        fail: Option<Fault>,
        object: &Moref,
        kind: Kind,
        work: Work,
    ) -> Answer<Moref> {
        let cancel = CancellationToken::new();
        let mut state = self.lock();
        let name = state.inventory.node(object)?.name.clone();
        if kind.exclusive && object.kind == "VirtualMachine" {
            let vm = state.inventory.vm(object)?;
            if let Some(other) = &vm.busy {
                return Err(task_in_progress(other));
            }
        }
        let task = state.inventory.make("Task", "task");
        let info = TaskInfo {
            key: task.value.clone(),
            task: task.clone(),
            name: Some(method.to_owned()),
            description_id: kind.operation.to_owned(),
            entity: Some(object.clone()),
            entity_name: Some(name),
            state: TaskState::Queued,
            cancelable: kind.cancelable,
            reason: Some(
                Element::new("reason").typed("TaskReasonUser").with(Element::text("userName", &self.config.username)),
            ),
            queue_time: super::now(),
            ..TaskInfo::default()
        };
        let entry = Task { info, cancel: cancel.clone() };
        state.tasks.all.insert(task.clone(), entry);
        state.tasks.order.push_back(task.clone());
        if state.tasks.order.len() > REMEMBERED
            && let Some(old) = state.tasks.order.pop_front()
        {
            state.tasks.all.remove(&old);
            state.inventory.touch(&old);
        }
        if let Some(Body::Vm(vm)) = state.inventory.change(object).map(|node| &mut node.body) {
            if kind.exclusive {
                vm.busy = Some(task.clone());
            }
            vm.tasks.push(task.clone());
            let extra = vm.tasks.len().saturating_sub(RECENT);
            vm.tasks.drain(..extra);
        }
        state.inventory.touch(&task);
        let host = state.inventory.vm(object).ok().map(|vm| vm.host.clone());
        state.tasks.count(kind.operation, host.clone(), true);
        drop(state);
        let (server, object, reference) = (self.clone(), object.clone(), task.clone());
        self.background.spawn(async move {
            server.change_task(&reference, |info| {
                info.state = TaskState::Running;
                info.start_time = Some(super::now());
                info.progress = Some(0);
            });
            let outcome = match fail {
                Some(fault) => Err(fault),
                None if kind.cancelable => tokio::select! {
                    outcome = work(reference.clone()) => outcome,
                    () = cancel.cancelled() => Err(request_canceled()),
                },
                None => work(reference.clone()).await,
            };
            if kind.exclusive
                && let Ok(vm) = server.lock().inventory.change_vm(&object)
            {
                vm.busy = None;
            }
            server.lock().tasks.count(kind.operation, host, false);
            server.change_task(&reference, |info| {
                info.complete_time = Some(super::now());
                info.cancelable = false;
                match outcome {
                    Ok(result) => {
                        info.state = TaskState::Success;
                        info.progress = Some(100);
                        info.result = result;
                    }
                    Err(fault) => {
                        info.state = TaskState::Error;
                        info.progress = None;
                        info.error = Some(fault);
                    }
                }
            });
        });
        Ok(task)
    }

    fn change_task(&self, task: &Moref, change: impl FnOnce(&mut TaskInfo)) {
        let mut state = self.lock();
        if let Some(entry) = state.tasks.all.get_mut(task) {
            change(&mut entry.info);
            state.inventory.touch(task);
        }
    }

    /// Tells how far a task is, in per cent.
    pub fn progress(&self, task: &Moref, percent: i32) {
        self.change_task(task, |info| info.progress = Some(percent));
    }

    /// Asks a task to end; it does later.
    pub fn cancel(&self, task: &Moref) -> Answer<()> {
        let mut state = self.lock();
        let Some(entry) = state.tasks.all.get_mut(task) else { return Err(not_found(task)) };
        if !entry.info.cancelable {
            let ended = matches!(entry.info.state, TaskState::Success | TaskState::Error);
            return match ended {
                true => Err(faults::invalid_state("The task has already completed.")),
                false => Err(faults::not_supported("cancelling this task")),
            };
        }
        entry.info.cancelled = true;
        entry.cancel.cancel();
        state.inventory.touch(task);
        Ok(())
    }
}
