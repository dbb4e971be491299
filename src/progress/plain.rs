//! One line an event, for logs and CI: time, machine, what happened. Where the log can fold, each step's output is a
//! group.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use unicode_width::UnicodeWidthStr;

use super::View;
use super::ci::Ci;
use super::text::{Lines, limit as most, parted, span};
use crate::engine::event::{
    Event, MachineId, MachineInfo, MachineResult, Outcome, Phase, StepId, Stream, begun_from, built,
};

/// How much of a step's output is held back for its group; more makes a group by itself. Also how much is held while
/// somebody else writes.
const HELD: usize = 256 * 1024;

/// How often a step says that it still runs while its output is held back, and what takes long how far it is.
const SIGN: Duration = Duration::from_secs(60);

/// The plain view.
pub struct Plain<W> {
    out: Holding<W>,
    ci: Ci,
    began: SystemTime,
    machines: Vec<MachineInfo>,
    width: usize,
    open: HashMap<(StepId, Stream), Lines>,
    groups: HashMap<StepId, Group>,
    further: HashMap<MachineId, Further>,
}

/// How far a task or a transfer of a machine is.
struct Further {
    percent: u8,
    /// When it was told last, or has begun.
    told: Duration,
    new: bool,
}

/// Where lines go, or wait while somebody else writes there.
struct Holding<W> {
    out: W,
    held: Option<Vec<u8>>,
}

