//! One static address, two machines.

use crate::lint::rule::*;
use crate::sema::program::{Machine, RtKind};
use crate::source::Span;
use std::collections::HashMap;

/// `duplicate-address`.
pub static CODE: Code = Code {
    number: 231,
    name: "duplicate-address",
    severity: Severity::Warning,
    about: "Two machines of the build get the same static address. Whichever comes second answers for both or \
            for none, and what fails then is some other step that connects. With FOR, compute the address from \
            the loop variable.",
    wrong: concat!(
        "FROM Debian AS a\n",
        "OUTPUT VM a\n",
        "ADDRESS 10.0.0.5/24 GATEWAY 10.0.0.1 DNS 10.0.0.1\n",
        "FROM Debian AS b\n",
        "OUTPUT VM b\n",
        "ADDRESS 10.0.0.5/24 GATEWAY 10.0.0.1 DNS 10.0.0.1\n",
    ),
    right: concat!(
        "FROM Debian AS a\n",
        "OUTPUT VM a\n",
        "ADDRESS 10.0.0.5/24 GATEWAY 10.0.0.1 DNS 10.0.0.1\n",
        "FROM Debian AS b\n",
        "OUTPUT VM b\n",
        "ADDRESS 10.0.0.6/24 GATEWAY 10.0.0.1 DNS 10.0.0.1\n",
    ),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    let Some(program) = cx.program else { return };
    let mut seen: HashMap<String, (&Machine, Span)> = HashMap::new();
    let all = program.machines.iter().flat_map(|m| m.address.iter().chain(&m.more_addresses).map(move |a| (m, a)));
    for (machine, address) in all {
        let Some(RtKind::Const(value)) = address.cidr.as_ref().map(|c| &c.kind) else { continue };
        let text = value.to_text();
        let ip = text.split('/').next().unwrap_or_default().to_owned();
        match seen.get(&ip) {
            Some((first, place)) => {
                let message = format!("`{}` and `{}` both get the address {ip}", first.label, machine.label);
                let mut found = Diagnostic::at(&CODE, address.span, message);
                if *place != address.span {
                    found = found.label(*place, "given here first");
                }
                let help = if first.stage == machine.stage {
                    "compute it from the loop variable, as in `10.0.0.${{ 10 + n }}/24`"
                } else {
                    "give one of them another address"
                };
                out.push(found.help(help));
            }
            None => {
                seen.insert(ip, (machine, address.span));
            }
        }
    }
}
