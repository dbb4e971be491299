//! A VMWfile in a test: parsed and checked as the command line does it, beside files that exist in memory only.

use std::{
    collections::BTreeMap,
    io::{Error, ErrorKind},
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use vmwbuild::{
    diagnostic::{Diagnostic, Problems, Severity, Style, render_all},
    sema::{self, Files, Inputs, Purpose},
    source::Sources,
    syntax,
};

/// The directory that the examples are in.
const PROJECT: &str = "/project";

/// What examples may INCLUDE, COPY and run over.
const BESIDE: &[(&str, &str)] = &[
    ("small.vmwfile", "ARG size = \"small\"\n"),
    ("common/base.vmwfile", "ARG site = \"lab\"\n"),
    ("hosts.csv", "host_name,address\nweb1,10.0.0.1\nweb2,10.0.0.2\n"),
    ("app.conf", "name = app\n"),
    ("other.conf", "name = other\n"),
    ("app.sh", "#!/bin/sh\n"),
    ("site/index.html", "<p>hello</p>\n"),
];

struct Beside(BTreeMap<PathBuf, Vec<u8>>);

impl Beside {
    fn with(vmwfile: &str) -> Self {
        let files = BESIDE.iter().copied().chain([("VMWfile", vmwfile)]);
        Beside(files.map(|(path, text)| (Path::new(PROJECT).join(path), text.as_bytes().to_vec())).collect())
    }
}

impl Files for Beside {
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
        Ok(self.0.keys().filter(|p| p.starts_with(path)).cloned().collect())
    }
}

/// What was found in a VMWfile.
pub struct Found {
    /// All of it.
    pub list: Vec<Diagnostic>,
    /// As the terminal shows it.
    pub shown: String,
}

impl Found {
    /// The numbers of what was found.
    pub fn numbers(&self) -> Vec<u16> {
        self.list.iter().map(|d| d.code.number).collect()
    }
}

/// Checks a VMWfile.
pub fn check(text: &str, purpose: Purpose) -> Found {
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let id = sources.add("VMWfile", Some(&Path::new(PROJECT).join("VMWfile")), text);
    let file = syntax::parse(&sources, id, &mut problems);
    let inputs = Inputs {
        purpose,
        existing: None,
        args: IndexMap::new(),
        targets: Vec::new(),
        context: PathBuf::from(PROJECT),
        build_id: "20260102-03040506".into(),
        build_date: "2026-01-02T03:04:05Z".into(),
        project: "shop".into(),
    };
    let program = sema::check(&mut sources, &file, &inputs, &Beside::with(text), &mut problems);
    let list = problems.sorted();
    let shown = render_all(&list, &sources, Style::plain());
    let failed = list.iter().any(|d| d.severity == Severity::Error);
    assert_eq!(program.is_none(), failed, "a program, or an error:\n{text}\n{shown}");
    Found { list, shown }
}
