//! Settings that end with their step.

use crate::lint::rule::*;

/// `shell-state-lost`.
pub static CODE: Code = Code {
    number: 366,
    name: "shell-state-lost",
    severity: Severity::Warning,
    about: "Every RUN is a shell of its own: variables, functions and settings end with it. `ENV` sets variables \
            for the steps that follow; what one command needs stands in the same RUN.",
    wrong: concat!("FROM Debian AS web\n", "RUN export MODE=production\n",),
    right: concat!("FROM Debian AS web\n", "ENV MODE=production\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    const STATE: &[&str] = &["export", "source", ".", "alias", "umask", "ulimit", "shopt", "unset", "declare", "set"];
    for shell in cx.shells.iter().filter(|s| s.usage == Use::Run) {
        let Some(command) = shell.commands.last() else { continue };
        let plain = |c: &crate::shell::Command| {
            c.words.is_empty() && !c.assignments.is_empty() && c.redirects.is_empty()
                || c.name().is_some_and(|n| STATE.contains(&n.as_ref()))
        };
        // `. ./setup` may do anything besides.
        let runs = |c: &crate::shell::Command| c.name().is_some_and(|n| n == "." || n == "source") && c.words.len() > 1;
        let opaque = |c: &crate::shell::Command| {
            c.words
                .iter()
                .chain(c.assignments.iter().map(|a| &a.word))
                .any(|w| w.pieces.iter().any(|p| matches!(p, crate::shell::Piece::Expansion(_))))
        };
        if !shell.commands.iter().all(plain)
            || shell.commands.iter().any(opaque)
            || runs(command) && shell.sole().is_none()
        {
            continue;
        }
        let span = shell.span_of(command.span.clone());
        let mut found = Diagnostic::at(&CODE, span, "what is set here ends with this step");
        let is_export = command.name().is_some_and(|n| n == "export");
        found = found.help(if is_export || command.words.is_empty() {
            "write `ENV NAME=value` for the steps that follow"
        } else {
            "put it into the RUN that needs it"
        });
        if is_export
            && shell.sole().is_some()
            && command.words.len() == 2
            && shell.instruction.flags.is_empty()
            && let Some(pair) = command.words.get(1).and_then(|w| w.bare_text()).filter(|t| t.contains('='))
        {
            found = found.replace("write ENV", false, shell.instruction.span, format!("ENV {pair}"));
        }
        out.push(found);
    }
}
