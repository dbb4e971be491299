//! What the warden stands on: its namespaces, its store, and what it knows of the host.

use super::cgroup::Cgroups;
use super::hints::{self, step};
use super::ids::Standing;
use super::wire::Start;
use super::{Error, Facts, Ids, Limit, Result, sys, template};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Where the store is mounted in the warden's mount namespace: nothing of it is needed from there.
const STORE: &str = "/sys";

/// What the warden stands on.
#[derive(Debug)]
pub struct Ground {
    /// Which ids guests run with.
    pub ids: Ids,
    /// Whether the host's root started it.
    host_root: bool,
    /// A user namespace with guests' ids, where they are shifted.
    pub namespace: Option<OwnedFd>,
    /// What doesn't work as on a real machine.
    notes: Vec<String>,
    /// Limits of guests.
    pub cgroups: Cgroups,
    /// Keeps a second warden from the same state directory.
    _lock: Option<File>,
}

impl Ground {
    /// How guests' accounts stand to the host's.
    pub fn standing(&self) -> Standing {
        Standing { ids: self.ids, exposed: self.host_root && self.ids != Ids::Shifted }
    }

    /// What the tool is told.
    pub fn facts(&self) -> Facts {
        let (mut process_limit, memory_limit) = self.cgroups.kinds();
        if process_limit == Limit::Rlimit && self.standing().exposed {
            // The kernel doesn't limit the host's root.
            process_limit = Limit::None;
        }
        Facts { ids: self.ids, process_limit, memory_limit, notes: self.notes.clone() }
    }
}

/// Prepares the fresh warden: private mounts, a /proc of its pid namespace, and the store as working directory.
pub fn prepare(ids: Ids, host_root: bool, start: Start, mut cgroups: Cgroups, lifeline: &OwnedFd) -> Result<Ground> {
    let signal = Some(rustix::process::Signal::KILL);
    step("binding the warden's life", rustix::process::set_parent_process_death_signal(signal).map_err(Into::into))?;
    let _ = rustix::thread::set_name(c"vmwbuild-warden");
    // The janitor may have died before that; then the tool is about to learn it, and hangs up.
    if sys::poll(&[lifeline.as_fd()], Some(std::time::Duration::ZERO)).is_ok_and(|ready| ready == [true]) {
        sys::exit_now(1);
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    step(hints::NAMESPACES, mount_change("/", private).map_err(Into::into))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    step(hints::PROC, mount("proc", "/proc", "proc", flags, None).map_err(Into::into))?;
    // Control groups are under what the store covers: they stay reachable through a descriptor.
    let groups =
        rustix::fs::open(STORE, rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty());
    if let Ok(groups) = groups {
        let number = groups.as_raw_fd();
        cgroups.move_to(|path| match path.strip_prefix(STORE) {
            Ok(inside) => PathBuf::from(format!("/proc/self/fd/{number}")).join(inside),
            Err(_) => path.to_owned(),
        });
        // Open for as long as this process lives.
        let _ = groups.into_raw_fd();
    }
    let options = match start.store_bytes {
        Some(bytes) => format!("mode=711,size={bytes},nr_inodes=0"),
        None => "mode=711,size=50%,nr_inodes=0".to_owned(),
    };
    let options = step("naming the store's size", CString::new(options).map_err(io::Error::other))?;
    // Set-user-id bits work: guests have sudo. The store itself is out of everyone's reach.
    let flags = MountFlags::NODEV;
    step("mounting the store", mount("tmpfs", STORE, "tmpfs", flags, options.as_c_str()).map_err(Into::into))?;
    step("entering the store", std::env::set_current_dir(STORE))?;
    step("making the store", fs::DirBuilder::new().mode(0o711).create("s"))?;
    let lock = start.state.as_deref().map(use_state).transpose()?;
    let (mut ids, mut notes) = (ids, Vec::new());
    let mut namespace = None;
    if ids == Ids::Identity && start.ids != Some(Ids::Identity) {
        namespace = template::shifting_namespace(Ids::Shifted).filter(template::can_shift);
        if namespace.is_some() {
            ids = Ids::Shifted;
        }
    }
    match ids {
        Ids::Single => notes.push(
            "this user has no subordinate ids (/etc/subuid, newuidmap): accounts of a guest are one and the same \
                 user, and changes of owner have no effect"
                .to_owned(),
        ),
        Ids::Identity | Ids::Subordinate | Ids::Shifted => {}
    }
    if host_root && ids != Ids::Shifted {
        notes.push(
            "owners of files aren't shifted here: a guest's root has the host's user id 0, and can neither mount nor \
             change its host name"
                .to_owned(),
        );
    }
    if ids.is_user() {
        notes.push(
            "without root, files of the host's system can be replaced and deleted in a guest, but not changed in \
                 place"
                .to_owned(),
        );
    }
    if ids.is_user() && !keeps_marks() {
        notes.push(
            "this kernel's tmpfs keeps no attributes of users (Linux 6.6 does): a folder of a template that is deleted \
             and made again shows its old content; a state directory on a disk helps"
                .to_owned(),
        );
    }
    Ok(Ground { ids, host_root, namespace, notes, cgroups, _lock: lock })
}

/// Whether the place of layers keeps the marks that overlays of ordinary users need.
fn keeps_marks() -> bool {
    let set = rustix::fs::setxattr("s", "user.overlay.probe", b"y", rustix::fs::XattrFlags::empty());
    let _ = rustix::fs::removexattr("s", "user.overlay.probe");
    set.is_ok()
}

/// Puts the state directory in the store's place for layers.
fn use_state(path: &Path) -> Result<File> {
    let failed = |error: io::Error| Error::Internal(format!("state directory {}: {error}", path.display()));
    fs::DirBuilder::new().recursive(true).mode(0o711).create(path).map_err(failed)?;
    let lock = File::create(path.join("lock")).map_err(failed)?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        rustix::io::Errno::WOULDBLOCK => {
            Error::Busy(format!("state directory {} is in use by another sandbox", path.display()))
        }
        other => failed(other.into()),
    })?;
    mount_bind_recursive(path, "s").map_err(|error| failed(error.into()))?;
    Ok(lock)
}
