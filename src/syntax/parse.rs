//! A whole file, and texts by themselves.

use std::borrow::Cow;
use std::sync::Arc;

use super::ast::{Expr, ExprKind, File, Item, Text};
use super::confusion::{self, Before};
use super::cx::Cx;
use super::decode::MAX_FILE;
use super::grammar::Rule;
use super::lines::{self, Kind, Line};
use super::words::{self, Mode};
use super::{Keyword, codes, directive, expr, heredoc, instruction};
use crate::diagnostic::{Diagnostic, Problems, Severity};
use crate::source::{SourceId, Sources, Spanned};

/// The most errors that are reported of one file.
const MAX_ERRORS: usize = 300;

/// Reads a file. What is wrong is added to `problems`, and left out of the result or replaced by the nearest right
/// thing. INCLUDE is an instruction like others here: nothing is read but the one file.
pub fn parse(sources: &Sources, id: SourceId, problems: &mut Problems) -> File {
    let text: &str = &sources.get(id).text;
    let mut cx = Cx::new(id, text);
    let mut items = Vec::new();
    let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
    if text.len() > MAX_FILE {
        cx.push(
            Diagnostic::at(&codes::TOO_LARGE, cx.span(0, 0), format!("the file has {} MiB", text.len() >> 20))
                .help("is it the right file? 64 MiB is the limit"),
        );
        problems.extend(cx.problems);
        return File { source: id, escape: '\\', items };
    }
    if is_json(text.get(start..).unwrap_or_default()) {
        let brace = start + text.get(start..).and_then(|t| t.find('{')).unwrap_or(0);
        cx.push(
            Diagnostic::at(&codes::JSON_FILE, cx.span(brace, brace + 1), "this is JSON, not a VMWfile")
                .help("`vmwbuild convert FILE.json` makes a VMWfile of a vmwscript deployment"),
        );
        problems.extend(cx.problems);
        return File { source: id, escape: '\\', items };
    }
    if let Some(at) = yaml(text.get(start..).unwrap_or_default()) {
        let line = text.get(start + at..).and_then(|t| t.lines().next()).map_or(0, |l| l.trim_end().len());
        cx.push(
            Diagnostic::at(&codes::YAML_FILE, cx.span(start + at, start + at + line), "this is YAML, not a VMWfile")
                .help("a line of a VMWfile begins with an instruction: `FROM template AS name`, `RUN command`, …"),
        );
        problems.extend(cx.problems);
        return File { source: id, escape: '\\', items };
    }
    let (start, escape) = directive::read(&mut cx, start, &mut items);
    let work = work_text(text, escape);
    let mut cx = Cx { work: &work, escape, ..cx };
    let lines = lines::read(&mut cx, start);
    let mut before = Before::default();
    let mut lost = false;
    for line in &lines {
        if before.braces > 0 {
            skip_block(&cx, &mut before, line);
            continue;
        }
        if lost && !lines::starts_instruction(cx.work_at(line.range.start, line.range.end)) {
            continue;
        }
        lost = item(&mut cx, line, &mut before, &mut items);
    }
    problems.extend(limited(cx));
    File { source: id, escape, items }
}

/// The text as pest reads it: ends in a line end, and has `\` as its escape character.
fn work_text(text: &str, escape: char) -> Cow<'_, str> {
    if escape == '\\' && (text.ends_with('\n') || text.is_empty()) {
        return Cow::Borrowed(text);
    }
    let mut work: String = if escape == '\\' {
        text.to_owned()
    } else {
        text.chars()
            .map(|c| match c {
                '`' => '\\',
                '\\' => '`',
                c => c,
            })
            .collect()
    };
    if !work.ends_with('\n') {
        work.push('\n');
    }
    Cow::Owned(work)
}

fn is_json(text: &str) -> bool {
    let mut rest = text.trim_start();
    if !rest.starts_with('{') {
        return false;
    }
    rest = rest.get(1..).unwrap_or_default().trim_start();
    rest.starts_with('"') || rest.starts_with('}')
}

/// Where the first line that is no comment stands, if it is YAML's: `---`, `- item`, `key:`.
fn yaml(text: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let words = line.trim();
        if words.is_empty() || words.starts_with('#') {
            at += line.len();
            continue;
        }
        let first = words.split_ascii_whitespace().next().unwrap_or_default();
        let key = first.strip_suffix(':').is_some_and(|k| {
            !k.is_empty()
                && k.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '-')
                && Keyword::parse(k).is_none()
        });
        return (words == "---" || first == "-" || key).then_some(at);
    }
    None
}

/// Of errors the first few hundred, by place, and a count of the others.
fn limited(cx: Cx<'_>) -> Vec<Diagnostic> {
    let Cx { id, problems: mut found, unkept, .. } = cx;
    let errors = found.iter().filter(|d| d.severity == Severity::Error).count();
    if errors <= MAX_ERRORS {
        return found;
    }
    found.sort_by_key(|d| (d.severity != Severity::Error, d.primary.as_ref().map(|l| l.span)));
    let rest = found.split_off(errors);
    let more = errors - MAX_ERRORS + unkept;
    found.truncate(MAX_ERRORS);
    let last = found.iter().filter_map(|d| d.primary.as_ref()).map(|l| l.span).max();
    let place = last.unwrap_or(crate::source::Span::new(id, 0, 0)).after();
    found.push(
        Diagnostic::at(&codes::TOO_MANY, place, format!("{more} more errors in this file are not shown"))
            .help("mend the first ones; others may follow from them")
            .standing_for(more),
    );
    found.extend(rest);
    found
}

