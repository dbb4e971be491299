//! The tree-sitter grammar of `editors/`, compiled and read by tree-sitter itself: it accepts and refuses what the
//! grammar of the compiler does, its queries fit it, and what is typed is read as what is opened.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

#[path = "../../src/syntax/tests/cases.rs"]
mod cases;
#[path = "../common/mod.rs"]
mod common;
#[path = "../../src/syntax/tests/generate.rs"]
#[allow(dead_code)] // a part of it is for the parser's own tests
mod generate;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use vmwbuild::cli::registry;
use vmwbuild::diagnostic::{Problems, Severity};
use vmwbuild::source::Sources;
use vmwbuild::syntax::{self, Keyword, ast, codes};

/// What the compiler refuses although the line may have the form of a right one, because it knows the instruction
/// table (which flags there are, which words they take) or has read all of the line. A file in which nothing else is
/// wrong may be accepted.
const BEYOND: &[&vmwbuild::diagnostic::Code] = &[
    &codes::UNKNOWN_FLAG,
    &codes::FLAG_VALUE,
    &codes::UNKNOWN_WORD,
    &codes::DOCKERFILE,
    &codes::SCRIPT_TAIL,
    &codes::BLANK_IN_CONTINUATION,
    &codes::DIRECTIVE_VALUE,
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn grammar() -> PathBuf {
    root().join("editors/tree-sitter-vmwfile")
}

/// The grammar as a shared library, as editors load it.
fn compiled(dir: &Path) -> PathBuf {
    let library = dir.join("vmwfile.so");
    let src = grammar().join("src");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-shared", "-fPIC", "-I"]);
    cc.arg(&src).arg(src.join("parser.c")).arg(src.join("scanner.c")).arg("-o").arg(&library);
    let done = cc.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    library
}

/// What tree-sitter says of all that is asked. `None`: Python is left out, as tests/run was told.
fn ask(asked: &Value) -> Option<Value> {
    if common::left_out() && std::env::var_os("VMWBUILD_TEST_PYTHON").is_none() {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let library = compiled(dir.path());
    let mut python = Command::new(common::setting("VMWBUILD_TEST_PYTHON"));
    python.arg(root().join("tests/tree_sitter/trees.py")).arg(&library).arg(grammar().join("queries"));
    let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let asked = asked.to_string();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(asked.as_bytes()));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(done.status.success());
    Some(serde_json::from_slice(&done.stdout).unwrap())
}

/// What the compiler's parser says: the lines on which instructions begin, heredocs' bodies, and the errors.
struct Read {
    instructions: Vec<usize>,
    bodies: Vec<[usize; 2]>,
    errors: Vec<(&'static str, usize)>,
}

fn read(text: &str) -> Read {
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let id = sources.add("VMWfile", None, text);
    let file = syntax::parse(&sources, id, &mut problems);
    let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let (mut instructions, mut bodies) = (Vec::new(), Vec::new());
    for item in &file.items {
        let ast::Item::Instruction(instruction) = item else { continue };
        instructions.push(line(instruction.keyword.span.start as usize));
        let spans = instruction.heredocs.iter().map(|doc| doc.body.span);
        bodies.extend(spans.map(|s| [s.start as usize, s.end as usize]).filter(|[start, end]| start < end));
    }
    let errors = problems.sorted();
    let errors = errors.iter().filter(|d| d.severity == Severity::Error);
    let at = |d: &vmwbuild::diagnostic::Diagnostic| d.primary.as_ref().map_or(0, |l| line(l.span.start as usize));
    let errors = errors.map(|d| (d.code.name, at(d))).collect();
    Read { instructions, bodies, errors }
}

fn examples() -> Vec<String> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root().join("examples")).unwrap().map(|e| e.unwrap().path().join("VMWfile")).collect();
    files.extend(
        ["tests/fixtures/editors/odd.vmwfile", "src/format/untidy.vmwfile", "src/cli/init/VMWfile"]
            .map(|f| root().join(f)),
    );
    files.sort();
    files.into_iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// Every right and wrong file that there is, and some made up.
fn corpus() -> Vec<String> {
    let mut texts = examples();
    texts.extend(cases::CASES.iter().map(|(_, text)| (*text).to_owned()));
    for code in registry() {
        texts.extend([code.wrong, code.right].iter().filter(|text| !text.is_empty()).map(|text| (*text).to_owned()));
    }
    texts.extend(Keyword::ALL.iter().map(|keyword| format!("{}\n", keyword.info().example)));
    // Without what must follow.
    texts.extend(Keyword::ALL.iter().map(|keyword| format!("{}\n", keyword.info().name)));
    let mut runner = TestRunner::deterministic();
    for _ in 0..600 {
        texts.push(generate::program().new_tree(&mut runner).unwrap().current());
    }
    // Right ones again, with other line ends and without the last.
    let others: Vec<String> =
        texts.iter().take(20).flat_map(|text| [text.replace('\n', "\r\n"), text.trim_end().to_owned()]).collect();
    texts.extend(others);
    texts
}

#[test]
fn it_accepts_and_refuses_what_the_compilers_grammar_does() {
    let texts = corpus();
    let Some(said) = ask(&json!({ "texts": texts })) else { return };
    let beyond: BTreeSet<&str> = BEYOND.iter().map(|code| code.name).collect();
    let (mut wrong, mut right, mut differ) = (0, 0, Vec::new());
    for (text, tree) in texts.iter().zip(said["trees"].as_array().unwrap()) {
        let read = read(text);
        let refused = !tree["wrong"].is_null();
        let hard: Vec<_> = read.errors.iter().filter(|(name, _)| !beyond.contains(name)).collect();
        let either = hard.is_empty() && !read.errors.is_empty();
        if refused == hard.is_empty() && !either {
            differ.push(format!("{text}\n--- tree-sitter: {}\n--- the compiler: {:?}\n", tree["wrong"], read.errors));
        } else if !refused && read.errors.is_empty() {
            let instructions = json!(read.instructions);
            if tree["instructions"] != instructions {
                differ.push(format!(
                    "{text}\n--- tree-sitter has instructions on {}, not {instructions}\n",
                    tree["instructions"]
                ));
            }
            if tree["bodies"] != json!(read.bodies) {
                differ
                    .push(format!("{text}\n--- tree-sitter has bodies at {}, not {:?}\n", tree["bodies"], read.bodies));
            }
        }
        if refused { wrong += 1 } else { right += 1 }
    }
    assert!(differ.is_empty(), "{} of {}:\n{}", differ.len(), texts.len(), differ.join("=====\n"));
    assert!(wrong > 100 && right > 400, "{wrong} wrong, {right} right");
}

#[test]
fn its_corpus_holds_and_what_is_typed_is_read_as_what_is_opened() {
    let mut corpus: Vec<PathBuf> =
        std::fs::read_dir(grammar().join("test/corpus")).unwrap().map(|entry| entry.unwrap().path()).collect();
    corpus.sort();
    let typed: Vec<String> =
        examples().into_iter().chain(cases::CASES.iter().map(|(_, text)| (*text).to_owned())).collect();
    let Some(said) = ask(&json!({ "texts": [], "typed": typed, "corpus": corpus })) else { return };
    assert_eq!(said["corpus"], json!([]));
    assert!(said["cases"].as_u64().unwrap() >= 19, "{}", said["cases"]);
    for (text, same) in typed.iter().zip(said["typed"].as_array().unwrap()) {
        assert_eq!(*same, true, "{text}");
    }
}

/// What a query captures under a name.
fn captured<'t>(tree: &Value, text: &'t str, query: &str, capture: &str) -> Vec<(usize, &'t str)> {
    let all = tree["captures"][query].as_array().unwrap();
    let of = all.iter().filter(|c| c[0] == capture);
    of.map(|c| {
        (c[1].as_u64().unwrap() as usize, &text[c[1].as_u64().unwrap() as usize..c[2].as_u64().unwrap() as usize])
    })
    .collect()
}

