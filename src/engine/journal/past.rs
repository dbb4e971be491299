//! What a journal tells of a build so far.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::record::{Ending, Record, moref_of, node};
use crate::engine::ledger::{Entry, State};
use crate::plan::made_by;
use crate::sema::order::Node;
use crate::sema::program::{MachineId, StepId};
use crate::vsphere::client::LibraryItem;
use crate::vsphere::wire::Moref;

/// A build so far.
#[derive(Clone, Debug, Default)]
pub struct Past {
    pub(in crate::engine) entries: Vec<Entry>,
    pub(in crate::engine) done: HashSet<Node>,
    /// As they were captured.
    pub(in crate::engine) keys: HashMap<(MachineId, String), String>,
    pub(in crate::engine) attrs: HashMap<(MachineId, String), String>,
    /// The users of guest accounts, by number.
    pub(in crate::engine) sessions: HashMap<MachineId, Vec<String>>,
    pub(in crate::engine) closed: HashSet<MachineId>,
    /// The last batch that each machine was to begin.
    pub(in crate::engine) batches: HashMap<MachineId, Batch>,
    /// The boot that a restart was to end.
    pub(in crate::engine) restarts: HashMap<StepId, String>,
    pub(in crate::engine) swaps: Vec<Swap>,
    pub(in crate::engine) outputs: HashMap<(MachineId, u32), Output>,
    /// The items that were to be left in libraries, by library and name.
    pub(in crate::engine) items: HashMap<(String, String), Item>,
    /// The digests of the machines when the build began.
    pub(in crate::engine) digests: Option<Vec<String>>,
    /// The checkpoints that machines were to be cloned from: the machine that holds it, and what stood there.
    pub(in crate::engine) starts: HashMap<MachineId, (Moref, crate::cache::Record)>,
    /// The machines in which the last batch was about to be ended by us.
    pub(in crate::engine) ending: HashSet<MachineId>,
    /// The machines in which somebody has run something by hand.
    pub(in crate::engine) touched: HashSet<MachineId>,
    /// The directories of this host in which something was unpacked.
    pub(in crate::engine) fetches: HashSet<PathBuf>,
    /// The OVAs that were about to be written: they are, where there is nothing else that the file could be.
    pub(in crate::engine) exporting: HashSet<String>,
    /// The OVAs that were written.
    pub(in crate::engine) exported: HashSet<String>,
    /// How it ended, if it did.
    pub ended: Option<Ending>,
    /// Server and instance that it was begun on.
    pub server: Option<(String, String)>,
    /// Whether what it made has begun to be removed: there is no going on then.
    pub removing: bool,
    /// Whether a machine was to be taken back to a snapshot: what the journal calls done isn't any more.
    pub reverting: bool,
}

/// A batch of steps.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Batch {
    pub(in crate::engine) first: u32,
    pub(in crate::engine) steps: u32,
    /// What the guest room says of it.
    pub(in crate::engine) anchor: serde_json::Value,
}

/// A swap to come.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Swap {
    pub(in crate::engine) entry: usize,
    pub(in crate::engine) machine: MachineId,
    pub(in crate::engine) output: u32,
    pub(in crate::engine) new: Moref,
    /// What it replaces, if anything.
    pub(in crate::engine) old: Option<Moref>,
    pub(in crate::engine) name: String,
}

/// An output that is there.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Output {
    pub(in crate::engine) name: String,
    pub(in crate::engine) vm: Moref,
}

/// An item of a library.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Item {
    /// What it is made of.
    pub(in crate::engine) machine: MachineId,
    /// Whether there was one before the build: then it stays, whatever its versions.
    pub(in crate::engine) before: bool,
    /// The name that it has until it takes its own: a VM template's.
    pub(in crate::engine) passing: Option<String>,
    /// The id of what it replaces.
    pub(in crate::engine) old: Option<String>,
    /// Its id, where that is known.
    pub(in crate::engine) new: Option<String>,
    /// Whether it is there, and whole.
    pub(in crate::engine) left: bool,
}

impl Item {
    /// Whether that is what the build has left.
    pub(in crate::engine) fn is_new(&self, item: &LibraryItem, build: &str) -> bool {
        match &self.new {
            Some(id) => *id == item.id,
            None => self.old.as_ref() != Some(&item.id) && item.description.as_deref() == Some(made_by(build).as_str()),
        }
    }

    /// Whether it may be half-made. Of an OVF that was there before the build, the versions are whole or none.
    pub(in crate::engine) fn is_half(&self) -> bool {
        !self.left && (!self.before || self.passing.is_some())
    }
}

/// A machine that a build has left in vCenter and that isn't the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its number in the journal.
    pub entry: u32,
    /// Its machine's label, as its extraConfig has it too.
    pub label: String,
    /// Its name when it was last heard of.
    pub name: String,
    /// Its folder, and that folder's path.
    pub folder: Moref,
    /// See `folder`.
    pub folder_path: String,
    /// Itself, where it is known.
    pub vm: Option<Moref>,
    /// The task that makes it, where that is known.
    pub task: Option<Moref>,
    /// What it is cloned from.
    pub source: Moref,
    /// Whether we have made a template of it, or were about to.
    pub template: bool,
    /// The machine that it was to replace, and that one's name.
    pub replaces: Option<(Moref, String)>,
}

impl Left {
    /// Where it is.
    pub fn path(&self) -> String {
        format!("{}/{}", self.folder_path, self.name)
    }
}

