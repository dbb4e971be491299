//! Builds whose process is killed, by the real binary against a sandbox that goes on: at every line of the journal the
//! process ends as by kill -9, and `resume` ends what an undisturbed build would have, or `clean` leaves nothing.

#![allow(clippy::unwrap_used)] // a test may
#![cfg(target_os = "linux")]

use crate::common;

use std::path::Path;
use std::time::Duration;

use common::site::{Sandbox, Site};
use common::{DEADLINE, Run, context, run};
use vmwbuild::vsphere::client::{Deadline, EntityKind};

/// Two machines: a template, replaced on request, and a machine made of it. Each command leaves a line where it ran.
const CHAIN: &str = "ARG p\nFROM linux AS image\nOUTPUT TEMPLATE --exists=replace ${{ p }}-image\n\
    RUN echo one >> /root/count\n\
    RUN sleep 0.2; echo two >> /root/count\n\
    KEY word FROM RUN echo three >> /root/count; echo 'a value'\n\
    COPY <<EOF /root/copied\ncopied\nEOF\n\
    KEY token: secret FROM RUN echo token >> /root/tokens; echo s3cr3t-t0ken\n\
    RUN echo four ${{ word }} >> /root/count\n\
    FROM image AS vm\nOUTPUT VM ${{ p }}-vm\n\
    RUN echo five >> /root/count\n\
    RUN echo six ${{ image.word }} >> /root/count\n";

const COUNT: &str = "one\ntwo\nthree\nfour a value\nfive\nsix a value\n";

fn sandbox() -> Site {
    Site::Sandbox(Sandbox::start(&["--boot-delay", "20ms"]))
}

fn build(site: &Site, dir: &Path, prefix: &str, die: &str) -> Run {
    let arg = format!("p={prefix}");
    let mut command = site.with_state(dir, &["build", "--progress", "plain", "--arg", &arg]);
    if !die.is_empty() {
        command.env("VMWBUILD_TEST_DIE_AT", die);
    }
    run(&mut command, DEADLINE)
}

fn vmwbuild(site: &Site, dir: &Path, args: &[&str]) -> Run {
    run(&mut site.with_state(dir, args), DEADLINE)
}

fn succeeded(run: Run) -> Run {
    assert_eq!(run.code, Some(0), "{run}");
    run
}

fn read(site: &Site, dir: &Path, vm: &str, path: &str) -> String {
    succeeded(vmwbuild(site, dir, &["exec", vm, "--", "cat", path])).stdout()
}

/// The journal of the only build below a directory.
fn journal(dir: &Path) -> String {
    let mut builds = std::fs::read_dir(dir.join(".state/builds")).unwrap();
    let build = builds.next().unwrap().unwrap().path();
    assert!(builds.next().is_none(), "more than one build");
    std::fs::read_to_string(build.join("journal.jsonl")).unwrap()
}

/// The names of those that belong to a test.
fn of(site: &Site, prefix: &str) -> Vec<String> {
    let prefix = format!("{prefix}-");
    site.vms().into_iter().filter(|n| n.starts_with(&prefix)).collect()
}

/// What must be so after a build, however often it was killed.
fn complete(site: &Site, dir: &Path, prefix: &str, how: &str) {
    assert_eq!(of(site, prefix), [format!("{prefix}-image"), format!("{prefix}-vm")], "{how}");
    let vm = format!("{prefix}-vm");
    assert_eq!(read(site, dir, &vm, "/root/count"), COUNT, "{how}: each command once");
    assert_eq!(read(site, dir, &vm, "/root/copied"), "copied\n", "{how}");
    let rest = succeeded(vmwbuild(site, dir, &["exec", &vm, "--", "sh", "-c", "ls -A /root | grep -i vmw || true"]));
    // That of the command itself is there while it runs.
    assert!(rest.stdout().lines().count() <= 1, "{how}: left in the guest: {rest}");
    let text = journal(dir);
    assert!(!text.contains("s3cr3t"), "{how}: {text}");
    let made: std::collections::BTreeSet<String> = text
        .lines()
        .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok())
        .filter(|r| r["is"] == "made")
        .map(|r| r["vm"].to_string())
        .collect();
    assert_eq!(made.len(), 2, "{how}: machines are cloned once\n{text}");
    assert!(text.lines().last().unwrap().contains("\"how\":\"done\""), "{how}: {text}");
}

/// Removes what a test has built.
fn remove(site: &Site, prefix: &str) {
    site.with_client(async |client| {
        let inventory = client.inventory().await.unwrap();
        let prefix = format!("{prefix}-");
        for vm in inventory.all(EntityKind::Vm).filter(|e| e.name.starts_with(&prefix)) {
            client.destroy_vm(&vm.moref, Deadline::after(DEADLINE)).await.unwrap();
        }
    });
}

/// A machine under the name of the image to be: the one that is replaced.
fn old_image(site: &Site, prefix: &str) {
    site.with_client(async |client| {
        common::embedded::clone_of(client, "linux", &format!("{prefix}-image")).await;
    });
}

