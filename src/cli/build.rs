//! `vmwbuild build`: from a VMWfile to templates and machines.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::project::Defaults;
use super::secrets::Missing;
use super::settings::{self, Env};
use super::telling::Telling;
use super::vcenter::Book;
use super::{args, ask, codes, load, record, secrets, terminal};
use crate::diagnostic::{Diagnostic, Problems};
use crate::engine::event::Event;
use crate::engine::journal::{Journal, Past};
use crate::engine::{self, Control, Deadlines, FailureClass, GuestLogin, Options};
use crate::guest::Channel;
use crate::plan::PlacementDefaults;
use crate::progress::Hush;
use crate::sema::program::Program;
use crate::source::Sources;
use crate::vsphere::client::{Class, Client, Deadline, Endpoint, Error, Recorder, Thumbprint};

/// Unoptimised futures are large; a build nests them deeply.
const STACK: usize = 8 << 20;

/// How long connecting and logging in may take.
pub(super) const CONNECT: Duration = Duration::from_secs(60);

/// How long a login that isn't wanted any more may take.
const PARTING: Duration = Duration::from_secs(2);

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Build, color: args::When, verbose: u8) -> u8 {
    go(options, load::Build::new(), Beside::default(), color, verbose)
}

/// What a build has beside its flags.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) earlier: Option<Earlier>,
    /// Who hears all that is said to the server.
    pub(super) recorder: Option<Recorder>,
    /// For `up`.
    pub(super) up: Option<engine::Up>,
    /// Whether, and how, nobody else may work on the platform meanwhile.
    pub(super) lock: Option<super::watch::LockWish>,
}

/// What an earlier process has left to go on with.
pub(super) struct Earlier {
    pub(super) journal: Journal,
    pub(super) past: Past,
    /// Placement as it was then: today's variables don't count.
    pub(super) placement: PlacementDefaults,
    /// Whether it was begun by `up`.
    pub(super) up: bool,
}

/// Builds, or goes on with a build.
pub(super) fn go(options: &args::Build, build: load::Build, beside: Beside, color: args::When, verbose: u8) -> u8 {
    let mut sources = Sources::new();
    match Telling::new(options, color) {
        Ok(mut telling) => {
            let code = attempt(options, build, beside, verbose, &mut sources, &mut telling);
            telling.end(code)
        }
        Err(problem) => {
            terminal::show([&problem], &sources, color);
            2
        }
    }
}

fn attempt(
    options: &args::Build,
    build: load::Build,
    beside: Beside,
    verbose: u8,
    sources: &mut Sources,
    telling: &mut Telling,
) -> u8 {
    let mut build = build;
    let env = |name: &str| std::env::var(name).ok();
    let (loaded, found, known) = match loaded(options, &mut build, sources, &env, verbose) {
        Ok(loaded) => loaded,
        Err((code, list)) => {
            telling.show(&list, sources);
            return code;
        }
    };
    telling.show(&found, sources);
    let load::Linted { mut program, context, values, defaults } = loaded;
    if options.on_error == args::OnError::Ask && !terminal::can_ask() {
        telling.show([&ask::nobody()], sources);
        return 2;
    }
    let (date, existing) = (build.date.clone(), build.existing.clone().unwrap_or_default());
    let Beside { earlier, recorder, up, lock } = beside;
    let up = up.or(earlier.as_ref().filter(|e| e.up).map(|_| engine::Up::default()));
    if up.is_some() {
        super::up::keep(&mut program);
    }
    let taken_up = earlier.is_some();
    let world = World { env: &env, defaults: &defaults, verbose };
    let prepared = secret_values(options, &program, taken_up).and_then(|secrets| {
        let (endpoint, mut engine) =
            prepare(options, &program, Of { context, build, earlier, secrets, endpoint: known }, world)?;
        engine.up = up;
        if !taken_up {
            let given = record::Given { date: &date, values, existing, sources };
            let header = record::header(options, &engine, endpoint.as_ref(), given, world);
            engine.journal = record::begin(&header)?;
        }
        Ok((endpoint, engine))
    });
    match prepared {
        Ok((mut endpoint, engine)) => {
            if let Some(endpoint) = &mut endpoint {
                endpoint.recorder = recorder;
            }
            run_on(endpoint, engine, (program, lock), options, sources, telling)
        }
        Err((code, list)) => {
            telling.show(&list, sources);
            code
        }
    }
}

