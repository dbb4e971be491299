//! The first process of a guest: starts helpers and programs, collects what ends, and ends the guest.

use super::ids::Standing;
use super::wire::{self, Answer, ExecAsk, GuestAsk};
use super::{Error, Exit, NetworkReport, Result, accounts, netlink, operations, sys, windows};
use rustix::process::{Resource, Rlimit, WaitOptions};
use std::collections::HashMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Init's exit code after a shutdown.
pub const POWERED_OFF: i32 = 0;
/// Init's exit code when the guest is to be booted again.
pub const REBOOT: i32 = 10;

/// How many open files a program expects to be allowed; the tool's own limit is higher.
const USUAL_FILES: u64 = 1024;

/// How long processes may take to end when the guest itself asked for a shutdown.
const OWN_GRACE: Duration = Duration::from_secs(10);

/// Serves until the guest ends. All signals are blocked and come from `signals`.
pub fn run(control: UnixStream, signals: &OwnedFd, standing: Standing) -> ! {
    let mut init = Init { control: Some(control), standing, running: HashMap::new(), watch: None };
    loop {
        let changes = init.watch.as_ref().map(|watch| watch.changes.as_fd());
        let watched = usize::from(changes.is_some());
        let descriptors: Vec<_> =
            std::iter::once(signals.as_fd()).chain(changes).chain(init.control.iter().map(AsFd::as_fd)).collect();
        let Ok(ready) = sys::poll(&descriptors, None) else { sys::exit_now(1) };
        if ready.first() == Some(&true) {
            init.take_signals(signals);
        }
        if watched == 1 && ready.get(1) == Some(&true) {
            init.network_changed();
        }
        if ready.get(1 + watched) == Some(&true) {
            init.take_connection(signals);
        }
    }
}

struct Init {
    /// None when the tool no longer has a handle on this guest.
    control: Option<UnixStream>,
    standing: Standing,
    /// Who wants to know when a process ends.
    running: HashMap<i32, UnixStream>,
    /// Who wants to know of the network.
    watch: Option<Watch>,
}

struct Watch {
    connection: UnixStream,
    /// Can be read when the network has changed.
    changes: OwnedFd,
    /// What was told last.
    told: Option<NetworkReport>,
}

impl Init {
    fn take_signals(&mut self, signals: &OwnedFd) {
        while let Some(signal) = sys::next_signal(signals) {
            // The meanings that sysvinit, busybox and systemd give them; 37 to 39 are their real-time signals.
            match signal {
                libc::SIGCHLD => {
                    self.reap();
                    // The kernel says nothing when the name changes: what changed it has likely just ended.
                    self.named_anew();
                }
                libc::SIGUSR1 | libc::SIGUSR2 | 37 | 38 => self.shut_down(signals, OWN_GRACE, POWERED_OFF),
                libc::SIGTERM | libc::SIGINT | 39 => self.shut_down(signals, OWN_GRACE, REBOOT),
                _ => {}
            }
        }
    }

    fn take_connection(&mut self, signals: &OwnedFd) {
        let Some(control) = &self.control else { return };
        match wire::accept(control) {
            Ok(Some((wire::FOR_INIT, connection))) => match wire::receive(&connection) {
                Ok(Some((GuestAsk::Shutdown { grace_ms }, _))) => {
                    self.shut_down(signals, Duration::from_millis(grace_ms), POWERED_OFF);
                }
                Ok(Some((GuestAsk::Watch, _))) => self.watch_network(connection),
                _ => {}
            },
            Ok(Some((_, connection))) => match sys::fork(0) {
                Ok(sys::Fork::Child) => helper(&connection, self.standing),
                Ok(sys::Fork::Parent(pid)) => {
                    self.running.insert(pid, connection);
                }
                Err(error) => {
                    let errno = error.raw_os_error().unwrap_or(libc::EAGAIN);
                    let error = Error::Os { action: "start a process in the guest".to_owned(), errno };
                    wire::send_at_once(&connection, &Answer::Failed(error));
                }
            },
            Ok(None) => self.control = None,
            // A connection that got lost on its way has nobody to answer to.
            Err(_) => {}
        }
    }

