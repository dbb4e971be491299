//! `--on-error ask`, as somebody at a terminal meets it: the real binary on a pseudo-terminal, against a sandbox that goes
//! on when the build is over.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::context;
use common::site::{Sandbox, Site};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

const LONG: Duration = Duration::from_secs(60);

/// A program on a terminal, and what it has written there.
struct Terminal {
    child: Child,
    input: File,
    output: mpsc::Receiver<Vec<u8>>,
    seen: String,
    /// How much of it was waited for already.
    at: usize,
}

impl Terminal {
    fn start(command: &mut Command) -> Self {
        let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&own).unwrap();
        unlockpt(&own).unwrap();
        let name = ptsname(&own, Vec::new()).unwrap();
        let other = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let end = || other.try_clone().unwrap();
        command.env("TERM", "dumb").env("LC_ALL", "C.UTF-8").stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let input = File::from(own);
        let mut reading = input.try_clone().unwrap();
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The last process that had it open is gone: an error.
            while let Ok(count) = reading.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, input, output, seen: String::new(), at: 0 }
    }

    /// Waits until the program has written a text, after what was waited for before.
    fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + LONG;
        loop {
            if let Some(found) = self.seen[self.at..].find(text) {
                self.at += found + text.len();
                return;
            }
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("no {text:?} in: {}", self.seen),
            }
        }
    }

    fn type_line(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// As Ctrl-C does.
    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Everything that it wrote, and its exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let end = Instant::now() + LONG;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > end => {
                    let _ = self.child.kill();
                    panic!("no end: {}", self.seen);
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(200)) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (self.seen.replace('\r', ""), status.code())
    }
}

fn site() -> Site {
    Site::Sandbox(Sandbox::here())
}

fn start(site: &Site, dir: &Path, flags: &[&str]) -> Terminal {
    let mut command = site.with_state(dir, &["build", "--color", "never", "--on-error", "ask"]);
    Terminal::start(command.args(flags))
}

/// The names of all machines but the template.
fn machines(site: &Site) -> Vec<String> {
    site.vms().into_iter().filter(|name| name != "linux").collect()
}

/// Fails until somebody makes the file that it wants, in the directory that it runs in.
const WANTS: &str = "SECRET hidden\nFROM linux AS web\nOUTPUT VM web\n\
    RUN echo once >> /root/count\n\
    RUN useradd -m app 2>/dev/null; mkdir -p /srv/app && chown app /srv/app\n\
    USER app\nWORKDIR /srv/app\nENV COLOUR=green\n\
    RUN echo ${{ hidden }} > secret\n\
    RUN test -e wanted || { echo 'where is it?' >&2; exit 3; }\n\
    RUN echo 'after it'\n";

#[test]
fn a_failed_step_is_looked_at_mended_and_tried_again() {
    let site = site();
    let dir = context(&[("VMWfile", WANTS)]);
    let secret = dir.path().join("hidden");
    std::fs::write(&secret, "sesame-open\n").unwrap();
    let mut terminal = start(&site, dir.path(), &["--secret", &format!("id=hidden,src={}", secret.display())]);
    terminal.wait_for("where is it?");
    terminal.wait_for("step 4 of web failed. What now?");
    terminal.wait_for("l  look inside: run commands in the guest of web as app");
    terminal.wait_for("> ");
    // Nonsense is asked again.
    terminal.type_line("what?");
    terminal.wait_for("What now?");
    terminal.wait_for("> ");
    terminal.type_line("r");
    // Tried again, it fails again.
    terminal.wait_for("step 4 of web failed. What now?");
    terminal.wait_for("> ");
    terminal.type_line("l");
    terminal.wait_for("app@web /srv/app> ");
    terminal.type_line("id -un; echo $COLOUR; ls; cat secret");
    terminal.wait_for("app\r\ngreen\r\nsecret\r\n***\r\n");
    terminal.wait_for("app@web /srv/app> ");
    terminal.type_line("cd /etc");
    terminal.wait_for("app@web /etc> ");
    terminal.type_line("cat hostname && exit 5");
    terminal.wait_for("(exit code 5)");
    terminal.wait_for("app@web /etc> ");
    terminal.type_line("echo begun; sleep 600");
    terminal.wait_for("\nbegun");
    terminal.interrupt();
    terminal.wait_for("(ended by Ctrl-C)");
    terminal.wait_for("app@web /etc> ");
    // At the prompt it stops nothing either.
    terminal.interrupt();
    terminal.wait_for("app@web /etc> ");
    terminal.type_line("cd");
    terminal.wait_for("app> ");
    terminal.type_line("touch /srv/app/wanted");
    terminal.wait_for("app> ");
    terminal.type_line("exit");
    terminal.wait_for("What now?");
    terminal.wait_for("> ");
    terminal.type_line("r");
    terminal.wait_for("after it");
    let (seen, code) = terminal.end();
    assert_eq!(code, Some(0), "{seen}");
    assert!(!seen.contains("sesame"), "{seen}");
    let count = common::run(&mut site.with_state(dir.path(), &["exec", "web", "--", "cat", "/root/count"]), LONG);
    assert_eq!(count.stdout(), "once\n", "what was done isn't done again: {seen}");
    let rest = ["exec", "web", "--", "sh", "-c", "ls -A /root /home/app | grep -c vmw"];
    // That of the command itself.
    assert_eq!(common::run(&mut site.with_state(dir.path(), &rest), LONG).stdout(), "1\n", "left in the guest: {seen}");
    assert_eq!(site.sessions(), 0);
}

