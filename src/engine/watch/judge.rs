//! Who is dead, and what may be done about it now: pure bookkeeping over what was seen and when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::heal::{Dead, Decided};
use crate::vsphere::wire::Moref;

/// How often at most a machine's pause is doubled.
const DOUBLINGS: u32 = 10;

/// What keeps a platform from flapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long a sign that may pass by itself must last.
    pub grace: Duration,
    /// More dead at once are a sign of something else.
    pub at_most: usize,
    /// So many replacements …
    pub replacements: usize,
    /// … within so long.
    pub window: Duration,
    /// The pause before the same machine is replaced a second time; doubled each time after.
    pub pause: Duration,
}

/// What is seen of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It is there, and nothing speaks against it.
    Well(Moref),
    /// It is there, and shows a sign that may pass: which.
    Sign(Moref, String),
    /// It isn't there.
    Missing,
}

/// Why a machine that is dead isn't replaced now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Too many are dead, or may be, at once.
    TooMany,
    /// It was replaced a short while ago: until when.
    Pause(Instant),
    /// The budget is used up: until when.
    Budget(Instant),
}

/// What is known of one machine.
#[derive(Debug, Default)]
struct Of {
    /// The machine that has lived under this label.
    lived: Option<Moref>,
    /// One has, whichever: an earlier controller has replaced it.
    known: bool,
    here: bool,
    sign: Option<(String, Instant)>,
    /// HEALTHCHECKs that failed in a row, and how the last one did.
    failures: (u32, String),
    /// How often it was replaced within the window, and when last.
    replaced: (u32, Option<Instant>),
    /// When it is checked next.
    due: Option<Instant>,
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// What is replaced and what isn't, for the build.
    pub decided: Decided,
    /// Machines that have never been there, and are to be made.
    pub missing: BTreeSet<String>,
    /// Who is dead and isn't replaced: why it is dead, and why it stays so.
    pub held: BTreeMap<String, (String, Held)>,
    /// Who may be dead soon.
    pub suspects: BTreeMap<String, String>,
    /// When it is worth deciding again, unless something changes.
    pub next: Option<Instant>,
}

impl Decision {
    /// Whether there is something to do.
    pub fn acts(&self) -> bool {
        !self.decided.dead.is_empty() || !self.missing.is_empty()
    }
}

/// The bookkeeping.
#[derive(Debug)]
pub struct Judge {
    rules: Rules,
    of: BTreeMap<String, Of>,
    /// When machines were replaced.
    spent: VecDeque<Instant>,
}

impl Judge {
    /// Nothing is known.
    pub fn new(rules: Rules) -> Self {
        Judge { rules, of: BTreeMap::new(), spent: VecDeque::new() }
    }

    /// Takes in which machines earlier controllers have replaced, and how long that is ago.
    pub fn restore(&mut self, spent: Vec<(String, Duration)>, now: Instant) {
        let mut spent: Vec<(String, Instant)> = spent
            .into_iter()
            .filter(|(_, age)| *age < self.rules.window)
            .map(|(label, age)| (label, now.checked_sub(age).unwrap_or(now)))
            .collect();
        spent.sort_by_key(|(_, at)| *at);
        for (label, at) in spent {
            self.spend(&label, at);
        }
    }

    /// Only these labels count from now on.
    pub fn keep(&mut self, labels: &BTreeSet<&str>) {
        self.of.retain(|label, _| labels.contains(label.as_str()));
    }

    /// Notes what was seen.
    pub fn see(&mut self, label: &str, fact: Fact, now: Instant) {
        let of = self.of.entry(label.to_owned()).or_default();
        match fact {
            Fact::Well(vm) => {
                of.is(vm);
                of.sign = None;
            }
            Fact::Sign(vm, why) => {
                of.is(vm);
                let since = of.sign.as_ref().map_or(now, |(_, since)| *since);
                of.sign = Some((why, since));
            }
            Fact::Missing => {
                of.here = false;
                of.sign = None;
                of.failures = (0, String::new());
            }
        }
    }

