//! What names mean where an expression stands: the contract between the check of stages and that of expressions.

use indexmap::IndexMap;

use crate::diagnostic::Diagnostic;
use crate::source::{Sources, Span, Spanned};
use crate::syntax::ast;

use super::program::{MachineId, Rt, StageId};
use super::value::Value;

pub use super::expr_check::{check_expr, check_expr_as};

/// What names mean at one place of the file. The check of stages implements it.
pub trait Scope {
    /// What a bare name means here. `span` is where it is used; a returned [`Rt`] carries it.
    fn resolve(&self, name: &str, span: Span) -> Result<Resolved, Lookup>;

    /// All names that mean something here, for "did you mean".
    fn names(&self) -> Vec<String>;

    /// What `owner.name` means here: a key or an attribute. With [`Owner::Stage`] of a stage that has a FOR the
    /// answer is a list in FOR's order. `name.span` is where it is used; a returned [`Rt`] carries it.
    fn member(&self, owner: &Owner, name: &Spanned<String>) -> Result<Resolved, Lookup>;

    /// The files, to quote what the author wrote.
    fn sources(&self) -> &Sources;
}

/// What has members: what stands before the dot.
#[derive(Clone, Debug, PartialEq)]
pub enum Owner {
    /// `build`.
    Build,
    /// `self`, or a machine known otherwise.
    Machine(MachineId),
    /// A stage: its machine, or all its replicas.
    Stage(StageId),
    /// `stage[v]`: the replica whose loop value is `v`.
    Replica(StageId, Value),
    /// `stage[v]` where `v` has no value (see [`super::program::RtKind::Unset`]), or that stands in a branch that
    /// is not taken: only types matter, and the answer may be [`super::program::RtKind::Unset`] of the right type.
    AnyReplica(StageId),
}

/// What a name turned out to be.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// Something that has a value: an ARG, a loop variable, a SECRET, a key, an attribute.
    Value {
        /// The value: [`super::program::RtKind::Const`], `Ref`, `Unset`, or a `List` of such.
        rt: Rt,
        /// Why it may be unset when the build runs; such a value is read through `| default`.
        optional: Option<Why>,
        /// Where it comes from, for a second label: "declared here", "captured here".
        declared: Option<Why>,
    },
    /// A key that is never captured in this build (`--if` left it out): only `| default` gives it a value.
    Never {
        /// Its type.
        ty: ast::Type,
        /// What left it out.
        why: Why,
    },
    /// A row of FOR … FILE: `v.column` is a string; `v` alone a json object.
    Row(IndexMap<String, String>),
    /// Something that has members but no value.
    Owner(Owner),
}

/// A place with its role, as a label says it: lower case, a few words.
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    /// Where.
    pub span: Span,
    /// As in "captured only if this holds".
    pub text: String,
}

/// Why a name has no meaning here.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// There is no such name; [`Scope::names`] are those that there are.
    UnknownName,
    /// There is none of that name.
    Unknown {
        /// What there is, for "did you mean"; all that could stand here.
        candidates: Vec<String>,
    },
    /// There is, but it can't be used here. The diagnostic is the scope's own.
    Refused(Box<Diagnostic>),
    /// It is already reported; stay silent.
    Silent,
}