fn skip_block(cx: &Cx<'_>, before: &mut Before, line: &Line) {
    let text = cx.work_at(line.range.start, line.range.end);
    // `${{ … }}` and the like close what they open.
    before.braces = (before.braces + text.matches('{').count()).saturating_sub(text.matches('}').count());
}

/// One line. Returns whether what follows may be the body of a heredoc that could not be followed.
fn item(cx: &mut Cx<'_>, line: &Line, before: &mut Before, items: &mut Vec<Item>) -> bool {
    let span = cx.span(line.range.start, line.range.end);
    match line.kind {
        Kind::Blank => {
            items.push(Item::Blank(span));
            before.report = None;
            return false;
        }
        Kind::Comment => {
            let text = cx.slice(span);
            let indent = text.len() - text.trim_start().len();
            let span = cx.span(line.range.start + indent, line.range.end);
            let text = cx.slice(span);
            directive::comment(cx, span);
            items.push(Item::Comment(Spanned::new(text.strip_prefix('#').unwrap_or(text).to_owned(), span)));
            return false;
        }
        Kind::PlainRun(_) | Kind::Code => {}
    }
    let text = cx.work_at(line.range.start, line.range.end);
    let indent = text.len() - text.trim_start_matches([' ', '\t']).len();
    let start = line.range.start + indent;
    let rest = cx.work_at(start, line.range.end);
    let word_end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let word = rest.get(..word_end).unwrap_or_default();
    if rest.is_empty() {
        // A continuation of nothing; a lone escape character.
        if let Some(at) = line.more.as_ref().and_then(|m| m.dangling) {
            cx.push(
                Diagnostic::at(&codes::CONTINUATION_AT_END, cx.span(at, at + 1), "nothing goes on here")
                    .help("take the line away"),
            );
        }
        return false;
    }
    let Some(keyword) = Keyword::parse(word) else {
        let blank = rest.find([' ', '\t', '\n', '\r']).unwrap_or(rest.len());
        let place = cx.span(start, start + blank);
        // What is told of the slip is enough: a stage that it opens is one for what follows, and what it uses is used. A
        // line of a command that lost its place is in lower case, and isn't taken for an instruction.
        let meant = confusion::line(cx, before, line.range.clone(), place).filter(|keyword| {
            matches!(keyword, Keyword::From | Keyword::On) || word.bytes().all(|b| b.is_ascii_uppercase())
        });
        if let Some(keyword) = meant {
            let told = (cx.problems.len(), cx.warnings, cx.unkept);
            let read = instruction::read(cx, keyword, start, start + word_end, line);
            items.extend(read.map(|read| Item::Instruction(Arc::new(read))));
            (cx.warnings, cx.unkept) = (told.1, told.2);
            cx.problems.truncate(told.0);
        }
        return instruction::lost_heredoc(cx, line);
    };
    if let Some(instruction) = instruction::read(cx, keyword, start, start + word_end, line) {
        items.push(Item::Instruction(Arc::new(instruction)));
    }
    *before = Before {
        end: Some(line.range.end),
        start: line.range.start,
        docs: line.more.as_ref().is_some_and(|m| !m.docs.is_empty()),
        report: None,
        braces: 0,
    };
    instruction::lost_heredoc(cx, line)
}

/// Reads a whole source as one expression, as after `=` in an ARG.
pub fn parse_expr(sources: &Sources, id: SourceId, problems: &mut Problems) -> Expr {
    let text: &str = &sources.get(id).text;
    let mut cx = Cx::new(id, text);
    let expr = match cx.read(Rule::lone_expr, 0, text.len()) {
        Ok(node) => expr::alone(&mut cx, node),
        // The rule takes any text.
        Err(_) => Expr { span: cx.span(0, text.len()), kind: ExprKind::Bad },
    };
    problems.extend(limited(cx));
    expr
}

/// Reads a whole source as text with interpolations, as a heredoc's body that is not quoted: what `COPY --render`
/// copies. The text keeps its line ends.
pub fn parse_body(sources: &Sources, id: SourceId, problems: &mut Problems) -> Text {
    let text: &str = &sources.get(id).text;
    let mut cx = Cx::new(id, text);
    let body = heredoc::whole(&mut cx);
    problems.extend(limited(cx));
    body
}

/// Reads a whole source as words, as an instruction's arguments: quotes, escapes and interpolations, no flags.
pub fn parse_words(sources: &Sources, id: SourceId, problems: &mut Problems) -> Vec<Text> {
    let text: &str = &sources.get(id).text;
    let mut cx = Cx::new(id, text);
    let mut out = Vec::new();
    match cx.read(Rule::lone_words, 0, text.len()) {
        Ok(node) => {
            for part in node.into_inner() {
                if part.as_rule() == Rule::word {
                    out.push(words::text(&mut cx, part, Mode::Word));
                }
            }
        }
        Err(misfit) => cx.push(
            Diagnostic::at(&codes::UNEXPECTED_ARGUMENT, cx.span(misfit.at, text.len()), "this is no word")
                .help("a word has no line end in it"),
        ),
    }
    problems.extend(limited(cx));
    out
}
