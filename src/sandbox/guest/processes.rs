//! Programs in guests: starting, listing and ending them.

use std::sync::{Arc, Mutex};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Duration, Instant};

use super::Access;
use crate::sandbox::faults::{
    Answer, file, guest as guest_fault, invalid_argument, machinery, of_file, permission_denied, unknown_method,
};
use crate::sandbox::guests::{Error, ExecSpec, Exit, FileKind, Process};
use crate::sandbox::server::{Call, Server, lock};
use crate::vsphere::wire::{
    Element, GuestProcessInfo, GuestProgramSpec, ListProcessesInGuest, ReadEnvironmentVariableInGuest,
    StartProgramInGuest, TerminateProcessInGuest,
};

pub(super) const METHODS: &[&str] =
    &["StartProgramInGuest", "ListProcessesInGuest", "TerminateProcessInGuest", "ReadEnvironmentVariableInGuest"];

/// The search path of programs that are started without an environment of their own.
pub(in crate::sandbox) const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Shells that programs are started by, the first that is there.
const SHELLS: [&str; 2] = ["/bin/bash", "/bin/sh"];
const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const SIGTERM: i32 = 15;

/// What was started in a guest since it booted.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Programs {
    started: Vec<Program>,
    shell: Option<&'static str>,
}

#[derive(Debug)]
struct Program {
    info: GuestProcessInfo,
    /// When it was seen to have ended.
    ended: Option<Instant>,
}

