//! The session: connecting, calling methods, staying logged in, logging out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, RETRY_AFTER, SET_COOKIE};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::endpoint::{Deadline, Endpoint};
use super::error::{ConnectKind, Error, Result};
use super::guest::Locks;
use super::http::{Answer, Http, excerpt};
use super::record::{Exchange, Heard};
use super::transfer::Hosts;
use super::versions;
use super::watch::Idle;
use crate::diagnostic::text;
use crate::vsphere::wire::xml::PBM;
use crate::vsphere::wire::{
    AboutInfo, CurrentTime, Element, Limits, Login, Logout, Method, Moref, Reply, RetrieveServiceContent, Service,
    ServiceContent, XmlError, parse_reply, request_document, service_document,
};

/// How long the server may take over one call, unless it waits by design.
pub(super) const CALL: Duration = Duration::from_secs(180);
/// Pauses before the second and third try of a call.
pub(super) const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// How long cleaning up may take before the session ends all the same.
const FAREWELL: Duration = Duration::from_secs(15);

/// How many requests were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// All of them, transfers and retries included.
    pub total: u64,
    /// By method name; plain HTTP requests as `GET` and `PUT`.
    pub by_method: BTreeMap<String, u64>,
}

/// A logged-in client. Clones share one session.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub endpoint: Endpoint,
    pub http: Arc<Http>,
    content: ServiceContent,
    version: String,
    session: Mutex<Session>,
    /// Held while logging in, so that many expired calls make one login.
    login: tokio::sync::Mutex<()>,
    requests: Mutex<Requests>,
    last_request: Mutex<Instant>,
    operations: AtomicU64,
    /// Names this run in the server's logs.
    run: String,
    ended: AtomicBool,
    /// Property collectors between two watchers.
    pub collectors: Mutex<Vec<Idle>>,
    /// Asks background tasks to clean up.
    pub closing: CancellationToken,
    /// Background tasks that clean up on the server.
    pub background: TaskTracker,
    pub guests: Locks,
    pub hosts: Hosts,
    /// The session of the REST API.
    pub rest: super::rest::Session,
}

/// A server that answers, and nobody is logged in yet.
pub struct Reached(Inner);

impl Reached {
    /// What the server is.
    pub fn about(&self) -> &AboutInfo {
        &self.0.content.about
    }

    /// The API version agreed on.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// Logs in.
    pub async fn log_in(self) -> Result<Client> {
        self.0.log_in(0).await?;
        let client = Client { inner: Arc::new(self.0) };
        client.keep_alive();
        Ok(client)
    }
}

#[derive(Clone, Default)]
struct Session {
    /// The cookie, verbatim.
    cookie: Option<String>,
    /// How many logins there were.
    generation: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server that never answers is none that one can connect to, whatever it was that it didn't answer.
fn silent(error: Error, address: String) -> Error {
    match error {
        Error::Timeout { allowed, .. } => Error::Connect {
            address,
            kind: ConnectKind::TimedOut,
            detail: format!("connecting took longer than {}", text::limit(allowed)),
            lost_reply: false,
        },
        other => other,
    }
}

impl Client {
    /// Connects, agrees on an API version, and logs in.
    pub async fn connect(endpoint: Endpoint, deadline: Deadline) -> Result<Client> {
        let address = endpoint.address();
        let connected = deadline.limit("connecting", async { Self::open(endpoint).await?.log_in().await }).await;
        connected.map_err(|e| silent(e, address))
    }

    /// Finds out what the server is and agrees on an API version, without logging in.
    pub async fn reach(endpoint: Endpoint, deadline: Deadline) -> Result<Reached> {
        let address = endpoint.address();
        deadline.limit("connecting", Self::open(endpoint)).await.map_err(|e| silent(e, address))
    }

