//! Clusters, hosts and resource pools.

use super::Scope;
use crate::sandbox::inventory::{Body, Compute, Node};
use crate::sandbox::value::{Val, boolean, date, derived, int, long, object, references, text, texts, word};
use crate::vsphere::wire::Moref;

pub(super) const COMPUTE: &[&str] = &[
    "configManagerEnabled",
    "configurationEx",
    "datastore",
    "environmentBrowser",
    "host",
    "lifecycleManaged",
    "network",
    "resourcePool",
    "summary",
];

pub(super) const CLUSTER: &[&str] = &[
    "actionHistory",
    "configManagerEnabled",
    "configuration",
    "configurationEx",
    "datastore",
    "drsFault",
    "drsRecommendation",
    "environmentBrowser",
    "hciConfig",
    "host",
    "lifecycleManaged",
    "migrationHistory",
    "network",
    "recommendation",
    "resourcePool",
    "summary",
    "summaryEx",
];

pub(super) const HOST: &[&str] = &[
    "answerFileValidationResult",
    "answerFileValidationState",
    "capability",
    "complianceCheckResult",
    "complianceCheckState",
    "config",
    "configManager",
    "datastore",
    "datastoreBrowser",
    "hardware",
    "licensableResource",
    "network",
    "precheckRemediationResult",
    "remediationResult",
    "remediationState",
    "runtime",
    "summary",
    "systemResources",
    "vm",
];

pub(super) const POOL: &[&str] =
    &["childConfiguration", "config", "namespace", "owner", "resourcePool", "runtime", "summary", "vm"];

/// There are none here, but clients ask for them.
pub(super) const APP: &[&str] = &[
    "childConfiguration",
    "childLink",
    "config",
    "datastore",
    "namespace",
    "network",
    "owner",
    "parentFolder",
    "parentVApp",
    "resourcePool",
    "runtime",
    "summary",
    "vAppConfig",
    "vm",
];

/// Processor and memory that every host claims to have.
const HOST_MHZ: i32 = 2400;
const HOST_CORES: i16 = 16;
const HOST_MEMORY: i64 = 64 << 30;

pub(super) fn compute(scope: &Scope<'_>, this: &Moref, node: &Node, compute: &Compute, name: &str) -> Val {
    let hosts = || scope.inventory().children(this, "HostSystem");
    match name {
        "host" => references(hosts()),
        "resourcePool" => Val::Ref(compute.pool.clone()),
        "datastore" => datastores(scope),
        "network" => networks(scope),
        "environmentBrowser" => Val::Ref(environment_browser(this)),
        "lifecycleManaged" | "configManagerEnabled" => boolean(false),
        "configurationEx" if compute.cluster => derived(
            "ClusterConfigInfoEx",
            vec![
                ("dasConfig", object("ClusterDasConfigInfo", vec![("enabled", boolean(false))])),
                ("drsConfig", object("ClusterDrsConfigInfo", vec![("enabled", boolean(false))])),
            ],
        ),
        "configurationEx" => derived(
            "ComputeResourceConfigInfo",
            vec![("vmSwapPlacement", text("vmDirectory")), ("defaultHardwareVersionKey", Val::Unset)],
        ),
        "configuration" => object(
            "ClusterConfigInfo",
            vec![
                ("dasConfig", object("ClusterDasConfigInfo", vec![("enabled", boolean(false))])),
                ("drsConfig", object("ClusterDrsConfigInfo", vec![("enabled", boolean(false))])),
            ],
        ),
        "summary" => {
            let count = i32::try_from(node.children.len().saturating_sub(1)).unwrap_or_default();
            let kind = if compute.cluster { "ClusterComputeResourceSummary" } else { "ComputeResourceSummary" };
            let mut fields = vec![
                ("totalCpu", int(HOST_MHZ * i32::from(HOST_CORES) * count)),
                ("totalMemory", long(HOST_MEMORY * i64::from(count))),
                ("numCpuCores", word("short", (i32::from(HOST_CORES) * count).to_string())),
                ("numCpuThreads", word("short", (i32::from(HOST_CORES) * count).to_string())),
                ("effectiveCpu", int(HOST_MHZ * i32::from(HOST_CORES) * count)),
                ("effectiveMemory", long((HOST_MEMORY >> 20) * i64::from(count))),
                ("numHosts", int(count)),
                ("numEffectiveHosts", int(count)),
                ("overallStatus", word("ManagedEntityStatus", "green")),
            ];
            if compute.cluster {
                fields.push(("currentFailoverLevel", int(0)));
                fields.push(("numVmotions", int(0)));
            }
            derived(kind, fields)
        }
        _ => Val::Unset,
    }
}

