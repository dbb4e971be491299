//! Copies of what stays out.

use std::cell::OnceCell;
use std::path::Path;

use crate::lint::rule::*;
use crate::sema::context::{Ignored, inside};
use crate::syntax::ast::CopySource;

/// `copies-held-back`.
pub static CODE: Code = Code {
    number: 236,
    name: "copies-held-back",
    severity: Severity::Warning,
    about: "`.vmwignore` holds back what this COPY names, so the build fails there, or the directory arrives empty. \
            Take it out of `.vmwignore` (a line that begins with `!` takes one file out), or copy something else.",
    // It is the file beside it that makes a VMWfile wrong.
    wrong: "",
    right: "",
};

pub(super) static RULE: Rule = Rule::new(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    // The context is the main file's directory, also for a COPY in a file that is included.
    let Some(root) = cx.sources.get(cx.main).path.as_deref().and_then(Path::parent) else { return };
    // Read for the first COPY: most files have none.
    let ignored = OnceCell::new();
    for instruction in cx.instructions() {
        let Body::Copy { sources, .. } = &instruction.body else { continue };
        if instruction.flag("from").is_some() {
            continue;
        }
        for source in sources {
            let CopySource::Path(text) = source else { continue };
            let Some(path) = text.literal() else { continue };
            let Some(relative) = inside(&path) else { continue };
            let ignored = ignored.get_or_init(|| Ignored::of(root));
            if ignored.holds_back(&relative, root.join(&relative).is_dir()) {
                out.push(
                    Diagnostic::at(&CODE, text.span, format!("`{path}` is held back by .vmwignore"))
                        .help("take it out of .vmwignore, or copy something else"),
                );
            }
        }
    }
}
