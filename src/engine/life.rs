//! What vCenter says of whether machines live, before their guests are asked anything.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::vsphere::client::{Client, Error, Properties, Signs};
use crate::vsphere::wire::{Moref, PowerState};

/// What is read of machines, and of the hosts that they run on.
const OF_MACHINES: &[&str] = &[
    "name",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.host",
    "guest.toolsRunningStatus",
    "guestHeartbeatStatus",
];
const OF_HOSTS: &[&str] = &["name", "runtime.connectionState"];

/// How machines and their hosts stand.
pub(super) struct Life {
    machines: BTreeMap<Moref, Properties>,
    hosts: BTreeMap<Moref, Properties>,
}

impl Life {
    /// Asks vCenter.
    ///
    /// # Errors
    /// It can't tell.
    pub(super) async fn of(client: &Client, vms: &[Moref]) -> Result<Life, Error> {
        let machines: BTreeMap<Moref, Properties> = client.properties_of(vms, OF_MACHINES).await?.into_iter().collect();
        let mut hosts: Vec<Moref> = machines.values().filter_map(|p| p.get("runtime.host")).collect();
        hosts.sort();
        hosts.dedup();
        let hosts = client.properties_of(&hosts, OF_HOSTS).await?.into_iter().collect();
        Ok(Life { machines, hosts })
    }

    /// Those hosts.
    pub(super) fn hosts(&self) -> Vec<Moref> {
        self.hosts.keys().cloned().collect()
    }

    /// What is known of a machine; None where there is none any more.
    fn machine(&self, vm: &Moref) -> Option<&Properties> {
        self.machines.get(vm).filter(|p| p.text("name").is_some())
    }

    /// Whether it is there.
    pub(super) fn is_there(&self, vm: &Moref) -> bool {
        self.machine(vm).is_some()
    }

    /// Whether something can be done with it, if only to say that there is none any more.
    pub(super) fn is_reached(&self, vm: &Moref) -> bool {
        let state = self.machine(vm).and_then(|p| p.text("runtime.connectionState"));
        state.is_none_or(|state| state == "connected")
    }

    /// Why nothing can be done with it: its host is lost, or its files are.
    pub(super) fn lost(&self, vm: &Moref) -> Option<String> {
        let properties = self.machine(vm)?;
        let host = properties.get::<Moref>("runtime.host").and_then(|host| self.hosts.get(&host));
        let state = host.and_then(|h| h.text("runtime.connectionState")).unwrap_or("connected");
        if state != "connected" {
            let name = host.and_then(|h| h.text("name")).unwrap_or_default();
            let how = if state == "notResponding" { "silent" } else { "disconnected" };
            return Some(format!("its host {name} is {how}"));
        }
        match properties.text("runtime.connectionState") {
            None | Some("connected") => None,
            Some(other) => Some(format!("vCenter has lost it: it is {other}")),
        }
    }

    /// Why it may be dead.
    pub(super) fn sign(&self, vm: &Moref) -> Option<String> {
        if let Some(why) = self.lost(vm) {
            return Some(why);
        }
        let properties = self.machine(vm)?;
        match properties.get::<PowerState>("runtime.powerState").unwrap_or_default() {
            PowerState::On => {}
            PowerState::Suspended => return Some("it is suspended".to_owned()),
            PowerState::Off | PowerState::Other(_) => return Some("it is powered off".to_owned()),
        }
        if properties.text("guest.toolsRunningStatus").is_some_and(|s| s == "guestToolsNotRunning") {
            return Some("its VMware Tools don't answer".to_owned());
        }
        (properties.text("guestHeartbeatStatus") == Some("red")).then(|| "its guest gives no heartbeat".to_owned())
    }
}

/// Listens for changes of what is read.
pub(super) fn signs(client: &Client, vms: Vec<Moref>, hosts: Vec<Moref>) -> Signs {
    client.signs(vec![(vms, OF_MACHINES), (hosts, OF_HOSTS)])
}

/// Those with which nothing can be done, and couldn't until that moment; why. Whoever is lost now is told to `waits`.
///
/// # Errors
/// vCenter can't tell.
pub(super) async fn lost_until(
    client: &Client,
    vms: &[Moref],
    until: Instant,
    waits: impl Fn(&Moref, &str),
) -> Result<BTreeMap<Moref, String>, Error> {
    let life = Life::of(client, vms).await?;
    let mut lost = missing(&life, vms.iter());
    if lost.is_empty() {
        return Ok(lost);
    }
    lost.iter().for_each(|(vm, why)| waits(vm, why));
    let mut changes = signs(client, lost.keys().cloned().collect(), life.hosts());
    while !lost.is_empty() {
        tokio::select! {
            () = tokio::time::sleep_until(until) => break,
            change = changes.next() => change?,
        }
        // One that has come back has lived all the time.
        lost = missing(&Life::of(client, vms).await?, lost.keys());
    }
    Ok(lost)
}

fn missing<'a>(life: &Life, vms: impl Iterator<Item = &'a Moref>) -> BTreeMap<Moref, String> {
    vms.filter_map(|vm| Some((vm.clone(), life.lost(vm)?))).collect()
}
