//! Other users than the login, and logins that change, in guests with the real sudo, doas, su, runuser and PAM.

#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::path::Path;

use common::site::{Sandbox, Site, journal_of};
use common::{DEADLINE, Run, context, left_out, on_both, run, setting, vmwbuild};
use tempfile::TempDir;

/// A password with all that a shell could stumble over, and a part that is looked for.
const PASSWORD: &str = "-n \"it's\" $(id) `x` \\n %s Zq7Xw9 ü";
/// What the account of another one is told by.
const OTHER: &str = "the other's";

/// The root file system with sudo and doas; None: tests that need what tests/setup makes are left out.
fn packages() -> Option<String> {
    if std::env::var_os("VMWBUILD_TEST_NETWORK_ROOT").is_none() && left_out() {
        return None;
    }
    Some(setting("VMWBUILD_TEST_NETWORK_ROOT"))
}

/// A stage `base` with the accounts: ops, whom sudo asks; free, whom it doesn't; few, who may do one thing; none, who may
/// nothing. All have PASSWORD, root OTHER. (sudo looks for the guest's own name, and a network that isn't there is slow.)
const BASE: &str = "SECRET pw\nSECRET other\nSECRET wrong\nFROM net AS base\nOUTPUT TEMPLATE t-base\nLOGIN root PASSWORD ${{ other }}\n\
    RUN echo 127.0.1.1 vm >> /etc/hosts\n\
    RUN for name in ops free few none app; do useradd --create-home --shell /bin/bash $name || exit; \
    printf '%s:%s\\n' $name ${{ pw }} | chpasswd; done; printf 'root:%s\\n' ${{ other }} | chpasswd\n\
    COPY --chmod=0440 <<EOF /etc/sudoers.d/build\nops ALL=(ALL) ALL\nfree ALL=(ALL) NOPASSWD: ALL\nfew ALL=(ALL) /bin/ls\nEOF\n";

fn project(text: &str) -> TempDir {
    context(&[
        ("VMWfile", format!("{BASE}{text}").as_str()),
        ("pw", PASSWORD),
        ("other", OTHER),
        ("wrong", "wr0ng-one"),
    ])
}

fn build(dir: &Path, root: &str, args: &[&str]) -> Run {
    let template = format!("net={root}");
    let mut command = vmwbuild(dir);
    command.args(["build", "--sandbox", "--progress", "plain", "--color", "never", "--sandbox-template", &template]);
    command.args(["--secret", "id=pw,src=pw", "--secret", "id=other,src=other", "--secret", "id=wrong,src=wrong"]);
    command.env("VMWBUILD_STATE_DIR", dir.join(".state"));
    run(command.args(args), DEADLINE)
}

/// Builds all of it; it must succeed.
fn built(text: &str) -> Option<TempDir> {
    let root = packages()?;
    let dir = project(text);
    let done = build(dir.path(), &root, &[]);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(!format!("{}{}", done.stdout(), done.stderr()).contains("Zq7Xw9"), "{done}");
    Some(dir)
}

fn read(dir: &TempDir, name: &str) -> String {
    std::fs::read_to_string(dir.path().join(name)).unwrap()
}

