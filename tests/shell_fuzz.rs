//! Random shell scripts with values in every context, run in real shells: once with harmless text written in place,
//! once as the crate builds them, with hostile values. Nothing hostile may run, every value must arrive byte for
//! byte, and apart from the values the output must be the same.
//!
//! Needs bash and dash; uses busybox, mksh and (for short scripts) ksh where they are. `VMWBUILD_FUZZ_SECONDS` sets the time (default 20)
//! and `VMWBUILD_FUZZ_SEED` the first seed.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr)]

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vmwbuild::shell::{Context, Dialect, Hole, HoleKind, assignment, read, weave};

#[path = "common/random.rs"]
mod random;
use random::Random;

const HOSTILE: &[&str] = &[
    "'; touch pwned; '",
    "\"; touch pwned; \"",
    "$(touch pwned)",
    "`touch pwned`",
    "\ntouch pwned\n",
    "x\nEOF\ntouch pwned\n",
    "EOF",
    "\nEOF\n",
    "\nE2\n\tE2\ntouch pwned #",
    "a[$(touch pwned)]",
    "a[$(touch pwned)]=1",
    "${x:=$(touch pwned)}",
    "$((a[$(touch pwned)]))",
    "*",
    "?",
    "[a-z]*",
    "~",
    "~root/",
    "-n",
    "-e",
    "--help",
    "-e \\c",
    "\\",
    "\\\\'\\",
    "'",
    "\"",
    "''\"\"``",
    " ",
    "  a  b\tc ",
    "\n",
    "\n\n\n",
    "\r\n",
    "",
    "#x",
    "!(x)",
    "{a,b}",
    "$x $1 $@ $$",
    "%s%n%d\\n\\033[31m",
    "]]",
    "))",
    ")",
    "; }",
    "esac",
    ";;",
    "(((",
    "<<EOF",
    "&",
    "|| touch pwned",
    "| touch pwned",
    "> pwned",
    "=",
    "a=b",
    "é ü 漢字 🦀 \u{202e}\u{feff}",
    "\u{1}\u{2}\u{7f}\u{81}\u{88}\u{1b}",
    "${_vmw1}",
    "'\"${_vmw1}\"'",
    "_vmw1='x",
    "$IFS${IFS}",
    "\\n\\t\\0",
    "a\\\nb",
];

struct Shell {
    name: &'static str,
    program: PathBuf,
    args: &'static [&'static str],
    bash: bool,
    /// ksh93 misplaces and loses what `cat` writes inside nested `$(…)`, whatever the script: no use for long ones.
    orderly: bool,
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn shells() -> Vec<Shell> {
    let mut found = Vec::new();
    for (name, args, bash) in [
        ("bash", &[][..], true),
        ("dash", &[][..], false),
        ("busybox", &["sh"][..], false),
        ("ksh", &[][..], false),
        ("mksh", &[][..], false),
    ] {
        match find(name) {
            Some(program) => found.push(Shell { name, program, args, bash, orderly: name != "ksh" }),
            None if matches!(name, "bash" | "dash") => {
                panic!("{name} isn't in PATH, and without it nothing is proved: install it (apt-get install {name})")
            }
            None => eprintln!("{name} isn't in PATH: not tested with it"),
        }
    }
    found
}

/// Writes a script with `${{ x }}` for text and `${{ n }}` for ints.
struct Writer {
    random: Random,
    bash: bool,
    /// How many values stand where none may.
    forbidden: usize,
    /// For names that no other part of the script has.
    unique: usize,
}

