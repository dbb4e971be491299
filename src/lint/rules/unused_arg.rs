//! ARGs that nothing uses.

use crate::lint::rule::*;

/// `unused-arg`.
pub static CODE: Code = Code {
    number: 232,
    name: "unused-arg",
    severity: Severity::Warning,
    about: "An ARG is declared and never used: whoever gives it a value by `--arg` changes nothing. Take it out, \
            or use it where the value is still written by hand.",
    wrong: concat!("ARG size = \"small\"\n", "FROM Debian AS web\n",),
    right: concat!("ARG template = \"Debian\"\n", "FROM ${{ template }} AS web\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    if cx.stages.is_empty() {
        // A part that other files include.
        return;
    }
    let named = super::unused_secret::named(cx);
    for instruction in cx.instructions() {
        let Body::Arg { name, .. } = &instruction.body else { continue };
        if !named.contains(name.node.as_str()) {
            let message = format!("`{}` is never used", name.node);
            out.push(Diagnostic::at(&CODE, name.span, message).help("take it out, or put it where it belongs"));
        }
    }
}
