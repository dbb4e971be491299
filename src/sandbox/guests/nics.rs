//! Network cards for a guest that is about to boot, from outside of it: they are pairs of ends, of which the guest gets
//! one, and what /sys tells of them.

use super::{NicSpec, netlink};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsmount, fsopen,
    move_mount, open_tree,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// The parts of /sys that tell of network interfaces, and of nothing else: the kernel shows in them those of one
/// network namespace.
pub const FOLDERS: [&str; 2] = ["class/net", "devices/virtual/net"];

/// Gives the guest whose init has this number its network cards. Returns [`FOLDERS`] as mounts to put in place, none
/// where this system doesn't let them be made. To be called in mounts that nobody else sees: the
/// process' network namespace is another one afterwards.
pub fn equip(pid: i32, nics: &[NicSpec]) -> Vec<OwnedFd> {
    let open = || rustix::fs::open(format!("/proc/{pid}/ns/net"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let Ok(namespace) = open() else { return Vec::new() };
    for (number, nic) in nics.iter().enumerate() {
        // The guest itself tries another kind where this one isn't known.
        let end = format!("g{pid}n{number}");
        if netlink::add_pair(&netlink::nic_name(number), nic.mac, &namespace, &end).is_err() {
            break;
        }
    }
    folders(&namespace).unwrap_or_default()
}

fn folders(namespace: &OwnedFd) -> io::Result<Vec<OwnedFd>> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    let system = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(system.as_fd())?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mount = fsmount(system.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    // A part can only be taken of what is mounted somewhere.
    move_mount(mount.as_fd(), "", CWD, "/sys", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    FOLDERS
        .iter()
        .map(|folder| {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            Ok(open_tree(CWD, format!("/sys/{folder}"), flags)?)
        })
        .collect()
}

/// Puts what [`equip`] returned in its place in this process' root.
pub fn show(folders: &[OwnedFd]) {
    for (mount, folder) in folders.iter().zip(FOLDERS) {
        // A guest without it can still ask the kernel by other ways.
        let _ = move_mount(mount.as_fd(), "", CWD, format!("/sys/{folder}"), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH);
    }
}
