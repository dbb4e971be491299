//! Items that are VM templates. They have no versions that could be written anew: the new one is made under a passing
//! name, and takes the old one's name when it is whole. So there is a whole item at every moment, and whoever comes after
//! a process that was killed can tell by the names how far it has come.

use super::limit;
use crate::engine::journal::Record;
use crate::engine::publish;
use crate::engine::shared::{Shared, Stop};
use crate::plan::{Resolved, ResolvedItem, made_by};
use crate::sema::program::Machine;
use crate::vsphere::client::{Error, Library, LibraryItem, NewItem};
use crate::vsphere::wire::Moref;

/// What the replaced one is called until it is removed.
pub fn aside(name: &str, build: &str) -> String {
    publish::aside(name, build)
}

/// What the new one is called until it has its name.
fn passing(name: &str, build: &str) -> String {
    let tail = format!("-new-{build}");
    let head: String = name.chars().take(80usize.saturating_sub(tail.len())).collect();
    head + &tail
}

/// An item on its way.
struct Leaving<'a> {
    shared: &'a Shared,
    machine: &'a Machine,
    item: &'a ResolvedItem,
    library: &'a Library,
    vm: &'a Moref,
    passing: String,
}

/// Leaves a machine so; the item's id. What earlier processes of the build have done isn't done again.
pub(super) async fn leave(
    shared: &Shared,
    machine: &Machine,
    item: &ResolvedItem,
    library: &Library,
    vm: &Moref,
) -> Result<String, Stop> {
    let passing = passing(&item.name, &shared.options.build);
    let leaving = Leaving { shared, machine, item, library, vm, passing };
    let failed = |e: &Error| Stop::vsphere(e, item.span, "leaving the library item");
    let begun = shared.past.items.get(&(item.library_name.clone(), item.name.clone()));
    let old = match begun {
        Some(begun) => begun.old.clone(),
        None => item.existing.as_ref().map(|old| old.id.clone()),
    };
    let (id, named) = match begun {
        Some(_) => match leaving.begun().await.map_err(|e| failed(&e))? {
            Some(there) => (there.id.clone(), there.name == item.name),
            None => (leaving.make(old.as_deref()).await?, false),
        },
        None => (leaving.make(old.as_deref()).await?, false),
    };
    if !named && let Err(error) = leaving.swap(&id, old.as_deref()).await {
        return Err(failed(&error));
    }
    leaving.tidy(old.as_deref()).await;
    let (library, name) = (item.library_name.clone(), item.name.clone());
    shared.journal.note(&Record::LeftItem { library, name });
    Ok(id)
}

impl Leaving<'_> {
    /// What an earlier process of the build has made, under whichever name.
    async fn begun(&self) -> Result<Option<LibraryItem>, Error> {
        let Leaving { shared, item, library, .. } = self;
        // It may be on its way yet.
        shared.client.at_rest(self.vm, limit(shared)).await?;
        let past = shared.past.items.get(&(item.library_name.clone(), item.name.clone()));
        if let Some(new) = shared.client.library_item(library, &self.passing).await? {
            if new.template.is_some() {
                return Ok(Some(new));
            }
            // Nobody can make a machine of it.
            shared.client.delete_item(&new).await?;
            return Ok(None);
        }
        let named = shared.client.library_item(library, &item.name).await?;
        Ok(named.filter(|named| past.is_some_and(|past| past.is_new(named, &shared.options.build))))
    }

    /// Makes it, under its passing name.
    async fn make(&self, old: Option<&str>) -> Result<String, Stop> {
        let Leaving { shared, machine, item, library, vm, passing } = self;
        let failed = |e: &Error| Stop::vsphere(e, item.span, "leaving the library item");
        let place = shared.resolved.get(&machine.id).map(|resolved: &Resolved| &resolved.placement);
        let place = place.ok_or(Stop::Cancelled)?;
        let record = Record::Leaving {
            machine: machine.id.0,
            library: item.library_name.clone(),
            name: item.name.clone(),
            before: old.is_some(),
            passing: passing.clone(),
            old: old.unwrap_or_default().to_owned(),
        };
        shared.journal.intend(&record).await.map_err(|e| Stop::journal(&e))?;
        let about = made_by(&shared.options.build);
        let new = NewItem { library, name: passing, about: &about };
        // Not interruptible: a request that is under way makes an item.
        let error = match shared.client.capture_template(vm, new, place, limit(shared)).await {
            Ok(id) => {
                let (library, name) = (item.library_name.clone(), item.name.clone());
                shared.journal.note(&Record::MadeItem { library, name, id: id.clone() });
                return Ok(id);
            }
            Err(error) => error,
        };
        if error.lost_reply() {
            let _ = shared.client.at_rest(vm, limit(shared)).await;
        }
        let half = match shared.client.library_item(library, passing).await {
            // The answer was lost, and nothing else.
            Ok(Some(whole)) if error.lost_reply() && whole.template.is_some() => return Ok(whole.id),
            Ok(half) => half,
            Err(_) => return Err(failed(&error)),
        };
        self.remove(half.as_ref()).await;
        Err(failed(&error))
    }

    /// Gives it its name; what it replaces steps aside. Where that fails, all is as it was before.
    async fn swap(&self, id: &str, old: Option<&str>) -> Result<(), Error> {
        let Leaving { shared, item, .. } = self;
        let new = LibraryItem { id: id.to_owned(), name: self.passing.clone(), ..LibraryItem::default() };
        let old = match old {
            Some(id) => shared.client.library_item_of(id).await?.filter(|old| old.name == item.name),
            None => None,
        };
        let swapped = async {
            if let Some(old) = &old {
                shared.client.rename_item(old, &aside(&item.name, &shared.options.build)).await?;
            }
            shared.client.rename_item(&new, &item.name).await
        };
        let Err(error) = swapped.await else { return Ok(()) };
        if let Some(old) = &old
            // The old one is still good: it gets its name back.
            && shared.client.rename_item(old, &item.name).await.is_err()
        {
            // `resume` ends that, or `clean` does it.
            return Err(error);
        }
        self.remove(Some(&new)).await;
        Err(error)
    }

    /// Removes what hasn't got its name.
    async fn remove(&self, half: Option<&LibraryItem>) {
        let gone = match half {
            Some(half) => self.shared.client.delete_item(half).await.is_ok(),
            None => true,
        };
        if gone {
            let (library, name) = (self.item.library_name.clone(), self.item.name.clone());
            self.shared.journal.note(&Record::NoItem { library, name });
        }
    }

    /// Removes what was replaced.
    async fn tidy(&self, old: Option<&str>) {
        let Some(old) = old else { return };
        let Leaving { shared, item, .. } = self;
        let called = aside(&item.name, &shared.options.build);
        let gone = match shared.client.library_item_of(old).await {
            // Somebody has given it another name meanwhile: then it is theirs.
            Ok(found) => match found.filter(|found| found.name == called) {
                Some(found) => shared.client.delete_item(&found).await,
                None => Ok(()),
            },
            Err(error) => Err(error),
        };
        if let Err(error) = gone {
            let text = format!(
                "the replaced `{}/{}` could not be removed, and is now `{called}`: {error}",
                item.library_name, item.name
            );
            shared.events.note(None, &text);
        }
    }
}
