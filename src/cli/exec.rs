//! `vmwbuild exec`: one command in the guest of a machine that exists, through vCenter and VMware Tools.

use std::io::Write;
use std::time::Duration;

use super::{args, build, codes, settings, terminal};
use crate::diagnostic::Diagnostic;
use crate::engine::{FailureClass, class_of};
use crate::guest::{self, Body, EnvPiece, EnvVar, Event, Exit, Guest, Job, RunAs, Stream, Via};
use crate::source::Sources;
use crate::syntax::literal;
use crate::vsphere::client::{Client, Deadline, Endpoint};
use crate::vsphere::wire::PowerState;

/// How long connecting and logging in may take.
const CONNECT: Duration = Duration::from_secs(60);

/// How long the guest may take to end the command after Ctrl-C.
const PARTING: Duration = Duration::from_secs(20);

type Refused = (u8, Diagnostic);

/// Runs it; the command's exit code, or ours when it could not be run.
pub(crate) fn run(options: &args::Exec, color: args::When, verbose: u8) -> u8 {
    let refused = |(code, problem): Refused| {
        terminal::show([&problem], &Sources::new(), color);
        code
    };
    let (endpoint, login, job) = match prepare(options, verbose) {
        Ok(prepared) => prepared,
        Err(error) => return refused(error),
    };
    let runtime = match build::runtime() {
        Ok(runtime) => runtime,
        Err(e) => {
            terminal::say(&format!("can't start: {e}"));
            return 5;
        }
    };
    let code = runtime.block_on(drive(endpoint, login, job, &options.vm));
    runtime.shutdown_background();
    code.unwrap_or_else(refused)
}

fn prepare(options: &args::Exec, verbose: u8) -> Result<(Endpoint, guest::Login, Job), Refused> {
    let env = |name: &str| std::env::var(name).ok();
    let job = job(options).map_err(|d| (2, d))?;
    let first = |(code, list): (u8, Vec<Diagnostic>)| {
        let problem = list.into_iter().next();
        (code, problem.unwrap_or_else(|| Diagnostic::new(&codes::NO_VCENTER, "no vCenter is named")))
    };
    let endpoint = build::endpoint(&options.connection, &env, verbose).map_err(first)?;
    let given = settings::login(&options.guest, &env).map_err(|d| (2, d))?;
    // The password of another account is no password of this one.
    let password = |user: &str| {
        let both = [&given.command_line, &given.environment];
        both.into_iter().flatten().find(|l| l.user == user).and_then(|l| l.password.clone())
    };
    let user = given.command_line.as_ref().or(given.environment.as_ref()).map(|l| l.user.clone());
    let user = user.or_else(|| terminal::ask(&format!("Guest account of {}", options.vm)));
    let missing = |what: &str| {
        let text = format!("the guest account's {what} isn't given, and there is no terminal to ask on");
        let help = "give `--login USER --login-password-file FILE`, or set VMWBUILD_LOGIN=user:password";
        (2, Diagnostic::new(&codes::CREDENTIALS_MISSING, text).help(help))
    };
    let user = user.ok_or_else(|| missing("name"))?;
    let password = password(&user)
        .or_else(|| terminal::ask_secret(&format!("Password of {user} in {}", options.vm)))
        .ok_or_else(|| missing("password"))?;
    Ok((endpoint, guest::Login { user, password }, job))
}

fn job(options: &args::Exec) -> Result<Job, Diagnostic> {
    let bad = |text: String, help: &str| Diagnostic::new(&codes::BAD_ARGUMENT, text).help(help);
    let mut job = Job::new(0, Body::Exec(options.command.clone()));
    for pair in &options.env {
        let (name, value) = pair
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| bad(format!("`--env {pair}` isn't of the form NAME=VALUE"), "as in `--env LANG=C`"))?;
        let value = vec![EnvPiece::Literal(value.to_owned())];
        job.env.push(EnvVar { name: name.to_owned(), value });
    }
    job.workdir = options.workdir.clone();
    job.run_as = options.user.clone().map(|user| RunAs { user, via: Via::Auto });
    if let Some(text) = &options.timeout {
        let timeout = literal::duration(text);
        job.timeout = Some(timeout.ok_or_else(|| {
            bad(format!("`--timeout {text}` is no duration"), "write it like `90s`, `10m` or `1h30m`")
        })?);
    }
    Ok(job)
}

