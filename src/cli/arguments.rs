//! Values of ARGs: `--args FILE`, VMWBUILD_ARG_name, `--arg name=value`; what is named later here wins.

use std::path::Path;

use indexmap::IndexMap;

use super::codes;
use crate::diagnostic::{Diagnostic, abridged};

/// name → (text, origin), as the check wants them.
pub(crate) type Values = IndexMap<String, (String, String)>;

/// Collects them all.
pub(crate) fn collect(
    files: &[std::path::PathBuf],
    flags: &[String],
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Values, Vec<Diagnostic>> {
    let mut values = Values::new();
    let mut problems = Vec::new();
    for file in files {
        match read(file) {
            Ok(list) => values.extend(list.into_iter().map(|(n, v)| (n, (v, file.display().to_string())))),
            Err(problem) => problems.push(problem),
        }
    }
    let mut found: Vec<_> = variables
        .filter_map(|(name, value)| Some((name.strip_prefix("VMWBUILD_ARG_")?.to_owned(), name, value)))
        .collect();
    found.sort();
    values.extend(found.into_iter().map(|(name, variable, value)| (name, (value, variable))));
    for flag in flags {
        match flag.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                values.insert(name.to_owned(), (value.to_owned(), "--arg".to_owned()));
            }
            _ => problems.push(
                Diagnostic::new(&codes::BAD_ARGUMENT, format!("`--arg {flag}` isn't of the form NAME=VALUE"))
                    .help("as in `--arg workers=3`"),
            ),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

fn read(path: &Path) -> Result<Vec<(String, String)>, Diagnostic> {
    let shown = path.display();
    let text = crate::source::read_file_text(path).map_err(|e| {
        Diagnostic::new(&codes::FILE_UNREADABLE, format!("can't read the arguments in `{shown}`: {e}"))
            .help("check the path that `--args` names")
    })?;
    let bad = |why: String| Diagnostic::new(&codes::ARGS_FILE, format!("can't understand `{shown}`: {why}"));
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let json = match extension {
        "json" => serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?,
        "toml" => super::toml_file::read::<serde_json::Value>(&text).map_err(bad)?,
        _ => return lines(&text).map_err(bad),
    };
    let serde_json::Value::Object(fields) = json else {
        return Err(bad("it holds no names and values".to_owned()).help("write an object: {\"workers\": 3}"));
    };
    fields
        .into_iter()
        .map(|(name, value)| match scalar(&value) {
            Some(text) => Ok((name, text)),
            None => Err(bad(format!("the value of `{name}` is null or has fields of its own"))),
        })
        .collect()
}

fn scalar(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(_) | serde_json::Value::Bool(_) | serde_json::Value::Array(_) => {
            Some(value.to_string())
        }
        serde_json::Value::Null | serde_json::Value::Object(_) => None,
    }
}

/// `name = value` lines; blank ones and those that begin with `#` are skipped; quotes around a value go.
fn lines(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut out = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("line {} is no `name = value`: {}", number + 1, abridged(line, 0).0));
        };
        let (name, value) = (name.trim(), value.trim());
        let within = |q| value.strip_prefix(q).and_then(|v| v.strip_suffix(q));
        let value = within('"').or_else(|| within('\'')).unwrap_or(value);
        out.push((name.to_owned(), value.to_owned()));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_variables_and_those_over_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lab.args");
        std::fs::write(&file, "# lab\na = 1\nb = \"two words\"\nc=3\n").unwrap();
        let vars = [("VMWBUILD_ARG_b".to_owned(), "var".to_owned()), ("HOME".to_owned(), "/".to_owned())];
        let got = collect(&[file], &["c=flag".into()], vars.into_iter()).unwrap();
        let got: Vec<_> = got.iter().map(|(n, (v, _))| format!("{n}={v}")).collect();
        assert_eq!(got, ["a=1", "b=var", "c=flag"]);
    }

    #[test]
    fn json_and_toml_hold_values_of_every_kind() {
        let dir = tempfile::tempdir().unwrap();
        let (json, toml) = (dir.path().join("a.json"), dir.path().join("b.toml"));
        std::fs::write(&json, r#"{"n": 3, "t": "x", "l": ["a", "b"]}"#).unwrap();
        std::fs::write(&toml, "yes = true\nl = [1, 2]\n").unwrap();
        let got = collect(&[json, toml], &[], std::iter::empty()).unwrap();
        let got: Vec<_> = got.iter().map(|(n, (v, _))| format!("{n}={v}")).collect();
        assert_eq!(got, ["n=3", "t=x", "l=[1,2]", "yes=true"]);
    }

    #[test]
    fn a_long_line_is_not_shown_wholly() {
        let dir = tempfile::tempdir().unwrap();
        let (lines, toml) = (dir.path().join("a.args"), dir.path().join("b.toml"));
        let long = "long ".repeat(10_000);
        std::fs::write(&lines, &long).unwrap();
        std::fs::write(&toml, format!("a = 1\nb = [\"{long}\", \"x\" \"y\", \"{long}\"]\n")).unwrap();
        let said = |file| collect(&[file], &[], std::iter::empty()).unwrap_err().remove(0).message;
        let (lines, toml) = (said(lines), said(toml));
        assert!(
            lines.ends_with("line 1 is no `name = value`: long long long long long long long long  ... "),
            "{lines}"
        );
        assert!(toml.len() < 600 && toml.contains("line 2, column ") && toml.contains("\"x\" \"y\""), "{toml}");
        let (quoted, mark) = (toml.lines().nth(2).unwrap(), toml.lines().nth(3).unwrap());
        assert_eq!(mark.find('^'), quoted.find("\"y\""), "{toml}");
    }

    #[test]
    fn every_mistake_is_reported() {
        let got = collect(&["/nowhere/x".into()], &["novalue".into(), "=x".into()], std::iter::empty());
        let names: Vec<_> = got.unwrap_err().iter().map(|d| d.code.name).collect();
        assert_eq!(names, ["file-unreadable", "bad-flag-value", "bad-flag-value"]);
    }
}
