//! The sandbox, driven by our own client: what a build does, and what a vCenter refuses.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use crate::common;

use std::time::{Duration, Instant};

use common::embedded::*;
use vmwbuild::sandbox::{Config, Effect, Rule, Sandbox};
use vmwbuild::vsphere::client::{
    Client, CloneRequest, Deadline, EntityKind, Error, GuestAuth, GuestFault, HardwareChange, PlacementRequest,
    ShutDown, Source,
};
use vmwbuild::vsphere::wire::{
    CancelWaitForUpdates, CloneVmTask, ContinueRetrievePropertiesEx, CreateContainerView, CreateFilter, CreateFolder,
    CreatePropertyCollector, CurrentTime, Element, GuestFileAttributes, GuestProgramSpec, InitiateFileTransferToGuest,
    Method, Moref, MoveIntoFolderTask, NamePasswordAuthentication, ObjectSpec, ObjectUpdateKind, PowerState,
    PropertyFilterSpec, PropertySpec, RetrieveOptions, RetrievePropertiesEx, Selection, SelectionSpec,
    TerminateProcessInGuest, TraversalSpec, VirtualMachineCloneSpec, WaitForUpdatesEx, WaitOptions, WireError,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_build_from_login_to_destroy() {
    let begun = Instant::now();
    let mut at = begun;
    let mut lap = |what: &str| {
        println!("{what}: {:.1} ms", at.elapsed().as_secs_f64() * 1000.0);
        at = Instant::now();
    };
    let sandbox = Sandbox::start(config()).await.unwrap();
    lap("start");
    let client = connect(&sandbox).await;
    lap("log in");
    assert!(client.is_vcenter());
    let inventory = client.inventory().await.unwrap();
    let paths: Vec<&str> = inventory.all(EntityKind::Vm).map(|e| e.path.as_str()).collect();
    assert_eq!(paths, ["/DC0/vm/linux"]);
    lap("inventory");
    let vm = clone_of(&client, "linux", "web").await;
    lap("clone");
    let guest = boot(&client, &vm).await;
    lap("boot");
    assert!(guest.validate(soon()).await.unwrap());
    assert_eq!(run(&guest, "exit 7").await, 7);
    lap("first command");
    upload(&guest, "/root/hello", "hello\n").await;
    assert_eq!(run(&guest, "cp /root/hello /root/copy").await, 0);
    assert_eq!(download(&guest, "/root/copy").await, "hello\n");
    lap("files");
    let files = guest.list_all("/root", Some("^copy$"), soon()).await.unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(client.shut_down(&vm, soon(), soon()).await.unwrap(), ShutDown::ByItself);
    lap("shut down");
    client.mark_as_template(&vm).await.unwrap();
    let second = clone_of(&client, "web", "copy").await;
    let guest = boot(&client, &second).await;
    assert_eq!(download(&guest, "/root/copy").await, "hello\n");
    lap("clone of the template");
    client.destroy_vm(&second, soon()).await.unwrap();
    client.destroy_vm(&vm, soon()).await.unwrap();
    lap("destroy");
    client.logout().await.unwrap();
    assert_eq!(sandbox.sessions(), 0);
    sandbox.stop().await;
    lap("stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_linked_clones_are_real_layers() {
    let (sandbox, client) = spoiled(Vec::new()).await;
    let vm = clone_of(&client, "linux", "web").await;
    let guest = boot(&client, &vm).await;
    run(&guest, "echo one > /root/file").await;
    let first = client.create_snapshot(&vm, "first", "while it runs", soon()).await.unwrap();
    run(&guest, "echo two > /root/file").await;
    client.power_off(&vm, soon()).await.unwrap();
    let second = client.create_snapshot(&vm, "second/%", "while it is off", soon()).await.unwrap();
    let trees = client.snapshots(&vm).await.unwrap();
    assert_eq!(trees.len(), 1);
    assert_eq!((trees[0].name.as_str(), trees[0].child_snapshot_list[0].name.as_str()), ("first", "second%2f%25"));

    let guest = boot(&client, &vm).await;
    assert_eq!(download(&guest, "/root/file").await, "two\n");
    run(&guest, "echo three > /root/file").await;
    client.revert_to_snapshot(&first, soon()).await.unwrap();
    assert_eq!(client.vm_state(&vm).await.unwrap().power, PowerState::Off);
    let guest = boot(&client, &vm).await;
    assert_eq!(download(&guest, "/root/file").await, "one\n");

    // A linked clone lies on the snapshot, and outlives it and the machine.
    let linked = linked_clone(&client, "web", "linked", &second).await;
    client.power_off(&vm, soon()).await.unwrap();
    client.remove_snapshot(&second, soon()).await.unwrap();
    client.destroy_vm(&vm, soon()).await.unwrap();
    let guest = boot(&client, &linked).await;
    assert_eq!(download(&guest, "/root/file").await, "two\n");
    client.logout().await.unwrap();
    sandbox.stop().await;
}

async fn linked_clone(client: &Client, source: &str, name: &str, snapshot: &Moref) -> Moref {
    let inventory = client.inventory().await.unwrap();
    let source = inventory.vm(source, None).unwrap();
    let placement = inventory.place(&PlacementRequest::default(), source).unwrap();
    let request = CloneRequest {
        name: name.to_owned(),
        placement,
        template: false,
        linked: Some(snapshot.clone()),
        snapshot: None,
        hardware: HardwareChange::default(),
    };
    let task = client.start_clone(&source.moref, &request).await.unwrap();
    client.wait_clone(&task, name, soon(), |_| ()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_of_a_running_machine_is_a_copy() {
    let (sandbox, client) = spoiled(Vec::new()).await;
    let vm = clone_of(&client, "linux", "web").await;
    let guest = boot(&client, &vm).await;
    run(&guest, "echo kept > /root/file").await;
    let copy = clone_of(&client, "web", "copy").await;
    run(&guest, "echo later > /root/file").await;
    let other = boot(&client, &copy).await;
    assert_eq!(download(&other, "/root/file").await, "kept\n");
    assert_eq!(download(&guest, "/root/file").await, "later\n");
    // Their processes and networks are apart.
    for namespace in ["pid", "net", "mnt", "uts", "ipc"] {
        let link = format!("readlink /proc/self/ns/{namespace}");
        assert_ne!(output(&guest, &link).await, output(&other, &link).await);
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_a_vcenter_refuses() {
    let (sandbox, client) = spoiled(Vec::new()).await;
    let mut wrong = endpoint(&sandbox);
    wrong.password = "wrong".to_owned();
    assert!(
        matches!(Client::connect(wrong, soon()).await, Err(Error::Login { fault, .. }) if fault.kind == "InvalidLogin")
    );

    let vm = clone_of(&client, "linux", "a/b%").await;
    let inventory = client.inventory().await.unwrap();
    let entity = inventory.get(&vm).unwrap();
    assert_eq!((entity.name.as_str(), entity.path.as_str()), ("a/b%", "/DC0/vm/a%2fb%"));
    // The name is taken, however it is written.
    let source = inventory.vm("linux", None).unwrap();
    let placement = inventory.place(&PlacementRequest::default(), source).unwrap();
    let folder = placement.folder.clone();
    let mut request = CloneRequest {
        name: "a/b%".to_owned(),
        placement,
        template: false,
        linked: None,
        snapshot: None,
        hardware: HardwareChange::default(),
    };
    let task = client.start_clone(&source.moref, &request).await.unwrap();
    let error = client.wait_clone(&task, "a/b%", soon(), |_| ()).await.unwrap_err();
    assert_eq!(error.fault().unwrap().object("object"), Some(vm.clone()));
    assert_eq!(kind::<()>(Err(error)), "DuplicateName");
    // A template has no pool that a clone could get.
    let spec = VirtualMachineCloneSpec::default();
    let poolless = CloneVmTask { this: source.moref.clone(), folder, name: "c".to_owned(), spec };
    let error = client.call(&poolless).await.unwrap_err();
    assert_eq!(error.fault().unwrap().field("invalidProperty"), Some("spec.location.pool"));
    request.name = "x".repeat(81);
    let task = client.start_clone(&source.moref, &request).await.unwrap();
    assert_eq!(kind(client.wait_clone(&task, "x", soon(), |_| ()).await), "InvalidName");

    let guest = client.guest(&vm, GuestAuth { username: "root".to_owned(), password: String::new() });
    assert_eq!(kind(guest.validate(soon()).await), "InvalidPowerState");
    assert_eq!(kind(client.reboot_guest(&vm, false).await), "InvalidPowerState");
    let _ = boot(&client, &vm).await;
    assert_eq!(kind(client.mark_as_template(&vm).await), "InvalidPowerState");
    assert_eq!(kind(client.destroy(&vm, soon()).await), "InvalidPowerState");
    let more = HardwareChange { cpus: Some(4), ..HardwareChange::default() };
    assert_eq!(kind(client.reconfigure(&vm, &more, soon()).await), "InvalidPowerState");
    client.power_off(&vm, soon()).await.unwrap();
    client.reconfigure(&vm, &more, soon()).await.unwrap();
    client.mark_as_template(&vm).await.unwrap();
    assert_eq!(kind(client.power_on(&vm, soon()).await), "NotSupported");
    client.destroy(&vm, soon()).await.unwrap();
    assert_eq!(kind(client.vm_state(&vm).await), "ManagedObjectNotFound");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_run_as_tools_run_them() {
    let sandbox =
        Sandbox::start(Config { logins: vec![("root".to_owned(), "right".to_owned())], ..config() }).await.unwrap();
    let client = connect(&sandbox).await;
    let vm = clone_of(&client, "linux", "web").await;
    let _ = boot(&client, &vm).await;
    let guest = as_user(&client, &vm, "root", "right");
    for (user, password) in [("root", "wrong"), ("", ""), ("daemon", "right")] {
        assert_eq!(kind(as_user(&client, &vm, user, password).validate(soon()).await), "InvalidGuestLogin", "{user}");
    }
    // The path is absolute and to something that can be executed; arguments are shell text.
    assert_eq!(kind(guest.start(&program("sh", ""), soon()).await), "FileNotFound");
    assert_eq!(kind(guest.start(&program("/nowhere/sh", ""), soon()).await), "FileNotFound");
    assert_eq!(kind(guest.start(&program("/etc/passwd", ""), soon()).await), "GuestPermissionDenied");
    let here = GuestProgramSpec { working_directory: Some("/nowhere".to_owned()), ..program("/bin/true", "") };
    assert_eq!(kind(guest.start(&here, soon()).await), "FileNotFound");
    let bad = GuestProgramSpec { env_variables: vec!["NOTHING".to_owned()], ..program("/bin/true", "") };
    assert_eq!(kind(guest.start(&bad, soon()).await), "InvalidArgument");

    let wait = |pid: i64| {
        let guest = guest.clone();
        async move {
            loop {
                let list = guest.processes(&[pid], soon()).await.unwrap();
                if let Some(code) = list[0].exit_code {
                    assert!(list[0].end_time.is_some());
                    return code;
                }
            }
        }
    };
    let spec = GuestProgramSpec {
        env_variables: vec!["ONLY=this".to_owned(), "HOME=/".to_owned()],
        ..program("/usr/bin/env", "> /tmp/env; pwd > /tmp/pwd; exit 3")
    };
    assert_eq!(wait(guest.start(&spec, soon()).await.unwrap()).await, 3);
    let env = download(&guest, "/tmp/env").await;
    assert!(env.contains("ONLY=this\n") && !env.contains("PATH=") && !env.contains("USER="), "{env}");
    assert_eq!(download(&guest, "/tmp/pwd").await, "/root\n");
    assert_eq!(
        wait(guest.start(&program("/bin/sh", "-c 'kill -9 $$'"), soon()).await.unwrap()).await,
        0,
        "by a signal"
    );

    let pid = guest.start(&program("/bin/sleep", "1000"), soon()).await.unwrap();
    assert!(guest.processes(&[], soon()).await.unwrap().iter().any(|p| p.pid == pid && p.end_time.is_none()));
    guest.terminate(pid, soon()).await.unwrap();
    wait(pid).await;
    let direct = TerminateProcessInGuest {
        this: Moref::new("GuestProcessManager", "guestOperationsProcessManager"),
        vm: vm.clone(),
        auth: vmwbuild::vsphere::wire::GuestAuthentication::NamePassword(NamePasswordAuthentication {
            interactive_session: false,
            username: "root".to_owned(),
            password: "right".to_owned(),
        }),
        pid,
    };
    assert_eq!(kind(client.call(&direct).await), "GuestProcessNotFound");
    assert_eq!(guest.processes(&[pid], soon()).await.unwrap().len(), 1, "it is remembered");
    assert!(guest.processes(&[54_321], soon()).await.unwrap().is_empty());
    let home = guest.environment(&["HOME"], soon()).await.unwrap();
    assert_eq!(home, ["HOME=/root"]);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_behave_as_tools_files() {
    let (sandbox, client) = spoiled(Vec::new()).await;
    let vm = clone_of(&client, "linux", "web").await;
    let guest = boot(&client, &vm).await;
    guest.make_directory("/root/d", false, soon()).await.unwrap();
    assert_eq!(kind(guest.make_directory("/root/d", false, soon()).await), "FileAlreadyExists");
    assert_eq!(
        run(&guest, "cd /root/d; i=0; while [ $i -lt 60 ]; do : > f$i; i=$((i+1)); done; ln -s \"a target\" link")
            .await,
        0
    );
    let page = guest.list_files("/root/d", None, 0, None, soon()).await.unwrap();
    assert_eq!((page.files.len(), page.remaining), (50, 13), "with . and ..");
    let all = guest.list_all("/root/d", None, soon()).await.unwrap();
    assert_eq!(all.len(), 63);
    let some = guest.list_all("/root/d", Some("^f1[0-9]?$"), soon()).await.unwrap();
    assert_eq!(some.len(), 11);
    let link = guest.list_all("/root/d", Some("^link$"), soon()).await.unwrap();
    let GuestFileAttributes::Posix(posix_of) = &link[0].attributes else { panic!("{link:?}") };
    assert_eq!((link[0].kind.as_str(), posix_of.symlink_target.as_deref()), ("symlink", Some("a target")));
    assert_eq!(kind(guest.list_files("/root/d", Some("("), 0, None, soon()).await), "InvalidArgument");
    assert_eq!(kind(guest.list_files("/nowhere", None, 0, None, soon()).await), "FileNotFound");

    upload(&guest, "/root/d/up", "text").await;
    guest.set_attributes("/root/d/up", posix(0o640), soon()).await.unwrap();
    assert_eq!(output(&guest, "stat -c %a /root/d/up").await, "640\n");
    let again = guest.upload("/root/d/up", &Source::Bytes("x".into()), posix(0o600), false, soon()).await;
    assert_eq!(kind(again), "FileAlreadyExists");
    let missing = guest.upload("/nowhere/up", &Source::Bytes("x".into()), posix(0o600), false, soon()).await;
    assert_eq!(kind(missing), "FileNotFound");
    assert_eq!(
        kind(guest.upload("/root/d", &Source::Bytes("x".into()), posix(0o600), true, soon()).await),
        "InvalidArgument"
    );
    guest.move_file("/root/d/up", "/root/d/moved", false, soon()).await.unwrap();
    assert_eq!(kind(guest.move_file("/root/d/moved", "/root/d/f1", false, soon()).await), "FileAlreadyExists");
    guest.delete_file("/root/d/moved", soon()).await.unwrap();
    guest.delete_directory("/root/d", true, soon()).await.unwrap();
    let made = guest.make_temporary_directory("pre", "suf", None, soon()).await.unwrap();
    assert!(made.starts_with("/tmp/pre") && made.ends_with("suf"), "{made}");

    // Somebody else has an account's rights, no more.
    let other = as_user(&client, &vm, "nobody", "any");
    assert_eq!(kind(other.delete_file("/etc/passwd", soon()).await), "GuestPermissionDenied");
    let denied = other.upload("/etc/new", &Source::Bytes("x".into()), posix(0o600), false, soon()).await;
    assert_eq!(kind(denied), "GuestPermissionDenied");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_are_as_unkind_as_real_ones() {
    let (sandbox, client) = spoiled(Vec::new()).await;
    let vm = clone_of(&client, "linux", "web").await;
    let guest = boot(&client, &vm).await;
    let auth = vmwbuild::vsphere::wire::GuestAuthentication::NamePassword(NamePasswordAuthentication {
        username: "root".to_owned(),
        ..NamePasswordAuthentication::default()
    });
    let manager = Moref::new("GuestFileManager", "guestOperationsFileManager");
    let begin = |size: i64| InitiateFileTransferToGuest {
        this: manager.clone(),
        vm: vm.clone(),
        auth: auth.clone(),
        guest_file_path: "/root/sent".to_owned(),
        file_attributes: posix(0o600),
        file_size: size,
        overwrite: true,
    };
    let http = reqwest::Client::builder().danger_accept_invalid_certs(true).build().unwrap();
    let put = |url: String, body: &'static str| {
        let http = http.clone();
        async move { http.put(url).body(body).send().await.unwrap().status().as_u16() }
    };
    let url = client.call(&begin(4)).await.unwrap();
    assert!(url.starts_with("https://127.0.0.1:") && !url.starts_with(sandbox.url().trim_end_matches("/sdk")), "{url}");
    assert_eq!(put(url.clone(), "text").await, 200);
    assert_eq!(put(url, "text").await, 404, "a URL is good for one use");
    assert_eq!(download(&guest, "/root/sent").await, "text");
    assert_eq!(put(client.call(&begin(0)).await.unwrap(), "").await, 500, "empty files can't be sent");
    assert_eq!(put(client.call(&begin(9)).await.unwrap(), "text").await, 500, "another size than announced");
    let url = client.call(&begin(4)).await.unwrap();
    client.power_off(&vm, soon()).await.unwrap();
    assert_eq!(put(url, "text").await, 404, "void with the power");

    // The hosts have another certificate than the API, which the API vouches for.
    let host: Moref = client.properties(&vm, &["runtime.host"]).await.unwrap().get("runtime.host").unwrap();
    let print = client.properties(&host, &["summary.config.sslThumbprint"]).await.unwrap();
    let print = print.text("summary.config.sslThumbprint").unwrap().to_owned();
    assert!(print != sandbox.thumbprint_sha1() && print.len() == 59, "{print}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_restart_and_end_by_themselves() {
    let sandbox = Sandbox::start(Config { boot_delay: Duration::from_millis(150), ..config() }).await.unwrap();
    let client = connect(&sandbox).await;
    let vm = clone_of(&client, "linux", "web").await;
    let guest = boot(&client, &vm).await;
    run(&guest, "echo kept > /root/file").await;
    let pid = guest.start(&program("/bin/sleep", "1000"), soon()).await.unwrap();
    client.reboot_guest(&vm, false).await.unwrap();
    let now = Deadline::after(Duration::from_millis(1));
    let error = guest.validate(now).await.unwrap_err();
    assert!(matches!(&error, Error::Timeout { .. }) || error.to_string().contains("(3016, 0)"), "{error}");
    let guest = boot_again(&client, &vm).await;
    assert!(guest.processes(&[pid], soon()).await.unwrap().is_empty(), "the record went with the agent");
    assert_eq!(download(&guest, "/root/file").await, "kept\n");

    // The guest itself.
    guest.start(&program("/bin/sh", "-c \"reboot -f\""), soon()).await.unwrap();
    client
        .wait_guest_state(&vm, soon(), "the guest to go", |s| (s.operations_ready == Some(false)).then_some(()))
        .await
        .unwrap();
    let guest = boot_again(&client, &vm).await;
    assert_eq!(download(&guest, "/root/file").await, "kept\n");
    guest.start(&program("/bin/sh", "-c \"poweroff -f\""), soon()).await.unwrap();
    client
        .wait_guest_state(&vm, soon(), "the machine to be off", |s| (s.power == PowerState::Off).then_some(()))
        .await
        .unwrap();
    let guest = boot(&client, &vm).await;
    client.reset(&vm, soon()).await.unwrap();
    drop(guest);
    let guest = boot_again(&client, &vm).await;
    assert_eq!(download(&guest, "/root/file").await, "kept\n");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_on_purpose_does() {
    let (sandbox, client) = spoiled(Vec::new()).await;
    let vm = clone_of(&client, "linux", "web").await;
    let state = client.vm_state(&vm).await.unwrap();
    assert_eq!(state.power, PowerState::Off);

    // A lost answer: what was done is done, and the client finds out.
    sandbox.inject(Rule::once("PowerOnVM_Task", Effect::DropAfter));
    let guest = boot(&client, &vm).await;
    sandbox.inject(Rule::once("RetrievePropertiesEx", Effect::DropBefore));
    assert_eq!(client.vm_state(&vm).await.unwrap().power, PowerState::On);
    sandbox.inject(Rule::once("RetrievePropertiesEx", Effect::Unavailable));
    assert_eq!(client.vm_state(&vm).await.unwrap().power, PowerState::On);
    sandbox.inject(Rule::once("ListFilesInGuest", Effect::ExpireSession));
    guest.list_files("/root", None, 0, None, soon()).await.unwrap();
    sandbox.expire_sessions();
    guest.list_files("/root", None, 0, None, soon()).await.unwrap();
    sandbox.inject(Rule::once("StartProgramInGuest", Effect::ToolsAway).after(1));
    assert_eq!(run(&guest, "exit 5").await, 5);
    let error = guest.start(&program("/bin/true", ""), soon()).await.unwrap_err();
    assert_eq!(error.guest_fault(), Some(GuestFault::Unavailable), "{error}");
    sandbox.inject(Rule::once("PUT", Effect::DropBefore));
    upload(&guest, "/root/up", "text").await;
    sandbox.inject(Rule::once("GET", Effect::Unavailable));
    assert_eq!(download(&guest, "/root/up").await, "text");
    sandbox.inject(Rule::parse("CreateSnapshot_Task:task-fault=ApplicationQuiesceFault").unwrap());
    assert_eq!(kind(client.create_snapshot(&vm, "s", "", soon()).await), "ApplicationQuiesceFault");
    sandbox.inject(Rule::parse("MakeDirectoryInGuest:disk-full").unwrap());
    assert_eq!(kind(guest.make_directory("/root/d", false, soon()).await), "NoDiskSpace");
    let begun = Instant::now();
    sandbox.inject(Rule::parse("CurrentTime:slow=300").unwrap());
    let service = Moref::new("ServiceInstance", "ServiceInstance");
    client.call(&CurrentTime { this: service }).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300));
    client.power_off(&vm, soon()).await.unwrap();
    sandbox.inject(Rule::once("PowerOnVM_Task", Effect::Question));
    let Err(Error::Question { text, choices, .. }) = client.power_on(&vm, soon()).await else { panic!("no question") };
    assert!(text.contains("moved or copied") && choices.len() == 3, "{text}");
    // Until it is answered, the machine is busy.
    let more = HardwareChange { annotation: Some("x".to_owned()), ..HardwareChange::default() };
    assert_eq!(kind(client.reconfigure(&vm, &more, soon()).await), "TaskInProgress");
    let question = client.vm_state(&vm).await.unwrap().question.unwrap();
    client.answer(&vm, &question.id, "2").await.unwrap();
    client
        .wait_guest_state(&vm, soon(), "the guest", |s| (s.operations_ready == Some(true)).then_some(()))
        .await
        .unwrap();
    sandbox.stop().await;
}

/// A filter for properties of one object, or of all machines below the root.
fn filter(object: &Moref, kind: &str, paths: &[&str], select: Vec<Selection>) -> PropertyFilterSpec {
    let prop_set = vec![PropertySpec {
        kind: kind.to_owned(),
        all: None,
        path_set: paths.iter().map(|p| (*p).to_owned()).collect(),
    }];
    let skip = (!select.is_empty()).then_some(true);
    let object_set = vec![ObjectSpec { obj: object.clone(), skip, select_set: select }];
    PropertyFilterSpec { prop_set, object_set, report_missing_objects_in_results: None }
}

/// The traversals by which older clients visit the whole inventory: folders within folders, by name.
fn everywhere() -> Vec<Selection> {
    let step = |name: &str, kind: &str, path: &str, then: &[&str]| {
        Selection::Traversal(TraversalSpec {
            name: Some(name.to_owned()),
            kind: kind.to_owned(),
            path: path.to_owned(),
            skip: Some(false),
            select_set: then.iter().map(|n| Selection::Named(SelectionSpec { name: Some((*n).to_owned()) })).collect(),
        })
    };
    vec![
        step("folder", "Folder", "childEntity", &["folder", "vms", "hosts", "pool"]),
        step("vms", "Datacenter", "vmFolder", &["folder"]),
        step("hosts", "Datacenter", "hostFolder", &["folder"]),
        step("pool", "ComputeResource", "resourcePool", &[]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_property_collector_pages_waits_and_refuses() {
    let (sandbox, client) = spoiled(Vec::new()).await;
    let root = client.content().root_folder.clone();
    let folder = client.inventory().await.unwrap().find(EntityKind::Folder, "/DC0/vm", None).unwrap().moref.clone();
    for n in 0..120 {
        client.call(&CreateFolder { this: folder.clone(), name: format!("f{n}") }).await.unwrap();
    }
    let pc = client.content().property_collector.clone();
    let retrieve = |spec: PropertyFilterSpec, max: Option<i32>| RetrievePropertiesEx {
        this: pc.clone(),
        spec_set: vec![spec],
        options: RetrieveOptions { max_objects: max },
    };
    let folders = filter(&root, "Folder", &["name"], everywhere());
    let page = client.call(&retrieve(folders.clone(), None)).await.unwrap().unwrap();
    assert_eq!(page.objects.len(), 100);
    let token = page.token.unwrap();
    let next = ContinueRetrievePropertiesEx { this: pc.clone(), token };
    let rest = client.call(&next).await.unwrap();
    assert_eq!((rest.objects.len(), rest.token), (22, None), "120 and the vm and host folders");
    assert_eq!(kind(client.call(&next).await), "InvalidArgument", "a token is good for one use");
    let page = client.call(&retrieve(folders, Some(7))).await.unwrap().unwrap();
    assert_eq!(page.objects.len(), 7);
    let pools = client.call(&retrieve(filter(&root, "ResourcePool", &["name"], everywhere()), None)).await.unwrap();
    assert_eq!(pools.unwrap().objects.len(), 2);
    let none = client.call(&retrieve(filter(&root, "StoragePod", &["name"], everywhere()), None)).await.unwrap();
    assert!(none.is_none());
    for path in ["nonsense", "config.nonsense", "runtime.host.name"] {
        let vm = client.inventory().await.unwrap().vm("linux", None).unwrap().moref.clone();
        let outcome = client.call(&retrieve(filter(&vm, "VirtualMachine", &["name", path], Vec::new()), None)).await;
        let fault = outcome.unwrap_err().fault().unwrap().clone();
        assert_eq!((fault.kind.as_str(), fault.field("name")), ("InvalidProperty", Some(path)));
    }
    let gone = Moref::new("VirtualMachine", "vm-99999");
    let outcome = client.call(&retrieve(filter(&gone, "VirtualMachine", &["name"], Vec::new()), None)).await;
    assert_eq!(kind(outcome), "ManagedObjectNotFound");

    // Waiting: the present state, then what changes, page by page.
    let own = client.call(&CreatePropertyCollector { this: pc.clone() }).await.unwrap();
    let spec = filter(&root, "Folder", &["name"], everywhere());
    client.call(&CreateFilter { this: own.clone(), spec, partial_updates: false }).await.unwrap();
    let wait = |version: &str, seconds: i32| WaitForUpdatesEx {
        this: own.clone(),
        version: Some(version.to_owned()),
        options: Some(WaitOptions { max_wait_seconds: Some(seconds), max_object_updates: None }),
    };
    let first = client.call(&wait("", 5)).await.unwrap().unwrap();
    assert_eq!((first.filter_set[0].object_set.len(), first.truncated), (100, Some(true)));
    let second = client.call(&wait(&first.version, 5)).await.unwrap().unwrap();
    assert_eq!((second.filter_set[0].object_set.len(), second.truncated), (22, None));
    assert_eq!(client.call(&wait(&first.version, 5)).await.unwrap().unwrap(), second, "a lost answer is repeated");
    assert!(client.call(&wait(&second.version, 0)).await.unwrap().is_none());
    assert_eq!(kind(client.call(&wait("12345", 0)).await), "InvalidCollectorVersion");
    let begun = Instant::now();
    let request = wait(&second.version, 20);
    let (update, made) = tokio::join!(client.call(&request), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.call(&CreateFolder { this: folder.clone(), name: "late".to_owned() }).await.unwrap()
    });
    let update = update.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "it is told at once");
    let changed = &update.filter_set[0].object_set;
    assert_eq!((changed.len(), &changed[0].obj), (1, &made));
    client.destroy(&made, soon()).await.unwrap();
    let left = client.call(&wait(&update.version, 5)).await.unwrap().unwrap();
    assert_eq!(left.filter_set[0].object_set[0].kind, ObjectUpdateKind::Leave);
    let request = wait(&left.version, 20);
    let (ended, _) = tokio::join!(client.call(&request), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.call(&CancelWaitForUpdates { this: own.clone() }).await.unwrap();
    });
    assert_eq!(kind(ended), "RequestCanceled");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_sessions_expire_and_what_is_unknown_is_refused() {
    let sandbox = Sandbox::start(Config { session_idle: Duration::from_millis(100), ..config() }).await.unwrap();
    let client = connect(&sandbox).await;
    let raw = reqwest::Client::builder().danger_accept_invalid_certs(true).build().unwrap();
    let post = |body: &'static str| {
        let text =
            format!("<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"><Body>{body}</Body></Envelope>");
        let request = raw.post(sandbox.url()).body(text);
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    let asked =
        post("<CurrentTime xmlns=\"urn:vim25\"><_this type=\"ServiceInstance\">ServiceInstance</_this></CurrentTime>")
            .await;
    assert!(asked.contains("NotAuthenticatedFault"), "{asked}");
    for nonsense in ["", "<x/>", "<x><_this>y</_this></x>"] {
        let answer = post(nonsense).await;
        assert!(answer.contains("InvalidRequest"), "{nonsense}: {answer}");
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The client logs in again by itself; the old session has gone.
    client.inventory().await.unwrap();
    assert_eq!(sandbox.sessions(), 1);
    struct Unknown;
    impl Method for Unknown {
        const NAME: &'static str = "DoSomethingNobodyHasHeardOf";
        const SAFE: bool = true;
        type Returns = ();
        fn this(&self) -> &Moref {
            static ROOT: std::sync::OnceLock<Moref> = std::sync::OnceLock::new();
            ROOT.get_or_init(|| Moref::new("Folder", "group-d1"))
        }
        fn to_body(&self) -> Element {
            Element::new(Self::NAME).with(Element::text("_this", "group-d1").attr("type", "Folder"))
        }
        fn from_body(_: &Element) -> Result<Self, WireError> {
            Ok(Unknown)
        }
    }
    assert_eq!(kind(client.call(&Unknown).await), "MethodNotFound");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let state = || Config { state: Some(dir.path().join("state")), ..config() };
    let sandbox = Sandbox::start(state()).await.unwrap();
    let client = connect(&sandbox).await;
    let vm = clone_of(&client, "linux", "web").await;
    let guest = boot(&client, &vm).await;
    run(&guest, "echo one > /root/file").await;
    let snapshot = client.create_snapshot(&vm, "s", "", soon()).await.unwrap();
    run(&guest, "echo two > /root/file").await;
    let root = client.inventory().await.unwrap().find(EntityKind::Folder, "/DC0/vm", None).unwrap().moref.clone();
    let folder = client.call(&CreateFolder { this: root, name: "folder".to_owned() }).await.unwrap();
    let other = clone_of(&client, "web", "other").await;
    let into = MoveIntoFolderTask { this: folder, list: vec![other.clone()] };
    client.wait_task(&client.call(&into).await.unwrap(), "move it", soon()).await.unwrap();
    let change = HardwareChange { cpus: Some(3), annotation: Some("about".to_owned()), ..HardwareChange::default() };
    client.reconfigure(&other, &change, soon()).await.unwrap();
    assert!(matches!(Sandbox::start(state()).await, Err(vmwbuild::sandbox::Error::State { .. })), "it is in use");
    let (password, print) = (sandbox.password().to_owned(), sandbox.thumbprint().to_owned());
    sandbox.stop().await;

    let sandbox = Sandbox::start(state()).await.unwrap();
    assert_eq!((sandbox.password(), sandbox.thumbprint()), (password.as_str(), print.as_str()));
    let client = connect(&sandbox).await;
    let inventory = client.inventory().await.unwrap();
    let paths: Vec<&str> = inventory.all(EntityKind::Vm).map(|e| e.path.as_str()).collect();
    assert_eq!(paths, ["/DC0/vm/folder/other", "/DC0/vm/linux", "/DC0/vm/web"]);
    let state_of = client.vm_state(&vm).await.unwrap();
    assert_eq!(state_of.power, PowerState::Off, "as after a power cut");
    let config = client.properties(&other, &["config.hardware.numCPU", "config.annotation"]).await.unwrap();
    assert_eq!(config.get::<i32>("config.hardware.numCPU"), Some(3));
    assert_eq!(config.text("config.annotation"), Some("about"));
    assert_eq!(client.nics(&other).await.unwrap().len(), 1);
    let guest = boot(&client, &vm).await;
    assert_eq!(download(&guest, "/root/file").await, "two\n");
    let guest = boot(&client, &other).await;
    assert_eq!(download(&guest, "/root/file").await, "two\n");
    client.revert_to_snapshot(&snapshot, soon()).await.unwrap();
    let guest = boot(&client, &vm).await;
    assert_eq!(download(&guest, "/root/file").await, "one\n");
    let third = clone_of(&client, "linux", "third").await;
    assert!(inventory.get(&third).is_none(), "numbers aren't given again");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_one_machine_queue() {
    let (sandbox, client) = spoiled(Vec::new()).await;
    let vm = clone_of(&client, "linux", "web").await;
    let guest = boot(&client, &vm).await;
    let fill = "mkdir /root/d && cd /root/d && i=0; while [ $i -lt 3000 ]; do : > f$i; i=$((i+1)); done";
    assert_eq!(run(&guest, fill).await, 0);
    // What lists the directory while it is removed sees all of it or nothing, never a part.
    let all = 3000 + 2;
    let done = std::sync::atomic::AtomicBool::new(false);
    let listing = async {
        let mut seen = Vec::new();
        loop {
            let last = done.load(std::sync::atomic::Ordering::SeqCst);
            match guest.list_files("/root/d", None, 0, Some(1), soon()).await {
                Ok(page) => assert_eq!(page.files.len() + usize::try_from(page.remaining).unwrap(), all),
                Err(error) => seen.push(kind::<()>(Err(error))),
            }
            if last {
                return seen;
            }
        }
    };
    let removing = async {
        guest.delete_directory("/root/d", true, soon()).await.unwrap();
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    let (seen, ()) = tokio::join!(listing, removing);
    assert!(!seen.is_empty() && seen.iter().all(|fault| fault == "FileNotFound"), "{seen:?}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_programs_are_remembered_for_a_while() {
    // Five minutes, unless told otherwise.
    assert_eq!(Config::default().exit_memory, Duration::from_secs(300));
    let memory = Duration::from_millis(400);
    let sandbox = Sandbox::start(Config { exit_memory: memory, ..config() }).await.unwrap();
    let client = connect(&sandbox).await;
    let vm = clone_of(&client, "linux", "web").await;
    let guest = boot(&client, &vm).await;
    let living = guest.start(&program("/bin/sleep", "1000"), soon()).await.unwrap();
    let begun = Instant::now();
    let pid = guest.start(&program("/bin/sh", "-c 'exit 7'"), soon()).await.unwrap();
    let mut told = false;
    loop {
        let asked = Instant::now();
        let list = guest.processes(&[pid], soon()).await.unwrap();
        match list.first().map(|process| process.exit_code) {
            Some(code) => told |= code == Some(7),
            None => {
                assert!(begun.elapsed() >= memory, "forgotten after {:?}", begun.elapsed());
                break;
            }
        }
        assert!(asked.duration_since(begun) < memory + Duration::from_secs(15), "it is never forgotten");
    }
    assert!(told, "the exit code was to be seen before");
    let list = guest.processes(&[living], soon()).await.unwrap();
    assert!(list.len() == 1 && list[0].end_time.is_none(), "what runs isn't forgotten: {list:?}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_of_hosts_and_pools_show_their_machines() {
    let (sandbox, client) = spoiled(Vec::new()).await;
    let vm = clone_of(&client, "linux", "web").await;
    let inventory = client.inventory().await.unwrap();
    let template = inventory.vm("linux", None).unwrap().moref.clone();
    let place = client.properties(&vm, &["runtime.host", "resourcePool"]).await.unwrap();
    let (host, pool): (Moref, Moref) = (place.get("runtime.host").unwrap(), place.get("resourcePool").unwrap());
    let hosts = inventory.find(EntityKind::Folder, "/DC0/host", None).unwrap().moref.clone();
    let shown = async |container: &Moref| {
        let request = CreateContainerView {
            this: client.content().view_manager.clone().unwrap(),
            container: container.clone(),
            kinds: vec!["VirtualMachine".to_owned()],
            recursive: true,
        };
        let view = client.call(&request).await.unwrap();
        let mut machines: Vec<Moref> = client.properties(&view, &["view"]).await.unwrap().list("view");
        machines.sort();
        machines
    };
    let mut both = vec![vm.clone(), template];
    both.sort();
    assert_eq!(shown(&client.content().root_folder).await, both, "each once");
    assert_eq!(shown(&hosts).await, both, "a template has a host");
    assert_eq!(shown(&pool).await, std::slice::from_ref(&vm), "but no pool");
    assert!(shown(&host).await.contains(&vm));
    sandbox.stop().await;
}
