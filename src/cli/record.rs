//! The journals of builds: where they are, and what a build writes into its own first.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::build::{Refused, World};
use super::settings::{self, Env};
use super::vcenter::Book;
use super::{args, arguments, terminal};
use crate::diagnostic::Diagnostic;
use crate::engine::journal::{Broken, Connection, FORMAT, Header, Journal, Mortal, Settings, Store, Text};
use crate::engine::{Options, codes};
use crate::plan::PlacementDefaults;
use crate::source::Sources;
use crate::syntax::Keyword;
use crate::vsphere::client::Endpoint;

/// How many builds are remembered that have ended and left nothing.
const REMEMBERED: usize = 100;

/// The journals of this user's builds; None when nothing says where.
pub(super) fn store() -> Option<Store> {
    let store = state_directory(&|name| std::env::var(name).ok())?;
    Some(Store::new(&store).mortal(mortal()))
}

/// `VMWBUILD_STATE_DIR`, else where the system's programs keep such things.
fn state_directory(env: Env<'_>) -> Option<PathBuf> {
    let set = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("VMWBUILD_STATE_DIR").or_else(|| {
        let own = |base: PathBuf| base.join("vmwbuild");
        if cfg!(windows) {
            return set("LOCALAPPDATA").map(own);
        }
        let absolute = set("XDG_STATE_HOME").filter(|p| p.is_absolute());
        absolute
            .or_else(|| {
                let home = set("HOME")?;
                Some(if cfg!(target_os = "macos") {
                    home.join("Library/Application Support")
                } else {
                    home.join(".local/state")
                })
            })
            .map(own)
    })
}

/// What secrets are digested with for the cache, so that a changed one is noticed and nobody can guess one from what
/// stands in vCenter. Made at first use, in the state directory. None: there is none, or it can't be written; then a
/// changed secret isn't noticed.
pub(super) fn cache_key() -> Option<[u8; 32]> {
    let path = state_directory(&|name| std::env::var(name).ok())?.join("cache.key");
    let read = |path: &Path| crate::source::read_file(path).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    read(&path).or_else(|| {
        let directory = path.parent()?;
        std::fs::create_dir_all(directory).ok()?;
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok()?;
        // Readable by its owner alone, as temporary files are; whole or not there.
        let mut file = tempfile::NamedTempFile::new_in(directory).ok()?;
        std::io::Write::write_all(&mut file, &key).ok()?;
        match file.persist_noclobber(&path) {
            Ok(_) => Some(key),
            // Another build was quicker.
            Err(_) => read(&path),
        }
    })
}

/// For tests, and in their builds only: a process that ends itself at a line of its journal.
fn mortal() -> Mortal {
    let wish = if cfg!(debug_assertions) { std::env::var("VMWBUILD_TEST_DIE_AT").ok() } else { None };
    let Some(wish) = wish else { return Mortal::default() };
    let (before, number) = match wish.strip_prefix("before:") {
        Some(number) => (true, number),
        None => (false, wish.as_str()),
    };
    Mortal { line: number.parse().unwrap_or_default(), before }
}

/// [`store`], where there must be one that can be looked into.
pub(super) fn needed() -> Result<Store, Refused> {
    let store = store().ok_or_else(|| {
        let text = "nothing says where the journals of builds are";
        (2, vec![Diagnostic::new(&codes::JOURNAL, text).help("set VMWBUILD_STATE_DIR to a directory, or HOME")])
    })?;
    match store.unreadable() {
        None => Ok(store),
        Some(e) => {
            let text = format!("can't look into `{}`: {e}", store.root().display());
            let help = "check its permissions, or set VMWBUILD_STATE_DIR to another directory";
            Err((5, vec![Diagnostic::new(&codes::JOURNAL, text).help(help)]))
        }
    }
}

