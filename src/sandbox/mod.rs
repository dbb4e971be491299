//! An embedded vSphere server whose guests truly run.

pub mod guests;
