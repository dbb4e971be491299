//! Guests that truly run. What needs root or an ordinary user says so; everything else runs as whoever starts it.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vmwbuild::sandbox::guests::{
    BootSpec, Config, Ended, Error, ExecSpec, Exit, FileKind, Guest, Guests, Ids, Limit, NewName, NicSpec, Parent,
    Process, TemplateSource,
};

/// The program to re-execute; another copy where this user can't read the one that cargo built.
fn program() -> PathBuf {
    std::env::var_os("VMWBUILD_TEST_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_vmwbuild").into(), PathBuf::from)
}

fn config() -> Config {
    Config {
        executable: Some(program()),
        ids: std::env::var("VMWBUILD_TEST_IDS").ok().map(|ids| match ids.as_str() {
            "single" => Ids::Single,
            "identity" => Ids::Identity,
            other => panic!("VMWBUILD_TEST_IDS={other}"),
        }),
        ..Config::default()
    }
}

async fn with_host() -> Guests {
    let guests = Guests::start(config()).await.unwrap();
    guests.add_template("linux", TemplateSource::Host).await.unwrap();
    guests
}

fn is_user(guests: &Guests) -> bool {
    [Ids::Subordinate, Ids::Single].contains(&guests.facts().ids)
}

fn linux() -> Parent {
    Parent::Template("linux".to_owned())
}

async fn boot(guests: &Guests) -> Guest {
    let layer = guests.new_layer(linux()).await.unwrap();
    guests.boot(layer, BootSpec::default()).await.unwrap()
}