impl Writer {
    fn lines(&mut self, depth: usize) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.random.below(3) {
            text.push_str(&self.statement(depth));
            if !text.ends_with('\n') {
                let separator = self.random.one(&["\n", "\n", "; ", " # it's `$( ${{ x }} \"\n", " #)\n", "\n\n"]);
                text.push_str(separator);
            }
        }
        text
    }

    fn statement(&mut self, depth: usize) -> String {
        let deep = depth > 0;
        loop {
            return match self.random.below(if self.bash { 26 } else { 20 }) {
                0..=4 => format!("p {}", self.words(depth)),
                5 => format!("v={}; p \"$v\"", self.word(depth)),
                6 => format!("w={} v={} p \"$v\"", self.word(depth), self.word(depth)),
                7 | 8 => self.heredoc(depth),
                9 => format!(": # comment {}it's ` $( \" ${{{{ x }}}} )\n", self.random.one(&["", "\\", "<<EOF "])),
                10 => format!("p $(( {} ))", self.arithmetic(depth)),
                11 if deep => {
                    let word = self.word(depth - 1);
                    let open = self.random.one(&["", "("]);
                    let pattern =
                        self.random.one(&["${{ x }}", "a|${{ x }}", "'${{ x }}' | b", "\"c${{ x }}\"*", "a\\)*"]);
                    let (one, two) = (self.lines(depth - 1), self.lines(depth - 1));
                    let last = self.random.one(&[";;\n", "\n"]);
                    format!("case k{word} in {open}{pattern}) {one}\n;;\n*) {two}{last}esac")
                }
                12 if deep => {
                    let condition = self.condition(depth - 1);
                    let (one, two) = (self.lines(depth - 1), self.lines(depth - 1));
                    format!("if {condition}; then {one}else\n{two}fi")
                }
                13 if deep => {
                    let (words, body) = (self.words(depth - 1), self.lines(depth - 1));
                    format!("for i in {words}; do p \"$i\"; {body}done")
                }
                14 if deep => format!("( {})", self.lines(depth - 1)),
                15 if deep => format!("{{ {}}}", self.lines(depth - 1)),
                16 if deep => {
                    // A name of its own: no script may call itself, whatever becomes of it.
                    self.unique += 1;
                    let name = format!("f{}", self.unique);
                    format!("{name}() {{ {}}}\n{name} {}", self.lines(depth - 1), self.words(depth - 1))
                }
                17 => {
                    let operator = self.random.one(&["&&", "||", "|", "| cat |", "&&\n", "|\n"]);
                    format!("p {} {operator} p {}", self.words(depth), self.words(depth))
                }
                18 if deep => format!("k=1; while [ \"$k\" = 1 ]; do k=2; {}k=2; done", self.lines(depth - 1)),
                19 if self.random.chance(6) => {
                    self.forbidden += 1;
                    let bad = [
                        "p `p ${{ x }}`",
                        "p \"${v:-${{ x }}}\"",
                        "p \\${{ x }}",
                        "p \"\\${{ x }}\"",
                        "p $((${{ x }}))",
                        "eval p ${{ x }}",
                    ];
                    self.random.one(&bad).to_owned()
                }
                20 => format!("[[ l{} == r{} ]] && p y || p n", self.word(depth), self.word(depth)),
                21 => format!("(( v = {} )); p \"$v\"", self.arithmetic(depth)),
                22 => format!("v=({} {}); p \"${{v[@]}}\"", self.word(depth), self.word(depth)),
                23 => format!("cat <<< {}.", self.word(depth)),
                24 if deep => format!("cat <(p {})", self.words(depth - 1)),
                25 => format!("p $'it\\'s' {}; [[ a =~ ^(b|{})$ ]] || p n", self.word(depth), "\"${{ x }}\""),
                _ => continue,
            };
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        match self.random.below(3) {
            0 => format!("[ l{} = r{} ]", self.word(depth), self.word(depth)),
            1 => format!("p {}", self.words(depth)),
            _ => "[ ${{ n }} -gt 500 ]".to_owned(),
        }
    }

    fn heredoc(&mut self, depth: usize) -> String {
        let (operator, delimiter, quote) = self.random.one(&[
            ("<<", "EOF", ""),
            ("<<", "E2", ""),
            ("<<-", "EOF", ""),
            ("<<", "EOF", "'"),
            ("<<-", "E2", "\""),
        ]);
        // One that stands in another mostly has a delimiter of its own.
        self.unique += 1;
        let delimiter =
            if self.random.chance(90) { format!("{delimiter}{}", self.unique) } else { delimiter.to_owned() };
        let tab = if operator == "<<-" { "\t" } else { "" };
        let mut text = format!("cat {operator}{quote}{delimiter}{quote}");
        if self.random.chance(30) {
            let _ = write!(text, " | p2 {}", self.random.one(&["a", "'b'", "${{ x }}", "\"${{ x }}\""]));
        }
        text.push('\n');
        for _ in 0..self.random.below(4) {
            text.push_str(tab);
            for _ in 0..1 + self.random.below(3) {
                if quote.is_empty() {
                    // Stripping tabs from a nested script would change it.
                    let nested = if tab.is_empty() { depth } else { 0 };
                    text.push_str(&self.inside(nested, true));
                } else {
                    text.push_str(self.random.one(&["a ", "${{ x }}", "'", "\"", "$(", "`", "\\"]));
                }
            }
            text.push_str(".\n");
        }
        let _ = writeln!(text, "{tab}{delimiter}");
        text
    }

    /// A part of `"…"` or of a here-document.
    fn inside(&mut self, depth: usize, heredoc: bool) -> String {
        match self.random.below(12) {
            0..=3 => "${{ x }}".to_owned(),
            4 => "a b ".to_owned(),
            5 => self.random.one(&["'", "it's ", "#", ")", ";;", "{", "*", "~"]).to_owned(),
            6 if heredoc => "\"".to_owned(),
            6 | 7 => self.random.one(&["\\\"", "\\$", "\\\\", "\\`", "\\a"]).to_owned(),
            8 => format!("$(( {} ))", self.arithmetic(depth)),
            9 => self.random.one(&["${HOME#*}", "${u:-a b}", "$#", "${#}", "${u:-\"c}d\"}"]).to_owned(),
            10 if depth > 0 => self.substitution(depth - 1),
            _ => self.random.one(&["\n", "c", "é"]).to_owned().replace('\n', if heredoc { " " } else { "\n" }),
        }
    }

    fn substitution(&mut self, depth: usize) -> String {
        format!("$({}{})", self.random.one(&["", " ", "\n", "\n# it's )\n"]), self.lines(depth))
    }

    fn words(&mut self, depth: usize) -> String {
        let words: Vec<String> = (0..1 + self.random.below(3)).map(|_| self.word(depth)).collect();
        words.join(self.random.one(&[" ", "  ", " \\\n ", "\t"]))
    }

    fn word(&mut self, depth: usize) -> String {
        let mut word = String::new();
        for _ in 0..1 + self.random.below(3) {
            match self.random.below(9) {
                0..=2 => word.push_str("${{ x }}"),
                3 => {
                    word.push_str(self.random.one(&["a", "b.c", "x=", "\\'", "\\\"", "\\\\", "\\ ", "a#b", "é", "\\$"]))
                }
                4 | 5 => {
                    word.push('\'');
                    for _ in 0..self.random.below(4) {
                        let part = self
                            .random
                            .one(&["${{ x }}", "${{ x }}", "\"", " ", "\\", "$(", "`", "#", ")", "\n", "<<EOF"]);
                        word.push_str(part);
                    }
                    word.push('\'');
                }
                6 => word.push_str("${{ n }}"),
                _ => {
                    word.push('"');
                    for _ in 0..self.random.below(4) {
                        let part = self.inside(depth, false);
                        word.push_str(&part);
                    }
                    word.push('"');
                }
            }
        }
        // A word of nothing but backslash-newline can't arise; an empty one is fine in quotes.
        word
    }

    fn arithmetic(&mut self, depth: usize) -> String {
        match self.random.below(6) {
            0 | 1 => "${{ n }}".to_owned(),
            2 => format!("({} + ${{{{ n }}}}) * 2", self.arithmetic(0)),
            3 => format!("${{{{ n }}}} - {}", self.arithmetic(0)),
            4 if depth > 0 => "$(p2 7 </dev/null >/dev/null; echo 3) + ${{ n }}".to_owned(),
            _ => "(1<<2) + ${{ n }}".to_owned(),
        }
    }
}

