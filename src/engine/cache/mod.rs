//! What of a build is there already, and what is kept of it for the next one.
//!
//! What is remembered of a machine stands in its extraConfig (`crate::cache::Record`), written when all else is done: a
//! half-made machine has none. A CHECKPOINT is kept as the snapshot of a machine of its own.

mod assess;
mod files;
mod keep;
mod list;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::event::{Event, MachineId, MachineResult, StepId};
use super::journal;
use super::options::BuiltOutput;
use super::shared::Shared;
use crate::cache::{Asked, Digest, Recipe, Record, Verdict};
use crate::sema::order::{Node, attr_name};
use crate::sema::program::{Action, Attr, KeySource, Machine, Program, Ref, Step};
use crate::sema::value::Value;
use crate::sema::value_parse::parse_key;
use crate::vsphere::wire::Moref;

pub use assess::{Assessment, Question, assess};
pub(super) use keep::{checkpoint_record, passed, remember, text_for_clone};
pub use list::{Held, list, remove};

/// The parts of a machine's entries in the ledger from here on are its checkpoints, by the step.
pub(super) const CHECKPOINT_PART: u32 = 1 << 16;

/// How the cache is used.
#[derive(Clone, Default)]
pub struct Use {
    /// Whether nothing is taken from it (`--no-cache`). What is made is remembered all the same.
    pub avoid: bool,
    /// What secrets are digested with: this user's, and nobody else's. None: there is no place for one.
    pub key: Option<[u8; 32]>,
}

impl Use {
    /// What tells one key from another.
    fn key_id(&self) -> Option<String> {
        let mut sink = crate::cache::Sink::new("key");
        sink.bytes(self.key.as_ref()?);
        Some(sink.end().short())
    }

    /// A secret's digest. Without the key nothing can be guessed from it.
    fn of_secret(&self, name: &str, value: &str) -> Option<String> {
        let mut inner = crate::cache::Sink::new("secret");
        inner.text(name);
        inner.text(value);
        let mut sink = crate::cache::Sink::new("keyed");
        sink.bytes(self.key.as_ref()?);
        sink.digest(&inner.end());
        Some(sink.end().short())
    }
}

/// A machine that is there already.
#[derive(Clone, Debug)]
pub struct There {
    /// The machine itself: what others are cloned from.
    pub(super) vm: Moref,
    pub(super) record: Record,
    /// Its outputs, in order.
    pub(super) outputs: Vec<BuiltOutput>,
    pub(super) attrs: BTreeMap<Attr, Value>,
    pub(super) keys: BTreeMap<String, Option<Value>>,
}

/// A checkpoint that a machine is made from.
#[derive(Clone, Debug)]
pub struct Start {
    /// The machine that holds it, and its path.
    pub(super) vm: Moref,
    pub(super) path: String,
    pub(super) snapshot: Moref,
    pub(super) record: Record,
}

impl Start {
    /// How many steps are done.
    pub fn steps(&self) -> u32 {
        self.record.checkpoint.as_ref().map_or(0, |c| c.steps)
    }

    /// What it is called, for people.
    pub fn called(&self) -> String {
        match self.record.checkpoint.as_ref().and_then(|c| c.name.as_ref()) {
            Some(name) => format!("the checkpoint `{name}`"),
            None => format!("the checkpoint after step {}", self.steps()),
        }
    }

    /// The inventory path of the machine that holds it; empty where an earlier process has found it.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn of(vm: Moref, path: String, record: Record) -> Option<Start> {
        let snapshot = Moref::new("VirtualMachineSnapshot", &record.checkpoint.as_ref()?.snapshot);
        Some(Start { vm, path, snapshot, record })
    }
}

/// What is known of a machine.
#[derive(Clone, Debug)]
pub struct Known {
    /// What becomes of it.
    pub verdict: Verdict,
    /// Where another recipe was found under its name: what differs.
    pub note: Option<String>,
    /// Where it goes on from, if it is made.
    pub start: Option<Start>,
    pub(super) recipe: Recipe,
    pub(super) there: Option<There>,
    /// Whether what is made is what the recipe says: not so where files were others when an earlier process of the build
    /// copied them.
    pub(super) sure: bool,
}

