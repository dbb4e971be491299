//! Lines of `--progress json` and results, held against their schemas by somebody else's validator.

use serde_json::Value;

use super::schema::Schema;

/// Every line as JSON, each held against the schema; what no build may lack is there.
pub fn valid(text: &str) -> Vec<Value> {
    let schema = Schema::new("events.json");
    let mut events: Vec<Value> = Vec::new();
    assert!(text.ends_with('\n'), "the last line is whole: {text}");
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON: {e}: {line}"));
        if let Err(e) = schema.check(&event) {
            panic!("not as docs/schemas/events.json says: {e}");
        }
        if let Some(before) = events.last() {
            assert!(before["t"].as_f64() <= event["t"].as_f64(), "time goes back: {line}");
        }
        events.push(event);
    }
    assert_eq!(events.last().expect("lines")["event"], "result", "{text}");
    events
}
