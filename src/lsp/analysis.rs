//! Everything that is known of a VMWfile: read, checked and linted as the command line does it.

use std::path::{Path, PathBuf};

use super::documents::Documents;
use super::index::Index;
use super::server::Host;
use crate::diagnostic::{Diagnostic, Problems};
use crate::lint;
use crate::sema::program::Program;
use crate::sema::{Inputs, Purpose};
use crate::source::{SourceId, Sources};
use crate::syntax::ast;

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
    let names: Vec<&str> = main.arg_names().collect();
    let inputs = Inputs {
        purpose: Purpose::Lint,
        existing: None,
        args: host.args(path, &names),
        targets: Vec::new(),
        context,
        build_id: "lint".to_owned(),
        build_date: "1970-01-01T00:00:00Z".to_owned(),
        project,
    };
    let program = crate::sema::check(&mut sources, &main, &inputs, documents, &mut problems);
    let program = program.filter(|_| !problems.has_errors());
    let files = lint::with_included((id, main), &sources);
    let borrowed: Vec<(SourceId, &ast::File)> = files.iter().map(|(id, file)| (*id, file)).collect();
    let mut config = host.levels(path);
    for (id, _) in files.iter().skip(1) {
        if let Some(included) = sources.get(*id).path.as_deref() {
            config.set_for(*id, host.levels(included));
        }
    }
    problems.extend(lint::lint(&borrowed, program.as_ref(), &sources, &config));
    let found = lint::settle(problems, &borrowed, &sources, &config, program.is_some()).sorted();
    let index = Index::new(&files, &sources, program.as_ref());
    Some(Analysis { sources, files, program, found, index })
}
