//! The state directory: a directory for each build, with its journal and the logs of its steps.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::record::{FORMAT, Header, Record};
use super::{Journal, Mortal, Past};

/// The journal's name in a build's directory.
const NAME: &str = "journal.jsonl";

/// Journals of builds.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    mortal: Mortal,
}

/// A build of the past, or one that runs.
pub struct Kept {
    /// The first line of its journal.
    pub header: Header,
    /// What the other lines tell.
    pub past: Past,
    /// How it stands.
    pub standing: Standing,
    /// Its directory.
    pub directory: PathBuf,
}

/// How a build stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A process works on it.
    Running,
    /// Its process is gone, and hasn't ended it.
    Interrupted,
    /// It was stopped by Ctrl-C or a signal, has ended, and nothing is left of it.
    Stopped,
    /// It has ended, and is complete.
    Done,
    /// It has ended without success, and nothing is left of it.
    Failed,
    /// It has ended, and has left machines.
    Kept,
}

/// Why a journal can't be used.
#[derive(Debug)]
pub enum Broken {
    /// There is none of that name.
    Missing,
    /// Another process works on the build.
    Locked,
    /// It was written by a newer version, in this format.
    Newer(u64),
    /// It isn't a journal.
    Unreadable(String),
    /// The file can't be read or written.
    Io(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Broken::Missing } else { Broken::Io(error) }
    }
}

impl Store {
    /// The builds below a state directory.
    pub fn new(state: &Path) -> Self {
        Store { root: state.join("builds"), mortal: Mortal::default() }
    }

    /// For tests: journals end their process.
    #[must_use]
    pub fn mortal(self, mortal: Mortal) -> Self {
        Store { mortal, ..self }
    }

    /// Where the builds are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Begins the journal of a new build.
    ///
    /// # Errors
    /// The directory or the file can't be made or written.
    pub fn create(&self, header: &Header) -> Result<Journal, Broken> {
        let directory = self.root.join(&header.build);
        private_directory(&directory)?;
        let mut options = OpenOptions::new();
        options.append(true).create_new(true).read(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(directory.join(NAME))?;
        lock(&file)?;
        let mut line = serde_json::to_vec(header).map_err(io::Error::from)?;
        line.push(b'\n');
        if let Err(e) = io::Write::write_all(&mut file, &line).and_then(|()| file.sync_all()) {
            // Nothing has begun: nobody needs to ask what this build has left.
            drop(file);
            let _ = std::fs::remove_dir_all(&directory);
            return Err(e.into());
        }
        // The names are to last as the content does.
        if let Ok(directory) = File::open(&directory) {
            let _ = directory.sync_all();
        }
        Ok(Journal::over(directory, file, self.mortal)?)
    }

    /// Takes up the journal of a build, to go on with it or to clean up after it.
    ///
    /// # Errors
    /// There is none, it can't be read, or another process has it.
    pub fn open(&self, build: &str) -> Result<(Journal, Header, Past), Broken> {
        let directory = self.root.join(plain(build)?);
        crate::source::regular(&directory.join(NAME))?;
        let file = OpenOptions::new().append(true).read(true).open(directory.join(NAME))?;
        lock(&file)?;
        let (header, past, length) = read(&file)?;
        // A torn last line would spoil the next one.
        file.set_len(length)?;
        Ok((Journal::over(directory, file, self.mortal)?, header, past))
    }

    /// One build, only to look at.
    ///
    /// # Errors
    /// There is none, or it can't be read.
    pub fn look(&self, build: &str) -> Result<Kept, Broken> {
        let directory = self.root.join(plain(build)?);
        crate::source::regular(&directory.join(NAME))?;
        let file = File::open(directory.join(NAME))?;
        let running = match file.try_lock_shared() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => return Err(Broken::Io(error)),
        };
        // Of one that is worked on and can't be read, it is known at least that it is worked on.
        let (header, past, _) = read(&file).map_err(|broken| if running { Broken::Locked } else { broken })?;
        use super::Ending;
        let standing = match (running, past.ended) {
            (true, _) => Standing::Running,
            (false, None) => Standing::Interrupted,
            (false, Some(_)) if !past.left().is_empty() && !header.sandbox => Standing::Kept,
            (false, Some(Ending::Done)) => Standing::Done,
            (false, Some(Ending::Interrupted)) => Standing::Stopped,
            (false, Some(Ending::Failed | Ending::Cleaned)) => Standing::Failed,
        };
        Ok(Kept { header, past, standing, directory })
    }

    /// Why what there is can't be looked at. None: it can, or there is nothing.
    pub fn unreadable(&self) -> Option<io::Error> {
        std::fs::read_dir(&self.root).err().filter(|e| e.kind() != io::ErrorKind::NotFound)
    }

