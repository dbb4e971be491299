//! What is wrong, where, why, and what to do: one type for the terminal, the machine formats and editors.
//!
//! A [`Diagnostic`] is plain data. [`Problems`] collects them, so that one run reports every error of a file;
//! [`render`] shows them on a terminal through miette.

mod codes_macro;
mod excerpt;
mod near;
mod render;
mod secret;
pub(crate) mod text;

pub(crate) use codes_macro::codes;
pub(crate) use excerpt::abridged;
pub use near::did_you_mean;
pub use render::{Style, render, render_all};
pub use secret::{blanked, without_secrets};

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use crate::source::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; never fails anything.
    Advice,
    /// Probably not what is wanted.
    Warning,
    /// The file can't be built, or the build has failed.
    Error,
}

/// A kind of diagnostic, stable for ever. Every room keeps its own in a `codes.rs`, as `pub static NAME: Code`,
/// listed in that file's `ALL`.
///
/// Numbers: 0xx syntax, 1xx names and types, 2xx stages and graph, 3xx guest commands, 4xx security, 5xx style,
/// 6xx what isn't there yet and what a build lacks (arguments, secrets, files), 7xx connection and
/// login, 8xx guest operations, 9xx vSphere operations.
#[derive(Debug)]
pub struct Code {
    /// The number in `VMW123`.
    pub number: u16,
    /// Its name, in kebab case.
    pub name: &'static str,
    /// Default severity.
    pub severity: Severity,
    /// One paragraph: what it means, why it matters, what to do.
    pub about: &'static str,
    /// A smallest VMWfile that raises it; empty where none can (a failing server, say).
    pub wrong: &'static str,
    /// The same, mended.
    pub right: &'static str,
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VMW{:03}", self.number)
    }
}

/// A place with what is to be said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// A few words, lower case, no full stop. May be empty.
    pub text: String,
}

/// One replacement in a source file.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// What is replaced (empty: an insertion).
    pub span: Span,
    /// By what.
    pub text: String,
}

/// A change of the source that mends a diagnostic.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// What it does, for a menu: "write `build_env`".
    pub title: String,
    /// Its edits; they never overlap.
    pub edits: Vec<Edit>,
    /// Whether it can't change what the file means; others are applied only when asked for.
    pub safe: bool,
}

/// One finding.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// What kind.
    pub code: &'static Code,
    /// The code that another program gave it (`SC2086`), shown instead of ours.
    pub foreign: Option<String>,
    /// How bad; starts as the code's, and lint levels may change it.
    pub severity: Severity,
    /// One sentence, lower case first, no full stop.
    pub message: String,
    /// The place to look at first. None for what has no place in a VMWfile.
    pub primary: Option<Label>,
    /// Further places that explain.
    pub secondary: Vec<Label>,
    /// What to do next.
    pub help: Option<String>,
    /// Facts behind it (a server's own words, a cause chain), shown after the snippet.
    pub notes: Vec<String>,
    /// The mend, where one is known.
    pub fix: Option<Fix>,
    /// How many findings it is: more than one where it stands for those that aren't shown.
    pub count: usize,
}

impl Diagnostic {
    /// A diagnostic of `code` without a place.
    pub fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            foreign: None,
            severity: code.severity,
            message: message.into(),
            primary: None,
            secondary: Vec::new(),
            help: None,
            notes: Vec::new(),
            fix: None,
            count: 1,
        }
    }

    /// A diagnostic at a place, without words at the place.
    pub fn at(code: &'static Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, message).primary(span, "")
    }

    /// Its code as it is shown: `VMW123`, or that of the program which found it.
    pub fn id(&self) -> String {
        self.foreign.clone().unwrap_or_else(|| self.code.to_string())
    }

    /// Sets the place to look at first, and what is said there.
    pub fn primary(mut self, span: Span, text: impl Into<String>) -> Self {
        self.primary = Some(Label { span, text: text.into() });
        self
    }

    /// Adds another place.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.secondary.push(Label { span, text: text.into() });
        self
    }

    /// Sets what to do next.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Adds a fact.
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Adds the mend.
    pub fn fix(mut self, title: impl Into<String>, safe: bool, edits: Vec<Edit>) -> Self {
        self.fix = Some(Fix { title: title.into(), edits, safe });
        self
    }

    /// The mend that replaces one span.
    pub fn replace(self, title: impl Into<String>, safe: bool, span: Span, text: impl Into<String>) -> Self {
        self.fix(title, safe, vec![Edit { span, text: text.into() }])
    }

    /// Asks whether something near was meant; writing it needs a word of its author.
    pub fn meant(self, span: Span, near: &str) -> Self {
        self.help(format!("did you mean `{near}`?")).replace(format!("write `{near}`"), false, span, near)
    }

    /// Makes it stand for findings that aren't shown.
    pub fn standing_for(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    /// Overrides the code's severity.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }
}

