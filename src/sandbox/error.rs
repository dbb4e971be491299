//! Why a sandbox can't be started.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{codes, guests};
use crate::diagnostic::Diagnostic;

/// Why a sandbox can't be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its address can't be listened at.
    #[error("can't listen at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// No certificate can be made.
    #[error("can't make a certificate: {0}")]
    Certificate(String),
    /// Guests can't run here.
    #[error(transparent)]
    Guests(#[from] guests::Error),
    /// A template can't be used.
    #[error("the sandbox's template `{name}` can't be used: {source}")]
    Template {
        /// Its name.
        name: String,
        /// Why.
        source: guests::Error,
    },
    /// What was kept can't be read, or nothing can be kept.
    #[error("the sandbox's state in {} can't be used: {why}", path.display())]
    State {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl Error {
    /// The message for users, with what to do.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            Error::Listen { .. } => Diagnostic::new(&codes::SANDBOX_ADDRESS, self.to_string())
                .help("give another address by `--listen`, or end the program that uses this one"),
            Error::Guests(guests::Error::Refused { what, cause, hint }) => {
                let text = format!("the sandbox's guests can't run here: {what}: {cause}");
                Diagnostic::new(&codes::SANDBOX_GUESTS, text).help(hint.clone())
            }
            Error::Guests(_) | Error::Certificate(_) => Diagnostic::new(&codes::SANDBOX_FAILED, self.to_string()),
            Error::Template { .. } => Diagnostic::new(&codes::SANDBOX_TEMPLATE, self.to_string())
                .help("a template is a directory with the root of a Linux system, or a tar archive of one"),
            Error::State { .. } => Diagnostic::new(&codes::SANDBOX_STATE, self.to_string())
                .help("give another directory by `--state`, or none"),
        }
    }
}
