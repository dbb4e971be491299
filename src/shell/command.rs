//! The simple commands of a shell text: just enough of a tree for rules and lints.

use std::borrow::Cow;
use std::ops::Range;

/// What a [`Command`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// Assignments, words and redirections.
    Simple,
    /// `[[ … ]]`; operators are words.
    Test,
}

/// A simple command, or `[[ … ]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Which of the two.
    pub kind: CommandKind,
    /// Its bytes, here-document bodies aside.
    pub span: Range<usize>,
    /// `a=b` before the name.
    pub assignments: Vec<Assignment>,
    /// The name and the arguments.
    pub words: Vec<Word>,
    /// Its redirections, and those of a compound command that it ends.
    pub redirects: Vec<Redirect>,
    /// The commands (by index) that read its output through a pipe.
    pub pipes_into: Range<usize>,
}

impl Command {
    /// Its name, if that is plain text.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.words.first().and_then(Word::text)
    }
}

/// `name=value`, `name+=value`, `name[…]=value`, `name=(…)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The variable, without subscript.
    pub name: String,
    /// The bytes of the variable's name.
    pub name_span: Range<usize>,
    /// The whole word, name included.
    pub word: Word,
    /// The pieces before this index belong to the name and the `=`.
    pub value_from: usize,
}

impl Assignment {
    /// The holes that stand in the value itself, not in a substitution within it.
    pub fn value_holes(&self) -> impl Iterator<Item = usize> + '_ {
        self.word.pieces.get(self.value_from..).unwrap_or_default().iter().filter_map(Piece::hole)
    }
}

/// `> file` and its kin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The operator: `<`, `>>`, `<<<`, ….
    pub operator: String,
    /// The bytes of operator and target.
    pub span: Range<usize>,
    /// The file, descriptor or string; a here-document's delimiter.
    pub target: Word,
    /// The here-document, once its body has been read.
    pub heredoc: Option<HereDoc>,
}

/// The body of a here-document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HereDoc {
    /// Its bytes, without the line that ends it.
    pub body: Range<usize>,
    /// Whether its delimiter is quoted, so that nothing in it is expanded.
    pub quoted: bool,
    /// The text and holes of an expanding body.
    pub pieces: Vec<Piece>,
}

/// One word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// Its bytes.
    pub span: Range<usize>,
    /// What it consists of, in order.
    pub pieces: Vec<Piece>,
}

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text, quotes and backslashes removed.
    Text {
        /// The text.
        text: String,
        /// Whether it was quoted in any way.
        quoted: bool,
    },
    /// A hole, by its index.
    Hole(usize),
    /// What only the run can tell: `$x`, `$(…)`, `` `…` ``, `<(…)`.
    Expansion(Range<usize>),
}

impl Piece {
    /// The hole's index, if it is one.
    pub fn hole(&self) -> Option<usize> {
        match self {
            Piece::Hole(index) => Some(*index),
            Piece::Text { .. } | Piece::Expansion(_) => None,
        }
    }
}

impl Word {
    /// Its text, if it consists of nothing else.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        if let [Piece::Text { text, .. }] = self.pieces.as_slice() {
            return Some(Cow::Borrowed(text));
        }
        let mut all = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text { text, .. } => all.push_str(text),
                Piece::Hole(_) | Piece::Expansion(_) => return None,
            }
        }
        Some(Cow::Owned(all))
    }

    /// The text with which it begins, up to the first hole or expansion.
    pub fn leading_text(&self) -> Cow<'_, str> {
        let mut all = Cow::Borrowed("");
        for piece in &self.pieces {
            match piece {
                Piece::Text { text, .. } if all.is_empty() => all = Cow::Borrowed(text),
                Piece::Text { text, .. } => all.to_mut().push_str(text),
                Piece::Hole(_) | Piece::Expansion(_) => break,
            }
        }
        all
    }

    /// Its text, if nothing of it is quoted: what a keyword must be.
    pub fn bare_text(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Text { text, quoted: false }] => Some(text),
            _ => None,
        }
    }

    /// The holes that stand in the word itself, not in a substitution within it.
    pub fn holes(&self) -> impl Iterator<Item = usize> + '_ {
        self.pieces.iter().filter_map(Piece::hole)
    }

    /// The holes before the first `=`: those in the name part of `name=value`.
    pub fn name_holes(&self) -> Vec<usize> {
        let mut holes = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text { text, .. } if text.contains('=') => break,
                Piece::Text { .. } | Piece::Expansion(_) => {}
                Piece::Hole(index) => holes.push(*index),
            }
        }
        holes
    }
}
