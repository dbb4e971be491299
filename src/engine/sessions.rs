//! The guest accounts of one machine: logged in with once, used by many steps.

use std::time::Duration;

use super::codes;
use super::journal::Record;
use super::machine::Worker;
use super::options::{FailureClass, GuestLogin, LoginDefaults};
use super::shared::{Shared, Stop};
use crate::diagnostic::Diagnostic;
use crate::guest::{self, Guest, Login, Standing, Ticket};
use crate::sema::order_refs::{Uses, uses};
use crate::sema::program::{Action, GuestContext, Machine, MachineId, Program, RunAs, Step};
use crate::source::Span;
use crate::vsphere::wire::Moref;

/// How long a guest may take to end our processes when the build stops.
const PARTING: Duration = Duration::from_secs(20);

/// Guests by account.
#[derive(Default)]
pub(super) struct Sessions {
    open: Vec<(Login, Guest)>,
    /// The users of all accounts so far, by number, and the numbers of those that this process has opened.
    users: Vec<String>,
    taken: Vec<usize>,
    /// The guest's family, as the server told it when Tools were ready.
    pub(super) family: Option<String>,
}

impl Sessions {
    /// The machine's guest for an account. Nothing is sent to it yet: its first command logs in.
    pub(super) async fn of(worker: &mut Worker, login: Login, span: Span) -> Result<&mut Guest, Stop> {
        // Those of the same account learn of its password: it may be the one that it has by now.
        for (_, guest) in worker.sessions.open.iter().filter(|(l, _)| l.user == login.user && *l != login) {
            guest.also(&login.password);
        }
        if let Some(at) = worker.sessions.open.iter().position(|(l, _)| *l == login) {
            return worker.sessions.open.get_mut(at).map(|(_, guest)| guest).ok_or(Stop::Cancelled);
        }
        let (vm, options) = Sessions::begin(worker, &login).await?;
        let shared = std::sync::Arc::clone(&worker.shared);
        let opened = shared.interruptible(Guest::open(&shared.client, &vm, &login, options)).await?;
        let guest = opened.map_err(|e| Stop::guest(&e, span, "logging in to the guest"))?;
        worker.sessions.open.push((login, guest));
        worker.sessions.open.last_mut().map(|(_, guest)| guest).ok_or(Stop::Cancelled)
    }

