//! SNAPSHOT: a snapshot that stays.

use std::sync::Arc;

use super::super::codes;
use super::super::machine::Worker;
use super::super::options::FailureClass;
use super::super::sessions::{self, Sessions};
use super::super::shared::{Shared, Stop};
use crate::diagnostic::Diagnostic;
use crate::guest::Job;
use crate::sema::program::{Machine, Step};
use crate::vsphere::client::{Deadline, Error};
use crate::vsphere::wire::{Moref, VirtualMachineSnapshotTree};

/// Makes it. The guest has written everything, and nothing of ours is in it.
pub(super) async fn run(worker: &mut Worker, machine: &Machine, step: &Step, name: &str) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let vm = worker.there()?;
    let failed = |e: &Error| Stop::vsphere(e, step.span, "SNAPSHOT");
    let all = named(&shared, &vm, name).await.map_err(|e| failed(&e))?;
    // By an earlier process of this build, whose reply was lost.
    if all.iter().any(|tree| tree.description == about(&shared)) {
        return Ok(());
    }
    if !all.is_empty() {
        let message = format!("`{}` has a snapshot `{name}` already", machine.name);
        let diagnostic = Diagnostic::new(&codes::SNAPSHOT_TAKEN, message)
            .primary(step.span, "")
            .help(format!("remove it, or give each build's its own name: `SNAPSHOT {name}-${{{{ build.id }}}}`"));
        return Err(Stop::failed(FailureClass::Vsphere, "there is a snapshot of that name", diagnostic));
    }
    if let Some(login) = sessions::login(&shared, machine, &step.context)? {
        // The disks are taken as they are: what is still in the guest's memory would be lost.
        let guest = Sessions::of(worker, login, step.span).await?;
        let synced = shared.interruptible(guest.run(Job::sh(0, "sync\n"))).await?;
        synced.map_err(|e| Stop::guest(&e, step.span, "SNAPSHOT"))?;
        let closed = shared.interruptible(worker.sessions.close()).await?;
        closed.map_err(|e| Stop::guest(&e, step.span, "cleaning up in the guest"))?;
    }
    let limit = Deadline::after(shared.options.deadlines.task);
    let made = shared.client.create_snapshot(&vm, name, &about(&shared), limit).await;
    made.map(drop).map_err(|e| failed(&e))
}

/// What tells ours from others of the same name.
pub(in crate::engine) fn about(shared: &Shared) -> String {
    format!("vmwbuild {}", shared.options.build)
}

/// The snapshot of that name that this build has made.
pub(in crate::engine) async fn ours(shared: &Shared, vm: &Moref, name: &str) -> Result<Option<Moref>, Error> {
    let all = named(shared, vm, name).await?;
    Ok(all.into_iter().find(|tree| tree.description == about(shared)).map(|tree| tree.snapshot))
}

/// All of a name.
async fn named(shared: &Shared, vm: &Moref, name: &str) -> Result<Vec<VirtualMachineSnapshotTree>, Error> {
    let mut open = shared.client.snapshots(vm).await?;
    let mut found = Vec::new();
    while let Some(mut tree) = open.pop() {
        open.append(&mut tree.child_snapshot_list);
        if crate::vsphere::client::decoded(&tree.name) == name {
            found.push(tree);
        }
    }
    Ok(found)
}
