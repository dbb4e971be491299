//! What can go wrong, classified: for the exit code and for the next step. [`Error::diagnostic`] makes the message.

use std::time::Duration;

use thiserror::Error as ThisError;

use crate::diagnostic::text;
use crate::vsphere::wire::{Fault, Moref};

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a connection was not made, or broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectKind {
    /// The host name has no address.
    Dns,
    /// Nothing listens there.
    Refused,
    /// No way to that host.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The connection broke. Whether the call was carried out says [`Error::lost_reply`].
    Closed,
    /// Something else.
    Other,
}

/// Why a server's certificate was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsKind {
    /// Issued by nobody who is trusted.
    UnknownAuthority,
    /// For another host name.
    NameMismatch,
    /// Expired, or not valid yet.
    Expired,
    /// Not the one whose thumbprint was given.
    ThumbprintMismatch,
    /// Not TLS, or no common version or cipher, or broken otherwise.
    Other,
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A setting can't be used: exit code 2.
    Usage,
    /// Can't connect, log in, or verify TLS: exit code 3.
    Connection,
    /// A guest operation failed.
    Guest,
    /// A vSphere operation failed: exit code 5.
    Operation,
    /// A deadline passed: exit code 6.
    Deadline,
    /// Cancelled on the server: exit code 5.
    Cancelled,
}

/// What a failed guest operation means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestFault {
    /// The agent doesn't answer: Tools not running, or the machine restarts. Worth repeating to the deadline.
    Unavailable,
    /// The guest refused user and password. Worth repeating just after a boot only.
    Login,
    /// The guest's user lacks a right.
    Denied,
    /// Machine or Tools are busy. Worth repeating with a pause; [`super::Guest`] does.
    Busy,
    /// Not powered on.
    PowerState,
    /// No such file.
    FileNotFound,
    /// There is such a file already.
    FileExists,
    /// A file can't be used.
    File,
    /// An argument was refused.
    Argument,
    /// No such process (any more).
    ProcessGone,
    /// Switched off in the guest's Tools configuration.
    Disabled,
    /// Not supported by the guest or its Tools.
    Unsupported,
    /// Something else.
    Other,
}

