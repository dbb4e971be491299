//! Level 1: the file's logical lines, with their heredocs.

use std::ops::Range;

use super::cx::{Cx, Node, read_text};
use super::grammar::Rule;
use super::{Keyword, codes};
use crate::diagnostic::Diagnostic;

/// How many heredocs without an end are answered before the rest of the file is given up.
const MAX_RESTARTS: usize = 100;

/// A logical line, or a blank or comment line.
#[derive(Debug)]
pub(super) struct Line {
    pub kind: Kind,
    /// Without the line end, and without an escape character that continues nothing.
    pub range: Range<usize>,
    /// What only some lines have.
    pub more: Option<Box<More>>,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Blank,
    Comment,
    /// `RUN` with plain text, from this byte on.
    PlainRun(usize),
    Code,
}

/// What is known of a line that isn't simple.
#[derive(Debug, Default)]
pub(super) struct More {
    pub markers: Vec<Marker>,
    /// The bodies, as far as they were found; as many as markers unless one is open.
    pub docs: Vec<Doc>,
    /// `<<` that can't be a heredoc's.
    pub bad_markers: Vec<Range<usize>>,
    /// Comment lines in a continuation.
    pub comments: Vec<Range<usize>>,
    /// Empty lines in a continuation, with their line ends.
    pub blanks: Vec<Range<usize>>,
    /// Comments after other text that end in the escape character.
    pub swallows: Vec<Range<usize>>,
    /// The escape character that continues nothing.
    pub dangling: Option<usize>,
}

/// `<<NAME`
#[derive(Clone, Debug)]
pub(super) struct Marker {
    pub range: Range<usize>,
    pub name: Range<usize>,
    pub quoted: bool,
    pub backslash: bool,
    pub strip: bool,
}

/// A heredoc's body and the line that ends it.
#[derive(Clone, Debug)]
pub(super) struct Doc {
    pub body: Range<usize>,
    /// Without the line end.
    pub end: Range<usize>,
}

/// All lines of the file, from byte `start` on.
pub(super) fn read(cx: &mut Cx<'_>, start: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut next = Some(start);
    let mut restarts = 0;
    while let Some(from) = next {
        next = section(cx, from, &mut lines);
        restarts += 1;
        if restarts > MAX_RESTARTS
            && let Some(at) = next
        {
            cx.push(
                Diagnostic::at(
                    &codes::TOO_LARGE,
                    cx.span(at, at),
                    "too many heredocs without an end: the rest is not read",
                )
                .help("mend the first ones; they may have swallowed the others"),
            );
            break;
        }
    }
    lines
}

/// Reads until the end of the file, or until a heredoc that has none; then it is reported, and the place where
/// reading goes on is returned.
fn section(cx: &mut Cx<'_>, from: usize, lines: &mut Vec<Line>) -> Option<usize> {
    let node = read_text(Rule::lines, cx.work_at(from, cx.work.len()))?;
    let mut next = None;
    for node in node.into_inner() {
        let span = node.as_span();
        let (start, end) = (from + span.start(), from + span.end());
        match node.as_rule() {
            Rule::blank => lines.push(Line { kind: Kind::Blank, range: trimmed(cx, start, end), more: None }),
            Rule::comment => lines.push(Line { kind: Kind::Comment, range: trimmed(cx, start, end), more: None }),
            Rule::simple => lines.push(Line { kind: Kind::Code, range: trimmed(cx, start, end), more: None }),
            Rule::plain_run => {
                let text = node.into_inner().find(|n| n.as_rule() == Rule::plain_text);
                let text = text.map_or(start, |n| from + n.as_span().start());
                lines.push(Line { kind: Kind::PlainRun(text), range: trimmed(cx, start, end), more: None });
            }
            Rule::logical => lines.push(logical(cx, from, node)),
            Rule::open_heredoc => {
                let mut line = logical(cx, from, node);
                next = open(cx, &mut line);
                lines.push(line);
            }
            _ => {}
        }
    }
    next
}

/// A line's range without its line end.
fn trimmed(cx: &Cx<'_>, start: usize, end: usize) -> Range<usize> {
    let text = cx.work_at(start, end);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    start..start + text.len()
}

fn logical(cx: &Cx<'_>, from: usize, node: Node<'_>) -> Line {
    let mut more = More::default();
    let mut range = from..from;
    let at = |n: &Node<'_>| from + n.as_span().start()..from + n.as_span().end();
    for part in node.into_inner() {
        let place = at(&part);
        match part.as_rule() {
            Rule::line_text => {
                range = trimmed(cx, place.start, place.end);
                for n in part.into_inner().flatten() {
                    let place = at(&n);
                    match n.as_rule() {
                        Rule::marker => more.markers.push(marker(cx, from, n)),
                        Rule::bad_marker => more.bad_markers.push(place),
                        Rule::inner_comment => more.comments.push(trimmed(cx, place.start, place.end)),
                        Rule::inner_blank => more.blanks.push(place),
                        Rule::tail_comment if n.clone().into_inner().any(|c| c.as_rule() == Rule::swallow) => {
                            let line_end = cx.work_at(place.start, place.end).find('\n').unwrap_or(place.len());
                            more.swallows.push(place.start + 1..place.start + line_end);
                        }
                        Rule::dangling => {
                            more.dangling = Some(place.start);
                            range.end = place.start;
                        }
                        _ => {}
                    }
                }
            }
            Rule::body1
            | Rule::body2
            | Rule::body3
            | Rule::body4
            | Rule::body5
            | Rule::body6
            | Rule::body7
            | Rule::body8 => more.docs.push(Doc { body: place.clone(), end: place.end..place.end }),
            Rule::end1 | Rule::end2 | Rule::end3 | Rule::end4 | Rule::end5 | Rule::end6 | Rule::end7 | Rule::end8 => {
                if let Some(doc) = more.docs.last_mut() {
                    doc.end = trimmed(cx, place.start, place.end);
                }
            }
            _ => {}
        }
    }
    Line { kind: Kind::Code, range, more: Some(Box::new(more)) }
}

