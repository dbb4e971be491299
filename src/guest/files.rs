//! Files to and from a guest: as tar archives, or one that is large as it is.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::archive::{self, Archive, OnMoved};
use super::batch::{Carried, local};
use super::error::{Error, Result};
use super::family::Landed;
use super::job::{Body, CopyContent, CopyEntry, Job, RunAs};
use super::ticket::now;
use super::unpack::{self, Wanted, place};
use super::{Guest, done};
use crate::vsphere::client::{Content as _, Source};

/// What is larger than this arrives where it goes, not in the work directory, and goes from where it is.
const LARGE: u64 = 8 << 20;
/// How many pieces wait to be unpacked.
const WAITING: usize = 8;
/// An archive of at most this comes with the output of the command that makes it.
const INLINE: usize = 48 << 10;

impl Guest {
    /// Copies files, directories and links into the guest; parents are made. `owner` is `user` or `user:group`; without it
    /// the files are the login's (root's where `run_as` is root). `run_as` may be root alone, for logins that are not.
    /// `moved` is told how far it is.
    pub async fn copy_in(
        &self,
        entries: &[CopyEntry],
        owner: Option<&str>,
        run_as: Option<&RunAs>,
        moved: Option<OnMoved>,
    ) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        if let Some(mut job) = Guest::copy_job(0, entries, owner)? {
            job.run_as = run_as.cloned();
            return done(self.run(job).await?, &entries.first().map(|e| e.path.clone()).unwrap_or_default());
        }
        let mode = |entry: &CopyEntry| if matches!(entry.content, CopyContent::Symlink(_)) { 0 } else { entry.mode };
        let paths: Vec<(String, u32)> = entries.iter().map(|entry| (entry.path.clone(), mode(entry))).collect();
        let list = entries.to_vec();
        let archive = blocking(move || Archive::of(&list, moved)).await?;
        let settled = self.settled().await?;
        let number = self.next_number();
        let beside = match paths.first() {
            // Who is root only by another way can't be sent to where root may write.
            Some((path, _)) if run_as.is_none() && archive.size() > LARGE => self.land(number, path).await?,
            _ => None,
        };
        let bare = beside.is_some() && archive.only_file().is_some();
        let archive = Arc::new(if bare { archive.bare() } else { archive });
        let landed = beside.unwrap_or_else(|| {
            let file = format!("{}/c{number}", settled.facts().work);
            Landed { remove: vec![file.clone()], file }
        });
        let carried = self.carry(&landed.file, &Source::Made(archive.clone())).await;
        if let Some(error) = archive.failure() {
            return Err(error);
        }
        let before = match carried? {
            Carried::Whole => String::new(),
            Carried::Parts(count) => settled.join_parts(&landed.file, count),
        };
        let body = match archive.only_file().filter(|_| bare) {
            Some(file) => settled.put(&before, &landed, &archive.sha256(), file, owner),
            None => {
                let owners = owner.map(|owner| (owner, paths.as_slice()));
                settled.unpack(&before, &landed, &archive.sha256(), owners)
            }
        };
        let mut job = Job::new(0, body);
        job.run_as = run_as.cloned();
        let end = self.run(job).await?;
        self.state().landed.retain(|directory| !landed.remove.contains(directory));
        done(end, &archive.first())
    }

    /// Has the guest make a directory where something large goes, if it can.
    pub(super) async fn land(&self, number: u64, path: &str) -> Result<Option<Landed>> {
        let settled = self.settled().await?;
        if !self.transfers() {
            return Ok(None);
        }
        let stamp = now();
        let Some(body) = settled.land(number, stamp, path) else { return Ok(None) };
        let mut job = Job::new(0, body);
        job.capture = true;
        let said = self.run(job).await?.captured.unwrap_or_default();
        let Some(directory) = String::from_utf8(said).ok().filter(|said| !said.is_empty()) else { return Ok(None) };
        self.state().landed.push(directory.clone());
        let remove = vec![directory.clone(), format!("{}/l.{stamp}.{number}", settled.facts().work)];
        Ok(Some(Landed { file: format!("{directory}/file"), remove }))
    }

    /// The same as a job for a batch; none when it is too large for that.
    pub fn copy_job(id: u64, entries: &[CopyEntry], owner: Option<&str>) -> Result<Option<Job>> {
        let mut size = 0;
        for entry in entries {
            size += 1024;
            size += match &entry.content {
                CopyContent::Bytes(bytes) => bytes.len() as u64,
                CopyContent::File(path) => fs::metadata(path).map_err(|e| local(path, &e))?.len(),
                CopyContent::Directory | CopyContent::Symlink(_) => 0,
            };
        }
        if size > Body::UNPACK_LIMIT as u64 {
            return Ok(None);
        }
        let mut tar = Vec::new();
        Archive::of(entries, None)?.pack(&mut tar)?;
        Ok(Some(Job::new(id, Body::Unpack { tar, owner: owner.map(str::to_owned) })))
    }

    /// Fetches files and directories. One file goes to `dest` itself, unless `into` is set or `dest` is a directory; else
    /// all go below `dest` by their last names. Returns what was written. `moved` is told how far it is.
    pub async fn copy_out(
        &self,
        paths: &[String],
        dest: &Path,
        into: bool,
        run_as: Option<&RunAs>,
        moved: Option<OnMoved>,
    ) -> Result<Vec<PathBuf>> {
        let wanted = paths.iter().map(|path| Wanted::of(path)).collect::<Result<Vec<_>>>()?;
        let settled = self.settled().await?;
        let number = self.next_number();
        let remote = format!("{}/f{number}", settled.facts().work);
        // A single file needs no archive, and no room for one, where the login itself can send it.
        let bare = paths.len() == 1 && run_as.is_none() && self.transfers();
        let mut job = Job::new(0, settled.pack(&remote, paths, INLINE, bare.then_some(LARGE)));
        job.run_as = run_as.cloned();
        job.capture = true;
        job.secret = true;
        let mut end = self.run(job).await?;
        let said = end.captured.take().unwrap_or_default();
        done(end, &paths.join(" "))?;
        let packed = Packed::read(&said).ok_or_else(|| Error::Report("how large an archive is".to_owned()))?;
        let (dest, prefix) = (dest.to_owned(), unpack::prefix(self.options.build.as_deref()));
        match packed {
            Packed::Inline(archive) => {
                let archive = io::Cursor::new(archive.to_vec());
                blocking(move || place(archive, &wanted, &dest, into, &prefix)).await
            }
            Packed::Archive { size } => {
                let unpack = move |archive: Pieces| place(archive, &wanted, &dest, into, &prefix);
                let written = self.fetch(&remote, size, moved.as_ref(), unpack).await?;
                self.delete(&remote).await?;
                Ok(written)
            }
            Packed::Bare { size, mode, modified } => {
                let path = paths.first().cloned().unwrap_or_default();
                let head = archive::head(&path, size, mode, modified)?;
                let unpack = move |content: Pieces| {
                    // Its end, and what fills the last block.
                    let rest = io::repeat(0).take(4 * archive::BLOCK - size % archive::BLOCK);
                    let whole = io::Cursor::new(head).chain(content.take(size)).chain(rest);
                    place(whole, &wanted, &dest, into, &prefix)
                };
                self.fetch(&path, size, moved.as_ref(), unpack).await
            }
        }
    }

    /// Fetches the first `size` bytes of a file, by a transfer or through vCenter, and has them unpacked as they come.
    async fn fetch<T: Send + 'static>(
        &self,
        remote: &str,
        size: u64,
        moved: Option<&OnMoved>,
        unpack: impl FnOnce(Pieces) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut incoming = None;
        if self.transfers() {
            match self.wire.download(remote).await? {
                Ok(begun) => incoming = Some(begun),
                Err(reason) => self.transfers_failed(reason),
            }
        }
        let Some(mut incoming) = incoming else {
            if size > self.options.vcenter_limit {
                return Err(Error::NoTransfer {
                    what: format!("fetching {size} bytes (more than {})", self.options.vcenter_limit),
                    detail: self.no_transfers(),
                });
            }
            let content = Bytes::from(self.read_published(remote, size).await?);
            return blocking(move || unpack(Pieces::all(content))).await;
        };
        let (sender, pieces) = Pieces::coming();
        let unpacking = blocking(move || unpack(pieces));
        let receiving = async move {
            let mut got = 0;
            while got < size {
                match incoming.chunk().await {
                    Ok(Some(piece)) => {
                        got += piece.len() as u64;
                        if let Some(moved) = moved {
                            moved(got.min(size), size);
                        }
                        // Who unpacks has had enough, and tells why.
                        if sender.send(Ok(piece)).await.is_err() {
                            return Ok(());
                        }
                    }
                    Ok(None) => {
                        let detail = format!("{got} of {size} bytes arrived");
                        let _ = sender.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
                        return Err(Error::Copy { path: remote.to_owned(), detail });
                    }
                    Err(error) => {
                        let _ = sender.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
                        return Err(error.into());
                    }
                }
            }
            Ok(())
        };
        let (received, unpacked) = tokio::join!(receiving, unpacking);
        received.and(unpacked)
    }
}