    async fn open(endpoint: Endpoint) -> Result<Reached> {
        let http = Arc::new(Http::new(&endpoint.url, &endpoint.trust)?);
        let mut inner = Inner {
            endpoint,
            http,
            content: ServiceContent::default(),
            version: String::new(),
            session: Mutex::default(),
            login: tokio::sync::Mutex::default(),
            requests: Mutex::default(),
            last_request: Mutex::new(Instant::now()),
            operations: AtomicU64::new(0),
            run: run_id(),
            ended: AtomicBool::new(false),
            collectors: Mutex::default(),
            closing: CancellationToken::new(),
            background: TaskTracker::new(),
            guests: Locks::default(),
            hosts: Hosts::default(),
            rest: super::rest::Session::default(),
        };
        let offered = inner.offered_versions().await?;
        inner.version = versions::agree(&offered).unwrap_or_else(|| versions::OLDEST.to_owned());
        let start = RetrieveServiceContent { this: Moref::new("ServiceInstance", "ServiceInstance") };
        let said = inner.exchange(&Call::of(&start), CALL).await?;
        inner.content = inner.read::<RetrieveServiceContent>(&said)?;
        if offered.is_empty()
            && let Some(version) = versions::agree(&[inner.content.about.api_version.clone()])
        {
            inner.version = version;
        }
        Ok(Reached(inner))
    }

    /// Ends the session: waits for the clean-up of all watchers, then logs out. An error is of no use to a caller
    /// and comes back only to be logged. Further calls fail.
    pub async fn logout(&self) -> Result<()> {
        let inner = &self.inner;
        inner.closing.cancel();
        inner.background.close();
        // What isn't cleaned up in time dies with the session anyway.
        let _ = tokio::time::timeout(FAREWELL, inner.background.wait()).await;
        self.rest_logout(FAREWELL).await;
        if inner.ended.swap(true, Ordering::SeqCst) || lock(&inner.session).cookie.is_none() {
            return Ok(());
        }
        let logout = Logout { this: inner.session_manager()? };
        match Deadline::after(FAREWELL).limit("logging out", inner.exchange(&Call::of(&logout), FAREWELL)).await {
            // The session has expired: that is what was wanted.
            Err(e) if e.is_fault("NotAuthenticated") => Ok(()),
            other => other.map(drop),
        }
    }

    /// What the server is.
    pub fn about(&self) -> &AboutInfo {
        &self.inner.content.about
    }

    /// Whether it is a vCenter rather than a single ESXi host.
    pub fn is_vcenter(&self) -> bool {
        self.inner.content.about.api_type == "VirtualCenter"
    }

    /// The server's managers.
    pub fn content(&self) -> &ServiceContent {
        &self.inner.content
    }

    /// The server's address, for messages.
    pub fn address(&self) -> &str {
        &self.inner.http.address
    }

    /// The account that is logged in.
    pub fn username(&self) -> &str {
        &self.inner.endpoint.username
    }

    /// The API version agreed on.
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// What was sent so far.
    pub fn requests(&self) -> Requests {
        lock(&self.inner.requests).clone()
    }

    /// Calls a method: logs in again once when the session has expired, and repeats what can be repeated when the
    /// connection fails.
    pub async fn call<M: Method>(&self, method: &M) -> Result<M::Returns> {
        self.call_within(method, CALL).await
    }

    /// The same, with another limit for the server's answer.
    pub(super) async fn call_within<M: Method>(&self, method: &M, limit: Duration) -> Result<M::Returns> {
        let said = self.inner.ask(Call::of(method), limit).await?;
        self.inner.read::<M>(&said)
    }

    /// How many logins there were.
    pub(super) fn generation(&self) -> u64 {
        lock(&self.inner.session).generation
    }

    /// Logs in again, unless that has been done since `generation`.
    pub(super) async fn renew(&self, generation: u64) -> Result<()> {
        self.inner.log_in_again(generation).await
    }

