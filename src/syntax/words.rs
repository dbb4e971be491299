//! Level 2's words to [`Text`]: quotes, escapes, interpolations, and what isn't one but looks like it.

use super::ast::{Expr, ExprKind, Piece, Quote, Text};
use super::codes;
use super::cx::{Cx, Node};
use super::expr;
use super::grammar::Rule;
use crate::diagnostic::Diagnostic;
use crate::source::{Span, Spanned};

/// What kind of text it is: decides what `$NAME` and `{{` mean in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mode {
    /// A word: both are mistakes.
    Word,
    /// An element of an exec array: Go templates are the program's own.
    Array,
    /// Prose: as a word, but without quotes.
    Prose,
    /// ENV's values and flags that hold guest commands: all of it is the guest's.
    Guest,
}

/// A word, a flag's or a pair's value, an array's element, prose.
pub(super) fn text(cx: &mut Cx<'_>, node: Node<'_>, mode: Mode) -> Text {
    let span = cx.at(&node);
    let mut pieces = Vec::new();
    match node.as_rule() {
        Rule::dq | Rule::sq => quoted(cx, node, mode, &mut pieces),
        _ => {
            for part in node.into_inner() {
                match part.as_rule() {
                    Rule::dq | Rule::sq => quoted(cx, part, mode, &mut pieces),
                    _ => piece(cx, part, mode, Quote::Bare, &mut pieces),
                }
            }
        }
    }
    Text { span, pieces }
}

fn quoted(cx: &mut Cx<'_>, node: Node<'_>, mode: Mode, pieces: &mut Vec<Piece>) {
    let span = cx.at(&node);
    let (quote, mark) = if node.as_rule() == Rule::dq { (Quote::Double, '"') } else { (Quote::Single, '\'') };
    let before = pieces.len();
    let mut closed = false;
    for part in node.into_inner() {
        match part.as_rule() {
            Rule::dq_close | Rule::sq_close => closed = true,
            _ => piece(cx, part, mode, quote, pieces),
        }
    }
    if pieces.len() == before {
        // The quotes are what says that there is a word.
        let inside = Span { start: span.start + 1, end: span.start + 1, ..span };
        pieces.push(Piece::Literal { span: inside, text: String::new(), quote });
    }
    if !closed {
        let open = Span { end: span.start + 1, ..span };
        let hint = match mode {
            Mode::Word if mark == '\'' => "close it, or write the word in \"…\" if the quote is a part of it",
            _ => "close it on the same line",
        };
        cx.push(
            Diagnostic::at(&codes::UNCLOSED_QUOTE, open, format!("the quote {mark} is never closed"))
                .primary(open, "opened here")
                .help(hint),
        );
    }
}

fn piece(cx: &mut Cx<'_>, node: Node<'_>, mode: Mode, quote: Quote, pieces: &mut Vec<Piece>) {
    let span = cx.at(&node);
    let written = cx.slice(span);
    match node.as_rule() {
        Rule::escaped => pieces.push(Piece::Escaped { span, quote }),
        Rule::hole => {
            let expr = expr::hole(cx, node);
            pieces.push(Piece::Hole { span, quote, expr });
        }
        Rule::var if mode == Mode::Guest => literal(pieces, span, written.to_owned(), quote),
        Rule::var => {
            shell_variable(cx, span, quote, mode);
            pieces.push(bad(span, quote));
        }
        Rule::go_template if matches!(mode, Mode::Array | Mode::Guest) => {
            literal(pieces, span, written.to_owned(), quote)
        }
        Rule::go_template => {
            go_template(cx, span);
            pieces.push(bad(span, quote));
        }
        Rule::dq_esc => {
            let text = match node.as_str().as_bytes().get(1) {
                Some(b'n') => "\n".to_owned(),
                Some(b't') => "\t".to_owned(),
                // The quote, or the escape character as this file writes it.
                _ => written.chars().skip(1).collect(),
            };
            push_apart(pieces, span, text, quote);
        }
        Rule::dq_bad => {
            let escape = cx.escape;
            let mut diagnostic = Diagnostic::at(
                &codes::UNKNOWN_ESCAPE,
                span,
                format!("`{written}` is no escape in \"…\""),
            )
            .help(format!(
                "write `{escape}{escape}` for a plain `{escape}`, or put the word in '…', where nothing is escaped"
            ));
            if let Some(rest) = written.strip_prefix(escape) {
                diagnostic = diagnostic.replace(
                    format!("double the `{escape}`"),
                    false,
                    span,
                    format!("{escape}{escape}{rest}"),
                );
            }
            cx.push(diagnostic);
            push_apart(pieces, span, written.to_owned(), quote);
        }
        _ => literal(pieces, span, written.to_owned(), quote),
    }
}

fn bad(span: Span, quote: Quote) -> Piece {
    Piece::Hole { span, quote, expr: Expr { span, kind: ExprKind::Bad } }
}

/// Adds literal text whose offsets run in step with the source: to the piece before, if it goes on there.
pub(super) fn literal(pieces: &mut Vec<Piece>, span: Span, text: String, quote: Quote) {
    if let Some(Piece::Literal { span: last, text: before, quote: same }) = pieces.last_mut()
        && *same == quote
        && last.end == span.start
        && last.len() == before.len()
        && span.len() == text.len()
    {
        last.end = span.end;
        before.push_str(&text);
        return;
    }
    push_apart(pieces, span, text, quote);
}