/// Whether the instruction on a line opens a stage.
fn opens(text: &str, line: usize) -> bool {
    let word = text.lines().nth(line - 1).and_then(|line| line.split_whitespace().next());
    matches!(word.and_then(Keyword::parse), Some(Keyword::From | Keyword::On))
}

#[test]
fn its_queries_fit_it() {
    let texts = examples();
    let Some(said) = ask(&json!({ "texts": texts, "captures": true })) else { return };
    assert_eq!(said["queries"], json!(["folds", "highlights", "indents", "injections", "locals", "textobjects"]));
    for (text, tree) in texts.iter().zip(said["trees"].as_array().unwrap()) {
        // What begins an instruction is shown as a keyword, and no line's beginning that doesn't.
        let starts = read(text).instructions;
        let at_start = |at: &usize| text[..*at].rsplit('\n').next().unwrap().trim().is_empty();
        let lines: Vec<usize> = captured(tree, text, "highlights", "keyword")
            .iter()
            .map(|(at, _)| *at)
            .filter(at_start)
            .map(|at| text[..at].matches('\n').count() + 1)
            .collect();
        assert_eq!(lines, starts, "{text}");
        // A stage is folded from its FROM or ON to the line before the next.
        let stages = captured(tree, text, "textobjects", "class.outer");
        assert_eq!(stages.len(), starts.iter().filter(|line| opens(text, **line)).count(), "{text}");
        let opened = |stage: &str| ["FROM ", "ON "].iter().any(|word| stage.to_uppercase().starts_with(word));
        assert!(stages.iter().all(|(_, stage)| opened(stage)), "{text}");
    }
    let odd = texts.iter().position(|text| text.contains("What an editor may take")).unwrap();
    let (text, tree) = (&texts[odd], &said["trees"][odd]);
    let shell: Vec<&str> =
        captured(tree, text, "injections", "injection.content").into_iter().map(|(_, text)| text).collect();
    for wanted in [
        "echo one \\\n    # a comment between\n    && echo RUN",
        "\tRUN() { echo RUN; }\n\tFROM=1\n",
        "test -e /tmp/one",
    ] {
        assert!(shell.contains(&wanted), "{wanted:?} in {shell:?}");
    }
    assert!(!shell.iter().any(|text| text.contains("RUN this is text")), "{shell:?}");
    let names = captured(tree, text, "locals", "local.definition.parameter");
    let names: Vec<&str> = names.into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["words", "n", "i"]);
}

