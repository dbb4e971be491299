//! What a COPY sends: files and directories of the context, bodies of heredocs, files of another machine.

use std::path::Path;

use super::super::codes;
use super::super::options::FailureClass;
use super::super::shared::{Shared, Stop};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::guest::{CopyContent, CopyEntry};
use crate::sema::context::{Ignored, inside};
use crate::sema::program::{Copy, CopyFrom, Step};

/// Permission bits of what is made from a heredoc.
const HEREDOC_MODE: u32 = 0o644;

/// What goes over.
pub(super) struct Sending {
    pub(super) entries: Vec<CopyEntry>,
    pub(super) owner: Option<String>,
}

/// Reads what the step copies. Files are opened only when they are sent.
pub(super) fn sending(shared: &Shared, step: &Step, copy: &Copy) -> Result<Sending, Stop> {
    let base = step.context.workdir.as_ref().map(|w| shared.text(w)).transpose()?;
    let written = shared.text(&copy.dest)?;
    let dest = absolute(base.as_deref(), &written);
    let into = written.ends_with('/')
        || (is_drive(&dest) && written.ends_with('\\'))
        || written == "."
        || copy.sources.len() > 1;
    let exported = copy.from.and_then(|_| shared.board.export(step.id));
    let root = exported.as_deref().unwrap_or(&shared.options.context);
    let ignored = if copy.from.is_none() { Ignored::of(root) } else { Ignored::nothing() };
    let mut gather = Gather { shared, step, copy, root, ignored, entries: Vec::new() };
    for (at, source) in copy.sources.iter().enumerate() {
        match source {
            CopyFrom::Inline(body) => {
                let bytes = shared.text(body)?.into_bytes();
                // A heredoc has no name of its own: into a directory it can't go.
                let path = dest.trim_end_matches('/').to_owned();
                let mode = copy.chmod.unwrap_or(HEREDOC_MODE);
                gather.entries.push(CopyEntry { path, content: CopyContent::Bytes(bytes), mode });
            }
            CopyFrom::Path(path) if exported.is_some() => {
                let name = last_name(&shared.text(path)?);
                gather.source(&format!("{at}/{name}"), &dest, into)?;
            }
            CopyFrom::Path(path) => gather.source(&shared.text(path)?, &dest, into)?,
        }
    }
    let owner = copy.chown.as_ref().map(|o| shared.text(o)).transpose()?;
    Ok(Sending { entries: gather.entries, owner })
}

/// The last name of a guest's path.
pub(in crate::engine) fn last_name(path: &str) -> String {
    let separators: &[char] = if is_drive(path) { &['/', '\\'] } else { &['/'] };
    path.trim_end_matches(separators).rsplit(separators).next().filter(|n| !n.is_empty()).unwrap_or("root").to_owned()
}

/// Whether a path is one of Windows, with its drive.
fn is_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic())
}

/// A guest's path, relative ones below the work directory.
pub(in crate::engine) fn absolute(base: Option<&str>, path: &str) -> String {
    if path.starts_with('/') || is_drive(path) {
        return path.to_owned();
    }
    if let Some(base) = base.filter(|base| is_drive(base)) {
        let base = base.trim_end_matches(['/', '\\']);
        let path = path.trim_start_matches("./").trim_start_matches(".\\");
        return if path == "." { format!("{base}\\") } else { format!("{base}\\{path}") };
    }
    let base = base.unwrap_or("/").trim_end_matches('/');
    let path = path.trim_start_matches("./");
    if path == "." || path.is_empty() { format!("{base}/") } else { format!("{base}/{path}") }
}

struct Gather<'a> {
    shared: &'a Shared,
    step: &'a Step,
    copy: &'a Copy,
    root: &'a Path,
    ignored: Ignored,
    entries: Vec<CopyEntry>,
}

