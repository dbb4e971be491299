//! The types of operations.

use crate::syntax::ast::{BinaryOp, Type};

use super::eval::symbol;
use super::types::{a_type, holds_secret, is_scalar, tainted};

/// Why an operation is refused.
#[derive(Debug)]
pub(super) struct Refused {
    /// A secret was compared.
    pub secret: bool,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Refused {
    fn types(message: String, help: Option<&str>) -> Self {
        Refused { secret: false, message, help: help.map(str::to_owned) }
    }
}

/// The type of `left op right`.
pub(super) fn binary_type(op: BinaryOp, left: &Type, right: &Type) -> Result<Type, Refused> {
    match op {
        BinaryOp::And | BinaryOp::Or => match (left, right) {
            (Type::Bool, Type::Bool) => Ok(Type::Bool),
            _ => Err(wrong(op, "two bools", left, right)),
        },
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
            compared(op, left, right)
        }
        BinaryOp::Add => added(op, left, right),
        BinaryOp::Sub => match (left, right) {
            (Type::Int, Type::Int) | (Type::Duration, Type::Duration) | (Type::Size, Type::Size) => Ok(left.clone()),
            _ => Err(wrong(op, "two ints, durations or sizes", left, right)),
        },
        BinaryOp::Mul => match (left, right) {
            (Type::Int, Type::Int) => Ok(Type::Int),
            (Type::Duration | Type::Size, Type::Int) => Ok(left.clone()),
            (Type::Int, Type::Duration | Type::Size) => Ok(right.clone()),
            _ => Err(wrong(op, "two ints, or a duration or size and an int", left, right)),
        },
        BinaryOp::Div => match (left, right) {
            (Type::Int, Type::Int) | (Type::Duration, Type::Duration) | (Type::Size, Type::Size) => Ok(Type::Int),
            (Type::Duration | Type::Size, Type::Int) => Ok(left.clone()),
            _ => Err(wrong(op, "two ints, durations or sizes, or one of these and an int", left, right)),
        },
        BinaryOp::Rem => match (left, right) {
            (Type::Int, Type::Int) => Ok(Type::Int),
            _ => Err(wrong(op, "two ints", left, right)),
        },
    }
}

fn added(op: BinaryOp, left: &Type, right: &Type) -> Result<Type, Refused> {
    match (left, right) {
        (Type::Int, Type::Int) | (Type::Duration, Type::Duration) | (Type::Size, Type::Size) => Ok(left.clone()),
        (Type::String | Type::Secret, other) | (other, Type::String | Type::Secret) if is_scalar(other) => {
            Ok(if holds_secret(left) || holds_secret(right) { Type::Secret } else { Type::String })
        }
        (Type::List(_), _) | (_, Type::List(_)) => {
            Err(Refused::types(types(op, left, right), Some("make one text of the list first: `list | join(\",\")`")))
        }
        (Type::Json, _) | (_, Type::Json) => Err(Refused::types(
            types(op, left, right),
            Some("say what the json is: `(x | int)` to add, `\"\" + x` to join"),
        )),
        _ => Err(Refused::types(
            types(op, left, right),
            Some("`+` adds two ints, durations or sizes, and joins when a side is a string"),
        )),
    }
}

fn compared(op: BinaryOp, left: &Type, right: &Type) -> Result<Type, Refused> {
    if holds_secret(left) || holds_secret(right) {
        return Err(Refused {
            secret: true,
            message: "a secret can't be compared: the answer would tell something about it".into(),
            help: Some("compare it where it is used, in the guest's shell".into()),
        });
    }
    if matches!(op, BinaryOp::Eq | BinaryOp::Ne) {
        return match (left, right) {
            (Type::Json, Type::String | Type::Int | Type::Bool)
            | (Type::String | Type::Int | Type::Bool, Type::Json) => Ok(Type::Bool),
            (a, b) if a == b => Ok(Type::Bool),
            _ => Err(wrong(op, "two values of one type", left, right)),
        };
    }
    match (left, right) {
        (Type::Int, Type::Int) | (Type::Duration, Type::Duration) | (Type::Size, Type::Size) => Ok(Type::Bool),
        (Type::String, Type::String) => Err(Refused::types(
            format!("`{}` does not order strings", symbol(op)),
            Some("\"10\" would stand before \"9\": compare ints, `x | int`"),
        )),
        _ => Err(wrong(op, "two ints, durations or sizes", left, right)),
    }
}

fn types(op: BinaryOp, left: &Type, right: &Type) -> String {
    format!("`{}` can't take {} and {}", symbol(op), a_type(left), a_type(right))
}

fn wrong(op: BinaryOp, takes: &str, left: &Type, right: &Type) -> Refused {
    let readable = |ty: &Type| matches!(ty, Type::String | Type::Json);
    let other_is_int = |a: &Type, b: &Type| readable(a) && *b == Type::Int;
    let help = match op {
        _ if other_is_int(left, right) || other_is_int(right, left) || (readable(left) && readable(right)) => {
            (!matches!(op, BinaryOp::And | BinaryOp::Or)).then_some("text is made an int by `(x | int)`")
        }
        BinaryOp::And | BinaryOp::Or => {
            Some("nothing but a bool is true or false: compare, as in `x != 0` or `x != \"\"`")
        }
        BinaryOp::Eq | BinaryOp::Ne => None,
        _ => None,
    };
    Refused {
        secret: false,
        message: format!("`{}` takes {takes}, not {} and {}", symbol(op), a_type(left), a_type(right)),
        help: help.map(str::to_owned),
    }
}

/// The type of a list's elements, or of the two branches of a choice, when they differ: what both are. None when
/// there is none. An int and a string have none, since nothing says that text is meant.
pub(super) fn common_type(a: &Type, b: &Type) -> Option<Type> {
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (Type::Secret, other) | (other, Type::Secret) if is_scalar(other) => Some(Type::Secret),
        (Type::List(x), Type::List(y)) if holds_secret(x) || holds_secret(y) => {
            common_type(&tainted(x), &tainted(y)).map(|of| Type::List(Box::new(of)))
        }
        _ => None,
    }
}
