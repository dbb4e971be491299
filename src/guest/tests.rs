//! The scripts, run for real by the shells of this machine. Only the way there is another: a program is started here,
//! not by VMware Tools.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::wire::{Incoming, Listing, Program};
use crate::vsphere::client::Source;

/// This machine as a guest. The programs are started as Tools do: by a shell, with no environment but the one given.
pub(super) struct Local {
    /// Of the guest's user, for a machine where we are somebody else.
    pub started: AtomicUsize,
    /// Listings so far.
    pub listed: AtomicUsize,
    /// Whether transfers fail.
    pub no_transfers: bool,
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
            Source::File(file) => drop(fs::copy(file, path).expect("copied")),
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

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;

/// A shell of this machine by a path whose last part is `sh`: what a guest has as `/bin/sh`.
struct Shell {
    name: &'static str,
    path: String,
    _dir: tempfile::TempDir,
}

/// Those that guests have. A missing one fails the tests, lest they pass without.
fn shells() -> Vec<Shell> {
    ["dash", "bash", "busybox"]
        .into_iter()
        .map(|name| {
            let found = ["/bin", "/usr/bin"].iter().map(|d| format!("{d}/{name}")).find(|p| fs::metadata(p).is_ok());
            let found = found.unwrap_or_else(|| panic!("{name} is needed: apt-get install {name}"));
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("sh");
            std::os::unix::fs::symlink(found, &path).expect("a link");
            Shell { name, path: path.to_str().expect("text").to_owned(), _dir: dir }
        })
        .collect()
}

fn me() -> String {
    let id = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8(id.stdout).expect("text").trim().to_owned()
}

async fn open_with(sh: &str, channel: Channel, no_transfers: bool) -> Guest {
    let local = Local { started: AtomicUsize::new(0), listed: AtomicUsize::new(0), no_transfers };
    let login = Login { user: me(), password: "irrelevant".to_owned() };
    let options = Options { channel, grace: Duration::from_secs(1), ..Options::default() };
    Guest::look(Wire::Local(local), sh, &login, options, None).await.expect("open").0
}

/// Runs a test against each shell.
fn each_shell(test: impl AsyncFn(&Guest, &Shell)) {
    for shell in shells() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let guest = open_with(&shell.path, Channel::Auto, false).await;
            let work = guest.os.facts().work.clone();
            test(&guest, &shell).await;
            guest.cleanup().await.expect("cleaned");
            assert!(fs::metadata(&work).is_err(), "{work} is left");
        });
    }
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

#[test]
fn jobs_report_in_order_with_streams_apart() {
    each_shell(async |guest, shell| {
        let jobs =
            [Job::sh(7, "echo one; echo 'to err' >&2"), Job::sh(8, "echo two; exit 3"), Job::sh(9, "echo never")];
        let (outcome, said) = run(guest, &jobs).await;
        assert_eq!(String::from_utf8_lossy(&said.out), "one\ntwo\n", "{}", shell.name);
        assert_eq!(String::from_utf8_lossy(&said.err), "to err\n");
        assert_eq!(said.events, ["7 begins", "7: exit code 0, true", "8 begins", "8: exit code 3, false"]);
        assert_eq!(outcome.failed(&jobs).map(|end| end.id), Some(8));
    });
}

#[test]
fn allowed_failures_and_other_codes_go_on() {
    each_shell(async |guest, _| {
        let mut allowed = Job::sh(1, "exit 4");
        allowed.allow_failure = true;
        let mut other = Job::sh(2, "exit 5");
        other.ok = vec![0, 5];
        let jobs = [allowed, other, Job::sh(3, "true")];
        let (outcome, said) = run(guest, &jobs).await;
        assert!(outcome.failed(&jobs).is_none());
        assert_eq!(
            said.events,
            [
                "1 begins",
                "1: exit code 4, false",
                "2 begins",
                "2: exit code 5, true",
                "3 begins",
                "3: exit code 0, true"
            ]
        );
    });
}

#[test]
fn death_by_signal_is_not_an_exit_code() {
    each_shell(async |guest, shell| {
        for (script, exit) in [
            ("kill -KILL $$", Exit::Signal(9)),
            ("kill -TERM $$", Exit::Signal(15)),
            ("kill -SEGV $$", Exit::Signal(11)),
            ("exit 137", Exit::Code(137)),
            ("exit 255", Exit::Code(255)),
            ("nosuchcommand", Exit::Code(127)),
        ] {
            let (outcome, _) = run(guest, &[Job::sh(1, script)]).await;
            assert_eq!(outcome.ends[0].exit, exit, "{script} in {}", shell.name);
            assert!(!outcome.ends[0].success);
        }
    });
}

