//! Commands and files in guests, through VMware Tools.
//!
//! [`Guest::open`] sends nothing yet; [`Guest::run_batch`] sends a list of [`Job`]s over in one go
//! and reports what becomes of them; [`Guest::prepare`], [`Guest::attach`] and [`Guest::follow`] do that across processes;
//! [`Guest::copy_in`] and [`Guest::copy_out`] carry files. [`Guest::cleanup`] must be
//! awaited in the end, cancelled or not.
//!
//! # The first program
//! Nothing is known of a guest at first, not even where a private directory can be made. The first program finds out, makes
//! the directory, writes what it found beside the supervisor, and goes on to run the batch that it came with. It tells us in
//! the first records of that batch's log, which is looked for in the login's most likely home directory; where the directory
//! had to be made elsewhere, in a place below /tmp whose name we have given. A batch that needs something first (a large
//! file, a boot's identity) has that program sent without a batch.
//!
//! # How a batch travels
//! One StartProgramInGuest carries the jobs' scripts in a variable (base64 or octal, below 64 KiB); what is longer goes
//! by a transfer or in parts before it. In the guest a supervisor (`unix/supervise.sh`), detached by `setsid` where there
//! is one, runs the jobs and writes a log of file names, so that one ListFilesInGuest tells how every job stands and what
//! it has printed since the last look. A program that is started twice runs its batch once: making the batch's directory
//! is the first thing it does, and the second fails at that. So does whoever wants to go on with a batch of which it is
//! not certain that it was started: then it never will be.
//!
//! # What a job sees
//! `HOME USER LOGNAME SHELL=/bin/sh PATH LANG`, its ENV, and `VMWBUILD_JOB`, by which its processes are found again; nothing
//! else. `PATH` begins as the six usual directories, `LANG` is `C.UTF-8` where the guest knows that, else `C`; neither
//! login profiles nor /etc/environment are read. Standard input is /dev/null, the umask 022, the directory its WORKDIR
//! or else its user's home. Its script stands in a file that only its user can read; a shell's script is gone once the
//! shell has opened it, others go with the work directory.
//!
//! # Another user
//! A job's user is become by runuser, su, sudo or doas, which see no more of it than a fixed shell text: the job's launcher
//! comes by standard input. Whether it was read tells whether the user was become, and so what the program said was a
//! refusal. sudo gets a password by SUDO_ASKPASS, out of a file that is removed as it is read; it asks once.
//!
//! # How much output
//! Output is listed within a second, 64 KiB at once and 8 KiB a second after that. What is beyond comes in files of up to
//! 8 MiB by transfers; without these it waits, and when the job is over all but the last 32 KiB of a large rest is
//! left out ([`Event::Omitted`]). Nothing is held here but the current piece. All of the output stands in files of the
//! guest while a job runs, so the guest needs room for it.

mod archive;
mod batch;
pub mod codes;
mod error;
mod family;
mod files;
mod first;
mod follow;
mod job;
mod log;
mod network;
mod noway;
#[cfg(test)]
mod tests;
mod ticket;
mod unix;
mod unpack;
mod windows;
mod wire;

pub use archive::{OnMoved, percent};
pub use batch::Batch;
pub use error::{Error, Result};
pub use job::{
    BatchOutcome, Body, CopyContent, CopyEntry, EnvPiece, EnvVar, Event, Exit, Interpreter, Job, JobEnd, Login,
    MAX_CAPTURE, RunAs, Stream, Via,
};
pub use network::{Address, NetworkMethod, hostname_script, network_script, windows_hostname, windows_network};
pub use noway::{Becoming, NoWay};
pub use ticket::{Attached, JobMark, Standing, Ticket};
pub use unpack::{fetched_into, remove_unpacked};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::vsphere::client::Client;
use crate::vsphere::wire::Moref;
use family::{Family, Settled};
use unix::Unix;
use windows::Windows;
use wire::{Remote, Wire};

