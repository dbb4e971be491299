//! `vmwbuild up`: before a build makes what is missing, what is dead is found and taken away.
//!
//! Dead is a machine of the file's own that is powered off, whose host is lost, whose VMware Tools don't answer, or whose
//! HEALTHCHECK fails.
//! What can't be checked (an account that is refused, a vCenter that doesn't answer) is no reason to replace anything.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;

use super::belongings::{self, Owned};
use super::boot::guest_ready;
use super::event::{Event, MachineResult};
use super::journal::{Journal, Past};
use super::life;
use super::options::{Built, Control, Failure, FailureClass, OnError, Options};
use super::shared::{Events, class_of};
use super::standin::{self, View};
use super::{cache, codes};
use crate::diagnostic::{Diagnostic, text};
use crate::sema::program::{
    Action, GuestContext, Hardware, Invocation, Machine, MachineId, Origin, Output, Program, Step, StepId, StepOptions,
};
use crate::syntax::ast::OutputKind;
use crate::vsphere::client::{Client, Deadline, Error};
use crate::vsphere::wire::{Moref, PowerState};

/// How long the Tools of a machine that runs may be silent: it may just be starting.
const SILENCE: Duration = Duration::from_secs(60);

/// How long a check may take without `--timeout`.
const CHECK: Duration = Duration::from_secs(30);

/// How long one command before a removal may take without `--timeout`.
const PARTING: Duration = Duration::from_secs(300);

/// How `up` replaces what is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Up {
    /// More dead machines than so many are a sign of something else: none is replaced then.
    pub at_most: usize,
    /// How long the host of a machine may be away: it may be back in a moment.
    pub grace: Duration,
    /// What is dead, where somebody watches and knows; None: it is looked for.
    pub decided: Option<Decided>,
}

impl Default for Up {
    fn default() -> Self {
        Up { at_most: 3, grace: Duration::from_secs(60), decided: None }
    }
}

/// What a watcher has decided; machines by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// What is replaced.
    pub dead: BTreeMap<String, Dead>,
    /// What isn't made now, though it is missing.
    pub held: BTreeSet<String>,
}

/// A machine that is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// The machine that it is said of; it may be gone. None: one that was gone before anybody looked.
    pub vm: Option<Moref>,
    /// Why.
    pub why: String,
}

pub(super) type Refused = (FailureClass, Vec<Diagnostic>);

/// A machine of the program that is there.
pub(super) struct There<'a> {
    pub(super) machine: &'a Machine,
    pub(super) owned: Owned,
}

/// Finds what is dead, and takes it away. How the build is to see the inventory then.
///
/// Boxed, since what it runs in guests is a build itself.
pub(super) fn run<'a>(
    program: &'a Program,
    client: &'a Client,
    options: &'a Options,
    control: &'a Control,
    events: &'a Events,
) -> Pin<Box<dyn Future<Output = Result<View, Refused>> + Send + 'a>> {
    Box::pin(heal(program, client, options, control, events))
}