/// Anything that a call can fail with.
#[derive(Clone, Debug, ThisError)]
pub enum Error {
    /// A URL or setting can't be used.
    #[error("{0}")]
    Usage(String),
    /// The server has nothing that could do it, or not for that object; nothing was asked of it.
    #[error("{0}")]
    Unsupported(String),
    /// No connection, or it broke.
    #[error("can't reach {address}: {detail}")]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        kind: ConnectKind,
        /// The system's words.
        detail: String,
        /// Whether the server may have carried the call out.
        lost_reply: bool,
    },
    /// The server's certificate was not accepted.
    #[error("can't verify the certificate of {address}: {detail}")]
    Tls {
        /// Host and port.
        address: String,
        /// Why.
        kind: TlsKind,
        /// SHA-256 of the presented certificate, where one was presented.
        presented: Option<String>,
        /// Details.
        detail: String,
    },
    /// The server, or a proxy before it, can't serve at present.
    #[error("{address} can't answer {call} at present: HTTP {status}")]
    Unavailable {
        /// Host and port.
        address: String,
        /// What was asked.
        call: String,
        /// 502, 503 or 504.
        status: u16,
        /// What else it said.
        detail: String,
    },
    /// The server refused user and password.
    #[error("{address} refused the login of `{user}`: {fault}")]
    Login {
        /// The server.
        address: String,
        /// Who tried.
        user: String,
        /// Its reason.
        fault: Box<Fault>,
    },
    /// The answer makes no sense: not a vSphere server, a proxy in between, or a reply cut short.
    #[error("{address} gave an answer to {call} that can't be used: {detail}")]
    Protocol {
        /// The server.
        address: String,
        /// What was asked.
        call: String,
        /// What is wrong with it.
        detail: String,
        /// The beginning of the reply, printable.
        excerpt: String,
        /// Whether the server may have carried the call out.
        lost_reply: bool,
    },
    /// A method failed.
    #[error("{call} on {object} failed: {fault}")]
    Fault {
        /// The method.
        call: String,
        /// The object that it was called on.
        object: Moref,
        /// Why.
        fault: Box<Fault>,
    },
    /// A task failed.
    #[error("can't {what}: {fault}")]
    Task {
        /// The operation, as in "can't …".
        what: String,
        /// Why.
        fault: Box<Fault>,
    },
    /// The REST API refused something.
    #[error("can't {what}: {}", rest_words(kind, messages))]
    Rest {
        /// The operation, as in "can't …".
        what: String,
        /// What kind of error it is: `not_found`.
        kind: String,
        /// The server's words.
        messages: Vec<String>,
    },
    /// A guest operation failed.
    #[error("can't {what} in the guest: {fault}")]
    Guest {
        /// The operation, as in "can't …": "start /bin/sh".
        what: String,
        /// The guest's user.
        user: String,
        /// What it means.
        kind: GuestFault,
        /// Why.
        fault: Box<Fault>,
    },
    /// A file transfer failed.
    #[error("can't transfer {path} of the guest through {address}: {detail}")]
    Transfer {
        /// The host that the transfer goes to: on a vCenter the ESXi host.
        address: String,
        /// The file in the guest.
        path: String,
        /// What happened.
        detail: String,
        /// The connection's error, if it failed as such.
        connection: Option<Box<Error>>,
    },
    /// What takes as long as it takes has got no further.
    #[error("{what} got no further for {}", text::limit(*silence))]
    Stalled {
        /// What, and where it stands.
        what: String,
        /// How long was waited for more.
        silence: Duration,
    },
    /// A file of a lease could not be sent or fetched.
    #[error("can't transfer the disk {path} through {address}: {detail}")]
    Disk {
        /// The host that it goes to: on a vCenter the ESXi host.
        address: String,
        /// The file.
        path: String,
        /// What happened.
        detail: String,
        /// The connection's error, if it failed as such.
        connection: Option<Box<Error>>,
    },
    /// A file on a web server could not be fetched.
    #[error("can't fetch {url}: {detail}")]
    Web {
        /// Where it is, without a query.
        url: String,
        /// What happened.
        detail: String,
        /// What HTTP calls it, if the server has answered so.
        status: Option<u16>,
        /// The connection's error, if it failed as such.
        connection: Option<Box<Error>>,
    },
    /// A deadline passed.
    #[error("{what} took longer than {}", text::limit(*allowed))]
    Timeout {
        /// What was awaited.
        what: String,
        /// How long was allowed.
        allowed: Duration,
    },
    /// No object of that name.
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// "datastore" and others.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// Paths of objects of that kind: those with near names, else the first ones.
        near: Vec<String>,
        /// How many others there are where no name is near.
        more: usize,
    },
    /// It is there, and nothing of it can be used.
    #[error("no machine can be put on the {kind} `{name}`")]
    Unusable {
        /// "datastore cluster".
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What is in the way of each of its members; none: it has no members.
        why: Vec<String>,
    },
    /// Several objects fit.
    #[error("{}", ambiguous(kind, name, candidates))]
    Ambiguous {
        /// "datastore" and others.
        kind: &'static str,
        /// What was asked for; empty when nothing was and there is more than one.
        name: String,
        /// Their paths.
        candidates: Vec<String>,
    },
    /// A virtual machine waits for an answer.
    #[error("the virtual machine {vm} waits for an answer: {text}")]
    Question {
        /// The machine.
        vm: Moref,
        /// The question.
        text: String,
        /// The answers that it allows: key and label.
        choices: Vec<(String, String)>,
    },
}

fn ambiguous(kind: &str, name: &str, candidates: &[String]) -> String {
    match name {
        "" => format!("there is more than one {kind}, and none was chosen: {}", candidates.join(", ")),
        name => format!("{kind} `{name}` can be any of {}", candidates.join(", ")),
    }
}

fn rest_words(kind: &str, messages: &[String]) -> String {
    match messages {
        [] => kind.replace('_', " "),
        messages => messages.join(" — "),
    }
}

