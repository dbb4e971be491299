//! The guest's commands as ShellCheck is given them, and its findings at their places in the VMWfile.

use std::collections::HashMap;

use serde::Deserialize;

use super::codes::SHELLCHECK;
use super::commands::{self, Shell};
use super::cx;
use crate::diagnostic::{Diagnostic, Problems, Severity};
use crate::shell::{self, Context, Dialect, Hole, HoleKind};
use crate::source::{SourceId, Sources, Span};
use crate::syntax::ast::{self, Command};

/// What says something about the machine that checks, not about the guest: files that `.` reads aren't here.
pub const EXCLUDED: &[&str] = &["SC1090", "SC1091"];

/// A script as ShellCheck is to read it.
pub struct Script<'a> {
    /// Its text; the lines before the command's own are counted in `before`.
    pub text: String,
    before: usize,
    /// Where its commands stand. Equal commands are checked once.
    places: Vec<Place<'a>>,
}

struct Place<'a> {
    shell: Shell<'a>,
    /// The names of ENV, which ShellCheck can't know.
    env: Vec<String>,
}

/// All guest commands of a file and those it includes, in shells that ShellCheck knows.
pub fn scripts<'a>(files: &[(SourceId, &'a ast::File)], sources: &Sources) -> Vec<Script<'a>> {
    let (_, stages) = cx::layout(files, sources);
    let mut out: Vec<Script<'a>> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for shell in commands::read(&stages, sources) {
        let Some((text, before)) = script_text(&shell) else { continue };
        let env = shell.state.env().map(|name| name.to_string()).collect();
        let place = Place { shell, env };
        match known.get(&text) {
            Some(index) => {
                if let Some(script) = out.get_mut(*index) {
                    script.places.push(place);
                }
            }
            None => {
                known.insert(text.clone(), out.len());
                out.push(Script { text, before, places: vec![place] });
            }
        }
    }
    out
}

/// A command with a line that names its shell, and how many lines that adds.
fn script_text(shell: &Shell<'_>) -> Option<(String, usize)> {
    let name = match shell.dialect? {
        Dialect::Sh => "sh",
        Dialect::Bash => "bash",
        Dialect::Ksh => "ksh",
        Dialect::PowerShell | Dialect::Cmd => return None,
    };
    let text = shell.text()?;
    if text.len() > shell::MAX_TEXT {
        return None;
    }
    let ranges = shell.holes();
    let holes: Vec<Hole> = ranges.iter().map(|r| Hole::new(r.clone(), HoleKind::Int)).collect();
    let contexts = shell::read(shell.dialect?, text, &holes).ok();
    let mut out = String::with_capacity(text.len() + 16);
    let mut from = 0;
    for (index, hole) in holes.iter().enumerate() {
        out.push_str(text.get(from..hole.start)?);
        let context = contexts.as_ref().and_then(|c| c.get(index)).copied();
        out.push_str(&stand_in(context, text.get(hole.range())?.chars().count()));
        from = hole.end;
    }
    out.push_str(text.get(from..)?);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    if out.starts_with("#!") {
        return Some((out, 0));
    }
    // A lone heredoc is run with `-e`.
    let flag = if is_script(shell) { " -e" } else { "" };
    Some((format!("#!/bin/{name}{flag}\n{out}"), 1))
}

fn is_script(shell: &Shell<'_>) -> bool {
    matches!(commands::command_of(shell.instruction), Some((Command::Script, _)))
}

/// What a shell gets for a value, of as many characters, so that columns stay. Names in capitals are taken for the
/// environment's.
fn stand_in(context: Option<Context>, length: usize) -> String {
    let name = |taken: usize| "V".repeat(length.saturating_sub(taken).max(1));
    match context {
        Some(Context::Bare | Context::Verbatim) => format!("\"${}\"", name(3)),
        Some(Context::DoubleQuoted | Context::HereDoc) => format!("${{{}}}", name(3)),
        Some(Context::SingleQuoted) => format!("'\"${}\"'", name(5)),
        Some(
            Context::Arithmetic | Context::Comment | Context::Literal | Context::PsArgument | Context::PsDoubleQuoted,
        )
        | None => name(0),
    }
}

/// What `--format json1` writes, as far as it is of use here.
#[derive(Debug, Deserialize)]
struct Output {
    comments: Vec<Comment>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Comment {
    file: String,
    line: usize,
    end_line: usize,
    column: usize,
    end_column: usize,
    level: String,
    code: u32,
    message: String,
}

/// ShellCheck's findings. `file` gives the number of the script that a file of its input holds.
///
/// # Errors
/// What it wrote isn't what its JSON format is known to be.
pub fn findings(json: &[u8], scripts: &[Script<'_>], file: impl Fn(&str) -> Option<usize>) -> Result<Problems, String> {
    let output: Output = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    let mut problems = Problems::new();
    for comment in output.comments {
        let Some(script) = file(&comment.file).and_then(|index| scripts.get(index)) else { continue };
        for place in &script.places {
            if comment.code == 2154 && place.env.iter().any(|name| comment.message.starts_with(&format!("{name} "))) {
                continue;
            }
            let severity = match comment.level.as_str() {
                "error" => Severity::Error,
                "warning" => Severity::Warning,
                _ => Severity::Advice,
            };
            let span = place_of(&comment, script.before, &place.shell);
            let message = sentence(&comment.message);
            let mut found = Diagnostic::at(&SHELLCHECK, span, message).severity(severity);
            found.foreign = Some(format!("SC{:04}", comment.code));
            let help = format!("https://www.shellcheck.net/wiki/SC{:04}", comment.code);
            problems.push(found.help(help));
        }
    }
    Ok(problems)
}

/// As our messages are: without a full stop.
fn sentence(text: &str) -> String {
    text.trim().strip_suffix('.').unwrap_or(text.trim()).to_owned()
}

fn place_of(comment: &Comment, before: usize, shell: &Shell<'_>) -> Span {
    let text = shell.text().unwrap_or_default();
    let start = offset(text, comment.line.saturating_sub(before), comment.column);
    let end = offset(text, comment.end_line.saturating_sub(before), comment.end_column);
    match (start, end) {
        (Some(start), Some(end)) if start < end => shell.span_of(start..end),
        // It points between two characters, or at a line end.
        (Some(start), _) => {
            let next = text.get(start..).and_then(|t| t.chars().next()).map_or(0, char::len_utf8);
            shell.span_of(start..start + next)
        }
        (None, _) => shell.instruction.keyword.span,
    }
}

/// The byte at a line and column, both from 1 and in characters.
fn offset(text: &str, line: usize, column: usize) -> Option<usize> {
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let rest = text.get(start..)?;
    let line = rest.split('\n').next()?;
    Some(start + line.char_indices().nth(column.checked_sub(1)?).map_or(line.len(), |(at, _)| at))
}
