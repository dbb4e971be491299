//! Error pages taken for downloads.

use crate::lint::rule::*;

/// `keeps-error-page`.
pub static CODE: Code = Code {
    number: 364,
    name: "keeps-error-page",
    severity: Severity::Warning,
    about: "Without `-f` curl calls it a success when the server answers \"404 Not Found\", and saves or pipes \
            on that answer's page. With it, it fails.",
    wrong: concat!("FROM Debian AS web\n", "RUN curl -sSLO https://example.com/app.tar.gz\n",),
    right: concat!("FROM Debian AS web\n", "RUN curl -fsSLO https://example.com/app.tar.gz\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran.iter().filter(|r| r.name == "curl" && !r.args.is_empty()) {
        let careful =
            ran.letter('f') || ran.has(&["--fail", "--fail-with-body", "--fail-early", "--version", "--help"]);
        // Whoever asks for the status or the headers looks at them.
        let looks = ran.has(&["-w", "--write-out", "--head"]) || ran.letter('I') || ran.letter('w') || ran.letter('i');
        if careful || looks {
            continue;
        }
        let found =
            Diagnostic::at(&CODE, ran.name_span(), "curl takes a server's error page for the file").help("add `-f`");
        out.push(match cx.insert_after(ran, 0, " -f") {
            Some(edits) => found.fix("add `-f`", false, edits),
            None => found,
        });
    }
}
