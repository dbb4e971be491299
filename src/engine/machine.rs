//! One machine, from its clone to its finish. Each of its nodes waits for what the graph says, and for nothing else.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::event::{Event, MachineId, MachineResult, Phase};
use super::ledger::EntryId;
use super::options::BuiltOutput;
use super::sessions::Sessions;
use super::shared::{Shared, Slot, Stop};
use super::{ask, boot, cache, clone, existing, export, finish, hooks, kept, network, publish, resume, steps};
use crate::sema::order::Node;
use crate::sema::program::{Attr, Machine};
use crate::sema::value::Value;
use crate::vsphere::wire::Moref;

/// One machine at work.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) id: MachineId,
    pub(super) slot: Slot,
    /// Its virtual machine and its entry in the ledger, once cloned.
    pub(super) vm: Option<(Moref, EntryId)>,
    /// One that was there before the build, and stays.
    existing: Option<Moref>,
    /// The guest accounts that it has logged in with.
    pub(super) sessions: Sessions,
    /// Whether the batch of an earlier process was looked for.
    pub(super) attached: bool,
    /// When it had what its clone needs, and its place.
    began: Option<Instant>,
}

/// Runs a machine; says how it ended.
pub(super) async fn run(shared: Arc<Shared>, id: MachineId) -> Result<Vec<BuiltOutput>, Stop> {
    if let Some(vm) = cache::asked(&shared, id) {
        return kept::run(shared, id, vm).await;
    }
    if let Some(outputs) = cache::taken(&shared, id, Duration::ZERO) {
        return Ok(outputs);
    }
    let mut worker = Worker::new(shared, id);
    let result = worker.way().await;
    if let Err(stop) = &result {
        hooks::run(&mut worker, stop).await;
        if matches!(stop, Stop::Failed(_)) {
            worker.shared.failures.note(worker.shared.program.machine(id));
        }
        worker.shared.board.stop(id);
        let stays = worker.existing.is_some();
        worker.sessions.abandon(&worker.shared, id, stays).await;
    }
    let outcome = match &result {
        Ok(_) if existing::is(worker.machine()) => MachineResult::Ran(format!("VM {}", worker.machine().name)),
        Ok(outputs) => publish::told(&worker.shared, worker.machine(), outputs),
        Err(Stop::Failed(failed)) => MachineResult::Failed(worker.shared.events.masker.text(&failed.short)),
        Err(Stop::Cancelled) => MachineResult::Cancelled,
    };
    let elapsed = worker.began.map_or(Duration::ZERO, |began| began.elapsed());
    worker.shared.events.send(Event::MachineFinished { machine: id, result: outcome, elapsed });
    result
}

impl Worker {
    fn new(shared: Arc<Shared>, id: MachineId) -> Self {
        let slot = Slot::new(Arc::clone(&shared.slots));
        let sessions = Sessions::default();
        Worker { shared, id, slot, vm: None, existing: None, sessions, attached: false, began: None }
    }

    /// Of a machine that was there before the build, and stays.
    pub(super) fn of_existing(shared: Arc<Shared>, id: MachineId, vm: Moref) -> Self {
        Worker { existing: Some(vm), ..Worker::new(shared, id) }
    }

    pub(super) fn machine(&self) -> &Machine {
        self.shared.program.machine(self.id)
    }

    pub(super) fn phase(&self, phase: Phase) {
        self.shared.events.send(Event::Phase { machine: self.id, phase });
    }

    /// It was there before the build, and stays.
    pub(super) fn exists(&mut self, vm: Moref) {
        self.existing = Some(vm);
    }

    /// Whether it was there before the build.
    pub(super) fn was_there(&self) -> bool {
        self.existing.is_some()
    }

    /// The virtual machine, made by this build or not; there is one from the clone on.
    pub(super) fn there(&self) -> Result<Moref, Stop> {
        let made = self.vm.as_ref().map(|(vm, _)| vm);
        made.or(self.existing.as_ref()).cloned().ok_or(Stop::Cancelled)
    }

    /// The virtual machine that this build makes; there is one from the clone on.
    pub(super) fn vm(&self) -> Result<(Moref, EntryId), Stop> {
        self.vm.clone().ok_or(Stop::Cancelled)
    }

