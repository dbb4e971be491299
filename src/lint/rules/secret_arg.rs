//! Secrets given as ARGs.

use crate::lint::rule::*;

/// `secret-named-arg`.
pub static CODE: Code = Code {
    number: 401,
    name: "secret-named-arg",
    severity: Severity::Warning,
    about: "By its name this ARG is a secret. What is given with `--arg` stands in process lists, shell \
            histories and CI logs, and isn't masked in the build's output. SECRET takes it from a variable, a \
            file or a command, and it never shows up.",
    wrong: concat!("ARG db_password\n", "FROM Debian AS web\n", "ENV DB=${{ db_password }}\n",),
    right: concat!("SECRET db_password\n", "FROM Debian AS web\n", "ENV DB=${{ db_password }}\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for instruction in cx.instructions() {
        let Body::Arg { name, ty, .. } = &instruction.body else { continue };
        let harmless = ty.as_ref().is_some_and(|t| {
            use crate::syntax::ast::Type;
            matches!(t.node, Type::Int | Type::Bool | Type::Duration | Type::Size | Type::Ip | Type::Cidr)
        });
        if names_secret(&name.node) && !harmless {
            out.push(
                Diagnostic::at(
                    &CODE,
                    name.span,
                    format!("`{}` is a secret by its name, and an ARG is none", name.node),
                )
                .help(format!("write `SECRET {}`", name.node)),
            );
        }
    }
}