/// How many lines an undisturbed build writes.
fn lines(site: &Site) -> usize {
    let dir = context(&[("VMWfile", CHAIN)]);
    old_image(site, "whole");
    succeeded(build(site, dir.path(), "whole", ""));
    let count = journal(dir.path()).lines().count() - 1;
    remove(site, "whole");
    assert!(count > 20, "only {count} lines");
    count
}

/// Whether all points are tried, or a part of them.
fn thorough() -> bool {
    std::env::var_os("VMWBUILD_TEST_SOAK").is_some()
}

/// The places at which a process ends.
fn places(site: &Site) -> Vec<String> {
    let count = lines(site);
    // After the last line it is over.
    let all = (1..=count).flat_map(|n| [format!("before:{n}"), n.to_string()]).take(2 * count - 1);
    if thorough() { all.collect() } else { all.enumerate().filter(|(at, _)| at % 4 < 2).map(|(_, p)| p).collect() }
}

/// Does something at every place, several at once on one sandbox; nothing is left in the end.
fn everywhere(site: &Site, places: &[String], work: impl Fn(&str, usize) + Sync) {
    let before = site.vms();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(place) = places.get(at) else { return };
                    work(place, at);
                }
            });
        }
    });
    assert_eq!(site.vms(), before);
}

#[test]
fn a_build_that_was_killed_anywhere_is_gone_on_with() {
    let site = &sandbox();
    everywhere(site, &places(site), |place, at| {
        let dir = context(&[("VMWfile", CHAIN)]);
        let prefix = format!("r{at}");
        old_image(site, &prefix);
        let killed = build(site, dir.path(), &prefix, place);
        assert_eq!(killed.code, None, "{place}: {killed}");
        let resumed = vmwbuild(site, dir.path(), &["resume", "--progress", "plain"]);
        assert_eq!(resumed.code, Some(0), "{place}: {resumed}\n{}", journal(dir.path()));
        complete(site, dir.path(), &prefix, place);
        remove(site, &prefix);
    });
}

#[test]
fn what_a_killed_build_has_left_is_cleaned() {
    let site = &sandbox();
    let mut places = places(site);
    if !thorough() {
        places = places.into_iter().step_by(3).collect();
    }
    everywhere(site, &places, |place, at| {
        let dir = context(&[("VMWfile", CHAIN)]);
        let prefix = format!("c{at}");
        old_image(site, &prefix);
        let killed = build(site, dir.path(), &prefix, place);
        assert_eq!(killed.code, None, "{place}: {killed}");
        let seen = of(site, &prefix);
        let dry = succeeded(vmwbuild(site, dir.path(), &["clean", "--dry-run"]));
        assert_eq!(of(site, &prefix), seen, "{place}: {dry}");
        let cleaned = succeeded(vmwbuild(site, dir.path(), &["clean", "--yes"]));
        if cleaned.stderr().contains("taking the place of") {
            // Too late to go back: it is complete.
            succeeded(vmwbuild(site, dir.path(), &["resume", "--progress", "plain"]));
            complete(site, dir.path(), &prefix, place);
        } else {
            // What is complete and named is the user's, and stays; so does the image that was there before.
            let published = journal(dir.path()).lines().any(|l| l.contains("\"is\":\"published\""));
            let mut expected = vec![format!("{prefix}-image")];
            expected.extend(published.then(|| format!("{prefix}-vm")));
            assert_eq!(of(site, &prefix), expected, "{place}: {cleaned}");
            if !cleaned.stderr().contains("no build has left anything") {
                let again = vmwbuild(site, dir.path(), &["resume"]);
                assert_eq!(again.code, Some(2), "{place}: {again}");
            }
        }
        remove(site, &prefix);
    });
}

#[test]
fn a_build_that_is_killed_again_and_again_ends() {
    let site = sandbox();
    let before = site.vms();
    let dir = context(&[("VMWfile", CHAIN)]);
    old_image(&site, "again");
    assert_eq!(build(&site, dir.path(), "again", "3").code, None);
    for count in 0.. {
        assert!(count < 60, "no end: {}", journal(dir.path()));
        let mut command = site.with_state(dir.path(), &["resume", "--progress", "plain"]);
        let resumed = run(command.env("VMWBUILD_TEST_DIE_AT", "11"), DEADLINE);
        match resumed.code {
            None => {}
            Some(0) => break,
            Some(_) => panic!("{resumed}"),
        }
    }
    complete(&site, dir.path(), "again", "again and again");
    remove(&site, "again");
    assert_eq!(site.vms(), before);
}

#[test]
fn a_command_goes_on_while_nobody_looks() {
    let site = sandbox();
    let text = "FROM linux AS vm\nOUTPUT VM slow\nRUN echo begun; echo once >> /root/count; \
                while [ ! -e /root/go ]; do sleep 0.1; done; echo ended\nRUN echo twice >> /root/count\n";
    let dir = context(&[("VMWfile", text)]);
    killed_once_begun(&site, dir.path());
    succeeded(vmwbuild(&site, dir.path(), &["exec", "slow", "--", "touch", "/root/go"]));
    let resumed = succeeded(vmwbuild(&site, dir.path(), &["resume", "--progress", "plain"]));
    assert!(resumed.stderr().contains("ended"), "{resumed}");
    assert_eq!(read(&site, dir.path(), "slow", "/root/count"), "once\ntwice\n");
}

