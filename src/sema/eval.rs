//! Evaluating typed expressions, before the build (constants) and while it runs.

use crate::source::Span;
use crate::syntax::ast::{BinaryOp, Type, UnaryOp};

use super::filter::Filter;
use super::filter_apply::{apply, within_limit};
use super::program::{Ref, Rt, RtKind};
use super::types::{a_type, holds_secret};
use super::value::Value;
use super::value_parse::{parse_value, shown};

/// What a running build knows.
pub trait Env {
    /// The value of a key, attribute or secret; None for a key that is unset.
    fn get(&self, of: &Ref) -> Option<Value>;
}

/// Knows nothing: for constants.
pub struct NoEnv;

impl Env for NoEnv {
    fn get(&self, _: &Ref) -> Option<Value> {
        None
    }
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

/// Why there is no value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fail {
    /// A key is unset, or json has no such field: what `default` is for.
    Missing(EvalError),
    /// Anything else.
    Error(EvalError),
}

impl Fail {
    fn missing(span: Span, message: impl Into<String>) -> Self {
        Fail::Missing(EvalError { span, message: message.into() })
    }

    fn error(span: Span, message: impl Into<String>) -> Self {
        Fail::Error(EvalError { span, message: message.into() })
    }

    pub(super) fn into_error(self) -> EvalError {
        match self {
            Fail::Missing(error) | Fail::Error(error) => error,
        }
    }
}

/// How many values a list may hold, those in its lists included: `[a, a]` in turn doubles without end.
const MAX_LEAVES: usize = 100_000;

/// How many values this is, those in lists counted.
fn leaves(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(leaves).sum::<usize>(),
        Value::Str(_) | Value::Int(_) | Value::Bool(_) | Value::Ip(_) | Value::Cidr(_) | Value::Duration(_) => 1,
        Value::Size(_) | Value::Json(_) | Value::Secret(_) => 1,
    }
}

/// The value of an expression. It has the expression's type.
pub fn eval(rt: &Rt, env: &dyn Env) -> Result<Value, EvalError> {
    eval_inner(rt, env).map_err(Fail::into_error)
}

/// [`eval`], with missing values told apart.
pub(super) fn eval_inner(rt: &Rt, env: &dyn Env) -> Result<Value, Fail> {
    let value = match &rt.kind {
        RtKind::Const(value) => value.clone(),
        RtKind::Ref(of) => env.get(of).ok_or_else(|| Fail::missing(rt.span, missing(of)))?,
        RtKind::Unset => return Err(Fail::error(rt.span, "no value was given for this")),
        RtKind::Missing => return Err(Fail::missing(rt.span, "this has no value")),
        RtKind::Convert(inner) => convert(&eval_inner(inner, env)?, &rt.ty).map_err(|m| Fail::error(rt.span, m))?,
        RtKind::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            let mut weight = 0;
            for item in items {
                let value = eval_inner(item, env)?;
                weight += leaves(&value);
                if weight > MAX_LEAVES {
                    return Err(Fail::error(rt.span, format!("the list would hold more than {MAX_LEAVES} values")));
                }
                list.push(value);
            }
            Value::List(list)
        }
        RtKind::Field(of, name) => field(eval_inner(of, env)?, name).map_err(|m| Fail::missing(rt.span, m))?,
        RtKind::Index(of, index) => {
            let of = eval_inner(of, env)?;
            let at = eval_inner(index, env)?;
            // A list has the elements it has; json may lack some, and `default` may say what then.
            let json = matches!(of, Value::Json(_));
            let fail = |m| if json { Fail::missing(index.span, m) } else { Fail::error(index.span, m) };
            element(of, &at).map_err(fail)?
        }
        RtKind::Unary(op, of) => unary(*op, eval_inner(of, env)?).map_err(|m| Fail::error(rt.span, m))?,
        RtKind::Binary(op @ (BinaryOp::And | BinaryOp::Or), left, right) => {
            let decided = *op == BinaryOp::Or;
            match truth(left, env)? {
                value if value == decided => Value::Bool(decided),
                _ => Value::Bool(truth(right, env)?),
            }
        }
        RtKind::Binary(op, left, right) => {
            binary(*op, eval_inner(left, env)?, eval_inner(right, env)?).map_err(|m| Fail::error(rt.span, m))?
        }
        RtKind::If { cond, then, other } => eval_inner(if truth(cond, env)? { then } else { other }, env)?,
        RtKind::Filter(Filter::Default, of, args) => match (eval_inner(of, env), args.first()) {
            (Err(Fail::Missing(_)) | Ok(Value::Json(serde_json::Value::Null)), Some(arg)) => eval_inner(arg, env)?,
            (result, _) => result?,
        },
        RtKind::Filter(filter, of, args) => {
            let value = eval_inner(of, env)?;
            let args = args.iter().map(|a| eval_inner(a, env)).collect::<Result<Vec<_>, _>>()?;
            apply(*filter, &value, &args).map_err(|m| Fail::error(rt.span, m))?
        }
    };
    Ok(if holds_secret(&rt.ty) { value.into_secret() } else { value })
}

