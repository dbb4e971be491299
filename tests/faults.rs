//! What the client does about everything that can go wrong with a vCenter and its guests: each row is a build by the
//! real binary on a sandbox whose fault plan spoils it. A row says how the build ends; what must be left in any case is
//! nothing: no machine, no session, no running task.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::path::Path;
use std::time::Duration;

use common::embedded::*;
use common::{Run, context, run, vmwbuild};
use futures_util::StreamExt;
use vmwbuild::guest;
use vmwbuild::sandbox::{Rule, Sandbox};
use vmwbuild::vsphere::client::EntityKind;

/// How a build is spoiled, and how it ends.
struct Row {
    faults: Vec<String>,
    code: i32,
    /// Sessions that are left, of which the client can't know.
    sessions: usize,
}

fn row(faults: &[&str], code: i32) -> Row {
    Row { faults: faults.iter().map(|f| (*f).to_owned()).collect(), code, sessions: 0 }
}

/// Every combination of methods and effects.
fn each(methods: &[&str], effects: &[&str], code: i32) -> Vec<Row> {
    let both = methods.iter().flat_map(|method| effects.iter().map(move |effect| format!("{method}:{effect}")));
    both.map(|fault| Row { faults: vec![fault], code, sessions: 0 }).collect()
}

/// Goes through everything that a build does. A step that is run twice shows.
const FILE: &str = "FROM linux AS app\nOUTPUT TEMPLATE f-app\n\
    RUN echo once >> /root/count\n\
    COPY big /opt/big\n\
    RUN test \"$(wc -c < /opt/big)\" = 300000\n\
    FETCH /opt/big back\n\
    REBOOT\n\
    RUN test \"$(cat /root/count)\" = once && echo 'it was done once'\n";
const BIG: usize = 300_000;

/// A clone that is made, and can't be followed to its end for what the server says: it is removed with the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_cannot_be_followed_is_removed() {
    let rows = each(&["CreateFilter", "WaitForUpdatesEx"], &["fault=SystemError", "fault=NoPermission"], 5);
    let said = play(rows).await;
    assert_eq!(said.matches("-> 5").count(), 4, "{said}");
}

/// What becomes of a build.
fn build(sandbox: &Sandbox, dir: &Path) -> Run {
    let mut command = vmwbuild(dir);
    command.args(["build", "--progress", "plain", "--color", "never", "--vcenter", &sandbox.url()]);
    command.args(["--username", sandbox.username(), "--thumbprint", sandbox.thumbprint()]);
    command.env("VMWBUILD_PASSWORD", sandbox.password()).env("VMWBUILD_LOGIN", "root:guest-password");
    run(&mut command, Duration::from_secs(120))
}

