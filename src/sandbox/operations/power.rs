//! Power: booting guests, ending them, and following what they do by themselves.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::sandbox::faults::{Answer, invalid_power_state, invalid_state, machinery, not_supported, tools_unavailable};
use crate::sandbox::guest::{self, Programs};
use crate::sandbox::guests::{AT_BOOT, BootSpec, Ended, ExecSpec, Guest, NetworkReport, NicReport, NicSpec};
use crate::sandbox::machine::{Power, Reported, Tools};
use crate::sandbox::server::{Call, Server, lock};
use crate::sandbox::tasks::{Kind, Outcome};
use crate::vsphere::wire::{ChoiceOption, ElementDescription, Fault, Moref, VirtualMachineQuestionInfo};

/// Room for what a guest writes, beside its memory: it is kept in memory too.
const DISK: u64 = 8 << 30;
/// How long Tools wait for what a guest starts at boot.
const AT_BOOT_LIMIT: Duration = Duration::from_secs(60);
/// How long a guest's own services may take to give it an address before one is made up.
const OWN_ADDRESS: Duration = Duration::from_secs(2);
/// The prefix of guests' addresses.
const PREFIX: u8 = 8;
/// The one question that is ever asked.
const QUESTION: &str = "sandbox.question";
/// The answer to it that ends the power-on.
const CANCEL: &str = "0";

/// A machine that is on.
#[derive(Debug)]
pub(in crate::sandbox) struct Running {
    /// None where guests can't run.
    pub guest: Option<Guest>,
    /// Guest operations go one after another.
    pub turn: tokio::sync::Mutex<()>,
    pub programs: Arc<Mutex<Programs>>,
    /// What has been found right: an account's name, its line of /etc/shadow, and the password.
    pub proven: Mutex<std::collections::HashSet<[String; 3]>>,
}

impl Server {
    /// The machine's guest, while it is on.
    pub(in crate::sandbox) fn running(&self, vm: &Moref) -> Option<Arc<Running>> {
        lock(&self.running).get(vm).cloned()
    }

    /// `PowerOnVM_Task`.
    pub(in crate::sandbox) fn power_on(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        if self.lock().inventory.vm(&call.this)?.template {
            return Err(not_supported("powering on a template"));
        }
        let (server, vm, asks) = (self.clone(), call.this.clone(), call.question);
        let kind = Kind::exclusive("VirtualMachine.powerOn");
        self.begin(&call.method, call.task_fault.clone(), &call.this, kind, move |_| async move {
            if asks {
                server.ask(&vm).await?;
            }
            server.switch_on(&vm).await
        })
    }

    /// Boots a machine that is off.
    pub(super) async fn switch_on(self: &Arc<Self>, vm: &Moref) -> Outcome {
        let switch = self.lock().inventory.vm(vm)?.switch.clone();
        let _held = switch.lock().await;
        let power = self.lock().inventory.vm(vm)?.power;
        if power == Power::On {
            return Err(invalid_power_state(Some("poweredOn"), power.as_str()));
        }
        self.boot(vm).await?;
        Ok(None)
    }

    /// `PowerOffVM_Task`.
    pub(in crate::sandbox) fn power_off(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let (server, vm) = (self.clone(), call.this.clone());
        let kind = Kind::exclusive("VirtualMachine.powerOff");
        self.begin(&call.method, call.task_fault.clone(), &call.this, kind, move |_| async move {
            let switch = server.lock().inventory.vm(&vm)?.switch.clone();
            let _held = switch.lock().await;
            let power = server.lock().inventory.vm(&vm)?.power;
            if power == Power::Off {
                return Err(invalid_power_state(Some("poweredOff"), power.as_str()));
            }
            server.cut_power(&vm).await?;
            Ok(None)
        })
    }

