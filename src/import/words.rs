//! Texts with values, as words, prose, comments and shell text of a VMWfile.

use super::inputs::{Input, Piece};

/// `${{ name }}`
fn hole(inputs: &[Input], index: usize, code: bool) -> String {
    match inputs.get(index) {
        Some(input) if input.raw && code => format!("${{{{ {} | raw }}}}", input.name),
        Some(input) => format!("${{{{ {} }}}}", input.name),
        None => String::new(),
    }
}

/// Words with a meaning of their own among an instruction's arguments.
const KEYWORDS: &[&str] = &[
    "as", "for", "in", "file", "dhcp", "gateway", "dns", "search", "device", "password", "delete", "template", "vm",
    "library", "ova", "none", "run",
];

/// Characters that need no quotes in a word.
fn is_bare(text: &str) -> bool {
    let fine = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '@' | '+' | ',' | '=' | '%');
    text.chars().all(fine)
}

/// One word.
pub(super) fn word(pieces: &[Piece], inputs: &[Input]) -> String {
    let bare = pieces.iter().all(|p| match p {
        Piece::Text(text) => is_bare(text),
        Piece::Hole(_) => true,
    });
    let alone = match pieces {
        [Piece::Text(text)] => Some(text.as_str()),
        _ => None,
    };
    let dashes = matches!(pieces.first(), Some(Piece::Text(text)) if text.starts_with('-') || text.starts_with("library:") || text.starts_with("ova:"));
    let keyword = alone.is_some_and(|t| KEYWORDS.contains(&t.to_ascii_lowercase().as_str()));
    if bare && !pieces.is_empty() && alone != Some("") && !dashes && !keyword {
        return pieces
            .iter()
            .map(|p| match p {
                Piece::Text(text) => text.clone(),
                Piece::Hole(index) => hole(inputs, *index, false),
            })
            .collect();
    }
    if let Some(text) = alone.filter(|t| t.contains(['$', '\\', '{']) && !t.contains(['\'', '\n', '\t'])) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for piece in pieces {
        match piece {
            Piece::Hole(index) => out.push_str(&hole(inputs, *index, false)),
            Piece::Text(text) => quoted(text, &mut out),
        }
    }
    out.push('"');
    out
}

/// The inside of `"…"`. What would be a variable or a template there is put in as a value.
fn quoted(text: &str, out: &mut String) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '$' => out.push_str("${{ \"$\" }}"),
            '{' if chars.peek() == Some(&'{') => out.push_str("${{ \"{\" }}"),
            c => out.push(c),
        }
    }
}

/// One word of a command: what the guest's shell could read as syntax is in `'…'`, values are outside of it.
pub(super) fn shell_word(pieces: &[Piece]) -> Vec<Piece> {
    let held = |p: &Piece| match p {
        Piece::Text(text) if !is_bare(text) => Piece::Text(format!("'{}'", text.replace('\'', "'\\''"))),
        piece => piece.clone(),
    };
    pieces.iter().map(held).collect()
}

/// A string of an expression.
pub(super) fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A NOTE's text, on one line.
pub(super) fn prose(pieces: &[Piece], inputs: &[Input]) -> String {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Hole(index) => out.push_str(&hole(inputs, *index, false)),
            Piece::Text(text) => {
                let mut chars = text.chars().peekable();
                while let Some(c) = chars.next() {
                    match c {
                        '$' => out.push_str("${{ \"$\" }}"),
                        '{' if chars.peek() == Some(&'{') => out.push_str("${{ \"{\" }}"),
                        '\n' | '\t' => out.push(' '),
                        c => out.push(c),
                    }
                }
            }
        }
    }
    let mut out = out.trim().to_owned();
    if out.ends_with('\\') {
        out.pop();
        out.push_str("${{ \"\\\\\" }}");
    }
    if out.starts_with("--") { format!("-- {out}") } else { out }
}

/// A comment line. Nothing in it can be a directive or a pragma.
pub(super) fn comment(text: &str) -> String {
    let tool = text.split(':').next().map(str::trim).unwrap_or_default();
    let odd = text.contains(':') && (3..=4).contains(&tool.len()) && tool.chars().all(|c| c.is_ascii_alphabetic());
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    if odd { format!("# - {clean}\n") } else { format!("# {clean}\n") }
}

/// A command's text: how its values are put in.
pub(super) struct Shell {
    pub(super) text: String,
    /// Inputs that the environment gives, with their variables' names.
    pub(super) environment: Vec<(String, String)>,
}

/// Shell text; with `by_environment`, values come as the guest's variables.
pub(super) fn shell(pieces: &[Piece], inputs: &[Input], by_environment: bool) -> Shell {
    let mut shell = Shell { text: String::new(), environment: Vec::new() };
    for piece in pieces {
        match piece {
            Piece::Text(text) => shell.text.push_str(&text.replace("${{", "$${{")),
            Piece::Hole(index) if !by_environment => shell.text.push_str(&hole(inputs, *index, true)),
            Piece::Hole(index) => {
                let Some(input) = inputs.get(*index) else { continue };
                let variable = input.name.to_ascii_uppercase();
                // The guest's shell expands nothing in '…'.
                let reference = if in_single_quotes(&shell.text) {
                    format!("'\"${{{variable}}}\"'")
                } else {
                    format!("${{{variable}}}")
                };
                shell.text.push_str(&reference);
                if !shell.environment.iter().any(|(v, _)| *v == variable) {
                    shell.environment.push((variable, hole(inputs, *index, false)));
                }
            }
        }
    }
    shell.text = shell.text.trim().to_owned();
    shell
}

fn in_single_quotes(text: &str) -> bool {
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None | Some('"'), '\\') => {
                chars.next();
            }
            _ => {}
        }
    }
    quote == Some('\'')
}

/// Whether a command can stand on a RUN's own line.
pub(super) fn fits_a_line(text: &str) -> bool {
    let odd_start = text.starts_with("--") || text.starts_with("[\"") || text.starts_with("['");
    let here_document = text.replace("<<<", "").contains("<<");
    !text.contains('\n') && !odd_start && !here_document && !text.ends_with('\\')
}
