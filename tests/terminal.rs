//! The view for terminals, as a terminal shows it: the program runs on a pseudo-terminal, and an emulator reads what
//! it writes.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::num::NonZero;
use std::process::{Command, ExitStatus};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

const IMAGE: &str = r#"
LOGIN root PASSWORD ${{ password }}

FROM linux AS image
OUTPUT TEMPLATE golden
NOTE Schöne Aussichten, 日本語 included, and longer than any terminal that this is ever shown on
RUN printf 'wide: 日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語\n'
RUN <<EOS
set -eu
printf '\033[2J\033[31mno colours, no erasing\033[0m\n'
printf 'progress 10%%\rprogress 99%%'
EOS

FROM image AS node
OUTPUT VM node
RUN --allow-failure exit 3
# vmw: allow(unused-key)
KEY count: int FROM RUN echo 42
"#;

/// What is on the screen at the end, and how it ended.
struct Shown {
    screen: vt100::Screen,
    status: ExitStatus,
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a size")
}

/// Builds `text` on a terminal of that size. `watch` sees the screen after every write.
fn build(text: &str, size: (u16, u16), mut watch: impl FnMut(&str, Pid)) -> Shown {
    build_with(text, size, &[], |screen, pid| {
        watch(screen, pid);
        None
    })
}

/// [`build`] with further flags; a size that `watch` returns is the terminal's from then on.
fn build_with(
    text: &str,
    (columns, mut rows): (u16, u16),
    flags: &[&str],
    mut watch: impl FnMut(&str, Pid) -> Option<(u16, u16)>,
) -> Shown {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("VMWfile"), format!("SECRET password\n{text}")).expect("a VMWfile");
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&terminal).expect("granted");
    unlockpt(&terminal).expect("unlocked");
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).expect("a size");
    let name = ptsname(&terminal, Vec::new()).expect("a name");
    let other = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other end");
    let end = || other.try_clone().expect("a copy");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmwbuild"));
    command.args(["build", "--sandbox", "--progress", "tty", "--secret", "id=password,env=PASSWORD"]);
    command.args(flags).arg(dir.path()).stdin(end()).stdout(end()).stderr(end());
    command.env("VMWBUILD_STATE_DIR", state_dir());
    command.env("PASSWORD", "correct horse").env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8");
    command.env_remove("NO_COLOR").env_remove("VMWBUILD_PROGRESS").env_remove("TMUX");
    // The emulator cuts lines when it is made narrower.
    command.env("XTERM_VERSION", "XTerm(1)");
    let mut child = command.spawn().expect("the program");
    let pid = Pid::from_child(&child);
    drop((command, other));

    let mut parser = vt100::Parser::new(cells(rows), cells(columns), 0);
    let mut terminal = File::from(terminal);
    let mut buffer = [0; 64 * 1024];
    loop {
        let read = match terminal.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            // The last process that had it open is gone.
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => break,
            Err(e) => panic!("reading the terminal: {e}"),
        };
        parser.process(&buffer[..read]);
        let screen = parser.screen();
        for row in 0..rows {
            assert!(!screen.row_wrapped(row), "line {row} wraps:\n{}", screen.contents());
        }
        assert!(!screen.hide_cursor(), "the cursor is hidden");
        if let Some((columns, more)) = watch(&screen.contents(), pid) {
            // What was written for the old size and not yet read would wrap on the new one: the build stands still
            // until all of it is read.
            kill_process(pid, Signal::STOP).expect("the signal");
            waitpid(Some(pid), WaitOptions::UNTRACED).expect("it stops");
            while poll(&mut [PollFd::new(&terminal, PollFlags::IN)], Some(&Timespec::default())).expect("a poll") > 0 {
                let read = terminal.read(&mut buffer).expect("what is there");
                parser.process(&buffer[..read]);
            }
            rows = more;
            parser.set_size(cells(rows), cells(columns));
            let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            tcsetwinsize(&terminal, size).expect("a size");
            kill_process(pid, Signal::CONT).expect("the signal");
        }
    }
    Shown { screen: parser.screen().clone(), status: child.wait().expect("its end") }
}