    /// Ends a guest at once. To be called with the machine's switch held.
    pub(super) async fn cut_power(&self, vm: &Moref) -> Answer<()> {
        let running = self.mark_off(vm)?;
        if let Some(guest) = running.as_ref().and_then(|r| r.guest.as_ref()) {
            guest.stop().await.map_err(|e| machinery(&e))?;
        }
        Ok(())
    }

    /// Notes that a machine is off; what was running.
    fn mark_off(&self, vm: &Moref) -> Answer<Option<Arc<Running>>> {
        let running = lock(&self.running).remove(vm);
        self.transfers.forget(vm);
        let mut state = self.lock();
        let machine = state.inventory.change_vm(vm)?;
        machine.power = Power::Off;
        machine.tools = Tools::Away;
        machine.booted = None;
        machine.question = None;
        machine.epoch += 1;
        Ok(running)
    }

    /// `ResetVM_Task`.
    pub(in crate::sandbox) fn reset(self: &Arc<Self>, call: &Call) -> Answer<Moref> {
        let (server, vm) = (self.clone(), call.this.clone());
        let kind = Kind::exclusive("VirtualMachine.reset");
        self.begin(&call.method, call.task_fault.clone(), &call.this, kind, move |_| async move {
            let (epoch, running) = server.begin_restart(&vm, false)?;
            if let Some(guest) = running.as_ref().and_then(|r| r.guest.as_ref()) {
                guest.stop().await.map_err(|e| machinery(&e))?;
            }
            server.restart(&vm, epoch).await?;
            Ok(None)
        })
    }

    /// `ShutdownGuest`.
    pub(in crate::sandbox) fn shutdown_guest(self: &Arc<Self>, vm: &Moref) -> Answer<()> {
        let running = self.with_tools(vm)?;
        self.lock().inventory.change_vm(vm)?.tools = Tools::Away;
        self.transfers.forget(vm);
        let (server, vm) = (self.clone(), vm.clone());
        self.background.spawn(async move {
            match running.as_ref().and_then(|r| r.guest.as_ref()) {
                // Its end is noticed by whoever follows the guest.
                Some(guest) => server.unless_closing(guest.shutdown(server.config.shutdown_grace)).await,
                None => {
                    let _ = server.mark_off(&vm);
                }
            }
        });
        Ok(())
    }

    /// `RebootGuest`.
    pub(in crate::sandbox) fn reboot_guest(self: &Arc<Self>, vm: &Moref) -> Answer<()> {
        self.with_tools(vm)?;
        let (epoch, running) = self.begin_restart(vm, true)?;
        let (server, vm) = (self.clone(), vm.clone());
        self.background.spawn(async move {
            if let Some(guest) = running.as_ref().and_then(|r| r.guest.as_ref()) {
                server.unless_closing(guest.shutdown(server.config.shutdown_grace)).await;
            }
            // Nobody waits for it; a guest that doesn't come back is off.
            if server.restart(&vm, epoch).await.is_err() {
                let _ = server.mark_off(&vm);
            }
        });
        Ok(())
    }

    async fn unless_closing<T>(&self, work: impl Future<Output = T>) {
        tokio::select! {
            _ = work => {}
            () = self.closing.cancelled() => {}
        }
    }

    /// The machine's guest, which must be able to hear.
    fn with_tools(&self, vm: &Moref) -> Answer<Option<Arc<Running>>> {
        let state = self.lock();
        let machine = state.inventory.vm(vm)?;
        if machine.power != Power::On {
            return Err(invalid_power_state(Some("poweredOn"), machine.power.as_str()));
        }
        if machine.tools != Tools::Ready {
            return Err(tools_unavailable());
        }
        drop(state);
        Ok(self.running(vm))
    }

    /// Notes that a guest restarts: the new epoch, and what was running.
    fn begin_restart(&self, vm: &Moref, guest: bool) -> Answer<(u64, Option<Arc<Running>>)> {
        let mut state = self.lock();
        let power = state.inventory.vm(vm)?.power;
        if power != Power::On {
            return Err(invalid_power_state(Some("poweredOn"), power.as_str()));
        }
        let machine = state.inventory.change_vm(vm)?;
        machine.tools = if guest { Tools::Rebooting } else { Tools::Away };
        machine.epoch += 1;
        let epoch = machine.epoch;
        drop(state);
        self.transfers.forget(vm);
        Ok((epoch, lock(&self.running).remove(vm)))
    }

