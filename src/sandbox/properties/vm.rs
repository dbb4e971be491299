//! Virtual machines: configuration, run-time state, guest, snapshots.

use super::{Scope, host, network};
use crate::sandbox::inventory::Node;
use crate::sandbox::machine::{Config, Power, Tools, Vm};
use crate::sandbox::model::DATASTORE;
use crate::sandbox::value::{
    Val, boolean, date, derived, int, long, maybe, object, reference, references, text, whole, word,
};
use crate::vsphere::wire::{Element, Moref, Nic};

pub(super) const VM: &[&str] = &[
    "capability",
    "config",
    "datastore",
    "environmentBrowser",
    "guest",
    "guestHeartbeatStatus",
    "layout",
    "layoutEx",
    "network",
    "parentVApp",
    "resourceConfig",
    "resourcePool",
    "rootSnapshot",
    "runtime",
    "snapshot",
    "storage",
    "summary",
];

pub(super) fn vm(scope: &Scope<'_>, this: &Moref, node: &Node, vm: &Vm, name: &str) -> Val {
    match name {
        "config" => config(node, vm, &vm.config),
        "runtime" => runtime(scope, vm),
        "guest" => guest(scope, vm),
        "guestHeartbeatStatus" => word("ManagedEntityStatus", heartbeat(vm)),
        "summary" => summary(scope, this, node, vm),
        "datastore" => references([&vm.datastore]),
        "network" => references(&network::networks_of(scope, &vm.config.devices)),
        "resourcePool" => maybe(vm.pool.as_ref(), reference),
        "snapshot" => snapshots(this, vm),
        "rootSnapshot" => references(vm.snapshots.iter().filter(|s| s.parent.is_none()).map(|s| &s.object)),
        "environmentBrowser" => maybe(scope.inventory().above(&vm.host, "ComputeResource").as_ref(), |c| {
            Val::Ref(host::environment_browser(c))
        }),
        "capability" => object(
            "VirtualMachineCapability",
            vec![
                ("snapshotOperationsSupported", boolean(true)),
                ("multipleSnapshotsSupported", boolean(true)),
                ("snapshotConfigSupported", boolean(true)),
                ("poweredOffSnapshotsSupported", boolean(true)),
                ("memorySnapshotsSupported", boolean(false)),
                ("revertToSnapshotSupported", boolean(true)),
                ("quiescedSnapshotsSupported", boolean(true)),
            ],
        ),
        "layout" => object(
            "VirtualMachineFileLayout",
            vec![("configFile", Val::List("string", Vec::new())), ("logFile", Val::List("string", Vec::new()))],
        ),
        "layoutEx" => object(
            "VirtualMachineFileLayoutEx",
            vec![
                ("file", Val::List("VirtualMachineFileLayoutExFileInfo", Vec::new())),
                ("timestamp", date(&vm.created)),
            ],
        ),
        "storage" => object(
            "VirtualMachineStorageInfo",
            vec![
                (
                    "perDatastoreUsage",
                    Val::List(
                        "VirtualMachineUsageOnDatastore",
                        vec![object(
                            "VirtualMachineUsageOnDatastore",
                            vec![
                                ("datastore", Val::Ref(vm.datastore.clone())),
                                ("committed", long(1 << 30)),
                                ("uncommitted", long(vm.capacity() - (1 << 30))),
                                ("unshared", long(1 << 30)),
                            ],
                        )],
                    ),
                ),
                ("timestamp", date(&vm.created)),
            ],
        ),
        _ => Val::Unset,
    }
}

fn hardware_version(config: &Config) -> String {
    format!("vmx-{}", config.traits.version)
}

fn has(vm: &Vm, kind: &str) -> bool {
    vm.config.devices.iter().any(|d| d.xsi_type.as_deref() == Some(kind))
}

/// The values of custom attributes.
pub(super) fn labels(labels: &[(i32, String)]) -> Val {
    let value = |(key, value): &(i32, String)| {
        derived("CustomFieldStringValue", vec![("key", int(*key)), ("value", text(value))])
    };
    Val::List("CustomFieldValue", labels.iter().map(value).collect())
}

