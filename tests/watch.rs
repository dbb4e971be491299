//! `vmwbuild up --watch`, by the real binary: machines die, hosts are lost, controllers are killed, and several want the
//! same platform.

#![allow(clippy::unwrap_used)] // a test may
#![cfg(target_os = "linux")]

use crate::common;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::project::{Project, soon};
use common::site::Site;
use common::{DEADLINE, Run, Running, on_both};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vmwbuild::engine::watch::{Attempt, Claim, Contender, Lock};

on_both! {
    given
    what_dies_is_replaced
    one_gets_the_lock
}

const POOL: &str = "ARG template\nARG workers: int = 2\n\
    FROM ${{ template }} AS manager\nOUTPUT VM w-manager\n\
    RUN od -An -N8 -tx1 /dev/urandom | tr -d ' \\n' > /root/token\n\
    KEY token: secret FROM FILE /root/token\n\
    FROM ${{ template }} AS worker FOR n IN 1..${{ workers }}\nOUTPUT VM w-worker-${{ n }}\n\
    HEALTHCHECK --retry=2 --interval=1s RUN test -e /root/well\n\
    ONREMOVE --on=manager RUN echo ${{ self.name }} >> /root/removed\n\
    RUN echo ${{ manager.token }} > /root/token; touch /root/well\n";

impl Project {
    fn pool(site: Site) -> Self {
        Project::new(site, &[("VMWfile", POOL)])
    }

    fn controller(&self, args: &[&str]) -> std::process::Command {
        let template = format!("template={}", self.site.template());
        // It waits for what a dead one has left, unless it wants no lock.
        let watch: &[&str] = if args.contains(&"--no-lock") { &["--watch"] } else { &["--watch", "--wait-lock"] };
        let always = ["up", "--progress", "plain", "--lease", "6s", "--arg", &template];
        // What is said of a sign that doesn't last is another test's.
        let grace = if args.contains(&"--grace") { &[][..] } else { &["--grace", "0s"] };
        self.site.with_state(self.dir.path(), &[&always[..], watch, grace, args].concat())
    }

    fn watch(&self, args: &[&str]) -> Running {
        Running::start(&mut self.controller(args))
    }

    fn in_guest(&self, vm: &str, script: &str) {
        self.done(&["exec", vm, "--", "sh", "-c", script]);
    }

    /// The custom attributes that are locks.
    fn locks(&self) -> Vec<String> {
        use vmwbuild::vsphere::wire::CustomFieldDef;
        self.client(async |client| {
            let manager = client.content().custom_fields_manager.clone().unwrap();
            let fields: Vec<CustomFieldDef> = client.properties(&manager, &["field"]).await.unwrap().list("field");
            fields.into_iter().map(|f| f.name).filter(|n| n.starts_with("vmwbuild.up")).collect()
        })
    }

    /// Those of them that somebody holds.
    fn held(&self) -> usize {
        self.client(async |client| {
            let values = client.root_attributes().await.unwrap();
            let all = client.attributes_like("vmwbuild.up").await.unwrap();
            let free = |key: &i32| values.get(key).is_some_and(|value| value.contains("\"free\":true"));
            all.iter().filter(|(_, key)| !free(key)).count()
        })
    }

    fn clones(&self) -> u64 {
        self.site.requests().get("CloneVM_Task").copied().unwrap_or_default()
    }
}

/// Waits for a line of a controller's log.
fn wait(running: &Running, text: &str) -> String {
    running.wait_for(text, DEADLINE)
}

/// Ends a controller as systemd does.
fn end(running: Running) -> Run {
    running.signal("TERM");
    let run = running.finish(Duration::from_secs(3600));
    assert_eq!(run.code, Some(0), "{run}");
    run
}

