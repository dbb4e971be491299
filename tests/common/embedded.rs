//! A sandbox within the test's own process, driven by our own client.

#![allow(clippy::unwrap_used)] // a test may

use std::time::{Duration, Instant};

use vmwbuild::sandbox::{Config, Rule, Sandbox};
use vmwbuild::vsphere::client::{
    Client, CloneRequest, Deadline, Endpoint, Error, Guest, GuestAuth, GuestState, HardwareChange, PlacementRequest,
    Source, Thumbprint,
};
use vmwbuild::vsphere::wire::{GuestFileAttributes, GuestPosixFileAttributes, GuestProgramSpec, Moref};

pub fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

pub fn config() -> Config {
    Config {
        executable: Some(env!("CARGO_BIN_EXE_vmwbuild").into()),
        boot_delay: Duration::from_millis(20),
        address_delay: Duration::from_millis(20),
        ..Config::default()
    }
}

pub fn endpoint(sandbox: &Sandbox) -> Endpoint {
    let mut endpoint = Endpoint::parse(&sandbox.url()).unwrap();
    endpoint.username = sandbox.username().to_owned();
    endpoint.password = sandbox.password().to_owned();
    endpoint.trust.thumbprints.push(Thumbprint::parse(sandbox.thumbprint()).unwrap());
    endpoint
}

pub async fn connect(sandbox: &Sandbox) -> Client {
    Client::connect(endpoint(sandbox), soon()).await.unwrap()
}

/// Clones a template or machine by name.
pub async fn clone_of(client: &Client, source: &str, name: &str) -> Moref {
    let inventory = client.inventory().await.unwrap();
    let source = inventory.vm(source, None).unwrap();
    let placement = inventory.place(&PlacementRequest::default(), source).unwrap();
    let request = CloneRequest {
        name: name.to_owned(),
        placement,
        template: false,
        linked: None,
        snapshot: None,
        hardware: HardwareChange::default(),
    };
    let task = client.start_clone(&source.moref, &request).await.unwrap();
    client.wait_clone(&task, name, soon(), |_| ()).await.unwrap()
}

/// Powers on and waits for guest operations.
pub async fn boot(client: &Client, vm: &Moref) -> Guest {
    client.power_on(vm, soon()).await.unwrap();
    let ready = |s: &GuestState| (s.operations_ready == Some(true)).then_some(());
    client.wait_guest_state(vm, soon(), "the guest", ready).await.unwrap();
    client.guest(vm, GuestAuth { username: "root".to_owned(), password: "any".to_owned() })
}

/// Runs shell text to its end; its exit code.
pub async fn run(guest: &Guest, script: &str) -> i32 {
    let spec = GuestProgramSpec {
        program_path: "/bin/sh".to_owned(),
        arguments: format!("-c '{script}'"),
        ..GuestProgramSpec::default()
    };
    let pid = guest.start(&spec, soon()).await.unwrap();
    let begun = Instant::now();
    loop {
        let list = guest.processes(&[pid], soon()).await.unwrap();
        if let Some(code) = list.first().and_then(|p| p.exit_code) {
            return code;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "`{script}` doesn't end");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub fn posix(mode: i64) -> GuestFileAttributes {
    GuestFileAttributes::Posix(GuestPosixFileAttributes { permissions: Some(mode), ..Default::default() })
}

pub async fn upload(guest: &Guest, path: &str, text: &str) {
    guest.upload(path, &Source::Bytes(text.to_owned().into()), posix(0o644), true, soon()).await.unwrap();
}

pub async fn download(guest: &Guest, path: &str) -> String {
    let mut download = guest.download(path, soon()).await.unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = download.chunk().await.unwrap() {
        all.extend_from_slice(&chunk);
    }
    String::from_utf8(all).unwrap()
}

/// Runs shell text and returns what it wrote.
pub async fn output(guest: &Guest, script: &str) -> String {
    assert_eq!(run(guest, &format!("({script}) > /tmp/output 2>&1")).await, 0, "{script}");
    download(guest, "/tmp/output").await
}

pub fn as_user(client: &Client, vm: &Moref, user: &str, password: &str) -> Guest {
    client.guest(vm, GuestAuth { username: user.to_owned(), password: password.to_owned() })
}

pub fn program(path: &str, arguments: &str) -> GuestProgramSpec {
    GuestProgramSpec { program_path: path.to_owned(), arguments: arguments.to_owned(), ..Default::default() }
}

/// The type of the fault that something failed with.
pub fn kind<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    outcome.unwrap_err().fault().map(|f| f.kind.clone()).unwrap_or_default()
}

pub async fn spoiled(rules: Vec<Rule>) -> (Sandbox, Client) {
    let sandbox = Sandbox::start(Config { faults: rules, seed: 1, ..config() }).await.unwrap();
    let client = connect(&sandbox).await;
    (sandbox, client)
}

pub async fn boot_again(client: &Client, vm: &Moref) -> Guest {
    let ready = |s: &GuestState| (s.operations_ready == Some(true)).then_some(());
    client.wait_guest_state(vm, soon(), "the guest", ready).await.unwrap();
    as_user(client, vm, "root", "any")
}