/// A shell's output (both streams) and how it ended.
async fn sh_as(guest: &Guest, user: &str, script: &str) -> (String, Exit) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let output = File::from(OwnedFd::from(writer));
    let spec = ExecSpec {
        program: "/bin/sh".to_owned(),
        argv: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
        env: vec![("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())],
        user: user.to_owned(),
        stderr: Some(output.try_clone().unwrap()),
        stdout: Some(output),
        ..ExecSpec::default()
    };
    let process = guest.exec(spec).await.unwrap();
    let text = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    let text = text.await.unwrap();
    (text, process.wait().await)
}

async fn sh(guest: &Guest, script: &str) -> (String, Exit) {
    sh_as(guest, "", script).await
}

async fn ok(guest: &Guest, script: &str) -> String {
    let (text, exit) = sh(guest, script).await;
    assert_eq!(exit, Exit::Code(0), "`{script}` said: {text}");
    text
}

#[tokio::test]
async fn runs_a_program_and_tells_its_output_and_end() {
    let guests = with_host().await;
    let guest = boot(&guests).await;
    assert_eq!(sh(&guest, "echo out; echo err >&2; exit 7").await, ("out\nerr\n".to_owned(), Exit::Code(7)));
    assert_eq!(sh(&guest, "kill -9 $$").await.1, Exit::Signal(9));
    assert_eq!(ok(&guest, "id -u; pwd").await, "0\n/root\n");
    guest.stop().await.unwrap();
    assert_eq!(guest.has_ended(), Some(Ended::Stopped));
    guests.close().await;
}

#[tokio::test]
async fn gives_a_program_what_it_is_given_and_nothing_else() {
    let guests = with_host().await;
    let guest = boot(&guests).await;
    let (mut reader, writer) = std::io::pipe().unwrap();
    let (input, mut feed) = std::io::pipe().unwrap();
    feed.write_all(b"fed").unwrap();
    drop(feed);
    let spec = ExecSpec {
        program: "/bin/sh".to_owned(),
        argv: vec!["anything".to_owned(), "-c".to_owned(), "cat; echo; pwd; env | sort; ls /proc/self/fd".to_owned()],
        env: vec![("ONE".to_owned(), "1".to_owned()), ("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        cwd: Some("/usr".to_owned()),
        stdin: Some(File::from(OwnedFd::from(input))),
        stdout: Some(File::from(OwnedFd::from(writer))),
        ..ExecSpec::default()
    };
    let process = guest.exec(spec).await.unwrap();
    assert!(process.pid() > 1, "{}", process.pid());
    assert_eq!(process.wait().await, Exit::Code(0));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    // Descriptor 3 is the directory that ls reads.
    assert_eq!(text, "fed\n/usr\nONE=1\nPATH=/usr/bin:/bin\nPWD=/usr\n0\n1\n2\n3\n");
    guests.close().await;
}

#[tokio::test]
async fn says_why_a_program_does_not_start() {
    let guests = with_host().await;
    let guest = boot(&guests).await;
    let start = |program: &str, user: &str, cwd: Option<&str>| {
        let spec = ExecSpec {
            program: program.to_owned(),
            user: user.to_owned(),
            cwd: cwd.map(str::to_owned),
            ..ExecSpec::default()
        };
        let guest = guest.clone();
        async move { guest.exec(spec).await.unwrap_err() }
    };
    assert_eq!(start("/bin/absent", "", None).await.to_string(), "execute /bin/absent: No such file or directory");
    assert_eq!(start("/etc/passwd", "", None).await.to_string(), "execute /etc/passwd: Permission denied");
    assert_eq!(start("/etc", "", None).await.to_string(), "execute /etc: Permission denied");
    assert_eq!(start("/bin/true", "", Some("/absent")).await.to_string(), "enter /absent: No such file or directory");
    assert_eq!(start("/bin/true", "nemo", None).await, Error::NoSuchUser("nemo".to_owned()));
    guests.close().await;
}

#[tokio::test]
async fn layers_keep_changes_apart_and_pass_them_on() {
    let guests = with_host().await;
    let one = boot(&guests).await;
    let other = boot(&guests).await;
    ok(
        &one,
        "echo built > /etc/built; echo tool > /usr/bin/newtool; rm /etc/passwd-absent /etc/issue; mkdir -p /opt/app",
    )
    .await;
    assert_eq!(
        ok(&other, "ls /etc/built /usr/bin/newtool /opt/app 2>&1 | grep -c 'No such'; ls /etc/issue").await,
        "3\n/etc/issue\n"
    );
    let template = one.layer();
    assert!(matches!(guests.freeze(template).await, Err(Error::Busy(_))));
    assert!(matches!(guests.new_layer(Parent::Layer(template)).await, Err(Error::Busy(_))));
    one.stop().await.unwrap();
    guests.freeze(template).await.unwrap();
    assert!(matches!(guests.boot(template, BootSpec::default()).await, Err(Error::Busy(_))));

    // A clone, and a clone of the clone.
    let mut parent = template;
    for depth in 0..3 {
        let layer = guests.new_layer(Parent::Layer(parent)).await.unwrap();
        let clone = guests.boot(layer, BootSpec::default()).await.unwrap();
        assert_eq!(
            ok(&clone, "cat /etc/built /usr/bin/newtool; ls /etc/issue 2>&1; ls /opt /opt/*-down 2>/dev/null | wc -l")
                .await
                .lines()
                .take(3)
                .collect::<Vec<_>>(),
            ["built", "tool", "ls: cannot access '/etc/issue': No such file or directory"]
        );
        assert_eq!(ok(&clone, "ls /opt | wc -l").await, format!("{}\n", depth + 1));
        ok(&clone, &format!("mkdir /opt/{depth}-down")).await;
        clone.stop().await.unwrap();
        guests.freeze(layer).await.unwrap();
        parent = layer;
    }
    assert!(matches!(guests.delete_layer(template).await, Err(Error::Busy(_))));
    other.stop().await.unwrap();
    guests.delete_layer(other.layer()).await.unwrap();
    assert!(matches!(guests.delete_layer(other.layer()).await, Err(Error::NotFound(_))));
    assert_eq!(guests.layers().await.unwrap().len(), 4);
    guests.close().await;
}

#[tokio::test]
async fn a_snapshot_of_a_running_guest_can_be_reverted_to() {
    let guests = with_host().await;
    let guest = boot(&guests).await;
    ok(&guest, "echo before > /var/state; rm -r /etc/apt /etc/skel; mkdir /etc/skel; ln /var/state /var/same").await;
    let snapshot = guests.copy_layer(guest.layer()).await.unwrap();
    guests.freeze(snapshot).await.unwrap();
    ok(&guest, "echo after > /var/state").await;
    assert_eq!(ok(&guest, "cat /var/state").await, "after\n");
    guest.stop().await.unwrap();
    guests.delete_layer(guest.layer()).await.unwrap();
    let layer = guests.new_layer(Parent::Layer(snapshot)).await.unwrap();
    let guest = guests.boot(layer, BootSpec::default()).await.unwrap();
    assert_eq!(
        ok(&guest, "cat /var/same; ls -A /etc/skel; ls -d /etc/apt 2>&1 || true").await,
        "before\nls: cannot access '/etc/apt': No such file or directory\n"
    );
    guests.close().await;
}

#[tokio::test]
async fn what_is_the_hosts_stays_the_hosts() {
    let guests = with_host().await;
    let guest = boot(&guests).await;
    let marker = tempfile::NamedTempFile::with_prefix("vmwbuild-host-").unwrap();
    let hidden =
        ok(&guest, "ls -A /root /home/* /tmp /mnt /media /srv /opt /boot 2>/dev/null | grep -v ':$' | grep . || true")
            .await;
    assert_eq!(hidden, "");
    assert!(!ok(&guest, "ls / /tmp /var/tmp").await.contains(marker.path().file_name().unwrap().to_str().unwrap()));
    assert_eq!(ok(&guest, "grep -v ':\\*:' /etc/shadow || true").await, "", "no password of the host");
    assert_eq!(ok(&guest, "find /etc -name 'ssh_host_*'; cat /etc/machine-id | wc -c").await, "33\n");
    assert_ne!(ok(&guest, "cat /etc/machine-id").await, std::fs::read_to_string("/etc/machine-id").unwrap_or_default());
    // Another root, with nothing of the host mounted in it.
    let mounts = ok(&guest, "cut -d' ' -f2 /proc/self/mounts | sort -u | tr '\\n' ' '").await;
    for mount in mounts.split_whitespace() {
        assert!(
            [
                "/",
                "/usr",
                "/dev",
                "/proc",
                "/run",
                "/sys",
                "/sys/class/net",
                "/sys/devices/virtual/net",
                "/var/lib/dpkg"
            ]
            .iter()
            .any(|known| mount == *known
                || mount.starts_with("/dev/")
                || mount.starts_with("/usr/")
                || mount.starts_with("/proc/")),
            "{mount} in {mounts}"
        );
    }
    // Processes and the network.
    assert_eq!(ok(&guest, "set -- /proc/[0-9]*; echo $#").await, "2\n", "init and the shell");
    assert_eq!(ok(&guest, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '").await, "lo\n");
    assert_ne!(sh(&guest, "kill -0 -1; exec 3<>/dev/tcp/127.0.0.1/22").await.1, Exit::Code(0));
    // What a guest's root could turn against the host.
    for attempt in [
        // Appending nothing opens for writing, and harms nothing where that works.
        ": >> /proc/sysrq-trigger",
        ": >> /proc/sys/kernel/core_pattern",
        ": >> /proc/sys/vm/drop_caches",
        "umount /proc/sys && : >> /proc/sys/kernel/core_pattern",
        "unshare -Urmpf sh -c 'umount /proc/sys; mount -t proc proc /proc; : >> /proc/sys/kernel/core_pattern'",
        "mknod /tmp/disk b 254 0 && dd if=/tmp/disk of=/dev/null count=1",
        "umount /usr",
        "cat /proc/1/environ | grep .",
        "ls /proc/1/root/",
        "head -c1 /proc/kcore",
        "echo > /sys/class/dmi/id/sys_vendor",
        "mount -o remount,rw /sys && echo > /sys/class/dmi/id/sys_vendor",
        "mount -t ext4 /dev/vda /mnt",
        "nsenter -t 1 -m true",
    ] {
        // Mounts of an ordinary user's guest are the guest's own; undoing them shows nothing of the host.
        let own = ["umount /usr", "mount -o remount,rw /sys && echo > /sys/class/dmi/id/sys_vendor"];
        if is_user(&guests) && own.contains(&attempt) {
            continue;
        }
        let (text, exit) = sh(&guest, attempt).await;
        assert_ne!(exit, Exit::Code(0), "`{attempt}` worked: {text}");
    }
    // And its changes.
    let mark = format!("vmwbuild-guest-{}", std::process::id());
    ok(
        &guest,
        &format!(
            "for d in /tmp /root /home /etc /var /var/tmp /run /opt /usr/bin /dev/shm /; do echo x > $d/{mark}; done"
        ),
    )
    .await;
    for directory in ["/tmp", "/root", "/home", "/etc", "/var", "/var/tmp", "/run", "/opt", "/usr/bin", "/dev/shm", "/"]
    {
        assert!(!std::path::Path::new(directory).join(&mark).exists(), "{directory}/{mark} is on the host");
    }
    guests.close().await;
}

#[tokio::test]
async fn files_are_the_guests_with_an_accounts_rights() {
    let guests = with_host().await;
    let guest = boot(&guests).await;
    let single = guests.facts().ids == Ids::Single;
    ok(&guest, "echo 'ann:x:1234:1235:Ann:/home/ann:/bin/sh' >> /etc/passwd; echo 'team:x:77:bob,ann' >> /etc/group")
        .await;
    ok(&guest, "mkdir -p /home/ann; chown 1234:1235 /home/ann; chmod 755 /home/ann").await;
    let ann = guest.user("ann").await.unwrap();
    assert_eq!(
        (ann.uid, ann.gid, ann.groups, ann.home.as_str(), ann.shell.as_str()),
        (1234, 1235, vec![77], "/home/ann", "/bin/sh")
    );
    assert_eq!(guest.user("nemo").await, Err(Error::NoSuchUser("nemo".to_owned())));
    let (text, exit) = sh_as(&guest, "ann", "id -u; id -g; pwd; touch /home/ann/mine").await;
    assert_eq!((text.as_str(), exit), ("1234\n1235\n/home/ann\n", Exit::Code(0)));

    let (root, ann) = (guest.files(""), guest.files("ann"));
    let mut file = ann.open_write("/home/ann/data", false, 0o640).await.unwrap();
    file.write_all(&vec![7; 3_000_000]).unwrap();
    drop(file);
    let info = ann.stat("/home/ann/data").await.unwrap();
    assert_eq!(
        (info.name.as_str(), info.size, info.mode, info.uid, info.gid, info.kind),
        ("data", 3_000_000, 0o640, 1234, 1235, FileKind::File)
    );
    assert!(info.modified_ms > 1_600_000_000_000);
    let (mut file, info) = ann.open_read("/home/ann/data").await.unwrap();
    let mut data = Vec::new();
    file.read_to_end(&mut data).unwrap();
    assert_eq!((data.len(), info.size), (3_000_000, 3_000_000));
    assert_eq!(ann.open_write("/home/ann/data", false, 0o640).await.unwrap_err().errno(), Some(libc::EEXIST));
    drop(ann.open_write("/home/ann/data", true, 0o640).await.unwrap());
    assert_eq!(ann.stat("/home/ann/data").await.unwrap().size, 0);

    if !single {
        assert_eq!(ann.open_write("/etc/forbidden", true, 0o644).await.unwrap_err().errno(), Some(libc::EACCES));
        assert_eq!(ann.open_read("/etc/shadow").await.unwrap_err().errno(), Some(libc::EACCES));
        assert_eq!(ann.list("/root").await.unwrap_err().errno(), Some(libc::EACCES));
        assert_eq!(ann.set_attributes("/etc/passwd", mode(0o666)).await.unwrap_err().errno(), Some(libc::EPERM));
        assert_eq!(guest.kill("ann", 1, 15).await.unwrap_err().errno(), Some(libc::EPERM));
        assert_eq!(sh_as(&guest, "ann", "cat /etc/shadow").await.1, Exit::Code(1));
    }
    assert_eq!(root.open_read("/etc").await.unwrap_err().errno(), Some(libc::EISDIR));
    assert_eq!(root.open_read("/dev/zero").await.unwrap_err().errno(), Some(libc::EINVAL));
    assert_eq!(root.open_read("/absent").await.unwrap_err().to_string(), "open /absent: No such file or directory");
    ok(&guest, "mkfifo /tmp/pipe").await;
    assert_eq!(root.open_read("/tmp/pipe").await.unwrap_err().errno(), Some(libc::EINVAL));

    root.make_dir("/srv/a/b", true, 0o711).await.unwrap();
    assert_eq!(root.make_dir("/srv/a/b", true, 0o711).await.unwrap_err().errno(), Some(libc::EEXIST));
    assert_eq!(root.make_dir("/srv/x/y", false, 0o755).await.unwrap_err().errno(), Some(libc::ENOENT));
    drop(root.open_write("/srv/a/b/file", false, 0o600).await.unwrap());
    ok(&guest, "ln -s ../../../../../../../../etc/passwd /srv/a/link; ln -s /srv /srv/a/up").await;
    let mut list = root.list("/srv/a").await.unwrap();
    list.sort_by(|a, b| a.name.cmp(&b.name));
    let shown: Vec<_> = list.iter().map(|i| (i.name.as_str(), i.kind, i.target.as_str())).collect();
    assert_eq!(
        shown,
        [
            (".", FileKind::Directory, ""),
            ("..", FileKind::Directory, ""),
            ("b", FileKind::Directory, ""),
            ("link", FileKind::Symlink, "../../../../../../../../etc/passwd"),
            ("up", FileKind::Symlink, "/srv")
        ]
    );
    assert_eq!(root.list("/srv/a/b/file").await.unwrap().len(), 1);
    // A link leads to the guest's file, never to the host's.
    let (mut file, _) = root.open_read("/srv/a/link").await.unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert!(text.contains("ann:x:1234"), "{text}");

    root.set_attributes(
        "/srv/a/b/file",
        vmwbuild::sandbox::guests::Attributes {
            mode: Some(0o4755),
            uid: Some(1234),
            gid: Some(77),
            modified_ms: Some(1_500_000_000_123),
            accessed_ms: None,
        },
    )
    .await
    .unwrap();
    let info = root.stat("/srv/a/b/file").await.unwrap();
    assert_eq!((info.mode, info.modified_ms), (0o4755, 1_500_000_000_123));
    if !single {
        assert_eq!((info.uid, info.gid), (1234, 77));
    }
    root.rename("/srv/a/b", "/srv/c", false).await.unwrap();
    drop(root.open_write("/srv/d", false, 0o600).await.unwrap());
    assert_eq!(root.rename("/srv/d", "/srv/c/file", false).await.unwrap_err().errno(), Some(libc::EEXIST));
    root.rename("/srv/d", "/srv/c/file", true).await.unwrap();
    root.rename("/srv/c/file", "/usr/share/moved", false).await.unwrap();
    root.rename("/etc/skel", "/etc/skeleton", false).await.unwrap();
    assert_eq!(root.stat("/etc/skel").await.unwrap_err().errno(), Some(libc::ENOENT));
    assert!(root.stat("/etc/skeleton/.profile").await.is_ok());
    assert_eq!(root.remove_dir("/srv/a", false).await.unwrap_err().errno(), Some(libc::ENOTEMPTY));
    root.remove_dir("/srv/a", true).await.unwrap();
    assert!(root.stat("/srv").await.is_ok(), "what a link pointed at stays");
    root.remove_file("/usr/share/moved").await.unwrap();
    assert_eq!(root.remove_file("/usr/share/moved").await.unwrap_err().errno(), Some(libc::ENOENT));

    let name = NewName { directory: None, prefix: "pre".to_owned(), suffix: "suf".to_owned() };
    let directory = ann.make_temp_dir(name.clone()).await.unwrap();
    assert!(
        directory.starts_with("/tmp/pre") && directory.ends_with("suf") && directory.len() == "/tmp/preXXXXXXsuf".len()
    );
    let info = ann.stat(&directory).await.unwrap();
    assert_eq!((info.kind, info.mode, info.uid), (FileKind::Directory, 0o700, 1234));
    let file = ann.make_temp_file(NewName { directory: Some(directory.clone()), ..name }).await.unwrap();
    assert!(file.starts_with(&directory));
    assert_eq!(ann.stat(&file).await.unwrap().mode, 0o600);
    guests.close().await;
}

fn mode(mode: u32) -> vmwbuild::sandbox::guests::Attributes {
    vmwbuild::sandbox::guests::Attributes { mode: Some(mode), ..Default::default() }
}

#[tokio::test]
async fn processes_are_listed_and_signalled() {
    let guests = with_host().await;
    let guest = boot(&guests).await;
    ok(&guest, "echo 'ann:x:1234:1235::/tmp:/bin/sh' >> /etc/passwd").await;
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let sleep = |user: &str| {
        let (guest, user) = (guest.clone(), user.to_owned());
        async move {
            let argv = ["/bin/sleep", "1000"].map(str::to_owned).to_vec();
            guest.exec(ExecSpec { program: "/bin/sleep".to_owned(), argv, user, ..ExecSpec::default() }).await.unwrap()
        }
    };
    let (first, second) = (sleep("").await, sleep("ann").await);
    let all = guest.processes().await.unwrap();
    let of = |pid: u32| all.iter().find(|process| process.pid == pid).unwrap();
    assert_eq!(of(1).command_line, "/sbin/init");
    assert_eq!(
        (of(first.pid()).command_line.as_str(), of(first.pid()).owner.as_str(), of(first.pid()).name.as_str()),
        ("/bin/sleep 1000", "root", "sleep")
    );
    assert_eq!(of(first.pid()).parent, 1);
    assert!((of(first.pid()).started_ms - before).abs() < 5000, "{} {before}", of(first.pid()).started_ms);
    if guests.facts().ids != Ids::Single {
        assert_eq!(of(second.pid()).owner, "ann");
        assert_eq!(guest.kill("ann", first.pid(), 9).await.unwrap_err().errno(), Some(libc::EPERM));
    }
    assert_eq!(all.len(), 3, "{all:?}");
    guest.kill("ann", second.pid(), 15).await.unwrap();
    assert_eq!(second.wait().await, Exit::Signal(15));
    guest.kill("", first.pid(), 9).await.unwrap();
    let pid = first.pid();
    assert_eq!(first.wait().await, Exit::Signal(9));
    assert_eq!(guest.kill("", pid, 9).await.unwrap_err().errno(), Some(libc::ESRCH));
    // What a program leaves behind is collected by init.
    ok(&guest, "sleep 1000 >/dev/null 2>&1 & sleep 0.01 & exit 0").await;
    let third = sleep("").await;
    guest.stop().await.unwrap();
    assert_eq!(third.wait().await, Exit::GuestEnded);
    guests.close().await;
}

/// A shell that has done `setup` and then runs for ever.
async fn listening(guest: &Guest, setup: &str) -> Process {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let spec = ExecSpec {
        program: "/bin/sh".to_owned(),
        argv: ["sh", "-c", &format!("{setup}; echo ready; while :; do /bin/sleep 0.01; done")]
            .map(str::to_owned)
            .to_vec(),
        stdout: Some(File::from(OwnedFd::from(writer))),
        ..ExecSpec::default()
    };
    let process = guest.exec(spec).await.unwrap();
    let mut ready = [0; 6];
    tokio::task::spawn_blocking(move || reader.read_exact(&mut ready)).await.unwrap().unwrap();
    process
}

#[tokio::test]
async fn a_guest_ends_when_told_to_and_by_itself() {
    let guests = with_host().await;
    let layer = guests.new_layer(linux()).await.unwrap();
    let again = || async { guests.boot(layer, BootSpec::default()).await.unwrap() };

    let guest = again().await;
    let busy = guests.boot(layer, BootSpec::default()).await.unwrap_err();
    assert!(busy.to_string().contains("in use by a running guest"), "{busy}");
    let process = listening(&guest, "trap 'echo asked > /root/asked; exit 3' TERM").await;
    guest.shutdown(Duration::from_secs(60)).await.unwrap();
    // Its end may or may not be told before the guest's.
    let exit = process.wait().await;
    assert!([Exit::Code(3), Exit::GuestEnded].contains(&exit), "{exit:?}");
    assert_eq!(guest.ended().await, Ended::PoweredOff);
    assert_eq!(guest.processes().await, Err(Error::Gone));
    assert!(guest.stop().await.is_ok(), "stopping what has ended is fine");

    // One that doesn't listen is killed after the time given.
    let guest = again().await;
    assert!(guest.files("").stat("/root/asked").await.is_ok());
    let process = listening(&guest, "trap '' TERM").await;
    guest.shutdown(Duration::from_millis(300)).await.unwrap();
    assert_eq!(process.wait().await, Exit::GuestEnded);

    // The guest's own doing: reboot(2) as systemctl and busybox call it, and init's signals.
    for (script, how) in [
        ("python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'", Ended::PoweredOff),
        ("python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x1234567)'", Ended::Rebooted),
        ("kill -USR2 1", Ended::PoweredOff),
        ("kill -TERM 1", Ended::Rebooted),
    ] {
        let guest = again().await;
        let (text, _) = sh(&guest, script).await;
        let ended = tokio::time::timeout(Duration::from_secs(20), guest.ended()).await;
        assert_eq!(ended, Ok(how), "{script}: {text}");
    }
    guests.close().await;
}

#[tokio::test]
async fn a_guest_knows_what_machine_it_is() {
    let guests = with_host().await;
    let layer = guests.new_layer(linux()).await.unwrap();
    let spec = BootSpec {
        hostname: Some("web-1".to_owned()),
        uuid: Some("564d2f9e-0a1b-4c3d-8e5f-60718293a4b5".to_owned()),
        ..BootSpec::default()
    };
    let guest = guests.boot(layer, spec).await.unwrap();
    assert_eq!(
        ok(&guest, "uname -n; cat /sys/class/dmi/id/product_uuid").await,
        "web-1\n564d2f9e-0a1b-4c3d-8e5f-60718293a4b5\n"
    );
    assert_eq!(
        ok(&guest, "cat /sys/class/dmi/id/product_serial").await,
        "VMware-56 4d 2f 9e 0a 1b 4c 3d-8e 5f 60 71 82 93 a4 b5\n"
    );
    let first = ok(&guest, "cat /etc/machine-id").await;
    if guests.facts().ids != Ids::Identity && !(is_user(&guests) && is_root()) {
        assert_eq!(ok(&guest, "hostname other; hostname").await, "other\n");
    }
    guest.stop().await.unwrap();
    let nics = vec![
        NicSpec { mac: Some([0, 0x50, 0x56, 1, 2, 3]), address: Some(([10, 0, 0, 7].into(), 24)) },
        NicSpec { mac: Some([0, 0x50, 0x56, 1, 2, 4]), address: None },
    ];
    let guest = guests.boot(layer, BootSpec { nics, ..BootSpec::default() }).await.unwrap();
    assert_eq!(ok(&guest, "uname -n; cat /etc/machine-id").await, format!("localhost\n{first}"));
    let mut watch = guest.watch_network().await.unwrap();
    let report = watch.next().await.unwrap();
    assert_eq!(report.host_name, "localhost");
    let found = ok(&guest, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort").await;
    if report.nics.is_empty() {
        println!("this kernel has no network cards for guests");
        assert_eq!(found, "lo\n");
    } else {
        assert_eq!(found, "eth0\neth1\nlo\n");
        assert_eq!((report.nics[0].name.as_str(), report.nics[0].mac), ("eth0", Some([0, 0x50, 0x56, 1, 2, 3])));
        assert!(report.nics[0].up && report.nics[1].up, "{report:?}");
        assert!(report.nics[0].addresses.contains(&([10, 0, 0, 7].into(), 24)), "{report:?}");
        assert!(ok(&guest, "cat /proc/net/fib_trie").await.contains("10.0.0.7"));
        assert_eq!(
            ok(&guest, "cd /sys/class/net && echo *; cat eth1/address").await,
            "eth0 eth1 lo\n00:50:56:01:02:04\n"
        );
        // It leads nowhere: not to another guest that is beside it either.
        let nics = vec![NicSpec { mac: None, address: Some(([10, 0, 0, 8].into(), 24)) }];
        let other = guests.new_layer(linux()).await.unwrap();
        let other = guests.boot(other, BootSpec { nics, ..BootSpec::default() }).await.unwrap();
        let listen = "import socket, time; s = socket.create_server((\"0.0.0.0\", 4715)); time.sleep(60)";
        let connect = "exec 3<>/dev/tcp/10.0.0.8/4715";
        ok(
            &other,
            &format!(
                "python3 -c '{listen}' >/dev/null 2>&1 & until bash -c '{connect}' 2>/dev/null; do sleep 0.05; done"
            ),
        )
        .await;
        assert_ne!(sh(&guest, &format!("timeout 1 bash -c '{connect}'")).await.1, Exit::Code(0));
        other.stop().await.unwrap();
    }
    guests.close().await;
}

#[tokio::test]
async fn a_fork_bomb_hurts_its_guest_only() {
    let guests = with_host().await;
    println!("limits: processes {:?}, memory {:?}", guests.facts().process_limit, guests.facts().memory_limit);
    if guests.facts().process_limit == Limit::None {
        // The host's root without control groups: nothing would stop the bomb, here or on the user's machine.
        println!("nothing limits processes here: not tried");
        guests.close().await;
        return;
    }
    let layer = guests.new_layer(linux()).await.unwrap();
    let spec = BootSpec { max_processes: Some(64), max_memory: Some(256 << 20), ..BootSpec::default() };
    let guest = guests.boot(layer, spec).await.unwrap();
    let other = boot(&guests).await;
    let (text, _) = sh(&guest, "bomb() { bomb | bomb & }; bomb; sleep 1").await;
    assert!(text.contains("fork") || text.is_empty(), "{text}");
    let inside = tokio::time::timeout(Duration::from_secs(20), other.processes()).await.unwrap().unwrap();
    assert_eq!(inside.len(), 1);
    ok(&other, "true").await;
    guest.stop().await.unwrap();
    // The same guest counts no more than it may.
    let guest = guests.boot(layer, BootSpec { max_processes: Some(20), ..BootSpec::default() }).await.unwrap();
    let (text, _) = sh(&guest, "for i in $(seq 100); do sleep 100 >/dev/null 2>&1 & done; echo all").await;
    assert!(!text.contains("all"), "a hundred processes where twenty are allowed: {text}");
    let count = std::fs::read_dir("/proc").unwrap().count();
    assert!(count > 0);
    guest.stop().await.unwrap();
    if guests.facts().memory_limit == Limit::Cgroup {
        let spec = BootSpec { max_memory: Some(64 << 20), ..BootSpec::default() };
        let guest = guests.boot(layer, spec).await.unwrap();
        let (text, exit) = sh(&guest, "head -c 200m /dev/zero | tail | wc -c").await;
        assert_ne!((text.trim(), exit), ("209715200", Exit::Code(0)), "200 MB where 64 are allowed");
        assert_eq!(guests.layers().await.unwrap().len(), 2);
    }
    guests.close().await;
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
async fn is_quick() {
    let started = Instant::now();
    let guests = Guests::start(config()).await.unwrap();
    println!("start {:?}, {:?}", started.elapsed(), guests.facts());
    let started = Instant::now();
    guests.add_template("linux", TemplateSource::Host).await.unwrap();
    println!("template of the host {:?}", started.elapsed());
    let (mut boots, mut execs, mut stops, mut stats) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..30 {
        let layer = guests.new_layer(linux()).await.unwrap();
        let started = Instant::now();
        let guest = guests.boot(layer, BootSpec::default()).await.unwrap();
        boots.push(started.elapsed());
        for _ in 0..10 {
            let started = Instant::now();
            let spec = ExecSpec { program: "/bin/true".to_owned(), ..ExecSpec::default() };
            assert_eq!(guest.exec(spec).await.unwrap().wait().await, Exit::Code(0));
            execs.push(started.elapsed());
            let started = Instant::now();
            guest.files("").stat("/etc/passwd").await.unwrap();
            stats.push(started.elapsed());
        }
        let started = Instant::now();
        guest.stop().await.unwrap();
        stops.push(started.elapsed());
    }
    println!(
        "medians: boot {:?}, exec true {:?}, stat {:?}, stop {:?}",
        median(boots),
        median(execs),
        median(stats),
        median(stops)
    );
    guests.close().await;
}

fn available_kb() -> i64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    text.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.parse().ok()).unwrap()
}

#[tokio::test]
async fn two_hundred_guests_run_at_once() {
    let guests = with_host().await;
    let before = available_kb();
    let started = Instant::now();
    let booting: Vec<_> = (0..200)
        .map(|_| {
            let guests = guests.clone();
            tokio::spawn(async move { boot(&guests).await })
        })
        .collect();
    let mut all = Vec::new();
    for guest in booting {
        all.push(guest.await.unwrap());
    }
    let booted = started.elapsed();
    let used = before - available_kb();
    let started = Instant::now();
    let running: Vec<_> = all
        .iter()
        .map(|guest| {
            let guest = guest.clone();
            tokio::spawn(async move { ok(&guest, "echo $$ > /tmp/mine; cat /tmp/mine").await })
        })
        .collect();
    for output in running {
        assert!(!output.await.unwrap().is_empty());
    }
    println!("200 guests: booted in {booted:?}, {} kB each, a shell in each {:?}", used / 200, started.elapsed());
    drop(all);
    let started = Instant::now();
    guests.close().await;
    println!("ended in {:?}", started.elapsed());
}

/// A tar archive of a system with busybox and nothing else.
fn busybox() -> File {
    let program = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find_map(|path| std::fs::read(path).ok());
    let program = program.expect("this test needs Debian's package `busybox-static` (or a static /bin/busybox)");
    let mut archive = tar::Builder::new(tempfile::tempfile().unwrap());
    let mut add = |path: &str, mode: u32, uid: u64, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_uid(uid);
        header.set_gid(uid);
        header.set_mtime(1_600_000_000);
        header.set_size(content.len() as u64);
        header.set_entry_type(if path.ends_with('/') { tar::EntryType::Directory } else { tar::EntryType::Regular });
        archive.append_data(&mut header, path, content).unwrap();
    };
    add("bin/", 0o755, 0, b"");
    add("bin/busybox", 0o755, 0, &program);
    add("etc/", 0o755, 0, b"");
    add("etc/passwd", 0o644, 0, b"root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n");
    add("home/ann/", 0o700, 1000, b"");
    add("home/ann/.profile", 0o600, 1000, b"export KIND=busybox\n");
    let header = |size: u64, kind| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_600_000_000);
        header
    };
    let mut link = header(0, tar::EntryType::Symlink);
    archive.append_link(&mut link, "bin/sh", "busybox").unwrap();
    // What would leave the archive's directory on the host, and must not.
    archive.append_link(&mut link, "var", "/home").unwrap();
    archive.append_data(&mut header(4, tar::EntryType::Regular), "var/inside", &b"here"[..]).unwrap();
    let mut file = archive.into_inner().unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    file
}

#[tokio::test]
async fn a_tar_archive_with_nothing_but_a_shell_boots() {
    let guests = Guests::start(config()).await.unwrap();
    guests.add_template("tiny", TemplateSource::Tar(busybox())).await.unwrap();
    let layer = guests.new_layer(Parent::Template("tiny".to_owned())).await.unwrap();
    let guest = guests.boot(layer, BootSpec::default()).await.unwrap();
    let text = ok(&guest, "busybox id -u; busybox ls / | busybox tr '\\n' ' '; busybox cat /home/inside").await;
    assert_eq!(text, "0\nbin dev etc home proc run sys tmp var here");
    let (text, exit) =
        sh_as(&guest, "ann", ". /home/ann/.profile; echo $KIND; busybox id -u; busybox stat -c '%u %a' /home/ann")
            .await;
    assert_eq!((text.as_str(), exit), ("busybox\n1000\n1000 700\n", Exit::Code(0)));
    // busybox' own commands for the power.
    sh(&guest, "busybox poweroff").await;
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), guest.ended()).await, Ok(Ended::PoweredOff));
    let guest = guests.boot(layer, BootSpec::default()).await.unwrap();
    sh(&guest, "busybox reboot -f").await;
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), guest.ended()).await, Ok(Ended::Rebooted));
    guests.close().await;
}

