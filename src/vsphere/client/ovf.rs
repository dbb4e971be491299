//! OVF: what a descriptor means, and leases, under which a machine's disks are sent or fetched.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};

use super::endpoint::{Deadline, Thumbprint};
use super::error::{ConnectKind, Error, Result};
use super::http::{Http, excerpt};
use super::placement::Placement;
use super::session::Client;
use crate::vsphere::wire::{
    CreateDescriptor, CreateImportSpec, Element, ExportVm, Fault, HttpNfcLeaseAbort, HttpNfcLeaseComplete,
    HttpNfcLeaseDeviceUrl, HttpNfcLeaseInfo, HttpNfcLeaseProgress, HttpNfcLeaseState, ImportVApp, KeyValue, Moref,
    OptionValue, OvfCreateDescriptorParams, OvfCreateDescriptorResult, OvfCreateImportSpecParams,
    OvfCreateImportSpecResult, OvfFile, OvfNetworkMapping, Value,
};

/// The kind of object that a lease is.
pub(super) const LEASE: &str = "HttpNfcLease";
/// How long a call about a lease may take.
const CALL: Duration = Duration::from_secs(60);
/// How often a lease is renewed at most, and at least: a quarter of what the server allows lies in between.
const RENEWAL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(15));
/// What disks are sent as.
const DISK: &str = "application/x-vnd.vmware-streamVmdk";
/// Fields of a machine's configuration that stand behind its extraConfig in the schema.
const AFTER_EXTRA: &[&str] = &[
    "swapPlacement",
    "bootOptions",
    "vAppConfig",
    "ftInfo",
    "repConfig",
    "vAppConfigRemoved",
    "vAssertsEnabled",
    "changeTrackingEnabled",
    "firmware",
    "maxMksConnections",
    "guestAutoLockEnabled",
    "managedBy",
    "memoryReservationLockedToMax",
    "nestedHVEnabled",
    "vPMCEnabled",
    "scheduledHardwareUpgradeInfo",
    "vmProfile",
    "messageBusTunnelEnabled",
    "crypto",
    "migrateEncryption",
];

/// The last ones of them, which stand behind its storage policy too.
const AFTER_PROFILE: &[&str] = &["messageBusTunnelEnabled", "crypto", "migrateEncryption"];

/// A machine to be made of a descriptor.
#[derive(Clone, Debug, Default)]
pub struct ImportRequest {
    /// Its name.
    pub name: String,
    /// The descriptor.
    pub descriptor: String,
    /// What the descriptor's networks are attached to.
    pub networks: Vec<(String, Moref)>,
    /// What is set of its properties.
    pub properties: Vec<(String, String)>,
    /// Which of its configurations; empty: its default.
    pub configuration: String,
    /// `thin`, `thick` or `eagerZeroedThick`; none: as the server likes.
    pub provisioning: Option<String>,
}

/// A lease that is ready.
#[derive(Clone, Debug)]
pub struct Lease {
    /// What it is called.
    pub moref: Moref,
    /// What it is for.
    pub info: HttpNfcLeaseInfo,
}

impl Client {
    /// What a descriptor means on the server.
    pub async fn import_spec(&self, request: &ImportRequest, place: &Placement) -> Result<OvfCreateImportSpecResult> {
        let pairs = request.properties.iter().map(|(key, value)| KeyValue { key: key.clone(), value: value.clone() });
        let networks = request.networks.iter();
        let networks = networks.map(|(name, net)| OvfNetworkMapping { name: name.clone(), network: net.clone() });
        let call = CreateImportSpec {
            this: self.ovf_manager()?,
            ovf_descriptor: request.descriptor.clone(),
            resource_pool: place.pool.clone(),
            datastore: place.datastore.clone(),
            cisp: OvfCreateImportSpecParams {
                locale: "US".to_owned(),
                deployment_option: request.configuration.clone(),
                entity_name: request.name.clone(),
                host_system: None,
                network_mapping: networks.collect(),
                ip_allocation_policy: None,
                ip_protocol: None,
                property_mapping: pairs.collect(),
                disk_provisioning: request.provisioning.clone(),
            },
        };
        self.call(&call).await
    }

    fn ovf_manager(&self) -> Result<Moref> {
        let lacking = || Error::Task {
            what: "import or export OVF".to_owned(),
            fault: Box::new(Fault::new("NotSupported", "the server has no OVF manager")),
        };
        self.content().ovf_manager.clone().ok_or_else(lacking)
    }

    /// Begins to make a machine as an import's specification says; the lease, which is not ready yet.
    pub async fn import_vapp(&self, spec: Element, place: &Placement) -> Result<Moref> {
        let (folder, host) = (Some(place.folder.clone()), place.host.clone());
        self.call(&ImportVApp { this: place.pool.clone(), spec, folder, host }).await
    }