#[test]
fn a_machine_that_was_looked_into_is_not_remembered_even_by_another_process() {
    let site = site();
    // Undisturbed, what is there as it would be made isn't made again.
    let text = "FROM linux AS web\nOUTPUT TEMPLATE --exists=replace web\nRUN test -e /root/wanted || exit 3\n";
    for looks in [true, false] {
        let text = if looks { text.to_owned() } else { text.replace("test -e /root/wanted ||", "test -e /root ||") };
        let dir = context(&[("VMWfile", &text)]);
        if looks {
            let mut terminal = start(&site, dir.path(), &[]);
            terminal.wait_for("What now?");
            terminal.wait_for("> ");
            terminal.type_line("l");
            terminal.wait_for("root@web /root> ");
            terminal.type_line("touch /root/wanted; echo made");
            terminal.wait_for("\nmade");
            terminal.wait_for("root@web /root> ");
            kill_process(Pid::from_child(&terminal.child), Signal::KILL).unwrap();
            let (seen, code) = terminal.end();
            assert_eq!(code, None, "{seen}");
            let mut resume = site.with_state(dir.path(), &["resume", "--progress", "plain", "--on-error", "clean"]);
            let resumed = common::run(&mut resume, LONG);
            // The step had failed: it is done now, and was never run twice by itself.
            assert!(resumed.code == Some(0) || resumed.code == Some(4), "{resumed}");
            if resumed.code == Some(4) {
                panic!("{resumed}");
            }
        } else {
            let built = common::run(&mut site.with_state(dir.path(), &["build", "--progress", "plain"]), LONG);
            assert_eq!(built.code, Some(0), "{built}");
        }
        let plan = common::run(&mut site.with_state(dir.path(), &["plan"]), LONG);
        assert_eq!(plan.code, Some(0), "{plan}");
        assert_eq!(plan.stdout().contains("CACHED"), !looks, "{plan}");
    }
}

#[test]
fn a_machine_is_kept_or_removed_as_answered() {
    let site = site();
    let text = "FROM linux AS web\nOUTPUT VM web\nRUN exit 3\n";
    let answers = [("k", "tty", vec!["web".to_owned()]), ("c", "plain", vec![]), ("\x04", "tty", vec![])];
    for (answer, view, left) in answers {
        let dir = context(&[("VMWfile", text)]);
        let mut terminal = start(&site, dir.path(), &["--progress", view]);
        terminal.wait_for("What now?");
        terminal.wait_for("> ");
        if answer == "\x04" {
            terminal.input.write_all(answer.as_bytes()).unwrap();
        } else {
            terminal.type_line(answer);
        }
        let (seen, code) = terminal.end();
        assert_eq!(code, Some(4), "{seen}");
        assert_eq!(machines(&site), left, "{answer:?}: {seen}");
        // The failure is told at the end too, with what can be done now.
        let inside = "vmwbuild exec web --login USER -- COMMAND";
        let told = seen.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(told.contains(inside), !left.is_empty(), "{seen}");
        common::run(&mut site.with_state(dir.path(), &["clean", "--yes"]), LONG);
        assert_eq!(machines(&site), Vec::<String>::new());
        assert_eq!(site.sessions(), 0, "{seen}");
    }
}

