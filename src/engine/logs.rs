//! The whole output of each step, in a file of its own: masked, as it is shown, and appended to as it comes.

use std::collections::HashMap;
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
        Logs { root: directory.map(|d| d.join("logs")), machines, open: Mutex::default() }
    }

    fn place(&self, step: StepId) -> Option<PathBuf> {
        let machine = self.machines.get(step.machine.0 as usize)?;
        Some(self.root.as_ref()?.join(machine).join(format!("{:03}.log", step.index + 1)))
    }

    /// A step's file, if it has printed anything.
    pub(super) fn of(&self, step: StepId) -> Option<PathBuf> {
        self.place(step).filter(|path| path.exists())
    }

    /// Appends; what can't be written is missing there, and no failure of the build.
    pub(super) fn write(&self, step: StepId, data: &[u8]) {
        let Some(path) = self.place(step) else { return };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let file = open.entry(step).or_insert_with(|| create(&path).ok());
        if let Some(file) = file {
            let _ = file.write_all(data);
        }
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