/// How long a refused login is repeated after a restart.
const REBOOT_WINDOW: Duration = Duration::from_secs(60);
/// From a start to the first look at what came of it, before anything is known about the guest: a look too early costs a
/// whole request. It adapts; looks become rarer up to [`LONGEST_LOOK`].
const USUAL_FIRST_LOOK: Duration = Duration::from_millis(75);
const FIRST_LOOK: Duration = Duration::from_millis(15);
const LONGEST_FIRST_LOOK: Duration = Duration::from_millis(250);
/// With the quarter of a second at which a guest itself looks, output is seen within a second of being printed.
const LONGEST_LOOK: Duration = Duration::from_millis(650);
/// How long a program that was started may give no sign.
const SILENCE: Duration = Duration::from_secs(60);

/// How data travels between here and a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Channel {
    /// What is small through vCenter, what is large by transfers; all through vCenter once a transfer has failed.
    #[default]
    Auto,
    /// Through vCenter only; what is too large for that is an error (files) or abridged (output).
    Vcenter,
    /// Files and large outputs by transfers always.
    Transfer,
}

/// Settings of [`Guest::open`].
#[derive(Clone, Debug)]
pub struct Options {
    /// How data travels.
    pub channel: Channel,
    /// Names the work directory and marks our processes: letters, digits and `-`, unique to this build and machine.
    /// None: random.
    pub name: Option<String>,
    /// The guest's family as the server tells it, where the caller has just asked; else [`Guest::open`] asks.
    pub family: Option<String>,
    /// Other passwords that the account may get while it is used, by its own steps.
    pub passwords: Vec<String>,
    /// Whether it may have one of these already: an earlier process has worked with it.
    pub changed: bool,
    /// How long a refused login is repeated: up to 60 s just after a boot, else zero.
    pub boot_window: Duration,
    /// How long the guest may not answer (Tools restarting, machine busy) before that is an error.
    pub patience: Duration,
    /// How long processes have between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// The build that fetches: what is left half unpacked by a process that was killed bears its id.
    pub build: Option<String>,
    /// The largest file, in bytes, that is sent or fetched through vCenter where transfers fail or are ruled out.
    pub vcenter_limit: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            channel: Channel::Auto,
            name: None,
            passwords: Vec::new(),
            changed: false,
            family: None,
            boot_window: Duration::ZERO,
            patience: Duration::from_secs(600),
            grace: Duration::from_secs(5),
            build: None,
            vcenter_limit: 32 << 20,
        }
    }
}

/// One virtual machine's guest, as one account. Its operations go one after another.
pub struct Guest {
    wire: Wire,
    family: Box<dyn Family>,
    login: Login,
    options: Options,
    state: Mutex<State>,
    /// One batch at a time.
    turn: tokio::sync::Mutex<()>,
}

/// What changes while a guest is used.
struct State {
    /// The guest, once it has told what it has.
    settled: Option<Arc<dyn Settled>>,
    /// The work directory, where it was before a restart.
    work: Option<String>,
    /// Names the place below /tmp where the guest reports when its work directory isn't where we look.
    meeting: String,
    /// Whether that place is there.
    met: bool,
    /// Whether a program may have been started.
    sent: bool,
    /// How long a refused login is repeated.
    boot_window: Duration,
    /// The number of the batch, or its like, that was begun last. It starts at random: other handles may have worked in
    /// the same directory.
    begun: u64,
    /// The batch that runs, and the place of its current job in it.
    running: Option<(u64, usize)>,
    /// Directories of ours elsewhere, in which something large arrives.
    landed: Vec<String>,
    /// Why transfers don't work, once one has failed.
    transfers_fail: Option<String>,
    /// To be told with the next event.
    note: Option<String>,
    /// From a start to the first look.
    first_look: Duration,
}

/// Where events of a batch go.
pub type OnEvent<'a> = &'a mut (dyn FnMut(Event) + Send);

