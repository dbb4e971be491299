//! The scripts, run for real by the shells of this machine. Only the way there is another: a program is started here,
//! not by VMware Tools.

mod bare;
mod ends;
mod files;
mod first;
mod jobs;
mod output;
mod resume;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::wire::{Incoming, Listing, Program};
use super::*;
use crate::vsphere::client::Source;

/// This machine as a guest. The programs are started as Tools do: by a shell, with no environment but the one given.
#[derive(Default)]
pub(super) struct Local {
    /// Programs started so far.
    pub started: AtomicUsize,
    /// Listings so far.
    pub listed: AtomicUsize,
    /// Whether transfers fail.
    pub no_transfers: bool,
    /// The only directory in which programs are found.
    pub path: Option<String>,
    /// A home directory, for users that no shell knows.
    pub home: Option<String>,
}

impl Local {
    pub fn start(&self, program: &Program) -> Result<()> {
        self.started.fetch_add(1, Ordering::Relaxed);
        let size: usize = program.arguments.len() + program.env.iter().map(String::len).sum::<usize>();
        assert!(size < 64 << 10, "{size} bytes in one request");
        for value in &program.env {
            assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || "_+/=.,:@%-".contains(c)), "{value}");
        }
        let mut child = Command::new("/bin/bash")
            .arg("-c")
            .arg(format!("\"{}\" {}", program.path, program.arguments))
            .env_clear()
            .envs(program.env.iter().filter_map(|v| v.split_once('=')))
            .envs(self.path.iter().map(|path| ("PATH", path)))
            .envs(self.home.iter().map(|home| ("HOME", home)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash");
        std::thread::spawn(move || child.wait());
        Ok(())
    }

    pub fn list(&self, directory: &str) -> Listing {
        self.listed.fetch_add(1, Ordering::Relaxed);
        match fs::read_dir(directory) {
            Ok(entries) => Listing::Names(
                entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect(),
            ),
            Err(_) => Listing::Missing,
        }
    }

    pub fn upload(&self, path: &str, source: &Source) -> Result<Option<String>> {
        if self.no_transfers {
            return Ok(Some("no route to host".to_owned()));
        }
        match source {
            Source::Bytes(bytes) => fs::write(path, bytes).expect("written"),
            Source::Made(content) => content.write(&mut fs::File::create(path).expect("a file")).expect("written"),
        }
        Ok(None)
    }

    pub fn download(&self, path: &str) -> Result<std::result::Result<Incoming, String>> {
        if self.no_transfers {
            return Ok(Err("no route to host".to_owned()));
        }
        Ok(Ok(Incoming::Local(fs::File::open(PathBuf::from(path)).expect("a file"))))
    }
}

/// A shell of this machine by a path whose last part is `sh`: what a guest has as `/bin/sh`.
struct Shell {
    name: &'static str,
    path: String,
    /// A number that no other shell has.
    number: u32,
    _dir: tempfile::TempDir,
}

/// Those that guests have. A missing one fails the tests, lest they pass without.
fn shells() -> Vec<Shell> {
    (1..)
        .zip(["dash", "bash", "busybox"])
        .map(|(number, name)| {
            let found = ["/bin", "/usr/bin"].iter().map(|d| format!("{d}/{name}")).find(|p| fs::metadata(p).is_ok());
            let found = found.unwrap_or_else(|| panic!("{name} is needed: apt-get install {name}"));
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("sh");
            std::os::unix::fs::symlink(found, &path).expect("a link");
            Shell { name, path: path.to_str().expect("text").to_owned(), number, _dir: dir }
        })
        .collect()
}

fn me() -> String {
    let id = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8(id.stdout).expect("text").trim().to_owned()
}

fn login() -> Login {
    Login { user: me(), password: "irrelevant".to_owned() }
}

/// A guest that nothing has been sent to.
fn fresh(sh: &str, channel: Channel, local: Local) -> Guest {
    let options = Options { channel, grace: Duration::from_secs(1), ..Options::default() };
    Guest::over(Wire::Local(local), sh, &login(), options).expect("a guest")
}

