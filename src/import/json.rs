//! A reader of JSON that keeps places, and lets Go-template calls stand wherever a playbook has them: around the
//! JSON, between its parts, in place of a value, and inside strings, where their quotes needn't be escaped.

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::{SourceId, Span};

use super::{codes, template};

/// How deep arrays and objects may nest; deployments need six levels.
const MAX_DEPTH: u32 = 64;

/// A whole file.
#[derive(Debug)]
pub(super) struct Document {
    /// The one value.
    pub(super) root: Value,
    /// The calls that stand where they give no value, in order; comments left out.
    pub(super) calls: Vec<Call>,
}

/// A value with its place.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) span: Span,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    /// A string, or a call in place of a value.
    Text(Vec<Part>),
    List(Vec<Value>),
    Object(Vec<Member>),
}

/// One field of an object.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Value,
}

/// A part of a string.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// Text, escapes undone.
    Literal(String),
    /// `{{ … }}`
    Call(Call),
}

/// `{{ … }}`: what stands between the braces, and where the whole is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) span: Span,
    pub(super) text: String,
}

/// Reads a file. What is wrong with it is one error, the first.
pub(super) fn read(text: &str, id: SourceId, problems: &mut Problems) -> Option<Document> {
    let mut reader = Reader { text, id, at: 0, depth: 0, calls: Vec::new(), close: 0, error: None };
    if text.starts_with('\u{feff}') {
        reader.at = 3;
    }
    let root = reader.file();
    problems.extend(reader.error.take());
    let root = root?;
    if reader.skip().is_none() {
        problems.extend(reader.error.take());
        return None;
    }
    let rest = text.get(reader.at..).unwrap_or_default();
    if !rest.is_empty() {
        let end = reader.at + rest.find('\n').unwrap_or(rest.len());
        problems.push(
            Diagnostic::at(
                &codes::TEXT_AFTER_END,
                Span::new(id, reader.at, end),
                "this stands after the deployment's end",
            )
            .help("if it is a deployment too, convert it as a file of its own"),
        );
    }
    Some(Document { root, calls: reader.calls })
}

