//! Reading the part of PowerShell that is spoken here: statements and commands; expressions are below.

mod expression;

use std::rc::Rc;

/// Statements with a place for errors.
pub type Block = Rc<Vec<Stmt>>;

#[derive(Debug)]
pub enum Stmt {
    Pipeline(Vec<Cmd>),
    Assign { to: Expr, op: Option<&'static str>, value: Box<Stmt> },
    If { arms: Vec<(Stmt, Block)>, otherwise: Option<Block> },
    While { condition: Box<Stmt>, body: Block },
    For { first: Option<Box<Stmt>>, condition: Option<Box<Stmt>>, next: Option<Box<Stmt>>, body: Block },
    ForEach { name: String, list: Box<Stmt>, body: Block },
    Function { name: String, body: Rc<Function> },
    Return(Option<Box<Stmt>>),
    Exit(Option<Box<Stmt>>),
    Throw(Option<Box<Stmt>>),
    Break,
    Continue,
    Try { body: Block, catches: Vec<(Vec<String>, Block)>, last: Option<Block> },
}

#[derive(Debug, Default)]
pub struct Function {
    pub params: Vec<(String, Option<Expr>)>,
    pub body: Block,
}

#[derive(Debug)]
pub enum Cmd {
    Expr(Expr),
    Call { name: Expr, args: Vec<Arg>, redirects: Vec<Redirect> },
}

#[derive(Debug)]
pub enum Arg {
    /// `-Name`, with a value behind a colon.
    Param(String, Option<Expr>),
    Value(Expr),
}

#[derive(Debug)]
pub enum Redirect {
    /// A stream's number to a file, at its end or anew.
    File { stream: u8, append: bool, to: Expr },
    /// `2>&1`
    Merge,
}

#[derive(Debug)]
pub enum Expr {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Rc<str>),
    Join(Vec<Expr>),
    Var(String),
    Member(Box<Expr>, Box<Expr>),
    Call(Box<Expr>, String, Vec<Expr>),
    Static(String, String),
    StaticCall(String, String, Vec<Expr>),
    Type(String),
    Index(Box<Expr>, Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Unary(&'static str, Box<Expr>),
    Cast(String, Box<Expr>),
    Step(Box<Expr>, i64),
    List(Vec<Expr>),
    Array(Block),
    Sub(Block),
    Paren(Box<Stmt>),
    Hash(Vec<(Expr, Stmt)>),
    Code(Rc<Function>),
}

/// Why a text can't be read, and in which line.
#[derive(Debug)]
pub struct Unreadable {
    pub line: usize,
    pub why: String,
}

type Result<T> = std::result::Result<T, Unreadable>;

pub fn parse(text: &str) -> Result<Block> {
    let text: Vec<char> = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").chars().collect();
    let mut parser = Parser { text, at: 0, depth: 0 };
    let block = parser.statements(None)?;
    match parser.peek() {
        None => Ok(block),
        Some(c) => Err(parser.unreadable(format!("`{c}` is not expected"))),
    }
}

struct Parser {
    text: Vec<char>,
    at: usize,
    /// How deep it is nested.
    depth: usize,
}

fn single(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}')
}

fn double(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}')
}

