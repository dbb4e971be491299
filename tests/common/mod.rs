//! What the end-to-end tests share: a vCenter simulator with real guests, govc as
//! the referee, and the real binary under a deadline.
//!
//! `tests/setup` makes what is needed and `tests/run` hands it over in
//! `VMWBUILD_TEST_*` variables.

// Every test file compiles its own copy and uses a part of it.
#![allow(dead_code)]

pub mod ear;
pub mod embedded;
pub mod events;
pub mod ova;
pub mod project;
pub mod replay;
pub mod schema;
pub mod site;
pub mod wine;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;
use tempfile::TempDir;

/// How long a simulator may take to start or to clean up.
const SERVER_DEADLINE: Duration = Duration::from_secs(60);
/// How long a command of a test may take unless the test says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Makes of each function a test on the simulator and one on the sandbox: the binary's own, or what `via` names.
#[allow(unused_macros)]
macro_rules! on_both {
    (via $sandbox:ident: $($name:ident)*) => {
        mod vcsim {
            $(#[test] fn $name() { if let Some(site) = super::Site::vcsim() { super::$name(&site) } })*
        }
        mod sandbox {
            $(#[test] fn $name() { if let Some(site) = super::Site::$sandbox() { super::$name(&site) } })*
        }
    };
    // The site is the test's to keep, and the sandbox one that it can interfere with.
    (given $($name:ident)*) => {
        mod vcsim {
            $(#[test] fn $name() { if let Some(site) = super::Site::vcsim() { super::$name(site) } })*
        }
        mod sandbox {
            $(#[test] fn $name() { super::$name(super::Site::here().unwrap()) })*
        }
    };
    ($($name:ident)*) => { on_both! { via sandbox: $($name)* } };
}
#[allow(unused_imports)]
pub(crate) use on_both;

/// A variable that `tests/setup` wrote.
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: run the tests by tests/run, which sets up the simulator \
             (tests/run --without-vcsim leaves these tests out)"
        )
    })
}

/// Whether the tests that need the simulator are left out on purpose.
pub fn left_out() -> bool {
    std::env::var_os("VMWBUILD_TEST_SKIP_VCSIM").is_some_and(|value| value == "1")
}

/// What the simulator says when it is ready.
#[derive(Debug, Deserialize)]
pub struct Ready {
    pub url: String,
    pub username: String,
    pub password: String,
    pub thumbprint_sha1: String,
    pub thumbprint_sha256: String,
    /// The authority that signed the server's certificate.
    pub ca_pem: String,
    /// The control endpoint, see `tests/vcsim/control.go`.
    control: String,
    id: String,
    pid: u32,
}

/// A running simulator; it and all that it made end with this value.
pub struct Vcsim {
    pub ready: Ready,
    child: Child,
    /// Closed to end the simulator, which also ends when this process does.
    stdin: Option<ChildStdin>,
    dir: TempDir,
}