    /// Without a socket the connection closes, and whoever asked knows as much.
    fn watch_network(&mut self, connection: UnixStream) {
        if let Ok(changes) = netlink::changes() {
            self.watch = Some(Watch { connection, changes, told: None });
            self.tell_network();
        }
    }

    fn network_changed(&mut self) {
        if let Some(watch) = &self.watch {
            netlink::take_changes(&watch.changes);
        }
        self.tell_network();
    }

    fn named_anew(&mut self) {
        let told = self.watch.as_ref().and_then(|watch| watch.told.as_ref());
        if told.is_some_and(|told| told.host_name != host_name()) {
            self.tell_network();
        }
    }

    fn tell_network(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        let Ok(nics) = netlink::nics() else { return };
        let report = NetworkReport { host_name: host_name(), nics };
        if watch.told.as_ref() == Some(&report) {
            return;
        }
        if wire::send_at_once(&watch.connection, &Answer::Network(report.clone())) {
            watch.told = Some(report);
        } else {
            self.watch = None;
        }
    }

    /// Collects processes that ended; whether others are left.
    fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if let Some(connection) = self.running.remove(&pid.as_raw_nonzero().get()) {
                        let exit = match (status.exit_status(), status.terminating_signal()) {
                            (Some(code), _) => Exit::Code(code),
                            (None, signal) => Exit::Signal(signal.unwrap_or(libc::SIGKILL)),
                        };
                        wire::send_at_once(&connection, &Answer::Exit(exit));
                    }
                }
                Ok(None) => return true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    fn shut_down(&mut self, signals: &OwnedFd, grace: Duration, code: i32) -> ! {
        let deadline = Instant::now().checked_add(grace);
        // These fail only when there is nobody left to send to.
        let _ = sys::kill(-1, libc::SIGTERM);
        let _ = sys::kill(-1, libc::SIGCONT);
        while self.reap() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            let _ = sys::poll(&[signals.as_fd()], left);
            while sys::next_signal(signals).is_some() {}
        }
        sys::exit_now(code)
    }
}

/// A fresh child of init: reads a request, answers it, and ends or becomes the program asked for.
fn helper(connection: &UnixStream, standing: Standing) -> ! {
    sys::default_signals();
    let Ok(Some((ask, descriptors))) = wire::receive(connection) else { sys::exit_now(1) };
    let answer = match ask {
        GuestAsk::Exec(ask) => Err(execute(connection, ask, descriptors, standing)),
        other => answer(other, standing),
    };
    let (answer, descriptor) = answer.unwrap_or_else(|error| (Answer::Failed(error), None));
    let descriptors: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
    // Whoever asked may be gone.
    let _ = wire::send(connection, &answer, &descriptors);
    sys::exit_now(0)
}

