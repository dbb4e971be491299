//! `vmwbuild up --watch`: the controller that stays. It reads the file, holds the lock, and builds when the engine's
//! watcher says that something is to be done.

mod files;
mod heirs;
mod lock;
mod metrics;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc;

pub(super) use lock::{LockWish, alone, give_back};

use self::files::Files;
use self::metrics::Metrics;
use super::build::{self, Earlier, Of, Refused, Reins, World};
use super::telling::Telling;
use super::{args, ask, load, record, terminal};
use crate::diagnostic::Diagnostic;
use crate::engine::event::Event;
use crate::engine::watch::{Decision, Lock, Need, Rules, Watch};
use crate::engine::{Control, FailureClass, Options, Up, codes};
use crate::source::Sources;
use crate::vsphere::client::{Client, Endpoint};

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Up, color: args::When, verbose: u8) -> u8 {
    let mut flags = options.build.clone();
    if matches!(flags.progress, args::Progress::Auto | args::Progress::Tty) {
        // Nothing is redrawn for days: it is a log.
        flags.progress = args::Progress::Plain;
    }
    let mut telling = match Telling::new(&flags, color) {
        Ok(telling) => telling,
        Err(problem) => {
            terminal::show([&problem], &Sources::new(), color);
            return 2;
        }
    };
    if flags.on_error == args::OnError::Ask {
        telling.show([&ask::nobody()], &Sources::new());
        return telling.end(2);
    }
    let code = attempt(options, &flags, verbose, &mut telling);
    telling.end(code)
}

fn attempt(options: &args::Up, flags: &args::Build, verbose: u8, telling: &mut Telling) -> u8 {
    let mut sources = Sources::new();
    let read = Good::read(flags, load::Build::new(), None, &mut sources, verbose);
    let mut good = match read {
        Ok((good, found)) => {
            telling.show(&found, &good.sources);
            good
        }
        Err((code, list)) => {
            telling.show(&list, &sources);
            return code;
        }
    };
    if let Err((code, list)) = good.options(flags, String::new(), None, verbose) {
        telling.show(&list, &good.sources);
        return code;
    }
    let runtime = match build::runtime() {
        Ok(runtime) => runtime,
        Err(e) => {
            terminal::say(&format!("can't start: {e}"));
            return 5;
        }
    };
    let ended = runtime.block_on(stay(options, flags, verbose, good, telling));
    runtime.shutdown_background();
    ended.unwrap_or_else(|(code, list)| {
        telling.show(&list, &sources);
        code
    })
}

/// A file that can be built, as it was read last.
struct Good {
    linted: load::Linted,
    build: load::Build,
    secrets: Vec<String>,
    sources: Sources,
    endpoint: Option<Endpoint>,
}

impl Good {
    /// Reads the file; what is to be said of it comes with it. `before` gives secrets that aren't asked for again, and
    /// the way to the vCenter.
    fn read(
        flags: &args::Build,
        mut build: load::Build,
        before: Option<&Good>,
        sources: &mut Sources,
        verbose: u8,
    ) -> Result<(Good, Vec<Diagnostic>), Refused> {
        let env = |name: &str| std::env::var(name).ok();
        let (mut linted, found, known) = build::loaded(flags, &mut build, sources, &env, verbose)?;
        super::up::keep(&mut linted.program);
        let names =
            |linted: &load::Linted| -> Vec<String> { linted.program.secrets.iter().map(|s| s.name.clone()).collect() };
        let secrets = match before.filter(|before| names(&before.linted) == names(&linted)) {
            Some(before) => before.secrets.clone(),
            None => build::secret_values(flags, &linted.program, false)?,
        };
        let endpoint = known.or_else(|| before.and_then(|b| b.endpoint.clone()));
        let good = Good { linted, build, secrets, sources: std::mem::take(sources), endpoint };
        Ok((good, found))
    }