impl Guest {
    /// A guest whose Tools run. Nothing is sent but the question for its family, unless the options tell that: the first
    /// program that is started logs in and looks what the guest has.
    pub async fn open(client: &Client, vm: &Moref, login: &Login, options: Options) -> Result<Guest> {
        let wire = Guest::reach(client, vm, login, &options).await?;
        Guest::over(wire, "/bin/sh", login, options)
    }

    /// The way to a guest, of a family that can be handled.
    async fn reach(client: &Client, vm: &Moref, login: &Login, options: &Options) -> Result<Wire> {
        let family = match options.family.clone() {
            Some(family) => Some(family),
            None => client.guest_state(vm).await?.family,
        };
        if let Some(family) = family.as_ref().filter(|family| *family == "netwareGuest") {
            return Err(Error::Family(family.clone()));
        }
        let windows = family.is_some_and(|family| family == "windowsGuest");
        let remote = Remote::new(client, vm, login, options.patience, windows);
        for password in &options.passwords {
            remote.also(password, options.changed);
        }
        Ok(Wire::Remote(remote))
    }

    /// The same over any way, and with a shell of one's own.
    fn over(wire: Wire, sh: &str, login: &Login, options: Options) -> Result<Guest> {
        let name = match &options.name {
            Some(name) if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => {
                name.clone()
            }
            Some(name) => {
                return Err(Error::Unsendable {
                    what: format!("the work directory's name `{name}`"),
                    why: "it consists of letters, digits and `-`".to_owned(),
                });
            }
            None => random()?,
        };
        let (user, sh, grace) = (login.user.clone(), sh.to_owned(), options.grace.as_secs().max(1));
        let state = State {
            settled: None,
            work: None,
            meeting: random()?,
            met: false,
            sent: false,
            boot_window: options.boot_window,
            begun: ticket::first_number()?,
            running: None,
            landed: Vec::new(),
            transfers_fail: None,
            note: None,
            first_look: USUAL_FIRST_LOOK,
        };
        let family: Box<dyn Family> = match wire.windows() {
            true => Box::new(Windows { user, name }),
            false => Box::new(Unix { user, sh, name, grace }),
        };
        let login = login.clone();
        Ok(Guest { wire, family, login, options, state: Mutex::new(state), turn: tokio::sync::Mutex::default() })
    }

    /// Whether it is Windows, as the server tells.
    pub fn is_windows(&self) -> bool {
        self.wire.windows()
    }

    /// Forgets what is known of a guest that is restarted; the handle stays good. The next program looks anew, and a login
    /// that is refused then is repeated for up to 60 s.
    pub fn reopen(&mut self) {
        let mut state = self.state();
        state.settled = None;
        state.boot_window = REBOOT_WINDOW;
        state.running = None;
    }

    /// Runs one job without events.
    pub async fn run(&self, job: Job) -> Result<JobEnd> {
        let mut note = None;
        let mut on_event = |event| {
            if let Event::Note(text) = event {
                note = Some(text);
            }
        };
        let outcome = self.run_batch(std::slice::from_ref(&job), &mut on_event).await;
        if note.is_some() {
            // For somebody who listens.
            self.state().note = note;
        }
        let mut outcome = outcome?;
        outcome.ends.pop().ok_or_else(|| Error::Report("no end of a job".to_owned()))
    }

    /// A password that the account gets, or has got, by what is done in the guest.
    pub fn also(&self, password: &str) {
        self.wire.also(password, false);
    }

    /// Asks the guest whether it lets the account in, also where it did before.
    pub async fn verify(&self) -> Result<()> {
        let settled = self.state().settled.clone();
        match settled {
            Some(settled) => self.wire.list(&settled.facts().work).await.map(drop),
            None => self.look().await,
        }
    }

    /// [`Guest::look`], without repeating a login that is refused.
    pub async fn look_once(&self) -> Result<()> {
        let window = std::mem::take(&mut self.state().boot_window);
        let looked = self.look().await;
        self.state().boot_window = window;
        looked
    }

