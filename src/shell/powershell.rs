//! PowerShell: a value stands as a whole argument, in `"…"` or in `@"…"@`.

use std::ops::Range;

use super::{Context, Hole, HoleKind, Refusal, RefusalKind, finish, mask, next_char};

/// Commands that run text.
const REREAD: &[&str] = &["iex", "invoke-expression", "powershell", "pwsh", "cmd", "bash", "sh", "wsl", "ssh"];
/// Methods that run or expand text.
const METHODS: &[&str] = &["[scriptblock]::create", ".invokescript", ".expandstring", "::invokescript"];

pub(super) fn read(text: &str, holes: &[Hole]) -> Result<Vec<Context>, Vec<Refusal>> {
    let masked = mask(text, holes).unwrap_or_default();
    let mut reader = Reader {
        lower: masked.to_ascii_lowercase(),
        bytes: masked.as_bytes(),
        text: &masked,
        holes,
        pos: 0,
        levels: Vec::new(),
        contexts: vec![None; holes.len()],
        refusals: Vec::new(),
    };
    if let Err((at, what)) = reader.all() {
        let first = reader.contexts.iter().position(Option::is_none).unwrap_or(0);
        reader.refuse(first, RefusalKind::Unreadable(what.into()), at..next_char(&masked, at));
    }
    let Reader { mut refusals, contexts, .. } = reader;
    for (index, (hole, context)) in holes.iter().zip(&contexts).enumerate() {
        match (hole.kind, context) {
            (_, Some(Context::Comment)) => {}
            (HoleKind::List, _) => refusals.push(Refusal { hole: index, kind: RefusalKind::List, at: hole.range() }),
            (HoleKind::Raw, Some(Context::PsArgument)) => {}
            (HoleKind::Raw, Some(_)) => {
                refusals.push(Refusal { hole: index, kind: RefusalKind::RawNotBare, at: hole.range() });
            }
            (HoleKind::Int | HoleKind::Plain | HoleKind::Text | HoleKind::Quoted | HoleKind::Raw, _) => {}
        }
    }
    if !refusals.is_empty() {
        return Err(finish(refusals));
    }
    let raw = |(hole, context): (&Hole, Option<Context>)| match (hole.kind, context) {
        (HoleKind::Raw, Some(Context::PsArgument)) => Context::Verbatim,
        // Every hole that isn't refused has one.
        (_, context) => context.unwrap_or(Context::Comment),
    };
    Ok(holes.iter().zip(contexts).map(raw).collect())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Code, up to this byte (or the end).
    Code(Option<u8>),
    /// `"…"`
    Double,
    /// `@"…"@`
    HereDouble,
}

struct Level {
    state: State,
    open: usize,
    /// What will run the text of this level's current statement.
    reread: Option<(String, Range<usize>)>,
    /// As it was where the level began.
    inherited: Option<(String, Range<usize>)>,
    /// Whether the next word is a command's name.
    command: bool,
    /// The holes of the statement so far, for a pipe into `iex`.
    seen: Vec<usize>,
}

struct Reader<'a> {
    text: &'a str,
    lower: String,
    bytes: &'a [u8],
    holes: &'a [Hole],
    pos: usize,
    levels: Vec<Level>,
    contexts: Vec<Option<Context>>,
    refusals: Vec<Refusal>,
}

type Stop = (usize, &'static str);

fn single(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}')
}

fn double(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}')
}