    /// How to build it: as the build of that id.
    fn options(
        &mut self,
        flags: &args::Build,
        id: String,
        earlier: Option<Earlier>,
        verbose: u8,
    ) -> Result<Options, Refused> {
        let env = |name: &str| std::env::var(name).ok();
        let world = World { env: &env, defaults: &self.linted.defaults, verbose };
        let build =
            load::Build { id, date: self.build.date.clone(), args: None, existing: self.build.existing.clone() };
        let of = Of {
            context: self.linted.context.clone(),
            build,
            earlier,
            secrets: self.secrets.clone(),
            endpoint: self.endpoint.clone(),
        };
        let (endpoint, engine) = build::prepare(flags, &self.linted.program, of, world)?;
        self.endpoint = endpoint;
        Ok(engine)
    }

    /// Begins the journal of a build of it.
    fn journal(&self, flags: &args::Build, engine: &mut Options, verbose: u8) -> Result<(), Refused> {
        let env = |name: &str| std::env::var(name).ok();
        let world = World { env: &env, defaults: &self.linted.defaults, verbose };
        let given = record::Given {
            date: &self.build.date,
            values: self.linted.values.clone(),
            existing: self.build.existing.clone().unwrap_or_default(),
            sources: &self.sources,
        };
        let header = record::header(flags, engine, self.endpoint.as_ref(), given, world);
        engine.journal = record::begin(&header)?;
        Ok(())
    }
}

/// What stays the same while it watches.
struct Staying<'a> {
    options: &'a args::Up,
    flags: &'a args::Build,
    verbose: u8,
    reins: Reins,
    client: Client,
    files: Files,
    metrics: Arc<Metrics>,
    /// Builds of this process that may have left something: the lock may be lost, and what it said with it.
    open: Mutex<Vec<String>>,
}

async fn stay(
    options: &args::Up,
    flags: &args::Build,
    verbose: u8,
    good: Good,
    telling: &mut Telling,
) -> Result<u8, Refused> {
    let reins = Reins::default();
    let signals = tokio::spawn(build::signals(build::Signals::without_hangup(), reins.clone()));
    let metrics = Metrics::start(&options.watching, &load::identity(&flags.input)).await?;
    let (endpoint, sandbox) = match &good.endpoint {
        Some(endpoint) => (endpoint.clone(), None),
        None => {
            let (endpoint, server) =
                super::sandbox::embedded(&flags.sandbox_options).await.map_err(|(code, d)| (code, vec![d]))?;
            (endpoint, Some(server))
        }
    };
    let Some(connected) = build::connect(endpoint, &reins.control.stop).await else { return Ok(0) };
    let client = connected.map_err(|e| (build::connect_code(e.class()), vec![e.diagnostic()]))?;
    let files = Files::follow(files::of(&good.sources, &flags.input));
    let open = Mutex::default();
    let staying = Staying { options, flags, verbose, reins, client: client.clone(), files, metrics, open };
    let ended = staying.hold(good, telling).await;
    let _ = client.logout().await;
    signals.abort();
    if let Some(server) = sandbox {
        server.stop().await;
    }
    ended
}

