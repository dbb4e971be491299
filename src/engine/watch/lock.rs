//! One controller at a time per platform: a lock in vCenter itself, since machines may all be dead, and controllers may
//! run on different computers.
//!
//! The lock is a custom attribute (for folders) whose name tells the platform, and a number. Whoever wants it adds one with
//! the next number, which vCenter lets one client do, and then looks: where there is any other that isn't certainly dead, it
//! takes its own away again. Of two who do that at once the later one sees the earlier one, so two never hold it; nothing
//! depends on how quick anybody is. A key is never given twice, so a holder that was given up finds that out by its own.
//! What a dead one has said is there until its heir has said the same: nothing that it knew is lost with it.
//!
//! Its value at the topmost folder is what the holder says of itself: who, since when, when last (its beat), how long that
//! counts (the lease), and which builds it may have left half-made. All times are vCenter's own, asked before the beat is
//! written: clients' clocks may be as wrong as they like. A holder is dead when its beat is older than its lease **and**
//! hasn't changed for half of that while somebody looked, so a jump of vCenter's clock kills nobody; and when nothing has
//! changed for one and a half leases by the steady clock of whoever looks. A holder that can't renew its beat for two
//! thirds of its lease, by its own steady clock, gives up before others may take over.
//!
//! It also says which machines were replaced, and when: who comes after it, wherever that runs, goes on counting. A holder
//! that gives the lock back leaves the attribute for that as long as it counts, and says that nobody holds it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cache::Sink;
use crate::diagnostic::text;
use crate::vsphere::client::{Client, Error};

/// How the names of the attributes begin.
pub const PREFIX: &str = "vmwbuild.up";

/// How many builds a holder names at most.
const BUILDS: usize = 8;

/// How many replacements a holder names at most: the newest.
const SPENT: usize = 64;

/// When to look again at one that hasn't said anything yet.
const JUST: Duration = Duration::from_secs(1);

/// What a holder says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    who: String,
    file: String,
    since: String,
    beat: String,
    lease: u64,
    #[serde(default)]
    builds: Vec<String>,
    /// The machines that were replaced, and when, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    spent: Vec<(String, i64)>,
    /// For how long that counts, in seconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    window: u64,
    /// Nobody holds it: it is there for what was replaced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    free: bool,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Said {
    /// When it was said.
    fn at(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(&self.beat, &Rfc3339).ok()
    }

    /// Forgets the replacements that don't count any more.
    fn forget(&mut self) {
        let now = self.at().map_or(0, OffsetDateTime::unix_timestamp);
        let window = i64::try_from(self.window).unwrap_or(i64::MAX);
        self.spent.retain(|(_, at)| now.saturating_sub(*at) < window);
        let over = self.spent.len().saturating_sub(SPENT);
        self.spent.drain(..over);
    }
}

/// Who wants the lock, of what.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The platform: its VMWfile, as its machines' marks name it.
    pub file: String,
    /// Whoever wants it, for people.
    pub who: String,
    /// How long a beat counts.
    pub lease: Duration,
}

impl Claim {
    /// How the attributes' names begin: whose they are, and what no other platform's begin with.
    fn prefix(&self) -> String {
        let mut sink = Sink::new("up");
        sink.text(&self.file);
        let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' };
        let short: String = self.file.chars().map(plain).take(40).collect();
        format!("{PREFIX}.{short}.{}.", sink.end().short())
    }
}

/// Somebody else who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who, and since when, in words.
    pub text: String,
    /// Whether it gave a sign of life within its lease.
    pub lives: bool,
    /// Whether it has said who it is: one that is only just taking the lock hasn't.
    pub known: bool,
    /// When it is worth looking again.
    pub again: Duration,
}

/// What came of an attempt.
pub enum Attempt {
    /// It is ours, and these builds of whoever held it before may be half-made.
    Held(Lock, Vec<String>),
    /// It is somebody else's.
    By(Holder),
}

/// Tries to get the lock; remembers what it has seen of who holds it.
pub struct Contender {
    client: Client,
    claim: Claim,
    /// What each has said, and since when by our own clock.
    seen: HashMap<i32, (String, Instant)>,
}

impl Contender {
    /// Sends nothing yet.
    pub fn new(client: Client, claim: Claim) -> Self {
        Contender { client, claim, seen: HashMap::new() }
    }

