//! Lines of `--progress json` and results, held against their schemas by somebody else's validator.

use std::path::Path;

use serde_json::Value;

/// A schema of `docs/schemas`, ready to hold documents against.
pub struct Schema {
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl Schema {
    pub fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas").join(name);
        let mut compiler = boon::Compiler::new();
        compiler.enable_format_assertions();
        compiler.enable_content_assertions();
        let mut schemas = boon::Schemas::new();
        let index = compiler.compile(&path.to_string_lossy(), &mut schemas).expect("a JSON schema");
        Schema { schemas, index }
    }

    pub fn check(&self, document: &Value) -> Result<(), String> {
        self.schemas.validate(document, self.index).map_err(|e| format!("{document}\n{e:#}"))
    }
}

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
