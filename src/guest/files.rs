//! Files to and from a guest, as tar archives.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::batch::{Carried, local};
use super::error::{Error, Result};
use super::job::{Body, CopyContent, CopyEntry, Job, RunAs};
use super::unpack::{self, Wanted, place};
use super::{Guest, done};
use crate::vsphere::client::Source;

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
    pub async fn copy_in(&self, entries: &[CopyEntry], owner: Option<&str>, run_as: Option<&RunAs>) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        if let Some(mut job) = Guest::copy_job(0, entries, owner)? {
            job.run_as = run_as.cloned();
            return done(self.run(job).await?, &first(entries));
        }
        let paths: Vec<String> = entries.iter().map(|entry| entry.path.clone()).collect();
        let list = entries.to_vec();
        let scratch = self.options.scratch.clone();
        let (archive, sha256) = blocking(move || {
            let mut file = passing(scratch.as_deref())?;
            write_archive(&list, file.as_file_mut())?;
            file.flush().map_err(|e| local(file.path(), &e))?;
            let mut digest = Sha256::new();
            let mut reader = fs::File::open(file.path()).map_err(|e| local(file.path(), &e))?;
            std::io::copy(&mut reader, &mut HashWriter(&mut digest)).map_err(|e| local(file.path(), &e))?;
            let sha256: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            Ok((file, sha256))
        })
        .await?;
        let settled = self.settled().await?;
        let number = self.next_number();
        let remote = format!("{}/c{number}", settled.facts().work);
        let carried = self.carry(&remote, &Source::File(archive.path().to_owned())).await?;
        let before = match carried {
            Carried::Whole => String::new(),
            Carried::Parts(count) => settled.join_parts(&remote, count),
        };
        let owners = owner.map(|owner| (owner, paths.as_slice()));
        let mut job = Job::new(0, settled.unpack(&before, &remote, &sha256, owners));
        job.run_as = run_as.cloned();
        let end = self.run(job).await?;
        done(end, &first(entries))
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
        write_archive(entries, &mut tar)?;
        Ok(Some(Job::new(id, Body::Unpack { tar, owner: owner.map(str::to_owned) })))
    }

    /// Fetches files and directories. One file goes to `dest` itself, unless `into` is set or `dest` is a directory; else
    /// all go below `dest` by their last names. Returns what was written.
    pub async fn copy_out(
        &self,
        paths: &[String],
        dest: &Path,
        into: bool,
        run_as: Option<&RunAs>,
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
            self.fetch(&remote, size, file.path()).await?;
            self.delete(&remote).await?;
        }
        let dest = dest.to_owned();
        let prefix = unpack::prefix(self.options.build.as_deref());
        blocking(move || place(file.path(), &wanted, &dest, into, &prefix)).await
    }

    /// Fetches one file of the work directory, by a transfer or through vCenter.
    async fn fetch(&self, remote: &str, size: u64, to: &Path) -> Result<()> {
        if self.transfers() {
            match self.wire.download(remote).await? {
                Ok(mut incoming) => {
                    // Never more than was announced, whatever comes.
                    let got = incoming.save(to, size).await?;
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

/// Feeds a digest.
struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// For a message.
fn first(entries: &[CopyEntry]) -> String {
    match entries {
        [entry] => entry.path.clone(),
        [entry, others @ ..] => format!("{} and {} more", entry.path, others.len()),
        [] => String::new(),
    }
}

/// Writes an archive whose names are relative to `/`.
fn write_archive(entries: &[CopyEntry], out: impl std::io::Write) -> Result<()> {
    let mut builder = tar::Builder::new(out);
    for entry in entries {
        let fail = |detail: String| Error::Copy { path: entry.path.clone(), detail };
        let drive = drive_as_directory(&entry.path);
        let path = drive.as_deref().unwrap_or(&entry.path);
        let name = path.trim_start_matches('/');
        if !path.starts_with('/') || name.is_empty() || name.contains('\0') || name.split('/').any(|p| p == "..") {
            return Err(fail("that is no absolute path in the guest".to_owned()));
        }
        let mut header = tar::Header::new_gnu();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(entry.mode & 0o7777);
        header.set_size(0);
        let io = |e: std::io::Error| fail(e.to_string());
        match &entry.content {
            CopyContent::Bytes(bytes) => {
                header.set_mtime(now());
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, name, bytes.as_slice()).map_err(io)?;
            }
            CopyContent::File(path) => {
                let file = fs::File::open(path).map_err(|e| local(path, &e))?;
                let meta = file.metadata().map_err(|e| local(path, &e))?;
                header.set_mtime(modified(&meta));
                header.set_size(meta.len());
                // A file that changes its size meanwhile must not break the archive.
                let reader = std::io::Read::take(std::io::Read::chain(file, std::io::repeat(0)), meta.len());
                builder.append_data(&mut header, name, reader).map_err(io)?;
            }
            CopyContent::Directory => {
                header.set_mtime(now());
                header.set_entry_type(tar::EntryType::Directory);
                builder
                    .append_data(&mut header, format!("{}/", name.trim_end_matches('/')), std::io::empty())
                    .map_err(io)?;
            }
            CopyContent::Symlink(target) => {
                header.set_mtime(now());
                header.set_entry_type(tar::EntryType::Symlink);
                builder.append_link(&mut header, name, target).map_err(io)?;
            }
        }
    }
    builder.finish().map_err(|e| Error::Copy { path: first(entries), detail: e.to_string() })
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |t| t.as_secs())
}

fn modified(meta: &fs::Metadata) -> u64 {
    let since = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or_else(now, |t| t.as_secs())
}

/// A path of Windows as archives have it, `C:\\dir\\file` as `/C/dir/file`: names with a colon aren't for every system's tar.
pub(super) fn drive_as_directory(path: &str) -> Option<String> {
    match path.as_bytes() {
        [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic() => {
            let (drive, rest) = (char::from(drive.to_ascii_uppercase()), path.get(2..).unwrap_or_default());
            Some(format!("/{drive}{}", rest.replace('\\', "/")))
        }
        _ => None,
    }
}