    /// Looks, and takes the lock where nobody, or a dead one, holds it.
    ///
    /// # Errors
    /// vCenter can't tell, or refuses.
    pub async fn attempt(&mut self) -> Result<Attempt, Error> {
        let prefix = self.claim.prefix();
        // Each round somebody else was quicker; that doesn't go on for ever.
        for _ in 0..8 {
            let all = self.client.attributes_like(&prefix).await?;
            let dead = match self.look(&all).await? {
                Ok(dead) => dead,
                Err(holder) => return Ok(Attempt::By(holder)),
            };
            let number = |name: &str| name.strip_prefix(&prefix).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
            let next = all.iter().map(|(name, _)| number(name)).max().unwrap_or(0) + 1;
            let key = match self.client.add_folder_attribute(&format!("{prefix}{next}")).await {
                Ok(Some(key)) => key,
                // If it was we who made it, nobody says anything by it, and it ends by itself.
                Err(e) if e.lost_reply() => continue,
                Ok(None) => continue,
                Err(e) => return Err(e),
            };
            let gone: HashSet<i32> = dead.iter().map(|(key, ..)| *key).collect();
            let now = self.client.attributes_like(&prefix).await;
            let alone = |now: &[(String, i32)]| now.iter().all(|(_, other)| *other == key || gone.contains(other));
            match now {
                Ok(now) if alone(&now) => {}
                other => {
                    self.client.remove_attribute(key).await?;
                    other?;
                    self.pause().await;
                    continue;
                }
            }
            let mut heir = Said::default();
            for said in dead.into_iter().filter_map(|(_, said)| said) {
                heir.builds.extend(said.builds);
                heir.spent.extend(said.spent);
                heir.window = heir.window.max(said.window);
            }
            heir.spent.sort_by_key(|(_, at)| *at);
            heir.spent.dedup();
            let before = heir.builds.clone();
            let lock = self.begin(key, heir).await?;
            for key in gone {
                self.client.remove_attribute(key).await?;
            }
            return Ok(Attempt::Held(lock, before));
        }
        let text = "somebody who was quicker, again and again".to_owned();
        Ok(Attempt::By(Holder { text, lives: true, known: true, again: self.claim.lease / 3 }))
    }

    /// Who is there: all are dead, each with what it has said; or one that isn't.
    async fn look(&mut self, all: &[(String, i32)]) -> Result<Result<Vec<(i32, Option<Said>)>, Holder>, Error> {
        self.seen.retain(|key, _| all.iter().any(|(_, other)| other == key));
        if all.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let values = self.client.root_attributes().await?;
        let now = self.client.current_time().await?;
        let mut dead = Vec::new();
        for (_, key) in all {
            let value = values.get(key).cloned().unwrap_or_default();
            let since = match self.seen.get(key) {
                Some((before, since)) if *before == value => *since,
                _ => Instant::now(),
            };
            self.seen.insert(*key, (value.clone(), since));
            let said: Option<Said> = serde_json::from_str(&value).ok();
            let seen = Seen { said: said.as_ref(), own: self.claim.lease, now, unchanged: since.elapsed() };
            if !seen.is_dead() {
                return Ok(Err(seen.holder()));
            }
            dead.push((*key, said));
        }
        Ok(Ok(dead))
    }

    /// Two who have made room for each other don't come back at the same moment.
    async fn pause(&self) {
        let mut byte = [0u8; 1];
        let _ = getrandom::fill(&mut byte);
        tokio::time::sleep(Duration::from_millis(50 + 2 * u64::from(byte[0]))).await;
    }

    async fn begin(&self, key: i32, heir: Said) -> Result<Lock, Error> {
        let said = Said {
            who: self.claim.who.clone(),
            file: self.claim.file.clone(),
            lease: self.claim.lease.as_secs().max(1),
            ..heir
        };
        let held = Held {
            client: self.client.clone(),
            key,
            lease: self.claim.lease,
            turn: tokio::sync::Mutex::new(said),
            renewed: Mutex::new(Instant::now()),
            lost: CancellationToken::new(),
        };
        let held = Arc::new(held);
        if !held.beat(|_| ()).await? {
            held.lost.cancel();
        }
        let beating = tokio::spawn(keep(Arc::clone(&held)));
        Ok(Lock { held, beating })
    }
}

/// Removes what is left of a platform's lock that nobody holds: the platform is gone, and what was replaced doesn't matter.
///
/// # Errors
/// vCenter can't tell, or refuses.
pub async fn forget(client: &Client, file: &str) -> Result<(), Error> {
    let claim = Claim { file: file.to_owned(), who: String::new(), lease: Duration::default() };
    let all = client.attributes_like(&claim.prefix()).await?;
    if all.is_empty() {
        return Ok(());
    }
    let values = client.root_attributes().await?;
    let free = |key: &i32| {
        let said = values.get(key).and_then(|value| serde_json::from_str::<Said>(value).ok());
        said.is_some_and(|said| said.free)
    };
    for (_, key) in all.iter().filter(|(_, key)| free(key)) {
        client.remove_attribute(*key).await?;
    }
    Ok(())
}

