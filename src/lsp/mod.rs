//! The language server: the parser, check, lints and formatter behind the Language Server Protocol.
//!
//! [`serve`] speaks over a connection that the caller opens. A change of a document marks what includes it as to be
//! looked at again; that happens when no further message waits, so that nobody is told what is no longer true. Every
//! answer is worked out from a fresh [`analysis`]: a file of a thousand lines is read, checked and linted in a few
//! milliseconds, so that nothing is kept beyond it.

mod actions;
mod analysis;
mod complete;
mod documents;
mod extract;
mod hints;
mod hover;
mod index;
mod navigate;
mod outline;
mod position;
mod reformat;
mod report;
mod server;
mod tokens;
mod transport;

pub use server::{Host, serve};
pub use transport::{Transport, over};