#[tokio::test]
async fn a_template_that_is_none_is_refused() {
    let guests = Guests::start(config()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let add = async |source| guests.add_template("none", source).await.unwrap_err().to_string();
    let error = add(TemplateSource::Directory(directory.path().to_owned())).await;
    assert!(error.ends_with("no root file system: it has neither /bin nor /usr/bin"), "{error}");
    let error = add(TemplateSource::Directory(directory.path().join("absent"))).await;
    assert!(error.ends_with("absent: No such file or directory (os error 2)"), "{error}");
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[0x1f, 0x8b, 8, 0, 0, 0]).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    assert_eq!(
        add(TemplateSource::Tar(file)).await,
        "the template's archive is compressed with gzip: uncompress it first"
    );
    let file = tempfile::tempfile().unwrap();
    let error = add(TemplateSource::Tar(file)).await;
    assert!(error.ends_with("no root file system: it has neither /bin nor /usr/bin"), "{error}");
    assert_eq!(
        guests.new_layer(Parent::Template("none".to_owned())).await,
        Err(Error::NotFound("template `none`".to_owned()))
    );
    guests.close().await;
}

#[tokio::test]
async fn a_directory_is_a_template_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    for folder in ["bin", "etc"] {
        std::fs::create_dir(directory.path().join(folder)).unwrap();
    }
    std::fs::copy("/bin/busybox", directory.path().join("bin/busybox")).expect("this test needs `busybox-static`");
    std::os::unix::fs::symlink("busybox", directory.path().join("bin/sh")).unwrap();
    std::fs::write(directory.path().join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    let guests = Guests::start(config()).await.unwrap();
    guests.add_template("tiny", TemplateSource::Directory(directory.path().to_owned())).await.unwrap();
    let layer = guests.new_layer(Parent::Template("tiny".to_owned())).await.unwrap();
    let guest = guests.boot(layer, BootSpec::default()).await.unwrap();
    ok(
        &guest,
        "echo x > /bin/new; busybox rm /etc/passwd; busybox chmod 700 /bin/busybox; busybox mv /bin/busybox /bin/bb",
    )
    .await;
    guests.close().await;
    assert!(!directory.path().join("bin/new").exists());
    assert!(directory.path().join("etc/passwd").exists());
    assert!(directory.path().join("bin/busybox").exists());
}

