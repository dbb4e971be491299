//! What the build has made in vCenter: nothing is made without standing here first, so that nothing is left
//! behind unnoticed.

use std::sync::{Mutex, MutexGuard};

use crate::vsphere::wire::Moref;

/// One thing in vCenter that this build is responsible for.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its name in vCenter.
    pub(super) name: String,
    /// The folder it is in, and that folder's path.
    pub(super) folder: Moref,
    pub(super) folder_path: String,
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
    Published,
    /// Removed.
    Gone,
}

/// All entries.
#[derive(Default)]
pub(super) struct Ledger {
    entries: Mutex<Vec<Entry>>,
}

/// An entry's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryId(usize);

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Notes an intent.
    pub(super) fn begin(&self, entry: Entry) -> EntryId {
        let mut entries = self.entries();
        entries.push(entry);
        EntryId(entries.len() - 1)
    }

    /// Notes how far it has got.
    pub(super) fn set(&self, id: EntryId, state: State) {
        if let Some(entry) = self.entries().get_mut(id.0) {
            entry.state = state;
        }
    }

    /// Notes another name.
    pub(super) fn rename(&self, id: EntryId, name: &str) {
        if let Some(entry) = self.entries().get_mut(id.0) {
            entry.name = name.to_owned();
        }
    }

    /// Everything that isn't the user's yet and not gone.
    pub(super) fn open(&self) -> Vec<(EntryId, Entry)> {
        let entries = self.entries();
        let open = entries.iter().enumerate().filter(|(_, e)| !matches!(e.state, State::Published | State::Gone));
        open.map(|(at, entry)| (EntryId(at), entry.clone())).collect()
    }
}
