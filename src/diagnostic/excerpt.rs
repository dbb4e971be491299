//! What of a file is drawn: lines of any length and any characters, so that a terminal can show them.

use miette::{MietteError, MietteSpanContents, NamedSource, SourceCode, SourceSpan, SpanContents};

use unicode_width::UnicodeWidthStr as _;

use super::Label;
use super::secret::blanked;
use super::text::{commands, shown};
use crate::source::Sources;

/// Lines longer than this many bytes are abridged: nobody reads more, and miette can't draw more than 65,535 columns.
const LONGEST: usize = 1000;
/// How many bytes stay before and after each end of what is pointed at.
const AROUND: usize = 100;
/// Stands for what was left out.
const GAP: &str = " ... ";

/// Lines that are kept around those that are pointed at; miette draws one.
const CONTEXT: usize = 2;

/// The lines of a file that are drawn, and where its places are in them.
#[derive(Debug)]
pub(super) struct Excerpt {
    pub(super) source: NamedSource<Lines>,
    /// The byte of the file with which they begin.
    from: usize,
    /// What was left out: from, to (bytes after `from`).
    gaps: Vec<(usize, usize)>,
    len: usize,
}

/// Some lines of a file.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: String,
    /// How many stand before them.
    before: usize,
    /// Where labels begin, and in which column of the file, from 0.
    columns: Vec<(usize, usize)>,
}

impl SourceCode for Lines {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let found = self.text.read_span(span, before, after)?;
        let line = found.line() + self.before;
        // Columns count characters, and what was left out of the line: miette counts the bytes that it is given.
        let known = self.columns.iter().find(|(at, _)| before == 0 && after == 0 && *at == span.offset());
        let column = known.map_or(found.column(), |(_, column)| *column);
        Ok(Box::new(MietteSpanContents::new(found.data(), *found.span(), line, column, found.line_count())))
    }
}

impl Excerpt {
    /// The file of `labels`, which are all in one; there is at least one.
    /// Lines wider than `width` are abridged.
    pub(super) fn new(sources: &Sources, labels: &[&Label], width: Option<usize>) -> Self {
        let Some(first) = labels.first() else {
            return Excerpt { source: NamedSource::new("", Lines::default()), from: 0, gaps: Vec::new(), len: 0 };
        };
        let file = sources.get(first.span.source);
        let ends = labels.iter().flat_map(|l| [l.span.start, l.span.end]);
        let lines: Vec<usize> = ends.clone().map(|at| file.line_col(at).0).collect();
        let top = lines.iter().min().map_or(1, |line| line.saturating_sub(CONTEXT).max(1));
        let bottom = lines.iter().max().map_or(1, |line| line + CONTEXT);
        let range = file.lines(top, bottom);
        let from = range.start;
        let whole = blanked(sources, first.span.source, range);
        let ends: Vec<usize> = ends.map(|at| (at as usize).saturating_sub(from)).collect();
        let gaps = gaps(&whole, &ends, width.map_or(LONGEST, |w| w.min(LONGEST)));
        let mut text = String::with_capacity(whole.len().min(1 << 20));
        let mut at = 0;
        for (from, to) in &gaps {
            text.push_str(&plain(whole.get(at..*from).unwrap_or_default()));
            text.push_str(GAP);
            at = *to;
        }
        text.push_str(&plain(whole.get(at..).unwrap_or_default()));
        let len = text.len();
        let mut excerpt = Excerpt { source: NamedSource::new("", Lines::default()), from, gaps, len };
        let columns = labels.iter().map(|l| (excerpt.place(l).0, file.line_col(l.span.start).1 - 1)).collect();
        excerpt.source = NamedSource::new(shown(&file.name), Lines { text, before: top - 1, columns });
        excerpt
    }

    /// Where a label is in what is drawn: its start and length.
    pub(super) fn place(&self, label: &Label) -> (usize, usize) {
        let (start, end) = (self.offset(label.span.start as usize), self.offset(label.span.end as usize));
        (start, end.saturating_sub(start))
    }

    /// The column in what is drawn at which a place begins, from 0.
    pub(super) fn column(&self, at: usize) -> usize {
        let before = self.source.inner().text.get(..at).unwrap_or_default();
        before.rsplit('\n').next().unwrap_or_default().width()
    }

    fn offset(&self, at: usize) -> usize {
        let at = at.saturating_sub(self.from);
        let mut shifted = at;
        for (from, to) in self.gaps.iter().take_while(|(from, _)| *from < at) {
            shifted = (shifted + GAP.len()).saturating_sub(at.min(*to) - from);
        }
        shifted.min(self.len)
    }
}

/// One line of a file for a message, and where a byte of it is then: a long one is abridged, but for its beginning and what
/// stands around that byte.
pub(crate) fn abridged(line: &str, at: usize) -> (String, usize) {
    const MOST: usize = 200;
    let (mut out, mut done, mut place) = (String::new(), 0, at);
    for (from, to) in gaps(line, &[at], MOST) {
        out.push_str(line.get(done..from).unwrap_or_default());
        out.push_str(GAP);
        if to <= at {
            place = (place + GAP.len()).saturating_sub(to - from);
        }
        done = to;
    }
    out.push_str(line.get(done..).unwrap_or_default());
    (out, place)
}

