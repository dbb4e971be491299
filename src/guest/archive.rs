//! Archives of what goes to a guest. They are made while they are sent, so that nothing has to hold them here: what is
//! copied can be larger than the space that is left.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::batch::local;
use super::error::{Error, Result};
use super::job::{CopyContent, CopyEntry};
use crate::vsphere::client::Content;

/// Is told how many bytes have gone over, and how many there are in all.
pub type OnMoved = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// A file that goes over as it is: what it becomes in the guest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'a> {
    pub path: &'a str,
    /// Its permission bits.
    pub mode: u32,
    /// In seconds of the epoch.
    pub modified: u64,
}

/// What sizes in an archive are rounded up to.
pub(super) const BLOCK: u64 = 512;

/// How much of all that is, in hundredths.
pub fn percent(moved: u64, total: u64) -> u8 {
    let percent = moved.saturating_mul(100).checked_div(total).unwrap_or_default().min(100);
    u8::try_from(percent).unwrap_or(100)
}

/// One entry with what its header says. It is as it was when it was looked at, whatever becomes of its file meanwhile.
struct Item {
    entry: CopyEntry,
    /// Relative to `/`.
    name: String,
    size: u64,
    modified: u64,
}

/// A tar archive whose names are relative to `/`; or one file as it is, when that is all.
pub(super) struct Archive {
    items: Vec<Item>,
    bare: bool,
    size: u64,
    moved: Option<OnMoved>,
    /// Of what was made last.
    sha256: Mutex<String>,
    /// Why it couldn't be made.
    failure: Mutex<Option<Error>>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("entries", &self.items.len()).field("size", &self.size).finish()
    }
}

impl Archive {
    /// Looks at what is to be sent. May block.
    pub fn of(entries: &[CopyEntry], moved: Option<OnMoved>) -> Result<Self> {
        let items = entries.iter().map(Item::of).collect::<Result<Vec<_>>>()?;
        let mut builder = tar::Builder::new(Size(0));
        for item in &items {
            item.append(&mut builder, &mut io::empty()).map_err(|e| item.failed(&e))?;
            builder.get_mut().0 += item.size.next_multiple_of(BLOCK);
        }
        let size = builder.into_inner().map_or(0, |size| size.0);
        Ok(Archive { items, bare: false, size, moved, sha256: Mutex::default(), failure: Mutex::default() })
    }

