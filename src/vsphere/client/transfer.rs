//! File transfers: straight to the host that runs the virtual machine.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use url::Url;

use super::endpoint::{Deadline, Thumbprint, address_of};
use super::error::{Error, Result};
use super::guest::Guest;
use super::http::{Http, excerpt};
use super::session::Client;
use crate::vsphere::wire::{GuestFileAttributes, InitiateFileTransferFromGuest, InitiateFileTransferToGuest, Moref};

/// How often a transfer is begun: its URL becomes void when the machine moves or changes its power state.
const TRIES: usize = 3;

/// Hosts that transfers have gone to, by address.
#[derive(Default)]
pub(super) struct Hosts(Mutex<HashMap<String, Arc<Http>>>);

/// What to send. It can be read again, since a transfer may have to begin anew.
#[derive(Clone, Debug)]
pub enum Source {
    /// These bytes.
    Bytes(Bytes),
    /// A local file, as long as it is when the transfer begins.
    File(PathBuf),
}

impl Source {
    async fn size(&self) -> Result<u64> {
        match self {
            Source::Bytes(bytes) => Ok(bytes.len() as u64),
            Source::File(path) => match tokio::fs::metadata(path).await {
                Ok(meta) if meta.is_file() => Ok(meta.len()),
                Ok(_) => Err(Error::Usage(format!("{} is not a file", path.display()))),
                Err(e) => Err(Error::Usage(format!("{} can't be read: {e}", path.display()))),
            },
        }
    }

    /// The first `size` bytes: a file that grows meanwhile must not send more than was announced.
    async fn body(&self, size: u64) -> Result<reqwest::Body> {
        match self {
            Source::Bytes(bytes) => Ok(bytes.clone().into()),
            Source::File(path) => match tokio::fs::File::open(path).await {
                Ok(file) => Ok(reqwest::Body::wrap_stream(ReaderStream::with_capacity(file.take(size), 64 << 10))),
                Err(e) => Err(Error::Usage(format!("{} can't be read: {e}", path.display()))),
            },
        }
    }
}

/// A file on its way from the guest.
pub struct Download {
    response: reqwest::Response,
    http: Arc<Http>,
    path: String,
    size: u64,
    received: u64,
    deadline: Deadline,
}

impl Download {
    /// How many bytes there will be; zero when the server doesn't know.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next piece; none at the end. Fails when the file ends early.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let what = format!("fetching {} from the guest", self.path);
        let next = async { Ok(self.response.chunk().await) };
        match self.deadline.limit(&what, next).await? {
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
    /// Sends a file. Empty ones fail on real servers, so [`Error::Usage`] says so before anything is sent: make them
    /// another way.
    pub async fn upload(
        &self,
        path: &str,
        source: &Source,
        attributes: GuestFileAttributes,
        overwrite: bool,
        deadline: Deadline,
    ) -> Result<()> {
        let size = source.size().await?;
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
        let mut tries = 0;
        loop {
            let url = self.call(&request, &what, deadline).await?;
            let sent =
                deadline.limit(&format!("sending {path} to the guest"), self.put(&url, path, source, size)).await;
            tries += 1;
            match sent {
                // The first try may have begun the file, which must not keep the second from being made.
                Err(Error::Transfer { .. }) if tries < TRIES && !deadline.passed() => request.overwrite = true,
                other => return other,
            }
        }
    }

    async fn put(&self, url: &str, path: &str, source: &Source, size: u64) -> Result<()> {
        let (url, http) = self.transfer_host(url).await?;
        let request = http
            .client()
            .put(url)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, size)
            .body(source.body(size).await?);
        self.client().inner.count("PUT");
        let began = tokio::time::Instant::now();
        let answer = http.exchange("PUT", request, 1 << 20).await;
        self.client().inner.record("PUT", b"", began, answer.as_ref().ok().map(|a| (a.status, b"".as_slice())));
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(broken(&http, path, error)),
        };
        match answer.status {
            StatusCode::OK | StatusCode::CREATED => Ok(()),
            status => Err(refused(&http, path, status, &answer.body)),
        }
    }

    /// Begins to fetch a file. Its size is what it has when this is called.
    pub async fn download(&self, path: &str, deadline: Deadline) -> Result<Download> {
        let what = format!("fetch {path}");
        let request = InitiateFileTransferFromGuest {
            this: self.file_manager(deadline).await?,
            vm: self.vm().clone(),
            auth: self.authentication(),
            guest_file_path: path.to_owned(),
        };
        let _turn = self.turn(deadline, &what).await?;
        let mut tries = 0;
        loop {
            let info = self.call(&request, &what, deadline).await?;
            let size = u64::try_from(info.size).unwrap_or_default();
            let begun = self.get(&info.url, path);
            tries += 1;
            match deadline.limit(&format!("fetching {path} from the guest"), begun).await {
                Ok((response, http)) => {
                    let size = if size == 0 { response.content_length().unwrap_or_default() } else { size };
                    return Ok(Download { response, http, path: path.to_owned(), size, received: 0, deadline });
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
