//! `--on-error ask`: what failed is told to somebody who says what becomes of it. The machine waits meanwhile, its guest
//! as the failure left it; the others go on.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::event::{Node, Stream};
use super::journal::Record;
use super::machine::{Worker, describe};
use super::mask::MaskedStream;
use super::options::OnError;
use super::sessions::{self, Sessions};
use super::shared::{Failed, Shared, Stop};
use super::steps::{inside, shell_job};
use crate::diagnostic::Diagnostic;
use crate::guest;
use crate::sema::program::{Machine, Step};

/// How long a guest may take to end what still runs before a step is run again.
const ENDING: Duration = Duration::from_secs(60);

/// Something has failed: what becomes of it? Who drops it has no answer, and the build stops as with `clean`.
pub struct Question {
    /// The machine's label.
    pub machine: String,
    /// What has failed, in the file's words: "step 2 of web".
    pub what: String,
    /// Why; no secret is in it.
    pub diagnostic: Diagnostic,
    /// Whether it can be tried again.
    pub retry: bool,
    /// As whom commands run in the guest; None: there is no looking inside.
    pub account: Option<String>,
    /// Where the answers go. Closed: the question is of no interest any more.
    pub answers: mpsc::Sender<Answer>,
}

/// What becomes of it.
pub enum Answer {
    /// It is tried again.
    Retry,
    /// The build stops, and half-made machines stay.
    Keep,
    /// The build stops, and half-made machines are removed.
    Clean,
    /// First this is run in the guest; another answer follows.
    Run(Look),
}

/// A command for the guest of the machine that failed, run as its step was.
pub struct Look {
    /// Shell text.
    pub text: String,
    /// The directory to run it in; None: the step's own.
    pub directory: Option<String>,
    /// Whether what it prints comes back with its end, and not as output.
    pub capture: bool,
    /// What it prints, without secrets.
    pub output: mpsc::UnboundedSender<(Stream, Bytes)>,
    /// Ends it.
    pub stop: CancellationToken,
    /// How it ended.
    pub ended: oneshot::Sender<Looked>,
}

/// How a [`Look`] ended.
#[derive(Debug)]
pub enum Looked {
    /// It ran: how it ended, in words where that isn't success, and what was captured.
    Ran {
        /// "exit code 1"; None: success.
        failure: Option<String>,
        /// What it printed, if that was to be captured.
        captured: Vec<u8>,
    },
    /// It couldn't be run.
    Failed(Box<Diagnostic>),
}

/// What was answered, for the whole build.
#[derive(Default)]
pub(super) struct Chosen(OnceLock<OnError>);

impl Shared {
    /// What becomes of half-made machines, as far as that is known.
    pub(super) fn on_error(&self) -> OnError {
        match self.options.on_error {
            OnError::Ask => self.chosen.0.get().copied().unwrap_or(OnError::Ask),
            told => told,
        }
    }
}

/// Asks what becomes of a failure, where there is somebody to ask. Ok: it is to be tried again.
pub(super) async fn ask(worker: &mut Worker, node: Node, stop: Stop) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let Stop::Failed(mut failed) = stop else { return Err(stop) };
    let asker = shared.control.ask.clone().filter(|_| shared.options.on_error == OnError::Ask);
    let Some(asker) = asker.filter(|_| !shared.stop.is_cancelled()) else { return Err(Stop::Failed(failed)) };
    let program = Arc::clone(&shared.program);
    let machine = program.machine(worker.id);
    let step = match node {
        Node::Step(_) => failed_step(&shared, machine),
        Node::Clone(_) | Node::Boot(_) | Node::Network(_) | Node::Export(_) | Node::Finish(_) => None,
    };
    // Others may have its place while nothing is done here.
    worker.slot.give();
    shared.events.waiting(worker.id, "your answer", None);
    let (answers, mut heard) = mpsc::channel(1);
    let question = Question {
        machine: machine.label.clone(),
        what: describe(&shared, step.map_or(node, |s| Node::Step(s.id))),
        diagnostic: super::run::masked(&shared, failed.diagnostic.clone()),
        retry: matches!(node, Node::Step(_) | Node::Boot(_) | Node::Network(_)),
        account: account(&shared, machine, step).filter(|_| worker.vm.is_some()),
        answers,
    };
    if asker.send(question).is_err() {
        return Err(Stop::Failed(failed));
    }
    let chosen = loop {
        match shared.interruptible(heard.recv()).await {
            Ok(Some(Answer::Retry)) => {
                shared.interruptible(worker.slot.take()).await?;
                let ended = shared.interruptible(tokio::time::timeout(ENDING, worker.sessions.end_what_runs())).await?;
                return match ended {
                    Ok(Ok(())) => Ok(()),
                    // What may still run isn't begun beside itself.
                    Ok(Err(error)) => Err(Stop::guest(&error, machine.span, "ending what still runs")),
                    Err(_) => Err(Stop::Failed(failed)),
                };
            }
            Ok(Some(Answer::Run(look))) => {
                // Nobody knows what somebody does in there.
                shared.cache.spoil(worker.id);
                let touched = Record::Touched { machine: worker.id.0 };
                shared.journal.intend(&touched).await.map_err(|e| Stop::journal(&e))?;
                run(worker, machine, step, look).await;
            }
            Ok(Some(Answer::Keep)) => break OnError::Keep,
            Ok(Some(Answer::Clean) | None) => break OnError::Clean,
            // Something else was answered elsewhere, or the build is stopped: this failure is told all the same.
            Err(_) => return Err(Stop::Failed(failed)),
        }
    };
    let _ = shared.chosen.0.set(chosen);
    if chosen == OnError::Keep && step.is_some() {
        failed.diagnostic.help.get_or_insert_with(|| inside(&shared, machine));
    }
    Err(Stop::Failed(failed))
}

