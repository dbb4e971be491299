//! Build VMware templates and platforms from a VMWfile, through vCenter and VMware Tools alone.
//!
//! The way of a VMWfile: [`source`] → [`syntax`] (AST) → [`sema`] (checked program) → [`graph`] (DAG of steps) →
//! [`plan`] (against the inventory) → [`engine`] → [`guest`] and [`vsphere`] → events → [`progress`]. `lint`, `fmt` and `graph` get off early and
//! never open a socket.
//!
//! # As a library
//!
//! From text to the graph of its steps, with nothing contacted:
//!
//! ```
//! use std::path::{Path, PathBuf};
//!
//! use vmwbuild::diagnostic::{Problems, Style, render_all};
//! use vmwbuild::sema::{self, Files, Inputs, Purpose};
//! use vmwbuild::{format, graph, lint, source::Sources, syntax};
//!
//! /// Where INCLUDE and COPY look: here nowhere.
//! struct Nowhere;
//! impl Files for Nowhere {
//!     fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
//!         Err(std::io::ErrorKind::NotFound.into())
//!     }
//!     fn is_dir(&self, _: &Path) -> std::io::Result<bool> {
//!         Err(std::io::ErrorKind::NotFound.into())
//!     }
//!     fn walk(&self, _: &Path) -> std::io::Result<Vec<PathBuf>> {
//!         Err(std::io::ErrorKind::NotFound.into())
//!     }
//! }
//!
//! let text = "FROM debian-12 AS db\nOUTPUT VM db\nKEY token FROM RUN cat /etc/token\n\
//!             FROM debian-12 AS web\nOUTPUT VM web\nRUN   echo ${{ db.token }}\n";
//! let (mut sources, mut problems) = (Sources::new(), Problems::new());
//! let id = sources.add("VMWfile", None, text);
//!
//! // Parse: a file is always there, whatever was wrong.
//! let file = syntax::parse(&sources, id, &mut problems);
//! // Format.
//! assert!(format::format(&file, &sources).contains("\nRUN echo ${{ db.token }}\n"));
//! // Check: names, types, keys.
//! let inputs = Inputs {
//!     purpose: Purpose::Lint,
//!     args: Default::default(),
//!     targets: Vec::new(),
//!     context: PathBuf::from("."),
//!     build_id: "1".to_owned(),
//!     build_date: "2026-01-02T03:04:05Z".to_owned(),
//!     project: "shop".to_owned(),
//!     existing: None,
//! };
//! let program = sema::check(&mut sources, &file, &inputs, &Nowhere, &mut problems).expect("nothing is wrong");
//! // Lint; levels and pragmas are applied to all that was found.
//! let (files, config) = ([(id, &file)], lint::Config::default());
//! problems.extend(lint::lint(&files, Some(&program), &sources, &config));
//! let found = lint::settle(problems, &files, &sources, &config, true).sorted();
//! assert!(!render_all(&found, &sources, Style::plain()).contains("error"));
//! // Lower: what waits for what. The two machines are built at the same time but for one step.
//! let dag = graph::lower(&program);
//! let between = dag.edges().into_iter().filter(|(from, to, _)| from.machine() != to.machine()).count();
//! assert_eq!(between, 1);
//! ```

// What input, a server or a guest can reach ends in a diagnostic, never in a panic. (Tests are to panic.)
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

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
