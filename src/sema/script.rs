//! Guest commands: shell text with its holes classified, and the text that is run in the end.

use crate::diagnostic::{Diagnostic, Problems};
use crate::shell::{self, Context, Dialect, Hole, HoleKind};
use crate::source::Span;
use crate::syntax::ast::{Command, Heredoc, Text, Type};

use super::codes_values as codes;
use super::eval::{Env, EvalError, eval};
use super::expr::Scope;
use super::expr_check::{Mark, check_hole};
use super::program::{Invocation, Os, Script, ScriptHole};
use super::script_exec;
use super::script_text::ScriptText;
use super::template::Rendered;
use super::value::Value;

/// The interpreter that reads shell text.
#[derive(Clone, Debug, PartialEq)]
pub struct ShellKind {
    /// As named: `sh`, `/usr/bin/fish`.
    pub name: String,
    /// Its language; None for one that we don't know.
    pub dialect: Option<Dialect>,
    /// The SHELL instruction that chose it.
    pub declared: Option<Span>,
}

impl ShellKind {
    /// What a stage starts with.
    pub fn default_of(os: Os) -> Self {
        match os {
            Os::Unix => ShellKind { name: "sh".into(), dialect: Some(Dialect::Sh), declared: None },
            Os::Windows => ShellKind { name: "powershell".into(), dialect: Some(Dialect::PowerShell), declared: None },
        }
    }

    /// The shell that SHELL names: the words of its array (or its one word), None for one that is not known before
    /// the build.
    pub fn of(argv: &[Option<String>], declared: Span) -> Self {
        let words: Option<Vec<&str>> = argv.iter().map(Option::as_deref).collect();
        let name = argv.first().cloned().flatten().unwrap_or_default();
        // All words, since `/usr/bin/env bash` is bash; blanks in the program's own path make no difference to it.
        let dialect = words.and_then(|words| match words.as_slice() {
            [program, ..] if program.contains(char::is_whitespace) => shell::dialect_of(&program.replace(' ', "_")),
            words => shell::dialect_of(&words.join(" ")),
        });
        ShellKind { name, dialect, declared: Some(declared) }
    }
}

/// A guest command. `heredocs` are the instruction's. None when it has errors.
pub fn check_command(
    command: &Command,
    heredocs: &[Heredoc],
    shell: &ShellKind,
    scope: &dyn Scope,
    problems: &mut Problems,
) -> Option<Invocation> {
    match command {
        Command::Exec(argv) => script_exec::check_exec(argv, scope, problems),
        Command::Shell(text) => {
            let text = ScriptText::of_line(text, heredocs, scope.sources());
            let errexit = false;
            check_script(text, shell, errexit, scope, problems).map(Invocation::Script)
        }
        Command::Script => {
            let text = ScriptText::of_body(&heredocs.first()?.body, scope.sources());
            if text.text.starts_with("#!") {
                return check_shebang(text, scope, problems).map(Invocation::Script);
            }
            check_script(text, shell, true, scope, problems).map(Invocation::Script)
        }
    }
}

/// A guest command in a flag's value: `--unless="test -f /etc/x"`.
pub fn check_flag_command(
    text: &Text,
    shell: &ShellKind,
    scope: &dyn Scope,
    problems: &mut Problems,
) -> Option<Invocation> {
    let text = ScriptText::of_line(text, &[], scope.sources());
    check_script(text, shell, false, scope, problems).map(Invocation::Script)
}

/// A script that names its interpreter.
fn check_shebang(text: ScriptText<'_>, scope: &dyn Scope, problems: &mut Problems) -> Option<Script> {
    let first_line = text.text.find('\n').unwrap_or(text.text.len());
    let early: Vec<Span> = text.holes.iter().filter(|h| h.start < first_line).map(|h| h.expr.span).collect();
    for span in &early {
        problems.push(
            Diagnostic::at(&codes::VALUE_IN_SHEBANG, *span, "no value can stand in the `#!` line")
                .help("write the interpreter itself"),
        );
    }
    if !early.is_empty() {
        return None;
    }
    let line = text.text.get(..first_line).unwrap_or_default().trim_end();
    let name = line.trim_start_matches("#!").trim().to_owned();
    let shell = ShellKind { name, dialect: shell::dialect_of(line), declared: None };
    let mut script = check_script(text, &shell, false, scope, problems)?;
    script.shebang = true;
    Some(script)
}

