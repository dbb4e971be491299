//! Machines whose host is lost. Nothing can be done with such a machine, not even rename it, and its name stays its own.
//! So another one stands in for it under a name that says so; once the lost one can be removed, it is, and the stand-in
//! gets its name. Which machines these are is told by names and marks alone: no file here knows better.

use std::collections::{BTreeSet, HashSet};

use super::belongings::{self, Owned};
use super::journal::Past;
use super::options::Options;
use crate::plan;
use crate::sema::program::{Machine, MachineId, Output, Program};
use crate::syntax::ast::OutputKind;
use crate::vsphere::client::{Client, Deadline, Error, Inventory};
use crate::vsphere::wire::Moref;

/// How long giving a name may take.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(600);

/// The name of what stands in for a machine, of at most 80 characters.
pub(super) fn name(name: &str, build: &str) -> String {
    let tail = format!("-instead-{build}");
    let head: String = name.chars().take(80usize.saturating_sub(tail.len())).collect();
    head + &tail
}

/// The machines that are there for one machine of the program.
pub(super) struct Found {
    /// The one that counts.
    pub(super) current: Owned,
    /// Those that it stands in for, or stood in before it.
    pub(super) superseded: Vec<Owned>,
}

/// The output that is meant to run.
fn output(machine: &Machine) -> Option<&Output> {
    machine.outputs.iter().find(|o| o.kind == OutputKind::Vm && !o.off)
}

/// An output's name in vCenter, without folders.
fn last(output: &Output) -> &str {
    output.name.rsplit('/').next().unwrap_or(&output.name)
}

/// What is there for a machine that is meant to run, and is this file's.
pub(super) fn find(machine: &Machine, all: &[Owned], options: &Options) -> Option<Found> {
    let wanted = last(output(machine)?);
    let ours = |o: &&Owned| {
        let marks = &o.marks;
        o.spared.is_none() && !o.template && marks.file == options.file && marks.machine == machine.label
    };
    let all = all.iter().filter(ours);
    let (named, others): (Vec<&Owned>, Vec<&Owned>) = all.partition(|o| o.name == wanted);
    let instead: Vec<&Owned> = others.into_iter().filter(|o| o.name == name(wanted, &o.marks.build)).collect();
    if named.len() > 1 {
        // Two of a name in two folders: which one is meant is the build's to find out.
        return None;
    }
    // The newest that can be reached; references are numbered as machines are made.
    let age = |o: &Owned| {
        let number = o.vm.value.rsplit('-').next().and_then(|n| n.parse::<u64>().ok());
        (!o.lost, o.name != wanted, number)
    };
    let current = instead.iter().chain(&named).copied().max_by_key(|o| age(o))?;
    let superseded = instead.iter().chain(&named).filter(|o| o.vm != current.vm).map(|o| (*o).clone()).collect();
    Some(Found { current: current.clone(), superseded })
}

/// Removes what others stand in for and can be reached again, and gives names that are free; what was done, by label.
///
/// # Errors
/// vCenter can't tell.
pub(super) async fn settle(
    client: &Client,
    program: &Program,
    all: &[Owned],
    options: &Options,
) -> Result<Vec<(String, String)>, Error> {
    let mut told = Vec::new();
    for machine in &program.machines {
        let Some(Found { current, superseded }) = find(machine, all, options) else { continue };
        let mut free = true;
        for old in &superseded {
            let wanted = current.name != old.name;
            let text = match old.lost {
                true => None,
                false => match belongings::remove(client, old).await {
                    Ok(None) => Some(format!("removed {} ({}), which can be reached again", old.path, old.vm.value)),
                    Ok(Some(_)) => None,
                    Err(e) if e.fault().is_some() => Some(format!("{} can't be removed: {e}", old.path)),
                    Err(e) => return Err(e),
                },
            };
            free &= !wanted || text.as_ref().is_some_and(|t| t.starts_with("removed"));
            told.extend(text.map(|text| (machine.label.clone(), text)));
        }
        let Some(wanted) = output(machine).map(last).filter(|wanted| free && *wanted != current.name) else { continue };
        match client.rename(&current.vm, wanted, Deadline::after(LIMIT)).await {
            Ok(()) => told.push((machine.label.clone(), format!("{} is called {wanted} now", current.path))),
            // Somebody else's machine has it.
            Err(e) if e.fault().is_some() => {
                told.push((machine.label.clone(), format!("{} can't be called {wanted}: {e}", current.path)));
            }
            Err(e) => return Err(e),
        }
    }
    Ok(told)
}

/// How a build is to see the inventory.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// What others stand in for: it isn't there for the build.
    hidden: HashSet<Moref>,
    /// What stands in for them, under the names that it stands for.
    names: Vec<(Moref, String)>,
    /// Those for which another one is to be made.
    wanted: BTreeSet<MachineId>,
}

impl View {
    /// As it is.
    pub(super) fn of(program: &Program, all: &[Owned], options: &Options) -> View {
        let mut view = View::default();
        for machine in &program.machines {
            let Some(Found { current, superseded }) = find(machine, all, options) else { continue };
            view.hidden.extend(superseded.into_iter().map(|o| o.vm));
            if let Some(wanted) = output(machine).map(last).filter(|wanted| **wanted != *current.name) {
                view.names.push((current.vm, wanted.to_owned()));
            }
        }
        view
    }

    /// A machine is lost, and another one is to stand in for it.
    pub(super) fn stand_in(&mut self, machine: &Machine, lost: &Owned) {
        self.hidden.insert(lost.vm.clone());
        self.names.retain(|(vm, _)| *vm != lost.vm);
        self.wanted.insert(machine.id);
    }

    /// An earlier process of the build has begun to make those.
    pub(super) fn go_on(&mut self, program: &Program, past: &Past, build: &str, inventory: &Inventory) {
        for machine in &program.machines {
            let Some(wanted) = output(machine).map(last) else { continue };
            let begun = past.entries.iter().find(|e| e.machine == machine.id && e.name == name(wanted, build));
            let Some(entry) = begun else { continue };
            self.hidden.extend(inventory.vm_in(&entry.folder, wanted).map(|lost| lost.moref.clone()));
            self.wanted.insert(machine.id);
        }
    }

    /// The inventory so seen.
    pub(super) fn inventory(&self, inventory: Inventory) -> Inventory {
        if self.hidden.is_empty() && self.names.is_empty() {
            return inventory;
        }
        inventory.as_if(|entity| self.hidden.contains(&entity.moref), &self.names)
    }

    /// Gives the machines that are to stand in for others their names.
    pub(super) fn name(&self, program: &Program, found: &mut plan::Found, build: &str) {
        for id in &self.wanted {
            let placed = program.machine(*id).outputs.iter().filter(|o| o.kind.is_placed());
            let targets = found.machines.get_mut(id).map(|resolved| &mut resolved.outputs);
            for (output, target) in placed.zip(targets.into_iter().flatten()) {
                if output.kind == OutputKind::Vm {
                    target.name = name(&target.name, build);
                }
            }
        }
    }
}