#[test]
fn what_a_build_says_when_it_is_stopped_twice_is_so() {
    let site = sandbox();
    let before = site.vms();
    let text = "FROM linux AS vm\nOUTPUT VM left\nRUN echo begun; echo once >> /root/count; sleep 3\n\
                RUN echo twice >> /root/count\n";
    let dir = context(&[("VMWfile", text)]);
    let running = common::Running::start(&mut site.with_state(dir.path(), &["build", "--progress", "plain"]));
    running.wait_for("begun", DEADLINE);
    running.signal("INT");
    running.signal("TERM");
    let stopped = running.finish(DEADLINE);
    assert_eq!(stopped.code, Some(130), "{stopped}");
    if stopped.stderr().contains("vmwbuild resume") {
        succeeded(vmwbuild(&site, dir.path(), &["resume", "--progress", "plain"]));
        assert_eq!(read(&site, dir.path(), "left", "/root/count"), "once\ntwice\n");
    } else {
        // It had begun to remove the machine when the second signal came.
        succeeded(vmwbuild(&site, dir.path(), &["clean", "--yes"]));
        assert_eq!(site.vms(), before, "{stopped}");
    }
}

#[test]
fn a_command_that_was_ended_on_request_is_told_and_not_run_again() {
    let site = sandbox();
    // It isn't impressed by the first signal that it gets, so that its end takes a while.
    let text = "FROM linux AS vm\nOUTPUT VM ended\nRUN echo before >> /root/count\n\
                RUN trap ': > /root/asked' TERM; echo begun; echo once >> /root/count; while :; do sleep 0.1; done\n";
    let dir = context(&[("VMWfile", text)]);
    let mut build = site.with_state(dir.path(), &["build", "--progress", "plain", "--on-error", "keep"]);
    let running = common::Running::start(&mut build);
    running.wait_for("begun", DEADLINE);
    running.signal("INT");
    let asked = "until test -e /root/asked; do sleep 0.05; done";
    succeeded(vmwbuild(&site, dir.path(), &["exec", "ended", "--", "sh", "-c", asked]));
    running.signal("INT");
    let stopped = running.finish(DEADLINE);
    assert_eq!(stopped.code, Some(130), "{stopped}");
    let said = |run: &Run| run.stderr().split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ");
    assert!(said(&stopped).contains("goes on with the build, unless a command was ended half-way"), "{stopped}");
    let resumed = vmwbuild(&site, dir.path(), &["resume", "--progress", "plain"]);
    assert_eq!(resumed.code, Some(4), "{resumed}");
    assert!(resumed.stderr().contains("VMW651 not-resumable"), "{resumed}");
    assert!(said(&resumed).contains("was ended in `vm` when the build was stopped"), "{resumed}");
    assert_eq!(read(&site, dir.path(), "ended", "/root/count"), "before\nonce\n");
    succeeded(vmwbuild(&site, dir.path(), &["clean", "--yes"]));
    assert!(!site.vms().contains(&"ended".to_owned()));
}

#[test]
fn a_saved_connection_knows_its_password_when_a_build_is_gone_on_with() {
    let site = sandbox();
    let dir = context(&[("VMWfile", "FROM linux AS vm\nOUTPUT VM saved\nRUN echo once >> /root/count\n")]);
    let (url, user, password, print) = site.server();
    let bare = |args: &[&str]| {
        let mut command = site.with_state(dir.path(), args);
        for name in ["VMWBUILD_VCENTER", "VMWBUILD_USERNAME", "VMWBUILD_PASSWORD", "VMWBUILD_THUMBPRINT"] {
            command.env_remove(name);
        }
        command
    };
    let save = ["vcenter", "add", "lab", url, "--username", user, "--password-env", "LAB", "--thumbprint", print];
    succeeded(run(&mut bare(&save), DEADLINE));
    let build = |place: &str| {
        let mut command = bare(&["build", "--progress", "plain", "--vcenter", place, "--username", user]);
        command.args(["--thumbprint", print]).env("LAB", password).env("VMWBUILD_TEST_DIE_AT", "8");
        run(&mut command, DEADLINE)
    };
    // By its name, while a variable has another server's password; and by its address.
    for (place, other) in [("lab", Some("of another server")), (url, None)] {
        assert_eq!(build(place).code, None, "{place}");
        let mut resume = bare(&["resume", "--progress", "plain"]);
        resume.env("LAB", password);
        if let Some(other) = other {
            resume.env("VMWBUILD_PASSWORD", other);
        }
        succeeded(run(&mut resume, DEADLINE));
        remove_named(&site, "saved");
    }
}

fn remove_named(site: &Site, name: &str) {
    site.with_client(async |client| {
        let inventory = client.inventory().await.unwrap();
        let vm = inventory.vm(name, None).unwrap();
        client.destroy_vm(&vm.moref, Deadline::after(DEADLINE)).await.unwrap();
    });
}

