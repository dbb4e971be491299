//! Mutated files through the whole compiler: parse, check, lint, format, convert. Nothing may panic or hang, whatever
//! is found must lie inside the file, what is formatted must say the same and stay as it is, and time must grow no
//! faster than the file.
//!
//! Deterministic but for how far it gets: `VMWBUILD_FUZZ_SECONDS` sets the time (default 3), `VMWBUILD_FUZZ_SEED` the
//! first seed. A failure names the seed and shows the file.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use indexmap::IndexMap;
use vmwbuild::{
    cli::registry,
    diagnostic::{Problems, Severity, Style, render_all},
    format::format,
    import, lint,
    sema::{self, Files, Inputs, Purpose},
    source::{SourceId, Sources},
    syntax,
};

#[path = "common/random.rs"]
mod random;
use random::Random;

/// Longer than any mutated file may take, on the slowest machine.
const HANGS: Duration = Duration::from_secs(60);

/// The files beside the VMWfile: some that it includes, and nothing else.
struct Beside(Vec<(&'static str, String)>);

impl Files for Beside {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        let found = self.0.iter().find(|(name, _)| Path::new("/project").join(name) == path);
        found.map(|(_, text)| text.clone().into_bytes()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    fn is_dir(&self, path: &Path) -> std::io::Result<bool> {
        if path == Path::new("/project") { Ok(true) } else { self.read(path).map(|_| false) }
    }

    fn walk(&self, path: &Path) -> std::io::Result<Vec<PathBuf>> {
        self.read(path).map(|_| vec![path.to_owned()])
    }
}

fn beside() -> Beside {
    Beside(vec![
        ("small.vmwfile", "ARG size = \"small\"\n".to_owned()),
        ("self.vmwfile", "INCLUDE self.vmwfile\nARG a = 1\n".to_owned()),
        ("hosts.csv", "name,address\nweb1,10.0.0.1\nweb2,10.0.0.2\n".to_owned()),
        ("app.conf", "name = ${{ name }}\n".to_owned()),
    ])
}

fn inputs(purpose: Purpose) -> Inputs {
    Inputs {
        purpose,
        existing: None,
        args: IndexMap::new(),
        targets: Vec::new(),
        context: PathBuf::from("/project"),
        build_id: "20260102-03040506".into(),
        build_date: "2026-01-02T03:04:05Z".into(),
        project: "shop".into(),
    }
}

/// Everything that `lint` does with a file, shown too; how much was found.
fn checked(text: &str, purpose: Purpose, beside: &Beside) -> usize {
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let id = sources.add("VMWfile", Some(Path::new("/project/VMWfile")), text);
    let file = syntax::parse(&sources, id, &mut problems);
    let program = sema::check(&mut sources, &file, &inputs(purpose), beside, &mut problems);
    let files = [(id, &file)];
    let config = lint::Config::default();
    problems.extend(lint::lint(&files, program.as_ref(), &sources, &config));
    let found = lint::settle(problems, &files, &sources, &config, program.is_some()).sorted();
    assert!(program.is_some() || found.iter().any(|d| d.severity == Severity::Error), "no program, and no error");
    for diagnostic in &found {
        for label in diagnostic.primary.iter().chain(&diagnostic.secondary) {
            let (start, end) = (label.span.start as usize, label.span.end as usize);
            let whole = &sources.get(label.span.source).text;
            assert!(whole.get(start..end).is_some(), "{}: {start}..{end} is no place", diagnostic.code);
        }
        for edit in diagnostic.fix.iter().flat_map(|f| &f.edits) {
            let whole = &sources.get(edit.span.source).text;
            assert!(whole.get(edit.span.start as usize..edit.span.end as usize).is_some(), "{}", diagnostic.code);
        }
    }
    // What is shown is looked at where it is tested; here it must only come to an end.
    let few = found.iter().take(20);
    assert!(found.is_empty() || !render_all(few, &sources, Style::plain()).is_empty());
    if let Some(program) = program {
        let dag = vmwbuild::graph::lower(&program);
        assert!(dag.order().is_some(), "a cycle");
    }
    found.len()
}

fn parsed(text: &str) -> (Sources, syntax::ast::File, bool) {
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let id = sources.add("VMWfile", None, text);
    let file = syntax::parse(&sources, id, &mut problems);
    (sources, file, problems.has_errors())
}

fn formatted(text: &str) {
    let (sources, file, broken) = parsed(text);
    if broken {
        return;
    }
    let once = format(&file, &sources);
    let (sources, again, broken) = parsed(&once);
    assert!(!broken, "the formatted file has errors:\n{once}");
    assert!(syntax::same(&file, &again), "the formatted file says something else:\n{once}");
    assert_eq!(format(&again, &sources), once, "formatting twice changes it");
}

fn converted(text: &str) {
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let id: SourceId = sources.add("x.json", None, text);
    match import::convert(&sources, id, &import::Options::default(), &mut problems) {
        Some(made) => {
            let (_, _, broken) = parsed(&made.text);
            assert!(!broken, "what was made has errors:\n{}", made.text);
        }
        None => assert!(problems.has_errors(), "nothing made, and no error"),
    }
}

/// What a language of this kind stumbles over.
const BITS: &[&str] = &[
    "${{",
    "}}",
    "${{ a }}",
    "$${{",
    "\\\n",
    "\\",
    "<<EOF",
    "EOF\n",
    "<<-'E'",
    "\"",
    "'",
    "`",
    "#",
    "\n",
    "\r\n",
    "\t",
    " ",
    "--if=",
    "--",
    "=",
    ":",
    ",",
    "..",
    "|",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "$(",
    "$((",
    "é",
    "\u{feff}",
    "\u{202e}",
    "𝄞",
    "FROM a AS b\n",
    "FROM b AS c FOR n IN 1..3\n",
    "RUN ",
    "KEY k: int FROM RUN id\n",
    "COPY --from=a /x /y\n",
    "INCLUDE self.vmwfile\n",
    "INCLUDE small.vmwfile\n",
    "# vmw: allow(all)\n",
    "# escape=`\n",
    "ARG a: list<int> = [1]\n",
    "${{ a.k | default(\"x\") }}",
    "${{ self.ip }}",
    "9223372036854775807",
    "-1",
    "0x",
    "1h",
    "NOTE x\n",
    "SECRET s\n",
];

fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn mutated(random: &mut Random, corpus: &[String]) -> String {
    let mut text = corpus[random.below(corpus.len())].clone();
    for _ in 0..1 + random.below(6) {
        let a = boundary(&text, random.below(text.len() + 1));
        let b = boundary(&text, (a + random.below(24)).min(text.len()));
        match random.below(6) {
            0 => text.insert_str(a, random.one(BITS)),
            1 => text.replace_range(a.min(b)..b.max(a), random.one(BITS)),
            2 => text.replace_range(a.min(b)..b.max(a), ""),
            3 => {
                let part = text[a.min(b)..b.max(a)].to_owned();
                text.insert_str(a, &part);
            }
            4 => {
                let other = &corpus[random.below(corpus.len())];
                let from = boundary(other, random.below(other.len() + 1));
                let to = boundary(other, (from + random.below(200)).min(other.len()));
                text.insert_str(a, &other[from.min(to)..to.max(from)]);
            }
            _ => text.truncate(a.max(text.len() / 2).min(boundary(&text, a.max(text.len() / 2)))),
        }
    }
    text
}

/// The examples, every code's wrong and right example, and what the formatter is tested on.
fn vmwfiles() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = vec![include_str!("../src/format/untidy.vmwfile").to_owned()];
    for entry in std::fs::read_dir(root.join("examples")).unwrap() {
        all.extend(std::fs::read_to_string(entry.unwrap().path().join("VMWfile")));
    }
    all.sort();
    all.extend(registry().iter().flat_map(|c| [c.wrong, c.right]).filter(|t| !t.is_empty()).map(str::to_owned));
    assert!(all.len() > 150, "only {} files", all.len());
    all
}

fn deployments() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vmwscript");
    let mut all: Vec<String> =
        std::fs::read_dir(directory).unwrap().map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap()).collect();
    all.sort();
    all
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |v| v.parse().unwrap())
}

