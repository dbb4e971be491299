//! `OUTPUT --exists=replace`: once everything is built, the new machine takes the old one's name and the old one goes.

use std::sync::Mutex;

use super::ledger::{EntryId, State};
use super::shared::{Shared, Stop};
use crate::source::Span;
use crate::vsphere::client::Deadline;
use crate::vsphere::wire::Moref;

/// One swap to come.
#[derive(Clone, Debug)]
pub(super) struct Swap {
    pub(super) entry: EntryId,
    pub(super) new: Moref,
    pub(super) old: Moref,
    pub(super) name: String,
    pub(super) span: Span,
}

/// Swaps, in the order in which their machines finished.
#[derive(Default)]
pub(super) struct Swaps {
    list: Mutex<Vec<Swap>>,
}

impl Swaps {
    pub(super) fn push(&self, swap: Swap) {
        self.list.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(swap);
    }

    /// Whether a machine is to replace another one.
    pub(super) fn has(&self, moref: &str) -> bool {
        self.list.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().any(|swap| swap.new.value == moref)
    }

    fn all(&self) -> Vec<Swap> {
        self.list.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// Does them all. At the first failure the old machine has its name back, and the rest is not begun.
pub(super) async fn run(shared: &Shared) -> Result<(), Stop> {
    for swap in shared.swaps.all() {
        one(shared, &swap).await?;
    }
    Ok(())
}

async fn one(shared: &Shared, swap: &Swap) -> Result<(), Stop> {
    let limit = || Deadline::after(shared.options.deadlines.task);
    let failed = |e: &_| Stop::vsphere(e, swap.span, "replacing");
    let aside = aside(&swap.name, &shared.options.build);
    shared.client.rename(&swap.old, &aside, limit()).await.map_err(|e| failed(&e))?;
    if let Err(error) = shared.client.rename(&swap.new, &swap.name, limit()).await {
        // The old one is still good: it gets its name back.
        let _ = shared.client.rename(&swap.old, &swap.name, limit()).await;
        return Err(failed(&error));
    }
    shared.ledger.rename(swap.entry, &swap.name);
    shared.ledger.set(swap.entry, State::Published);
    if let Err(error) = shared.client.destroy_vm(&swap.old, limit()).await {
        shared
            .events
            .note(None, &format!("the replaced `{}` could not be removed, and is now `{aside}`: {error}", swap.name));
    }
    Ok(())
}

/// A passing name of at most 80 characters.
fn aside(name: &str, build: &str) -> String {
    let tail = format!("-replaced-{build}");
    let head: String = name.chars().take(80usize.saturating_sub(tail.len())).collect();
    head + &tail
}