async fn heal(
    program: &Program,
    client: &Client,
    options: &Options,
    control: &Control,
    events: &Events,
) -> Result<View, Refused> {
    let Some(up) = options.up.as_ref() else { return Ok(View::default()) };
    // What is begun in a guest or in vCenter is ended; waiting isn't.
    let stopped = || (FailureClass::Interrupted, vec![super::run::interrupted()]);
    let all = tokio::select! {
        all = belongings::list(client) => all.map_err(|e| failed(&e))?,
        () = control.stop.cancelled() => return Err(stopped()),
    };
    if !options.past.entries.is_empty() {
        return Ok(View::of(program, &all, options));
    }
    let all = match &up.decided {
        // Whoever watches has done so.
        Some(_) => all,
        None => settled(program, all, client, options, events).await?,
    };
    let mut view = View::of(program, &all, options);
    let there: Vec<There<'_>> = program.machines.iter().filter_map(|m| there(m, &all, options)).collect();
    if let Some(decided) = &up.decided {
        let lost = replace(program, &there, decided, client, options, control, events).await?;
        lost.into_iter().for_each(|one| view.stand_in(one.machine, &one.owned));
        return Ok(view);
    }
    let lost = tokio::select! {
        lost = lost(&there, client, up.grace, events) => lost.map_err(|e| failed(&e))?,
        () = control.stop.cancelled() => return Err(stopped()),
    };
    let mut dead: BTreeMap<MachineId, String> = lost.clone();
    let reached: Vec<&There<'_>> = there.iter().filter(|one| !lost.contains_key(&one.machine.id)).collect();
    let silent = tokio::select! {
        silent = join_all(reached.iter().map(|one| silent(client, one))) => silent,
        () = control.stop.cancelled() => return Err(stopped()),
    };
    for (one, why) in reached.iter().zip(silent) {
        if let Some(why) = why.map_err(|e| failed(&e))? {
            dead.insert(one.machine.id, why);
        }
    }
    let answering: Vec<&There<'_>> = there.iter().filter(|one| !dead.contains_key(&one.machine.id)).collect();
    let unhealthy = unhealthy(program, &answering, client, options, control, false).await?;
    dead.extend(unhealthy.into_iter().map(|(id, why)| (id, format!("its HEALTHCHECK fails: {why}"))));
    if dead.is_empty() {
        return Ok(view);
    }
    let told = |(id, why): (&MachineId, &String)| format!("`{}` is dead: {why}", program.machine(*id).label);
    if dead.len() > up.at_most {
        let text = format!("{} machines are dead, and at most {} are replaced at once", dead.len(), up.at_most);
        let diagnostic = Diagnostic::new(&codes::TOO_MANY_DEAD, text).help(
            "look for what they have in common (a host, a network, the check itself); `--replace-at-most` allows more",
        );
        return Err((FailureClass::Vsphere, vec![dead.iter().map(told).fold(diagnostic, Diagnostic::note)]));
    }
    dead.iter().map(told).for_each(|text| events.note(None, &text));
    part(program, &there, &dead, client, options, control, events).await;
    for one in there.iter().filter(|one| dead.contains_key(&one.machine.id)) {
        if control.stop.is_cancelled() {
            return Err(stopped());
        }
        if lost.contains_key(&one.machine.id) {
            events.note(None, &stood_in(&one.owned));
            view.stand_in(one.machine, &one.owned);
            continue;
        }
        match belongings::remove(client, &one.owned).await {
            Ok(None) => events.note(None, &format!("removed {}", one.owned.path)),
            Ok(Some(why)) => events.note(None, &format!("left alone: {}: {why}", one.owned.path)),
            Err(e) => return Err(failed(&e)),
        }
    }
    Ok(view)
}

/// Takes away what a watcher says is dead; those with which nothing can be done, and for which others are to stand in. What
/// can't be removed for another reason stays, and is told: the others are replaced all the same.
async fn replace<'a>(
    program: &Program,
    there: &'a [There<'a>],
    decided: &Decided,
    client: &Client,
    options: &Options,
    control: &Control,
    events: &Events,
) -> Result<Vec<&'a There<'a>>, Refused> {
    let of = |m: &Machine| decided.dead.get(&m.label);
    let dead: BTreeMap<MachineId, String> =
        program.machines.iter().filter_map(|m| Some((m.id, of(m)?.why.clone()))).collect();
    for (id, why) in &dead {
        events.note(Some(*id), &format!("it is dead: {why}"));
    }
    part(program, there, &dead, client, options, control, events).await;
    let mut lost = Vec::new();
    for one in there {
        // Another one may have taken its place meanwhile: nothing was said of that.
        if of(one.machine).is_none_or(|said| said.vm.as_ref() != Some(&one.owned.vm)) {
            continue;
        }
        if control.stop.is_cancelled() {
            return Err((FailureClass::Interrupted, vec![super::run::interrupted()]));
        }
        if one.owned.lost {
            lost.push(one);
            events.note(Some(one.machine.id), &stood_in(&one.owned));
            continue;
        }
        let note = match belongings::remove(client, &one.owned).await {
            Ok(None) => format!("removed {} ({})", one.owned.path, one.owned.vm.value),
            Ok(Some(why)) => format!("left alone: {}: {why}", one.owned.path),
            Err(e) if class_of(e.class()) == FailureClass::Connection => return Err(failed(&e)),
            Err(e) => format!("{} can't be removed, so it isn't replaced: {e}", one.owned.path),
        };
        events.note(Some(one.machine.id), &note);
    }
    Ok(lost)
}

fn stood_in(lost: &Owned) -> String {
    format!("nothing can be done with {} now: another one stands in for it", lost.path)
}