/// Begins the journal of a new build.
pub(super) fn begin(header: &Header) -> Result<Journal, Refused> {
    let made = match store() {
        Some(store) => {
            store.prune(REMEMBERED);
            store.create(header).map_err(|e| problem(&header.build, &store, e))
        }
        None => needed().map(|_| Journal::none()).map_err(|(_, list)| list.into_iter().next().unwrap_or_else(missing)),
    };
    match made {
        Ok(journal) => Ok(journal),
        // It ends with its process anyway.
        Err(problem) if header.sandbox => {
            terminal::say(&format!("note: no journal and no logs of this build: {}", problem.message));
            Ok(Journal::none())
        }
        Err(problem) => Err((5, vec![problem])),
    }
}

fn missing() -> Diagnostic {
    Diagnostic::new(&codes::JOURNAL, "there is no place for journals")
}

/// Why a journal can't be used.
pub(super) fn problem(build: &str, store: &Store, broken: Broken) -> Diagnostic {
    let place = store.root().display();
    let journal = |text: String| Diagnostic::new(&codes::JOURNAL, text);
    match broken {
        Broken::Missing => Diagnostic::new(&codes::NO_BUILD, format!("there is no build `{build}` in `{place}`"))
            .help("`vmwbuild builds` lists those that there are"),
        Broken::Locked => journal(format!("another process works on the build `{build}`"))
            .help("wait until it ends, or stop it by Ctrl-C"),
        Broken::Newer(format) => journal(format!(
            "the journal of the build `{build}` has the format {format}; this version reads up to {FORMAT}"
        ))
        .help("use the vmwbuild that has begun the build, or a newer one"),
        Broken::Unreadable(why) => {
            journal(format!("the journal of the build `{build}` can't be read: {why}")).help(format!(
                "what it has left in vCenter bears its mark: `vmwbuild ls {build}` lists that, `vmwbuild destroy {build}` \
                 removes what is finished of it; remove in vCenter what is half-made, and `{place}/{build}` to forget the \
                 build"
            ))
        }
        Broken::Io(e) => journal(format!("the journal of the build `{build}` in `{place}` can't be used: {e}"))
            .help("free space there, check its permissions, or set VMWBUILD_STATE_DIR to another directory"),
    }
}

/// [`problem`] with its exit code: a build that isn't there is a wrong argument.
pub(super) fn refused(build: &str, store: &Store, broken: Broken) -> Refused {
    let code = if matches!(broken, Broken::Missing) { 2 } else { 5 };
    (code, vec![problem(build, store, broken)])
}

/// What a build is given.
pub(super) struct Given<'a> {
    pub(super) date: &'a str,
    pub(super) values: arguments::Values,
    pub(super) existing: crate::sema::existing::Selected,
    pub(super) sources: &'a Sources,
}

/// The first line of a new build's journal.
pub(super) fn header(
    flags: &args::Build,
    engine: &Options,
    endpoint: Option<&Endpoint>,
    given: Given<'_>,
    world: World<'_>,
) -> Header {
    let Given { date, values, existing, sources } = given;
    let place = super::load::place(&flags.input.context, flags.input.file.as_deref()).ok();
    let file = place.as_ref().map(|p| p.file.clone()).filter(|f| f.as_os_str() != "-");
    let connection = match endpoint {
        Some(endpoint) => {
            let book = Book::read(world.env).ok();
            let found = book.and_then(|b| settings::connection(&flags.connection, world.env, world.defaults, &b).ok());
            Connection {
                saved: found.as_ref().and_then(|c| c.saved.clone()),
                url: found.as_ref().map(|c| settings::without_userinfo(&c.url.value)).unwrap_or_default(),
                username: endpoint.username.clone(),
                password_file: flags.connection.password_file.as_deref().map(absolute),
                thumbprint: found.as_ref().and_then(|c| c.thumbprint.as_ref()).map(|t| t.value.clone()),
                ca: found.as_ref().and_then(|c| c.ca.as_ref()).map(|c| absolute(&c.value)),
                insecure: endpoint.trust.insecure,
            }
        }
        None => Connection::default(),
    };
    let named = |list: &indexmap::IndexMap<Keyword, String>| {
        list.iter().map(|(keyword, value)| (keyword.to_string(), value.clone())).collect()
    };
    Header {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build: engine.build.clone(),
        date: date.to_owned(),
        file: file.as_deref().map(absolute),
        context: absolute(&engine.context),
        texts: sources.iter().map(|(_, source)| text(&source.name, source.path.as_deref(), &source.text)).collect(),
        args: values.into_iter().collect(),
        targets: flags.input.targets.clone(),
        existing,
        up: engine.up.is_some(),
        sandbox: flags.sandbox,
        connection,
        settings: Settings {
            parallel: engine.parallel,
            clones: Some((engine.clones.in_all, engine.clones.per_host)),
            waits: Some((flags.waits.boot.as_secs().max(1), flags.waits.shutdown.as_secs().max(1))),
            on_error: name_of(flags.on_error),
            channel: name_of(flags.guest_channel),
            no_cache: flags.no_cache,
            placement: named(&engine.placement.command_line),
            default_placement: named(&engine.placement.environment),
            login: flags.guest.login.clone(),
            login_password_file: flags.guest.login_password_file.as_deref().map(absolute),
        },
    }
}

