//! Source files, spans into them, and the way from a byte offset to a line and column.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names one file of a compilation; an index into [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// A half-open range of bytes in one source file. Owned and small: kept in every node of the AST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The file.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span of bytes `start..end` of `source`.
    pub fn new(source: SourceId, start: usize, end: usize) -> Self {
        debug_assert!(start <= end);
        Span { source, start: start as u32, end: end as u32 }
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the span covers no byte (a place between two bytes).
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The smallest span that covers both; `other` must be of the same file, else `self` is returned.
    pub fn to(self, other: Span) -> Span {
        if self.source != other.source {
            return self;
        }
        Span { source: self.source, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The empty span at the end of this one.
    pub fn after(self) -> Span {
        Span { start: self.end, ..self }
    }
}

/// A value with the place where it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spanned<T> {
    /// The value.
    pub node: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Pairs a value with its place.
    pub fn new(node: T, span: Span) -> Self {
        Spanned { node, span }
    }
}

/// One source file: how it is called in messages, where it was read from, and its text.
#[derive(Debug)]
pub struct Source {
    /// As shown to the user: the path as it was given, `<stdin>`, or a made-up name.
    pub name: String,
    /// Where it was read from, for resolving `INCLUDE` and `COPY`.
    pub path: Option<PathBuf>,
    /// The text, as read (CRLF and BOM are still in it).
    pub text: Arc<str>,
    line_starts: Vec<u32>,
}

impl Source {
    fn new(name: String, path: Option<PathBuf>, text: Arc<str>) -> Self {
        let mut line_starts = vec![0];
        line_starts.extend(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i as u32 + 1));
        Source { name, path, text, line_starts }
    }

    /// Line and column of a byte offset, both from 1; columns count characters.
    pub fn line_col(&self, offset: u32) -> (usize, usize) {
        let offset = offset.min(self.text.len() as u32);
        let line = self.line_starts.partition_point(|s| *s <= offset) - 1;
        let start = self.line_starts.get(line).map_or(0, |start| *start as usize);
        let before = self.text.get(start..offset as usize).unwrap_or_default();
        (line + 1, before.chars().count() + 1)
    }

    /// The line (from 1) in which a byte offset lies.
    pub fn line_at(&self, offset: u32) -> usize {
        self.line_starts.partition_point(|s| *s <= offset).max(1)
    }

    /// The offset at which a line (from 1) begins; the end of the text when there is no such line.
    pub fn line_start(&self, number: usize) -> u32 {
        let start = number.checked_sub(1).and_then(|n| self.line_starts.get(n));
        start.copied().unwrap_or(self.text.len() as u32)
    }

    /// The bytes of the lines `first..=last` (from 1), their line ends included.
    pub fn lines(&self, first: usize, last: usize) -> std::ops::Range<usize> {
        let start = |line: usize| self.line_starts.get(line.saturating_sub(1)).map_or(self.text.len(), |s| *s as usize);
        start(first)..start(last.saturating_add(1)).max(start(first))
    }

    /// The text of a line (from 1) without its line end; empty when there is no such line.
    pub fn line(&self, number: usize) -> &str {
        let Some(start) = number.checked_sub(1).and_then(|n| self.line_starts.get(n)) else { return "" };
        let end = self.line_starts.get(number).map_or(self.text.len(), |e| *e as usize);
        self.text.get(*start as usize..end).unwrap_or_default().trim_end_matches(['\n', '\r'])
    }

    /// How many lines there are; a file that ends in a line end has an empty last one.
    pub fn line_count(&self) -> usize {
        self.line_starts.len()
    }
}

/// All files of one compilation.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Arc<Source>>,
    /// What no message may show.
    hidden: BTreeSet<Span>,
}

impl Sources {
    /// No files yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file's text. `path` is where it was read from, if it was.
    pub fn add(&mut self, name: impl Into<String>, path: Option<&Path>, text: impl Into<Arc<str>>) -> SourceId {
        let id = SourceId(self.files.len() as u32);
        self.files.push(Arc::new(Source::new(name.into(), path.map(Path::to_path_buf), text.into())));
        id
    }

