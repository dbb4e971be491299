//! Guest commands: shell text, exec arrays, scripts.

use super::ast::{Command, Piece, Quote, Text};
use super::codes;
use super::cx::{Cx, Node};
use super::expr;
use super::grammar::Rule;
use super::lines::Marker;
use super::words::{self, Mode};
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// A command, from the pair that the grammar's `command` gave.
pub(super) fn command(cx: &mut Cx<'_>, node: Node<'_>, markers: &[Marker]) -> Command {
    match node.as_rule() {
        Rule::array => Command::Exec(array(cx, node)),
        Rule::array_quotes => Command::Exec(array_quotes(cx, node)),
        Rule::array_open => {
            let span = cx.at(&node);
            let open = Span { end: span.start + 1, ..span };
            cx.push(
                Diagnostic::at(&codes::EXEC_ARRAY, open, "this array can't be read")
                    .primary(open, "opened here")
                    .help("write `[\"exe\", \"arg\"]`: strings in double quotes, commas between, nothing after it"),
            );
            let text = cx.slice(span).to_owned();
            Command::Exec(vec![Text { span, pieces: vec![Piece::Literal { span, text, quote: Quote::Double }] }])
        }
        _ => shell(cx, node, markers),
    }
}

/// The strings of `["exe", "arg"]`.
pub(super) fn array(cx: &mut Cx<'_>, node: Node<'_>) -> Vec<Text> {
    let span = cx.at(&node);
    let items: Vec<Text> = node.into_inner().map(|n| words::text(cx, n, Mode::Array)).collect();
    if items.is_empty() {
        cx.push(Diagnostic::at(&codes::EXEC_ARRAY, span, "the array is empty").help("write `[\"exe\", \"arg\"]`"));
    }
    items
}

/// The same, with some strings in single quotes.
pub(super) fn array_quotes(cx: &mut Cx<'_>, node: Node<'_>) -> Vec<Text> {
    let mut edits = Vec::new();
    let mut first = None;
    let mut items = Vec::new();
    for part in node.into_inner() {
        let span = cx.at(&part);
        if part.as_rule() == Rule::sq {
            first.get_or_insert(span);
            let written = cx.slice(span);
            let inner = written.strip_prefix('\'').unwrap_or(written);
            let inner = inner.strip_suffix('\'').unwrap_or(inner);
            edits.push(crate::diagnostic::Edit { span, text: expr::quote(inner, cx.escape) });
        }
        items.push(words::text(cx, part, Mode::Array));
    }
    if let Some(first) = first {
        cx.push(
            Diagnostic::at(&codes::EXEC_ARRAY, first, "an array's strings stand in double quotes")
                .help("write `[\"exe\", \"arg\"]`; without quotes of this kind it would be a shell's `[ … ]`")
                .fix("use double quotes", true, edits),
        );
    }
    items
}

fn shell(cx: &mut Cx<'_>, node: Node<'_>, markers: &[Marker]) -> Command {
    let span = cx.at(&node);
    let mut pieces = Vec::new();
    for part in node.into_inner() {
        let place = cx.at(&part);
        match part.as_rule() {
            Rule::escaped => pieces.push(Piece::Escaped { span: place, quote: Quote::Bare }),
            Rule::hole => {
                let expr = expr::hole(cx, part);
                pieces.push(Piece::Hole { span: place, quote: Quote::Bare, expr });
            }
            Rule::shell_join => {
                let end = part.into_inner().next().map_or(place, |n| cx.at(&n));
                words::literal(&mut pieces, end, "\\\n".to_owned(), Quote::Bare);
            }
            _ => words::literal(&mut pieces, place, cx.slice(place).to_owned(), Quote::Bare),
        }
    }
    let text = Text { span, pieces };
    if let [first, ..] = markers
        && first.range.start == span.start as usize
    {
        return script(cx, text, markers, first);
    }
    Command::Shell(text)
}

/// Shell text that begins with a heredoc's marker: a script if that is all.
fn script(cx: &mut Cx<'_>, text: Text, markers: &[Marker], first: &Marker) -> Command {
    let tail = cx.span(first.range.end, text.span.end as usize);
    let written = cx.slice(tail).trim();
    if written.is_empty() {
        return Command::Script;
    }
    let name = cx.work_at(first.name.start, first.name.end);
    if written.starts_with('#') {
        cx.push(
            Diagnostic::at(&codes::SCRIPT_TAIL, tail, "nothing stands beside a script's heredoc, no comment either")
                .primary(tail, "not a part of the script")
                .help("put the comment on the line above")
                .replace("take it away", true, tail, ""),
        );
        return Command::Script;
    }
    if markers.len() > 1 && markers.iter().all(|m| cx.work_at(m.range.start, m.range.end).len() <= written.len() + 64) {
        let only_markers = {
            let mut rest = cx.work_at(first.range.end, text.span.end as usize).to_owned();
            for marker in markers.iter().skip(1) {
                rest = rest.replacen(cx.work_at(marker.range.start, marker.range.end), "", 1);
            }
            rest.trim().is_empty()
        };
        if only_markers {
            cx.push(
                Diagnostic::at(&codes::SCRIPT_TAIL, tail, "a script is one heredoc")
                    .help(format!("write one RUN for each, or join the bodies in `{name}`")),
            );
        }
    }
    Command::Shell(text)
}
