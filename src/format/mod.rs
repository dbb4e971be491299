//! AST to canonical text.
//!
//! Keywords are upper case, flags come first, one blank separates words, one blank line at most separates lines.
//! Where the author broke a line it stays broken; shell text, prose and heredoc bodies stay as they were written.
//! Formatting twice changes nothing more, and the result [says the same](crate::syntax::same).
//!
//! ```
//! use vmwbuild::{diagnostic::Problems, format::format, source::Sources, syntax};
//!
//! let (mut sources, mut problems) = (Sources::new(), Problems::new());
//! let id = sources.add("VMWfile", None, "from  debian-12  as web\n\n\ncopy a /b --chmod=0644\n");
//! let file = syntax::parse(&sources, id, &mut problems);
//! assert!(!problems.has_errors());
//! assert_eq!(format(&file, &sources), "FROM debian-12 AS web\n\nCOPY --chmod=0644 a /b\n");
//! ```

mod expr;
mod units;

#[cfg(test)]
mod tests;

use crate::source::{Source, Sources};
use crate::syntax::Keyword;
use crate::syntax::ast::{File, Heredoc, Instruction, Item};
use units::{Unit, units};

/// What a continued line's parts are indented by.
const INDENT: &str = "    ";

/// The canonical text of a file that was read without errors. Line ends are those of the file's first line.
pub fn format(file: &File, sources: &Sources) -> String {
    let source = sources.get(file.source);
    let eol = if source.text.find('\n').is_some_and(|n| source.text.get(..n).is_some_and(|l| l.ends_with('\r'))) {
        "\r\n"
    } else {
        "\n"
    };
    let mut out = Writer { text: String::with_capacity(source.text.len() + 64), eol };
    let mut blank = false;
    for item in &file.items {
        let first = out.text.is_empty();
        match item {
            Item::Blank(_) => {
                blank = true;
                continue;
            }
            Item::Comment(comment) => {
                let line = format!("#{}", comment.node.trim_end());
                // A blank line keeps a comment from being a directive, at the top of the file.
                out.blank(blank && (!first || comment.node.contains('=')));
                out.line(&line);
            }
            Item::Directive { name, value, .. } => {
                out.blank(blank && !first);
                out.line(&format!("# {name}={value}"));
            }
            Item::Instruction(instruction) => {
                out.blank(blank && !first);
                out.line(&logical_line(instruction, file.escape, sources));
                for doc in &instruction.heredocs {
                    out.heredoc(doc, source);
                }
            }
        }
        blank = false;
    }
    out.text
}

struct Writer {
    text: String,
    eol: &'static str,
}

impl Writer {
    fn blank(&mut self, wanted: bool) {
        if wanted {
            self.text.push_str(self.eol);
        }
    }

    /// A line, or several with `\n` between.
    fn line(&mut self, line: &str) {
        for part in line.split('\n') {
            self.text.push_str(part.strip_suffix('\r').unwrap_or(part));
            self.text.push_str(self.eol);
        }
    }

    /// A body and its terminator, byte for byte.
    fn heredoc(&mut self, doc: &Heredoc, source: &Source) {
        let slice = |start: u32, end: u32| source.text.get(start as usize..end as usize).unwrap_or_default();
        self.text.push_str(slice(doc.body.span.start, doc.body.span.end));
        self.text.push_str(slice(doc.end.start, doc.end.end));
        self.text.push_str(self.eol);
    }
}

/// The instruction without its heredocs' bodies.
fn logical_line(instruction: &Instruction, escape: char, sources: &Sources) -> String {
    let keyword: Keyword = instruction.keyword.node;
    let mut out = keyword.name().to_owned();
    let mut list = units(instruction, escape, sources);
    place_comments(instruction, &mut list);
    let moved = list.iter().zip(list.iter().skip(1)).any(|(a, b)| !a.flag && b.flag);
    if moved && instruction.comments.is_empty() {
        // Stable: flags keep their order, and so do the others.
        list.sort_by_key(|u| !u.flag);
    }
    let mut dashes = false;
    for unit in list {
        if unit.broken || !unit.comments.is_empty() {
            out.push(' ');
            out.push(escape);
            out.push('\n');
            for comment in &unit.comments {
                out.push_str(&format!("{INDENT}#{}\n", comment.trim_end()));
            }
            out.push_str(INDENT);
        } else {
            out.push(' ');
        }
        if !unit.flag && !dashes && !unit.verbatim && unit.text.starts_with("--") {
            out.push_str("-- ");
            dashes = true;
        }
        out.push_str(&unit.text);
    }
    out
}

/// Finds for each unit whether the author broke the line before it, and which comments stood there.
fn place_comments(instruction: &Instruction, list: &mut [Unit]) {
    list.sort_by_key(|u| u.start);
    let mut comments = instruction.comments.iter().peekable();
    let count = list.len();
    for (i, unit) in list.iter_mut().enumerate() {
        let last = i + 1 == count;
        while let Some(comment) = comments.peek() {
            // Those inside verbatim text are in it already.
            let inside = unit.verbatim && comment.span.start >= unit.start && comment.span.end <= unit.end;
            if !inside && !last && comment.span.start >= unit.end {
                break;
            }
            if !inside {
                unit.comments.push(comment.node.clone());
            }
            comments.next();
        }
    }
}