fn what_dies_is_replaced(site: Site) {
    let project = Project::pool(site);
    let events = project.dir.path().join("events");
    let controller = project.watch(&["--events", events.to_str().unwrap(), "--pause", "1s"]);
    wait(&controller, "watches 3 machines, of which 3 live");
    assert_eq!(project.locks().len(), 1);
    let first = project.machines();
    project.power_off("w-worker-1");
    wait(&controller, "watch: worker[1]: it is dead: it is powered off");
    wait(&controller, "watch: worker[1]: it is well");
    project.destroy("w-worker-2");
    // It is turned off before it is removed, and either may be seen first.
    wait(&controller, "watch: worker[2]: it is dead: it is ");
    wait(&controller, "watch: worker[2]: it is well");
    project.in_guest("w-worker-1", "rm /root/well");
    wait(&controller, "watch: worker[1]: it may be dead: its HEALTHCHECK fails: exit code 1");
    wait(&controller, "watch: worker[1]: it is dead: its HEALTHCHECK fails: exit code 1");
    wait(&controller, "watch: worker[1]: it is well");
    let now = project.machines();
    assert_eq!(now["w-manager"], first["w-manager"]);
    assert!(["w-worker-1", "w-worker-2"].iter().all(|name| now[*name] != first[*name]), "{now:?}");
    let removed = project.read("w-manager", "/root/removed");
    assert_eq!(removed.lines().collect::<Vec<_>>(), ["w-worker-1", "w-worker-2", "w-worker-1"]);
    let token = project.read("w-manager", "/root/token");
    for worker in ["w-worker-1", "w-worker-2"] {
        assert_eq!(project.read(worker, "/root/token").trim_end(), token, "{worker}");
    }
    let finished: Vec<String> =
        end(controller).stderr().lines().filter(|line| line.ends_with(" requests")).map(str::to_owned).collect();
    // Each round tells of its own requests: those of one that replaces a machine are about as many as another's.
    let requests =
        |line: &String| line.split(", ").nth(1).and_then(|n| n.split(' ').next()?.parse::<u64>().ok()).unwrap();
    assert_eq!(finished.len(), 4);
    let rounds: Vec<u64> = finished.iter().map(requests).collect();
    assert!(rounds[3] < rounds[1] * 2, "{rounds:?}");
    let events = common::events::valid(&std::fs::read_to_string(events).unwrap());
    let told: Vec<&str> = events.iter().filter(|e| e["event"] == "watch").filter_map(|e| e["what"].as_str()).collect();
    for what in ["holds", "missing", "watches", "dead", "well", "suspect"] {
        assert!(told.contains(&what), "no {what}: {told:?}");
    }
    assert_eq!(events.iter().filter(|e| e["event"] == "finished").count(), 4);
}

/// The name of the host that a machine runs on.
fn host_of(project: &Project, vm: &str) -> String {
    let vm = project.moref(vm);
    project.client(async |client| {
        let inventory = client.inventory().await.unwrap();
        let host = inventory.get(&vm).unwrap().host.clone().unwrap();
        inventory.get(&host).unwrap().name.clone()
    })
}

#[test]
fn a_host_that_is_lost_is_waited_for_and_then_its_machines_count_as_dead() {
    let project = Project::pool(Site::here().unwrap());
    // More workers than hosts would share one; the manager must be elsewhere.
    let with = ["--grace", "3s", "--pause", "1s", "--arg", "workers=1"];
    let controller = project.watch(&with);
    wait(&controller, "watches 2 machines, of which 2 live");
    let before = project.machines();
    let host = host_of(&project, "w-worker-1");
    assert_ne!(host, host_of(&project, "w-manager"));
    let answers = |yes: bool| assert!(project.site.meddle(|s| s.host_answers(&host, yes)));
    answers(false);
    wait(&controller, &format!("watch: worker[1]: it may be dead: its host {host} is silent"));
    answers(true);
    wait(&controller, "watch: worker[1]: it is well");
    assert_eq!(project.machines(), before);
    answers(false);
    wait(&controller, &format!("watch: worker[1]: it is dead: its host {host} is silent"));
    // Nothing can be done with a machine whose host is away, and its name is its own.
    wait(&controller, "another one stands in for it");
    wait(&controller, "watch: worker[1]: it is well");
    let both = project.machines();
    assert_eq!(both["w-worker-1"], before["w-worker-1"]);
    let instead = both.keys().find(|name| name.starts_with("w-worker-1-instead-")).unwrap().clone();
    assert_ne!(host_of(&project, &instead), host);
    assert_eq!(project.read(&instead, "/root/token").trim_end(), project.read("w-manager", "/root/token"));
    // Whoever comes after knows it too, and makes no other.
    controller.signal("KILL");
    assert_eq!(controller.finish(DEADLINE).code, None);
    let clones = project.clones();
    let controller = project.watch(&with);
    wait(&controller, "watches 2 machines, of which 2 live");
    assert_eq!((project.clones(), project.machines()), (clones, both.clone()));
    answers(true);
    wait(&controller, "w-worker-1 (");
    wait(&controller, "is called w-worker-1 now");
    let now = project.machines();
    assert_eq!((now.len(), &now["w-worker-1"]), (before.len(), &both[&instead]));
    assert_eq!(project.read("w-manager", "/root/removed"), "w-worker-1\n");
    end(controller);
}

