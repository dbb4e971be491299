//! What the build has made in vCenter: nothing is made without standing here and in the journal first, so that
//! nothing is left behind unnoticed.

use std::io;
use std::sync::{Mutex, MutexGuard};

use super::event::MachineId;
use super::journal::{Journal, Record, text_of};
use crate::sema::program::Machine;
use crate::vsphere::client::Placement;
use crate::vsphere::wire::Moref;

/// One thing in vCenter that this build is responsible for.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The machine that it is, or is made of.
    pub(super) machine: MachineId,
    /// 0 for the machine itself; each further template has a number of its own.
    pub(super) part: u32,
    /// The machine's label, also in its extraConfig.
    pub(super) label: String,
    /// What it is cloned from.
    pub(super) source: Moref,
    /// Its name in vCenter.
    pub(super) name: String,
    /// The folder it is in, and that folder's path.
    pub(super) folder: Moref,
    pub(super) folder_path: String,
    /// Whether it was about to be made a template.
    pub(super) marking: bool,
    pub(super) state: State,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// A clone is asked for; there may be a task, and there may be a machine.
    Cloning(Option<Moref>),
    /// It exists, half-made.
    Made(Moref),
    /// It is finished, but its name is still another's (`--exists=replace`), or it only served others.
    Unpublished(Moref),
    /// Finished and named: the user's.
    Published(Moref),
    /// Removed.
    Gone,
}

/// All entries.
#[derive(Default)]
pub(super) struct Ledger {
    entries: Mutex<Vec<Entry>>,
    journal: Journal,
}

impl Entry {
    /// A machine that is about to be asked for under that name, of that source.
    pub(super) fn new(machine: &Machine, source: Moref, name: &str, placement: &Placement) -> Self {
        Entry {
            machine: machine.id,
            part: 0,
            label: machine.label.clone(),
            source,
            name: name.to_owned(),
            folder: placement.folder.clone(),
            folder_path: placement.folder_path.clone(),
            marking: false,
            state: State::Cloning(None),
        }
    }
}

/// An entry's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryId(usize);

impl EntryId {
    /// As the journal has it.
    pub(super) fn number(self) -> u32 {
        self.0 as u32
    }
}

impl Ledger {
    /// A ledger that begins with what stands in a journal, and goes on in it.
    pub(super) fn new(entries: Vec<Entry>, journal: Journal) -> Self {
        Ledger { entries: Mutex::new(entries), journal }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Notes an intent. When it returns, the journal has it.
    pub(super) async fn begin(&self, entry: Entry) -> io::Result<EntryId> {
        let id = {
            let mut entries = self.entries();
            entries.push(entry.clone());
            let id = entries.len() - 1;
            // Within the lock: entries are numbered in the order in which they stand in the journal.
            self.journal.note(&Record::Clone {
                entry: id as u32,
                machine: entry.machine.0,
                part: entry.part,
                label: entry.label,
                source: text_of(&entry.source),
                name: entry.name,
                folder: text_of(&entry.folder),
                folder_path: entry.folder_path,
            });
            EntryId(id)
        };
        self.journal.reached().await.map(|()| id)
    }

    /// Notes how far it has got.
    pub(super) fn set(&self, id: EntryId, state: State) {
        let entry = id.number();
        let record = match &state {
            State::Cloning(Some(task)) => Some(Record::Task { entry, task: text_of(task) }),
            State::Cloning(None) => None,
            State::Made(vm) => Some(Record::Made { entry, vm: text_of(vm) }),
            State::Unpublished(vm) => Some(Record::Unpublished { entry, vm: text_of(vm) }),
            State::Published(vm) => Some(Record::Published { entry, vm: text_of(vm) }),
            State::Gone => Some(Record::Gone { entry }),
        };
        if let Some(entry) = self.entries().get_mut(id.0) {
            entry.state = state;
        }
        record.iter().for_each(|r| self.journal.note(r));
    }

    /// Notes another name.
    pub(super) fn rename(&self, id: EntryId, name: &str) {
        if let Some(entry) = self.entries().get_mut(id.0) {
            entry.name = name.to_owned();
        }
        self.journal.note(&Record::Renamed { entry: id.number(), name: name.to_owned() });
    }

    /// Notes that it is about to be made a template.
    pub(super) async fn marking(&self, id: EntryId) -> io::Result<()> {
        if let Some(entry) = self.entries().get_mut(id.0) {
            entry.marking = true;
        }
        self.journal.intend(&Record::Marking { entry: id.number() }).await
    }

    /// The entry of a machine, or of a further template of it, that isn't gone.
    pub(super) fn of(&self, machine: MachineId, part: u32) -> Option<(EntryId, Entry)> {
        let entries = self.entries();
        let mut all = entries.iter().enumerate();
        all.rfind(|(_, e)| e.machine == machine && e.part == part && e.state != State::Gone)
            .map(|(at, entry)| (EntryId(at), entry.clone()))
    }

    /// By its number in the journal.
    pub(super) fn numbered(&self, number: usize) -> Option<EntryId> {
        (number < self.entries().len()).then_some(EntryId(number))
    }

    /// Everything that isn't the user's yet and not gone.
    pub(super) fn open(&self) -> Vec<(EntryId, Entry)> {
        let entries = self.entries();
        let open = entries.iter().enumerate().filter(|(_, e)| !matches!(e.state, State::Published(_) | State::Gone));
        open.map(|(at, entry)| (EntryId(at), entry.clone())).collect()
    }
}
