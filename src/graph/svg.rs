//! The graph as SVG, drawn by ourselves: no Graphviz needed.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::diagnostic::text::shown;

use super::layout::{Layout, Route, head_lines, layout};
use super::view::{Grain, Kind, View};

/// Room for the line that says what is marked.
const TOP: f64 = 34.0;

const STYLE: &str = "text{font-family:Helvetica,Arial,'Liberation Sans',sans-serif;font-size:11px;fill:#222}\
.small{font-size:9px;fill:#3060a0}.grey{fill:#666;font-size:10px}.name{font-weight:bold;font-size:12px}\
.box{fill:#fff;stroke:#777}.passage{fill:#ececec}.finish{fill:#dcebdc}\
.line{fill:none;stroke:#777}.need{stroke:#3060a0}.box.critical{stroke:#c03028;stroke-width:2}\
.line.critical{stroke:#c03028;stroke-width:2}.small.critical{fill:#c03028}";

/// The graph as SVG: a lane a machine, time to the right.
pub fn svg(view: &View) -> String {
    let drawing = layout(view, TOP);
    let mut out = String::new();
    let (width, height) = (drawing.width.ceil(), drawing.height.ceil());
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\">"
    );
    let _ = writeln!(out, "<title>What a build does, and what waits for what</title>\n<style>{STYLE}</style>");
    for (id, color) in [("a", "#777"), ("n", "#3060a0"), ("c", "#c03028")] {
        let _ = writeln!(
            out,
            "<marker id=\"{id}\" viewBox=\"0 0 8 8\" refX=\"7.5\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
             markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"{color}\"/></marker>"
        );
    }
    let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>");
    let what = if view.length == 1 { "step" } else { "steps" };
    let _ = writeln!(
        out,
        "<path class=\"line critical\" d=\"M12 18h26\"/><text x=\"46\" y=\"22\">critical path: {} {what}, clones and \
         starts counted; {} {}</text>",
        view.length,
        view.lanes.len(),
        if view.lanes.len() == 1 { "machine" } else { "machines" }
    );
    lanes(&mut out, view, &drawing);
    arrows(&mut out, view, &drawing);
    boxes(&mut out, view, &drawing);
    out.push_str("</svg>\n");
    out
}

fn lanes(out: &mut String, view: &View, drawing: &Layout) {
    if view.grain == Grain::Machines {
        return;
    }
    for (index, (lane, row)) in view.lanes.iter().zip(&drawing.rows).enumerate() {
        if index % 2 == 0 {
            let _ = writeln!(
                out,
                "<rect y=\"{:.1}\" width=\"{:.0}\" height=\"{:.1}\" fill=\"#f6f7f9\"/>",
                row.y,
                drawing.width.ceil(),
                row.height
            );
        }
        let [name, outputs] = head_lines(lane);
        let base = row.y + row.height - 22.0;
        let _ = writeln!(
            out,
            "<g><title>{}</title><text class=\"name\" x=\"12\" y=\"{base:.1}\">{}</text>\
             <text class=\"grey\" x=\"12\" y=\"{:.1}\">{}</text></g>",
            text(&lane.title()),
            text(&name),
            base + 13.0,
            text(&outputs)
        );
    }
    let _ = writeln!(
        out,
        "<path d=\"M{0:.1} {TOP}V{1:.1}\" stroke=\"#ddd\"/>",
        drawing.head,
        drawing.rows.last().map_or(TOP, |r| r.y + r.height)
    );
}

fn arrows(out: &mut String, view: &View, drawing: &Layout) {
    let mut written = HashSet::new();
    // The critical ones last, above the others.
    for critical in [false, true] {
        for (arrow, route) in view.arrows.iter().zip(&drawing.routes).filter(|(a, _)| a.critical == critical) {
            let (class, head) = match (critical, arrow.reasons.is_empty()) {
                (true, _) => (" critical", "c"),
                (false, false) => (" need", "n"),
                (false, true) => ("", "a"),
            };
            let _ = writeln!(out, "<path class=\"line{class}\" marker-end=\"url(#{head})\" d=\"{}\"/>", path(route));
            if !arrow.reasons.is_empty() && route.points.len() > 2 {
                let (x, y) = route.label;
                let label = text(&arrow.label());
                // Arrows that share their way share what is written at it.
                if !written.insert((format!("{x:.1} {y:.1}"), label.clone(), critical)) {
                    continue;
                }
                let class = if critical { " critical" } else { "" };
                let _ = writeln!(
                    out,
                    "<text class=\"small{class}\" text-anchor=\"end\" x=\"{x:.1}\" y=\"{y:.1}\">{label}</text>"
                );
            }
        }
    }
}

/// A way along its corners, which are rounded.
fn path(route: &Route) -> String {
    let mut out = String::new();
    let points = &route.points;
    for (index, point) in points.iter().enumerate() {
        let (x, y) = *point;
        let neighbours = index.checked_sub(1).and_then(|i| points.get(i)).zip(points.get(index + 1));
        match neighbours {
            None if index == 0 => {
                let _ = write!(out, "M{x:.1} {y:.1}");
            }
            None => {
                let _ = write!(out, "L{x:.1} {y:.1}");
            }
            Some((before, after)) => {
                let ((ax, ay), (bx, by)) = (toward(*point, *before), toward(*point, *after));
                let _ = write!(out, "L{ax:.1} {ay:.1}Q{x:.1} {y:.1} {bx:.1} {by:.1}");
            }
        }
    }
    out
}

/// A little away from a corner, in the direction of its neighbour.
fn toward(corner: (f64, f64), other: (f64, f64)) -> (f64, f64) {
    let (dx, dy) = (other.0 - corner.0, other.1 - corner.1);
    let length = dx.hypot(dy);
    if length < 0.01 {
        return corner;
    }
    let part = (length / 2.0).min(5.0) / length;
    (corner.0 + dx * part, corner.1 + dy * part)
}

fn boxes(out: &mut String, view: &View, drawing: &Layout) {
    for (shape, placed) in view.boxes.iter().zip(&drawing.boxes) {
        let kind = match shape.kind {
            Kind::Clone | Kind::Boot | Kind::Network | Kind::Export => " passage",
            Kind::Finish => " finish",
            Kind::Step | Kind::Machine => "",
        };
        let critical = if shape.critical { " critical" } else { "" };
        let _ = write!(
            out,
            "<g id=\"{}\"><title>{}</title><rect class=\"box{kind}{critical}\" x=\"{:.1}\" y=\"{:.1}\" \
             width=\"{:.1}\" height=\"{:.1}\" rx=\"5\"/>",
            shape.id,
            text(&shape.title),
            placed.x,
            placed.y,
            placed.width,
            placed.height
        );
        let class = if placed.second.is_some() { " class=\"name\"" } else { "" };
        let (x, y) = (placed.x + 8.0, placed.y + 17.0);
        let _ = write!(out, "<text{class} x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", text(&placed.title));
        if let Some(second) = &placed.second {
            let _ = write!(out, "<text class=\"grey\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>", y + 14.0, text(second));
        }
        out.push_str("</g>\n");
    }
}

/// Text as XML takes it: control characters can't stand in it at all.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in shown(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
