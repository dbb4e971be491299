//! Words, prose and heredoc bodies with interpolations: to templates, typed arguments and constants.

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::{Span, Spanned};
use crate::syntax::ast::{BinaryOp, Expr, Piece, Quote, Text, Type};

use super::codes_values as codes;
use super::expr::{Resolved, Scope, check_expr, check_expr_as};
use super::program::{EnvPiece, Ref, Rt, RtKind, Template, TemplatePiece};
use super::types::{a_type, holds_secret};
use super::value::Value;
use super::value_parse::parse_value;

/// What a text is for.
#[derive(Clone, Copy, Debug)]
pub struct Usage<'a> {
    /// As in "the hostname", "a VM's name": the start of a sentence about it, lower case.
    pub what: &'a str,
    /// Whether a secret may stand in it.
    pub secrets: Secrets<'a>,
}

/// Whether secrets may stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets<'a> {
    /// LOGIN, ENV, KEY, shell text, COPY bodies, exec arrays.
    Allowed,
    /// Everywhere else, with the reason: "what vCenter stores can be read there".
    Refused(&'a str),
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
    let mut out = Some(Template::default());
    for piece in &text.pieces {
        match piece {
            Piece::Literal { text, .. } => {
                if let Some(out) = &mut out {
                    out.push_text(text);
                }
            }
            Piece::Escaped { .. } => {
                if let Some(out) = &mut out {
                    out.push_text("${{");
                }
            }
            Piece::Hole { expr, .. } => match check_value(expr, usage, scope, problems) {
                Some(rt) => {
                    if let Some(out) = &mut out {
                        out.push_value(rt);
                    }
                }
                None => out = None,
            },
        }
    }
    out
}

/// One value in text: anything but a list, a secret only where one may stand.
fn check_value(expr: &Expr, usage: Usage<'_>, scope: &dyn Scope, problems: &mut Problems) -> Option<Rt> {
    let rt = check_expr(expr, scope, problems)?;
    if let Type::List(_) = rt.ty {
        problems.push(list_in_text(&rt));
        return None;
    }
    refuse_secret(rt, usage, problems)
}

/// The diagnostic of a list where one text is needed.
pub(super) fn list_in_text(rt: &Rt) -> Diagnostic {
    Diagnostic::new(&codes::LIST_IN_TEXT, "a list has no text of its own")
        .primary(rt.span, format!("this is {}", a_type(&rt.ty)))
        .help("say what stands between its elements, `| join(\",\")`, or take one, `[0]`")
}

fn refuse_secret(rt: Rt, usage: Usage<'_>, problems: &mut Problems) -> Option<Rt> {
    let Secrets::Refused(reason) = usage.secrets else { return Some(rt) };
    if !rt.is_secret() {
        return Some(rt);
    }
    problems.push(
        Diagnostic::new(&codes::SECRET_SHOWN, format!("{} can't hold a secret: {reason}", usage.what))
            .primary(rt.span, "this is a secret, or computed from one")
            .help(
                "secrets may stand in LOGIN, the PASSWORD of USER, ENV, KEY, shell text, COPY bodies and exec arrays",
            ),
    );
    None
}

/// An argument of a type. One that is a single `${{ }}` must have that type; anything else is text that is read as
/// one (when the build runs, if it hangs on something that only then is known). The result has the type `want`.
pub fn check_arg(text: &Text, want: &Type, usage: Usage<'_>, scope: &dyn Scope, problems: &mut Problems) -> Option<Rt> {
    if let Some(expr) = text.sole_hole() {
        // A secret where a string is wanted is refused for what it is, not for its type.
        let secret_text = *want == Type::String;
        let rt = if secret_text {
            check_value(expr, usage, scope, problems)?
        } else {
            let rt = check_expr_as(expr, want, usage.what, scope, problems)?;
            refuse_secret(rt, usage, problems)?
        };
        return Some(if secret_text { as_text(rt) } else { rt });
    }
    let template = check_text(text, usage, scope, problems)?;
    let span = text.span;
    if let Some(literal) = template.as_literal() {
        return match parse_value(want, literal) {
            Ok(value) => Some(Rt { span, ty: want.clone(), kind: RtKind::Const(value) }),
            Err(reason) => {
                let mut problem = Diagnostic::new(&codes::BAD_VALUE, reason).primary(span, usage.what);
                if matches!(scope.resolve(literal, span), Ok(Resolved::Value { .. })) {
                    let new = format!("${{{{ {literal} }}}}");
                    problem = problem.help(format!("for the value of `{literal}` write `{new}`")).replace(
                        format!("write `{new}`"),
                        false,
                        span,
                        new,
                    );
                }
                problems.push(problem);
                None
            }
        };
    }
    if template.values().any(|rt| matches!(rt.kind, RtKind::Unset)) {
        return Some(Rt { span, ty: want.clone(), kind: RtKind::Unset });
    }
    let joined = join(template, span);
    if joined.ty == *want || (*want == Type::String && joined.is_secret()) {
        return Some(joined);
    }
    if joined.is_secret() {
        problems.push(
            Diagnostic::new(&codes::WRONG_TYPE, format!("{} must be {}", usage.what, a_type(want)))
                .primary(span, "this is text with a secret"),
        );
        return None;
    }
    Some(Rt { span, ty: want.clone(), kind: RtKind::Convert(Box::new(joined)) })
}

