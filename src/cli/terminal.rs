//! What the terminal can do, and asking on it.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use super::args::When;
use super::codes;
use crate::diagnostic::text::shown;
use crate::diagnostic::{Diagnostic, Severity, Style, render};
use crate::guest::Stream;
use crate::source::Sources;

/// How to draw on standard error.
pub(crate) fn style(color: When) -> Style {
    let terminal = io::stderr().is_terminal();
    let (columns, _) = size();
    Style {
        color: use_color(color, terminal),
        unicode: terminal && is_utf8(),
        width: columns.clamp(NARROWEST, 120),
        cut: terminal.then_some(columns.max(NARROWEST)),
    }
}

/// `--color`, NO_COLOR, TERM=dumb, and whether it is a terminal at all.
pub(crate) fn use_color(color: When, terminal: bool) -> bool {
    match color {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
            terminal && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
        }
    }
}

/// Whether the locale's characters are UTF-8.
pub(crate) fn is_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|n| std::env::var(n).ok().filter(|v| !v.is_empty()));
    locale.is_none_or(|l| l.to_ascii_lowercase().replace('-', "").contains("utf8"))
}

/// Whether the terminal breaks long lines anew when it is made narrower. Nothing tells; these are known not to.
pub(crate) fn reflows() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    std::env::var_os("XTERM_VERSION").is_none() && !["linux", "screen", "rxvt"].iter().any(|t| term.starts_with(t))
        || std::env::var_os("TMUX").is_some()
}

/// What is drawn for narrower terminals can't be read on them.
const NARROWEST: usize = 40;

/// Columns and rows of standard error's terminal; 100 by 24 where there is none.
pub(crate) fn size() -> (usize, usize) {
    match terminal_size::terminal_size_of(io::stderr()) {
        Some((terminal_size::Width(w), terminal_size::Height(h))) => (usize::from(w), usize::from(h)),
        None => (100, 24),
    }
}

/// The most diagnostics that are shown at once: nobody reads more. It holds what a file's errors are limited to.
const MOST: usize = 400;

/// Shows diagnostics on standard error; of too many the errors first, and how many more there are.
pub(crate) fn show<'a>(list: impl IntoIterator<Item = &'a Diagnostic>, sources: &Sources, color: When) {
    let style = style(color);
    let mut list: Vec<&Diagnostic> = list.into_iter().collect();
    let all: usize = list.iter().map(|d| d.count).sum();
    if list.len() > MOST {
        let errors = list.iter().filter(|d| d.severity == Severity::Error).count();
        let mut others = MOST.saturating_sub(errors);
        list.retain(|d| {
            let fits = d.severity == Severity::Error || others > 0;
            others = others.saturating_sub(usize::from(d.severity != Severity::Error));
            fits
        });
        list.truncate(MOST);
    }
    // Each is a block of its own.
    let mut text: String = list.iter().map(|d| render(d, sources, style) + "\n").collect();
    let more = all - list.iter().map(|d| d.count).sum::<usize>();
    if more > 0 {
        text.push_str(&format!("{more} more are not shown\n"));
    }
    // Nothing is left to tell it to when standard error is closed.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Text on standard error.
pub(crate) fn err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// One line on standard error, for people: names that stand in it command no terminal.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", shown(text));
}

/// What went wrong first with standard output.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Standard output. What can't be written is remembered for [`settle`], and nothing is written after it: what is
/// under way (a build) isn't stopped by who reads of it.
pub(crate) struct Output;

impl Output {
    fn attempt<T>(&self, done: T, write: impl FnOnce(&mut io::StdoutLock<'_>) -> io::Result<T>) -> io::Result<T> {
        let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.is_some() {
            return Ok(done);
        }
        match write(&mut io::stdout().lock()) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                *lost = Some(e);
                Ok(done)
            }
            other => other,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(bytes.len(), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt((), |out| out.flush())
    }
}

/// Notes that standard output has failed.
pub(crate) fn lose(error: io::Error) {
    LOST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
}

/// The exit code after all: a result that could not be written was not delivered. One whose reader has gone is as
/// with other programs, which a signal ends then.
pub(crate) fn settle(code: u8, color: When) -> u8 {
    let lost = LOST.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(error) = lost else { return code };
    let failed = if error.kind() == io::ErrorKind::BrokenPipe {
        READER_GONE
    } else {
        let problem = Diagnostic::new(&codes::OUTPUT_UNWRITABLE, format!("can't write to standard output: {error}"))
            .help("what was printed before isn't the whole; free some space, or write it elsewhere");
        show(&[problem], &Sources::new(), color);
        2
    };
    if code == 0 { failed } else { code }
}

/// What a shell tells of a program that SIGPIPE has ended.
const READER_GONE: u8 = 141;

/// Text on standard output.
pub(crate) fn print(text: &str) {
    // A failure is remembered.
    let _ = Output.write_all(text.as_bytes()).and_then(|()| Output.flush());
}

/// Lines on standard output, for people: names that stand in them command no terminal.
pub(crate) fn tell(text: &str) {
    print(&shown(text));
}

/// What a guest's command printed, byte for byte.
pub(crate) fn write(stream: Stream, bytes: &[u8]) {
    let _ = match stream {
        Stream::Out => Output.write_all(bytes).and_then(|()| Output.flush()),
        Stream::Err => io::stderr().lock().write_all(bytes),
    };
}

/// Whether there is somebody to ask.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks without echo; None when there is no terminal.
pub(crate) fn ask_secret(prompt: &str) -> Option<String> {
    if !can_ask() {
        return None;
    }
    rpassword::prompt_password(format!("{prompt}: ")).ok()
}

/// Asks for one line; None when there is no terminal.
pub(crate) fn ask(prompt: &str) -> Option<String> {
    if !can_ask() {
        return None;
    }
    let _ = write!(io::stderr().lock(), "{prompt}: ");
    let mut line = String::new();
    io::stdin().read_line(&mut line).ok()?;
    let line = line.trim_end_matches(['\n', '\r']);
    (!line.is_empty()).then(|| line.to_owned())
}

/// What this computer is called, if it is called anything.
pub(super) fn host() -> Option<String> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    host.map(|h| h.trim().to_owned()).filter(|h| !h.is_empty())
}