/// The environment browser of a compute resource: named after it.
pub(super) fn environment_browser(compute: &Moref) -> Moref {
    Moref::new("EnvironmentBrowser", format!("envbrowser-{}", compute.value))
}

/// All hosts reach all datastores and networks.
pub(super) fn datastores(scope: &Scope<'_>) -> Val {
    references(scope.inventory().all().filter(|(_, n)| matches!(n.body, Body::Datastore)).map(|(o, _)| o))
}

fn networks(scope: &Scope<'_>) -> Val {
    let nets = scope.inventory().all().filter(|(_, n)| matches!(n.body, Body::Network | Body::Portgroup { .. }));
    references(nets.map(|(o, _)| o))
}

pub(super) fn host(scope: &Scope<'_>, this: &Moref, node: &Node, name: &str) -> Val {
    match name {
        "vm" => references(scope.inventory().vms().filter(|(_, _, vm)| vm.host == *this).map(|(o, ..)| o)),
        "datastore" => datastores(scope),
        "network" => networks(scope),
        "runtime" => runtime(scope, this),
        "summary" => object(
            "HostListSummary",
            vec![
                ("host", Val::Ref(this.clone())),
                ("hardware", hardware_summary(this)),
                ("runtime", runtime(scope, this)),
                (
                    "config",
                    object(
                        "HostConfigSummary",
                        vec![
                            ("name", text(&node.name)),
                            ("port", int(i32::from(scope.fixed.transfer_port))),
                            ("sslThumbprint", text(&scope.fixed.host_thumbprint)),
                            ("product", super::managers::about(scope.fixed, "HostAgent")),
                            ("vmotionEnabled", boolean(false)),
                            ("faultToleranceEnabled", boolean(false)),
                        ],
                    ),
                ),
                (
                    "quickStats",
                    object(
                        "HostListSummaryQuickStats",
                        vec![("overallCpuUsage", int(100)), ("overallMemoryUsage", int(1024)), ("uptime", int(3600))],
                    ),
                ),
                ("overallStatus", word("ManagedEntityStatus", "green")),
                ("rebootRequired", boolean(false)),
                ("customValue", Val::List("CustomFieldValue", Vec::new())),
                ("managementServerIp", Val::Unset),
                ("maxEVCModeKey", Val::Unset),
                ("currentEVCModeKey", Val::Unset),
            ],
        ),
        "hardware" => object(
            "HostHardwareInfo",
            vec![
                (
                    "systemInfo",
                    object(
                        "HostSystemInfo",
                        vec![("vendor", text("vmwbuild")), ("model", text("sandbox")), ("uuid", text(host_uuid(this)))],
                    ),
                ),
                (
                    "cpuInfo",
                    object(
                        "HostCpuInfo",
                        vec![
                            ("numCpuPackages", word("short", "1")),
                            ("numCpuCores", word("short", HOST_CORES.to_string())),
                            ("numCpuThreads", word("short", HOST_CORES.to_string())),
                            ("hz", long(i64::from(HOST_MHZ) * 1_000_000)),
                        ],
                    ),
                ),
                ("memorySize", long(HOST_MEMORY)),
            ],
        ),
        "config" => object(
            "HostConfigInfo",
            vec![
                ("host", Val::Ref(this.clone())),
                ("product", super::managers::about(scope.fixed, "HostAgent")),
                ("network", Val::Unset),
                ("storageDevice", Val::Unset),
                ("certificate", Val::Unset),
            ],
        ),
        "configManager" => object("HostConfigManager", Vec::new()),
        _ => Val::Unset,
    }
}

