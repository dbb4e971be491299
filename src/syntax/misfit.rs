//! Lines that don't fit the form of their instruction.

use super::ast::{Body, CopySource, Expr, ExprKind, KeyFrom, Text};
use super::cx::{Cx, Misfit, Node};
use super::grammar::Rule;
use super::words::{self, Mode};
use super::{Keyword, codes, expr};
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Span, Spanned};

/// Says what is wrong. Where only a comment at the line's end is too much, returns where the line ends without it.
pub(super) fn report(
    cx: &mut Cx<'_>,
    keyword: Keyword,
    (start, from): (usize, usize),
    stop: usize,
    misfit: &Misfit,
) -> Option<usize> {
    if cx.full() {
        cx.unkept += 1;
        return None;
    }
    let whole = cx.span(start, stop);
    let words = words_of(cx, from, stop);
    if let Some(comment) = words.iter().skip(1).find(|w| cx.slice(**w).starts_with('#'))
        && misfit.at >= comment.start as usize
    {
        expr::inline_comment(cx, cx.span(comment.start as usize, stop));
        let before = cx.work_at(from, comment.start as usize);
        return Some(from + before.trim_end_matches([' ', '\t']).len());
    }
    if foreign_value(cx, from, stop) || nameless(cx, keyword, &words) {
        return None;
    }
    let incomplete = incomplete(cx, keyword, from, stop, words.last().copied());
    let Some(word) = words.iter().copied().find(|w| w.end as usize > misfit.at).filter(|_| incomplete.is_none()) else {
        let expected = incomplete.unwrap_or_else(|| expected(&misfit.tried));
        let what = if expected.is_empty() { lacking(keyword).to_owned() } else { expected };
        missing(cx, keyword, whole, &what);
        return None;
    };
    if keyword == Keyword::From
        && let Some(list) = words.iter().find(|w| w.end <= word.start && cx.slice(**w).starts_with('['))
    {
        let rest = cx.span(list.start as usize, stop);
        let end = cx.slice(rest).find(']').map_or(rest.end, |n| rest.start + n as u32 + 1);
        let place = Span { end, ..rest };
        let new = format!("${{{{ {} }}}}", cx.slice(place));
        cx.push(
            Diagnostic::at(&codes::UNKNOWN_WORD, place, "a list stands in braces here")
                .help(format!("write `{new}`"))
                .replace(format!("write `{new}`"), true, place, new),
        );
        return None;
    }
    let written = cx.slice(word);
    let upper = written.to_ascii_uppercase();
    if keyword == Keyword::Healthcheck && matches!(upper.as_str(), "CMD" | "NONE") {
        let diagnostic = Diagnostic::at(&codes::DOCKERFILE, word, format!("a machine's health is no `{upper}`"));
        cx.push(if upper == "CMD" {
            diagnostic.help("write `HEALTHCHECK RUN command`").replace("write `RUN`", true, word, "RUN")
        } else {
            diagnostic.help("leave the line out: a machine is checked only if a HEALTHCHECK says how")
        });
        return None;
    }
    let shown: String = written.chars().take(40).collect();
    let mut diagnostic =
        Diagnostic::at(&codes::UNEXPECTED_ARGUMENT, word, format!("{keyword} can't go on with `{shown}`"));
    let expected = expected(&misfit.tried);
    if !expected.is_empty() && !is_type(written) {
        diagnostic = diagnostic.primary(word, format!("expected {expected}"));
    }
    let before = words.iter().copied().take_while(|w| w.end <= word.start).last();
    if matches!(keyword, Keyword::Arg | Keyword::Key)
        && let Some(name) = before
        && is_type(written)
    {
        diagnostic = diagnostic.help(format!("a `:` stands before the type: `{}: {written}`", cx.slice(name))).replace(
            "put a `:` there",
            true,
            name.after(),
            ":",
        );
    } else if one_value(keyword)
        && let Some(first) = words.first().copied()
        && first.end <= word.start
        && !cx.slice(first).contains(['"', '\'', '\n'])
    {
        let value = cx.span(first.start as usize, stop);
        let new = expr::quote(cx.slice(value), cx.escape);
        diagnostic = diagnostic.help(format!("put a value with blanks in quotes: `{keyword} {new}`")).replace(
            "put it in quotes",
            false,
            value,
            new,
        );
    } else {
        diagnostic = diagnostic.help(usage(keyword));
    }
    cx.push(diagnostic);
    None
}

/// `{{ flag "x" }}` among the words: a Go template's value, of Packer or vmwscript.
fn foreign_value(cx: &mut Cx<'_>, from: usize, stop: usize) -> bool {
    let text = cx.work_at(from, stop);
    let Some(at) = text.find("{{").filter(|at| !text.get(..*at).is_some_and(|t| t.ends_with('$'))) else {
        return false;
    };
    let end = text.get(at..).and_then(|t| t.find("}}")).map_or(text.len(), |n| at + n + 2);
    words::go_template(cx, cx.span(from + at, from + end));
    true
}

