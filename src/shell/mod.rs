//! Reading shell text: in which context each interpolated value stands, and putting constants there.
//!
//! A shell never gets a value as part of its text. The text of a script has *holes*, the places of its `${{ … }}`;
//! [`read`] finds out in which [`Context`] each stands, [`weave`] puts a constant there (`"${_vmw1}"`, say), and
//! [`assignment`] writes the line before the script that gives the constant its value. So a value is data wherever
//! it lands, whatever it contains, and what is left to get wrong is the context; hence two independent readings
//! must agree on it: our own ([`reader`]) and, but for plain commands, a parser crate ([`second`]).
//!
//! Text that a shell reads a second time (`eval`, `sh -c`, `ssh host …`), places that name a variable and places
//! that evaluate arithmetic would make code of data all the same: [`rules`] refuses values there.

mod cmd;
pub mod codes;
mod command;
mod dialect;
mod explain;
mod lints;
mod plain;
mod powershell;
mod reader;
mod refusal;
mod reread;
mod rules;
mod second;
#[cfg(test)]
mod tests;
mod weave;
mod wrappers;

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

pub use command::{Assignment, Command, CommandKind, HereDoc, Piece, Redirect, Word};
pub use dialect::{Dialect, dialect_of};
pub use explain::{Explanation, explain};
pub use lints::{ExternalArgument, ForeignCode, external_arguments, foreign_code};
pub use refusal::{CmdTrap, Place, Refusal, RefusalKind};
pub use weave::{assignment, insert_raw, powershell_assignment, powershell_number, quote, weave};
pub use wrappers::{Call, calls};

use reader::{Mode, Why};

/// The longest shell text that is read, in bytes.
pub const MAX_TEXT: usize = 64 * 1024;

/// What is known of a value before there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoleKind {
    /// An integer, canonical decimal.
    Int,
    /// Bool, ip, cidr, duration, size: text that can't be code.
    Plain,
    /// Any text.
    Text,
    /// A list; never right in shell text.
    List,
    /// Text that `| quote` made one word of shell text.
    Quoted,
    /// Text that `| raw` declared to be code.
    Raw,
}

/// The place of one `${{ … }}` in a shell text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// What will stand there.
    pub kind: HoleKind,
}

impl Hole {
    /// A hole at a byte range.
    pub fn new(range: Range<usize>, kind: HoleKind) -> Self {
        Hole { start: range.start, end: range.end, kind }
    }

    /// Its byte range.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// Where a value stands, and so which constant is put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// Outside quotes: `"${_vmw1}"`.
    Bare,
    /// In `"…"`: `${_vmw1}`.
    DoubleQuoted,
    /// In `'…'`: `'"${_vmw1}"'`.
    SingleQuoted,
    /// In a here-document that expands: `${_vmw1}`.
    HereDoc,
    /// In `$((…))` or `((…))`: `(${_vmw1})`.
    Arithmetic,
    /// In a comment: nothing.
    Comment,
    /// In a here-document with a quoted delimiter: no interpolation, the text stays.
    Literal,
    /// Code, inserted as it is: `| raw`, and every value for `cmd`.
    Verbatim,
    /// A whole argument for PowerShell: `${_vmw1}`.
    PsArgument,
    /// In PowerShell's `"…"` or `@"`: `${_vmw1}`.
    PsDoubleQuoted,
}

/// Finds the context of every hole of a shell text, in their order.
///
/// Holes are sorted, don't overlap and lie in the text. A text without holes is not read at all.
///
/// # Errors
/// All the holes at which no value may stand, each with why.
pub fn read(dialect: Dialect, text: &str, holes: &[Hole]) -> Result<Vec<Context>, Vec<Refusal>> {
    if holes.is_empty() {
        return Ok(Vec::new());
    }
    if !sound(text, holes) {
        return Err(refuse_all(holes, &RefusalKind::Unreadable("its parts are out of order".into()), 0..text.len()));
    }
    if text.len() > MAX_TEXT {
        // Said once of the text, whatever it holds.
        return Err(vec![Refusal { hole: 0, kind: RefusalKind::TooLong, at: 0..text.len() }]);
    }
    match dialect {
        Dialect::Sh | Dialect::Bash | Dialect::Ksh => read_posix(dialect, text, holes),
        Dialect::PowerShell => powershell::read(text, holes),
        Dialect::Cmd => cmd::read(text, holes),
    }
}

