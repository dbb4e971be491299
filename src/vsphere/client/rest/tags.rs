//! Tags and their categories.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::json;

use super::Ask;
use crate::diagnostic::did_you_mean;
use crate::vsphere::client::error::{Error, Result};
use crate::vsphere::client::session::Client;
use crate::vsphere::wire::Moref;

const CATEGORY: &str = "/com/vmware/cis/tagging/category";
const TAG: &str = "/com/vmware/cis/tagging/tag";
const ASSOCIATION: &str = "/com/vmware/cis/tagging/tag-association";

/// How many are asked for at once: there is no call that tells of several.
const AT_ONCE: usize = 8;
/// How many names are told where none is near.
const FEW: usize = 12;

/// A category of tags.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Category {
    /// What it is called in the API.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `SINGLE`: an object has one tag of it at most.
    #[serde(default)]
    cardinality: String,
    /// The kinds of objects that its tags are for; none: all.
    #[serde(default)]
    associable_types: Vec<String>,
}

impl Category {
    /// Whether an object has one tag of it at most.
    pub fn is_single(&self) -> bool {
        self.cardinality == "SINGLE"
    }

    /// Whether its tags are for virtual machines.
    pub fn is_for_machines(&self) -> bool {
        // Some servers say `urn:vim25:VirtualMachine`.
        let fits = |kind: &String| kind.rsplit(':').next() == Some("VirtualMachine");
        self.associable_types.is_empty() || self.associable_types.iter().any(fits)
    }
}

/// A tag.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Tag {
    /// What it is called in the API.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its category's id.
    pub category_id: String,
}

/// Categories, and the tags of some of them.
#[derive(Clone, Debug, Default)]
pub struct Tagging {
    categories: Vec<Category>,
    tags: Vec<Tag>,
}

impl Tagging {
    /// A category, by its name.
    ///
    /// # Errors
    /// [`Error::NotFound`], with near names.
    pub fn category(&self, name: &str) -> Result<&Category> {
        let names = self.categories.iter().map(|c| c.name.as_str());
        self.categories.iter().find(|c| c.name == name).ok_or_else(|| missing("category of tags", name, name, names))
    }

    /// A tag, by the names of its category and of itself.
    ///
    /// # Errors
    /// [`Error::NotFound`], with near names.
    pub fn tag(&self, category: &str, name: &str) -> Result<(&Category, &Tag)> {
        let category = self.category(category)?;
        let of = || self.tags.iter().filter(|tag| tag.category_id == category.id);
        let found = of().find(|tag| tag.name == name);
        let full = format!("{}/{name}", category.name);
        let tag = found.ok_or_else(|| missing("tag", &full, name, of().map(|tag| tag.name.as_str())))?;
        Ok((category, tag))
    }
}

/// Names that are near; all, where there are few and none is.
pub(in crate::vsphere::client) fn missing<'a>(
    kind: &'static str,
    shown: &str,
    name: &str,
    there: impl Iterator<Item = &'a str>,
) -> Error {
    let mut there: Vec<&str> = there.collect();
    there.sort_unstable();
    let near = match did_you_mean(name, there.iter().copied()) {
        Some(one) => vec![one.to_owned()],
        None => there.iter().take(FEW).map(|&name| name.to_owned()).collect(),
    };
    let more = if near.len() < FEW { 0 } else { there.len() - near.len() };
    Error::NotFound { kind, name: shown.to_owned(), near, more }
}

impl Client {
    /// All categories, and the tags of those that are named.
    pub async fn tags(&self, of: &[&str]) -> Result<Tagging> {
        let ids: Vec<String> = self.list(&Ask::get("list the categories of tags", CATEGORY)).await?;
        let categories: Vec<Category> = self.each(CATEGORY, ids, "read a category of tags").await?;
        let mut tags = Vec::new();
        for category in categories.iter().filter(|c| of.contains(&c.name.as_str())) {
            let path = format!("{TAG}/id:{}", category.id);
            let what = format!("list the tags of `{}`", category.name);
            let listing = Ask::post(what, path, json!({})).action("list-tags-for-category").again();
            let ids: Vec<String> = self.list(&listing).await?;
            tags.extend(self.each::<Tag>(TAG, ids, "read a tag").await?);
        }
        Ok(Tagging { categories, tags })
    }

    /// Reads things one by one, some at once. Those that vanish meanwhile are left out.
    pub(super) async fn each<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        ids: Vec<String>,
        what: &str,
    ) -> Result<Vec<T>> {
        let reads = ids.into_iter().map(|id| async move {
            match self.rest::<T>(&Ask::get(what, format!("{path}/id:{id}"))).await {
                Err(Error::Rest { kind, .. }) if kind == "not_found" => Ok(None),
                other => other.map(Some),
            }
        });
        let all: Vec<Option<T>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(all.into_iter().flatten().collect())
    }

    /// A list, which some servers leave out where it is empty.
    pub(super) async fn list<T: serde::de::DeserializeOwned>(&self, ask: &Ask) -> Result<Vec<T>> {
        self.rest::<Option<Vec<T>>>(ask).await.map(Option::unwrap_or_default)
    }

    /// Gives a virtual machine tags, by their ids. Those that it has already stay.
    pub async fn attach_tags(&self, vm: &Moref, tags: &[String]) -> Result<()> {
        #[derive(Deserialize)]
        struct Outcome {
            success: bool,
            #[serde(default)]
            error_messages: Vec<Said>,
        }
        #[derive(Deserialize)]
        struct Said {
            #[serde(default)]
            default_message: String,
        }
        let body = json!({ "object_id": { "type": vm.kind, "id": vm.value }, "tag_ids": tags });
        let ask = Ask::post("attach the tags", ASSOCIATION, body).action("attach-multiple-tags-to-object").again();
        let outcome: Outcome = self.rest(&ask).await?;
        if outcome.success {
            return Ok(());
        }
        let messages = outcome.error_messages.into_iter().map(|said| said.default_message);
        let messages = messages.filter(|m| !m.is_empty()).collect();
        Err(Error::Rest { what: ask.what, kind: "error".to_owned(), messages })
    }

    /// The objects that have a tag.
    pub async fn tagged(&self, tag: &Tag) -> Result<Vec<Moref>> {
        #[derive(Deserialize)]
        struct Object {
            #[serde(rename = "type")]
            kind: String,
            id: String,
        }
        let path = format!("{ASSOCIATION}/id:{}", tag.id);
        let what = format!("list what has the tag `{}`", tag.name);
        let ask = Ask::post(what, path, json!({})).action("list-attached-objects").again();
        let objects: Vec<Object> = self.list(&ask).await?;
        Ok(objects.into_iter().map(|object| Moref::new(object.kind, object.id)).collect())
    }

    /// Makes a category for virtual machines, whose objects have any number of its tags; its id.
    pub async fn create_category(&self, name: &str) -> Result<String> {
        let spec = json!({ "create_spec": {
            "name": name, "description": "", "cardinality": "MULTIPLE", "associable_types": ["VirtualMachine"],
        } });
        self.rest(&Ask::post(format!("make the category of tags `{name}`"), CATEGORY, spec)).await
    }

    /// Makes a tag; its id.
    pub async fn create_tag(&self, category: &str, name: &str) -> Result<String> {
        let spec = json!({ "create_spec": { "name": name, "description": "", "category_id": category } });
        self.rest(&Ask::post(format!("make the tag `{name}`"), TAG, spec)).await
    }
}