fn folder(node: &Node) -> String {
    node.name.clone()
}

fn config(node: &Node, vm: &Vm, config: &Config) -> Val {
    let extra = config.extra.iter().map(|(key, value)| {
        derived("OptionValue", vec![("key", text(key)), ("value", Val::Whole("anyType", any_text(value)))])
    });
    let devices = config.devices.iter().map(|device| Val::Whole("VirtualDevice", with_connection(device, vm.power)));
    let path = format!("[{DATASTORE}] {0}/{0}.vmx", folder(node));
    object(
        "VirtualMachineConfigInfo",
        vec![
            ("changeVersion", text(vm.version.to_string())),
            ("modified", date(&vm.created)),
            ("name", text(&node.name)),
            ("guestFullName", text(full_name(vm))),
            ("version", text(hardware_version(config))),
            ("uuid", text(&vm.uuid)),
            ("createDate", date(&vm.created)),
            ("instanceUuid", text(&vm.instance_uuid)),
            ("locationId", Val::Unset),
            ("template", boolean(vm.template)),
            ("guestId", text(&config.guest_id)),
            ("alternateGuestName", text("")),
            ("annotation", text(&config.annotation)),
            (
                "files",
                object(
                    "VirtualMachineFileInfo",
                    vec![
                        ("vmPathName", text(&path)),
                        ("snapshotDirectory", text(format!("[{DATASTORE}] {}/", folder(node)))),
                        ("suspendDirectory", text(format!("[{DATASTORE}] {}/", folder(node)))),
                        ("logDirectory", text(format!("[{DATASTORE}] {}/", folder(node)))),
                    ],
                ),
            ),
            (
                "tools",
                object(
                    "ToolsConfigInfo",
                    vec![
                        ("toolsVersion", int(12389)),
                        ("afterPowerOn", boolean(true)),
                        ("afterResume", boolean(true)),
                        ("beforeGuestStandby", boolean(true)),
                        ("beforeGuestShutdown", boolean(true)),
                        ("toolsUpgradePolicy", text("manual")),
                        ("syncTimeWithHost", boolean(false)),
                    ],
                ),
            ),
            (
                "flags",
                object(
                    "VirtualMachineFlagInfo",
                    vec![("disableAcceleration", boolean(false)), ("snapshotDisabled", boolean(false))],
                ),
            ),
            (
                "defaultPowerOps",
                object(
                    "VirtualMachineDefaultPowerOpInfo",
                    vec![("powerOffType", text("soft")), ("resetType", text("soft")), ("suspendType", text("hard"))],
                ),
            ),
            (
                "hardware",
                object(
                    "VirtualHardware",
                    vec![
                        ("numCPU", int(config.cpus)),
                        ("numCoresPerSocket", int(config.cores_per_socket)),
                        ("memoryMB", word("int", config.memory_mb.to_string())),
                        ("virtualICH7MPresent", boolean(false)),
                        ("virtualSMCPresent", boolean(false)),
                        ("device", Val::List("VirtualDevice", devices.collect())),
                    ],
                ),
            ),
            ("cpuAllocation", allocation()),
            ("memoryAllocation", allocation()),
            ("latencySensitivity", Val::Unset),
            ("memoryHotAddEnabled", boolean(config.traits.memory_hot_add)),
            ("cpuHotAddEnabled", boolean(config.traits.cpu_hot_add)),
            ("cpuHotRemoveEnabled", boolean(false)),
            ("hotPlugMemoryLimit", Val::Unset),
            ("hotPlugMemoryIncrementSize", Val::Unset),
            ("cpuAffinity", Val::Unset),
            ("memoryAffinity", Val::Unset),
            ("networkShaper", Val::Unset),
            ("extraConfig", Val::List("OptionValue", extra.collect())),
            ("cpuFeatureMask", Val::Unset),
            (
                "datastoreUrl",
                Val::List(
                    "VirtualMachineConfigInfoDatastoreUrlPair",
                    vec![object(
                        "VirtualMachineConfigInfoDatastoreUrlPair",
                        vec![
                            ("name", text(DATASTORE)),
                            ("url", text(format!("ds:///vmfs/volumes/{}/", vm.datastore.value))),
                        ],
                    )],
                ),
            ),
            ("swapPlacement", text("inherit")),
            (
                "bootOptions",
                object(
                    "VirtualMachineBootOptions",
                    vec![("bootDelay", long(0)), ("efiSecureBootEnabled", boolean(config.traits.secure_boot))],
                ),
            ),
            ("ftInfo", Val::Unset),
            ("repConfig", Val::Unset),
            ("vAppConfig", Val::Unset),
            ("vAssertsEnabled", boolean(false)),
            ("changeTrackingEnabled", boolean(false)),
            ("firmware", text(&config.traits.firmware)),
            ("maxMksConnections", int(40)),
            ("guestAutoLockEnabled", boolean(false)),
            ("managedBy", Val::Unset),
            ("memoryReservationLockedToMax", boolean(false)),
            ("initialOverhead", Val::Unset),
            ("nestedHVEnabled", boolean(config.traits.nested)),
            ("vPMCEnabled", boolean(false)),
            ("scheduledHardwareUpgradeInfo", Val::Unset),
            ("forkConfigInfo", Val::Unset),
            ("vFlashCacheReservation", long(0)),
            ("messageBusTunnelEnabled", boolean(false)),
            ("keyId", Val::Unset),
            ("guestIntegrityInfo", Val::Unset),
            ("migrateEncryption", text("opportunistic")),
        ],
    )
}

