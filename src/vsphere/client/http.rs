//! HTTP: one connection pool to one server, replies with a size limit, and errors told apart.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::{Host, Url};

use super::endpoint::{Trust, address_of};
use super::error::{ConnectKind, Error, Result, TlsKind};
use super::tls::Verifier;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(20);
/// Idle connections are dropped before servers do so: a request written to a connection that the server is just
/// closing can't be told from one that was carried out.
const IDLE: Duration = Duration::from_secs(15);

/// How long nothing happens on a connection before it is asked whether the other side is there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A server, reached over HTTP or HTTPS.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    verifier: Arc<Verifier>,
    /// Host and port, for messages.
    pub address: String,
}

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Http {
    pub fn new(url: &Url, trust: &Trust) -> Result<Self> {
        let verifier = Verifier::new(trust)?;
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        let mut builder = reqwest::Client::builder()
            .use_preconfigured_tls(verifier.config()?)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            // What watches connections in between forgets those on which nothing happens, without telling anybody.
            .tcp_keepalive(KEEPALIVE)
            .user_agent(concat!("vmwbuild/", env!("CARGO_PKG_VERSION")));
        if loopback {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|e| Error::Usage(format!("HTTP can't be set up: {e}")))?;
        Ok(Http { client, verifier, address: address_of(url) })
    }

    /// The underlying client, to build requests with.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Sends a request and reads the whole answer, up to `limit` bytes.
    pub async fn exchange(&self, call: &str, request: reqwest::RequestBuilder, limit: usize) -> Result<Answer> {
        let mut response = self.send(request).await?;
        let status = response.status();
        let headers = response.headers().clone();
        let too_large = |body: &[u8]| Error::Protocol {
            address: self.address.clone(),
            call: call.to_owned(),
            detail: format!("it is larger than {} MiB", limit >> 20),
            excerpt: excerpt(body),
            lost_reply: true,
        };
        if response.content_length().is_some_and(|n| n > limit as u64) {
            return Err(too_large(&[]));
        }
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > limit => return Err(too_large(&body)),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(e) => return Err(self.failed(&e)),
            }
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    /// Sends a request; the answer's body is still to be read.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        request.send().await.map_err(|e| self.failed(&e))
    }

    /// What a failed request means.
    pub fn failed(&self, error: &reqwest::Error) -> Error {
        let address = self.address.clone();
        let connecting = error.is_connect();
        if connecting && let Some(tls) = find::<rustls::Error>(error) {
            return match self.verifier.rejection() {
                Some(r) => Error::Tls { address, kind: r.kind, presented: Some(r.presented), detail: r.detail },
                None => {
                    let detail = match tls {
                        rustls::Error::InvalidMessage(_) => "what answers there doesn't speak TLS".to_owned(),
                        other => other.to_string(),
                    };
                    Error::Tls { address, kind: TlsKind::Other, presented: None, detail }
                }
            };
        }
        let io = find::<std::io::Error>(error).map(std::io::Error::kind);
        let detail = innermost(error);
        let kind = match io {
            _ if error.is_timeout() => ConnectKind::TimedOut,
            _ if connecting && mentions(error, "dns error") => ConnectKind::Dns,
            Some(ErrorKind::ConnectionRefused) => ConnectKind::Refused,
            Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => ConnectKind::Unreachable,
            Some(ErrorKind::TimedOut) => ConnectKind::TimedOut,
            Some(
                ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof,
            ) => ConnectKind::Closed,
            _ if !connecting => ConnectKind::Closed,
            _ => ConnectKind::Other,
        };
        Error::Connect { address, kind, detail, lost_reply: !connecting }
    }
}

/// The innermost text of a chain of errors: the outer ones only say that a request failed.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let text = chain(error).last().map(|e| e.to_string()).unwrap_or_default();
    // Some end in a link to their library's manual.
    text.split(": https://docs.rs/").next().unwrap_or_default().to_owned()
}

fn mentions(error: &(dyn StdError + 'static), text: &str) -> bool {
    chain(error).any(|e| e.to_string().contains(text))
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(error).find_map(|e| e.downcast_ref::<T>())
}

/// An error with all that is behind it. What an I/O error wraps is its content, not its source.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e| {
        let e: &'a (dyn StdError + 'static) = *e;
        match e.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
            None => e.source(),
        }
    })
}

/// The beginning of a reply as one printable line.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..body.len().min(2000)).unwrap_or_default()).into_owned();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}
