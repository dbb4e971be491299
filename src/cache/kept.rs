//! `OUTPUT --exists=keep`: a machine that is there stays as it is, whatever its recipe says. What new machines need of it
//! is read from it again.

use std::collections::{BTreeMap, BTreeSet};

use super::decide::Need;
use crate::sema::order::attr_name;
use crate::sema::order_refs;
use crate::sema::program::{Action, Attr, KeySource, Machine, MachineId, Ref, Step, StepId};

/// A machine that is there, and is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// Whether its guest can be asked.
    pub running: bool,
    /// The keys whose values are remembered.
    pub keys: BTreeSet<String>,
    /// The attributes that are known.
    pub attrs: BTreeSet<Attr>,
}

/// What is asked of the machines that are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// The KEYs that are captured again.
    pub steps: BTreeSet<StepId>,
    /// Machines whose address or host name is asked for.
    pub attrs: BTreeSet<MachineId>,
    /// Machines that files are copied from.
    pub files: BTreeSet<MachineId>,
    /// What can't be had: the machine, and why.
    pub lacking: BTreeMap<MachineId, BTreeSet<String>>,
}

impl Asked {
    /// Notes a need of a machine that is kept; true: something new is asked of it.
    pub(super) fn note(&mut self, machine: &Machine, kept: &Kept, need: &Need) -> bool {
        let id = machine.id;
        let off = |what: &str| format!("{what} of it is needed, and it doesn't run");
        let lacking = |asked: &mut Asked, why: String| {
            asked.lacking.entry(id).or_default().insert(why);
            false
        };
        match need {
            Need::From | Need::Passed => false,
            Need::Key(name) => {
                let step = machine.keys.get(name).and_then(|k| k.step);
                let Some(step) = step.and_then(|id| machine.steps.get(id.index as usize)) else { return false };
                match ask(step) {
                    Ask::Nobody => self.steps.insert(step.id),
                    Ask::Guest if kept.running => self.steps.insert(step.id),
                    Ask::Gone if kept.keys.contains(name) => false,
                    Ask::Guest if kept.keys.contains(name) => false,
                    Ask::Guest => lacking(self, off(&format!("the key `{name}`"))),
                    Ask::Gone => lacking(self, format!("the key `{name}` was read from a file that is deleted since")),
                }
            }
            Need::Attr(attr) if kept.attrs.contains(attr) => false,
            Need::Attr(_) if kept.running => self.attrs.insert(id),
            Need::Attr(attr) => lacking(self, off(&format!("the `{}`", attr_name(*attr)))),
            Need::Files if kept.running => self.files.insert(id),
            Need::Files => lacking(self, off("a file")),
        }
    }
}

/// Who can give a key's value again.
enum Ask {
    /// It is computed.
    Nobody,
    Guest,
    /// `FROM FILE … DELETE`: nobody.
    Gone,
}

fn ask(step: &Step) -> Ask {
    match &step.action {
        Action::Key { from: KeySource::Value(_), .. } => Ask::Nobody,
        Action::Key { from: KeySource::File { delete: true, .. }, .. } => Ask::Gone,
        _ => Ask::Guest,
    }
}

/// What a step asks of machines, its own among them.
pub(super) fn needs(step: &Step) -> Vec<(MachineId, Need)> {
    let mut out = Vec::new();
    order_refs::step(step, &mut |reference, _| match reference {
        Ref::Key(other, name) => out.push((*other, Need::Key(name.clone()))),
        Ref::Attr(other, attr) => out.push((*other, Need::Attr(*attr))),
        Ref::Secret(_) => {}
    });
    out
}