#[test]
fn a_restart_of_the_guest_and_a_copy_between_machines_are_gone_on_with() {
    let site = sandbox();
    let text = "FROM linux AS one\nOUTPUT VM g-one\nRUN echo 1 >> /root/count\nREBOOT\nRUN echo 2 >> /root/count\n\
                COPY big /opt/big\nRUN echo begun; while [ ! -e /root/go ]; do sleep 0.1; done; echo 3 >> /root/count\n\
                FROM linux AS two\nOUTPUT VM g-two\nRUN echo 1 >> /root/count\nCOPY --from=one /opt/big /root/count /opt/\n\
                RUN cmp /opt/count - <<EOF\n1\n2\n3\nEOF\n";
    let big = "x".repeat(3_000_000);
    let dir = context(&[("VMWfile", text), ("big", &big)]);
    killed_once_begun(&site, dir.path());
    succeeded(vmwbuild(&site, dir.path(), &["exec", "g-one", "--", "touch", "/root/go"]));
    // Killed again at each line from there on, the export and the copy among them.
    for line in 1..40 {
        let mut resume = site.with_state(dir.path(), &["resume", "--progress", "plain"]);
        let resumed = run(
            resume.env("VMWBUILD_TEST_DIE_AT", format!("{}{}", if line % 2 == 0 { "before:" } else { "" }, line + 2)),
            DEADLINE,
        );
        match resumed.code {
            None => {}
            Some(0) => break,
            // Killed just after its end.
            Some(_) if resumed.stderr().contains("no-build") => break,
            Some(_) => panic!("{resumed}"),
        }
        assert!(line < 39, "no end: {}", journal(dir.path()));
    }
    assert_eq!(read(&site, dir.path(), "g-one", "/root/count"), "1\n2\n3\n");
    assert_eq!(read(&site, dir.path(), "g-two", "/root/count"), "1\n");
    let size = vmwbuild(&site, dir.path(), &["exec", "g-two", "--", "wc", "-c", "/opt/big"]);
    assert!(succeeded(size).stdout().starts_with("3000000"));
}

#[test]
fn a_build_that_lost_its_vcenter_is_gone_on_with() {
    let dir = context(&[(
        "VMWfile",
        "FROM linux AS vm\nOUTPUT VM far\nRUN echo once >> /root/count; echo begun; \
                while [ ! -e /root/go ]; do sleep 0.1; done\nRUN echo twice >> /root/count\n",
    )]);
    let site = Site::Sandbox(Sandbox::here());
    let running = common::Running::start(&mut site.with_state(dir.path(), &["build", "--progress", "plain"]));
    running.wait_for("begun", DEADLINE);
    // As when the network is away: every connection breaks, for good.
    site.meddle(|s| s.inject(::vmwbuild::sandbox::Rule::parse("*:drop-before:count=1000000").unwrap()));
    let lost = running.finish(DEADLINE);
    assert_eq!(lost.code, Some(3), "{lost}");
    assert!(lost.stderr().contains("vmwbuild resume"), "{lost}");
    site.meddle(::vmwbuild::sandbox::Sandbox::forgive);
    succeeded(vmwbuild(&site, dir.path(), &["exec", "far", "--", "touch", "/root/go"]));
    succeeded(vmwbuild(&site, dir.path(), &["resume", "--progress", "plain"]));
    assert_eq!(read(&site, dir.path(), "far", "/root/count"), "once\ntwice\n");
}

#[test]
fn a_secret_key_is_captured_again_where_it_is_needed() {
    let site = sandbox();
    let text = "FROM linux AS one\nOUTPUT VM k-one\nKEY t: secret FROM RUN echo t >> /root/count; cat /etc/hostname | md5sum\n\
                RUN echo r >> /root/count\n\
                FROM linux AS two --after=one\nOUTPUT VM k-two\nRUN echo begun; sleep 0.5\nRUN printf %s ${{ one.t }} > /root/t\n";
    let text = text.replace(" --after=one", "");
    let dir = context(&[("VMWfile", text.as_str())]);
    killed_once_begun(&site, dir.path());
    succeeded(vmwbuild(&site, dir.path(), &["resume", "--progress", "plain"]));
    let hash =
        succeeded(vmwbuild(&site, dir.path(), &["exec", "k-one", "--", "sh", "-c", "cat /etc/hostname | md5sum"]));
    assert_eq!(read(&site, dir.path(), "k-two", "/root/t").trim(), hash.stdout().trim());
    let count = read(&site, dir.path(), "k-one", "/root/count");
    assert_eq!(count.lines().filter(|l| *l == "r").count(), 1, "{count}");
}

