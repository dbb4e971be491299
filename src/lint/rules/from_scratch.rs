//! Machines out of nothing, as images are.

use crate::lint::rule::*;

/// `from-scratch`.
pub static CODE: Code = Code {
    number: 235,
    name: "from-scratch",
    severity: Severity::Warning,
    about: "In a Dockerfile `scratch` is the empty image. Here every machine is a clone, and `scratch` is looked for as \
            a template of that name. Write the template that the machine is made of.",
    wrong: concat!("FROM scratch AS web\n", "RUN true\n"),
    right: concat!("FROM Debian AS web\n", "RUN true\n"),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for stage in cx.stages.iter().filter(|s| s.parent.is_none()) {
        let Body::From { source, .. } = &stage.from.body else { continue };
        if source.literal().is_some_and(|name| name == "scratch") {
            let message = "`scratch` is looked for as a template of that name";
            out.push(
                Diagnostic::at(&CODE, source.span, message)
                    .help("there is no empty machine to begin with: write the template to clone"),
            );
        }
    }
}