    /// Keeps the session alive when nothing else was sent for as long as the endpoint says.
    fn keep_alive(&self) {
        let idle = self.inner.endpoint.keep_alive;
        let weak = Arc::downgrade(&self.inner);
        let closing = self.inner.closing.clone();
        let service = Moref::new("ServiceInstance", "ServiceInstance");
        tokio::spawn(async move {
            loop {
                let Some(inner) = weak.upgrade() else { return };
                let due = *lock(&inner.last_request) + idle;
                drop(inner);
                tokio::select! {
                    () = closing.cancelled() => return,
                    () = tokio::time::sleep_until(due) => {}
                }
                let Some(inner) = weak.upgrade() else { return };
                if *lock(&inner.last_request) + idle <= Instant::now() {
                    // Whatever fails here fails again, and is reported, at the next real call.
                    let _ = Client { inner }.call(&CurrentTime { this: service.clone() }).await;
                }
            }
        });
    }
}

/// A method with the type taken off: what sends it is compiled once, not once a method.
struct Call {
    name: &'static str,
    safe: bool,
    service: Service,
    this: Moref,
    body: Element,
}

impl Call {
    fn of<M: Method>(method: &M) -> Call {
        Call { name: M::NAME, safe: M::SAFE, service: M::SERVICE, this: method.this().clone(), body: method.to_body() }
    }
}

/// A response, and the answer that it came in.
struct Said {
    body: Element,
    answer: Answer,
}

impl Inner {
    /// Sends a call of a session that has not ended, and logs in again once when it has expired.
    async fn ask(self: &Arc<Self>, call: Call, limit: Duration) -> Result<Said> {
        if self.ended.load(Ordering::SeqCst) {
            return Err(Error::Usage(format!("{} was called after the session had ended", call.name)));
        }
        let generation = lock(&self.session).generation;
        match self.exchange(&call, limit).await {
            Err(e) if e.is_fault("NotAuthenticated") => {
                self.log_in_again(generation).await?;
                self.exchange(&call, limit).await
            }
            other => other,
        }
    }

    fn read<M: Method>(&self, said: &Said) -> Result<M::Returns> {
        M::from_response(&said.body).map_err(|e| self.protocol(M::NAME, &e.to_string(), &said.answer.body, true))
    }

    fn session_manager(&self) -> Result<Moref> {
        self.content
            .session_manager
            .clone()
            .ok_or_else(|| self.protocol("login", "it has no session manager", &[], false))
    }

    /// The same once more. It is seen through when the call that wants it isn't waited for any more: a session whose cookie
    /// nobody has taken would stay.
    async fn log_in_again(self: &Arc<Self>, generation: u64) -> Result<()> {
        let own = Arc::clone(self);
        let done = self.background.spawn(async move { own.log_in(generation).await });
        done.await.unwrap_or_else(|_| Err(Error::Usage("the login was given up".to_owned())))
    }

    /// Logs in, unless another call has done so since `generation`.
    async fn log_in(&self, generation: u64) -> Result<()> {
        let _held = self.login.lock().await;
        {
            let mut session = lock(&self.session);
            if session.generation != generation {
                return Ok(());
            }
            session.cookie = None;
        }
        let login = Login {
            this: self.session_manager()?,
            user_name: self.endpoint.username.clone(),
            password: self.endpoint.password.clone(),
            locale: Some("en_US".to_owned()),
        };
        let login = Call::of(&login);
        let mut pauses = PAUSES.iter();
        let outcome = loop {
            match (self.exchange(&login, CALL).await, pauses.next()) {
                // A session that was opened without our knowing ends by itself; a refusal is never repeated.
                (Err(lost), Some(pause)) if lost.lost_reply() => tokio::time::sleep(*pause).await,
                (outcome, _) => break outcome,
            }
        };
        match outcome {
            Ok(_) => {
                lock(&self.session).generation += 1;
                Ok(())
            }
            Err(Error::Fault { fault, .. }) => {
                Err(Error::Login { address: self.http.address.clone(), user: self.endpoint.username.clone(), fault })
            }
            Err(other) => Err(other),
        }
    }