    /// The same where an earlier process of the build was to start a batch; with how that batch stands.
    pub(super) async fn attach<'a>(
        worker: &'a mut Worker,
        login: Login,
        span: Span,
        ticket: &Ticket,
    ) -> Result<(&'a mut Guest, Standing), Stop> {
        let (vm, options) = Sessions::begin(worker, &login).await?;
        let shared = std::sync::Arc::clone(&worker.shared);
        let attached = Guest::attach(&shared.client, &vm, &login, options, ticket);
        let attached = shared.interruptible(attached).await?;
        let attached = attached.map_err(|e| Stop::guest(&e, span, "logging in to the guest"))?;
        worker.sessions.open.push((login, attached.guest));
        let guest = worker.sessions.open.last_mut().map(|(_, guest)| guest).ok_or(Stop::Cancelled)?;
        Ok((guest, attached.standing))
    }

    /// What an account is to be opened with.
    async fn begin(worker: &mut Worker, login: &Login) -> Result<(Moref, guest::Options), Stop> {
        let shared = std::sync::Arc::clone(&worker.shared);
        let vm = worker.there()?;
        // Accounts are still set up after a boot of ours only. On a machine that was there before, a wrong password is
        // wrong, and to repeat it might lock the account.
        let boot_window = if worker.was_there() { Duration::ZERO } else { shared.options.deadlines.login };
        let what = shared.events.masker.text(&format!("the guest to let {} in", login.user));
        let limit = (!boot_window.is_zero()).then_some(boot_window);
        shared.events.waiting(worker.id, &what, limit);
        let user = shared.events.masker.text(&login.user);
        let number = worker.sessions.number(shared.past.sessions.get(&worker.id), &user);
        // Our directory in the guest is named after the number: also who cleans up later finds it.
        let record = Record::Session { machine: worker.id.0, number: number as u32, user };
        shared.journal.intend(&record).await.map_err(|e| Stop::journal(&e))?;
        let program = std::sync::Arc::clone(&shared.program);
        let options = guest::Options {
            passwords: passwords(&shared, program.machine(worker.id), login),
            changed: shared.past.sessions.contains_key(&worker.id),
            name: Some(format!("{}-{}-{number}", shared.options.build, worker.id.0)),
            channel: shared.options.channel,
            family: worker.sessions.family.clone(),
            boot_window,
            patience: shared.options.deadlines.boot,
            // A build that is gone on with, or cleaned up, removes what a killed process has left.
            build: Some(shared.options.build.clone()),
            ..guest::Options::default()
        };
        Ok((vm, options))
    }

    /// The number of an account: that of an earlier process's account of this user, else a new one.
    fn number(&mut self, before: Option<&Vec<String>>, user: &str) -> usize {
        if self.users.is_empty() {
            self.users = before.cloned().unwrap_or_default();
        }
        let found = self.users.iter().enumerate().find(|(at, u)| *u == user && !self.taken.contains(at));
        let number = found.map_or(self.users.len(), |(at, _)| at);
        if number == self.users.len() {
            self.users.push(user.to_owned());
        }
        self.taken.push(number);
        number
    }

    /// Any account that is logged in with.
    pub(super) fn any(&mut self) -> Option<&mut Guest> {
        self.open.first_mut().map(|(_, guest)| guest)
    }

    /// The guest is restarted: all accounts look at it anew when they are used next.
    pub(super) fn reopen(&mut self) {
        for (_, guest) in &mut self.open {
            guest.reopen();
        }
    }

    /// Before something is run again that may still run: its batch is ended.
    pub(super) async fn end_what_runs(&mut self) -> Result<(), guest::Error> {
        for (_, guest) in &self.open {
            guest.kill_all().await?;
        }
        Ok(())
    }

    /// The machine is finished: nothing of ours stays in the guest. What belongs to an account that steps have locked or
    /// removed, or given a password that nobody knows here, another one removes who is root or can become it.
    pub(super) async fn close(&mut self) -> Result<(), guest::Error> {
        let all = std::mem::take(&mut self.open);
        let mut refused = Vec::new();
        for (login, guest) in &all {
            match guest.cleanup().await {
                Err(error) if error.is_login() => refused.push((login, error, guest.work_directory())),
                other => other?,
            }
        }
        for (login, error, left) in refused {
            let Some(left) = left else { return Err(error) };
            let mut removed = false;
            for (_, guest) in all.iter().filter(|(other, _)| other.user != login.user) {
                let mut job = guest::Job::delete(0, &left);
                job.run_as = (!guest.is_windows()).then(|| guest::RunAs::new("root"));
                if guest.run(job).await.is_ok_and(|end| end.success) {
                    guest.cleanup().await?;
                    removed = true;
                    break;
                }
                // What it may have begun goes, as far as it can still log in.
                let _ = guest.cleanup().await;
            }
            if !removed {
                return Err(error);
            }
        }
        Ok(())
    }

    /// The machine has failed. Where it stays, what runs in it is ended and our directory removed, as far as the
    /// guest still answers; where it is removed, that does it.
    pub(super) async fn abandon(&mut self, shared: &Shared, machine: MachineId, stays: bool) {
        let open = std::mem::take(&mut self.open);
        let kept = stays || shared.on_error() == super::options::OnError::Keep;
        if open.is_empty() || !kept || shared.control.leave.is_cancelled() {
            return;
        }
        // Whoever goes on with the build is to know who has ended it. A journal that can't be written is told of where
        // that matters; a machine that stays isn't left with what runs in it for that.
        let _ = shared.journal.intend(&Record::Ending { machine: machine.0 }).await;
        for (_, guest) in open {
            let parting = async {
                let _ = guest.kill_all().await;
                let _ = guest.cleanup().await;
            };
            tokio::select! {
                _ = tokio::time::timeout(PARTING, parting) => {}
                () = shared.control.leave.cancelled() => {}
            }
        }
    }
}

/// The other passwords that an account has in a machine's steps, as far as they are known: while a step changes it, what
/// comes of the step is only told to who knows the new one.
fn passwords(shared: &Shared, machine: &Machine, login: &Login) -> Vec<String> {
    let contexts = std::iter::once(&machine.context).chain(machine.steps.iter().map(|step| &step.context));
    let mut seen: Vec<&crate::sema::program::Login> = Vec::new();
    let mut found = Vec::new();
    for context in contexts {
        let Some(other) = context.login.as_ref().filter(|other| !seen.contains(other)) else { continue };
        seen.push(other);
        if let Ok(Some(other)) = self::login(shared, machine, context)
            && other.user == login.user
            && other.password != login.password
        {
            found.push(other.password);
        }
    }
    found
}

/// A password that stands in the VMWfile itself is masked from this length on.
const SHORTEST_SECRET: usize = 8;