fn failed(error: &Error) -> Refused {
    (class_of(error.class()), vec![error.diagnostic()])
}

/// The VM of a machine that is meant to run, if it is there and this file's.
pub(super) fn there<'a>(machine: &'a Machine, all: &[Owned], options: &Options) -> Option<There<'a>> {
    standin::find(machine, all, options).map(|found| There { machine, owned: found.current })
}

/// Gives names back to what has stood in for machines that can be reached again; what is there then.
async fn settled(
    program: &Program,
    all: Vec<Owned>,
    client: &Client,
    options: &Options,
    events: &Events,
) -> Result<Vec<Owned>, Refused> {
    // Not interruptible: what is begun in vCenter is ended.
    let done = standin::settle(client, program, &all, options).await.map_err(|e| failed(&e))?;
    if done.is_empty() {
        return Ok(all);
    }
    done.iter().for_each(|(label, text)| events.note(None, &format!("`{label}`: {text}")));
    belongings::list(client).await.map_err(|e| failed(&e))
}

/// The machines with which nothing can be done, and why: a host may be back in a moment.
async fn lost(
    there: &[There<'_>],
    client: &Client,
    grace: Duration,
    events: &Events,
) -> Result<BTreeMap<MachineId, String>, Error> {
    let vms: Vec<Moref> = there.iter().map(|one| one.owned.vm.clone()).collect();
    let of = |vm: &Moref| there.iter().find(|one| one.owned.vm == *vm).map(|one| one.machine);
    let waits = |vm: &Moref, why: &str| {
        if let Some(machine) = of(vm).filter(|_| !grace.is_zero()) {
            events.note(None, &format!("`{}` may be dead: {why}; it is given {}", machine.label, text::limit(grace)));
        }
    };
    let lost = life::lost_until(client, &vms, tokio::time::Instant::now() + grace, waits).await?;
    Ok(lost.into_iter().filter_map(|(vm, why)| Some((of(&vm)?.id, why))).collect())
}

/// Why a machine is dead before its guest is asked anything.
async fn silent(client: &Client, one: &There<'_>) -> Result<Option<String>, Error> {
    match one.owned.power {
        PowerState::On => {}
        PowerState::Suspended => return Ok(Some("it is suspended".to_owned())),
        PowerState::Off | PowerState::Other(_) => return Ok(Some("it is powered off".to_owned())),
    }
    match guest_ready(client, &one.owned.vm, Deadline::after(SILENCE)).await {
        Ok(_) => Ok(None),
        Err(e) if class_of(e.class()) == FailureClass::Deadline => {
            Ok(Some(format!("its VMware Tools haven't answered for {}", text::limit(SILENCE))))
        }
        Err(e) if e.is_fault("ManagedObjectNotFound") => Ok(None),
        Err(e) => Err(e),
    }
}

/// Runs the HEALTHCHECKs, once or as often as they say; whose failed, and how.
pub(super) async fn unhealthy(
    program: &Program,
    there: &[&There<'_>],
    client: &Client,
    options: &Options,
    control: &Control,
    once: bool,
) -> Result<BTreeMap<MachineId, String>, Refused> {
    let checked: Vec<(&There<'_>, Step)> = there
        .iter()
        .filter_map(|one| {
            let health = one.machine.health.as_ref()?;
            let options = StepOptions {
                timeout: Some(health.timeout.unwrap_or(CHECK)),
                retry: if once { 0 } else { health.retry.saturating_sub(1) },
                delay: health.interval,
                ..StepOptions::default()
            };
            let text = health.text.clone();
            Some((*one, step(text, health.span, &health.command, &health.context, options)))
        })
        .collect();
    if checked.is_empty() {
        return Ok(BTreeMap::new());
    }
    let work = checked.iter().map(|(one, step)| on(one, one.machine.label.clone(), step.clone())).collect();
    let (result, ended) = aside(program, work, client, options, control).await;
    let Err(failure) = result else { return Ok(BTreeMap::new()) };
    let said = [&codes::STEP_FAILED, &codes::STEP_TIMED_OUT].map(|code| code.number);
    let others: Vec<Diagnostic> =
        failure.diagnostics.iter().filter(|d| !said.contains(&d.code.number)).cloned().collect();
    if !others.is_empty() {
        return Err((failure.class, others));
    }
    let dead = checked.iter().zip(0u32..).filter_map(|((one, _), at)| {
        let why = ended.get(&MachineId(at))?;
        Some((one.machine.id, why.clone()))
    });
    Ok(dead.collect())
}

/// Runs the ONREMOVEs of dead machines on machines that live. What fails is told: the dead go all the same.
async fn part(
    program: &Program,
    there: &[There<'_>],
    dead: &BTreeMap<MachineId, String>,
    client: &Client,
    options: &Options,
    control: &Control,
    events: &Events,
) {
    let mut work = Vec::new();
    for gone in dead.keys().map(|id| program.machine(*id)) {
        for hook in &gone.on_remove {
            let stage = hook.on.unwrap_or(gone.stage);
            let peer = there.iter().find(|one| one.machine.stage == stage && !dead.contains_key(&one.machine.id));
            let Some(peer) = peer else {
                events.note(None, &format!("{} for `{}`: nobody is left to run it", hook.text, gone.label));
                continue;
            };
            let timeout = Some(hook.timeout.unwrap_or(PARTING));
            let with = StepOptions { timeout, ..StepOptions::default() };
            let step = step(hook.text.clone(), hook.span, &hook.command, &hook.context, with);
            work.push(on(peer, format!("{} for {}", peer.machine.label, gone.label), step));
        }
    }
    if work.is_empty() {
        return;
    }
    if let (Err(failure), _) = aside(program, work, client, options, control).await {
        failure.diagnostics.iter().for_each(|d| events.note(None, &d.message));
    }
}

fn step(
    text: String,
    span: crate::source::Span,
    command: &Invocation,
    context: &Arc<GuestContext>,
    options: StepOptions,
) -> Step {
    let id = StepId { machine: MachineId(0), index: 0 };
    let (action, context) = (Action::Run(command.clone()), Arc::clone(context));
    Step { id, span, note: None, text, action, context, options, needs: Vec::new() }
}

/// A machine on which one step is run where it stands.
fn on(one: &There<'_>, label: String, step: Step) -> Machine {
    let span = step.span;
    let nothing = Output {
        kind: OutputKind::None,
        name: String::new(),
        exists: crate::sema::program::Exists::Fail,
        off: false,
        as_template: false,
        snapshot: None,
        after: Vec::new(),
        span,
    };
    Machine {
        label,
        origin: Origin::Existing { path: one.owned.path.clone(), moref: Some(one.owned.vm.value.clone()), span },
        outputs: vec![nothing],
        linked: false,
        snapshot: None,
        ova: Default::default(),
        hardware: Hardware::default(),
        address: None,
        hostname: None,
        steps: vec![step],
        on_fail: Vec::new(),
        on_remove: Vec::new(),
        health: None,
        serial: None,
        keys: indexmap::IndexMap::new(),
        wanted: Vec::new(),
        ..one.machine.clone()
    }
}

/// Runs steps on machines that are there, as a build of its own that nobody sees; how those ended that failed.
async fn aside(
    program: &Program,
    machines: Vec<Machine>,
    client: &Client,
    options: &Options,
    control: &Control,
) -> (Result<Built, Failure>, BTreeMap<MachineId, String>) {
    let mut machines = machines;
    for (machine, at) in machines.iter_mut().zip(0u32..) {
        machine.id = MachineId(at);
        machine.steps.iter_mut().for_each(|step| step.id.machine = machine.id);
    }
    let program = Program { machines, selectors: Vec::new(), args: Vec::new(), ..program.clone() };
    let options = Options {
        up: None,
        journal: Journal::none(),
        past: Past::default(),
        on_error: OnError::Continue,
        cache: cache::Use { avoid: true, key: None },
        ..options.clone()
    };
    let control = Control { ask: None, ..control.clone() };
    let (sender, mut events) = mpsc::unbounded_channel();
    let dag = crate::graph::lower(&program);
    let built: Pin<Box<dyn Future<Output = Result<Built, Failure>> + Send>> =
        Box::pin(super::run::build(Arc::new(program), dag, client.clone(), options, control, sender));
    let built = built.await;
    let mut ended = BTreeMap::new();
    while let Some(event) = events.recv().await {
        if let Event::MachineFinished { machine, result: MachineResult::Failed(why), .. } = event {
            ended.insert(machine, why);
        }
    }
    (built, ended)
}
