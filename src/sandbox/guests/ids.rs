//! Which host ids a guest's accounts have, and the user namespaces that say so.

use super::{Ids, sys};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// First host id of guests with shifted ids; far beyond what distributions hand out.
pub const SHIFT: u32 = 1_000_000_000;
/// How many ids a guest has, where it has more than one.
pub const COUNT: u32 = 65_536;

/// Where newuidmap and newgidmap may be; on some systems programs with privileges have a place of their own.
const PROGRAMS: &[&str] = &["/run/wrappers/bin", "/usr/bin", "/bin", "/usr/sbin", "/usr/local/bin"];

/// How a guest's accounts stand to the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which ids guests run with.
    pub ids: Ids,
    /// Whether a guest's root is the host's root to the kernel: then the host's settings need protection from it.
    pub exposed: bool,
}

impl Ids {
    /// The mapping of a guest's ids, as seen from the warden: lines of `guest-id warden-id count`.
    pub fn map(self) -> String {
        match self {
            Self::Shifted => format!("0 {SHIFT} {COUNT}"),
            Self::Identity => format!("0 0 {COUNT}"),
            // Two lines, because the warden's own mapping has two.
            Self::Subordinate => format!("0 0 1\n1 1 {}", COUNT - 1),
            Self::Single => "0 0 1".to_owned(),
        }
    }

    /// Whether the warden has a user namespace of its own, for lack of root's rights.
    pub fn is_user(self) -> bool {
        match self {
            Self::Shifted | Self::Identity => false,
            Self::Subordinate | Self::Single => true,
        }
    }

    /// The warden's id of a guest's id; root's for those that a guest can't have.
    pub fn in_store(self, id: u32) -> u32 {
        let id = if id < COUNT { id } else { 0 };
        match self {
            Self::Shifted => SHIFT.saturating_add(id),
            Self::Identity | Self::Subordinate => id,
            Self::Single => 0,
        }
    }

    /// Gives a path in the store to a guest's account, without following a link.
    pub fn own(self, path: &Path, uid: u32, gid: u32) -> io::Result<()> {
        match self {
            Self::Single => Ok(()),
            Self::Shifted | Self::Identity | Self::Subordinate => {
                std::os::unix::fs::lchown(path, Some(self.in_store(uid)), Some(self.in_store(gid)))
            }
        }
    }
}

/// Writes the id mappings of another process in a user namespace of its own.
pub fn write_maps(proc: &Path, pid: i32, ids: Ids) -> io::Result<()> {
    let directory = proc.join(pid.to_string());
    if ids == Ids::Single {
        // Some kernels want that before an unprivileged group mapping.
        fs::write(directory.join("setgroups"), "deny")?;
    }
    fs::write(directory.join("uid_map"), ids.map())?;
    fs::write(directory.join("gid_map"), ids.map())
}

/// A user namespace with the mapping of guests, to shift mounts by.
pub fn namespace(ids: Ids) -> io::Result<OwnedFd> {
    let (wait, hold) = io::pipe()?;
    match sys::fork(sys::NEW_USER)? {
        sys::Fork::Child => {
            drop(hold);
            let _ = io::Read::read(&mut &wait, &mut [0]);
            sys::exit_now(0)
        }
        sys::Fork::Parent(pid) => {
            let result = write_maps(Path::new("/proc"), pid, ids)
                .and_then(|()| File::open(format!("/proc/{pid}/ns/user")).map(OwnedFd::from));
            drop(hold);
            let _ =
                rustix::process::waitpid(rustix::process::Pid::from_raw(pid), rustix::process::WaitOptions::empty());
            result
        }
    }
}

/// Gets this process the rights to make guests, as root or in a user namespace of its own. As root of the host the
/// answer is [`Ids::Identity`]; whether ids can be shifted is found out later.
pub fn acquire(wanted: Option<Ids>) -> io::Result<Ids> {
    let single = wanted == Some(Ids::Single);
    let administrator = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::SYS_ADMIN));
    if !administrator || !rustix::process::geteuid().is_root() {
        return become_root_of_namespace(single);
    }
    let map = fs::read_to_string("/proc/self/uid_map")?;
    if is_host(&map) {
        return if single { become_root_of_namespace(true) } else { Ok(Ids::Identity) };
    }
    // Root of a container or of another namespace: with rights, but not over the host.
    Ok(if single || !covers_guest(&map) { Ids::Single } else { Ids::Subordinate })
}

