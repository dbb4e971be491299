//! Disks, network adapters, drives, firmware, custom attributes, snapshots and SEAL: built by the real binary on the
//! simulator that others wrote and on our sandbox, and read back by govc. What is sent for one change is compared with
//! what govc sends for the same in `alike`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may

use crate::common;

use common::site::Site;
use common::{context, on_both};
use serde_json::Value;
use vmwbuild::vsphere::client::{Deadline, DeviceChange};
use vmwbuild::vsphere::wire::Element;

on_both! {
    devices_are_changed_before_the_first_power_on
    what_the_devices_do_not_allow_is_told_before_anything_is_cloned
    custom_attributes_are_set
    a_snapshot_is_left_and_cloned_from
}

/// The devices of a machine as govc reads them.
fn devices(site: &Site, vm: &str) -> Vec<Value> {
    let text = site.govc(&["device.info", "-json", "-vm", vm]);
    let json: Value = serde_json::from_str(&text).unwrap();
    json["devices"].as_array().unwrap().clone()
}

fn of<'a>(devices: &'a [Value], kind: &str) -> Vec<&'a Value> {
    devices.iter().filter(|d| d["type"].as_str().unwrap().contains(kind)).collect()
}

fn machine(site: &Site, vm: &str) -> Value {
    let json: Value = serde_json::from_str(&site.govc(&["vm.info", "-json", vm])).unwrap();
    json["virtualMachines"][0].clone()
}

fn gib(disk: &Value) -> i64 {
    assert_eq!(disk["capacityInBytes"].as_i64().unwrap(), disk["capacityInKB"].as_i64().unwrap() << 10);
    disk["capacityInBytes"].as_i64().unwrap() >> 30
}

fn devices_are_changed_before_the_first_power_on(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS base\nOUTPUT TEMPLATE hw-base\nCPU 4 CORES 2\nDISK 1 SIZE 40GB\n\
         DISK ADD 8GB\nDISK ADD 2GB THICK\nNIC NETWORK DC0_DVPG0\nNIC ADD \"VM Network\"\nCDROM \"[LocalDS_0] iso/tools.iso\"\n\
         HARDWARE firmware=efi secureboot=on cpu-hot-add=on memory-hot-add=on nested=on\n\
         FROM base AS web\nOUTPUT VM hw-web\nDISK 2 SIZE 10GB\nNIC 2 REMOVE\nCDROM NONE\nRUN true\n",
    )]);
    site.built(dir.path(), &[]);
    let base = devices(site, "hw-base");
    let disks: Vec<i64> = of(&base, "VirtualDisk").into_iter().map(gib).collect();
    assert_eq!(disks, [40, 8, 2]);
    let thin = |at: usize| of(&base, "VirtualDisk")[at]["backing"]["thinProvisioned"].as_bool().unwrap_or_default();
    assert!(thin(1) && !thin(2));
    let backing = |nic: &Value| nic["backing"].clone();
    let nics: Vec<Value> = base.iter().filter(|d| d["macAddress"].is_string()).map(backing).collect();
    assert_eq!(nics.len(), 2, "{nics:?}");
    assert!(nics[0]["port"]["portgroupKey"].as_str().unwrap().starts_with("dvportgroup-"), "{nics:?}");
    assert_eq!(nics[1]["deviceName"], "VM Network");
    let drive = of(&base, "VirtualCdrom")[0];
    assert_eq!(drive["backing"]["fileName"], "[LocalDS_0] iso/tools.iso");
    assert_eq!(drive["connectable"]["startConnected"], true);
    let config = &machine(site, "hw-base")["config"];
    assert_eq!(config["firmware"], "efi");
    assert_eq!(config["hardware"]["numCPU"], 4);
    for switch in ["cpuHotAddEnabled", "memoryHotAddEnabled", "nestedHVEnabled"] {
        assert_eq!(config[switch], true, "{switch}");
    }
    let web = devices(site, "hw-web");
    // The simulator puts a device that is edited at the end of its list.
    let mut disks: Vec<i64> = of(&web, "VirtualDisk").into_iter().map(gib).collect();
    disks.sort_unstable();
    assert_eq!(disks, [2, 10, 40]);
    assert_eq!(web.iter().filter(|d| d["macAddress"].is_string()).count(), 1);
    let drive = of(&web, "VirtualCdrom")[0];
    assert!(drive["backing"]["fileName"].is_null() && drive["connectable"]["startConnected"] != true, "{drive}");
    if !site.is_vcsim() {
        // The simulator drops boot options, and of a clone's specification the cores.
        assert_eq!(config["hardware"]["numCoresPerSocket"], 2);
        assert_eq!(config["bootOptions"]["efiSecureBootEnabled"], true);
    }
}

