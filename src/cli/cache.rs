//! `vmwbuild cache`: what builds have left to go on from.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::build::{self, World};
use super::machine::{Refused, connected, failed, first};
use super::table::table;
use super::{args, confirm, project, terminal};
use crate::diagnostic::Diagnostic;
use crate::engine::FailureClass;
use crate::engine::cache::{self, Held};
use crate::plan::size;
use crate::source::Sources;
use crate::vsphere::client::{Client, Endpoint};

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Cache, color: args::When, verbose: u8) -> u8 {
    let done = match &options.command {
        args::CacheCommand::Ls(options) => ls(options, verbose),
        args::CacheCommand::Prune(options) => prune(options, verbose),
    };
    match done {
        Ok(Some(problems)) if problems.is_empty() => 0,
        Ok(Some(problems)) => {
            terminal::show(&problems, &Sources::new(), color);
            FailureClass::Vsphere.exit_code()
        }
        Ok(None) => FailureClass::Interrupted.exit_code(),
        Err((code, problem)) => {
            terminal::show([&problem], &Sources::new(), color);
            code
        }
    }
}

/// What couldn't be done; None: it was interrupted.
type Done = Result<Option<Vec<Diagnostic>>, Refused>;

fn endpoint(connection: &args::Connection, profile: &args::Profile, verbose: u8) -> Result<Endpoint, Refused> {
    let env = |name: &str| std::env::var(name).ok();
    let defaults = project::defaults(None, profile.profile.as_deref()).map_err(|d| (2, d))?;
    build::endpoint(connection, World { env: &env, defaults: &defaults, verbose }).map_err(first)
}

fn ls(options: &args::CacheLs, verbose: u8) -> Done {
    let endpoint = endpoint(&options.connection, &options.profile, verbose)?;
    let listed = connected(endpoint, async |client, stop| {
        tokio::select! {
            held = cache::list(client) => held.map(Some).map_err(|e| failed(&e)),
            () = stop.cancelled() => Ok(None),
        }
    })?;
    let Some(held) = listed.flatten() else { return Ok(None) };
    if options.json {
        let list: Vec<Value> = held.iter().map(document).collect();
        terminal::print(&format!("{:#}\n", Value::from(list)));
    } else if held.is_empty() {
        terminal::say("the cache is empty");
    } else {
        terminal::tell(&text(&held));
    }
    Ok(Some(Vec::new()))
}

fn kind(held: &Held) -> &'static str {
    match (held.is_checkpoint(), held.template) {
        (true, _) => "checkpoint",
        (false, true) => "template",
        (false, false) => "VM",
    }
}

/// How long ago it was made; None: it doesn't say.
fn age(held: &Held) -> Option<Duration> {
    let made = OffsetDateTime::parse(&held.record.made, &Rfc3339).ok()?;
    Duration::try_from(OffsetDateTime::now_utc() - made).ok()
}

/// In the largest unit: `3d`, `5h`, `12m`, `8s`.
fn rough(age: Option<Duration>) -> String {
    let Some(age) = age else { return "?".to_owned() };
    let seconds = age.as_secs();
    match seconds {
        86400.. => format!("{}d", seconds / 86400),
        3600.. => format!("{}h", seconds / 3600),
        60.. => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

fn text(held: &[Held]) -> String {
    let digest = |h: &Held| h.record.digest.chars().take(12).collect::<String>();
    let rows = held.iter().map(|h| {
        let what = match &h.record.checkpoint {
            Some(checkpoint) => match &checkpoint.name {
                Some(name) => format!("{} `{name}` after step {}", h.record.machine, checkpoint.steps),
                None => format!("{} after step {}", h.record.machine, checkpoint.steps),
            },
            None => h.record.machine.clone(),
        };
        let state = h.useless.as_ref().map_or(String::new(), |why| format!("  ({why})"));
        [kind(h).to_owned(), digest(h), rough(age(h)), size(h.size), what, format!("{}{state}", h.path)]
    });
    table(["KIND", "DIGEST", "AGE", "SIZE", "STAGE", "MACHINE"], rows)
}

fn document(held: &Held) -> Value {
    let record = &held.record;
    json!({
        "kind": kind(held),
        "digest": record.digest,
        "path": held.path,
        "moref": held.vm.value,
        "stage": record.machine,
        "checkpoint": record.checkpoint.as_ref().map(|c| {
            json!({ "name": c.name, "step": c.steps, "snapshot": c.snapshot })
        }),
        "build": record.build,
        "made": record.made,
        "size": held.size,
        "useless": held.useless,
    })
}

fn prune(options: &args::CachePrune, verbose: u8) -> Done {
    let endpoint = endpoint(&options.connection, &options.profile, verbose)?;
    connected(endpoint, async |client, stop| {
        tokio::select! {
            swept = sweep(client, options) => swept.map(Some),
            () = stop.cancelled() => Ok(None),
        }
    })
    .map(Option::flatten)
}

/// Whether a checkpoint is meant.
fn meant(options: &args::CachePrune, held: &Held) -> bool {
    let old = |limit: Duration| age(held).is_some_and(|age| age > limit);
    options.all || held.useless.is_some() || options.older_than.is_some_and(old)
}

async fn sweep(client: &Client, options: &args::CachePrune) -> Result<Vec<Diagnostic>, Refused> {
    let held = cache::list(client).await.map_err(|e| failed(&e))?;
    let meant: Vec<Held> = held.into_iter().filter(|h| h.is_checkpoint() && meant(options, h)).collect();
    let (removable, spared): (Vec<Held>, Vec<Held>) = meant.into_iter().partition(|h| h.spared.is_none());
    for one in &spared {
        terminal::say(&format!("left alone: {}: {}", one.path, one.spared.as_deref().unwrap_or_default()));
    }
    if removable.is_empty() {
        terminal::say("there is nothing to remove");
        return Ok(Vec::new());
    }
    let paths: Vec<String> = removable.iter().map(|one| one.path.clone()).collect();
    if !confirm::removal(&paths, &options.removal, "checkpoints aren't removed without a word of yours")? {
        return Ok(Vec::new());
    }
    let (mut problems, mut freed) = (Vec::new(), 0u64);
    for one in &removable {
        match cache::remove(client, one).await {
            Ok(None) => {
                freed = freed.saturating_add(one.size);
                terminal::tell(&format!("removed {}\n", one.path));
            }
            Ok(Some(why)) => terminal::say(&format!("left alone: {}: {why}", one.path)),
            Err(e) => problems.push(e.diagnostic().note(format!("{} is still there", one.path))),
        }
    }
    terminal::say(&format!("{} freed", size(freed)));
    Ok(problems)
}
