//! Builds with faults by chance, killed and interrupted by chance, by the real binary on sandboxes of this process. However
//! a build ends, nothing is left in the end that its journal doesn't know of: no machine, process, mount, file or session.
//!
//! Each build has a seed, which decides what is built, what goes wrong and who interferes. 20 builds always;
//! `VMWBUILD_TEST_SOAK=500` runs that many (from the one that `VMWBUILD_TEST_FROM` says), `VMWBUILD_TEST_SEED=7` one of them.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test may

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::embedded::{clone_of, config, connect, soon};
use common::{Run, Running, context, run, vmwbuild};
use tokio::runtime::Runtime;
use vmwbuild::sandbox::{Rule, Sandbox};
use vmwbuild::vsphere::client::EntityKind;

/// How long one process of a build may take.
const LONG: Duration = Duration::from_secs(180);
/// How many builds run at once.
const WORKERS: u64 = 3;

/// Numbers that are the same for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.roll(list.len() as u64) as usize]
    }
}

/// Everything that a build does: each command leaves a line where it ran.
const WHOLE: &str = "ARG p\nFROM linux AS image\nOUTPUT TEMPLATE ${{ p }}-image\n\
    RUN echo 1 >> /root/count\n\
    COPY big /opt/big\n\
    RUN --retry=1 echo 2 >> /root/count\n\
    KEY word FROM RUN echo 3 >> /root/count; echo w\n\
    KEY token: secret FROM RUN echo t >> /root/tokens; echo s3cr3t-$((40 + 2))\n\
    REBOOT\n\
    WAIT FILE /opt/big\n\
    RUN echo ${{ token }} > /root/token; echo 4 ${{ word }} >> /root/count; sleep 0.2\n\
    FETCH /opt/big back\n\
    FROM image AS node FOR n IN 1..2\nOUTPUT VM ${{ p }}-node${{ n }}\n\
    COPY --from=image /opt/big /opt/copied\n\
    RUN echo 5 >> /root/count\n\
    RUN cmp /opt/big /opt/copied && echo 6 >> /root/count\n";
/// Clones that share a snapshot, one machine that only serves others, one that replaces another.
const LINKED: &str = "ARG p\nFROM linux AS base\nOUTPUT NONE\nHOSTNAME base\n\
    RUN echo 1 >> /root/count\n\
    RUN echo 2 >> /root/count; seq 20000 | tr '\\n' '.'\n\
    FROM --linked base AS node FOR n IN 1..2\nOUTPUT VM ${{ p }}-node${{ n }}\n\
    RUN echo 3 >> /root/count\nRUN echo 4 w >> /root/count\n\
    RUN echo 5 >> /root/count\nRUN echo 6 >> /root/count\n\
    FROM linux AS image\nOUTPUT TEMPLATE --exists=replace ${{ p }}-image\nOUTPUT VM ${{ p }}-second\nRUN sleep 0.3\n";
/// Its last step fails.
const FAILS: &str = "ARG p\nFROM linux AS image\nOUTPUT TEMPLATE ${{ p }}-image\nRUN echo 1 >> /root/count\n\
    FROM linux AS node FOR n IN 1..2\nOUTPUT VM ${{ p }}-node${{ n }}\nRUN --allow-failure exit 7\n\
    RUN sleep 0.5; exit 3\n";
const COUNT: &str = "1\n2\n3\n4 w\n5\n6\n";