/// Who watches a platform, by a sign of life that counts still; None: nobody.
///
/// # Errors
/// vCenter can't tell.
pub async fn watched(client: &Client, file: &str) -> Result<Option<Holder>, Error> {
    let claim = Claim { file: file.to_owned(), who: String::new(), lease: Duration::default() };
    let all = client.attributes_like(&claim.prefix()).await?;
    if all.is_empty() {
        return Ok(None);
    }
    let values = client.root_attributes().await?;
    let now = client.current_time().await?;
    let living = |key: &i32| {
        let said: Option<Said> = values.get(key).and_then(|value| serde_json::from_str(value).ok());
        let seen = Seen { said: said.as_ref(), own: Duration::ZERO, now, unchanged: Duration::ZERO };
        seen.lives().then(|| seen.holder())
    };
    Ok(all.iter().find_map(|(_, key)| living(key)))
}

/// What is known of a holder at one moment.
struct Seen<'a> {
    said: Option<&'a Said>,
    /// The lease of whoever looks: for a holder that hasn't said anything yet.
    own: Duration,
    now: OffsetDateTime,
    /// For how long nothing has changed.
    unchanged: Duration,
}

impl Seen<'_> {
    fn lease(&self) -> Duration {
        self.said.map_or(self.own, |said| Duration::from_secs(said.lease.max(1)))
    }

    /// How old its beat is; None: it has none that makes sense.
    fn age(&self) -> Option<Duration> {
        Some(Duration::try_from(self.now - self.said?.at()?).unwrap_or_default())
    }

    fn lives(&self) -> bool {
        !self.is_free() && self.age().is_some_and(|age| age <= self.lease())
    }

    fn is_free(&self) -> bool {
        self.said.is_some_and(|said| said.free)
    }

    fn is_dead(&self) -> bool {
        match self.age() {
            _ if self.is_free() => true,
            // Also one whose beat is of a future that vCenter's clock was set back from.
            Some(_) => self.unchanged >= self.lease() * 3 / 2 || !self.lives() && self.unchanged >= self.lease() / 2,
            None => self.unchanged >= self.lease(),
        }
    }

    fn holder(&self) -> Holder {
        let lease = self.lease();
        let text = match self.said {
            None => "somebody who hasn't said who it is".to_owned(),
            Some(said) => {
                let age = self.age().unwrap_or_default();
                format!(
                    "{}, since {}; its last sign of life is {} old",
                    said.who,
                    said.since,
                    text::limit(Duration::from_secs(age.as_secs()))
                )
            }
        };
        // A dead one is watched until it is certain; a living one's next beat is waited for; one that has only just come has
        // said who it is in a moment, or is gone again.
        let again = match (self.said.is_some(), self.lives()) {
            (false, _) => JUST.min(lease / 3),
            (true, true) => lease / 3,
            (true, false) => (lease / 2).saturating_sub(self.unchanged),
        };
        let again = again.max(Duration::from_millis(100));
        Holder { text, lives: self.lives(), known: self.said.is_some(), again }
    }
}

struct Held {
    client: Client,
    key: i32,
    lease: Duration,
    /// What is said; one says at a time.
    turn: tokio::sync::Mutex<Said>,
    renewed: Mutex<Instant>,
    lost: CancellationToken,
}

impl Held {
    /// Says it anew, with a fresh beat; false: the lock isn't ours any more.
    async fn beat(&self, change: impl FnOnce(&mut Said)) -> Result<bool, Error> {
        let mut said = self.turn.lock().await;
        // The beat counts from before it was asked for: it may arrive late, and is never younger than it says.
        let asked = Instant::now();
        let now = self.client.current_time().await?;
        said.beat = text(now);
        change(&mut said);
        if said.since.is_empty() {
            said.since = text(now.replace_nanosecond(0).unwrap_or(now));
        }
        let value = serde_json::to_string(&*said).unwrap_or_default();
        let ours = self.client.set_root_attribute(self.key, &value).await?;
        if ours {
            *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        }
        Ok(ours)
    }

