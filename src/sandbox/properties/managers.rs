//! Objects outside the inventory: the service, its managers, tasks, views, collectors.

use super::{Scope, vm};
use crate::sandbox::inventory::Inventory;
use crate::sandbox::server::Fixed;
use crate::sandbox::value::{Val, boolean, int, maybe, object, reference, references, text, whole, word};
use crate::vsphere::wire::{AboutInfo, Moref, ServiceContent, TaskInfo, Value};

/// Managers with their references, by kind. The references are a vCenter's.
const MANAGERS: &[(&str, &str)] = &[
    ("ServiceInstance", "ServiceInstance"),
    ("PropertyCollector", "propertyCollector"),
    ("ViewManager", "ViewManager"),
    ("SessionManager", "SessionManager"),
    ("TaskManager", "TaskManager"),
    ("EventManager", "EventManager"),
    ("OptionManager", "VpxSettings"),
    ("SearchIndex", "SearchIndex"),
    ("GuestOperationsManager", "guestOperationsManager"),
    ("GuestAuthManager", "guestOperationsAuthManager"),
    ("GuestProcessManager", "guestOperationsProcessManager"),
    ("GuestFileManager", "guestOperationsFileManager"),
    ("AuthorizationManager", "AuthorizationManager"),
    ("CustomFieldsManager", "CustomFieldsManager"),
    ("FileManager", "FileManager"),
    ("VirtualDiskManager", "virtualDiskManager"),
    ("PerformanceManager", "PerfMgr"),
    ("ExtensionManager", "ExtensionManager"),
    ("LicenseManager", "LicenseManager"),
    ("OvfManager", "OvfManager"),
    ("CustomizationSpecManager", "CustomizationSpecManager"),
    ("DistributedVirtualSwitchManager", "DVSManager"),
    ("StorageResourceManager", "StorageResourceManager"),
];

/// The reference of a manager.
pub(super) fn manager(kind: &str) -> Moref {
    let value = MANAGERS.iter().find(|(k, _)| *k == kind).map_or(kind, |(_, value)| value);
    Moref::new(kind, value)
}

/// Whether an object outside the inventory exists.
pub(super) fn exists(scope: &Scope<'_>, object: &Moref) -> bool {
    let fixed = MANAGERS.iter().any(|(kind, value)| object.kind == *kind && object.value == *value);
    fixed
        || match object.kind.as_str() {
            "Task" => scope.state.tasks.get(object).is_some(),
            "HttpNfcLease" => scope.state.leases.contains_key(object),
            "VirtualMachineSnapshot" => scope.inventory().vms().any(|(_, _, vm)| vm.snapshot(object).is_some()),
            "EnvironmentBrowser" => object.value.starts_with("envbrowser-"),
            "HostDatastoreBrowser" => object.value.starts_with("browser-"),
            _ => scope.session.and_then(|s| scope.state.sessions.get(s)).is_some_and(|s| s.owns(object)),
        }
}

/// The properties of a kind of object outside the inventory.
pub(super) fn own(kind: &str) -> &'static [&'static str] {
    match kind {
        "ServiceInstance" => &["capability", "content", "serverClock"],
        "SessionManager" => &[
            "currentSession",
            "defaultLocale",
            "localeList",
            "message",
            "messageLocaleList",
            "sessionList",
            "supportedLocaleList",
        ],
        "PropertyCollector" => &["filter"],
        "PropertyFilter" => &["partialUpdates", "spec"],
        "ViewManager" => &["viewList"],
        "ContainerView" => &["container", "recursive", "type", "view"],
        "ListView" => &["view"],
        "Task" => &["availableField", "info", "value"],
        "HttpNfcLease" => &["error", "info", "initializeProgress", "mode", "state", "transferProgress"],
        "TaskManager" => &["description", "maxCollector", "recentTask"],
        "EventManager" => &["description", "latestEvent", "maxCollector"],
        "OptionManager" => &["setting", "supportedOption"],
        "GuestOperationsManager" => {
            &["aliasManager", "authManager", "fileManager", "guestWindowsRegistryManager", "processManager"]
        }
        "AuthorizationManager" => &["description", "privilegeList", "roleList"],
        "CustomFieldsManager" => &["field"],
        "CustomizationSpecManager" => &["info"],
        "ExtensionManager" => &["extensionList"],
        "LicenseManager" => &[
            "diagnostics",
            "edition",
            "evaluation",
            "featureInfo",
            "licenseAssignmentManager",
            "licensedEdition",
            "licenses",
            "source",
            "sourceAvailable",
        ],
        "PerformanceManager" => &["description", "historicalInterval", "perfCounter"],
        "EnvironmentBrowser" => &["datastoreBrowser"],
        "HostDatastoreBrowser" => &["datastore", "supportedType"],
        _ => &[],
    }
}

