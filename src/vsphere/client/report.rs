//! Errors as diagnostics: a code, the server's own words as notes, and the next step.

use super::error::{ConnectKind, Error, GuestFault, TlsKind};
use crate::diagnostic::{Code, Diagnostic};
use crate::vsphere::codes;
use crate::vsphere::wire::Fault;

impl Error {
    /// As a diagnostic without a place, with its code, notes and the next step.
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            Error::Usage(text) => Diagnostic::new(&codes::BAD_ADDRESS, text),
            Error::Unsupported(text) => Diagnostic::new(&codes::NOT_SUPPORTED, text),
            Error::Connect { address, kind, detail, lost_reply } => connect(address, *kind, detail, *lost_reply),
            Error::Tls { address, kind, presented, detail } => tls(address, *kind, presented.as_deref(), detail),
            Error::Unavailable { status, detail, .. } => {
                let d = Diagnostic::new(&codes::UNAVAILABLE, self.to_string())
                    .help("wait until the server's services have started, and try again");
                if detail.is_empty() { d } else { d.note(format!("HTTP {status}: {detail}")) }
            }
            Error::Login { address, user, fault } => {
                let message = format!("{address} refused the login of `{user}`");
                with_words(Diagnostic::new(&codes::LOGIN_REFUSED, message), fault)
                    .help("check user (with its domain, as in user@vsphere.local) and password")
            }
            Error::Protocol { address, excerpt, .. } => {
                let d = Diagnostic::new(&codes::NOT_VSPHERE, self.to_string())
                    .help(format!("check that {address} is a vCenter or ESXi host, and no proxy answers in its place"));
                if excerpt.is_empty() { d } else { d.note(format!("the reply begins: {excerpt}")) }
            }
            Error::Fault { call, object, fault } => {
                let d = operation(&format!("{call} on {} {} failed", object.kind, object.value), fault);
                with_words(d, fault)
            }
            Error::Task { what, fault } => with_words(operation(&format!("can't {what}"), fault), fault),
            Error::Rest { what, kind, messages } => rest(what, kind, messages),
            Error::Guest { what, user, kind, fault } => with_words(guest(what, user, *kind), fault),
            Error::Transfer { address, connection, .. } => self.transfer(&codes::TRANSFER_FAILED, address, connection.as_deref()),
            Error::Disk { address, connection, .. } => self.transfer(&codes::DISK_FAILED, address, connection.as_deref()),
            Error::Web { status, connection, .. } => self.web(*status, connection.as_deref()),
            Error::Stalled { .. } => Diagnostic::new(&codes::DEADLINE, self.to_string()).help(
                "look at the network between here and the ESXi host that runs the machine, and at the space that is left in \
                 the guest; then try again",
            ),
            Error::Timeout { .. } => Diagnostic::new(&codes::DEADLINE, self.to_string()).help(
                "look in vCenter at the task, the machine's console and the state of VMware Tools: what is slow or hangs \
                 shows there; then try again",
            ),
            Error::NotFound { kind, near, more, .. } => {
                let d = Diagnostic::new(&codes::NO_OBJECT, self.to_string());
                match near.as_slice() {
                    [] => d.help(format!("the account sees no {kind} at all: check its permissions")),
                    [one] if *more == 0 => d.help(format!("did you mean `{one}`?")),
                    several if *more == 0 => d.help(format!("there are: {}", several.join(", "))),
                    several => d.help(format!("there are {}, and {more} more", several.join(", "))),
                }
            }
            Error::Unusable { why, .. } => {
                let d = Diagnostic::new(&codes::NO_OBJECT, self.to_string());
                match why.as_slice() {
                    [] => d.help("it has no datastores that the account sees: name another one"),
                    why => why.iter().fold(d, |d, member| d.note(member.clone())).help("name another one"),
                }
            }
            Error::Ambiguous { kind, .. } => {
                Diagnostic::new(&codes::AMBIGUOUS, self.to_string()).help(format!("name the {kind} by its path"))
            }
            Error::Question { choices, .. } => {
                let answers: Vec<_> = choices.iter().map(|(_, label)| label.as_str()).collect();
                Diagnostic::new(&codes::QUESTION, self.to_string())
                    .note(format!("it allows: {}", answers.join(", ")))
                    .help("answer it in the vSphere client, or change in the template what it asks about")
            }
        }
    }
}