/// `KEY FROM RUN x`, `FOR 1..3`: a name is left out, and the keyword behind it would be taken for one.
fn nameless(cx: &mut Cx<'_>, keyword: Keyword, words: &[Span]) -> bool {
    let is = |at: usize, names: &[&str]| {
        words.get(at).is_some_and(|w| names.iter().any(|n| cx.slice(*w).eq_ignore_ascii_case(n)))
    };
    let found = match keyword {
        Keyword::Key if is(0, &["FROM"]) && is(1, &["RUN", "FILE"]) => {
            let source = words.get(1).map_or("RUN", |w| cx.slice(*w)).to_ascii_uppercase();
            words.first().map(|w| (*w, "KEY lacks its name", format!("KEY name FROM {source} …"), "name "))
        }
        Keyword::From => {
            let over = (1..words.len()).find(|at| is(at - 1, &["FOR"])).and_then(|at| words.get(at).copied());
            let counts = |w: &Span| cx.slice(*w).contains("..") || cx.slice(*w).starts_with(['$', '[']);
            let over = over.filter(counts);
            over.map(|w| (w, "FOR lacks its variable", format!("FOR n IN {}", cx.slice(w)), "n IN "))
        }
        _ => None,
    };
    let Some((place, message, example, new)) = found else { return false };
    cx.push(
        Diagnostic::at(&codes::MISSING_ARGUMENT, place, message)
            .primary(place, "it stands before this")
            .help(format!("write `{example}`"))
            .replace("put a name there", false, Span { end: place.start, ..place }, new),
    );
    true
}

/// Says what an instruction lacks at its end.
pub(super) fn missing(cx: &mut Cx<'_>, keyword: Keyword, whole: Span, what: &str) {
    cx.push(
        Diagnostic::at(&codes::MISSING_ARGUMENT, whole, format!("{keyword} is not complete"))
            .primary(whole.after(), format!("expected {what}"))
            .help(usage(keyword)),
    );
}

/// What is expected after the last word, if the line is right as far as it goes: then with one more word it either
/// fits, or is wrong at that word.
fn incomplete(cx: &Cx<'_>, keyword: Keyword, from: usize, stop: usize, last: Option<Span>) -> Option<String> {
    let line = cx.work_at(from, stop);
    let tried = match super::cx::try_rule(super::forms::rule(keyword), &format!("{line} _")) {
        Ok(()) => Vec::new(),
        Err(misfit) if misfit.at > line.len() => misfit.tried,
        Err(_) => return None,
    };
    let known = expected(&tried);
    let last = last.map(|l| cx.slice(l).to_ascii_uppercase()).unwrap_or_default();
    Some(match (keyword, last.as_str()) {
        (Keyword::Key, _) if known == "`FROM`" => "`FROM …` or `= value`".to_owned(),
        _ if !known.is_empty() => known,
        (Keyword::From, "AS" | "FOR") => "a name".to_owned(),
        (Keyword::From, "IN") => "`a..b`, `${{ list }}` or `FILE path`".to_owned(),
        (_, "FILE") => "a path".to_owned(),
        (_, "GENERATE") => "a length".to_owned(),
        (_, "CORES") => "a count".to_owned(),
        (_, "GATEWAY" | "DNS") => "an address".to_owned(),
        (_, "PASSWORD") => "a password".to_owned(),
        (Keyword::Copy | Keyword::Fetch, _) if !last.is_empty() => "where to put it".to_owned(),
        _ => lacking(keyword).to_owned(),
    })
}

fn usage(keyword: Keyword) -> String {
    format!("write {}", keyword.info().forms.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", or "))
}

fn one_value(keyword: Keyword) -> bool {
    matches!(super::forms::rule(keyword), Rule::l_one | Rule::l_optional)
}

fn is_type(word: &str) -> bool {
    matches!(word, "string" | "int" | "bool" | "ip" | "cidr" | "duration" | "size" | "json" | "secret")
        || word.starts_with("list<")
}

fn lacking(keyword: Keyword) -> &'static str {
    match super::forms::rule(keyword) {
        Rule::l_pairs => "key=value",
        Rule::l_run | Rule::l_hook => "a command",
        Rule::l_prose => "a text",
        Rule::l_arg | Rule::l_key => "a name",
        _ => "an argument",
    }
}

/// The words of a line, flags left out.
fn words_of(cx: &mut Cx<'_>, from: usize, stop: usize) -> Vec<Span> {
    let Ok(node) = cx.read(Rule::l_words, from, stop) else { return Vec::new() };
    node.into_inner().filter(|n| n.as_rule() == Rule::word).map(|n| cx.at(&n)).collect()
}