    /// Notes how a HEALTHCHECK ended.
    pub fn checked(&mut self, label: &str, failed: Option<String>, next: Instant) {
        let of = self.of.entry(label.to_owned()).or_default();
        of.due = Some(next);
        of.failures = match failed {
            Some(why) => (of.failures.0.saturating_add(1), why),
            None => (0, String::new()),
        };
    }

    /// A check couldn't be run: it says nothing.
    pub fn put_off(&mut self, label: &str, next: Instant) {
        self.of.entry(label.to_owned()).or_default().due = Some(next);
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether a machine's check is due: it is there, and nothing else speaks against it.
    pub fn is_due(&self, label: &str, now: Instant) -> bool {
        let of = self.of.get(label);
        of.is_some_and(|of| of.here && of.sign.is_none() && of.due.is_none_or(|due| due <= now))
    }

    /// When the first check is due of those machines.
    pub fn first_due<'a>(&self, labels: impl Iterator<Item = &'a str>, now: Instant) -> Option<Instant> {
        let of = labels.filter_map(|label| self.of.get(label));
        of.filter(|of| of.here && of.sign.is_none()).map(|of| of.due.unwrap_or(now)).min()
    }

    /// How many machines live, as far as is known.
    pub fn living(&self) -> usize {
        self.of.values().filter(|of| of.here && of.sign.is_none() && of.failures.0 == 0).count()
    }

    /// How many replacements are left now.
    pub fn left(&self, now: Instant) -> usize {
        let spent = self.spent.iter().filter(|at| now.duration_since(**at) < self.rules.window).count();
        self.rules.replacements.saturating_sub(spent)
    }

    /// What is to be done now. `retry` tells how many failed checks in a row count, by label.
    pub fn decide(&self, retry: &BTreeMap<String, u32>, now: Instant) -> Decision {
        let mut out = Decision::default();
        let soon = |out: &mut Decision, at: Instant| out.next = Some(out.next.map_or(at, |next| next.min(at)));
        let mut dead: Vec<(&String, Dead)> = Vec::new();
        for (label, of) in &self.of {
            match (&of.lived, of.here, &of.sign) {
                (None, _, _) if of.known => dead.push((label, said(None, "it is gone"))),
                (None, _, _) => {
                    out.missing.insert(label.clone());
                }
                (Some(vm), false, _) => dead.push((label, said(Some(vm), "it is gone"))),
                (Some(vm), true, Some((why, since))) => {
                    let until = *since + self.rules.grace;
                    if until <= now {
                        dead.push((label, said(Some(vm), why)));
                    } else {
                        out.suspects.insert(label.clone(), why.clone());
                        soon(&mut out, until);
                    }
                }
                (Some(vm), true, None) => {
                    let (failures, why) = &of.failures;
                    if retry.get(label).is_some_and(|retry| failures >= retry) {
                        dead.push((label, said(Some(vm), &format!("its HEALTHCHECK fails: {why}"))));
                    } else if *failures > 0 {
                        out.suspects.insert(label.clone(), format!("its HEALTHCHECK fails: {why}"));
                    }
                }
            }
        }
        // What has a common cause shows itself one after the other.
        let many = dead.len() + out.suspects.len() > self.rules.at_most;
        let mut left = self.left(now);
        for (label, one) in dead {
            let hold = |out: &mut Decision, held: Held| {
                out.decided.held.insert(label.clone());
                out.held.insert(label.clone(), (one.why.clone(), held));
            };
            let pause = self.of.get(label).and_then(|of| self.pause(of)).filter(|until| *until > now);
            if many {
                hold(&mut out, Held::TooMany);
            } else if let Some(until) = pause {
                hold(&mut out, Held::Pause(until));
                soon(&mut out, until);
            } else if left == 0 {
                let spent = self.spent.len().saturating_sub(self.rules.replacements);
                let until = self.spent.get(spent).map_or(now + self.rules.window, |at| *at + self.rules.window);
                hold(&mut out, Held::Budget(until));
                soon(&mut out, until);
            } else {
                left -= 1;
                out.decided.dead.insert(label.clone(), one);
            }
        }
        out
    }

