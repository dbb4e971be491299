//! The VMWfile's text: pest grammar to AST, and the instruction table.
