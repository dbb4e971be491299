//! The VMWfile's text: pest grammar to AST, and the instruction table.
//!
//! [`parse`] reads a whole file in two levels: `lines` finds the logical lines with their heredocs, then each line
//! is read by the rule of its keyword. It never fails: what could not be read is reported and left out.

pub mod ast;
pub mod codes;
mod confusion;
mod cx;
mod decode;
mod directive;
mod expr;
mod flags;
mod forms;
mod grammar;
mod heredoc;
mod instruction;
mod keyword;
mod lines;
pub mod literal;
mod misfit;
mod parse;
mod precedence;
mod same;
mod shelltext;
pub mod table;
mod words;

#[cfg(test)]
pub(crate) mod tests;

pub use decode::decode;
pub use keyword::Keyword;
pub use parse::{parse, parse_body, parse_expr, parse_words};
#[cfg(test)]
pub(crate) use same::difference;
pub use same::same;