fn answer(ask: GuestAsk, standing: Standing) -> Result<(Answer, Option<OwnedFd>)> {
    match ask {
        GuestAsk::File { user, op } => {
            accounts::assume(&accounts::requested(&user)?, standing)?;
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
            operations::file(op)
        }
        GuestAsk::Kill { user, pid, signal } => {
            accounts::assume(&accounts::requested(&user)?, standing)?;
            let target = i32::try_from(pid).ok().filter(|pid| *pid > 0);
            target
                .map_or_else(|| Err(io::Error::from_raw_os_error(libc::ESRCH)), |pid| sys::kill(pid, signal))
                .map_err(|error| os(&format!("send signal {signal} to process {pid}"), &error))?;
            Ok((Answer::Done, None))
        }
        GuestAsk::Processes => Ok((Answer::Processes(operations::processes()?), None)),
        GuestAsk::User { name } => Ok((Answer::User(accounts::lookup(&name)?), None)),
        GuestAsk::Exec(_) | GuestAsk::Shutdown { .. } | GuestAsk::Watch => {
            Err(Error::Internal("a request for another process of the guest".to_owned()))
        }
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn os(action: &str, error: &io::Error) -> Error {
    Error::Os { action: action.to_owned(), errno: error.raw_os_error().unwrap_or(libc::EIO) }
}

/// Becomes a program. Returns why not when that is known before the program's number was told; later failures go
/// to the first descriptor, which the program's execution closes.
fn execute(connection: &UnixStream, ask: ExecAsk, descriptors: Vec<OwnedFd>, standing: Standing) -> Error {
    let mut descriptors = descriptors.into_iter();
    let Some(failure) = descriptors.next() else {
        return Error::Internal("a program without a descriptor for failures".to_owned());
    };
    let program = match prepare(&ask, descriptors, standing) {
        Ok(program) => program,
        Err(error) => return error,
    };
    if wire::send(connection, &Answer::Started(std::process::id()), &[]).is_err() {
        sys::exit_now(1);
    }
    if let Some(name) = ask.program.strip_prefix(windows::PROGRAM) {
        drop(failure);
        let arguments = ask.argv.get(1).map(String::as_str).unwrap_or_default();
        sys::exit_now(windows::run(name, arguments, &ask.env));
    }
    let error = sys::execve(&program.path, &program.arguments, &program.environment);
    let text = serde_json::to_vec(&os(&format!("execute {}", ask.program), &error)).unwrap_or_default();
    // A pipe nobody reads any more.
    let _ = rustix::io::write(&failure, &text);
    sys::exit_now(127)
}

struct Program {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

fn prepare(ask: &ExecAsk, mut descriptors: impl Iterator<Item = OwnedFd>, standing: Standing) -> Result<Program> {
    let text = |text: String| {
        CString::new(text)
            .map_err(|_| Error::Os { action: "pass a NUL byte to a program".to_owned(), errno: libc::EINVAL })
    };
    let program = Program {
        path: text(ask.program.clone())?,
        arguments: if ask.argv.is_empty() {
            vec![text(ask.program.clone())?]
        } else {
            ask.argv.iter().cloned().map(text).collect::<Result<_>>()?
        },
        environment: ask.env.iter().map(|(name, value)| text(format!("{name}={value}"))).collect::<Result<_>>()?,
    };
    let user = accounts::requested(&ask.user)?;
    for (number, given) in ask.given.iter().enumerate() {
        let descriptor = if *given {
            descriptors.next().ok_or_else(|| Error::Internal("a program's descriptor is missing".to_owned()))?
        } else {
            null(number == 0)?
        };
        let number = i32::try_from(number).unwrap_or(0);
        sys::make_standard(&descriptor, number).map_err(|error| os("pass on a descriptor", &error))?;
    }
    if ask.new_session {
        rustix::process::setsid().map_err(|error| os("start a session", &error.into()))?;
    }
    let files = rustix::process::getrlimit(Resource::Nofile);
    if files.current.is_none_or(|current| current > USUAL_FILES) {
        let usual = Rlimit { current: Some(USUAL_FILES), ..files };
        rustix::process::setrlimit(Resource::Nofile, usual).map_err(|error| os("limit open files", &error.into()))?;
    }
    accounts::assume(&user, standing)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    match &ask.cwd {
        Some(directory) => {
            std::env::set_current_dir(directory).map_err(|error| os(&format!("enter {directory}"), &error))?;
        }
        None => {
            if std::env::set_current_dir(&user.home).is_err() {
                std::env::set_current_dir("/").map_err(|error| os("enter /", &error))?;
            }
        }
    }
    if let Some(name) = ask.program.strip_prefix(windows::PROGRAM) {
        let missing = || Error::Os { action: format!("execute {name}"), errno: libc::ENOENT };
        return if windows::has(name) { Ok(program) } else { Err(missing()) };
    }
    // Said here rather than after the number was told: what is most often wrong is a path.
    let meta =
        fs::metadata(Path::new(&ask.program)).map_err(|error| os(&format!("execute {}", ask.program), &error))?;
    if meta.is_dir() {
        return Err(Error::Os { action: format!("execute {}", ask.program), errno: libc::EACCES });
    }
    Ok(program)
}

fn null(input: bool) -> Result<OwnedFd> {
    let file = if input { fs::File::open("/dev/null") } else { fs::File::options().write(true).open("/dev/null") };
    file.map(OwnedFd::from).map_err(|error| os("open /dev/null", &error))
}