/// The account that a step's context asks for: its own LOGIN, the command line's, the file's, the environment's.
pub(super) fn login(shared: &Shared, machine: &Machine, context: &GuestContext) -> Result<Option<Login>, Stop> {
    let defaults = &shared.options.login;
    let outside = |login: &GuestLogin| (login.user.clone(), login.password.clone());
    let written = match (&context.login, &defaults.command_line, &machine.default_login) {
        (Some(login), _, _) | (None, None, Some(login)) => login.password.as_ref().and_then(|p| p.as_literal()),
        _ => None,
    };
    let (user, password) = match (&context.login, &defaults.command_line, &machine.default_login) {
        (Some(login), _, _) => of_file(shared, login)?,
        (None, Some(given), _) => outside(given),
        (None, None, Some(login)) => of_file(shared, login)?,
        (None, None, None) => match &defaults.environment {
            Some(given) => outside(given),
            None => return Ok(None),
        },
    };
    // A LOGIN without password takes the one that is given from outside for that user.
    let given = [&defaults.command_line, &defaults.environment];
    let password = password
        .or_else(|| given.iter().filter_map(|g| g.as_ref()).find(|g| g.user == user).and_then(|g| g.password.clone()));
    mask(shared, password.as_ref(), written);
    Ok(Some(Login { user, password: password.unwrap_or_default() }))
}

/// A password isn't shown from here on. `PASSWORD root` in the file, where it is `written`, is nobody's secret, and would hide
/// a part of every path in the output.
fn mask(shared: &Shared, password: Option<&String>, written: Option<&str>) {
    if let Some(password) = password.filter(|_| written.is_none_or(|w| w.len() >= SHORTEST_SECRET)) {
        shared.events.masker.add(password);
    }
}

fn of_file(shared: &Shared, login: &crate::sema::program::Login) -> Result<(String, Option<String>), Stop> {
    let user = shared.text(&login.user)?;
    let password = login.password.as_ref().map(|p| shared.text(p)).transpose()?;
    Ok((user, password))
}

/// What is missing before anything is contacted: a diagnostic for each stage that has something to do in its guest,
/// and no account to do it with.
pub fn missing_logins(program: &Program, defaults: &LoginDefaults) -> Vec<Diagnostic> {
    let mut stages = std::collections::HashSet::new();
    let lacking = program.machines.iter().filter_map(|machine| {
        if defaults.command_line.is_some() || machine.default_login.is_some() || defaults.environment.is_some() {
            return None;
        }
        let network = [machine.address.as_ref().map(|a| a.span), machine.hostname.as_ref().map(|h| h.span)];
        let network = network.into_iter().flatten().next().filter(|_| machine.context.login.is_none());
        let acts = |step: &&Step| {
            let uses = uses(&step.action);
            let guest =
                step.options.unless.is_some() || (uses >= Uses::Login && !matches!(step.action, Action::Reboot));
            guest && step.context.login.is_none()
        };
        let span = network.or_else(|| machine.steps.iter().find(acts).map(|step| step.span))?;
        // Replicas lack it alike.
        stages.insert(machine.stage).then(|| no_login(machine, span))
    });
    lacking.collect()
}

fn no_login(machine: &Machine, span: Span) -> Diagnostic {
    let message = format!("`{}` has commands for its guest, but no account to run them with", machine.label);
    Diagnostic::new(&codes::NO_LOGIN, message).primary(span, "runs in the guest").help(
        "write `LOGIN root PASSWORD ${{ root_password }}` with `SECRET root_password`, or give `--login` and \
         `--login-password-file` (or set VMWBUILD_LOGIN=user:password)",
    )
}

/// [`login`], where one is needed.
pub(super) fn needed(shared: &Shared, machine: &Machine, context: &GuestContext, span: Span) -> Result<Login, Stop> {
    let found = login(shared, machine, context)?;
    found.ok_or_else(|| Stop::failed(FailureClass::Guest, "no guest account", no_login(machine, span)))
}

/// Another user to run as, as the guest room wants it.
pub(super) fn run_as(shared: &Shared, user: Option<&RunAs>) -> Result<Option<guest::RunAs>, Stop> {
    use crate::sema::program::Via;
    let Some(user) = user else { return Ok(None) };
    let via = match user.via {
        Via::Auto => guest::Via::Auto,
        Via::Sudo => guest::Via::Sudo,
        Via::Su => guest::Via::Su,
        Via::Runuser => guest::Via::Runuser,
        Via::Doas => guest::Via::Doas,
    };
    let password = user.password.as_ref().map(|p| shared.text(p)).transpose()?;
    let written = user.password.as_ref().and_then(|p| p.as_literal());
    mask(shared, password.as_ref(), written);
    Ok(Some(guest::RunAs { user: shared.text(&user.name)?, via, password }))
}
