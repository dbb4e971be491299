//! A build from its first event to its last.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ask::Chosen;
use super::board::Board;
use super::cache;
use super::cleanup;
use super::codes;
use super::event::{EdgeInfo, Event, MachineId, MachineInfo, StepInfo};
use super::existing;
use super::heal;
use super::journal::{self, Ending, Record};
use super::ledger::Ledger;
use super::library;
use super::limits::Limits;
use super::logs::Logs;
use super::machine;
use super::mask::Masker;
use super::options::{Built, BuiltOutput, Control, Failure, FailureClass, OnError, Options};
use super::ova;
use super::policies;
use super::publish::{self, Swaps};
use super::resume;
use super::shared::{Events, Scratch, Shared, Stop, class_of, leaves};
use super::specs;
use super::standin::View;
use super::tags;
use super::unknown;
use crate::diagnostic::{Diagnostic, text};
use crate::graph::{Dag, Why};
use crate::plan;
use crate::sema::program::Program;
use crate::vsphere::client::Client;

/// Builds a program. Ends when everything is built, or everything half-made is removed (or kept, as the options
/// say) and the failure is told. The client stays logged in.
///
/// # Errors
/// The first failure's class, and a diagnostic for each machine that failed by itself.
pub async fn build(
    program: Arc<Program>,
    dag: Dag,
    client: Client,
    options: Options,
    control: Control,
    events: UnboundedSender<Event>,
) -> Result<Built, Failure> {
    let began = Instant::now();
    let (journal, past, before) = (options.journal.clone(), options.past.clone(), options.sent_before);
    let requests = move |client: &Client| client.requests().total.saturating_sub(before);
    let masker = Masker::default();
    options.secrets.iter().for_each(|s| masker.add(s));
    let events = Events::new(events, masker, Logs::new(journal.directory(), &program));
    events.send(Event::Started { build: options.build.clone(), machines: infos(&program), edges: edges(&dag) });
    let about = client.about();
    events.send(Event::Connected {
        server: client.address().to_owned(),
        product: about.full_name.clone(),
        api: about.api_version.clone(),
    });
    let finished = |events: &Events, client: &Client, failed: Option<FailureClass>| {
        events.send(Event::Finished {
            ok: failed.is_none(),
            interrupted: failed == Some(FailureClass::Interrupted),
            elapsed: began.elapsed(),
            requests: requests(client),
        });
    };
    let found = async {
        if let Some(elsewhere) = resume::elsewhere(&past, &client, &options.build) {
            return Err((FailureClass::Vsphere, vec![elsewhere]));
        }
        let view = heal::run(&program, &client, &options, &control, &events).await?;
        tokio::select! {
            found = prepare(&program, &client, &options, view) => found,
            () = control.stop.cancelled() => Err((FailureClass::Interrupted, vec![interrupted()])),
        }
    };
    let found = found.await;
    let (found, assessment, tags) = match found {
        Ok(found) => found,
        Err((class, diagnostics)) => {
            journal.refused(&past, class == FailureClass::Interrupted);
            finished(&events, &client, Some(class));
            return Err(Failure { class, diagnostics });
        }
    };
    for (machine, note) in &found.notes {
        events.note(Some(*machine), note);
    }
    let server = about.instance_uuid.clone().unwrap_or_default();
    let connected = Record::Connected { server: client.address().to_owned(), instance: server };
    if past.digests.is_none() && past.entries.is_empty() {
        journal.note(&Record::Digests { list: assessment.digests() });
    }
    let scratch = match journal.intend(&connected).await.and_then(|()| Scratch::new(&journal)) {
        Ok(scratch) => scratch,
        Err(e) => {
            finished(&events, &client, Some(FailureClass::Guest));
            let diagnostic = Diagnostic::new(&codes::COPY_SOURCE, format!("can't make a temporary directory: {e}"))
                .help("free space in the temporary directory, or set TMPDIR");
            return Err(Failure { class: FailureClass::Guest, diagnostics: vec![diagnostic] });
        }
    };
    let shared = Arc::new(Shared {
        board: Board::new(&options.secrets),
        slots: Arc::new(Semaphore::new(options.parallel.max(1))),
        limits: Limits::new(options.clones),
        stop: control.stop.child_token(),
        resolved: found.machines,
        ledger: Ledger::new(past.entries.clone(), journal.clone()),
        journal,
        past_secrets: unknown::secrets(&program, &past),
        past,
        swaps: Swaps::default(),
        cache: cache::State::new(assessment),
        chosen: Chosen::default(),
        tags,
        failures: existing::Failures::default(),
        program,
        dag,
        client,
        options,
        control,
        events,
        scratch,
    });
    let mut result = match resume::restore(&shared) {
        Ok(()) => {
            cache::restore(&shared);
            machines(&shared).await
        }
        Err(diagnostics) => {
            finished(&shared.events, &shared.client, Some(FailureClass::Vsphere));
            return Err(Failure { class: FailureClass::Vsphere, diagnostics });
        }
    };
    // With `--on-error continue` what is complete is the user's, whatever else has failed.
    let publishes = shared.on_error() == OnError::Continue && !shared.stop.is_cancelled();
    if result.is_ok() || publishes {
        result = match (publish::run(&shared).await, result) {
            (Ok(items), Ok(mut outputs)) => {
                outputs.extend(items);
                Ok(outputs)
            }
            (Ok(_), before) => before,
            (Err(stop), Ok(_)) => Err(failures(&shared, vec![stop])),
            (Err(stop), Err(mut before)) => {
                before.diagnostics.extend(failures(&shared, vec![stop]).diagnostics);
                Err(before)
            }
        };
    }
    let left = end(&shared, result.as_ref().err().map(|f| f.class)).await;
    finished(&shared.events, &shared.client, result.as_ref().err().map(|f| f.class));
    match result {
        Ok(outputs) => Ok(Built { outputs, requests: requests(&shared.client) }),
        Err(mut failure) => {
            failure.diagnostics.extend(left);
            Err(failure)
        }
    }
}

