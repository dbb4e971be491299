//! Platforms that live on, by the real binary: growing what is there, listing and removing what builds have made.

#![allow(clippy::unwrap_used)] // a test may
#![cfg(target_os = "linux")]

use crate::common;

use std::collections::BTreeMap;

use common::project::{Project, soon};
use common::site::Site;
use common::{Run, on_both};
use serde_json::Value;

on_both! {
    given
    a_second_build_makes_what_is_missing
    what_builds_have_made_is_listed_and_removed
    steps_run_on_machines_that_exist
    what_is_dead_is_replaced
    an_image_is_published_once_its_test_has_passed
}

/// What a run said, in one line.
fn said(run: &Run) -> String {
    format!("{}{}", run.stdout(), run.stderr()).split_whitespace().collect::<Vec<_>>().join(" ")
}

const CLUSTER: &str = "ARG template\nARG workers: int = 1\n\
    FROM ${{ template }} AS base\nOUTPUT TEMPLATE --exists=keep keep-base\n\
    RUN echo base > /root/base\n\
    FROM base AS manager\nOUTPUT VM --exists=keep keep-manager\n\
    RUN od -An -N8 -tx1 /dev/urandom | tr -d ' \\n' > /root/token; echo made >> /root/made\n\
    KEY token: secret FROM FILE /root/token\n\
    KEY number: int FROM RUN echo 41\n\
    KEY next = number + 1\n\
    KEY unused FROM RUN echo unused >> /root/made; echo x\n\
    FROM base AS worker FOR n IN 1..${{ workers }}\nOUTPUT VM --exists=keep keep-worker-${{ n }}\n\
    RUN echo ${{ manager.token }} > /root/token\n\
    RUN echo ${{ manager.next }} > /root/next\n";

fn a_second_build_makes_what_is_missing(site: Site) {
    let project = Project::new(site, &[("VMWfile", CLUSTER)]);
    project.build(&[]);
    let before = project.machines();
    // Nothing is missing: nobody is asked for anything.
    let same = project.build(&[]);
    assert!(["base", "manager", "worker[1]"].iter().all(|m| same.result_of(m) == "cached"), "{}", same.run);
    let work = ["CloneVM_Task", "ReconfigVM_Task", "PowerOnVM_Task", "StartProgramInGuest", "ListFilesInGuest"];
    assert!(work.iter().all(|m| same.count(&[m]) == 0), "{:?}", same.requests);
    // Another recipe makes no difference to what is there.
    project.write("VMWfile", &CLUSTER.replace("echo base", "echo another"));
    let grown = project.build(&["--arg", "workers=3"]);
    for machine in ["base", "manager", "worker[1]"] {
        assert_eq!(grown.result_of(machine), "cached", "{}", grown.run);
    }
    for machine in ["worker[2]", "worker[3]"] {
        assert_eq!(grown.result_of(machine), "built", "{}", grown.run);
    }
    assert_eq!(grown.count(&["CloneVM_Task"]), 2, "{:?}", grown.requests);
    // Only what is needed is captured again.
    assert_eq!(grown.steps("manager"), ["cached", "done", "done", "done", "cached"], "{}", grown.result);
    assert_eq!(project.read("keep-manager", "/root/made"), "made\nunused\n");
    let token = project.read("keep-manager", "/root/token");
    assert_eq!(token.len(), 16, "{token:?}");
    for worker in ["keep-worker-1", "keep-worker-2", "keep-worker-3"] {
        assert_eq!(project.read(worker, "/root/token").trim_end(), token);
        assert_eq!(project.read(worker, "/root/next"), "42\n");
        assert_eq!(project.read(worker, "/root/base"), "base\n");
    }
    let after = project.machines();
    assert!(before.iter().all(|(name, vm)| after.get(name) == Some(vm)), "{before:?} {after:?}");
    // Nothing of ours stays in the guest that was asked.
    let left = project.done(&["exec", "keep-manager", "--", "ls", "-A", "/root"]).stdout();
    // The listing's own directory is there while it runs.
    assert!(left.lines().filter(|l| l.contains("vmwbuild")).count() <= 1, "{left}");
    let plan = project.done(&[
        "plan",
        "--arg",
        &format!("template={}", project.site.template()),
        "--arg",
        "workers=4",
        "--json",
    ]);
    let plan: Value = serde_json::from_str(&plan.stdout()).unwrap();
    let states: Vec<&str> =
        plan["machines"].as_array().unwrap().iter().map(|m| m["cache"]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["kept", "kept", "kept", "kept", "kept", "made"], "{plan:#}");
}

