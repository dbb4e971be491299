//! The ancestor's JSON to AST.
