//! How steps end: what is shown, what is reported, and which value a KEY has.

use std::time::Duration;

use super::super::codes;
use super::super::event::{Event, Outcome};
use super::super::journal::Record;
use super::super::options::{FailureClass, OnError};
use super::super::shared::{Shared, Stop};
use crate::diagnostic::Diagnostic;
use crate::guest::{Exit, JobEnd};
use crate::sema::program::{Action, Machine, Ref, Step};
use crate::sema::types::holds_secret;
use crate::sema::value_parse::parse_key;
use crate::source::Span;

/// How many of the last lines of standard error a message shows.
const TAIL: usize = 12;

/// A step's end that lets its machine go on.
pub(in crate::engine) enum Ended {
    Done,
    Skipped(String),
    Allowed(String),
}

impl Ended {
    /// None: a failure.
    pub(super) fn of(step: &Step, exit: Exit, success: bool) -> Option<Self> {
        match exit {
            Exit::Skipped => Some(Ended::Skipped("its --unless succeeded".to_owned())),
            _ if success => Some(Ended::Done),
            Exit::Code(_) | Exit::Signal(_) | Exit::TimedOut if step.options.allow_failure => {
                Some(Ended::Allowed(exit.to_string()))
            }
            _ => None,
        }
    }
}

/// What a job's end means for its step; a KEY's value becomes known.
pub(super) fn of(shared: &Shared, machine: &Machine, step: &Step, end: &JobEnd) -> Result<Ended, Stop> {
    let ended = Ended::of(step, end.exit, end.success).ok_or_else(|| {
        // What this process ends itself it doesn't follow: it was an earlier one.
        if end.exit == Exit::Killed && shared.past.ending.contains(&machine.id) {
            return super::attach::ended(shared, machine, step);
        }
        let stop = failed(shared, machine, &verb(step), step.span, end);
        with_log(shared, step, stop)
    })?;
    if let (Ended::Done, Action::Key { name, ty, .. }) = (&ended, &step.action) {
        let captured = end.captured.as_deref().unwrap_or_default();
        match parse_key(ty, captured) {
            Ok(value) => {
                value.secrets(&mut |secret| shared.events.masker.add(secret));
                let text = String::from_utf8_lossy(captured).into_owned();
                let known = shared.unmaskable(machine.id).is_none();
                if !holds_secret(ty) && known {
                    shared.events.key(step.id, name, &value);
                }
                // Also a key that isn't secret may have captured one.
                if !holds_secret(ty) && known && shared.events.masker.text(&text) == text {
                    shared.journal.note(&Record::Key { machine: machine.id.0, name: name.clone(), value: text });
                }
                shared.board.set(Ref::Key(machine.id, name.clone()), value);
            }
            Err(why) => return Err(bad_key(shared, machine, step, name, &why, holds_secret(ty))),
        }
    }
    Ok(ended)
}

fn bad_key(shared: &Shared, machine: &Machine, step: &Step, name: &str, why: &str, secret: bool) -> Stop {
    let message = format!("the key `{name}` of `{}` has no value: {}", machine.label, shared.events.masker.text(why));
    let mut diagnostic = Diagnostic::new(&codes::KEY_VALUE, message).primary(step.span, "captured here");
    if !secret {
        diagnostic = diagnostic.help("print nothing but the value, or give the key the type `string`");
    }
    Stop::failed(FailureClass::Guest, format!("key {name} has no value"), diagnostic)
}

/// Names the file with the whole output.
fn with_log(shared: &Shared, step: &Step, stop: Stop) -> Stop {
    match (stop, shared.events.logs.of(step.id)) {
        (Stop::Failed(mut failed), Some(path)) => {
            failed.diagnostic = failed.diagnostic.note(format!("all of its output is in {}", path.display()));
            Stop::Failed(failed)
        }
        (stop, _) => stop,
    }
}

