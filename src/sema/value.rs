//! Values of the language.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::syntax::ast::Type;

/// A value. Secrets keep their own variant, so that what is computed from one can't be mistaken for text.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Text.
    Str(String),
    /// A 64-bit integer.
    Int(i64),
    /// A truth value.
    Bool(bool),
    /// An address.
    Ip(IpAddr),
    /// An address with its prefix length (the host part is kept).
    Cidr(IpNet),
    /// A time span.
    Duration(Duration),
    /// Bytes.
    Size(u64),
    /// JSON.
    Json(serde_json::Value),
    /// A list.
    List(Vec<Value>),
    /// A secret's text. Never shown by `Debug`.
    Secret(String),
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Str(v) => write!(f, "Str({v:?})"),
            Value::Int(v) => write!(f, "Int({v})"),
            Value::Bool(v) => write!(f, "Bool({v})"),
            Value::Ip(v) => write!(f, "Ip({v})"),
            Value::Cidr(v) => write!(f, "Cidr({v})"),
            Value::Duration(v) => write!(f, "Duration({v:?})"),
            Value::Size(v) => write!(f, "Size({v})"),
            Value::Json(v) => write!(f, "Json({v})"),
            Value::List(v) => f.debug_tuple("List").field(v).finish(),
            Value::Secret(_) => f.write_str("Secret(…)"),
        }
    }
}

impl Value {
    /// As text: what stands where the value is interpolated. An int is canonical decimal, a json string stands
    /// without its quotes, other json compact, a list as JSON (the check lets none get so far).
    pub fn to_text(&self) -> String {
        match self {
            Value::Str(text) | Value::Secret(text) | Value::Json(serde_json::Value::String(text)) => text.clone(),
            Value::Int(v) => v.to_string(),
            Value::Bool(v) => v.to_string(),
            Value::Ip(v) => v.to_string(),
            Value::Cidr(v) => v.to_string(),
            Value::Duration(v) => format_duration(*v),
            Value::Size(v) => format_size(*v),
            Value::Json(v) => v.to_string(),
            Value::List(_) => self.to_json().to_string(),
        }
    }

    /// The type. An empty list is a `list<string>`.
    pub fn type_of(&self) -> Type {
        match self {
            Value::Str(_) => Type::String,
            Value::Int(_) => Type::Int,
            Value::Bool(_) => Type::Bool,
            Value::Ip(_) => Type::Ip,
            Value::Cidr(_) => Type::Cidr,
            Value::Duration(_) => Type::Duration,
            Value::Size(_) => Type::Size,
            Value::Json(_) => Type::Json,
            Value::List(items) => Type::List(Box::new(items.first().map_or(Type::String, Value::type_of))),
            Value::Secret(_) => Type::Secret,
        }
    }

    /// As JSON: ints, bools, lists and json as such, everything else its text.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Int(v) => (*v).into(),
            Value::Bool(v) => (*v).into(),
            Value::Json(v) => v.clone(),
            Value::List(items) => items.iter().map(Value::to_json).collect(),
            Value::Str(_) | Value::Ip(_) | Value::Cidr(_) | Value::Duration(_) | Value::Size(_) | Value::Secret(_) => {
                self.to_text().into()
            }
        }
    }

    /// The same, as a secret: its text, or for a list each element.
    pub fn into_secret(self) -> Value {
        match self {
            Value::Secret(text) => Value::Secret(text),
            Value::List(items) => Value::List(items.into_iter().map(Value::into_secret).collect()),
            other => Value::Secret(other.to_text()),
        }
    }

    /// Calls `f` with every secret's text in the value.
    pub fn secrets(&self, f: &mut dyn FnMut(&str)) {
        match self {
            Value::Secret(text) => f(text),
            Value::List(items) => items.iter().for_each(|v| v.secrets(f)),
            Value::Str(_)
            | Value::Int(_)
            | Value::Bool(_)
            | Value::Ip(_)
            | Value::Cidr(_)
            | Value::Duration(_)
            | Value::Size(_)
            | Value::Json(_) => {}
        }
    }
}

/// `1h30m`, `1m30s`, `250ms`, `0s`: hours, minutes, seconds and milliseconds, the largest first.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let mut out = String::new();
    for (amount, unit) in [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(duration.subsec_millis()), "ms"),
    ] {
        if amount > 0 {
            out.push_str(&format!("{amount}{unit}"));
        }
    }
    if out.is_empty() { "0s".into() } else { out }
}

/// `512MiB`: in the largest unit that takes it whole.
pub fn format_size(bytes: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes > 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}
