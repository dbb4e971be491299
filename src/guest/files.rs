//! Files to and from a guest, as tar archives.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::archive::{Archive, OnMoved};
use super::batch::{Carried, local};
use super::error::{Error, Result};
use super::family::Landed;
use super::job::{Body, CopyContent, CopyEntry, Job, RunAs};
use super::unpack::{self, Wanted, place};
use super::{Guest, done};
use crate::vsphere::client::{Content as _, Source};

/// What is larger than this arrives where it goes, not in the work directory.
const LARGE: u64 = 8 << 20;
/// An archive of at most this comes with the output of the command that makes it.
const INLINE: usize = 48 << 10;

/// A file for an archive on its way.
fn passing(scratch: Option<&Path>) -> Result<NamedTempFile> {
    let Some(directory) = scratch else {
        return NamedTempFile::new().map_err(|e| local(&std::env::temp_dir(), &e));
    };
    let made = fs::create_dir_all(directory).and_then(|()| NamedTempFile::new_in(directory));
    made.map_err(|e| local(directory, &e))
}

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
        let Some(body) = settled.land(number, path) else { return Ok(None) };
        let mut job = Job::new(0, body);
        job.capture = true;
        let said = self.run(job).await?.captured.unwrap_or_default();
        let Some(directory) = String::from_utf8(said).ok().filter(|said| !said.is_empty()) else { return Ok(None) };
        self.state().landed.push(directory.clone());
        let remove = vec![directory.clone(), format!("{}/l.{number}", settled.facts().work)];
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
        let mut job = Job::new(0, settled.pack(&remote, paths, INLINE));
        job.run_as = run_as.cloned();
        job.capture = true;
        job.secret = true;
        let mut end = self.run(job).await?;
        let said = end.captured.take().unwrap_or_default();
        done(end, &paths.join(" "))?;
        let report = || Error::Report("how large an archive is".to_owned());
        let split = said.iter().position(|byte| *byte == b'\n').ok_or_else(report)?;
        let (line, rest) = said.split_at(split);
        let size: u64 = String::from_utf8_lossy(line).trim().parse().map_err(|_| report())?;
        let file = passing(self.options.scratch.as_deref())?;
        if size <= INLINE as u64 {
            tokio::fs::write(file.path(), rest.get(1..).unwrap_or_default())
                .await
                .map_err(|e| local(file.path(), &e))?;
        } else {
            self.fetch(&remote, size, file.path(), moved.as_ref()).await?;
            self.delete(&remote).await?;
        }
        let dest = dest.to_owned();
        let prefix = unpack::prefix(self.options.build.as_deref());
        blocking(move || place(file.path(), &wanted, &dest, into, &prefix)).await
    }

    /// Fetches one file of the work directory, by a transfer or through vCenter.
    async fn fetch(&self, remote: &str, size: u64, to: &Path, moved: Option<&OnMoved>) -> Result<()> {
        if self.transfers() {
            match self.wire.download(remote).await? {
                Ok(mut incoming) => {
                    // Never more than was announced, whatever comes.
                    let got = incoming.save(to, size, moved).await?;
                    if got == size {
                        return Ok(());
                    }
                    let got = if got > size { "more".to_owned() } else { got.to_string() };
                    let detail = format!("{got} of {size} bytes arrived");
                    return Err(Error::Copy { path: remote.to_owned(), detail });
                }
                Err(reason) => self.transfers_failed(reason),
            }
        }
        if size > self.options.vcenter_limit {
            return Err(Error::NoTransfer {
                what: format!("fetching {size} bytes (more than {})", self.options.vcenter_limit),
                detail: self.no_transfers(),
            });
        }
        let content = self.read_published(remote, size).await?;
        tokio::fs::write(to, content).await.map_err(|e| local(to, &e))
    }
}

/// Runs work on files away from the threads that talk to the server.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => Err(Error::Local { path: "a temporary file".to_owned(), detail: e.to_string() }),
    }
}