    /// Boots a machine again, unless it was switched off or restarted by somebody else meanwhile.
    async fn restart(self: &Arc<Self>, vm: &Moref, epoch: u64) -> Answer<()> {
        let switch = self.lock().inventory.vm(vm)?.switch.clone();
        let _held = switch.lock().await;
        {
            let state = self.lock();
            let machine = state.inventory.vm(vm)?;
            if machine.epoch != epoch || machine.power != Power::On {
                return Ok(());
            }
        }
        self.boot(vm).await
    }

    /// Boots the guest. To be called with the machine's switch held.
    async fn boot(self: &Arc<Self>, vm: &Moref) -> Answer<()> {
        let layer = self.writable(vm).await?;
        let spec = {
            let state = self.lock();
            let machine = state.inventory.vm(vm)?;
            // Like a server of DHCP, but quicker.
            let address = |number: usize| (number == 0).then(|| (address_of(vm).into(), PREFIX));
            let macs = machine.macs().into_iter().enumerate();
            let nics = macs.map(|(number, mac)| NicSpec { mac: bytes_of(&mac), address: address(number) });
            let memory = u64::try_from(machine.config.memory_mb).unwrap_or_default() << 20;
            BootSpec {
                hostname: None,
                uuid: Some(machine.uuid.clone()),
                max_processes: Some(self.config.guest_processes),
                max_memory: Some(memory.saturating_add(DISK)),
                nics: nics.collect(),
            }
        };
        let guest = match (&self.guests, layer) {
            (Some(guests), Some(layer)) => Some(guests.boot(layer, spec).await.map_err(|e| machinery(&e))?),
            _ => None,
        };
        let epoch = {
            let mut state = self.lock();
            let machine = state.inventory.change_vm(vm)?;
            machine.power = Power::On;
            machine.tools = if machine.tools == Tools::Rebooting { Tools::Rebooting } else { Tools::Away };
            machine.booted = Some(crate::sandbox::now());
            machine.reported.ip = None;
            machine.reported.nics = Vec::new();
            machine.epoch += 1;
            machine.epoch
        };
        let running = Arc::new(Running {
            guest: guest.clone(),
            turn: tokio::sync::Mutex::default(),
            programs: Arc::default(),
            proven: Mutex::default(),
        });
        lock(&self.running).insert(vm.clone(), running);
        self.background.spawn(self.clone().settle(vm.clone(), epoch, guest.clone()));
        if let Some(guest) = guest {
            self.background.spawn(self.clone().follow(vm.clone(), epoch, guest));
        }
        Ok(())
    }

    /// Lets Tools come up after the boot delay, and the address after its own.
    async fn settle(self: Arc<Self>, vm: Moref, epoch: u64, guest: Option<Guest>) {
        let (_, reported) = tokio::join!(self.pause(self.config.boot_delay), async {
            let Some(guest) = &guest else { return Reported::default() };
            self.customize_guest(&vm, guest).await;
            let id = self.lock().inventory.vm(&vm).ok().filter(|m| m.is_windows()).map(|m| m.config.guest_id.clone());
            if let Some(id) = id {
                return guest::windows_identity(&id, guest::identity(guest).await.host_name);
            }
            self.start_services(guest).await;
            guest::identity(guest).await
        });
        let is_current = self.change_running(&vm, epoch, |machine| {
            machine.tools = Tools::Ready;
            machine.reported = reported;
            if let Some(id) = &machine.reported.id {
                machine.config.guest_id.clone_from(id);
            }
        });
        if is_current {
            self.pause(self.config.address_delay).await;
            self.report_network(&vm, epoch, guest).await;
        }
    }

