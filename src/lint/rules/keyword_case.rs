//! Instructions in capitals.

use crate::lint::rule::*;

/// `keyword-case`.
pub static CODE: Code = Code {
    number: 500,
    name: "keyword-case",
    severity: Severity::Advice,
    about: "Instructions are written in capitals, so that they stand out from their arguments. Any case is \
            understood. `vmwbuild fmt` writes them so.",
    wrong: "from Debian AS web\n",
    right: "FROM Debian AS web\n",
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for instruction in cx.instructions() {
        let span = instruction.keyword.span;
        let right = instruction.keyword.node.info().name;
        let written = cx.sources.slice(span);
        // A misspelt one is an error already.
        if written != right && written.eq_ignore_ascii_case(right) {
            let message = format!("`{written}` is written `{right}`");
            out.push(Diagnostic::at(&CODE, span, message).replace(format!("write `{right}`"), true, span, right));
        }
    }
}
