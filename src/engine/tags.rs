//! The tags of a build: looked up before anything is changed.

use crate::plan::{self, Found, Tags, Wishes};
use crate::sema::program::Program;
use crate::vsphere::client::{Client, Error};

/// Asks vCenter for the tags that a program names. What is wrong with them is added to what was found.
///
/// # Errors
/// vCenter can't tell.
pub async fn look_up(client: &Client, program: &Program, wishes: Wishes<'_>, found: &mut Found) -> Result<Tags, Error> {
    let categories = plan::categories(program);
    if categories.is_empty() {
        return Ok(Tags::default());
    }
    let tagging = client.tags(&categories).await?;
    let (tags, problems) = plan::tags(program, &tagging, wishes);
    found.problems.extend(problems);
    found.problems.sort_by_key(|p| p.machine);
    for tag in &tags.lacking {
        let has = |m: &&crate::sema::program::Machine| m.hardware.tags.iter().any(|t| t.to_string() == tag.to_string());
        if let Some(machine) = program.machines.iter().find(has) {
            found.notes.push((machine.id, format!("the sandbox has no tag `{tag}`: it is made")));
        }
    }
    Ok(tags)
}

/// Makes the tags that a sandbox lacks.
pub(super) async fn make(client: &Client, tags: &mut Tags) -> Result<(), Error> {
    for tag in std::mem::take(&mut tags.lacking) {
        let known = client.tags(&[&tag.category]).await?;
        let category = match known.category(&tag.category) {
            Ok(category) => category.id.clone(),
            Err(_) => client.create_category(&tag.category).await?,
        };
        let id = client.create_tag(&category, &tag.name).await?;
        tags.learn(&tag, id);
    }
    Ok(())
}
