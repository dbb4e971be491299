//! VMW100–VMW149: names, types, values, shell text.

use crate::diagnostic::Code;

/// All codes of this file.
pub static ALL: &[&Code] = &[];
