//! Looking things up in an inventory with all that vSphere allows.

use crate::vsphere::client::{EntityKind, Error, Inventory, PlacementRequest, Properties};
use crate::vsphere::wire::{Any, Element, Moref, NicBacking};

fn moref(kind: &str, id: &str) -> Moref {
    Moref::new(kind, id)
}

fn object(kind: &str, id: &str, name: &str, parent: &Moref, more: Vec<(&str, Any)>) -> (Moref, Properties) {
    let mut properties = Properties::default();
    let basic = [("name", Any::of(&name.to_owned())), ("parent", Any::of(parent))];
    properties.values = basic.into_iter().chain(more).map(|(n, v)| (n.to_owned(), v)).collect();
    (moref(kind, id), properties)
}

fn refs(list: &[Moref]) -> Any {
    Any::array("ManagedObjectReference", list)
}

/// Two datacenters; the first with a cluster, a lone host, a datastore cluster, and every kind of network.
fn inventory() -> Inventory {
    let root = moref("Folder", "root");
    let dc = moref("Datacenter", "dc");
    let (vms, hosts) = (moref("Folder", "vms"), moref("Folder", "hosts"));
    let (stores, nets) = (moref("Folder", "stores"), moref("Folder", "nets"));
    let cluster = moref("ClusterComputeResource", "c");
    let lone = moref("ComputeResource", "l");
    let pod = moref("StoragePod", "pod");
    let ds = |n: &str| moref("Datastore", n);
    let text = |t: &str| Any::of(&t.to_owned());
    let resources = |owner: &Moref| vec![("owner", Any::of(owner))];
    let app = moref("VirtualApp", "app");
    let switch = moref("VmwareDistributedVirtualSwitch", "sw");
    let opaque = Any(Element::new("val")
        .typed("OpaqueNetworkSummary")
        .with(Element::text("opaqueNetworkId", "id-1"))
        .with(Element::text("opaqueNetworkType", "nsx.LogicalSwitch")));
    let store = |id: &str, parent: &Moref, free: i64, ok: bool| {
        let more = vec![("summary.freeSpace", Any::of(&free)), ("summary.accessible", Any::of(&ok))];
        object("Datastore", id, id, parent, more)
    };
    let vm = |id: &str, name: &str, parent: &Moref, host: &str, store: &str| {
        let more = vec![
            ("runtime.host", Any::of(&moref("HostSystem", host))),
            ("datastore", refs(&[ds(store)])),
            ("config.template", Any::of(&true)),
        ];
        object("VirtualMachine", id, name, parent, more)
    };
    let mut in_app = vm("in-app", "inside", &app, "h1", "a");
    let parent = in_app.1.values.remove("parent").expect("a parent");
    in_app.1.values.insert("parentVApp".to_owned(), parent);
    Inventory::of(
        &root,
        vec![
            object("Datacenter", "dc", "DC", &root, vec![("vmFolder", Any::of(&vms))]),
            object("Datacenter", "dc2", "DC2", &root, vec![]),
            object("Folder", "vms", "vm", &dc, vec![]),
            object("Folder", "hosts", "host", &dc, vec![]),
            object("Folder", "stores", "datastore", &dc, vec![]),
            object("Folder", "nets", "network", &dc, vec![]),
            object("Folder", "f1", "a%2fb", &vms, vec![]),
            object("Folder", "f2", "build", &vms, vec![]),
            object("Folder", "f3", "build", &moref("Folder", "f1"), vec![]),
            object(
                "ClusterComputeResource",
                "c",
                "C",
                &hosts,
                vec![
                    ("resourcePool", Any::of(&moref("ResourcePool", "rc"))),
                    ("datastore", refs(&[ds("a"), ds("b"), ds("p1"), ds("p2"), ds("p3")])),
                ],
            ),
            object(
                "ComputeResource",
                "l",
                "lone",
                &hosts,
                vec![
                    ("resourcePool", Any::of(&moref("ResourcePool", "rl"))),
                    ("datastore", refs(&[ds("b"), ds("down")])),
                ],
            ),
            object("HostSystem", "h1", "h1", &cluster, vec![]),
            object("HostSystem", "h2", "lone", &lone, vec![]),
            object("ResourcePool", "rc", "Resources", &cluster, resources(&cluster)),
            object("ResourcePool", "rl", "Resources", &lone, resources(&lone)),
            object("ResourcePool", "own", "own", &moref("ResourcePool", "rc"), resources(&cluster)),
            object("VirtualApp", "app", "app", &moref("ResourcePool", "rc"), resources(&cluster)),
            store("a", &stores, 10, true),
            store("b", &stores, 10, true),
            store("down", &stores, 10, false),
            object("StoragePod", "pod", "pod", &stores, vec![]),
            store("p1", &pod, 10, true),
            store("p2", &pod, 30, true),
            store("p3", &pod, 90, false),
            object("Network", "n1", "VM Network", &nets, vec![]),
            object("OpaqueNetwork", "n2", "nsx", &nets, vec![("summary", opaque)]),
            object(
                "DistributedVirtualPortgroup",
                "n3",
                "pg",
                &nets,
                vec![("key", text("key-1")), ("config.distributedVirtualSwitch", Any::of(&switch))],
            ),
            object(
                "DistributedVirtualPortgroup",
                "n4",
                "unseen",
                &nets,
                vec![("config.distributedVirtualSwitch", Any::of(&moref("DistributedVirtualSwitch", "hidden")))],
            ),
            object("VmwareDistributedVirtualSwitch", "sw", "switch", &nets, vec![("uuid", text("50 2b"))]),
            vm("t1", "100%25 a%2fb", &vms, "h1", "a"),
            vm("t2", "web", &moref("Folder", "f2"), "h1", "a"),
            vm("t3", "web", &moref("Folder", "f3"), "h2", "a"),
            in_app,
            // A parent that isn't seen, and one that is its own parent.
            vm("t4", "orphan", &moref("Folder", "unseen"), "h9", "z"),
            object("Folder", "circle", "circle", &moref("Folder", "circle"), vec![]),
        ],
    )
}

