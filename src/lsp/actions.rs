//! Mends, and "allow this here".

use gen_lsp_types::{CodeAction, CodeActionKind, CodeActionResponse, Range, TextEdit, WorkspaceEdit};

use super::hover::extent;
use super::report;
use super::server::Asked;
use crate::diagnostic::{Diagnostic, Severity};

pub(super) fn actions(asked: &Asked<'_>, range: Range) -> Vec<CodeActionResponse> {
    let (start, end) = (asked.offset(range.start), asked.offset(range.end));
    let mut out = Vec::new();
    for found in &asked.analysis.found {
        let Some(span) = found.primary.as_ref().map(|l| l.span) else { continue };
        if span.source != asked.id || span.end < start || end < span.start {
            continue;
        }
        let shown = report::one(found, asked.analysis, asked.documents, asked.encoding, asked.docs);
        let action = |title: String, edit: WorkspaceEdit, preferred: bool| {
            CodeActionResponse::CodeAction(CodeAction {
                title,
                kind: Some(CodeActionKind::QuickFix),
                diagnostics: Some(vec![shown.clone()]),
                is_preferred: Some(preferred),
                edit: Some(edit),
                ..Default::default()
            })
        };
        if let Some((title, edit)) = mend(asked, found) {
            let safe = found.fix.as_ref().is_some_and(|f| f.safe);
            out.push(action(title, edit, safe));
        }
        if let Some(edit) = allow(asked, found, span.start) {
            out.push(action(format!("Allow `{}` here", found.code.name), edit, false));
        }
    }
    out
}

fn mend(asked: &Asked<'_>, found: &Diagnostic) -> Option<(String, WorkspaceEdit)> {
    let fix = found.fix.as_ref()?;
    let edits = fix.edits.iter().map(|edit| asked.replace(edit.span, edit.text.clone())).collect::<Option<Vec<_>>>()?;
    let mut title = fix.title.clone();
    if let Some(first) = title.get(..1) {
        title.replace_range(..1, &first.to_uppercase());
    }
    Some((title, asked.edit(edits)))
}

/// A pragma above the instruction; None for an error, which nothing allows.
fn allow(asked: &Asked<'_>, found: &Diagnostic, offset: u32) -> Option<WorkspaceEdit> {
    if found.code.severity == Severity::Error {
        return None;
    }
    let (_, file) = asked.analysis.files.iter().find(|(id, _)| *id == asked.id)?;
    let instruction = file.instructions().find(|i| extent(i).start <= offset && offset <= extent(i).end)?;
    let line = asked.source().line_at(instruction.span.start);
    let start = asked.source().line_start(line);
    let position = asked.encoding.position(asked.source(), start);
    let indent = asked.text().get(start as usize..instruction.span.start as usize).unwrap_or_default();
    let new_text = format!("{indent}# vmw: allow({})\n", found.code.name);
    let edit = TextEdit { range: Range { start: position, end: position }, new_text };
    Some(asked.edit(vec![(asked.path.to_owned(), edit)]))
}
