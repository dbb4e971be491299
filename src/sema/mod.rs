//! Names, types, keys, secrets: from AST to a checked program.
