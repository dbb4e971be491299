//! Keys that nothing asks for.

use std::collections::HashSet;

use crate::lint::rule::*;
use crate::sema::order_refs;
use crate::sema::program::Ref;
use crate::syntax::ast::{ExprKind, Piece};

/// `unused-key`.
pub static CODE: Code = Code {
    number: 230,
    name: "unused-key",
    severity: Severity::Warning,
    about: "A KEY captures something that nothing asks for. Its command runs all the same, and whoever reads the \
            file looks for the place where the value goes. If the command is there for what it does, make it a \
            RUN; else take the line out.",
    wrong: concat!("FROM Debian AS web\n", "KEY kernel FROM RUN uname -r\n"),
    right: concat!("FROM Debian AS web\n", "KEY kernel FROM RUN uname -r\n", "RUN echo ${{ kernel }}\n"),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    // What COPY --render reads stands only in the program.
    let Some(program) = cx.program else { return };
    let mut used: HashSet<Span> = HashSet::new();
    for machine in &program.machines {
        order_refs::machine(machine, &mut |reference, _| {
            if let Ref::Key(of, name) = reference
                && let Some(key) = program.machine(*of).keys.get(name)
            {
                used.insert(key.span);
            }
        });
    }
    // What `--if` leaves out stands only in the text; a name there is use enough.
    let mut named: HashSet<&str> = HashSet::new();
    for instruction in cx.instructions() {
        walk::exprs(instruction, &mut |expr| match &expr.kind {
            ExprKind::Name(name) => {
                named.insert(name);
            }
            ExprKind::Field(_, name) => {
                named.insert(&name.node);
            }
            _ => {}
        });
        for after in instruction.flags.iter().filter(|f| f.name.node == "after") {
            // `--after=stage.key` waits for its capture.
            if let Some(Piece::Literal { text, .. }) = after.value.as_ref().and_then(|v| v.pieces.last()) {
                named.extend(text.rsplit('.').next());
            }
        }
    }
    for instruction in cx.stages.iter().flat_map(|s| &s.lines) {
        let Body::Key { name, from, .. } = &instruction.body else { continue };
        if used.contains(&instruction.span) || named.contains(name.node.as_str()) {
            continue;
        }
        let mut found = Diagnostic::at(&CODE, name.span, format!("nothing asks for `{}`", name.node));
        found = match from {
            KeyFrom::Run(Command::Shell(text)) => {
                let keyword = instruction.keyword.span;
                let head = Span { start: keyword.start, end: text.span.start, ..keyword };
                let flags: String =
                    instruction.flags.iter().map(|f| format!("{} ", cx.sources.slice(f.span))).collect();
                found.help("take it out, or write `RUN` if the command is there for what it does").replace(
                    "run the command without keeping what it prints",
                    false,
                    head,
                    format!("RUN {flags}"),
                )
            }
            KeyFrom::Run(_) | KeyFrom::File { .. } | KeyFrom::Value(_) => found.help("take it out"),
        };
        out.push(found);
    }
}
