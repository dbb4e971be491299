//! What vSphere serves by its REST API alone (vAPI): tags, content libraries. A session of its own, opened by the first
//! call with the same credentials, and ended by [`Client::logout`].
//!
//! The classic endpoints below `/rest` are used, which every vCenter from 6.5 on has.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method as Verb, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use url::form_urlencoded;

use super::endpoint::Deadline;
use super::error::{Error, Result};
use super::http::Answer;
use super::session::{CALL, Client, Inner, PAUSES, worth_repeating};
use crate::vsphere::wire::Fault;

mod library;
mod tags;

pub use library::{ItemProperty, Libraries, Library, LibraryItem, NewItem, OvfChoices, OvfChosen};
pub(super) use tags::missing;
pub use tags::{Category, Tag, Tagging};

/// Where the session is opened and ended.
const SESSION: &str = "/com/vmware/cis/session";
/// What holds the session's id.
const HEADER: &str = "vmware-api-session-id";
/// Largest answer.
const ANSWER: usize = 64 << 20;

/// The session; none before the first call.
#[derive(Default)]
pub(super) struct Session(tokio::sync::Mutex<Option<String>>);

/// A request.
pub(super) struct Ask {
    /// In a few words, for messages: "read the tags".
    what: String,
    verb: Verb,
    /// Below `/rest`.
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    /// Whether it may be sent again when its reply is lost.
    safe: bool,
    /// How long its answer may take.
    limit: Duration,
}

impl Ask {
    /// Reads something.
    pub fn get(what: impl Into<String>, path: impl Into<String>) -> Self {
        Ask {
            what: what.into(),
            verb: Verb::GET,
            path: path.into(),
            query: Vec::new(),
            body: None,
            safe: true,
            limit: CALL,
        }
    }

    /// Removes something.
    pub fn delete(what: impl Into<String>, path: impl Into<String>) -> Self {
        Ask { verb: Verb::DELETE, ..Ask::get(what, path) }
    }

    /// Does something, or reads with a body.
    pub fn post(what: impl Into<String>, path: impl Into<String>, body: Value) -> Self {
        Ask { verb: Verb::POST, body: Some(body), safe: false, ..Ask::get(what, path) }
    }

    /// Changes something. The same change twice is one.
    pub fn patch(what: impl Into<String>, path: impl Into<String>, body: Value) -> Self {
        Ask { verb: Verb::PATCH, body: Some(body), ..Ask::get(what, path) }
    }

    /// `~action=`.
    pub fn action(self, action: &str) -> Self {
        self.with("~action", action)
    }

    /// A parameter.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// It changes nothing, or the same whenever it is sent.
    pub fn again(self) -> Self {
        Ask { safe: true, ..self }
    }

    /// It may take that long, as what carries a machine's disks does.
    pub fn within(self, limit: Duration) -> Self {
        Ask { limit: limit.min(library::LONGEST), ..self }
    }

    /// What it is counted and recorded as.
    fn name(&self) -> String {
        let action = self.query.iter().find(|(name, _)| *name == "~action").map(|(_, action)| format!("?{action}"));
        let path = self.path.split('/').filter(|part| !part.starts_with("id:")).collect::<Vec<_>>().join("/");
        let path = path.trim_start_matches("/com/vmware").trim_start_matches('/');
        format!("{} {path}{}", self.verb, action.unwrap_or_default())
    }
}

impl Client {
    /// Sends a request, in a session that is opened where there is none or it has expired.
    pub(super) async fn rest<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T> {
        let answer = self.inner.rest(ask).await?;
        // An answer without a body has no value either.
        let value = match answer.body.as_ref() {
            [] => Value::Null,
            body => {
                let mut whole: Value =
                    serde_json::from_slice(body).map_err(|e| self.inner.unusable(ask, &answer, &e.to_string()))?;
                whole.get_mut("value").map(Value::take).unwrap_or_default()
            }
        };
        serde_json::from_value(value).map_err(|e| self.inner.unusable(ask, &answer, &e.to_string()))
    }

    /// Ends the session, if there is one.
    pub(super) async fn rest_logout(&self, limit: Duration) {
        let Some(id) = self.inner.rest.0.lock().await.take() else { return };
        let ask = Ask::delete("log out", SESSION);
        let ending = async { self.inner.rest_once(&ask, Some(&id)).await.map(drop) };
        // It ends by itself where this fails.
        let _ = Deadline::after(limit).limit("logging out", ending).await;
    }
}

impl Inner {
    async fn rest(&self, ask: &Ask) -> Result<Answer> {
        let id = self.rest_session(None).await?;
        match self.rest_try(ask, &id).await {
            Err(Error::Rest { kind, .. }) if kind == "unauthenticated" => {
                let id = self.rest_session(Some(&id)).await?;
                self.rest_try(ask, &id).await
            }
            other => other,
        }
    }

