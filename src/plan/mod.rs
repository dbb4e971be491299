//! What a build will do to an inventory, worked out from the program and facts alone: nothing here asks a server.

pub mod codes;
mod resolve;
mod wishes;

pub use resolve::{Found, Problem, Resolved, ResolvedOutput, resolve};
pub use wishes::{PlacementDefaults, Wishes};
