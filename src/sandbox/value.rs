//! Property values with their types, so that any path into them can be answered with an `xsi:type`.

use crate::vsphere::wire::{Any, Element, Moref, Value};

/// A value of a property, or of a field of one.
#[derive(Clone, Debug)]
pub(super) enum Val {
    /// Known to the schema, but without a value.
    Unset,
    /// A simple value: its type, and its text.
    Leaf(&'static str, String),
    /// A reference to a managed object.
    Ref(Moref),
    /// A data object. `derived` when its type is not the declared one and must be stated.
    Object { kind: &'static str, derived: bool, fields: Vec<(&'static str, Val)> },
    /// A list, with the declared type of its items.
    List(&'static str, Vec<Val>),
    /// An element that is passed through, with its declared type.
    Whole(&'static str, Element),
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    /// A value.
    Value(Any),
    /// A property that has no value at present.
    Unset,
    /// No such property.
    Unknown,
}

pub(super) fn text(value: impl Into<String>) -> Val {
    Val::Leaf("string", value.into())
}

pub(super) fn int(value: i32) -> Val {
    Val::Leaf("int", value.to_string())
}

pub(super) fn long(value: i64) -> Val {
    Val::Leaf("long", value.to_string())
}

pub(super) fn boolean(value: bool) -> Val {
    Val::Leaf("boolean", value.to_string())
}

pub(super) fn word(kind: &'static str, value: impl Into<String>) -> Val {
    Val::Leaf(kind, value.into())
}

pub(super) fn date(value: impl Into<String>) -> Val {
    Val::Leaf("dateTime", value.into())
}

pub(super) fn reference(value: &Moref) -> Val {
    Val::Ref(value.clone())
}

pub(super) fn references<'a>(values: impl IntoIterator<Item = &'a Moref>) -> Val {
    Val::List("ManagedObjectReference", values.into_iter().map(reference).collect())
}

pub(super) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Val {
    Val::List("string", values.into_iter().map(text).collect())
}

pub(super) fn object(kind: &'static str, fields: Vec<(&'static str, Val)>) -> Val {
    Val::Object { kind, derived: false, fields }
}

/// A data object of a type derived from the declared one.
pub(super) fn derived(kind: &'static str, fields: Vec<(&'static str, Val)>) -> Val {
    Val::Object { kind, derived: true, fields }
}

/// A value of a type that the wire has.
pub(super) fn whole<T: Value>(value: &T) -> Val {
    Val::Whole(T::TYPE, value.to_element("val"))
}

pub(super) fn maybe<T>(value: Option<T>, make: impl FnOnce(T) -> Val) -> Val {
    value.map_or(Val::Unset, make)
}

impl Val {
    /// Follows a path of field names; `list[key]` picks the item with that `key`.
    pub(super) fn at(&self, path: &str) -> Found {
        let Some((name, rest)) = split(path) else { return self.found() };
        match self {
            Val::Object { fields, .. } => match fields.iter().find(|(n, _)| *n == name) {
                Some((_, value)) => value.at(rest),
                None => Found::Unknown,
            },
            // What lies beneath an unset value can't be told from what doesn't exist.
            Val::Unset => Found::Unset,
            Val::Whole(_, element) => at_element(element, path),
            Val::List(_, items) => match name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
                Some(key) => {
                    let key = key.trim_matches('"');
                    let item = items.iter().find(|item| item.field_text("key").as_deref() == Some(key));
                    item.map_or(Found::Unset, |item| item.at(rest))
                }
                None => Found::Unknown,
            },
            Val::Leaf(..) | Val::Ref(_) => Found::Unknown,
        }
    }

    fn field_text(&self, name: &str) -> Option<String> {
        match self {
            Val::Object { fields, .. } => fields.iter().find(|(n, _)| *n == name).and_then(|(_, v)| match v {
                Val::Leaf(_, text) => Some(text.clone()),
                _ => None,
            }),
            Val::Whole(_, element) => element.child_text(name).map(str::to_owned),
            _ => None,
        }
    }

    /// The value with its type.
    fn found(&self) -> Found {
        match self.any() {
            Some(any) => Found::Value(any),
            None => Found::Unset,
        }
    }

    /// The value as one of any type; none when it is unset.
    pub(super) fn any(&self) -> Option<Any> {
        let element = match self {
            Val::Unset => return None,
            Val::List(kind, items) => {
                let mut array = Element::new("val").typed(format!("ArrayOf{}", capital(kind)));
                for item in items {
                    item.write(kind, &mut array);
                }
                array
            }
            Val::Leaf(kind, text) => Element::text("val", text).typed(*kind),
            Val::Ref(moref) => moref.to_element("val").typed(Moref::TYPE),
            Val::Object { kind, .. } => self.element("val").typed(*kind),
            Val::Whole(kind, element) => match element.xsi_type {
                Some(_) => element.clone().named("val"),
                None => element.clone().named("val").typed(*kind),
            },
        };
        Some(Any(element))
    }

    /// The field at a path, if it is there.
    pub(super) fn inner(&self, path: &str) -> Option<&Val> {
        let Some((name, rest)) = split(path) else { return Some(self) };
        match self {
            Val::Object { fields, .. } => fields.iter().find(|(n, _)| *n == name)?.1.inner(rest),
            _ => None,
        }
    }

    /// The objects that it refers to.
    pub(super) fn targets(&self) -> Vec<Moref> {
        match self {
            Val::Ref(moref) => vec![moref.clone()],
            Val::List(_, items) => items.iter().flat_map(Val::targets).collect(),
            _ => Vec::new(),
        }
    }

    fn element(&self, name: &str) -> Element {
        match self {
            Val::Leaf(_, text) => Element::text(name, text),
            Val::Ref(moref) => moref.to_element(name),
            Val::Whole(_, element) => element.clone().named(name),
            Val::Object { kind, derived, fields } => {
                let mut element = Element::new(name);
                for (field, value) in fields {
                    value.write(field, &mut element);
                }
                if *derived { element.typed(*kind) } else { element }
            }
            Val::Unset | Val::List(..) => Element::new(name),
        }
    }

    fn write(&self, name: &str, parent: &mut Element) {
        match self {
            Val::Unset => {}
            Val::List(_, items) => parent.children.extend(items.iter().map(|item| item.element(name))),
            other => parent.children.push(other.element(name)),
        }
    }
}

/// The first step of a path, and the rest; none at its end.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.is_empty() {
        return None;
    }
    if path.starts_with('[') {
        let end = path.find(']').map_or(path.len(), |at| at + 1);
        let (name, rest) = path.split_at(end);
        return Some((name, rest.trim_start_matches('.')));
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (name, rest) = path.split_at(end);
    Some((name, rest.strip_prefix('.').unwrap_or(rest)))
}

fn at_element(element: &Element, path: &str) -> Found {
    let Some((name, rest)) = split(path) else { return Found::Value(Any(element.clone().named("val"))) };
    match element.child(name) {
        Some(child) if rest.is_empty() => {
            let kind = match (&child.xsi_type, child.attribute("type")) {
                (Some(kind), _) => kind.clone(),
                (None, Some(_)) => Moref::TYPE.to_owned(),
                (None, None) => "string".to_owned(),
            };
            Found::Value(Any(child.clone().named("val").typed(kind)))
        }
        Some(child) => at_element(child, rest),
        None => Found::Unset,
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