fn any_text(value: &str) -> Element {
    Element::text("value", value).typed("string")
}

/// A device as it is shown: adapters are connected while the machine runs.
fn with_connection(device: &Element, power: Power) -> Element {
    let mut device = device.clone();
    if let Some(connectable) = device.child_mut("connectable") {
        let start = connectable.child_text("startConnected") == Some("true");
        if let Some(connected) = connectable.child_mut("connected") {
            connected.text = (start && power == Power::On).to_string();
        }
    }
    device
}

fn allocation() -> Val {
    object(
        "ResourceAllocationInfo",
        vec![
            ("reservation", long(0)),
            ("expandableReservation", boolean(false)),
            ("limit", long(-1)),
            ("shares", object("SharesInfo", vec![("shares", int(1000)), ("level", word("SharesLevel", "normal"))])),
        ],
    )
}

fn full_name(vm: &Vm) -> &str {
    vm.reported.full_name.as_deref().unwrap_or("Other Linux (64-bit)")
}

fn heartbeat(vm: &Vm) -> &'static str {
    if vm.tools == Tools::Ready { "green" } else { "gray" }
}

/// As vCenter knows it: of a machine whose host is lost it only knows what was.
fn connection(scope: &Scope<'_>, vm: &Vm) -> Val {
    let lost = scope.inventory().connection_of(&vm.host) != "connected";
    word("VirtualMachineConnectionState", if lost { "disconnected" } else { "connected" })
}

