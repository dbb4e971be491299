//! Whole files checked: what is said of them, and what becomes of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::diagnostic::{Code, Problems, Style, render_all};
use crate::source::Sources;
use crate::syntax;

use super::program::{Need, Origin, Program};
use super::{Files, Inputs, Purpose, check, codes, codes_stages, codes_values};

/// A file of the context that a test has beside its VMWfile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context(BTreeMap<PathBuf, Vec<u8>>);

impl Context {
    pub fn with(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.0.insert(Path::new("/project").join(path), text.as_ref().to_vec());
        self
    }

    /// What the examples of the codes name.
    pub fn usual() -> Self {
        Context::default()
            .with("small.vmwfile", "ARG size = \"small\"\n")
            .with("hosts.csv", "host_name,address\nweb1,10.0.0.1\nweb2,10.0.0.2\n")
            .with("app.conf", "name = app\n")
            .with("other.conf", "name = other\n")
    }
}

impl Files for Context {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| Error::from(ErrorKind::NotFound))
    }
    fn is_dir(&self, path: &Path) -> std::io::Result<bool> {
        if self.0.contains_key(path) {
            return Ok(false);
        }
        let inside = self.0.keys().any(|p| p.starts_with(path));
        inside.then_some(true).ok_or_else(|| Error::from(ErrorKind::NotFound))
    }
    fn walk(&self, path: &Path) -> std::io::Result<Vec<PathBuf>> {
        let found: Vec<PathBuf> = self.0.keys().filter(|p| p.starts_with(path)).cloned().collect();
        if found.is_empty() { Err(Error::from(ErrorKind::NotFound)) } else { Ok(found) }
    }
}

pub(crate) fn inputs(purpose: Purpose) -> Inputs {
    Inputs {
        purpose,
        args: IndexMap::new(),
        targets: Vec::new(),
        context: PathBuf::from("/project"),
        build_id: "b1".into(),
        build_date: "2026-01-02T03:04:05Z".into(),
        project: "shop".into(),
        existing: None,
    }
}

/// A file, checked: the program, and what is said, drawn.
pub(crate) fn checked(text: &str, inputs: &Inputs, files: &Context) -> (Option<Program>, String, Vec<&'static Code>) {
    let mut sources = Sources::new();
    let files = files.clone().with("VMWfile", text);
    let id = sources.add("VMWfile", Some(Path::new("/project/VMWfile")), text);
    let mut problems = Problems::new();
    let file = syntax::parse(&sources, id, &mut problems);
    let program = check(&mut sources, &file, inputs, &files, &mut problems);
    let list = problems.sorted();
    (program, render_all(&list, &sources, Style::plain()), list.iter().map(|d| d.code).collect())
}

/// The program of a file that has no errors.
#[track_caller]
pub(crate) fn program(text: &str) -> Program {
    let (program, said, _) = checked(text, &inputs(Purpose::Build), &Context::usual());
    match program {
        Some(program) => {
            assert_eq!(said, "", "nothing is to be said of it");
            program
        }
        None => panic!("the file has errors:\n{said}"),
    }
}

/// Machines, steps and needs, a line each.
pub(crate) fn outline(program: &Program) -> String {
    let mut out = String::new();
    for machine in &program.machines {
        let origin = match &machine.origin {
            Origin::Machine(id) => format!("machine {}", id.0),
            Origin::Inventory { name, .. } => format!("inventory {name}"),
            Origin::Existing { path, .. } => format!("existing {path}"),
        };
        let outputs: Vec<String> = machine.outputs.iter().map(|o| format!("{:?} {}", o.kind, o.name)).collect();
        let _ = writeln!(
            out,
            "{} {} = {} from {origin}, leaves {}",
            machine.id.0,
            machine.label,
            machine.name,
            outputs.join(", ")
        );
        if !machine.wanted.is_empty() {
            let _ = writeln!(out, "  wanted {:?}", machine.wanted);
        }
        for step in &machine.steps {
            let needs: Vec<String> = step
                .needs
                .iter()
                .map(|n| match n {
                    Need::Step(id) => format!("step {}.{}", id.machine.0, id.index),
                    Need::Finished(id) => format!("end of {}", id.0),
                    Need::Attr(id, attr) => format!("{attr:?} of {}", id.0),
                })
                .collect();
            let needs = if needs.is_empty() { String::new() } else { format!("  <- {}", needs.join(", ")) };
            let _ = writeln!(out, "  {} {}{needs}", step.id.index, step.text);
        }
    }
    out
}

pub(crate) const TASTE: &str = "\
# Build an image once, then a swarm from it.
ARG    workers: int = 2
SECRET root_password
LOGIN  root PASSWORD ${{ root_password }}

FROM   Centos7-Template AS docker
OUTPUT TEMPLATE Docker-Template
NOTE   Upgrade everything but VMware Tools
RUN    yum upgrade -y --exclude=open-vm-tools
RUN    yum install -y docker-ce

FROM    docker AS manager
OUTPUT  VM manager001
ADDRESS 10.0.0.101/24 GATEWAY 10.0.0.1 DNS 8.8.8.8
HOSTNAME manager01.local
RUN     docker swarm init
KEY     join_token: secret FROM RUN docker swarm join-token -q worker

FROM    docker AS worker FOR n IN 1..${{ workers }}
OUTPUT  VM worker00${{ n }}
ADDRESS 10.0.0.${{ 101 + n }}/24 GATEWAY 10.0.0.1 DNS 8.8.8.8
RUN     docker swarm join --token ${{ manager.join_token }} ${{ manager.ip }}:2377
";

#[test]
fn the_taste_of_the_language() {
    insta::assert_snapshot!(outline(&program(TASTE)));
}

/// Each code's example raises it, and the mended one raises nothing; what is said is in the snapshots.
#[test]
fn every_code_has_an_example_that_raises_it() {
    let (mut out, mut wrong) = (String::new(), String::new());
    for code in codes::ALL.iter().chain(codes_stages::ALL) {
        if code.wrong.is_empty() {
            continue;
        }
        let (_, said, found) = checked(code.wrong, &inputs(Purpose::Build), &Context::usual());
        if found != [*code] {
            let _ = writeln!(wrong, "{code} {} is not what its example raises:\n{said}", code.name);
        }
        let _ = writeln!(out, "{}\n{said}", code.wrong);
        let (_, said, _) = checked(code.right, &inputs(Purpose::Build), &Context::usual());
        if !said.is_empty() {
            let _ = writeln!(wrong, "of {code} {} the mended example has errors:\n{said}", code.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    insta::assert_snapshot!(out);
}

/// Those of values, in whole files. What is mended has nothing wrong in it.
#[test]
fn codes_of_values_are_raised_by_whole_files() {
    let mut wrong = String::new();
    for code in codes_values::ALL.iter().filter(|c| !c.wrong.is_empty()) {
        let (_, said, found) = checked(code.wrong, &inputs(Purpose::Build), &Context::usual());
        if !found.contains(code) {
            let _ = writeln!(wrong, "{code} {} is not raised by its example:\n{}\n{said}", code.name, code.wrong);
        }
        let (program, said, found) = checked(code.right, &inputs(Purpose::Lint), &Context::usual());
        if program.is_none() || !found.is_empty() {
            let _ = writeln!(wrong, "of {code} {} the mended example has errors:\n{}\n{said}", code.name, code.right);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