    /// Begins to export a machine; the lease, which is not ready yet.
    pub async fn export_vm(&self, vm: &Moref) -> Result<Moref> {
        self.call(&ExportVm { this: vm.clone() }).await
    }

    /// Waits until a lease is ready. `what` is what can't be done if it never is, as in "can't …".
    pub async fn lease_ready(&self, lease: &Moref, what: &str, deadline: Deadline) -> Result<Lease> {
        let mut watcher = self.watch(lease, &["state", "error", "info"]);
        let info = watcher.until(deadline, what, |properties| {
            let failed = |fault: Fault| Err(Error::Task { what: what.to_owned(), fault: Box::new(fault) });
            match properties.get("state") {
                Some(HttpNfcLeaseState::Ready) => Ok(properties.get::<HttpNfcLeaseInfo>("info")),
                Some(HttpNfcLeaseState::Error | HttpNfcLeaseState::Done) => {
                    let unknown = || Fault::new("", "the server doesn't say why its lease is over");
                    failed(properties.get("error").unwrap_or_else(unknown))
                }
                _ => Ok(None),
            }
        });
        Ok(Lease { moref: lease.clone(), info: info.await? })
    }

    /// Keeps a lease alive while this is awaited, and tells the server how much of it is done; ends only when the lease
    /// has, with the reason.
    pub async fn keep_lease(&self, lease: &Lease, what: &str, done: &AtomicU64, total: u64) -> Error {
        let timeout = u64::try_from(lease.info.lease_timeout).unwrap_or_default();
        let pause = (Duration::from_secs(timeout) / 4).clamp(RENEWAL.0, RENEWAL.1);
        loop {
            tokio::time::sleep(pause).await;
            // The last hundredth is the server's own.
            let percent =
                done.load(Ordering::Relaxed).saturating_mul(100).checked_div(total).unwrap_or_default().min(99);
            let percent = i32::try_from(percent).unwrap_or(99);
            let told = self.call(&HttpNfcLeaseProgress { this: lease.moref.clone(), percent }).await;
            match told {
                Ok(()) => {}
                // Others may tell the next time.
                Err(e) if e.lost_reply() => {}
                Err(e) => return self.lease_error(&lease.moref, what).await.unwrap_or(e),
            }
        }
    }

    /// Why a lease has ended, if the server says so.
    pub async fn lease_error(&self, lease: &Moref, what: &str) -> Option<Error> {
        let fault = self.properties(lease, &["error"]).await.ok()?.get::<Fault>("error")?;
        Some(Error::Task { what: what.to_owned(), fault: Box::new(fault) })
    }

    /// Ends a lease well: what was sent becomes the machine's.
    pub async fn complete_lease(&self, lease: &Moref, deadline: Deadline) -> Result<()> {
        self.call_within(&HttpNfcLeaseComplete { this: lease.clone() }, deadline.left()).await
    }

    /// Gives a lease up; a machine that was being made under it goes. One that is over already is none to give up.
    pub async fn abort_lease(&self, lease: &Moref, deadline: Deadline) -> Result<()> {
        match self.call_within(&HttpNfcLeaseAbort { this: lease.clone(), fault: None }, CALL).await {
            Err(e) if e.is_fault("ManagedObjectNotFound") => return Ok(()),
            Err(e) if e.is_fault("InvalidState") => {}
            other => other?,
        }
        // What the server still has to tidy up is over when the lease is.
        let over = |properties: &super::properties::Properties| match properties.get("state") {
            Some(HttpNfcLeaseState::Error | HttpNfcLeaseState::Done) => Ok(Some(())),
            _ => Ok(None),
        };
        match self.watch(lease, &["state"]).until(deadline, "giving up a lease", over).await {
            Err(e) if e.is_fault("ManagedObjectNotFound") => Ok(()),
            other => other,
        }
    }

    /// Sends a file of a lease. `new`: it is made, as images are; disks are there and are filled.
    pub async fn send_disk(
        &self,
        device: &HttpNfcLeaseDeviceUrl,
        (path, size, new): (&str, u64, bool),
        body: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<()> {
        let (url, http) = self.transfer_host(&device.url, vouched(device)).await?;
        let method = if new { "PUT" } else { "POST" };
        let request = if new { http.client().put(url).header("Overwrite", "t") } else { http.client().post(url) };
        let request = request
            .header(CONTENT_TYPE, if new { "application/octet-stream" } else { DISK })
            .header(CONTENT_LENGTH, size)
            .body(reqwest::Body::wrap_stream(body));
        self.inner.count(method);
        let began = tokio::time::Instant::now();
        let answer = http.exchange(method, request, 1 << 20).await;
        self.inner.record(method, b"", began, answer.as_ref().ok().map(|a| (a.status, b"".as_slice())));
        let answer = answer.map_err(|error| broken(&http, path, error))?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
            status => Err(refused(&http, path, status, &answer.body)),
        }
    }

