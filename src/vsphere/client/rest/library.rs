//! Content libraries: items to begin with, and items that are left.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Ask;
use super::tags::missing;
use crate::vsphere::client::endpoint::Deadline;
use crate::vsphere::client::error::{Error, Result};
use crate::vsphere::client::placement::Placement;
use crate::vsphere::client::session::Client;
use crate::vsphere::wire::Moref;

const LIBRARY: &str = "/com/vmware/content/library";
const LOCAL: &str = "/com/vmware/content/local-library";
const ITEM: &str = "/com/vmware/content/library/item";
const OVF: &str = "/com/vmware/vcenter/ovf/library-item";
const TEMPLATE: &str = "/vcenter/vm-template/library-items";

/// The types of what an OVF lets one choose and set.
const OPTION: &str = "DeploymentOptionParams";
const PROPERTIES: &str = "PropertyParams";

/// A content library.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Library {
    /// What it is called in the API.
    pub id: String,
    /// What people call it.
    pub name: String,
    #[serde(default, rename = "type")]
    kind: String,
}

impl Library {
    /// Whether it takes its items from another one, so that none can be left in it.
    pub fn is_subscribed(&self) -> bool {
        self.kind == "SUBSCRIBED"
    }
}

/// An item of a content library.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct LibraryItem {
    /// What it is called in the API.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `ovf`, `vm-template` and others.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Changes with its content.
    #[serde(default)]
    pub content_version: String,
    /// A text for people.
    #[serde(default)]
    pub description: Option<String>,
    /// Of a VM template: the template in the inventory.
    #[serde(default, skip_deserializing)]
    pub template: Option<Moref>,
}

impl LibraryItem {
    /// Whether it is a template of the inventory, and no OVF.
    pub fn is_template(&self) -> bool {
        self.kind == "vm-template"
    }
}

/// A library item to be.
#[derive(Clone, Copy, Debug)]
pub struct NewItem<'a> {
    /// Where it is left.
    pub library: &'a Library,
    /// What it is called.
    pub name: &'a str,
    /// A text for people.
    pub about: &'a str,
}

/// What an OVF item lets one choose and set, as far as the server tells.
#[derive(Clone, Debug, Default)]
pub struct OvfChoices {
    /// Its configurations; None: nothing is told of them.
    pub configurations: Option<Vec<String>>,
    /// What may be set; None: nothing is told of it.
    pub properties: Option<Vec<ItemProperty>>,
}

/// Something that whoever deploys an OVF item may set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ItemProperty {
    /// What tells it from others of its id, where that is needed.
    pub class_id: Option<String>,
    /// What it is called within its class.
    pub id: String,
    /// See `class_id`.
    pub instance_id: Option<String>,
    /// `string(1..)`, `boolean`, `int(0..65535)`, `ip` and others.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Whether it may stay without a value.
    pub ui_optional: Option<bool>,
    /// What it is without.
    pub value: Option<String>,
}

impl ItemProperty {
    /// With its class and instance, as in a descriptor: `class.id.instance`.
    pub fn key(&self) -> String {
        let parts = [self.class_id.as_deref(), Some(self.id.as_str()), self.instance_id.as_deref()];
        parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
    }
}

/// What is chosen and set where an OVF item is deployed.
#[derive(Clone, Debug, Default)]
pub struct OvfChosen {
    /// Whether its licences are accepted.
    pub accepts: bool,
    /// Which configuration; None: its default.
    pub configuration: Option<String>,
    /// What is set.
    pub properties: Vec<(ItemProperty, String)>,
}

impl OvfChosen {
    /// `additional_parameters`; none where nothing is chosen.
    fn parameters(&self) -> Option<Vec<Value>> {
        let option = self.configuration.iter().map(|key| {
            json!({ "@class": "com.vmware.vcenter.ovf.deployment_option_params", "type": OPTION, "selected_key": key })
        });
        let set = self.properties.iter().map(|(property, value)| {
            let part = |part: &Option<String>| part.clone().filter(|part| !part.is_empty());
            without_nulls(json!({
                "id": property.id, "value": value,
                "class_id": part(&property.class_id), "instance_id": part(&property.instance_id),
            }))
        });
        let set: Vec<Value> = set.collect();
        let set = (!set.is_empty()).then(
            || json!({ "@class": "com.vmware.vcenter.ovf.property_params", "type": PROPERTIES, "properties": set }),
        );
        let all: Vec<Value> = option.chain(set).collect();
        (!all.is_empty()).then_some(all)
    }
}

