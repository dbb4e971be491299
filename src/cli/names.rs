//! The names of machines, for a shell that completes them: kept for a minute under the cache directory by every command
//! that reads an inventory, one file an account of a vCenter, which only its user can read.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::settings::Env;
use super::vcenter::{Book, write_private};
use super::{args, build, project, settings};
use crate::vsphere::client::{Client, Deadline, Endpoint, EntityKind, Inventory};

/// For so long a list is taken as it is.
const FRESH: Duration = Duration::from_secs(60);
/// For so long it is better than none.
const USABLE: Duration = Duration::from_secs(24 * 3600);
/// How long somebody who has pressed a key may wait for vCenter.
const PATIENCE: Duration = Duration::from_secs(3);

/// A machine as a command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Its name, or its path where several have that name.
    pub(super) text: String,
    pub(super) template: bool,
}

/// Where lists are kept; None when nothing says where.
fn directory(env: Env<'_>) -> Option<PathBuf> {
    let set = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("VMWBUILD_CACHE_DIR").or_else(|| {
        let base = if cfg!(windows) {
            set("LOCALAPPDATA")
        } else {
            let absolute = set("XDG_CACHE_HOME").filter(|p| p.is_absolute());
            let usual = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
            absolute.or_else(|| Some(set("HOME")?.join(usual)))
        };
        Some(base?.join("vmwbuild"))
    })
}

/// The file of an account. Neither the server nor the account can be read from its name.
fn file(env: Env<'_>, server: &str, account: &str) -> Option<PathBuf> {
    let digest = Sha256::digest(format!("{server}\0{account}"));
    let name: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    Some(directory(env)?.join("names").join(name))
}

fn names(inventory: &Inventory) -> Vec<Name> {
    let mut seen = std::collections::HashMap::<&str, usize>::new();
    inventory.all(EntityKind::Vm).for_each(|e| *seen.entry(&e.name).or_default() += 1);
    let text = |e: &crate::vsphere::client::Entity| {
        let alone = seen.get(e.name.as_str()) == Some(&1) && !e.name.contains('/');
        if alone { e.name.clone() } else { e.path.clone() }
    };
    inventory.all(EntityKind::Vm).map(|e| Name { text: text(e), template: e.template }).collect()
}

/// Keeps what an inventory holds. That it can't is nobody's trouble.
pub(super) fn remember(client: &Client, inventory: &Inventory) {
    if let Some(path) = file(&|name| std::env::var(name).ok(), client.address(), client.username()) {
        let _ = write(&path, &names(inventory));
    }
}

fn write(path: &Path, names: &[Name]) -> io::Result<()> {
    let line = |name: &Name| format!("{}{}\n", if name.template { 't' } else { 'm' }, name.text);
    let text: String = names.iter().filter(|name| !name.text.contains('\n')).map(line).collect();
    write_private(path, &text)
}

/// A list and its age.
fn read(path: &Path) -> Option<(Vec<Name>, Duration)> {
    let age = SystemTime::now().duration_since(std::fs::metadata(path).ok()?.modified().ok()?).unwrap_or_default();
    let text = crate::source::read_file_text(path).ok()?;
    let name = |line: &str| Some(Name { template: line.starts_with('t'), text: line.get(1..)?.to_owned() });
    Some((text.lines().filter_map(name).collect(), age))
}

/// The machines of the vCenter that flags and settings name. Nothing is asked for, no password command is run, and
/// nothing is said: this happens in the middle of somebody's line.
pub(super) fn recall(flags: &args::Connection) -> Vec<Name> {
    let env = |name: &str| std::env::var(name).ok();
    let Some(endpoint) = endpoint(flags, &env) else { return Vec::new() };
    let Some(path) = file(&env, &endpoint.address(), &endpoint.username) else { return Vec::new() };
    let kept = read(&path);
    match kept {
        Some((names, age)) if age < FRESH => names,
        _ => look(endpoint, &path)
            .or_else(|| kept.filter(|(_, age)| *age < USABLE).map(|(names, _)| names))
            .unwrap_or_default(),
    }
}

fn endpoint(flags: &args::Connection, env: Env<'_>) -> Option<Endpoint> {
    let defaults = project::defaults(None, None).ok()?;
    let book = Book::read(env).ok()?.without_commands();
    let settings = settings::connection(flags, env, &defaults, &book).ok()?;
    let mut endpoint = Endpoint::parse(&settings.url.value).ok()?;
    if let Some(user) = &settings.username {
        endpoint.username.clone_from(&user.value);
    }
    if let Some(password) = &settings.password {
        endpoint.password.clone_from(&password.value);
    }
    build::trust(&mut endpoint, settings, flags.insecure).ok()?;
    Some(endpoint)
}

/// Asks vCenter, if that is possible without a question.
fn look(endpoint: Endpoint, path: &Path) -> Option<Vec<Name>> {
    if endpoint.username.is_empty() || endpoint.password.is_empty() {
        return None;
    }
    let runtime = build::runtime().ok()?;
    let found = runtime.block_on(async {
        let asked = async {
            let client = Client::connect(endpoint, Deadline::after(PATIENCE)).await.ok()?;
            let inventory = client.inventory().await;
            let _ = client.logout().await;
            inventory.ok().map(|inventory| names(&inventory))
        };
        tokio::time::timeout(PATIENCE, asked).await.ok().flatten()
    });
    runtime.shutdown_background();
    if let Some(names) = &found {
        let _ = write(path, names);
    }
    found
}
