//! How errors of the vSphere client are told: whole rendered messages.

use std::time::Duration;

use vmwbuild::diagnostic::{Style, render};
use vmwbuild::source::Sources;
use vmwbuild::vsphere::client::{Class, ConnectKind, Error, GuestFault, TlsKind};
use vmwbuild::vsphere::codes;
use vmwbuild::vsphere::wire::{Fault, Moref};

fn vm() -> Moref {
    Moref::new("VirtualMachine", "vm-42")
}

fn task(fault: Fault) -> Error {
    Error::Task { what: "clone `web`".into(), fault: Box::new(fault) }
}

fn guest(fault: Fault) -> Error {
    let kind = GuestFault::of(&fault).expect("the guest's");
    Error::Guest { what: "start /bin/sh".into(), user: "root".into(), kind, fault: Box::new(fault) }
}

fn connect(kind: ConnectKind, lost_reply: bool) -> Error {
    Error::Connect { address: "vc.example.com".into(), kind, detail: "the system's words".into(), lost_reply }
}

fn tls(kind: TlsKind) -> Error {
    let presented = Some("AB:CD".to_owned());
    Error::Tls { address: "vc.example.com".into(), kind, presented, detail: "the library's words".into() }
}

/// One error of every kind.
fn errors() -> Vec<Error> {
    let fault = |kind: &str| Fault::new(kind, "The server's own words.");
    let text = |t: &str| t.to_owned();
    let mut with_cause = fault("CannotAccessFile").with("file", text("[DS] t/t.vmdk"));
    with_cause.cause = Some(Box::new(Fault::new("FileLocked", "Locked by another host.")));
    vec![
        Error::Usage("`ftp://vc` is not the address of a server: it must begin with https://".into()),
        Error::Unsupported(
            "this server keeps no customization specifications: connect to a vCenter, or take another `--method`"
                .into(),
        ),
        connect(ConnectKind::Dns, false),
        connect(ConnectKind::Refused, false),
        connect(ConnectKind::Unreachable, false),
        connect(ConnectKind::TimedOut, true),
        connect(ConnectKind::Closed, true),
        connect(ConnectKind::Other, false),
        Error::Unavailable {
            address: "vc.example.com".into(),
            call: "Login".into(),
            status: 503,
            detail: "Service Unavailable".into(),
        },
        tls(TlsKind::UnknownAuthority),
        tls(TlsKind::NameMismatch),
        tls(TlsKind::Expired),
        tls(TlsKind::ThumbprintMismatch),
        tls(TlsKind::Other),
        Error::Protocol {
            address: "vc.example.com".into(),
            call: "Login".into(),
            detail: "it is an HTML page (HTTP 200), not a SOAP message".into(),
            excerpt: "<html><title>Proxy says no</title>".into(),
            lost_reply: false,
        },
        Error::Login {
            address: "vc.example.com".into(),
            user: "me@vsphere.local".into(),
            fault: Box::new(Fault::new(
                "InvalidLogin",
                "Cannot complete login due to an incorrect user name or password.",
            )),
        },
        guest(fault("GuestOperationsUnavailable")),
        guest(fault("InvalidGuestLogin")),
        guest(fault("GuestPermissionDenied")),
        guest(fault("TaskInProgress")),
        guest(fault("InvalidPowerState")),
        guest(fault("FileNotFound")),
        guest(fault("FileAlreadyExists")),
        guest(fault("CannotAccessFile")),
        guest(fault("InvalidArgument")),
        guest(fault("GuestProcessNotFound")),
        guest(fault("OperationDisabledByGuest")),
        guest(fault("GuestComponentsOutOfDate")),
        guest(fault("GuestOperationsFault")),
        Error::Transfer {
            address: "esxi-1.example.com".into(),
            path: "/root/x".into(),
            detail: connect(ConnectKind::Refused, false).to_string(),
            connection: Some(Box::new(connect(ConnectKind::Refused, false))),
        },
        Error::Transfer {
            address: "esxi-1.example.com".into(),
            path: "/root/x".into(),
            detail: "HTTP 500 Internal Server Error".into(),
            connection: None,
        },
        Error::Disk {
            address: "esxi-1.example.com".into(),
            path: "web-disk-0.vmdk".into(),
            detail: "the connection broke".into(),
            connection: Some(Box::new(connect(ConnectKind::Closed, true))),
        },
        Error::Disk {
            address: "esxi-1.example.com".into(),
            path: "web-disk-0.vmdk".into(),
            detail: "HTTP 500 Internal Server Error".into(),
            connection: None,
        },
        Error::Web {
            url: "https://example.com/web.ova".into(),
            detail: "the connection broke".into(),
            status: None,
            connection: Some(Box::new(connect(ConnectKind::Closed, true))),
        },
        Error::Web {
            url: "https://example.com/web.ova".into(),
            detail: "HTTP 404 Not Found".into(),
            status: Some(404),
            connection: None,
        },
        Error::Fault {
            call: "PowerOnVM_Task".into(),
            object: vm(),
            fault: Box::new(
                fault("NoPermission").with("object", vm()).with("privilegeId", text("VirtualMachine.Interact.PowerOn")),
            ),
        },
        Error::NotFound {
            kind: "virtual machine or template",
            name: "debian-tmplate".into(),
            near: vec!["/DC0/vm/debian-template".into()],
            more: 0,
        },
        Error::NotFound { kind: "datastore", name: "x".into(), near: vec!["/DC0/a".into(), "/DC0/b".into()], more: 0 },
        Error::NotFound { kind: "datastore", name: "x".into(), near: vec!["/DC0/a".into(), "/DC0/b".into()], more: 7 },
        Error::NotFound { kind: "datastore", name: "x".into(), near: Vec::new(), more: 0 },
        Error::Ambiguous {
            kind: "network",
            name: "VM Network".into(),
            candidates: vec!["/DC0/network/VM Network".into(), "/DC1/network/VM Network".into()],
        },
        Error::Ambiguous {
            kind: "cluster",
            name: String::new(),
            candidates: vec!["/DC0/host/C0".into(), "/DC0/host/C1".into()],
        },
        task(fault("DuplicateName").with("name", text("web")).with("object", vm())),
        task(fault("FileAlreadyExists").with("file", text("[DS] web"))),
        task(fault("SomethingNew")),
        Error::Timeout { what: "clone `web`".into(), allowed: Duration::from_secs(90) },
        task(fault("RestrictedVersion")),
        task(fault("NotSupported")),
        task(
            fault("InvalidPowerState")
                .with("requestedState", text("poweredOff"))
                .with("existingState", text("poweredOn")),
        ),
        task(fault("TaskInProgress")),
        task(fault("NoDiskSpace")),
        task(with_cause),
        Error::Question {
            vm: vm(),
            text: "Was it copied or moved?".into(),
            choices: vec![("0".into(), "Moved".into()), ("1".into(), "Copied".into())],
        },
        task(fault("ManagedObjectNotFound")),
        task(fault("InsufficientMemoryResourcesFault")),
        task(fault("InvalidDeviceSpec").with("property", text("virtualDeviceSpec.device.backing"))),
        task(fault("InvalidName").with("name", text("a\\b"))),
        task(fault("RequestCanceled")),
    ]
}