pub(super) type Refused = (u8, Vec<Diagnostic>);

/// Which build, and of what.
pub(super) struct Of {
    pub(super) context: PathBuf,
    pub(super) build: load::Build,
    pub(super) earlier: Option<Earlier>,
    /// The secrets' values, in the program's order.
    pub(super) secrets: Vec<String>,
    /// Where the vCenter is, if that was needed before.
    pub(super) endpoint: Option<Endpoint>,
}

/// A file that can be built, what is to be said of it, and where the vCenter is, if it had to be asked.
pub(super) type Ready = (load::Linted, Vec<Diagnostic>, Option<Endpoint>);

/// Reads the file. Where stages are ON machines that exist, these are looked for, and it is read again with them.
pub(super) fn loaded(
    options: &args::Build,
    build: &mut load::Build,
    sources: &mut Sources,
    env: Env<'_>,
    verbose: u8,
) -> Result<Ready, Refused> {
    let mut read = |build: &load::Build| {
        *sources = Sources::new();
        let mut problems = Problems::new();
        let loaded = load::linted_program(&options.input, build, sources, &mut problems);
        let found = problems.sorted();
        match loaded {
            Some(loaded) => Ok((loaded, found)),
            None => Err((load::failed(&found), found)),
        }
    };
    let (first, found) = read(build)?;
    if first.program.selectors.is_empty() || build.existing.is_some() {
        return Ok((first, found, None));
    }
    let world = World { env, defaults: &first.defaults, verbose };
    let endpoint = if options.sandbox { None } else { Some(endpoint(&options.connection, world)?) };
    build.existing = Some(super::select::select(endpoint.as_ref(), &first.program.selectors)?);
    let (second, found) = read(build)?;
    Ok((second, found, endpoint))
}

/// Where settings come from beside the flags.
#[derive(Clone, Copy)]
pub(super) struct World<'a> {
    pub(super) env: Env<'a>,
    pub(super) defaults: &'a Defaults,
    pub(super) verbose: u8,
}

/// The values of the secrets, asked for where nothing gives them. A build that is taken up again makes none anew.
pub(super) fn secret_values(options: &args::Build, program: &Program, taken_up: bool) -> Result<Vec<String>, Refused> {
    let missing = match (options.sandbox, taken_up) {
        (true, _) => Missing::Generate,
        (false, false) => Missing::Ask,
        (false, true) => Missing::Made,
    };
    let (values, notes) = secrets::resolve(&program.secrets, &options.secrets, &options.secret_outs, missing)
        .map_err(|list| (1, list))?;
    for note in notes {
        terminal::say(&format!("note: {note}"));
    }
    Ok(values)
}

/// Everything that can be wrong before anything is contacted.
pub(super) fn prepare(
    options: &args::Build,
    program: &Program,
    of: Of,
    world: World<'_>,
) -> Result<(Option<Endpoint>, Options), Refused> {
    let Of { context, build, earlier, secrets, endpoint: known } = of;
    let env = world.env;
    let usage = |d: Diagnostic| (2, vec![d]);
    if options.sandbox && matches!(options.on_error, args::OnError::Keep) {
        terminal::say(
            "note: a sandbox ends with its build, and what `--on-error keep` keeps with it: build on `vmwbuild sandbox`",
        );
    }
    let mut login = settings::login(&options.guest, env).map_err(usage)?;
    if options.sandbox && login.environment.is_none() {
        // Its guests are nobody's: a VMWfile without LOGIN runs there as root.
        let given = options.sandbox_options.logins.first().and_then(|l| l.split_once(':'));
        let (user, password) = given.unwrap_or(("root", "sandbox"));
        login.environment = Some(GuestLogin { user: user.to_owned(), password: Some(password.to_owned()) });
    }
    let lacking = engine::missing_logins(program, &login);
    if !lacking.is_empty() {
        return Err((1, lacking));
    }
    let endpoint = match known {
        Some(known) => Some(known),
        None if options.sandbox => None,
        None => Some(endpoint(&options.connection, world)?),
    };
    let placement = if let Some(earlier) = &earlier {
        earlier.placement.clone()
    } else if options.sandbox {
        // Variables exported for a real vCenter name things that the sandbox hasn't.
        settings::placement(&options.placement, &|_| None, &Defaults::default())
    } else {
        settings::placement(&options.placement, env, world.defaults)
    };
    let engine = Options {
        build: build.id,
        file: load::identity(&options.input),
        from: load::whereabouts(&options.input),
        context,
        parallel: usize::from(options.parallel),
        clones: engine::ClonesAtOnce {
            in_all: usize::from(options.clones.in_all),
            per_host: usize::from(options.clones.per_host),
        },
        on_error: match options.on_error {
            args::OnError::Clean => engine::OnError::Clean,
            args::OnError::Keep => engine::OnError::Keep,
            args::OnError::Continue => engine::OnError::Continue,
            args::OnError::Ask => engine::OnError::Ask,
        },
        placement,
        login,
        channel: channel(options.guest_channel),
        secrets,
        deadlines: Deadlines {
            build: options.timeout,
            boot: options.waits.boot,
            shutdown: options.waits.shutdown,
            // Accounts of a sandbox's guests are there when the guest is: what is refused is wrong.
            login: if options.sandbox { Duration::ZERO } else { Deadlines::default().login },
            ..Deadlines::default()
        },
        journal: earlier.as_ref().map(|e| e.journal.clone()).unwrap_or_default(),
        past: earlier.map(|e| e.past).unwrap_or_default(),
        cache: engine::cache::Use {
            avoid: options.no_cache,
            // What a sandbox of its own holds goes with the build.
            key: if options.sandbox { None } else { record::cache_key() },
        },
        sent_before: 0,
        sandbox: options.sandbox && !options.sandbox_options.strict,
        up: None,
    };
    Ok((endpoint, engine))
}