impl<W: Write> Write for Holding<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.held {
            // What is too much to be held goes out all the same: nothing is lost.
            Some(held) if held.len() + bytes.len() <= HELD => {
                held.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Some(_) => {
                self.let_out()?;
                self.held = Some(Vec::new());
                self.out.write(bytes)
            }
            None => self.out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Holding<W> {
    fn let_out(&mut self) -> io::Result<()> {
        let held = self.held.take().unwrap_or_default();
        self.out.write_all(&held)?;
        self.out.flush()
    }
}

/// A step's output where it is grouped.
struct Group {
    /// Lines that are held back.
    held: Vec<String>,
    size: usize,
    /// How many groups it has had.
    parts: usize,
    /// Whether its group is open on the log, and its lines go there at once.
    live: bool,
    started: Duration,
    signed: Duration,
    last: String,
}

impl<W: Write + Send> Plain<W> {
    /// Writes to `out`, for the log of `ci`; `began` is what times count from.
    pub fn new(out: W, ci: Ci, began: SystemTime) -> Self {
        let (open, groups) = (HashMap::new(), HashMap::new());
        let out = Holding { out, held: None };
        Plain { out, ci, began, machines: Vec::new(), width: 0, open, groups, further: HashMap::new() }
    }

    fn format(&self, at: Duration, machine: Option<MachineId>, text: &str) -> String {
        let label = machine.and_then(|m| self.machines.iter().find(|i| i.id == m));
        let label = label.map_or_else(String::new, |info| super::text::visible(&info.label));
        let pad = self.width.saturating_sub(label.width());
        let tenths = at.as_millis() / 100;
        let text = super::text::visible(text);
        let line = format!("{:>5}.{}  {label}{:pad$}  {text}", tenths / 10, tenths % 10, "");
        self.ci.tame(&line)
    }

    fn line(&mut self, at: Duration, machine: Option<MachineId>, text: &str) -> io::Result<()> {
        let line = self.format(at, machine, text);
        put(&mut self.out, line)
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
        for text in lines {
            let line = self.format(at, Some(step.machine), &format!("{mark} {text}"));
            let full = match self.groups.get_mut(&step) {
                Some(group) if !group.live => {
                    group.size += line.len();
                    group.held.push(line);
                    group.last = text;
                    group.size > HELD
                }
                _ => {
                    put(&mut self.out, line)?;
                    false
                }
            };
            if full {
                self.flush(at, step)?;
            }
        }
        Ok(())
    }

    fn section(step: StepId, part: usize) -> String {
        format!("vmwbuild_{}_{}_{part}", step.machine.0, step.index + 1)
    }

    /// What folds: `web [3/7] RUN make`.
    fn title(&self, step: StepId) -> String {
        let (number, text) = self.step(step);
        let label = self.machines.iter().find(|i| i.id == step.machine).map_or("", |i| i.label.as_str());
        self.ci.tame(&super::text::visible(&format!("{label} [{number}] {text}")))
    }

    fn begin(&mut self, at: Duration, step: StepId, part: usize) -> io::Result<()> {
        let title = self.title(step);
        match self.ci.begin(&Self::section(step, part), &title, at, self.began) {
            Some(line) => put(&mut self.out, line),
            None => Ok(()),
        }
    }

    fn end(&mut self, at: Duration, step: StepId, part: usize) -> io::Result<()> {
        match self.ci.end(&Self::section(step, part), at, self.began) {
            Some(line) => put(&mut self.out, line),
            None => Ok(()),
        }
    }

    /// Writes what is held back of a step as a group.
    fn flush(&mut self, at: Duration, step: StepId) -> io::Result<()> {
        let Some(group) = self.groups.get_mut(&step) else { return Ok(()) };
        let (lines, part, started) = (std::mem::take(&mut group.held), group.parts, group.started);
        group.size = 0;
        if lines.is_empty() {
            return Ok(());
        }
        group.parts += 1;
        self.begin(started, step, part)?;
        for line in lines {
            put(&mut self.out, line)?;
        }
        self.end(at, step, part)
    }

    fn step_started(&mut self, at: Duration, step: StepId) -> io::Result<()> {
        let (number, text) = self.step(step);
        // What one machine does alone can be followed; groups of several can't lie within each other.
        let live = self.machines.len() == 1;
        if self.ci != Ci::None {
            let (held, last) = (Vec::new(), String::new());
            let group = Group { held, size: 0, parts: 0, live, started: at, signed: at, last };
            self.groups.insert(step, group);
            if live {
                return self.begin(at, step, 0);
            }
        }
        self.line(at, Some(step.machine), &format!("[{number}] {text}"))
    }

    fn step_finished(&mut self, at: Duration, step: StepId, outcome: &Outcome, elapsed: Duration) -> io::Result<()> {
        for stream in [Stream::Out, Stream::Err] {
            let rest = self.open.remove(&(step, stream)).and_then(|mut l| l.finish());
            self.output(at, step, stream, rest.into_iter().collect())?;
        }
        let failed = matches!(outcome, Outcome::Failed(_));
        match self.groups.get_mut(&step) {
            Some(group) if group.live => self.end(at, step, 0)?,
            // What failed isn't folded away.
            Some(group) if failed => {
                for line in std::mem::take(&mut group.held) {
                    put(&mut self.out, line)?;
                }
            }
            Some(_) => self.flush(at, step)?,
            None => {}
        }
        self.groups.remove(&step);
        let (number, _) = self.step(step);
        let text = match outcome {
            Outcome::Done => format!("[{number}] done in {}", span(elapsed)),
            Outcome::Skipped(why) => format!("[{number}] skipped: {why}"),
            Outcome::Cached => format!("[{number}] CACHED"),
            Outcome::Allowed(why) => format!("[{number}] failed, as --allow-failure lets it: {why}"),
            Outcome::Failed(why) => format!("[{number}] FAILED: {why}"),
        };
        self.line(at, Some(step.machine), &text)
    }
}

/// One write a line: what others write to the same log comes between lines.
fn put(out: &mut impl Write, mut line: String) -> io::Result<()> {
    line.push('\n');
    out.write_all(line.as_bytes())
}

impl<W: Write + Send> View for Plain<W> {
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        match event {
            Event::Phase { machine, .. } | Event::Waiting { machine, .. } => drop(self.further.remove(machine)),
            Event::StepStarted { step } | Event::StepFinished { step, .. } => drop(self.further.remove(&step.machine)),
            _ => {}
        }
        match event {
            Event::Started { build, machines, .. } => {
                self.width = machines.iter().map(|m| super::text::visible(&m.label).width()).max().unwrap_or(0);
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
                    Phase::Cloning { from } => begun_from(from),
                    Phase::Configuring => "configuring the virtual hardware".to_owned(),
                    Phase::Booting => "powering on".to_owned(),
                    Phase::Network => "configuring the guest's network".to_owned(),
                    Phase::Exporting => "fetching files for other machines".to_owned(),
                    Phase::Finishing => "finishing".to_owned(),
                };
                self.line(at, Some(*machine), &text)?;
            }
            Event::Percent { machine, percent } => {
                let further = self.further.entry(*machine).or_insert(Further { percent: 0, told: at, new: false });
                (further.percent, further.new) = (*percent, true);
            }
            Event::Made { machine, made } if made.late => {
                self.line(at, Some(*machine), &format!("published {} {}", made.kind, made.name))?;
            }
            Event::Key { .. } | Event::Made { .. } => {}
            Event::Waiting { machine, what, limit, .. } => {
                let limit = limit.map_or_else(String::new, |l| format!(" (at most {})", most(l)));
                self.line(at, Some(*machine), &format!("waiting for {what}{limit}"))?;
            }
            Event::StepStarted { step } => self.step_started(at, *step)?,
            Event::Output { step, stream, data } => {
                let lines = self.open.entry((*step, *stream)).or_default().push(data);
                self.output(at, *step, *stream, lines)?;
            }
            Event::Retry { step, attempt, of, reason, delay } => {
                let text = format!("attempt {attempt} of {of}: {reason}; again in {}", most(*delay));
                self.line(at, Some(step.machine), &text)?;
            }
            Event::StepFinished { step, outcome, elapsed } => self.step_finished(at, *step, outcome, *elapsed)?,
            Event::Note { machine, text } => {
                let (text, quoted) = parted(text);
                self.line(at, *machine, &format!("note: {text}"))?;
                for line in quoted {
                    self.line(at, *machine, &format!("| {line}"))?;
                }
            }
            Event::MachineFinished { machine, result, elapsed } => {
                // An interrupted step never ended: its output isn't lost.
                let open: Vec<StepId> = self.groups.keys().copied().filter(|s| s.machine == *machine).collect();
                for step in open {
                    let live = self.groups.get(&step).is_some_and(|g| g.live);
                    if live {
                        self.end(at, step, 0)?
                    } else {
                        self.flush(at, step)?
                    }
                    self.groups.remove(&step);
                }
                let text = match result {
                    MachineResult::Built { what, later } if later.is_empty() => {
                        format!("{} in {}", built(what, later), span(*elapsed))
                    }
                    MachineResult::Built { what, later } => {
                        format!("done in {}: {}", span(*elapsed), built(what, later))
                    }
                    MachineResult::Ran(what) => format!("ran its steps on {what} in {}", span(*elapsed)),
                    MachineResult::Cached(what) => format!("CACHED {what}"),
                    MachineResult::Failed(why) => format!("FAILED: {why}"),
                    MachineResult::Cancelled => "cancelled".to_owned(),
                };
                self.line(at, Some(*machine), &text)?;
            }
            Event::Cleanup { text } => self.line(at, None, text)?,
            Event::Watch { machine, text, .. } => match machine {
                Some(label) => self.line(at, None, &format!("watch: {label}: {text}"))?,
                None => self.line(at, None, &format!("watch: {text}"))?,
            },
            Event::Finished { ok, interrupted, elapsed, requests } => {
                let word = match (ok, interrupted) {
                    (true, _) => "done",
                    (_, true) => "interrupted",
                    _ => "failed",
                };
                self.line(
                    at,
                    None,
                    &format!(
                        "{word} {} {}, {requests} requests",
                        if *interrupted { "after" } else { "in" },
                        span(*elapsed)
                    ),
                )?;
            }
        }
        self.out.flush()
    }