/// A text with its digest.
fn text(name: &str, path: Option<&Path>, content: &str) -> Text {
    Text { name: name.to_owned(), path: path.map(absolute), sha256: digest(content.as_bytes()) }
}

/// SHA-256, hexadecimal.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// A flag's value as it is written.
fn name_of<T: clap::ValueEnum>(value: T) -> String {
    value.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

/// The texts of a build that aren't any more what they were: which, and how.
pub(super) fn changed(header: &Header) -> Vec<String> {
    let texts = header.texts.iter();
    texts
        .filter_map(|text| {
            let path = text.path.as_ref()?;
            match crate::source::read_file(path) {
                Ok(bytes) if digest(&bytes) == text.sha256 => None,
                Ok(_) => Some(format!("`{}` has changed", text.name)),
                Err(e) => Some(format!("`{}` can't be read any more ({e})", text.name)),
            }
        })
        .collect()
}

/// Placement as it was given then.
pub(super) fn placement(settings: &Settings) -> PlacementDefaults {
    let list = |named: &std::collections::BTreeMap<String, String>| {
        let keyword = |name: &str| Keyword::ALL.iter().copied().find(|k| k.to_string() == name);
        named.iter().filter_map(|(name, value)| Some((keyword(name)?, value.clone()))).collect()
    };
    PlacementDefaults { command_line: list(&settings.placement), environment: list(&settings.default_placement) }
}

/// Flags that reach the vCenter of a build: those given now, and the build's own where they are missing.
pub(super) fn connection(given: &args::Connection, then: &Connection) -> args::Connection {
    let other = given.vcenter.is_some();
    // One that was saved under that name, and still leads there, knows its password.
    let book = then.saved.as_ref().and_then(|_| Book::read(&|name| std::env::var(name).ok()).ok());
    let same = |name: &&String| {
        let saved = book.as_ref().and_then(|b| b.get(name));
        saved.is_some_and(|s| settings::without_userinfo(&s.url) == then.url)
    };
    let place = then.saved.as_ref().filter(same).unwrap_or(&then.url);
    let own = |value: &Option<PathBuf>| value.clone().filter(|_| !other);
    args::Connection {
        vcenter: given.vcenter.clone().or_else(|| Some(place.clone())),
        username: given.username.clone().or_else(|| (!other).then(|| then.username.clone())),
        password_file: given.password_file.clone().or_else(|| own(&then.password_file)),
        insecure: given.insecure || then.insecure && !other,
        thumbprint: given.thumbprint.clone().or_else(|| then.thumbprint.clone().filter(|_| !other)),
        ca: given.ca.clone().or_else(|| own(&then.ca)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_follows_the_system() {
        let with = |pairs: &'static [(&'static str, &'static str)]| {
            state_directory(&|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(with(&[("VMWBUILD_STATE_DIR", "/s"), ("HOME", "/h")]), Some("/s".into()));
        assert_eq!(with(&[]), None);
        if cfg!(target_os = "linux") {
            assert_eq!(with(&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")]), Some("/x/vmwbuild".into()));
            assert_eq!(with(&[("XDG_STATE_HOME", "x"), ("HOME", "/h")]), Some("/h/.local/state/vmwbuild".into()));
        }
    }
}
