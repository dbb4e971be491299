//! Canonical text, by example and by generated programs.

use crate::diagnostic::{Problems, Style, render_all};
use crate::source::Sources;
use crate::syntax::ast::File;
use crate::syntax::{difference, parse, same};

fn read(text: &str) -> (Sources, File) {
    let mut sources = Sources::new();
    let id = sources.add("VMWfile", None, text);
    let mut problems = Problems::new();
    let file = parse(&sources, id, &mut problems);
    let found = problems.sorted();
    assert!(found.is_empty(), "{}\nin:\n{text}", render_all(&found, &sources, Style::plain()));
    (sources, file)
}

/// The canonical text; checks that it says the same, and that it is its own canonical text.
fn formatted(text: &str) -> String {
    let (sources, file) = read(text);
    let out = super::format(&file, &sources);
    let (sources_again, again) = read(&out);
    if let Some(difference) = difference(&file, &again) {
        panic!("says something else:\n{text}\n---\n{out}\n---\n{difference}");
    }
    assert!(same(&file, &again));
    let twice = super::format(&again, &sources_again);
    assert_eq!(out, twice, "not stable, from:\n{text}");
    out
}

#[test]
fn canonical_text() {
    insta::assert_snapshot!(formatted(include_str!("untidy.vmwfile")));
}

#[test]
fn line_ends_stay() {
    assert_eq!(formatted("from a\r\nrun  <<E\r\nx\r\nE\r\n"), "FROM a\r\nRUN <<E\r\nx\r\nE\r\n");
    assert_eq!(formatted("\u{feff}from a\n\n\n"), "FROM a\n");
    assert_eq!(formatted(""), "");
    assert_eq!(formatted("\n\n"), "");
}

#[test]
fn the_other_escape_character() {
    let text = "# escape=`\nfrom  a --os=windows\nWORKDIR \"C:\\x`\"y\"\nrun dir `\n   c:\\\nenv A=1 `\n # c\n B=``2\n";
    assert_eq!(
        formatted(text),
        "# escape=`\nFROM --os=windows a\nWORKDIR \"C:\\x`\"y\"\nRUN dir `\n   c:\\\nENV A=1 `\n    # c\n    B=``2\n"
    );
}

#[test]
fn the_examples() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let mut read = 0;
    for entry in std::fs::read_dir(directory).expect("examples") {
        let path = entry.expect("an entry").path().join("VMWfile");
        if let Ok(text) = std::fs::read_to_string(&path) {
            formatted(&text);
            read += 1;
        }
    }
    assert!(read > 0);
}

proptest::proptest! {
    #![proptest_config(crate::syntax::tests::generate::cases(64))]

    #[test]
    fn generated_programs(text in crate::syntax::tests::generate::program()) {
        formatted(&text);
        formatted(&text.replace('\n', "\r\n"));
    }
}
