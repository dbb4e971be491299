//! The machines that the ONs of a VMWfile mean.

use std::collections::HashMap;

use super::build::{self, CONNECT, Refused};
use super::{codes, fleet};
use crate::diagnostic::Diagnostic;
use crate::engine::{FailureClass, class_of};
use crate::sema::MAX_REPLICAS;
use crate::sema::existing::{By, Existing, Selected, Selector};
use crate::sema::program::Tag;
use crate::vsphere::client::{Client, Deadline, Endpoint, Entity, EntityKind, Error, Inventory};
use crate::vsphere::wire::Moref;

/// Looks for them, in a session of its own: only then is known what there is to build.
pub(super) fn select(endpoint: Option<&Endpoint>, selectors: &[Selector]) -> Result<Selected, Refused> {
    let Some(endpoint) = endpoint else {
        let text = "a sandbox that ends with its build has no machines for an ON";
        let help = "run `vmwbuild sandbox`, build machines on it, and then this on the same";
        let problem = Diagnostic::new(&codes::NO_MACHINE, text).help(help);
        return Err((5, vec![selectors.iter().fold(problem, |d, s| d.primary(s.span, ""))]));
    };
    let runtime = build::runtime()
        .map_err(|e| (5, vec![Diagnostic::new(&codes::OUTPUT_UNWRITABLE, format!("can't start threads: {e}"))]))?;
    let found = runtime.block_on(async {
        let mut signals = build::Signals::new();
        let work = async {
            let connected = Client::connect(endpoint.clone(), Deadline::after(CONNECT)).await;
            let client = connected.map_err(|e| (build::connect_code(e.class()), vec![e.diagnostic()]))?;
            let found = look(&client, selectors).await;
            let _ = client.logout().await;
            found
        };
        tokio::select! {
            done = work => done,
            _ = signals.next() => Err((FailureClass::Interrupted.exit_code(), Vec::new())),
        }
    });
    runtime.shutdown_background();
    let (inventory, tagged) = found?;
    let mut selected = Selected::new();
    for selector in selectors {
        selected.insert(selector.key(), one(&inventory, selector, tagged.get(&selector.key()))?);
    }
    Ok(selected)
}

/// What has which tag, by [`Selector::key`].
type Tagged = HashMap<String, Vec<Moref>>;

/// Reads all that the selectors are looked up in.
async fn look(client: &Client, selectors: &[Selector]) -> Result<(Inventory, Tagged), Refused> {
    let failed = |e: Error| (class_of(e.class()).exit_code(), vec![e.diagnostic()]);
    let inventory = client.inventory().await.map_err(failed)?;
    let tag = |s: &Selector| (s.by == By::Tag).then(|| Tag::parse(&s.text, s.span)).flatten();
    let tags: Vec<(&Selector, Tag)> = selectors.iter().filter_map(|s| Some((s, tag(s)?))).collect();
    let mut tagged = Tagged::new();
    if tags.is_empty() {
        return Ok((inventory, tagged));
    }
    let categories: Vec<&str> = tags.iter().map(|(_, tag)| tag.category.as_str()).collect();
    let tagging = client.tags(&categories).await.map_err(failed)?;
    for (selector, tag) in tags {
        let at = |e: Error| {
            let (code, list) = failed(e);
            (code, list.into_iter().map(|d| d.primary(selector.span, "")).collect())
        };
        let (_, tag) = tagging.tag(&tag.category, &tag.name).map_err(at)?;
        tagged.insert(selector.key(), client.tagged(tag).await.map_err(at)?);
    }
    Ok((inventory, tagged))
}

fn one(inventory: &Inventory, selector: &Selector, tagged: Option<&Vec<Moref>>) -> Result<Vec<Existing>, Refused> {
    let refused = |d: Diagnostic| (5, vec![d.primary(selector.span, "")]);
    let found: Vec<&Entity> = match selector.by {
        By::Name => fleet::fitting(inventory, &selector.text),
        By::Folder => {
            let folder = inventory.find(EntityKind::Folder, &selector.text, None);
            let folder = folder.map_err(|e| (class_of(e.class()).exit_code(), vec![e.diagnostic()]))?;
            let below = format!("{}/", folder.path);
            inventory.all(EntityKind::Vm).filter(|e| !e.template && e.path.starts_with(&below)).collect()
        }
        By::Tag => {
            let has = |e: &&Entity| tagged.is_some_and(|all| all.contains(&e.moref));
            inventory.all(EntityKind::Vm).filter(|e| !e.template).filter(has).collect()
        }
    };
    // Those that hold checkpoints are nobody's to work on.
    let found: Vec<&Entity> =
        found.into_iter().filter(|e| !e.name.starts_with(crate::cache::CHECKPOINT_PREFIX)).collect();
    if found.is_empty() {
        let text = match selector.by {
            By::Name => format!("no machine's name fits `{}`", selector.text),
            By::Folder => format!("there is no machine in the folder `{}`", selector.text),
            By::Tag => format!("no machine has the tag `{}`", selector.text),
        };
        let help = match selector.by {
            By::Name => "`*` stands for any characters and `?` for one; templates don't run, and are left out",
            By::Folder | By::Tag => "templates don't run, and are left out",
        };
        return Err(refused(Diagnostic::new(&codes::NO_MACHINE, text).help(help)));
    }
    if found.len() > MAX_REPLICAS {
        let text = format!("{} machines are meant, and a stage has at most {MAX_REPLICAS}", found.len());
        return Err(refused(Diagnostic::new(&codes::NO_MACHINE, text).help("narrow the selector down")));
    }
    let alone = |e: &Entity| found.iter().filter(|other| other.name == e.name).count() == 1;
    let existing = |e: &&Entity| Existing {
        label: if alone(e) { e.name.clone() } else { e.path.clone() },
        name: e.name.clone(),
        path: e.path.clone(),
        moref: e.moref.value.clone(),
    };
    Ok(found.iter().map(existing).collect())
}