/// What goes wrong by itself and is done with in the end, and what is final.
const SOFT: [&str; 6] = ["drop-before", "drop-after", "503", "expire", "slow=400", "slow=50:count=20"];
const GUEST: [&str; 6] = [
    "tools-away:count=2",
    "tools-restart=300",
    "vix=5:count=2",
    "fault=GuestOperationsUnavailable:count=2",
    "fault=InvalidState",
    "fault=TaskInProgress",
];
const HARD: [&str; 3] = ["fault=NoPermission", "fault=NotSupported", "fault=SystemError"];
const CALLS: [&str; 14] = [
    "RetrievePropertiesEx",
    "WaitForUpdatesEx",
    "CreatePropertyCollector",
    "CreateFilter",
    "DestroyPropertyCollector",
    "CloneVM_Task",
    "PowerOnVM_Task",
    "ShutdownGuest",
    "PowerOffVM_Task",
    "MarkAsTemplate",
    "CreateSnapshot_Task",
    "Rename_Task",
    "Destroy_Task",
    "RebootGuest",
];
const GUEST_CALLS: [&str; 5] = [
    "StartProgramInGuest",
    "ListFilesInGuest",
    "InitiateFileTransferToGuest",
    "InitiateFileTransferFromGuest",
    "DeleteDirectoryInGuest",
];

/// What a build is spoiled with.
fn faults(dice: &mut Dice) -> Vec<String> {
    let count = dice.roll(4) + 1;
    let mut faults: Vec<String> = (0..count)
        .map(|_| {
            let skip = dice.roll(10);
            match dice.roll(12) {
                0..4 => format!("{}:{}:skip={skip}", dice.of(&CALLS), dice.of(&SOFT)),
                4..7 => format!("{}:{}:skip={skip}", dice.of(&GUEST_CALLS), dice.of(&SOFT)),
                7..10 => format!("{}:{}:skip={skip}", dice.of(&GUEST_CALLS), dice.of(&GUEST)),
                10 => format!(
                    "{}:{}",
                    dice.of(&["PUT", "GET"]),
                    dice.of(&["drop-before", "drop-after", "503", "disk-full"])
                ),
                _ => {
                    let method = if dice.roll(2) == 0 { dice.of(&CALLS) } else { dice.of(&GUEST_CALLS) };
                    format!("{method}:{}:skip={skip}", dice.of(&HARD))
                }
            }
        })
        .collect();
    if dice.roll(4) == 0 {
        // A bad line all the time.
        let calls = CALLS.iter().chain(&GUEST_CALLS);
        let effect = dice.of(&["drop-before", "drop-after", "503"]);
        faults.extend(calls.map(|method| format!("{method}:{effect}:chance=0.04")));
    }
    faults
}

/// Who interferes with a build.
#[derive(Debug)]
enum Trouble {
    None,
    /// Its process ends at these lines of the journal, one after another.
    Killed(Vec<String>),
    /// Signals, each after a while.
    Signals(Vec<(u64, &'static str)>),
}

fn trouble(dice: &mut Dice) -> Trouble {
    match dice.roll(8) {
        0..3 => Trouble::None,
        3..6 => {
            let times = dice.roll(3) + 1;
            let place = |dice: &mut Dice| format!("{}{}", dice.of(&["before:", ""]), dice.roll(40) + 1);
            Trouble::Killed((0..times).map(|_| place(dice)).collect())
        }
        6 => Trouble::Signals(vec![(200 + dice.roll(3000), "INT")]),
        _ => Trouble::Signals(vec![(200 + dice.roll(3000), "TERM"), (dice.roll(300), "INT")]),
    }
}

/// One after another: what is new is that sandbox's.
static STARTING: Mutex<()> = Mutex::new(());

/// A sandbox with the processes that it consists of.
struct Place {
    runtime: Runtime,
    sandbox: Sandbox,
    /// The first of its processes.
    roots: Vec<u32>,
    processes: usize,
    mounts: BTreeMap<String, usize>,
}

/// All processes by parent.
fn children() -> HashMap<u32, Vec<u32>> {
    let mut all: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name may hold anything.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        all.entry(parent.unwrap_or(0)).or_default().push(pid);
    }
    all
}

fn below(roots: &[u32]) -> Vec<u32> {
    let all = children();
    let mut found = Vec::new();
    let mut open = roots.to_vec();
    while let Some(pid) = open.pop() {
        found.push(pid);
        open.extend(all.get(&pid).into_iter().flatten());
    }
    found
}

impl Place {
    fn start(seed: u64) -> Place {
        let _turn = STARTING.lock().unwrap();
        let keepers = || -> BTreeSet<u32> {
            let own = children().remove(&std::process::id()).unwrap_or_default();
            let is =
                |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c.ends_with(b"__warden\0"));
            own.into_iter().filter(is).collect()
        };
        let before = keepers();
        let runtime = Runtime::new().unwrap();
        let sandbox = runtime.block_on(Sandbox::start(vmwbuild::sandbox::Config { seed, ..config() })).unwrap();
        let roots: Vec<u32> = keepers().difference(&before).copied().collect();
        assert!(!roots.is_empty(), "a sandbox without processes");
        let mut place = Place { runtime, sandbox, roots, processes: 0, mounts: BTreeMap::new() };
        place.processes = below(&place.roots).len();
        place.mounts = place.mounted();
        place
    }