/// What was captured first is lost with the process, and a machine has it: that is told, for nobody else sees it.
#[test]
fn a_secret_key_that_was_used_before_is_told() {
    let site = sandbox();
    let text = "FROM linux AS one\nOUTPUT VM n-one\nKEY t: secret FROM RUN head -c 9 /dev/urandom | base64\n\
                KEY line: secret = \"t=\" + t\n\
                FROM linux AS two\nOUTPUT VM n-two\nRUN echo ${{ one.line }} > /root/t\nRUN echo begun; sleep 1\n\
                FROM linux AS three\nOUTPUT VM n-three\nRUN sleep 2\nRUN echo ${{ one.t }} > /root/t\n";
    let dir = context(&[("VMWfile", text)]);
    killed_once_begun(&site, dir.path());
    let resumed = succeeded(vmwbuild(&site, dir.path(), &["resume", "--progress", "plain"]));
    assert!(resumed.stderr().contains("; `two` was given it before: if the command prints another"), "{resumed}");
}

#[test]
fn what_still_runs_isnt_run_again_when_a_secret_key_before_it_is() {
    let site = sandbox();
    let text = "FROM linux AS one\nOUTPUT VM l-one\nKEY t: secret FROM RUN echo t >> /root/count; echo of-one\n\
                RUN echo begun; sleep 2; echo r >> /root/count\n\
                FROM linux AS two\nOUTPUT VM l-two\nRUN sleep 3\nREBOOT\nRUN printf %s ${{ one.t }} > /root/t\n";
    let dir = context(&[("VMWfile", text)]);
    killed_once_begun(&site, dir.path());
    succeeded(vmwbuild(&site, dir.path(), &["resume", "--progress", "plain"]));
    assert_eq!(read(&site, dir.path(), "l-two", "/root/t"), "of-one");
    assert_eq!(read(&site, dir.path(), "l-one", "/root/count"), "t\nr\nt\n");
}

/// A step that still runs may print a secret key that nobody knows any more, and so may steps that come after it.
#[test]
fn a_secret_key_that_no_journal_holds_isnt_shown_either() {
    let site = sandbox();
    let text = "FROM linux AS one\nOUTPUT VM m-one\nKEY t: secret FROM RUN printf 't0p%ssecret' - | tee /root/t\n\
                RUN echo begun; until test -e /root/go; do sleep 0.1; done; echo it is ${{ t }}; cat /root/t >&2\n\
                KEY plain FROM RUN cat /root/t\nRUN cat /root/t; echo ${{ plain }} >> /root/plain\n";
    let dir = context(&[("VMWfile", text)]);
    killed_once_begun(&site, dir.path());
    succeeded(vmwbuild(&site, dir.path(), &["exec", "m-one", "--", "touch", "/root/go"]));
    let args =
        ["resume", "--progress", "plain", "--events", "events.jsonl", "--result", "r.json", "--report", "r.html"];
    let resumed = succeeded(vmwbuild(&site, dir.path(), &args));
    assert!(resumed.stderr().contains("what it prints isn't shown: `one.t` may be in it"), "{resumed}");
    assert!(!resumed.to_string().contains("t0p-secret"), "{resumed}");
    assert_eq!(read(&site, dir.path(), "m-one", "/root/plain"), "t0p-secret\n");
    nowhere(dir.path(), "t0p-secret");
}

/// Neither on the screen nor anywhere else.
fn nowhere(dir: &Path, secret: &str) {
    let mut files = vec![dir.to_owned()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains(secret), "{}: {text}", path.display());
        }
    }
}

/// Clones of a machine have what it has, and so have those that are given it or copy from it.
#[test]
fn what_a_machine_with_a_lost_secret_is_the_source_of_isnt_shown_either() {
    let site = sandbox();
    let text = "FROM linux AS one\nOUTPUT TEMPLATE c-one\nKEY t: secret FROM RUN printf 'cl0ne%ssecret' - | tee /root/t\n\
                KEY line: secret = \"t=\" + t\n\
                FROM one AS two\nOUTPUT TEMPLATE c-two\n\
                RUN echo begun; until test -e /root/go; do sleep 0.1; done; cat /root/t\nRUN echo two; cat /root/t >&2\n\
                FROM two AS three\nOUTPUT VM c-three\nRUN echo three; cat /root/t\nRUN --allow-failure cat /root/t; exit 3\n\
                FROM linux AS four\nOUTPUT NONE\nCOPY --from=two /root/t /root/copied\nRUN cat /root/copied\n\
                FROM linux AS five\nOUTPUT VM c-five\nRUN echo ${{ one.line }} > /root/t\n\
                RUN echo begun; until test -e /root/go; do sleep 0.1; done; cat /root/t\n\
                FROM linux AS six\nOUTPUT VM c-six\nRUN until test -e /root/go; do sleep 0.1; done; echo nobody-knows\n";
    let dir = context(&[("VMWfile", text)]);
    let running = common::Running::start(&mut site.with_state(dir.path(), &["build", "--progress", "plain"]));
    // `two` and `five`, in whatever order.
    running.wait_for("| begun", DEADLINE);
    running.wait_for("| begun", DEADLINE);
    running.signal("KILL");
    running.finish(DEADLINE);
    for machine in ["c-two", "c-five", "c-six"] {
        succeeded(vmwbuild(&site, dir.path(), &["exec", machine, "--", "touch", "/root/go"]));
    }
    let args = ["resume", "--progress", "plain", "--events", "events.jsonl", "--report", "r.html"];
    let resumed = succeeded(vmwbuild(&site, dir.path(), &args));
    let told = resumed.stderr();
    for machine in ["two  ", "three", "four ", "five "] {
        let line = format!("{machine}  note: what it prints isn't shown: `one.t` may be in it");
        assert!(told.contains(&line), "{machine}: {resumed}");
    }
    assert!(told.contains("| nobody-knows"), "{resumed}");
    assert!(!resumed.to_string().contains("cl0ne-secret"), "{resumed}");
    assert_eq!(read(&site, dir.path(), "c-three", "/root/t"), "cl0ne-secret");
    nowhere(dir.path(), "cl0ne-secret");
}

