//! A build as it was: what a report or a result is written from, at its end.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use super::View;
use super::text::OpenLines;
use crate::engine::event::{
    EdgeInfo, Event, MachineId, MachineInfo, MachineResult, Made, Node, Outcome, Phase, StepId, Stream,
};

/// How many bytes of a step's output are kept from its beginning, and from its end.
const HEAD: usize = 8 * 1024;
const TAIL: usize = 24 * 1024;

/// How much is kept of all steps together; later ones keep less.
const ALL: usize = 24 << 20;

/// How much of a step's output is kept when that is used up.
const LEAST: usize = 2 * 1024;

/// A view that keeps what happened.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<Record>>);

impl Recorder {
    /// Begins a record; with `output`, commands' output is kept.
    pub fn new(began: SystemTime, output: bool) -> Self {
        let left = if output { ALL } else { 0 };
        Recorder(Arc::new(Mutex::new(Record { began: Some(began), left, output, ..Record::default() })))
    }

    /// The record so far.
    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl View for Recorder {
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        self.record().take(at, event);
        Ok(())
    }
}

/// What happened in a build.
#[derive(Default)]
pub struct Record {
    pub(super) began: Option<SystemTime>,
    pub(super) build: String,
    /// Server, product, API.
    pub(super) server: Option<(String, String, String)>,
    pub(super) machines: Vec<MachineRecord>,
    pub(super) edges: Vec<EdgeInfo>,
    /// Notes, retries and cleanup: when, which machine, what.
    pub(super) notes: Vec<(Duration, Option<MachineId>, String)>,
    /// Whether all was built, how long it took, how many requests were made.
    pub(super) finished: Option<(bool, Duration, u64)>,
    /// The time of the last event.
    pub(super) last: Duration,
    left: usize,
    output: bool,
    index: HashMap<MachineId, usize>,
}

/// What happened to a machine.
pub(super) struct MachineRecord {
    pub(super) info: MachineInfo,
    pub(super) spans: Vec<Span>,
    pub(super) steps: Vec<StepRecord>,
    pub(super) made: Vec<Made>,
    pub(super) keys: Vec<(String, serde_json::Value)>,
    pub(super) result: Option<MachineResult>,
    pub(super) elapsed: Duration,
}

/// What a machine did for a while.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) from: Duration,
    pub(super) to: Option<Duration>,
    /// What another machine had to have done, if it waited for that.
    pub(super) on: Option<Node>,
    pub(super) step: Option<u32>,
}

/// Kinds of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Wait,
    Clone,
    Boot,
    Network,
    Step,
    /// Between steps: logging in, sending them over.
    Between,
    Export,
    Finish,
}

/// What happened to a step.
#[derive(Default)]
pub(super) struct StepRecord {
    pub(super) started: Option<Duration>,
    pub(super) elapsed: Option<Duration>,
    pub(super) outcome: Option<Outcome>,
    pub(super) attempts: u32,
    pub(super) output: Output,
    open: OpenLines,
}

/// The beginning and the end of a command's output.
#[derive(Default)]
pub(super) struct Output {
    pub(super) head: Vec<(Stream, String)>,
    head_size: usize,
    pub(super) tail: VecDeque<(Stream, String)>,
    tail_size: usize,
    /// Lines in between that are not kept.
    pub(super) omitted: u64,
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty()
    }

    /// Adds a line; by how many bytes it grew, or shrank.
    fn add(&mut self, stream: Stream, line: String, small: bool) -> isize {
        let (head, tail) = if small { (0, LEAST) } else { (HEAD, TAIL) };
        let size = line.len() + 1;
        if self.tail.is_empty() && self.head_size + size <= head {
            self.head_size += size;
            self.head.push((stream, line));
            return size as isize;
        }
        let before = self.tail_size as isize;
        self.tail_size += size;
        self.tail.push_back((stream, line));
        while self.tail_size > tail && self.tail.len() > 1 {
            if let Some((_, line)) = self.tail.pop_front() {
                self.tail_size -= line.len() + 1;
                self.omitted += 1;
            }
        }
        self.tail_size as isize - before
    }
}

impl MachineRecord {
    #[allow(clippy::indexing_slicing, reason = "one was just pushed")]
    fn enter(&mut self, at: Duration, kind: Kind, text: String) -> &mut Span {
        self.leave(at);
        self.spans.push(Span { kind, text, from: at, to: None, on: None, step: None });
        let last = self.spans.len() - 1;
        &mut self.spans[last]
    }

    fn leave(&mut self, at: Duration) {
        if let Some(span) = self.spans.last_mut() {
            span.to.get_or_insert(at);
        }
    }

    fn kind(&self) -> Option<Kind> {
        self.spans.last().filter(|s| s.to.is_none()).map(|s| s.kind)
    }
}

impl Record {
    fn machine(&mut self, id: MachineId) -> Option<&mut MachineRecord> {
        let at = *self.index.get(&id)?;
        self.machines.get_mut(at)
    }

    fn step(&mut self, id: StepId) -> Option<&mut StepRecord> {
        self.machine(id.machine)?.steps.get_mut(id.index as usize)
    }

    fn lines(&mut self, step: StepId, stream: Stream, lines: Vec<String>) {
        if !self.output {
            return;
        }
        let small = self.left == 0;
        let Some(record) = self.step(step) else { return };
        let grown: isize = lines.into_iter().map(|line| record.output.add(stream, line, small)).sum();
        self.left = if grown >= 0 { self.left.saturating_sub(grown as usize) } else { self.left };
    }

