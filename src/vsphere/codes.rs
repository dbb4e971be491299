//! Codes of connection and login (7xx), of guest operations as the server reports them (850–899), and of vSphere
//! operations (9xx).

use crate::diagnostic::Code;

/// All of them, by number.
pub static ALL: &[&Code] = &[];
