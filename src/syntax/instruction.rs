//! One logical line that begins with a keyword.

use super::ast::{Body, Command, Instruction, KeyFrom, OnFail, Piece, Quote, Text, WaitFor};
use super::cx::Cx;
use super::forms::{self, Form, Lacking};
use super::heredoc::heredoc;
use super::lines::{Kind, Line, Marker, More};
use super::{Keyword, codes, misfit};
use crate::diagnostic::{Diagnostic, Edit};
use crate::source::Spanned;

/// The longest logical line, in bytes.
const MAX_LINE: usize = 1 << 20;

/// Reads the line whose keyword stands at `start..end`. None when nothing of it could be kept.
pub(super) fn read(cx: &mut Cx<'_>, keyword: Keyword, start: usize, end: usize, line: &Line) -> Option<Instruction> {
    let keyword = Spanned::new(keyword, cx.span(start, end));
    let span = cx.span(start, line.range.end);
    if line.range.len() > MAX_LINE {
        cx.push(
            Diagnostic::at(&codes::TOO_LARGE, keyword.span, "the line is longer than 1 MiB")
                .help("bring data into the guest by COPY, from a file"),
        );
        return None;
    }
    let args = cx.work_at(end, line.range.end);
    let stop = end + args.trim_end_matches([' ', '\t']).len();
    if let Kind::PlainRun(from) = line.kind {
        let place = cx.span(from, stop);
        let text = cx.slice(place).to_owned();
        let pieces = vec![Piece::Literal { span: place, text, quote: Quote::Bare }];
        let body = Body::Run { command: Command::Shell(Text { span: place, pieces }) };
        return Some(Instruction {
            span,
            keyword,
            flags: Vec::new(),
            body,
            heredocs: Vec::new(),
            comments: Vec::new(),
        });
    }
    let none = More::default();
    let more = line.more.as_deref().unwrap_or(&none);
    continuations(cx, more);
    let (body, flags) = read_body(cx, keyword.node, (start, end), stop, &more.markers)?;
    let script = is_script(&body);
    let mut heredocs = Vec::new();
    if forms::takes_heredocs(keyword.node) {
        bad_markers(cx, more);
        for (marker, doc) in more.markers.iter().zip(&more.docs) {
            backslash_name(cx, marker);
            heredocs.push(heredoc(cx, marker, doc, script));
        }
    } else if let [marker, ..] = more.markers.as_slice() {
        let place = cx.span(marker.range.start, marker.range.end);
        cx.push(
            Diagnostic::at(&codes::BAD_HEREDOC, place, format!("{} takes no heredoc", keyword.node))
                .help("only commands and COPY take one; where `<<` is meant as text, put it in quotes"),
        );
    }
    let comments = more
        .comments
        .iter()
        .map(|r| {
            let line = cx.span(r.start, r.end);
            let text = cx.slice(line);
            let indent = text.len() - text.trim_start().len();
            let text = text.trim_start();
            Spanned::new(text.strip_prefix('#').unwrap_or(text).to_owned(), cx.span(r.start + indent, r.end))
        })
        .collect();
    Some(Instruction { span, keyword, flags, body, heredocs, comments })
}

fn read_body(
    cx: &mut Cx<'_>,
    keyword: Keyword,
    (start, end): (usize, usize),
    stop: usize,
    markers: &[Marker],
) -> Option<(Body, Vec<super::ast::Flag>)> {
    let mut stop = stop;
    if !cx.work_at(end, stop).starts_with([' ', '\t', '\\']) && end < stop {
        let place = cx.span(end, end + cx.work_at(end, stop).chars().next().map_or(0, char::len_utf8));
        cx.push(
            Diagnostic::at(&codes::UNEXPECTED_ARGUMENT, place, format!("a blank is missing after {keyword}"))
                .help("put a blank between the instruction and what follows")
                .replace("put a blank there", false, cx.span(end, end), " "),
        );
        return None;
    }
    for _ in 0..2 {
        match cx.read(forms::rule(keyword), end, stop) {
            Ok(node) => {
                let mut form = Form { cx: &mut *cx, keyword, flags: Vec::new(), markers };
                let body = form.body(node);
                let mut flags = form.flags;
                flags.sort_by_key(|f| f.span);
                return match body {
                    Ok(body) => {
                        misfit::inline_comments(cx, &body, stop);
                        Some((body, flags))
                    }
                    Err(Lacking(what)) => {
                        misfit::missing(cx, keyword, cx.span(start, stop), what);
                        misfit::salvage(cx, keyword, end, stop).map(|b| (b, flags))
                    }
                };
            }
            Err(error) => match misfit::report(cx, keyword, (start, end), stop, &error) {
                // Without the comment at its end the line may be right.
                Some(shorter) => stop = shorter,
                None => return misfit::salvage(cx, keyword, end, stop).map(|b| (b, Vec::new())),
            },
        }
    }
    misfit::salvage(cx, keyword, end, stop).map(|b| (b, Vec::new()))
}

