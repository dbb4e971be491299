//! Sessions, and what belongs to one and dies with it: collectors, filters, views, pages.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::collector::Collector;
use super::faults::{Answer, not_authenticated, not_found};
use super::views::View;
use crate::vsphere::wire::{Moref, ObjectContent, UserSession};

/// What the cookie holds.
pub(super) type SessionId = String;

/// A client that has logged in.
#[derive(Debug)]
pub(super) struct Session {
    key: String,
    user: String,
    address: String,
    agent: String,
    login: String,
    active: String,
    last: Instant,
    in_flight: usize,
    calls: i64,
    pub collectors: HashMap<Moref, Collector>,
    pub views: HashMap<Moref, View>,
    /// What paged retrievals have still to hand out, by token.
    pub pages: HashMap<String, VecDeque<ObjectContent>>,
    /// Cancelled when the session ends.
    pub over: CancellationToken,
    next: u64,
}

/// Who logs in, and how.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    pub user: String,
    pub address: String,
    pub agent: String,
}

impl Session {
    fn new(caller: Caller, default_collector: Moref) -> Self {
        let now = super::now();
        Session {
            key: super::random_uuid(),
            user: caller.user,
            address: caller.address,
            agent: caller.agent,
            login: now.clone(),
            active: now,
            last: Instant::now(),
            in_flight: 0,
            calls: 0,
            collectors: HashMap::from([(default_collector, Collector::default())]),
            views: HashMap::new(),
            pages: HashMap::new(),
            over: CancellationToken::new(),
            next: 0,
        }
    }

    /// The session as clients see it. Its key is not the cookie.
    pub fn shown(&self) -> UserSession {
        UserSession {
            key: self.key.clone(),
            user_name: self.user.clone(),
            full_name: self.user.clone(),
            login_time: self.login.clone(),
            last_active_time: self.active.clone(),
            locale: "en".to_owned(),
            message_locale: "en".to_owned(),
            extension_session: Some(false),
            ip_address: Some(self.address.clone()),
            user_agent: Some(self.agent.clone()),
            call_count: Some(self.calls),
        }
    }

    /// A reference for something that belongs to the session.
    pub fn make(&mut self, kind: &str) -> Moref {
        self.next += 1;
        let uuid = super::random_uuid();
        Moref::new(kind, format!("session[{}]{uuid}-{}", self.key, self.next))
    }

    /// Whether something of the session's has that reference.
    pub fn owns(&self, object: &Moref) -> bool {
        self.collectors.contains_key(object)
            || self.views.contains_key(object)
            || self.collectors.values().any(|c| c.has_filter(object))
    }

    pub fn view(&self, object: &Moref) -> Option<&View> {
        self.views.get(object)
    }

    pub fn view_list(&self) -> Vec<Moref> {
        self.views.keys().cloned().collect()
    }

    pub fn filters_of(&self, collector: &Moref) -> Vec<Moref> {
        self.collectors.get(collector).map(Collector::filters).unwrap_or_default()
    }

    pub fn collector(&mut self, object: &Moref) -> Answer<&mut Collector> {
        self.collectors.get_mut(object).ok_or_else(|| not_found(object))
    }
}

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    open: HashMap<SessionId, Session>,
    idle: Duration,
}

impl Sessions {
    /// Sessions that end after being idle for that long.
    pub fn new(idle: Duration) -> Self {
        Sessions { open: HashMap::new(), idle }
    }

    pub fn get(&self, id: &SessionId) -> Option<&Session> {
        self.open.get(id)
    }

    pub fn all(&self) -> impl Iterator<Item = &Session> {
        self.open.values()
    }

    /// The session, or the fault that there is none.
    pub fn session(&mut self, id: Option<&SessionId>, object: &Moref) -> Answer<&mut Session> {
        id.and_then(|id| self.open.get_mut(id)).ok_or_else(|| not_authenticated(object))
    }

    /// Opens a session; the cookie's value.
    pub fn open(&mut self, caller: Caller, default_collector: Moref) -> SessionId {
        let id = super::random_hex(20);
        self.open.insert(id.clone(), Session::new(caller, default_collector));
        id
    }

    /// Ends a session.
    pub fn close(&mut self, id: &SessionId) -> Option<Session> {
        let session = self.open.remove(id)?;
        session.over.cancel();
        Some(session)
    }

    /// Ends all sessions.
    pub fn close_all(&mut self) {
        for (_, session) in self.open.drain() {
            session.over.cancel();
        }
    }

    /// Ends a session by the key that clients see.
    pub fn close_by_key(&mut self, key: &str) -> bool {
        let id = self.open.iter().find(|(_, s)| s.key == key).map(|(id, _)| id.clone());
        id.and_then(|id| self.close(&id)).is_some()
    }

    /// Whether a session of that key and user is open.
    pub fn is_active(&self, key: &str, user: &str) -> bool {
        self.open.values().any(|s| s.key == key && s.user == user)
    }

    /// A request of a session begins: whether the session is still open. Idle ones end here.
    pub fn enter(&mut self, id: &SessionId) -> bool {
        let idle = self.idle;
        let ended: Vec<SessionId> = self
            .open
            .iter()
            .filter(|(_, s)| s.in_flight == 0 && s.last.elapsed() > idle)
            .map(|(id, _)| id.clone())
            .collect();
        for id in ended {
            self.close(&id);
        }
        let Some(session) = self.open.get_mut(id) else { return false };
        session.in_flight += 1;
        session.calls += 1;
        session.last = Instant::now();
        session.active = super::now();
        true
    }

    /// A request of a session is over.
    pub fn leave(&mut self, id: &SessionId) {
        if let Some(session) = self.open.get_mut(id) {
            session.in_flight = session.in_flight.saturating_sub(1);
            session.last = Instant::now();
        }
    }
}
