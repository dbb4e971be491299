//! A literal that becomes an ARG or a SECRET.

use gen_lsp_types::{CodeAction, CodeActionKind, CodeActionResponse, TextEdit, WorkspaceEdit};

use super::analysis::{Analysis, analyse};
use super::hover::extent;
use super::server::Asked;
use crate::diagnostic::Severity;
use crate::lint::walk;
use crate::source::Span;
use crate::syntax::ast::{Body, Command, ExprKind, Instruction, KeyFrom, OnFail, Piece, Quote, Text, WaitFor};
use crate::syntax::{Keyword, quoted};

/// A literal, where it stands.
struct Literal {
    /// What is replaced.
    span: Span,
    /// What it says.
    value: String,
    /// In an expression a name stands for it, elsewhere `${{ name }}`.
    in_expression: bool,
    /// It is a part of a command, prose or a heredoc.
    running: bool,
}

/// A declaration, and what it takes the place of.
struct Made {
    title: String,
    edits: Vec<(Span, String)>,
}

/// Whether the client asks for actions of this kind.
pub(super) fn wanted(only: Option<&[CodeActionKind]>) -> bool {
    let is = |kind: &CodeActionKind| {
        matches!(kind, CodeActionKind::Empty | CodeActionKind::Refactor | CodeActionKind::RefactorExtract)
    };
    only.is_none_or(|kinds| kinds.iter().any(is))
}

/// What can be made of the literal at these places.
pub(super) fn actions(asked: &Asked<'_>, start: u32, end: u32) -> Vec<CodeActionResponse> {
    let Some((_, file)) = asked.analysis.files.iter().find(|(id, _)| *id == asked.id) else { return Vec::new() };
    let all: Vec<&Instruction> = file.instructions().collect();
    let within = |i: &&&Instruction| extent(i).start <= start && end <= extent(i).end;
    let Some(instruction) = all.iter().find(within) else { return Vec::new() };
    let mut out = Vec::new();
    if let Some(made) = secret_of_arg(asked, instruction, start, end) {
        out.extend(action(asked, made));
    }
    let Some(literal) = literal_at(asked, instruction, start, end) else { return out };
    let name = free_name(asked, &name_for(asked, instruction, literal.span));
    let every = equal(asked, &all, &literal);
    for default in defaults(&literal, asked) {
        let declared = format!("ARG {name} = {default}");
        let one =
            replace(asked, &all, &declared, &name, std::slice::from_ref(&literal), format!("Extract ARG `{name}`"));
        let Some(one) = action(asked, one) else { continue };
        out.push(one);
        if every.len() > 1 {
            let title = format!("Extract ARG `{name}` from all {} places", every.len());
            out.extend(action(asked, replace(asked, &all, &declared, &name, &every, title)));
        }
        break;
    }
    if !matches!(instruction.body, Body::Arg { .. }) {
        // In all places, so that it stands in none; where a secret can't stand in one of them, in this one.
        let made = [&every[..], std::slice::from_ref(&literal)].into_iter().find_map(|places| {
            let title = format!("Turn the literal into the SECRET `{name}`");
            action(asked, replace(asked, &all, &format!("SECRET {name}"), &name, places, title))
        });
        out.extend(made);
    }
    out
}

/// `ARG name = "text"` as `SECRET name`: whoever builds gives the value then.
fn secret_of_arg(asked: &Asked<'_>, instruction: &Instruction, start: u32, end: u32) -> Option<Made> {
    let Body::Arg { name, default: Some(default), .. } = &instruction.body else { return None };
    let covers = instruction.span.start <= start && end <= instruction.span.end;
    if !covers || !matches!(default.kind, ExprKind::Str(_)) {
        return None;
    }
    let keyword = asked.analysis.sources.slice(instruction.keyword.span);
    let keyword = if keyword.chars().all(|c| c.is_ascii_lowercase()) { "secret" } else { "SECRET" };
    Some(Made {
        title: format!("Turn the literal into the SECRET `{}`", name.node),
        edits: vec![(instruction.span, format!("{keyword} {}", name.node))],
    })
}

/// The literal that is selected, or that the cursor is at: the smallest. Most of a command's words are never
/// values: at the cursor only those with a digit count (versions, ports, addresses), the others when selected.
fn literal_at(asked: &Asked<'_>, instruction: &Instruction, start: u32, end: u32) -> Option<Literal> {
    let selected = (start < end).then_some((start, end));
    let all = literals(asked, instruction, selected).into_iter();
    let here = all.filter(|l| l.span.start <= start && end <= l.span.end && !l.value.trim().is_empty());
    let likely = |l: &Literal| !l.running || l.value.contains(|c: char| c.is_ascii_digit());
    here.filter(|l| selected.is_some() || likely(l)).min_by_key(|l| l.span.len())
}

