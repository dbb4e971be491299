//! The instruction table against the grammar, its own examples, and the editors' grammar.

use super::parse;
use crate::syntax::ast::Item;
use crate::syntax::cx::try_rule;
use crate::syntax::grammar::Rule;
use crate::syntax::table::{FlagValue, STEP_FLAGS};
use crate::syntax::{Keyword, codes};

#[test]
fn every_example_is_right() {
    for keyword in Keyword::ALL {
        let (_, file, problems) = parse(keyword.info().example);
        assert!(problems.is_empty(), "{keyword}: {problems:?}");
        let found: Vec<_> = file
            .items
            .iter()
            .map(|i| match i {
                Item::Instruction(it) => it.keyword.node,
                other => panic!("{keyword}: {other:?}"),
            })
            .collect();
        assert_eq!(found, [*keyword]);
    }
}

#[test]
fn keywords_are_found_in_any_case() {
    for keyword in Keyword::ALL {
        assert_eq!(Keyword::parse(keyword.name()), Some(*keyword));
        assert_eq!(Keyword::parse(&keyword.name().to_lowercase()), Some(*keyword));
        assert!(try_rule(Rule::upper_keyword, &format!("{keyword} ")).is_ok(), "{keyword} is missing in upper_keyword");
        assert!(keyword.info().forms.iter().all(|f| f.starts_with(keyword.name())), "{keyword}");
    }
    assert_eq!(Keyword::parse("RUNS"), None);
    assert!(try_rule(Rule::upper_keyword, "RUNS ").is_err());
}

#[test]
fn every_flag_is_read() {
    for keyword in Keyword::ALL {
        for flag in keyword.flags() {
            let value = match flag.value {
                FlagValue::None => String::new(),
                FlagValue::OneOf(words) => format!("={}", words[0]),
                FlagValue::Value(_) | FlagValue::Guest(_) => "=\"a b\"".to_owned(),
            };
            // The example has no flag between its keyword and the rest that this one could not stand before.
            let line = keyword.info().example.replacen(keyword.name(), &format!("{keyword} --{}{value}", flag.name), 1);
            let (_, file, problems) = parse(&line);
            assert!(problems.is_empty(), "{line}: {problems:?}");
            let Some(Item::Instruction(it)) = file.items.first() else { panic!("{line}") };
            assert!(it.flag(flag.name).is_some(), "{line}");
        }
        let own = keyword.info().flags.iter().map(|f| f.name);
        let both = keyword.is_step() && own.clone().any(|n| STEP_FLAGS.iter().any(|f| f.name == n));
        assert!(!both, "{keyword} has a flag that every step has");
    }
}

#[test]
fn codes_are_in_order_and_named() {
    let numbers: Vec<u16> = codes::ALL.iter().map(|c| c.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u16).collect::<Vec<_>>());
    for code in codes::ALL {
        assert!(code.about.ends_with('.') && code.about.len() > 60, "{}", code.name);
        assert!(code.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", code.name);
    }
    let mut names: Vec<_> = codes::ALL.iter().map(|c| c.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), numbers.len());
}

/// The alternatives that the editors' grammar must have.
fn alternatives(words: impl Iterator<Item = &'static str>) -> String {
    let mut words: Vec<_> = words.collect();
    // The longest first: in a regular expression the first that fits is taken.
    words.sort_by_key(|w| (std::cmp::Reverse(w.len()), *w));
    words.dedup();
    words.join("|")
}

/// With `VMWBUILD_UPDATE=1` in the environment the file is mended instead.
#[test]
fn the_textmate_grammar_knows_every_keyword() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/editors/vscode/syntaxes/vmwfile.tmLanguage.json");
    let text = std::fs::read_to_string(path).expect("the grammar");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let commands = ["RUN"];
    let prose = ["NOTE", "ANNOTATION"];
    let rest = Keyword::ALL.iter().map(|k| k.name()).filter(|n| !commands.contains(n) && !prose.contains(n));
    let words = Keyword::ALL.iter().flat_map(|k| k.info().words.iter().copied());
    let flags = Keyword::ALL.iter().flat_map(|k| k.flags().map(|f| f.name));
    let wanted = [
        ("/repository/instruction/begin", format!("^\\s*((?i:{}))\\b", alternatives(rest))),
        ("/repository/word/match", format!("(?<=\\s)(?:{})(?=\\s|$)", alternatives(words))),
        ("/repository/flag/match", format!("(?<=\\s)(--(?:{}))(?=[=\\s]|$)", alternatives(flags))),
    ];
    for (pointer, value) in wanted {
        let place = json.pointer_mut(pointer).expect(pointer);
        *place = value.into();
    }
    let new = serde_json::to_string_pretty(&json).expect("JSON") + "\n";
    if std::env::var_os("VMWBUILD_UPDATE").is_some() {
        std::fs::write(path, &new).expect("the grammar is written");
        return;
    }
    assert_eq!(text, new, "run this test with VMWBUILD_UPDATE=1");
}
