//! Heredocs, and the texts by themselves.

use super::parse;
use crate::diagnostic::Problems;
use crate::source::Sources;
use crate::syntax::ast::{Body, Command, ExprKind, Instruction, Item, Piece, Text};
use crate::syntax::{parse_expr, parse_words};

fn instructions(text: &str) -> Vec<Instruction> {
    let (_, file, problems) = parse(text);
    assert!(problems.is_empty(), "{problems:?}\n{text}");
    file.items
        .into_iter()
        .filter_map(|i| match i {
            Item::Instruction(it) => Some(it.as_ref().clone()),
            _ => None,
        })
        .collect()
}

/// Literals as they are, holes as `<>`.
fn shown(text: &Text) -> String {
    let piece = |p: &Piece| match p {
        Piece::Literal { text, .. } => text.clone(),
        Piece::Escaped { .. } => "${{".to_owned(),
        Piece::Hole { .. } => "<>".to_owned(),
    };
    text.pieces.iter().map(piece).collect()
}

fn bodies(text: &str) -> Vec<String> {
    instructions(text).iter().flat_map(|i| &i.heredocs).map(|d| shown(&d.body)).collect()
}

#[test]
fn in_order_after_the_whole_line() {
    let text = "RUN cat <<A <<-'B' \\\n# c\n <<\"C\"\na\nA\n\tb ${{ x }}\n\tB\nc\nC\nRUN true\n";
    assert_eq!(bodies(text), ["a\n", "b ${{ x }}\n", "c\n"]);
    assert_eq!(instructions(text).len(), 2);
    let eight: String = ('A'..='H').map(|c| format!(" <<{c}")).collect();
    let ends: String = ('A'..='H').map(|c| format!("{c}{c}\n{c}\n")).collect();
    assert_eq!(bodies(&format!("RUN cat{eight}\n{ends}")).len(), 8);
    assert_eq!(bodies("COPY <<A <<A /x/\n1\nA\n2\nA"), ["1\n", "2\n"]);
}

#[test]
fn no_heredocs() {
    for text in [
        "RUN echo '<<A' \"<<B\" \"$(a \"b <<C\")\" <<<D $((1<<E)) \\<<F # <<G",
        "RUN (( x = 1 <<A ))",
        "RUN echo ${{ x | default(\"<<A\") }} $'<<\\'B'",
        "NOTE use <<A",
        "ENV A=\"<<A\"",
        "RUN [\"cat\", \"<<A\"]",
    ] {
        assert_eq!(bodies(&format!("{text}\n")), [""; 0], "{text}");
    }
}

#[test]
fn shared_indentation_is_taken_off_and_no_other() {
    assert_eq!(bodies("RUN <<-E\n\t  a\n\n\t    b ${{ x }}\n\t E\n"), ["a\n\n  b <>\n"]);
    assert_eq!(bodies("RUN <<-E\n  a\n\tb\nE\n"), ["  a\n\tb\n"]);
    assert_eq!(bodies("RUN <<-E\n   \n  a\nE\n"), [" \na\n"]);
    assert_eq!(bodies("RUN <<-E\r\n  a\r\n  b\r\n E\r\n"), ["a\nb\n"]);
    assert_eq!(bodies("RUN <<E\nE\n"), [""]);
}

#[test]
fn a_quoted_heredoc_in_a_script_holds_no_values() {
    let text =
        "RUN <<E\ncat <<'X' <<Y # it's\n${{ not an expression\n$${{\nX\n${{ a }}\nY\necho '<<\"Z\"' ${{ b }}\nE\n";
    assert_eq!(bodies(text), ["cat <<'X' <<Y # it's\n${{ not an expression\n$${{\nX\n<>\nY\necho '<<\"Z\"' <>\n"]);
    assert_eq!(bodies("RUN <<-E\n\tcat <<-'X'\n\t\t${{ x\n\tX\n\tE\n"), ["cat <<-'X'\n\t${{ x\nX\n"]);
}

#[test]
fn alone_it_is_a_script() {
    let kind = |text: &str| match &instructions(text)[0].body {
        Body::Run { command: Command::Script } => "script",
        Body::Run { command: Command::Shell(_) } => "shell",
        other => panic!("{other:?}"),
    };
    assert_eq!(kind("RUN <<E\nE\n"), "script");
    assert_eq!(kind("RUN --timeout=1m \\\n  << 'E'  \nE\n"), "script");
    assert_eq!(kind("RUN <<E cat\nE\n"), "shell");
    assert_eq!(kind("RUN cat <<E\nE\n"), "shell");
}

#[test]
fn continued_shell_text_keeps_its_lines() {
    let instructions = instructions("RUN a \\  \n  # note\n  b 'c \\\nd'\n");
    let Body::Run { command: Command::Shell(text) } = &instructions[0].body else { panic!() };
    assert_eq!(shown(text), "a \\\n  b 'c \\\nd'");
    assert_eq!(instructions[0].comments.len(), 1);
}

#[test]
fn texts_by_themselves() {
    let mut sources = Sources::new();
    let mut problems = Problems::new();
    let id = sources.add("--if", None, "workers > 1 and not done");
    let expr = parse_expr(&sources, id, &mut problems);
    assert!(matches!(expr.kind, ExprKind::Binary(..)) && problems.is_empty());
    let id = sources.add("words", None, " a 'b c' --d \"${{ e }}\" ");
    let words: Vec<_> = parse_words(&sources, id, &mut problems).iter().map(shown).collect();
    assert_eq!(words, ["a", "b c", "--d", "<>"]);
    assert!(problems.is_empty());
    for wrong in ["", "1 +", "a b", "\n"] {
        let id = sources.add("--if", None, wrong);
        let mut problems = Problems::new();
        parse_expr(&sources, id, &mut problems);
        assert_eq!(problems.len(), 1, "{wrong:?}");
    }
}
