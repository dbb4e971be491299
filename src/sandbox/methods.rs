//! Which method does what.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::collector::{PAGE, retrieve};
use super::faults::{
    Answer, host_not_connected, invalid_argument, not_authenticated, not_found, not_supported, request_canceled,
    response, response_any, unknown_method,
};
use super::inventory::{Inventory, is_a};
use super::properties::{self, Scope};
use super::server::{Call, Reply, Server};
use super::session::{Caller, Session, SessionId};
use super::value::texts;
use super::views::View;
use super::waiters::Place;
use crate::vsphere::wire::{
    AnswerVm, ContinueRetrievePropertiesEx, CreateContainerView, CreateFilter, Element, EntityPrivilege, Fault,
    FindByInventoryPath, FindChild, HasPrivilegeOnEntities, Login, Moref, PrivilegeAvailability, PropertyFilterSpec,
    RetrieveProperties, RetrievePropertiesEx, RetrieveResult, Service, WaitForUpdatesEx,
};

/// Methods that exist and do nothing here: real servers have them, and clients call them.
const REFUSED: &[&str] = &[
    "MountToolsInstaller",
    "UpgradeTools_Task",
    "SuspendVM_Task",
    "StandbyGuest",
    "QueryConfigOption",
    "QueryConfigOptionEx",
    "QueryConfigOptionDescriptor",
    "QueryConfigTarget",
    "SearchDatastore_Task",
    "SearchDatastoreSubFolders_Task",
    "RecommendDatastores",
    "PromoteDisks_Task",
    "MigrateVM_Task",
    "RegisterVM_Task",
    "InstantClone_Task",
    "AcquireTicket",
    "AcquireMksTicket",
    "EnterMaintenanceMode_Task",
    "CreateDatacenter",
    "CreateCluster",
    "CreateClusterEx",
    "CreateResourcePool",
    "AddHost_Task",
    "CreateDVS_Task",
];

/// Answers a call.
pub(super) async fn dispatch(server: &Arc<Server>, call: Call) -> Answer<Reply> {
    let closed = |body: Element| Reply { body, opened: None };
    if call.service == Service::Pbm {
        return super::pbm::dispatch(server, &call).map(closed);
    }
    match call.method.as_str() {
        "RetrieveServiceContent" => {
            return Ok(closed(response(&call.method, &properties::content(&server.fixed))));
        }
        "Login" => return login(server, &call),
        "RetrieveProperties" | "RetrievePropertiesEx" if call.session.is_none() => {
            // What a client may know before it logs in.
            let specs: Vec<PropertyFilterSpec> = call.arg("specSet")?;
            let open = |s: &PropertyFilterSpec| s.object_set.iter().all(|o| o.obj.kind == "ServiceInstance");
            if !specs.iter().all(open) {
                return Err(not_authenticated(&call.this));
            }
        }
        _ if call.session.is_none() => return Err(not_authenticated(&call.this)),
        _ => {}
    }
    if !server.with_scope(call.session.as_ref(), |scope| scope.exists(&call.this)) {
        return Err(not_found(&call.this));
    }
    if call.method == "Fetch" {
        // How pyVmomi reads a single property.
        let path: String = call.arg("prop")?;
        let value = server.with_scope(call.session.as_ref(), |scope| scope.read(&call.this, &path))?;
        return Ok(closed(response_any(&call.method, value)));
    }
    reachable(server, &call)?;
    let body = match call.this.kind.as_str() {
        "PropertyCollector" | "PropertyFilter" => collector(server, &call).await,
        "ViewManager" | "ContainerView" | "ListView" => view(server, &call),
        "SessionManager" => session(server, &call),
        "SearchIndex" => search(server, &call),
        "AuthorizationManager" => authorization(server, &call),
        "GuestAuthManager" | "GuestProcessManager" | "GuestFileManager" => super::guest::dispatch(server, &call).await,
        "ServiceInstance" | "Task" | "TaskManager" | "EventManager" | "OptionManager" => service(server, &call),
        _ if super::ovf::answers(&call) => super::ovf::dispatch(server, &call).await,
        _ => inventory(server, &call).await,
    };
    body.map(closed)
}

