//! Where the server is, who logs in, and what certificate is trusted.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use url::Url;

use super::error::{Error, Result};
use super::record::Recorder;

/// A moment after which a wait gives up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    allowed: Duration,
}

impl Deadline {
    /// That long from now.
    pub fn after(allowed: Duration) -> Self {
        // A century is as good as for ever, and can be added to any instant.
        let allowed = allowed.min(Duration::from_secs(100 * 365 * 86_400));
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

    /// The error of having passed while waiting for `what`.
    pub fn error(&self, what: impl Into<String>) -> Error {
        Error::Timeout { what: what.into(), allowed: self.allowed }
    }

    /// Runs `work`, but no longer than this; `what` is awaited, for the message.
    pub async fn limit<T>(&self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout_at(self.at, work).await {
            Ok(result) => result,
            Err(_) => Err(self.error(what)),
        }
    }
}

/// The digest of a certificate: SHA-1 or SHA-256 over its DER form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thumbprint(Vec<u8>);

impl Thumbprint {
    /// Reads hexadecimal digits, with or without colons, 20 bytes (SHA-1) or 32 (SHA-256).
    pub fn parse(text: &str) -> Result<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let bare = ["sha256:", "sha1:", "sha-256:", "sha-1:"].iter().find_map(|p| lower.strip_prefix(p));
        let digits: Vec<u32> =
            bare.unwrap_or(&lower).chars().filter(|c| !matches!(c, ':' | ' ')).map_while(|c| c.to_digit(16)).collect();
        let strange = bare.unwrap_or(&lower).chars().any(|c| !c.is_ascii_hexdigit() && !matches!(c, ':' | ' '));
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|p| p.iter().fold(0, |n, d| n << 4 | *d as u8)).collect();
        if strange || !digits.len().is_multiple_of(2) || !matches!(bytes.len(), 20 | 32) {
            return Err(Error::Usage(format!(
                "`{}` is not a certificate's thumbprint: 20 bytes (SHA-1) or 32 bytes (SHA-256) as hexadecimal \
                 digits, colons between them or not",
                text.trim()
            )));
        }
        Ok(Thumbprint(bytes))
    }

    /// The SHA-256 of a certificate.
    pub fn sha256_of(der: &[u8]) -> Self {
        Thumbprint(Sha256::digest(der).to_vec())
    }

    /// The SHA-1 of a certificate.
    pub fn sha1_of(der: &[u8]) -> Self {
        Thumbprint(Sha1::digest(der).to_vec())
    }

    /// Whether it is the digest of that certificate.
    pub fn matches(&self, der: &[u8]) -> bool {
        match self.0.len() {
            20 => *self == Self::sha1_of(der),
            _ => *self == Self::sha256_of(der),
        }
    }
}

impl std::fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if i == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

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
    /// Who hears all that is said.
    pub recorder: Option<Recorder>,
    /// The session is kept alive when nothing was sent for that long: ten minutes, unless said otherwise.
    pub keep_alive: Duration,
}

/// Servers drop a session after half an hour or more.
const KEEP_ALIVE: Duration = Duration::from_secs(600);

impl Endpoint {
    /// Reads a URL as users write them: `vc`, `vc:8443`, `https://user:pass@vc/sdk`,
    /// `https://user@vsphere.local:pass@vc`. User and password are taken out of it; either is empty when the URL has
    /// none.
    pub fn parse(url: &str) -> Result<Endpoint> {
        let url = url.trim();
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        // A user may hold an `@` (user@vsphere.local), and so may a password; a host can't.
        let (userinfo, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (username, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let bad = |why: String| Error::Usage(format!("`{scheme}://{place}` is not the address of a server: {why}"));
        let scheme_lower = scheme.to_ascii_lowercase();
        if !matches!(scheme_lower.as_str(), "http" | "https") {
            return Err(bad("it must begin with https://".to_owned()));
        }
        if place.is_empty() {
            return Err(bad("the host is missing".to_owned()));
        }
        let mut parsed = Url::parse(&format!("{scheme_lower}://{place}")).map_err(|e| bad(e.to_string()))?;
        parsed.set_query(None);
        parsed.set_fragment(None);
        match parsed.path().trim_end_matches('/') {
            "" => parsed.set_path("/sdk"),
            path => {
                let path = path.to_owned();
                parsed.set_path(&path);
            }
        }
        Ok(Endpoint {
            url: parsed,
            username: decode(username),
            password: decode(password),
            trust: Trust::default(),
            recorder: None,
            keep_alive: KEEP_ALIVE,
        })
    }

    /// The address without scheme and path, for messages: `vc.example.com`, or `127.0.0.1:8989`.
    pub fn address(&self) -> String {
        address_of(&self.url)
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Endpoint");
        out.field("url", &self.url.as_str()).field("username", &self.username).finish_non_exhaustive()
    }
}

/// Host, and port where it isn't the usual one.
pub(super) fn address_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Percent-decodes; what isn't percent-encoded text stays as it is, for passwords with a bare `%`.
fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), |t| t.into_owned())
}
