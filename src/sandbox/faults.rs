//! The faults that the server answers with, with all their fields.

use super::guests;
use crate::vsphere::wire::{Any, Element, Fault, Field, LocalizableMessage, Moref, WireError};

/// Shorthand for what a method answers.
pub(super) type Answer<T> = Result<T, Fault>;

pub(super) fn not_authenticated(object: &Moref) -> Fault {
    Fault::new("NotAuthenticated", "The session is not authenticated.")
        .with("object", object.clone())
        .with("privilegeId", "System.View".to_owned())
}

pub(super) fn not_found(object: &Moref) -> Fault {
    let text = format!(
        "The object '{}:{}' has already been deleted or has not been completely created",
        object.kind, object.value
    );
    Fault::new("ManagedObjectNotFound", text).with("obj", object.clone())
}

pub(super) fn invalid_property(name: &str) -> Fault {
    Fault::new("InvalidProperty", "").with("name", name.to_owned())
}

/// An argument that can't be used; `property` names it: `spec.location.pool`.
pub(super) fn invalid_argument(property: &str) -> Fault {
    Fault::new("InvalidArgument", format!("A specified parameter was not correct: {property}"))
        .with("invalidProperty", property.to_owned())
}

pub(super) fn malformed(error: &WireError) -> Fault {
    Fault::new("InvalidRequest", format!("Unable to resolve the request: {error}"))
}

pub(super) fn not_supported(what: &str) -> Fault {
    Fault::new("NotSupported", format!("The operation is not supported by this sandbox: {what}."))
}

pub(super) fn unknown_method(receiver: &Moref, method: &str) -> Fault {
    Fault::new("MethodNotFound", format!("This sandbox has no method {method} on a {}.", receiver.kind))
        .with("receiver", receiver.clone())
        .with("method", method.to_owned())
}

pub(super) fn duplicate_name(name: &str, object: &Moref) -> Fault {
    Fault::new("DuplicateName", format!("The name '{name}' already exists."))
        .with("name", name.to_owned())
        .with("object", object.clone())
}

pub(super) fn invalid_name(name: &str, entity: Option<&Moref>) -> Fault {
    Fault::new("InvalidName", format!("The name '{name}' is not valid."))
        .with("name", name.to_owned())
        .with("entity", entity.cloned())
}

pub(super) fn invalid_power_state(requested: Option<&str>, existing: &str) -> Fault {
    Fault::new(
        "InvalidPowerState",
        format!(
            "The attempted operation cannot be performed in the current state ({}).",
            match existing {
                "poweredOn" => "Powered on",
                "suspended" => "Suspended",
                _ => "Powered off",
            }
        ),
    )
    .with("requestedState", requested.map(str::to_owned))
    .with("existingState", existing.to_owned())
}

pub(super) fn invalid_state(text: &str) -> Fault {
    Fault::new("InvalidState", text)
}

pub(super) fn task_in_progress(task: &Moref) -> Fault {
    Fault::new("TaskInProgress", "Another task is already in progress.").with("task", task.clone())
}

/// The host of what is to be worked on can't be reached.
pub(super) fn host_not_connected() -> Fault {
    Fault::new("HostNotConnected", "Unable to communicate with the remote host, since it is disconnected.")
}

pub(super) fn request_canceled() -> Fault {
    Fault::new("RequestCanceled", "The task was canceled by a user.")
}

pub(super) fn tools_unavailable() -> Fault {
    Fault::new(
        "ToolsUnavailable",
        "Cannot complete operation because VMware Tools is not running in this virtual machine.",
    )
}

/// A failure of Tools by the two numbers of their library.
pub(super) fn vix(code: u32) -> Fault {
    let reason = format!("vix error codes = ({code}, 0).\n");
    Fault::new("SystemError", format!("A general system error occurred: {reason}")).with("reason", reason)
}

pub(super) fn system_error(reason: &str) -> Fault {
    Fault::new("SystemError", format!("A general system error occurred: {reason}")).with("reason", reason.to_owned())
}

/// A guest's fault whose type says it all.
pub(super) fn guest(kind: &str, message: &str) -> Fault {
    Fault::new(kind, message)
}

pub(super) fn invalid_guest_login() -> Fault {
    guest("InvalidGuestLogin", "Failed to authenticate with the guest operating system using the supplied credentials.")
}

pub(super) fn permission_denied() -> Fault {
    guest("GuestPermissionDenied", "Permission to perform this operation was denied.")
}

/// A fault about a file: `FileNotFound`, `FileAlreadyExists`, `CannotAccessFile`, `NoDiskSpace`, …
pub(super) fn file(kind: &str, path: &str) -> Fault {
    let text = match kind {
        "FileNotFound" => format!("File {path} was not found"),
        "FileAlreadyExists" => format!("The specified key, name, or identifier '{path}' already exists."),
        "NoDiskSpace" => format!("Insufficient disk space on datastore '{path}'."),
        _ => format!("Unable to access file {path}"),
    };
    let fault = Fault::new(kind, text).with("file", path.to_owned());
    if kind == "NoDiskSpace" { fault.with("datastore", String::new()) } else { fault }
}