    /// Where the only file goes, if there is nothing else.
    pub fn only_file(&self) -> Option<Placed<'_>> {
        match self.items.as_slice() {
            [item] if matches!(item.entry.content, CopyContent::File(_)) => {
                Some(Placed { path: &item.entry.path, mode: item.entry.mode & 0o7777, modified: item.modified })
            }
            _ => None,
        }
    }

    /// The only file as it is, without an archive around it.
    pub fn bare(self) -> Self {
        let size = self.items.iter().map(|item| item.size).sum();
        Archive { bare: true, size, ..self }
    }

    /// Writes all of it. May block.
    pub fn pack(&self, out: impl Write) -> Result<()> {
        let mut out = out;
        if self.bare {
            for item in &self.items {
                if let CopyContent::File(path) = &item.entry.content {
                    let copied = item.read(path, |content| io::copy(content, &mut out).map(drop))?;
                    copied.map_err(|e| item.failed(&e))?;
                }
            }
            return Ok(());
        }
        let mut builder = tar::Builder::new(out);
        for item in &self.items {
            match &item.entry.content {
                CopyContent::File(path) => {
                    item.read(path, |content| item.append(&mut builder, content))?.map_err(|e| item.failed(&e))?;
                }
                CopyContent::Bytes(bytes) => {
                    item.append(&mut builder, &mut bytes.as_slice()).map_err(|e| item.failed(&e))?;
                }
                CopyContent::Directory | CopyContent::Symlink(_) => {
                    item.append(&mut builder, &mut io::empty()).map_err(|e| item.failed(&e))?;
                }
            }
        }
        builder.finish().map_err(|e| Error::Copy { path: self.first(), detail: e.to_string() })
    }

    /// For a message.
    pub fn first(&self) -> String {
        match self.items.as_slice() {
            [item] => item.entry.path.clone(),
            [item, others @ ..] => format!("{} and {} more", item.entry.path, others.len()),
            [] => String::new(),
        }
    }

    /// The digest of what was made last, in hexadecimal digits.
    pub fn sha256(&self) -> String {
        self.sha256.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why it couldn't be made, if that was so.
    pub fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Content for Archive {
    fn size(&self) -> u64 {
        self.size
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let told = self.moved.as_ref().map(|moved| (moved, self.size));
        let mut passing = Passing { out, digest: Sha256::new(), passed: 0, told };
        match self.pack(&mut passing) {
            Ok(()) => {
                let digest: String = passing.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
                *self.sha256.lock().unwrap_or_else(PoisonError::into_inner) = digest;
                Ok(())
            }
            Err(error) => {
                let told = io::Error::other(error.to_string());
                // What is no longer wanted isn't the files' fault.
                if matches!(error, Error::Local { .. }) {
                    *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
                Err(told)
            }
        }
    }
}

impl Item {
    fn of(entry: &CopyEntry) -> Result<Self> {
        let drive = drive_as_directory(&entry.path);
        let path = drive.as_deref().unwrap_or(&entry.path);
        let name = path.trim_start_matches('/');
        if !path.starts_with('/') || name.is_empty() || name.contains('\0') || name.split('/').any(|p| p == "..") {
            let detail = "that is no absolute path in the guest".to_owned();
            return Err(Error::Copy { path: entry.path.clone(), detail });
        }
        let (size, modified) = match &entry.content {
            CopyContent::Bytes(bytes) => (bytes.len() as u64, now()),
            CopyContent::File(path) => {
                let meta = fs::metadata(path).map_err(|e| local(path, &e))?;
                (meta.len(), modified(&meta))
            }
            CopyContent::Directory | CopyContent::Symlink(_) => (0, now()),
        };
        Ok(Item { entry: entry.clone(), name: name.to_owned(), size, modified })
    }

    /// Its header and what a reader has for it, up to the next whole block.
    fn append<W: Write>(&self, builder: &mut tar::Builder<W>, content: &mut dyn Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(self.entry.mode & 0o7777);
        header.set_mtime(self.modified);
        header.set_size(self.size);
        match &self.entry.content {
            CopyContent::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                builder.append_data(&mut header, format!("{}/", self.name.trim_end_matches('/')), content)
            }
            CopyContent::Symlink(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                builder.append_link(&mut header, &self.name, target)
            }
            CopyContent::Bytes(_) | CopyContent::File(_) => builder.append_data(&mut header, &self.name, content),
        }
    }

    /// Does something with a file's content. The error is the file's own.
    fn read<T>(&self, path: &Path, work: impl FnOnce(&mut dyn Read) -> T) -> Result<T> {
        let mut reading = Reading { file: File::open(path).map_err(|e| local(path, &e))?, failed: None };
        // A file that changes its size meanwhile must not break the archive.
        let done = work(&mut (&mut reading).chain(io::repeat(0)).take(self.size));
        match reading.failed {
            Some(error) => Err(local(path, &error)),
            None => Ok(done),
        }
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::Copy { path: self.entry.path.clone(), detail: error.to_string() }
    }
}

/// A file that remembers that it couldn't be read: the archive's own error doesn't say which side failed.
struct Reading {
    file: File,
    failed: Option<io::Error>,
}

impl Read for Reading {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.file.read(into).map_err(|error| {
            let told = io::Error::from(error.kind());
            self.failed = Some(error);
            told
        })
    }
}

/// What is made on its way out.
struct Passing<'a> {
    out: &'a mut dyn Write,
    digest: Sha256,
    passed: u64,
    told: Option<(&'a OnMoved, u64)>,
}

