//! Guests that truly run. What needs root or an ordinary user says so; everything else runs as whoever starts it.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vmwbuild::sandbox::guests::{
    BootSpec, Config, Ended, Error, ExecSpec, Exit, Facts, FileKind, Guest, Guests, Ids, LayerId, Limit, NewName,
    Parent, TemplateSource,
};

/// The program to re-execute; another copy where this user can't read the one that cargo built.
fn program() -> PathBuf {
    std::env::var_os("VMWBUILD_TEST_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_vmwbuild").into(), PathBuf::from)
}

fn config() -> Config {
    Config {
        executable: Some(program()),
        single_id: std::env::var_os("VMWBUILD_TEST_SINGLE_ID").is_some(),
        ..Config::default()
    }
}

async fn with_host() -> Guests {
    let guests = Guests::start(config()).await.unwrap();
    guests.add_template("linux", TemplateSource::Host).await.unwrap();
    guests
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
            ["/", "/usr", "/dev", "/proc", "/run", "/sys", "/var/lib/dpkg"].iter().any(|known| mount == *known
                || mount.starts_with("/dev/")
                || mount.starts_with("/usr/")
                || mount.starts_with("/proc/")),
            "{mount} in {mounts}"
        );
    }
    // Processes and the network.
    assert_eq!(ok(&guest, "ls /proc | grep -c '^[0-9]*$'").await, "4\n", "init, the shell, ls and grep");
    assert_eq!(ok(&guest, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '").await, "lo\n");
    assert_ne!(sh(&guest, "kill -0 -1; exec 3<>/dev/tcp/127.0.0.1/22").await.1, Exit::Code(0));
    // What a guest's root could turn against the host.
    for attempt in [
        "echo x > /proc/sysrq-trigger",
        "echo /bin/true > /proc/sys/kernel/core_pattern",
        "echo 1 > /proc/sys/vm/drop_caches",
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
        let (text, exit) = sh(&guest, attempt).await;
        let user_may =
            guests.facts().ids != Ids::Shifted && guests.facts().ids != Ids::Identity && attempt == "umount /usr";
        assert!(user_may || exit != Exit::Code(0), "`{attempt}` worked: {text}");
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