/// Collects diagnostics instead of stopping at the first.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<Diagnostic>,
    /// The errors that were met, so that each counts once.
    met: HashSet<ErrorKey>,
    /// How many of the list are errors.
    errors: usize,
    /// How many errors were kept where these go to.
    before: usize,
    /// Errors that were only counted: what they are about.
    unkept: Vec<ErrorKey>,
}

/// What makes an error another one: its code, its place, and what it says.
type ErrorKey = (u16, Option<Span>, u64);

fn error_key(d: &Diagnostic) -> ErrorKey {
    let mut said = std::hash::DefaultHasher::new();
    (&d.message, &d.foreign).hash(&mut said);
    (d.code.number, d.primary.as_ref().map(|l| l.span), said.finish())
}

/// The most errors that are kept: nobody reads more. (Lints may be turned off or mended by the thousand.)
const MOST_ERRORS: usize = 350;

impl Problems {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// None yet, of what is to be passed on to others.
    pub fn beside(others: &Problems) -> Self {
        Problems { before: others.before + others.errors, ..Self::default() }
    }

    /// Adds one. Of errors only the first few hundred are kept, the others counted.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.code.severity == Severity::Error {
            let key = error_key(&diagnostic);
            if !self.met.insert(key) {
                return;
            }
            if self.errors >= MOST_ERRORS {
                self.unkept.push(key);
                return;
            }
            self.errors += 1;
        }
        self.list.push(diagnostic);
    }

    /// Adds one, however many there are: what is only passed on, and what says how many are only counted.
    pub fn conclude(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds all of a list, however many there are.
    pub fn extend(&mut self, other: impl IntoIterator<Item = Diagnostic>) {
        self.list.extend(other);
    }

    /// Takes over what another collection has found, and what it has only counted, as far as it is wanted: by code
    /// and place.
    pub fn absorb(&mut self, other: Problems, mut wanted: impl FnMut(u16, Option<Span>) -> bool) {
        for diagnostic in other.list {
            if wanted(diagnostic.code.number, diagnostic.primary.as_ref().map(|l| l.span)) {
                self.push(diagnostic);
            }
        }
        for key in other.unkept {
            if wanted(key.0, key.1) && self.met.insert(key) {
                self.unkept.push(key);
            }
        }
    }

    /// Takes some of those that are kept out.
    pub fn split(mut self, out: impl Fn(&Diagnostic) -> bool) -> (Vec<Diagnostic>, Self) {
        let (taken, list) = std::mem::take(&mut self.list).into_iter().partition(out);
        self.list = list;
        self.errors = self.list.iter().filter(|d| d.code.severity == Severity::Error).count();
        (taken, self)
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are, those included that are only counted.
    pub fn len(&self) -> usize {
        self.list.len() + self.unkept.len()
    }

    /// Whether a further error is only counted, so that nobody reads what would help against it.
    pub fn is_full(&self) -> bool {
        self.before + self.errors >= MOST_ERRORS
    }

    /// [`did_you_mean`] for a further error, as long as somebody reads it: many wrong names among many right ones
    /// cost no more than a few.
    pub fn did_you_mean<'a>(&self, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        if self.is_full() { None } else { did_you_mean(name, candidates) }
    }

    /// How many errors are only counted.
    pub fn unkept(&self) -> usize {
        self.unkept.len()
    }

    /// In the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// All, by place (those without one first), each once.
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|d| (d.primary.as_ref().map(|l| l.span), d.code.number));
        self.list.dedup_by(|a, b| {
            a.code == b.code && a.foreign == b.foreign && a.primary == b.primary && a.message == b.message
        });
        self.list
    }
}

impl IntoIterator for Problems {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}
