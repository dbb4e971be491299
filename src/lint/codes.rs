//! The codes of this room: VMW230 to 249, 350 to 399, 400 to 449 and 500 to 549. Each stands in its rule's file;
//! those of the pragmas and of ShellCheck here.

use crate::diagnostic::{Code, Severity};

pub use super::rules::CODES as ALL;

/// `unused-pragma`.
pub static UNUSED_PRAGMA: Code = Code {
    number: 505,
    name: "unused-pragma",
    severity: Severity::Warning,
    about: "The pragma allows something that isn't there. `# vmw: allow(name)` stands directly above the \
            instruction it is for, without an empty line between; `# vmw: allow-file(name)` anywhere. What once \
            was needed and no longer is would hide the next finding of the same kind, so take it out.",
    wrong: concat!("FROM Debian AS web\n", "# vmw: allow(reboot-in-run)\n", "RUN true\n"),
    right: concat!("FROM Debian AS web\n", "# vmw: allow(reboot-in-run)\n", "RUN reboot\n"),
};

/// `unknown-lint`.
pub static UNKNOWN_LINT: Code = Code {
    number: 506,
    name: "unknown-lint",
    severity: Severity::Warning,
    about: "A pragma names a lint that doesn't exist, or an error, which can't be allowed. `vmwbuild explain` lists \
            the names.",
    wrong: concat!("FROM Debian AS web\n", "# vmw: allow(reboot-in-ru)\n", "REBOOT\n"),
    right: concat!("FROM Debian AS web\n", "# vmw: allow(reboot-in-run)\n", "RUN reboot\n"),
};

/// `shellcheck`.
pub static SHELLCHECK: Code = Code {
    number: 399,
    name: "shellcheck",
    severity: Severity::Warning,
    about: "ShellCheck, a program of its own, found this in a guest command; `vmwbuild lint --shellcheck` asks it. Its \
            codes, `SC2086` for instance, stand in its wiki (https://www.shellcheck.net/wiki/SC2086). One is allowed \
            like any lint, `# vmw: allow(SC2086)`, all of them by `shellcheck`. It sees `${{ … }}` as the quoted \
            variable that the guest's shell gets.",
    wrong: "",
    right: "",
};
