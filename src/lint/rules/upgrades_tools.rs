//! VMware Tools upgraded under the build.

use crate::lint::rule::*;

/// `upgrades-tools`.
pub static CODE: Code = Code {
    number: 351,
    name: "upgrades-tools",
    severity: Severity::Warning,
    about: "Everything in the guest is upgraded, and VMware Tools with it. Its package restarts the service that \
            the build's commands come through, so the step's result is lost and the upgrade is cut off in the \
            middle. Exclude `open-vm-tools` (`yum upgrade --exclude=open-vm-tools`, `apt-mark hold open-vm- \
            tools` before), and upgrade it by the template's makers, or last of all.",
    wrong: concat!("FROM Centos AS web\n", "RUN yum upgrade -y\n",),
    right: concat!("FROM Centos AS web\n", "RUN yum upgrade -y --exclude=open-vm-tools\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    // Whether a stage holds them at its end; one that is FROM it does too.
    let mut ends: Vec<bool> = Vec::with_capacity(cx.stages.len());
    for (index, stage) in cx.stages.iter().enumerate() {
        let mut held = stage.parent.and_then(|p| ends.get(p)).copied().unwrap_or(false);
        for ran in cx.ran_in(index) {
            held |= holds(ran);
            let Some(call) = packages::call(ran) else { continue };
            let named = call.packages.iter().any(|(_, p)| p.starts_with("open-vm-tools"));
            if call.upgrades_all() && !held && !excludes(ran) {
                let message = "the upgrade takes VMware Tools along, through which this step runs";
                let mut found = Diagnostic::at(&CODE, ran.span(), message);
                found = match call.kind {
                    packages::Kind::Yum => {
                        let found = found.help("leave it out: `--exclude=open-vm-tools`");
                        match cx.insert_after(ran, call.at + 1, " --exclude=open-vm-tools") {
                            Some(edits) => found.fix("leave out open-vm-tools", false, edits),
                            None => found,
                        }
                    }
                    packages::Kind::Apt => found.help("hold it before: `RUN apt-mark hold open-vm-tools`"),
                    packages::Kind::Zypper => found.help("lock it before: `RUN zypper addlock open-vm-tools`"),
                    packages::Kind::Pacman => found.help("leave it out: `--ignore open-vm-tools`"),
                    packages::Kind::Apk => found.help("upgrade what is needed by name"),
                };
                out.push(found);
            } else if named && (call.installs() || call.verb == "upgrade" || call.verb == "update") {
                let message = "this may restart VMware Tools, through which the step runs";
                let help = "build on a template that has the version wanted; the build needs Tools from the start";
                out.push(Diagnostic::at(&CODE, ran.span(), message).help(help));
            }
        }
        ends.push(held);
    }
}

fn holds(ran: &Ran<'_>) -> bool {
    let tools = ran.args.iter().any(|a| a.starts_with("open-vm-tools"));
    tools
        && (ran.name == "apt-mark" && ran.has(&["hold"])
            || ran.name == "zypper" && ran.has(&["addlock", "al"])
            || ran.is(&["yum", "dnf"]) && ran.has(&["versionlock"]))
}

fn excludes(ran: &Ran<'_>) -> bool {
    ran.args.iter().enumerate().any(|(i, arg)| {
        let apart =
            matches!(&**arg, "-x" | "--exclude" | "--ignore") && ran.args.get(i + 1).is_some_and(|next| covers(next));
        let joined = ["--exclude=", "--ignore=", "-x"].iter().any(|p| arg.strip_prefix(p).is_some_and(covers));
        apart || joined
    })
}

fn covers(list: &str) -> bool {
    list.split(',').any(|p| p.starts_with("open-vm-tools") || p == "open-vm*" || p == "*vm-tools*")
}
