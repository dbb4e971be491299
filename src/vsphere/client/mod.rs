//! Session, property collector, tasks, inventory, virtual machines, guest operations, transfers.
//!
//! [`Client::connect`] logs in once for a run; [`Client::logout`] ends the session and must be awaited on every way
//! out. Everything that waits takes a [`Deadline`]. Errors say what to do by [`Error::class`] and
//! [`Error::guest_fault`], and make the message by [`Error::diagnostic`].

mod attributes;
mod customize;
mod devices;
mod endpoint;
mod error;
mod guest;
mod guest_state;
mod http;
mod inventory;
mod labels;
mod lost;
mod names;
mod ovf;
mod own;
mod placement;
mod policies;
mod privileges;
mod probe;
mod properties;
mod record;
mod report;
mod rest;
mod session;
mod signs;
mod task;
mod tls;
mod transfer;
mod versions;
mod vm;
mod watch;
mod web;

#[cfg(test)]
mod tests;

// Failures that callers tell apart once they are told.
pub use super::codes::{CANCELLED, NAME_TAKEN};
pub use customize::{Adapter, Customization, Customized, Specifications};
pub use devices::{DeviceChange, Misfit, NotChanged, Part, disk_sizes, version_number};
pub use endpoint::{Deadline, Endpoint, Thumbprint, Trust};
pub use error::{Class, ConnectKind, Error, GuestFault, Result, TlsKind};
pub use guest::{Guest, GuestAuth};
pub use guest_state::GuestState;
pub use inventory::{Entity, EntityKind, Inventory};
pub use names::decode as decoded;
pub use ovf::{DiskDownload, ImportRequest, Lease, mark_import};
pub use placement::{Placement, PlacementRequest};
pub use policies::{Fit, Policies};
pub use probe::{Certificate, probe};
pub use properties::Properties;
pub use record::{Exchange, Heard, Recorder};
pub use rest::{Category, ItemProperty, Libraries, Library, LibraryItem, NewItem, OvfChoices, OvfChosen, Tag, Tagging};
pub use session::{Client, Reached, Requests};
pub use signs::Signs;
pub use task::Progress;
pub use transfer::{Content, Download, Source, stands_still};
pub use vm::{CloneRequest, HardwareChange, ShutDown, VmState};
pub use watch::Watcher;
pub use web::WebFile;