    /// All builds, the newest last; with those that can't be read.
    pub fn all(&self) -> Vec<(String, Result<Kept, Broken>)> {
        let names = std::fs::read_dir(&self.root).into_iter().flatten();
        let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut all: Vec<_> = names.map(|name| (name.clone(), self.look(&name))).collect();
        all.retain(|(_, kept)| !matches!(kept, Err(Broken::Missing)));
        let date = |kept: &Result<Kept, Broken>| kept.as_ref().map(|k| k.header.date.clone()).unwrap_or_default();
        all.sort_by(|a, b| (date(&a.1), &a.0).cmp(&(date(&b.1), &b.0)));
        all
    }

    /// Forgets builds that have ended and left nothing: all but the newest `keep`.
    pub fn prune(&self, keep: usize) {
        // Few enough by name alone: nothing is read.
        if std::fs::read_dir(&self.root).map_or(0, Iterator::count) <= keep {
            return;
        }
        let all: Vec<Kept> = self.over().collect();
        for kept in all.iter().take(all.len().saturating_sub(keep)) {
            // What can't be removed is tried again next time.
            let _ = std::fs::remove_dir_all(&kept.directory);
        }
    }

    /// Builds that have ended and left nothing, the newest last.
    pub fn over(&self) -> impl Iterator<Item = Kept> {
        let over = |kept: &Kept| match kept.standing {
            Standing::Done | Standing::Failed | Standing::Stopped => true,
            Standing::Interrupted => kept.header.sandbox,
            Standing::Running | Standing::Kept => false,
        };
        self.all().into_iter().filter_map(|(_, k)| k.ok()).filter(over)
    }

    /// Forgets one: its journal and its logs.
    ///
    /// # Errors
    /// A process works on it, or its files can't be removed.
    pub fn forget(&self, kept: &Kept) -> Result<(), Broken> {
        let _journal = self.open(&kept.header.build)?;
        std::fs::remove_dir_all(&kept.directory).map_err(Broken::Io)
    }
}

/// A build's id is the name of a directory, and no path.
fn plain(build: &str) -> Result<&str, Broken> {
    let plain = !build.is_empty() && build.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if plain { Ok(build) } else { Err(Broken::Missing) }
}

/// Locks a journal for whoever works on its build. Those that only look hold a lock of their own for an instant, which
/// is no reason to refuse.
fn lock(file: &File) -> Result<(), Broken> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(Broken::Io(error)),
        }
        match file.try_lock_shared() {
            // Nobody works on it: who was in the way looks, or is gone again.
            Ok(()) => file.unlock()?,
            Err(TryLockError::WouldBlock) => return Err(Broken::Locked),
            Err(TryLockError::Error(error)) => return Err(Broken::Io(error)),
        }
        std::thread::yield_now();
    }
}

/// Makes a directory that is its owner's alone.
fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// More guest accounts than any machine's build uses.
const MOST_SESSIONS: u32 = 1 << 16;

