//! A batch: sent in one go, followed by its log.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::error::{Error, Result};
use super::job::{BatchOutcome, Event, Exit, Job, JobEnd, MAX_CAPTURE, Stream};
use super::log::{Cursor, End, Record, end};
use super::os::BatchPlan;
use super::wire::{Listing, Program};
use super::{Channel, FIRST_LOOK, Guest, LONGEST_LOOK, OnEvent, SILENCE, random};
use crate::vsphere::client::Source;

/// A text that needs more requests than this goes by a transfer, if there are any.
const MAX_PARTS: usize = 4;
/// How long the log may not grow before we look whether anybody writes it; rarer while somebody does.
const FIRST_DOUBT: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 20 });
const LONGEST_DOUBT: Duration = Duration::from_secs(120);
/// Largest piece of an event.
const PIECE: usize = 64 << 10;
/// What is kept of standard error.
const TAIL: usize = 4 << 10;
/// The largest file of output that is fetched through vCenter when its transfer fails and it isn't all wanted.
const SMALL_CHUNK: u64 = 256 << 10;

/// How a look at the log went.
pub(super) enum Look {
    /// These records, and whether the next directory is to be listed at once.
    Records(Vec<Record>, bool),
    /// The supervisor is gone; how the current job ended, if it is known.
    Dead(String),
    /// Nobody has begun a log, or it is gone.
    Missing,
}

impl Guest {
    /// Runs jobs one after another, in the guest, without us in between; a failed one that isn't allowed to fail ends
    /// the batch. Dropping the future leaves the batch running: call [`Guest::kill_all`].
    pub async fn run_batch(&self, jobs: &[Job], on_event: OnEvent<'_>) -> Result<BatchOutcome> {
        if jobs.is_empty() {
            return Ok(BatchOutcome::default());
        }
        let _turn = self.turn.lock().await;
        let number = self.next_number();
        let nonce = random()?;
        let chunk = self.transfers();
        let plan = BatchPlan { number, nonce: &nonce, meeting: &self.meeting, jobs, chunk };
        let text = self.os.batch(&plan)?;
        self.state().running = Some((number, 0));
        self.send(number, &text).await?;
        let mut following = Following::new(self, number, jobs, on_event);
        let outcome = following.follow().await;
        match &outcome {
            Err(Error::TooLarge { .. } | Error::NoTransfer { .. }) => self.kill_all().await?,
            _ => self.state().running = None,
        }
        self.state().met = false;
        outcome
    }

    /// Sends a batch's text and starts it.
    async fn send(&self, number: u64, text: &str) -> Result<()> {
        if let Some(program) = self.os.start(text) {
            return self.wire.start(&program).await;
        }
        let path = format!("{}/in.{number}", self.os.facts().work);
        match self.carry(&path, &Source::Bytes(Bytes::copy_from_slice(text.as_bytes()))).await? {
            Carried::Whole => self.wire.start(&self.os.start_uploaded(number)).await,
            Carried::Parts(count) => self.wire.start(&self.os.start_parts(number, count)).await,
        }
    }

    /// Sends data to a file of the work directory, whole by a transfer or in parts through vCenter.
    pub(super) async fn carry(&self, path: &str, source: &Source) -> Result<Carried> {
        let size = match source {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::File(file) => std::fs::metadata(file).map_err(|e| local(file, &e))?.len(),
        };
        let few = size <= (MAX_PARTS as u64) * (32 << 10);
        if self.transfers() && (!few || self.options.channel == Channel::Transfer) {
            match self.wire.upload(path, source).await? {
                None => return Ok(Carried::Whole),
                Some(reason) => self.transfers_failed(reason),
            }
        }
        let limit = self.options.vcenter_limit;
        if size > limit {
            return Err(Error::NoTransfer {
                what: format!("sending {size} bytes (more than {limit})"),
                detail: self.no_transfers(),
            });
        }
        let content = match source {
            Source::Bytes(bytes) => bytes.clone(),
            Source::File(file) => tokio::fs::read(file).await.map_err(|e| local(file, &e))?.into(),
        };
        let parts: Vec<Program> = self.os.parts(path, &content);
        for part in &parts {
            self.wire.start(part).await?;
        }
        Ok(Carried::Parts(parts.len()))
    }

    /// From now on without transfers; the next event says so.
    pub(super) fn transfers_failed(&self, reason: String) {
        let mut state = self.state();
        if state.transfers_fail.is_none() {
            state.note = Some(format!(
                "file transfers with the ESXi host don't work, so everything goes through vCenter, which is slower and \
                 abridges large output: {reason}"
            ));
        }
        state.transfers_fail = Some(reason);
    }