/// Whether the tests themselves were started with a signal ignored (in the background of a script, say): no shell can
/// undo that for its children, so it says nothing about ours.
fn ignored(signal: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

#[test]
fn signals_are_not_ignored_in_jobs() {
    let signals = [("INT", 2), ("QUIT", 3), ("TERM", 15), ("HUP", 1), ("USR1", 10), ("USR2", 12)];
    let names: Vec<&str> = signals.iter().filter(|(_, number)| !ignored(*number)).map(|(name, _)| *name).collect();
    assert!(names.contains(&"TERM"));
    each_shell(async |guest, shell| {
        // A shell that was started with SIGINT ignored can't trap it.
        let script = format!("for s in {}; do trap 'echo got' $s; kill -$s $$; done", names.join(" "));
        let text = out(guest, Job::sh(1, script)).await;
        assert_eq!(text, "got\n".repeat(names.len()), "{}", shell.name);
    });
}

#[test]
fn the_environment_is_small_and_ours_stays_out() {
    each_shell(async |guest, shell| {
        let mut job = Job::new(1, Body::Exec(vec!["env".into()]));
        let hostile = "'; rm -rf / #\n$(id) `id` \"\\\t\u{1F600} ${HOME} !!";
        job.env = vec![
            EnvVar { name: "A".into(), value: vec![EnvPiece::Literal(hostile.into())] },
            EnvVar {
                name: "PATH".into(),
                value: vec![EnvPiece::Literal("/opt/my bin:".into()), EnvPiece::Variable("PATH".into())],
            },
            EnvVar {
                name: "B".into(),
                value: vec![
                    EnvPiece::Literal("<".into()),
                    EnvPiece::Variable("A".into()),
                    EnvPiece::Literal(">".into()),
                ],
            },
            EnvVar { name: "C".into(), value: vec![EnvPiece::Variable("UNSET_IS_EMPTY".into())] },
        ];
        let text = out(guest, job).await;
        assert!(text.contains(&format!("A={hostile}\n")), "{text}");
        assert!(text.contains(&format!("B=<{hostile}>\n")), "{text}");
        assert!(text.contains("\nC=\n") || text.starts_with("C=\n"), "{text}");
        assert!(
            text.contains("PATH=/opt/my bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"),
            "{text}"
        );
        let mut names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once('=').map(|(name, _)| name))
            .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
            .filter(|name| !matches!(*name, "PWD" | "SHLVL" | "_"))
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(
            names,
            ["A", "B", "C", "HOME", "LANG", "LOGNAME", "PATH", "SHELL", "USER", "VMWBUILD_JOB"],
            "{}",
            shell.name
        );
    });
}

#[test]
fn standard_input_is_closed_and_arguments_are_whole() {
    each_shell(async |guest, _| {
        assert_eq!(out(guest, Job::sh(1, "cat; read x || echo eof")).await, "eof\n");
        let argv = ["printf", "<%s>\n", "a b", "$(id)", "'", "\"", "new\nline", "", "*", "-e", "ü\\n"];
        let text = out(guest, Job::new(2, Body::Exec(argv.iter().map(|w| (*w).to_owned()).collect()))).await;
        assert_eq!(text, "<a b>\n<$(id)>\n<'>\n<\">\n<new\nline>\n<>\n<*>\n<-e>\n<ü\\n>\n");
    });
}

#[test]
fn interpreters_directories_and_errexit() {
    each_shell(async |guest, _| {
        let script = |text: &str, interpreter| Job::new(1, Body::Script { text: text.into(), interpreter });
        let bash = Interpreter::Program { argv: vec!["bash".into(), "-o".into(), "pipefail".into()], errexit: true };
        let (outcome, said) = run(guest, &[script("[[ a == a ]] && echo yes\nfalse | true\necho no", bash)]).await;
        assert_eq!((outcome.ends[0].exit, said.out.as_slice()), (Exit::Code(1), b"yes\n".as_slice()));
        let text = "#!/usr/bin/awk -f\nBEGIN { print \"from awk\" }\n";
        assert_eq!(out(guest, script(text, Interpreter::Shebang)).await, "from awk\n");
        let text = "#! /bin/bash -e\necho $((LINENO)); false; echo no\n";
        let (outcome, said) = run(guest, &[script(text, Interpreter::Shebang)]).await;
        assert_eq!((outcome.ends[0].exit, said.out.as_slice()), (Exit::Code(1), b"2\n".as_slice()));
        let dir = tempfile::tempdir().expect("a directory");
        let path = format!("{}/it's a \"dir\"/$x\n/-y", dir.path().display());
        let mut job = Job::sh(1, "pwd; umask; ls -A");
        job.workdir = Some(path.clone());
        assert_eq!(out(guest, job).await, format!("{path}\n0022\n"));
        let text = "cat <<'A'\nVMW_0\n$x\nA\ncat <<B\n$((1 + 1))\nB\nprintf 'no newline at the end'";
        assert_eq!(out(guest, Job::sh(1, text)).await, "VMW_0\n$x\n2\nno newline at the end");
    });
}