impl Error {
    fn web(&self, status: Option<u16>, connection: Option<&Error>) -> Diagnostic {
        let d = Diagnostic::new(&codes::DOWNLOAD_FAILED, self.to_string());
        let Some(inner) = connection else {
            return d.help(match status {
                Some(401 | 403) => {
                    "no login is sent: name a URL that carries its own key, as a signed one does, or fetch the file before \
                     and name it by its path"
                }
                Some(404 | 410) => "check the address: the server has nothing there",
                _ => "check the address; a login, a licence page or a proxy may stand before the file",
            });
        };
        // What is trusted for the vCenter alone is no help here.
        let of_certificate = match inner {
            Error::Tls { kind: TlsKind::UnknownAuthority, .. } => Some(
                "trust its authority with --ca, or the system's; --thumbprint and --insecure are for the vCenter alone",
            ),
            Error::Tls { kind: TlsKind::NameMismatch, .. } => {
                Some("name the server as its certificate does; --thumbprint and --insecure are for the vCenter alone")
            }
            _ => None,
        };
        let inner = inner.diagnostic();
        let d = inner.notes.into_iter().fold(d.note(inner.message), Diagnostic::note);
        match of_certificate.map(str::to_owned).or(inner.help) {
            Some(help) => d.help(help),
            None => d,
        }
    }

    fn transfer(&self, code: &'static Code, address: &str, connection: Option<&Error>) -> Diagnostic {
        let d = Diagnostic::new(code, self.to_string());
        match connection.map(Error::diagnostic) {
            Some(inner) => {
                let d = d.help(format!(
                    "file transfers go straight to the host that runs the virtual machine: let this machine reach \
                     {address} on TCP port 443"
                ));
                inner.notes.into_iter().fold(d.note(inner.message), Diagnostic::note)
            }
            None if code.number == codes::DISK_FAILED.number => d.help(
                "see the events of the host and of the datastore in vCenter; nothing of it is left, so begin again",
            ),
            None => d,
        }
    }
}

fn connect(address: &str, kind: ConnectKind, detail: &str, lost_reply: bool) -> Diagnostic {
    let (code, message, help): (&'static Code, _, _) = match kind {
        ConnectKind::Dns => (
            &codes::NO_SUCH_HOST,
            format!("the name of {address} can't be resolved"),
            "check the name, and that this machine's resolver knows the server's network",
        ),
        ConnectKind::Refused => {
            (&codes::REFUSED, format!("{address} refuses connections"), "check the port, and that the server is up")
        }
        ConnectKind::Unreachable => (
            &codes::UNREACHABLE,
            format!("there is no way to {address}"),
            "check the network between this machine and the server",
        ),
        ConnectKind::TimedOut => (
            &codes::UNREACHABLE,
            format!("{address} doesn't answer"),
            "check that the server is up, and that no firewall drops the connection",
        ),
        ConnectKind::Closed | ConnectKind::Other if lost_reply => (
            &codes::UNREACHABLE,
            format!("the connection to {address} broke before the answer was there"),
            "check that the server is still up; a restart or failover breaks connections",
        ),
        ConnectKind::Closed | ConnectKind::Other => {
            (&codes::UNREACHABLE, format!("can't connect to {address}"), "check the address, and that the server is up")
        }
    };
    Diagnostic::new(code, message).note(detail).help(help)
}

fn tls(address: &str, kind: TlsKind, presented: Option<&str>, detail: &str) -> Diagnostic {
    let (code, message, help): (&'static Code, _, _) = match kind {
        TlsKind::UnknownAuthority => (
            &codes::UNKNOWN_AUTHORITY,
            format!("the certificate of {address} is issued by an unknown authority"),
            "compare the thumbprint with the server's own, then trust it with --thumbprint, or the authority with --ca",
        ),
        TlsKind::NameMismatch => (
            &codes::NAME_MISMATCH,
            format!("the certificate of {address} is for another name"),
            "use the name that the certificate is for, or trust it with --thumbprint after comparing",
        ),
        TlsKind::Expired => (
            &codes::CERTIFICATE_EXPIRED,
            format!("the certificate of {address} has expired or isn't valid yet"),
            "check the clocks of this machine and of the server, and have the certificate renewed",
        ),
        TlsKind::ThumbprintMismatch => (
            &codes::THUMBPRINT_MISMATCH,
            format!("{address} shows another certificate than the trusted one"),
            "find out whether the certificate was renewed; only then replace the thumbprint",
        ),
        TlsKind::Other => (
            &codes::TLS_FAILED,
            format!("no TLS connection with {address}"),
            "check the port, and that the server offers TLS 1.2 or later",
        ),
    };
    let d = Diagnostic::new(code, message).note(detail).help(help);
    match presented {
        Some(thumbprint) => d.note(format!("it shows the certificate with the SHA-256 thumbprint {thumbprint}")),
        None => d,
    }
}

