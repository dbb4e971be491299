//! A vCenter to build on: the simulator that others wrote, or the sandbox of the binary under test. Tests of the
//! pipeline run on both.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::{DEADLINE, Run, Running, Vcsim, run, vmwbuild};
use ::vmwbuild::vsphere::client::{Client, Deadline, Endpoint, EntityKind, Exchange, Recorder, Thumbprint};

/// A vCenter with guests that run commands.
pub enum Site {
    Vcsim(Vcsim),
    Sandbox(Sandbox),
}

/// `vmwbuild sandbox`, serving.
pub struct Sandbox {
    pub url: String,
    pub username: String,
    pub password: String,
    pub thumbprint: String,
    held: Held,
    dir: TempDir,
}

/// Where it runs.
enum Held {
    /// In a process of its own; none when it was killed.
    Running(Option<Running>),
    /// In this one, where the test can interfere; none when it has gone away.
    Here(Box<tokio::runtime::Runtime>, Mutex<Option<vmwbuild::sandbox::Sandbox>>),
}

/// What a client needs to connect.
pub struct Connection {
    pub url: String,
    pub username: String,
    pub password: String,
    pub sha1: String,
    pub sha256: String,
    pub ca_pem: String,
}

impl Sandbox {
    /// Starts one; `args` are flags of `vmwbuild sandbox`.
    pub fn start(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut command = vmwbuild(dir.path());
        command.args(["sandbox", "--listen", "127.0.0.1:0"]).args(args);
        let running = Running::start(&mut command);
        let value = |name: &str| {
            let line = running.wait_for(&format!("export {name}="), Duration::from_secs(30));
            let value = line.trim().split_once('=').map(|(_, v)| v.trim_matches(['\'', '"']).to_owned());
            value.unwrap_or_else(|| panic!("no value in {line:?}"))
        };
        // In the order in which they are printed.
        let url = value("VMWBUILD_VCENTER");
        let username = value("VMWBUILD_USERNAME");
        let password = value("VMWBUILD_PASSWORD");
        let thumbprint = value("VMWBUILD_THUMBPRINT");
        Sandbox { url, username, password, thumbprint, held: Held::Running(Some(running)), dir }
    }

    /// Starts one within this process.
    pub fn here() -> Self {
        Sandbox::with(super::embedded::config())
    }

