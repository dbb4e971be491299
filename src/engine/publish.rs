//! `OUTPUT --exists=replace`: once everything is built, the new machine takes the old one's name and the old one goes.
//! `OUTPUT --after`: only then it gets its name at all.

use std::sync::{Mutex, MutexGuard};

use super::event::{Later, MachineId, MachineResult, Node};
use super::ledger::{EntryId, State};
use super::library;
use super::options::BuiltOutput;
use super::ova;
use super::shared::{Shared, Stop};
use crate::sema::program::{Exists, Machine};
use crate::source::Span;
use crate::vsphere::client::{Deadline, Error};
use crate::vsphere::wire::Moref;

/// One name to be given.
#[derive(Clone, Debug)]
pub(super) struct Swap {
    pub(super) entry: EntryId,
    pub(super) new: Moref,
    /// What it replaces, if anything.
    pub(super) old: Option<Moref>,
    /// The machines that must have ended well first.
    pub(super) after: Vec<MachineId>,
    pub(super) name: String,
    pub(super) span: Span,
}

/// Swaps, in the order in which their machines finished.
#[derive(Default)]
pub(super) struct Swaps {
    list: Mutex<Vec<Swap>>,
    /// What is told of each once it is published.
    outputs: Mutex<Vec<BuiltOutput>>,
}

impl Swaps {
    pub(super) fn push(&self, swap: Swap) {
        self.list.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(swap);
    }

    /// The one by which a machine gets its name, if it hasn't one yet.
    fn of(&self, moref: &str) -> Option<Swap> {
        let list = self.list.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        list.iter().find(|swap| swap.new.value == moref).cloned()
    }

    fn outputs(&self) -> MutexGuard<'_, Vec<BuiltOutput>> {
        self.outputs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Swap> {
        self.list.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// How a machine that is done has ended: what it has left, and what it leaves when everything is built. The views are told of
/// the former.
pub(super) fn told(shared: &Shared, machine: &Machine, outputs: &[BuiltOutput]) -> MachineResult {
    let (mut what, mut later) = (Vec::new(), Vec::new());
    for output in outputs {
        let named = format!("{} {}", output.kind, output.name);
        let Some(swap) = shared.swaps.of(&output.moref) else {
            shared.events.send(output.event(false));
            what.push(named);
            continue;
        };
        shared.swaps.outputs().push(output.clone());
        later.push(Later { what: named, when: when(shared, &swap.after, swap.old.is_some()) });
    }
    if let Some(resolved) = shared.resolved.get(&machine.id) {
        let items = resolved.items.iter().filter(|item| !item.is_kept());
        later.extend(items.map(|item| Later {
            what: format!("library item {}/{}", item.library_name, item.name),
            when: when(shared, &item.after, false),
        }));
        let ovas = resolved.ovas.iter().filter(|ova| !ova.there || ova.exists != Exists::Keep);
        later
            .extend(ovas.map(|ova| Later { what: format!("OVA {}", ova.name), when: when(shared, &ova.after, false) }));
    }
    MachineResult::Built { what, later }
}

/// When something is published.
fn when(shared: &Shared, after: &[MachineId], replaces: bool) -> String {
    let labels: Vec<String> = after.iter().map(|id| format!("`{}`", shared.program.machine(*id).label)).collect();
    let place = if replaces { "in the old one's place, " } else { "" };
    match labels.as_slice() {
        [] => format!("{place}at the build's end"),
        [one] => format!("{place}once {one} has passed"),
        _ => format!("{place}once {} have passed", labels.join(", ")),
    }
}

/// Does them all, after what is left in content libraries and files. At the first failure the old machine has its name back, and
/// the rest is not begun.
pub(super) async fn run(shared: &Shared) -> Result<Vec<BuiltOutput>, Stop> {
    let mut items = library::publish(shared).await?;
    items.extend(ova::publish(shared).await?);
    for swap in shared.swaps.all() {
        if passed(shared, &swap.after, &swap.name) {
            one(shared, &swap).await?;
        }
    }
    super::cache::passed(shared).await;
    Ok(items)
}

/// Whether all have ended well that something is to come after. With `--on-error continue` others may have failed.
pub(super) fn passed(shared: &Shared, after: &[MachineId], name: &str) -> bool {
    let ended = |id: &&MachineId| shared.board.is_done(Node::Finish(**id));
    let Some(open) = after.iter().find(|id| !ended(id)) else { return true };
    let label = &shared.program.machine(*open).label;
    shared.events.note(None, &format!("`{name}` isn't published: `{label}` hasn't ended well"));
    false
}

async fn one(shared: &Shared, swap: &Swap) -> Result<(), Stop> {
    let limit = || Deadline::after(shared.options.deadlines.task);
    let doing = if swap.old.is_some() { "replacing" } else { "publishing" };
    let failed = |e: &_| Stop::vsphere(e, swap.span, doing);
    let aside = aside(&swap.name, &shared.options.build);
    // An earlier process of this build may have done a part of it.
    let name = name_of(shared, &swap.new).await.map_err(|e| failed(&e))?;
    let old = match &swap.old {
        Some(old) => name_of(shared, old).await.map_err(|e| failed(&e))?.map(|name| (old, name)),
        None => None,
    };
    if name.as_deref() != Some(swap.name.as_str()) {
        if let Some((old, called)) = &old
            && *called != aside
        {
            shared.client.rename(old, &aside, limit()).await.map_err(|e| failed(&e))?;
        }
        if let Err(error) = shared.client.rename(&swap.new, &swap.name, limit()).await {
            if let Some(old) = &swap.old {
                // The old one is still good: it gets its name back.
                let _ = shared.client.rename(old, &swap.name, limit()).await;
            }
            return Err(failed(&error));
        }
        shared.ledger.rename(swap.entry, &swap.name);
    }
    shared.ledger.set(swap.entry, State::Published(swap.new.clone()));
    let told = shared.swaps.outputs().iter().find(|output| output.moref == swap.new.value).map(|o| o.event(true));
    told.into_iter().for_each(|event| shared.events.send(event));
    if let Some((old, _)) = old
        && let Err(error) = shared.client.destroy_vm(old, limit()).await
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