#[test]
fn every_error_says_what_where_why_and_what_next() {
    let sources = Sources::default();
    let drawn =
        errors().into_iter().map(|e| format!("{:?}\n{}", e.class(), render(&e.diagnostic(), &sources, Style::plain())));
    insta::assert_snapshot!(drawn.collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_code_is_used_and_explained() {
    let used: Vec<u16> = errors().iter().map(|e| e.diagnostic().code.number).collect();
    let mut last = 0;
    for code in codes::ALL {
        assert!(used.contains(&code.number), "{code} is raised by no error above");
        assert!(code.number > last, "{code} is out of order");
        assert!(matches!(code.number, 700..800 | 850..900 | 900..1000), "{code} is out of its range");
        assert!(code.about.len() > 100, "{code} says too little");
        last = code.number;
    }
}

#[test]
fn the_guests_faults_are_told_from_vcenters() {
    let of = |fault: &Fault| GuestFault::of(fault);
    let system = |reason: &str| Fault::new("SystemError", "").with("reason", reason.to_owned());
    for (fault, meaning) in [
        (system("vix error codes = (3016, 0)."), Some(GuestFault::Unavailable)),
        (
            Fault::new("SystemError", "A general system error occurred: vix error codes = (3016, 0)."),
            Some(GuestFault::Unavailable),
        ),
        (system("vix error codes = (5, 0)."), Some(GuestFault::Busy)),
        (system("vix error codes = (1, 0)."), Some(GuestFault::Other)),
        (Fault::new("QuestionPending", ""), Some(GuestFault::Other)),
        (Fault::new("VAppTaskInProgress", ""), Some(GuestFault::Busy)),
        (Fault::new("NoDiskSpace", ""), Some(GuestFault::File)),
        (Fault::new("NoPermission", ""), None),
        (Fault::new("NotAuthenticated", ""), None),
        (Fault::new("RestrictedVersion", ""), None),
        (Fault::new("ManagedObjectNotFound", ""), None),
        (Fault::new("", "no type at all"), Some(GuestFault::Other)),
    ] {
        assert_eq!(of(&fault), meaning, "{fault:?}");
    }
    assert_eq!(guest(Fault::new("FileNotFound", "")).class(), Class::Guest);
}
