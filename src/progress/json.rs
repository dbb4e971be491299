//! One JSON object a line: docs/events.md and docs/schemas/events.json describe them.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::{Finding, Verdict, View};
use crate::engine::event::{
    EdgeInfo, Event, MachineId, MachineInfo, MachineResult, Made, Node, Outcome, Phase, StepId, Stream,
};

/// The version of the events' form: counted up when something that was there changes or goes. New events and new
/// fields may come without that.
pub const VERSION: u32 = 1;

/// The view for programs.
pub struct Json<W> {
    out: W,
    began: SystemTime,
    last: Duration,
    machines: Vec<MachineInfo>,
    /// Bytes at the end of a chunk that begin a character.
    held: HashMap<(StepId, Stream), Vec<u8>>,
}

impl<W: Write + Send> Json<W> {
    /// Writes to `out`; `began` is what times count from.
    pub fn new(out: W, began: SystemTime) -> Self {
        Json { out, began, last: Duration::ZERO, machines: Vec::new(), held: HashMap::new() }
    }

    fn line(&mut self, at: Duration, event: &str, fields: Value) -> io::Result<()> {
        self.last = at;
        let mut line = Map::new();
        line.insert("v".into(), VERSION.into());
        line.insert("t".into(), seconds(at));
        line.insert("event".into(), event.into());
        if let Value::Object(fields) = fields {
            // A field that has no value isn't there; a KEY's may be null.
            line.extend(fields.into_iter().filter(|(name, value)| !value.is_null() || name == "value"));
        }
        // One write a line: readers of a file or a pipe see whole lines.
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    fn label(&self, id: MachineId) -> Value {
        label(&self.machines, id)
    }

    fn output(&mut self, at: Duration, step: StepId, stream: Stream, data: &[u8]) -> io::Result<()> {
        let name = match stream {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        };
        let (text, exact) = match std::str::from_utf8(data) {
            Ok(text) => (text.to_owned(), Value::Null),
            Err(_) => {
                let exact = base64::engine::general_purpose::STANDARD.encode(data);
                (String::from_utf8_lossy(data).into_owned(), exact.into())
            }
        };
        let machine = self.label(step.machine);
        let fields = json!({"machine": machine, "step": step.index + 1, "stream": name, "text": text, "base64": exact});
        self.line(at, "output", fields)
    }

    /// What is whole of `data`, the rest held back until it is.
    fn whole(&mut self, step: StepId, stream: Stream, data: &[u8]) -> Vec<u8> {
        let mut all = self.held.remove(&(step, stream)).unwrap_or_default();
        all.extend_from_slice(data);
        if let Err(error) = std::str::from_utf8(&all)
            && error.error_len().is_none()
        {
            let rest = all.split_off(error.valid_up_to());
            self.held.insert((step, stream), rest);
        }
        all
    }
}

/// Who writes this.
pub(super) fn tool() -> Value {
    json!({"name": "vmwbuild", "version": env!("CARGO_PKG_VERSION")})
}

/// Seconds, to the millisecond.
pub(super) fn seconds(time: Duration) -> Value {
    (time.as_millis() as f64 / 1000.0).into()
}

/// RFC 3339, to the second.
pub(super) fn rfc3339(time: SystemTime) -> String {
    let time = time::OffsetDateTime::from(time);
    let time = time.replace_nanosecond(0).unwrap_or(time);
    time.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

/// A machine's label; what isn't known stays out.
fn label(machines: &[MachineInfo], id: MachineId) -> Value {
    machines.iter().find(|m| m.id == id).map_or(Value::Null, |m| m.label.as_str().into())
}

/// `web`, `web/clone`, `web/3`: what stands at an edge's end.
fn node(machines: &[MachineInfo], node: Node) -> Value {
    let what = match node {
        Node::Clone(_) => "clone".to_owned(),
        Node::Boot(_) => "boot".to_owned(),
        Node::Network(_) => "network".to_owned(),
        Node::Export(_) => "export".to_owned(),
        Node::Finish(_) => "finish".to_owned(),
        Node::Step(step) => return json!({"machine": label(machines, step.machine), "step": step.index + 1}),
    };
    json!({"machine": label(machines, node.machine()), "phase": what})
}

fn phase(phase: &Phase) -> (&'static str, Value) {
    match phase {
        Phase::Pending => ("pending", Value::Null),
        Phase::Cloning { from } => ("cloning", from.as_str().into()),
        Phase::Configuring => ("configuring", Value::Null),
        Phase::Booting => ("booting", Value::Null),
        Phase::Network => ("network", Value::Null),
        Phase::Running => ("running", Value::Null),
        Phase::Exporting => ("exporting", Value::Null),
        Phase::Finishing => ("finishing", Value::Null),
    }
}

/// How a step ended: a word, and why.
pub(super) fn outcome(outcome: &Outcome) -> (&'static str, Option<&str>) {
    match outcome {
        Outcome::Done => ("done", None),
        Outcome::Skipped(why) => ("skipped", Some(why)),
        Outcome::Cached => ("cached", None),
        Outcome::Allowed(why) => ("allowed", Some(why)),
        Outcome::Failed(why) => ("failed", Some(why)),
    }
}

/// How a machine ended: a word, and why.
pub(super) fn machine_result(result: &MachineResult) -> (&'static str, Option<&str>) {
    match result {
        MachineResult::Built { .. } => ("built", None),
        MachineResult::Ran(_) => ("ran", None),
        MachineResult::Cached(_) => ("cached", None),
        MachineResult::Failed(why) => ("failed", Some(why)),
        MachineResult::Cancelled => ("cancelled", None),
    }
}

/// What a machine has made that has no name yet; none: nothing to be said of.
pub(super) fn unpublished(result: &MachineResult) -> Option<Vec<&str>> {
    let MachineResult::Built { later, .. } = result else { return None };
    (!later.is_empty()).then(|| later.iter().map(|l| l.what.as_str()).collect())
}

/// What was made.
pub(super) fn made(machine: Value, made: &Made) -> Value {
    let cached = made.cached.then_some(true);
    let all = json!({
        "machine": machine, "kind": made.kind, "name": made.name, "moref": made.moref, "ip": made.ip, "cached": cached,
    });
    match all {
        Value::Object(fields) => Value::Object(fields.into_iter().filter(|(_, v)| !v.is_null()).collect()),
        other => other,
    }
}

/// A diagnostic.
pub(super) fn finding(finding: &Finding) -> Value {
    let place = finding.place.as_ref();
    let label = (!finding.label.is_empty()).then_some(&finding.label);
    let all = json!({
        "severity": finding.severity,
        "code": finding.code,
        "name": finding.name,
        "message": finding.message,
        "file": place.map(|p| &p.file),
        "line": place.map(|p| p.line),
        "column": place.map(|p| p.column),
        "label": label,
        "notes": finding.notes,
        "help": finding.help,
    });
    match all {
        Value::Object(fields) => Value::Object(fields.into_iter().filter(|(_, v)| !v.is_null()).collect()),
        other => other,
    }
}

fn machines(list: &[MachineInfo]) -> Value {
    let machine = |m: &MachineInfo| {
        let steps: Vec<Value> = m
            .steps
            .iter()
            .map(|s| match &s.note {
                Some(note) => json!({"text": s.text, "note": note}),
                None => json!({"text": s.text}),
            })
            .collect();
        json!({"machine": m.label, "leaves": m.leaves, "steps": steps})
    };
    list.iter().map(machine).collect()
}

impl<W: Write + Send> View for Json<W> {
    fn event(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        let numbered = |step: StepId| step.index + 1;
        match event {
            Event::Started { build, machines: list, edges } => {
                self.machines = list.clone();
                let edge = |e: &EdgeInfo| json!({"from": node(list, e.from), "to": node(list, e.to), "why": e.why});
                let edges: Vec<Value> = edges.iter().map(edge).collect();
                let fields = json!({
                    "build": build,
                    "time": rfc3339(self.began),
                    "tool": tool(),
                    "machines": machines(list),
                    "edges": edges,
                });
                self.line(at, "started", fields)
            }
            Event::Connected { server, product, api } => {
                self.line(at, "connected", json!({"server": server, "product": product, "api": api}))
            }
            Event::Phase { machine, phase: of } => {
                let (name, from) = phase(of);
                self.line(at, "phase", json!({"machine": self.label(*machine), "phase": name, "from": from}))
            }
            Event::Percent { machine, percent } => {
                self.line(at, "percent", json!({"machine": self.label(*machine), "percent": percent}))
            }
            Event::Waiting { machine, what, limit, node: on } => {
                let on = on.map(|on| node(&self.machines, on));
                let limit = limit.map(seconds);
                let fields = json!({"machine": self.label(*machine), "what": what, "limit": limit, "on": on});
                self.line(at, "waiting", fields)
            }
            Event::StepStarted { step } => {
                self.line(at, "step-started", json!({"machine": self.label(step.machine), "step": numbered(*step)}))
            }
            Event::Output { step, stream, data } => {
                let whole = self.whole(*step, *stream, data);
                if whole.is_empty() { Ok(()) } else { self.output(at, *step, *stream, &whole) }
            }
            Event::Retry { step, attempt, of, reason, delay } => {
                let fields = json!({
                    "machine": self.label(step.machine), "step": numbered(*step),
                    "attempt": attempt, "of": of, "reason": reason, "delay": seconds(*delay),
                });
                self.line(at, "retry", fields)
            }
            Event::StepFinished { step, outcome: how, elapsed } => {
                for stream in [Stream::Out, Stream::Err] {
                    if let Some(rest) = self.held.remove(&(*step, stream)) {
                        self.output(at, *step, stream, &rest)?;
                    }
                }
                let (word, reason) = outcome(how);
                let fields = json!({
                    "machine": self.label(step.machine), "step": numbered(*step),
                    "outcome": word, "reason": reason, "elapsed": seconds(*elapsed),
                });
                self.line(at, "step-finished", fields)
            }
            Event::Key { step, name, value } => {
                let fields = json!({
                    "machine": self.label(step.machine), "step": numbered(*step), "name": name, "value": value,
                });
                self.line(at, "key", fields)
            }
            Event::Note { machine, text } => {
                let machine = machine.map(|m| self.label(m));
                self.line(at, "note", json!({"machine": machine, "text": text}))
            }
            Event::Made { machine, made: what } => self.line(at, "made", made(self.label(*machine), what)),
            Event::MachineFinished { machine, result, elapsed } => {
                let (word, reason) = machine_result(result);
                let fields = json!({
                    "machine": self.label(*machine), "result": word, "reason": reason, "elapsed": seconds(*elapsed),
                    "unpublished": unpublished(result),
                });
                self.line(at, "machine-finished", fields)
            }
            Event::Watch { what, machine, text } => {
                let time = rfc3339(SystemTime::now());
                self.line(at, "watch", json!({"what": what, "time": time, "machine": machine, "text": text}))
            }
            Event::Cleanup { text } => self.line(at, "cleanup", json!({"text": text})),
            Event::Finished { ok, elapsed, requests, .. } => {
                self.line(at, "finished", json!({"ok": ok, "elapsed": seconds(*elapsed), "requests": requests}))
            }
        }
    }

    fn verdict(&mut self, verdict: &Verdict) -> io::Result<()> {
        for one in &verdict.findings {
            self.line(self.last, "diagnostic", finding(one))?;
        }
        self.line(self.last, "result", json!({"exit_code": verdict.exit_code, "class": verdict.class()}))
    }
}