/// The value of a property that is in [`own`].
pub(super) fn property(scope: &Scope<'_>, object: &Moref, name: &str) -> Val {
    let session = scope.session.and_then(|s| scope.state.sessions.get(s));
    match (object.kind.as_str(), name) {
        ("ServiceInstance", "content") => content_value(scope.fixed),
        ("ServiceInstance", "serverClock") => super::super::value::date(super::super::now()),
        ("ServiceInstance", "capability") => super::super::value::object(
            "Capability",
            vec![
                ("provisioningSupported", boolean(true)),
                ("multiHostSupported", boolean(true)),
                ("userShellAccessSupported", boolean(false)),
            ],
        ),
        ("SessionManager", "currentSession") => maybe(session, |s| whole(&s.shown())),
        ("SessionManager", "sessionList") => {
            Val::List("UserSession", scope.state.sessions.all().map(|s| whole(&s.shown())).collect())
        }
        ("SessionManager", "defaultLocale") => text("en"),
        ("SessionManager", "message") => text(""),
        ("SessionManager", _) => Val::List("string", vec![text("en")]),
        ("PropertyCollector", "filter") => maybe(session, |s| references(&s.filters_of(object))),
        ("ViewManager", "viewList") => maybe(session, |s| references(&s.view_list())),
        ("ContainerView", "view") | ("ListView", "view") => {
            maybe(session.and_then(|s| s.view(object)), |view| references(&view.objects(scope.inventory())))
        }
        ("ContainerView", _) => maybe(session.and_then(|s| s.view(object)), |view| view.property(name)),
        ("PropertyFilter", "partialUpdates") => boolean(false),
        ("Task", "info") => maybe(scope.state.tasks.get(object), |task| task_value(&task.info)),
        ("HttpNfcLease", name) => maybe(scope.state.leases.get(object), |lease| match name {
            "state" => word("HttpNfcLeaseState", lease.state.as_str()),
            "error" => maybe(lease.error.as_ref(), whole),
            "info" => maybe(lease.info.as_ref(), whole),
            "mode" => text(if lease.imports { "push" } else { "pull" }),
            "transferProgress" => int(lease.percent),
            _ => int(100),
        }),
        ("TaskManager", "recentTask") => references(&scope.state.tasks.recent()),
        ("TaskManager" | "EventManager", "maxCollector") => int(100),
        ("CustomizationSpecManager", "info") => {
            let all = super::super::operations::kept_specifications().map(|info| whole(&info));
            Val::List("CustomizationSpecInfo", all.collect())
        }
        ("OptionManager", "setting") => Val::List("OptionValue", Vec::new()),
        ("GuestOperationsManager", "authManager") => Val::Ref(manager("GuestAuthManager")),
        ("GuestOperationsManager", "processManager") => Val::Ref(manager("GuestProcessManager")),
        ("GuestOperationsManager", "fileManager") => Val::Ref(manager("GuestFileManager")),
        ("CustomFieldsManager", "field") => fields(scope),
        ("ExtensionManager", "extensionList") => Val::List("Extension", Vec::new()),
        ("VirtualMachineSnapshot", _) => vm::snapshot(scope, object, name),
        _ => Val::Unset,
    }
}

/// The custom attributes.
pub(super) fn fields(scope: &Scope<'_>) -> Val {
    Val::List("CustomFieldDef", scope.inventory().fields.iter().map(whole).collect())
}

/// What the server is; `api` is `VirtualCenter`, or `HostAgent` for one of its hosts.
pub(super) fn about(fixed: &Fixed, api: &str) -> Val {
    whole(&about_info(fixed, api))
}

