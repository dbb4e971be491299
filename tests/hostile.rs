//! Input that nobody should give, through the real binary: each ends soon, with a message and a documented exit code.

#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use common::{Run, context, run, vmwbuild};

const SOON: Duration = Duration::from_secs(60);
const STAGE: &str = "FROM linux AS a\nOUTPUT NONE\n";

fn call(dir: &Path, args: &[&str]) -> Run {
    let mut command = vmwbuild(dir);
    command.args(args).env("VMWBUILD_LOGIN", "root:a password");
    run(&mut command, SOON)
}

/// What was said, its messages not broken into lines: where they are depends on how long a path is.
fn unbroken(run: &Run) -> String {
    run.stderr().replace("\n  | ", " ").replace("\n        ", " ")
}

/// Runs, and checks that what went wrong was said and not by a panic.
fn refused(dir: &Path, args: &[&str], code: i32, words: &str) {
    let run = call(dir, args);
    let said = unbroken(&run);
    assert_eq!(run.code, Some(code), "{args:?}: {run}");
    assert!(said.contains(words) && !said.contains("panicked"), "{args:?}: {words}: {run}");
    assert!(said.len() < 200_000, "{args:?}: {} bytes are said", said.len());
}

#[test]
fn files_that_are_no_text() {
    let dir = context(&[
        ("nul", &b"FROM linux\nOUTPUT NONE\nRUN echo a\0b\n"[..]),
        ("latin", b"FROM linux\nRUN echo \xff\n"),
        ("includes", b"INCLUDE nul\nFROM linux\nOUTPUT NONE\n"),
    ]);
    for command in ["lint", "fmt", "graph"] {
        refused(dir.path(), &[command, "nul"], 1, "is NUL");
        refused(dir.path(), &[command, "latin"], 1, "isn't UTF-8");
    }
    refused(dir.path(), &["lint", "includes"], 1, "is not UTF-8 text");
}

#[test]
fn pipes_and_devices_are_no_files() {
    let dir = context(&[
        ("include", "INCLUDE fifo\n"),
        ("zero", "INCLUDE endless\n"),
        ("csv", "FROM linux AS a FOR r IN FILE fifo\nOUTPUT VM ${{ r.n }}\n"),
        ("copy", &format!("{STAGE}COPY fifo /x\n")),
        ("tree", &format!("{STAGE}COPY sub /x\n")),
        ("every", &format!("{STAGE}COPY su* /x\n")),
        ("render", &format!("{STAGE}COPY --render endless /x\n")),
        ("secret", &format!("SECRET pw\n{STAGE}RUN echo ${{{{ pw }}}}\n")),
        ("plain", STAGE),
        ("sub/plain", ""),
    ]);
    for fifo in ["fifo", "sub/fifo"] {
        assert!(Command::new("mkfifo").arg(dir.path().join(fifo)).status().unwrap().success());
    }
    symlink("/dev/zero", dir.path().join("endless")).unwrap();
    let words = "a device, socket or named pipe";
    for file in ["fifo", "endless", "include", "zero", "csv", "copy", "tree", "every", "render"] {
        refused(dir.path(), &["lint", file], 1, words);
    }
    for args in ["fifo", "endless"] {
        let flags = ["build", "--sandbox", "plain", "--args", args];
        let run = call(dir.path(), &flags);
        assert!(unbroken(&run).contains(words) && matches!(run.code, Some(1 | 2)), "{run}");
        let secret = format!("id=pw,src={args}");
        let run = call(dir.path(), &["build", "--sandbox", "secret", "--secret", &secret]);
        assert!(unbroken(&run).contains(words) && matches!(run.code, Some(1 | 2)), "{run}");
    }
}

#[test]
fn settings_that_are_no_files() {
    let words = "a device, socket or named pipe";
    for name in ["vmwbuild.toml", ".vmwbuild-config/vcenters.toml"] {
        let dir = context(&[("VMWfile", STAGE), (".vmwbuild-config/x", "")]);
        let place = dir.path().join(name);
        assert!(Command::new("mkfifo").arg(&place).status().unwrap().success());
        let args: &[&str] = if name == "vmwbuild.toml" { &["lint"] } else { &["vcenter", "ls"] };
        refused(dir.path(), args, 2, words);
        std::fs::remove_file(&place).unwrap();
        symlink("/dev/zero", &place).unwrap();
        refused(dir.path(), args, 2, words);
    }
}

