//! What is there: read in one request, and compared with what would be made.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::files::Files;
use super::{Known, Start, There, Use, attr_named, files, secrets, values};
use crate::cache::{
    Asked, CHECKPOINT_PREFIX, Digest, Found, Kept, MARK, Mark, Recipe, Record, Unknown, Verdict, World, decide, recipes,
};
use crate::diagnostic::Diagnostic;
use crate::engine::event::{MachineId, StepId};
use crate::engine::journal::Past;
use crate::engine::marks::{Marks, Standing};
use crate::engine::options::{BuiltOutput, LoginDefaults};
use crate::plan::{self, Deploys, Resolved};
use crate::sema::order::Node;
use crate::sema::order_refs;
use crate::sema::program::{Attr, Copy, Exists, Machine, Origin, Output, Program, Ref};
use crate::sema::value::Value;
use crate::syntax::ast::OutputKind;
use crate::vsphere::client::{Class, Client, EntityKind, Error, Inventory, Properties};
use crate::vsphere::wire::{Moref, NicBacking, OptionValue, PowerState, VirtualMachineSnapshotInfo};

/// What is asked of sources, outputs and checkpoints.
const READ: &[&str] = &[
    "config.extraConfig",
    "config.changeVersion",
    "config.template",
    "config.uuid",
    "runtime.powerState",
    "guest.ipAddress",
    "guest.hostName",
    "snapshot",
];

/// What is to be assessed.
pub struct Question<'a> {
    /// The program.
    pub program: &'a Program,
    /// Where its names lead.
    pub found: &'a plan::Found,
    /// The inventory that says so.
    pub inventory: &'a Inventory,
    /// The directory that COPY reads from.
    pub context: &'a Path,
    /// The guest account from outside the VMWfile.
    pub login: &'a LoginDefaults,
    /// The secrets' values; None: they aren't known, and taken for the same as before.
    pub secrets: Option<&'a [String]>,
    /// How the cache is used.
    pub with: &'a Use,
    /// What earlier processes of the build have done.
    pub past: &'a Past,
}

/// The answer.
#[derive(Default)]
pub struct Assessment {
    /// By machine.
    pub machines: Vec<Known>,
    /// The checkpoints that are there.
    pub(super) checkpoints: HashSet<Digest>,
    pub(super) files: BTreeMap<StepId, Files>,
    /// What is asked of machines that are kept.
    pub(super) asked: Asked,
}

impl Assessment {
    /// What keeps new machines from being made: what they need of kept ones, and can't have.
    pub fn lacking(&self, program: &Program) -> Vec<plan::Problem> {
        let of = |(id, whys): (&MachineId, &BTreeSet<String>)| {
            let machine = program.machine(*id);
            let span = machine.outputs.first().map_or(machine.span, |o| o.span);
            let message = format!("`{}` is kept as it is, and can't give what new machines need", machine.name);
            let diagnostic = Diagnostic::new(&plan::codes::KEPT_SILENT, message)
                .primary(span, "it is there, and `--exists=keep` leaves it as it is")
                .help("power it on; or build it anew with `--exists=replace`, and with it what depends on it");
            let diagnostic = whys.iter().fold(diagnostic, |d, why| d.note(why));
            plan::Problem { class: Class::Operation, diagnostic, machine: *id }
        };
        self.asked.lacking.iter().map(of).collect()
    }

    /// Machines of these labels aren't made now, nor what needs them.
    pub(in crate::engine) fn hold(&mut self, program: &Program, labels: &BTreeSet<String>) {
        let mut held: BTreeSet<MachineId> =
            program.machines.iter().filter(|m| labels.contains(&m.label)).map(|m| m.id).collect();
        loop {
            let before = held.len();
            for machine in program.machines.iter().filter(|m| self.is_made(m.id)) {
                if crate::cache::needed_by(machine).iter().any(|other| held.contains(other) && self.is_made(*other)) {
                    held.insert(machine.id);
                }
            }
            if held.len() == before {
                break;
            }
        }
        for id in held {
            if let Some(known) = self.machines.get_mut(id.0 as usize).filter(|k| k.verdict.is_made()) {
                known.verdict = Verdict::Unneeded;
            }
        }
    }

