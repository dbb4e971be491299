//! Passwords in clear: where they stand in the file, and taking them out of commands.

use std::sync::LazyLock;

use regex::Regex;

use crate::source::{SourceId, Span};

// Patterns that are constants compile, as the tests see.
static IN_FIELD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(?i)"guestPass"\s*:\s*"([^"\n]*)"#).ok());
static IN_URL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"://[^\s/"`{}]*:([^\s/"`:{}]+)@[^\s@"`]*"#).ok());
static IN_COMMAND: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(?:^|[\s;&|(])(?:--?([a-z0-9-]*(?:password|passwd|passphrase|token|api-?key))(?:=|[ \t]+)",
        r"|([a-z0-9_]*(?:password|passwd|passphrase|token|api_?key))=)",
        r#"('[^'\n]+'|"[^"$`\\\n]+"|[^\s'"$`|;&<>(){}\\-][^\s'"$`|;&<>(){}\\]*)(?:$|[\s;&|)"'])"#,
    ))
    .ok()
});

/// Where passwords stand in a file.
#[derive(Debug)]
pub(super) struct Hidden {
    text: String,
    id: SourceId,
    spans: Vec<Span>,
}

impl Hidden {
    /// Those that can be found without understanding the file: `guestPass`, and in addresses.
    pub(super) fn of(text: &str, id: SourceId) -> Self {
        let mut spans = Vec::new();
        for pattern in [&*IN_FIELD, &*IN_URL].into_iter().flatten() {
            for found in pattern.captures_iter(text).filter_map(|c| c.get(1)) {
                if !found.as_str().contains("{{") {
                    spans.push(Span::new(id, found.start(), found.end()));
                }
            }
        }
        Hidden { text: text.to_owned(), id, spans }
    }

    /// Hides a value wherever it stands inside a place, as far as it is written there as it is.
    pub(super) fn inside(&mut self, place: Span, value: &str) {
        let start = place.start as usize;
        let Some(text) = self.text.get(start..place.end as usize).filter(|_| !value.is_empty()) else { return };
        let found: Vec<Span> = text
            .match_indices(value)
            .map(|(at, part)| Span::new(self.id, start + at, start + at + part.len()))
            .collect();
        self.spans.extend(found);
    }

    pub(super) fn spans(self) -> Vec<Span> {
        self.spans
    }
}

/// The password in an address, `https://user:password@host/sdk`.
pub(super) fn in_address(text: &str) -> Option<&str> {
    Some(IN_URL.as_ref()?.captures(text)?.get(1)?.as_str())
}

/// The most passwords that are looked for in one command.
const MOST: usize = 16;

/// A password found in a command.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// The option or variable that it is given to.
    pub(super) name: String,
    pub(super) value: String,
    /// The bytes of the command to be replaced, quotes included.
    pub(super) range: std::ops::Range<usize>,
    /// Whether a value can stand in its place: not inside quotes.
    pub(super) free: bool,
}

/// The passwords of a command, in order: what follows `--password`, `--token` and the like.
pub(super) fn in_command(text: &str) -> Vec<Found> {
    let Some(pattern) = IN_COMMAND.as_ref() else { return Vec::new() };
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(found) = pattern.captures_at(text, from).filter(|_| out.len() < MOST) {
        let (Some(name), Some(value)) = (found.get(1).or(found.get(2)), found.get(3)) else { break };
        from = value.end();
        let plain = value.as_str().trim_matches(['\'', '"']).to_owned();
        let glued = text.get(value.end()..).unwrap_or_default().starts_with(['"', '\'']);
        let free = !glued && !inside_quotes(text.get(..value.start()).unwrap_or_default());
        out.push(Found { name: name.as_str().to_owned(), value: plain, range: value.range(), free });
    }
    out
}

/// Whether a shell's text ends inside quotes, a comment or backticks.
pub(super) fn inside_quotes(text: &str) -> bool {
    let mut quote = None;
    let mut ticks = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None | Some('"'), '\\') => {
                chars.next();
            }
            (None | Some('"'), '`') => ticks = !ticks,
            _ => {}
        }
    }
    quote.is_some() || ticks
}