#[test]
fn names_and_paths_lead_to_one_object_or_tell_which_there_are() {
    let inventory = inventory();
    let dc = moref("Datacenter", "dc");
    let id = |name: &str| inventory.vm(name, Some(&dc)).map(|e| e.moref.value.clone());
    for (name, wanted) in [
        ("100% a/b", "t1"),
        ("100% a%2fb", "t1"),
        ("100%25 a%2Fb", "t1"),
        ("/DC/vm/100% a%2fb", "t1"),
        ("/DC/vm/build/web", "t2"),
        ("vm/build/web", "t2"),
        ("a%2fb/build/web", "t3"),
        ("inside", "in-app"),
        ("app/inside", "in-app"),
    ] {
        assert_eq!(id(name).ok().as_deref(), Some(wanted), "{name}");
    }
    let e = inventory.vm("100% a/b", None).expect("it");
    assert_eq!((e.name.as_str(), e.path.as_str()), ("100% a/b", "/DC/vm/100% a%2fb"));
    match id("build/web") {
        Err(Error::Ambiguous { candidates, .. }) => {
            assert_eq!(candidates, ["/DC/vm/a%2fb/build/web", "/DC/vm/build/web"]);
        }
        other => panic!("{other:?}"),
    }
    for missing in ["wbe", "WEB", "/web", "", "/", "build/", "vm/web"] {
        assert!(matches!(id(missing), Err(Error::NotFound { .. })), "{missing}: {:?}", id(missing));
    }
    match inventory.vm("WBE", None) {
        Err(Error::NotFound { near, .. }) => assert_eq!(near, ["/DC/vm/a%2fb/build/web", "/DC/vm/build/web"]),
        other => panic!("{other:?}"),
    }
    match inventory.find(EntityKind::Datacenter, "nowhere", None) {
        Err(Error::NotFound { near, .. }) => assert_eq!(near, ["/DC", "/DC2"], "all, as there are few"),
        other => panic!("{other:?}"),
    }
    assert!(inventory.vm("web", Some(&moref("Datacenter", "dc2"))).is_err(), "not in that datacenter");
    assert!(inventory.vm("orphan", None).is_ok() && inventory.datacenter_of(&moref("VirtualMachine", "t4")).is_none());
    assert!(inventory.datacenter_of(&moref("Folder", "circle")).is_none(), "and it ends");
    assert_eq!(inventory.vm_in(&moref("Folder", "f2"), "web").map(|e| e.moref.value.as_str()), Some("t2"));
}

