//! What commands on a machine that exists share: connecting, finding it, logging in to its guest, Ctrl-C.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::build::{self, CONNECT, World};
use super::{args, codes, project, settings, terminal};
use crate::diagnostic::{Diagnostic, text};
use crate::engine::{FailureClass, class_of};
use crate::guest::{self, Guest};
use crate::vsphere::client::{self, Client, Endpoint, Entity};
use crate::vsphere::wire::PowerState;

/// How long the guest may take to end a command after Ctrl-C.
pub(super) const PARTING: Duration = Duration::from_secs(20);

/// An exit code and why.
pub(super) type Refused = (u8, Diagnostic);

/// The flags that lead to a guest.
pub(super) struct Way<'a> {
    pub(super) connection: &'a args::Connection,
    pub(super) guest: &'a args::GuestLogin,
    pub(super) profile: &'a args::Profile,
    pub(super) channel: args::GuestChannel,
    pub(super) verbose: u8,
}

/// Whom to connect to, and as whom.
pub(super) struct Access {
    pub(super) endpoint: Endpoint,
    pub(super) login: guest::Login,
    pub(super) options: guest::Options,
}

/// Settles all settings; `whose` guest account is asked for where there is a terminal.
pub(super) fn access(way: &Way<'_>, whose: &str) -> Result<Access, Refused> {
    let env = |name: &str| std::env::var(name).ok();
    let defaults = project::defaults(None, way.profile.profile.as_deref()).map_err(|d| (2, d))?;
    let world = World { env: &env, defaults: &defaults, verbose: way.verbose };
    let endpoint = build::endpoint(way.connection, world).map_err(first)?;
    let given = settings::login(way.guest, &env).map_err(|d| (2, d))?;
    // The password of another account is no password of this one.
    let password = |user: &str| {
        let both = [&given.command_line, &given.environment];
        both.into_iter().flatten().find(|l| l.user == user).and_then(|l| l.password.clone())
    };
    let user = given.command_line.as_ref().or(given.environment.as_ref()).map(|l| l.user.clone());
    let user = user.or_else(|| terminal::ask(&format!("Guest account of {whose}")));
    let missing = |what: &str| {
        let text = format!("the guest account's {what} isn't given, and there is no terminal to ask on");
        let help = "give `--login USER --login-password-file FILE`, or set VMWBUILD_LOGIN=user:password";
        (2, Diagnostic::new(&codes::CREDENTIALS_MISSING, text).help(help))
    };
    let user = user.ok_or_else(|| missing("name"))?;
    let password = password(&user)
        .or_else(|| terminal::ask_secret(&format!("Password of {user} in {whose}")))
        .ok_or_else(|| missing("password"))?;
    let options =
        guest::Options { patience: CONNECT, channel: build::channel(way.channel), ..guest::Options::default() };
    Ok(Access { endpoint, login: guest::Login { user, password }, options })
}

/// The first of several problems.
pub(super) fn first((code, list): (u8, Vec<Diagnostic>)) -> Refused {
    let problem = list.into_iter().next();
    (code, problem.unwrap_or_else(|| Diagnostic::new(&codes::NO_VCENTER, "no vCenter is named")))
}

/// What a failure of the client is for the exit code.
pub(super) fn failed(error: &client::Error) -> Refused {
    (class_of(error.class()).exit_code(), error.diagnostic())
}

/// What a failure of the guest is for the exit code.
pub(super) fn guest_failed(error: &guest::Error) -> Refused {
    match error {
        guest::Error::Client(e) => failed(e),
        guest::Error::Unavailable { .. } | guest::Error::Silent { .. } => {
            (FailureClass::Deadline.exit_code(), error.diagnostic())
        }
        other => (FailureClass::Guest.exit_code(), other.diagnostic()),
    }
}

