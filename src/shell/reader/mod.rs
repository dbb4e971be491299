//! Our own reading of a shell text: a recursive descent over POSIX and bash syntax that keeps the context of every
//! hole and the simple commands.
//!
//! It is stricter than a shell where shells differ or where reading on would be a guess: it stops, and no value may
//! stand in the text. It is laxer than a shell about what doesn't change a context (an empty `then`, say). Depth and
//! steps are bounded, so that no text takes long or much of the stack.

mod compound;
mod heredoc;
mod list;
mod word;

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use super::command::{Command, Piece};
use super::refusal::{Place, Refusal, RefusalKind};
use super::{Context, Hole};

/// Which shell's syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// dash and its like: no `((…))`, `[[`, arrays, `<(…)`.
    Posix,
    /// bash and ksh.
    Bash,
}

/// Nested constructs at most. Every level takes a few stack frames.
const MAX_DEPTH: u32 = 48;
/// Steps at most, for each byte of text; only text that reads as arithmetic and turns out to be something else
/// takes more than one or two.
const STEPS_PER_BYTE: u64 = 64;

/// Why a reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// This character's construct isn't closed: a quote, `(`, `{`, `<` for a here-document.
    Unclosed(char),
    /// Too many nested constructs.
    TooDeep,
    /// Too many steps.
    TooComplex,
    /// What is wrong, in words.
    Syntax(&'static str),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Unclosed('<') => f.write_str("this here-document isn't ended"),
            Why::Unclosed('`') => f.write_str("this backtick isn't closed"),
            Why::Unclosed(quote @ ('\'' | '"')) => write!(f, "this {quote} isn't closed"),
            Why::Unclosed(other) => write!(f, "this `{other}` isn't closed"),
            Why::TooDeep => f.write_str("it is nested too deeply"),
            Why::TooComplex => f.write_str("it is too complex"),
            Why::Syntax(what) => f.write_str(what),
        }
    }
}

/// Where and why a reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The byte.
    pub at: usize,
    /// Why.
    pub why: Why,
}

pub(super) type Read<T> = Result<T, Stop>;

/// What a reading found, as far as it went.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The context of each hole; none where it is refused or wasn't reached.
    pub contexts: Vec<Option<Context>>,
    /// Where no value may stand, for what the lexer alone knows.
    pub refusals: Vec<Refusal>,
    /// The simple commands.
    pub commands: Vec<Command>,
    /// The bodies of here-documents with a quoted delimiter.
    pub quoted: Vec<Range<usize>>,
    /// Holes that arithmetic evaluates, beside those in the arithmetic context.
    pub ints: Vec<(usize, Place)>,
    /// The functions that the text defines.
    pub functions: Vec<String>,
    /// Why it went no further.
    pub stop: Option<Stop>,
}

/// Reads a text in which every hole is written as letters.
pub fn read(masked: &str, holes: &[Hole], mode: Mode) -> Reading {
    let mut reader = Reader {
        text: masked,
        bytes: masked.as_bytes(),
        holes,
        bash: mode == Mode::Bash,
        pos: 0,
        end: masked.len(),
        depth: 0,
        steps: 4096 + masked.len() as u64 * STEPS_PER_BYTE,
        in_parameter: Vec::new(),
        in_arithmetic: 0,
        in_stripped: 0,
        pending: Vec::new(),
        marks: Vec::new(),
        not_arithmetic: HashSet::new(),
        out: Reading::default(),
    };
    let stop = reader.all().err();
    let mut out = reader.out;
    out.contexts = vec![None; holes.len()];
    for (hole, context) in reader.marks {
        if let Some(slot) = out.contexts.get_mut(hole) {
            *slot = Some(context);
        }
    }
    for refusal in &out.refusals {
        if let Some(slot) = out.contexts.get_mut(refusal.hole) {
            *slot = None;
        }
    }
    out.stop = stop;
    out
}

/// A here-document whose body is still to come.
struct Pending {
    delimiter: String,
    quoted: bool,
    strip: bool,
    /// Where it is announced.
    at: usize,
    /// The command (None: one that is being read, or a compound) and the redirection that it belongs to.
    place: (Option<usize>, usize),
}

pub(super) struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    holes: &'a [Hole],
    bash: bool,
    pos: usize,
    /// Reading goes no further: the text's end, or a here-document body's.
    end: usize,
    depth: u32,
    steps: u64,
    /// Where the `${` open now begin.
    in_parameter: Vec<usize>,
    /// How many levels of arithmetic are open since the last `$(`.
    in_arithmetic: u32,
    /// How many `<<-` bodies are being read.
    in_stripped: u32,
    pending: Vec<Pending>,
    /// What is known of each hole; the last one holds.
    marks: Vec<(usize, Context)>,
    /// Where `((` turned out to be nested parentheses.
    not_arithmetic: HashSet<usize>,
    out: Reading,
}

/// What a failed attempt takes back.
struct Snapshot {
    pos: usize,
    marks: usize,
    refusals: usize,
    commands: usize,
    quoted: usize,
    ints: usize,
    functions: usize,
    parameters: usize,
    arithmetic: u32,
    stripped: u32,
    depth: u32,
    end: usize,
    pending: Vec<Pending>,
}

impl<'a> Reader<'a> {
    fn all(&mut self) -> Read<()> {
        match self.list(&[])? {
            list::Ended::Eof => match self.pending.first() {
                Some(pending) => self.stop(pending.at, Why::Unclosed('<')),
                None => Ok(()),
            },
            list::Ended::Paren => self.syntax("there is no `(` for this `)`"),
            list::Ended::DoubleSemi => self.syntax("`;;` stands outside `case`"),
            list::Ended::Keyword(_) => self.syntax("this keyword has no beginning"),
        }
    }

