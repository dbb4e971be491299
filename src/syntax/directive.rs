//! Comments that mean something: directives at the top, and pragmas for the linter.

use super::ast::Item;
use super::codes;
use super::cx::{Cx, near, read_text};
use super::grammar::Rule;
use crate::diagnostic::Diagnostic;

/// The version of the language that this program knows.
const VERSION: u32 = 1;
const NAMES: [&str; 2] = ["escape", "vmwfile"];

/// Reads the directives from byte `at` on. Returns where they end, and the escape character.
pub(super) fn read(cx: &mut Cx<'_>, mut at: usize, items: &mut Vec<Item>) -> (usize, char) {
    let mut escape = None;
    let mut version = false;
    while at < cx.text.len() {
        let rest = cx.text.get(at..).unwrap_or_default();
        let end = rest.find('\n').map_or(cx.text.len(), |n| at + n + 1);
        let line = rest.get(..end - at).unwrap_or_default().trim_end_matches(['\n', '\r']);
        let Some((name, value)) = split(line.trim_start_matches([' ', '\t'])) else { break };
        let span = cx.span(at, at + line.len());
        match name.to_ascii_lowercase().as_str() {
            "escape" => {
                let seen = escape.is_some();
                match value {
                    _ if seen => repeated(cx, span, "escape"),
                    "\\" => escape = Some('\\'),
                    "`" => escape = Some('`'),
                    _ => cx.push(
                        Diagnostic::at(
                            &codes::DIRECTIVE_VALUE,
                            span,
                            format!("`{value}` can't be the escape character"),
                        )
                        .help("it is the backslash, or by `# escape=`` the backtick"),
                    ),
                }
            }
            "vmwfile" => {
                if version {
                    repeated(cx, span, "vmwfile");
                }
                version = true;
                match value.parse::<u32>() {
                    Ok(VERSION) => {}
                    Ok(n) if n > VERSION => cx.push(
                        Diagnostic::at(
                            &codes::DIRECTIVE_VALUE,
                            span,
                            format!("the file is of version {n} of the language"),
                        )
                        .help(format!("this program knows version {VERSION}: a newer vmwbuild may read it")),
                    ),
                    _ => cx.push(
                        Diagnostic::at(
                            &codes::DIRECTIVE_VALUE,
                            span,
                            format!("`{value}` is no version of the language"),
                        )
                        .help(format!("write `# vmwfile={VERSION}`, or leave the line out")),
                    ),
                }
            }
            "syntax" | "check" => {
                cx.push(
                    Diagnostic::at(&codes::UNKNOWN_DIRECTIVE, span, format!("`{name}` is a directive of Dockerfiles"))
                        .help("it does nothing here: leave the line out"),
                );
            }
            lower => {
                let Some(near) = near(lower, NAMES) else { break };
                let start = cx.slice(span).find(name).unwrap_or(0) + at;
                let place = cx.span(start, start + name.len());
                cx.push(
                    Diagnostic::at(&codes::UNKNOWN_DIRECTIVE, place, format!("there is no directive `{name}`"))
                        .help(format!("did you mean `{near}`? as it is, the line is a plain comment"))
                        .replace(format!("write `{near}`"), false, place, near),
                );
            }
        }
        items.push(Item::Directive { span, name: name.to_ascii_lowercase(), value: value.to_owned() });
        at = end;
    }
    (at, escape.unwrap_or('\\'))
}

fn split(line: &str) -> Option<(&str, &str)> {
    let node = read_text(Rule::directive, line)?;
    let mut parts = node.into_inner();
    let name = parts.next()?.as_str();
    let value = parts.next()?.as_str().trim();
    Some((name, value))
}

fn repeated(cx: &mut Cx<'_>, span: crate::source::Span, name: &str) {
    cx.push(
        Diagnostic::at(&codes::MISPLACED_DIRECTIVE, span, format!("`{name}` is given twice"))
            .help("the first one holds: take this one away"),
    );
}

/// Looks at a comment after the directives: is it a directive in a wrong place, or a pragma with a typo?
pub(super) fn comment(cx: &mut Cx<'_>, span: crate::source::Span) {
    let line = cx.slice(span);
    // Most comments are neither.
    if !line.contains(['=', ':']) {
        return;
    }
    if let Some((name, value)) = split(line)
        && NAMES.contains(&name.to_ascii_lowercase().as_str())
        && !value.contains(' ')
    {
        cx.push(
            Diagnostic::at(&codes::MISPLACED_DIRECTIVE, span, format!("here `{name}` is a plain comment"))
                .help("directives stand before everything else, other comments too: put it on the first line"),
        );
        return;
    }
    let text = line.trim_start_matches('#').trim();
    let ours = text.strip_prefix("vmw").is_some_and(|rest| rest.trim_start().starts_with(':'));
    let Some(node) = read_text(Rule::pragma, text) else {
        if ours {
            unknown_pragma(cx, span, None);
        }
        return;
    };
    let (mut tool, mut verb, mut args) = ("", "", "");
    for part in node.into_inner() {
        match part.as_rule() {
            Rule::pragma_tool => tool = part.as_str(),
            Rule::pragma_verb => verb = part.as_str(),
            Rule::pragma_args => args = part.as_str(),
            _ => {}
        }
    }
    let verbs = ["allow", "allow-file"];
    let meant = near(verb, verbs);
    if tool == "vmw" && verbs.contains(&verb) && !args.trim().is_empty() {
        return;
    }
    let typo = tool != "vmw" && meant.is_some() && !args.is_empty() && strsim::damerau_levenshtein(tool, "vmw") == 1;
    if tool == "vmw" || typo {
        let arguments = if args.trim().is_empty() { "name" } else { args.trim() };
        unknown_pragma(cx, span, meant.map(|verb| format!("# vmw: {verb}({arguments})")));
    }
}

fn unknown_pragma(cx: &mut Cx<'_>, span: crate::source::Span, meant: Option<String>) {
    let diagnostic = Diagnostic::at(&codes::UNKNOWN_PRAGMA, span, "this pragma means nothing");
    cx.push(match meant {
        Some(meant) => diagnostic.help(format!("did you mean `{meant}`?")).replace(
            format!("write `{meant}`"),
            false,
            span,
            meant.clone(),
        ),
        None => diagnostic.help("pragmas are `# vmw: allow(name)` and `# vmw: allow-file(name)`"),
    });
}
