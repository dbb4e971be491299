//! Content libraries: items that machines are deployed from, and items that are left.

use std::collections::HashMap;

use super::clone::{passing_name, target};
use super::event::Phase;
use super::journal::{Past, Record};
use super::ledger::{Entry, EntryId, State};
use super::machine::Worker;
use super::options::BuiltOutput;
use super::shared::{Shared, Stop};
use super::{hardware, resume};
use crate::plan::{self, Deployed, Deploys, Found, Problem, Resolved, ResolvedItem, Wishes, made_by};
use crate::sema::program::{Machine, Program};
use crate::vsphere::client::{Class, Client, Deadline, Error, Libraries, LibraryItem, NewItem, OvfChoices};
use crate::vsphere::wire::Moref;

mod template;

pub use template::aside;

/// Asks vCenter for the libraries and items that a program names.
///
/// # Errors
/// vCenter can't tell.
pub async fn look_up(client: &Client, program: &Program, past: &Past, build: &str) -> Result<Libraries, Error> {
    let wanted = plan::library_items(program);
    if wanted.is_empty() {
        return Ok(Libraries::default());
    }
    let mut found = client.libraries(&wanted).await?;
    // What the build's first process has found: it may have been swapped since.
    for ((library, name), item) in past.items.iter().filter(|(_, item)| item.passing.is_some()) {
        let old = match &item.old {
            Some(id) => client.library_item_of(id).await?,
            None => None,
        };
        match (old, found.item(library, name)) {
            (None, Ok(new)) if item.is_new(new, build) => {
                let ours = LibraryItem { description: Some(made_by(build)), ..new.clone() };
                found.take_for(library, name, Some(ours));
            }
            (Some(old), _) => found.take_for(library, name, Some(old)),
            (None, _) => {}
        }
    }
    Ok(found)
}

/// Says what a sandbox lacks, and is given.
pub fn lacking(found: &mut Found, wishes: Wishes<'_>) {
    if !wishes.sandbox {
        return;
    }
    let mut notes = Vec::new();
    for (machine, resolved) in &found.machines {
        for item in resolved.items.iter().filter(|item| item.library.is_none()) {
            notes.push((*machine, format!("the sandbox has no content library `{}`: it is made", item.library_name)));
        }
    }
    notes.sort();
    found.notes.extend(notes);
}

/// Holds what is chosen and set of OVF items to what vCenter tells of them.
///
/// # Errors
/// It tells nothing, and something is set.
pub async fn ask(client: &Client, program: &Program, found: &mut Found) -> Result<(), Error> {
    let mut known: HashMap<String, OvfChoices> = HashMap::new();
    for machine in &program.machines {
        let Some(resolved) = found.machines.get_mut(&machine.id) else { continue };
        let Some(Deploys::Item(of)) = &mut resolved.deploys else { continue };
        let choices = match known.get(&of.item.id) {
            Some(choices) => choices.clone(),
            None => {
                let set = machine.ova.configuration.is_some() || !machine.ova.properties.is_empty();
                match client.ovf_choices(&of.item, &resolved.placement).await {
                    Ok(choices) => choices,
                    Err(error) if set => return Err(error),
                    // Whoever sets nothing needs nothing to be told.
                    Err(_) => continue,
                }
            }
        };
        known.insert(of.item.id.clone(), choices.clone());
        match plan::chosen(machine, &of.item, &choices) {
            Ok(chosen) => of.chosen = chosen,
            Err(diagnostic) => found.push(Problem { class: Class::Operation, diagnostic, machine: machine.id }),
        }
    }
    found.problems.sort_by_key(|p| p.machine);
    Ok(())
}

