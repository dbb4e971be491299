//! `# vmw: allow(name)`, and the levels: what of all that was found is reported.

use std::collections::HashMap;

use super::codes::{SHELLCHECK, UNKNOWN_LINT, UNUSED_PRAGMA};
use super::config::{self, Config, Level};
use crate::diagnostic::{Code, Diagnostic, Problems};
use crate::source::{SourceId, Sources, Span, Spanned};
use crate::syntax::ast;

/// A pragma.
struct Pragma {
    /// The whole comment.
    comment: Span,
    names: Vec<Name>,
    reach: Reach,
}

/// A name in its parentheses.
struct Name {
    text: String,
    span: Span,
    named: Option<config::Named>,
    used: bool,
}

/// What a pragma is for.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    File,
    /// The instruction of that extent.
    Line(Span),
    /// It stands above nothing.
    Nothing,
}

/// The pragmas of one file.
struct Pragmas {
    of_file: Vec<Pragma>,
    /// By the instruction they stand above.
    of_lines: Vec<(Span, Pragma)>,
    idle: Vec<Pragma>,
}

impl Pragmas {
    fn new(all: Vec<Pragma>) -> Self {
        let mut out = Pragmas { of_file: Vec::new(), of_lines: Vec::new(), idle: Vec::new() };
        for pragma in all {
            match pragma.reach {
                Reach::File => out.of_file.push(pragma),
                Reach::Line(line) => out.of_lines.push((line, pragma)),
                Reach::Nothing => out.idle.push(pragma),
            }
        }
        out.of_lines.sort_by_key(|(line, _)| line.start);
        out
    }

    /// Those that are for a place. Instructions follow each other, so one at most holds it.
    fn reaching(&mut self, place: Span) -> impl Iterator<Item = &mut Pragma> {
        let after = self.of_lines.partition_point(|(line, _)| line.start <= place.start);
        let line = after.checked_sub(1).and_then(|at| self.of_lines.get(at)).map(|(line, _)| *line);
        let first = match line.filter(|line| place.start <= line.end) {
            Some(line) => self.of_lines.partition_point(|(other, _)| other.start < line.start),
            None => after,
        };
        let lines = self.of_lines.get_mut(first..after).unwrap_or_default();
        self.of_file.iter_mut().chain(lines.iter_mut().map(|(_, pragma)| pragma))
    }

    fn all(&self) -> impl Iterator<Item = &Pragma> {
        self.of_file.iter().chain(self.of_lines.iter().map(|(_, pragma)| pragma)).chain(&self.idle)
    }
}

/// Applies levels and pragmas to all that was found, and adds what is wrong with the pragmas. `complete`: all rules
/// could run, so that a pragma that met nothing is one too many.
pub fn settle(
    found: Problems,
    files: &[(SourceId, &ast::File)],
    sources: &Sources,
    config: &Config,
    complete: bool,
) -> Problems {
    let mut pragmas: HashMap<SourceId, Pragmas> = HashMap::new();
    let mut problems = Problems::new();
    for (id, file) in files {
        let mut of_file = pragmas_of(file, sources);
        for pragma in &mut of_file {
            resolve(pragma, &mut problems);
        }
        if !of_file.is_empty() {
            pragmas.insert(*id, Pragmas::new(of_file));
        }
    }
    let mut kept = Problems::new();
    for diagnostic in found {
        // An error stays one; a denied lint isn't one yet.
        if config::fixed(&diagnostic) || !allowed(&diagnostic, &mut pragmas) {
            kept.conclude(diagnostic);
        }
    }
    if complete {
        for pragma in pragmas.values().flat_map(Pragmas::all) {
            unused(pragma, sources, config.of(Some(pragma.comment.source)), &mut problems);
        }
    }
    kept.extend(problems);
    let mut settled = Problems::new();
    for diagnostic in kept {
        if let Some(severity) = config.severity(&diagnostic) {
            settled.conclude(diagnostic.severity(severity));
        }
    }
    settled
}

/// Whether a pragma is for this one; notes that it was of use.
fn allowed(diagnostic: &Diagnostic, pragmas: &mut HashMap<SourceId, Pragmas>) -> bool {
    let Some(place) = diagnostic.primary.as_ref().map(|l| l.span) else { return false };
    let Some(of_file) = pragmas.get_mut(&place.source) else { return false };
    let mut any = false;
    for pragma in of_file.reaching(place) {
        for name in pragma.names.iter_mut().filter(|n| n.named.as_ref().is_some_and(|named| named.is(diagnostic))) {
            name.used = true;
            any = true;
        }
    }
    any
}

