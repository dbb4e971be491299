//! The view for terminals: machines side by side, each with its running step, its time and the last lines of its
//! output. What is over scrolls up as one line; what runs is redrawn below.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Duration;

use super::View;
use super::screen::{Line, Look, Screen};
use super::text::{OpenLines, columns, limit, parted, span, wrap};
use crate::engine::event::{Event, MachineId, MachineInfo, MachineResult, Outcome, Phase, StepId, begun_from, built};

/// How many lines of a running command's output are shown: where several run, and where one does.
const TAIL: usize = 4;
const TAIL_ALONE: usize = 8;

/// How many lines of output are worth more than a machine that waits.
const TAIL_LEAST: usize = 2;

/// How many of the last lines of a failed command's output stay.
const LAST: usize = 8;

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
    /// Whether the build has ended: nothing lives any more.
    ended: bool,
    /// Whether the terminal is somebody else's.
    hushed: bool,
}

/// One machine on the screen.
struct Row {
    info: MachineInfo,
    state: State,
    since: Duration,
    /// Whether it has done anything yet but wait.
    begun: bool,
    percent: Option<u8>,
    tail: VecDeque<String>,
    open: OpenLines,
}

enum State {
    Pending,
    Doing(String),
    Waiting {
        what: String,
        limit: Option<Duration>,
    },
    Step(StepId),
    /// Why, and how long it took.
    Failed(String, Duration),
    /// Whether it is done.
    Over(bool),
}

/// Who gets a place first where there isn't one for all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Failed,
    Runs,
    Works,
    Waits,
    /// It waits, and has not begun.
    Idle,
}

/// A line that stays.
struct Kept {
    mark: Mark,
    label: String,
    /// `[3/7]`, for a step.
    number: String,
    text: String,
    time: String,
    /// Output that stays below it.
    output: Vec<String>,
    /// Whether all of the text matters: it goes on in further lines where others are cut.
    whole: bool,
}

impl<W: Write + Send> Tty<W> {
    /// Writes to `out`; `size` gives columns and rows and is asked at each redraw, so that resizing works.
    pub fn new(out: W, look: Look, size: impl Fn() -> (usize, usize) + Send + 'static) -> Self {
        let screen = Screen::new(out, look, Box::new(size));
        Tty { screen, look, machines: Vec::new(), labels: 0, kept: Vec::new(), ended: false, hushed: false }
    }

    fn row(&mut self, id: MachineId) -> Option<&mut Row> {
        self.machines.iter_mut().find(|r| r.info.id == id)
    }

    fn enter(&mut self, id: MachineId, at: Duration, state: State) {
        if let Some(row) = self.row(id) {
            row.begun |= !matches!(state, State::Waiting { .. } | State::Pending);
            row.state = state;
            row.since = at;
            row.percent = None;
            row.tail.clear();
            row.open = Default::default();
        }
    }

