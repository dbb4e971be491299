//! `vmwbuild ls` and `vmwbuild destroy`: what builds have made, as the machines themselves tell.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::build::{self, World};
use super::machine::{Refused, connected, failed, first};
use super::table::table;
use super::{args, codes, confirm, load, project, record, terminal};
use crate::diagnostic::Diagnostic;
use crate::engine::belongings::{self, Owned};
use crate::engine::journal::{self, Broken};
use crate::engine::marks;
use crate::engine::watch;
use crate::engine::{self, FailureClass};
use crate::source::Sources;
use crate::vsphere::client::{Client, Endpoint};
use crate::vsphere::wire::PowerState;

/// Runs `ls`; the exit code.
pub(crate) fn ls(options: &args::Ls, color: args::When, verbose: u8) -> u8 {
    let listed = Which::of(options.what.as_deref(), options.file.as_deref()).and_then(|which| {
        let endpoint = endpoint(&which, &options.connection, &options.profile, verbose)?;
        connected(endpoint, async |client, stop| {
            tokio::select! {
                listed = listed(client, &which) => listed.map(Some),
                () = stop.cancelled() => Ok(None),
            }
        })
    });
    match listed.map(Option::flatten) {
        Ok(Some(owned)) => {
            if options.json {
                let list: Vec<Value> = owned.iter().map(document).collect();
                terminal::print(&format!("{:#}\n", Value::from(list)));
            } else if owned.is_empty() {
                terminal::say("no build has made anything here");
            } else {
                terminal::tell(&text(&owned));
            }
            0
        }
        Ok(None) => FailureClass::Interrupted.exit_code(),
        Err((code, problem)) => {
            terminal::show([&problem], &Sources::new(), color);
            code
        }
    }
}

/// Runs `destroy`; the exit code.
pub(crate) fn destroy(options: &args::Destroy, color: args::When, verbose: u8) -> u8 {
    let done = Which::of(options.what.as_deref(), options.file.as_deref()).and_then(|which| {
        let endpoint = endpoint(&which, &options.connection, &options.profile, verbose)?;
        connected(endpoint, async |client, stop| {
            tokio::select! {
                done = sweep(client, &which, options) => done.map(Some),
                () = stop.cancelled() => Ok(None),
            }
        })
    });
    let (code, problems) = match done.map(Option::flatten) {
        Ok(Some(problems)) if problems.is_empty() => (0, problems),
        Ok(Some(problems)) => (FailureClass::Vsphere.exit_code(), problems),
        Ok(None) => (FailureClass::Interrupted.exit_code(), Vec::new()),
        Err((code, problem)) => (code, vec![problem]),
    };
    terminal::show(&problems, &Sources::new(), color);
    code
}

/// Whose machines are meant.
enum Which {
    All,
    Build(String),
    /// A VMWfile.
    File(Meant),
}

/// A VMWfile whose machines are meant.
struct Meant {
    file: PathBuf,
    /// Its mark.
    identity: String,
    /// Where it is.
    from: String,
    /// Whether its project has a name of its own: then it doesn't matter where its machines were made from.
    declared: bool,
}

impl Which {
    fn of(what: Option<&str>, file: Option<&Path>) -> Result<Which, Refused> {
        let context = match (what, file) {
            (None, None) => return Ok(Which::All),
            (Some(what), _) => PathBuf::from(what),
            (None, Some(_)) => PathBuf::from("."),
        };
        // A build's id is no path; where there is one of that name, `./` tells the two apart.
        let build = what.filter(|what| file.is_none() && !what.contains(['/', '\\', '.']) && !context.exists());
        if let Some(build) = build {
            return Ok(Which::Build(build.to_owned()));
        }
        let place = load::place(&context, file).map_err(|d| (1, d))?;
        let project = project::Project::of(Some(&place.file)).map_err(|d| (2, d))?;
        Ok(Which::File(Meant {
            identity: load::identity_of(&place),
            from: load::whereabouts_of(&place),
            declared: project.is_some_and(|p| p.declared().is_some()),
            file: place.file,
        }))
    }

