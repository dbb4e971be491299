//! The scheduler and what it does at each step, as a stream of events.

pub mod event;
mod options;

pub use options::{
    Built, BuiltOutput, Deadlines, Failure, FailureClass, GuestLogin, LoginDefaults, OnError, Options,
    PlacementDefaults,
};