    /// Runs what a template starts at boot, where there is such a file. What it leaves in the background goes on.
    async fn start_services(&self, guest: &Guest) {
        let spec = ExecSpec {
            program: AT_BOOT.to_owned(),
            env: vec![("PATH".to_owned(), guest::SEARCH.to_owned())],
            cwd: Some("/".to_owned()),
            new_session: true,
            ..ExecSpec::default()
        };
        // Most templates have none.
        if let Ok(process) = guest.exec(spec).await {
            tokio::select! {
                _ = process.wait() => {}
                () = self.pause(AT_BOOT_LIMIT) => {}
            }
        }
    }

    /// Reports a guest's network as it is seen inside, whenever it changes. Where a guest has no address, as on kernels
    /// that have no network card for it, one is made up, since clients wait for one.
    async fn report_network(&self, vm: &Moref, epoch: u64, guest: Option<Guest>) {
        let made_up = address_of(vm).to_string();
        let watch = match &guest {
            Some(guest) => guest.watch_network().await.ok(),
            None => None,
        };
        let Some(mut watch) = watch else {
            self.change_running(vm, epoch, |machine| machine.reported.ip = Some(made_up));
            return;
        };
        let patience = tokio::time::sleep(OWN_ADDRESS);
        tokio::pin!(patience);
        let (mut has_none, mut gave_up) = (false, false);
        loop {
            let report = tokio::select! {
                report = watch.next() => report,
                () = &mut patience, if has_none && !gave_up => {
                    gave_up = true;
                    self.change_running(vm, epoch, |machine| machine.reported.ip = Some(made_up.clone()));
                    continue;
                }
                () = self.closing.cancelled() => None,
            };
            let Some(NetworkReport { host_name, nics }) = report else { return };
            let own = primary(&nics);
            has_none = own.is_none();
            let ip = own.or_else(|| (nics.is_empty() || gave_up).then(|| made_up.clone()));
            let is_current = self.change_running(vm, epoch, |machine| {
                machine.reported.host_name = Some(host_name);
                machine.reported.ip = ip;
                machine.reported.nics = nics;
            });
            if !is_current {
                return;
            }
        }
    }

    /// Changes a machine if it still runs as it did in that epoch; whether it does.
    fn change_running(&self, vm: &Moref, epoch: u64, change: impl FnOnce(&mut crate::sandbox::machine::Vm)) -> bool {
        let mut state = self.lock();
        let current = state.inventory.vm(vm).is_ok_and(|m| m.epoch == epoch && m.power == Power::On);
        if current && let Ok(machine) = state.inventory.change_vm(vm) {
            change(machine);
        }
        current
    }

