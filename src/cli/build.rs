//! `vmwbuild build`: from a VMWfile to templates and machines.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::secrets::Missing;
use super::settings::{self, Env};
use super::{args, codes, load, secrets, terminal};
use crate::diagnostic::{Diagnostic, Problems};
use crate::engine::{self, Control, Deadlines, FailureClass, Options};
use crate::progress::{self, View};
use crate::sema::Purpose;
use crate::sema::program::Program;
use crate::source::Sources;
use crate::vsphere::client::{Client, Deadline, Endpoint, Thumbprint};

/// Unoptimised futures are large; a build nests them deeply.
const STACK: usize = 8 << 20;

/// How long connecting and logging in may take.
const CONNECT: Duration = Duration::from_secs(60);

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Build, color: args::When, verbose: u8) -> u8 {
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let build = load::Build::new();
    let loaded = load::program(&options.input, Purpose::Build, &build, &mut sources, &mut problems);
    terminal::show(&problems.sorted(), &sources, color);
    let Some((program, context)) = loaded else { return 1 };
    let env = |name: &str| std::env::var(name).ok();
    match prepare(options, &program, context, build, &env, verbose) {
        Ok((endpoint, engine)) => runtime(endpoint, engine, program, options, &sources, color),
        Err((code, list)) => {
            terminal::show(&list, &sources, color);
            code
        }
    }
}

type Refused = (u8, Vec<Diagnostic>);

/// Everything that can be wrong before anything is contacted.
fn prepare(
    options: &args::Build,
    program: &Program,
    context: PathBuf,
    build: load::Build,
    env: Env<'_>,
    verbose: u8,
) -> Result<(Option<Endpoint>, Options), Refused> {
    let usage = |d: Diagnostic| (2, vec![d]);
    let missing = if options.sandbox { Missing::Generate } else { Missing::Ask };
    let (values, notes) = secrets::resolve(&program.secrets, &options.secrets, &options.secret_outs, missing)
        .map_err(|list| (1, list))?;
    for note in notes {
        terminal::say(&format!("note: {note}"));
    }
    let login = settings::login(&options.guest, env).map_err(usage)?;
    let endpoint = if options.sandbox { None } else { Some(endpoint(&options.connection, env, verbose)?) };
    let placement = if options.sandbox {
        // Variables exported for a real vCenter name things that the sandbox hasn't.
        settings::placement(&options.placement, &|_| None)
    } else {
        settings::placement(&options.placement, env)
    };
    let engine = Options {
        build: build.id,
        context,
        parallel: usize::from(options.parallel),
        on_error: match options.on_error {
            args::OnError::Clean => engine::OnError::Clean,
            args::OnError::Keep => engine::OnError::Keep,
        },
        placement,
        login,
        secrets: values,
        deadlines: Deadlines::default(),
        sandbox: options.sandbox,
    };
    Ok((endpoint, engine))
}

/// The connection's settings, with user and password asked for where nothing gives them.
fn endpoint(flags: &args::Connection, env: Env<'_>, verbose: u8) -> Result<Endpoint, Refused> {
    let settings = settings::connection(flags, env).map_err(|d| (2, vec![d]))?;
    if verbose > 0 {
        for line in settings.origins() {
            terminal::say(&line);
        }
    }
    let mut endpoint = Endpoint::parse(&settings.url.value).map_err(|e| (2, vec![e.diagnostic()]))?;
    let credentials = |what: &str, how: &str| {
        let text = format!("vCenter's {what} isn't given, and there is no terminal to ask on");
        (3, vec![Diagnostic::new(&codes::CREDENTIALS_MISSING, text).help(how.to_owned())])
    };
    if let Some(user) = settings.username {
        endpoint.username = user.value;
    }
    if endpoint.username.is_empty() {
        endpoint.username = terminal::ask(&format!("User of {}", endpoint.address()))
            .ok_or_else(|| credentials("user name", "give `--username` or set VMWBUILD_USERNAME"))?;
    }
    if let Some(password) = settings.password {
        endpoint.password = password.value;
    }
    if endpoint.password.is_empty() {
        endpoint.password = terminal::ask_secret(&format!("Password of {}", endpoint.username))
            .ok_or_else(|| credentials("password", "give `--password-file FILE` or set VMWBUILD_PASSWORD"))?;
    }
    endpoint.trust.insecure = settings.insecure.is_some_and(|i| i.value);
    if endpoint.trust.insecure {
        terminal::say("warning: the server's certificate is not verified (--insecure); --thumbprint is safer");
    }
    if let Some(ca) = settings.ca {
        endpoint.trust.ca_pem = crate::source::read_file(&ca.value).map_err(|e| {
            let text = format!("can't read the certificate authorities in `{}`: {e}", ca.value.display());
            (2, vec![Diagnostic::new(&codes::FILE_UNREADABLE, text)])
        })?;
    }
    if let Some(print) = settings.thumbprint {
        let parsed = Thumbprint::parse(&print.value).map_err(|e| (2, vec![e.diagnostic()]))?;
        endpoint.trust.thumbprints.push(parsed);
    }
    Ok(endpoint)
}

