//! What can go wrong, classified: for the exit code, for the next step, and for the message.

use std::time::Duration;

use thiserror::Error as ThisError;

use crate::diagnostic::Diagnostic;
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
    /// The connection broke before anything was sent, or the reply was lost (see [`Error::lost_reply`]).
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
    /// Can't connect, log in, or verify TLS: exit code 3.
    Connection,
    /// A guest operation failed.
    Guest,
    /// A vSphere operation failed: exit code 5.
    Operation,
    /// A deadline passed: exit code 6.
    Deadline,
    /// Cancelled by us: exit code 130.
    Interrupted,
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
    #[error("{call} on {object}: {fault}")]
    Fault {
        /// The method.
        call: String,
        /// The object that it was called on.
        object: Moref,
        /// Why.
        fault: Box<Fault>,
    },
    /// A task failed.
    #[error("{what} failed: {fault}")]
    Task {
        /// The operation.
        what: String,
        /// Why.
        fault: Box<Fault>,
    },
    /// A deadline passed.
    #[error("{what} took longer than {} s", allowed.as_secs_f32())]
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
        /// Paths of objects of that kind with near names, or of all when they are few.
        near: Vec<String>,
    },
    /// Several objects fit.
    #[error("{kind} `{name}` can be any of {}", candidates.join(", "))]
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
    /// A file transfer failed.
    #[error("transfer of {path} with {address}: {detail}")]
    Transfer {
        /// The host that the transfer goes to: on a vCenter the ESXi host.
        address: String,
        /// The file in the guest.
        path: String,
        /// HTTP status, if it came so far.
        status: Option<u16>,
        /// What happened.
        detail: String,
    },
}

impl Error {
    /// What to do about it.
    pub fn class(&self) -> Class {
        unimplemented!()
    }

    /// The fault behind it.
    pub fn fault(&self) -> Option<&Fault> {
        unimplemented!()
    }

    /// Whether the fault behind it is of that type or one derived from it.
    pub fn is_fault(&self, kind: &str) -> bool {
        self.fault().is_some_and(|f| f.is_a(kind))
    }

    /// Whether the call may have been carried out although it failed here.
    pub fn lost_reply(&self) -> bool {
        unimplemented!()
    }

    /// What it means for a guest operation; none when no guest operation failed.
    pub fn guest_fault(&self) -> Option<GuestFault> {
        unimplemented!()
    }

    /// As a diagnostic without a place, with its code, notes and the next step.
    pub fn diagnostic(&self) -> Diagnostic {
        unimplemented!()
    }
}
