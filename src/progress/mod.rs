//! Views of a build; they only consume events.

mod plain;
mod screen;
mod text;
mod tty;

pub use plain::Plain;
pub use screen::Look;
pub(crate) use text::wrap;
pub use tty::Tty;

use std::io;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

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

    /// Called once after the last event.
    ///
    /// # Errors
    /// When the output can't be written.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Feeds events to a view until the stream ends. When the view's output fails (a closed pipe), the build goes
/// on unseen.
pub async fn show(mut events: UnboundedReceiver<Event>, mut view: Box<dyn View>) {
    let start = tokio::time::Instant::now();
    let mut ticker = tokio::time::interval(Duration::from_millis(100));
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut writable = true;
    loop {
        tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { break };
                writable = writable && view.event(start.elapsed(), &event).is_ok();
            }
            _ = ticker.tick() => writable = writable && view.tick(start.elapsed()).is_ok(),
        }
    }
    // Nobody is left to tell it to when this fails.
    let _ = view.finish();
}
