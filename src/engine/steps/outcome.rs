//! How steps end: what is shown, what is reported, and which value a KEY has.

use std::time::Duration;

use super::super::codes;
use super::super::event::{Event, Outcome};
use super::super::options::{FailureClass, OnError};
use super::super::shared::{Shared, Stop};
use crate::diagnostic::Diagnostic;
use crate::guest::{Exit, JobEnd};
use crate::sema::program::{Action, Machine, Ref, Step};
use crate::sema::types::holds_secret;
use crate::sema::value::Value;
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
    let ended =
        Ended::of(step, end.exit, end.success).ok_or_else(|| failed(shared, machine, &verb(step), step.span, end))?;
    if let (Ended::Done, Action::Key { name, ty, .. }) = (&ended, &step.action) {
        let captured = end.captured.as_deref().unwrap_or_default();
        match parse_key(ty, captured) {
            Ok(value) => {
                match &value {
                    Value::Secret(secret) => shared.events.masker.add(secret),
                    _ if holds_secret(ty) => {}
                    _ => shared.events.key(step.id, name, &value),
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
    let lines: Vec<&str> = tail.lines().collect();
    if !lines.is_empty() {
        let shown = &lines[lines.len().saturating_sub(TAIL)..];
        diagnostic = diagnostic.note(format!("standard error ended with:\n{}", indent(shown)));
    }
    if end.attempts > 1 {
        diagnostic = diagnostic.note(format!("tried {} times", end.attempts));
    }
    let help = match (end.exit, shared.options.on_error) {
        (Exit::TimedOut, _) => {
            "allow more time with `--timeout`, or find what it waits for: its standard input is closed"
        }
        (Exit::Unknown, _) => "if the command restarts the machine, use REBOOT, or `--reboot-on` with its exit code",
        (_, OnError::Clean) => "`--on-error keep` leaves the machine for a look",
        (_, OnError::Keep) => "the machine is kept: look inside, then remove it",
    };
    Stop::failed(class, exit, diagnostic.help(help))
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
