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

/// What of a COPY's source can't be sent: the named pipes, sockets and devices that it is or has below it, relative to the
/// context and in order. Links below a directory go over as links; what can't be looked into, the step tells.
pub fn unsendable(root: &Path, relative: &Path) -> Vec<PathBuf> {
    let full = root.join(relative);
    let mut out = Vec::new();
    match std::fs::metadata(&full) {
        Ok(meta) if meta.is_dir() => below(&full, relative, &Ignored::of(root), &mut out),
        Ok(meta) if meta.is_file() => {}
        Ok(_) => out.push(relative.to_path_buf()),
        Err(_) => {}
    }
    out.sort();
    out
}

fn below(full: &Path, relative: &Path, ignored: &Ignored, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(full).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        // Most are files: nothing more is asked about them.
        if kind.is_file() || kind.is_symlink() {
            continue;
        }
        let relative = relative.join(entry.file_name());
        if ignored.holds_back(&relative, kind.is_dir()) {
            continue;
        }
        if kind.is_dir() {
            below(&entry.path(), &relative, ignored, out);
        } else {
            out.push(relative);
        }
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