/// In the real program: what it shows as a keyword where a line begins is what begins an instruction.
#[test]
fn neovim_shows_instructions() {
    if Command::new("nvim").arg("--version").output().is_err() {
        assert!(common::left_out(), "nvim is not installed: tests/setup does that");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let library = compiled(dir.path());
    let queries = dir.path().join("queries/vmwfile");
    std::fs::create_dir_all(&queries).unwrap();
    for name in std::fs::read_dir(grammar().join("queries")).unwrap() {
        let name = name.unwrap();
        std::fs::copy(name.path(), queries.join(name.file_name())).unwrap();
    }
    let look = dir.path().join("look.lua");
    std::fs::write(
        &look,
        "-- Neovim 0.9 named these anew.
         local language, queries = vim.treesitter.language or {}, vim.treesitter.query or {}
         local get = queries.get or vim.treesitter.get_query
         if language.add then
           language.add('vmwfile', { path = vim.env.LOOK_SO })
         else
           vim.treesitter.require_language('vmwfile', vim.env.LOOK_SO)
         end
         local parser = vim.treesitter.get_parser(0, 'vmwfile')
         vim.treesitter.highlighter.new(parser)
         local query, lines = get('vmwfile', 'highlights'), {}
         for id, node in query:iter_captures(parser:parse()[1]:root(), 0) do
           local row, col = node:range()
           local starts = vim.fn.match(vim.fn.getline(row + 1), '\\\\S') == col
           if query.captures[id] == 'keyword' and starts then lines[row + 1] = true end
         end
         for _, name in ipairs({'injections', 'locals', 'folds', 'indents', 'textobjects'}) do
           assert(get('vmwfile', name), name)
         end
         local out = {}
         for row in pairs(lines) do table.insert(out, tostring(row)) end
         vim.fn.writefile(out, vim.env.LOOK_OUT)",
    )
    .unwrap();
    for text in examples() {
        let (file, out) = (dir.path().join("VMWfile"), dir.path().join("out"));
        std::fs::write(&file, &text).unwrap();
        let mut nvim = Command::new("nvim");
        common::without_settings(&mut nvim).env("LC_ALL", "C.UTF-8").env("HOME", dir.path());
        nvim.args(["-u", "NONE", "-i", "NONE", "-n", "-es", "--cmd"]).arg(format!("set rtp^={}", dir.path().display()));
        nvim.arg(&file).arg("-c").arg(format!("luafile {}", look.display())).args(["-c", "qa!"]);
        nvim.env("LOOK_SO", &library).env("LOOK_OUT", &out);
        let done = common::run(&mut nvim, common::DEADLINE);
        assert_eq!(done.code, Some(0), "{done}");
        let shown = std::fs::read_to_string(&out).unwrap_or_else(|e| panic!("{e}: {done}"));
        std::fs::remove_file(&out).unwrap();
        let mut shown: Vec<usize> = shown.lines().map(|line| line.parse().unwrap()).collect();
        shown.sort_unstable();
        assert_eq!(shown, read(&text).instructions, "{text}");
    }
}

/// The scopes of Helix's themes that a query may name, itself or by what stands before a dot of it.
const HELIX: &[&str] = &[
    "attribute",
    "type",
    "constructor",
    "constant",
    "string",
    "comment",
    "variable",
    "label",
    "punctuation",
    "keyword",
    "operator",
    "function",
    "tag",
    "namespace",
    "special",
    "markup",
    "diff",
];

/// Helix is in no registry of packages that tests may use. What can be held without it: of what each query captures at
/// least one name is Helix's, and its predicates are those that Helix knows.
#[test]
fn helix_knows_the_names() {
    // Bodies of heredocs are left as they are by names that only Neovim has.
    let textobjects = ["class", "function", "parameter", "comment", "test", "entry"];
    for (file, known) in [
        ("highlights.scm", &(|name: &str| HELIX.contains(&name.split('.').next().unwrap())) as &dyn Fn(&str) -> bool),
        ("injections.scm", &|name| name == "injection.content" || name.starts_with('_')),
        ("locals.scm", &|name| {
            name == "local.scope" || name == "local.reference" || name.starts_with("local.definition.")
        }),
        ("indents.scm", &|name| {
            ["indent", "outdent"].contains(&name) || name == "indent.ignore" || name == "indent.zero"
        }),
        ("textobjects.scm", &|name| {
            let (object, part) = name.split_once('.').unwrap();
            textobjects.contains(&object) && ["around", "inside"].contains(&part)
        }),
    ] {
        let text = std::fs::read_to_string(grammar().join("queries").join(file)).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with(';')).collect::<Vec<_>>().join("\n");
        let (mut words, mut captures) = (code.split_whitespace().peekable(), 0);
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix('@') else { continue };
            let end = |word: &str| word.trim_end_matches([')', ']']).to_owned();
            let mut names = vec![end(name)];
            // One node's names stand beside each other.
            while !word.ends_with([')', ']']) && words.peek().is_some_and(|next| next.starts_with('@')) {
                names.push(end(&words.next().unwrap()[1..]));
            }
            captures += 1;
            assert!(names.iter().any(|name| known(name)), "{file}: Helix knows none of {names:?}");
        }
        assert!(captures > 1, "{file}");
        for predicate in code.split("(#").skip(1) {
            let name = predicate.split_whitespace().next().unwrap();
            let known = ["eq?", "not-eq?", "match?", "not-match?", "any-of?", "not-any-of?", "set!"];
            assert!(known.contains(&name), "{file}: #{name}");
        }
    }
}

