//! How time spans and what others have named are said, the same in messages as in the progress views.

use std::time::Duration;

/// A time span in the fewest words: `0.4s`, `12.3s`, `3m05s`, `1h02m`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=59 => format!("{:.1}s", (time.as_secs_f64() * 10.0).floor() / 10.0),
        60..=3599 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// A deadline: as [`span`], without what is zero: `10m`, `1h`, `90s` as `1m30s`, and `50ms`, which is no `0.0s`.
pub(crate) fn limit(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) if (1..100).contains(&time.as_millis()) => format!("{}ms", time.as_millis()),
        (0, 0, _) => span(time).replace(".0s", "s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, rest) => format!("{minutes}m{rest:02}s"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

/// Whether a terminal would obey the character, or show what follows in another order.
pub(crate) fn commands(c: char) -> bool {
    c.is_control() || reorders(c)
}

/// Whether what stands after the character is shown in another order: a name with it could look like another one.
pub(crate) fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// Lines for a terminal, which may quote a VMWfile, a server or a guest: what would command it is spelled out.
pub(crate) fn shown(text: &str) -> String {
    spelled(text, |c| commands(c) && !matches!(c, '\n' | '\t'))
}

/// The same of one line: no line ends either.
pub(crate) fn visible(text: &str) -> String {
    spelled(text, commands)
}

fn spelled(text: &str, which: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if which(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_command_no_terminal() {
        for c in "\u{202a}\u{202e}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\u{1b}\r".chars() {
            let text = format!("web{c}1\n\té");
            assert_eq!(shown(&text), format!("web{}1\n\té", c.escape_default()));
            assert_eq!(visible(&text), format!("web{}1\\n\\té", c.escape_default()));
        }
    }

    #[test]
    fn spans_are_short() {
        let cases = [(49, "0.0s"), (12_390, "12.3s"), (59_990, "59.9s"), (185_000, "3m05s"), (3_720_000, "1h02m")];
        for (millis, text) in cases {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn limits_are_shorter() {
        let cases = [
            (0, "0s"),
            (50, "50ms"),
            (500, "0.5s"),
            (1_050, "1s"),
            (20_000, "20s"),
            (90_000, "1m30s"),
            (600_000, "10m"),
            (3_600_000, "1h"),
            (5_400_000, "1h30m"),
        ];
        for (millis, text) in cases {
            assert_eq!(limit(Duration::from_millis(millis)), text);
        }
    }
}
