//! The REST API below `/rest`: what is no part of SOAP. A session of it is a session like any other, whose id goes in a
//! header instead of a cookie.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap, USER_AGENT};
use hyper::{Method as Verb, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::faults::Answer as SoapAnswer;
use super::http::{self, Answered, Dropped, Request};
use super::plan::Effect;
use super::server::{Disturbed, Entered, Server, disturb};
use super::session::{Caller, SessionId};

mod library;
mod tagging;

pub(super) use library::{Facts, Holds, Item, Library};
pub(super) use tagging::Tags;

/// Largest request.
const REQUEST: usize = 4 << 20;
const HEADER: &str = "vmware-api-session-id";
const SESSION: &str = "com/vmware/cis/session";

/// Why something is refused.
pub(super) struct Refusal {
    status: StatusCode,
    /// The last part of `com.vmware.vapi.std.errors.not_found`.
    kind: &'static str,
    message: String,
}

pub(super) type Answer<T> = Result<T, Refusal>;

/// A request.
pub(super) struct Call {
    verb: Verb,
    /// Below `/rest/`.
    path: String,
    action: Option<String>,
    query: Vec<(String, String)>,
    body: Value,
}

impl Refusal {
    pub fn not_found(what: &str) -> Self {
        let message = format!("there is no {what}");
        Refusal { status: StatusCode::NOT_FOUND, kind: "not_found", message }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Refusal { status: StatusCode::BAD_REQUEST, kind: "invalid_argument", message: message.into() }
    }

    pub fn exists(what: &str) -> Self {
        let message = format!("there is {what} already");
        Refusal { status: StatusCode::BAD_REQUEST, kind: "already_exists", message }
    }

    fn unauthenticated() -> Self {
        let message = "log in first".to_owned();
        Refusal { status: StatusCode::UNAUTHORIZED, kind: "unauthenticated", message }
    }

    fn answer(&self) -> hyper::Response<http::Body> {
        let body = json!({
            "type": format!("com.vmware.vapi.std.errors.{}", self.kind),
            "value": { "messages": [{ "id": "sandbox", "default_message": self.message, "args": [] }] },
        });
        http::answer(self.status, "application/json", body.to_string())
    }
}

impl Call {
    /// The body, or a part of it.
    pub fn read<T: DeserializeOwned>(&self, part: &str) -> Answer<T> {
        let value = if part.is_empty() { Some(&self.body) } else { self.body.get(part) };
        serde_json::from_value(value.cloned().unwrap_or_default())
            .map_err(|e| Refusal::invalid(format!("the request can't be read: {part} {e}")))
    }

    /// A parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Its parts, an id as `None`, and the id.
    fn route(&self) -> (String, Option<String>) {
        match self.path.rsplit_once("/id:") {
            Some((path, id)) => (path.to_owned(), Some(id.to_owned())),
            None => (self.path.clone(), None),
        }
    }

    /// What it is counted as, and struck by.
    fn name(&self) -> String {
        let (path, _) = self.route();
        let noun = path.rsplit('/').next().unwrap_or_default();
        let action = self.action.as_ref().map(|action| format!("?{action}")).unwrap_or_default();
        format!("{} {noun}{action}", self.verb)
    }
}

/// An answer that holds a value.
pub(super) fn value<T: Serialize>(value: T) -> Answer<Value> {
    serde_json::to_value(value).map_err(|e| Refusal::invalid(e.to_string()))
}

/// Answers a request.
pub(super) async fn handle(server: Arc<Server>, request: Request, peer: SocketAddr) -> Answered {
    let path = percent_encoding::percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    let path = path.trim_start_matches("/rest/").trim_end_matches('/').to_owned();
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let query: Vec<(String, String)> = url::form_urlencoded::parse(query).into_owned().collect();
    let action = query.iter().find(|(name, _)| matches!(name.as_str(), "~action" | "action")).map(|(_, v)| v.clone());
    let (verb, headers) = (request.method().clone(), request.headers().clone());
    let content = match http::read(request, REQUEST, server.config.patience).await {
        Ok(content) => content,
        Err(refused) => return Ok(refused),
    };
    let body = match content.as_ref() {
        [] => Value::Null,
        content => match serde_json::from_slice(content) {
            Ok(body) => body,
            Err(e) => return Ok(Refusal::invalid(format!("the request is no JSON: {e}")).answer()),
        },
    };
    let call = Call { verb, path, action, query, body };
    let name = call.name();
    server.count(&name);
    let session = header(&headers, HEADER);
    let Disturbed { lose, answer, of_content } = disturb(&server, &name, session.as_ref()).await?;
    if let Some(answer) = answer {
        return Ok(answer);
    }
    // The others are of SOAP's calls and their tasks.
    if of_content.iter().any(|effect| matches!(effect, Effect::NoPermission)) {
        let message = "the account lacks a privilege (injected)".to_owned();
        let refusal = Refusal { status: StatusCode::FORBIDDEN, kind: "unauthorized", message };
        return Ok(refusal.answer());
    }
    let caller = || Caller {
        user: String::new(),
        address: peer.ip().to_string(),
        agent: header(&headers, USER_AGENT.as_str()).unwrap_or_default(),
    };
    let outcome = match (&call.verb, call.path.as_str()) {
        (&Verb::POST, SESSION) if call.action.is_none() => log_in(&server, &headers, caller()),
        _ => carry_out(&server, call, session).await,
    };
    if lose {
        return Err(Dropped);
    }
    Ok(match outcome {
        Ok(Value::Null) => http::answer(StatusCode::OK, "application/json", ""),
        Ok(value) => http::answer(StatusCode::OK, "application/json", json!({ "value": value }).to_string()),
        Err(refusal) => refusal.answer(),
    })
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
}

/// Opens a session for user and password of HTTP's basic authentication.
fn log_in(server: &Server, headers: &HeaderMap, caller: Caller) -> Answer<Value> {
    let given = header(headers, AUTHORIZATION.as_str()).unwrap_or_default();
    let given = given.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text.trim()).ok());
    let given = given.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let (user, password) = given.split_once(':').unwrap_or_default();
    let opened: SoapAnswer<SessionId> = server.open_session(user, password, caller);
    opened.map_err(|_| Refusal::unauthenticated()).and_then(value)
}

/// Carries a call out, to its end even when the client goes away meanwhile: half an operation would be left.
async fn carry_out(server: &Arc<Server>, call: Call, session: Option<SessionId>) -> Answer<Value> {
    let own = server.clone();
    let done = server.background.spawn(async move { in_session(&own, &call, session).await });
    done.await.unwrap_or_else(|_| Err(Refusal::invalid("the sandbox has failed in this call")))
}

async fn in_session(server: &Arc<Server>, call: &Call, session: Option<SessionId>) -> Answer<Value> {
    let id = session.ok_or_else(Refusal::unauthenticated)?;
    if !server.lock().sessions.enter(&id) {
        return Err(Refusal::unauthenticated());
    }
    let _entered = Entered { server, id: id.clone() };
    let (path, of) = call.route();
    match (&call.verb, path.as_str()) {
        (&Verb::DELETE, SESSION) => {
            server.lock().sessions.close(&id);
            Ok(Value::Null)
        }
        (_, SESSION) => value(json!({})),
        (_, path) if path.starts_with("com/vmware/cis/tagging/") => tagging::answer(server, call, path, of.as_deref()),
        (_, path) => library::answer(server, call, path, of.as_deref()).await,
    }
}
