//! Expressions: operators, values, strings.

use std::rc::Rc;

use super::{Expr, Parser, Result, double, single};

/// Operators by how tightly they bind, the loosest first.
const LEVELS: &[&[&str]] = &[
    &["-and", "-or", "-xor"],
    &["-band", "-bor", "-bxor"],
    &[
        "-eq",
        "-ne",
        "-lt",
        "-le",
        "-gt",
        "-ge",
        "-ceq",
        "-cne",
        "-like",
        "-notlike",
        "-match",
        "-notmatch",
        "-contains",
        "-notcontains",
        "-in",
        "-notin",
        "-replace",
        "-split",
        "-join",
        "-is",
    ],
    &["+", "-"],
    &["*", "/", "%"],
    &["-f"],
    &[".."],
];

impl Parser {
    /// Operands with commas between are a list.
    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.level(0)
    }

    pub(super) fn level(&mut self, level: usize) -> Result<Expr> {
        let Some(operators) = LEVELS.get(level) else { return self.comma() };
        let mut left = self.level(level + 1)?;
        loop {
            let before = self.at;
            self.blanks(false);
            let found =
                operators.iter().copied().find(|op| match op.strip_prefix('-').filter(|rest| !rest.is_empty()) {
                    Some(_) => {
                        self.word(op) || (self.starts("-i") && self.word(&format!("-i{}", op.trim_start_matches('-'))))
                    }
                    None if *op == ".." => self.starts(".."),
                    None => {
                        self.starts(op)
                            && self.ahead(1) != Some('=')
                            && !(self.ahead(1) == self.peek() && matches!(*op, "+" | "-"))
                            && !(*op == "-" && self.ahead(1).is_some_and(char::is_alphabetic))
                    }
                });
            let Some(op) = found else {
                self.at = before;
                return Ok(left);
            };
            self.at += op.len() + usize::from(op.len() > 2 && !self.word(op));
            self.blanks(true);
            let right = self.level(level + 1)?;
            left = Expr::Binary(op, Box::new(left), Box::new(right));
        }
    }

    pub(super) fn comma(&mut self) -> Result<Expr> {
        if self.eat(',') {
            self.blanks(true);
            return Ok(Expr::List(vec![self.unary()?]));
        }
        self.list_of(Self::unary)
    }

    /// One of those, or a list of them with commas between.
    pub(super) fn list_of(&mut self, one: fn(&mut Self) -> Result<Expr>) -> Result<Expr> {
        let mut list = vec![one(self)?];
        loop {
            let before = self.at;
            self.blanks(false);
            if !self.eat(',') {
                self.at = before;
                break;
            }
            self.blanks(true);
            list.push(one(self)?);
        }
        Ok(match list.len() {
            1 => list.remove(0),
            _ => Expr::List(list),
        })
    }

    pub(super) fn unary(&mut self) -> Result<Expr> {
        for (word, op) in [("-not", "!"), ("!", "!"), ("-join", "join"), ("-split", "split"), ("-bnot", "bnot")] {
            if self.word(word) || (word == "!" && self.peek() == Some('!')) {
                self.at += word.len();
                self.blanks(true);
                return Ok(Expr::Unary(op, Box::new(self.unary()?)));
            }
        }
        if self.starts("++") || self.starts("--") {
            let by = if self.peek() == Some('+') { 1 } else { -1 };
            self.at += 2;
            return Ok(Expr::Step(Box::new(self.unary()?), by));
        }
        if self.peek() == Some('-') {
            self.at += 1;
            return Ok(Expr::Unary("-", Box::new(self.unary()?)));
        }
        if self.peek() == Some('[') {
            let before = self.at;
            let name = self.type_name()?;
            if self.starts("::") {
                self.at = before;
            } else {
                let next = self.peek();
                let operand = next.is_some_and(|c| {
                    c.is_alphanumeric() || single(c) || double(c) || matches!(c, '$' | '(' | '@' | '[' | '-')
                });
                self.blanks(false);
                let spaced = matches!(self.peek(), Some('$' | '(' | '@' | '[' | '\'' | '"'));
                if operand || spaced {
                    return Ok(Expr::Cast(name, Box::new(self.unary()?)));
                }
                return Ok(Expr::Type(name));
            }
        }
        let primary = self.primary()?;
        self.postfix(primary)
    }

    /// `[Name]`, in lower case and without blanks.
    pub(super) fn type_name(&mut self) -> Result<String> {
        self.expect('[')?;
        let mut name = String::new();
        let mut depth = 1;
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '[' => depth += 1,
                ']' => {
                    depth -= 1;
                    if depth == 0 {
                        let name = name.to_lowercase().replace(' ', "");
                        return Ok(name.strip_prefix("system.").unwrap_or(&name).to_owned());
                    }
                }
                '\n' => break,
                _ => {}
            }
            name.push(c);
        }
        Err(self.unreadable("`]` is missing"))
    }

    pub(super) fn postfix(&mut self, mut value: Expr) -> Result<Expr> {
        loop {
            match self.peek() {
                Some('.') if self.ahead(1).is_some_and(|c| c.is_alphabetic() || c == '_' || c == '$' || single(c)) => {
                    self.at += 1;
                    let name = match self.peek() {
                        Some('$') => self.primary()?,
                        Some(c) if single(c) => self.primary()?,
                        _ => Expr::Text(self.while_chars(|c| c.is_alphanumeric() || c == '_').into()),
                    };
                    if let (Some('('), Expr::Text(method)) = (self.peek(), &name) {
                        let method = method.to_lowercase();
                        let args = self.arguments()?;
                        value = Expr::Call(Box::new(value), method, args);
                    } else {
                        value = Expr::Member(Box::new(value), Box::new(name));
                    }
                }
                Some('[') => {
                    self.at += 1;
                    self.blanks(true);
                    let index = self.expression()?;
                    self.blanks(true);
                    self.expect(']')?;
                    value = Expr::Index(Box::new(value), Box::new(index));
                }
                Some('+') if self.ahead(1) == Some('+') => {
                    self.at += 2;
                    value = Expr::Step(Box::new(value), 1);
                }
                Some('-') if self.ahead(1) == Some('-') => {
                    self.at += 2;
                    value = Expr::Step(Box::new(value), -1);
                }
                _ => return Ok(value),
            }
        }
    }

    pub(super) fn arguments(&mut self) -> Result<Vec<Expr>> {
        self.expect('(')?;
        let mut args = Vec::new();
        loop {
            self.blanks(true);
            if self.eat(')') {
                return Ok(args);
            }
            // A comma is between arguments here.
            args.push(self.without_comma(0)?);
            self.blanks(true);
            if !self.eat(',') {
                self.expect(')')?;
                return Ok(args);
            }
        }
    }

    /// An expression in which a comma ends it.
    fn without_comma(&mut self, level: usize) -> Result<Expr> {
        // Its end is looked for first, then it is read on its own.
        let end = self.argument_end();
        let saved = self.text.split_off(end);
        let parsed = self.level(level);
        self.text.extend(saved);
        parsed
    }

    /// Where an argument of a method ends: at a comma or bracket that belongs to nobody inside.
    fn argument_end(&self) -> usize {
        let mut depth = 0usize;
        let mut quote: Option<bool> = None;
        let mut at = self.at;
        while let Some(c) = self.text.get(at).copied() {
            match quote {
                Some(false) if single(c) => quote = None,
                Some(true) if double(c) => quote = None,
                Some(true) if c == '`' => at += 1,
                Some(_) => {}
                None if single(c) => quote = Some(false),
                None if double(c) => quote = Some(true),
                None => match c {
                    '(' | '{' | '[' => depth += 1,
                    ')' | '}' | ']' if depth == 0 => return at,
                    ')' | '}' | ']' => depth -= 1,
                    ',' if depth == 0 => return at,
                    _ => {}
                },
            }
            at += 1;
        }
        at.min(self.text.len())
    }

    pub(super) fn number(&mut self) -> Result<Expr> {
        let start = self.at;
        if self.starts("0x") {
            self.at += 2;
            let digits = self.while_chars(|c| c.is_ascii_hexdigit());
            return i64::from_str_radix(&digits, 16).map(Expr::Int).map_err(|_| self.unreadable("no number"));
        }
        self.while_chars(|c| c.is_ascii_digit());
        let mut fraction = false;
        if self.peek() == Some('.') && self.ahead(1).is_some_and(|c| c.is_ascii_digit()) {
            fraction = true;
            self.at += 1;
            self.while_chars(|c| c.is_ascii_digit());
        }
        let text: String = self.text.get(start..self.at).unwrap_or_default().iter().collect();
        let unit = [("kb", 10), ("mb", 20), ("gb", 30), ("tb", 40)].into_iter().find(|(unit, _)| self.word(unit));
        if let Some((unit, shift)) = unit {
            self.at += unit.len();
            return text.parse::<i64>().map(|n| Expr::Int(n << shift)).map_err(|_| self.unreadable("no number"));
        }
        let number = if fraction {
            text.parse().map(Expr::Double).map_err(|_| ())
        } else {
            text.parse().map(Expr::Int).map_err(|_| ())
        };
        number.map_err(|()| self.unreadable("no number"))
    }

    /// A variable's name, behind the `$`, in lower case.
    pub(super) fn variable(&mut self) -> Result<String> {
        if self.eat('{') {
            let name = self.while_chars(|c| c != '}');
            self.expect('}')?;
            return Ok(name.to_lowercase());
        }
        if let Some(c @ ('_' | '?' | '$' | '^')) = self.peek()
            && !self.ahead(1).is_some_and(|c| c.is_alphanumeric() || c == '_')
        {
            self.at += 1;
            return Ok(c.to_string());
        }
        let mut name = self.while_chars(|c| c.is_alphanumeric() || c == '_');
        if self.peek() == Some(':') && self.ahead(1).is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
            name = format!("{name}:{}", self.while_chars(|c| c.is_alphanumeric() || c == '_'));
        }
        if name.is_empty() { Err(self.unreadable("a variable without a name")) } else { Ok(name.to_lowercase()) }
    }

    pub(super) fn primary(&mut self) -> Result<Expr> {
        let Some(c) = self.peek() else { return Err(self.unreadable("an expression is missing")) };
        match c {
            '$' => {
                self.at += 1;
                if self.peek() == Some('(') {
                    return self.sub();
                }
                let name = self.variable()?;
                Ok(match name.as_str() {
                    "null" => Expr::Null,
                    "true" => Expr::Bool(true),
                    "false" => Expr::Bool(false),
                    _ => Expr::Var(name),
                })
            }
            '(' => {
                self.at += 1;
                self.blanks(true);
                let inner = self.statement()?;
                self.blanks(true);
                self.expect(')')?;
                Ok(Expr::Paren(Box::new(inner)))
            }
            '@' => self.at_sign(),
            '{' => Ok(Expr::Code(Rc::new(self.function_body(Vec::new())?))),
            '[' => {
                let name = self.type_name()?;
                if !self.starts("::") {
                    return Ok(Expr::Type(name));
                }
                self.at += 2;
                let member = self.while_chars(|c| c.is_alphanumeric() || c == '_').to_lowercase();
                if self.peek() == Some('(') {
                    return Ok(Expr::StaticCall(name, member, self.arguments()?));
                }
                Ok(Expr::Static(name, member))
            }
            c if single(c) => {
                self.at += 1;
                let mut text = String::new();
                loop {
                    let Some(c) = self.peek() else { return Err(self.unreadable("a string isn't closed")) };
                    self.at += 1;
                    if single(c) {
                        if !self.peek().is_some_and(single) {
                            return Ok(Expr::Text(text.into()));
                        }
                        self.at += 1;
                    }
                    text.push(c);
                }
            }
            c if double(c) => {
                self.at += 1;
                self.interpolated(false)
            }
            c if c.is_ascii_digit() => self.number(),
            c => Err(self.unreadable(format!("`{c}` is not expected"))),
        }
    }

    pub(super) fn sub(&mut self) -> Result<Expr> {
        self.expect('(')?;
        let block = self.statements(Some(')'))?;
        self.expect(')')?;
        Ok(Expr::Sub(block))
    }

    pub(super) fn at_sign(&mut self) -> Result<Expr> {
        self.at += 1;
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let block = self.statements(Some(')'))?;
                self.expect(')')?;
                Ok(Expr::Array(block))
            }
            Some('{') => {
                self.at += 1;
                let mut pairs = Vec::new();
                loop {
                    self.blanks(true);
                    while self.eat(';') {
                        self.blanks(true);
                    }
                    if self.eat('}') {
                        return Ok(Expr::Hash(pairs));
                    }
                    let key = match self.peek() {
                        Some(c) if single(c) || double(c) || c == '$' || c.is_ascii_digit() => self.primary()?,
                        _ => Expr::Text(self.while_chars(|c| c.is_alphanumeric() || c == '_').into()),
                    };
                    self.blanks(false);
                    self.expect('=')?;
                    self.blanks(true);
                    pairs.push((key, self.statement()?));
                }
            }
            Some(c) if single(c) || double(c) => {
                self.at += 1;
                self.while_chars(|c| c != '\n');
                self.at += 1;
                if double(c) {
                    return self.interpolated(true);
                }
                let mut text = String::new();
                loop {
                    let line = self.while_chars(|c| c != '\n');
                    if line.starts_with("'@") {
                        self.at -= line.chars().count() - 2;
                        text.pop();
                        return Ok(Expr::Text(text.into()));
                    }
                    if self.peek().is_none() {
                        return Err(self.unreadable("a here-string isn't closed"));
                    }
                    self.at += 1;
                    text.push_str(&line);
                    text.push('\n');
                }
            }
            _ => Err(self.unreadable("`@` is not expected")),
        }
    }

    /// What is in double quotes, or in a here-string with them.
    pub(super) fn interpolated(&mut self, here: bool) -> Result<Expr> {
        let mut parts = Vec::new();
        let mut text = String::new();
        if here && self.peek().is_some_and(double) && self.ahead(1) == Some('@') {
            self.at += 2;
            return Ok(Expr::Text("".into()));
        }
        loop {
            let Some(c) = self.peek() else { return Err(self.unreadable("a string isn't closed")) };
            match c {
                '\n' if here && self.ahead(1).is_some_and(double) && self.ahead(2) == Some('@') => {
                    self.at += 3;
                    break;
                }
                c if double(c) && !here => {
                    self.at += 1;
                    if !self.peek().is_some_and(double) {
                        break;
                    }
                    self.at += 1;
                    text.push(c);
                }
                '`' => {
                    self.at += 1;
                    let Some(c) = self.peek() else { return Err(self.unreadable("a string isn't closed")) };
                    self.at += 1;
                    text.push(match c {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        '0' => '\0',
                        'a' => '\u{7}',
                        'b' => '\u{8}',
                        c => c,
                    });
                }
                '$' if self.ahead(1).is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '{' | '(' | '?')) => {
                    parts.push(Expr::Text(std::mem::take(&mut text).into()));
                    parts.push(self.primary()?);
                }
                c => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
        if parts.is_empty() {
            return Ok(Expr::Text(text.into()));
        }
        parts.push(Expr::Text(text.into()));
        Ok(Expr::Join(parts))
    }
}
