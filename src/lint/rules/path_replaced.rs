//! A PATH without the guest's own.

use crate::lint::rule::*;

/// `path-replaced`.
pub static CODE: Code = Code {
    number: 367,
    name: "path-replaced",
    severity: Severity::Warning,
    about: "PATH is set to new directories alone, so none of the guest's own commands is found any longer, `cat` \
            and `sed` included. Keep what was: `ENV PATH=/opt/bin:$PATH`.",
    wrong: concat!("FROM Debian AS web\n", "ENV PATH=/opt/bin\n",),
    right: concat!("FROM Debian AS web\n", "ENV PATH=/opt/bin:$PATH\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for instruction in cx.instructions() {
        let Body::Env { pairs } = &instruction.body else { continue };
        for pair in pairs.iter().filter(|p| p.key.node == "PATH") {
            let Some(value) = pair.value.literal() else { continue };
            let whole = ["/usr/bin", "/bin"].iter().any(|d| value.split(':').any(|p| p == *d));
            if value.contains("$PATH") || value.contains("${PATH") || whole {
                continue;
            }
            let mut found =
                Diagnostic::at(&CODE, pair.key.span.to(pair.value.span), "the guest's own PATH is forgotten")
                    .help("keep it: `ENV PATH=/opt/bin:$PATH`");
            if !cx.sources.slice(pair.value.span).ends_with(['"', '\'']) && !value.is_empty() {
                found = found.replace("add `:$PATH`", false, pair.value.span.after(), ":$PATH");
            }
            out.push(found);
        }
    }
}
