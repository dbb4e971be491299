//! `graph` and `show` on the examples and on large and hostile files.

#![allow(clippy::unwrap_used)] // a test may

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use quick_xml::events::Event;
use serde_json::Value;

use crate::schema::Schema;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs it with a VMWfile on standard input, where one is given: exit code, output, errors.
fn run(args: &[&str], vmwfile: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vmwbuild"))
        .args(args)
        .current_dir(root())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that stops at a wrong flag reads nothing.
    let _ = child.stdin.take().unwrap().write_all(vmwfile.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn printed(args: &[&str], vmwfile: &str) -> String {
    let (code, out, err) = run(args, vmwfile);
    assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
    out
}

/// Every directory of `examples/` with its name.
fn examples() -> Vec<(String, String)> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(root().join("examples")).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    all.sort();
    assert!(all.len() >= 6, "only {} examples", all.len());
    let name = |p: &Path| p.file_name().unwrap().to_str().unwrap().to_owned();
    all.iter().map(|p| (name(p), format!("examples/{}", name(p)))).collect()
}

/// Fails unless every element is closed; the drawing's texts.
fn texts(svg: &str) -> Vec<String> {
    let mut reader = quick_xml::Reader::from_str(svg);
    let (mut depth, mut events) = (0, 0);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            Event::Eof => break,
            _ => {}
        }
        events += 1;
    }
    assert!(depth == 0 && events > 20);
    let inner = svg.split("</").filter_map(|part| part.rsplit_once('>').map(|(_, text)| text));
    inner.map(|text| quick_xml::escape::unescape(text).unwrap().into_owned()).collect()
}

#[test]
fn every_example_is_shown() {
    for (name, path) in examples() {
        insta::assert_snapshot!(format!("show_{name}"), printed(&["show", &path], ""));
    }
}

#[test]
fn json_follows_its_schemas() {
    let (graph, show) = (Schema::new("graph.json"), Schema::new("show.json"));
    for (_, path) in examples() {
        for args in [&["graph", &path, "--format", "json"][..], &["graph", &path, "--format", "json", "--machines"]] {
            let value: Value = serde_json::from_str(&printed(args, "")).unwrap();
            graph.check(&value).unwrap();
        }
        let value: Value = serde_json::from_str(&printed(&["show", "--json", &path], "")).unwrap();
        show.check(&value).unwrap();
        assert!(!value["machines"].as_array().unwrap().is_empty());
    }
    // The check does find what is wrong.
    let mut value: Value = serde_json::from_str(&printed(&["show", "--json", "examples/cluster"], "")).unwrap();
    value["machines"][0]["steps"][0]["kind"] = "JUMP".into();
    assert!(show.check(&value).is_err());
}

#[test]
fn the_json_of_a_small_file() {
    let file = "ARG n: int = 1\nFROM debian AS a\nRUN one\nKEY k: int FROM RUN two\n\
                FROM debian AS b\nOUTPUT VM b\nRUN echo ${{ a.k }} ${{ n }}\n";
    let json = |args: &[&str]| printed(args, file).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!("graph_json", json(&["graph", "-", "--format", "json"]));
    insta::assert_snapshot!("show_json", json(&["show", "-", "--json", "--arg", "n=3"]));
    insta::assert_snapshot!("graph_mermaid", printed(&["graph", "-", "--format", "mermaid"], file));
    insta::assert_snapshot!("graph_machines", printed(&["graph", "-", "--machines", "--format", "mermaid"], file));
    insta::assert_snapshot!("graph_svg", printed(&["graph", "-", "--format", "svg"], file));
}

const EVERYTHING: &str = r#"ARG size: size = 2GB
ARG names = ["a", "b"]
SECRET pw
SECRET made GENERATE 24
DATASTORE ssd
LOGIN root PASSWORD ${{ pw }}
FROM --linked --snapshot=base debian AS image
OUTPUT --exists=replace TEMPLATE image
CPU 2 CORES 1
MEMORY ${{ size }}
CONFIG guestinfo.token=x
ADDRESS 10.0.0.2/24 GATEWAY 10.0.0.1 DNS 10.0.0.1 SEARCH example.org
HOSTNAME image
ENV A=1 B=$A
USER app
WORKDIR /srv
NOTE First
RUN --timeout=5m --retry=2 --allow-failure one
USER root
KEY id FROM FILE /etc/id
KEY sum: int = 1 + 2
KEY --if=${{ false }} never FROM RUN never
FROM image AS node FOR name IN ${{ names }}
ARG local = "x-" + name
OUTPUT VM --off node-${{ name }}
DATASTORE slow
RUN echo ${{ image.id }} ${{ local }}
RUN --serial echo ${{ self.ip }} ${{ made }}
"#;

#[test]
fn whatever_a_file_can_say_is_shown() {
    insta::assert_snapshot!("show_everything", printed(&["show", "-"], EVERYTHING));
}

#[test]
fn secrets_are_shown_by_name_only() {
    let file = "SECRET pw\nFROM debian AS a\nLOGIN root PASSWORD hunter2\nRUN echo ${{ pw }}\n";
    for args in [&["show", "-"][..], &["show", "-", "--json"]] {
        let (_, out, _) = run(args, file);
        assert!(out.contains("pw") && !out.contains("hunter2"), "{out}");
    }
}

#[test]
fn the_output_s_name_says_the_format() {
    let directory = tempfile::tempdir().unwrap();
    for (name, start) in
        [("g.svg", "<svg "), ("g.json", "{\n"), ("g.mmd", "flowchart LR\n"), ("g.dot", "digraph "), ("g", "digraph ")]
    {
        let path = directory.path().join(name);
        assert_eq!(printed(&["graph", "examples/cluster", "-o", path.to_str().unwrap()], ""), "");
        assert!(std::fs::read_to_string(&path).unwrap().starts_with(start), "{name}");
    }
    let (code, out, err) = run(&["graph", "examples/cluster", "-o", "nowhere/g.svg"], "");
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("can't write `nowhere/g.svg`") && err.contains("-o"), "{err}");
}

