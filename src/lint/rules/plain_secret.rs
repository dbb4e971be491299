//! Secrets written down.

use crate::lint::rule::*;

/// `secret-in-plain-text`.
pub static CODE: Code = Code {
    number: 400,
    name: "secret-in-plain-text",
    severity: Severity::Warning,
    about: "A password stands in the VMWfile itself, where everybody who may read the repository reads it, for \
            as long as its history lives. Declare it with SECRET and give it to the build: `SECRET \
            root_password` and `--secret id=root_password,env=ROOT_PASSWORD`.",
    wrong: concat!("LOGIN root PASSWORD hunter2\n", "FROM Debian AS web\n",),
    right: concat!("SECRET root_password\n", "LOGIN root PASSWORD ${{ root_password }}\n", "FROM Debian AS web\n",),
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    let mut tell = |span: Span, what: &str| {
        out.push(
            Diagnostic::at(&CODE, span, format!("{what} stands in plain text"))
                .help("declare a SECRET, and put `${{ name }}` here"),
        );
    };
    for instruction in cx.instructions() {
        match &instruction.body {
            Body::Login { password: Some(password), .. } | Body::User { password: Some(password), .. }
                if literal(password) =>
            {
                tell(password.span, "a password");
            }
            Body::Env { pairs } => {
                for pair in pairs.iter().filter(|p| names_secret(&p.key.node) && literal(&p.value)) {
                    tell(pair.value.span, "a secret");
                }
            }
            _ => {}
        }
    }
    for ran in cx.ran {
        for (index, arg) in ran.args.iter().enumerate() {
            let whole = ran.words.get(index + 1).and_then(|w| w.text());
            let Some(text) = whole else { continue };
            if let Some((option, value)) = text.split_once('=')
                && option.starts_with("--")
                && names_secret(option.trim_start_matches('-'))
                && !value.is_empty()
            {
                tell(ran.arg_part(index, value), "a secret");
            } else if ran.is(&["mysql", "mariadb", "mysqldump", "mysqladmin", "sshpass"])
                && arg.starts_with("-p")
                && let Some(value) = arg.get(2..).filter(|v| !v.is_empty())
            {
                tell(ran.arg_part(index, value), "a password");
            }
        }
        // `echo 'root:secret' | chpasswd`
        if ran.is(&["echo", "printf"])
            && let Some(command) = ran.command()
            && let Some(reader) = ran.shell.commands.get(command.pipes_into.clone()).and_then(|c| c.first())
            && takes_password(reader)
            && let Some(last) = ran.words.last().filter(|_| !ran.args.is_empty())
            && last.text().is_some_and(|t| !t.contains('%') || ran.name == "echo")
        {
            tell(ran.shell.span_of(last.span.clone()), "a password");
        }
    }
    for shell in cx.shells {
        for assignment in shell.commands.iter().flat_map(|c| &c.assignments) {
            let text = assignment.word.text().unwrap_or_default();
            let value = text.split_once('=').map(|(_, v)| v).unwrap_or_default();
            if names_secret(&assignment.name) && !value.is_empty() {
                tell(shell.span_of_part(assignment.word.span.clone(), value), "a secret");
            }
        }
    }
}

fn takes_password(command: &crate::shell::Command) -> bool {
    let words: Vec<String> = command.words.iter().filter_map(|w| w.text().map(Into::into)).collect();
    words.iter().any(|w| w == "chpasswd")
        || words.iter().any(|w| w == "passwd") && words.iter().any(|w| w == "--stdin")
        || words.iter().any(|w| w == "--password-stdin")
}

/// Text, and of some length: an empty password says that there is none.
fn literal(text: &Text) -> bool {
    text.literal().is_some_and(|t| !t.is_empty() && !t.starts_with('$'))
}
