//! One command in the guests of many machines at once.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::exec::{self, Ended, Work};
use super::machine::{self, Refused};
use super::{args, codes, terminal};
use crate::diagnostic::Diagnostic;
use crate::guest::{self, Event, Guest, Stream};
use crate::source::Sources;
use crate::vsphere::client::{Client, Entity, EntityKind, Inventory};

/// The machines that patterns name, without templates, by path.
pub(super) fn chosen(inventory: &Inventory, patterns: &[String]) -> Result<Vec<Entity>, Refused> {
    let mut out: Vec<Entity> = Vec::new();
    for pattern in patterns {
        let found = fitting(inventory, pattern);
        if found.is_empty() {
            let text = format!("no machine's name fits `{pattern}`");
            let help = "`*` stands for any characters and `?` for one; templates don't run, and are left out";
            return Err((5, Diagnostic::new(&codes::NO_MACHINE, text).help(help)));
        }
        for entity in found {
            if !out.iter().any(|e| e.moref == entity.moref) {
                out.push(entity.clone());
            }
        }
    }
    Ok(out)
}

/// The machines whose name fits a pattern, or whose path where there is a `/` in it; without templates, by path.
pub(super) fn fitting<'a>(inventory: &'a Inventory, pattern: &str) -> Vec<&'a Entity> {
    let fits = |e: &&Entity| {
        let subject = if pattern.contains('/') { &e.path } else { &e.name };
        !e.template && matches(pattern, subject)
    };
    inventory.all(EntityKind::Vm).filter(fits).collect()
}

/// Whether a text fits a pattern of `*` and `?`.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // The last `*`, and where in the text it was tried to end: the only place to go back to.
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || Some(c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// What all machines of one command share.
#[derive(Clone)]
pub(super) struct Fleet {
    pub(super) client: Client,
    pub(super) login: guest::Login,
    pub(super) options: guest::Options,
    pub(super) stop: CancellationToken,
}

impl Fleet {
    /// Opens it, and logs in at once.
    async fn entered(&self, machine: &Entity) -> Result<Option<Guest>, Refused> {
        let Some(guest) = self.open(machine).await? else { return Ok(None) };
        tokio::select! {
            looked = guest.look() => looked.map_err(|e| machine::guest_failed(&e))?,
            () = self.stop.cancelled() => return Ok(None),
        }
        Ok(Some(guest))
    }

    async fn open(&self, machine: &Entity) -> Result<Option<Guest>, Refused> {
        machine::open(&self.client, machine, &self.login, &self.options, &self.stop).await
    }
}

/// Runs the work in all of them; how the worst ended.
pub(super) async fn run(
    fleet: Fleet,
    machines: Vec<Entity>,
    work: Work,
    parallel: usize,
    color: args::When,
) -> Result<Ended, Refused> {
    let names = shown(&machines);
    let width = names.iter().map(|n| n.chars().count()).max().unwrap_or_default();
    // A password that one guest refuses may lock the account when it is tried everywhere: one machine goes first.
    let mut ahead = None;
    if let (Some(first), true) = (machines.first(), machines.len() > 1) {
        match fleet.entered(first).await {
            Ok(Some(guest)) => ahead = Some(guest),
            Ok(None) => return Ok(Ended::INTERRUPTED),
            Err((code, problem)) if problem.code.number == guest::codes::GUEST_LOGIN.number => {
                let others = machines.len() - 1;
                let note =
                    format!("{} refused it; the other {others} weren't tried, lest the account be locked", first.path);
                return Err((code, problem.note(note)));
            }
            // What is wrong with it is told when its turn comes.
            Err(_) => {}
        }
    }
    let work = Arc::new(work);
    let slots = Arc::new(Semaphore::new(parallel));
    let mut tasks = JoinSet::new();
    for (machine, name) in machines.into_iter().zip(names) {
        let (fleet, work, slots, opened) = (fleet.clone(), Arc::clone(&work), Arc::clone(&slots), ahead.take());
        tasks.spawn(async move {
            let _slot = slots.acquire_owned().await;
            let mut lines = Lines::new(&name, width);
            let ended = one(&fleet, &machine, opened, &work, &mut lines).await;
            lines.finish();
            ended.unwrap_or_else(|(code, problem)| {
                terminal::show([&problem], &Sources::new(), color);
                lines.say(&format!("failed: {}", problem.message));
                Ended::Ours(code)
            })
        });
    }
    let mut worst = Ended::Command(0);
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.unwrap_or(Ended::Ours(5));
        if rank(ended) > rank(worst) {
            worst = ended;
        }
    }
    Ok(worst)
}

