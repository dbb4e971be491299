//! Processes of a guest that is taken for Windows: forks of the one that asks, which go on as the program asked for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Instant;

use rustix::pipe::{PipeFlags, pipe_with};

use super::super::sys;
use super::library::{self, duration};
use super::value::{Native, Thrown, Value};
use super::{commands, paths};

type Result<T> = std::result::Result<T, Thrown>;

/// Who is logged in; what started us says so.
pub fn account() -> String {
    library::env("VMWBUILD_SANDBOX_ACCOUNT").unwrap_or_else(|| "Administrator".to_owned())
}

pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A field of `/proc/PID/stat` behind the name, from 0.
fn stat(pid: i32, field: usize) -> Option<i64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    stat.rsplit_once(") ")?.1.split(' ').nth(field)?.parse().ok()
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    String::from_utf8_lossy(&stat).rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

/// When a process began, in milliseconds since 1970.
fn started_ms(pid: i32) -> Option<i64> {
    let ticks = stat(pid, 19)?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = boot.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())?;
    Some(boot * 1000 + ticks * 1000 / sys::ticks_per_second().max(1))
}

/// Since the guest's boot.
pub fn uptime_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |t| i64::try_from(t.as_millis()).unwrap_or_default());
    (now - started_ms(1).unwrap_or(now)).max(0)
}

/// A process that runs.
pub fn known(pid: i32, told: Option<File>) -> Value {
    let native = Native::Process { pid, told: RefCell::new(told), code: Cell::new(None) };
    Value::object("diagnostics.process", native, vec![])
}

/// What a process is called, as Windows calls it.
fn name(pid: i32) -> String {
    if pid == 1 {
        return "wininit".to_owned();
    }
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// The processes with a name or number.
pub fn find(named: Option<&str>, pid: Option<i64>) -> Vec<Value> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let fits = |id: &i32| {
        !is_zombie(*id)
            && pid.is_none_or(|pid| pid == i64::from(*id))
            && named.is_none_or(|wanted| library::like(&name(*id), wanted))
    };
    pids.filter(fits).map(|pid| known(pid, None)).collect()
}

/// Notes how a child has ended, if it has; waits for that up to a limit.
fn wait(pid: i32, told: &RefCell<Option<File>>, code: &Cell<Option<i32>>, limit: Option<i64>) -> bool {
    let began = Instant::now();
    let mut pause = 1;
    while code.get().is_none() {
        let mut status = 0;
        match sys::reap(pid, &mut status) {
            Ok(true) => {
                let mut whole = [0; 4];
                let said = told.borrow_mut().as_mut().is_some_and(|pipe| pipe.read_exact(&mut whole).is_ok());
                code.set(Some(if said { i32::from_ne_bytes(whole) } else { status }));
                break;
            }
            Ok(false) => {}
            Err(_) => {
                // Somebody else's child: gone when it is gone.
                if !PathBuf::from(format!("/proc/{pid}")).exists() || is_zombie(pid) {
                    code.set(Some(0));
                    break;
                }
            }
        }
        if limit.is_some_and(|limit| began.elapsed() >= duration(limit)) {
            return false;
        }
        std::thread::sleep(duration(pause));
        pause = (pause * 2).min(15);
    }
    true
}

pub fn member(pid: i32, told: &RefCell<Option<File>>, code: &Cell<Option<i32>>, field: &str) -> Result<Value> {
    Ok(match field {
        "id" => Value::Int(i64::from(pid)),
        "processname" | "name" => name(pid).into(),
        "hasexited" => Value::Bool(wait(pid, told, code, Some(0))),
        "exitcode" => match code.get() {
            Some(code) => Value::Int(i64::from(code)),
            None if told.borrow().is_some() => {
                let message = "Process must exit before requested information can be determined.";
                return Err(Thrown::of("invalidoperationexception", message));
            }
            None => Value::Null,
        },
        "starttime" => match started_ms(pid) {
            Some(ms) => Value::object("datetime", Native::None, vec![("unixms", Value::Int(ms))]),
            None => return Err(Thrown::of("invalidoperationexception", "The process has exited.")),
        },
        _ => Value::Null,
    })
}

