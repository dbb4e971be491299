//! Names of inventory objects, which servers escape, and paths made of them.

/// Reverses a server's escapes: `%25`, `%2f` and `%5c` stand for `%`, `/` and `\`.
pub fn decode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        match unescape(escape) {
            Some(c) => {
                out.push(c);
                rest = escape.get(3..).unwrap_or_default();
            }
            None => {
                out.push('%');
                rest = escape.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

/// What an escape at the beginning of a text stands for.
fn unescape(text: &str) -> Option<char> {
    match text.get(..3)?.to_ascii_lowercase().as_str() {
        "%25" => Some('%'),
        "%2f" => Some('/'),
        "%5c" => Some('\\'),
        _ => None,
    }
}

/// Escapes a name as servers want it for new objects.
pub(super) fn encode(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2f").replace('\\', "%5c")
}

/// Writes a (decoded) name as one part of a path: only what would be misread is escaped.
pub(super) fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (at, c) in name.char_indices() {
        match c {
            '/' => out.push_str("%2f"),
            '%' if name.get(at..).and_then(unescape).is_some() => out.push_str("%25"),
            c => out.push(c),
        }
    }
    out
}

/// The (decoded) parts of a path.
pub(super) fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(decode).collect()
}
