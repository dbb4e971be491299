//! Everything that is known of a VMWfile: read, checked and linted as the command line does it.

use std::path::{Path, PathBuf};

use super::documents::Documents;
use super::index::Index;
use super::server::Host;
use crate::diagnostic::{Diagnostic, Problems};
use crate::lint;
use crate::sema::program::Program;
use crate::sema::{Inputs, Purpose};
use crate::source::{Source, SourceId, Sources};
use crate::syntax::ast::{self, Body, Instruction, Item};

/// A VMWfile with what it includes.
pub(super) struct Analysis {
    pub sources: Sources,
    /// The main file first.
    pub files: Vec<(SourceId, ast::File)>,
    /// None when there are errors.
    pub program: Option<Program>,
    pub found: Vec<Diagnostic>,
    pub index: Index,
}

impl Analysis {
    /// The file that a path names.
    pub fn file(&self, path: &Path) -> Option<(SourceId, &ast::File)> {
        let is_it = |id: SourceId| self.path(id).is_some_and(|p| p == path);
        self.files.iter().find(|(id, _)| is_it(*id)).map(|(id, file)| (*id, file))
    }

    /// The path of a file.
    pub fn path(&self, id: SourceId) -> Option<PathBuf> {
        self.sources.get(id).path.as_deref().map(lint::normal)
    }
}

/// Looks at a file. None when it isn't there.
pub(super) fn analyse(path: &Path, documents: &Documents, host: &dyn Host) -> Option<Analysis> {
    let text = documents.text(path)?;
    let (mut sources, mut problems) = (Sources::new(), Problems::new());
    let name = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
    let id = sources.add(name, Some(path), text);
    let main = crate::syntax::parse(&sources, id, &mut problems);
    let context = path.parent().unwrap_or(Path::new(".")).to_path_buf();
    let project = context.file_name().map_or_else(|| "vmwbuild".to_owned(), |n| n.to_string_lossy().into_owned());
    let names: Vec<&str> = instructions(&main)
        .filter_map(|i| match &i.body {
            Body::Arg { name, .. } => Some(name.node.as_str()),
            _ => None,
        })
        .collect();
    let inputs = Inputs {
        purpose: Purpose::Lint,
        args: host.args(path, &names),
        targets: Vec::new(),
        context,
        build_id: "lint".to_owned(),
        build_date: "1970-01-01T00:00:00Z".to_owned(),
        project,
    };
    let program = crate::sema::check(&mut sources, &main, &inputs, documents, &mut problems);
    let program = program.filter(|_| !problems.has_errors());
    let files = with_included((id, main), &sources);
    let borrowed: Vec<(SourceId, &ast::File)> = files.iter().map(|(id, file)| (*id, file)).collect();
    let config = host.levels(path);
    problems.extend(lint::lint(&borrowed, program.as_ref(), &sources, &config));
    let found = lint::settle(problems, &borrowed, &sources, &config, program.is_some()).sorted();
    let index = Index::new(&files, &sources, program.as_ref());
    Some(Analysis { sources, files, program, found, index })
}

/// A file with all that it includes, which the check has read.
fn with_included(main: (SourceId, ast::File), sources: &Sources) -> Vec<(SourceId, ast::File)> {
    let mut files = vec![main];
    let mut at = 0;
    while let Some((id, file)) = files.get(at) {
        let paths = lint::includes(*id, file, sources);
        at += 1;
        for path in paths {
            let is_it = |s: &Source| s.path.as_deref().is_some_and(|p| lint::normal(p) == path);
            let found = sources.iter().find(|(_, s)| is_it(s)).map(|(id, _)| id);
            if let Some(id) = found.filter(|id| !files.iter().any(|(f, _)| f == id)) {
                files.push((id, crate::syntax::parse(sources, id, &mut Problems::new())));
            }
        }
    }
    files
}

/// The instructions of a file, in order.
pub(super) fn instructions(file: &ast::File) -> impl Iterator<Item = &Instruction> {
    file.items.iter().filter_map(|item| match item {
        Item::Instruction(instruction) => Some(instruction.as_ref()),
        Item::Blank(_) | Item::Comment(_) | Item::Directive { .. } => None,
    })
}