#[test]
fn one_look_knows_machines_whose_host_is_lost_too() {
    let project = Project::pool(Site::here().unwrap());
    let template = format!("template={}", project.site.template());
    let args = |more: &[&str]| {
        let always = ["up", "--progress", "plain", "--arg", &template, "--arg", "workers=1"];
        project.site.with_state(project.dir.path(), &[&always[..], more].concat())
    };
    let up = |more: &[&str]| {
        let run = common::run(&mut args(more), DEADLINE);
        assert_eq!(run.code, Some(0), "{run}");
        format!("{}{}", run.stdout(), run.stderr())
    };
    up(&[]);
    let before = project.machines();
    let host = host_of(&project, "w-worker-1");
    assert_ne!(host, host_of(&project, "w-manager"));
    let answers = |yes: bool| assert!(project.site.meddle(|s| s.host_answers(&host, yes)));
    // One that comes back in time has lived all the time: it is waited for, and not a moment longer than it needs.
    answers(false);
    let running = Running::start(&mut args(&["--grace", "1h"]));
    wait(&running, &format!("`worker[1]` may be dead: its host {host} is silent; it is given 1h"));
    answers(true);
    let run = running.finish(DEADLINE);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(project.machines(), before);
    // Too many are too many, whatever it is that they die of.
    answers(false);
    let none = common::run(&mut args(&["--grace", "0s", "--replace-at-most", "0"]), DEADLINE);
    assert_eq!(none.code, Some(5), "{none}");
    assert!(none.stderr().contains(&format!("`worker[1]` is dead: its host {host} is silent")), "{none}");
    let said = up(&["--grace", "0s"]);
    assert!(said.contains(&format!("`worker[1]` is dead: its host {host} is silent")), "{said}");
    assert!(said.contains("another one stands in for it"), "{said}");
    let both = project.machines();
    assert_eq!(both.len(), before.len() + 1);
    assert!(before.iter().all(|(name, vm)| both[name] == *vm), "nobody else is touched: {both:?}");
    let instead = both.keys().find(|name| name.starts_with("w-worker-1-instead-")).unwrap().clone();
    assert_ne!(host_of(&project, &instead), host);
    assert_eq!(project.read(&instead, "/root/token").trim_end(), project.read("w-manager", "/root/token"));
    assert_eq!(project.read("w-manager", "/root/removed"), "w-worker-1\n");
    // The next one finds what stands in, and makes no other; when the host is back, the name is given back.
    let clones = project.clones();
    up(&["--grace", "0s"]);
    assert_eq!((project.clones(), project.machines()), (clones, both.clone()));
    answers(true);
    let said = up(&[]);
    assert!(said.contains("is called w-worker-1 now"), "{said}");
    let now = project.machines();
    assert_eq!((now.len(), &now["w-worker-1"]), (before.len(), &both[&instead]));
    assert_eq!(project.clones(), clones);
    assert_eq!(project.read("w-manager", "/root/removed"), "w-worker-1\n", "it was taken out once");
}

