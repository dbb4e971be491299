//! Guest output, made fit for a line on a terminal.

pub(crate) use crate::diagnostic::text::{limit, reorders, span, visible};
use crate::engine::event::Stream;

/// Splits a command's output into lines and shows each as a terminal would: a carriage return starts the line
/// over, a backspace goes one back, erasing erases, other escape sequences and control characters are dropped (a guest
/// must not move the user's cursor). What is written elsewhere on the screen, as progress bars below a scrolling
/// region are, is left out. Bytes that are no UTF-8 become U+FFFD.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
}

/// What a command's two streams have printed of a line that isn't over yet.
#[derive(Debug, Default)]
pub(crate) struct OpenLines {
    out: Lines,
    err: Lines,
}

impl OpenLines {
    /// That of a stream.
    pub(crate) fn of(&mut self, stream: Stream) -> &mut Lines {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        }
    }

    /// Those that have begun.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = String> + '_ {
        [&self.out, &self.err].into_iter().filter_map(Lines::unfinished)
    }
}

/// A line longer than this is cut in pieces: memory stays bounded whatever a guest prints.
const LONGEST: usize = 8 * 1024;

impl Lines {
    /// Takes further bytes, gives the lines that they complete.
    pub(crate) fn push(&mut self, data: &[u8]) -> Vec<String> {
        let mut done = Vec::new();
        for byte in data {
            match byte {
                b'\n' => done.push(self.take()),
                _ => {
                    self.pending.push(*byte);
                    if self.pending.len() >= LONGEST && !self.shrink() {
                        done.push(self.take());
                    }
                }
            }
        }
        done
    }

    /// A progress bar that rewrites its line for an hour stays one line.
    fn shrink(&mut self) -> bool {
        let Some(last) = self.pending.iter().rposition(|b| *b == b'\r') else { return false };
        let rest = self.pending.split_off(last);
        let mut line = shown(&self.pending).into_bytes();
        line.extend(rest);
        self.pending = line;
        self.pending.len() < LONGEST / 2
    }

    /// The line that has no end yet, as it would look now.
    pub(crate) fn unfinished(&self) -> Option<String> {
        (!self.pending.is_empty()).then(|| shown(&self.pending))
    }

    /// What is left when the command has ended.
    pub(crate) fn finish(&mut self) -> Option<String> {
        (!self.pending.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        let line = shown(&self.pending);
        self.pending.clear();
        line
    }
}

/// One line of a terminal that is written to.
#[derive(Default)]
struct Cells {
    cells: Vec<char>,
    at: usize,
    /// Where the cursor was saved.
    saved: usize,
    /// The cursor is on another line.
    away: bool,
}

impl Cells {
    fn put(&mut self, c: char) {
        if self.away {
            return;
        }
        if self.at > self.cells.len() {
            self.cells.resize(self.at, ' ');
        }
        if let Some(cell) = self.cells.get_mut(self.at) {
            *cell = c;
        } else {
            self.cells.push(c);
        }
        self.at += 1;
    }

    fn column(&mut self, at: usize) {
        self.at = at.min(LONGEST);
    }

    /// A control sequence: its parameters and its last character.
    fn control(&mut self, parameters: &str, last: char) {
        let number = parameters.split(';').next().and_then(|n| n.parse::<usize>().ok());
        let by = number.unwrap_or(1).max(1);
        match last {
            'K' if self.away => {}
            'K' => match number.unwrap_or(0) {
                0 => self.cells.truncate(self.at),
                1 => self.cells.iter_mut().take(self.at + 1).for_each(|c| *c = ' '),
                _ => self.cells.clear(),
            },
            'C' => self.column(self.at.saturating_add(by)),
            'D' => self.column(self.at.saturating_sub(by)),
            'G' | '`' => self.column(by - 1),
            'H' | 'f' | 'd' => self.away = true,
            's' => self.saved = self.at,
            'u' => self.back(),
            _ => {}
        }
    }

    fn back(&mut self) {
        self.away = false;
        self.at = self.saved;
    }
}

fn shown(line: &[u8]) -> String {
    // Most lines are plain: a guest that prints millions of them must not keep the view busy.
    if line.iter().all(|b| (b' '..=b'~').contains(b)) {
        return String::from_utf8_lossy(line).into_owned();
    }
    let text = String::from_utf8_lossy(line);
    let mut cells = Cells::default();
    let mut chars = text.trim_end_matches('\r').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                cells.away = false;
                cells.at = 0;
            }
            '\u{8}' => cells.at = cells.at.saturating_sub(1),
            '\t' => {
                for _ in 0..4 - cells.at % 4 {
                    cells.put(' ');
                }
            }
            '\u{1b}' => match chars.next() {
                // CSI: parameters, then one final byte.
                Some('[') => {
                    let mut parameters = String::new();
                    for c in chars.by_ref() {
                        if ('\u{40}'..='\u{7e}').contains(&c) {
                            cells.control(&parameters, c);
                            break;
                        }
                        parameters.push(c);
                    }
                }
                // OSC and its kin: up to BEL or ESC \.
                Some(']' | 'P' | '^' | '_' | 'X') => {
                    while let Some(c) = chars.next() {
                        if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                Some('7') => cells.saved = cells.at,
                Some('8') => cells.back(),
                // A character set is chosen by one more character.
                Some('(' | ')' | '*' | '+' | '#' | '%') => drop(chars.next()),
                _ => {}
            },
            // Invisible characters that reorder text would let a guest write misleading lines.
            c if c.is_control() || reorders(c) => {}
            c => cells.put(c),
        }
    }
    cells.cells.into_iter().collect()
}

