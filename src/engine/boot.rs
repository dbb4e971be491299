//! Power on, and wait until the guest can be worked with.

use super::event::Phase;
use super::machine::Worker;
use super::shared::Stop;
use crate::vsphere::client::{Client, Deadline, Error, GuestState};
use crate::vsphere::wire::Moref;

/// Powers the machine on and waits for its guest.
pub(super) async fn run(worker: &mut Worker) -> Result<(), Stop> {
    let shared = std::sync::Arc::clone(&worker.shared);
    let vm = worker.there()?;
    let span = worker.machine().span;
    worker.phase(Phase::Booting);
    let limits = shared.options.deadlines;
    let on = shared.interruptible(shared.client.power_on(&vm, Deadline::after(limits.task))).await?;
    on.map_err(|e| Stop::vsphere(&e, span, "powering on"))?;
    shared.events.waiting(worker.id, "VMware Tools", Some(limits.boot));
    let ready = shared.interruptible(guest_ready(&shared.client, &vm, Deadline::after(limits.boot))).await?;
    worker.sessions.family = ready.map_err(|e| Stop::vsphere(&e, span, "waiting for VMware Tools"))?;
    Ok(())
}

/// Returns when Tools run and can take commands; the guest's family, where the server knows it.
pub(super) async fn guest_ready(client: &Client, vm: &Moref, deadline: Deadline) -> Result<Option<String>, Error> {
    let ready = |state: &GuestState| {
        let tools = state.tools_running.as_deref() == Some("guestToolsRunning");
        // Servers that never say whether operations are possible leave it unset; those that do say `false` until
        // then. The family tells the guest's kind, which commands depend on.
        let able = state.operations_ready.unwrap_or(state.family.is_some());
        (tools && able).then(|| state.family.clone())
    };
    client.wait_guest_state(vm, deadline, "VMware Tools", ready).await
}
