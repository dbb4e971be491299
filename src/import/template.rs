//! The calls of a playbook's Go template: `{{ flag "stack" "string" "Stack name" | prompt "Stack?" "string" | var "stack" }}`.

/// A pipeline: the calls between `|`, and the variable that `:=` gives the result to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipeline {
    /// `$name`, of `$name := …`.
    pub(super) assigns: Option<String>,
    pub(super) calls: Vec<Function>,
}

/// A function's name (or `$name`, `.field`), and its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) args: Vec<String>,
}

/// Words that say what the template does, and stand for no value.
const STATEMENTS: &[&str] = &["if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"];

/// Functions that give a value though nothing in quotes follows.
const BARE_FUNCTIONS: &[&str] = &["env", "var", "flag", "prompt", "include", "source", "ref", "global", "index"];

/// What stands between the braces, without the dashes that trim blanks.
fn inner(text: &str) -> &str {
    let text = text.strip_prefix('-').unwrap_or(text);
    text.strip_suffix('-').unwrap_or(text).trim()
}

/// `/* … */`
pub(super) fn is_comment(text: &str) -> bool {
    let text = inner(text);
    text.is_empty() || text.starts_with("/*")
}

/// The statement that it is, if it is one.
pub(super) fn statement(text: &str) -> Option<&'static str> {
    let text = inner(text);
    let word = text.split(|c: char| !c.is_alphanumeric()).next()?;
    STATEMENTS.iter().find(|s| **s == word).copied()
}

/// Whether a value comes of it: neither a comment, nor a statement, nor something that only sets a variable.
pub(super) fn gives_value(text: &str) -> bool {
    if is_comment(text) || statement(text).is_some() {
        return false;
    }
    match parse(text) {
        Some(pipeline) => !sets_variable(&pipeline),
        None => true,
    }
}

/// `… | var "name"`, `var "name" value`, `$name := …`.
pub(super) fn sets_variable(pipeline: &Pipeline) -> bool {
    let last = pipeline.calls.last();
    pipeline.assigns.is_some()
        || last.is_some_and(|f| {
            matches!(f.name.as_str(), "var" | "global") && (pipeline.calls.len() > 1 || f.args.len() > 1)
        })
}

/// Whether text that begins with `{{` inside a string is a call of the playbook; `{{.Names}}` and `{{json .}}` are
/// for a program in the guest.
pub(super) fn looks_like_call(text: &str) -> bool {
    let text = text.strip_prefix("{{").unwrap_or(text);
    let text = text.strip_prefix('-').unwrap_or(text).trim_start_matches([' ', '\t']);
    if text.starts_with("/*") || text.starts_with('$') {
        return true;
    }
    let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let word = text.get(..length).unwrap_or_default();
    let after = text.get(length..).unwrap_or_default().trim_start_matches([' ', '\t']);
    if word.is_empty() {
        return false;
    }
    STATEMENTS.contains(&word)
        || BARE_FUNCTIONS.contains(&word)
        || after.starts_with(['"', '`', '$', '('])
        || after.starts_with("\\\"")
}

/// How long the call at the start of `text` is, braces included.
pub(super) fn end(text: &str) -> Option<usize> {
    let head = text.get(2..)?;
    let trimmed = head.strip_prefix('-').unwrap_or(head).trim_start();
    if trimmed.starts_with("/*") {
        let comment = text.find("*/")?;
        return text.get(comment..)?.find("}}").map(|n| comment + n + 2);
    }
    let mut at = 2;
    loop {
        let rest = text.get(at..)?;
        at += rest.find(['"', '`', '}'])?;
        let rest = text.get(at..)?;
        if rest.starts_with("}}") {
            return Some(at + 2);
        }
        at += if rest.starts_with('`') {
            rest.get(1..)?.find('`')? + 2
        } else if rest.starts_with('"') {
            quoted(rest)?
        } else {
            1
        };
    }
}

/// The same inside a JSON string: quotes may be escaped for JSON or not, and the line is the limit.
pub(super) fn end_in_string(text: &str) -> Option<usize> {
    let mut at = 2;
    loop {
        let rest = text.get(at..)?;
        at += rest.find(['"', '`', '{', '}', '\\', '\n'])?;
        let rest = text.get(at..)?;
        if rest.starts_with("}}") {
            return Some(at + 2);
        }
        let (mark, length) = match rest.get(..1)? {
            // Calls don't nest: the one that began was text.
            "\n" | "{" => return None,
            "`" => ("`", 1),
            "\"" => ("\"", 1),
            "\\" if rest.starts_with("\\\"") => ("\\\"", 2),
            _ => {
                at += 1;
                continue;
            }
        };
        let body = rest.get(length..)?;
        let close =
            body.find([mark.chars().next()?, '\n']).filter(|n| body.get(*n..).is_some_and(|b| b.starts_with(mark)))?;
        at += length + close + length;
        // What a string of the call ends with; else the quote was the JSON string's.
        if !text.get(at..)?.starts_with([' ', '\t', '}', '|', ')', '-']) {
            return None;
        }
    }
}

/// The length of a Go string, quotes included.
fn quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Reads what stands between the braces; `None` where it is more than calls in a row.
pub(super) fn parse(text: &str) -> Option<Pipeline> {
    let mut words = split(inner(text))?;
    let assigns = match words.as_slice() {
        [Word::Bare(name), Word::Bare(sign), ..] if name.starts_with('$') && (sign == ":=" || sign == "=") => {
            let name = name.clone();
            words.drain(..2);
            Some(name)
        }
        _ => None,
    };
    let mut calls = Vec::new();
    for part in words.split(|w| *w == Word::Pipe) {
        let mut part = part.iter();
        let name = match part.next()? {
            Word::Bare(name) => name.clone(),
            // A constant: `{{ "a" | var "x" }}`.
            Word::Text(text) => {
                calls.push(Function { name: String::new(), args: vec![text.clone()] });
                continue;
            }
            Word::Pipe => return None,
        };
        let args = part
            .map(|w| match w {
                Word::Bare(text) | Word::Text(text) => text.clone(),
                Word::Pipe => String::new(),
            })
            .collect();
        calls.push(Function { name, args });
    }
    Some(Pipeline { assigns, calls })
}

#[derive(Clone, Debug, PartialEq)]
enum Word {
    Bare(String),
    Text(String),
    Pipe,
}

fn split(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '|' => {
                words.push(Word::Pipe);
                1
            }
            '"' => {
                let length = quoted(rest)?;
                words.push(Word::Text(unescape(rest.get(1..length - 1)?)));
                length
            }
            '`' => {
                let length = rest.get(1..)?.find('`')? + 2;
                words.push(Word::Text(rest.get(1..length - 1)?.to_owned()));
                length
            }
            // What is computed is beyond us.
            '(' | ')' => return None,
            _ => {
                let length = rest.find([' ', '\t', '\n', '\r', '|', '"', '`', '(', ')']).unwrap_or(rest.len());
                words.push(Word::Bare(rest.get(..length)?.to_owned()));
                length
            }
        };
        rest = rest.get(length..)?.trim_start();
    }
    (!words.is_empty()).then_some(words)
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some(c) => out.push(c),
            None => out.push('\\'),
        }
    }
    out
}