#[test]
fn what_is_kept_and_cannot_be_asked_is_told() {
    let project = Project::new(Site::here().unwrap(), &[("VMWfile", CLUSTER)]);
    project.build(&[]);
    project.power_off("keep-manager");
    let before = project.machines();
    // Nothing is needed of it: it may be off.
    project.build(&[]);
    let refused = project.try_build(&["--arg", "workers=2"]);
    assert_eq!(refused.run.code, Some(5), "{}", refused.run);
    let words = said(&refused.run);
    for text in [
        "`keep-manager` is kept as it is, and can't give what new machines need",
        "the key `token` of it is needed, and it doesn't run",
    ] {
        assert!(words.contains(text), "no {text:?} in {}", refused.run);
    }
    assert!(!words.contains("`number`"), "remembered: {}", refused.run);
    assert_eq!(project.machines(), before);
}

#[test]
fn a_half_made_machine_is_not_kept() {
    let text = "ARG template\nFROM ${{ template }} AS a\nOUTPUT VM --exists=keep keep-half\nRUN false\n";
    let project = Project::new(Site::here().unwrap(), &[("VMWfile", text)]);
    assert_ne!(project.try_build(&["--on-error", "keep"]).run.code, Some(0));
    let before = project.machines();
    assert!(before.contains_key("keep-half"), "{before:?}");
    project.write("VMWfile", &text.replace("false", "true"));
    let refused = project.try_build(&[]);
    assert_eq!(refused.run.code, Some(5), "{}", refused.run);
    let words = said(&refused.run);
    assert!(words.contains("or has left it half-made: `vmwbuild clean"), "{}", refused.run);
    assert_eq!(project.machines(), before);
    project.done(&["clean", "--yes"]);
    project.build(&[]);
}

const PAIR: &str = "ARG template\n\
    FROM ${{ template }} AS base\nOUTPUT TEMPLATE own-base\nRUN true\n\
    FROM base AS two\nOUTPUT VM own-vm\nOUTPUT TEMPLATE own-image\nRUN true\n";

impl Project {
    /// `ls --json`: state and stage by name.
    fn ls(&self, args: &[&str]) -> BTreeMap<String, Value> {
        let run = self.done(&[&["ls", "--json"], args].concat());
        let list: Value = serde_json::from_str(&run.stdout()).unwrap();
        common::schema::Schema::new("ls.json").check(&list).unwrap();
        let all = list.as_array().unwrap().iter();
        all.map(|one| (one["name"].as_str().unwrap().to_owned(), one.clone())).collect()
    }
}

fn names(all: &BTreeMap<String, Value>) -> Vec<&str> {
    all.keys().map(String::as_str).collect()
}

