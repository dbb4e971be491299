//! Which lints count, and how much: the levels of `vmwbuild.toml` and of the command line.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::rule::Rule;
use crate::diagnostic::{Code, Diagnostic, Severity, did_you_mean};
use crate::source::SourceId;

/// What becomes of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It isn't reported.
    Allow,
    /// A warning, even if it is advice otherwise.
    Warn,
    /// An error.
    Deny,
}

/// A name that is no lint's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// As it was written.
    pub name: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// The levels that differ from the lints' own.
#[derive(Clone, Debug, Default)]
pub struct Config {
    all: Option<Level>,
    levels: HashMap<u16, Level>,
    /// Of codes of other programs, `SC2086`.
    foreign: HashMap<String, Level>,
    /// Whether ShellCheck is among those that look.
    pub shellcheck: bool,
    /// The levels of files that have their own: those of `per-file-ignores`, by the files that are included.
    files: HashMap<SourceId, Config>,
}

/// What a name in a level or pragma is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    pub code: &'static Code,
    /// One code of that program's only.
    pub foreign: Option<String>,
}

impl Named {
    /// Whether a finding is one of these.
    pub fn is(&self, found: &Diagnostic) -> bool {
        self.code == found.code && (self.foreign.is_none() || self.foreign == found.foreign)
    }
}

impl Config {
    /// Sets the level of a lint, by its name or `VMW123`, or of `all` that are on. Of `all` and a name the name
    /// counts, of two settings the later.
    ///
    /// # Errors
    /// There is no such lint, or it is an error, whose level is fixed.
    pub fn set(&mut self, name: &str, level: Level) -> Result<(), ConfigError> {
        if name == "all" {
            self.levels.clear();
            self.foreign.clear();
            self.all = Some(level);
            return Ok(());
        }
        let named = known(name)?;
        match named.foreign {
            Some(foreign) => self.foreign.insert(foreign, level),
            None => self.levels.insert(named.code.number, level),
        };
        Ok(())
    }

    /// Sets levels by three lists, `all` before the names.
    ///
    /// # Errors
    /// As [`Config::set`], for every name that is wrong; the others are set.
    pub fn set_lists(&mut self, allow: &[String], warn: &[String], deny: &[String]) -> Result<(), Vec<ConfigError>> {
        let lists = [(allow, Level::Allow), (warn, Level::Warn), (deny, Level::Deny)];
        let mut errors = Vec::new();
        for all in [true, false] {
            for (names, level) in lists {
                for name in names.iter().filter(|n| (n.as_str() == "all") == all) {
                    errors.extend(self.set(name, level).err());
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Gives a file of the compilation levels of its own. What isn't given any has those of the main file.
    pub fn set_for(&mut self, file: SourceId, levels: Config) {
        self.files.insert(file, levels);
    }

    /// The levels that count in a file.
    pub(super) fn of(&self, file: Option<SourceId>) -> &Config {
        file.and_then(|file| self.files.get(&file)).unwrap_or(self)
    }

    /// Whether a rule is to be run at all: one that any of the files wants is.
    pub(super) fn runs(&self, rule: &Rule) -> bool {
        self.runs_here(rule) || self.files.values().any(|levels| levels.runs_here(rule))
    }

    /// Whether a rule counts in the files that these levels are for.
    pub(super) fn runs_here(&self, rule: &Rule) -> bool {
        match self.levels.get(&rule.code.number) {
            Some(level) => *level != Level::Allow,
            None => !rule.opt_in && self.all != Some(Level::Allow),
        }
    }

    /// The level that was set for a code, if one was.
    pub(super) fn level(&self, code: &Code) -> Option<Level> {
        // What is an error to a build stays told even where it is only a warning to `lint`.
        let all = self.all.filter(|_| code.severity != Severity::Error);
        self.levels.get(&code.number).copied().or(all)
    }

    /// The severity of a finding, by the levels of the file that it is in; None: it isn't reported.
    pub(super) fn severity(&self, found: &Diagnostic) -> Option<Severity> {
        self.of(found.primary.as_ref().map(|label| label.span.source)).severity_here(found)
    }

    fn severity_here(&self, found: &Diagnostic) -> Option<Severity> {
        let foreign = found.foreign.as_ref().and_then(|f| self.foreign.get(f)).copied();
        match foreign.or_else(|| self.level(found.code)) {
            _ if fixed(found) => Some(Severity::Error),
            None => Some(found.severity),
            Some(Level::Allow) => None,
            Some(Level::Warn) => Some(Severity::Warning),
            Some(Level::Deny) => Some(Severity::Error),
        }
    }
}

/// Whether it is an error that nothing can allow. Those of another program are only its opinion.
pub(super) fn fixed(found: &Diagnostic) -> bool {
    found.severity == Severity::Error && found.foreign.is_none()
}

/// All codes that a VMWfile can raise without being built.
fn candidates() -> impl Iterator<Item = &'static Code> {
    let rooms: [&[&Code]; 6] = [
        crate::syntax::codes::ALL,
        crate::sema::codes_values::ALL,
        crate::sema::codes::ALL,
        crate::sema::codes_stages::ALL,
        crate::shell::codes::ALL,
        super::codes::ALL,
    ];
    rooms.into_iter().flatten().copied()
}

/// The lint of that name or number.
pub(super) fn known(name: &str) -> Result<Named, ConfigError> {
    let upper = name.to_ascii_uppercase();
    if upper.strip_prefix("SC").is_some_and(|n| n.len() == 4 && n.bytes().all(|b| b.is_ascii_digit())) {
        return Ok(Named { code: &super::codes::SHELLCHECK, foreign: Some(upper) });
    }
    let number = name.strip_prefix("VMW").or_else(|| name.strip_prefix("vmw")).and_then(|n| n.parse::<u16>().ok());
    let error = |message: String, help: String| ConfigError { name: name.to_owned(), message, help };
    match candidates().find(|c| c.name == name || Some(c.number) == number) {
        Some(code) if code.severity == Severity::Error => Err(error(
            format!("`{name}` is an error, not a lint"),
            "errors can't be allowed: mend what it says".to_owned(),
        )),
        Some(code) => Ok(Named { code, foreign: None }),
        None => {
            let lints = candidates().filter(|c| c.severity != Severity::Error).map(|c| c.name);
            let help = match did_you_mean(name, lints) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`vmwbuild explain` lists the names".to_owned(),
            };
            Err(error(format!("there is no lint `{name}`"), help))
        }
    }
}

/// `[lint]` of a `vmwbuild.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Names of lints that aren't reported.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Names of lints that are warnings.
    #[serde(default)]
    pub warn: Vec<String>,
    /// Names of lints that are errors.
    #[serde(default)]
    pub deny: Vec<String>,
    /// `[lint.per-file-ignores]`: from a pattern of `.gitignore`'s kind, relative to the file, to names.
    #[serde(default, rename = "per-file-ignores")]
    pub per_file_ignores: BTreeMap<String, Vec<String>>,
}
