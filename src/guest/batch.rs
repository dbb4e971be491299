//! A batch: prepared, sent in one go, ended.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::error::{Error, Result};
use super::family::{BatchPlan, Claim, Decoder, Settled};
use super::follow::{Following, Look};
use super::job::{BatchOutcome, Job};
use super::log::{Cursor, Record};
use super::ticket::{JobMark, Ticket, now};
use super::unix::Standing;
use super::wire::Program;
use super::{Channel, FIRST_LOOK, Guest, LONGEST_LOOK, OnEvent, SILENCE, random};
use crate::vsphere::client::{Content, Source};

/// A text that needs more requests than this goes by a transfer, if there are any.
const MAX_PARTS: usize = 4;
/// A batch that is ready to be started with [`Guest::run_prepared`].
pub struct Batch {
    pub(super) ticket: Ticket,
    pub(super) jobs: Vec<Job>,
    pub(super) text: String,
    /// Whether the text is for guests without a decoder.
    octal: bool,
}

impl Batch {
    /// What another process needs to go on with it. To be kept before the batch is started; a batch that is the first of
    /// its guest has a better one later ([`super::Event::Placed`]).
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }
}

impl Guest {
    /// Runs jobs one after another, in the guest, without us in between; a failed one that isn't allowed to fail ends
    /// the batch. Dropping the future leaves the batch running: call [`Guest::kill_all`].
    pub async fn run_batch(&self, jobs: &[Job], on_event: OnEvent<'_>) -> Result<BatchOutcome> {
        if jobs.is_empty() {
            return Ok(BatchOutcome::default());
        }
        self.run_prepared(&self.prepare(jobs)?, on_event).await
    }

    /// Makes a batch of jobs ready to be started, without talking to the guest: its [`Batch::ticket`] is for those who
    /// want to be able to go on with it in another process.
    pub fn prepare(&self, jobs: &[Job]) -> Result<Batch> {
        let number = self.next_number();
        let settled = self.state().settled.clone();
        // Most guests have one; the first program says so where there is none.
        let octal = settled.as_ref().is_some_and(|s| s.facts().decoder == Decoder::None);
        let text = self.text(number, jobs, octal)?;
        let ticket = Ticket {
            user: self.login.user.clone(),
            name: self.family.name().to_owned(),
            work: settled.as_ref().map(|s| s.facts().work.clone()),
            boot: settled.as_ref().map(|s| s.facts().boot.clone()),
            written: now(),
            meeting: self.state().meeting.clone(),
            number,
            jobs: jobs.iter().map(JobMark::of).collect(),
        };
        Ok(Batch { ticket, jobs: jobs.to_vec(), text, octal })
    }

    fn text(&self, number: u64, jobs: &[Job], octal: bool) -> Result<String> {
        let (nonce, password, chunk) = (random()?, self.wire.password(), self.transfers());
        self.family.batch(&BatchPlan { number, nonce: &nonce, jobs, password: &password, chunk, octal })
    }

    /// The same as [`Guest::run_batch`]. A batch that is given twice is run once.
    pub async fn run_prepared(&self, batch: &Batch, on_event: OnEvent<'_>) -> Result<BatchOutcome> {
        let _turn = self.turn.lock().await;
        let number = batch.ticket.number;
        self.state().running = Some((number, 0));
        let settled = self.state().settled.clone();
        let mut following = Following::new(self, &batch.ticket, on_event);
        following.sweeps = settled.is_some();
        match settled {
            Some(settled) => self.send(&*settled, batch).await?,
            None => match self.first_program(None, Some((&batch.text, &batch.jobs)))? {
                Some(first) => self.start_first(&first).await?,
                None => {
                    let settled = self.settled().await?;
                    following.placed();
                    following.sweeps = true;
                    self.send(&*settled, batch).await?;
                }
            },
        }
        let outcome = self.followed(&mut following).await;
        if following.refused {
            let settled = self.settled().await?;
            self.state().running = Some((number, 0));
            following.sweeps = true;
            self.send(&*settled, batch).await?;
            return self.followed(&mut following).await;
        }
        outcome
    }

    /// Follows a batch to its end; one that can't be followed any more is ended.
    pub(super) async fn followed(&self, following: &mut Following<'_, '_>) -> Result<BatchOutcome> {
        let outcome = following.follow().await;
        match &outcome {
            Err(Error::TooLarge { .. } | Error::NoTransfer { .. }) => self.kill_all().await?,
            _ => self.state().running = None,
        }
        outcome
    }

    /// Sends a batch to a guest that is known and starts it.
    async fn send(&self, settled: &dyn Settled, batch: &Batch) -> Result<()> {
        let number = batch.ticket.number;
        let octal = settled.facts().decoder == Decoder::None;
        let anew = if octal == batch.octal { None } else { Some(self.text(number, &batch.jobs, octal)?) };
        let meeting = {
            let mut state = self.state();
            state.sent = true;
            // The batch removes it.
            state.met.then(|| state.meeting.clone())
        };
        let text = settled.whole(anew.as_ref().unwrap_or(&batch.text), meeting.as_deref());
        if let Some(program) = settled.start(&text) {
            return self.wire.start(&program).await;
        }
        let path = format!("{}/in.{number}", settled.facts().work);
        match self.carry(&path, &Source::Bytes(Bytes::from(text))).await? {
            Carried::Whole => self.wire.start(&settled.start_uploaded(number)).await,
            Carried::Parts(count) => self.wire.start(&settled.start_parts(number, count)).await,
        }
    }

    /// Sends data to a file of the work directory, whole by a transfer or in parts through vCenter.
    pub(super) async fn carry(&self, path: &str, source: &Source) -> Result<Carried> {
        let size = source.size();
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
            Source::Made(content) => whole(content.clone()).await?,
        };
        let parts: Vec<Program> = self.settled().await?.parts(path, &content);
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

    /// Reads a file of the guest through vCenter alone.
    pub(super) async fn read_published(&self, path: &str, size: u64) -> Result<Vec<u8>> {
        let (program, directory) = self.settled().await?.publish(self.next_number(), path);
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
                        Record::Output { bytes, .. } if (content.len() + bytes.len()) as u64 <= size => {
                            content.extend(bytes);
                        }
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
        let settled = self.state().settled.clone();
        let settled = match settled {
            Some(settled) => settled,
            None => {
                let work = self.state().work.clone();
                let claim = Claim { number, work: work.as_deref(), meeting: None };
                let (settled, standing) = self.ask(Some(claim)).await?;
                if let Some(Standing::Never { .. }) = standing {
                    self.state().running = None;
                    return Ok(());
                }
                settled
            }
        };
        self.wire.start(&settled.kill(number)).await?;
        let directory = settled.batch_directory(number);
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
                Look::Dead(_) => break,
                // The program that ends it makes a log where there is none; without a work directory it can't.
                Look::Missing if began.elapsed() > allowed => break,
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

/// All of what is made while it is sent.
async fn whole(content: Arc<dyn Content>) -> Result<Bytes> {
    let made = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        content.write(&mut bytes).map(|()| Bytes::from(bytes))
    });
    let failed = |detail: String| Error::Local { path: "what is sent".to_owned(), detail };
    made.await.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))
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