/// Names of objects are another vCenter's own: what is called so there is somebody else's.
#[test]
fn a_build_is_not_gone_on_with_on_another_vcenter() {
    let (site, other) = (sandbox(), sandbox());
    let dir =
        context(&[("VMWfile", "FROM linux AS one\nOUTPUT VM h-one\nRUN echo begun; sleep 60\nRUN touch /root/mine\n")]);
    killed_once_begun(&site, dir.path());
    // As many machines there, so that one has the name of the one here.
    for name in ["their-1", "their-2", "their-3"] {
        other.govc(&["vm.clone", "-vm", "linux", "-pool", "/DC0/host/DC0_C0/Resources", name]);
    }
    let before = other.vms();
    let mut command = other.with_state(dir.path(), &["resume"]);
    for (flag, name) in [
        ("--vcenter", "VMWBUILD_VCENTER"),
        ("--thumbprint", "VMWBUILD_THUMBPRINT"),
        ("--username", "VMWBUILD_USERNAME"),
    ] {
        let given = command.get_envs().find(|(key, _)| *key == name).and_then(|(_, value)| value);
        let given = given.unwrap().to_owned();
        command.arg(flag).arg(given);
    }
    let resumed = run(&mut command, DEADLINE);
    assert_eq!(resumed.code, Some(5), "{resumed}");
    assert!(resumed.stderr().contains("was begun on another vCenter than the one at"), "{resumed}");
    assert_eq!(other.vms(), before);
    succeeded(vmwbuild(&site, dir.path(), &["clean", "--yes"]));
}

#[test]
fn what_is_gone_before_it_is_cleaned_is_told() {
    let site = sandbox();
    let dir = context(&[("VMWfile", "FROM linux AS one\nOUTPUT VM g-one\nRUN echo begun; sleep 60\n")]);
    killed_once_begun(&site, dir.path());
    site.govc(&["vm.destroy", "g-one"]);
    let cleaned = succeeded(vmwbuild(&site, dir.path(), &["clean", "--yes"]));
    let told = format!("what the build {} has left is gone already", journal_id(dir.path()));
    assert!(cleaned.stderr().contains(&told), "{cleaned}");
    let again = succeeded(vmwbuild(&site, dir.path(), &["clean", "--yes"]));
    assert!(again.stderr().contains("no build has left anything"), "{again}");
}

#[test]
fn a_changed_vmwfile_is_told() {
    let site = sandbox();
    let dir = context(&[("VMWfile", CHAIN)]);
    assert_eq!(build(&site, dir.path(), "x", "8").code, None);
    std::fs::write(dir.path().join("VMWfile"), format!("{CHAIN}RUN true\n")).unwrap();
    let resumed = vmwbuild(&site, dir.path(), &["resume"]);
    assert_eq!(resumed.code, Some(1), "{resumed}");
    let id = journal_id(dir.path());
    insta::assert_snapshot!(resumed.stderr().replace(&id, "BUILD"));
    succeeded(vmwbuild(&site, dir.path(), &["clean", "--all", "--yes"]));
    assert!(site.vms().iter().all(|n| !n.contains("x-")), "{:?}", site.vms());
}

/// A build whose process is killed when a command has printed `begun`.
fn killed_once_begun(site: &Site, dir: &Path) {
    let running = common::Running::start(&mut site.with_state(dir, &["build", "--progress", "plain"]));
    running.wait_for("begun", DEADLINE);
    running.signal("KILL");
    running.finish(DEADLINE);
}

fn journal_id(dir: &Path) -> String {
    let first: serde_json::Value = serde_json::from_str(journal(dir).lines().next().unwrap()).unwrap();
    first["build"].as_str().unwrap().to_owned()
}

#[test]
fn builds_are_listed() {
    let site = sandbox();
    let dir = context(&[("VMWfile", CHAIN)]);
    assert_eq!(build(&site, dir.path(), "l", "12").code, None);
    let listed = |args: &[&str]| succeeded(vmwbuild(&site, dir.path(), &[&["builds"], args].concat())).stdout();
    let all: serde_json::Value = serde_json::from_str(&listed(&["--json"])).unwrap();
    assert_eq!((&all[0]["state"], &all[0]["resumable"]), (&"interrupted".into(), &true.into()), "{all}");
    assert_eq!(all[0]["left"].as_array().unwrap().len(), 1, "{all}");
    assert!(listed(&[]).contains("interrupted"));
    succeeded(vmwbuild(&site, dir.path(), &["resume"]));
    let all: serde_json::Value = serde_json::from_str(&listed(&["--json"])).unwrap();
    assert_eq!(all[0]["state"], "done", "{all}");
    assert_eq!(all[0]["left"].as_array().unwrap().len(), 0, "{all}");
}