fn what_the_devices_do_not_allow_is_told_before_anything_is_cloned(site: &Site) {
    let machines = site.vms();
    for (line, said) in [
        ("DISK 1 SIZE 1MiB", "never shrinks"),
        ("DISK 7 SIZE 40GB", "there is no disk 7"),
        ("NIC 5 REMOVE", "there is no network adapter 5"),
        ("NIC ADD nowhere", "nowhere"),
        ("CDROM [nowhere] x.iso", "nowhere"),
    ] {
        let text = format!("ARG template\nFROM ${{{{ template }}}} AS a\nOUTPUT TEMPLATE hw-a\n{line}\n");
        let dir = context(&[("VMWfile", &text)]);
        let run = site.build(dir.path(), &[]);
        assert_ne!(run.code, Some(0), "{line}: {run}");
        assert!(run.stderr().contains(said) && run.stderr().contains("VMWfile:4"), "{line}: {run}");
    }
    assert_eq!(site.vms(), machines);
}

fn custom_attributes_are_set(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS web FOR n IN 1..3\nOUTPUT VM --off lb${{ n }}\nOUTPUT TEMPLATE lb-t${{ n }}\n\
         LABEL owner=\"web team\" number=${{ n }}\n",
    )]);
    site.built(dir.path(), &[]);
    let fields = site.govc(&["fields.ls"]);
    assert_eq!(fields.lines().filter(|l| l.contains("owner")).count(), 1, "{fields}");
    for n in 1..=3 {
        for vm in [format!("lb{n}"), format!("lb-t{n}")] {
            assert!(site.govc(&["fields.info", "-n", "owner", &vm]).contains("web team"));
            let number = site.govc(&["fields.info", "-n", "number", &vm]);
            assert!(number.trim().ends_with(&n.to_string()), "{number}");
        }
    }
}

fn a_snapshot_is_left_and_cloned_from(site: &Site) {
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS web\nOUTPUT VM --off --snapshot=clean snapped\nRUN echo before > /root/made\n",
    )]);
    site.built(dir.path(), &[]);
    assert!(site.govc(&["snapshot.tree", "-vm", "snapped"]).contains("clean"));
    let dir = context(&[("VMWfile", "FROM --snapshot=nothing snapped AS web\nOUTPUT VM --off from-none\n")]);
    let run = site.build(dir.path(), &[]);
    assert!(run.code != Some(0) && run.stderr().contains("it has: clean"), "{run}");
    if site.is_vcsim() {
        // The simulator clones from the machine whatever the snapshot.
        return;
    }
    site.govc(&["vm.power", "-on", "snapped"]);
    site.govc(&["vm.ip", "-wait", "1m", "snapped"]);
    site.guest("snapped", "echo after > /root/made");
    site.govc(&["vm.power", "-off", "snapped"]);
    let dir = context(&[(
        "VMWfile",
        "FROM --snapshot=clean snapped AS web\nOUTPUT VM from-clean\nRUN grep -qx before /root/made\n",
    )]);
    site.built(dir.path(), &[]);
}

