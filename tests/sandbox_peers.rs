//! The sandbox, driven by clients that others wrote: govc, pyVmomi and Ansible. It must not be our own echo.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::process::Command;

use common::site::Sandbox;
use common::{DEADLINE, Run, run};

/// Somebody else's client against a sandbox of its own.
struct Peer {
    sandbox: Sandbox,
}

impl Peer {
    fn start() -> Option<Peer> {
        // What they need comes from the same set-up as the simulator.
        if common::left_out() {
            return None;
        }
        Some(Peer { sandbox: Sandbox::start(&["--boot-delay", "20ms"]) })
    }

    fn command(&self, program: String) -> Command {
        let sandbox = &self.sandbox;
        let mut command = Command::new(program);
        common::without_settings(&mut command)
            .env("GOVC_URL", &sandbox.url)
            .env("GOVC_USERNAME", &sandbox.username)
            .env("GOVC_PASSWORD", &sandbox.password)
            .env("GOVC_INSECURE", "true")
            .env("GOVC_GUEST_LOGIN", "root:guest-password")
            .env("GOVC_PERSIST_SESSION", "false")
            .env("GOVC_RESOURCE_POOL", "DC0_C0/Resources")
            .env("GOVC_NETWORK", "VM Network");
        command
    }

    fn govc_try(&self, args: &[&str]) -> Run {
        run(self.command(common::setting("VMWBUILD_TEST_GOVC")).args(args), DEADLINE)
    }

    /// govc, which must succeed; what it printed.
    fn govc(&self, args: &[&str]) -> String {
        let done = self.govc_try(args);
        assert_eq!(done.code, Some(0), "govc {args:?}: {done}");
        done.stdout()
    }

    /// govc, which must fail; what it complained of.
    fn refused(&self, args: &[&str]) -> String {
        let done = self.govc_try(args);
        assert_ne!(done.code, Some(0), "govc {args:?}: {done}");
        done.stderr()
    }
}

#[test]
fn govc_looks_around() {
    let Some(peer) = Peer::start() else { return };
    let about = peer.govc(&["about"]);
    assert!(about.contains("VirtualCenter") && about.contains("8.0.3"), "{about}");
    assert_eq!(peer.govc(&["ls"]), "/DC0/vm\n/DC0/host\n/DC0/datastore\n/DC0/network\n");
    let found = peer.govc(&["find", "/"]);
    let mut lines: Vec<&str> = found.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "/",
            "/DC0",
            "/DC0/datastore",
            "/DC0/datastore/LocalDS_0",
            "/DC0/host",
            "/DC0/host/DC0_C0",
            "/DC0/host/DC0_C0/DC0_C0_H0",
            "/DC0/host/DC0_C0/DC0_C0_H1",
            "/DC0/host/DC0_C0/DC0_C0_H2",
            "/DC0/host/DC0_C0/Resources",
            "/DC0/host/DC0_H0",
            "/DC0/host/DC0_H0/DC0_H0",
            "/DC0/host/DC0_H0/Resources",
            "/DC0/network",
            "/DC0/network/DC0_DVPG0",
            "/DC0/network/DVS0",
            "/DC0/network/VM Network",
            "/DC0/vm",
            "/DC0/vm/linux",
        ]
    );
    for what in [
        &["datacenter.info"][..],
        &["datastore.info"],
        &["host.info", "-host", "DC0_H0"],
        &["pool.info", "*"],
        &["vm.info", "-r", "-e", "linux"],
        &["vm.info", "-json", "linux"],
        &["object.collect", "-s", "/DC0/vm/linux", "config.template"],
        &["tasks"],
        &["events"],
        &["session.ls"],
        &["license.ls"],
        &["role.ls"],
        &["option.ls"],
        &["fields.ls"],
    ] {
        peer.govc(what);
    }
    // What isn't there is refused in words, never by a hang.
    let refused = peer.refused(&["host.esxcli", "-host", "DC0_H0", "system", "hostname", "get"]);
    assert!(refused.contains("no method"), "{refused}");
    assert!(peer.refused(&["vm.power", "-on", "linux"]).contains("not supported"));
}

