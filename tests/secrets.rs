//! Secrets stay secret: builds on the embedded sandbox, through the real binary.

#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::time::Duration;

use common::{Run, context, run, vmwbuild};

const SECRET: &str = "S3cr3t+Va/lue&<y>\"q";

fn build(steps: &str) -> Run {
    let dir = context(&[("VMWfile", format!("SECRET pw\nFROM linux AS a\nOUTPUT VM sec-vm\n{steps}"))]);
    let mut command = vmwbuild(dir.path());
    command.args(["-v", "build", "--sandbox", "--secret", "id=pw,env=THE_PW"]);
    command.env("THE_PW", SECRET).env("VMWBUILD_LOGIN", "root:another password");
    let run = run(&mut command, Duration::from_secs(60));
    for part in [SECRET, "S3cr3t", "Va/lue", "another password"] {
        assert!(!format!("{}{}", run.stdout(), run.stderr()).contains(part), "{part} shows: {run}");
    }
    run
}

#[test]
fn base64_of_something_longer_shows_nothing_of_it() {
    let run = build(
        "RUN printf %s:%s user ${{ pw }} | base64 -w0\nRUN printf %s:%s u ${{ pw }} | base64 -w0\n\
         RUN printf %s:%s us ${{ pw }} | base64 -w0\nRUN printf %s%s ${{ pw }} tail | base64 -w0\n",
    );
    assert_eq!(run.code, Some(0), "{run}");
    // At each of the three places that a secret can have in base64, what is its own is gone.
    for own in ["TM2NyM3QrVmEvbHVl", "UzNjcjN0K1ZhL2x1", "zY3IzdCtWYS9sdW"] {
        assert!(!run.stderr().contains(own), "{own} shows: {run}");
    }
    assert_eq!(run.stderr().matches("***").count(), 4, "{run}");
}

#[test]
fn pieces_that_come_apart_are_still_masked() {
    let run = build("RUN printf %s ${{ pw }} | head -c 7; sleep 1; printf %s ${{ pw }} | tail -c +8; echo\n");
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stderr().contains("***"), "{run}");
}

#[test]
fn errors_do_not_repeat_it() {
    let run = build("KEY k: int FROM RUN echo ${{ pw }}\n");
    assert_eq!(run.code, Some(4), "{run}");
    assert!(run.stderr().contains("`***` is not an int"), "{run}");
    let run = build("RUN cat /nowhere/${{ pw }}\n");
    assert_eq!(run.code, Some(4), "{run}");
}

#[test]
fn no_other_process_of_the_guest_has_it() {
    let run = build(
        "RUN : ${{ pw }}; for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/environ; tr '\\0' ' ' < $p/cmdline; done > /root/seen; \
         ! grep -q 'S3c''r3t' /root/seen\n\
         RUN find / -xdev -path /proc -prune -o -name '*vmwbuild*' -perm /077 -print > /root/open; ! test -s /root/open\n",
    );
    assert_eq!(run.code, Some(0), "{run}");
}

#[test]
fn what_a_guest_prints_commands_no_terminal() {
    let run = build(
        "RUN printf '\\033]0;title\\007\\033[2J\\033[31mred\\n'\nNOTE \u{1b}[31mnote\nRUN echo \u{1b}[2J; exit 3\n",
    );
    assert_eq!(run.code, Some(4), "{run}");
    assert!(!run.stderr().contains(['\u{1b}', '\u{7}']), "{run}");
}
