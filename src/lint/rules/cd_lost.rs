//! A directory that the next step doesn't know.

use crate::lint::rule::*;

/// `cd-lost`.
pub static CODE: Code = Code {
    number: 360,
    name: "cd-lost",
    severity: Severity::Warning,
    about: "Every RUN is a shell of its own and begins in WORKDIR, so a `cd` at its end changes nothing. Write \
            `WORKDIR` for the steps that follow, or join the commands: `cd /srv && make`.",
    wrong: concat!("FROM Debian AS web\n", "RUN cd /srv\n", "RUN make\n",),
    right: concat!("FROM Debian AS web\n", "WORKDIR /srv\n", "RUN make\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran.iter().filter(|r| r.name == "cd" && r.depth == 0 && r.shell.usage == Use::Run) {
        // The last of a line; in a subshell or a substitution it isn't, since something follows or closes it.
        let Some((text, command)) = ran.shell.text().zip(ran.command()) else { continue };
        if ran.index + 1 != ran.shell.commands.len()
            || !text.get(command.span.end..).unwrap_or_default().trim().is_empty()
        {
            continue;
        }
        let mut found = Diagnostic::at(&CODE, ran.span(), "the directory is changed for nothing")
            .help("write `WORKDIR` for the steps that follow");
        let instruction = ran.shell.instruction;
        let path = ran.words.get(1).filter(|_| ran.args.len() == 1).and_then(|w| w.text());
        if let Some(path) = path.filter(|p| p.starts_with('/') && !p.contains([' ', '"', '\'']))
            && ran.shell.sole().is_some()
            && instruction.flags.is_empty()
        {
            found = found.replace("write WORKDIR", false, instruction.span, format!("WORKDIR {path}"));
        }
        out.push(found);
    }
}
