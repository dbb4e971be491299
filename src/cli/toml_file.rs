//! TOML that people write: what is wrong with it, told without the passwords that stand in it.

use serde::de::DeserializeOwned;
use unicode_width::UnicodeWidthStr as _;

use crate::diagnostic::{abridged, blanked};
use crate::lint::secrets;
use crate::source::Sources;

/// Reads it; else what is wrong, with the line it is in.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| match toml::from_str::<T>(&without_secrets(text)) {
        // The same error, of a text that has asterisks in their places.
        Err(same) if same.span() == error.span() => told(&same, &without_secrets(text)),
        Err(_) | Ok(_) => {
            let line = error.span().map(|s| text.get(..s.start).unwrap_or_default().matches('\n').count() + 1);
            line.map_or_else(|| "it isn't TOML".to_owned(), |line| format!("line {line} isn't what belongs there"))
        }
    })
}

/// What the error says, a long line abridged in it.
fn told(error: &toml::de::Error, text: &str) -> String {
    let whole = error.to_string().trim_end().to_owned();
    let Some(at) = error.span().map(|s| s.start) else { return whole };
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
    let (short, place) = abridged(line, at - start);
    if short == line {
        return whole;
    }
    let number = (before.matches('\n').count() + 1).to_string();
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    let (blank, mark) = (" ".repeat(number.len()), " ".repeat(short.get(..place).unwrap_or_default().width()));
    format!(
        "TOML parse error at line {number}, column {column}\n{blank} |\n{number} | {short}\n{blank} | {mark}^\n{}",
        error.message()
    )
}

fn without_secrets(text: &str) -> String {
    let mut sources = Sources::new();
    let id = sources.add("", None, text);
    for span in secrets::written(&sources, id) {
        sources.hide(span);
    }
    blanked(&sources, id, 0..text.len()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_quoted() {
        for wrong in [
            "vcenter = \"https://me:hunter2@vc/sdk\" x",
            "vcenter = [\"https://me:hunter2@vc/sdk\"",
            "password = \"hunter2\n",
            "password = hunter2",
            "[args]\ntoken = \"hunter2\\q\"",
        ] {
            let said = read::<toml::Table>(wrong).expect_err(wrong);
            assert!(!said.contains("hunter2") && said.contains("line "), "{wrong}: {said}");
        }
        let said = read::<std::collections::HashMap<String, u8>>("a = 1\nurl = \"ftp://me:hunter2@x\"\n")
            .expect_err("no number");
        assert!(!said.contains("hunter2") && said.contains("line 2"), "{said}");
    }

    #[test]
    fn the_line_is_quoted() {
        let said = read::<toml::Table>("a = 1\nb = = 2\n").expect_err("no TOML");
        assert!(said.contains("2 | b = = 2"), "{said}");
    }
}
