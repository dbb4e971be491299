//! Content libraries: what a FROM and an OUTPUT of them mean.

use super::codes;
use super::resolve::{Failed, ResolvedItem, SANDBOX_DEFAULT, failed, made_by};
use super::wishes::Wishes;
use crate::diagnostic::Diagnostic;
use crate::sema::program::{Exists, LIBRARY, Machine, Origin, Output, Program, library_item};
use crate::syntax::ast::OutputKind;
use crate::vsphere::client::{Class, Entity, EntityKind, Error, Inventory, LibraryItem, Placement};
use crate::vsphere::wire::Moref;

/// What a FROM of a library is made of.
pub(super) enum Source<'a> {
    /// A template of the inventory, which is cloned.
    Template(&'a Entity),
    /// An OVF item, which is deployed.
    Item(LibraryItem),
    /// The sandbox's template, in its place.
    Default(&'a Entity),
}

/// The libraries and items that a program names: what vCenter is to be asked for.
pub fn library_items(program: &Program) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for machine in &program.machines {
        let source = match &machine.origin {
            Origin::Inventory { name, .. } => Some(name.as_str()).filter(|name| name.starts_with(LIBRARY)),
            Origin::Machine(_) | Origin::Existing { .. } => None,
        };
        let left = machine.outputs.iter().filter(|o| o.kind == OutputKind::Library).map(|o| o.name.as_str());
        let named = source.into_iter().chain(left).filter_map(library_item);
        all.extend(named.map(|(library, item)| (library.to_owned(), item.to_owned())));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// What a FROM means.
pub(super) fn source<'a>(
    name: &str,
    machine: &Machine,
    wishes: Wishes<'_>,
    inventory: &'a Inventory,
) -> Result<Source<'a>, (Class, Diagnostic)> {
    let told = |e: &Error| (e.class(), e.diagnostic());
    let (library, item) = library_item(name).unwrap_or_default();
    let item = match wishes.libraries.item(library, item) {
        Ok(item) => item,
        Err(Error::NotFound { .. }) if wishes.sandbox => {
            return inventory.vm(SANDBOX_DEFAULT, None).map(Source::Default).map_err(|e| told(&e));
        }
        Err(e) => return Err(told(&e)),
    };
    let misfit = |text: String, help: &str| {
        Err((Class::Operation, Diagnostic::new(&codes::ITEM_MISFIT, text).help(help.to_owned())))
    };
    if item.kind == TEMPLATE {
        let first = machine.ova.properties.first().map(|(_, _, span)| (*span, "property"));
        let configured = machine.ova.configuration.as_ref().map(|_| (machine.span, "configuration"));
        if let Some((span, flag)) = first.or(configured) {
            let text = format!("the library item `{}` is a VM template: it has no {flag} to be set", item.name);
            let help = format!("leave `--{flag}` out, or name an item with an OVF");
            return Err((Class::Operation, Diagnostic::new(&codes::ITEM_MISFIT, text).primary(span, "").help(help)));
        }
    }
    match (item.kind.as_str(), &item.template) {
        (TEMPLATE, Some(template)) => match inventory.get(template) {
            Some(entity) => Ok(Source::Template(entity)),
            None => {
                let text = format!("the template behind the library item `{}` can't be seen", item.name);
                misfit(text, "give the account a role that lets it see and clone that template")
            }
        },
        (OVF, _) if machine.linked || machine.snapshot.is_some() => {
            let text = format!("the library item `{}` is deployed, not cloned: it has no snapshots", item.name);
            misfit(text, "leave `--linked` and `--snapshot` out; a stage of its own may be cloned from by `--linked`")
        }
        (OVF, _) => Ok(Source::Item(item.clone())),
        (kind, _) => {
            let kind = if kind.is_empty() { "no type" } else { kind };
            let text = format!("no machine can be made of the library item `{}`: it is of the type {kind}", item.name);
            misfit(text, "name an item with an OVF, or with a VM template")
        }
    }
}

/// Where what is deployed goes, as far as nothing else says: a datacenter.
pub(super) fn root(datacenter: Option<&Moref>, inventory: &Inventory) -> Result<Entity, Error> {
    if let Some(found) = datacenter.and_then(|moref| inventory.get(moref)) {
        return Ok(found.clone());
    }
    let all: Vec<&Entity> = inventory.all(EntityKind::Datacenter).collect();
    match all.as_slice() {
        [one] => Ok((*one).clone()),
        several => Err(Error::Ambiguous {
            kind: EntityKind::Datacenter.name(),
            name: String::new(),
            candidates: several.iter().map(|e| e.path.clone()).collect(),
        }),
    }
}

