//! Our own JSON, described by `docs/schemas/lint.json`.

use serde_json::{Value, json};

use super::{Checked, all, range, severity};
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Sources, Span};

/// Writes all findings.
pub(crate) fn write(checked: &[Checked]) -> String {
    let list: Vec<Value> = all(checked).map(|(d, sources)| finding(&d, sources)).collect();
    let number = |s: Severity| -> usize { all(checked).filter(|(d, _)| d.severity == s).map(|(d, _)| d.count).sum() };
    let report = json!({
        "version": 1,
        "tool": { "name": "vmwbuild", "version": env!("CARGO_PKG_VERSION") },
        "summary": {
            "errors": number(Severity::Error),
            "warnings": number(Severity::Warning),
            "advice": number(Severity::Advice),
        },
        "findings": list,
    });
    format!("{report:#}\n")
}

/// One finding.
pub(crate) fn finding(d: &Diagnostic, sources: &Sources) -> Value {
    let related: Vec<Value> =
        d.secondary.iter().map(|l| json!({ "place": place(l.span, sources), "text": l.text })).collect();
    let fix = d.fix.as_ref().map(|fix| {
        let edits: Vec<Value> =
            fix.edits.iter().map(|e| json!({ "place": place(e.span, sources), "text": e.text })).collect();
        json!({ "title": fix.title, "safe": fix.safe, "edits": edits })
    });
    json!({
        "code": d.id(),
        "name": d.code.name,
        "severity": severity(d.severity),
        "message": d.message,
        "place": d.primary.as_ref().map(|l| place(l.span, sources)),
        "label": d.primary.as_ref().map(|l| l.text.as_str()).filter(|t| !t.is_empty()),
        "related": related,
        "notes": d.notes,
        "help": d.help,
        "fix": fix,
    })
}

fn place(span: Span, sources: &Sources) -> Value {
    let range = range(span, sources);
    json!({
        "file": range.file,
        "start": { "line": range.start.0, "column": range.start.1, "offset": span.start },
        "end": { "line": range.end.0, "column": range.end.1, "offset": span.end },
    })
}