fn local(guest: &Guest) -> &Local {
    match &guest.wire {
        Wire::Local(local) => local,
        Wire::Remote(_) => panic!("local"),
    }
}

/// Requests so far.
fn requests(guest: &Guest) -> usize {
    local(guest).started.load(Ordering::Relaxed) + local(guest).listed.load(Ordering::Relaxed)
}

/// The work directory.
async fn work(guest: &Guest) -> String {
    guest.settled().await.expect("known").facts().work.clone()
}

/// Runs a test with each shell, side by side.
fn with_shells(test: impl AsyncFn(&Shell) + Sync) {
    std::thread::scope(|scope| {
        for shell in shells() {
            let test = &test;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
                runtime.expect("a runtime").block_on(test(&shell));
            });
        }
    });
}

/// Runs a test in a guest of each shell; nothing may be left there.
fn each_shell(test: impl AsyncFn(&Guest, &Shell) + Sync) {
    each_shell_with(Channel::Auto, false, test);
}

fn each_shell_with(channel: Channel, no_transfers: bool, test: impl AsyncFn(&Guest, &Shell) + Sync) {
    with_shells(async |shell| {
        let guest = fresh(&shell.path, channel, Local { no_transfers, ..Local::default() });
        test(&guest, shell).await;
        let work = work(&guest).await;
        guest.cleanup().await.expect("cleaned");
        assert!(fs::metadata(&work).is_err(), "{work} is left");
        let meeting = unix::meeting_place(&guest.state().meeting);
        assert!(fs::metadata(&meeting).is_err(), "{meeting} is left");
    });
}

/// All that a batch said.
#[derive(Default)]
struct Said {
    out: Vec<u8>,
    err: Vec<u8>,
    omitted: u64,
    events: Vec<String>,
}

async fn run(guest: &Guest, jobs: &[Job]) -> (BatchOutcome, Said) {
    let mut said = Said::default();
    let outcome = guest
        .run_batch(jobs, &mut |event| match event {
            Event::Output { stream: Stream::Out, bytes, .. } => said.out.extend(bytes),
            Event::Output { stream: Stream::Err, bytes, .. } => said.err.extend(bytes),
            Event::Omitted { bytes, .. } => said.omitted += bytes,
            Event::Finished { id, exit, success, .. } => said.events.push(format!("{id}: {exit}, {success}")),
            Event::Started { id } => said.events.push(format!("{id} begins")),
            Event::Retrying { id, attempt, exit } => said.events.push(format!("{id}: attempt {attempt}: {exit}")),
            Event::Note(note) => said.events.push(note),
            Event::Placed(_) => {}
        })
        .await
        .expect("the batch runs");
    (outcome, said)
}

async fn out(guest: &Guest, job: Job) -> String {
    let (outcome, said) = run(guest, &[job]).await;
    let end = &outcome.ends[0];
    assert!(end.success, "{}: {}", end.exit, String::from_utf8_lossy(&said.err));
    String::from_utf8(said.out).expect("text")
}

/// Whether processes have this in their arguments.
fn left(what: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if name.parse::<u32>().is_ok() && line.contains(what) {
            found.push(format!("{name}: {line}"));
        }
    }
    found
}

#[test]
fn errors_are_told_with_their_next_step() {
    use crate::diagnostic::{Style, render};
    let sources = crate::source::Sources::default();
    let said = |error: Error| render(&error.diagnostic(), &sources, Style::plain());
    insta::assert_snapshot!(said(Error::Login {
        user: "root".into(),
        tried: Duration::from_secs(60),
        detail: "InvalidGuestLogin".into(),
    }));
    insta::assert_snapshot!(said(Error::NoTransfer {
        what: "sending 99 bytes".into(),
        detail: "connection refused".into(),
    }));
    insta::assert_snapshot!(said(Error::RunAs {
        login: "ops".into(),
        user: "root".into(),
        why: NoWay::Nothing,
        said: String::new(),
    }));
}
