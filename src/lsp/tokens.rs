//! Semantic tokens: what a grammar of regular expressions can't know.

use gen_lsp_types::{SemanticToken, SemanticTokens, SemanticTokensLegend};

use super::index::Kind;
use super::server::Asked;
use crate::lint::walk;
use crate::source::{Span, Spanned};
use crate::syntax::ast::{Body, ExprKind, Instruction, Item, Type};

/// The kinds, in the order of the legend.
const TYPES: [&str; 8] = ["keyword", "parameter", "variable", "property", "class", "type", "function", "comment"];
const KEYWORD: u32 = 0;
const FLAG: u32 = 1;
const VARIABLE: u32 = 2;
const KEY: u32 = 3;
const STAGE: u32 = 4;
const TYPE: u32 = 5;
const FILTER: u32 = 6;
const COMMENT: u32 = 7;
/// The only modifier.
const DECLARATION: u32 = 1;

pub(super) fn legend() -> SemanticTokensLegend {
    SemanticTokensLegend {
        token_types: TYPES.iter().map(|t| (*t).to_owned()).collect(),
        token_modifiers: vec!["declaration".to_owned()],
    }
}

pub(super) fn tokens(asked: &Asked<'_>) -> Option<SemanticTokens> {
    let mut found: Vec<(Span, u32, u32)> = Vec::new();
    let (_, file) = asked.analysis.files.iter().find(|(id, _)| *id == asked.id)?;
    for item in &file.items {
        if let Item::Comment(comment) = item {
            found.push((comment.span, COMMENT, 0));
        }
    }
    for instruction in file.instructions() {
        self::instruction(instruction, &mut found);
    }
    let index = &asked.analysis.index;
    for definition in &index.definitions {
        found.push((definition.span, kind(definition.kind), DECLARATION));
    }
    for (span, at) in &index.uses {
        if let Some(definition) = index.definitions.get(*at) {
            found.push((*span, kind(definition.kind), 0));
        }
    }
    found.retain(|(span, _, _)| span.source == asked.id && !span.is_empty());
    found.sort_unstable();
    Some(SemanticTokens { result_id: None, data: encoded(asked, &found) })
}

fn kind(kind: Kind) -> u32 {
    match kind {
        Kind::Arg | Kind::Secret | Kind::Loop => VARIABLE,
        Kind::Key => KEY,
        Kind::Stage => STAGE,
    }
}

fn instruction(instruction: &Instruction, found: &mut Vec<(Span, u32, u32)>) {
    found.push((instruction.keyword.span, KEYWORD, 0));
    for flag in &instruction.flags {
        found.push((Span { start: flag.span.start, ..flag.name.span }, FLAG, 0));
    }
    for comment in &instruction.comments {
        found.push((comment.span, COMMENT, 0));
    }
    let ty: Option<&Spanned<Type>> = match &instruction.body {
        Body::Arg { ty, .. } | Body::Key { ty, .. } => ty.as_ref(),
        _ => None,
    };
    found.extend(ty.map(|ty| (ty.span, TYPE, 0)));
    walk::exprs(instruction, &mut |expr| {
        if let ExprKind::Filter { name, .. } = &expr.kind {
            found.push((name.span, FILTER, 0));
        }
    });
}

/// Each relative to the one before. What overlaps an earlier one or goes over a line's end is left out.
fn encoded(asked: &Asked<'_>, found: &[(Span, u32, u32)]) -> Vec<SemanticToken> {
    let mut out = Vec::new();
    let (mut line, mut character, mut end) = (0, 0, 0);
    for (span, token_type, modifiers) in found {
        let text = asked.analysis.sources.slice(*span);
        if span.start < end || text.is_empty() || text.contains('\n') {
            continue;
        }
        end = span.end;
        let start = asked.encoding.position(asked.source(), span.start);
        let same_line = start.line == line;
        out.push(SemanticToken {
            delta_line: start.line - line,
            delta_start: if same_line { start.character - character } else { start.character },
            length: asked.encoding.length(text),
            token_type: *token_type,
            token_modifiers_bitset: *modifiers,
        });
        (line, character) = (start.line, start.character);
    }
    out
}