/// Runs a row, and checks its end and what is left; the messages.
async fn played(row: Row) -> String {
    let name = row.faults.join(" ");
    let (sandbox, _) = spoiled(Vec::new()).await;
    sandbox.expire_sessions();
    for fault in &row.faults {
        sandbox.inject(Rule::parse(fault).unwrap());
    }
    let big = vec![b'x'; BIG];
    let dir = context(&[("VMWfile", FILE.as_bytes()), ("big", &big)]);
    let (sandbox, dir, done) = tokio::task::spawn_blocking(move || {
        let done = build(&sandbox, dir.path());
        (sandbox, dir, done)
    })
    .await
    .unwrap();
    assert_eq!(done.code, Some(row.code), "{name}: {done}");
    assert!(!done.stderr().contains("panicked") && !done.stderr().contains("left behind"), "{name}: {done}");
    let good = row.code == 0;
    if good {
        assert!(done.stderr().contains("it was done once"), "{name}: {done}");
        assert_eq!(std::fs::read(dir.path().join("back")).unwrap(), vec![b'x'; BIG], "{name}");
    }
    assert_eq!(sandbox.sessions(), row.sessions, "{name}: sessions are left: {done}");
    sandbox.forgive();
    let client = connect(&sandbox).await;
    let inventory = client.inventory().await.unwrap();
    let left: Vec<&str> = inventory.all(EntityKind::Vm).map(|e| e.path.as_str()).collect();
    let expected: &[&str] = if good { &["/DC0/vm/f-app", "/DC0/vm/linux"] } else { &["/DC0/vm/linux"] };
    assert_eq!(left, expected, "{name}: {done}");
    client.logout().await.unwrap();
    sandbox.stop().await;
    if good {
        return String::new();
    }
    let said = done.stderr();
    let said = said.split_once("\n\n").map_or(said.as_str(), |(_, said)| said);
    let place = regex::Regex::new(r"127\.0\.0\.1:\d+").unwrap();
    let said = place.replace_all(said, "HOST:PORT");
    let own = regex::Regex::new(r"\.vmwbuild-[0-9a-f-]+").unwrap();
    let said = own.replace_all(&said, ".vmwbuild-OWN");
    // Files on their way have random names.
    let files = regex::Regex::new(r"(vmwbuild-OWN/[bcf])\d+").unwrap();
    format!("{name} -> {}\n{}\n", row.code, files.replace_all(&said, "${1}N").trim_end())
}

/// Runs rows, a few at once: mostly they wait. The messages; all rows that end otherwise are told together.
async fn play(rows: Vec<Row>) -> String {
    let start = |row| async move { tokio::spawn(played(row)).await };
    let ends: Vec<_> = futures_util::stream::iter(rows.into_iter().map(start)).buffered(6).collect().await;
    let count = ends.len();
    let (mut said, mut wrong) = (Vec::new(), Vec::new());
    for end in ends {
        match end {
            Ok(text) => said.push(text),
            Err(failed) => wrong.push(*failed.into_panic().downcast::<String>().unwrap()),
        }
    }
    assert!(wrong.is_empty(), "{} of {count} rows: {}", wrong.len(), wrong.join("\n\n"));
    said.retain(|text| !text.is_empty());
    said.join("\n")
}