    /// Whether a machine is made.
    pub fn is_made(&self, id: MachineId) -> bool {
        self.machines.get(id.0 as usize).is_none_or(|k| k.verdict.is_made())
    }

    /// Why a machine is made though something bears its name; None where nothing is to be said.
    pub fn why(&self, id: MachineId) -> Option<String> {
        let why = self.machines.get(id.0 as usize)?.reason()?;
        Some(format!("vmwbuild has made it, and can't take it as it is: {why}"))
    }

    /// Their digests, for the journal.
    pub(in crate::engine) fn digests(&self) -> Vec<String> {
        let text = |k: &Known| k.recipe.whole.digest.as_ref().map_or_else(|_| String::new(), ToString::to_string);
        self.machines.iter().map(text).collect()
    }
}

/// Asks the server, and decides.
///
/// # Errors
/// The server can't be asked.
pub async fn assess(client: &Client, question: &Question<'_>) -> Result<Assessment, Error> {
    let program = question.program;
    let holders: Vec<Moref> = match program.machines.iter().any(has_checkpoint) && !question.with.avoid {
        true => {
            let vms = question.inventory.all(EntityKind::Vm);
            vms.filter(|e| e.name.starts_with(CHECKPOINT_PREFIX)).map(|e| e.moref.clone()).collect()
        }
        false => Vec::new(),
    };
    let mut wanted = holders.clone();
    for resolved in question.found.machines.values() {
        wanted.extend(resolved.source.iter().map(|(moref, _)| moref.clone()));
        wanted.extend(resolved.outputs.iter().filter_map(|o| o.existing.clone()));
    }
    wanted.sort();
    wanted.dedup();
    let read: HashMap<Moref, Properties> = client.properties_of(&wanted, READ).await?.into_iter().collect();
    let files = read_files(question).await;
    let world = World {
        sources: sources(question, &read),
        places: question.found.machines.iter().map(|(id, r)| (*id, place(r))).collect(),
        files: files.iter().map(|(id, files)| (*id, files.digest)).collect(),
        users: [&question.login.command_line, &question.login.environment].map(|l| l.as_ref().map(|l| l.user.clone())),
    };
    let recipes = recipes(program, &world);
    Ok(Assessor { question, read, holders }.answer(recipes, files))
}

fn has_checkpoint(machine: &Machine) -> bool {
    machine.steps.iter().any(|s| matches!(s.action, crate::sema::program::Action::Checkpoint(_)))
}

/// What is copied. Replicas copy alike: each set of files is read once.
async fn read_files(question: &Question<'_>) -> BTreeMap<StepId, Files> {
    let mut sets: HashMap<String, usize> = HashMap::new();
    let mut wanted: Vec<Copy> = Vec::new();
    let mut of: Vec<(StepId, usize)> = Vec::new();
    for step in question.program.machines.iter().flat_map(|m| &m.steps) {
        let Some(copy) = files::copies(step) else { continue };
        let at = *sets.entry(format!("{:?} {:?}", copy.sources, copy.chmod)).or_insert_with(|| {
            wanted.push(copy.clone());
            wanted.len() - 1
        });
        of.push((step.id, at));
    }
    let read = files::read(question.context, wanted).await;
    of.into_iter().filter_map(|(id, at)| Some((id, read.get(at).copied().flatten()?))).collect()
}

/// What identifies the sources of the inventory: a template by its configuration's version, whoever changes it; a
/// snapshot by itself. A VM that can run has nothing that tells when its disks have changed.
fn sources(question: &Question<'_>, read: &HashMap<Moref, Properties>) -> BTreeMap<MachineId, String> {
    let identity = |machine: &Machine| {
        let resolved = question.found.machines.get(&machine.id)?;
        match &resolved.deploys {
            Some(Deploys::Item(of)) => {
                let item = &of.item;
                return Some((machine.id, format!("library item {} {}", item.id, item.content_version)));
            }
            Some(Deploys::Ova(ova)) => return Some((machine.id, format!("OVA {}", ova.file.identity.as_ref()?))),
            None => {}
        }
        let (moref, _) = resolved.source.as_ref()?;
        let properties = read.get(moref)?;
        if machine.linked {
            let (snapshot, made) = snapshot_of(properties, machine.snapshot.as_deref())?;
            return Some((machine.id, format!("snapshot {} of {made}", snapshot.value)));
        }
        let template: bool = properties.get("config.template").unwrap_or_default();
        let version = properties.text("config.changeVersion").unwrap_or_default();
        let uuid = properties.text("config.uuid").unwrap_or_default();
        template.then(|| (machine.id, format!("template {} {uuid} {version}", moref.value)))
    };
    let inventory = |m: &&Machine| matches!(m.origin, Origin::Inventory { .. });
    question.program.machines.iter().filter(inventory).filter_map(identity).collect()
}

