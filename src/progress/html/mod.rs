//! A build as one page for a browser: nothing is loaded from elsewhere, nothing in it runs. Everything that a file, a
//! server or a guest said goes through [`esc`].

mod graph;
mod machines;
mod timeline;

use std::fmt::Write as _;

use super::json::rfc3339;
use super::record::Record;
use super::text::span;
use super::{Verdict, path};

/// What a report says of a build beside what happened.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What was built: the VMWfile or its directory.
    pub title: String,
    /// Settings without secrets: name and value.
    pub settings: Vec<(String, String)>,
}

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn report(record: &Record, verdict: &Verdict, facts: &Facts) -> String {
    let (mark, word) = match verdict.exit_code {
        0 => ("ok", "Built"),
        130 => ("soft", "Interrupted"),
        _ => ("bad", "Failed"),
    };
    let title = esc(&facts.title);
    let critical = path::critical(record);
    let mut out = String::with_capacity(64 * 1024);
    let _ = writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{word}: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header>\n<p class=\"verdict {mark}\">{word}</p>\n<h1>{title}</h1>\n{}</header>",
        facts_line(record)
    );
    failures(&mut out, verdict);
    built(&mut out, record);
    if !record.machines.is_empty() {
        graph::write(&mut out, record, &critical);
        timeline::write(&mut out, record, &critical);
        machines::write(&mut out, record);
    }
    keys(&mut out, record);
    notes(&mut out, record, verdict);
    environment(&mut out, record, verdict, facts);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// What is said under the title: when, how long, how much.
fn facts_line(record: &Record) -> String {
    let mut facts = Vec::new();
    if let Some(began) = record.began {
        facts.push(esc(&rfc3339(began).replace('T', " ").replace('Z', " UTC")));
    }
    facts.push(format!("took <b>{}</b>", span(record.last)));
    match record.machines.len() {
        0 => {}
        1 => facts.push("1 machine".to_owned()),
        count => facts.push(format!("{count} machines")),
    }
    if let Some((_, _, requests)) = record.finished {
        facts.push(format!("{requests} requests"));
    }
    let items: String = facts.iter().map(|fact| format!("<li>{fact}</li>")).collect();
    format!("<ul class=\"facts\">{items}</ul>\n")
}

fn failures(out: &mut String, verdict: &Verdict) {
    let errors: Vec<_> = verdict.findings.iter().filter(|f| f.severity == "error").collect();
    if errors.is_empty() {
        return;
    }
    out.push_str("<section class=\"failures\">\n<h2>What failed</h2>\n");
    for error in errors {
        let place = match &error.place {
            Some(place) => format!("<span class=\"place\">{}:{}</span>", esc(&place.file), place.line),
            None => String::new(),
        };
        let _ = writeln!(
            out,
            "<article>\n<h3>{}</h3>\n<p class=\"code\">{} {} {place}</p>\n<pre>{}</pre>\n</article>",
            esc(&error.message),
            esc(&error.code),
            esc(error.name),
            esc(excerpt(&error.shown))
        );
    }
    out.push_str("</section>\n");
}

/// A drawn message from the lines of the file on, or from the help where it has no place: what is before stands in the
/// heading.
fn excerpt(shown: &str) -> &str {
    let shown = shown.trim_end();
    let mut at = 0;
    for line in shown.split_inclusive('\n') {
        let text = line.trim_start();
        if text.starts_with('╭') || text.starts_with("help:") {
            return shown.get(at..).unwrap_or_default();
        }
        at += line.len();
    }
    shown
}

fn built(out: &mut String, record: &Record) {
    let made: Vec<_> = record.machines.iter().flat_map(|m| m.made.iter().map(move |made| (m, made))).collect();
    if made.is_empty() {
        return;
    }
    out.push_str(
        "<section>\n<h2>What was built</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>Kind</th><th>Name</th>\
         <th>Address</th><th>Reference</th><th>By</th></tr></thead>\n<tbody>\n",
    );
    for (machine, made) in made {
        let ip = made.ip.as_deref().map_or_else(|| "–".to_owned(), esc);
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td><b>{}</b></td><td>{ip}</td><td class=\"dim\">{}</td><td class=\"dim\">{}</td></tr>",
            esc(made.kind),
            esc(&made.name),
            esc(&made.moref),
            esc(&machine.info.label)
        );
    }
    out.push_str("</tbody></table></div>\n</section>\n");
}

fn keys(out: &mut String, record: &Record) {
    let mut rows = String::new();
    for machine in &record.machines {
        for (name, value) in &machine.keys {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let name = format!("{}.{name}", machine.info.label);
            let _ = writeln!(rows, "<tr><td>{}</td><td><code>{}</code></td></tr>", esc(&name), esc(&text));
        }
    }
    if !rows.is_empty() {
        let head = "<section>\n<h2>Keys</h2>\n<div class=\"wide\"><table class=\"keys\">\n<tbody>\n";
        let _ = writeln!(out, "{head}{rows}</tbody></table></div>\n</section>");
    }
}

/// Notes, retries, cleanup, and what was found that is no error.
fn notes(out: &mut String, record: &Record, verdict: &Verdict) {
    let warnings: Vec<_> = verdict.findings.iter().filter(|f| f.severity != "error").collect();
    if record.notes.is_empty() && warnings.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Noted on the way</h2>\n");
    if !record.notes.is_empty() {
        out.push_str("<div class=\"wide\"><table class=\"notes\">\n<tbody>\n");
    }
    for (at, machine, text) in &record.notes {
        let label = machine.and_then(|id| record.machines.iter().find(|m| m.info.id == id));
        let label = label.map_or_else(String::new, |m| esc(&m.info.label));
        let _ = writeln!(
            out,
            "<tr><td class=\"time\">{}</td><td class=\"dim\">{label}</td><td>{}</td></tr>",
            span(*at),
            esc(text).trim_end().replace('\n', "<br>")
        );
    }
    if !record.notes.is_empty() {
        out.push_str("</tbody></table></div>\n");
    }
    for warning in warnings {
        let _ = writeln!(
            out,
            "<details><summary>{}: {}</summary>\n<pre>{}</pre></details>",
            esc(warning.severity),
            esc(&warning.message),
            esc(warning.shown.trim_end())
        );
    }
    out.push_str("</section>\n");
}

fn environment(out: &mut String, record: &Record, verdict: &Verdict, facts: &Facts) {
    let mut rows = vec![("vmwbuild".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    if !record.build.is_empty() {
        rows.push(("Build".to_owned(), record.build.clone()));
    }
    rows.push(("Exit code".to_owned(), format!("{} ({})", verdict.exit_code, verdict.class())));
    if let Some((server, product, api)) = &record.server {
        rows.push(("vCenter".to_owned(), server.clone()));
        rows.push(("Product".to_owned(), format!("{product}, API {api}")));
    }
    rows.extend(facts.settings.iter().cloned());
    out.push_str("<section>\n<h2>Environment</h2>\n<dl>\n");
    for (name, value) in rows {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", esc(&name), esc(&value));
    }
    out.push_str("</dl>\n</section>\n");
}

/// Text as text: no markup, and nothing that would reorder it.
fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push(char::REPLACEMENT_CHARACTER),
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

/// Text cut to so many characters, before it is escaped.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}
