//! The machine taken down by a command.

use crate::lint::rule::*;

/// `reboot-in-run`.
pub static CODE: Code = Code {
    number: 357,
    name: "reboot-in-run",
    severity: Severity::Warning,
    about: "The command takes the machine down under the build, which sees its step lost and its guest gone, and \
            can't tell that from a crash. REBOOT is a step of its own: it reboots, and waits until the guest is \
            back. A machine is shut down at its stage's end by the build.",
    wrong: concat!("FROM Debian AS web\n", "RUN reboot\n",),
    right: concat!("FROM Debian AS web\n", "REBOOT\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran {
        let verb = ran.operands().next().map(|(_, w)| w).unwrap_or_default();
        let (down, again) = match &*ran.name {
            "reboot" => (true, true),
            "poweroff" | "halt" => (true, false),
            "shutdown" => (!ran.letter('c'), ran.letter('r') || ran.has(&["--reboot"])),
            "init" | "telinit" => (matches!(verb, "0" | "6"), verb == "6"),
            "systemctl" => {
                (matches!(verb, "reboot" | "poweroff" | "halt" | "kexec"), matches!(verb, "reboot" | "kexec"))
            }
            "Restart-Computer" => (true, true),
            "Stop-Computer" => (true, false),
            _ => (false, false),
        };
        if !down {
            continue;
        }
        let mut found =
            Diagnostic::at(&CODE, ran.span(), format!("`{}` takes the machine down under the build", ran.name));
        if again {
            found = found.help("write REBOOT as a step of its own");
            let instruction = ran.shell.instruction;
            if ran.shell.sole().is_some() && ran.shell.usage == Use::Run && instruction.flags.is_empty() {
                found = found.replace("write REBOOT", false, instruction.span, "REBOOT");
            }
        } else {
            found = found.help("take it out: the build shuts a machine down at the end of its stage");
        }
        out.push(found);
    }
}
