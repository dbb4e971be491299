//! What is wrong, as it stands on a terminal: of several widths, with and without colours and Unicode, and where there
//! is none.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use unicode_width::UnicodeWidthStr as _;

use crate::files::project;

const ORDER: &str = "FROM Debian AS manager
OUTPUT VM manager
RUN echo one
RUN echo two
RUN echo three
RUN echo ${{ token }}
KEY token FROM RUN cat /etc/token
";

const CYCLE: &str = "FROM Debian AS a
OUTPUT VM a
RUN echo ${{ b.k }}
KEY k FROM RUN cat /k

FROM Debian AS b
OUTPUT VM b
RUN echo ${{ a.k }}
KEY k FROM RUN cat /k
";

const WIDE: &str = "FROM Debian AS web
RUN echo 日本語日本語日本語日本語 and a line that goes on ${{ nope }} and on and on and on and on and on and on and on
";

/// What `lint` writes to a terminal of that width.
fn on_terminal(directory: &Path, columns: u16, args: &[&str], env: &[(&str, &str)]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&terminal).expect("granted");
    unlockpt(&terminal).expect("unlocked");
    tcsetwinsize(&terminal, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).expect("a size");
    let name = ptsname(&terminal, Vec::new()).expect("a name");
    let other = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other end");
    let mut command = lint(directory, args);
    command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8").envs(env.iter().copied());
    let mut child = command.stderr(other).spawn().expect("it runs");
    drop(command);
    let (mut terminal, mut out, mut buffer) = (File::from(terminal), Vec::new(), [0; 4096]);
    loop {
        match terminal.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => out.extend_from_slice(&buffer[..read]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            // The program is gone.
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => break,
            Err(e) => panic!("reading the terminal: {e}"),
        }
    }
    child.wait().expect("it ends");
    String::from_utf8(out).expect("UTF-8").replace("\r\n", "\n")
}

fn lint(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmwbuild"));
    command.current_dir(directory).arg("lint").args(args).stdin(Stdio::null()).stdout(Stdio::null());
    command.env_remove("NO_COLOR").env_remove("LC_CTYPE").env_remove("LANG");
    command
}

