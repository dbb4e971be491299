//! Codes of connection and login (7xx), of guest operations as the server reports them (850–899), and of vSphere
//! operations (9xx). No VMWfile raises them: they come from servers, so they have no examples.

use crate::diagnostic::{Code, Severity};

const fn code(number: u16, name: &'static str, about: &'static str) -> Code {
    Code { number, name, severity: Severity::Error, about, wrong: "", right: "" }
}

/// Bad server setting.
pub static BAD_ADDRESS: Code = code(
    700,
    "bad-server-setting",
    "The address of the server, a thumbprint, or a CA file can't be used as it is written. An address is a host name, \
     optionally with scheme, port and path: `vc.example.com`, `https://vc.example.com:8443/sdk`. A thumbprint is the \
     SHA-1 or SHA-256 of the server's certificate in hexadecimal digits. A CA file holds certificates in PEM form.",
);

/// Host not resolved.
pub static NO_SUCH_HOST: Code = code(
    701,
    "host-not-resolved",
    "The server's name has no address. The name may be misspelt, or the resolver of this machine may not know the \
     network that the server is in (a VPN that is down, say). Nothing was sent.",
);

/// Connection refused.
pub static REFUSED: Code = code(
    702,
    "connection-refused",
    "The host exists, but nothing accepts connections on that port. vCenter listens on port 443; after a restart its \
     services take some minutes. Check the port in the address, and whether the server is up.",
);

/// Server unreachable.
pub static UNREACHABLE: Code = code(
    703,
    "server-unreachable",
    "No connection could be made, or it broke. A firewall may drop packets, the server may be down, or a proxy in \
     between may have closed the connection. Calls that can safely be repeated were tried three times.",
);

/// Server unavailable.
pub static UNAVAILABLE: Code = code(
    704,
    "server-unavailable",
    "The server, or a proxy before it, answers that it can't serve at present (HTTP 502, 503 or 504). vCenter does so \
     while its services start. Calls that can safely be repeated were tried three times.",
);

/// Certificate authority unknown.
pub static UNKNOWN_AUTHORITY: Code = code(
    705,
    "certificate-authority-unknown",
    "The server's certificate was issued by an authority that this machine doesn't trust, as is usual for a vCenter \
     with its own certificate authority. Compare the shown thumbprint with the server's own, by a way that nobody can \
     tamper with; then trust that one certificate by its thumbprint, or trust the authority by its CA file. Accepting \
     any certificate gives the password to whoever sits in between.",
);

/// Certificate for another name.
pub static NAME_MISMATCH: Code = code(
    706,
    "certificate-for-another-name",
    "The server's certificate is for other names than the one in the address. Use the name that the certificate is \
     for; an address in numbers is seldom in a certificate. Where that can't be, trust the certificate by its \
     thumbprint after comparing it.",
);

/// Certificate expired.
pub static CERTIFICATE_EXPIRED: Code = code(
    707,
    "certificate-expired",
    "The server's certificate has expired, or isn't valid yet. Check the clocks of this machine and of the server, \
     then have the certificate renewed. A thumbprint doesn't help: an expired certificate stays expired.",
);

/// Thumbprint mismatch.
pub static THUMBPRINT_MISMATCH: Code = code(
    708,
    "thumbprint-mismatch",
    "The server shows another certificate than the one whose thumbprint is trusted. Either the certificate was \
     renewed, and the thumbprint has to be replaced after comparing it; or somebody sits in between, and nothing may \
     be sent.",
);

/// Tls failed.
pub static TLS_FAILED: Code = code(
    709,
    "tls-failed",
    "No TLS connection could be agreed on. What listens there may not speak TLS at all (an HTTP port), or offer only \
     versions and ciphers that are no longer safe. TLS 1.2 or later is needed.",
);

/// Not a vsphere server.
pub static NOT_VSPHERE: Code = code(
    710,
    "not-a-vsphere-server",
    "What answered is not a vSphere server, or a proxy answered in its place: the reply is a web page, or something \
     else that is not a SOAP message. Check host, port and path (`/sdk`), and whether a proxy lets the connection \
     through.",
);

/// Login refused.
pub static LOGIN_REFUSED: Code = code(
    711,
    "login-refused",
    "The server refused user and password. It is not tried again, since servers lock accounts after a few failures. A \
     user usually needs a domain (`user@vsphere.local`); passwords in a URL need `%` escapes for special characters.",
);

