//! The server's state, and how a SOAP request becomes an answer.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::{COOKIE, HOST, HeaderMap, HeaderValue, SET_COOKIE, USER_AGENT};
use hyper::{Method as Verb, Response, StatusCode};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::Config;
use super::faults::{self, Answer};
use super::guest::Transfers;
use super::guests::Guests;
use super::http::{self, Answered, Body, Dropped, Request};
use super::inventory::Inventory;
use super::model::Places;
use super::operations::Running;
use super::ovf::Lease;
use super::plan::{Effect, Plan};
use super::properties::Scope;
use super::rest::{self, Library, Tags};
use super::session::{Caller, SessionId, Sessions};
use super::tasks::Tasks;
use super::waiters::Waiters;
use super::{API_VERSION, methods};
use crate::vsphere::wire::{
    Element, Fault, Field, Limits, Method, Moref, Service, fault_document, parse_request, response_document,
};

/// Largest request.
const REQUEST: usize = 16 << 20;
/// Most methods that are counted.
const METHODS: usize = 500;

/// What never changes while the server runs.
#[derive(Debug)]
pub(super) struct Fixed {
    pub started: String,
    pub instance: String,
    /// The port of the hosts, where transfers go.
    pub transfer_port: u16,
    /// SHA-1 of the hosts' certificate.
    pub host_thumbprint: String,
}

impl Fixed {
    /// Seconds since a moment.
    pub fn uptime(&self, since: Option<&str>) -> i32 {
        let since = since.and_then(|s| OffsetDateTime::parse(s, &Rfc3339).ok());
        let seconds = since.map_or(0, |s| (OffsetDateTime::now_utc() - s).whole_seconds());
        i32::try_from(seconds).unwrap_or(i32::MAX)
    }
}

/// What changes, behind one lock that is never held while waiting.
pub(super) struct State {
    pub inventory: Inventory,
    pub tasks: Tasks,
    pub sessions: Sessions,
    pub places: Places,
    pub waiters: Waiters,
    pub tags: Tags,
    pub libraries: Vec<Library>,
    pub leases: HashMap<Moref, Lease>,
}

pub(super) struct Server {
    pub config: Config,
    pub fixed: Fixed,
    state: Mutex<State>,
    /// The inventory's clock, for those who wait for changes.
    pub clock: watch::Sender<u64>,
    /// None where there can't be any.
    pub guests: Option<Guests>,
    pub running: Mutex<HashMap<Moref, Arc<Running>>>,
    /// Held while layers are made, frozen and deleted.
    pub disks: tokio::sync::Mutex<()>,
    pub transfers: Transfers,
    pub plan: Mutex<Plan>,
    /// How many requests there were, by method.
    requests: Mutex<BTreeMap<String, u64>>,
    /// Why the state can't be written at present.
    pub unkept: watch::Sender<Option<String>>,
    pub background: TaskTracker,
    pub closing: CancellationToken,
}

/// The locked state. Whoever waits for changes is woken when it is unlocked after one.
pub(super) struct Guard<'a> {
    state: MutexGuard<'a, State>,
    clock: &'a watch::Sender<u64>,
}

impl Deref for Guard<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let fresh = self.state.inventory.take_fresh();
        self.state.waiters.wake(&fresh);
        let now = self.state.inventory.clock;
        self.clock.send_if_modified(|clock| std::mem::replace(clock, now) != now);
    }
}

/// Locks what no panic can leave half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A method call.
#[derive(Clone)]
pub(super) struct Call {
    pub service: Service,
    pub method: String,
    pub this: Moref,
    pub body: Element,
    pub session: Option<SessionId>,
    /// Host name by which the client reached us, without a port.
    pub host: String,
    pub caller: Caller,
    /// What a task that the call begins is to fail with.
    pub task_fault: Option<Fault>,
    /// Whether the machine is to ask something before the task goes on.
    pub question: bool,
}

/// The answer to a call.
pub(super) struct Reply {
    pub body: Element,
    /// The session that the call has opened.
    pub opened: Option<SessionId>,
}

impl Call {
    /// The whole request.
    pub fn read<M: Method>(&self) -> Answer<M> {
        M::from_body(&self.body).map_err(|e| faults::malformed(&e))
    }

    /// One parameter.
    pub fn arg<T: Field>(&self, name: &str) -> Answer<T> {
        T::read(&self.body, name).map_err(|e| faults::malformed(&e))
    }

    /// An answer that holds a value.
    pub fn answer<T: Field>(&self, value: &T) -> Answer<Element> {
        Ok(faults::response(&self.method, value))
    }
}

