//! What the sandbox takes, and that it leaves nothing behind. In a process of its own, one test at a time, since what
//! the process holds is counted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test may

mod common;

use std::time::{Duration, Instant};

use common::embedded::*;
use vmwbuild::sandbox::{Config, Sandbox};
use vmwbuild::vsphere::client::{CloneRequest, Deadline, GuestState, HardwareChange, PlacementRequest};
use vmwbuild::vsphere::wire::{Moref, TaskInfo};

/// Held by the test that runs.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

/// What this process holds: descriptors and children. (What guests mount is in a mount namespace of their own.)
fn held() -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mine = std::process::id().to_string();
    let children = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)).is_some_and(|parent| parent == mine)
    });
    (descriptors, children.count())
}

/// Prints what it takes. VMWBUILD_TEST_OPERATIONS says how many guest operations (600 by default).
#[tokio::test(flavor = "multi_thread")]
async fn many_operations_are_quick_and_leave_nothing() {
    let _one = ONE.lock().await;
    let most: usize = std::env::var("VMWBUILD_TEST_OPERATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(600);
    // Boot delays of nothing, so that what is left is ours.
    let quick = || Config { boot_delay: Duration::ZERO, exit_poll: Duration::ZERO, ..config() };
    let (_, children) = held();
    let sandbox = Sandbox::start(quick()).await.unwrap();
    let client = connect(&sandbox).await;
    let vm = clone_of(&client, "linux", "web").await;
    let (mut on, mut ready) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let begun = Instant::now();
        client.power_on(&vm, soon()).await.unwrap();
        on.push(begun.elapsed());
        boot_again(&client, &vm).await;
        ready.push(begun.elapsed());
        client.power_off(&vm, soon()).await.unwrap();
    }
    // What the server itself took, by its own clock.
    let tasks: Vec<Moref> = client.properties(&vm, &["recentTask"]).await.unwrap().list("recentTask");
    let mut server = Vec::new();
    for task in &tasks {
        let info: TaskInfo = client.properties(task, &["info"]).await.unwrap().get("info").unwrap();
        if info.description_id == "VirtualMachine.powerOn" {
            let moment = |text: &str| time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
            let (start, end) = (info.start_time.unwrap(), info.complete_time.unwrap());
            server.push((moment(&end).unwrap() - moment(&start).unwrap()).unsigned_abs());
        }
    }
    println!(
        "power-on: server {:.1} ms, seen by the client {:.1} ms, until ready {:.1} ms",
        median(server),
        median(on),
        median(ready)
    );
    let guest = boot(&client, &vm).await;
    let mut before = 0;
    let (mut starts, mut lists, mut commands) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..most / 3 {
        let begun = Instant::now();
        let pid = guest.start(&program("/bin/true", ""), soon()).await.unwrap();
        starts.push(begun.elapsed());
        while guest.processes(&[pid], soon()).await.unwrap()[0].end_time.is_none() {}
        commands.push(begun.elapsed());
        let begun = Instant::now();
        guest.list_files("/root", None, 0, None, soon()).await.unwrap();
        lists.push(begun.elapsed());
        if round == 20 {
            before = held().0;
        }
    }
    println!(
        "{} guest operations: start {:.1} ms, command to its end {:.1} ms, list {:.1} ms",
        most,
        median(starts),
        median(commands),
        median(lists)
    );
    let after = held().0;
    assert!(after <= before + 4, "{before} descriptors became {after}");
    assert!(guest.processes(&[], soon()).await.unwrap().iter().filter(|p| p.end_time.is_none()).count() <= 2);
    client.logout().await.unwrap();
    sandbox.stop().await;
    assert_eq!(held().1, children);
}

/// Two hundred machines at once; prints what it takes.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_guests_run_at_once() {
    let _one = ONE.lock().await;
    let sandbox = Sandbox::start(Config { boot_delay: Duration::ZERO, ..config() }).await.unwrap();
    let client = connect(&sandbox).await;
    let inventory = client.inventory().await.unwrap();
    let source = inventory.vm("linux", None).unwrap();
    let placement = inventory.place(&PlacementRequest::default(), source).unwrap();
    let begun = Instant::now();
    let one = |n: usize| {
        let (client, placement, source) = (client.clone(), placement.clone(), source.moref.clone());
        async move {
            let request = CloneRequest {
                name: format!("vm{n}"),
                placement,
                template: false,
                linked: None,
                snapshot: None,
                hardware: HardwareChange::default(),
            };
            let long = Deadline::after(Duration::from_secs(120));
            let task = client.start_clone(&source, &request).await.unwrap();
            let vm = client.wait_clone(&task, &request.name, long, |_| ()).await.unwrap();
            client.power_on(&vm, long).await.unwrap();
            let ready = |s: &GuestState| (s.operations_ready == Some(true)).then_some(());
            client.wait_guest_state(&vm, long, "the guest", ready).await.unwrap();
            vm
        }
    };
    let machines = futures_util::future::join_all((0..200).map(one)).await;
    println!("200 machines cloned, on and ready in {:.2} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let run_all = machines.iter().map(|vm| {
        let guest = as_user(&client, vm, "root", "any");
        async move { run(&guest, "exit 9").await }
    });
    let codes = futures_util::future::join_all(run_all).await;
    assert!(codes.iter().all(|code| *code == 9));
    println!("a command in each in {:.2} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    sandbox.stop().await;
    println!("stopped in {:.2} s", begun.elapsed().as_secs_f64());
}
