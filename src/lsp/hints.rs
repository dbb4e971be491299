//! What isn't written but known: the types of keys and ARGs, and what a step waits for.

use std::collections::BTreeMap;

use gen_lsp_types::{InlayHint, InlayHintKind, Label, Range};

use super::index::Kind;
use super::server::Asked;
use crate::sema::order::{Node, Why, attr_name, edges};
use crate::source::Span;

/// How many things that a step waits for are named.
const MOST: usize = 3;

pub(super) fn hints(asked: &Asked<'_>, range: Range) -> Option<Vec<InlayHint>> {
    let mut found: BTreeMap<u32, (String, InlayHintKind)> = BTreeMap::new();
    for definition in &asked.analysis.index.definitions {
        if definition.typed || definition.span.source != asked.id {
            continue;
        }
        if let (Some(ty), Kind::Key | Kind::Arg) = (&definition.ty, definition.kind) {
            found.insert(definition.span.end, (format!(": {ty}"), InlayHintKind::Type));
        }
    }
    for (end, waits) in waits(asked) {
        let shown = waits.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
        let more = if waits.len() > MOST { ", …" } else { "" };
        found.insert(end, (format!("  waits for {shown}{more}"), InlayHintKind::Parameter));
    }
    let (start, end) = (asked.offset(range.start), asked.offset(range.end));
    let hints = found.into_iter().filter(|(at, _)| (start..=end).contains(at)).map(|(at, (text, kind))| InlayHint {
        position: asked.encoding.position(asked.source(), at),
        label: Label::String(text),
        kind: Some(kind),
        text_edits: None,
        tooltip: None,
        padding_left: None,
        padding_right: None,
        data: None,
    });
    Some(hints.collect())
}

/// What the steps of the file wait for, by the end of each one's first line.
fn waits(asked: &Asked<'_>) -> BTreeMap<u32, Vec<String>> {
    let mut out: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let Some(program) = &asked.analysis.program else { return out };
    for edge in edges(program) {
        let (Node::Step(id), false) = (edge.to, edge.why == Why::Sequence) else { continue };
        let step = program.step(id);
        if step.span.source != asked.id {
            continue;
        }
        let stage = program.machines.get(edge.from.machine().0 as usize).map(|m| m.stage);
        let stage = stage.and_then(|s| program.stages.get(s.0 as usize)?.name.clone());
        let stage = stage.unwrap_or_else(|| "another stage".to_owned());
        let what = match (&edge.why, edge.from) {
            (Why::Key(name), _) => format!("{stage}.{name}"),
            (Why::Attr(attr), _) => format!("{stage}.{}", attr_name(*attr)),
            (Why::Sequence | Why::From, _) => stage,
            (Why::Copy, _) => format!("the files of {stage}"),
            (Why::After, Node::Step(from)) => format!("step {} of {stage}", from.index + 1),
            (Why::After, _) => stage,
        };
        let list = out.entry(end_of_line(asked, step.span)).or_default();
        // Replicas of a stage wait for the same.
        if !list.contains(&what) {
            list.push(what);
        }
    }
    out
}

fn end_of_line(asked: &Asked<'_>, span: Span) -> u32 {
    let line = asked.source().line_at(span.start);
    asked.source().line_start(line) + asked.source().line(line).len() as u32
}