fn what_builds_have_made_is_listed_and_removed(site: Site) {
    let project = Project::new(site, &[("VMWfile", PAIR)]);
    let at_first = project.machines();
    assert!(project.ls(&[]).is_empty());
    let first = project.build(&[]);
    let build = first.result["build"].as_str().unwrap().to_owned();
    let all = project.ls(&[]);
    assert_eq!(names(&all), ["own-base", "own-image", "own-vm"]);
    let file = format!("{}/VMWfile", project.dir.path().canonicalize().unwrap().file_name().unwrap().to_str().unwrap());
    for (name, stage, kind) in
        [("own-base", "base", "template"), ("own-image", "two", "template"), ("own-vm", "two", "VM")]
    {
        let one = &all[name];
        assert_eq!((one["stage"].as_str(), one["kind"].as_str()), (Some(stage), Some(kind)), "{one}");
        assert_eq!((one["build"].as_str(), one["file"].as_str()), (Some(&*build), Some(&*file)), "{one}");
        assert_eq!(one["state"], "finished", "{one}");
    }
    assert_eq!(project.ls(&[&build]), all);
    assert_eq!(project.ls(&["."]), all);
    assert!(project.ls(&["20300131-nobody"]).is_empty());
    let text = project.done(&["ls"]).stdout();
    assert!(text.starts_with("STATE ") && text.lines().count() == 4, "{text}");
    // Somebody's copies bear the same marks, and are nobody's but his.
    for (from, to) in [("own-vm", "their-vm"), ("own-image", "their-image")] {
        copy(&project, from, to);
    }
    assert_eq!(project.ls(&[]), all);
    // Of another VMWfile, and half-made.
    std::fs::write(
        project.dir.path().join("VMWfile.other"),
        "ARG template\nFROM ${{ template }} AS o\nOUTPUT VM other-vm\nRUN true\nFROM o AS p\nOUTPUT VM other-half\nRUN false\n"
            .replace("FROM o AS", "FROM ${{ template }} AS"),
    )
    .unwrap();
    let template = format!("template={}", project.site.template());
    let failed =
        project.tool(&["build", "-f", "VMWfile.other", "--arg", &template, "--on-error", "keep", "--parallel", "1"]);
    assert_eq!(failed.code, Some(4), "{failed}");
    let other = project.ls(&["-f", "VMWfile.other"]);
    assert_eq!(other["other-half"]["state"], "half-made", "{other:?}");
    // A dry run and a refusal change nothing.
    let before = project.machines();
    let dry = project.done(&["destroy", ".", "--dry-run"]).stdout();
    assert_eq!(dry.lines().count(), 3, "{dry}");
    assert!(dry.lines().last().unwrap().ends_with("own-image") && dry.contains("own-vm\n"), "{dry}");
    let refused = project.tool(&["destroy", "."]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(said(&refused).contains("aren't removed without a word of yours"), "{refused}");
    assert_eq!(project.machines(), before);
    let removed = project.done(&["destroy", &build, "--yes"]);
    assert_eq!(removed.stdout().lines().count(), 3, "{removed}");
    let left: Vec<String> = project.machines().into_keys().filter(|n| !at_first.contains_key(n)).collect();
    let mut wanted = vec!["other-half", "their-image", "their-vm"];
    if other.contains_key("other-vm") {
        wanted.insert(1, "other-vm");
    }
    assert_eq!(left, wanted);
    let half = project.done(&["destroy", "-f", "VMWfile.other", "--yes"]);
    let id = other["other-half"]["build"].as_str().unwrap();
    let why = |run: &Run| said(run).split_once("other-half: the build ").map(|(_, why)| why.to_owned()).unwrap();
    let clean = format!("`vmwbuild clean {id}` removes it");
    let stands = format!("{id} makes it still, or has left it half-made;");
    assert_eq!(why(&half), format!("{stands} {clean} then"), "{half}");
    // What removes it is another thing where its journal can't be read, and where it isn't.
    let journal = project.dir.path().canonicalize().unwrap().join(".state/builds").join(id);
    std::fs::write(journal.join("journal.jsonl"), "garbage\n").unwrap();
    let broken = project.done(&["destroy", id, "--yes"]);
    let by_hand = "once nobody works on the build, remove it in vCenter";
    let told = why(&broken);
    assert!(told.contains("its journal can't be read") && told.contains(by_hand), "{broken}");
    assert!(told.contains(&format!("{}` to forget the build", journal.display())), "{broken}");
    std::fs::remove_dir_all(&journal).unwrap();
    let elsewhere = project.done(&["destroy", id, "--yes"]);
    let told = why(&elsewhere);
    assert!(told.contains(&format!("its journal isn't here: {clean} where the build was begun (from ")), "{told}");
    assert!(project.machines().contains_key("other-half"));
    assert!(said(&project.done(&["destroy", ".", "--yes"])).contains("nothing here was made from"));
}

#[test]
fn projects_of_one_directory_name_are_told_apart_by_a_name_of_their_own() {
    let site = Site::here().unwrap();
    let all = tempfile::tempdir().unwrap();
    let whole = all.path().canonicalize().unwrap();
    let project = |below: &str, vm: &str, name: Option<&str>| {
        let dir = whole.join(below);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("VMWfile"), format!("FROM linux AS web\nOUTPUT VM --off {vm}\n")).unwrap();
        if let Some(name) = name {
            std::fs::write(dir.join("vmwbuild.toml"), format!("project = \"{name}\"\n")).unwrap();
        }
        dir
    };
    let run = |dir: &std::path::Path, args: &[&str]| common::run(&mut site.tool(dir, args), common::DEADLINE);
    let done = |dir: &std::path::Path, args: &[&str]| {
        let run = run(dir, args);
        assert_eq!(run.code, Some(0), "{run}");
        run
    };
    let listed = |dir: &std::path::Path| {
        let list: Vec<Value> = serde_json::from_str(&done(dir, &["ls", ".", "--json"]).stdout()).unwrap();
        let of = |one: &Value, key: &str| one[key].as_str().unwrap_or("none").to_owned();
        list.iter().map(|one| (of(one, "name"), of(one, "file"), of(one, "from"))).collect::<Vec<_>>()
    };
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned();
    let from = |dir: &std::path::Path| format!("{host}:{}", dir.join("VMWfile").display());
    // By the directory's name two are one, which is told before anything goes.
    let (one, two) = (project("one/shop", "same-one", None), project("two/shop", "same-two", None));
    for dir in [&one, &two] {
        site.built(dir, &[]);
    }
    let both = [("same-one", &one), ("same-two", &two)];
    let both = both.map(|(vm, dir)| (vm.to_owned(), "shop/VMWfile".to_owned(), from(dir)));
    assert_eq!(listed(&one), both);
    let dry = done(&one, &["destroy", ".", "--dry-run"]);
    assert_eq!(dry.stdout().lines().count(), 2, "{dry}");
    assert_eq!(
        dry.stderr(),
        format!(
            "made from {}: /DC0/vm/same-two\nwarning: 1 of 2 were made from elsewhere, by a VMWfile that is called \
             shop/VMWfile too; if that is another project, give each a name: `project = \"…\"` in its vmwbuild.toml\n",
            from(&two)
        )
    );
    // By names of their own they are two, and each is one wherever it is checked out, and whatever that is called.
    let (three, four) = (project("three/shop", "same-three", Some("a")), project("four/shop", "same-four", Some("b")));
    for dir in [&three, &four] {
        site.built(dir, &[]);
    }
    let again = project("runner/builds-7", "same-three", Some("a"));
    for dir in [&three, &again] {
        assert_eq!(listed(dir), [("same-three".to_owned(), "a/VMWfile".to_owned(), from(&three))]);
    }
    // A file below the project's directory is called by its path there.
    let below = project("four/shop/db", "same-db", None);
    site.built(&below, &[]);
    assert_eq!(listed(&below), [("same-db".to_owned(), "b/db/VMWfile".to_owned(), from(&below))]);
    let destroyed = done(&again, &["destroy", ".", "--yes"]);
    assert_eq!((destroyed.stdout().as_str(), destroyed.stderr().as_str()), ("removed /DC0/vm/same-three\n", ""));
    let left: Vec<String> = site.vms().into_iter().filter(|vm| vm.starts_with("same-")).collect();
    assert_eq!(left, ["same-db", "same-four", "same-one", "same-two"]);
    // What is no name is told by everything that would go by it, and nothing is removed.
    for name in ["", " a", "a\\u0007"] {
        let dir = project("three/shop", "same-three", Some(name));
        for args in [&["destroy", ".", "--yes"][..], &["ls", "."], &["build", "--progress", "plain"]] {
            let refused = run(&dir, args);
            assert_eq!(refused.code, Some(2), "{refused}");
            assert!(refused.stderr().contains("names its project `"), "{refused}");
        }
    }
    assert_eq!(site.vms().iter().filter(|vm| vm.starts_with("same-")).count(), 4);
}

