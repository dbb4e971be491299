//! A guest's accounts, read from its own files by a process inside it, and becoming one of them.

use super::ids::Standing;
use super::{Error, Ids, Result, User, sys};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, Gid, Uid};
use std::fs;

/// Looks up an account by name in /etc/passwd and /etc/group.
pub fn lookup(name: &str) -> Result<User> {
    let passwd = read("/etc/passwd");
    passwd
        .lines()
        .filter_map(parse)
        .find(|user| user.name == name)
        .map(|user| with_groups(user, &read("/etc/group")))
        .map(|user| with_shadow(user, &read("/etc/shadow")))
        .ok_or_else(|| Error::NoSuchUser(name.to_owned()))
}

/// The account of a request: by name, or id 0 for the empty one, which needs no /etc/passwd.
pub fn requested(name: &str) -> Result<User> {
    if !name.is_empty() {
        return lookup(name);
    }
    Ok(read("/etc/passwd").lines().filter_map(parse).find(|user| user.uid == 0).unwrap_or_else(|| User {
        name: "root".to_owned(),
        uid: 0,
        gid: 0,
        groups: Vec::new(),
        home: "/root".to_owned(),
        shell: "/bin/sh".to_owned(),
        shadow: String::new(),
    }))
}

/// All accounts' ids and names.
pub fn names() -> Vec<(u32, String)> {
    read("/etc/passwd").lines().filter_map(parse).map(|user| (user.uid, user.name)).collect()
}

/// Becomes the account, for good.
pub fn assume(user: &User, standing: Standing) -> Result<()> {
    let failed = |what: &str, error: rustix::io::Errno| Error::Os {
        action: format!("becoming {} ({what})", user.name),
        errno: error.raw_os_error(),
    };
    if standing.exposed {
        // Without this right it can't take off what protects the host's settings in /proc.
        rustix::thread::remove_capability_from_bounding_set(CapabilitySet::SYS_ADMIN)
            .map_err(|e| failed("capabilities", e))?;
    }
    match standing.ids {
        Ids::Single => return assume_by_name(user),
        Ids::Identity | Ids::Shifted | Ids::Subordinate => {}
    }
    let groups: Vec<Gid> = std::iter::once(user.gid).chain(user.groups.iter().copied()).map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    rustix::thread::set_thread_groups(&groups).map_err(|e| failed("groups", e))?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|e| failed("group", e))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|e| failed("user", e))
}

/// With one id there is nobody else to become: a user namespace gives that id the right number, no more.
fn assume_by_name(user: &User) -> Result<()> {
    if user.uid == 0 {
        return Ok(());
    }
    let failed = |error: std::io::Error| Error::Os {
        action: format!("becoming {}", user.name),
        errno: error.raw_os_error().unwrap_or(libc::EIO),
    };
    // Files in /proc/self belong to the host's root otherwise.
    set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(|e| failed(e.into()))?;
    sys::unshare(sys::NEW_USER).map_err(failed)?;
    fs::write("/proc/self/setgroups", "deny").map_err(failed)?;
    fs::write("/proc/self/uid_map", format!("{} 0 1", user.uid)).map_err(failed)?;
    fs::write("/proc/self/gid_map", format!("{} 0 1", user.gid)).map_err(failed)
}

fn read(path: &str) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn parse(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?.to_owned();
    let _password = fields.next()?;
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let (_comment, home, shell) = (fields.next()?, fields.next().unwrap_or("/"), fields.next().unwrap_or_default());
    let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
    let (home, shell) = (or(home, "/"), or(shell, "/bin/sh"));
    Some(User { name, uid, gid, groups: Vec::new(), home, shell, shadow: String::new() })
}

fn with_shadow(mut user: User, shadow: &str) -> User {
    let field = |line: &str| {
        let mut fields = line.split(':');
        fields.next().filter(|name| *name == user.name).and_then(|_| fields.next()).map(str::to_owned)
    };
    user.shadow = shadow.lines().find_map(field).unwrap_or_default();
    user
}

fn with_groups(mut user: User, groups: &str) -> User {
    user.groups = groups
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let gid = fields.nth(2)?.parse().ok()?;
            fields.next()?.split(',').any(|member| member == user.name).then_some(gid)
        })
        .filter(|gid| *gid != user.gid)
        .collect();
    user
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_account_and_its_groups() {
        let user = parse("deploy:x:1000:1001:Deploy,,,:/srv/deploy:/bin/bash")
            .map(|user| with_groups(user, "root:x:0:\ndeploy:x:1001:deploy\nsudo:x:27:other,deploy\nx:x:28:deploys\n"))
            .map(|user| with_shadow(user, "root:*:1:0:9:7:::\ndeployer:no:1\ndeploy:$y$j9T$x:19000:0:99999:7:::\n"));
        assert_eq!(
            user,
            Some(User {
                name: "deploy".to_owned(),
                uid: 1000,
                gid: 1001,
                groups: vec![27],
                home: "/srv/deploy".to_owned(),
                shell: "/bin/bash".to_owned(),
                shadow: "$y$j9T$x".to_owned(),
            })
        );
    }

    #[test]
    fn takes_what_a_short_line_leaves_out_from_the_defaults_of_login() {
        assert_eq!(parse("a:x:1:2:::").map(|u| (u.home, u.shell)), Some(("/".to_owned(), "/bin/sh".to_owned())));
        assert_eq!(parse("a:x:one:2:::"), None);
        assert_eq!(parse("# comment:x:1:2:::"), None);
        assert_eq!(parse(""), None);
    }
}
