//! Content libraries: OVF items hold a machine as it was when it was captured, VM templates are in the inventory.

use std::sync::Arc;

use hyper::Method as Verb;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Call, Refusal, value};
use crate::sandbox::inventory::Inventory;
use crate::sandbox::machine::{Config, Disk, Power, Property, Vm};
use crate::sandbox::pbm;
use crate::sandbox::server::{Server, State};
use crate::sandbox::tasks::Kind;
use crate::vsphere::wire::{CloneVmTask, Moref, VirtualMachineCloneSpec, VirtualMachineRelocateSpec};

/// A content library.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Library {
    pub id: String,
    pub name: String,
    pub items: Vec<Item>,
}

/// An item of one.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Item {
    pub facts: Facts,
    pub holds: Holds,
}

/// What is shown of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Facts {
    pub id: String,
    pub library_id: String,
    pub name: String,
    pub description: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub content_version: String,
}

/// What it is made of.
#[derive(Clone, Debug)]
pub(in crate::sandbox) enum Holds {
    /// A machine.
    Machine(Box<Vm>),
    /// A template of the inventory.
    Template(Moref),
}

#[derive(Deserialize)]
struct CreateLibrary {
    name: String,
}

#[derive(Default, Deserialize)]
struct Find {
    name: Option<String>,
    library_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// What an OVF item is captured from.
#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Deserialize)]
struct Target {
    library_id: Option<String>,
    library_item_id: Option<String>,
}

#[derive(Deserialize)]
struct CreateItem {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct Place {
    resource_pool_id: String,
    host_id: Option<String>,
    folder_id: Option<String>,
}

#[derive(Deserialize)]
struct Deployment {
    name: Option<String>,
    default_datastore_id: Option<String>,
    storage_profile_id: Option<String>,
    #[serde(default)]
    additional_parameters: Vec<Parameters>,
}

/// What is chosen and set of an OVF.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    #[serde(rename = "type")]
    kind: String,
    selected_key: String,
    properties: Vec<Given>,
}

/// A property that is set.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Given {
    class_id: String,
    id: String,
    instance_id: String,
    value: String,
}

#[derive(Deserialize)]
struct TemplateSpec {
    source_vm: String,
    name: String,
    #[serde(default)]
    description: String,
    library: String,
    placement: Option<TemplatePlace>,
    vm_home_storage: Option<Storage>,
    disk_storage: Option<Storage>,
}

#[derive(Default, Deserialize)]
struct TemplatePlace {
    folder: Option<String>,
    resource_pool: Option<String>,
    host: Option<String>,
    cluster: Option<String>,
}

#[derive(Deserialize)]
struct Storage {
    datastore: Option<String>,
    storage_policy: Option<StoragePolicy>,
}

#[derive(Deserialize)]
struct StoragePolicy {
    #[serde(rename = "type")]
    kind: String,
    policy: Option<String>,
}

#[derive(Default, Deserialize)]
struct Update {
    name: Option<String>,
    description: Option<String>,
}

fn find(libraries: &mut [Library], id: &str) -> Answer<(usize, usize)> {
    let at = libraries.iter().enumerate().find_map(|(at, library)| {
        let item = library.items.iter().position(|item| item.facts.id == id)?;
        Some((at, item))
    });
    at.ok_or_else(|| Refusal::not_found("such item"))
}

fn item<'a>(libraries: &'a mut [Library], id: &str) -> Answer<&'a mut Item> {
    let (library, item) = find(libraries, id)?;
    let found = libraries.get_mut(library).and_then(|library| library.items.get_mut(item));
    found.ok_or_else(|| Refusal::not_found("such item"))
}

fn library<'a>(libraries: &'a mut [Library], id: &str) -> Answer<&'a mut Library> {
    libraries.iter_mut().find(|library| library.id == id).ok_or_else(|| Refusal::not_found("such library"))
}

/// Answers a call.
pub(super) async fn answer(server: &Arc<Server>, call: &Call, path: &str, id: Option<&str>) -> Answer<Value> {
    let path = path.trim_start_matches("com/vmware/");
    settle(server);
    let done = match (path, id) {
        ("content/library", None) => all(server, call),
        ("content/local-library", None) => create(server, call),
        ("content/library" | "content/local-library", Some(id)) => one(server, call, id),
        ("content/library/item", None) => items(server, call),
        ("content/library/item", Some(id)) if call.verb == Verb::DELETE => remove(server, id).await,
        ("content/library/item", Some(id)) => of_item(server, call, id),
        ("vcenter/ovf/library-item", None) => capture(server, call).await,
        ("vcenter/ovf/library-item", Some(id)) => deploy(server, call, id).await,
        ("vcenter/vm-template/library-items", None) => template(server, call).await,
        (path, None) => match path.strip_prefix("vcenter/vm-template/library-items/") {
            Some(id) => of_template(server, id),
            None => Err(Refusal::not_found("such service")),
        },
        _ => Err(Refusal::not_found("such service")),
    };
    if call.verb != Verb::GET {
        // So that what is kept is written.
        server.lock().inventory.touch(&Inventory::root());
    }
    done
}