#[test]
fn scripts_are_gone_once_read_and_secrets_are_in_no_list() {
    each_shell(async |guest, shell| {
        let work = guest.os.facts().work.clone();
        let secret = "s3cr3t-Zq9-value";
        let text = format!(
            "x='{secret}'; echo \"$x\"; ls -la \"$0\" 2>&1 | grep -c 'No such'; grep -rl \"$x\" {work} | grep -v '/[0-9]*[.][0-9]*[.]out$'; \
             for f in /proc/[0-9]*/cmdline /proc/[0-9]*/environ; do tr '\\0' '\\n' <$f; done 2>/dev/null | grep -c \"$x\"; true"
        );
        let mut job = Job::sh(1, text);
        job.secret = true;
        job.capture = true;
        let (outcome, said) = run(guest, &[job]).await;
        let captured = String::from_utf8_lossy(outcome.ends[0].captured.as_deref().expect("captured")).into_owned();
        // The grep that counts is itself the one that has it in its arguments.
        assert!(captured.starts_with(&format!("{secret}\n1\n")), "{}: {captured}", shell.name);
        assert!(captured.lines().skip(2).all(|l| l == "0" || l == "1"), "{}: {captured}", shell.name);
        assert!(said.out.is_empty(), "secret output in events");
    });
}

#[test]
fn the_work_directory_is_private() {
    use std::os::unix::fs::PermissionsExt;
    each_shell(async |guest, _| {
        out(guest, Job::sh(1, "true")).await;
        let work = PathBuf::from(&guest.os.facts().work);
        let mut todo = vec![work];
        while let Some(path) = todo.pop() {
            let meta = fs::symlink_metadata(&path).expect("there");
            let mode = meta.permissions().mode() & 0o777;
            assert_eq!(mode, if meta.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
            if meta.is_dir() {
                todo.extend(fs::read_dir(&path).expect("a list").map(|e| e.expect("an entry").path()));
            }
        }
    });
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
fn a_timeout_ends_the_whole_tree() {
    each_shell(async |guest, shell| {
        let mark = format!("98765{}", shell.name.len());
        // In the foreground; in a session of its own and orphaned; deaf to SIGTERM; without our environment.
        let mut job = Job::sh(
            1,
            format!(
                "(setsid sleep {mark}.1 &) ; (trap '' TERM; sleep {mark}.2) & env -i sleep {mark}.3 & \
                 nohup sh -c 'trap \"\" TERM HUP; while :; do sleep {mark}.4; done' >/dev/null 2>&1 & echo started; sleep {mark}.5"
            ),
        );
        job.timeout = Some(Duration::from_millis(700));
        let began = Instant::now();
        let (outcome, said) = run(guest, &[job]).await;
        assert_eq!(outcome.ends[0].exit, Exit::TimedOut, "{}", shell.name);
        assert_eq!(String::from_utf8_lossy(&said.out), "started\n");
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        assert_eq!(left(&mark), Vec::<String>::new(), "{}", shell.name);
    });
}

#[test]
fn background_processes_hold_nothing_up() {
    each_shell(async |guest, shell| {
        let began = Instant::now();
        // One keeps our files open, one doesn't.
        let text = out(guest, Job::sh(1, "sleep 300.25 & echo $!; sleep 300.25 >/dev/null 2>&1 & echo $!")).await;
        assert!(began.elapsed() < Duration::from_secs(3), "{}: {:?}", shell.name, began.elapsed());
        for pid in text.lines() {
            assert!(fs::metadata(format!("/proc/{pid}")).is_ok(), "{pid} was ended");
            let status = Command::new("kill").arg(pid).status().expect("kill");
            assert!(status.success());
        }
    });
}

#[test]
fn kill_all_ends_what_runs() {
    for shell in shells() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let guest = open_with(&shell.path, Channel::Auto, false).await;
            let mark = format!("98764{}", shell.name.len());
            let jobs = [Job::sh(1, format!("(setsid sleep {mark}.1 &); sleep {mark}.2")), Job::sh(2, "true")];
            let (began, begun) = tokio::sync::oneshot::channel();
            let mut began = Some(began);
            {
                let mut on_event = |event| {
                    if let (Event::Started { .. }, Some(began)) = (event, began.take()) {
                        let _ = began.send(());
                    }
                };
                let batch = guest.run_batch(&jobs, &mut on_event);
                tokio::select! {
                    _ = batch => panic!("it ended by itself"),
                    _ = begun => {}
                }
            }
            guest.kill_all().await.expect("killed");
            assert_eq!(left(&mark), Vec::<String>::new(), "{}", shell.name);
            guest.cleanup().await.expect("cleaned");
        });
    }
}

#[test]
fn output_is_binary_safe_and_live() {
    each_shell(async |guest, shell| {
        let script = "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %03o $i)\"; i=$((i + 1)); done";
        let (_, said) = run(guest, &[Job::sh(1, script)]).await;
        assert_eq!(said.out, (0..=255).collect::<Vec<u8>>(), "{}", shell.name);
        // The first line arrives long before the job is over.
        let began = Instant::now();
        let mut first = None;
        let job = Job::sh(1, "echo early; sleep 3; echo late");
        guest
            .run_batch(&[job], &mut |event| {
                if let Event::Output { .. } = event {
                    first.get_or_insert(began.elapsed());
                }
            })
            .await
            .expect("it runs");
        assert!(first.expect("output") < Duration::from_millis(1500), "{}: {first:?}", shell.name);
    });
}

