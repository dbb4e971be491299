//! Keeps secrets out of everything that is shown: the value itself, its lines, and the forms in which programs
//! repeat it (base64, percent-encoding, JSON, shell quoting).

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// What stands where a secret stood.
const MASK: &str = "***";

/// A line of a longer secret that is shorter than this is no secret by itself (`}`, `-`).
const SHORTEST_LINE: usize = 4;

/// Masks all secrets known so far. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Masker {
    inner: Arc<RwLock<Inner>>,
}

#[derive(Default)]
struct Inner {
    patterns: BTreeSet<Vec<u8>>,
    automaton: Option<AhoCorasick>,
}

impl Masker {
    /// Adds a secret. Empty ones hide nothing.
    pub(crate) fn add(&self, secret: &str) {
        let mut forms = BTreeSet::new();
        forms_of(secret, &mut forms);
        for line in secret.lines().map(str::trim).filter(|l| l.len() >= SHORTEST_LINE && *l != secret) {
            forms_of(line, &mut forms);
        }
        let Ok(mut inner) = self.inner.write() else { return };
        let before = inner.patterns.len();
        inner.patterns.extend(forms);
        if inner.patterns.len() != before {
            inner.automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&inner.patterns).ok();
        }
    }

    /// Text that is complete.
    pub(crate) fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// Bytes that are complete.
    pub(crate) fn bytes(&self, data: &[u8]) -> Vec<u8> {
        match self.inner.read() {
            Ok(inner) => replace(inner.automaton.as_ref(), data),
            // A poisoned lock means a panic while adding: rather show nothing than a secret.
            Err(_) => MASK.as_bytes().to_vec(),
        }
    }

    /// How many bytes at the end of `data` may be the beginning of a secret.
    fn undecided(&self, data: &[u8]) -> usize {
        let Ok(inner) = self.inner.read() else { return 0 };
        let longest = inner.patterns.iter().map(Vec::len).max().unwrap_or(0);
        let from = data.len().saturating_sub(longest.saturating_sub(1));
        (from..data.len())
            .find(|at| data.get(*at..).is_some_and(|rest| inner.patterns.iter().any(|p| p.starts_with(rest))))
            .map_or(0, |at| data.len() - at)
    }
}

fn replace(automaton: Option<&AhoCorasick>, data: &[u8]) -> Vec<u8> {
    let Some(automaton) = automaton else { return data.to_vec() };
    let mut out = Vec::with_capacity(data.len());
    let mut from = 0;
    for found in automaton.find_iter(data) {
        out.extend_from_slice(data.get(from..found.start()).unwrap_or_default());
        out.extend_from_slice(MASK.as_bytes());
        from = found.end();
    }
    out.extend_from_slice(data.get(from..).unwrap_or_default());
    out
}

fn forms_of(text: &str, out: &mut BTreeSet<Vec<u8>>) {
    if text.is_empty() {
        return;
    }
    let mut add = |form: String| {
        out.insert(form.into_bytes());
    };
    add(text.to_owned());
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        let encoded = engine.encode(text);
        // Two signs of base64 stand for one byte: as a pattern they would hide half of every output.
        if encoded.len() >= SHORTEST_LINE {
            add(encoded);
        }
        let with_newline = engine.encode(format!("{text}\n"));
        add(with_newline);
    }
    // In the middle of something longer that was encoded (`user:password`): the signs that hang on the secret alone, for
    // each of the three places at which it may begin.
    for before in 0..3 {
        let whole = STANDARD_NO_PAD.encode([vec![0; before], text.as_bytes().to_vec()].concat());
        let first = (before * 8).div_ceil(6);
        let last = (before + text.len()) * 8 / 6;
        if let Some(inner) = whole.get(first..last).filter(|inner| inner.len() >= SHORTEST_LINE) {
            add(inner.to_owned());
            add(inner.replace('+', "-").replace('/', "_"));
        }
    }
    add(percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string());
    add(url::form_urlencoded::byte_serialize(text.as_bytes()).collect());
    let json = serde_json::Value::from(text).to_string();
    // Without its quotes.
    add(json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned());
    add(text.replace('\'', "'\\''"));
    add(text.replace('"', "\\\""));
    add(text.replace('\n', "\\n"));
}

/// Masks a stream that comes in pieces: what may be the beginning of a secret is held back until it is decided.
pub(crate) struct MaskedStream {
    masker: Masker,
    held: Vec<u8>,
}

impl MaskedStream {
    /// A stream at its beginning.
    pub(crate) fn new(masker: Masker) -> Self {
        MaskedStream { masker, held: Vec::new() }
    }

    /// Takes further bytes, gives those that can be shown.
    pub(crate) fn push(&mut self, data: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(data);
        let keep = self.masker.undecided(&self.held);
        let rest = self.held.split_off(self.held.len() - keep);
        let ready = std::mem::replace(&mut self.held, rest);
        self.masker.bytes(&ready)
    }

    /// What is left at the end.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.masker.bytes(&std::mem::take(&mut self.held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masker(secrets: &[&str]) -> Masker {
        let masker = Masker::default();
        secrets.iter().for_each(|s| masker.add(s));
        masker
    }

    #[test]
    fn every_form_of_a_secret_is_hidden() {
        let secret = "p'a\"ss w/ö&d";
        let masker = masker(&[secret]);
        for form in [
            secret.to_owned(),
            STANDARD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
            STANDARD.encode(format!("{secret}\n")),
            percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string(),
            serde_json::Value::from(secret).to_string(),
            format!("'{}'", secret.replace('\'', "'\\''")),
        ] {
            let shown = masker.text(&format!("<{form}>"));
            assert!(shown.contains(MASK), "{form}: {shown}");
            assert!(!shown.contains("w/") && !shown.contains(&form), "{form}: {shown}");
        }
    }

    #[test]
    fn lines_of_a_secret_are_hidden_but_not_its_punctuation() {
        let masker = masker(&["-----BEGIN-----\nMIIabc\n}\n"]);
        assert_eq!(masker.text("x MIIabc y } z"), "x *** y } z");
    }

    #[test]
    fn a_secret_split_over_pieces_is_hidden() {
        let masker = masker(&["hunter2", "hunting"]);
        for split in 0.."a hunter2 b hunting".len() {
            let mut stream = MaskedStream::new(masker.clone());
            let (one, two) = b"a hunter2 b hunting".split_at(split);
            let mut out = stream.push(one);
            out.extend(stream.push(two));
            out.extend(stream.finish());
            assert_eq!(String::from_utf8_lossy(&out), "a *** b ***", "split at {split}");
        }
    }

    #[test]
    fn without_a_secret_nothing_is_held_back() {
        let mut stream = MaskedStream::new(Masker::default());
        assert_eq!(stream.push(b"progress 10%"), b"progress 10%");
        let mut stream = MaskedStream::new(masker(&["zebra"]));
        assert_eq!(stream.push(b"progress: z"), b"progress: ");
        assert_eq!(stream.finish(), b"z");
    }
}
