//! Diagnostics on a terminal, through miette.

use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use unicode_width::UnicodeWidthStr as _;

use super::excerpt::{Excerpt, Lines};
use super::text::shown;
use super::{Diagnostic, Label, Severity, without_secrets};
use crate::source::Sources;

/// How to draw: what the terminal can do.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// ANSI colours.
    pub color: bool,
    /// Box-drawing characters instead of ASCII.
    pub unicode: bool,
    /// Columns to wrap at.
    pub width: usize,
    /// The columns that a file's lines must fit into, with what stands beside them: a terminal's.
    pub cut: Option<usize>,
}

impl Style {
    /// The columns for a file's lines, where that matters: line numbers stand before them.
    fn room(self) -> Option<usize> {
        const NUMBERS: usize = 8;
        self.cut.map(|columns| columns.saturating_sub(NUMBERS))
    }

    /// Neither colour nor Unicode, 100 columns: for files and snapshots.
    pub fn plain() -> Self {
        Style { color: false, unicode: false, width: 100, cut: None }
    }
}

/// One diagnostic, drawn; ends in a line end.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, style: Style) -> String {
    let theme = match (style.color, style.unicode) {
        (true, true) => GraphicalTheme::unicode(),
        (false, true) => GraphicalTheme::unicode_nocolor(),
        (true, false) => GraphicalTheme { characters: miette::ThemeCharacters::ascii(), ..GraphicalTheme::unicode() },
        (false, false) => GraphicalTheme::none(),
    };
    // A word that is longer than a line (a thumbprint, a path) stays whole: it will be copied.
    let handler =
        GraphicalReportHandler::new_themed(theme).with_width(style.width).with_links(false).with_break_words(false);
    let mut out = String::new();
    let diagnostic = &*without_secrets(diagnostic, sources);
    // Writing to a String can't fail, but a span outside its file makes miette return an error: then the
    // message alone is better than nothing.
    if handler.render_report(&mut out, &Report::new(diagnostic, sources, style)).is_err() {
        out = format!("{}: {}\n", diagnostic.id(), diagnostic.message);
    }
    // miette draws one file a report, and would head a related one with a severity that it hasn't.
    for label in elsewhere(diagnostic) {
        let mut further = String::new();
        if handler.render_report(&mut further, &Report::further(label, sources, style)).is_ok() {
            out.push('\n');
            out.push_str(further.trim_start_matches('\n'));
        }
    }
    out
}

/// All of them, one after another, in the order given.
pub fn render_all<'a>(list: impl IntoIterator<Item = &'a Diagnostic>, sources: &Sources, style: Style) -> String {
    list.into_iter().map(|d| render(d, sources, style)).collect()
}

/// The labels in other files than the primary one.
fn elsewhere(d: &Diagnostic) -> impl Iterator<Item = &Label> {
    let home = d.primary.as_ref().map(|l| l.span.source);
    d.secondary.iter().filter(move |l| Some(l.span.source) != home)
}

/// What miette asks of a diagnostic, or of a label in another file.
#[derive(Debug)]
struct Report {
    code: Option<String>,
    severity: miette::Severity,
    message: String,
    help: Option<String>,
    source: Option<NamedSource<Lines>>,
    labels: Vec<LabeledSpan>,
}

impl Report {
    fn new(d: &Diagnostic, sources: &Sources, style: Style) -> Self {
        let severity = match d.severity {
            Severity::Advice => miette::Severity::Advice,
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        };
        let home = d.primary.as_ref().map(|l| l.span.source);
        let here: Vec<&Label> =
            d.primary.iter().chain(d.secondary.iter().filter(|l| Some(l.span.source) == home)).collect();
        let excerpt = d.primary.as_ref().map(|_| Excerpt::new(sources, &here, style.room()));
        let labels = excerpt
            .iter()
            .flat_map(|excerpt| here.iter().enumerate().map(|(at, label)| labelled(excerpt, label, at == 0, style)))
            .collect();
        let mut help: Vec<&str> = d.notes.iter().map(String::as_str).collect();
        help.extend(d.help.as_deref());
        Report {
            code: Some(format!("{} {}", d.id(), d.code.name)),
            severity,
            message: shown(&d.message),
            help: (!help.is_empty()).then(|| shown(&help.join("\n"))),
            source: excerpt.map(|e| e.source),
            labels,
        }
    }

    /// A place in another file.
    fn further(label: &Label, sources: &Sources, style: Style) -> Self {
        let excerpt = Excerpt::new(sources, &[label], style.room());
        let (start, len) = excerpt.place(label);
        Report {
            code: None,
            severity: miette::Severity::Advice,
            message: shown(&label.text),
            help: None,
            source: Some(excerpt.source),
            labels: vec![LabeledSpan::new(None, start, len)],
        }
    }
}

fn labelled(excerpt: &Excerpt, label: &Label, primary: bool, style: Style) -> LabeledSpan {
    let (start, len) = excerpt.place(label);
    let text = (!label.text.is_empty()).then(|| {
        let text = shown(&label.text);
        match style.room() {
            // The words hang below the middle of what they are about, behind a hook.
            Some(room) => wrapped(&text, room.saturating_sub(excerpt.column(start) + len / 2 + HOOK)),
            None => text,
        }
    });
    if primary { LabeledSpan::new_primary_with_span(text, (start, len)) } else { LabeledSpan::new(text, start, len) }
}

/// What stands before a label's words: `╰── `.
const HOOK: usize = 4;

/// Words on lines of at most so many columns, where they fit; never narrower than a few words.
fn wrapped(text: &str, columns: usize) -> String {
    let columns = columns.max(12);
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for word in text.split(' ') {
        let width = word.width();
        if at > 0 && at + 1 + width > columns {
            out.push('\n');
            at = 0;
        } else if at > 0 {
            out.push(' ');
            at += 1;
        }
        out.push_str(word);
        at += width;
    }
    out
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.code.as_ref().map(|c| Box::new(c) as _)
    }
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|h| Box::new(h) as _)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|s| s as _)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}
