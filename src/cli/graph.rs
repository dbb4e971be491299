//! `vmwbuild graph`: the steps and what needs what, drawn.

use std::path::Path;

use super::{args, codes, load, terminal};
use crate::diagnostic::{Diagnostic, Problems};
use crate::graph::{self, Grain};
use crate::sema::Purpose;
use crate::source::Sources;

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Graph, color: args::When) -> u8 {
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let build = load::Build::new();
    let program = load::program(&options.input, Purpose::Build, &build, &mut sources, &mut problems);
    let list = problems.sorted();
    terminal::show(&list, &sources, color);
    let Some((program, _)) = program else { return 1 };
    let grain = if options.machines && !options.steps { Grain::Machines } else { Grain::Steps };
    let view = graph::view(&graph::lower(&program), &program, grain);
    let text = match format(options) {
        args::GraphFormat::Dot => graph::dot(&view),
        args::GraphFormat::Mermaid => graph::mermaid(&view),
        args::GraphFormat::Svg => graph::svg(&view),
        args::GraphFormat::Json => graph::json(&view, &sources),
    };
    write(&text, options.output.as_deref(), color)
}

/// Writes a text where it is asked for; the exit code.
pub(crate) fn write(text: &str, output: Option<&Path>, color: args::When) -> u8 {
    let Some(path) = output else {
        terminal::print(text);
        return 0;
    };
    match std::fs::write(path, text) {
        Ok(()) => 0,
        Err(e) => {
            let message = format!("can't write `{}`: {e}", path.display());
            let problem = Diagnostic::new(&codes::OUTPUT_UNWRITABLE, message).help("check the path that `-o` names");
            terminal::show(&[problem], &Sources::new(), color);
            2
        }
    }
}

/// The one asked for, else the one that the output's name says.
fn format(options: &args::Graph) -> args::GraphFormat {
    if let Some(format) = options.format {
        return format;
    }
    let extension = options.output.as_deref().and_then(Path::extension).and_then(|e| e.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "svg" => args::GraphFormat::Svg,
        "json" => args::GraphFormat::Json,
        "mmd" | "mermaid" => args::GraphFormat::Mermaid,
        _ => args::GraphFormat::Dot,
    }
}