#[test]
fn networks_of_every_kind() {
    let inventory = inventory();
    match inventory.network("VM Network", None).expect("a network") {
        NicBacking::Network(n) => {
            assert_eq!((n.device_name.as_str(), n.network), ("VM Network", Some(moref("Network", "n1"))))
        }
        other => panic!("{other:?}"),
    }
    match inventory.network("nsx", None).expect("a network") {
        NicBacking::Opaque(o) => {
            assert_eq!((o.opaque_network_id.as_str(), o.opaque_network_type.as_str()), ("id-1", "nsx.LogicalSwitch"))
        }
        other => panic!("{other:?}"),
    }
    match inventory.network("pg", None).expect("a network") {
        NicBacking::Port(p) => {
            assert_eq!((p.port.switch_uuid.as_str(), p.port.portgroup_key.as_deref()), ("50 2b", Some("key-1")))
        }
        other => panic!("{other:?}"),
    }
    assert!(inventory.network("unseen", None).is_err(), "its switch can't be seen");
}

#[test]
fn places_are_derived_or_asked_for() {
    let inventory = inventory();
    let place = |source: &str, change: &dyn Fn(&mut PlacementRequest)| {
        let mut request = PlacementRequest::default();
        change(&mut request);
        let source = inventory.get(&moref("VirtualMachine", source)).expect("a source");
        let p = inventory.place(&request, source)?;
        let host = p.host.map(|h| h.value).unwrap_or_default();
        Ok::<_, Error>([p.pool.value, host, p.datastore.value, p.folder_path].join(" "))
    };
    let some = |name: &str| Some(name.to_owned());
    let t2 = |change: &dyn Fn(&mut PlacementRequest)| place("t2", change).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(t2(&|_| ()), "rc  a /DC/vm");
    assert_eq!(t2(&|r| r.pool = some("own")), "own  a /DC/vm");
    assert_eq!(t2(&|r| r.pool = some("C/Resources")), "rc  a /DC/vm");
    assert_eq!(t2(&|r| r.cluster = some("lone")), "rl  b /DC/vm", "the only one that can be reached there");
    assert_eq!(t2(&|r| r.host = some("h1")), "rc h1 a /DC/vm");
    assert_eq!(t2(&|r| r.host = some("/DC/host/lone/lone")), "rl h2 b /DC/vm");
    assert_eq!(t2(&|r| r.datastore = some("b")), "rc  b /DC/vm");
    assert_eq!(t2(&|r| r.datastore = some("pod")), "rc  p2 /DC/vm", "the roomiest that can be reached");
    assert_eq!(t2(&|r| r.folder = some("a%2fb/build")), "rc  a /DC/vm/a%2fb/build");
    assert_eq!(t2(&|r| r.folder = some("vm")), "rc  a /DC/vm");
    assert_eq!(
        place("t3", &|_| ()).expect("a place"),
        "rl  b /DC/vm",
        "its own datastore can't be reached from its host"
    );

    let fails = |change: &dyn Fn(&mut PlacementRequest)| place("t2", change).expect_err("no place");
    assert!(matches!(fails(&|r| r.folder = some("build")), Error::Ambiguous { kind: "folder", .. }));
    assert!(matches!(fails(&|r| r.folder = some("datastore")), Error::NotFound { kind: "folder", .. }));
    assert!(matches!(fails(&|r| r.pool = some("Resources")), Error::Ambiguous { kind: "resource pool", .. }));
    assert!(matches!(fails(&|r| r.host = some("h3")), Error::NotFound { kind: "host", .. }));
    assert!(matches!(fails(&|r| r.datastore = some("c")), Error::NotFound { kind: "datastore", .. }));
    assert!(matches!(fails(&|r| r.datacenter = some("DC2")), Error::NotFound { .. }), "nothing is there");
    match place("t4", &|r| r.datacenter = some("DC")) {
        Err(Error::Ambiguous { kind: "cluster", name, candidates }) => {
            assert_eq!((name.as_str(), candidates), ("", vec!["/DC/host/C".to_owned(), "/DC/host/lone".to_owned()]));
        }
        other => panic!("{other:?}"),
    }
    match place("t4", &|r| (r.datacenter, r.cluster) = (some("DC"), some("C"))) {
        Err(Error::Ambiguous { kind: "datastore", candidates, .. }) => {
            assert_eq!(candidates.len(), 4, "{candidates:?}")
        }
        other => panic!("{other:?}"),
    }
}
