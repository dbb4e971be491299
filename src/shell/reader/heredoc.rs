//! Here-documents: announced by `<<`, read at the next line end.

use super::super::Context;
use super::super::command::{HereDoc, Redirect};
use super::super::refusal::RefusalKind;
use super::{Pending, Pieces, Read, Reader, Why};

impl Reader<'_> {
    /// The delimiter of `<<` or `<<-`.
    pub(super) fn announce(&mut self, start: usize, operator: &str, index: usize) -> Read<Redirect> {
        if self.in_stripped > 0 {
            return self.stop(start, Why::Syntax("a here-document stands inside one of `<<-`"));
        }
        if !self.in_parameter.is_empty() {
            return self.stop(start, Why::Syntax("a here-document stands inside `${…}`"));
        }
        let marks = self.marks.len();
        let target = self.word(false)?.word;
        let span = start..self.pos;
        // A value as the delimiter can't be looked for; one in a part of it neither.
        let holes = self.holes_in(target.span.clone());
        if !holes.is_empty() {
            self.marks.truncate(marks);
            self.refuse_in(target.span.clone(), &RefusalKind::HeredocDelimiter, span);
            return self.stop(start, Why::Syntax("the delimiter of this here-document is a value"));
        }
        let Some(delimiter) = target.text() else {
            return self.stop(start, Why::Syntax("shells differ about an expansion in a here-document's delimiter"));
        };
        if self.slice(target.span.clone()).contains('\n') {
            return self.stop(start, Why::Syntax("the delimiter of this here-document has several lines"));
        }
        let quoted = target.bare_text().is_none();
        self.pending.push(Pending {
            delimiter: delimiter.into_owned(),
            quoted,
            strip: operator == "<<-",
            at: start,
            place: (None, index),
        });
        Ok(Redirect { operator: operator.to_owned(), span, target, heredoc: None })
    }

    /// At a line's beginning: the bodies of all that were announced.
    pub(super) fn heredocs(&mut self) -> Read<()> {
        for pending in std::mem::take(&mut self.pending) {
            let (body, after) = self.body(&pending)?;
            let mut heredoc = HereDoc { body: body.clone(), quoted: pending.quoted, pieces: Vec::new() };
            if pending.quoted {
                for hole in self.holes_in(body.clone()) {
                    self.marks.push((hole, Context::Literal));
                }
                self.out.quoted.push(body);
            } else {
                let end = std::mem::replace(&mut self.end, body.end);
                self.pos = body.start;
                self.in_stripped += u32::from(pending.strip);
                let pieces = self.deeper(Reader::expanding)?;
                self.in_stripped -= u32::from(pending.strip);
                self.end = end;
                heredoc.pieces = pieces.list;
            }
            self.pos = after;
            let (command, index) = pending.place;
            let redirect = command.and_then(|c| self.out.commands.get_mut(c)).and_then(|c| c.redirects.get_mut(index));
            match redirect {
                Some(redirect) => redirect.heredoc = Some(heredoc),
                None => return self.stop(pending.at, Why::Syntax("this here-document begins inside its command")),
            }
        }
        Ok(())
    }

    /// Where the body lies, and where reading goes on after it.
    fn body(&mut self, pending: &Pending) -> Read<(std::ops::Range<usize>, usize)> {
        let start = self.pos;
        let mut line = start;
        let mut continued: Option<String> = None;
        while line < self.end {
            self.step()?;
            let rest = self.slice(line..self.end);
            let length = rest.find('\n').unwrap_or(rest.len());
            let content = rest.get(..length).unwrap_or("");
            let content = if pending.strip { content.trim_start_matches('\t') } else { content };
            let next = (line + length + 1).min(self.end);
            let is_end = content == pending.delimiter && self.holes_in(line..line + length).is_empty();
            if let Some(before) = continued.take() {
                // Whether the joined line or its second half is compared is not the same in all shells.
                if is_end || format!("{before}{content}") == pending.delimiter {
                    return self.stop(line, Why::Syntax("a line that ends in a backslash stands before a delimiter"));
                }
                // A long row of continued lines is no delimiter, and joining it would take quadratic time.
            }
            if is_end {
                return Ok((start..line, next));
            }
            let backslashes = content.bytes().rev().take_while(|b| *b == b'\\').count();
            if !pending.quoted && backslashes % 2 == 1 {
                let kept = content.strip_suffix('\\').unwrap_or(content);
                let short = kept.len() <= pending.delimiter.len();
                continued = Some(if short { kept.to_owned() } else { String::from("\0") });
            }
            line = next;
            if length == rest.len() {
                break;
            }
        }
        self.stop(pending.at, Why::Unclosed('<'))
    }

    /// A body that expands, up to `end`.
    fn expanding(&mut self) -> Read<Pieces> {
        let mut pieces = Pieces::default();
        while let Some(byte) = self.peek() {
            self.step()?;
            if let Some(hole) = self.take_hole(Context::HereDoc) {
                pieces.hole(hole);
                continue;
            }
            match byte {
                b'\\' => self.backslash_in_double(&mut pieces)?,
                b'$' => self.dollar(true, &mut pieces)?,
                b'`' => self.backtick(&mut pieces)?,
                _ => {
                    let from = self.pos;
                    self.pos += self.char_len();
                    pieces.text(self.slice(from..self.pos), true);
                }
            }
        }
        Ok(pieces)
    }
}
