//! `vmwbuild.toml`: what a project says about checking and building its VMWfiles.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ignore::gitignore::GitignoreBuilder;
use indexmap::IndexMap;
use serde::Deserialize;

use super::settings::From;
use super::{arguments, codes};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::lint::{Config, ConfigError, Level, LevelTable};
use crate::syntax::Keyword;

/// Its name.
const NAME: &str = "vmwbuild.toml";

/// The longest name of a project: every machine bears it.
const LONGEST: usize = 100;

/// The keys that a file, a profile and a placement have.
const KEYS: &[&str] = &["project", "vcenter", "args", "placement", "lint", "profile"];
const PROFILE_KEYS: &[&str] = &["vcenter", "args", "placement"];
const PLACEMENT: &[(&str, Keyword)] = &[
    ("datacenter", Keyword::Datacenter),
    ("cluster", Keyword::Cluster),
    ("host", Keyword::Host),
    ("pool", Keyword::Pool),
    ("datastore", Keyword::Datastore),
    ("folder", Keyword::Folder),
    ("network", Keyword::Network),
];

/// What a file holds.
#[derive(Clone, Debug, Default, Deserialize)]
struct File {
    project: Option<String>,
    #[serde(default)]
    lint: LevelTable,
    #[serde(flatten)]
    defaults: Profile,
    #[serde(default)]
    profile: BTreeMap<String, Profile>,
}

/// `[profile.NAME]`, and the same at the file's top.
#[derive(Clone, Debug, Default, Deserialize)]
struct Profile {
    vcenter: Option<String>,
    #[serde(default)]
    args: toml::Table,
    #[serde(default)]
    placement: BTreeMap<String, String>,
}

/// What a build takes from a project and its profile. Each knows where it came from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    /// Of the profile, else of the project.
    pub(crate) vcenter: Option<From<String>>,
    /// Of the profile: as if given by flags.
    pub(crate) chosen: IndexMap<Keyword, String>,
    /// Of the project: as if given by variables.
    pub(crate) placement: IndexMap<Keyword, String>,
    /// Values of ARGs, known or not.
    pub(crate) args: arguments::Values,
}

impl Defaults {
    /// The values of the ARGs of these names.
    pub(crate) fn values(&self, names: &[&str]) -> arguments::Values {
        let known = self.args.iter().filter(|(name, _)| names.contains(&name.as_str()));
        known.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// One, read.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    /// The directory in which it lies.
    directory: PathBuf,
    path: PathBuf,
    file: File,
}

impl Project {
    /// The one nearest above a VMWfile (above the current directory for standard input), if there is one.
    pub(crate) fn of(file: Option<&Path>) -> Result<Option<Project>, Diagnostic> {
        let start = file.and_then(Path::parent).filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Ok(start) = std::fs::canonicalize(start) else { return Ok(None) };
        for directory in start.ancestors() {
            let path = directory.join(NAME);
            let text = match crate::source::read_file_text(&path) {
                Ok(text) => text,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => {
                    let text = format!("can't read `{}`: {e}", path.display());
                    return Err(Diagnostic::new(&codes::BAD_CONFIG, text).help("check what it is, and its permissions"));
                }
            };
            let file = parse(&text, &path)?;
            return Ok(Some(Project { directory: directory.to_path_buf(), path, file }));
        }
        Ok(None)
    }

    /// The name that it gives itself, which its machines bear.
    pub(crate) fn declared(&self) -> Option<&str> {
        self.file.project.as_deref()
    }