fn marker(cx: &Cx<'_>, from: usize, node: Node<'_>) -> Marker {
    let span = node.as_span();
    let range = from + span.start()..from + span.end();
    let strip = cx.work_at(range.start, range.end).starts_with("<<-");
    let name = node.into_inner().next();
    let rule = name.as_ref().map(Node::as_rule);
    let name = name.map_or(range.clone(), |n| from + n.as_span().start()..from + n.as_span().end());
    Marker { range, name, quoted: rule != Some(Rule::name_bare), backslash: rule == Some(Rule::name_bs), strip }
}

/// A line with a heredoc that never ends: finds which, answers with the line that nearly ends it, and says where
/// to read on. The body found so is taken as meant.
fn open(cx: &mut Cx<'_>, line: &mut Line) -> Option<usize> {
    let mut at = line_after(cx, line.range.end);
    let more = line.more.get_or_insert_default();
    for marker in &more.markers {
        let name = cx.work_at(marker.name.start, marker.name.end);
        let mut scan = at;
        let mut near: Option<Range<usize>> = None;
        let mut instruction = None;
        let found = loop {
            if scan >= cx.work.len() {
                break None;
            }
            let end = line_after(cx, scan);
            let range = trimmed(cx, scan, end);
            let text = cx.work_at(range.start, range.end);
            let bare = if marker.strip { text.trim_start_matches([' ', '\t']) } else { text };
            if bare == name {
                break Some((range, end));
            }
            if near.is_none() && nearly(text, name) {
                near = Some(range.clone());
            }
            if instruction.is_none() && starts_instruction(text) {
                instruction = Some(scan);
            }
            scan = end;
        };
        if let Some((end, next)) = found {
            more.docs.push(Doc { body: at..end.start, end });
            at = next;
            continue;
        }
        let span = cx.span(marker.range.start, marker.range.end);
        let diagnostic = Diagnostic::at(&codes::UNTERMINATED_HEREDOC, span, format!("the heredoc `{name}` never ends"));
        if let Some(near) = near {
            more.docs.push(Doc { body: at..near.start, end: near.clone() });
            let written = cx.slice(cx.span(near.start, near.end));
            let (why, help) = if written.trim() == name && written.starts_with([' ', '\t']) {
                ("indented, so it is no terminator", format!("take the indentation off, or write `<<-{name}`"))
            } else if written.trim_end() == name {
                ("blanks after the name, so it is no terminator", "take them off".to_owned())
            } else {
                ("nearly the terminator", format!("the terminator is `{name}`, alone on its line"))
            };
            let place = cx.span(near.start, near.end);
            cx.push(diagnostic.primary(place, why).label(span, "opened here").help(help).replace(
                format!("write `{name}`"),
                true,
                place,
                name,
            ));
            return Some(line_after(cx, near.end));
        }
        let resume = instruction.unwrap_or(cx.work.len());
        more.docs.push(Doc { body: at..resume, end: resume..resume });
        cx.push(
            diagnostic
                .primary(span, format!("no line after it is `{name}` alone"))
                .help(format!("end its body by a line `{name}`, without blanks around it")),
        );
        return instruction;
    }
    Some(at)
}

/// The start of the next line.
pub(super) fn line_after(cx: &Cx<'_>, at: usize) -> usize {
    cx.work_at(at, cx.work.len()).find('\n').map_or(cx.work.len(), |n| at + n + 1)
}

/// Whether a line was probably meant as the terminator.
fn nearly(line: &str, name: &str) -> bool {
    let line = line.trim_matches([' ', '\t']);
    if line.is_empty() || line.len() > name.len() + 3 {
        return false;
    }
    let word = line.trim_matches(['\'', '"', ';', '`', '<', '-']);
    word.eq_ignore_ascii_case(name)
        || (name.len() >= 4 && word.chars().all(|c| !c.is_lowercase()) && strsim::damerau_levenshtein(word, name) == 1)
}

/// Whether a line begins an instruction, written as it should be.
pub(super) fn starts_instruction(line: &str) -> bool {
    let Some((word, _)) = line.split_once([' ', '\t']) else { return false };
    word.chars().all(|c| c.is_ascii_uppercase()) && Keyword::parse(word).is_some()
}