    /// The same with other settings.
    pub fn with(config: vmwbuild::sandbox::Config) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let sandbox = runtime.block_on(vmwbuild::sandbox::Sandbox::start(config));
        let sandbox = sandbox.expect("a sandbox");
        Sandbox {
            url: sandbox.url(),
            username: sandbox.username().to_owned(),
            password: sandbox.password().to_owned(),
            thumbprint: sandbox.thumbprint().to_owned(),
            held: Held::Here(Box::new(runtime), Mutex::new(Some(sandbox))),
            dir: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// Does something to the server within this process.
    fn meddle<T>(&self, with: impl FnOnce(&vmwbuild::sandbox::Sandbox) -> T) -> T {
        let Held::Here(_, sandbox) = &self.held else { panic!("it runs elsewhere") };
        with(sandbox.lock().expect("a lock").as_ref().expect("it has gone away"))
    }

    /// Ends the process without a chance to clean up.
    pub fn kill(mut self) {
        if let Held::Running(running) = &mut self.held
            && let Some(running) = running.take()
        {
            running.signal("KILL");
            assert_eq!(running.finish(Duration::from_secs(3600)).code, None);
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        match &mut self.held {
            Held::Running(running) => {
                let Some(running) = running.take() else { return };
                running.signal("TERM");
                if !std::thread::panicking() {
                    let ended = running.finish(Duration::from_secs(3600));
                    assert_eq!(ended.code, Some(0), "the sandbox: {ended}");
                }
            }
            Held::Here(runtime, sandbox) => {
                let sandbox = sandbox.get_mut().ok().and_then(Option::take);
                runtime.block_on(async move {
                    if let Some(sandbox) = sandbox {
                        sandbox.stop().await;
                    }
                });
            }
        }
    }
}

impl Site {
    /// The simulator; None when its tests are left out.
    pub fn vcsim() -> Option<Site> {
        Vcsim::start(&[]).map(Site::Vcsim)
    }

    /// The sandbox.
    pub fn sandbox() -> Option<Site> {
        Some(Site::Sandbox(Sandbox::start(&[])))
    }

    /// The sandbox in this process.
    pub fn here() -> Option<Site> {
        Some(Site::Sandbox(Sandbox::here()))
    }

    /// The same, set up otherwise.
    pub fn with(config: vmwbuild::sandbox::Config) -> Option<Site> {
        Some(Site::Sandbox(Sandbox::with(config)))
    }

    /// How to connect to one that the test can interfere with.
    pub fn connection(&self) -> Connection {
        match self {
            Site::Vcsim(vcsim) => Connection {
                url: vcsim.ready.url.clone(),
                username: vcsim.ready.username.clone(),
                password: vcsim.ready.password.clone(),
                sha1: vcsim.ready.thumbprint_sha1.clone(),
                sha256: vcsim.ready.thumbprint_sha256.clone(),
                ca_pem: vcsim.ready.ca_pem.clone(),
            },
            Site::Sandbox(sandbox) => sandbox.meddle(|s| Connection {
                url: s.url(),
                username: s.username().to_owned(),
                password: s.password().to_owned(),
                sha1: s.thumbprint_sha1().to_owned(),
                sha256: s.thumbprint().to_owned(),
                ca_pem: s.ca_pem().to_owned(),
            }),
        }
    }

    /// Does something to the sandbox in this process.
    pub fn meddle<T>(&self, with: impl FnOnce(&vmwbuild::sandbox::Sandbox) -> T) -> T {
        match self {
            Site::Vcsim(_) => panic!("no sandbox"),
            Site::Sandbox(sandbox) => sandbox.meddle(with),
        }
    }

    /// Ends all sessions.
    pub fn expire(&self) {
        match self {
            Site::Vcsim(vcsim) => drop(vcsim.control("POST", "/expire")),
            Site::Sandbox(sandbox) => sandbox.meddle(vmwbuild::sandbox::Sandbox::expire_sessions),
        }
    }

    /// Ends the session of the REST API, as far as the next request that reads can tell.
    pub fn expire_rest(&self) {
        match self {
            Site::Vcsim(vcsim) => drop(vcsim.control("POST", "/status?method=GET%20rest&code=401")),
            Site::Sandbox(_) => self.expire(),
        }
    }

    /// The server goes away, without a word.
    pub fn go_away(&self) {
        match self {
            Site::Vcsim(vcsim) => drop(vcsim.control("POST", "/gone")),
            Site::Sandbox(sandbox) => {
                let Held::Here(runtime, held) = &sandbox.held else { panic!("it runs elsewhere") };
                let server = held.lock().expect("a lock").take().expect("it is there");
                runtime.block_on(server.stop());
            }
        }
    }

    /// No transfer succeeds any more.
    pub fn break_transfers(&self) {
        match self {
            Site::Vcsim(vcsim) => {
                for method in ["PUT%20guestFile", "GET%20guestFile"] {
                    vcsim.control("POST", &format!("/status?method={method}&code=500&count=1000"));
                }
            }
            Site::Sandbox(sandbox) => sandbox.meddle(|s| {
                for fault in ["PUT:disk-full:count=1000", "GET:disk-full:count=1000"] {
                    s.inject(vmwbuild::sandbox::Rule::parse(fault).expect("a rule"));
                }
            }),
        }
    }

    /// How many requests there were, by method.
    pub fn requests(&self) -> std::collections::BTreeMap<String, u64> {
        match self {
            Site::Vcsim(vcsim) => vcsim.requests(false),
            Site::Sandbox(sandbox) => sandbox.meddle(vmwbuild::sandbox::Sandbox::requests),
        }
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        match self {
            Site::Vcsim(vcsim) => vcsim.sessions(),
            Site::Sandbox(sandbox) => sandbox.meddle(vmwbuild::sandbox::Sandbox::sessions),
        }
    }

    /// A template with a Debian or the host's own system.
    pub fn template(&self) -> &'static str {
        match self {
            Site::Vcsim(_) => "debian-template",
            Site::Sandbox(_) => "linux",
        }
    }

    pub fn is_vcsim(&self) -> bool {
        matches!(self, Site::Vcsim(_))
    }

    pub fn sim(&self) -> &Vcsim {
        match self {
            Site::Vcsim(vcsim) => vcsim,
            Site::Sandbox(_) => panic!("only the simulator has this"),
        }
    }

    /// `vmwbuild build` on this site, in plain progress.
    pub fn command(&self, dir: &Path, args: &[&str]) -> Command {
        let template = format!("template={}", self.template());
        let mut all = vec!["build", "--progress", "plain", "--login", "root"];
        let guest_password = dir.join(".guest-password");
        std::fs::write(&guest_password, "guest-password\n").expect("a password file");
        let guest_password = guest_password.to_string_lossy().into_owned();
        all.extend(["--login-password-file", &guest_password]);
        if std::fs::read_to_string(dir.join("VMWfile")).is_ok_and(|t| t.contains("ARG template")) {
            all.extend(["--arg", &template]);
        }
        all.extend(args);
        match self {
            Site::Vcsim(vcsim) => vcsim.vmwbuild(dir, &all),
            Site::Sandbox(sandbox) => {
                let password = sandbox.dir.path().join("password");
                std::fs::write(&password, &sandbox.password).expect("a password file");
                let mut command = vmwbuild(dir);
                command.arg(all[0]);
                command.args(["--vcenter", &sandbox.url, "--username", &sandbox.username]).arg("--password-file");
                command.arg(password).args(["--thumbprint", &sandbox.thumbprint]).args(&all[1..]);
                command
            }
        }
    }

    /// `vmwbuild exec` on this site, as root; `args` begin with the machine.
    pub fn exec(&self, dir: &Path, args: &[&str]) -> Command {
        self.tool(dir, &[&["exec"], args].concat())
    }

    /// The URL, the account, its password and the certificate's thumbprint.
    pub fn server(&self) -> (&str, &str, &str, &str) {
        match self {
            Site::Vcsim(v) => (&v.ready.url, &v.ready.username, &v.ready.password, &v.ready.thumbprint_sha256),
            Site::Sandbox(s) => (&s.url, &s.username, &s.password, &s.thumbprint),
        }
    }

    /// `vmwbuild` on this site by variables, as root in guests; `args` begin with the command.
    pub fn tool(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = vmwbuild(dir);
        self.connect(command.args(args)).env("VMWBUILD_LOGIN", "root:guest-password");
        command
    }

    /// Tells it this site by variables.
    pub fn connect<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let (url, username, password, thumbprint) = self.server();
        command
            .env("VMWBUILD_VCENTER", url)
            .env("VMWBUILD_USERNAME", username)
            .env("VMWBUILD_PASSWORD", password)
            .env("VMWBUILD_THUMBPRINT", thumbprint)
    }