const LOST: [&str; 4] = ["drop-before", "drop-after", "503", "expire"];

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_connection_is_borne() {
    let mut rows = each(
        &[
            "RetrievePropertiesEx",
            "CreateContainerView",
            "CreatePropertyCollector",
            "CreateFilter",
            "WaitForUpdatesEx",
            "DestroyPropertyCollector",
        ],
        &LOST,
        0,
    );
    rows.extend(each(&["RetrieveServiceContent", "Login"], &["drop-before", "503"], 0));
    rows.push(Row { sessions: 1, ..row(&["Login:drop-after"], 0) });
    rows.push(row(&["*:slow=30:count=100000"], 0));
    rows.push(row(&["ContinueRetrievePropertiesEx:drop-after", "*:expire:skip=60"], 0));
    assert_eq!(play(rows).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_a_machine_are_done_once() {
    let methods = ["CloneVM_Task", "PowerOnVM_Task", "RebootGuest", "ShutdownGuest", "MarkAsTemplate"];
    let mut rows = each(&methods, &LOST, 0);
    rows.extend(each(&methods[..2], &["fault=TaskInProgress:count=2", "fault=InvalidState"], 0));
    rows.extend(each(&["PowerOnVM_Task"], &["task-fault=TaskInProgress:count=2", "slow=1500"], 0));
    rows.extend(each(&["MarkAsTemplate"], &["fault=TaskInProgress:count=2"], 0));
    // Lost more than once: looked for each time, and done once.
    rows.extend(each(&methods, &["drop-before:count=2", "drop-after:count=2", "503:count=3"], 0));
    // What can't be asked is powered off.
    rows.extend(each(&["ShutdownGuest"], &["fault=ToolsUnavailable"], 0));
    assert_eq!(play(rows).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_half_made_goes_whatever_happens_meanwhile() {
    let ways = ["drop-before", "drop-after", "503", "expire", "task-fault=TaskInProgress:count=2", "slow=500"];
    let rows = ["PowerOffVM_Task", "Destroy_Task", "RetrievePropertiesEx"].iter().flat_map(|method| {
        ways.iter().filter(|way| *method != "RetrievePropertiesEx" || !way.starts_with("task")).map(move |way| {
            // The build fails at its last step.
            let skip = if *method == "RetrievePropertiesEx" { ":skip=12" } else { "" };
            row(&["MarkAsTemplate:fault=NotSupported", &format!("{method}:{way}{skip}")], 5)
        })
    });
    let said = play(rows.collect()).await;
    assert!(said.contains("making a template"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_fail_are_told() {
    let faults = [
        "DuplicateName",
        "FileAlreadyExists",
        "NoDiskSpace",
        "InsufficientStorageSpace",
        "CannotAccessFile",
        "InvalidDatastore",
        "InsufficientMemoryResourcesFault",
        "NoCompatibleHost",
        "NotSupported",
        "NotEnoughLicenses",
        "RestrictedVersion",
        "NoPermission",
        "InvalidArgument",
        "InvalidName",
        "GenericVmConfigFault",
        "ManagedObjectNotFound",
        "InvalidPowerState",
        "RequestCanceled",
        "SystemError",
        "SomethingThatNobodyKnows",
    ];
    let mut rows =
        each(&["CloneVM_Task"], &faults.map(|f| format!("task-fault={f}")).each_ref().map(|f| f.as_str()), 5);
    rows.extend(each(&["CloneVM_Task", "PowerOnVM_Task", "MarkAsTemplate"], &["fault=NoPermission"], 5));
    rows.extend(each(&["PowerOnVM_Task"], &["question", "task-fault=InsufficientCpuResourcesFault"], 5));
    rows.extend(each(&["Login"], &["fault=InvalidLogin", "503:count=1000"], 3));
    // The session that is said to have ended hasn't.
    rows.push(Row { sessions: 1, ..row(&["RetrievePropertiesEx:fault=NotAuthenticated:count=1000"], 3) });
    insta::assert_snapshot!(play(rows).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_that_are_busy_or_away_are_waited_for() {
    let away = [
        "drop-before",
        "drop-after",
        "503",
        "expire",
        "tools-away:count=3",
        "tools-restart=300",
        "vix=5:count=2",
        "fault=GuestOperationsUnavailable:count=2",
        "fault=InvalidState",
        "fault=TaskInProgress:count=2",
        "slow=700",
    ];
    let methods = [
        "StartProgramInGuest",
        "ListFilesInGuest",
        "InitiateFileTransferToGuest",
        "InitiateFileTransferFromGuest",
        "DeleteDirectoryInGuest",
    ];
    let mut rows = each(&methods, &away, 0);
    // While something runs, its record is lost; nothing depends on that.
    rows.extend(each(&["ListFilesInGuest"], &["tools-restart=300:skip=3", "tools-restart=50:skip=2:count=4"], 0));
    // What was ended a moment ago may still write into the directory.
    rows.extend(each(
        &["DeleteDirectoryInGuest"],
        &["fault=CannotAccessFile:count=2", "fault=GuestOperationsFault"],
        0,
    ));
    // Just after a boot accounts may still be set up.
    rows.extend(each(&["StartProgramInGuest"], &["fault=InvalidGuestLogin:count=2"], 0));
    assert_eq!(play(rows).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_that_break_are_begun_anew_or_done_without() {
    let ways =
        ["drop-before", "drop-after", "503", "disk-full", "slow=500", "drop-before:count=1000", "503:count=1000"];
    assert_eq!(play(each(&["PUT", "GET"], &ways, 0)).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_refuses_is_told() {
    let faults = [
        "GuestPermissionDenied",
        "OperationDisabledByGuest",
        "OperationNotSupportedByGuest",
        "GuestComponentsOutOfDate",
        "InvalidPowerState",
        "FileNotFound",
        "CannotAccessFile",
        "FileFault",
        "InvalidArgument",
        "GuestProcessNotFound",
        "SomethingThatNobodyKnows",
    ];
    let all = faults.map(|f| format!("fault={f}:count=1000"));
    let all = all.each_ref().map(|f| f.as_str());
    let mut rows = each(&["StartProgramInGuest"], &all, 4);
    // With the account that worked just before: no window, no second try.
    rows.extend(each(&["StartProgramInGuest"], &["fault=InvalidGuestLogin:skip=1"], 4));
    rows.extend(each(&["InitiateFileTransferToGuest"], &["disk-full", "fault=GuestPermissionDenied"], 4));
    rows.extend(each(&["InitiateFileTransferFromGuest"], &["fault=FileNotFound", "fault=GuestPermissionDenied"], 4));
    rows.extend(each(&["ListFilesInGuest"], &["fault=OperationDisabledByGuest:count=1000"], 4));
    // vCenter's own refusals are no failures of the guest.
    let privileges = ["StartProgramInGuest", "ListFilesInGuest", "InitiateFileTransferToGuest"];
    rows.extend(each(&privileges, &["fault=NoPermission:count=1000"], 5));
    rows.extend(each(&["StartProgramInGuest"], &["fault=RestrictedVersion:count=1000"], 5));
    insta::assert_snapshot!(play(rows).await);
}

/// What a guest that never answers comes to: the build's deadline ends it, and says for what it waited.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_stays_busy_is_waited_for_until_the_deadline() {
    let busy = ["tools-away", "fault=GuestOperationsUnavailable"];
    for fault in busy {
        let (sandbox, _) =
            spoiled(vec![Rule::parse(&format!("StartProgramInGuest:{fault}:count=1000000")).unwrap()]).await;
        let dir = context(&[("VMWfile", "FROM linux AS app\nOUTPUT VM app\nRUN true\n")]);
        let mut command = vmwbuild(dir.path());
        command.args(["build", "--progress", "plain", "--color", "never", "--timeout", "4s"]);
        command.args(["--vcenter", &sandbox.url(), "--username", sandbox.username()]);
        command.args(["--thumbprint", sandbox.thumbprint()]).env("VMWBUILD_PASSWORD", sandbox.password());
        command.env("VMWBUILD_LOGIN", "root:guest-password");
        let done = tokio::task::spawn_blocking(move || {
            let _dir = dir;
            run(&mut command, Duration::from_secs(60))
        });
        let done = done.await.unwrap();
        assert_eq!(done.code, Some(6), "{fault}: {done}");
        let said = done.stderr();
        assert!(said.contains("waiting for the guest to let") && said.contains("VMW"), "{fault}: {said}");
        // Asked ever more rarely.
        let asked = sandbox.requests().get("StartProgramInGuest").copied().unwrap_or_default();
        assert!((2..=40).contains(&asked), "{fault}: asked {asked} times: {said}");
        sandbox.forgive();
        // Whoever has less patience is told what the guest said.
        sandbox.inject(Rule::parse(&format!("StartProgramInGuest:{fault}:count=1000000")).unwrap());
        let client = connect(&sandbox).await;
        let inventory = client.inventory().await.unwrap();
        assert!(inventory.vm("app", None).is_err(), "{fault}: it was removed: {said}");
        let vm = clone_of(&client, "linux", "other").await;
        boot(&client, &vm).await;
        let options = guest::Options { patience: Duration::from_secs(2), ..guest::Options::default() };
        let login = guest::Login { user: "root".to_owned(), password: "any".to_owned() };
        let ran = async {
            let guest = guest::Guest::open(&client, &vm, &login, options).await?;
            guest.run_batch(&[guest::Job::sh(0, "true")], &mut |_| ()).await.map(drop)
        };
        let error = ran.await.expect_err("it is busy").to_string();
        assert!(error.starts_with("the guest did not answer for 2s: "), "{fault}: {error}");
        client.logout().await.unwrap();
        sandbox.stop().await;
    }
}

/// A build on a sandbox that is there, in a directory, with these arguments.
async fn built(sandbox: &Sandbox, dir: &Path, args: &[&str]) -> Run {
    let mut command = vmwbuild(dir);
    command.args(args).args(["--progress", "plain", "--color", "never"]);
    command.env("VMWBUILD_VCENTER", sandbox.url()).env("VMWBUILD_USERNAME", sandbox.username());
    command.env("VMWBUILD_THUMBPRINT", sandbox.thumbprint()).env("VMWBUILD_PASSWORD", sandbox.password());
    command.env("VMWBUILD_STATE_DIR", dir.join(".state")).env("VMWBUILD_LOGIN", "root:guest-password");
    tokio::task::spawn_blocking(move || run(&mut command, Duration::from_secs(60))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_may_take_as_long_to_boot_as_is_said() {
    let slow = vmwbuild::sandbox::Config { boot_delay: Duration::from_secs(5), ..config() };
    let sandbox = Sandbox::start(slow).await.unwrap();
    let dir = context(&[("VMWfile", "FROM linux AS app\nOUTPUT NONE\nRUN true\n")]);
    let done = built(&sandbox, dir.path(), &["build", "--boot-timeout", "1s"]).await;
    assert_eq!(done.code, Some(6), "{done}");
    let said = done.stderr();
    let from = said.find("VMW905").expect("a message");
    insta::assert_snapshot!("slow_boot", said[from..].replace(&dir.path().display().to_string(), "DIR"));
    let done = built(&sandbox, dir.path(), &["build", "--boot-timeout", "1m"]).await;
    assert_eq!(done.code, Some(0), "{done}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_is_slow_to_shut_down_is_told() {
    let sandbox = Sandbox::start(config()).await.unwrap();
    let stays = "RUN (trap '' TERM; sleep 20) </dev/null >/dev/null 2>&1 &\n";
    let dir = context(&[("VMWfile", format!("FROM linux AS app\nOUTPUT TEMPLATE app\n{stays}"))]);
    let done = built(&sandbox, dir.path(), &["build", "--shutdown-timeout", "1s"]).await;
    assert_eq!(done.code, Some(0), "{done}");
    let note = "app  note: the guest hadn't shut down after 1s and was powered off: what it was still writing is lost; \
                --shutdown-timeout gives it more time";
    assert!(done.stderr().contains(note), "{done}");
    sandbox.stop().await;
}

/// Snapshots that are gone back to and removed, and a reset: each is done, and once, whatever becomes of the replies.
#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_resets_are_done_once_whatever_becomes_of_the_replies() {
    let ways =
        ["drop-before", "drop-after", "503", "expire", "drop-before:count=2", "drop-after:count=2", "503:count=3"];
    for way in ways {
        let (sandbox, client) = spoiled(Vec::new()).await;
        let vm = clone_of(&client, "linux", "one").await;
        let guest = boot(&client, &vm).await;
        upload(&guest, "/etc/rc.local", "#!/bin/sh\necho boot >> /root/boots\n").await;
        assert_eq!(
            common::embedded::run(&guest, "chmod 755 /etc/rc.local; echo before > /root/state").await,
            0,
            "{way}"
        );
        let first = client.create_snapshot(&vm, "first", "", soon()).await.unwrap();
        let second = client.create_snapshot(&vm, "second", "", soon()).await.unwrap();
        for method in ["ResetVM_Task", "RemoveSnapshot_Task", "RevertToSnapshot_Task"] {
            sandbox.inject(Rule::parse(&format!("{method}:{way}")).unwrap());
        }
        client.reset(&vm, soon()).await.unwrap_or_else(|e| panic!("{way}: {e}"));
        let guest = boot_again(&client, &vm).await;
        assert_eq!(output(&guest, "cat /root/boots").await, "boot\n", "{way}: reset once");
        client.remove_snapshot(&second, soon()).await.unwrap_or_else(|e| panic!("{way}: {e}"));
        let names = |trees: &[vmwbuild::vsphere::wire::VirtualMachineSnapshotTree]| {
            trees.iter().map(|t| (t.name.clone(), t.child_snapshot_list.len())).collect::<Vec<_>>()
        };
        assert_eq!(names(&client.snapshots(&vm).await.unwrap()), [("first".to_owned(), 0)], "{way}");
        assert_eq!(common::embedded::run(&guest, "echo after > /root/state").await, 0, "{way}");
        client.revert_to_snapshot(&first, soon()).await.unwrap_or_else(|e| panic!("{way}: {e}"));
        assert_eq!(names(&client.snapshots(&vm).await.unwrap()), [("first".to_owned(), 0)], "{way}");
        if client.vm_state(&vm).await.unwrap().power != vmwbuild::vsphere::wire::PowerState::On {
            client.power_on(&vm, soon()).await.unwrap();
        }
        let guest = boot_again(&client, &vm).await;
        assert_eq!(output(&guest, "cat /root/state").await, "before\n", "{way}: gone back to");
        client.logout().await.unwrap();
        assert_eq!(sandbox.sessions(), 0, "{way}");
        sandbox.stop().await;
    }
}

/// A disk that is really full: for a command, and for what is copied.
#[test]
fn a_full_disk_in_the_guest_is_told() {
    let disk =
        "FROM linux AS app\nOUTPUT VM app\nRUN mkdir /root/small && mount -t tmpfs -o size=256k none /root/small\n";
    let big = vec![b'x'; BIG];
    for (step, place) in [
        ("RUN head -c 3000000 /dev/zero > /root/small/zeros\n", "VMWfile:4:1"),
        ("COPY big /root/small/big\n", "VMWfile:4:1"),
        (
            "KEY word FROM RUN cat /bin/* > /root/small/all; echo w > /root/small/w && cat /root/small/w\n",
            "VMWfile:4:1",
        ),
    ] {
        let dir = context(&[("VMWfile", format!("{disk}{step}").as_bytes()), ("big", &big)]);
        let mut command = vmwbuild(dir.path());
        command.args(["build", "--sandbox", "--progress", "plain", "--color", "never"]);
        let done = run(&mut command, Duration::from_secs(60));
        assert_eq!(done.code, Some(4), "{step}: {done}");
        let said = done.stderr();
        let (_, problem) = said.split_once("\n\n").unwrap_or_else(|| panic!("{step}: {done}"));
        // tar says how much it could write, not why.
        let told = ["No space left on device", "the space that is left"].iter().any(|why| problem.contains(why));
        assert!(told && problem.contains(place), "{step}: {said}");
        assert!(!said.contains("panicked") && !said.contains("left behind"), "{step}: {said}");
    }
}

/// `--fault` is for `build --sandbox` too.
#[test]
fn faults_are_given_by_a_flag() {
    let big = vec![b'x'; BIG];
    let dir = context(&[("VMWfile", FILE.as_bytes()), ("big", &big)]);
    let build = |faults: &[&str]| {
        let mut command = vmwbuild(dir.path());
        command.args(["build", "--sandbox", "--progress", "plain", "--color", "never"]);
        command.args(faults.iter().flat_map(|fault| ["--fault", fault]));
        run(&mut command, Duration::from_secs(120))
    };
    let done = build(&["StartProgramInGuest:drop-after", "PUT:503"]);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(done.stderr().contains("it was done once"), "{done}");
    let done = build(&["PowerOnVM_Task:task-fault=NoCompatibleHost"]);
    assert_eq!(done.code, Some(5), "{done}");
    let done = build(&["PowerOnVM_Task:fault="]);
    assert!(done.code == Some(2) && done.stderr().contains("needs the type of the fault"), "{done}");
}

/// As on a system that has nothing to run guests in: the server runs, and the first operation in a guest says so.
#[test]
fn without_guests_the_server_runs_and_the_first_operation_in_one_says_so() {
    let dir = context(&[("VMWfile", "FROM linux AS app\nOUTPUT VM app\nRUN true\n")]);
    let build = |text: &str| {
        std::fs::write(dir.path().join("VMWfile"), text).unwrap();
        let mut command = vmwbuild(dir.path());
        command.args(["build", "--sandbox", "--without-guests", "--progress", "plain", "--color", "never"]);
        run(&mut command, Duration::from_secs(60))
    };
    let needs = "guests need Linux: this system has no namespaces to run them in";
    let done = build("FROM linux AS app\nOUTPUT VM app\nRUN true\n");
    assert_eq!(done.code, Some(4), "{done}");
    let said = done.stderr();
    assert!(said.starts_with(&format!("note: {needs}")), "{said}");
    let (_, problem) = said.split_once("\n\n").unwrap();
    let words: Vec<&str> = problem.split_whitespace().filter(|word| *word != "|").collect();
    assert!(words.join(" ").contains(needs) && problem.contains("VMWfile:"), "{said}");
    // What needs no guest is done.
    let done = build("FROM linux AS app\nOUTPUT VM --off app\nCPU 3\n");
    assert_eq!((done.code, done.stdout().as_str()), (Some(0), "VM app\n"), "{done}");
}

/// A name that shows what stands after it in another order could look like another one.
#[tokio::test(flavor = "multi_thread")]
async fn names_show_no_terminal_another_order() {
    let sandbox = Sandbox::start(config()).await.unwrap();
    let file = "ARG name\nFROM linux AS app\nOUTPUT VM ${{ name }}\nRUN true\nFROM linux AS more FOR i IN ${{ [name, \"b\"] }}\n\
                OUTPUT NONE\nRUN echo ${{ i }}\n";
    let dir = context(&[("VMWfile", file)]);
    let name = "name=web\u{202e}1\u{2066}\u{200f}\u{61c}";
    let mut all = String::new();
    for args in [
        &["plan", "--arg", name][..],
        &["build", "--arg", name, "--progress", "plain"],
        // It is there already: an error that names it.
        &["build", "--arg", name, "--progress", "plain", "--no-cache"],
        &["plan", "--arg", name],
        &["builds"],
        &["ls"],
        &["graph", "--arg", name],
        &["graph", "--arg", name, "--format", "mermaid"],
        &["graph", "--arg", name, "--format", "svg"],
        &["show", "--arg", name],
        &["destroy", "--yes", "."],
    ] {
        let mut command = vmwbuild(dir.path());
        command.args(args).args(["--color", "never"]);
        command.env("VMWBUILD_VCENTER", sandbox.url()).env("VMWBUILD_USERNAME", sandbox.username());
        command.env("VMWBUILD_THUMBPRINT", sandbox.thumbprint()).env("VMWBUILD_PASSWORD", sandbox.password());
        command.env("VMWBUILD_STATE_DIR", dir.path().join(".state\u{202e}"));
        command.env("VMWBUILD_LOGIN", "root:guest-password");
        let done = tokio::task::spawn_blocking(move || run(&mut command, Duration::from_secs(60))).await.unwrap();
        let said = done.stdout() + &done.stderr();
        assert!(!said.contains(['\u{202e}', '\u{2066}', '\u{200f}', '\u{61c}']), "{args:?}: {said:?}");
        all += &format!("{args:?} -> {:?}\n{said}\n", done.code);
    }
    assert!(all.contains("there is already a VM `/DC0/vm/web\\u{202e}1\\u{2066}\\u{200f}"), "{all}");
    assert!(all.matches("web\\u{202e}1\\u{2066}").count() > 15, "{all}");
    sandbox.stop().await;
}
