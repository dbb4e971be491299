//! What needs no server: the language's tools as programs, and the order in the source. One program for the same reasons
//! as `builds.rs`.

mod architecture;
mod examples;
#[path = "common/files.rs"]
mod files;
mod graph;
mod lint;
mod lint_formats;
mod lsp;
mod messages;
#[path = "common/schema.rs"]
mod schema;
mod terminal;
mod vsphere_messages;
