//! A template that hands its identity on.

use crate::lint::rule::*;

/// `template-keeps-identity`.
pub static CODE: Code = Code {
    number: 406,
    name: "template-keeps-identity",
    severity: Severity::Advice,
    about: "A machine that has run has a machine ID, SSH host keys and perhaps cloud-init's state, and a \
            template made of it hands them to every clone. SEAL takes them out in a last step. Off until it is \
            named, since many templates are cleaned when they are deployed.",
    wrong: concat!("FROM Debian AS image\n", "OUTPUT TEMPLATE image\n", "RUN touch /etc/done\n",),
    right: concat!("FROM Debian AS image\n", "OUTPUT TEMPLATE image\n", "RUN touch /etc/done\n", "SEAL\n",),
};

pub(super) static RULE: Rule = Rule::opt_in(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for (index, stage) in cx.stages.iter().enumerate().filter(|(_, s)| s.leaves_template()) {
        // A stage without steps never boots.
        if !cx.shells.iter().any(|s| s.stage == index && s.dialect.is_some_and(crate::shell::Dialect::is_posix)) {
            continue;
        }
        if stage.seals() {
            continue;
        }
        // In the text rather than in the commands: `: > /etc/machine-id` has many forms.
        let text = |what: &str| {
            cx.shells
                .iter()
                .any(|s| s.stage == index && s.text().is_some_and(|t| t.contains(what) || t.contains("virt-sysprep")))
        };
        let mut left = Vec::new();
        if !text("machine-id") {
            left.push("/etc/machine-id");
        }
        if !text("ssh_host_") {
            left.push("/etc/ssh/ssh_host_*");
        }
        if left.is_empty() {
            continue;
        }
        let message = format!("the template keeps {}", left.join(" and "));
        out.push(Diagnostic::at(&CODE, stage.from.keyword.span, message).help("make `SEAL` the last step"));
    }
}