/// What would have fitted, in words.
fn expected(tried: &[Rule]) -> String {
    let mut out: Vec<&str> = Vec::new();
    for rule in tried {
        let name = match rule {
            Rule::kw_as | Rule::as_name => "`AS name`",
            Rule::kw_for | Rule::for_in => "`FOR v IN …`",
            Rule::kw_in => "`IN`",
            Rule::kw_file => "`FILE path`",
            Rule::kw_generate => "`GENERATE n`",
            Rule::kw_cores => "`CORES n`",
            Rule::kw_gateway | Rule::gateway => "`GATEWAY ip`",
            Rule::kw_dns | Rule::dns => "`DNS ip…`",
            Rule::kw_search | Rule::search => "`SEARCH domain…`",
            Rule::kw_device | Rule::device => "`DEVICE name`",
            Rule::kw_password => "`PASSWORD value`",
            Rule::kw_from => "`FROM`",
            Rule::kw_run => "`RUN command`",
            Rule::kw_delete => "`DELETE`",
            Rule::kw_tools => "`TOOLS`",
            Rule::kw_ip => "`IP`",
            Rule::kw_login => "`LOGIN`",
            Rule::kw_off => "`OFF`",
            Rule::kw_fetch => "`FETCH path… dest`",
            Rule::kw_revert => "`REVERT name`",
            Rule::range | Rule::range_end => "`a..b`",
            Rule::word | Rule::copy_doc => "a word",
            Rule::pair | Rule::pair_key => "`key=value`",
            Rule::decl | Rule::decl_name => "a name",
            Rule::decl_type => "a type",
            Rule::value_expr => "`= value`",
            Rule::EOI => "the end of the line",
            _ => continue,
        };
        if !out.contains(&name) {
            out.push(name);
        }
    }
    // The end is where nothing else was expected.
    if out.len() > 1 {
        out.retain(|n| *n != "the end of the line");
    }
    match out.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// What of a line that doesn't fit can be kept, so that names it declares are not reported as unknown elsewhere.
pub(super) fn salvage(cx: &mut Cx<'_>, keyword: Keyword, from: usize, stop: usize) -> Option<Body> {
    let node = cx.read(Rule::l_words, from, stop).ok()?;
    let words: Vec<Node<'_>> = node.into_inner().filter(|n| n.as_rule() == Rule::word).collect();
    let first = words.first()?.clone();
    // What is wrong with the words themselves is either reported already or follows from what is.
    let before = cx.problems.len();
    let bad = |span: Span| Expr { span: span.after(), kind: ExprKind::Bad };
    let body = match keyword {
        Keyword::Arg | Keyword::Key | Keyword::Secret => {
            let span = cx.at(&first);
            let name: String = cx.slice(span).chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let span = Span { end: span.start + name.len() as u32, ..span };
            if name.is_empty() {
                return None;
            }
            let name = Spanned::new(name, span);
            match keyword {
                Keyword::Arg => Some(Body::Arg { name, ty: None, default: Some(bad(span)) }),
                Keyword::Key => Some(Body::Key { name, ty: None, from: KeyFrom::Value(bad(span)) }),
                _ => Some(Body::Secret { name, generate: None }),
            }
        }
        Keyword::From => {
            let source = words::text(cx, first, Mode::Word);
            let is_as = |n: &Node<'_>| words::bare_word(n).is_some_and(|w| w.eq_ignore_ascii_case("AS"));
            let alias = match words.get(1) {
                Some(word) if is_as(word) => words.get(2).map(|n| words::name(cx, n)),
                _ => None,
            };
            Some(Body::From { source, alias, replicas: None })
        }
        _ => None,
    };
    cx.problems.truncate(before);
    body
}

/// Comments that are taken as arguments where any number of these may stand.
pub(super) fn inline_comments(cx: &mut Cx<'_>, body: &Body, stop: usize) {
    let comment = {
        let starts = |t: &&Text| cx.slice(t.span).starts_with('#');
        match body {
            Body::Tag { words } | Body::Disk { words } | Body::Nic { words } | Body::Cdrom { words } => {
                words.iter().skip(1).find(starts)
            }
            Body::Fetch { paths, dest } => paths.iter().skip(1).chain([dest]).find(starts),
            Body::Copy { sources, dest } => {
                let paths = sources.iter().skip(1).filter_map(|s| match s {
                    CopySource::Path(text) => Some(text),
                    CopySource::Heredoc(_) => None,
                });
                paths.chain([dest]).find(starts)
            }
            Body::Address { dns, search, .. } => dns.iter().chain(search).find(starts),
            _ => None,
        }
        .map(|t| t.span)
    };
    if let Some(span) = comment {
        let span = cx.span(span.start as usize, stop);
        cx.push(
            Diagnostic::at(&codes::INLINE_COMMENT, span, "this looks like a comment, but is read as arguments")
                .severity(Severity::Warning)
                .help("put it on the line above; if it is an argument, put it in quotes"),
        );
    }
}
