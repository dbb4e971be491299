//! The graph as DOT, for Graphviz.

use std::fmt::Write as _;

use crate::diagnostic::text;

use super::view::{Arrow, Grain, Kind, Shape, View, shortened};

/// How many characters of a step are shown.
const MAX_LABEL: usize = 48;

/// How the critical path is drawn.
const CRITICAL: &str = "color=\"#c03028\", penwidth=2";

/// The graph in DOT: a cluster a machine, its nodes in their sequence.
pub fn dot(view: &View) -> String {
    let mut out = String::from("digraph vmwbuild {\n");
    out.push_str("  rankdir=LR;\n  compound=true;\n");
    out.push_str(
        "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"Helvetica\", fontsize=11];\n",
    );
    out.push_str("  edge [fontname=\"Helvetica\", fontsize=9];\n");
    for (index, lane) in view.lanes.iter().enumerate() {
        let boxes = view.boxes.iter().filter(|b| b.lane == index);
        match view.grain {
            Grain::Machines => {
                for shape in boxes {
                    let title = format!("{}\n{}", lane.label, lane.outputs.join("\n"));
                    let _ = writeln!(out, "  {} [label={}{}];", shape.id, quoted(&title), style(shape));
                }
            }
            Grain::Steps => {
                let _ = writeln!(out, "  subgraph cluster_{index} {{");
                let _ = writeln!(out, "    label={};", quoted(&lane.title()));
                out.push_str("    style=rounded;\n    color=gray60;\n    fontname=\"Helvetica\";\n");
                for shape in boxes {
                    let title = quoted(&shortened(&shape.title, MAX_LABEL));
                    let _ = writeln!(out, "    {} [label={title}{}];", shape.id, style(shape));
                }
                out.push_str("  }\n");
            }
        }
    }
    for arrow in &view.arrows {
        if let (Some(from), Some(to)) = (view.boxes.get(arrow.from), view.boxes.get(arrow.to)) {
            let _ = writeln!(out, "  {} -> {}{};", from.id, to.id, line(arrow));
        }
    }
    out.push_str("}\n");
    out
}

fn style(shape: &Shape) -> String {
    let fill = match shape.kind {
        Kind::Clone | Kind::Boot | Kind::Network | Kind::Export => ", fillcolor=gray92",
        Kind::Step | Kind::Machine => "",
        Kind::Finish => ", fillcolor=\"#dcebdc\"",
    };
    if shape.critical { format!("{fill}, {CRITICAL}") } else { fill.to_owned() }
}

fn line(arrow: &Arrow) -> String {
    let mut parts: Vec<String> = Vec::new();
    if !arrow.reasons.is_empty() {
        parts.push(format!("label={}", quoted(&arrow.label())));
    }
    if arrow.critical {
        parts.push(CRITICAL.to_owned());
    } else if !arrow.reasons.is_empty() {
        parts.push("color=\"#3060a0\"".to_owned());
    }
    if parts.is_empty() { String::new() } else { format!(" [{}]", parts.join(", ")) }
}

/// A DOT string: only `"` and `\` mean something in it, and line ends are written `\n`.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text::shown(text).chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
