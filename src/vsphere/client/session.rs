//! The session.
use std::collections::BTreeMap;

use super::endpoint::{Deadline, Endpoint};
use super::error::Result;
use crate::vsphere::wire::{AboutInfo, Method, Moref, ServiceContent};

/// How many requests were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// All of them, transfers and retries included.
    pub total: u64,
    /// By method name; file transfers as `GET` and `PUT`.
    pub by_method: BTreeMap<String, u64>,
}

/// A logged-in client. Clones share one session.
#[derive(Clone)]
pub struct Client {}

impl Client {
    /// Connects, agrees on an API version, and logs in.
    pub async fn connect(_endpoint: Endpoint, _deadline: Deadline) -> Result<Client> {
        unimplemented!()
    }

    /// Ends the session: waits for the clean-up of all watchers, then logs out. Errors are of no use to a caller
    /// and come back only to be logged. Further calls fail.
    pub async fn logout(&self) -> Result<()> {
        unimplemented!()
    }

    /// What the server is.
    pub fn about(&self) -> &AboutInfo {
        unimplemented!()
    }

    /// Whether it is a vCenter rather than a single ESXi host.
    pub fn is_vcenter(&self) -> bool {
        unimplemented!()
    }

    /// The server's managers.
    pub fn content(&self) -> &ServiceContent {
        unimplemented!()
    }

    /// The server's address, for messages.
    pub fn address(&self) -> &str {
        unimplemented!()
    }

    /// What was sent so far.
    pub fn requests(&self) -> Requests {
        unimplemented!()
    }

    /// Calls a method: logs in again once when the session has expired, and repeats what can be repeated when the
    /// connection fails.
    pub async fn call<M: Method>(&self, _method: &M) -> Result<M::Returns> {
        unimplemented!()
    }

    /// Deletes any object by reference (a virtual machine with its files). `Ok` when it is gone already.
    pub async fn destroy(&self, _object: &Moref, _deadline: Deadline) -> Result<()> {
        unimplemented!()
    }
}
