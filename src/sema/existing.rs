//! `ON selector`: stages whose machines exist. How many there are only vCenter knows: the check says what is to be looked
//! for, and checks anew with what was found. Without that one machine stands for all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;
use crate::syntax::Keyword;
use crate::syntax::ast::{Body, Instruction, Text, Type};

use super::check::{Checker, LoopValue};
use super::codes;
use super::names_scope::Place;
use super::program::{MachineId, Origin, Tag};
use super::text::{Known, Secrets, Usage, check_static_text};
use super::value::Value;

const SELECTOR: Usage<'static> =
    Usage { what: "the selector of an ON", secrets: Secrets::Refused("it names machines in vCenter") };

/// What an ON looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// How.
    pub by: By,
    /// The pattern, or the folder's name or path.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// How machines are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A pattern of `*` and `?` for names; for paths where there is a `/` in it.
    Name,
    /// A folder, with those below it.
    Folder,
    /// A tag, as `category/tag`.
    Tag,
}

impl Selector {
    /// What tells it from others.
    pub fn key(&self) -> String {
        match self.by {
            By::Name => format!("name {}", self.text),
            By::Folder => format!("folder {}", self.text),
            By::Tag => format!("tag {}", self.text),
        }
    }
}

/// A machine that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Existing {
    /// Its name; its path where several that were found have that name.
    pub label: String,
    /// Its name.
    pub name: String,
    /// Its inventory path.
    pub path: String,
    /// Its reference's value.
    pub moref: String,
}

/// What was found, by [`Selector::key`].
pub type Selected = BTreeMap<String, Vec<Existing>>;

impl Checker<'_> {
    /// What the ON of a stage looks for. None: it has an error, or hangs on what has no value.
    fn selector(&self, words: &[Text], span: Span, problems: &mut Problems) -> Option<Selector> {
        let word = |text: &Text| text.literal().map(|t| t.to_ascii_uppercase());
        let place = Place::Global { args: usize::MAX, what: "the selector of an ON" };
        let (by, text) = match words {
            [one] => (By::Name, one),
            [first, second] if word(first).as_deref() == Some("FOLDER") => (By::Folder, second),
            [first, second] if word(first).as_deref() == Some("TAG") => (By::Tag, second),
            _ => {
                problems.push(
                    Diagnostic::at(&codes::BAD_ARGUMENT, span, "this doesn't say which machines are meant")
                        .help("write `ON 'web*'` for names, `ON '/DC/vm/web/*'` for paths, `ON FOLDER web`, or `ON TAG environment/test`"),
                );
                return None;
            }
        };
        let Known::Value(value) = check_static_text(text, SELECTOR, &self.view(place), problems)? else { return None };
        if value.trim().is_empty() {
            problems.push(
                Diagnostic::at(&codes::BAD_ARGUMENT, text.span, "the selector of this ON is empty")
                    .help("`ON '*'` means every machine"),
            );
            return None;
        }
        if by == By::Tag && Tag::parse(&value, text.span).is_none() {
            problems.push(
                Diagnostic::at(
                    &codes::BAD_ARGUMENT,
                    text.span,
                    format!("`{value}` is no tag: it is written `category/tag`"),
                )
                .help("as in `ON TAG environment/test`"),
            );
            return None;
        }
        Some(Selector { by, text: value, span })
    }

    /// The machines of an ON, as the values of a FOR would be.
    pub(super) fn existing_values(&mut self, index: usize, words: &[Text], problems: &mut Problems) -> Vec<LoopValue> {
        let Some(stage) = self.stages.get(index) else { return vec![] };
        let (span, live) = (stage.from.span, stage.live);
        let Some(selector) = self.selector(words, span, problems) else {
            if let Some(stage) = self.stages.get_mut(index) {
                stage.broken = true;
            }
            return vec![LoopValue::Broken];
        };
        let value = |label: &str| LoopValue::Value(Value::Str(label.to_owned()), Type::String);
        let found = self.inputs.existing.as_ref().and_then(|all| all.get(&selector.key()));
        let values = match found {
            Some(found) => found.iter().map(|one| value(&one.label)).collect(),
            // One that stands for all.
            None => vec![value(&selector.text)],
        };
        if live {
            self.selectors.push(selector);
        }
        values
    }

    /// What a machine of an ON is.
    pub(super) fn existing(&self, id: MachineId) -> Option<Origin> {
        let machine = self.machine(id)?;
        let stage = self.stages.get(machine.stage)?;
        let Body::On { selector, .. } = &stage.from.body else { return None };
        let span = stage.from.span;
        let selector = self.selector(selector, span, &mut Problems::new())?;
        let label = machine.value.label();
        let found = self.inputs.existing.as_ref().and_then(|all| all.get(&selector.key()));
        let found = found.and_then(|all| all.iter().find(|one| one.label == label));
        Some(match found {
            Some(one) => Origin::Existing { path: one.path.clone(), moref: Some(one.moref.clone()), span },
            None => Origin::Existing { path: selector.text, moref: None, span },
        })
    }

    /// The name of a machine of an ON.
    pub(super) fn existing_name(&self, id: MachineId) -> Option<String> {
        match self.existing(id)? {
            Origin::Existing { path, .. } => Some(path.rsplit('/').next().unwrap_or_default().to_owned()),
            Origin::Machine(_) | Origin::Inventory { .. } => None,
        }
    }
}

/// Whether an instruction says something of machines that are made.
pub(super) fn is_of_made(keyword: Keyword) -> bool {
    use Keyword as K;
    match keyword {
        K::Output | K::Cpu | K::Memory | K::Disk | K::Nic | K::Cdrom | K::Hardware | K::Config | K::Annotation => true,
        K::Datacenter | K::Cluster | K::Host | K::Pool | K::Datastore | K::Folder | K::Network => true,
        K::Address | K::Hostname | K::Checkpoint | K::Seal | K::Healthcheck | K::OnRemove => true,
        K::Label | K::Tag => true,
        K::Arg | K::Secret | K::Include | K::From | K::On | K::Serial => false,
        K::Login | K::User | K::Workdir | K::Env | K::Shell => false,
        K::Run | K::Key | K::Copy | K::Fetch | K::Reboot | K::Wait | K::Note | K::Snapshot | K::OnFail => false,
    }
}

/// What of the lines of a stage is at odds with whether its machines exist.
pub(super) fn fits(from: &Instruction, instruction: &Instruction, problems: &mut Problems) {
    use Keyword as K;
    let (on, keyword) = (from.keyword.node == K::On, instruction.keyword.node);
    let made = is_of_made(keyword);
    if on && made {
        problems.push(
            Diagnostic::new(
                &codes::NOT_ON_EXISTING,
                format!("{keyword} is for machines that are made, and those of an ON exist"),
            )
            .primary(instruction.keyword.span, "has no meaning here")
            .label(from.span, "the machines of this stage are there already")
            .help("take the line out: the steps of an ON run on machines as they are"),
        );
    }
    if !on && keyword == K::Serial {
        problems.push(
            Diagnostic::new(&codes::NOT_ON_EXISTING, "SERIAL is for the machines of an ON")
                .primary(instruction.keyword.span, "this stage makes its machines")
                .help("`--serial` on a step takes the replicas one at a time; `--parallel` bounds the whole build"),
        );
    }
}
