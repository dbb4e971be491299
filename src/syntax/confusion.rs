//! Lines that begin with no instruction: what their author probably meant.

use super::cx::{Cx, near};
use super::{Keyword, codes};
use crate::diagnostic::{Diagnostic, Edit};
use crate::source::Span;

/// The line before, for lines that were meant to go on with it.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// Where the line before ends, if it is an instruction's.
    pub end: Option<usize>,
    /// Where it begins.
    pub start: usize,
    /// Whether heredoc bodies stand between.
    pub docs: bool,
    /// The report on lines right before this one that lacked a continuation; it is extended.
    pub report: Option<usize>,
    /// Open braces of a block that is skipped.
    pub braces: usize,
}

/// Answers a line that begins with no instruction. `word` is its first word. The instruction that was meant, where that
/// is known.
pub(super) fn line(cx: &mut Cx<'_>, before: &mut Before, range: std::ops::Range<usize>, word: Span) -> Option<Keyword> {
    if cx.full() {
        cx.unkept += 1;
        return None;
    }
    let line = cx.span(word.start as usize, range.end);
    let text = cx.slice(line).trim_end();
    let indented = range.start < word.start as usize;
    let written = cx.slice(word);
    let shown: String = written.chars().take(40).collect();
    if goes_on(text) && before.end.is_some() {
        missing_continuation(cx, before, range.end, word, None);
        return None;
    }
    if let Some(help) = dockerfile(written) {
        cx.push(
            Diagnostic::at(&codes::DOCKERFILE, word, format!("{} is for containers", written.to_ascii_uppercase()))
                .help(help),
        );
        return None;
    }
    let block = matches!(written, "source" | "variable" | "locals" | "provisioner" | "packer" | "data" | "resource");
    if text.ends_with('{') && !text.starts_with('{') || block && text.contains('{') {
        before.braces = text.matches('{').count().saturating_sub(text.matches('}').count());
        cx.push(
            Diagnostic::at(&codes::HCL_BLOCK, line, "this is a block of another language").help(
                "a VMWfile has no blocks: `FROM template AS name` opens a stage, which ends where the next begins",
            ),
        );
        return None;
    }
    if text.starts_with("{{") {
        cx.push(
            Diagnostic::at(&codes::GO_TEMPLATE, line, "this is a Go template's line")
                .help("values are put in by `${{ name }}`; for a vmwscript playbook try `vmwbuild convert`"),
        );
        return None;
    }
    let unknown = Diagnostic::at(&codes::UNKNOWN_INSTRUCTION, word, format!("there is no instruction `{shown}`"));
    let unquoted = written.trim_matches(['"', '\'']);
    if unquoted != written && Keyword::parse(unquoted).is_some() {
        let new = unquoted.to_ascii_uppercase();
        cx.push(unknown.help(format!("a quoted word is never an instruction: write `{new}`")).replace(
            format!("write `{new}`"),
            true,
            word,
            new,
        ));
        return None;
    }
    if let Some(near) = near(written, Keyword::ALL.iter().map(|k| k.name()))
        && (!indented || written.chars().any(char::is_uppercase))
    {
        cx.push(unknown.help(format!("did you mean `{near}`?")).replace(format!("write `{near}`"), false, word, near));
        return Keyword::parse(near);
    }
    if let Some(end) = before.end
        && !before.docs
        && let Some(at) = comment_after_escape(cx.work_at(before.start, end))
    {
        let at = before.start + at;
        let place = cx.span(at, end);
        cx.push(
            Diagnostic::at(&codes::COMMENT_SWALLOWS, place, "the escape character must be the line's last")
                .primary(place, "so the line ends here")
                .label(word, "and this is no instruction")
                .help("put the comment on a line of its own: comment lines may stand between"),
        );
        before.report = None;
        before.end = None;
        return None;
    }
    if indented && before.end.is_some() {
        missing_continuation(cx, before, range.end, word, Some(unknown));
        return None;
    }
    if before.report.is_some() && indented {
        return None;
    }
    let help = if let Some(help) = elsewhere(written) {
        help.to_owned()
    } else if text.contains('=')
        && !written.contains('=')
        && text.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').trim_start().starts_with('=')
        || written.contains('=')
    {
        "a value of this file is `ARG name = value`, a variable of the guest `ENV name=value`".to_owned()
    } else if unquoted.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !written.is_empty() {
        format!("a command of the guest is `RUN {}`", text.chars().take(60).collect::<String>())
    } else {
        "each line begins with an instruction, like FROM, RUN or COPY".to_owned()
    };
    cx.push(unknown.help(help));
    None
}

/// Whether a line only makes sense as more of the line before.
fn goes_on(text: &str) -> bool {
    ["&&", "||", "|", ";", "--", ">", "&", ")"].iter().any(|op| text.starts_with(op))
}

/// Where a `\ # comment` stands at the end of a line.
fn comment_after_escape(line: &str) -> Option<usize> {
    let hash = line.rfind('#')?;
    let before = line.get(..hash)?;
    let trimmed = before.trim_end_matches([' ', '\t']);
    (trimmed.len() < before.len() && trimmed.ends_with('\\')).then(|| trimmed.len() - 1)
}

