//! `vmwbuild lint`, the binary: what it finds where, how it writes it, what it changes, how it exits.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::files::project;
use crate::schema::Schema;

fn vmwbuild(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmwbuild"));
    command.current_dir(directory).args(args).env_remove("VMWBUILD_ARG_template").stdin(Stdio::null());
    command
}

/// Runs it; exit code, standard output, standard error.
fn run(directory: &Path, args: &[&str]) -> (i32, String, String) {
    seen(&vmwbuild(directory, args).output().expect("it runs"))
}

fn seen(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (output.status.code().expect("it exits"), text(&output.stdout), text(&output.stderr))
}

fn with_input(directory: &Path, args: &[&str], input: &str) -> (i32, String, String) {
    let mut child = vmwbuild(directory, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    seen(&child.wait_with_output().expect("it ends"))
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

const REBOOTS: &str = "FROM Debian AS web\nRUN reboot\n";

#[test]
fn the_examples_are_clean() {
    let (code, out, err) = run(&repository(), &["lint", "examples"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
}

#[test]
fn directories_are_searched_but_for_what_git_ignores_and_what_is_included() {
    let directory = project(&[
        (".gitignore", "out/\n"),
        ("VMWfile", REBOOTS),
        ("a/b/VMWfile.lab", REBOOTS),
        ("a/web.vmwfile", "INCLUDE parts/rest.vmwfile\n"),
        ("a/parts/rest.vmwfile", "FROM Debian AS web\nRUN apt update\n"),
        ("out/VMWfile", REBOOTS),
        ("notes.txt", REBOOTS),
    ]);
    let (code, out, err) = run(directory.path(), &["lint", "--format=concise"]);
    assert_eq!(
        out,
        "VMWfile:2:5: warning[VMW357 reboot-in-run] `reboot` takes the machine down under the build\n\
         a/b/VMWfile.lab:2:5: warning[VMW357 reboot-in-run] `reboot` takes the machine down under the build\n\
         a/parts/rest.vmwfile:2:5: warning[VMW361 apt-for-people] `apt` is for people at a terminal\n"
    );
    assert_eq!((code, err.as_str()), (0, "0 errors, 3 warnings (1 can be mended with --fix)\n"));
}

#[test]
fn exit_codes() {
    let directory = project(&[("VMWfile", REBOOTS), ("broken/VMWfile", "FROM Debian AS web\nRUNN true\n")]);
    let code = |args: &[&str]| run(directory.path(), args).0;
    assert_eq!(code(&["lint", "VMWfile"]), 0, "a warning");
    assert_eq!(code(&["lint", "broken"]), 1, "an error");
    assert_eq!(code(&["lint", "VMWfile", "--deny", "reboot-in-run"]), 1);
    assert_eq!(code(&["lint", "VMWfile", "--deny", "VMW357"]), 1);
    assert_eq!(code(&["lint", "VMWfile", "--deny", "all"]), 1);
    assert_eq!(code(&["lint", "VMWfile", "--deny", "all", "--allow", "reboot-in-run"]), 0);
    assert_eq!(code(&["lint", "VMWfile", "--max-warnings", "1"]), 0);
    assert_eq!(code(&["lint", "VMWfile", "--max-warnings", "0"]), 1);
    assert_eq!(code(&["lint", "VMWfile", "--deny", "no-such-lint"]), 2);
    assert_eq!(code(&["lint", "VMWfile", "--allow", "unknown-name"]), 2, "an error can't be allowed");
    assert_eq!(code(&["lint", "nowhere"]), 1);
}

#[test]
fn a_wrong_name_is_told_once_with_the_right_one() {
    let directory = project(&[("VMWfile", REBOOTS), ("b.vmwfile", REBOOTS)]);
    let (_, _, err) = run(directory.path(), &["lint", "--deny", "reboot-in-ru"]);
    assert_eq!(err.matches("there is no lint `reboot-in-ru`").count(), 1, "{err}");
    assert!(err.contains("did you mean `reboot-in-run`?"), "{err}");
}

#[test]
fn the_projects_file_sets_levels_ignores_and_values() {
    let directory = project(&[
        (
            "vmwbuild.toml",
            "[lint]\ndeny = [\"apt-for-people\"]\nallow = [\"debconf-asks\"]\nwarn = [\"fixed-placement\"]\n\
             [lint.per-file-ignores]\n\"lab/\" = [\"reboot-in-run\"]\n[args]\nworkers = 3\nother = \"x\"\n",
        ),
        ("VMWfile", REBOOTS),
        ("lab/VMWfile", REBOOTS),
        ("deep/down/VMWfile", "FROM Debian AS web\nDATASTORE ssd\nRUN apt update\nRUN apt-get install -y x\n"),
        ("args.vmwfile", "ARG workers: int\nFROM Debian AS w FOR n IN 1..${{ workers }}\nOUTPUT VM w${{ n }}\n"),
    ]);
    let (code, out, _) = run(directory.path(), &["lint", "--format", "concise", "--strict"]);
    assert_eq!(
        out,
        "VMWfile:2:5: warning[VMW357 reboot-in-run] `reboot` takes the machine down under the build\n\
         deep/down/VMWfile:2:11: warning[VMW503 fixed-placement] the datastore is fixed\n\
         deep/down/VMWfile:3:5: error[VMW361 apt-for-people] `apt` is for people at a terminal\n"
    );
    assert_eq!(code, 1);
    // The command line has the last word.
    let (code, out, _) = run(&directory.path().join("deep"), &["lint", "--format", "concise", "--allow", "all"]);
    assert_eq!((code, out.as_str()), (0, ""));
}

#[test]
fn a_wrong_projects_file_is_told() {
    for (text, said) in [
        ("[lint]\nalow = []\n", "unknown field `alow`"),
        ("[lint]\nallow = [\"reboot-in-ru\"]\n", "did you mean `reboot-in-run`?"),
        ("[lint.per-file-ignores]\n\"x\" = [\"unknown-name\"]\n", "errors can't be allowed"),
        ("lint = 1\n", "can't understand"),
    ] {
        let directory = project(&[("vmwbuild.toml", text), ("VMWfile", REBOOTS)]);
        let (code, _, err) = run(directory.path(), &["lint"]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(said) && err.contains("VMW696"), "{err}");
    }
}

const MENDABLE: &str = "from Debian AS web\nRUN sudo apt install nginx && reboot\nRUN reboot\n";

#[test]
fn fix_mends_what_is_safe_and_is_done_then() {
    let directory = project(&[("VMWfile", MENDABLE)]);
    let read = || fs::read_to_string(directory.path().join("VMWfile")).expect("it is there");
    let (code, out, err) = run(directory.path(), &["lint", "--fix"]);
    let safe = "FROM Debian AS web\nRUN sudo -n apt-get install -y nginx && reboot\nRUN reboot\n";
    assert_eq!((code, out.as_str(), read().as_str()), (0, "", safe), "{err}");
    assert!(err.contains("4 findings mended in 1 file"), "{err}");
    let (_, _, err) = run(directory.path(), &["lint", "--fix"]);
    assert!(!err.contains("mended in"), "{err}");
    assert_eq!(read(), safe);
    run(directory.path(), &["lint", "--fix", "--unsafe-fixes"]);
    let all = read();
    assert!(all.ends_with("REBOOT\n"), "{all}");
    assert_eq!(run(directory.path(), &["fmt", "--check"]).0, 0, "it can be read:\n{all}");
    run(directory.path(), &["lint", "--fix", "--unsafe-fixes"]);
    assert_eq!(read(), all, "a second time changes nothing");
}

#[test]
fn diff_changes_nothing() {
    let directory = project(&[("VMWfile", "from Debian AS web\nRUN true\n")]);
    let (code, out, _) = run(directory.path(), &["lint", "--diff"]);
    let wanted = "--- VMWfile\n+++ VMWfile\n@@ -1,2 +1,2 @@\n-from Debian AS web\n+FROM Debian AS web\n RUN true\n";
    assert_eq!((code, out.as_str()), (0, wanted));
    assert_eq!(fs::read_to_string(directory.path().join("VMWfile")).expect("there"), "from Debian AS web\nRUN true\n");
}

#[test]
fn standard_input() {
    let directory = project(&[]);
    let (code, out, _) = with_input(directory.path(), &["lint", "--format=concise", "-"], REBOOTS);
    assert_eq!(code, 0);
    assert!(out.starts_with("<stdin>:2:5: warning[VMW357"), "{out}");
    let (_, out, err) = with_input(directory.path(), &["lint", "--fix", "-"], "from Debian AS web\n");
    assert_eq!(out, "FROM Debian AS web\n", "{err}");
}

#[test]
fn an_included_file_is_mended_once() {
    let part = "run true\n";
    let directory = project(&[
        ("a.vmwfile", "FROM Debian AS a\nINCLUDE part.vmwfile\n"),
        ("b.vmwfile", "FROM Debian AS b\nINCLUDE part.vmwfile\n"),
        ("part.vmwfile", part),
    ]);
    let (code, out, err) = run(directory.path(), &["lint", "--format=concise"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "part.vmwfile:1:1: advice[VMW500 keyword-case] `run` is written `RUN`\n"),
        "{err}"
    );
    run(directory.path(), &["lint", "--fix"]);
    assert_eq!(fs::read_to_string(directory.path().join("part.vmwfile")).expect("there"), "RUN true\n");
}

#[test]
fn a_build_shows_what_stops_it_as_an_error() {
    // The code is a warning where the line can be read all the same.
    let directory = project(&[("VMWfile", "FROM linux AS m\nOUTPUT TEMPLATE t # for now\nRUN true\n")]);
    let (code, _, err) = run(directory.path(), &["build", "--sandbox"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("x a comment is a line of its own"), "{err}");
}

/// A deployment of parts, each of which means something only where it is included.
fn parts() -> TempDir {
    project(&[
        ("VMWfile", "ARG package = \"nginx\"\nFROM Debian AS web\nINCLUDE parts/steps.vmwfile\nrun true\n"),
        ("parts/steps.vmwfile", "RUN yum install -y ${{ package }}\nRUN reboot\nINCLUDE ../deep/more.vmwfile\n"),
        ("deep/more.vmwfile", "run apt-get update\n"),
    ])
}

#[test]
fn a_part_of_a_file_is_looked_at_where_it_is_included() {
    let directory = parts();
    let steps =
        "parts/steps.vmwfile:2:5: warning[VMW357 reboot-in-run] `reboot` takes the machine down under the build\n";
    let more = "deep/more.vmwfile:1:1: advice[VMW500 keyword-case] `run` is written `RUN`\n";
    // As `pre-commit` gives it: by itself, from the top.
    let (code, out, err) = run(directory.path(), &["lint", "--format=concise", "parts/steps.vmwfile"]);
    assert_eq!((code, out.as_str()), (0, steps), "{err}");
    // From its own directory; and one that a part includes in turn.
    let there = directory.path().join("parts");
    let (code, out, err) = run(&there, &["lint", "--format=concise", "steps.vmwfile"]);
    assert_eq!((code, out.as_str()), (0, steps.replace("parts/", "").as_str()), "{err}");
    let (code, out, err) = run(directory.path(), &["lint", "--format=concise", "deep"]);
    assert_eq!((code, out.as_str()), (0, more), "{err}");
    // What is wrong in it is told, but nothing of the file around it.
    fs::write(there.join("steps.vmwfile"), "RUN echo ${{ pakcage }}\n").expect("written");
    let (code, out, err) = run(directory.path(), &["lint", "--format=concise", "parts/steps.vmwfile"]);
    assert_eq!(code, 1, "{err}");
    assert_eq!(out, "parts/steps.vmwfile:1:14: error[VMW100 unknown-name] nothing is called `pakcage`\n");
    // No other file includes it: it is told what such a file would be.
    fs::remove_file(directory.path().join("VMWfile")).expect("removed");
    let (code, out, err) = run(directory.path(), &["lint", "parts/steps.vmwfile"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("a part that other files INCLUDE is looked at as a part of one of them"), "{err}");
}

#[test]
fn a_part_of_a_file_is_formatted_by_itself() {
    let directory = parts();
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).expect("there");
    let (code, _, err) = run(directory.path(), &["fmt", "VMWfile"]);
    assert_eq!(code, 0, "{err}");
    assert!(read("VMWfile").ends_with("RUN true\n"));
    assert_eq!(read("deep/more.vmwfile"), "run apt-get update\n", "it wasn't named");
    let (code, _, err) = run(directory.path(), &["fmt", "deep/more.vmwfile", "parts/steps.vmwfile"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(read("deep/more.vmwfile"), "RUN apt-get update\n");
    assert_eq!(run(directory.path(), &["fmt", "--check", "deep", "parts", "."]).0, 0);
}

/// A repository with a VMWfile in each of its directories is given as one path, to both.
#[test]
fn directories_are_searched_for_what_is_linted_and_formatted() {
    let directory = TempDir::new().expect("a directory");
    let (tidy, untidy) = ("FROM linux AS a\nRUN true\n", "FROM linux AS a\nRUN   true\n");
    let files = [("images/web/VMWfile", tidy), ("images/db/small.vmwfile", untidy), ("images/old/VMWfile", untidy)];
    for (name, text) in files.into_iter().chain([(".gitignore", "old\n")]) {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(path, text).expect("written");
    }
    for path in ["images", "."] {
        assert_eq!(run(directory.path(), &["lint", path]).0, 0);
        let (code, out, err) = run(directory.path(), &["fmt", "--check", path]);
        assert_eq!((code, out.as_str()), (1, ""));
        assert_eq!(err, "images/db/small.vmwfile isn't in canonical form\n");
    }
    assert_eq!(run(directory.path(), &["fmt", "images"]).0, 0);
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).expect("there");
    assert_eq!(read("images/db/small.vmwfile"), tidy);
    assert_eq!(read("images/old/VMWfile"), untidy, "git doesn't see it");
    let empty = TempDir::new().expect("a directory");
    let (code, _, err) = run(empty.path(), &["fmt"]);
    assert_eq!(code, 1);
    assert!(err.contains("there is no VMWfile in `.`"), "{err}");
}

#[test]
fn fix_mends_the_files_that_are_asked_about_only() {
    let directory = parts();
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).expect("there");
    let (code, _, err) = run(directory.path(), &["lint", "--fix", "VMWfile"]);
    assert_eq!(code, 0, "{err}");
    assert!(read("VMWfile").ends_with("RUN true\n"));
    assert_eq!(read("deep/more.vmwfile"), "run apt-get update\n");
    assert!(err.contains("1 finding mended in 1 file"), "{err}");
    assert!(err.contains("`lint --fix deep/more.vmwfile`"), "{err}");
    // A part by itself is mended as it is where it is included, and the file around it is not.
    let whole = read("VMWfile").replace("RUN true", "run true");
    fs::write(directory.path().join("VMWfile"), &whole).expect("written");
    let (code, _, err) = run(directory.path(), &["lint", "--fix", "deep/more.vmwfile"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!((read("deep/more.vmwfile").as_str(), read("VMWfile")), ("RUN apt-get update\n", whole), "{err}");
    assert!(err.contains("1 finding mended in 1 file") && !err.contains("more can be mended"), "{err}");
}

#[test]
fn pragmas_and_ignores_hold_in_the_file_that_they_are_for() {
    let directory = project(&[
        (
            "vmwbuild.toml",
            "[lint.per-file-ignores]\n\"parts/\" = [\"reboot-in-run\"]\n\"VMWfile\" = [\"apt-for-people\"]\n",
        ),
        ("VMWfile", "FROM Debian AS web\nRUN apt update\nRUN reboot\nINCLUDE parts/a.vmwfile\nINCLUDE b.vmwfile\n"),
        ("parts/a.vmwfile", "RUN reboot\nRUN apt update\n"),
        ("b.vmwfile", "# vmw: allow-file(reboot-in-run)\n\nRUN reboot\n# vmw: allow(apt-for-people)\nRUN apt update\n"),
    ]);
    let found = "VMWfile:3:5: warning[VMW357 reboot-in-run] `reboot` takes the machine down under the build\n\
                 parts/a.vmwfile:2:5: warning[VMW361 apt-for-people] `apt` is for people at a terminal\n";
    for files in [&["VMWfile"][..], &["."], &["parts", "VMWfile", "b.vmwfile"]] {
        let (code, out, err) = run(directory.path(), &[&["lint", "--format=concise"], files].concat());
        let mut lines: Vec<&str> = out.lines().collect();
        lines.sort();
        assert_eq!((code, lines), (0, found.lines().collect()), "{files:?}: {err}");
    }
    // A part's pragmas are for the part, and one that allows nothing there is told though the file around has it.
    let more = "# vmw: allow-file(apt-for-people)\n\nRUN apt update\n# vmw: allow(reboot-in-run)\nRUN true\n";
    fs::write(directory.path().join("b.vmwfile"), more).expect("written");
    let (_, out, _) = run(directory.path(), &["lint", "--format=concise", "VMWfile"]);
    assert!(out.contains("b.vmwfile:4:14: warning[VMW505 unused-pragma]"), "{out}");
    // A build shows the same.
    let (_, _, err) = run(directory.path(), &["build", "--sandbox", "--progress=plain"]);
    let reboots = err.matches("reboot-in-run").count();
    assert!(err.contains("VMWfile:3:5") && !err.contains("parts/a.vmwfile:1:5"), "{reboots} {err}");
}

#[test]
fn a_build_shows_warnings_and_goes_on() {
    let directory = project(&[("VMWfile", "from linux AS web\nOUTPUT NONE\nKEY kernel FROM RUN uname -r\n")]);
    let (_, _, err) = run(directory.path(), &["build", "--secret", "id=nothing,env=HOME", "--sandbox"]);
    assert!(err.contains("VMW230 unused-key"), "{err}");
    assert!(!err.contains("keyword-case"), "advice is lint's:\n{err}");
}

/// Findings of every kind: errors, warnings with places and mends, one without a place.
fn report(format: &str) -> Value {
    let directory = project(&[
        ("VMWfile", "from Debian AS web\nRUN yum install kernel\nRUN modprobe overlay\n"),
        ("b.vmwfile", "FROM Debian AS web\nRUN echo ${{ nothing }}\n"),
    ]);
    let file = directory.path().join("report");
    let output = format!("--output={}", file.display());
    let (code, out, err) = run(directory.path(), &["lint", ".", "nowhere.vmwfile", "--format", format, &output]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    serde_json::from_str(&fs::read_to_string(file).expect("written")).expect("JSON")
}

#[test]
fn json_follows_its_schema() {
    let schema = Schema::new("lint.json");
    let report = report("json");
    schema.check(&report).expect("valid");
    let findings = report["findings"].as_array().expect("a list");
    assert_eq!(report["summary"]["errors"], 2, "{report:#}");
    assert!(findings.iter().any(|f| f["place"].is_null()), "the missing file has no place");
    assert!(findings.iter().any(|f| f["fix"]["safe"] == true) && findings.iter().any(|f| f["related"][0].is_object()));
    // The check does find what is wrong.
    let mut wrong = report.clone();
    wrong["findings"][0]["severity"] = "bad".into();
    assert!(schema.check(&wrong).is_err());
}

#[test]
fn sarif_has_what_its_readers_need() {
    let report = report("sarif");
    assert_eq!(report["version"], "2.1.0");
    let run = &report["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    for result in run["results"].as_array().expect("results") {
        let rule = &rules[result["ruleIndex"].as_u64().expect("an index") as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().expect("a level")));
        assert!(result["partialFingerprints"]["primaryLocationLineHash"].as_str().is_some_and(|p| p.contains(':')));
        for place in result["locations"].as_array().expect("a list") {
            let region = &place["physicalLocation"]["region"];
            for side in ["startLine", "startColumn", "endLine", "endColumn"] {
                assert!(region[side].as_u64().is_some_and(|n| n >= 1), "{result:#}");
            }
        }
    }
    let fixes: Vec<&Value> =
        run["results"].as_array().expect("results").iter().filter_map(|r| r.get("fixes")).collect();
    assert!(fixes.iter().any(|f| f[0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"] == " -y"));
}

/// `docs/lints.md` is made of the rules; VMWBUILD_UPDATE_DOCS=1 writes it.
#[test]
fn the_lints_page_is_current() {
    let mut page = String::from(
        "# Lints\n\nWhat `vmwbuild lint` finds beyond errors. Each has a number and a name that stay; \
         `vmwbuild explain NAME` shows the same on the terminal.\n\n\
         Levels are set by `--allow`, `--warn` and `--deny` (a name, `VMW123`, or `all` that are on), by the lists of \
         the same names under `[lint]` in the nearest `vmwbuild.toml`, and for one instruction by a comment above it, \
         `# vmw: allow(name)`; for a file by `# vmw: allow-file(name)`. A pragma that allows nothing is reported. \
         Errors can't be allowed.\n\n\
         ```toml\n[lint]\nallow = [\"stage-name-case\"]\nwarn = [\"unpinned-package\"]\ndeny = [\"secret-in-plain-text\"]\n\n\
         [lint.per-file-ignores]\n\"lab/\" = [\"fixed-placement\"]\n\n[args]\nworkers = 3\n```\n\n\
         `[args]` are values for checking, for ARGs that have no default. *Warnings* are shown by `vmwbuild build` too; \
         *advice* by `lint` alone; what is *off* is so until a level names it.\n\n\
         `lint` searches directories for `VMWfile`, `VMWfile.*` and `*.vmwfile`, but for what `.gitignore` names. A part that \
         another file INCLUDEs is looked at there, also when it is named alone: in the nearest of its own directory and the \
         three above. Its pragmas are for itself, and `per-file-ignores` go by its own path. `lint` exits \
         with 1 at errors, denied lints and more warnings than `--max-warnings`, with 2 when a level or `vmwbuild.toml` \
         is wrong, else with 0. `--fix` applies mends that don't change what a file means, `--unsafe-fixes` the others \
         too, `--diff` only shows them; only files that are named or found are changed, not what they include. `--format` is `full`, `concise`, `json` (described by \
         [schemas/lint.json](schemas/lint.json)), `github`, `gitlab` or `sarif`; `--output` names a file.\n\n\
         `--shellcheck` asks the program ShellCheck too, if it is on PATH, about commands for sh, bash and ksh. Passwords that \
         are written in a file are shown as asterisks in every format (`--diff` shows the lines as they are).\n",
    );
    let mut codes: Vec<&vmwbuild::diagnostic::Code> = vmwbuild::lint::codes::ALL.to_vec();
    codes.sort_by_key(|c| c.number);
    for code in codes {
        let off = vmwbuild::lint::rules().iter().any(|r| r.code == code && r.opt_in);
        let severity = match code.severity {
            vmwbuild::diagnostic::Severity::Warning => "warning",
            vmwbuild::diagnostic::Severity::Advice => "advice",
            vmwbuild::diagnostic::Severity::Error => panic!("{code} is an error"),
        };
        let level = if off { format!("{severity}, off") } else { severity.to_owned() };
        page.push_str(&format!("\n## {} ({code})\n\n*{level}* — {}\n", code.name, code.about));
        if code.wrong.is_empty() {
            continue;
        }
        page.push_str(&format!("\nWrong:\n\n```vmwfile\n{}```\n", code.wrong));
        page.push_str(&format!("\nRight:\n\n```vmwfile\n{}```\n", code.right));
    }
    let path = repository().join("docs/lints.md");
    if std::env::var_os("VMWBUILD_UPDATE_DOCS").is_some() {
        fs::write(&path, &page).expect("written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/lints.md is out of date: run this test with VMWBUILD_UPDATE_DOCS=1");
}

#[test]
fn a_copy_of_what_vmwignore_holds_back_is_found() {
    let directory = TempDir::new().expect("made");
    let root = directory.path();
    fs::create_dir_all(root.join("keys")).expect("made");
    fs::create_dir_all(root.join("parts")).expect("made");
    for (name, text) in [
        (".vmwignore", "*.key\n/keys/\n!public.key\n"),
        ("web.key", ""),
        ("public.key", ""),
        ("keys/a", ""),
        ("parts/copies.vmwfile", "COPY ./web.key /etc/web.key\n"),
        (
            "VMWfile",
            "FROM Debian AS web\nINCLUDE parts/copies.vmwfile\nCOPY keys /etc/keys\nCOPY keys/a public.key /etc/\n",
        ),
    ] {
        fs::write(root.join(name), text).expect("written");
    }
    let (code, out, err) = run(root, &["lint", "VMWfile", "--format", "concise"]);
    assert_eq!(code, 0, "{err}");
    let found: Vec<&str> = out.lines().filter(|l| l.contains("copies-held-back")).collect();
    let expected = [
        ("VMWfile:3:6:", "`keys` is held back by .vmwignore"),
        ("VMWfile:4:6:", "`keys/a` is held back by .vmwignore"),
        ("copies.vmwfile:1:6:", "`./web.key` is held back by .vmwignore"),
    ];
    assert_eq!(found.len(), expected.len(), "{out}");
    for (place, message) in expected {
        assert!(found.iter().any(|l| l.contains(place) && l.contains(message)), "{place} {message}: {out}");
    }
}

/// What a COPY can't send is told as what isn't there is: before anything is contacted, and with its place.
#[test]
fn what_cannot_be_sent_is_told_early() {
    let dir = project(&[
        ("VMWfile", "FROM Debian AS web FOR i IN 1..3\nOUTPUT VM web${{ i }}\nCOPY site /srv/\nCOPY pipe /x\n"),
        ("ignored.vmwfile", "FROM Debian AS web\nOUTPUT VM web\nCOPY held /srv/\n"),
        ("site/index.html", ""),
        ("site/deep/below/x", ""),
        ("held/x", ""),
        (".vmwignore", "held/run\n*.sock\n"),
    ]);
    for pipe in ["site/deep/below/one", "site/two", "site/held.sock", "pipe", "held/run"] {
        assert!(Command::new("mkfifo").arg(dir.path().join(pipe)).status().unwrap().success());
    }
    let (code, out, text) = run(dir.path(), &["lint", "--color", "never", "VMWfile"]);
    assert_eq!(code, 1, "{out}{text}");
    insta::assert_snapshot!("unsendable", text.replace(&dir.path().display().to_string(), "DIR"));
    let (code, out, text) = run(dir.path(), &["lint", "ignored.vmwfile"]);
    assert_eq!(code, 0, "{out}{text}");
}
