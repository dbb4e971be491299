//! The whole output of each step, in a file of its own: masked, as it is shown, and appended to as it comes.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::event::StepId;
use crate::sema::program::Program;

/// The files.
#[derive(Default)]
pub(super) struct Logs {
    /// None: nothing is written.
    root: Option<PathBuf>,
    /// The machines' directories.
    machines: Vec<String>,
    /// Those of the steps that run.
    open: Mutex<HashMap<StepId, Option<File>>>,
    /// The steps whose file isn't the whole.
    torn: Mutex<HashSet<StepId>>,
}

impl Logs {
    /// Logs below a build's directory.
    pub(super) fn new(directory: Option<&Path>, program: &Program) -> Self {
        let name = |label: &str| -> String {
            let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
            label.chars().map(plain).collect::<String>().trim_matches(['-', '.']).to_owned()
        };
        let mut machines: Vec<String> = Vec::new();
        for machine in &program.machines {
            let name = name(&machine.label);
            // Two labels may differ only in what no file name has.
            let taken = name.is_empty() || machines.contains(&name);
            machines.push(if taken { format!("{name}-{}", machine.id.0) } else { name });
        }
        Logs { root: directory.map(|d| d.join("logs")), machines, ..Logs::default() }
    }

    fn place(&self, step: StepId) -> Option<PathBuf> {
        let machine = self.machines.get(step.machine.0 as usize)?;
        Some(self.root.as_ref()?.join(machine).join(format!("{:03}.log", step.index + 1)))
    }

    /// A step's file, if it has printed anything, and all of that is there.
    pub(super) fn of(&self, step: StepId) -> Option<PathBuf> {
        let torn = self.torn.lock().unwrap_or_else(PoisonError::into_inner).contains(&step);
        self.place(step).filter(|path| !torn && path.exists())
    }

    /// Appends; what can't be written is missing there, and no failure of the build. Why, the first time in all.
    pub(super) fn write(&self, step: StepId, data: &[u8]) -> Option<String> {
        let path = self.place(step)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written = Ok(());
        let file = open.entry(step).or_insert_with(|| match create(&path) {
            Ok(file) => Some(file),
            Err(e) => {
                written = Err(e);
                None
            }
        });
        if let Some(at) = file {
            written = at.write_all(data);
        }
        let why = written.err()?;
        // Nothing comes after a gap.
        *file = None;
        let mut torn = self.torn.lock().unwrap_or_else(PoisonError::into_inner);
        let first = torn.is_empty();
        torn.insert(step);
        first.then(|| format!("logs of this build aren't whole: can't write `{}`: {why}", path.display()))
    }

    /// A step is over.
    pub(super) fn end(&self, step: StepId) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&step);
    }
}

fn create(path: &Path) -> std::io::Result<File> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sema::program::MachineId;

    #[test]
    fn what_cant_be_written_is_told_once_and_not_called_the_whole() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let of = |root: &Path| Logs { root: Some(root.to_owned()), machines: vec!["a".into()], ..Logs::default() };
        let step = |index| StepId { machine: MachineId(0), index };
        // Where a file is there can be no directory.
        let logs = of(file.path());
        let why = logs.write(step(0), b"text").expect("it is told");
        assert!(why.contains("001.log"), "{why}");
        assert_eq!((logs.write(step(0), b"text"), logs.write(step(1), b"text")), (None, None));
        assert_eq!(logs.of(step(0)), None);

        let directory = tempfile::tempdir().expect("a directory");
        let logs = of(directory.path());
        assert_eq!(logs.write(step(0), b"text"), None);
        assert_eq!(std::fs::read(logs.of(step(0)).expect("a file")).expect("it is read"), b"text");
    }
}
