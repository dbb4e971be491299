//! The plan itself: what a build would make, where, from what, in which order, and what stands in its way.

use std::collections::{BTreeMap, HashMap};

use super::codes;
use super::facts::{Facts, Making, Source};
use super::resolve::{Found, Problem, Resolved};
use crate::diagnostic::Diagnostic;
use crate::graph::{Dag, Node, Why};
use crate::sema::program::{Action, Exists, Machine, MachineId, Origin, Os, Program};
use crate::syntax::ast::OutputKind;
use crate::vsphere::client::{Class, EntityKind, Inventory};
use crate::vsphere::wire::{Moref, PowerState};

/// What a build would do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// By machine, in the program's order; those with problems are missing.
    pub machines: Vec<Planned>,
    /// What the datastores hold and shall hold.
    pub datastores: Vec<Space>,
    /// Hosts that may run the machines.
    pub hosts: Vec<HostPlan>,
    /// Privileges: how many were asked for, and those missing by path; None: not checked.
    pub privileges: Option<Vec<(String, Vec<String>)>>,
    /// What keeps a build from starting, or from getting far.
    pub problems: Vec<Problem>,
    /// What a build survives.
    pub warnings: Vec<Diagnostic>,
}

/// One machine.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Which.
    pub id: MachineId,
    /// How it is called.
    pub label: String,
    /// What it is cloned from.
    pub source: From,
    /// Whether the source is the machine itself, which exists and stays (`ON`).
    pub exists: bool,
    /// Whether it shares the source's disks.
    pub linked: bool,
    /// Paths of where it goes.
    pub pool: String,
    /// Path of the datastore.
    pub datastore: String,
    /// Path of the folder.
    pub folder: String,
    /// Path of the host, where one was asked for.
    pub host: Option<String>,
    /// Path of the first adapter's network, where NETWORK is set.
    pub network: Option<String>,
    /// What else of its devices changes, in words.
    pub devices: Vec<String>,
    /// Bytes that its clones take at once.
    pub needs: u64,
    /// Bytes that they may grow by.
    pub may_grow: u64,
    /// What it leaves.
    pub outputs: Vec<Left>,
    /// How many steps it runs in its guest.
    pub steps: usize,
    /// Other machines that it waits for, and why.
    pub after: Vec<(String, String)>,
    /// Whether it is made.
    pub making: Making,
    /// From 1: machines of a wave need no machine of the same wave or a later one to be cloned.
    pub wave: usize,
}

/// What a machine is cloned from.
#[derive(Clone, Debug, PartialEq)]
pub enum From {
    /// Something of the inventory.
    Inventory {
        /// Its path.
        path: String,
        /// Its reference.
        moref: String,
        /// Whether it is a template.
        template: bool,
        /// What else is known.
        facts: Source,
    },
    /// A machine of this build.
    Machine(String),
}

/// What a machine leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// "template", "VM", "library item" or "OVA".
    pub kind: &'static str,
    /// Its path.
    pub path: String,
    /// The path of what it replaces.
    pub replaces: Option<String>,
    /// The machines that must have ended well before it gets its name.
    pub after: Vec<String>,
}

/// A datastore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Its path.
    pub path: String,
    /// Free bytes.
    pub free: u64,
    /// Bytes that the build takes at once.
    pub needs: u64,
    /// Bytes that may be added as disks fill.
    pub may_grow: u64,
    /// Whether it can be written to.
    pub accessible: bool,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPlan {
    /// Its path.
    pub path: String,
    /// Why nothing can run there.
    pub out: Option<String>,
    /// Whether transfers reach it: None: not checked; else why not, if not.
    pub transfers: Option<Option<String>>,
}