    fn phase(&mut self, at: Duration, id: MachineId, phase: &Phase) {
        let Some(machine) = self.machine(id) else { return };
        let (kind, text) = match phase {
            Phase::Pending => return,
            Phase::Cloning { from } => (Kind::Clone, format!("clone of {from}")),
            Phase::Configuring => (Kind::Clone, "virtual hardware".to_owned()),
            Phase::Booting => (Kind::Boot, "boot".to_owned()),
            Phase::Network => (Kind::Network, "network".to_owned()),
            Phase::Running => (Kind::Between, "between steps".to_owned()),
            Phase::Exporting => (Kind::Export, "fetching files for others".to_owned()),
            Phase::Finishing => (Kind::Finish, "finish".to_owned()),
        };
        machine.enter(at, kind, text);
    }

    fn take(&mut self, at: Duration, event: &Event) {
        self.last = at;
        match event {
            Event::Started { build, machines, edges } => {
                self.build = build.clone();
                self.edges = edges.clone();
                self.index = machines.iter().enumerate().map(|(at, info)| (info.id, at)).collect();
                let record = |info: &MachineInfo| MachineRecord {
                    info: info.clone(),
                    spans: Vec::new(),
                    steps: info.steps.iter().map(|_| StepRecord::default()).collect(),
                    made: Vec::new(),
                    keys: Vec::new(),
                    result: None,
                    elapsed: Duration::ZERO,
                };
                self.machines = machines.iter().map(record).collect();
            }
            Event::Connected { server, product, api } => {
                self.server = Some((server.clone(), product.clone(), api.clone()));
            }
            Event::Phase { machine, phase } => self.phase(at, *machine, phase),
            Event::Percent { .. } => {}
            Event::Waiting { machine, what, limit, node } => {
                let Some(record) = self.machine(*machine) else { return };
                // What a boot or a step waits for is a part of it.
                let own = node.is_none() && limit.is_some();
                if own && matches!(record.kind(), Some(Kind::Boot | Kind::Step | Kind::Network | Kind::Finish)) {
                    return;
                }
                record.enter(at, Kind::Wait, format!("waiting for {what}")).on = *node;
            }
            Event::StepStarted { step } => {
                if let Some(machine) = self.machine(step.machine) {
                    let text = machine.info.steps.get(step.index as usize).map_or_else(String::new, title);
                    machine.enter(at, Kind::Step, text).step = Some(step.index);
                }
                if let Some(record) = self.step(*step) {
                    record.started.get_or_insert(at);
                    record.attempts += 1;
                }
            }
            Event::Output { step, stream, data } => {
                if !self.output {
                    return;
                }
                let lines = self.step(*step).map(|s| s.open.of(*stream).push(data));
                self.lines(*step, *stream, lines.unwrap_or_default());
            }
            Event::Retry { step, attempt, of, reason, .. } => {
                if let Some(record) = self.step(*step) {
                    record.attempts = attempt + 1;
                }
                let text = format!("step {}: attempt {attempt} of {of} failed: {reason}", step.index + 1);
                self.notes.push((at, Some(step.machine), text));
            }
            Event::StepFinished { step, outcome, elapsed } => {
                self.rest(*step);
                if let Some(record) = self.step(*step) {
                    let since = at.saturating_sub(record.started.unwrap_or(at));
                    record.elapsed = Some(if elapsed.is_zero() { since } else { *elapsed });
                    record.outcome = Some(outcome.clone());
                }
                if let Some(machine) = self.machine(step.machine) {
                    machine.enter(at, Kind::Between, "between steps".to_owned());
                }
            }
            Event::Key { step, name, value } => {
                if let Some(machine) = self.machine(step.machine) {
                    machine.keys.push((name.clone(), value.clone()));
                }
            }
            Event::Note { machine, text } => self.notes.push((at, *machine, text.clone())),
            Event::Made { machine, made } => {
                if let Some(record) = self.machine(*machine) {
                    record.made.push(made.clone());
                    if let Some(MachineResult::Built { what, later }) = record.result.as_mut().filter(|_| made.late) {
                        let named = format!("{} {}", made.kind, made.name);
                        later.retain(|l| l.what != named);
                        what.push(named);
                    }
                }
            }
            Event::MachineFinished { machine, result, elapsed } => {
                let count = self.machine(*machine).map_or(0, |m| m.steps.len());
                (0..count).for_each(|index| self.rest(StepId { machine: *machine, index: index as u32 }));
                if let Some(record) = self.machine(*machine) {
                    record.leave(at);
                    if matches!(result, MachineResult::Cached(_)) {
                        // Of a machine that is kept, some may have been done again.
                        record.steps.iter_mut().for_each(|step| {
                            step.outcome.get_or_insert(Outcome::Cached);
                        });
                    }
                    record.result = Some(result.clone());
                    record.elapsed = *elapsed;
                }
            }
            Event::Watch { text, .. } => self.notes.push((at, None, text.clone())),
            Event::Cleanup { text } => self.notes.push((at, None, text.clone())),
            Event::Finished { ok, elapsed, requests, .. } => self.finished = Some((*ok, *elapsed, *requests)),
        }
    }

    /// The last line of a step's output, which has no end.
    fn rest(&mut self, step: StepId) {
        for stream in [Stream::Out, Stream::Err] {
            let rest = self.step(step).and_then(|s| s.open.of(stream).finish());
            self.lines(step, stream, rest.into_iter().collect());
        }
    }
}

/// What a step says of itself.
pub(super) fn title(step: &crate::engine::event::StepInfo) -> String {
    step.note.clone().unwrap_or_else(|| step.text.clone())
}