/// A step in a few words, for "… failed in …".
pub(super) fn verb(step: &Step) -> String {
    let mut text: String = step.text.chars().take(60).collect();
    if text.len() < step.text.len() {
        text.push('…');
    }
    text
}

/// A failed command: exit, last lines of standard error, how to look inside.
pub(in crate::engine) fn failed(shared: &Shared, machine: &Machine, what: &str, span: Span, end: &JobEnd) -> Stop {
    let exit = end.exit.to_string();
    let (code, class, label) = match end.exit {
        Exit::TimedOut => (&codes::STEP_TIMED_OUT, FailureClass::Deadline, exit.clone()),
        Exit::Unknown | Exit::Killed => (&codes::STEP_LOST, FailureClass::Guest, exit.clone()),
        Exit::Code(_) | Exit::Signal(_) | Exit::Skipped => (&codes::STEP_FAILED, FailureClass::Guest, exit.clone()),
    };
    let message = format!("`{}` failed in `{}`: {exit}", shared.events.masker.text(what), machine.label);
    let mut diagnostic = Diagnostic::new(code, message).primary(span, label);
    let tail = shared.events.masker.bytes(&end.stderr_tail);
    let tail = String::from_utf8_lossy(&tail);
    let mut lines: Vec<&str> = tail.lines().collect();
    if shared.unmaskable(machine.id).is_some() {
        lines.clear();
    }
    if !lines.is_empty() {
        let shown = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default();
        diagnostic = diagnostic.note(format!("standard error ended with:\n{}", indent(shown)));
    }
    if end.attempts > 1 {
        diagnostic = diagnostic.note(format!("tried {} times", end.attempts));
    }
    let kept = inside(shared, machine);
    let help = match (end.exit, shared.on_error()) {
        (Exit::TimedOut, _) => {
            Some("allow more time with `--timeout`, or find what it waits for: its standard input is closed")
        }
        (Exit::Unknown, _) => {
            Some("if the command restarts the machine, use REBOOT, or `--reboot-on` with its exit code")
        }
        (_, OnError::Clean | OnError::Continue) => Some("`--on-error keep` leaves the machine for a look"),
        (_, OnError::Keep) => Some(kept.as_str()),
        // What becomes of the machine is about to be asked.
        (_, OnError::Ask) => None,
    };
    diagnostic.help = help.map(str::to_owned);
    Stop::failed(class, exit, diagnostic)
}

/// How to look into a machine that is kept.
pub(in crate::engine) fn inside(shared: &Shared, machine: &Machine) -> String {
    let name = shared.ledger.of(machine.id, 0).map_or_else(|| machine.name.clone(), |(_, entry)| entry.name);
    // How to remove it is told once, of all that is kept.
    format!("the machine is kept: `vmwbuild exec {name} --login USER -- COMMAND` looks inside")
}

fn indent(lines: &[&str]) -> String {
    // Guest output goes through the same cleaning as in the views: no control characters.
    let clean = |line: &&str| -> String {
        let visible: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        format!("    {visible}")
    };
    lines.iter().map(clean).collect::<Vec<_>>().join("\n")
}

/// Tells that a step has ended well enough.
pub(in crate::engine) fn finished(shared: &Shared, step: &Step, ended: Ended, elapsed: Duration) {
    let outcome = match ended {
        Ended::Done => Outcome::Done,
        Ended::Skipped(why) => Outcome::Skipped(why),
        Ended::Allowed(why) => Outcome::Allowed(why),
    };
    shared.events.send(Event::StepFinished { step: step.id, outcome, elapsed });
}

/// Tells that a step has failed.
pub(super) fn told(shared: &Shared, step: &Step, stop: &Stop) {
    if let Stop::Failed(failed) = stop {
        shared.events.end_output(step.id);
        let why = shared.events.masker.text(&failed.short);
        let outcome = Outcome::Failed(why);
        shared.events.send(Event::StepFinished { step: step.id, outcome, elapsed: Duration::ZERO });
    }
}
