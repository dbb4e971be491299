//! Tags, their categories, and what they are attached to.

use hyper::Method as Verb;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Call, Refusal, value};
use crate::sandbox::inventory::Inventory;
use crate::sandbox::server::Server;
use crate::vsphere::wire::Moref;

/// All tags.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Tags {
    categories: Vec<Category>,
    tags: Vec<Tag>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Category {
    #[serde(default)]
    id: String,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    cardinality: String,
    #[serde(default)]
    associable_types: Vec<String>,
    #[serde(default)]
    used_by: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tag {
    #[serde(default)]
    id: String,
    name: String,
    #[serde(default)]
    description: String,
    category_id: String,
    #[serde(default)]
    used_by: Vec<String>,
    /// What has it: kept, and not shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attached: Vec<Object>,
}

/// An object of the inventory as this API names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Object {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

fn new_id(kind: &str) -> String {
    format!("urn:vmomi:InventoryService{kind}:{}:GLOBAL", crate::sandbox::random_uuid())
}

impl Tags {
    /// An object is gone, and its tags with it.
    pub fn forget(&mut self, object: &Moref) {
        for tag in &mut self.tags {
            tag.attached.retain(|o| o.kind != object.kind || o.id != object.value);
        }
    }

    fn category(&mut self, id: &str) -> Answer<&mut Category> {
        self.categories.iter_mut().find(|c| c.id == id).ok_or_else(|| Refusal::not_found("such category"))
    }

    fn tag(&mut self, id: &str) -> Answer<&mut Tag> {
        self.tags.iter_mut().find(|t| t.id == id).ok_or_else(|| Refusal::not_found("such tag"))
    }

    fn attach(&mut self, inventory: &Inventory, id: &str, object: &Object) -> Answer<()> {
        let category = self.tag(id)?.category_id.clone();
        let other = self.tags.iter().any(|t| t.category_id == category && t.id != id && t.attached.contains(object));
        let category = self.category(&category)?;
        if inventory.get(&Moref::new(&object.kind, &object.id)).is_none() {
            return Err(Refusal::not_found("such object"));
        }
        let fits = category.associable_types.is_empty() || category.associable_types.contains(&object.kind);
        if !fits || (category.cardinality == "SINGLE" && other) {
            let why = if fits { "has a tag of this category" } else { "can't have tags of this category" };
            return Err(Refusal::invalid(format!("the object {why}")));
        }
        let tag = self.tag(id)?;
        if !tag.attached.contains(object) {
            tag.attached.push(object.clone());
        }
        Ok(())
    }

    fn detach(&mut self, id: &str, object: &Object) -> Answer<()> {
        self.tag(id)?.attached.retain(|o| o != object);
        Ok(())
    }
}

/// Answers a call.
pub(super) fn answer(server: &Server, call: &Call, path: &str, id: Option<&str>) -> Answer<Value> {
    let mut state = server.lock();
    let state = &mut *state;
    let (tags, inventory) = (&mut state.tags, &mut state.inventory);
    let noun = path.rsplit('/').next().unwrap_or_default();
    let done = match (noun, id) {
        ("category", None) => categories(tags, call),
        ("category", Some(id)) => category(tags, call, id),
        ("tag", None) => all(tags, call),
        ("tag", Some(id)) => tag(tags, call, id),
        ("tag-association", None) => of_objects(tags, inventory, call),
        ("tag-association", Some(id)) => of_tag(tags, inventory, call, id),
        _ => Err(Refusal::not_found("such service")),
    };
    if call.verb != Verb::GET {
        // So that what is kept is written.
        inventory.touch(&Inventory::root());
    }
    done
}

fn categories(tags: &mut Tags, call: &Call) -> Answer<Value> {
    if call.verb == Verb::GET {
        return value(tags.categories.iter().map(|c| &c.id).collect::<Vec<_>>());
    }
    let mut new: Category = call.read("create_spec")?;
    if new.name.is_empty() {
        return Err(Refusal::invalid("a category needs a name"));
    }
    if tags.categories.iter().any(|c| c.name == new.name) {
        return Err(Refusal::exists("a category of that name"));
    }
    new.id = new_id("Category");
    let id = value(&new.id);
    tags.categories.push(new);
    id
}

fn category(tags: &mut Tags, call: &Call, id: &str) -> Answer<Value> {
    tags.category(id)?;
    if call.verb == Verb::DELETE {
        tags.categories.retain(|c| c.id != id);
        tags.tags.retain(|t| t.category_id != id);
        return Ok(Value::Null);
    }
    value(tags.category(id)?)
}

fn all(tags: &mut Tags, call: &Call) -> Answer<Value> {
    if call.verb == Verb::GET {
        return value(tags.tags.iter().map(|t| &t.id).collect::<Vec<_>>());
    }
    let mut new: Tag = call.read("create_spec")?;
    tags.category(&new.category_id)?;
    if new.name.is_empty() {
        return Err(Refusal::invalid("a tag needs a name"));
    }
    if tags.tags.iter().any(|t| t.name == new.name && t.category_id == new.category_id) {
        return Err(Refusal::exists("a tag of that name"));
    }
    (new.id, new.attached) = (new_id("Tag"), Vec::new());
    let id = value(&new.id);
    tags.tags.push(new);
    id
}

fn tag(tags: &mut Tags, call: &Call, id: &str) -> Answer<Value> {
    if call.action.as_deref() == Some("list-tags-for-category") {
        tags.category(id)?;
        return value(tags.tags.iter().filter(|t| t.category_id == id).map(|t| &t.id).collect::<Vec<_>>());
    }
    let tag = tags.tag(id)?;
    if call.verb == Verb::DELETE {
        tags.tags.retain(|t| t.id != id);
        return Ok(Value::Null);
    }
    value(Tag { attached: Vec::new(), ..tag.clone() })
}

fn of_objects(tags: &mut Tags, inventory: &Inventory, call: &Call) -> Answer<Value> {
    let of = |tags: &Tags, object: &Object| {
        let ids = tags.tags.iter().filter(|t| t.attached.contains(object)).map(|t| t.id.clone());
        ids.collect::<Vec<_>>()
    };
    match call.action.as_deref().unwrap_or_default() {
        "list-attached-tags" => value(of(tags, &call.read("object_id")?)),
        "list-attached-tags-on-objects" => {
            let objects: Vec<Object> = call.read("object_ids")?;
            let list = objects.iter().map(|object| json!({ "object_id": object, "tag_ids": of(tags, object) }));
            value(list.collect::<Vec<_>>())
        }
        "list-attached-objects-on-tags" => {
            let ids: Vec<String> = call.read("tag_ids")?;
            let one = |id: &String| tags.tags.iter().find(|t| t.id == *id);
            let list = ids.iter().filter_map(one).map(|t| json!({ "tag_id": t.id, "object_ids": t.attached }));
            value(list.collect::<Vec<_>>())
        }
        action @ ("attach-multiple-tags-to-object" | "detach-multiple-tags-from-object") => {
            let (object, ids): (Object, Vec<String>) = (call.read("object_id")?, call.read("tag_ids")?);
            let errors = ids.iter().filter_map(|id| {
                let done = match action {
                    "attach-multiple-tags-to-object" => tags.attach(inventory, id, &object),
                    _ => tags.detach(id, &object),
                };
                let said = |r: Refusal| json!({ "id": r.kind, "default_message": r.message, "args": [] });
                done.err().map(said)
            });
            let errors: Vec<Value> = errors.collect();
            value(json!({ "success": errors.is_empty(), "error_messages": errors }))
        }
        _ => Err(Refusal::not_found("such action")),
    }
}

fn of_tag(tags: &mut Tags, inventory: &Inventory, call: &Call, id: &str) -> Answer<Value> {
    match call.action.as_deref().unwrap_or_default() {
        "attach" => tags.attach(inventory, id, &call.read("object_id")?).map(|()| Value::Null),
        "detach" => tags.detach(id, &call.read("object_id")?).map(|()| Value::Null),
        "list-attached-objects" => value(&tags.tag(id)?.attached),
        action @ ("attach-tag-to-multiple-objects" | "detach-tag-from-multiple-objects") => {
            let objects: Vec<Object> = call.read("object_ids")?;
            for object in &objects {
                match action {
                    "attach-tag-to-multiple-objects" => tags.attach(inventory, id, object)?,
                    _ => tags.detach(id, object)?,
                }
            }
            value(json!({ "success": true, "error_messages": [] }))
        }
        _ => Err(Refusal::not_found("such action")),
    }
}