impl Server {
    pub fn new(config: Config, fixed: Fixed, guests: Option<Guests>, inventory: Inventory, places: Places) -> Self {
        let sessions = Sessions::new(config.session_idle);
        let plan = Plan::new(config.faults.clone(), config.seed);
        Server {
            fixed,
            state: Mutex::new(State {
                inventory,
                tasks: Tasks::default(),
                sessions,
                places,
                waiters: Waiters::default(),
                tags: Tags::default(),
                libraries: Vec::new(),
                leases: HashMap::new(),
            }),
            clock: watch::Sender::new(0),
            guests,
            running: Mutex::default(),
            disks: tokio::sync::Mutex::default(),
            transfers: Transfers::default(),
            plan: Mutex::new(plan),
            requests: Mutex::default(),
            unkept: watch::Sender::new(None),
            background: TaskTracker::new(),
            closing: CancellationToken::new(),
            config,
        }
    }

    pub fn lock(&self) -> Guard<'_> {
        Guard { state: lock(&self.state), clock: &self.clock }
    }

    /// Runs `read` with all that properties are read from.
    pub fn with_scope<T>(&self, session: Option<&SessionId>, read: impl FnOnce(&Scope<'_>) -> T) -> T {
        let state = self.lock();
        read(&Scope { state: &state, fixed: &self.fixed, session })
    }

    /// Counts a request.
    pub fn count(&self, method: &str) {
        let mut requests = lock(&self.requests);
        if let Some(count) = requests.get_mut(method) {
            *count += 1;
        } else if requests.len() < METHODS {
            // Names come from clients: no more of them than there are methods.
            requests.insert(method.to_owned(), 1);
        }
    }

    /// How many requests there were, by method.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        lock(&self.requests).clone()
    }

    /// What goes wrong with a call on purpose.
    pub fn strike(&self, method: &str) -> Vec<Effect> {
        lock(&self.plan).strike(method)
    }
}

/// Answers a request to the API's port.
pub(super) async fn handle(server: Arc<Server>, request: Request, peer: SocketAddr) -> Answered {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    match (request.method(), path.as_str()) {
        (&Verb::POST, "/sdk" | "/sdk/vim25") => soap(server, request, peer, Service::Vim).await,
        (&Verb::POST, "/pbm" | "/pbm/sdk") => soap(server, request, peer, Service::Pbm).await,
        (_, path) if path.starts_with("/rest/") => rest::handle(server, request, peer).await,
        (&Verb::GET, "/sdk/vimServiceVersions.xml") => {
            Ok(http::answer(StatusCode::OK, "text/xml; charset=utf-8", versions()))
        }
        (&Verb::GET, "/sdk") => Ok(http::plain(StatusCode::METHOD_NOT_ALLOWED, "POST SOAP messages here\n")),
        _ => Ok(http::plain(StatusCode::NOT_FOUND, "there is nothing here; the API is at /sdk\n")),
    }
}

fn versions() -> String {
    let prior = ["8.0.2.0", "8.0.1.0", "8.0.0.1", "7.0.3.0", "7.0", "6.9.1", "6.7.3", "6.7", "6.5"];
    let prior: String = prior.iter().map(|v| format!("<version>{v}</version>")).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<namespaces version=\"1.0\"><namespace><name>urn:vim25</name>\
         <version>{API_VERSION}</version><priorVersions>{prior}</priorVersions></namespace></namespaces>\n"
    )
}

async fn soap(server: Arc<Server>, request: Request, peer: SocketAddr, service: Service) -> Answered {
    let headers = request.headers().clone();
    let content = match http::read(request, REQUEST, server.config.patience).await {
        Ok(content) => content,
        Err(refused) => return Ok(refused),
    };
    let parsed = match parse_request(&content, Limits { bytes: REQUEST, ..Limits::default() }) {
        Ok(parsed) => parsed,
        Err(e) => return Ok(fault_answer(&faults::malformed(&e))),
    };
    let method = parsed.body.name.clone();
    let this = match Moref::read(&parsed.body, "_this") {
        Ok(this) => this,
        Err(e) => return Ok(fault_answer(&faults::malformed(&e))),
    };
    let header = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok()).unwrap_or_default().to_owned();
    let mut call = Call {
        service,
        method,
        this,
        body: parsed.body,
        session: match service {
            Service::Vim => cookie(&headers).or(parsed.session),
            // Whatever cookie there is, it is another service's.
            Service::Pbm => parsed.session.map(|id| id.trim_matches('"').to_owned()),
        },
        host: host_of(&header(HOST)),
        caller: Caller { user: String::new(), address: peer.ip().to_string(), agent: header(USER_AGENT) },
        task_fault: None,
        question: false,
    };
    server.count(&call.method);
    let Disturbed { lose, answer, of_content } = disturb(&server, &call.method, call.session.as_ref()).await?;
    if let Some(answer) = answer {
        return Ok(answer);
    }
    let mut fault = None;
    for effect in of_content {
        match effect {
            Effect::Fault(given) => fault = Some(*given),
            Effect::NoPermission => fault = Some(faults::no_permission(&concerned(&call), &call.method)),
            Effect::ToolsAway => fault = Some(faults::vix(3016)),
            Effect::ToolsRestart(time) => server.restart_tools(&concerned(&call), time),
            Effect::TaskFault(given) => call.task_fault = Some(*given),
            Effect::Question => call.question = true,
            Effect::DiskFull => fault = Some(faults::file("NoDiskSpace", super::model::DATASTORE)),
            // Done already.
            Effect::DropBefore
            | Effect::DropAfter
            | Effect::Unavailable
            | Effect::ExpireSession
            | Effect::Slow(_)
            | Effect::Rate(_)
            | Effect::CutShort => {}
        }
    }
    let outcome = match fault {
        Some(fault) => Err(fault),
        None => carry_out(&server, call).await,
    };
    if lose {
        return Err(Dropped);
    }
    Ok(match outcome {
        Ok(reply) => {
            let document = match response_document(service, &reply.body) {
                Ok(document) => document,
                Err(e) => return Ok(fault_answer(&faults::system_error(&format!("the answer can't be written: {e}")))),
            };
            let mut response = http::answer(StatusCode::OK, "text/xml; charset=utf-8", document);
            if let Some(id) = reply.opened
                && let Ok(value) =
                    HeaderValue::from_str(&format!("vmware_soap_session=\"{id}\"; Path=/; HttpOnly; Secure"))
            {
                response.headers_mut().insert(SET_COOKIE, value);
            }
            response
        }
        Err(fault) => fault_answer(&fault),
    })
}