/// The snapshot that a linked clone shares, and when it was made.
fn snapshot_of(properties: &Properties, name: Option<&str>) -> Option<(Moref, String)> {
    let all = all_snapshots(properties);
    let found = match name {
        Some(name) => all.into_iter().find(|(called, ..)| called == name),
        None => all.into_iter().max_by(|a, b| a.2.cmp(&b.2)),
    };
    found.map(|(_, snapshot, made)| (snapshot, made))
}

/// Names, references and times of all snapshots.
pub(super) fn all_snapshots(properties: &Properties) -> Vec<(String, Moref, String)> {
    let info: Option<VirtualMachineSnapshotInfo> = properties.get("snapshot");
    let (mut all, mut open) = (Vec::new(), info.map(|i| i.root_snapshot_list).unwrap_or_default());
    while let Some(tree) = open.pop() {
        open.extend(tree.child_snapshot_list);
        all.push((tree.name, tree.snapshot, tree.create_time));
    }
    all
}

/// Where a machine goes, as far as it makes a difference to what is there. (Its folder is where it is looked for.)
fn place(resolved: &Resolved) -> String {
    let place = &resolved.placement;
    let host = place.host.as_ref().map_or("", |h| h.value.as_str());
    let network = match &resolved.devices.network {
        None => String::new(),
        Some(NicBacking::Port(port)) => format!("{} {:?}", port.port.switch_uuid, port.port.portgroup_key),
        Some(NicBacking::Network(network)) => network.device_name.clone(),
        Some(NicBacking::Opaque(network)) => network.opaque_network_id.clone(),
        Some(NicBacking::Other(other)) => format!("{other:?}"),
    };
    let policy = place.policy.as_ref().map(|id| format!(" policy {id}")).unwrap_or_default();
    let datastore = place.among.as_deref().unwrap_or(&place.datastore.value);
    format!("{datastore} {} {host} {network}{policy}", place.pool.value)
}

struct Assessor<'a> {
    question: &'a Question<'a>,
    read: HashMap<Moref, Properties>,
    /// Machines that look as if they held a checkpoint.
    holders: Vec<Moref>,
}

/// Why a machine isn't there: what is told of it, and whether it is worth a note.
struct Absent {
    why: String,
    note: bool,
}

fn plain(why: impl Into<String>) -> Absent {
    Absent { why: why.into(), note: false }
}

fn differs(why: impl Into<String>) -> Absent {
    Absent { why: why.into(), note: true }
}