    fn stop<T>(&self, at: usize, why: Why) -> Read<T> {
        Err(Stop { at, why })
    }

    fn syntax<T>(&self, what: &'static str) -> Read<T> {
        self.stop(self.pos, Why::Syntax(what))
    }

    fn peek(&self) -> Option<u8> {
        self.at(self.pos)
    }

    fn at(&self, pos: usize) -> Option<u8> {
        if pos < self.end { self.bytes.get(pos).copied() } else { None }
    }

    fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or("")
    }

    fn starts_with(&self, what: &str) -> bool {
        self.slice(self.pos..self.end).starts_with(what)
    }

    /// Counts a step; every loop takes one, so that none runs for ever.
    fn step(&mut self) -> Read<()> {
        self.steps = self.steps.saturating_sub(1);
        if self.steps == 0 { self.stop(self.pos, Why::TooComplex) } else { Ok(()) }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= MAX_DEPTH {
            return self.stop(self.pos, Why::TooDeep);
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// The bytes of the character here.
    fn char_len(&self) -> usize {
        self.slice(self.pos..self.end).chars().next().map_or(1, char::len_utf8)
    }

    /// Goes past the character here and all that follow up to a hole or a byte of `special`: text that is plain in
    /// its place, read in one go.
    fn plain(&mut self, special: impl Fn(u8) -> bool) -> &'a str {
        let from = self.pos;
        self.pos += self.char_len();
        let next = self.holes.partition_point(|h| h.start < self.pos);
        let end = self.holes.get(next).map_or(self.end, |h| h.start.min(self.end));
        let rest = self.bytes.get(self.pos..end).unwrap_or_default();
        // Special bytes are ASCII, so that this is a character's boundary.
        self.pos += rest.iter().position(|b| special(*b)).unwrap_or(rest.len());
        self.slice(from..self.pos)
    }

    /// The hole that begins at a byte.
    fn hole_at(&self, pos: usize) -> Option<usize> {
        if pos >= self.end || self.holes.is_empty() {
            return None;
        }
        self.holes.binary_search_by_key(&pos, |h| h.start).ok()
    }

    fn holes_in(&self, range: Range<usize>) -> Range<usize> {
        let from = self.holes.partition_point(|h| h.start < range.start);
        let to = self.holes.partition_point(|h| h.start < range.end);
        from..to.max(from)
    }

    /// If a hole begins here, notes its context and goes past it.
    fn take_hole(&mut self, context: Context) -> Option<usize> {
        let index = self.hole_at(self.pos)?;
        let hole = self.holes.get(index)?;
        self.pos = hole.end;
        if let Some(&at) = self.in_parameter.last() {
            self.refuse(index, RefusalKind::ParameterExpansion, at..at + 2);
        } else {
            self.marks.push((index, context));
        }
        Some(index)
    }

    fn refuse(&mut self, hole: usize, kind: RefusalKind, at: Range<usize>) {
        self.out.refusals.push(Refusal { hole, kind, at });
    }

    fn refuse_in(&mut self, range: Range<usize>, kind: &RefusalKind, at: Range<usize>) {
        for hole in self.holes_in(range) {
            self.refuse(hole, kind.clone(), at.clone());
        }
    }

    /// Before an attempt; until [`Self::restore`] or [`Self::keep`] no here-document is pending.
    fn snapshot(&mut self) -> Snapshot {
        Snapshot {
            pos: self.pos,
            marks: self.marks.len(),
            refusals: self.out.refusals.len(),
            commands: self.out.commands.len(),
            quoted: self.out.quoted.len(),
            ints: self.out.ints.len(),
            functions: self.out.functions.len(),
            parameters: self.in_parameter.len(),
            arithmetic: self.in_arithmetic,
            stripped: self.in_stripped,
            depth: self.depth,
            end: self.end,
            pending: std::mem::take(&mut self.pending),
        }
    }

    /// The attempt has succeeded.
    fn keep(&mut self, before: Snapshot) {
        self.pending = before.pending;
    }

    fn restore(&mut self, to: Snapshot) {
        self.pos = to.pos;
        self.marks.truncate(to.marks);
        self.out.refusals.truncate(to.refusals);
        self.out.commands.truncate(to.commands);
        self.out.quoted.truncate(to.quoted);
        self.out.ints.truncate(to.ints);
        self.out.functions.truncate(to.functions);
        self.in_parameter.truncate(to.parameters);
        self.in_arithmetic = to.arithmetic;
        self.in_stripped = to.stripped;
        self.pending = to.pending;
        self.depth = to.depth;
        self.end = to.end;
    }
}

/// Puts together the pieces of a word or a here-document body.
#[derive(Default)]
struct Pieces {
    list: Vec<Piece>,
}

impl Pieces {
    fn text(&mut self, more: &str, is_quoted: bool) {
        if let Some(Piece::Text { text, quoted }) = self.list.last_mut()
            && *quoted == is_quoted
        {
            text.push_str(more);
            return;
        }
        self.add(Piece::Text { text: more.to_owned(), quoted: is_quoted });
    }

    /// Nearly every word is one piece: no room for more before there are more.
    fn add(&mut self, piece: Piece) {
        if self.list.is_empty() {
            self.list.reserve_exact(1);
        }
        self.list.push(piece);
    }

    fn hole(&mut self, index: usize) {
        self.add(Piece::Hole(index));
    }

    fn expansion(&mut self, range: Range<usize>) {
        self.add(Piece::Expansion(range));
    }
}

/// Whether a byte ends an unquoted word.
fn is_meta(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')')
}

/// Whether a text is a variable's name.
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
