//! The quick second reading, for text in which nothing but quotes decides a context.

use super::{Context, Hole};

/// The contexts, or None for text that needs a real reading: with parentheses, backslashes, backticks, `${`, `#`, or
/// a here-document.
pub(super) fn read(masked: &str, holes: &[Hole]) -> Option<Vec<Option<Context>>> {
    let bytes = masked.as_bytes();
    let mut contexts = Vec::with_capacity(holes.len());
    let mut quote = None;
    let mut holes = holes.iter().peekable();
    let mut pos = 0;
    while let Some(&byte) = bytes.get(pos) {
        if let Some(hole) = holes.next_if(|h| h.start == pos) {
            contexts.push(Some(match quote {
                None => Context::Bare,
                Some(b'"') => Context::DoubleQuoted,
                Some(_) => Context::SingleQuoted,
            }));
            pos = hole.end;
            continue;
        }
        let next = bytes.get(pos + 1).copied();
        match (quote, byte) {
            (Some(open), byte) if open == byte => quote = None,
            (Some(b'\''), _) => {}
            (_, b'\\' | b'`') => return None,
            (_, b'$') => {
                // A hole after it is refused, which is not for this reading to say.
                let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'?' | b'@' | b'*' | b'!' | b'-');
                if !next.is_some_and(name) || holes.peek().is_some_and(|h| h.start == pos + 1) {
                    return None;
                }
            }
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(' | b')' | b'#') => return None,
            (None, b'<') if next == Some(b'<') => return None,
            (None, _) => {}
        }
        pos += 1;
    }
    quote.is_none().then_some(contexts)
}
