//! What is done and what is known: the machines' tasks meet here and nowhere else.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::sema::eval::Env;
use crate::sema::order::Node;
use crate::sema::program::{MachineId, Ref, SecretId, StepId};
use crate::sema::value::Value;
use crate::vsphere::wire::Moref;

/// Finished nodes of the graph, and the values that they gave.
#[derive(Default)]
pub(super) struct Board {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    done: HashSet<Node>,
    values: HashMap<Ref, Value>,
    exports: HashMap<StepId, PathBuf>,
    sources: HashMap<MachineId, Moref>,
    /// Machines that will finish no further node.
    stopped: HashSet<MachineId>,
    /// Who waits, each by its node: in a build of a thousand machines nobody is woken for what others wait for.
    waiting: HashMap<Node, Arc<Notify>>,
}

impl Board {
    /// A board that knows the secrets.
    pub(super) fn new(secrets: &[String]) -> Self {
        let board = Board::default();
        for (at, secret) in secrets.iter().enumerate() {
            board.set(Ref::Secret(SecretId(at as u32)), Value::Secret(secret.clone()));
        }
        board
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding it; if something did, what it holds is still whole.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Makes a value known.
    pub(super) fn set(&self, reference: Ref, value: Value) {
        self.state().values.insert(reference, value);
    }

    /// Where the files are that a COPY takes from another machine.
    pub(super) fn set_export(&self, step: StepId, path: PathBuf) {
        self.state().exports.insert(step, path);
    }

    /// See [`Board::set_export`].
    pub(super) fn export(&self, step: StepId) -> Option<PathBuf> {
        self.state().exports.get(&step).cloned()
    }

    /// What later stages clone when they are FROM this machine.
    pub(super) fn set_source(&self, machine: MachineId, vm: Moref) {
        self.state().sources.insert(machine, vm);
    }

    /// See [`Board::set_source`].
    pub(super) fn source(&self, machine: MachineId) -> Option<Moref> {
        self.state().sources.get(&machine).cloned()
    }

    /// Marks a node as done and wakes who waits for it.
    pub(super) fn finish(&self, node: Node) {
        let mut state = self.state();
        state.done.insert(node);
        let waiting = state.waiting.remove(&node);
        drop(state);
        waiting.iter().for_each(|w| w.notify_waiters());
    }

    /// A machine has stopped: what it hasn't done it never will.
    pub(super) fn stop(&self, machine: MachineId) {
        let mut state = self.state();
        state.stopped.insert(machine);
        state.waiting.iter().filter(|(node, _)| node.machine() == machine).for_each(|(_, w)| w.notify_waiters());
    }

    /// Whether a node is done.
    pub(super) fn is_done(&self, node: Node) -> bool {
        self.state().done.contains(&node)
    }

    /// Returns when a node is done, or (false) will never be.
    pub(super) async fn wait(&self, node: Node) -> bool {
        loop {
            let changed = {
                let mut state = self.state();
                if state.done.contains(&node) {
                    return true;
                }
                if state.stopped.contains(&node.machine()) {
                    return false;
                }
                // Registered while nothing can change, so that nothing is missed in between.
                Arc::clone(state.waiting.entry(node).or_default()).notified_owned()
            };
            changed.await;
        }
    }
}

impl Env for Board {
    fn get(&self, reference: &Ref) -> Option<Value> {
        self.state().values.get(reference).cloned()
    }
}