/// A clone as somebody else makes it.
fn copy(project: &Project, from: &str, to: &str) {
    use vmwbuild::vsphere::client::{CloneRequest, HardwareChange, PlacementRequest};
    let vm = project.moref(from);
    project.client(async |client| {
        let inventory = client.inventory().await.unwrap();
        let placement = inventory.place(&PlacementRequest::default(), inventory.get(&vm).unwrap()).unwrap();
        let request = CloneRequest {
            name: to.to_owned(),
            placement,
            template: inventory.get(&vm).unwrap().template,
            linked: None,
            snapshot: None,
            hardware: HardwareChange::default(),
        };
        let task = client.start_clone(&vm, &request).await.unwrap();
        client.wait_clone(&task, to, soon(), |_| ()).await.unwrap();
    });
}

/// Machines for others to work on: `on-web-1` and so on.
fn webs(site: Site, count: u32) -> Project {
    let text = "ARG template\nARG count: int\nFROM ${{ template }} AS web FOR n IN 1..${{ count }}\n\
        OUTPUT VM on-web-${{ n }}\nRUN echo 1 > /root/version\n";
    let project = Project::new(site, &[("VMWfile", text)]);
    project.build(&["--arg", &format!("count={count}")]);
    project
}

const PATCH: &str = "ON 'on-web-*' AS web\nSERIAL 1\n\
    SNAPSHOT before-patch\n\
    ONFAIL RUN cat /root/why\n\
    ONFAIL REVERT before-patch\n\
    RUN echo 2 > /root/version; echo ${{ self.name }} > /root/name\n\
    KEY version: int FROM RUN cat /root/version\n\
    RUN test ! -e /root/bad\n";

impl Project {
    fn run_in(&self, vm: &str, script: &str) {
        self.done(&["exec", vm, "--", "sh", "-c", script]);
    }

    fn versions(&self, count: u32) -> Vec<String> {
        let of = |n| self.read(&format!("on-web-{n}"), "/root/version").trim_end().to_owned();
        (1..=count).map(of).collect()
    }
}