#[test]
fn the_budget_is_kept_and_told() {
    let project = Project::pool(Site::here().unwrap());
    let file = project.dir.path().join("up.prom");
    let controller = project.watch(&[
        "--max-replacements",
        "1/1h",
        "--metrics",
        "127.0.0.1:0",
        "--metrics-file",
        file.to_str().unwrap(),
    ]);
    let line = wait(&controller, "metrics at http://");
    let address = line.trim().split("http://").nth(1).unwrap().trim_end_matches("/metrics").to_owned();
    wait(&controller, "watches 3 machines");
    project.power_off("w-worker-1");
    wait(&controller, "watch: worker[1]: it is well");
    project.power_off("w-worker-2");
    let held = wait(&controller, "watch: worker[2]: it is dead (it is powered off) and isn't replaced: 1 replacements");
    assert!(held.contains("are used up; again in 60m; find out what kills machines"), "{held}");
    let off = project.moref("w-worker-2");
    let served = get(&address, "/metrics");
    assert!(served.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{served}");
    for wanted in [
        "vmwbuild_lock_held 1\n",
        "vmwbuild_machines_wanted 3\n",
        "vmwbuild_machines{state=\"living\"} 2\n",
        "vmwbuild_machines{state=\"held\"} 1\n",
        "vmwbuild_budget_left 0\n",
        "vmwbuild_replacements_total{stage=\"worker\"} 1\n",
        "vmwbuild_builds_total{result=\"ok\"} 2\n",
        "vmwbuild_events_total{what=\"budget\"} 1\n",
        "# TYPE vmwbuild_requests_total counter\n",
    ] {
        assert!(served.contains(wanted), "no {wanted:?} in {served}");
    }
    assert!(get(&address, "/healthz").ends_with("\r\n\r\nok\n"));
    assert!(get(&address, "/etc/passwd").starts_with("HTTP/1.1 404"));
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains("vmwbuild_budget_left 0\n"), "{written}");
    // Somebody mends it by hand.
    project.client(async |client| client.power_on(&off, soon()).await.unwrap());
    wait(&controller, "watch: worker[2]: it is well");
    assert_eq!(project.moref("w-worker-2"), off);
    end(controller);
}

#[test]
fn the_budget_outlives_controllers() {
    let project = Project::pool(Site::here().unwrap());
    let with = ["--max-replacements", "1/1h"];
    let first = project.watch(&with);
    wait(&first, "watches 3 machines");
    project.power_off("w-worker-1");
    wait(&first, "watch: worker[1]: it is well");
    let before = project.machines();
    first.signal("KILL");
    assert_eq!(first.finish(DEADLINE).code, None);
    project.power_off("w-worker-2");
    // One that takes over from a dead one, and one that begins after one has ended well.
    for _ in 0..2 {
        let next = project.watch(&with);
        let held = wait(&next, "watch: worker[2]: it is dead (it is powered off) and isn't replaced: 1 replacements");
        assert!(held.contains("are used up"), "{held}");
        assert_eq!(project.machines(), before);
        end(next);
        assert_eq!((project.held(), project.locks().len()), (0, 1), "what is remembered");
    }
    // A machine that was replaced, and is gone when a controller begins, isn't one that was never there.
    project.destroy("w-worker-1");
    let next = project.watch(&with);
    wait(&next, "watch: worker[1]: it is dead (it is gone), and was replaced a short while ago");
    end(next);
    // Who allows more has it at once.
    let generous = project.watch(&["--max-replacements", "9/1h", "--pause", "1s"]);
    wait(&generous, "watch: worker[1]: it is well");
    // What is removed under its eyes it would make again.
    let before = project.machines();
    let refused = project.tool(&["destroy", ".", "--yes"]);
    assert_eq!(refused.code, Some(5), "{refused}");
    assert!(
        refused.stderr().contains("is watched") && refused.stderr().contains("stop that `up --watch` first"),
        "{refused}"
    );
    assert_eq!(project.machines(), before);
    end(generous);
    // With the platform goes what is remembered of it.
    project.done(&["destroy", ".", "--yes"]);
    assert!(project.locks().is_empty());
}