/// `--guest-channel`.
pub(super) fn channel(flag: args::GuestChannel) -> Channel {
    match flag {
        args::GuestChannel::Auto => Channel::Auto,
        args::GuestChannel::Vcenter => Channel::Vcenter,
        args::GuestChannel::Transfer => Channel::Transfer,
    }
}

/// The connection's settings, with user and password asked for where nothing gives them.
pub(super) fn endpoint(flags: &args::Connection, world: World<'_>) -> Result<Endpoint, Refused> {
    let book = Book::read(world.env).map_err(|d| (2, vec![d]))?;
    let settings = settings::connection(flags, world.env, world.defaults, &book).map_err(|d| (2, vec![d]))?;
    if world.verbose > 0 {
        for line in settings.origins() {
            terminal::say(&line);
        }
    }
    endpoint_of(settings, flags.insecure)
}

/// The same of settings that are known.
pub(super) fn endpoint_of(settings: settings::Connection, insecure: bool) -> Result<Endpoint, Refused> {
    let mut endpoint = Endpoint::parse(&settings.url.value).map_err(|e| (2, vec![e.diagnostic()]))?;
    let credentials = |what: &str, how: &str| {
        let text = format!("vCenter's {what} isn't given, and there is no terminal to ask on");
        (3, vec![Diagnostic::new(&codes::CREDENTIALS_MISSING, text).help(how.to_owned())])
    };
    if let Some(user) = &settings.username {
        endpoint.username.clone_from(&user.value);
    }
    if endpoint.username.is_empty() {
        endpoint.username = terminal::ask(&format!("User of {}", endpoint.address()))
            .ok_or_else(|| credentials("user name", "give `--username` or set VMWBUILD_USERNAME"))?;
    }
    if let Some(password) = &settings.password {
        endpoint.password.clone_from(&password.value);
    }
    if endpoint.password.is_empty() {
        endpoint.password = terminal::ask_secret(&format!("Password of {}", endpoint.username))
            .ok_or_else(|| credentials("password", "give `--password-file FILE` or set VMWBUILD_PASSWORD"))?;
    }
    trust(&mut endpoint, settings, insecure)?;
    if endpoint.trust.insecure {
        terminal::say("warning: the server's certificate is not verified (--insecure); --thumbprint is safer");
    }
    Ok(endpoint)
}

/// Which certificates are good enough; what the settings say else is taken already.
pub(super) fn trust(endpoint: &mut Endpoint, settings: settings::Connection, insecure: bool) -> Result<(), Refused> {
    // A variable that other tools need is no wish against a thumbprint.
    let pinned = settings.thumbprint.is_some() && !insecure;
    endpoint.trust.insecure = settings.insecure.is_some_and(|i| i.value) && !pinned;
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
    Ok(())
}

/// What the asynchronous parts run on.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK).enable_all().build()
}