fn steps_run_on_machines_that_exist(site: Site) {
    let project = webs(site, 2);
    let before = project.machines();
    project.write("VMWfile", &PATCH.replace("SNAPSHOT before-patch\n", "").replace("ONFAIL REVERT before-patch\n", ""));
    let plan: Value = serde_json::from_str(&project.done(&["plan", "--json"]).stdout()).unwrap();
    common::schema::Schema::new("plan.json").check(&plan).unwrap();
    assert_eq!(plan["machines"].as_array().unwrap().len(), 2, "{plan:#}");
    let built = project.build(&[]);
    assert_eq!(project.versions(2), ["2", "2"]);
    // They were there, and nobody has built them.
    built.says("ran its steps on VM on-web-1");
    assert_eq!(built.result_of("web[on-web-2]"), "ran", "{}", built.result);
    assert!(!built.run.stderr().contains("built VM"), "{}", built.run);
    assert_eq!(project.read("on-web-2", "/root/name"), "on-web-2\n");
    assert_eq!(built.result["keys"]["web[on-web-1]"]["version"], 2, "{}", built.result);
    for method in
        ["CloneVM_Task", "PowerOnVM_Task", "PowerOffVM_Task", "ShutdownGuest", "ReconfigVM_Task", "Destroy_Task"]
    {
        assert_eq!(built.count(&[method]), 0, "{method}");
    }
    assert_eq!(project.machines(), before);
    // By folder. (The simulator has machines of its own there, without guests.)
    if !project.site.is_vcsim() {
        project.write("VMWfile", "ON FOLDER vm AS all\nRUN echo 3 > /root/version\n");
        project.build(&[]);
        assert_eq!(project.versions(2), ["3", "3"]);
    }
    // Nothing of ours stays in the guests.
    let left = project.done(&["exec", "on-web-1", "--", "ls", "-A", "/root"]).stdout();
    assert!(left.lines().filter(|l| l.contains("vmwbuild")).count() <= 1, "{left}");
    project.write("VMWfile", &PATCH.replace("on-web-*", "nobody-*"));
    let none = project.try_build(&[]).run;
    assert_eq!(none.code, Some(5), "{none}");
    assert!(said(&none).contains("no machine's name fits `nobody-*`"), "{none}");
}

#[test]
fn what_fails_goes_back_and_serial_says_who_goes_on() {
    let project = webs(Site::here().unwrap(), 3);
    let before = project.machines();
    project.run_in("on-web-1", "printf 'because\\nof it\\n' > /root/why; touch /root/bad");
    project.write("VMWfile", PATCH);
    let failed = project.try_build(&[]);
    assert_eq!(failed.run.code, Some(4), "{}", failed.run);
    // A line of what it prints is a line of the log.
    let quoted = |word: &str| failed.run.stderr().lines().any(|line| line.ends_with(&format!("| {word}")));
    assert!(quoted("because") && quoted("of it"), "{}", failed.run);
    assert!(said(&failed.run).contains("it is again as it was at the snapshot `before-patch`"), "{}", failed.run);
    assert_eq!(project.versions(3), ["1", "1", "1"], "{}", failed.run);
    assert_eq!(failed.result_of("web[on-web-2]"), "cancelled", "{}", failed.result);
    // The snapshot stays, and another one of its name isn't made.
    let again = project.try_build(&[]);
    assert_eq!(again.run.code, Some(5), "{}", again.run);
    assert!(said(&again.run).contains("`on-web-1` has a snapshot `before-patch` already"), "{}", again.run);
    project.write(
        "VMWfile",
        &PATCH.replace("before-patch", "before-${{ build.id }}").replace("SERIAL 1", "SERIAL --max-failures=1 1"),
    );
    let most = project.try_build(&[]);
    assert_eq!(most.run.code, Some(4), "{}", most.run);
    assert_eq!(project.versions(3), ["1", "2", "2"], "{}", most.run);
    assert_eq!(project.machines(), before);
    // One that is off is left off.
    project.power_off("on-web-3");
    project.write("VMWfile", "ON 'on-web-3' AS web\nRUN true\n");
    let off = project.try_build(&[]).run;
    assert_eq!(off.code, Some(5), "{off}");
    assert!(said(&off).contains("`on-web-3` isn't powered on"), "{off}");
}

/// The files of an example, as a project of its own.
fn example(name: &str) -> String {
    std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).join("VMWfile"),
    )
    .unwrap()
}

#[test]
fn the_examples_of_a_pool_that_grows_and_is_patched_work() {
    let project = Project::new(Site::here().unwrap(), &[("VMWfile", &example("growing-pool"))]);
    let secret = ["--secret", "id=root_password,cmd=echo guest-password"];
    let build = |more: &[&str]| project.build(&[&secret[..], more].concat());
    build(&["--arg", "workers=1"]);
    let grown = build(&["--arg", "workers=3"]);
    assert_eq!(grown.count(&["CloneVM_Task"]), 2, "{:?}", grown.requests);
    let token = project.read("pool-manager", "/etc/pool/token");
    assert_eq!(project.read("pool-worker-03", "/etc/pool/token").trim_end(), token);
    project.write("VMWfile", &example("patch"));
    project.run_in("pool-worker-02", ": > /etc/pool/token");
    let patched = project.try_build(&secret);
    assert_eq!(patched.run.code, Some(4), "{}", patched.run);
    for (worker, release) in [("pool-worker-01", "2\n"), ("pool-worker-02", "1\n"), ("pool-worker-03", "2\n")] {
        assert_eq!(project.read(worker, "/etc/pool/release"), release, "{worker}: {}", patched.run);
    }
    project.write("VMWfile", &example("healing-pool"));
    let up = || project.done(&[&["up", "--progress", "plain"], &secret[..]].concat());
    up();
    let before = project.machines();
    project.power_off("healing-worker-02");
    up();
    assert_ne!(project.moref("healing-worker-02"), before["healing-worker-02"]);
    assert_eq!(project.moref("healing-worker-01"), before["healing-worker-01"]);
    assert_eq!(project.read("healing-manager", "/etc/pool/removed"), "healing-worker-02\n");
    project.done(&["destroy", ".", "--yes"]);
    assert!(!project.machines().keys().any(|name| name.starts_with("pool-")));
}