/// Puts it together.
pub fn plan(program: &Program, dag: &Dag, found: &Found, inventory: &Inventory, facts: &Facts) -> Plan {
    let mut out = Plan { problems: found.problems.clone(), ..Plan::default() };
    let path = |moref: &Moref| inventory.get(moref).map_or_else(|| moref.value.clone(), |e| e.path.clone());
    let roots = roots(program, found);
    let mut waves: HashMap<MachineId, usize> = HashMap::new();
    let mut spaces: BTreeMap<Moref, (u64, u64, MachineId)> = BTreeMap::new();
    let mut hosts: Vec<Moref> = Vec::new();
    for machine in &program.machines {
        let wave = match &machine.origin {
            Origin::Machine(parent) => waves.get(parent).copied().unwrap_or_default() + 1,
            Origin::Inventory { .. } | Origin::Existing { .. } => 1,
        };
        waves.insert(machine.id, wave);
        let Some(resolved) = found.machines.get(&machine.id) else { continue };
        let root = roots.get(&machine.id);
        let source = root.and_then(|r| facts.sources.get(*r)).cloned().unwrap_or_default();
        let making = facts.making.get(&machine.id).cloned().unwrap_or_default();
        let made = matches!(making, Making::Made { .. });
        if let Some((moref, from)) = resolved.source.as_ref().filter(|_| made) {
            let template = inventory.get(moref).is_some_and(|e| e.template);
            judge(machine, from, template, &source, &mut out);
            if let Err(wrong) = resolved.devices.specs(&source.devices)
                && !machine.hardware.devices.is_empty()
            {
                let diagnostic = super::devices::misfit(machine, &wrong);
                out.problems.push(Problem { class: Class::Operation, diagnostic, machine: machine.id });
            }
        }
        let exists = matches!(machine.origin, Origin::Existing { .. });
        let (needs, may_grow) = if made && !exists { space(machine, &source) } else { (0, 0) };
        let entry = spaces.entry(resolved.placement.datastore.clone()).or_insert((0, 0, machine.id));
        entry.0 = entry.0.saturating_add(needs);
        entry.1 = entry.1.saturating_add(may_grow);
        for host in inventory.hosts_of(&resolved.placement.pool, resolved.placement.host.as_ref()) {
            if !hosts.contains(&host.moref) {
                hosts.push(host.moref.clone());
            }
        }
        out.machines.push(planned(
            (program, dag),
            machine,
            resolved,
            inventory,
            (source, needs, may_grow, wave),
            making,
        ));
    }
    for (moref, (needs, may_grow, machine)) in spaces {
        let Some(entity) = inventory.get(&moref).filter(|e| e.kind == EntityKind::Datastore) else { continue };
        let free = u64::try_from(entity.free_space()).unwrap_or_default();
        let space = Space { path: entity.path.clone(), free, needs, may_grow, accessible: entity.accessible() };
        judge_space(&space, program.machine(machine), &mut out);
        out.datastores.push(space);
    }
    for host in hosts {
        let known = facts.hosts.get(&host);
        let transfers = facts.transfers.get(&host).cloned();
        out.hosts.push(HostPlan { path: path(&host), out: known.and_then(|h| h.out.clone()), transfers });
    }
    judge_hosts(program, found, inventory, facts, &mut out);
    let of = |object: &Moref| if facts.root.as_ref() == Some(object) { "/".to_owned() } else { path(object) };
    out.privileges = facts
        .lacking
        .as_ref()
        .map(|lacking| lacking.iter().map(|(object, list)| (of(object), list.clone())).collect::<Vec<_>>());
    if let (Some(lacking), Some(first)) = (&out.privileges, program.machines.first()) {
        for (object, list) in lacking {
            let diagnostic =
                Diagnostic::new(&codes::PRIVILEGE_MISSING, format!("the account lacks {} on {object}", words(list)))
                    .help(format!("give it a role with {} on {object}, or on something above it", words(list)));
            out.problems.push(Problem { class: Class::Operation, diagnostic, machine: first.id });
        }
    }
    out
}

