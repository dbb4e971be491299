//! What can be asked of expressions, templates and scripts without evaluating them; and rendering templates.

use crate::shell::Context;
use crate::source::Span;

use super::eval::{Env, EvalError, eval};
use super::program::{EnvPiece, Invocation, Ref, Rt, RtKind, Script, Template, TemplatePiece};
use super::value::Value;

/// A complete text, and the secrets that went into it (so that output can be masked).
#[derive(Clone, Default, PartialEq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The texts of the secrets that it contains.
    pub secrets: Vec<String>,
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.secrets.is_empty() {
            return f.debug_tuple("Rendered").field(&self.text).finish();
        }
        write!(f, "Rendered(… with {} secrets)", self.secrets.len())
    }
}

impl Rendered {
    /// Adds a value's text.
    pub(super) fn push_value(&mut self, value: &Value) {
        self.text.push_str(&value.to_text());
        self.note_secrets(value);
    }

    /// Remembers the secrets of a value.
    pub(super) fn note_secrets(&mut self, value: &Value) {
        value.secrets(&mut |text| {
            if !self.secrets.iter().any(|s| s == text) {
                self.secrets.push(text.to_owned());
            }
        });
    }
}

impl Rt {
    /// Calls `f` with each direct part, in the order of evaluation.
    pub(super) fn each_part(&self, f: &mut dyn FnMut(&Rt)) {
        match &self.kind {
            RtKind::Const(_) | RtKind::Ref(_) | RtKind::Unset | RtKind::Missing => {}
            RtKind::Convert(of) | RtKind::Field(of, _) | RtKind::Unary(_, of) => f(of),
            RtKind::List(items) => items.iter().for_each(f),
            RtKind::Index(a, b) | RtKind::Binary(_, a, b) => {
                f(a);
                f(b);
            }
            RtKind::If { cond, then, other } => {
                f(cond);
                f(then);
                f(other);
            }
            RtKind::Filter(_, of, args) => {
                f(of);
                args.iter().for_each(f);
            }
        }
    }

    /// Calls `f` with everything that only the running build knows, and where it is used.
    pub fn refs(&self, f: &mut dyn FnMut(&Ref, Span)) {
        if let RtKind::Ref(of) = &self.kind {
            f(of, self.span);
        }
        self.each_part(&mut |part| part.refs(f));
    }

    /// Whether the value is a secret, or holds one.
    pub fn is_secret(&self) -> bool {
        super::types::holds_secret(&self.ty)
    }

    /// The value, if it is known before the build.
    pub fn as_const(&self) -> Option<&Value> {
        match &self.kind {
            RtKind::Const(value) => Some(value),
            _ => None,
        }
    }
}

impl Template {
    /// The values in it, in order.
    pub fn values(&self) -> impl Iterator<Item = &Rt> {
        self.pieces.iter().filter_map(|piece| match piece {
            TemplatePiece::Literal(_) => None,
            TemplatePiece::Value(rt) => Some(rt),
        })
    }

    /// See [`Rt::refs`].
    pub fn refs(&self, f: &mut dyn FnMut(&Ref, Span)) {
        self.values().for_each(|rt| rt.refs(f));
    }

    /// Whether a secret goes into it.
    pub fn is_secret(&self) -> bool {
        self.values().any(Rt::is_secret)
    }

    /// Adds text, joined to text before it.
    pub(super) fn push_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(TemplatePiece::Literal(last)) => last.push_str(text),
            _ => self.pieces.push(TemplatePiece::Literal(text.to_owned())),
        }
    }

    /// Adds a value; a known one as its text.
    pub(super) fn push_value(&mut self, rt: Rt) {
        match &rt.kind {
            RtKind::Const(value) if !rt.is_secret() => self.push_text(&value.to_text()),
            _ => self.pieces.push(TemplatePiece::Value(rt)),
        }
    }
}

impl Script {
    /// The values that go into it. What stands in a comment doesn't.
    pub fn values(&self) -> impl Iterator<Item = &Rt> {
        self.holes.iter().filter(|hole| hole.context != Context::Comment).map(|hole| &hole.value)
    }

    /// See [`Rt::refs`].
    pub fn refs(&self, f: &mut dyn FnMut(&Ref, Span)) {
        self.values().for_each(|rt| rt.refs(f));
    }

    /// Whether a secret goes into it.
    pub fn is_secret(&self) -> bool {
        self.values().any(Rt::is_secret)
    }
}

impl Invocation {
    /// See [`Rt::refs`].
    pub fn refs(&self, f: &mut dyn FnMut(&Ref, Span)) {
        match self {
            Invocation::Script(script) => script.refs(f),
            Invocation::Exec(argv) => argv.iter().for_each(|arg| arg.refs(f)),
        }
    }

    /// Whether a secret goes into it.
    pub fn is_secret(&self) -> bool {
        match self {
            Invocation::Script(script) => script.is_secret(),
            Invocation::Exec(argv) => argv.iter().any(Template::is_secret),
        }
    }
}

/// See [`Rt::refs`].
pub fn env_refs(pieces: &[EnvPiece], f: &mut dyn FnMut(&Ref, Span)) {
    for piece in pieces {
        match piece {
            EnvPiece::Literal(_) | EnvPiece::Variable(_) => {}
            EnvPiece::Value(rt) => rt.refs(f),
        }
    }
}

/// The text of a template while the build runs.
pub fn render_template(template: &Template, env: &dyn Env) -> Result<Rendered, EvalError> {
    let mut out = Rendered::default();
    for piece in &template.pieces {
        match piece {
            TemplatePiece::Literal(text) => out.text.push_str(text),
            TemplatePiece::Value(rt) => out.push_value(&eval(rt, env)?),
        }
    }
    Ok(out)
}
