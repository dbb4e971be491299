//! Level 2's expressions to [`Expr`]. The grammar gives operands and operators as a flat list, for `precedence`.

use std::collections::VecDeque;

use super::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use super::cx::{Cx, Node};
use super::grammar::Rule;
use super::precedence::{self, Op, Tok};
use super::{codes, literal};
use crate::diagnostic::Diagnostic;
use crate::source::{Span, Spanned};

/// The longest expression, in bytes.
const MAX_BYTES: usize = 4096;
/// The most operands, operators and elements in one.
const MAX_TERMS: usize = 256;

/// What one expression is built with.
struct Build {
    terms: usize,
}

/// Something was wrong and is reported; the expression is [`ExprKind::Bad`].
pub(super) struct Reported;

pub(super) type Built<T> = Result<T, Reported>;

/// `${{ … }}`
pub(super) fn hole(cx: &mut Cx<'_>, node: Node<'_>) -> Expr {
    hole_within(cx, node, &mut Build { terms: 0 })
}

fn hole_within(cx: &mut Cx<'_>, node: Node<'_>, build: &mut Build) -> Expr {
    let span = cx.at(&node);
    let open = Span { end: (span.start + 3).min(span.end), ..span };
    let bad = Expr { span, kind: ExprKind::Bad };
    let (mut expr, mut junk, mut closed) = (None, None, false);
    for part in node.into_inner() {
        match part.as_rule() {
            Rule::expr => expr = Some(part),
            Rule::junk => junk = Some(cx.at(&part)),
            Rule::hole_close => closed = true,
            _ => {}
        }
    }
    if !closed {
        cx.push(
            Diagnostic::at(&codes::UNCLOSED_INTERPOLATION, open, "`${{` is not closed on its line")
                .primary(open, "opened here")
                .help("end the expression with `}}`; for the characters themselves write `$${{`"),
        );
        return bad;
    }
    if cx.slice(span).contains('\n') {
        cx.push(
            Diagnostic::at(&codes::UNCLOSED_INTERPOLATION, open, "`${{ … }}` stands on one line")
                .primary(open, "opened here, closed on another line")
                .help("take the line break out of it"),
        );
        return bad;
    }
    let Some(expr) = expr else {
        let place = junk.map_or(span, |j| trim(cx, j));
        let message = match junk {
            Some(_) => format!("`{}` is no expression", cx.slice(place)),
            None => "`${{ }}` has no expression in it".to_owned(),
        };
        cx.push(Diagnostic::at(&codes::BAD_EXPRESSION, place, message).help(if cx.slice(place).starts_with("if ") {
            "a value by a condition is written `x if condition else y`"
        } else {
            "write a value: a name, `stage.key`, a number, or text in double quotes"
        }));
        return bad;
    };
    let errors = cx.problems.len();
    let built = whole(cx, expr, build);
    if let Some(junk) = junk
        && cx.problems.len() == errors
    {
        leftover(cx, junk);
        return bad;
    }
    built
}

/// A whole expression; limits are checked and errors become [`ExprKind::Bad`].
fn whole(cx: &mut Cx<'_>, node: Node<'_>, build: &mut Build) -> Expr {
    let span = cx.at(&node);
    if span.len() > MAX_BYTES {
        cx.push(
            Diagnostic::at(&codes::TOO_LARGE, Span { end: span.start, ..span }, "the expression is longer than 4 KiB")
                .help("split it: name parts of it by ARG"),
        );
        return Expr { span, kind: ExprKind::Bad };
    }
    expr(cx, node, build).unwrap_or(Expr { span, kind: ExprKind::Bad })
}

