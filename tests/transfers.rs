//! Files on their way to guests and back: how long that may take, what is told meanwhile, and what stays of it. Guests of a
//! sandbox whose fault plan slows transfers down.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::embedded::*;
use common::{context, run, vmwbuild};
use vmwbuild::guest::{CopyContent, CopyEntry, Error, Guest, Job, Login, OnMoved, Options};
use vmwbuild::sandbox::{Rule, Sandbox};
use vmwbuild::vsphere::client::Client;

/// How long a guest may not answer.
const PATIENCE: Duration = Duration::from_secs(2);
const SIZE: usize = 24 << 20;

struct Bench {
    sandbox: Sandbox,
    client: Client,
    guest: Guest,
    here: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Bench {
        let (sandbox, client) = spoiled(Vec::new()).await;
        let vm = clone_of(&client, "linux", "one").await;
        boot(&client, &vm).await;
        let here = tempfile::tempdir().unwrap();
        let options = Options { patience: PATIENCE, ..Options::default() };
        let login = Login { user: "root".to_owned(), password: "any".to_owned() };
        let guest = Guest::open(&client, &vm, &login, options).await.unwrap();
        std::fs::write(here.path().join("big"), content()).unwrap();
        Bench { sandbox, client, guest, here }
    }

    fn inject(&self, rule: &str) {
        self.sandbox.inject(Rule::parse(rule).unwrap());
    }

    fn entry(&self) -> CopyEntry {
        let content = CopyContent::File(self.here.path().join("big"));
        CopyEntry { path: "/opt/big".to_owned(), content, mode: 0o644 }
    }

    async fn said(&self, script: &str) -> String {
        let mut job = Job::sh(0, script);
        job.capture = true;
        let end = self.guest.run(job).await.unwrap();
        String::from_utf8(end.captured.unwrap()).unwrap()
    }

    async fn end(self) {
        self.guest.cleanup().await.unwrap();
        self.client.logout().await.unwrap();
        self.sandbox.stop().await;
    }
}

fn content() -> Vec<u8> {
    (0..SIZE / 4).flat_map(|n| (n as u32).wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

/// What is told of a transfer: bytes so far, and in all.
type Told = Arc<Mutex<Vec<(u64, u64)>>>;

fn told() -> (Told, Option<OnMoved>) {
    let told = Told::default();
    let list = told.clone();
    (told, Some(Arc::new(move |moved, total| list.lock().unwrap().push((moved, total)))))
}

fn all_of(told: &Told) -> bool {
    let told = told.lock().unwrap();
    let grows = told.is_sorted_by(|a, b| a.0 < b.0);
    grows && told.len() > 2 && told.last().is_some_and(|(moved, total)| moved == total && *total >= SIZE as u64)
}

/// Six seconds at four megabytes a second, which is more than the guest may be silent.
#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_is_waited_for() {
    let bench = Bench::start().await;
    bench.inject("PUT:rate=4096");
    let (moved, on_moved) = told();
    bench.guest.copy_in(&[bench.entry()], None, None, on_moved).await.unwrap();
    assert!(all_of(&moved), "{:?}", moved.lock().unwrap().last());
    let work = bench.guest.work_directory().unwrap();
    let left = bench.said(&format!("find {work} -size +100k; ls -A /opt | grep vmwbuild; true")).await;
    assert_eq!(left, "", "what has arrived is where it belongs, and nowhere else");
    bench.inject("GET:rate=4096");
    let (moved, on_moved) = told();
    let back = bench.here.path().join("back");
    bench.guest.copy_out(&["/opt/big".to_owned()], &back, false, None, on_moved).await.unwrap();
    assert!(all_of(&moved), "{:?}", moved.lock().unwrap().last());
    assert!(std::fs::read(back).unwrap() == content());
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_stopped_is_given_up() {
    let bench = Bench::start().await;
    // Connections take some megabytes by themselves.
    std::fs::File::options().write(true).open(bench.here.path().join("big")).unwrap().set_len(64 << 20).unwrap();
    bench.inject("PUT:rate=0");
    let error = bench.guest.copy_in(&[bench.entry()], None, None, None).await.unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with("the transfer of /") && said.ends_with(" bytes over, got no further for 2s"), "{said}");
    assert_eq!(error.diagnostic().code.number, 905, "{said}");
    bench.guest.copy_in(&[bench.entry()], None, None, None).await.unwrap();
    bench.inject("GET:rate=0");
    let back = bench.here.path().join("back");
    let error = bench.guest.copy_out(&["/opt/big".to_owned()], &back, false, None, None).await.unwrap_err();
    assert!(error.to_string().ends_with(" bytes over, got no further for 2s"), "{error}");
    assert!(!back.exists());
    bench.end().await;
}

/// The file's own trouble isn't taken for the network's.
#[tokio::test(flavor = "multi_thread")]
async fn what_cant_be_read_is_told_as_that() {
    let bench = Bench::start().await;
    let directory = CopyContent::File(bench.here.path().to_owned());
    let unreadable = CopyEntry { path: "/opt/other".to_owned(), content: directory, mode: 0o644 };
    let error = bench.guest.copy_in(&[bench.entry(), unreadable], None, None, None).await.unwrap_err();
    let path = bench.here.path().display().to_string();
    assert!(matches!(&error, Error::Local { path: of, .. } if *of == path), "{error:?}");
    assert_eq!(bench.said("ls /opt").await.lines().filter(|name| *name == "big").count(), 0);
    // Transfers work, as the next one shows.
    bench.inject("PUT:rate=102400");
    bench.guest.copy_in(&[bench.entry()], None, None, None).await.unwrap();
    assert_eq!(bench.sandbox.requests().get("PUT guestFile"), Some(&2));
    bench.end().await;
}

/// Whoever watches a build sees how far it is.
#[test]
fn a_build_tells_how_far_a_copy_is() {
    let text = "FROM linux AS app\nOUTPUT NONE\nCOPY big /opt/big\nFETCH /opt/big back\n";
    let dir = context(&[("VMWfile", text.as_bytes()), ("big", &content())]);
    let mut command = vmwbuild(dir.path());
    command.args([
        "build",
        "--sandbox",
        "--events",
        "events",
        "--fault",
        "PUT:rate=16384",
        "--fault",
        "GET:rate=16384",
    ]);
    let done = run(&mut command, Duration::from_secs(60));
    assert_eq!(done.code, Some(0), "{done}");
    assert!(std::fs::read(dir.path().join("back")).unwrap() == content());
    let events = events(&dir.path().join("events"));
    for step in [1, 2] {
        let at = |name: &str| events.iter().position(|e| e["event"] == name && e["step"] == step).unwrap();
        let within = events.get(at("step-started")..at("step-finished")).unwrap();
        let percents: Vec<u64> = within.iter().filter_map(|e| e["percent"].as_u64()).collect();
        assert!(percents.len() > 3 && percents.is_sorted() && percents.last() == Some(&100), "{step}: {percents:?}");
    }
}

fn events(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
