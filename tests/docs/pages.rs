//! Every page: its made parts are current, its VMWfiles are right, its links lead somewhere.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use vmwbuild::{sema::Purpose, syntax::Keyword};

use crate::{checking::check, codes, language};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md and `docs/*.md`.
pub fn pages() -> Vec<(PathBuf, String)> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|e| e.unwrap().path());
    let mut all: Vec<PathBuf> = docs.filter(|p| p.extension().is_some_and(|e| e == "md")).collect();
    all.push(root().join("README.md"));
    all.sort();
    assert!(all.len() > 5);
    all.into_iter().map(|p| (p.clone(), std::fs::read_to_string(p).unwrap())).collect()
}

/// Compares a page with what it should be, or writes it.
pub fn current(path: &Path, wanted: &str) {
    if std::env::var_os("VMWBUILD_UPDATE").is_some() {
        std::fs::write(path, wanted).unwrap();
        return;
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    if text != wanted {
        let differ = text.lines().zip(wanted.lines()).position(|(a, b)| a != b);
        let line = differ.unwrap_or_else(|| text.lines().count().min(wanted.lines().count()));
        panic!(
            "{}:{} is not current: VMWBUILD_UPDATE=1 cargo test --test docs\nthere: {:?}\nwanted: {:?}",
            path.display(),
            line + 1,
            text.lines().nth(line),
            wanted.lines().nth(line)
        );
    }
}

#[test]
fn the_page_of_diagnostics_is_current() {
    current(&root().join("docs/diagnostics.md"), &codes::page());
}

#[test]
fn the_made_parts_of_the_language_are_current() {
    let path = root().join("docs/language.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (mut wanted, mut rest, mut seen) = (String::new(), text.as_str(), Vec::new());
    while let Some((before, after)) = rest.split_once("<!-- made: ") {
        let (name, after) = after.split_once(" -->\n").unwrap();
        let (_, after) = after.split_once("<!-- end -->\n").unwrap_or_else(|| panic!("`{name}` has no end"));
        let part = language::part(name).unwrap_or_else(|| panic!("there is no part `{name}`"));
        let _ = write!(wanted, "{before}<!-- made: {name} -->\n\n{part}\n<!-- end -->\n");
        seen.push(name);
        rest = after;
    }
    wanted.push_str(rest);
    let missing: Vec<_> = language::parts().into_iter().filter(|p| !seen.contains(p)).collect();
    assert!(missing.is_empty(), "the page lacks {missing:?}");
    assert_eq!(seen.len(), language::parts().len(), "a part stands twice");
    current(&path, &wanted);
}

/// A fenced block: its line, what stands after the fence, and its text.
pub fn blocks(text: &str) -> Vec<(usize, String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String, String, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        match &mut open {
            Some((_, fence, _, body)) if trimmed != fence.as_str() => {
                body.push_str(line);
                body.push('\n');
            }
            Some(_) => {
                let (at, _, info, body) = open.take().unwrap();
                found.push((at, info, body));
            }
            None => {
                let fence: String = trimmed.chars().take_while(|c| matches!(c, '`' | '~')).collect();
                if fence.len() >= 3 {
                    let info = trimmed[fence.len()..].to_owned();
                    open = Some((number + 2, fence, info, String::new()));
                }
            }
        }
    }
    assert!(open.is_none(), "a fence is open at the end");
    found
}

/// ```` ```vmwfile ```` is a whole file, `vmwfile,fragment` lines of a stage; both are right. `vmwfile,wrong` has an
/// error or warning, `vmwfile,lint` a lint's finding (tried where lints are run).
#[test]
fn every_vmwfile_in_the_documentation_is_right() {
    let (mut tried, mut problems) = (0, String::new());
    for (path, text) in pages() {
        let page = path.file_name().unwrap().to_string_lossy().into_owned();
        for (line, info, body) in blocks(&text) {
            let (text, wrong) = match info.as_str() {
                "vmwfile" => (body, false),
                "vmwfile,fragment" => (format!("FROM debian-12 AS example\n{body}"), false),
                "vmwfile,wrong" => (body, true),
                "" => {
                    let first = body.split_whitespace().next().and_then(Keyword::parse);
                    assert!(first.is_none(), "{page}:{line}: a VMWfile that isn't marked as one");
                    continue;
                }
                _ => continue,
            };
            tried += 1;
            let (lint, build) = (check(&text, Purpose::Lint), check(&text, Purpose::Build));
            if wrong && lint.list.is_empty() && build.list.is_empty() {
                let _ = writeln!(problems, "{page}:{line}: nothing is wrong with\n{text}");
            }
            if !wrong && !lint.numbers().is_empty() {
                let _ = writeln!(problems, "{page}:{line}:\n{}", lint.shown);
            }
        }
    }
    assert!(tried > 100, "only {tried} VMWfiles");
    assert!(problems.is_empty(), "{problems}");
}

/// What every instruction's table entry shows.
#[test]
fn the_examples_of_the_table_are_right() {
    for keyword in Keyword::ALL {
        let example = keyword.info().example;
        let declared = "SECRET pw\nFROM debian-12 AS docker\n";
        let text = match keyword {
            Keyword::Secret | Keyword::Include | Keyword::Arg => format!("{example}\nFROM debian-12\n"),
            Keyword::From => format!("{declared}{example}\nOUTPUT VM web${{{{ n }}}}\n"),
            Keyword::Login => format!("SECRET root_password\nFROM debian-12\n{example}\n"),
            Keyword::Copy => format!("{declared}{example}\n"),
            Keyword::Note => format!("{declared}{example}\nRUN true\n"),
            Keyword::Serial => format!("ON 'web*' AS web\n{example}\nRUN true\n"),
            Keyword::On => format!("{example}\nRUN true\n"),
            _ => format!("{declared}{example}\n"),
        };
        let found = check(&text, Purpose::Lint);
        assert!(found.numbers().is_empty(), "{}", found.shown);
        assert!(example.starts_with(keyword.name()));
    }
}

/// GitHub's name for a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn anchors(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut out = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") || line.starts_with("~~~") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            out.push(anchor(line.trim_start_matches('#').trim()));
        }
    }
    out
}