/// Deploys the item that a machine is made of. It has a passing name first, that tells whose it is: a deployed machine
/// bears no mark.
pub(super) async fn deploy(worker: &mut Worker, resolved: &Resolved, of: &Deployed) -> Result<(), Stop> {
    let shared = std::sync::Arc::clone(&worker.shared);
    let machine = shared.program.machine(worker.id);
    worker.phase(Phase::Cloning { from: format!("library item {}", of.item.name) });
    let (vm, entry) = deployed(&shared, machine, resolved, of).await?;
    worker.vm = Some((vm.clone(), entry));
    let failed = |e: &Error, doing: &str| Stop::vsphere(e, machine.span, doing);
    let changes = super::clone::changes(&shared, machine)?;
    let changed = shared.client.reconfigure(&vm, &changes, limit(&shared)).await;
    changed.map_err(|e| failed(&e, "changing the deployed machine"))?;
    hardware::run(worker, resolved, &vm).await?;
    let (name, _) = target(&shared, machine, resolved);
    if name != passing_name(&shared, machine) {
        // Before it is so: whoever cleans up after us knows a machine by either name, and no other.
        shared.ledger.rename(entry, &name);
        let renamed = shared.client.rename(&vm, &name, limit(&shared)).await;
        renamed.map_err(|e| failed(&e, "naming the deployed machine"))?;
    }
    Ok(())
}

/// Deploys it, unless an earlier process of this build has done so.
async fn deployed(
    shared: &Shared,
    machine: &Machine,
    resolved: &Resolved,
    of: &Deployed,
) -> Result<(Moref, EntryId), Stop> {
    let placement = target(shared, machine, resolved).1;
    if let Some((entry, begun)) = shared.ledger.of(machine.id, 0)
        && let Some(vm) = resume::adopt(shared, &placement.pool, machine, entry, &begun).await?
    {
        return Ok((vm, entry));
    }
    let name = passing_name(shared, machine);
    let entry = Entry::new(machine, placement.pool.clone(), &name, &placement);
    let entry = shared.ledger.begin(entry).await.map_err(|e| Stop::journal(&e))?;
    // Not interruptible: a request that is under way makes a machine, and its reply says which.
    let error = match shared.client.deploy(&of.item, &name, &placement, &of.chosen, limit(shared)).await {
        Ok(vm) => {
            shared.ledger.set(entry, State::Made(vm.clone()));
            return Ok((vm, entry));
        }
        Err(error) => error,
    };
    let found = match error.lost_reply() {
        true => {
            let settled = shared.client.clones_settled(&placement.pool, limit(shared)).await;
            settled.map_err(|e| Stop::vsphere(&e, machine.span, "looking for the deployed machine"))?;
            shared.client.vm_in_folder(&placement.folder, &name).await.ok().flatten()
        }
        false => None,
    };
    match found {
        Some(vm) => {
            shared.ledger.set(entry, State::Made(vm.clone()));
            Ok((vm, entry))
        }
        None => {
            if !error.lost_reply() {
                shared.ledger.set(entry, State::Gone);
            }
            Err(Stop::vsphere(&error, machine.span, "deploying the library item"))
        }
    }
}

/// Once everything is built: leaves what the machines of this build leave in libraries.
pub(super) async fn publish(shared: &Shared) -> Result<Vec<BuiltOutput>, Stop> {
    let mut built = Vec::new();
    for machine in &shared.program.machines {
        let Some(resolved) = shared.resolved.get(&machine.id) else { continue };
        // What is there already has been left in its library, too.
        let finished = shared.board.is_done(crate::sema::order::Node::Finish(machine.id));
        let vm = made(shared, machine).filter(|_| finished);
        for item in &resolved.items {
            // One that an earlier process of this build has begun is its own.
            let begun = shared.past.items.contains_key(&(item.library_name.clone(), item.name.clone()));
            if item.is_kept() && !begun && (vm.is_some() || shared.cache.passes(machine.id)) {
                shared.events.note(None, &format!("`{}/{}` is kept as it is", item.library_name, item.name));
                continue;
            }
            let Some(vm) = &vm else { continue };
            if !super::publish::passed(shared, &item.after, &format!("{}/{}", item.library_name, item.name)) {
                continue;
            }
            let moref = leave(shared, machine, item, vm).await?;
            built.push(BuiltOutput {
                machine: machine.id,
                label: machine.label.clone(),
                kind: "library item",
                name: format!("{}/{}", item.library_name, item.name),
                moref,
                ip: None,
                cached: false,
            });
        }
    }
    built.iter().for_each(|output| shared.events.send(output.event(true)));
    Ok(built)
}

