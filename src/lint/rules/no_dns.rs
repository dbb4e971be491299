//! A static address, and nobody to ask for names.

use crate::lint::rule::*;

/// `static-without-dns`.
pub static CODE: Code = Code {
    number: 234,
    name: "static-without-dns",
    severity: Severity::Warning,
    about: "A static ADDRESS takes the machine off DHCP, and with it goes what DHCP said of name servers. Names \
            resolve no longer, and the next package manager fails for a reason that doesn't say so. Name the \
            servers with DNS.",
    wrong: concat!("FROM Debian AS web\n", "OUTPUT VM web\n", "ADDRESS 10.0.0.5/24 GATEWAY 10.0.0.1\n",),
    right: concat!("FROM Debian AS web\n", "OUTPUT VM web\n", "ADDRESS 10.0.0.5/24 GATEWAY 10.0.0.1 DNS 10.0.0.1\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for instruction in cx.instructions() {
        let Body::Address { cidr: Some(cidr), gateway, dns, .. } = &instruction.body else { continue };
        // Without a gateway it is a network of its own, where there may be no names at all.
        if gateway.is_some() && dns.is_empty() {
            let found = Diagnostic::at(&CODE, cidr.span, "a static address without name servers");
            out.push(found.help("add `DNS` and their addresses"));
        }
    }
}