/// What follows `=` in ARG and KEY.
pub(super) fn value(cx: &mut Cx<'_>, node: Node<'_>) -> Option<Expr> {
    let all = cx.at(&node);
    let all = trim(cx, all);
    let (mut first, mut rest) = (None, all.after());
    for part in node.into_inner() {
        match part.as_rule() {
            Rule::expr => first = Some(part),
            Rule::rest => rest = trim(cx, cx.at(&part)),
            _ => {}
        }
    }
    if all.is_empty() {
        return None;
    }
    let errors = cx.problems.len();
    let inner = first.map(|node| whole(cx, node, &mut Build { terms: 0 }));
    let left = cx.slice(rest);
    if left.is_empty() && cx.problems.len() == errors {
        return inner;
    }
    if let Some(value) = &inner
        && left.starts_with('#')
        && cx.problems.len() == errors
    {
        let end = value.span;
        inline_comment(cx, rest);
        return Some(Expr { span: end, ..value.clone() });
    }
    let written = cx.slice(all);
    if looks_like_text(written) {
        cx.problems.truncate(errors);
        let new = quote(written, cx.escape);
        cx.push(
            Diagnostic::at(&codes::UNQUOTED_TEXT, all, "text needs quotes here").help(format!("write {new}")).replace(
                "put it in quotes",
                true,
                all,
                new,
            ),
        );
    } else if cx.problems.len() == errors {
        if inner.is_some() {
            leftover(cx, rest);
        } else {
            cx.push(Diagnostic::at(&codes::BAD_EXPRESSION, all, format!("`{written}` is no expression")).help(
                if written.starts_with("if ") {
                    "a value by a condition is written `x if condition else y`"
                } else {
                    "write a value: a name, a number, or text in double quotes"
                },
            ));
        }
    }
    Some(match inner {
        // What was mended in passing (`&&`, a needless `${{ }}`) can still be checked.
        Some(expr) if left.is_empty() => expr,
        _ => Expr { span: all, kind: ExprKind::Bad },
    })
}

/// An expression by itself.
pub(super) fn alone(cx: &mut Cx<'_>, node: Node<'_>) -> Expr {
    let span = cx.at(&node);
    value(cx, node).unwrap_or_else(|| {
        cx.push(Diagnostic::at(&codes::BAD_EXPRESSION, span, "there is no expression").help("write a value"));
        Expr { span, kind: ExprKind::Bad }
    })
}

/// A `#` after a complete line: reported as an error, since the line would be wrong with it.
pub(super) fn inline_comment(cx: &mut Cx<'_>, span: Span) {
    cx.push(
        Diagnostic::at(&codes::INLINE_COMMENT, span, "a comment is a line of its own")
            .primary(span, "read as arguments")
            .severity(crate::diagnostic::Severity::Error)
            .help("put it on the line above"),
    );
}

fn leftover(cx: &mut Cx<'_>, span: Span) {
    let span = trim(cx, span);
    let written = cx.slice(span);
    let shown: String = written.chars().take(40).collect();
    let mut diagnostic =
        Diagnostic::at(&codes::BAD_EXPRESSION, span, format!("the expression is complete before `{shown}`"));
    diagnostic = if written.starts_with('}') {
        diagnostic.help("end it with `}}`")
    } else if written.starts_with('{') {
        diagnostic.help("there are no braces in expressions; lists are `[\"a\", \"b\"]`")
    } else if written.starts_with('\\') || written.starts_with('`') {
        diagnostic.help("an expression has no escapes outside its strings")
    } else {
        diagnostic.help("an operator is missing, or quotes around a text")
    };
    cx.push(diagnostic);
}

/// Whether an expression that can't be read was probably meant as plain text.
fn looks_like_text(written: &str) -> bool {
    if written.contains(['"', '\'', '(', '[', '|', '&', '?', '\n']) || written.contains("${{") {
        return false;
    }
    let blanks = written.contains([' ', '\t']);
    if blanks {
        let odd = |w: &str| {
            w.chars().all(|c| "+-*/%=<>!:.,".contains(c)) || matches!(w, "and" | "or" | "not" | "if" | "else")
        };
        return !written.split([' ', '\t']).any(odd) && written.chars().any(char::is_alphabetic);
    }
    let ends_in_operator = written.ends_with(['+', '-', '*', '%', '=', '<', '>', '!']);
    let texty = written.contains(['/', ':', '@', '\\', '~', '-']) || written.matches('.').count() > 1;
    texty && !ends_in_operator
}

