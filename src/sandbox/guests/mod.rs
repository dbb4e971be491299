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

#[cfg(target_os = "linux")]
mod accounts;
#[cfg(target_os = "linux")]
mod archive;
#[cfg(target_os = "linux")]
mod boot;
#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod connection;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod ground;
#[cfg(target_os = "linux")]
mod guest;
mod head;
#[cfg(target_os = "linux")]
mod hints;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
mod ids;
#[cfg(target_os = "linux")]
mod init;
#[cfg(target_os = "linux")]
mod janitor;
#[cfg(target_os = "linux")]
mod netlink;
#[cfg(target_os = "linux")]
mod nics;
#[cfg(target_os = "linux")]
mod operations;
#[cfg(target_os = "linux")]
mod store;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod template;
#[cfg(target_os = "linux")]
mod tree;
#[cfg(target_os = "linux")]
mod warden;
#[cfg(target_os = "linux")]
mod windows;
#[cfg(target_os = "linux")]
mod wire;

pub use api::{
    AT_BOOT, Attributes, BootSpec, Config, Ended, ExecSpec, Exit, Facts, FileInfo, FileKind, GuestId, Ids, LayerId,
    LayerInfo, Limit, NetworkReport, NewName, NicReport, NicSpec, Parent, ProcessInfo, TemplateSource, User,
};
pub use error::{Error, Result};
pub use head::Head;

#[cfg(target_os = "linux")]
pub use self::{
    client::Guests,
    files::Files,
    guest::{Guest, NetworkWatch, Process},
};
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Files, Guest, Guests, NetworkWatch, Process, reexec};

/// First argument of this program when it is to be the warden.
#[cfg(target_os = "linux")]
const WARDEN_ARGUMENT: &str = "__warden";

/// Becomes the warden when the arguments say so; then returns the exit code when its work is over. To be called
/// first thing in `main`, while the process has one thread.
#[cfg(target_os = "linux")]
#[must_use]
pub fn reexec() -> Option<i32> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next().is_some_and(|first| first == WARDEN_ARGUMENT) && arguments.next().is_none()).then(janitor::run)
}
