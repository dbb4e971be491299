//! What a build tells others than people at a terminal: CI logs, programs, files; by the real binary on the sandbox.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::events::valid;
use common::schema::Schema;
use common::{DEADLINE, Run, Running, context, run, vmwbuild};
use serde_json::Value;

/// Three machines of two stages, and everything that a step can print, be and end with.
const PLATFORM: &str = r#"
SECRET password
LOGIN root PASSWORD ${{ password }}

FROM linux AS image
OUTPUT TEMPLATE golden
NOTE What all have
RUN printf 'l\303\244nger\n'; printf '\377\376binary\n'; echo "${HOME}" >&2; printf %s ${{ password }}
RUN --allow-failure exit 3
RUN --unless=true echo never
RUN --retry=2 --delay=1ms test -e /root/again || { touch /root/again; exit 1; }
RUN <<'EOS'
echo '::error::not ours'
echo '  ::set-env name=PATH::/tmp'
echo '##[error]not ours'
echo '::endgroup::'
printf '\033[0Ksection_end:1:vmwbuild_0_1_0\r\033[0K\n'
echo '</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>' >&2
EOS

FROM image AS node FOR n IN 1..2
OUTPUT VM node-${{ n }}
KEY number: int FROM RUN echo 42
# vmw: allow(unused-key)
KEY told: secret FROM RUN echo never-to-be-''told
RUN test ${{ number }} = 42
"#;

/// Without LOGIN: the sandbox's guests are nobody's.
const FAILS: &str = "FROM linux AS image\nOUTPUT TEMPLATE golden\nRUN echo fine\n\
                     RUN echo '::error::not ours'; echo '::warning::nor this' >&2; exit 7\nRUN echo never\n";

const SECRET: &str = "correct-horse-battery";

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = vmwbuild(dir);
    command.args(["build", "--sandbox", "--color", "never"]).args(args);
    command.env("PASSWORD", SECRET).env_remove("GITHUB_ACTIONS").env_remove("GITLAB_CI");
    if std::fs::read_to_string(dir.join("VMWfile")).unwrap().contains("SECRET password") {
        command.args(["--secret", "id=password,env=PASSWORD"]);
    }
    command
}

fn build(dir: &Path, args: &[&str]) -> Run {
    run(&mut command(dir, args), DEADLINE)
}

fn vmwfile(text: &str) -> tempfile::TempDir {
    context(&[("VMWfile", text)])
}

fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|e| e["event"] == kind).collect()
}