/// Mutates files and tries them, until the time is over.
fn fuzz(corpus: Vec<String>, attempt: fn(&str)) {
    let until = Instant::now() + Duration::from_secs(setting("VMWBUILD_FUZZ_SECONDS", 3));
    let first = setting("VMWBUILD_FUZZ_SEED", 1);
    // Untouched first: a corpus that isn't read at all would find nothing.
    corpus.iter().for_each(|text| attempt(text));
    let (tell, told) = channel();
    let worker = std::thread::spawn(move || {
        let mut seed = first;
        loop {
            let text = mutated(&mut Random(seed), &corpus);
            if tell.send((seed, text.clone())).is_err() {
                return;
            }
            attempt(&text);
            seed += 1;
        }
    });
    let (mut last, mut tried) = (None, 0);
    while Instant::now() < until || tried < 20 {
        match told.recv_timeout(HANGS) {
            Ok(case) => (last, tried) = (Some(case), tried + 1),
            Err(RecvTimeoutError::Timeout) => panic!("hangs: {last:?}"),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drop(told);
    if worker.join().is_err() {
        let (seed, text) = last.unwrap();
        panic!("VMWBUILD_FUZZ_SEED={seed} fails, after {tried} files, on:\n{text}\n{text:?}");
    }
}

#[test]
fn mutated_files_are_checked() {
    fuzz(vmwfiles(), |text| {
        checked(text, Purpose::Lint, &beside());
        checked(text, Purpose::Build, &beside());
    });
}

#[test]
fn mutated_files_are_formatted() {
    fuzz(vmwfiles(), formatted);
}

#[test]
fn mutated_deployments_are_converted() {
    fuzz(deployments(), converted);
}

/// The processor time of this thread: what others do on the machine doesn't count.
fn work(f: impl Fn()) -> Duration {
    let now = || {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
    };
    // The less of two: a cache that others have emptied makes it only slower.
    let once = || {
        let start = now();
        f();
        now() - start
    };
    (0..2).map(|_| once()).min().unwrap()
}

/// Files of `n` parts that make a careless compiler look at the same again and again.
fn adversaries(n: usize) -> Vec<(&'static str, String)> {
    let lines = |line: &dyn Fn(usize) -> String| (0..n).map(line).collect::<String>();
    let stage = "FROM debian AS a\n";
    vec![
        ("deep parentheses", format!("{stage}KEY k = {}1{}\n", "(".repeat(n), ")".repeat(n))),
        ("a long line", format!("{stage}RUN echo {}\n", "word ".repeat(n))),
        ("a long line of values", format!("ARG v = 1\n{stage}RUN echo {}\n", "${{ v }} ".repeat(n / 8))),
        ("many lines", format!("{stage}{}", lines(&|i| format!("RUN echo {i} > /tmp/{i}\n")))),
        ("many heredocs", format!("{stage}{}", lines(&|i| format!("RUN <<E{i}\necho {i}\nE{i}\n")))),
        ("unended heredocs", format!("{stage}{}", lines(&|i| format!("RUN <<E{i}\necho {i}\n")))),
        ("many errors", format!("{stage}{}", lines(&|i| format!("RUNN {i}\n")))),
        ("many wrong names", format!("{stage}{}", lines(&|i| format!("RUN echo ${{{{ x{i} }}}}\n")))),
        ("many includes", format!("{}{stage}", "INCLUDE small.vmwfile\n".repeat(n))),
        ("many ARGs", format!("{}{stage}", lines(&|i| format!("ARG a{i} = {i}\n")))),
        ("many keys", format!("{stage}{}", lines(&|i| format!("KEY k{i} FROM RUN id\n")))),
        (
            "a chain of keys",
            format!(
                "{stage}KEY k0 = 1\n{}",
                (1..n).map(|i| format!("KEY k{i} = k{} + 1\n", i - 1)).collect::<String>()
            ),
        ),
        ("many stages", lines(&|i| format!("FROM debian AS s{i}\nRUN true\n"))),
        (
            "a chain of stages",
            format!(
                "FROM debian AS s0\n{}",
                (1..n).map(|i| format!("FROM s{} AS s{i}\nRUN true\n", i - 1)).collect::<String>()
            ),
        ),
        ("many pragmas", format!("{stage}{}", lines(&|i| format!("# vmw: allow(cd-lost)\nRUN echo {i}\n")))),
        ("continued lines", format!("{stage}RUN echo {}x\n", "a \\\n".repeat(20 * n))),
        ("many comments", format!("{}{stage}", "# words\n".repeat(n))),
        ("many variables", format!("{stage}{}RUN env\n", lines(&|i| format!("ENV V{i}={i}\n")))),
    ]
}

/// Files of `n` wrong names beside as many right ones: each wrong one is like many of the right ones.
fn wrong_names(n: usize) -> Vec<(&'static str, String)> {
    let lines = |line: &dyn Fn(usize) -> String| (0..n).map(line).collect::<String>();
    let stage = "FROM debian AS a\n";
    let args = lines(&|i| format!("ARG value_{i} = {i}\n"));
    let keys = lines(&|i| format!("KEY key_{i} = {i}\n"));
    vec![
        ("names", format!("{args}{stage}{}", lines(&|i| format!("RUN echo ${{{{ vlaue_{i}x }}}}\n")))),
        ("keys", format!("{stage}{keys}FROM debian AS b\n{}", lines(&|i| format!("RUN echo ${{{{ a.kye_{i}x }}}}\n")))),
        ("stages", lines(&|i| format!("FROM debian AS web_{i}\nRUN --after=wbe_{i}x true\n"))),
        ("names in stages", lines(&|i| format!("FROM debian AS web_{i}\nRUN echo ${{{{ wbe_{i}x.ip }}}}\n"))),
    ]
}

#[test]
fn wrong_names_take_time_as_the_file_grows() {
    // More than are kept, so that most of them are only counted.
    const SMALL: usize = if cfg!(debug_assertions) { 400 } else { 1250 };
    let mut slow = Vec::new();
    for ((what, small), (_, large)) in wrong_names(SMALL).into_iter().zip(wrong_names(4 * SMALL)) {
        let beside = beside();
        let check = |text: &str| assert!(checked(text, Purpose::Lint, &beside) > 0);
        let (a, b) = (work(|| check(&small)), work(|| check(&large)));
        println!("{what}: {a:?}, {b:?}");
        if b > a * 9 || b > Duration::from_secs(20) {
            slow.push(format!("{what}: {a:?}, and {b:?} for four times the file"));
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

/// Four times the file may take nine times as long: caches get cold, tables grow. What is quadratic takes sixteen.
#[test]
fn time_grows_as_the_file() {
    // Without optimisation everything takes ten times as long.
    const SMALL: usize = if cfg!(debug_assertions) { 100 } else { 600 };
    let mut slow = Vec::new();
    for ((what, small), (_, large)) in adversaries(SMALL).into_iter().zip(adversaries(4 * SMALL)) {
        let beside = beside();
        for (how, attempt) in [
            ("check", &(|t: &str| assert!(checked(t, Purpose::Lint, &beside) < usize::MAX)) as &dyn Fn(&str)),
            ("format", &(|t: &str| formatted(t))),
        ] {
            let (a, b) = (work(|| attempt(&small)), work(|| attempt(&large)));
            println!("{how}, {what}: {a:?}, {b:?}");
            // Below that the clock tells nothing.
            if b > Duration::from_millis(20) && b > a * 9 {
                slow.push(format!("{how}, {what}: {a:?}, and {b:?} for four times the file"));
            }
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

/// A deployment that grows.
#[test]
fn converting_takes_time_as_the_file_grows() {
    let deployment = |n: usize| {
        let command = |i: usize| format!("{{\"type\":\"execute\",\"note\":\"n{i}\",\"cmd\":\"echo {i}\"}}");
        let commands: Vec<String> = (0..n).map(command).collect();
        format!(
            "{{\"deployment\":[{{\"name\":\"a\",\"task\":{{\"inputTemplate\":\"debian\",\"outputType\":\"Template\",\
             \"outputName\":\"out\",\"commands\":[{}]}}}}]}}",
            commands.join(",")
        )
    };
    let (small, large) = (deployment(500), deployment(2000));
    let (a, b) = (work(|| converted(&small)), work(|| converted(&large)));
    assert!(b < Duration::from_millis(20) || b < a * 9, "{a:?}, and {b:?} for four times the file");
}
