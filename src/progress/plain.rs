//! One line an event, for logs and CI: time, machine, what happened.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::View;
use super::text::{Lines, limit as most, span};
use crate::engine::event::{Event, MachineId, MachineInfo, MachineResult, Outcome, Phase, StepId, Stream};

/// The plain view.
pub struct Plain<W> {
    out: W,
    machines: Vec<MachineInfo>,
    width: usize,
    open: HashMap<(StepId, Stream), Lines>,
}

impl<W: Write + Send> Plain<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Plain { out, machines: Vec::new(), width: 0, open: HashMap::new() }
    }

    fn line(&mut self, at: Duration, machine: Option<MachineId>, text: &str) -> io::Result<()> {
        let label =
            machine.and_then(|m| self.machines.iter().find(|i| i.id == m)).map_or("", |info| info.label.as_str());
        let pad = self.width.saturating_sub(label.width());
        let tenths = at.as_millis() / 100;
        let text = super::text::visible(text);
        writeln!(self.out, "{:>5}.{}  {label}{:pad$}  {text}", tenths / 10, tenths % 10, "")
    }

    /// `3/7` of a step, and what it says of itself.
    fn step(&self, step: StepId) -> (String, String) {
        let info = self.machines.iter().find(|i| i.id == step.machine);
        let total = info.map_or(0, |i| i.steps.len());
        let text = info.and_then(|i| i.steps.get(step.index as usize)).map_or_else(String::new, |s| match &s.note {
            Some(note) => format!("{note}: {}", s.text),
            None => s.text.clone(),
        });
        (format!("{}/{total}", step.index + 1), text)
    }

    fn output(&mut self, at: Duration, step: StepId, stream: Stream, lines: Vec<String>) -> io::Result<()> {
        let mark = match stream {
            Stream::Out => "|",
            Stream::Err => "!",
        };
        for line in lines {
            self.line(at, Some(step.machine), &format!("{mark} {line}"))?;
        }
        Ok(())
    }
}

impl<W: Write + Send> View for Plain<W> {
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { build, machines } => {
                self.width = machines.iter().map(|m| m.label.width()).max().unwrap_or(0);
                self.machines = machines.clone();
                let count = machines.len();
                let plural = if count == 1 { "" } else { "s" };
                self.line(at, None, &format!("build {build}: {count} machine{plural}"))?;
            }
            Event::Connected { server, product, api } => {
                self.line(at, None, &format!("connected to {server}: {product}, API {api}"))?;
            }
            Event::Phase { machine, phase } => {
                let text = match phase {
                    Phase::Pending | Phase::Running => return Ok(()),
                    Phase::Cloning { from } => format!("cloning {from}"),
                    Phase::Configuring => "configuring the virtual hardware".to_owned(),
                    Phase::Booting => "powering on".to_owned(),
                    Phase::Network => "configuring the guest's network".to_owned(),
                    Phase::Finishing => "finishing".to_owned(),
                };
                self.line(at, Some(*machine), &text)?;
            }
            Event::Percent { .. } => {}
            Event::Waiting { machine, what, limit } => {
                let limit = limit.map_or_else(String::new, |l| format!(" (at most {})", most(l)));
                self.line(at, Some(*machine), &format!("waiting for {what}{limit}"))?;
            }
            Event::StepStarted { step } => {
                let (number, text) = self.step(*step);
                self.line(at, Some(step.machine), &format!("[{number}] {text}"))?;
            }
            Event::Output { step, stream, data } => {
                let lines = self.open.entry((*step, *stream)).or_default().push(data);
                self.output(at, *step, *stream, lines)?;
            }
            Event::Retry { step, attempt, of, reason, delay } => {
                let text = format!("attempt {attempt} of {of}: {reason}; again in {}", most(*delay));
                self.line(at, Some(step.machine), &text)?;
            }
            Event::StepFinished { step, outcome, elapsed } => {
                for stream in [Stream::Out, Stream::Err] {
                    let rest = self.open.remove(&(*step, stream)).and_then(|mut l| l.finish());
                    self.output(at, *step, stream, rest.into_iter().collect())?;
                }
                let (number, _) = self.step(*step);
                let text = match outcome {
                    Outcome::Done => format!("[{number}] done in {}", span(*elapsed)),
                    Outcome::Skipped(why) => format!("[{number}] skipped: {why}"),
                    Outcome::Allowed(why) => format!("[{number}] failed, as --allow-failure lets it: {why}"),
                    Outcome::Failed(why) => format!("[{number}] FAILED: {why}"),
                };
                self.line(at, Some(step.machine), &text)?;
            }
            Event::Note { machine, text } => self.line(at, *machine, &format!("note: {text}"))?,
            Event::MachineFinished { machine, result, elapsed } => {
                let text = match result {
                    MachineResult::Built(what) => format!("built {what} in {}", span(*elapsed)),
                    MachineResult::Failed(why) => format!("FAILED: {why}"),
                    MachineResult::Cancelled => "cancelled".to_owned(),
                };
                self.line(at, Some(*machine), &text)?;
            }
            Event::Cleanup { text } => self.line(at, None, text)?,
            Event::Finished { ok, elapsed, requests } => {
                let word = if *ok { "done" } else { "failed" };
                self.line(at, None, &format!("{word} in {}, {requests} requests", span(*elapsed)))?;
            }
        }
        self.out.flush()
    }
}