impl Assessor<'_> {
    fn answer(&self, recipes: Vec<Recipe>, files: BTreeMap<StepId, Files>) -> Assessment {
        let program = self.question.program;
        let (mut found, mut notes, mut there) = (BTreeMap::new(), HashMap::new(), HashMap::new());
        let mut keeps = BTreeMap::new();
        for (machine, recipe) in program.machines.iter().zip(&recipes) {
            match self.kept(machine) {
                Some(Ok((one, kept))) => {
                    keeps.insert(machine.id, kept);
                    found.insert(machine.id, Ok(summary(&one)));
                    there.insert(machine.id, one);
                    continue;
                }
                Some(Err(absent)) => {
                    notes.insert(machine.id, absent.why.clone());
                    found.insert(machine.id, Err(absent.why));
                    continue;
                }
                None => {}
            }
            if machine.outputs.iter().all(|o| o.kind == OutputKind::None) && !self.begun(machine.id) {
                continue;
            }
            match self.there(machine, recipe) {
                Ok(one) => {
                    found.insert(machine.id, Ok(summary(&one)));
                    there.insert(machine.id, one);
                }
                Err(absent) => {
                    if absent.note {
                        notes.insert(machine.id, absent.why.clone());
                    }
                    found.insert(machine.id, Err(absent.why));
                }
            }
        }
        let spared: BTreeSet<MachineId> =
            program.machines.iter().filter(|machine| self.spared(machine)).map(|machine| machine.id).collect();
        let (verdicts, asked) = decide(program, &recipes, &found, &keeps, &spared);
        let checkpoints = self.checkpoints();
        let before = &self.question.past.digests;
        let machines = program.machines.iter().zip(recipes).zip(&verdicts).map(|((machine, recipe), verdict)| {
            let start =
                if verdict.is_made() { self.start(machine, &recipe, &checkpoints, &verdicts, &found) } else { None };
            let now = recipe.whole.digest.as_ref().map_or_else(|_| String::new(), ToString::to_string);
            let then = before.as_ref().map(|list| list.get(machine.id.0 as usize) == Some(&now));
            Known {
                verdict: verdict.clone(),
                note: notes.remove(&machine.id),
                start,
                there: there.remove(&machine.id),
                // A build of which nothing is known was begun by an older version.
                sure: then.unwrap_or(self.question.past.entries.is_empty()),
                recipe,
            }
        });
        let machines = machines.collect();
        Assessment { machines, checkpoints: checkpoints.into_keys().collect(), files, asked }
    }

    /// Whether an earlier process of the build has begun to make a machine.
    fn begun(&self, id: MachineId) -> bool {
        let past = self.question.past;
        // Of a machine that is kept, steps are done without its being made.
        past.entries.iter().any(|e| e.machine == id)
            || past.done.iter().any(|n| matches!(n, Node::Clone(m) if *m == id))
    }

    /// Whether all that a machine leaves are files and items of libraries, which are there and stay as they are.
    fn spared(&self, machine: &Machine) -> bool {
        let taken = |o: &Output| matches!(o.kind, OutputKind::Ova | OutputKind::Library);
        let Some(resolved) = self.question.found.machines.get(&machine.id) else { return false };
        machine.outputs.iter().all(taken)
            && resolved.ovas.iter().all(|ova| ova.there && ova.exists == Exists::Keep)
            && resolved.items.iter().all(plan::ResolvedItem::is_kept)
            && !self.begun(machine.id)
    }

    /// A machine that is there and is kept, or why it can't be; None: it isn't there, or isn't to be kept.
    fn kept(&self, machine: &Machine) -> Option<Result<(There, Kept), Absent>> {
        if self.begun(machine.id) {
            return None;
        }
        let resolved = self.question.found.machines.get(&machine.id)?;
        let outputs = machine.outputs.iter().filter(|o| o.kind.is_placed()).zip(&resolved.outputs);
        let mut all = Vec::new();
        for (output, target) in outputs {
            let vm = target.existing.as_ref().filter(|_| output.exists == Exists::Keep)?;
            all.push((output, target, vm, self.read.get(vm)?));
        }
        let (_, _, vm, properties) = all.iter().find(|(o, ..)| o.kind == OutputKind::Vm).or(all.first())?;
        for (output, target, vm, properties) in &all {
            let template: bool = properties.get("config.template").unwrap_or_default();
            if template != (output.kind == OutputKind::Template) {
                let is = if template { "a template" } else { "no template" };
                return Some(Err(differs(format!("{} is {is}", target.name))));
            }
            let marks = Marks::of(vm, &target.name, properties);
            if let Some(marks) = marks.filter(|m| m.standing == Standing::HalfMade) {
                let build = &marks.build;
                let why = format!(
                    "the build {build} makes {} still, or has left it half-made: `vmwbuild clean {build}` removes it then",
                    target.name
                );
                return Some(Err(differs(why)));
            }
        }
        let record = record(vm, properties).filter(|r| r.checkpoint.is_none()).unwrap_or_default();
        let power: PowerState = properties.get("runtime.powerState").unwrap_or_default();
        let ip = properties.text("guest.ipAddress").and_then(crate::engine::network::usable);
        let ip = ip.filter(|_| power == PowerState::On);
        let mut attrs = attrs(vm, properties, &record, ip);
        if let Some(name) = properties.text("guest.hostName").filter(|n| !n.is_empty() && power == PowerState::On) {
            attrs.insert(Attr::Hostname, Value::Str(name.to_owned()));
        }
        let outputs = all.iter().map(|(output, target, made, _)| BuiltOutput {
            ip: ip.map(|ip| ip.to_string()),
            cached: true,
            ..crate::engine::finish::describe(machine.id, machine, output, made, &target.name)
        });
        let there =
            There { vm: (*vm).clone(), outputs: outputs.collect(), keys: values(machine, &record), attrs, record };
        let kept = Kept {
            running: power == PowerState::On,
            keys: there.keys.keys().cloned().collect(),
            attrs: there.attrs.keys().copied().collect(),
        };
        Some(Ok((there, kept)))
    }

    /// A machine's outputs, if all are there as its recipe leaves them.
    fn there(&self, machine: &Machine, recipe: &Recipe) -> Result<There, Absent> {
        if self.begun(machine.id) {
            return Err(plain("it was begun before"));
        }
        let resolved = self.question.found.machines.get(&machine.id).ok_or_else(|| plain("it can't be made"))?;
        let named: Vec<_> = machine.outputs.iter().filter(|o| o.kind.is_placed()).zip(&resolved.outputs).collect();
        let mut all = Vec::new();
        for (output, target) in &named {
            let vm = target.existing.as_ref().ok_or_else(|| plain(format!("there is no {} yet", target.name)))?;
            let properties = self.read.get(vm).ok_or_else(|| plain(format!("{} can't be read", target.name)))?;
            let record = record(vm, properties)
                .filter(|r| r.checkpoint.is_none())
                .ok_or_else(|| plain(format!("{} isn't what vmwbuild has made", target.name)))?;
            all.push((*output, target, vm, properties, record));
        }
        if let Some(item) = resolved.items.iter().find(|item| item.existing.is_none()) {
            let name = format!("{}/{}", item.library_name, item.name);
            return Err(plain(format!("there is no library item {name} yet")));
        }
        let other = |item: &&plan::ResolvedItem| {
            item.existing.as_ref().is_some_and(|i| i.is_template() != item.as_template && !item.is_kept())
        };
        if let Some(item) = resolved.items.iter().find(other) {
            let is = if item.as_template { "an OVF" } else { "a VM template" };
            return Err(differs(format!("the library item {}/{} is {is}", item.library_name, item.name)));
        }
        if let Some(ova) = resolved.ovas.iter().find(|ova| !ova.there) {
            return Err(plain(format!("there is no file {} yet", ova.name)));
        }
        if self.question.with.avoid {
            return Err(plain("`--no-cache`"));
        }
        let digest = recipe.whole.digest.as_ref().map_err(|u| plain(unknown(self.question.program, u)))?;
        for (output, target, _, properties, record) in &all {
            if record.digest != digest.to_string() {
                return Err(differs(difference(machine, recipe, record)));
            }
            as_left(output, properties).map_err(|why| differs(format!("{} {why}", target.name)))?;
            self.secrets(&recipe.whole, record).map_err(differs)?;
        }
        // The machine itself is the VM, or else the first template.
        let itself = all.iter().find(|(o, ..)| o.kind == OutputKind::Vm).or(all.first());
        let (_, _, vm, properties, record) = itself.ok_or_else(|| plain("it leaves nothing"))?;
        let running = crate::sema::order::leaves_running(machine);
        let ip = properties.text("guest.ipAddress").and_then(crate::engine::network::usable).filter(|_| running);
        let outputs = all.iter().map(|(output, target, made, ..)| BuiltOutput {
            ip: ip.map(|ip| ip.to_string()),
            cached: true,
            ..crate::engine::finish::describe(machine.id, machine, output, made, &target.name)
        });
        Ok(There {
            vm: (*vm).clone(),
            outputs: outputs.collect(),
            attrs: attrs(vm, properties, record, ip),
            keys: values(machine, record),
            record: record.clone(),
        })
    }

    /// Whether the secrets are the same, as far as that can be told.
    fn secrets(&self, mark: &Mark, record: &Record) -> Result<(), String> {
        let (program, with) = (self.question.program, self.question.with);
        let generated = mark.secrets.iter().filter_map(|id| program.secrets.get(id.0 as usize));
        let another = |name: &String| Err(format!("the secret `{name}` is another one"));
        let comparable = with.key_id().is_some_and(|id| id == record.key);
        // One that is made anew for each build: whoever can't compare it knows it is another.
        if let Some(secret) = generated.into_iter().find(|s| s.generate.is_some())
            && (!comparable || self.question.secrets.is_none())
        {
            return another(&secret.name);
        }
        let Some(given) = self.question.secrets.filter(|_| comparable) else { return Ok(()) };
        for (name, now) in secrets(program, &mark.secrets, given, with) {
            if record.secrets.get(&name).is_some_and(|then| *then != now) {
                return another(&name);
            }
        }
        Ok(())
    }

    /// The checkpoints that are whole, the newest of each digest.
    fn checkpoints(&self) -> HashMap<Digest, Start> {
        let mut all: HashMap<String, Start> = HashMap::new();
        for vm in &self.holders {
            let Some(properties) = self.read.get(vm) else { continue };
            let Some(record) = record(vm, properties).filter(|r| r.vm.is_some()) else { continue };
            let path = self.question.inventory.get(vm).map(|e| e.path.clone()).unwrap_or_default();
            let Some(start) = Start::of(vm.clone(), path, record) else { continue };
            let whole = all_snapshots(properties).iter().any(|(_, snapshot, _)| *snapshot == start.snapshot);
            let newer = all.get(&start.record.digest).is_none_or(|other| other.record.made < start.record.made);
            if whole && newer {
                all.insert(start.record.digest.clone(), start);
            }
        }
        let digest = |text: &str| Digest::parse(text);
        all.into_iter().filter_map(|(text, start)| Some((digest(&text)?, start))).collect()
    }

    /// The last checkpoint of a machine that can be gone on from.
    fn start(
        &self,
        machine: &Machine,
        recipe: &Recipe,
        checkpoints: &HashMap<Digest, Start>,
        verdicts: &[Verdict],
        found: &BTreeMap<MachineId, Result<Found, String>>,
    ) -> Option<Start> {
        if self.begun(machine.id) {
            return self
                .question
                .past
                .starts
                .get(&machine.id)
                .and_then(|(vm, record)| Start::of(vm.clone(), String::new(), record.clone()));
        }
        let candidates = recipe.steps.iter().enumerate().rev();
        candidates.map(|(at, mark)| (mark, at as u32 + 1)).find_map(|(mark, steps)| {
            let start = checkpoints.get(mark.digest.as_ref().ok()?)?;
            let program = self.question.program;
            let same = |id: &MachineId| {
                let other = found.get(id).and_then(|f| f.as_ref().ok());
                let label = &program.machine(*id).label;
                !verdicts.get(id.0 as usize).is_some_and(Verdict::is_made)
                    && other.is_some_and(|f| start.record.needs.get(label) == Some(&f.build))
            };
            let values_hold = mark.values.iter().filter(|id| **id != machine.id).all(same);
            let usable = start.steps() == steps
                && values_hold
                && self.secrets(mark, &start.record).is_ok()
                && keys_known(program, machine, start, verdicts);
            usable.then(|| start.clone())
        })
    }
}

