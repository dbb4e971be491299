//! apt in scripts.

use crate::lint::rule::*;

/// `apt-for-people`.
pub static CODE: Code = Code {
    number: 361,
    name: "apt-for-people",
    severity: Severity::Warning,
    about: "`apt` is made for people at a terminal: it draws progress, and its options and output may change \
            between releases, as it says itself. `apt-get` and `apt-cache` are made for scripts.",
    wrong: concat!("FROM Debian AS web\n", "RUN apt update\n",),
    right: concat!("FROM Debian AS web\n", "RUN apt-get update\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran.iter().filter(|r| r.name == "apt") {
        let verb = ran.operands().next().map(|(_, w)| w).unwrap_or_default();
        let other = match verb {
            "search" | "show" | "policy" | "depends" | "rdepends" => "apt-cache",
            "list" | "edit-sources" => continue,
            _ => "apt-get",
        };
        // Full upgrades are called otherwise there.
        let same =
            matches!(verb, "install" | "update" | "upgrade" | "remove" | "purge" | "autoremove" | "clean" | "download");
        let found = Diagnostic::at(&CODE, ran.name_span(), "`apt` is for people at a terminal")
            .help(format!("write `{other}`"));
        let plain = ran.words.first().and_then(|w| w.bare_text()) == Some("apt");
        out.push(match cx.replace_word(ran, 0, other).filter(|_| same && plain) {
            // It upgrades with new packages where apt-get keeps back.
            Some(edits) => found.fix(format!("write `{other}`"), verb != "upgrade", edits),
            None => found,
        });
    }
}