    fn keep(&mut self, mark: Mark, machine: Option<MachineId>, text: String, time: String, whole: bool) {
        let label = machine.and_then(|m| self.row(m)).map_or_else(String::new, |r| r.info.label.clone());
        self.kept.push(Kept { mark, label, number: String::new(), text, time, output: Vec::new(), whole });
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

    /// The rest of a line: a step's number, text, and a time at the right edge.
    fn body(mut line: Line, width: usize, (number, paint, text): (&str, &str, &str), time: &str) -> Line {
        let edge = width.saturating_sub(1 + columns(time));
        let taken = if time.is_empty() { 0 } else { 1 + columns(time) };
        if !number.is_empty() {
            line.add_up_to(line.left().saturating_sub(taken), DIM, number);
            line.add_up_to(line.left().saturating_sub(taken), "", " ");
        }
        line.add_up_to(line.left().saturating_sub(taken), paint, text);
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
                lines.push(Self::body(head, width, (&kept.number, "", &kept.text), &kept.time));
                lines.extend(kept.output.iter().map(|text| self.quoted(width, text)));
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
                lines.push(Self::body(head, width, ("", "", &part), time));
            }
        }
        lines
    }

    /// A line of a command's output.
    fn quoted(&self, width: usize, text: &str) -> Line {
        let mut line = Line::new(self.look, width);
        line.pad_to(4);
        line.add(DIM, text);
        line
    }

    /// The machines at work, as many as there is place for: what failed comes first, what runs next, what waits last.
    fn live_lines(&self, at: Duration, width: usize, height: usize) -> Vec<Line> {
        if self.ended {
            return Vec::new();
        }
        let several = usize::from(self.machines.len() > 1);
        let budget = height.saturating_sub(1 + several).max(1);
        let mut live: Vec<(Rank, usize)> =
            self.machines.iter().enumerate().filter_map(|(at, row)| Some((row.rank()?, at))).collect();
        live.sort_unstable();
        let busy = live.iter().filter(|(rank, _)| *rank < Rank::Waits).count();
        let running = live.iter().filter(|(rank, _)| *rank == Rank::Runs).count();
        let idle = budget.saturating_sub(busy + running * TAIL_LEAST);
        let place = budget.min(busy + idle);
        let hidden: Vec<Rank> = live.iter().skip(place).map(|(rank, _)| *rank).collect();
        live.truncate(place);
        // Those that are shown stand in the file's order: lines that jump can't be read.
        live.sort_unstable_by_key(|(_, at)| *at);
        let shown: Vec<&Row> = live.iter().filter_map(|(_, at)| self.machines.get(*at)).collect();
        let steps = shown.iter().filter(|r| matches!(r.state, State::Step(_))).count();
        let most = if steps == 1 { TAIL_ALONE } else { TAIL };
        let rest = budget.saturating_sub(shown.len());
        let tail = rest.checked_div(steps).unwrap_or(0).min(most);
        let mut lines = Vec::new();
        for row in shown {
            self.machine_lines(row, at, width, tail, &mut lines);
        }
        if several > 0 {
            lines.push(self.status(at, width, &hidden));
        }
        lines
    }

    /// The last line: how far all of them are, and who isn't shown.
    fn status(&self, at: Duration, width: usize, hidden: &[Rank]) -> Line {
        let count = |wanted: &dyn Fn(&State) -> bool| self.machines.iter().filter(|r| wanted(&r.state)).count();
        let mut parts = vec![format!("{} of {} done", count(&|s| matches!(s, State::Over(true))), self.machines.len())];
        let failed = count(&|s| matches!(s, State::Failed(..)));
        let pending = count(&|s| matches!(s, State::Pending));
        let waiting = hidden.iter().filter(|rank| **rank >= Rank::Waits).count();
        let working = hidden.len() - waiting;
        for (number, word) in
            [(failed, "failed"), (working, "more at work"), (waiting, "more waiting"), (pending, "to begin")]
        {
            if number > 0 {
                parts.push(format!("{number} {word}"));
            }
        }
        let mut line = Line::new(self.look, width);
        line.pad_to(2);
        Self::body(line, width, ("", DIM, &parts.join(", ")), &span(at))
    }

    fn machine_lines(&self, row: &Row, at: Duration, width: usize, tail: usize, lines: &mut Vec<Line>) {
        let since = at.saturating_sub(row.since);
        let mut time = span(since);
        let mut number = String::new();
        let (mark, paint, text) = match &row.state {
            State::Over(_) | State::Pending => return,
            State::Doing(what) => (BUSY, "", format!("{what}{}", row.further())),
            State::Waiting { what, limit: most } => {
                if let Some(most) = most {
                    time = format!("{time} of {}", limit(*most));
                }
                (IDLE, DIM, format!("waiting for {what}"))
            }
            State::Step(step) => {
                number = row.number(*step);
                (BUSY, "", format!("{}{}", row.step(*step), row.further()))
            }
            State::Failed(why, took) => {
                time = span(*took);
                (BAD, "", format!("failed: {why}"))
            }
        };
        let head = self.head(width, mark, &row.info.label);
        lines.push(Self::body(head, width, (&number, paint, &text), &time));
        let output = row.output();
        lines.extend(output.iter().skip(output.len().saturating_sub(tail)).map(|text| self.quoted(width, text)));
    }

    /// Machines that have failed are told for good.
    fn settle(&mut self) {
        let failed: Vec<(MachineId, String, Duration)> = self
            .machines
            .iter()
            .filter_map(|row| match &row.state {
                State::Failed(why, took) => Some((row.info.id, why.clone(), *took)),
                _ => None,
            })
            .collect();
        for (id, why, took) in failed {
            self.keep(BAD, Some(id), format!("failed: {why}"), span(took), true);
            if let Some(row) = self.row(id) {
                row.state = State::Over(false);
            }
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
    /// None: it has nothing to show.
    fn rank(&self) -> Option<Rank> {
        match self.state {
            State::Failed(..) => Some(Rank::Failed),
            State::Step(_) => Some(Rank::Runs),
            State::Doing(_) => Some(Rank::Works),
            State::Waiting { .. } if self.begun => Some(Rank::Waits),
            State::Waiting { .. } => Some(Rank::Idle),
            State::Pending | State::Over(_) => None,
        }
    }

    /// `[3/7]`.
    fn number(&self, step: StepId) -> String {
        format!("[{}/{}]", step.index + 1, self.info.steps.len())
    }

    /// What a step says of itself.
    fn step(&self, step: StepId) -> String {
        let info = self.info.steps.get(step.index as usize);
        info.map_or_else(String::new, |s| s.note.clone().unwrap_or_else(|| s.text.clone()))
    }

    /// How far a task or a transfer of it is.
    fn further(&self) -> String {
        self.percent.map_or_else(String::new, |percent| format!(", {percent}%"))
    }

    /// The last lines of its output, the one that has no end yet too.
    fn output(&self) -> Vec<String> {
        let unfinished = self.open.unfinished();
        self.tail.iter().cloned().chain(unfinished).filter(|line| !line.trim().is_empty()).collect()
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
                    begun: false,
                    percent: None,
                    tail: VecDeque::new(),
                    open: OpenLines::default(),
                };
                self.machines = machines.iter().map(row).collect();
            }
            Event::Connected { server, product, .. } => {
                self.keep(GOOD, None, format!("connected to {server} ({product})"), span(at), false);
            }
            Event::Phase { machine, phase } => {
                let state = match phase {
                    Phase::Pending => State::Pending,
                    Phase::Cloning { from } => State::Doing(begun_from(from)),
                    Phase::Configuring => State::Doing("configuring the virtual hardware".into()),
                    Phase::Booting => State::Doing("powering on".into()),
                    Phase::Network => State::Doing("configuring the guest's network".into()),
                    Phase::Running => State::Doing("ready".into()),
                    Phase::Exporting => State::Doing("fetching files for other machines".into()),
                    Phase::Finishing => State::Doing("finishing".into()),
                };
                self.enter(*machine, at, state);
            }
            Event::Percent { machine, percent } => {
                if let Some(row) = self.row(*machine) {
                    row.percent = Some(*percent);
                }
            }
            Event::Waiting { machine, what, limit, .. } => {
                self.enter(*machine, at, State::Waiting { what: what.clone(), limit: *limit });
            }
            Event::StepStarted { step } => self.enter(step.machine, at, State::Step(*step)),
            Event::Output { step, stream, data } => {
                if let Some(row) = self.row(step.machine) {
                    let lines = row.open.of(*stream).push(data);
                    row.tail.extend(lines);
                    let over = row.tail.len().saturating_sub(TAIL_ALONE);
                    row.tail.drain(..over);
                }
            }
            Event::Retry { step, attempt, of, reason, delay } => {
                let text = format!("attempt {attempt} of {of}: {reason}; again in {}", limit(*delay));
                self.keep(SOFT, Some(step.machine), text, String::new(), true);
            }
            Event::StepFinished { step, outcome, elapsed } => {
                let (number, text, mut output) = self
                    .row(step.machine)
                    .map_or_else(Default::default, |row| (row.number(*step), row.step(*step), row.output()));
                output.drain(..output.len().saturating_sub(LAST));
                if !matches!(outcome, Outcome::Failed(_)) {
                    output.clear();
                }
                let (mark, text) = match outcome {
                    Outcome::Done => (GOOD, text),
                    Outcome::Skipped(why) => (SOFT, format!("{text} (skipped: {why})")),
                    Outcome::Cached => (GOOD, format!("CACHED {text}")),
                    Outcome::Allowed(why) => (SOFT, format!("{text} (failed, allowed: {why})")),
                    Outcome::Failed(_) => (BAD, text),
                };
                // What failed may have ended before its time was told; what was seen of it is known.
                let since = self.row(step.machine).map_or(at, |row| row.since);
                let time = if elapsed.is_zero() { at.saturating_sub(since) } else { *elapsed };
                self.keep(mark, Some(step.machine), text, span(time), false);
                if let Some(kept) = self.kept.last_mut() {
                    (kept.number, kept.output) = (number, output);
                }
                self.enter(step.machine, at, State::Doing("ready".into()));
            }
            Event::Note { machine, text } => {
                let (text, quoted) = parted(text);
                self.keep(SOFT, *machine, text.to_owned(), String::new(), true);
                if let Some(kept) = self.kept.last_mut() {
                    kept.output = quoted;
                }
            }
            Event::MachineFinished { machine, result, elapsed } => {
                match result {
                    MachineResult::Built { what, later } => {
                        self.enter(*machine, at, State::Over(true));
                        self.keep(GOOD, Some(*machine), built(what, later), span(*elapsed), true);
                    }
                    MachineResult::Ran(what) => {
                        self.enter(*machine, at, State::Over(true));
                        self.keep(GOOD, Some(*machine), format!("ran its steps on {what}"), span(*elapsed), true);
                    }
                    MachineResult::Cached(what) => {
                        self.enter(*machine, at, State::Over(true));
                        self.keep(GOOD, Some(*machine), format!("CACHED {what}"), String::new(), true);
                    }
                    // Stays in sight until the end, however much the others have to tell.
                    MachineResult::Failed(why) => self.enter(*machine, at, State::Failed(why.clone(), *elapsed)),
                    MachineResult::Cancelled => {
                        self.enter(*machine, at, State::Over(false));
                        // Of one that had not begun there is nothing to tell.
                        if !elapsed.is_zero() {
                            self.keep(SOFT, Some(*machine), "cancelled".to_owned(), String::new(), true);
                        }
                    }
                }
            }
            Event::Made { machine, made } if made.late => {
                self.keep(GOOD, Some(*machine), format!("published {} {}", made.kind, made.name), String::new(), true);
            }
            // Whoever watches has no terminal.
            Event::Key { .. } | Event::Made { .. } | Event::Watch { .. } => {}
            Event::Cleanup { text } => self.keep(SOFT, None, text.clone(), String::new(), true),
            Event::Finished { ok, interrupted, elapsed, requests } => {
                self.settle();
                self.ended = true;
                let (mark, word) = match (ok, interrupted) {
                    (true, _) => (GOOD, "done"),
                    (_, true) => (BAD, "interrupted"),
                    _ => (BAD, "failed"),
                };
                self.keep(mark, None, format!("{word}, {requests} requests"), span(*elapsed), false);
            }
        }
        Ok(())
    }

    fn tick(&mut self, at: Duration) -> io::Result<()> {
        if self.hushed { Ok(()) } else { self.draw(at) }
    }

    fn hush(&mut self, _: Duration) -> io::Result<()> {
        let (width, _) = self.screen.size();
        let kept = self.kept_lines(width);
        self.hushed = true;
        self.screen.show(kept, Vec::new())
    }

    fn go_on(&mut self, at: Duration) -> io::Result<()> {
        self.hushed = false;
        self.draw(at)
    }

    fn finish(&mut self) -> io::Result<()> {
        // What is still at work is told by the diagnostics that follow.
        self.settle();
        self.ended = true;
        self.draw(Duration::ZERO)
    }
}