/// Guest agent unavailable.
pub static GUEST_UNAVAILABLE: Code = code(
    850,
    "guest-agent-unavailable",
    "The agent in the guest (VMware Tools or open-vm-tools) doesn't answer. Either it isn't installed or running, or \
     the guest is booting, restarting or upgrading its Tools. It is waited for up to the deadline.",
);

/// Guest login refused.
pub static GUEST_LOGIN: Code = code(
    851,
    "guest-authentication-failed",
    "The guest refused user and password. Besides a wrong password: an expired one, a locked account, a login shell \
     that isn't in /etc/shells, or a PAM configuration (`/etc/pam.d/vmtoolsd`) that refuses. Windows refuses empty \
     passwords. Just after a boot a guest may refuse everybody for some seconds.",
);

/// Guest permission denied.
pub static GUEST_DENIED: Code = code(
    852,
    "guest-permission-denied",
    "The guest's user may not do that: the operating system in the guest refused it. Log in as a user who may, or let \
     the command become another user.",
);

/// Guest busy.
pub static GUEST_BUSY: Code = code(
    853,
    "guest-busy",
    "The virtual machine or its agent is busy with something else: a snapshot that has frozen its file systems, a \
     reconfiguration, a migration. The call was repeated up to the deadline.",
);

/// Guest not powered on.
pub static GUEST_POWER: Code = code(
    854,
    "guest-not-powered-on",
    "The virtual machine isn't powered on, so nothing can be done in its guest. It may have been powered off by \
     somebody else, or have shut down by itself.",
);

/// Guest file.
pub static GUEST_FILE: Code = code(
    855,
    "guest-file",
    "A file or directory of the guest can't be used: it doesn't exist, exists already, is locked, or can't be read or \
     written. The parent directory of a file must exist.",
);

/// Guest argument refused.
pub static GUEST_ARGUMENT: Code = code(
    856,
    "guest-argument-refused",
    "The guest's agent refused an argument: a program path that isn't absolute, an environment variable without `=`, \
     a symbolic link where a file is meant, or file attributes of the wrong family.",
);

/// Guest process unknown.
pub static GUEST_PROCESS: Code = code(
    857,
    "guest-process-unknown",
    "The guest knows no such process. It ended more than five minutes ago, or the agent restarted meanwhile: both \
     forget a process and its exit code.",
);

/// Guest operations disabled.
pub static GUEST_DISABLED: Code = code(
    858,
    "guest-operations-disabled",
    "Guest operations are switched off in the guest, in the section `[guestoperations]` of its `tools.conf` \
     (/etc/vmware-tools/tools.conf). Remove the setting there, and restart the agent.",
);

/// Guest operation unsupported.
pub static GUEST_UNSUPPORTED: Code = code(
    859,
    "guest-operation-unsupported",
    "The guest's operating system or its version of VMware Tools doesn't support that operation. Upgrade VMware Tools \
     or open-vm-tools in the template.",
);

/// Guest operation failed.
pub static GUEST_FAILED: Code = code(
    860,
    "guest-operation-failed",
    "An operation in the guest failed for a reason that has no kind of its own. The server's own words are shown.",
);

/// Guest transfer failed.
pub static TRANSFER_FAILED: Code = code(
    861,
    "guest-transfer-failed",
    "A file transfer with the guest failed. File transfers don't go through vCenter: it hands out a URL on the ESXi \
     host that runs the virtual machine, and that host must be reachable from here on TCP port 443. A migration or a \
     change of power state makes such URLs void; they were asked for anew.",
);

/// A disk of a lease.
pub static DISK_FAILED: Code = code(
    862,
    "disk-transfer-failed",
    "A disk couldn't be sent or fetched. Disks don't go through vCenter: it hands out URLs on the ESXi host that has them, \
     and that host must be reachable from here on TCP port 443. What was begun is given up, and nothing is left of it.",
);

/// A file of a web server.
pub static DOWNLOAD_FAILED: Code = code(
    863,
    "download-failed",
    "A file couldn't be fetched from a web server. Its certificate is checked as usual; it may send on to another place, \
     but not to one without encryption.",
);

/// Privilege missing.
pub static NO_PRIVILEGE: Code = code(
    900,
    "privilege-missing",
    "The vSphere account lacks a privilege on an object. The server names both; give the account a role that has the \
     privilege on that object (or on one above it, with propagation).",
);

/// Object not found.
pub static NO_OBJECT: Code = code(
    901,
    "object-not-found",
    "The inventory has no such object, or the account can't see it. Objects are named by their name, by the end of \
     their path (`folder/name`), or by the whole path (`/DC/vm/folder/name`). A `/` within a name is written `%2f`.",
);

