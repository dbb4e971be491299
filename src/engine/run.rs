//! A build from its first event to its last.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::board::Board;
use super::cleanup;
use super::codes;
use super::event::{EdgeInfo, Event, MachineId, MachineInfo, StepInfo};
use super::ledger::Ledger;
use super::machine;
use super::mask::Masker;
use super::options::{Built, BuiltOutput, Control, Failure, FailureClass, Options};
use super::publish::{self, Swaps};
use super::resolve;
use super::shared::{Events, Shared, Stop, class_of, leaves};
use crate::diagnostic::Diagnostic;
use crate::graph::{Dag, Why};
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
    let masker = Masker::default();
    options.secrets.iter().for_each(|s| masker.add(s));
    let events = Events::new(events, masker);
    events.send(Event::Started { build: options.build.clone(), machines: infos(&program), edges: edges(&dag) });
    let about = client.about();
    events.send(Event::Connected {
        server: client.address().to_owned(),
        product: about.full_name.clone(),
        api: about.api_version.clone(),
    });
    let finished = |events: &Events, client: &Client, ok| {
        events.send(Event::Finished { ok, elapsed: began.elapsed(), requests: client.requests().total });
    };
    let found = tokio::select! {
        found = prepare(&program, &client, &options) => found,
        () = control.stop.cancelled() => Err((FailureClass::Interrupted, vec![interrupted()])),
    };
    let found = match found {
        Ok(found) => found,
        Err((class, diagnostics)) => {
            finished(&events, &client, false);
            return Err(Failure { class, diagnostics });
        }
    };
    for (machine, note) in &found.notes {
        events.note(Some(*machine), note);
    }
    let scratch = match tempfile::tempdir() {
        Ok(scratch) => scratch,
        Err(e) => {
            finished(&events, &client, false);
            let diagnostic = Diagnostic::new(&codes::COPY_SOURCE, format!("can't make a temporary directory: {e}"))
                .help("free space in the temporary directory, or set TMPDIR");
            return Err(Failure { class: FailureClass::Guest, diagnostics: vec![diagnostic] });
        }
    };
    let shared = Arc::new(Shared {
        board: Board::new(&options.secrets),
        slots: Arc::new(Semaphore::new(options.parallel.max(1))),
        stop: control.stop.child_token(),
        resolved: found.machines,
        ledger: Ledger::default(),
        swaps: Swaps::default(),
        program,
        dag,
        client,
        options,
        control,
        events,
        scratch,
    });
    let mut result = machines(&shared).await;
    if result.is_ok()
        && let Err(stop) = publish::run(&shared).await
    {
        result = Err(failures(&shared, vec![stop]));
    }
    if let Ok(outputs) = &result {
        let replaced = outputs.iter().filter(|o| shared.swaps.has(&o.moref));
        replaced.for_each(|output| shared.events.send(output.event()));
    }
    let left = cleanup::run(&shared, result.is_ok()).await;
    finished(&shared.events, &shared.client, result.is_ok());
    match result {
        Ok(outputs) => Ok(Built { outputs, requests: shared.client.requests().total }),
        Err(mut failure) => {
            failure.diagnostics.extend(left);
            Err(failure)
        }
    }
}

type Refused = (FailureClass, Vec<Diagnostic>);

/// Looks everything up in the inventory before anything is changed.
async fn prepare(program: &Program, client: &Client, options: &Options) -> Result<resolve::Found, Refused> {
    let inventory = client.inventory().await;
    let inventory = inventory.map_err(|e| (class_of(e.class()), vec![e.diagnostic()]))?;
    resolve::resolve(program, options, &inventory)
}

/// Runs all machines; the first that fails stops the others.
async fn machines(shared: &Arc<Shared>) -> Result<Vec<BuiltOutput>, Failure> {
    let mut tasks = JoinSet::new();
    for machine in &shared.program.machines {
        let (shared, id) = (Arc::clone(shared), machine.id);
        tasks.spawn(async move { (id, machine::run(shared, id).await) });
    }
    let mut outputs: HashMap<MachineId, Vec<BuiltOutput>> = HashMap::new();
    let mut stops = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok((id, Ok(built))) => {
                outputs.insert(id, built);
            }
            Ok((_, Err(stop))) => {
                shared.stop.cancel();
                stops.push(stop);
            }
            Err(panic) => {
                // A defect of ours; what was made must still be cleaned up.
                shared.stop.cancel();
                let text = format!("internal error: {panic}");
                let diagnostic = Diagnostic::new(&codes::VALUE_FAILED, text).help("please report this");
                stops.push(Stop::failed(FailureClass::Vsphere, "internal error", diagnostic));
            }
        }
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

fn interrupted() -> Diagnostic {
    Diagnostic::new(&codes::INTERRUPTED, "the build was interrupted")
}

/// A diagnostic may quote a server's or a guest's words: no secret leaves through them.
fn masked(shared: &Shared, mut diagnostic: Diagnostic) -> Diagnostic {
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
