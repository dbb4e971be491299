//! File transfers: straight to the host that runs the virtual machine.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::sync::mpsc;
use url::Url;

use super::endpoint::{Deadline, Thumbprint, address_of};
use super::error::{Error, Result};
use super::guest::Guest;
use super::http::{Http, excerpt};
use super::session::Client;
use crate::vsphere::wire::{GuestFileAttributes, InitiateFileTransferFromGuest, InitiateFileTransferToGuest, Moref};

/// How often a transfer is begun: its URL becomes void when the machine moves or changes its power state.
const TRIES: usize = 3;

/// How much is sent at a time, and how much of it waits to be sent.
const PIECE: usize = 256 << 10;
const WAITING: usize = 4;

/// Hosts that transfers have gone to, by address.
#[derive(Default)]
pub(super) struct Hosts(Mutex<HashMap<String, Arc<Http>>>);

/// What to send. It can be read again, since a transfer may have to begin anew.
#[derive(Clone, Debug)]
pub enum Source {
    /// These bytes.
    Bytes(Bytes),
    /// What is made while it is sent.
    Made(Arc<dyn Content>),
}

/// What is made while it is sent: it is nowhere as a whole.
pub trait Content: std::fmt::Debug + Send + Sync {
    /// How many bytes it has.
    fn size(&self) -> u64;

    /// Writes all of it. May block. An error from `out` says that nobody wants the rest.
    ///
    /// # Errors
    /// When it can't be made, or `out` doesn't take it.
    fn write(&self, out: &mut dyn Write) -> io::Result<()>;
}

impl Source {
    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        match self {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::Made(content) => content.size(),
        }
    }

    /// All of it in pieces.
    fn body(&self, going: &Arc<Going>) -> reqwest::Body {
        let going = going.clone();
        let pieces = match self {
            Source::Bytes(bytes) => futures_util::stream::iter(pieces(bytes.clone())).left_stream(),
            Source::Made(content) => made(content.clone()).right_stream(),
        };
        reqwest::Body::wrap_stream(pieces.inspect(move |piece| match piece {
            Ok(bytes) => drop(going.taken.fetch_add(bytes.len() as u64, Ordering::Relaxed)),
            Err(e) => *going.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(e.to_string()),
        }))
    }
}

/// What becomes of what is sent.
#[derive(Default)]
struct Going {
    /// How many bytes were taken.
    taken: AtomicU64,
    /// Why there is no more of it.
    failed: Mutex<Option<String>>,
}

fn pieces(mut bytes: Bytes) -> impl Iterator<Item = io::Result<Bytes>> {
    std::iter::from_fn(move || {
        let piece = bytes.split_to(bytes.len().min(PIECE));
        (!piece.is_empty()).then_some(Ok(piece))
    })
}

/// Has content made by a thread of its own, not much faster than it is taken.
fn made(content: Arc<dyn Content>) -> impl Stream<Item = io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(PIECE, Sender(&sender));
        let written = content.write(&mut out).and_then(|()| out.flush());
        // What is still in there isn't wanted.
        drop(out.into_parts());
        if let Err(error) = written {
            let _ = sender.blocking_send(Err(error));
        }
    });
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    })
}

/// Where a thread's pieces go.
struct Sender<'a>(&'a mpsc::Sender<io::Result<Bytes>>);

impl Write for Sender<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into()).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Awaits a transfer for as long as it goes on: large files take their time. It is given up when nothing of it was taken
/// for so long.
async fn going_on<T>(going: &Going, silence: Duration, path: &str, work: impl Future<Output = T>) -> Result<T> {
    tokio::select! {
        done = work => Ok(done),
        taken = stands_still(&going.taken, silence) => Err(stalled(path, taken, silence)),
    }
}

/// Ends when a count has not changed for so long, and at most for twice as long; what it is then.
pub async fn stands_still(count: &AtomicU64, silence: Duration) -> u64 {
    let mut before = None;
    loop {
        let now = count.load(Ordering::Relaxed);
        if before == Some(now) {
            return now;
        }
        before = Some(now);
        tokio::time::sleep(silence).await;
    }
}

fn stalled(path: &str, moved: u64, silence: Duration) -> Error {
    Error::Stalled { what: format!("the transfer of {path}, with {moved} bytes over,"), silence }
}

/// A file on its way from the guest.
pub struct Download {
    response: reqwest::Response,
    http: Arc<Http>,
    path: String,
    size: u64,
    received: u64,
    silence: Duration,
}

