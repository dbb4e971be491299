//! Package managers that ask.

use crate::lint::rule::*;

/// `package-manager-asks`.
pub static CODE: Code = Code {
    number: 355,
    name: "package-manager-asks",
    severity: Severity::Warning,
    about: "Without an option that says yes the package manager asks whether to go on. There is no terminal to \
            answer on, so it takes that for a no and fails, or waits until the step's deadline.",
    wrong: concat!("FROM Centos AS web\n", "RUN yum install nginx\n",),
    right: concat!("FROM Centos AS web\n", "RUN yum install -y nginx\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran {
        let Some(call) = packages::call(ran) else { continue };
        if !(call.installs() || call.upgrades_all() || call.removes() || call.verb == "upgrade") || answered(ran, &call)
        {
            continue;
        }
        let (option, after) = match call.kind {
            packages::Kind::Apt | packages::Kind::Yum => ("-y", call.at + 1),
            packages::Kind::Zypper => ("--non-interactive", 0),
            packages::Kind::Pacman => ("--noconfirm", call.at + 1),
            packages::Kind::Apk => continue,
        };
        let message = format!("`{} {}` asks whether to go on, and nobody answers", ran.name, call.verb);
        let found = Diagnostic::at(&CODE, ran.span(), message).help(format!("add `{option}`"));
        out.push(match cx.insert_after(ran, after, &format!(" {option}")) {
            Some(edits) => found.fix(format!("add `{option}`"), true, edits),
            None => found,
        });
    }
}

fn answered(ran: &Ran<'_>, call: &packages::Call<'_>) -> bool {
    let piped =
        ran.shell.commands.iter().any(|c| c.pipes_into.contains(&ran.index) && c.name().is_some_and(|n| n == "yes"));
    let simulated =
        ran.has(&["-s", "--simulate", "--dry-run", "--assumeno", "--downloadonly", "--download-only", "--print"]);
    piped
        || simulated
        || match call.kind {
            packages::Kind::Apt => {
                ran.letter('y')
                    || ran.has(&["--yes", "--assume-yes"])
                    || ran.args.iter().filter(|a| *a == "-q").count() > 1
                    || ran.args.iter().any(|a| a == "-qq" || a.contains("Assume-Yes"))
            }
            packages::Kind::Yum => ran.letter('y') || ran.has(&["--assumeyes"]),
            packages::Kind::Zypper => {
                ran.letter('n') || ran.letter('y') || ran.has(&["--non-interactive", "--no-confirm"])
            }
            packages::Kind::Pacman => ran.has(&["--noconfirm"]),
            packages::Kind::Apk => true,
        }
}