impl Vcsim {
    /// Starts a simulator with the template `debian-template`; `args` are flags of
    /// `tests/vcsim`. `None`: such tests are left out, and the test should return.
    pub fn start(args: &[&str]) -> Option<Self> {
        if left_out() {
            return None;
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        let log = File::create(dir.path().join("vcsim.log")).expect("a log file");
        let mut child = guest_command(&setting("VMWBUILD_TEST_VCSIM"))
            .args(["-until-eof", "-exec", "runc"])
            .args(args)
            // Goes with the directory, even when the simulator is killed.
            .env("TMPDIR", dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the simulator starts");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("a pipe");
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line);
            // The receiver is gone when the deadline has passed.
            let _ = sender.send(read.map(|_| line));
        });
        let line = match receiver.recv_timeout(SERVER_DEADLINE) {
            Ok(Ok(line)) if !line.is_empty() => line,
            other => {
                let _ = child.kill();
                let _ = child.wait();
                let log = fs::read_to_string(dir.path().join("vcsim.log")).unwrap_or_default();
                panic!("the simulator did not start: {other:?}\n{log}");
            }
        };
        let ready = serde_json::from_str(&line).expect("the simulator's first line is JSON");
        Some(Self { ready, child, stdin, dir })
    }

    /// What the simulator has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("vcsim.log")).unwrap_or_default()
    }

    /// Calls the control endpoint, such as `control("POST", "/expire")`.
    pub fn control(&self, method: &str, path: &str) -> String {
        let host = self.ready.control.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).expect("the control endpoint answers");
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n").expect("a request");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("a reply");
        let (head, body) = reply.split_once("\r\n\r\n").expect("an HTTP reply");
        assert!(head.split(' ').nth(1) == Some("200"), "{method} {path}: {reply}");
        body.to_owned()
    }

    /// Requests per method since the start, or since the last call with `reset`.
    pub fn requests(&self, reset: bool) -> BTreeMap<String, u64> {
        #[derive(Deserialize)]
        struct Counts {
            requests: u64,
        }
        let stats = self.control("GET", if reset { "/stats?reset=1" } else { "/stats" });
        let stats: BTreeMap<String, Counts> = serde_json::from_str(&stats).expect("counts");
        stats.into_iter().map(|(method, counts)| (method, counts.requests)).collect()
    }

    /// The number of sessions that are open.
    pub fn sessions(&self) -> usize {
        self.control("GET", "/sessions").trim().parse().expect("a number")
    }

    /// govc, logged in to this simulator, with an account for guests.
    pub fn govc_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(setting("VMWBUILD_TEST_GOVC"));
        without_settings(&mut command)
            .args(args)
            .env("GOVC_URL", &self.ready.url)
            .env("GOVC_USERNAME", &self.ready.username)
            .env("GOVC_PASSWORD", &self.ready.password)
            .env("GOVC_INSECURE", "true")
            .env("GOVC_GUEST_LOGIN", "root:guest-password")
            // It would otherwise keep sessions in the home directory and use them
            // again, even when the password is wrong.
            .env("GOVC_PERSIST_SESSION", "false")
            .env("HOME", self.dir.path());
        command
    }

    /// Runs govc, which must succeed, and returns what it printed.
    pub fn govc(&self, args: &[&str]) -> String {
        let run = run(&mut self.govc_command(args), DEADLINE);
        assert!(run.code == Some(0), "govc {args:?}: {run}\nsimulator's log:\n{}", self.log());
        run.stdout()
    }

    /// Runs a script with `/bin/sh` in a guest by govc, as root, and returns its
    /// output; it must succeed.
    pub fn guest_run(&self, vm: &str, script: &str) -> String {
        let run = self.guest_try(vm, script);
        assert!(run.code == Some(0), "in {vm}: {script}\n{run}\nsimulator's log:\n{}", self.log());
        run.stdout()
    }

    /// Like [`Vcsim::guest_run`], for scripts that may fail.
    pub fn guest_try(&self, vm: &str, script: &str) -> Run {
        // The first word has no slash, so govc hands the rest to bash in the guest;
        // else the simulator's own shell would take the redirections of govc. Base64
        // passes all these shells unharmed.
        let script = format!("\"$(echo {} | base64 -d)\"", BASE64.encode(script));
        let args = ["guest.run", "-vm", vm, "exec", "/bin/sh", "-c", &script];
        run(&mut self.govc_command(&args), DEADLINE)
    }

    /// The inventory paths of all machines and templates.
    pub fn machines(&self) -> Vec<String> {
        self.govc(&["find", "/", "-type", "m"]).lines().map(str::to_owned).collect()
    }

    /// The names of this simulator's containers, running or not: one for each
    /// machine that was on at least once.
    pub fn containers(&self) -> Vec<String> {
        containers_of(&self.ready.id)
    }

    /// Ends the simulator without a chance to clean up.
    pub fn kill(&self) {
        let status = Command::new("kill").args(["-s", "KILL", &self.ready.pid.to_string()]).status().expect("kill");
        assert!(status.success(), "kill -s KILL {}", self.ready.pid);
    }

    /// `vmwbuild` with the flags that connect it to this simulator; the flags
    /// stand behind the subcommand, which is the first of `args`.
    pub fn vmwbuild(&self, dir: &Path, args: &[&str]) -> Command {
        let password = self.dir.path().join("password");
        fs::write(&password, &self.ready.password).expect("a password file");
        let mut command = vmwbuild(dir);
        let mut args = args.iter();
        command.args(args.next());
        command
            .args(["--vcenter", &self.ready.url, "--username", &self.ready.username])
            .arg("--password-file")
            .arg(password)
            .args(["--thumbprint", &self.ready.thumbprint_sha256])
            .args(args);
        command
    }

    /// Runs `vmwbuild build` with the flags that connect it to this simulator.
    pub fn build(&self, dir: &Path, args: &[&str]) -> Run {
        run(&mut self.vmwbuild(dir, &[&["build"], args].concat()), DEADLINE)
    }
}

impl Drop for Vcsim {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if wait(&mut self.child, Instant::now() + SERVER_DEADLINE).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // Nothing is left unless the simulator died.
        for name in containers_of(&self.ready.id) {
            let _ = docker(&["rm", "--force", "--volumes", "--time", "0", &name]);
        }
    }
}

/// A command with the container settings of the tests.
fn guest_command(program: &str) -> Command {
    let own = setting("VMWBUILD_TEST_DOCKER_PATH");
    let inherited = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command
        .env("PATH", format!("{own}:{inherited}"))
        .env("CONTAINERS_CONF", setting("VMWBUILD_TEST_CONTAINERS_CONF"))
        .env("CONTAINERS_STORAGE_CONF", setting("VMWBUILD_TEST_STORAGE_CONF"));
    command
}