#[test]
fn fifty_megabytes_come_whole_by_transfers_and_abridged_without() {
    use sha2::{Digest, Sha256};
    for shell in shells() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let script = "head -c 52428800 /dev/zero | tr '\\0' 'x'; echo; echo the end";
            let guest = open_with(&shell.path, Channel::Auto, false).await;
            let (mut size, mut digest) = (0, Sha256::new());
            let mut largest = 0;
            guest
                .run_batch(&[Job::sh(1, script)], &mut |event| {
                    if let Event::Output { bytes, .. } = event {
                        size += bytes.len();
                        largest = largest.max(bytes.len());
                        digest.update(&bytes);
                    }
                })
                .await
                .expect("it runs");
            assert_eq!(size, 52_428_800 + 9, "{}", shell.name);
            let mut want = Sha256::new();
            want.update(vec![b'x'; 52_428_800]);
            want.update(b"\nthe end\n");
            assert_eq!(digest.finalize(), want.finalize());
            assert!(largest <= 65536);
            guest.cleanup().await.expect("cleaned");

            let guest = open_with(&shell.path, Channel::Vcenter, false).await;
            let (_, said) = run(&guest, &[Job::sh(1, script)]).await;
            assert_eq!(said.out.len() as u64 + said.omitted, 52_428_800 + 9, "{}", shell.name);
            assert!(said.out.ends_with(b"x\nthe end\n"));
            assert!(said.out.len() < 400_000, "{}", said.out.len());
            guest.cleanup().await.expect("cleaned");
        });
    }
}

#[test]
fn captures_are_whole_up_to_a_mebibyte() {
    for shell in shells() {
        for (channel, no_transfers) in [(Channel::Auto, false), (Channel::Auto, true), (Channel::Vcenter, false)] {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let guest = open_with(&shell.path, channel, no_transfers).await;
                let mut job = Job::sh(1, "head -c 1048576 /dev/zero | tr '\\0' k");
                job.capture = true;
                job.secret = true;
                let (outcome, said) = run(&guest, &[job.clone()]).await;
                let captured = outcome.ends[0].captured.clone().expect("captured");
                assert!(captured == vec![b'k'; 1 << 20], "{} {channel:?}: {} bytes", shell.name, captured.len());
                assert!(said.out.is_empty());
                job.body = Body::Script {
                    text: "head -c 1048577 /dev/zero | tr '\\0' k".into(),
                    interpreter: Interpreter::sh(),
                };
                let error = guest.run(job).await.map(|end| end.exit).expect_err("too large");
                assert!(matches!(error, Error::TooLarge { .. }), "{error}");
                guest.cleanup().await.expect("cleaned");
            });
        }
    }
}

#[test]
fn unless_and_retries() {
    each_shell(async |guest, shell| {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("count").display().to_string();
        let mut job = Job::sh(1, format!("echo x >>{file}; echo try; [ $(wc -l <{file}) -ge 3 ]"));
        job.retry = 3;
        job.delay = Duration::from_millis(10);
        job.capture = true;
        job.unless = Some(Body::Script { text: "echo hidden; false".into(), interpreter: Interpreter::sh() });
        let (outcome, said) = run(guest, &[job.clone()]).await;
        assert_eq!(
            said.events,
            ["1 begins", "1: attempt 1: exit code 1", "1: attempt 2: exit code 1", "1: exit code 0, true"],
            "{}",
            shell.name
        );
        assert_eq!((outcome.ends[0].attempts, outcome.ends[0].captured.as_deref()), (3, Some(b"try\n".as_slice())));
        assert_eq!(said.out, b"try\ntry\ntry\n");
        job.unless = Some(Body::Exec(vec!["test".into(), "-e".into(), file]));
        let (outcome, said) = run(guest, &[job, Job::sh(2, "true")]).await;
        assert_eq!(outcome.ends[0].exit, Exit::Skipped);
        assert_eq!(said.events, ["1 begins", "1: skipped, true", "2 begins", "2: exit code 0, true"]);
        assert!(said.out.is_empty());
    });
}

