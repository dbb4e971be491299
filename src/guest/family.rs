//! The seam between what is the same for all guests and what a family of them needs: what is sent to be run.

use std::sync::Arc;

use super::archive::Placed;
use super::error::Result;
use super::job::{Body, Job};
use super::wire::Program;

/// What the first program needs to know.
pub(super) struct Opening<'a> {
    /// A work directory that was used before.
    pub known: Option<&'a str>,
    /// Where the work directory is looked for.
    pub guess: &'a str,
    /// Names the place where it reports when it can't there.
    pub meeting: &'a str,
    /// When it is asked, in milliseconds of the epoch: what was left before that is nobody's any more.
    pub stamp: u64,
    /// A place of an earlier report, to be removed.
    pub old: Option<&'a str>,
    /// A batch of another process.
    pub claim: Option<Claim<'a>>,
}

/// A batch on its way.
pub(super) struct BatchPlan<'a> {
    /// Its number in the work directory.
    pub number: u64,
    /// Random, lower-case hexadecimal.
    pub nonce: &'a str,
    /// What is to be done.
    pub jobs: &'a [Job],
    /// The login's password, for sudo.
    pub password: &'a str,
    /// Whether large output goes into files that we transfer.
    pub chunk: bool,
    /// Whether the guest has no decoder.
    pub octal: bool,
}

/// What is asked about a batch of another process.
#[derive(Clone, Copy, Default)]
pub(super) struct Claim<'a> {
    /// Its number.
    pub number: u64,
    /// Its work directory, where that is known.
    pub work: Option<&'a str>,
    /// Where that process may have been reported to, to be removed.
    pub meeting: Option<&'a str>,
}

/// What a guest has, as far as it concerns us here; the rest stands in the guest itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// The login's number.
    pub uid: u32,
    /// Its home directory.
    pub home: String,
    /// The work directory; empty when none could be made.
    pub work: String,
    /// How data comes in.
    pub decoder: Decoder,
    /// The shortest pause, in seconds as `sleep` takes it.
    pub tick: String,
    /// Changes with each restart.
    pub boot: String,
    /// Hundredths of a second since the last restart, where the guest can tell.
    pub age: Option<u64>,
}

/// Where something large arrives in a guest.
pub(super) struct Landed {
    /// The file.
    pub file: String,
    /// What goes when it has been put in its place.
    pub remove: Vec<String>,
}

/// How a guest decodes data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    /// `base64 -d`; Windows can do as much.
    Base64,
    /// `openssl base64 -d`.
    Openssl,
    /// Octal numbers for `printf`.
    None,
}

/// A family of guests, as one account: what can be said to them without knowing more.
pub(super) trait Family: Send + Sync {
    /// Names the work directory and marks processes.
    fn name(&self) -> &str;
    /// Where the work directory most likely is.
    fn guess(&self) -> String;
    /// Where a guest reports when nobody knows where its work directory is.
    fn meeting_place(&self, nonce: &str) -> String;
    /// The program that looks at a guest of which nothing is known; with a batch, it goes on to run that. It reports at the
    /// beginning of the batch's log, or else in [`Family::meeting_place`]. None: the batch is too large for that.
    fn first(&self, opening: &Opening<'_>, batch: Option<(&str, &[Job])>) -> Option<Program>;
    /// The text that sets a batch up and runs it, in the work directory. Run twice, it runs the batch once.
    fn batch(&self, plan: &BatchPlan<'_>) -> Result<String>;
    /// The same guest, now that is known what it has.
    fn settle(&self, facts: Facts) -> Arc<dyn Settled>;
}

/// A guest of which is known what it has.
pub(super) trait Settled: Send + Sync {
    /// What was found there.
    fn facts(&self) -> &Facts;
    /// Where a batch is; the directories s0, s1, … of its log are in there.
    fn batch_directory(&self, batch: u64) -> String;
    /// The whole of a batch's text, for a guest whose work directory is known. `meeting` is the place of an earlier report,
    /// to be removed.
    fn whole(&self, batch: &str, meeting: Option<&str>) -> String;
    /// A program that carries that text, when it fits in a request.
    fn start(&self, text: &str) -> Option<Program>;
    /// A program that runs the text that was sent to `in.BATCH` of the work directory.
    fn start_uploaded(&self, batch: u64) -> Program;
    /// Programs that each leave a part of `content` at `path` with `.0`, `.1`, … behind it.
    fn parts(&self, path: &str, content: &[u8]) -> Vec<Program>;
    /// Text that awaits such parts and makes one file of them.
    fn join_parts(&self, path: &str, count: usize) -> String;
    /// A program that awaits the parts of `in.BATCH` and runs them.
    fn start_parts(&self, batch: u64, count: usize) -> Program;
    /// A program that looks whether a batch is still supervised; if not, `dead.HOW` appears beside its log. `job` is where
    /// it was.
    fn attach(&self, batch: u64, job: usize) -> Program;
    /// A program that ends a batch.
    fn kill(&self, batch: u64) -> Program;
    /// A program that writes a file's content into a log of its own, and where that is.
    fn publish(&self, number: u64, path: &str) -> (Program, String);
    /// A script that makes a directory of ours where `path` will be, so that what is large comes to the file system that it is
    /// for; it prints where. Nothing is printed where that can't be. None: the family has no such thing.
    fn land(&self, number: u64, stamp: u64, path: &str) -> Option<Body>;
    /// A script that unpacks an archive at `/`, and gives what was in it to an owner. `before` is what is done first.
    fn unpack(&self, before: &str, landed: &Landed, sha256: &str, owners: Option<(&str, &[(String, u32)])>) -> Body;
    /// A script that puts a file that has landed where it is to be. `before` is what is done first.
    fn put(&self, before: &str, landed: &Landed, sha256: &str, file: Placed<'_>, owner: Option<&str>) -> Body;
    /// A script that packs files, prints the archive's size in a line, and the archive behind it when it has at most
    /// `limit` bytes. Of a single file that is larger than `bare` and can be sent as it is, it prints `bare`, its size in
    /// bytes, its mode and its time instead.
    fn pack(&self, archive: &str, paths: &[String], limit: usize, bare: Option<u64>) -> Body;
}