#[test]
fn sudo_is_given_the_password_that_it_asks_for() {
    let Some(dir) = built(
        "FROM base AS login\nOUTPUT NONE\nLOGIN ops PASSWORD ${{ pw }}\nRUN echo kept > ~/kept\nUSER root\n\
         RUN id -un; echo $HOME $USER; pwd; test -z \"$SUDO_ASKPASS$LC_ALL\" && ! env | grep Zq7X[w]9\n\
         RUN --unless=\"test $(id -un) = root\" echo never; exit 1\n\
         RUN --retry=2 --delay=0s echo x >> /root/count; test $(wc -l < /root/count) = 3\n\
         KEY who FROM RUN id -un; cat /root/count\nRUN test ${{ who }} = \"$(printf 'root\\nx\\nx\\nx')\"\n\
         RUN umask 077; echo \"root's own\" > /root/secret\nFETCH /root/secret secret\nRUN --user=app id -un > /tmp/app; echo ~ >> /tmp/app\nFETCH /tmp/app app\n\
         RUN --user=ops test \"$(cat ~/kept)\" = kept\n\
         FROM base AS named\nOUTPUT NONE\nHOSTNAME vm\nLOGIN ops PASSWORD ${{ pw }}\nRUN test $(id -un) = ops\n\
         FROM base AS told\nOUTPUT NONE\nLOGIN root PASSWORD ${{ other }}\n\
         RUN echo 'Defaults:ops rootpw' >> /etc/sudoers.d/build\nKEY given: secret FROM RUN cat <<EOF\n${{ other }}\nEOF\n\
         LOGIN ops PASSWORD ${{ pw }}\nUSER root --via=sudo PASSWORD ${{ given }}\nRUN test $(id -un) = root\n\
         RUN --user=app test $(id -un) = app\n\
         FROM base AS unasked\nOUTPUT NONE\nLOGIN free PASSWORD ${{ pw }}\nUSER root PASSWORD ${{ wrong }}\nRUN test $(id -un) = root\n",
    ) else {
        return;
    };
    assert_eq!(read(&dir, "secret"), "root's own\n");
    assert_eq!(read(&dir, "app"), "app\n/home/app\n");
}

#[test]
fn what_a_user_has_begun_is_ended_with_its_step_and_nothing_else_is() {
    let Some(_) = built(
        "FROM base AS ended\nOUTPUT NONE\nLOGIN ops PASSWORD ${{ pw }}\nUSER root\n\
         RUN --timeout=1s --allow-failure (setsid sleep 47115 &); trap '' HUP; sleep 47116\n\
         RUN sleep 7; ! grep -l 'sleep.4711[56]' /proc/[0-9]*/cmdline\n\
         USER ops\nRUN --timeout=1s --allow-failure sleep 47117\n\
         RUN sleep 7; ! grep -l 'sleep.47117' /proc/[0-9]*/cmdline\n",
    ) else {
        return;
    };
}

/// Notes all processes, and the variables of those that steps run, as fast as it can. (What a batch is sent in stands in the
/// environment of the shell that begins it, which is the login's, for a moment: as all that a step has.)
const SPY: &str = "#!/bin/sh\necho $$ > /srv/spy.pid\nuntil test -e /srv/enough; do\n\
    for p in /proc/[0-9]*; do\n\
    tr '\\0' ' ' < $p/cmdline && echo\n\
    if grep -qz ^VMWBUILD_JOB= $p/environ; then tr '\\0' '\\n' < $p/environ; fi\ndone\ndone > /srv/seen 2>/dev/null\n";

#[test]
fn the_password_shows_nowhere() {
    let Some(root) = packages() else { return };
    let dir = project(
        "FROM base AS watched\nOUTPUT TEMPLATE t-watched\nLOGIN root PASSWORD ${{ other }}\n\
         COPY --chmod=0755 spy /usr/local/bin/spy\nRUN setsid spy >/dev/null 2>&1 & until test -s /srv/seen; do sleep 0.1; done\n\
         LOGIN ops PASSWORD ${{ pw }}\nUSER root\nRUN echo one\nKEY two FROM RUN echo two\nRUN echo ${{ two }} && false || true\n\
         RUN true > /srv/enough; while test -d /proc/$(cat /srv/spy.pid); do sleep 0.1; done; sort -u /srv/seen > /srv/all\n\
         FETCH /srv/all seen\nRUN rm /srv/seen /srv/all\n\
         FROM watched AS after\nOUTPUT NONE\nLOGIN root PASSWORD ${{ other }}\n\
         RUN grep -rlE --devices=skip 'Zq7X[w]9|WnE3WHc[5]|pxN1h3[O]|acTdYd[z]' /home /root /tmp /var /etc /run /srv > /tmp/found; true\n\
         FETCH /tmp/found found\n",
    );
    std::fs::write(dir.path().join("spy"), SPY).unwrap();
    let done = build(dir.path(), &root, &["-v", "--events", "events"]);
    assert_eq!(done.code, Some(0), "{done}");
    let seen = read(&dir, "seen");
    for process in ["sudo -A -H -u root -- /bin/sh -c", "spy", "VMWBUILD_JOB="] {
        assert!(seen.contains(process), "the watcher saw no {process}: {seen}");
    }
    // In base64 too, at each of the places that it may have there.
    let parts = ["Zq7Xw9", "WnE3WHc5", "pxN1h3O", "acTdYdz"];
    let shows = |text: &str| parts.iter().any(|part| text.contains(part));
    assert!(!shows(&seen), "{seen}");
    assert_eq!(read(&dir, "found"), "", "files of the guest");
    assert!(!shows(&format!("{}{}", done.stdout(), done.stderr())), "{done}");
    let mut files = 0;
    let mut todo = vec![dir.path().join(".state"), dir.path().join("events")];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        files += 1;
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!shows(&text), "{}: {text}", path.display());
    }
    assert!(files > 3, "journal, events and logs were looked at");
}

