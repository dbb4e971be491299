//! `OUTPUT --exists=replace`: once everything is built, the new machine takes the old one's name and the old one goes.

use std::sync::Mutex;

use super::ledger::{EntryId, State};
use super::library;
use super::options::BuiltOutput;
use super::shared::{Shared, Stop};
use crate::source::Span;
use crate::vsphere::client::{Deadline, Error};
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

/// Does them all, after what is left in content libraries. At the first failure the old machine has its name back, and the rest is not begun.
pub(super) async fn run(shared: &Shared) -> Result<Vec<BuiltOutput>, Stop> {
    let items = library::publish(shared).await?;
    for swap in shared.swaps.all() {
        one(shared, &swap).await?;
    }
    Ok(items)
}

async fn one(shared: &Shared, swap: &Swap) -> Result<(), Stop> {
    let limit = || Deadline::after(shared.options.deadlines.task);
    let failed = |e: &_| Stop::vsphere(e, swap.span, "replacing");
    let aside = aside(&swap.name, &shared.options.build);
    // An earlier process of this build may have done a part of it.
    let name = name_of(shared, &swap.new).await.map_err(|e| failed(&e))?;
    let old = name_of(shared, &swap.old).await.map_err(|e| failed(&e))?;
    if name.as_deref() != Some(swap.name.as_str()) {
        if old.as_ref().is_some_and(|old| *old != aside) {
            shared.client.rename(&swap.old, &aside, limit()).await.map_err(|e| failed(&e))?;
        }
        if let Err(error) = shared.client.rename(&swap.new, &swap.name, limit()).await {
            // The old one is still good: it gets its name back.
            let _ = shared.client.rename(&swap.old, &swap.name, limit()).await;
            return Err(failed(&error));
        }
        shared.ledger.rename(swap.entry, &swap.name);
    }
    shared.ledger.set(swap.entry, State::Published(swap.new.clone()));
    if old.is_some()
        && let Err(error) = shared.client.destroy_vm(&swap.old, limit()).await
    {
        shared
            .events
            .note(None, &format!("the replaced `{}` could not be removed, and is now `{aside}`: {error}", swap.name));
    }
    Ok(())
}

/// What a machine is called now; None when there is none any more.
async fn name_of(shared: &Shared, vm: &Moref) -> Result<Option<String>, Error> {
    match shared.client.vm_state(vm).await {
        Ok(state) => Ok(Some(state.name)),
        Err(error) if error.is_fault("ManagedObjectNotFound") => Ok(None),
        Err(error) => Err(error),
    }
}

/// A passing name of at most 80 characters.
pub(super) fn aside(name: &str, build: &str) -> String {
    let tail = format!("-replaced-{build}");
    let head: String = name.chars().take(80usize.saturating_sub(tail.len())).collect();
    head + &tail
}