/// The step that a machine stands at.
fn failed_step<'a>(shared: &Shared, machine: &'a Machine) -> Option<&'a Step> {
    machine.steps.iter().find(|step| !shared.board.is_done(Node::Step(step.id)))
}

/// As whom commands run.
fn account(shared: &Shared, machine: &Machine, step: Option<&Step>) -> Option<String> {
    let context = step.map_or(&machine.context, |s| &s.context);
    let login = sessions::login(shared, machine, context).ok().flatten()?;
    let user = sessions::run_as(shared, context.user.as_ref()).ok().flatten();
    Some(shared.events.masker.text(&user.map_or(login.user, |u| u.user)))
}

/// Runs a command of somebody who looks inside.
async fn run(worker: &mut Worker, machine: &Machine, step: Option<&Step>, look: Look) {
    let shared = Arc::clone(&worker.shared);
    let Look { text, directory, capture, output, stop, ended } = look;
    let span = step.map_or(machine.span, |s| s.span);
    let context = step.map_or(&machine.context, |s| &s.context);
    let mut streams =
        [MaskedStream::new(shared.events.masker.clone()), MaskedStream::new(shared.events.masker.clone())];
    let mut work = async || {
        let mut job = shell_job(&shared, context, text.clone())?;
        job.capture = capture;
        job.workdir = directory.clone().or(job.workdir);
        let login = sessions::needed(&shared, machine, context, span)?;
        let guest = Sessions::of(worker, login, span).await?;
        let mut on_event = |event| {
            if let guest::Event::Output { stream, bytes, .. } = event
                && !capture
            {
                let (at, stream) = match stream {
                    guest::Stream::Out => (0, Stream::Out),
                    guest::Stream::Err => (1, Stream::Err),
                };
                let ready = streams.get_mut(at).map(|s| s.push(&bytes)).unwrap_or_default();
                let _ = output.send((stream, Bytes::from(ready)));
            }
        };
        let ran = tokio::select! {
            ran = guest.run_batch(std::slice::from_ref(&job), &mut on_event) => Some(ran),
            () = stop.cancelled() => None,
            () = shared.stop.cancelled() => None,
        };
        let outcome = match ran {
            Some(ran) => ran.map_err(|e| Stop::guest(&e, span, "looking inside"))?,
            None => {
                let killed = guest.kill_all().await;
                killed.map_err(|e| Stop::guest(&e, span, "looking inside"))?;
                return Ok(Looked::Ran { failure: Some("ended by Ctrl-C".to_owned()), captured: Vec::new() });
            }
        };
        let end = outcome.ends.into_iter().next();
        let failure = match &end {
            Some(end) if end.success => None,
            Some(end) => Some(end.exit.to_string()),
            None => Some("no sign of its end".to_owned()),
        };
        Ok(Looked::Ran { failure, captured: end.and_then(|e| e.captured).unwrap_or_default() })
    };
    let looked = match work().await {
        Ok(looked) => looked,
        Err(Stop::Failed(failed)) => {
            let Failed { diagnostic, .. } = *failed;
            Looked::Failed(Box::new(super::run::masked(&shared, diagnostic)))
        }
        Err(Stop::Cancelled) => Looked::Ran { failure: Some("the build was stopped".to_owned()), captured: Vec::new() },
    };
    for (stream, masked) in [Stream::Out, Stream::Err].into_iter().zip(&mut streams) {
        let _ = output.send((stream, Bytes::from(masked.finish())));
    }
    // Whoever asked may be gone.
    let _ = ended.send(looked);
}
