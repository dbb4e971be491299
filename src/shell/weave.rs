//! Putting constants where the values stand, and giving the constants their values.

use base64::Engine as _;

use super::{Context, Hole, HoleKind};

/// The text with a constant in every hole, as [`read`](super::read) found its context.
///
/// `names` holds the constants' names (`_vmw1`), one for each hole; for [`Context::Verbatim`] the text itself, which
/// is code. Values of different holes may share a constant.
pub fn weave<S: AsRef<str>>(text: &str, holes: &[Hole], contexts: &[Context], names: &[S]) -> String {
    let mut woven = String::with_capacity(text.len() + holes.len() * 8);
    let mut from = 0;
    for ((hole, context), name) in holes.iter().zip(contexts).zip(names) {
        woven.push_str(text.get(from..hole.start).unwrap_or(""));
        let name = name.as_ref();
        match context {
            Context::Bare => woven.extend(["\"${", name, "}\""]),
            Context::DoubleQuoted | Context::HereDoc => woven.extend(["${", name, "}"]),
            Context::SingleQuoted => woven.extend(["'\"${", name, "}\"'"]),
            Context::Arithmetic => woven.extend(["(${", name, "})"]),
            Context::Comment => {}
            Context::Literal => woven.push_str(text.get(hole.range()).unwrap_or("")),
            Context::Verbatim => woven.push_str(name),
            Context::PsArgument | Context::PsDoubleQuoted => woven.extend(["${", name, "}"]),
        }
        from = hole.end;
    }
    woven.push_str(text.get(from..).unwrap_or(""));
    woven
}

/// Puts the code of `| raw` holes into a text and says where the other holes are now. Code can open a quote or end
/// one: read the new text again before anything is woven into it, and refuse it if a context has changed.
///
/// `codes` holds the text for each hole of kind [`HoleKind::Raw`]; those of other kinds are ignored.
pub fn insert_raw(text: &str, holes: &[Hole], codes: &[Option<&str>]) -> (String, Vec<Hole>) {
    let mut out = String::with_capacity(text.len());
    let mut kept = Vec::with_capacity(holes.len());
    let mut from = 0;
    for (index, hole) in holes.iter().enumerate() {
        out.push_str(text.get(from..hole.start).unwrap_or(""));
        match (hole.kind, codes.get(index).copied().flatten()) {
            (HoleKind::Raw, Some(code)) => out.push_str(code),
            _ => {
                let start = out.len();
                out.push_str(text.get(hole.range()).unwrap_or(""));
                kept.push(Hole { start, end: out.len(), kind: hole.kind });
            }
        }
        from = hole.end;
    }
    out.push_str(text.get(from..).unwrap_or(""));
    (out, kept)
}

/// A value as one word of a POSIX shell: in single quotes, each `'` as `'\''`. What `| quote` makes.
pub fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// The line that gives a constant its value in a POSIX shell, without a line end. The value has no NUL.
pub fn assignment(name: &str, value: &str) -> String {
    format!("{name}={}", quote(value))
}

/// The line that gives a constant its value in PowerShell, without a line end.
pub fn powershell_assignment(name: &str, value: &str) -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(value);
    format!("${{{name}}}=[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{encoded}'))")
}

/// As [`powershell_assignment`] for an int, which stays a number.
pub fn powershell_number(name: &str, value: i64) -> String {
    format!("${{{name}}}=[long]'{value}'")
}