fn is_script(body: &Body) -> bool {
    matches!(
        body,
        Body::Run { command: Command::Script }
            | Body::Key { from: KeyFrom::Run(Command::Script), .. }
            | Body::Wait { what: WaitFor::Run(Command::Script) }
            | Body::OnFail { action: OnFail::Run(Command::Script) }
            | Body::Healthcheck { command: Command::Script }
            | Body::OnRemove { command: Command::Script }
    )
}

fn backslash_name(cx: &mut Cx<'_>, marker: &Marker) {
    if !marker.backslash {
        return;
    }
    let place = cx.span(marker.range.start, marker.range.end);
    let name = cx.work_at(marker.name.start, marker.name.end);
    let dash = if marker.strip { "-" } else { "" };
    let new = format!("<<{dash}'{name}'");
    cx.push(
        Diagnostic::at(&codes::BAD_HEREDOC, place, "a heredoc's name is quoted by quotes")
            .help(format!("write `{new}`"))
            .replace(format!("write `{new}`"), true, place, new),
    );
}

/// `<<` that looks like a heredoc's marker and can't be one.
fn bad_markers(cx: &mut Cx<'_>, more: &More) {
    for range in &more.bad_markers {
        let place = cx.span(range.start, range.end);
        let written = cx.slice(place);
        if written.contains('$') {
            cx.push(
                Diagnostic::at(&codes::BAD_HEREDOC, place, "a heredoc's name must be known when the file is read")
                    .help("write a name, as in `<<EOF`; values can be put into its body"),
            );
        } else if more.markers.len() >= 8 {
            cx.push(
                Diagnostic::at(&codes::BAD_HEREDOC, place, "a line can have eight heredocs, this is the ninth")
                    .help("split it into several instructions"),
            );
            break;
        }
    }
}

/// Whether what follows the line may be the body of a heredoc that could not be followed.
pub(super) fn lost_heredoc(cx: &Cx<'_>, line: &Line) -> bool {
    line.more
        .as_ref()
        .is_some_and(|m| m.bad_markers.iter().any(|r| m.markers.len() >= 8 || cx.work_at(r.start, r.end).contains('$')))
}

/// What is wrong with how a line goes on.
fn continuations(cx: &mut Cx<'_>, more: &More) {
    if let (Some(first), Some(last)) = (more.blanks.first(), more.blanks.last()) {
        let place = cx.span(first.start, first.start);
        let edits =
            more.blanks.iter().map(|b| Edit { span: cx.span(b.start, b.end), text: String::new() }).collect::<Vec<_>>();
        let many = if first == last { "an empty line" } else { "empty lines" };
        cx.push(
            Diagnostic::at(&codes::BLANK_IN_CONTINUATION, place, format!("{many} inside a line that goes on"))
                .primary(place, "the line above ends in the escape character")
                .help(format!("take {} out", if first == last { "it" } else { "them" }))
                .fix(format!("take {many} out"), true, edits),
        );
    }
    for range in &more.swallows {
        let place = cx.span(range.start, range.end);
        cx.push(
            Diagnostic::at(&codes::COMMENT_SWALLOWS, place, "the line goes on inside a comment")
                .primary(place, "a shell takes this as a comment, and what follows apart")
                .help("put the comment on a line of its own: comment lines may stand between"),
        );
    }
    if let Some(at) = more.dangling {
        dangling(cx, at);
    }
}

/// An escape character at a line's end, and nothing there to go on with.
fn dangling(cx: &mut Cx<'_>, at: usize) {
    let place = cx.span(at, at + 1);
    let mut start = at;
    while start > 0 && cx.work_at(start - 1, start).starts_with([' ', '\t']) {
        start -= 1;
    }
    let removed = cx.span(start, at + 1);
    let mut next = super::lines::line_after(cx, at);
    let mut blank = false;
    loop {
        if next >= cx.text.len() {
            cx.push(
                Diagnostic::at(&codes::CONTINUATION_AT_END, place, "the last line goes on, but nothing follows")
                    .help(format!("take the `{}` away", cx.escape))
                    .replace("take it away", true, removed, ""),
            );
            return;
        }
        let end = super::lines::line_after(cx, next);
        let text = cx.work_at(next, end).trim();
        if text.is_empty() {
            blank = true;
        } else if !text.starts_with('#') {
            let word = text.split([' ', '\t']).next().unwrap_or_default();
            let word_span = cx.span(next, next + word.len());
            let message = if blank {
                format!("the line goes on, but an empty line and then {word} follow")
            } else {
                format!("the line goes on, and would swallow the {word} that follows")
            };
            let help = if blank {
                format!("take the `{}` away", cx.escape)
            } else {
                format!("take the `{}` away; if `{word}` is an argument, indent its line", cx.escape)
            };
            cx.push(
                Diagnostic::at(&codes::SWALLOWED_INSTRUCTION, place, message)
                    .primary(place, "the line goes on")
                    .label(word_span, "an instruction")
                    .help(help)
                    .replace("take it away", true, removed, ""),
            );
            return;
        }
        next = end;
    }
}