/// Whether all keys that are captured before a checkpoint, and used after it, are kept with it.
fn keys_known(program: &Program, machine: &Machine, start: &Start, verdicts: &[Verdict]) -> bool {
    let done = start.steps();
    let known = values(machine, &start.record);
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut visit = |reference: &Ref, _| {
        if let Ref::Key(owner, name) = reference
            && *owner == machine.id
        {
            used.insert(name.clone());
        }
    };
    for step in machine.steps.iter().skip(done as usize) {
        order_refs::step(step, &mut visit);
        if let crate::sema::program::Action::Copy(copy) = &step.action {
            order_refs::copy_sources(&copy.sources, &mut visit);
        }
    }
    for other in program.machines.iter().filter(|m| m.id != machine.id) {
        if verdicts.get(other.id.0 as usize).is_some_and(Verdict::is_made) {
            order_refs::machine(other, &mut visit);
        }
    }
    let before = |name: &String| machine.keys.get(name).and_then(|k| k.step).is_some_and(|s| s.index < done);
    used.iter().filter(|name| before(name)).all(|name| known.contains_key(name))
}

/// What is remembered of a machine, by itself.
pub(super) fn record(vm: &Moref, properties: &Properties) -> Option<Record> {
    let options: Vec<OptionValue> = properties.list("config.extraConfig");
    let text = options.into_iter().find(|o| o.key == MARK)?.value.text().to_owned();
    Record::of(&text).filter(|record| record.vm.as_ref().is_none_or(|own| *own == vm.value))
}