/// What NSX makes is neither a standard network nor a port group: it has an id of its own.
#[test]
fn networks_of_nsx_are_told_apart() {
    let Some(vcsim) = common::Vcsim::start(&["-opaque-networks", "2"]) else { return };
    let site = Site::Vcsim(vcsim);
    let dir = context(&[(
        "VMWfile",
        "ARG template\nFROM ${{ template }} AS base\nOUTPUT VM nsx\nNIC 1 NETWORK DC0_NSX1\nNIC ADD DC0_NSX0\n\
         NIC ADD \"VM Network\"\nRUN true\n",
    )]);
    site.built(dir.path(), &[]);
    let nics: Vec<Value> = devices(&site, "nsx").into_iter().filter(|d| d["macAddress"].is_string()).collect();
    let of: Vec<&Value> = nics.iter().map(|nic| &nic["backing"]).collect();
    assert_eq!(of.len(), 3, "{nics:?}");
    // As a vCenter does, the simulator takes the network's id and connects to the port group that NSX has made of it.
    for (backing, group) in of.iter().zip(["DC0_NSXPG1", "DC0_NSXPG0"]) {
        let key = site.govc(&["object.collect", "-s", &format!("/DC0/network/{group}"), "key"]);
        assert_eq!(backing["port"]["portgroupKey"], key.trim(), "{nics:?}");
    }
    assert_eq!(of[2]["deviceName"], "VM Network");
}

#[test]
fn a_sealed_template_is_nobodys() {
    let Some(site) = Site::sandbox() else { return };
    let dir = context(&[(
        "VMWfile",
        "FROM linux AS image\nOUTPUT TEMPLATE sealed\nENV root=/nowhere\nRUN <<EOF\n\
         echo 0123456789abcdef0123456789abcdef > /etc/machine-id\nmkdir -p /etc/ssh /var/log/old /root\n\
         echo key > /etc/ssh/ssh_host_x_key\necho secret > /root/.bash_history\necho line > /var/log/old/some.log\n\
         mkdir -p /usr/lib/systemd/system\ntouch /usr/lib/systemd/system/sshd-keygen@.service\nEOF\nSEAL\n\
         FROM sealed AS look\nOUTPUT VM look\nRUN test -f /etc/machine-id && ! grep -q 0123456789abcdef /etc/machine-id\n\
         RUN test ! -e /etc/ssh/ssh_host_x_key && test ! -e /root/.bash_history && test ! -s /var/log/old/some.log\n"
            .replace("FROM sealed", "FROM image")
            .as_str(),
    )]);
    let run = site.built(dir.path(), &[]);
    for said in [
        "emptied /etc/machine-id",
        "removed SSH host keys (sshd-keygen@.service makes new ones)",
        "removed shell histories: 1",
    ] {
        assert!(run.stderr().contains(said), "{said}: {run}");
    }
}

#[test]
fn a_resumed_build_adds_no_disk_twice() {
    let Some(site) = Site::here() else { return };
    let template = site.template();
    site.govc_try(&["about"]);
    let change = DeviceChange { disks: vec![(1 << 30, true)], ..DeviceChange::default() };
    site.with_client(async |client| {
        let soon = || Deadline::after(std::time::Duration::from_secs(60));
        let inventory = client.inventory().await.unwrap();
        let source = inventory.vm(template, None).unwrap();
        let placement = inventory.place(&Default::default(), source).unwrap();
        let request = vmwbuild::vsphere::client::CloneRequest {
            name: "twice".to_owned(),
            placement,
            template: false,
            linked: None,
            snapshot: None,
            hardware: Default::default(),
        };
        let task = client.start_clone(&source.moref, &request).await.unwrap();
        let vm = client.wait_clone(&task, "twice", soon(), |_| ()).await.unwrap();
        for _ in 0..2 {
            client.change_devices(&vm, &change, Some(("vmwbuild.devices", "b/1")), soon()).await.unwrap();
        }
        let properties = client.properties(&vm, &["config.hardware.device"]).await.unwrap();
        let found: Vec<Element> = properties.list("config.hardware.device");
        assert_eq!(vmwbuild::vsphere::client::disk_sizes(&found), [16 << 30, 1 << 30]);
        client.change_devices(&vm, &change, Some(("vmwbuild.devices", "b/2")), soon()).await.unwrap();
        let properties = client.properties(&vm, &["config.hardware.device"]).await.unwrap();
        let found: Vec<Element> = properties.list("config.hardware.device");
        assert_eq!(vmwbuild::vsphere::client::disk_sizes(&found).len(), 3, "another build's own");
    });
}
