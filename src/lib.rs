//! Build VMware templates and platforms from a VMWfile, through vCenter and VMware Tools alone.
//!
//! The way of a VMWfile: [`source`] → [`syntax`] (AST) → [`sema`] (checked program) → [`graph`] (DAG of steps) →
//! [`plan`] (against the inventory) → [`engine`] → [`guest`] and [`vsphere`] → events → [`progress`]. `lint`, `fmt` and `graph` get off early and
//! never open a socket.

// The code that pest generates without `std` asks for it by name.
extern crate alloc;

pub mod cache;
pub mod cli;
pub mod diagnostic;
pub mod engine;
pub mod format;
pub mod graph;
pub mod guest;
pub mod import;
pub mod lint;
pub mod lsp;
pub mod plan;
pub mod progress;
pub mod sandbox;
pub mod sema;
pub mod shell;
pub mod show;
pub mod source;
pub mod syntax;
pub mod vsphere;
