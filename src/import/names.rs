//! Names for ARGs, SECRETs, stages and keys: possible, unique, and close to what the author wrote.

use std::collections::{HashMap, HashSet};

/// Words of the language, and what every machine knows of itself.
const TAKEN: &[&str] = &[
    "build", "self", "true", "false", "and", "or", "not", "if", "else", "name", "uuid", "moref", "hostname", "ip",
    "ips", "mac", "host", "os", "folder", "power",
];

/// Names in use. Stages, ARGs and SECRETs share one set, which the keys of all stages keep out of; keys of different
/// stages may be called alike.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    keys: HashSet<String>,
    /// The number to try next, for names that were wanted before.
    next: HashMap<String, u32>,
}

impl Names {
    /// A free name made of `text`, or of `otherwise` where nothing of the text can stand in a name.
    pub(super) fn take(&mut self, text: &str, otherwise: &str) -> String {
        let wanted = wanted(text, otherwise);
        let mut name = wanted.clone();
        while self.keys.contains(&name) || !self.taken.insert(name.clone()) {
            let number = self.next.entry(wanted.clone()).or_insert(1);
            *number += 1;
            name = format!("{wanted}_{number}");
        }
        name
    }

    /// A free name for a key of the stage that has `own`.
    pub(super) fn take_key(&mut self, own: &mut HashSet<String>, text: &str) -> String {
        let wanted = wanted(text, "key");
        let mut name = wanted.clone();
        let mut number = 1u32;
        while self.taken.contains(&name) || !own.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}_{number}");
        }
        self.keys.insert(name.clone());
        name
    }
}

fn wanted(text: &str, otherwise: &str) -> String {
    let name = name_of(text, otherwise);
    match name.as_str() {
        "" => otherwise.to_owned(),
        name if TAKEN.contains(&name) => format!("{name}_{otherwise}"),
        _ => name,
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