/// A message with a key, as warnings and tasks carry them.
pub(super) fn message(key: &str, text: &str) -> LocalizableMessage {
    LocalizableMessage { key: key.to_owned(), arg: Vec::new(), message: Some(text.to_owned()) }
}

/// What a failure of the guests' machinery means for a request that isn't about a file.
pub(super) fn machinery(error: &guests::Error) -> Fault {
    let text = error.to_string();
    let mut fault = match error {
        guests::Error::Gone => return vix(3016),
        guests::Error::Internal(why) if why.contains("No space left") => file("NoDiskSpace", "LocalDS_0"),
        _ => system_error(&text),
    };
    fault.details.push(message("sandbox.guests", &text));
    fault
}

/// What a failed operation on a file of a guest means.
pub(super) fn of_file(error: &guests::Error, path: &str) -> Fault {
    use std::io::ErrorKind;
    match (error, error.io_kind()) {
        (guests::Error::NoSuchUser(_), _) => invalid_guest_login(),
        (_, Some(ErrorKind::NotFound | ErrorKind::NotADirectory)) => file("FileNotFound", path),
        (_, Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)) => permission_denied(),
        (_, Some(ErrorKind::AlreadyExists)) => file("FileAlreadyExists", path),
        (_, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)) => file("NoDiskSpace", path),
        (_, Some(ErrorKind::IsADirectory | ErrorKind::InvalidInput)) => invalid_argument("filePath"),
        (_, Some(_)) => {
            let mut fault = file("CannotAccessFile", path);
            fault.details.push(message("sandbox.guests", &error.to_string()));
            fault
        }
        (other, None) => machinery(other),
    }
}

/// The privilege that a method needs is missing.
pub(super) fn no_permission(object: &Moref, method: &str) -> Fault {
    let privilege = match method {
        "ImportVApp" | "CreateImportSpec" => "VApp.Import",
        "ExportVm" | "CreateDescriptor" => "VApp.Export",
        "CloneVM_Task" => "VirtualMachine.Provisioning.DeployTemplate",
        "ReconfigVM_Task" => "VirtualMachine.Config.AdvancedConfig",
        "PowerOnVM_Task" => "VirtualMachine.Interact.PowerOn",
        "PowerOffVM_Task" | "ShutdownGuest" => "VirtualMachine.Interact.PowerOff",
        "MarkAsTemplate" => "VirtualMachine.Provisioning.MarkAsTemplate",
        "CreateSnapshot_Task" => "VirtualMachine.State.CreateSnapshot",
        "Destroy_Task" => "VirtualMachine.Inventory.Delete",
        "StartProgramInGuest" | "TerminateProcessInGuest" => "VirtualMachine.GuestOperations.Execute",
        "ListProcessesInGuest" | "ListFilesInGuest" | "InitiateFileTransferFromGuest" => {
            "VirtualMachine.GuestOperations.Query"
        }
        guest if guest.ends_with("InGuest") || guest.ends_with("ToGuest") => "VirtualMachine.GuestOperations.Modify",
        reading if reading.starts_with("Retrieve") || reading.starts_with("WaitFor") => "System.Read",
        _ => "System.Modify",
    };
    Fault::new("NoPermission", "Permission to perform this operation was denied.")
        .with("object", object.clone())
        .with("privilegeId", privilege.to_owned())
}

/// A fault of that type with the fields that such a one has, for plans.
pub(super) fn named(kind: &str) -> Fault {
    match kind {
        "NoPermission" => no_permission(&Moref::new("Folder", "group-d1"), ""),
        "InvalidGuestLogin" => invalid_guest_login(),
        "GuestPermissionDenied" => permission_denied(),
        "GuestOperationsUnavailable" => guest(kind, "The guest operations agent could not be contacted."),
        "TaskInProgress" => task_in_progress(&Moref::new("Task", "task-0")),
        "InvalidPowerState" => invalid_power_state(Some("poweredOn"), "poweredOff"),
        "FileNotFound" | "FileAlreadyExists" | "CannotAccessFile" | "FileFault" | "NoDiskSpace" => {
            file(kind, "/a/file")
        }
        "InvalidArgument" => invalid_argument("spec"),
        "InvalidName" => invalid_name("a name", None),
        "DuplicateName" => duplicate_name("a name", &Moref::new("VirtualMachine", "vm-0")),
        "ManagedObjectNotFound" => not_found(&Moref::new("VirtualMachine", "vm-0")),
        "RequestCanceled" => request_canceled(),
        "ToolsUnavailable" => tools_unavailable(),
        "SystemError" => system_error("injected by the sandbox's fault plan"),
        other => Fault::new(other, format!("{other}, injected by the sandbox's fault plan.")),
    }
}

/// The response of a method that returns a value.
pub(super) fn response<T: Field>(method: &str, value: &T) -> Element {
    let mut element = Element::new(format!("{method}Response"));
    value.write("returnval", &mut element);
    element
}

/// A response with a value of any type.
pub(super) fn response_any(method: &str, value: Option<Any>) -> Element {
    let mut element = Element::new(format!("{method}Response"));
    element.children.extend(value.map(|any| any.0.named("returnval")));
    element
}
