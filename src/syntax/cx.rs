//! What every part of the parser needs: the text, the way from pest's offsets to spans, the problems.

use pest::Parser;
use pest::error::{Error, InputLocation};
use pest::iterators::{Pair, Pairs};

use super::grammar::{Grammar, Rule};
use crate::diagnostic::{Diagnostic, Severity, did_you_mean};
use crate::source::{SourceId, Span};

/// A pair of pest's, of any level.
pub(super) type Node<'i> = Pair<'i, Rule>;

/// The most findings that are kept of one file, to choose those from that are reported.
const MAX_KEPT: usize = 1000;

/// The state of one parse.
pub(super) struct Cx<'a> {
    /// Which file.
    pub id: SourceId,
    /// Its text, as it was read.
    pub text: &'a str,
    /// The text that pest sees: escape characters as `\`, and a line end at its end. Byte for byte as long as
    /// `text`, that line end aside.
    pub work: &'a str,
    /// The escape character.
    pub escape: char,
    /// What was found.
    pub problems: Vec<Diagnostic>,
    /// How many of them are no errors.
    pub warnings: usize,
    /// Errors that were only counted.
    pub unkept: usize,
    /// Where the text of the present level 2 call begins in the file. May be negative where a heredoc's stripped
    /// body is read.
    pub base: isize,
}

impl<'a> Cx<'a> {
    /// A span of the file.
    pub fn span(&self, start: usize, end: usize) -> Span {
        let len = self.text.len();
        let end = end.min(len);
        Span::new(self.id, start.min(end), end)
    }

    /// Where a pair of the present level 2 call stands in the file.
    pub fn at(&self, node: &Node<'_>) -> Span {
        let span = node.as_span();
        self.span(self.offset(span.start()), self.offset(span.end()))
    }

    fn offset(&self, local: usize) -> usize {
        local.saturating_add_signed(self.base)
    }

    /// What the author wrote there.
    pub fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// What pest sees there.
    pub fn work_at(&self, start: usize, end: usize) -> &'a str {
        self.work.get(start..end).unwrap_or_default()
    }

    /// What reads a text.
    pub fn new(id: SourceId, text: &'a str) -> Self {
        Cx { id, text, work: text, escape: '\\', problems: Vec::new(), warnings: 0, unkept: 0, base: 0 }
    }

    /// Adds a finding. Of errors only the first are kept, the others counted; warnings may be turned off or mended
    /// by the thousand.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.severity != Severity::Error {
            self.warnings += 1;
            self.problems.push(diagnostic);
        } else if self.full() {
            self.unkept += 1;
        } else {
            self.problems.push(diagnostic);
        }
    }

    /// Whether nobody would read one error more, so that finding out what was meant is a waste.
    pub fn full(&self) -> bool {
        self.problems.len().saturating_sub(self.warnings) >= MAX_KEPT
    }

    /// Reads `start..end` of the file by a rule of level 2. The error is where it went wrong and what rules were
    /// tried there.
    pub fn read(&mut self, rule: Rule, start: usize, end: usize) -> Result<Node<'a>, Misfit> {
        self.base = start as isize;
        let text = self.work_at(start, end);
        first(Grammar::parse(rule, text)).map_err(|(pos, tried)| Misfit { at: start + pos, tried })
    }
}

/// A line that doesn't fit its rule.
#[derive(Debug)]
pub(super) struct Misfit {
    /// The byte of the file where nothing fitted.
    pub at: usize,
    /// What would have.
    pub tried: Vec<Rule>,
}

fn first(parsed: Result<Pairs<'_, Rule>, Error<Rule>>) -> Result<Node<'_>, (usize, Vec<Rule>)> {
    match parsed {
        Ok(mut pairs) => pairs.next().ok_or((0, Vec::new())),
        Err(error) => {
            let pos = match error.location {
                InputLocation::Pos(pos) | InputLocation::Span((pos, _)) => pos,
            };
            let tried = match error.variant {
                pest::error::ErrorVariant::ParsingError { positives, .. } => positives,
                pest::error::ErrorVariant::CustomError { .. } => Vec::new(),
            };
            Err((pos, tried))
        }
    }
}

/// Reads a text of its own by a rule; None when it doesn't fit.
pub(super) fn read_text(rule: Rule, text: &str) -> Option<Node<'_>> {
    first(Grammar::parse(rule, text)).ok()
}

/// Whether a text fits a rule.
pub(super) fn try_rule(rule: Rule, text: &str) -> Result<(), Misfit> {
    first(Grammar::parse(rule, text)).map(|_| ()).map_err(|(at, tried)| Misfit { at, tried })
}

/// The candidate that was probably meant. What is longer than any word of the language is near none, and not worth
/// the time.
pub(super) fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 40 { None } else { did_you_mean(word, candidates) }
}
