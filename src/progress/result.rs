//! What came of a build, for programs: docs/schemas/result.json describes it.

use serde_json::{Map, Value, json};

use super::json::{finding, machine_result, made, outcome, rfc3339, seconds, tool, unpublished};
use super::record::{MachineRecord, Record, StepRecord};
use super::{Verdict, path};

/// The version of the form.
const VERSION: u32 = 1;

/// The result of a build as JSON.
pub fn result(record: &Record, verdict: &Verdict) -> String {
    let server =
        record.server.as_ref().map(|(server, product, api)| json!({"address": server, "product": product, "api": api}));
    let outputs: Vec<Value> =
        record.machines.iter().flat_map(|m| m.made.iter().map(|one| made(m.info.label.as_str().into(), one))).collect();
    let keys: Map<String, Value> = record
        .machines
        .iter()
        .filter(|m| !m.keys.is_empty())
        .map(|m| (m.info.label.clone(), Value::Object(m.keys.iter().cloned().collect())))
        .collect();
    let critical: Vec<Value> = path::critical(record)
        .iter()
        .map(|part| {
            let label = record.machines.get(part.machine).map(|m| m.info.label.clone());
            json!({"machine": label, "what": part.what, "from": seconds(part.from), "to": seconds(part.to)})
        })
        .collect();
    let all = json!({
        "version": VERSION,
        "tool": tool(),
        "ok": verdict.exit_code == 0,
        "exit_code": verdict.exit_code,
        "class": verdict.class(),
        "build": (!record.build.is_empty()).then_some(&record.build),
        "started": record.began.map(rfc3339),
        "elapsed": seconds(record.last),
        "requests": record.finished.map_or(0, |(_, _, requests)| requests),
        "server": server,
        "outputs": outputs,
        "keys": keys,
        "machines": record.machines.iter().map(machine).collect::<Vec<_>>(),
        "critical_path": critical,
        "diagnostics": verdict.findings.iter().map(finding).collect::<Vec<_>>(),
    });
    let mut text = serde_json::to_string_pretty(&without_null(all)).unwrap_or_default();
    text.push('\n');
    text
}

fn machine(record: &MachineRecord) -> Value {
    let (word, reason) = record.result.as_ref().map_or(("unfinished", None), machine_result);
    let steps: Vec<Value> = record.steps.iter().zip(&record.info.steps).map(|(s, info)| step(s, &info.text)).collect();
    without_null(json!({
        "machine": record.info.label,
        "leaves": record.info.leaves,
        "result": word,
        "reason": reason,
        "unpublished": record.result.as_ref().and_then(unpublished),
        "elapsed": seconds(record.elapsed),
        "steps": steps,
    }))
}

fn step(record: &StepRecord, text: &str) -> Value {
    let (word, reason) = match (&record.outcome, record.started) {
        (Some(how), _) => outcome(how),
        (None, Some(_)) => ("unfinished", None),
        (None, None) => ("not-run", None),
    };
    without_null(json!({
        "text": text,
        "outcome": word,
        "reason": reason,
        "started": record.started.map(seconds),
        "elapsed": record.elapsed.map(seconds),
        "attempts": (record.attempts > 1).then_some(record.attempts),
    }))
}

/// A field that has no value isn't there.
fn without_null(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(fields.into_iter().filter(|(_, v)| !v.is_null()).collect()),
        other => other,
    }
}
