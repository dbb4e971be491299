//! Code that another machine hands over.

use crate::lint::rule::*;
use crate::sema::program::Ref;
use crate::shell::HoleKind;

/// `raw-from-elsewhere`.
pub static CODE: Code = Code {
    number: 404,
    name: "raw-from-elsewhere",
    severity: Severity::Warning,
    about: "`| raw` runs a value as code, and this one was captured on another machine: whoever controls that \
            machine runs what they like on this one. Take the value as data, or, where a whole command must \
            cross over (a join command, say), capture its parts as keys and write the command here.",
    wrong: concat!(
        "FROM Debian AS manager\n",
        "OUTPUT VM manager\n",
        "KEY join FROM RUN cat /root/join-command\n",
        "FROM Debian AS worker\n",
        "OUTPUT VM worker\n",
        "RUN ${{ manager.join | raw }}\n",
    ),
    right: concat!(
        "FROM Debian AS manager\n",
        "OUTPUT VM manager\n",
        "KEY token FROM RUN cat /root/join-token\n",
        "FROM Debian AS worker\n",
        "OUTPUT VM worker\n",
        "RUN /opt/app/join ${{ manager.token }}\n",
    ),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for (machine, step, script) in cx.scripts() {
        for hole in script.holes.iter().filter(|h| h.kind == HoleKind::Raw) {
            let mut from: Option<String> = None;
            hole.value.refs(&mut |reference, _| {
                if let Ref::Key(other, key) = reference
                    && *other != machine.id
                    && let Some(program) = cx.program
                {
                    from = Some(format!(
                        "{}.{key}",
                        program.stage(program.machine(*other).stage).name.as_deref().unwrap_or("…")
                    ));
                }
            });
            let Some(from) = from else { continue };
            let span = if hole.value.span.source == step.span.source { hole.value.span } else { step.span };
            let message = format!("`{from}`, captured on another machine, is run as code on this one");
            out.push(Diagnostic::at(&CODE, span, message).help("leave `| raw` away, and give it as an argument"));
        }
    }
}