/// Reads a journal; with the length of what is whole of it.
fn read(file: &File) -> Result<(Header, Past, u64), Broken> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(0))?;
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    let first: serde_json::Value =
        serde_json::from_slice(&line).map_err(|e| Broken::Unreadable(format!("its first line: {e}")))?;
    let format = first.get("format").and_then(serde_json::Value::as_u64);
    match format {
        None => return Err(Broken::Unreadable("its first line names no format".to_owned())),
        Some(newer) if newer > u64::from(FORMAT) => return Err(Broken::Newer(newer)),
        Some(_) => {}
    }
    let header = serde_json::from_value(first).map_err(|e| Broken::Unreadable(format!("its first line: {e}")))?;
    let (mut past, mut length, mut at) = (Past::default(), line.len() as u64, 1);
    loop {
        line.clear();
        at += 1;
        let count = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            // The end, or a line that was being written when its process or the power went.
            return Ok((header, past, length));
        }
        match serde_json::from_slice::<Record>(&line) {
            // There is to be room for all numbers up to it.
            Ok(Record::Session { number, .. }) if number > MOST_SESSIONS => {
                return Err(Broken::Unreadable(format!("line {at}: no build has {number} guest accounts")));
            }
            Ok(record) => past.take(record),
            Err(e) => return Err(Broken::Unreadable(format!("line {at}: {e}"))),
        }
        length += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::journal::Ending;
    use std::io::Write as _;

    fn header(build: &str) -> Header {
        Header { format: FORMAT, build: build.to_owned(), date: "2030-01-01T00:00:00Z".to_owned(), ..Header::default() }
    }

    fn clone() -> Record {
        Record::Clone {
            entry: 0,
            machine: 0,
            part: 0,
            label: "web".to_owned(),
            source: "VirtualMachine:vm-1".to_owned(),
            name: "web-tmp".to_owned(),
            folder: "Folder:group-v3".to_owned(),
            folder_path: "/DC0/vm".to_owned(),
        }
    }

    #[test]
    fn a_torn_last_line_is_as_good_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let journal = store.create(&header("b-1")).unwrap();
        journal.note(&clone());
        journal.note(&Record::Made { entry: 0, vm: "VirtualMachine:vm-7".to_owned() });
        drop(journal);
        let path = store.root().join("b-1").join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..=20 {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let (journal, _, past) = store.open("b-1").unwrap();
            assert_eq!(past.left()[0].vm, None, "{cut} bytes less");
            journal.note(&Record::Gone { entry: 0 });
            drop(journal);
            let (_, _, past) = store.open("b-1").unwrap();
            assert!(past.left().is_empty(), "{cut} bytes less, and a line more");
        }
    }

    #[test]
    fn a_line_in_the_middle_that_is_torn_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        drop(store.create(&header("b-1")).unwrap());
        let path = store.root().join("b-1").join(NAME);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"is\":\"go\n{}\n").unwrap();
        assert!(matches!(store.open("b-1"), Err(Broken::Unreadable(why)) if why.starts_with("line 2")));
        // Who works on it hides that: it is worked on.
        let works = File::open(&path).unwrap();
        works.lock().unwrap();
        assert!(matches!(store.look("b-1"), Err(Broken::Locked)));
    }

    #[test]
    fn one_process_at_a_time_works_on_a_build() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let journal = store.create(&header("b-1")).unwrap();
        assert!(matches!(store.open("b-1"), Err(Broken::Locked)));
        assert_eq!(store.look("b-1").unwrap().standing, Standing::Running);
        drop(journal);
        assert_eq!(store.look("b-1").unwrap().standing, Standing::Interrupted);
        let (journal, ..) = store.open("b-1").unwrap();
        journal.note(&clone());
        journal.note(&Record::Ended { how: Ending::Failed, when: String::new(), left: vec![] });
        drop(journal);
        assert_eq!(store.look("b-1").unwrap().standing, Standing::Kept);
    }

    #[test]
    fn who_looks_is_not_in_the_way_of_who_works() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        drop(store.create(&header("b-1")).unwrap());
        // One that looks, and takes its time.
        let looking = File::open(store.root().join("b-1").join(NAME)).unwrap();
        looking.try_lock_shared().unwrap();
        std::thread::scope(|scope| {
            let opened = scope.spawn(|| store.open("b-1").map(drop).is_ok());
            while !opened.is_finished() {
                // It waits for this one, and for nobody else.
                looking.unlock().unwrap();
            }
            assert!(opened.join().unwrap());
        });
        let journal = store.open("b-1").unwrap();
        assert!(matches!(store.open("b-1"), Err(Broken::Locked)));
        drop(journal);
        // Many of both: nobody who works is refused for those who look.
        std::thread::scope(|scope| {
            let lookers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..200 {
                            assert!(store.look("b-1").is_ok());
                        }
                    })
                })
                .collect();
            while !lookers.iter().all(|looker| looker.is_finished()) {
                drop(store.open("b-1").unwrap_or_else(|e| panic!("refused: {e:?}")));
            }
        });
    }

    #[test]
    fn a_build_that_was_stopped_is_no_failed_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let journal = store.create(&header("b-1")).unwrap();
        journal.note(&Record::Ended { how: Ending::Interrupted, when: String::new(), left: vec![] });
        drop(journal);
        let kept = store.look("b-1").unwrap();
        assert_eq!(kept.standing, Standing::Stopped);
        store.forget(&kept).unwrap();
        assert!(store.all().is_empty());
    }

    #[test]
    fn a_newer_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        drop(store.create(&Header { format: FORMAT + 1, ..header("b-1") }).unwrap());
        assert!(matches!(store.open("b-1"), Err(Broken::Newer(2))));
        assert!(matches!(store.open("b-2"), Err(Broken::Missing)));
        assert!(matches!(store.open("../b-1"), Err(Broken::Missing)));
    }

    #[test]
    fn only_ended_builds_that_left_nothing_are_pruned() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        for n in 0..6 {
            let journal = store.create(&header(&format!("b-{n}"))).unwrap();
            if n == 1 {
                journal.note(&clone());
            }
            if n != 0 {
                journal.note(&Record::Ended { how: Ending::Failed, when: String::new(), left: vec![] });
            }
        }
        store.prune(2);
        let names: Vec<String> = store.all().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["b-0", "b-1", "b-4", "b-5"]);
    }
}