    pub(in crate::sandbox) async fn pause(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.closing.cancelled() => {}
        }
    }

    /// Follows a guest to its end, and does what a machine does then.
    fn follow(self: Arc<Self>, vm: Moref, epoch: u64, guest: Guest) -> BoxFuture<'static, ()> {
        // Boxed, since what it does may boot the next guest to follow.
        Box::pin(self.follow_to_end(vm, epoch, guest))
    }

    async fn follow_to_end(self: Arc<Self>, vm: Moref, epoch: u64, guest: Guest) {
        let how = tokio::select! {
            how = guest.ended() => how,
            () = self.closing.cancelled() => return,
        };
        let current = self.lock().inventory.vm(&vm).is_ok_and(|m| m.epoch == epoch);
        if !current {
            return;
        }
        match how {
            Ended::Rebooted => {
                if let Ok((epoch, _)) = self.begin_restart(&vm, true)
                    && self.restart(&vm, epoch).await.is_err()
                {
                    let _ = self.mark_off(&vm);
                }
            }
            Ended::PoweredOff | Ended::Died | Ended::Stopped => {
                let _ = self.mark_off(&vm);
            }
        }
    }

    /// Lets Tools be away for a while, and forget what they had started; the guest goes on.
    pub(in crate::sandbox) fn restart_tools(self: &Arc<Self>, vm: &Moref, time: Duration) {
        let Some(running) = self.running(vm) else { return };
        lock(&running.programs).lose();
        let epoch = {
            let mut state = self.lock();
            let Ok(machine) = state.inventory.change_vm(vm) else { return };
            machine.tools = Tools::Rebooting;
            machine.epoch
        };
        let (server, vm) = (self.clone(), vm.clone());
        self.background.spawn(async move {
            server.pause(time).await;
            server.change_running(&vm, epoch, |machine| machine.tools = Tools::Ready);
        });
    }

    /// Asks what a machine asks when its files seem to have been moved, and waits for the answer.
    async fn ask(&self, vm: &Moref) -> Answer<()> {
        let choice = |key: &str, label: &str| ElementDescription {
            label: label.to_owned(),
            summary: label.to_owned(),
            key: key.to_owned(),
        };
        let question = VirtualMachineQuestionInfo {
            id: QUESTION.to_owned(),
            text: "This virtual machine might have been moved or copied.".to_owned(),
            choice: ChoiceOption {
                value_is_readonly: None,
                choice_info: vec![choice(CANCEL, "Cancel"), choice("1", "I Moved It"), choice("2", "I Copied It")],
                default_index: Some(2),
            },
        };
        let mut clock = self.clock.subscribe();
        self.lock().inventory.change_vm(vm)?.question = Some(question);
        loop {
            if let Some(answer) = self.answered(vm)? {
                let refused =
                    || Fault::new("GenericVmConfigFault", "The operation was canceled by the answer to a question.");
                return if answer == CANCEL { Err(refused()) } else { Ok(()) };
            }
            tokio::select! {
                changed = clock.changed() => if changed.is_err() { return Ok(()) },
                () = self.closing.cancelled() => return Ok(()),
            }
        }
    }

    /// The answer to what a machine asked, once there is one.
    fn answered(&self, vm: &Moref) -> Answer<Option<String>> {
        let mut state = self.lock();
        let machine = state.inventory.vm(vm)?;
        if machine.question.is_some() {
            return Ok(None);
        }
        Ok(Some(state.inventory.change_vm(vm)?.answer.take().unwrap_or_default()))
    }

    /// `AnswerVM`.
    pub(in crate::sandbox) fn answer(&self, vm: &Moref, question: &str, choice: &str) -> Answer<()> {
        let mut state = self.lock();
        let machine = state.inventory.change_vm(vm)?;
        match &machine.question {
            Some(pending) if pending.id == question => {
                if !pending.choice.choice_info.iter().any(|c| c.key == choice) {
                    return Err(crate::sandbox::faults::invalid_argument("answerChoice"));
                }
                (machine.question, machine.answer) = (None, Some(choice.to_owned()));
            }
            Some(_) => return Err(crate::sandbox::faults::invalid_argument("questionId")),
            None => return Err(invalid_state("The virtual machine has no pending question.")),
        }
        Ok(())
    }
}

/// The address that Tools report as the machine's: the first of version 4, else the first that isn't of the link only.
fn primary(nics: &[NicReport]) -> Option<String> {
    let all = || nics.iter().filter(|nic| nic.up).flat_map(|nic| nic.addresses.iter().map(|(ip, _)| *ip));
    let wide = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if !ip.is_unicast_link_local());
    all().find(IpAddr::is_ipv4).or_else(|| all().find(wide)).map(|ip| ip.to_string())
}

/// A machine's address: its number within 10.0.0.0/8, without those that end in 0 or 255.
fn address_of(vm: &Moref) -> Ipv4Addr {
    let number: u32 = vm.value.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or_default();
    let (high, low) = (number / 254, number % 254 + 1);
    Ipv4Addr::from((10 << 24) | ((high & 0xffff) << 8) | low)
}

fn bytes_of(mac: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> = mac.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
    bytes?.try_into().ok()
}
