//! The language server, driven over its standard input and output as an editor does it.

#![allow(clippy::unwrap_used)] // a test may

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Far longer than any answer takes.
const LATE: Duration = Duration::from_secs(60);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// An editor with its server.
struct Editor {
    server: Child,
    stdin: ChildStdin,
    messages: Receiver<Value>,
    directory: tempfile::TempDir,
    next: i64,
    versions: HashMap<String, i64>,
    /// What was told last of each file: version and diagnostics.
    told: BTreeMap<String, (Option<i64>, Vec<Value>)>,
    started: Value,
}

impl Editor {
    fn new(files: &[(&str, &str)]) -> Editor {
        Editor::with(files, json!({ "general": { "positionEncodings": ["utf-8", "utf-16"] } }))
    }

    fn with(files: &[(&str, &str)], capabilities: Value) -> Editor {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut server = Command::new(env!("CARGO_BIN_EXE_vmwbuild"))
            .args(["lsp", "--stdio"])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let stdin = server.stdin.take().unwrap();
        let mut stdout = BufReader::new(server.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            while let Some(message) = read(&mut stdout) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut editor = Editor {
            server,
            stdin,
            messages,
            directory,
            next: 0,
            versions: HashMap::new(),
            told: BTreeMap::new(),
            started: Value::Null,
        };
        editor.started = editor.ask(
            "initialize",
            json!({ "processId": null, "rootUri": null, "capabilities": capabilities,
                    "initializationOptions": { "diagnosticsPage": "https://example.org/diagnostics" } }),
        );
        editor.tell("initialized", json!({}));
        editor
    }

    /// What the server has used of processors so far: Linux counts it in hundredths of a second. Nothing elsewhere.
    fn processor_time(&self) -> Duration {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", self.server.id())) else {
            return Duration::ZERO;
        };
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = |n: usize| fields.split(' ').nth(n).unwrap().parse::<u64>().unwrap();
        Duration::from_millis(10 * (ticks(11) + ticks(12)))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn uri(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.stdin, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.stdin.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn post(&mut self, method: &str, params: Value) -> i64 {
        self.next += 1;
        let id = self.next;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// The answer, or the error as `{"error": message}`.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.post(method, params);
        loop {
            let message = self.receive();
            if message["id"] == id {
                return match message.get("error") {
                    Some(error) => json!({ "error": error["message"] }),
                    None => message["result"].clone(),
                };
            }
        }
    }

    fn receive(&mut self) -> Value {
        let message = self.messages.recv_timeout(LATE).expect("the server answers");
        if message["method"] == "textDocument/publishDiagnostics" {
            let params = &message["params"];
            let list = params["diagnostics"].as_array().unwrap().clone();
            self.told.insert(params["uri"].as_str().unwrap().to_owned(), (params["version"].as_i64(), list));
        }
        message
    }

    fn open(&mut self, name: &str, text: &str) {
        let uri = self.uri(name);
        self.versions.insert(uri.clone(), 1);
        let document = json!({ "uri": uri, "languageId": "vmwfile", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
    }

    /// Changes a range, or everything; the new version.
    fn change(&mut self, name: &str, range: Option<Value>, text: &str) -> i64 {
        let uri = self.uri(name);
        let version = self.versions.get_mut(&uri).unwrap();
        *version += 1;
        let version = *version;
        let change = match range {
            Some(range) => json!({ "range": range, "text": text }),
            None => json!({ "text": text }),
        };
        let document = json!({ "uri": uri, "version": version });
        self.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": [change] }));
        version
    }

    /// Waits until the newest version of a file is reported on; the diagnostics.
    fn diagnostics(&mut self, name: &str) -> Vec<Value> {
        let uri = self.uri(name);
        let version = self.versions[&uri];
        loop {
            if let Some((told, list)) = self.told.get(&uri)
                && *told == Some(version)
            {
                return list.clone();
            }
            self.receive();
        }
    }

    fn at(&self, name: &str, place: (u32, u32)) -> Value {
        json!({ "textDocument": { "uri": self.uri(name) }, "position": { "line": place.0, "character": place.1 } })
    }

    /// An answer as text, with the directory's name taken out.
    fn shown(&self, value: &Value) -> String {
        let text = serde_json::to_string_pretty(value).unwrap();
        text.replace(&self.uri(""), "file:///")
    }

    fn end(mut self) {
        assert_eq!(self.ask("shutdown", Value::Null), Value::Null);
        self.tell("exit", Value::Null);
        assert!(self.server.wait().unwrap().success());
    }
}

fn read(stream: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

/// Line and character of the `n`th occurrence of a word.
fn place(text: &str, word: &str, n: usize) -> (u32, u32) {
    let (at, _) = text.match_indices(word).nth(n).unwrap_or_else(|| panic!("no `{word}` number {n}"));
    let line = text[..at].matches('\n').count();
    let start = text[..at].rfind('\n').map_or(0, |l| l + 1);
    (line as u32, (at - start) as u32)
}

const PLATFORM: &str = "\
ARG workers: int = 2
SECRET pw
INCLUDE common.vmwfile
FROM debian AS base
RUN apt-get install -qy docker.io
FROM base AS manager
OUTPUT VM manager
LOGIN root PASSWORD ${{ pw }}
RUN docker swarm init
KEY token: secret FROM RUN docker swarm join-token -q worker
KEY count = workers + 1
FROM base AS worker FOR n IN 1..${{ workers }}
OUTPUT VM worker-${{ n }}
RUN <<EOF
# comment
docker swarm join --token ${{ manager.token }} ${{ manager.ip }}
EOF
RUN --after=manager.token echo ${{ manager.count | pad(3) }} ${{ site }}
COPY common.vmwfile /etc/
";

const COMMON: &str = "ARG site = \"lab\"\n";

fn platform() -> Editor {
    let mut editor = Editor::new(&[("VMWfile", PLATFORM), ("common.vmwfile", COMMON)]);
    editor.open("VMWfile", PLATFORM);
    editor
}

#[test]
fn it_says_what_it_can_do() {
    let editor = Editor::new(&[]);
    insta::assert_snapshot!("capabilities", editor.shown(&editor.started["capabilities"]));
    editor.end();
    let editor = Editor::with(&[], json!({}));
    assert_eq!(editor.started["capabilities"]["positionEncoding"], "utf-16");
    editor.end();
}

#[test]
fn diagnostics_have_related_places_codes_and_links() {
    let text = "FROM debian AS a\nFROM debian AS a\nRUN echo ${{ x }}\n";
    let mut editor = Editor::new(&[]);
    editor.open("VMWfile", text);
    let list = editor.diagnostics("VMWfile");
    insta::assert_snapshot!("diagnostics", editor.shown(&Value::Array(list)));
    editor.end();
}

#[test]
fn what_is_mended_is_told_and_nothing_stale() {
    let mut editor = Editor::new(&[]);
    editor.open("VMWfile", "FROM debian AS a\nRUNN x\n");
    assert_eq!(editor.diagnostics("VMWfile").len(), 1);
    let range = json!({ "start": { "line": 1, "character": 0 }, "end": { "line": 1, "character": 4 } });
    editor.change("VMWfile", Some(range), "RUN");
    assert_eq!(editor.diagnostics("VMWfile"), Vec::<Value>::new());
    // Many changes at once: what is told is of versions that were there, and the last is told.
    for n in 0..200 {
        let text = if n % 2 == 0 { "FROM debian AS a\nRUNN x\n" } else { "FROM debian AS a\nRUN x\n" };
        editor.change("VMWfile", None, text);
    }
    assert_eq!(editor.diagnostics("VMWfile"), Vec::<Value>::new());
    let uri = editor.uri("VMWfile");
    editor.tell("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
    let symbols = editor.ask("textDocument/documentSymbol", json!({ "textDocument": { "uri": uri } }));
    assert!(symbols["error"].is_string(), "{symbols}");
    editor.end();
}

#[test]
fn an_included_file_is_checked_as_part_of_what_includes_it() {
    let main = "INCLUDE names.vmwfile\nFROM debian AS a\nRUN echo ${{ site }}\n";
    let mut editor = Editor::new(&[("VMWfile", main), ("names.vmwfile", "ARG site = \"lab\"\n")]);
    // The main file isn't even open.
    editor.open("names.vmwfile", "ARG site = \"lab\"\n");
    assert_eq!(editor.diagnostics("names.vmwfile"), Vec::<Value>::new());
    let references = json!({ "textDocument": { "uri": editor.uri("names.vmwfile") },
        "position": { "line": 0, "character": 5 }, "context": { "includeDeclaration": true } });
    let found = editor.ask("textDocument/references", references);
    assert_eq!(found.as_array().unwrap().len(), 2, "{found}");
    // Renamed in the included file, the name is missing in the main file.
    editor.change("names.vmwfile", None, "ARG other = \"lab\"\n");
    editor.diagnostics("names.vmwfile");
    let uri = editor.uri("VMWfile");
    while !editor.told.get(&uri).is_some_and(|(_, list)| list.iter().any(|d| d["severity"] == 1)) {
        editor.receive();
    }
    editor.end();
}

#[test]
fn names_are_found_in_every_place() {
    let mut editor = platform();
    let mut out = String::new();
    for (word, nth, within) in [
        ("workers", 0, 2),
        ("pw", 1, 0),
        ("base", 1, 0),
        ("manager.token", 0, 9),
        ("manager.token", 1, 9),
        ("site", 0, 1),
        ("n }}", 0, 0),
    ] {
        let (line, character) = place(PLATFORM, word, nth);
        let at = editor.at("VMWfile", (line, character + within));
        let definition = editor.ask("textDocument/definition", at.clone());
        let mut params = at.clone();
        params["context"] = json!({ "includeDeclaration": true });
        let references = editor.ask("textDocument/references", params);
        let highlights = editor.ask("textDocument/documentHighlight", at.clone());
        let hover = editor.ask("textDocument/hover", at);
        let short = |v: &Value| {
            let range = v.get("range").unwrap_or(v);
            format!("{}:{}", range["start"]["line"], range["start"]["character"])
        };
        let list = |v: &Value| v.as_array().unwrap().iter().map(short).collect::<Vec<_>>().join(" ");
        out.push_str(&format!(
            "{word}: defined {}, used {}, highlighted {}\n{}\n\n",
            short(&definition),
            list(&references),
            list(&highlights),
            hover["contents"]["value"].as_str().unwrap_or("-")
        ));
    }
    insta::assert_snapshot!("names", out);
    editor.end();
}

#[test]
fn hover_tells_of_instructions_flags_and_filters() {
    let mut editor = platform();
    let mut out = String::new();
    for (word, nth) in [("FROM", 0), ("--after", 0), ("pad", 0)] {
        let at = editor.at("VMWfile", place(PLATFORM, word, nth));
        let hover = editor.ask("textDocument/hover", at);
        out.push_str(&format!("{}\n\n", hover["contents"]["value"].as_str().unwrap()));
    }
    insta::assert_snapshot!("hover", out);
    let at = editor.at("VMWfile", place(PLATFORM, "docker swarm init", 0));
    assert_eq!(editor.ask("textDocument/hover", at), Value::Null);
    editor.end();
}

/// Applies the edits to a file's text.
fn edited(text: &str, edits: &Value) -> String {
    let offset = |p: &Value| {
        let line = p["line"].as_u64().unwrap() as usize;
        let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        start + p["character"].as_u64().unwrap() as usize
    };
    let list = edits.as_array().unwrap().iter();
    let mut all: Vec<(usize, usize, &str)> = list
        .map(|e| (offset(&e["range"]["start"]), offset(&e["range"]["end"]), e["newText"].as_str().unwrap()))
        .collect();
    all.sort_unstable();
    let mut text = text.to_owned();
    for (start, end, new) in all.into_iter().rev() {
        text.replace_range(start..end, new);
    }
    text
}

#[test]
fn renaming_reaches_stages_heredocs_and_included_files() {
    let mut editor = platform();
    let mut out = String::new();
    for (word, nth, within, new) in [
        ("manager", 0, 0, "boss"),
        ("base", 0, 0, "ground"),
        ("token", 0, 0, "join"),
        ("site", 0, 0, "place"),
        ("n IN", 0, 0, "number"),
    ] {
        let (line, character) = place(PLATFORM, word, nth);
        let mut params = editor.at("VMWfile", (line, character + within));
        assert!(editor.ask("textDocument/prepareRename", params.clone())["placeholder"].is_string());
        params["newName"] = new.into();
        let edit = editor.ask("textDocument/rename", params);
        let changes = edit["changes"].as_object().unwrap_or_else(|| panic!("{word}: {edit}"));
        // The protocol has no order of files.
        let changes: BTreeMap<_, _> = changes.iter().collect();
        for (uri, edits) in changes {
            let name = uri.rsplit('/').next().unwrap();
            let text = edited(if name == "VMWfile" { PLATFORM } else { COMMON }, edits);
            let diff = similar::TextDiff::from_lines(if name == "VMWfile" { PLATFORM } else { COMMON }, &text)
                .unified_diff()
                .context_radius(0)
                .to_string();
            out.push_str(&format!("{word} to {new}, {name}:\n{diff}\n"));
        }
    }
    insta::assert_snapshot!("rename", out);
    for (word, new) in [("pw", "workers"), ("pw", "two words"), ("token", "ip"), ("docker", "x")] {
        let mut params = editor.at("VMWfile", place(PLATFORM, word, 0));
        params["newName"] = new.into();
        let said = editor.ask("textDocument/rename", params);
        assert!(said["error"].is_string(), "{word} to {new}: {said}");
    }
    editor.end();
}

#[test]
fn completion_knows_what_can_stand_where() {
    let mut editor = Editor::new(&[("VMWfile", ""), ("site/index.html", ""), ("app.conf", "")]);
    editor.open("VMWfile", "");
    let before = "ARG n: int = 2\nSECRET pw\nFROM debian AS web\nKEY id FROM RUN id\nKEY count: int FROM RUN wc\nFROM web AS app\n";
    let mut out = String::new();
    for typed in [
        "",
        "RU",
        "RUN --",
        "OUTPUT --exists=",
        "COPY --from=",
        "COPY si",
        "COPY site/",
        "INCLUDE ",
        "FROM ",
        "FROM x ",
        "KEY k: ",
        "RUN echo ${{ ",
        "RUN echo ${{ web.",
        "RUN echo ${{ web.id | ",
        "RUN echo a \\\n  ${{ web.co",
        "RUN <<E\necho ${{ self.",
        "ENV A=1 ",
        "WAIT ",
        "RUN wh",
    ] {
        let text = format!("{before}{typed}");
        editor.change("VMWfile", None, &text);
        let line = text.matches('\n').count() as u32;
        let character = text.rsplit('\n').next().unwrap().len() as u32;
        let params = editor.at("VMWfile", (line, character));
        let answer = editor.ask("textDocument/completion", params);
        let items = answer.as_array().unwrap();
        let labels: Vec<&str> = items.iter().map(|i| i["label"].as_str().unwrap()).collect();
        let shown = if labels.len() > 30 {
            format!("{} items, {}…", labels.len(), labels[..5].join(" "))
        } else {
            labels.join(" ")
        };
        out.push_str(&format!("{typed:?}: {shown}\n"));
        for item in items {
            // What is replaced ends at the cursor.
            assert_eq!(item["textEdit"]["range"]["end"], json!({ "line": line, "character": character }));
        }
    }
    insta::assert_snapshot!("completion", out);
    editor.end();
}

#[test]
fn the_shape_of_a_file() {
    let mut editor = platform();
    let document = json!({ "textDocument": { "uri": editor.uri("VMWfile") } });
    let symbols = editor.ask("textDocument/documentSymbol", document.clone());
    fn tree(list: &Value, depth: usize, out: &mut String) {
        for symbol in list.as_array().into_iter().flatten() {
            let range = &symbol["range"];
            let lines = format!("{}-{}", range["start"]["line"], range["end"]["line"]);
            out.push_str(&format!("{}{} ({lines})\n", "  ".repeat(depth), symbol["name"].as_str().unwrap()));
            tree(&symbol["children"], depth + 1, out);
        }
    }
    let mut out = String::new();
    tree(&symbols, 0, &mut out);
    let folds = editor.ask("textDocument/foldingRange", document.clone());
    for fold in folds.as_array().unwrap() {
        out.push_str(&format!("fold {}-{} {}\n", fold["startLine"], fold["endLine"], fold["kind"]));
    }
    let links = editor.ask("textDocument/documentLink", document.clone());
    for link in links.as_array().unwrap() {
        let target = editor.shown(&link["target"]);
        out.push_str(&format!("link line {} to {target}\n", link["range"]["start"]["line"]));
    }
    let mut params = document.clone();
    let (line, character) = place(PLATFORM, "manager.token", 0);
    params["positions"] = json!([{ "line": line, "character": character + 10 }]);
    let selection = editor.ask("textDocument/selectionRange", params);
    let mut at = &selection[0];
    while !at.is_null() {
        let (start, end) = (&at["range"]["start"], &at["range"]["end"]);
        out.push_str(&format!(
            "select {}:{} to {}:{}\n",
            start["line"], start["character"], end["line"], end["character"]
        ));
        at = &at["parent"];
    }
    let mut params = document.clone();
    params["range"] = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 99, "character": 0 } });
    for hint in editor.ask("textDocument/inlayHint", params).as_array().unwrap() {
        out.push_str(&format!("hint line {}: {}\n", hint["position"]["line"], hint["label"].as_str().unwrap()));
    }
    insta::assert_snapshot!("shape", out);

    let legend = editor.started["capabilities"]["semanticTokensProvider"]["legend"]["tokenTypes"].clone();
    let tokens = editor.ask("textDocument/semanticTokens/full", document);
    let data: Vec<u64> = tokens["data"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    let lines: Vec<&str> = PLATFORM.lines().collect();
    let (mut line, mut character, mut out) = (0, 0, String::new());
    for token in data.chunks(5) {
        character = if token[0] == 0 { character + token[1] } else { token[1] };
        line += token[0];
        let text = &lines[line as usize][character as usize..(character + token[2]) as usize];
        out.push_str(&format!("{line}: {text} {}\n", legend[token[3] as usize].as_str().unwrap()));
    }
    insta::assert_snapshot!("tokens", out);
    editor.end();
}

#[test]
fn mends_and_pragmas_are_offered() {
    let text = "FROM debian AS a\nOUTPUT VM a\nRUN apt-get install nginx\nRUN echo ${{ bild.id }}\n";
    let mut editor = Editor::new(&[]);
    editor.open("VMWfile", text);
    let mut params = json!({ "textDocument": { "uri": editor.uri("VMWfile") }, "context": { "diagnostics": [] } });
    params["range"] = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 9, "character": 0 } });
    let actions = editor.ask("textDocument/codeAction", params);
    let uri = editor.uri("VMWfile");
    let mut out = String::new();
    for action in actions.as_array().unwrap() {
        assert_eq!(action["kind"], "quickfix");
        let changed = edited(text, &action["edit"]["changes"][&uri]);
        let diff = similar::TextDiff::from_lines(text, &changed).unified_diff().context_radius(0).to_string();
        out.push_str(&format!("{}\n{diff}\n", action["title"].as_str().unwrap()));
    }
    insta::assert_snapshot!("actions", out);
    editor.end();
}

/// Titles of what is offered for a selection, with what the file becomes.
fn offered(editor: &mut Editor, text: &str, selected: &str, nth: usize, empty: bool) -> String {
    let (line, character) = place(text, selected, nth);
    let end = if empty { character } else { character + selected.len() as u32 };
    let mut params = json!({ "textDocument": { "uri": editor.uri("VMWfile") } });
    params["context"] = json!({ "diagnostics": [], "only": ["refactor"] });
    params["range"] =
        json!({ "start": { "line": line, "character": character }, "end": { "line": line, "character": end } });
    let actions = editor.ask("textDocument/codeAction", params);
    let uri = editor.uri("VMWfile");
    let mut out = format!("==== {selected}{}\n", if empty { ", the cursor at it" } else { "" });
    for action in actions.as_array().unwrap().iter().filter(|a| a["kind"] == "refactor.extract") {
        let changed = edited(text, &action["edit"]["changes"][&uri]);
        let diff = similar::TextDiff::from_lines(text, &changed).unified_diff().context_radius(0).to_string();
        out.push_str(&format!("{}\n{diff}\n", action["title"].as_str().unwrap()));
        // What is made is right, and says what it said: the same file as anyone would read it.
        editor.change("VMWfile", None, &changed);
        let errors = editor.diagnostics("VMWfile").into_iter().filter(|d| d["severity"] == 1).count();
        assert_eq!(errors, 0, "{changed}");
        editor.change("VMWfile", None, text);
        editor.diagnostics("VMWfile");
    }
    out
}

#[test]
fn literals_become_args_and_secrets() {
    let text = "# Web servers.\n\nARG site = \"lab\"\nARG key = \"hunter2\"\n\nFROM debian-12 AS web\nOUTPUT VM web\n\
                MEMORY 8GB\nCPU 4\nLABEL owner=\"web team\" cost=8080\nLOGIN root PASSWORD hunter2\n\
                RUN --timeout=10m curl -f http://localhost:8080/ || echo 'port 8080'\n\
                COPY <<EOF /etc/web.conf\nlisten 8080\nEOF\nKEY port: int = 8080 + 1\n\
                COPY <<'EOF' /etc/raw.conf\nlisten 8081\nEOF\n";
    let mut editor = Editor::new(&[]);
    editor.open("VMWfile", text);
    assert!(editor.diagnostics("VMWfile").iter().all(|d| d["severity"] != 1));
    let mut out = String::new();
    for (selected, nth, empty) in [
        ("8GB", 0, true),
        ("4", 0, true),
        ("\"web team\"", 0, false),
        ("hunter2", 0, true),
        ("hunter2", 1, true),
        ("10m", 0, true),
        ("8080", 0, true),
        ("8080", 1, false),
        ("8080", 3, true),
        ("8080 + 1", 0, true),
        ("localhost", 0, false),
        ("curl", 0, true),
        ("8081", 0, true),
        ("debian-12", 0, true),
    ] {
        out.push_str(&offered(&mut editor, text, selected, nth, empty));
    }
    insta::assert_snapshot!("extracted", out);
    // A client that wants mends only isn't told of them.
    let mut params = json!({ "textDocument": { "uri": editor.uri("VMWfile") } });
    params["context"] = json!({ "diagnostics": [], "only": ["quickfix"] });
    let at = json!({ "line": 8, "character": 4 });
    params["range"] = json!({ "start": at, "end": at });
    let actions = editor.ask("textDocument/codeAction", params);
    assert!(actions.as_array().unwrap().iter().all(|a| a["kind"] == "quickfix"), "{actions}");
    editor.end();
}

/// Edits in an order, with the versions that they are of, for clients that take them.
#[test]
fn edits_are_ordered_and_versioned() {
    let capabilities = json!({
        "general": { "positionEncodings": ["utf-8"] },
        "workspace": { "workspaceEdit": { "documentChanges": true } },
    });
    let mut editor = Editor::with(&[("b.vmwfile", "ARG site = \"lab\"\n")], capabilities);
    let text = "INCLUDE b.vmwfile\nFROM debian AS a\nOUTPUT VM a-${{ site }}\nRUN echo ${{ site }}\n";
    editor.open("VMWfile", text);
    let mut params = editor.at("VMWfile", place(text, "site", 0));
    params["newName"] = "place".into();
    let edit = editor.ask("textDocument/rename", params);
    assert!(edit["changes"].is_null(), "{edit}");
    let changes = edit["documentChanges"].as_array().unwrap();
    let ids: Vec<&Value> = changes.iter().map(|change| &change["textDocument"]).collect();
    assert_eq!(
        ids,
        [
            &json!({ "uri": editor.uri("VMWfile"), "version": 1 }),
            // Not open: as it is on the disk.
            &json!({ "uri": editor.uri("b.vmwfile"), "version": null }),
        ]
    );
    assert_eq!(edited(text, &changes[0]["edits"]), text.replace("site", "place"));
    editor.end();
}

#[test]
fn files_and_ranges_are_formatted() {
    let text = "from  debian as a\nrun   one\n\n\n\nrun two\n";
    let mut editor = Editor::new(&[]);
    editor.open("VMWfile", text);
    let mut params = json!({ "textDocument": { "uri": editor.uri("VMWfile") },
        "options": { "tabSize": 4, "insertSpaces": true } });
    let edits = editor.ask("textDocument/formatting", params.clone());
    assert_eq!(edited(text, &edits), "FROM debian AS a\nRUN   one\n\nRUN two\n".replace("RUN   one", "RUN one"));
    params["range"] = json!({ "start": { "line": 5, "character": 0 }, "end": { "line": 5, "character": 3 } });
    let edits = editor.ask("textDocument/rangeFormatting", params.clone());
    let changed = edited(text, &edits);
    assert!(changed.starts_with("from  debian as a\nrun   one\n") && changed.ends_with("RUN two\n"), "{changed}");
    editor.change("VMWfile", None, "FROM a\nRUNN\n");
    assert_eq!(editor.ask("textDocument/formatting", params), Value::Null);
    editor.end();
}

#[test]
fn columns_are_counted_as_agreed() {
    let text = "FROM debian AS a\nRUN echo é𝄞 ${{ x }}\n";
    for (offered, column) in [(json!(["utf-16"]), 17), (json!(["utf-16", "utf-8"]), 20)] {
        let mut editor = Editor::with(&[], json!({ "general": { "positionEncodings": offered } }));
        editor.open("VMWfile", text);
        let list = editor.diagnostics("VMWfile");
        let error = list.iter().find(|d| d["severity"] == 1).unwrap();
        assert_eq!(error["range"]["start"], json!({ "line": 1, "character": column }), "{offered}");
        editor.end();
    }
}

/// Every request that a position or a document has.
const REQUESTS: [&str; 9] = [
    "completion",
    "hover",
    "definition",
    "documentHighlight",
    "documentSymbol",
    "foldingRange",
    "documentLink",
    "semanticTokens/full",
    "formatting",
];

/// All ranges in an answer lie in the text.
fn inside(value: &Value, lines: &[&str], what: &str) {
    match value {
        Value::Object(members) => {
            if let (Some(line), Some(character)) = (members.get("line"), members.get("character")) {
                let (line, character) = (line.as_u64().unwrap() as usize, character.as_u64().unwrap() as usize);
                let length = lines.get(line).unwrap_or_else(|| panic!("{what}: no line {line}")).len();
                assert!(character <= length, "{what}: no column {character} in line {line}: {value}");
            }
            members.values().for_each(|v| inside(v, lines, what));
        }
        Value::Array(items) => items.iter().for_each(|v| inside(v, lines, what)),
        _ => {}
    }
}

/// Every example typed character by character: after each the server answers, and no place lies outside of the file.
#[test]
fn every_prefix_of_every_example() {
    let mut typed = 0;
    // Told of each version, or asked at it; asking at all of them takes minutes.
    let step = if std::env::var_os("VMWBUILD_TEST_SOAK").is_some() { 1 } else { 13 };
    let mut editor = Editor::new(&[]);
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let directory = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(directory.join("VMWfile")) else { continue };
        let name = format!("{}.vmwfile", directory.file_name().unwrap().to_str().unwrap());
        editor.open(&name, "");
        let (mut line, mut column) = (0, 0);
        for (at, c) in text.char_indices() {
            let here = json!({ "line": line, "character": column });
            editor.change(&name, Some(json!({ "start": here, "end": here })), &c.to_string());
            if c == '\n' {
                (line, column) = (line + 1, 0)
            } else {
                column += c.len_utf8()
            }
            typed += 1;
            let before = &text[..at + c.len_utf8()];
            let lines: Vec<&str> = before.split('\n').collect();
            if typed % step != 0 {
                continue;
            }
            let request = REQUESTS[typed / step % REQUESTS.len()];
            let mut params = editor.at(&name, (line as u32, column as u32));
            params["options"] = json!({ "tabSize": 4, "insertSpaces": true });
            let answer = editor.ask(&format!("textDocument/{request}"), params);
            assert!(answer.get("error").is_none(), "{request} after {before:?}: {answer}");
            inside(&answer, &lines, request);
            for diagnostic in editor.diagnostics(&name) {
                inside(&diagnostic["range"], &lines, "a diagnostic");
            }
        }
        // What came of the changes is the file: it is as right as it is on the disk.
        let params =
            json!({ "textDocument": { "uri": editor.uri(&name) }, "options": { "tabSize": 4, "insertSpaces": true } });
        assert_eq!(editor.ask("textDocument/formatting", params), json!([]), "{name}");
        editor.diagnostics(&name);
    }
    assert!(typed > 3000, "only {typed} characters");
    editor.end();
}

