//! Hearing that something about many objects has changed, by the server's own notices.

use std::time::Duration;

use tokio::sync::mpsc;

use super::error::{Error, Result};
use super::properties::spec_of;
use super::session::Client;
use super::watch::{Hold, READ};
use crate::vsphere::wire::{CreateFilter, CreatePropertyCollector, DestroyPropertyCollector, Moref, WaitForUpdatesEx};

/// How long destroying a collector may take.
const CLEANUP: Duration = Duration::from_secs(10);
/// Pauses before a collector that was lost is made anew: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Tells when something has changed about the objects that it was made for, or one of them is gone. What, is the
/// listener's to look at. Its collector on the server ends soon after it is dropped.
pub struct Signs {
    changes: mpsc::Receiver<Result<()>>,
}

impl Client {
    /// Listens for changes of properties of objects; the paths are for all objects of their list, which are of one kind.
    /// The first sign comes at once: what changed before the server was asked isn't missed.
    pub fn signs(&self, of: Vec<(Vec<Moref>, &'static [&'static str])>) -> Signs {
        // One that nobody has taken yet stands for all that follow.
        let (sender, changes) = mpsc::channel(1);
        let of = of.into_iter().filter(|(objects, _)| !objects.is_empty()).collect();
        self.inner.background.spawn(follow(self.clone(), of, sender));
        Signs { changes }
    }
}

impl Signs {
    /// Returns at the next sign. An error is told once, and listening goes on by itself.
    pub async fn next(&mut self) -> Result<()> {
        match self.changes.recv().await {
            Some(sign) => sign,
            None => Err(Error::Usage("the session has ended".to_owned())),
        }
    }
}

type Of = Vec<(Vec<Moref>, &'static [&'static str])>;

async fn follow(client: Client, of: Of, sender: mpsc::Sender<Result<()>>) {
    let (mut pause, most) = PAUSES;
    let mut hold = Hold::default();
    loop {
        let generation = client.generation();
        let mut heard = false;
        let Err(error) = with_collector(&client, &of, &sender, &hold, &mut heard).await else { return };
        hold.failed(&error);
        if heard {
            pause = PAUSES.0;
        }
        if error.is_fault("NotAuthenticated") {
            // What fails here fails again, and is told, at the next call.
            let _ = client.renew(generation).await;
        }
        let lost = error.is_fault("InvalidCollectorVersion") || error.is_fault("ManagedObjectNotFound");
        if !lost && !error.is_fault("NotAuthenticated") {
            // Full: the listener has something to look at already.
            let _ = sender.try_send(Err(error));
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(most),
            () = sender.closed() => return,
            () = client.inner.closing.cancelled() => return,
        }
    }
}

async fn with_collector(
    client: &Client,
    of: &Of,
    sender: &mpsc::Sender<Result<()>>,
    hold: &Hold,
    heard: &mut bool,
) -> Result<()> {
    let create = CreatePropertyCollector { this: client.content().property_collector.clone() };
    let collector = client.call(&create).await?;
    let outcome = tokio::select! {
        () = sender.closed() => Ok(()),
        () = client.inner.closing.cancelled() => Ok(()),
        outcome = updates(client, &collector, of, (sender, hold), heard) => outcome,
    };
    // One that can't be destroyed dies with the session.
    let destroy = DestroyPropertyCollector { this: collector };
    let _ = tokio::time::timeout(CLEANUP, client.call(&destroy)).await;
    outcome
}

async fn updates(
    client: &Client,
    collector: &Moref,
    of: &Of,
    (sender, hold): (&mpsc::Sender<Result<()>>, &Hold),
    heard: &mut bool,
) -> Result<()> {
    for (objects, paths) in of {
        let spec = spec_of(objects, paths);
        client.call(&CreateFilter { this: collector.clone(), spec, partial_updates: false }).await?;
    }
    let mut wait = WaitForUpdatesEx { this: collector.clone(), version: Some(String::new()), options: hold.options() };
    loop {
        // No answer means that nothing has changed for as long as the server was to wait.
        let Some(set) = client.call_within(&wait, READ).await? else { continue };
        wait.version = Some(set.version);
        *heard = true;
        // Full: there is a sign that nobody has taken yet.
        let _ = sender.try_send(Ok(()));
    }
}