#[test]
fn govc_makes_runs_and_deletes_machines() {
    let Some(peer) = Peer::start() else { return };
    peer.govc(&["vm.clone", "-vm", "linux", "-on=false", "-c", "2", "-m", "2048", "web"]);
    assert!(peer.refused(&["vm.clone", "-vm", "linux", "-on=false", "web"]).contains("already exists"));
    peer.govc(&["vm.power", "-on", "web"]);
    let ip = peer.govc(&["vm.ip", "web"]);
    assert!(ip.starts_with("10."), "{ip}");
    let info = peer.govc(&["vm.info", "web"]);
    assert!(info.contains("2048MB") && info.contains("2 vCPU(s)") && info.contains("poweredOn"), "{info}");
    assert_eq!(peer.govc(&["guest.run", "-vm", "web", "/bin/echo", "hello"]), "hello\n");
    let failed = peer.govc_try(&["guest.run", "-vm", "web", "/bin/sh", "-c", "'echo out; exit 7'"]);
    assert_eq!((failed.code, failed.stdout().as_str()), (Some(7), "out\n"), "{failed}");

    let dir = tempfile::tempdir().unwrap();
    let (here, back) = (dir.path().join("here"), dir.path().join("back"));
    let content: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(&here, &content).unwrap();
    peer.govc(&["guest.upload", "-vm", "web", here.to_str().unwrap(), "/root/file"]);
    assert!(peer.refused(&["guest.upload", "-vm", "web", here.to_str().unwrap(), "/root/file"]).contains("exists"));
    peer.govc(&["guest.download", "-vm", "web", "/root/file", back.to_str().unwrap()]);
    assert_eq!(std::fs::read(&back).unwrap(), content);
    assert!(peer.govc(&["guest.ls", "-vm", "web", "/root"]).contains(" file\n"));
    peer.govc(&["guest.mkdir", "-vm", "web", "-p", "/root/a/b"]);
    peer.govc(&["guest.mv", "-vm", "web", "/root/file", "/root/a/b/moved"]);
    peer.govc(&["guest.chmod", "-vm", "web", "0700", "/root/a/b/moved"]);
    peer.govc(&["guest.rm", "-vm", "web", "/root/a/b/moved"]);
    peer.govc(&["guest.rmdir", "-vm", "web", "-r", "/root/a"]);
    let temporary = peer.govc(&["guest.mktemp", "-vm", "web", "-d"]);
    assert!(temporary.starts_with("/tmp/"), "{temporary}");
    assert!(peer.govc(&["guest.getenv", "-vm", "web", "HOME"]).contains("HOME=/root"));
    let pid = peer.govc(&["guest.start", "-vm", "web", "/bin/sleep", "1000"]).trim().to_owned();
    assert!(peer.govc(&["guest.ps", "-vm", "web", "-p", &pid]).contains("sleep"));
    peer.govc(&["guest.kill", "-vm", "web", "-p", &pid]);
    assert!(peer.refused(&["guest.ls", "-vm", "web", "-l", "nobodyatall:x", "/root"]).contains("authenticate"));
    assert!(peer.refused(&["guest.ls", "-vm", "web", "/nowhere"]).contains("not found"));

    // Back to a snapshot, a template of it, and a machine of that.
    peer.govc(&["guest.mkdir", "-vm", "web", "/root/kept"]);
    peer.govc(&["snapshot.create", "-vm", "web", "-m=false", "s1"]);
    peer.govc(&["guest.rmdir", "-vm", "web", "/root/kept"]);
    assert_eq!(peer.govc(&["snapshot.tree", "-vm", "web"]), "s1\n.\n");
    peer.govc(&["vm.clone", "-vm", "web", "-snapshot", "s1", "-link=true", "-on=false", "linked"]);
    peer.govc(&["vm.destroy", "linked"]);
    peer.govc(&["snapshot.revert", "-vm", "web", "s1"]);
    peer.govc(&["snapshot.remove", "-vm", "web", "s1"]);
    peer.govc(&["vm.change", "-vm", "web", "-e", "guestinfo.a=b", "-annotation", "about it", "-m", "1024"]);
    assert!(peer.govc(&["vm.info", "-e", "web"]).contains("guestinfo.a:  b"));
    peer.govc(&["vm.markastemplate", "web"]);
    peer.govc(&["vm.clone", "-vm", "web", "-host", "DC0_C0_H1", "copy"]);
    peer.govc(&["vm.ip", "copy"]);
    assert!(peer.govc(&["guest.ls", "-vm", "copy", "/root"]).contains("kept"));
    assert!(peer.refused(&["vm.markastemplate", "copy"]).contains("Powered on"));
    peer.govc(&["vm.network.change", "-vm", "copy", "-net", "DC0_DVPG0", "ethernet-0"]);
    let networks = peer.govc(&["object.collect", "-s", "/DC0/vm/copy", "network"]);
    assert!(networks.starts_with("DistributedVirtualPortgroup:"), "{networks}");
    peer.govc(&["vm.power", "-r", "copy"]);
    peer.govc(&["vm.power", "-off", "-force", "copy"]);
    peer.govc(&["folder.create", "/DC0/vm/folder"]);
    peer.govc(&["object.mv", "/DC0/vm/copy", "/DC0/vm/folder"]);
    peer.govc(&["object.rename", "/DC0/vm/folder", "renamed"]);
    assert_eq!(peer.govc(&["find", "/DC0/vm", "-type", "m", "-name", "copy"]), "/DC0/vm/renamed/copy\n");
    let tasks = peer.govc(&["tasks"]);
    assert!(tasks.contains("RevertToSnapshot") && !tasks.contains("running"), "{tasks}");
    peer.govc(&["object.destroy", "/DC0/vm/renamed"]);
    peer.govc(&["vm.destroy", "web"]);
    assert_eq!(peer.govc(&["find", "/DC0/vm", "-type", "m"]), "/DC0/vm/linux\n");
    peer.govc(&["vm.create", "-on=false", "-ds", "LocalDS_0", "made"]);
    peer.govc(&["vm.unregister", "made"]);
}

