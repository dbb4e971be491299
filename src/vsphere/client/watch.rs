//! Waiting for properties, by the server's own notices.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::endpoint::Deadline;
use super::error::{Error, Result};
use super::properties::{Properties, spec_of};
use super::session::Client;
use crate::vsphere::wire::{
    CreateFilter, CreatePropertyCollector, DestroyPropertyCollector, DestroyPropertyFilter, Moref, ObjectUpdateKind,
    PropertyChange, PropertyChangeOp, UpdateSet, WaitForUpdatesEx, WaitOptions,
};

/// How long such an answer is awaited: longer, so that it is the server that ends the wait.
pub(super) const READ: Duration = Duration::from_secs(180);
/// How long destroying a collector may take.
const CLEANUP: Duration = Duration::from_secs(10);
/// How often a watcher begins anew because its collector died with an expired session, unless one lived for so long.
const RESTARTS: usize = 10;
const STEADY: Duration = Duration::from_secs(5);
/// Pause before a collector is made anew after a lost reply.
const PAUSE: Duration = Duration::from_millis(250);

/// How many seconds the server holds a wait open before it answers that nothing has changed. What stands in between may
/// cut connections on which nothing happens for so long: then it is less.
pub(super) struct Hold(i32);

impl Hold {
    const LONGEST: Hold = Hold(120);
    const SHORTEST: i32 = 15;

    pub(super) fn options(&self) -> Option<WaitOptions> {
        Some(WaitOptions { max_wait_seconds: Some(self.0), max_object_updates: None })
    }

    /// What was asked with it has failed.
    pub(super) fn failed(&mut self, error: &Error) {
        if error.lost_reply() {
            self.0 = (self.0 / 2).max(Self::SHORTEST);
        }
    }
}

impl Default for Hold {
    fn default() -> Self {
        Self::LONGEST
    }
}

/// Follows properties of one object. Its collector on the server is left to the next watcher when it is dropped, or ends soon
/// after, by a task that cancellation does not cut; [`Client::logout`] waits for that.
pub struct Watcher {
    client: Client,
    object: Moref,
    paths: Vec<String>,
    values: Properties,
    updates: Option<mpsc::Receiver<Result<Update>>>,
    /// Asks for the next update. Nothing is waited for in advance: most watchers end with what they have just got.
    demand: Arc<Notify>,
    /// Whether an update was asked for that has not come.
    asked: bool,
}

/// What has changed.
struct Update {
    /// Whether these are all values there are, rather than changes of what was known.
    fresh: bool,
    changes: Vec<PropertyChange>,
}

impl Client {
    /// Begins to follow properties of an object. Sends nothing until the first wait.
    pub fn watch(&self, object: &Moref, paths: &[&str]) -> Watcher {
        Watcher {
            client: self.clone(),
            object: object.clone(),
            paths: paths.iter().map(|p| (*p).to_owned()).collect(),
            values: Properties::default(),
            updates: None,
            demand: Arc::default(),
            asked: false,
        }
    }
}

impl Watcher {
    /// Waits for the next change (at first: for the present values) and returns all values then known.
    /// `what` says what is awaited, for the message when the deadline passes.
    pub async fn next(&mut self, deadline: Deadline, what: &str) -> Result<&Properties> {
        let (client, object, paths) = (&self.client, &self.object, &self.paths);
        if !std::mem::replace(&mut self.asked, true) && self.updates.is_some() {
            self.demand.notify_one();
        }
        let demand = &self.demand;
        let updates = self.updates.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(1);
            let (client, object, paths) = (client.clone(), object.clone(), paths.clone());
            let background = client.inner.background.clone();
            background.spawn(follow(client, object, paths, Listener { sender, demand: Arc::clone(demand) }));
            receiver
        });
        let received = deadline.limit(what, async { Ok(updates.recv().await) }).await?;
        self.asked = false;
        let Some(update) = received else {
            return Err(Error::Usage(format!("the session has ended while waiting for {what}")));
        };
        let update = update?;
        if update.fresh {
            self.values.values.clear();
        }
        for change in update.changes {
            match (change.op, change.val) {
                (PropertyChangeOp::Remove | PropertyChangeOp::IndirectRemove, _) | (_, None) => {
                    self.values.values.remove(&change.name);
                }
                (_, Some(val)) => {
                    self.values.values.insert(change.name, val);
                }
            }
        }
        Ok(&self.values)
    }

    /// Waits until `found` answers `Some`, which it is asked for the present values and after every change.
    pub async fn until<T>(
        &mut self,
        deadline: Deadline,
        what: &str,
        mut found: impl FnMut(&Properties) -> Result<Option<T>> + Send,
    ) -> Result<T> {
        loop {
            if let Some(answer) = found(self.next(deadline, what).await?)? {
                return Ok(answer);
            }
        }
    }
}

/// The watcher, as the task that feeds it sees it.
struct Listener {
    sender: mpsc::Sender<Result<Update>>,
    demand: Arc<Notify>,
}

