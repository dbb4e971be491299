//! The view for terminals: machines side by side, each with its running step, its time and the last lines of its
//! output. What is over scrolls up as one line; what runs is redrawn below.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::View;
use super::text::{Lines, fit, span};
use crate::engine::event::{Event, MachineId, MachineInfo, MachineResult, Outcome, Phase, StepId, Stream};

/// How many lines of a running command's output are shown.
const TAIL: usize = 4;

/// The terminal view.
pub struct Tty<W> {
    out: W,
    color: bool,
    size: Box<dyn Fn() -> (usize, usize) + Send>,
    machines: Vec<Row>,
    width: usize,
    drawn: usize,
    dirty: bool,
    finished: bool,
}

/// One machine on the screen.
struct Row {
    info: MachineInfo,
    state: State,
    since: Duration,
    percent: Option<u8>,
    done_steps: usize,
    tail: VecDeque<String>,
    open: [Lines; 2],
}

enum State {
    Pending,
    Doing(String),
    Waiting { what: String, limit: Option<Duration> },
    Step(StepId),
    Over,
}

impl<W: Write + Send> Tty<W> {
    /// Writes to `out`; `size` gives columns and rows and is asked at each redraw, so that resizing works.
    pub fn new(out: W, color: bool, size: impl Fn() -> (usize, usize) + Send + 'static) -> Self {
        Tty {
            out,
            color,
            size: Box::new(size),
            machines: Vec::new(),
            width: 0,
            drawn: 0,
            dirty: false,
            finished: false,
        }
    }

    fn row(&mut self, id: MachineId) -> Option<&mut Row> {
        self.machines.iter_mut().find(|r| r.info.id == id)
    }

