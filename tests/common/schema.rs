//! JSON held against the schemas in `docs/schemas`, by somebody else's validator.

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