/// Nothing can be done with a machine whose host is lost, nor in its guest.
fn reachable(server: &Server, call: &Call) -> Answer<()> {
    let vm = match call.this.kind.as_str() {
        "VirtualMachine" => Some(call.this.clone()),
        "GuestAuthManager" | "GuestProcessManager" | "GuestFileManager" => call.arg("vm").ok(),
        _ => None,
    };
    let state = server.lock();
    let host = vm.and_then(|vm| state.inventory.vm(&vm).ok().map(|vm| vm.host.clone()));
    match host.is_some_and(|host| state.inventory.lost_hosts.contains_key(&host)) {
        true => Err(host_not_connected()),
        false => Ok(()),
    }
}

fn login(server: &Arc<Server>, call: &Call) -> Answer<Reply> {
    let request: Login = call.read()?;
    let id = server.open_session(&request.user_name, &request.password, call.caller.clone())?;
    let shown = server.lock().sessions.get(&id).map(Session::shown).unwrap_or_default();
    Ok(Reply { body: response(&call.method, &shown), opened: Some(id) })
}

impl Server {
    /// Opens a session for the one account.
    pub fn open_session(&self, user: &str, password: &str, caller: Caller) -> Answer<SessionId> {
        if user != self.config.username || password != self.config.password {
            return Err(Fault::new("InvalidLogin", "Cannot complete login due to an incorrect user name or password."));
        }
        let collector = properties::content(&self.fixed).property_collector;
        let caller = Caller { user: user.to_owned(), ..caller };
        Ok(self.lock().sessions.open(caller, collector))
    }
}

fn session(server: &Arc<Server>, call: &Call) -> Answer<Element> {
    match call.method.as_str() {
        "Logout" => {
            if let Some(id) = &call.session {
                server.lock().sessions.close(id);
            }
            call.answer(&())
        }
        "SessionIsActive" => {
            let (key, user): (String, String) = (call.arg("sessionID")?, call.arg("userName")?);
            call.answer(&server.lock().sessions.is_active(&key, &user))
        }
        "TerminateSession" => {
            let keys: Vec<String> = call.arg("sessionId")?;
            for key in keys {
                if !server.lock().sessions.close_by_key(&key) {
                    return Err(Fault::new("NotFound", "There is no such session."));
                }
            }
            call.answer(&())
        }
        "SetLocale" => call.answer(&()),
        _ => Err(unknown(call)),
    }
}

fn unknown(call: &Call) -> Fault {
    match REFUSED.contains(&call.method.as_str()) {
        true => not_supported(&call.method),
        false => unknown_method(&call.this, &call.method),
    }
}

fn service(server: &Arc<Server>, call: &Call) -> Answer<Element> {
    match call.method.as_str() {
        "CurrentTime" => Ok(response_any(&call.method, super::value::date(super::now()).any())),
        "CancelTask" => call.answer(&server.cancel(&call.this)?),
        "QueryOptions" => call.answer(&Vec::<String>::new()),
        "QueryEvents" => call.answer(&Vec::<String>::new()),
        _ => Err(unknown(call)),
    }
}

/// The account may do everything, but for what the configuration withholds.
fn authorization(server: &Arc<Server>, call: &Call) -> Answer<Element> {
    if call.method != "HasPrivilegeOnEntities" {
        return Err(unknown(call));
    }
    let ask: HasPrivilegeOnEntities = call.read()?;
    let granted =
        |id: &String| PrivilegeAvailability { priv_id: id.clone(), is_granted: !server.config.withheld.contains(id) };
    let answer: Vec<EntityPrivilege> = ask
        .entity
        .into_iter()
        .map(|entity| EntityPrivilege { entity, priv_availability: ask.priv_id.iter().map(granted).collect() })
        .collect();
    call.answer(&answer)
}

