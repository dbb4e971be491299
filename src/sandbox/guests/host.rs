//! The host's own system as a template: its programs as they are, its configuration as a copy without secrets, and
//! nothing of its data.
//!
//! What is shown is listed, not what is hidden: a folder nobody thought of stays out.

use super::template::{Builder, Top, mount_points};
use super::{Result, hints};
use rustix::fs::{CWD, FileType, Mode};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Folders shown read-only, where they are folders and not links.
const SHOWN: &[&str] = &[
    "usr",
    "bin",
    "sbin",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "nix/store",
    "gnu/store",
    "var/lib/dpkg",
    "var/lib/rpm",
    "var/lib/pacman",
    "var/lib/apk",
];
/// Folders made empty, with their modes.
const EMPTY: &[(&str, u32)] = &[
    ("proc", 0o555),
    ("sys", 0o555),
    ("dev", 0o755),
    ("run", 0o755),
    ("tmp", 0o1777),
    ("root", 0o700),
    ("home", 0o755),
    ("mnt", 0o755),
    ("media", 0o755),
    ("srv", 0o755),
    ("opt", 0o755),
    ("boot", 0o755),
    ("var", 0o755),
];
/// What package managers want to find.
const WANTED: &[&str] = &["var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/tmp", "var/log"];
/// Names in /etc whose content is the host's alone, at any depth.
const PRIVATE: &[&str] = &[
    "environment",
    "fstab",
    "rc.local",
    "resolv.conf",
    "hostname",
    "hosts",
    "machine-id",
    "shadow",
    "shadow-",
    "gshadow",
    "gshadow-",
    "passwd-",
    "group-",
    "subuid-",
    "subgid-",
    "sudoers",
    "kubernetes",
    "letsencrypt",
    "wireguard",
    "openvpn",
    "system-connections",
    "wpa_supplicant",
    "docker",
    "containers",
    "krb5.keytab",
    "auth.conf",
    "auth.conf.d",
    "cron.d",
    "crypttab",
    "rancher",
    "vault.d",
    "ceph",
];
/// A file in /etc larger than this isn't configuration.
const LARGEST_COPY: u64 = 4 << 20;
/// Accounts of people, as opposed to services.
const PEOPLE: std::ops::Range<u32> = 1000..60_000;

/// Builds the template.
pub fn build(builder: &Builder<'_>) -> Result<Vec<Top>> {
    let root = builder.directory.join("root");
    let mut host = Host { builder, root, mounts: mount_points(), tops: Vec::new() };
    hints::step("copying the host's configuration", host.skeleton())?;
    for folder in SHOWN {
        host.show(folder)?;
    }
    let mut tops = vec![Top { at: String::new(), lowers: vec![host.root.to_string_lossy().into_owned()] }];
    tops.append(&mut host.tops);
    Ok(tops)
}

struct Host<'a> {
    builder: &'a Builder<'a>,
    root: PathBuf,
    mounts: Vec<PathBuf>,
    tops: Vec<Top>,
}