#[test]
fn other_machines_go_on_while_a_question_is_open_and_questions_come_one_by_one() {
    let site = site();
    let text = "FROM linux AS web\nOUTPUT VM web\nRUN test -e /root/wanted\n\
                FROM linux AS db\nOUTPUT VM db\nRUN touch /root/built; echo db is there\nRUN test -e /root/wanted\n";
    let dir = context(&[("VMWfile", text)]);
    // One place: whoever asks gives it to the others.
    let mut terminal = start(&site, dir.path(), &["--parallel", "1"]);
    terminal.wait_for("What now?");
    terminal.wait_for("> ");
    let first = if terminal.seen.contains("step 1 of web failed") { "web" } else { "db" };
    let other = if first == "web" { "db" } else { "web" };
    // Nobody has answered, and the other has got as far as it can.
    let begun = Instant::now();
    loop {
        let seen = common::run(&mut site.with_state(dir.path(), &["exec", other, "--", "true"]), LONG);
        if seen.code == Some(0) {
            break;
        }
        assert!(begun.elapsed() < LONG, "{other} doesn't go on: {}{seen}", terminal.seen);
    }
    for vm in ["web", "db"] {
        terminal.type_line("l");
        terminal.wait_for("/root> ");
        terminal.type_line("touch /root/wanted");
        terminal.wait_for("/root> ");
        terminal.type_line("exit");
        terminal.wait_for("What now?");
        terminal.wait_for("> ");
        terminal.type_line("r");
        if vm == "web" {
            terminal.wait_for("What now?");
            terminal.wait_for("> ");
        }
    }
    let (seen, code) = terminal.end();
    assert_eq!(code, Some(0), "{seen}");
    assert_eq!(seen.matches("step 1 of web failed. What now?").count(), 2, "{seen}");
    assert_eq!(seen.matches("step 2 of db failed. What now?").count(), 2, "{seen}");
}

#[test]
fn an_open_question_holds_up_neither_ctrl_c_nor_a_deadline() {
    let site = site();
    let dir = context(&[("VMWfile", "FROM linux AS web\nOUTPUT VM web\nRUN exit 3\n")]);
    let mut terminal = start(&site, dir.path(), &[]);
    terminal.wait_for("What now?");
    terminal.wait_for("> ");
    terminal.interrupt();
    let (seen, code) = terminal.end();
    assert_eq!(code, Some(130), "{seen}");
    assert!(seen.contains("exit code 3"), "{seen}");
    let mut terminal = start(&site, dir.path(), &["--timeout", "6s"]);
    terminal.wait_for("What now?");
    terminal.wait_for("> ");
    terminal.type_line("l");
    terminal.wait_for("/root> ");
    let (seen, code) = terminal.end();
    assert_eq!(code, Some(6), "{seen}");
    assert_eq!(machines(&site), Vec::<String>::new(), "{seen}");
    assert_eq!(site.sessions(), 0, "{seen}");
}

#[test]
fn without_a_terminal_nothing_is_begun() {
    let dir = context(&[("VMWfile", "FROM linux AS web\nOUTPUT VM web\nRUN exit 3\n")]);
    let build = ["build", "--sandbox", "--on-error", "ask"];
    let refused = common::run(common::vmwbuild(dir.path()).args(build), LONG);
    assert_eq!(refused.code, Some(2), "{refused}");
    insta::assert_snapshot!(refused.stderr());
    let refused = common::run(common::vmwbuild(dir.path()).args(&build[..2]).env("VMWBUILD_ON_ERROR", "ask"), LONG);
    assert_eq!(refused.code, Some(2), "{refused}");
}
