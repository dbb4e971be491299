//! Heredoc bodies: indentation taken off, interpolations read.

use super::ast::{Heredoc, Piece, Quote, Text};
use super::cx::{Cx, read_text};
use super::expr;
use super::grammar::Rule;
use super::lines::{Doc, Marker};
use super::words;

/// A heredoc of an instruction. `script`: its body is shell text, in which a quoted heredoc may stand.
pub(super) fn heredoc(cx: &mut Cx<'_>, marker: &Marker, doc: &Doc, script: bool) -> Heredoc {
    let span = cx.span(doc.body.start, doc.body.end);
    let flat = Flat::of(cx, marker, doc);
    let raw = marker.quoted || !flat.text.contains("${{");
    let mut pieces = Vec::new();
    if raw {
        flat.literal(cx, 0, flat.text.len(), &mut pieces);
    } else {
        let holes = if script { quoted_parts(&flat.text) } else { Vec::new() };
        interpolated(cx, &flat, &holes, &mut pieces);
    }
    Heredoc {
        marker: cx.span(marker.range.start, marker.range.end),
        name: cx.work_at(marker.name.start, marker.name.end).to_owned(),
        quoted: marker.quoted,
        strip: marker.strip,
        body: Text { span, pieces },
        end: cx.span(doc.end.start, doc.end.end),
    }
}

/// A whole text as a body that is not quoted; line ends stay as they are.
pub(super) fn whole(cx: &mut Cx<'_>) -> Text {
    let span = cx.span(0, cx.text.len());
    let flat = Flat { text: cx.text.into(), lines: Vec::new(), start: 0 };
    let mut pieces = Vec::new();
    interpolated(cx, &flat, &[], &mut pieces);
    Text { span, pieces }
}

/// A body as it is meant, and the way back to the source.
struct Flat<'a> {
    text: std::borrow::Cow<'a, str>,
    /// Where each line begins: in `text`, and in the file. Empty where both run in step from `start` on.
    lines: Vec<(usize, usize)>,
    start: usize,
}

impl<'a> Flat<'a> {
    fn of(cx: &Cx<'a>, marker: &Marker, doc: &Doc) -> Self {
        let source = cx.work_at(doc.body.start, doc.body.end);
        if !marker.strip && !source.contains('\r') {
            return Flat { text: source.into(), lines: Vec::new(), start: doc.body.start };
        }
        let indent = if marker.strip { shared_indent(source) } else { "" };
        let mut text = String::with_capacity(source.len());
        let mut lines = Vec::new();
        let mut at = doc.body.start;
        for line in source.split_inclusive('\n') {
            let kept = line.strip_suffix('\n').map_or(line, |l| l.strip_suffix('\r').unwrap_or(l));
            // A blank line may have less than the shared indentation.
            let skip = kept.bytes().zip(indent.bytes()).take_while(|(a, b)| a == b).count();
            lines.push((text.len(), at + skip));
            text.push_str(kept.get(skip..).unwrap_or_default());
            if line.ends_with('\n') {
                text.push('\n');
            }
            at += line.len();
        }
        Flat { text: text.into(), lines, start: doc.body.start }
    }

    /// How much a byte of the text is moved in the file.
    fn shift(&self, at: usize) -> isize {
        let line = self.lines.partition_point(|(flat, _)| *flat <= at).checked_sub(1).and_then(|i| self.lines.get(i));
        line.map_or(self.start as isize, |(flat, source)| *source as isize - *flat as isize)
    }

