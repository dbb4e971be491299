//! The files as the editor has them, over those on the disk.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use gen_lsp_types::{TextDocumentContentChangeEvent, Uri};

use super::position::Encoding;
use crate::lint::normal;
use crate::sema::Files;
use crate::source::Sources;

/// One that is open in the editor.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub uri: Uri,
    pub version: i32,
    pub text: String,
}

/// Those that are open.
#[derive(Clone, Debug, Default)]
pub(super) struct Documents {
    open: HashMap<PathBuf, Document>,
}

impl Documents {
    pub fn open(&mut self, path: PathBuf, document: Document) {
        self.open.insert(path, document);
    }

    pub fn close(&mut self, path: &Path) {
        self.open.remove(path);
    }

    pub fn get(&self, path: &Path) -> Option<&Document> {
        self.open.get(path)
    }

    /// In a stable order.
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = self.open.keys().cloned().collect();
        paths.sort();
        paths
    }

    /// Applies what the editor says has changed.
    pub fn change(
        &mut self,
        path: &Path,
        version: i32,
        changes: Vec<TextDocumentContentChangeEvent>,
        encoding: Encoding,
    ) {
        let Some(document) = self.open.get_mut(path) else { return };
        document.version = version;
        for change in changes {
            match change {
                TextDocumentContentChangeEvent::TextDocumentContentChangeWholeDocument(whole) => {
                    document.text = whole.text;
                }
                TextDocumentContentChangeEvent::TextDocumentContentChangePartial(part) => {
                    let mut sources = Sources::new();
                    let id = sources.add("", None, document.text.as_str());
                    let file = sources.get(id);
                    let start = encoding.offset(file, part.range.start) as usize;
                    let end = (encoding.offset(file, part.range.end) as usize).max(start);
                    document.text.replace_range(start..end, &part.text);
                }
            }
        }
    }

    /// A file's text, as the editor has it or as it is on the disk.
    pub fn text(&self, path: &Path) -> Option<String> {
        match self.open.get(path) {
            Some(document) => Some(document.text.clone()),
            None => crate::source::read_file_text(path).ok(),
        }
    }

    /// The name by which the editor knows a file.
    pub fn uri(&self, path: &Path) -> Uri {
        match self.open.get(path) {
            Some(document) => document.uri.clone(),
            None => uri_of(path),
        }
    }

    /// The same documents, with other texts in some files.
    pub fn with(&self, texts: HashMap<PathBuf, String>) -> Documents {
        let mut all = self.clone();
        for (path, text) in texts {
            let uri = all.uri(&path);
            all.open.insert(path, Document { uri, version: 0, text });
        }
        all
    }
}

impl Files for Documents {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.open.get(&normal(path)) {
            Some(document) => Ok(document.text.clone().into_bytes()),
            None => crate::source::read_file(path),
        }
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        if self.open.contains_key(&normal(path)) {
            return Ok(false);
        }
        Ok(std::fs::metadata(path)?.is_dir())
    }

    fn walk(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut out = Vec::new();
        let mut todo = vec![path.to_path_buf()];
        while let Some(path) = todo.pop() {
            if std::fs::symlink_metadata(&path)?.is_dir() {
                for entry in std::fs::read_dir(&path)? {
                    todo.push(entry?.path());
                }
            } else {
                out.push(path);
            }
        }
        out.sort();
        Ok(out)
    }
}

/// The path of a `file:` URI; that of another (an editor's unnamed buffer) is made up, so that it can be checked too.
pub(super) fn path_of(uri: &Uri) -> PathBuf {
    let file = url::Url::parse(&uri.0).ok().filter(|u| u.scheme() == "file").and_then(|u| u.to_file_path().ok());
    file.map_or_else(|| PathBuf::from(uri.0.replace(['/', ':'], "_")), |p| normal(&p))
}

fn uri_of(path: &Path) -> Uri {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let url = url::Url::from_file_path(absolute).map(String::from);
    Uri::from(url.unwrap_or_else(|()| path.display().to_string()))
}