#[tokio::test]
async fn a_state_directory_keeps_layers() {
    let directory = tempfile::tempdir().unwrap();
    let config = || Config { state: Some(directory.path().join("state")), ..config() };
    let guests = Guests::start(config()).await.unwrap();
    guests.add_template("linux", TemplateSource::Host).await.unwrap();
    let guest = boot(&guests).await;
    ok(&guest, "echo kept > /etc/kept; rm /etc/issue; rm -r /etc/skel; mkdir /etc/skel").await;
    guest.stop().await.unwrap();
    guests.freeze(guest.layer()).await.unwrap();
    let unfrozen = guests.new_layer(Parent::Layer(guest.layer())).await.unwrap();
    let busy = Guests::start(config()).await.unwrap_err();
    assert!(matches!(busy, Error::Busy(_)), "{busy}");
    let layers = guests.layers().await.unwrap();
    guests.close().await;

    let guests = Guests::start(config()).await.unwrap();
    assert_eq!(guests.layers().await.unwrap(), layers);
    let missing = guests.boot(unfrozen, BootSpec::default()).await.unwrap_err();
    assert_eq!(missing, Error::NotFound("template `linux`".to_owned()));
    guests.add_template("linux", TemplateSource::Host).await.unwrap();
    let guest = guests.boot(unfrozen, BootSpec::default()).await.unwrap();
    assert_eq!(
        ok(&guest, "cat /etc/kept; ls -A /etc/skel; ls /etc/issue 2>&1 || true").await,
        "kept\nls: cannot access '/etc/issue': No such file or directory\n"
    );
    guest.stop().await.unwrap();
    guests.delete_layer(unfrozen).await.unwrap();
    guests.delete_layer(guest.layer()).await.unwrap_err();
    assert!(guests.new_layer(Parent::Layer(layers[0].id)).await.unwrap() > unfrozen, "numbers aren't used again");
    guests.close().await;
}