/// The inventory's object behind each machine's disks.
fn roots<'a>(program: &Program, found: &'a Found) -> HashMap<MachineId, &'a Moref> {
    let mut roots = HashMap::new();
    for machine in &program.machines {
        let root = match &machine.origin {
            Origin::Machine(parent) => roots.get(parent).copied(),
            Origin::Existing { .. } | Origin::Inventory { .. } => {
                found.machines.get(&machine.id).and_then(|r| r.source.as_ref()).map(|(moref, _)| moref)
            }
        };
        if let Some(root) = root {
            roots.insert(machine.id, root);
        }
    }
    roots
}

/// Bytes that a machine's clones take at once, and may grow by. A linked clone begins with next to nothing and may grow
/// as large as its source; a running machine has a swap file as large as its memory.
fn space(machine: &Machine, source: &Source) -> (u64, u64) {
    let templates = machine.outputs.iter().filter(|o| o.kind == OutputKind::Template).count();
    let vm = machine.outputs.iter().any(|o| o.kind == OutputKind::Vm);
    // The machine itself is the VM, or the first template; further templates are clones of it.
    let copies = if vm { templates } else { templates.saturating_sub(1) } as u64;
    // Each checkpoint is kept on a clone of the machine.
    let kept = machine.steps.iter().filter(|s| matches!(s.action, Action::Checkpoint(_))).count() as u64;
    let copies = copies + kept;
    let (thick, thin) = super::devices::space(machine, &source.devices);
    let source = &Source {
        committed: source.committed.saturating_add(thick),
        uncommitted: source.uncommitted.saturating_add(thin),
        ..source.clone()
    };
    let whole = source.committed.saturating_add(source.uncommitted);
    let (own, own_growth) =
        if machine.linked { (thick, whole.saturating_sub(thick)) } else { (source.committed, source.uncommitted) };
    let memory = machine.hardware.memory.unwrap_or(source.memory_mib << 20);
    let swap = if crate::graph::boots(machine) { memory } else { 0 };
    (
        own.saturating_add(swap).saturating_add(source.committed.saturating_mul(copies)),
        own_growth.saturating_add(source.uncommitted.saturating_mul(copies)),
    )
}

/// Whether a source will do.
fn judge(machine: &Machine, path: &str, template: bool, source: &Source, out: &mut Plan) {
    let Origin::Inventory { span, .. } = &machine.origin else { return };
    let mut problem = |diagnostic: Diagnostic| {
        if !out.problems.iter().any(|p| p.diagnostic.message == diagnostic.message) {
            out.problems.push(Problem { class: Class::Operation, diagnostic, machine: machine.id });
        }
    };
    if machine.linked || machine.snapshot.is_some() {
        let found = match &machine.snapshot {
            Some(name) => source.snapshots.contains(name),
            None => !source.snapshots.is_empty(),
        };
        if !found {
            let what = machine.snapshot.as_ref().map_or_else(
                || "a linked clone needs a snapshot of its source, and there is none".to_owned(),
                |name| format!("the source has no snapshot `{name}`"),
            );
            let help = match source.snapshots.as_slice() {
                [] => "make a snapshot of the source, or leave out `--linked`".to_owned(),
                names => format!("it has: {}", names.join(", ")),
            };
            problem(Diagnostic::new(&codes::NO_SNAPSHOT, what).primary(*span, "").help(help));
        }
    }
    let windows = source.family.as_deref() == Some("windowsGuest");
    if crate::graph::boots(machine) && windows != (machine.os == Os::Windows) && source.family.is_some() {
        let (is, said) = if windows { ("Windows", "no Windows") } else { ("no Windows", "Windows") };
        problem(
            Diagnostic::new(&codes::OTHER_FAMILY, format!("the guest of {path} is {is}, and the stage is for {said}"))
                .primary(*span, "")
                .help(if windows { "write `FROM --os=windows …`" } else { "leave out `--os=windows`" }),
        );
    }
    let mut warn = |diagnostic: Diagnostic| {
        if !out.warnings.iter().any(|w| w.message == diagnostic.message) {
            out.warnings.push(diagnostic);
        }
    };
    if !template && source.power == PowerState::On {
        warn(
            Diagnostic::new(&codes::SOURCE_RUNS, format!("{path} is powered on while it is cloned"))
                .primary(*span, "")
                .help("its disks are copied as after a power failure: shut it down first, or clone a template"),
        );
    }
    if crate::graph::boots(machine) && source.tools.is_none() {
        warn(
            Diagnostic::new(&codes::NO_TOOLS, format!("VMware Tools have never reported from {path}"))
                .primary(*span, "")
                .help("commands need them: install open-vm-tools in it, if they aren't there"),
        );
    }
}