    /// Calls a file something else in messages.
    pub fn rename(&mut self, id: SourceId, name: impl Into<String>) {
        if let Some(file) = self.files.get_mut(id.0 as usize) {
            *file = Arc::new(Source::new(name.into(), file.path.clone(), file.text.clone()));
        }
    }

    /// The file. Ids come from [`Sources::add`] of the same value only.
    #[allow(clippy::indexing_slicing, reason = "an id is made by `add`, and nothing is ever taken out")]
    pub fn get(&self, id: SourceId) -> &Arc<Source> {
        &self.files[id.0 as usize]
    }

    /// All files, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Arc<Source>)> {
        self.files.iter().enumerate().map(|(i, s)| (SourceId(i as u32), s))
    }

    /// The text that a span covers; empty when the span does not fit the file.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.source).text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Keeps a place out of all that is shown: a password that is written down.
    pub fn hide(&mut self, span: Span) {
        if !span.is_empty() {
            self.hidden.insert(span);
        }
    }

    /// The places that no message may show and that begin in some lines of a file.
    pub fn hidden(&self, id: SourceId, range: std::ops::Range<usize>) -> impl Iterator<Item = Span> + '_ {
        let from = Span { source: id, start: u32::try_from(range.start).unwrap_or(u32::MAX), end: 0 };
        let to = Span { source: id, start: u32::try_from(range.end).unwrap_or(u32::MAX), end: 0 };
        self.hidden.range(from..to).copied()
    }

    /// `name:line:column` of a span's start.
    pub fn place(&self, span: Span) -> String {
        let file = self.get(span.source);
        let (line, column) = file.line_col(span.start);
        format!("{}:{line}:{column}", file.name)
    }
}

/// The longest file that is read as text: a VMWfile, what it includes, values.
pub const LONGEST_FILE: u64 = 16 << 20;

/// Reads a whole file, if it is one of at most `LONGEST_FILE` bytes.
///
/// # Errors
/// What the system says; also for devices and named pipes, which may never end, and for what is too long.
pub fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    // A shell's `<(command)` is a pipe that somebody writes to.
    let given = path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd") || path == Path::new("/dev/stdin");
    if !given && path != Path::new("/dev/null") {
        regular(path)?;
    }
    read_text(std::fs::File::open(path)?)
}

/// An error unless `path` leads to a regular file or a directory: opening a named pipe waits for its other end, and a device
/// may have no end.
///
/// # Errors
/// What the system says, or what is there instead.
pub fn regular(path: &Path) -> std::io::Result<()> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_file() || kind.is_dir() {
        return Ok(());
    }
    Err(std::io::Error::other("it is a device, socket or named pipe, not a file"))
}

/// Reads to the end, at most `LONGEST_FILE` bytes.
///
/// # Errors
/// What the system says, and what is too long.
pub fn read_text(from: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(from, LONGEST_FILE + 1), &mut bytes)?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(std::io::Error::other(format!("it is larger than {} MiB", LONGEST_FILE >> 20)));
    }
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// As [`read_file`], and for what is not UTF-8.
pub fn read_file_text(path: &Path) -> std::io::Result<String> {
    String::from_utf8(read_file(path)?).map_err(|_| std::io::Error::other("it is not UTF-8 text"))
}

/// This thread's own time, where the system tells: what else the machine does is not in it.
#[cfg(test)]
pub(crate) fn own_time() -> std::time::Duration {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        std::time::Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
    #[cfg(not(target_os = "linux"))]
    {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let mut sources = Sources::new();
        let id = sources.add("f", None, "aé\nb\r\n");
        let file = sources.get(id);
        assert_eq!(file.line_col(0), (1, 1));
        assert_eq!(file.line_col(3), (1, 3));
        assert_eq!(file.line_col(4), (2, 1));
        assert_eq!(file.line_col(99), (3, 1));
        assert_eq!((file.line(1), file.line(2), file.line(3), file.line(9)), ("aé", "b", "", ""));
    }
}