/// What a fault of an operation means, and the next step.
fn operation(message: &str, fault: &Fault) -> Diagnostic {
    let field = |name: &str| fault.field(name).unwrap_or("?").to_owned();
    let make = |code: &'static Code| Diagnostic::new(code, message);
    // Derived types stand before their bases.
    let table: &[(&str, &'static Code, &str)] = &[
        ("NotAuthenticated", &codes::LOGIN_REFUSED, "the session has ended and logging in again didn't help"),
        ("NoPermission", &codes::NO_PRIVILEGE, ""),
        ("RestrictedVersion", &codes::LICENCE, "ESXi with a free licence can't be changed through the API"),
        ("NotEnoughLicenses", &codes::LICENCE, "see the server's licences"),
        ("RequestCanceled", &codes::CANCELLED, ""),
        ("DuplicateName", &codes::NAME_TAKEN, "choose another name or folder, or have the old one replaced"),
        ("AlreadyExists", &codes::NAME_TAKEN, "choose another name"),
        ("FileAlreadyExists", &codes::NAME_TAKEN, "choose another name, or remove what is left of the old one"),
        ("ManagedObjectNotFound", &codes::OBJECT_GONE, "somebody else deleted it; start again"),
        ("InvalidPowerState", &codes::POWER_STATE, ""),
        ("QuestionPending", &codes::QUESTION, "answer it in the vSphere client"),
        ("TaskInProgress", &codes::BUSY, "wait until the other operation is over"),
        ("InvalidState", &codes::BUSY, "wait until the other operation is over"),
        ("ConcurrentAccess", &codes::BUSY, "somebody else changes it at the same time; try again"),
        ("ResourceInUse", &codes::BUSY, ""),
        ("NoDiskSpace", &codes::STORAGE, "make room on the datastore, or choose another"),
        ("InsufficientStorageSpace", &codes::STORAGE, "make room on the datastore, or choose another"),
        ("FileFault", &codes::STORAGE, ""),
        ("InvalidDatastore", &codes::STORAGE, "choose a datastore that the host can access"),
        ("InsufficientResourcesFault", &codes::RESOURCES, "choose another place, or give the machine less"),
        ("NoCompatibleHost", &codes::RESOURCES, "choose another cluster or host"),
        (
            "NotSupported",
            &codes::NOT_SUPPORTED,
            "connect to a vCenter: an ESXi host alone can't clone or make templates",
        ),
        ("NotImplemented", &codes::NOT_SUPPORTED, ""),
        ("MethodNotFound", &codes::NOT_SUPPORTED, ""),
        ("InvalidName", &codes::INVALID_REQUEST, ""),
        ("InvalidArgument", &codes::INVALID_REQUEST, ""),
        ("InvalidProperty", &codes::INVALID_REQUEST, ""),
        ("InvalidRequest", &codes::INVALID_REQUEST, ""),
        ("VmConfigFault", &codes::INVALID_REQUEST, ""),
        ("InvalidFolder", &codes::INVALID_REQUEST, ""),
    ];
    let Some((kind, code, help)) = table.iter().find(|(kind, ..)| fault.is_a(kind)) else {
        return make(&codes::TASK_FAILED);
    };
    let d = make(code);
    let object =
        |name: &str| fault.object(name).map_or_else(|| "an object".to_owned(), |o| format!("{} {}", o.kind, o.value));
    match *kind {
        "NoPermission" => {
            let (privilege, on) = (field("privilegeId"), object("object"));
            d.note(format!("the account lacks the privilege {privilege} on {on}"))
                .help(format!("give the account a role with {privilege} on {on}, or on something above it"))
        }
        "DuplicateName" => d.note(format!("`{}` is the name of {}", field("name"), object("object"))).help(*help),
        "AlreadyExists" => d.note(format!("there is `{}` already", field("name"))).help(*help),
        "InvalidPowerState" => {
            let wanted = fault.field("requestedState").map(|s| format!(", and should be {s}")).unwrap_or_default();
            d.note(format!("the virtual machine is {}{wanted}", field("existingState")))
        }
        "InvalidProperty" | "InvalidName" => d.note(format!("it refuses `{}`", field("name"))),
        "InvalidArgument" | "VmConfigFault" => match fault.field("invalidProperty").or(fault.field("property")) {
            Some(property) => d.note(format!("it refuses `{property}`")),
            None => d,
        },
        "FileAlreadyExists" => d.note(format!("the file is {}", field("file"))).help(*help),
        "FileFault" => match fault.field("file") {
            Some(file) => d.note(format!("the file is {file}")),
            None => d,
        },
        _ if help.is_empty() => d,
        _ => d.help(*help),
    }
}

/// What an error of the REST API means, and the next step.
fn rest(what: &str, kind: &str, messages: &[String]) -> Diagnostic {
    let (code, help): (&'static Code, _) = match kind {
        "unauthenticated" => (&codes::LOGIN_REFUSED, "the session has ended and logging in again didn't help"),
        "unauthorized" => {
            (&codes::NO_PRIVILEGE, "give the account a role that allows it; docs/settings.md lists what is needed")
        }
        "no_such_service" => {
            (&codes::NOT_SUPPORTED, "tags and content libraries need a vCenter: an ESXi host alone has none of them")
        }
        "not_found" => (&codes::OBJECT_GONE, "somebody else deleted it; start again"),
        "already_exists" => (&codes::NAME_TAKEN, "choose another name"),
        "resource_busy" | "concurrent_change" | "not_allowed_in_current_state" | "resource_in_use" => {
            (&codes::BUSY, "somebody else changes it at the same time; try again")
        }
        "unable_to_allocate_resource" | "resource_inaccessible" => {
            (&codes::RESOURCES, "choose another place, or make room")
        }
        "unsupported" | "operation_not_found" => (&codes::NOT_SUPPORTED, "a newer vCenter may be able to"),
        "invalid_argument" | "invalid_element_type" | "unexpected_input" => {
            (&codes::INVALID_REQUEST, "see the server's words")
        }
        _ => (&codes::TASK_FAILED, "see the server's words, and its log"),
    };
    let words = match messages {
        [] => kind.to_owned(),
        messages => format!("{} ({kind})", messages.join(" — ")),
    };
    Diagnostic::new(code, format!("can't {what}")).note(format!("the server says: {words}")).help(help)
}

fn guest(what: &str, user: &str, kind: GuestFault) -> Diagnostic {
    let (code, help): (&'static Code, _) = match kind {
        GuestFault::Unavailable => (
            &codes::GUEST_UNAVAILABLE,
            "see whether VMware Tools or open-vm-tools run in the guest, and whether it is restarting".to_owned(),
        ),
        GuestFault::Login => (
            &codes::GUEST_LOGIN,
            format!("check the password of `{user}`, its login shell, and /etc/pam.d/vmtoolsd in the guest"),
        ),
        GuestFault::Denied => (&codes::GUEST_DENIED, format!("`{user}` may not do that in the guest")),
        GuestFault::Busy => {
            (&codes::GUEST_BUSY, "a snapshot, migration or reconfiguration may be running; see its tasks".to_owned())
        }
        GuestFault::PowerState => {
            (&codes::GUEST_POWER, "see in the server's events why it isn't powered on".to_owned())
        }
        GuestFault::FileNotFound => (&codes::GUEST_FILE, "there is no such file; its directory must exist".to_owned()),
        GuestFault::FileExists => (&codes::GUEST_FILE, "there is such a file already".to_owned()),
        GuestFault::File => (&codes::GUEST_FILE, "see path, rights and free space in the guest".to_owned()),
        GuestFault::Argument => {
            (&codes::GUEST_ARGUMENT, "the guest's agent refuses an argument of the call".to_owned())
        }
        GuestFault::ProcessGone => (&codes::GUEST_PROCESS, "it has ended, or the agent was restarted".to_owned()),
        GuestFault::Disabled => (&codes::GUEST_DISABLED, "see [guestoperations] in the guest's tools.conf".to_owned()),
        GuestFault::Unsupported => {
            (&codes::GUEST_UNSUPPORTED, "upgrade VMware Tools or open-vm-tools in the guest".to_owned())
        }
        GuestFault::Other => {
            (&codes::GUEST_FAILED, "see the machine's events, and the log of VMware Tools in the guest".to_owned())
        }
    };
    Diagnostic::new(code, format!("can't {what} in the guest")).help(help)
}

/// Adds what the server itself says.
fn with_words(d: Diagnostic, fault: &Fault) -> Diagnostic {
    let words = fault.messages();
    let kind = if fault.kind.is_empty() { "a fault without a type" } else { &fault.kind };
    match words.is_empty() {
        true => d.note(format!("the server says: {kind}")),
        false => d.note(format!("the server says: {} ({kind})", words.join(" — "))),
    }
}
