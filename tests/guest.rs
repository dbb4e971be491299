//! Commands and files in guests of the vCenter simulator, through the real client.

mod common;

use std::time::{Duration, Instant};

use common::{Vcsim, embedded};
use vmwbuild::guest::{
    Body, Channel, CopyContent, CopyEntry, Error, Event, Exit, Guest, Job, Login, Options, RunAs, Standing, Stream,
    Ticket,
};
use vmwbuild::vsphere::client::{Client, Deadline, Endpoint, EntityKind, Thumbprint};
use vmwbuild::vsphere::wire::Moref;

/// A simulator, one machine that runs in it, and a session.
struct Bench {
    vcsim: Vcsim,
    client: Client,
    vm: Moref,
}

impl Bench {
    async fn start(args: &[&str]) -> Option<Self> {
        let vcsim = Vcsim::start(args)?;
        vcsim.govc(&["vm.clone", "-vm", "debian-template", "-pool", "DC0_C0/Resources", "-on=false", "one"]);
        vcsim.govc(&["vm.power", "-on", "one"]);
        let client = connect(endpoint(&vcsim)).await;
        let inventory = client.inventory().await.expect("an inventory");
        let vm = inventory.find(EntityKind::Vm, "one", None).expect("the machine").moref.clone();
        Some(Bench { vcsim, client, vm })
    }

    async fn open(&self, channel: Channel) -> Guest {
        let options = Options { channel, grace: Duration::from_secs(1), ..Options::default() };
        Guest::open(&self.client, &self.vm, &login(), options).await.expect("the guest opens")
    }

    /// Requests since the last time.
    fn requests(&self) -> u64 {
        self.vcsim.requests(true).values().sum()
    }

    async fn end(self, guest: Guest) {
        guest.cleanup().await.expect("cleaned");
        self.client.logout().await.expect("logged out");
        let left = self
            .vcsim
            .guest_run("one", "ls -Ad /root/.vmwbuild* /tmp/.vmwbuild* /var/tmp/.vmwbuild* 2>/dev/null; true");
        assert_eq!(left, "", "left in the guest");
    }
}

fn endpoint(vcsim: &Vcsim) -> Endpoint {
    let mut endpoint = Endpoint::parse(&vcsim.ready.url).expect("a URL");
    endpoint.username = vcsim.ready.username.clone();
    endpoint.password = vcsim.ready.password.clone();
    endpoint.trust.thumbprints = vec![Thumbprint::parse(&vcsim.ready.thumbprint_sha256).expect("a thumbprint")];
    endpoint
}

async fn connect(endpoint: Endpoint) -> Client {
    Client::connect(endpoint, Deadline::after(Duration::from_secs(60))).await.expect("a session")
}

fn login() -> Login {
    Login { user: "root".to_owned(), password: "guest-password".to_owned() }
}

async fn outputs(guest: &Guest, jobs: &[Job]) -> (String, Vec<Exit>, Vec<String>) {
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let outcome = guest
        .run_batch(jobs, &mut |event| match event {
            Event::Output { stream: Stream::Out, bytes, .. } => out.extend(bytes),
            Event::Note(note) => notes.push(note),
            _ => {}
        })
        .await
        .expect("the batch runs");
    (String::from_utf8(out).expect("text"), outcome.ends.iter().map(|end| end.exit).collect(), notes)
}

