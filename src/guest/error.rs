//! What can go wrong with a guest.

use std::time::Duration;

use thiserror::Error as ThisError;

use super::codes;
use super::noway::NoWay;
use crate::diagnostic::{Diagnostic, text};
use crate::vsphere::client;

/// The result of a guest operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Anything that a guest operation can fail with. A command that fails is no error: see
/// [`BatchOutcome`](super::BatchOutcome).
#[derive(Clone, Debug, ThisError)]
pub enum Error {
    /// The server refused, or can't be reached.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// A family of guests that can't be handled.
    #[error("the guest is {0}, and only guests with a POSIX shell are supported")]
    Family(String),
    /// The account is refused.
    #[error("the guest refuses user `{user}` and the password given")]
    Login {
        /// The account.
        user: String,
        /// How long it was tried.
        tried: Duration,
        /// The server's words.
        detail: String,
    },
    /// The account is refused, and was not before.
    #[error("the guest no longer lets user `{user}` in")]
    LockedOut {
        /// The account.
        user: String,
        /// The server's words.
        detail: String,
    },
    /// A batch of one account can't be gone on with by another.
    #[error("user `{user}` can't go on with what user `{before}` has begun in the guest")]
    OtherLogin {
        /// The account now.
        user: String,
        /// The account then.
        before: String,
    },
    /// The first program never reported.
    #[error("the guest took a command, but gave no sign of it within {}", text::limit(*waited))]
    Silent {
        /// How long was waited.
        waited: Duration,
    },
    /// No place to work in.
    #[error("user `{user}` can't make a private directory in the guest: {detail}")]
    NoWorkDir {
        /// The account.
        user: String,
        /// What was tried.
        detail: String,
    },
    /// The guest reports something that makes no sense.
    #[error("the guest's report can't be read: {0}")]
    Report(String),
    /// Something that a shell or an environment can't hold.
    #[error("{what} can't be given to the guest: {why}")]
    Unsendable {
        /// "the script of job 3", "variable `X`".
        what: String,
        /// Why not.
        why: String,
    },
    /// No way to become that user.
    #[error("user `{login}` can't run commands as `{user}`: {why}")]
    RunAs {
        /// The login.
        login: String,
        /// Whom it should be.
        user: String,
        /// Why not.
        why: NoWay,
        /// What the program said that was to do it.
        said: String,
    },
    /// Captured output is too large.
    #[error("the output to be captured is {size}, larger than {limit} bytes")]
    TooLarge {
        /// How large ("1234 bytes", "more than ...").
        size: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// What was to be copied or fetched can't be.
    #[error("can't copy `{path}`: {detail}")]
    Copy {
        /// The path, in the guest or here.
        path: String,
        /// Why.
        detail: String,
    },
    /// A transfer is needed and impossible.
    #[error("{what} needs a file transfer with the ESXi host, and that fails: {detail}")]
    NoTransfer {
        /// What is too large for the other way.
        what: String,
        /// Why the transfer fails.
        detail: String,
    },
    /// A file here can't be read or written.
    #[error("{path}: {detail}")]
    Local {
        /// The file.
        path: String,
        /// The system's words.
        detail: String,
    },
    /// Processes are left although they were killed.
    #[error("processes of the command are still there {} after SIGKILL", text::limit(*waited))]
    Unkillable {
        /// How long was waited.
        waited: Duration,
    },
    /// The guest didn't answer for longer than was allowed.
    #[error("the guest did not answer for {}: {detail}", text::limit(*waited))]
    Unavailable {
        /// How long.
        waited: Duration,
        /// The last answer.
        detail: String,
    },
}

impl Error {
    /// Whether the guest doesn't let the account in.
    pub fn is_login(&self) -> bool {
        match self {
            Error::Login { .. } | Error::LockedOut { .. } => true,
            Error::Client(error) => error.guest_fault() == Some(client::GuestFault::Login),
            _ => false,
        }
    }

    /// As a diagnostic without a place: message, cause, next step.
    pub fn diagnostic(&self) -> Diagnostic {
        let (code, help): (_, &str) = match self {
            Error::Client(error) => return error.diagnostic(),
            Error::Family(_) => (
                &codes::UNSUPPORTED_GUEST,
                "build on a template whose guest is Linux or another Unix; \
                 the machine's guest OS is what VMware Tools report, so look at its summary in vCenter",
            ),
            Error::Login { .. } => (
                &codes::GUEST_LOGIN,
                "check LOGIN: the user, its password, that its shell is a real one, that the account is not locked or \
                 expired, and the guest's /etc/pam.d/vmtoolsd",
            ),
            Error::LockedOut { user, detail } => {
                return Diagnostic::new(&codes::GUEST_LOGIN, self.to_string())
                    .help(format!(
                        "a step has changed its password, or locked or removed the account. Say a new password behind that \
                         step, `LOGIN {user} PASSWORD ${{{{ new_password }}}}` with a SECRET, so that it is known while the \
                         step runs; remove or lock an account from another one's LOGIN"
                    ))
                    .note(format!("the server says: {detail}"));
            }
            Error::OtherLogin { .. } => (&codes::OTHER_LOGIN, "log in as before, or begin the build anew"),
            Error::Silent { .. } => (
                &codes::GUEST_SILENT,
                "look whether /bin/sh works for that user in the guest, and whether /tmp is writable and not full",
            ),
            Error::NoWorkDir { .. } => (
                &codes::NO_WORK_DIRECTORY,
                "give the user a home directory that it can write to, or free space; a read-only root needs /var/lib writable",
            ),
            Error::Report(_) => (
                &codes::GUEST_REPORT,
                "something else writes to the work directory, or the guest's file system is damaged; run again with --on-error=keep and look",
            ),
            Error::Unsendable { .. } => (
                &codes::UNSENDABLE,
                "send it as a file with COPY, or encode it (`| base64`) and decode it in the guest",
            ),
            Error::RunAs { login, user, why, said } => {
                let mut diagnostic = Diagnostic::new(&codes::RUN_AS, self.to_string()).help(why.help(login, user));
                if !said.is_empty() {
                    diagnostic = diagnostic.note(format!("it said: {said}"));
                }
                return diagnostic;
            }
            Error::TooLarge { .. } => {
                (&codes::CAPTURE_TOO_LARGE, "print less (head, cut, grep), or bring the file over with FETCH")
            }
            Error::Copy { .. } => (&codes::COPY_FAILED, "check the path, its owner, and the space that is left"),
            Error::NoTransfer { .. } => (
                &codes::NO_TRANSFER,
                "open TCP 443 from here to the ESXi host that runs the machine, or keep data small enough for --guest-channel=vcenter",
            ),
            Error::Local { .. } => (&codes::LOCAL_FILE, "check the path and its permissions"),
            Error::Unkillable { .. } => (
                &codes::UNKILLABLE,
                "such processes wait in the kernel, often for storage or a network file system; restart the machine",
            ),
            Error::Unavailable { .. } => (
                &codes::GUEST_UNAVAILABLE,
                "look whether the guest hangs or restarts, and whether VMware Tools run in it",
            ),
        };
        let mut diagnostic = Diagnostic::new(code, self.to_string()).help(help);
        if let Error::Login { detail, tried, .. } = self {
            diagnostic = diagnostic.note(format!("the server says: {detail}"));
            if !tried.is_zero() {
                diagnostic =
                    diagnostic.note(format!("tried for {}, since the guest had just booted", text::limit(*tried)));
            }
        }
        diagnostic
    }
}