    /// Why there are no transfers.
    pub(super) fn no_transfers(&self) -> String {
        self.state().transfers_fail.clone().unwrap_or_else(|| "they were ruled out".to_owned())
    }

    /// Looks at a log once.
    pub(super) async fn look_at(&self, directory: &str, cursor: &mut Cursor) -> Result<Look> {
        let began = Instant::now();
        let listing = self.wire.list(&format!("{directory}/{}", cursor.segment())).await?;
        self.state().listing = began.elapsed();
        let names = match listing {
            Listing::Names(names) => names,
            Listing::Missing => return Ok(Look::Missing),
        };
        let (records, more) = cursor.take(&names).map_err(Error::Report)?;
        if records.is_empty()
            && !more
            && let Some(said) = names.iter().find_map(|name| name.strip_prefix("dead."))
        {
            return Ok(Look::Dead(said.to_owned()));
        }
        Ok(Look::Records(records, more))
    }

    /// Reads a file of the guest through vCenter alone.
    pub(super) async fn read_published(&self, path: &str, size: u64) -> Result<Vec<u8>> {
        let (program, directory) = self.os.publish(self.next_number(), path);
        self.wire.start(&program).await?;
        let mut cursor = Cursor::default();
        let mut content = Vec::new();
        let mut quiet = Instant::now();
        let mut pause = self.first_look();
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
            if let Look::Records(records, more) = self.look_at(&directory, &mut cursor).await? {
                if !records.is_empty() {
                    quiet = Instant::now();
                    pause = FIRST_LOOK;
                }
                if more {
                    pause = Duration::ZERO;
                }
                for record in records {
                    match record {
                        Record::Output { bytes, .. } => content.extend(bytes),
                        Record::Closed if content.len() as u64 == size => return Ok(content),
                        _ => return Err(Error::Report(format!("{path} has {} bytes, not {size}", content.len()))),
                    }
                }
            }
            if quiet.elapsed() > SILENCE {
                return Err(Error::Silent { waited: quiet.elapsed() });
            }
        }
    }

    /// Ends the batch that runs, with all processes that its current job has started. No error when none runs.
    pub async fn kill_all(&self) -> Result<()> {
        let Some((number, _)) = self.state().running else { return Ok(()) };
        self.wire.start(&self.os.kill(number)).await?;
        let directory = self.os.log_directory(number);
        let mut cursor = Cursor::default();
        let began = Instant::now();
        let allowed = self.options.grace + Duration::from_secs(40);
        let mut pause = FIRST_LOOK * 2;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
            match self.look_at(&directory, &mut cursor).await? {
                Look::Records(records, more) => {
                    if records.iter().any(|r| matches!(r, Record::Closed | Record::Dead)) {
                        break;
                    }
                    if more {
                        pause = Duration::ZERO;
                    }
                }
                // Without a log nothing was begun, unless the start is still on its way.
                Look::Dead(_) => break,
                Look::Missing if began.elapsed() > Duration::from_secs(5) => break,
                Look::Missing => {}
            }
            if began.elapsed() > allowed {
                return Err(Error::Unkillable { waited: began.elapsed() });
            }
        }
        self.state().running = None;
        Ok(())
    }
}

/// How data arrived.
pub(super) enum Carried {
    /// As the file itself.
    Whole,
    /// As that many parts.
    Parts(usize),
}

/// An error with a file here.
pub(super) fn local(path: &std::path::Path, error: &std::io::Error) -> Error {
    Error::Local { path: path.display().to_string(), detail: error.to_string() }
}

/// A batch that is being followed.
struct Following<'a, 'e> {
    guest: &'a Guest,
    number: u64,
    jobs: &'a [Job],
    on_event: OnEvent<'e>,
    outcome: BatchOutcome,
    /// Of the current job.
    current: Current,
}

/// What is known of the job that runs.
#[derive(Default)]
struct Current {
    place: usize,
    attempts: u32,
    captured: Vec<u8>,
    stderr: VecDeque<u8>,
}

impl<'a, 'e> Following<'a, 'e> {
    fn new(guest: &'a Guest, number: u64, jobs: &'a [Job], on_event: OnEvent<'e>) -> Self {
        Following { guest, number, jobs, on_event, outcome: BatchOutcome::default(), current: Current::default() }
    }