const POOL: &str = "ARG template\nARG workers: int = 2\n\
    FROM ${{ template }} AS manager\nOUTPUT VM up-manager\n\
    RUN od -An -N8 -tx1 /dev/urandom | tr -d ' \\n' > /root/token\n\
    KEY token: secret FROM FILE /root/token\n\
    FROM ${{ template }} AS worker FOR n IN 1..${{ workers }}\nOUTPUT VM up-worker-${{ n }}\n\
    HEALTHCHECK --retry=2 --interval=1s RUN test -e /root/well\n\
    ONREMOVE --on=manager RUN echo ${{ self.name }} >> /root/removed\n\
    RUN echo ${{ manager.token }} > /root/token; touch /root/well\n";

impl Project {
    fn up(&self, args: &[&str]) -> Run {
        let template = format!("template={}", self.site.template());
        self.tool(&[&["up", "--progress", "plain", "--arg", &template], args].concat())
    }

    fn upped(&self, args: &[&str]) -> Run {
        let run = self.up(args);
        assert_eq!(run.code, Some(0), "{run}\n{}", self.site.log());
        run
    }
}

fn what_is_dead_is_replaced(site: Site) {
    let project = Project::new(site, &[("VMWfile", POOL)]);
    project.upped(&[]);
    let first = project.machines();
    // All is well: nothing is done.
    project.upped(&[]);
    assert_eq!(project.machines(), first);
    // One grows, one is off, one is sick.
    project.run_in("up-worker-1", "rm /root/well");
    project.power_off("up-worker-2");
    let many = project.up(&["--replace-at-most", "1"]);
    assert_eq!(many.code, Some(5), "{many}");
    assert!(said(&many).contains("2 machines are dead, and at most 1 are replaced at once"), "{many}");
    assert_eq!(project.machines(), first);
    let healed = project.upped(&["--arg", "workers=3"]);
    let words = said(&healed);
    assert!(words.contains("`worker[1]` is dead: its HEALTHCHECK fails: exit code 1"), "{healed}");
    assert!(words.contains("`worker[2]` is dead: it is powered off"), "{healed}");
    let now = project.machines();
    assert_eq!(now["up-manager"], first["up-manager"]);
    assert!(["up-worker-1", "up-worker-2"].iter().all(|name| now[*name] != first[*name]), "{now:?}");
    let removed = project.read("up-manager", "/root/removed");
    let mut removed: Vec<&str> = removed.lines().collect();
    removed.sort_unstable();
    assert_eq!(removed, ["up-worker-1", "up-worker-2"]);
    let token = project.read("up-manager", "/root/token");
    for worker in ["up-worker-1", "up-worker-2", "up-worker-3"] {
        assert_eq!(project.read(worker, "/root/token").trim_end(), token, "{worker}");
    }
    // One that somebody has taken away is made again.
    let gone = project.moref("up-worker-3");
    project.client(async |client| client.destroy_vm(&gone, soon()).await.unwrap());
    project.upped(&["--arg", "workers=3"]);
    assert!(project.machines().contains_key("up-worker-3"));
}

#[test]
fn what_cannot_be_checked_is_not_replaced() {
    let project = Project::new(Site::here().unwrap(), &[("VMWfile", POOL)]);
    project.upped(&[]);
    let before = project.machines();
    let password = project.dir.path().join("wrong");
    std::fs::write(&password, "wrong\n").unwrap();
    let refused = project.up(&["--login", "nobody-here", "--login-password-file", password.to_str().unwrap()]);
    assert_eq!(refused.code, Some(4), "{refused}");
    assert_eq!(project.machines(), before);
}

const GOLDEN: &str = "ARG template\nARG verdict = \"true\"\n\
    FROM ${{ template }} AS image\nOUTPUT TEMPLATE --exists=replace --after=test after-image\n\
    RUN echo made >> /root/made\n\
    FROM image AS test\nOUTPUT NONE\n\
    RUN echo tested; grep -qx made /root/made\n\
    RUN --retry=0 ${{ verdict | raw }}\n";

impl Project {
    /// Names that aren't the site's own.
    fn made(&self) -> Vec<String> {
        let site: Vec<String> = vec![self.site.template().to_owned()];
        let ours = |n: &String| n.contains("after-") || n.starts_with("vmwbuild-");
        self.machines().into_keys().filter(|n| !site.contains(n) && ours(n)).collect()
    }
}

