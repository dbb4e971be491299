//! From a fork of the warden to a guest's init.
//!
//! As root in two stages: *stage A* mounts everything with root's rights in a mount namespace of its own, then makes
//! *stage B*, the init, in namespaces of which the guest is root; what A mounted is locked there. A is the warden itself,
//! which comes back afterwards: a fork is dearer than all that it mounts. As an ordinary user B does all of it, since the
//! warden has no rights to lend.

use super::cgroup::{Doors, Places};
use super::hints::{self, step};
use super::ids::{self, Standing};
use super::store::Overlay;
use super::{AT_BOOT, BootSpec, Error, Ids, Result, init, netlink, nics, sys, wire};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_remount, unmount};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Where the guest's root is mounted, in the store.
const ROOT: &str = "m";

/// Everything needed to boot a guest.
#[derive(Debug)]
pub struct Plan {
    /// What to mount.
    pub overlays: Vec<Overlay>,
    /// What the caller wants.
    pub spec: BootSpec,
    /// How the guest's accounts stand to the host's.
    pub standing: Standing,
    /// The guest's end of its control socket.
    pub control: UnixStream,
    /// The groups that limit it.
    pub cgroups: Places,
}

/// What a booting guest reports to the warden, a line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// Init's number in the warden's pid namespace.
    Pid(i32),
    /// Init serves.
    Ready,
    /// It won't.
    Failed(Error),
}

/// Where the warden is at home, and comes back to after it has been where a guest is to be.
#[derive(Debug)]
pub struct Home {
    mounts: OwnedFd,
    network: OwnedFd,
    directory: OwnedFd,
}

impl Home {
    /// Where this process is now.
    pub fn here() -> io::Result<Home> {
        let open = |path| rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        Ok(Home { mounts: open("/proc/self/ns/mnt")?, network: open("/proc/self/ns/net")?, directory: open(".")? })
    }

