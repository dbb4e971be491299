//! What the first program in a guest finds.

use crate::guest::family::{Decoder, Facts};

/// How that batch stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Standing {
    /// It never began and can't any more. Fresh: nor was there a work directory.
    Never { fresh: bool },
    /// It began when the guest's boot was this one; empty when nobody knows.
    Begun { boot: String },
}

/// A report as it comes in, fact by fact.
#[derive(Default)]
pub(in crate::guest) struct Report {
    text: Vec<u8>,
}

/// A report that is complete.
pub(in crate::guest) struct Found {
    /// What the guest has.
    pub facts: Facts,
    /// How the batch stands that was asked for.
    pub standing: Option<Standing>,
    /// Whether the guest can't decode the batch that came with the first program, and has not begun it.
    pub refused: bool,
}

impl Report {
    /// Takes the next piece in.
    pub fn take(&mut self, piece: &[u8]) {
        self.text.extend(piece);
    }

    /// Reads all of it. `state` is the guest's last word.
    pub fn read(&mut self, state: &str) -> Result<Found, String> {
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.text)).into_owned();
        let get = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .ok_or_else(|| format!("no `{key}` in {text:?}"))
        };
        let facts = Facts {
            uid: get("uid")?.parse().map_err(|_| format!("uid in {text:?}"))?,
            home: get("home")?.to_owned(),
            work: get("work")?.to_owned(),
            decoder: match get("dec")? {
                "base64" => Decoder::Base64,
                "openssl" => Decoder::Openssl,
                _ => Decoder::None,
            },
            tick: if get("tick")? == "1" { "1".to_owned() } else { "0.25".to_owned() },
            boot: get("boot")?.to_owned(),
            age: get("age")?.parse().ok(),
        };
        let standing = match state {
            "begun" => Some(Standing::Begun { boot: get("began")?.to_owned() }),
            "fresh" | "old" => Some(Standing::Never { fresh: state == "fresh" }),
            _ => None,
        };
        Ok(Found { facts, standing, refused: state == "refused" })
    }
}
