//! TAG: what the file's tags are in vCenter, told before anything is changed.

use std::collections::HashMap;

use super::resolve::{Failed, Problem, failed};
use super::{codes, wishes::Wishes};
use crate::diagnostic::Diagnostic;
use crate::sema::program::{Machine, Program, Tag};
use crate::vsphere::client::{Class, Tagging};

/// The tags that a build attaches.
#[derive(Clone, Debug, Default)]
pub struct Tags {
    /// Their ids in vCenter, by `category/tag`.
    ids: HashMap<String, String>,
    /// Those that the sandbox has still to be given.
    pub lacking: Vec<Tag>,
}

impl Tags {
    /// What a tag is called in the API.
    pub fn id(&self, tag: &Tag) -> Option<String> {
        self.ids.get(&tag.to_string()).cloned()
    }

    /// One that was made meanwhile.
    pub fn learn(&mut self, tag: &Tag, id: String) {
        self.ids.insert(tag.to_string(), id);
    }
}

/// The categories of a program's tags: what vCenter is to be asked for.
pub fn categories(program: &Program) -> Vec<&str> {
    let mut all: Vec<&str> =
        program.machines.iter().flat_map(|m| &m.hardware.tags).map(|tag| tag.category.as_str()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Looks the tags up; what is wrong with them.
pub fn tags(program: &Program, tagging: &Tagging, wishes: Wishes<'_>) -> (Tags, Vec<Problem>) {
    let mut tags = Tags::default();
    let mut problems: Vec<Problem> = Vec::new();
    for machine in &program.machines {
        if let Err((class, diagnostic)) = of(machine, tagging, wishes, &mut tags) {
            let same = |p: &Problem| p.diagnostic.message == diagnostic.message;
            if !problems.iter().any(same) {
                problems.push(Problem { class, diagnostic, machine: machine.id });
            }
        }
    }
    (tags, problems)
}

fn of(machine: &Machine, tagging: &Tagging, wishes: Wishes<'_>, tags: &mut Tags) -> Result<(), Failed> {
    let mut single: Vec<&Tag> = Vec::new();
    for tag in &machine.hardware.tags {
        let (category, found) = match tagging.tag(&tag.category, &tag.name) {
            Ok(found) => found,
            Err(_) if wishes.sandbox => {
                if !tags.lacking.iter().any(|other| other.to_string() == tag.to_string()) {
                    tags.lacking.push(tag.clone());
                }
                continue;
            }
            Err(error) => return Err(failed(&error, tag.span)),
        };
        if !category.is_for_machines() {
            let text = format!("the tags of the category `{}` aren't for virtual machines", category.name);
            let diagnostic = Diagnostic::at(&codes::TAG_MISFIT, tag.span, text);
            let help = "choose another category, or have the category allow virtual machines in vCenter";
            return Err((Class::Operation, diagnostic.help(help)));
        }
        if category.is_single() {
            if let Some(first) = single.iter().find(|other| other.category == tag.category) {
                let text = format!("a machine has one tag of the category `{}` at most", category.name);
                let diagnostic = Diagnostic::new(&codes::TAG_MISFIT, text).primary(tag.span, "a second one");
                return Err((Class::Operation, diagnostic.label(first.span, "the first one").help("keep one of them")));
            }
            single.push(tag);
        }
        tags.learn(tag, found.id.clone());
    }
    Ok(())
}
