//! Holds the rooms of `src/` to the direction in which they may see each other.

#![allow(clippy::unwrap_used)] // a test may

use std::collections::BTreeMap;
use std::path::Path;

/// A room, and the rooms it may name. Everything else is refused.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("source", &[] as &[&str]),
        ("diagnostic", &["source"] as &[&str]),
        ("shell", &["source", "diagnostic"]),
        ("syntax", &["source", "diagnostic", "shell"]),
        ("format", &["source", "diagnostic", "syntax"]),
        ("import", &["source", "diagnostic", "syntax"]),
        ("sema", &["source", "diagnostic", "shell", "syntax"]),
        ("lint", &["source", "diagnostic", "shell", "syntax", "sema"]),
        ("lsp", &["source", "diagnostic", "shell", "syntax", "format", "sema", "lint"]),
        ("graph", &["source", "diagnostic", "syntax", "sema"]),
        ("cache", &["syntax", "sema"]),
        // Of the client it takes the types of what was read; `a_plan_asks_nobody` holds it to that.
        ("plan", &["source", "diagnostic", "syntax", "sema", "graph", "cache", "vsphere::wire", "vsphere::client"]),
        ("show", &["source", "diagnostic", "syntax", "sema", "graph"]),
        ("vsphere::codes", &["diagnostic"]),
        ("vsphere::wire", &["diagnostic"]),
        ("vsphere::client", &["diagnostic", "vsphere::codes", "vsphere::wire"]),
        ("guest", &["source", "diagnostic", "shell", "vsphere::wire", "vsphere::client"]),
        (
            "engine",
            &[
                "source",
                "diagnostic",
                "shell",
                "syntax",
                "sema",
                "graph",
                "cache",
                "plan",
                "vsphere::wire",
                "vsphere::client",
                "guest",
            ],
        ),
        // Of diagnostics only how they say things.
        ("progress", &["diagnostic", "engine::event"]),
        ("sandbox", &["diagnostic", "vsphere::wire"]),
    ])
}

/// The rooms that a file names: `vsphere` and `engine` with the part of them.
fn named(text: &str) -> Vec<String> {
    let code: String = text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut out = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let path: String =
            code[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
        let mut parts = path.split("::").filter(|p| !p.is_empty());
        let Some(room) = parts.next() else { continue };
        out.push(match (room, parts.next()) {
            ("vsphere", Some(part)) => format!("vsphere::{part}"),
            ("engine", Some("event")) => "engine::event".to_owned(),
            (room, _) => room.to_owned(),
        });
    }
    out
}

fn check(room: &str, file: &Path, problems: &mut Vec<String>) {
    let allowed = allowed();
    let Some(may) = allowed.get(room) else {
        problems.push(format!("{}: the room `{room}` is in no list", file.display()));
        return;
    };
    let text = std::fs::read_to_string(file).unwrap();
    for other in named(&text) {
        let own = room.split("::").next() == other.split("::").next() && !room.contains("::") || other == room;
        if !own && !may.contains(&other.as_str()) {
            problems.push(format!("{}: `{room}` must not see `{other}`", file.display()));
        }
    }
}

fn walk(dir: &Path, f: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, f);
        } else if path.extension().is_some_and(|e| e == "rs") {
            f(&path);
        }
    }
}

#[test]
fn rooms_see_only_what_stands_before_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut problems, mut files) = (Vec::new(), 0);
    walk(&src, &mut |file| {
        let relative = file.strip_prefix(&src).unwrap();
        let parts: Vec<String> = relative.with_extension("").iter().map(|p| p.to_string_lossy().into_owned()).collect();
        let room = match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            // Only the command line sees everything.
            ["main" | "lib"] | ["cli", ..] => return,
            ["vsphere", "mod"] => return,
            ["vsphere", part, ..] => format!("vsphere::{part}"),
            [room, ..] => (*room).to_owned(),
            [] => return,
        };
        files += 1;
        check(&room, file, &mut problems);
    });
    assert!(files > 50, "only {files} files were looked at");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_plan_asks_nobody() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan");
    let mut files = 0;
    walk(&room, &mut |file| {
        let text = std::fs::read_to_string(file).unwrap();
        for word in
            ["async ", ".await", "std::fs", "std::net", "std::env", "std::process", "tokio", "Client,", "Client}"]
        {
            assert!(!text.contains(word), "{}: a plan is made of facts, and this has `{word}`", file.display());
        }
        files += 1;
    });
    assert!(files > 2, "only {files} files were looked at");
}

#[test]
fn the_test_sees_a_wrong_direction() {
    assert_eq!(named("use crate::engine::event::Event;\n// use crate::cli;\n"), ["engine::event"]);
    assert_eq!(named("let x = crate::vsphere::client::Client;"), ["vsphere::client"]);
    assert!(!allowed()["sandbox"].contains(&"vsphere::client"));
}

/// A file that is no part of any program would never run, and nobody would miss it.
#[test]
fn every_file_of_tests_is_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let programs: Vec<String> =
        manifest["test"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap().to_owned()).collect();
    let together = read("tests/builds.rs") + &read("tests/language.rs");
    let mut files = 0;
    for entry in std::fs::read_dir(root.join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.extension().is_some_and(|e| e == "rs") || path.join("main.rs").exists() {
            files += 1;
            let module = together.lines().any(|line| line == format!("mod {name};"));
            assert!(
                programs.contains(&name) != module,
                "tests/{name}: name it in Cargo.toml, tests/builds.rs or tests/language.rs"
            );
        }
    }
    assert!(files > 40, "only {files} files were looked at");
}