#[test]
fn a_build_that_was_stopped_is_listed_as_interrupted_and_old_ones_are_forgotten() {
    let site = sandbox();
    let dir = context(&[("VMWfile", "FROM linux AS vm\nOUTPUT VM stopped\nRUN echo begun; sleep 600\n")]);
    let running = common::Running::start(&mut site.with_state(dir.path(), &["build", "--progress", "plain"]));
    running.wait_for("begun", DEADLINE);
    running.signal("TERM");
    assert_eq!(running.finish(DEADLINE).code, Some(130));
    let listed = || {
        let all = succeeded(vmwbuild(&site, dir.path(), &["builds", "--json"])).stdout();
        serde_json::from_str::<serde_json::Value>(&all).unwrap()
    };
    let all = listed();
    assert_eq!((&all[0]["state"], &all[0]["resumable"]), (&"interrupted".into(), &false.into()), "{all}");
    // There is nothing to go on with, and the codes of what isn't there are the same everywhere.
    for args in [["resume"].as_slice(), &["resume", "nosuch"], &["clean", "nosuch"]] {
        let refused = vmwbuild(&site, dir.path(), args);
        assert!(refused.code == Some(2) && refused.stderr().contains("no-build"), "{args:?}: {refused}");
    }
    succeeded(vmwbuild(&site, dir.path(), &["clean", "--older-than", "1h"]));
    assert_eq!(listed().as_array().unwrap().len(), 1);
    let dry = succeeded(vmwbuild(&site, dir.path(), &["clean", "--older-than", "0s", "--dry-run"]));
    assert!(dry.stdout().contains("would forget"), "{dry}");
    assert_eq!(listed().as_array().unwrap().len(), 1);
    succeeded(vmwbuild(&site, dir.path(), &["clean", "--older-than", "0s"]));
    assert_eq!(listed().as_array().unwrap().len(), 0);
    assert_eq!(std::fs::read_dir(dir.path().join(".state/builds")).unwrap().count(), 0);
}

#[test]
fn a_build_that_was_refused_is_over() {
    let site = sandbox();
    let dir = context(&[("VMWfile", "FROM nosuch AS vm\nOUTPUT VM x\n")]);
    let refused = vmwbuild(&site, dir.path(), &["build", "--progress", "plain"]);
    assert_eq!(refused.code, Some(5), "{refused}");
    let all = succeeded(vmwbuild(&site, dir.path(), &["builds", "--json"])).stdout();
    common::schema::Schema::new("builds.json").check(&serde_json::from_str(&all).unwrap()).unwrap();
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!((&all[0]["state"], all[0]["left"].as_array().unwrap().len()), (&"failed".into(), 0), "{all}");
}

#[test]
fn a_whole_build_has_a_deadline() {
    let site = sandbox();
    let before = site.vms();
    let dir = context(&[("VMWfile", "FROM linux AS vm\nOUTPUT VM late\nRUN sleep 600\n")]);
    let late = vmwbuild(&site, dir.path(), &["build", "--progress", "plain", "--timeout", "4s"]);
    assert_eq!(late.code, Some(6), "{late}");
    assert!(late.stderr().contains("the build was stopped after 4s"), "{late}");
    assert_eq!(site.vms(), before);
}

#[test]
fn machines_that_dont_depend_on_a_failed_one_are_built() {
    let site = sandbox();
    let before = site.vms();
    let text = "FROM linux AS bad\nOUTPUT TEMPLATE n-bad\nRUN echo printed; exit 3\n\
                FROM bad AS hangs\nOUTPUT VM n-hangs\n\
                FROM linux AS good\nOUTPUT VM n-good\nRUN sleep 1; echo built > /root/count\n";
    let dir = context(&[("VMWfile", text)]);
    let run = vmwbuild(&site, dir.path(), &["build", "--progress", "plain", "--on-error", "continue"]);
    assert_eq!(run.code, Some(4), "{run}");
    let mut expected = before;
    expected.push("n-good".to_owned());
    expected.sort();
    assert_eq!(site.vms(), expected, "{run}");
    assert_eq!(read(&site, dir.path(), "n-good", "/root/count"), "built\n");
    // The message names the log of the step that failed.
    let shown: String = run.stderr().split_whitespace().collect();
    let log = dir.path().join(".state/builds").join(journal_id(dir.path())).join("logs/bad/001.log");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "printed\n");
    assert!(shown.contains("logs/bad/001.log"), "{run}");
}

