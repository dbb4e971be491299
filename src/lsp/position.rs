//! Offsets in our files and positions in the protocol's.

use gen_lsp_types::{Position, PositionEncodingKind, Range};

use crate::source::{Source, Sources, Span};

/// How the columns of positions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Bytes.
    Utf8,
    /// Code units of UTF-16: what every client knows.
    Utf16,
}

impl Encoding {
    /// The better one of those that a client knows.
    pub fn negotiated(offered: Option<&[PositionEncodingKind]>) -> Encoding {
        let bytes = offered.is_some_and(|o| o.contains(&PositionEncodingKind::UTF8));
        if bytes { Encoding::Utf8 } else { Encoding::Utf16 }
    }

    pub fn kind(self) -> PositionEncodingKind {
        match self {
            Encoding::Utf8 => PositionEncodingKind::UTF8,
            Encoding::Utf16 => PositionEncodingKind::UTF16,
        }
    }

    /// How long a text is.
    pub fn length(self, text: &str) -> u32 {
        let units = match self {
            Encoding::Utf8 => text.len(),
            Encoding::Utf16 => text.chars().map(char::len_utf16).sum(),
        };
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    /// The byte of a text at which a column begins: at most its end, never within a character.
    fn byte(self, text: &str, column: u32) -> usize {
        let mut units = 0;
        for (at, c) in text.char_indices() {
            let next = units + if self == Encoding::Utf8 { c.len_utf8() } else { c.len_utf16() } as u32;
            if next > column {
                return at;
            }
            units = next;
        }
        text.len()
    }

    /// The offset of a position; one behind a line's end is the line's end, one behind the file its end.
    pub fn offset(self, file: &Source, position: Position) -> u32 {
        let line = position.line as usize + 1;
        if line > file.line_count() {
            return file.text.len() as u32;
        }
        file.line_start(line) + self.byte(file.line(line), position.character) as u32
    }

    /// The position of an offset.
    pub fn position(self, file: &Source, offset: u32) -> Position {
        let line = file.line_at(offset);
        let start = file.line_start(line) as usize;
        let text = file.line(line);
        let within = (offset as usize).saturating_sub(start).min(text.len());
        let before = (0..=within).rev().find_map(|end| text.get(..end)).unwrap_or_default();
        Position { line: line as u32 - 1, character: self.length(before) }
    }

    /// The range of a span.
    pub fn range(self, sources: &Sources, span: Span) -> Range {
        let file = sources.get(span.source);
        Range { start: self.position(file, span.start), end: self.position(file, span.end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_in_both_encodings() {
        let mut sources = Sources::new();
        let text = "aé𝄞b\r\n\r\nx";
        let id = sources.add("f", None, text);
        let file = sources.get(id);
        for encoding in [Encoding::Utf8, Encoding::Utf16] {
            for (offset, _) in text.char_indices().filter(|(_, c)| !"\r\n".contains(*c)) {
                let position = encoding.position(file, offset as u32);
                assert_eq!(encoding.offset(file, position), offset as u32, "{encoding:?} {position:?}");
            }
        }
        let place = |line, character| Position { line, character };
        assert_eq!(Encoding::Utf16.position(file, 7), place(0, 4));
        assert_eq!(Encoding::Utf8.position(file, 7), place(0, 7));
        // Within a character, behind a line's end, behind the file.
        assert_eq!(Encoding::Utf16.offset(file, place(0, 3)), 3);
        assert_eq!(Encoding::Utf16.offset(file, place(0, 99)), 8);
        assert_eq!(Encoding::Utf16.offset(file, place(9, 0)), text.len() as u32);
        assert_eq!(Encoding::Utf16.position(file, 5), place(0, 2));
    }
}
