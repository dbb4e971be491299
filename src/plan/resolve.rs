//! Before anything is changed: every name that the build uses is looked up in the inventory, and everything that
//! is wrong is reported at once.

use std::collections::HashMap;
use std::sync::Arc;

use super::codes;
use super::library::Source;
use super::ova::OvaFile;
use super::wishes::Wishes;
use crate::diagnostic::Diagnostic;
use crate::sema::program::{BY_POLICY, Exists, LIBRARY, Machine, MachineId, OVA, Origin, Output, Program};
use crate::source::Span;
use crate::syntax::Keyword;
use crate::vsphere::client::{
    Class, DeviceChange, Entity, EntityKind, Error, Inventory, Library, LibraryItem, OvfChosen, Placement,
    PlacementRequest,
};
use crate::vsphere::wire::{Moref, NicBacking};

/// The template that a sandbox has under every name.
pub(super) const SANDBOX_DEFAULT: &str = "linux";

/// What the inventory says of a machine to be.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What it is cloned from, where that is in the inventory already, and its path.
    pub source: Option<(Moref, String)>,
    /// Where it goes.
    pub placement: Placement,
    /// What its devices become, its first adapter's network among it.
    pub devices: DeviceChange,
    /// The networks that its adapters are attached to anew, and their paths; NETWORK's first.
    pub networks: Vec<(Moref, String)>,
    /// What is placed of its outputs, in order.
    pub outputs: Vec<ResolvedOutput>,
    /// What it is deployed from, where that is nothing in the inventory.
    pub deploys: Option<Deploys>,
    /// What it leaves in content libraries.
    pub items: Vec<ResolvedItem>,
    /// What it leaves as files.
    pub ovas: Vec<ResolvedOva>,
}

/// What a machine is made of, other than by cloning.
#[derive(Clone, Debug)]
pub enum Deploys {
    /// An OVF item of a content library.
    Item(Box<Deployed>),
    /// An OVA.
    Ova(Imported),
}

/// An OVF item that a machine is made of.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The item.
    pub item: LibraryItem,
    /// What is chosen and set of it.
    pub chosen: OvfChosen,
}

/// An OVA that a machine is made of.
#[derive(Clone, Debug)]
pub struct Imported {
    /// What is known of it.
    pub file: Arc<OvaFile>,
    /// What its networks are attached to, as far as that is known.
    pub networks: Vec<(String, Moref)>,
}

/// An OVA to be written.
#[derive(Clone, Debug)]
pub struct ResolvedOva {
    /// Its file, as it is written in the VMWfile.
    pub name: String,
    /// Whether there is one.
    pub there: bool,
    /// Whether that is this build's own.
    pub written: bool,
    /// Whether it is in the way.
    pub taken: bool,
    /// What to do with one that is there.
    pub exists: Exists,
    /// The machines that must have ended well first.
    pub after: Vec<MachineId>,
    /// Where it is written.
    pub span: Span,
}

/// A library item to be left.
#[derive(Clone, Debug)]
pub struct ResolvedItem {
    /// The library; None: the sandbox has still to be given it.
    pub library: Option<Library>,
    /// Its name, and the item's.
    pub library_name: String,
    /// See `library_name`.
    pub name: String,
    /// What is there, of which it becomes the next version, or which it replaces.
    pub existing: Option<LibraryItem>,
    /// Whether it is to be a VM template, and no OVF.
    pub as_template: bool,
    /// Whether that is in the way.
    pub taken: bool,
    /// What to do with one that is there.
    pub exists: Exists,
    /// The machines that must have ended well first.
    pub after: Vec<MachineId>,
    /// Where it is written.
    pub span: Span,
}

impl ResolvedItem {
    /// Whether there is one, which stays as it is.
    pub fn is_kept(&self) -> bool {
        self.existing.is_some() && self.exists == Exists::Keep
    }
}

/// What tells a library item as a build's own.
pub fn made_by(build: &str) -> String {
    format!("made by vmwbuild, build {build}")
}

/// An output with its place.
#[derive(Clone, Debug)]
pub struct ResolvedOutput {
    /// Without folders.
    pub name: String,
    /// Where it goes.
    pub placement: Placement,
    /// What stands there.
    pub existing: Option<Moref>,
    /// The same where it is to be replaced.
    pub replaces: Option<Moref>,
}

