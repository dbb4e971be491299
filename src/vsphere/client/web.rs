//! Files on web servers: fetched as they come, with certificates checked as usual.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{ETAG, LAST_MODIFIED, LOCATION};
use url::Url;

use super::endpoint::Trust;
use super::error::{ConnectKind, Error, Result};
use super::http::{Http, excerpt};
use super::session::Client;

/// How often a server may send on to another place.
const HOPS: usize = 5;

/// A file that is being fetched.
pub struct WebFile {
    response: reqwest::Response,
    http: Arc<Http>,
    url: Url,
}

impl Client {
    /// Begins to fetch a file. Trusted are the system's authorities and those that are trusted for the vCenter. That one
    /// certificate of the vCenter's is trusted, or any, says nothing of other servers.
    ///
    /// # Errors
    /// [`Error::Web`].
    pub async fn web_file(&self, url: &str) -> Result<WebFile> {
        let failed = |url: &Url, detail: String| Error::Web { url: shown(url), detail, status: None, connection: None };
        let mut url = Url::parse(url).map_err(|e| Error::Usage(format!("`{url}` is no URL: {e}")))?;
        let trust = Trust { ca_pem: self.inner.endpoint.trust.ca_pem.clone(), ..Trust::default() };
        for _ in 0..=HOPS {
            let http = Http::new(&url, &trust)?;
            self.inner.count("GET");
            let response = http.send(http.client().get(url.clone())).await;
            let response = response.map_err(|e| broken(&url, e.to_string(), e))?;
            let status = response.status();
            if status == StatusCode::OK {
                return Ok(WebFile { response, http: Arc::new(http), url });
            }
            let next = response.headers().get(LOCATION).and_then(|v| v.to_str().ok()).map(|to| url.join(to));
            match next.filter(|_| status.is_redirection()) {
                Some(Ok(to)) if to.scheme() == url.scheme() || to.scheme() == "https" => url = to,
                Some(_) => {
                    return Err(failed(&url, "it sends on to where no certificate is checked, or nowhere".to_owned()));
                }
                None => {
                    let words = excerpt(&response.bytes().await.unwrap_or_default());
                    let words = if words.is_empty() { String::new() } else { format!(": {words}") };
                    let (detail, status) = (format!("HTTP {status}{words}"), Some(status.as_u16()));
                    return Err(Error::Web { url: shown(&url), detail, status, connection: None });
                }
            }
        }
        Err(failed(&url, format!("it sends on more than {HOPS} times")))
    }
}

/// The connection has failed.
fn broken(url: &Url, detail: String, error: Error) -> Error {
    Error::Web { url: shown(url), detail, status: None, connection: Some(Box::new(error)) }
}

/// A URL without what may be a key to it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

impl WebFile {
    /// What changes with its content, as far as the server tells: its tag, or when it was changed and how long it is.
    pub fn identity(&self) -> Option<String> {
        let header = |name| self.response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let size = self.response.content_length();
        header(ETAG).or_else(|| Some(format!("{} {}", header(LAST_MODIFIED)?, size?)))
    }

    /// The next piece; none at the end.
    ///
    /// # Errors
    /// [`Error::Web`], also where it ends early.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.response.chunk().await.map_err(|e| {
            let error = self.http.failed(&e);
            let detail = match &error {
                Error::Connect { kind: ConnectKind::Closed, .. } => "the connection broke".to_owned(),
                other => other.to_string(),
            };
            broken(&self.url, detail, error)
        })
    }
}