fn get(address: &str, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn too_many_dead_at_once_are_left_alone() {
    let project = Project::pool(Site::here().unwrap());
    let controller = project.watch(&["--replace-at-most", "1", "--grace", "6s"]);
    wait(&controller, "watches 3 machines");
    let before = project.machines();
    project.power_off("w-worker-1");
    project.power_off("w-worker-2");
    wait(&controller, "more than 1 machines are dead, or may be, at once");
    assert_eq!(project.machines(), before);
    let on = before["w-worker-2"].clone();
    project.client(async |client| client.power_on(&on, soon()).await.unwrap());
    wait(&controller, "watch: worker[1]: it is dead: it is powered off");
    wait(&controller, "watch: worker[1]: it is well");
    assert_eq!(project.moref("w-worker-2"), on);
    end(controller);
}

#[test]
fn a_second_controller_ends_or_waits_and_takes_over_from_a_dead_one() {
    let project = Project::pool(Site::here().unwrap());
    let first = project.watch(&[]);
    wait(&first, "watches 3 machines");
    let id = first.id();
    for command in [&["up", "--watch"][..], &["up"]] {
        let template = format!("template={}", project.site.template());
        let refused = project.tool(&[command, &["--arg", &template, "--lease", "6s"]].concat());
        assert_eq!(refused.code, Some(5), "{refused}");
        let said = refused.stderr().split_whitespace().collect::<Vec<_>>().join(" ");
        let who = format!("by process {id} on ");
        let all = ["is watched already", &who, "--wait-lock"];
        assert!(all.iter().all(|text| said.contains(text)), "{refused}");
    }
    let second = project.watch(&[]);
    wait(&second, &format!("held by process {id} on "));
    let before = project.machines();
    first.signal("KILL");
    assert_eq!(first.finish(Duration::from_secs(3600)).code, None);
    project.power_off("w-worker-1");
    wait(&second, "holds the lock of");
    wait(&second, "watch: worker[1]: it is well");
    assert_ne!(project.moref("w-worker-1"), before["w-worker-1"]);
    // One that ends well makes room at once.
    let third = project.watch(&[]);
    wait(&third, "held by process");
    end(second);
    wait(&third, "watches 3 machines");
    end(third);
    assert_eq!(project.held(), 0);
}

/// A controller that dies in the midst of a repair; the next one, with this state directory, ends it.
fn killed_in_mid_repair(state: &str) -> (Project, u64) {
    let project = Project::pool(Site::here().unwrap());
    // Only a repair's journal gets that long.
    let first = Running::start(project.controller(&[]).env("VMWBUILD_TEST_DIE_AT", "14"));
    // The first build makes three machines, and dies of it.
    assert_eq!(first.finish(Duration::from_secs(3600)).code, None);
    let clones = project.clones();
    assert!(clones > 0);
    let mut next = project.controller(&[]);
    let second = Running::start(next.env("VMWBUILD_STATE_DIR", project.dir.path().join(state)));
    wait(&second, "watches 3 machines, of which 3 live");
    end(second);
    let names: Vec<String> = project.machines().into_keys().filter(|n| n.starts_with("w-")).collect();
    assert_eq!(names, ["w-manager", "w-worker-1", "w-worker-2"]);
    let token = project.read("w-manager", "/root/token");
    for worker in ["w-worker-1", "w-worker-2"] {
        assert_eq!(project.read(worker, "/root/token").trim_end(), token, "{worker}");
    }
    (project, clones)
}

#[test]
fn what_a_killed_controller_has_begun_is_gone_on_with() {
    let (project, _) = killed_in_mid_repair(".state");
    // Each machine was cloned once, by whichever of the two.
    assert_eq!(project.clones(), 3, "{:?}", project.site.requests());
}

#[test]
fn what_a_killed_controller_has_left_elsewhere_is_removed() {
    let (project, clones) = killed_in_mid_repair("another");
    assert!(project.clones() > clones, "{:?}", project.site.requests());
}

#[test]
fn a_platform_grows_when_its_arguments_do() {
    let project = Project::pool(Site::here().unwrap());
    project.write("size.toml", "workers = 1\n");
    let controller = project.watch(&["--args", "size.toml"]);
    wait(&controller, "watches 2 machines");
    project.write("size.toml", "workers = 3\n");
    wait(&controller, "the file or its arguments have changed: read again");
    wait(&controller, "watches 4 machines, of which 4 live");
    // What can't be used changes nothing, and what dies meanwhile is replaced.
    project.write("size.toml", "workers = many\n");
    wait(&controller, "have changed and can't be used");
    project.power_off("w-worker-3");
    wait(&controller, "watch: worker[3]: it is well");
    project.write("size.toml", "workers = 3 \n");
    wait(&controller, "read again");
    // SIGHUP reads it, and doesn't end it.
    controller.signal("HUP");
    wait(&controller, "read again");
    // What isn't declared any more stays, and isn't watched.
    project.write("size.toml", "workers = 1\n");
    wait(&controller, "watches 2 machines");
    assert!(project.machines().contains_key("w-worker-3"));
    end(controller);
}

#[test]
fn a_lock_that_is_taken_away_ends_what_is_done_under_it() {
    let project = Project::pool(Site::here().unwrap());
    let controller = project.watch(&[]);
    wait(&controller, "watches 3 machines");
    let name = project.locks().pop().unwrap();
    project.client(async |client| {
        let (_, key) = client.attributes_like(&name).await.unwrap().remove(0);
        assert!(client.remove_attribute(key).await.unwrap());
    });
    wait(&controller, "the lock is lost: nothing is touched any more");
    wait(&controller, "holds the lock of");
    wait(&controller, "watches 3 machines");
    end(controller);
}

#[test]
fn without_the_right_to_a_lock_one_look_goes_on_and_a_watch_does_not() {
    let project = Project::pool(Site::here().unwrap());
    let deny = || {
        let rule = vmwbuild::sandbox::Rule::parse("AddCustomFieldDef:fault=NoPermission").unwrap();
        project.site.meddle(|s| s.inject(rule));
    };
    deny();
    let template = format!("template={}", project.site.template());
    let look = project.done(&["up", "--arg", &template]);
    assert!(look.stderr().contains("may not take the lock that keeps two `up` apart"), "{look}");
    deny();
    let refused = project.tool(&["up", "--watch", "--arg", &template]);
    assert_eq!(refused.code, Some(5), "{refused}");
    assert!(refused.stderr().contains("Global.ManageCustomFields"), "{refused}");
    let without = project.watch(&["--no-lock"]);
    wait(&without, "watches 3 machines");
    assert!(project.locks().is_empty());
    end(without);
}

/// Of many who want it at once, one gets it.
fn one_gets_the_lock(site: Site) {
    let project = Project::pool(site);
    let claim = |n: usize, lease: u64| Claim {
        file: "shop/VMWfile".to_owned(),
        who: format!("contender {n}"),
        lease: Duration::from_secs(lease),
    };
    project.client(async |client| {
        let race = async |lease: u64, again: bool| {
            let all = (0..8).map(|n| {
                let mut contender = Contender::new(client.clone(), claim(n, lease));
                async move {
                    loop {
                        match contender.attempt().await.unwrap() {
                            Attempt::Held(lock, before) => return Some((n, lock, before)),
                            Attempt::By(holder) if again && !holder.text.contains("contender") => {
                                tokio::time::sleep(holder.again).await
                            }
                            Attempt::By(holder) if again && !holder.lives => tokio::time::sleep(holder.again).await,
                            Attempt::By(_) => return None,
                        }
                    }
                }
            });
            let mut held: Vec<(usize, Lock, Vec<String>)> =
                futures_util::future::join_all(all).await.into_iter().flatten().collect();
            assert_eq!(held.len(), 1, "{:?}", held.iter().map(|(n, ..)| n).collect::<Vec<_>>());
            held.remove(0)
        };
        let (_, first, before) = race(3, false).await;
        assert!(before.is_empty());
        let replaced = "worker[1]".to_owned();
        assert!(first.begins("20300131-00000000", [&replaced].into_iter(), Duration::from_secs(3600)).await.unwrap());
        // It dies: nobody renews it, nobody gives it back.
        drop(first);
        // What the holder has said last, by vCenter's clock.
        let said = async || {
            let (_, key) = client.attributes_like("vmwbuild.up.shop-VMWfile").await.unwrap().remove(0);
            let text = client.root_attributes().await.unwrap().remove(&key).unwrap();
            let said: serde_json::Value = serde_json::from_str(&text).unwrap();
            OffsetDateTime::parse(said["beat"].as_str().unwrap(), &Rfc3339).unwrap()
        };
        let (lease, pause) = (Duration::from_secs(3), Duration::from_millis(200));
        while client.current_time().await.unwrap() - said().await <= lease {
            tokio::time::sleep(pause).await;
        }
        let (winner, second, before) = race(3, true).await;
        assert_eq!(before, ["20300131-00000000"], "{winner}");
        second.over("20300131-00000000").await;
        let spent = second.spent().await;
        assert!(matches!(spent.as_slice(), [(label, age)] if *label == replaced && age.as_secs() < 600), "{spent:?}");
        // It stays while it is renewed: until it has said so for longer than a lease.
        let begun = said().await;
        while said().await - begun <= lease {
            assert!(!second.lost().is_cancelled());
            tokio::time::sleep(pause).await;
        }
        match Contender::new(client.clone(), claim(9, 3)).attempt().await.unwrap() {
            Attempt::By(holder) => assert!(holder.lives && holder.text.contains(&format!("contender {winner}"))),
            Attempt::Held(..) => panic!("two hold it"),
        }
        second.release().await.unwrap();
        // What was replaced is remembered, and nobody waits for that.
        let third = race(3, false).await.1;
        assert_eq!(third.spent().await.len(), 1);
        third.release().await.unwrap();
        vmwbuild::engine::watch::forget(client, "shop/VMWfile").await.unwrap();
    });
    assert!(project.locks().is_empty());
}

#[test]
fn the_recipes_of_the_example_are_sound() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/healing-pool");
    let read = |name: &str| std::fs::read_to_string(PathBuf::from(&example).join(name)).unwrap();
    // Every flag that they use is one.
    let help = common::run(common::vmwbuild(&example).args(["up", "--help"]), DEADLINE).stdout();
    for name in ["vmwbuild-up.service", "kubernetes.yaml"] {
        // The image says what the cluster doesn't.
        let text = if name == "kubernetes.yaml" { read(name) + &read("Containerfile") } else { read(name) };
        let text: String = text.lines().filter(|l| !l.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
        let flags: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || "\"'=,[]".contains(c))
            .filter(|word| word.strip_prefix("--").is_some_and(|w| w.starts_with(char::is_alphabetic)))
            .collect();
        assert!(flags.contains(&"--watch") && flags.contains(&"--wait-lock"), "{name}: {flags:?}");
        for flag in flags {
            assert!(help.contains(flag), "{name}: `up` has no {flag}");
        }
    }
    // systemd itself reads the unit.
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("vmwbuild-up.service");
    let text = read("vmwbuild-up.service");
    assert_eq!(text.matches("=/usr/local/bin/vmwbuild ").count(), 1);
    std::fs::write(&unit, text.replace("/usr/local/bin/vmwbuild", env!("CARGO_BIN_EXE_vmwbuild"))).unwrap();
    let mut verify = std::process::Command::new("systemd-analyze");
    match verify.arg("verify").arg(&unit).output() {
        Ok(said) => {
            let words = String::from_utf8_lossy(&said.stderr).into_owned();
            assert!(said.status.success() && words.is_empty(), "{words}");
        }
        Err(e) => println!("NOT RUN: systemd-analyze: {e}"),
    }
}

#[test]
fn a_check_that_can_not_be_run_says_nothing_and_other_signs_count() {
    let project = Project::pool(Site::here().unwrap());
    let controller = project.watch(&[]);
    wait(&controller, "watches 3 machines");
    let before = project.machines();
    // Tools refuse whatever is asked, as with an account that was locked.
    let refuse = vmwbuild::sandbox::Rule::parse("StartProgramInGuest:fault=InvalidGuestLogin:count=1000").unwrap();
    project.site.meddle(|s| s.inject(refuse));
    wait(&controller, "HEALTHCHECK can't be run, and says nothing");
    assert_eq!(project.machines(), before);
    project.site.meddle(vmwbuild::sandbox::Sandbox::forgive);
    project.power_off("w-worker-1");
    wait(&controller, "watch: worker[1]: it is dead: it is powered off");
    wait(&controller, "watch: worker[1]: it is well");
    assert_eq!(project.moref("w-worker-2"), before["w-worker-2"]);
    end(controller);
}
