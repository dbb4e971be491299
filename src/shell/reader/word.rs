//! Words: quotes, expansions, arithmetic.

use super::super::Context;
use super::super::command::Word;
use super::super::refusal::{Place, RefusalKind};
use super::{Pieces, Read, Reader, Why, is_meta, is_name, list::Ended};

/// A word with what the reader needs to know of it beyond its pieces.
pub(super) struct Lexed {
    pub word: Word,
    /// If it has the shape of an assignment: the byte of the first `=` after a name, and how many pieces stand
    /// before its value.
    pub assignment: Option<(usize, usize)>,
}

/// What ends arithmetic.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// `))`
    Parens,
    /// `]`
    Bracket,
}

impl Reader<'_> {
    /// Reads a word; its first byte is no metacharacter (but `<(` in bash). `first`: an assignment may stand here.
    pub(super) fn word(&mut self, first: bool) -> Read<Lexed> {
        self.deeper(|r| r.word_here(first))
    }

    fn word_here(&mut self, first: bool) -> Read<Lexed> {
        let start = self.pos;
        let mut pieces = Pieces::default();
        let mut assignment = None;
        while let Some(byte) = self.peek() {
            self.step()?;
            if let Some(hole) = self.take_hole(Context::Bare) {
                pieces.hole(hole);
                if self.peek() == Some(b'(') {
                    return self.syntax("a `(` stands right after a value");
                }
                continue;
            }
            if self.quoting(&mut pieces)? {
                continue;
            }
            match byte {
                b'<' | b'>' if self.bash && self.at(self.pos + 1) == Some(b'(') => {
                    let from = self.pos;
                    self.pos += 2;
                    self.substitution(from)?;
                    pieces.expansion(from..self.pos);
                }
                b'(' if self.bash && self.is_pattern_group(start, &pieces) => {
                    self.pattern_group(&mut pieces)?;
                }
                b'(' if self.bash && assignment.is_some_and(|(at, _)| at + 1 == self.pos) => {
                    self.array(&mut pieces)?;
                }
                b'[' if self.bash && first && assignment.is_none() && is_name(self.slice(start..self.pos)) => {
                    self.subscript(&mut pieces)?;
                }
                b'=' => {
                    if assignment.is_none() && self.is_target(self.slice(start..self.pos)) {
                        assignment = Some((self.pos, 0));
                    }
                    self.pos += 1;
                    pieces.text("=", false);
                    if let Some((at, value)) = &mut assignment
                        && *at + 1 == self.pos
                    {
                        *value = pieces.list.len();
                        // What follows is the value's: it must not be joined to this piece.
                        pieces.text("", true);
                    }
                }
                byte if is_meta(byte) => break,
                _ => {
                    let text =
                        self.plain(|b| is_meta(b) || matches!(b, b'\\' | b'\'' | b'"' | b'$' | b'`' | b'[' | b'='));
                    pieces.text(text, false);
                }
            }
        }
        let span = start..self.pos;
        if !self.pending.is_empty() && self.slice(span.clone()).contains('\n') {
            return self.stop(start, Why::Syntax("a here-document is announced before a word of several lines"));
        }
        Ok(Lexed { word: Word { span, pieces: pieces.list }, assignment })
    }

    /// Whether this text before a `=` makes an assignment.
    fn is_target(&self, text: &str) -> bool {
        let text = if self.bash { text.strip_suffix('+').unwrap_or(text) } else { text };
        match text.split_once('[') {
            Some((name, rest)) => self.bash && is_name(name) && rest.ends_with(']'),
            None => is_name(text),
        }
    }

    /// Reads what quotes or expands outside quotes, if that is what stands here.
    fn quoting(&mut self, pieces: &mut Pieces) -> Read<bool> {
        match self.peek() {
            Some(b'\\') => self.backslash(pieces)?,
            Some(b'\'') => self.single(pieces)?,
            Some(b'"') => self.double(pieces)?,
            Some(b'$') => self.dollar(false, pieces)?,
            Some(b'`') => self.backtick(pieces)?,
            Some(_) | None => return Ok(false),
        }
        Ok(true)
    }

    fn backslash(&mut self, pieces: &mut Pieces) -> Read<()> {
        let at = self.pos;
        self.pos += 1;
        if self.peek() == Some(b'\n') {
            self.pos += 1;
        } else if let Some(hole) = self.hole_at(self.pos) {
            self.refuse(hole, RefusalKind::AfterBackslash, at..at + 1);
            if let Some(h) = self.holes.get(hole) {
                self.pos = h.end;
            }
            pieces.hole(hole);
        } else if self.peek().is_some() {
            let from = self.pos;
            self.pos += self.char_len();
            pieces.text(self.slice(from..self.pos), true);
        } else {
            pieces.text("\\", true);
        }
        Ok(())
    }

    fn single(&mut self, pieces: &mut Pieces) -> Read<()> {
        let open = self.pos;
        self.pos += 1;
        pieces.text("", true);
        loop {
            self.step()?;
            if let Some(hole) = self.take_hole(Context::SingleQuoted) {
                pieces.hole(hole);
                continue;
            }
            match self.peek() {
                None => return self.stop(open, Why::Unclosed('\'')),
                Some(b'\'') => {
                    self.pos += 1;
                    return Ok(());
                }
                Some(_) => {
                    let text = self.plain(|b| b == b'\'');
                    pieces.text(text, true);
                }
            }
        }
    }

    /// `$'…'`: no constant can stand in it, for its `'"…"'` would need the other quotes.
    fn dollar_single(&mut self, pieces: &mut Pieces) -> Read<()> {
        let open = self.pos;
        self.pos += 2;
        loop {
            self.step()?;
            match self.peek() {
                None => return self.stop(open + 1, Why::Unclosed('\'')),
                Some(b'\'') => break self.pos += 1,
                Some(b'\\') if self.bash => self.pos += 2,
                Some(_) => self.pos += self.char_len(),
            }
        }
        // Bytes after a backslash may be the middle of a character; what follows is read by characters again.
        while self.pos < self.end && !self.text.is_char_boundary(self.pos) {
            self.pos += 1;
        }
        self.refuse_in(open..self.pos, &RefusalKind::DollarSingle, open..open + 2);
        pieces.expansion(open..self.pos);
        Ok(())
    }

    /// `"…"`; in arithmetic it quotes nothing that matters.
    pub(super) fn double(&mut self, pieces: &mut Pieces) -> Read<()> {
        let open = self.pos;
        self.pos += 1;
        pieces.text("", true);
        let context = if self.in_arithmetic > 0 { Context::Arithmetic } else { Context::DoubleQuoted };
        loop {
            self.step()?;
            if let Some(hole) = self.take_hole(context) {
                pieces.hole(hole);
                continue;
            }
            match self.peek() {
                None => return self.stop(open, Why::Unclosed('"')),
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(());
                }
                Some(b'\\') => self.backslash_in_double(pieces)?,
                Some(b'$') => self.dollar(true, pieces)?,
                Some(b'`') => self.backtick(pieces)?,
                Some(_) => {
                    let text = self.plain(|b| matches!(b, b'"' | b'\\' | b'$' | b'`'));
                    pieces.text(text, true);
                }
            }
        }
    }

    /// A backslash in `"…"` or a here-document stays before what it doesn't escape.
    pub(super) fn backslash_in_double(&mut self, pieces: &mut Pieces) -> Read<()> {
        match self.at(self.pos + 1) {
            Some(b'$' | b'`' | b'"' | b'\\' | b'\n') | None => {}
            Some(_) if self.hole_at(self.pos + 1).is_some() => {}
            Some(_) => pieces.text("\\", true),
        }
        self.backslash(pieces)
    }

    /// Anything that begins with `$`.
    pub(super) fn dollar(&mut self, quoted: bool, pieces: &mut Pieces) -> Read<()> {
        let at = self.pos;
        if let Some(hole) = self.hole_at(at + 1) {
            self.refuse(hole, RefusalKind::AfterDollar, at..at + 1);
            if let Some(h) = self.holes.get(hole) {
                self.pos = h.end;
            }
            pieces.hole(hole);
            return Ok(());
        }
        match self.at(at + 1) {
            Some(b'(') => {
                self.parenthesised(at)?;
                pieces.expansion(at..self.pos);
            }
            Some(b'{') => {
                self.deeper(|r| r.parameter(quoted))?;
                pieces.expansion(at..self.pos);
            }
            Some(b'[') if self.bash => {
                self.pos += 2;
                self.deeper(|r| r.arithmetic(at, Close::Bracket))?;
                pieces.expansion(at..self.pos);
            }
            Some(b'\'') if !quoted && self.in_arithmetic == 0 => self.dollar_single(pieces)?,
            Some(b'"') if !quoted => {
                self.pos += 1;
                self.double(pieces)?;
            }
            Some(b'\\') if self.at(at + 2) == Some(b'\n') => {
                return self.syntax("a line ends between `$` and what belongs to it");
            }
            Some(b) if b.is_ascii_alphabetic() || b == b'_' => {
                self.pos += 2;
                while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
                    && self.hole_at(self.pos).is_none()
                {
                    self.pos += 1;
                }
                if self.peek() == Some(b'\\') && self.at(self.pos + 1) == Some(b'\n') {
                    return self.syntax("a line ends right after a variable's name");
                }
                pieces.expansion(at..self.pos);
            }
            Some(b'0'..=b'9' | b'?' | b'!' | b'#' | b'$' | b'*' | b'@' | b'-') => {
                self.pos += 2;
                pieces.expansion(at..self.pos);
            }
            Some(_) | None => {
                self.pos += 1;
                pieces.text("$", quoted);
            }
        }
        Ok(())
    }

    /// `$((…))` or `$(…)`.
    fn parenthesised(&mut self, at: usize) -> Read<()> {
        match self.at(at + 2) {
            Some(b'\\') if self.at(at + 3) == Some(b'\n') => {
                self.pos += 2;
                return self.syntax("a line ends right after `$(`");
            }
            Some(b'(') if !self.not_arithmetic.contains(&at) => {
                let before = self.snapshot();
                self.pos += 3;
                match self.deeper(|r| r.arithmetic(at, Close::Parens)) {
                    Ok(()) => {
                        self.keep(before);
                        return Ok(());
                    }
                    Err(stop) if !self.bash || matches!(stop.why, Why::TooDeep | Why::TooComplex) => return Err(stop),
                    Err(_) => {
                        self.restore(before);
                        self.not_arithmetic.insert(at);
                    }
                }
            }
            Some(_) | None => {}
        }
        self.pos += 2;
        self.substitution(at)
    }

    /// The commands of `$(…)` or `<(…)`, up to and with the `)`.
    pub(super) fn substitution(&mut self, open: usize) -> Read<()> {
        let outer = std::mem::take(&mut self.pending);
        let arithmetic = std::mem::take(&mut self.in_arithmetic);
        let ended = self.deeper(|r| r.list(&[]))?;
        self.in_arithmetic = arithmetic;
        match ended {
            Ended::Paren => self.pos += 1,
            Ended::Eof => return self.stop(open, Why::Unclosed('(')),
            Ended::DoubleSemi | Ended::Keyword(_) => return self.syntax("this can't stand in a substitution"),
        }
        if let Some(pending) = self.pending.first() {
            return self.stop(pending.at, Why::Syntax("a here-document in a substitution must end before its `)`"));
        }
        self.pending = outer;
        Ok(())
    }

    /// `${…}`, up to and with the first `}` that isn't quoted.
    fn parameter(&mut self, quoted: bool) -> Read<()> {
        let open = self.pos;
        self.pos += 2;
        if let Some(b' ' | b'\t' | b'\n' | b'|') = self.peek() {
            return self.syntax("this is no `${name}`");
        }
        self.in_parameter.push(open);
        let mut inner = Pieces::default();
        loop {
            self.step()?;
            if self.take_hole(Context::Bare).is_some() {
                continue;
            }
            match self.peek() {
                None => return self.stop(open, Why::Unclosed('{')),
                Some(b'}') => break self.pos += 1,
                Some(b'\\') => self.backslash(&mut inner)?,
                Some(b'\'') if quoted => self.quote_or_text()?,
                Some(b'\'') => self.single(&mut inner)?,
                Some(b'"') => self.double(&mut inner)?,
                Some(b'$') => self.dollar(quoted, &mut inner)?,
                Some(b'`') => self.backtick(&mut inner)?,
                Some(_) => self.pos += self.char_len(),
            }
        }
        self.in_parameter.pop();
        Ok(())
    }

    /// A `'` in `"${…}"` is a quote for some operators of some shells: only where that makes no difference.
    fn quote_or_text(&mut self) -> Read<()> {
        let open = self.pos;
        let mut pos = open + 1;
        loop {
            self.step()?;
            match self.at(pos) {
                Some(b'\'') => break,
                Some(b'}' | b'"' | b'$' | b'`' | b'\\' | b'{' | b'\n') | None => {
                    return self.syntax("shells differ about a `'` in `\"${…}\"`");
                }
                Some(_) => pos += 1,
            }
        }
        self.refuse_in(open..pos, &RefusalKind::ParameterExpansion, open..open + 1);
        self.pos = pos + 1;
        Ok(())
    }

    /// `` `…` ``: ends at the first backtick without a backslash, whatever stands between.
    pub(super) fn backtick(&mut self, pieces: &mut Pieces) -> Read<()> {
        let open = self.pos;
        self.pos += 1;
        loop {
            self.step()?;
            match self.peek() {
                None => return self.stop(open, Why::Unclosed('`')),
                Some(b'`') => break self.pos += 1,
                Some(b'\\') => {
                    self.pos += 1;
                    if self.hole_at(self.pos).is_none() && self.peek().is_some() {
                        self.pos += self.char_len();
                    }
                }
                Some(_) => self.pos += self.char_len(),
            }
        }
        self.refuse_in(open..self.pos, &RefusalKind::Backtick, open..open + 1);
        pieces.expansion(open..self.pos);
        Ok(())
    }

    /// The inside of arithmetic, up to and with what closes it.
    pub(super) fn arithmetic(&mut self, open: usize, close: Close) -> Read<()> {
        self.in_arithmetic += 1;
        let mut parens = 0u32;
        let mut inner = Pieces::default();
        loop {
            self.step()?;
            if let Some(hole) = self.take_hole(Context::Arithmetic) {
                self.whole_number(hole);
                continue;
            }
            match self.peek() {
                None => return self.stop(open, Why::Unclosed('(')),
                Some(b')') if parens > 0 => {
                    parens -= 1;
                    self.pos += 1;
                }
                Some(b')') if close == Close::Parens => {
                    if self.at(self.pos + 1) != Some(b')') {
                        return self.syntax("arithmetic must end in `))`");
                    }
                    self.pos += 2;
                    break;
                }
                Some(b']') if close == Close::Bracket && parens == 0 => {
                    self.pos += 1;
                    break;
                }
                Some(b'[') if close == Close::Bracket => return self.syntax("a subscript in `$[…]`"),
                Some(b'(') => {
                    parens += 1;
                    self.pos += 1;
                }
                Some(b'\'') => return self.syntax("a `'` stands in arithmetic"),
                Some(b'"') => self.double(&mut inner)?,
                Some(b'$') => self.dollar(true, &mut inner)?,
                Some(b'`') => self.backtick(&mut inner)?,
                Some(b'\\') => self.backslash(&mut inner)?,
                Some(_) => self.pos += self.char_len(),
            }
        }
        self.in_arithmetic -= 1;
        Ok(())
    }

    /// In arithmetic a constant is a number in parentheses, which can't be a part of a number or a name.
    fn whole_number(&mut self, index: usize) {
        let Some(hole) = self.holes.get(index).copied() else { return };
        let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'#' | b'@' | b'.') || !b.is_ascii();
        let before = hole.start.checked_sub(1).and_then(|at| self.at(at));
        if let Some(byte) = before.filter(|b| word(*b)) {
            // A character of several bytes is left out of the place.
            let from = hole.start - usize::from(byte.is_ascii());
            self.refuse(index, RefusalKind::GluedInArithmetic, from..hole.end);
        } else if self.at(hole.end).is_some_and(word) || self.hole_at(hole.end).is_some() {
            self.refuse(index, RefusalKind::GluedInArithmetic, hole.start..hole.end);
        }
    }

    /// `[…]` of `name[…]=`.
    fn subscript(&mut self, pieces: &mut Pieces) -> Read<()> {
        let open = self.pos;
        let first_mark = self.marks.len();
        self.pos += 1;
        pieces.text("[", false);
        let mut level = 1u32;
        loop {
            self.step()?;
            if let Some(hole) = self.take_hole(Context::Bare) {
                pieces.hole(hole);
                continue;
            }
            if self.quoting(pieces)? {
                continue;
            }
            let from = self.pos;
            match self.peek() {
                None | Some(b'\n') => return self.stop(open, Why::Unclosed('[')),
                Some(b'[') => {
                    level += 1;
                    self.pos += 1;
                }
                Some(b']') => {
                    level -= 1;
                    self.pos += 1;
                }
                Some(_) => self.pos += self.char_len(),
            }
            pieces.text(self.slice(from..self.pos), false);
            if level == 0 {
                break;
            }
        }
        let holes: Vec<usize> = self.marks.get(first_mark..).unwrap_or_default().iter().map(|&(h, _)| h).collect();
        self.out.ints.extend(holes.into_iter().map(|h| (h, Place::Subscript)));
        Ok(())
    }

    /// `name=(…)`, from the `(`.
    fn array(&mut self, pieces: &mut Pieces) -> Read<()> {
        let open = self.pos;
        self.pos += 1;
        loop {
            self.space()?;
            match self.peek() {
                None => return self.stop(open, Why::Unclosed('(')),
                Some(b')') => break self.pos += 1,
                Some(b'<' | b'>') if self.at(self.pos + 1) == Some(b'(') => {}
                Some(byte) if is_meta(byte) => return self.syntax("this can't stand in an array"),
                Some(_) => {}
            }
            let element = self.word(false)?.word;
            if element.leading_text().starts_with('[') {
                for hole in element.name_holes() {
                    self.out.ints.push((hole, Place::Subscript));
                }
            }
            pieces.list.extend(element.pieces);
            pieces.text(" ", true);
        }
        Ok(())
    }

    /// Whether a `(` here begins a pattern: `?(…)`, `*(…)`, `+(…)`, `@(…)`, `!(…)`.
    fn is_pattern_group(&self, start: usize, pieces: &Pieces) -> bool {
        // A `!(` at a word's start is a negated subshell unless an option says otherwise.
        let kind = self.pos.checked_sub(1).and_then(|at| self.at(at));
        let plain = matches!(pieces.list.last(), Some(super::Piece::Text { quoted: false, .. }));
        plain && self.pos > start && matches!(kind, Some(b'?' | b'*' | b'+' | b'@' | b'!'))
    }

    fn pattern_group(&mut self, pieces: &mut Pieces) -> Read<()> {
        let open = self.pos;
        let mut level = 0u32;
        loop {
            self.step()?;
            if let Some(hole) = self.take_hole(Context::Bare) {
                pieces.hole(hole);
                continue;
            }
            if self.quoting(pieces)? {
                continue;
            }
            let from = self.pos;
            match self.peek() {
                None | Some(b'\n') => return self.stop(open, Why::Unclosed('(')),
                Some(b'(') => {
                    level += 1;
                    self.pos += 1;
                }
                Some(b')') => {
                    level -= 1;
                    self.pos += 1;
                }
                Some(b'&' | b';' | b'<' | b'>') => return self.syntax("this can't stand in a pattern"),
                Some(_) => self.pos += self.char_len(),
            }
            pieces.text(self.slice(from..self.pos), false);
            if level == 0 {
                return Ok(());
            }
        }
    }

    /// What stands right of `=~` in `[[ ]]`: parentheses and `|` belong to it.
    pub(super) fn regex(&mut self) -> Read<Word> {
        let start = self.pos;
        let mut pieces = Pieces::default();
        let mut level = 0u32;
        while let Some(byte) = self.peek() {
            self.step()?;
            if let Some(hole) = self.take_hole(Context::Bare) {
                pieces.hole(hole);
                continue;
            }
            if self.quoting(&mut pieces)? {
                continue;
            }
            let from = self.pos;
            match byte {
                b'\n' => break,
                b' ' | b'\t' if level == 0 => break,
                b'&' | b';' | b'<' | b'>' => return self.syntax("this must be quoted in a regular expression"),
                b')' if level == 0 => break,
                _ => {
                    level = match byte {
                        b'(' => level + 1,
                        b')' => level - 1,
                        _ => level,
                    };
                    self.pos += self.char_len();
                    pieces.text(self.slice(from..self.pos), false);
                }
            }
        }
        if level > 0 {
            return self.syntax("a `(` of this regular expression isn't closed");
        }
        Ok(Word { span: start..self.pos, pieces: pieces.list })
    }
}