/// After all machines: cleans up, and closes the journal, unless somebody may go on with the build.
async fn end(shared: &Shared, failed: Option<FailureClass>) -> Option<Diagnostic> {
    if failed.is_some() && unfinished(shared, failed).await {
        return cleanup::abandoned(shared);
    }
    let left = cleanup::run(shared, failed.is_none()).await;
    let how = match failed {
        None => Ending::Done,
        Some(FailureClass::Interrupted) => Ending::Interrupted,
        Some(_) => Ending::Failed,
    };
    let names = shared.ledger.open().iter().map(|(_, entry)| cleanup::path(entry)).collect();
    // Before the end is written down: nobody looks after a build that is over.
    shared.scratch.remove();
    // A journal that can't be written has been told of before.
    let _ = shared.journal.intend(&Record::Ended { how, when: journal::now(), left: names }).await;
    left
}

/// Whether there is nothing to do but to leave everything as it is: the user has no patience, or vCenter is away.
async fn unfinished(shared: &Shared, failed: Option<FailureClass>) -> bool {
    if shared.control.leave.is_cancelled() {
        return true;
    }
    let folder = shared.client.content().root_folder.clone();
    let away = |e: &crate::vsphere::client::Error| class_of(e.class()) == FailureClass::Connection;
    failed == Some(FailureClass::Connection)
        && shared.client.properties(&folder, &["name"]).await.is_err_and(|e| away(&e))
}

type Refused = (FailureClass, Vec<Diagnostic>);

/// Looks everything up in the inventory before anything is changed.
async fn prepare(
    program: &Program,
    client: &Client,
    options: &Options,
    mut view: View,
) -> Result<(plan::Found, cache::Assessment, plan::Tags), Refused> {
    let inventory = client.inventory().await;
    let failed = |e: crate::vsphere::client::Error| (class_of(e.class()), vec![e.diagnostic()]);
    let inventory = inventory.map_err(failed)?;
    view.go_on(program, &options.past, &options.build, &inventory);
    let inventory = resume::inventory(view.inventory(inventory), &options.past);
    let ovas = ova::look_up(client, program, &options.context, &options.past).await;
    let libraries = library::look_up(client, program, &options.past, &options.build).await.map_err(failed)?;
    let policies = policies::look_up(client, program, &options.placement).await.map_err(failed)?;
    let specs = specs::look_up(client, program).await.map_err(failed)?;
    let wishes = plan::Wishes {
        placement: &options.placement,
        sandbox: options.sandbox,
        libraries: &libraries,
        policies: &policies,
        specs: &specs,
        ovas: &ovas,
        build: &options.build,
    };
    let mut found = plan::resolve(program, wishes, &inventory);
    view.name(program, &mut found, &options.build);
    library::lacking(&mut found, wishes);
    library::ask(client, program, &mut found).await.map_err(failed)?;
    let mut tags = tags::look_up(client, program, wishes, &mut found).await.map_err(failed)?;
    let question = cache::Question {
        program,
        found: &found,
        inventory: &inventory,
        context: &options.context,
        login: &options.login,
        secrets: Some(&options.secrets),
        with: &options.cache,
        past: &options.past,
    };
    let mut assessment = cache::assess(client, &question).await.map_err(failed)?;
    if let Some(decided) = options.up.as_ref().and_then(|up| up.decided.as_ref()) {
        assessment.hold(program, &decided.held);
    }
    found.settle(|id| assessment.is_made(id), |id| assessment.why(id));
    found.problems.extend(assessment.lacking(program));
    match found.problems.first() {
        None => {
            tags::make(client, &mut tags).await.map_err(failed)?;
            Ok((found, assessment, tags))
        }
        Some(first) => Err((class_of(first.class), found.problems.iter().map(|p| p.diagnostic.clone()).collect())),
    }
}