#[tokio::test]
async fn small_commands_cost_few_requests_and_little_time() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let began = Instant::now();
    bench.requests();
    let guest = bench.open(Channel::Auto).await;
    println!("open: {:?}, {} requests", began.elapsed(), bench.requests());
    let mut fewest = u64::MAX;
    for round in 0..3 {
        let began = Instant::now();
        let (out, exits, _) = outputs(&guest, &[Job::sh(1, "echo hello from $(id -un)")]).await;
        let counts = bench.vcsim.requests(true);
        let (requests, looks) = (counts.values().sum::<u64>(), counts.get("ListFilesInGuest").copied().unwrap_or(0));
        println!("1 command: {:?}, {requests} requests", began.elapsed());
        assert_eq!((out.as_str(), exits), ("hello from root\n", vec![Exit::Code(0)]));
        // On a busy machine a command takes longer, and is looked for more often.
        assert!(requests - looks <= 3, "round {round}: {counts:?}");
        fewest = fewest.min(requests);
    }
    assert!(fewest <= 4, "{fewest} requests for one command");
    let jobs: Vec<Job> = (0..20).map(|n| Job::sh(n, format!("echo {n}"))).collect();
    for _ in 0..3 {
        let began = Instant::now();
        let (out, exits, _) = outputs(&guest, &jobs).await;
        let requests = bench.requests();
        println!("20 commands: {:?}, {requests} requests", began.elapsed());
        assert_eq!(out, (0..20).map(|n| format!("{n}\n")).collect::<String>());
        assert_eq!(exits, vec![Exit::Code(0); 20]);
        assert!(requests < 10, "{requests} requests for 20 commands");
    }
    bench.end(guest).await;
}

#[tokio::test]
async fn commands_end_as_they_end() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let guest = bench.open(Channel::Auto).await;
    for (script, exit) in [("exit 3", Exit::Code(3)), ("kill -KILL $$", Exit::Signal(9)), ("exit 137", Exit::Code(137))]
    {
        let (_, exits, _) = outputs(&guest, &[Job::sh(1, script), Job::sh(2, "echo never")]).await;
        assert_eq!(exits, vec![exit], "{script}");
    }
    let mut job = Job::sh(1, "(setsid sleep 4711.5 &) ; echo begun; sleep 4712.5");
    job.timeout = Some(Duration::from_secs(1));
    let (out, exits, _) = outputs(&guest, &[job]).await;
    assert_eq!((out.as_str(), exits), ("begun\n", vec![Exit::TimedOut]));
    // The pattern doesn't find the command that looks.
    let sleeps = bench
        .vcsim
        .guest_run("one", "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline | grep '^sleep 47[1]'; done; true");
    assert_eq!(sleeps, "");
    let (out, exits, _) = outputs(&guest, &[Job::sh(1, "cat; sleep 200 & echo back")]).await;
    assert_eq!((out.as_str(), exits), ("back\n", vec![Exit::Code(0)]));
    let mut job = Job::sh(1, "id -un; echo $HOME");
    job.run_as = Some(RunAs::new("nobody"));
    let (out, _, _) = outputs(&guest, &[job]).await;
    assert_eq!(out, "nobody\n/nonexistent\n");
    bench.end(guest).await;
}

#[tokio::test]
async fn files_and_large_output_by_either_channel() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let here = tempfile::tempdir().expect("a directory");
    let big: Vec<u8> = (0..5_000_000u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()).collect();
    let local = here.path().join("big");
    for (channel, size) in [(Channel::Auto, big.len()), (Channel::Vcenter, 300_000)] {
        let guest = bench.open(channel).await;
        let content = big.get(..size).expect("enough");
        std::fs::write(&local, content).expect("written");
        let entries = [
            CopyEntry { path: "/srv/a b/it's".into(), content: CopyContent::Bytes(b"x\0y".to_vec()), mode: 0o640 },
            CopyEntry { path: "/srv/empty".into(), content: CopyContent::Bytes(vec![]), mode: 0o600 },
            CopyEntry { path: "/srv/big".into(), content: CopyContent::File(local.clone()), mode: 0o644 },
        ];
        let began = Instant::now();
        bench.requests();
        guest.copy_in(&entries, Some("nobody:daemon"), None, None).await.expect("copied");
        println!("{channel:?}: {size} bytes in: {:?}, {} requests", began.elapsed(), bench.requests());
        let (out, _, _) =
            outputs(&guest, &[Job::sh(1, "stat -c '%s %a %U %G' '/srv/a b/it'\"'s\" /srv/empty /srv/big")]).await;
        assert_eq!(out, format!("3 640 nobody daemon\n0 600 nobody daemon\n{size} 644 nobody daemon\n"));
        let began = Instant::now();
        bench.requests();
        let fetched = here.path().join("fetched");
        guest.copy_out(&["/srv/big".into()], &fetched, false, None, None).await.expect("fetched");
        println!("{channel:?}: {size} bytes out: {:?}, {} requests", began.elapsed(), bench.requests());
        assert!(std::fs::read(&fetched).expect("there") == content);
        let (mut size, mut omitted) = (0, 0);
        let began = Instant::now();
        guest
            .run_batch(&[Job::sh(1, "head -c 52428800 /dev/zero")], &mut |event| match event {
                Event::Output { bytes, .. } => size += bytes.len() as u64,
                Event::Omitted { bytes, .. } => omitted += bytes,
                _ => {}
            })
            .await
            .expect("it runs");
        println!(
            "{channel:?}: 50 MB of output: {:?}, {size} and {omitted} omitted, {} requests",
            began.elapsed(),
            bench.requests()
        );
        assert_eq!(size + omitted, 52_428_800);
        assert_eq!(omitted == 0, channel == Channel::Auto);
        guest.cleanup().await.expect("cleaned");
    }
    let guest = bench.open(Channel::Auto).await;
    bench.end(guest).await;
}

