//! The VMWfile's text: pest grammar to AST, and the instruction table.

pub mod ast;
mod keyword;

pub use keyword::Keyword;
