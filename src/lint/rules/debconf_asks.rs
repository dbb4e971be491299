//! Packages that ask.

use crate::lint::rule::*;

/// `debconf-asks`.
pub static CODE: Code = Code {
    number: 356,
    name: "debconf-asks",
    severity: Severity::Advice,
    about: "Packages of Debian and Ubuntu may ask about their configuration while they are installed. Without a \
            terminal debconf tries its dialogs one after the other and complains about each, and some \
            maintainers' scripts wait. `ENV DEBIAN_FRONTEND=noninteractive` before takes the answers that are \
            given beforehand.",
    wrong: concat!("FROM Debian AS web\n", "RUN apt-get install -y tzdata\n",),
    right: concat!("FROM Debian AS web\n", "ENV DEBIAN_FRONTEND=noninteractive\n", "RUN apt-get install -y tzdata\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    const NAME: &str = "DEBIAN_FRONTEND";
    let mut told: Option<usize> = None;
    for ran in cx.ran {
        let Some(call) = packages::call(ran).filter(|c| c.kind == packages::Kind::Apt) else { continue };
        if !(call.installs() || call.upgrades_all()) || ran.shell.has_env(NAME) || told == Some(ran.shell.stage) {
            continue;
        }
        // In the text at all: `export`, before the command, through `env`.
        if ran.shell.text().is_some_and(|t| t.contains(NAME)) {
            continue;
        }
        told = Some(ran.shell.stage);
        let line = ran.shell.instruction.keyword.span;
        let edit = Edit { span: Span { end: line.start, ..line }, text: format!("ENV {NAME}=noninteractive\n") };
        out.push(
            Diagnostic::at(&CODE, ran.name_span(), "packages may ask about their configuration")
                .help(format!("write `ENV {NAME}=noninteractive` before the step"))
                .fix("set DEBIAN_FRONTEND before", false, vec![edit]),
        );
    }
}