/// A text as a string of the language.
pub fn quote(text: &str, escape: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\n' => out.extend([escape, 'n']),
            '\t' => out.extend([escape, 't']),
            '"' => out.extend([escape, '"']),
            c if c == escape => out.extend([escape, escape]),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn trim(cx: &Cx<'_>, span: Span) -> Span {
    let text = cx.slice(span);
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len().max(start);
    Span { start: span.start + start as u32, end: span.start + end as u32, ..span }
}

fn expr(cx: &mut Cx<'_>, node: Node<'_>, build: &mut Build) -> Built<Expr> {
    let span = cx.at(&node);
    let mut toks: VecDeque<Tok> = VecDeque::new();
    for part in node.into_inner() {
        build.terms += 1;
        if build.terms > MAX_TERMS {
            cx.push(
                Diagnostic::at(
                    &codes::TOO_LARGE,
                    Span { end: span.start, ..span },
                    "the expression has more than 256 terms",
                )
                .help("split it: name parts of it by ARG, or use a list with `| join`"),
            );
            return Err(Reported);
        }
        let place = cx.at(&part);
        match part.as_rule() {
            Rule::prefix => toks.push_back(prefix(cx, &part, place)),
            Rule::op => toks.push_back(Tok::Op(operator(cx, &part, place)?, place)),
            Rule::lacking => {
                let (what, place) = match toks.back() {
                    Some(Tok::Op(_, span)) => (format!("`{}` lacks its right side", cx.slice(*span)), *span),
                    _ => ("the expression is not complete".to_owned(), place),
                };
                cx.push(Diagnostic::at(&codes::BAD_EXPRESSION, place, what).help("write a value after it"));
                return Err(Reported);
            }
            Rule::field | Rule::index | Rule::call => postfix(cx, part, &mut toks, build)?,
            _ => {
                let operand = primary(cx, part, build)?;
                toks.push_back(Tok::Operand(operand));
            }
        }
    }
    precedence::climb(cx, toks, span)
}

fn prefix(cx: &mut Cx<'_>, node: &Node<'_>, span: Span) -> Tok {
    match node.as_str() {
        "-" => Tok::Prefix(UnaryOp::Neg, span),
        "not" => Tok::Prefix(UnaryOp::Not, span),
        _ => {
            cx.push(
                Diagnostic::at(&codes::FOREIGN_OPERATOR, span, "negation is written `not`")
                    .help("write `not`")
                    .replace("write `not`", true, span, "not "),
            );
            Tok::Prefix(UnaryOp::Not, span)
        }
    }
}

fn operator(cx: &mut Cx<'_>, node: &Node<'_>, span: Span) -> Built<Op> {
    use BinaryOp::*;
    let mut foreign = |meant: &str| {
        let diagnostic =
            Diagnostic::at(&codes::FOREIGN_OPERATOR, span, format!("`{}` is written `{meant}`", node.as_str()));
        cx.push(diagnostic.help(format!("write `{meant}`")).replace(format!("write `{meant}`"), true, span, meant));
    };
    Ok(Op::Binary(match node.as_str() {
        "*" => Mul,
        "/" => Div,
        "%" => Rem,
        "+" => Add,
        "-" => Sub,
        "==" => Eq,
        "!=" => Ne,
        "<" => Lt,
        "<=" => Le,
        ">" => Gt,
        ">=" => Ge,
        "and" => And,
        "or" => Or,
        "if" => return Ok(Op::If),
        "else" => return Ok(Op::Else),
        "|" => return Ok(Op::Pipe),
        "&&" => {
            foreign("and");
            And
        }
        "||" => {
            foreign("or");
            Or
        }
        "=" => {
            foreign("==");
            Eq
        }
        other => {
            let (message, help) = match other {
                "?" | ":" => ("there is no `? :` here", "write `x if condition else y`"),
                "??" => ("there is no `??` here", "write `x | default(y)`"),
                _ => ("`not` stands before a value, not between two", "write `not (a == b)` or `a != b`"),
            };
            cx.push(Diagnostic::at(&codes::FOREIGN_OPERATOR, span, message).help(help));
            return Err(Reported);
        }
    }))
}

fn postfix(cx: &mut Cx<'_>, node: Node<'_>, toks: &mut VecDeque<Tok>, build: &mut Build) -> Built<()> {
    let place = cx.at(&node);
    let Some(last) = toks.pop_back() else { return Ok(()) };
    let base = match last {
        Tok::Operand(expr) => expr,
        Tok::Call { span, .. } => {
            cx.push(
                Diagnostic::at(&codes::BAD_EXPRESSION, place, "a filter's result needs parentheses first")
                    .label(span, "the filter")
                    .help("write `(value | filter(…)).field`"),
            );
            return Err(Reported);
        }
        // An operator never precedes a postfix: the grammar has an operand between them.
        other => {
            toks.push_back(other);
            return Ok(());
        }
    };
    let span = base.span.to(place);
    match node.as_rule() {
        Rule::field => {
            let field = node.into_inner().next();
            let at = field.as_ref().map_or(place.after(), |f| cx.at(f));
            let name = field.map(|f| f.as_str().to_owned()).unwrap_or_default();
            if name.is_empty() {
                cx.push(
                    Diagnostic::at(&codes::BAD_EXPRESSION, place, "a name is missing after `.`")
                        .help("write `stage.key`, or an attribute like `stage.ip`"),
                );
                return Err(Reported);
            }
            let kind = ExprKind::Field(Box::new(base), Spanned::new(name, at));
            toks.push_back(Tok::Operand(Expr { span, kind }));
        }
        Rule::index => {
            let (mut items, closed) = items(cx, node, build)?;
            if !closed {
                return Err(unclosed(cx, place, '[', ']'));
            }
            let Some(index) = items.pop() else {
                cx.push(
                    Diagnostic::at(&codes::BAD_EXPRESSION, place, "`[ ]` has no index in it")
                        .help("write `list[0]`, or `stage[value]` for the replica of that value"),
                );
                return Err(Reported);
            };
            let kind = ExprKind::Index(Box::new(base), Box::new(index));
            toks.push_back(Tok::Operand(Expr { span, kind }));
        }
        _ => {
            let (args, closed) = items(cx, node, build)?;
            if !closed {
                return Err(unclosed(cx, place, '(', ')'));
            }
            let ExprKind::Name(name) = base.kind else {
                cx.push(
                    Diagnostic::at(&codes::BAD_EXPRESSION, place, "only a filter has arguments")
                        .help("an operator is missing before the parenthesis"),
                );
                return Err(Reported);
            };
            toks.push_back(Tok::Call { name: Spanned::new(name, base.span), args, span });
        }
    }
    Ok(())
}

/// The expressions in brackets, and whether these are closed.
fn items(cx: &mut Cx<'_>, node: Node<'_>, build: &mut Build) -> Built<(Vec<Expr>, bool)> {
    let mut out = Vec::new();
    let mut closed = false;
    for part in node.into_inner() {
        match part.as_rule() {
            Rule::expr => out.push(expr(cx, part, build)?),
            Rule::close_paren | Rule::close_bracket => closed = true,
            _ => {}
        }
    }
    Ok((out, closed))
}

fn unclosed(cx: &mut Cx<'_>, span: Span, open: char, close: char) -> Reported {
    let place = Span { end: span.start + 1, ..span };
    cx.push(
        Diagnostic::at(&codes::BAD_EXPRESSION, place, format!("`{open}` is not closed"))
            .primary(place, "opened here")
            .label(span.after(), format!("`{close}` is expected"))
            .help(format!("write `{close}`, or see what stands before the place where it is expected")),
    );
    Reported
}

fn primary(cx: &mut Cx<'_>, node: Node<'_>, build: &mut Build) -> Built<Expr> {
    let span = cx.at(&node);
    let kind = match node.as_rule() {
        Rule::name => match node.as_str() {
            "true" => ExprKind::Bool(true),
            "false" => ExprKind::Bool(false),
            name => ExprKind::Name(name.to_owned()),
        },
        Rule::number => number(cx, node.as_str(), span)?,
        Rule::string => string(cx, node, span)?,
        Rule::string_sq => {
            let written = cx.slice(span);
            let inner = written.trim_start_matches('\'');
            let inner = inner.strip_suffix('\'').unwrap_or(inner);
            let new = quote(inner, cx.escape);
            cx.push(
                Diagnostic::at(&codes::FOREIGN_OPERATOR, span, "text in expressions stands in double quotes")
                    .help(format!("write {new}"))
                    .replace("use double quotes", true, span, new),
            );
            ExprKind::Str(inner.to_owned())
        }
        Rule::list => {
            let (items, closed) = items(cx, node, build)?;
            if !closed {
                return Err(unclosed(cx, span, '[', ']'));
            }
            ExprKind::List(items)
        }
        Rule::paren => {
            let (mut items, closed) = items(cx, node, build)?;
            if !closed {
                return Err(unclosed(cx, span, '(', ')'));
            }
            match items.pop() {
                Some(inner) => ExprKind::Paren(Box::new(inner)),
                None => {
                    cx.push(
                        Diagnostic::at(&codes::BAD_EXPRESSION, span, "`( )` has nothing in it")
                            .help("write a value in it"),
                    );
                    return Err(Reported);
                }
            }
        }
        Rule::nested_hole => {
            let Some(hole) = node.into_inner().next() else { return Err(Reported) };
            let inner = hole_within(cx, hole, build);
            if inner.kind != ExprKind::Bad {
                let new = cx.slice(inner.span);
                cx.push(
                    Diagnostic::at(&codes::NEEDLESS_INTERPOLATION, span, "this is an expression already")
                        .help(format!("write `{new}` without `${{{{ }}}}`"))
                        .replace(format!("write `{new}`"), true, span, new),
                );
            }
            return Ok(inner);
        }
        _ => {
            cx.push(
                Diagnostic::at(&codes::TOO_LARGE, span, "parentheses and brackets are nested more than 64 deep")
                    .help("split the expression: name parts of it by ARG"),
            );
            return Err(Reported);
        }
    };
    Ok(Expr { span, kind })
}

fn string(cx: &mut Cx<'_>, node: Node<'_>, span: Span) -> Built<ExprKind> {
    let mut out = String::new();
    let mut closed = false;
    for part in node.into_inner() {
        let place = cx.at(&part);
        let written = cx.slice(place);
        match part.as_rule() {
            Rule::str_close => closed = true,
            Rule::str_esc => match part.as_str().as_bytes().get(1) {
                Some(b'n') => out.push('\n'),
                Some(b't') => out.push('\t'),
                _ => out.extend(written.chars().skip(1)),
            },
            Rule::str_bad => {
                let escape = cx.escape;
                cx.push(
                    Diagnostic::at(&codes::UNKNOWN_ESCAPE, place, format!("`{written}` is no escape in \"…\""))
                        .help(format!("write `{escape}{escape}` for a plain `{escape}`")),
                );
                out.push_str(written);
            }
            _ => out.push_str(written),
        }
    }
    if !closed {
        let open = Span { end: span.start + 1, ..span };
        cx.push(
            Diagnostic::at(&codes::UNCLOSED_QUOTE, open, "the quote \" is never closed")
                .primary(open, "opened here")
                .help("close it on the same line"),
        );
        return Err(Reported);
    }
    Ok(ExprKind::Str(out))
}

fn number(cx: &mut Cx<'_>, text: &str, span: Span) -> Built<ExprKind> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        if let Ok(n) = text.parse() {
            return Ok(ExprKind::Int(n));
        }
        cx.push(
            Diagnostic::at(&codes::BAD_LITERAL, span, "the number does not fit into 64 bits")
                .help(format!("the largest int is {}", i64::MAX)),
        );
        return Err(Reported);
    }
    if let Some(duration) = literal::duration(text) {
        return Ok(ExprKind::Duration(duration));
    }
    if let Some(size) = literal::size(text) {
        return Ok(ExprKind::Size(size));
    }
    let diagnostic = Diagnostic::at(&codes::BAD_LITERAL, span, format!("`{text}` is no number, duration or size"));
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let units = ["d", "h", "m", "s", "ms", "KiB", "MiB", "GiB", "TiB", "KB", "MB", "GB", "TB"];
    let meant = match unit.to_ascii_lowercase().as_str() {
        "sec" | "secs" | "second" | "seconds" => Some("s"),
        "min" | "mins" | "minute" | "minutes" => Some("m"),
        "hour" | "hours" | "hr" | "hrs" => Some("h"),
        "day" | "days" => Some("d"),
        "k" => Some("KB"),
        "g" => Some("GB"),
        "t" => Some("TB"),
        lower => units.iter().copied().find(|u| u.eq_ignore_ascii_case(lower)),
    };
    let digits = text.get(..text.len() - unit.len()).unwrap_or_default();
    cx.push(match meant {
        Some(unit) if !digits.contains('.') => {
            let new = format!("{digits}{unit}");
            diagnostic.help(format!("write `{new}`")).replace(format!("write `{new}`"), false, span, new)
        }
        _ if text.matches('.').count() > 1 => {
            let new = quote(text, cx.escape);
            diagnostic.help(format!("an address or version is text: {new}")).replace(
                "put it in quotes",
                true,
                span,
                new,
            )
        }
        _ if text.contains('.') => diagnostic.help("there are no fractions: use a smaller unit, or text in quotes"),
        _ => diagnostic.help("durations are `90s`, `10m`, `1h30m`; sizes `512MiB`, `8GB`; names begin with a letter"),
    });
    Err(Reported)
}
