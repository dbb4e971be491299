//! Where names are declared and used, and renaming them.

use std::collections::HashMap;
use std::path::PathBuf;

use gen_lsp_types::{
    Definition, DefinitionResponse, DocumentHighlight, DocumentHighlightKind, Location, PrepareRenamePlaceholder,
    PrepareRenameResult, TextDocumentPositionParams, WorkspaceEdit,
};

use super::analysis::{Analysis, analyse};
use super::index::Kind;
use super::server::Asked;
use crate::diagnostic::Severity;
use crate::source::Span;

fn at(asked: &Asked<'_>, place: &TextDocumentPositionParams) -> Option<(Span, usize)> {
    asked.analysis.index.at(asked.id, asked.offset(place.position))
}

pub(super) fn definition(asked: &Asked<'_>, place: &TextDocumentPositionParams) -> Option<DefinitionResponse> {
    let (_, name) = at(asked, place)?;
    let span = asked.analysis.index.definitions.get(name)?.span;
    Some(DefinitionResponse::Definition(Definition::Location(asked.location(span)?)))
}

pub(super) fn references(
    asked: &Asked<'_>,
    place: &TextDocumentPositionParams,
    declaration: bool,
) -> Option<Vec<Location>> {
    let (_, name) = at(asked, place)?;
    let all = asked.analysis.index.all(name);
    Some(all.into_iter().skip(usize::from(!declaration)).filter_map(|span| asked.location(span)).collect())
}

pub(super) fn highlight(asked: &Asked<'_>, place: &TextDocumentPositionParams) -> Option<Vec<DocumentHighlight>> {
    let (_, name) = at(asked, place)?;
    let all = asked.analysis.index.all(name);
    let kind = |index: usize| if index == 0 { DocumentHighlightKind::Write } else { DocumentHighlightKind::Read };
    let here = all.into_iter().enumerate().filter(|(_, span)| span.source == asked.id);
    Some(here.map(|(i, span)| DocumentHighlight { range: asked.range(span), kind: Some(kind(i)) }).collect())
}

pub(super) fn prepare(
    asked: &Asked<'_>,
    place: &TextDocumentPositionParams,
) -> Result<Option<PrepareRenameResult>, String> {
    let Some((span, name)) = at(asked, place) else { return Ok(None) };
    let placeholder = asked.analysis.index.definitions.get(name).map(|d| d.name.clone()).unwrap_or_default();
    let range = asked.range(span);
    Ok(Some(PrepareRenameResult::PrepareRenamePlaceholder(PrepareRenamePlaceholder { range, placeholder })))
}

/// Renames a name everywhere, or says why that can't be: the files are checked as they would be.
pub(super) fn rename(
    asked: &Asked<'_>,
    place: &TextDocumentPositionParams,
    new: &str,
) -> Result<Option<WorkspaceEdit>, String> {
    let Some((_, name)) = at(asked, place) else { return Err("there is no name here".to_owned()) };
    let Some(definition) = asked.analysis.index.definitions.get(name) else { return Ok(None) };
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == '-' && definition.kind == Kind::Stage);
    if !new.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || !new.chars().all(good) {
        return Err(format!("`{new}` is no name: letters, digits and `_`, a letter first"));
    }
    let places = asked.analysis.index.all(name);
    let texts = replaced(asked.analysis, &places, new);
    let documents = asked.documents.with(texts);
    let then = analyse(asked.root, &documents, asked.host);
    let errors = |a: &Analysis| a.found.iter().filter(|d| d.severity == Severity::Error).count();
    let same = then.as_ref().and_then(|a| {
        let renamed = a.index.definitions.get(name).filter(|d| d.name == new)?;
        Some(
            renamed.kind == definition.kind
                && a.index.all(name).len() == places.len()
                && errors(a) <= errors(asked.analysis),
        )
    });
    if same != Some(true) {
        return Err(format!(
            "`{new}` means something else already, or can't stand in every place of `{}`",
            definition.name
        ));
    }
    let edits = places.into_iter().filter_map(|span| asked.replace(span, new.to_owned())).collect();
    Ok(Some(asked.edit(edits)))
}

/// The texts of the files with another name in these places.
fn replaced(analysis: &Analysis, places: &[Span], new: &str) -> HashMap<PathBuf, String> {
    let mut sorted = places.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut texts: HashMap<PathBuf, String> = HashMap::new();
    // From the end, so that what stands before keeps its place.
    for span in sorted.iter().rev() {
        let Some(path) = analysis.path(span.source) else { continue };
        let text = texts.entry(path).or_insert_with(|| analysis.sources.get(span.source).text.to_string());
        if text.get(span.start as usize..span.end as usize).is_some() {
            text.replace_range(span.start as usize..span.end as usize, new);
        }
    }
    texts
}
