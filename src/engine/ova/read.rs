//! Reading OVAs as they come, from a disk or the web: a tar archive, or a descriptor with its files beside it. However
//! large it is, no more of it is held than a few pieces.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::diagnostic::Diagnostic;
use crate::plan::codes;
use crate::vsphere::client::WebFile;

/// How much is read at once, and how many such pieces wait.
const PIECE: usize = 256 << 10;
const WAITING: usize = 4;

/// A file of an OVA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) size: u64,
}

enum Piece {
    Begins(Entry),
    Data(Bytes),
}

/// An OVA on its way in.
pub(super) struct Reader {
    pieces: mpsc::Receiver<Result<Piece, Diagnostic>>,
    /// What was taken from `pieces` and belongs to what comes next.
    next: Option<Entry>,
    /// What is still to come of the present file.
    left: u64,
}

impl Reader {
    /// Of an archive on disk.
    pub(super) fn archive(path: &Path) -> Result<Reader, Diagnostic> {
        let file = open(path)?;
        let called = path.display().to_string();
        Ok(Self::of(move |tell| tar(file, &called, tell)))
    }

    /// Of files on disk, the descriptor the first of them.
    pub(super) fn files(paths: Vec<(String, PathBuf)>) -> Reader {
        Self::of(move |tell| {
            for (name, path) in paths {
                let mut file = open(&path)?;
                let size = file.metadata().map_err(|e| unreadable(&path, &e))?.len();
                if !tell.send(Piece::Begins(Entry { name: name.clone(), size })) {
                    return Ok(());
                }
                if !whole(&mut file, &Entry { name, size }, &path.display().to_string(), tell)? {
                    return Ok(());
                }
            }
            Ok(())
        })
    }

    /// Of an archive on the web.
    pub(super) fn web(mut file: WebFile, called: &str) -> Reader {
        let (sender, received) = mpsc::channel::<Result<Bytes, io::Error>>(WAITING);
        let (failed, called) = (std::sync::Arc::new(std::sync::Mutex::new(None)), called.to_owned());
        let told = std::sync::Arc::clone(&failed);
        // Ends when nobody listens any more.
        tokio::spawn(async move {
            loop {
                let piece = match file.chunk().await {
                    Ok(Some(piece)) => Ok(piece),
                    Ok(None) => return,
                    Err(error) => {
                        *told.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error.diagnostic());
                        Err(io::Error::other("the connection broke"))
                    }
                };
                let over = piece.is_err();
                if sender.send(piece).await.is_err() || over {
                    return;
                }
            }
        });
        Self::of(move |tell| {
            let read = tar(Channel { received, piece: Bytes::new() }, &called, tell);
            let failed = failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            failed.map_or(read, Err)
        })
    }

    /// Runs something that reads on a thread that may wait for disks.
    fn of(read: impl FnOnce(&Tell) -> Result<(), Diagnostic> + Send + 'static) -> Reader {
        let (sender, pieces) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || {
            let tell = Tell(sender);
            if let Err(diagnostic) = read(&tell) {
                let _ = tell.0.blocking_send(Err(diagnostic));
            }
        });
        Reader { pieces, next: None, left: 0 }
    }

    /// The next file; what is left of the present one is passed over.
    pub(super) async fn entry(&mut self) -> Result<Option<Entry>, Diagnostic> {
        while self.chunk().await?.is_some() {}
        let next = match self.next.take() {
            Some(entry) => Some(entry),
            None => match self.pieces.recv().await.transpose()? {
                Some(Piece::Begins(entry)) => Some(entry),
                Some(Piece::Data(_)) | None => None,
            },
        };
        self.left = next.as_ref().map_or(0, |entry| entry.size);
        Ok(next)
    }

    /// The next piece of the present file; none at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Diagnostic> {
        if self.left == 0 {
            return Ok(None);
        }
        match self.pieces.recv().await.transpose()? {
            Some(Piece::Data(bytes)) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Ok(Some(bytes))
            }
            Some(Piece::Begins(entry)) => {
                (self.next, self.left) = (Some(entry), 0);
                Ok(None)
            }
            None => {
                self.left = 0;
                Ok(None)
            }
        }
    }

    /// The whole present file, which must not be larger than that.
    pub(super) async fn text(&mut self, entry: &Entry, limit: u64) -> Result<Vec<u8>, Diagnostic> {
        if entry.size > limit {
            let text = format!("`{}` in the OVA is larger than {} MiB", entry.name, limit >> 20);
            return Err(Diagnostic::new(&codes::OVA_UNUSABLE, text));
        }
        let mut all = Vec::new();
        while let Some(bytes) = self.chunk().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }
}

