//! Views of a build; they only consume events.

mod ci;
mod html;
mod json;
mod path;
mod plain;
mod record;
mod result;
mod screen;
mod text;
mod tty;

pub use ci::Ci;
pub use html::{Facts, report};
pub use json::Json;
pub use plain::Plain;
pub use record::{Record, Recorder};
pub use result::result;
pub use screen::Look;
pub(crate) use text::wrap;
pub use tty::Tty;

use std::io;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{mpsc, oneshot};

use crate::engine::event::Event;

/// A way to show a build.
pub trait View: Send {
    /// Takes one event, at the given time since the build began.
    ///
    /// # Errors
    /// When the output can't be written.
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()>;

    /// Called about ten times a second, for views that show time passing.
    ///
    /// # Errors
    /// When the output can't be written.
    fn tick(&mut self, at: Duration) -> io::Result<()> {
        let _ = at;
        Ok(())
    }

    /// Somebody else is about to write where this view writes: nothing more is written there until
    /// [`View::go_on`].
    ///
    /// # Errors
    /// When the output can't be written.
    fn hush(&mut self, at: Duration) -> io::Result<()> {
        let _ = at;
        Ok(())
    }

    /// See [`View::hush`].
    ///
    /// # Errors
    /// When the output can't be written.
    fn go_on(&mut self, at: Duration) -> io::Result<()> {
        let _ = at;
        Ok(())
    }

    /// Called once after the last event.
    ///
    /// # Errors
    /// When the output can't be written.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Called once at the very end, also where no build began: how it ended.
    ///
    /// # Errors
    /// When the output can't be written.
    fn verdict(&mut self, verdict: &Verdict) -> io::Result<()> {
        let _ = verdict;
        Ok(())
    }
}

/// Shows nothing: what was made and what failed is told by others.
pub struct Quiet;

impl View for Quiet {
    fn event(&mut self, _: Duration, _: &Event) -> io::Result<()> {
        Ok(())
    }
}

/// How a run of the program ended.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The process's exit code.
    pub exit_code: u8,
    /// Everything that was found: errors, warnings, advice.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// The exit code in a word.
    pub fn class(&self) -> &'static str {
        match self.exit_code {
            0 => "done",
            1 => "vmwfile",
            2 => "usage",
            3 => "connection",
            4 => "guest",
            6 => "deadline",
            130 => "interrupted",
            _ => "vsphere",
        }
    }
}

/// A diagnostic as the views need to know it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// "error", "warning", "advice".
    pub severity: &'static str,
    /// `VMW123`.
    pub code: String,
    /// The code's name.
    pub name: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where, if it has a place in a file.
    pub place: Option<Place>,
    /// What is to be said at that place.
    pub label: String,
    /// Facts behind it.
    pub notes: Vec<String>,
    /// What to do next.
    pub help: Option<String>,
    /// The whole message as people read it, with the lines of the file.
    pub shown: String,
}

/// A place in a file: lines and columns from 1.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// Has the views be silent while somebody else uses the terminal.
#[derive(Clone)]
pub struct Hush(mpsc::UnboundedSender<Word>);

/// What is said to the views.
enum Word {
    /// To be silent; answered when they are.
    Hush(oneshot::Sender<()>),
    /// To go on.
    GoOn,
}

/// Where [`show`] hears of it.
pub struct Hushed(UnboundedReceiver<Word>);

impl Hush {
    /// Both ends.
    pub fn new() -> (Hush, Hushed) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Hush(sender), Hushed(receiver))
    }

    /// Returns when all events so far are shown and nothing more is written, or there are no views any more.
    pub async fn hush(&self) {
        let (done, silent) = oneshot::channel();
        if self.0.send(Word::Hush(done)).is_ok() {
            let _ = silent.await;
        }
    }

    /// The terminal is the views' again.
    pub fn go_on(&self) {
        let _ = self.0.send(Word::GoOn);
    }
}

/// Feeds events to views until the stream ends, and gives them back. When a view's output fails (a closed pipe), the
/// build goes on unseen by it. Times count from `began`.
pub async fn show(
    mut events: UnboundedReceiver<Event>,
    views: Vec<Box<dyn View>>,
    began: SystemTime,
    mut hushed: Hushed,
) -> Vec<Box<dyn View>> {
    // What was before the first event counts too: the clock may be set meanwhile, so it is read once.
    let before = SystemTime::now().duration_since(began).unwrap_or_default();
    let start = tokio::time::Instant::now();
    let mut ticker = tokio::time::interval(Duration::from_millis(100));
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut views: Vec<(Box<dyn View>, bool)> = views.into_iter().map(|view| (view, true)).collect();
    loop {
        tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { break };
                let at = before + start.elapsed();
                for (view, writable) in &mut views {
                    *writable = *writable && view.event(at, &event).is_ok();
                }
            }
            Some(word) = hushed.0.recv() => {
                let at = before + start.elapsed();
                // What has happened before is shown before.
                while let Ok(event) = events.try_recv() {
                    for (view, writable) in &mut views {
                        *writable = *writable && view.event(at, &event).is_ok();
                    }
                }
                for (view, writable) in &mut views {
                    let told = match &word {
                        Word::Hush(_) => view.hush(at),
                        Word::GoOn => view.go_on(at),
                    };
                    *writable = *writable && told.is_ok();
                }
                if let Word::Hush(done) = word {
                    let _ = done.send(());
                }
            }
            _ = ticker.tick() => {
                let at = before + start.elapsed();
                for (view, writable) in &mut views {
                    *writable = *writable && view.tick(at).is_ok();
                }
            }
        }
    }
    // Nobody is left to tell it to when this fails.
    views.iter_mut().for_each(|(view, _)| drop(view.finish()));
    views.into_iter().filter(|(_, writable)| *writable).map(|(view, _)| view).collect()
}