    /// The directory in which it lies.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The levels for a VMWfile, per-file ignores included.
    pub(crate) fn config(&self, file: Option<&Path>) -> Result<Config, Vec<Diagnostic>> {
        let mut config = Config::default();
        let lint = &self.file.lint;
        let mut problems: Vec<Diagnostic> = Vec::new();
        if let Err(errors) = config.set_lists(&lint.allow, &lint.warn, &lint.deny) {
            problems.extend(errors.iter().map(|e| self.wrong(e)));
        }
        let file = file.and_then(|f| std::fs::canonicalize(f).ok());
        for (pattern, names) in &lint.per_file_ignores {
            let mut builder = GitignoreBuilder::new(&self.directory);
            let matcher = builder.add_line(None, pattern).and_then(|b| b.build());
            let matcher = match matcher {
                Ok(matcher) => matcher,
                Err(e) => {
                    let text = format!("`{pattern}` in `{}` is no pattern: {e}", self.path.display());
                    problems.push(Diagnostic::new(&codes::BAD_CONFIG, text));
                    continue;
                }
            };
            let matches = file.as_deref().is_some_and(|f| {
                f.starts_with(&self.directory) && matcher.matched_path_or_any_parents(f, false).is_ignore()
            });
            // Wrong names are told whether the pattern matches or not.
            let mut scratch = Config::default();
            let target = if matches { &mut config } else { &mut scratch };
            for name in names {
                if let Err(error) = target.set(name, Level::Allow) {
                    problems.push(self.wrong(&error));
                }
            }
        }
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    fn wrong(&self, error: &ConfigError) -> Diagnostic {
        let text = format!("{}, which `{}` names", error.message, self.path.display());
        Diagnostic::new(&codes::BAD_CONFIG, text).help(error.help.clone())
    }

    /// The values of `[args]` for the ARGs of these names.
    pub(crate) fn values(&self, names: &[&str]) -> arguments::Values {
        let known = self.file.defaults.args.iter().filter(|(name, _)| names.contains(&name.as_str()));
        known.map(|(name, value)| (name.clone(), (text_of(value), NAME.to_owned()))).collect()
    }

    /// What a build takes from it, under a profile if one is chosen.
    fn defaults(&self, profile: Option<&str>) -> Result<Defaults, Diagnostic> {
        let chosen = match profile {
            Some(name) => Some((name, self.file.profile.get(name).ok_or_else(|| self.no_profile(name))?)),
            None => None,
        };
        let origin = |name: &str| format!("[profile.{name}] in {NAME}");
        let of_file = || self.file.defaults.vcenter.clone().map(|value| From { value, origin: NAME.to_owned() });
        let of_profile = chosen.and_then(|(name, p)| Some(From { value: p.vcenter.clone()?, origin: origin(name) }));
        let mut args: arguments::Values =
            self.file.defaults.args.iter().map(|(n, v)| (n.clone(), (text_of(v), NAME.to_owned()))).collect();
        if let Some((name, p)) = chosen {
            args.extend(p.args.iter().map(|(n, v)| (n.clone(), (text_of(v), origin(name)))));
        }
        let keywords = |map: &BTreeMap<String, String>| {
            let rows = PLACEMENT.iter().filter_map(|(key, keyword)| Some((*keyword, map.get(*key)?.clone())));
            rows.collect::<IndexMap<_, _>>()
        };
        Ok(Defaults {
            vcenter: of_profile.or_else(of_file),
            chosen: chosen.map(|(_, p)| keywords(&p.placement)).unwrap_or_default(),
            placement: keywords(&self.file.defaults.placement),
            args,
        })
    }

    fn no_profile(&self, name: &str) -> Diagnostic {
        let names = self.file.profile.keys().map(String::as_str);
        let help = match did_you_mean(name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => match names.collect::<Vec<_>>().join(", ") {
                list if list.is_empty() => format!("it has none: write `[profile.{name}]` there"),
                list => format!("it has: {list}"),
            },
        };
        let text = format!("`{}` has no profile `{name}`", self.path.display());
        Diagnostic::new(&codes::BAD_CONFIG, text).help(help)
    }
}

/// What a build of a VMWfile, or a command in the current directory, takes from its project.
pub(crate) fn defaults(file: Option<&Path>, profile: Option<&str>) -> Result<Defaults, Diagnostic> {
    match (Project::of(file)?, profile) {
        (Some(project), profile) => project.defaults(profile),
        (None, None) => Ok(Defaults::default()),
        (None, Some(name)) => {
            let text = format!("there is no profile `{name}`: no `{NAME}` here or in a directory above");
            Err(Diagnostic::new(&codes::BAD_CONFIG, text).help(format!("write one, with `[profile.{name}]`")))
        }
    }
}

/// Reads a file's text; keys that mean nothing are mistakes.
fn parse(text: &str, path: &Path) -> Result<File, Diagnostic> {
    let bad = |why: &str| {
        let text = format!("can't understand `{}`", path.display());
        Diagnostic::new(&codes::BAD_CONFIG, text).note(why.trim_end().to_owned())
    };
    let unknown = |table: &str, key: &str, keys: &[&str]| {
        let place = if table.is_empty() { String::new() } else { format!(" in `[{table}]`") };
        let text = format!("`{}` has `{key}`{place}, which means nothing", path.display());
        let help = match did_you_mean(key, keys.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", keys.join(", ")),
        };
        Diagnostic::new(&codes::BAD_CONFIG, text).help(help)
    };
    let raw: toml::Table = super::toml_file::read(text).map_err(|e| bad(&e))?;
    let placements: Vec<&str> = PLACEMENT.iter().map(|(key, _)| *key).collect();
    let placed = |name: &str, table: &toml::Table| {
        let keys = table.get("placement").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
        let wrong = keys.into_iter().find(|k| !placements.contains(&k.as_str()));
        wrong.map_or(Ok(()), |key| Err(unknown(&format!("{name}placement"), key, &placements)))
    };
    if let Some(key) = raw.keys().find(|k| !KEYS.contains(&k.as_str())) {
        return Err(unknown("", key, KEYS));
    }
    placed("", &raw)?;
    let named = raw.get("project").and_then(toml::Value::as_str);
    if let Some(name) =
        named.filter(|n| n.trim() != *n || n.is_empty() || n.len() > LONGEST || n.contains(char::is_control))
    {
        let text = format!("`{}` names its project `{}`", path.display(), name.escape_debug());
        let help = format!("a name has 1 to {LONGEST} bytes, without blanks around it and control characters");
        return Err(Diagnostic::new(&codes::BAD_CONFIG, text).help(help));
    }
    for (name, profile) in raw.get("profile").and_then(toml::Value::as_table).into_iter().flatten() {
        let Some(profile) = profile.as_table() else { continue };
        let table = format!("profile.{name}");
        if let Some(key) = profile.keys().find(|k| !PROFILE_KEYS.contains(&k.as_str())) {
            return Err(unknown(&table, key, PROFILE_KEYS));
        }
        placed(&format!("{table}."), profile)?;
    }
    super::toml_file::read(text).map_err(|e| bad(&e))
}

/// A value as `--arg` would give it.
fn text_of(value: &toml::Value) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        // TOML that was read can be written; else the check says what is wrong with the value.
        Err(_) => String::new(),
    }
}