#[test]
fn who_is_refused_is_told_why_and_what_next() {
    let Some(root) = packages() else { return };
    let stage = |name: &str, setup: &str, login: &str, user: &str| {
        format!(
            "FROM base AS {name}\nOUTPUT NONE\nLOGIN root PASSWORD ${{{{ other }}}}\nRUN {setup}\n\
             LOGIN {login} PASSWORD ${{{{ pw }}}}\nUSER {user}\nRUN --retry=3 --unless=\"test -e /never\" echo {name}-ran\n"
        )
    };
    let stages = [
        stage("wrong_password", "true", "ops", "root PASSWORD ${{ wrong }}"),
        stage("not_in_sudoers", "true", "none", "root"),
        stage("another_command", "true", "few", "root --via=sudo"),
        stage("terminal", "echo Defaults requiretty >> /etc/sudoers.d/build", "ops", "root"),
        stage("no_setuid", "chmod u-s /usr/bin/sudo", "ops", "root"),
        stage("no_sudo", "rm /usr/bin/sudo", "ops", "root --via=sudo"),
        stage("neither", "rm /usr/bin/sudo /usr/bin/doas", "ops", "root"),
        stage("no_rule_of_doas", "true", "ops", "root --via=doas"),
        stage("doas_asks", "echo permit ops > /etc/doas.conf", "ops", "root --via=doas"),
        stage("no_doas", "rm /usr/bin/doas", "ops", "root --via=doas"),
        stage("su_from_another", "true", "ops", "root --via=su"),
        stage("runuser_from_another", "true", "ops", "root --via=runuser"),
        stage("no_runuser", "mv /usr/sbin/runuser /root/", "root", "app --via=runuser"),
        stage("nobody_of_that_name", "true", "ops", "no-such-user"),
        stage("expired", "chage -E 1 ops", "ops", "root"),
        stage("nothing_runs_at_home", "mount -t tmpfs -o noexec,mode=777 none /home/ops", "ops", "root"),
    ];
    let logins = stages.concat().replace("LOGIN root PASSWORD ${{ pw }}", "LOGIN root PASSWORD ${{ other }}");
    let dir = project(&logins);
    let done = build(dir.path(), &root, &["--on-error", "continue"]);
    assert_eq!(done.code, Some(4), "{done}");
    let said = done.stderr();
    let ran =
        |line: &str| line.split_once(" | ").is_some_and(|(_, text)| text.ends_with("-ran") && !text.contains("RUN"));
    assert!(!said.lines().any(ran), "nothing ran: {said}");
    assert!(!said.contains("Zq7Xw9") && !said.contains("wr0ng-one"), "{said}");
    // sudo repeats what it refuses to run: that isn't the text of our own by which a command begins.
    assert!(said.contains("! Sorry, user few") && !said.contains("umask"), "{said}");
    let at = said.find("\nVMW").map_or(0, |at| at + 1);
    let mut told: Vec<String> = said[at..].split("\nVMW").map(strip_place).collect();
    told.sort();
    insta::assert_snapshot!("who_is_refused_is_told", told.join("\n\n"));
}

/// A message without its excerpt: stages' lines and numbers.
fn strip_place(message: &str) -> String {
    let lines = message.trim_start_matches("VMW").trim().lines();
    let ran = lines.clone().find_map(|line| line.split_once("echo ")?.1.strip_suffix("-ran"));
    let kept: Vec<&str> = lines
        .filter(|l| {
            let l = l.trim_start();
            !(l.starts_with(',')
                || l.starts_with(':')
                || l.starts_with('`')
                || l.starts_with(|c: char| c.is_ascii_digit()) && l.contains(" | "))
        })
        .collect();
    format!("{}: {}", ran.unwrap_or("?"), kept.join("\n").trim_end())
}