fn search(server: &Arc<Server>, call: &Call) -> Answer<Element> {
    let state = server.lock();
    let inventory = &state.inventory;
    let vm_search: Option<bool> = call.arg("vmSearch")?;
    let found: Vec<Moref> = match call.method.as_str() {
        "FindByInventoryPath" => {
            let path = call.read::<FindByInventoryPath>()?.inventory_path;
            let mut at = Some(Inventory::root());
            for name in path.split('/').filter(|name| !name.is_empty()) {
                at = at.and_then(|parent| inventory.child(&parent, name).cloned());
            }
            at.into_iter().collect()
        }
        "FindChild" => {
            let request: FindChild = call.read()?;
            inventory.node(&request.entity)?;
            inventory.child(&request.entity, &request.name).cloned().into_iter().collect()
        }
        "FindByUuid" | "FindAllByUuid" => {
            let (uuid, instance): (String, Option<bool>) = (call.arg("uuid")?, call.arg("instanceUuid")?);
            let is = |own: &str| own.eq_ignore_ascii_case(&uuid);
            let machines = inventory.vms().filter(|(_, _, vm)| {
                vm_search == Some(true) && is(if instance == Some(true) { &vm.instance_uuid } else { &vm.uuid })
            });
            machines.map(|(object, ..)| object.clone()).collect()
        }
        "FindByIp" | "FindAllByIp" => {
            let ip: String = call.arg("ip")?;
            let machines = inventory.vms().filter(|(_, _, vm)| vm.reported.ip.as_deref() == Some(&ip));
            machines.map(|(object, ..)| object.clone()).collect()
        }
        "FindByDnsName" | "FindAllByDnsName" => {
            let name: String = call.arg("dnsName")?;
            if vm_search == Some(true) {
                let machines = inventory.vms().filter(|(_, _, vm)| vm.reported.host_name.as_deref() == Some(&name));
                machines.map(|(object, ..)| object.clone()).collect()
            } else {
                let hosts = inventory.all().filter(|(o, node)| o.kind == "HostSystem" && node.name == name);
                hosts.map(|(object, _)| object.clone()).collect()
            }
        }
        "FindByDatastorePath" => {
            let path: String = call.arg("path")?;
            let machines = inventory
                .vms()
                .filter(|(_, node, _)| path == format!("[{}] {1}/{1}.vmx", super::model::DATASTORE, node.name));
            machines.map(|(object, ..)| object.clone()).collect()
        }
        _ => return Err(unknown(call)),
    };
    match call.method.starts_with("FindAll") {
        true => call.answer(&found),
        false => call.answer(&found.into_iter().next()),
    }
}

fn view(server: &Arc<Server>, call: &Call) -> Answer<Element> {
    let mut guard = server.lock();
    let state = &mut *guard;
    match call.method.as_str() {
        "CreateContainerView" => {
            let request: CreateContainerView = call.read()?;
            let view = View::of_container(&state.inventory, request.container, request.kinds, request.recursive)?;
            let session = state.sessions.session(call.session.as_ref(), &call.this)?;
            let object = session.make("ContainerView");
            session.views.insert(object.clone(), view);
            call.answer(&object)
        }
        "CreateListView" => {
            let objects: Vec<Moref> = call.arg("obj")?;
            let session = state.sessions.session(call.session.as_ref(), &call.this)?;
            let object = session.make("ListView");
            session.views.insert(object.clone(), View::List(objects));
            call.answer(&object)
        }
        "ModifyListView" | "ResetListView" => {
            let (add, remove): (Vec<Moref>, Vec<Moref>) = match call.method.as_str() {
                "ModifyListView" => (call.arg("add")?, call.arg("remove")?),
                _ => (call.arg("obj")?, Vec::new()),
            };
            let scope = Scope { state, fixed: &server.fixed, session: call.session.as_ref() };
            let (add, unresolved): (Vec<Moref>, Vec<Moref>) = add.into_iter().partition(|o| scope.exists(o));
            let session = state.sessions.session(call.session.as_ref(), &call.this)?;
            if let Some(View::List(objects)) = session.views.get_mut(&call.this) {
                if call.method == "ResetListView" {
                    objects.clear();
                }
                objects.retain(|o| !remove.contains(o));
                objects.extend(add);
            }
            state.inventory.touch(&call.this);
            call.answer(&unresolved)
        }
        "DestroyView" => {
            let session = state.sessions.session(call.session.as_ref(), &call.this)?;
            session.views.remove(&call.this);
            call.answer(&())
        }
        _ => Err(unknown(call)),
    }
}