/// Connects, does the work, and logs out; the token is cancelled by Ctrl-C. None: interrupted before the work began.
pub(super) fn connected<T: Send>(
    endpoint: Endpoint,
    work: impl AsyncFnOnce(&Client, &CancellationToken) -> Result<T, Refused>,
) -> Result<Option<T>, Refused> {
    let runtime = build::runtime()
        .map_err(|e| (5, Diagnostic::new(&codes::OUTPUT_UNWRITABLE, format!("can't start threads: {e}"))))?;
    let done = runtime.block_on(async {
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let mut signals = build::Signals::new();
        let signal = tokio::spawn(async move {
            signals.next().await;
            stopping.cancel();
        });
        let Some(client) = build::connect(endpoint, &stop).await else { return Ok(None) };
        let client = client.map_err(|e| (build::connect_code(e.class()), e.diagnostic()))?;
        let result = work(&client, &stop).await;
        let _ = client.logout().await;
        signal.abort();
        result.map(Some)
    });
    // Nothing is left to wait for: a blocked name lookup or read must not hold the process.
    runtime.shutdown_background();
    done
}

/// Logs in to the guest of a machine that is up. The password is tried once. None: interrupted.
pub(super) async fn open(
    client: &Client,
    machine: &Entity,
    login: &guest::Login,
    options: &guest::Options,
    stop: &CancellationToken,
) -> Result<Option<Guest>, Refused> {
    let down = |text: String, help: &str| (5, Diagnostic::new(&codes::NOT_RUNNING, text).help(help));
    let path = &machine.path;
    if machine.template {
        return Err(down(
            format!("`{path}` is a template, and a template never runs"),
            "name a VM, or clone it to one",
        ));
    }
    let state = client.guest_state(&machine.moref).await.map_err(|e| failed(&e))?;
    if let Some(question) = &state.question {
        return Err(down(
            format!("`{path}` waits for the answer to a question: {}", question.text),
            "answer it in the vSphere client",
        ));
    }
    match state.power {
        PowerState::On => {}
        PowerState::Suspended => {
            return Err(down(format!("`{path}` is suspended"), "resume it first, in vCenter or with govc"));
        }
        PowerState::Off | PowerState::Other(_) => {
            return Err(down(format!("`{path}` isn't powered on"), "power it on first, in vCenter or with govc"));
        }
    }
    if !state.tools_run() {
        return Err(down(
            format!("VMware Tools don't run in `{path}`"),
            "wait until it has booted; if it has, install or start open-vm-tools in it",
        ));
    }
    let options = guest::Options { family: state.family.clone(), ..options.clone() };
    tokio::select! {
        opened = Guest::open(client, &machine.moref, login, options) => {
            opened.map(Some).map_err(|e| guest_failed(&e))
        }
        () = stop.cancelled() => Ok(None),
    }
}

/// What is done by a POSIX shell in the guest isn't done on Windows.
pub(super) fn needs_posix(guest: &Guest, vm: &str, what: &str) -> Result<(), Refused> {
    if !guest.is_windows() {
        return Ok(());
    }
    let problem = Diagnostic::new(
        &crate::sema::codes::WRONG_FAMILY,
        format!("{what} needs a POSIX shell, and `{vm}` is Windows"),
    )
    .help("COPY and FETCH of a VMWfile reach Windows too, and so does `vmwbuild exec` without that");
    Err((4, problem))
}

/// Ends what runs in a guest and removes our traces, as far as that goes in the time that Ctrl-C leaves; says what
/// may have stayed.
pub(super) async fn part(guest: &Guest, vm: &str) {
    let parting = async {
        let killed = guest.kill_all().await;
        killed.and(guest.cleanup().await)
    };
    let why = match tokio::time::timeout(PARTING, parting).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("the guest didn't answer within {}", text::limit(PARTING)),
    };
    let what = "the command may go on, and a directory `.vmwbuild-*` may stay in the account's home directory";
    terminal::say(&format!("warning: in {vm} {what}: {why}"));
}
