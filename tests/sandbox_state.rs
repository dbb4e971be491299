//! `vmwbuild sandbox --state`: whatever happens to the server or the disk, what was kept is whole, and what can't be kept
//! is told.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::embedded::*;
use common::site::Sandbox;
use common::{DEADLINE, Running, run, vmwbuild};
use vmwbuild::vsphere::client::{Client, Endpoint, EntityKind, Thumbprint};
use vmwbuild::vsphere::wire::{CreateFolder, Moref, PowerState};

async fn client_of(url: &str, username: &str, password: &str, thumbprint: &str) -> Client {
    let mut endpoint = Endpoint::parse(url).unwrap();
    (endpoint.username, endpoint.password) = (username.to_owned(), password.to_owned());
    endpoint.trust.thumbprints.push(Thumbprint::parse(thumbprint).unwrap());
    Client::connect(endpoint, soon()).await.unwrap()
}

async fn connect_to(sandbox: &Sandbox) -> Client {
    client_of(&sandbox.url, &sandbox.username, &sandbox.password, &sandbox.thumbprint).await
}

/// What `vmwbuild sandbox --state` says when it can't use a directory.
fn refused(state: &Path) -> String {
    let mut command = vmwbuild(state.parent().unwrap());
    command.args(["sandbox", "--listen", "127.0.0.1:0", "--color", "never", "--state", "state"]);
    let done = run(&mut command, DEADLINE);
    assert_eq!((done.code, done.stdout().as_str()), (Some(5), ""), "{done}");
    done.stderr()
}

