//! What should be one machine's own, in a template.

use crate::lint::rule::*;

/// `identity-in-template`.
pub static CODE: Code = Code {
    number: 405,
    name: "identity-in-template",
    severity: Severity::Warning,
    about: "What makes a machine unmistakable is made in a template, and so all its clones have the same: SSH \
            host keys by which none can be told from another, a machine ID by which DHCP servers give them one \
            address. Make it when the clone boots first, or in the stage that leaves the machine.",
    wrong: concat!("FROM Debian AS image\n", "OUTPUT TEMPLATE image\n", "RUN ssh-keygen -A\n",),
    right: concat!("FROM Debian AS image\n", "OUTPUT TEMPLATE image\n", "RUN rm -f /etc/ssh/ssh_host_*\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for (index, _) in cx.stages.iter().enumerate().filter(|(_, s)| s.leaves_template() && !s.seals()) {
        for ran in cx.ran_in(index) {
            let what = match &*ran.name {
                "ssh-keygen" if ran.letter('A') || ran.args.iter().any(|a| a.contains("/etc/ssh/")) => "SSH host keys",
                "dpkg-reconfigure" if ran.args.iter().any(|a| a == "openssh-server") => "SSH host keys",
                "systemd-machine-id-setup" => "a machine ID",
                "dbus-uuidgen" if ran.args.iter().any(|a| a.starts_with("--ensure")) => "a machine ID",
                "cloud-init" if ran.has(&["init", "modules"]) => "cloud-init's state",
                _ => continue,
            };
            // Taken away again later.
            let removed = cx.ran_in(index).any(|r| {
                r.shell.line > ran.shell.line
                    && (r.is(&["rm", "truncate", "shred"])
                        && r.args
                            .iter()
                            .any(|a| a.contains("ssh_host_") || a.contains("machine-id") || a.contains("/cloud"))
                        || r.name == "cloud-init" && r.has(&["clean"]))
            });
            if !removed {
                let message = format!("all clones of this template will have the same: {what}");
                out.push(Diagnostic::at(&CODE, ran.span(), message).help("make it when a clone boots first"));
            }
        }
    }
}