#[test]
fn messages_follow_the_terminals_width() {
    let directory = project(&[
        ("VMWfile", "INCLUDE parts/order.vmwfile\nINCLUDE parts/cycle.vmwfile\n"),
        ("parts/order.vmwfile", ORDER),
        ("parts/cycle.vmwfile", CYCLE),
        ("wide.vmwfile", WIDE),
    ]);
    let mut all = String::new();
    for columns in [40, 80, 200] {
        for file in ["VMWfile", "wide.vmwfile"] {
            let shown = on_terminal(directory.path(), columns, &[file], &[("NO_COLOR", "1")]);
            assert!(!shown.contains('\u{1b}'), "{shown}");
            let wide = shown.lines().find(|l| l.width() > usize::from(columns));
            assert_eq!(wide, None, "wider than {columns}:\n{shown}");
            all.push_str(&format!("{columns} columns\n\n{shown}\n"));
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn colours_and_unicode_follow_what_the_terminal_can_do() {
    let directory = project(&[("VMWfile", ORDER)]);
    let at = directory.path();
    let shown = |args: &[&str], env: &[(&str, &str)]| on_terminal(at, 80, args, env);
    let (colour, unicode) = (|text: &str| text.contains('\u{1b}'), |text: &str| text.contains('╭'));
    let usual = shown(&[], &[]);
    assert!(colour(&usual) && unicode(&usual), "{usual}");
    let none = shown(&[], &[("NO_COLOR", "1")]);
    assert!(!colour(&none) && unicode(&none), "{none}");
    assert!(colour(&shown(&[], &[("NO_COLOR", "")])), "an empty NO_COLOR says nothing");
    assert!(colour(&shown(&["--color", "always"], &[("NO_COLOR", "1")])), "a flag wins");
    assert!(!colour(&shown(&["--color", "never"], &[])));
    assert!(!colour(&shown(&[], &[("TERM", "dumb")])));
    let ascii = shown(&["--color", "never"], &[("LC_ALL", "C")]);
    assert!(ascii.is_ascii(), "{ascii}");
    insta::assert_snapshot!(ascii);
    // Where nobody looks, neither, and no width.
    let piped = lint(at, &[]).env("LC_ALL", "C.UTF-8").output().expect("it runs").stderr;
    assert!(piped.is_ascii() && !piped.contains(&0x1b), "{}", String::from_utf8_lossy(&piped));
    let piped = lint(at, &["--color", "always"]).output().expect("it runs").stderr;
    assert!(piped.contains(&0x1b));
}

/// What a command wrote to standard output is the result: nobody got it, so it is told.
#[test]
fn output_that_cannot_be_written_is_told() {
    let directory = project(&[("VMWfile", "FROM Debian AS web\nOUTPUT VM web\nRUN true\n"), ("odd.json", "{}")]);
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it opens");
    let state = directory.path().join("state");
    let command = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vmwbuild"));
        command.current_dir(directory.path()).args(args).env("VMWBUILD_STATE_DIR", &state).stdin(Stdio::null());
        command
    };
    let commands: &[&[&str]] = &[
        &["graph"],
        &["show"],
        &["show", "--json"],
        &["explain"],
        &["lint", "--format", "json"],
        &["--help"],
        &["builds", "--json"],
    ];
    for args in commands {
        let done = command(args).stdout(full()).output().expect("it runs");
        let err = String::from_utf8(done.stderr).expect("UTF-8");
        assert_eq!(done.status.code(), Some(2), "{args:?}: {err}");
        assert!(
            err.contains("VMW688") && err.contains("can't write to standard output: No space left"),
            "{args:?}: {err}"
        );

        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let done = command(args).stdout(writer).output().expect("it runs");
        let err = String::from_utf8(done.stderr).expect("UTF-8");
        assert_eq!((done.status.code(), err.as_str()), (Some(141), ""), "{args:?}");
    }
    // A build goes on to its end.
    let args = ["build", "--sandbox", "--progress", "json", "--result", "result.json"];
    let done = command(&args).stdout(full()).output().expect("it runs");
    let err = String::from_utf8(done.stderr).expect("UTF-8");
    assert_eq!(done.status.code(), Some(2), "{err}");
    assert!(err.contains("can't write to standard output"), "{err}");
    let result = std::fs::read_to_string(directory.path().join("result.json")).expect("a result");
    assert!(result.contains("\"web\""), "{result}");
    // So are events that aren't all there.
    let done =
        command(&["build", "--sandbox", "--progress", "quiet", "--events", "/dev/full"]).output().expect("it runs");
    let err = String::from_utf8(done.stderr).expect("UTF-8");
    assert_eq!(done.status.code(), Some(2), "{err}");
    assert!(err.contains("VMW688") && err.contains("can't write `/dev/full`: No space left"), "{err}");
}

/// Nobody knows what a build has left whose journal can't be read.
#[test]
fn a_journal_that_cannot_be_read_is_no_build_that_left_nothing() {
    let directory = project(&[("state/builds/20260101-00000000/journal.jsonl", "garbage\n")]);
    for args in [&["clean"][..], &["clean", "--all", "--yes"], &["clean", "20260101-00000000"]] {
        no_journal(directory.path(), args, "`vmwbuild destroy 20260101-00000000`");
    }
}

/// A command that ends for its journals, and says so.
fn no_journal(directory: &Path, args: &[&str], words: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmwbuild"));
    command.args(args).env("VMWBUILD_STATE_DIR", directory.join("state")).stdin(Stdio::null());
    let done = command.output().expect("it runs");
    let err = String::from_utf8(done.stderr).expect("UTF-8");
    assert_eq!(done.status.code(), Some(5), "{args:?}: {err}");
    assert!(err.contains("VMW650") && err.contains(words), "{args:?}: {err}");
}

/// A build that can't write its journal hasn't begun: nobody is asked about it later.
#[cfg(unix)]
#[test]
fn a_journal_that_cannot_be_begun_leaves_none() {
    let directory = project(&[("VMWfile", "FROM linux AS a\nOUTPUT VM a\nLOGIN root PASSWORD a\nRUN true\n")]);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" build", env!("CARGO_BIN_EXE_vmwbuild")]);
    command.current_dir(directory.path()).env("VMWBUILD_STATE_DIR", "state").stdin(Stdio::null());
    command.env("VMWBUILD_VCENTER", "127.0.0.1:1").env("VMWBUILD_USERNAME", "u").env("VMWBUILD_PASSWORD", "p");
    let done = command.output().expect("it runs");
    let err = String::from_utf8(done.stderr).expect("UTF-8");
    assert_eq!(done.status.code(), Some(5), "{err}");
    assert!(err.contains("VMW650") && err.contains("can't be used: File too large"), "{err}");
    let left = std::fs::read_dir(directory.path().join("state/builds")).expect("a directory").count();
    assert_eq!(left, 0, "{err}");
}

/// "No builds" would be wrong where nobody can say.
#[test]
fn journals_that_cannot_be_looked_into_are_told() {
    let directory = project(&[("state/builds", "")]);
    for args in [&["builds"][..], &["builds", "--json"], &["resume"], &["clean", "--all", "--yes"]] {
        no_journal(directory.path(), args, "can't look into");
    }
}

#[test]
fn no_time_at_all_is_no_deadline() {
    let dir = project(&[("VMWfile", ORDER)]);
    for (command, flag) in [
        ("build", "--timeout"),
        ("build", "--boot-timeout"),
        ("up", "--shutdown-timeout"),
        ("resume", "--timeout"),
        ("resume", "--boot-timeout"),
        ("resume", "--shutdown-timeout"),
    ] {
        let mut vmwbuild = Command::new(env!("CARGO_BIN_EXE_vmwbuild"));
        let done = vmwbuild.current_dir(dir.path()).args([command, flag, "0s"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{command} {flag}: {said}");
        assert!(said.contains(&format!("invalid value '0s' for '{flag} <DURATION>': it can't be zero")), "{said}");
    }
}