fn pragmas_of(file: &ast::File, sources: &Sources) -> Vec<Pragma> {
    let mut found: Vec<Pragma> = Vec::new();
    // Those above the next instruction, by index.
    let mut above: Vec<usize> = Vec::new();
    for item in &file.items {
        match item {
            ast::Item::Blank(_) => above.clear(),
            ast::Item::Directive { .. } => {}
            ast::Item::Comment(comment) => {
                if let Some(pragma) = read(comment, sources) {
                    above.push(found.len());
                    found.push(pragma);
                }
            }
            ast::Item::Instruction(instruction) => {
                let extent = extent(instruction);
                for comment in &instruction.comments {
                    if let Some(pragma) = read(comment, sources) {
                        above.push(found.len());
                        found.push(pragma);
                    }
                }
                for index in above.drain(..) {
                    if let Some(pragma) = found.get_mut(index).filter(|p| p.reach == Reach::Nothing) {
                        pragma.reach = Reach::Line(extent);
                    }
                }
            }
        }
    }
    found
}

/// An instruction with the bodies of its heredocs.
fn extent(instruction: &ast::Instruction) -> Span {
    instruction.heredocs.iter().fold(instruction.span, |span, heredoc| span.to(heredoc.end))
}

/// A pragma, if the comment is one. What looks like one and isn't, the parser has told.
fn read(comment: &Spanned<String>, sources: &Sources) -> Option<Pragma> {
    let text = comment.node.trim();
    let rest = text.strip_prefix("vmw")?.trim_start().strip_prefix(':')?.trim_start();
    let (verb, rest) = rest.split_once('(')?;
    let (arguments, _) = rest.split_once(')')?;
    let reach = match verb.trim() {
        "allow" => Reach::Nothing,
        "allow-file" => Reach::File,
        _ => return None,
    };
    let source = sources.slice(comment.span);
    let mut from = source.find('(').map_or(0, |at| at + 1);
    let mut names = Vec::new();
    for part in arguments.split(',') {
        let name = part.trim();
        let lead = part.len() - part.trim_start().len();
        let start = comment.span.start as usize + from + lead;
        from += part.len() + 1;
        if !name.is_empty() {
            let span = Span::new(comment.span.source, start, start + name.len());
            names.push(Name { text: name.to_owned(), span, named: None, used: false });
        }
    }
    Some(Pragma { comment: comment.span, names, reach })
}

fn resolve(pragma: &mut Pragma, problems: &mut Problems) {
    for name in &mut pragma.names {
        match config::known(&name.text) {
            Ok(named) => name.named = Some(named),
            Err(error) => {
                let near = error.help.strip_prefix("did you mean `").and_then(|h| h.strip_suffix("`?"));
                let mut diagnostic = Diagnostic::at(&UNKNOWN_LINT, name.span, error.message.clone());
                if let Some(near) = near {
                    diagnostic = diagnostic.replace(format!("write `{near}`"), false, name.span, near);
                }
                problems.push(diagnostic.help(error.help));
            }
        }
    }
}

fn unused(pragma: &Pragma, sources: &Sources, config: &Config, problems: &mut Problems) {
    let idle = |name: &Name| match name.named.as_ref().map(|n| n.code) {
        // A lint that is off meets nothing whatever the file says.
        Some(code) => !name.used && config.level(code) != Some(Level::Allow) && !is_off(code, config),
        None => false,
    };
    let left: Vec<&str> = pragma.names.iter().filter(|n| !idle(n)).map(|n| n.text.as_str()).collect();
    let mut first = true;
    for name in pragma.names.iter().filter(|n| idle(n)) {
        let message = format!("`{}` isn't raised here, so nothing is allowed", name.text);
        let mut diagnostic = Diagnostic::at(&UNUSED_PRAGMA, name.span, message);
        diagnostic = match pragma.reach {
            Reach::Nothing => diagnostic.help("put the pragma directly above an instruction, or take it out"),
            Reach::File | Reach::Line(_) => diagnostic.help("take it out"),
        };
        if std::mem::take(&mut first) {
            let (span, text) = if left.is_empty() {
                (whole_line(pragma.comment, sources), String::new())
            } else {
                let source = sources.slice(pragma.comment);
                let open = source.find('(').map_or(0, |at| at + 1);
                let close = source.find(')').unwrap_or(source.len()).max(open);
                let start = pragma.comment.start as usize;
                (Span::new(pragma.comment.source, start + open, start + close), left.join(", "))
            };
            diagnostic = diagnostic.replace("take it out", true, span, text);
        }
        problems.push(diagnostic);
    }
}

/// Whether a code is of a rule that isn't run.
fn is_off(code: &Code, config: &Config) -> bool {
    *code == SHELLCHECK && !config.shellcheck || super::rules().iter().any(|r| r.code == code && !config.runs_here(r))
}

/// A comment with the blanks before it and its line end.
fn whole_line(comment: Span, sources: &Sources) -> Span {
    let text = &sources.get(comment.source).text;
    let before = text.get(..comment.start as usize).unwrap_or_default();
    let start = before.trim_end_matches([' ', '\t']).len();
    let after = text.get(comment.end as usize..).unwrap_or_default();
    let end = comment.end as usize + after.find('\n').map_or(after.len(), |at| at + 1);
    Span::new(comment.source, start, end)
}