fn runtime(
    endpoint: Option<Endpoint>,
    options: Options,
    program: Program,
    flags: &args::Build,
    sources: &Sources,
    color: args::When,
) -> u8 {
    let runtime = match tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            terminal::say(&format!("can't start: {e}"));
            return 5;
        }
    };
    let code = runtime.block_on(drive(endpoint, options, program, flags, sources, color));
    // Nothing is left to wait for: a blocked name lookup must not hold the process.
    runtime.shutdown_background();
    code
}

async fn drive(
    endpoint: Option<Endpoint>,
    options: Options,
    program: Program,
    flags: &args::Build,
    sources: &Sources,
    color: args::When,
) -> u8 {
    let control = Control::default();
    let signals = tokio::spawn(signals(control.clone()));
    let (endpoint, sandbox) = match endpoint {
        Some(endpoint) => (endpoint, None),
        None => match super::sandbox::embedded(&flags.sandbox_options).await {
            Ok((endpoint, server)) => (endpoint, Some(server)),
            Err(problem) => {
                terminal::show([&problem], sources, color);
                return 5;
            }
        },
    };
    let connected = tokio::select! {
        connected = Client::connect(endpoint, Deadline::after(CONNECT)) => Some(connected),
        () = control.stop.cancelled() => None,
    };
    let code = match connected {
        Some(Ok(client)) => build(client, control, options, program, flags, sources, color).await,
        Some(Err(error)) => {
            terminal::show([&error.diagnostic()], sources, color);
            engine::class_of(error.class()).exit_code()
        }
        None => FailureClass::Interrupted.exit_code(),
    };
    signals.abort();
    if let Some(server) = sandbox {
        server.stop().await;
    }
    code
}

async fn build(
    client: Client,
    control: Control,
    options: Options,
    program: Program,
    flags: &args::Build,
    sources: &Sources,
    color: args::When,
) -> u8 {
    let (events, receiver) = mpsc::unbounded_channel();
    let view = tokio::spawn(progress::show(receiver, view(flags.progress, color)));
    let program = Arc::new(program);
    let dag = crate::graph::lower(&program);
    let result = engine::build(program, dag, client.clone(), options, control, events).await;
    // The view ends with the stream; what it still has to write is written before anything else is.
    let _ = view.await;
    let _ = client.logout().await;
    match result {
        Ok(built) => {
            for output in &built.outputs {
                let ip = output.ip.as_ref().map_or_else(String::new, |ip| format!("  {ip}"));
                terminal::print(&format!("{} {}{ip}\n", output.kind, output.name));
            }
            0
        }
        Err(failure) => {
            terminal::show(&failure.diagnostics, sources, color);
            failure.class.exit_code()
        }
    }
}

fn view(wanted: args::Progress, color: args::When) -> Box<dyn View> {
    let terminal = io::stderr().is_terminal();
    let tty = match wanted {
        args::Progress::Tty => true,
        args::Progress::Plain => false,
        args::Progress::Auto => terminal && std::env::var_os("TERM").is_none_or(|t| t != "dumb"),
    };
    if tty {
        Box::new(progress::Tty::new(io::stderr(), terminal::use_color(color, terminal), terminal::size))
    } else {
        Box::new(progress::Plain::new(io::stderr()))
    }
}

/// First Ctrl-C or SIGTERM: stop and clean up. Second: leave.
async fn signals(control: Control) {
    wait_for_signal().await;
    terminal::say("stopping; once more leaves at once, without cleaning up");
    control.stop.cancel();
    wait_for_signal().await;
    control.leave.cancel();
}

#[cfg(unix)]
pub(crate) async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = signal(SignalKind::terminate());
    let hangup = signal(SignalKind::hangup());
    match (terminate, hangup) {
        (Ok(mut terminate), Ok(mut hangup)) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        }
        _ => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
pub(crate) async fn wait_for_signal() {
    let _ = tokio::signal::ctrl_c().await;
}
