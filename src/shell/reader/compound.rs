//! Compound commands, functions and `[[ ]]`.

use super::super::command::{Command, CommandKind, Piece, Word};
use super::super::refusal::RefusalKind;
use super::word::Close;
use super::{Read, Reader, Why, is_meta, list::Ended};

impl Reader<'_> {
    /// A list that must end in one of these keywords; says in which.
    fn keyword_after(&mut self, stops: &[&'static str]) -> Read<&'static str> {
        let open = self.pos;
        match self.deeper(|r| r.list(stops))? {
            Ended::Keyword(word) => Ok(word),
            Ended::Eof => self.stop(open, Why::Syntax("what begins here isn't ended")),
            Ended::Paren | Ended::DoubleSemi => self.syntax("this ends what isn't complete"),
        }
    }

    pub(super) fn until(&mut self, stops: &[&'static str]) -> Read<()> {
        self.keyword_after(stops).map(drop)
    }

    pub(super) fn if_(&mut self) -> Read<()> {
        self.until(&["then"])?;
        loop {
            match self.keyword_after(&["elif", "else", "fi"])? {
                "elif" => self.until(&["then"])?,
                "else" => return self.until(&["fi"]),
                _ => return Ok(()),
            }
        }
    }

    pub(super) fn loop_(&mut self) -> Read<()> {
        self.until(&["do"])?;
        self.until(&["done"])
    }

    pub(super) fn for_(&mut self) -> Read<()> {
        let at = self.pos;
        self.blanks()?;
        if self.bash && self.starts_with("((") {
            let open = self.pos;
            self.pos += 2;
            self.deeper(|r| r.arithmetic(open, Close::Parens))?;
        } else {
            if self.peek().is_none_or(is_meta) {
                return self.syntax("`for` lacks its variable");
            }
            let name = self.word(false)?.word;
            self.refuse_in(name.span.clone(), &RefusalKind::Name("for".into()), name.span);
            self.space()?;
            if let Some(word) = self.keyword(&["in"]) {
                self.pos += word.len();
                loop {
                    self.step()?;
                    self.blanks()?;
                    match self.peek() {
                        None => return self.stop(at, Why::Syntax("this `for` isn't ended")),
                        Some(b'\n' | b';' | b'#') => break,
                        Some(b'<' | b'>') if self.bash && self.at(self.pos + 1) == Some(b'(') => {}
                        Some(byte) if is_meta(byte) => return self.syntax("this can't stand in the words of `for`"),
                        Some(_) => {}
                    }
                    self.word(false)?;
                }
            }
        }
        self.blanks()?;
        if self.peek() == Some(b';') && !self.starts_with(";;") {
            self.pos += 1;
        }
        self.space()?;
        match self.keyword(&["do", "{"]) {
            Some("do") => {
                self.pos += 2;
                self.until(&["done"])
            }
            Some(_) if self.bash => {
                self.pos += 1;
                self.until(&["}"])
            }
            Some(_) | None => self.syntax("`do` is missing here"),
        }
    }

    pub(super) fn case(&mut self) -> Read<()> {
        let open = self.pos;
        self.blanks()?;
        if self.peek().is_none_or(is_meta) {
            return self.syntax("`case` lacks its word");
        }
        self.word(false)?;
        self.space()?;
        if self.keyword(&["in"]).is_none() {
            return self.syntax("`in` is missing here");
        }
        self.pos += 2;
        loop {
            self.step()?;
            self.space()?;
            if self.keyword(&["esac"]).is_some() {
                self.pos += 4;
                return Ok(());
            }
            if self.peek() == Some(b'(') {
                self.pos += 1;
                self.blanks()?;
            }
            self.patterns(open)?;
            match self.deeper(|r| r.list(&["esac"]))? {
                Ended::Keyword(_) => return Ok(()),
                Ended::DoubleSemi => {
                    self.pos += 2;
                    if self.bash && self.at(self.pos - 1) == Some(b';') && self.peek() == Some(b'&') {
                        self.pos += 1;
                    }
                }
                Ended::Eof => return self.stop(open, Why::Syntax("this `case` isn't ended")),
                Ended::Paren => return self.syntax("a `)` ends what isn't complete"),
            }
        }
    }

    /// `a | b)`, up to and with the `)`.
    fn patterns(&mut self, open: usize) -> Read<()> {
        loop {
            self.blanks()?;
            if self.peek().is_none() {
                return self.stop(open, Why::Syntax("this `case` isn't ended"));
            }
            if self.peek().is_some_and(is_meta) {
                return self.syntax("a pattern is missing here");
            }
            self.word(false)?;
            self.blanks()?;
            match self.peek() {
                Some(b'|') => self.pos += 1,
                Some(b')') => {
                    self.pos += 1;
                    return Ok(());
                }
                Some(_) | None => return self.syntax("a pattern of `case` must end in `)`"),
            }
        }
    }

    /// A subshell, or `((…))` in bash.
    pub(super) fn parenthesis(&mut self) -> Read<()> {
        let open = self.pos;
        if self.at(open + 1) == Some(b'\\') && self.at(open + 2) == Some(b'\n') {
            return self.syntax("a line ends right after `(`");
        }
        if self.bash && self.at(open + 1) == Some(b'(') && !self.not_arithmetic.contains(&open) {
            let before = self.snapshot();
            self.pos += 2;
            match self.deeper(|r| r.arithmetic(open, Close::Parens)) {
                Ok(()) => {
                    self.keep(before);
                    return Ok(());
                }
                Err(stop) if matches!(stop.why, Why::TooDeep | Why::TooComplex) => return Err(stop),
                Err(_) => {
                    self.restore(before);
                    self.not_arithmetic.insert(open);
                }
            }
        }
        self.pos = open + 1;
        match self.deeper(|r| r.list(&[]))? {
            Ended::Paren => {
                self.pos += 1;
                Ok(())
            }
            Ended::Eof => self.stop(open, Why::Unclosed('(')),
            Ended::DoubleSemi | Ended::Keyword(_) => self.syntax("this can't stand in a subshell"),
        }
    }

    /// `name ()`, from the `(`.
    pub(super) fn function(&mut self, command: &Command) -> Read<()> {
        let Some(name) = command.words.first() else { return self.syntax("a function lacks its name") };
        self.refuse_in(name.span.clone(), &RefusalKind::Name("a function".into()), name.span.clone());
        self.out.functions.extend(name.text().map(Into::into));
        self.pos += 1;
        self.blanks()?;
        if self.peek() != Some(b')') {
            return self.syntax("a `(` can't stand here");
        }
        self.pos += 1;
        self.space()?;
        self.deeper(Reader::command)
    }

    pub(super) fn function_keyword(&mut self) -> Read<()> {
        self.blanks()?;
        if self.peek().is_none_or(is_meta) {
            return self.syntax("a function lacks its name");
        }
        let name = self.word(false)?.word;
        self.refuse_in(name.span.clone(), &RefusalKind::Name("a function".into()), name.span.clone());
        self.out.functions.extend(name.text().map(Into::into));
        self.blanks()?;
        if self.peek() == Some(b'(') {
            self.pos += 1;
            self.blanks()?;
            if self.peek() == Some(b')') {
                self.pos += 1;
            } else {
                return self.syntax("a `(` can't stand here");
            }
        }
        self.space()?;
        self.deeper(Reader::command)
    }

    /// `[[ … ]]`.
    pub(super) fn condition(&mut self) -> Read<()> {
        let open = self.pos;
        let mut words = Vec::new();
        self.pos += 2;
        words.push(operator(open..self.pos, "[["));
        loop {
            self.step()?;
            self.space()?;
            let start = self.pos;
            let two = self.starts_with("&&") || self.starts_with("||");
            match self.peek() {
                None => return self.stop(open, Why::Syntax("this `[[` isn't closed")),
                Some(b'<' | b'>') if self.at(start + 1) == Some(b'(') => {}
                Some(b'&' | b'|') if two => {
                    self.pos += 2;
                    words.push(operator(start..self.pos, self.slice(start..self.pos)));
                    continue;
                }
                Some(b'(' | b')' | b'<' | b'>') => {
                    self.pos += 1;
                    words.push(operator(start..self.pos, self.slice(start..self.pos)));
                    continue;
                }
                Some(b'&' | b'|' | b';') => return self.syntax("this can't stand in `[[ ]]`"),
                Some(_) => {}
            }
            let word = self.word(false)?.word;
            let text = word.bare_text().unwrap_or("").to_owned();
            words.push(word);
            match text.as_str() {
                "]]" => break,
                "=~" => {
                    self.space()?;
                    words.push(self.regex()?);
                }
                _ => {}
            }
        }
        let span = open..self.pos;
        self.push(Command {
            kind: CommandKind::Test,
            span,
            assignments: Vec::new(),
            words,
            redirects: Vec::new(),
            pipes_into: 0..0,
        });
        loop {
            self.blanks()?;
            if !self.at_redirect() {
                return Ok(());
            }
            let redirect = self.redirect(0)?;
            self.push(Command {
                kind: CommandKind::Simple,
                span: redirect.span.clone(),
                assignments: Vec::new(),
                words: Vec::new(),
                redirects: vec![redirect],
                pipes_into: 0..0,
            });
        }
    }
}

fn operator(span: std::ops::Range<usize>, text: &str) -> Word {
    Word { span, pieces: vec![Piece::Text { text: text.to_owned(), quoted: false }] }
}