    /// Begins to fetch a file of a lease.
    pub async fn fetch_disk(&self, device: &HttpNfcLeaseDeviceUrl, path: &str) -> Result<DiskDownload> {
        let (url, http) = self.transfer_host(&device.url, vouched(device)).await?;
        self.inner.count("GET");
        let began = tokio::time::Instant::now();
        let response = http.send(http.client().get(url)).await;
        self.inner.record("GET", b"", began, response.as_ref().ok().map(|r| (r.status(), b"".as_slice())));
        let response = response.map_err(|error| broken(&http, path, error))?;
        match response.status() {
            StatusCode::OK => {
                let size = response.content_length();
                Ok(DiskDownload { response, http, path: path.to_owned(), size, received: 0 })
            }
            status => {
                let body = response.bytes().await.unwrap_or_default();
                Err(refused(&http, path, status, &body))
            }
        }
    }

    /// A machine's descriptor, of the files that were fetched.
    pub async fn descriptor(&self, vm: &Moref, name: &str, files: Vec<OvfFile>) -> Result<OvfCreateDescriptorResult> {
        let cdp = OvfCreateDescriptorParams {
            ovf_files: files,
            name: Some(name.to_owned()),
            ..OvfCreateDescriptorParams::default()
        };
        self.call(&CreateDescriptor { this: self.ovf_manager()?, obj: vm.clone(), cdp }).await
    }
}

/// Puts entries of extraConfig into an import's specification, in the place that the schema has for them.
pub fn mark_import(spec: &mut Element, extra: &[OptionValue], place: &Placement) {
    let Some(config) = spec.child_mut("configSpec") else { return };
    follow(config, place);
    let at = config.children.iter().position(|child| AFTER_EXTRA.contains(&child.name.as_str()));
    let at = at.unwrap_or(config.children.len());
    config.children.splice(at..at, extra.iter().map(|option| option.to_element("extraConfig")));
}

/// Puts a machine's files and its disks under the storage policy, if there is one.
fn follow(config: &mut Element, place: &Placement) {
    let is_disk = |change: &Element| {
        change.name == "deviceChange"
            && change.child("device").is_some_and(|d| d.xsi_type.as_deref() == Some("VirtualDisk"))
    };
    for profile in place.profile() {
        for change in config.children.iter_mut().filter(|change| is_disk(change)) {
            let at = change.children.iter().position(|child| child.name == "device");
            change.children.insert(at.map_or(0, |at| at + 1), profile.to_element("profile"));
        }
        let behind = |child: &Element| AFTER_PROFILE.contains(&child.name.as_str());
        let at = config.children.iter().position(behind).unwrap_or(config.children.len());
        config.children.insert(at, profile.to_element("vmProfile"));
    }
}

/// The certificate that the lease says the host has.
async fn vouched(device: &HttpNfcLeaseDeviceUrl) -> Option<Thumbprint> {
    Thumbprint::parse(&device.ssl_thumbprint).ok()
}

/// A disk on its way from the server.
pub struct DiskDownload {
    response: reqwest::Response,
    http: Arc<Http>,
    path: String,
    size: Option<u64>,
    received: u64,
}

impl DiskDownload {
    /// How many bytes there will be, where the server knows.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The next piece; none at the end. Fails when the disk ends early.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        match self.response.chunk().await {
            Ok(Some(chunk)) => {
                self.received += chunk.len() as u64;
                Ok(Some(chunk))
            }
            Ok(None) => match self.size.filter(|size| self.received < *size) {
                Some(size) => Err(Error::Disk {
                    address: self.http.address.clone(),
                    path: self.path.clone(),
                    detail: format!("it ended after {} of {size} bytes", self.received),
                    connection: None,
                }),
                None => Ok(None),
            },
            Err(e) => Err(broken(&self.http, &self.path, self.http.failed(&e))),
        }
    }
}

fn broken(http: &Http, path: &str, error: Error) -> Error {
    let detail = match &error {
        Error::Connect { kind: ConnectKind::Closed, .. } => "the connection broke".to_owned(),
        other => other.to_string(),
    };
    Error::Disk { address: http.address.clone(), path: path.to_owned(), detail, connection: Some(Box::new(error)) }
}

fn refused(http: &Http, path: &str, status: StatusCode, body: &[u8]) -> Error {
    let words = excerpt(body);
    let detail = if words.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {words}") };
    Error::Disk { address: http.address.clone(), path: path.to_owned(), detail, connection: None }
}