async fn drive(endpoint: Endpoint, login: guest::Login, job: Job, vm: &str) -> Result<u8, Refused> {
    let stop = tokio_util::sync::CancellationToken::new();
    let stopping = stop.clone();
    let mut signals = build::Signals::new();
    let signal = tokio::spawn(async move {
        signals.next().await;
        stopping.cancel();
    });
    let interrupted = FailureClass::Interrupted.exit_code();
    let connected = tokio::select! {
        connected = Client::connect(endpoint, Deadline::after(CONNECT)) => connected,
        () = stop.cancelled() => return Ok(interrupted),
    };
    let client = connected.map_err(|e| (build::connect_code(e.class()), e.diagnostic()))?;
    let result = within(&client, &login, &job, vm, &stop).await;
    let _ = client.logout().await;
    signal.abort();
    result
}

async fn within(
    client: &Client,
    login: &guest::Login,
    job: &Job,
    vm: &str,
    stop: &tokio_util::sync::CancellationToken,
) -> Result<u8, Refused> {
    let failed = |e: &crate::vsphere::client::Error| (class_of(e.class()).exit_code(), e.diagnostic());
    let guest_failed = |e: &guest::Error| match e {
        guest::Error::Client(e) => failed(e),
        other => (FailureClass::Guest.exit_code(), other.diagnostic()),
    };
    let inventory = client.inventory().await.map_err(|e| failed(&e))?;
    let machine = inventory.vm(vm, None).map_err(|e| failed(&e))?;
    let state = client.guest_state(&machine.moref).await.map_err(|e| failed(&e))?;
    if state.power != PowerState::On {
        let text = format!("`{}` isn't powered on", machine.path);
        return Err((5, Diagnostic::new(&codes::NOT_RUNNING, text).help("power it on first, in vCenter or with govc")));
    }
    if state.tools_running.as_deref() != Some("guestToolsRunning") {
        let text = format!("VMware Tools don't run in `{}`", machine.path);
        let help = "wait until it has booted; if it has, install or start open-vm-tools in it";
        return Err((5, Diagnostic::new(&codes::NOT_RUNNING, text).help(help)));
    }
    let options = guest::Options { patience: CONNECT, ..guest::Options::default() };
    let guest = tokio::select! {
        opened = Guest::open(client, &machine.moref, login, options) => opened.map_err(|e| guest_failed(&e))?,
        () = stop.cancelled() => return Ok(FailureClass::Interrupted.exit_code()),
    };
    let mut show = |event: Event| show(&event);
    let ran = tokio::select! {
        ran = guest.run_batch(std::slice::from_ref(job), &mut show) => Some(ran),
        () = stop.cancelled() => None,
    };
    let Some(ran) = ran else {
        let _ = tokio::time::timeout(PARTING, async {
            let _ = guest.kill_all().await;
            let _ = guest.cleanup().await;
        })
        .await;
        return Ok(FailureClass::Interrupted.exit_code());
    };
    let cleaned = guest.cleanup().await;
    let outcome = ran.map_err(|e| guest_failed(&e))?;
    cleaned.map_err(|e| guest_failed(&e))?;
    let end = outcome.ends.first().map_or(Exit::Unknown, |end| end.exit);
    Ok(match end {
        Exit::Code(code) => u8::try_from(code).unwrap_or(255),
        // As a shell says it.
        Exit::Signal(signal) => u8::try_from(128 + signal).unwrap_or(255),
        Exit::Skipped => 0,
        Exit::TimedOut => {
            terminal::say("the command took longer than its --timeout, and was ended with all it had started");
            FailureClass::Deadline.exit_code()
        }
        Exit::Killed | Exit::Unknown => {
            terminal::say("the guest can't say how the command ended: it was restarted, or the command was killed");
            FailureClass::Guest.exit_code()
        }
    })
}

/// Output goes where the command's went, byte for byte. A closed pipe here ends nothing there.
fn show(event: &Event) {
    match event {
        Event::Output { stream: Stream::Out, bytes, .. } => {
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(bytes).and_then(|()| out.flush());
        }
        Event::Output { stream: Stream::Err, bytes, .. } => {
            let _ = std::io::stderr().lock().write_all(bytes);
        }
        Event::Omitted { bytes, .. } => terminal::say(&format!("({bytes} bytes of output are not shown)")),
        Event::Note(text) => terminal::say(&format!("note: {text}")),
        Event::Started { .. } | Event::Retrying { .. } | Event::Finished { .. } => {}
    }
}
