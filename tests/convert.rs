//! `vmwbuild convert`, by the real binary: what it writes, what it says, that the result checks, and that what is
//! built of it does what the deployment's steps say.

#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{DEADLINE, Run, context, run};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vmwscript").join(name)
}

/// `vmwbuild` in a directory, with nothing of this machine's settings.
fn vmwbuild(dir: &Path, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmwbuild"));
    command.current_dir(dir).args(args).env("NO_COLOR", "1").env("LC_ALL", "C");
    run(&mut command, DEADLINE)
}

fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/vmwscript"))
}

#[test]
fn fixtures_become_vmwfiles() {
    for name in ["hello", "playbook", "odd"] {
        let converted = vmwbuild(fixtures(), &["convert", &format!("{name}.json")]);
        assert_eq!(converted.code, Some(0), "{converted}");
        insta::assert_snapshot!(name, converted.stdout());
        insta::assert_snapshot!(format!("{name}-said"), converted.stderr());
    }
}

#[test]
fn what_is_written_checks_is_canonical_and_has_no_password() {
    for name in ["hello", "playbook", "odd"] {
        let dir = context::<&str, &str>(&[]);
        let from = fixture(&format!("{name}.json"));
        let converted = vmwbuild(dir.path(), &["convert", from.to_str().unwrap(), "-o", "VMWfile"]);
        assert!(converted.code == Some(0) && converted.stdout().is_empty(), "{converted}");
        // What is left is about the deployment's own commands and keys, and true.
        let own: &[&str] = match name {
            "playbook" => &["VMW402", "VMW402"],
            "odd" => &["VMW230"],
            _ => &[],
        };
        let lint = vmwbuild(dir.path(), &["lint", "--format", "concise", "VMWfile"]);
        let stdout = lint.stdout();
        let found: Vec<&str> =
            stdout.lines().filter_map(|line| line.split_once('[')?.1.split_whitespace().next()).collect();
        assert_eq!((lint.code, found.as_slice()), (Some(0), own), "{name}: {lint}");
        let canonical = vmwbuild(dir.path(), &["fmt", "--check", "VMWfile"]);
        assert_eq!(canonical.code, Some(0), "{name}: {canonical}");
        let made = std::fs::read_to_string(dir.path().join("VMWfile")).unwrap();
        for password in ["hunter2", "pa55-of", "pa55-token"] {
            assert!(!made.contains(password), "{name}: {made}");
            assert!(!converted.stderr().contains(password), "{name}: {converted}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_converted_leaves_what_was_there() {
    let dir = context(&[("VMWfile", "FROM x\n"), ("plan.json", "{ \"guestPass\": \"hunter2\" \"deployment\": [] }")]);
    let refused = vmwbuild(dir.path(), &["convert", "plan.json", "-o", "VMWfile"]);
    assert_eq!((refused.code, refused.stdout()), (Some(1), String::new()), "{refused}");
    insta::assert_snapshot!("refused", refused.stderr());
    assert_eq!(std::fs::read_to_string(dir.path().join("VMWfile")).unwrap(), "FROM x\n");

    let missing = vmwbuild(dir.path(), &["convert", "plam.json"]);
    assert!(missing.code == Some(1) && missing.stderr().contains("did you mean `plan.json`?"), "{missing}");
    let unwritable = vmwbuild(dir.path(), &["convert", fixture("hello.json").to_str().unwrap(), "-o", "no/VMWfile"]);
    assert!(unwritable.code == Some(1) && unwritable.stderr().contains("can't write `no/VMWfile`"), "{unwritable}");
}

/// The deployment is converted and built in one line, as a reader would try it; each machine shows what its steps
/// were to do.
#[cfg(target_os = "linux")]
#[test]
fn a_converted_deployment_does_what_its_steps_say() {
    let dir = context::<&str, &str>(&[]);
    let mut command = Command::new("sh");
    command
        .current_dir(dir.path())
        .args(["-c", "\"$BIN\" convert - < \"$PLAN\" | \"$BIN\" build --sandbox --progress plain --secret id=root_password,env=PW -f - ."])
        .env("BIN", env!("CARGO_BIN_EXE_vmwbuild"))
        .env("PLAN", fixture("hello.json"))
        .env("PW", "hunter2-guest");
    let built = run(&mut command, DEADLINE);
    assert_eq!(built.code, Some(0), "{built}");
    let results: Vec<String> =
        built.stdout().lines().map(|l| l.split("  ").next().unwrap_or_default().to_owned()).collect();
    assert_eq!(results, ["template hello-base", "VM hello-manager", "VM hello-worker1", "VM hello-worker2"]);
    let log = format!("{}{}", built.stdout(), built.stderr());
    // The template's script runs in the worker, by the command that the manager handed out, as the user it says.
    for line in ["| joined by root", "| hello from worker", "failed, as --allow-failure lets it: exit code 1"] {
        assert!(log.contains(line), "no {line:?} in {built}");
    }
    // What the manager shows is what the steps before left there.
    for line in ["| { \"port\": \"8080\" }", "| hello-manager"] {
        assert!(log.contains(line), "no {line:?} in {built}");
    }
    // Both workers ran it.
    let joined = log.matches("Join: RUN ${{ manager.join_command | raw }}").count();
    assert_eq!(joined, 2, "{built}");
    assert!(!log.contains("hunter2-guest"), "{built}");
}