fn push_apart(pieces: &mut Vec<Piece>, span: Span, text: String, quote: Quote) {
    // Nearly every text is one piece: no room for more before there are more.
    if pieces.is_empty() {
        pieces.reserve_exact(1);
    }
    pieces.push(Piece::Literal { span, text, quote });
}

/// `$NAME`, `${NAME}` and `${NAME:-default}` where no shell reads them.
fn shell_variable(cx: &mut Cx<'_>, span: Span, quote: Quote, mode: Mode) {
    let written = cx.slice(span);
    let inner = written.trim_start_matches('$').trim_start_matches('{').trim_end_matches('}');
    let name_end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
    let (name, rest) = inner.split_at(name_end);
    let rewrite = match rest.strip_prefix(":-").or_else(|| rest.strip_prefix('-')) {
        _ if rest.is_empty() => Some(format!("${{{{ {name} }}}}")),
        Some(default) => Some(format!("${{{{ {name} | default({}) }}}}", expr::quote(default, cx.escape))),
        None => None,
    };
    let mut diagnostic = Diagnostic::at(
        &codes::SHELL_VARIABLE,
        span,
        format!("`{written}` is the guest shell's, and no shell reads this"),
    );
    let literally = match (mode, quote) {
        (Mode::Prose, _) => {
            format!("if the characters are meant, write `${{{{ {} }}}}`", expr::quote(written, cx.escape))
        }
        (Mode::Array, _) => "for the guest's own variable, write the command without the array".to_owned(),
        (_, Quote::Double) => "if the characters are meant, close the quote and write them in '…'".to_owned(),
        _ => "if the characters are meant, write them in '…'".to_owned(),
    };
    diagnostic = match rewrite {
        Some(new) => diagnostic.help(format!("write `{new}` for a value of this file; {literally}")).replace(
            format!("write `{new}`"),
            false,
            span,
            new,
        ),
        None => diagnostic
            .help(format!("write `${{{{ {name} }}}}` for a value of this file, with filters after `|`; {literally}")),
    };
    cx.push(diagnostic);
}

/// Packer's `{{ .Var }}`.
pub(super) fn go_template(cx: &mut Cx<'_>, span: Span) {
    let written = cx.slice(span);
    let inner = written.trim_start_matches('{').trim_end_matches('}').trim().trim_start_matches('.');
    let diagnostic = Diagnostic::at(&codes::GO_TEMPLATE, span, "values are put in by `${{ … }}`, not by `{{ … }}`");
    let plain = !inner.is_empty() && inner.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    cx.push(if plain {
        let new = format!("${{{{ {inner} }}}}");
        diagnostic.help(format!("write `{new}`")).replace(format!("write `{new}`"), false, span, new)
    } else {
        diagnostic
            .help("name the value by an ARG, and write `${{ name }}`; if the characters are meant, put them in '…'")
    });
}

/// The name that a word is; a wrong one is reported, and mended for what comes after.
pub(super) fn name(cx: &mut Cx<'_>, node: &Node<'_>) -> Spanned<String> {
    let span = cx.at(node);
    let written = cx.slice(span);
    let good =
        written.chars().enumerate().all(|(i, c)| c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit()));
    if good {
        return Spanned::new(written.to_owned(), span);
    }
    let bare = written.trim_matches(['"', '\'']);
    let mut mended: String = bare.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if mended.starts_with(|c: char| c.is_ascii_digit()) {
        mended.insert(0, '_');
    }
    let diagnostic = Diagnostic::at(&codes::BAD_NAME, span, format!("`{written}` can't be a name"));
    let diagnostic = if written.contains('$') {
        diagnostic.help("a name is known when the file is read: no value can stand in it")
    } else {
        diagnostic.help(format!("names are letters, digits and `_`, and begin with no digit: `{mended}`")).replace(
            format!("write `{mended}`"),
            false,
            span,
            mended.clone(),
        )
    };
    cx.push(diagnostic);
    Spanned::new(mended, span)
}

/// A word's text, if nothing in it is quoted or put in.
pub(super) fn bare_word(node: &Node<'_>) -> Option<String> {
    let mut out = String::new();
    for part in node.clone().into_inner() {
        match part.as_rule() {
            Rule::bare | Rule::bare_char => out.push_str(part.as_str()),
            _ => return None,
        }
    }
    Some(out)
}

/// Prose from its parts; blanks at its end are not a part of it.
pub(super) fn prose(cx: &mut Cx<'_>, parts: Vec<Node<'_>>, span: Span) -> Text {
    let mut pieces = Vec::new();
    for part in parts {
        piece(cx, part, Mode::Prose, Quote::Bare, &mut pieces);
    }
    if let Some(Piece::Literal { span: last, text, .. }) = pieces.last_mut()
        && last.end > span.end
        && last.start <= span.end
    {
        text.truncate((span.end - last.start) as usize);
        last.end = span.end;
    }
    Text { span, pieces }
}