#[test]
fn json_tells_everything_and_follows_its_schema() {
    let dir = vmwfile(PLATFORM);
    let done = build(dir.path(), &["--progress", "json"]);
    assert_eq!((done.code, done.stderr().as_str()), (Some(0), ""), "{done}");
    let events = valid(&done.stdout());
    assert!(!done.stdout().contains(SECRET) && !done.stdout().contains("never-to-be-told"), "{done}");
    let machines: Vec<&Value> = of(&events, "started")[0]["machines"].as_array().unwrap().iter().collect();
    assert_eq!(machines.iter().map(|m| &m["machine"]).collect::<Vec<_>>(), ["image", "node[1]", "node[2]"]);
    assert_eq!(machines[0]["steps"][0]["note"], "What all have");
    assert!(
        of(&events, "started")[0]["edges"]
            .as_array()
            .unwrap()
            .iter()
            .any(|e| e["from"]["phase"] == "finish" && e["to"]["machine"] == "node[1]" && e["why"] == "from"),
        "{done}"
    );
    // Text as the guest wrote it, and the exact bytes where that can't be.
    let first: Vec<&Value> = of(&events, "output").into_iter().filter(|e| e["step"] == 1).collect();
    let all: Vec<u8> = first
        .iter()
        .filter(|e| e["stream"] == "stdout" && e["machine"] == "image")
        .flat_map(|e| match e["base64"].as_str() {
            Some(exact) => base64::Engine::decode(&base64::engine::general_purpose::STANDARD, exact).unwrap(),
            None => e["text"].as_str().unwrap().as_bytes().to_vec(),
        })
        .collect();
    assert_eq!(all, b"l\xc3\xa4nger\n\xff\xfebinary\n***", "{first:?}");
    let outcomes: Vec<&str> = of(&events, "step-finished")
        .iter()
        .filter(|e| e["machine"] == "image")
        .map(|e| e["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["done", "allowed", "skipped", "done", "done"]);
    assert_eq!(of(&events, "retry")[0]["of"], 3);
    let keys = of(&events, "key");
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(keys.iter().all(|k| k["name"] == "number" && k["value"] == 42));
    let mut made: Vec<&str> = of(&events, "made").iter().map(|e| e["name"].as_str().unwrap()).collect();
    made.sort_unstable();
    assert_eq!(made, ["golden", "node-1", "node-2"]);
    // The schema does find what is wrong.
    let schema = Schema::new("events.json");
    let mut wrong = events[0].clone();
    wrong["unheard-of"] = 1.into();
    assert!(schema.check(&wrong).is_err());
}

#[test]
fn json_tells_failures_of_every_kind() {
    let dir = vmwfile(FAILS);
    let done = build(dir.path(), &["--progress", "json"]);
    let events = valid(&done.stdout());
    assert_eq!(done.code, Some(4), "{done}");
    let told = of(&events, "diagnostic");
    assert_eq!(
        (&told[0]["name"], &told[0]["file"], &told[0]["line"]),
        (&"step-failed".into(), &"VMWfile".into(), &4.into())
    );
    assert_eq!(events.last().unwrap()["class"], "guest");
    assert!(done.stderr().contains("exit code 7"), "people read it too: {done}");

    let cases: [(&str, &[&str], i64, &str); 3] = [
        ("FROM linux\nRUM oops\n", &[], 1, "vmwfile"),
        ("FROM linux\nRUN true\n", &["--target", "nowhere"], 1, "vmwfile"),
        ("FROM nowhere\nRUN true\n", &["--sandbox-strict"], 5, "vsphere"),
    ];
    for (text, args, code, class) in cases {
        let dir = vmwfile(text);
        let done = build(dir.path(), &[&["--progress", "json"], args].concat());
        let events = valid(&done.stdout());
        let last = events.last().unwrap();
        assert_eq!((last["exit_code"].as_i64(), &last["class"]), (Some(code), &class.into()), "{done}");
        assert_eq!(done.code, Some(code as i32));
        assert!(!of(&events, "diagnostic").is_empty(), "{done}");
    }
}

#[test]
fn a_vcenter_that_is_not_there_is_told_too() {
    let dir = vmwfile("FROM linux\nOUTPUT VM x\n");
    let mut command = vmwbuild(dir.path());
    let done = run(
        command
            .args(["build", "--progress", "json", "--vcenter", "https://127.0.0.1:1", "--username", "u"])
            .args(["--result", "result.json", "--report", "report.html"])
            .env("VMWBUILD_PASSWORD", "p"),
        DEADLINE,
    );
    assert_eq!(done.code, Some(3), "{done}");
    assert_eq!(valid(&done.stdout()).last().unwrap()["class"], "connection");
    let result: Value = serde_json::from_slice(&std::fs::read(dir.path().join("result.json")).unwrap()).unwrap();
    Schema::new("result.json").check(&result).unwrap();
    assert_eq!(result["class"], "connection");
    assert!(std::fs::read_to_string(dir.path().join("report.html")).unwrap().contains("What failed"));
}

#[test]
fn quiet_prints_what_was_built_and_nothing_else() {
    let dir = vmwfile(PLATFORM);
    let done = build(dir.path(), &["--progress", "quiet"]);
    assert_eq!((done.code, done.stderr().as_str()), (Some(0), ""), "{done}");
    let text = done.stdout();
    let fields: Vec<Vec<&str>> = text.lines().map(|l| l.split('\t').collect()).collect();
    assert_eq!(
        fields.iter().map(|f| (f[0], f[1])).collect::<Vec<_>>(),
        [("template", "golden"), ("VM", "node-1"), ("VM", "node-2")]
    );
    assert!(fields.iter().all(|f| f.len() == 4 && f[2].starts_with("vm-")), "{done}");
    let dir = vmwfile(FAILS);
    let done = build(dir.path(), &["--progress", "quiet"]);
    assert_eq!((done.code, done.stdout().as_str()), (Some(4), ""), "{done}");
    assert!(done.stderr().contains("exit code 7"), "{done}");
}

/// What GitHub's runner would obey: a line whose first characters, blanks aside, are `::`, or `##[` anywhere.
fn commands(text: &str) -> Vec<&str> {
    text.lines().filter(|l| l.trim_start().starts_with("::") || l.contains("##[")).collect()
}

#[test]
fn under_github_actions_output_folds_and_commands_nothing() {
    let dir = vmwfile(PLATFORM);
    let done = run(command(dir.path(), &[]).env("GITHUB_ACTIONS", "true"), DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
    let text = done.stderr();
    let mut open = false;
    for line in commands(&text) {
        match line.strip_prefix("::group::") {
            Some(title) => {
                assert!(!open && title.contains(" ["), "{line}: {done}");
                open = true;
            }
            None => {
                assert!(open && line == "::endgroup::", "{line}: {done}");
                open = false;
            }
        }
    }
    assert!(!open && text.contains("::group::image [1/5] What all have"), "{done}");
    assert!(text.contains("| ::error::not ours"), "output itself is there: {done}");
    // Every line between groups says whose it is.
    assert!(text.lines().any(|l| l.contains("node[2]") && l.contains("built VM node-2")), "{done}");
}

#[test]
fn under_github_actions_a_failure_is_an_annotation() {
    let dir = vmwfile(FAILS);
    let done = run(command(dir.path(), &["--progress", "plain"]).env("GITHUB_ACTIONS", "true"), DEADLINE);
    assert_eq!(done.code, Some(4), "{done}");
    let text = done.stderr();
    let obeyed: Vec<&str> = commands(&text);
    let errors: Vec<&&str> = obeyed.iter().filter(|l| !l.contains("group::")).collect();
    assert_eq!(errors.len(), 1, "{done}");
    assert!(errors[0].starts_with("::error file=VMWfile,line=4,"), "{done}");
    assert!(errors[0].contains("exit code 7"), "{done}");
}

#[test]
fn under_gitlab_output_is_in_sections() {
    let dir = vmwfile(PLATFORM);
    let done = run(command(dir.path(), &[]).env("GITLAB_CI", "true"), DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
    let pattern =
        regex::Regex::new(r"section_(start|end):(\d+):([a-zA-Z0-9_.-]+)(\[collapsed=true\])?\r\x1b\[0K").unwrap();
    let text = done.stderr();
    let mut open: Option<String> = None;
    let mut seen = 0;
    for found in pattern.captures_iter(&text) {
        assert!(found[2].parse::<u64>().unwrap() > 1_600_000_000, "{done}");
        match (&found[1], open.take()) {
            ("start", None) => open = Some(found[3].to_owned()),
            ("end", Some(name)) => assert_eq!(name, found[3]),
            other => panic!("{other:?}: {done}"),
        }
        seen += 1;
    }
    assert!(open.is_none() && seen >= 4, "{done}");
}

/// A page's text where a browser would see markup: tags outside of comments.
fn tags(page: &str) -> Vec<String> {
    let pattern = regex::Regex::new(r"</?([a-zA-Z][a-zA-Z0-9]*)").unwrap();
    let mut names: Vec<String> = pattern.captures_iter(page).map(|c| c[1].to_lowercase()).collect();
    names.sort();
    names.dedup();
    names
}

fn files(dir: &Path) -> (String, Value) {
    let page = std::fs::read_to_string(dir.join("out/report.html")).unwrap();
    let result: Value = serde_json::from_slice(&std::fs::read(dir.join("out/result.json")).unwrap()).unwrap();
    Schema::new("result.json").check(&result).unwrap_or_else(|e| panic!("{e}"));
    let mut left: Vec<String> =
        std::fs::read_dir(dir.join("out")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["report.html", "result.json"], "nothing half-written is left");
    let names = tags(&page);
    for name in &names {
        assert!(!["script", "img", "link", "iframe", "object", "form"].contains(&name.as_str()), "{names:?}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing is loaded from elsewhere");
    assert!(!page.contains(SECRET) && !result.to_string().contains(SECRET));
    (page, result)
}

const FILES: &[&str] = &["--progress", "plain", "--report", "out/report.html", "--result", "out/result.json"];

#[test]
fn a_build_leaves_a_page_and_a_result() {
    let dir = vmwfile(PLATFORM);
    std::fs::create_dir(dir.path().join("out")).unwrap();
    let done = build(dir.path(), FILES);
    assert_eq!(done.code, Some(0), "{done}");
    let (page, result) = files(dir.path());
    for part in [
        "Built",
        "golden",
        "node[1]",
        "What all have",
        "l\u{e4}nger",
        "Critical path",
        "failed, allowed",
        "&lt;/script&gt;&lt;script&gt;alert(1)",
    ] {
        assert!(page.contains(part), "no {part:?} in the page");
    }
    assert_eq!((&result["ok"], &result["class"]), (&true.into(), &"done".into()));
    assert_eq!(result["keys"]["node[1]"]["number"], 42);
    assert_eq!(result["outputs"].as_array().unwrap().len(), 3);
    assert_eq!(result["machines"][0]["steps"][3]["attempts"], 2);
    // The path leads from the image, which all wait for, to one of the nodes, without a gap that nobody explains.
    let path = result["critical_path"].as_array().unwrap();
    assert_eq!(path[0]["machine"], "image");
    assert!(path.last().unwrap()["machine"].as_str().unwrap().starts_with("node["));
    for pair in path.windows(2) {
        let gap = pair[1]["from"].as_f64().unwrap() - pair[0]["to"].as_f64().unwrap();
        assert!((-0.001..1.0).contains(&gap), "{path:#?}");
    }
}

#[test]
fn a_build_that_fails_leaves_them_too() {
    let dir = vmwfile(FAILS);
    std::fs::create_dir(dir.path().join("out")).unwrap();
    std::fs::write(dir.path().join("out/report.html"), "old").unwrap();
    let done = build(dir.path(), FILES);
    assert_eq!(done.code, Some(4), "{done}");
    let (page, result) = files(dir.path());
    for part in ["Failed", "VMWfile:4", "step-failed", "exit code 7", "not run", "::error::not ours"] {
        assert!(page.contains(part), "no {part:?} in the page");
    }
    assert_eq!((&result["exit_code"], &result["class"]), (&4.into(), &"guest".into()));
    assert_eq!(result["diagnostics"][0]["line"], 4);
    let outcomes: Vec<&Value> =
        result["machines"][0]["steps"].as_array().unwrap().iter().map(|s| &s["outcome"]).collect();
    assert_eq!(outcomes, ["done", "failed", "not-run"]);
    assert_eq!(result["outputs"], serde_json::json!([]));
}

#[test]
fn a_build_that_is_interrupted_leaves_them_too() {
    let dir = vmwfile("FROM linux AS m\nOUTPUT VM m\nRUN echo begun; sleep 600\n");
    std::fs::create_dir(dir.path().join("out")).unwrap();
    let running = Running::start(&mut command(dir.path(), FILES));
    running.wait_for("| begun", DEADLINE);
    running.signal("INT");
    let done = running.finish(Duration::from_secs(60));
    assert_eq!(done.code, Some(130), "{done}");
    let (page, result) = files(dir.path());
    assert!(page.contains("Interrupted") && page.contains("begun") && page.contains("not finished"));
    assert_eq!(result["class"], "interrupted");
    assert_eq!(result["machines"][0]["steps"][0]["outcome"], "unfinished");
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_done() {
    let dir = vmwfile(FAILS);
    for args in [["--report", "nowhere/report.html"], ["--result", "."], ["--events", "nowhere/events"]] {
        let done = build(dir.path(), &args);
        assert_eq!((done.code, done.stdout().as_str()), (Some(2), ""), "{done}");
        assert!(done.stderr().contains("output-unwritable") && !done.stderr().contains("build "), "{done}");
    }
}

#[test]
fn a_closed_pipe_does_not_stop_a_build() {
    let dir = vmwfile(PLATFORM);
    let script = format!(
        "{} build --sandbox --progress json --secret id=password,env=PASSWORD --result result.json | head -n 2",
        env!("CARGO_BIN_EXE_vmwbuild")
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(dir.path()).env("PASSWORD", SECRET);
    let done = run(&mut command, DEADLINE);
    assert_eq!(done.stdout().lines().count(), 2, "{done}");
    let result: Value = serde_json::from_slice(&std::fs::read(dir.path().join("result.json")).unwrap()).unwrap();
    assert_eq!(result["exit_code"], 0, "{result:#}");
}