    /// Runs it. What it tells programs must follow its schema, whatever comes of it.
    pub fn build(&self, dir: &Path, args: &[&str]) -> Run {
        let told = tempfile::tempdir().expect("a temporary directory");
        let file = told.path().join("events");
        let run = run(self.command(dir, args).arg("--events").arg(&file), DEADLINE);
        // There is none where the flags made no sense.
        if let Ok(text) = std::fs::read_to_string(&file) {
            let events = super::events::valid(&text);
            assert_eq!(events.last().map(|e| e["exit_code"].as_i64()), Some(run.code.map(i64::from)), "{run}");
        }
        run
    }

    /// A command of `vmwbuild` that reaches this site by variables; journals are in `dir/.state`.
    pub fn with_state(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = self.exec(dir, &[]);
        let kept: Vec<_> = command.get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
        command = vmwbuild(dir);
        for (name, value) in kept {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("VMWBUILD_STATE_DIR", dir.join(".state")).args(args);
        command
    }

    /// Runs it; it must succeed.
    pub fn built(&self, dir: &Path, args: &[&str]) -> Run {
        let run = self.build(dir, args);
        assert_eq!(run.code, Some(0), "{run}\n{}", self.log());
        run
    }

    /// Does something by a client of our own.
    pub fn with_client<T>(&self, work: impl AsyncFnOnce(&Client) -> T) -> T {
        self.heard_client(None, work)
    }

    /// What our client sends meanwhile: the text of its requests, in their order.
    pub fn client_requests(&self, work: impl AsyncFnOnce(&Client)) -> Vec<Vec<u8>> {
        let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let sink = Arc::clone(&heard);
        let listen = move |exchange: &Exchange<'_>| sink.lock().expect("heard").push(exchange.request.to_vec());
        self.heard_client(Some(Recorder::new(listen)), work);
        std::mem::take(&mut *heard.lock().expect("heard"))
    }

    fn heard_client<T>(&self, recorder: Option<Recorder>, work: impl AsyncFnOnce(&Client) -> T) -> T {
        self.client_at(self.server().0, recorder, work)
    }

    /// Does something by a client of our own that reaches this site by that URL.
    pub fn client_at<T>(&self, url: &str, recorder: Option<Recorder>, work: impl AsyncFnOnce(&Client) -> T) -> T {
        let (_, username, password, thumbprint) = self.server();
        let mut endpoint = Endpoint::parse(url).expect("a URL");
        username.clone_into(&mut endpoint.username);
        password.clone_into(&mut endpoint.password);
        endpoint.trust.thumbprints.push(Thumbprint::parse(thumbprint).expect("a thumbprint"));
        endpoint.recorder = recorder;
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let client = Client::connect(endpoint, Deadline::after(DEADLINE)).await.expect("a session");
            let done = work(&client).await;
            client.logout().await.expect("logged out");
            done
        })
    }

    /// A build that keeps its journal beside the VMWfile, and may be killed where that says.
    pub fn build_dying(&self, dir: &Path, arg: &str, die: &str) -> Run {
        let mut command = self.with_state(dir, &["build", "--progress", "plain", "--arg", arg]);
        if !die.is_empty() {
            command.env("VMWBUILD_TEST_DIE_AT", die);
        }
        run(&mut command, DEADLINE)
    }

    /// The names of all machines and templates.
    pub fn vms(&self) -> Vec<String> {
        self.with_client(async |client| {
            let inventory = client.inventory().await.expect("an inventory");
            let mut names: Vec<String> = inventory.all(EntityKind::Vm).map(|e| e.name.clone()).collect();
            names.sort();
            names
        })
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        match self {
            Site::Vcsim(vcsim) => vcsim.log(),
            Site::Sandbox(_) => String::new(),
        }
    }

    /// govc against this site.
    pub fn govc_try(&self, args: &[&str]) -> Run {
        run(&mut self.govc_command(args), DEADLINE)
    }

    /// govc against this site, to be run.
    pub fn govc_command(&self, args: &[&str]) -> Command {
        match self {
            Site::Vcsim(vcsim) => vcsim.govc_command(args),
            Site::Sandbox(sandbox) => {
                let govc = super::setting("VMWBUILD_TEST_GOVC");
                let mut command = Command::new(govc);
                super::without_settings(&mut command)
                    .args(args)
                    .env("GOVC_URL", &sandbox.url)
                    .env("GOVC_USERNAME", &sandbox.username)
                    .env("GOVC_PASSWORD", &sandbox.password)
                    .env("GOVC_INSECURE", "true")
                    .env("GOVC_GUEST_LOGIN", "root:guest-password")
                    .env("GOVC_PERSIST_SESSION", "false")
                    .env("HOME", sandbox.dir.path());
                command
            }
        }
    }

    /// govc, which must succeed.
    pub fn govc(&self, args: &[&str]) -> String {
        let run = self.govc_try(args);
        assert_eq!(run.code, Some(0), "govc {args:?}: {run}\n{}", self.log());
        run.stdout()
    }

    /// Runs a script in a guest by govc, somebody else's client.
    pub fn guest(&self, vm: &str, script: &str) -> String {
        match self {
            Site::Vcsim(vcsim) => vcsim.guest_run(vm, script),
            Site::Sandbox(_) => {
                // A machine that has just been powered on boots first, as a real one does; this waits for it.
                self.govc(&["vm.ip", vm]);
                self.govc(&["guest.run", "-vm", vm, "/bin/sh", "-c", &format!("'{}'", script.replace('\'', "'\\''"))])
            }
        }
    }

    /// The inventory paths of all machines and templates.
    pub fn machines(&self) -> Vec<String> {
        let mut list: Vec<String> = self.govc(&["find", "/", "-type", "m"]).lines().map(str::to_owned).collect();
        list.sort();
        list
    }
}

/// The journal of the only build that was begun there by [`Site::with_state`].
pub fn journal_of(dir: &Path) -> String {
    let build =
        std::fs::read_dir(dir.join(".state/builds")).expect("builds").next().expect("a build").expect("a build").path();
    std::fs::read_to_string(build.join("journal.jsonl")).expect("a journal")
}