#[tokio::test]
async fn transfers_that_fail_are_done_without() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let guest = bench.open(Channel::Auto).await;
    bench.vcsim.control("POST", "/status?method=PUT%20guestFile&code=503&count=0");
    bench.vcsim.control("POST", "/status?method=GET%20guestFile&code=503&count=0");
    let entry = CopyEntry { path: "/srv/f".into(), content: CopyContent::Bytes(vec![7; 300_000]), mode: 0o644 };
    guest.copy_in(&[entry], None, None, None).await.expect("copied all the same");
    let (out, _, notes) = outputs(&guest, &[Job::sh(1, "wc -c </srv/f")]).await;
    assert_eq!((out.as_str(), notes.len()), ("300000\n", 1));
    let guest2 = bench.open(Channel::Auto).await;
    let (out, exits, notes) = outputs(&guest2, &[Job::sh(1, "head -c 200000 /dev/zero | tr '\\0' x")]).await;
    assert_eq!((out.len(), exits, notes.len()), (200_000, vec![Exit::Code(0)], 1), "{notes:?}");
    guest2.cleanup().await.expect("cleaned");
    bench.vcsim.control("POST", "/clear");
    bench.end(guest).await;
}

#[tokio::test]
async fn faults_are_survived_or_told() {
    let Some(bench) = Bench::start(&["-guest-password", "guest-password"]).await else { return };
    let wrong = Login { user: "root".to_owned(), password: "wrong".to_owned() };
    let refused =
        Guest::open(&bench.client, &bench.vm, &wrong, Options::default()).await.expect("nothing is asked yet");
    let error = refused.run(Job::sh(1, "true")).await.err().expect("refused");
    assert!(matches!(error, Error::Login { .. }), "{error}");
    assert_eq!(error.to_string(), "the guest refuses user `root` and the password given");
    bench.requests();
    refused.cleanup().await.expect("nothing to do");
    assert_eq!(bench.requests(), 0, "nothing was begun");
    let guest = bench.open(Channel::Auto).await;
    // Neither Tools that don't answer for a while nor a lost reply run a command twice, or not at all.
    bench.vcsim.control("POST", "/fault?method=StartProgramInGuest&type=GuestOperationsUnavailable&count=2");
    bench.vcsim.control("POST", "/fault?method=ListFilesInGuest&type=GuestOperationsUnavailable&count=3&skip=1");
    let (out, exits, _) = outputs(&guest, &[Job::sh(1, "echo x >>/root/count; sleep 1; wc -l </root/count")]).await;
    assert_eq!((out.as_str(), exits), ("1\n", vec![Exit::Code(0)]));
    bench.vcsim.control("POST", "/drop?method=StartProgramInGuest&after=1");
    let (out, exits, _) = outputs(&guest, &[Job::sh(1, "echo x >>/root/count; sleep 1; wc -l </root/count")]).await;
    assert_eq!((out.as_str(), exits), ("2\n", vec![Exit::Code(0)]));
    bench.vcsim.control("POST", "/clear");
    bench.vcsim.control("POST", "/expire");
    let (out, _, _) = outputs(&guest, &[Job::sh(1, "echo again")]).await;
    assert_eq!(out, "again\n");
    bench.end(guest).await;
}

