//! Shell text put together from its pieces, with the way back to the source.

use std::ops::Range;

use crate::source::{Sources, Span};
use crate::syntax::ast::{Expr, Heredoc, Piece, Text};

/// Shell text as the shell is to read it, with its `${{ … }}` still in it.
pub(crate) struct ScriptText<'a> {
    /// The text.
    pub text: String,
    /// The interpolations in it, in order.
    pub holes: Vec<TextHole<'a>>,
    /// Whether it is one line (with the bodies of its heredocs), not a script.
    pub is_line: bool,
    /// Where it stands in the source as a whole.
    whole: Span,
    segments: Vec<Segment>,
}

/// A `${{ … }}` in a [`ScriptText`].
pub(crate) struct TextHole<'a> {
    /// First byte in the text.
    pub start: usize,
    /// One past the last.
    pub end: usize,
    /// With the braces, in the source.
    pub span: Span,
    /// What is in it.
    pub expr: &'a Expr,
}

/// A part of the text and what it is made from.
struct Segment {
    start: usize,
    end: usize,
    span: Span,
    /// Whether offsets in both run alike.
    in_step: bool,
}

/// Stands in for an interpolation that has no source text (an AST that was not parsed).
const NO_SOURCE: &str = "${{ … }}";

impl<'a> ScriptText<'a> {
    /// A line of shell text, followed by the bodies of its heredocs. `<<-` becomes `<<`, since the indentation is
    /// already taken off the bodies.
    pub fn of_line(text: &'a Text, heredocs: &'a [Heredoc], sources: &Sources) -> Self {
        let mut out = Self::new(text.span);
        out.is_line = true;
        out.push(text, heredocs, sources);
        for heredoc in heredocs {
            out.end_line();
            out.push(&heredoc.body, &[], sources);
            out.end_line();
            out.literal(&heredoc.name, heredoc.end);
        }
        if !heredocs.is_empty() {
            out.end_line();
        }
        out
    }

    /// A script: a heredoc's body.
    pub fn of_body(body: &'a Text, sources: &Sources) -> Self {
        let mut out = Self::new(body.span);
        out.push(body, &[], sources);
        out
    }

    fn new(whole: Span) -> Self {
        ScriptText { text: String::new(), holes: Vec::new(), is_line: false, whole, segments: Vec::new() }
    }

    fn push(&mut self, text: &'a Text, heredocs: &[Heredoc], sources: &Sources) {
        for piece in &text.pieces {
            match piece {
                Piece::Literal { span, text, .. } => self.literal_with_markers(text, *span, heredocs),
                // For the shell these are just characters.
                Piece::Escaped { span, .. } => self.literal("${{", *span),
                Piece::Hole { span, expr, .. } => {
                    let source = sources.slice(*span);
                    let start = self.text.len();
                    self.literal(if source.is_empty() { NO_SOURCE } else { source }, *span);
                    self.holes.push(TextHole { start, end: self.text.len(), span: *span, expr });
                }
            }
        }
    }

    fn end_line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn literal(&mut self, text: &str, span: Span) {
        let start = self.text.len();
        self.text.push_str(text);
        self.segments.push(Segment { start, end: self.text.len(), span, in_step: span.len() == text.len() });
    }

    /// Adds literal text without the `-` of the `<<-` markers in it.
    fn literal_with_markers(&mut self, text: &str, span: Span, heredocs: &[Heredoc]) {
        let in_step = span.len() == text.len();
        let mut from = 0;
        for heredoc in heredocs.iter().filter(|h| h.strip) {
            let marker = heredoc.marker;
            if marker.source != span.source || marker.start < span.start || marker.end > span.end {
                continue;
            }
            let at = if in_step {
                Some((marker.start - span.start) as usize)
            } else {
                // Line ends of two bytes come before it: then it is the next that looks like it.
                text.get(from..).and_then(|rest| rest.find("<<-")).map(|i| from + i)
            };
            let Some(dash) = at.map(|at| at + 2).filter(|&dash| text.get(dash..).is_some_and(|t| t.starts_with('-')))
            else {
                continue;
            };
            self.part(text, from..dash, span, in_step);
            from = dash + 1;
        }
        self.part(text, from..text.len(), span, in_step);
    }

    fn part(&mut self, text: &str, range: Range<usize>, span: Span, in_step: bool) {
        let part = text.get(range.clone()).unwrap_or_default();
        let span = if in_step {
            Span { start: span.start + range.start as u32, end: span.start + range.end as u32, ..span }
        } else {
            span
        };
        let start = self.text.len();
        self.text.push_str(part);
        self.segments.push(Segment { start, end: self.text.len(), span, in_step });
    }

    /// Where a range of the text stands in the source.
    pub fn span_of(&self, range: Range<usize>) -> Span {
        let of = |at: usize, end: bool| {
            let inside = |s: &&Segment| if end { s.start < at && at <= s.end } else { s.start <= at && at < s.end };
            let segment = self.segments.iter().find(inside)?;
            Some(match (segment.in_step, end) {
                (true, _) => segment.span.start + (at - segment.start) as u32,
                (false, false) => segment.span.start,
                (false, true) => segment.span.end,
            })
        };
        let source =
            self.segments.iter().find(|s| s.start <= range.start && range.start < s.end).map(|s| s.span.source);
        match (source, of(range.start, false)) {
            (Some(source), Some(start)) => {
                let end = of(range.end, true).filter(|&end| end >= start).unwrap_or(start);
                Span { source, start, end }
            }
            _ => self.whole.after(),
        }
    }
}
