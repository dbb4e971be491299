//! The digest of the files that a COPY takes from the context: their paths, contents, modes and where links lead.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};

use crate::cache::{Digest, Sink};
use crate::sema::context::{Ignored, inside};
use crate::sema::program::{Action, Copy, CopyFrom, Step};

/// How much of a file is read at once.
const PIECE: usize = 64 * 1024;

/// Whether a step copies files from the context.
pub(super) fn copies(step: &Step) -> Option<&Copy> {
    match &step.action {
        Action::Copy(copy) if copy.from.is_none() => {
            copy.sources.iter().any(|s| matches!(s, CopyFrom::Path(_))).then_some(copy)
        }
        _ => None,
    }
}

/// What a COPY would send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Files {
    /// Its digest.
    pub(super) digest: Digest,
    /// A digest of the files' sizes and times instead of their contents: the same as long as nobody writes to them.
    pub(super) state: Digest,
}

/// What each COPY would send now. None: it isn't known before the build, or can't be read; then its turn tells what is
/// wrong. Large files take their time: they are read beside the threads that talk to the server, until this is dropped.
pub(super) async fn read(context: &Path, copies: Vec<Copy>) -> Vec<Option<Files>> {
    beside(context, copies, |tree| {
        // In this order: what is written while it is read shows afterwards.
        let state = tree.walk(false)?;
        Some(Files { state, digest: tree.walk(true)? })
    })
    .await
}

/// See [`Files::state`].
pub(super) async fn states(context: &Path, copies: Vec<Copy>) -> Vec<Option<Digest>> {
    beside(context, copies, |tree| tree.walk(false)).await
}

/// Looks at the files of each COPY on a thread that may wait for disks.
async fn beside<T: Send + 'static>(
    context: &Path,
    copies: Vec<Copy>,
    look: impl Fn(&Reading<'_>) -> Option<T> + Send + 'static,
) -> Vec<Option<T>> {
    if copies.is_empty() {
        return Vec::new();
    }
    let (count, context) = (copies.len(), PathBuf::from(context));
    let over = Over::default();
    let stop = Arc::clone(&over.0);
    let all = tokio::task::spawn_blocking(move || {
        let ignored = Ignored::of(&context);
        let of = |copy| look(&Reading { context: &context, ignored: &ignored, copy, stop: &stop });
        copies.iter().map(of).collect()
    });
    let none = || std::iter::repeat_with(|| None).take(count).collect();
    all.await.unwrap_or_else(|_| none())
}

/// Says, when it is dropped, that nobody waits for what is read any more.
#[derive(Default)]
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A COPY whose files are looked at.
struct Reading<'a> {
    context: &'a Path,
    ignored: &'a Ignored,
    copy: &'a Copy,
    stop: &'a AtomicBool,
}

impl Reading<'_> {
    fn walk(&self, contents: bool) -> Option<Digest> {
        let Reading { context, ignored, copy, stop } = *self;
        let sink = Sink::new("files");
        let mut tree = Tree { context, ignored, own_modes: copy.chmod.is_none(), contents, stop, sink };
        for source in &copy.sources {
            let CopyFrom::Path(path) = source else { continue };
            let path = path.as_literal()?;
            tree.any(&inside(path)?).ok()?;
        }
        Some(tree.sink.end())
    }
}

struct Tree<'a> {
    context: &'a Path,
    ignored: &'a Ignored,
    /// Whether the files' modes count: with --chmod they don't.
    own_modes: bool,
    /// Whether contents are read, or only what is known of files.
    contents: bool,
    stop: &'a AtomicBool,
    sink: Sink,
}

impl Tree<'_> {
    /// What a COPY names: there a link stands for what it leads to.
    fn any(&mut self, relative: &Path) -> io::Result<()> {
        let full = self.context.join(relative);
        let meta = std::fs::metadata(&full)?;
        self.sink.bytes(relative.as_os_str().as_encoded_bytes());
        if meta.is_dir() { self.directory(relative, &meta) } else { self.file(&full, &meta) }
    }

    fn directory(&mut self, relative: &Path, meta: &Metadata) -> io::Result<()> {
        self.sink.text("directory");
        self.mode(meta);
        let mut names: Vec<_> = std::fs::read_dir(self.context.join(relative))?.collect::<io::Result<_>>()?;
        names.sort_by_key(std::fs::DirEntry::file_name);
        for entry in names {
            let (relative, full) = (relative.join(entry.file_name()), entry.path());
            let kind = entry.file_type()?;
            if self.ignored.holds_back(&relative, kind.is_dir()) {
                continue;
            }
            self.sink.bytes(entry.file_name().as_encoded_bytes());
            if kind.is_symlink() {
                self.sink.text("link");
                self.sink.bytes(std::fs::read_link(&full)?.as_os_str().as_encoded_bytes());
            } else if kind.is_dir() {
                self.directory(&relative, &entry.metadata()?)?;
            } else {
                self.file(&full, &entry.metadata()?)?;
            }
        }
        self.sink.text("end");
        Ok(())
    }

    fn file(&mut self, full: &Path, meta: &Metadata) -> io::Result<()> {
        // Of a pipe nobody knows when it ends.
        crate::source::regular(full)?;
        self.sink.text("file");
        self.mode(meta);
        if !self.contents {
            self.sink.number(meta.len());
            let written = meta.modified()?.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.sink.number(u64::try_from(written.as_nanos()).unwrap_or_default());
            #[cfg(unix)]
            self.sink.number(std::os::unix::fs::MetadataExt::ino(meta));
            return Ok(());
        }
        let (mut file, mut hash, mut piece) = (File::open(full)?, Sha256::new(), vec![0; PIECE]);
        loop {
            match file.read(&mut piece)? {
                _ if self.stop.load(Ordering::Relaxed) => return Err(io::ErrorKind::Interrupted.into()),
                0 => break,
                n => hash.update(piece.get(..n).unwrap_or_default()),
            }
        }
        self.sink.digest(&Digest::new(hash.finalize().into()));
        Ok(())
    }

    fn mode(&mut self, meta: &Metadata) {
        #[cfg(unix)]
        let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o7777;
        #[cfg(not(unix))]
        let mode = u32::from(meta.permissions().readonly());
        self.sink.number(if self.own_modes { u64::from(mode) } else { u64::MAX });
    }
}
