//! Tests of the whole parser.

mod cases;
mod errors;
pub(crate) mod generate;
mod heredocs;
mod limits;
mod properties;
mod table;

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Sources;

use super::ast::File;

/// Parses a text; its sources, the file and the findings, sorted.
fn parse(text: &str) -> (Sources, File, Vec<Diagnostic>) {
    let mut sources = Sources::new();
    let id = sources.add("VMWfile", None, text);
    let mut problems = Problems::new();
    let file = super::parse(&sources, id, &mut problems);
    (sources, file, problems.sorted())
}
