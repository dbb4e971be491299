//! What is sent for disks, network adapters, drives and switches of the hardware, compared as [`crate::alike`] does.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may

use crate::alike::{fresh, id, soon, vm};
use crate::common;

use common::ear::{Asked, Ear, Fields, Otherwise, alike, all, but, only};
use common::on_both;
use common::site::Site;
use serde_json::Value;
use vmwbuild::vsphere::client::{DeviceChange, Inventory};

on_both! {
    via here:
    disks_are_changed_as_govc_does
    adapters_are_changed_as_govc_does
    an_adapter_is_removed_as_govc_does
    drives_and_switches_are_changed_as_govc_does
}

/// What each machine, and each new device, has its own of.
const OWN: [&str; 5] = ["uuid", "macAddress", "fileName", "contentId", "key"];

/// Two machines that are the same: ours, and the one that govc changes.
struct Pair<'a> {
    site: &'a Site,
    ear: Ear<'a>,
}

impl<'a> Pair<'a> {
    fn of(site: &'a Site) -> Pair<'a> {
        for vm in ["own", "peer"] {
            fresh(site, vm);
        }
        Pair { site, ear: Ear::before(site) }
    }

    /// What our client asks for, below the specification.
    fn ours(&self, change: impl AsyncFnOnce(&Inventory) -> DeviceChange) -> Fields {
        let asked = self.ear.client(async |client| {
            let inventory = client.inventory().await.unwrap();
            let (vm, change) = (inventory.vm("own", None).unwrap().moref.clone(), change(&inventory).await);
            client.change_devices(&vm, &change, None, soon()).await.unwrap();
        });
        only(&asked, "ReconfigVM_Task").fields().below("/spec").own(&OWN)
    }

    /// What govc asks for, below the specification.
    fn theirs(&self, command: &str, args: &[&str]) -> Fields {
        let asked = self.ear.govc(&[&[command, "-vm", "peer"], args].concat());
        only(&asked, "ReconfigVM_Task").fields().below("/spec").own(&OWN)
    }

    /// Their machine's first device of that kind, as govc reads it.
    fn device(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let json: Value = serde_json::from_str(&self.site.govc(&["device.info", "-json", "-vm", "peer"])).unwrap();
        json["devices"].as_array().unwrap().iter().find(|device| fits(device)).unwrap().clone()
    }
}

fn disks_are_changed_as_govc_does(site: &Site) {
    let pair = Pair::of(site);
    let disk = pair.device(|device| device["type"] == "VirtualDisk");
    let name = disk["name"].as_str().unwrap();
    let ours = pair.ours(async |_| DeviceChange { grown: vec![(1, 50 << 30)], ..DeviceChange::default() });
    let theirs = pair.theirs("vm.disk.change", &["-disk.name", name, "-size", "50G"]);
    let sizes = "both sizes are the same, and not one of them nothing";
    let limits = "limits stay as they are";
    let mut knowingly = vec![but("/deviceChange/device/capacityInKB", Some("52428800"), Some("0"), sizes)];
    // Only the simulator tells of any.
    let told = site.is_vcsim().then_some("-1");
    knowingly.extend(told.map(|n| but("/deviceChange/device/storageIOAllocation/limit", Some(n), None, limits)));
    knowingly.push(but("/deviceChange/device/storageIOAllocation", None, Some(""), limits));
    alike(&ours, &theirs, &knowingly);

    let controller = pair.device(|device| device["key"] == disk["controllerKey"]);
    for thin in [true, false] {
        let (name, thick) = (format!("peer/thin-{thin}"), format!("-thick={}", !thin));
        let ours = pair.ours(async |_| DeviceChange { disks: vec![(3 << 30, thin)], ..DeviceChange::default() });
        let place = ["-name", &name, "-ds", "LocalDS_0", "-controller", controller["name"].as_str().unwrap()];
        let theirs = pair.theirs("vm.disk.create", &[&["-size", "3G", &thick], &place[..]].concat());
        let placed = "the server puts it beside the machine's other files, by a name that it chooses";
        let store = "/deviceChange/device/backing/datastore";
        let mut knowingly = vec![
            but(store, None, theirs.get(store), placed),
            but("/deviceChange/device/backing/datastore#type", None, Some("Datastore"), placed),
            but("/deviceChange/device/capacityInBytes", Some("3221225472"), None, sizes),
        ];
        if !thin {
            let zeroed = "what a server does with a thick disk of which nothing is said";
            knowingly.push(but("/deviceChange/device/backing/eagerlyScrub", None, Some("false"), zeroed));
        }
        alike(&ours, &theirs, &knowingly);
    }
}

fn adapters_are_changed_as_govc_does(site: &Site) {
    let pair = Pair::of(site);
    let onto = |network: &'static str| {
        async move |inventory: &Inventory| DeviceChange {
            nics: vec![(1, Some(inventory.network(network, None).unwrap()))],
            ..DeviceChange::default()
        }
    };
    // There and back: the simulator's template is on the port group.
    let mut networks = ["DC0_DVPG0", "VM Network"];
    networks.rotate_left(usize::from(site.is_vcsim()));
    for network in networks {
        let ours = pair.ours(onto(network));
        let theirs = pair.theirs("vm.network.change", &["-net", network, "ethernet-0"]);
        alike(&ours, &theirs, &by_reference(&ours));
    }
    for network in ["DC0_DVPG0", "VM Network"] {
        adapter_is_added_as_govc_does(&pair, network);
    }
}

