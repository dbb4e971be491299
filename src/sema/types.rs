//! Types: their names and what goes where.

use crate::syntax::ast::Type;

/// As written: `int`, `list<ip>`.
pub fn type_name(ty: &Type) -> String {
    match ty {
        Type::String => "string".into(),
        Type::Int => "int".into(),
        Type::Bool => "bool".into(),
        Type::Ip => "ip".into(),
        Type::Cidr => "cidr".into(),
        Type::Duration => "duration".into(),
        Type::Size => "size".into(),
        Type::Json => "json".into(),
        Type::Secret => "secret".into(),
        Type::List(of) => format!("list<{}>", type_name(of)),
    }
}

/// Whether values of the type are secrets or hold some.
pub fn holds_secret(ty: &Type) -> bool {
    match ty {
        Type::Secret => true,
        Type::List(of) => holds_secret(of),
        Type::String | Type::Int | Type::Bool | Type::Ip | Type::Cidr | Type::Duration | Type::Size | Type::Json => {
            false
        }
    }
}

/// With the article, for messages: "an int", "a list<ip>", "json".
pub fn a_type(ty: &Type) -> String {
    let name = type_name(ty);
    if *ty == Type::Json {
        return name;
    }
    let article = if matches!(ty, Type::Int | Type::Ip) { "an" } else { "a" };
    format!("{article} {name}")
}

/// Whether values of the type stand in text as they are: everything but lists.
pub fn is_scalar(ty: &Type) -> bool {
    !matches!(ty, Type::List(_))
}

/// The type of what is computed from a secret: its elements, for a list; else a secret.
pub fn tainted(ty: &Type) -> Type {
    match ty {
        Type::List(of) => Type::List(Box::new(tainted(of))),
        _ => Type::Secret,
    }
}