#[test]
fn journals_that_are_damaged_are_told_and_spoil_no_others() {
    let dir = context(&[("state/builds/20260101-0000000b/x", "")]);
    let place = |build: &str| dir.path().join("state/builds").join(build).join("journal.jsonl");
    let header = r#"{"format":1,"version":"0","build":"20260101-0000000a","date":"2026-01-01T00:00:00Z","file":"/x",
        "context":"/","texts":[],"args":{},"targets":[],"sandbox":false,
        "connection":{"url":"https://x","username":"u","insecure":false},
        "settings":{"parallel":1,"on_error":"clean","channel":"auto","placement":{},"default_placement":{}}}"#;
    let header = header.replace("\n", "");
    std::fs::create_dir(dir.path().join("state/builds/20260101-0000000a")).unwrap();
    let huge = r#"{"is":"session","machine":0,"number":4294967295,"user":"r"}"#;
    std::fs::write(place("20260101-0000000a"), format!("{header}\n{huge}\n")).unwrap();
    assert!(Command::new("mkfifo").arg(place("20260101-0000000b")).status().unwrap().success());
    let call = |args: &[&str]| {
        let mut command = vmwbuild(dir.path());
        run(command.args(args).env("VMWBUILD_STATE_DIR", dir.path().join("state")), SOON)
    };
    let listed = call(&["builds"]);
    assert_eq!(listed.code, Some(0), "{listed}");
    for (build, words) in [("20260101-0000000a", "line 2"), ("20260101-0000000b", "a device, socket or named pipe")] {
        for command in ["resume", "clean"] {
            let told = call(&[command, build]);
            assert!(told.code == Some(5) && unbroken(&told).contains(words), "{command}: {told}");
        }
    }
}

/// Needs a sandbox that can run guests.
#[test]
fn what_a_copy_meets_is_looked_at_before_it_is_opened() {
    let dir = context(&[("copy", format!("{STAGE}COPY fifo /x\n")), ("tree", format!("{STAGE}COPY sub /x\n"))]);
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    for fifo in ["fifo", "sub/fifo"] {
        assert!(Command::new("mkfifo").arg(dir.path().join(fifo)).status().unwrap().success());
    }
    for file in ["copy", "tree"] {
        let run = call(dir.path(), &["build", "--sandbox", file]);
        assert!(unbroken(&run).contains("a device, socket or named pipe") && run.code != Some(0), "{run}");
    }
}

#[test]
fn lines_of_any_length_and_depth() {
    let deep = |open: &str, shut: &str, times: usize| {
        format!("ARG x = 1\n{STAGE}RUN {}${{{{ x }}}}{}\n", open.repeat(times), shut.repeat(times))
    };
    let dir = context(&[
        ("words", format!("{STAGE}WORKDIR /{}\n", "a b ".repeat(500_000))),
        ("junk", "x".repeat(2_000_000)),
        ("subshells", deep("echo $(", ")", 100_000)),
        ("ifs", deep("if true; then ", " fi;", 10_000)),
        ("cases", deep("case a in a) ", " esac;", 10_000)),
        ("parens", format!("ARG x = ${{{{ {}1{} }}}}\n{STAGE}", "(".repeat(100_000), ")".repeat(100_000))),
        ("heredoc", format!("{STAGE}RUN <<EOF\n{}", "word\n".repeat(50_000))),
        (
            "doubling",
            (1..60).fold("ARG a0 = [1, 2]\n".to_owned(), |text, n| {
                format!("{text}ARG a{n} = ${{{{ [a{0}, a{0}] }}}}\n", n - 1)
            }) + STAGE,
        ),
    ]);
    for file in ["words", "junk", "subshells", "ifs", "cases", "parens", "heredoc", "doubling"] {
        refused(dir.path(), &["lint", file], 1, "VMW");
    }
}

/// What one server does with each connection.
fn answering(reply: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut start = [0; 4096];
            let _ = stream.read(&mut start);
            let _ = stream.write_all(reply);
        }
    });
    address.to_string()
}

#[test]
fn what_answers_at_the_address_is_named() {
    let dir = context(&[("VMWfile", STAGE), ("pw", "x")]);
    for reply in [
        &b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\0\xff\x80\x01garbage",
    ] {
        let url = format!("https://{}", answering(reply));
        let args = ["build", "--vcenter", &url, "--username", "u", "--password-file", "pw", "--insecure"];
        refused(dir.path(), &args, 3, "doesn't speak TLS");
    }
}
