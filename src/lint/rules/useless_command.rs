//! Commands that do nothing here.

use crate::lint::rule::*;

/// `useless-command`.
pub static CODE: Code = Code {
    number: 365,
    name: "useless-command",
    severity: Severity::Warning,
    about: "The command does nothing in a build: it is for somebody at a terminal, or its effect ends with it.",
    wrong: concat!("FROM Debian AS web\n", "RUN clear && /opt/app/setup\n",),
    right: concat!("FROM Debian AS web\n", "RUN /opt/app/setup\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran.iter().filter(|r| r.depth == 0) {
        let why = match &*ran.name {
            "clear" | "reset" | "tput" => "there is no terminal to draw on",
            "man" | "info" | "help" => "nobody reads it",
            "history" | "fc" => "a script has no history",
            "free" | "finger" | "w" | "who" if ran.shell.sole().is_some() && ran.shell.usage == Use::Run => {
                "it only shows what is; nothing comes of it"
            }
            "bash" | "sh" | "zsh"
                if ran.args.is_empty() && ran.shell.sole().is_some_and(|c| c.redirects.is_empty()) =>
            {
                "a shell without anything to read ends at once"
            }
            _ => continue,
        };
        let found = Diagnostic::at(&CODE, ran.name_span(), format!("`{}` does nothing here", ran.name)).note(why);
        out.push(found.help("take it out"));
    }
}