#[tokio::test]
async fn many_operations_leave_nothing_behind() {
    let guests = with_host().await;
    let guest = boot(&guests).await;
    let files = guest.files("");
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // The shell counts itself: what it would start to count might be counted, or not.
    let inside = "set -- /proc/[0-9]*; echo $#; wc -l < /proc/self/mounts; ls /tmp | wc -l";
    let (before, inside_before) = (count(), ok(&guest, inside).await);
    for _ in 0..1000 {
        let path = files.make_temp_file(NewName::default()).await.unwrap();
        drop(files.open_read(&path).await.unwrap());
        files.remove_file(&path).await.unwrap();
        files.stat("/absent").await.unwrap_err();
        guest.exec(ExecSpec { program: "/bin/absent".to_owned(), ..ExecSpec::default() }).await.unwrap_err();
    }
    for _ in 0..200 {
        let process = guest.exec(ExecSpec { program: "/bin/true".to_owned(), ..ExecSpec::default() }).await.unwrap();
        process.wait().await;
    }
    assert_eq!(ok(&guest, inside).await, inside_before);
    assert!(count() <= before + 8, "{} descriptors, {before} before", count());
    guests.close().await;
}

#[tokio::test]
async fn probing_finds_out_that_guests_run() {
    let facts = Guests::probe(config()).await.unwrap();
    assert_eq!(
        is_root(),
        [Ids::Shifted, Ids::Identity].contains(&facts.ids) || config().ids == Some(Ids::Single) && is_root()
    );
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

/// Processes by number and start, and their parents.
fn processes_of_host() -> Vec<(u32, String, u32)> {
    // One that has ended stays until its parent asks, which is not ours to wait for.
    let ended = "Z";
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
            (fields[0] != ended).then_some(())?;
            Some((pid, fields[19].to_owned(), fields[1].parse().ok()?))
        })
        .collect()
}

