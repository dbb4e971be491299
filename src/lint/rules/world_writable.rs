//! Files that everybody may change.

use crate::lint::rule::*;

/// `world-writable`.
pub static CODE: Code = Code {
    number: 409,
    name: "world-writable",
    severity: Severity::Warning,
    about: "Every user of the guest may change these files, every service that is broken into included. Give \
            them to the user who needs them: `chown app:app`, `chmod 0755`; `COPY --chown=… --chmod=…`.",
    wrong: concat!("FROM Debian AS web\n", "RUN chmod -R 777 /srv/app\n",),
    right: concat!("FROM Debian AS web\n", "RUN chmod -R 0755 /srv/app\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran.iter().filter(|r| r.name == "chmod") {
        let Some((index, mode)) = ran.operands().next() else { continue };
        // Sticky directories are as /tmp is.
        let octal = mode.len() >= 3 && mode.bytes().all(|b| b.is_ascii_digit());
        let sticky = mode.len() == 4 && mode.starts_with(['1', '3', '5', '7']);
        let open = octal && !sticky && mode.ends_with(['2', '3', '6', '7'])
            || matches!(mode, "a+rwx" | "o+w" | "a+w" | "ugo+rwx" | "a=rwx" | "+w" if mode != "+w");
        if open {
            let message = format!("with mode {mode} everybody may change it");
            out.push(Diagnostic::at(&CODE, ran.arg_span(index), message).help("write `chown` and a mode such as 0755"));
        }
    }
    for instruction in cx.instructions().filter(|i| matches!(i.body, Body::Copy { .. })) {
        let Some(mode) = instruction.flag("chmod").and_then(|f| f.value.as_ref()) else { continue };
        if mode
            .literal()
            .is_some_and(|m| m.len() <= 4 && m.ends_with(['2', '3', '6', '7']) && !(m.len() == 4 && m.starts_with('1')))
        {
            out.push(
                Diagnostic::at(&CODE, mode.span, "with this mode everybody may change it").help("write 0644 or 0755"),
            );
        }
    }
}
