//! sudo where USER serves.

use crate::lint::rule::*;

/// `sudo-for-user`.
pub static CODE: Code = Code {
    number: 354,
    name: "sudo-for-user",
    severity: Severity::Advice,
    about: "The whole command runs under sudo. `USER root` before the steps, or `--user=root` on the one, says \
            the same without depending on sudo's rules in each command, redirections included: in `sudo -n echo \
            x > /etc/y` the file is opened without sudo.",
    wrong: concat!("FROM Debian AS web\n", "RUN sudo -n systemctl restart nginx\n",),
    right: concat!("FROM Debian AS web\n", "RUN --user=root systemctl restart nginx\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran.iter().filter(|r| r.name == "sudo" && r.depth == 0 && r.index == 0) {
        let Some(command) = ran.shell.sole() else { continue };
        let plain =
            command.assignments.is_empty() && ran.args.iter().take_while(|a| a.starts_with('-')).all(|a| a == "-n");
        let commanded = ran.operands().next().is_some_and(|(_, w)| w != "su");
        // Without -n it is told by another lint, and this one after that is mended.
        let quiet = ran.args.first().is_some_and(|a| a == "-n");
        if plain && commanded && quiet && !ran.shell.has_user() {
            out.push(
                Diagnostic::at(&CODE, ran.name_span(), "the whole command runs as root by sudo")
                    .help("write `USER root` before the steps, or `--user=root` on this one"),
            );
        }
    }
}