/// Whether an output is in the state in which it was left.
fn as_left(output: &Output, properties: &Properties) -> Result<(), &'static str> {
    let template: bool = properties.get("config.template").unwrap_or_default();
    let power: PowerState = properties.get("runtime.powerState").unwrap_or_default();
    match output.kind {
        OutputKind::Template if !template => Err("isn't a template any more"),
        OutputKind::Vm if template => Err("has been made a template"),
        OutputKind::Vm if !output.off && power != PowerState::On => Err("doesn't run any more"),
        OutputKind::Template | OutputKind::Vm | OutputKind::Library | OutputKind::Ova | OutputKind::None => Ok(()),
    }
}

fn attrs(vm: &Moref, properties: &Properties, record: &Record, ip: Option<std::net::IpAddr>) -> BTreeMap<Attr, Value> {
    let kept = record.attrs.iter().filter_map(|(name, text)| Some((attr_named(name)?, Value::Str(text.clone()))));
    let mut all: BTreeMap<Attr, Value> = kept.filter(|(attr, _)| *attr == Attr::Hostname).collect();
    all.insert(Attr::Moref, Value::Str(vm.value.clone()));
    all.extend(properties.text("config.uuid").map(|uuid| (Attr::Uuid, Value::Str(uuid.to_owned()))));
    all.extend(ip.map(|ip| (Attr::Ip, Value::Ip(ip))));
    all
}

