//! Digests, and how what they are made of is written into one: every part with its length, so that no two lists of
//! parts read alike.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// From the bytes of a SHA-256.
    pub fn new(bytes: [u8; 32]) -> Self {
        Digest(bytes)
    }

    /// From its hexadecimal digits.
    pub fn parse(text: &str) -> Option<Digest> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
        }
        Some(Digest(bytes))
    }

    /// The first characters: enough to tell the steps of one stage apart, and to be read.
    pub fn short(&self) -> String {
        self.to_string().chars().take(SHORT).collect()
    }
}

/// How many characters a short digest has.
pub const SHORT: usize = 12;

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

/// A digest in the making.
pub struct Sink(Sha256);

impl Sink {
    /// One of its own kind: the digests of two kinds never agree.
    pub fn new(kind: &str) -> Self {
        let mut sink = Sink(Sha256::new());
        sink.text(kind);
        sink
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    /// Text.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// A number, a length, which of several.
    pub fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    /// Whether something is so.
    pub fn flag(&mut self, flag: bool) {
        self.number(u64::from(flag));
    }

    /// Another digest.
    pub fn digest(&mut self, digest: &Digest) {
        self.bytes(&digest.0);
    }

    /// What came of it.
    pub fn end(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}
