//! Secrets that earlier processes of a build have captured. No journal holds them, so they can't be masked until they are
//! captured again: nothing of what may hold one is shown.

use std::collections::{HashMap, HashSet};

use super::journal::Past;
use crate::sema::order::Node;
use crate::sema::order_refs;
use crate::sema::program::{Action, KeySource, Machine, MachineId, Origin, Program, Ref};
use crate::sema::types::holds_secret;

/// A key: whose, and its name.
type Key = (MachineId, String);

/// Secret keys, by the machines whose commands may print them.
pub(super) type Secrets = HashMap<MachineId, Vec<Key>>;

/// Those that earlier processes have captured, of all machines that may have them.
pub(super) fn secrets(program: &Program, past: &Past) -> Secrets {
    if past.done.is_empty() {
        return Secrets::new();
    }
    let captured = |(owner, name): &Key| {
        let key = program.machine(*owner).keys.get(name);
        let step = key.filter(|key| holds_secret(&key.ty)).and_then(|key| key.step);
        // What is computed from one is masked as soon as that is known.
        step.is_some_and(|id| {
            let computed = matches!(program.step(id).action, Action::Key { from: KeySource::Value(_), .. });
            past.done.contains(&Node::Step(id)) && !computed
        })
    };
    let given = |machine: &Machine| given(program, machine).into_iter().filter(captured).collect();
    let mut all: HashMap<MachineId, HashSet<Key>> = program.machines.iter().map(|m| (m.id, given(m))).collect();
    // What a machine has, its clones have too, and those may that copy from it; and so on.
    loop {
        let count = |all: &HashMap<MachineId, HashSet<Key>>| all.values().map(HashSet::len).sum::<usize>();
        let before = count(&all);
        for machine in &program.machines {
            for source in sources(machine) {
                let has = all.get(&source).cloned().unwrap_or_default();
                all.entry(machine.id).or_default().extend(has);
            }
        }
        if count(&all) == before {
            break;
        }
    }
    let sorted = |keys: HashSet<Key>| {
        let mut keys: Vec<Key> = keys.into_iter().collect();
        keys.sort();
        keys
    };
    all.into_iter().map(|(id, keys)| (id, sorted(keys))).collect()
}

/// A machine's own keys, and those that it is given in whatever way: as they are, or in what is computed from them.
fn given(program: &Program, machine: &Machine) -> HashSet<Key> {
    let mut open: Vec<Ref> = machine.keys.keys().map(|name| Ref::Key(machine.id, name.clone())).collect();
    order_refs::machine(machine, &mut |reference, _| open.push(reference.clone()));
    let mut keys = HashSet::new();
    while let Some(reference) = open.pop() {
        let Ref::Key(owner, name) = reference else { continue };
        let step = program.machine(owner).keys.get(&name).and_then(|key| key.step);
        if keys.insert((owner, name))
            && let Some(step) = step
            && let Action::Key { from: KeySource::Value(value), .. } = &program.step(step).action
        {
            value.refs(&mut |reference, _| open.push(reference.clone()));
        }
    }
    keys
}

/// The machines of which a machine has disks or files.
fn sources(machine: &Machine) -> impl Iterator<Item = MachineId> {
    let parent = match &machine.origin {
        Origin::Machine(parent) => Some(*parent),
        Origin::Inventory { .. } | Origin::Existing { .. } => None,
    };
    let copied = machine.steps.iter().filter_map(|step| match &step.action {
        Action::Copy(copy) => copy.from,
        _ => None,
    });
    parent.into_iter().chain(copied)
}
