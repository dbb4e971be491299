//! Properties of the parser over generated, broken and arbitrary texts.

use proptest::prelude::*;

use super::generate::{cases, program};
use super::parse;
use crate::diagnostic::{Diagnostic, Style, render_all};
use crate::source::Sources;
use crate::syntax::ast::{Body, Command, File, Item, KeyFrom, OnFail, Piece, Text, WaitFor};
use crate::syntax::{Keyword, difference};

/// Every place lies in the file, on character boundaries, and can be drawn.
fn check(sources: &Sources, file: &File, problems: &[Diagnostic]) {
    let text = &sources.get(file.source).text;
    for problem in problems {
        let labels = problem.primary.iter().chain(&problem.secondary).map(|l| l.span);
        let edits = problem.fix.iter().flat_map(|f| &f.edits).map(|e| e.span);
        for span in labels.chain(edits) {
            let range = span.start as usize..span.end as usize;
            assert!(text.get(range.clone()).is_some(), "{range:?} of {problem:?}");
        }
    }
    for item in &file.items {
        let Item::Instruction(it) = item else { continue };
        for doc in &it.heredocs {
            in_step(sources, &doc.body, file.escape);
        }
        let command = match &it.body {
            Body::Run { command } | Body::Healthcheck { command } | Body::OnRemove { command } => command,
            Body::Key { from: KeyFrom::Run(command), .. } => command,
            Body::Wait { what: WaitFor::Run(command) } => command,
            Body::OnFail { action: OnFail::Run(command) } => command,
            _ => continue,
        };
        if let Command::Shell(text) = command {
            in_step(sources, text, file.escape);
        }
    }
}

/// Literals of shell text and heredocs have their bytes where the source has them.
fn in_step(sources: &Sources, text: &Text, escape: char) {
    for piece in &text.pieces {
        let Piece::Literal { span, text, .. } = piece else { continue };
        let written = sources.slice(*span);
        if text == "\\\n" && written.ends_with('\n') {
            continue;
        }
        let shown = text.replace("\\\n", &format!("{escape}\n"));
        // The file's very last line may end in a lone CR.
        let written_lf = written.replace("\r\n", "\n");
        let last = span.end as usize == sources.get(span.source).text.len();
        assert!(
            written_lf == shown || (last && written_lf.strip_suffix('\r') == shown.strip_suffix('\n')),
            "{written:?} {shown:?}"
        );
        if last {
            continue;
        }
        // Where they differ in length, only the last line end does.
        assert!(
            written.len() == text.len() || (written.len() == text.len() + 1 && written.ends_with("\r\n")),
            "{written:?}"
        );
    }
}

fn clean(text: &str) -> (Sources, File) {
    let (sources, file, problems) = parse(text);
    assert!(problems.is_empty(), "{}\nin:\n{text}", render_all(&problems, &sources, Style::plain()));
    check(&sources, &file, &problems);
    (sources, file)
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn right_programs_are_read(text in program()) {
        let (_, file) = clean(&text);
        // Line ends and the escape character make no difference.
        let (_, crlf) = clean(&text.replace('\n', "\r\n"));
        if let Some(difference) = difference(&file, &crlf) {
            panic!("CRLF: {difference}\nin:\n{text}");
        }
    }

    #[test]
    fn the_other_escape_character_reads_alike(text in program()) {
        // In shell text and heredocs, and in strings that hold one, the backslash is more than the escape character.
        let plain = text.replace("\\\\", "b").replace("\\\"", "q").replace("$'\\''", "x");
        let (_, file) = clean(&plain);
        let (_, other) = clean(&format!("# escape=`\n{}", plain.replace('\\', "`")));
        prop_assert_eq!(file.items.iter().filter(|i| matches!(i, Item::Instruction(_))).count(),
            other.items.iter().filter(|i| matches!(i, Item::Instruction(_))).count());
    }

    #[test]
    fn broken_programs_are_answered(
        text in program(),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0..12_usize, "[\"'`$\\{}<|#\\\\\n \u{e9}A-F-]{0,4}"), 1..6),
    ) {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, len, new) in cuts {
            let at = at.index(chars.len() + 1);
            let end = (at + len).min(chars.len());
            chars.splice(at..end, new.chars());
        }
        let text: String = chars.into_iter().collect();
        let (sources, file, problems) = parse(&text);
        check(&sources, &file, &problems);
        let _ = render_all(&problems, &sources, Style::plain());
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        let (sources, file, problems) = parse(&text);
        check(&sources, &file, &problems);
    }

    #[test]
    fn any_odd_text_is_answered(
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "RUN ", "FROM ", "KEY a ", "= ", "ARG x ", "COPY ", "ENV ", "NOTE ", "${{", "}}", "$${{", "$", "{{", "\"", "'", "`",
                "\\", "\\\n", "\n", "\r\n", "\r", "<<EOF", "<<-'A'", "<<<", "<<", "EOF\n", "A\n", "# ", "--", "--if=", "[", "]", "(",
                ")", " ", "\t", "a", "1", "..", "|", "\u{feff}", "\0", "é", "\u{2028}", "{", "}", "&&", "not ", "if ", "else ", ",", ".",
                "# escape=`\n", ": ", "list<", ">",
            ]),
            0..40,
        ),
    ) {
        let text = parts.concat();
        let (sources, file, problems) = parse(&text);
        check(&sources, &file, &problems);
        let _ = render_all(&problems, &sources, Style::plain());
    }

    #[test]
    fn bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        match crate::syntax::decode("VMWfile", bytes.clone()) {
            Ok(text) => prop_assert_eq!(text.as_bytes(), &bytes[..]),
            Err(problem) => prop_assert!(problem.help.is_some()),
        }
    }
}

#[test]
fn every_keyword_is_generated() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..300 {
        let text = program().new_tree(&mut runner).expect("a program").current();
        let (_, file, _) = parse(&text);
        seen.extend(file.items.iter().filter_map(|i| match i {
            Item::Instruction(it) => Some(it.keyword.node),
            _ => None,
        }));
    }
    let missing: Vec<_> = Keyword::ALL.iter().filter(|k| !seen.contains(k)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