/// What of `text` is left out of lines longer than that many bytes when `ends` are pointed at.
fn gaps(text: &str, ends: &[usize], longest: usize) -> Vec<(usize, usize)> {
    // Three pieces and two gaps fit beside each other, with a word between.
    let around = AROUND.min(longest / 5);
    let mut gaps = Vec::new();
    let mut start = 0;
    for line in text.split('\n') {
        let end = start + line.len();
        if line.len() > longest && (longest == LONGEST || line.width() > longest) {
            let mut kept: Vec<(usize, usize)> = ends
                .iter()
                .filter(|at| (start..=end).contains(*at))
                .map(|at| (at.saturating_sub(around).max(start), (at + around).min(end)))
                .chain([(start, start + around)])
                .map(|(from, to)| (text.floor_char_boundary(from), text.ceil_char_boundary(to)))
                .collect();
            kept.sort_unstable();
            // Many ends in one line would make it long again.
            kept.truncate(100);
            let mut at = start;
            for (from, to) in kept {
                if from > at + GAP.len() {
                    gaps.push((at, from));
                }
                at = at.max(to);
            }
            if end > at + GAP.len() {
                gaps.push((at, end));
            }
        }
        start = end + 1;
    }
    gaps
}

/// `text` of the same length in bytes, without what commands a terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => c,
            c if !commands(c) => c,
            c => match c.len_utf8() {
                1 => '?',
                2 => '\u{b7}',
                _ => char::REPLACEMENT_CHARACTER,
            },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::diagnostic::{Code, Diagnostic, Severity, Style, render};
    use crate::source::Span;

    static CODE: Code = Code { number: 1, name: "test", severity: Severity::Error, about: "", wrong: "", right: "" };

    fn drawn(text: &str, start: usize, end: usize) -> String {
        let mut sources = Sources::new();
        let id = sources.add("f", None, text.to_owned());
        let span = Span { source: id, start: start as u32, end: end as u32 };
        let found = Diagnostic::at(&CODE, span, "here \u{1b}[2J it is");
        render(&found, &sources, Style::plain())
    }

    #[test]
    fn a_long_line_in_a_message_is_abridged() {
        assert_eq!(abridged("short = = 1", 8), ("short = = 1".to_owned(), 8));
        let long = format!("{}HERE{}", "a".repeat(5000), "b".repeat(5000));
        let (line, at) = abridged(&long, 5000);
        assert_eq!(line, format!("{} ... {}HERE{} ... ", "a".repeat(40), "a".repeat(40), "b".repeat(36)));
        assert_eq!(line.get(at..at + 4), Some("HERE"));
    }

    #[test]
    fn a_line_of_any_length_is_drawn_around_the_place() {
        for at in [0, 5, 99, 150, 5_000, 70_000, 399_990] {
            let mut text = "x".repeat(400_000);
            text.replace_range(at..at + 3, "YYY");
            let text = format!("first\n{text}\nlast\n");
            let out = drawn(&text, at + 6, at + 9);
            assert!(out.contains("YYY") && out.len() < 2000, "{at}: {out}");
            let lines: Vec<&str> = out.lines().collect();
            let place = lines.iter().position(|l| l.contains("YYY")).unwrap();
            // The mark stands below what it points at.
            assert_eq!(lines[place].find("YYY"), lines[place + 1].find("^"), "{at}: {out}");
        }
        let long = "é".repeat(300_000);
        assert!(drawn(&long, 0, long.len()).len() < 5000);
    }

    #[test]
    fn columns_count_characters_of_the_file() {
        assert!(drawn("RUN 日本語 YYY\n", 14, 17).contains("[f:1:9]"));
        let text = "é".repeat(3000) + "YYY";
        assert!(drawn(&text, 6000, 6003).contains("[f:1:3001]"));
    }

    #[test]
    fn a_narrow_terminal_sees_the_place() {
        let mut sources = Sources::new();
        let text = format!("first\n{}YYY{}\nlast\n", "日本 ".repeat(30), " x".repeat(50));
        let at = text.find("YYY").unwrap();
        let id = sources.add("f", None, text);
        let span = Span { source: id, start: at as u32, end: at as u32 + 3 };
        let found = Diagnostic::at(&CODE, span, "this is it")
            .primary(span, "what is said of this place is longer than the terminal is wide, so that it is broken");
        for width in [40, 60, 80] {
            let out = render(&found, &sources, Style { width, cut: Some(width), ..Style::plain() });
            assert!(out.lines().all(|l| l.width() <= width), "{width}:\n{out}");
            assert!(out.contains("YYY") && out.contains("[f:2:91]"), "{out}");
        }
    }

    #[test]
    fn nothing_commands_the_terminal() {
        let out = drawn("RUN \u{1b}]0;x\u{7} \u{9b}2J \u{202e}abc YYY\n", 0, 3);
        assert!(!out.contains(|c: char| commands(c) && c != '\n'), "{out:?}");
        assert!(out.contains(r"here \u{1b}[2J it is"), "{out}");
    }
}