/// The machine as this build has made it.
pub(super) fn made(shared: &Shared, machine: &Machine) -> Option<Moref> {
    match shared.ledger.of(machine.id, 0)?.1.state {
        State::Made(vm) | State::Unpublished(vm) | State::Published(vm) => Some(vm),
        State::Cloning(_) | State::Gone => None,
    }
}

async fn leave(shared: &Shared, machine: &Machine, item: &ResolvedItem, vm: &Moref) -> Result<String, Stop> {
    let failed = |e: &Error| Stop::vsphere(e, item.span, "leaving the library item");
    let library = match &item.library {
        Some(library) => library.clone(),
        None => {
            // Another machine of this build may have made it by now.
            let wanted = [(item.library_name.clone(), item.name.clone())];
            let known = shared.client.libraries(&wanted).await.map_err(|e| failed(&e))?;
            match (known.library(&item.library_name), shared.resolved.get(&machine.id)) {
                (Ok(library), _) => library.clone(),
                (Err(_), Some(resolved)) => {
                    let made = shared.client.create_library(&item.library_name, &resolved.placement.datastore).await;
                    made.map_err(|e| failed(&e))?
                }
                (Err(e), None) => return Err(failed(&e)),
            }
        }
    };
    if item.as_template {
        return template::leave(shared, machine, item, &library, vm).await;
    }
    let about = made_by(&shared.options.build);
    let begun = shared.past.items.get(&(item.library_name.clone(), item.name.clone()));
    if begun.is_some_and(|begun| begun.left) {
        // An earlier process of this build has left it.
        if let Some(old) = &item.existing {
            return Ok(old.id.clone());
        }
    }
    let mut now = item.existing.clone();
    if begun.is_some() {
        // It may be on its way yet. What comes of it may be half an item: the next version is a whole one.
        shared.client.at_rest(vm, limit(shared)).await.map_err(|e| failed(&e))?;
        now = shared.client.library_item(&library, &item.name).await.map_err(|e| failed(&e))?;
    }
    let old = now.as_ref();
    let record = Record::Leaving {
        machine: machine.id.0,
        library: item.library_name.clone(),
        name: item.name.clone(),
        // One that was begun by this build is no older one.
        before: old.is_some() && begun.is_none_or(|begun| begun.before),
        passing: String::new(),
        old: String::new(),
    };
    shared.journal.intend(&record).await.map_err(|e| Stop::journal(&e))?;
    // Not interruptible: a request that is under way makes an item.
    let new = NewItem { library: &library, name: &item.name, about: &about };
    let left = shared.client.capture(vm, new, old, limit(shared)).await;
    let error = match left {
        Ok(id) => {
            let (library, name) = (item.library_name.clone(), item.name.clone());
            shared.journal.note(&Record::LeftItem { library, name });
            return Ok(id);
        }
        Err(error) => error,
    };
    // What was begun is half an item, of which nobody can make a machine.
    if old.is_none() {
        if error.lost_reply() {
            let _ = shared.client.at_rest(vm, limit(shared)).await;
        }
        let gone = match shared.client.library_item(&library, &item.name).await {
            Ok(Some(half)) if half.description.as_deref() == Some(about.as_str()) => {
                shared.client.delete_item(&half).await.is_ok()
            }
            Ok(_) => true,
            Err(_) => false,
        };
        if gone {
            let (library, name) = (item.library_name.clone(), item.name.clone());
            shared.journal.note(&Record::NoItem { library, name });
        }
    }
    Err(failed(&error))
}

fn limit(shared: &Shared) -> Deadline {
    Deadline::after(shared.options.deadlines.task)
}
