//! Values of the language.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

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
    /// As text: what stands where the value is interpolated.
    pub fn to_text(&self) -> String {
        String::new()
    }
}