struct Tell(mpsc::Sender<Result<Piece, Diagnostic>>);

impl Tell {
    /// False: nobody listens any more.
    fn send(&self, piece: Piece) -> bool {
        self.0.blocking_send(Ok(piece)).is_ok()
    }
}

fn open(path: &Path) -> Result<File, Diagnostic> {
    crate::source::regular(path).and_then(|_| File::open(path)).map_err(|e| unreadable(path, &e))
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let text = format!("`{}` can't be read: {error}", path.display());
    let diagnostic = Diagnostic::new(&codes::OVA_UNUSABLE, text);
    match error.kind() {
        io::ErrorKind::NotFound => diagnostic.help("its path is relative to the context, as that of COPY is"),
        _ => diagnostic,
    }
}

fn ended(called: &str, entry: &str, got: u64, size: u64) -> Diagnostic {
    let text = format!("{called} ends in the middle of `{entry}`: {got} of {size} bytes are there");
    Diagnostic::new(&codes::OVA_UNUSABLE, text).help("it was cut off when it was written or copied: get it anew")
}

/// Sends a file's contents; false when nobody listens any more.
fn whole(read: &mut impl Read, entry: &Entry, called: &str, tell: &Tell) -> Result<bool, Diagnostic> {
    let mut got = 0;
    while got < entry.size {
        let mut piece = vec![0; PIECE.min(usize::try_from(entry.size - got).unwrap_or(PIECE))];
        let read = read
            .read(&mut piece)
            .map_err(|e| Diagnostic::new(&codes::OVA_UNUSABLE, format!("{called} can't be read: {e}")))?;
        if read == 0 {
            return Err(ended(called, &entry.name, got, entry.size));
        }
        piece.truncate(read);
        got += read as u64;
        if !tell.send(Piece::Data(piece.into())) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads a tar archive (ustar, GNU or pax).
fn tar(read: impl Read, called: &str, tell: &Tell) -> Result<(), Diagnostic> {
    let (read, first) = begun(read, called)?;
    let mut archive = tar::Archive::new(Cursor::new(first).chain(read));
    let broken = |e: &io::Error| no_archive(called, e);
    for entry in archive.entries().map_err(|e| broken(&e))? {
        let mut entry = entry.map_err(|e| broken(&e))?;
        let kind = entry.header().entry_type();
        if !kind.is_file() {
            continue;
        }
        let own = Entry { name: name(&entry), size: entry.size() };
        if !tell.send(Piece::Begins(own.clone())) || !whole(&mut entry, &own, called, tell)? {
            return Ok(());
        }
    }
    Ok(())
}

fn name(entry: &tar::Entry<'_, impl Read>) -> String {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    name.strip_prefix("./").map(str::to_owned).unwrap_or(name)
}

fn no_archive(called: &str, error: &io::Error) -> Diagnostic {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    // The words of it may hold bytes of the file.
    let words: String = format!("{error}{cause}").chars().filter(|c| !c.is_control()).take(100).collect();
    Diagnostic::new(&codes::OVA_UNUSABLE, format!("{called} is no OVA, or damaged"))
        .note(format!("reading it as a tar archive: {words}"))
        .help("get it anew, and look by `tar -tf` what is in it")
}

/// Looks at the beginning of what should be an archive, and tells what it is instead.
fn begun<R: Read>(mut read: R, called: &str) -> Result<(R, Vec<u8>), Diagnostic> {
    let mut first = vec![0; 512];
    let mut got = 0;
    while let Some(rest) = first.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match read.read(rest) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Diagnostic::new(&codes::OVA_UNUSABLE, format!("{called} can't be read: {e}"))),
        }
    }
    first.truncate(got);
    let begins = |magic: &[u8]| first.starts_with(magic);
    let text = String::from_utf8_lossy(&first).into_owned();
    let wrong = if first.is_empty() {
        Some(("it is empty".to_owned(), "the copy or download may have failed: get it anew"))
    } else if text.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']).starts_with('<') {
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(80).collect();
        let what = if line.to_ascii_lowercase().contains("html") { "an HTML page" } else { "XML" };
        Some((format!("it is {what}: {line}"), "a login, a licence page or a proxy may stand before the file"))
    } else if begins(&[0x1f, 0x8b]) || begins(&[0x28, 0xb5, 0x2f, 0xfd]) || begins(b"BZh") || begins(b"\xfd7zXZ") {
        Some(("it is compressed".to_owned(), "uncompress it: an OVA is a plain tar archive"))
    } else if begins(b"PK") {
        Some(("it is a ZIP archive".to_owned(), "unpack it: the OVA may be in it"))
    } else if got < 512 {
        Some((format!("it has {got} bytes"), "get it anew"))
    } else {
        None
    };
    match wrong {
        Some((what, help)) => {
            Err(Diagnostic::new(&codes::OVA_UNUSABLE, format!("{called} is no OVA: {what}")).help(help))
        }
        None => Ok((read, first)),
    }
}

