//! Going on with a batch that another process has started: its ticket, and finding out how it stands.

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::family::Claim;
use super::follow::Following;
use super::job::{BatchOutcome, Exit, Job, Login};
use super::unix::Standing as Found;
use super::{Guest, OnEvent, Options, random};
use crate::vsphere::client::Client;
use crate::vsphere::wire::Moref;

/// What another process needs to go on with a batch. It holds no secret: neither the password nor what the jobs are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The login.
    pub(super) user: String,
    /// The name of the work directory.
    pub(super) name: String,
    /// The work directory, where it is known.
    pub(super) work: Option<String>,
    /// The guest's boot, where it is known.
    pub(super) boot: Option<String>,
    /// When it was written, in milliseconds of the epoch.
    #[serde(default)]
    pub(super) written: u64,
    /// Where the guest reported first: it may still be there.
    pub(super) meeting: String,
    /// The batch's own number in the work directory.
    pub(super) number: u64,
    /// Its jobs.
    pub(super) jobs: Vec<JobMark>,
}

impl Ticket {
    /// The account whose batch this is.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its jobs, in order.
    pub fn jobs(&self) -> &[JobMark] {
        &self.jobs
    }
}

/// What is kept of a [`Job`]: enough to tell what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMark {
    /// The caller's own number.
    pub id: u64,
    /// Exit codes that are a success.
    pub ok: Vec<i32>,
    /// Whether its output is brought back.
    pub capture: bool,
    /// Whether its output is secret.
    pub secret: bool,
    /// Whether later jobs run even when it failed.
    pub allow_failure: bool,
    /// Another account than the login's.
    pub user: Option<String>,
}

impl JobMark {
    pub(super) fn of(job: &Job) -> Self {
        JobMark {
            id: job.id,
            ok: job.ok.clone(),
            capture: job.capture,
            secret: job.secret,
            allow_failure: job.allow_failure,
            user: job.run_as.as_ref().map(|run_as| run_as.user.clone()),
        }
    }

    pub(super) fn succeeded(&self, exit: Exit) -> bool {
        match exit {
            Exit::Code(code) => self.ok.contains(&code),
            Exit::Skipped => true,
            Exit::Signal(_) | Exit::TimedOut | Exit::Killed | Exit::Unknown => false,
        }
    }
}

/// How a batch stands that another process was to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was not started, and never will be, even if its start is still on the way: its jobs may be run again.
    NeverStarted,
    /// It runs or is over: [`Guest::follow`] tells.
    Begun,
    /// The guest was restarted while it ran, or after: [`Guest::follow`] tells how far it had come. The job that it was in
    /// ends as [`Exit::Unknown`].
    Restarted,
    /// There is no trace of it, and yet it may have run: its work directory was removed, or the guest was restarted
    /// before anything was on its disk.
    Lost,
}

/// What [`Guest::attach`] finds.
pub struct Attached {
    /// The guest, ready for more.
    pub guest: Guest,
    /// How the batch stands.
    pub standing: Standing,
}

impl Guest {
    /// Logs in to a guest in which another process has worked, and finds out how its batch stands. A batch that has not
    /// been started by now is kept from ever starting. The work directory's name is the ticket's.
    pub async fn attach(
        client: &Client,
        vm: &Moref,
        login: &Login,
        options: Options,
        ticket: &Ticket,
    ) -> Result<Attached> {
        let wire = Guest::reach(client, vm, login, &options).await?;
        Guest::claim(wire, "/bin/sh", login, options, ticket).await
    }

    /// The same without a doubt about the family, and with a shell of one's own.
    pub(super) async fn claim(
        wire: super::wire::Wire,
        sh: &str,
        login: &Login,
        mut options: Options,
        ticket: &Ticket,
    ) -> Result<Attached> {
        if ticket.user != login.user {
            return Err(Error::OtherLogin { user: login.user.clone(), before: ticket.user.clone() });
        }
        options.name = Some(ticket.name.clone());
        let claim = Claim { number: ticket.number, work: ticket.work.as_deref(), meeting: Some(&ticket.meeting) };
        let asked = now();
        let guest = Guest::over(wire, sh, login, options)?;
        let (settled, found) = guest.ask(Some(claim)).await?;
        let boot = &settled.facts().boot;
        // A batch that was to be the first has no boot to compare with, and its work directory may never have been made. It has
        // left no trace: if the guest has run on ever since, it was never there.
        let ran_on = || settled.facts().age.is_some_and(|age| age >= asked.saturating_sub(ticket.written) / 10);
        let standing = match found {
            Some(Found::Never { fresh }) => match &ticket.boot {
                Some(then) if then == boot && !fresh => Standing::NeverStarted,
                None if ran_on() => Standing::NeverStarted,
                _ => Standing::Lost,
            },
            Some(Found::Begun { boot: then }) if then == *boot => Standing::Begun,
            Some(Found::Begun { .. }) => Standing::Restarted,
            None => return Err(Error::Report("nothing about the batch that was asked for".to_owned())),
        };
        if standing == Standing::Begun {
            guest.state().running = Some((ticket.number, 0));
        }
        Ok(Attached { guest, standing })
    }

    /// Follows a batch that another process has started, running or over, from its beginning: the same events, the same
    /// outcome, captured output included. Jobs before the place `from` in the ticket are left out: neither their events are
    /// told nor their ends. May be asked again, until the next batch is begun.
    pub async fn follow(&self, ticket: &Ticket, from: usize, on_event: OnEvent<'_>) -> Result<BatchOutcome> {
        let _turn = self.turn.lock().await;
        self.followed(&mut Following::again(self, ticket, from, on_event)).await
    }
}

/// Milliseconds of the epoch.
pub(super) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |t| t.as_millis().try_into().unwrap_or(u64::MAX))
}

/// A number for the first batch of a handle, such that no other handle has used it in the same work directory.
pub(super) fn first_number() -> Result<u64> {
    let random = u64::from_str_radix(&random()?, 16).unwrap_or_default();
    // Short enough to be read by every shell as a name, and with room above.
    Ok(random >> 24)
}