/// `None` from its methods: `error` says why, and nothing more is read.
struct Reader<'a> {
    text: &'a str,
    id: SourceId,
    at: usize,
    depth: u32,
    calls: Vec<Call>,
    /// Where the next `}}` is, as far as it was looked for; saves looking again for each `{{`.
    close: usize,
    error: Option<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.id, start, end.max(start))
    }

    fn fail<T>(&mut self, diagnostic: Diagnostic) -> Option<T> {
        self.error.get_or_insert(diagnostic);
        None
    }

    /// What stands here, for a message: a character, or the end of the file.
    fn wrong<T>(&mut self, wanted: &str) -> Option<T> {
        let diagnostic = match self.peek() {
            None => Diagnostic::at(
                &codes::BAD_JSON,
                self.span(self.at, self.at),
                format!("the file ends where {wanted} should stand"),
            )
            .help("the file may be cut off: see whether all of it is there"),
            Some(c) => {
                let span = self.span(self.at, self.at + c.len_utf8());
                let diagnostic = Diagnostic::at(&codes::BAD_JSON, span, format!("{wanted} should stand here"));
                match c {
                    '\'' => diagnostic.help("JSON's quotes are double: `\"`"),
                    '/' | '#' => diagnostic.help("JSON has no comments; a playbook's are `{{/* … */}}`"),
                    ',' => diagnostic.help("there is one comma too many"),
                    _ => diagnostic,
                }
            }
        };
        self.fail(diagnostic)
    }

    fn file(&mut self) -> Option<Value> {
        self.skip()?;
        if self.rest().is_empty() {
            let end = self.span(self.at, self.at);
            return self.fail(
                Diagnostic::at(&codes::NOT_A_DEPLOYMENT, end, "there is no deployment in this file")
                    .help("a deployment is a JSON object: `{ \"label\": …, \"deployment\": [ … ] }`"),
            );
        }
        if self.peek() != Some('{') {
            return self.wrong("a deployment, `{ … }`,");
        }
        self.value()
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// Blanks, and calls that give no value here.
    fn skip(&mut self) -> Option<()> {
        loop {
            self.blanks();
            if !self.rest().starts_with("{{") {
                return Some(());
            }
            let call = self.call()?;
            if !template::is_comment(&call.text) {
                self.calls.push(call);
            }
        }
    }

    /// A call outside of strings.
    fn call(&mut self) -> Option<Call> {
        let start = self.at;
        match template::end(self.rest()) {
            Some(length) => {
                self.at += length;
                let inner = self.text.get(start + 2..self.at.saturating_sub(2)).unwrap_or_default();
                Some(Call { span: self.span(start, self.at), text: inner.to_owned() })
            }
            None => {
                let span = self.span(start, start + 2);
                self.fail(
                    Diagnostic::at(&codes::BAD_JSON, span, "this template call has no end")
                        .primary(span, "begins here")
                        .help("it ends with `}}`; see whether its quotes are closed"),
                )
            }
        }
    }

    fn value(&mut self) -> Option<Value> {
        loop {
            self.blanks();
            if !self.rest().starts_with("{{") {
                break;
            }
            let call = self.call()?;
            if template::gives_value(&call.text) {
                return Some(Value { span: call.span, kind: Kind::Text(vec![Part::Call(call)]) });
            }
            if !template::is_comment(&call.text) {
                self.calls.push(call);
            }
        }
        let start = self.at;
        let kind = match self.peek() {
            Some('{') => self.nested(Self::object)?,
            Some('[') => self.nested(Self::list)?,
            Some('"') => Kind::Text(self.string()?),
            Some(c) if c == '-' || c.is_ascii_digit() => self.number()?,
            Some(c) if c.is_alphabetic() => self.word()?,
            _ => return self.wrong("a value"),
        };
        Some(Value { span: self.span(start, self.at), kind })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Option<Kind>) -> Option<Kind> {
        if self.depth >= MAX_DEPTH {
            let span = self.span(self.at, self.at + 1);
            return self.fail(
                Diagnostic::at(&codes::BAD_JSON, span, format!("more than {MAX_DEPTH} levels are nested here"))
                    .help("a deployment has six; is this the right file?"),
            );
        }
        self.depth += 1;
        let kind = read(self);
        self.depth -= 1;
        kind
    }

    fn object(&mut self) -> Option<Kind> {
        let open = self.at;
        self.at += 1;
        let mut members: Vec<Member> = Vec::new();
        self.skip()?;
        if self.peek() == Some('}') {
            self.at += 1;
            return Some(Kind::Object(members));
        }
        loop {
            self.skip()?;
            match self.peek() {
                Some('"') => {}
                None => return self.cut_off(open, "object", '}'),
                Some('}') => return self.comma_too_many(),
                Some(_) => return self.wrong("a field's name, in double quotes,"),
            }
            let key_start = self.at;
            let parts = self.string()?;
            let key_span = self.span(key_start, self.at);
            let key = parts
                .iter()
                .map(|p| match p {
                    Part::Literal(text) => text.clone(),
                    Part::Call(call) => format!("{{{{{}}}}}", call.text),
                })
                .collect();
            self.skip()?;
            if self.peek() != Some(':') {
                return self.wrong("`:`, then a value,");
            }
            self.at += 1;
            let value = self.value()?;
            let end = value.span;
            members.push(Member { key, key_span, value });
            self.skip()?;
            match self.peek() {
                Some(',') => self.at += 1,
                Some('}') => {
                    self.at += 1;
                    return Some(Kind::Object(members));
                }
                None => return self.cut_off(open, "object", '}'),
                Some(c) => return self.no_comma(c, end),
            }
        }
    }

    fn list(&mut self) -> Option<Kind> {
        let open = self.at;
        self.at += 1;
        let mut items = Vec::new();
        self.skip_in_list()?;
        if self.peek() == Some(']') {
            self.at += 1;
            return Some(Kind::List(items));
        }
        loop {
            self.skip_in_list()?;
            match self.peek() {
                None => return self.cut_off(open, "list", ']'),
                Some(']') => return self.comma_too_many(),
                Some(_) => {}
            }
            let value = self.value()?;
            let end = value.span;
            items.push(value);
            self.skip()?;
            match self.peek() {
                Some(',') => self.at += 1,
                Some(']') => {
                    self.at += 1;
                    return Some(Kind::List(items));
                }
                None => return self.cut_off(open, "list", ']'),
                Some(c) => return self.no_comma(c, end),
            }
        }
    }

    /// Like [`Self::skip`], but a call that gives a value is an item.
    fn skip_in_list(&mut self) -> Option<()> {
        loop {
            self.blanks();
            let start = self.at;
            if !self.rest().starts_with("{{") {
                return Some(());
            }
            let call = self.call()?;
            if template::gives_value(&call.text) {
                self.at = start;
                return Some(());
            }
            if !template::is_comment(&call.text) {
                self.calls.push(call);
            }
        }
    }

    fn cut_off<T>(&mut self, open: usize, what: &str, close: char) -> Option<T> {
        let (start, end) = (self.span(open, open + 1), self.span(self.at, self.at));
        self.fail(
            Diagnostic::at(&codes::BAD_JSON, start, format!("the file ends inside this {what}"))
                .primary(start, "opened here")
                .label(end, format!("`{close}` is missing"))
                .help("the file may be cut off: see whether all of it is there"),
        )
    }

    fn comma_too_many<T>(&mut self) -> Option<T> {
        let before = self.text.get(..self.at).unwrap_or_default().trim_end_matches([' ', '\t', '\n', '\r']);
        let span = match before.strip_suffix(',') {
            Some(rest) => self.span(rest.len(), rest.len() + 1),
            None => self.span(self.at, self.at),
        };
        self.fail(
            Diagnostic::at(&codes::BAD_JSON, span, "a comma stands before the end")
                .help("JSON has commas between items only: take it out"),
        )
    }

    fn no_comma<T>(&mut self, found: char, after: Span) -> Option<T> {
        if matches!(found, '"' | '{' | '[') {
            let here = self.span(self.at, self.at + 1);
            return self.fail(
                Diagnostic::at(&codes::BAD_JSON, after.after(), "a comma is missing here")
                    .label(here, "the next one begins here"),
            );
        }
        self.wrong("a comma, or the end,")
    }

    fn number(&mut self) -> Option<Kind> {
        let rest = self.rest();
        let length = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let written = rest.get(..length).unwrap_or_default();
        if written.parse::<f64>().is_err() {
            let span = self.span(self.at, self.at + length);
            return self.fail(
                Diagnostic::at(&codes::BAD_JSON, span, format!("`{written}` isn't a number"))
                    .help("text stands in double quotes"),
            );
        }
        self.at += length;
        Some(Kind::Number(written.to_owned()))
    }

    fn word(&mut self) -> Option<Kind> {
        let rest = self.rest();
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let written = rest.get(..length).unwrap_or_default();
        let kind = match written {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            _ => {
                let span = self.span(self.at, self.at + length);
                return self.fail(
                    Diagnostic::at(&codes::BAD_JSON, span, "this is no JSON value")
                        .help("text stands in double quotes; `true`, `false` and `null` are written small"),
                );
            }
        };
        self.at += length;
        Some(kind)
    }

    fn string(&mut self) -> Option<Vec<Part>> {
        let open = self.at;
        self.at += 1;
        let mut parts = Vec::new();
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(['"', '\\', '\n', '{']).unwrap_or(rest.len());
            text.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some('"') => {
                    self.at += 1;
                    break;
                }
                Some('\\') => text.push(self.escape()?),
                Some('{') => match self.call_in_string() {
                    Some(call) => {
                        if !text.is_empty() {
                            parts.push(Part::Literal(std::mem::take(&mut text)));
                        }
                        if !template::is_comment(&call.text) {
                            parts.push(Part::Call(call));
                        }
                    }
                    None => {
                        text.push('{');
                        self.at += 1;
                    }
                },
                _ => {
                    let span = self.span(open, open + 1);
                    return self.fail(
                        Diagnostic::at(&codes::BAD_JSON, span, "this string isn't closed on its line")
                            .primary(span, "opened here")
                            .help("close it with `\"`; a line end inside a string is written `\\n`, a quote `\\\"`"),
                    );
                }
            }
        }
        if !text.is_empty() {
            parts.push(Part::Literal(text));
        }
        Some(parts)
    }

    fn escape(&mut self) -> Option<char> {
        let start = self.at;
        let mut chars = self.rest().chars();
        chars.next();
        let c = chars.next();
        self.at += 1 + c.map_or(0, char::len_utf8);
        Some(match c {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => return self.unicode(start),
            _ => return self.bad_escape(start),
        })
    }

    fn unicode(&mut self, start: usize) -> Option<char> {
        let Some(first) = self.hex() else { return self.bad_escape(start) };
        if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
            let back = self.at;
            self.at += 2;
            if let Some(second) = self.hex().filter(|n| (0xdc00..0xe000).contains(n)) {
                return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
            }
            self.at = back;
        }
        // Half a pair: what Go makes of it.
        Some(char::from_u32(first).unwrap_or('\u{fffd}'))
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn bad_escape<T>(&mut self, start: usize) -> Option<T> {
        let span = self.span(start, self.at.min(self.text.len()));
        self.fail(
            Diagnostic::at(&codes::BAD_JSON, span, "JSON has no such escape")
                .help("a backslash itself is written `\\\\`; the others are `\\\"`, `\\n`, `\\t`, `\\r`, `\\uXXXX`"),
        )
    }

    /// `{{ … }}` inside a string, if it is a call and not text such as `{{.Names}}`.
    fn call_in_string(&mut self) -> Option<Call> {
        let start = self.at;
        let rest = self.rest();
        if !rest.starts_with("{{") || !template::looks_like_call(rest) {
            return None;
        }
        if self.close < start {
            self.close = rest.find("}}").map_or(self.text.len(), |n| start + n);
        }
        if self.close >= self.text.len() {
            return None;
        }
        let length = template::end_in_string(rest)?;
        self.at += length;
        let inner = self.text.get(start + 2..self.at.saturating_sub(2)).unwrap_or_default();
        let text = inner.replace("\\\"", "\"").replace("\\\\", "\\").replace("\\n", "\n");
        Some(Call { span: self.span(start, self.at), text })
    }
}
