//! Waiting for properties.
use super::endpoint::Deadline;
use super::error::Result;
use super::properties::Properties;
use super::session::Client;
use crate::vsphere::wire::Moref;

/// Follows properties of one object, by the server's own notices. Its collector on the server ends soon after it is
/// dropped, by a task that cancellation does not cut; [`Client::logout`] waits for that.
pub struct Watcher {}

impl Watcher {
    /// Waits for the next change (at first: for the present values) and returns all values then known.
    /// `what` says what is awaited, for the message when the deadline passes.
    pub async fn next(&mut self, _deadline: Deadline, _what: &str) -> Result<&Properties> {
        unimplemented!()
    }

    /// Waits until `found` answers `Some`, which it is asked for the present values and after every change.
    pub async fn until<T>(
        &mut self,
        _deadline: Deadline,
        _what: &str,
        _found: impl FnMut(&Properties) -> Result<Option<T>> + Send,
    ) -> Result<T> {
        unimplemented!()
    }
}

impl Client {
    /// Begins to follow properties of an object. Sends nothing until the first wait.
    pub fn watch(&self, _object: &Moref, _paths: &[&str]) -> Watcher {
        unimplemented!()
    }
}