fn runtime(scope: &Scope<'_>, vm: &Vm) -> Val {
    object(
        "VirtualMachineRuntimeInfo",
        vec![
            ("device", Val::List("VirtualMachineDeviceRuntimeInfo", Vec::new())),
            ("host", Val::Ref(vm.host.clone())),
            ("connectionState", connection(scope, vm)),
            ("powerState", word("VirtualMachinePowerState", vm.power.as_str())),
            ("faultToleranceState", word("VirtualMachineFaultToleranceState", "notConfigured")),
            ("dasVmProtection", Val::Unset),
            ("toolsInstallerMounted", boolean(false)),
            ("suspendTime", Val::Unset),
            ("bootTime", maybe(vm.booted.as_ref(), date)),
            ("suspendInterval", long(0)),
            ("question", maybe(vm.question.as_ref(), whole)),
            ("memoryOverhead", Val::Unset),
            ("maxCpuUsage", int(2400 * vm.config.cpus)),
            ("maxMemoryUsage", word("int", vm.config.memory_mb.to_string())),
            ("numMksConnections", int(0)),
            ("recordReplayState", word("VirtualMachineRecordReplayState", "inactive")),
            ("cleanPowerOff", boolean(vm.power == Power::Off)),
            ("needSecondaryReason", Val::Unset),
            ("onlineStandby", boolean(false)),
            ("minRequiredEVCModeKey", Val::Unset),
            ("consolidationNeeded", boolean(false)),
            ("offlineFeatureRequirement", Val::Unset),
            ("featureRequirement", Val::Unset),
            ("featureMask", Val::Unset),
            ("paused", boolean(false)),
            ("snapshotInBackground", boolean(false)),
            ("quiescedForkParent", Val::Unset),
            ("instantCloneFrozen", boolean(false)),
            ("cryptoState", Val::Unset),
        ],
    )
}

fn guest(scope: &Scope<'_>, vm: &Vm) -> Val {
    let running = vm.tools == Tools::Ready;
    let status = if running { "guestToolsRunning" } else { "guestToolsNotRunning" };
    // A real server forgets the address with the power, and keeps what the guest is.
    let ip = vm.reported.ip.as_ref().filter(|_| running);
    object(
        "GuestInfo",
        vec![
            ("toolsStatus", word("VirtualMachineToolsStatus", if running { "toolsOk" } else { "toolsNotRunning" })),
            ("toolsVersionStatus", text("guestToolsUnmanaged")),
            ("toolsVersionStatus2", text("guestToolsUnmanaged")),
            ("toolsRunningStatus", text(status)),
            ("toolsVersion", text("12389")),
            ("toolsInstallType", text("guestToolsTypeOpenVMTools")),
            ("guestId", maybe(vm.reported.id.as_ref(), text)),
            (
                "guestFamily",
                maybe(vm.reported.id.as_ref(), |id| {
                    text(if id.starts_with("win") { "windowsGuest" } else { "linuxGuest" })
                }),
            ),
            ("guestFullName", maybe(vm.reported.full_name.as_ref(), text)),
            ("hostName", maybe(vm.reported.host_name.as_ref().filter(|_| running), text)),
            ("ipAddress", maybe(ip, text)),
            ("net", Val::List("GuestNicInfo", if running { nics(scope, vm, ip) } else { Vec::new() })),
            ("ipStack", Val::List("GuestStackInfo", Vec::new())),
            ("disk", Val::List("GuestDiskInfo", Vec::new())),
            ("screen", object("GuestScreenInfo", vec![("width", int(-1)), ("height", int(-1))])),
            ("guestState", text(if running { "running" } else { "notRunning" })),
            ("appHeartbeatStatus", text("appStatusGray")),
            ("guestKernelCrashed", if running { boolean(false) } else { Val::Unset }),
            ("appState", text("none")),
            ("guestOperationsReady", boolean(running)),
            ("interactiveGuestOperationsReady", boolean(false)),
            ("guestStateChangeSupported", boolean(running)),
            ("generationInfo", Val::Unset),
            ("hwVersion", text(hardware_version(&vm.config))),
            (
                "customizationInfo",
                maybe(vm.customization.as_ref(), |c| {
                    let error = Some(&c.error).filter(|e| !e.is_empty());
                    let fields = vec![("customizationStatus", text(c.status)), ("errorMsg", maybe(error, text))];
                    object("GuestInfoCustomizationInfo", fields)
                }),
            ),
        ],
    )
}

