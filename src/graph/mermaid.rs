//! The graph as a Mermaid flowchart, as GitHub, GitLab and many wikis draw it.

use std::fmt::Write as _;

use crate::diagnostic::text::shown;

use super::view::{Grain, Kind, Shape, View, shortened};

/// How many characters of a step are shown.
const MAX_LABEL: usize = 48;

/// The graph as a flowchart: a subgraph a machine.
pub fn mermaid(view: &View) -> String {
    let mut out = String::from("flowchart LR\n");
    for (index, lane) in view.lanes.iter().enumerate() {
        let boxes = view.boxes.iter().filter(|b| b.lane == index);
        match view.grain {
            Grain::Machines => {
                for shape in boxes {
                    let title = format!("{}<br/>{}", text(&lane.label), text(&lane.outputs.join(", ")));
                    let _ = writeln!(out, "  {}[\"{title}\"]", shape.id);
                }
            }
            Grain::Steps => {
                let _ = writeln!(out, "  subgraph {}[\"{}\"]", lane.id, text(&lane.title()));
                for shape in boxes {
                    let _ = writeln!(out, "    {}[\"{}\"]", shape.id, text(&shortened(&shape.title, MAX_LABEL)));
                }
                out.push_str("  end\n");
            }
        }
    }
    for arrow in &view.arrows {
        let (Some(from), Some(to)) = (view.boxes.get(arrow.from), view.boxes.get(arrow.to)) else { continue };
        let label = if arrow.reasons.is_empty() { String::new() } else { format!("|\"{}\"|", text(&arrow.label())) };
        let _ = writeln!(out, "  {} -->{label} {}", from.id, to.id);
    }
    out.push_str("  classDef passage fill:#ececec,stroke:#999\n");
    out.push_str("  classDef done fill:#dcebdc,stroke:#7a9a7a\n");
    out.push_str("  classDef critical stroke:#c03028,stroke-width:3px\n");
    class(&mut out, view, "passage", |s| matches!(s.kind, Kind::Clone | Kind::Boot | Kind::Network | Kind::Export));
    class(&mut out, view, "done", |s| s.kind == Kind::Finish);
    class(&mut out, view, "critical", |s| s.critical);
    let critical: Vec<String> =
        view.arrows.iter().enumerate().filter(|(_, a)| a.critical).map(|(i, _)| i.to_string()).collect();
    if !critical.is_empty() {
        let _ = writeln!(out, "  linkStyle {} stroke:#c03028,stroke-width:3px", critical.join(","));
    }
    out
}

fn class(out: &mut String, view: &View, name: &str, which: impl Fn(&Shape) -> bool) {
    let ids: Vec<&str> = view.boxes.iter().filter(|s| which(s)).map(|s| s.id.as_str()).collect();
    if !ids.is_empty() {
        let _ = writeln!(out, "  class {} {name}", ids.join(","));
    }
}

/// Text in quotes. Mermaid reads `#name;` and `#number;`, Markdown and HTML in it: whatever isn't plainly text is
/// written by its number.
fn text(text: &str) -> String {
    let mut out = String::new();
    for c in shown(text).chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | '\\' | '*' | '_' | '~' | '{' | '}' | '[' | ']' | '|' | '$' | ';' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
