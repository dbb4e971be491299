//! Examples of real work, built on the sandbox: what each one claims is looked for in its machines.

#![allow(clippy::unwrap_used)] // a test may
#![cfg(target_os = "linux")]

use crate::common;

use std::path::Path;

use common::project::{Built, Project};
use common::site::Site;

const PASSWORD: [&str; 2] = ["--secret", "id=root_password,cmd=echo guest-password"];

/// Puts the files of an example into a project.
fn take(project: &Project, name: &str) {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to)
            } else {
                drop(std::fs::copy(entry.path(), to))
            }
        }
    }
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name), project.dir.path());
}

fn example(name: &str) -> Project {
    let project = Project::new(Site::here().unwrap(), &[("VMWfile", "")]);
    take(&project, name);
    project
}

impl Project {
    fn built_with(&self, args: &[&str]) -> Built {
        self.build(&[&PASSWORD[..], args].concat())
    }

    /// A command in a guest: its exit code, and all that it said.
    fn tried(&self, vm: &str, script: &str) -> (Option<i32>, String) {
        let run = self.tool(&["exec", vm, "--", "sh", "-c", script]);
        (run.code, run.stdout() + &run.stderr())
    }

    fn local(&self, path: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(path)).unwrap()
    }

    fn has(&self, names: &[&str]) {
        let there = self.machines();
        assert!(names.iter().all(|name| there.contains_key(*name)), "{names:?}: {there:?}");
    }
}

#[test]
fn control_planes_join_one_after_another() {
    let project = example("control-planes");
    project.built_with(&[]);
    project.has(&["control-01", "control-02", "control-03", "worker-01", "worker-02"]);
    let ca = project.done(&["exec", "control-01", "--", "sha256sum", "/etc/kubernetes/pki/ca.crt"]).stdout();
    let ca = ca.split(' ').next().unwrap().to_owned();
    let endpoint = project.read("control-01", "/etc/kubernetes/endpoint");
    assert!(endpoint.ends_with(":6443\n") && endpoint.len() > 10, "{endpoint}");
    // Who has joined, as what, when it began and when it ended.
    let joined = |vm: &str| {
        let text = project.read(vm, "/etc/kubernetes/joined");
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words[1], ca, "{vm}: {text}");
        assert_eq!(project.read(vm, "/etc/kubernetes/endpoint"), endpoint, "{vm}");
        assert_ne!(project.tried(vm, "ls /etc/kubernetes/join.yaml").0, Some(0), "{vm} keeps the token");
        (words[0].to_owned(), words[2].parse::<u64>().unwrap(), words[3].parse::<u64>().unwrap())
    };
    let (second, third) = (joined("control-02"), joined("control-03"));
    assert_eq!((second.0.as_str(), third.0.as_str()), ("control-plane", "control-plane"));
    assert!(second.2 <= third.1, "joined at the same time: {second:?} {third:?}");
    for worker in ["worker-01", "worker-02"] {
        assert_eq!(joined(worker).0, "worker");
    }
    // A token is refused with a digit changed, and where it is another cluster's.
    let token = "token=$(kubeadm token create); wrong=${token%?}x; hash=$(sha256sum /etc/kubernetes/pki/ca.crt | cut -d' ' -f1)";
    for (what, token_of, hash, code) in [
        ("its own", "$token", "$hash", Some(0)),
        ("changed", "$wrong", "$hash", Some(1)),
        ("another's", "$token", "0$hash", Some(1)),
    ] {
        let script = format!(
            "{token}; printf 'token: %s\\ncaCertHashes: [\"sha256:%s\"]\\n' \"{token_of}\" \"{hash}\" > /tmp/join; \
             kubeadm join --config /tmp/join"
        );
        assert_eq!(project.tried("control-01", &script).0, code, "{what}");
    }
}

#[test]
fn replicas_follow_with_the_right_password_only() {
    let project = example("database");
    project.built_with(&[
        "--secret-out",
        "id=app_password,dst=app.pw",
        "--secret-out",
        "id=replication_password,dst=replication.pw",
    ]);
    let (app, replication) = (project.local("app.pw"), project.local("replication.pw"));
    assert_eq!((app.trim_end().len(), replication.trim_end().len()), (24, 32));
    let login = |vm: &str, role: &str, password: &str| {
        project.tried(vm, &format!("printf '%s\\n' '{}' | dbctl login {role}", password.trim_end())).0
    };
    let primary = project.read("db-primary", "/var/lib/db/log");
    for replica in ["db-replica-1", "db-replica-2"] {
        assert_eq!(project.read(replica, "/var/lib/db/log"), primary);
        assert!(project.read(replica, "/var/lib/db/primary").ends_with(":5432\n"));
        assert_eq!(project.tried(replica, "dbctl write x").0, Some(1), "a replica is only read");
        // Roles have come with the backup.
        assert_eq!(login(replica, "app", &app), Some(0));
        assert_eq!(login(replica, "app", &replication), Some(2));
        // The passwords are nowhere in what a replica keeps.
        for password in [&app, &replication] {
            assert_eq!(
                project.tried(replica, &format!("grep -rqF '{}' /var/lib/db /root", password.trim_end())).0,
                Some(1)
            );
        }
    }
    let follow = |password: &str| {
        let script =
            format!("dbctl backup /tmp/b && mkdir -p /tmp/x && DB_PASSWORD={password} dbctl follow here /tmp/b");
        project.tried("db-replica-2", &script)
    };
    assert_eq!(follow(replication.trim_end()).0, Some(0));
    let (code, said) = follow("wrong");
    assert!(code == Some(2) && said.contains("password authentication failed for user replicator"), "{said}");
    // It has nothing now, and so fails its check: `up` makes another one, which the primary's password lets in.
    let before = project.machines();
    let up = project.done(&[
        "up",
        "--progress",
        "plain",
        "--secret",
        "id=root_password,cmd=echo guest-password",
        "--secret",
        "id=replication_password,src=replication.pw",
    ]);
    let now = project.machines();
    assert_ne!(now["db-replica-2"], before["db-replica-2"], "{up}");
    assert_eq!((&now["db-replica-1"], &now["db-primary"]), (&before["db-replica-1"], &before["db-primary"]), "{up}");
    assert_eq!(project.read("db-replica-2", "/var/lib/db/log"), primary);
}