/// What has gone wrong with a request on purpose.
pub(super) struct Disturbed {
    /// Whether its reply gets lost.
    pub lose: bool,
    /// With this it ends, before it is looked at.
    pub answer: Option<Response<Body>>,
    /// What depends on what it says.
    pub of_content: Vec<Effect>,
}

/// Does to a request what is done to one whatever it says.
pub(super) async fn disturb(server: &Server, method: &str, session: Option<&SessionId>) -> Result<Disturbed, Dropped> {
    let mut disturbed = Disturbed { lose: false, answer: None, of_content: Vec::new() };
    for effect in server.strike(method) {
        match effect {
            Effect::DropBefore => return Err(Dropped),
            Effect::DropAfter => disturbed.lose = true,
            Effect::Unavailable => {
                let text = "503 Service Unavailable (injected)\n";
                disturbed.answer = Some(http::plain(StatusCode::SERVICE_UNAVAILABLE, text));
                return Ok(disturbed);
            }
            Effect::ExpireSession => {
                if let Some(id) = session {
                    server.lock().sessions.close(id);
                }
            }
            Effect::Slow(time) => pause(server, time).await,
            other => disturbed.of_content.push(other),
        }
    }
    Ok(disturbed)
}

/// The object that a call is about: of a guest operation the machine.
fn concerned(call: &Call) -> Moref {
    call.arg("vm").unwrap_or_else(|_| call.this.clone())
}

/// Carries a call out, to its end even when the client goes away meanwhile: half an operation would be left. What only
/// waits ends with the client.
async fn carry_out(server: &Arc<Server>, call: Call) -> Answer<Reply> {
    if matches!(call.method.as_str(), "WaitForUpdatesEx" | "WaitForUpdates") {
        return in_session(server, call).await;
    }
    let own = server.clone();
    let done = server.background.spawn(async move { in_session(&own, call).await });
    done.await.unwrap_or_else(|_| Err(faults::system_error("the sandbox has failed in this call")))
}

/// Runs a call as one of its session, which doesn't expire meanwhile.
async fn in_session(server: &Arc<Server>, mut call: Call) -> Answer<Reply> {
    if let Some(id) = &call.session
        && !server.lock().sessions.enter(id)
    {
        call.session = None;
    }
    let _entered = call.session.clone().map(|id| Entered { server, id });
    methods::dispatch(server, call).await
}

/// A request of a session, while it lives: it may be dropped at any await, with its connection.
pub(super) struct Entered<'a> {
    pub server: &'a Server,
    pub id: SessionId,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.server.lock().sessions.leave(&self.id);
    }
}

pub(super) async fn pause(server: &Server, time: Duration) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = server.closing.cancelled() => {}
    }
}

fn fault_answer(fault: &Fault) -> Response<Body> {
    let document = fault_document(fault).or_else(|_| fault_document(&faults::system_error("an unwritable fault")));
    http::answer(StatusCode::INTERNAL_SERVER_ERROR, "text/xml; charset=utf-8", document.unwrap_or_default())
}

/// The session of the cookie, quoted or not.
fn cookie(headers: &HeaderMap) -> Option<SessionId> {
    let all = headers.get_all(COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
    let value = all.filter_map(|pair| pair.trim().strip_prefix("vmware_soap_session=")).next()?;
    Some(value.trim_matches('"').to_owned())
}

/// The host of a `Host` header, without its port.
fn host_of(header: &str) -> String {
    let end = match header.rfind(']') {
        Some(bracket) => bracket + 1,
        None => header.find(':').unwrap_or(header.len()),
    };
    header.get(..end).unwrap_or_default().to_owned()
}
