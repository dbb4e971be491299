//! What is said of a refusal.

use super::codes;
use super::refusal::{Refusal, RefusalKind};
use crate::diagnostic::Code;

/// A refusal in words, for a diagnostic whose place the caller knows.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Its code.
    pub code: &'static Code,
    /// What is wrong: one sentence, lower case first, no full stop.
    pub message: String,
    /// A few words at the place that causes it ([`Refusal::at`]); empty if that place is the value's own.
    pub cause: String,
    /// What to do.
    pub help: String,
}

/// Explains a refusal. `hole` is the source text of the `${{ … }}`.
pub fn explain(refusal: &Refusal, hole: &str) -> Explanation {
    let inner = hole.trim_start_matches("${{").trim_end_matches("}}").trim();
    let env = format!("give it as an environment variable: `ENV VALUE={hole}` before this step, `\"$VALUE\"` here");
    let (code, message, cause, help): (&Code, String, &str, String) = match &refusal.kind {
        RefusalKind::Backtick => (
            &codes::BACKTICKS,
            "a value can't stand between backticks".into(),
            "the backtick",
            "write `$(…)` instead of `` `…` ``".into(),
        ),
        RefusalKind::ParameterExpansion => (
            &codes::PARAMETER_EXPANSION,
            "a value can't stand inside `${…}`".into(),
            "the `${`",
            format!("put it into a variable first: `value={hole}`, then `$value` here"),
        ),
        RefusalKind::DollarSingle => (
            &codes::DOLLAR_QUOTES,
            "a value can't stand inside `$'…'`".into(),
            "the quote",
            format!("end the quote before it: `$'…'{hole}$'…'`"),
        ),
        RefusalKind::HeredocDelimiter => (
            &codes::HEREDOC_DELIMITER,
            "a value can't be the delimiter of a here-document".into(),
            "the here-document",
            "use a fixed word, such as `EOF`".into(),
        ),
        RefusalKind::AfterBackslash => (
            &codes::AFTER_ESCAPE,
            "a value can't stand right after an escape character".into(),
            "would escape what stands for the value",
            format!("leave it away, or quote it outside double quotes: `'\\'{hole}`"),
        ),
        RefusalKind::AfterDollar => (
            &codes::AFTER_ESCAPE,
            "a value can't stand right after a `$`".into(),
            "would join what stands for the value",
            format!("quote the `$`: `'$'{hole}`; for the shell's process number `\"$$\"{hole}`"),
        ),
        RefusalKind::NotAnInt(place) => (
            &codes::NOT_AN_INT,
            format!("only an int may stand in {}", place.name()),
            "is evaluated as arithmetic",
            format!("declare its type (`ARG name: int`), or convert it: `${{{{ {inner} | int }}}}`"),
        ),
        RefusalKind::GluedInArithmetic => (
            &codes::GLUED_NUMBER,
            "in arithmetic a value can't be part of a longer number or name".into(),
            "",
            format!("build the text outside: `number=1{hole}`, then `$((number))`"),
        ),
        RefusalKind::Name(command) => (
            &codes::AS_NAME,
            match command.as_str() {
                "an assignment" | "a redirection" | "a function" => format!("a value can't be the name of {command}"),
                "for" => "a value can't be the variable of `for`".into(),
                command => format!("a value can't be a name for `{command}`"),
            },
            "takes it for a name",
            "use a fixed name; a value can only be data".into(),
        ),
        RefusalKind::List => (
            &codes::LIST,
            "a list can't stand in shell text".into(),
            "",
            format!("join it: `${{{{ {inner} | join(\" \") }}}}`"),
        ),
        RefusalKind::Reread(command) => (
            &codes::REREAD,
            format!("`{command}` reads this text again, as code, and the value with it"),
            "reads it again",
            format!(
                "give the value as an argument: `sh -c '… \"$1\"' sh {hole}`; or make it one word of code, outside quotes: `${{{{ {inner} | quote }}}}`"
            ),
        ),
        RefusalKind::QuotedTwice(command) => (
            &codes::QUOTED_TWICE,
            format!("a quoted value must stand outside quotes in the text that `{command}` reads again"),
            "reads it again",
            format!("give the value as an argument: `sh -c '… \"$1\"' sh {}`", hole.replace("| quote ", "")),
        ),
        RefusalKind::RawNotBare => (
            &codes::RAW_NOT_BARE,
            "`| raw` can't stand in quotes, a here-document or arithmetic".into(),
            "",
            "leave `| raw` away for the value as it is, or move it out of the quotes".into(),
        ),
        RefusalKind::Disagreement => (
            &codes::UNSURE,
            "it isn't certain how a shell reads the text around this value".into(),
            "",
            format!("{env}; or name the shell (`SHELL bash`), or write the text more simply"),
        ),
        RefusalKind::Unreadable(what) => (
            &codes::UNREADABLE,
            format!("this shell text can't be read, so no value can be put into it: {what}"),
            "here",
            format!("mend the text, or {env}"),
        ),
        RefusalKind::TooLong => (
            &codes::TOO_LONG,
            format!("shell text with values in it may have {} KiB at most", super::MAX_TEXT / 1024),
            "",
            "copy the script with COPY and run it with arguments".into(),
        ),
        RefusalKind::UnknownShell(name) => (
            &codes::UNKNOWN_SHELL,
            format!("`{name}` isn't a shell whose text can be read, so no value can be put into it"),
            "",
            format!("give it as an environment variable: `ENV VALUE={hole}` before this step, and read it there"),
        ),
        RefusalKind::PsPlace => (
            &codes::POWERSHELL_PLACE,
            "in PowerShell a value is a whole argument or stands in double quotes".into(),
            "",
            "put the word into double quotes".into(),
        ),
        RefusalKind::CmdText => (
            &codes::CMD_VALUE,
            "text can't stand in a command for `cmd`, which has no quoting that holds".into(),
            "",
            format!("use PowerShell, or an environment variable: `ENV VALUE={hole}`"),
        ),
        RefusalKind::CmdPlace(trap) => (
            &codes::CMD_PLACE,
            "`cmd` would take this value for something else".into(),
            trap.why(),
            "put a blank or another word between, or redirect first: `>FILE echo …`".into(),
        ),
    };
    Explanation { code, message, cause: cause.to_owned(), help }
}