    fn tick(&mut self, at: Duration) -> io::Result<()> {
        let due = |g: &Group| !g.live && at.saturating_sub(g.signed) >= SIGN;
        let due: Vec<StepId> = self.groups.iter().filter(|(_, g)| due(g)).map(|(step, _)| *step).collect();
        for step in due {
            let Some(group) = self.groups.get_mut(&step) else { continue };
            group.signed = at;
            let (running, last) = (at.saturating_sub(group.started), group.last.clone());
            let last = if last.is_empty() { String::new() } else { format!("; last: {last}") };
            let (number, _) = self.step(step);
            self.line(at, Some(step.machine), &format!("[{number}] runs since {}{last}", span(running)))?;
        }
        let due = |f: &Further| f.new && at.saturating_sub(f.told) >= SIGN;
        let due: Vec<MachineId> = self.further.iter().filter(|(_, f)| due(f)).map(|(machine, _)| *machine).collect();
        for machine in due {
            let Some(further) = self.further.get_mut(&machine) else { continue };
            (further.told, further.new) = (at, false);
            let text = format!("{}% so far", further.percent);
            self.line(at, Some(machine), &text)?;
        }
        self.out.flush()
    }

    fn hush(&mut self, _: Duration) -> io::Result<()> {
        self.out.flush()?;
        self.out.held = Some(Vec::new());
        Ok(())
    }

    fn go_on(&mut self, _: Duration) -> io::Result<()> {
        self.out.let_out()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.let_out()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::StepInfo;

    #[test]
    fn what_takes_long_says_how_far_it_is() {
        let mut view = Plain::new(Vec::new(), Ci::None, SystemTime::UNIX_EPOCH);
        let machine = MachineId(0);
        let step = StepId { machine, index: 0 };
        let steps = vec![StepInfo { note: None, text: "COPY big /opt/big".to_owned() }];
        let info = MachineInfo { id: machine, label: "web".to_owned(), leaves: String::new(), steps };
        let started = Event::Started { build: "b".to_owned(), machines: vec![info], edges: Vec::new() };
        let percent = |percent| Event::Percent { machine, percent };
        let finished = Event::StepFinished { step, outcome: Outcome::Done, elapsed: Duration::from_secs(185) };
        let events = [
            (0, started),
            (1, Event::StepStarted { step }),
            (2, percent(1)),
            (40, percent(20)),
            (61, percent(30)),
            // Nothing new is nothing to tell.
            (125, percent(60)),
            (186, finished),
        ];
        let mut events = events.into_iter().peekable();
        for second in 0..400 {
            let at = Duration::from_secs(second);
            while let Some((_, event)) = events.next_if(|(when, _)| *when == second) {
                view.event(at, &event).expect("written");
            }
            view.tick(at).expect("written");
        }
        let text = String::from_utf8(view.out.out).expect("text");
        let wanted = "    0.0       build b: 1 machine\n    1.0  web  [1/1] COPY big /opt/big\n   62.0  web  30% so far\n  \
                      125.0  web  60% so far\n  186.0  web  [1/1] done in 3m05s\n";
        assert_eq!(text, wanted);
    }
}
