//! Diagnostics as the protocol has them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gen_lsp_types::{
    Code, CodeDescription, Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag, Location,
    Message, Range,
};

use super::analysis::Analysis;
use super::documents::Documents;
use super::position::Encoding;
use crate::diagnostic::{self, Severity};

/// Where the page of a code is, for those who have the documentation on the web.
fn link(code: &diagnostic::Code, base: Option<&str>) -> Option<CodeDescription> {
    let base = base?;
    Some(CodeDescription { href: format!("{base}#{}", code.to_string().to_lowercase()).into() })
}

/// What was found, by file.
pub(super) fn by_file(
    analysis: &Analysis,
    documents: &Documents,
    encoding: Encoding,
    base: Option<&str>,
) -> BTreeMap<PathBuf, Vec<Diagnostic>> {
    let mut out: BTreeMap<PathBuf, Vec<Diagnostic>> = BTreeMap::new();
    let main = analysis.files.first().map(|(id, _)| *id);
    for (id, _) in &analysis.files {
        if let Some(path) = analysis.path(*id) {
            out.entry(path).or_default();
        }
    }
    for found in &analysis.found {
        let id = found.primary.as_ref().map(|l| l.span.source).or(main);
        // What stands in a file that is no VMWfile (a CSV, a rendered file) is shown there too.
        if let Some(path) = id.and_then(|id| analysis.path(id)) {
            out.entry(path).or_default().push(one(found, analysis, documents, encoding, base));
        }
    }
    out
}

/// One finding.
pub(super) fn one(
    found: &diagnostic::Diagnostic,
    analysis: &Analysis,
    documents: &Documents,
    encoding: Encoding,
    base: Option<&str>,
) -> Diagnostic {
    let range = |span| encoding.range(&analysis.sources, span);
    let related = found.secondary.iter().filter_map(|label| {
        let uri = documents.uri(&analysis.path(label.span.source)?);
        let message = if label.text.is_empty() { "here".to_owned() } else { label.text.clone() };
        Some(DiagnosticRelatedInformation { location: Location { uri, range: range(label.span) }, message })
    });
    let mut message = found.message.clone();
    if let Some(label) = found.primary.as_ref().filter(|l| !l.text.is_empty()) {
        message.push_str(&format!(": {}", label.text));
    }
    for note in &found.notes {
        message.push_str(&format!("\n{note}"));
    }
    if let Some(help) = &found.help {
        message.push_str(&format!("\nhelp: {help}"));
    }
    let related: Vec<DiagnosticRelatedInformation> = related.collect();
    let unused = found.code.name.starts_with("unused-");
    Diagnostic {
        range: found.primary.as_ref().map_or_else(Range::default, |l| range(l.span)),
        severity: Some(match found.severity {
            Severity::Error => DiagnosticSeverity::Error,
            Severity::Warning => DiagnosticSeverity::Warning,
            Severity::Advice => DiagnosticSeverity::Information,
        }),
        code: Some(Code::String(found.code.name.to_owned())),
        code_description: link(found.code, base),
        source: Some(format!("vmwbuild {}", found.code)),
        message: Message::String(message),
        tags: unused.then(|| vec![DiagnosticTag::Unnecessary]),
        related_information: (!related.is_empty()).then_some(related),
        data: None,
    }
}
