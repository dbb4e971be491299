//! The registry of diagnostics, and the page made from it.

use std::{collections::BTreeSet, fmt::Write as _};

use vmwbuild::{
    cli::registry,
    diagnostic::{Code, Severity},
    sema::Purpose,
};

use crate::checking::check;

#[test]
fn numbers_and_names_are_apart() {
    let all = registry();
    assert!(all.len() > 150, "only {} codes", all.len());
    let numbers: BTreeSet<u16> = all.iter().map(|c| c.number).collect();
    let names: BTreeSet<&str> = all.iter().map(|c| c.name).collect();
    let twice = |same: &dyn Fn(&Code, &Code) -> bool| -> Vec<String> {
        let pairs = all.iter().enumerate().flat_map(|(i, a)| all[..i].iter().map(move |b| (a, b)));
        pairs.filter(|(a, b)| same(a, b)).map(|(a, b)| format!("{b} {} and {a} {}", b.name, a.name)).collect()
    };
    assert_eq!(numbers.len(), all.len(), "{:#?}", twice(&|a, b| a.number == b.number));
    assert_eq!(names.len(), all.len(), "{:#?}", twice(&|a, b| a.name == b.name));
    for code in all {
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(code.name.chars().all(kebab), "{code} {} is not in kebab case", code.name);
        assert!(code.about.ends_with(['.', '!', '?', ')']), "{code}: the explanation is no sentence");
        assert_eq!(code.wrong.is_empty(), code.right.is_empty(), "{code} has one example of two");
    }
}

/// As `lint` sees it; what only a build lacks, as `build` does. The examples of lints are tried where lints are run.
#[test]
fn every_wrong_example_raises_its_code_alone_and_every_right_one_nothing() {
    let (mut tried, mut problems) = (0, String::new());
    let is_lint = |code: &&Code| vmwbuild::lint::codes::ALL.contains(code);
    for code in registry().into_iter().filter(|c| !c.wrong.is_empty() && !is_lint(c)) {
        tried += 1;
        let lint = check(code.wrong, Purpose::Lint);
        let only_build = lint.numbers().is_empty();
        let purpose = if only_build { Purpose::Build } else { Purpose::Lint };
        let wrong = if only_build { check(code.wrong, Purpose::Build) } else { lint };
        if wrong.numbers() != [code.number] {
            let _ = writeln!(problems, "{code} {}: its wrong example raises\n{}", code.name, wrong.shown);
        }
        let right = check(code.right, purpose);
        if !right.numbers().is_empty() {
            let _ = writeln!(problems, "{code} {}: its right example raises\n{}", code.name, right.shown);
        }
    }
    assert!(tried > 85, "only {tried} examples");
    assert!(problems.is_empty(), "{problems}");
}

/// The hundreds, and what they are about.
const PARTS: &[(u16, &str)] = &[
    (0, "The text of a VMWfile"),
    (100, "Names, types and values"),
    (200, "Stages and their order"),
    (300, "Values in shell text"),
    (400, "Security"),
    (500, "Style"),
    (600, "What this version can't do, and what a build lacks"),
    (700, "Connection and login"),
    (800, "Guest operations"),
    (900, "vSphere operations"),
];

/// `docs/diagnostics.md`.
pub fn page() -> String {
    let all = registry();
    let mut out = String::from(
        "# Diagnostics\n\n\
         Every message of `vmwbuild` has a code. `vmwbuild explain CODE` (the number or the name) prints what stands \
         here.\nErrors stop a build; warnings and advice don't. Codes never change their meaning.\n\n\
         <!-- This page is made from the program's own table: VMWBUILD_UPDATE=1 cargo test --test docs -->\n",
    );
    for (index, (first, title)) in PARTS.iter().enumerate() {
        let next = PARTS.get(index + 1).map_or(u16::MAX, |(n, _)| *n);
        let part: Vec<_> = all.iter().filter(|c| (*first..next).contains(&c.number)).collect();
        if part.is_empty() {
            continue;
        }
        let _ = write!(out, "\n## {title}\n\n| code | name | |\n|---|---|---|\n");
        for code in &part {
            let _ = writeln!(out, "| [{code}](#{}) | {} | {} |", anchor(code), code.name, severity(code));
        }
        for code in part {
            out.push('\n');
            one(code, &mut out);
        }
    }
    out
}

fn one(code: &Code, out: &mut String) {
    let _ = write!(out, "### {code} {}\n\n{}: {}\n", code.name, severity(code), code.about);
    if !code.wrong.is_empty() {
        let lint = vmwbuild::lint::codes::ALL.contains(&code);
        let _ = write!(out, "\nWrong:\n\n{}", fenced(if lint { "vmwfile,lint" } else { "vmwfile,wrong" }, code.wrong));
        let _ = write!(out, "\nRight:\n\n{}", fenced("vmwfile", code.right));
    }
}

/// How GitHub names a heading.
fn anchor(code: &Code) -> String {
    format!("{code}-{}", code.name).to_lowercase()
}

fn severity(code: &Code) -> &'static str {
    match code.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "advice",
    }
}

/// A fenced block, whatever stands in it.
fn fenced(info: &str, text: &str) -> String {
    let fence = if text.contains("```") { "~~~~" } else { "```" };
    format!("{fence}{info}\n{text}{}{fence}\n", if text.ends_with('\n') { "" } else { "\n" })
}