/// All literals of an instruction: those of expressions, words without values in them, a shell's words and, where
/// something in one is selected, that.
fn literals(asked: &Asked<'_>, instruction: &Instruction, selected: Option<(u32, u32)>) -> Vec<Literal> {
    let mut out = Vec::new();
    walk::exprs(instruction, &mut |expr| {
        let value = match &expr.kind {
            ExprKind::Str(text) => text.clone(),
            ExprKind::Int(_) | ExprKind::Duration(_) | ExprKind::Size(_) => {
                asked.analysis.sources.slice(expr.span).to_owned()
            }
            _ => return,
        };
        out.push(Literal { span: expr.span, value, in_expression: true, running: false });
    });
    walk::texts(instruction, &mut |text| {
        // A quoted heredoc has no values in it.
        if instruction.heredocs.iter().any(|doc| doc.quoted && doc.body.span == text.span) {
            return;
        }
        let running = is_running(instruction, text);
        if !running && let Some(value) = text.literal() {
            out.push(Literal { span: text.span, value, in_expression: false, running: false });
        }
        for piece in &text.pieces {
            let Piece::Literal { span, text: written, quote } = piece else { continue };
            // Only where the text runs in step with the source is a part of it a part of that.
            if asked.analysis.sources.slice(*span) != written || *quote == Quote::Single {
                continue;
            }
            if let Some((start, end)) = selected
                && span.start <= start
                && end <= span.end
            {
                let value = written.get((start - span.start) as usize..(end - span.start) as usize);
                let span = Span { start, end, ..*span };
                out.extend(value.map(|value| Literal {
                    span,
                    value: value.to_owned(),
                    in_expression: false,
                    running: true,
                }));
            }
            if running {
                out.extend(words(*span, written));
            }
        }
    });
    out
}

/// Whether it is text rather than a word: a shell's, prose, a heredoc.
fn is_running(instruction: &Instruction, text: &Text) -> bool {
    let command = match &instruction.body {
        Body::Note { .. } | Body::Annotation { .. } => return instruction.flags.is_empty(),
        Body::Run { command }
        | Body::Healthcheck { command }
        | Body::OnRemove { command }
        | Body::Key { from: KeyFrom::Run(command), .. }
        | Body::Wait { what: WaitFor::Run(command) }
        | Body::OnFail { action: OnFail::Run(command) } => Some(command),
        _ => None,
    };
    let shell = matches!(command, Some(Command::Shell(shell)) if shell.span == text.span);
    shell || instruction.heredocs.iter().any(|doc| doc.body.span == text.span)
}

/// The words of running text that could be values: no operators, variables or quotes.
fn words(span: Span, text: &str) -> Vec<Literal> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '/' | '_' | '-' | ':' | '@' | '+' | ',' | '%');
    let mut out = Vec::new();
    let mut at = 0;
    for part in text.split(|c: char| !is_part(c)) {
        if !part.is_empty() {
            let start = span.start + at as u32;
            out.push(Literal {
                span: Span { start, end: start + part.len() as u32, ..span },
                value: part.to_owned(),
                in_expression: false,
                running: true,
            });
        }
        at += part.len();
        at += text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    }
    out
}

/// All places of a file with the same literal, the one that is asked about among them.
fn equal(asked: &Asked<'_>, all: &[&Instruction], literal: &Literal) -> Vec<Literal> {
    let mut out: Vec<Literal> = vec![Literal { span: literal.span, value: literal.value.clone(), ..*literal }];
    for instruction in all {
        for other in literals(asked, instruction, None) {
            let apart = |l: &Literal| l.span.end <= other.span.start || other.span.end <= l.span.start;
            if other.value == literal.value && out.iter().all(apart) {
                out.push(other);
            }
        }
    }
    out.sort_by_key(|l| l.span.start);
    out
}

/// How the default may be written, the best first: a number as one, everything else as text.
fn defaults(literal: &Literal, asked: &Asked<'_>) -> Vec<String> {
    let escape = asked.analysis.files.iter().find(|(id, _)| *id == asked.id).map_or('\\', |(_, file)| file.escape);
    let text = quoted(&literal.value, escape);
    let number = literal.value.parse::<i64>().is_ok_and(|n| n.to_string() == literal.value);
    let size = crate::syntax::literal::size(&literal.value).is_some();
    let duration = crate::syntax::literal::duration(&literal.value).is_some();
    let mut out = vec![text];
    if number {
        out.insert(0, literal.value.clone());
    } else if size || duration {
        out.push(literal.value.clone());
    }
    out
}