#[test]
fn two_processes_dont_work_on_one_build() {
    let site = sandbox();
    let text = "FROM linux AS vm\nOUTPUT VM busy\nRUN echo begun; while [ ! -e /root/go ]; do sleep 0.1; done\n";
    let dir = context(&[("VMWfile", text)]);
    let running = common::Running::start(&mut site.with_state(dir.path(), &["build", "--progress", "plain"]));
    running.wait_for("begun", DEADLINE);
    let id = journal_id(dir.path());
    for args in [["resume", &id].as_slice(), &["clean", &id, "--yes"]] {
        let refused = vmwbuild(&site, dir.path(), args);
        assert_eq!(refused.code, Some(5), "{refused}");
        assert!(refused.stderr().contains("another process works on the build"), "{refused}");
    }
    succeeded(vmwbuild(&site, dir.path(), &["exec", "busy", "--", "touch", "/root/go"]));
    succeeded(running.finish(DEADLINE));
}

#[test]
fn a_machine_that_was_renamed_is_not_removed() {
    let site = sandbox();
    let text = "FROM linux AS vm\nOUTPUT VM mine\nRUN exit 3\n";
    let dir = context(&[("VMWfile", text)]);
    let failed = vmwbuild(&site, dir.path(), &["build", "--progress", "plain", "--on-error", "keep"]);
    assert_eq!(failed.code, Some(4), "{failed}");
    rename(&site, "mine", "yours");
    let cleaned = succeeded(vmwbuild(&site, dir.path(), &["clean", "--yes"]));
    assert!(cleaned.stderr().contains("it has been renamed to `yours`"), "{cleaned}");
    assert!(site.vms().contains(&"yours".to_owned()));
    rename(&site, "yours", "mine");
    succeeded(vmwbuild(&site, dir.path(), &["clean", "--yes"]));
    assert!(!site.vms().contains(&"mine".to_owned()));
}

fn rename(site: &Site, from: &str, to: &str) {
    site.with_client(async |client| {
        let inventory = client.inventory().await.unwrap();
        let vm = inventory.vm(from, None).unwrap();
        client.rename(&vm.moref, to, Deadline::after(Duration::from_secs(30))).await.unwrap();
    });
}

/// The names in a directory that begin as those of what is on its way.
fn passing(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = names.map(|e| e.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(".vmwbuild-")).collect()
}

#[test]
fn what_is_half_fetched_goes_with_the_process_after() {
    let site = sandbox();
    // So many files that unpacking them takes a while.
    let text = "ARG p\nFROM linux AS vm\nOUTPUT VM ${{ p }}-vm\n\
                RUN mkdir /root/many; cd /root/many; for d in $(seq 40); do mkdir $d; (cd $d; touch $(seq 400)); done\n\
                FETCH /root/many out/there\n";
    for (at, how) in [["resume", "--progress", "plain"].as_slice(), &["clean", "--yes"]].into_iter().enumerate() {
        let dir = context(&[("VMWfile", text)]);
        let out = dir.path().join("out");
        let arg = format!("p=f{at}");
        let mut command = site.with_state(dir.path(), &["build", "--progress", "plain", "--arg", &arg]);
        let running = common::Running::start(&mut command);
        let begun = std::time::Instant::now();
        while passing(&out).is_empty() {
            assert!(begun.elapsed() < DEADLINE, "nothing is fetched");
            std::thread::yield_now();
        }
        running.signal("KILL");
        let killed = running.finish(DEADLINE);
        assert_eq!(killed.code, None, "{killed}");
        assert_eq!(passing(&out).len(), 1, "it was killed while it unpacked");
        // What isn't this build's stays.
        std::fs::create_dir(out.join(".vmwbuild-other-1")).unwrap();
        let done = succeeded(vmwbuild(&site, dir.path(), how));
        assert_eq!(passing(&out), [".vmwbuild-other-1"], "{how:?}: {done}");
        assert_eq!(out.join("there/40/400").exists(), how[0] == "resume", "{done}");
        remove(&site, &format!("f{at}"));
    }
}

#[test]
fn a_build_that_is_killed_at_its_very_end_leaves_no_files() {
    let site = sandbox();
    let text = "ARG p\nFROM linux AS giver\nOUTPUT NONE\nRUN echo given > /root/f\n\
                FROM giver AS vm\nOUTPUT VM ${{ p }}-vm\nCOPY --from=giver /root/f /root/f\n";
    let dir = context(&[("VMWfile", text)]);
    succeeded(build(&site, dir.path(), "whole", ""));
    let last = journal(dir.path()).lines().count() - 1;
    remove(&site, "whole");
    let dir = context(&[("VMWfile", text)]);
    let killed = build(&site, dir.path(), "cut", &last.to_string());
    assert_eq!(killed.code, None, "{killed}");
    assert!(journal(dir.path()).lines().last().unwrap().contains("\"how\":\"done\""), "{killed}");
    assert_eq!(read(&site, dir.path(), "cut-vm", "/root/f"), "given\n");
    for entry in std::fs::read_dir(dir.path().join(".state/builds")).unwrap() {
        assert!(!entry.unwrap().path().join("files").exists(), "files are left: {killed}");
    }
}
