//! The critical path of a build as it was measured: what would have had to be quicker for the build to be.

use std::time::Duration;

use super::record::{Kind, Record, Span};
use crate::engine::event::{MachineResult, Node};

/// A part of the critical path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The machine's place in the record.
    pub(super) machine: usize,
    /// The span's place among the machine's.
    pub(super) span: usize,
    pub(super) what: String,
    pub(super) from: Duration,
    pub(super) to: Duration,
}

/// From the beginning to the end: starts with what failed, or else ended last, and goes back; where a machine waited for another one,
/// the path is the other's.
pub(super) fn critical(record: &Record) -> Vec<Part> {
    let end = |at: usize| record.machines.get(at)?.spans.last().map(|s| s.to.unwrap_or(record.last));
    // A build that failed took as long as what failed; others were cut short.
    let failed =
        |at: usize| matches!(record.machines.get(at), Some(m) if matches!(m.result, Some(MachineResult::Failed(_))));
    let last = (0..record.machines.len()).filter(|at| end(*at).is_some()).max_by_key(|at| (failed(*at), end(*at)));
    let Some(mut machine) = last else { return Vec::new() };
    let mut before = end(machine).unwrap_or(record.last);
    let mut parts: Vec<Part> = Vec::new();
    // Each turn goes back in time or to a machine that was waited for: it ends, but a record may be cut short.
    for _ in 0..100_000 {
        let Some(of) = record.machines.get(machine) else { break };
        let Some((at, span)) = of.spans.iter().enumerate().rfind(|(_, s)| s.from < before) else { break };
        if let (Kind::Wait, Some(on)) = (span.kind, span.on) {
            let Some(other) = record.machines.iter().position(|m| m.info.id == on.machine()) else { break };
            // It ended with what was waited for, a moment before the wait did.
            let until = ended(record, other, on).unwrap_or(before).min(before);
            if other == machine {
                before = span.from;
            } else {
                (machine, before) = (other, until);
            }
            continue;
        }
        let to = span.to.unwrap_or(record.last).min(before);
        parts.push(Part { machine, span: at, what: span.text.clone(), from: span.from, to });
        before = span.from;
        if before.is_zero() {
            break;
        }
    }
    parts.reverse();
    parts
}

/// When something was done.
fn ended(record: &Record, machine: usize, node: Node) -> Option<Duration> {
    let spans = &record.machines.get(machine)?.spans;
    let of = |wanted: &dyn Fn(&Span) -> bool| spans.iter().rev().find(|s| wanted(s))?.to;
    match node {
        Node::Clone(_) => of(&|s| s.kind == Kind::Clone),
        Node::Boot(_) => of(&|s| s.kind == Kind::Boot),
        Node::Network(_) => of(&|s| s.kind == Kind::Network),
        Node::Export(_) => of(&|s| s.kind == Kind::Export),
        Node::Finish(_) => of(&|s| s.kind == Kind::Finish),
        Node::Step(step) => of(&|s| s.step == Some(step.index)),
    }
}
