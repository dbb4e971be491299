//! Names: which are possible, and that each has one meaning.

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::{Span, Spanned};

use super::codes;
use super::program::Attr;

/// Names that the language keeps for itself.
pub const RESERVED: &[&str] = &["build", "self", "true", "false", "and", "or", "not", "if", "else"];

/// What a machine knows of itself.
pub const ATTRIBUTES: &[&str] = &["name", "uuid", "moref", "hostname", "ip"];

/// Attributes of later versions.
pub const LATER_ATTRIBUTES: &[&str] = &["ips", "mac", "host", "os", "folder", "power"];

/// The attribute of that name that only the running build knows (`name` is not one of them).
pub(super) fn attribute(name: &str) -> Option<Attr> {
    match name {
        "uuid" => Some(Attr::Uuid),
        "moref" => Some(Attr::Moref),
        "hostname" => Some(Attr::Hostname),
        "ip" => Some(Attr::Ip),
        _ => None,
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Arg,
    Secret,
    Stage,
    Loop,
    Key,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Kind::Arg => "an ARG",
            Kind::Secret => "a SECRET",
            Kind::Stage => "a stage",
            Kind::Loop => "a loop variable",
            Kind::Key => "a KEY",
        }
    }
}

/// What is declared, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    entries: IndexMap<String, (Kind, Span)>,
}

impl Table {
    /// Takes a name, unless `self` or `outer` have it already. True if it was taken.
    pub fn declare(
        &mut self,
        kind: Kind,
        name: &Spanned<String>,
        outer: Option<&Table>,
        problems: &mut Problems,
    ) -> bool {
        check_name(kind, name, problems);
        let earlier = self.entries.get(&name.node).or_else(|| outer.and_then(|o| o.entries.get(&name.node)));
        if let Some((first, span)) = earlier {
            let mut diagnostic = Diagnostic::at(
                &codes::DUPLICATE_NAME,
                name.span,
                if *first == kind {
                    format!("`{}` is declared twice", name.node)
                } else {
                    format!("`{}` is already the name of {}", name.node, first.text())
                },
            )
            .label(*span, "first declared here");
            if *first != kind {
                diagnostic = diagnostic.help(
                    "stages, ARGs, SECRETs, loop variables and a stage's KEYs share one namespace; choose another name",
                );
            }
            problems.push(diagnostic);
            return false;
        }
        // One that can't be a name is still taken, so that its uses are not reported as well.
        self.entries.insert(name.node.clone(), (kind, name.span));
        true
    }
}

pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn check_name(kind: Kind, name: &Spanned<String>, problems: &mut Problems) {
    let text = name.node.as_str();
    if !is_name(text) {
        return; // the parser has said so
    }
    if RESERVED.contains(&text) {
        problems.push(
            Diagnostic::at(&codes::RESERVED_NAME, name.span, format!("`{text}` is a word of the language"))
                .note(format!("reserved are {}", text_list(RESERVED.iter().copied())))
                .help(if text == "build" { "choose another name, such as `builder`" } else { "choose another name" }),
        );
        return;
    }
    if kind == Kind::Key && (ATTRIBUTES.contains(&text) || LATER_ATTRIBUTES.contains(&text)) {
        problems.push(
            Diagnostic::at(&codes::RESERVED_NAME, name.span, format!("`{text}` is an attribute of every machine"))
                .note(format!(
                    "a KEY can't be called {}",
                    text_list_or(ATTRIBUTES.iter().chain(LATER_ATTRIBUTES).copied())
                ))
                .help(format!("choose another name, such as `my_{text}`")),
        );
    }
}

/// `` `a`, `b` and `c` ``.
pub(super) fn text_list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    joined(items, "and")
}

/// `` `a`, `b` or `c` ``.
pub(super) fn text_list_or<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    joined(items, "or")
}

fn joined<'a>(items: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    let items: Vec<String> = items.into_iter().map(|i| format!("`{i}`")).collect();
    match items.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [start @ .., end] => format!("{} {last} {end}", start.join(", ")),
    }
}