impl Reader<'_> {
    fn all(&mut self) -> Result<(), Stop> {
        self.enter(State::Code(None), 0);
        while let Some(level) = self.levels.last() {
            let (state, open) = (level.state, level.open);
            if self.pos >= self.bytes.len() {
                return match state {
                    State::Code(None) => Ok(()),
                    State::Code(Some(_)) => Err((open, "this bracket isn't closed")),
                    State::Double | State::HereDouble => Err((open, "this string isn't closed")),
                };
            }
            match state {
                State::Code(close) => self.code(close)?,
                State::Double => self.string(),
                State::HereDouble => self.here_string(),
            }
        }
        Ok(())
    }

    fn enter(&mut self, state: State, open: usize) {
        let inherited = self.levels.last().and_then(|l| l.reread.clone());
        let (reread, command) = (inherited.clone(), true);
        self.levels.push(Level { state, open, reread, inherited, command, seen: Vec::new() });
    }

    fn refuse(&mut self, hole: usize, kind: RefusalKind, at: Range<usize>) {
        self.refusals.push(Refusal { hole, kind, at });
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.pos..).and_then(|rest| rest.chars().next())
    }

    fn at(&self, pos: usize) -> Option<u8> {
        self.bytes.get(pos).copied()
    }

    fn bump(&mut self) {
        self.pos += self.peek().map_or(1, char::len_utf8);
    }

    fn starts_with(&self, what: &str) -> bool {
        self.text.get(self.pos..).is_some_and(|rest| rest.starts_with(what))
    }

    fn hole_at(&self, pos: usize) -> Option<usize> {
        self.holes.binary_search_by_key(&pos, |h| h.start).ok()
    }

    /// A hole that stands here, in a context or in none.
    fn take_hole(&mut self, context: Result<Context, RefusalKind>) -> bool {
        let Some(index) = self.hole_at(self.pos) else { return false };
        let Some(hole) = self.holes.get(index).copied() else { return false };
        self.pos = hole.end;
        match context {
            Ok(context) => {
                if let Some(slot) = self.contexts.get_mut(index) {
                    *slot = Some(context);
                }
                let reread = self.levels.last().and_then(|l| l.reread.clone());
                let text = matches!(hole.kind, HoleKind::Text | HoleKind::Quoted);
                if let Some((name, at)) = reread
                    && text
                    && context != Context::Comment
                {
                    self.refuse(index, RefusalKind::Reread(name), at);
                }
                for level in self.levels.iter_mut().rev().take(8) {
                    level.seen.push(index);
                }
            }
            Err(kind) => self.refuse(index, kind, hole.range()),
        }
        true
    }

    /// A backtick escapes what follows.
    fn escape(&mut self) {
        let at = self.pos;
        self.pos += 1;
        if let Some(index) = self.hole_at(self.pos) {
            self.refuse(index, RefusalKind::AfterBackslash, at..at + 1);
            self.pos = self.holes.get(index).map_or(self.pos, |h| h.end);
        } else if self.pos < self.bytes.len() {
            self.bump();
        }
    }

    /// `$` in code or a string.
    fn dollar(&mut self) {
        let at = self.pos;
        if let Some(index) = self.hole_at(at + 1) {
            self.refuse(index, RefusalKind::AfterDollar, at..at + 1);
            self.pos = self.holes.get(index).map_or(at + 1, |h| h.end);
        } else if self.at(at + 1) == Some(b'(') {
            self.pos += 2;
            self.enter(State::Code(Some(b')')), at);
        } else if self.at(at + 1) == Some(b'{') {
            self.pos += 2;
            while let Some(byte) = self.at(self.pos) {
                if self.take_hole(Err(RefusalKind::ParameterExpansion)) {
                    continue;
                }
                self.bump();
                if byte == b'}' {
                    break;
                }
            }
        } else {
            self.pos += 1;
        }
    }

    fn line(&mut self, context: &Result<Context, RefusalKind>) {
        while self.at(self.pos).is_some_and(|b| b != b'\n') {
            if !self.take_hole(context.clone()) {
                self.bump();
            }
        }
    }

    fn code(&mut self, close: Option<u8>) -> Result<(), Stop> {
        if self.hole_at(self.pos).is_some() {
            let context = self.argument();
            self.take_hole(context);
            self.word_done();
            return Ok(());
        }
        let at = self.pos;
        let before = at.checked_sub(1).and_then(|p| self.at(p));
        let apart = before.is_none_or(|b| b.is_ascii_whitespace() || b"(){};|,=&".contains(&b));
        let Some(c) = self.peek() else { return Ok(()) };
        match c {
            '#' if apart => self.line(&Ok(Context::Comment)),
            '<' if self.starts_with("<#") => {
                while self.pos < self.bytes.len() && !self.starts_with("#>") {
                    if !self.take_hole(Ok(Context::Comment)) {
                        self.bump();
                    }
                }
                if self.pos >= self.bytes.len() {
                    return Err((at, "this comment isn't closed"));
                }
                self.pos += 2;
            }
            '-' if apart && self.starts_with("--%") => self.line(&Err(RefusalKind::PsPlace)),
            '`' => self.escape(),
            '@' if self.here_string_begins() => {
                self.pos += 1;
                let quote = self.peek().unwrap_or('"');
                self.line(&Err(RefusalKind::PsPlace));
                self.word_done();
                if double(quote) {
                    self.enter(State::HereDouble, at);
                } else {
                    loop {
                        if self.pos >= self.bytes.len() {
                            return Err((at, "this string isn't closed"));
                        }
                        if self.ends_here_string(single) {
                            break;
                        }
                        if !self.take_hole(Err(RefusalKind::PsPlace)) {
                            self.bump();
                        }
                    }
                }
            }
            c if double(c) => {
                self.word_done();
                self.bump();
                self.enter(State::Double, at);
            }
            c if single(c) => {
                self.word_done();
                self.bump();
                loop {
                    if self.take_hole(Err(RefusalKind::PsPlace)) {
                        continue;
                    }
                    let Some(c) = self.peek() else { return Err((at, "this string isn't closed")) };
                    self.bump();
                    if single(c) {
                        if self.peek().is_some_and(single) {
                            self.bump();
                        } else {
                            break;
                        }
                    }
                }
            }
            '$' => {
                self.word_done();
                self.dollar();
            }
            '(' | '{' | '[' => {
                self.word_done();
                self.pos += 1;
                let close = match c {
                    '(' => b')',
                    '{' => b'}',
                    _ => b']',
                };
                let method = self.lower.get(..at).and_then(|t| METHODS.iter().find(|m| t.ends_with(**m)));
                self.enter(State::Code(Some(close)), at);
                if let (Some(method), Some(level)) = (method, self.levels.last_mut()) {
                    level.reread = Some(((*method).to_owned(), at.saturating_sub(method.len())..at));
                    level.inherited.clone_from(&level.reread);
                }
            }
            ')' | '}' | ']' => {
                self.pos += 1;
                if close == u8::try_from(c).ok() {
                    self.levels.pop();
                } else {
                    return Err((at, "this bracket isn't opened"));
                }
            }
            '\n' | ';' | '|' => {
                self.pos += 1;
                if let Some(level) = self.levels.last_mut() {
                    level.command = true;
                    level.reread.clone_from(&level.inherited);
                    if c != '|' {
                        level.seen.clear();
                    }
                }
            }
            c if c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '\\' | ':') => self.bare_word(),
            _ => self.bump(),
        }
        Ok(())
    }

    fn word_done(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.command = false;
        }
    }

    fn bare_word(&mut self) {
        let start = self.pos;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '\\' | ':'))
            && self.hole_at(self.pos).is_none()
        {
            self.bump();
        }
        let word = self.lower.get(start..self.pos).unwrap_or("");
        if word == "." {
            // The dot that runs a script; its name is still to come.
            return;
        }
        let name = super::dialect::base_name(word);
        let name = name.strip_suffix(".exe").unwrap_or(name).to_owned();
        let is_file = matches!(word, "-file" | "-f");
        let Some(level) = self.levels.last_mut() else { return };
        if level.command && REREAD.contains(&name.as_str()) {
            level.reread = Some((name.clone(), start..self.pos));
            if matches!(name.as_str(), "iex" | "invoke-expression") {
                for index in std::mem::take(&mut level.seen) {
                    if self.holes.get(index).is_some_and(|h| matches!(h.kind, HoleKind::Text | HoleKind::Quoted)) {
                        let kind = RefusalKind::Reread(name.clone());
                        self.refusals.push(Refusal { hole: index, kind, at: start..self.pos });
                    }
                }
            }
        } else if is_file && level.reread.as_ref().is_some_and(|(n, _)| n == "powershell" || n == "pwsh") {
            level.reread.clone_from(&level.inherited);
        }
        self.word_done();
    }

    /// Whether the hole here is a whole argument.
    fn argument(&self) -> Result<Context, RefusalKind> {
        let Some(hole) = self.hole_at(self.pos).and_then(|i| self.holes.get(i)) else {
            return Err(RefusalKind::PsPlace);
        };
        let before = hole.start.checked_sub(1).and_then(|p| self.at(p));
        let after = self.at(hole.end);
        let open = before.is_none_or(|b| b.is_ascii_whitespace() || b"({,=;|".contains(&b));
        let closed = after.is_none_or(|b| b.is_ascii_whitespace() || b")},;|".contains(&b));
        if !open || !closed || self.hole_at(hole.end).is_some() {
            return Err(RefusalKind::PsPlace);
        }
        let rest = self.text.get(hole.end..).unwrap_or("").trim_start_matches([' ', '\t']);
        let target = rest.strip_prefix(['+', '-', '*', '/', '%']).unwrap_or(rest);
        if self.levels.last().is_some_and(|l| l.command) && target.starts_with('=') {
            return Err(RefusalKind::Name("an assignment".into()));
        }
        Ok(Context::PsArgument)
    }

    fn string(&mut self) {
        if self.take_hole(Ok(Context::PsDoubleQuoted)) {
            return;
        }
        match self.peek() {
            Some('`') => self.escape(),
            Some('$') => self.dollar(),
            Some(c) if double(c) => {
                self.bump();
                if self.peek().is_some_and(double) && self.hole_at(self.pos).is_none() {
                    self.bump();
                } else {
                    self.levels.pop();
                }
            }
            Some(_) | None => self.bump(),
        }
    }

    fn here_string(&mut self) {
        if self.ends_here_string(double) {
            self.levels.pop();
        } else if !self.take_hole(Ok(Context::PsDoubleQuoted)) {
            match self.peek() {
                Some('`') => self.escape(),
                Some('$') => self.dollar(),
                Some(_) | None => self.bump(),
            }
        }
    }

    /// `@"` or `@'` with nothing but blanks after it on its line.
    fn here_string_begins(&self) -> bool {
        let Some(rest) = self.text.get(self.pos + 1..) else { return false };
        let mut chars = rest.chars();
        let quote = chars.next().is_some_and(|c| double(c) || single(c));
        quote && chars.find(|c| !matches!(c, ' ' | '\t' | '\r')).is_some_and(|c| c == '\n')
    }

    /// Goes past a line end with `"@` (or `'@`) after it.
    fn ends_here_string(&mut self, quote: fn(char) -> bool) -> bool {
        let Some(rest) = self.text.get(self.pos..).and_then(|r| r.strip_prefix('\n')) else { return false };
        let mut chars = rest.chars();
        let Some(first) = chars.next() else { return false };
        if quote(first) && chars.next() == Some('@') {
            self.pos += 1 + first.len_utf8() + 1;
            return true;
        }
        false
    }
}