struct Case {
    text: String,
    holes: Vec<Hole>,
    values: Vec<String>,
    forbidden: bool,
}

fn case(seed: u64, bash: bool) -> Case {
    let mut writer = Writer { random: Random(seed), bash, forbidden: 0, unique: 0 };
    let text = writer.lines(4);
    let (mut holes, mut values) = (Vec::new(), Vec::new());
    let mut from = 0;
    while let Some(start) = text[from..].find("${{ ").map(|at| from + at) {
        let int = text[start..].starts_with("${{ n }}");
        let kind = if int { HoleKind::Int } else { HoleKind::Text };
        let end = start + "${{ x }}".len();
        holes.push(Hole { start, end, kind });
        values.push(if int {
            writer.random.below(1000).to_string()
        } else {
            // Two together make what nobody thought of.
            let mut value = writer.random.one(HOSTILE).to_owned();
            if writer.random.chance(30) {
                value.push_str(writer.random.one(HOSTILE));
            }
            value
        });
        from = end;
    }
    Case { text, holes, values, forbidden: writer.forbidden > 0 }
}

const TOOLS: &str = "p() { printf '<%s>' \"$@\"; printf '\\n'; }\np2() { cat; printf '[%s]' \"$@\"; }\n";

fn token(index: usize) -> String {
    format!("zq{index:04}z")
}

