//! What all machines of a build share, and how one of them stops.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::event::{Event, MachineId, Node, StepId, Stream};
use super::journal::{Journal, Past, Record};
use super::ledger::Ledger;
use super::logs::Logs;
use super::mask::{MaskedStream, Masker};
use super::options::{Control, FailureClass, Options};
use crate::diagnostic::Diagnostic;
use crate::graph::Dag;
use crate::guest::{self, OnMoved};
use crate::plan::Resolved;
use crate::sema::eval::EvalError;
use crate::sema::program::{Attr, Machine, Program, Ref, Rt, Template};
use crate::sema::value::Value;
use crate::source::Span;
use crate::vsphere::client::{self, Class, Client};

/// What all machines of a build share.
pub(super) struct Shared {
    pub(super) program: Arc<Program>,
    pub(super) dag: Dag,
    pub(super) client: Client,
    pub(super) options: Options,
    pub(super) control: Control,
    /// Cancelled by the first failure, and by the user.
    pub(super) stop: CancellationToken,
    pub(super) events: Events,
    pub(super) board: Board,
    pub(super) resolved: HashMap<MachineId, Resolved>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) limits: super::limits::Limits,
    pub(super) ledger: Ledger,
    pub(super) journal: Journal,
    /// What earlier processes of this build have done.
    pub(super) past: Past,
    /// The secret keys that these have captured, by the machines whose commands may print them.
    pub(super) past_secrets: super::unknown::Secrets,
    pub(super) swaps: super::publish::Swaps,
    /// What is there already.
    pub(super) cache: super::cache::State,
    /// The tags that machines are given.
    pub(super) tags: crate::plan::Tags,
    /// What was answered to the question what becomes of half-made machines.
    pub(super) chosen: super::ask::Chosen,
    /// Failures that don't stop the others of a stage.
    pub(super) failures: super::existing::Failures,
    /// Files on their way from one guest to another.
    pub(super) scratch: Scratch,
}

/// A directory for files on their way: with the build's journal, to be found again after a crash, or a passing one.
pub(super) enum Scratch {
    Kept(PathBuf),
    Passing(tempfile::TempDir),
}

impl Scratch {
    /// Makes it.
    pub(super) fn new(journal: &Journal) -> std::io::Result<Self> {
        match journal.files() {
            Some(files) => Ok(Scratch::Kept(files)),
            None => tempfile::tempdir().map(Scratch::Passing),
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Scratch::Kept(path) => path,
            Scratch::Passing(directory) => directory.path(),
        }
    }

    /// The build is over.
    pub(super) fn remove(&self) {
        if let Scratch::Kept(path) = self {
            // What is left goes with the build's record.
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

impl Shared {
    /// Makes a node's end known, here and in the journal.
    pub(super) fn finish(&self, node: Node) {
        if !self.board.is_done(node) {
            self.journal.note(&Record::done(node));
            self.board.finish(node);
        }
    }

    /// Makes an attribute known, here and in the journal.
    pub(super) fn learn(&self, machine: MachineId, attr: Attr, value: Value) {
        let name = crate::sema::order::attr_name(attr).to_owned();
        self.journal.note(&Record::Attr { machine: machine.0, name, value: value.to_text() });
        self.board.set(Ref::Attr(machine, attr), value);
    }

    /// A secret that an earlier process has captured, that a machine's commands may print, and that nobody knows here
    /// (yet): it can't be masked, so nothing of what they print may be shown. As `stage.key`.
    pub(super) fn unmaskable(&self, machine: MachineId) -> Option<String> {
        let captured = self.past_secrets.get(&machine)?;
        let (owner, name) =
            captured.iter().find(|(owner, name)| self.board_value(&Ref::Key(*owner, name.clone())).is_none())?;
        Some(format!("{}.{name}", self.program.machine(*owner).label))
    }

    /// What is known of a reference now.
    pub(super) fn board_value(&self, reference: &Ref) -> Option<Value> {
        crate::sema::eval::Env::get(&self.board, reference)
    }

    /// A template's text, its secrets masked from now on.
    pub(super) fn text(&self, template: &Template) -> Result<String, Stop> {
        let rendered = crate::sema::template::render_template(template, &self.board).map_err(value_failed)?;
        rendered.secrets.iter().for_each(|s| self.events.masker.add(s));
        Ok(rendered.text)
    }

    /// An expression's value.
    pub(super) fn value(&self, rt: &Rt) -> Result<Value, Stop> {
        let value = crate::sema::eval::eval(rt, &self.board).map_err(value_failed)?;
        if let Value::Secret(secret) = &value {
            self.events.masker.add(secret);
        }
        Ok(value)
    }

    /// Runs something that the user may interrupt; what was begun is then the caller's to clean up.
    pub(super) async fn interruptible<T>(&self, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Stop::Cancelled),
            done = work => Ok(done),
        }
    }
}

/// An expression could not be evaluated.
pub(super) fn value_failed(error: EvalError) -> Stop {
    let diagnostic = Diagnostic::new(&super::codes::VALUE_FAILED, error.message).primary(error.span, "");
    Stop::failed(FailureClass::Guest, "a value can't be computed", diagnostic)
}

/// Why a machine is not finished.
#[derive(Debug)]
pub(super) enum Stop {
    /// It failed itself.
    Failed(Box<Failed>),
    /// Something else failed, or the user stopped the build.
    Cancelled,
}

/// A machine's own failure.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) class: FailureClass,
    /// In a few words, for the machine's line in the view.
    pub(super) short: String,
    pub(super) diagnostic: Diagnostic,
}