impl Gather<'_> {
    fn fail(&self, message: String, help: Option<String>) -> Stop {
        let diagnostic = Diagnostic::new(&codes::COPY_SOURCE, message).primary(self.step.span, "");
        let help = help.unwrap_or_else(|| "mend it, or leave it out by a line in `.vmwignore`".to_owned());
        Stop::failed(FailureClass::Guest, "a file can't be copied", diagnostic.help(help))
    }

    /// One source: a file goes to `dest` or below it, of a directory what is in it.
    fn source(&mut self, path: &str, dest: &str, into: bool) -> Result<(), Stop> {
        let relative = inside(path).ok_or_else(|| {
            self.fail(
                format!("`{path}` lies outside of the context"),
                Some("COPY reads below the context only: `vmwbuild build DIR` names it".to_owned()),
            )
        })?;
        let full = self.root.join(&relative);
        let meta = match std::fs::metadata(&full) {
            Ok(meta) => meta,
            Err(e) => {
                let near = near(&full).map(|n| format!("did you mean `{n}`?"));
                let help = near.unwrap_or_else(|| "check the path: it is below the context".to_owned());
                return Err(self.fail(format!("can't copy `{path}`: {e}"), Some(help)));
            }
        };
        let dest_name = || format!("{}/{}", dest.trim_end_matches('/'), last_name(path));
        if meta.is_dir() {
            return self.directory(&full, &relative, dest.trim_end_matches('/'));
        }
        if self.ignored.holds_back(&relative, false) {
            return Err(self.fail(
                format!("`{path}` is held back by .vmwignore"),
                Some("take it out of .vmwignore, or copy something else".to_owned()),
            ));
        }
        let to = if into { dest_name() } else { dest.to_owned() };
        self.file(&full, to)
    }

    fn directory(&mut self, full: &Path, relative: &Path, dest: &str) -> Result<(), Stop> {
        if !dest.is_empty() {
            let mode = self.mode(full, 0o755);
            self.entries.push(CopyEntry { path: dest.to_owned(), content: CopyContent::Directory, mode });
        }
        let listed = std::fs::read_dir(full).and_then(|list| list.collect::<Result<Vec<_>, _>>());
        let mut listed = listed.map_err(|e| self.fail(format!("can't read `{}`: {e}", full.display()), None))?;
        listed.sort_by_key(std::fs::DirEntry::file_name);
        for entry in listed {
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(self.fail(format!("`{}` has a name that is no UTF-8", entry.path().display()), None));
            };
            let (full, relative, dest) = (entry.path(), relative.join(name), format!("{dest}/{name}"));
            let kind =
                entry.file_type().map_err(|e| self.fail(format!("can't read `{}`: {e}", full.display()), None))?;
            if self.ignored.holds_back(&relative, kind.is_dir()) {
                continue;
            }
            if kind.is_dir() {
                self.directory(&full, &relative, &dest)?;
            } else if kind.is_symlink() {
                self.link(&full, dest)?;
            } else {
                self.file(&full, dest)?;
            }
        }
        Ok(())
    }

    fn link(&mut self, full: &Path, to: String) -> Result<(), Stop> {
        let target = std::fs::read_link(full).ok().and_then(|t| t.to_str().map(str::to_owned));
        let target = target.ok_or_else(|| self.fail(format!("can't read the link `{}`", full.display()), None))?;
        self.entries.push(CopyEntry { path: to, content: CopyContent::Symlink(target), mode: 0o777 });
        Ok(())
    }

    fn file(&mut self, full: &Path, to: String) -> Result<(), Stop> {
        let rendered = self.copy.render.as_ref().and_then(|list| {
            let wanted = full.canonicalize().ok();
            // Their paths are relative to the context, which need not be where we are.
            list.iter().find(|(path, _)| {
                let path = self.root.join(path);
                path == full || (wanted.is_some() && path.canonicalize().ok() == wanted)
            })
        });
        let content = match rendered {
            Some((_, template)) => CopyContent::Bytes(self.shared.text(template)?.into_bytes()),
            None => {
                // Asked for now, so that what can't be read is an error before anything is sent.
                crate::source::regular(full)
                    .and_then(|()| std::fs::File::open(full))
                    .map_err(|e| self.fail(format!("can't read `{}`: {e}", full.display()), None))?;
                CopyContent::File(full.to_path_buf())
            }
        };
        let mode = self.mode(full, 0o644);
        self.entries.push(CopyEntry { path: to, content, mode });
        Ok(())
    }

    fn mode(&self, full: &Path, default: u32) -> u32 {
        if let Some(mode) = self.copy.chmod {
            // As `chmod -R u=rwX`: who may read a directory may enter it.
            return if full.is_dir() { mode | ((mode & 0o444) >> 2) } else { mode };
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::metadata(full).map_or(default, |m| m.permissions().mode() & 0o7777)
        }
        #[cfg(not(unix))]
        {
            default
        }
    }
}

fn near(path: &Path) -> Option<String> {
    let names: Vec<String> = std::fs::read_dir(path.parent()?)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    did_you_mean(path.file_name()?.to_str()?, names.iter().map(String::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn guest_paths_are_made_absolute() {
        assert_eq!(absolute(None, "/etc/motd"), "/etc/motd");
        assert_eq!(absolute(Some("/srv/"), "a/b"), "/srv/a/b");
        assert_eq!(absolute(Some("/srv"), "./a"), "/srv/a");
        assert_eq!(absolute(Some("/srv"), "."), "/srv/");
        assert_eq!(absolute(None, "a"), "/a");
    }

    #[test]
    fn sources_stay_inside_the_context() {
        assert_eq!(inside("a/../b"), Some(PathBuf::from("b")));
        assert_eq!(inside("/a"), Some(PathBuf::from("a")));
        assert_eq!(inside("a/../../b"), None);
        assert_eq!(inside("."), Some(PathBuf::new()));
    }
}
