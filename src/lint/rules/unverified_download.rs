//! Downloads that nothing vouches for.

use crate::lint::rule::*;

/// `unverified-download`.
pub static CODE: Code = Code {
    number: 407,
    name: "unverified-download",
    severity: Severity::Warning,
    about: "The option turns off the check of who sends: whoever is on the way can put anything into the \
            machine. Add the authority's certificate to the guest (COPY and `update-ca-certificates`), or import \
            the repository's key.",
    wrong: concat!("FROM Debian AS web\n", "RUN curl -fsSLk -o /opt/app.tar.gz https://example.com/app.tar.gz\n",),
    right: concat!("FROM Debian AS web\n", "RUN curl -fsSL -o /opt/app.tar.gz https://example.com/app.tar.gz\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran {
        let culprit = ran.args.iter().position(|arg| match &*ran.name {
            "curl" => arg == "--insecure" || arg.starts_with('-') && !arg.starts_with("--") && arg.contains('k'),
            "wget" => arg == "--no-check-certificate",
            "yum" | "dnf" | "rpm" => arg == "--nogpgcheck" || arg == "--nosignature",
            "apt-get" | "apt" => {
                matches!(&**arg, "--allow-unauthenticated" | "--force-yes" | "--allow-insecure-repositories")
            }
            "zypper" => arg == "--no-gpg-checks",
            "pip" | "pip3" => arg == "--trusted-host",
            "npm" => arg == "--strict-ssl=false",
            "git" => arg == "http.sslVerify=false",
            _ => false,
        });
        if let Some(index) = culprit {
            let message = format!("`{}` doesn't check who sends", ran.name);
            out.push(
                Diagnostic::at(&CODE, ran.arg_span(index), message).help("add the certificate or key to the guest"),
            );
        }
    }
}
