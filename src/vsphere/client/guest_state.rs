//! What the server knows of a guest, and waiting for it.

use super::endpoint::Deadline;
use super::error::Result;
use super::properties::Properties;
use super::session::Client;
use crate::vsphere::wire::{Moref, PowerState, VirtualMachineQuestionInfo};

const PATHS: &[&str] = &[
    "runtime.powerState",
    "runtime.host",
    "runtime.question",
    "guest.toolsRunningStatus",
    "guest.guestOperationsReady",
    "guest.guestFamily",
    "guest.guestFullName",
    "guest.hostName",
    "guest.ipAddress",
];

/// What the server knows of a guest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GuestState {
    /// Whether the virtual machine runs.
    pub power: PowerState,
    /// `guestToolsRunning` and others; none when unset.
    pub tools_running: Option<String>,
    /// Whether guest operations can be done; none where the server never says.
    pub operations_ready: Option<bool>,
    /// `linuxGuest`, `windowsGuest` and others; none when unset.
    pub family: Option<String>,
    /// The guest operating system's name, where known.
    pub full_name: Option<String>,
    /// The guest's own name, where known.
    pub host_name: Option<String>,
    /// The guest's main address, where known.
    pub ip: Option<String>,
    /// The host it runs on.
    pub host: Option<Moref>,
    /// A pending question.
    pub question: Option<VirtualMachineQuestionInfo>,
}

impl GuestState {
    fn of(p: &Properties) -> Self {
        let text = |path: &str| p.text(path).filter(|t| !t.is_empty()).map(str::to_owned);
        GuestState {
            power: p.get("runtime.powerState").unwrap_or_default(),
            tools_running: text("guest.toolsRunningStatus"),
            operations_ready: p.get("guest.guestOperationsReady"),
            family: text("guest.guestFamily"),
            full_name: text("guest.guestFullName"),
            host_name: text("guest.hostName"),
            ip: text("guest.ipAddress"),
            host: p.get("runtime.host"),
            question: p.get("runtime.question"),
        }
    }

    /// Whether VMware Tools run, as far as the server says.
    pub fn tools_run(&self) -> bool {
        self.tools_running.as_deref() == Some("guestToolsRunning")
    }
}

impl Client {
    /// What the server knows of the guest, as it is now.
    pub async fn guest_state(&self, vm: &Moref) -> Result<GuestState> {
        Ok(GuestState::of(&self.properties(vm, PATHS).await?))
    }

    /// Waits until `found` answers `Some`, which it is asked for the present state and after every change.
    pub async fn wait_guest_state<T>(
        &self,
        vm: &Moref,
        deadline: Deadline,
        what: &str,
        mut found: impl FnMut(&GuestState) -> Option<T> + Send,
    ) -> Result<T> {
        self.watch(vm, PATHS).until(deadline, what, |p| Ok(found(&GuestState::of(p)))).await
    }
}