/// On the simulator, whose guests have all that the packages' root file system has; on the sandbox with that.
mod from_root {
    use super::*;

    fn sites() -> Vec<Site> {
        let sandbox = packages().map(|root| {
            let template = format!("net={root}");
            Site::Sandbox(Sandbox::start(&["--template", &template]))
        });
        Site::vcsim().into_iter().chain(sandbox).collect()
    }

    #[test]
    fn each_way_runs_the_real_program() {
        for site in sites() {
            let template = if site.is_vcsim() { "debian-template" } else { "net" };
            let dir = context(&[(
                "VMWfile",
                format!(
                    "FROM {template} AS ways\nOUTPUT VM ways\nRUN echo 127.0.1.1 $(uname -n) >> /etc/hosts\n\
                     RUN useradd --create-home app; echo permit nopass root > /etc/doas.conf\n\
                     USER app --via=sudo\nRUN id -un; cd; pwd; test \"$SUDO_USER\" = root\n\
                     USER app --via=doas\nRUN id -un; cd; pwd; test \"$DOAS_USER\" = root\n\
                     USER app --via=su\nRUN id -un; cd; pwd; test -z \"$SUDO_USER$DOAS_USER\"\n\
                     USER app --via=runuser\nRUN id -un; cd; pwd; echo $HOME $USER $LOGNAME\n\
                     USER app\nRUN test $(id -un) = app\nKEY who FROM RUN id -un\nRUN --user=root echo ${{{{ who }}}} > /root/who\n"
                ),
            )]);
            let done = site.built(dir.path(), &[]);
            assert_eq!(done.stderr().matches("| app\n").count(), 5, "{done}");
            assert_eq!(done.stderr().matches("| /home/app\n").count(), 4, "{done}");
            assert!(done.stderr().contains("| /home/app app app\n"), "{done}");
            assert_eq!(site.guest("ways", "cat /root/who"), "app\n");
        }
    }

    #[test]
    fn doas_serves_who_is_not_root() {
        let Some(_) = built(
            "FROM base AS doas\nOUTPUT NONE\nLOGIN root PASSWORD ${{ other }}\nRUN echo permit nopass ops as root > /etc/doas.conf\n\
             LOGIN ops PASSWORD ${{ pw }}\nUSER root --via=doas\nRUN test \"$(id -un) $DOAS_USER\" = 'root ops'\n\
             RUN --timeout=1s --allow-failure sleep 47118\nRUN ! grep -l 'sleep.47118' /proc/[0-9]*/cmdline\n\
             LOGIN root PASSWORD ${{ other }}\nUSER root\nRUN rm /usr/bin/sudo\nLOGIN ops PASSWORD ${{ pw }}\nUSER root\n\
             RUN test \"$(id -un) $DOAS_USER\" = 'root ops'\n",
        ) else {
            return;
        };
    }
}

/// Accounts that change in mid-stage.
mod logins {
    use super::*;

    on_both! {
        via here:
        an_account_follows_another
    }

    /// Each LOGIN begins a batch of its own, once; WAIT LOGIN is one program, and none where the account is known.
    fn an_account_follows_another(site: &Site) {
        let dir = context(&[(
            "VMWfile",
            "ARG template\nFROM ${{ template }} AS m\nOUTPUT VM follows\nLOGIN root PASSWORD one-horse\n\
             RUN useradd --create-home second && echo one >> /tmp/order && chmod 666 /tmp/order\n\
             LOGIN second PASSWORD two-horses\nWAIT LOGIN --timeout=30s --interval=200ms\nRUN echo two >> /tmp/order\nRUN echo three >> /tmp/order\n\
             LOGIN root PASSWORD one-horse\nRUN echo four >> /tmp/order\nWAIT LOGIN\nRUN echo five >> /tmp/order\n\
             KEY last FROM RUN tail -n 1 /tmp/order\nLOGIN second PASSWORD two-horses\nRUN echo ${{ last }} again >> /tmp/order\n",
        )]);
        let before = site.requests();
        site.built(dir.path(), &[]);
        let after = site.requests();
        let count = |method: &str| after.get(method).unwrap_or(&0) - before.get(method).unwrap_or(&0);
        // Root's first batch, second's first look, their two steps, root's one, its WAIT, its two, and the last.
        let most = 7;
        assert!(count("StartProgramInGuest") <= most, "{}", count("StartProgramInGuest"));
        let order = run(&mut site.exec(dir.path(), &["follows", "--", "cat", "/tmp/order"]), DEADLINE);
        assert_eq!(order.stdout(), "one\ntwo\nthree\nfour\nfive\nfive again\n", "{order}");
        let left = run(
            &mut site.exec(dir.path(), &["follows", "--", "sh", "-c", "ls -Ad /home/second/.vmw* /root/.vmw*"]),
            DEADLINE,
        );
        // That of the command itself.
        assert!(left.stdout().lines().count() <= 1, "{left}");
    }

