//! The seam between what we want of a guest and how its family does it.

use super::error::Result;
use super::job::Job;
use super::unix::Facts;
use super::wire::Program;

/// A batch on its way.
pub(super) struct BatchPlan<'a> {
    /// Counts from 1 in a work directory.
    pub number: u64,
    /// Random, lower-case hexadecimal.
    pub nonce: &'a str,
    /// The name of the place where the first look reported, to be removed with the first batch.
    pub meeting: &'a str,
    /// What is to be done.
    pub jobs: &'a [Job],
    /// Whether large output goes into files that we transfer.
    pub chunk: bool,
}

/// What is sent to guests of a family. Unix guests are [`super::unix::Unix`].
pub(super) trait GuestOs: Send + Sync {
    /// The shell's path.
    fn sh(&self) -> &str;
    /// Names the work directory and marks processes.
    fn name(&self) -> &str;
    /// What was found in the guest.
    fn facts(&self) -> &Facts;
    /// Where a batch's log is; its directories s0, s1, … are below.
    fn log_directory(&self, batch: u64) -> String;
    /// The text that sets a batch up and runs it. Run twice, it runs the batch once.
    fn batch(&self, plan: &BatchPlan<'_>) -> Result<String>;
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
    /// A script that unpacks an archive at `/`, and gives what was in it to an owner.
    fn unpack(&self, archive: &str, sha256: &str, owners: Option<(&str, &[String])>) -> String;
    /// A script that packs files, prints the archive's size in a line, and the archive behind it when it has at most
    /// `limit` bytes.
    fn pack(&self, archive: &str, paths: &[String], limit: usize) -> String;
    /// A script that prints what changes with each restart.
    fn boot_id_script(&self) -> String;
}