/// What a guest says of what it has packed.
enum Packed<'a> {
    /// The archive itself.
    Inline(&'a [u8]),
    /// An archive in the work directory.
    Archive { size: u64 },
    /// The file that was asked for, as it is.
    Bare { size: u64, mode: u32, modified: u64 },
}

impl<'a> Packed<'a> {
    fn read(said: &'a [u8]) -> Option<Self> {
        let (line, rest) = said.split_at(said.iter().position(|byte| *byte == b'\n')?);
        let line = std::str::from_utf8(line).ok()?;
        if let Some(bare) = line.strip_prefix("bare ") {
            let mut words = bare.split_whitespace();
            let size = words.next()?.parse().ok()?;
            let mode = u32::from_str_radix(words.next()?, 8).ok()?;
            return Some(Packed::Bare { size, mode, modified: words.next()?.parse().unwrap_or_default() });
        }
        let size: u64 = line.trim().parse().ok()?;
        match size <= INLINE as u64 {
            true => Some(Packed::Inline(rest.get(1..).unwrap_or_default())),
            false => Some(Packed::Archive { size }),
        }
    }
}

/// What comes, as it comes, for a thread that reads it.
struct Pieces {
    receiver: Option<mpsc::Receiver<io::Result<Bytes>>>,
    now: Bytes,
}

impl Pieces {
    fn all(content: Bytes) -> Self {
        Pieces { receiver: None, now: content }
    }

    fn coming() -> (mpsc::Sender<io::Result<Bytes>>, Self) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (sender, Pieces { receiver: Some(receiver), now: Bytes::new() })
    }
}

impl io::Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.now.is_empty() {
            match self.receiver.as_mut().and_then(mpsc::Receiver::blocking_recv) {
                Some(piece) => self.now = piece?,
                None => return Ok(0),
            }
        }
        let piece = self.now.split_to(self.now.len().min(into.len()));
        into.iter_mut().zip(&piece).for_each(|(to, byte)| *to = *byte);
        Ok(piece.len())
    }
}

/// Runs work on files away from the threads that talk to the server.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => Err(Error::Local { path: "a temporary file".to_owned(), detail: e.to_string() }),
    }
}