fn missing(of: &Ref) -> String {
    match of {
        Ref::Secret(_) => "the secret has no value".into(),
        Ref::Key(_, name) => format!("the key `{name}` is unset: the step that captures it did not run, or failed"),
        Ref::Attr(_, _) => "the machine's attribute is not known".into(),
    }
}

fn truth(rt: &Rt, env: &dyn Env) -> Result<bool, Fail> {
    match eval_inner(rt, env)? {
        Value::Bool(value) => Ok(value),
        other => Err(Fail::error(rt.span, format!("this is {}, not a bool", a_type(&other.type_of())))),
    }
}

/// A value as one of another type: rendered where text or json is wanted, else its text read as one.
pub(super) fn convert(value: &Value, ty: &Type) -> Result<Value, String> {
    match (ty, value) {
        (Type::String, _) => Ok(Value::Str(value.to_text())),
        (Type::Secret, _) => Ok(Value::Secret(value.to_text())),
        (_, Value::Secret(_)) => Err(format!("a secret can't be {}", a_type(ty))),
        (Type::Json, Value::Str(text)) => parse_value(ty, text),
        (Type::Json, _) => Ok(Value::Json(value.to_json())),
        (Type::List(of), Value::List(items)) => {
            Ok(Value::List(items.iter().map(|item| convert(item, of)).collect::<Result<_, _>>()?))
        }
        (_, _) if value.type_of() == *ty => Ok(value.clone()),
        (_, _) => parse_value(ty, &value.to_text()),
    }
}

fn field(of: Value, name: &str) -> Result<Value, String> {
    let Value::Json(json) = of else { return Err(format!("{} has no fields", a_type(&of.type_of()))) };
    match json {
        serde_json::Value::Object(mut map) => {
            if let Some(value) = map.remove(name) {
                return Ok(Value::Json(value));
            }
            let names: Vec<String> = map.keys().take(8).map(|k| shown(k)).collect();
            Err(match names.as_slice() {
                [] => format!("there is no field `{name}`: the object is empty"),
                names => format!("there is no field `{name}`; there are {}", names.join(", ")),
            })
        }
        other => Err(format!("there is no field `{name}` in {}", json_kind(&other))),
    }
}

fn element(of: Value, at: &Value) -> Result<Value, String> {
    match (of, at) {
        (Value::List(items), Value::Int(index)) => pick(items, *index),
        (Value::Json(serde_json::Value::Array(items)), Value::Int(index)) => pick(items, *index).map(Value::Json),
        (Value::Json(json @ serde_json::Value::Object(_)), Value::Str(name)) => field(Value::Json(json), name),
        (Value::Json(json), at) => Err(format!("{} has no element {}", json_kind(&json), shown(&at.to_text()))),
        (of, _) => Err(format!("{} has no elements", a_type(&of.type_of()))),
    }
}

