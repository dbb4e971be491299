//! `vmwbuild explain`: what a code means.

use super::{args, terminal};
use crate::diagnostic::{Code, Severity, did_you_mean};
use crate::progress::wrap;

/// All codes of all rooms, by number: what `vmwbuild explain` knows, and what the documentation lists.
pub fn registry() -> Vec<&'static Code> {
    let rooms: [&[&Code]; 13] = [
        crate::syntax::codes::ALL,
        crate::sema::codes_values::ALL,
        crate::sema::codes::ALL,
        crate::sema::codes_stages::ALL,
        crate::shell::codes::ALL,
        crate::import::codes::ALL,
        super::codes::ALL,
        crate::vsphere::codes::ALL,
        crate::guest::codes::ALL,
        crate::engine::codes::ALL,
        crate::plan::codes::ALL,
        crate::lint::codes::ALL,
        crate::sandbox::codes::ALL,
    ];
    let mut all: Vec<&Code> = rooms.into_iter().flatten().copied().collect();
    all.sort_by_key(|c| c.number);
    all
}

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Explain) -> u8 {
    let all = registry();
    let Some(wanted) = &options.code else {
        for code in all {
            terminal::print(&format!("{code}  {}\n", code.name));
        }
        return 0;
    };
    let number = wanted.to_ascii_uppercase().strip_prefix("VMW").unwrap_or(wanted).parse::<u16>().ok();
    match all.iter().find(|c| Some(c.number) == number || c.name.eq_ignore_ascii_case(wanted)) {
        Some(code) => {
            let (columns, _) = terminal::size();
            terminal::print(&wrapped(&explain(code), columns.clamp(40, 100)));
            0
        }
        None => {
            let near = did_you_mean(wanted, all.iter().map(|c| c.name));
            let help =
                near.map_or_else(|| "`vmwbuild explain` lists all".to_owned(), |n| format!("did you mean `{n}`?"));
            terminal::say(&format!("there is no diagnostic `{}`; {help}", wanted.escape_debug()));
            2
        }
    }
}

/// Prose broken to a width; examples stay as they are.
fn wrapped(text: &str, width: usize) -> String {
    let whole = |line: &str| line.is_empty() || line.starts_with(' ');
    let lines = text.lines().flat_map(|l| if whole(l) { vec![l.to_owned()] } else { wrap(l, width) });
    lines.map(|l| l + "\n").collect()
}

/// The text of one code.
pub(crate) fn explain(code: &Code) -> String {
    let severity = match code.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "advice",
    };
    let mut out = format!("{code} {} ({severity})\n\n{}\n", code.name, code.about);
    for (title, example) in [("Wrong", code.wrong), ("Right", code.right)] {
        if !example.is_empty() {
            let body: String = example.lines().map(|l| format!("    {l}\n")).collect();
            out.push_str(&format!("\n{title}:\n\n{body}"));
        }
    }
    out
}