    async fn follow(&mut self) -> Result<BatchOutcome> {
        let directory = self.guest.os.log_directory(self.number);
        let mut cursor = Cursor::default();
        let mut pause = self.guest.first_look();
        let mut quiet = Instant::now();
        let mut doubt = FIRST_DOUBT;
        let mut seen = false;
        loop {
            tokio::time::sleep(pause).await;
            match self.guest.look_at(&directory, &mut cursor).await? {
                Look::Records(records, more) => {
                    seen = true;
                    // More often again, yet not at full speed: a command that prints all the time would be
                    // asked all the time.
                    pause = match (records.is_empty(), more) {
                        (_, true) => Duration::ZERO,
                        (true, false) => (pause * 2).clamp(FIRST_LOOK, LONGEST_LOOK),
                        (false, false) => (pause / 2).max(FIRST_LOOK * 10),
                    };
                    if !records.is_empty() {
                        quiet = Instant::now();
                        doubt = FIRST_DOUBT;
                    }
                    if self.records(records).await? {
                        return Ok(std::mem::take(&mut self.outcome));
                    }
                }
                Look::Dead(said) => {
                    self.vanished(&said);
                    return Ok(std::mem::take(&mut self.outcome));
                }
                Look::Missing => {
                    pause = (pause * 2).clamp(FIRST_LOOK, LONGEST_LOOK);
                    if quiet.elapsed() > SILENCE {
                        if !seen {
                            return Err(Error::Silent { waited: quiet.elapsed() });
                        }
                        self.vanished("-");
                        return Ok(std::mem::take(&mut self.outcome));
                    }
                }
            }
            if quiet.elapsed() > doubt {
                doubt += (doubt * 2).min(LONGEST_DOUBT);
                let place = self.current.place;
                self.guest.wire.start(&self.guest.os.attach(self.number, place)).await?;
                pause = FIRST_LOOK;
            }
        }
    }

    /// What was found out between events.
    fn tell_note(&mut self) {
        let note = self.guest.state().note.take();
        if let Some(note) = note {
            (self.on_event)(Event::Note(note));
        }
    }

