//! The vSphere client against a vCenter that others wrote.

use crate::common;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use common::Vcsim;
use vmwbuild::vsphere::client::{
    Class, Client, CloneRequest, ConnectKind, Deadline, Endpoint, EntityKind, Error, Guest, GuestAuth, GuestFault,
    HardwareChange, Inventory, PlacementRequest, ShutDown, Source, Thumbprint, TlsKind,
};
use vmwbuild::vsphere::wire::{
    GuestFileAttributes, GuestPosixFileAttributes, GuestProgramSpec, Moref, NicBacking, PowerState,
};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn endpoint(vcsim: &Vcsim) -> Endpoint {
    let mut endpoint = Endpoint::parse(&vcsim.ready.url).expect("a URL");
    endpoint.username = vcsim.ready.username.clone();
    endpoint.password = vcsim.ready.password.clone();
    endpoint.trust.thumbprints = vec![Thumbprint::parse(&vcsim.ready.thumbprint_sha256).expect("a thumbprint")];
    endpoint
}

async fn connect(vcsim: &Vcsim) -> Client {
    Client::connect(endpoint(vcsim), soon()).await.expect("a session")
}

/// Runs a test against a simulator with these flags.
fn against<F: Future<Output = ()>>(flags: &[&str], test: impl FnOnce(std::rc::Rc<Vcsim>) -> F) {
    let Some(vcsim) = Vcsim::start(flags) else { return };
    let vcsim = std::rc::Rc::new(vcsim);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(test(vcsim));
}

fn clone_of(name: &str, inventory: &Inventory, source: &str) -> CloneRequest {
    let source = inventory.vm(source, None).expect("the source");
    let placement = inventory.place(&PlacementRequest::default(), source).expect("a place");
    CloneRequest {
        name: name.to_owned(),
        placement,
        template: false,
        linked: None,
        snapshot: None,
        hardware: HardwareChange::default(),
    }
}

async fn cloned(client: &Client, inventory: &Inventory, source: &str, request: &CloneRequest) -> Moref {
    let source = inventory.vm(source, None).expect("the source");
    let task = client.start_clone(&source.moref, request).await.expect("a task");
    client.wait_clone(&task, &request.name, soon(), |_| ()).await.expect("a clone")
}

#[test]
fn a_session_from_login_to_logout() {
    against(&[], |vcsim| async move {
        let client = connect(&vcsim).await;
        assert!(client.is_vcenter());
        assert_eq!(vcsim.sessions(), 1);
        let sent = client.requests();
        assert_eq!(sent.total, 3, "versions, content, login: {sent:?}");
        client.logout().await.expect("an orderly end");
        assert_eq!(vcsim.sessions(), 0);
        assert!(client.inventory().await.is_err(), "the session is over");
        client.logout().await.expect("once more does no harm");
    });
}

#[test]
fn what_is_wrong_with_a_connection_is_told_apart() {
    against(&[], |vcsim| async move {
        let failure = async |change: &dyn Fn(&mut Endpoint)| {
            let mut endpoint = endpoint(&vcsim);
            change(&mut endpoint);
            Client::connect(endpoint, soon()).await.map(|_| ()).expect_err("a failure")
        };
        let wrong = failure(&|e| e.password = "wrong".to_owned()).await;
        assert!(matches!(wrong, Error::Login { .. }) && wrong.is_fault("InvalidLogin"), "{wrong:?}");
        assert_eq!(wrong.class(), Class::Connection);
        assert!(!format!("{wrong:?} {:?}", wrong.diagnostic()).contains("wrong\""), "a password is never shown");
        assert_eq!(vcsim.requests(true).get("Login"), Some(&1), "a refused login is never tried again");

        let unknown = failure(&|e| e.trust.thumbprints.clear()).await;
        match &unknown {
            Error::Tls { kind: TlsKind::UnknownAuthority, presented: Some(thumbprint), .. } => {
                assert_eq!(*thumbprint, vcsim.ready.thumbprint_sha256.to_uppercase());
            }
            other => panic!("{other:?}"),
        }
        let other = Thumbprint::sha256_of(b"another");
        let mismatch = failure(&|e| e.trust.thumbprints = vec![other.clone()]).await;
        assert!(matches!(mismatch, Error::Tls { kind: TlsKind::ThumbprintMismatch, .. }), "{mismatch:?}");

        for good in [
            &(|e: &mut Endpoint| {
                e.trust.thumbprints = vec![Thumbprint::parse(&vcsim.ready.thumbprint_sha1).expect("it")]
            }) as &dyn Fn(&mut Endpoint),
            &|e| {
                e.trust.thumbprints.clear();
                e.trust.ca_pem = vcsim.ready.ca_pem.clone().into_bytes();
            },
            &|e| {
                e.trust.thumbprints.clear();
                e.trust.insecure = true;
            },
        ] {
            let mut endpoint = endpoint(&vcsim);
            good(&mut endpoint);
            Client::connect(endpoint, soon()).await.expect("a session").logout().await.expect("its end");
        }

        vcsim.control("POST", "/gone");
        let refused = failure(&|_| ()).await;
        assert!(matches!(refused, Error::Connect { kind: ConnectKind::Refused, lost_reply: false, .. }), "{refused:?}");
    });
}