/// As [`read`], for an interpreter by name or `#!` line; one that isn't known refuses every hole.
///
/// # Errors
/// As [`read`].
pub fn read_for(interpreter: &str, text: &str, holes: &[Hole]) -> Result<Vec<Context>, Vec<Refusal>> {
    match dialect_of(interpreter) {
        Some(dialect) => read(dialect, text, holes),
        None if holes.is_empty() => Ok(Vec::new()),
        None => {
            let name = interpreter.lines().next().unwrap_or("").trim().to_owned();
            Err(refuse_all(holes, &RefusalKind::UnknownShell(name), 0..text.len().min(2)))
        }
    }
}

fn read_posix(dialect: Dialect, text: &str, holes: &[Hole]) -> Result<Vec<Context>, Vec<Refusal>> {
    let Some(masked) = mask(text, holes) else {
        return Err(refuse_all(holes, &RefusalKind::Disagreement, 0..text.len()));
    };
    let own = reader::read(&masked, holes, Mode::Bash);
    let mut refusals = own.refusals.clone();
    if let Some(stop) = &own.stop {
        // What stands before may be refused for a better reason; the first of the others says what is wrong.
        let refused: HashSet<usize> = refusals.iter().map(|r| r.hole).collect();
        if let Some(first) =
            (0..holes.len()).find(|i| !refused.contains(i) && own.contexts.get(*i).is_none_or(Option::is_none))
        {
            let hole = holes.get(first).map_or(0..0, Hole::range);
            let at = if stop.at < text.len() { stop.at..next_char(text, stop.at) } else { hole };
            refusals.push(Refusal { hole: first, kind: RefusalKind::Unreadable(stop.why.to_string()), at });
        } else if refusals.is_empty() {
            let at = stop.at.min(text.len());
            refusals.push(Refusal {
                hole: 0,
                kind: RefusalKind::Unreadable(stop.why.to_string()),
                at: at..next_char(text, at),
            });
        }
        return Err(finish(refusals));
    }
    rules::check(dialect, &own, holes, &mut refusals);

    let disagree = |refusals: &mut Vec<Refusal>, other: &[Option<Context>]| {
        let refused: HashSet<usize> = refusals.iter().map(|r| r.hole).collect();
        for (i, (a, b)) in own.contexts.iter().zip(other).enumerate() {
            let same = a == b || (b.is_none() && *a == Some(Context::Comment));
            if !same && !refused.contains(&i) {
                let at = holes.get(i).map_or(0..0, Hole::range);
                refusals.push(Refusal { hole: i, kind: RefusalKind::Disagreement, at });
            }
        }
    };
    if let Some(plain) = plain::read(&masked, holes) {
        disagree(&mut refusals, &plain);
    } else {
        if dialect == Dialect::Sh {
            // Text that a POSIX shell can't read at all is for the bash that some systems call `sh`.
            let posix = reader::read(&masked, holes, Mode::Posix);
            if posix.stop.is_none() {
                refusals.extend(posix.refusals.iter().cloned());
                rules::check(dialect, &posix, holes, &mut refusals);
                disagree(&mut refusals, &posix.contexts);
            }
        }
        if refusals.is_empty() {
            match second::read(second::DEFAULT, &masked, holes) {
                Some(contexts) => disagree(&mut refusals, &contexts),
                None => {
                    let at = holes.first().map_or(0..0, Hole::range);
                    refusals.push(Refusal { hole: 0, kind: RefusalKind::Disagreement, at });
                }
            }
        }
    }
    let refused: HashSet<usize> = refusals.iter().map(|r| r.hole).collect();
    let mut contexts = Vec::with_capacity(holes.len());
    for (i, (hole, context)) in holes.iter().zip(&own.contexts).enumerate() {
        match context {
            Some(Context::Bare) if hole.kind == HoleKind::Raw => contexts.push(Context::Verbatim),
            Some(context) => contexts.push(*context),
            None if refused.contains(&i) => contexts.push(Context::Literal),
            None => refusals.push(Refusal { hole: i, kind: RefusalKind::Disagreement, at: hole.range() }),
        }
    }
    if refusals.is_empty() { Ok(contexts) } else { Err(finish(refusals)) }
}

/// The simple commands of a shell text, in the order in which they end, those in substitutions included. As far as
/// the text can be read; for lints.
pub fn commands(dialect: Dialect, text: &str, holes: &[Hole]) -> Vec<Command> {
    own_reading(dialect, text, holes).map(|r| r.commands).unwrap_or_default()
}