fn check_script(
    mut text: ScriptText<'_>,
    shell: &ShellKind,
    errexit: bool,
    scope: &dyn Scope,
    problems: &mut Problems,
) -> Option<Script> {
    let Some(dialect) = shell.dialect else {
        return check_foreign(text, shell, errexit, scope, problems);
    };
    // Where a logical line goes on stands a POSIX shell's backslash.
    if text.is_line {
        match dialect {
            Dialect::PowerShell => text.text = text.text.replace("\\\n", "`\n"),
            Dialect::Cmd => text.text = text.text.replace("\\\n", "^\n"),
            Dialect::Sh | Dialect::Bash | Dialect::Ksh => {}
        }
    }
    // In a quoted heredoc of the script's own nothing is interpolated: `${{` is text there.
    let candidates: Vec<Hole> = text.holes.iter().map(|h| Hole::new(h.start..h.end, HoleKind::Text)).collect();
    let quoted = shell::quoted_heredoc_ranges(dialect, &text.text, &candidates);
    text.holes.retain(|hole| !quoted.iter().any(|range| range.contains(&hole.start)));

    let mut good = true;
    if text.is_line {
        let candidates: Vec<Hole> = text.holes.iter().map(|h| Hole::new(h.start..h.end, HoleKind::Text)).collect();
        if let Some(open) = shell::unclosed_quote(dialect, &text.text, &candidates) {
            let span = text.span_of(open.at..open.at + open.quote.len_utf8());
            problems.push(
                Diagnostic::new(&codes::UNCLOSED_QUOTE, format!("the command ends inside `{}…`", open.quote))
                    .primary(span, "opened here, never closed")
                    .help("close it; for text of several lines use a script: `RUN <<EOF`, the lines, `EOF`"),
            );
            good = false;
        }
    }

    let mut values = Vec::with_capacity(text.holes.len());
    let mut holes = Vec::with_capacity(text.holes.len());
    for hole in &text.holes {
        match check_hole(hole.expr, scope, problems) {
            Some((rt, mark)) => {
                // A list is refused with the places.
                holes.push(Hole::new(hole.start..hole.end, kind_of(&rt.ty, mark)));
                values.push(rt);
            }
            None => good = false,
        }
    }
    // A value that is wrong in itself is no reason to be silent about the places of the others, but without all
    // holes the text can't be read.
    if !good {
        return None;
    }
    let contexts = match shell::read(dialect, &text.text, &holes) {
        Ok(contexts) => contexts,
        Err(refusals) => {
            report_refusals(&refusals, &text, scope, problems);
            return None;
        }
    };
    let script = Script {
        holes: holes
            .into_iter()
            .zip(contexts)
            .zip(values)
            .map(|((hole, context), value)| ScriptHole {
                start: hole.start,
                end: hole.end,
                kind: hole.kind,
                context,
                value,
            })
            .collect(),
        text: text.text,
        dialect: Some(dialect),
        shebang: false,
        errexit,
    };
    if let Err(error) = try_known_raw(&script) {
        problems.push(Diagnostic::at(&codes::RAW_CHANGES_TEXT, error.span, error.message));
        return None;
    }
    Some(script)
}

fn report_refusals(refusals: &[shell::Refusal], text: &ScriptText<'_>, scope: &dyn Scope, problems: &mut Problems) {
    for refusal in refusals {
        let at = text.span_of(refusal.at.clone());
        let value = text.holes.get(refusal.hole).map_or(at, |hole| hole.span);
        let said = shell::explain(refusal, scope.sources().slice(value));
        let mut d = Diagnostic::new(said.code, said.message).primary(value, "").help(said.help);
        let apart = at.source != value.source || at.end <= value.start || value.end <= at.start;
        if apart && !said.cause.is_empty() {
            d = d.label(at, said.cause);
        }
        problems.push(d);
    }
}

/// Text for an interpreter that we can't read: without values.
fn check_foreign(
    text: ScriptText<'_>,
    shell: &ShellKind,
    errexit: bool,
    scope: &dyn Scope,
    problems: &mut Problems,
) -> Option<Script> {
    for (index, hole) in text.holes.iter().enumerate() {
        let refusal = shell::Refusal {
            hole: index,
            kind: shell::RefusalKind::UnknownShell(shell.name.clone()),
            at: hole.start..hole.end,
        };
        let said = shell::explain(&refusal, scope.sources().slice(hole.span));
        let mut d = Diagnostic::new(said.code, said.message).primary(hole.span, "").help(said.help);
        if let Some(declared) = shell.declared {
            d = d.label(declared, "the interpreter is chosen here");
        }
        problems.push(d);
    }
    text.holes.is_empty().then_some(Script {
        text: text.text,
        holes: Vec::new(),
        dialect: None,
        shebang: false,
        errexit,
    })
}