/// The screen with what differs from run to run made equal.
fn settled(screen: &vt100::Screen) -> String {
    let time = regex::Regex::new(r" +\d+(\.\d|m\d\d)s$").expect("a pattern");
    let port = regex::Regex::new(r"127\.0\.0\.1:\d+").expect("a pattern");
    let requests = regex::Regex::new(r"\d+ requests").expect("a pattern");
    let address = regex::Regex::new(r"10\.\d+\.\d+\.\d+").expect("a pattern");
    let place = regex::Regex::new(r"\[/\S+/VMWfile:").expect("a pattern");
    let lines = screen.rows(0, screen.size().1.get()).map(|row| {
        let row = time.replace(row.trim_end(), " <time>");
        let row = port.replace_all(&row, "<sandbox>");
        let row = requests.replace(&row, "<n> requests");
        let row = place.replace(&row, "[VMWfile:");
        address.replace_all(&row, "<address>").into_owned()
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    // Where it lies, and so where it is broken, differs from machine to machine.
    let log = regex::Regex::new(r"(?s)(all of its output is in )\S.*?\.log").expect("a pattern");
    log.replace_all(text.trim_end(), "${1}<log>").into_owned()
}

/// Journals and logs of these builds, apart from those of whoever runs the tests.
fn state_dir() -> &'static std::path::Path {
    std::path::Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/state"))
}

#[test]
fn a_build_on_an_ordinary_terminal() {
    let shown = build(IMAGE, (80, 24), |_, _| {});
    assert!(shown.status.success(), "{}", shown.screen.contents());
    assert_eq!(shown.screen.cursor_position().1, 0, "the cursor rests at a line's beginning");
    insta::assert_snapshot!(settled(&shown.screen));
}

#[test]
fn a_build_on_a_small_terminal() {
    let shown = build(IMAGE, (40, 12), |_, _| {});
    assert!(shown.status.success(), "{}", shown.screen.contents());
    insta::assert_snapshot!(settled(&shown.screen));
}

/// Lines of the screen without their times.
fn bare(screen: &str) -> Vec<String> {
    let time = regex::Regex::new(r" +\d+(\.\d|m\d\d)s( of \d+m?s?)?$").expect("a pattern");
    screen.lines().map(|l| time.replace(l, "").trim_end().to_owned()).collect()
}

#[test]
fn more_machines_than_lines() {
    let text = "LOGIN root PASSWORD ${{ password }}\nFROM linux AS m FOR n IN 1..12\nOUTPUT VM m-${{ n }}\nRUN true\n";
    let mut crowded = false;
    let shown = build(text, (50, 6), |screen, _| crowded |= screen.contains(" more "));
    assert!(shown.status.success(), "{}", shown.screen.contents());
    assert!(crowded, "what has no place is counted");
    assert!(
        !shown.screen.contents().contains(" more "),
        "nothing of the live part stays:\n{}",
        shown.screen.contents()
    );
}

#[test]
fn of_fifty_machines_those_that_run_are_shown_and_the_rest_is_counted() {
    let text = "LOGIN root PASSWORD ${{ password }}\nFROM linux AS m FOR n IN 1..50\nOUTPUT VM m-${{ n }}\n\
                RUN echo running; sleep 600\n";
    let mut seen = None;
    let shown = build(text, (80, 24), |screen, pid| {
        let running = |l: &String| l.ends_with("[1/1] RUN echo running; sleep 600");
        let lines = bare(screen);
        let output = lines.iter().any(|l| l == "    running");
        if seen.is_none() && output && lines.iter().filter(|l| running(l)).count() == 8 {
            seen = Some(lines);
            kill_process(pid, Signal::INT).expect("the signal");
        }
    });
    assert_eq!(shown.status.code(), Some(130), "{}", shown.screen.contents());
    let seen = seen.expect("eight run at once, and their output has a place");
    let status = seen.iter().find(|l| l.contains("of 50 done")).unwrap_or_else(|| panic!("{seen:#?}"));
    let shown = seen.iter().filter(|l| l.starts_with(['●', '○'])).count();
    let waiting: usize = status
        .split(", ")
        .filter_map(|part| part.trim().strip_suffix(" more waiting").or(part.trim().strip_suffix(" to begin")))
        .map(|n| n.parse::<usize>().expect("a number"))
        .sum();
    assert_eq!(shown + waiting, 50, "{seen:#?}");
    assert!(seen.len() <= 23, "the last line stays free: {seen:#?}");
}

#[test]
fn a_terminal_may_be_resized_in_the_middle() {
    let text = "LOGIN root PASSWORD ${{ password }}\nFROM linux AS one\nOUTPUT VM one\n\
                RUN echo a line of output that is longer than a narrow terminal is wide; sleep 1; echo more\nRUN sleep 1\n\
                FROM linux AS two\nOUTPUT VM two\nRUN --timeout=5m sleep 1.5\n";
    let sizes = [(36, 10), (100, 30), (64, 8), (80, 24)];
    let (mut at, mut ticks) = (0, 0);
    let shown = build_with(text, (80, 24), &[], |screen, _| {
        // Each size is seen for a few frames.
        if screen.contains("of 2 done") {
            ticks += 1;
        }
        if ticks > 3 && at < sizes.len() {
            ticks = 0;
            at += 1;
            return Some(sizes[at - 1]);
        }
        None
    });
    assert!(shown.status.success(), "{}", shown.screen.contents());
    assert_eq!(at, sizes.len(), "it was resized");
    let lines = bare(&shown.screen.contents());
    // All that was told stands there once, and nothing of the live part.
    for wanted in [
        "✓ one [2/2] RUN sleep 1",
        "✓ one built VM one",
        "✓ two [1/1] RUN --timeout=5m sleep 1.5",
        "✓ two built VM two",
    ] {
        assert_eq!(lines.iter().filter(|l| *l == wanted).count(), 1, "{wanted}: {lines:#?}");
    }
    assert!(!lines.iter().any(|l| l.contains("of 2 done") || l.starts_with(['●', '○'])), "{lines:#?}");
}

#[test]
fn waits_say_for_what_and_how_long() {
    let text = "LOGIN root PASSWORD ${{ password }}\nFROM linux AS one\nOUTPUT VM one\nRUN sleep 1\nKEY token FROM RUN echo t\n\
                FROM linux AS two\nOUTPUT VM two\nRUN echo ${{ one.token }}\nWAIT --timeout=2s FILE /run/never\n";
    let mut seen: Vec<String> = Vec::new();
    let shown = build(text, (90, 24), |screen, _| {
        seen.extend(screen.lines().filter(|l| l.contains("waiting for")).map(str::to_owned));
    });
    assert_eq!(shown.status.code(), Some(6), "{}", shown.screen.contents());
    let limit = regex::Regex::new(r"^○ two +waiting for the file /run/never +\d\.\ds of 2s$").expect("a pattern");
    assert!(seen.iter().any(|l| limit.is_match(l)), "{seen:#?}");
    assert!(seen.iter().any(|l| l.contains("two waiting for key one.token")), "{seen:#?}");
}

#[test]
fn a_transfer_tells_how_far_it_is() {
    let text = "LOGIN root PASSWORD ${{ password }}\nFROM linux AS one\nOUTPUT NONE\n\
                RUN head -c 24M /dev/zero > /root/big\nFETCH /root/big back\n";
    let mut seen: Vec<String> = Vec::new();
    let shown = build_with(text, (90, 24), &["--fault", "GET:rate=16384"], |screen, _| {
        seen.extend(screen.lines().filter(|l| l.contains("FETCH")).map(str::to_owned));
        None
    });
    assert_eq!(shown.status.code(), Some(0), "{}", shown.screen.contents());
    let percent = regex::Regex::new(r" one +\[2/2\] FETCH /root/big back, \d+% +\d\.\ds$").expect("a pattern");
    assert!(seen.iter().any(|l| percent.is_match(l)), "{seen:#?}");
    assert!(!shown.screen.contents().contains('%'), "{}", shown.screen.contents());
}

#[test]
fn of_a_failed_step_the_last_lines_stay() {
    let text = "LOGIN root PASSWORD ${{ password }}\nFROM linux AS one\nOUTPUT VM one\n\
                RUN seq 30; printf '10%%\\r99%%\\n'; echo the end >&2; exit 7\n";
    let shown = build_with(text, (80, 40), &["--color", "never"], |_, _| None);
    assert_eq!(shown.status.code(), Some(4), "{}", shown.screen.contents());
    insta::assert_snapshot!(settled(&shown.screen));
}

#[test]
fn an_interruption_is_told_once_and_stays_readable() {
    let text = "LOGIN root PASSWORD ${{ password }}\nFROM linux AS m\nOUTPUT VM m\nRUN echo begun; sleep 600\n";
    let mut told = false;
    let shown = build(text, (80, 24), |screen, pid| {
        // The command's own output: it runs.
        if !told && screen.lines().any(|l| l == "    begun") {
            told = true;
            kill_process(pid, Signal::INT).expect("the signal");
        }
    });
    let shown_text = shown.screen.contents();
    assert_eq!(shown.status.code(), Some(130), "{shown_text}");
    assert_eq!(
        shown_text.matches("stopping; once more leaves at once, without cleaning up").count(),
        1,
        "{shown_text}"
    );
    for line in ["cancelled", "removed /DC0/vm/m", "the build was interrupted"] {
        assert!(shown_text.contains(line), "no `{line}` in:\n{shown_text}");
    }
    assert!(!shown_text.lines().any(|l| l == "    begun"), "nothing of the live part stays:\n{shown_text}");
}

#[test]
fn without_utf8_all_is_ascii() {
    // The same program, but the locale says that the terminal has no such characters.
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("VMWfile"), format!("SECRET password GENERATE 12\n{IMAGE}")).expect("a VMWfile");
    let output = Command::new(env!("CARGO_BIN_EXE_vmwbuild"))
        .args(["build", "--sandbox", "--progress", "tty", "--color", "never"])
        .arg(dir.path())
        .env("LC_ALL", "C")
        .env("VMWBUILD_STATE_DIR", state_dir())
        .output()
        .expect("the program");
    let shown = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{shown}");
    assert!(shown.is_ascii(), "{shown}");
    assert!(shown.contains("+ image [1/2] Sch?ne Aussichten"), "{shown}");
}