    /// Two accounts, a password that changes, and sudo: each line once, wherever the process ends.
    const CHAIN: &str = "ARG p\nFROM t-base AS m\nOUTPUT VM ${{ p }}-m\nLOGIN root PASSWORD \"the other's\"\n\
        RUN echo one >> /root/count; echo 'ops:third-horse' | chpasswd\n\
        RUN echo two >> /root/count; echo 'root:second-horse' | chpasswd; sleep 0.3; echo changed >> /root/count\n\
        LOGIN root PASSWORD second-horse\nRUN echo three >> /root/count\n\
        LOGIN ops PASSWORD third-horse\nUSER root\nRUN sleep 0.3; echo four >> /root/count\n\
        KEY word FROM RUN echo five >> /root/count; echo a-word\nRUN echo ${{ word }} >> /root/count\n\
        RUN echo 'root:guest-password' | chpasswd; echo six >> /root/count\n";

    #[test]
    fn a_build_that_was_killed_anywhere_goes_on_with_the_passwords_of_then() {
        let Some(root) = packages() else { return };
        let template = format!("net={root}");
        let site = Site::Sandbox(Sandbox::start(&["--template", &template]));
        let base = project("");
        let secrets = ["--secret", "id=pw,src=pw", "--secret", "id=other,src=other", "--secret", "id=wrong,src=wrong"];
        let made = run(site.with_state(base.path(), &["build"]).args(secrets), DEADLINE);
        assert_eq!(made.code, Some(0), "{made}");
        let build = |dir: &Path, p: &str, die: &str| site.build_dying(dir, &format!("p={p}"), die);
        let complete = |dir: &Path, p: &str, how: &str| {
            let vm = format!("{p}-m");
            let count = run(&mut site.with_state(dir, &["exec", &vm, "--", "cat", "/root/count"]), DEADLINE);
            let want = "one\ntwo\nchanged\nthree\nfour\nfive\na-word\nsix\n";
            assert_eq!(count.stdout(), want, "{how}: {count}\n{}", journal_of(dir));
            assert!(!journal_of(dir).contains("-horse"), "{how}");
        };
        let dir = context(&[("VMWfile", CHAIN)]);
        let whole = build(dir.path(), "whole", "");
        assert_eq!(whole.code, Some(0), "{whole}");
        complete(dir.path(), "whole", "undisturbed");
        let count = journal_of(dir.path()).lines().count() - 1;
        assert!(count > 12, "only {count} lines");
        let next = std::sync::atomic::AtomicUsize::new(1);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(2, std::sync::atomic::Ordering::Relaxed);
                        // After the last line it is over.
                        if at >= count {
                            return;
                        }
                        let (dir, p, die) = (context(&[("VMWfile", CHAIN)]), format!("k{at}"), at.to_string());
                        let killed = build(dir.path(), &p, &die);
                        assert_eq!(killed.code, None, "{at}: {killed}");
                        let resumed =
                            run(&mut site.with_state(dir.path(), &["resume", "--progress", "plain"]), DEADLINE);
                        assert_eq!(resumed.code, Some(0), "{at}: {resumed}\n{}", journal_of(dir.path()));
                        complete(dir.path(), &p, &die);
                    }
                });
            }
        });
    }

    #[test]
    fn an_account_is_made_and_logged_in_with() {
        let Some(dir) = built(
            "FROM base AS made\nOUTPUT VM made\nLOGIN root PASSWORD ${{ other }}\n\
             RUN useradd --create-home second; printf 'second:%s\\n' ${{ wrong }} | chpasswd; echo one > /srv/order; chmod 666 /srv/order\n\
             LOGIN second PASSWORD ${{ wrong }}\nWAIT LOGIN\nRUN echo two $(id -un) >> /srv/order\n\
             COPY <<EOF /home/second/file\nhers\nEOF\nRUN test $(stat -c %U ~/file) = second\n\
             LOGIN ops PASSWORD ${{ pw }}\nUSER root\nRUN echo three $(id -un) >> /srv/order\n\
             LOGIN second PASSWORD ${{ wrong }}\nUSER second\nRUN echo four $(id -un) >> /srv/order\n\
             REBOOT\nWAIT LOGIN\nRUN echo five $(id -un) >> /srv/order\n\
             LOGIN root PASSWORD ${{ other }}\nUSER root\nRUN echo six $(id -un) >> /srv/order\n\
             RUN ls -A /root /home/* | grep vmwbuild > /srv/left; true\nFETCH /srv/order order\n",
        ) else {
            return;
        };
        assert_eq!(read(&dir, "order"), "one\ntwo second\nthree root\nfour second\nfive second\nsix root\n");
    }

    #[test]
    fn a_password_that_a_step_changes_is_the_one_from_then_on() {
        let Some(dir) = built(
            "FROM base AS changed\nOUTPUT VM changed\nLOGIN root PASSWORD ${{ other }}\nRUN echo before > /srv/order\n\
             RUN printf 'root:%s\\n' ${{ pw }} | chpasswd; echo changed >> /srv/order; sleep 1\nRUN echo behind >> /srv/order\n\
             LOGIN root PASSWORD ${{ pw }}\nRUN echo after >> /srv/order\nREBOOT\nRUN echo restarted >> /srv/order\n\
             KEY new: secret FROM RUN head -c 12 /dev/urandom | base64\n\
             LOGIN ops PASSWORD ${{ pw }}\nUSER root\nRUN printf 'root:%s\\n' ${{ new }} | chpasswd\n\
             LOGIN root PASSWORD ${{ new }}\nUSER root\nWAIT LOGIN\nRUN echo made up >> /srv/order\nFETCH /srv/order order\n",
        ) else {
            return;
        };
        assert_eq!(read(&dir, "order"), "before\nchanged\nbehind\nafter\nrestarted\nmade up\n");
    }

    #[test]
    fn what_an_account_that_is_gone_has_left_is_removed_by_root() {
        let Some(dir) = built(
            "FROM base AS gone\nOUTPUT TEMPLATE t-gone\nLOGIN ops PASSWORD ${{ pw }}\nRUN true\n\
             LOGIN root PASSWORD ${{ other }}\nRUN usermod --lock ops\n\
             FROM gone AS after\nOUTPUT NONE\nLOGIN root PASSWORD ${{ other }}\nRUN ls -A /home/ops > /tmp/left\nFETCH /tmp/left left\n",
        ) else {
            return;
        };
        assert!(!read(&dir, "left").contains("vmwbuild"));
    }

    #[test]
    fn a_login_that_never_comes_is_told() {
        let Some(root) = packages() else { return };
        let dir = project(
            "FROM base AS never\nOUTPUT NONE\nLOGIN root PASSWORD ${{ other }}\nRUN true\n\
             LOGIN ops PASSWORD ${{ wrong }}\nWAIT LOGIN --timeout=3s\nRUN true\n\
             FROM base AS locked\nOUTPUT NONE\nLOGIN root PASSWORD ${{ other }}\n\
             RUN printf 'root:%s\\n' x-${{ pw }} | chpasswd; sleep 2\nRUN true\n",
        );
        let done = build(dir.path(), &root, &["--on-error", "continue"]);
        assert!(matches!(done.code, Some(4 | 6)), "{done}");
        let said = done.stderr();
        for words in [
            "waited 3s for the guest to let ops in, in vain",
            "in the end: the guest refuses user `ops` and the password given",
            "the guest no longer lets user `root` in",
            "LOGIN root PASSWORD ${{ new_password }}",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
}
