//! The sandbox's flags by the real binary: templates of one's own, accounts, and what is said when they are wrong.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::net::TcpListener;
use std::path::Path;

use common::site::Sandbox;
use common::{DEADLINE, Run, context, run, vmwbuild};

fn build(dir: &Path, args: &[&str]) -> Run {
    let told = tempfile::tempdir().unwrap();
    let file = told.path().join("events");
    let mut command = vmwbuild(dir);
    command.args(["build", "--sandbox", "--progress", "plain", "--color", "never", "--events"]).arg(&file).args(args);
    let done = run(&mut command, DEADLINE);
    if let Ok(text) = std::fs::read_to_string(&file) {
        common::events::valid(&text);
    }
    done
}

fn built(dir: &Path, args: &[&str]) -> Run {
    let done = build(dir, args);
    assert_eq!(done.code, Some(0), "{done}");
    done
}

/// What a refusal says, without the summary that a build that began ends with.
fn refused(done: &Run, code: i32) -> String {
    assert_eq!((done.code, done.stdout().as_str()), (Some(code), ""), "{done}");
    done.stderr()
}

fn busybox() -> Vec<u8> {
    let program = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find_map(|path| std::fs::read(path).ok());
    program.expect("this test needs Debian's package `busybox-static` (or a static /bin/busybox)")
}

/// Writes a tar archive of a system with a shell and the commands of POSIX, all of them busybox: no bash, no GNU
/// tools, no init.
fn tiny(archive: &Path) {
    let mut tar = tar::Builder::new(std::fs::File::create(archive).unwrap());
    let header = |kind, size: u64, mode| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_600_000_000);
        header
    };
    for folder in ["bin/", "etc/", "root/", "var/", "var/tmp/"] {
        tar.append_data(&mut header(tar::EntryType::Directory, 0, 0o755), folder, &b""[..]).unwrap();
    }
    let mut home = header(tar::EntryType::Directory, 0, 0o700);
    home.set_uid(1000);
    home.set_gid(1000);
    home.set_cksum();
    tar.append_data(&mut home, "home/ann/", &b""[..]).unwrap();
    let program = busybox();
    let size = program.len() as u64;
    tar.append_data(&mut header(tar::EntryType::Regular, size, 0o755), "bin/busybox", program.as_slice()).unwrap();
    let passwd = b"root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
    let header_of = |kind, size| header(kind, size, 0o644);
    tar.append_data(&mut header_of(tar::EntryType::Regular, passwd.len() as u64), "etc/passwd", &passwd[..]).unwrap();
    for name in POSIX {
        tar.append_link(&mut header_of(tar::EntryType::Symlink, 0), format!("bin/{name}"), "busybox").unwrap();
    }
    tar.finish().unwrap();
}

/// Commands of POSIX that busybox has.
const POSIX: &[&str] = &[
    "sh", "awk", "basename", "cat", "chgrp", "chmod", "chown", "cksum", "cmp", "cp", "cut", "date", "dd", "df",
    "dirname", "du", "echo", "env", "expr", "false", "find", "fold", "grep", "head", "id", "kill", "ln", "ls", "mkdir",
    "mkfifo", "mv", "nice", "nohup", "od", "paste", "printf", "ps", "pwd", "rm", "rmdir", "sed", "sleep", "sort",
    "tail", "tee", "test", "touch", "tr", "true", "tty", "uname", "uniq", "wc", "xargs",
];

#[test]
fn a_machine_with_nothing_but_a_posix_shell_is_built() {
    let dir = context(&[
        (
            "VMWfile",
            "FROM tiny AS app\nOUTPUT TEMPLATE t-tiny\n\
             RUN test ! -e /bin/bash && test ! -e /usr/bin/env && echo one > /root/made\n\
             RUN <<EOS\nset -e\necho two >> /root/made\nEOS\n\
             KEY system FROM RUN uname -s\nRUN test ${{ system }} = Linux\n\
             COPY file empty /opt/deep/\nCOPY tree /opt/tree\nCOPY <<EOT /etc/motd\nfrom ${{ system }}\nEOT\n\
             RUN cmp /opt/deep/file /opt/tree/sub/copy && test ! -s /opt/deep/empty && test \"$(cat /etc/motd)\" = 'from Linux'\n\
             RUN sleep 4712 >/dev/null 2>&1 & echo three >> /root/made\n\
             RUN --retry=2 --delay=1ms test -e /root/again || { touch /root/again; exit 1; }\n\
             REBOOT\n\
             RUN ! ps | grep -q '[s]leep 471'\n\
             FETCH /root/made made\nFETCH /opt/tree fetched/\n\
             FROM app AS next\nOUTPUT VM t-next\nRUN test \"$(tail -n 1 /root/made)\" = three\n",
        ),
        ("file", "content\n"),
        ("empty", ""),
        ("tree/sub/copy", "content\n"),
    ]);
    tiny(&dir.path().join("tiny.tar"));
    let done = built(dir.path(), &["--sandbox-strict", "--sandbox-template", "tiny=tiny.tar"]);
    assert!(done.stdout().contains("template t-tiny") && done.stdout().contains("VM t-next"), "{done}");
    let read = |path: &str| std::fs::read_to_string(dir.path().join(path)).unwrap();
    assert_eq!(read("made"), "one\ntwo\nthree\n");
    assert_eq!(read("fetched/tree/sub/copy"), "content\n");
}