fn descendants(of: u32) -> Vec<(u32, String)> {
    let all = processes_of_host();
    let mut found = vec![of];
    loop {
        let more: Vec<u32> =
            all.iter().filter(|p| found.contains(&p.2) && !found.contains(&p.0)).map(|p| p.0).collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    all.into_iter().filter(|p| p.0 != of && found.contains(&p.0)).map(|p| (p.0, p.1)).collect()
}

fn alive(processes: &[(u32, String)]) -> usize {
    let all = processes_of_host();
    processes.iter().filter(|(pid, start)| all.iter().any(|p| p.0 == *pid && p.1 == *start)).count()
}

fn control_groups() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with("vmwbuild-") {
                    found.push(entry.path());
                }
                todo.push(entry.path());
            }
        }
    }
    found
}

/// The tool of the test below: a process that holds guests until it is killed.
#[tokio::test]
#[ignore = "runs as a process of another test"]
async fn holds_guests_until_killed() {
    let guests = with_host().await;
    let mut all = Vec::new();
    for _ in 0..std::env::var("VMWBUILD_TEST_GUESTS").map_or(1, |count| count.parse().unwrap()) {
        let guest = boot(&guests).await;
        let argv = ["sleep", "1000"].map(str::to_owned).to_vec();
        let process =
            guest.exec(ExecSpec { program: "/bin/sleep".to_owned(), argv, ..ExecSpec::default() }).await.unwrap();
        all.push((guest, process));
    }
    println!("\nholding");
    std::future::pending::<()>().await;
}