/// An item that is a VM template goes with its template: it is called as that is, and there is none without it.
fn settle(server: &Server) {
    let state = &mut *server.lock();
    let inventory = &state.inventory;
    for library in &mut state.libraries {
        library.items.retain_mut(|item| {
            let Holds::Template(vm) = &item.holds else { return true };
            let (Ok(node), Ok(machine)) = (inventory.node(vm), inventory.vm(vm)) else { return false };
            item.facts.name.clone_from(&node.name);
            machine.template
        });
    }
}

fn all(server: &Server, call: &Call) -> Answer<Value> {
    let name: Option<String> = match call.action.as_deref() {
        Some("find") => call.read::<Find>("spec")?.name,
        _ => None,
    };
    let state = server.lock();
    let found = state.libraries.iter().filter(|l| name.as_ref().is_none_or(|name| l.name == *name));
    value(found.map(|l| &l.id).collect::<Vec<_>>())
}

fn create(server: &Server, call: &Call) -> Answer<Value> {
    let mut state = server.lock();
    if call.verb == Verb::GET {
        return value(state.libraries.iter().map(|l| &l.id).collect::<Vec<_>>());
    }
    let spec: CreateLibrary = call.read("create_spec")?;
    if spec.name.is_empty() {
        return Err(Refusal::invalid("a library needs a name"));
    }
    if state.libraries.iter().any(|l| l.name == spec.name) {
        return Err(Refusal::exists("a library of that name"));
    }
    let id = crate::sandbox::random_uuid();
    state.libraries.push(Library { id: id.clone(), name: spec.name, items: Vec::new() });
    value(id)
}

fn one(server: &Server, call: &Call, id: &str) -> Answer<Value> {
    let mut state = server.lock();
    let storage = json!([{ "type": "DATASTORE", "datastore_id": state.places.datastore.value }]);
    let found = library(&mut state.libraries, id)?;
    if call.verb == Verb::DELETE {
        state.libraries.retain(|l| l.id != id);
        return Ok(Value::Null);
    }
    value(
        json!({ "id": found.id, "name": found.name, "type": "LOCAL", "description": "", "storage_backings": storage }),
    )
}

fn items(server: &Server, call: &Call) -> Answer<Value> {
    let wanted: Find = match call.action.as_deref() {
        Some("find") => call.read("spec")?,
        None if call.verb == Verb::GET => {
            Find { library_id: call.parameter("library_id").map(str::to_owned), ..Find::default() }
        }
        _ => return Err(Refusal::invalid("items are made by capturing machines")),
    };
    let state = server.lock();
    let is = |wanted: &Option<String>, own: &str| wanted.as_deref().is_none_or(|wanted| wanted == own);
    let all = state.libraries.iter().flat_map(|l| &l.items).map(|item| &item.facts);
    let found = all.filter(|facts| {
        is(&wanted.name, &facts.name) && is(&wanted.library_id, &facts.library_id) && is(&wanted.kind, &facts.kind)
    });
    value(found.map(|facts| &facts.id).collect::<Vec<_>>())
}

fn of_item(server: &Server, call: &Call, id: &str) -> Answer<Value> {
    let mut state = server.lock();
    if call.verb == Verb::PATCH {
        update(&mut state, id, call.read("update_spec")?)?;
        return Ok(Value::Null);
    }
    value(&item(&mut state.libraries, id)?.facts)
}

/// Changes what an item is called, and what is said of it.
fn update(state: &mut State, id: &str, update: Update) -> Answer<()> {
    let (at, _) = find(&mut state.libraries, id)?;
    if let Some(name) = &update.name {
        let others = state.libraries.get(at).into_iter().flat_map(|library| &library.items);
        if others.filter(|item| item.facts.id != id).any(|item| item.facts.name == *name) {
            return Err(Refusal::exists("an item of that name"));
        }
        if name.is_empty() {
            return Err(Refusal::invalid("an item needs a name"));
        }
        if let Holds::Template(vm) = item(&mut state.libraries, id)?.holds.clone() {
            let folder = state.inventory.node(&vm).ok().and_then(|node| node.parent.clone());
            let folder = folder.ok_or_else(|| Refusal::not_found("such template"))?;
            let free = state.inventory.free_name(&folder, name, Some(&vm));
            let free = free.map_err(|_| Refusal::exists("a machine of that name, beside the template"))?;
            let node = state.inventory.change(&vm).ok_or_else(|| Refusal::not_found("such template"))?;
            node.name = free;
        }
    }
    let found = item(&mut state.libraries, id)?;
    found.facts.name = update.name.unwrap_or_else(|| found.facts.name.clone());
    found.facts.description = update.description.unwrap_or_else(|| found.facts.description.clone());
    Ok(())
}