    /// How often each place is a mount for its processes: guests have namespaces of their own.
    fn mounted(&self) -> BTreeMap<String, usize> {
        let own = std::fs::read_link("/proc/self/ns/mnt").ok();
        let apart = |pid: &u32| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok() != own;
        let mut mounts = BTreeMap::new();
        for pid in below(&self.roots).into_iter().filter(apart) {
            let text = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
            for place in text.lines().filter_map(|line| line.split(' ').nth(4)) {
                *mounts.entry(place.to_owned()).or_default() += 1;
            }
        }
        mounts
    }

    /// The mounts that weren't there in the beginning. (What the host has unmounted since is gone everywhere.)
    fn new_mounts(&self) -> Vec<String> {
        let more = |(place, count): &(String, usize)| self.mounts.get(place).is_none_or(|before| count > before);
        self.mounted().into_iter().filter(more).map(|(place, _)| place).collect()
    }

    fn machines(&self) -> Vec<String> {
        self.runtime.block_on(async {
            let client = connect(&self.sandbox).await;
            let inventory = client.inventory().await.unwrap();
            let mut names: Vec<String> = inventory.all(EntityKind::Vm).map(|e| e.name.clone()).collect();
            names.sort();
            client.logout().await.unwrap();
            names
        })
    }

    /// A machine under the name of an image to be.
    fn old_image(&self) {
        self.runtime.block_on(async {
            let client = connect(&self.sandbox).await;
            clone_of(&client, "linux", "s-image").await;
            client.logout().await.unwrap();
        });
    }

    /// Removes what is the user's.
    fn remove_all(&self) {
        self.runtime.block_on(async {
            let client = connect(&self.sandbox).await;
            let inventory = client.inventory().await.unwrap();
            for vm in inventory.all(EntityKind::Vm).filter(|e| e.name != "linux") {
                client.destroy_vm(&vm.moref, soon()).await.unwrap();
            }
            client.logout().await.unwrap();
        });
    }

    fn command(&self, dir: &Path, args: &[&str]) -> Command {
        let sandbox = &self.sandbox;
        let mut command = vmwbuild(dir);
        command.args(args).env("VMWBUILD_VCENTER", sandbox.url()).env("VMWBUILD_USERNAME", sandbox.username());
        command.env("VMWBUILD_PASSWORD", sandbox.password()).env("VMWBUILD_THUMBPRINT", sandbox.thumbprint());
        command.env("VMWBUILD_LOGIN", "root:guest-password").env("VMWBUILD_STATE_DIR", dir.join(".state"));
        command.env("TMPDIR", dir.join(".tmp"));
        command
    }
}