fn pick<T>(items: Vec<T>, index: i64) -> Result<T, String> {
    let count = items.len();
    usize::try_from(index).ok().and_then(|i| items.into_iter().nth(i)).ok_or_else(|| match count {
        0 => format!("there is no element {index}: the list is empty"),
        1 => format!("there is no element {index}: the list has one element, number 0"),
        _ => format!("there is no element {index}: the list has {count}, from 0 to {}", count - 1),
    })
}

fn json_kind(json: &serde_json::Value) -> &'static str {
    match json {
        serde_json::Value::Null => "json `null`",
        serde_json::Value::Bool(_) => "a json bool",
        serde_json::Value::Number(_) => "a json number",
        serde_json::Value::String(_) => "a json string",
        serde_json::Value::Array(_) => "a json array",
        serde_json::Value::Object(_) => "a json object",
    }
}

fn unary(op: UnaryOp, value: Value) -> Result<Value, String> {
    match (op, value) {
        (UnaryOp::Neg, Value::Int(v)) => v.checked_neg().map(Value::Int).ok_or_else(|| overflow("-", &[v])),
        (UnaryOp::Not, Value::Bool(v)) => Ok(Value::Bool(!v)),
        (UnaryOp::Neg, other) => Err(format!("`-` takes an int, not {}", a_type(&other.type_of()))),
        (UnaryOp::Not, other) => Err(format!("`not` takes a bool, not {}", a_type(&other.type_of()))),
    }
}

fn overflow(op: &str, values: &[i64]) -> String {
    match values {
        [a, b] => format!("{a} {op} {b} does not fit into an int of 64 bits"),
        [a] => format!("{op}({a}) does not fit into an int of 64 bits"),
        _ => "the result does not fit into an int of 64 bits".into(),
    }
}