/// What is known of libraries and items that somebody asked for.
#[derive(Clone, Debug, Default)]
pub struct Libraries {
    libraries: BTreeMap<String, Result<Library>>,
    items: BTreeMap<(String, String), Result<LibraryItem>>,
}

impl Libraries {
    /// A library, by its name.
    ///
    /// # Errors
    /// [`Error::NotFound`] with near names, [`Error::Ambiguous`].
    pub fn library(&self, name: &str) -> Result<&Library> {
        let found = self.libraries.get(name).map(|r| r.as_ref().map_err(Clone::clone));
        found.unwrap_or_else(|| Err(missing("content library", name, name, std::iter::empty())))
    }

    /// An item, by the names of its library and of itself.
    ///
    /// # Errors
    /// [`Error::NotFound`] with near names, [`Error::Ambiguous`].
    pub fn item(&self, library: &str, name: &str) -> Result<&LibraryItem> {
        self.library(library)?;
        let found = self.items.get(&(library.to_owned(), name.to_owned()));
        let found = found.map(|r| r.as_ref().map_err(Clone::clone));
        found.unwrap_or_else(|| Err(missing("library item", name, name, std::iter::empty())))
    }

    /// One that was made meanwhile.
    pub fn learn(&mut self, library: Library) {
        self.libraries.insert(library.name.clone(), Ok(library));
    }

    /// The item of that name is another one, or there is none.
    pub fn take_for(&mut self, library: &str, name: &str, item: Option<LibraryItem>) {
        let shown = format!("{library}/{name}");
        let item = item.ok_or_else(|| missing("library item", &shown, name, std::iter::empty()));
        self.items.insert((library.to_owned(), name.to_owned()), item);
    }
}

/// How an operation on OVF items ends.
#[derive(Default, Deserialize)]
struct Outcome {
    #[serde(default)]
    succeeded: bool,
    #[serde(default)]
    ovf_library_item_id: Option<String>,
    #[serde(default)]
    resource_id: Option<Object>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

impl Outcome {
    fn check(self, what: &str) -> Result<Outcome> {
        if self.succeeded {
            return Ok(self);
        }
        let mut messages = Vec::new();
        self.error.iter().for_each(|error| words(error, &mut messages));
        Err(Error::Rest { what: what.to_owned(), kind: "error".to_owned(), messages })
    }
}

/// All messages in an error, however deep.
fn words(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let text = fields.get("default_message").and_then(Value::as_str).filter(|text| !text.is_empty());
            if let Some(text) = text.filter(|text| !out.iter().any(|other| other == text)) {
                out.push(text.to_owned());
            }
            fields.values().for_each(|field| words(field, out));
        }
        Value::Array(list) => list.iter().for_each(|one| words(one, out)),
        _ => {}
    }
}

impl Client {
    /// Looks up libraries and items in them.
    pub async fn libraries(&self, wanted: &[(String, String)]) -> Result<Libraries> {
        let mut known = Libraries::default();
        for (library, item) in wanted {
            if !known.libraries.contains_key(library) {
                known.libraries.insert(library.clone(), self.library_named(library).await?);
            }
            let Some(Ok(found)) = known.libraries.get(library) else { continue };
            let found = self.item_named(found, item).await?;
            known.items.insert((library.clone(), item.clone()), found);
        }
        Ok(known)
    }