/// One build, whatever it takes; an error says what isn't as it must be.
fn play(place: &Place, seed: u64) -> Result<String, String> {
    let mut dice = Dice(seed);
    for _ in 0..3 {
        dice.roll(2);
    }
    let (name, text) =
        [("whole", WHOLE), ("linked", LINKED), ("fails", FAILS)][dice.roll(5).saturating_sub(2) as usize];
    let faults = faults(&mut dice);
    let trouble = trouble(&mut dice);
    let on_error = dice.of(&["clean", "clean", "keep", "continue"]);
    let cleans = dice.roll(3) == 0;
    let told = format!("seed {seed}: {name}, --on-error {on_error}, {trouble:?}, {}", faults.join(" "));
    let mut runs: Vec<String> = Vec::new();
    let big = vec![b'x'; 300_000];
    let dir = context(&[("VMWfile", text.as_bytes()), ("big", &big)]);
    let dir = dir.path();
    let wrong = |what: String, runs: &[String]| {
        let journals = journals(dir).join("\n");
        Err(format!("{told}\n{what}\n{}\n{journals}", runs.join("\n")))
    };
    std::fs::create_dir(dir.join(".tmp")).unwrap();
    if name == "linked" {
        // The one that is to be replaced.
        place.old_image();
    }
    for fault in &faults {
        place.sandbox.inject(Rule::parse(fault).unwrap());
    }
    let build = ["build", "--progress", "plain", "--color", "never", "--arg", "p=s", "--on-error", on_error];
    let mut killed = 0;
    let mut keep = |run: Run, runs: &mut Vec<String>| {
        killed += usize::from(run.code.is_none());
        runs.push(run.to_string());
        run.code
    };
    let mut code = match &trouble {
        Trouble::None => keep(run(&mut place.command(dir, &build), LONG), &mut runs),
        Trouble::Signals(signals) => {
            let running = Running::start(&mut place.command(dir, &build));
            for (after, signal) in signals {
                // When it comes is part of what is tried; nothing waits for this.
                std::thread::sleep(Duration::from_millis(*after));
                running.try_signal(signal);
            }
            keep(running.finish(LONG), &mut runs)
        }
        Trouble::Killed(places) => {
            let mut code = None;
            for (at, line) in places.iter().enumerate() {
                let resume = ["resume", "--progress", "plain", "--color", "never"];
                let args: &[&str] = if at == 0 { &build } else { &resume };
                code = keep(run(place.command(dir, args).env("VMWBUILD_TEST_DIE_AT", line), LONG), &mut runs);
                if code.is_some() {
                    break;
                }
            }
            code
        }
    };
    place.sandbox.forgive();
    if matches!(code, Some(1 | 2)) && runs.len() == 1 {
        return wrong("it was never begun".to_owned(), &runs);
    }
    // Whoever was killed, or has lost vCenter, goes on or cleans up; undisturbed, that must succeed.
    let list = listed(place, dir);
    let open = list.iter().find(|b| b["resumable"] == true);
    if open.is_some() && !cleans {
        code =
            keep(run(&mut place.command(dir, &["resume", "--progress", "plain", "--color", "never"]), LONG), &mut runs);
        let last = runs.last().cloned().unwrap_or_default();
        // A command that its own build has ended isn't run again: who stops a build twice that keeps its machines is told.
        let stopped = matches!(&trouble, Trouble::Signals(signals) if signals.len() > 1);
        let excused = stopped
            && on_error == "keep"
            && last.contains("VMW651 not-resumable")
            && last.contains("when the build was stopped");
        let failing = name == "fails" && code == Some(4);
        if code != Some(0) && !excused && !failing {
            return wrong("an undisturbed resume fails".to_owned(), &runs);
        }
    }
    for said in &runs {
        if said.contains("panicked") || said.contains("internal error") {
            return wrong("a panic".to_owned(), &runs);
        }
        if said.contains("s3cr3t-42") {
            return wrong("a secret is shown".to_owned(), &runs);
        }
    }
    if code.is_some_and(|c| c != 0) && !runs.last().is_some_and(|r| r.contains("VMW")) {
        return wrong("a failure without a message".to_owned(), &runs);
    }
    if name == "fails" && code == Some(0) {
        return wrong("it can't succeed".to_owned(), &runs);
    }
    if code == Some(0) {
        let wanted = match name {
            "whole" => vec!["linux", "s-image", "s-node1", "s-node2"],
            _ => vec!["linux", "s-image", "s-node1", "s-node2", "s-second"],
        };
        let there = place.machines();
        if there != wanted {
            return wrong(format!("built, and there is {there:?}"), &runs);
        }
        for node in ["s-node1", "s-node2"] {
            let script =
                "cat /root/count; ls -d /root/.vmw* /var/lib/.vmw* /var/tmp/.vmw* /tmp/.vmw* 2>/dev/null; true";
            // The guest's system is the host's, where other tests have something of their own, and for a while only.
            let elsewhere = ours_on_the_host();
            let seen = run(&mut place.command(dir, &["exec", node, "--", "sh", "-c", script]), LONG);
            let text = seen.stdout();
            // What is there while this runs is its own: its directory, and the place of the first report.
            let (count, left): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| !line.starts_with('/'));
            let here = |path: &str| Path::new(path).exists() || elsewhere.contains(path);
            let left = left.into_iter().filter(|path| !here(path)).count();
            if count.join("\n") + "\n" != COUNT || left > 2 {
                return wrong(format!("in {node}: {seen}"), &runs);
            }
        }
        if name == "whole" && std::fs::read(dir.join("back")).unwrap_or_default() != big {
            return wrong("what was fetched is another".to_owned(), &runs);
        }
    }
    // What the journal knows of is removed by `clean`; what is left then is what it calls published.
    let cleaned = run(&mut place.command(dir, &["clean", "--all", "--yes"]), LONG);
    let spared = cleaned.stderr().contains("taking the place of");
    runs.push(cleaned.to_string());
    if spared {
        let resumed = run(&mut place.command(dir, &["resume", "--progress", "plain"]), LONG);
        runs.push(resumed.to_string());
    } else if cleaned.code != Some(0) {
        return wrong("clean fails".to_owned(), &runs);
    }
    // What has left nothing could still be gone on with, until its user says otherwise.
    for build in listed(place, dir).iter().filter(|b| b["state"] == "interrupted") {
        let cleaned = run(&mut place.command(dir, &["clean", build["build"].as_str().unwrap(), "--yes"]), LONG);
        runs.push(cleaned.to_string());
        if cleaned.code != Some(0) {
            return wrong("clean of one build fails".to_owned(), &runs);
        }
    }
    let mut wanted = published(dir);
    wanted.insert("linux".to_owned());
    if name == "linked" {
        // The old one, or the one that has taken its place.
        wanted.insert("s-image".to_owned());
    }
    let there: BTreeSet<String> = place.machines().into_iter().collect();
    if there != wanted {
        return wrong(format!("there is {there:?}, and the journal knows of {wanted:?}"), &runs);
    }
    place.remove_all();
    let sessions = place.sandbox.sessions();
    if sessions > killed {
        return wrong(format!("{sessions} sessions are left, and {killed} processes were killed"), &runs);
    }
    place.sandbox.expire_sessions();
    if let Some(left) = files(dir) {
        return wrong(left, &runs);
    }
    let begun = Instant::now();
    loop {
        let (processes, mounts) = (below(&place.roots).len(), place.new_mounts());
        if processes == place.processes && mounts.is_empty() {
            break;
        }
        if begun.elapsed() > Duration::from_secs(15) {
            let text = format!("{processes} processes, of {}, and these mounts more: {mounts:?}", place.processes);
            return wrong(text, &runs);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(format!("{told}: {code:?}"))
}

/// What the host has in the places where guests are looked at.
fn ours_on_the_host() -> BTreeSet<String> {
    let of = |place: &str| std::fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
    let all = ["/root", "/var/lib", "/var/tmp", "/tmp"].into_iter().flat_map(of);
    all.map(|path| path.to_string_lossy().into_owned()).collect()
}

/// What `builds` says.
fn listed(place: &Place, dir: &Path) -> Vec<serde_json::Value> {
    let run = run(&mut place.command(dir, &["builds", "--json"]), LONG);
    serde_json::from_slice(&run.stdout).unwrap()
}

fn journals(dir: &Path) -> Vec<String> {
    let builds = std::fs::read_dir(dir.join(".state/builds")).into_iter().flatten().flatten();
    builds.map(|b| std::fs::read_to_string(b.path().join("journal.jsonl")).unwrap()).collect()
}

/// The names of what the journals call finished and the user's.
fn published(dir: &Path) -> BTreeSet<String> {
    let mut names: HashMap<u64, (String, bool)> = HashMap::new();
    for line in journals(dir).iter().flat_map(|j| j.lines()) {
        let Ok(record) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let Some(entry) = record["entry"].as_u64() else { continue };
        let known = names.entry(entry).or_default();
        match record["is"].as_str().unwrap_or_default() {
            "clone" | "renamed" => known.0 = record["name"].as_str().unwrap().to_owned(),
            "published" => known.1 = true,
            "made" | "unpublished" | "gone" => known.1 = false,
            _ => {}
        }
    }
    names.into_values().filter(|(_, published)| *published).map(|(name, _)| name).collect()
}

/// What is left on this side and shouldn't be.
fn files(dir: &Path) -> Option<String> {
    let mut open = vec![dir.to_owned()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(&at).unwrap().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(dir).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let expected = ["VMWfile", "big", "back", ".state/cache.key"].contains(&name.as_str())
                || name.starts_with(".state/builds/") && (name.ends_with("/journal.jsonl") || name.contains("/logs/"));
            if !expected {
                return Some(format!("a file is left: {name}"));
            }
            let content = std::fs::read(&path).unwrap();
            if name.starts_with(".state") && content.windows(9).any(|w| w == b"s3cr3t-42") {
                return Some(format!("a secret is in {name}"));
            }
        }
    }
    None
}