/// A network that isn't a switch's is named, and others may have its name.
fn by_reference(ours: &Fields) -> Vec<Otherwise<'_>> {
    let why = "which of the networks of that name";
    let field = "/deviceChange/device/backing/network";
    let reference = ours.get(field).map(|_| ["/deviceChange/device/backing/network#type", field]);
    reference.into_iter().flatten().map(|field| but(field, ours.get(field), None, why)).collect()
}

fn adapter_is_added_as_govc_does(pair: &Pair<'_>, network: &str) {
    let kind = pair.device(|device| device["macAddress"].is_string())["type"].clone();
    let kind = if kind == "VirtualE1000" { "e1000" } else { "vmxnet3" };
    let ours = pair.ours(async |inventory| DeviceChange {
        new_nics: vec![inventory.network(network, None).unwrap()],
        ..DeviceChange::default()
    });
    let theirs = pair.theirs("vm.network.add", &["-net", network, "-net.adapter", kind]);
    let mut knowingly = by_reference(&ours);
    let why = "as a new adapter is by itself: said, since templates and hosts have had other defaults";
    knowingly.extend([
        but("/deviceChange/device/connectable/startConnected", Some("true"), None, why),
        but("/deviceChange/device/connectable/allowGuestControl", Some("true"), None, why),
        but("/deviceChange/device/connectable/connected", Some("true"), None, why),
        but("/deviceChange/device/addressType", Some("generated"), None, why),
        but("/deviceChange/device/wakeOnLanEnabled", Some("true"), None, why),
    ]);
    alike(&ours, &theirs, &knowingly);
}

/// What NSX makes is neither a standard network nor a port group: it has an id of its own.
#[test]
fn adapters_on_networks_of_nsx_are_added_as_govc_does() {
    let Some(vcsim) = common::Vcsim::start(&["-opaque-networks", "2"]) else { return };
    let site = Site::Vcsim(vcsim);
    adapter_is_added_as_govc_does(&Pair::of(&site), "DC0_NSX0");
}

