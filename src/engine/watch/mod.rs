//! `vmwbuild up --watch`: follows the machines of a platform, and tells when something is to be done.
//!
//! vCenter's own notices (power, Tools, heartbeat, the host's connection, a machine that is gone) and HEALTHCHECKs that
//! are run at their intervals are facts; the [`judge`] decides what they mean. What is to be done is done by a build like
//! any other, which is told what was decided; `lock` keeps two from doing it at once.

mod judge;
mod lock;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::belongings::{self, Owned};
use super::event::Event;
use super::heal::{self, There};
use super::life::{self, Life};
use super::marks::Standing;
use super::options::{Control, FailureClass, Options};
use super::shared::class_of;
use super::standin;
use crate::diagnostic::{Diagnostic, text};
use crate::sema::program::{Machine, Program};
use crate::syntax::ast::OutputKind;
use crate::vsphere::client::{Client, Error, Signs};
use crate::vsphere::wire::Moref;

pub use judge::{Decision, Fact, Held, Judge, Rules};
pub use lock::{Attempt, Claim, Contender, Holder, Lock, PREFIX, forget, watched};

/// How often everything is looked for anew, though vCenter has told of no change: machines that came back, leftovers.
const SURVEY: Duration = Duration::from_secs(300);

/// Pauses after a build that failed, and after vCenter couldn't tell: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));

/// How things stand, for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Machines that are to run.
    pub wanted: usize,
    /// Those that live.
    pub living: usize,
    /// Those that may be dead soon.
    pub suspect: usize,
    /// Those that are dead and aren't replaced now.
    pub held: usize,
    /// Those that have never been there.
    pub missing: usize,
    /// Replacements that the budget has left.
    pub budget: usize,
    /// HEALTHCHECKs that succeeded, and that failed.
    pub checks: (u64, u64),
    /// When all was looked at last, in seconds since 1970.
    pub looked: i64,
}

/// What [`Watch::wait`] ends with.
pub enum Need {
    /// A build that does what was decided.
    Round(Decision),
    /// Somebody woke it: the file may have changed.
    Woken,
    /// It is to stop.
    Stop,
}

/// A machine that is followed.
struct Followed {
    label: String,
    owned: Owned,
}

/// Follows the machines of a platform.
pub struct Watch {
    client: Client,
    judge: Judge,
    told: mpsc::UnboundedSender<Event>,
    figures: Arc<Mutex<Figures>>,
    /// Builds of dead controllers: what they have left half-made is nobody's.
    leftovers: BTreeSet<String>,
    followed: Vec<Followed>,
    /// Machines that others stand in for, until something can be done with them.
    superseded: Vec<Moref>,
    signs: Option<(Vec<Moref>, Signs)>,
    surveyed: Option<Instant>,
    /// What was told of each machine last: nothing is told twice.
    said: BTreeMap<String, String>,
    /// Until when nothing is built, and the pause after the next failure.
    not_before: Option<Instant>,
    pause: Duration,
    /// Whether a build is wanted though nothing is known to be dead or missing: the file is new.
    wanted: bool,
    /// Whether it was said that nothing is to be done.
    announced: bool,
    /// Why checks couldn't be run last.
    unchecked: Option<String>,
}

impl Watch {
    /// Follows nothing yet.
    pub fn new(client: Client, rules: Rules, told: mpsc::UnboundedSender<Event>) -> Self {
        Watch {
            client,
            judge: Judge::new(rules),
            told,
            figures: Arc::default(),
            leftovers: BTreeSet::new(),
            followed: Vec::new(),
            superseded: Vec::new(),
            signs: None,
            surveyed: None,
            said: BTreeMap::new(),
            not_before: None,
            pause: PAUSES.0,
            wanted: true,
            announced: false,
            unchecked: None,
        }
    }

    /// How things stand, kept up to date.
    pub fn figures(&self) -> Arc<Mutex<Figures>> {
        Arc::clone(&self.figures)
    }

    /// What these builds have left half-made is removed when it is seen.
    pub fn inherit(&mut self, builds: impl IntoIterator<Item = String>) {
        self.leftovers.extend(builds);
    }

    /// These machines were replaced by earlier controllers, each so long ago: that counts on.
    pub fn restore(&mut self, spent: Vec<(String, Duration)>) {
        self.judge.restore(spent, Instant::now());
    }

    /// A round begins.
    pub fn begins(&mut self, decision: &Decision) {
        self.judge.replaced(decision.decided.dead.keys(), Instant::now());
        (self.surveyed, self.wanted, self.announced) = (None, false, false);
    }

