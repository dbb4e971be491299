//! Names of stages in small letters.

use crate::lint::rule::*;

/// `stage-name-case`.
pub static CODE: Code = Code {
    number: 501,
    name: "stage-name-case",
    severity: Severity::Advice,
    about: "Names of stages are written in small letters with underscores, as those of ARGs, SECRETs and KEYs \
            are. Names are told apart by case, and mixed ones are misspelt sooner.",
    wrong: "FROM Debian AS WebServer\n",
    right: "FROM Debian AS web_server\n",
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for stage in &cx.stages {
        let alias = match &stage.from.body {
            Body::From { alias, .. } | Body::On { alias, .. } => alias.as_ref(),
            _ => None,
        };
        let Some(alias) = alias.filter(|a| a.node.chars().any(char::is_uppercase)) else { continue };
        let mut right = String::new();
        for (index, c) in alias.node.char_indices() {
            let after_small = alias.node.get(..index).and_then(|b| b.chars().last()).is_some_and(char::is_lowercase);
            if c.is_uppercase() && after_small {
                right.push('_');
            }
            right.extend(c.to_lowercase());
        }
        let message = format!("the stage `{}` is written with capitals", alias.node);
        // Its name is used elsewhere too, and names the template it leaves: no mend of one place.
        out.push(Diagnostic::at(&CODE, alias.span, message).help(format!("call it `{right}`")));
    }
}
