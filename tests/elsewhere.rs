//! The program as it is for Windows, run by Wine: a client like any other of a sandbox on Linux, and a sandbox without
//! guests of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::site::Site;
use common::wine::{Wine, windows_path};
use common::{DEADLINE, Running, context, run};

const VMWFILE: &str = "\
SECRET password
LOGIN root PASSWORD ${{ password }}
FROM linux AS one
OUTPUT VM one
COPY files /opt/files
COPY --chmod=0755 <<'EOS' /opt/hi
#!/bin/sh
echo hi there
EOS
RUN find /opt/files -type f && /opt/hi
FETCH /opt/hi out/hi
KEY answer FROM RUN echo 42
FROM linux AS two
OUTPUT VM two
RUN echo got ${{ one.answer }}
";

fn plain(command: &mut Command, args: &[&str]) -> common::Run {
    run(command.args(args).args(["--progress", "plain", "--color", "never"]), DEADLINE * 2)
}

#[test]
fn a_build_from_windows_is_like_any_other() {
    let Some(wine) = Wine::new() else { return };
    let site = Site::sandbox().unwrap();
    let dir = context(&[
        // As editors there write it.
        ("shop/web/VMWfile", VMWFILE.replace('\n', "\r\n").as_str()),
        ("shop/web/.vmwignore", "*.log\r\n"),
        ("shop/web/files/a.txt", "a\n"),
        ("shop/web/files/deep/b.txt", "b\n"),
        ("shop/web/files/deep/c.log", "c\n"),
        ("shop/vmwbuild.toml", "project = \"shop\"\n"),
        ("password", "correct-horse"),
    ]);
    let there = |args: &[&str]| {
        let mut command = wine.vmwbuild(dir.path())?;
        site.connect(&mut command);
        command.env("VMWBUILD_STATE_DIR", windows_path(&dir.path().join("state")));
        command.args(args);
        Some(command)
    };
    let Some(mut build) = there(&["build", "shop\\web", "--secret", "id=password,src=password"]) else { return };
    let done = plain(&mut build, &[]);
    assert_eq!(done.code, Some(0), "{done}");
    let said = done.stderr();
    for line in ["| /opt/files/a.txt", "| /opt/files/deep/b.txt", "| hi there", "| got 42"] {
        assert!(said.contains(line), "{line}: {done}");
    }
    assert!(!said.contains("c.log"), "{done}");
    assert_eq!(fs::read_to_string(dir.path().join("shop/web/out/hi")).unwrap(), "#!/bin/sh\necho hi there\n");
    // It is the same VMWfile from here.
    let list = run(&mut site.tool(dir.path(), &["ls", "shop/web"]), DEADLINE);
    assert!(list.code == Some(0) && list.stdout().matches("shop/web/VMWfile").count() == 2, "{list}");

    // Ctrl-C, as Wine hands it on.
    fs::create_dir(dir.path().join("long")).unwrap();
    fs::write(dir.path().join("long/VMWfile"), "FROM linux AS long\nOUTPUT VM long\nRUN echo begun; sleep 4719\n")
        .unwrap();
    let mut long = there(&["build", "long", "--progress", "plain", "--color", "never"]).unwrap();
    let running = Running::start(&mut long);
    running.wait_for("| begun", DEADLINE);
    running.signal("INT");
    let done = running.finish(DEADLINE);
    assert_eq!(done.code, Some(130), "{done}");
    assert_eq!(site.machines().iter().filter(|name| name.ends_with("/long")).count(), 0, "{done}");

    let done = run(&mut there(&["destroy", "shop/web", "--yes"]).unwrap(), DEADLINE);
    assert!(done.code == Some(0) && done.stdout().matches("removed ").count() == 2, "{done}");
}

#[test]
fn a_sandbox_on_windows_has_no_guests_and_says_so() {
    let Some(wine) = Wine::new() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let state = tempfile::tempdir().unwrap();
    let there = |args: &[&str]| {
        let mut command = wine.vmwbuild(root)?;
        command.env("VMWBUILD_STATE_DIR", windows_path(state.path()));
        command.args(args);
        Some(command)
    };
    let Some(mut plan) = there(&["plan", "examples/cluster", "--sandbox"]) else { return };
    let done = run(&mut plan, DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
    let done = plain(&mut there(&["build", "examples/hello", "--sandbox"]).unwrap(), &[]);
    assert_eq!(done.code, Some(4), "{done}");
    let said = "the server says: A general system error occurred: guests need Linux: this system has no";
    assert!(done.stderr().contains(said) && done.stderr().contains("removed /DC0/vm/hello-image"), "{done}");
}
