//! Lints, one rule a file.
