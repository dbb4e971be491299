//! Findings for machines: one format a file.

pub(crate) mod concise;
pub(crate) mod github;
pub(crate) mod gitlab;
pub(crate) mod json;
pub(crate) mod sarif;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::diagnostic::{Diagnostic, Severity, blanked, without_secrets};
use crate::source::{Sources, Span};

/// What was found in one VMWfile and those it includes.
pub(crate) struct Checked {
    pub(crate) list: Vec<Diagnostic>,
    pub(crate) sources: Sources,
}

/// Leaves out of later lists what an earlier one has: two files may include the same third.
pub(crate) fn once(checked: &mut [Checked]) {
    let mut seen = std::collections::HashSet::new();
    for one in checked {
        let sources = &one.sources;
        one.list.retain(|d| {
            let Some(label) = &d.primary else { return true };
            let file = sources.get(label.span.source).name.clone();
            seen.insert((file, label.span.start, label.span.end, d.id(), d.message.clone()))
        });
    }
}

/// All findings, in order, with the sources of each; no password that is written in a file is in their words.
fn all(checked: &[Checked]) -> impl Iterator<Item = (Cow<'_, Diagnostic>, &Sources)> {
    checked.iter().flat_map(|c| c.list.iter().map(|d| (without_secrets(d, &c.sources), &c.sources)))
}

/// `error`, `warning`, `advice`.
fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "advice",
    }
}

/// Where a span begins and ends: lines and columns from 1, columns in characters, the end exclusive.
struct Range {
    file: String,
    start: (usize, usize),
    end: (usize, usize),
}

fn range(span: Span, sources: &Sources) -> Range {
    let file = sources.get(span.source);
    // With `/` on every system, and without a needless `./`.
    let name = file.name.replace('\\', "/");
    let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
    Range { file: name, start: file.line_col(span.start), end: file.line_col(span.end) }
}

/// What is to be done, in one text: notes, then help.
fn advice(diagnostic: &Diagnostic) -> String {
    let mut parts: Vec<&str> = diagnostic.notes.iter().map(String::as_str).collect();
    parts.extend(diagnostic.help.as_deref());
    parts.join("\n")
}

/// Names findings so that they are known again when lines move: by code, file and the line's text, and counted
/// where those are the same.
#[derive(Default)]
struct Fingerprints(HashMap<String, usize>);

impl Fingerprints {
    /// The fingerprint, and which of its kind it is, from 1.
    fn of(&mut self, diagnostic: &Diagnostic, sources: &Sources) -> (String, usize) {
        let mut hash = Sha256::new();
        hash.update(diagnostic.id());
        match &diagnostic.primary {
            Some(label) => {
                let place = range(label.span, sources);
                hash.update([0]);
                hash.update(&place.file);
                hash.update([0]);
                let line = sources.get(label.span.source).lines(place.start.0, place.start.0);
                hash.update(blanked(sources, label.span.source, line).trim());
            }
            None => hash.update(&diagnostic.message),
        }
        let text: String = hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect();
        let count = self.0.entry(text.clone()).or_insert(0);
        *count += 1;
        (text, *count)
    }
}