#[test]
fn the_example_for_a_guest_with_nothing_but_sh_works() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/only-sh");
    let files = ["VMWfile", "files/words"].map(|name| (name, std::fs::read(example.join(name)).unwrap()));
    let dir = context(&files);
    tiny(&dir.path().join("tiny.tar"));
    let done = built(dir.path(), &["--sandbox-strict", "--sandbox-template", "only-sh=tiny.tar"]);
    assert!(done.stdout().contains("VM tiny-appliance"), "{done}");
    // Text that a shell would run came through as it is, by COPY, KEY and FETCH.
    assert_eq!(
        std::fs::read_to_string(dir.path().join("fetched/shouted")).unwrap(),
        "ONE\nTWO\n$(THREE) \"AND\" 'QUOTES'\nlast: $(THREE) \"AND\" 'QUOTES'\n"
    );
    // Where there is bash, the example says that it isn't such a guest.
    assert_eq!(build(dir.path(), &["--arg", "template=linux"]).code, Some(4));
}

#[test]
fn a_command_is_ended_in_time_where_there_is_only_a_posix_shell() {
    let dir = context(&[("VMWfile", "FROM tiny AS app\nOUTPUT NONE\nRUN --timeout=1s sleep 4713\n")]);
    tiny(&dir.path().join("tiny.tar"));
    let done = build(dir.path(), &["--sandbox-template", "tiny=tiny.tar"]);
    assert_eq!(done.code, Some(6), "{done}");
    assert!(done.stderr().contains("timed out"), "{done}");
}

