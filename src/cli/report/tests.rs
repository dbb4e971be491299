use std::path::Path;

use super::{Checked, concise, github, gitlab, json, sarif};
use crate::diagnostic::Problems;
use crate::lint::{Config, lint, settle};
use crate::source::Sources;

/// A file with an error's, a warning's and an advice's worth of findings, a mend, and two places.
fn checked() -> Vec<Checked> {
    let text = "# Größe: 100 %\nfrom Debian AS web\nRUN yum install -y kernel\nRUN modprobe überlay, x\n\
                RUN yum install nginx\nLOGIN root PASSWORD ${{ oops }}\nRUN yum install nginx\n";
    let oops = text.find("oops").expect("it is there");
    let mut sources = Sources::new();
    let id = sources.add("images/web #1/VMWfile", Some(Path::new("images/web #1/VMWfile")), text);
    let mut problems = Problems::new();
    let file = crate::syntax::parse(&sources, id, &mut problems);
    problems.push(crate::diagnostic::Diagnostic::at(
        &crate::sema::codes_values::UNKNOWN_NAME,
        crate::source::Span::new(id, oops, oops + 4),
        "there is no `oops`",
    ));
    let files = [(id, &file)];
    problems.extend(lint(&files, None, &sources, &Config::default()));
    let list = settle(problems, &files, &sources, &Config::default(), false).sorted();
    vec![Checked { list, sources }]
}

#[test]
fn formats() {
    let checked = checked();
    insta::assert_snapshot!("concise", concise::write(&checked));
    insta::assert_snapshot!("github", github::write(&checked));
    insta::assert_snapshot!("gitlab", gitlab::write(&checked));
    insta::assert_snapshot!("json", json::write(&checked).replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    insta::assert_snapshot!("sarif", sarif::write(&checked).replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn fingerprints_stay_when_lines_move_and_are_apart() {
    let prints = |text: &str| -> Vec<String> {
        let mut sources = Sources::new();
        let id = sources.add("VMWfile", Some(Path::new("VMWfile")), text);
        let mut problems = Problems::new();
        let file = crate::syntax::parse(&sources, id, &mut problems);
        problems.extend(lint(&[(id, &file)], None, &sources, &Config::default()));
        let checked = [Checked { list: problems.sorted(), sources }];
        let value: serde_json::Value = serde_json::from_str(&gitlab::write(&checked)).expect("JSON");
        value.as_array().expect("a list").iter().map(|f| f["fingerprint"].to_string()).collect()
    };
    let one = prints("FROM Debian AS web\nRUN reboot\nRUN reboot\n");
    assert_eq!(one.len(), 2);
    assert_ne!(one[0], one[1]);
    assert_eq!(one, prints("# More\n\nFROM Debian AS web\nRUN true\nRUN reboot\nRUN reboot\n"));
}