/// What the shell's reader is told of a value.
pub(super) fn kind_of(ty: &Type, mark: Mark) -> HoleKind {
    match (mark, ty) {
        (Mark::Raw, _) => HoleKind::Raw,
        (Mark::Quoted, _) => HoleKind::Quoted,
        (Mark::Plain, Type::Int) => HoleKind::Int,
        (Mark::Plain, Type::Bool | Type::Ip | Type::Cidr | Type::Duration | Type::Size) => HoleKind::Plain,
        (Mark::Plain, Type::String | Type::Json | Type::Secret) => HoleKind::Text,
        (Mark::Plain, Type::List(_)) => HoleKind::List,
    }
}

/// Reads the script with the code of its `| raw` values in it, if all are known before the build.
fn try_known_raw(script: &Script) -> Result<(), EvalError> {
    let raw: Vec<&ScriptHole> = script.holes.iter().filter(|h| h.kind == HoleKind::Raw).collect();
    if raw.is_empty() || raw.iter().any(|h| h.value.as_const().is_none()) {
        return Ok(());
    }
    let codes: Vec<Option<String>> = script
        .holes
        .iter()
        .map(|h| (h.kind == HoleKind::Raw).then(|| h.value.as_const().map(Value::to_text)).flatten())
        .collect();
    insert_raw(script, &codes).map(|_| ())
}

/// The script with the code of its `| raw` values in it, and where the other values are then. Refused when the code
/// changes how they are read: it opened a quote, say.
fn insert_raw(script: &Script, codes: &[Option<String>]) -> Result<(String, Vec<Hole>), EvalError> {
    let holes: Vec<Hole> = script.holes.iter().map(|h| Hole { start: h.start, end: h.end, kind: h.kind }).collect();
    if holes.iter().all(|h| h.kind != HoleKind::Raw) {
        return Ok((script.text.clone(), holes));
    }
    let codes: Vec<Option<&str>> = codes.iter().map(Option::as_deref).collect();
    let (text, kept) = shell::insert_raw(&script.text, &holes, &codes);
    let before = script.holes.iter().filter(|h| h.kind != HoleKind::Raw).map(|h| h.context);
    let same = match script.dialect {
        Some(dialect) => shell::read(dialect, &text, &kept).is_ok_and(|after| after.into_iter().eq(before)),
        None => kept.is_empty(),
    };
    if same {
        return Ok((text, kept));
    }
    let span = script.holes.iter().find(|h| h.kind == HoleKind::Raw).map(|h| h.value.span);
    match span {
        Some(span) => Err(EvalError {
            span,
            message: "the code that `| raw` inserts changes how the text around the other values is read".into(),
        }),
        None => Ok((text, kept)),
    }
}

/// The text to run: assignments of the values, then the author's text with constants where they stand. Of a script
/// with `#!` that line stays first. For PowerShell and cmd nothing else is added; that is the runner's business.
pub fn render_script(script: &Script, env: &dyn Env) -> Result<Rendered, EvalError> {
    let mut out = Rendered::default();
    let mut prelude = String::new();
    let mut raw = Vec::with_capacity(script.holes.len());
    let mut names = Vec::new();
    let mut contexts = Vec::new();
    for hole in &script.holes {
        if hole.context == Context::Comment {
            // Nothing stands there, so that nothing need be known.
            raw.push((hole.kind == HoleKind::Raw).then(String::new));
            if hole.kind != HoleKind::Raw {
                names.push(String::new());
                contexts.push(hole.context);
            }
            continue;
        }
        let value = eval(&hole.value, env)?;
        out.note_secrets(&value);
        let text = value.to_text();
        if text.contains('\0') {
            return Err(EvalError {
                span: hole.value.span,
                message: "the value has a NUL character, which no shell variable can hold".into(),
            });
        }
        if hole.kind == HoleKind::Raw {
            raw.push(Some(text));
            continue;
        }
        raw.push(None);
        contexts.push(hole.context);
        if matches!(hole.context, Context::Verbatim) {
            names.push(text);
            continue;
        }
        let name = format!("_vmw{}", names.len() + 1);
        let line = match (script.dialect, &value) {
            (Some(Dialect::PowerShell), Value::Int(v)) => shell::powershell_number(&name, *v),
            (Some(Dialect::PowerShell), _) => shell::powershell_assignment(&name, &text),
            (Some(Dialect::Sh | Dialect::Bash | Dialect::Ksh | Dialect::Cmd) | None, _) => {
                shell::assignment(&name, &text)
            }
        };
        prelude.push_str(&line);
        prelude.push('\n');
        names.push(name);
    }
    let (text, holes) = insert_raw(script, &raw)?;
    let woven = shell::weave(&text, &holes, &contexts, &names);
    out.text = match woven.split_once('\n') {
        Some((first, rest)) if script.shebang => format!("{first}\n{prelude}{rest}"),
        _ => prelude + &woven,
    };
    if !out.text.ends_with('\n') {
        out.text.push('\n');
    }
    Ok(out)
}
