//! The first program in a guest, with a batch or without: started, and what it reports taken in.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::{Error, Result};
use super::family::{Claim, Opening, Settled};
use super::job::Job;
use super::log::{Cursor, Record};
use super::ticket::now;
use super::unix::{self, Found, Report};
use super::wire::{Listing, Program};
use super::{Guest, LONGEST_LOOK, SILENCE, random};

/// Between two attempts to log in to a guest that has just booted.
const LOGIN_PAUSE: Duration = Duration::from_secs(2);

impl Guest {
    /// Logs in and looks what the guest has, unless that is known: one program started, one or two listings.
    pub async fn look(&self) -> Result<()> {
        self.settled().await.map(drop)
    }

    /// The guest and what it has; asks, unless that is known.
    pub(super) async fn settled(&self) -> Result<Arc<dyn Settled>> {
        let settled = self.state().settled.clone();
        match settled {
            Some(settled) => Ok(settled),
            None => Ok(self.ask(None).await?.0),
        }
    }

    /// Starts the first program without a batch and waits for what it reports; may ask for a batch of another process.
    pub(super) async fn ask(&self, claim: Option<Claim<'_>>) -> Result<(Arc<dyn Settled>, Option<unix::Standing>)> {
        let first = self.first_program(claim, None)?;
        let program = first.ok_or_else(|| Error::Report("a program that is too long".to_owned()))?;
        self.start_first(&program).await?;
        let (mut report, mut cursor) = (Report::default(), Cursor::default());
        let began = Instant::now();
        let mut pause = self.state().first_look;
        loop {
            tokio::time::sleep(pause).await;
            if let Some(found) = self.meet(&mut report, &mut cursor).await? {
                let standing = found.standing.clone();
                return Ok((self.learn(found, true)?, standing));
            }
            if began.elapsed() > SILENCE {
                return Err(Error::Silent { waited: began.elapsed() });
            }
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }

    /// The program that looks what the guest has, and may go on with a batch; None when that is too large.
    pub(super) fn first_program(
        &self,
        claim: Option<Claim<'_>>,
        batch: Option<(&str, &[Job])>,
    ) -> Result<Option<Program>> {
        let meeting = random()?;
        let mut state = self.state();
        let guess = state.work.clone().unwrap_or_else(|| self.family.guess());
        let opening = Opening {
            known: state.work.as_deref(),
            guess: &guess,
            meeting: &meeting,
            stamp: now(),
            old: state.met.then_some(state.meeting.as_str()),
            claim,
        };
        let program = self.family.first(&opening, batch);
        if program.is_some() {
            state.meeting = meeting;
        }
        Ok(program)
    }

    /// Starts that program. A login that is refused just after a boot is repeated.
    pub(super) async fn start_first(&self, program: &Program) -> Result<()> {
        let began = Instant::now();
        loop {
            self.state().sent = true;
            let error = match self.wire.start(program).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // Where the reply was lost it may run all the same.
            self.state().sent = matches!(&error, Error::Client(e) if e.lost_reply());
            if !error.is_login() {
                return Err(error);
            }
            let window = self.state().boot_window;
            if began.elapsed() + LOGIN_PAUSE > window {
                if matches!(error, Error::LockedOut { .. }) && window.is_zero() {
                    return Err(error);
                }
                let tried = if window.is_zero() { Duration::ZERO } else { began.elapsed() };
                return Err(Error::Login { user: self.login.user.clone(), tried, detail: error.to_string() });
            }
            tokio::time::sleep(LOGIN_PAUSE).await;
        }
    }

    /// Looks once whether the guest has reported in the place whose name it was given.
    pub(super) async fn meet(&self, report: &mut Report, cursor: &mut Cursor) -> Result<Option<Found>> {
        let place = self.family.meeting_place(&self.state().meeting);
        let Listing::Names(names) = self.wire.list(&format!("{place}/{}", cursor.segment())).await? else {
            return Ok(None);
        };
        for record in cursor.take(&names).map_err(Error::Report)?.0 {
            match record {
                Record::Fact { bytes } => report.take(&bytes),
                Record::Known { state } => return report.read(&state).map(Some).map_err(Error::Report),
                other => return Err(Error::Report(format!("{other:?} among facts"))),
            }
        }
        Ok(None)
    }

    /// Keeps what the guest has told.
    pub(super) fn learn(&self, found: Found, met: bool) -> Result<Arc<dyn Settled>> {
        let facts = found.facts;
        let mut state = self.state();
        state.met = met;
        if facts.work.is_empty() {
            let home = if facts.home.is_empty() { "a home directory, which isn't there," } else { facts.home.as_str() };
            let detail = format!("neither below {home} nor in /var/lib or /var/tmp");
            return Err(Error::NoWorkDir { user: self.login.user.clone(), detail });
        }
        state.work = Some(facts.work.clone());
        let settled = self.family.settle(facts);
        state.settled = Some(Arc::clone(&settled));
        Ok(settled)
    }
}
