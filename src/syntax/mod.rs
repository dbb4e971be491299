//! The VMWfile's text: pest grammar to AST, and the instruction table.
//!
//! [`parse`] reads a whole file in two levels: `lines` finds the logical lines with their heredocs, then each line
//! is read by the rule of its keyword. It never fails: what could not be read is reported and left out.
//!
//! ```
//! use vmwbuild::{diagnostic::Problems, source::Sources, syntax};
//!
//! let (mut sources, mut problems) = (Sources::new(), Problems::new());
//! let id = sources.add("VMWfile", None, "FROM debian-12 AS web\nRUNN true\nRUN echo ${{ build.id }}\n");
//! let file = syntax::parse(&sources, id, &mut problems);
//!
//! // A misspelt instruction is told, and read as what was meant; no other line is lost.
//! assert_eq!(file.items.len(), 3);
//! let found = problems.sorted();
//! assert_eq!(found[0].message, "there is no instruction `RUNN`");
//! assert_eq!(sources.place(found[0].primary.as_ref().unwrap().span), "VMWfile:2:1");
//! ```

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
pub use expr::quote as quoted;
pub use keyword::Keyword;
pub use parse::{parse, parse_body, parse_expr, parse_words};
#[cfg(test)]
pub(crate) use same::difference;
pub use same::same;
