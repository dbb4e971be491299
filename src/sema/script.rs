//! Guest commands: shell text with its holes classified, and the text that is run in the end.

use crate::diagnostic::Problems;
use crate::shell::Dialect;
use crate::source::Span;
use crate::syntax::ast::{Command, Heredoc};

use super::eval::{Env, EvalError};
use super::expr::Scope;
use super::program::{Invocation, Os, Script};
use super::template::Rendered;

/// The interpreter that reads shell text.
#[derive(Clone, Debug, PartialEq)]
pub struct ShellKind {
    /// As named: `sh`, `/usr/bin/fish`.
    pub name: String,
    /// Its language; None for one that we don't know.
    pub dialect: Option<Dialect>,
    /// The SHELL instruction that chose it.
    pub declared: Option<Span>,
}

impl ShellKind {
    /// What a stage starts with.
    pub fn default_of(os: Os) -> Self {
        match os {
            Os::Unix => ShellKind { name: "sh".into(), dialect: Some(Dialect::Sh), declared: None },
            Os::Windows => ShellKind { name: "powershell".into(), dialect: Some(Dialect::PowerShell), declared: None },
        }
    }

    /// The shell that SHELL names: the literal words of its array (or its one word), as far as they are known.
    pub fn of(argv: &[Option<String>], declared: Span) -> Self {
        let _ = argv;
        ShellKind { name: String::new(), dialect: None, declared: Some(declared) }
    }
}

/// A guest command. `heredocs` are the instruction's. None when it has errors.
pub fn check_command(
    command: &Command,
    heredocs: &[Heredoc],
    shell: &ShellKind,
    scope: &dyn Scope,
    problems: &mut Problems,
) -> Option<Invocation> {
    let _ = (command, heredocs, shell, scope, problems);
    None
}

/// The text to run: assignments of the values, then the author's text with constants where they stand.
pub fn render_script(script: &Script, env: &dyn Env) -> Result<Rendered, EvalError> {
    let _ = (script, env);
    Ok(Rendered::default())
}