impl Stop {
    /// A failure.
    pub(super) fn failed(class: FailureClass, short: impl Into<String>, diagnostic: Diagnostic) -> Self {
        Stop::Failed(Box::new(Failed { class, short: short.into(), diagnostic }))
    }

    /// The journal can't be written, so nothing may be done.
    pub(super) fn journal(error: &std::io::Error) -> Self {
        let diagnostic =
            Diagnostic::new(&super::codes::JOURNAL, format!("the build's journal can't be written: {error}"))
                .help("free space in the state directory, or set VMWBUILD_STATE_DIR to one that can be written");
        Stop::failed(FailureClass::Vsphere, "its journal can't be written", diagnostic)
    }

    /// A failed vSphere operation, at the instruction that asked for it.
    pub(super) fn vsphere(error: &client::Error, span: Span, doing: &str) -> Self {
        let diagnostic = at(error.diagnostic(), span, doing);
        Stop::failed(class_of(error.class()), format!("{doing} failed"), diagnostic)
    }

    /// The same of a guest that is awaited after it was started.
    pub(super) fn booting(error: &client::Error, span: Span, doing: &str) -> Self {
        let diagnostic = match error {
            client::Error::Timeout { .. } => error.diagnostic().help(
                "look at the machine's console: does it boot, and do VMware Tools run in it? `--boot-timeout` allows it more \
                 time",
            ),
            _ => error.diagnostic(),
        };
        Stop::failed(class_of(error.class()), format!("{doing} failed"), at(diagnostic, span, doing))
    }

    /// A failed guest operation, at the instruction that asked for it.
    pub(super) fn guest(error: &guest::Error, span: Span, doing: &str) -> Self {
        Stop::failed(guest_class(error), format!("{doing} failed"), at(error.diagnostic(), span, doing))
    }

    /// The same where a step was to be run: its text stands at the place.
    pub(super) fn in_step(error: &guest::Error, span: Span, step: &str) -> Self {
        let mut diagnostic = error.diagnostic();
        if diagnostic.primary.is_none() {
            diagnostic = diagnostic.primary(span, "in this step");
        }
        Stop::failed(guest_class(error), format!("{step} failed"), diagnostic)
    }
}

fn guest_class(error: &guest::Error) -> FailureClass {
    match error {
        guest::Error::Client(error) => class_of(error.class()),
        guest::Error::Unavailable { .. } | guest::Error::Silent { .. } => FailureClass::Deadline,
        _ => FailureClass::Guest,
    }
}

/// Gives a diagnostic a place and says what was being done, unless it has a place already.
fn at(mut diagnostic: Diagnostic, span: Span, doing: &str) -> Diagnostic {
    if diagnostic.primary.is_none() {
        diagnostic = diagnostic.primary(span, format!("{doing} for this"));
    }
    diagnostic
}

/// The exit code's class of a client's error.
pub fn class_of(class: Class) -> FailureClass {
    match class {
        Class::Connection => FailureClass::Connection,
        Class::Guest => FailureClass::Guest,
        Class::Operation => FailureClass::Vsphere,
        Class::Deadline => FailureClass::Deadline,
        // By somebody else: when we are interrupted, nobody waits for tasks any more.
        Class::Cancelled => FailureClass::Vsphere,
        // Settings are checked before a build begins; what is left of them names something in vCenter.
        Class::Usage => FailureClass::Vsphere,
    }
}

/// The way out of the engine: everything that is shown passes here and is masked.
pub(super) struct Events {
    sender: UnboundedSender<Event>,
    pub(super) masker: Masker,
    pub(super) logs: Logs,
    streams: Mutex<HashMap<(StepId, Stream), MaskedStream>>,
}