/// What the guest tells of its interfaces. One that is the guest's own has no network card.
fn nics(scope: &Scope<'_>, vm: &Vm, ip: Option<&String>) -> Vec<Val> {
    let cards: Vec<Nic> = vm.config.devices.iter().filter_map(Nic::of).collect();
    if vm.reported.nics.is_empty() {
        // Guests can't have one here: the first card has the address that is made up.
        let first = cards.first();
        return ip
            .map(|ip| nic(scope, first, first.and_then(Nic::mac), true, &[(ip.clone(), 8)]))
            .into_iter()
            .collect();
    }
    let told = vm.reported.nics.iter().map(|report| {
        let mac = report.mac.map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":"));
        let card = cards.iter().find(|card| card.mac().map(str::to_lowercase) == mac);
        let addresses: Vec<(String, i32)> =
            report.addresses.iter().map(|(ip, prefix)| (ip.to_string(), i32::from(*prefix))).collect();
        nic(scope, card, mac.as_deref(), report.up, &addresses)
    });
    told.collect()
}

fn nic(scope: &Scope<'_>, card: Option<&Nic>, mac: Option<&str>, up: bool, addresses: &[(String, i32)]) -> Val {
    let network = card.and_then(|card| network::of_nic(scope, card));
    let network = network.and_then(|n| scope.inventory().get(&n)).map(|n| n.name.clone());
    let list = addresses.iter().map(|(ip, prefix)| {
        object(
            "NetIpConfigInfoIpAddress",
            vec![("ipAddress", text(ip)), ("prefixLength", int(*prefix)), ("state", text("preferred"))],
        )
    });
    object(
        "GuestNicInfo",
        vec![
            ("network", maybe(network, text)),
            ("ipAddress", Val::List("string", addresses.iter().map(|(ip, _)| text(ip)).collect())),
            ("macAddress", maybe(mac, text)),
            ("connected", boolean(up)),
            ("deviceConfigId", int(card.and_then(|card| card.key().ok()).unwrap_or(-1))),
            ("dnsConfig", Val::Unset),
            (
                "ipConfig",
                object("NetIpConfigInfo", vec![("ipAddress", Val::List("NetIpConfigInfoIpAddress", list.collect()))]),
            ),
            ("netBIOSConfig", Val::Unset),
        ],
    )
}

