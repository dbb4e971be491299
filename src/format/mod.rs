//! AST to canonical text.

use crate::source::Sources;
use crate::syntax::ast::File;

/// Canonical text of a file.
pub fn format(file: &File, sources: &Sources) -> String {
    sources.get(file.source).text.to_string()
}
