//! `vmwbuild show`: the program that a VMWfile is understood as.

use super::{args, graph, load, terminal};
use crate::diagnostic::Problems;
use crate::sema::Purpose;
use crate::show;
use crate::source::Sources;

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Show, color: args::When) -> u8 {
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let build = load::Build::new();
    let program = load::program(&options.input, Purpose::Build, &build, &mut sources, &mut problems);
    terminal::show(&problems.sorted(), &sources, color);
    let Some((program, _)) = program else { return 1 };
    let outline = show::outline(&program, &crate::graph::lower(&program), &sources);
    let text = if options.json {
        // Strings and numbers can always be written.
        serde_json::to_string_pretty(&outline).unwrap_or_default() + "\n"
    } else {
        crate::diagnostic::text::shown(&show::text(&outline))
    };
    graph::write(&text, options.output.as_deref(), color)
}
