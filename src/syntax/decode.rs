//! Bytes to text.

use super::codes;
use crate::diagnostic::Diagnostic;

/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 64 << 20;

/// A file's bytes as text: UTF-8 without NUL, not larger than [`MAX_FILE`].
///
/// # Errors
/// A diagnostic without a place, since there is no text to show. `name` is what the file is called in it.
pub fn decode(name: &str, bytes: Vec<u8>) -> Result<String, Box<Diagnostic>> {
    if bytes.len() > MAX_FILE {
        return Err(Box::new(
            Diagnostic::new(&codes::TOO_LARGE, format!("{name} has {} MiB, more than any VMWfile", bytes.len() >> 20))
                .help("is it the right file? 64 MiB is the limit"),
        ));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Box::new(
            Diagnostic::new(&codes::NOT_TEXT, format!("{name} is UTF-16 text"))
                .help("save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`"),
        ));
    }
    if let Some(at) = bytes.iter().position(|b| *b == 0) {
        let line = 1 + bytes.iter().take(at).filter(|b| **b == b'\n').count();
        return Err(Box::new(
            Diagnostic::new(&codes::NOT_TEXT, format!("{name} has a NUL byte in line {line}, so it is no text"))
                .help("is it the right file? a VMWfile is UTF-8 text"),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line = 1 + bytes.iter().take(at).filter(|b| **b == b'\n').count();
        let byte = bytes.get(at).copied().unwrap_or_default();
        Box::new(
            Diagnostic::new(&codes::NOT_TEXT, format!("{name} is not UTF-8: byte 0x{byte:02x} in line {line}"))
                .help("save it as UTF-8, for example with `iconv -f ISO-8859-1 -t UTF-8`"),
        )
    })
}