    fn job(&self, place: usize) -> Result<&'a Job> {
        self.jobs.get(place).ok_or_else(|| Error::Report(format!("there is no job {place}")))
    }

    /// Tells what the records say; true at the end.
    async fn records(&mut self, records: Vec<Record>) -> Result<bool> {
        self.tell_note();
        let mut gathered: Option<(usize, Stream, Vec<u8>)> = None;
        for record in records {
            match (&mut gathered, &record) {
                (Some((at, of, all)), Record::Output { job, stream, bytes })
                    if at == job && of == stream && all.len() + bytes.len() <= PIECE =>
                {
                    all.extend(bytes);
                    continue;
                }
                _ => {}
            }
            if let Some((job, stream, bytes)) = gathered.take() {
                self.output(job, stream, bytes)?;
            }
            match record {
                Record::Begun { job } => {
                    let id = self.job(job)?.id;
                    self.current = Current { place: job, attempts: 1, ..Current::default() };
                    self.guest.state().running = Some((self.number, job));
                    (self.on_event)(Event::Started { id });
                }
                Record::Output { job, stream, bytes } => gathered = Some((job, stream, bytes)),
                Record::Chunk { job, stream, file, size } => self.chunk(job, stream, file, size).await?,
                Record::Gap { job, stream, bytes } => self.gap(job, stream, bytes)?,
                Record::Retry { job, attempt, exit } => {
                    let id = self.job(job)?.id;
                    self.current = Current { place: job, attempts: attempt + 1, ..Current::default() };
                    (self.on_event)(Event::Retrying { id, attempt, exit });
                }
                Record::Finished { job, end, attempts, hundredths } => {
                    let job = self.job(job)?;
                    let exit = match end {
                        End::Exit(exit) => exit,
                        End::NoAccount => {
                            let user = job.run_as.as_ref().map(|r| r.user.clone()).unwrap_or_default();
                            let login = self.guest.login.user.clone();
                            return Err(Error::RunAs { login, user, detail: "the guest has no such user".to_owned() });
                        }
                    };
                    let elapsed = Duration::from_millis(hundredths.saturating_mul(10));
                    self.current.attempts = attempts.max(1);
                    self.finished(job, exit, elapsed);
                }
                Record::Dead => {
                    self.vanished("-");
                    return Ok(true);
                }
                Record::Closed => {
                    // Ended on request before the job that ran could say so.
                    if self.unfinished() {
                        self.vanished("k0.0");
                    }
                    return Ok(true);
                }
            }
        }
        if let Some((job, stream, bytes)) = gathered {
            self.output(job, stream, bytes)?;
        }
        Ok(false)
    }

    fn output(&mut self, place: usize, stream: Stream, bytes: Vec<u8>) -> Result<()> {
        let job = self.job(place)?;
        match stream {
            Stream::Out if job.capture => {
                if self.current.captured.len() + bytes.len() > MAX_CAPTURE {
                    return Err(too_large("more than that".to_owned()));
                }
                self.current.captured.extend(&bytes);
            }
            Stream::Out => {}
            Stream::Err => {
                self.current.stderr.extend(&bytes);
                let over = self.current.stderr.len().saturating_sub(TAIL);
                self.current.stderr.drain(..over);
            }
        }
        if !(job.secret && stream == Stream::Out) {
            (self.on_event)(Event::Output { id: job.id, stream, bytes });
        }
        Ok(())
    }

    fn gap(&mut self, place: usize, stream: Stream, bytes: u64) -> Result<()> {
        let job = self.job(place)?;
        if job.capture && stream == Stream::Out {
            return Err(too_large(format!("more than {bytes} bytes")));
        }
        (self.on_event)(Event::Omitted { id: job.id, stream, bytes });
        Ok(())
    }

    /// Output in a file: by a transfer, or if that fails and it isn't much, through vCenter.
    async fn chunk(&mut self, place: usize, stream: Stream, file: u64, size: u64) -> Result<()> {
        let job = self.job(place)?;
        let wanted = job.capture && stream == Stream::Out;
        if wanted && self.current.captured.len() as u64 + size > MAX_CAPTURE as u64 {
            return Err(too_large(format!("at least {} bytes", self.current.captured.len() as u64 + size)));
        }
        let path = format!("{}/c{file}", self.guest.os.log_directory(self.number));
        if self.guest.transfers() {
            let mut done = 0;
            let reason = match self.guest.wire.download(&path).await? {
                Ok(mut incoming) => loop {
                    match incoming.chunk().await {
                        Ok(Some(piece)) => {
                            for piece in piece.chunks(PIECE) {
                                self.output(place, stream, piece.to_vec())?;
                            }
                            done += piece.len() as u64;
                        }
                        Ok(None) if done == size => return Ok(()),
                        Ok(None) => break format!("{path} ended after {done} of {size} bytes"),
                        Err(error) => break error.to_string(),
                    }
                },
                Err(reason) => reason,
            };
            self.guest.transfers_failed(reason);
            self.tell_note();
            if done > 0 {
                return if wanted {
                    Err(Error::NoTransfer {
                        what: "the output of a command".to_owned(),
                        detail: self.guest.no_transfers(),
                    })
                } else {
                    self.gap(place, stream, size.saturating_sub(done))
                };
            }
        }
        if wanted || size <= SMALL_CHUNK {
            let content = self.guest.read_published(&path, size).await?;
            for piece in content.chunks(PIECE) {
                self.output(place, stream, piece.to_vec())?;
            }
            return Ok(());
        }
        self.gap(place, stream, size)
    }

    fn finished(&mut self, job: &Job, exit: Exit, elapsed: Duration) {
        let success = match exit {
            Exit::Code(code) => job.ok.contains(&code),
            Exit::Skipped => true,
            Exit::Signal(_) | Exit::TimedOut | Exit::Killed | Exit::Unknown => false,
        };
        let current = std::mem::take(&mut self.current);
        self.outcome.ends.push(JobEnd {
            id: job.id,
            exit,
            success,
            attempts: current.attempts,
            elapsed,
            captured: job.capture.then_some(current.captured),
            stderr_tail: current.stderr.into(),
        });
        self.current.place = current.place + 1;
        (self.on_event)(Event::Finished { id: job.id, exit, success, elapsed });
    }

    /// Whether a job has begun that has not ended.
    fn unfinished(&self) -> bool {
        self.outcome.ends.len() <= self.current.place && self.current.attempts > 0
    }

    /// The supervisor is gone: the job that ran ended as `said`, else nobody knows how.
    fn vanished(&mut self, said: &str) {
        let mut parts = said.split('.');
        let exit = match parts.next().and_then(end) {
            Some(End::Exit(exit)) => exit,
            Some(End::NoAccount) | None => Exit::Unknown,
        };
        let hundredths = parts.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        if let Some(job) = self.jobs.get(self.current.place) {
            self.finished(job, exit, Duration::from_millis(hundredths * 10));
        }
    }
}

fn too_large(size: String) -> Error {
    Error::TooLarge { size, limit: MAX_CAPTURE as u64 }
}