    /// Sends a call, again after a pause where that does no harm.
    async fn exchange(&self, call: &Call, limit: Duration) -> Result<Said> {
        let mut pauses = PAUSES.iter();
        loop {
            let error = match self.exchange_once(call, limit).await {
                Ok(said) => return Ok(said),
                Err(error) => error,
            };
            match pauses.next() {
                Some(pause) if worth_repeating(&error, call.safe) => tokio::time::sleep(*pause).await,
                _ => return Err(error),
            }
        }
    }

    async fn exchange_once(&self, call: &Call, limit: Duration) -> Result<Said> {
        let operation = self.operations.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{operation}", self.run);
        let cookie = lock(&self.session).cookie.clone();
        let mut url = self.endpoint.url.clone();
        let (document, action) = match call.service {
            Service::Vim => (request_document(&call.body, Some(&id)), format!("urn:vim25/{}", self.version)),
            Service::Pbm => {
                url.set_path("/pbm");
                let session = cookie.as_deref().and_then(session_id).unwrap_or_default();
                (service_document(call.service, &call.body, session), format!("{PBM}/2.0"))
            }
        };
        let document = document.map(Bytes::from).map_err(|e| match e {
            XmlError::Unwritable { .. } => Error::Usage(format!("{} can't be sent: {e}", call.name)),
            other => self.protocol(call.name, &other.to_string(), &[], false),
        })?;
        let mut request = self
            .http
            .client()
            .post(url)
            .header(CONTENT_TYPE, "text/xml; charset=\"utf-8\"")
            .header("SOAPAction", action)
            .timeout(limit)
            .body(document.clone());
        if call.service == Service::Vim
            && let Some(cookie) = &cookie
        {
            request = request.header(COOKIE, cookie);
        }
        self.count(call.name);
        let began = Instant::now();
        let answer = self.http.exchange(call.name, request, Limits::default().bytes).await;
        let said = match call.service {
            Service::Vim => document,
            // The session stands in the message itself there, and is a secret.
            Service::Pbm => service_document(call.service, &call.body, "").map(Bytes::from).unwrap_or_default(),
        };
        self.record(call.name, &said, began, answer.as_ref().ok().map(|a| (a.status, a.body.as_ref())));
        let answer = answer?;
        if call.service == Service::Vim
            && let Some(cookie) = session_cookie(&answer.headers)
        {
            lock(&self.session).cookie = Some(cookie);
        }
        match self.reply(call.name, &answer)? {
            Reply::Body(body) => Ok(Said { body, answer }),
            Reply::Fault(fault) => {
                Err(Error::Fault { call: call.name.to_owned(), object: call.this.clone(), fault: Box::new(fault) })
            }
        }
    }

