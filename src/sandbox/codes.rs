//! Codes of the sandbox (950–979).

use crate::diagnostic::{Code, Severity};

/// Its address can't be listened at.
pub static SANDBOX_ADDRESS: Code = Code {
    number: 950,
    name: "sandbox-address",
    severity: Severity::Error,
    about: "The sandbox is a server, and its address can't be used: another program listens there (an earlier sandbox \
            that still runs, say), the address is not one of this machine, or the port is below 1024 and needs root. \
            `--listen 127.0.0.1:0` takes a free port.",
    wrong: "",
    right: "",
};

/// The system refuses what guests are made of.
pub static SANDBOX_GUESTS: Code = Code {
    number: 951,
    name: "sandbox-guests-refused",
    severity: Severity::Error,
    about: "Guests of the sandbox are Linux namespaces over layers of a file system, made without any helper program. \
            Some systems forbid ordinary users, or everybody in a container, to make them; the message names the step \
            that was refused, and the help the setting that allows it.",
    wrong: "",
    right: "",
};

/// A template can't be used.
pub static SANDBOX_TEMPLATE: Code = Code {
    number: 952,
    name: "sandbox-template",
    severity: Severity::Error,
    about: "A template of the sandbox is a directory with the root of a Linux system, or an uncompressed tar archive \
            of one: it needs at least a shell at /bin/sh. `debootstrap --variant=minbase bookworm DIR` makes one, and \
            so does the export of a container's file system.",
    wrong: "",
    right: "",
};

/// It can't be started for another reason.
pub static SANDBOX_FAILED: Code = Code {
    number: 953,
    name: "sandbox-failed",
    severity: Severity::Error,
    about: "The sandbox could not start. That is a fault of this machine (out of memory or of file descriptors, say) \
            or of the program; the message has what is known.",
    wrong: "",
    right: "",
};

/// What was kept can't be used.
pub static SANDBOX_STATE: Code = Code {
    number: 954,
    name: "sandbox-state",
    severity: Severity::Error,
    about: "The directory given by `--state` keeps the sandbox's inventory and its guests' file systems across \
            restarts. It can't be read or written, is in use by another sandbox, or was written by a version that \
            this one doesn't understand. Another directory, or none, begins anew.",
    wrong: "",
    right: "",
};

/// A flag of the sandbox can't be understood.
pub static SANDBOX_FLAG: Code = Code {
    number: 955,
    name: "sandbox-flag",
    severity: Severity::Error,
    about: "A flag of the sandbox has a form of its own: `--sandbox-template NAME=DIR` or `NAME=ARCHIVE.tar`, \
            `--sandbox-login USER:PASSWORD`, `--boot-delay 250ms`.",
    wrong: "",
    right: "",
};

/// What changes can't be kept at present.
pub static SANDBOX_UNKEPT: Code = Code {
    number: 956,
    name: "sandbox-unkept",
    severity: Severity::Warning,
    about: "The sandbox goes on, but its `--state` can't be written: the disk is full, most likely. What was written \
            before is whole, and the next change is written with all before it as soon as that is possible.",
    wrong: "",
    right: "",
};

/// All of them, by number.
pub static ALL: &[&Code] = &[
    &SANDBOX_ADDRESS,
    &SANDBOX_GUESTS,
    &SANDBOX_TEMPLATE,
    &SANDBOX_FAILED,
    &SANDBOX_STATE,
    &SANDBOX_FLAG,
    &SANDBOX_UNKEPT,
];
