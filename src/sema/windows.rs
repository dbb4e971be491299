//! What only one family of guests has.

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;
use crate::syntax::Keyword;
use crate::syntax::ast::{Body, Command, Instruction, KeyFrom, OnFail, Piece, Text, WaitFor};

use super::codes;
use super::program::Os;

/// Refuses what the guest's family hasn't.
pub(super) fn check(os: Os, instruction: &Instruction, problems: &mut Problems) {
    let method = instruction.flag("method").and_then(|flag| {
        let network = matches!(instruction.keyword.node, Keyword::Address | Keyword::Hostname);
        flag.value.as_ref().and_then(Text::literal).filter(|_| network).map(|word| (word, flag.span))
    });
    match os {
        Os::Unix => {
            if let Some((_, span)) = method.filter(|(word, _)| word == "powershell") {
                refuse(span, "this guest is no Windows, and has no PowerShell to configure its network", problems)
                    .help("leave `--method` out, or write `FROM --os=windows`");
            }
        }
        Os::Windows => on_windows(instruction, method, problems),
    }
}

/// A diagnostic that is told when its help is there.
struct Refusal<'a>(Diagnostic, &'a mut Problems);

impl Refusal<'_> {
    fn help(self, help: &str) {
        self.1.push(self.0.help(help));
    }
}

fn refuse<'a>(span: Span, message: impl Into<String>, problems: &'a mut Problems) -> Refusal<'a> {
    Refusal(Diagnostic::at(&codes::WRONG_FAMILY, span, message.into()), problems)
}

fn on_windows(instruction: &Instruction, method: Option<(String, Span)>, problems: &mut Problems) {
    if let Some((word, span)) = method.filter(|(word, _)| matches!(word.as_str(), "nmcli" | "netplan" | "ifupdown")) {
        refuse(span, format!("{word} configures networks of Linux, and this guest is Windows"), problems)
            .help("leave `--method` out: PowerShell does it; or use `--method=customize`");
    }
    const LOGIN: &str = "let another account log in from here on: `LOGIN user PASSWORD ${{ password }}`";
    if matches!(instruction.body, Body::User { .. }) {
        refuse(instruction.span, "on Windows nobody becomes another user in mid-session", problems).help(LOGIN);
    }
    for flag in &instruction.flags {
        match flag.name.node.as_str() {
            "user" => {
                refuse(flag.span, "on Windows nobody becomes another user in mid-session", problems).help(LOGIN);
            }
            "chown" | "chmod" => {
                refuse(flag.span, format!("files of Windows have no `--{}`", flag.name.node), problems)
                    .help("leave it out, and set rights with `RUN icacls …` where the inherited ones won't do");
            }
            _ => {}
        }
    }
    let command = match &instruction.body {
        Body::Run { command }
        | Body::Key { from: KeyFrom::Run(command), .. }
        | Body::Wait { what: WaitFor::Run(command) }
        | Body::OnFail { action: OnFail::Run(command) }
        | Body::Healthcheck { command }
        | Body::OnRemove { command } => command,
        _ => return,
    };
    match command {
        Command::Script => {
            let first = instruction.heredocs.first().and_then(|h| h.body.pieces.first());
            if let Some(Piece::Literal { text, span, .. }) = first
                && text.starts_with("#!")
            {
                let line = text.find('\n').unwrap_or(text.len());
                let start = span.start as usize;
                let at = Span::new(span.source, start, (start + line).min(span.end as usize));
                refuse(at, "Windows doesn't read a `#!` line", problems)
                    .help("name the interpreter with SHELL: `SHELL [\"python\"]`");
            }
        }
        Command::Shell(_) => {
            if let Some(heredoc) = instruction.heredocs.first() {
                refuse(heredoc.marker, "a heredoc beside a command is a thing of Unix shells", problems).help(
                    "use a script (`RUN <<EOF`, its lines, `EOF`), with a here-string of PowerShell in it: `@\"`",
                );
            }
        }
        Command::Exec(_) => {}
    }
}