    /// Until when a machine isn't replaced again.
    fn pause(&self, of: &Of) -> Option<Instant> {
        let (times, last) = (of.replaced.0, of.replaced.1?);
        let doubled = times.saturating_sub(1).min(DOUBLINGS);
        Some(last + self.rules.pause.saturating_mul(1 << doubled).min(self.rules.window))
    }

    /// Machines begin to be replaced.
    pub fn replaced<'a>(&mut self, labels: impl Iterator<Item = &'a String>, now: Instant) {
        for label in labels {
            self.spend(label, now);
        }
        while self.spent.front().is_some_and(|at| now.duration_since(*at) >= self.rules.window) {
            self.spent.pop_front();
        }
    }

    fn spend(&mut self, label: &str, at: Instant) {
        self.spent.push_back(at);
        let of = self.of.entry(label.to_owned()).or_default();
        let (times, last) = of.replaced;
        let again = last.is_some_and(|last| at.duration_since(last) < self.rules.window);
        of.replaced = (if again { times + 1 } else { 1 }, Some(at));
        of.known = true;
        of.failures = (0, String::new());
        of.due = None;
    }
}

impl Of {
    fn is(&mut self, vm: Moref) {
        if self.lived.as_ref() != Some(&vm) {
            // Another one: what was known of the last doesn't count.
            self.sign = None;
            self.failures = (0, String::new());
            self.due = None;
            self.lived = Some(vm);
        }
        self.here = true;
    }
}