pub fn method(
    pid: i32,
    told: &RefCell<Option<File>>,
    code: &Cell<Option<i32>>,
    name: &str,
    args: &[Value],
) -> Result<Value> {
    match name {
        "waitforexit" => {
            let limit = args.first().map(Value::int).transpose()?;
            let over = wait(pid, told, code, limit);
            Ok(limit.map_or(Value::Null, |_| Value::Bool(over)))
        }
        "kill" => {
            // It may be gone already.
            let _ = sys::kill(pid, libc::SIGKILL);
            Ok(Value::Null)
        }
        _ => Ok(Value::Null),
    }
}

/// What a program is started with.
#[derive(Default)]
pub struct Start {
    /// As its user writes it.
    pub program: String,
    /// Behind it, as it stands.
    pub arguments: String,
    pub directory: Option<String>,
    /// Standard input, output and error.
    pub streams: [Option<OwnedFd>; 3],
}

/// `[Diagnostics.Process]::Start(…)`
pub fn start(args: &[Value]) -> Result<Value> {
    let info = args.first().cloned().unwrap_or(Value::Null);
    let field = |name: &str| library::member(&info, name).map(|value| value.text());
    let spec = match &info {
        Value::Object(_) => Start {
            program: field("filename")?,
            arguments: field("arguments")?,
            directory: Some(field("workingdirectory")?).filter(|d| !d.is_empty()),
            ..Start::default()
        },
        other => Start {
            program: other.text(),
            arguments: args.get(1).map(Value::text).unwrap_or_default(),
            ..Start::default()
        },
    };
    spawn(spec).map(|(pid, told)| known(pid, Some(told)))
}

/// Starts a program, if there is one of that name.
pub fn spawn(spec: Start) -> Result<(i32, File)> {
    let Some(program) = commands::program(&spec.program) else {
        let message = "The system cannot find the file specified";
        return Err(Thrown::of("componentmodel.win32exception", message));
    };
    let broken = |e: String| Thrown::of("componentmodel.win32exception", e);
    let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
    let (told, tell) = pipe_with(flags).map_err(|e| broken(e.to_string()))?;
    match sys::fork(0) {
        Ok(sys::Fork::Child) => {
            for (number, stream) in spec.streams.iter().enumerate() {
                if let Some(stream) = stream
                    && sys::make_standard(stream, number as i32).is_err()
                {
                    sys::exit_now(126);
                }
            }
            if let Some(directory) = &spec.directory
                && std::env::set_current_dir(paths::real(directory)).is_err()
            {
                sys::exit_now(126);
            }
            let code = commands::run(program, &spec.arguments);
            // Nobody may want to know.
            let _ = rustix::io::write(&tell, &code.to_ne_bytes());
            sys::exit_now(code);
        }
        Ok(sys::Fork::Parent(pid)) => Ok((pid, File::from(told))),
        Err(error) => Err(broken(error.to_string())),
    }
}

/// Starts a program and waits for it; its exit code.
pub fn complete(spec: Start) -> Result<i32> {
    let (pid, told) = spawn(spec)?;
    let code = Cell::new(None);
    wait(pid, &RefCell::new(Some(told)), &code, None);
    Ok(code.get().unwrap_or(1))
}

/// Ends a process and, if asked, all that it has started.
pub fn end(pid: i32, tree: bool) -> bool {
    if pid <= 1 || stat(pid, 1).is_none() {
        return false;
    }
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    for child in all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        if let Some(parent) = stat(child, 1) {
            children.entry(parent as i32).or_default().push(child);
        }
    }
    let mut doomed = vec![pid];
    let mut at = 0;
    while let Some(next) = doomed.get(at).copied().filter(|_| tree) {
        doomed.extend(children.get(&next).into_iter().flatten());
        at += 1;
    }
    for pid in doomed {
        // It may be gone already.
        let _ = sys::kill(pid, libc::SIGKILL);
    }
    true
}