#[test]
#[allow(clippy::zombie_processes, reason = "a failed assertion ends the test's process anyway")]
fn whatever_is_killed_nothing_is_left() {
    // Mounts of the store, by what only they have: others may mount and unmount meanwhile.
    let mounts = || {
        let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let ours = |line: &&str| {
            line.contains("dir=s/l/")
                || line.contains("lowerdir=t/")
                || line.contains(" /sys rw") && line.contains("tmpfs")
        };
        text.lines().filter(ours).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(mounts(), Vec::<String>::new());
    for victim in ["tool", "janitor", "warden"] {
        let mut tool = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "holds_guests_until_killed", "--ignored", "--nocapture"])
            .env("VMWBUILD_TEST_GUESTS", "50")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(tool.stdout.take().unwrap()));
        assert!(lines.any(|line| line.unwrap() == "holding"), "the tool ended early");
        assert_eq!(mounts(), Vec::<String>::new(), "guests show in the host's mounts");
        let family = descendants(tool.id());
        assert!(family.len() >= 102, "{} processes", family.len());
        // The tool's child is the janitor, whose child is the warden.
        let janitor = processes_of_host().into_iter().find(|p| p.2 == tool.id()).unwrap().0;
        let warden = processes_of_host().into_iter().find(|p| p.2 == janitor).unwrap().0;
        let groups: Vec<_> = control_groups()
            .into_iter()
            .filter(|path| path.to_string_lossy().contains(&format!("vmwbuild-{janitor}-")))
            .collect();
        let target = match victim {
            "tool" => tool.id(),
            "janitor" => janitor,
            _ => warden,
        };
        let started = Instant::now();
        assert!(std::process::Command::new("kill").args(["-9", &target.to_string()]).status().unwrap().success());
        if victim == "tool" {
            tool.wait().unwrap();
        }
        while (alive(&family) > 0 || groups.iter().any(|path| path.exists()))
            && started.elapsed() < Duration::from_secs(20)
        {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(alive(&family), 0, "processes are left after the end of the {victim}");
        assert_eq!(groups.iter().filter(|path| path.exists()).count(), 0, "control groups are left: {groups:?}");
        println!(
            "50 guests gone {:?} after kill -9 of the {victim} ({} control groups)",
            started.elapsed(),
            groups.len()
        );
        assert_eq!(mounts(), Vec::<String>::new());
        if victim != "tool" {
            tool.kill().unwrap();
            tool.wait().unwrap();
        }
    }
}

