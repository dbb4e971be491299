//! SARIF 2.1.0, with mends and fingerprints.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::{Checked, Fingerprints, advice, all, range};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::source::{Sources, Span};

/// What can't stand in the path of a URI as it is.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A code's number, that of another program, and what ours says.
type Kind = (u16, Option<String>, &'static Code);

/// Writes all findings.
pub(crate) fn write(checked: &[Checked]) -> String {
    let mut codes: Vec<Kind> = all(checked).map(|(d, _)| (d.code.number, d.foreign.clone(), d.code)).collect();
    codes.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    codes.dedup();
    let mut prints = Fingerprints::default();
    let results: Vec<Value> = all(checked).map(|(d, sources)| result(&d, sources, &codes, &mut prints)).collect();
    let rules: Vec<Value> = codes.iter().map(rule).collect();
    let report = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "vmwbuild",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{report:#}\n")
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    }
}

fn rule((_, foreign, code): &Kind) -> Value {
    let mut help = code.about.to_owned();
    let mut markdown = code.about.to_owned();
    for (title, example) in [("Wrong", code.wrong), ("Right", code.right)] {
        if !example.is_empty() {
            help.push_str(&format!("\n\n{title}:\n\n{example}"));
            markdown.push_str(&format!("\n\n{title}:\n\n```\n{example}```\n"));
        }
    }
    let id = foreign.clone().unwrap_or_else(|| code.to_string());
    json!({
        "id": id,
        "name": code.name,
        "shortDescription": { "text": code.name },
        "fullDescription": { "text": code.about },
        "help": { "text": help, "markdown": markdown },
        "defaultConfiguration": { "level": level(code.severity) },
    })
}

fn result(d: &Diagnostic, sources: &Sources, codes: &[Kind], prints: &mut Fingerprints) -> Value {
    let advice = advice(d);
    let text = if advice.is_empty() { d.message.clone() } else { format!("{}\n{advice}", d.message) };
    let (print, count) = prints.of(d, sources);
    let mut result = Map::new();
    result.insert("ruleId".into(), json!(d.id()));
    let kind = codes.iter().position(|(number, foreign, _)| *number == d.code.number && *foreign == d.foreign);
    result.insert("ruleIndex".into(), json!(kind));
    result.insert("level".into(), json!(level(d.severity)));
    result.insert("message".into(), json!({ "text": text }));
    let locations: Vec<Value> =
        d.primary.iter().map(|l| json!({ "physicalLocation": physical(l.span, sources) })).collect();
    result.insert("locations".into(), Value::Array(locations));
    if !d.secondary.is_empty() {
        let related: Vec<Value> = d
            .secondary
            .iter()
            .enumerate()
            .map(|(i, l)| {
                let mut place = json!({ "id": i, "physicalLocation": physical(l.span, sources) });
                if !l.text.is_empty()
                    && let Some(place) = place.as_object_mut()
                {
                    place.insert("message".into(), json!({ "text": l.text }));
                }
                place
            })
            .collect();
        result.insert("relatedLocations".into(), Value::Array(related));
    }
    // The name under which code scanning looks for it.
    result.insert("partialFingerprints".into(), json!({ "primaryLocationLineHash": format!("{print}:{count}") }));
    if let Some(fix) = &d.fix {
        let mut files: Vec<crate::source::SourceId> = fix.edits.iter().map(|e| e.span.source).collect();
        files.dedup();
        let changes: Vec<Value> = files
            .iter()
            .map(|file| {
                let replacements: Vec<Value> = fix
                    .edits
                    .iter()
                    .filter(|e| e.span.source == *file)
                    .map(|e| {
                        json!({
                            "deletedRegion": region(e.span, sources),
                            "insertedContent": { "text": e.text },
                        })
                    })
                    .collect();
                json!({ "artifactLocation": { "uri": uri(&sources.get(*file).name) }, "replacements": replacements })
            })
            .collect();
        result.insert("fixes".into(), json!([{ "description": { "text": fix.title }, "artifactChanges": changes }]));
    }
    Value::Object(result)
}

fn physical(span: Span, sources: &Sources) -> Value {
    json!({
        "artifactLocation": { "uri": uri(&range(span, sources).file) },
        "region": region(span, sources),
    })
}

fn region(span: Span, sources: &Sources) -> Value {
    let range = range(span, sources);
    json!({
        "startLine": range.start.0,
        "startColumn": range.start.1,
        "endLine": range.end.0,
        "endColumn": range.end.1,
    })
}

/// A path as a URI reference: relative ones stay relative.
fn uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let path = path.strip_prefix("./").unwrap_or(&path);
    let encoded = utf8_percent_encode(path, PATH).to_string();
    if path.starts_with('/') {
        format!("file://{encoded}")
    } else if path.get(1..2) == Some(":") {
        format!("file:///{encoded}")
    } else if encoded.split('/').next().is_some_and(|first| first.contains(':')) {
        // Else the part before the colon would be a scheme.
        format!("./{encoded}")
    } else {
        encoded
    }
}
