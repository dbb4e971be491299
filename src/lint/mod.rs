//! Lints, one rule a file.
//!
//! A rule looks at the AST, at the guest's commands as a shell would read them and, where the file is right, at the
//! checked program. [`lint`] runs the rules; [`settle`] then applies levels and pragmas to everything that is no
//! error, wherever it was found.
//!
//! ```
//! use vmwbuild::{diagnostic::Problems, lint, source::Sources, syntax};
//!
//! let (mut sources, mut problems) = (Sources::new(), Problems::new());
//! let text = "FROM debian-12 AS web\nRUN apt-get install nginx\n# vmw: allow(sudo-prompt)\nRUN true\n";
//! let id = sources.add("VMWfile", None, text);
//! let file = syntax::parse(&sources, id, &mut problems);
//! let (files, config) = ([(id, &file)], lint::Config::default());
//! problems.extend(lint::lint(&files, None, &sources, &config));
//!
//! // The install would hang, and the pragma silences nothing.
//! let found = lint::settle(problems, &files, &sources, &config, false).sorted();
//! assert!(found.iter().any(|d| sources.place(d.primary.as_ref().unwrap().span).starts_with("VMWfile:2:")));
//! ```

pub mod codes;
mod commands;
mod config;
mod cx;
pub mod fix;
mod packages;
mod pragma;
mod rule;
mod rules;
pub mod secrets;
pub mod shellcheck;
#[cfg(test)]
mod tests;
pub mod walk;

pub use config::{Config, ConfigError, Level, Table as LevelTable};
pub use cx::{includes, normal, with_included};
pub use pragma::settle;
pub use rule::Rule;

use crate::diagnostic::Problems;
use crate::sema::program::Program;
use crate::source::{SourceId, Sources};
use crate::syntax::ast;

/// Every rule, by number.
pub fn rules() -> &'static [&'static Rule] {
    rules::ALL
}

/// Runs the rules that `config` leaves on. The first file is the main one, the others are those it includes.
/// Without a program (the file has errors) the rules that need one are silent. Levels and pragmas are
/// [`settle`]'s.
pub fn lint(
    files: &[(SourceId, &ast::File)],
    program: Option<&Program>,
    sources: &Sources,
    config: &Config,
) -> Problems {
    let mut problems = Problems::new();
    // What stands in plain text is to be known in any case, so that no message shows it.
    let runs = |r: &&Rule| config.runs(r) || *r.code == rules::plain_secret::CODE;
    let wanted: Vec<&Rule> = rules().iter().copied().filter(runs).collect();
    if wanted.is_empty() {
        return problems;
    }
    let Some((main, _)) = files.first().copied() else { return problems };
    let (globals, stages) = cx::layout(files, sources);
    let shells = commands::read(&stages, sources);
    let ran = commands::ran(&shells);
    let cx = cx::Cx { sources, main, globals, stages, shells: &shells, ran: &ran, program };
    for rule in wanted {
        (rule.check)(&cx, &mut problems);
    }
    problems
}