impl Past {
    /// Takes the next line in.
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Connected { server, instance } => self.server = Some((server, instance)),
            Record::Resumed { .. } => self.ended = None,
            Record::Digests { list } => {
                self.digests.get_or_insert(list);
            }
            Record::Start { machine, from, record } => {
                self.starts.insert(MachineId(machine), (moref_of(&from), *record));
            }
            Record::Unstarted { machine } => {
                self.starts.remove(&MachineId(machine));
            }
            Record::Clone { machine, part, label, source, name, folder, folder_path, .. } => self.entries.push(Entry {
                machine: MachineId(machine),
                part,
                label,
                source: moref_of(&source),
                name,
                folder: moref_of(&folder),
                folder_path,
                // Further outputs of a machine are cloned as templates.
                marking: part > 0,
                state: State::Cloning(None),
            }),
            Record::Task { entry, task } => self.state(entry, State::Cloning(Some(moref_of(&task)))),
            Record::Made { entry, vm } => self.state(entry, State::Made(moref_of(&vm))),
            Record::Unpublished { entry, vm } => self.state(entry, State::Unpublished(moref_of(&vm))),
            Record::Published { entry, vm } => self.state(entry, State::Published(moref_of(&vm))),
            Record::Gone { entry } => self.state(entry, State::Gone),
            Record::Marking { entry } => {
                if let Some(entry) = self.entries.get_mut(entry as usize) {
                    entry.marking = true;
                }
            }
            Record::Renamed { entry, name } => {
                if let Some(entry) = self.entries.get_mut(entry as usize) {
                    entry.name = name;
                }
            }
            Record::Removing { .. } => self.removing = true,
            Record::Swap { entry, machine, output, new, old, name } => {
                let swap = Swap {
                    entry: entry as usize,
                    machine: MachineId(machine),
                    output,
                    new: moref_of(&new),
                    old: (!old.is_empty()).then(|| moref_of(&old)),
                    name,
                };
                self.swaps.retain(|s| s.entry != swap.entry);
                self.swaps.push(swap);
            }
            Record::Output { machine, output, name, vm, .. } => {
                self.outputs.insert((MachineId(machine), output), Output { name, vm: moref_of(&vm) });
            }
            Record::Leaving { machine, library, name, before, passing, old } => {
                let some = |text: String| Some(text).filter(|text| !text.is_empty());
                let (passing, old) = (some(passing), some(old));
                let item = Item { machine: MachineId(machine), before, passing, old, new: None, left: false };
                self.items.insert((library, name), item);
            }
            Record::MadeItem { library, name, id } => {
                if let Some(item) = self.items.get_mut(&(library, name)) {
                    item.new = Some(id);
                }
            }
            Record::NoItem { library, name } => {
                self.items.remove(&(library, name));
            }
            Record::LeftItem { library, name } => {
                if let Some(item) = self.items.get_mut(&(library, name)) {
                    item.left = true;
                }
            }
            Record::Session { machine, number, user } => {
                let users = self.sessions.entry(MachineId(machine)).or_default();
                if users.len() <= number as usize {
                    users.resize(number as usize + 1, String::new());
                }
                if let Some(slot) = users.get_mut(number as usize) {
                    *slot = user;
                }
                self.closed.remove(&MachineId(machine));
            }
            Record::Closed { machine } => {
                self.closed.insert(MachineId(machine));
            }
            Record::Batch { machine, first, steps, anchor } => {
                self.ending.remove(&MachineId(machine));
                self.batches.insert(MachineId(machine), Batch { first, steps, anchor });
            }
            Record::Restart { machine, step, boot } => {
                self.restarts.insert(StepId { machine: MachineId(machine), index: step }, boot);
            }
            Record::Ending { machine } => {
                self.ending.insert(MachineId(machine));
            }
            Record::Reverting { .. } => self.reverting = true,
            Record::Touched { machine } => {
                self.touched.insert(MachineId(machine));
            }
            Record::Exporting { file } => {
                self.exporting.insert(file);
            }
            Record::Exported { file } => {
                self.exported.insert(file);
            }
            Record::Fetch { directory } => {
                self.fetches.insert(directory);
            }
            Record::Key { machine, name, value } => {
                self.keys.insert((MachineId(machine), name), value);
            }
            Record::Attr { machine, name, value } => {
                self.attrs.insert((MachineId(machine), name), value);
            }
            Record::Done { machine, node: kind, step } => {
                self.done.insert(node(machine, kind, step));
            }
            Record::Ended { how, .. } => self.ended = Some(how),
        }
    }

    fn state(&mut self, entry: u32, state: State) {
        if let Some(entry) = self.entries.get_mut(entry as usize) {
            entry.state = state;
        }
    }

    /// Removes what this build's processes have left half unpacked on this host.
    pub fn remove_unpacked(&self, build: &str) {
        self.fetches.iter().for_each(|directory| crate::guest::remove_unpacked(directory, build));
    }

    /// Whether an item of a library may be half-made.
    pub fn has_half_items(&self) -> bool {
        self.items.values().any(Item::is_half)
    }

    /// What is still there, as far as the journal knows, and isn't the user's.
    pub fn left(&self) -> Vec<Left> {
        let open =
            self.entries.iter().zip(0u32..).filter(|(e, _)| !matches!(e.state, State::Published(_) | State::Gone));
        open.map(|(entry, number)| {
            let (vm, task) = match &entry.state {
                State::Made(vm) | State::Unpublished(vm) => (Some(vm.clone()), None),
                State::Cloning(task) => (None, task.clone()),
                State::Published(_) | State::Gone => (None, None),
            };
            Left {
                entry: number,
                label: entry.label.clone(),
                name: entry.name.clone(),
                folder: entry.folder.clone(),
                folder_path: entry.folder_path.clone(),
                vm,
                task,
                source: entry.source.clone(),
                template: entry.marking,
                replaces: self
                    .swaps
                    .iter()
                    .find(|s| s.entry == number as usize)
                    .and_then(|s| Some((s.old.clone()?, s.name.clone()))),
            }
        })
        .collect()
    }
}
