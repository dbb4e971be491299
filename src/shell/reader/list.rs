//! Lists, pipelines and simple commands.

use super::super::Context;
use super::super::command::{Assignment, Command, CommandKind, Redirect};
use super::super::refusal::RefusalKind;
use super::{Read, Reader, is_meta, is_name};

/// What a list ran into; nothing of it is consumed but a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Eof,
    /// `)`
    Paren,
    /// `;;`, `;&` or `;;&`
    DoubleSemi,
    /// One of the words asked for.
    Keyword(&'static str),
}

/// Words that mean something else at a command's beginning.
const OPENING: &[&str] = &["{", "if", "while", "until", "for", "case"];
const OPENING_BASH: &[&str] = &["select", "function", "[["];
/// The length of the longest of all these, `function`.
const LONGEST: usize = 8;
const OTHERS: &[&str] = &["then", "elif", "else", "fi", "do", "done", "esac", "}", "in"];

impl Reader<'_> {
    /// Blanks, and lines that go on.
    pub(super) fn blanks(&mut self) -> Read<()> {
        loop {
            self.step()?;
            match self.peek() {
                Some(b' ' | b'\t') => self.pos += 1,
                Some(b'\\') if self.at(self.pos + 1) == Some(b'\n') && self.hole_at(self.pos + 1).is_none() => {
                    self.pos += 2;
                }
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Blanks, line ends (with the here-documents that begin there) and comments.
    pub(super) fn space(&mut self) -> Read<()> {
        loop {
            self.blanks()?;
            match self.peek() {
                Some(b'\n') => {
                    self.pos += 1;
                    self.heredocs()?;
                }
                Some(b'#') => self.comment()?,
                Some(_) | None => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Read<()> {
        loop {
            self.step()?;
            match self.peek() {
                None | Some(b'\n') => return Ok(()),
                Some(_) => {
                    if self.take_hole(Context::Comment).is_none() {
                        self.pos += self.char_len();
                    }
                }
            }
        }
    }

    /// Commands up to one of `stops`, `)`, `;;` or the end.
    pub(super) fn list(&mut self, stops: &[&'static str]) -> Read<Ended> {
        loop {
            self.space()?;
            match self.peek() {
                None => return Ok(Ended::Eof),
                Some(b')') => return Ok(Ended::Paren),
                Some(b';') if self.at_double_semi() => {
                    return Ok(Ended::DoubleSemi);
                }
                Some(b';' | b'|') => return self.syntax("a command is missing before this"),
                Some(b'&') if !(self.bash && self.at(self.pos + 1) == Some(b'>')) => {
                    return self.syntax("a command is missing before this");
                }
                Some(_) => {}
            }
            if let Some(word) = self.keyword(stops) {
                self.pos += word.len();
                return Ok(Ended::Keyword(word));
            }
            self.and_or()?;
            self.blanks()?;
            match self.peek() {
                Some(b';') if !self.at_double_semi() => self.pos += 1,
                Some(b'&') => self.pos += 1,
                Some(_) | None => {}
            }
        }
    }

    fn at_double_semi(&self) -> bool {
        self.starts_with(";;") || (self.bash && self.starts_with(";&"))
    }

    /// The keyword that stands here, if it is one of these.
    pub(super) fn keyword(&self, of: &[&'static str]) -> Option<&'static str> {
        let here = self.bare();
        of.iter().copied().find(|word| *word == here)
    }

    /// What stands here up to a metacharacter, if it is no longer than a keyword can be; empty if a hole follows.
    fn bare(&self) -> &str {
        let rest = self.bytes.get(self.pos..self.end.min(self.pos + LONGEST + 1)).unwrap_or_default();
        let length = rest.iter().position(|b| is_meta(*b)).unwrap_or(rest.len());
        if length > LONGEST || self.hole_at(self.pos + length).is_some() {
            return "";
        }
        self.slice(self.pos..self.pos + length)
    }

    fn and_or(&mut self) -> Read<()> {
        loop {
            self.pipeline()?;
            self.blanks()?;
            if !(self.starts_with("&&") || self.starts_with("||")) {
                return Ok(());
            }
            self.pos += 2;
            self.space()?;
        }
    }

    fn pipeline(&mut self) -> Read<()> {
        let mut before: Option<usize> = None;
        loop {
            while let Some(word) = self.keyword(if self.bash { &["!", "time"] } else { &["!"] }) {
                self.step()?;
                self.pos += word.len();
                self.blanks()?;
                if word == "time" && self.keyword(&["-p"]).is_some() {
                    self.pos += 2;
                    self.blanks()?;
                }
            }
            if before.is_some() || !self.at_end_of_command() {
                let from = self.out.commands.len();
                self.deeper(Reader::command)?;
                let to = self.out.commands.len();
                if let Some(first) = before {
                    for writer in self.out.commands.get_mut(first..from).unwrap_or_default() {
                        if writer.pipes_into.is_empty() {
                            writer.pipes_into = from..to;
                        }
                    }
                }
                before = Some(from);
            }
            self.blanks()?;
            if self.peek() != Some(b'|') || self.starts_with("||") {
                return Ok(());
            }
            self.pos += 1;
            if self.bash && self.peek() == Some(b'&') {
                self.pos += 1;
            }
            self.space()?;
        }
    }

    /// `time` alone is a command.
    fn at_end_of_command(&self) -> bool {
        matches!(self.peek(), None | Some(b'\n' | b';' | b'&' | b'|' | b')'))
    }

    pub(super) fn command(&mut self) -> Read<()> {
        self.blanks()?;
        if self.peek() == Some(b'(') {
            self.parenthesis()?;
            return self.redirects_after();
        }
        if let Some(word) = self.keyword(OPENING).or_else(|| self.keyword(if self.bash { OPENING_BASH } else { &[] })) {
            if word == "[[" {
                return self.condition();
            }
            self.pos += word.len();
            match word {
                "{" => self.until(&["}"])?,
                "if" => self.if_()?,
                "while" | "until" => self.loop_()?,
                "for" | "select" => self.for_()?,
                "case" => self.case()?,
                _ => return self.function_keyword(),
            }
            return self.redirects_after();
        }
        let word = self.bare();
        if OTHERS.contains(&word) {
            return self.syntax("this keyword has no beginning");
        }
        if self.bash && word == "coproc" {
            return self.syntax("`coproc` isn't understood");
        }
        self.simple()
    }

    /// Redirections of a compound command; they become a command without words, so that rules see them.
    fn redirects_after(&mut self) -> Read<()> {
        let start = self.pos;
        let mut redirects = Vec::new();
        loop {
            self.blanks()?;
            if !self.at_redirect() {
                break;
            }
            let redirect = self.redirect(redirects.len())?;
            redirects.push(redirect);
        }
        if !redirects.is_empty() {
            self.push(Command {
                kind: CommandKind::Simple,
                span: start..self.pos,
                assignments: Vec::new(),
                words: Vec::new(),
                redirects,
                pipes_into: 0..0,
            });
        }
        Ok(())
    }

    fn simple(&mut self) -> Read<()> {
        let start = self.pos;
        let mut command = Command {
            kind: CommandKind::Simple,
            span: start..start,
            assignments: Vec::new(),
            words: Vec::new(),
            redirects: Vec::new(),
            pipes_into: 0..0,
        };
        let mut end = start;
        loop {
            self.step()?;
            self.blanks()?;
            if self.at_redirect() {
                let redirect = self.redirect(command.redirects.len())?;
                command.redirects.push(redirect);
                end = self.pos;
                continue;
            }
            match self.peek() {
                None | Some(b'\n' | b';' | b'&' | b'|' | b')' | b'#') => break,
                Some(b'(') => {
                    let alone =
                        command.words.len() == 1 && command.assignments.is_empty() && command.redirects.is_empty();
                    return if alone { self.function(&command) } else { self.syntax("a `(` can't stand here") };
                }
                Some(_) => {}
            }
            let lexed = self.word(command.words.is_empty())?;
            end = self.pos;
            if command.words.is_empty()
                && let Some((at, value_from)) = lexed.assignment
            {
                self.assignment(&mut command, lexed.word, at, value_from);
                continue;
            }
            if command.words.is_empty()
                && command.assignments.is_empty()
                && command.redirects.is_empty()
                && lexed.word.bare_text().is_some_and(|w| OPENING.contains(&w) || OTHERS.contains(&w))
            {
                // Only one that is broken over two lines gets here.
                return self.stop(lexed.word.span.start, super::Why::Syntax("a keyword is broken over two lines"));
            }
            command.words.push(lexed.word);
        }
        if end == start {
            return self.syntax("a command is missing here");
        }
        command.span = start..end;
        self.push(command);
        Ok(())
    }

    fn assignment(&mut self, command: &mut Command, word: super::super::Word, at: usize, value_from: usize) {
        let target = self.slice(word.span.start..at);
        let name = target.split(['[', '+']).next().unwrap_or("");
        let name_span = word.span.start..word.span.start + name.len();
        self.refuse_in(name_span.clone(), &RefusalKind::Name("an assignment".into()), word.span.start..at + 1);
        let name = name.to_owned();
        command.assignments.push(Assignment { name, name_span, word, value_from });
    }

    /// Adds a finished command; its here-documents know it from now on.
    pub(super) fn push(&mut self, command: Command) {
        let index = self.out.commands.len();
        for pending in &mut self.pending {
            if pending.place.0.is_none() {
                pending.place.0 = Some(index);
            }
        }
        self.out.commands.push(command);
    }

    pub(super) fn at_redirect(&self) -> bool {
        let mut pos = self.pos;
        if self.bash && self.peek() == Some(b'{') {
            let name = self.slice(pos + 1..self.end);
            let length = name.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
            if is_name(name.get(..length).unwrap_or(""))
                && self.at(pos + 1 + length) == Some(b'}')
                && matches!(self.at(pos + 2 + length), Some(b'<' | b'>'))
            {
                return true;
            }
        }
        while self.at(pos).is_some_and(|b| b.is_ascii_digit()) {
            pos += 1;
        }
        match self.at(pos) {
            Some(b'<' | b'>') => !(self.bash && pos == self.pos && self.at(pos + 1) == Some(b'(')),
            Some(b'&') => self.bash && pos == self.pos && self.at(pos + 1) == Some(b'>'),
            Some(_) | None => false,
        }
    }

    /// One redirection; `index` is its place in its command.
    pub(super) fn redirect(&mut self, index: usize) -> Read<Redirect> {
        let start = self.pos;
        if self.peek() == Some(b'{') {
            let length = self.slice(start..self.end).bytes().take_while(|b| *b != b'}').count() + 1;
            let range = start..start + length;
            self.refuse_in(range.clone(), &RefusalKind::Name("a redirection".into()), range.clone());
            self.pos = range.end;
        }
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.pos += 1;
        }
        const POSIX: &[&str] = &["<<-", "<<", "<&", "<>", "<", ">>", ">&", ">|", ">"];
        const BASH: &[&str] = &["<<<", "&>>", "&>"];
        let all = if self.bash { BASH } else { &[] };
        let Some(operator) = all.iter().chain(POSIX).find(|o| self.starts_with(o)) else {
            return self.syntax("this redirection isn't understood");
        };
        self.pos += operator.len();
        self.blanks()?;
        if self.hole_at(self.pos).is_none() {
            match self.peek() {
                None => return self.syntax("a redirection lacks its target"),
                Some(b'<' | b'>') if self.bash && self.at(self.pos + 1) == Some(b'(') => {}
                Some(byte) if is_meta(byte) => return self.syntax("a redirection lacks its target"),
                Some(_) => {}
            }
        }
        if *operator == "<<" || *operator == "<<-" {
            return self.announce(start, operator, index);
        }
        let target = self.word(false)?.word;
        Ok(Redirect { operator: (*operator).to_owned(), span: start..self.pos, target, heredoc: None })
    }
}
