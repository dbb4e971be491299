//! Every machine with its steps and what they printed.

use std::fmt::Write as _;

use super::super::record::{MachineRecord, Output, Record, StepRecord};
use super::super::text::span as time;
use super::esc;
use crate::engine::event::{Later, MachineResult, Outcome, Stream};

/// The section.
pub(super) fn write(out: &mut String, record: &Record) {
    out.push_str("<section>\n<h2>Machines</h2>\n");
    let few = record.machines.len() <= 4;
    for machine in &record.machines {
        one(out, machine, few);
    }
    out.push_str("</section>\n");
}

fn one(out: &mut String, machine: &MachineRecord, few: bool) {
    let (mark, said) = match &machine.result {
        Some(MachineResult::Built { what, later }) => ("ok", left(what, later)),
        Some(MachineResult::Ran(what)) => ("ok", format!("its steps were run on {what}")),
        Some(MachineResult::Cached(what)) => ("ok", format!("CACHED: {what}")),
        Some(MachineResult::Failed(why)) => ("bad", why.clone()),
        Some(MachineResult::Cancelled) => ("soft", "cancelled".to_owned()),
        None => ("soft", "not finished".to_owned()),
    };
    let open = if few || mark == "bad" { " open" } else { "" };
    let took = if machine.elapsed.is_zero() { String::new() } else { time(machine.elapsed) };
    let _ = writeln!(
        out,
        "<details class=\"machine\"{open}>\n<summary><i class=\"mark {mark}\"></i><b>{}</b>\
         <span class=\"said\">{}</span><span class=\"time\">{took}</span></summary>\n<ol class=\"steps\">",
        esc(&machine.info.label),
        esc(&said)
    );
    for (index, (step, info)) in machine.steps.iter().zip(&machine.info.steps).enumerate() {
        let head = head(index, step, info.note.as_deref(), &info.text);
        let failed = matches!(step.outcome, Some(Outcome::Failed(_)));
        if step.output.is_empty() {
            let _ = writeln!(out, "<li><div class=\"head\">{head}</div></li>");
        } else {
            let open = if failed { " open" } else { "" };
            let _ = write!(out, "<li><details{open}><summary class=\"head\">{head}</summary>\n<pre class=\"output\">");
            output(out, &step.output);
            out.push_str("</pre></details></li>\n");
        }
    }
    out.push_str("</ol>\n</details>\n");
}

/// What a machine that is built has left, at the build's end.
fn left(what: &[String], later: &[Later]) -> String {
    let open = later.iter().map(|l| format!("{} (not published)", l.what));
    let all: Vec<String> = what.iter().cloned().chain(open).collect();
    if all.is_empty() { "nothing that stays".to_owned() } else { all.join(", ") }
}

/// A step's line: mark, number, note and text, how it ended, how long it took.
fn head(index: usize, step: &StepRecord, note: Option<&str>, text: &str) -> String {
    let (mark, said) = match (&step.outcome, step.started) {
        (Some(Outcome::Done), _) => ("ok", String::new()),
        (Some(Outcome::Cached), _) => ("ok", "CACHED".to_owned()),
        (Some(Outcome::Skipped(why)), _) => ("soft", format!("skipped: {why}")),
        (Some(Outcome::Allowed(why)), _) => ("soft", format!("failed, allowed: {why}")),
        (Some(Outcome::Failed(why)), _) => ("bad", why.clone()),
        (None, Some(_)) => ("soft", "not finished".to_owned()),
        (None, None) => ("idle", "not run".to_owned()),
    };
    let note = note.map_or_else(String::new, |note| format!("<span class=\"note\">{}</span>", esc(note)));
    let said = if said.is_empty() { said } else { format!("<span class=\"said {mark}\">{}</span>", esc(&said)) };
    let tries = if step.attempts > 1 {
        format!("<span class=\"said\">{} attempts</span>", step.attempts)
    } else {
        String::new()
    };
    let took = step.elapsed.map_or_else(String::new, time);
    format!(
        "<i class=\"mark {mark}\"></i><span class=\"number\">{}</span><span class=\"text\">{note}<code>{}</code>{said}{tries}</span>\
         <span class=\"time\">{took}</span>",
        index + 1,
        esc(text)
    )
}

fn output(out: &mut String, output: &Output) {
    output.head.iter().for_each(|(stream, text)| line(out, *stream, text));
    if output.omitted > 0 {
        let _ = writeln!(out, "<span class=\"gap\">… {} lines are left out …</span>", output.omitted);
    }
    output.tail.iter().for_each(|(stream, text)| line(out, *stream, text));
}

fn line(out: &mut String, stream: Stream, text: &str) {
    let text = esc(text);
    let _ = match stream {
        Stream::Out => writeln!(out, "{text}"),
        Stream::Err => writeln!(out, "<span class=\"err\">{text}</span>"),
    };
}
