//! Names, types, keys, secrets: from AST to a checked program.

mod check;
pub mod codes;
pub mod codes_stages;
pub mod codes_values;
pub mod context;
pub mod devices;
pub mod eval;
pub mod existing;
pub mod expr;
mod expr_check;
mod expr_coerce;
mod expr_names;
mod expr_ops;
#[cfg(test)]
mod expr_tests;
#[cfg(test)]
mod expr_world;
pub mod filter;
mod filter_apply;
mod hook;
mod include;
mod input;
mod instruction;
mod instruction_copy;
mod instruction_setting;
mod instruction_step;
mod key;
mod machine;
mod machine_output;
pub(crate) mod names;
mod names_scope;
pub mod order;
pub mod order_refs;
pub mod ova;
pub mod program;
mod program_step;
pub mod script;
mod script_exec;
#[cfg(test)]
mod script_tests;
pub(crate) mod script_text;
mod seal;
mod stage;
mod stage_for;
pub mod template;
pub mod text;
#[cfg(test)]
mod text_tests;
pub mod types;
pub mod value;
pub mod value_parse;
mod windows;

#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod tests_any;
#[cfg(test)]
mod tests_files;

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

pub use check::check;
pub use stage_for::MAX_REPLICAS;

/// Where the check reads files from (INCLUDE, FOR … FILE, COPY --render, and whether COPY's sources exist): the
/// only I/O it ever does, behind a trait so that editors can answer from their buffers.
pub trait Files {
    /// The bytes of a file.
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>>;
    /// Whether a path exists, and whether it is a directory.
    fn is_dir(&self, path: &Path) -> std::io::Result<bool>;
    /// All files below a directory (or the file itself), sorted, symbolic links not followed.
    fn walk(&self, path: &Path) -> std::io::Result<Vec<PathBuf>>;
    /// What of a COPY's source can't be sent, being neither file nor directory nor link: see [`context::unsendable`]. Nothing,
    /// where nobody looks.
    fn unsendable(&self, _context: &Path, _source: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// What the check is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `lint`, editors: an ARG without a value has its type but no value.
    Lint,
    /// `build`, `plan`, `graph`: all values must be there.
    Build,
}

/// What is given from outside the file.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// What for.
    pub purpose: Purpose,
    /// Values of ARGs: name → (text, where it came from, as in "--arg", "VMWBUILD_ARG_x", "args.toml").
    pub args: IndexMap<String, (String, String)>,
    /// `--target`s; empty: everything.
    pub targets: Vec<String>,
    /// The directory that COPY's sources are relative to.
    pub context: PathBuf,
    /// `build.id`.
    pub build_id: String,
    /// `build.date`, RFC 3339, UTC.
    pub build_date: String,
    /// The project directory's name, for default names.
    pub project: String,
    /// The machines that ON's selectors mean; None: not looked for yet.
    pub existing: Option<existing::Selected>,
}
