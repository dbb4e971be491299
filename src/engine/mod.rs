//! The scheduler and what it does at each step, as a stream of events.
//!
//! Each machine is a task of its own (`machine`); they meet on the `board`, where finished nodes of the graph and
//! the values they gave are noted. Whatever is made in vCenter stands in the `ledger` before it is asked for.

mod ask;
pub mod belongings;
mod board;
mod boot;
pub mod cache;
mod cleanup;
mod clone;
pub mod codes;
pub mod event;
mod existing;
mod export;
mod finish;
mod hardware;
mod heal;
mod hooks;
pub mod journal;
mod kept;
mod ledger;
pub mod library;
mod life;
mod limits;
mod logs;
mod machine;
pub mod marks;
mod mask;
mod network;
mod options;
pub mod ova;
pub mod policies;
mod publish;
mod resume;
mod run;
mod sessions;
mod shared;
pub mod specs;
mod standin;
mod steps;
pub mod sweep;
pub mod tags;
mod unknown;
pub mod watch;

pub use ask::{Answer, Look, Looked, Question};
pub use heal::{Dead, Decided, Up};
pub use options::{
    Built, BuiltOutput, ClonesAtOnce, Control, Deadlines, Failure, FailureClass, GuestLogin, LoginDefaults, OnError,
    Options,
};
pub use run::{build, interrupted};
pub use sessions::missing_logins;
pub use shared::class_of;