/// Runs all machines; the first that fails stops the others, unless they are to go on.
async fn machines(shared: &Arc<Shared>) -> Result<Vec<BuiltOutput>, Failure> {
    let mut tasks = JoinSet::new();
    for machine in &shared.program.machines {
        let (shared, id) = (Arc::clone(shared), machine.id);
        tasks.spawn(async move { (id, machine::run(shared, id).await) });
    }
    let mut outputs: HashMap<MachineId, Vec<BuiltOutput>> = HashMap::new();
    let mut stops = Vec::new();
    let limit = shared.options.deadlines.build;
    let mut deadline = std::pin::pin!(tokio::time::sleep(limit.unwrap_or_default()));
    let mut late = false;
    loop {
        let joined = tokio::select! {
            joined = tasks.join_next() => joined,
            () = &mut deadline, if limit.is_some() && !late => {
                late = true;
                shared.stop.cancel();
                continue;
            }
        };
        match joined {
            None => break,
            Some(Ok((id, Ok(built)))) => {
                outputs.insert(id, built);
            }
            Some(Ok((id, Err(stop)))) => {
                let passes = existing::tolerated(shared, shared.program.machine(id));
                if shared.on_error() != OnError::Continue && !passes {
                    shared.stop.cancel();
                }
                stops.push(stop);
            }
            Some(Err(panic)) => {
                // A defect of ours; what was made must still be cleaned up.
                shared.stop.cancel();
                let text = format!("internal error: {panic}");
                let diagnostic = Diagnostic::new(&codes::VALUE_FAILED, text).help("please report this");
                stops.push(Stop::failed(FailureClass::Vsphere, "internal error", diagnostic));
            }
        }
    }
    if let Some(limit) = limit.filter(|_| late) {
        let mut failure = failures(shared, stops);
        failure.class = FailureClass::Deadline;
        let text = format!("the build was stopped after {}, as `--timeout` says", text::limit(limit));
        failure.diagnostics.insert(0, Diagnostic::new(&codes::BUILD_TIMED_OUT, text).help("allow more time"));
        return Err(failure);
    }
    if !stops.is_empty() || shared.control.stop.is_cancelled() {
        return Err(failures(shared, stops));
    }
    Ok(shared.program.machines.iter().flat_map(|m| outputs.remove(&m.id).unwrap_or_default()).collect())
}

/// What is told of the machines that stopped.
fn failures(shared: &Shared, stops: Vec<Stop>) -> Failure {
    let mut class = None;
    let mut diagnostics = Vec::new();
    if shared.control.stop.is_cancelled() {
        class = Some(FailureClass::Interrupted);
        diagnostics.push(interrupted());
    }
    for stop in stops {
        if let Stop::Failed(failed) = stop {
            class.get_or_insert(failed.class);
            diagnostics.push(masked(shared, failed.diagnostic));
        }
    }
    Failure { class: class.unwrap_or(FailureClass::Interrupted), diagnostics }
}

/// The build was stopped from outside.
pub fn interrupted() -> Diagnostic {
    Diagnostic::new(&codes::INTERRUPTED, "the build was interrupted")
        .help("`vmwbuild builds` tells whether it has left anything")
}

/// A diagnostic may quote a server's or a guest's words: no secret leaves through them.
pub(super) fn masked(shared: &Shared, mut diagnostic: Diagnostic) -> Diagnostic {
    let mask = |text: &mut String| *text = shared.events.masker.text(text);
    mask(&mut diagnostic.message);
    diagnostic.notes.iter_mut().for_each(mask);
    diagnostic.help.iter_mut().for_each(mask);
    diagnostic.primary.iter_mut().chain(&mut diagnostic.secondary).for_each(|label| mask(&mut label.text));
    diagnostic
}

/// What the views need to know. Notes of the file may hold values: those that are known only later stay as written.
fn infos(program: &Program) -> Vec<MachineInfo> {
    let machines = program.machines.iter().map(|machine| MachineInfo {
        id: machine.id,
        label: machine.label.clone(),
        leaves: leaves(machine),
        steps: machine
            .steps
            .iter()
            .map(|step| StepInfo {
                note: step.note.as_ref().and_then(|note| note.as_literal().map(str::to_owned)),
                text: step.text.clone(),
            })
            .collect(),
    });
    machines.collect()
}

/// What waits for what between machines, in words.
fn edges(dag: &Dag) -> Vec<EdgeInfo> {
    let between = dag.edges().into_iter().filter(|(from, to, _)| from.machine() != to.machine());
    let edges = between.map(|(from, to, reason)| {
        let why = match &reason.why {
            Why::Sequence => "then".to_owned(),
            Why::From => "from".to_owned(),
            Why::Key(name) => name.clone(),
            Why::Attr(attr) => crate::sema::order::attr_name(*attr).to_owned(),
            Why::After => "after".to_owned(),
            Why::Copy => "copy".to_owned(),
        };
        EdgeInfo { from, to, why }
    });
    edges.collect()
}