#[test]
fn the_inventory_is_read_in_three_requests_and_looked_up_by_name_and_path() {
    let flags =
        ["-datacenters", "2", "-pools", "1", "-template", "debian-template", "-template", "/DC1/vm/golden/base"];
    against(&flags, |vcsim| async move {
        let client = connect(&vcsim).await;
        let before = client.requests().total;
        let inventory = client.inventory().await.expect("an inventory");
        assert_eq!(client.requests().total - before, 3, "{:?}", client.requests());

        let dc0 = inventory.find(EntityKind::Datacenter, "DC0", None).expect("a datacenter");
        let template = inventory.vm("debian-template", None).expect("a template");
        assert!(template.template);
        assert_eq!(template.path, "/DC0/vm/debian-template");
        assert_eq!(inventory.vm("/DC0/vm/debian-template", None).expect("by path").moref, template.moref);
        assert_eq!(inventory.datacenter_of(&template.moref).map(|d| &d.moref), Some(&dc0.moref));

        let missing = inventory.vm("debian-tmplate", None).expect_err("no such template");
        match &missing {
            Error::NotFound { near, .. } => assert_eq!(near, &["/DC0/vm/debian-template"]),
            other => panic!("{other:?}"),
        }
        let ambiguous = inventory.find(EntityKind::Network, "VM Network", None).expect_err("one in each datacenter");
        match &ambiguous {
            Error::Ambiguous { candidates, .. } => {
                assert_eq!(candidates, &["/DC0/network/VM Network", "/DC1/network/VM Network"]);
            }
            other => panic!("{other:?}"),
        }
        let network = inventory.network("VM Network", Some(&dc0.moref)).expect("within one datacenter");
        assert!(matches!(network, NicBacking::Network(n) if n.device_name == "VM Network"));
        match inventory.network("DC0_DVPG0", None).expect("a port group") {
            NicBacking::Port(p) => assert!(!p.port.switch_uuid.is_empty() && p.port.portgroup_key.is_some()),
            other => panic!("{other:?}"),
        }

        let place = inventory.place(&PlacementRequest::default(), template).expect("derived");
        let named = PlacementRequest {
            datacenter: Some("DC0".into()),
            cluster: Some("DC0_C0".into()),
            pool: Some("DC0_C0/Resources".into()),
            datastore: Some("LocalDS_0".into()),
            folder: Some("/DC0/vm".into()),
            ..PlacementRequest::default()
        };
        assert_eq!(inventory.place(&named, template).expect("named"), place);
        assert_eq!(place.folder_path, "/DC0/vm");
        let own_pool = PlacementRequest { pool: Some("DC0_C0_RP1".into()), ..PlacementRequest::default() };
        assert_ne!(inventory.place(&own_pool, template).expect("another pool").pool, place.pool);
        let wrong = PlacementRequest { cluster: Some("DC0_C9".into()), ..PlacementRequest::default() };
        assert!(matches!(inventory.place(&wrong, template), Err(Error::NotFound { kind: "cluster", .. })));
        client.logout().await.expect("an orderly end");
    });
}

