//! sudo that may ask.

use crate::lint::rule::*;

/// `sudo-asks`.
pub static CODE: Code = Code {
    number: 353,
    name: "sudo-asks",
    severity: Severity::Warning,
    about: "Without `-n` sudo asks for a password where the rules want one, and there is no terminal to answer \
            on: the step fails with a message about a terminal, or waits. With `-n` it says at once that a \
            password is needed. Simpler still is `USER root` before the steps: it gives sudo the LOGIN's \
            password, or what USER's own PASSWORD says.",
    wrong: concat!("FROM Debian AS web\n", "RUN cd /srv/app && sudo make install\n",),
    right: concat!("FROM Debian AS web\n", "RUN cd /srv/app && sudo -n make install\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran.iter().filter(|r| r.name == "sudo") {
        // Its own options stand before the command.
        let own: Vec<&str> = ran.args.iter().map(|a| &**a).take_while(|a| a.starts_with('-')).collect();
        let quiet = |a: &&str| {
            matches!(*a, "--non-interactive" | "--stdin" | "--askpass" | "--version" | "--list" | "-V" | "-l")
                || !a.starts_with("--") && a.contains(['n', 'S', 'A'])
        };
        if own.iter().any(quiet) || ran.args.is_empty() || ran.args.first().is_some_and(|a| a == "su") {
            continue;
        }
        let found = Diagnostic::at(&CODE, ran.name_span(), "sudo may ask for a password, and nobody answers")
            .help("write `sudo -n`, or `USER root` before the steps");
        out.push(match cx.insert_after(ran, 0, " -n") {
            Some(edits) => found.fix("write `sudo -n`", true, edits),
            None => found,
        });
    }
}