/// Feeds a watcher until it is dropped or the session ends.
async fn follow(client: Client, object: Moref, paths: Vec<String>, listener: Listener) {
    let mut restarts = 0;
    let mut hold = Hold::default();
    loop {
        let generation = client.generation();
        let begun = Instant::now();
        let error = match with_collector(&client, &object, &paths, &listener, &hold).await {
            Ok(()) => return,
            Err(error) => error,
        };
        hold.failed(&error);
        if begun.elapsed() >= STEADY {
            restarts = 0;
        }
        // The collector dies with its session; the next call has logged in again.
        let lost = error.is_fault("InvalidCollectorVersion")
            || matches!(&error, Error::Fault { object, fault, .. }
                if object.kind.starts_with("PropertyCollector") && fault.is_a("ManagedObjectNotFound")
                    && fault.object("obj").is_none_or(|gone| gone == *object));
        let expired = error.is_fault("NotAuthenticated");
        if expired && restarts < RESTARTS && client.renew(generation).await.is_err() {
            let _ = listener.sender.send(Err(error)).await;
            return;
        }
        // A lost reply may have been about a collector that nobody knows now: it dies with the session.
        if (lost || expired || error.lost_reply()) && restarts < RESTARTS {
            restarts += 1;
            if error.lost_reply() {
                tokio::time::sleep(PAUSE).await;
            }
            continue;
        }
        // Nobody may be left to tell.
        let _ = listener.sender.send(Err(error)).await;
        return;
    }
}

/// A collector that nobody waits with, and the filter that its last user has left.
pub(super) struct Idle {
    collector: Moref,
    filter: Moref,
    generation: u64,
}

/// What a watcher has on the server.
#[derive(Default)]
struct Own {
    filter: Option<Moref>,
    /// Whether a wait is on its way: nobody else can wait with the collector then.
    waits: bool,
}

/// Takes a collector that is idle, or makes one; follows; leaves it to the next who needs one, or destroys it.
async fn with_collector(
    client: &Client,
    object: &Moref,
    paths: &[String],
    listener: &Listener,
    hold: &Hold,
) -> Result<()> {
    let generation = client.generation();
    let idle = {
        let mut idle = client.inner.collectors.lock().unwrap_or_else(PoisonError::into_inner);
        // Others died with their session.
        idle.retain(|idle| idle.generation == generation);
        idle.pop()
    };
    let (collector, old) = match idle {
        Some(idle) => (idle.collector, Some(idle.filter)),
        None => {
            let create = CreatePropertyCollector { this: client.content().property_collector.clone() };
            (client.call(&create).await?, None)
        }
    };
    let mut own = Own::default();
    let outcome = tokio::select! {
        () = listener.sender.closed() => Ok(()),
        () = client.inner.closing.cancelled() => Ok(()),
        outcome = updates(client, (&collector, old), (object, paths), (listener, hold), &mut own) => outcome,
    };
    match own.filter {
        // It is left with its filter: who takes it next removes that.
        Some(filter) if !own.waits && outcome.is_ok() => {
            let idle = Idle { collector, filter, generation };
            client.inner.collectors.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        }
        _ => {
            // A collector that can't be destroyed dies with the session.
            let destroy = DestroyPropertyCollector { this: collector };
            let _ = tokio::time::timeout(CLEANUP, client.call(&destroy)).await;
        }
    }
    outcome
}

async fn updates(
    client: &Client,
    (collector, old): (&Moref, Option<Moref>),
    (object, paths): (&Moref, &[String]),
    (listener, hold): (&Listener, &Hold),
    own: &mut Own,
) -> Result<()> {
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let spec = spec_of(std::slice::from_ref(object), &paths);
    let create = CreateFilter { this: collector.clone(), spec, partial_updates: false };
    let remove = async {
        if let Some(old) = old {
            let _ = client.call(&DestroyPropertyFilter { this: old }).await;
        }
    };
    let (created, ()) = tokio::join!(client.call(&create), remove);
    own.filter = Some(created?);
    let mut wait = WaitForUpdatesEx { this: collector.clone(), version: Some(String::new()), options: hold.options() };
    let mut fresh = true;
    loop {
        own.waits = true;
        // No answer means that nothing has changed for as long as the server was to wait.
        let Some(set) = client.call_within(&wait, READ).await? else { continue };
        own.waits = false;
        wait.version = Some(set.version.clone());
        let changes = changes_of(set, object)?;
        if listener.sender.send(Ok(Update { fresh, changes })).await.is_err() {
            return Ok(());
        }
        fresh = false;
        listener.demand.notified().await;
    }
}

fn changes_of(set: UpdateSet, object: &Moref) -> Result<Vec<PropertyChange>> {
    let fault =
        |fault| Error::Fault { call: "WaitForUpdatesEx".to_owned(), object: object.clone(), fault: Box::new(fault) };
    let mut changes = Vec::new();
    for filter in set.filter_set {
        if let Some(missing) = filter.missing_set.into_iter().find(|m| m.obj == *object) {
            return Err(fault(missing.fault));
        }
        for update in filter.object_set.into_iter().filter(|u| u.obj == *object) {
            if update.kind == ObjectUpdateKind::Leave {
                return Err(fault(gone(object)));
            }
            if let Some(missing) = update.missing_set.into_iter().find(|m| m.fault.is_a("NoPermission")) {
                return Err(fault(missing.fault));
            }
            changes.extend(update.change_set);
        }
    }
    Ok(changes)
}

/// The fault of an object that vanished while it was followed.
fn gone(object: &Moref) -> crate::vsphere::wire::Fault {
    crate::vsphere::wire::Fault::new("ManagedObjectNotFound", "the object was deleted").with("obj", object.clone())
}
