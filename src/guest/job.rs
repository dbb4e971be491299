//! What a guest is asked to do, and what it answers: plain data, the same for every family of guests.

use std::fmt;
use std::time::Duration;

/// Largest output that a [`Job`] may capture, in bytes (1 MiB).
pub const MAX_CAPTURE: usize = 1 << 20;

/// The guest account through which Tools act. Its password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The account.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// One command, with all that it needs to run without us.
#[derive(Clone)]
pub struct Job {
    /// The caller's own number; it comes back in every [`Event`]. Unique within a batch.
    pub id: u64,
    /// What is run.
    pub body: Body,
    /// Variables, in order; a later one may use an earlier one.
    pub env: Vec<EnvVar>,
    /// Absolute path; it is made, with its parents, where it doesn't exist. None: the user's home.
    pub workdir: Option<String>,
    /// Another account than the login's.
    pub run_as: Option<RunAs>,
    /// Exit codes that are a success.
    pub ok: Vec<i32>,
    /// After this the whole tree of processes is ended. Each attempt has its own.
    pub timeout: Option<Duration>,
    /// The job is skipped when this succeeds (same account, directory, variables and timeout).
    pub unless: Option<Body>,
    /// How many more attempts after a failed one.
    pub retry: u32,
    /// Pause between attempts.
    pub delay: Duration,
    /// Bring back all of standard output in [`JobEnd::captured`]; more than [`MAX_CAPTURE`] is an error.
    pub capture: bool,
    /// Standard output is secret: it is never in an [`Event`].
    pub secret: bool,
    /// Later jobs run even when this one failed.
    pub allow_failure: bool,
}

impl Job {
    /// A job with nothing special: home directory, login account, exit code 0, no timeout.
    pub fn new(id: u64, body: Body) -> Self {
        Job {
            id,
            body,
            env: Vec::new(),
            workdir: None,
            run_as: None,
            ok: vec![0],
            timeout: None,
            unless: None,
            retry: 0,
            delay: Duration::from_secs(5),
            capture: false,
            secret: false,
            allow_failure: false,
        }
    }

    /// A script for `sh`.
    pub fn sh(id: u64, text: impl Into<String>) -> Self {
        Job::new(id, Body::Script { text: text.into(), interpreter: Interpreter::sh() })
    }

    /// Captures the content of a file, and then deletes it if asked. `/proc` and its like work.
    pub fn read_file(id: u64, path: &str, delete: bool) -> Self {
        let mut job = Job::new(id, Body::Read { path: path.to_owned(), delete });
        job.capture = true;
        job
    }

    /// Succeeds when there is such a file or directory.
    pub fn exists(id: u64, path: &str) -> Self {
        Job::new(id, Body::Exists(path.to_owned()))
    }

    /// Deletes a file or, with all that is in it, a directory; no error when there is none.
    pub fn delete(id: u64, path: &str) -> Self {
        Job::new(id, Body::Delete(path.to_owned()))
    }
}

/// What a [`Job`] runs. Texts can hold secrets, so `Debug` shows their length alone.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// A script, complete with its prelude of values.
    Script {
        /// Its text; no NUL.
        text: String,
        /// Who reads it.
        interpreter: Interpreter,
    },
    /// A program, found on PATH, and its arguments; no shell in between.
    Exec(Vec<String>),
    /// Prints a file's content, and deletes it then if asked.
    Read {
        /// Where it is.
        path: String,
        /// Whether it goes.
        delete: bool,
    },
    /// Succeeds when there is such a file or directory.
    Exists(String),
    /// Deletes a file or directory, if there is one.
    Delete(String),
    /// Prints the guest's host name.
    HostName,
    /// A script of ours, in the language that the guest's family has for that; its output is bytes.
    Own(String),
    /// A tar archive of modest size, unpacked at `/` (names in it are relative to that). What is larger than
    /// [`Body::UNPACK_LIMIT`] goes by [`super::Guest::copy_in`].
    Unpack {
        /// The archive.
        tar: Vec<u8>,
        /// `user` or `user:group` that owns what was unpacked.
        owner: Option<String>,
    },
}

impl Body {
    /// Largest archive that is worth sending inside a batch.
    pub const UNPACK_LIMIT: usize = 128 << 10;
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Script { text, interpreter } => write!(f, "Script({interpreter:?}, {} bytes)", text.len()),
            Body::Exec(argv) => write!(f, "Exec({} words)", argv.len()),
            Body::Read { path, delete } => write!(f, "Read({path:?}, {delete})"),
            Body::Exists(path) => write!(f, "Exists({path:?})"),
            Body::Delete(path) => write!(f, "Delete({path:?})"),
            Body::HostName => f.write_str("HostName"),
            Body::Own(text) => write!(f, "Own({} bytes)", text.len()),
            Body::Unpack { tar, .. } => write!(f, "Unpack({} bytes)", tar.len()),
        }
    }
}

/// Who reads a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interpreter {
    /// A program and its arguments; the script's path follows.
    Program {
        /// `["sh"]`, `["bash", "-o", "pipefail"]`; looked up on PATH.
        argv: Vec<String>,
        /// Stop at the first failing command: `-e` is added for shells that are known.
        errexit: bool,
    },
    /// The script says so itself, in its first line.
    Shebang,
}

impl Interpreter {
    /// `sh`.
    pub fn sh() -> Self {
        Interpreter::Program { argv: vec!["sh".into()], errexit: false }
    }

    /// `sh -e`.
    pub fn sh_errexit() -> Self {
        Interpreter::Program { argv: vec!["sh".into()], errexit: true }
    }
}

