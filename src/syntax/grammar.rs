//! The parser that pest makes of `grammar/vmwfile.pest`.

#![allow(missing_docs)] // generated

use pest_derive::Parser;

#[derive(Parser)]
#[grammar = "../grammar/vmwfile.pest"]
pub(super) struct Grammar;