impl Host<'_> {
    fn skeleton(&self) -> io::Result<()> {
        self.builder.make(&self.root, 0o755)?;
        for entry in fs::read_dir("/")? {
            let entry = entry?;
            if entry.file_type()?.is_symlink() && SHOWN.iter().any(|name| entry.file_name() == **name) {
                self.link(&entry.path(), &self.root.join(entry.file_name()))?;
            }
        }
        for (name, mode) in EMPTY {
            let path = self.root.join(name);
            self.builder.make(&path, *mode)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
        }
        self.state(Path::new("/var"), &self.root.join("var"), 2)?;
        for path in WANTED {
            self.folders(path)?;
        }
        fs::set_permissions(self.root.join("var/tmp"), fs::Permissions::from_mode(0o1777))?;
        self.configuration(Path::new("/etc"), &self.root.join("etc"), LARGEST_COPY)?;
        self.own_configuration()
    }

    /// A folder of the host as a top; one with something mounted inside is taken apart.
    fn show(&mut self, folder: &str) -> Result<()> {
        let path = Path::new("/").join(folder);
        if !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            return Ok(());
        }
        let failed = |error: io::Error| hints::refused(&format!("{} {}", hints::TEMPLATE, path.display()), &error);
        self.folders(folder).map_err(failed)?;
        if self.builder.ids.is_user() && folder.starts_with("var/") {
            // Package managers change their own files in place, which for an ordinary user takes a copy.
            let copy = self.root.join(folder);
            fs::remove_dir(&copy).map_err(failed)?;
            return self.configuration(&path, &copy, u64::MAX).map_err(failed);
        }
        if !self.mounts.iter().any(|mount| *mount != path && mount.starts_with(&path)) {
            let mut top = self.builder.top(folder, &path)?;
            if folder == "usr" || folder.starts_with("usr/local") {
                let inside = if folder == "usr" { "local" } else { "" };
                self.hide_private(&path, Path::new(inside), &mut top).map_err(failed)?;
            }
            self.tops.push(top);
            return Ok(());
        }
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if kind.is_dir() {
                self.show(&format!("{folder}/{name}"))?;
            } else if kind.is_symlink() {
                self.link(&entry.path(), &self.root.join(folder).join(name)).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Makes a folder and those above it in the skeleton.
    fn folders(&self, path: &str) -> io::Result<()> {
        let mut at = self.root.clone();
        for part in Path::new(path) {
            at.push(part);
            if fs::symlink_metadata(&at).is_err() {
                self.builder.make(&at, 0o755)?;
            }
        }
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(fs::read_link(from)?, to)?;
        self.builder.ids.own(to, 0, 0)
    }

    /// The folders and links of /var, empty, a few levels deep: services and package managers expect them.
    fn state(&self, from: &Path, to: &Path, depth: u32) -> io::Result<()> {
        // What can't be listed stays empty.
        let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
        for entry in entries {
            let entry = entry?;
            let (from, to, kind) = (entry.path(), to.join(entry.file_name()), entry.file_type()?);
            if kind.is_symlink() {
                self.link(&from, &to)?;
            } else if kind.is_dir() {
                let meta = entry.metadata()?;
                self.builder.make(&to, 0o700)?;
                self.like(&meta, &to)?;
                if depth > 1 {
                    self.state(&from, &to, depth - 1)?;
                }
            }
        }
        Ok(())
    }

    /// Gives a copy the owner and mode of the original; an owner without a mapping becomes root.
    fn like(&self, meta: &fs::Metadata, to: &Path) -> io::Result<()> {
        let known = |id: u32| if self.builder.ids.is_user() && id == 65_534 { 0 } else { id };
        self.builder.ids.own(to, known(meta.uid()), known(meta.gid()))?;
        if meta.is_symlink() {
            return Ok(());
        }
        fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o7777))
    }

    /// Copies what every account of the host may read.
    fn configuration(&self, from: &Path, to: &Path, largest: u64) -> io::Result<()> {
        let meta = fs::symlink_metadata(from)?;
        self.builder.make(to, 0o700)?;
        if let Ok(entries) = fs::read_dir(from) {
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if PRIVATE.contains(&name.as_str()) || name.starts_with("ssh_host_") {
                    continue;
                }
                let (from, to, kind) = (entry.path(), to.join(entry.file_name()), entry.file_type()?);
                let Ok(meta) = entry.metadata() else { continue };
                if kind.is_symlink() {
                    self.link(&from, &to)?;
                } else if kind.is_dir() && meta.mode() & 0o005 == 0o005 {
                    self.configuration(&from, &to, largest)?;
                } else if kind.is_file() && meta.mode() & 0o004 != 0 && meta.len() <= largest {
                    let Ok(mut source) = File::open(&from) else { continue };
                    io::copy(&mut source, &mut File::create(&to)?)?;
                    self.like(&meta, &to)?;
                }
            }
        }
        self.like(&meta, to)
    }

    /// The files of /etc that a guest needs and that can't be the host's.
    fn own_configuration(&self) -> io::Result<()> {
        let etc = self.root.join("etc");
        let passwd = fs::read_to_string(etc.join("passwd")).unwrap_or_default();
        let group = fs::read_to_string(etc.join("group")).unwrap_or_default();
        let locked = |text: &str, rest: &str| -> String {
            text.lines().filter_map(|line| line.split(':').next()).map(|name| format!("{name}:*{rest}\n")).collect()
        };
        let gid = |name: &str| {
            group
                .lines()
                .find(|line| line.starts_with(&format!("{name}:")))
                .and_then(|line| line.split(':').nth(2)?.parse().ok())
        };
        let shadow = gid("shadow").unwrap_or(0);
        for (name, content, mode, group) in [
            ("hostname", "localhost\n".to_owned(), 0o644, 0),
            ("hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n".to_owned(), 0o644, 0),
            ("resolv.conf", String::new(), 0o644, 0),
            ("machine-id", String::new(), 0o444, 0),
            ("fstab", "# The root file system needs no entry.\n".to_owned(), 0o644, 0),
            ("shadow", locked(&passwd, ":19000:0:99999:7:::"), 0o640, shadow),
            ("gshadow", locked(&group, "::"), 0o640, shadow),
            (
                "sudoers",
                "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) NOPASSWD: ALL\n%wheel ALL=(ALL:ALL) NOPASSWD: ALL\n\
                 @includedir /etc/sudoers.d\n"
                    .to_owned(),
                0o440,
                0,
            ),
        ] {
            let path = etc.join(name);
            // A link to somewhere that guests don't have, as resolv.conf often is.
            let _ = fs::remove_file(&path);
            fs::write(&path, content)?;
            self.builder.ids.own(&path, 0, group)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        if fs::symlink_metadata(etc.join("sudoers.d")).is_err() {
            self.builder.make(&etc.join("sudoers.d"), 0o755)?;
        }
        self.homes(&passwd)
    }

    /// Empty homes of people's accounts.
    fn homes(&self, passwd: &str) -> io::Result<()> {
        for line in passwd.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            let &[_, _, uid, gid, _, home, ..] = fields.as_slice() else { continue };
            let (Ok(uid), Ok(gid)) = (uid.parse::<u32>(), gid.parse::<u32>()) else { continue };
            let Some(name) = home.strip_prefix("/home/").filter(|name| !name.is_empty() && !name.contains(['/', '.']))
            else {
                continue;
            };
            let path = self.root.join("home").join(name);
            if PEOPLE.contains(&uid) && fs::symlink_metadata(&path).is_err() {
                self.builder.make(&path, 0o700)?;
                self.builder.ids.own(&path, uid, gid)?;
            }
        }
        Ok(())
    }

    /// A guest's root reads what whoever started it can, on the host's root's behalf everything. In /usr only
    /// /usr/local may hold an administrator's secrets: what others can't read there is taken away.
    fn hide_private(&self, top: &Path, inside: &Path, into: &mut Top) -> io::Result<()> {
        let mut private = BTreeSet::new();
        find_private(&top.join(inside), &mut private);
        if private.is_empty() {
            return Ok(());
        }
        let mask = self.builder.directory.join(format!("{}-mask", into.key()));
        self.builder.make(&mask, 0o755)?;
        for path in private {
            let Ok(relative) = path.strip_prefix(top) else { continue };
            let (mut from, mut to) = (top.to_owned(), mask.clone());
            for part in relative.parent().unwrap_or(Path::new("")) {
                from.push(part);
                to.push(part);
                if fs::symlink_metadata(&to).is_err() {
                    self.builder.make(&to, 0o700)?;
                    self.like(&fs::metadata(&from)?, &to)?;
                }
            }
            rustix::fs::mknodat(CWD, mask.join(relative), FileType::CharacterDevice, Mode::empty(), 0)?;
        }
        into.lowers.insert(0, mask.to_string_lossy().into_owned());
        Ok(())
    }
}

fn find_private(directory: &Path, private: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        let needed = if meta.is_dir() { 0o005 } else { 0o004 };
        if meta.is_symlink() {
            continue;
        }
        if meta.mode() & needed != needed {
            private.insert(entry.path());
        } else if meta.is_dir() {
            find_private(&entry.path(), private);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_others_may_not_read() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let at = |name: &str| directory.path().join(name);
        for name in ["open/inner", "closed/inner"] {
            fs::create_dir_all(at(name))?;
        }
        for (name, mode) in [("open/secret", 0o640), ("open/inner/fine", 0o644), ("closed/inner/file", 0o644)] {
            fs::write(at(name), "")?;
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode))?;
        }
        fs::set_permissions(at("closed"), fs::Permissions::from_mode(0o750))?;
        let mut private = BTreeSet::new();
        find_private(directory.path(), &mut private);
        assert_eq!(private.into_iter().collect::<Vec<_>>(), [at("closed"), at("open/secret")]);
        Ok(())
    }
}