    fn takes(&self, owned: &Owned) -> bool {
        match self {
            Which::All => true,
            Which::Build(build) => owned.marks.build == *build,
            Which::File(meant) => owned.marks.file == meant.identity,
        }
    }
}

fn endpoint(
    which: &Which,
    connection: &args::Connection,
    profile: &args::Profile,
    verbose: u8,
) -> Result<Endpoint, Refused> {
    let env = |name: &str| std::env::var(name).ok();
    let file = if let Which::File(meant) = which { Some(meant.file.as_path()) } else { None };
    let defaults = project::defaults(file, profile.profile.as_deref()).map_err(|d| (2, d))?;
    build::endpoint(connection, World { env: &env, defaults: &defaults, verbose }).map_err(first)
}

async fn listed(client: &Client, which: &Which) -> Result<Vec<Owned>, Refused> {
    let mut all = belongings::list(client).await.map_err(|e| failed(&e))?;
    all.retain(|owned| which.takes(owned));
    Ok(all)
}

fn kind(owned: &Owned) -> &'static str {
    if owned.template { "template" } else { "VM" }
}

/// `on`, `off` or `suspended`.
fn power(owned: &Owned) -> &'static str {
    match &owned.power {
        PowerState::On => "on",
        PowerState::Suspended => "suspended",
        PowerState::Off | PowerState::Other(_) => "off",
    }
}

fn is_half_made(owned: &Owned) -> bool {
    owned.marks.standing == marks::Standing::HalfMade
}

fn text(all: &[Owned]) -> String {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let rows = all.iter().map(|owned| {
        let state = match (is_half_made(owned), owned.template) {
            (true, _) => "half-made",
            (false, true) => "template",
            (false, false) => power(owned),
        };
        [
            state.to_owned(),
            owned.marks.build.clone(),
            or_dash(&owned.marks.file),
            or_dash(&owned.marks.machine),
            owned.ip.clone().unwrap_or_else(|| "-".to_owned()),
            owned.path.clone(),
        ]
    });
    table(["STATE", "BUILD", "FILE", "STAGE", "ADDRESS", "MACHINE"], rows)
}

fn document(owned: &Owned) -> Value {
    let or_null = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    json!({
        "path": owned.path,
        "name": owned.name,
        "moref": owned.vm.value,
        "kind": kind(owned),
        "state": if is_half_made(owned) { "half-made" } else { "finished" },
        "power": power(owned),
        "ip": owned.ip,
        "build": owned.marks.build,
        "file": or_null(&owned.marks.file),
        "from": or_null(&owned.marks.from),
        "stage": or_null(&owned.marks.machine),
    })
}

/// Removes them; what went wrong.
async fn sweep(client: &Client, which: &Which, options: &args::Destroy) -> Result<Vec<Diagnostic>, Refused> {
    let all = listed(client, which).await?;
    if all.is_empty() {
        terminal::say(&match which {
            Which::Build(build) => format!("nothing here was made by the build {build}"),
            Which::File(meant) => format!("nothing here was made from {}", meant.identity),
            Which::All => "no build has made anything here".to_owned(),
        });
        return Ok(Vec::new());
    }
    at_rest(&all)?;
    unwatched(client, &all).await?;
    let (spared, mut removable): (Vec<Owned>, Vec<Owned>) = all.into_iter().partition(|o| o.spared.is_some());
    for one in &spared {
        terminal::say(&format!("left alone: {}: {}", one.path, why_spared(one)));
    }
    // What may share the disks of a template goes before it.
    removable.sort_by_key(|o| o.template);
    elsewhere(which, &removable);
    let paths: Vec<String> = removable.iter().map(|o| o.path.clone()).collect();
    if !confirm::removal(&paths, &options.removal, "machines aren't removed without a word of yours")? {
        return Ok(Vec::new());
    }
    let mut problems = Vec::new();
    for one in &removable {
        match belongings::remove(client, one).await {
            Ok(None) => terminal::tell(&format!("removed {}\n", one.path)),
            Ok(Some(why)) => terminal::say(&format!("left alone: {}: {why}", one.path)),
            Err(e) => problems.push(e.diagnostic().note(format!("{} is still there", one.path))),
        }
    }
    // What a controller remembers of the platform, where this account may remove it: it doesn't matter any more.
    if let (Which::File(meant), true) = (which, problems.is_empty()) {
        let _ = watch::forget(client, &meant.identity).await;
    }
    Ok(problems)
}

