//! Removing what builds have left in vCenter: only what stands in a build's journal, bears that build's mark in its
//! extraConfig, and is still as the build has left it.

use std::time::Duration;

use super::journal::{Journal, Left, Past, Record};
use super::ledger::State;
use super::publish::aside;
use super::resume::is_ours;
use crate::plan::made_by;
use crate::vsphere::client::{Client, Deadline, Error, LibraryItem};
use crate::vsphere::wire::Moref;

/// How long one thing may take: a clone that is under way to end, a machine to be removed.
const LIMIT: Duration = Duration::from_secs(600);

/// What is to become of something that a build has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can be removed.
    Remove(Moref),
    /// There is nothing any more.
    Gone,
    /// It isn't touched: why.
    Spared(String),
}

/// Looks at one. Nothing is changed but that a clone which is still under way is cancelled, unless only looking.
///
/// # Errors
/// vCenter can't tell.
pub async fn look(client: &Client, build: &str, left: &Left, only_look: bool) -> Result<Verdict, Error> {
    let vm = match &left.vm {
        Some(vm) => Some(vm.clone()),
        None => {
            match &left.task {
                Some(task) if !only_look => client.cancel_task(task, Deadline::after(LIMIT)).await?,
                _ => client.clones_settled(&left.source, Deadline::after(LIMIT)).await.or_else(unless_gone)?,
            }
            client.vm_in_folder(&left.folder, &left.name).await?
        }
    };
    let Some(vm) = vm else { return Ok(Verdict::Gone) };
    let state = match client.vm_state(&vm).await {
        Ok(state) => state,
        Err(e) if e.is_fault("ManagedObjectNotFound") => return Ok(Verdict::Gone),
        Err(e) => return Err(e),
    };
    if !is_ours(client, &vm, build, &left.label).await? {
        return Ok(Verdict::Spared("it doesn't bear the mark of this build".to_owned()));
    }
    if let Some((old, name)) = &left.replaces {
        let set_aside = match client.vm_state(old).await {
            Ok(old) => old.name == aside(name, build),
            Err(e) if e.is_fault("ManagedObjectNotFound") => true,
            Err(e) => return Err(e),
        };
        if set_aside || state.name == *name {
            return Ok(Verdict::Spared(format!(
                "it is complete, and was just taking the place of `{name}`: `vmwbuild resume {build}` ends that"
            )));
        }
    }
    // One that was deployed may not have its name yet.
    if state.name != left.name && !state.name.starts_with(&format!("vmwbuild-{build}-")) {
        return Ok(Verdict::Spared(format!("it has been renamed to `{}`", state.name)));
    }
    if state.template && !left.template {
        return Ok(Verdict::Spared("it has been made a template".to_owned()));
    }
    Ok(Verdict::Remove(vm))
}

fn unless_gone(error: Error) -> Result<(), Error> {
    if error.is_fault("ManagedObjectNotFound") { Ok(()) } else { Err(error) }
}

/// Removes one that may be.
///
/// # Errors
/// It is still there.
pub async fn remove(client: &Client, journal: &Journal, left: &Left, vm: &Moref) -> Result<(), Error> {
    journal.note(&Record::Removing { entry: left.entry });
    client.destroy_vm(vm, Deadline::after(LIMIT)).await?;
    journal.note(&Record::Gone { entry: left.entry });
    Ok(())
}

/// An item of a library that a build has begun, and not ended.
pub struct HalfItem {
    /// Library and name.
    pub path: String,
    record: Record,
    /// What is removed.
    remove: Vec<LibraryItem>,
    /// What was replaced, and gets its name back.
    back: Option<(LibraryItem, String)>,
}

impl HalfItem {
    /// In words: what is removed.
    pub fn words(&self) -> String {
        match (&self.back, self.remove.is_empty()) {
            (None, _) => format!("library item {}", self.path),
            (Some(_), false) => format!("library item {}, and the one before has its name back", self.path),
            (Some((old, _)), true) => {
                format!("the name `{}`, which library item {} had in passing", old.name, self.path)
            }
        }
    }
}

/// The items that a build has left half-made, once nothing is under way any more. What isn't there is forgotten.
///
/// # Errors
/// vCenter can't tell.
pub async fn half_items(
    client: &Client,
    build: &str,
    past: &Past,
    journal: &Journal,
    only_look: bool,
) -> Result<Vec<HalfItem>, Error> {
    let mut found = Vec::new();
    for ((library, name), item) in &past.items {
        if item.left {
            continue;
        }
        let of = past.entries.iter().find(|e| e.machine == item.machine);
        if let Some(State::Made(vm) | State::Unpublished(vm) | State::Published(vm)) = of.map(|e| &e.state)
            && !only_look
        {
            client.at_rest(vm, Deadline::after(LIMIT)).await.or_else(unless_gone)?;
        }
        if !item.is_half() {
            continue;
        }
        let mut half = HalfItem {
            path: format!("{library}/{name}"),
            record: Record::NoItem { library: library.clone(), name: name.clone() },
            remove: Vec::new(),
            back: None,
        };
        match &item.passing {
            Some(passing) => template(client, build, item, (library, name, passing), &mut half).await?,
            None => {
                let wanted = (library.clone(), name.clone());
                let known = client.libraries(std::slice::from_ref(&wanted)).await?;
                let ours = |item: &&LibraryItem| item.description.as_deref() == Some(made_by(build).as_str());
                half.remove.extend(known.item(library, name).ok().filter(ours).cloned());
            }
        }
        if !half.remove.is_empty() || half.back.is_some() {
            found.push(half);
        } else if !only_look {
            journal.note(&half.record);
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// What is to become of a VM template that was being left, and of what it was to replace. One that has its name is the
/// user's.
async fn template(
    client: &Client,
    build: &str,
    item: &super::journal::Item,
    (library, name, passing): (&str, &str, &str),
    half: &mut HalfItem,
) -> Result<(), Error> {
    let wanted = [name, passing].map(|item| (library.to_owned(), item.to_owned()));
    let known = client.libraries(&wanted).await?;
    half.remove.extend(known.item(library, passing).ok().cloned());
    let old = match &item.old {
        Some(id) => client.library_item_of(id).await?.filter(|old| old.name == super::library::aside(name, build)),
        None => None,
    };
    match (old, known.item(library, name)) {
        (Some(old), Ok(_)) => half.remove.push(old),
        (Some(old), Err(_)) => half.back = Some((old, name.to_owned())),
        (None, _) => {}
    }
    Ok(())
}

/// Removes one of them.
///
/// # Errors
/// It is still there.
pub async fn remove_item(client: &Client, journal: &Journal, half: &HalfItem) -> Result<(), Error> {
    if let Some((old, name)) = &half.back {
        client.rename_item(old, name).await?;
    }
    for item in &half.remove {
        client.delete_item(item).await?;
    }
    journal.note(&half.record);
    Ok(())
}
