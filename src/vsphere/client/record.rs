//! For whoever wants to know all that is said to a server, and what it answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A request and what came of it.
pub struct Exchange<'a> {
    /// The method, `GET` or `PUT`.
    pub call: &'a str,
    /// The SOAP message as it was sent, password and all; empty for transfers.
    pub request: &'a [u8],
    /// From sending it to the end of the answer.
    pub took: Duration,
    /// What came back.
    pub answer: Heard<'a>,
}

/// What came back.
pub enum Heard<'a> {
    /// An answer.
    Answer {
        /// HTTP's status.
        status: u16,
        /// All of it; empty for transfers.
        body: &'a [u8],
    },
    /// None: the connection failed.
    Nothing,
}

/// Gets every exchange of a session as it ends.
#[derive(Clone)]
pub struct Recorder(Arc<dyn Fn(&Exchange<'_>) + Send + Sync>);

impl Recorder {
    /// One that calls a function.
    pub fn new(hears: impl Fn(&Exchange<'_>) + Send + Sync + 'static) -> Self {
        Recorder(Arc::new(hears))
    }

    pub(super) fn hear(&self, exchange: &Exchange<'_>) {
        (self.0)(exchange);
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}