/// What [`resolve`] found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// By machine; those with problems are missing, and those cloned from them.
    pub machines: HashMap<MachineId, Resolved>,
    /// For the view.
    pub notes: Vec<(MachineId, String)>,
    /// All that is wrong, in the order of the program.
    pub problems: Vec<Problem>,
    /// Names of outputs that are taken, which matters only to machines that are made: see [`Found::settle`].
    taken: Vec<Problem>,
}

impl Found {
    /// Tells of the names that are in the way of the machines that are made. `why` one is made though something of its
    /// name is there, where there is more to say.
    pub fn settle(&mut self, made: impl Fn(MachineId) -> bool, why: impl Fn(MachineId) -> Option<String>) {
        for mut problem in std::mem::take(&mut self.taken) {
            if made(problem.machine) {
                problem.diagnostic.notes.extend(why(problem.machine));
                self.push(problem);
            }
        }
        self.problems.sort_by_key(|p| p.machine);
    }

    /// Replicas fail alike: once is enough.
    pub fn push(&mut self, problem: Problem) {
        let (message, place) = (&problem.diagnostic.message, &problem.diagnostic.primary);
        if !self.problems.iter().any(|p| p.diagnostic.message == *message && p.diagnostic.primary == *place) {
            self.problems.push(problem);
        }
    }
}

/// Something that keeps a build from starting.
#[derive(Clone, Debug)]
pub struct Problem {
    /// By which the exit code is chosen.
    pub class: Class,
    /// What is told.
    pub diagnostic: Diagnostic,
    /// The first machine that has it.
    pub machine: MachineId,
}

/// Looks everything up.
pub fn resolve(program: &Program, wishes: Wishes<'_>, inventory: &Inventory) -> Found {
    let mut found = Found::default();
    let mut roots: HashMap<MachineId, Entity> = HashMap::new();
    for machine in &program.machines {
        match one(machine, wishes, inventory, &mut roots, &mut found.notes) {
            Ok(Some(resolved)) => {
                let outputs = machine.outputs.iter().filter(|o| o.kind.is_placed()).zip(&resolved.outputs);
                for (output, target) in outputs.filter(|(o, _)| o.exists != Exists::Replace) {
                    if let Some(entity) = target.existing.as_ref().and_then(|vm| inventory.get(vm)) {
                        let (class, diagnostic) = taken(entity, output.span);
                        found.taken.push(Problem { class, diagnostic, machine: machine.id });
                    }
                }
                for item in resolved.items.iter().filter(|item| item.taken) {
                    let diagnostic = super::library::taken(item);
                    found.taken.push(Problem { class: Class::Operation, diagnostic, machine: machine.id });
                }
                for ova in resolved.ovas.iter().filter(|ova| ova.taken) {
                    let (class, diagnostic) = super::ova::taken(ova);
                    found.taken.push(Problem { class, diagnostic, machine: machine.id });
                }
                found.machines.insert(machine.id, resolved);
            }
            // Its source failed, and that is reported already.
            Ok(None) => {}
            Err((class, diagnostic)) => found.push(Problem { class, diagnostic, machine: machine.id }),
        }
    }
    found
}

pub(super) type Failed = (Class, Diagnostic);

/// Networks that are looked up, and those that were.
pub(super) struct Networks<'a> {
    pub inventory: &'a Inventory,
    pub datacenter: &'a Moref,
    pub named: Vec<(Moref, String)>,
}

impl Networks<'_> {
    /// What an adapter is attached to by that name.
    pub fn find(&mut self, name: &str, span: Span) -> Result<NicBacking, Failed> {
        let within = Some(self.datacenter);
        let backing = self.inventory.network(name, within).map_err(|e| failed(&e, span))?;
        if let Ok(entity) = self.inventory.find(EntityKind::Network, name, within) {
            self.named.push((entity.moref.clone(), entity.path.clone()));
        }
        Ok(backing)
    }
}

