//! Packages without a version.

use crate::lint::rule::*;

/// `unpinned-package`.
pub static CODE: Code = Code {
    number: 504,
    name: "unpinned-package",
    severity: Severity::Advice,
    about: "The package is installed in whichever version there is on that day, so two builds of one file \
            differ. Name the version: `nginx=1.24.*` for apt, `nginx-1.24.0` for yum. Off until it is named: it \
            asks for a mirror that keeps old versions.",
    wrong: concat!("FROM Debian AS web\n", "ENV DEBIAN_FRONTEND=noninteractive\n", "RUN apt-get install -y nginx\n",),
    right: concat!(
        "FROM Debian AS web\n",
        "ENV DEBIAN_FRONTEND=noninteractive\n",
        "RUN apt-get install -y nginx=1.24.*\n",
    ),
};

pub(super) static RULE: Rule = Rule::opt_in(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran {
        if let Some((language, list)) = packages::language(ran) {
            for (index, package) in list {
                let literal = ran.words.get(index + 1).and_then(|w| w.text()).is_some();
                if literal && !language.pins(ran, package) {
                    out.push(unpinned(ran, index, package));
                }
            }
            continue;
        }
        let Some(call) = packages::call(ran).filter(packages::Call::installs) else { continue };
        for (index, package) in &call.packages {
            let literal = ran.words.get(index + 1).and_then(|w| w.text()).is_some();
            let pinned = match call.kind {
                packages::Kind::Apt | packages::Kind::Apk | packages::Kind::Pacman | packages::Kind::Zypper => {
                    package.contains(['=', '<', '>'])
                }
                packages::Kind::Yum => package.split('-').skip(1).any(|p| p.starts_with(|c: char| c.is_ascii_digit())),
            };
            let file = package.contains('/')
                || package.ends_with(".rpm")
                || package.ends_with(".deb")
                || package.starts_with('@');
            if literal && !pinned && !file {
                out.push(unpinned(ran, *index, package));
            }
        }
    }
}

fn unpinned(ran: &Ran<'_>, index: usize, package: &str) -> Diagnostic {
    let message = format!("`{package}` is installed in whichever version there is");
    Diagnostic::at(&CODE, ran.arg_span(index), message).help("name the version")
}