#[test]
fn another_user_runs_it_and_reads_its_own_script_only() {
    if me() != "root" {
        // Nobody else can become somebody else without a password.
        return;
    }
    each_shell(async |guest, shell| {
        for via in [Via::Auto, Via::Su, Via::Runuser] {
            let mut job = Job::sh(
                1,
                "secret=abc; id -un; echo $HOME $USER $LOGNAME; ls -ln \"$0\" 2>&1 | grep -c 'No such'; exit 9",
            );
            job.run_as = Some(RunAs { user: "nobody".into(), via });
            job.env = vec![EnvVar { name: "A".into(), value: vec![EnvPiece::Literal("x y".into())] }];
            job.ok = vec![9];
            let text = out(guest, job).await;
            assert_eq!(text, "nobody\n/nonexistent nobody nobody\n1\n", "{} {via:?}", shell.name);
        }
        let mut job = Job::sh(1, "true");
        job.run_as = Some(RunAs { user: "no-such-user".into(), via: Via::Auto });
        let error = guest.run(job).await.map(|end| end.exit).expect_err("no such user");
        assert_eq!(error.to_string(), "user `root` can't run commands as `no-such-user`: the guest has no such user");
        let mut job = Job::sh(1, format!("sleep 87654{}", shell.name.len()));
        job.run_as = Some(RunAs { user: "nobody".into(), via: Via::Auto });
        job.timeout = Some(Duration::from_millis(500));
        let (outcome, _) = run(guest, &[job]).await;
        assert_eq!(outcome.ends[0].exit, Exit::TimedOut);
        assert_eq!(left(&format!("87654{}", shell.name.len())), Vec::<String>::new());
        let rest: Vec<_> = ["/tmp", "/var/tmp"]
            .iter()
            .flat_map(|d| fs::read_dir(d).expect("a directory").flatten())
            .filter(|e| e.file_name().to_string_lossy().starts_with(&format!(".vmwbuild-{}", guest.meeting)))
            .collect();
        assert!(rest.is_empty(), "{rest:?}");
    });
}

#[test]
fn files_go_in_and_come_out() {
    for (channel, no_transfers) in [(Channel::Auto, false), (Channel::Auto, true), (Channel::Vcenter, false)] {
        each_shell_with(channel, no_transfers, async |guest, shell| {
            let there = tempfile::tempdir().expect("a directory");
            let here = tempfile::tempdir().expect("a directory");
            let root = there.path().display().to_string();
            let big: Vec<u8> = (0..3_000_000u32)
                .flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes())
                .take(700_000)
                .collect();
            let local = here.path().join("big");
            fs::write(&local, &big).expect("written");
            let entry = |path: &str, content, mode| CopyEntry { path: format!("{root}/{path}"), content, mode };
            let small = [
                entry("a b/it's \"q\" $x\nü", CopyContent::Bytes(b"one\0two\n\xff".to_vec()), 0o640),
                entry("empty", CopyContent::Bytes(Vec::new()), 0o644),
                entry("dir", CopyContent::Directory, 0o700),
                entry("link", CopyContent::Symlink("a b".into()), 0o777),
            ];
            guest.copy_in(&small, None, None).await.expect("copied");
            use std::os::unix::fs::{MetadataExt, PermissionsExt};
            let file = there.path().join("a b/it's \"q\" $x\nü");
            assert_eq!(fs::read(&file).expect("there"), b"one\0two\n\xff", "{}", shell.name);
            assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o640);
            assert_eq!(fs::metadata(there.path().join("empty")).expect("there").len(), 0);
            assert!(there.path().join("link/it's \"q\" $x\nü").exists());
            let large = [
                entry("sub/big", CopyContent::File(local.clone()), 0o755),
                entry("sub", CopyContent::Directory, 0o755),
            ];
            let owner = (me() == "root").then_some("nobody:daemon");
            guest.copy_in(&large, owner, None).await.expect("copied");
            assert!(fs::read(there.path().join("sub/big")).expect("there") == big, "{}: {channel:?}", shell.name);
            if owner.is_some() {
                assert_eq!(fs::metadata(there.path().join("sub/big")).expect("there").uid(), 65534);
            }

            let dest = here.path().join("fetched");
            let written = guest.copy_out(&[format!("{root}/empty")], &dest, false, None).await.expect("fetched");
            assert_eq!((written, fs::read(&dest).expect("there").len()), (vec![dest.clone()], 0));
            let dest = here.path().join("many");
            let paths = [format!("{root}/a b"), format!("{root}/sub/big")];
            guest.copy_out(&paths, &dest, false, None).await.expect("fetched");
            assert!(fs::read(dest.join("big")).expect("there") == big);
            assert_eq!(fs::read(dest.join("a b/it's \"q\" $x\nü")).expect("there"), b"one\0two\n\xff");
            let error = guest.copy_out(&[format!("{root}/none")], &dest, false, None).await.expect_err("missing");
            assert_eq!(error.to_string(), format!("can't copy `{root}/none`: {root}/none: no such file or directory"));

            assert!(guest.file_exists(&format!("{root}/empty")).await.expect("asked"));
            guest.delete(&format!("{root}/empty")).await.expect("deleted");
            assert!(!guest.file_exists(&format!("{root}/empty")).await.expect("asked"));
            assert_eq!(
                guest.read_file(&format!("{root}/link/it's \"q\" $x\nü"), 100, None).await.expect("read"),
                b"one\0two\n\xff"
            );
            assert_eq!(guest.current_boot_id().await.expect("asked"), guest.boot_id());
        });
    }
}