/// Our own failures are worse than a command's; then the higher code.
fn rank(ended: Ended) -> (bool, u8) {
    match ended {
        Ended::Command(code) => (false, code),
        Ended::Ours(code) => (true, code),
    }
}

async fn one(
    fleet: &Fleet,
    machine: &Entity,
    opened: Option<Guest>,
    work: &Work,
    lines: &mut Lines,
) -> Result<Ended, Refused> {
    if fleet.stop.is_cancelled() {
        return Ok(Ended::INTERRUPTED);
    }
    let guest = match opened {
        Some(guest) => guest,
        None => match fleet.open(machine).await? {
            Some(guest) => guest,
            None => return Ok(Ended::INTERRUPTED),
        },
    };
    let mut said = Vec::new();
    let ended = {
        let mut on_event = |event: Event| lines.event(&event);
        exec::in_guest(
            &guest,
            work,
            &machine.path,
            &fleet.stop,
            (&mut on_event, &mut |text| said.push(text.to_owned())),
        )
        .await
    };
    lines.finish();
    for text in said {
        text.lines().for_each(|line| lines.say(line));
    }
    if let Ok(Ended::Command(code @ 1..)) = ended {
        lines.say(&format!("exit code {code}"));
    }
    ended
}

/// Names as short as they can be told apart.
fn shown(machines: &[Entity]) -> Vec<String> {
    let name = |e: &Entity| {
        let twice = machines.iter().filter(|o| o.name == e.name).count() > 1;
        if twice { e.path.clone() } else { e.name.clone() }
    };
    machines.iter().map(name).collect()
}

/// What a machine prints, in whole lines with its name before each.
struct Lines {
    prefix: String,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Lines {
    fn new(name: &str, width: usize) -> Self {
        Lines { prefix: format!("{name:<width$} | "), out: Vec::new(), err: Vec::new() }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Output { stream, bytes, .. } => self.push(*stream, bytes),
            Event::Omitted { bytes, .. } => self.say(&format!("({bytes} bytes of output are not shown)")),
            Event::Note(text) => self.say(&format!("note: {text}")),
            Event::Placed(_) | Event::Started { .. } | Event::Retrying { .. } | Event::Finished { .. } => {}
        }
    }

    fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let held = if stream == Stream::Out { &mut self.out } else { &mut self.err };
        held.extend_from_slice(bytes);
        let Some(end) = held.iter().rposition(|b| *b == b'\n') else { return };
        let rest = held.split_off(end + 1);
        let whole = std::mem::replace(held, rest);
        // One write for all of them: lines of two machines never mix.
        let mut text = Vec::with_capacity(whole.len() + 64);
        for line in whole.split_inclusive(|b| *b == b'\n') {
            text.extend_from_slice(self.prefix.as_bytes());
            text.extend_from_slice(line);
        }
        terminal::write(stream, &text);
    }

    /// Lets out lines without an end.
    fn finish(&mut self) {
        for stream in [Stream::Out, Stream::Err] {
            let held = if stream == Stream::Out { &self.out } else { &self.err };
            if !held.is_empty() {
                self.push(stream, b"\n");
            }
        }
    }

    fn say(&self, text: &str) {
        terminal::say(&format!("{}{text}", self.prefix));
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        let fits =
            ["web*|web", "web*|web01", "*|", "*1|web01", "w?b*|web01", "a*b*c|aXbYbZc", "a|a", "/DC*/web|/DC0/web"];
        let not = ["web|web01", "w?b|wb", "a*b|ab1", "|a", "?|", "web*|Web1"];
        let halves = |t: &'static str| t.split_once('|').unwrap();
        assert!(fits.iter().map(|t| halves(t)).all(|(p, t)| matches(p, t)));
        assert!(!not.iter().map(|t| halves(t)).any(|(p, t)| matches(p, t)));
    }
}
