//! What can go wrong with guests.

use std::fmt;

/// Shorthand for results of this module.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a request about guests failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum Error {
    /// This system has no Linux namespaces.
    #[error("guests need Linux: this system has no namespaces to run them in")]
    NeedsLinux,
    /// The host refuses what guests are made of.
    #[error("guests can't be started: {what}: {cause}\n{hint}")]
    Refused {
        /// The step that failed.
        what: String,
        /// What the kernel said.
        cause: String,
        /// Which setting to change, or what else to do.
        hint: String,
    },
    /// The guest has no account of that name.
    #[error("the guest has no account named `{0}` in its /etc/passwd")]
    NoSuchUser(String),
    /// A system call inside the guest failed; `errno` says how.
    #[error("{action}: {}", Errno(*.errno))]
    Os {
        /// What was tried, with the path.
        action: String,
        /// The error number of the host's C library (e.g. 2 is "no such file").
        errno: i32,
    },
    /// The guest isn't running (any more).
    #[error("the guest isn't running")]
    Gone,
    /// There is no layer, template or guest of that name or number.
    #[error("no such {0}")]
    NotFound(String),
    /// A layer is frozen, in use, or has children.
    #[error("{0}")]
    Busy(String),
    /// The warden has ended, and with it every guest.
    #[error("the process that keeps the guests has ended: {0}")]
    WardenEnded(String),
    /// A reply that makes no sense, or a failure of the store.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// The error number, when a system call inside a guest failed.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Os { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// The kind of I/O error, when a system call inside a guest failed.
    #[must_use]
    pub fn io_kind(&self) -> Option<std::io::ErrorKind> {
        self.errno().map(|errno| std::io::Error::from_raw_os_error(errno).kind())
    }
}

/// Shows an error number as the system's text, without Rust's "(os error 2)".
struct Errno(i32);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = std::io::Error::from_raw_os_error(self.0).to_string();
        f.write_str(text.split(" (os error").next().unwrap_or(&text))
    }
}
