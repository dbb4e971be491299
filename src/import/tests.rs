//! What is read, what is said, and that nothing panics. Whole files are in `tests/convert.rs`.

use proptest::prelude::*;

use super::{Options, convert, hide, names, passwords, template, words};
use crate::diagnostic::{Problems, Style, render_all};
use crate::source::Sources;

/// The VMWfile (empty if there is none), and what is said, drawn.
fn converted(text: &str) -> (String, String) {
    let mut sources = Sources::new();
    let id = sources.add("plan.json", None, text);
    let mut problems = Problems::new();
    let made = convert(&sources, id, &Options::default(), &mut problems);
    let list = problems.sorted();
    (made.map(|m| m.text).unwrap_or_default(), render_all(&list, &sources, Style::plain()))
}

/// One task with these commands.
fn plan(commands: &str) -> String {
    format!(
        r#"{{"deployment": [{{"name": "web", "task": {{"inputTemplate": "base", "outputName": "web",
            "outputType": "VM", "commands": [{commands}]}}}}]}}"#
    )
}

fn command(text: &str) -> String {
    plan(&format!(r#"{{"type": "execute", "cmd": {}}}"#, serde_json::Value::from(text)))
}

/// The errors of the result, as the parser sees them.
fn errors_of(text: &str) -> String {
    let mut sources = Sources::new();
    let id = sources.add("VMWfile", None, text);
    let mut problems = Problems::new();
    crate::syntax::parse(&sources, id, &mut problems);
    let list = problems.sorted();
    render_all(list.iter().filter(|d| d.severity == crate::diagnostic::Severity::Error), &sources, Style::plain())
}

#[test]
fn broken_json_is_answered_with_the_place() {
    let broken = [
        "",
        "   \n",
        "[1, 2]",
        "label: x\n",
        "{\"label\": \"x\"}",
        "{\n  \"label\": \"x\"\n  \"version\": \"1\"\n}",
        "{\n  \"deployment\": [ {\"name\": \"a\"}, ]\n}",
        "{\n  \"deployment\": [\n    {\"name\": \"a\"\n",
        "{\n  \"label\": \"no end,\n  \"version\": \"1\"\n}",
        "{\n  'label': 'x'\n}",
        "{\n  // a comment\n  \"label\": \"x\"\n}",
        "{ \"label\": \"C:\\dir\" }",
        "{ \"label\": True }",
        "{ \"version\": 0.1.2 }",
        "{ \"label\": }",
        "{ \"label\" \"x\" }",
        "{{ flag \"a\" \"string\" \n{ \"label\": \"x\" }",
        "{ \"deployment\": {} }",
        &format!("{{ \"deployment\": {}", "[".repeat(100)),
    ];
    let mut out = String::new();
    for text in broken {
        let (made, said) = converted(text);
        assert_eq!(made, "", "{text}");
        out.push_str(&format!("{}\n{said}\n", "-".repeat(40)));
    }
    insta::assert_snapshot!("broken_json", out);
}

#[test]
fn commands_keep_their_text() {
    let mut out = String::new();
    for text in [
        "echo hello",
        "  echo 'a  b' \"c\"   ",
        "echo one\necho two",
        "cat > /etc/x <<EOF\nEOS\n$HOME ${{ x }}\nEOF",
        "cat <<< \"$x\"",
        "--odd flag",
        "[\"exe\", \"arg\"]",
        "[ -f /x ] && echo yes",
        "echo ends with a backslash\\",
        "echo $((1 << 2)) # note",
        "docker ps --format '{{.Names}}' '{{ json . }}'",
        "echo `date` \u{1b}[1m\u{0}",
        "tool --password s3cret-1 --api-key='s3cret 2' PASSWORD=s3cret-3 run --token $(cat t) --password-stdin",
        "sh -c 'tool --password s3cret-4'",
    ] {
        let (made, said) = converted(&command(text));
        let run = made.split_once("OUTPUT VM web\n").map(|(_, run)| run).unwrap_or(&made);
        assert_eq!(errors_of(&made), "", "{made}");
        let names: Vec<&str> = said.lines().filter(|l| l.starts_with("VMW") && !l.contains("failures-stop")).collect();
        out.push_str(&format!("{text:?} {names:?}\n{run}\n"));
    }
    insta::assert_snapshot!("commands", out);
}

/// A download without a key is fetched and removed: the same path is a VMWfile's word, and a shell's.
#[test]
fn a_path_is_quoted_for_who_reads_it() {
    let lines = |path: &str| {
        let path = serde_json::Value::from(path);
        let (made, _) =
            converted(&plan(&format!(r#"{{"type": "download", "filePath": {path}, "delAfterDownload": true}}"#)));
        assert_eq!(errors_of(&made), "", "{made}");
        made.split_once("OUTPUT VM web\n").map(|(_, steps)| steps.to_owned()).unwrap_or_default()
    };
    assert_eq!(lines("/tmp/x"), "FETCH /tmp/x ./\nRUN rm -f -- /tmp/x\n");
    assert_eq!(lines("${{"), "FETCH '${{' ./\nRUN rm -f -- '$${{'\n");
    assert_eq!(lines("$HOME/it's"), "FETCH \"${{ \"$\" }}HOME/it's\" ./\nRUN rm -f -- '$HOME/it'\\''s'\n");
    assert_eq!(lines("a\nb"), "FETCH \"a\\nb\" ./\nRUN <<EOS\nrm -f -- 'a\nb'\nEOS\n");
    assert_eq!(lines("a\\b"), "FETCH 'a\\b' ./\nRUN rm -f -- 'a\\b'\n");
}

#[test]
fn users_are_said_once() {
    let step = |user: &str| format!(r#"{{"type": "execute", "cmd": "id", "sudoUser": "{user}"}}"#);
    let users = |login: &str, list: &[&str]| {
        let commands: Vec<String> = list.iter().map(|u| step(u)).collect();
        let login = format!(r#"{{"vmconfig": {{"guestCredentials": {{"guestUser": "{login}"}}}}, "#);
        let (made, _) = converted(&plan(&commands.join(",")).replacen('{', &login, 1));
        assert_eq!(errors_of(&made), "");
        made.lines().filter(|l| l.starts_with("USER") || l.starts_with("RUN")).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(users("root", &["root", "root"]), "USER root; RUN id; RUN id");
    assert_eq!(users("root", &["", "root", "", "root"]), "RUN id; USER root; RUN id; RUN id; RUN id");
    assert_eq!(users("app", &["root", "", "root"]), "USER root; RUN id; RUN --user=app id; RUN id");
    assert_eq!(users("app", &["root", "", ""]), "USER root; RUN id; USER app; RUN id; RUN id");
    assert_eq!(users("", &["", "root"]), "RUN id; USER root; RUN id");
}

#[test]
fn names_are_made_possible_and_unique() {
    let mut taken = names::Names::default();
    let made: Vec<String> = ["K8s Manager", "k8s-manager", "2nd", "self", "Ünïcode", "–", "a__b--c", "host"]
        .iter()
        .map(|n| taken.take(n, "stage"))
        .collect();
    assert_eq!(
        made,
        ["k8s_manager", "k8s_manager_2", "stage_2nd", "self_stage", "n_code", "stage", "a_b_c", "host_stage"]
    );
    for name in ["guestPass", "admin-password", "pw", "JOIN_TOKEN", "apiKey", "x/secret", "dbPassphrase"] {
        assert!(names::is_sensitive(name), "{name}");
    }
    for name in ["compass", "bypass-proxy", "user", "keyboard", "passthrough"] {
        assert!(!names::is_sensitive(name), "{name}");
    }
}

#[test]
fn words_are_quoted_where_they_must_be() {
    use super::inputs::Piece::Text;
    let word = |t: &str| words::word(&[Text(t.to_owned())], &[]);
    let made: Vec<String> =
        ["a/b-c.d", "two words", "it's", "say \"hi\"", "$HOME", "it's $5", "C:\\x", "{{.X}}", "DHCP", "--flag", ""]
            .map(word)
            .to_vec();
    assert_eq!(
        made,
        [
            "a/b-c.d",
            "\"two words\"",
            "\"it's\"",
            "\"say \\\"hi\\\"\"",
            "'$HOME'",
            "\"it's ${{ \"$\" }}5\"",
            "'C:\\x'",
            "'{{.X}}'",
            "\"DHCP\"",
            "\"--flag\"",
            "\"\"",
        ]
    );
    assert_eq!(words::prose(&[Text("costs $5\\".to_owned())], &[]), "costs ${{ \"$\" }}5${{ \"\\\\\" }}");
    assert_eq!(words::comment("Web: start"), "# - Web: start\n");
}

#[test]
fn calls_of_the_template_are_told_from_text() {
    for call in
        ["{{ var `x` }}", "{{var \"x\"}}", "{{- include \\\"a\\\" -}}", "{{ $x }}", "{{ if true }}", "{{/* c */}}"]
    {
        assert!(template::looks_like_call(call), "{call}");
    }
    for text in ["{{.Names}}", "{{json .}}", "{{ .A }}", "{{", "{{}}", "{{ range_of }}"] {
        assert!(!template::looks_like_call(text), "{text}");
    }
    let parsed = template::parse("- flag \"a\" `b` 3 | prompt \"c\\\"d\" | var \"e\" ");
    let names: Vec<(String, Vec<String>)> =
        parsed.map(|p| p.calls.into_iter().map(|f| (f.name, f.args)).collect()).unwrap_or_default();
    let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        names,
        [
            ("flag".to_owned(), strings(&["a", "b", "3"])),
            ("prompt".to_owned(), strings(&["c\"d"])),
            ("var".to_owned(), strings(&["e"])),
        ]
    );
}

#[test]
fn passwords_are_hidden_where_they_stand() {
    let text =
        "{\"guestPass\" : \"ä ö\", \"vcenterURL\": \"https://me@x:pw-1@host:443/sdk\", \"x\": \"http://host:80/\"}";
    let mut sources = Sources::new();
    let id = sources.add("x", None, text);
    let hidden = hide(text, &passwords(&sources, id));
    assert_eq!(
        hidden,
        "{\"guestPass\" : \"*****\", \"vcenterURL\": \"https://me@x:****@host:443/sdk\", \"x\": \"http://host:80/\"}"
    );
    assert_eq!(passwords::in_address("https://vc/sdk"), None);
    assert!(passwords::in_command("docker secret create x --password-file f; grep -e token x").is_empty());
}

fn any_json() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just("root".to_owned()),
        "[ -~]{0,24}",
        "\\PC{0,12}",
        "([a-z \"'`$\\\\{}<>|#=-]|\n|EOS|\\$\\{\\{|\\{\\{ var `x` \\}\\}|--password ){0,12}",
    ];
    let field = prop_oneof![
        proptest::sample::select(vec![
            "label",
            "version",
            "vmconfig",
            "deployment",
            "name",
            "note",
            "task",
            "inputTemplate",
            "outputName",
            "outputType",
            "networkConfig",
            "commands",
            "type",
            "cmd",
            "sudoUser",
            "execKey",
            "resultKey",
            "filePath",
            "address",
            "dns",
            "hostname",
            "guestCredentials",
            "guestUser",
            "guestPass",
            "delAfterDownload",
            "ignore",
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,4}",
    ];
    let kind = proptest::sample::select(vec!["execute", "download", "Template", "VM"]);
    let leaf = prop_oneof![
        text.prop_map(serde_json::Value::from),
        kind.prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
    ];
    let value = leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::vec((field.clone(), inner), 0..8)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    });
    value.prop_map(|v| v.to_string())
}

/// A deployment of the right shape with anything in its fields.
fn any_plan() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[a-z]{1,6}",
        "[ -~]{0,30}",
        "([a-zA-Z \"'`$\\\\{}<>|#=:;/-]|\n|\t|\r|EOS\n|<<EOF\n|\\$\\{\\{ |\\{\\{ var `x` \\}\\}|\\{\\{ var `pw` \\}\\}| --token ){0,14}",
        "\\PC{0,12}",
    ]
    .prop_map(|t| serde_json::Value::from(t).to_string());
    let texts = proptest::collection::vec(text, 14);
    (texts, any::<bool>(), any::<bool>()).prop_map(|(t, yes, template)| {
        let t = |n: usize| t.get(n).cloned().unwrap_or_else(|| "\"\"".to_owned());
        let kind = if template { "Template" } else { "VM" };
        format!(
            r#"{{"label": {}, "version": {}, "vmconfig": {{"datastore": {}, "guestCredentials": {{"guestUser": {}}}}},
            "deployment": [{{"name": {}, "note": {}, "task": {{"inputTemplate": {}, "outputName": {}, "outputType": "{kind}",
            "networkConfig": {{"hostname": {}}}, "commands": [
            {{"type": "execute", "cmd": {}, "note": {}, "sudoUser": {}, "ignore": {yes}}},
            {{"type": "download", "filePath": {}, "resultKey": {}, "delAfterDownload": {yes}}},
            {{"type": "execute", "execKey": {}}}]}}}}]}}"#,
            t(0), t(1), t(2), t(3), t(4), t(5), t(6), t(7), t(8), t(9), t(10), t(11), t(12), t(13), t(13),
        )
    })
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "([ -~]|\n|\\PC|\\{\\{|\\}\\}|\"|\\\\|/\\*|\\*/|\\{\"deployment\": \\[|var `x`){0,60}") {
        let (made, said) = converted(&text);
        prop_assert!(!made.is_empty() || !said.is_empty());
    }

    #[test]
    fn any_json_is_answered(text in any_json()) {
        let (made, said) = converted(&text);
        prop_assert!(!made.is_empty() || !said.is_empty());
        if !made.is_empty() {
            let errors = errors_of(&made);
            prop_assert!(errors.is_empty(), "{text}\n{made}\n{errors}");
        }
    }

    #[test]
    fn any_deployment_becomes_a_vmwfile(text in any_plan()) {
        let (made, _) = converted(&text);
        let errors = errors_of(&made);
        prop_assert!(!made.is_empty() && errors.is_empty(), "{text}\n{made}\n{errors}");
    }
}