#[tokio::test]
async fn accounts_and_packages_can_be_managed() {
    let guests = with_host().await;
    let guest = boot(&guests).await;
    ok(&guest, "useradd -m -s /bin/sh bob && id bob && ls -d /home/bob").await;
    ok(&guest, "echo app > /etc/app.conf && chown bob:bob /etc/app.conf && chmod 4750 /etc/app.conf").await;
    let (text, exit) = sh_as(&guest, "bob", "id -un; cd && touch mine && ls").await;
    assert_eq!((text.as_str(), exit), ("bob\nmine\n", Exit::Code(0)));
    if guests.facts().ids != Ids::Single {
        assert_eq!(ok(&guest, "stat -c %U /etc/app.conf; su bob -c 'id -un'").await, "bob\nbob\n");
    }
    if std::path::Path::new("/usr/bin/dpkg-deb").exists() {
        let build = "mkdir -p /tmp/p/DEBIAN /tmp/p/usr/bin /tmp/p/etc && cd /tmp && \
            printf 'Package: tiny\\nVersion: %s\\nArchitecture: all\\nMaintainer: a <a@b.c>\\nDescription: d\\n' $V > p/DEBIAN/control && \
            printf '#!/bin/sh\\necho '$V'\\n' > p/usr/bin/tiny && chmod 755 p/usr/bin/tiny && dpkg-deb -b p tiny.deb >/dev/null && \
            dpkg -i tiny.deb >/dev/null && tiny";
        assert_eq!(
            ok(&guest, &format!("V=1; {build}; V=2; {build}; dpkg -r tiny >/dev/null; ls /usr/bin/tiny 2>&1 || true"))
                .await,
            "1\n2\nls: cannot access '/usr/bin/tiny': No such file or directory\n"
        );
    }
    ok(&guest, "tar -cf /tmp/etc.tar -C /etc . && mkdir /tmp/e && tar -xpf /tmp/etc.tar -C /tmp/e").await;
    guests.close().await;
}

#[tokio::test]
async fn a_dropped_handle_ends_everything() {
    let guests = with_host().await;
    let guest = boot(&guests).await;
    let process = guest
        .exec(ExecSpec {
            program: "/bin/sleep".to_owned(),
            argv: vec!["sleep".to_owned(), "1000".to_owned()],
            ..ExecSpec::default()
        })
        .await
        .unwrap();
    drop(guests);
    // A guest keeps its warden.
    assert_eq!(ok(&guest, "echo alive").await, "alive\n");
    drop(guest);
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), process.wait()).await, Ok(Exit::GuestEnded));
}

/// The other process of the test below.
#[tokio::test]
#[ignore = "runs as a process of another test"]
async fn tells_whether_guests_run_here() {
    match Guests::probe(config()).await {
        Ok(facts) => println!("\nRESULT {:?} {}", facts.ids, facts.notes.len()),
        Err(error) => println!("\nRESULT {}", error.to_string().replace('\n', " | ")),
    }
    if let Ok(script) = std::env::var("VMWBUILD_TEST_LOOK") {
        let guests = with_host().await;
        let guest = boot(&guests).await;
        println!("LOOK {}", ok(&guest, &script).await.replace('\n', " "));
    }
}

/// What `tells_whether_guests_run_here` says in namespaces of its own after some preparation, which may set `inner`
/// to a command to run it by.
fn elsewhere(flags: &str, prepare: &str) -> Vec<String> {
    let command = format!(
        "{prepare} && exec $inner {} --exact tells_whether_guests_run_here --ignored --nocapture",
        std::env::current_exe().unwrap().display()
    );
    let output =
        std::process::Command::new("unshare").args(flags.split(' ')).args(["sh", "-c", &command]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said: Vec<_> =
        text.lines().filter(|line| line.starts_with("RESULT") || line.starts_with("LOOK")).map(str::to_owned).collect();
    assert!(!said.is_empty(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn namespaces_within_namespaces_work() {
    assert_eq!(elsewhere("-Urm", "true"), ["RESULT Single 2"]);
}

#[test]
fn what_is_mounted_within_usr_is_shown_too() {
    let look = "ls /usr/share/doc; ls /usr/bin | wc -l; grep -c ' /usr' /proc/self/mounts; echo x > /usr/share/doc/x";
    let said = elsewhere(
        "-Urm",
        &format!(
            "export VMWBUILD_TEST_LOOK=\"{look}\"; mount -t tmpfs none /usr/share/doc && touch /usr/share/doc/mounted"
        ),
    );
    assert_eq!(said.len(), 2, "{said:?}");
    let words: Vec<_> = said[1].split(' ').collect();
    assert_eq!(words[1], "mounted", "{said:?}");
    assert!(words[2].parse::<u32>().unwrap() > 100 && words[3].parse::<u32>().unwrap() > 10, "{said:?}");
}

#[test]
fn secrets_in_usr_local_are_hidden() {
    let look = "cd /usr/local && find . | sort | tr '\\n' ' '; cat open/fine";
    let said = elsewhere(
        if is_root() { "-m" } else { "-Urm" },
        &format!(
            "export VMWBUILD_TEST_LOOK=\"{look}\"; mount -t tmpfs none /usr/local && cd /usr/local && mkdir open closed && \
             echo fine > open/fine && echo secret > open/secret && chmod 600 open/secret && touch closed/file && \
             chmod 700 closed"
        ),
    );
    assert_eq!(said[1], "LOOK . ./open ./open/fine fine ");
}

#[test]
fn a_host_that_refuses_is_told_what_to_change() {
    let said = elsewhere("-Ur", "echo 0 > /proc/sys/user/max_user_namespaces");
    assert_eq!(
        said,
        [
            "RESULT guests can't be started: making mount and process namespaces: No space left on device (os error 28) | \
          too many namespaces: raise the limits in /proc/sys/user/, as root, or run fewer guests"
        ]
    );
    let said = elsewhere("-Urm", "mount --bind /dev/null /proc/keys && inner='unshare -Urm'");
    assert_eq!(
        said,
        ["RESULT guests can't be started: mounting /proc: Operation not permitted (os error 1) | the container hides \
          parts of /proc: start it with `--security-opt unmask=ALL` (docker: `--security-opt \
          systempaths=unconfined`) or `--privileged`"]
    );
}