/// Removes an item, and the template behind it.
async fn remove(server: &Server, id: &str) -> Answer<Value> {
    let holds = item(&mut server.lock().libraries, id)?.holds.clone();
    if let Holds::Template(vm) = holds {
        server.delete(&vm).await.map_err(|fault| Refusal::invalid(fault.to_string()))?;
    }
    let mut state = server.lock();
    let (at, position) = find(&mut state.libraries, id)?;
    if let Some(library) = state.libraries.get_mut(at) {
        library.items.remove(position);
    }
    Ok(Value::Null)
}

/// `ovf/library-item`: a machine that is off becomes an item, or the next version of one.
async fn capture(server: &Arc<Server>, call: &Call) -> Answer<Value> {
    let (source, target): (Source, Target) = (call.read("source")?, call.read("target")?);
    let spec: CreateItem = call.read("create_spec")?;
    let vm = Moref::new(&source.kind, &source.id);
    let own = server.clone();
    let work = {
        let vm = vm.clone();
        async move { captured(&own, vm, target, spec).await }
    };
    as_task(server, "VirtualMachine.exportVm", &vm, work).await
}

async fn captured(server: &Arc<Server>, vm: Moref, target: Target, spec: CreateItem) -> Answer<Value> {
    let soap = |fault: crate::vsphere::wire::Fault| Refusal::invalid(fault.to_string());
    let switch = server.lock().inventory.vm(&vm).map_err(|_| Refusal::not_found("such machine"))?.switch.clone();
    let _switch = switch.lock().await;
    let _held = server.disks.lock().await;
    if server.lock().inventory.vm(&vm).map_err(soap)?.power != Power::Off {
        return Ok(failed("the machine is not powered off"));
    }
    let base = server.freeze(&vm).await.map_err(soap)?;
    let mut state = server.lock();
    let mut machine = state.inventory.vm(&vm).map_err(soap)?.clone();
    machine.disk = Disk { base, top: None };
    // An OVF has none of these.
    machine.config.extra.clear();
    (machine.labels, machine.snapshots, machine.current) = (Vec::new(), Vec::new(), None);
    let holds = Holds::Machine(Box::new(machine));
    let id = match (&target.library_item_id, &target.library_id) {
        (Some(id), _) => {
            let item = item(&mut state.libraries, id)?;
            if item.facts.kind != "ovf" {
                return Err(Refusal::invalid("the item is no OVF"));
            }
            let version: u64 = item.facts.content_version.parse().unwrap_or_default();
            item.facts.content_version = (version + 1).to_string();
            if !spec.description.is_empty() {
                item.facts.description = spec.description;
            }
            item.holds = holds;
            id.clone()
        }
        (None, Some(id)) => {
            let facts = facts(library(&mut state.libraries, id)?, spec.name, spec.description, "ovf")?;
            let new = facts.id.clone();
            library(&mut state.libraries, id)?.items.push(Item { facts, holds });
            new
        }
        (None, None) => return Err(Refusal::invalid("neither a library nor an item is named")),
    };
    value(json!({ "succeeded": true, "ovf_library_item_id": id }))
}

/// A new item's facts.
fn facts(library: &Library, name: String, description: String, kind: &str) -> Answer<Facts> {
    if name.is_empty() {
        return Err(Refusal::invalid("an item needs a name"));
    }
    if library.items.iter().any(|item| item.facts.name == name) {
        return Err(Refusal::exists("an item of that name"));
    }
    let (id, content_version) = (crate::sandbox::random_uuid(), "1".to_owned());
    Ok(Facts { id, library_id: library.id.clone(), name, description, kind: kind.to_owned(), content_version })
}

/// An operation that fails without the call failing.
fn failed(message: &str) -> Value {
    let message = json!({ "id": "sandbox", "default_message": message, "args": [] });
    json!({ "succeeded": false, "error": { "errors": [{ "category": "SERVER", "message": message }] } })
}