fn an_image_is_published_once_its_test_has_passed(site: Site) {
    let project = Project::new(site, &[("VMWfile", GOLDEN)]);
    // The first one: a test that fails leaves nothing.
    let failed = project.try_build(&["--arg", "verdict=false"]);
    assert_eq!(failed.run.code, Some(4), "{}", failed.run);
    assert_eq!((failed.result_of("image"), failed.result_of("test")), ("built".to_owned(), "failed".to_owned()));
    assert!(project.made().is_empty(), "{:?}", project.made());
    // Before it has passed, nobody says that it is there.
    failed.says("made what becomes template after-image once `test` has passed");
    let all = failed.run.stderr();
    assert!(!all.contains("built template") && !all.contains("published template"), "{}", failed.run);
    let unpublished = |built: &common::project::Built| built.of("image")["unpublished"].clone();
    assert_eq!(unpublished(&failed), serde_json::json!(["template after-image"]), "{}", failed.result);
    let first = project.build(&[]);
    assert_eq!((first.result_of("image"), first.result_of("test")), ("built".to_owned(), "built".to_owned()));
    assert_eq!(unpublished(&first), Value::Null, "{}", first.result);
    let all = first.run.stderr();
    let at = |text: &str| all.find(text).unwrap_or_else(|| panic!("no {text:?} in {}", first.run));
    let (made, tested) = (at("made what becomes template after-image"), at("built nothing that stays"));
    assert!(made < tested && tested < at("published template after-image"), "{}", first.run);
    assert_eq!(project.made(), ["after-image"]);
    let published = project.moref("after-image");
    // It has passed: nothing is made, and nothing tested.
    let same = project.build(&[]);
    assert_eq!((same.result_of("image"), same.result_of("test")), ("cached".to_owned(), "cached".to_owned()));
    assert_eq!(same.count(&["CloneVM_Task"]), 0, "{:?}", same.requests);
    // Another test: what is there takes it, and isn't made anew for that. It stays also where it fails.
    let stricter = |text: &str| GOLDEN.replace("echo tested;", &format!("echo {text};"));
    project.write("VMWfile", &stricter("tested more"));
    let failed = project.try_build(&["--arg", "verdict=false"]);
    assert_eq!(failed.run.code, Some(4), "{}", failed.run);
    assert_eq!((failed.result_of("image"), failed.result_of("test")), ("cached".to_owned(), "failed".to_owned()));
    let tested = project.build(&[]);
    assert_eq!((tested.result_of("image"), tested.result_of("test")), ("cached".to_owned(), "built".to_owned()));
    assert_eq!((project.made(), project.moref("after-image")), (vec!["after-image".to_owned()], published.clone()));
    // A template takes no note of it.
    tested.says("the next build tests it again: nothing can be noted on a template");
    // A new one that fails its test: the old one stays.
    project.write("VMWfile", &GOLDEN.replace("echo made", "echo other; echo made"));
    let failed = project.try_build(&["--arg", "verdict=false"]);
    assert_eq!(failed.run.code, Some(4), "{}", failed.run);
    assert_eq!(project.made(), ["after-image"]);
    assert_eq!(project.moref("after-image"), published);
    // Also where everything else is published.
    let others = "FROM ${{ template }} AS other\nOUTPUT VM after-other\nRUN true\n";
    project.write("VMWfile", &(GOLDEN.replace("echo made", "echo other; echo made") + others));
    let on = project.try_build(&["--arg", "verdict=false", "--on-error", "continue"]);
    assert_eq!(on.run.code, Some(4), "{}", on.run);
    on.says("`after-image` isn't published: `test` hasn't ended well");
    assert_eq!(project.made(), ["after-image", "after-other"]);
    assert_eq!(project.moref("after-image"), published);
    // One that passes takes its place. Only that is asked for: what it needs to be published comes with it.
    let swapped = project.build(&["--target", "image"]);
    assert_eq!((swapped.result_of("image"), swapped.result_of("test")), ("built".to_owned(), "built".to_owned()));
    assert_eq!(project.made(), ["after-image", "after-other"]);
    assert_ne!(project.moref("after-image"), published);
    project.write("VMWfile", GOLDEN);
    let template = format!("template={}", project.site.template());
    let plan = project.done(&["plan", "--no-cache", "--arg", &template, "--json"]).stdout();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    common::schema::Schema::new("plan.json").check(&plan).unwrap();
    assert_eq!(plan["machines"][0]["outputs"][0]["after"], serde_json::json!(["test"]), "{plan:#}");
    let text = project.done(&["plan", "--no-cache", "--arg", &template]).stdout();
    assert!(text.contains("(once test ended well)"), "{text}");
    let show = project.done(&["show", "--json", "--arg", &template]).stdout();
    let show: Value = serde_json::from_str(&show).unwrap();
    common::schema::Schema::new("show.json").check(&show).unwrap();
    assert_eq!(show["machines"][0]["outputs"][0]["after"], serde_json::json!(["test"]));
    assert!(project.done(&["graph", "--arg", &template]).stdout().contains("its name once test ended well"));
}

