//! Names for ARGs, SECRETs, stages and keys: possible, unique, and close to what the author wrote.

use std::collections::HashSet;

/// Words of the language, and what every machine knows of itself.
const TAKEN: &[&str] = &[
    "build", "self", "true", "false", "and", "or", "not", "if", "else", "name", "uuid", "moref", "hostname", "ip",
    "ips", "mac", "host", "os", "folder", "power",
];

/// Names in use. Stages, ARGs and SECRETs share one set; each stage's keys add to a copy of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// A free name made of `text`, or of `otherwise` where nothing of the text can stand in a name.
    pub(super) fn take(&mut self, text: &str, otherwise: &str) -> String {
        let wanted = Some(name_of(text, otherwise)).filter(|n| !n.is_empty()).unwrap_or_else(|| otherwise.to_owned());
        let wanted = if TAKEN.contains(&wanted.as_str()) { format!("{wanted}_{otherwise}") } else { wanted };
        let mut name = wanted.clone();
        let mut number = 2u32;
        while !self.0.insert(name.clone()) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        name
    }
}

/// Lower case, `_` for what can't stand in a name; `prefix_` before a digit.
pub(super) fn name_of(text: &str, prefix: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(60) {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    let out = out.trim_end_matches('_');
    if out.starts_with(|c: char| c.is_ascii_digit()) { format!("{prefix}_{out}") } else { out.to_owned() }
}

/// Whether a name says that its value is nobody's business: `guestPass`, `admin-password`, `join_token`.
pub(super) fn is_sensitive(name: &str) -> bool {
    let mut words: Vec<String> = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && lower) {
            words.push(String::new());
        }
        lower = c.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    let joined: String = words.concat();
    words.iter().any(|w| matches!(w.as_str(), "pass" | "pwd" | "pw"))
        || ["password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "privatekey"]
            .iter()
            .any(|w| joined.contains(w))
}
