//! What a rule is, and what the rules' files use.

pub(super) use super::commands::{Ran, Use};
pub(super) use super::cx::Cx;
pub(super) use super::packages;
pub(super) use super::walk;
pub(super) use crate::diagnostic::{Code, Diagnostic, Edit, Problems, Severity};
pub(super) use crate::source::Span;
pub(super) use crate::syntax::ast::{Body, Command, Instruction, KeyFrom, Text};

/// A lint: its documentation, and how it is found.
pub struct Rule {
    /// Number, name, severity and documentation.
    pub code: &'static Code,
    /// Whether it is off until a configuration names it.
    pub opt_in: bool,
    pub(super) check: fn(&Cx<'_>, &mut Problems),
}

impl Rule {
    /// One that is on.
    pub(super) const fn new(code: &'static Code, check: fn(&Cx<'_>, &mut Problems)) -> Self {
        Rule { code, opt_in: false, check }
    }

    /// One that is off until it is asked for.
    pub(super) const fn opt_in(code: &'static Code, check: fn(&Cx<'_>, &mut Problems)) -> Self {
        Rule { code, opt_in: true, check }
    }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.code.name)
    }
}

/// Whether a name says that its value is a secret: `db_password`, `API_TOKEN`.
pub(super) fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(['_', '-', '.']).collect();
    // What tells about a secret is none: `password_file`, `token_ttl`, `key_name`.
    const ABOUT: &[&str] = &[
        "file", "path", "dir", "ttl", "length", "len", "name", "url", "policy", "age", "expiry", "hash", "id", "count",
    ];
    if words.last().is_some_and(|last| ABOUT.contains(last)) {
        return false;
    }
    const SECRET: &[&str] = &[
        "password",
        "passwd",
        "pass",
        "passphrase",
        "pwd",
        "secret",
        "secrets",
        "token",
        "apikey",
        "credential",
        "credentials",
        "pgpassword",
    ];
    words.iter().any(|w| SECRET.contains(w) || w.ends_with("password"))
        || name.ends_with("api_key")
        || name.ends_with("private_key")
        || name.ends_with("secret_key")
        || name.ends_with("access_key")
}