/// Anything but a list as text; a secret stays a secret.
fn as_text(rt: Rt) -> Rt {
    let span = rt.span;
    match (&rt.ty, &rt.kind) {
        (Type::String | Type::Secret, _) => rt,
        (_, RtKind::Const(value)) => Rt { span, ty: Type::String, kind: RtKind::Const(Value::Str(value.to_text())) },
        (_, RtKind::Unset) => Rt { span, ty: Type::String, kind: RtKind::Unset },
        _ => Rt { span, ty: Type::String, kind: RtKind::Convert(Box::new(rt)) },
    }
}

/// A template as one expression: its parts joined by `+`.
fn join(template: Template, span: Span) -> Rt {
    let ty = if template.is_secret() { Type::Secret } else { Type::String };
    let empty = Rt { span, ty: Type::String, kind: RtKind::Const(Value::Str(String::new())) };
    let mut parts = template.pieces.into_iter().map(|piece| match piece {
        TemplatePiece::Literal(text) => Rt { span, ty: Type::String, kind: RtKind::Const(Value::Str(text)) },
        TemplatePiece::Value(rt) => as_text(rt),
    });
    let first = parts.next().unwrap_or(empty);
    parts.fold(first, |left, right| Rt {
        span,
        ty: ty.clone(),
        kind: RtKind::Binary(BinaryOp::Add, Box::new(left), Box::new(right)),
    })
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
    let rt = check_arg(text, want, never_secret(usage), scope, problems)?;
    known(rt, usage, scope, problems)
}