#[test]
fn odd_clients_are_answered() {
    let mut editor = Editor::new(&[]);
    let uri = editor.uri("VMWfile");
    for (method, params) in [
        ("textDocument/hover", json!({ "textDocument": { "uri": uri }, "position": { "line": 0, "character": 0 } })),
        ("textDocument/hover", json!({ "textDocument": { "uri": "untitled:1" } })),
        ("textDocument/nothing", json!({ "textDocument": { "uri": uri } })),
        ("workspace/symbol", json!({ "query": "" })),
        ("textDocument/hover", json!(null)),
    ] {
        assert!(editor.ask(method, params)["error"].is_string(), "{method}");
    }
    // An unnamed buffer, a change of what isn't open, places that aren't there.
    let document = json!({ "uri": "untitled:Untitled-1", "languageId": "vmwfile", "version": 1, "text": "RUN x\n" });
    editor.tell("textDocument/didOpen", json!({ "textDocument": document }));
    let nowhere = json!({ "uri": editor.uri("other"), "version": 2 });
    editor.tell("textDocument/didChange", json!({ "textDocument": nowhere, "contentChanges": [{ "text": "x" }] }));
    let far =
        json!({ "textDocument": { "uri": "untitled:Untitled-1" }, "position": { "line": 77, "character": 4000 } });
    assert_eq!(editor.ask("textDocument/hover", far), Value::Null);
    while !editor.told.contains_key("untitled:Untitled-1") {
        editor.receive();
    }
    assert!(editor.told["untitled:Untitled-1"].1.iter().any(|d| d["severity"] == 1));
    editor.end();
}