impl Staying<'_> {
    /// Holds the lock and watches; when the lock is lost, waits for it again.
    async fn hold(&self, mut good: Good, telling: &mut Telling) -> Result<u8, Refused> {
        let root = &self.reins.control;
        let mut wish = LockWish::of(&self.options.watching);
        loop {
            let control =
                Control { stop: root.stop.child_token(), leave: root.leave.child_token(), ..Control::default() };
            let file = load::identity(&self.flags.input);
            let (held, before) = match &wish {
                None => (None, Vec::new()),
                Some(wish) => {
                    let (told, mut heard) = mpsc::unbounded_channel();
                    let taking = lock::take(&self.client, wish, &file, &control, &told);
                    let mut taking = std::pin::pin!(taking);
                    let taken = loop {
                        tokio::select! {
                            taken = &mut taking => break taken?,
                            Some(event) = heard.recv() => self.tell(telling, &event),
                        }
                    };
                    while let Ok(event) = heard.try_recv() {
                        self.tell(telling, &event);
                    }
                    match taken {
                        Some((lock, before)) => (Some(lock), before),
                        // It was stopped while it waited.
                        None => return Ok(0),
                    }
                }
            };
            let lost = held.as_ref().map(|lock| lock.lost().clone());
            let guard = lost.clone().map(|lost| {
                let control = control.clone();
                tokio::spawn(async move {
                    lost.cancelled().await;
                    // Another one may work on the platform from now on: nothing is touched, not even to clean up.
                    control.leave.cancel();
                    control.stop.cancel();
                })
            });
            self.metrics.holds(true);
            let mut before = before;
            before.append(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner));
            before.sort();
            before.dedup();
            let watched = self.watch(&mut good, held.as_ref(), before, &control, telling).await;
            self.metrics.holds(false);
            guard.into_iter().for_each(|guard| guard.abort());
            let is_lost = lost.is_some_and(|lost| lost.is_cancelled());
            give_back(held).await;
            watched?;
            if root.stop.is_cancelled() || !is_lost {
                return Ok(0);
            }
            let text = "the lock is lost: nothing is touched any more";
            self.tell(telling, &told("lost", text));
            telling.show([&lock::lost()], &Sources::new());
            telling.forget();
            // Whoever holds it now is waited for.
            wish = wish.map(LockWish::waiting);
        }
    }

    fn tell(&self, telling: &mut Telling, event: &Event) {
        if let Event::Watch { what, .. } = event {
            self.metrics.count(what);
        }
        telling.tell(event);
    }

    /// Watches until it is stopped.
    async fn watch(
        &self,
        good: &mut Good,
        lock: Option<&Lock>,
        before: Vec<String>,
        control: &Control,
        telling: &mut Telling,
    ) -> Result<(), Refused> {
        let with = &self.options.watching;
        let rules = Rules {
            grace: with.grace,
            at_most: usize::from(self.options.replace_at_most),
            replacements: with.max_replacements.0,
            window: with.max_replacements.1,
            pause: with.pause,
        };
        let (sender, mut heard) = mpsc::unbounded_channel();
        let mut watch = Watch::new(self.client.clone(), rules, sender);
        self.metrics.follow(watch.figures(), self.client.clone());
        if let Some(lock) = lock {
            watch.restore(lock.spent().await);
        }
        for build in before {
            self.inherit(&build, good, lock, control, &mut watch, telling).await;
        }
        let mut looking = self.looking(good, telling)?;
        loop {
            let need = {
                let mut waiting =
                    std::pin::pin!(watch.wait(&good.linted.program, &looking, control, &self.files.changed));
                loop {
                    tokio::select! {
                        need = &mut waiting => break need,
                        Some(event) = heard.recv() => {
                            self.tell(telling, &event);
                            self.metrics.write();
                        }
                    }
                }
            };
            while let Ok(event) = heard.try_recv() {
                self.tell(telling, &event);
            }
            match need {
                Need::Stop => return Ok(()),
                Need::Woken => {
                    if self.read(good, telling) {
                        looking = self.looking(good, telling)?;
                        watch.renewed();
                    }
                }
                Need::Round(decision) => {
                    let well = self.round(good, lock, &decision, control, &mut watch, telling).await;
                    watch.ended(well || control.stop.is_cancelled());
                    self.metrics.round(well, decision.decided.dead.keys());
                }
            }
            self.metrics.write();
        }
    }

    /// How machines are looked at: as a build does it.
    fn looking(&self, good: &mut Good, telling: &mut Telling) -> Result<Options, Refused> {
        good.options(self.flags, load::Build::new().id, None, self.verbose).map_err(|(code, list)| {
            // Its places are in this file.
            telling.show(&list, &good.sources);
            (code, Vec::new())
        })
    }

    /// Reads the file again; whether it is one that can be built.
    fn read(&self, good: &mut Good, telling: &mut Telling) -> bool {
        let mut sources = Sources::new();
        match Good::read(self.flags, load::Build::new(), Some(good), &mut sources, self.verbose) {
            Ok((new, found)) => {
                telling.show(&found, &new.sources);
                *good = new;
                self.files.set(files::of(&good.sources, &self.flags.input));
                self.tell(telling, &told("read", "the file or its arguments have changed: read again"));
                self.metrics.file(true);
                telling.forget();
                true
            }
            Err((_, list)) => {
                telling.show(&list, &sources);
                let text =
                    "the file or its arguments have changed and can't be used: the last ones that could count on";
                self.tell(telling, &told("unusable", text));
                self.metrics.file(false);
                telling.forget();
                false
            }
        }
    }

    /// Builds what was decided; whether that went well.
    async fn round(
        &self,
        good: &mut Good,
        lock: Option<&Lock>,
        decision: &Decision,
        control: &Control,
        watch: &mut Watch,
        telling: &mut Telling,
    ) -> bool {
        let began = Instant::now();
        let id = load::Build::new();
        // The file may use the build's id: it is read with the new one. One that is wrong now was told of.
        let (mut sources, name) = (Sources::new(), id.id.clone());
        if let Ok((new, _)) = Good::read(self.flags, id, Some(good), &mut sources, self.verbose) {
            *good = new;
        }
        watch.begins(decision);
        let begun = match lock {
            Some(lock) => {
                let replaced = decision.decided.dead.keys();
                let window = self.options.watching.max_replacements.1;
                lock.begins(&name, replaced, window).await.unwrap_or(false)
            }
            None => true,
        };
        if !begun {
            return false;
        }
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        let engine = good.options(self.flags, name.clone(), None, self.verbose).and_then(|mut engine| {
            let at_most = usize::from(self.options.replace_at_most);
            let grace = self.options.watching.grace;
            engine.up = Some(Up { at_most, grace, decided: Some(decision.decided.clone()) });
            engine.sent_before = self.client.requests().total;
            good.journal(self.flags, &mut engine, self.verbose)?;
            Ok(engine)
        });
        let code = match engine {
            Ok(engine) => self.build(good, engine, control, telling).await,
            Err((code, list)) => {
                telling.show(&list, &good.sources);
                code
            }
        };
        if !control.leave.is_cancelled() {
            self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|open| *open != name);
        }
        self.after(&name, code, lock, watch, telling).await;
        self.metrics.took(began.elapsed());
        code == 0
    }

    async fn build(&self, good: &Good, engine: Options, control: &Control, telling: &mut Telling) -> u8 {
        let mut reins = self.reins.clone();
        reins.control = control.clone();
        let program = good.linted.program.clone();
        build::build(self.client.clone(), reins, engine, program, self.flags, &good.sources, telling).await
    }

    /// A round has ended.
    async fn after(&self, name: &str, code: u8, lock: Option<&Lock>, watch: &mut Watch, telling: &mut Telling) {
        let found = telling.forget();
        if code != 0 {
            let why = found.iter().find(|f| f.severity == "error").map_or_else(String::new, |f| f.message.clone());
            self.tell(telling, &told("failed", &format!("the build {name} ended with exit code {code}: {why}")));
        }
        // What is kept for a look isn't removed by anybody else.
        let kept = self.flags.on_error == args::OnError::Keep;
        if code != 0 && !kept {
            watch.inherit([name.to_owned()]);
        } else if let Some(lock) = lock {
            lock.over(name).await;
        }
    }
}

/// Something for the log that is about no machine.
fn told(what: &'static str, text: &str) -> Event {
    Event::Watch { what, machine: None, text: text.to_owned() }
}

/// The exit code and the message of something that vCenter refuses.
fn refused(error: &crate::vsphere::client::Error, diagnostic: Diagnostic) -> Refused {
    (crate::engine::class_of(error.class()).exit_code(), vec![diagnostic])
}

/// It was stopped.
fn interrupted() -> Refused {
    (FailureClass::Interrupted.exit_code(), vec![crate::engine::interrupted()])
}

/// A code of this room's that is told by the engine.
fn lost_lock() -> Diagnostic {
    Diagnostic::new(&codes::LOCK_LOST, "the lock of this platform isn't ours any more")
        .help("it is waited for again; look at the way to vCenter, and whether another controller runs")
}
