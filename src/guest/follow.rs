//! Following a batch by its log, from its first record to its end.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::error::{Error, Result};
use super::job::{BatchOutcome, Event, Exit, JobEnd, MAX_CAPTURE, Stream};
use super::log::{Cursor, End, Record, end};
use super::noway::{self, NoWay};
use super::ticket::{JobMark, Ticket};
use super::unix::{Found, Report};
use super::wire::Listing;
use super::{FIRST_LOOK, Guest, LONGEST_FIRST_LOOK, LONGEST_LOOK, OnEvent, SILENCE};

/// How long the log may not grow before we look whether anybody writes it; rarer while somebody does.
const FIRST_DOUBT: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 20 });
const LONGEST_DOUBT: Duration = Duration::from_secs(120);
/// Between looks at a log that grows.
const STEADY_LOOK: Duration = Duration::from_millis(150);
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
    /// Looks at a log once.
    pub(super) async fn look_at(&self, directory: &str, cursor: &mut Cursor) -> Result<Look> {
        let names = match self.wire.list(&format!("{directory}/{}", cursor.segment())).await? {
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
}

/// A batch that is being followed.
pub(super) struct Following<'a, 'e> {
    guest: &'a Guest,
    ticket: &'a Ticket,
    /// Jobs before this place were told already.
    from: usize,
    /// How long the log may not grow before the first doubt.
    doubt: Duration,
    on_event: OnEvent<'e>,
    outcome: BatchOutcome,
    /// Whether a job that was told already has ended the batch.
    stopped: bool,
    /// What the guest's first program tells.
    report: Report,
    /// Whether the place of an earlier report goes with this batch.
    pub sweeps: bool,
    /// Whether the guest has no decoder for what came with that program, and has begun nothing.
    pub refused: bool,
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
    /// A batch that has just been started.
    pub fn new(guest: &'a Guest, ticket: &'a Ticket, on_event: OnEvent<'e>) -> Self {
        Following {
            guest,
            ticket,
            from: 0,
            doubt: FIRST_DOUBT,
            on_event,
            outcome: BatchOutcome::default(),
            stopped: false,
            report: Report::default(),
            sweeps: false,
            refused: false,
            current: Current::default(),
        }
    }

    /// One that somebody else has started, whose jobs before a place were told already. Nobody may be writing its log.
    pub fn again(guest: &'a Guest, ticket: &'a Ticket, from: usize, on_event: OnEvent<'e>) -> Self {
        let current = Current { place: from, ..Current::default() };
        Following { from, doubt: Duration::ZERO, current, ..Following::new(guest, ticket, on_event) }
    }

    /// Where the log is; a guess while the guest hasn't told.
    fn directory(&self) -> String {
        let state = self.guest.state();
        match (&state.settled, &state.work) {
            (Some(settled), _) => settled.batch_directory(self.ticket.number),
            (None, Some(work)) => format!("{work}/b{}", self.ticket.number),
            (None, None) => format!("{}/b{}", self.guest.family.guess(), self.ticket.number),
        }
    }

    /// The guest has told what it has.
    fn learn(&mut self, found: Found, met: bool) -> Result<()> {
        self.refused = found.refused;
        self.guest.learn(found, met)?;
        self.placed();
        Ok(())
    }

    /// Tells where the batch is.
    pub fn placed(&mut self) {
        let settled = self.guest.state().settled.clone();
        if let Some(settled) = settled {
            let (work, boot) = (Some(settled.facts().work.clone()), Some(settled.facts().boot.clone()));
            (self.on_event)(Event::Placed(Ticket { work, boot, ..self.ticket.clone() }));
        }
    }

    /// Tells what happens until the batch is over.
    pub async fn follow(&mut self) -> Result<BatchOutcome> {
        self.refused = false;
        let mut directory = self.directory();
        let mut cursor = Cursor::default();
        let mut elsewhere = Cursor::default();
        let mut pause = self.guest.first_look();
        let mut quiet = Instant::now();
        let mut doubt = self.doubt;
        let mut seen = false;
        let mut looks = 0u32;
        // A listing may tell of a death and yet miss a record that was made before it.
        let mut dead = false;
        loop {
            tokio::time::sleep(pause).await;
            looks += 1;
            match self.guest.look_at(&directory, &mut cursor).await? {
                Look::Records(records, more) => {
                    (seen, dead) = (true, false);
                    pause = match (records.is_empty(), more) {
                        (_, true) => Duration::ZERO,
                        (true, false) => (pause * 2).clamp(FIRST_LOOK, LONGEST_LOOK),
                        // More often again, yet not at full speed: a command that prints all the time would be
                        // asked all the time.
                        (false, false) if pause > STEADY_LOOK => (pause / 2).max(STEADY_LOOK),
                        (false, false) => (pause * 2).clamp(FIRST_LOOK, STEADY_LOOK),
                    };
                    let nothing = records.iter().all(|record| record.job().is_none());
                    if !records.is_empty() {
                        if self.sweeps {
                            self.guest.state().met = false;
                        }
                        quiet = Instant::now();
                        doubt = FIRST_DOUBT.min(self.doubt.max(FIRST_LOOK));
                    }
                    let over = self.records(records).await?;
                    if looks == 1 {
                        self.timed(over, nothing);
                    }
                    if over {
                        return Ok(std::mem::take(&mut self.outcome));
                    }
                    if more {
                        continue;
                    }
                }
                Look::Dead(_) if !dead => {
                    dead = true;
                    pause = Duration::ZERO;
                    continue;
                }
                Look::Dead(said) => {
                    self.vanished(&said);
                    return Ok(std::mem::take(&mut self.outcome));
                }
                Look::Missing => {
                    if looks == 1 {
                        self.timed(false, true);
                    }
                    pause = (pause * 2).clamp(FIRST_LOOK, LONGEST_LOOK);
                    // Most likely it was too early, once. Then it may have had to be made elsewhere.
                    let unknown = self.guest.state().settled.is_none();
                    if unknown
                        && looks.is_multiple_of(2)
                        && let Some(found) = self.guest.meet(&mut self.report, &mut elsewhere).await?
                    {
                        self.learn(found, true)?;
                        if self.refused {
                            return Ok(BatchOutcome::default());
                        }
                        directory = self.directory();
                        pause = Duration::ZERO;
                        continue;
                    }
                    if quiet.elapsed() > SILENCE {
                        if !seen {
                            return Err(Error::Silent { waited: quiet.elapsed() });
                        }
                        self.vanished("-");
                        return Ok(std::mem::take(&mut self.outcome));
                    }
                }
            }
            let settled = self.guest.state().settled.clone();
            if quiet.elapsed() >= doubt
                && let Some(settled) = settled
            {
                doubt = quiet.elapsed() + (doubt * 2).clamp(FIRST_DOUBT, LONGEST_DOUBT);
                self.doubt = FIRST_DOUBT;
                let place = self.current.place;
                self.guest.wire.start(&settled.attach(self.ticket.number, place)).await?;
                pause = FIRST_LOOK;
            }
        }
    }

    /// The next batch's first look comes earlier when this one found the end, later when it found nothing.
    fn timed(&self, over: bool, nothing: bool) {
        let mut state = self.guest.state();
        if over {
            state.first_look = (state.first_look * 3 / 4).max(FIRST_LOOK);
        } else if nothing {
            state.first_look = (state.first_look * 3 / 2).min(LONGEST_FIRST_LOOK);
        }
    }

    /// What was found out between events.
    fn tell_note(&mut self) {
        let note = self.guest.state().note.take();
        if let Some(note) = note {
            (self.on_event)(Event::Note(note));
        }
    }

    fn job(&self, place: usize) -> Result<&'a JobMark> {
        self.ticket.jobs.get(place).ok_or_else(|| Error::Report(format!("there is no job {place}")))
    }

    /// Tells what the records say; true at the end.
    async fn records(&mut self, records: Vec<Record>) -> Result<bool> {
        self.tell_note();
        let mut gathered: Option<(usize, Stream, Vec<u8>)> = None;
        for record in records {
            if let Some(place) = record.job().filter(|place| *place < self.from) {
                if let Record::Finished { end: how, .. } = record {
                    let job = self.job(place)?;
                    self.stopped = !matches!(how, End::Exit(exit) if job.allow_failure || job.succeeded(exit));
                }
                continue;
            }
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
                Record::Fact { bytes } => self.report.take(&bytes),
                Record::Known { state } => {
                    // Of a batch that is followed again, it may be about another boot.
                    if self.guest.state().settled.is_none() {
                        let found = self.report.read(&state).map_err(Error::Report)?;
                        self.learn(found, false)?;
                    }
                }
                Record::Begun { job } => {
                    let id = self.job(job)?.id;
                    self.current = Current { place: job, attempts: 1, ..Current::default() };
                    self.guest.state().running = Some((self.ticket.number, job));
                    (self.on_event)(Event::Started { id });
                }
                Record::Output { job, stream, bytes } => gathered = Some((job, stream, bytes)),
                Record::Chunk { job, stream, file, size } => self.chunk(job, stream, file, size).await?,
                Record::Gap { job, stream, bytes } => self.gap(job, stream, bytes)?,
                Record::Large { bytes, .. } => return Err(too_large(format!("{bytes} bytes and may still grow"))),
                Record::Retry { job, attempt, exit } => {
                    let id = self.job(job)?.id;
                    self.current = Current { place: job, attempts: attempt.saturating_add(1), ..Current::default() };
                    (self.on_event)(Event::Retrying { id, attempt, exit });
                }
                Record::Finished { job, end, attempts, hundredths } => {
                    let job = self.job(job)?;
                    let exit = match end {
                        End::Exit(exit) => exit,
                        End::NoWay(why) => {
                            let user = job.user.clone().unwrap_or_default();
                            let login = self.guest.login.user.clone();
                            let said = Vec::from(std::mem::take(&mut self.current.stderr));
                            let why = NoWay::of(why, &String::from_utf8_lossy(&said));
                            return Err(Error::RunAs { login, user, why, said: noway::words(&said) });
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
                    self.rest_is(Exit::Killed);
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
        let all = size.saturating_add(self.current.captured.len() as u64);
        if wanted && all > MAX_CAPTURE as u64 {
            return Err(too_large(format!("at least {all} bytes")));
        }
        let path = format!("{}/c{file}", self.directory());
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

    fn finished(&mut self, job: &JobMark, exit: Exit, elapsed: Duration) {
        let success = job.succeeded(exit);
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

    /// The supervisor is gone: the job that ran ended as `said`, else nobody knows how.
    fn vanished(&mut self, said: &str) {
        let mut parts = said.split('.');
        let exit = match parts.next().and_then(end) {
            Some(End::Exit(exit)) => exit,
            Some(End::NoWay(_)) | None => Exit::Unknown,
        };
        let hundredths: u64 = parts.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        if let Some(job) = self.ticket.jobs.get(self.current.place) {
            self.finished(job, exit, Duration::from_millis(hundredths.saturating_mul(10)));
        }
        self.rest_is(if exit == Exit::Killed { exit } else { Exit::Unknown });
    }

    /// Nothing more comes. Where all went well so far and jobs are left, the next one ended so: a batch that was cut
    /// short must not look like one that has done all it should.
    fn rest_is(&mut self, exit: Exit) {
        let told = |end: &JobEnd| self.ticket.jobs.iter().find(|job| job.id == end.id);
        let goes_on = |end: &JobEnd| end.success || told(end).is_some_and(|job| job.allow_failure);
        let stopped = self.stopped || self.outcome.ends.last().is_some_and(|end| !goes_on(end));
        if let Some(job) = self.ticket.jobs.get(self.current.place).filter(|_| !stopped) {
            self.finished(job, exit, Duration::ZERO);
        }
    }
}

fn too_large(size: String) -> Error {
    Error::TooLarge { size, limit: MAX_CAPTURE as u64 }
}