/// What is no protocol ends the server with a message; it takes no memory that a header only speaks of.
#[test]
fn what_is_no_message_ends_it() {
    for (sent, said) in [
        ("Content-Length: 99999999999999999\r\n\r\n{}", "a message can't have 99999999999999999 bytes"),
        ("Content-Length: 200000000000\r\n\r\n{}", "a message can't have 200000000000 bytes"),
        ("Content-Length: -1\r\n\r\n{}", "a message can't have -1 bytes"),
        ("Content-Length: 200000000\r\n\r\n{}", "the last message is not complete"),
        ("Content-Type: x\r\n\r\n{}", "a message without Content-Length"),
        ("GET / HTTP/1.1\r\n\r\n", "`GET / HTTP/1.1` is no header"),
        ("Content-Length: 2\r\n\r\n[]", "a message is no JSON-RPC"),
    ] {
        let mut server = Command::new(env!("CARGO_BIN_EXE_vmwbuild"))
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        server.stdin.take().unwrap().write_all(sent.as_bytes()).unwrap();
        let done = server.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{sent}: {stderr}");
        assert!(stderr.contains(said), "{sent}: {stderr}");
    }
}

const KEYSTROKES: u32 = 40;

/// The time from a keystroke in a file of a thousand lines to its diagnostics; in a release build less than 30 ms.
#[test]
fn a_thousand_lines_are_looked_at_in_no_time() {
    let mut text = "FROM debian AS a\nOUTPUT VM a\n".to_owned();
    (0..1000).for_each(|n| text.push_str(&format!("RUN install -d /srv/{n} && echo {n} > /srv/{n}/number\n")));
    let mut editor = Editor::new(&[]);
    editor.open("VMWfile", &text);
    editor.diagnostics("VMWfile");
    let begun = editor.processor_time();
    let mut times: Vec<Duration> = (0..KEYSTROKES)
        .map(|n| {
            let here = json!({ "line": 500, "character": 4 });
            let start = Instant::now();
            editor.change("VMWfile", Some(json!({ "start": here, "end": here })), if n % 2 == 0 { "x" } else { " " });
            editor.diagnostics("VMWfile");
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let median = times[times.len() / 2];
    let own = (editor.processor_time() - begun) / KEYSTROKES;
    println!("median of a keystroke: {median:?}; processor time: {own:?}");
    // The server's own time is the same whatever else is going on; what isn't compiled for speed takes seven times that.
    assert!(own < Duration::from_millis(if cfg!(debug_assertions) { 210 } else { 30 }), "{own:?}");
    if !cfg!(debug_assertions) {
        assert!(median < Duration::from_millis(30), "{median:?}");
    }
    editor.end();
}