fn each_shell_with(channel: Channel, no_transfers: bool, test: impl AsyncFn(&Guest, &Shell)) {
    for shell in shells() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let guest = open_with(&shell.path, channel, no_transfers).await;
            test(&guest, &shell).await;
            guest.cleanup().await.expect("cleaned");
        });
    }
}

#[test]
fn a_long_batch_costs_few_requests() {
    each_shell(async |guest, shell| {
        let jobs: Vec<Job> = (0..100).map(|n| Job::sh(n, format!("echo {n}"))).collect();
        let Wire::Local(local) = &guest.wire else { panic!("local") };
        let before = local.started.load(Ordering::Relaxed) + local.listed.load(Ordering::Relaxed);
        let began = Instant::now();
        let (outcome, said) = run(guest, &jobs).await;
        let requests = local.started.load(Ordering::Relaxed) + local.listed.load(Ordering::Relaxed) - before;
        assert_eq!(outcome.ends.len(), 100);
        assert_eq!(said.out, (0..100).map(|n| format!("{n}\n")).collect::<String>().into_bytes());
        // So many that a slow machine must not have more of them for it than a few a second.
        let most = 20.0 + began.elapsed().as_secs_f64() * 7.0;
        assert!((requests as f64) < most, "{}: {requests} requests in {:?}", shell.name, began.elapsed());
    });
}

#[test]
fn a_vanished_supervisor_is_no_success() {
    each_shell(async |guest, shell| {
        // As a restart of the guest does it: everything is gone at once.
        let work = guest.os.facts().work.clone();
        let jobs = [Job::sh(1, format!("kill -KILL $(cat {work}/b*/pids); sleep 1")), Job::sh(2, "true")];
        let outcome = guest.run_batch(&jobs, &mut |_| {}).await.expect("an end");
        assert_eq!(outcome.ends.len(), 1, "{}", shell.name);
        assert_eq!(outcome.ends[0].exit, Exit::Unknown, "{}", shell.name);
        assert!(!outcome.ends[0].success);
    });
}

/// A batch that somebody else has started, as he would see it who comes after.
async fn come_after(shell: &Shell, ticket: &Ticket) -> Attached {
    let local = Local { started: AtomicUsize::new(0), listed: AtomicUsize::new(0), no_transfers: false };
    let login = Login { user: me(), password: "irrelevant".to_owned() };
    let options = Options { grace: Duration::from_secs(1), ..Options::default() };
    let attached = Guest::claim(Wire::Local(local), &shell.path, &login, options, ticket).await.expect("attached");
    // Many are not cleaned up after, since the work directory is to be looked at once more.
    fs::remove_dir_all(unix::meeting_place(&attached.guest.meeting)).expect("removed");
    attached
}

/// All that [`Guest::follow`] says.
async fn follow(guest: &Guest, ticket: &Ticket, from: usize) -> (BatchOutcome, Vec<u8>, Vec<String>) {
    let (mut out, mut events) = (Vec::new(), Vec::new());
    let outcome = guest
        .follow(ticket, from, &mut |event| match event {
            Event::Output { bytes, .. } => out.extend(bytes),
            Event::Finished { id, exit, .. } => events.push(format!("{id}: {exit}")),
            Event::Started { id } => events.push(format!("{id} begins")),
            _ => {}
        })
        .await
        .expect("an end");
    (outcome, out, events)
}

/// Starts a batch and is gone as soon as its first job has begun; what is left is its ticket, as it was written down.
async fn begin_and_vanish(shell: &Shell, jobs: &[Job]) -> (Guest, Ticket) {
    let guest = open_with(&shell.path, Channel::Auto, false).await;
    let batch = guest.prepare(jobs).expect("prepared");
    let written = serde_json::to_string(batch.ticket()).expect("written");
    let (began, begun) = tokio::sync::oneshot::channel();
    let mut began = Some(began);
    let mut on_event = |event| {
        if let (Event::Started { .. }, Some(began)) = (event, began.take()) {
            let _ = began.send(());
        }
    };
    tokio::select! {
        _ = guest.run_prepared(&batch, &mut on_event) => panic!("it ended by itself"),
        _ = begun => {}
    }
    (guest, serde_json::from_str(&written).expect("read"))
}