impl Events {
    pub(super) fn new(sender: UnboundedSender<Event>, masker: Masker, logs: Logs) -> Self {
        Events { sender, masker, logs, streams: Mutex::new(HashMap::new()) }
    }

    /// Sends an event whose texts hold no secret. Nobody listening is no error: the build goes on unseen.
    pub(super) fn send(&self, event: Event) {
        let _ = self.sender.send(event);
    }

    /// A note.
    pub(super) fn note(&self, machine: Option<MachineId>, text: &str) {
        self.send(Event::Note { machine, text: self.masker.text(text) });
    }

    /// Tells how far a transfer of a machine is, by the hundredth. It doesn't keep the stream of events open.
    pub(super) fn moved(&self, machine: MachineId) -> OnMoved {
        let (sender, told) = (self.sender.downgrade(), AtomicU8::new(0));
        Arc::new(move |moved, total| {
            let percent = guest::percent(moved, total);
            if told.swap(percent, Ordering::Relaxed) != percent
                && let Some(sender) = sender.upgrade()
            {
                let _ = sender.send(Event::Percent { machine, percent });
            }
        })
    }

    /// What a command printed.
    pub(super) fn output(&self, step: StepId, stream: Stream, data: &[u8]) {
        let mut streams = self.streams.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let masked = streams.entry((step, stream)).or_insert_with(|| MaskedStream::new(self.masker.clone()));
        let ready = masked.push(data);
        if !ready.is_empty() {
            self.logged(step, &ready);
            self.send(Event::Output { step, stream, data: Bytes::from(ready) });
        }
    }

    /// Writes to a step's log; the first time that this fails is told.
    fn logged(&self, step: StepId, data: &[u8]) {
        self.logs.write(step, data).into_iter().for_each(|why| self.note(None, &why));
    }

    /// A command has ended: what its streams held back is let out.
    pub(super) fn end_output(&self, step: StepId) {
        let mut streams = self.streams.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for stream in [Stream::Out, Stream::Err] {
            let rest = streams.remove(&(step, stream)).map(|mut s| s.finish()).unwrap_or_default();
            if !rest.is_empty() {
                self.logged(step, &rest);
                self.send(Event::Output { step, stream, data: Bytes::from(rest) });
            }
        }
        self.logs.end(step);
    }

    /// A machine waits.
    pub(super) fn waiting(&self, machine: MachineId, what: &str, limit: Option<Duration>) {
        self.send(Event::Waiting { machine, what: what.to_owned(), limit, node: None });
    }

    /// A machine waits for another.
    pub(super) fn waiting_on(&self, machine: MachineId, what: String, node: Node) {
        self.send(Event::Waiting { machine, what, limit: None, node: Some(node) });
    }

    /// A KEY that is no secret has its value. What its command printed may hold one all the same.
    pub(super) fn key(&self, step: StepId, name: &str, value: &Value) {
        let json = value.to_json();
        let text = json.to_string();
        let masked = self.masker.text(&text);
        let value = if masked == text { json } else { serde_json::from_str(&masked).unwrap_or(masked.into()) };
        self.send(Event::Key { step, name: name.to_owned(), value });
    }
}

/// A machine's place among those that are worked on at once; given back while it waits for others.
pub(super) struct Slot {
    slots: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Slot {
    pub(super) fn new(slots: Arc<Semaphore>) -> Self {
        Slot { slots, held: None }
    }

    /// Whether a place would have to be waited for.
    pub(super) fn must_wait(&self) -> bool {
        self.held.is_none() && self.slots.available_permits() == 0
    }

    /// Waits for a place, unless it has one.
    pub(super) async fn take(&mut self) {
        if self.held.is_none() {
            // The semaphore is never closed.
            self.held = Arc::clone(&self.slots).acquire_owned().await.ok();
        }
    }

    /// Gives the place back.
    pub(super) fn give(&mut self) {
        self.held = None;
    }
}

/// What a machine leaves, in words.
pub(super) fn leaves(machine: &Machine) -> String {
    use crate::syntax::ast::OutputKind;
    if let crate::sema::program::Origin::Existing { path, .. } = &machine.origin {
        return format!("VM {path}, as it is");
    }
    let words: Vec<String> = machine
        .outputs
        .iter()
        .filter_map(|output| match output.kind {
            OutputKind::Template => Some(format!("template {}", output.name)),
            OutputKind::Vm => Some(format!("VM {}", output.name)),
            OutputKind::Library => Some(format!("library item {}", output.name)),
            OutputKind::Ova => Some(format!("OVA {}", output.name)),
            OutputKind::None => None,
        })
        .collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}