impl Error {
    /// What to do about it.
    pub fn class(&self) -> Class {
        match self {
            Error::Usage(_) => Class::Usage,
            Error::Connect { .. }
            | Error::Tls { .. }
            | Error::Unavailable { .. }
            | Error::Login { .. }
            | Error::Protocol { .. } => Class::Connection,
            Error::Fault { fault, .. } if fault.is_a("NotAuthenticated") => Class::Connection,
            Error::Fault { fault, .. } | Error::Task { fault, .. } if fault.is_a("RequestCanceled") => Class::Cancelled,
            Error::Guest { .. } | Error::Transfer { .. } => Class::Guest,
            Error::Timeout { .. } | Error::Stalled { .. } => Class::Deadline,
            Error::Rest { kind, .. } if kind == "unauthenticated" => Class::Connection,
            Error::Rest { .. }
            | Error::Unsupported(_)
            | Error::Fault { .. }
            | Error::Task { .. }
            | Error::Disk { .. }
            | Error::Web { .. }
            | Error::NotFound { .. }
            | Error::Ambiguous { .. }
            | Error::Unusable { .. }
            | Error::Question { .. } => Class::Operation,
        }
    }

    /// The fault behind it.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Error::Login { fault, .. }
            | Error::Fault { fault, .. }
            | Error::Task { fault, .. }
            | Error::Guest { fault, .. } => Some(fault),
            _ => None,
        }
    }

    /// Whether the fault behind it is of that type or one derived from it.
    pub fn is_fault(&self, kind: &str) -> bool {
        self.fault().is_some_and(|f| f.is_a(kind))
    }

    /// Whether the REST API refused it for that reason: `already_exists`.
    pub fn is_rest(&self, reason: &str) -> bool {
        matches!(self, Error::Rest { kind, .. } if kind == reason)
    }

    /// Whether the call may have been carried out although it failed here: the reply was lost or unusable, or its
    /// deadline passed meanwhile. Look for the result before trying again.
    pub fn lost_reply(&self) -> bool {
        match self {
            Error::Connect { lost_reply, .. } | Error::Protocol { lost_reply, .. } => *lost_reply,
            Error::Unavailable { .. } | Error::Timeout { .. } | Error::Stalled { .. } => true,
            _ => false,
        }
    }

    /// What it means for a guest operation; none when it isn't the guest's failure.
    pub fn guest_fault(&self) -> Option<GuestFault> {
        match self {
            Error::Guest { kind, .. } => Some(*kind),
            _ => None,
        }
    }
}

impl GuestFault {
    /// What a fault means when a guest operation ends in it; none where it is the server that refuses (a missing
    /// privilege, a licence).
    pub fn of(fault: &Fault) -> Option<Self> {
        let codes = |code: &str| {
            let reason = fault.field("reason").into_iter();
            fault.is_a("SystemError") && reason.chain(fault.messages()).any(|text| text.contains(code))
        };
        // Derived types stand before their bases.
        let by_type = [
            ("NoPermission", None),
            ("SecurityError", None),
            ("ManagedObjectNotFound", None),
            ("GuestOperationsUnavailable", Some(GuestFault::Unavailable)),
            ("ToolsUnavailable", Some(GuestFault::Unavailable)),
            ("InvalidGuestLogin", Some(GuestFault::Login)),
            ("GuestPermissionDenied", Some(GuestFault::Denied)),
            ("GuestProcessNotFound", Some(GuestFault::ProcessGone)),
            ("OperationDisabledByGuest", Some(GuestFault::Disabled)),
            ("OperationNotSupportedByGuest", Some(GuestFault::Unsupported)),
            ("GuestComponentsOutOfDate", Some(GuestFault::Unsupported)),
            ("NotSupported", Some(GuestFault::Unsupported)),
            ("MethodNotFound", Some(GuestFault::Unsupported)),
            ("TooManyGuestLogons", Some(GuestFault::Busy)),
            ("InvalidPowerState", Some(GuestFault::PowerState)),
            ("QuestionPending", Some(GuestFault::Other)),
            ("InvalidState", Some(GuestFault::Busy)),
            ("TaskInProgress", Some(GuestFault::Busy)),
            ("ConcurrentAccess", Some(GuestFault::Busy)),
            ("FileNotFound", Some(GuestFault::FileNotFound)),
            ("FileAlreadyExists", Some(GuestFault::FileExists)),
            ("FileFault", Some(GuestFault::File)),
            ("InvalidArgument", Some(GuestFault::Argument)),
        ];
        if codes("(3016,") {
            return Some(GuestFault::Unavailable);
        }
        if codes("(5,") {
            return Some(GuestFault::Busy);
        }
        by_type.into_iter().find(|(kind, _)| fault.is_a(kind)).map_or(Some(GuestFault::Other), |(_, meaning)| meaning)
    }
}
