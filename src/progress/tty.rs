//! The view for terminals: machines side by side, each with its running step, its time and the last lines of its
//! output. What is over scrolls up as one line; what runs is redrawn below.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Duration;

use super::View;
use super::screen::{Line, Look, Screen};
use super::text::{Lines, columns, limit, span, wrap};
use crate::engine::event::{Event, MachineId, MachineInfo, MachineResult, Outcome, Phase, StepId, Stream};

/// How many lines of a running command's output are shown.
const TAIL: usize = 4;

/// Colours, as SGR parameters.
const BOLD: &str = "1";
const DIM: &str = "2";

/// What stands before a line: in Unicode, in ASCII, its colour.
type Mark = (&'static str, &'static str, &'static str);
const GOOD: Mark = ("✓", "+", "32");
const BAD: Mark = ("✗", "x", "31");
const SOFT: Mark = ("•", "-", "33");
const BUSY: Mark = ("●", ">", "36");
const IDLE: Mark = ("○", ".", DIM);

/// The terminal view.
pub struct Tty<W> {
    screen: Screen<W>,
    look: Look,
    machines: Vec<Row>,
    /// The widest label.
    labels: usize,
    /// Lines that stay and are not yet written.
    kept: Vec<Kept>,
}

/// One machine on the screen.
struct Row {
    info: MachineInfo,
    state: State,
    since: Duration,
    percent: Option<u8>,
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

impl State {
    fn is_live(&self) -> bool {
        !matches!(self, State::Pending | State::Over)
    }
}

/// A line that stays.
struct Kept {
    mark: Mark,
    label: String,
    text: String,
    time: String,
    /// Whether all of the text matters: it goes on in further lines where others are cut.
    whole: bool,
}

impl<W: Write + Send> Tty<W> {
    /// Writes to `out`; `size` gives columns and rows and is asked at each redraw, so that resizing works.
    pub fn new(out: W, look: Look, size: impl Fn() -> (usize, usize) + Send + 'static) -> Self {
        let screen = Screen::new(out, Box::new(size));
        Tty { screen, look, machines: Vec::new(), labels: 0, kept: Vec::new() }
    }

    fn row(&mut self, id: MachineId) -> Option<&mut Row> {
        self.machines.iter_mut().find(|r| r.info.id == id)
    }

    fn enter(&mut self, id: MachineId, at: Duration, state: State) {
        if let Some(row) = self.row(id) {
            row.state = state;
            row.since = at;
            row.percent = None;
            row.tail.clear();
            row.open = Default::default();
        }
    }

    fn keep(&mut self, mark: Mark, machine: Option<MachineId>, text: String, time: String, whole: bool) {
        let label = machine.and_then(|m| self.row(m)).map_or_else(String::new, |r| r.info.label.clone());
        self.kept.push(Kept { mark, label, text, time, whole });
    }

    /// Mark and label: what every line begins with. A long label leaves most of a narrow terminal to the text.
    fn head(&self, width: usize, mark: Mark, label: &str) -> Line {
        let mut line = Line::new(self.look, width);
        line.add(mark.2, if self.look.unicode { mark.0 } else { mark.1 });
        line.pad_to(2);
        let labels = self.labels.min(width / 3);
        if labels > 0 {
            line.add_up_to(labels, BOLD, label);
            line.pad_to(2 + labels + 1);
        }
        line
    }

    /// The rest of a line: text, and a time at the right edge.
    fn body(mut line: Line, width: usize, paint: &str, text: &str, time: &str) -> Line {
        let edge = width.saturating_sub(1 + columns(time));
        let room = if time.is_empty() { line.left() } else { line.left().saturating_sub(1 + columns(time)) };
        line.add_up_to(room, paint, text);
        if !time.is_empty() {
            line.pad_to(edge);
            line.add(DIM, time);
        }
        line
    }

    fn kept_lines(&mut self, width: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        for kept in std::mem::take(&mut self.kept) {
            let head = self.head(width, kept.mark, &kept.label);
            if !kept.whole {
                lines.push(Self::body(head, width, "", &kept.text, &kept.time));
                continue;
            }
            let time = columns(&kept.time);
            let room = head.left().saturating_sub(if time > 0 { 1 + time } else { 0 });
            let mut head = Some(head);
            for part in wrap(&kept.text, room.max(1)) {
                let (head, time) = match head.take() {
                    Some(head) => (head, kept.time.as_str()),
                    None => (self.head(width, (" ", " ", ""), ""), ""),
                };
                lines.push(Self::body(head, width, "", &part, time));
            }
        }
        lines
    }

    /// The machines at work, as many as there is place for: those that wait give way first.
    fn live_lines(&self, at: Duration, width: usize, height: usize) -> Vec<Line> {
        let budget = height.saturating_sub(1).max(1);
        let live: Vec<&Row> = self.machines.iter().filter(|r| r.state.is_live()).collect();
        let pending = self.machines.iter().filter(|r| matches!(r.state, State::Pending)).count();
        let place = if live.len() + usize::from(pending > 0) > budget { budget - 1 } else { live.len() };
        let waits = |row: &Row| matches!(row.state, State::Waiting { .. });
        let busy = live.iter().filter(|r| !waits(r)).count().min(place);
        let (mut busy_left, mut idle_left) = (busy, place - busy);
        let mut shown = Vec::new();
        for row in &live {
            let left = if waits(row) { &mut idle_left } else { &mut busy_left };
            if *left > 0 {
                *left -= 1;
                shown.push(*row);
            }
        }
        let hidden = live.len() - shown.len();
        let rest = budget.saturating_sub(shown.len() + usize::from(hidden + pending > 0));
        let steps = shown.iter().filter(|r| matches!(r.state, State::Step(_))).count();
        let tail = rest.checked_div(steps).unwrap_or(0).min(TAIL);
        let mut lines = Vec::new();
        for row in shown {
            self.machine_lines(row, at, width, tail, &mut lines);
        }
        let more = match (hidden, pending) {
            (0, 0) => return lines,
            (0, pending) => format!("{pending} more to begin"),
            (hidden, 0) => format!("and {hidden} more"),
            (hidden, pending) => format!("and {hidden} more; {pending} to begin"),
        };
        let mut line = Line::new(self.look, width);
        line.add(DIM, &format!("  {more}"));
        lines.push(line);
        lines
    }

    fn machine_lines(&self, row: &Row, at: Duration, width: usize, tail: usize, lines: &mut Vec<Line>) {
        let (mark, paint, text) = match &row.state {
            State::Over | State::Pending => return,
            State::Doing(what) => match row.percent {
                Some(percent) => (BUSY, "", format!("{what}, {percent}%")),
                None => (BUSY, "", what.clone()),
            },
            State::Waiting { what, limit: Some(most) } => {
                (IDLE, DIM, format!("waiting for {what}, at most {}", limit(*most)))
            }
            State::Waiting { what, limit: None } => (IDLE, DIM, format!("waiting for {what}")),
            State::Step(step) => (BUSY, "", row.step(*step)),
        };
        let head = self.head(width, mark, &row.info.label);
        lines.push(Self::body(head, width, paint, &text, &span(at.saturating_sub(row.since))));
        let unfinished = row.open.iter().filter_map(Lines::unfinished);
        let output: Vec<String> = row.tail.iter().cloned().chain(unfinished).collect();
        for text in output.iter().skip(output.len().saturating_sub(tail)) {
            let mut line = Line::new(self.look, width);
            line.pad_to(4);
            line.add(DIM, text);
            lines.push(line);
        }
    }

    fn draw(&mut self, at: Duration) -> io::Result<()> {
        let (width, height) = self.screen.size();
        let kept = self.kept_lines(width);
        let live = self.live_lines(at, width, height);
        self.screen.show(kept, live)
    }
}

impl Row {
    /// `[3/7]` and what a step says of itself.
    fn step(&self, step: StepId) -> String {
        let info = self.info.steps.get(step.index as usize);
        let text = info.map_or("", |s| s.note.as_deref().unwrap_or(&s.text));
        format!("[{}/{}] {text}", step.index + 1, self.info.steps.len())
    }
}

impl<W: Write + Send> View for Tty<W> {
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { machines, .. } => {
                self.labels = machines.iter().map(|m| columns(&m.label)).max().unwrap_or(0);
                let row = |info: &MachineInfo| Row {
                    info: info.clone(),
                    state: State::Pending,
                    since: at,
                    percent: None,
                    tail: VecDeque::new(),
                    open: Default::default(),
                };
                self.machines = machines.iter().map(row).collect();
            }
            Event::Connected { server, product, .. } => {
                self.keep(GOOD, None, format!("connected to {server} ({product})"), span(at), false);
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
            Event::StepStarted { step } => self.enter(step.machine, at, State::Step(*step)),
            Event::Output { step, stream, data } => {
                if let Some(row) = self.row(step.machine) {
                    let lines = row.open[usize::from(*stream == Stream::Err)].push(data);
                    row.tail.extend(lines);
                    let over = row.tail.len().saturating_sub(TAIL);
                    row.tail.drain(..over);
                }
            }
            Event::Retry { step, attempt, of, reason, delay } => {
                let text = format!("attempt {attempt} of {of}: {reason}; again in {}", limit(*delay));
                self.keep(SOFT, Some(step.machine), text, span(at), true);
            }
            Event::StepFinished { step, outcome, elapsed } => {
                let text = self.row(step.machine).map_or_else(String::new, |row| row.step(*step));
                let (mark, text) = match outcome {
                    Outcome::Done => (GOOD, text),
                    Outcome::Skipped(why) => (SOFT, format!("{text} (skipped: {why})")),
                    Outcome::Allowed(why) => (SOFT, format!("{text} (failed, allowed: {why})")),
                    Outcome::Failed(_) => (BAD, text),
                };
                // What failed may have ended before its time was told; what was seen of it is known.
                let since = self.row(step.machine).map_or(at, |row| row.since);
                let time = if elapsed.is_zero() { at.saturating_sub(since) } else { *elapsed };
                self.keep(mark, Some(step.machine), text, span(time), false);
                self.enter(step.machine, at, State::Doing("ready".into()));
            }
            Event::Note { machine, text } => self.keep(SOFT, *machine, text.clone(), String::new(), true),
            Event::MachineFinished { machine, result, elapsed } => {
                let (mark, text, time) = match result {
                    MachineResult::Built(what) => (GOOD, format!("built {what}"), span(*elapsed)),
                    MachineResult::Failed(why) => (BAD, format!("failed: {why}"), span(*elapsed)),
                    MachineResult::Cancelled => (SOFT, "cancelled".to_owned(), String::new()),
                };
                self.enter(*machine, at, State::Over);
                if matches!(result, MachineResult::Cancelled) && elapsed.is_zero() {
                    // It had not begun: nothing to tell.
                    return Ok(());
                }
                self.keep(mark, Some(*machine), text, time, true);
            }
            Event::Cleanup { text } => self.keep(SOFT, None, text.clone(), String::new(), true),
            Event::Finished { ok, elapsed, requests } => {
                let (mark, word) = if *ok { (GOOD, "done") } else { (BAD, "failed") };
                self.keep(mark, None, format!("{word}, {requests} requests"), span(*elapsed), false);
            }
        }
        Ok(())
    }

    fn tick(&mut self, at: Duration) -> io::Result<()> {
        self.draw(at)
    }

    fn finish(&mut self) -> io::Result<()> {
        // What is still at work is told by the diagnostics that follow.
        self.machines.clear();
        self.draw(Duration::ZERO)
    }
}