fn judge_space(space: &Space, machine: &Machine, out: &mut Plan) {
    let place = machine.span;
    if !space.accessible {
        let diagnostic = Diagnostic::new(&codes::NO_SPACE, format!("{} isn't accessible", space.path))
            .primary(place, "")
            .help("choose another with DATASTORE or `--datastore`");
        out.problems.push(Problem { class: Class::Operation, diagnostic, machine: machine.id });
    } else if space.needs > space.free {
        let text = format!("{} has {} free, and the build takes {}", space.path, size(space.free), size(space.needs));
        let diagnostic = Diagnostic::new(&codes::NO_SPACE, text)
            .primary(place, "")
            .help("make room, choose another with DATASTORE or `--datastore`, or use `FROM --linked`");
        out.problems.push(Problem { class: Class::Operation, diagnostic, machine: machine.id });
    } else if space.needs.saturating_add(space.may_grow) > space.free {
        let text = format!(
            "{} has {} free: enough for the {} that the build takes, not for the {} that its disks may grow by",
            space.path,
            size(space.free),
            size(space.needs),
            size(space.may_grow)
        );
        out.warnings.push(Diagnostic::new(&codes::LITTLE_SPACE, text).primary(place, ""));
    }
}

fn judge_hosts(program: &Program, found: &Found, inventory: &Inventory, facts: &Facts, out: &mut Plan) {
    let mut told: Vec<Moref> = Vec::new();
    for machine in &program.machines {
        let Some(resolved) = found.machines.get(&machine.id) else { continue };
        let hosts = inventory.hosts_of(&resolved.placement.pool, resolved.placement.host.as_ref());
        let usable = hosts.iter().any(|h| facts.hosts.get(&h.moref).is_none_or(|f| f.out.is_none()));
        if !hosts.is_empty() && !usable && !told.contains(&resolved.placement.pool) {
            told.push(resolved.placement.pool.clone());
            let states: Vec<String> = hosts
                .iter()
                .filter_map(|h| Some(format!("{} is {}", h.path, facts.hosts.get(&h.moref)?.out.as_ref()?)))
                .collect();
            let diagnostic = Diagnostic::new(&codes::NO_HOST, "no host can run the machine now")
                .primary(machine.span, "")
                .note(states.join("; "))
                .help("choose another with CLUSTER or HOST, or bring one back");
            out.problems.push(Problem { class: Class::Operation, diagnostic, machine: machine.id });
        }
    }
    let unreached = out.hosts.iter().filter_map(|h| Some(format!("{}: {}", h.path, h.transfers.clone()??)));
    let unreached: Vec<String> = unreached.collect();
    if !unreached.is_empty() {
        let text = format!("file transfers don't reach {} of {} hosts", unreached.len(), out.hosts.len());
        let diagnostic = Diagnostic::new(&codes::NO_TRANSFERS, text).help(
            "open TCP 443 from here to the hosts; without it small data goes through vCenter, and large files can't",
        );
        out.warnings.push(unreached.into_iter().fold(diagnostic, Diagnostic::note));
    }
}

type Sizes = (Source, u64, u64, usize);

