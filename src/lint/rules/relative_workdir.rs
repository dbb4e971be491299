//! A working directory relative to nothing.

use crate::lint::rule::*;

/// `relative-workdir`.
pub static CODE: Code = Code {
    number: 502,
    name: "relative-workdir",
    severity: Severity::Warning,
    about: "A relative WORKDIR is below the one before, and here is none: where the steps run then depends on \
            the account's home directory. Begin with an absolute path.",
    wrong: concat!("FROM Debian AS web\n", "WORKDIR app\n",),
    right: concat!("FROM Debian AS web\n", "WORKDIR /srv/app\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for (index, stage) in cx.stages.iter().enumerate() {
        if inherits(cx, index) {
            continue;
        }
        let first = stage.lines.iter().find_map(|l| match &l.body {
            Body::Workdir { path } => Some(path),
            _ => None,
        });
        let Some((path, text)) = first.and_then(|p| Some((p, p.literal()?))) else { continue };
        if !is_absolute(&text) {
            let message = format!("`{text}` is relative to the home directory of whoever runs the steps");
            out.push(Diagnostic::at(&CODE, path.span, message).help("write an absolute path"));
        }
    }
}

/// Whether a path says by itself where it is, on any system.
pub(super) fn is_absolute(path: &str) -> bool {
    path.starts_with(['/', '\\', '~']) || path.get(1..2) == Some(":")
}

/// Whether a stage that this one is FROM has a WORKDIR.
pub(super) fn inherits(cx: &Cx<'_>, stage: usize) -> bool {
    let mut at = cx.stages.get(stage).and_then(|s| s.parent);
    for _ in 0..cx.stages.len() {
        let Some(parent) = at.and_then(|i| cx.stages.get(i)) else { return false };
        if parent.lines.iter().any(|l| matches!(l.body, Body::Workdir { .. })) {
            return true;
        }
        at = parent.parent;
    }
    false
}