/// [`check_static`] for an expression that stands alone, as `--if` and FOR's list do.
pub fn check_static_expr(
    expr: &Expr,
    want: &Type,
    usage: Usage<'_>,
    scope: &dyn Scope,
    problems: &mut Problems,
) -> Option<Known<Value>> {
    let rt = check_expr_as(expr, want, usage.what, scope, problems)?;
    let rt = refuse_secret(rt, never_secret(usage), problems)?;
    known(rt, usage, scope, problems)
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

fn never_secret(usage: Usage<'_>) -> Usage<'_> {
    match usage.secrets {
        Secrets::Refused(_) => usage,
        Secrets::Allowed => {
            Usage { secrets: Secrets::Refused("it is decided and shown before the build starts"), ..usage }
        }
    }
}

/// The value of a finished expression, if it is known before the build; else says what is not, and why. For those
/// who need to know it of something that [`check_expr`] gave them.
pub fn known(rt: Rt, usage: Usage<'_>, scope: &dyn Scope, problems: &mut Problems) -> Option<Known<Value>> {
    match rt.kind {
        RtKind::Const(value) => return Some(Known::Value(value)),
        RtKind::Unset => return Some(Known::Unset),
        _ => {}
    }
    let mut first: Option<(Ref, Span)> = None;
    rt.refs(&mut |of, span| {
        first.get_or_insert((of.clone(), span));
    });
    let Some((of, span)) = first else {
        // Nothing open in it, so that its value only waits to be converted.
        return match super::eval::eval(&rt, &super::eval::NoEnv) {
            Ok(value) => Some(Known::Value(value)),
            Err(error) => {
                problems.push(Diagnostic::at(&codes::NO_RESULT, error.span, error.message));
                None
            }
        };
    };
    let name = scope.sources().slice(span);
    let name = if name.is_empty() { "this".to_owned() } else { format!("`{name}`") };
    let why = match of {
        Ref::Secret(_) => format!("{name} is given when the build runs"),
        Ref::Key(..) => format!("{name} is captured while it runs"),
        Ref::Attr(..) => format!("{name} is known only when that machine runs"),
    };
    problems.push(
        Diagnostic::new(&codes::NOT_KNOWN_YET, format!("{} must be known before the build starts", usage.what))
            .primary(span, why)
            .help("use constants, ARGs and loop variables here"),
    );
    None
}

/// The value of an ENV: `$NAME` and `${NAME}` outside `'…'` are the guest's.
pub fn check_env(text: &Text, scope: &dyn Scope, problems: &mut Problems) -> Option<Vec<EnvPiece>> {
    let usage = Usage { what: "an ENV value", secrets: Secrets::Allowed };
    let mut out = Vec::new();
    let mut good = true;
    for piece in &text.pieces {
        match piece {
            Piece::Literal { text, quote: Quote::Single, .. } => push_literal(&mut out, text),
            Piece::Literal { text, span, quote: Quote::Bare | Quote::Double } => {
                good &= split_variables(text, *span, &mut out, problems);
            }
            Piece::Escaped { .. } => push_literal(&mut out, "${{"),
            Piece::Hole { expr, .. } => match check_value(expr, usage, scope, problems) {
                Some(Rt { kind: RtKind::Const(value), ty, .. }) if !holds_secret(&ty) => {
                    push_literal(&mut out, &value.to_text());
                }
                Some(rt) => out.push(EnvPiece::Value(rt)),
                None => good = false,
            },
        }
    }
    good.then_some(out)
}

fn push_literal(out: &mut Vec<EnvPiece>, text: &str) {
    match out.last_mut() {
        _ if text.is_empty() => {}
        Some(EnvPiece::Literal(last)) => last.push_str(text),
        _ => out.push(EnvPiece::Literal(text.to_owned())),
    }
}

/// Takes the guest's variables out of literal text. False when there is a `${…}` that is none.
fn split_variables(text: &str, span: Span, out: &mut Vec<EnvPiece>, problems: &mut Problems) -> bool {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        push_literal(out, before);
        let (braced, name_on) = match after.strip_prefix('{') {
            Some(inner) => (true, inner),
            None => (false, after),
        };
        let length = name_length(name_on);
        let (name, tail) = name_on.split_at_checked(length).unwrap_or((name_on, ""));
        rest = match (braced, name.is_empty()) {
            (false, true) => {
                push_literal(out, "$");
                after
            }
            (false, false) => {
                out.push(EnvPiece::Variable(name.to_owned()));
                tail
            }
            (true, _) => match tail.strip_prefix('}') {
                Some(tail) if !name.is_empty() => {
                    out.push(EnvPiece::Variable(name.to_owned()));
                    tail
                }
                _ => {
                    problems.push(
                        Diagnostic::at(
                            &codes::ENV_EXPANSION,
                            span,
                            "ENV expands `$NAME` and `${NAME}`, and nothing else of the shell's",
                        )
                        .help("put it in `'…'` if the characters themselves are meant"),
                    );
                    return false;
                }
            },
        };
    }
    push_literal(out, rest);
    true
}

/// How many bytes of a variable's name the text begins with.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// Takes a word `key=value` apart, as `--env=` has it. None when it has no `=` in its literal beginning.
pub fn split_pair(text: &Text) -> Option<(Spanned<String>, Text)> {
    let (first, others) = text.pieces.split_first()?;
    let Piece::Literal { span, text: literal, quote } = first else { return None };
    let (key, value) = literal.split_once('=')?;
    // Escapes may make the text shorter than its source; then the value's beginning is not known exactly.
    let in_step = span.len() == literal.len();
    let at = if in_step { span.start + key.len() as u32 } else { span.start };
    let key_span = if in_step { Span { end: at, ..*span } } else { *span };
    let value_span = Span { start: if in_step { at + 1 } else { span.start }, ..*span };
    let mut pieces = Vec::with_capacity(text.pieces.len());
    if !value.is_empty() {
        pieces.push(Piece::Literal { span: value_span, text: value.to_owned(), quote: *quote });
    }
    pieces.extend(others.iter().cloned());
    let span = Span { start: value_span.start, ..text.span };
    Some((Spanned::new(key.to_owned(), key_span), Text { span, pieces }))
}
