//! Progress bars in the log.

use crate::lint::rule::*;

/// `progress-bars`.
pub static CODE: Code = Code {
    number: 363,
    name: "progress-bars",
    severity: Severity::Advice,
    about: "Output is kept and shown as lines, and a progress bar is thousands of characters that only a \
            terminal makes sense of. Tell the program to be quiet, but not about errors: `curl -sS`, `wget -nv`.",
    wrong: concat!("FROM Debian AS web\n", "RUN curl -fLO https://example.com/app.tar.gz\n",),
    right: concat!("FROM Debian AS web\n", "RUN curl -fsSLO https://example.com/app.tar.gz\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran {
        let (loud, option) = match &*ran.name {
            "curl" => {
                (!ran.letter('s') && !ran.has(&["--silent", "--no-progress-meter", "--version", "--help"]), "-sS")
            }
            "wget" => {
                let quiet = ran.letter('q') || ran.has(&["--quiet", "--no-verbose", "-nv", "--version"]);
                (!quiet && !ran.args.iter().any(|a| a.starts_with("-n") && a.contains('v')), "-nv")
            }
            _ => continue,
        };
        if !loud || ran.args.is_empty() {
            continue;
        }
        let found = Diagnostic::at(&CODE, ran.name_span(), format!("`{}` draws its progress into the log", ran.name))
            .help(format!("add `{option}`"));
        out.push(match cx.insert_after(ran, 0, &format!(" {option}")) {
            Some(edits) => found.fix(format!("add `{option}`"), true, edits),
            None => found,
        });
    }
}
