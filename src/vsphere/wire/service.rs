//! The service itself: its content, sessions, tasks.

use super::declare::{data, methods, words};
use super::fault::{Fault, LocalizableMessage};
use super::value::{Any, Moref};
use super::xml::Element;

data! {
    /// The managers of a server. What a reference is called differs between servers: take them from here.
    ServiceContent {
        root_folder: Moref = "rootFolder",
        property_collector: Moref = "propertyCollector",
        view_manager: Option<Moref> = "viewManager",
        about: AboutInfo = "about",
        setting: Option<Moref> = "setting",
        user_directory: Option<Moref> = "userDirectory",
        session_manager: Option<Moref> = "sessionManager",
        authorization_manager: Option<Moref> = "authorizationManager",
        service_manager: Option<Moref> = "serviceManager",
        perf_manager: Option<Moref> = "perfManager",
        scheduled_task_manager: Option<Moref> = "scheduledTaskManager",
        alarm_manager: Option<Moref> = "alarmManager",
        event_manager: Option<Moref> = "eventManager",
        task_manager: Option<Moref> = "taskManager",
        extension_manager: Option<Moref> = "extensionManager",
        customization_spec_manager: Option<Moref> = "customizationSpecManager",
        guest_customization_manager: Option<Moref> = "guestCustomizationManager",
        custom_fields_manager: Option<Moref> = "customFieldsManager",
        account_manager: Option<Moref> = "accountManager",
        diagnostic_manager: Option<Moref> = "diagnosticManager",
        license_manager: Option<Moref> = "licenseManager",
        search_index: Option<Moref> = "searchIndex",
        file_manager: Option<Moref> = "fileManager",
        datastore_namespace_manager: Option<Moref> = "datastoreNamespaceManager",
        virtual_disk_manager: Option<Moref> = "virtualDiskManager",
        virtualization_manager: Option<Moref> = "virtualizationManager",
        ovf_manager: Option<Moref> = "ovfManager",
        ip_pool_manager: Option<Moref> = "ipPoolManager",
        dv_switch_manager: Option<Moref> = "dvSwitchManager",
        host_profile_manager: Option<Moref> = "hostProfileManager",
        localization_manager: Option<Moref> = "localizationManager",
        storage_resource_manager: Option<Moref> = "storageResourceManager",
        guest_operations_manager: Option<Moref> = "guestOperationsManager",
    }

    /// What the server is.
    AboutInfo {
        name: String = "name",
        full_name: String = "fullName",
        vendor: String = "vendor",
        version: String = "version",
        patch_level: Option<String> = "patchLevel",
        build: String = "build",
        locale_version: Option<String> = "localeVersion",
        locale_build: Option<String> = "localeBuild",
        os_type: String = "osType",
        product_line_id: String = "productLineId",
        /// `VirtualCenter`, or `HostAgent` for an ESXi host.
        api_type: String = "apiType",
        api_version: String = "apiVersion",
        instance_uuid: Option<String> = "instanceUuid",
        license_product_name: Option<String> = "licenseProductName",
        license_product_version: Option<String> = "licenseProductVersion",
    }

    /// A session.
    UserSession {
        key: String = "key",
        user_name: String = "userName",
        full_name: String = "fullName",
        login_time: String = "loginTime",
        last_active_time: String = "lastActiveTime",
        locale: String = "locale",
        message_locale: String = "messageLocale",
        extension_session: Option<bool> = "extensionSession",
        ip_address: Option<String> = "ipAddress",
        user_agent: Option<String> = "userAgent",
        call_count: Option<i64> = "callCount",
    }

    /// The state of a task.
    TaskInfo {
        key: String = "key",
        task: Moref = "task",
        description: Option<LocalizableMessage> = "description",
        name: Option<String> = "name",
        description_id: String = "descriptionId",
        entity: Option<Moref> = "entity",
        entity_name: Option<String> = "entityName",
        locked: Vec<Moref> = "locked",
        state: TaskState = "state",
        cancelled: bool = "cancelled",
        cancelable: bool = "cancelable",
        error: Option<Fault> = "error",
        result: Option<Any> = "result",
        /// Per cent done.
        progress: Option<i32> = "progress",
        reason: Option<Element> = "reason",
        queue_time: String = "queueTime",
        start_time: Option<String> = "startTime",
        complete_time: Option<String> = "completeTime",
        event_chain_id: i32 = "eventChainId",
        change_tag: Option<String> = "changeTag",
        parent_task_key: Option<String> = "parentTaskKey",
        root_task_key: Option<String> = "rootTaskKey",
        activation_id: Option<String> = "activationId",
    }

    /// Which of some privileges an account has on an object.
    EntityPrivilege {
        entity: Moref = "entity",
        priv_availability: Vec<PrivilegeAvailability> = "privAvailability",
    }

    /// Whether a privilege is granted.
    PrivilegeAvailability {
        priv_id: String = "privId",
        is_granted: bool = "isGranted",
    }

    /// An option with its value.
    OptionValue {
        key: String = "key",
        value: Any = "value",
    }
}

words! {
    /// Where a task stands.
    TaskState = "TaskInfoState" {
        Queued = "queued",
        Running = "running",
        Success = "success",
        Error = "error",
    }
}

methods! {
    /// The managers of the server; needs no login.
    read RetrieveServiceContent = "RetrieveServiceContent" {} -> ServiceContent;
    /// The server's clock.
    read CurrentTime = "CurrentTime" {} -> String;
    /// Opens a session; its id is in a cookie of the answer.
    write Login = "Login" {
        user_name: String = "userName",
        password: String = "password",
        locale: Option<String> = "locale",
    } -> UserSession;
    /// Closes the session.
    write Logout = "Logout" {} -> ();
    /// Asks a task to end; it does later, as an error `RequestCanceled`.
    read CancelTask = "CancelTask" {} -> ();
    /// Which privileges a session has on objects.
    read HasPrivilegeOnEntities = "HasPrivilegeOnEntities" {
        entity: Vec<Moref> = "entity",
        session_id: String = "sessionId",
        priv_id: Vec<String> = "privId",
    } -> Vec<EntityPrivilege>;
    /// Finds an object by its inventory path.
    read FindByInventoryPath = "FindByInventoryPath" { inventory_path: String = "inventoryPath", } -> Option<Moref>;
    /// Finds an object among the children of another by its name.
    read FindChild = "FindChild" { entity: Moref = "entity", name: String = "name", } -> Option<Moref>;
}
