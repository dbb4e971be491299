//! After a build, well ended or not: what must not stay is removed; what stays is named.

use std::time::Duration;

use futures_util::future::join_all;

use super::codes;
use super::event::Event;
use super::journal::Record;
use super::ledger::{Entry, EntryId, State};
use super::options::OnError;
use super::resume::is_ours;
use super::shared::Shared;
use crate::diagnostic::{Diagnostic, Severity};
use crate::vsphere::client::Deadline;
use crate::vsphere::wire::Moref;

/// How long removing one machine may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Removes what isn't the user's, or names it. What is still there at the end comes back as a diagnostic.
pub(super) async fn run(shared: &Shared, ok: bool) -> Option<Diagnostic> {
    let open = shared.ledger.open();
    if !ok && shared.on_error() == OnError::Keep {
        return kept(shared, &open).await;
    }
    let removing = join_all(open.iter().map(|(id, entry)| remove(shared, *id, entry)));
    let left: Vec<String> = tokio::select! {
        removed = removing => removed.into_iter().flatten().collect(),
        () = shared.control.leave.cancelled() => {
            shared.ledger.open().iter().map(|(_, entry)| path(entry)).collect()
        }
    };
    if left.is_empty() {
        return None;
    }
    let help = format!("`vmwbuild clean {}` removes them; nothing else of this build is left", shared.options.build);
    let message = format!("left behind in vCenter: {}", left.join(", "));
    Some(Diagnostic::new(&codes::LEFT_BEHIND, message).help(help))
}

/// With `--on-error keep`: where everything is.
async fn kept(shared: &Shared, open: &[(EntryId, Entry)]) -> Option<Diagnostic> {
    let mut paths = Vec::new();
    for (id, entry) in open {
        if let Some(vm) = find(shared, entry).await {
            shared.ledger.set(*id, State::Made(vm));
            shared.events.send(Event::Cleanup { text: format!("kept {}", path(entry)) });
            paths.push(path(entry));
        }
    }
    if paths.is_empty() {
        return None;
    }
    let message = format!("kept for a look: {}", paths.join(", "));
    let help = format!("`vmwbuild clean {}` removes them when you are done", shared.options.build);
    Some(Diagnostic::new(&codes::LEFT_BEHIND, message).severity(Severity::Advice).help(help))
}

/// Everything stays as it is: somebody may go on with it.
pub(super) fn abandoned(shared: &Shared) -> Option<Diagnostic> {
    let left: Vec<String> = shared.ledger.open().iter().map(|(_, entry)| path(entry)).collect();
    let build = &shared.options.build;
    if left.is_empty() {
        return None;
    }
    let message = format!("left in vCenter, unfinished: {}", left.join(", "));
    let help = match shared.journal.directory() {
        Some(_) if shared.on_error() == OnError::Keep => format!(
            "`vmwbuild resume {build}` goes on with the build, unless a command was ended half-way; `vmwbuild clean \
             {build}` removes them"
        ),
        Some(_) => format!("`vmwbuild resume {build}` goes on with the build, `vmwbuild clean {build}` removes them"),
        None => "remove them in vCenter".to_owned(),
    };
    Some(Diagnostic::new(&codes::LEFT_BEHIND, message).help(help))
}

pub(super) fn path(entry: &Entry) -> String {
    format!("{}/{}", entry.folder_path, entry.name)
}

/// The machine of an entry, if there is one.
async fn find(shared: &Shared, entry: &Entry) -> Option<Moref> {
    match &entry.state {
        State::Made(vm) | State::Unpublished(vm) => Some(vm.clone()),
        State::Cloning(task) => {
            // It must not make a machine after we have looked.
            let _ = match task {
                // Cancelled already, or about to be.
                Some(task) => shared.client.cancel_task(task, Deadline::after(LIMIT)).await,
                None => shared.client.clones_settled(&entry.source, Deadline::after(LIMIT)).await,
            };
            let vm = shared.client.vm_in_folder(&entry.folder, &entry.name).await.ok().flatten()?;
            // Another's machine may have come to that name.
            let ours = is_ours(&shared.client, &vm, &shared.options.build, &entry.label).await;
            ours.unwrap_or(false).then_some(vm)
        }
        State::Published(_) | State::Gone => None,
    }
}

/// Removes one; what couldn't be, as a line.
async fn remove(shared: &Shared, id: EntryId, entry: &Entry) -> Option<String> {
    let Some(vm) = find(shared, entry).await else {
        shared.ledger.set(id, State::Gone);
        return None;
    };
    shared.journal.note(&Record::Removing { entry: id.number() });
    match shared.client.destroy_vm(&vm, Deadline::after(LIMIT)).await {
        Ok(()) => {
            shared.ledger.set(id, State::Gone);
            shared.events.send(Event::Cleanup { text: format!("removed {}", path(entry)) });
            None
        }
        Err(error) => Some(format!("{} ({error})", path(entry))),
    }
}