fn one(
    machine: &Machine,
    wishes: Wishes<'_>,
    inventory: &Inventory,
    roots: &mut HashMap<MachineId, Entity>,
    notes: &mut Vec<(MachineId, String)>,
) -> Result<Option<Resolved>, Failed> {
    let setting =
        |keyword| wishes.placement.resolve(keyword, &machine.placement, &machine.default_placement).map(str::to_owned);
    let place_of = |keyword: Keyword| {
        let own = machine.placement.get(&keyword).or_else(|| machine.default_placement.get(&keyword));
        own.map_or(machine.span, |s| s.span)
    };
    let datacenter = match setting(Keyword::Datacenter) {
        Some(name) => {
            let found = inventory.find(EntityKind::Datacenter, &name, None);
            Some(found.map_err(|e| failed(&e, place_of(Keyword::Datacenter)))?.moref.clone())
        }
        None => None,
    };
    let mut deploys = None;
    let (root, source) = match &machine.origin {
        Origin::Machine(parent) => match roots.get(parent) {
            Some(root) => (root.clone(), None),
            None => return Ok(None),
        },
        Origin::Existing { path, moref, span } => {
            let vm = moref.as_ref().map(|moref| Moref::new("VirtualMachine", moref));
            let gone = || Error::NotFound { kind: "virtual machine", name: path.clone(), near: Vec::new(), more: 0 };
            let entity = vm.as_ref().and_then(|vm| inventory.get(vm)).ok_or_else(gone);
            let entity = entity.map_err(|e| failed(&e, *span))?;
            (entity.clone(), Some((entity.moref.clone(), entity.path.clone())))
        }
        Origin::Inventory { name, span } if name.starts_with(LIBRARY) => {
            match super::library::source(name, machine, wishes, inventory).map_err(placed(*span))? {
                Source::Template(entity) => (entity.clone(), Some((entity.moref.clone(), name.clone()))),
                Source::Item(item) => {
                    let chosen = super::properties::wished(machine);
                    deploys = Some(Deploys::Item(Box::new(Deployed { item, chosen })));
                    (super::library::root(datacenter.as_ref(), inventory).map_err(|e| failed(&e, *span))?, None)
                }
                Source::Default(entity) => {
                    let note = format!("the sandbox has no `{name}`: its template `linux` stands for it");
                    notes.push((machine.id, note));
                    (entity.clone(), Some((entity.moref.clone(), entity.path.clone())))
                }
            }
        }
        Origin::Inventory { name, span } if name.starts_with(OVA) => {
            let file = super::ova::source(name, machine, wishes.ovas).map_err(placed(*span))?;
            deploys = Some(Deploys::Ova(Imported { file, networks: Vec::new() }));
            let root = match inventory.vm(SANDBOX_DEFAULT, datacenter.as_ref()) {
                // Nobody knows the places of a sandbox that comes and goes with the build.
                Ok(template) if wishes.sandbox => template.clone(),
                _ => super::library::root(datacenter.as_ref(), inventory).map_err(|e| failed(&e, *span))?,
            };
            (root, None)
        }
        Origin::Inventory { name, span } => {
            let entity = match inventory.vm(name, datacenter.as_ref()) {
                Err(Error::NotFound { .. }) if wishes.sandbox => {
                    let default = inventory.vm(SANDBOX_DEFAULT, None).map_err(|e| failed(&e, *span))?;
                    notes
                        .push((machine.id, format!("the sandbox has no `{name}`: its template `linux` stands for it")));
                    default
                }
                other => other.map_err(|e| failed(&e, *span))?,
            };
            (entity.clone(), Some((entity.moref.clone(), entity.path.clone())))
        }
    };
    super::specs::check(machine, wishes.specs)?;
    let policy = match &machine.policy {
        Some(policy) => Some(wishes.policies.id(&policy.value).map_err(|e| failed(&e, policy.span))?.to_owned()),
        None => None,
    };
    let datastore = setting(Keyword::Datastore);
    let by_policy = datastore.as_deref() == Some(BY_POLICY);
    let request = PlacementRequest {
        datacenter: setting(Keyword::Datacenter),
        cluster: setting(Keyword::Cluster),
        host: setting(Keyword::Host),
        pool: setting(Keyword::Pool),
        datastore: datastore.filter(|_| !by_policy),
        folder: setting(Keyword::Folder),
        fitting: policy.as_ref().filter(|_| by_policy).and_then(|id| wishes.policies.fit(id)).cloned(),
        policy,
    };
    let placement = inventory.place(&request, &root).map_err(|e| failed(&e, placement_span(machine, &e)))?;
    let mut networks = Networks { inventory, datacenter: &placement.datacenter, named: Vec::new() };
    let network = match setting(Keyword::Network) {
        Some(name) => Some(networks.find(&name, place_of(Keyword::Network))?),
        None => None,
    };
    let mut devices = super::devices::resolve(machine, network, &mut networks)?;
    devices.policy.clone_from(&placement.policy);
    if let Some(Deploys::Ova(ova)) = &mut deploys {
        let given = devices.network.as_ref().and(networks.named.first()).map(|(network, _)| network.clone());
        let (mapped, unknown) = super::ova::networks(&ova.file, given, inventory, &placement.datacenter);
        ova.networks = mapped;
        let words = |name| format!("the OVA's network `{name}` isn't here: vCenter chooses one, unless NETWORK does");
        notes.extend(unknown.into_iter().map(|name| (machine.id, words(name))));
    }
    let networks = networks.named;
    let outputs = machine
        .outputs
        .iter()
        .filter(|output| output.kind.is_placed())
        .map(|output| target(output, &request, &placement, &root, inventory))
        .collect::<Result<Vec<_>, Failed>>()?;
    let items = super::library::items(machine, wishes, &placement, inventory)?;
    let ovas = super::ova::outputs(machine, wishes.ovas);
    roots.insert(machine.id, root);
    Ok(Some(Resolved { source, placement, devices, networks, outputs, deploys, items, ovas }))
}

