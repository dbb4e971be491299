//! What the pages tell a reader to type is typed.
//!
//! ```` ```sh,run ```` is run: all such blocks of a page by one shell, in an empty directory, with `vmwbuild` on PATH and
//! nothing else set but `REPOSITORY`, where this one is. `<!-- file: NAME -->` before a block writes it to that file first,
//! and the lines between `<!-- first:` and `-->` are run first: what a reader has already. There `serve` begins a sandbox,
//! whose variables are set then. ```` ```text,prints ```` after a block holds lines of which each must be in what was
//! printed. Where a command ends with the comment `# asks`, the answer is yes; [`SOME_BUILD`] is the newest build there is.
//! A block that is only ```` ```sh ```` needs what a test doesn't have, and says so by what it names.

use std::{
    fmt::Write as _,
    os::unix::process::CommandExt as _,
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
    "tests/run",
    "mdbook",
    "NetworkManager",
    "_vmw1=",
    "do …; done",
];

/// The identifier that the pages give a build.
const SOME_BUILD: &str = "20300131-1a2b3c4d";

/// What the hidden parts of pages may call.
const PRELUDE: &str = r#"set -eu
serve() {
    vmwbuild sandbox --listen 127.0.0.1:0 > "$HOME/sandbox.log" &
    until grep -q VMWARE_VALIDATE_CERTS "$HOME/sandbox.log"; do kill -0 $!; sleep 0.1; done
    eval "$(grep '^export' "$HOME/sandbox.log")"
}
newest() { vmwbuild builds | head -n 1 | cut -d ' ' -f 1; }
"#;

/// The lines of the hidden comments that begin with `<!-- first:`.
fn hidden(lines: &[&str]) -> String {
    let (mut found, mut inside) = (String::new(), false);
    for line in lines {
        match line.trim() {
            "<!-- first:" => inside = true,
            "-->" => inside = false,
            _ if inside => found += &format!("{line}\n"),
            _ => {}
        }
    }
    assert!(!inside, "a comment has no end");
    found
}

/// A block as the shell of the test gets it.
fn typed(body: &str) -> String {
    let answered = body.lines().map(|line| match line.strip_suffix("# asks") {
        Some(command) => format!("{} --yes\n", command.trim_end()),
        None => format!("{line}\n"),
    });
    answered.collect::<String>().replace(SOME_BUILD, "\"$(newest)\"")
}

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
    let mut script = PRELUDE.to_owned();
    let mut before = 0;
    let (mut ran, mut wanted): (usize, Vec<(usize, String)>) = (0, Vec::new());
    for (line, info, body) in all {
        // `line` is the first of the body, counted from 1: the fence is above it.
        let above = line.checked_sub(3).and_then(|at| lines.get(at)).copied().unwrap_or_default();
        script += &hidden(&lines[before..line - 2]);
        before = line + body.lines().count();
        if let Some(name) = above.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->")) {
            let _ = write!(script, "cat > {name} <<'END OF THE FILE'\n{body}END OF THE FILE\n");
        }
        match info.as_str() {
            "sh,run" => {
                ran += 1;
                let _ = write!(script, "echo '---- {ran}'\n{}", typed(body));
            }
            "text,prints" => wanted.extend(body.lines().map(|line| (ran, line.to_owned()))),
            _ => {}
        }
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_vmwbuild")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
    let file = dir.path().join("page.sh");
    std::fs::write(&file, format!("exec 2>&1\n{script}")).unwrap();
    let mut shell = Command::new("sh");
    shell.arg(&file).current_dir(dir.path()).env_clear().env("PATH", path).env("HOME", dir.path()).stdin(Stdio::null());
    shell.env("XDG_STATE_HOME", dir.path().join("state")).env("LC_ALL", "C.UTF-8").env("REPOSITORY", root());
    // A file and no pipe, which whatever a page leaves in the background would keep open; that is ended by its group,
    // for a shell's own list of its jobs is empty in `$(jobs -p)` where `sh` is dash.
    let output = dir.path().join("page.out");
    let mut shell = shell.stdout(std::fs::File::create(&output).unwrap()).process_group(0).spawn().unwrap();
    let group = format!("-{}", shell.id());
    let status = shell.wait().unwrap();
    let _ = Command::new("kill").args(["-TERM", "--", &group]).stderr(Stdio::null()).status();
    let printed = std::fs::read(&output).unwrap();
    let printed = String::from_utf8_lossy(&printed);
    assert!(status.success(), "{page}: {status}\n{printed}");
    let parts: Vec<&str> = printed.split("---- ").collect();
    for (block, line) in wanted {
        let part = parts.iter().find(|part| part.starts_with(&format!("{block}\n"))).unwrap();
        assert!(part.contains(line.trim()), "{page}, block {block}: `{line}` is not in\n{part}");
    }
    ran
}
