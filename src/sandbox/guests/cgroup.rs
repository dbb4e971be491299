//! Limits of guests by control groups, where root may make some: version 1 (a hierarchy per controller) or 2.

use super::Limit;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PREFIX: &str = "vmwbuild-";

/// The control groups of one warden.
#[derive(Debug, Default)]
pub struct Cgroups {
    pids: Option<Group>,
    memory: Option<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    path: PathBuf,
    unified: bool,
}

/// The groups of one guest, to be opened where they are visible.
#[derive(Debug, Default)]
pub struct Places(Vec<Group>);

/// The open groups of one guest.
#[derive(Debug, Default)]
pub struct Doors {
    /// The one of version 2, in which a process can be made: that saves the move, for which the kernel waits.
    unified: Option<(File, File)>,
    /// Those of version 1, to which a process must be moved.
    others: Vec<File>,
}

impl Group {
    /// Whether this user may move a process from here to a group below, which takes the right to write to both.
    fn takes_processes(&self) -> bool {
        !self.unified || rustix::fs::access(self.path.join("cgroup.procs"), rustix::fs::Access::WRITE_OK).is_ok()
    }
}

impl Places {
    /// Opens them.
    pub fn open(&self) -> io::Result<Doors> {
        let mut doors = Doors::default();
        for group in &self.0 {
            let procs = File::options().write(true).open(group.path.join("cgroup.procs"))?;
            if group.unified {
                doors.unified = Some((File::open(&group.path)?, procs));
            } else {
                doors.others.push(procs);
            }
        }
        Ok(doors)
    }
}

impl Doors {
    /// The group to make the guest's first process in.
    pub fn birthplace(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(|(directory, _)| directory.as_fd())
    }

    /// Moves a process into all of them, but for the one in which it was born.
    pub fn admit(&mut self, pid: i32, born_inside: bool) -> io::Result<()> {
        let moved = self.unified.iter_mut().filter(|_| !born_inside).map(|(_, procs)| procs);
        moved.chain(&mut self.others).try_for_each(|procs| procs.write_all(pid.to_string().as_bytes()))
    }
}

impl Cgroups {
    /// Makes the groups that those of guests will lie in, named after this process.
    pub fn create() -> Self {
        let Some(name) = name_of(std::process::id()) else { return Self::default() };
        let mut made = Self::default();
        for parent in parents() {
            let path = parent.path.join(&name);
            // A process is in one group of version 2 only.
            if parent.unified && made.is_unified() || !parent.takes_processes() || fs::create_dir(&path).is_err() {
                continue;
            }
            let mut used = false;
            if parent.unified {
                // What the parent doesn't hand down can't be turned on; that is found out by reading it back.
                let handed_down = fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
                for (controller, slot) in [("pids", &mut made.pids), ("memory", &mut made.memory)] {
                    if slot.is_none()
                        && handed_down.split_whitespace().any(|name| name == controller)
                        && fs::write(path.join("cgroup.subtree_control"), format!("+{controller}")).is_ok()
                    {
                        *slot = Some(Group { path: path.clone(), unified: true });
                        used = true;
                    }
                }
            } else {
                for (file, slot) in [("pids.max", &mut made.pids), ("memory.limit_in_bytes", &mut made.memory)] {
                    // The topmost group has no limits, a new one below it does.
                    if slot.is_none() && path.join(file).exists() {
                        *slot = Some(Group { path: path.clone(), unified: false });
                        used = true;
                    }
                }
            }
            if !used {
                let _ = fs::remove_dir(&path);
            }
        }
        made
    }

    fn is_unified(&self) -> bool {
        self.pids.iter().chain(&self.memory).any(|group| group.unified)
    }

    /// How limits of processes and of memory are kept.
    pub fn kinds(&self) -> (Limit, Limit) {
        (
            if self.pids.is_some() { Limit::Cgroup } else { Limit::Rlimit },
            if self.memory.is_some() { Limit::Cgroup } else { Limit::None },
        )
    }