/// What a machine leaves in libraries.
pub(super) fn items(
    machine: &Machine,
    wishes: Wishes<'_>,
    placement: &Placement,
    inventory: &Inventory,
) -> Result<Vec<ResolvedItem>, Failed> {
    let left = machine.outputs.iter().filter(|o| o.kind == OutputKind::Library);
    let checked = left.map(|output| {
        let item = item(output, wishes)?;
        // Where an item is there already, its own template has that name.
        let replaced = item.existing.as_ref().is_some_and(|old| old.kind == TEMPLATE);
        match inventory
            .vm_in(&placement.folder, &item.name)
            .filter(|_| item.as_template && !replaced && !item.is_kept())
        {
            Some(entity) => Err((Class::Operation, in_the_way(output, entity))),
            None => Ok(item),
        }
    });
    checked.collect()
}

fn in_the_way(output: &Output, entity: &Entity) -> Diagnostic {
    let kind = if entity.template { "template" } else { "VM" };
    let text = format!("there is already a {kind} `{}`, where the item's own template is to stand", entity.path);
    let diagnostic = Diagnostic::new(&codes::NAME_TAKEN, text).primary(output.span, "this name is taken");
    diagnostic.help(
        "a VM template of a library stands in its machine's folder too: choose another FOLDER or name, or remove it",
    )
}

/// The type of items that are VM templates, and of those that are OVFs.
const TEMPLATE: &str = "vm-template";
const OVF: &str = "ovf";

fn item(output: &Output, wishes: Wishes<'_>) -> Result<ResolvedItem, Failed> {
    let (library_name, name) = library_item(&output.name).unwrap_or_default();
    let library = match wishes.libraries.library(library_name) {
        Ok(library) => Some(library.clone()),
        Err(Error::NotFound { .. }) if wishes.sandbox => None,
        Err(e) => return Err(failed(&e, output.span)),
    };
    let refused = |text: String, help: &str| {
        let diagnostic = Diagnostic::at(&codes::ITEM_MISFIT, output.span, text);
        Err((Class::Operation, diagnostic.help(help.to_owned())))
    };
    if library.as_ref().is_some_and(|l| l.is_subscribed()) {
        let text = format!("the content library `{library_name}` is subscribed: its items come from another one");
        return refused(text, "leave the item in the library that publishes, or in a local one");
    }
    let existing = match wishes.libraries.item(library_name, name) {
        Ok(item) => Some(item.clone()),
        Err(Error::NotFound { .. }) => None,
        Err(e) => return Err(failed(&e, output.span)),
    };
    let mut taken = false;
    if let Some(old) = existing.as_ref().filter(|_| output.exists != Exists::Keep) {
        let ours = old.description.as_deref().is_some_and(|about| about == made_by(wishes.build));
        match (old.kind.as_str(), output.as_template) {
            (OVF, _) | (TEMPLATE, true) => {}
            (TEMPLATE, false) => {
                let text = format!("the library item `{}` is there, and is a VM template, no OVF", output.name);
                return refused(
                    text,
                    "`OUTPUT --type=template --exists=replace LIBRARY …` replaces it by a new VM template; or choose \
                     another name, or remove it",
                );
            }
            _ => {
                let text =
                    format!("the library item `{}` is there, and is neither an OVF nor a VM template", output.name);
                return refused(text, "choose another name, or remove it");
            }
        }
        taken = output.exists != Exists::Replace && !ours;
    }
    Ok(ResolvedItem {
        library,
        library_name: library_name.to_owned(),
        name: name.to_owned(),
        existing,
        as_template: output.as_template,
        taken,
        exists: output.exists,
        after: output.after.clone(),
        span: output.span,
    })
}

/// There is an item of that name already.
pub(super) fn taken(item: &ResolvedItem) -> Diagnostic {
    let text = format!("there is already a library item `{}/{}`", item.library_name, item.name);
    let diagnostic = Diagnostic::new(&codes::NAME_TAKEN, text).primary(item.span, "this name is taken");
    diagnostic.help(match item.as_template {
        false => {
            "`OUTPUT --exists=replace LIBRARY …` makes it the item's next version once everything is built, \
             `--exists=keep` leaves it as it is; or choose another name, or remove it"
        }
        true => {
            "`OUTPUT --exists=replace --type=template LIBRARY …` puts the new VM template in its place once everything is \
             built, `--exists=keep` leaves it as it is; or choose another name, or remove it"
        }
    })
}
