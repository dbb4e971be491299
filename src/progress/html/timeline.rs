//! Machines over time.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::path::Part;
use super::super::record::{Kind, MachineRecord, Record, Span};
use super::super::text::span as time;
use super::esc;
use crate::engine::event::Outcome;

/// Parts of the critical path that are shorter than this share of the build are counted, not listed.
const SHORT: f64 = 0.01;

/// The section: an axis, a row a machine, the critical path in words.
pub(super) fn write(out: &mut String, record: &Record, critical: &[Part]) {
    let whole = record.last.as_secs_f64().max(0.001);
    out.push_str("<section>\n<h2>Timeline</h2>\n");
    legend(out);
    out.push_str("<div class=\"timeline\">\n<div class=\"axis\"><span></span><div class=\"track\">");
    let step = tick(whole);
    let mut at = 0.0;
    // A mark at the very end would have no place for its number.
    while at <= whole * 0.97 {
        let label = time(Duration::from_secs_f64(at)).replace(".0s", "s");
        let _ = write!(out, "<i style=\"left:{:.3}%\">{label}</i>", at / whole * 100.0);
        at += step;
    }
    out.push_str("</div></div>\n");
    for (index, machine) in record.machines.iter().enumerate() {
        let label = esc(&machine.info.label);
        let _ = write!(out, "<div class=\"row\"><span title=\"{label}\">{label}</span><div class=\"track\">");
        for (place, span) in machine.spans.iter().enumerate() {
            let on_path = critical.iter().any(|p| p.machine == index && p.span == place);
            bar(out, machine, span, record.last, whole, on_path);
        }
        out.push_str("</div></div>\n");
    }
    out.push_str("</div>\n");
    words(out, record, critical, whole);
    out.push_str("</section>\n");
}

fn legend(out: &mut String) {
    out.push_str("<ul class=\"legend\">");
    for (class, word) in [
        ("clone", "clone"),
        ("boot", "boot"),
        ("network", "network"),
        ("step", "step"),
        ("finish", "finish"),
        ("wait", "waiting"),
        ("crit", "critical path"),
    ] {
        let _ = write!(out, "<li><i class=\"{class}\"></i>{word}</li>");
    }
    out.push_str("</ul>\n");
}

fn bar(out: &mut String, machine: &MachineRecord, span: &Span, last: Duration, whole: f64, on_path: bool) {
    let to = span.to.unwrap_or(last);
    let took = to.saturating_sub(span.from);
    let outcome = span.step.and_then(|s| machine.steps.get(s as usize)).map(|s| s.outcome.as_ref());
    if span.kind == Kind::Between && !on_path {
        return;
    }
    let class = match (span.kind, outcome) {
        (Kind::Step, Some(Some(Outcome::Failed(_)))) => "step bad",
        // It was running when the build stopped.
        (Kind::Step, Some(None)) => "step cut",
        (kind, _) => class(kind),
    };
    let crit = if on_path { " crit" } else { "" };
    let number = span.step.map_or_else(String::new, |s| format!("[{}/{}] ", s + 1, machine.steps.len()));
    let title = esc(&format!("{number}{}: {}", span.text, time(took)));
    let (left, width) = (span.from.as_secs_f64() / whole * 100.0, took.as_secs_f64() / whole * 100.0);
    // A name in a bar that is too narrow for it would be noise.
    let name = if width > 8.0 { esc(&span.text) } else { String::new() };
    let _ = write!(
        out,
        "<b class=\"{class}{crit}\" style=\"left:{left:.3}%;width:{width:.3}%\" title=\"{title}\">{name}</b>"
    );
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Wait => "wait",
        Kind::Clone => "clone",
        Kind::Boot => "boot",
        Kind::Network => "network",
        Kind::Step => "step",
        Kind::Between => "between",
        Kind::Export | Kind::Finish => "finish",
    }
}

/// Seconds between marks of the axis: from five to ten of them.
fn tick(whole: f64) -> f64 {
    let nice = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0];
    nice.into_iter().find(|step| whole / step <= 9.0).unwrap_or((whole / 9.0 / 3600.0).ceil() * 3600.0)
}

/// The critical path as a list: what to make quicker.
fn words(out: &mut String, record: &Record, critical: &[Part], whole: f64) {
    if critical.is_empty() {
        return;
    }
    out.push_str(
        "<details class=\"path\" open><summary>Critical path: what the build's time is made of</summary>\n<ol>\n",
    );
    let took = |part: &Part| part.to.saturating_sub(part.from);
    let longest = critical.iter().map(took).max().unwrap_or_default().as_secs_f64().max(0.001);
    let mut short = 0;
    for part in critical {
        let took = took(part);
        if took.as_secs_f64() / whole < SHORT {
            short += 1;
            continue;
        }
        let label = record.machines.get(part.machine).map_or("", |m| m.info.label.as_str());
        let _ = writeln!(
            out,
            "<li><span class=\"who\">{}</span><span class=\"what\">{}</span>\
             <span class=\"share\"><i style=\"width:{:.1}%\"></i></span><span class=\"time\">{}</span></li>",
            esc(label),
            esc(&part.what),
            took.as_secs_f64() / longest * 100.0,
            time(took)
        );
    }
    out.push_str("</ol>\n");
    if short > 0 {
        let parts = if short == 1 { "1 shorter part".to_owned() } else { format!("{short} shorter parts") };
        let _ = writeln!(out, "<p class=\"dim\">and {parts}</p>");
    }
    out.push_str("</details>\n");
}