fn about_info(fixed: &Fixed, api: &str) -> AboutInfo {
    let center = api == "VirtualCenter";
    let name = if center { "VMware vCenter Server" } else { "VMware ESXi" };
    AboutInfo {
        name: name.to_owned(),
        full_name: format!("{name} 8.0.3 build-0 (vmwbuild sandbox)"),
        vendor: "VMware, Inc.".to_owned(),
        version: "8.0.3".to_owned(),
        patch_level: Some("00000".to_owned()),
        build: "0".to_owned(),
        locale_version: Some("INTL".to_owned()),
        locale_build: Some("000".to_owned()),
        os_type: "linux-x64".to_owned(),
        product_line_id: if center { "vpx" } else { "embeddedEsx" }.to_owned(),
        api_type: api.to_owned(),
        api_version: super::super::API_VERSION.to_owned(),
        instance_uuid: Some(fixed.instance.clone()),
        license_product_name: Some("VMware VirtualCenter Server".to_owned()),
        license_product_version: Some("8.0".to_owned()),
    }
}

/// The managers of the server.
pub(in crate::sandbox) fn content(fixed: &Fixed) -> ServiceContent {
    let some = |kind: &str| Some(manager(kind));
    ServiceContent {
        root_folder: Inventory::root(),
        property_collector: manager("PropertyCollector"),
        view_manager: some("ViewManager"),
        about: about_info(fixed, "VirtualCenter"),
        setting: some("OptionManager"),
        session_manager: some("SessionManager"),
        authorization_manager: some("AuthorizationManager"),
        perf_manager: some("PerformanceManager"),
        event_manager: some("EventManager"),
        task_manager: some("TaskManager"),
        extension_manager: some("ExtensionManager"),
        customization_spec_manager: some("CustomizationSpecManager"),
        custom_fields_manager: some("CustomFieldsManager"),
        license_manager: some("LicenseManager"),
        search_index: some("SearchIndex"),
        file_manager: some("FileManager"),
        virtual_disk_manager: some("VirtualDiskManager"),
        ovf_manager: some("OvfManager"),
        dv_switch_manager: some("DistributedVirtualSwitchManager"),
        storage_resource_manager: some("StorageResourceManager"),
        guest_operations_manager: some("GuestOperationsManager"),
        ..ServiceContent::default()
    }
}

fn content_value(fixed: &Fixed) -> Val {
    Val::Whole(ServiceContent::TYPE, content(fixed).to_element("val"))
}

/// A task's state, field by field, since clients ask for single ones.
fn task_value(info: &TaskInfo) -> Val {
    let reason = info.reason.clone().map(|reason| Val::Whole("TaskReason", reason));
    object(
        "TaskInfo",
        vec![
            ("key", text(&info.key)),
            ("task", Val::Ref(info.task.clone())),
            ("description", maybe(info.description.as_ref(), whole)),
            ("name", maybe(info.name.as_ref(), text)),
            ("descriptionId", text(&info.description_id)),
            ("entity", maybe(info.entity.as_ref(), reference)),
            ("entityName", maybe(info.entity_name.as_ref(), text)),
            ("locked", references(&info.locked)),
            ("state", word("TaskInfoState", info.state.as_str())),
            ("cancelled", boolean(info.cancelled)),
            ("cancelable", boolean(info.cancelable)),
            ("error", maybe(info.error.as_ref(), whole)),
            ("result", maybe(info.result.clone(), |any| Val::Whole("anyType", any.0))),
            ("progress", maybe(info.progress, int)),
            ("progressDetails", Val::Unset),
            ("reason", reason.unwrap_or(Val::Unset)),
            ("queueTime", super::super::value::date(&info.queue_time)),
            ("startTime", maybe(info.start_time.as_ref(), super::super::value::date)),
            ("completeTime", maybe(info.complete_time.as_ref(), super::super::value::date)),
            ("eventChainId", int(info.event_chain_id)),
            ("changeTag", Val::Unset),
            ("parentTaskKey", Val::Unset),
            ("rootTaskKey", Val::Unset),
            ("activationId", Val::Unset),
        ],
    )
}
