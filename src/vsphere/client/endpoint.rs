//! Where the server is, who logs in, and what certificate is trusted.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::error::Result;

/// A moment after which a wait gives up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    allowed: Duration,
}

impl Deadline {
    /// That long from now.
    pub fn after(allowed: Duration) -> Self {
        Deadline { at: Instant::now() + allowed, allowed }
    }

    /// How much of it is left; zero once it has passed.
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn passed(&self) -> bool {
        self.left().is_zero()
    }

    /// How long was allowed in all.
    pub fn allowed(&self) -> Duration {
        self.allowed
    }

    /// The moment.
    pub fn instant(&self) -> Instant {
        self.at
    }

    /// The earlier of this and that long from now.
    pub fn at_most(&self, other: Duration) -> Self {
        let other = Deadline::after(other);
        if other.at < self.at { other } else { *self }
    }
}

/// The digest of a certificate: SHA-1 or SHA-256 over its DER form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thumbprint(Vec<u8>);

/// What server certificates are accepted.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Accept anything. Only where asked for; the caller warns.
    pub insecure: bool,
    /// Certificates to trust beside the system's, in PEM form.
    pub ca_pem: Vec<u8>,
    /// Leaf certificates accepted although their authority is unknown or they are for another name.
    pub thumbprints: Vec<Thumbprint>,
}

/// A server to log in to.
#[derive(Clone)]
pub struct Endpoint {
    /// `https://host[:port]/sdk`, without user and password.
    pub url: Url,
    /// Who logs in.
    pub username: String,
    /// The password; never shown.
    pub password: String,
    /// What certificates are accepted.
    pub trust: Trust,
}

impl Endpoint {
    /// Reads a URL as users write them: `vc`, `vc:8443`, `https://user:pass@vc/sdk`, `https://user@vsphere.local:pass@vc`.
    /// User and password are taken out of it; either is empty when the URL has none.
    pub fn parse(_url: &str) -> Result<Endpoint> {
        unimplemented!()
    }

    /// The address without scheme and path, for messages: `vc.example.com`, or `127.0.0.1:8989`.
    pub fn address(&self) -> String {
        unimplemented!()
    }
}