#[test]
fn a_machine_from_clone_to_deletion() {
    against(&[], |vcsim| async move {
        let client = connect(&vcsim).await;
        let inventory = client.inventory().await.expect("an inventory");
        let mut request = clone_of("odd name", &inventory, "debian-template");
        request.hardware.cpus = Some(2);
        request.hardware.networks = vec![Some(inventory.network("DC0_DVPG0", None).expect("a network"))];
        let folder = request.placement.folder.clone();
        let vm = cloned(&client, &inventory, "debian-template", &request).await;
        assert_eq!(client.vm_in_folder(&folder, "odd name").await.expect("an answer"), Some(vm.clone()));
        assert_eq!(client.vm_state(&vm).await.expect("a state").name, "odd name");
        let now = client.inventory().await.expect("an inventory");
        assert_eq!(now.vm("/DC0/vm/odd name", None).expect("by path").moref, vm);
        assert_eq!(now.vm("odd name", None).expect("by name").moref, vm);

        let taken = client.start_clone(&inventory.vm("debian-template", None).expect("it").moref, &request).await;
        let taken = match taken {
            Ok(task) => client.wait_clone(&task, "it", soon(), |_| ()).await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert!(taken.expect_err("the name is taken").is_fault("DuplicateName"));

        let change = HardwareChange {
            memory_mib: Some(256),
            annotation: Some("made by a test <&>\r\n".into()),
            extra: vec![("guestinfo.x".into(), "y".into())],
            networks: request.hardware.networks.clone(),
            ..HardwareChange::default()
        };
        client.reconfigure(&vm, &change, soon()).await.expect("a change");
        let nics = client.nics(&vm).await.expect("adapters");
        assert!(matches!(nics.first().and_then(|n| n.backing()), Some(NicBacking::Port(_))), "{nics:?}");
        let config = ["config.hardware.numCPU", "config.hardware.memoryMB", "config.annotation"];
        let p = client.properties(&vm, &config).await.expect("properties");
        assert_eq!(p.get::<i32>("config.hardware.numCPU"), Some(2));
        assert_eq!(p.get::<i32>("config.hardware.memoryMB"), Some(256));
        assert_eq!(p.text("config.annotation"), Some("made by a test <&>\r\n"));
        let before = client.requests().total;
        let same = HardwareChange { networks: change.networks.clone(), ..HardwareChange::default() };
        client.reconfigure(&vm, &same, soon()).await.expect("nothing to do");
        assert_eq!(client.requests().total - before, 1, "looked, and sent nothing");

        client.power_on(&vm, soon()).await.expect("on");
        client.power_on(&vm, soon()).await.expect("on already");
        assert!(client.mark_as_template(&vm).await.is_err(), "not while it is on");
        let state =
            client.wait_guest_state(&vm, soon(), "Tools", |s| s.tools_run().then(|| s.clone())).await.expect("Tools");
        assert_eq!(state.power, PowerState::On);
        for when in ["off", "off already"] {
            assert_eq!(client.shut_down(&vm, soon(), soon()).await.expect(when), ShutDown::ByItself, "{when}");
        }
        client.power_off(&vm, soon()).await.expect("off already");

        let snapshot = client.create_snapshot(&vm, "one", "about it", soon()).await.expect("a snapshot");
        let tree = client.snapshots(&vm).await.expect("snapshots");
        assert_eq!(tree.first().map(|s| (&s.snapshot, s.name.as_str())), Some((&snapshot, "one")));
        client.revert_to_snapshot(&snapshot, soon()).await.expect("back");
        client.remove_snapshot(&snapshot, soon()).await.expect("deleted");
        assert!(client.snapshots(&vm).await.expect("none").is_empty());

        client.rename(&vm, "plain", soon()).await.expect("renamed");
        client.mark_as_template(&vm).await.expect("a template");
        assert!(client.vm_state(&vm).await.expect("a state").template);
        client.mark_as_vm(&vm, &request.placement.pool, None).await.expect("a machine again");
        client.power_on(&vm, soon()).await.expect("on");
        client.destroy_vm(&vm, soon()).await.expect("deleted");
        client.destroy_vm(&vm, soon()).await.expect("gone already");
        let gone = client.vm_state(&vm).await.expect_err("gone");
        assert!(gone.is_fault("ManagedObjectNotFound"), "{gone:?}");
        client.logout().await.expect("an orderly end");
        assert_eq!(vcsim.sessions(), 0);
    });
}

#[test]
fn tasks_are_followed_cancelled_and_given_up() {
    against(&[], |vcsim| async move {
        let client = connect(&vcsim).await;
        let inventory = client.inventory().await.expect("an inventory");
        let vm = cloned(&client, &inventory, "debian-template", &clone_of("slow", &inventory, "debian-template")).await;
        vcsim.control("POST", "/task-delay?task=PowerOnVM_Task&ms=1500");
        let short = Deadline::after(Duration::from_millis(200));
        let late = client.power_on(&vm, short).await.expect_err("too slow");
        assert!(matches!(late, Error::Timeout { .. }), "{late:?}");
        assert_eq!(late.class(), Class::Deadline);
        // The simulator doesn't cancel: it goes on and succeeds.
        let mut watcher = client.watch(&vm, &["runtime.powerState"]);
        let on = |p: &vmwbuild::vsphere::client::Properties| {
            Ok(p.text("runtime.powerState").filter(|s| *s == "poweredOn").map(drop))
        };
        watcher.until(soon(), "it to be on", on).await.expect("on at last");
        drop(watcher);
        client.logout().await.expect("an orderly end");
        let left = vcsim.requests(false);
        // One that is idle ends with the session.
        assert!(left.get("DestroyPropertyCollector") <= left.get("CreatePropertyCollector"), "{left:?}");
        assert_eq!(left.get("CancelTask"), Some(&1), "{left:?}");
        assert_eq!(vcsim.sessions(), 0);
    });
}

#[test]
fn an_expired_session_is_renewed_once_even_while_waiting() {
    against(&[], |vcsim| async move {
        let client = connect(&vcsim).await;
        let inventory = client.inventory().await.expect("an inventory");
        let vm = cloned(&client, &inventory, "debian-template", &clone_of("vm", &inventory, "debian-template")).await;
        let mut watcher = client.watch(&vm, &["runtime.powerState"]);
        watcher.next(soon(), "the present state").await.expect("off");
        vcsim.requests(true);
        vcsim.control("POST", "/expire");
        let (a, b, c) = tokio::join!(client.vm_state(&vm), client.nics(&vm), client.guest_state(&vm));
        a.expect("a state");
        b.expect("adapters");
        c.expect("a guest's state");
        client.power_on(&vm, soon()).await.expect("on");
        let on = |p: &vmwbuild::vsphere::client::Properties| {
            Ok(p.text("runtime.powerState").filter(|s| *s == "poweredOn").map(drop))
        };
        watcher.until(soon(), "it to be on", on).await.expect("noticed by a new collector");
        let logins = vcsim.requests(false).get("Login").copied();
        assert!(logins.is_some_and(|n| n <= 2), "a login for an expired session, not for each call: {logins:?}");
        client.logout().await.expect("an orderly end");
        assert_eq!(vcsim.sessions(), 0);
    });
}

#[test]
fn trouble_on_the_way_is_overcome_or_told() {
    against(&[], |vcsim| async move {
        let client = connect(&vcsim).await;
        let inventory = client.inventory().await.expect("an inventory");
        let source = inventory.vm("debian-template", None).expect("it");
        for trouble in ["/status?method=RetrievePropertiesEx&code=503", "/drop?method=RetrievePropertiesEx&count=2"] {
            vcsim.control("POST", trouble);
            client.vm_state(&source.moref).await.unwrap_or_else(|e| panic!("{trouble}: {e}"));
        }
        vcsim.control("POST", "/status?method=RetrievePropertiesEx&code=503&count=0");
        let error = client.vm_state(&source.moref).await.expect_err("no end of it");
        assert!(matches!(error, Error::Unavailable { status: 503, .. }), "{error:?}");
        vcsim.control("POST", "/clear");
        // Reading does no harm when it is done again; a server that goes on so is none.
        vcsim.control("POST", "/status?method=RetrievePropertiesEx&code=200");
        client.vm_state(&source.moref).await.expect("one page that isn't SOAP");
        vcsim.control("POST", "/status?method=RetrievePropertiesEx&code=200&count=0");
        let error = client.vm_state(&source.moref).await.expect_err("a page that isn't SOAP");
        assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
        vcsim.control("POST", "/clear");

        // A clone whose reply was lost is found, and made only once.
        vcsim.requests(true);
        vcsim.control("POST", "/drop?method=CloneVM_Task&after=1");
        let mut request = clone_of("lost", &inventory, "debian-template");
        request.hardware.extra.push(("vmwbuild.build".to_owned(), "b-1".to_owned()));
        let lost = client.start_clone(&source.moref, &request).await.expect_err("lost");
        assert!(lost.lost_reply(), "{lost:?}");
        let vm = client.lost_clone(&source.moref, &request, soon()).await.expect("an answer").expect("it is there");
        // One of that name that doesn't bear what was asked for is another's.
        request.hardware.extra[0].1 = "b-2".to_owned();
        assert_eq!(client.lost_clone(&source.moref, &request, soon()).await.expect("an answer"), None);
        assert_eq!(client.vm_state(&vm).await.expect("a state").name, "lost");
        assert_eq!(vcsim.requests(false).get("CloneVM_Task"), Some(&1));
        // One that never arrived has made nothing.
        vcsim.control("POST", "/drop?method=CloneVM_Task");
        let request = clone_of("late", &inventory, "debian-template");
        let lost = client.start_clone(&source.moref, &request).await.expect_err("lost");
        assert!(lost.lost_reply(), "{lost:?}");
        assert_eq!(client.lost_clone(&source.moref, &request, soon()).await.expect("an answer"), None);
        cloned(&client, &inventory, "debian-template", &request).await;
        vcsim.control("POST", "/drop?method=CloneVM_Task&count=0");
        let request = clone_of("never", &inventory, "debian-template");
        let error = client.start_clone(&source.moref, &request).await.expect_err("lost");
        assert!(error.lost_reply(), "{error:?}");
        assert_eq!(client.vm_in_folder(&request.placement.folder, "never").await.expect("an answer"), None);
        vcsim.control("POST", "/clear");

        vcsim.control("POST", "/drop?method=PowerOnVM_Task&after=1");
        client.power_on(&vm, soon()).await.expect("on, though the reply was lost");

        vcsim.control("POST", "/fault?method=PowerOffVM_Task&type=NoPermission");
        let denied = client.power_off(&vm, soon()).await.expect_err("no permission");
        assert_eq!((denied.class(), denied.diagnostic().code.number), (Class::Operation, 900), "{denied:?}");
        client.logout().await.expect("an orderly end");
    });
}

async fn powered_guest(client: &Client, name: &str) -> Guest {
    let inventory = client.inventory().await.expect("an inventory");
    let vm = cloned(client, &inventory, "debian-template", &clone_of(name, &inventory, "debian-template")).await;
    client.power_on(&vm, soon()).await.expect("on");
    client.wait_guest_state(&vm, soon(), "Tools", |s| s.tools_run().then_some(())).await.expect("Tools");
    client.guest(&vm, GuestAuth { username: "root".into(), password: "guest-password".into() })
}

fn mode(permissions: i64) -> GuestFileAttributes {
    let attributes = GuestPosixFileAttributes { permissions: Some(permissions), ..GuestPosixFileAttributes::default() };
    GuestFileAttributes::Posix(attributes)
}

#[test]
fn programs_and_files_of_a_guest() {
    against(&["-guest-password", "guest-password"], |vcsim| async move {
        let client = connect(&vcsim).await;
        let guest = powered_guest(&client, "guest").await;
        assert!(!guest.validate(soon()).await.expect("an answer"), "the simulator has no such manager");

        let dir = guest.make_temporary_directory("vmw-", "", None, soon()).await.expect("a directory");
        let script = Bytes::from_static(b"echo \"$1\" >\"$(dirname \"$0\")/out\"\nexit 7\n");
        let run = format!("{dir}/run.sh");
        guest.upload(&run, &Source::Bytes(script.clone()), mode(0o700), true, soon()).await.expect("sent");
        let program = GuestProgramSpec {
            program_path: "/bin/sh".into(),
            arguments: format!("{run} hello"),
            ..GuestProgramSpec::default()
        };
        let pid = guest.start(&program, soon()).await.expect("a pid");
        let ended = loop {
            let found = guest.processes(&[pid], soon()).await.expect("a list");
            match found.first() {
                Some(process) if process.end_time.is_some() => break process.exit_code,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        assert_eq!(ended, Some(7));
        let download = guest.download(&format!("{dir}/out"), soon()).await.expect("a download");
        assert_eq!(download.bytes(100).await.expect("bytes"), "hello\n");
        let large = guest.download(&run, soon()).await.expect("a download").bytes(10).await;
        assert!(matches!(large, Err(Error::Transfer { .. })), "{large:?}");

        let mut names: Vec<String> =
            guest.list_all(&dir, None, soon()).await.expect("files").into_iter().map(|f| f.path).collect();
        names.sort();
        assert!(names.iter().any(|n| n.ends_with("run.sh")) && names.iter().any(|n| n.ends_with("out")), "{names:?}");
        guest.move_file(&run, &format!("{dir}/moved"), true, soon()).await.expect("moved");
        guest.make_directory(&format!("{dir}/a/b"), true, soon()).await.expect("directories");
        guest.delete_file(&format!("{dir}/moved"), soon()).await.expect("deleted");
        guest.delete_directory(&dir, true, soon()).await.expect("deleted");

        let big = Bytes::from((0..5_000_000u32).flat_map(|i| i.to_le_bytes()).collect::<Vec<u8>>());
        guest.upload("/root/big", &Source::Bytes(big.clone()), mode(0o600), true, soon()).await.expect("20 MB");
        let back = guest.download("/root/big", soon()).await.expect("it").bytes(30_000_000).await.expect("20 MB back");
        assert!(back == big, "the same bytes");

        let empty = guest.upload("/root/empty", &Source::Bytes(Bytes::new()), mode(0o600), true, soon()).await;
        assert!(matches!(empty, Err(Error::Usage(_))), "{empty:?}");
        let missing = guest.download("/root/none", soon()).await.map(|_| ()).expect_err("no such file");
        assert_eq!(missing.class(), Class::Guest, "{missing:?}");

        let stranger = GuestAuth { username: "root".into(), password: "wrong".into() };
        let refused = client.guest(guest.vm(), stranger).processes(&[], soon()).await.expect_err("wrong password");
        assert_eq!(refused.guest_fault(), Some(GuestFault::Login), "{refused:?}");
        assert_eq!(refused.diagnostic().code.number, 851);
        client.logout().await.expect("an orderly end");
        assert_eq!(vcsim.sessions(), 0);
    });
}

#[test]
fn guest_operations_bear_with_a_busy_machine_and_broken_transfers() {
    against(&[], |vcsim| async move {
        let client = connect(&vcsim).await;
        let guest = powered_guest(&client, "busy").await;
        vcsim.control("POST", "/fault?method=ListProcessesInGuest&type=TaskInProgress&count=2");
        guest.processes(&[], soon()).await.expect("after a while");
        vcsim.control("POST", "/fault?method=ListProcessesInGuest&type=GuestOperationsUnavailable");
        let error = guest.processes(&[], soon()).await.expect_err("at once");
        assert_eq!(error.guest_fault(), Some(GuestFault::Unavailable));
        vcsim.control("POST", "/fault?method=ListProcessesInGuest&type=TaskInProgress&count=0");
        let short = Deadline::after(Duration::from_millis(500));
        let error = guest.processes(&[], short).await.expect_err("busy for ever");
        assert_eq!(error.guest_fault(), Some(GuestFault::Busy), "{error:?}");
        vcsim.control("POST", "/clear");

        vcsim.control("POST", "/drop?method=PUT%20guestFile");
        vcsim.control("POST", "/status?method=GET%20guestFile&code=404");
        let source = Source::Bytes(Bytes::from_static(b"content"));
        guest.upload("/root/f", &source, mode(0o600), false, soon()).await.expect("at the second try");
        let back = guest.download("/root/f", soon()).await.expect("at the second try").bytes(100).await.expect("it");
        assert_eq!(back, "content");

        vcsim.control("POST", "/drop?method=MakeDirectoryInGuest");
        guest.make_directory("/root/a/b", true, soon()).await.expect("at the second try");

        vcsim.control("POST", "/drop?method=StartProgramInGuest&after=1");
        vcsim.requests(true);
        let program = GuestProgramSpec { program_path: "/bin/true".into(), ..GuestProgramSpec::default() };
        let lost = guest.start(&program, soon()).await.expect_err("a lost reply");
        assert!(lost.lost_reply(), "{lost:?}");
        assert_eq!(vcsim.requests(false).get("StartProgramInGuest"), Some(&1), "never sent twice");
        client.logout().await.expect("an orderly end");
    });
}