fn host_uuid(host: &Moref) -> String {
    let digits: String = host.value.bytes().map(|b| format!("{b:02x}")).collect();
    let digits = format!("{digits:0>32}");
    let cut = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", cut(0, 8), cut(8, 12), cut(12, 16), cut(16, 20), cut(20, 32))
}

fn hardware_summary(this: &Moref) -> Val {
    object(
        "HostHardwareSummary",
        vec![
            ("vendor", text("vmwbuild")),
            ("model", text("sandbox")),
            ("uuid", text(host_uuid(this))),
            ("memorySize", long(HOST_MEMORY)),
            ("cpuModel", text("sandbox")),
            ("cpuMhz", int(HOST_MHZ)),
            ("numCpuPkgs", word("short", "1")),
            ("numCpuCores", word("short", HOST_CORES.to_string())),
            ("numCpuThreads", word("short", HOST_CORES.to_string())),
            ("numNics", int(1)),
            ("numHBAs", int(1)),
        ],
    )
}

fn runtime(scope: &Scope<'_>, host: &Moref) -> Val {
    object(
        "HostRuntimeInfo",
        vec![
            ("connectionState", word("HostSystemConnectionState", scope.inventory().connection_of(host))),
            ("powerState", word("HostSystemPowerState", "poweredOn")),
            ("standbyMode", text("none")),
            ("inMaintenanceMode", boolean(false)),
            ("inQuarantineMode", boolean(false)),
            ("bootTime", date(&scope.fixed.started)),
        ],
    )
}

pub(super) fn pool(scope: &Scope<'_>, this: &Moref, node: &Node, owner: &Moref, name: &str) -> Val {
    let allocation = |reservation: i64| {
        object(
            "ResourceAllocationInfo",
            vec![
                ("reservation", long(reservation)),
                ("expandableReservation", boolean(true)),
                ("limit", long(-1)),
                ("shares", object("SharesInfo", vec![("shares", int(4000)), ("level", word("SharesLevel", "normal"))])),
                ("overheadLimit", Val::Unset),
            ],
        )
    };
    let usage = || {
        object(
            "ResourcePoolResourceUsage",
            vec![
                ("reservationUsed", long(0)),
                ("reservationUsedForVm", long(0)),
                ("unreservedForPool", long(1 << 30)),
                ("unreservedForVm", long(1 << 30)),
                ("overallUsage", long(0)),
                ("maxUsage", long(1 << 30)),
            ],
        )
    };
    let config = || {
        object(
            "ResourceConfigSpec",
            vec![
                ("entity", Val::Ref(this.clone())),
                ("changeVersion", Val::Unset),
                ("lastModified", Val::Unset),
                ("cpuAllocation", allocation(0)),
                ("memoryAllocation", allocation(0)),
            ],
        )
    };
    let runtime = || {
        object(
            "ResourcePoolRuntimeInfo",
            vec![("memory", usage()), ("cpu", usage()), ("overallStatus", word("ManagedEntityStatus", "green"))],
        )
    };
    match name {
        "owner" => Val::Ref(owner.clone()),
        "resourcePool" => references(scope.inventory().children(this, "ResourcePool")),
        "vm" => {
            let here = scope.inventory().vms().filter(|(_, _, vm)| vm.pool.as_ref() == Some(this));
            references(here.map(|(o, ..)| o))
        }
        "config" => config(),
        "runtime" => runtime(),
        "summary" => object(
            "ResourcePoolSummary",
            vec![
                ("name", text(&node.name)),
                ("config", config()),
                ("runtime", runtime()),
                ("configuredMemoryMB", int(0)),
                ("quickStats", Val::Unset),
            ],
        ),
        "namespace" | "childConfiguration" => texts([]),
        _ => Val::Unset,
    }
}