    /// Comes back.
    pub fn enter(&self) -> io::Result<()> {
        move_into_link_name_space(self.mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
        move_into_link_name_space(self.network.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(rustix::process::fchdir(&self.directory)?)
    }

    /// Does something in mounts of its own, on which nothing else depends, and that may change its network namespace.
    fn leaving<T>(&self, away: impl FnOnce() -> T) -> io::Result<T> {
        sys::unshare(sys::NEW_MOUNTS)?;
        let outcome = away();
        if self.enter().is_err() {
            // A warden that is lost finds nothing of its own any more. With its end everything ends, and the tool tells.
            sys::exit_now(1);
        }
        Ok(outcome)
    }
}

/// Starts booting. Reports can be read from the pipe; its end without `Ready` is a failure.
pub fn start(plan: Plan, home: &Home) -> io::Result<PipeReader> {
    let (reports, report) = io::pipe()?;
    let (go, tell) = UnixStream::pair()?;
    if plan.standing.ids.is_user() {
        // Opened here: the tool's user may write to them, not the guest's root.
        let mut doors = plan.cgroups.open()?;
        match fork_guest(sys::GUEST_NAMESPACES, &doors)? {
            (sys::Fork::Child, _) => {
                drop(tell);
                stage_b(plan, report, go)
            }
            (sys::Fork::Parent(pid), inside) => {
                tell_report(&report, &Report::Pid(pid));
                drop(go);
                // What there is to do for a guest from outside changes who does it.
                match sys::fork(sys::NEW_MOUNTS)? {
                    sys::Fork::Child => {
                        let outcome = admit(pid, &plan, &mut doors, inside);
                        release(&report, &tell, outcome);
                        sys::exit_now(0)
                    }
                    sys::Fork::Parent(_) => {}
                }
            }
        }
    } else {
        let outcome = home.leaving(|| stage_a(plan, &report, go, tell))?;
        if let Err(error) = outcome {
            tell_report(&report, &Report::Failed(error));
        }
    }
    Ok(reports)
}

fn stage_a(plan: Plan, report: &PipeWriter, go: UnixStream, tell: UnixStream) -> Result<()> {
    mount_all(&plan)?;
    // B may mount a /proc of its own only where one is visible. This one shows nothing of other guests, should the
    // guest take its own off.
    let hidden =
        ["hidepid=ptraceable", "hidepid=2"].iter().any(|options| mount_proc(&format!("{ROOT}/proc"), options).is_ok());
    if !hidden {
        step(hints::PROC, mount_proc(&format!("{ROOT}/proc"), ""))?;
    }
    // Files that must be written from outside of the guest's root.
    let mut doors = step("opening the guest's control groups", plan.cgroups.open())?;
    enter_root()?;
    match step(hints::NAMESPACES, fork_guest(sys::GUEST_NAMESPACES, &doors))? {
        (sys::Fork::Child, _) => {
            drop(tell);
            let Ok(report) = report.try_clone() else { sys::exit_now(1) };
            stage_b(plan, report, go)
        }
        (sys::Fork::Parent(pid), inside) => {
            tell_report(report, &Report::Pid(pid));
            let outcome = admit(pid, &plan, &mut doors, inside);
            release(report, &tell, outcome);
            Ok(())
        }
    }
}

/// Forks the guest's first process, in its control group if the kernel can; says whether it is there.
fn fork_guest(flags: u64, doors: &Doors) -> io::Result<(sys::Fork, bool)> {
    if let Some(group) = doors.birthplace()
        && let Ok(fork) = sys::fork_in(flags, Some(group))
    {
        return Ok((fork, true));
    }
    Ok((sys::fork(flags)?, false))
}

/// Gives B its ids, limits and network cards; mounts for it to put in place.
fn admit(pid: i32, plan: &Plan, doors: &mut Doors, inside: bool) -> Result<Vec<OwnedFd>> {
    step(hints::USER_MAPPING, ids::write_maps(Path::new("/proc"), pid, plan.standing.ids))?;
    step("limiting the guest by control groups", doors.admit(pid, inside))?;
    Ok(nics::equip(pid, &plan.spec.nics))
}

/// Lets B go on, or says why it may not; it ends when the connection closes without a word.
fn release(report: &PipeWriter, tell: &UnixStream, outcome: Result<Vec<OwnedFd>>) {
    match outcome {
        Ok(mounts) => {
            let mounts: Vec<_> = mounts.iter().map(AsFd::as_fd).collect();
            let _ = wire::send_some(tell, &[1], &mounts);
        }
        Err(error) => tell_report(report, &Report::Failed(error)),
    }
}

fn stage_b(plan: Plan, report: PipeWriter, go: UnixStream) -> ! {
    let mut mounts = Vec::new();
    if wire::receive_some(&go, &mut [0], &mut mounts).unwrap_or(0) == 0 {
        sys::exit_now(1);
    }
    match become_init(&plan, &mounts) {
        Ok(signals) => {
            sys::close_all_except(&[plan.control.as_fd(), signals.as_fd(), report.as_fd()]);
            tell_report(&report, &Report::Ready);
            drop(report);
            init::run(plan.control, &signals, plan.standing)
        }
        Err(error) => {
            tell_report(&report, &Report::Failed(error));
            sys::exit_now(1)
        }
    }
}

fn become_init(plan: &Plan, mounts: &[OwnedFd]) -> Result<OwnedFd> {
    let (uid, gid) = (rustix::thread::Uid::ROOT, rustix::thread::Gid::ROOT);
    // Refused where there is one id only, and needless there.
    let _ = rustix::thread::set_thread_groups(&[]);
    step("becoming the guest's root", rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(Into::into))?;
    step("becoming the guest's root", rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(Into::into))?;
    step("starting the guest's session", rustix::process::setsid().map(drop).map_err(Into::into))?;
    if plan.standing.ids.is_user() {
        mount_all(plan)?;
        step(hints::PROC, mount_proc(&format!("{ROOT}/proc"), ""))?;
        enter_root()?;
    } else {
        step(hints::PROC, mount_proc("/proc", ""))?;
    }
    nics::show(mounts);
    if plan.standing.exposed {
        protect_host()?;
    }
    let group = if plan.standing.ids == Ids::Single { "" } else { ",gid=5" };
    let options = format!("newinstance,ptmxmode=0666,mode=0620{group}");
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    step("mounting /dev/pts", mount_with("devpts", "/dev/pts", "devpts", flags, &options))?;
    step("turning the guest's loopback on", netlink::loopback_up())?;
    step("configuring the guest's network cards", netlink::complete(&plan.spec.nics, !starts_services()))?;
    name_host(plan)?;
    identify();
    if let Some(limit) = plan.spec.max_processes {
        let limit = Rlimit { current: Some(limit.into()), maximum: Some(limit.into()) };
        step("limiting the guest's processes", rustix::process::setrlimit(Resource::Nproc, limit).map_err(Into::into))?;
    }
    if plan.standing.ids == Ids::Single {
        step("filtering changes of owners", sys::pretend_owner_changes())?;
    }
    // Guest's root can't look into init, which remembers a little of the host.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = rustix::thread::set_name(c"init");
    step("taking signals", sys::signals_as_descriptor())
}

/// Mounts the guest's file systems, /proc and /dev/pts excepted.
fn mount_all(plan: &Plan) -> Result<()> {
    for overlay in &plan.overlays {
        let target = if overlay.at.is_empty() {
            ROOT.to_owned()
        } else {
            match place(&overlay.at) {
                Ok(target) => target,
                // A guest that put something else there doesn't get the template's folder.
                Err(_) => continue,
            }
        };
        step(hints::OVERLAY, mount_with("overlay", &target, "overlay", MountFlags::empty(), &overlay.options))?;
        // The kernel mounts read-only, without a word, when it can't use the directories for changes.
        let flags = step(hints::OVERLAY, rustix::fs::statvfs(&target).map_err(Into::into))?.f_flag;
        if flags.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
            return Err(hints::refused(
                hints::OVERLAY,
                &io::Error::other(format!("/{} came out read-only: the store can't hold changes", overlay.at)),
            ));
        }
    }
    for (name, mode) in [("proc", 0o555), ("tmp", 0o1777)] {
        step("making /proc and /tmp", place_new(name, mode).map(drop))?;
    }
    step("mounting /dev", devices(plan.standing.ids))?;
    step("mounting /run", run(plan.standing.ids))?;
    step("mounting /sys", hardware(plan))
}

/// The path of a folder inside the guest's root, made sure to be one: no link leads out of it.
fn place(at: &str) -> io::Result<String> {
    let root = rustix::fs::open(ROOT, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat2(root, at, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)?;
    Ok(format!("{ROOT}/{at}"))
}

/// The same for a folder at the top, which is made when it is missing.
fn place_new(name: &str, mode: u32) -> io::Result<String> {
    match place(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let path = format!("{ROOT}/{name}");
            fs::DirBuilder::new().mode(mode).create(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            place(name)
        }
        other => other,
    }
}

fn tmpfs(name: &str, ids: Ids, mode: u32, size: &str) -> io::Result<String> {
    let at = place_new(name, 0o755)?;
    let (uid, gid) = if ids == Ids::Shifted { (ids::SHIFT, ids::SHIFT) } else { (0, 0) };
    let options = format!("mode={mode:o},size={size},uid={uid},gid={gid}");
    mount_with("tmpfs", &at, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, &options)?;
    Ok(at)
}

fn devices(ids: Ids) -> io::Result<()> {
    let at = tmpfs("dev", ids, 0o755, "64m")?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let target = format!("{at}/{name}");
        File::create(&target)?;
        mount_bind(format!("/dev/{name}"), &target)?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        std::os::unix::fs::symlink(target, format!("{at}/{name}"))?;
    }
    for (name, mode) in [("pts", 0o755), ("shm", 0o1777)] {
        let path = format!("{at}/{name}");
        fs::create_dir(&path)?;
        ids.own(Path::new(&path), 0, 0)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn run(ids: Ids) -> io::Result<()> {
    let at = tmpfs("run", ids, 0o755, "20%")?;
    for (name, mode) in [("lock", 0o1777), ("user", 0o755)] {
        let path = format!("{at}/{name}");
        fs::create_dir(&path)?;
        ids.own(Path::new(&path), 0, 0)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// What /sys says about the machine: it is a VMware one.
fn hardware(plan: &Plan) -> io::Result<()> {
    let at = tmpfs("sys", plan.standing.ids, 0o755, "1m")?;
    let directory = PathBuf::from(format!("{at}/class/dmi/id"));
    fs::create_dir_all(&directory)?;
    for folder in ["fs/cgroup"].iter().chain(&nics::FOLDERS) {
        fs::create_dir_all(format!("{at}/{folder}"))?;
    }
    let uuid = plan.spec.uuid.as_deref().unwrap_or("00000000-0000-0000-0000-000000000000");
    // VMware's serial number is the UUID in another dress.
    let digits: Vec<String> = uuid
        .chars()
        .filter(char::is_ascii_hexdigit)
        .collect::<Vec<_>>()
        .chunks(2)
        .map(|pair| pair.iter().collect())
        .collect();
    let serial = format!(
        "VMware-{}-{}",
        digits.get(..8).unwrap_or_default().join(" "),
        digits.get(8..).unwrap_or_default().join(" ")
    );
    for (name, text, mode) in [
        ("sys_vendor", "VMware, Inc.", 0o444),
        ("product_name", "VMware Virtual Platform", 0o444),
        ("board_vendor", "Intel Corporation", 0o444),
        ("board_name", "440BX Desktop Reference Platform", 0o444),
        ("bios_vendor", "Phoenix Technologies LTD", 0o444),
        ("product_uuid", uuid, 0o400),
        ("product_serial", &serial, 0o400),
    ] {
        let path = directory.join(name);
        fs::write(&path, format!("{text}\n"))?;
        plan.standing.ids.own(&path, 0, 0)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    Ok(mount_remount(at.as_str(), flags, c"")?)
}

/// Makes the guest's root the root of this mount namespace and drops everything else.
fn enter_root() -> Result<()> {
    let entered = (|| {
        rustix::process::chdir(ROOT)?;
        rustix::process::pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        rustix::process::chdir("/")
    })();
    step("entering the guest's root", entered.map_err(Into::into))
}

/// The guest's root is the host's as far as files in /proc go: those that set or show what is
/// the host's become read-only or empty.
fn protect_host() -> Result<()> {
    for path in ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/proc/scsi"] {
        if Path::new(path).exists() {
            let made =
                mount_bind(path, path).and_then(|()| mount_remount(path, MountFlags::BIND | MountFlags::RDONLY, c""));
            step("protecting the host's settings", made.map_err(Into::into))?;
        }
    }
    for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/kmsg", "/proc/kallsyms"] {
        if Path::new(path).exists() {
            step("protecting the host's memory", mount_bind("/dev/null", path).map_err(Into::into))?;
        }
    }
    Ok(())
}

/// Whether the guest starts something at boot, which may configure its network.
fn starts_services() -> bool {
    fs::metadata(AT_BOOT).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn name_host(plan: &Plan) -> Result<()> {
    let own = fs::read_to_string("/etc/hostname").unwrap_or_default();
    let own = own.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or("localhost");
    let name = plan.spec.hostname.as_deref().unwrap_or(own);
    // What the kernel doesn't take is cut, as a boot script would.
    let end = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= 64).last().unwrap_or(0);
    let name = name.get(..end).unwrap_or_default();
    step("setting the guest's host name", rustix::system::sethostname(name.as_bytes()).map_err(Into::into))
}

/// Gives the machine an id at its first boot, as systemd does where the file is there and empty.
fn identify() {
    let path = "/etc/machine-id";
    if !fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == 0) {
        return;
    }
    let mut random = [0; 16];
    if getrandom::fill(&mut random).is_ok() {
        let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        // A guest without an id still boots.
        let _ = fs::write(path, format!("{id}\n"));
    }
}

fn mount_proc(at: &str, options: &str) -> io::Result<()> {
    mount_with("proc", at, "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, options)
}

fn mount_with(source: &str, target: &str, kind: &str, flags: MountFlags, options: &str) -> io::Result<()> {
    let options = CString::new(options)?;
    Ok(mount(source, target, kind, flags, options.as_c_str())?)
}

/// Reports are small: a pipe that nobody has read yet takes them all.
fn tell_report(mut report: &PipeWriter, what: &Report) {
    if let Ok(mut line) = serde_json::to_vec(what) {
        line.push(b'\n');
        let _ = report.write_all(&line);
    }
}
