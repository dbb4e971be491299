//! Values in the text of other languages.

use crate::lint::rule::*;
use crate::sema::program::RtKind;
use crate::shell::{self, Hole};

/// `value-in-foreign-code`.
pub static CODE: Code = Code {
    number: 403,
    name: "value-in-foreign-code",
    severity: Severity::Warning,
    about: "A value stands in the text of a program in another language, which nothing quotes there: a quote or \
            a line end in it ends the string, and what follows is code. Give it as data: `awk -v name=${{ x }}`, \
            `jq --arg name ${{ x }}`, `python3 -c '…sys.argv[1]…' ${{ x }}`, `psql -v name=${{ x }}` with \
            `:'name'`.",
    wrong: concat!("ARG name\n", "FROM Debian AS web\n", "RUN awk \"/${{ name }}/ { print }\" /etc/passwd\n",),
    right: concat!(
        "ARG name\n",
        "FROM Debian AS web\n",
        "RUN awk -v name=${{ name }} '$0 ~ name { print }' /etc/passwd\n",
    ),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for (_, step, script) in cx.scripts() {
        let Some(dialect) = script.dialect.filter(|_| !script.holes.is_empty()) else { continue };
        let holes: Vec<Hole> = script.holes.iter().map(|h| Hole::new(h.start..h.end, h.kind)).collect();
        for found in shell::foreign_code(dialect, &script.text, &holes) {
            let Some(hole) = script.holes.get(found.hole) else { continue };
            // What the file itself says holds no surprise.
            if matches!(hole.value.kind, RtKind::Const(_)) && cx.sources.slice(hole.value.span).starts_with('"') {
                continue;
            }
            let span = if hole.value.span.source == step.span.source { hole.value.span } else { step.span };
            let message = format!("this value becomes a part of {} text, unquoted", found.language);
            out.push(Diagnostic::at(&CODE, span, message).help(match found.language {
                "awk" => "give it as a variable: `awk -v name=${{ … }} '…name…'`",
                "jq" => "give it as a variable: `jq --arg name ${{ … }} '…$name…'`",
                "sed" => "check that it can hold no `/`, `&` or line end, or use `awk -v`",
                "SQL" => "give it as a variable of the client (`psql -v name=${{ … }}`, then `:'name'`), or check it",
                _ => "give it as an argument of the program, or as a variable of its environment",
            }));
        }
    }
}
