//! Guests that truly run: Linux namespaces over copy-on-write layers of a template's file system.
//!
//! The tool re-executes itself as a small, single-threaded *warden* that owns a private store and is the parent of
//! every guest; see [`reexec`], which `main` calls before anything else. [`Guests`] is the tool's handle on it.
//! Whatever ends the tool, the warden or its janitor ends every guest, and nothing stays on the host.
//!
//! ```text
//! tool ── janitor ── warden (pid 1 of an outer pid namespace, private tmpfs) ─┬─ guest's init ── guest's processes
//!                                                                            └─ guest's init ── …
//! ```
//!
//! Guests need Linux; elsewhere everything compiles and [`Guests::start`] answers [`Error::NeedsLinux`].

mod api;
mod error;

mod elsewhere;

pub use api::{
    Attributes, BootSpec, Config, Ended, ExecSpec, Exit, Facts, FileInfo, FileKind, GuestId, Ids, LayerId, LayerInfo,
    Limit, NewName, Parent, ProcessInfo, TemplateSource, User,
};
pub use error::{Error, Result};

pub use elsewhere::{Files, Guest, Guests, Process, reexec};