async fn deploy(server: &Arc<Server>, call: &Call, id: &str) -> Answer<Value> {
    let place: Place = call.read("target")?;
    if call.action.as_deref() == Some("filter") {
        let mut state = server.lock();
        let item = item(&mut state.libraries, id)?;
        return value(json!({
            "name": item.facts.name, "networks": [], "storage_groups": [], "EULAs": [],
            "additional_params": parameters(item),
        }));
    }
    let spec: Deployment = call.read("deployment_spec")?;
    let pool = Moref::new("ResourcePool", &place.resource_pool_id);
    let (own, id) = (server.clone(), id.to_owned());
    as_task(server, "ResourcePool.ImportVAppLRO", &pool, async move { deployed(&own, &id, place, spec).await }).await
}

/// What may be chosen and set of an item. What is captured has one configuration, and that has no name.
fn parameters(item: &Item) -> Value {
    let Holds::Machine(vm) = &item.holds else { return json!([]) };
    let own = |p: &Property| {
        json!({
            "class_id": p.class, "id": p.id, "instance_id": p.instance, "type": p.kind, "value": p.value,
            "ui_optional": false, "category": "", "label": "", "description": "",
        })
    };
    let all: Vec<Value> = vm.config.properties.iter().filter(|p| p.configurable).map(own).collect();
    json!([
        { "@class": "com.vmware.vcenter.ovf.deployment_option_params", "type": "DeploymentOptionParams",
          "deployment_options": [] },
        { "@class": "com.vmware.vcenter.ovf.property_params", "type": "PropertyParams", "properties": all },
    ])
}

/// Sets what is given, where an imported machine has it too; what can't be set, in words.
fn set(config: &mut Config, all: &[Parameters]) -> Result<(), String> {
    let chosen = all.iter().find(|p| p.kind == "DeploymentOptionParams" && !p.selected_key.is_empty());
    if let Some(Parameters { selected_key, .. }) = chosen {
        return Err(format!("The OVF has no deployment option {selected_key}."));
    }
    for given in all.iter().filter(|p| p.kind == "PropertyParams").flat_map(|p| &p.properties) {
        let is = |p: &&mut Property| {
            (&p.class, &p.id, &p.instance) == (&given.class_id, &given.id, &given.instance_id) && p.configurable
        };
        let property = config.properties.iter_mut().find(is);
        let property = property.ok_or_else(|| format!("The OVF has no property {} that can be set.", given.id))?;
        property.value.clone_from(&given.value);
        config.extra.push((format!("ovf.{}", property.key()), given.value.clone()));
    }
    Ok(())
}

/// Does something as a task about an object, which whoever has lost the answer can see.
async fn as_task(
    server: &Arc<Server>,
    operation: &'static str,
    object: &Moref,
    work: impl Future<Output = Answer<Value>> + Send + 'static,
) -> Answer<Value> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let own = server.clone();
    let begun = server.begin(operation, None, object, Kind::shared(operation), move |_| async move {
        own.pause(own.config.clone_delay).await;
        let answer = work.await;
        let well = answer.as_ref().is_ok_and(|value| value["succeeded"] != false);
        // Nobody may be there any more to hear it.
        let _ = tell.send(answer);
        if well { Ok(None) } else { Err(crate::sandbox::faults::invalid_state("it has failed")) }
    });
    begun.map_err(|_| Refusal::not_found("such object"))?;
    told.await.unwrap_or_else(|_| Err(Refusal::invalid("the sandbox ends")))
}