#[test]
fn a_file_with_errors_is_neither_drawn_nor_shown() {
    for args in [&["graph", "-", "--format", "svg"][..], &["show", "-"]] {
        let (code, out, err) = run(args, "FROM debian AS a\nRUNN one\n");
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.contains("did you mean") || err.contains("RUNN"), "{err}");
    }
}

/// Fifty machines that wait for one, each with a few steps, and a tail that waits for all.
fn platform() -> String {
    "FROM debian AS image\nOUTPUT TEMPLATE image\nRUN apt-get install -qy docker.io\nRUN true\n\
     FROM image AS manager\nOUTPUT VM manager\nRUN docker swarm init\nKEY token FROM RUN docker swarm join-token -q worker\n\
     KEY address FROM RUN hostname -i\n\
     FROM image AS worker FOR n IN 1..47\nOUTPUT VM worker-${{ n }}\nRUN mkdir -p /srv/data\n\
     RUN docker swarm join --token ${{ manager.token }} ${{ manager.address }}\nKEY id FROM RUN docker info\n\
     FROM image AS check\nOUTPUT NONE\nRUN --after=worker curl -f http://${{ manager.ip }}\nRUN echo ${{ worker[7].id }}\n"
        .to_owned()
}

#[test]
fn fifty_machines_are_drawn_apart() {
    let svg = printed(&["graph", "-", "--format", "svg"], &platform());
    assert_eq!(svg, printed(&["graph", "-", "--format", "svg"], &platform()), "it is always the same");
    let texts = texts(&svg);
    for label in ["manager", "worker[47]", "check"] {
        assert!(texts.iter().any(|t| t == label), "{label}");
    }
    // No box lies on another, and none leaves the picture.
    let number = |tag: &str, name: &str| -> f64 {
        let (_, rest) = tag.split_once(&format!(" {name}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let picture = svg.lines().next().unwrap();
    let (width, height) = (number(picture, "width"), number(picture, "height"));
    let boxes: Vec<[f64; 4]> = svg
        .split("<rect class=\"box")
        .skip(1)
        .map(|t| [number(t, "x"), number(t, "y"), number(t, "width"), number(t, "height")])
        .collect();
    assert!(boxes.len() > 250, "only {} boxes", boxes.len());
    for (index, a) in boxes.iter().enumerate() {
        assert!(a[0] >= 0.0 && a[1] >= 0.0 && a[0] + a[2] <= width && a[1] + a[3] <= height, "{a:?}");
        for b in &boxes[..index] {
            let apart = a[0] + a[2] <= b[0] || b[0] + b[2] <= a[0] || a[1] + a[3] <= b[1] || b[1] + b[3] <= a[1];
            assert!(apart, "{a:?} {b:?}");
        }
    }
    let machines = printed(&["graph", "-", "--machines", "--format", "svg"], &platform());
    assert_eq!(machines.matches("<rect class=\"box").count(), 50);
}

#[test]
fn the_critical_path_is_one_chain_from_a_start_to_an_end() {
    let graph: Value = serde_json::from_str(&printed(&["graph", "-", "--format", "json"], &platform())).unwrap();
    let list = |name: &str| graph[name].as_array().unwrap().clone();
    let critical: Vec<Value> = list("nodes").into_iter().filter(|n| n["critical"] == true).collect();
    assert_eq!(critical.len() as u64, graph["critical_path"]["length"].as_u64().unwrap());
    let mut ranks: Vec<u64> = critical.iter().map(|n| n["rank"].as_u64().unwrap()).collect();
    ranks.sort_unstable();
    let longest = list("nodes").iter().map(|n| n["rank"].as_u64().unwrap()).max().unwrap();
    assert_eq!(ranks, (0..=longest).collect::<Vec<_>>(), "one of each rank, to the last");
    let edges = list("edges").into_iter().filter(|e| e["critical"] == true).count();
    assert_eq!(edges + 1, critical.len());
}

/// What isn't plain text in one of the formats.
const HOSTILE: &str = "FROM debian AS a\nRUN echo \"</text><script>alert(1)</script>\" & true; #x; `id` ]] --> | %%{init}%% \\\\\n\
                       NOTE \"#quot; <b>&amp; end _*~ subgraph\"\nRUN true\n";

#[test]
fn titles_are_escaped() {
    let svg = printed(&["graph", "-", "--format", "svg"], HOSTILE);
    let texts = texts(&svg);
    assert!(texts.iter().any(|t| t.contains("</text><script>alert(1)</script>")), "{texts:?}");
    assert!(!svg.contains("<script>") && !svg.contains("<b>"));
    let mermaid = printed(&["graph", "-", "--format", "mermaid"], HOSTILE);
    insta::assert_snapshot!("mermaid_hostile", mermaid);
    // In quotes stand only letters, digits, harmless signs and numbered characters.
    for line in mermaid.lines().filter(|l| l.contains('[')) {
        let text = line.split_once("[\"").unwrap().1.strip_suffix("\"]").unwrap();
        let mut rest = String::new();
        for (index, part) in text.split('#').enumerate() {
            let part = if index == 0 { part } else { part.split_once(';').unwrap().1 };
            let _ = write!(rest, "{part}");
        }
        assert!(!rest.contains(['"', '<', '>', '&', '`', '[', ']', '{', '}', '|', ';', '\\']), "{line}");
    }
}