fn summary(scope: &Scope<'_>, this: &Moref, node: &Node, vm: &Vm) -> Val {
    let count = |n: usize| int(i32::try_from(n).unwrap_or(i32::MAX));
    let running = vm.tools == Tools::Ready;
    let nics = vm.config.devices.iter().filter_map(Nic::of).count();
    let disks = vm.config.devices.iter().filter(|d| d.xsi_type.as_deref() == Some("VirtualDisk")).count();
    object(
        "VirtualMachineSummary",
        vec![
            ("vm", Val::Ref(this.clone())),
            ("runtime", runtime(scope, vm)),
            (
                "guest",
                object(
                    "VirtualMachineGuestSummary",
                    vec![
                        ("guestId", maybe(vm.reported.id.as_ref(), text)),
                        ("guestFullName", maybe(vm.reported.full_name.as_ref(), text)),
                        (
                            "toolsStatus",
                            word("VirtualMachineToolsStatus", if running { "toolsOk" } else { "toolsNotRunning" }),
                        ),
                        ("toolsVersionStatus", text("guestToolsUnmanaged")),
                        ("toolsVersionStatus2", text("guestToolsUnmanaged")),
                        (
                            "toolsRunningStatus",
                            text(if running { "guestToolsRunning" } else { "guestToolsNotRunning" }),
                        ),
                        ("hostName", maybe(vm.reported.host_name.as_ref().filter(|_| running), text)),
                        ("ipAddress", maybe(vm.reported.ip.as_ref().filter(|_| running), text)),
                        ("hwVersion", text(hardware_version(&vm.config))),
                    ],
                ),
            ),
            (
                "config",
                object(
                    "VirtualMachineConfigSummary",
                    vec![
                        ("name", text(&node.name)),
                        ("template", boolean(vm.template)),
                        ("vmPathName", text(format!("[{DATASTORE}] {0}/{0}.vmx", folder(node)))),
                        ("memorySizeMB", word("int", vm.config.memory_mb.to_string())),
                        ("cpuReservation", int(0)),
                        ("memoryReservation", int(0)),
                        ("numCpu", int(vm.config.cpus)),
                        ("numEthernetCards", count(nics)),
                        ("numVirtualDisks", count(disks)),
                        ("uuid", text(&vm.uuid)),
                        ("instanceUuid", text(&vm.instance_uuid)),
                        ("guestId", text(&vm.config.guest_id)),
                        ("guestFullName", text(full_name(vm))),
                        ("annotation", text(&vm.config.annotation)),
                        ("product", Val::Unset),
                        ("installBootRequired", boolean(false)),
                        ("ftInfo", Val::Unset),
                        ("managedBy", Val::Unset),
                        ("tpmPresent", boolean(has(vm, "VirtualTPM"))),
                        ("numVmiopBackings", int(0)),
                        ("hwVersion", text(hardware_version(&vm.config))),
                    ],
                ),
            ),
            (
                "storage",
                object(
                    "VirtualMachineStorageSummary",
                    vec![
                        ("committed", long(1 << 30)),
                        ("uncommitted", long(vm.capacity() - (1 << 30))),
                        ("unshared", long(1 << 30)),
                        ("timestamp", date(&vm.created)),
                    ],
                ),
            ),
            (
                "quickStats",
                object(
                    "VirtualMachineQuickStats",
                    vec![
                        ("overallCpuUsage", int(0)),
                        ("guestMemoryUsage", int(0)),
                        ("hostMemoryUsage", int(0)),
                        ("guestHeartbeatStatus", word("ManagedEntityStatus", heartbeat(vm))),
                        (
                            "uptimeSeconds",
                            int(if vm.power == Power::On { scope.fixed.uptime(vm.booted.as_deref()) } else { 0 }),
                        ),
                    ],
                ),
            ),
            ("overallStatus", word("ManagedEntityStatus", "green")),
            ("customValue", labels(&vm.labels)),
        ],
    )
}

fn snapshots(this: &Moref, vm: &Vm) -> Val {
    if vm.snapshots.is_empty() {
        return Val::Unset;
    }
    object(
        "VirtualMachineSnapshotInfo",
        vec![("currentSnapshot", maybe(vm.current.as_ref(), reference)), ("rootSnapshotList", tree(this, vm, None))],
    )
}

fn tree(this: &Moref, vm: &Vm, parent: Option<&Moref>) -> Val {
    let children = vm.snapshots.iter().filter(|s| s.parent.as_ref() == parent).map(|s| {
        object(
            "VirtualMachineSnapshotTree",
            vec![
                ("snapshot", Val::Ref(s.object.clone())),
                ("vm", Val::Ref(this.clone())),
                ("name", text(&s.name)),
                ("description", text(&s.description)),
                ("id", int(s.id)),
                ("createTime", date(&s.created)),
                ("state", word("VirtualMachinePowerState", s.power.as_str())),
                ("quiesced", boolean(false)),
                ("backupManifest", Val::Unset),
                ("childSnapshotList", tree(this, vm, Some(&s.object))),
                ("replaySupported", boolean(false)),
            ],
        )
    });
    Val::List("VirtualMachineSnapshotTree", children.collect())
}

/// A snapshot's own properties.
pub(super) fn snapshot(scope: &Scope<'_>, object: &Moref, name: &str) -> Val {
    let Some((vm_object, node, vm)) = scope.inventory().vms().find(|(_, _, vm)| vm.snapshot(object).is_some()) else {
        return Val::Unset;
    };
    match name {
        "vm" => Val::Ref(vm_object.clone()),
        "config" => maybe(vm.snapshot(object), |s| config(node, vm, &s.config)),
        "childSnapshot" => {
            references(vm.snapshots.iter().filter(|s| s.parent.as_ref() == Some(object)).map(|s| &s.object))
        }
        _ => Val::Unset,
    }
}
