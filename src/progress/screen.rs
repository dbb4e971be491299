//! The terminal below the views: lines that stay scroll up, lines that live are redrawn below them. Each change is
//! one write, and what is already right is overwritten by itself, so nothing flickers. The cursor rests below the
//! last line and is never hidden: however the process ends, the terminal is as it should be.

use std::io::{self, Write};

use super::text::{columns, fit, reorders, width_of};

/// What a terminal can show.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Colours and weights.
    pub color: bool,
    /// Characters that are not ASCII.
    pub unicode: bool,
    /// Whether it breaks long lines anew when it is made narrower, as most do; others cut them.
    pub reflow: bool,
}

/// A line in the making, never wider than the terminal less one column: a line that fills the last one would wrap
/// on some terminals and lose its end on others.
pub(super) struct Line {
    look: Look,
    text: String,
    used: usize,
    room: usize,
}

impl Line {
    /// An empty line on a terminal that is `columns` wide.
    pub(super) fn new(look: Look, columns: usize) -> Self {
        Line { look, text: String::new(), used: 0, room: columns.saturating_sub(1) }
    }

    /// How many columns are left.
    pub(super) fn left(&self) -> usize {
        self.room.saturating_sub(self.used)
    }

    /// Adds text in a colour (the parameters of SGR; empty for none), cut to what is left.
    pub(super) fn add(&mut self, paint: &str, text: &str) {
        self.add_up_to(self.left(), paint, text);
    }

    /// [`Line::add`], cut to so many columns.
    pub(super) fn add_up_to(&mut self, columns_left: usize, paint: &str, text: &str) {
        let unicode = self.look.unicode;
        let shown = fit(&printable(text, unicode), columns_left.min(self.left()), unicode);
        if shown.is_empty() {
            return;
        }
        self.used += columns(&shown);
        if self.look.color && !paint.is_empty() {
            self.text.push_str(&format!("\x1b[{paint}m{shown}\x1b[0m"));
        } else {
            self.text.push_str(&shown);
        }
    }

    /// Adds blanks up to a column.
    pub(super) fn pad_to(&mut self, column: usize) {
        let blanks = column.min(self.room).saturating_sub(self.used);
        self.text.extend(std::iter::repeat_n(' ', blanks));
        self.used += blanks;
    }
}

/// Text that moves no cursor, in characters that the terminal has.
pub(super) fn printable(text: &str, unicode: bool) -> String {
    let shown = |c: char| match c {
        c if c.is_control() => Some(' '),
        c if reorders(c) => Some(if unicode { char::REPLACEMENT_CHARACTER } else { '?' }),
        c if c.is_ascii() || unicode => Some(c),
        '…' => Some('~'),
        // What takes no place on the screen takes none here.
        c => (width_of(c) > 0).then_some('?'),
    };
    text.chars().filter_map(shown).collect()
}

/// The live part of a terminal.
pub(super) struct Screen<W> {
    out: W,
    size: Box<dyn Fn() -> (usize, usize) + Send>,
    /// What is drawn, and how wide each line of it is.
    drawn: Vec<(String, usize)>,
    /// The terminal's columns when it was drawn.
    columns: usize,
    reflow: bool,
}

impl<W: Write> Screen<W> {
    pub(super) fn new(out: W, look: Look, size: Box<dyn Fn() -> (usize, usize) + Send>) -> Self {
        Screen { out, size, drawn: Vec::new(), columns: 0, reflow: look.reflow }
    }

    /// Columns and rows, as they are now.
    pub(super) fn size(&self) -> (usize, usize) {
        let (columns, rows) = (self.size)();
        (columns.max(1), rows.max(1))
    }

    /// Puts `kept` above the live part for good, and `live` in its place.
    pub(super) fn show(&mut self, kept: Vec<Line>, live: Vec<Line>) -> io::Result<()> {
        let live: Vec<(String, usize)> = live.into_iter().map(|l| (l.text, l.used)).collect();
        if kept.is_empty() && live == self.drawn {
            return Ok(());
        }
        let mut frame = String::from("\r");
        // A terminal that was made narrower has broken the lines in several.
        let (columns, _) = self.size();
        let lines = |width: &usize| if self.reflow { width.div_ceil(columns).max(1) } else { 1 };
        let up: usize = self.drawn.iter().map(|(_, width)| lines(width)).sum();
        if up > 0 {
            frame.push_str(&format!("\x1b[{up}A"));
        }
        if columns != std::mem::replace(&mut self.columns, columns) {
            // What was broken by a resize is joined again by the next one, unless it is erased.
            frame.push_str("\x1b[J");
        }
        for text in kept.iter().map(|l| &l.text).chain(live.iter().map(|(text, _)| text)) {
            frame.push_str(text);
            frame.push_str("\x1b[K\n");
        }
        frame.push_str("\x1b[J");
        self.drawn = live;
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()
    }
}