/// What is decided by.
fn summary(there: &There) -> Found {
    Found {
        build: there.record.build.clone(),
        fresh: there.record.fresh,
        needs: there.record.needs.clone(),
        passed: there.record.passed.clone(),
        keys: there.keys.keys().cloned().collect(),
        attrs: there.attrs.keys().copied().collect(),
    }
}

/// Where a recipe parts from that of a machine that is there.
fn difference(machine: &Machine, recipe: &Recipe, record: &Record) -> String {
    let marks = std::iter::once(&recipe.base).chain(&recipe.steps);
    let now: Vec<Option<Digest>> = marks.map(|m| m.digest.as_ref().ok().copied()).collect();
    match record.common(&now) {
        None => "it was made from another recipe".to_owned(),
        Some(0) => match machine.origin {
            Origin::Machine(_) => "what it is made from, its place, its hardware or its network is another".to_owned(),
            Origin::Inventory { .. } | Origin::Existing { .. } => {
                "its source, its place, its hardware or its network is another".to_owned()
            }
        },
        Some(same) => match machine.steps.get(same - 1) {
            Some(step) => format!("from step {same} on it is another: {}", step.text),
            None if record.steps.len() > now.len() => "steps were taken out at its end".to_owned(),
            None => "what it leaves, or what it takes from other machines, has changed".to_owned(),
        },
    }
}

/// Why a machine is always made.
fn unknown(program: &Program, unknown: &Unknown) -> String {
    let text = |id: &StepId| program.step(*id).text.clone();
    match unknown {
        Unknown::Existing => "it is there, and its steps are done on it".to_owned(),
        Unknown::Source => "its source is a VM, and nothing tells when its disks have changed".to_owned(),
        Unknown::Other(id) => format!("it depends on `{}`, which is always made", program.machine(*id).label),
        Unknown::NoCache(step) => format!("`--no-cache` on {}", text(step)),
        Unknown::Fetches(step) => format!("what it fetches is here: {}", text(step)),
        Unknown::Files(step) => format!("the files aren't known yet: {}", text(step)),
    }
}
