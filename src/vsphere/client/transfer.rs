//! File transfers.
use std::path::PathBuf;

use bytes::Bytes;

use super::endpoint::Deadline;
use super::error::Result;
use super::guest::Guest;
use crate::vsphere::wire::GuestFileAttributes;

/// What to send. It can be read again, since a transfer may have to begin anew.
#[derive(Clone, Debug)]
pub enum Source {
    /// These bytes.
    Bytes(Bytes),
    /// A local file, as long as it is when the transfer begins.
    File(PathBuf),
}

/// A file on its way from the guest.
pub struct Download {}

impl Download {
    /// How many bytes there will be.
    pub fn size(&self) -> u64 {
        unimplemented!()
    }

    /// The next piece; none at the end. Fails when the file ends early.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        unimplemented!()
    }

    /// All of it. Fails when it is larger than `limit` bytes.
    pub async fn bytes(self, _limit: u64) -> Result<Bytes> {
        unimplemented!()
    }
}

impl Guest {
    /// Sends a file. Empty ones fail on real servers: [`super::Error::Usage`] says so before anything is sent.
    pub async fn upload(
        &self,
        _path: &str,
        _source: &Source,
        _attributes: GuestFileAttributes,
        _overwrite: bool,
        _deadline: Deadline,
    ) -> Result<()> {
        unimplemented!()
    }

    /// Begins to fetch a file.
    pub async fn download(&self, _path: &str, _deadline: Deadline) -> Result<Download> {
        unimplemented!()
    }
}