fn said(vm: Option<&Moref>, why: &str) -> Dead {
    Dead { vm: vm.cloned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        grace: Duration::from_secs(60),
        at_most: 2,
        replacements: 3,
        window: Duration::from_secs(3600),
        pause: Duration::from_secs(60),
    };

    fn vm(n: u32) -> Moref {
        Moref::new("VirtualMachine", format!("vm-{n}"))
    }

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn dead(judge: &Judge, now: Instant) -> Vec<String> {
        judge.decide(&BTreeMap::new(), now).decided.dead.into_keys().collect()
    }

    #[test]
    fn a_sign_must_last_and_a_machine_that_is_gone_is_dead_at_once() {
        let (mut judge, begin) = (Judge::new(RULES), Instant::now());
        judge.see("a", Fact::Missing, begin);
        let first = judge.decide(&BTreeMap::new(), begin);
        assert!(first.missing.contains("a") && first.decided.dead.is_empty());
        judge.see("a", Fact::Well(vm(1)), begin);
        judge.see("b", Fact::Well(vm(2)), begin);
        assert!(!judge.decide(&BTreeMap::new(), begin).acts());
        judge.see("a", Fact::Sign(vm(1), "off".to_owned()), begin + second(10));
        judge.see("a", Fact::Sign(vm(1), "off".to_owned()), begin + second(30));
        let waits = judge.decide(&BTreeMap::new(), begin + second(69));
        assert_eq!((waits.suspects.len(), waits.next), (1, Some(begin + second(70))));
        assert_eq!(dead(&judge, begin + second(70)), ["a"]);
        judge.see("a", Fact::Well(vm(1)), begin + second(71));
        assert!(dead(&judge, begin + second(200)).is_empty());
        judge.see("b", Fact::Missing, begin + second(71));
        assert_eq!(dead(&judge, begin + second(71)), ["b"]);
    }

    #[test]
    fn checks_count_in_a_row() {
        let (mut judge, now) = (Judge::new(RULES), Instant::now());
        let retry = BTreeMap::from([("a".to_owned(), 2)]);
        judge.see("a", Fact::Well(vm(1)), now);
        assert!(judge.is_due("a", now));
        let bad = || Some("exit code 1".to_owned());
        judge.checked("a", bad(), now + second(10));
        assert!(!judge.is_due("a", now + second(9)) && judge.is_due("a", now + second(10)));
        assert!(judge.decide(&retry, now).suspects.contains_key("a"));
        judge.checked("a", None, now + second(20));
        judge.checked("a", bad(), now + second(30));
        assert!(judge.decide(&retry, now).decided.dead.is_empty());
        judge.checked("a", bad(), now + second(40));
        assert_eq!(judge.decide(&retry, now).decided.dead["a"].why, "its HEALTHCHECK fails: exit code 1");
        // Another machine of its name begins anew.
        judge.see("a", Fact::Well(vm(2)), now);
        assert!(!judge.decide(&retry, now).acts());
    }

    #[test]
    fn the_same_machine_waits_longer_each_time() {
        let (mut judge, begin) = (Judge::new(RULES), Instant::now());
        let a = "a".to_owned();
        let mut at = begin;
        for (n, pause) in [(1, 0), (2, 60), (3, 120)] {
            judge.see("a", Fact::Well(vm(n)), at);
            judge.see("a", Fact::Missing, at);
            if pause > 0 {
                let held = judge.decide(&BTreeMap::new(), at);
                assert_eq!(held.held["a"].1, Held::Pause(at + second(pause)), "{n}");
                assert!(held.decided.held.contains("a"));
            }
            at += second(pause);
            assert_eq!(dead(&judge, at), ["a"], "{n}");
            judge.replaced([&a].into_iter(), at);
        }
        // Three within the hour: the budget, which the oldest gives back first.
        assert_eq!(judge.left(at), 0);
        judge.see("a", Fact::Missing, at);
        let later = at + second(300);
        let held = judge.decide(&BTreeMap::new(), later);
        assert_eq!((&held.held["a"].1, held.next), (&Held::Budget(begin + second(3600)), Some(begin + second(3600))));
        assert_eq!(dead(&judge, begin + second(3600)), ["a"]);
    }

    #[test]
    fn what_earlier_controllers_have_replaced_counts() {
        let (mut judge, now) = (Judge::new(RULES), Instant::now());
        let ago = |label: &str, age: u64| (label.to_owned(), second(age));
        judge.restore(vec![ago("a", 30), ago("b", 3000), ago("a", 100), ago("b", 3600)], now);
        judge.keep(&BTreeSet::from(["a", "b", "c"]));
        assert_eq!(judge.left(now), 0);
        // Which was there before is dead where it is missing; which never was is made.
        for label in ["a", "b", "c"] {
            judge.see(label, Fact::Missing, now);
        }
        let decision = judge.decide(&BTreeMap::new(), now);
        assert_eq!(decision.missing, BTreeSet::from(["c".to_owned()]));
        // The second pause of a is twice as long; of b the budget is left to be waited for.
        assert_eq!(decision.held["a"].1, Held::Pause(now - second(30) + second(120)));
        assert_eq!(decision.held["b"].1, Held::Budget(now - second(3000) + second(3600)));
        let later = now + second(600);
        assert_eq!(judge.left(later), 1);
        assert_eq!(dead(&judge, later).len(), 1);
    }

    #[test]
    fn too_many_at_once_are_left_alone() {
        let (mut judge, now) = (Judge::new(RULES), Instant::now());
        for (n, label) in ["a", "b", "c"].into_iter().enumerate() {
            judge.see(label, Fact::Well(vm(n as u32)), now);
            judge.see(label, Fact::Missing, now);
        }
        let held = judge.decide(&BTreeMap::new(), now);
        assert!(!held.acts() && held.held.values().all(|(_, why)| *why == Held::TooMany));
        // One of them may come back, or not.
        judge.see("c", Fact::Sign(vm(2), "off".to_owned()), now);
        assert!(dead(&judge, now).is_empty());
        judge.see("c", Fact::Well(vm(9)), now);
        assert_eq!(dead(&judge, now), ["a", "b"]);
        judge.keep(&BTreeSet::from(["a"]));
        assert_eq!(dead(&judge, now), ["a"]);
    }
}
