//! A new kernel that doesn't run yet.

use crate::lint::rule::*;

/// `kernel-without-reboot`.
pub static CODE: Code = Code {
    number: 352,
    name: "kernel-without-reboot",
    severity: Severity::Warning,
    about: "A new kernel is installed, and a later step needs the kernel that runs: it loads modules, builds \
            them for `uname -r`, or sets up what modules provide. Until the machine is rebooted the old one \
            runs, whose modules may be gone. Put REBOOT between.",
    wrong: concat!("FROM Centos AS web\n", "RUN yum install -y kernel\n", "RUN modprobe overlay\n",),
    right: concat!("FROM Centos AS web\n", "RUN yum install -y kernel\n", "REBOOT\n", "RUN modprobe overlay\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for (index, stage) in cx.stages.iter().enumerate() {
        let mut upgraded: Option<(usize, Span)> = None;
        for ran in cx.ran_in(index) {
            let rebooted = |since: usize| {
                let between = stage.lines.get(since..ran.shell.line).unwrap_or_default();
                between.iter().any(|l| matches!(l.body, Body::Reboot) || l.flag("reboot-on").is_some())
            };
            upgraded = upgraded.filter(|(since, _)| !rebooted(*since));
            if let Some((_, at)) = upgraded
                && needs_kernel(ran)
            {
                let message = format!("`{}` meets the old kernel", ran.name);
                out.push(
                    Diagnostic::at(&CODE, ran.span(), message)
                        .label(at, "the kernel is replaced here")
                        .help("put REBOOT between"),
                );
                break;
            }
            if let Some(call) = packages::call(ran) {
                let kernel = |p: &str| {
                    p == "kernel"
                        || p.starts_with("kernel-")
                            && !p.starts_with("kernel-headers")
                            && !p.starts_with("kernel-tools")
                        || p.starts_with("linux-image")
                };
                let excluded = ran.args.iter().any(|a| a.contains("exclude") && a.contains("kernel"));
                if call.upgrades_all() && !excluded || call.installs() && call.packages.iter().any(|(_, p)| kernel(p)) {
                    upgraded = Some((ran.shell.line, ran.span()));
                }
            }
        }
    }
}

fn needs_kernel(ran: &Ran<'_>) -> bool {
    match &*ran.name {
        "modprobe" | "insmod" | "dkms" => true,
        "uname" => ran.shell.usage == Use::Run && ran.letter('r'),
        _ => false,
    }
}
