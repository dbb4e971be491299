//! The shape of a file: symbols, folds, selections that grow, links.

use std::path::{Path, PathBuf};

use gen_lsp_types::{
    DocumentLink, DocumentSymbol, DocumentSymbolResponse, FoldingRange, FoldingRangeKind, Position, Range,
    SelectionRange, SymbolKind,
};

use super::hover::extent;
use super::server::Asked;
use crate::lint::{normal, walk};
use crate::source::Span;
use crate::syntax::ast::{Body, CopySource, File, ForOver, Instruction, Item, Text};

fn file<'a>(asked: &'a Asked<'_>) -> Option<&'a File> {
    asked.analysis.files.iter().find(|(id, _)| *id == asked.id).map(|(_, file)| file)
}

/// A stage's extent: to the last of its instructions.
struct Part<'a> {
    first: &'a Instruction,
    lines: Vec<&'a Instruction>,
}

impl Part<'_> {
    fn span(&self) -> Span {
        self.lines.last().map_or(extent(self.first), |last| extent(self.first).to(extent(last)))
    }
}

/// The instructions before the first FROM, and the stages.
fn parts(file: &File) -> (Vec<&Instruction>, Vec<Part<'_>>) {
    let (mut globals, mut stages): (Vec<&Instruction>, Vec<Part<'_>>) = (Vec::new(), Vec::new());
    for instruction in file.instructions() {
        match (&instruction.body, stages.last_mut()) {
            (Body::From { .. } | Body::On { .. }, _) => stages.push(Part { first: instruction, lines: Vec::new() }),
            (_, Some(stage)) => stage.lines.push(instruction),
            (_, None) => globals.push(instruction),
        }
    }
    (globals, stages)
}

pub(super) fn symbols(asked: &Asked<'_>) -> Option<DocumentSymbolResponse> {
    let (globals, stages) = parts(file(asked)?);
    let mut all: Vec<DocumentSymbol> = globals.iter().filter_map(|i| symbol(asked, i)).collect();
    for stage in stages {
        let (name, selected) = match &stage.first.body {
            Body::From { alias: Some(alias), .. } | Body::On { alias: Some(alias), .. } => {
                (alias.node.clone(), alias.span)
            }
            _ => (first_line(asked, stage.first.span), stage.first.keyword.span),
        };
        let detail = first_line(asked, stage.first.span);
        let mut one = made(SymbolKind::Class, some(name, "stage"), detail);
        (one.range, one.selection_range) = (asked.range(stage.span()), asked.range(selected));
        one.children = Some(stage.lines.iter().filter_map(|i| symbol(asked, i)).collect());
        all.push(one);
    }
    Some(DocumentSymbolResponse::DocumentSymbolList(all))
}

/// A symbol that has no place yet.
#[allow(deprecated)] // the field has to be named
fn made(kind: SymbolKind, name: String, detail: String) -> DocumentSymbol {
    DocumentSymbol {
        name,
        detail: Some(detail),
        kind,
        tags: None,
        deprecated: None,
        range: Range::default(),
        selection_range: Range::default(),
        children: None,
    }
}

/// Names, outputs and steps; settings are no symbols.
fn symbol(asked: &Asked<'_>, instruction: &Instruction) -> Option<DocumentSymbol> {
    let (kind, name, selected) = match &instruction.body {
        Body::Arg { name, .. } => (SymbolKind::Variable, name.node.clone(), name.span),
        Body::Secret { name, .. } => (SymbolKind::Constant, name.node.clone(), name.span),
        Body::Key { name, .. } => (SymbolKind::Property, name.node.clone(), name.span),
        Body::Output { .. } => (SymbolKind::Module, first_line(asked, instruction.span), instruction.keyword.span),
        Body::Include { .. } => (SymbolKind::File, first_line(asked, instruction.span), instruction.keyword.span),
        _ if instruction.keyword.node.is_step() => {
            (SymbolKind::Event, first_line(asked, instruction.span), instruction.keyword.span)
        }
        _ => return None,
    };
    let word = instruction.keyword.node.name();
    let mut one = made(kind, some(name, word), word.to_owned());
    (one.range, one.selection_range) = (asked.range(extent(instruction)), asked.range(selected));
    Some(one)
}

/// An empty name is refused by clients.
fn some(name: String, otherwise: &str) -> String {
    if name.trim().is_empty() { otherwise.to_owned() } else { name }
}

fn first_line(asked: &Asked<'_>, span: Span) -> String {
    asked.analysis.sources.slice(span).lines().next().unwrap_or_default().trim_end_matches('\\').trim_end().to_owned()
}

pub(super) fn folds(asked: &Asked<'_>) -> Option<Vec<FoldingRange>> {
    let file = file(asked)?;
    let mut out = Vec::new();
    let line = |offset: u32| asked.source().line_at(offset) as u32 - 1;
    let mut fold = |start: u32, end: u32, kind: Option<FoldingRangeKind>| {
        if start < end {
            out.push(FoldingRange { start_line: start, end_line: end, kind, ..Default::default() });
        }
    };
    for stage in parts(file).1 {
        fold(line(stage.span().start), line(last_byte(stage.span())), Some(FoldingRangeKind::Region));
    }
    for instruction in file.instructions() {
        let own = instruction.span;
        fold(line(own.start), line(last_byte(own)), None);
        for heredoc in &instruction.heredocs {
            fold(line(heredoc.marker.start), line(heredoc.end.start), None);
        }
    }
    let mut comments: Option<(u32, u32)> = None;
    for item in file.items.iter() {
        match (item, comments) {
            (Item::Comment(c), None) => comments = Some((line(c.span.start), line(c.span.start))),
            (Item::Comment(c), Some((first, _))) => comments = Some((first, line(c.span.start))),
            (_, Some((first, last))) => {
                fold(first, last, Some(FoldingRangeKind::Comment));
                comments = None;
            }
            (_, None) => {}
        }
    }
    if let Some((first, last)) = comments {
        fold(first, last, Some(FoldingRangeKind::Comment));
    }
    Some(out)
}

fn last_byte(span: Span) -> u32 {
    span.end.saturating_sub(1).max(span.start)
}

pub(super) fn selections(asked: &Asked<'_>, positions: &[Position]) -> Option<Vec<SelectionRange>> {
    let file = file(asked)?;
    Some(positions.iter().map(|p| selection(asked, file, *p)).collect())
}

/// Everything around a place, from the smallest: expression, text, instruction, stage, file.
fn selection(asked: &Asked<'_>, file: &File, position: Position) -> SelectionRange {
    let offset = asked.offset(position);
    let covers = |s: &Span| s.source == asked.id && s.start <= offset && offset <= s.end;
    let mut spans = vec![Span::new(asked.id, 0, asked.text().len())];
    spans.extend(parts(file).1.iter().map(Part::span));
    for instruction in file.instructions().filter(|i| covers(&extent(i))) {
        spans.extend([extent(instruction), instruction.span, instruction.keyword.span]);
        spans.extend(instruction.flags.iter().map(|f| f.span));
        walk::texts(instruction, &mut |text| spans.push(text.span));
        walk::exprs(instruction, &mut |expr| spans.push(expr.span));
    }
    spans.extend(asked.analysis.index.at(asked.id, offset).map(|(span, _)| span));
    spans.retain(covers);
    // The largest first; each must lie within the one before.
    spans.sort_by_key(|s| (std::cmp::Reverse(s.len()), s.start));
    spans.dedup();
    let mut made: Option<SelectionRange> = None;
    let mut outer: Option<Span> = None;
    for span in spans {
        if outer.is_some_and(|o| span.start < o.start || o.end < span.end) {
            continue;
        }
        outer = Some(span);
        made = Some(SelectionRange { range: asked.range(span), parent: made.map(Box::new) });
    }
    made.unwrap_or(SelectionRange { range: Range { start: position, end: position }, parent: None })
}

/// The files that are named and there.
pub(super) fn links(asked: &Asked<'_>) -> Option<Vec<DocumentLink>> {
    let own = asked.path.parent().unwrap_or(Path::new("")).to_path_buf();
    let context = asked.root.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut out = Vec::new();
    let mut link = |text: &Text, base: &Path| {
        let Some(name) = text.literal().filter(|n| !n.is_empty()) else { return };
        let path: PathBuf = normal(&base.join(name));
        if path.is_file() || asked.documents.get(&path).is_some() {
            let target = Some(asked.documents.uri(&path));
            out.push(DocumentLink { range: asked.range(text.span), target, ..Default::default() });
        }
    };
    for instruction in file(asked)?.instructions() {
        match &instruction.body {
            Body::Include { path } => link(path, &own),
            Body::From { replicas: Some(replicas), .. } => {
                if let ForOver::Csv(path) = &replicas.over {
                    link(path, &context);
                }
            }
            Body::Copy { sources, .. } if instruction.flag("from").is_none() => {
                for source in sources {
                    if let CopySource::Path(path) = source {
                        link(path, &context);
                    }
                }
            }
            _ => {}
        }
    }
    Some(out)
}
