//! The session with vCenter: one for a build, kept while it lasts, renewed where it has ended, and closed however the build
//! ends. Counted by a sandbox in this process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::process::Command;
use std::time::Duration;

use common::embedded::{config, endpoint};
use common::{DEADLINE, Run, Running, context, run, vmwbuild};
use tempfile::TempDir;
use vmwbuild::sandbox::{Config, Sandbox};
use vmwbuild::vsphere::client::Client;

/// A sandbox whose sessions end early, and a command that builds on it.
struct Place {
    runtime: tokio::runtime::Runtime,
    sandbox: Sandbox,
    dir: TempDir,
}

impl Place {
    fn new(idle: Duration, text: &str) -> Place {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let sandbox = runtime.block_on(Sandbox::start(Config { session_idle: idle, ..config() })).unwrap();
        Place { runtime, sandbox, dir: context(&[("VMWfile", text)]) }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = vmwbuild(self.dir.path());
        command.args(args).args(["--vcenter", &self.sandbox.url(), "--username", self.sandbox.username()]);
        command.args(["--thumbprint", self.sandbox.thumbprint()]).env("VMWBUILD_PASSWORD", self.sandbox.password());
        command.env("VMWBUILD_LOGIN", "root:guest-password").env("VMWBUILD_STATE_DIR", self.dir.path().join(".state"));
        command
    }

    fn build(&self, flags: &[&str]) -> Run {
        run(&mut self.command(&[&["build", "--progress", "plain"], flags].concat()), DEADLINE)
    }

    /// Nothing is left; how many logins there were.
    fn end(self, why: &dyn std::fmt::Display) -> u64 {
        assert_eq!(self.sandbox.sessions(), 0, "{why}");
        let logins = self.sandbox.requests().get("Login").copied().unwrap_or_default();
        self.runtime.block_on(self.sandbox.stop());
        logins
    }
}

#[test]
fn a_session_lasts_as_long_as_a_command_in_a_guest() {
    let place = Place::new(Duration::from_secs(3), "FROM linux AS vm\nOUTPUT VM vm\nRUN sleep 7; echo over\n");
    let done = place.build(&[]);
    assert!(done.code == Some(0) && done.stderr().contains("over"), "{done}");
    assert_eq!(place.end(&done), 1, "{done}");
}

#[test]
fn a_session_that_has_ended_is_begun_anew() {
    // Shorter than the guest is looked at: it ends again and again.
    let text = "FROM linux AS vm\nOUTPUT VM vm\nRUN echo one >> /root/count; sleep 5\nREBOOT\n\
                RUN echo two >> /root/count; cat /root/count; test \"$(wc -l < /root/count)\" = 2\n";
    let place = Place::new(Duration::from_millis(500), text);
    let done = place.build(&[]);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(place.end(&done) > 1, "{done}");
}

#[test]
fn a_session_is_closed_however_a_build_ends() {
    let fails = "FROM linux AS vm\nOUTPUT VM vm\nRUN exit 3\n";
    let hangs = "FROM linux AS vm\nOUTPUT VM vm\nRUN echo begun; sleep 600\n";
    let long = Duration::from_secs(600);
    for (text, flags, code) in [
        (fails, &["--on-error", "clean"][..], 4),
        (fails, &["--on-error", "keep"], 4),
        (hangs, &["--timeout", "3s"], 6),
        ("FROM nosuch AS vm\nOUTPUT VM vm\n", &[], 5),
    ] {
        let place = Place::new(long, text);
        let done = place.build(flags);
        assert_eq!(done.code, Some(code), "{done}");
        assert_eq!(place.end(&done), 1, "{done}");
    }
    for signals in [&["INT"][..], &["TERM"], &["INT", "INT"], &["TERM", "INT"]] {
        let place = Place::new(long, hangs);
        let running = Running::start(&mut place.command(&["build", "--progress", "plain"]));
        running.wait_for("begun", DEADLINE);
        signals.iter().for_each(|signal| running.try_signal(signal));
        let done = running.finish(DEADLINE);
        assert_eq!(done.code, Some(130), "{signals:?}: {done}");
        let cleaned = run(&mut place.command(&["clean", "--yes"]), DEADLINE);
        assert_eq!(cleaned.code, Some(0), "{signals:?}: {cleaned}");
        place.end(&format!("{signals:?}: {done}"));
    }
}

/// Nothing else is asked while a command runs for longer than a session may be idle: what connecting begins alone holds
/// it, and where that comes too late the session is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_in_which_nothing_is_asked_is_kept() {
    const IDLE: Duration = Duration::from_secs(2);
    for kept in [true, false] {
        let sandbox = Sandbox::start(Config { session_idle: IDLE, ..config() }).await.unwrap();
        let mut endpoint = endpoint(&sandbox);
        // A vCenter's sessions may be idle for half an hour, and those of this sandbox for less than the first keepalive.
        assert!(endpoint.keep_alive > IDLE && endpoint.keep_alive < Duration::from_secs(1800));
        if kept {
            endpoint.keep_alive = IDLE / 4;
        }
        let client = Client::connect(endpoint, common::embedded::soon()).await.unwrap();
        let vm = common::embedded::clone_of(&client, "linux", "vm").await;
        let guest = common::embedded::boot(&client, &vm).await;
        let soon = common::embedded::soon;
        guest.start(&common::embedded::program("/bin/sleep", "6"), soon()).await.unwrap();
        // Of one moment, both.
        let all_and_kept = || {
            let requests = sandbox.requests();
            (requests.values().sum::<u64>(), requests.get("CurrentTime").copied().unwrap_or_default())
        };
        let (before, kept_before) = all_and_kept();
        let begun = tokio::time::Instant::now();
        if kept {
            // Each comes half a second after the one before: so many take longer than the session may be idle.
            while all_and_kept().1 < kept_before + 10 {
                assert!(begun.elapsed() < DEADLINE, "it isn't kept alive");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(begun.elapsed() > IDLE * 2, "{:?}", begun.elapsed());
            let (asked, alive) = all_and_kept();
            assert_eq!(asked - before, alive - kept_before, "nothing else was asked");
        } else {
            // Nothing happens: that is what is tried.
            tokio::time::sleep(IDLE + IDLE / 2).await;
        }
        client.inventory().await.unwrap();
        assert_eq!(sandbox.requests().get("Login"), Some(&if kept { 1 } else { 2 }), "kept: {kept}");
        client.logout().await.unwrap();
        assert_eq!(sandbox.sessions(), 0);
        sandbox.stop().await;
    }
}
