//! Failures on purpose: by call and count, or by chance with a seed.

use std::time::Duration;

use super::faults;
use crate::vsphere::wire::Fault;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The connection breaks before anything is done.
    DropBefore,
    /// The connection breaks when it is done, so that the answer is lost.
    DropAfter,
    /// HTTP status 503, without any effect.
    Unavailable,
    /// The session ends: the call fails with `NotAuthenticated`.
    ExpireSession,
    /// The call fails with this fault.
    Fault(Box<Fault>),
    /// The call fails with `NoPermission`: the account lacks the privilege that the method needs on its object.
    NoPermission,
    /// Tools don't answer: `SystemError` with `(3016, 0)`.
    ToolsAway,
    /// Tools restart and don't answer for that long; then they have forgotten what they had started.
    ToolsRestart(Duration),
    /// The call begins a task, which fails with this fault.
    TaskFault(Box<Fault>),
    /// The answer takes that long.
    Slow(Duration),
    /// So many bytes of a transfer go over in a second; with none it stops when it has begun.
    Rate(u64),
    /// The virtual machine that it is called on waits for an answer, and the task with it.
    Question,
    /// A disk's transfer breaks off in its middle.
    CutShort,
    /// The guest's disk is full: the call fails with `NoDiskSpace`, a transfer with HTTP status 500.
    DiskFull,
}

/// When something goes wrong, and what.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The method's name, `PUT` or `GET` for transfers, or `*` for any method.
    pub method: String,
    /// How many calls are left alone first.
    pub skip: u32,
    /// How many calls it hits; none for all.
    pub count: Option<u32>,
    /// The chance of a call to be hit.
    pub probability: f64,
    /// What happens.
    pub effect: Effect,
}

impl Rule {
    /// Hits the next call of a method, once.
    #[must_use]
    pub fn once(method: &str, effect: Effect) -> Self {
        Rule { method: method.to_owned(), skip: 0, count: Some(1), probability: 1.0, effect }
    }

    /// Leaves that many calls alone first.
    #[must_use]
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Hits that many calls.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// Hits calls by chance, for ever.
    #[must_use]
    pub fn chance(mut self, probability: f64) -> Self {
        self.count = None;
        self.probability = probability;
        self
    }

    /// Reads `METHOD:EFFECT[:skip=N][:count=N][:chance=0.1]`. Effects: `drop-before`, `drop-after`, `503`, `expire`,
    /// `fault=TYPE`, `vix=CODE`, `tools-away`, `tools-restart=MILLISECONDS`, `task-fault=TYPE`, `slow=MILLISECONDS`,
    /// `rate=KIB` (a second), `question`, `disk-full`, `cut-short`.
    ///
    /// # Errors
    /// What can't be understood of it, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let method =
            parts.next().filter(|m| !m.is_empty()).ok_or("a fault begins with the name of a method, or `*`")?;
        let effect = parts.next().ok_or_else(|| format!("`{text}` lacks an effect: METHOD:EFFECT"))?;
        let (name, value) = effect.split_once('=').unwrap_or((effect, ""));
        let effect = match name {
            "drop-before" => Effect::DropBefore,
            "drop-after" => Effect::DropAfter,
            "503" => Effect::Unavailable,
            "expire" => Effect::ExpireSession,
            "fault" if value == "NoPermission" => Effect::NoPermission,
            "fault" | "task-fault" if value.is_empty() => {
                return Err(format!("`{name}` needs the type of the fault: `{name}=TaskInProgress`"));
            }
            "fault" => Effect::Fault(Box::new(faults::named(value))),
            "task-fault" => Effect::TaskFault(Box::new(faults::named(value))),
            "vix" => Effect::Fault(Box::new(faults::vix(number(value)?))),
            "tools-away" => Effect::ToolsAway,
            "tools-restart" => Effect::ToolsRestart(Duration::from_millis(number(value)?.into())),
            "slow" => Effect::Slow(Duration::from_millis(number(value)?.into())),
            "rate" => Effect::Rate(u64::from(number(value)?) << 10),
            "question" => Effect::Question,
            "disk-full" => Effect::DiskFull,
            "cut-short" => Effect::CutShort,
            other => return Err(format!("`{other}` is not an effect of a fault")),
        };
        let mut rule = Rule::once(method, effect);
        for part in parts {
            match part.split_once('=') {
                Some(("skip", n)) => rule.skip = number(n)?,
                Some(("count", n)) => rule.count = Some(number(n)?),
                Some(("chance", n)) => {
                    let chance = n.parse().ok().filter(|c| (0.0..=1.0).contains(c));
                    rule = rule.chance(chance.ok_or_else(|| format!("`{n}` is not a chance between 0 and 1"))?);
                }
                _ => return Err(format!("`{part}` is none of `skip=N`, `count=N` and `chance=0.5`")),
            }
        }
        Ok(rule)
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

/// The rules that are left, and the chance's state.
#[derive(Debug, Default)]
pub(super) struct Plan {
    rules: Vec<Rule>,
    seed: u64,
}

impl Plan {
    pub fn new(rules: Vec<Rule>, seed: u64) -> Self {
        Plan { rules, seed }
    }

    pub fn clear(&mut self) {
        self.rules.clear();
    }

    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// What happens to a call: everything that hits it.
    pub fn strike(&mut self, method: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut seed = self.seed;
        for rule in self.rules.iter_mut().filter(|r| r.method == method || r.method == "*") {
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if rule.count == Some(0) || (rule.probability < 1.0 && chance(&mut seed) >= rule.probability) {
                continue;
            }
            rule.count = rule.count.map(|count| count - 1);
            effects.push(rule.effect.clone());
        }
        self.seed = seed;
        self.rules.retain(|rule| rule.count != Some(0));
        effects
    }
}

/// A number from 0 to 1 (SplitMix64): the same ones for the same seed, on every system.
fn chance(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // 53 bits are what such a number can hold.
    (z >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strikes_by_count_and_skip() {
        let mut plan = Plan::new(vec![Rule::once("PowerOnVM_Task", Effect::DropAfter).after(1).times(2)], 0);
        let struck: Vec<usize> = (0..4).map(|_| plan.strike("PowerOnVM_Task").len()).collect();
        assert_eq!(struck, [0, 1, 1, 0]);
        assert!(plan.strike("Login").is_empty());
    }

    #[test]
    fn chance_is_the_same_for_the_same_seed() {
        let run = |seed| {
            let mut plan = Plan::new(vec![Rule::once("*", Effect::Unavailable).chance(0.3)], seed);
            (0..1000).map(|_| plan.strike("any").len()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let hits: usize = run(7).iter().sum();
        assert!((250..350).contains(&hits), "{hits} of 1000 at a chance of 0.3");
    }

    #[test]
    fn reads_rules() {
        let rule = Rule::parse("CloneVM_Task:task-fault=InsufficientStorageSpace:skip=2:count=3").unwrap();
        assert_eq!((rule.method.as_str(), rule.skip, rule.count), ("CloneVM_Task", 2, Some(3)));
        assert!(matches!(rule.effect, Effect::TaskFault(f) if f.kind == "InsufficientStorageSpace"));
        assert_eq!(Rule::parse("*:slow=250:chance=0.5").unwrap().effect, Effect::Slow(Duration::from_millis(250)));
        for bad in ["", "Login", "Login:nothing", "Login:503:sometimes", "Login:503:count=x", "*:503:chance=2"] {
            assert!(Rule::parse(bad).is_err(), "{bad}");
        }
    }
}
