//! What tells our machines from others: entries of their extraConfig.
//!
//! A clone that somebody makes by hand bears copies of them. So a finished machine's marks name that machine, and who
//! reads them looks whether they are about the machine that they stand in.

use super::shared::Shared;
use crate::cache::{MARK, Record};
use crate::sema::program::Machine;
use crate::vsphere::client::Properties;
use crate::vsphere::wire::{Moref, OptionValue};

/// The build's id.
pub const BUILD: &str = "vmwbuild.build";
/// The machine's label in its VMWfile.
pub const MACHINE: &str = "vmwbuild.machine";
/// Its VMWfile: the project's name, and the file's path below it.
pub const FILE: &str = "vmwbuild.file";
/// Where that file was when it was built: the computer, and its path there. For people to tell, not for us to go by.
pub const FROM: &str = "vmwbuild.from";
/// That it is finished, and which machine that was said of: its reference, or `name:` and its name where the reference
/// wasn't known yet.
pub const MADE: &str = "vmwbuild.made";

/// What marks a machine that is being made. What a clone inherits isn't true of it.
pub(super) fn making(shared: &Shared, machine: &Machine) -> Vec<(String, String)> {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    vec![
        pair(BUILD, &shared.options.build),
        pair(MACHINE, &machine.label),
        pair(FILE, &shared.options.file),
        pair(FROM, &shared.options.from),
        pair(MADE, ""),
    ]
}

/// What marks one that is finished.
pub(super) fn made(vm: &Moref) -> (String, String) {
    (MADE.to_owned(), vm.value.clone())
}

/// What marks one that is finished as soon as it is cloned. Each key once: after a lost reply the clone is known by all.
pub(super) fn made_as(shared: &Shared, machine: &Machine, name: &str) -> Vec<(String, String)> {
    let mut marks = making(shared, machine);
    marks.retain(|(key, _)| key != MADE);
    marks.push((MADE.to_owned(), format!("name:{name}")));
    marks
}

/// The marks of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// [`BUILD`].
    pub build: String,
    /// [`MACHINE`].
    pub machine: String,
    /// [`FILE`]; empty for what an older version has made.
    pub file: String,
    /// [`FROM`]; empty for what an older version has made.
    pub from: String,
    /// How the machine stands.
    pub standing: Standing,
    /// Whether that is told by its name, and not by its reference.
    pub by_name: bool,
}

/// How a machine that bears our marks stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A build has finished it.
    Finished,
    /// A build makes it now, or has left it so.
    HalfMade,
    /// It holds a CHECKPOINT: `vmwbuild cache` tells of it.
    Checkpoint,
    /// It is somebody's copy of one of ours, and was renamed or made by other means: not ours.
    Copy,
}

impl Marks {
    /// Of a machine of that reference and name.
    pub fn read(vm: &Moref, name: &str, options: &[OptionValue]) -> Option<Marks> {
        let value = |key: &str| options.iter().find(|o| o.key == key).map(|o| o.value.text());
        let build = value(BUILD).filter(|b| !b.is_empty())?.to_owned();
        let text = |key: &str| value(key).unwrap_or_default().to_owned();
        let standing = match (value(MADE).filter(|m| !m.is_empty()), value(MARK).and_then(Record::of)) {
            (_, Some(record)) if record.checkpoint.is_some() => Standing::Checkpoint,
            (Some(made), _) if made == vm.value => Standing::Finished,
            (Some(made), _) if made.strip_prefix("name:") == Some(name) => Standing::Finished,
            (Some(_), _) => Standing::Copy,
            // By an older version: what it remembers is written last.
            (None, Some(record)) if record.vm.as_ref().is_none_or(|own| *own == vm.value) => Standing::Finished,
            (None, Some(_)) => Standing::Copy,
            (None, None) => Standing::HalfMade,
        };
        let by_name = standing == Standing::Finished && value(MADE) != Some(vm.value.as_str()) && {
            let record = value(MARK).and_then(Record::of);
            record.is_none_or(|record| record.vm.is_none())
        };
        Some(Marks { build, machine: text(MACHINE), file: text(FILE), from: text(FROM), standing, by_name })
    }

    /// The same from properties, `config.extraConfig` among them.
    pub fn of(vm: &Moref, name: &str, properties: &Properties) -> Option<Marks> {
        Marks::read(vm, name, &properties.list::<OptionValue>("config.extraConfig"))
    }
}
