//! Comparing what two files say.

use super::ast::File;

/// Whether two files say the same: equal but for where things stand.
pub fn same(_a: &File, _b: &File) -> bool {
    false
}
