//! Codes of guest operations (800–849).

use crate::diagnostic::{Code, Severity};

/// The guest is of a family that can't be handled.
pub static UNSUPPORTED_GUEST: Code = Code {
    number: 800,
    name: "unsupported-guest",
    severity: Severity::Error,
    about: "Commands run in guests that have a POSIX shell. VMware Tools report what family the guest belongs to; \
            this one is another. The stage may name the wrong template.",
    wrong: "",
    right: "",
};

/// The guest refuses the account.
pub static GUEST_LOGIN: Code = Code {
    number: 801,
    name: "guest-login-refused",
    severity: Severity::Error,
    about: "VMware Tools hand user and password to the guest's own authentication (PAM on Linux), and that said no. A \
            wrong password is one reason; an expired one, a locked account, a login shell such as nologin and a strict \
            /etc/pam.d/vmtoolsd are others. Just after boot many guests refuse everybody for some seconds, so then \
            the login is repeated for up to a minute.",
    wrong: "",
    right: "",
};

/// The first command never reported.
pub static GUEST_SILENT: Code = Code {
    number: 802,
    name: "guest-silent",
    severity: Severity::Error,
    about: "The guest accepted the first command, but the files that it should have written never appeared. Typical \
            reasons are a full or read-only /tmp, a login shell or profile that ends at once, and security modules \
            that keep VMware Tools from starting a shell.",
    wrong: "",
    right: "",
};

/// No place to work in.
pub static NO_WORK_DIRECTORY: Code = Code {
    number: 803,
    name: "no-work-directory",
    severity: Severity::Error,
    about: "Scripts and their output stand in a directory that only the login user can read, below its home or else \
            /var/lib or /var/tmp. None of these could be made: the file systems are full or read-only, or \
            belong to somebody else.",
    wrong: "",
    right: "",
};

/// The guest's report makes no sense.
pub static GUEST_REPORT: Code = Code {
    number: 804,
    name: "guest-report-unreadable",
    severity: Severity::Error,
    about: "The supervisor in the guest reports by the names of files in its private directory. These were not what it \
            writes. Something else changed them, or the guest's file system is damaged.",
    wrong: "",
    right: "",
};

/// Something that a shell or environment can't hold.
pub static UNSENDABLE: Code = Code {
    number: 805,
    name: "unsendable",
    severity: Severity::Error,
    about: "Scripts, arguments and environment variables of a Unix guest hold any byte but NUL, and a variable's name is \
            a letter or an underscore, then letters, digits and underscores.",
    wrong: "",
    right: "",
};

/// No way to become a user.
pub static RUN_AS: Code = Code {
    number: 806,
    name: "cannot-become-user",
    severity: Severity::Error,
    about: "USER says who runs a step. Tools log in as the LOGIN user, who becomes that one: root by runuser or su, another \
            one by sudo or doas. sudo is given the password of the LOGIN when it asks, or that of `USER name PASSWORD \
            value`; doas must not ask, for it takes a password from a terminal alone. The guest has none of them, has not \
            the user, or refuses.",
    wrong: "",
    right: "",
};

/// Captured output is too large.
pub static CAPTURE_TOO_LARGE: Code = Code {
    number: 807,
    name: "captured-output-too-large",
    severity: Severity::Error,
    about: "The text of a KEY is at most 1 MiB. What the command printed, or the file holds, is more.",
    wrong: "",
    right: "",
};

/// What was to be copied can't be.
pub static COPY_FAILED: Code = Code {
    number: 808,
    name: "guest-copy-failed",
    severity: Severity::Error,
    about: "COPY and FETCH carry files as a tar archive that the guest unpacks or packs. The guest has no tar, no space, \
            no such path, or the user has no right to it.",
    wrong: "",
    right: "",
};

/// A transfer is needed and impossible.
pub static NO_TRANSFER: Code = Code {
    number: 809,
    name: "no-file-transfer",
    severity: Severity::Error,
    about: "Large files travel over HTTPS between here and the ESXi host that runs the machine. Small ones and commands \
            go through vCenter alone. This one is too large for that, and the host can't be reached, \
            or transfers were ruled out by --guest-channel=vcenter.",
    wrong: "",
    right: "",
};

/// A file here can't be used.
pub static LOCAL_FILE: Code = Code {
    number: 810,
    name: "local-file",
    severity: Severity::Error,
    about: "A file on this computer can't be read or written while files are copied to or from a guest.",
    wrong: "",
    right: "",
};

/// Processes that survive SIGKILL.
pub static UNKILLABLE: Code = Code {
    number: 811,
    name: "unkillable-process",
    severity: Severity::Error,
    about: "A command's processes were sent SIGTERM, then SIGKILL, and some are still there. Processes that wait in the kernel, \
            mostly for storage, can't be ended.",
    wrong: "",
    right: "",
};

/// The guest stopped answering.
pub static GUEST_UNAVAILABLE: Code = Code {
    number: 812,
    name: "guest-unavailable",
    severity: Severity::Error,
    about: "VMware Tools in the guest stopped answering and didn't come back in time. The guest may hang, restart, \
            or have run out of memory. What was started in it may still be running.",
    wrong: "",
    right: "",
};

/// Another account than the one that began.
pub static OTHER_LOGIN: Code = Code {
    number: 813,
    name: "other-guest-login",
    severity: Severity::Error,
    about: "A build that goes on finds its commands in the private directory of the account that it had logged in to the guest             with. LOGIN or the settings name another account now, which can't read that directory.",
    wrong: "",
    right: "",
};

/// All of them, by number.
pub static ALL: &[&Code] = &[
    &UNSUPPORTED_GUEST,
    &GUEST_LOGIN,
    &GUEST_SILENT,
    &NO_WORK_DIRECTORY,
    &GUEST_REPORT,
    &UNSENDABLE,
    &RUN_AS,
    &CAPTURE_TOO_LARGE,
    &COPY_FAILED,
    &NO_TRANSFER,
    &LOCAL_FILE,
    &UNKILLABLE,
    &GUEST_UNAVAILABLE,
    &OTHER_LOGIN,
];