/// Clones, changes and removes machines until the server is gone.
async fn work(client: Client, round: usize) {
    for n in 0.. {
        let inventory = client.inventory().await;
        let Ok(inventory) = inventory else { return };
        let root = inventory.find(EntityKind::Folder, "/DC0/vm", None).unwrap().moref.clone();
        if client.call(&CreateFolder { this: root, name: format!("f{round}-{n}") }).await.is_err() {
            return;
        }
        let source = inventory.vm("linux", None).unwrap();
        let placement = inventory.place(&Default::default(), source).unwrap();
        let request = vmwbuild::vsphere::client::CloneRequest {
            name: format!("m{round}-{n}"),
            placement,
            template: false,
            linked: None,
            snapshot: None,
            hardware: Default::default(),
        };
        let Ok(task) = client.start_clone(&source.moref, &request).await else { return };
        let Ok(vm) = client.wait_clone(&task, "m", soon(), |_| ()).await else { return };
        let done = client.power_on(&vm, soon()).await;
        if done.is_err() || client.create_snapshot(&vm, "s", "", soon()).await.is_err() {
            return;
        }
        if n % 3 == 2 && client.destroy_vm(&vm, soon()).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_leaves_what_can_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state").display().to_string();
    let start = || Sandbox::start(&["--state", &state, "--boot-delay", "0ms"]);
    let mut machines = 0;
    for round in 0..6u64 {
        let sandbox = tokio::task::block_in_place(start);
        let client = connect_to(&sandbox).await;
        let working = tokio::spawn(work(client, usize::try_from(round).unwrap()));
        // Anywhere within what it does.
        tokio::time::sleep(Duration::from_millis(150 + 97 * round)).await;
        tokio::task::block_in_place(|| sandbox.kill());
        working.abort();
        let text = std::fs::read(dir.path().join("state/sandbox.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap();
    }
    let sandbox = tokio::task::block_in_place(start);
    let client = connect_to(&sandbox).await;
    let inventory = client.inventory().await.unwrap();
    let all: Vec<Moref> = inventory.all(EntityKind::Vm).map(|e| e.moref.clone()).collect();
    for vm in all {
        let state = client.vm_state(&vm).await.unwrap();
        assert_eq!(state.power, PowerState::Off, "as after a power cut");
        if !state.template {
            let guest = boot(&client, &vm).await;
            assert_eq!(run_in(&guest, "exit 7").await, 7);
            for tree in client.snapshots(&vm).await.unwrap() {
                client.revert_to_snapshot(&tree.snapshot, soon()).await.unwrap();
            }
            client.destroy_vm(&vm, soon()).await.unwrap();
            machines += 1;
        }
    }
    assert!(machines > 0, "nothing was made in six rounds");
    client.logout().await.unwrap();
    tokio::task::block_in_place(|| drop(sandbox));
    // No layer is left that no machine lies on.
    let layers = std::fs::read_dir(dir.path().join("state/layers")).unwrap().flatten();
    let left: Vec<_> = layers.filter(|e| e.file_name().to_string_lossy().parse::<u64>().is_ok()).collect();
    assert!(left.is_empty(), "{left:?}");
}

async fn run_in(guest: &vmwbuild::vsphere::client::Guest, script: &str) -> i32 {
    common::embedded::run(guest, script).await
}

#[test]
fn what_cannot_be_read_is_told_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let start = || Sandbox::start(&["--state", &state.display().to_string()]);
    let sandbox = start();
    let mut all = refused(&state);
    drop(sandbox);

    let file = state.join("sandbox.json");
    let good = std::fs::read_to_string(&file).unwrap();
    let newer = r#"{"version": 2, "everything": "is elsewhere"}"#;
    // Within its last text, wherever that stands.
    let half = &good[..good.rfind('"').unwrap()];
    for bad in [newer, r#"{"version": 0}"#, half, "", "[]", r#"{"version": 1}"#] {
        std::fs::write(&file, bad).unwrap();
        all += &refused(&state);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), bad, "it is left as it was");
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    all += &refused(&state);
    std::fs::remove_dir(&file).unwrap();
    // What half a write leaves is nothing.
    std::fs::write(&file, &good).unwrap();
    std::fs::write(state.join("sandbox.new"), half).unwrap();
    drop(start());
    let place = regex::Regex::new(r"line \d+ column \d+").unwrap();
    insta::assert_snapshot!(place.replace_all(&all, "line L column C"));
}

/// Root can make a small disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_waited_for() {
    if !std::fs::read_to_string("/proc/self/status").unwrap().contains("\nUid:\t0\t") {
        println!("NOT RUN: it needs root to mount a small disk");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let server = |dir: &Path| {
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs -o size=24m none state && exec \"$0\" sandbox --listen 127.0.0.1:0 --state state \
                      --color never --boot-delay 0ms";
        command.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_vmwbuild")]).current_dir(dir);
        common::without_settings(&mut command);
        Running::start(&mut command)
    };
    for mended in [true, false] {
        let running = server(dir.path());
        let value = |name: &str| {
            let line = running.wait_for(&format!("export {name}="), Duration::from_secs(30));
            line.trim().split_once('=').map(|(_, v)| v.trim_matches('\'').to_owned()).unwrap()
        };
        let (url, user) = (value("VMWBUILD_VCENTER"), value("VMWBUILD_USERNAME"));
        let (password, print) = (value("VMWBUILD_PASSWORD"), value("VMWBUILD_THUMBPRINT"));
        let client = client_of(&url, &user, &password, &print).await;
        let vm = clone_of(&client, "linux", "web").await;
        let guest = boot(&client, &vm).await;
        let fill = "cat /dev/zero > /root/full 2> /root/why; test -s /root/full && exit 3";
        assert_eq!(run_in(&guest, fill).await, 3, "the disk is full");
        // The guest has it all: the server can't keep what changes now.
        let root = client.inventory().await.unwrap().find(EntityKind::Folder, "/DC0/vm", None).unwrap().moref.clone();
        client.call(&CreateFolder { this: root.clone(), name: "folder".to_owned() }).await.unwrap();
        let warning = tokio::task::block_in_place(|| running.wait_for("can't be written now", Duration::from_secs(30)));
        assert!(warning.contains("sandbox.json"), "{warning}");
        if mended {
            assert_eq!(run_in(&guest, "rm /root/full; exit 4").await, 4);
            client.call(&CreateFolder { this: root, name: "another".to_owned() }).await.unwrap();
            tokio::task::block_in_place(|| running.wait_for("is written again", Duration::from_secs(30)));
        }
        running.signal("TERM");
        let done = tokio::task::block_in_place(|| running.finish(Duration::from_secs(60)));
        assert_eq!(done.code, Some(if mended { 0 } else { 5 }), "{done}");
        let lost = done.stderr().contains("the sandbox's last state could not be written");
        assert_eq!(lost, !mended, "{done}");
        assert!(done.stderr().contains("VMW956 sandbox-unkept"), "{done}");
    }
}