/// The bodies of here-documents with a quoted delimiter in a shell text: in them nothing is interpolated. `holes`
/// are all the candidates, so that what stands inside a `${{ … }}` isn't taken for shell text. As far as the text
/// can be read.
pub fn quoted_heredoc_ranges(dialect: Dialect, text: &str, holes: &[Hole]) -> Vec<Range<usize>> {
    if !text.contains("<<") {
        return Vec::new();
    }
    own_reading(dialect, text, holes).map(|r| r.quoted).unwrap_or_default()
}

/// A quote that nothing closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclosed {
    /// The byte at which it opens.
    pub at: usize,
    /// `'`, `"` or a backtick.
    pub quote: char,
}

/// The quote that is left open at the end of a shell text, if there is one.
pub fn unclosed_quote(dialect: Dialect, text: &str, holes: &[Hole]) -> Option<Unclosed> {
    let quoted = text.bytes().any(|byte| matches!(byte, b'\'' | b'"' | b'`'));
    if !quoted || toggles_close(text) {
        return None;
    }
    let stop = own_reading(dialect, text, holes)?.stop?;
    match stop.why {
        Why::Unclosed(quote @ ('\'' | '"' | '`')) => Some(Unclosed { at: stop.at, quote }),
        Why::Unclosed(_) | Why::TooDeep | Why::TooComplex | Why::Syntax(_) => None,
    }
}

/// Whether every quote of a text is closed, for texts in which quotes are nothing but toggles: no escape, comment,
/// substitution, parameter or here-document. Most are such, and need not be read.
fn toggles_close(text: &str) -> bool {
    let mut open = None;
    let mut before = 0;
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match (open, byte) {
            (Some(quote), byte) if byte == quote => open = None,
            (Some(b'\''), _) => {}
            (_, b'`') => return false,
            // A line that goes on.
            (_, b'\\') if bytes.peek() == Some(&b'\n') => {}
            (_, b'\\') => return false,
            (_, b'(' | b'{' | b'[' | b'\'' | b'"') if before == b'$' => return false,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => open = Some(byte),
            (None, b'#') => return false,
            (None, b'<' | b'(') if before == byte => return false,
            (None, _) => {}
        }
        before = byte;
    }
    open.is_none()
}

fn own_reading(dialect: Dialect, text: &str, holes: &[Hole]) -> Option<reader::Reading> {
    if !dialect.is_posix() || text.len() > MAX_TEXT || !sound(text, holes) {
        return None;
    }
    Some(reader::read(&mask(text, holes)?, holes, Mode::Bash))
}

/// Sorted, apart, inside, on character boundaries, not empty.
fn sound(text: &str, holes: &[Hole]) -> bool {
    let mut from = 0;
    holes.iter().all(|hole| {
        let good = from <= hole.start && hole.start < hole.end && text.get(hole.range()).is_some();
        from = hole.end;
        good
    })
}

/// The text with every hole written as letters, of the same length. None if every letter occurs in such a row in
/// the text itself.
fn mask<'a>(text: &'a str, holes: &[Hole]) -> Option<Cow<'a, str>> {
    if holes.is_empty() {
        return Some(Cow::Borrowed(text));
    }
    let row = |letter: u8| {
        let mut length = 0;
        text.bytes().any(|b| {
            length = if b == letter { length + 1 } else { 0 };
            length == 4
        })
    };
    // Not one that makes a number or a keyword of what stands beside it.
    let letter = b"QJZXKVWYGBHMPUFLCNRDTSIOAE".iter().copied().find(|&l| !row(l))?;
    let mut masked = String::with_capacity(text.len());
    let mut from = 0;
    for hole in holes {
        masked.push_str(text.get(from..hole.start)?);
        masked.extend(std::iter::repeat_n(char::from(letter), hole.end - hole.start));
        from = hole.end;
    }
    masked.push_str(text.get(from..)?);
    Some(Cow::Owned(masked))
}

fn next_char(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.chars().next()).map_or(at, |c| at + c.len_utf8())
}

fn refuse_all(holes: &[Hole], kind: &RefusalKind, at: Range<usize>) -> Vec<Refusal> {
    let one = |hole| Refusal { hole, kind: kind.clone(), at: at.clone() };
    (0..holes.len()).map(one).collect()
}

/// In the order of the holes, each thing said once.
fn finish(mut refusals: Vec<Refusal>) -> Vec<Refusal> {
    refusals.sort_by_key(|r| (r.hole, r.at.start));
    refusals.dedup_by(|a, b| a.hole == b.hole && a.kind == b.kind);
    refusals
}