#[tokio::test]
async fn a_cancelled_batch_leaves_nothing() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let guest = bench.open(Channel::Auto).await;
    let jobs = [Job::sh(1, "(setsid sleep 4713.5 &); sleep 4714.5"), Job::new(2, Body::Exec(vec!["true".into()]))];
    let (began, begun) = tokio::sync::oneshot::channel();
    let mut began = Some(began);
    {
        let mut on_event = |event| {
            if let (Event::Started { .. }, Some(began)) = (event, began.take()) {
                let _ = began.send(());
            }
        };
        tokio::select! {
            _ = guest.run_batch(&jobs, &mut on_event) => panic!("it ended by itself"),
            _ = begun => {}
        }
    }
    guest.kill_all().await.expect("killed");
    let sleeps = bench
        .vcsim
        .guest_run("one", "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline | grep '^sleep 471'; done; true");
    assert_eq!(sleeps, "");
    bench.end(guest).await;
}

/// Starts a batch through one session and drops all of it in the middle of the first job; the ticket as it was written down.
async fn begin_and_vanish(endpoint: Endpoint, vm: &Moref, jobs: &[Job]) -> Ticket {
    let client = connect(endpoint).await;
    let guest = Guest::open(&client, vm, &login(), Options::default()).await.expect("the guest opens");
    let batch = guest.prepare(jobs).expect("prepared");
    let written = serde_json::to_string(batch.ticket()).expect("written");
    let (began, begun) = tokio::sync::oneshot::channel();
    let mut began = Some(began);
    let mut on_event = |event| {
        if let (Event::Output { .. }, Some(began)) = (event, began.take()) {
            let _ = began.send(());
        }
    };
    tokio::select! {
        _ = guest.run_prepared(&batch, &mut on_event) => panic!("it ended by itself"),
        _ = begun => {}
    }
    serde_json::from_str(&written).expect("read")
}

/// A batch whose client dies is gone on with by the next: everything arrives once, and ran once.
async fn another_client_goes_on(endpoint: impl Fn() -> Endpoint, vm: &Moref) {
    let mut secret = Job::sh(2, "echo hidden-Zq7");
    (secret.capture, secret.secret) = (true, true);
    let first =
        "echo x >>/root/count; echo one; until [ -e /root/go ]; do sleep 0.1; done; head -c 200000 /dev/zero; exit 7";
    let mut first = Job::sh(1, first);
    first.ok = vec![7];
    let jobs = [first, secret, Job::sh(3, "wc -l </root/count; exit 9"), Job::sh(4, "echo never")];
    let ticket = begin_and_vanish(endpoint(), vm, &jobs).await;
    let client = connect(endpoint()).await;
    let attached = Guest::attach(&client, vm, &login(), Options::default(), &ticket).await.expect("attached");
    assert_eq!(attached.standing, Standing::Begun);
    // Guest operations are not ours alone: what lets it go on comes by another way.
    let other = Guest::open(&client, vm, &login(), Options::default()).await.expect("the guest opens");
    assert!(other.run(Job::sh(1, "true >/root/go")).await.expect("it runs").success);
    for _ in 0..2 {
        let (mut out, mut ends) = (Vec::new(), Vec::new());
        let mut on_event = |event| match event {
            Event::Output { stream: Stream::Out, bytes, .. } => out.extend(bytes),
            Event::Finished { id, exit, .. } => ends.push((id, exit)),
            _ => {}
        };
        let outcome = attached.guest.follow(&ticket, 0, &mut on_event).await.expect("an end");
        assert_eq!(ends, [(1, Exit::Code(7)), (2, Exit::Code(0)), (3, Exit::Code(9))]);
        let want: Vec<u8> = [b"one\n".as_slice(), &[0; 200_000], b"1\n"].concat();
        assert!(out == want, "{} bytes of {}", out.len(), want.len());
        assert_eq!(outcome.ends[1].captured.as_deref(), Some(b"hidden-Zq7\n".as_slice()));
    }
    // One that was never sent is not found, and its turn is over.
    let late = attached.guest.prepare(&[Job::sh(1, "echo late >>/root/count")]).expect("prepared");
    let next = Guest::attach(&client, vm, &login(), Options::default(), late.ticket()).await.expect("attached");
    assert_eq!(next.standing, Standing::NeverStarted);
    let outcome = attached.guest.run_prepared(&late, &mut |_| {}).await.expect("an end");
    assert_eq!(outcome.ends.iter().map(|end| end.exit).collect::<Vec<_>>(), [Exit::Killed]);
    let end = next.guest.read_file("/root/count", 100, None).await.expect("read");
    assert_eq!(end, b"x\n");
    for guest in [&next.guest, &other] {
        guest.cleanup().await.expect("cleaned");
    }
    client.logout().await.expect("logged out");
}

