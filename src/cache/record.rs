//! What is remembered of a machine that was made. It stands in the machine's own extraConfig: whoever finds the machine
//! finds it, from wherever he builds, and it goes when the machine goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, SHORT};

/// Under what it stands in extraConfig.
pub const MARK: &str = "vmwbuild.cache";

/// What the names of machines that hold checkpoints begin with.
pub const CHECKPOINT_PREFIX: &str = "vmwbuild-checkpoint-";

/// The form that this version writes, and the only one that it reads.
const FORM: u32 = 1;

/// More isn't put into a machine's configuration.
const LARGEST: usize = 24 * 1024;

/// What is remembered of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The form.
    pub v: u32,
    /// The digest of what has made it.
    pub digest: String,
    /// Its own reference: extraConfig is copied with a clone, which isn't what was built. None: it was made as a clone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm: Option<String>,
    /// The build that has made it.
    pub build: String,
    /// When it was finished (RFC 3339, UTC).
    pub made: String,
    /// The machine's label in its VMWfile.
    pub machine: String,
    /// Made by `--no-cache`: what was made from its predecessor isn't made from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
    /// Short digests before its first step and after each: they tell where another recipe parts from this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// Which user's key the secrets were digested with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// By the secret's name: its digest under that key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// The builds of the machines whose values went into it, and of what it was made from, by their labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub needs: BTreeMap<String, String>,
    /// The tests that it has passed (`OUTPUT --after`), by their stages' labels: what they were then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub passed: BTreeMap<String, String>,
    /// The values of its keys that are no secrets; None: one that stayed unset.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, Option<String>>,
    /// Attributes that only its guest knows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attrs: BTreeMap<String, String>,
    /// For a machine that holds a checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
}

/// A place in a machine's sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// How many steps are done, the CHECKPOINT among them.
    pub steps: u32,
    /// `CHECKPOINT name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The snapshot's reference.
    pub snapshot: String,
}

impl Record {
    /// As it is written; None: too large even without what can be left out.
    pub fn to_text(&self) -> Option<String> {
        let mut record = Record { v: FORM, ..self.clone() };
        let text = |record: &Record| serde_json::to_string(record).ok().filter(|text| text.len() <= LARGEST);
        text(&record).or_else(|| {
            record.steps.clear();
            text(&record).or_else(|| {
                record.keys.clear();
                text(&record)
            })
        })
    }

    /// From what stands there. None: it isn't ours, is of another form, or was tampered with so that it can't be read.
    pub fn of(text: &str) -> Option<Record> {
        if text.len() > LARGEST {
            return None;
        }
        serde_json::from_str::<Record>(text).ok().filter(|record| record.v == FORM)
    }

    /// Where a recipe parts from that of this machine: how many of `steps` (before the first step, and after each) are
    /// the same. None: it isn't remembered.
    pub fn common(&self, steps: &[Option<Digest>]) -> Option<usize> {
        if self.steps.is_empty() {
            return None;
        }
        let same = |(then, now): &(&String, &Option<Digest>)| now.is_some_and(|d| d.short() == **then);
        Some(self.steps.iter().zip(steps).take_while(same).count())
    }
}

/// The name of a machine that holds a checkpoint: the digest, to be found by, and the build, to be unique.
pub fn checkpoint_name(digest: &Digest, build: &str) -> String {
    // vSphere's names have at most 80 characters.
    let build: String = build.chars().take(80 - CHECKPOINT_PREFIX.len() - SHORT - 1).collect();
    format!("{CHECKPOINT_PREFIX}{}-{build}", digest.short())
}
