//! The graph as JSON, described by `docs/schemas/graph.json`.

use serde_json::{Value, json};

use super::view::{Arrow, Grain, View};
use crate::source::{Sources, Span};

/// The graph as JSON, with the places in the files.
pub fn json(view: &View, sources: &Sources) -> String {
    let id = |index: usize| view.boxes.get(index).map(|b| b.id.as_str()).unwrap_or_default();
    let machines: Vec<Value> = view
        .lanes
        .iter()
        .map(|l| json!({ "id": l.id, "label": l.label, "stage": l.stage, "outputs": l.outputs }))
        .collect();
    let nodes: Vec<Value> = view
        .boxes
        .iter()
        .map(|b| {
            json!({
                "id": b.id,
                "machine": view.lanes.get(b.lane).map(|l| l.id.as_str()),
                "kind": b.kind.name(),
                "title": b.title,
                "rank": b.rank,
                "critical": b.critical,
                "place": place(b.span, sources),
            })
        })
        .collect();
    let reasons = |arrow: &Arrow| -> Vec<Value> {
        let one = |r: &super::view::Reason| match &r.name {
            Some(name) => json!({ "kind": r.kind, "name": name }),
            None => json!({ "kind": r.kind }),
        };
        arrow.reasons.iter().map(one).collect()
    };
    let edges: Vec<Value> = view
        .arrows
        .iter()
        .map(|a| {
            json!({
                "from": id(a.from),
                "to": id(a.to),
                "reasons": reasons(a),
                "critical": a.critical,
                "place": place(a.span, sources),
            })
        })
        .collect();
    let document = json!({
        "version": 1,
        "tool": { "name": "vmwbuild", "version": env!("CARGO_PKG_VERSION") },
        "grain": match view.grain { Grain::Steps => "steps", Grain::Machines => "machines" },
        "critical_path": { "measure": "steps", "length": view.length },
        "machines": machines,
        "nodes": nodes,
        "edges": edges,
    });
    // Strings and numbers can always be written.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// File, line and column of a span's start.
fn place(span: Span, sources: &Sources) -> Value {
    let file = sources.get(span.source);
    let (line, column) = file.line_col(span.start);
    json!({ "file": file.name, "line": line, "column": column })
}