/// What comes over a channel, as something to read.
struct Channel {
    received: mpsc::Receiver<Result<Bytes, io::Error>>,
    piece: Bytes,
}

impl Read for Channel {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.received.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let count = into.len().min(self.piece.len());
        let piece = self.piece.split_to(count);
        if let Some(place) = into.get_mut(..count) {
            place.copy_from_slice(&piece);
        }
        Ok(count)
    }
}

/// What an archive on disk holds beside its disks, without reading those.
pub(super) struct Contents {
    pub(super) entries: Vec<Entry>,
    /// Small files: descriptors and manifests.
    pub(super) texts: VecDeque<(String, Vec<u8>)>,
}

/// Looks through an archive on disk.
pub(super) fn contents(path: &Path, limit: u64) -> Result<Contents, Diagnostic> {
    let called = format!("`{}`", path.display());
    let file = open(path)?;
    let length = file.metadata().map_err(|e| unreadable(path, &e))?.len();
    begun(&file, &called)?;
    let mut file = io::BufReader::new(file);
    io::Seek::rewind(&mut file).map_err(|e| unreadable(path, &e))?;
    let mut archive = tar::Archive::new(file);
    let (mut entries, mut texts) = (Vec::new(), VecDeque::new());
    for entry in archive.entries_with_seek().map_err(|e| no_archive(&called, &e))? {
        let mut entry = entry.map_err(|e| no_archive(&called, &e))?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let own = Entry { name: name(&entry), size: entry.size() };
        let there = length.saturating_sub(entry.raw_file_position());
        if there < own.size {
            return Err(ended(&called, &own.name, there, own.size));
        }
        let small = own.name.to_ascii_lowercase();
        if (small.ends_with(".ovf") || small.ends_with(".mf")) && own.size <= limit {
            let mut text = Vec::new();
            entry.read_to_end(&mut text).map_err(|e| unreadable(path, &e))?;
            texts.push_back((own.name.clone(), text));
        }
        entries.push(own);
    }
    Ok(Contents { entries, texts })
}
