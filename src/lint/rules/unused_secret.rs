//! SECRETs that nothing uses.

use super::braces_without_dollar;
use crate::diagnostic::did_you_mean;
use crate::lint::rule::*;
use crate::syntax::ast::ExprKind;
use std::collections::HashSet;

/// `unused-secret`.
pub static CODE: Code = Code {
    number: 233,
    name: "unused-secret",
    severity: Severity::Warning,
    about: "A SECRET is declared and never used. A build still asks for its value, or makes one that goes \
            nowhere. Take it out.",
    wrong: concat!("SECRET token\n", "FROM Debian AS web\n",),
    right: concat!("SECRET password\n", "LOGIN root PASSWORD ${{ password }}\n", "FROM Debian AS web\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

/// Every name in an expression. A file that COPY --render reads may use any: then all count as used.
pub(super) fn named<'a>(cx: &Cx<'a>) -> HashSet<&'a str> {
    let mut named: HashSet<&str> = HashSet::new();
    for instruction in cx.instructions() {
        walk::exprs(instruction, &mut |expr| {
            match &expr.kind {
                ExprKind::Name(name) => {
                    named.insert(name);
                }
                // `$name` and `{{ .name }}` are told as errors: whoever wrote them uses the name.
                ExprKind::Bad => named.extend(words(cx.sources.slice(expr.span))),
                _ => {}
            }
        });
    }
    // Here too the name is meant, and told by a lint of its own.
    named.extend(braces_without_dollar::found(cx).into_iter().filter_map(|found| found.name.split('.').next()));
    if cx.instructions().any(|i| i.flag("render").is_some()) {
        named.extend(cx.instructions().filter_map(|i| match &i.body {
            Body::Arg { name, .. } | Body::Secret { name, .. } => Some(name.node.as_str()),
            _ => None,
        }));
    }
    if cx.program.is_none() {
        meant(cx, &mut named);
    }
    named
}

/// Misspelt names that are compared with what is unused: each with each, so there has to be an end.
const MOST_COMPARED: usize = 50;

/// Adds what misspelt names are near to. The check has told of them, and has left no program. Where so much is wrong
/// that nobody could say what is unused, nothing is.
fn meant<'a>(cx: &Cx<'a>, named: &mut HashSet<&'a str>) {
    let (mut unused, mut others) = (Vec::new(), HashSet::new());
    for instruction in cx.instructions() {
        match &instruction.body {
            Body::Arg { name, .. } | Body::Secret { name, .. } if !named.contains(name.node.as_str()) => {
                unused.push(name.node.as_str());
            }
            Body::Arg { name, .. } | Body::Secret { name, .. } | Body::Key { name, .. } => {
                others.insert(name.node.as_str());
            }
            Body::From { alias, replicas, .. } => {
                others.extend(alias.iter().map(|alias| alias.node.as_str()));
                others.extend(replicas.iter().map(|replicas| replicas.var.node.as_str()));
            }
            _ => {}
        }
    }
    let unknown: Vec<&str> = named.difference(&others).copied().collect();
    if unknown.len() > MOST_COMPARED {
        named.extend(unused);
        return;
    }
    named.extend(unknown.into_iter().filter_map(|name| did_you_mean(name, unused.iter().copied())));
}

/// The names in a text that is no expression.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn check(cx: &Cx<'_>, out: &mut Problems) {
    if cx.stages.is_empty() {
        // A part that other files include.
        return;
    }
    let named = named(cx);
    for instruction in cx.instructions() {
        let Body::Secret { name, .. } = &instruction.body else { continue };
        if !named.contains(name.node.as_str()) {
            let message = format!("`{}` is never used, but asked for by every build", name.node);
            out.push(Diagnostic::at(&CODE, name.span, message).help("take it out"));
        }
    }
}