#[test]
fn another_process_goes_on_with_a_batch() {
    each_shell(async |other, shell| {
        let dir = tempfile::tempdir().expect("a directory");
        let (count, go) = (dir.path().join("count").display().to_string(), dir.path().join("go"));
        let mut waits = Job::sh(
            11,
            format!("echo x >>{count}; echo one; until [ -e {} ]; do sleep 0.1; done; echo two; exit 4", go.display()),
        );
        waits.ok = vec![4];
        let mut secret = Job::sh(12, "echo hidden-Zq7");
        (secret.capture, secret.secret) = (true, true);
        let jobs = [waits, secret, Job::sh(13, "echo three; exit 9")];
        let (before, ticket) = begin_and_vanish(shell, &jobs).await;
        assert!(!serde_json::to_string(&ticket).expect("written").contains("hidden"));
        // While it runs, and once more when it is over.
        let attached = come_after(shell, &ticket).await;
        assert_eq!(attached.standing, Standing::Begun, "{}", shell.name);
        fs::write(&go, "").expect("written");
        let all = ["11 begins", "11: exit code 4", "12 begins", "12: exit code 0", "13 begins", "13: exit code 9"];
        for from in [0, 0, 1] {
            let (outcome, out, events) = follow(&attached.guest, &ticket, from).await;
            assert_eq!(events, all[from * 2..], "{}", shell.name);
            assert_eq!(String::from_utf8_lossy(&out), if from == 0 { "one\ntwo\nthree\n" } else { "three\n" });
            assert_eq!(outcome.ends[1 - from].captured.as_deref(), Some(b"hidden-Zq7\n".as_slice()));
            assert_eq!(outcome.failed(&jobs).map(|end| end.id), Some(13));
        }
        // All told before, its failure too: nothing is made up.
        assert_eq!(follow(&attached.guest, &ticket, 3).await.0.ends.len(), 0);
        assert_eq!(fs::read_to_string(&count).expect("there"), "x\n", "it ran once");
        // The next batch is another one, though both begin to count anew.
        assert_eq!(out(&attached.guest, Job::sh(1, "echo next")).await, "next\n");
        attached.guest.cleanup().await.expect("cleaned");
        assert!(fs::metadata(&before.os.facts().work).is_err());
        assert!(fs::metadata(unix::meeting_place(&before.meeting)).is_err());
        assert_eq!(out(other, Job::sh(1, "echo the other")).await, "the other\n");
    });
}

#[test]
fn what_was_not_started_never_is_once_somebody_asked() {
    each_shell(async |guest, shell| {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = dir.path().join("ran");
        let batch = guest.prepare(&[Job::sh(1, format!("echo x >>{}", mark.display()))]).expect("prepared");
        let ticket = batch.ticket().clone();
        for _ in 0..2 {
            let attached = come_after(shell, &ticket).await;
            assert_eq!(attached.standing, Standing::NeverStarted, "{}", shell.name);
            // Its start arrives late, as one that was on its way when its sender was ended.
            let Wire::Local(local) = &guest.wire else { panic!("local") };
            let program = guest.os.start(&batch.text).expect("small");
            let mut child = Command::new(&program.path);
            child.args(["-c", "eval \"$(echo \"$VMWBUILD\"|base64 -d)\""]).env_clear();
            child.envs(program.env.iter().filter_map(|v| v.split_once('=')));
            assert!(child.status().expect("a shell").success());
            local.start(&program).expect("started");
        }
        let attached = come_after(shell, &ticket).await;
        assert_eq!(out(&attached.guest, Job::sh(1, "echo anew")).await, "anew\n");
        assert!(!mark.exists(), "{}", shell.name);
        fs::remove_dir_all(&guest.os.facts().work).expect("removed");
        let mut batch = guest.prepare(&[Job::sh(1, "true")]).expect("prepared");
        assert_eq!(come_after(shell, batch.ticket()).await.standing, Standing::Lost, "{}", shell.name);
        assert_eq!(come_after(shell, batch.ticket()).await.standing, Standing::Lost, "{}", shell.name);
        // Not there, and the guest was restarted since.
        batch.ticket.boot = "another".to_owned();
        batch.ticket.number += 1;
        assert_eq!(come_after(shell, batch.ticket()).await.standing, Standing::Lost, "{}", shell.name);
        batch.ticket.user = "nobody".to_owned();
        let local = Local { started: AtomicUsize::new(0), listed: AtomicUsize::new(0), no_transfers: false };
        let refused =
            Guest::claim(Wire::Local(local), &shell.path, &guest.login, Options::default(), batch.ticket()).await;
        assert!(matches!(refused, Err(Error::OtherLogin { .. })));
    });
}

#[test]
fn what_is_ended_before_it_starts_never_does() {
    each_shell(async |guest, shell| {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = dir.path().join("ran");
        let jobs = [Job::sh(1, format!("echo x >>{}", mark.display()))];
        let batch = guest.prepare(&jobs).expect("prepared");
        guest.state().running = Some((batch.ticket.number, 0));
        let began = Instant::now();
        guest.kill_all().await.expect("ended");
        assert!(began.elapsed() < Duration::from_secs(8), "{}: {:?}", shell.name, began.elapsed());
        let outcome = guest.run_prepared(&batch, &mut |_| {}).await.expect("an end");
        assert_eq!(outcome.ends.iter().map(|end| end.exit).collect::<Vec<_>>(), [Exit::Killed], "{}", shell.name);
        assert!(!mark.exists(), "{}", shell.name);
    });
}