impl Download {
    /// How many bytes there will be; zero when the server doesn't know.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next piece; none at the end. Fails when the file ends early, and when nothing comes for as long as the guest may
    /// take to answer.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let next = tokio::time::timeout(self.silence, self.response.chunk()).await;
        match next.map_err(|_| stalled(&self.path, self.received, self.silence))? {
            Ok(Some(chunk)) => {
                self.received += chunk.len() as u64;
                Ok(Some(chunk))
            }
            Ok(None) if self.received < self.size => Err(Error::Transfer {
                address: self.http.address.clone(),
                path: self.path.clone(),
                detail: format!("it ended after {} of {} bytes", self.received, self.size),
                connection: None,
            }),
            Ok(None) => Ok(None),
            Err(e) => Err(broken(&self.http, &self.path, self.http.failed(&e))),
        }
    }

    /// All of it. Fails when it is larger than `limit` bytes.
    pub async fn bytes(mut self, limit: u64) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if all.len() as u64 + chunk.len() as u64 > limit {
                return Err(Error::Transfer {
                    address: self.http.address.clone(),
                    path: self.path.clone(),
                    detail: format!("it is larger than {limit} bytes"),
                    connection: None,
                });
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

impl Guest {
    /// Sends a file (`InitiateFileTransferToGuest`). Empty ones fail on real servers, so [`Error::Usage`] says so before
    /// anything is sent: make them another way. The deadline is for the guest to answer; a transfer takes as long as it
    /// takes, unless nothing of it moves for that long.
    pub async fn upload(
        &self,
        path: &str,
        source: &Source,
        attributes: GuestFileAttributes,
        overwrite: bool,
        deadline: Deadline,
    ) -> Result<()> {
        let size = source.size();
        if size == 0 {
            return Err(Error::Usage(format!("{path}: an empty file can't be transferred to a guest")));
        }
        let what = format!("send {path}");
        let mut request = InitiateFileTransferToGuest {
            this: self.file_manager(deadline).await?,
            vm: self.vm().clone(),
            auth: self.authentication(),
            guest_file_path: path.to_owned(),
            file_attributes: attributes,
            file_size: i64::try_from(size).unwrap_or(i64::MAX),
            overwrite,
        };
        let _turn = self.turn(deadline, &what).await?;
        let mut deadline = deadline;
        let mut tries = 0;
        loop {
            let url = self.call(&request, &what, deadline).await?;
            let sent = self.put(&url, path, source, deadline.allowed()).await;
            tries += 1;
            match sent {
                // The first try may have begun the file, which must not keep the second from being made.
                Err(Error::Transfer { .. }) if tries < TRIES => request.overwrite = true,
                other => return other,
            }
            // What has passed was the transfer's.
            deadline = Deadline::after(deadline.allowed());
        }
    }

    async fn put(&self, url: &str, path: &str, source: &Source, silence: Duration) -> Result<()> {
        let (url, http) = self.transfer_host(url).await?;
        let going = Arc::new(Going::default());
        let request = http
            .client()
            .put(url)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, source.size())
            .body(source.body(&going));
        self.client().inner.count("PUT");
        let began = tokio::time::Instant::now();
        let answer = going_on(&going, silence, path, http.exchange("PUT", request, 1 << 20)).await?;
        self.client().inner.record("PUT", b"", began, answer.as_ref().ok().map(|a| (a.status, b"".as_slice())));
        if let Some(why) = going.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(Error::Usage(format!("what is sent as {path} can't be made: {why}")));
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(broken(&http, path, error)),
        };
        match answer.status {
            StatusCode::OK | StatusCode::CREATED => Ok(()),
            status => Err(refused(&http, path, status, &answer.body)),
        }
    }

    /// Begins to fetch a file (`InitiateFileTransferFromGuest`). Its size is what it has when this is called. The deadline
    /// is for the answer; see [`Guest::upload`].
    pub async fn download(&self, path: &str, deadline: Deadline) -> Result<Download> {
        let what = format!("fetch {path}");
        let request = InitiateFileTransferFromGuest {
            this: self.file_manager(deadline).await?,
            vm: self.vm().clone(),
            auth: self.authentication(),
            guest_file_path: path.to_owned(),
        };
        let _turn = self.turn(deadline, &what).await?;
        let silence = deadline.allowed();
        let mut tries = 0;
        loop {
            let info = self.call(&request, &what, deadline).await?;
            let size = u64::try_from(info.size).unwrap_or_default();
            let begun = self.get(&info.url, path);
            tries += 1;
            match deadline.limit(&format!("fetching {path} from the guest"), begun).await {
                Ok((response, http)) => {
                    let size = if size == 0 { response.content_length().unwrap_or_default() } else { size };
                    return Ok(Download { response, http, path: path.to_owned(), size, received: 0, silence });
                }
                Err(Error::Transfer { .. }) if tries < TRIES && !deadline.passed() => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn get(&self, url: &str, path: &str) -> Result<(reqwest::Response, Arc<Http>)> {
        let (url, http) = self.transfer_host(url).await?;
        self.client().inner.count("GET");
        let began = tokio::time::Instant::now();
        let response = http.send(http.client().get(url)).await;
        self.client().inner.record("GET", b"", began, response.as_ref().ok().map(|r| (r.status(), b"".as_slice())));
        let response = match response {
            Ok(response) => response,
            Err(error) => return Err(broken(&http, path, error)),
        };
        match response.status() {
            StatusCode::OK => Ok((response, http)),
            status => {
                let body = response.bytes().await.unwrap_or_default();
                Err(refused(&http, path, status, &body))
            }
        }
    }

    async fn transfer_host(&self, url: &str) -> Result<(Url, Arc<Http>)> {
        // vCenter vouches for its hosts. Without the right to read that, the usual trust must do.
        let vouched = async { self.host_thumbprint().await.ok().flatten() };
        self.client().transfer_host(url, vouched).await
    }

    /// The certificate of the host that runs the virtual machine, as vCenter knows it.
    async fn host_thumbprint(&self) -> Result<Option<Thumbprint>> {
        let host: Option<Moref> = self.client().properties(self.vm(), &["runtime.host"]).await?.get("runtime.host");
        let Some(host) = host else { return Ok(None) };
        let summary = self.client().properties(&host, &["summary.config.sslThumbprint"]).await?;
        summary.text("summary.config.sslThumbprint").map(Thumbprint::parse).transpose()
    }
}

impl Client {
    /// The URL of a transfer with its host filled in, and that host. `vouched` is the certificate that vCenter says it
    /// has, asked for only where the host is a new one.
    pub(super) async fn transfer_host(
        &self,
        url: &str,
        vouched: impl Future<Output = Option<Thumbprint>>,
    ) -> Result<(Url, Arc<Http>)> {
        let inner = &self.inner;
        let api = &inner.endpoint.url;
        let url = resolve(url, api)?;
        let address = address_of(&url);
        if let Some(http) = inner.hosts.0.lock().unwrap_or_else(PoisonError::into_inner).get(&address) {
            return Ok((url, http.clone()));
        }
        if url.scheme() == api.scheme() && address == address_of(api) {
            return Ok((url, inner.http.clone()));
        }
        let mut trust = inner.endpoint.trust.clone();
        if url.scheme() == "https" && !trust.insecure {
            trust.thumbprints.extend(vouched.await);
        }
        let http = Arc::new(Http::new(&url, &trust)?);
        inner.hosts.0.lock().unwrap_or_else(PoisonError::into_inner).insert(address, http.clone());
        Ok((url, http))
    }
}

/// Fills the API's host and port in where a server leaves them open with `*`.
fn resolve(url: &str, api: &Url) -> Result<Url> {
    let bad = |why: &str| Error::Protocol {
        address: address_of(api),
        call: "InitiateFileTransfer".to_owned(),
        detail: format!("the transfer's URL can't be used: {why}"),
        excerpt: url.split('?').next().unwrap_or_default().to_owned(),
        lost_reply: false,
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("it has no scheme"))?;
    let (place, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let open = place == "*" || place.starts_with("*:");
    let parsed = match open {
        true => {
            let place = api.authority();
            Url::parse(&format!("{}://{place}{path}", api.scheme()))
        }
        false => Url::parse(&format!("{scheme}://{rest}")),
    };
    match parsed {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        Ok(_) => Err(bad("it is neither HTTP nor HTTPS")),
        Err(e) => Err(bad(&e.to_string())),
    }
}

fn broken(http: &Http, path: &str, error: Error) -> Error {
    Error::Transfer {
        address: http.address.clone(),
        path: path.to_owned(),
        detail: error.to_string(),
        connection: Some(Box::new(error)),
    }
}

fn refused(http: &Http, path: &str, status: StatusCode, body: &[u8]) -> Error {
    let words = excerpt(body);
    let detail = if words.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {words}") };
    Error::Transfer { address: http.address.clone(), path: path.to_owned(), detail, connection: None }
}