/// Whether this process is the host's root, as opposed to that of a container or namespace. The kernel never limits
/// the number of its processes.
pub fn is_root_of_host() -> bool {
    rustix::process::geteuid().is_root() && fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| is_host(&map))
}

/// Whether a mapping is that of the host itself: all ids are what they are.
fn is_host(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Whether a mapping has all ids of a guest.
fn covers_guest(map: &str) -> bool {
    let mut ranges: Vec<(u32, u32)> = map
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (first, count) = (fields.next()?.parse().ok()?, fields.nth(1)?.parse().ok()?);
            Some((first, count))
        })
        .collect();
    ranges.sort_unstable();
    // A guest's mapping has root apart, so one more seam than that doesn't fit.
    let one = matches!(ranges.as_slice(), [(0, count), ..] if *count >= COUNT);
    let two = matches!(ranges.as_slice(), [(0, 1), (1, count), ..] if *count >= COUNT - 1);
    one || two
}

/// Moves this process of an ordinary user into a user namespace in which it is root: with the subordinate ids that
/// `newuidmap` gives it, else alone.
fn become_root_of_namespace(single: bool) -> io::Result<Ids> {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let own = std::process::id();
    let ranges = if single { None } else { subordinate(uid).zip(find("newuidmap").zip(find("newgidmap"))) };
    // The mapping with subordinate ids is written by privileged programs, from outside of the namespace.
    let helper = match ranges {
        None => None,
        Some(((users, groups), (map_users, map_groups))) => {
            let (go, tell) = io::pipe()?;
            match sys::fork(0)? {
                sys::Fork::Child => {
                    drop(tell);
                    let told = io::Read::read(&mut &go, &mut [0]).is_ok_and(|n| n == 1);
                    let done = told && map(&map_users, own, uid, users) && map(&map_groups, own, gid, groups);
                    sys::exit_now(i32::from(!done))
                }
                sys::Fork::Parent(pid) => Some((pid, tell)),
            }
        }
    };
    sys::unshare(sys::NEW_USER)?;
    if let Some((pid, tell)) = helper {
        let _ = io::Write::write(&mut &tell, &[1]);
        let status =
            rustix::process::waitpid(rustix::process::Pid::from_raw(pid), rustix::process::WaitOptions::empty())?;
        if status.is_some_and(|(_, status)| status.exit_status() == Some(0)) {
            return Ok(Ids::Subordinate);
        }
    }
    // Where newuidmap wrote one mapping and newgidmap failed, this fails too, and rightly.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    Ok(Ids::Single)
}

fn map(program: &Path, pid: u32, own: u32, first: u32) -> bool {
    let numbers = [pid, 0, own, 1, 1, first, COUNT - 1].map(|number| number.to_string());
    Command::new(program)
        .args(numbers)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Finds a privileged program of the host.
fn find(program: &str) -> Option<PathBuf> {
    PROGRAMS.iter().map(|directory| Path::new(directory).join(program)).find(|path| path.exists())
}

/// First subordinate user and group id, where there are enough of both.
fn subordinate(uid: u32) -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&uid.to_string()))
        .and_then(|line| line.split(':').next())
        .unwrap_or_default()
        .to_owned();
    let range = |path: &str| first_of_range(&fs::read_to_string(path).unwrap_or_default(), &name, uid);
    Some((range("/etc/subuid")?, range("/etc/subgid")?))
}

/// The first id of a range that is large enough, in the format of /etc/subuid.
fn first_of_range(text: &str, name: &str, uid: u32) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let (first, count): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
        ((owner == name || owner.parse() == Ok(uid)) && count >= COUNT - 1).then_some(first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_host_from_containers() {
        assert!(is_host("         0          0 4294967295\n"));
        assert!(!is_host("0 1000 1\n"));
        assert!(covers_guest("0 100000 65536\n"));
        assert!(covers_guest("1 100000 65536\n0 1000 1\n"));
        assert!(!covers_guest("0 1000 1\n"));
        assert!(!covers_guest("0 1000 1\n1 100000 1000\n"));
    }

    #[test]
    fn finds_a_large_enough_range_by_name_or_number() {
        let text = "ann:100000:1000\nann:200000:65536\n1002:300000:65536\n";
        assert_eq!(first_of_range(text, "ann", 1001), Some(200_000));
        assert_eq!(first_of_range(text, "bob", 1002), Some(300_000));
        assert_eq!(first_of_range(text, "eve", 1003), None);
    }
}
