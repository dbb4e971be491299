//! What is asked before machines are removed.

use std::io::IsTerminal;

use super::{codes, terminal};
use crate::diagnostic::Diagnostic;

/// Shows what would be removed, and asks; whether it may be.
///
/// # Errors
/// There is nobody to ask: `refusal` says what isn't done then.
pub(super) fn removal<'a>(paths: impl Iterator<Item = &'a str>, refusal: &str) -> Result<bool, Diagnostic> {
    for path in paths {
        terminal::say(&format!("to be removed: {path}"));
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        let help = "give `--yes`, or `--dry-run` to look only";
        return Err(Diagnostic::new(&codes::BAD_ARGUMENT, refusal).help(help));
    }
    let answer = terminal::ask("Remove them? [y/N]").unwrap_or_default();
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