    /// A round has ended.
    pub fn ended(&mut self, well: bool) {
        if well {
            (self.not_before, self.pause) = (None, PAUSES.0);
        } else {
            (self.not_before, self.wanted) = (Some(Instant::now() + self.pause), true);
            let text = format!("the next attempt is in {} at the earliest", text::limit(self.pause));
            self.pause = (self.pause * 2).min(PAUSES.1);
            self.tell("waits", None, &text);
        }
        self.surveyed = None;
    }

    /// The file or its arguments are others: what was put off is tried at once.
    pub fn renewed(&mut self) {
        (self.not_before, self.pause) = (None, PAUSES.0);
        (self.surveyed, self.wanted) = (None, true);
    }

    /// Tells something to whoever follows the log.
    pub fn tell(&self, what: &'static str, machine: Option<&str>, text: &str) {
        let event = Event::Watch { what, machine: machine.map(str::to_owned), text: text.to_owned() };
        let _ = self.told.send(event);
    }

    /// Waits until something is to be done.
    pub async fn wait(&mut self, program: &Program, options: &Options, control: &Control, wake: &Notify) -> Need {
        let mut trouble: Option<String> = None;
        let mut pause = PAUSES.0 / 10;
        loop {
            let looked = tokio::select! {
                looked = self.look(program, options, control) => looked,
                () = control.stop.cancelled() => return Need::Stop,
            };
            let next = match looked {
                Ok(()) => {
                    if trouble.take().is_some() {
                        self.tell("well", None, "vCenter answers again");
                    }
                    pause = PAUSES.0 / 10;
                    let now = Instant::now();
                    let decision = self.decide(program, now);
                    let late = self.not_before.filter(|until| *until > now);
                    let acts = decision.acts() || self.wanted;
                    if acts && late.is_none() {
                        return Need::Round(decision);
                    }
                    let checks = self.judge.first_due(checked(program).map(|m| m.label.as_str()), now);
                    let survey = self.surveyed.map_or(now, |at| at + SURVEY);
                    if !acts && !std::mem::replace(&mut self.announced, true) {
                        let (lives, all) = (self.judge.living(), wanted(program).count());
                        self.tell("watches", None, &format!("watches {all} machines, of which {lives} live"));
                    }
                    let late = if acts { late } else { None };
                    [decision.next, checks, late, Some(survey)].into_iter().flatten().min().unwrap_or(survey)
                }
                Err((class, list)) => {
                    if class == FailureClass::Interrupted {
                        return Need::Stop;
                    }
                    let text = list.first().map_or_else(String::new, |d| d.message.clone());
                    if trouble.as_ref() != Some(&text) {
                        self.tell("unknown", None, &format!("nothing is replaced while this lasts: {text}"));
                        trouble = Some(text);
                    }
                    let at = Instant::now() + pause;
                    pause = (pause * 2).min(PAUSES.0);
                    at
                }
            };
            let sign = async {
                match &mut self.signs {
                    // What can't be heard is found out by looking, which tells of it.
                    Some((_, signs)) => drop(signs.next().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = control.stop.cancelled() => return Need::Stop,
                () = wake.notified() => return Need::Woken,
                () = sign => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Looks at everything that may have changed.
    async fn look(&mut self, program: &Program, options: &Options, control: &Control) -> Result<(), heal::Refused> {
        let failed = |e: Error| (class_of(e.class()), vec![e.diagnostic()]);
        if self.surveyed.is_none_or(|at| at.elapsed() >= SURVEY) {
            self.survey(program, options).await.map_err(failed)?;
        }
        if self.facts().await.map_err(failed)? {
            // One is gone: another one may have come.
            self.survey(program, options).await.map_err(failed)?;
            self.facts().await.map_err(failed)?;
        }
        match self.check(program, options, control).await {
            Err((FailureClass::Interrupted, list)) => return Err((FailureClass::Interrupted, list)),
            // What can't be checked isn't dead by that; what else is seen counts.
            Err((_, list)) => {
                let text = list.first().map_or_else(String::new, |d| d.message.clone());
                if self.unchecked.as_ref() != Some(&text) {
                    self.tell("unknown", None, &format!("HEALTHCHECK can't be run, and says nothing: {text}"));
                    self.unchecked = Some(text);
                }
            }
            Ok(true) => self.unchecked = None,
            Ok(false) => {}
        }
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).looked = now;
        Ok(())
    }

    /// Which machines there are.
    async fn survey(&mut self, program: &Program, options: &Options) -> Result<(), Error> {
        let mut all = belongings::list(&self.client).await?;
        let settled = standin::settle(&self.client, program, &all, options).await?;
        if !settled.is_empty() {
            all = belongings::list(&self.client).await?;
        }
        for (label, text) in settled {
            self.tell("settled", Some(&label), &text);
        }
        for text in remove_leftovers(&self.client, &all, &options.file, &self.leftovers).await? {
            self.tell("removed", None, &text);
        }
        let wanted: Vec<&Machine> = wanted(program).collect();
        self.judge.keep(&wanted.iter().map(|m| m.label.as_str()).collect());
        let now = Instant::now();
        self.followed.clear();
        self.superseded.clear();
        for machine in wanted {
            match standin::find(machine, &all, options) {
                Some(found) => {
                    self.followed.push(Followed { label: machine.label.clone(), owned: found.current });
                    self.superseded.extend(found.superseded.into_iter().map(|o| o.vm));
                }
                None => self.judge.see(&machine.label, Fact::Missing, now),
            }
        }
        self.surveyed = Some(now);
        Ok(())
    }

    /// What is seen of those; true: one is gone since they were looked for.
    async fn facts(&mut self) -> Result<bool, Error> {
        let vms: Vec<Moref> = self.objects();
        let life = Life::of(&self.client, &vms).await?;
        let (now, mut gone) = (Instant::now(), false);
        for one in &self.followed {
            let vm = &one.owned.vm;
            let fact = match life.sign(vm) {
                _ if !life.is_there(vm) => {
                    gone = true;
                    Fact::Missing
                }
                Some(why) => Fact::Sign(vm.clone(), why),
                None => Fact::Well(vm.clone()),
            };
            self.judge.see(&one.label, fact, now);
        }
        if gone {
            self.followed.retain(|one| life.is_there(&one.owned.vm));
        }
        // What can be reached again is removed, and what stands in for it gets its name.
        gone |= self.superseded.iter().any(|vm| life.is_reached(vm));
        let vms = self.objects();
        let hosts = life.hosts();
        let objects: Vec<Moref> = vms.iter().chain(&hosts).cloned().collect();
        if self.signs.as_ref().is_none_or(|(of, _)| *of != objects) {
            self.signs = (!objects.is_empty()).then(|| (objects, life::signs(&self.client, vms, hosts)));
        }
        Ok(gone)
    }

    /// All machines that are looked at.
    fn objects(&self) -> Vec<Moref> {
        self.followed.iter().map(|f| &f.owned.vm).chain(&self.superseded).cloned().collect()
    }

    /// Runs the HEALTHCHECKs that are due; whether there were any.
    async fn check(&mut self, program: &Program, options: &Options, control: &Control) -> Result<bool, heal::Refused> {
        let now = Instant::now();
        let due: BTreeSet<String> =
            checked(program).filter(|m| self.judge.is_due(&m.label, now)).map(|m| m.label.clone()).collect();
        if due.is_empty() {
            return Ok(false);
        }
        let of = |m: &Machine| self.followed.iter().find(|f| f.label == m.label).map(|f| f.owned.clone());
        let there: Vec<There<'_>> = checked(program)
            .filter(|m| due.contains(&m.label))
            .filter_map(|machine| Some(There { machine, owned: of(machine)? }))
            .collect();
        let asked: Vec<&There<'_>> = there.iter().collect();
        let failed = heal::unhealthy(program, &asked, &self.client, options, control, true).await;
        let ended = Instant::now();
        let mut counts = (0, 0);
        for one in &there {
            let interval = one.machine.health.as_ref().map_or(SURVEY, |h| h.interval);
            let (label, next) = (&one.machine.label, ended + interval);
            match &failed {
                Ok(failed) => {
                    let why = failed.get(&one.machine.id).cloned();
                    if why.is_some() {
                        counts.1 += 1
                    } else {
                        counts.0 += 1
                    }
                    self.judge.checked(label, why, next);
                }
                // Nothing is known of any.
                Err(_) => self.judge.put_off(label, next),
            }
        }
        {
            let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
            figures.checks = (figures.checks.0 + counts.0, figures.checks.1 + counts.1);
        }
        failed.map(|_| true)
    }

    /// What is to be done; tells what is new.
    fn decide(&mut self, program: &Program, now: Instant) -> Decision {
        let retry = checked(program).filter_map(|m| Some((m.label.clone(), m.health.as_ref()?.retry))).collect();
        let decision = self.judge.decide(&retry, now);
        let mut said = BTreeMap::new();
        for (label, why) in &decision.suspects {
            said.insert(label.clone(), ("suspect", format!("it may be dead: {why}")));
        }
        for (label, one) in &decision.decided.dead {
            said.insert(label.clone(), ("dead", format!("it is dead: {}", one.why)));
        }
        for (label, (why, held)) in &decision.held {
            let rules = self.judge.rules();
            let within = |at: &Instant| minutes(at.saturating_duration_since(now));
            let (what, text) = match held {
                Held::TooMany => (
                    "too-many",
                    format!(
                        "it is dead ({why}) and isn't replaced: more than {} machines are dead, or may be, at once; look for what \
                         they have in common",
                        rules.at_most
                    ),
                ),
                Held::Pause(until) => (
                    "pause",
                    format!("it is dead ({why}), and was replaced a short while ago: again in {}", within(until)),
                ),
                Held::Budget(until) => (
                    "budget",
                    format!(
                        "it is dead ({why}) and isn't replaced: {} replacements within {} are used up; again in {}; \
                         find out what kills machines, or allow more by `--max-replacements`",
                        rules.replacements,
                        text::limit(rules.window),
                        within(until)
                    ),
                ),
            };
            said.insert(label.clone(), (what, text));
        }
        for label in &decision.missing {
            said.insert(label.clone(), ("missing", "it isn't there: it is made".to_owned()));
        }
        for (label, (what, text)) in &said {
            // The time that is left is another one each time.
            if self.said.get(label).is_none_or(|before| before != what) {
                self.tell(what, Some(label), text);
            }
        }
        for label in self.said.keys().filter(|label| !said.contains_key(*label)) {
            self.tell("well", Some(label), "it is well");
        }
        self.said = said.into_iter().map(|(label, (what, _))| (label, what.to_owned())).collect();
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.wanted = wanted(program).count();
        figures.living = self.judge.living();
        figures.suspect = decision.suspects.len();
        figures.held = decision.held.len();
        figures.missing = decision.missing.len();
        figures.budget = self.judge.left(now);
        decision
    }
}

/// Removes what dead controllers' builds have left half-made; what was removed, in words.
async fn remove_leftovers(
    client: &Client,
    all: &[Owned],
    file: &str,
    builds: &BTreeSet<String>,
) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    let ours = |o: &&Owned| o.marks.standing == Standing::HalfMade && o.marks.file == file;
    for half in all.iter().filter(ours).filter(|o| builds.contains(&o.marks.build)) {
        belongings::remove_half(client, half).await?;
        removed.push(format!("removed {}, which the build {} had left half-made", half.path, half.marks.build));
    }
    Ok(removed)
}

/// The same for who doesn't stay.
///
/// # Errors
/// vCenter can't tell, or something is still there.
pub async fn sweep(client: &Client, file: &str, builds: &[String]) -> Result<Vec<String>, Error> {
    if builds.is_empty() {
        return Ok(Vec::new());
    }
    let all = belongings::list(client).await?;
    remove_leftovers(client, &all, file, &builds.iter().cloned().collect()).await
}

/// The machines that are to run.
fn wanted(program: &Program) -> impl Iterator<Item = &Machine> {
    program.machines.iter().filter(|m| m.outputs.iter().any(|o| o.kind == OutputKind::Vm && !o.off))
}

/// Those that are asked how they are.
fn checked(program: &Program) -> impl Iterator<Item = &Machine> {
    wanted(program).filter(|m| m.health.is_some())
}

fn minutes(span: Duration) -> String {
    let seconds = span.as_secs().max(1);
    if seconds < 90 { format!("{seconds}s") } else { format!("{}m", seconds.div_ceil(60)) }
}

/// The lock is somebody else's.
pub fn held_elsewhere(holder: &Holder, file: &str) -> Diagnostic {
    Diagnostic::new(&super::codes::WATCHED_ELSEWHERE, format!("`{file}` is watched already"))
        .note(format!("by {}", holder.text))
        .help("stop that one, or wait for it by `--wait-lock`: then this one goes on where it ends")
}

/// The lock can't be had.
pub fn no_lock(error: &Error) -> Diagnostic {
    let diagnostic = error.diagnostic();
    match error.is_fault("NoPermission") {
        true => diagnostic.note(
            "one controller at a time is kept by a custom attribute: the account needs Global.ManageCustomFields and \
             Global.SetCustomField at the vCenter",
        ),
        false => diagnostic,
    }
}