#[test]
fn a_directory_is_a_template_and_stays_as_it_is() {
    let dir = context(&[
        (
            "VMWfile",
            "FROM small AS app\nOUTPUT VM app\nRUN echo changed > /etc/mark && test \"$(cat /etc/mark)\" = changed\n",
        ),
        ("small/etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
        ("small/etc/mark", "as it was\n"),
    ]);
    let root = dir.path().join("small");
    tiny(&dir.path().join("tiny.tar"));
    tar::Archive::new(std::fs::File::open(dir.path().join("tiny.tar")).unwrap()).unpack(&root).unwrap();
    built(dir.path(), &["--sandbox-template", "small=small"]);
    assert_eq!(std::fs::read_to_string(root.join("etc/mark")).unwrap(), "as it was\n");
}

#[test]
fn a_name_that_is_unknown_is_the_default_template_unless_strict() {
    let dir = context(&[("VMWfile", "FROM ubuntu-26.04 AS app\nOUTPUT VM app\nRUN true\n")]);
    let done = built(dir.path(), &[]);
    let note = "the sandbox has no `ubuntu-26.04`: its template `linux` stands for it";
    assert!(done.stderr().contains(note), "{done}");
    let said = refused(&build(dir.path(), &["--sandbox-strict"]), 5);
    assert!(said.contains("`ubuntu-26.04`") && said.contains("VMWfile:1:6"), "{said}");
}

#[test]
fn guests_know_the_accounts_that_are_given() {
    let text =
        |login: &str| format!("{login}FROM linux AS app\nOUTPUT VM app\nRUN id -un > /tmp/me\nFETCH /tmp/me me\n");
    let me = |dir: &Path| std::fs::read_to_string(dir.join("me")).unwrap();
    // Without LOGIN it is root, or the account that is given.
    let dir = context(&[("VMWfile", text(""))]);
    built(dir.path(), &[]);
    assert_eq!(me(dir.path()), "root\n");
    built(dir.path(), &["--sandbox-login", "nobody:right"]);
    assert_eq!(me(dir.path()), "nobody\n");

    let dir = context(&[("VMWfile", text("SECRET pw\nLOGIN root PASSWORD ${{ pw }}\n")), ("pw", "right".to_owned())]);
    let given = |more: &[&str]| build(dir.path(), &[&["--secret", "id=pw,src=pw"], more].concat());
    // Without accounts every password is right.
    assert_eq!(given(&[]).code, Some(0));
    assert_eq!(given(&["--sandbox-login", "root:right"]).code, Some(0));
    let done = given(&["--sandbox-login", "root:other"]);
    assert_eq!(done.code, Some(4), "{done}");
    let said = done.stderr();
    assert!(said.contains("root") && !said.contains("right") && !said.contains("other"), "{said}");
    assert!(said.contains("password") && said.contains("VMWfile:"), "{said}");
}

#[test]
fn flags_that_are_wrong_are_told() {
    let dir = context(&[
        ("VMWfile", "FROM linux AS app\nOUTPUT VM app\nRUN true\n"),
        ("text", "no archive\n"),
        ("empty/x", ""),
    ]);
    std::fs::write(dir.path().join("packed.tar.gz"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]).unwrap();
    let mut all = String::new();
    for (args, code) in [
        (&["--sandbox-template", "nothing"][..], 2),
        (&["--sandbox-template", "=dir"], 2),
        (&["--sandbox-template", "mine=absent"], 2),
        (&["--sandbox-template", "mine=text"], 5),
        (&["--sandbox-template", "mine=packed.tar.gz"], 5),
        (&["--sandbox-login", "hunter2"], 2),
    ] {
        let done = build(dir.path(), args);
        all += &format!("{}\n{}\n", args.join(" "), refused(&done, code));
    }
    for args in [&["--boot-delay", "long"][..], &["--fault", "nonsense"], &["--state", "text"]] {
        let done = run(
            vmwbuild(dir.path()).args(["sandbox", "--color", "never", "--listen", "127.0.0.1:0"]).args(args),
            DEADLINE,
        );
        all += &format!("{} -> {:?}\n{}\n", args.join(" "), done.code.unwrap(), done.stderr());
    }
    insta::assert_snapshot!(all);
    // How its lines break depends on where the directory is.
    let said = refused(&build(dir.path(), &["--sandbox-template", "mine=empty"]), 5);
    let words: Vec<&str> = said.split_whitespace().filter(|word| *word != "|").collect();
    assert!(words.join(" ").contains("empty: no root file system: it has neither /bin nor /usr/bin"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let done = run(vmwbuild(dir.path()).args(["sandbox", "--listen", &address]), DEADLINE);
    let said = refused(&done, 5);
    assert!(said.contains(&format!("can't listen at {address}: Address already in use")), "{said}");
    assert!(said.contains("`--listen`"), "{said}");
}

#[test]
fn a_server_with_a_template_of_its_own_serves_it() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("tiny.tar");
    tiny(&archive);
    let template = format!("tiny={}", archive.display());
    let state = dir.path().join("state").display().to_string();
    let args = ["--sandbox-template", &template, "--sandbox-login", "ann:right", "--state", &state];
    let here = context(&[("VMWfile", "FROM tiny AS app\nOUTPUT VM app\nRUN id -u > /home/ann/me\n")]);
    let on = |sandbox: &Sandbox, args: &[&str], login: &str| {
        let mut command = vmwbuild(here.path());
        command.args(args).env("VMWBUILD_VCENTER", &sandbox.url).env("VMWBUILD_LOGIN", login);
        command.env("VMWBUILD_USERNAME", &sandbox.username).env("VMWBUILD_PASSWORD", &sandbox.password);
        run(command.env("VMWBUILD_THUMBPRINT", &sandbox.thumbprint), DEADLINE)
    };
    let sandbox = Sandbox::start(&args);
    let done = on(&sandbox, &["build", "--progress", "plain"], "ann:right");
    assert_eq!(done.code, Some(0), "{done}");
    let done = on(&sandbox, &["exec", "app", "--", "cat", "/home/ann/me"], "ann:right");
    assert_eq!((done.code, done.stdout().as_str()), (Some(0), "1000\n"), "{done}");
    drop(sandbox);
    // With --state the machine is there after a restart, off as after a power cut.
    let sandbox = Sandbox::start(&args);
    let done = on(&sandbox, &["exec", "app", "--", "cat", "/home/ann/me"], "ann:right");
    assert_eq!(done.code, Some(5), "{done}");
    assert!(done.stderr().contains("`/DC0/vm/app` isn't powered on"), "{done}");
}

/// A context isn't always where one stands.
#[test]
fn files_are_rendered_wherever_the_build_is_begun() {
    let dir = context(&[("VMWfile", "")]);
    std::fs::create_dir_all(dir.path().join("app/conf")).unwrap();
    let file = "ARG port: int = 8080\nFROM linux AS a\nOUTPUT NONE\nCOPY --render conf/ one.conf /etc/app/\n\
                RUN grep -qx port=8080 /etc/app/two.conf && grep -qx port=8080 /etc/app/one.conf\n";
    std::fs::write(dir.path().join("app/VMWfile"), file).unwrap();
    for name in ["app/one.conf", "app/conf/two.conf"] {
        std::fs::write(dir.path().join(name), "port=${{ port }}\n").unwrap();
    }
    for context in ["app", "./app", dir.path().join("app").to_str().unwrap(), "app/VMWfile"] {
        built(dir.path(), &[context]);
    }
}

#[test]
fn a_further_outputs_clone_is_found_after_a_lost_reply() {
    let file = "FROM linux AS image\nOUTPUT TEMPLATE first\nOUTPUT VM second\nRUN true\n";
    let dir = context(&[("VMWfile", file)]);
    let done = built(dir.path(), &["--fault", "CloneVM_Task:drop-after:skip=1"]);
    assert_eq!(
        done.stdout().lines().filter(|l| l.starts_with("template first") || l.starts_with("VM second")).count(),
        2
    );
}
