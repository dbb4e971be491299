//! Failures that a pipe swallows.

use crate::lint::rule::*;

/// `pipeline-hides-failure`.
pub static CODE: Code = Code {
    number: 362,
    name: "pipeline-hides-failure",
    severity: Severity::Warning,
    about: "The value of this KEY comes through a pipe from a command that may well fail. The pipeline's exit \
            code is that of its last command, so the failure goes unseen and the key gets what came until then, \
            often nothing. Set `pipefail` (with `SHELL bash`), let the first command write a file, or let a \
            `test` follow.",
    wrong: concat!(
        "FROM Debian AS web\n",
        "KEY version FROM RUN curl -fsS https://example.com/version | head -n 1\n",
        "RUN echo ${{ version }}\n",
    ),
    right: concat!(
        "FROM Debian AS web\n",
        "SHELL bash\n",
        "KEY version FROM RUN set -o pipefail; curl -fsS https://example.com/version | head -n 1\n",
        "RUN echo ${{ version }}\n",
    ),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

const FAIL: &[&str] = &[
    "curl",
    "wget",
    "ssh",
    "scp",
    "rsync",
    "docker",
    "podman",
    "kubectl",
    "oc",
    "kubeadm",
    "helm",
    "psql",
    "mysql",
    "redis-cli",
    "mongosh",
    "aws",
    "az",
    "gcloud",
    "vault",
    "consul",
    "nomad",
    "etcdctl",
    "dig",
    "nslookup",
    "nc",
    "openssl",
    "git",
    "pip",
    "npm",
    "apt-get",
    "yum",
    "dnf",
];

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for ran in cx.ran.iter().filter(|r| r.shell.usage == Use::Key && FAIL.contains(&r.name.as_ref())) {
        let piped = ran.command().is_some_and(|c| !c.pipes_into.is_empty());
        if piped && !ran.shell.text().is_some_and(|t| t.contains("pipefail")) {
            let message = format!("if `{}` fails, the key is made of what came until then", ran.name);
            out.push(
                Diagnostic::at(&CODE, ran.name_span(), message)
                    .help("write `set -o pipefail;` before it, with `SHELL bash`, or keep its output in a file first"),
            );
        }
    }
}
