//! Files that other machines copy from this one (`COPY --from`), fetched after its last step.

use std::path::PathBuf;
use std::sync::Arc;

use super::event::StepId;
use super::machine::Worker;
use super::sessions::{self, Sessions};
use super::shared::{Shared, Stop};
use super::steps::{absolute, last_name};
use crate::sema::program::{Action, CopyFrom};

/// Where the files are kept that a COPY takes from another machine.
pub(super) fn root(shared: &Shared, step: StepId) -> PathBuf {
    shared.scratch.path().join(format!("{}-{}", step.machine.0, step.index))
}

/// Fetches everything that later COPYs name; each source into a directory of its own.
pub(super) async fn run(worker: &mut Worker) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let program = Arc::clone(&shared.program);
    let machine = program.machine(worker.id);
    for step in program.machines.iter().flat_map(|m| &m.steps) {
        let Action::Copy(copy) = &step.action else { continue };
        if copy.from != Some(worker.id) {
            continue;
        }
        let root = root(&shared, step.id);
        for (at, source) in copy.sources.iter().enumerate() {
            let CopyFrom::Path(path) = source else { continue };
            let path = absolute(None, &shared.text(path)?);
            let dest = root.join(at.to_string());
            std::fs::create_dir_all(&dest).map_err(|e| {
                let text = format!("can't make `{}`: {e}", dest.display());
                let diagnostic = crate::diagnostic::Diagnostic::new(&super::codes::COPY_SOURCE, text)
                    .primary(step.span, "")
                    .help("free space in the temporary directory, or set TMPDIR");
                Stop::failed(super::options::FailureClass::Guest, "no room for files to copy", diagnostic)
            })?;
            let login = sessions::needed(&shared, machine, &machine.context, step.span)?;
            let guest = Sessions::of(worker, login, step.span).await?;
            let name = last_name(&path);
            let moved = Some(shared.events.moved(machine.id));
            let (paths, to) = ([path], dest.join(name));
            let fetched = shared.interruptible(guest.copy_out(&paths, &to, false, None, moved)).await?;
            fetched.map_err(|e| Stop::guest(&e, step.span, "COPY --from"))?;
        }
        shared.board.set_export(step.id, root);
    }
    Ok(())
}
