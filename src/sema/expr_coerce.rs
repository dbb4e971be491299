//! Where an expression of one type stands for another.

use crate::diagnostic::{Diagnostic, Problems};
use crate::syntax::ast::Type;

use super::codes_values as codes;
use super::eval::convert;
use super::program::{Rt, RtKind};
use super::types::{a_type, holds_secret, is_scalar, type_name};
use super::value::Value;
use super::value_parse::parse_value;

/// Makes an expression one of type `want`, where nothing can go wrong by that; else reports it.
pub(super) fn coerce(rt: Rt, want: &Type, what: &str, problems: &mut Problems) -> Option<Rt> {
    if rt.ty == *want {
        return Some(rt);
    }
    let empty = matches!(&rt.kind, RtKind::Const(Value::List(items)) if items.is_empty());
    let constant = matches!(rt.kind, RtKind::Const(_) | RtKind::Unset);
    let fits = match (want, &rt.ty) {
        (Type::String, from) => is_scalar(from) && *from != Type::Secret,
        (Type::Secret, from) => is_scalar(from),
        (Type::Json, from) => constant && !holds_secret(from) && *from != Type::String,
        (Type::List(of), Type::List(from)) => {
            empty || **of == Type::Secret || (**of == Type::String && is_scalar(from) && **from != Type::Secret)
        }
        _ => false,
    };
    if fits {
        return Some(converted(rt, want));
    }
    let mut d = Diagnostic::new(&codes::WRONG_TYPE, format!("{what} must be {}", a_type(want)))
        .primary(rt.span, format!("this is {}", a_type(&rt.ty)));
    let literal = match &rt.kind {
        RtKind::Const(Value::Str(text)) if matches!(want, Type::Int | Type::Bool | Type::Duration | Type::Size) => {
            parse_value(want, text).is_ok().then(|| format!("without quotes `{}` is {}", text.trim(), a_type(want)))
        }
        _ => None,
    };
    if let Some(help) = literal.or_else(|| coercion_help(&rt.ty, want)) {
        d = d.help(help);
    }
    problems.push(d);
    None
}

/// An expression as one of type `want`, which it can be.
pub(super) fn converted(rt: Rt, want: &Type) -> Rt {
    let span = rt.span;
    let kind = match rt.kind {
        RtKind::Unset => RtKind::Unset,
        RtKind::Const(value) => match convert(&value, want) {
            Ok(value) => RtKind::Const(value),
            Err(_) => RtKind::Convert(Box::new(Rt { span, ty: rt.ty, kind: RtKind::Const(value) })),
        },
        kind => RtKind::Convert(Box::new(Rt { span, ty: rt.ty, kind })),
    };
    Rt { span, ty: want.clone(), kind }
}

fn coercion_help(from: &Type, want: &Type) -> Option<String> {
    Some(match (from, want) {
        (Type::Secret, _) => "a secret stays one; it can't be turned into anything else".into(),
        (Type::Int, Type::Size) => "a bare number is no size: write the unit, as in `512MiB`, or `n * 1MiB`".into(),
        (Type::Int, Type::Duration) => "a bare number is no duration: write the unit, as in `90s`, or `n * 1s`".into(),
        (Type::String | Type::Json, Type::Int) => "read the text as an int: `x | int`".into(),
        (Type::String | Type::Json | Type::Cidr, Type::Ip) => "take the address: `x | ip`".into(),
        (Type::List(_), Type::String) => "make one text of the list: `x | join(\",\")`".into(),
        (Type::List(of), want) if **of == *want => "take one of its elements: `x[0]`".into(),
        (Type::String, Type::List(_)) => "split the text: `x | lines`".into(),
        (Type::String, want) => {
            let ty = type_name(want);
            format!("say so where it is declared: `ARG name: {ty}` or `KEY name: {ty}`")
        }
        _ => return None,
    })
}
