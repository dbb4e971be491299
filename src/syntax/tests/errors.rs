//! What is said of wrong files: source and rendered message together.

use super::cases::CASES;
use super::parse;
use crate::diagnostic::{Style, render_all};
use crate::syntax::codes;

#[test]
fn messages() {
    let mut seen = std::collections::BTreeSet::new();
    for (name, text) in CASES {
        let (sources, _, problems) = parse(text);
        seen.extend(problems.iter().map(|d| d.code.number));
        let rendered = render_all(&problems, &sources, Style::plain());
        insta::with_settings!({ description => *text, omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "../snapshots" }, {
            insta::assert_snapshot!(name.replace([' ', ',', '\''], "_"), rendered);
        });
    }
    let elsewhere = [&codes::TOO_LARGE, &codes::TOO_MANY, &codes::NOT_TEXT].map(|c| c.number);
    let missing: Vec<u16> =
        codes::ALL.iter().map(|c| c.number).filter(|n| !seen.contains(n) && !elsewhere.contains(n)).collect();
    assert!(missing.is_empty(), "codes without a case: {missing:?}");
}

#[test]
fn examples_of_codes() {
    for code in codes::ALL.iter().filter(|c| !c.wrong.is_empty()) {
        let (_, _, wrong) = parse(code.wrong);
        let found: Vec<u16> = wrong.iter().map(|d| d.code.number).collect();
        assert_eq!(found, [code.number], "{code} {}: the wrong example", code.name);
        let (_, _, right) = parse(code.right);
        assert!(right.is_empty(), "{code} {}: the right example: {right:?}", code.name);
    }
}
