//! What is the same as before: digests of what makes a machine, what is remembered of one that was made, and which
//! machines of a build need not be made again. Nothing here asks a server or reads a file.

mod decide;
mod digest;
mod kept;
mod recipe;
mod record;
#[cfg(test)]
mod tests;

pub use decide::{Found, Verdict, decide, needed_by};
pub use digest::{Digest, Sink};
pub use kept::{Asked, Kept};
pub use recipe::{Mark, Recipe, Unknown, World, recipes, trial};
pub use record::{CHECKPOINT_PREFIX, Checkpoint, MARK, Record, checkpoint_name};