fn run_on(
    endpoint: Option<Endpoint>,
    options: Options,
    of: (Program, Option<super::watch::LockWish>),
    flags: &args::Build,
    sources: &Sources,
    telling: &mut Telling,
) -> u8 {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(e) => {
            terminal::say(&format!("can't start: {e}"));
            return 5;
        }
    };
    let code = runtime.block_on(drive(endpoint, options, of, flags, sources, telling));
    // Nothing is left to wait for: a blocked name lookup must not hold the process.
    runtime.shutdown_background();
    code
}

/// Logs in; None: it was stopped. A login that is on its way then is seen through, to log out again: a session that
/// nobody knows of would stay for half an hour.
pub(super) async fn connect(endpoint: Endpoint, stop: &CancellationToken) -> Option<Result<Client, Error>> {
    let mut connecting = std::pin::pin!(Client::connect(endpoint, Deadline::after(CONNECT)));
    tokio::select! {
        connected = &mut connecting => return Some(connected),
        () = stop.cancelled() => {}
    }
    if let Ok(Ok(client)) = tokio::time::timeout(PARTING, connecting).await {
        let _ = tokio::time::timeout(PARTING, client.logout()).await;
    }
    None
}

async fn drive(
    endpoint: Option<Endpoint>,
    options: Options,
    (program, lock): (Program, Option<super::watch::LockWish>),
    flags: &args::Build,
    sources: &Sources,
    telling: &mut Telling,
) -> u8 {
    let reins = Reins::default();
    let signals = tokio::spawn(signals(Signals::new(), reins.clone()));
    let (endpoint, sandbox) = match endpoint {
        Some(endpoint) => (endpoint, None),
        None => match super::sandbox::embedded(&flags.sandbox_options).await {
            Ok((endpoint, server)) => (endpoint, Some(server)),
            Err((code, problem)) => {
                options.journal.refused(&options.past, false);
                telling.show([&problem], sources);
                return code;
            }
        },
    };
    let (journal, past) = (options.journal.clone(), options.past.clone());
    let connected = connect(endpoint, &reins.control.stop).await;
    let code = match connected {
        Some(Ok(client)) => {
            let held = match &lock {
                Some(wish) => super::watch::alone(&client, wish, &options, &reins.control).await,
                None => Ok(None),
            };
            let code = match held {
                Ok(held) => {
                    let code = build(client.clone(), reins, options, program, flags, sources, telling).await;
                    super::watch::give_back(held).await;
                    code
                }
                Err((code, list)) => {
                    journal.refused(&past, code == FailureClass::Interrupted.exit_code());
                    telling.show(&list, sources);
                    code
                }
            };
            let _ = client.logout().await;
            code
        }
        Some(Err(error)) => {
            journal.refused(&past, false);
            telling.show([&error.diagnostic()], sources);
            connect_code(error.class())
        }
        None => {
            journal.refused(&past, true);
            telling.show([&engine::interrupted()], sources);
            FailureClass::Interrupted.exit_code()
        }
    };
    signals.abort();
    if let Some(server) = sandbox {
        server.stop().await;
    }
    code
}

/// One build. The client stays logged in.
pub(super) async fn build(
    client: Client,
    reins: Reins,
    options: Options,
    program: Program,
    flags: &args::Build,
    sources: &Sources,
    telling: &mut Telling,
) -> u8 {
    let (events, receiver) = mpsc::unbounded_channel();
    let _ = reins.voice.0.set(events.downgrade());
    let (hush, hushed) = Hush::new();
    let view = tokio::spawn(telling.watch(receiver, hushed));
    let (sender, questions) = mpsc::unbounded_channel();
    let mut control = reins.control;
    control.ask = Some(sender);
    let (interrupts, keeps) = (reins.interrupts, !flags.sandbox);
    let asker = ask::Asker { questions, hush, interrupts, sources, color: telling.color(), keeps };
    let program = Arc::new(program);
    let dag = crate::graph::lower(&program);
    let result = tokio::select! {
        result = engine::build(program, dag, client.clone(), options, control, events) => result,
        never = asker.attend() => match never {},
    };
    // The view ends with the stream; what it still has to write is written before anything else is.
    if let Ok(views) = view.await {
        telling.watched(views);
    }
    match result {
        Ok(built) => {
            telling.built(&built.outputs);
            0
        }
        Err(failure) => {
            // What is left in a sandbox of our own ends with it.
            let gone = |d: &&Diagnostic| flags.sandbox && d.code.number == engine::codes::LEFT_BEHIND.number;
            telling.failed(failure.diagnostics.iter().filter(|d| !gone(d)), sources);
            failure.class.exit_code()
        }
    }
}

