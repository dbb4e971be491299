//! Session, property collector, tasks, inventory, virtual machines, guest operations, transfers.
//!
//! [`Client::connect`] logs in once for a run; [`Client::logout`] ends the session and must be awaited on every way
//! out. Everything that waits takes a [`Deadline`]. Errors say what to do by [`Error::class`].

mod endpoint;
mod error;
mod guest;
mod inventory;
mod properties;
mod session;
mod task;
mod transfer;
mod vm;
mod watch;

pub use endpoint::{Deadline, Endpoint, Thumbprint, Trust};
pub use error::{Class, ConnectKind, Error, GuestFault, Result, TlsKind};
pub use guest::{Guest, GuestAuth};
pub use inventory::{Entity, EntityKind, Inventory, Placement, PlacementRequest};
pub use properties::Properties;
pub use session::{Client, Requests};
pub use task::Progress;
pub use transfer::{Download, Source};
pub use vm::{CloneRequest, GuestState, HardwareChange, VmState};
pub use watch::Watcher;
