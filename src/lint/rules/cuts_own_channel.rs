//! The branch that the build sits on, sawn off.

use crate::lint::rule::*;

/// `cuts-own-channel`.
pub static CODE: Code = Code {
    number: 359,
    name: "cuts-own-channel",
    severity: Severity::Warning,
    about: "The build reaches the guest through VMware Tools, with the account of LOGIN, and in no other way. A \
            command that stops or removes Tools, or locks that account, is the last that runs: its result is \
            lost, and so are the machine's other steps.",
    wrong: concat!("FROM Debian AS web\n", "RUN systemctl stop open-vm-tools\n",),
    right: concat!("FROM Debian AS web\n", "RUN systemctl status open-vm-tools\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

const SERVICES: &[&str] = &["open-vm-tools", "vmtoolsd", "vmware-tools", "vmware-tools-thinprint", "vgauth", "vgauthd"];

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran {
        let operands: Vec<&str> = ran.operands().map(|(_, w)| w).collect();
        let tools = |w: &str| SERVICES.contains(&w.trim_end_matches(".service"));
        let stops = match &*ran.name {
            "systemctl" => {
                let verb = operands.first().copied().unwrap_or_default();
                matches!(verb, "stop" | "restart" | "kill" | "mask" | "try-restart" | "disable")
                    && operands.iter().skip(1).any(|w| tools(w))
            }
            "service" | "rc-service" => {
                operands.first().is_some_and(|w| tools(w))
                    && operands.iter().skip(1).any(|v| matches!(*v, "stop" | "restart"))
            }
            "pkill" | "killall" => operands.iter().any(|w| tools(w)),
            "vmware-uninstall-tools.pl" => true,
            _ => false,
        };
        let removes = packages::call(ran)
            .is_some_and(|c| c.removes() && c.packages.iter().any(|(_, p)| p.starts_with("open-vm-tools")));
        if stops || removes {
            let message = "this cuts off VMware Tools, through which the build reaches the machine";
            out.push(Diagnostic::at(&CODE, ran.span(), message).help("take it out"));
            continue;
        }
        let locks = match &*ran.name {
            "passwd" => ran.has(&["-l", "--lock", "-d", "--delete"]),
            "usermod" => ran.has(&["-L", "--lock"]) || ran.args.iter().any(|a| a.ends_with("nologin")),
            "userdel" | "deluser" => true,
            "chage" => ran.letter('E'),
            _ => false,
        };
        if locks
            && let Some(user) = login(cx, ran)
            && operands.last() == Some(&user.as_str())
        {
            let message = format!("this locks out `{user}`, as whom the build logs in");
            let help =
                "if it must be, let it be the last step, with `--allow-failure`, or use another account for LOGIN";
            out.push(Diagnostic::at(&CODE, ran.span(), message).help(help));
        }
    }
}

/// The account by which a command is run.
fn login(cx: &Cx<'_>, ran: &Ran<'_>) -> Option<String> {
    let mut at = Some(ran.shell.stage);
    let mut before = ran.shell.line;
    for _ in 0..=cx.stages.len() {
        let Some(stage) = at.and_then(|i| cx.stages.get(i)) else { break };
        let lines = stage.lines.get(..before.min(stage.lines.len())).unwrap_or_default();
        if let Some(user) = lines.iter().rev().find_map(|l| user_of(l)) {
            return Some(user);
        }
        (at, before) = (stage.parent, usize::MAX);
    }
    cx.globals.iter().find_map(|l| user_of(l))
}

fn user_of(instruction: &Instruction) -> Option<String> {
    match &instruction.body {
        Body::Login { user, .. } => user.literal(),
        _ => None,
    }
}
