//! How far a transfer is, as a line of the terminal that is there for as long as it takes.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::terminal;
use crate::guest::{OnMoved, percent};

/// What is done sooner needs no line.
const SOON: Duration = Duration::from_millis(700);
/// Back to the line's beginning, and nothing on it.
const CLEAR: &str = "\r\x1b[K";

/// The line. It goes when this is dropped.
pub(super) struct Gauge(Arc<Mutex<State>>);

struct State {
    what: &'static str,
    begun: Instant,
    shown: Option<u8>,
    over: bool,
}

impl Gauge {
    /// `what` is done: "sending".
    pub(super) fn new(what: &'static str) -> Self {
        Gauge(Arc::new(Mutex::new(State { what, begun: Instant::now(), shown: None, over: false })))
    }

    /// What is to be told; nothing where standard error is no terminal.
    pub(super) fn moved(&self) -> Option<OnMoved> {
        let state = self.0.clone();
        let told =
            move |moved: u64, total: u64| state.lock().unwrap_or_else(PoisonError::into_inner).tell(moved, total);
        io::stderr().is_terminal().then(|| Arc::new(told) as OnMoved)
    }
}

impl State {
    fn tell(&mut self, moved: u64, total: u64) {
        let percent = percent(moved, total);
        if self.over || self.shown == Some(percent) || self.begun.elapsed() < SOON {
            return;
        }
        self.shown = Some(percent);
        let mib = |bytes: u64| bytes >> 20;
        terminal::err(&format!("{CLEAR}{} {percent}% ({} of {} MiB)", self.what, mib(moved), mib(total)));
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.over = true;
        if state.shown.is_some() {
            terminal::err(CLEAR);
        }
    }
}
