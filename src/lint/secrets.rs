//! Where secrets are written down, by the look of a line: what no message may show, also where a line can't be read.

use std::sync::LazyLock;

use regex::Regex;

use super::rule::names_secret;
use super::rules::plain_secret;
use crate::diagnostic::Diagnostic;
use crate::source::{SourceId, Sources, Span};

// Patterns that are constants compile, as the tests see.
/// What a line has at least: most have none of it.
static MAYBE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?im-u)passw|mysql|mariadb|sshpass|pass\b|passphrase|pwd|secret|token|api_?key|_key|credential|://|^[ \t]*login[ \t]").ok()
});
/// `LOGIN user PASSWORD value`, and what people write instead of it; `USER name PASSWORD value`.
static LOGIN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?i)^[ \t]*(?:LOGIN[ \t]+(?:"[^"]*"|'[^']*'|\S+)[ \t]+(?:PASSWORD[ \t]*=?[ \t]*)?"#,
        r#"|USER[ \t].*?[ \t]PASSWORD(?:[ \t]*=[ \t]*|[ \t]+))(.+)$"#
    ))
    .ok()
});
/// `name=value`, `--name value`, `"name": "value"`, `name: type = value`.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?:--?)?([A-Za-z][A-Za-z0-9_.-]*)["']?"#,
        r#"(?:[ \t]*:[ \t]*[a-z<>]+[ \t]*=[ \t]*|[ \t]*[=:][ \t]*|[ \t]+)"#,
        r#"("[^"]*"?|'[^']*'?|[^\s"'=:$][^\s"']*)"#
    ))
    .ok()
});
/// `scheme://user:password@host`.
static IN_URL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"://[^\s/"'`{}:@]*:([^\s/"'`{}@]+)@"#).ok());

/// `mysql -pvalue`, `echo user:value | chpasswd`.
static IN_COMMAND: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"\b(?:mysql|mariadb|mysqldump|mysqladmin|sshpass)\b[^|;&]*?[ \t]-p("[^"]*"|'[^']*'|[^\s"'$]\S*)"#,
        r#"|\b(?:echo|printf)\b[^|;&]*[ \t]["']?[\w.-]+:([^\s"'$][^"'|]*?)["']?[ \t]*\|[^|;&]*\bchpasswd\b"#,
    ))
    .ok()
});

/// The secrets that a file's lines seem to hold.
pub fn written(sources: &Sources, id: SourceId) -> Vec<Span> {
    let mut out = Vec::new();
    let text = &sources.get(id).text;
    let Some(maybe) = MAYBE.as_ref() else { return out };
    // Each line that has something of it, once: most files have few.
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| maybe.find(rest)) {
        let at = from + found.start();
        let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        let rest = text.get(at..).unwrap_or_default();
        let end = rest.find('\n').map_or(text.len(), |end| at + end);
        let line = text.get(start..end).unwrap_or_default();
        for range in in_line(line.trim_end_matches('\r')) {
            out.push(Span::new(id, start + range.start, start + range.end));
        }
        from = end + 1;
    }
    out
}

/// The secrets that the lint has found.
pub fn told<'d>(list: impl IntoIterator<Item = &'d Diagnostic>) -> Vec<Span> {
    let of_rule = list.into_iter().filter(|d| *d.code == plain_secret::CODE);
    of_rule.filter_map(|d| Some(d.primary.as_ref()?.span)).collect()
}

fn in_line(line: &str) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::new();
    if let Some(found) = LOGIN.as_ref().and_then(|p| p.captures(line)).and_then(|c| c.get(1)) {
        if !found.as_str().contains("${{") && !found.as_str().trim().eq_ignore_ascii_case("password") {
            let value = found.as_str().trim_end_matches([' ', '\t', '\\', '`']);
            out.push(found.start()..found.start() + value.len());
        }
        return out;
    }
    if let Some(pattern) = IN_URL.as_ref() {
        let values = pattern.captures_iter(line).filter_map(|c| c.get(1));
        out.extend(values.filter(|v| !v.as_str().starts_with('$')).map(|v| v.range()));
    }
    if let Some(pattern) = IN_COMMAND.as_ref() {
        out.extend(pattern.captures_iter(line).filter_map(|c| c.get(1).or(c.get(2))).map(|v| v.range()));
    }
    let Some(pattern) = NAMED.as_ref() else { return out };
    let first = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    let declares = matches!(first.as_str(), "ARG" | "KEY" | "SECRET");
    let mut from = 0;
    while let Some((name, value)) = pattern.captures_at(line, from).and_then(|c| Some((c.get(1)?, c.get(2)?))) {
        // What follows a name may be a name itself: `ENV PASSWORD x`.
        from = name.end();
        let between = line.get(name.end()..value.start()).unwrap_or_default();
        let option = line.get(..name.start()).is_some_and(|before| before.ends_with('-'));
        let apart = between.trim_matches(['"', '\'']).trim().is_empty();
        let inner = value.as_str().trim_start_matches(['"', '\'']);
        let is_value = match () {
            () if inner.is_empty() || inner.starts_with(['$', '{', '(', '<', '-', '/']) => false,
            // `name: secret`, a type.
            () if declares => between.contains('='),
            () if apart => option || first == "ENV",
            () => true,
        };
        if is_value && names_secret(name.as_str()) {
            out.push(value.range());
            from = value.end();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(line: &str) -> String {
        let mut sources = Sources::new();
        let id = sources.add("f", None, line);
        for span in written(&sources, id) {
            sources.hide(span);
        }
        crate::diagnostic::blanked(&sources, id, 0..line.len()).into_owned()
    }

    #[test]
    fn secrets_by_the_look_of_a_line() {
        for (line, shown) in [
            ("LOGIN root PASSWORD hunter2", "LOGIN root PASSWORD *******"),
            ("login root password \"hunter 2\" more", "login root password ***************"),
            ("LOGIN root hunter2", "LOGIN root *******"),
            ("LOGIN \"a b\" PASSWORD=hunter2", "LOGIN \"a b\" PASSWORD=*******"),
            ("USER root PASSWORD hunter2", "USER root PASSWORD *******"),
            ("user root --via=sudo password 'hunter 2'", "user root --via=sudo password **********"),
            ("ENV DB_PASSWORD hunter2", "ENV DB_PASSWORD *******"),
            ("ENV A=b DB_PASSWORD=hunter2 C=d", "ENV A=b DB_PASSWORD=******* C=d"),
            ("ARG token: string = \"abc def\"", "ARG token: string = *********"),
            ("RUN x --token abc --token=def", "RUN x --token *** --token=***"),
            ("RUN curl https://me:hunter2@example.com/", "RUN curl https://me:*******@example.com/"),
            ("  \"guestPassword\": \"hunter2\",", "  \"guestPassword\": *********,"),
            ("password: hunter2", "password: *******"),
            ("RUN mysql -u root -phunter2 -e x", "RUN mysql -u root -p******* -e x"),
            ("RUN echo 'root:hunter 2' | chpasswd", "RUN echo 'root:********' | chpasswd"),
        ] {
            assert_eq!(hidden(line), shown);
        }
        for line in [
            "LOGIN root PASSWORD ${{ root_password }}",
            "USER root --via=sudo PASSWORD ${{ pw }}",
            "USER password --via=sudo",
            "SECRET db_password",
            "KEY join_token: secret FROM RUN docker swarm join-token -q worker",
            "ARG token: string",
            "ENV DB_PASSWORD=$PW OTHER=\"${{ pw }}\" PASSWORD_FILE=/run/x",
            "RUN docker swarm join --token ${{ manager.join_token }} 10.0.0.1:2377",
            "RUN echo the password is set",
            "RUN curl https://example.com:443/a@b",
            "RUN passwd --stdin root",
        ] {
            assert_eq!(hidden(line), line);
        }
    }
}
