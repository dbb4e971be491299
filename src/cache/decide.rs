//! Which machines of a build are made, and which are there already.
//!
//! A machine that is there with the digest of its recipe is taken as it is, unless a machine whose values went into it
//! is made anew: those values may be others now. One that leaves nothing is made only when one that is made needs it.
//! One whose values are needed, and aren't known, is made. One that is kept (`--exists=keep`) is never made; where what
//! is kept is no machine but an OVA or a library item, it is made only when one that is made needs it.

use std::collections::{BTreeMap, BTreeSet};

use super::kept::{self, Asked, Kept};
use super::recipe::Recipe;
use crate::sema::order_refs;
use crate::sema::program::{Action, Attr, Machine, MachineId, Origin, Program, Ref};
use crate::syntax::ast::OutputKind;

/// A machine whose outputs are all there, as its recipe leaves them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The build that has made it.
    pub build: String,
    /// Whether it was made by `--no-cache`.
    pub fresh: bool,
    /// See [`super::Record::needs`].
    pub needs: BTreeMap<String, String>,
    /// See [`super::Record::passed`].
    pub passed: BTreeMap<String, String>,
    /// The keys whose values are known.
    pub keys: BTreeSet<String>,
    /// The attributes that are known.
    pub attrs: BTreeSet<Attr>,
}

/// What becomes of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is there.
    Cached,
    /// It leaves nothing, or nothing that isn't there and kept, and nobody needs it.
    Unneeded,
    /// It is there, and stays as it is: `--exists=keep`.
    Kept,
    /// It is made: why.
    Made(String),
}

impl Verdict {
    /// Whether it is made.
    pub fn is_made(&self) -> bool {
        matches!(self, Verdict::Made(_))
    }
}

/// What one machine asks of another when it is made.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Need {
    From,
    Key(String),
    Attr(Attr),
    Files,
    /// `OUTPUT --after`.
    Passed,
}

/// Decides. `found` has those that are there, or why they aren't; a machine that leaves nothing is in neither. `keeps` has
/// those that are kept, `spared` those of which only files and items of libraries stay, which are kept.
pub fn decide(
    program: &Program,
    recipes: &[Recipe],
    found: &BTreeMap<MachineId, Result<Found, String>>,
    keeps: &BTreeMap<MachineId, Kept>,
    spared: &BTreeSet<MachineId>,
) -> (Vec<Verdict>, Asked) {
    let needs: Vec<Vec<(MachineId, Need)>> = program.machines.iter().map(needs).collect();
    let needed: BTreeSet<MachineId> = needs.iter().flatten().map(|(id, _)| *id).collect();
    let mut verdicts: Vec<Verdict> = program
        .machines
        .iter()
        .map(|machine| match found.get(&machine.id) {
            _ if keeps.contains_key(&machine.id) => Verdict::Kept,
            _ if spared.contains(&machine.id) => Verdict::Unneeded,
            Some(Ok(_)) => Verdict::Cached,
            Some(Err(why)) => Verdict::Made(why.clone()),
            None if leaves_nothing(machine) && !exists(machine) && needed.contains(&machine.id) => Verdict::Unneeded,
            None => Verdict::Made("it leaves nothing to be found again".to_owned()),
        })
        .collect();
    let place = Place { program, recipes, found };
    let mut asked = Asked::default();
    // Each round makes at least one more machine, or asks for one more thing, or is the last.
    loop {
        let mut more: Vec<(MachineId, String)> = Vec::new();
        let mut open: Vec<(MachineId, MachineId, Need)> = Vec::new();
        for machine in &program.machines {
            match verdicts.get(machine.id.0 as usize) {
                Some(Verdict::Made(_)) => {
                    let needs = needs.get(machine.id.0 as usize).into_iter().flatten();
                    open.extend(needs.map(|(other, need)| (machine.id, *other, need.clone())));
                }
                Some(Verdict::Cached | Verdict::Unneeded) => {
                    more.extend(place.outdated(machine, &verdicts).map(|why| (machine.id, why)));
                    more.extend(place.untested(machine, &verdicts));
                }
                Some(Verdict::Kept) | None => {}
            }
        }
        for step in &asked.steps {
            let needs = kept::needs(program.step(*step));
            open.extend(needs.into_iter().map(|(other, need)| (step.machine, other, need)));
        }
        let mut asks = false;
        for (who, other, need) in &open {
            match (verdicts.get(other.0 as usize), keeps.get(other)) {
                (Some(Verdict::Kept), Some(kept)) => asks |= asked.note(program.machine(*other), kept, need),
                (Some(Verdict::Cached | Verdict::Unneeded), _) => {
                    let why = place.missing(*other, need);
                    more.extend(why.map(|why| (*other, format!("`{}` {why}", place.label(*who)))));
                }
                _ => {}
            }
        }
        if more.is_empty() && !asks {
            return (verdicts, asked);
        }
        for (id, why) in more {
            if let Some(verdict) = verdicts.get_mut(id.0 as usize).filter(|v| !v.is_made()) {
                *verdict = Verdict::Made(why);
            }
        }
    }
}

fn is_made(verdicts: &[Verdict], id: MachineId) -> bool {
    verdicts.get(id.0 as usize).is_some_and(Verdict::is_made)
}

/// Whether a machine is there before the build, and its steps are what is wanted.
fn exists(machine: &Machine) -> bool {
    matches!(machine.origin, Origin::Existing { .. })
}