fn missing_continuation(cx: &mut Cx<'_>, before: &mut Before, end: usize, word: Span, unknown: Option<Diagnostic>) {
    let Some(last) = before.end else { return };
    let place = cx.span(last, last);
    let escape = cx.escape;
    let edit = Edit { span: place, text: format!(" {escape}") };
    let known = before.report.and_then(|i| cx.problems.get_mut(i));
    if let Some(report) = known {
        // The line before is one of the same kind: one answer for all of them.
        if let Some(fix) = report.fix.as_mut() {
            fix.edits.push(edit);
        }
        if report.secondary.len() < 4 {
            report.secondary.push(crate::diagnostic::Label { span: word, text: "so does this".to_owned() });
        }
    } else {
        let written = cx.slice(word);
        let shown: String = written.chars().take(20).collect();
        let mut diagnostic = Diagnostic::at(
            &codes::MISSING_CONTINUATION,
            place,
            match unknown {
                None => format!("the line ends here, but the next begins with `{shown}`"),
                Some(_) => format!("the line ends here, and `{shown}` in the next is no instruction"),
            },
        )
        .primary(place, format!("`{escape}` is missing here"))
        .label(word, "goes on with the line before");
        if before.docs {
            diagnostic = diagnostic.help("what goes on with the command stands on its line, before the heredoc's body");
        } else {
            diagnostic = diagnostic.help(format!("end the line with `{escape}`")).fix(
                format!("put a `{escape}` there"),
                unknown.is_none(),
                vec![edit],
            );
        }
        before.report = Some(cx.problems.len());
        cx.push(diagnostic);
    }
    before.end = Some(end);
    before.docs = false;
}

/// Words that other tools begin their lines with, and what stands for them here.
fn elsewhere(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_uppercase().as_str() {
        "IF" | "ELSE" | "WHEN" | "UNLESS" => {
            "steps are conditional by their flags: `RUN --if=${{ … }}`, `--unless=\"command\"`"
        }
        "FOR" | "FOREACH" | "WHILE" | "LOOP" => {
            "stages repeat by `FROM … AS name FOR v IN …`; a loop in the guest is the shell's"
        }
        "STAGE" | "TARGET" | "CLONE" => "a stage opens with `FROM template AS name`",
        "TEMPLATE" => "what a stage is made from is `FROM name`, what it leaves `OUTPUT TEMPLATE name`",
        "VM" | "MACHINE" | "NAME" => "the machine that a stage leaves is `OUTPUT VM name`",
        "EXEC" | "EXECUTE" | "COMMAND" | "SCRIPT" | "PROVISION" | "PROVISIONER" | "INLINE" => {
            "a command of the guest is `RUN command`, a script `RUN <<EOF`"
        }
        "UPLOAD" | "PUT" | "FILE" => "files go into the guest by `COPY source… dest`",
        "DOWNLOAD" | "GET" => "files come from the guest by `FETCH path… dest`",
        "SLEEP" | "PAUSE" => "wait for something: `WAIT FILE path`, `WAIT RUN command`; or `RUN sleep 10`",
        "IP" | "IPADDRESS" | "GATEWAY" | "DNS" => "the guest's network is `ADDRESS cidr GATEWAY ip DNS ip`",
        "PASSWORD" | "USERNAME" | "CREDENTIALS" => "the guest's account is `LOGIN user PASSWORD ${{ password }}`",
        "SET" | "LET" | "VAR" | "VARIABLE" | "VARIABLES" | "DEFINE" => {
            "a value of this file is `ARG name = value`, a variable of the guest `ENV name=value`"
        }
        "RAM" | "MEM" => "how much memory is `MEMORY size`",
        "CPUS" | "VCPU" | "VCPUS" | "CORES" => "how many processors is `CPU count`",
        "POWEROFF" | "SHUTDOWN" | "STOP" => "`OUTPUT --off VM name` leaves a machine powered off; templates are anyway",
        "RESTART" => "`REBOOT` restarts the guest, and waits for it",
        "IMPORT" | "SOURCE" | "REQUIRE" => "another file's lines are `INCLUDE path`",
        "OUTPUTS" | "EXPORT" | "REGISTER" => "a value for later steps is `KEY name FROM RUN command`",
        _ => return None,
    })
}

/// What stands in Dockerfiles and not here.
fn dockerfile(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_uppercase().as_str() {
        "EXPOSE" => "a machine's ports are its own: open them in the guest's firewall by RUN, or leave the line out",
        "CMD" | "ENTRYPOINT" => {
            "a machine runs what its init system starts: write a service file by COPY and enable it by RUN"
        }
        "ADD" => {
            "use COPY for files and directories; for a URL, `RUN curl -fLO …`; for an archive, COPY it and `RUN tar -xf …`"
        }
        "VOLUME" => "a machine keeps what is written to its disks: leave the line out",
        "ONBUILD" => "put what every stage needs into a stage of its own, and write `FROM` that stage",
        "MAINTAINER" => "`ANNOTATION text` writes it into the machine's notes",
        "STOPSIGNAL" => "a machine is shut down through its guest: leave the line out",
        _ => return None,
    })
}