    fn enter(&mut self, id: MachineId, at: Duration, state: State) {
        if let Some(row) = self.row(id) {
            row.state = state;
            row.since = at;
            row.percent = None;
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A line that stays: erased what was drawn, printed, and the live part follows below it.
    fn keep(&mut self, mark: (&str, &str), machine: Option<MachineId>, text: &str, time: &str) -> io::Result<()> {
        self.erase()?;
        let (columns, _) = (self.size)();
        let label = machine.and_then(|m| self.machines.iter().find(|r| r.info.id == m)).map_or("", |r| &r.info.label);
        let pad = self.width.saturating_sub(label.width());
        let head = format!("{label}{:pad$} ", "");
        let room = columns.saturating_sub(head.width() + 4 + time.width());
        let body = fit(text, room);
        let gap = room.saturating_sub(body.width());
        let mark = self.paint(mark.1, mark.0);
        let head = self.paint("1", &head);
        let time = self.paint("2", time);
        writeln!(self.out, "{mark} {head}{body}{:gap$} {time}", "")
    }

    fn erase(&mut self) -> io::Result<()> {
        if self.drawn > 0 {
            write!(self.out, "\x1b[{}A\x1b[0J", self.drawn)?;
            self.drawn = 0;
        }
        self.dirty = true;
        Ok(())
    }

    fn draw(&mut self, at: Duration) -> io::Result<()> {
        let (columns, rows) = (self.size)();
        let mut lines: Vec<String> = Vec::new();
        let live = self.machines.iter().filter(|r| !matches!(r.state, State::Over | State::Pending)).count();
        // Every live machine gets its line first; output fills what room is left.
        let tail = rows.saturating_sub(2 + live).checked_div(live).unwrap_or(0).min(TAIL);
        for row in &self.machines {
            let total = row.info.steps.len();
            let text = match &row.state {
                State::Over | State::Pending => continue,
                State::Doing(what) => match row.percent {
                    Some(percent) => format!("{what} {percent}%"),
                    None => what.clone(),
                },
                State::Waiting { what, limit: Some(limit) } => {
                    format!("(waiting for {what}: {} of {})", span(at.saturating_sub(row.since)), span(*limit))
                }
                State::Waiting { what, limit: None } => format!("(waiting for {what})"),
                State::Step(step) => {
                    let info = row.info.steps.get(step.index as usize);
                    let text = info.map_or("", |s| s.note.as_deref().unwrap_or(&s.text));
                    format!("[{}/{total}] {text}", step.index + 1)
                }
            };
            let time = span(at.saturating_sub(row.since));
            let pad = self.width.saturating_sub(row.info.label.width());
            let head = format!("{}{:pad$} ", row.info.label, "");
            let room = columns.saturating_sub(head.width() + 4 + time.width());
            let body = fit(&text, room);
            let gap = room.saturating_sub(body.width());
            let (mark, head, time) = (self.paint("36", ">"), self.paint("1", &head), self.paint("2", &time));
            lines.push(format!("{mark} {head}{body}{:gap$} {time}", ""));
            let unfinished = row.open.iter().filter_map(Lines::unfinished);
            let shown: Vec<String> = row.tail.iter().cloned().chain(unfinished).collect();
            for line in shown.iter().skip(shown.len().saturating_sub(tail)) {
                lines.push(self.paint("2", &fit(&format!("    {line}"), columns.saturating_sub(1))));
            }
        }
        let pending = self.machines.iter().filter(|r| matches!(r.state, State::Pending)).count();
        lines.truncate(rows.saturating_sub(2).max(1));
        if pending > 0 {
            lines.push(self.paint("2", &fit(&format!("  {pending} more to begin"), columns)));
        }
        if self.drawn > 0 {
            write!(self.out, "\x1b[{}A", self.drawn)?;
        }
        for line in &lines {
            writeln!(self.out, "\r{line}\x1b[K")?;
        }
        write!(self.out, "\x1b[0J")?;
        self.drawn = lines.len();
        self.dirty = false;
        self.out.flush()
    }
}

impl<W: Write + Send> View for Tty<W> {
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        const GOOD: (&str, &str) = ("+", "32");
        const BAD: (&str, &str) = ("x", "31");
        const SOFT: (&str, &str) = ("-", "33");
        self.dirty = true;
        match event {
            Event::Started { machines, .. } => {
                self.width = machines.iter().map(|m| m.label.width()).max().unwrap_or(0);
                self.machines = machines
                    .iter()
                    .map(|info| Row {
                        info: info.clone(),
                        state: State::Pending,
                        since: at,
                        percent: None,
                        done_steps: 0,
                        tail: VecDeque::new(),
                        open: Default::default(),
                    })
                    .collect();
            }
            Event::Connected { server, product, .. } => {
                self.keep(GOOD, None, &format!("connected to {server} ({product})"), &span(at))?;
            }
            Event::Phase { machine, phase } => {
                let state = match phase {
                    Phase::Pending => State::Pending,
                    Phase::Cloning { from } => State::Doing(format!("cloning {from}")),
                    Phase::Configuring => State::Doing("configuring the virtual hardware".into()),
                    Phase::Booting => State::Doing("powering on".into()),
                    Phase::Network => State::Doing("configuring the guest's network".into()),
                    Phase::Running => State::Doing("ready".into()),
                    Phase::Finishing => State::Doing("finishing".into()),
                };
                self.enter(*machine, at, state);
            }
            Event::Percent { machine, percent } => {
                if let Some(row) = self.row(*machine) {
                    row.percent = Some(*percent);
                }
            }
            Event::Waiting { machine, what, limit } => {
                self.enter(*machine, at, State::Waiting { what: what.clone(), limit: *limit });
            }
            Event::StepStarted { step } => {
                self.enter(step.machine, at, State::Step(*step));
                if let Some(row) = self.row(step.machine) {
                    row.tail.clear();
                    row.open = Default::default();
                }
            }
            Event::Output { step, stream, data } => {
                if let Some(row) = self.row(step.machine) {
                    let lines = row.open[usize::from(*stream == Stream::Err)].push(data);
                    row.tail.extend(lines);
                    while row.tail.len() > TAIL {
                        row.tail.pop_front();
                    }
                }
            }
            Event::Retry { step, attempt, of, reason, delay } => {
                let text = format!("attempt {attempt} of {of}: {reason}; again in {}", span(*delay));
                self.keep(SOFT, Some(step.machine), &text, &span(at))?;
            }
            Event::StepFinished { step, outcome, elapsed } => {
                let (total, text) = match self.row(step.machine) {
                    Some(row) => {
                        row.done_steps += 1;
                        let text = row.info.steps.get(step.index as usize);
                        let text = text.map_or_else(String::new, |s| s.note.clone().unwrap_or_else(|| s.text.clone()));
                        (row.info.steps.len(), text)
                    }
                    None => (0, String::new()),
                };
                let text = format!("[{}/{total}] {text}", step.index + 1);
                let (mark, text) = match outcome {
                    Outcome::Done => (GOOD, text),
                    Outcome::Skipped(why) => (SOFT, format!("{text} (skipped: {why})")),
                    Outcome::Allowed(why) => (SOFT, format!("{text} (failed, allowed: {why})")),
                    Outcome::Failed(why) => (BAD, format!("{text} ({why})")),
                };
                self.keep(mark, Some(step.machine), &text, &span(*elapsed))?;
                self.enter(step.machine, at, State::Doing("ready".into()));
                if let Some(row) = self.row(step.machine) {
                    row.tail.clear();
                    row.open = Default::default();
                }
            }
            Event::Note { machine, text } => self.keep(SOFT, *machine, text, "")?,
            Event::MachineFinished { machine, result, elapsed } => {
                let (mark, text) = match result {
                    MachineResult::Built(what) => (GOOD, format!("built {what}")),
                    MachineResult::Failed(why) => (BAD, format!("failed: {why}")),
                    MachineResult::Cancelled => (SOFT, "cancelled".to_owned()),
                };
                self.enter(*machine, at, State::Over);
                self.keep(mark, Some(*machine), &text, &span(*elapsed))?;
            }
            Event::Cleanup { text } => self.keep(SOFT, None, text, "")?,
            Event::Finished { ok, elapsed, requests } => {
                self.finished = true;
                let (mark, word) = if *ok { (GOOD, "done") } else { (BAD, "failed") };
                self.keep(mark, None, &format!("{word}, {requests} requests"), &span(*elapsed))?;
                self.out.flush()?;
            }
        }
        Ok(())
    }

    fn tick(&mut self, at: Duration) -> io::Result<()> {
        let live = self.machines.iter().any(|r| !matches!(r.state, State::Over | State::Pending));
        if self.finished || !(self.dirty || live) {
            return Ok(());
        }
        self.draw(at)
    }
}