/// The script with harmless text in place.
fn harmless(case: &Case, contexts: &[Context]) -> String {
    let mut out = String::from(TOOLS);
    let mut from = 0;
    for (index, (hole, context)) in case.holes.iter().zip(contexts).enumerate() {
        out.push_str(&case.text[from..hole.start]);
        match (context, hole.kind) {
            (Context::Literal, _) => out.push_str(&case.text[hole.range()]),
            (_, HoleKind::Int) => out.push_str(&case.values[index]),
            _ => out.push_str(&token(index)),
        }
        from = hole.end;
    }
    out + &case.text[from..]
}

/// The script as it is really built.
fn woven(case: &Case, contexts: &[Context]) -> String {
    let names: Vec<String> = (1..=case.holes.len()).map(|i| format!("_vmw{i}")).collect();
    let mut out = String::new();
    for (name, value) in names.iter().zip(&case.values) {
        out.push_str(&assignment(name, value));
        out.push('\n');
    }
    out.push_str(TOOLS);
    out + &weave(&case.text, &case.holes, contexts, &names)
}

fn run(shell: &Shell, dir: &Path, script: &str) -> (Option<i32>, Vec<u8>) {
    let file = dir.join("script");
    std::fs::write(&file, script).expect("the script is written");
    let child = Command::new(&shell.program)
        .args(shell.args)
        .arg("script")
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("the shell starts");
    // A script that never ends is ended, and shows as a difference of exit codes or as a failed script.
    let group = rustix::process::Pid::from_child(&child);
    let (done, watch) = std::sync::mpsc::channel::<()>();
    let dog = std::thread::spawn(move || {
        if watch.recv_timeout(Duration::from_secs(5)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    });
    let output = child.wait_with_output().expect("the shell ends");
    drop(done);
    dog.join().expect("the watch ends");
    (output.status.code(), output.stdout)
}

/// Nothing but the script may be in the directory.
fn untouched(dir: &Path) -> bool {
    std::fs::read_dir(dir).expect("the directory is there").all(|entry| entry.is_ok_and(|e| e.file_name() == "script"))
}

fn expected(case: &Case, output: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8(output.to_vec()).expect("harmless output is UTF-8");
    for (index, value) in case.values.iter().enumerate() {
        if case.holes[index].kind != HoleKind::Int {
            text = text.replace(&token(index), value);
        }
    }
    text.into_bytes()
}

#[derive(Default, Debug)]
struct Count {
    read: usize,
    refused: usize,
    forbidden: usize,
    runs: usize,
    values: usize,
    failed_scripts: usize,
    endless: usize,
}

#[test]
fn random_scripts() {
    let seconds = std::env::var("VMWBUILD_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(20);
    let first = std::env::var("VMWBUILD_FUZZ_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let shells = shells();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut count = Count::default();
    let mut wrong = Vec::new();
    let mut reasons: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for seed in first.. {
        if Instant::now() > end || wrong.len() >= 5 {
            break;
        }
        let bash = seed % 4 == 0;
        let case = case(seed, bash);
        let dialect = if bash { Dialect::Bash } else { Dialect::Sh };
        let contexts = match read(dialect, &case.text, &case.holes) {
            Ok(contexts) => contexts,
            Err(refusals) => {
                if case.forbidden {
                    count.forbidden += 1;
                } else {
                    count.refused += 1;
                    *reasons.entry(format!("{:?}", refusals[0].kind)).or_default() += 1;
                    if std::env::var_os("VMWBUILD_FUZZ_SHOW").is_some() {
                        eprintln!("--- seed {seed} refused: {:?}\n{}", refusals[0], case.text);
                    }
                }
                continue;
            }
        };
        if case.forbidden {
            wrong.push(format!("seed {seed}: a value stands where none may, and is taken:\n{}", case.text));
            continue;
        }
        count.read += 1;
        count.values += case.holes.len();
        for shell in shells.iter().filter(|s| s.orderly && (s.bash || !bash)) {
            let (status, output) = run(shell, dir.path(), &harmless(&case, &contexts));
            if !untouched(dir.path()) {
                panic!("seed {seed}: the harmless script leaves files:\n{}", case.text);
            }
            count.runs += 1;
            if status.is_none() {
                // A shell's own fault; there is nothing to compare.
                count.endless += 1;
                continue;
            }
            let (woven_status, woven_output) = run(shell, dir.path(), &woven(&case, &contexts));
            let wanted = expected(&case, &output);
            let why = if !untouched(dir.path()) {
                for entry in std::fs::read_dir(dir.path()).expect("the directory is there").flatten() {
                    let _ = std::fs::remove_file(entry.path());
                }
                "SOMETHING HOSTILE RAN"
            } else if woven_output != wanted {
                "the output differs"
            } else if status != woven_status {
                "the exit code differs"
            } else {
                continue;
            };
            wrong.push(format!(
                "seed {seed}, {}: {why} ({status:?}, {woven_status:?})\n--- text\n{}\n--- values {:?}\n--- wanted\n{}\n--- got\n{}",
                shell.name,
                case.text,
                case.values,
                String::from_utf8_lossy(&wanted),
                String::from_utf8_lossy(&woven_output)
            ));
            break;
        }
    }
    let names: Vec<&str> = shells.iter().map(|s| s.name).collect();
    eprintln!("{count:?} in {names:?}; refused for {reasons:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n=====\n"));
    assert!(count.read > 20, "too few scripts were read: {count:?}");
    assert!(count.refused * 8 < count.read, "too many scripts are refused: {count:?}, {reasons:?}");
    assert!(count.failed_scripts * 20 < count.runs, "too many scripts are no shell scripts: {count:?}");
}

/// Every hostile value in every simple place, in every shell.
#[test]
fn every_value_in_every_place() {
    let places = [
        "p ${{ x }}",
        "p a${{ x }}b",
        "p \"${{ x }}\"",
        "p '${{ x }}'",
        "p \"a 'b ${{ x }}' c\"",
        "p 'a \"b ${{ x }}\" c'",
        "cat <<EOF\n${{ x }}.\nEOF",
        "cat <<-EOF\n\t${{ x }}.\n\tEOF",
        "cat <<EOF\n$(p ${{ x }})'${{ x }}'\"${{ x }}\".\nEOF",
        "p \"$(p \"$(p ${{ x }})\" '${{ x }}')\"",
        "v=${{ x }}; p \"$v\"",
        "v='${{ x }}' export v; p \"$v\"",
        "export v=${{ x }}; p \"$v\"",
        "for v in ${{ x }} a; do p \"$v\"; done",
        "case a in ${{ x }}) p no;; *) p yes;; esac",
        "case ${{ x }} in ${{ x }}) p same;; *) p no;; esac",
        "x=$(case a in a) p ${{ x }};; esac); p \"$x\"",
        "[ a = ${{ x }} ] || p differ",
        "f() { p \"$@\"; }; f ${{ x }} '${{ x }}'",
        "p a # ${{ x }}",
        "sh -c 'printf \"<%s>\" \"$1\"' sh ${{ x }}",
        "p ${{ x }} | cat",
        "(p ${{ x }}) && { p ${{ x }}; }",
    ];
    let shells = shells();
    let dir = tempfile::tempdir().expect("a temporary directory");
    for shell in &shells {
        for place in places {
            let holes: Vec<Hole> = place
                .match_indices("${{ x }}")
                .map(|(start, found)| Hole { start, end: start + found.len(), kind: HoleKind::Text })
                .collect();
            let contexts = read(Dialect::Sh, place, &holes).unwrap_or_else(|r| panic!("{place}: {r:?}"));
            let mut case = Case { text: place.to_owned(), values: Vec::new(), forbidden: false, holes };
            // The harmless values are the same where the hostile ones are.
            let mut script = harmless(&case, &contexts);
            for index in 1..case.holes.len() {
                script = script.replace(&token(index), &token(0));
            }
            let (status, output) = run(shell, dir.path(), &script);
            for value in HOSTILE {
                case.values = vec![(*value).to_owned(); case.holes.len()];
                let (woven_status, woven_output) = run(shell, dir.path(), &woven(&case, &contexts));
                assert!(untouched(dir.path()), "{}: {value:?} ran in {place}", shell.name);
                let got = String::from_utf8_lossy(&woven_output).into_owned();
                let wanted = String::from_utf8_lossy(&expected(&case, &output)).into_owned();
                assert_eq!(got, wanted, "{}: {value:?} in {place}", shell.name);
                assert_eq!(status, woven_status, "{}: {value:?} in {place}", shell.name);
            }
        }
    }
}

/// Ints of every size in arithmetic, and what isn't an int refused there.
#[test]
fn ints_in_arithmetic() {
    let shells = shells();
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (text, wanted) in [
        ("p $((${{ n }} + 1)) $((1 - ${{ n }})) $((- ${{ n }}))", "<{+1}><{1-}><{-}>\n"),
        ("p \"$((${{ n }} * 1))\" '${{ n }}' ${{ n }}", "<{}><{}><{}>\n"),
        ("cat <<EOF\n$((${{ n }}))\nEOF", "{}\n"),
    ] {
        let holes: Vec<Hole> = text
            .match_indices("${{ n }}")
            .map(|(start, found)| Hole { start, end: start + found.len(), kind: HoleKind::Int })
            .collect();
        let contexts = read(Dialect::Sh, text, &holes).expect("ints may stand in arithmetic");
        for value in [0i64, 7, -7, 8, 1_000_000, i64::from(i32::MIN), 9_007_199_254_740_993] {
            let wanted = wanted
                .replace("{+1}", &(value + 1).to_string())
                .replace("{1-}", &(1 - value).to_string())
                .replace("{-}", &(-value).to_string())
                .replace("{}", &value.to_string());
            let case = Case {
                text: text.to_owned(),
                holes: holes.clone(),
                values: vec![value.to_string(); holes.len()],
                forbidden: false,
            };
            for shell in &shells {
                // mksh counts with 32 bits.
                if shell.name == "mksh" && value.abs() >= 1 << 31 {
                    continue;
                }
                let (_, output) = run(shell, dir.path(), &woven(&case, &contexts));
                assert_eq!(String::from_utf8_lossy(&output), wanted, "{}: {value} in {text}", shell.name);
            }
        }
        let text_holes: Vec<Hole> = holes.iter().map(|h| Hole { kind: HoleKind::Text, ..*h }).collect();
        assert!(read(Dialect::Sh, text, &text_holes).is_err(), "{text}");
    }
}