#[test]
fn links_lead_somewhere() {
    let mut tried = 0;
    for (path, text) in pages() {
        for part in text.split("](").skip(1) {
            let Some((link, _)) = part.split_once(')') else { continue };
            if link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            tried += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", path.display());
            if !heading.is_empty() {
                let there = anchors(&std::fs::read_to_string(&target).unwrap());
                assert!(there.iter().any(|a| a == heading), "{}: there is no heading for {link}", path.display());
            }
        }
    }
    assert!(tried > 50, "only {tried} links");
}

/// The rows of a table below a heading: their cells.
fn rows<'t>(text: &'t str, heading: &str) -> Vec<(&'t str, &'t str)> {
    let (_, section) = text.split_once(&format!("## {heading}\n")).unwrap_or_else(|| panic!("no `{heading}`"));
    let section = section.split("\n## ").next().unwrap();
    let cells = section.lines().filter_map(|l| l.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    // The first is the head.
    cells.skip(1).collect()
}

/// The codes that a cell names, each with its name.
fn named(cell: &str) -> Vec<(&str, &str)> {
    let after = cell.match_indices("VMW").map(|(at, _)| &cell[at..]);
    after
        .map(|rest| rest.split_once(" `").and_then(|(code, name)| Some((code, name.split('`').next()?))).unwrap())
        .collect()
}

#[test]
fn the_comparison_of_lints_names_codes_that_exist_and_leaves_none_out() {
    let text = std::fs::read_to_string(root().join("docs/lints-compared.md")).unwrap();
    let registry = vmwbuild::cli::registry();
    let (buildkit, hadolint, own) = (
        rows(&text, "BuildKit's checks"),
        rows(&text, "hadolint's rules"),
        rows(&text, "What only a build of machines has"),
    );
    assert_eq!(buildkit.len(), 22);
    assert!(hadolint.len() > 60 && own.len() > 20, "{} {}", hadolint.len(), own.len());
    let mut seen = std::collections::BTreeSet::new();
    for (theirs, ours) in buildkit.iter().chain(&hadolint).chain(&own) {
        let codes = named(ours);
        assert!(!codes.is_empty() || ours.starts_with("nothing"), "{theirs} has no answer: {ours}");
        for (code, name) in codes {
            let known =
                registry.iter().find(|c| c.to_string() == code).unwrap_or_else(|| panic!("{theirs}: no {code}"));
            assert_eq!(known.name, name, "{theirs}: {code}");
            seen.insert(known.number);
        }
    }
    let mut theirs: Vec<&str> =
        buildkit.iter().chain(&hadolint).map(|(rule, _)| rule.split(' ').next().unwrap()).collect();
    let all = theirs.len();
    theirs.sort_unstable();
    theirs.dedup();
    assert_eq!(theirs.len(), all, "a rule stands twice");
    let missing: Vec<&str> =
        vmwbuild::lint::codes::ALL.iter().filter(|c| !seen.contains(&c.number)).map(|c| c.name).collect();
    assert!(missing.is_empty(), "the page lacks {missing:?}");
}

/// Each schema is told of and held against what is really written, and each flag that asks for JSON names its own.
#[test]
fn every_json_has_a_schema() {
    let library = std::fs::read_to_string(root().join("docs/library.md")).unwrap();
    let files = |folder: &str| std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let sources =
        files("tests").chain(files("tests/common")).filter(|path| path.extension().is_some_and(|e| e == "rs"));
    let tests: String = sources.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for path in files("docs/schemas") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(library.contains(&format!("(schemas/{name})")), "{name} is not in library.md");
        assert!(
            tests.contains(&format!("Schema::new(\"{name}\")")) || tests.contains(&format!("follows(\"{name}\"")),
            "{name}"
        );
    }
    let commands = std::fs::read_to_string(root().join("docs/commands.md")).unwrap();
    let flags: Vec<&str> = commands.split("      --json\n").skip(1).collect();
    assert!(flags.len() > 4);
    for flag in flags {
        let said = flag.trim_start().lines().next().unwrap();
        assert!(said.contains("docs/schemas/"), "--json: {said}");
    }
}
