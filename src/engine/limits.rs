//! How many clones run at once: in all, and with one host's part. What is too much for vCenter it would only queue or
//! refuse; here it waits where that is seen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::event::MachineId;
use super::options::ClonesAtOnce;
use super::shared::{Shared, Stop};
use crate::source::Span;
use crate::vsphere::wire::Moref;

/// The places.
pub(super) struct Limits {
    most: ClonesAtOnce,
    all: Arc<Semaphore>,
    hosts: Mutex<HashMap<Moref, Arc<Semaphore>>>,
    /// Where sources are, as far as that was asked. Held while asking: many machines have the same source.
    sources: tokio::sync::Mutex<HashMap<Moref, Option<Moref>>>,
}

/// A clone's places; given back when this is dropped.
pub(super) struct Place {
    _held: Vec<OwnedSemaphorePermit>,
}

impl Limits {
    pub(super) fn new(most: ClonesAtOnce) -> Self {
        let all = Arc::new(Semaphore::new(most.in_all.max(1)));
        Limits { most, all, hosts: Mutex::default(), sources: tokio::sync::Mutex::default() }
    }

    fn host(&self, host: &Moref) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hosts.entry(host.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.most.per_host.max(1)))))
    }
}

/// Waits until a clone of `source`, to `target` where a host was asked for, may be begun.
pub(super) async fn place(
    shared: &Shared,
    machine: MachineId,
    source: &Moref,
    target: Option<&Moref>,
    span: Span,
) -> Result<Place, Stop> {
    let limits = &shared.limits;
    let mut hosts: Vec<Moref> = target.into_iter().cloned().collect();
    hosts.extend(source_host(shared, source, span).await?);
    // In one order for all, so that nobody waits for who waits for him. First the hosts: who waits for one of them is not
    // in the way of those that go elsewhere.
    hosts.sort_by(|a, b| a.value.cmp(&b.value));
    hosts.dedup();
    let mut semaphores: Vec<_> =
        hosts.iter().map(|host| (limits.host(host), "--clones-per-host", limits.most.per_host)).collect();
    semaphores.push((Arc::clone(&limits.all), "--clones", limits.most.in_all));
    let mut held = Vec::new();
    for (semaphore, flag, most) in semaphores {
        if semaphore.available_permits() == 0 {
            shared.events.waiting(machine, &format!("its turn to be cloned ({flag} {most})"), None);
        }
        // It is never closed.
        held.extend(shared.interruptible(semaphore.acquire_owned()).await?.ok());
    }
    Ok(Place { _held: held })
}

/// The host that a source is on, whose part it is to read it. Not asked where so few clones are made that no host can have
/// too many.
async fn source_host(shared: &Shared, source: &Moref, span: Span) -> Result<Option<Moref>, Stop> {
    let clones: usize = shared.program.machines.iter().map(|m| m.outputs.len().max(1)).sum();
    if clones <= shared.limits.most.per_host {
        return Ok(None);
    }
    let mut sources = shared.limits.sources.lock().await;
    if let Some(known) = sources.get(source) {
        return Ok(known.clone());
    }
    let properties = shared.interruptible(shared.client.properties(source, &["runtime.host"])).await?;
    let properties = properties.map_err(|e| Stop::vsphere(&e, span, "looking where its source is"))?;
    let host: Option<Moref> = properties.get("runtime.host");
    sources.insert(source.clone(), host.clone());
    Ok(host)
}
