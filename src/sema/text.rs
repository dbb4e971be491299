//! Words, prose and heredoc bodies with interpolations: to templates, typed arguments and constants.

use crate::diagnostic::Problems;
use crate::syntax::ast::{Text, Type};

use super::expr::Scope;
use super::program::{EnvPiece, Rt, Template};
use super::value::Value;

/// What a text is for.
#[derive(Clone, Copy, Debug)]
pub struct Usage<'a> {
    /// As in "the hostname", "a VM's name": the start of a sentence about it, lower case.
    pub what: &'a str,
    /// Whether a secret may stand in it.
    pub secrets: Secrets<'a>,
    /// Whose `$NAME` it is.
    pub dollar: Dollar,
}

/// Whether secrets may stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets<'a> {
    /// LOGIN, ENV, KEY, shell text, COPY bodies, exec arrays.
    Allowed,
    /// Everywhere else, with the reason: "what vCenter stores can be read there".
    Refused(&'a str),
}

/// What `$NAME` in a text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dollar {
    /// A mistake: words and prose.
    Error,
    /// Text: COPY bodies, exec arrays.
    Text,
}

/// A value that must be known before the build runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Known<T> {
    /// It is.
    Value(T),
    /// It hangs on an ARG that `lint` was given no value for.
    Unset,
}

impl<T> Known<T> {
    /// The value, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Known::Value(value) => Some(value),
            Known::Unset => None,
        }
    }
}

/// Text that is complete when the build runs. None when it has errors.
pub fn check_text(text: &Text, usage: Usage<'_>, scope: &dyn Scope, problems: &mut Problems) -> Option<Template> {
    let _ = (text, usage, scope, problems);
    None
}

/// An argument of a type. One that is a single `${{ }}` must have that type; anything else is text that is read as
/// one (when the build runs, if it hangs on something that only then is known). The result has the type `want`.
pub fn check_arg(text: &Text, want: &Type, usage: Usage<'_>, scope: &dyn Scope, problems: &mut Problems) -> Option<Rt> {
    let _ = (text, want, usage, scope, problems);
    None
}

/// An argument of a type that must be known before the build runs; for [`Type::String`] the value is
/// [`Value::Str`]. Secrets are refused whatever `usage` says.
pub fn check_static(
    text: &Text,
    want: &Type,
    usage: Usage<'_>,
    scope: &dyn Scope,
    problems: &mut Problems,
) -> Option<Known<Value>> {
    let _ = (text, want, usage, scope, problems);
    None
}

/// [`check_static`] for a string.
pub fn check_static_text(
    text: &Text,
    usage: Usage<'_>,
    scope: &dyn Scope,
    problems: &mut Problems,
) -> Option<Known<String>> {
    Some(match check_static(text, &Type::String, usage, scope, problems)? {
        Known::Value(value) => Known::Value(value.to_text()),
        Known::Unset => Known::Unset,
    })
}

/// The value of an ENV: `$NAME` and `${NAME}` outside `'…'` are the guest's.
pub fn check_env(text: &Text, scope: &dyn Scope, problems: &mut Problems) -> Option<Vec<EnvPiece>> {
    let _ = (text, scope, problems);
    None
}