#[tokio::test]
async fn another_client_goes_on_in_the_simulator() {
    let Some(bench) = Bench::start(&[]).await else { return };
    another_client_goes_on(|| endpoint(&bench.vcsim), &bench.vm).await;
    let guest = bench.open(Channel::Auto).await;
    bench.end(guest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_goes_on_in_the_sandbox() {
    let sandbox = vmwbuild::sandbox::Sandbox::start(embedded::config()).await.expect("a sandbox");
    let client = embedded::connect(&sandbox).await;
    let vm = embedded::clone_of(&client, "linux", "one").await;
    embedded::boot(&client, &vm).await;
    another_client_goes_on(|| embedded::endpoint(&sandbox), &vm).await;
    client.logout().await.expect("logged out");
}

/// An archive of one entry, its name unchecked.
fn archive(kind: tar::EntryType, name: &str, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header, content).expect("appended");
    tar.into_inner().expect("an archive")
}

/// A guest whose tar sends what it likes.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_cannot_write_where_it_was_not_asked_to() {
    let sandbox = vmwbuild::sandbox::Sandbox::start(embedded::config()).await.expect("a sandbox");
    let client = embedded::connect(&sandbox).await;
    let vm = embedded::clone_of(&client, "linux", "one").await;
    embedded::boot(&client, &vm).await;
    let guest = Guest::open(&client, &vm, &login(), Options::default()).await.expect("the guest opens");
    let here = tempfile::tempdir().expect("a directory");
    let victim = here.path().join("victim");
    std::fs::write(&victim, "whole").expect("written");
    let dest = here.path().join("dest");
    std::fs::create_dir(&dest).expect("made");
    // A file that grows while it is packed is fetched all the same.
    let grows = "(while [ ! -e /srv/enough ]; do echo more; done >>/srv/log) >/dev/null 2>&1 & \
                 until [ -s /srv/log ]; do sleep 0.05; done";
    assert!(guest.run(Job::sh(1, grows)).await.expect("it runs").success);
    guest.copy_out(&["/srv/log".into()], &dest, true, None, None).await.expect("fetched");
    assert!(guest.run(Job::sh(1, "true >/srv/enough")).await.expect("it runs").success);
    assert!(std::fs::read_to_string(dest.join("log")).expect("there").starts_with("more\nmore\n"));
    std::fs::remove_file(dest.join("log")).expect("removed");
    let tar = "#!/bin/sh\ncase $1 in c*) cat /srv/evil >\"$2\" ;; *) exec /usr/bin/tar \"$@\" ;; esac\n";
    let put = async |path: &str, bytes: Vec<u8>, mode| {
        let entry = CopyEntry { path: path.to_owned(), content: CopyContent::Bytes(bytes), mode };
        guest.copy_in(&[entry], None, None, None).await.expect("copied");
    };
    put("/usr/local/bin/tar", tar.as_bytes().to_vec(), 0o755).await;
    let (file, link) = (tar::EntryType::Regular, tar::EntryType::Symlink);
    let root = victim.components().nth(1).expect("a directory").as_os_str().to_str().expect("text").to_owned();
    let asked = victim.to_str().expect("text").to_owned();
    assert!(
        guest
            .run(Job::sh(1, format!("mkdir -p {0}; echo x >{asked}", here.path().display())))
            .await
            .expect("it runs")
            .success
    );
    for evil in [
        archive(link, &format!("./{root}"), &format!("/{root}"), b""),
        archive(link, &format!(".{asked}"), &asked, b""),
        archive(file, &asked, "", b"evil"),
        archive(file, "../victim", "", b"evil"),
        archive(file, "../../victim", "", &[7; 100_000]),
        b"no archive at all".to_vec(),
        Vec::new(),
    ] {
        put("/srv/evil", evil, 0o644).await;
        let error = guest.copy_out(std::slice::from_ref(&asked), &dest, true, None, None).await.expect_err("refused");
        assert!(matches!(error, Error::Copy { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&victim).expect("there"), "whole", "{error}");
        assert_eq!(std::fs::read_dir(&dest).expect("a list").count(), 0, "{error}");
        assert_eq!(std::fs::read_dir(here.path()).expect("a list").count(), 2, "{error}");
    }
    guest.cleanup().await.expect("cleaned");
    client.logout().await.expect("logged out");
}

/// What this process holds in memory, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") >> 10
}

