//! Holds JSON to a schema: as much of JSON Schema as ours use.

use serde_json::Value;

/// As much of JSON Schema as ours uses.
pub fn validate(value: &Value, schema: &Value, root: &Value, at: &str) -> Result<(), String> {
    let fail = |what: &str| Err(format!("{at}: {what}: {value}"));
    for (key, rule) in schema.as_object().expect("a schema") {
        match key.as_str() {
            "$schema" | "title" | "description" | "$defs" => {}
            "$ref" => {
                let name = rule.as_str().and_then(|r| r.strip_prefix("#/$defs/")).expect("of ours");
                validate(value, &root["$defs"][name], root, at)?;
            }
            "anyOf" => {
                let any = rule.as_array().expect("a list").iter().any(|s| validate(value, s, root, at).is_ok());
                if !any {
                    return fail("none of them");
                }
            }
            "const" if value != rule => return fail("another value"),
            "enum" if !rule.as_array().expect("a list").contains(value) => return fail("no such word"),
            "const" | "enum" => {}
            "type" => {
                let is = |t: &str| match t {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("the schema has the type {other}"),
                };
                let good = match rule {
                    Value::Array(types) => types.iter().any(|t| is(t.as_str().expect("text"))),
                    one => is(one.as_str().expect("text")),
                };
                if !good {
                    return fail("another type");
                }
            }
            "required" => {
                for name in rule.as_array().expect("a list") {
                    if value.get(name.as_str().expect("text")).is_none() {
                        return fail(&format!("{name} is missing"));
                    }
                }
            }
            "properties" => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = rule.get(name) {
                        validate(inner, schema, root, &format!("{at}.{name}"))?;
                    }
                }
            }
            "additionalProperties" => {
                assert_eq!(rule, &Value::Bool(false));
                let known = schema["properties"].as_object().expect("it has some");
                if value.as_object().is_some_and(|o| o.keys().any(|k| !known.contains_key(k))) {
                    return fail("a member that the schema doesn't know");
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    validate(item, rule, root, &format!("{at}[{index}]"))?;
                }
            }
            "minItems" => {
                if value.as_array().is_some_and(|l| (l.len() as u64) < rule.as_u64().expect("a number")) {
                    return fail("too few");
                }
            }
            "minimum" => {
                if value.as_i64().is_some_and(|n| n < rule.as_i64().expect("a number")) {
                    return fail("too small");
                }
            }
            "pattern" => {
                let regex = regex::Regex::new(rule.as_str().expect("text")).expect("a pattern");
                if value.as_str().is_some_and(|t| !regex.is_match(t)) {
                    return fail("it doesn't match");
                }
            }
            other => panic!("the schema uses `{other}`, which this check doesn't know"),
        }
    }
    Ok(())
}