    /// The SOAP message of an answer. Faults come with status 500.
    fn reply(&self, call: &str, answer: &Answer) -> Result<Reply> {
        let status = answer.status;
        if !matches!(status, StatusCode::OK | StatusCode::INTERNAL_SERVER_ERROR) {
            return Err(self.refused(call, answer));
        }
        parse_reply(&answer.body, Limits::default()).map_err(|e| {
            let html = answer.headers.get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"text/html"));
            let detail = match html {
                true => format!("it is an HTML page (HTTP {status}), not a SOAP message"),
                false if status == StatusCode::OK => e.to_string(),
                false => format!("{e} (HTTP {status})"),
            };
            self.protocol(call, &detail, &answer.body, true)
        })
    }

    /// An answer with a status that SOAP doesn't use.
    pub(super) fn refused(&self, call: &str, answer: &Answer) -> Error {
        let status = answer.status;
        if matches!(status.as_u16(), 502..=504) {
            let retry_after = answer.headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()).map(str::to_owned);
            return Error::Unavailable {
                address: self.http.address.clone(),
                call: call.to_owned(),
                status: status.as_u16(),
                detail: retry_after.map_or_else(|| excerpt(&answer.body), |s| format!("retry after {s}")),
            };
        }
        let mut detail = format!("HTTP status {status}");
        if let Some(to) = answer.headers.get("location").and_then(|v| v.to_str().ok()) {
            detail.push_str(&format!(", to {to}"));
        }
        self.protocol(call, &detail, &answer.body, false)
    }

    pub(super) fn protocol(&self, call: &str, detail: &str, body: &[u8], lost_reply: bool) -> Error {
        Error::Protocol {
            address: self.http.address.clone(),
            call: call.to_owned(),
            detail: detail.to_owned(),
            excerpt: excerpt(body),
            lost_reply,
        }
    }

    /// The API versions that the server speaks; none when it doesn't say.
    async fn offered_versions(&self) -> Result<Vec<String>> {
        let mut url = self.endpoint.url.clone();
        url.set_path(&format!("{}/vimServiceVersions.xml", url.path()));
        let mut pauses = PAUSES.iter();
        let answer = loop {
            self.count("GET");
            let request = self.http.client().get(url.clone()).timeout(CALL);
            let outcome = self.http.exchange("GET vimServiceVersions.xml", request, 1 << 20).await;
            let again = match &outcome {
                Ok(answer) => matches!(answer.status.as_u16(), 502..=504),
                Err(Error::Connect { kind, .. }) => !matches!(kind, ConnectKind::Dns | ConnectKind::TimedOut),
                Err(_) => false,
            };
            match pauses.next() {
                Some(pause) if again => tokio::time::sleep(*pause).await,
                _ => break outcome?,
            }
        };
        // An unusable answer isn't decisive: the call that follows judges the server.
        Ok(if answer.status.is_success() { versions::offered(&answer.body) } else { Vec::new() })
    }

    /// Lets a recorder hear what was said.
    pub fn record(&self, call: &str, request: &[u8], began: Instant, answer: Option<(StatusCode, &[u8])>) {
        let Some(recorder) = &self.endpoint.recorder else { return };
        let answer = match answer {
            Some((status, body)) => Heard::Answer { status: status.as_u16(), body },
            None => Heard::Nothing,
        };
        recorder.hear(&Exchange { call, request, took: began.elapsed(), answer });
    }

    /// Counts a request.
    pub fn count(&self, method: &str) {
        *lock(&self.last_request) = Instant::now();
        let mut requests = lock(&self.requests);
        requests.total += 1;
        match requests.by_method.get_mut(method) {
            Some(n) => *n += 1,
            None => {
                requests.by_method.insert(method.to_owned(), 1);
            }
        }
    }
}

/// Whether a request that failed may do better a moment later, without harm. `safe`: it does none when it is carried out
/// twice.
pub(super) fn worth_repeating(error: &Error, safe: bool) -> bool {
    match error {
        Error::Connect { kind: ConnectKind::Dns | ConnectKind::TimedOut, .. } => false,
        Error::Connect { lost_reply, .. } => safe || !lost_reply,
        Error::Unavailable { .. } => safe,
        _ => false,
    }
}

/// The session's cookie as it is to be sent back.
fn session_cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(SET_COOKIE).iter().filter_map(|v| v.to_str().ok());
    let pair = cookies.filter_map(|c| c.split(';').next()).find(|c| c.trim().starts_with("vmware_soap_session="))?;
    Some(pair.trim().to_owned())
}

/// What a session's cookie holds, quoted or not.
fn session_id(cookie: &str) -> Option<&str> {
    Some(cookie.split_once('=')?.1.trim_matches('"'))
}

/// A short random text.
fn run_id() -> String {
    let mut bytes = [0u8; 4];
    // Without randomness the id is only less telling.
    let _ = getrandom::fill(&mut bytes);
    format!("vmwbuild-{:08x}", u32::from_be_bytes(bytes))
}