#[test]
fn no_list_of_keywords_lags() {
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_uppercase()).filter(|word| word.len() > 1);
        words.map(str::to_owned).collect()
    };
    let file = |name: &str| std::fs::read_to_string(grammar().join(name)).unwrap();
    let between = |text: &str, from: &str, to: &str| {
        let start = text.find(from).unwrap() + from.len();
        text[start..start + text[start..].find(to).unwrap()].to_owned()
    };
    let keywords: BTreeSet<String> = Keyword::ALL.iter().map(|keyword| keyword.name().to_owned()).collect();
    let all = Keyword::ALL.iter().flat_map(|k| k.info().words.iter().map(|word| (*word).to_owned()));
    let all: BTreeSet<String> = all.chain(keywords.iter().cloned()).collect();
    assert_eq!(words(&between(&file("src/scanner.c"), "KEYWORDS[] = {", "};")), keywords);
    let highlights = file("queries/highlights.scm");
    assert_eq!(
        words(&between(&highlights, "[", "] @keyword"))
            .union(&words(&between(&highlights, "plain words.", "; ---")))
            .cloned()
            .collect::<BTreeSet<_>>(),
        all
    );
    let grammar = file("grammar.js");
    let used: BTreeSet<String> = words(&grammar).into_iter().collect();
    assert!(keywords.is_subset(&used), "{:?}", keywords.difference(&used).collect::<Vec<_>>());
}

#[test]
fn the_generated_parser_is_the_grammars() {
    // The generator is large to build: what it was made from is compared where it is installed.
    let Ok(version) = Command::new("tree-sitter").arg("--version").output() else {
        #[allow(clippy::print_stdout)] // what is left out is told
        {
            println!("NOT RUN: `tree-sitter` is not installed (cargo install tree-sitter-cli)");
        }
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    for name in ["grammar.js", "tree-sitter.json"] {
        std::fs::copy(grammar().join(name), dir.path().join(name)).unwrap();
    }
    let done = Command::new("tree-sitter").args(["generate", "--abi", "14"]).current_dir(dir.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let read = |dir: &Path, name: &str| std::fs::read_to_string(dir.join("src").join(name)).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&read(dir.path(), "grammar.json")).unwrap(),
        serde_json::from_str::<Value>(&read(&grammar(), "grammar.json")).unwrap(),
        "run `tree-sitter generate --abi 14` ({})",
        String::from_utf8_lossy(&version.stdout)
    );
}