/// A note's first line, and what it quotes of a guest below that, each line as a terminal would show it.
pub(crate) fn parted(text: &str) -> (&str, Vec<String>) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let mut lines = Lines::default();
    let mut quoted = lines.push(rest.as_bytes());
    quoted.extend(lines.finish());
    (first, quoted)
}

/// The columns that a character takes, rather too many than too few: terminals disagree on emoji.
pub(crate) fn width_of(c: char) -> usize {
    use unicode_width::UnicodeWidthChar;
    match c {
        // Makes a picture, two columns wide, of the character before it.
        '\u{fe0f}' => 1,
        c => c.width().unwrap_or(0),
    }
}

/// The columns that a text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(width_of).sum()
}

/// Cuts a line to `width` columns, with `…` (or `~`, without Unicode) where something is lost.
pub(crate) fn fit(text: &str, width: usize, unicode: bool) -> String {
    let text = &visible(text);
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += width_of(c);
        if used + 1 > width {
            break;
        }
        out.push(c);
    }
    if width > 0 {
        out.push(if unicode { '…' } else { '~' });
    }
    out
}

/// Breaks a text between words into lines of at most `width` columns; a word that is longer gets cut.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if columns(line) + 1 + columns(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_looks_as_on_a_terminal() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"a\nb"), ["a"]);
        assert_eq!(lines.unfinished().as_deref(), Some("b"));
        assert_eq!(lines.push(b"c\r\n 10%\r 20%\n"), ["bc", " 20%"]);
        assert_eq!(lines.push(b"\x1b[31mred\x1b[0m\x1b]0;title\x07!\n"), ["red!"]);
        assert_eq!(lines.push(b"longer\rab\x1b[K\n"), ["ab"]);
        assert_eq!(lines.push(b"ab\x08c\xff\n"), ["ac\u{fffd}"]);
        assert_eq!(lines.push(b"longer\r\x1b[2Kx\n"), ["x"]);
        assert_eq!(lines.push(b"abc\x1b[2Dx\x1b[3Cy\x1b[1Gz\n"), ["zxc  y"]);
        assert_eq!(lines.push(b"\x1b(Bplain\x1b[m\n"), ["plain"]);
        assert_eq!(lines.finish(), None);
    }

    #[test]
    fn a_progress_bar_at_the_bottom_of_the_screen_is_left_out() {
        let mut lines = Lines::default();
        // As apt draws it: a scrolling region, and a line below it.
        let apt = b"\x1b7\x1b[0;23r\x1b8\x1b[1ASetting up x ...\r\n\x1b7\x1b[24;0f\x1b[42mProgress: [ 50%]\x1b[49m [####....]\x1b8Unpacking y\n";
        assert_eq!(lines.push(apt), ["Setting up x ...", "Unpacking y"]);
    }

    #[test]
    fn a_bar_that_rewrites_its_line_is_one_line() {
        let mut lines = Lines::default();
        for at in 0..100_000 {
            assert!(lines.push(format!("{at:>6} of 100000\r").as_bytes()).is_empty(), "{at}");
        }
        assert_eq!(lines.push(b"\n"), [" 99999 of 100000"]);
    }

    #[test]
    fn a_line_without_end_stays_bounded() {
        let mut lines = Lines::default();
        let got = lines.push(&vec![b'x'; LONGEST * 3 + 1]);
        assert_eq!(got.len(), 3);
        assert_eq!(lines.unfinished().as_deref(), Some("x"));
    }

    #[test]
    fn a_note_may_quote_a_guest() {
        assert_eq!(parted("one"), ("one", vec![]));
        let quoted = ["all", " 20%", "", "red"].map(str::to_owned).to_vec();
        assert_eq!(parted("exit code 1\nall\n 10%\r 20%\n\n\x1b[31mred\x1b[0m"), ("exit code 1", quoted));
    }

    #[test]
    fn fit_counts_columns() {
        assert_eq!(fit("abc", 3, true), "abc");
        assert_eq!(fit("abcd", 3, true), "ab…");
        assert_eq!(fit("abcd", 3, false), "ab~");
        assert_eq!(fit("日本語", 5, true), "日本…");
        assert_eq!(fit("日本語", 4, true), "日…");
        assert_eq!(fit("abc", 0, true), "");
    }

    #[test]
    fn wrap_breaks_between_words() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("", 8), [""]);
        assert_eq!(wrap("overlong a", 4), ["overlong", "a"]);
    }
}