#[test]
fn an_application_on_a_runtime_on_a_base() {
    let project = example("base-runtime-app");
    let outcomes = |built: &Built| ["base", "runtime"].map(|stage| built.result_of(stage));
    let first = project.built_with(&["--args", "dev.toml"]);
    assert_eq!(outcomes(&first), ["built", "built"]);
    project.has(&["layers-base", "layers-runtime", "app-dev-1"]);
    assert_eq!(project.read("app-dev-1", "/etc/layers"), "base\nruntime\napp\n");
    // Production takes the layers that there are, and differs where prod.toml says so.
    let prod = project.built_with(&["--args", "prod.toml"]);
    assert_eq!(outcomes(&prod), ["cached", "cached"], "{}", prod.run);
    project.has(&["app-dev-1", "app-prod-1", "app-prod-2", "app-prod-3"]);
    let conf = |vm: &str| project.read(vm, "/etc/app/app.conf");
    assert_eq!(conf("app-dev-1"), "APP_NAME=shop-1\nENVIRONMENT=dev\nLOG_LEVEL=debug\n");
    assert_eq!(conf("app-prod-3"), "APP_NAME=shop-3\nENVIRONMENT=prod\nLOG_LEVEL=warn\n");
    let tools = |vm: &str| project.tried(vm, "test -e /srv/app/debug-tools").0;
    assert_eq!((tools("app-dev-1"), tools("app-prod-1")), (Some(0), Some(1)));
    // A setting of the runtime: what lies below, and what was installed before the CHECKPOINT, isn't made again.
    project.write("runtime.vmwfile", &project.local("runtime.vmwfile").replace("THREADS=4", "THREADS=8"));
    let changed = project.built_with(&["--args", "dev.toml"]);
    assert_eq!(outcomes(&changed), ["cached", "built"], "{}", changed.run);
    let steps = changed.steps("runtime");
    assert!(steps.first().unwrap() == "cached" && steps.last().unwrap() == "done", "{steps:?}");
    assert_eq!(project.read("app-dev-1", "/etc/app/runtime.conf"), "THREADS=8\n");
    assert_eq!(project.read("app-prod-1", "/etc/app/runtime.conf"), "THREADS=4\n");
}

#[test]
fn a_large_bundle_is_installed_without_a_network() {
    let project = example("air-gapped");
    // What the repository lacks: 32 MiB that don't repeat.
    let mut state = 1_u64;
    let big: Vec<u8> = (0..32 << 17)
        .flat_map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_le_bytes()
        })
        .collect();
    let bundle = project.dir.path().join("bundle");
    std::fs::write(bundle.join("packages/big.pkg"), &big).unwrap();
    let sums = std::process::Command::new("sha256sum")
        .args(["install", "packages/agent.pkg", "packages/big.pkg", "packages/server.pkg"])
        .current_dir(&bundle)
        .output()
        .unwrap();
    std::fs::write(bundle.join("SHA256SUMS"), &sums.stdout).unwrap();
    project.built_with(&[]);
    let report = project.local("reports/report");
    assert!(report.contains(" of appliance\ninterfaces: lo \n"), "{report}");
    let digest = |name: &str| {
        let sums = String::from_utf8(sums.stdout.clone()).unwrap();
        sums.lines().find(|l| l.ends_with(name)).unwrap().split(' ').next().unwrap().to_owned()
    };
    for package in ["agent.pkg", "big.pkg", "server.pkg"] {
        assert!(report.contains(&format!("{}  ./{package}\n", digest(package))), "{package}: {report}");
    }
    assert_eq!(project.tried("appliance", "wc -c < /opt/product/big.pkg").1, format!("{}\n", 32 << 20));
    // A bundle of which one byte is another one isn't installed, and what was said comes out.
    project.destroy_off("appliance");
    let mut wrong = big;
    wrong[20 << 20] ^= 1;
    std::fs::write(bundle.join("packages/big.pkg"), &wrong).unwrap();
    let failed = project.try_build(&PASSWORD);
    assert_eq!(failed.run.code, Some(4), "{}", failed.run);
    let log = project.local("reports/install.log");
    assert!(log.contains("packages/big.pkg: FAILED") && !log.contains("installed"), "{log}");
    assert!(!project.machines().contains_key("appliance"));
}

impl Project {
    fn destroy_off(&self, name: &str) {
        self.power_off(name);
        self.destroy(name);
    }
}