async fn deployed(server: &Arc<Server>, id: &str, place: Place, spec: Deployment) -> Answer<Value> {
    let _held = server.disks.lock().await;
    let mut state = server.lock();
    let found = item(&mut state.libraries, id)?;
    let Holds::Machine(original) = &found.holds else { return Err(Refusal::invalid("the item is no OVF")) };
    let (original, own) = (original.clone(), found.facts.name.clone());
    let pool = Moref::new("ResourcePool", &place.resource_pool_id);
    let owner = state.inventory.owner(&pool).ok_or_else(|| Refusal::not_found("such resource pool"))?;
    let host = match place.host_id {
        Some(host) => Some(Moref::new("HostSystem", host)).filter(|host| state.inventory.get(host).is_some()),
        None => state.inventory.a_host(&owner),
    };
    let host = host.ok_or_else(|| Refusal::not_found("such host"))?;
    let folder = place.folder_id.map_or_else(|| state.places.vm_folder.clone(), |id| Moref::new("Folder", id));
    let name = spec.name.unwrap_or(own);
    if spec.storage_profile_id.as_deref().is_some_and(|id| !pbm::is_policy(id)) {
        return Err(Refusal::not_found("such storage policy"));
    }
    if state.inventory.get(&folder).is_none() {
        return Err(Refusal::not_found("such folder"));
    }
    let name = match state.inventory.free_name(&folder, &name, None) {
        Ok(name) => name,
        Err(fault) => return Ok(failed(&fault.to_string())),
    };
    let mut config = original.config.clone();
    if let Err(why) = set(&mut config, &spec.additional_parameters) {
        return Ok(failed(&why));
    }
    let number = state.inventory.number();
    let named = spec.default_datastore_id.map(|id| Moref::new("Datastore", id));
    let datastore = named.unwrap_or_else(|| original.datastore.clone());
    let mut vm = Vm::new(host, Some(pool), datastore, original.disk.base.clone(), crate::sandbox::now());
    let devices = crate::sandbox::machine::cloned(&original.config.devices, number);
    vm.config = Config { devices, ..config };
    vm.reported.id.clone_from(&original.reported.id);
    vm.reported.full_name.clone_from(&original.reported.full_name);
    let vm = state.inventory.add_vm(&folder, &name, vm);
    value(json!({ "succeeded": true, "resource_id": { "type": vm.kind, "id": vm.value } }))
}

/// `vm-template/library-items`: a clone of a machine that is a template of the inventory and an item.
async fn template(server: &Arc<Server>, call: &Call) -> Answer<Value> {
    let spec: TemplateSpec = call.read("spec")?;
    let vm = Moref::new("VirtualMachine", &spec.source_vm);
    server.lock().inventory.vm(&vm).map_err(|_| Refusal::not_found("such machine"))?;
    let (own, source) = (server.clone(), vm.clone());
    as_task(server, "VirtualMachine.clone", &vm, async move { templated(&own, source, spec).await }).await
}

async fn templated(server: &Arc<Server>, source: Moref, spec: TemplateSpec) -> Answer<Value> {
    let place = spec.placement.unwrap_or_default();
    let (mut facts, location, folder) = {
        let mut state = server.lock();
        let facts =
            facts(library(&mut state.libraries, &spec.library)?, spec.name.clone(), spec.description, "vm-template")?;
        if place.resource_pool.is_none() && place.host.is_none() && place.cluster.is_none() {
            return Err(Refusal::invalid("neither a resource pool nor a host nor a cluster is named"));
        }
        for storage in [&spec.vm_home_storage, &spec.disk_storage].into_iter().flatten() {
            let policy = storage.storage_policy.as_ref().filter(|policy| policy.kind == "USE_SPECIFIED_POLICY");
            if policy.is_some_and(|policy| !policy.policy.as_deref().is_some_and(pbm::is_policy)) {
                return Err(Refusal::not_found("such storage policy"));
            }
        }
        let named = |kind: &str, id: Option<String>| id.map(|id| Moref::new(kind, id));
        let datastore = spec.vm_home_storage.and_then(|storage| storage.datastore);
        let location = VirtualMachineRelocateSpec {
            pool: named("ResourcePool", place.resource_pool),
            host: named("HostSystem", place.host),
            datastore: named("Datastore", datastore),
            ..VirtualMachineRelocateSpec::default()
        };
        let folder = named("Folder", place.folder).unwrap_or_else(|| state.places.vm_folder.clone());
        let objects = [&location.pool, &location.host, &location.datastore];
        let missing = objects.into_iter().flatten().chain([&folder]).find(|o| state.inventory.get(o).is_none());
        if let Some(missing) = missing {
            return Err(Refusal::not_found(&format!("such object as {missing}")));
        }
        (facts, location, folder)
    };
    let clone = CloneVmTask {
        this: source,
        folder,
        name: spec.name,
        spec: VirtualMachineCloneSpec { location, template: true, ..VirtualMachineCloneSpec::default() },
    };
    let made = server.make_clone(clone, &Moref::new("Task", "none")).await;
    let made = made.map_err(|fault| Refusal::invalid(fault.to_string()))?;
    let mut state = server.lock();
    let holder = library(&mut state.libraries, &spec.library)?;
    facts.content_version = "1".to_owned();
    let id = facts.id.clone();
    holder.items.push(Item { facts, holds: Holds::Template(made) });
    value(id)
}

fn of_template(server: &Server, id: &str) -> Answer<Value> {
    let mut state = server.lock();
    match &item(&mut state.libraries, id)?.holds {
        Holds::Template(vm) => value(json!({ "vm_template": vm.value, "guest_OS": "OTHER_LINUX_64" })),
        Holds::Machine(_) => Err(Refusal::invalid("the item is no VM template")),
    }
}
