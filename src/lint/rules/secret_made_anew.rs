//! Secrets that the next build makes anew, for machines that stay.

use crate::lint::rule::*;
use crate::syntax::ast::ExprKind;

/// `secret-made-anew`.
pub static CODE: Code = Code {
    number: 410,
    name: "secret-made-anew",
    severity: Severity::Warning,
    about: "GENERATE makes another value in each build. Machines that stay (`OUTPUT --exists=keep`, or those that `vmwbuild \
            up` looks after, with HEALTHCHECK or ONREMOVE) keep the one of the build that made them, and those that a later \
            build adds or replaces get another one: they don't fit together. Give the secret from outside, or have one \
            machine make it and capture it as a KEY, which a later build reads again.",
    wrong: concat!(
        "SECRET token GENERATE 40\n",
        "FROM Debian AS pool FOR n IN 1..3\n",
        "OUTPUT --exists=keep VM pool-${{ n }}\n",
        "RUN printf %s ${{ token }} > /etc/pool.token\n",
    ),
    right: concat!(
        "SECRET token\n",
        "FROM Debian AS pool FOR n IN 1..3\n",
        "OUTPUT --exists=keep VM pool-${{ n }}\n",
        "RUN printf %s ${{ token }} > /etc/pool.token\n",
    ),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    let Some(lasts) = cx.instructions().find_map(lasting) else { return };
    for instruction in cx.instructions() {
        let Body::Secret { name, generate: Some(_) } = &instruction.body else { continue };
        if shared(cx, &name.node) {
            let message = format!("`{}` is another one in each build, and machines of this file stay", name.node);
            out.push(
                Diagnostic::new(&CODE, message)
                    .primary(name.span, "made anew by each build that isn't given it")
                    .label(lasts, "these stay as they are")
                    .help(format!(
                        "leave GENERATE out and give it (`--secret id={0},src=FILE`), or keep the first one with `--secret-out id={0},dst=FILE`",
                        name.node
                    )),
            );
        }
    }
}

/// Whether several machines have it. What only one has it can hand on as a KEY, which a later build reads again.
fn shared(cx: &Cx<'_>, secret: &str) -> bool {
    let uses = |instruction: &Instruction| {
        let mut found = false;
        walk::exprs(instruction, &mut |expr| found |= matches!(&expr.kind, ExprKind::Name(name) if name == secret));
        found
    };
    let machines = cx.stages.iter().filter(|stage| stage.lines.iter().any(|line| uses(line))).map(|stage| match &stage
        .from
        .body
    {
        Body::From { replicas: Some(_), .. } | Body::On { .. } => 2,
        _ => 1,
    });
    cx.globals.iter().any(|line| uses(line)) || machines.sum::<usize>() > 1
}

/// What shows that machines outlive the build.
fn lasting(instruction: &Instruction) -> Option<Span> {
    match &instruction.body {
        Body::Output { .. } => {
            let flag = instruction.flag("exists")?;
            (flag.value.as_ref()?.literal()? == "keep").then_some(flag.span)
        }
        Body::Healthcheck { .. } | Body::OnRemove { .. } => Some(instruction.keyword.span),
        _ => None,
    }
}
