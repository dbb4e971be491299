//! The parts of `docs/language.md` that are made from the program's tables.

use std::fmt::Write as _;

use vmwbuild::{
    sema::filter,
    shell::{Dialect, Hole, HoleKind, read, weave},
    syntax::{
        Keyword,
        table::{FlagInfo, Place, STEP_FLAGS},
    },
};

/// The text of the made part `name`, if there is such a part.
pub fn part(name: &str) -> Option<String> {
    match name {
        "instructions" => Some(instructions()),
        "step flags" => Some(flags(STEP_FLAGS)),
        "filters" => Some(filters()),
        "contexts" => Some(contexts()),
        _ => {
            let keyword = Keyword::ALL.iter().find(|k| k.name() == name)?;
            Some(instruction(*keyword))
        }
    }
}

/// The names of all parts: each stands in the page once.
pub fn parts() -> Vec<&'static str> {
    let mut all = vec!["instructions", "step flags", "filters", "contexts"];
    all.extend(Keyword::ALL.iter().map(|k| k.name()));
    all
}

fn instructions() -> String {
    let mut out = String::from("| instruction | what it says |\n|---|---|\n");
    for keyword in Keyword::ALL {
        let info = keyword.info();
        let name = info.name;
        let _ = writeln!(out, "| [{name}](#{}) | {} |", name.to_lowercase(), cell(info.summary));
    }
    out
}

fn instruction(keyword: Keyword) -> String {
    let info = keyword.info();
    let mut out = String::from("```text\n");
    for form in info.forms {
        let _ = writeln!(out, "{form}");
    }
    let _ = write!(out, "```\n\nStands {}.", place(info.place));
    if keyword.is_step() {
        out.push_str(" Takes the [flags of every step](#flags-of-every-step)");
        out.push_str(if info.flags.is_empty() { "." } else { ", and:" });
    }
    out.push('\n');
    if !info.flags.is_empty() {
        let _ = write!(out, "\n{}", flags(info.flags));
    }
    out
}

fn place(place: Place) -> &'static str {
    match place {
        Place::Anywhere => "before the first FROM, or in a stage",
        Place::Global => "before the first FROM",
        Place::Opens => "alone: it opens a stage",
        Place::Placement => "in a stage, before its first step; or before the first FROM, for all stages",
        Place::Machine => "in a stage, before its first step",
        Place::Setting => "in a stage, and holds from there on",
        Place::GlobalSetting => "in a stage, and holds from there on; or before the first FROM, for all stages",
        Place::Step => "in a stage, and is done in its place",
        Place::Hook => "in a stage, and is done later",
    }
}

fn flags(list: &[FlagInfo]) -> String {
    let mut out = String::from("| flag | meaning |\n|---|---|\n");
    for flag in list {
        let _ = writeln!(out, "| `--{}{}` | {} |", flag.name, cell(&flag.value.usage()), cell(flag.doc));
    }
    out
}

fn filters() -> String {
    let mut out = String::from("| filter | takes | gives | | example | result |\n|---|---|---|---|---|---|\n");
    for row in filter::TABLE {
        let (example, result) = row.example;
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | `{}` | `{}` |",
            cell(&row.usage()),
            row.takes.name(),
            row.gives.replace('<', "&lt;"),
            cell(row.about),
            cell(example),
            cell(result)
        );
    }
    out
}

/// Shell text with a value in it (`@`), and what kind the value has.
const PLACES: &[(&str, Dialect, &str, HoleKind)] = &[
    ("bare, a part of a word", Dialect::Sh, "echo site-@", HoleKind::Text),
    ("in `\"…\"`", Dialect::Sh, "echo \"site @\"", HoleKind::Text),
    ("in `'…'`", Dialect::Sh, "echo 'site @'", HoleKind::Text),
    ("in a heredoc that expands", Dialect::Sh, "cat <<EOF\nsite @\nEOF\n", HoleKind::Text),
    ("in `$(…)`, which starts afresh", Dialect::Sh, "echo \"$(basename @)\"", HoleKind::Text),
    ("in `$((…))`, ints only", Dialect::Sh, "echo $((@ + 1))", HoleKind::Int),
    ("in a comment", Dialect::Sh, "echo hello # @", HoleKind::Text),
    ("`\\| raw`, bare only", Dialect::Sh, "start @", HoleKind::Raw),
    ("PowerShell, a whole argument", Dialect::PowerShell, "Write-Output @", HoleKind::Text),
    ("PowerShell, in `\"…\"`", Dialect::PowerShell, "Write-Output \"site @\"", HoleKind::Text),
    ("cmd, only values that can't be code", Dialect::Cmd, "echo @", HoleKind::Int),
];

fn contexts() -> String {
    let mut out = String::from("| where the value stands | in the VMWfile | what the shell reads |\n|---|---|---|\n");
    for (name, dialect, text, kind) in PLACES {
        let shown = if *kind == HoleKind::Raw { "${{ x | raw }}" } else { "${{ x }}" };
        let at = text.find('@').unwrap();
        let (written, hole) = (text.replace('@', shown), Hole::new(at..at + shown.len(), *kind));
        let found = read(*dialect, &written, &[hole]).unwrap_or_else(|refused| panic!("{written}: {refused:?}"));
        let constant = match kind {
            HoleKind::Raw => "*the code*",
            _ if *dialect == Dialect::Cmd => "*the value*",
            _ => "_vmw1",
        };
        let woven = weave(&written, &[hole], &found, &[constant]);
        let woven = if constant.starts_with('*') { woven.replace('*', "") } else { woven };
        let _ = writeln!(out, "| {name} | {} | {} |", code(&written), code(&woven));
    }
    out
}

/// Code in a table's cell, lines with a sign between them.
fn code(text: &str) -> String {
    format!("`{}`", cell(text.trim_end()).replace('\n', " ⏎ "))
}

/// Text in a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
