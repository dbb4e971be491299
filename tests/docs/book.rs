//! The book: its contents, the pages that are made, and VMWfiles in colour.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::Path,
    process::{Command, Output},
};

use vmwbuild::syntax::Keyword;

use crate::pages::{current, pages, root};

fn said(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// The help of a command, as somebody reads it on 100 columns with nothing set.
fn help(words: &[String]) -> String {
    said(Command::new(env!("CARGO_BIN_EXE_vmwbuild")).args(words).arg("--help").env_clear().env("COLUMNS", "100"))
}

/// A command with all below it.
fn commands(words: &[String], out: &mut String) {
    let text = help(words);
    let level = "#".repeat(words.len() + 1);
    let name = std::iter::once("vmwbuild").chain(words.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let title = if words.is_empty() { "Commands".to_owned() } else { name };
    let level = if words.is_empty() { "#" } else { level.as_str() };
    let _ = write!(out, "{level} {title}\n\n");
    if words.is_empty() {
        out.push_str(
            "What `--help` says of each, for reading at leisure; `vmwbuild man` writes it as manual pages, and \
             [settings](settings.md)\ntells of the variables and files that stand behind the flags.\n\n",
        );
    }
    let text: Vec<&str> = text.lines().map(str::trim_end).collect();
    let _ = write!(out, "```text\n{}\n```\n\n", text.join("\n").trim_end());
    let below = text.iter().skip_while(|line| **line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for line in below.filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let word = line.split_whitespace().next().unwrap();
        if word != "help" {
            commands(&[words, &[word.to_owned()]].concat(), out);
        }
    }
}

#[test]
fn the_page_of_commands_is_current() {
    let mut page = String::new();
    commands(&[], &mut page);
    current(&root().join("docs/commands.md"), &format!("{}\n", page.trim_end()));
}

/// Keywords in upper and in lower case, the longest first, as a pattern.
fn alternatives<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let set: BTreeSet<(std::cmp::Reverse<usize>, &str)> =
        words.map(|word| (std::cmp::Reverse(word.len()), word)).collect();
    set.into_iter().map(|(_, word)| word.to_owned()).collect::<Vec<_>>().join("|")
}

#[test]
fn the_colours_of_the_book_are_current() {
    let keywords = alternatives(Keyword::ALL.iter().map(|keyword| keyword.name()));
    let words = alternatives(Keyword::ALL.iter().flat_map(|keyword| keyword.info().words.iter().copied()));
    let file = root().join("docs/theme/vmwfile.js");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let mut wanted = String::new();
    let mut made = 0;
    for line in text.lines() {
        let name = line.trim_start().split(' ').nth(1).unwrap_or_default();
        let list = match name {
            "instructions" => &keywords,
            "words" => &words,
            _ => "",
        };
        if line.trim_start().starts_with("const ") && !list.is_empty() {
            made += 1;
            let _ = writeln!(wanted, "  const {name} = '{list}';");
        } else {
            let _ = writeln!(wanted, "{line}");
        }
    }
    assert_eq!(made, 2);
    current(&file, &wanted);
}

/// Everything that a page links to in the book, and every page in the book.
#[test]
fn the_contents_are_complete() {
    let text = std::fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let mut listed = BTreeSet::new();
    for line in text.lines().filter(|line| line.contains("](")) {
        let (title, link) = line.split_once("](").unwrap();
        let page = link.strip_suffix(')').unwrap_or_else(|| panic!("{line}"));
        assert!(!title.trim_start_matches(['-', ' ', '[']).is_empty(), "{line}");
        assert!(listed.insert(page.to_owned()), "{page} stands twice");
        assert!(root().join("docs").join(page).is_file(), "{page} is not there");
    }
    for (path, _) in pages() {
        let Ok(page) = path.strip_prefix(root().join("docs")) else { continue };
        let page = page.display().to_string();
        assert!(page == "SUMMARY.md" || listed.contains(&page), "{page} is not in SUMMARY.md");
    }
    let book = std::fs::read_to_string(root().join("docs/book.toml")).unwrap();
    let book: toml::Table = toml::from_str(&book).unwrap();
    for script in book["output"]["html"]["additional-js"].as_array().unwrap() {
        assert!(root().join("docs").join(script.as_str().unwrap()).is_file(), "{script:?}");
    }
}

/// mdBook: on PATH, or in the Python environment of tests/setup. `None` where the tests were told to do without that.
fn mdbook() -> Option<Command> {
    let python = std::env::var_os("VMWBUILD_TEST_PYTHON").map(std::path::PathBuf::from);
    let beside = python.map(|python| python.with_file_name("mdbook")).filter(|program| program.is_file());
    let program = beside.unwrap_or_else(|| "mdbook".into());
    if Command::new(&program).arg("--version").output().is_ok() {
        return Some(Command::new(program));
    }
    let told = std::env::var_os("VMWBUILD_TEST_SKIP_VCSIM").is_some_and(|value| value == "1");
    assert!(told, "mdbook is not installed: tests/setup does that (tests/run --without-vcsim leaves this out)");
    None
}

/// The book is made, and its own highlight.js colours what begins an instruction and nothing that only looks like it.
#[test]
fn the_book_is_made() {
    let Some(mut mdbook) = mdbook() else { return };
    let dir = tempfile::tempdir().unwrap();
    let made = mdbook.arg("build").arg(root().join("docs")).arg("--dest-dir").arg(dir.path()).output().unwrap();
    let log = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success() && !log.contains("WARN") && !log.contains("ERROR"), "{log}");
    let tutorial = std::fs::read_to_string(dir.path().join("tutorial.html")).unwrap();
    assert!(tutorial.contains("language-vmwfile"), "VMWfiles are marked");
    assert!(tutorial.contains("theme/vmwfile"), "the colours are there");
    let found = |name: &str| -> std::path::PathBuf {
        let mut here = vec![dir.path().to_path_buf()];
        while let Some(next) = here.pop() {
            for entry in std::fs::read_dir(next).unwrap().map(|e| e.unwrap().path()) {
                let file = entry.file_name().unwrap().to_string_lossy().into_owned();
                if entry.is_dir() {
                    here.push(entry);
                } else if file.starts_with(name) && file.ends_with(".js") {
                    return entry;
                }
            }
        }
        panic!("{name} is not in the book")
    };
    let script = dir.path().join("colours.js");
    std::fs::write(
        &script,
        "const fs = require('fs'); const vm = require('vm');
         const context = vm.createContext({ console, window: {}, self: {} });
         context.window = context.self = context;
         vm.runInContext(fs.readFileSync(process.argv[2], 'utf8'), context);
         context.hljs.registerLanguage('vmwfile', require(process.argv[3]));
         for (const file of process.argv.slice(4)) {
           const html = context.hljs.highlight('vmwfile', fs.readFileSync(file, 'utf8')).value;
           const lines = html.split('\\n').map((line, at) => [line, at + 1]);
           const starts = lines.filter(([line]) => /^\\s*<span class=\"hljs-keyword\">/.test(line));
           console.log(starts.map(([, at]) => at).join(' '));
         }",
    )
    .unwrap();
    let mut files: Vec<_> = ["cluster", "hello", "secrets", "wordpress", "docker-swarm", "update-template"]
        .iter()
        .map(|name| root().join("examples").join(name).join("VMWfile"))
        .collect();
    files.sort();
    let mut node = Command::new("node");
    node.arg(&script).arg(found("highlight")).arg(root().join("docs/theme/vmwfile.js")).args(&files);
    let shown = said(&mut node);
    for (file, lines) in files.iter().zip(shown.lines()) {
        assert_eq!(lines, starts(file), "{}", file.display());
    }
}

/// The lines on which instructions begin.
fn starts(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let (mut sources, mut problems) = (vmwbuild::source::Sources::new(), vmwbuild::diagnostic::Problems::new());
    let id = sources.add("VMWfile", None, text.as_str());
    let parsed = vmwbuild::syntax::parse(&sources, id, &mut problems);
    let starts = parsed.items.iter().filter_map(|item| match item {
        vmwbuild::syntax::ast::Item::Instruction(i) => Some(text[..i.span.start as usize].matches('\n').count() + 1),
        _ => None,
    });
    starts.map(|line| line.to_string()).collect::<Vec<_>>().join(" ")
}
