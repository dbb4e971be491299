//! Secrets in the list of processes.

use crate::lint::rule::*;
use crate::shell::{self, Hole};

/// `secret-as-argument`.
pub static CODE: Code = Code {
    number: 402,
    name: "secret-as-argument",
    severity: Severity::Warning,
    about: "A secret is an argument of a program, and while that runs every user of the guest sees it in the \
            list of processes. Give it in another way: in the environment of the one command (`PGPASSWORD=${{ pw \
            }} psql …`), on standard input (`printf %s ${{ pw }} | docker login --password-stdin …`; `printf` is \
            the shell's own and no process), or in a file that only its owner reads.",
    wrong: concat!(
        "SECRET token\n",
        "FROM Debian AS web\n",
        "RUN curl -fsS -H \"Authorization: Bearer ${{ token }}\" https://example.com/\n",
    ),
    right: concat!(
        "SECRET token\n",
        "FROM Debian AS web\n",
        "RUN printf 'header = \"Authorization: Bearer %s\"' ${{ token }} | curl -fsS -K - https://example.com/\n",
    ),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    for (_, step, script) in cx.scripts() {
        let Some(dialect) = script.dialect else { continue };
        if !script.holes.iter().any(|h| h.value.is_secret()) {
            continue;
        }
        let holes: Vec<Hole> = script.holes.iter().map(|h| Hole::new(h.start..h.end, h.kind)).collect();
        for found in shell::external_arguments(dialect, &script.text, &holes) {
            let Some(hole) = script.holes.get(found.hole).filter(|h| h.value.is_secret()) else { continue };
            let message = format!("the guest's users see this secret among the arguments of `{}`", found.command);
            let at = hole_span(cx, step.span, hole.value.span);
            out.push(Diagnostic::at(&CODE, at, message).help(instead(&found.command)));
        }
    }
}

/// The value, or the step where the value's expression stands elsewhere.
fn hole_span(cx: &Cx<'_>, step: Span, value: Span) -> Span {
    if value.source == step.source && !cx.sources.slice(value).is_empty() { value } else { step }
}

fn instead(program: &str) -> &'static str {
    match program {
        "psql" | "pg_dump" | "pg_restore" | "createdb" | "createuser" => {
            "write `PGPASSWORD=${{ … }}` before the command"
        }
        "mysql" | "mariadb" | "mysqldump" | "mysqladmin" => "write `MYSQL_PWD=${{ … }}` before the command",
        "redis-cli" => "write `REDISCLI_AUTH=${{ … }}` before the command",
        "sshpass" => "write `SSHPASS=${{ … }} sshpass -e …`",
        "curl" => "give it on standard input: `printf 'header = \"Authorization: Bearer %s\"' ${{ … }} | curl -K - …`",
        "wget" => "put it into a file that only its owner reads, and use `--config=FILE`",
        "docker" | "podman" | "helm" | "skopeo" => {
            "a login reads standard input: `printf %s ${{ … }} | docker login --password-stdin …`; where nothing else is \
             taken, as for `swarm join`, write `# vmw: allow(secret-as-argument)` above"
        }
        "openssl" => "write `-pass stdin`, and give it on standard input",
        "htpasswd" => "write `htpasswd -i`, and give it on standard input",
        "useradd" | "usermod" => "set the password by `printf 'user:%s' ${{ … }} | chpasswd`",
        "kubectl" => "write the object to a file by COPY, mode 0600, and use `-f FILE`",
        "git" => "write it to the credential store's file, mode 0600",
        "vault" => "write `VAULT_TOKEN=${{ … }}` before the command, or `-` for standard input",
        "ldapadd" | "ldapmodify" | "ldapsearch" => "write `-y FILE`, with a file that only its owner reads",
        _ => {
            "give it on standard input (`printf %s ${{ … }} | program`), as a variable of the one command, or in a file \
              of mode 0600"
        }
    }
}
