//! `OUTPUT --exists=keep`: a machine that is there, and of which only what new machines need is read again.

use std::sync::Arc;
use std::time::Duration;

use super::boot;
use super::cache;
use super::event::{Event, MachineId, MachineResult, Phase};
use super::machine::Worker;
use super::options::BuiltOutput;
use super::shared::{Shared, Stop};
use super::{export, network, steps};
use crate::sema::order::Node;
use crate::vsphere::client::Deadline;
use crate::vsphere::wire::Moref;

/// Asks a machine that is kept for what is needed of it; what it is.
pub(super) async fn run(shared: Arc<Shared>, id: MachineId, vm: Moref) -> Result<Vec<BuiltOutput>, Stop> {
    let mut worker = Worker::of_existing(Arc::clone(&shared), id, vm);
    let began = tokio::time::Instant::now();
    let asked = Box::pin(ask(&mut worker)).await;
    if let Err(stop) = asked {
        shared.board.stop(id);
        worker.sessions.abandon(&shared, id, true).await;
        let result = match &stop {
            Stop::Failed(failed) => MachineResult::Failed(shared.events.masker.text(&failed.short)),
            Stop::Cancelled => MachineResult::Cancelled,
        };
        shared.events.send(Event::MachineFinished { machine: id, result, elapsed: began.elapsed() });
        return Err(stop);
    }
    Ok(cache::taken(&shared, id, began.elapsed()).unwrap_or_default())
}

async fn ask(worker: &mut Worker) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let open: Vec<Node> = shared.dag.of(worker.id).filter(|node| !shared.board.is_done(*node)).collect();
    let mut looked = false;
    for node in open {
        // A batch may have taken care of more than one.
        if shared.board.is_done(node) {
            continue;
        }
        worker.enter(node).await?;
        let guest = !matches!(node, Node::Step(step) if cache::is_computed(shared.program.step(step)));
        if guest && !looked {
            ready(worker).await?;
            looked = true;
        }
        match node {
            Node::Network(_) => network::learn(worker, &shared).await?,
            Node::Export(_) => {
                worker.phase(Phase::Exporting);
                export::run(worker).await?;
            }
            Node::Step(step) => {
                worker.phase(Phase::Running);
                steps::run(worker, step).await?;
                continue;
            }
            Node::Clone(_) | Node::Boot(_) | Node::Finish(_) => {}
        }
        // Only here: a process that goes on with the build finds the machine again.
        shared.board.finish(node);
    }
    let span = worker.machine().span;
    let closed = shared.interruptible(worker.sessions.close()).await?;
    closed.map_err(|e| Stop::guest(&e, span, "cleaning up in the guest"))
}

/// Waits until the guest of a machine that exists can be worked with.
pub(super) async fn ready(worker: &mut Worker) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let (vm, span) = (worker.there()?, worker.machine().span);
    let limit: Duration = shared.options.deadlines.boot;
    shared.events.waiting(worker.id, "VMware Tools", Some(limit));
    let ready = shared.interruptible(boot::guest_ready(&shared.client, &vm, Deadline::after(limit))).await?;
    worker.sessions.family = ready.map_err(|e| Stop::booting(&e, span, "waiting for VMware Tools"))?;
    boot::right_family(worker)
}