impl Parser {
    fn unreadable(&self, why: impl Into<String>) -> Unreadable {
        let line = self.text.iter().take(self.at).filter(|c| **c == '\n').count() + 1;
        Unreadable { line, why: why.into() }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn ahead(&self, by: usize) -> Option<char> {
        self.text.get(self.at + by).copied()
    }

    fn eat(&mut self, c: char) -> bool {
        let is = self.peek() == Some(c);
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, c: char) -> Result<()> {
        if self.eat(c) { Ok(()) } else { Err(self.unreadable(format!("`{c}` is missing"))) }
    }

    fn starts(&self, what: &str) -> bool {
        what.chars().enumerate().all(|(i, c)| self.ahead(i).is_some_and(|x| x.eq_ignore_ascii_case(&c)))
    }

    /// Whether a word stands here, and no longer one.
    fn word(&self, what: &str) -> bool {
        let after = self.ahead(what.chars().count());
        self.starts(what) && !after.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-')
    }

    fn take_word(&mut self, what: &str) -> bool {
        let is = self.word(what);
        if is {
            self.at += what.chars().count();
        }
        is
    }

    /// Goes past blanks, comments and continued lines; past line ends too if asked.
    fn blanks(&mut self, lines: bool) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('\n') if lines => self.at += 1,
                Some('`') if self.ahead(1) == Some('\n') => self.at += 2,
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                Some('<') if self.ahead(1) == Some('#') => {
                    while self.at < self.text.len() && !self.starts("#>") {
                        self.at += 1;
                    }
                    self.at += 2;
                }
                _ => return,
            }
        }
    }

    fn statements(&mut self, close: Option<char>) -> Result<Block> {
        self.depth += 1;
        if self.depth > 60 {
            return Err(self.unreadable("this is nested too deeply"));
        }
        let mut out = Vec::new();
        loop {
            self.blanks(true);
            while self.eat(';') {
                self.blanks(true);
            }
            if self.peek().is_none() || self.peek() == close {
                break;
            }
            let before = self.at;
            out.push(self.statement()?);
            self.blanks(false);
            match self.peek() {
                None | Some(';' | '\n') => {}
                c if c == close => {}
                // After a block's brace nothing is needed.
                _ if self.text.get(self.at.saturating_sub(1)) == Some(&'}') && self.at > before => {}
                Some(_) if self.text.get(before..self.at).is_some_and(|t| t.contains(&'}')) => {}
                Some(c) => return Err(self.unreadable(format!("`{c}` is not expected"))),
            }
        }
        self.depth -= 1;
        Ok(Rc::new(out))
    }

    fn block(&mut self) -> Result<Block> {
        self.blanks(true);
        self.expect('{')?;
        let block = self.statements(Some('}'))?;
        self.expect('}')?;
        Ok(block)
    }

    /// What stands in round brackets.
    fn condition(&mut self) -> Result<Stmt> {
        self.blanks(true);
        self.expect('(')?;
        self.blanks(true);
        let statement = self.statement()?;
        self.blanks(true);
        self.expect(')')?;
        Ok(statement)
    }

    fn statement(&mut self) -> Result<Stmt> {
        if self.take_word("if") {
            let mut arms = vec![(self.condition()?, self.block()?)];
            let mut otherwise = None;
            loop {
                let before = self.at;
                self.blanks(true);
                if self.take_word("elseif") {
                    arms.push((self.condition()?, self.block()?));
                } else if self.take_word("else") {
                    otherwise = Some(self.block()?);
                    break;
                } else {
                    self.at = before;
                    break;
                }
            }
            return Ok(Stmt::If { arms, otherwise });
        }
        if self.take_word("while") {
            return Ok(Stmt::While { condition: Box::new(self.condition()?), body: self.block()? });
        }
        if self.take_word("foreach") {
            self.blanks(false);
            self.expect('(')?;
            self.blanks(true);
            self.expect('$')?;
            let name = self.variable()?;
            self.blanks(true);
            if !self.take_word("in") {
                return Err(self.unreadable("`in` is missing"));
            }
            self.blanks(true);
            let list = Box::new(self.statement()?);
            self.blanks(true);
            self.expect(')')?;
            return Ok(Stmt::ForEach { name, list, body: self.block()? });
        }
        if self.take_word("for") {
            self.blanks(false);
            self.expect('(')?;
            let mut parts = Vec::new();
            for end in [';', ';', ')'] {
                self.blanks(true);
                parts.push(if self.peek() == Some(end) { None } else { Some(Box::new(self.statement()?)) });
                self.blanks(true);
                self.expect(end)?;
            }
            let mut parts = parts.into_iter();
            let (first, condition, next) = (parts.next().flatten(), parts.next().flatten(), parts.next().flatten());
            return Ok(Stmt::For { first, condition, next, body: self.block()? });
        }
        if self.take_word("function") || self.take_word("filter") {
            self.blanks(false);
            let name: String = self.while_chars(|c| !c.is_whitespace() && c != '(' && c != '{');
            let name = name.rsplit(':').next().unwrap_or_default().to_lowercase();
            self.blanks(true);
            let params = if self.eat('(') { self.params()? } else { Vec::new() };
            let body = Rc::new(self.function_body(params)?);
            return Ok(Stmt::Function { name, body });
        }
        if self.take_word("try") {
            let body = self.block()?;
            let (mut catches, mut last) = (Vec::new(), None);
            loop {
                let before = self.at;
                self.blanks(true);
                if self.take_word("catch") {
                    let mut types = Vec::new();
                    loop {
                        self.blanks(true);
                        self.eat(',');
                        self.blanks(true);
                        if self.peek() != Some('[') {
                            break;
                        }
                        types.push(self.type_name()?);
                    }
                    catches.push((types, self.block()?));
                } else if self.take_word("finally") {
                    last = Some(self.block()?);
                } else {
                    self.at = before;
                    break;
                }
            }
            return Ok(Stmt::Try { body, catches, last });
        }
        for (word, make) in
            [("return", Stmt::Return as fn(Option<Box<Stmt>>) -> Stmt), ("exit", Stmt::Exit), ("throw", Stmt::Throw)]
        {
            if self.take_word(word) {
                self.blanks(false);
                let rest = match self.peek() {
                    None | Some(';' | '\n' | '}' | ')') => None,
                    Some(_) => Some(Box::new(self.statement()?)),
                };
                return Ok(make(rest));
            }
        }
        if self.take_word("break") {
            return Ok(Stmt::Break);
        }
        if self.take_word("continue") {
            return Ok(Stmt::Continue);
        }
        self.pipeline()
    }

    /// A function's body: `{ param(…) … }`.
    fn function_body(&mut self, mut params: Vec<(String, Option<Expr>)>) -> Result<Function> {
        self.blanks(true);
        self.expect('{')?;
        self.blanks(true);
        if self.take_word("param") {
            self.blanks(true);
            self.expect('(')?;
            params = self.params()?;
        }
        let body = self.statements(Some('}'))?;
        self.expect('}')?;
        Ok(Function { params, body })
    }

    fn params(&mut self) -> Result<Vec<(String, Option<Expr>)>> {
        let mut params = Vec::new();
        loop {
            self.blanks(true);
            if self.eat(')') {
                return Ok(params);
            }
            while self.peek() == Some('[') {
                self.type_name()?;
                self.blanks(true);
            }
            self.expect('$')?;
            let name = self.variable()?;
            self.blanks(true);
            let default = if self.eat('=') {
                self.blanks(true);
                Some(self.level(0)?)
            } else {
                None
            };
            params.push((name, default));
            self.blanks(true);
            self.eat(',');
        }
    }

    fn pipeline(&mut self) -> Result<Stmt> {
        let first = self.command()?;
        self.blanks(false);
        if let Cmd::Expr(to) = first {
            for (sign, op) in [
                ("+=", Some("+")),
                ("-=", Some("-")),
                ("*=", Some("*")),
                ("/=", Some("/")),
                ("%=", Some("%")),
                ("=", None),
            ] {
                if self.starts(sign) {
                    self.at += sign.len();
                    self.blanks(true);
                    let value = Box::new(self.statement()?);
                    return Ok(Stmt::Assign { to, op, value });
                }
            }
            return self.piped(Cmd::Expr(to));
        }
        self.piped(first)
    }

    fn piped(&mut self, first: Cmd) -> Result<Stmt> {
        let mut all = vec![first];
        loop {
            self.blanks(false);
            if self.peek() != Some('|') {
                return Ok(Stmt::Pipeline(all));
            }
            self.at += 1;
            self.blanks(true);
            all.push(self.command()?);
        }
    }

    fn command(&mut self) -> Result<Cmd> {
        let Some(c) = self.peek() else { return Err(self.unreadable("a command is missing")) };
        let called = c == '&' || (c == '.' && self.ahead(1) == Some(' '));
        if called {
            self.at += 1;
            self.blanks(false);
            let name = self.argument()?;
            return self.call(name);
        }
        let number = c.is_ascii_digit();
        let expression = number
            || single(c)
            || double(c)
            || matches!(c, '$' | '(' | '@' | '[' | '{' | ',' | '!' | '+')
            || (c == '-' && !self.ahead(1).is_some_and(char::is_alphabetic))
            || self.word("-not")
            || self.starts("-join")
            || self.starts("-split");
        if expression {
            return Ok(Cmd::Expr(self.expression()?));
        }
        let word = self.bare()?;
        self.call(word)
    }

    fn call(&mut self, name: Expr) -> Result<Cmd> {
        let (mut args, mut redirects) = (Vec::new(), Vec::new());
        loop {
            self.blanks(false);
            let Some(c) = self.peek() else { break };
            match c {
                '\n' | ';' | '|' | ')' | '}' => break,
                '&' if self.ahead(1) == Some('&') => {
                    return Err(self.unreadable("The token '&&' is not a valid statement separator in this version."));
                }
                '>' => redirects.push(self.redirect(1)?),
                '1' | '2' if self.ahead(1) == Some('>') => {
                    self.at += 1;
                    redirects.push(self.redirect(if c == '1' { 1 } else { 2 })?);
                }
                '-' if self.ahead(1).is_some_and(|c| c.is_alphabetic() || c == '_') => {
                    self.at += 1;
                    let name = self.while_chars(|c| c.is_alphanumeric() || c == '_' || c == '-');
                    let value = if self.eat(':') {
                        self.blanks(false);
                        Some(self.argument()?)
                    } else {
                        None
                    };
                    args.push(Arg::Param(name, value));
                }
                _ => {
                    args.push(Arg::Value(self.list_of(Self::argument)?));
                }
            }
        }
        Ok(Cmd::Call { name, args, redirects })
    }

    fn redirect(&mut self, stream: u8) -> Result<Redirect> {
        self.expect('>')?;
        if self.starts("&1") {
            self.at += 2;
            return Ok(Redirect::Merge);
        }
        let append = self.eat('>');
        self.blanks(false);
        Ok(Redirect::File { stream, append, to: self.argument()? })
    }

    /// An argument of a command: a word, or an expression that begins like one.
    fn argument(&mut self) -> Result<Expr> {
        match self.peek() {
            Some('$' | '(' | '@' | '{') => {
                let value = self.postfix_of_argument()?;
                // `$a/b` is one word.
                if self.peek().is_some_and(|c| !c.is_whitespace() && !matches!(c, ';' | '|' | ')' | '}' | ',' | '>')) {
                    let rest = self.bare()?;
                    return Ok(Expr::Join(vec![value, rest]));
                }
                Ok(value)
            }
            Some(c) if single(c) || double(c) => self.primary(),
            Some(c) if c.is_ascii_digit() => {
                let before = self.at;
                if let Ok(number) = self.number()
                    && self.peek().is_none_or(|c| c.is_whitespace() || matches!(c, ';' | '|' | ')' | '}' | ','))
                {
                    return Ok(number);
                }
                self.at = before;
                self.bare()
            }
            _ => self.bare(),
        }
    }

    fn postfix_of_argument(&mut self) -> Result<Expr> {
        let primary = self.primary()?;
        self.postfix(primary)
    }

    /// A word without quotes around it; `$` works inside.
    fn bare(&mut self) -> Result<Expr> {
        let mut parts = Vec::new();
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match c {
                '`' => {
                    self.at += 1;
                    text.extend(self.peek());
                    self.at += 1;
                }
                '$' if self.ahead(1).is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '{' | '(')) => {
                    parts.push(Expr::Text(std::mem::take(&mut text).into()));
                    parts.push(self.primary()?);
                }
                c if single(c) || double(c) => {
                    parts.push(Expr::Text(std::mem::take(&mut text).into()));
                    parts.push(self.primary()?);
                }
                c if c.is_whitespace() || matches!(c, ';' | '|' | ')' | '}' | '{' | ',' | '(' | '>' | '<') => break,
                '&' => break,
                c => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
        if parts.is_empty() {
            return if text.is_empty() {
                Err(self.unreadable("a word is missing"))
            } else {
                Ok(Expr::Text(text.into()))
            };
        }
        parts.push(Expr::Text(text.into()));
        Ok(Expr::Join(parts))
    }

    fn while_chars(&mut self, mut is: impl FnMut(char) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&mut is) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default().iter().collect()
    }
}