async fn collector(server: &Arc<Server>, call: &Call) -> Answer<Element> {
    match call.method.as_str() {
        "RetrieveProperties" => {
            let request: RetrieveProperties = call.read()?;
            let found = server.with_scope(call.session.as_ref(), |scope| retrieve(scope, &request.spec_set))?;
            call.answer(&found)
        }
        "RetrievePropertiesEx" => {
            let request: RetrievePropertiesEx = call.read()?;
            let found = server.with_scope(call.session.as_ref(), |scope| retrieve(scope, &request.spec_set))?;
            let wanted = request.options.max_objects.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
            let size = wanted.unwrap_or(PAGE).min(PAGE);
            if found.is_empty() {
                return call.answer(&None::<RetrieveResult>);
            }
            let mut rest = found.into();
            let page = page(server, call, &mut rest, size)?;
            call.answer(&Some(page))
        }
        "ContinueRetrievePropertiesEx" => {
            let token = call.read::<ContinueRetrievePropertiesEx>()?.token;
            let mut rest = {
                let mut state = server.lock();
                let session = state.sessions.session(call.session.as_ref(), &call.this)?;
                session.pages.remove(&token).ok_or_else(|| invalid_argument("token"))?
            };
            let page = page(server, call, &mut rest, PAGE)?;
            call.answer(&page)
        }
        "CancelRetrievePropertiesEx" => {
            let token: String = call.arg("token")?;
            server.lock().sessions.session(call.session.as_ref(), &call.this)?.pages.remove(&token);
            call.answer(&())
        }
        "WaitForUpdatesEx" => {
            let request: WaitForUpdatesEx = call.read()?;
            let options = request.options.unwrap_or_default();
            let limit = options.max_wait_seconds.map(|s| Duration::from_secs(u64::try_from(s).unwrap_or_default()));
            let most = options.max_object_updates.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
            let version = request.version.unwrap_or_default();
            let updates = wait(server, call, &version, limit, most.unwrap_or(PAGE).min(PAGE)).await?;
            call.answer(&updates)
        }
        "WaitForUpdates" => {
            let version: Option<String> = call.arg("version")?;
            let updates = wait(server, call, &version.unwrap_or_default(), None, usize::MAX).await?;
            call.answer(&updates)
        }
        "CheckForUpdates" => {
            let version: Option<String> = call.arg("version")?;
            let none = Some(Duration::ZERO);
            call.answer(&wait(server, call, &version.unwrap_or_default(), none, usize::MAX).await?)
        }
        _ => filters(server, call),
    }
}

fn filters(server: &Arc<Server>, call: &Call) -> Answer<Element> {
    let mut state = server.lock();
    let default = properties::content(&server.fixed).property_collector;
    let session = state.sessions.session(call.session.as_ref(), &call.this)?;
    match call.method.as_str() {
        "CreatePropertyCollector" => {
            let object = session.make("PropertyCollector");
            session.collectors.insert(object.clone(), super::collector::Collector::default());
            call.answer(&object)
        }
        "DestroyPropertyCollector" => {
            if call.this == default {
                return Err(not_supported("destroying the default property collector"));
            }
            if let Some(mut collector) = session.collectors.remove(&call.this) {
                collector.end_waits();
            }
            call.answer(&())
        }
        "CreateFilter" => {
            let request: CreateFilter = call.read()?;
            let object = session.make("PropertyFilter");
            session.collector(&call.this)?.add(object.clone(), request.spec.clone());
            drop(state);
            // A filter that can't be evaluated is refused at once.
            let check = std::slice::from_ref(&request.spec);
            if let Err(fault) = server.with_scope(call.session.as_ref(), |scope| retrieve(scope, check)) {
                let mut state = server.lock();
                state.sessions.session(call.session.as_ref(), &call.this)?.collector(&call.this)?.remove(&object);
                return Err(fault);
            }
            // Those who wait with this collector wait for the new filter too.
            server.lock().inventory.touch(&call.this);
            call.answer(&object)
        }
        "DestroyPropertyFilter" => {
            for collector in session.collectors.values_mut() {
                collector.remove(&call.this);
            }
            call.answer(&())
        }
        "CancelWaitForUpdates" => {
            session.collector(&call.this)?.end_waits();
            call.answer(&())
        }
        _ => Err(unknown(call)),
    }
}