/// An output's folder and name; whether the name is free.
fn target(
    output: &Output,
    request: &PlacementRequest,
    placement: &Placement,
    root: &Entity,
    inventory: &Inventory,
) -> Result<ResolvedOutput, Failed> {
    let (placement, name) = match output.name.rsplit_once('/') {
        Some((folder, name)) => {
            let request = PlacementRequest { folder: Some(folder.to_owned()), ..request.clone() };
            (inventory.place(&request, root).map_err(|e| failed(&e, output.span))?, name.to_owned())
        }
        None => (placement.clone(), output.name.clone()),
    };
    let existing = inventory.vm_in(&placement.folder, &name).map(|entity| entity.moref.clone());
    let replaces = existing.clone().filter(|_| output.exists == Exists::Replace);
    Ok(ResolvedOutput { name, placement, existing, replaces })
}

/// The name of an output is another's.
fn taken(entity: &Entity, span: Span) -> Failed {
    let kind = if entity.template { "template" } else { "VM" };
    let diagnostic = Diagnostic::new(&codes::NAME_TAKEN, format!("there is already a {kind} `{}`", entity.path))
        .primary(span, "this name is taken")
        .help(
            "`OUTPUT --exists=replace …` swaps it for the new one once everything is built, `--exists=keep` leaves it \
             as it is; or choose another name, or remove it",
        );
    (Class::Operation, diagnostic)
}

pub(super) fn failed(error: &Error, span: Span) -> Failed {
    let diagnostic = error.diagnostic();
    let diagnostic = if diagnostic.primary.is_none() { diagnostic.primary(span, "") } else { diagnostic };
    (error.class(), diagnostic)
}

/// What is told of a place of its own stays there, all else is told of `span`.
fn placed(span: Span) -> impl FnOnce(Failed) -> Failed {
    move |(class, d)| match d.primary {
        Some(_) => (class, d),
        None => (class, d.primary(span, "")),
    }
}

/// The placement instruction that an error is about, else the machine's FROM.
fn placement_span(machine: &Machine, error: &Error) -> Span {
    let (Error::NotFound { name, .. } | Error::Ambiguous { name, .. } | Error::Unusable { name, .. }) = error else {
        return machine.span;
    };
    let settings = machine.placement.values().chain(machine.default_placement.values()).chain(&machine.policy);
    settings.into_iter().find(|s| s.value == *name).map_or(machine.span, |s| s.span)
}
