//! `vmwbuild.toml`: what a project says about checking its VMWfiles.

use std::path::{Path, PathBuf};

use ignore::gitignore::GitignoreBuilder;

use super::{arguments, codes};
use crate::diagnostic::Diagnostic;
use crate::lint::{Config, ConfigError, ConfigFile, Level};

/// Its name.
const NAME: &str = "vmwbuild.toml";

/// One, read.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    /// The directory in which it lies.
    directory: PathBuf,
    path: PathBuf,
    file: ConfigFile,
}

impl Project {
    /// The one nearest above a VMWfile (above the current directory for standard input), if there is one.
    pub(crate) fn of(file: Option<&Path>) -> Result<Option<Project>, Diagnostic> {
        let start = file.and_then(Path::parent).filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Ok(start) = std::fs::canonicalize(start) else { return Ok(None) };
        for directory in start.ancestors() {
            let path = directory.join(NAME);
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => {
                    let text = format!("can't read `{}`: {e}", path.display());
                    return Err(Diagnostic::new(&codes::BAD_CONFIG, text).help("check its permissions"));
                }
            };
            return match ConfigFile::parse(&text) {
                Ok(file) => Ok(Some(Project { directory: directory.to_path_buf(), path, file })),
                Err(why) => {
                    let text = format!("can't understand `{}`", path.display());
                    Err(Diagnostic::new(&codes::BAD_CONFIG, text).note(why.trim_end().to_owned()))
                }
            };
        }
        Ok(None)
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
        let known = self.file.args.iter().filter(|(name, _)| names.contains(&name.as_str()));
        known.map(|(name, value)| (name.clone(), (text_of(value), NAME.to_owned()))).collect()
    }
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