#[tokio::test(flavor = "multi_thread")]
async fn output_of_any_length_costs_no_memory_and_few_requests() {
    // In a process of its own, for what is measured is this process' memory, and the tests beside this use some.
    let name = "output_of_any_length_costs_no_memory_and_few_requests";
    if std::env::var_os("VMWBUILD_TEST_ALONE").is_none() {
        let alone = std::process::Command::new(std::env::current_exe().expect("a program"))
            .args(["--exact", name, "--nocapture"])
            .env("VMWBUILD_TEST_ALONE", "1")
            .status()
            .expect("it starts");
        assert!(alone.success(), "alone, it ended with {alone}");
        return;
    }
    let sandbox = vmwbuild::sandbox::Sandbox::start(embedded::config()).await.expect("a sandbox");
    let client = embedded::connect(&sandbox).await;
    let vm = embedded::clone_of(&client, "linux", "one").await;
    embedded::boot(&client, &vm).await;
    let guest = Guest::open(&client, &vm, &login(), Options::default()).await.expect("the guest opens");
    let jobs = [
        Job::sh(1, "head -c 209715200 /dev/zero"),
        Job::sh(2, "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); echo $i; done"),
    ];
    let (before, asked, began) = (resident(), client.requests().total, Instant::now());
    let (mut zeros, mut lines, mut most) = (0, Vec::new(), 0);
    let outcome = guest
        .run_batch(&jobs, &mut |event| match event {
            Event::Output { id: 1, bytes, .. } => {
                assert!(bytes.len() <= 65536 && bytes.iter().all(|byte| *byte == 0));
                zeros += bytes.len();
                most = most.max(resident());
            }
            Event::Output { id: 2, bytes, .. } => lines.extend(bytes),
            Event::Placed(_) | Event::Started { .. } | Event::Finished { .. } => {}
            other => panic!("{other:?}"),
        })
        .await
        .expect("an end");
    let (requests, took) = (client.requests().total - asked, began.elapsed());
    println!("200 MB and 100,000 lines: {took:?}, {requests} requests, {before} MiB before and {most} MiB at most");
    assert!(outcome.ends.len() == 2 && outcome.ends.iter().all(|end| end.success));
    assert_eq!(zeros, 209_715_200);
    assert!(lines == (1..=100_000).flat_map(|n| format!("{n}\n").into_bytes()).collect::<Vec<u8>>());
    assert!(most < before + 64, "{before} MiB before, {most} MiB at most");
    // Each file of 8 MiB takes two; listings are so many a second at most.
    assert!((requests as f64) < 100.0 + 8.0 * took.as_secs_f64(), "{requests} requests in {took:?}");
    guest.cleanup().await.expect("cleaned");
    client.logout().await.expect("logged out");
}