fn page(
    server: &Server,
    call: &Call,
    rest: &mut std::collections::VecDeque<crate::vsphere::wire::ObjectContent>,
    size: usize,
) -> Answer<RetrieveResult> {
    let objects = rest.drain(..size.min(rest.len())).collect();
    let mut token = None;
    if !rest.is_empty() {
        let name = super::random_hex(8);
        let mut state = server.lock();
        let session = state.sessions.session(call.session.as_ref(), &call.this)?;
        session.pages.insert(name.clone(), std::mem::take(rest));
        token = Some(name);
    }
    Ok(RetrieveResult { token, objects })
}

/// Waits until a collector has something that differs from `version`.
async fn wait(
    server: &Arc<Server>,
    call: &Call,
    version: &str,
    limit: Option<Duration>,
    most: usize,
) -> Answer<Option<crate::vsphere::wire::UpdateSet>> {
    let end = limit.map(|limit| Instant::now() + limit);
    let (over, cancel) = {
        let mut state = server.lock();
        let session = state.sessions.session(call.session.as_ref(), &call.this)?;
        (session.over.clone(), session.collector(&call.this)?.cancel.clone())
    };
    let notify = Arc::new(Notify::new());
    loop {
        // A wake-up that comes before it is awaited isn't lost: it is kept.
        let waiting = Waiting::enter(server, call, &notify)?;
        if let Some(updates) = look(server, call, version, most)? {
            return Ok(Some(updates));
        }
        let timeout = async {
            match end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = notify.notified() => {}
            () = timeout => return Ok(None),
            () = cancel.cancelled() => return Err(request_canceled()),
            () = over.cancelled() => return Err(not_authenticated(&call.this)),
            () = server.closing.cancelled() => return Err(request_canceled()),
        }
        drop(waiting);
    }
}

/// A place among those who wait, while it lives.
struct Waiting<'a> {
    server: &'a Server,
    place: Place,
}

impl<'a> Waiting<'a> {
    fn enter(server: &'a Server, call: &Call, notify: &Arc<Notify>) -> Answer<Self> {
        let mut state = server.lock();
        let collector = state.sessions.session(call.session.as_ref(), &call.this)?.collector(&call.this)?;
        let mut interest = collector.interest();
        if let Some(objects) = &mut interest {
            // The collector counts as changed when it gets another filter.
            objects.push(call.this.clone());
        }
        let place = state.waiters.enter(interest, notify);
        Ok(Waiting { server, place })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.server.lock().waiters.leave(&self.place);
    }
}

fn look(
    server: &Arc<Server>,
    call: &Call,
    version: &str,
    most: usize,
) -> Answer<Option<crate::vsphere::wire::UpdateSet>> {
    let mut state = server.lock();
    let session = state.sessions.session(call.session.as_ref(), &call.this)?;
    // It is put back below; until then what is evaluated can't see it.
    let mut collector = std::mem::take(session.collector(&call.this)?);
    let scope = Scope { state: &state, fixed: &server.fixed, session: call.session.as_ref() };
    let updates = collector.updates(&scope, version, most);
    let session = state.sessions.session(call.session.as_ref(), &call.this)?;
    *session.collector(&call.this)? = collector;
    updates
}

