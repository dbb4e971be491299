//! Passwords that are written in a file stay out of what is shown of it.

use std::borrow::Cow;
use std::ops::Range;

use super::{Diagnostic, Label};
use crate::source::{SourceId, Sources, Span};

/// Stands for a password in words.
const STARS: &str = "********";

/// Whole lines of a file, as long as they are, with asterisks for what [`Sources::hide`] was told.
pub fn blanked(sources: &Sources, id: SourceId, range: Range<usize>) -> Cow<'_, str> {
    let text = sources.get(id).text.get(range.clone()).unwrap_or_default();
    let spans: Vec<Span> = sources.hidden(id, range.clone()).collect();
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    // By their starts, and none that ends in a character.
    let (mut next, mut until) = (spans.iter().peekable(), 0);
    let mut inside = |at: usize| {
        while let Some(span) = next.next_if(|s| s.start as usize <= at) {
            until = until.max(span.end as usize);
        }
        at < until
    };
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if matches!(c, '\n' | '\r') || !inside(range.start + at) {
            out.push(c);
        } else {
            out.extend(std::iter::repeat_n('*', c.len_utf8()));
        }
    }
    Cow::Owned(out)
}

/// A diagnostic whose words don't repeat a password from the lines that it points at. A mend that would write one
/// is left out: with asterisks in it, it would destroy what it is to mend.
pub fn without_secrets<'d>(diagnostic: &'d Diagnostic, sources: &Sources) -> Cow<'d, Diagnostic> {
    let mut secrets: Vec<&str> = Vec::new();
    for label in diagnostic.primary.iter().chain(&diagnostic.secondary) {
        secrets.extend(on_lines_of(label.span, sources));
    }
    if secrets.is_empty() {
        return Cow::Borrowed(diagnostic);
    }
    // The longest first: one may be a part of another.
    secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
    let hide = |text: &mut String| {
        for secret in &secrets {
            if text.contains(secret) {
                *text = text.replace(secret, STARS);
            }
        }
    };
    let mut out = diagnostic.clone();
    hide(&mut out.message);
    out.help.iter_mut().chain(&mut out.notes).for_each(hide);
    let labels = out.primary.iter_mut().chain(&mut out.secondary);
    labels.for_each(|label: &mut Label| hide(&mut label.text));
    let told = |text: &str| secrets.iter().any(|s| text.contains(s));
    out.fix = out.fix.filter(|fix| !told(&fix.title) && !fix.edits.iter().any(|e| told(&e.text)));
    Cow::Owned(out)
}

/// The passwords on the lines of a span, without their quotes.
fn on_lines_of(span: Span, sources: &Sources) -> Vec<&str> {
    let file = sources.get(span.source);
    let (first, last) = (file.line_col(span.start).0, file.line_col(span.end).0);
    let texts = sources
        .hidden(span.source, file.lines(first, last))
        .map(|s| sources.slice(s).trim_matches(['\'', '"', ' ', '\t']));
    texts.filter(|t| !t.is_empty()).collect()
}