    fn since_renewed(&self) -> Duration {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

fn text(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}

/// Beats until the lock is lost or given back.
async fn keep(held: Arc<Held>) {
    let (every, most) = (held.lease / 3, held.lease * 2 / 3);
    loop {
        tokio::time::sleep(every.saturating_sub(held.since_renewed()).max(every / 8)).await;
        let left = most.saturating_sub(held.since_renewed());
        match tokio::time::timeout(left, held.beat(|_| ())).await {
            Ok(Ok(true)) => {}
            // Taken away, or there is no saying so in time.
            Ok(Ok(false)) | Err(_) => break,
            Ok(Err(_)) if held.since_renewed() < most => {}
            Ok(Err(_)) => break,
        }
    }
    held.lost.cancel();
}

/// The lock, held. Dropped without [`Lock::release`] it ends by itself when its lease is over.
pub struct Lock {
    held: Arc<Held>,
    beating: tokio::task::JoinHandle<()>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

impl Lock {
    /// Cancelled when it isn't ours any more.
    pub fn lost(&self) -> &CancellationToken {
        &self.held.lost
    }

    /// Says that a build begins that may be left half-made, and that replaces machines, which counts for so long; false:
    /// the lock is lost, and it must not begin.
    ///
    /// # Errors
    /// vCenter can't be told.
    pub async fn begins<'a>(
        &self,
        build: &str,
        replaced: impl Iterator<Item = &'a String>,
        window: Duration,
    ) -> Result<bool, Error> {
        self.held
            .beat(|said| {
                said.builds.push(build.to_owned());
                let over = said.builds.len().saturating_sub(BUILDS);
                said.builds.drain(..over);
                let now = said.at().map_or(0, OffsetDateTime::unix_timestamp);
                said.spent.extend(replaced.map(|label| (label.clone(), now)));
                said.window = window.as_secs();
                said.forget();
            })
            .await
    }

    /// Which machines were replaced by whoever held it before, and how long that is ago.
    pub async fn spent(&self) -> Vec<(String, Duration)> {
        let said = self.held.turn.lock().await;
        let now = said.at().map_or(0, OffsetDateTime::unix_timestamp);
        // What is of the future, by a clock that was set back, is of now.
        let age = |at: i64| Duration::from_secs(u64::try_from(now.saturating_sub(at)).unwrap_or_default());
        said.spent.iter().map(|(label, at)| (label.clone(), age(*at))).collect()
    }

    /// A build has left nothing half-made: said with the next beat.
    pub async fn over(&self, build: &str) {
        self.held.turn.lock().await.builds.retain(|b| b != build);
    }

    /// Gives it back. What was replaced is remembered while it counts.
    ///
    /// # Errors
    /// It can't be taken away, and ends by itself.
    pub async fn release(self) -> Result<(), Error> {
        self.beating.abort();
        if self.held.lost.is_cancelled() {
            return Ok(());
        }
        let counts = {
            let mut said = self.held.turn.lock().await;
            said.forget();
            !said.spent.is_empty()
        };
        match counts {
            true => self.held.beat(|said| (said.free, said.builds) = (true, Vec::new())).await.map(drop),
            false => self.held.client.remove_attribute(self.held.key).await.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_dead_when_its_beat_is_old_and_stays_so() {
        let now = OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let second = Duration::from_secs;
        let said = |age: i64| Said { beat: text(now - time::Duration::seconds(age)), lease: 60, ..Said::default() };
        let dead = |said: Option<&Said>, unchanged: u64| {
            Seen { said, own: second(30), now, unchanged: second(unchanged) }.is_dead()
        };
        assert!(!dead(Some(&said(59)), 59));
        // By vCenter's clock only: it may have jumped.
        assert!(!dead(Some(&said(3600)), 29));
        assert!(dead(Some(&said(61)), 30));
        // Of the future: vCenter's clock was set back.
        assert!(!dead(Some(&said(-3600)), 89));
        assert!(dead(Some(&said(-3600)), 90));
        // Given back: for what was replaced only.
        let free = Said { free: true, ..said(0) };
        assert!(dead(Some(&free), 0));
        // Who says nothing counts for as long as we would.
        assert!(!dead(None, 29));
        assert!(dead(None, 30));
    }

    #[test]
    fn one_that_has_only_just_come_is_looked_at_again_soon() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let lease = Duration::from_secs(90);
        let new = Seen { said: None, own: lease, now, unchanged: Duration::ZERO }.holder();
        assert!(!new.known && new.again == JUST, "{new:?}");
        let said = Said { beat: now.format(&Rfc3339).unwrap(), lease: 90, ..Said::default() };
        let living = Seen { said: Some(&said), own: lease, now, unchanged: Duration::ZERO }.holder();
        assert!(living.known && living.lives && living.again == lease / 3, "{living:?}");
    }

    #[test]
    fn a_locks_name_is_the_platforms_alone() {
        let name = |file: &str| Claim { file: file.to_owned(), who: String::new(), lease: second() }.prefix();
        fn second() -> Duration {
            Duration::from_secs(1)
        }
        assert!(name("shop/VMWfile").starts_with("vmwbuild.up.shop-VMWfile."));
        assert_ne!(name("shop/VMWfile"), name("shop-VMWfile"));
        assert!(name(&"x".repeat(500)).len() <= 75);
    }
}
