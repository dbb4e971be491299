//! `vmwbuild up`: what a VMWfile declares, whatever is there already.

use super::build::{self, Beside};
use super::{args, load};
use crate::engine::Up;
use crate::sema::program::{Exists, Program};

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Up, color: args::When, verbose: u8) -> u8 {
    if options.watch {
        return super::watch::run(options, color, verbose);
    }
    let at_most = usize::from(options.replace_at_most);
    let up = Up { at_most, grace: options.watching.grace, decided: None };
    let lock = super::watch::LockWish::of(&options.watching);
    let beside = Beside { up: Some(up), lock, ..Beside::default() };
    build::go(&options.build, load::Build::new(), beside, color, verbose)
}

/// What is there stays, unless the file says that it is to be replaced.
pub(super) fn keep(program: &mut Program) {
    let outputs = program.machines.iter_mut().flat_map(|m| &mut m.outputs);
    outputs.filter(|o| o.exists == Exists::Fail).for_each(|o| o.exists = Exists::Keep);
}