#[test]
fn a_vm_remembers_the_tests_that_it_has_passed() {
    let text = GOLDEN.replace("TEMPLATE --exists=replace", "VM --off --exists=replace");
    let project = Project::new(Site::here().unwrap(), &[("VMWfile", &text)]);
    let results = |args: &[&str]| {
        let build = project.build(args);
        [build.result_of("image"), build.result_of("test")]
    };
    assert_eq!(results(&[]), ["built", "built"]);
    assert_eq!(results(&[]), ["cached", "cached"]);
    project.write("VMWfile", &text.replace("echo tested;", "echo tested more;"));
    assert_eq!(results(&[]), ["cached", "built"]);
    assert_eq!(results(&[]), ["cached", "cached"]);
    // It is what it was before: it has passed that too, but not last.
    project.write("VMWfile", &text);
    assert_eq!(results(&[]), ["cached", "built"]);
}

#[test]
fn what_is_published_after_a_test_is_gone_on_with_after_a_crash() {
    // Where nothing of its name was there before, and where something is replaced; at every line of the journal.
    for exists in ["fail", "replace"] {
        let mut line = 1;
        loop {
            let text = GOLDEN.replace("exists=replace", &format!("exists={exists}"));
            let project = Project::new(Site::here().unwrap(), &[("VMWfile", &text)]);
            let template = format!("template={}", project.site.template());
            let mut before = None;
            if exists == "replace" {
                project.build(&["--no-cache"]);
                before = Some(project.moref("after-image"));
            }
            let args = ["build", "--no-cache", "--progress", "plain", "--arg", &template];
            let mut command = project.site.with_state(project.dir.path(), &args);
            command.env("VMWBUILD_TEST_DIE_AT", line.to_string());
            let run = common::run(&mut command, common::DEADLINE);
            if run.code == Some(0) {
                assert!(line > 15, "{run}");
                break;
            }
            let resumed = project.tool(&["resume", "--progress", "plain"]);
            if resumed.stderr().contains("have begun to be removed") {
                // It is published, and the tests' machines were on their way out.
                project.done(&["clean", "--yes"]);
            } else if !resumed.stderr().contains("waits for being gone on with") {
                // (Its very end may be written already.)
                assert_eq!(resumed.code, Some(0), "{exists} {line}: {resumed}");
            }
            assert_eq!(project.made(), ["after-image"], "{exists} {line}");
            assert_ne!(Some(project.moref("after-image")), before, "{exists} {line}");
            // More of them at the end, where names are given.
            line += if line < 24 { 7 } else { 2 };
        }
    }
}

#[test]
fn an_output_that_can_not_come_after_something_is_refused() {
    let lint = |text: &str| {
        let dir = common::context(&[("VMWfile", text)]);
        let run = common::run(common::vmwbuild(dir.path()).args(["lint", "."]), common::DEADLINE);
        (run.code, run.stderr().split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let test = "FROM a AS test\nOUTPUT NONE\nKEY k = 1\nRUN echo ${{ k }}\n";
    let image = |flags: &str| format!("FROM linux AS a\nOUTPUT {flags}\nRUN true\n{test}");
    assert_eq!(lint(&image("--after=test TEMPLATE x")).0, Some(0));
    for (flags, wanted, exit) in [
        ("--after=tset TEMPLATE x", "did you mean `test`?", 1),
        ("--after=a TEMPLATE x", "this OUTPUT would come after its own machine", 1),
        ("--after=test.k TEMPLATE x", "takes a stage, and not its key `k`", 1),
        ("--after=test NONE", "OUTPUT NONE has no name to get", 0),
    ] {
        let (code, said) = lint(&image(flags));
        assert!(code == Some(exit) && said.contains(wanted), "{flags}: {said}");
    }
}

#[test]
fn the_example_of_a_golden_image_works() {
    let files: Vec<(&str, String)> = ["VMWfile", "files/greet"]
        .into_iter()
        .map(|name| {
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/golden-image");
            (name, std::fs::read_to_string(root.join(name)).unwrap())
        })
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let project = Project::new(Site::here().unwrap(), &files);
    let secret = ["--secret", "id=root_password,cmd=echo guest-password"];
    let built = project.build(&secret);
    for machine in ["image", "starts", "survives"] {
        assert_eq!(built.result_of(machine), "built", "{}", built.run);
    }
    let first = project.moref("golden-debian");
    project.write("files/greet", "#!/bin/sh\necho broken\n");
    let failed = project.try_build(&secret);
    assert_eq!(failed.run.code, Some(4), "{}", failed.run);
    assert_eq!(project.moref("golden-debian"), first);
    assert!(!project.machines().keys().any(|name| name.starts_with("vmwbuild-")));
}
