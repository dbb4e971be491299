//! How much a build does at once, counted where it is done: by a sandbox in this process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::embedded::{clone_of, config, connect};
use common::{DEADLINE, context, run, vmwbuild};
use vmwbuild::sandbox::{Config, Sandbox};
use vmwbuild::vsphere::client::{CloneRequest, EntityKind, HardwareChange, PlacementRequest};

/// How long a clone takes: long enough that all that may run at once do.
const CLONE: Duration = Duration::from_millis(400);

/// Builds on a sandbox; how many clones ran at once, in all and by host.
async fn build(text: &str, flags: &[&str]) -> (usize, BTreeMap<String, usize>) {
    let sandbox = Sandbox::start(Config { clone_delay: CLONE, ..config() }).await.unwrap();
    other_host(&sandbox).await;
    let dir = context(&[("VMWfile", text)]);
    let mut command = vmwbuild(dir.path());
    command.args(["build", "--progress", "plain", "--parallel", "40", "--vcenter", &sandbox.url()]).args(flags);
    command.args(["--username", sandbox.username(), "--thumbprint", sandbox.thumbprint()]);
    command.env("VMWBUILD_PASSWORD", sandbox.password());
    let done = tokio::task::spawn_blocking(move || {
        let _dir = dir;
        run(&mut command, DEADLINE)
    });
    let done = done.await.unwrap();
    assert_eq!(done.code, Some(0), "{done}");
    let counted = sandbox.most_at_once("VirtualMachine.clone");
    sandbox.stop().await;
    counted
}

/// A template `other` on another host than `linux`.
async fn other_host(sandbox: &Sandbox) {
    let client = connect(sandbox).await;
    let inventory = client.inventory().await.unwrap();
    let linux = inventory.vm("linux", None).unwrap();
    let own = linux.host.clone();
    let host = inventory.all(EntityKind::Host).find(|h| Some(&h.moref) != own.as_ref() && h.path.contains("C0"));
    let asked = PlacementRequest { host: Some(host.unwrap().path.clone()), ..PlacementRequest::default() };
    let placement = inventory.place(&asked, linux).unwrap();
    let request = CloneRequest {
        name: "other".to_owned(),
        placement,
        template: true,
        linked: None,
        snapshot: None,
        hardware: HardwareChange::default(),
    };
    let task = client.start_clone(&linux.moref, &request).await.unwrap();
    client.wait_clone(&task, "other", common::embedded::soon(), |_| ()).await.unwrap();
    client.logout().await.unwrap();
}

const MANY: &str = "FROM linux AS m FOR n IN 1..20\nOUTPUT VM --off m${{ n }}\n";
const TWO_HOSTS: &str = "FROM linux AS m FOR n IN 1..12\nOUTPUT VM --off m${{ n }}\n\
                         FROM other AS o FOR n IN 1..12\nOUTPUT VM --off o${{ n }}\n";

#[tokio::test(flavor = "multi_thread")]
async fn one_host_takes_part_in_eight_clones_at_once() {
    let (all, _) = build(MANY, &[]).await;
    assert_eq!(all, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_can_be_set() {
    let (all, _) = build(MANY, &["--clones", "3"]).await;
    assert_eq!(all, 3);
    let (all, _) = build(MANY, &["--clones", "40", "--clones-per-host", "30"]).await;
    assert_eq!(all, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_counted_apart() {
    let (all, hosts) = build(TWO_HOSTS, &["--clones-per-host", "5"]).await;
    assert_eq!(hosts.into_values().collect::<Vec<_>>(), [5, 5]);
    assert_eq!(all, 10);
}

/// Those that wait for one host aren't in the way of those that go to another.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_host_takes_no_place_of_others() {
    let (all, hosts) = build(TWO_HOSTS, &["--clones-per-host", "2", "--clones", "4"]).await;
    assert_eq!((all, hosts.into_values().collect::<Vec<_>>()), (4, vec![2, 2]));
}

/// What doesn't count shows too: the sandbox itself has no limit of its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_count_is_the_sandboxs_own() {
    let sandbox = Sandbox::start(Config { clone_delay: CLONE, ..config() }).await.unwrap();
    let client = connect(&sandbox).await;
    let names: Vec<String> = (0..15).map(|n| format!("c{n}")).collect();
    let clones = names.iter().map(|name| clone_of(&client, "linux", name));
    futures_util::future::join_all(clones).await;
    let (all, _) = sandbox.most_at_once("VirtualMachine.clone");
    assert!(all > 8, "{all}");
    client.logout().await.unwrap();
    sandbox.stop().await;
}