#[test]
fn a_batch_that_died_with_its_boot_says_where() {
    each_shell(async |_, shell| {
        let dir = tempfile::tempdir().expect("a directory");
        let begun = dir.path().join("begun");
        let jobs = [
            Job::sh(1, "sleep 0.3; echo first"),
            Job::sh(2, format!("echo second; echo >{}; sleep 20", begun.display())),
            Job::sh(3, "echo third"),
        ];
        let (before, ticket) = begin_and_vanish(shell, &jobs).await;
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let batch = PathBuf::from(&before.os.facts().work).join(format!("b{}", ticket.number));
        // As after a restart: nobody is left, and the boot is another one.
        let pids = fs::read_to_string(batch.join("pids")).expect("there");
        Command::new("kill").arg("-KILL").args(pids.split_whitespace()).status().expect("kill");
        fs::write(batch.join("boot"), "another\n").expect("written");
        let attached = come_after(shell, &ticket).await;
        assert_eq!(attached.standing, Standing::Restarted, "{}", shell.name);
        let (outcome, _, events) = follow(&attached.guest, &ticket, 0).await;
        assert_eq!(events.last().map(String::as_str), Some("2: ended without a trace"), "{}: {events:?}", shell.name);
        assert_eq!(outcome.failed(&jobs).map(|end| end.id), Some(2));
        attached.guest.cleanup().await.expect("cleaned");
    });
}

#[test]
fn a_batch_cut_short_between_two_jobs_is_no_success() {
    each_shell(async |guest, shell| {
        // Whoever writes the log dies first, so that nobody tells of the end of the first job, which is a success; then the
        // one who would run the second.
        let work = guest.os.facts().work.clone();
        let script = format!(
            "read -r runner scribe <$(echo {work}/b*/pids); kill -KILL $scribe; (sleep 0.2; kill -KILL $runner) & exit 0"
        );
        let jobs = [Job::sh(1, script), Job::sh(2, "sleep 1"), Job::sh(3, "true")];
        let outcome = guest.run_batch(&jobs, &mut |_| {}).await.expect("an end");
        let ends: Vec<_> = outcome.ends.iter().map(|end| (end.id, end.exit)).collect();
        assert_eq!(ends, [(1, Exit::Code(0)), (2, Exit::Unknown)], "{}", shell.name);
        // The same without anybody to end the runner: it must not run on unseen.
        let dir = tempfile::tempdir().expect("a directory");
        let mark = dir.path().join("ran").display().to_string();
        let script = format!("read -r runner scribe <$(echo {work}/b*/pids); kill -KILL $scribe");
        let jobs = [Job::sh(1, script), Job::sh(2, "sleep 4"), Job::sh(3, format!("echo >{mark}"))];
        let outcome = guest.run_batch(&jobs, &mut |_| {}).await.expect("an end");
        assert!(outcome.failed(&jobs).is_some_and(|end| end.exit == Exit::Unknown), "{}", shell.name);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(fs::metadata(&mark).is_err(), "{}", shell.name);
    });
}

#[test]
fn a_guest_without_base64_setsid_and_short_pauses_does_too() {
    each_shell(async |guest, shell| {
        let facts = guest.os.facts().clone();
        let mut tools = facts.tools.clone();
        tools.remove("setsid");
        let (encoder, decoder) = (unix::Encoder::Hex, unix::Decoder::None);
        let facts = Facts { encoder, decoder, tools, tick: "1".into(), ..facts };
        let bare = Guest {
            wire: Wire::Local(Local { started: AtomicUsize::new(0), listed: AtomicUsize::new(0), no_transfers: true }),
            os: Box::new(Unix {
                facts,
                user: me(),
                sh: shell.path.clone(),
                name: guest.os.name().to_owned(),
                grace: 1,
            }),
            login: guest.login.clone(),
            options: guest.options.clone(),
            meeting: guest.meeting.clone(),
            state: Mutex::new(State { begun: 100, ..State::default() }),
            turn: tokio::sync::Mutex::default(),
        };
        let mark = format!("97531{}", shell.name.len());
        let mut timed = Job::sh(2, format!("sleep {mark}.1 & sleep {mark}.2"));
        timed.timeout = Some(Duration::from_millis(500));
        let jobs = [Job::sh(1, "printf 'a\\000\\377\\\\ %%d'; echo \"it's\" >&2"), timed];
        let (outcome, said) = run(&bare, &jobs).await;
        assert_eq!((said.out.as_slice(), said.err.as_slice()), (b"a\0\xff\\ %d".as_slice(), b"it's\n".as_slice()));
        assert_eq!(outcome.ends[1].exit, Exit::TimedOut, "{}", shell.name);
        assert_eq!(left(&mark), Vec::<String>::new());
        let there = tempfile::tempdir().expect("a directory");
        let path = there.path().join("f");
        for size in [3000, 200_000] {
            let content: Vec<u8> = (0..=255).cycle().take(size).collect();
            let entry = CopyEntry {
                path: path.display().to_string(),
                content: CopyContent::Bytes(content.clone()),
                mode: 0o644,
            };
            bare.copy_in(&[entry], None, None).await.expect("copied");
            assert!(fs::read(&path).expect("there") == content, "{} {size}", shell.name);
        }
    });
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
        detail: "the guest has neither sudo nor doas".into(),
    }));
}