/// Why one is left alone; what is half-made with what removes it, as far as its journal is here and can be read.
fn why_spared(owned: &Owned) -> String {
    let why = owned.spared.as_deref().unwrap_or_default();
    if !is_half_made(owned) {
        return why.to_owned();
    }
    let build = &owned.marks.build;
    let store = record::store();
    let look = |store: &journal::Store| store.look(build);
    let clean = format!("`vmwbuild clean {build}` removes it");
    let next = match store.as_ref().map_or(Err(Broken::Missing), look) {
        Ok(_) | Err(Broken::Locked) => format!("{clean} then"),
        Err(Broken::Newer(_)) => format!("{clean} then, by the vmwbuild that has begun the build or a newer one"),
        Err(Broken::Missing) => {
            let begun = match owned.marks.from.as_str() {
                "" => String::new(),
                from => format!(" (from {from})"),
            };
            format!(
                "its journal isn't here: {clean} where the build was begun{begun}; if that journal is lost, remove it \
                 in vCenter once nobody works on the build"
            )
        }
        Err(Broken::Unreadable(_) | Broken::Io(_)) => {
            let place = store.map_or_else(PathBuf::new, |store| store.root().join(build));
            format!(
                "its journal can't be read, and nothing here can tell which: once nobody works on the build, remove it \
                 in vCenter, and `{}` to forget the build",
                place.display()
            )
        }
    };
    format!("{why}; {next}")
}

/// Says which machines were made from a VMWfile somewhere else, where the name of a directory alone makes them this one's:
/// that may be another checkout of it, or another project.
fn elsewhere(which: &Which, all: &[Owned]) {
    let Which::File(meant) = which else { return };
    if meant.declared {
        return;
    }
    let other = |o: &&Owned| !o.marks.from.is_empty() && o.marks.from != meant.from;
    let others: Vec<&Owned> = all.iter().filter(other).collect();
    if others.is_empty() {
        return;
    }
    for one in &others {
        terminal::say(&format!("made from {}: {}", one.marks.from, one.path));
    }
    terminal::say(&format!(
        "warning: {} of {} were made from elsewhere, by a VMWfile that is called {} too; if that is another project, give each \
         a name: `project = \"…\"` in its vmwbuild.toml",
        others.len(),
        all.len(),
        meant.identity
    ));
}

/// Refuses while a build that this user has begun still works on what would be removed.
fn at_rest(all: &[Owned]) -> Result<(), Refused> {
    let Some(store) = record::store() else { return Ok(()) };
    let runs = |build: &str| match store.look(build) {
        Ok(kept) => kept.standing == journal::Standing::Running,
        Err(broken) => matches!(broken, Broken::Locked),
    };
    let mut builds: Vec<&str> = all.iter().map(|o| o.marks.build.as_str()).collect();
    builds.sort_unstable();
    builds.dedup();
    match builds.into_iter().find(|build| runs(build)) {
        None => Ok(()),
        Some(build) => {
            let text = format!("the build {build} is running");
            Err((2, Diagnostic::new(&codes::BAD_ARGUMENT, text).help("wait for its end, or stop it by Ctrl-C")))
        }
    }
}

/// Refuses while somebody watches a platform of which something would be removed: it would be made again at once.
async fn unwatched(client: &Client, all: &[Owned]) -> Result<(), Refused> {
    let mut files: Vec<&str> = all.iter().map(|o| o.marks.file.as_str()).filter(|file| !file.is_empty()).collect();
    files.sort_unstable();
    files.dedup();
    for file in files {
        // An account that may not look there may remove its machines all the same.
        let Ok(Some(holder)) = watch::watched(client, file).await else { continue };
        let problem = Diagnostic::new(&engine::codes::WATCHED_ELSEWHERE, format!("`{file}` is watched"))
            .note(format!("by {}", holder.text))
            .help("stop that `up --watch` first: it makes again what is removed; where it was killed, wait until its lease is over");
        return Err((FailureClass::Vsphere.exit_code(), problem));
    }
    Ok(())
}