#[test]
fn nothing_is_left_that_the_journal_doesnt_know() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let seeds: Vec<u64> = match number("VMWBUILD_TEST_SEED") {
        Some(seed) => vec![seed],
        None => {
            let from = number("VMWBUILD_TEST_FROM").unwrap_or(1);
            (from..from + number("VMWBUILD_TEST_SOAK").filter(|n| *n > 1).unwrap_or(20)).collect()
        }
    };
    let before: BTreeSet<u32> = below(&[std::process::id()]).into_iter().collect();
    let places: Vec<Place> = (0..WORKERS.min(seeds.len() as u64)).map(Place::start).collect();
    let next = AtomicU64::new(0);
    let wrong: Mutex<Vec<String>> = Mutex::default();
    let work = |mut place: Place| {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            match play(&place, *seed) {
                Ok(told) => println!("{told}"),
                Err(why) => {
                    println!("WRONG {why}");
                    wrong.lock().unwrap().push(why);
                    // The next one begins on a clean floor.
                    let place = std::mem::replace(&mut place, Place::start(*seed));
                    place.runtime.block_on(place.sandbox.stop());
                }
            }
        }
        place
    };
    let places: Vec<Place> = std::thread::scope(|scope| {
        let started: Vec<_> = places.into_iter().map(|place| scope.spawn(|| work(place))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for place in places {
        place.runtime.block_on(place.sandbox.stop());
    }
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), seeds.len(), wrong.join("\n\n"));
    let begun = Instant::now();
    while below(&[std::process::id()]).into_iter().any(|pid| !before.contains(&pid)) {
        assert!(begun.elapsed() < Duration::from_secs(15), "processes are left: {:?}", below(&[std::process::id()]));
        std::thread::sleep(Duration::from_millis(10));
    }
}