    /// Adds a part of it as literals that run in step with the source.
    fn literal(&self, cx: &Cx<'_>, start: usize, end: usize, pieces: &mut Vec<Piece>) {
        if start >= end {
            return;
        }
        if self.lines.is_empty() {
            let span = cx.span(self.start + start, self.start + end);
            words::literal(pieces, span, cx.slice(span).to_owned(), Quote::Bare);
            return;
        }
        let mut at = start;
        while at < end {
            let rest = self.text.get(at..end).unwrap_or_default();
            let stop = rest.find('\n').map_or(end, |n| at + n + 1);
            let from = at.saturating_add_signed(self.shift(at));
            let flat = self.text.get(at..stop).unwrap_or_default();
            let kept = flat.strip_suffix('\n').unwrap_or(flat);
            let shown = cx.span(from, from + kept.len());
            let mut text = cx.slice(shown).to_owned();
            let mut span = shown;
            if flat.ends_with('\n') && from + kept.len() < cx.text.len() {
                text.push('\n');
                let crlf = cx.work_at(from + kept.len(), from + kept.len() + 1) == "\r";
                span = cx.span(from, from + kept.len() + if crlf { 2 } else { 1 });
            }
            words::literal(pieces, span, text, Quote::Bare);
            at = stop;
        }
    }
}

/// The indentation that all lines with something in them share.
fn shared_indent(source: &str) -> &str {
    let mut shared: Option<&str> = None;
    for line in source.lines() {
        if line.trim().is_empty() {
            continue;
        }
        let own = line.len() - line.trim_start_matches([' ', '\t']).len();
        let own = line.get(..own).unwrap_or_default();
        shared = Some(match shared {
            None => own,
            Some(before) => {
                let same = before.bytes().zip(own.bytes()).take_while(|(a, b)| a == b).count();
                before.get(..same).unwrap_or_default()
            }
        });
    }
    shared.unwrap_or_default()
}

/// The bodies of the quoted heredocs in a script.
fn quoted_parts(script: &str) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::new();
    if !script.contains("<<") {
        return out;
    }
    let Some(node) = read_text(Rule::script, script) else { return out };
    for doc in node.into_inner().filter(|n| n.as_rule() == Rule::script_doc) {
        let mut quoted = Vec::new();
        let mut bodies = 0;
        for part in doc.into_inner() {
            let span = part.as_span();
            match part.as_rule() {
                Rule::marker => {
                    quoted.push(part.into_inner().next().is_some_and(|n| n.as_rule() != Rule::name_bare));
                }
                Rule::body1
                | Rule::body2
                | Rule::body3
                | Rule::body4
                | Rule::body5
                | Rule::body6
                | Rule::body7
                | Rule::body8 => {
                    if quoted.get(bodies).copied().unwrap_or(false) {
                        out.push(span.start()..span.end());
                    }
                    bodies += 1;
                }
                _ => {}
            }
        }
    }
    out
}

fn interpolated(cx: &mut Cx<'_>, flat: &Flat<'_>, raw: &[std::ops::Range<usize>], pieces: &mut Vec<Piece>) {
    let mut at = 0;
    for part in raw {
        holes(cx, flat, at, part.start, pieces);
        flat.literal(cx, part.start, part.end, pieces);
        at = part.end;
    }
    holes(cx, flat, at, flat.text.len(), pieces);
}

fn holes(cx: &mut Cx<'_>, flat: &Flat<'_>, start: usize, end: usize, pieces: &mut Vec<Piece>) {
    let text = flat.text.get(start..end).unwrap_or_default();
    let Some(node) = read_text(Rule::body, text) else {
        flat.literal(cx, start, end, pieces);
        return;
    };
    for part in node.into_inner() {
        let (from, to) = (start + part.as_span().start(), start + part.as_span().end());
        // Level 2 counts from `start`.
        cx.base = flat.shift(from) + start as isize;
        match part.as_rule() {
            Rule::hole => {
                let span = cx.at(&part);
                let expr = expr::hole(cx, part);
                pieces.push(Piece::Hole { span, quote: Quote::Bare, expr });
            }
            Rule::escaped => {
                let span = cx.at(&part);
                pieces.push(Piece::Escaped { span, quote: Quote::Bare });
            }
            Rule::EOI => {}
            _ => flat.literal(cx, from, to, pieces),
        }
    }
}