    /// The account can't log in any more, and its work directory may still be there.
    pub fn give_up(&self) {
        let work = self.family.guess();
        let mut state = self.state();
        (state.work, state.sent) = (Some(work), true);
    }

    /// The work directory, if there may be one.
    pub fn work_directory(&self) -> Option<String> {
        self.state().work.clone()
    }

    /// Whether there is such a file or directory, as the login sees it.
    pub async fn file_exists(&self, path: &str) -> Result<bool> {
        Ok(self.run(Job::exists(0, path)).await?.success)
    }

    /// Deletes a file or directory; no error when there is none.
    pub async fn delete(&self, path: &str) -> Result<()> {
        done(self.run(Job::delete(0, path)).await?, path)
    }

    /// Reads a file of at most `max` bytes (and [`MAX_CAPTURE`]).
    pub async fn read_file(&self, path: &str, max: usize, run_as: Option<&RunAs>) -> Result<Vec<u8>> {
        let mut job = Job::read_file(0, path, false);
        job.run_as = run_as.cloned();
        job.secret = true;
        let mut end = self.run(job).await?;
        let content = end.captured.take().unwrap_or_default();
        done(end, path)?;
        if content.len() > max {
            return Err(Error::TooLarge { size: format!("{} bytes", content.len()), limit: max as u64 });
        }
        Ok(content)
    }

    /// What changes with each restart of the guest, as it was when the guest was looked at last; looks, if it wasn't yet.
    pub async fn boot_id(&self) -> Result<String> {
        Ok(self.settled().await?.facts().boot.clone())
    }

    /// Removes the work directory, if there may be one. To be awaited on every way out, after [`Guest::kill_all`] where a
    /// batch was running.
    pub async fn cleanup(&self) -> Result<()> {
        let (work, sent) = {
            let state = self.state();
            (state.work.clone(), state.sent)
        };
        let work = match work {
            Some(work) => work,
            None if !sent => return Ok(()),
            None => self.settled().await?.facts().work.clone(),
        };
        let met = {
            let state = self.state();
            state.met.then(|| self.family.meeting_place(&state.meeting))
        };
        if let Some(place) = met {
            self.wire.delete_directory(&place).await?;
            self.state().met = false;
        }
        let landed = self.state().landed.clone();
        for directory in landed {
            self.wire.delete_directory(&directory).await?;
        }
        self.wire.delete_directory(&work).await?;
        let mut state = self.state();
        (state.settled, state.work, state.sent) = (None, None, false);
        state.landed.clear();
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for the next batch or its like.
    fn next_number(&self) -> u64 {
        let mut state = self.state();
        state.begun += 1;
        state.begun
    }

    /// From a start to the first look.
    fn first_look(&self) -> Duration {
        self.state().first_look
    }

    /// Whether what is large is transferred.
    fn transfers(&self) -> bool {
        self.options.channel != Channel::Vcenter && self.state().transfers_fail.is_none()
    }
}

/// Turns a file job's failure into an error.
fn done(end: JobEnd, path: &str) -> Result<()> {
    if end.success {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&end.stderr_tail).trim().to_owned();
    let detail = if said.is_empty() { end.exit.to_string() } else { visible(&said) };
    Err(Error::Copy { path: path.to_owned(), detail })
}

/// What a guest says, as a part of a message: it commands no terminal.
fn visible(said: &str) -> String {
    let escaped = |c: char| if c.is_control() && c != '\n' { c.escape_default().collect() } else { c.to_string() };
    said.chars().map(escaped).collect()
}

/// A random name: 16 lower-case hexadecimal digits.
fn random() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::Local { path: "random numbers".to_owned(), detail: e.to_string() })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A word for a POSIX shell.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for part in text.split_inclusive('\'') {
        match part.strip_suffix('\'') {
            Some(head) => {
                quoted.push_str(head);
                quoted.push_str("'\\''");
            }
            None => quoted.push_str(part),
        }
    }
    quoted.push('\'');
    quoted
}
