//! Power on, and wait until the guest can be worked with.

use super::event::Phase;
use super::machine::Worker;
use super::options::FailureClass;
use super::shared::Stop;
use super::{codes, network};
use crate::diagnostic::Diagnostic;
use crate::plan::codes::OTHER_FAMILY;
use crate::sema::program::Os;
use crate::vsphere::client::{Client, Customized, Deadline, Error, GuestState};
use crate::vsphere::wire::{Moref, PowerState};

/// Powers the machine on and waits for its guest.
pub(super) async fn run(worker: &mut Worker) -> Result<(), Stop> {
    let shared = std::sync::Arc::clone(&worker.shared);
    let vm = worker.there()?;
    let span = worker.machine().span;
    worker.phase(Phase::Booting);
    let limits = shared.options.deadlines;
    let machine = shared.program.machine(worker.id);
    let customization = network::customization(&shared, machine)?;
    if let Some((wanted, span)) = &customization {
        let failed = |e: &Error| Stop::vsphere(e, *span, "customizing the guest");
        let state = shared.interruptible(shared.client.guest_state(&vm)).await?.map_err(|e| failed(&e))?;
        // One that runs was told by an earlier process of the build.
        if state.power == PowerState::Off {
            let told = shared.client.customize(&vm, wanted, Deadline::after(limits.task));
            shared.interruptible(told).await?.map_err(|e| failed(&e))?;
        }
    }
    let on = shared.interruptible(shared.client.power_on(&vm, Deadline::after(limits.task))).await?;
    on.map_err(|e| Stop::vsphere(&e, span, "powering on"))?;
    shared.events.waiting(worker.id, "VMware Tools", Some(limits.boot));
    if let Some((wanted, span)) = &customization {
        // The guest restarts in between, more than once where it is Windows.
        shared.events.waiting(worker.id, "vCenter's customization", Some(limits.boot));
        let waited = shared.client.wait_customized(&vm, wanted, Deadline::after(limits.boot));
        let waited = shared.interruptible(waited).await?;
        match waited.map_err(|e| Stop::booting(&e, *span, "waiting for the customization"))? {
            Customized::Done => {}
            Customized::Failed(why) => {
                let mut diagnostic = Diagnostic::new(&codes::NOT_CUSTOMIZED, "vCenter could not customize the guest")
                    .primary(*span, "asked for here")
                    .help(
                        "the guest says more: /var/log/vmware-imc/toolsDeployPkg.log, or on Windows \
                         C:\\Windows\\Temp\\vmware-imc\\guestcust.log; on Linux it needs open-vm-tools and Perl, or cloud-init",
                    );
                if !why.is_empty() {
                    diagnostic = diagnostic.note(why);
                }
                return Err(Stop::failed(FailureClass::Guest, "not customized", diagnostic));
            }
        }
    }
    let ready = shared.interruptible(guest_ready(&shared.client, &vm, Deadline::after(limits.boot))).await?;
    worker.sessions.family = ready.map_err(|e| Stop::booting(&e, span, "waiting for VMware Tools"))?;
    right_family(worker)
}

/// Refuses a guest of another family than the file says: its commands would be nonsense there.
pub(super) fn right_family(worker: &Worker) -> Result<(), Stop> {
    let Some(family) = &worker.sessions.family else { return Ok(()) };
    let machine = worker.shared.program.machine(worker.id);
    let windows = family == "windowsGuest";
    if windows == (machine.os == Os::Windows) || !crate::graph::boots(machine) {
        return Ok(());
    }
    let (is, said) = if windows { ("Windows", "no Windows") } else { ("no Windows", "Windows") };
    let message = format!("the guest of `{}` is {is}, and its FROM says that it is {said}", machine.label);
    let help = if windows { "write `FROM --os=windows …`" } else { "leave out `--os=windows`" };
    let diagnostic = Diagnostic::new(&OTHER_FAMILY, message).primary(machine.span, "").help(help);
    Err(Stop::failed(FailureClass::Guest, "another family of guests", diagnostic))
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
