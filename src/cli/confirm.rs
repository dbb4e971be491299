//! What is asked before machines are removed.

use std::io::IsTerminal;

use super::machine::Refused;
use super::{args, codes, terminal};
use crate::diagnostic::Diagnostic;
use crate::engine::FailureClass;

/// Shows what would be removed, and asks where that is wanted. True: it is to be removed; false: this was to look only.
///
/// # Errors
/// There is nobody to ask (`refusal` says what isn't done then), or the answer is no.
pub(super) fn removal(paths: &[String], options: &args::Removal, refusal: &str) -> Result<bool, Refused> {
    if options.dry_run {
        paths.iter().for_each(|path| terminal::tell(&format!("would remove {path}\n")));
        return Ok(false);
    }
    if options.yes || paths.is_empty() {
        return Ok(true);
    }
    for path in paths {
        terminal::say(&format!("to be removed: {path}"));
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        let help = "give `--yes`, or `--dry-run` to look only";
        return Err((2, Diagnostic::new(&codes::BAD_ARGUMENT, refusal).help(help)));
    }
    let answer = terminal::ask("Remove them? [y/N]").unwrap_or_default();
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        _ => {
            let no =
                Diagnostic::new(&codes::BAD_ARGUMENT, "nothing was removed").help("`--yes` removes without asking");
            Err((FailureClass::Interrupted.exit_code(), no))
        }
    }
}
