//! Guest commands without a shell: `["exe", "arg"…]`.

use crate::diagnostic::{Diagnostic, Problems};
use crate::shell::{self, Dialect, Hole, HoleKind, RefusalKind};
use crate::source::Span;
use crate::syntax::ast::{Expr, Piece, Text};

use super::codes_values as codes;
use super::expr::Scope;
use super::expr_check::check_hole;
use super::program::{Invocation, Template};
use super::script::kind_of;
use super::text::{Secrets, Usage, check_text};

/// Each argument as it is. Refused where the program makes code of a value.
pub(super) fn check_exec(argv: &[Text], scope: &dyn Scope, problems: &mut Problems) -> Option<Invocation> {
    let usage = Usage { what: "an argument", secrets: Secrets::Allowed };
    let mut out = Vec::with_capacity(argv.len());
    let mut good = true;
    for arg in argv {
        match check_text(arg, usage, scope, problems) {
            Some(template) => out.push(template),
            None => good = false,
        }
    }
    if !good {
        return None;
    }
    good &= refuse_batch(argv, &out, problems);
    good &= refuse_reread(argv, scope, problems);
    good &= refuse_windows_shell(argv, &out, scope, problems);
    good.then_some(Invocation::Exec(out))
}

fn holes(text: &Text) -> impl Iterator<Item = (&Expr, Span)> {
    text.pieces.iter().filter_map(|piece| match piece {
        Piece::Hole { expr, span, .. } => Some((expr, *span)),
        Piece::Literal { .. } | Piece::Escaped { .. } => None,
    })
}

/// What is known of a value that has passed the check.
fn kind(expr: &Expr, scope: &dyn Scope) -> HoleKind {
    check_hole(expr, scope, &mut Problems::new()).map_or(HoleKind::Text, |(rt, mark)| kind_of(&rt.ty, mark))
}

fn refuse_batch(argv: &[Text], checked: &[Template], problems: &mut Problems) -> bool {
    let program = checked.first().and_then(Template::as_literal).unwrap_or_default().to_ascii_lowercase();
    if !program.ends_with(".bat") && !program.ends_with(".cmd") {
        return true;
    }
    let mut good = true;
    for (_, span) in argv.iter().skip(1).flat_map(holes) {
        problems.push(
            Diagnostic::new(&codes::BATCH_ARGUMENT, "a batch file's arguments are read as code")
                .primary(span, "no value can be given here")
                .label(argv.first().map_or(span, |a| a.span), "a batch file")
                .help("give it through the environment: `ENV NAME=…`, and `%NAME%` in the batch file"),
        );
        good = false;
    }
    good
}

/// `["sh", "-c", "… ${{ x }}"]`, `["ssh", "host", "… ${{ x }}"]`: the program reads the value as code. The shell's
/// reader knows such programs; it is shown the array as a command, each argument quoted.
fn refuse_reread(argv: &[Text], scope: &dyn Scope, problems: &mut Problems) -> bool {
    let mut text = String::new();
    let mut places = Vec::new();
    let mut spans = Vec::new();
    for arg in argv {
        if !text.is_empty() {
            text.push(' ');
        }
        let start = text.len();
        for piece in &arg.pieces {
            match piece {
                Piece::Literal { text: literal, .. } => text.push_str(&shell_word(literal)),
                Piece::Escaped { .. } => text.push_str("'${{'"),
                Piece::Hole { expr, span, .. } => {
                    let at = text.len();
                    text.push_str("${{_}}");
                    places.push((Hole::new(at..text.len(), kind(expr, scope)), *span));
                }
            }
        }
        if text.len() == start {
            text.push_str("''");
        }
        spans.push((start..text.len(), arg.span));
    }
    let holes: Vec<Hole> = places.iter().map(|(hole, _)| *hole).collect();
    let Err(refusals) = shell::read(Dialect::Sh, &text, &holes) else { return true };
    let mut good = true;
    for refusal in refusals {
        // Nothing else matters where there is no shell.
        if !matches!(refusal.kind, RefusalKind::Reread(_) | RefusalKind::QuotedTwice(_)) {
            continue;
        }
        let Some((_, span)) = places.get(refusal.hole) else { continue };
        let said = shell::explain(&refusal, scope.sources().slice(*span));
        let mut d = Diagnostic::new(said.code, said.message).primary(*span, "").help(
            "give the value as an argument: `[\"sh\", \"-c\", \"… \\\"$1\\\"\", \"sh\", \"${{ x }}\"]`, or use \
             `RUN` without an array",
        );
        let at = spans.iter().find(|(range, _)| range.contains(&refusal.at.start)).map(|(_, span)| *span);
        if let Some(at) = at.filter(|at| at.end <= span.start || span.end <= at.start) {
            d = d.label(at, said.cause);
        }
        problems.push(d);
        good = false;
    }
    good
}

/// Literal text as part of a word. Words of plain characters stay bare, since an option is recognised by them.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { shell::quote(text) }
}

/// `["powershell", "-Command", …]` and `["cmd", "/c", …]`: all that follows is a script.
fn refuse_windows_shell(argv: &[Text], checked: &[Template], scope: &dyn Scope, problems: &mut Problems) -> bool {
    let word = |i: usize| checked.get(i).and_then(Template::as_literal).map(str::to_ascii_lowercase);
    let begins_script = |word: &str| match checked.first().and_then(Template::as_literal).and_then(shell::dialect_of) {
        Some(Dialect::PowerShell) => word.len() > 1 && ("-command".starts_with(word) || "/command".starts_with(word)),
        Some(Dialect::Cmd) => word.starts_with("/c") || word.starts_with("/k") || word.starts_with("/r"),
        Some(Dialect::Sh | Dialect::Bash | Dialect::Ksh) | None => false,
    };
    let Some(flag) = (1..checked.len()).find(|&i| word(i).is_some_and(|w| begins_script(&w))) else { return true };
    let mut good = true;
    for (expr, span) in argv.iter().skip(flag).flat_map(holes) {
        if matches!(kind(expr, scope), HoleKind::Int | HoleKind::Plain) {
            continue;
        }
        problems.push(
            Diagnostic::new(&shell::codes::REREAD, "this text is read as code, and the value in it with it")
                .primary(span, "")
                .label(argv.get(flag).map_or(span, |a| a.span), "what follows is a script")
                .help("use `RUN` without an array, or give the value through ENV"),
        );
        good = false;
    }
    good
}
