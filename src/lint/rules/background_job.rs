//! Programs left in the background.

use crate::lint::rule::*;

/// `background-job`.
pub static CODE: Code = Code {
    number: 358,
    name: "background-job",
    severity: Severity::Warning,
    about: "A program in the background that still holds the step's output keeps the step from ending, or dies \
            with it when its output is closed. Start a service (`systemctl start`), or redirect output and \
            errors, as in `nohup program >/var/log/program.log 2>&1 &`.",
    wrong: concat!("FROM Debian AS web\n", "RUN /opt/app/server &\n",),
    right: concat!("FROM Debian AS web\n", "RUN nohup /opt/app/server >/var/log/app.log 2>&1 &\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for shell in cx.shells {
        let Some(text) = shell.text() else { continue };
        if !shell.dialect.is_some_and(crate::shell::Dialect::is_posix) {
            continue;
        }
        // A script that waits for its children knows what it does.
        let waits = shell.commands.iter().any(|c| c.name().is_some_and(|n| n == "wait"));
        for command in shell.commands.iter().filter(|_| !waits) {
            let rest = text.get(command.span.end..).unwrap_or_default();
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            let after = rest.trim_start_matches([' ', '\t']);
            if !after.starts_with('&') || after.starts_with("&&") || after.starts_with("&>") || command.words.is_empty()
            {
                continue;
            }
            let to = |number: &str| {
                command.redirects.iter().any(|r| {
                    let bare = r.operator.trim_start_matches(|c: char| c.is_ascii_digit());
                    let written = text.get(r.span.clone()).unwrap_or_default();
                    let both = bare.starts_with("&>");
                    let own = match written.strip_prefix(number) {
                        Some(rest) => rest.starts_with('>'),
                        None => number == "1" && written.starts_with('>'),
                    };
                    both || own
                })
            };
            // What a parser keeps of `2>&1` differs; the text has it.
            let errors = to("2") || text.get(command.span.clone()).is_some_and(|t| t.contains("2>"));
            let output =
                to("1") || text.get(command.span.clone()).is_some_and(|t| t.contains("&>") || t.contains(">&"));
            if output && errors {
                continue;
            }
            let at = command.span.end + blanks;
            out.push(
                Diagnostic::at(&CODE, shell.span_of(at..at + 1), "a program in the background holds the step's output")
                    .help("start it as a service, or redirect both: `>FILE 2>&1 &`"),
            );
        }
    }
}
