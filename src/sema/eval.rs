//! Evaluating typed expressions, before the build (constants) and while it runs.

use crate::source::Span;

use super::program::{Ref, Rt};
use super::value::Value;

/// What a running build knows.
pub trait Env {
    /// The value of a key, attribute or secret; None for a key that is unset.
    fn get(&self, of: &Ref) -> Option<Value>;
}

/// An expression that has no value.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalError {
    /// The part of the expression that failed.
    pub span: Span,
    /// One sentence, lower case first, no full stop. Never shows a secret.
    pub message: String,
}

impl std::fmt::Display for EvalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EvalError {}

/// The value of an expression. It has the expression's type.
pub fn eval(rt: &Rt, env: &dyn Env) -> Result<Value, EvalError> {
    let _ = env;
    Err(EvalError { span: rt.span, message: String::new() })
}
