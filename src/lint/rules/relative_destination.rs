//! A file put below the root by chance.

use super::relative_workdir::{inherits, is_absolute};
use crate::lint::rule::*;

/// `relative-destination`.
pub static CODE: Code = Code {
    number: 507,
    name: "relative-destination",
    severity: Severity::Warning,
    about: "A relative destination of COPY is below WORKDIR, and none holds here: what is copied is put right below \
            the root of the guest's file system. Write an absolute path, or a WORKDIR before it.",
    wrong: concat!("FROM Debian AS web\n", "COPY <<EOF srv/motd\n", "Welcome\n", "EOF\n",),
    right: concat!("FROM Debian AS web\n", "COPY <<EOF /srv/motd\n", "Welcome\n", "EOF\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for (index, stage) in cx.stages.iter().enumerate() {
        if inherits(cx, index) {
            continue;
        }
        for line in &stage.lines {
            match &line.body {
                Body::Workdir { .. } => break,
                Body::Copy { dest, .. } => relative(cx, dest, out),
                _ => {}
            }
        }
    }
}

fn relative(cx: &Cx<'_>, dest: &Text, out: &mut Problems) {
    let Some(text) = dest.literal().filter(|t| !is_absolute(t)) else { return };
    let message = format!("`{text}` is put below `/`, since no WORKDIR holds here");
    let mut found = Diagnostic::at(&CODE, dest.span, message).help("write an absolute path, or a WORKDIR before it");
    if cx.sources.slice(dest.span) == text && text.starts_with(|c: char| c.is_alphanumeric()) {
        let edit = Edit { span: Span { end: dest.span.start, ..dest.span }, text: "/".to_owned() };
        found = found.fix(format!("write `/{text}`"), true, vec![edit]);
    }
    out.push(found);
}