#[test]
fn pyvmomi_does_the_same() {
    let Some(peer) = Peer::start() else { return };
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox_peers.py");
    let mut command = peer.command(common::setting("VMWBUILD_TEST_PYTHON"));
    let done = run(command.arg(script).env("PYTHONDONTWRITEBYTECODE", "1"), DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
    assert_eq!(done.stdout().trim_end().lines().last(), Some("done"), "{done}");
}

/// Ansible is large, so it is set up only when asked for: VMWBUILD_TEST_ANSIBLE=1 tests/run.
#[test]
fn ansible_makes_a_machine_and_works_in_it() {
    let Ok(playbook) = std::env::var("VMWBUILD_TEST_ANSIBLE_PLAYBOOK") else {
        println!("NOT RUN: Ansible is not set up; VMWBUILD_TEST_ANSIBLE=1 tests/run does that and runs this");
        return;
    };
    let sandbox = Sandbox::start(&["--boot-delay", "20ms"]);
    let dir = tempfile::tempdir().unwrap();
    let (work, home) = (dir.path().join("work"), dir.path().join("home"));
    std::fs::create_dir(&work).unwrap();
    let place = sandbox.url.trim_start_matches("https://").trim_end_matches("/sdk");
    let (host, port) = place.rsplit_once(':').unwrap();
    let mut command = Command::new(&playbook);
    common::without_settings(&mut command)
        .args(["-i", "localhost,", "-e", &format!("work={}", work.display())])
        .arg(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox_ansible.yml"))
        .env("HOME", &home)
        .env("ANSIBLE_HOME", home.join(".ansible"))
        .env("ANSIBLE_NOCOLOR", "1")
        .env("ANSIBLE_PYTHON_INTERPRETER", std::path::Path::new(&playbook).with_file_name("python"))
        .envs([("VMWARE_HOST", host), ("VMWARE_PORT", port), ("VMWARE_VALIDATE_CERTS", "no")])
        .envs([("VMWARE_USER", &sandbox.username), ("VMWARE_PASSWORD", &sandbox.password)]);
    let done = run(&mut command, std::time::Duration::from_secs(600));
    assert_eq!(done.code, Some(0), "{done}");
}
