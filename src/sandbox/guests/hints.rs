//! What to do where a host refuses what guests are made of.

use super::{Error, Result};
use std::fs;
use std::io;

/// A step of starting guests, for the message when it fails.
pub fn step<T>(what: &str, result: io::Result<T>) -> Result<T> {
    result.map_err(|error| refused(what, &error))
}

/// The error of a refused step.
pub fn refused(what: &str, error: &io::Error) -> Error {
    let cause = error.to_string();
    Error::Refused {
        what: what.to_owned(),
        cause,
        hint: hint(what, error.raw_os_error().unwrap_or(0), &Settings::read()),
    }
}

/// Name of the step that makes an ordinary user's namespace.
pub const USER_NAMESPACE: &str = "making a user namespace";
/// Name of the step that writes an ordinary user's id mapping.
pub const USER_MAPPING: &str = "mapping the user's id";
/// Name of the step that makes the warden's other namespaces.
pub const NAMESPACES: &str = "making mount and process namespaces";
/// Name of the step that mounts a new /proc.
pub const PROC: &str = "mounting /proc";
/// Name of the step that mounts a guest's file system.
pub const OVERLAY: &str = "mounting the overlay file system";
/// Name of the step that takes a template's folders in.
pub const TEMPLATE: &str = "taking in a template's folder";

/// Settings of the kernel by which distributions forbid user namespaces.
#[derive(Debug, Default)]
struct Settings {
    /// AppArmor restricts them (Ubuntu 24.04 and later).
    apparmor: bool,
    /// They are for root only (older Debian).
    root_only: bool,
}

impl Settings {
    fn read() -> Self {
        let is = |name: &str, value: &str| {
            fs::read_to_string(format!("/proc/sys/kernel/{name}")).is_ok_and(|text| text.trim() == value)
        };
        Settings {
            apparmor: is("apparmor_restrict_unprivileged_userns", "1"),
            root_only: is("unprivileged_userns_clone", "0"),
        }
    }
}

fn hint(what: &str, errno: i32, settings: &Settings) -> String {
    if settings.apparmor && [USER_NAMESPACE, USER_MAPPING, NAMESPACES, PROC, OVERLAY].contains(&what) {
        return "AppArmor forbids user namespaces to ordinary programs: run `sudo sysctl -w \
                kernel.apparmor_restrict_unprivileged_userns=0`, or give this program a profile with `userns,`, \
                or run it as root"
            .to_owned();
    }
    if settings.root_only && what == USER_NAMESPACE {
        return "run `sudo sysctl -w kernel.unprivileged_userns_clone=1`, or run as root".to_owned();
    }
    let text = match (what, errno) {
        (USER_NAMESPACE, libc::ENOSPC) => {
            "no user namespaces are left: raise /proc/sys/user/max_user_namespaces (0 turns them off), as root"
        }
        (NAMESPACES, libc::ENOSPC) => {
            "too many namespaces: raise the limits in /proc/sys/user/, as root, or run fewer guests"
        }
        (USER_NAMESPACE, libc::EPERM) => {
            "a container's seccomp filter or a chroot forbids user namespaces: start the container with \
             `--security-opt seccomp=unconfined --security-opt unmask=ALL` or `--privileged`; in a chroot use the \
             host itself"
        }
        (USER_NAMESPACE, libc::EINVAL | libc::ENOSYS) => "the kernel is built without user namespaces",
        (USER_MAPPING, _) => {
            "newuidmap and newgidmap disagree, or the id mapping is forbidden: check /etc/subuid and /etc/subgid \
             for this user"
        }
        (NAMESPACES, libc::EPERM) => {
            "in a container: start it with `--privileged`, or with `--security-opt unmask=ALL` as an ordinary user"
        }
        (PROC, libc::EPERM) => {
            "the container hides parts of /proc: start it with `--security-opt unmask=ALL` (docker: \
             `--security-opt systempaths=unconfined`) or `--privileged`"
        }
        (OVERLAY, libc::EPERM) => {
            "the kernel is older than 5.11 and allows overlay mounts to root only: run as root, or use a newer kernel"
        }
        (OVERLAY, libc::ENODEV) => "the kernel has no overlay file system: run `sudo modprobe overlay`",
        (OVERLAY, libc::EINVAL) => {
            "the template or the state directory lies on a file system that can't be stacked (an overlay already \
             two deep, NFS, FUSE): use another place, or a tar archive as the template"
        }
        (OVERLAY, libc::ELOOP) => "the template is an overlay already two deep: use a tar archive instead",
        (TEMPLATE, libc::EINVAL) => {
            "something is mounted inside the folder, or its file system can't be shared with guests: use a tar \
             archive of it, or run as root"
        }
        (_, libc::ENOSPC) => "the store of layers is full: delete machines and snapshots, or give it more",
        (_, libc::EMFILE | libc::ENFILE) => "too many files are open: raise `ulimit -n`",
        (_, libc::EAGAIN | libc::ENOMEM) => "the host has no more processes or memory to give: run fewer guests",
        _ => "guests can't run here; as root on a Linux of its own (not in a container) they do",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refuses_is_told_with_what_to_change() {
        let free = Settings::default();
        let ubuntu = Settings { apparmor: true, root_only: false };
        let debian = Settings { apparmor: false, root_only: true };
        // What Ubuntu's AppArmor lets through at first, it refuses at any of the steps that follow.
        for step in [USER_NAMESPACE, USER_MAPPING, NAMESPACES, PROC, OVERLAY] {
            let said = hint(step, libc::EPERM, &ubuntu);
            assert!(said.contains("kernel.apparmor_restrict_unprivileged_userns=0"), "{step}: {said}");
        }
        let cases = [
            (TEMPLATE, libc::EINVAL, &ubuntu, "a tar archive of it"),
            (USER_NAMESPACE, libc::EPERM, &debian, "kernel.unprivileged_userns_clone=1"),
            (OVERLAY, libc::EPERM, &debian, "older than 5.11"),
            (USER_NAMESPACE, libc::ENOSPC, &free, "/proc/sys/user/max_user_namespaces"),
            (USER_NAMESPACE, libc::EPERM, &free, "seccomp=unconfined"),
            (USER_NAMESPACE, libc::ENOSYS, &free, "built without user namespaces"),
            (USER_MAPPING, libc::EPERM, &free, "/etc/subuid"),
            (NAMESPACES, libc::ENOSPC, &free, "/proc/sys/user/"),
            (NAMESPACES, libc::EPERM, &free, "--privileged"),
            (PROC, libc::EPERM, &free, "systempaths=unconfined"),
            (OVERLAY, libc::ENODEV, &free, "modprobe overlay"),
            (OVERLAY, libc::EINVAL, &free, "can't be stacked"),
            (OVERLAY, libc::ELOOP, &free, "already two deep"),
            ("anything", libc::ENOSPC, &free, "store of layers is full"),
            ("anything", libc::EMFILE, &free, "ulimit -n"),
            ("anything", libc::EAGAIN, &free, "fewer guests"),
            ("anything", libc::EIO, &free, "as root on a Linux of its own"),
        ];
        for (step, errno, settings, words) in cases {
            let said = hint(step, errno, settings);
            assert!(said.contains(words), "{step}, {errno}: {said}");
        }
    }
}