    /// The session's id; a new one's where there is none, or the one that there is has `expired`.
    async fn rest_session(&self, expired: Option<&str>) -> Result<String> {
        let mut held = self.rest.0.lock().await;
        if let Some(id) = held.as_ref().filter(|id| expired != Some(id.as_str())) {
            return Ok(id.clone());
        }
        *held = None;
        let ask = Ask { verb: Verb::POST, safe: true, ..Ask::get("log in", SESSION) };
        let answer = match self.rest_try(&ask, "").await {
            Ok(answer) => answer,
            Err(Error::Rest { kind, messages, .. }) if matches!(kind.as_str(), "unauthenticated" | "unauthorized") => {
                let fault = Box::new(Fault::new(kind, messages.join(" — ")));
                let (address, user) = (self.http.address.clone(), self.endpoint.username.clone());
                return Err(Error::Login { address, user, fault });
            }
            Err(other) => return Err(other),
        };
        let value: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let id = value.as_ref().and_then(|v| v.get("value")).and_then(Value::as_str);
        let id = id.ok_or_else(|| self.unusable(&ask, &answer, "there is no session in it"))?;
        *held = Some(id.to_owned());
        Ok(id.to_owned())
    }

    /// Sends a request, again after a pause where that does no harm. Without a session it logs in.
    async fn rest_try(&self, ask: &Ask, id: &str) -> Result<Answer> {
        let mut pauses = PAUSES.iter();
        loop {
            let error = match self.rest_once(ask, Some(id).filter(|id| !id.is_empty())).await {
                Err(error) => error,
                done => return done,
            };
            match pauses.next() {
                Some(pause) if worth_repeating(&error, ask.safe) => tokio::time::sleep(*pause).await,
                _ => return Err(error),
            }
        }
    }

    async fn rest_once(&self, ask: &Ask, id: Option<&str>) -> Result<Answer> {
        let mut url = self.endpoint.url.clone();
        url.set_path(&format!("/rest{}", ask.path));
        if !ask.query.is_empty() {
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&ask.query).finish();
            // `~action` as everybody writes it: not every server behind the proxy need decode a name.
            url.set_query(Some(&query.replace("%7E", "~")));
        }
        let body = ask.body.as_ref().map(|body| Bytes::from(body.to_string()));
        let mut request = self.http.client().request(ask.verb.clone(), url).header(ACCEPT, "application/json");
        request = request.timeout(ask.limit);
        request = match id {
            Some(id) => request.header(HEADER, id),
            None => request.basic_auth(&self.endpoint.username, Some(&self.endpoint.password)),
        };
        if let Some(body) = &body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let name = ask.name();
        self.count(&name);
        let began = Instant::now();
        let answer = self.http.exchange(&name, request, ANSWER).await;
        // The answer to a login is a secret.
        let heard = |a: &Answer| if ask.path == SESSION { Bytes::new() } else { a.body.clone() };
        let heard = answer.as_ref().ok().map(|a| (a.status, heard(a)));
        self.record(&name, body.as_deref().unwrap_or_default(), began, heard.as_ref().map(|(s, b)| (*s, b.as_ref())));
        let answer = answer?;
        if answer.status.is_success() { Ok(answer) } else { Err(self.rest_refused(ask, &answer)) }
    }

    /// What an answer means that isn't a success.
    fn rest_refused(&self, ask: &Ask, answer: &Answer) -> Error {
        let said: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        // `/rest` says `type` and `value`, and what is shared with `/api` says `error_type`.
        let told = said.as_ref().map(|said| {
            let kind = text(said.get("type")).rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
            let kind = if kind.is_empty() { text(said.get("error_type")).to_ascii_lowercase() } else { kind };
            let messages = said.get("value").unwrap_or(said).get("messages").and_then(Value::as_array);
            let messages = messages.into_iter().flatten().map(|m| text(m.get("default_message")));
            (kind, messages.filter(|m| !m.is_empty()).collect::<Vec<_>>())
        });
        let by_status = match answer.status {
            StatusCode::UNAUTHORIZED => "unauthenticated",
            StatusCode::FORBIDDEN => "unauthorized",
            StatusCode::NOT_FOUND => "not_found",
            _ => "",
        };
        match told {
            Some((kind, messages)) if !kind.is_empty() && !matches!(answer.status.as_u16(), 502 | 504) => {
                Error::Rest { what: ask.what.clone(), kind, messages }
            }
            _ if matches!(answer.status.as_u16(), 502..=504) => self.refused(&ask.name(), answer),
            _ if ask.path == SESSION && by_status == "not_found" => {
                Error::Rest { what: ask.what.clone(), kind: "no_such_service".to_owned(), messages: Vec::new() }
            }
            _ if !by_status.is_empty() => {
                Error::Rest { what: ask.what.clone(), kind: by_status.to_owned(), messages: Vec::new() }
            }
            _ => self.unusable(ask, answer, &format!("HTTP status {}", answer.status)),
        }
    }

    fn unusable(&self, ask: &Ask, answer: &Answer, detail: &str) -> Error {
        self.protocol(&ask.name(), detail, &answer.body, !ask.safe)
    }
}
