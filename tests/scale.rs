//! Builds of many machines: what they take grows with the machines, and no faster.
//!
//! 10 and 100 machines always; 1,000 with `VMWBUILD_TEST_SCALE=1`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test may
#![cfg(target_os = "linux")]

mod common;

use std::process::Stdio;
use std::time::{Duration, Instant};

use common::context;
use common::site::{Sandbox, Site};

/// What the client may hold, in KiB.
const MEMORY: u64 = 150 << 10;

struct Taken {
    machines: usize,
    elapsed: Duration,
    /// The most that the client held, in KiB.
    memory: u64,
}

impl Taken {
    fn each(&self) -> f64 {
        self.elapsed.as_secs_f64() * 1000.0 / self.machines as f64
    }
}

/// Builds that many machines, which run nothing or one command each.
fn build(site: &Site, machines: usize, run: bool) -> Taken {
    let step = if run { "RUN echo ${{ n }}\n" } else { "" };
    let output = if run { "OUTPUT NONE" } else { "OUTPUT VM --off" };
    let name = if run { String::new() } else { format!(" s{machines}-${{{{ n }}}}") };
    let text = format!("FROM linux AS m FOR n IN 1..{machines}\n{output}{name}\n{step}");
    let dir = context(&[("VMWfile", text)]);
    let mut command = site.with_state(dir.path(), &["build", "--progress", "plain"]);
    let begun = Instant::now();
    let log = std::fs::File::create(dir.path().join(".log")).unwrap();
    let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let high = text.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
        memory = memory.max(high.unwrap_or(0));
        assert!(begun.elapsed() < Duration::from_secs(1800), "no end");
        std::thread::sleep(Duration::from_millis(20));
    };
    let taken = Taken { machines, elapsed: begun.elapsed(), memory };
    assert!(ended.success(), "{}", std::fs::read_to_string(dir.path().join(".log")).unwrap());
    println!(
        "{machines} machines{}: {:?}, {:.1} ms each, {} MiB",
        if run { " with a RUN" } else { "" },
        taken.elapsed,
        taken.each(),
        taken.memory >> 10
    );
    taken
}

#[test]
fn what_a_build_takes_grows_with_its_machines() {
    let site = Site::Sandbox(Sandbox::start(&["--boot-delay", "0ms"]));
    let few = build(&site, 10, false);
    let many = build(&site, 100, false);
    assert!(many.memory < MEMORY, "{} KiB", many.memory);
    assert!(many.each() < few.each() * 4.0, "{} ms and {} ms each", few.each(), many.each());
    build(&site, 20, true);
    if std::env::var_os("VMWBUILD_TEST_SCALE").is_some() {
        let most = build(&site, 1000, false);
        assert!(most.memory < MEMORY, "{} KiB", most.memory);
        assert!(most.each() < many.each() * 4.0, "{} ms and {} ms each", many.each(), most.each());
    }
}
