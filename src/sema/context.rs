//! The files that a COPY may read: those below the context that `.vmwignore` doesn't hold back.

use std::path::{Component, Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// What a context's `.vmwignore` holds back.
#[derive(Debug)]
pub struct Ignored(Gitignore);

impl Ignored {
    /// As the `.vmwignore` of a context says.
    pub fn of(root: &Path) -> Self {
        let mut builder = GitignoreBuilder::new(root);
        // A file that isn't there holds nothing back; a broken line in it is skipped, as git does.
        let _ = builder.add(root.join(".vmwignore"));
        Ignored(builder.build().unwrap_or_else(|_| Gitignore::empty()))
    }

    /// Holds nothing back.
    pub fn nothing() -> Self {
        Ignored(Gitignore::empty())
    }

    /// Whether a path of the context, relative to it, is held back, by itself or by a directory above it.
    pub fn holds_back(&self, relative: &Path, dir: bool) -> bool {
        !relative.as_os_str().is_empty() && self.0.matched_path_or_any_parents(relative, dir).is_ignore()
    }
}

/// A path below the context; None when it climbs out of it. `/x` is `x` of the context, as in a Dockerfile.
pub fn inside(path: &str) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::Prefix(_) => return None,
        }
    }
    Some(out)
}
