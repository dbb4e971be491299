//! The sandbox, driven by our own client: what a build does, and what a vCenter refuses.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::time::{Duration, Instant};

use vmwbuild::sandbox::{Config, Sandbox};
use vmwbuild::vsphere::client::{
    Client, CloneRequest, Deadline, Endpoint, EntityKind, Guest, GuestAuth, HardwareChange, PlacementRequest, Source,
    Thumbprint,
};
use vmwbuild::vsphere::wire::{GuestFileAttributes, GuestPosixFileAttributes, GuestProgramSpec, Moref};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

fn config() -> Config {
    Config {
        executable: Some(env!("CARGO_BIN_EXE_vmwbuild").into()),
        boot_delay: Duration::from_millis(20),
        address_delay: Duration::from_millis(20),
        ..Config::default()
    }
}

fn endpoint(sandbox: &Sandbox) -> Endpoint {
    let mut endpoint = Endpoint::parse(&sandbox.url()).unwrap();
    endpoint.username = sandbox.username().to_owned();
    endpoint.password = sandbox.password().to_owned();
    endpoint.trust.thumbprints.push(Thumbprint::parse(sandbox.thumbprint()).unwrap());
    endpoint
}

async fn connect(sandbox: &Sandbox) -> Client {
    Client::connect(endpoint(sandbox), soon()).await.unwrap()
}

/// Clones a template or machine by name.
async fn clone_of(client: &Client, source: &str, name: &str) -> Moref {
    let inventory = client.inventory().await.unwrap();
    let source = inventory.vm(source, None).unwrap();
    let placement = inventory.place(&PlacementRequest::default(), source).unwrap();
    let request = CloneRequest {
        name: name.to_owned(),
        placement,
        template: false,
        linked: None,
        hardware: HardwareChange::default(),
    };
    let task = client.start_clone(&source.moref, &request).await.unwrap();
    client.wait_clone(&task, name, soon(), |_| ()).await.unwrap()
}

/// Powers on and waits for guest operations.
async fn boot(client: &Client, vm: &Moref) -> Guest {
    client.power_on(vm, soon()).await.unwrap();
    let ready = |s: &vmwbuild::vsphere::client::GuestState| (s.operations_ready == Some(true)).then_some(());
    client.wait_guest_state(vm, soon(), "the guest", ready).await.unwrap();
    client.guest(vm, GuestAuth { username: "root".to_owned(), password: "any".to_owned() })
}

/// Runs shell text to its end; its exit code.
async fn run(guest: &Guest, script: &str) -> i32 {
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

fn posix(mode: i64) -> GuestFileAttributes {
    GuestFileAttributes::Posix(GuestPosixFileAttributes { permissions: Some(mode), ..Default::default() })
}

async fn upload(guest: &Guest, path: &str, text: &str) {
    guest.upload(path, &Source::Bytes(text.to_owned().into()), posix(0o644), true, soon()).await.unwrap();
}

async fn download(guest: &Guest, path: &str) -> String {
    let mut download = guest.download(path, soon()).await.unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = download.chunk().await.unwrap() {
        all.extend_from_slice(&chunk);
    }
    String::from_utf8(all).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_from_login_to_destroy() {
    let begun = Instant::now();
    let mut at = begun;
    let mut lap = |what: &str| {
        println!("{what}: {:.1} ms", at.elapsed().as_secs_f64() * 1000.0);
        at = Instant::now();
    };
    let sandbox = Sandbox::start(config()).await.unwrap();
    lap("start");
    let client = connect(&sandbox).await;
    lap("log in");
    assert!(client.is_vcenter());
    let inventory = client.inventory().await.unwrap();
    let paths: Vec<&str> = inventory.all(EntityKind::Vm).map(|e| e.path.as_str()).collect();
    assert_eq!(paths, ["/DC0/vm/linux"]);
    lap("inventory");
    let vm = clone_of(&client, "linux", "web").await;
    lap("clone");
    let guest = boot(&client, &vm).await;
    lap("boot");
    assert!(guest.validate(soon()).await.unwrap());
    assert_eq!(run(&guest, "exit 7").await, 7);
    lap("first command");
    upload(&guest, "/root/hello", "hello\n").await;
    assert_eq!(run(&guest, "cp /root/hello /root/copy").await, 0);
    assert_eq!(download(&guest, "/root/copy").await, "hello\n");
    lap("files");
    let files = guest.list_all("/root", Some("^copy$"), soon()).await.unwrap();
    assert_eq!(files.len(), 1);
    assert!(client.shut_down(&vm, soon(), soon()).await.unwrap());
    lap("shut down");
    client.mark_as_template(&vm).await.unwrap();
    let second = clone_of(&client, "web", "copy").await;
    let guest = boot(&client, &second).await;
    assert_eq!(download(&guest, "/root/copy").await, "hello\n");
    lap("clone of the template");
    client.destroy_vm(&second, soon()).await.unwrap();
    client.destroy_vm(&vm, soon()).await.unwrap();
    lap("destroy");
    client.logout().await.unwrap();
    assert_eq!(sandbox.sessions(), 0);
    sandbox.stop().await;
    lap("stop");
}
