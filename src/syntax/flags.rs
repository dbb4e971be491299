//! `--name=value`, held to the instruction table.

use super::ast::Flag;
use super::cx::{Cx, Node, near};
use super::grammar::Rule;
use super::table::{FlagInfo, FlagValue};
use super::words::{Mode, text};
use super::{Keyword, codes};
use crate::diagnostic::Diagnostic;
use crate::source::{Span, Spanned};

/// Reads a flag of an instruction; None when it is none of its flags, or lacks its value. Reported then.
pub(super) fn flag(cx: &mut Cx<'_>, keyword: Keyword, node: Node<'_>) -> Option<Flag> {
    let span = cx.at(&node);
    let (mut name, mut value, mut junk) = (None, None, None);
    for part in node.into_inner() {
        match part.as_rule() {
            Rule::flag_name => name = Some(Spanned::new(part.as_str().to_owned(), cx.at(&part))),
            Rule::flag_value => value = Some(part),
            _ => junk = Some(cx.at(&part)),
        }
    }
    let name = name?;
    let Some(info) = keyword.flag(&name.node) else {
        cx.push(unknown(cx, keyword, &name.node, span));
        return None;
    };
    if let Some(junk) = junk {
        let usage = format!("--{}{}", info.name, info.value.usage());
        cx.push(
            Diagnostic::at(&codes::FLAG_VALUE, junk, format!("`{}` can't follow the flag's name", cx.slice(junk)))
                .help(format!("write `{usage}`")),
        );
        return None;
    }
    match (info.value, value) {
        (FlagValue::None, None) => Some(Flag { span, name, value: None }),
        (FlagValue::None, Some(value)) => {
            let place = cx.at(&value);
            let from = Span { start: name.span.end, ..place };
            cx.push(
                Diagnostic::at(&codes::FLAG_VALUE, place, format!("`--{}` takes no value", info.name))
                    .help(format!("write `--{}`", info.name))
                    .replace(format!("write `--{}`", info.name), false, from, ""),
            );
            Some(Flag { span, name, value: None })
        }
        (_, None) => {
            missing_value(cx, info, span);
            None
        }
        (kind, Some(value)) => {
            let mode = if matches!(kind, FlagValue::Guest(_)) { Mode::Guest } else { Mode::Word };
            let value = text(cx, value, mode);
            if value.pieces.is_empty() {
                missing_value(cx, info, span);
                return None;
            }
            if let FlagValue::OneOf(words) = kind
                && let Some(written) = value.literal()
                && !words.contains(&written.as_str())
            {
                let diagnostic =
                    Diagnostic::at(&codes::UNKNOWN_WORD, value.span, format!("`--{}` has no `{written}`", info.name));
                cx.push(match near(&written, words.iter().copied()) {
                    Some(near) => diagnostic.help(format!("did you mean `{near}`?")).replace(
                        format!("write `{near}`"),
                        false,
                        value.span,
                        near,
                    ),
                    None => diagnostic.help(format!("one of {}", words.join(", "))),
                });
                return None;
            }
            Some(Flag { span, name, value: Some(value) })
        }
    }
}

fn missing_value(cx: &mut Cx<'_>, info: &FlagInfo, span: Span) {
    let usage = format!("--{}{}", info.name, info.value.usage());
    let diagnostic = Diagnostic::at(&codes::FLAG_VALUE, span, format!("`--{}` needs a value", info.name));
    // `--timeout 5m`: what follows on the line is likely the value.
    let after = cx.work_at(span.end as usize, cx.work.len());
    let blanks = after.len() - after.trim_start_matches([' ', '\t']).len();
    let next = after.get(blanks..).unwrap_or_default();
    let word_end = next.find([' ', '\t', '\n', '\r', '\\']).unwrap_or(next.len());
    let word = next.get(..word_end).unwrap_or_default();
    let ends_in_equals = cx.slice(span).ends_with('=');
    let looks_right = match info.value {
        FlagValue::Value("DURATION") => super::literal::duration(word).is_some(),
        FlagValue::Value("N" | "CODES" | "MODE") => {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_digit() || c == ',')
        }
        FlagValue::OneOf(words) => words.contains(&word),
        _ => false,
    };
    cx.push(if blanks > 0 && looks_right {
        let gap = cx.span(span.end as usize, span.end as usize + blanks);
        let equals = if ends_in_equals { "" } else { "=" };
        diagnostic.help(format!("a flag's value stands after `=`, without blanks: `--{}={word}`", info.name)).replace(
            "join them",
            false,
            gap,
            equals,
        )
    } else {
        diagnostic.help(format!("write `{usage}`"))
    });
}

fn unknown(cx: &Cx<'_>, keyword: Keyword, name: &str, span: Span) -> Diagnostic {
    if let Some(help) = dockerfile_flag(keyword, name) {
        return Diagnostic::at(&codes::DOCKERFILE, span, format!("there is no `--{name}` here")).help(help);
    }
    let diagnostic = Diagnostic::at(&codes::UNKNOWN_FLAG, span, format!("{keyword} has no flag `--{name}`"));
    let name_span = cx.span(span.start as usize + 2, span.start as usize + 2 + name.len());
    if let Some(near) = near(name, keyword.flags().map(|f| f.name)) {
        return diagnostic.help(format!("did you mean `--{near}`?")).replace(
            format!("write `--{near}`"),
            false,
            name_span,
            near,
        );
    }
    let other = Keyword::ALL.iter().find(|k| k.info().flags.iter().any(|f| f.name == name));
    let known: Vec<String> = keyword.info().flags.iter().map(|f| format!("--{}", f.name)).collect();
    diagnostic.help(match (other, known.is_empty(), keyword.is_step()) {
        (Some(other), _, _) => format!("it is a flag of {other}; if the word is an argument, put `--` before it"),
        (None, false, false) => format!("it has {}; if the word is an argument, put `--` before it", known.join(", ")),
        (None, false, true) => format!(
            "it has {} and the flags of every step; if the word is an argument, put `--` before it",
            known.join(", ")
        ),
        (None, true, true) => "it has the flags of every step (`--timeout`, `--if`, …); if it is the command's own, it stands after the command".to_owned(),
        (None, true, false) => "it has no flags; if the word is an argument, put `--` before it".to_owned(),
    })
}

/// What Dockerfiles have and machines don't.
fn dockerfile_flag(keyword: Keyword, name: &str) -> Option<&'static str> {
    Some(match (keyword, name) {
        (Keyword::From, "platform") => {
            "a machine has the architecture of its template; for Windows guests write `--os=windows`"
        }
        (Keyword::Run, "mount") => {
            "there are no mounts: COPY brings files in, and `${{ secret }}` stands in the command without being shown"
        }
        (Keyword::Run, "network" | "security") => {
            "a command runs in the machine, with the machine's own network and rights"
        }
        (Keyword::Copy, "link" | "parents" | "exclude") => {
            "files go into a running machine; what must stay out is named in `.vmwignore`"
        }
        (Keyword::Healthcheck, "start-period" | "start-interval") => "use `--interval` and `--retry`",
        _ => return None,
    })
}