fn drives_and_switches_are_changed_as_govc_does(site: &Site) {
    let pair = Pair::of(site);
    let image = |path: &'static str| {
        async move |_: &Inventory| DeviceChange {
            cdrom: Some(Some(format!("[LocalDS_0] iso/{path}"))),
            ..DeviceChange::default()
        }
    };
    let ours = pair.ours(image("first.iso"));
    let empty = "no drive of the host's is held";
    if !site.is_vcsim() {
        // The simulator's machines have a drive already. govc adds an empty one first.
        let theirs = pair.theirs("device.cdrom.add", &[]).own(&["deviceName"]);
        let first = "the drive comes with its image";
        alike(
            &ours,
            &theirs,
            &[
                but(
                    "/deviceChange/device/backing@type",
                    Some("VirtualCdromIsoBackingInfo"),
                    Some("VirtualCdromAtapiBackingInfo"),
                    first,
                ),
                but("/deviceChange/device/backing/fileName", Some("ITS OWN"), None, first),
                but("/deviceChange/device/backing/deviceName", None, Some("ITS OWN"), first),
                but("/deviceChange/device/backing/useAutoDetect", None, Some("false"), first),
            ],
        );
    }
    let drive = pair.device(|device| device["type"] == "VirtualCdrom");
    let drive = drive["name"].as_str().unwrap();
    pair.theirs("device.cdrom.insert", &["-device", drive, "-ds", "LocalDS_0", "iso/first.iso"]);
    let ours = pair.ours(image("x.iso"));
    let theirs = pair.theirs("device.cdrom.insert", &["-device", drive, "-ds", "LocalDS_0", "iso/x.iso"]);
    let on = "/deviceChange/device/connectable/connected";
    alike(&ours, &theirs, &[but(on, Some("true"), Some("false"), "where the machine is on, it has its image at once")]);
    let ours = pair.ours(async |_| DeviceChange { cdrom: Some(None), ..DeviceChange::default() });
    let theirs = pair.theirs("device.cdrom.eject", &["-device", drive]).own(&["deviceName"]);
    alike(
        &ours,
        &theirs,
        &[
            but(
                "/deviceChange/device/backing@type",
                Some("VirtualCdromRemotePassthroughBackingInfo"),
                Some("VirtualCdromAtapiBackingInfo"),
                empty,
            ),
            but("/deviceChange/device/backing/deviceName", Some(""), Some("ITS OWN"), empty),
            but("/deviceChange/device/backing/exclusive", Some("false"), None, empty),
            but("/deviceChange/device/backing/useAutoDetect", None, Some("false"), empty),
            but(
                "/deviceChange/device/connectable/startConnected",
                Some("false"),
                Some("true"),
                "an empty drive connects to nothing",
            ),
        ],
    );

    let secure = DeviceChange { firmware: Some("efi".to_owned()), secure_boot: Some(true), ..DeviceChange::default() };
    let ours = pair.ours(async |_| secure);
    let theirs = pair.theirs("device.boot", &["-firmware", "efi", "-secure"]);
    let others = "other boot options stay as they are";
    let knowingly =
        ["/bootOptions/bootRetryEnabled", "/bootOptions/enterBIOSSetup"].map(|f| but(f, None, Some("false"), others));
    alike(&ours, &theirs, &knowingly);
    let switches = DeviceChange {
        cpu_hot_add: Some(true),
        memory_hot_add: Some(false),
        nested: Some(true),
        ..DeviceChange::default()
    };
    let ours = pair.ours(async |_| switches);
    let switched = ["-cpu-hot-add-enabled", "-memory-hot-add-enabled=false", "-nested-hv-enabled"];
    alike(&ours, &pair.theirs("vm.change", &switched), &[]);

    let newer = DeviceChange { version: Some(20), ..DeviceChange::default() };
    let ours = pair.ear.client(async |client| {
        client.change_devices(&vm(client, "own").await, &newer, None, soon()).await.unwrap();
    });
    let theirs = pair.ear.govc(&["vm.upgrade", "-vm", "peer", "-version", "20"]);
    let of = |asked: &[Asked], name: &str| only(asked, "UpgradeVM_Task").fields().with(&[(&id(site, name), "THE VM")]);
    alike(&of(&ours, "own"), &of(&theirs, "peer"), &[]);
}

fn an_adapter_is_removed_as_govc_does(site: &Site) {
    let ear = Ear::before(site);
    let ours = ear.build("FROM TEMPLATE-OF-SITE AS web\nOUTPUT VM --off web\nNIC 1 REMOVE\n");
    fresh(site, "peer");
    let theirs = ear.govc(&["device.remove", "-vm", "peer", "ethernet-0"]);
    let removed = |asked: &[Asked]| {
        let calls: Vec<Fields> =
            all(asked, "ReconfigVM_Task").iter().map(|call| call.fields().below("/spec/deviceChange")).collect();
        let fields = calls.into_iter().find(|fields| fields.get("/operation").is_some()).unwrap();
        let mac = fields.get("/device/macAddress").unwrap().to_owned();
        fields.with(&[(&mac, "MAC")])
    };
    let ours = removed(&ours);
    assert_eq!(ours.get("/operation"), Some("remove"));
    alike(&ours, &removed(&theirs), &[]);
}