/// Object ambiguous.
pub static AMBIGUOUS: Code = code(
    902,
    "object-ambiguous",
    "Several objects fit. Names repeat across folders and datacenters: name the object by its path, or narrow it down \
     by a datacenter, cluster or host.",
);

/// Name taken.
pub static NAME_TAKEN: Code = code(
    903,
    "name-exists",
    "There is an object of that name in that place already. Choose another name or folder, or say that the old one is \
     to be replaced.",
);

/// Operation failed.
pub static TASK_FAILED: Code = code(
    904,
    "operation-failed",
    "A vSphere operation failed. The server's own words are shown, from the outermost reason to the innermost.",
);

/// Deadline passed.
pub static DEADLINE: Code = code(
    905,
    "deadline-passed",
    "Something took longer than was allowed. Where it was a task of the server, it was asked to cancel it.",
);

/// Licence forbids.
pub static LICENCE: Code = code(
    906,
    "licence-forbids",
    "The licence of that server doesn't allow the operation. ESXi hosts with a free licence can be read through the \
     API but not changed.",
);

/// Operation not supported.
pub static NOT_SUPPORTED: Code = code(
    907,
    "operation-not-supported",
    "The server doesn't support that operation on that object. Cloning needs a vCenter: an ESXi host can't.",
);

/// Wrong power state.
pub static POWER_STATE: Code = code(
    908,
    "wrong-power-state",
    "The operation needs the virtual machine in another power state: a template can only be made of one that is \
     powered off, and guest operations need one that is powered on.",
);

/// Object busy.
pub static BUSY: Code = code(
    909,
    "object-busy",
    "Another operation holds the object. Wait until it is over, or see in the server's task list what it is.",
);

/// Storage problem.
pub static STORAGE: Code = code(
    910,
    "storage-problem",
    "The storage refuses: no space is left on the datastore, or it can't be accessed from that host, or a file is \
     locked.",
);

/// Question pending.
pub static QUESTION: Code = code(
    911,
    "question-pending",
    "The virtual machine waits for somebody to answer a question, and does nothing until then. Answer it in the \
     vSphere client, or change what it asks about in the template.",
);

/// Object gone.
pub static OBJECT_GONE: Code = code(
    912,
    "object-gone",
    "The object no longer exists: somebody else deleted it while it was in use here. Nothing can be done with it any \
     more; what was made of it before is kept.",
);

/// Resources short.
pub static RESOURCES: Code = code(
    913,
    "resources-short",
    "The host, cluster or pool lacks what the virtual machine needs: memory, processors, or a host that fits. Choose \
     another place, or give it less.",
);

/// Request refused.
pub static INVALID_REQUEST: Code = code(
    914,
    "request-refused",
    "The server doesn't accept a part of the request: a name, a value or a device that isn't allowed there. What it \
     names is shown.",
);

/// Operation cancelled.
pub static CANCELLED: Code = code(
    915,
    "operation-cancelled",
    "The operation was cancelled, by this program when it was interrupted, or by somebody in the vSphere client.",
);

/// All of them, by number.
pub static ALL: &[&Code] = &[
    &BAD_ADDRESS,
    &NO_SUCH_HOST,
    &REFUSED,
    &UNREACHABLE,
    &UNAVAILABLE,
    &UNKNOWN_AUTHORITY,
    &NAME_MISMATCH,
    &CERTIFICATE_EXPIRED,
    &THUMBPRINT_MISMATCH,
    &TLS_FAILED,
    &NOT_VSPHERE,
    &LOGIN_REFUSED,
    &GUEST_UNAVAILABLE,
    &GUEST_LOGIN,
    &GUEST_DENIED,
    &GUEST_BUSY,
    &GUEST_POWER,
    &GUEST_FILE,
    &GUEST_ARGUMENT,
    &GUEST_PROCESS,
    &GUEST_DISABLED,
    &GUEST_UNSUPPORTED,
    &GUEST_FAILED,
    &TRANSFER_FAILED,
    &DISK_FAILED,
    &DOWNLOAD_FAILED,
    &NO_PRIVILEGE,
    &NO_OBJECT,
    &AMBIGUOUS,
    &NAME_TAKEN,
    &TASK_FAILED,
    &DEADLINE,
    &LICENCE,
    &NOT_SUPPORTED,
    &POWER_STATE,
    &BUSY,
    &STORAGE,
    &QUESTION,
    &OBJECT_GONE,
    &RESOURCES,
    &INVALID_REQUEST,
    &CANCELLED,
];
