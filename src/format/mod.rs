//! AST to canonical text.
