//! `{{ name }}` where `${{ name }}` is meant.

use std::collections::HashSet;

use crate::lint::cx::Stage;
use crate::lint::rule::*;
use crate::sema::names::ATTRIBUTES;
use crate::syntax::ast::{ForOver, Piece, Quote};

/// `braces-without-dollar`.
pub static CODE: Code = Code {
    number: 237,
    name: "braces-without-dollar",
    severity: Severity::Warning,
    about: "`{{ name }}` is what templates of other tools write: in a command or a heredoc it stays as it is, and the guest \
            gets the braces. Here `name` is an ARG, a SECRET, a KEY, a loop variable, or a stage with a key, so its value is \
            most likely meant: write `${{ name }}`. What those tools themselves read (`{{ .Name }}`, `{{ json . }}`, and \
            texts with `{% … %}` or with names that this file hasn't) is left alone.",
    wrong: concat!("ARG port: int = 8080\n", "FROM Debian AS web\n", "RUN ufw allow {{ port }}\n",),
    right: concat!("ARG port: int = 8080\n", "FROM Debian AS web\n", "RUN ufw allow ${{ port }}\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

/// `{{ name }}` or `{{ stage.key }}` of what has a value.
pub(super) struct Found<'a> {
    /// With the braces.
    span: Span,
    /// What stands in them, without the spaces.
    pub(super) name: &'a str,
}

/// All of them. Files without such braces are only searched for them.
pub(super) fn found<'a>(cx: &Cx<'a>) -> Vec<Found<'a>> {
    let mut out = Vec::new();
    if !cx.sources.iter().any(|(_, source)| opened(&source.text).next().is_some()) {
        return out;
    }
    let of_all = declared(&cx.globals);
    for instruction in &cx.globals {
        of_instruction(cx, instruction, &|name| of_all.contains(name), &mut out);
    }
    for stage in &cx.stages {
        let own = declared(&stage.lines);
        let known = |name: &str| match name.split_once('.') {
            None => of_all.contains(name) || own.contains(name) || loops_over(stage, name, false),
            Some((first, key)) => {
                loops_over(stage, first, true) || cx.stages.iter().any(|s| s.name == Some(first) && has_key(s, key))
            }
        };
        for instruction in std::iter::once(&stage.from).chain(&stage.lines) {
            of_instruction(cx, instruction, &known, &mut out);
        }
    }
    out
}

/// The names that these lines give to values.
fn declared<'a>(lines: &[&'a Instruction]) -> HashSet<&'a str> {
    let named = |line: &&'a Instruction| match &line.body {
        Body::Arg { name, .. } | Body::Secret { name, .. } | Body::Key { name, .. } => Some(name.node.as_str()),
        _ => None,
    };
    lines.iter().filter_map(named).collect()
}

/// Whether a stage's FOR has this variable, and one with columns, where a field of it is meant.
fn loops_over(stage: &Stage<'_>, name: &str, field: bool) -> bool {
    match &stage.from.body {
        Body::From { replicas: Some(replicas), .. } => {
            replicas.var.node == name && (!field || matches!(replicas.over, ForOver::Csv(_)))
        }
        _ => false,
    }
}

fn has_key(stage: &Stage<'_>, key: &str) -> bool {
    ATTRIBUTES.contains(&key)
        || stage.lines.iter().any(|line| matches!(&line.body, Body::Key { name, .. } if name.node == key))
}

fn of_instruction<'a>(
    cx: &Cx<'a>,
    instruction: &'a Instruction,
    known: &dyn Fn(&str) -> bool,
    out: &mut Vec<Found<'a>>,
) {
    walk::texts(instruction, &mut |text| {
        // In these nothing is put in, whatever is written.
        if instruction.heredocs.iter().any(|h| h.quoted && std::ptr::eq(&h.body, text)) {
            return;
        }
        let before = out.len();
        for piece in &text.pieces {
            let Piece::Literal { span, quote: Quote::Bare | Quote::Double, .. } = piece else { continue };
            let source = cx.sources.slice(*span);
            for (at, name) in opened(source).filter_map(|at| Some((at, named(source.get(at..)?)?))) {
                if !known(name) {
                    // A template of another language, which has names of its own.
                    out.truncate(before);
                    return;
                }
                let start = span.start as usize + at;
                let end = source.get(at..).and_then(|s| s.find("}}")).map_or(start, |end| start + end + 2);
                out.push(Found { span: Span::new(span.source, start, end), name });
            }
            if source.contains("{%") {
                out.truncate(before);
                return;
            }
        }
    });
}

/// Where `{{` stands without a `$` or another brace before it.
fn opened(text: &str) -> impl Iterator<Item = usize> + '_ {
    let alone = |at: &usize| !matches!(text.as_bytes().get(at.wrapping_sub(1)), Some(b'$' | b'{'));
    text.match_indices("{{").map(|(at, _)| at).filter(alone)
}

/// The `name` or `stage.key` of `{{ name }}`, which the text begins with.
fn named(text: &str) -> Option<&str> {
    let (inner, after) = text.strip_prefix("{{")?.split_once("}}")?;
    let name = inner.trim_matches(' ');
    let mut parts = name.split('.');
    let good = parts.by_ref().take(2).all(is_name) && parts.next().is_none();
    (good && !after.starts_with('}')).then_some(name)
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for Found { span, name } in found(cx) {
        let new = format!("${{{{ {name} }}}}");
        let written = cx.sources.slice(span);
        out.push(
            Diagnostic::at(&CODE, span, format!("`{written}` stays as it is: nothing is put in without the `$`"))
                .help(format!("for the value of `{name}` write `{new}`"))
                .replace(format!("write `{new}`"), false, span, new),
        );
    }
}
