//! OVAs: what a FROM and an OUTPUT of them mean.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::codes;
use super::resolve::{Failed, ResolvedOva};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::sema::ova::OvaPlace;
use crate::sema::program::{Exists, Machine, OVA, Origin, Program};
use crate::syntax::ast::OutputKind;
use crate::vsphere::client::{Class, EntityKind, Inventory};
use crate::vsphere::wire::{Envelope, Moref};

/// What is known of an OVA that machines are made of.
#[derive(Clone, Debug)]
pub struct OvaFile {
    /// As it is written, with `ova:`.
    pub name: String,
    /// Where it is.
    pub place: OvaPlace,
    /// Its descriptor.
    pub descriptor: String,
    /// The same, read.
    pub envelope: Envelope,
    /// Its manifest, where it was seen already.
    pub manifest: Option<String>,
    /// What changes with its contents; None: nothing tells.
    pub identity: Option<String>,
}

impl OvaFile {
    /// The bytes of its disks, as far as the descriptor tells.
    pub fn bytes(&self) -> u64 {
        self.envelope.files.iter().filter_map(|file| file.size).sum()
    }
}

/// The OVAs that a program names.
#[derive(Clone, Debug, Default)]
pub struct Ovas {
    /// Those that machines are made of, by name.
    pub sources: BTreeMap<String, Result<Arc<OvaFile>, (Class, Diagnostic)>>,
    /// The files that outputs would write, by name, which are there.
    pub there: BTreeSet<String>,
    /// Those that this build has written itself.
    pub written: BTreeSet<String>,
    /// Those that it was about to write when its process ended.
    pub begun: BTreeSet<String>,
}

/// The sources of a program that are OVAs.
pub fn ova_sources(program: &Program) -> BTreeSet<String> {
    let named = program.machines.iter().filter_map(|machine| match &machine.origin {
        Origin::Inventory { name, .. } => Some(name).filter(|name| name.starts_with(OVA)),
        Origin::Machine(_) | Origin::Existing { .. } => None,
    });
    named.cloned().collect()
}

/// The OVAs that a program leaves.
pub fn ova_outputs(program: &Program) -> BTreeSet<String> {
    let all = program.machines.iter().flat_map(|machine| &machine.outputs);
    all.filter(|o| o.kind == OutputKind::Ova).map(|o| o.name.clone()).collect()
}

/// What a FROM means; whether it can be made of that file.
pub(super) fn source(name: &str, machine: &Machine, ovas: &Ovas) -> Result<Arc<OvaFile>, (Class, Diagnostic)> {
    let unknown = || (Class::Operation, Diagnostic::new(&codes::OVA_UNUSABLE, format!("`{name}` wasn't looked at")));
    let file = ovas.sources.get(name).cloned().unwrap_or_else(|| Err(unknown()))?;
    let misfit = |text: String| Diagnostic::new(&codes::OVA_MISFIT, text);
    let refused = |diagnostic: Diagnostic| Err((Class::Operation, diagnostic));
    let Some(system) = &file.envelope.system else {
        let diagnostic = misfit(format!("`{name}` holds no virtual machine, or several of them"));
        return refused(diagnostic.help("name an OVA with one virtual machine"));
    };
    if let Some(altered) = file.envelope.files.iter().find(|f| f.altered) {
        let diagnostic = misfit(format!("`{}` in `{name}` is compressed or cut in pieces", altered.href));
        return refused(diagnostic.help("have it exported anew, as ovftool and vCenter do by default"));
    }
    if !system.licences.is_empty() && !machine.ova.accepts {
        let first: String =
            system.licences.iter().flat_map(|l| l.split_whitespace()).take(30).collect::<Vec<_>>().join(" ");
        let diagnostic = misfit(format!("`{name}` has a licence agreement, and nobody has accepted it"));
        return refused(
            diagnostic.note(format!("it begins: {first}")).help("read it, and accept it by `FROM --accept-eula ova:…`"),
        );
    }
    if let Some(wanted) = &machine.ova.configuration
        && !file.envelope.configurations.contains(wanted)
    {
        let diagnostic = misfit(format!("`{name}` has no configuration `{wanted}`"));
        return refused(choices(diagnostic, wanted, file.envelope.configurations.iter().map(String::as_str)));
    }
    for (key, _, span) in &machine.ova.properties {
        let diagnostic = match system.properties.iter().find(|p| p.key == *key) {
            Some(property) if property.configurable => continue,
            Some(_) => misfit(format!("the property `{key}` of `{name}` can't be set"))
                .help("its descriptor says that it is not user-configurable: leave it out"),
            None => {
                let can = system.properties.iter().filter(|p| p.configurable).map(|p| p.key.as_str());
                choices(misfit(format!("`{name}` has no property `{key}`")), key, can)
            }
        };
        return refused(diagnostic.primary(*span, ""));
    }
    Ok(file)
}

pub(super) fn choices<'a>(
    diagnostic: Diagnostic,
    wanted: &str,
    all: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let list: Vec<&str> = all.clone().collect();
    match (did_you_mean(wanted, all), list.as_slice()) {
        (Some(near), _) => diagnostic.help(format!("did you mean `{near}`?")),
        (None, []) => diagnostic.help("it has none: leave the flag out"),
        (None, list) => diagnostic.help(format!("there are: {}", list.join(", "))),
    }
}

/// What the networks of a descriptor are attached to: all to the one that is given, else each to that of its name; and
/// those of which nothing is known.
pub(super) fn networks(
    file: &OvaFile,
    given: Option<Moref>,
    inventory: &Inventory,
    datacenter: &Moref,
) -> (Vec<(String, Moref)>, Vec<String>) {
    let (mut mapped, mut unknown) = (Vec::new(), Vec::new());
    for name in &file.envelope.networks {
        let found = || inventory.find(EntityKind::Network, name, Some(datacenter)).ok().map(|e| e.moref.clone());
        match given.clone().or_else(found) {
            Some(network) => mapped.push((name.clone(), network)),
            None => unknown.push(name.clone()),
        }
    }
    (mapped, unknown)
}

/// What a machine leaves as files.
pub(super) fn outputs(machine: &Machine, ovas: &Ovas) -> Vec<ResolvedOva> {
    let own = machine.outputs.iter().filter(|o| o.kind == OutputKind::Ova);
    let resolved = own.map(|output| {
        let there = ovas.there.contains(&output.name);
        // A file that nothing was replaced by, and that wasn't there: it got its name when it was whole.
        let begun = there && output.exists == Exists::Fail && ovas.begun.contains(&output.name);
        let ours = begun || ovas.written.contains(&output.name);
        ResolvedOva {
            name: output.name.clone(),
            there,
            written: ours,
            taken: there && !ours && output.exists == Exists::Fail,
            exists: output.exists,
            after: output.after.clone(),
            span: output.span,
        }
    });
    resolved.collect()
}

/// There is a file of that name already.
pub(super) fn taken(ova: &ResolvedOva) -> Failed {
    let diagnostic = Diagnostic::new(&codes::NAME_TAKEN, format!("there is already a file `{}`", ova.name));
    let diagnostic = diagnostic.primary(ova.span, "it would be written here").help(
        "`OUTPUT --exists=replace OVA …` replaces it once everything is built, `--exists=keep` leaves it as it is; or \
         choose another name, or remove it",
    );
    (Class::Operation, diagnostic)
}