impl Write for Passing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let passed = self.out.write(bytes)?;
        self.digest.update(bytes.get(..passed).unwrap_or_default());
        self.passed += passed as u64;
        if let Some((moved, total)) = self.told {
            moved(self.passed, total);
        }
        Ok(passed)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Counts.
struct Size(u64);

impl Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |t| t.as_secs())
}

fn modified(meta: &fs::Metadata) -> u64 {
    let since = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or_else(now, |t| t.as_secs())
}

/// What stands before a file's content in an archive.
pub(super) fn head(path: &str, size: u64, mode: u32, modified: u64) -> Result<Vec<u8>> {
    let entry = CopyEntry { path: path.to_owned(), content: CopyContent::Bytes(Vec::new()), mode };
    let item = Item { size, modified, ..Item::of(&entry)? };
    let mut builder = tar::Builder::new(Vec::new());
    item.append(&mut builder, &mut io::empty()).map_err(|e| item.failed(&e))?;
    Ok(std::mem::take(builder.get_mut()))
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn entry(path: &str, content: CopyContent) -> CopyEntry {
        CopyEntry { path: path.to_owned(), content, mode: 0o640 }
    }

    #[test]
    fn its_size_is_known_before_it_is_made() {
        let here = tempfile::tempdir().expect("a directory");
        let file = here.path().join("file");
        fs::write(&file, vec![b'f'; 513]).expect("written");
        let long = format!("/srv/{}/{}", "d".repeat(120), "n".repeat(240));
        let contents = [
            CopyContent::Directory,
            CopyContent::Bytes(Vec::new()),
            CopyContent::Bytes(vec![b'b'; 512]),
            CopyContent::Symlink("t".repeat(300)),
            CopyContent::Symlink("near".to_owned()),
            CopyContent::File(file.clone()),
        ];
        let mut entries: Vec<CopyEntry> = Vec::new();
        for (n, content) in contents.into_iter().enumerate() {
            entries.push(entry(&format!("/srv/{n}"), content.clone()));
            entries.push(entry(&format!("{long}{n}"), content));
        }
        let archive = Archive::of(&entries, None).expect("looked at");
        let mut made = Vec::new();
        archive.write(&mut made).expect("made");
        assert_eq!(archive.size(), made.len() as u64);
        assert_eq!(archive.sha256(), Sha256::digest(&made).iter().map(|b| format!("{b:02x}")).collect::<String>());
        let mut read = tar::Archive::new(made.as_slice());
        let names: Vec<String> = read
            .entries()
            .expect("an archive")
            .map(|e| format!("/{}", e.expect("an entry").path().expect("a path").display()))
            .collect();
        let wanted: Vec<&str> = entries.iter().map(|e| e.path.as_str()).collect();
        assert_eq!(names.iter().map(|n| n.trim_end_matches('/')).collect::<Vec<_>>(), wanted);

        // What has become of a file since doesn't break it.
        for len in [2000, 5] {
            File::options().write(true).open(&file).and_then(|f| f.set_len(len)).expect("another size");
            made.clear();
            archive.write(&mut made).expect("made");
            assert_eq!(archive.size(), made.len() as u64);
        }
        let mut content = Vec::new();
        for entry in tar::Archive::new(made.as_slice()).entries().expect("an archive") {
            content.clear();
            entry.expect("an entry").read_to_end(&mut content).expect("its content");
        }
        assert!(content == [vec![b'f'; 5], vec![0; 508]].concat(), "{} bytes", content.len());
    }

    #[test]
    fn which_side_failed_is_told() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let here = tempfile::tempdir().expect("a directory");
        let file = here.path().join("file");
        fs::write(&file, "x").expect("written");
        let archive = Archive::of(&[entry("/f", CopyContent::File(file.clone()))], None).expect("looked at");
        archive.write(&mut Full).expect_err("nobody takes it");
        assert!(archive.failure().is_none());
        fs::remove_file(&file).expect("removed");
        archive.write(&mut io::sink()).expect_err("it is gone");
        assert!(matches!(archive.failure(), Some(Error::Local { .. })));
    }
}
