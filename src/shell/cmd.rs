//! `cmd.exe`: it has no quoting that holds, so only values that can't be code stand in its text, as they are, and only
//! where it takes a number or an address for what it is.

use std::ops::Range;

use super::refusal::CmdTrap;
use super::{Context, Hole, HoleKind, Refusal, RefusalKind};

pub(super) fn read(text: &str, holes: &[Hole]) -> Result<Vec<Context>, Vec<Refusal>> {
    let mut refused = Vec::new();
    let mut place = Place::default();
    for (index, hole) in holes.iter().enumerate() {
        place.go_on(text, hole);
        let mut refuse = |kind, at| refused.push(Refusal { hole: index, kind, at });
        match hole.kind {
            HoleKind::Raw => {}
            HoleKind::List => refuse(RefusalKind::List, hole.range()),
            HoleKind::Text | HoleKind::Quoted => refuse(RefusalKind::CmdText, hole.range()),
            HoleKind::Int | HoleKind::Plain => {
                if let Some((trap, at)) = place.misreads(text, hole) {
                    refuse(RefusalKind::CmdPlace(trap), at);
                }
            }
        }
        place.passed = hole.end;
    }
    if refused.is_empty() { Ok(vec![Context::Verbatim; holes.len()]) } else { Err(refused) }
}

/// Where a value stands. Kept from one to the next, so that all of them cost no more than the text is long.
#[derive(Default)]
struct Place {
    /// Where its line begins.
    line: usize,
    /// Where the value before it ends.
    passed: usize,
    /// Whether it is in `"…"`.
    quoted: bool,
}

impl Place {
    fn go_on(&mut self, text: &str, hole: &Hole) {
        for (at, c) in part(text, self.passed..hole.start).char_indices() {
            match c {
                '\n' => (self.line, self.quoted) = (self.passed + at + 1, false),
                '"' => self.quoted = !self.quoted,
                _ => {}
            }
        }
    }

    /// Why `cmd` would take the value for something else, and what makes it so.
    fn misreads(&self, text: &str, hole: &Hole) -> Option<(CmdTrap, Range<usize>)> {
        let from = self.line.max(self.passed);
        let before = part(text, from..hole.start);
        if let Some(sign) = argument(before) {
            return Some((CmdTrap::Name, from + sign..hole.start));
        }
        if self.quoted {
            return None;
        }
        if part(text, hole.end..text.len()).starts_with(['<', '>']) {
            return Some((CmdTrap::Stream, hole.end..hole.end + 1));
        }
        let first = self.passed <= self.line;
        let goes_on = || part(text, 0..self.line).trim_end_matches(['\r', '\n']).ends_with(['^', '\\', '`']);
        let command = before.trim_end_matches([' ', '\t', '@']);
        let begins = match command.strip_suffix(['&', '|']) {
            Some(earlier) => !earlier.ends_with('^'),
            None => command.is_empty() && first && !goes_on(),
        };
        begins.then(|| (CmdTrap::Label, hole.range()))
    }
}

/// Where the `%` is that makes what follows `before` an argument of the batch file, as `%5` and `%~dp5` are, or a
/// loop's variable (`%%5`); in quotes too.
fn argument(before: &str) -> Option<usize> {
    let sign = match before.trim_end_matches(|c: char| c.is_ascii_alphabetic()).strip_suffix('~') {
        Some(modified) => modified,
        None => before,
    };
    sign.ends_with('%').then(|| sign.len() - 1)
}

/// Holes lie on the bounds of characters: [`super::read`] has seen to it.
fn part(text: &str, range: Range<usize>) -> &str {
    text.get(range).unwrap_or_default()
}