impl Known {
    /// Why a machine is made although vmwbuild has made one like it before.
    pub fn reason(&self) -> Option<&str> {
        match (&self.verdict, &self.note, &self.there) {
            (Verdict::Made(_), Some(note), _) => Some(note),
            (Verdict::Made(why), None, Some(_)) => Some(why),
            (Verdict::Made(_) | Verdict::Cached | Verdict::Kept | Verdict::Unneeded, ..) => None,
        }
    }
}

/// The cache of a running build.
#[derive(Default)]
pub(super) struct State {
    machines: Vec<Known>,
    files: BTreeMap<StepId, files::Files>,
    asked: Asked,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Checkpoints that are there, or are being made by a machine of this build.
    checkpoints: HashSet<Digest>,
    /// Machines that aren't what their recipe says.
    unsure: BTreeSet<MachineId>,
    /// Machines that were cloned from their checkpoint: how many steps are done.
    begun: HashMap<MachineId, u32>,
}

impl State {
    pub(super) fn new(assessment: Assessment) -> Self {
        let unsure = (0u32..).zip(&assessment.machines).filter(|(_, k)| !k.sure).map(|(id, _)| MachineId(id));
        let inner = Inner { checkpoints: assessment.checkpoints, unsure: unsure.collect(), begun: HashMap::new() };
        State {
            machines: assessment.machines,
            files: assessment.files,
            asked: assessment.asked,
            inner: Mutex::new(inner),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, id: MachineId) -> Option<&Known> {
        self.machines.get(id.0 as usize)
    }

    /// Whether a machine isn't made in this build.
    pub(super) fn passes(&self, id: MachineId) -> bool {
        self.known(id).is_some_and(|k| !k.verdict.is_made())
    }

    /// The checkpoint that a machine is to be cloned from.
    pub(super) fn start(&self, id: MachineId) -> Option<&Start> {
        self.known(id)?.start.as_ref()
    }

    /// Whether a step was done before the checkpoint that its machine was made from.
    pub(super) fn is_before(&self, step: StepId) -> bool {
        self.inner().begun.get(&step.machine).is_some_and(|done| step.index < *done)
    }

    /// Whether the checkpoint of that digest is still to be made; then it is the caller's to make.
    pub(super) fn claim(&self, digest: Digest) -> bool {
        self.inner().checkpoints.insert(digest)
    }

    /// A machine isn't what its recipe says: it isn't remembered, nor what is made from it.
    pub(super) fn spoil(&self, id: MachineId) {
        self.inner().unsure.insert(id);
    }

    /// What was claimed couldn't be made.
    pub(super) fn release(&self, digest: Digest) {
        self.inner().checkpoints.remove(&digest);
    }
}

/// Makes known what machines that aren't made give to others. Nothing of it stands in the journal: a process that goes on
/// with the build finds it again.
pub(super) fn restore(shared: &Shared) {
    let program = Arc::clone(&shared.program);
    for machine in program.machines.iter().filter(|m| shared.cache.passes(m.id)) {
        let there = shared.cache.known(machine.id).and_then(|k| k.there.as_ref());
        if let Some(there) = there {
            for (name, value) in &there.keys {
                let again = machine.keys.get(name).and_then(|k| k.step);
                let Some(value) =
                    value.as_ref().filter(|_| !again.is_some_and(|s| shared.cache.asked.steps.contains(&s)))
                else {
                    continue;
                };
                if let Some(step) = machine.keys.get(name).and_then(|k| k.step) {
                    shared.events.key(step, name, value);
                }
                shared.board.set(Ref::Key(machine.id, name.clone()), value.clone());
            }
            for (attr, value) in &there.attrs {
                shared.board.set(Ref::Attr(machine.id, *attr), value.clone());
            }
            shared.board.set_source(machine.id, there.vm.clone());
        }
        let asked = &shared.cache.asked;
        let open = |node: &Node| match node {
            // What an earlier process of the build has read is known.
            Node::Step(step) => asked.steps.contains(step) && !is_known(shared, machine, *step),
            Node::Network(id) => asked.attrs.contains(id),
            Node::Export(id) => asked.files.contains(id),
            Node::Clone(_) | Node::Boot(_) | Node::Finish(_) => false,
        };
        shared.dag.of(machine.id).filter(|node| !open(node)).for_each(|node| shared.board.finish(node));
    }
    for (at, known) in (0u32..).zip(&shared.cache.machines) {
        if let Some(why) = known.reason() {
            shared.events.note(Some(MachineId(at)), &format!("not taken from the cache: {why}"));
        }
    }
}

/// Whether the value of a step's KEY is known already.
fn is_known(shared: &Shared, machine: &Machine, step: StepId) -> bool {
    let name = machine.keys.iter().find(|(_, key)| key.step == Some(step)).map(|(name, _)| name.clone());
    name.is_some_and(|name| shared.board_value(&Ref::Key(machine.id, name)).is_some())
}

/// Whether nobody must be asked for the value of a step's KEY.
pub(super) fn is_computed(step: &Step) -> bool {
    matches!(step.action, Action::Key { from: KeySource::Value(_), .. })
}

/// The machine, if it is kept and something is asked of it.
pub(super) fn asked(shared: &Shared, id: MachineId) -> Option<Moref> {
    let known = shared.cache.known(id).filter(|k| k.verdict == Verdict::Kept)?;
    let open = shared.dag.of(id).any(|node| !shared.board.is_done(node));
    known.there.as_ref().filter(|_| open).map(|there| there.vm.clone())
}

/// What is there of a machine that isn't made; None: it is made. `elapsed`: how long it was asked for something.
pub(super) fn taken(shared: &Shared, id: MachineId, elapsed: Duration) -> Option<Vec<BuiltOutput>> {
    let known = shared.cache.known(id).filter(|k| !k.verdict.is_made())?;
    let outputs = known.there.as_ref().map(|t| t.outputs.clone()).unwrap_or_default();
    outputs.iter().for_each(|output| shared.events.send(output.event(false)));
    let names: Vec<String> = outputs.iter().map(|o| format!("{} {}", o.kind, o.name)).collect();
    let what = if names.is_empty() { "nothing needs it".to_owned() } else { names.join(", ") };
    let result = MachineResult::Cached(what);
    shared.events.send(Event::MachineFinished { machine: id, result, elapsed });
    Some(outputs)
}

/// A machine was cloned from its checkpoint: what was done before it is done.
pub(super) fn begun(shared: &Shared, machine: &Machine, start: &Start) {
    let steps = start.steps();
    shared.cache.inner().begun.insert(machine.id, steps);
    for (name, value) in values(machine, &start.record) {
        let Some(value) = value else { continue };
        if let Some(step) = machine.keys.get(&name).and_then(|k| k.step) {
            shared.events.key(step, &name, &value);
        }
        let text = value.to_text();
        shared.journal.note(&journal::Record::Key { machine: machine.id.0, name: name.clone(), value: text });
        shared.board.set(Ref::Key(machine.id, name), value);
    }
    for step in machine.steps.iter().take(steps as usize) {
        shared.finish(Node::Step(step.id));
    }
}

/// The values of a record's keys, as this program has their types; without those that it can't read.
fn values(machine: &Machine, record: &Record) -> BTreeMap<String, Option<Value>> {
    let read = |(name, text): (&String, &Option<String>)| {
        let key = machine.keys.get(name)?;
        let value = match text {
            Some(text) => Some(parse_key(&key.ty, text.as_bytes()).ok()?),
            None if key.optional => None,
            None => return None,
        };
        Some((name.clone(), value))
    };
    record.keys.iter().filter_map(read).collect()
}

/// The attribute of that name.
fn attr_named(name: &str) -> Option<Attr> {
    [Attr::Uuid, Attr::Moref, Attr::Hostname, Attr::Ip].into_iter().find(|a| attr_name(*a) == name)
}

/// The names and digests of the secrets of a mark.
fn secrets(
    program: &Program,
    used: &BTreeSet<crate::sema::program::SecretId>,
    given: &[String],
    with: &Use,
) -> BTreeMap<String, String> {
    let of = |id: &crate::sema::program::SecretId| {
        let name = &program.secrets.get(id.0 as usize)?.name;
        Some((name.clone(), with.of_secret(name, given.get(id.0 as usize)?)?))
    };
    used.iter().filter_map(of).collect()
}