/// A name for what stands there: the key's, the flag's or the instruction's.
fn name_for(asked: &Asked<'_>, instruction: &Instruction, span: Span) -> String {
    let holds = |text: &Text| text.span.start <= span.start && span.end <= text.span.end;
    let flag = instruction.flags.iter().find(|f| f.value.as_ref().is_some_and(holds)).map(|f| f.name.node.clone());
    let of_body = || match &instruction.body {
        Body::Hardware { pairs } | Body::Config { pairs } | Body::Label { pairs } | Body::Env { pairs } => {
            pairs.iter().find(|p| holds(&p.value)).map(|p| p.key.node.to_ascii_lowercase())
        }
        Body::User { password, .. } if password.as_ref().is_some_and(holds) => Some("sudo_password".to_owned()),
        Body::Login { user, password } if password.as_ref().is_some_and(holds) => {
            Some(format!("{}_password", user.literal().unwrap_or_else(|| "login".to_owned())))
        }
        Body::Login { .. } => Some("login".to_owned()),
        Body::Address { cidr, gateway, .. } => {
            let is = |text: &Option<Text>| text.as_ref().is_some_and(holds);
            Some(
                if is(cidr) {
                    "address"
                } else if is(gateway) {
                    "gateway"
                } else {
                    "dns"
                }
                .to_owned(),
            )
        }
        Body::From { .. } => Some("source".to_owned()),
        Body::Memory { .. }
        | Body::Cpu { .. }
        | Body::Placement { .. }
        | Body::Hostname { .. }
        | Body::Workdir { .. } => Some(instruction.keyword.node.name().to_ascii_lowercase()),
        Body::Arg { name, .. } => Some(format!("{}_default", name.node)),
        Body::Output { .. } => Some("output_name".to_owned()),
        _ => None,
    };
    let written = asked.analysis.sources.slice(span);
    let port = || (written.len() < 6 && written.chars().all(|c| c.is_ascii_digit())).then(|| "number".to_owned());
    let name = flag.or_else(of_body).or_else(port).unwrap_or_else(|| "value".to_owned());
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// The name, with a number behind it if it is taken.
fn free_name(asked: &Asked<'_>, name: &str) -> String {
    let taken = |name: &str| {
        asked.analysis.index.definitions.iter().any(|d| d.name == name) || matches!(name, "self" | "build")
    };
    let mut numbers = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}_{n}")));
    numbers.find(|name| !taken(name)).unwrap_or_default()
}

/// The edits: a declaration where it holds for all the places, and its name in these.
fn replace(
    asked: &Asked<'_>,
    all: &[&Instruction],
    declared: &str,
    name: &str,
    places: &[Literal],
    title: String,
) -> Made {
    let first = places.iter().map(|l| l.span.start).min().unwrap_or_default();
    let before =
        all.iter().take_while(|i| extent(i).end < first && !matches!(i.keyword.node, Keyword::From | Keyword::On));
    let declaration = before.filter(|i| matches!(i.keyword.node, Keyword::Arg | Keyword::Secret)).last();
    let source = asked.source();
    // Below the last declaration; without one, above everything but the comments at the top.
    let (at, text) = match declaration {
        Some(last) => (last.span.end, format!("\n{declared}")),
        None => {
            let at = all.first().map_or(0, |i| source.line_start(source.line_at(i.span.start)));
            let gap = if all.first().is_some_and(|i| matches!(i.keyword.node, Keyword::From | Keyword::On)) {
                "\n"
            } else {
                ""
            };
            (at, format!("{declared}\n{gap}"))
        }
    };
    let mut edits = vec![(Span { source: asked.id, start: at, end: at }, text)];
    edits.extend(
        places.iter().map(|l| (l.span, if l.in_expression { name.to_owned() } else { format!("${{{{ {name} }}}}") })),
    );
    Made { title, edits }
}

/// The action, if the file is no worse with it: a place may take no value, or none of this kind.
fn action(asked: &Asked<'_>, made: Made) -> Option<CodeActionResponse> {
    let mut text = asked.text().to_owned();
    let mut edits = made.edits;
    edits.sort_by_key(|(span, _)| span.start);
    for (span, new) in edits.iter().rev() {
        text.get(span.start as usize..span.end as usize)?;
        text.replace_range(span.start as usize..span.end as usize, new);
    }
    let documents = asked.documents.with(std::collections::HashMap::from([(asked.path.to_owned(), text)]));
    let then = analyse(asked.root, &documents, asked.host)?;
    let errors = |a: &Analysis| a.found.iter().filter(|d| d.severity == Severity::Error).count();
    if errors(&then) > errors(asked.analysis) {
        return None;
    }
    let edits = edits
        .into_iter()
        .map(|(span, new)| (asked.path.to_owned(), TextEdit { range: asked.range(span), new_text: new }));
    let edit: WorkspaceEdit = asked.edit(edits.collect());
    Some(CodeActionResponse::CodeAction(CodeAction {
        title: made.title,
        kind: Some(CodeActionKind::RefactorExtract),
        edit: Some(edit),
        ..Default::default()
    }))
}