/// The `docker` that the simulator uses.
pub fn docker(args: &[&str]) -> Run {
    let program = Path::new(&setting("VMWBUILD_TEST_DOCKER_PATH")).join("docker");
    run(guest_command(&program.to_string_lossy()).args(args), DEADLINE)
}

/// The containers of the simulator with this id.
fn containers_of(id: &str) -> Vec<String> {
    let filter = format!("label=vmwbuild.vcsim={id}");
    let run = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
    run.stdout().lines().map(str::to_owned).collect()
}

/// Takes away every variable that would change where a client connects.
pub fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["VMWBUILD_", "GOVC_", "VSPHERE_", "INFRAKIT_"].iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    // Tests run in CI too; logs of the builds that they make don't.
    command.env_remove("GITHUB_ACTIONS").env_remove("GITLAB_CI")
}

/// The real binary, in `dir`, with no settings but those that the test gives.
pub fn vmwbuild(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmwbuild"));
    without_settings(&mut command).current_dir(dir).env("VMWBUILD_STATE_DIR", state_dir());
    command.env("VMWBUILD_CACHE_DIR", state_dir().join("cache"));
    // Connections that whoever runs the tests has saved.
    command.env("VMWBUILD_CONFIG_DIR", dir.join(".vmwbuild-config"));
    command
}

/// Where builds of tests that don't look at journals keep theirs: not with the user's own.
pub fn state_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("state")
}

/// A directory with files, as a build's context.
pub fn context<P: AsRef<Path>, C: AsRef<[u8]>>(files: &[(P, C)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (path, content) in files {
        let path = dir.path().join(path);
        let parent = path.parent().expect("a path below the directory");
        fs::create_dir_all(parent).expect("a directory");
        fs::write(path, content).expect("a file");
    }
    dir
}

/// What became of a command.
pub struct Run {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// `None`: ended by a signal.
    pub code: Option<i32>,
    pub elapsed: Duration,
}

impl Run {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.map_or("a signal".to_owned(), |code| code.to_string());
        write!(
            f,
            "ended with {code} after {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.elapsed,
            self.stdout(),
            self.stderr()
        )
    }
}

/// Runs a command with no input; a command that is not done by the deadline is
/// killed and fails the test with all that it had printed.
pub fn run(command: &mut Command, deadline: Duration) -> Run {
    Running::start(command).finish(deadline)
}

/// A command that runs while the test does other things.
pub struct Running {
    child: Child,
    stdout: thread::JoinHandle<Vec<u8>>,
    stderr: thread::JoinHandle<Vec<u8>>,
    started: Instant,
    what: String,
    /// Written line by line as they come, for [`Running::wait_for`].
    lines: std::sync::Mutex<mpsc::Receiver<String>>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let (sender, lines) = mpsc::channel();
        let stdout = collect(child.stdout.take().expect("a pipe"), sender.clone());
        let stderr = collect(child.stderr.take().expect("a pipe"), sender);
        Self { child, stdout, stderr, started, what, lines: std::sync::Mutex::new(lines) }
    }

    /// Waits for a line of output that contains `text`, and returns it.
    pub fn wait_for(&self, text: &str, deadline: Duration) -> String {
        let end = Instant::now() + deadline;
        let lines = self.lines.lock().expect("nobody panicked while waiting");
        loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => panic!("{}: no line with {text:?}: {error}", self.what),
            }
        }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, such as `INT` for Ctrl-C.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().expect("kill");
        assert!(status.success(), "kill -s {name} {pid}");
    }

    /// The same to a process that may have ended already.
    pub fn try_signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        // It isn't waited for yet, so the number is still its own.
        let _ = Command::new("kill").args(["-s", name, &pid]).status().expect("kill");
    }

    pub fn finish(mut self, deadline: Duration) -> Run {
        let status = wait(&mut self.child, self.started + deadline);
        if status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let run = Run {
            stdout: self.stdout.join().expect("a reader"),
            stderr: self.stderr.join().expect("a reader"),
            code: status.and_then(|status| status.code()),
            elapsed: self.started.elapsed(),
        };
        assert!(status.is_some(), "{}: not done after {deadline:?}: {run}", self.what);
        run
    }
}

fn collect(pipe: impl Read + Send + 'static, lines: mpsc::Sender<String>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let mut pipe = BufReader::new(pipe);
        loop {
            let start = all.len();
            match pipe.read_until(b'\n', &mut all) {
                Ok(0) | Err(_) => return all,
                // Most commands are never waited for line by line.
                Ok(_) => drop(lines.send(String::from_utf8_lossy(&all[start..]).into_owned())),
            }
        }
    })
}

fn wait(child: &mut Child, end: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(5)),
            _ => return None,
        }
    }
}

/// The path of a program in `PATH`, for tests that need a real shell.
pub fn program(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name.as_ref())).find(|path| path.is_file())
}