    /// Makes a guest's groups, in which its first process must be.
    pub fn add(&self, guest: u64, processes: Option<u32>, memory: Option<u64>) -> io::Result<Places> {
        let mut places = Vec::new();
        let mut make = |group: &Group| {
            let path = group.path.join(format!("guest-{guest}"));
            match fs::create_dir(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            let place = Group { path: path.clone(), unified: group.unified };
            if !places.contains(&place) {
                places.push(place);
            }
            Ok(path)
        };
        if let (Some(group), Some(limit)) = (&self.pids, processes) {
            fs::write(make(group)?.join("pids.max"), limit.to_string())?;
        }
        if let (Some(group), Some(limit)) = (&self.memory, memory) {
            let path = make(group)?;
            let file = if group.unified { "memory.max" } else { "memory.limit_in_bytes" };
            fs::write(path.join(file), limit.to_string())?;
            if group.unified {
                // Absent where the kernel doesn't count swap.
                let _ = fs::write(path.join("memory.swap.max"), "0");
            }
        }
        Ok(Places(places))
    }

    /// Removes the groups of a guest that has ended.
    pub fn remove(&self, guest: u64) {
        for group in self.pids.iter().chain(&self.memory) {
            // Refused while the kernel still takes its last process apart; then the janitor does it.
            let _ = fs::remove_dir(group.path.join(format!("guest-{guest}")));
        }
    }

    /// Removes everything, after the warden's end.
    pub fn remove_all(&self) {
        for group in self.pids.iter().chain(&self.memory) {
            remove_tree(&group.path);
        }
    }

    /// The groups' directories, to be kept when something is mounted over them.
    pub fn move_to(&mut self, directory: impl Fn(&Path) -> PathBuf) {
        for group in self.pids.iter_mut().chain(&mut self.memory) {
            group.path = directory(&group.path);
        }
    }
}

/// Removes groups that a killed tool and a killed janitor left behind.
pub fn sweep() {
    for parent in parents() {
        let Ok(entries) = fs::read_dir(&parent.path) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            let owner = rest.split('-').next().and_then(|pid| pid.parse().ok());
            if owner.is_some_and(|pid| name_of(pid).is_none_or(|alive| alive != name)) {
                remove_tree(&entry.path());
            }
        }
    }
}

/// The name of a process' groups: its number and start, so that no later process has the same.
fn name_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let started = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.to_owned();
    Some(format!("{PREFIX}{pid}-{started}"))
}

fn remove_tree(path: &Path) {
    for _ in 0..20 {
        if let Ok(entries) = fs::read_dir(path) {
            for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                let _ = fs::remove_dir(entry.path());
            }
        }
        match fs::remove_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(Duration::from_millis(10)),
            _ => return,
        }
    }
}

/// Where groups can be made: this process' own ones of version 1, and of version 2 those above it, the topmost first,
/// since one with processes in it can't hand controllers down. An ordinary user may have been given one of them: systemd
/// gives the group of all that a user's desktop runs.
fn parents() -> Vec<Group> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    parents_of(&own, &mounts)
}

fn parents_of(own: &str, mounts: &str) -> Vec<Group> {
    let mut found = Vec::new();
    for line in mounts.lines() {
        let Some((head, tail)) = line.split_once(" - ") else { continue };
        let mut head = head.split(' ');
        let (Some(root), Some(point)) = (head.nth(3), head.next()) else { continue };
        let mut tail = tail.split(' ');
        let (Some(kind), Some(options)) = (tail.next(), tail.nth(1)) else { continue };
        let point = Path::new(point);
        if kind == "cgroup2" {
            let inside = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
            let inside = Path::new(inside).strip_prefix(root).unwrap_or(Path::new(""));
            let mut path = point.to_owned();
            found.push(Group { path: path.clone(), unified: true });
            for part in inside {
                path.push(part);
                found.push(Group { path: path.clone(), unified: true });
            }
        } else if kind == "cgroup" {
            let controllers: Vec<&str> = options.split(',').filter(|name| ["pids", "memory"].contains(name)).collect();
            let inside = own.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':');
                let names = fields.nth(1)?;
                names.split(',').any(|name| controllers.contains(&name)).then(|| fields.next()).flatten()
            });
            if let Some(path) = inside.and_then(|path| Path::new(path).strip_prefix(root).ok()) {
                found.push(Group { path: point.join(path), unified: false });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_groups_of_both_versions() {
        let own = "8:pids:/\n4:memory:/job/1\n0::/user.slice\n";
        let mounts = "35 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      36 31 0:32 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n\
                      39 31 0:36 / /sys/fs/cgroup/pids rw,relatime shared:3 - cgroup cgroup rw,pids\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found: Vec<(String, bool)> = parents_of(own, mounts)
            .into_iter()
            .map(|group| (group.path.to_string_lossy().into_owned(), group.unified))
            .collect();
        assert_eq!(
            found,
            [
                ("/sys/fs/cgroup/memory/job/1".to_owned(), false),
                ("/sys/fs/cgroup/pids/".to_owned(), false),
                ("/sys/fs/cgroup/unified".to_owned(), true),
                ("/sys/fs/cgroup/unified/user.slice".to_owned(), true),
            ]
        );
    }
}