    /// Returns when everything that `node` needs is done and the machine has its place among the running ones.
    pub(super) async fn enter(&mut self, node: Node) -> Result<(), Stop> {
        let shared = Arc::clone(&self.shared);
        let needs: Vec<Node> = shared.dag.needs(node).into_iter().filter(|n| n.machine() != self.id).collect();
        for need in needs {
            if shared.board.is_done(need) {
                continue;
            }
            self.slot.give();
            shared.events.waiting_on(self.id, describe(&shared, need), need);
            if !shared.interruptible(shared.board.wait(need)).await? {
                let serial = self.machine().serial.and_then(|s| s.after);
                if serial.is_some_and(|m| need == Node::Finish(m)) && existing::tolerated(&shared, self.machine()) {
                    continue;
                }
                return Err(Stop::Cancelled);
            }
        }
        if self.slot.must_wait() {
            shared.events.waiting(self.id, &format!("its turn (--parallel {})", shared.options.parallel), None);
        }
        shared.interruptible(self.slot.take()).await
    }

    async fn way(&mut self) -> Result<Vec<BuiltOutput>, Stop> {
        let shared = Arc::clone(&self.shared);
        let nodes: Vec<Node> = shared.dag.of(self.id).collect();
        let mut outputs = Vec::new();
        let mut at = 0;
        while let Some(node) = nodes.get(at).copied() {
            if shared.board.is_done(node) && existing::is(self.machine()) {
                if matches!(node, Node::Clone(_)) && self.existing.is_none() {
                    existing::find(self).await?;
                }
                at += 1;
                continue;
            }
            if shared.board.is_done(node) {
                outputs.extend(resume::pass(self, node).await?);
                at += 1;
                continue;
            }
            // A batch of steps waits for the needs of its first one here; those of the others bound it.
            self.enter(node).await?;
            self.began.get_or_insert_with(Instant::now);
            // Boxed: these futures are large, and nest.
            match Box::pin(self.pass_through(node, &mut outputs)).await {
                Ok(count) => at += count,
                Err(stop) => {
                    Box::pin(ask::ask(self, node, stop)).await?;
                    // Of a batch, some steps may be done.
                    while nodes.get(at).is_some_and(|node| shared.board.is_done(*node)) {
                        at += 1;
                    }
                }
            }
        }
        Ok(outputs)
    }

    /// Does what a node stands for. How many nodes that took care of.
    async fn pass_through(&mut self, node: Node, outputs: &mut Vec<BuiltOutput>) -> Result<usize, Stop> {
        let exists = existing::is(self.machine());
        match node {
            Node::Clone(_) if exists => {
                existing::find(self).await?;
                self.known_after_clone().await?;
            }
            Node::Boot(_) if exists => kept::ready(self).await?,
            Node::Finish(_) if exists => {
                self.phase(Phase::Finishing);
                existing::leave(self).await?;
            }
            Node::Clone(_) => {
                clone::run(self).await?;
                self.known_after_clone().await?;
            }
            Node::Boot(_) => boot::run(self).await?,
            Node::Network(_) => network::run(self).await?,
            Node::Step(step) => {
                self.phase(Phase::Running);
                // Marks each step of its batch as done by itself.
                return steps::run(self, step).await;
            }
            Node::Export(_) => {
                self.phase(Phase::Exporting);
                export::run(self).await?;
            }
            Node::Finish(_) => {
                self.phase(Phase::Finishing);
                *outputs = finish::run(self).await?;
            }
        }
        self.shared.finish(node);
        Ok(1)
    }

    /// `uuid` and `moref`, where something asks for them.
    async fn known_after_clone(&self) -> Result<(), Stop> {
        let vm = self.there()?;
        let wanted = &self.machine().wanted;
        if wanted.contains(&Attr::Moref) {
            self.shared.learn(self.id, Attr::Moref, Value::Str(vm.value.clone()));
        }
        if wanted.contains(&Attr::Uuid) {
            let properties = self.shared.client.properties(&vm, &["config.uuid"]).await;
            let properties = properties.map_err(|e| Stop::vsphere(&e, self.machine().span, "reading the uuid"))?;
            let uuid = properties.text("config.uuid").unwrap_or_default().to_owned();
            self.shared.learn(self.id, Attr::Uuid, Value::Str(uuid));
        }
        Ok(())
    }
}

/// What is waited for, in the file's words.
pub(super) fn describe(shared: &Shared, node: Node) -> String {
    let label = &shared.program.machine(node.machine()).label;
    match node {
        Node::Clone(_) => format!("the clone of {label}"),
        Node::Boot(_) => format!("{label} to boot"),
        Node::Network(_) => format!("the network of {label}"),
        Node::Export(_) => format!("files from {label}"),
        Node::Finish(_) => format!("{label} to finish"),
        Node::Step(step) => match &shared.program.step(step).action {
            crate::sema::program::Action::Key { name, .. } => format!("key {label}.{name}"),
            _ => format!("step {} of {label}", step.index + 1),
        },
    }
}
