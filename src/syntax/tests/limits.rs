//! Limits, and time: linear in the text whatever it holds.

use std::time::Duration;

use super::parse;
use crate::diagnostic::Severity;
use crate::source::own_time;
use crate::syntax::codes;

/// Texts of about `n` bytes that make a careless parser read the same again and again, or nest too deep.
fn adversaries(n: usize) -> Vec<(&'static str, String)> {
    let mut out: Vec<(&'static str, String)> = Vec::new();
    for unit in [
        "(", "[", "f(", "not ", "-", "a+", "a|f ", "a[", "x if ", "${{", "$${{", "{{", "${{ a }}", "'", "\"", "\"$(",
        "\"$((", "$(", "$((", "((", "\\", "\\\"", "$'", "`", "<<A ", "<<", "<<<", "a<<'", " #", ";#", "#", "${x", "$x",
        "\"a\" ", "'a' ", "a=b ", "--", "--a ", "--a=", ",", "..", "é", "\u{feff}", " ", "\t", "\\\n", "\\\n\n",
        "\\\n#\n", " \\ #", "{", "}",
    ] {
        let long = unit.repeat(n / unit.len());
        for start in [
            "RUN ",
            "RUN [\"",
            "COPY ",
            "ENV A=",
            "NOTE ",
            "KEY a = ",
            "HOSTNAME ${{ ",
            "FROM a AS b FOR n IN ",
            "WAIT ",
            "x",
        ] {
            out.push(("a long line", format!("{start}{long}\nRUN true\n")));
        }
    }
    for line in [
        "x\n",
        "\n",
        "#\n",
        "RUN <<A\n",
        "RUN <<A <<B\nA\n",
        "RUN <<A\n A\n",
        "RUN '\n",
        "RUN a \\\n",
        "\\\n",
        "RUN \\\n\n",
        " && x\n",
        "{{ x\n",
        "a {\n",
        "}\n",
        "# vmw: x\n",
        "# escape=x\n",
        "RUN a # b \\\n",
        "COPY <<-A /x\n\tA\n",
        "RUN <<A\n${{ x\nA\n",
        "ARG a-b = ${{\n",
        "RUN cat <<${{ x }}\n",
        "KEY\n",
        "RUN x \\ # y\n z\n",
    ] {
        out.push(("many lines", line.repeat(n / line.len())));
    }
    let body = "${{ x }} <<'E' '\n".repeat(n / 17);
    out.push(("a long heredoc", format!("RUN <<A\n{body}A\n")));
    out.push(("a long stripped heredoc", format!("RUN <<-A\n{}\tA\n", "\t  a ${{ x }}\n".repeat(n / 12))));
    out.push(("a script of heredocs", format!("RUN <<A\n{}A\n", "cat <<'B' <<C ${{ x\n".repeat(n / 20))));
    out.push(("a long heredoc without end", format!("RUN <<A\n{}", "a\n".repeat(n / 2))));
    out
}

fn time(text: &str) -> Duration {
    let start = own_time();
    let _ = parse(text);
    own_time() - start
}

#[test]
fn time_is_linear_in_the_text() {
    // Eight times the text: eight times the time, or sixty-four where it is quadratic.
    let (small, large) = (1 << 10, 8 << 10);
    let best = |text: &str, times: usize| (0..times).map(|_| time(text)).min().unwrap_or_default();
    for ((what, short), (_, long)) in adversaries(small).iter().zip(&adversaries(large)) {
        let head: String = long.chars().take(40).collect();
        // Below that, the clock and what else the machine does count for more.
        let quick = best(short, 1).max(Duration::from_millis(4));
        let mut slow = time(long);
        if slow > quick * 24 {
            // Another process may have been in the way.
            slow = best(long, 5);
        }
        assert!(slow <= quick * 24, "{what} {head:?}: {quick:?}, then {slow:?}");
    }
}

#[test]
fn large_files() {
    let heredoc = format!("FROM a AS b\nRUN <<EOF\n{}EOF\nRUN true\n", "echo hello ${{ x }}\n".repeat(100_000));
    let (_, file, problems) = parse(&heredoc);
    assert!(problems.is_empty());
    assert_eq!(file.items.len(), 3);

    let line = format!("FROM a AS b\nRUN echo {}\nRUN true\n", "x".repeat(10 << 20));
    let (_, file, problems) = parse(&line);
    assert_eq!(problems.iter().map(|d| d.code.number).collect::<Vec<_>>(), [codes::TOO_LARGE.number]);
    assert_eq!(file.items.len(), 2);
}

#[test]
fn expressions_have_limits() {
    let error = |text: &str| {
        let (_, _, problems) = parse(text);
        problems.iter().map(|d| (d.code.name, d.message.clone())).collect::<Vec<_>>()
    };
    let too = |what: &str| vec![("too-large", what.to_owned())];
    assert_eq!(error(&format!("ARG a = {}1{}\n", "(".repeat(64), ")".repeat(64))), []);
    let deep = too("parentheses and brackets are nested more than 64 deep");
    assert_eq!(error(&format!("ARG a = {}1{}\n", "(".repeat(65), ")".repeat(65))), deep);
    assert_eq!(error(&format!("ARG a = {}1{}\n", "[".repeat(70), "]".repeat(70))), deep);
    assert_eq!(error(&format!("ARG a = {}1\n", "1+".repeat(127))), []);
    assert_eq!(error(&format!("ARG a = {}1\n", "1+".repeat(128))), too("the expression has more than 256 terms"));
    assert_eq!(error(&format!("ARG a = {}true\n", "not ".repeat(300))), too("the expression has more than 256 terms"));
    assert_eq!(error(&format!("ARG a = \"{}\"\n", "x".repeat(4094))), []);
    assert_eq!(error(&format!("ARG a = \"{}\"\n", "x".repeat(4095))), too("the expression is longer than 4 KiB"));
}

#[test]
fn errors_are_counted_where_they_are_too_many() {
    let (_, _, problems) = parse(&"nonsense\n".repeat(1000));
    assert_eq!(problems.len(), 301);
    assert_eq!(problems.last().map(|d| d.message.as_str()), Some("700 more errors in this file are not shown"));
    let (_, _, problems) = parse(&"RUN <<A\n".repeat(200));
    assert!(problems.iter().any(|d| d.code == &codes::TOO_LARGE), "restarts have a limit");
    assert!(problems.iter().all(|d| d.severity == Severity::Error));
}

#[test]
fn what_is_no_text_is_refused() {
    let refused = |bytes: &[u8]| {
        let problem = crate::syntax::decode("VMWfile", bytes.to_vec()).expect_err("not text");
        format!("{} {}; {}", problem.code, problem.message, problem.help.unwrap_or_default())
    };
    assert_eq!(
        refused(b"FROM a\nRUN \xff\n"),
        "VMW038 VMWfile is not UTF-8: byte 0xff in line 2; save it as UTF-8, for example with `iconv -f ISO-8859-1 -t UTF-8`"
    );
    assert_eq!(
        refused(b"FROM a\0\n"),
        "VMW038 VMWfile has a NUL byte in line 1, so it is no text; is it the right file? a VMWfile is UTF-8 text"
    );
    assert_eq!(
        refused(b"\xff\xfeF\0R\0"),
        "VMW038 VMWfile is UTF-16 text; save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`"
    );
}