/// Operations but `and` and `or`, which the evaluator does itself since they may leave out a side.
fn binary(op: BinaryOp, left: Value, right: Value) -> Result<Value, String> {
    use Value::{Duration as Dur, Int, Size};
    match op {
        BinaryOp::Eq => Ok(Value::Bool(equal(&left, &right))),
        BinaryOp::Ne => Ok(Value::Bool(!equal(&left, &right))),
        BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
            let order = match (&left, &right) {
                (Int(a), Int(b)) => a.cmp(b),
                (Dur(a), Dur(b)) => a.cmp(b),
                (Size(a), Size(b)) => a.cmp(b),
                _ => return Err(mismatch(op, &left, &right)),
            };
            Ok(Value::Bool(match op {
                BinaryOp::Lt => order.is_lt(),
                BinaryOp::Le => order.is_le(),
                BinaryOp::Gt => order.is_gt(),
                _ => order.is_ge(),
            }))
        }
        BinaryOp::Add => match (&left, &right) {
            (Int(a), Int(b)) => a.checked_add(*b).map(Int).ok_or_else(|| overflow("+", &[*a, *b])),
            (Dur(a), Dur(b)) => a.checked_add(*b).map(Dur).ok_or_else(|| "the duration is too long".into()),
            (Size(a), Size(b)) => a.checked_add(*b).map(Size).ok_or_else(too_large),
            (Value::List(_), _) | (_, Value::List(_)) => Err(mismatch(op, &left, &right)),
            (Value::Str(_) | Value::Secret(_), _) | (_, Value::Str(_) | Value::Secret(_)) => {
                let (a, b) = (left.to_text(), right.to_text());
                within_limit(a.len().saturating_add(b.len()))?;
                Ok(Value::Str(a + &b))
            }
            _ => Err(mismatch(op, &left, &right)),
        },
        BinaryOp::Sub => match (&left, &right) {
            (Int(a), Int(b)) => a.checked_sub(*b).map(Int).ok_or_else(|| overflow("-", &[*a, *b])),
            (Dur(a), Dur(b)) => a.checked_sub(*b).map(Dur).ok_or_else(|| below_zero(&left, &right)),
            (Size(a), Size(b)) => a.checked_sub(*b).map(Size).ok_or_else(|| below_zero(&left, &right)),
            _ => Err(mismatch(op, &left, &right)),
        },
        BinaryOp::Mul => match (&left, &right) {
            (Int(a), Int(b)) => a.checked_mul(*b).map(Int).ok_or_else(|| overflow("*", &[*a, *b])),
            (Dur(d), Int(n)) | (Int(n), Dur(d)) => {
                let factor = u32::try_from(*n).map_err(|_| bad_factor("duration", *n))?;
                d.checked_mul(factor).map(Dur).ok_or_else(|| "the duration is too long".into())
            }
            (Size(s), Int(n)) | (Int(n), Size(s)) => {
                let factor = u64::try_from(*n).map_err(|_| bad_factor("size", *n))?;
                s.checked_mul(factor).map(Size).ok_or_else(too_large)
            }
            _ => Err(mismatch(op, &left, &right)),
        },
        BinaryOp::Div => match (&left, &right) {
            (_, Int(0)) | (Size(_), Size(0)) => Err(by_zero(&left)),
            (Dur(_), Dur(d)) if d.is_zero() => Err(by_zero(&left)),
            (Int(a), Int(b)) => a.checked_div(*b).map(Int).ok_or_else(|| overflow("/", &[*a, *b])),
            (Dur(d), Int(n)) => {
                let by = u32::try_from(*n).map_err(|_| bad_factor("duration", *n))?;
                d.checked_div(by).map(Dur).ok_or_else(|| by_zero(&left))
            }
            (Size(s), Int(n)) => {
                let by = u64::try_from(*n).map_err(|_| bad_factor("size", *n))?;
                s.checked_div(by).map(Size).ok_or_else(|| by_zero(&left))
            }
            (Dur(a), Dur(b)) => {
                i64::try_from(a.as_nanos() / b.as_nanos().max(1)).map(Int).map_err(|_| "the result is too large".into())
            }
            (Size(a), Size(b)) => i64::try_from(a / (*b).max(1)).map(Int).map_err(|_| "the result is too large".into()),
            _ => Err(mismatch(op, &left, &right)),
        },
        BinaryOp::Rem => match (&left, &right) {
            (Int(_), Int(0)) => Err(by_zero(&left)),
            (Int(a), Int(b)) => a.checked_rem(*b).map(Int).ok_or_else(|| overflow("%", &[*a, *b])),
            _ => Err(mismatch(op, &left, &right)),
        },
        BinaryOp::And | BinaryOp::Or => Err(mismatch(op, &left, &right)),
    }
}

/// Json is equal to the string, int or bool that it is.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Json(a), Value::Json(b)) => a == b,
        (Value::Json(a), b) | (b, Value::Json(a)) => *a == b.to_json(),
        (a, b) => a == b,
    }
}

fn mismatch(op: BinaryOp, left: &Value, right: &Value) -> String {
    format!("`{}` can't take {} and {}", symbol(op), a_type(&left.type_of()), a_type(&right.type_of()))
}

fn too_large() -> String {
    "the size is too large".into()
}

fn below_zero(left: &Value, right: &Value) -> String {
    format!("{} - {} is less than nothing", left.to_text(), right.to_text())
}

fn by_zero(left: &Value) -> String {
    format!("{} is divided by zero", left.to_text())
}

fn bad_factor(what: &str, n: i64) -> String {
    format!("a {what} can't be taken {n} times")
}

/// An operator as it is written.
pub(super) fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Rem => "%",
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::And => "and",
        BinaryOp::Or => "or",
    }
}