pub(super) async fn dispatch(server: &Arc<Server>, call: &Call, access: &Access) -> Answer<Element> {
    match call.method.as_str() {
        "StartProgramInGuest" => {
            let request: StartProgramInGuest = call.read()?;
            call.answer(&start(server, access, &request.spec).await?)
        }
        "ListProcessesInGuest" => {
            let request: ListProcessesInGuest = call.read()?;
            call.answer(&list(server, access, &request.pids).await?)
        }
        "TerminateProcessInGuest" => {
            let request: TerminateProcessInGuest = call.read()?;
            call.answer(&terminate(access, request.pid).await?)
        }
        "ReadEnvironmentVariableInGuest" => {
            let request: ReadEnvironmentVariableInGuest = call.read()?;
            let all = environment(access)
                .into_iter()
                .filter(|(name, _)| request.names.is_empty() || request.names.contains(name));
            call.answer(&all.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
        }
        _ => Err(unknown_method(&call.this, &call.method)),
    }
}

/// The environment of programs that aren't given one: no login profile has been read.
fn environment(access: &Access) -> Vec<(String, String)> {
    let user = &access.user;
    if let Some(account) = &access.windows {
        let home = format!("C:\\Users\\{account}");
        let pairs = [("SystemRoot", "C:\\Windows"), ("USERNAME", account.as_str()), ("USERPROFILE", &home)];
        return pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    }
    let pairs = [("USER", user.name.as_str()), ("HOME", &user.home), ("SHELL", &user.shell), ("PATH", SEARCH)];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

async fn start(server: &Arc<Server>, access: &Access, spec: &GuestProgramSpec) -> Answer<i64> {
    if access.windows.is_none() {
        check_program(access, &spec.program_path).await?;
    }
    let mut env = Vec::new();
    for variable in &spec.env_variables {
        match variable.split_once('=') {
            Some((name, value)) if !name.is_empty() => env.push((name.to_owned(), value.to_owned())),
            _ => return Err(invalid_argument("spec.envVariables")),
        }
    }
    if env.is_empty() {
        env = environment(access);
    }
    let cwd = spec.working_directory.clone().filter(|cwd| !cwd.is_empty());
    if let Some(cwd) = &cwd {
        super::absolute(cwd, "spec.workingDirectory")?;
        // With the dot it is what a link points at.
        let info = access.guest.files(&access.user.name).stat(&format!("{cwd}/.")).await;
        info.map_err(|e| of_file(&e, cwd))?;
    }
    let line = format!("\"{}\" {}", spec.program_path, spec.arguments);
    let line = line.trim_end().to_owned();
    let process = match &access.windows {
        Some(account) => exec_windows(access, account, spec, env).await?,
        None => exec(access, &line, env, cwd).await?,
    };
    let pid = i64::from(process.pid());
    let name = spec.program_path.rsplit('/').next().unwrap_or_default().to_owned();
    let info = GuestProcessInfo {
        name,
        pid,
        owner: access.user.name.clone(),
        cmd_line: line,
        start_time: now(),
        end_time: None,
        exit_code: None,
    };
    let programs = access.running.programs.clone();
    {
        let mut held = lock(&programs);
        forget(&mut held, server.config.exit_memory);
        // A number that is used again is another process's.
        held.started.retain(|p| p.info.pid != pid);
        held.started.push(Program { info, ended: None });
    }
    let poll = server.config.exit_poll;
    let closing = server.closing.clone();
    server.background.spawn(async move {
        tokio::select! {
            () = notice(process, programs, pid, poll) => {}
            () = closing.cancelled() => {}
        }
    });
    Ok(pid)
}

/// Checks what Tools check before they give a program to the shell.
async fn check_program(access: &Access, path: &str) -> Answer<()> {
    if !path.starts_with('/') {
        return Err(file("FileNotFound", path));
    }
    let files = access.guest.files(&access.user.name);
    match files.open_read(path).await {
        Ok((_, info)) if info.mode & 0o111 != 0 => Ok(()),
        Ok(_) => Err(permission_denied()),
        // Programs that can be executed but not read are executable all the same.
        Err(error) if error.io_kind() == Some(std::io::ErrorKind::PermissionDenied) => {
            let info = files.stat(path).await.map_err(|e| of_file(&e, path))?;
            if info.mode & 0o111 != 0 && info.kind != FileKind::Directory { Ok(()) } else { Err(permission_denied()) }
        }
        Err(error) => Err(of_file(&error, path)),
    }
}

/// Starts a program of a guest that is taken for Windows: by its whole path, and without a shell.
async fn exec_windows(
    access: &Access,
    account: &str,
    spec: &GuestProgramSpec,
    mut env: Vec<(String, String)>,
) -> Answer<Process> {
    let path = &spec.program_path;
    if !path.starts_with("/C:/") {
        return Err(file("FileNotFound", path));
    }
    let program = path.trim_start_matches('/').replace('/', "\\");
    let user = account.rsplit('\\').next().unwrap_or_default();
    env.push(("VMWBUILD_SANDBOX_ACCOUNT".to_owned(), user.split('@').next().unwrap_or_default().to_owned()));
    let spec = ExecSpec {
        program: format!("windows:{program}"),
        argv: vec![program.clone(), spec.arguments.clone()],
        env,
        cwd: Some("/".to_owned()),
        user: access.user.name.clone(),
        ..ExecSpec::default()
    };
    match access.guest.exec(spec).await {
        Ok(process) => Ok(process),
        Err(error @ Error::Os { .. }) => Err(of_file(&error, &program)),
        Err(error) => Err(machinery(&error)),
    }
}

/// Runs a line of shell text as the account, in Tools' own session.
async fn exec(access: &Access, line: &str, env: Vec<(String, String)>, cwd: Option<String>) -> Answer<Process> {
    let known = lock(&access.running.programs).shell;
    let shells = known.map_or(SHELLS.to_vec(), |shell| vec![shell]);
    let mut missing = None;
    for shell in shells {
        let spec = ExecSpec {
            program: shell.to_owned(),
            argv: vec![shell.to_owned(), "-c".to_owned(), line.to_owned()],
            env: env.clone(),
            cwd: cwd.clone(),
            user: access.user.name.clone(),
            ..ExecSpec::default()
        };
        match access.guest.exec(spec).await {
            Ok(process) => {
                lock(&access.running.programs).shell = Some(shell);
                return Ok(process);
            }
            Err(error) if error.errno() == Some(ENOENT) => missing = Some(of_file(&error, shell)),
            Err(error @ Error::Os { .. }) => return Err(of_file(&error, shell)),
            Err(error) => return Err(machinery(&error)),
        }
    }
    Err(missing.unwrap_or_else(|| file("FileNotFound", "/bin/sh")))
}

/// Waits for a process to end, and notices it when the agent next looks.
async fn notice(process: Process, programs: Arc<Mutex<Programs>>, pid: i64, poll: Duration) {
    let begun = Instant::now();
    let exit = process.wait().await;
    if !poll.is_zero() {
        let since = begun.elapsed();
        let ticks = since.as_micros() / poll.as_micros().max(1) + 1;
        let next = poll.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
        tokio::time::sleep_until(begun + next).await;
    }
    let mut programs = lock(&programs);
    if let Some(program) = programs.started.iter_mut().find(|p| p.info.pid == pid && p.ended.is_none()) {
        program.ended = Some(Instant::now());
        program.info.end_time = Some(now());
        program.info.exit_code = Some(match exit {
            Exit::Code(code) => code,
            // Tools don't tell a signal from success.
            Exit::Signal(_) | Exit::GuestEnded => 0,
        });
    }
}

impl Programs {
    /// Tools were restarted: what they had started is nothing to them any more.
    pub fn lose(&mut self) {
        self.started.clear();
    }
}

fn forget(programs: &mut Programs, after: Duration) {
    programs.started.retain(|p| p.ended.is_none_or(|ended| ended.elapsed() < after));
}

async fn list(server: &Server, access: &Access, pids: &[i64]) -> Answer<Vec<GuestProcessInfo>> {
    let recorded: Vec<GuestProcessInfo> = {
        let mut programs = lock(&access.running.programs);
        forget(&mut programs, server.config.exit_memory);
        programs.started.iter().map(|p| p.info.clone()).collect()
    };
    let wanted = |pid: i64| pids.is_empty() || pids.contains(&pid);
    // Nothing else runs that was asked for: the records are enough.
    if !pids.is_empty() && pids.iter().all(|pid| recorded.iter().any(|info| info.pid == *pid)) {
        return Ok(recorded.into_iter().filter(|info| wanted(info.pid)).collect());
    }
    let living = access.guest.processes().await.map_err(|e| machinery(&e))?;
    let mut all: Vec<GuestProcessInfo> = living
        .into_iter()
        .filter(|p| !recorded.iter().any(|info| info.pid == i64::from(p.pid) && info.end_time.is_none()))
        .map(|p| GuestProcessInfo {
            name: p.name,
            pid: i64::from(p.pid),
            owner: p.owner,
            cmd_line: p.command_line,
            start_time: moment(p.started_ms),
            end_time: None,
            exit_code: None,
        })
        .collect();
    all.extend(recorded);
    all.retain(|info| wanted(info.pid));
    Ok(all)
}

async fn terminate(access: &Access, pid: i64) -> Answer<()> {
    let gone = || guest_fault("GuestProcessNotFound", "The process was not found in the guest.").with("pid", pid);
    let number = u32::try_from(pid).ok().filter(|pid| *pid > 0).ok_or_else(gone)?;
    let ended = {
        let programs = lock(&access.running.programs);
        programs.started.iter().any(|p| p.info.pid == pid && p.ended.is_some())
    };
    if ended {
        return Err(gone());
    }
    match access.guest.kill(&access.user.name, number, SIGTERM).await {
        Ok(()) => Ok(()),
        Err(error) if error.errno() == Some(ESRCH) => Err(gone()),
        Err(Error::Os { .. }) => Err(permission_denied()),
        Err(error) => Err(machinery(&error)),
    }
}

fn now() -> String {
    moment((OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).try_into().unwrap_or_default())
}

/// Milliseconds since 1970, as the API writes times: guests' processes have whole seconds.
pub(super) fn moment(ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000));
    time.ok().and_then(|t| t.format(&Rfc3339).ok()).unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}
