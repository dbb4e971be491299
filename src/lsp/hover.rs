//! What is said of the thing under the cursor.

use gen_lsp_types::{Contents, Hover, MarkupContent, MarkupKind, TextDocumentPositionParams};

use super::index::{Definition, Kind};
use super::server::Asked;
use crate::lint::walk;
use crate::sema::filter::Filter;
use crate::sema::program::RtKind;
use crate::source::Span;
use crate::syntax::Keyword;
use crate::syntax::ast::{ExprKind, Instruction};

pub(super) fn hover(asked: &Asked<'_>, at: &TextDocumentPositionParams) -> Option<Hover> {
    let offset = asked.offset(at.position);
    let (span, text) = named(asked, offset).or_else(|| {
        let (_, file) = asked.analysis.files.iter().find(|(id, _)| *id == asked.id)?;
        let all = file.instructions().filter(|i| extent(i).start <= offset && offset <= extent(i).end);
        all.into_iter().find_map(|i| written(asked, i, offset))
    })?;
    let contents = Contents::MarkupContent(MarkupContent { kind: MarkupKind::Markdown, value: text });
    Some(Hover { contents, range: Some(asked.range(span)) })
}

/// An instruction with its heredocs.
pub(super) fn extent(instruction: &Instruction) -> Span {
    instruction.heredocs.iter().fold(instruction.span, |s, h| s.to(h.end))
}

fn named(asked: &Asked<'_>, offset: u32) -> Option<(Span, String)> {
    let (span, at) = asked.analysis.index.at(asked.id, offset)?;
    let definition = asked.analysis.index.definitions.get(at)?;
    Some((span, describe(asked, definition)))
}

/// A name: its declaration, and what is known of its value.
pub(super) fn describe(asked: &Asked<'_>, definition: &Definition) -> String {
    let line = asked.analysis.sources.slice(definition.whole).lines().next().unwrap_or_default();
    let ty = definition.ty.as_ref().map(|t| format!(": {t}")).unwrap_or_default();
    let mut text = format!("```vmwfile\n{line}\n```\n{} `{}{ty}`", definition.kind.name(), definition.name);
    let program = asked.analysis.program.as_ref();
    match definition.kind {
        Kind::Arg => {
            let arg = program.and_then(|p| p.args.iter().find(|a| a.span == definition.span));
            if let Some(arg) = arg {
                let from = arg.given_by.as_ref().map_or_else(|| "the default".to_owned(), |o| format!("by {o}"));
                if let RtKind::Const(value) = &arg.value.kind {
                    text.push_str(&format!(" = `{}` ({from})", value.to_text()));
                }
            }
        }
        Kind::Key => {
            let stage = definition.stage.and_then(|s| asked.analysis.index.stages.get(s));
            if let Some(stage) = stage.and_then(|s| s.name.as_ref()) {
                text.push_str(&format!(", captured in stage `{stage}`"));
            }
        }
        Kind::Stage => {
            let machines = program.map(|p| {
                let stage = p.stages.iter().find(|s| s.name.as_ref() == Some(&definition.name));
                stage.map_or(0, |s| s.machines.len())
            });
            if let Some(count) = machines.filter(|c| *c != 1) {
                text.push_str(&format!(", {count} machines"));
            }
        }
        Kind::Secret | Kind::Loop => {}
    }
    text
}

fn written(asked: &Asked<'_>, instruction: &Instruction, offset: u32) -> Option<(Span, String)> {
    let covers = |s: Span| s.source == asked.id && s.start <= offset && offset <= s.end;
    if covers(instruction.keyword.span) {
        return Some((instruction.keyword.span, reference(instruction.keyword.node)));
    }
    if let Some(flag) = instruction.flags.iter().find(|f| covers(Span { start: f.span.start, ..f.name.span })) {
        let info = instruction.keyword.node.flag(&flag.name.node)?;
        return Some((flag.span, format!("`--{}{}`: {}", info.name, info.value.usage(), info.doc)));
    }
    let mut found = None;
    walk::exprs(instruction, &mut |expr| {
        if let ExprKind::Filter { name, .. } = &expr.kind
            && covers(name.span)
            && let Some(filter) = Filter::named(&name.node)
        {
            let row = filter.signature();
            let (expression, gives) = row.example;
            let about = row.about;
            let text = format!(
                "`{} | {}` → `{}`\n\n{about}\n\n`${{{{ {expression} }}}}` is `{gives}`",
                row.takes.name(),
                row.usage(),
                row.gives
            );
            found = Some((name.span, text));
        }
    });
    found
}

/// An instruction's entry in the reference.
pub(super) fn reference(keyword: Keyword) -> String {
    let info = keyword.info();
    let mut text = format!("**{}**: {}\n```vmwfile\n{}\n```\n", info.name, info.summary, info.forms.join("\n"));
    for flag in info.flags {
        text.push_str(&format!("- `--{}{}`: {}\n", flag.name, flag.value.usage(), flag.doc));
    }
    if keyword.is_step() {
        text.push_str("- and the flags of every step\n");
    }
    text.push_str(&format!("\nFor example:\n```vmwfile\n{}\n```", info.example));
    text
}
