//! What the pages tell a reader to type is typed.
//!
//! ```` ```sh,run ```` is run: all such blocks of a page by one shell, in an empty directory, with `vmwbuild` on PATH and
//! nothing else set. `<!-- file: NAME -->` before a block writes it to that file first. ```` ```text,prints ```` after
//! a block holds lines of which each must be in what was printed. A block that is only ```` ```sh ```` needs what a test
//! doesn't have, and says so by what it names.

use std::{
    fmt::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::pages::{blocks, pages, root};

/// What shows that a block can't be run here: a vCenter or machines of the reader's own, programs that have to be
/// downloaded, files of the reader's, something that never ends, or no command at all.
const NEEDS: &[&str] = &[
    "example.com",
    "YOUR-",
    "web01",
    "--login root",
    "cargo install",
    "cargo run",
    "npm ci",
    "~/.config",
    "jq ",
    "images",
    "vmwbuild resume",
    "vmwbuild cache",
    "vmwbuild ls",
    "vmwbuild destroy",
    "vmwbuild up",
    "vmwbuild sandbox  ",
    "examples/hello --secret",
    "tests/run",
    "mdbook",
    "tree-sitter",
    "NetworkManager",
    "_vmw1=",
];

#[test]
fn what_can_be_run_is_run() {
    let mut ran = 0;
    for (path, text) in pages() {
        let page = path.file_name().unwrap().to_string_lossy().into_owned();
        let all = blocks(&text);
        for (line, _, body) in
            all.iter().filter(|(_, info, _)| matches!(info.as_str(), "sh" | "bash" | "shell" | "console"))
        {
            assert!(
                NEEDS.iter().any(|need| body.contains(need)),
                "{page}:{line}: nothing keeps this block from being run: mark it `sh,run`\n{body}"
            );
        }
        if all.iter().any(|(_, info, _)| info == "sh,run") {
            ran += run(&page, &text, &all);
        }
    }
    assert!(ran >= 5, "only {ran} blocks");
}

/// Runs the blocks of a page; how many.
fn run(page: &str, text: &str, all: &[(usize, String, String)]) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut script = "set -eu\n".to_owned();
    let (mut ran, mut wanted): (usize, Vec<(usize, String)>) = (0, Vec::new());
    for (line, info, body) in all {
        // `line` is the first of the body, counted from 1: the fence is above it.
        let above = line.checked_sub(3).and_then(|at| lines.get(at)).copied().unwrap_or_default();
        if let Some(name) = above.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->")) {
            let _ = write!(script, "cat > {name} <<'END OF THE FILE'\n{body}END OF THE FILE\n");
        }
        match info.as_str() {
            "sh,run" => {
                ran += 1;
                let _ = write!(script, "echo '---- {ran}'\n{body}");
            }
            "text,prints" => wanted.extend(body.lines().map(|line| (ran, line.to_owned()))),
            _ => {}
        }
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_vmwbuild")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
    let file = dir.path().join("page.sh");
    // What is left in the background when a block fails would keep the pipe open.
    std::fs::write(&file, format!("exec 2>&1\ntrap 'for job in $(jobs -p); do kill $job; done' EXIT\n{script}"))
        .unwrap();
    let mut shell = Command::new("sh");
    shell.arg(&file).current_dir(dir.path()).env_clear().env("PATH", path).env("HOME", dir.path()).stdin(Stdio::null());
    shell.env("XDG_STATE_HOME", dir.path().join("state")).env("LC_ALL", "C.UTF-8");
    let done = shell.output().unwrap();
    let printed = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{page}: {}\n{printed}", done.status);
    let parts: Vec<&str> = printed.split("---- ").collect();
    for (block, line) in wanted {
        let part = parts.iter().find(|part| part.starts_with(&format!("{block}\n"))).unwrap();
        assert!(part.contains(line.trim()), "{page}, block {block}: `{line}` is not in\n{part}");
    }
    assert!(root().join("docs").is_dir());
    ran
}
