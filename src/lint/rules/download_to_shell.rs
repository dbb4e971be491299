//! Downloads run unseen.

use crate::lint::rule::*;

/// `download-piped-to-shell`.
pub static CODE: Code = Code {
    number: 408,
    name: "download-piped-to-shell",
    severity: Severity::Advice,
    about: "What a server answers is run at once: half of it when the connection breaks, and anything when the \
            server is somebody else's. Save it, check its digest, then run it.",
    wrong: concat!("FROM Debian AS web\n", "RUN curl -fsSL https://example.com/install.sh | sh\n",),
    right: concat!(
        "FROM Debian AS web\n",
        "RUN curl -fsSL -o /tmp/install.sh https://example.com/install.sh\n",
        "RUN echo \"${{ \"0f0f\" }}  /tmp/install.sh\" | sha256sum -c && sh /tmp/install.sh\n",
    ),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    const SHELLS: &[&str] = &["sh", "bash", "dash", "ksh", "zsh", "python", "python3", "perl", "ruby"];
    for ran in cx.ran.iter().filter(|r| r.is(&["curl", "wget"])) {
        let Some(command) = ran.command() else { continue };
        let run = cx.ran.iter().find(|r| {
            std::ptr::eq(r.shell, ran.shell)
                && command.pipes_into.contains(&r.index)
                && r.is(SHELLS)
                && !r.has(&["-c"])
                && r.operands().next().is_none_or(|(_, w)| w == "-")
        });
        if let Some(run) = run {
            let message = format!("`{}` runs whatever the server answers", run.name);
            out.push(
                Diagnostic::at(&CODE, run.name_span(), message)
                    .label(ran.name_span(), "fetched here")
                    .help("save it, check its digest, then run it"),
            );
        }
    }
}
