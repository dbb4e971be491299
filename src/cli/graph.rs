//! `vmwbuild graph`: the steps and what needs what, in DOT.

use super::{args, load, terminal};
use crate::diagnostic::Problems;
use crate::sema::Purpose;
use crate::source::Sources;

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Graph, color: args::When) -> u8 {
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let build = load::Build::new();
    let program = load::program(&options.input, Purpose::Build, &build, &mut sources, &mut problems);
    let list = problems.sorted();
    terminal::show(&list, &sources, color);
    match program {
        Some((program, _)) => {
            let dag = crate::graph::lower(&program);
            terminal::print(&crate::graph::dot(&dag, &program));
            0
        }
        None => 1,
    }
}
