//! The examples are right, canonical and drawn; and `lint`, `fmt` and `graph` deal with files as their help says.

#![allow(clippy::unwrap_used)] // a test may

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What the program said, and its exit code.
#[derive(Debug, PartialEq)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

fn vmwbuild(dir: &Path, args: &[&str], stdin: &str) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vmwbuild"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn silent() -> Said {
    Said { code: 0, out: String::new(), err: String::new() }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every directory of `examples/`.
fn examples() -> Vec<String> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(root().join("examples")).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    all.sort();
    assert!(all.len() >= 6, "only {} examples", all.len());
    all.iter().map(|p| p.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_example_has_neither_errors_nor_warnings() {
    for example in examples() {
        assert!(root().join(&example).join("VMWfile").exists(), "{example} has no VMWfile");
        assert_eq!(vmwbuild(root(), &["lint", "--strict", &example], ""), silent(), "{example}");
    }
}

#[test]
fn every_example_is_in_canonical_form() {
    for example in examples() {
        assert_eq!(vmwbuild(root(), &["fmt", "--check", &example], ""), silent(), "{example}");
    }
}

#[test]
fn every_example_is_drawn() {
    for example in examples() {
        let said = vmwbuild(root(), &["graph", &example], "");
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{example}");
        assert!(said.out.starts_with("digraph"), "{example}: {}", said.out);
    }
}

#[test]
fn the_graph_of_hello() {
    insta::assert_snapshot!(vmwbuild(root(), &["graph", "examples/hello"], "").out);
}

#[test]
fn the_graph_of_cluster_with_two_workers() {
    insta::assert_snapshot!(vmwbuild(root(), &["graph", "examples/cluster", "--arg", "workers=2"], "").out);
}

const RIGHT: &str = "FROM debian-12 AS web\nRUN echo hello\n";
const WRONG: &str = "FROM debian-12 AS web\nRUNN echo hello\n";
const DOUBTFUL: &str = "ARG unused = 1\nFROM debian-12 AS web\nRUN echo hello\n";

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

#[test]
fn lint_takes_files_directories_and_standard_input() {
    let dir =
        directory(&[("VMWfile", RIGHT), ("lab/VMWfile", RIGHT), ("lab/VMWfile.test", RIGHT), ("x.vmwfile", RIGHT)]);
    for args in [&["lint"][..], &["lint", "lab"], &["lint", "VMWfile", "x.vmwfile", "lab"], &["lint", "."]] {
        assert_eq!(vmwbuild(dir.path(), args, ""), silent(), "{args:?}");
    }
    assert_eq!(vmwbuild(dir.path(), &["lint", "-"], RIGHT), silent());
}

#[test]
fn lint_tells_of_every_file_and_counts() {
    let dir = directory(&[("VMWfile", RIGHT), ("a.vmwfile", WRONG), ("b.vmwfile", DOUBTFUL)]);
    let said = vmwbuild(dir.path(), &["lint", "a.vmwfile", "VMWfile", "b.vmwfile"], "");
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("[a.vmwfile:2:1]") && said.err.contains("[b.vmwfile:1:5]"), "{}", said.err);
    assert!(said.err.ends_with("1 error, 1 warning\n"), "{}", said.err);
    // A directory stands for all that is in it.
    assert_eq!(vmwbuild(dir.path(), &["lint", "."], ""), said);
}

#[test]
fn lint_only_warns_of_what_is_doubtful() {
    let lint = vmwbuild(root(), &["lint", "-"], DOUBTFUL);
    assert_eq!(lint.code, 0);
    assert!(lint.err.ends_with("0 errors, 1 warning\n"), "{}", lint.err);
    // As a build does: what it must be given is missing.
    let asks = "ARG version\nFROM debian-12 AS web\nRUN echo ${{ version }}\n";
    assert_eq!(vmwbuild(root(), &["lint", "-"], asks).code, 0);
    assert_eq!(vmwbuild(root(), &["lint", "--strict", "-"], asks).code, 1);
}

#[test]
fn lint_of_what_is_not_there() {
    let dir = directory(&[("lab/VMWfile", RIGHT), ("empty/other.txt", "")]);
    for (path, wanted) in [
        ("nowhere", "can't read `nowhere`"),
        ("empty", "there is no VMWfile in `empty`"),
        ("lab/VMWfil", "did you mean `lab/VMWfile`?"),
    ] {
        let said = vmwbuild(dir.path(), &["lint", path], "");
        assert_eq!(said.code, 1, "{path}");
        assert!(said.err.contains(wanted), "{path}: {}", said.err);
    }
}

#[test]
fn fmt_writes_what_is_not_canonical_and_nothing_else() {
    let untidy = "from debian-12 as web\nrun   echo hello\n";
    let dir = directory(&[("VMWfile", untidy), ("broken.vmwfile", WRONG)]);
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();

    let checked = vmwbuild(dir.path(), &["fmt", "--check", "VMWfile"], "");
    assert_eq!((checked.code, checked.err.as_str()), (1, "VMWfile isn't in canonical form\n"));
    assert_eq!(read("VMWfile"), untidy);

    assert_eq!(vmwbuild(dir.path(), &["fmt", "VMWfile"], "").code, 0);
    assert_eq!(read("VMWfile"), RIGHT);
    assert_eq!(vmwbuild(dir.path(), &["fmt", "--check", "VMWfile"], ""), silent());

    assert_eq!(vmwbuild(dir.path(), &["fmt", "broken.vmwfile"], "").code, 1);
    assert_eq!(read("broken.vmwfile"), WRONG);

    let piped = vmwbuild(dir.path(), &["fmt", "-"], untidy);
    assert_eq!(piped, Said { out: RIGHT.to_owned(), ..silent() });
}

#[test]
fn explain_knows_codes_by_number_and_name() {
    let by_number = vmwbuild(root(), &["explain", "VMW221"], "");
    assert_eq!(by_number.code, 0);
    assert_eq!(by_number, vmwbuild(root(), &["explain", "cycle"], ""));
    assert_eq!(by_number, vmwbuild(root(), &["explain", "221"], ""));
    assert!(by_number.out.starts_with("VMW221 cycle (error)\n"), "{}", by_number.out);
    let unknown = vmwbuild(root(), &["explain", "cycel"], "");
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("did you mean `cycle`?"), "{}", unknown.err);
}