/// An environment variable.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvVar {
    /// Its name: a letter or `_`, then letters, digits, `_`.
    pub name: String,
    /// Its value.
    pub value: Vec<EnvPiece>,
}

/// A part of an environment variable's value.
#[derive(Clone, PartialEq, Eq)]
pub enum EnvPiece {
    /// Text, as it is; no NUL.
    Literal(String),
    /// The guest's variable of that name, expanded there; empty when unset.
    Variable(String),
}

/// Another account. Its password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RunAs {
    /// Its name.
    pub user: String,
    /// How to become it.
    pub via: Via,
    /// What sudo is told when it asks; None: the login's own password.
    pub password: Option<String>,
}

impl RunAs {
    /// An account, become in the way that the guest has.
    pub fn new(user: impl Into<String>) -> Self {
        RunAs { user: user.into(), via: Via::Auto, password: None }
    }
}

impl fmt::Debug for RunAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunAs").field("user", &self.user).field("via", &self.via).finish_non_exhaustive()
    }
}

/// How to become another account. Only sudo takes a password without a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum Via {
    /// As root `runuser`, else `su`; as another one `sudo`, else `doas -n`: the first that the guest has.
    #[default]
    Auto,
    /// `sudo`, which is given a password when it asks for one.
    Sudo,
    /// `su`, from root only.
    Su,
    /// `runuser`, from root only.
    Runuser,
    /// `doas -n`.
    Doas,
}

/// One of a command's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What happens while a batch runs, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The batch came with the first program of its guest, and is now known better: to be kept in place of the ticket
    /// that there was before.
    Placed(super::Ticket),
    /// A job begins.
    Started {
        /// Which.
        id: u64,
    },
    /// It wrote something. Never more than 64 KiB at once; may end in mid-character.
    Output {
        /// Which.
        id: u64,
        /// Where to.
        stream: Stream,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// It wrote more than the channel in use can bring over; what follows is later output.
    Omitted {
        /// Which.
        id: u64,
        /// Where to.
        stream: Stream,
        /// How many bytes are left out.
        bytes: u64,
    },
    /// An attempt failed, another follows.
    Retrying {
        /// Which.
        id: u64,
        /// Which attempt failed, from 1.
        attempt: u32,
        /// How it ended.
        exit: Exit,
    },
    /// It is over.
    Finished {
        /// Which.
        id: u64,
        /// How it ended.
        exit: Exit,
        /// Whether that counts as a success (`ok` worked in).
        success: bool,
        /// How long the last attempt took, measured in the guest.
        elapsed: Duration,
    },
    /// Something worth telling that stops nothing, say that ESXi can't be reached and output is abridged.
    Note(String),
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with that code.
    Code(i32),
    /// That signal ended it.
    Signal(i32),
    /// It took longer than its timeout, and was ended with all that it had started.
    TimedOut,
    /// `unless` succeeded, so it was not run.
    Skipped,
    /// Ended by [`super::Guest::kill_all`].
    Killed,
    /// The supervisor in the guest vanished before it was over (the guest restarted, or ran out of memory). Never
    /// a success.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "ended by signal {signal} ({name})"),
                None => write!(f, "ended by signal {signal}"),
            },
            Exit::TimedOut => f.write_str("timed out"),
            Exit::Skipped => f.write_str("skipped"),
            Exit::Killed => f.write_str("ended on request"),
            Exit::Unknown => f.write_str("ended without a trace"),
        }
    }
}

/// Names of the signals whose numbers are the same on every Unix.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return None,
    })
}

/// How one job of a batch ended.
#[derive(Clone)]
pub struct JobEnd {
    /// Which.
    pub id: u64,
    /// How.
    pub exit: Exit,
    /// Whether that counts as a success.
    pub success: bool,
    /// Attempts made.
    pub attempts: u32,
    /// How long the last attempt took, measured in the guest.
    pub elapsed: Duration,
    /// Standard output of the last attempt, if it was to be captured.
    pub captured: Option<Vec<u8>>,
    /// The last bytes of standard error, at most 4 KiB, for the error message.
    pub stderr_tail: Vec<u8>,
}

/// How a batch ended. Jobs after a failed one don't appear.
#[derive(Clone, Default)]
pub struct BatchOutcome {
    /// In the order of the batch.
    pub ends: Vec<JobEnd>,
}

impl BatchOutcome {
    /// The job that failed the batch: not a success, and not allowed to fail.
    pub fn failed(&self, jobs: &[Job]) -> Option<&JobEnd> {
        self.ends.iter().find(|end| !end.success && !jobs.iter().any(|job| job.id == end.id && job.allow_failure))
    }
}

/// What goes into the guest by [`super::Guest::copy_in`]. Paths in the guest are absolute.
#[derive(Clone, Debug)]
pub struct CopyEntry {
    /// Where to, absolute.
    pub path: String,
    /// What.
    pub content: CopyContent,
    /// Permission bits.
    pub mode: u32,
}

/// See [`CopyEntry`].
#[derive(Clone)]
pub enum CopyContent {
    /// A file of these bytes; may be empty.
    Bytes(Vec<u8>),
    /// A file as a local one is when it is sent.
    File(std::path::PathBuf),
    /// A directory.
    Directory,
    /// A symbolic link to this.
    Symlink(String),
}

impl fmt::Debug for CopyContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CopyContent::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            CopyContent::File(path) => f.debug_tuple("File").field(path).finish(),
            CopyContent::Directory => f.write_str("Directory"),
            CopyContent::Symlink(target) => f.debug_tuple("Symlink").field(target).finish(),
        }
    }
}