fn planned(
    (program, dag): (&Program, &Dag),
    machine: &Machine,
    resolved: &Resolved,
    inventory: &Inventory,
    (facts, needs, may_grow, wave): Sizes,
    making: Making,
) -> Planned {
    let path = |moref: &Moref| inventory.get(moref).map_or_else(|| moref.value.clone(), |e| e.path.clone());
    let source = match (&resolved.source, &machine.origin) {
        (Some((moref, path)), _) => From::Inventory {
            path: path.clone(),
            moref: moref.value.clone(),
            template: inventory.get(moref).is_some_and(|e| e.template),
            facts,
        },
        (None, Origin::Machine(parent)) => From::Machine(program.machine(*parent).label.clone()),
        (None, Origin::Existing { path, .. }) => From::Machine(path.clone()),
        (None, Origin::Inventory { name, .. }) => From::Machine(name.clone()),
    };
    let made = machine.outputs.iter().filter(|o| o.kind.is_placed());
    let outputs = made.zip(&resolved.outputs).map(|(output, target)| Left {
        kind: if output.kind == OutputKind::Template { "template" } else { "VM" },
        path: format!("{}/{}", target.placement.folder_path, target.name),
        replaces: target.replaces.as_ref().filter(|_| output.exists == Exists::Replace).map(path),
        after: output.after.iter().map(|id| program.machine(*id).label.clone()).collect(),
    });
    let names = |ids: &[MachineId]| ids.iter().map(|id| program.machine(*id).label.clone()).collect();
    let items = resolved.items.iter().map(|item| {
        let path = format!("{}/{}", item.library_name, item.name);
        let replaces = item.existing.as_ref().map(|_| path.clone());
        Left { kind: "library item", path, replaces, after: names(&item.after) }
    });
    let ovas = resolved.ovas.iter().filter(|ova| !(ova.there && ova.exists == Exists::Keep)).map(|ova| Left {
        kind: "OVA",
        path: ova.name.clone(),
        replaces: ova.there.then(|| ova.name.clone()),
        after: names(&ova.after),
    });
    let outputs = outputs.chain(items).chain(ovas);
    let place = &resolved.placement;
    let policy = machine.policy.as_ref().map(|policy| format!("storage policy `{}`", policy.value));
    Planned {
        id: machine.id,
        label: machine.label.clone(),
        source,
        exists: matches!(machine.origin, Origin::Existing { .. }),
        linked: machine.linked,
        pool: path(&place.pool),
        datastore: path(&place.datastore),
        folder: place.folder_path.clone(),
        host: place.host.as_ref().map(path),
        network: resolved.devices.network.as_ref().and(resolved.networks.first()).map(|(_, path)| path.clone()),
        devices: machine.hardware.devices.words().into_iter().chain(policy).collect(),
        needs,
        may_grow,
        outputs: outputs.collect(),
        steps: machine.steps.len(),
        after: after(program, dag, machine),
        making,
        wave,
    }
}

/// Other machines that one waits for, each with its first reason.
fn after(program: &Program, dag: &Dag, machine: &Machine) -> Vec<(String, String)> {
    let mut out: Vec<(MachineId, String)> = Vec::new();
    for (from, to, reason) in dag.edges() {
        let other = from.machine();
        if to.machine() != machine.id || other == machine.id || out.iter().any(|(id, _)| *id == other) {
            continue;
        }
        let before = match to {
            Node::Step(step) => format!(" before step {}", step.index + 1),
            Node::Clone(_) | Node::Boot(_) | Node::Network(_) | Node::Export(_) | Node::Finish(_) => String::new(),
        };
        let why = match &reason.why {
            Why::From => "is made from it".to_owned(),
            Why::Key(key) => format!("needs its `{key}`{before}"),
            Why::Attr(_) => format!("needs to know of it{before}"),
            Why::Copy => format!("copies from it{before}"),
            Why::After | Why::Sequence => "comes after it".to_owned(),
        };
        out.push((other, why));
    }
    out.into_iter().map(|(id, why)| (program.machine(id).label.clone(), why)).collect()
}

/// `12.4 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let unit_name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {unit_name}") }
}

fn words(list: &[String]) -> String {
    list.join(", ")
}