async fn inventory(server: &Arc<Server>, call: &Call) -> Answer<Element> {
    let this = &call.this;
    let kind = this.kind.as_str();
    match (kind, call.method.as_str()) {
        ("VirtualMachine", "CloneVM_Task") => call.answer(&server.clone_vm(call)?),
        ("VirtualMachine", "ReconfigVM_Task") => call.answer(&server.reconfigure(call)?),
        ("VirtualMachine", "CustomizeVM_Task") => call.answer(&server.customize(call)?),
        ("CustomizationSpecManager", "DoesCustomizationSpecExist") => server.is_kept_customization(call),
        ("CustomizationSpecManager", "GetCustomizationSpec") => server.kept_customization(call),
        ("VirtualMachine", "UpgradeVM_Task") => call.answer(&server.upgrade(call)?),
        ("VirtualMachine", "RelocateVM_Task") => call.answer(&server.relocate(call)?),
        ("VirtualMachine", "PowerOnVM_Task") => call.answer(&server.power_on(call)?),
        ("VirtualMachine", "PowerOffVM_Task") => call.answer(&server.power_off(call)?),
        ("VirtualMachine", "ResetVM_Task") => call.answer(&server.reset(call)?),
        ("VirtualMachine", "ShutdownGuest") => call.answer(&server.shutdown_guest(this)?),
        ("VirtualMachine", "RebootGuest") => call.answer(&server.reboot_guest(this)?),
        ("VirtualMachine", "MarkAsTemplate") => call.answer(&server.mark_as_template(this).await?),
        ("VirtualMachine", "MarkAsVirtualMachine") => call.answer(&server.mark_as_vm(call)?),
        ("VirtualMachine", "CreateSnapshot_Task" | "CreateSnapshotEx_Task") => {
            call.answer(&server.create_snapshot(call)?)
        }
        ("VirtualMachine", "RemoveAllSnapshots_Task") => call.answer(&server.remove_all_snapshots(call)?),
        ("VirtualMachine", "RevertToCurrentSnapshot_Task") => call.answer(&server.revert_to_current(call)?),
        ("VirtualMachine", "UnregisterVM") => call.answer(&server.unregister(this).await?),
        ("VirtualMachine", "AnswerVM") => {
            let request: AnswerVm = call.read()?;
            call.answer(&server.answer(this, &request.question_id, &request.answer_choice)?)
        }
        ("VirtualMachineSnapshot", "RemoveSnapshot_Task") => call.answer(&server.remove_snapshot(call)?),
        ("VirtualMachineSnapshot", "RevertToSnapshot_Task") => call.answer(&server.revert(call)?),
        ("VirtualMachineSnapshot", "RenameSnapshot") => call.answer(&server.rename_snapshot(call)?),
        ("Folder", "CreateFolder") => call.answer(&server.create_folder(call)?),
        ("Folder", "MoveIntoFolder_Task") => call.answer(&server.move_into_folder(call)?),
        ("Folder", "CreateVM_Task") => call.answer(&server.create_vm(call)?),
        ("Datacenter", "PowerOnMultiVM_Task") => Err(not_supported(&call.method)),
        ("FileManager" | "VirtualDiskManager", method) => Err(not_supported(method)),
        ("AuthorizationManager", "HasPrivilegeOnEntities" | "FetchUserPrivilegeOnEntities") => {
            Err(not_supported(&call.method))
        }
        ("HostSystem", "DisconnectHost_Task") => call.answer(&server.connect_host(call, "disconnected")?),
        ("HostSystem", "ReconnectHost_Task") => call.answer(&server.connect_host(call, "connected")?),
        ("CustomFieldsManager", "AddCustomFieldDef") => call.answer(&server.add_field(call)?),
        ("CustomFieldsManager", "RenameCustomFieldDef") => call.answer(&server.rename_field(call)?),
        ("CustomFieldsManager", "RemoveCustomFieldDef") => call.answer(&server.remove_field(call)?),
        ("CustomFieldsManager", "SetField") => call.answer(&server.set_field(call)?),
        (_, "Rename_Task") if is_a(kind, "ManagedEntity") => call.answer(&server.rename(call)?),
        (_, "Destroy_Task") if is_a(kind, "ManagedEntity") => call.answer(&server.destroy(call)?),
        (_, "RefreshDatastore" | "RefreshNetworkSystem" | "Reload" | "RefreshStorageInfo") => call.answer(&()),
        ("PerformanceManager", "QueryAvailablePerfMetric" | "QueryPerf" | "QueryPerfCounter") => {
            Ok(response_any(&call.method, texts([]).any().filter(|_| false)))
        }
        _ => Err(unknown(call)),
    }
}