    /// The outer error: the server can't be asked; the inner one: there is none, or several.
    async fn library_named(&self, name: &str) -> Result<Result<Library>> {
        let find = Ask::post("find a content library", LIBRARY, json!({ "spec": { "name": name } }));
        let ids: Vec<String> = self.list(&find.action("find").again()).await?;
        let found: Vec<Library> = self.each(LIBRARY, ids, "read a content library").await?;
        Ok(match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => {
                let ids = self.list(&Ask::get("list the content libraries", LIBRARY)).await?;
                let all: Vec<Library> = self.each(LIBRARY, ids, "read a content library").await?;
                Err(missing("content library", name, name, all.iter().map(|l| l.name.as_str())))
            }
            several => Err(Error::Ambiguous {
                kind: "content library",
                name: name.to_owned(),
                candidates: several.iter().map(|l| l.id.clone()).collect(),
            }),
        })
    }

    async fn item_named(&self, library: &Library, name: &str) -> Result<Result<LibraryItem>> {
        let spec = json!({ "spec": { "library_id": library.id, "name": name } });
        let find = Ask::post("find a library item", ITEM, spec).action("find").again();
        let ids: Vec<String> = self.list(&find).await?;
        let found: Vec<LibraryItem> = self.each(ITEM, ids, "read a library item").await?;
        let shown = format!("{}/{name}", library.name);
        Ok(match found.into_iter().next() {
            Some(mut item) if item.is_template() => {
                item.template = self.template_of(&item).await?;
                Ok(item)
            }
            Some(item) => Ok(item),
            None => {
                let listing = Ask::get("list the items of a library", ITEM).with("library_id", &library.id);
                let ids = self.list(&listing).await?;
                let all: Vec<LibraryItem> = self.each(ITEM, ids, "read a library item").await?;
                Err(missing("library item", &shown, name, all.iter().map(|i| i.name.as_str())))
            }
        })
    }

    /// The template behind an item.
    async fn template_of(&self, item: &LibraryItem) -> Result<Option<Moref>> {
        #[derive(Deserialize)]
        struct Info {
            #[serde(default)]
            vm_template: String,
        }
        let ask = Ask::get("read a VM template's item", format!("{TEMPLATE}/{}", item.id));
        let info: Option<Info> = self.rest(&ask).await?;
        let named = info.map(|info| info.vm_template).filter(|vm| !vm.is_empty());
        Ok(named.map(|vm| Moref::new("VirtualMachine", vm)))
    }

    /// What an OVF item lets one choose and set, where it is to be deployed.
    pub async fn ovf_choices(&self, item: &LibraryItem, place: &Placement) -> Result<OvfChoices> {
        let what = format!("read what the library item `{}` lets one set", item.name);
        let body = without_nulls(json!({ "target": ovf_target(place) }));
        let ask = Ask::post(what, format!("{OVF}/id:{}", item.id), body).action("filter").again();
        Ok(told(self.rest::<Option<Value>>(&ask).await?.unwrap_or_default()))
    }

    /// Makes a virtual machine of an OVF item. It has the item's devices, and is off.
    pub async fn deploy(
        &self,
        item: &LibraryItem,
        name: &str,
        place: &Placement,
        chosen: &OvfChosen,
        deadline: Deadline,
    ) -> Result<Moref> {
        let body = json!({
            "deployment_spec": {
                "name": name, "accept_all_EULA": chosen.accepts, "default_datastore_id": place.datastore.value,
                "storage_profile_id": place.policy, "additional_parameters": chosen.parameters(),
            },
            "target": ovf_target(place),
        });
        let what = format!("deploy the library item `{}`", item.name);
        let ask = Ask::post(&what, format!("{OVF}/id:{}", item.id), without_nulls(body));
        let outcome: Outcome = self.rest(&ask.action("deploy").within(deadline.left())).await?;
        let made = outcome.check(&what)?.resource_id.map(|made| Moref::new(made.kind, made.id));
        match made {
            Some(vm) if vm.kind == "VirtualMachine" => Ok(vm),
            other => {
                let other = other.map_or("nothing".to_owned(), |o| o.to_string());
                let why = format!("it is made of several machines, or none: the server has made {other}");
                Err(Error::Rest { what, kind: "error".to_owned(), messages: vec![why] })
            }
        }
    }

    /// Leaves a machine that is off as an OVF item: a new one of that name in a library, or the next version of one that
    /// is there. The item's id.
    pub async fn capture(
        &self,
        vm: &Moref,
        new: NewItem<'_>,
        old: Option<&LibraryItem>,
        deadline: Deadline,
    ) -> Result<String> {
        let NewItem { library, name, about } = new;
        let target = match old {
            Some(old) => json!({ "library_item_id": old.id }),
            None => json!({ "library_id": library.id }),
        };
        let body = json!({
            "source": { "type": vm.kind, "id": vm.value },
            "target": target,
            "create_spec": { "name": name, "description": about },
        });
        let what = format!("leave `{}/{name}` in the content library", library.name);
        let ask = Ask::post(&what, OVF, body).within(deadline.left());
        let outcome: Option<Outcome> = self.rest(&ask).await?;
        let same = || old.map(|old| old.id.clone());
        // A server that has nothing to say of a new version has made it.
        let Some(outcome) = outcome else { return same().ok_or_else(|| no_id(&what)) };
        outcome.check(&what)?.ovf_library_item_id.or_else(same).ok_or_else(|| no_id(&what))
    }

    /// Leaves a machine that is off as an item that is a VM template: a clone of the machine, which stands in the inventory
    /// by the item's name. The item's id.
    pub async fn capture_template(
        &self,
        vm: &Moref,
        new: NewItem<'_>,
        place: &Placement,
        deadline: Deadline,
    ) -> Result<String> {
        let policy = match &place.policy {
            Some(id) => json!({ "type": "USE_SPECIFIED_POLICY", "policy": id }),
            None => json!({ "type": "USE_SOURCE_POLICY" }),
        };
        let storage = json!({ "datastore": place.datastore.value, "storage_policy": policy });
        let host = place.host.as_ref().map(|host| host.value.as_str());
        let body = json!({
            "spec": {
                "name": new.name, "description": new.about, "library": new.library.id, "source_vm": vm.value,
                "vm_home_storage": storage, "disk_storage": storage,
                "placement": { "folder": place.folder.value, "resource_pool": place.pool.value, "host": host },
            },
        });
        let what = format!("leave `{}/{}` in the content library", new.library.name, new.name);
        let ask = Ask::post(&what, TEMPLATE, without_nulls(body)).within(deadline.left());
        let id: Option<String> = self.rest(&ask).await?;
        id.filter(|id| !id.is_empty()).ok_or_else(|| no_id(&what))
    }

    /// Gives an item another name, and so the template behind it. The name may not be another item's.
    pub async fn rename_item(&self, item: &LibraryItem, name: &str) -> Result<()> {
        let what = format!("rename the library item `{}` to `{name}`", item.name);
        let spec = json!({ "update_spec": { "name": name } });
        self.rest::<Value>(&Ask::patch(what, format!("{ITEM}/id:{}", item.id), spec)).await.map(drop)
    }

    /// The item of that id; none where there is none any more.
    pub async fn library_item_of(&self, id: &str) -> Result<Option<LibraryItem>> {
        let ask = Ask::get("read a library item", format!("{ITEM}/id:{id}"));
        let mut item = match self.rest::<Option<LibraryItem>>(&ask).await {
            Err(Error::Rest { kind, .. }) if kind == "not_found" => return Ok(None),
            other => other?,
        };
        if let Some(item) = item.as_mut().filter(|item| item.is_template()) {
            item.template = self.template_of(item).await?;
        }
        Ok(item)
    }

    /// An item as it is now; none where there is none of that name.
    pub async fn library_item(&self, library: &Library, name: &str) -> Result<Option<LibraryItem>> {
        match self.item_named(library, name).await? {
            Ok(item) => Ok(Some(item)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Removes an item.
    pub async fn delete_item(&self, item: &LibraryItem) -> Result<()> {
        let what = format!("remove the library item `{}`", item.name);
        self.rest::<Value>(&Ask::delete(what, format!("{ITEM}/id:{}", item.id))).await.map(drop)
    }

    /// Makes a library whose items lie on a datastore.
    pub async fn create_library(&self, name: &str, datastore: &Moref) -> Result<Library> {
        let storage = json!([{ "datastore_id": datastore.value, "type": "DATASTORE" }]);
        let spec = json!({ "create_spec": { "name": name, "type": "LOCAL", "storage_backings": storage } });
        let id = self.rest(&Ask::post(format!("make the content library `{name}`"), LOCAL, spec)).await?;
        Ok(Library { id, name: name.to_owned(), kind: "LOCAL".to_owned() })
    }
}

/// Where an OVF item is deployed.
fn ovf_target(place: &Placement) -> Value {
    let host = place.host.as_ref().map(|host| host.value.as_str());
    json!({ "resource_pool_id": place.pool.value, "folder_id": place.folder.value, "host_id": host })
}

/// What a server tells of what may be chosen and set. One that tells nothing at all has left it open; one that tells of other
/// things has said that there is nothing of these.
fn told(summary: Value) -> OvfChoices {
    let Some(Value::Array(all)) = summary.get("additional_params") else { return OvfChoices::default() };
    let list = |kind: &str, field: &str| -> Vec<Value> {
        let of = all.iter().filter(|p| p.get("type").and_then(Value::as_str) == Some(kind));
        of.filter_map(|p| p.get(field)?.as_array()).flatten().cloned().collect()
    };
    let key = |option: &Value| option.get("key").and_then(Value::as_str).map(str::to_owned);
    let properties = list(PROPERTIES, "properties").into_iter().filter_map(|p| serde_json::from_value(p).ok());
    OvfChoices {
        configurations: Some(list(OPTION, "deployment_options").iter().filter_map(key).collect()),
        properties: Some(properties.collect()),
    }
}

fn no_id(what: &str) -> Error {
    let messages = vec!["the server doesn't say which item it has made".to_owned()];
    Error::Rest { what: what.to_owned(), kind: "error".to_owned(), messages }
}

/// A request without what isn't given.
fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, field| !field.is_null());
        fields.values_mut().for_each(|field| *field = without_nulls(field.take()));
    }
    value
}

/// How long a call may take that carries a whole machine's disks.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);