/// How to say something while a build is shown: its view would draw over what others write. Weak, because the view
/// ends with the last sender.
#[derive(Clone, Default)]
struct Voice(Arc<OnceLock<mpsc::WeakUnboundedSender<Event>>>);

impl Voice {
    fn say(&self, text: &str) {
        let event = Event::Note { machine: None, text: text.to_owned() };
        let told = self.0.get().and_then(mpsc::WeakUnboundedSender::upgrade).is_some_and(|s| s.send(event).is_ok());
        if !told {
            terminal::say(text);
        }
    }
}

/// The exit code of a connection that wasn't made: also a server that accepts and never answers, or fails the very
/// first call, is none that one can connect to.
pub(super) fn connect_code(class: Class) -> u8 {
    match class {
        Class::Usage => 2,
        Class::Connection | Class::Guest | Class::Operation | Class::Deadline => FailureClass::Connection.exit_code(),
        Class::Cancelled => FailureClass::Interrupted.exit_code(),
    }
}

/// What a signal acts on.
#[derive(Clone, Default)]
pub(super) struct Reins {
    pub(super) control: Control,
    voice: Voice,
    interrupts: ask::Interrupts,
}

/// First Ctrl-C or SIGTERM: stop and clean up. Second: leave.
pub(super) async fn signals(mut signals: Signals, reins: Reins) {
    // Who looks inside a guest ends commands there by Ctrl-C.
    while signals.next().await == Signalled::Interrupt && reins.interrupts.told() {}
    reins.voice.say("stopping; once more leaves at once, without cleaning up");
    reins.control.stop.cancel();
    signals.next().await;
    reins.control.leave.cancel();
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signalled {
    /// Ctrl-C.
    Interrupt,
    /// Another signal that asks to stop.
    Terminate,
}

/// The signals that ask to stop. Registered once: one that comes while nobody waits is kept.
#[cfg(unix)]
pub(crate) struct Signals {
    kinds: Vec<(Signalled, tokio::signal::unix::Signal)>,
}

#[cfg(unix)]
impl Signals {
    /// Takes them over from the system, which would end the process.
    pub(crate) fn new() -> Self {
        let mut all = Self::without_hangup();
        if let Ok(hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
            all.kinds.push((Signalled::Terminate, hangup));
        }
        all
    }

    /// The same but for SIGHUP, which means something else to whoever stays.
    pub(crate) fn without_hangup() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [(Signalled::Interrupt, SignalKind::interrupt()), (Signalled::Terminate, SignalKind::terminate())];
        Signals { kinds: kinds.into_iter().filter_map(|(what, kind)| Some((what, signal(kind).ok()?))).collect() }
    }

    /// Returns when one comes.
    pub(crate) async fn next(&mut self) -> Signalled {
        std::future::poll_fn(|cx| {
            let came = self.kinds.iter_mut().find_map(|(what, kind)| kind.poll_recv(cx).is_ready().then_some(*what));
            came.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }
}

/// The signals that ask to stop. Registered once: one that comes while nobody waits is kept.
#[cfg(windows)]
pub(crate) struct Signals {
    interrupt: Option<tokio::signal::windows::CtrlC>,
    stop: Option<tokio::signal::windows::CtrlBreak>,
    close: Option<tokio::signal::windows::CtrlClose>,
}

#[cfg(windows)]
impl Signals {
    /// Takes them over from the system, which would end the process.
    pub(crate) fn new() -> Self {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
        Signals { interrupt: ctrl_c().ok(), stop: ctrl_break().ok(), close: ctrl_close().ok() }
    }

    /// The same: there is no SIGHUP here.
    pub(crate) fn without_hangup() -> Self {
        Self::new()
    }

    /// Returns when one comes.
    pub(crate) async fn next(&mut self) -> Signalled {
        std::future::poll_fn(|cx| {
            if self.interrupt.as_mut().is_some_and(|signal| signal.poll_recv(cx).is_ready()) {
                return std::task::Poll::Ready(Signalled::Interrupt);
            }
            let told = self.stop.as_mut().is_some_and(|signal| signal.poll_recv(cx).is_ready())
                || self.close.as_mut().is_some_and(|signal| signal.poll_recv(cx).is_ready());
            if told { std::task::Poll::Ready(Signalled::Terminate) } else { std::task::Poll::Pending }
        })
        .await
    }
}