fn leaves_nothing(machine: &Machine) -> bool {
    machine.outputs.iter().all(|o| o.kind == OutputKind::None)
}

/// The machines that a machine asks for something when it is made.
pub fn needed_by(machine: &Machine) -> BTreeSet<MachineId> {
    needs(machine).into_iter().map(|(other, _)| other).collect()
}

/// What a machine asks of others when it is made, each thing once.
fn needs(machine: &Machine) -> Vec<(MachineId, Need)> {
    let mut out = Vec::new();
    if let Origin::Machine(parent) = machine.origin {
        out.push((parent, Need::From));
    }
    out.extend(machine.outputs.iter().flat_map(|o| &o.after).map(|other| (*other, Need::Passed)));
    let mut seen: BTreeSet<(MachineId, String)> = BTreeSet::new();
    order_refs::machine(machine, &mut |reference, _| match reference {
        Ref::Key(other, name) if *other != machine.id && seen.insert((*other, name.clone())) => {
            out.push((*other, Need::Key(name.clone())));
        }
        Ref::Attr(other, attr) if *other != machine.id && seen.insert((*other, format!("{attr:?}"))) => {
            out.push((*other, Need::Attr(*attr)));
        }
        Ref::Key(..) | Ref::Attr(..) | Ref::Secret(_) => {}
    });
    for step in &machine.steps {
        if let Action::Copy(copy) = &step.action
            && let Some(from) = copy.from
        {
            out.push((from, Need::Files));
        }
    }
    out
}

struct Place<'a> {
    program: &'a Program,
    recipes: &'a [Recipe],
    found: &'a BTreeMap<MachineId, Result<Found, String>>,
}

impl Place<'_> {
    fn found(&self, id: MachineId) -> Option<&Found> {
        self.found.get(&id).and_then(|f| f.as_ref().ok())
    }

    fn label(&self, id: MachineId) -> &str {
        self.program.machines.get(id.0 as usize).map_or("", |m| m.label.as_str())
    }

    /// Why one that isn't made can't give what is needed of it; None: it can.
    fn missing(&self, id: MachineId, need: &Need) -> Option<String> {
        let found = self.found(id);
        match need {
            Need::From => found.is_none().then(|| "is made from it".to_owned()),
            Need::Passed => found.is_none().then(|| "is published after it".to_owned()),
            Need::Key(name) => {
                let known = found.is_some_and(|f| f.keys.contains(name));
                (!known).then(|| format!("needs its `{name}`, which isn't kept"))
            }
            Need::Attr(attr) => {
                let known = found.is_some_and(|f| f.attrs.contains(attr));
                let name = crate::sema::order::attr_name(*attr);
                (!known).then(|| format!("needs its `{name}`, which isn't known"))
            }
            Need::Files => Some("copies files from it".to_owned()),
        }
    }

    /// Why one that is there isn't any more what would be made; None: it is.
    fn outdated(&self, machine: &Machine, verdicts: &[Verdict]) -> Option<String> {
        let found = self.found(machine.id)?;
        let values = self.recipes.get(machine.id.0 as usize).map(|r| &r.whole.values);
        for other in values.into_iter().flatten().filter(|id| **id != machine.id) {
            let label = self.label(*other);
            if is_made(verdicts, *other) {
                return Some(format!("it uses what `{label}` gives, which is made anew"));
            }
            if !agrees(self.found(*other), found, label) || self.disagrees(*other, found, label) {
                return Some(format!("it was made with what an earlier `{label}` gave"));
            }
        }
        let Origin::Machine(parent) = machine.origin else { return None };
        let (label, above) = (self.label(parent), self.found(parent));
        if machine.linked && is_made(verdicts, parent) {
            return Some(format!("it shares the disks of `{label}`, which is made anew"));
        }
        let anew = is_made(verdicts, parent) && above.is_some_and(|f| f.fresh);
        if anew || above.is_some_and(|f| f.fresh) && !agrees(above, found, label) {
            return Some(format!("it was made from an earlier `{label}`"));
        }
        None
    }

    /// The tests that one that is there hasn't passed as they are now, and that leave nothing to tell by.
    fn untested(&self, machine: &Machine, verdicts: &[Verdict]) -> Vec<(MachineId, String)> {
        let Some(found) = self.found(machine.id) else { return Vec::new() };
        let tests = machine.outputs.iter().flat_map(|o| &o.after).filter(|test| {
            let (Some(other), Some(recipe)) =
                (self.program.machines.get(test.0 as usize), self.recipes.get(test.0 as usize))
            else {
                return false;
            };
            let open = verdicts.get(test.0 as usize) == Some(&Verdict::Unneeded);
            open && found.passed.get(&other.label) != Some(&super::recipe::trial(other, recipe))
        });
        tests.map(|test| (*test, format!("`{}` is there, and hasn't passed it as it is now", machine.label))).collect()
    }

    /// Whether others that are there were made with the values of another build of a machine that leaves nothing.
    fn disagrees(&self, of: MachineId, found: &Found, label: &str) -> bool {
        self.found(of).is_none()
            && self
                .found
                .values()
                .flatten()
                .filter_map(|f| f.needs.get(label))
                .any(|b| Some(b) != found.needs.get(label))
    }
}

/// Whether a machine was made with what another that is there has given.
fn agrees(other: Option<&Found>, found: &Found, label: &str) -> bool {
    other.is_none_or(|other| found.needs.get(label) == Some(&other.build))
}
