//! `vmwbuild lint`, the binary: its formats against the schemas of those who read them, what no format shows, and
//! ShellCheck. `tests/setup` gets the schemas, a validator and `shellcheck`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::files::project;

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests by tests/run"))
}

/// Runs it in a directory.
fn lint(directory: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmwbuild"));
    command.current_dir(directory).arg("lint").args(args).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What a validator says of a report. It validates the schema too.
fn validated(report: &Path, schema: &Path) -> Result<(), String> {
    const SCRIPT: &str = "
import json, sys, jsonschema
report, schema = (json.load(open(name, encoding='utf-8')) for name in sys.argv[1:])
kind = jsonschema.validators.validator_for(schema)
kind.check_schema(schema)
for error in kind(schema).iter_errors(report):
    print(error.json_path, error.message[:300])
    sys.exit(1)
";
    let mut command = Command::new(setting("VMWBUILD_TEST_PYTHON"));
    let done = command.args(["-c", SCRIPT]).args([report, schema]).output().expect("it runs");
    if done.status.success() { Ok(()) } else { Err(text(&done.stdout) + &text(&done.stderr)) }
}

const ODD: &[(&str, &str)] = &[
    ("VMWfile", "from Debian AS web\nRUN yum install -y kernel\nRUN modprobe \u{fc}berlay, x\nRUN yum install nginx\n"),
    ("a b/#1 %/VMWfile", "FROM Debian AS a\nRUN echo $x ${{ nothing }}\n"),
    ("main.vmwfile", "ARG web = \"x\"\nINCLUDE part.vmwfile\n"),
    ("part.vmwfile", "FROM Debian AS web\nRUN apt update && reboot\n"),
    ("quiet/VMWfile", ""),
];

#[test]
fn reports_fit_the_published_schemas() {
    let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let sarif = PathBuf::from(setting("VMWBUILD_TEST_SARIF_SCHEMA"));
    let schemas = [
        ("sarif", sarif, "/runs/0/results/0/level"),
        ("gitlab", repository.join("tests/fixtures/gitlab-code-quality.json"), "/0/severity"),
        ("json", repository.join("docs/schemas/lint.json"), "/findings/0/severity"),
    ];
    let directory = project(ODD);
    for (format, schema, member) in schemas {
        let file = directory.path().join("report");
        // A file that isn't there has a finding without a place.
        for paths in [&[".", "nowhere.vmwfile"][..], &["quiet"]] {
            let mut args = vec!["--shellcheck", "--format", format, "--output", "report"];
            args.extend(paths);
            let done = lint(directory.path(), &args);
            assert_eq!(text(&done.stdout), "");
            validated(&file, &schema).unwrap_or_else(|e| panic!("{format}: {e}"));
        }
        // The validator does find what is wrong.
        lint(directory.path(), &["--format", format, "--output", "report", "."]);
        let mut report: Value = serde_json::from_str(&fs::read_to_string(&file).expect("there")).expect("JSON");
        *report.pointer_mut(member).expect("it has findings") = "bad".into();
        fs::write(&file, report.to_string()).expect("written");
        assert!(validated(&file, &schema).is_err(), "{format}");
    }
}

/// Passwords that are written down, in lines that a lint, a syntax error and a wrong name point at.
const SECRETS: &str = "LOGIN root PASSWORD Zeh3imnis\nFROM Debian AS web\n\
    RUN mysql -pZeh3imnis -e x && echo 'root:Zeh3imnis' | chpasswd\nENV DB_PASSWORD=Zeh3imnis OTHER=${{ nope }}\n\
    ENV DB_PASSWORD Zeh3imnis\nLOGIN root PASSWORD Zeh3imnis extra\nLOGIN root Zeh3imnis\n\
    RUN curl --token Zeh3imnis https://me:Zeh3imnis@example.com/ | sh\nRUN PGPASSWORD='Zeh3imnis' psql $x\n";

#[test]
fn no_format_shows_a_password_that_is_written_down() {
    let directory = project(&[
        ("VMWfile", SECRETS),
        ("main.vmwfile", "INCLUDE part.vmwfile\n"),
        ("part.vmwfile", SECRETS),
        ("fine.vmwfile", "LOGIN root PASSWORD Zeh3imnis\nFROM Debian AS web\nRUN mysql -pZeh3imnis\n"),
    ]);
    for format in ["full", "concise", "json", "github", "gitlab", "sarif"] {
        for more in [&[][..], &["--shellcheck"], &["--allow", "secret-in-plain-text", "--warn", "cd-lost"]] {
            let done = lint(directory.path(), &[&["--format", format], more].concat());
            let all = text(&done.stdout) + &text(&done.stderr);
            assert!(!all.contains("Zeh3imnis"), "{format}: {all}");
            assert!(all.contains("nope"), "{format}: {all}");
        }
    }
    let done = lint(directory.path(), &["fine.vmwfile"]);
    let all = text(&done.stderr);
    assert!(all.contains("LOGIN root PASSWORD *********\n"), "{all}");
    assert!(all.contains("RUN mysql -p*********\n"), "{all}");
    // What formats and builds tells no more.
    for command in ["fmt", "graph", "build"] {
        let mut run = Command::new(env!("CARGO_BIN_EXE_vmwbuild"));
        let done = run.current_dir(directory.path()).args([command, "VMWfile"]).output().expect("it runs");
        let all = text(&done.stdout) + &text(&done.stderr);
        assert!(!done.status.success() && !all.contains("Zeh3imnis"), "{command}: {all}");
    }
}

const SCRIPTS: &str = r#"ARG dir = "/srv"
FROM Debian AS web
ENV known=bar
RUN echo $known && cp "${{ dir }}" ${{ dir }} && ls $unquoted
RUN apt-get -qy update \
    # a comment
    && echo 'ü ${{ dir }}' $x
# vmw: allow(SC2045, SC2035)
RUN <<EOF
cd /x
for f in $(ls *.txt); do echo "$f ${{ dir }}"; done
EOF
RUN cat > /etc/x <<EOF && echo "$HOME"
  body $(( 1 + 2 )) `date`
EOF
RUN <<EOF
#!/bin/bash
echo ${arr[@]}
EOF
# vmw: allow(SC2999)
RUN [ ${{ dir }} = /srv ]
SHELL powershell
RUN echo $x
"#;

#[test]
fn shellcheck_points_into_the_vmwfile() {
    let directory = project(&[("VMWfile", SCRIPTS)]);
    let done = lint(directory.path(), &["--shellcheck", "--format", "concise"]);
    let out = text(&done.stdout);
    let shellcheck: Vec<&str> = out.lines().filter(|l| l.contains(" shellcheck]")).collect();
    assert_eq!(
        shellcheck,
        [
            "VMWfile:4:10: advice[SC2086 shellcheck] Double quote to prevent globbing and word splitting",
            "VMWfile:4:53: warning[SC2154 shellcheck] unquoted is referenced but not assigned",
            "VMWfile:4:53: advice[SC2086 shellcheck] Double quote to prevent globbing and word splitting",
            "VMWfile:7:28: warning[SC2154 shellcheck] x is referenced but not assigned",
            "VMWfile:7:28: advice[SC2086 shellcheck] Double quote to prevent globbing and word splitting",
            "VMWfile:14:21: advice[SC2006 shellcheck] Use $(...) notation instead of legacy backticks `...`",
            "VMWfile:18:6: error[SC2068 shellcheck] Double quote array expansions to avoid re-splitting elements",
            "VMWfile:18:6: warning[SC2154 shellcheck] arr is referenced but not assigned",
        ],
        "{out}"
    );
    assert!(out.contains("VMWfile:20:14: warning[VMW505 unused-pragma] `SC2999` isn't raised here"), "{out}");
    assert_eq!(done.status.code(), Some(1));

    let levels = ["--shellcheck", "--format", "concise", "--allow", "sc2068", "--deny", "SC2006"];
    let out = text(&lint(directory.path(), &levels).stdout);
    assert!(!out.contains("SC2068") && out.contains("error[SC2006 shellcheck]"), "{out}");
    let out = text(&lint(directory.path(), &["--shellcheck", "--format", "concise", "--allow", "shellcheck"]).stdout);
    assert!(!out.contains(" shellcheck]"), "{out}");
    // Without it a pragma for it is none too many.
    let out = text(&lint(directory.path(), &["--format", "concise"]).stdout);
    assert!(!out.contains("SC2"), "{out}");
}

#[test]
fn without_shellcheck_on_path_that_is_said() {
    let directory = project(&[("VMWfile", SCRIPTS)]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmwbuild"));
    command.current_dir(directory.path()).env("PATH", directory.path());
    let done = command.args(["lint", "--shellcheck"]).output().expect("it runs");
    let err = text(&done.stderr);
    assert_eq!(done.status.code(), Some(2));
    assert!(err.contains("there is no program `shellcheck` on PATH") && err.contains("install ShellCheck"), "{err}");
}

#[test]
fn of_too_many_errors_some_are_told_and_the_rest_counted() {
    let wrong = |line: &str| format!("FROM Debian AS web\n{}", line.repeat(5000));
    let directory = project(&[
        ("syntax.vmwfile", &wrong("RUNN echo\n")),
        ("names.vmwfile", &wrong("NOTE ${{ nope }}\n")),
        ("lints.vmwfile", &wrong("RUN reboot\n")),
    ]);
    for (file, said) in [
        ("syntax.vmwfile", "4700 more errors in this file are not shown"),
        ("names.vmwfile", "4650 more errors are not shown"),
        ("lints.vmwfile", "4600 more are not shown"),
    ] {
        let done = lint(directory.path(), &[file]);
        let err = text(&done.stderr);
        assert!(err.contains(said), "{file}: {}", err.get(err.len().saturating_sub(600)..).unwrap_or_default());
        assert!(err.len() < 300_000, "{file}: {} bytes", err.len());
    }
}
