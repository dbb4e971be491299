//! A checked program, told: what `vmwbuild show` prints, as text and as JSON.
//!
//! [`outline`] collects what is to be said; [`text`] and serde write it. Secrets stand in it by name only: a value
//! that only the running build knows is shown as the expression that gives it.

mod collect;
mod model;
mod text;

pub use collect::outline;
pub use model::{
    Address, Argument, Env, From, Guest, Hardware, Key, Machine, Outline, Output, Place, Placed, Secret, Stage, Step,
    Tool, Wait,
};
pub use text::text;
