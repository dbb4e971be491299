//! Leases: while one is held, a machine's disks are sent or fetched.

use std::sync::Arc;
use std::time::Instant;

use tempfile::NamedTempFile;

use super::transfer::PATH;
use crate::sandbox::faults::{
    Answer, invalid_argument, invalid_power_state, invalid_state, machinery, not_found, request_canceled, system_error,
    task_in_progress,
};
use crate::sandbox::guests::{Head, Parent};
use crate::sandbox::inventory::Body;
use crate::sandbox::machine::{self, Disk, Power, Property, Vm};
use crate::sandbox::server::{Call, Server};
use crate::sandbox::{DEFAULT_TEMPLATE, model};
use crate::vsphere::wire::{
    Element, Fault, HttpNfcLeaseDeviceUrl, HttpNfcLeaseInfo, HttpNfcLeaseManifestEntry, HttpNfcLeaseState, Moref,
    Value, VirtualMachineConfigSpec,
};

/// A lease.
#[derive(Debug)]
pub(in crate::sandbox) struct Lease {
    /// The machine; none until it is made.
    pub vm: Option<Moref>,
    /// Whether the machine comes with it, and goes when it fails.
    pub imports: bool,
    pub state: HttpNfcLeaseState,
    pub error: Option<Fault>,
    pub info: Option<HttpNfcLeaseInfo>,
    pub percent: i32,
    /// When somebody has last shown that he is there.
    pub renewed: Instant,
    pub files: Vec<LeaseFile>,
}

/// A file of a lease.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct LeaseFile {
    /// The last part of its URL.
    pub name: String,
    /// What has come, or what is to be fetched.
    pub content: Option<Arc<NamedTempFile>>,
    /// What it is, where it holds layers.
    pub head: Option<Head>,
    /// What has come, or gone.
    pub entry: Option<HttpNfcLeaseManifestEntry>,
}

/// How a disk is called under leases that fetch it.
pub(super) fn layers_disk(number: usize) -> String {
    format!("disk-{number}")
}

impl Server {
    /// Makes a lease that is not ready yet.
    fn open_lease(self: &Arc<Self>, vm: Option<Moref>, imports: bool) -> Moref {
        let mut state = self.lock();
        let lease = state.inventory.make("HttpNfcLease", "session-lease");
        let made = Lease {
            vm,
            imports,
            state: HttpNfcLeaseState::Initializing,
            error: None,
            info: None,
            percent: 0,
            renewed: Instant::now(),
            files: Vec::new(),
        };
        state.leases.insert(lease.clone(), made);
        lease
    }

    fn change_lease<T>(&self, lease: &Moref, change: impl FnOnce(&mut Lease) -> T) -> Answer<T> {
        let mut state = self.lock();
        let found = state.leases.get_mut(lease).ok_or_else(|| not_found(lease))?;
        let done = change(found);
        state.inventory.touch(lease);
        Ok(done)
    }

    /// A lease is ready: its machine belongs to it until it ends, or nobody renews it.
    fn lease_ready(
        self: &Arc<Self>,
        lease: &Moref,
        vm: &Moref,
        host: &str,
        files: Vec<(HttpNfcLeaseDeviceUrl, LeaseFile)>,
    ) {
        let timeout = self.config.lease_timeout;
        let (urls, files): (Vec<_>, Vec<_>) = files.into_iter().unzip();
        let address = format!("https://{host}:{}{PATH}{}", self.fixed.transfer_port, lease.value);
        let filled = |mut url: HttpNfcLeaseDeviceUrl| {
            url.url = format!("{address}/{}", url.url);
            url.ssl_thumbprint.clone_from(&self.fixed.host_thumbprint);
            url
        };
        let total = self.lock().inventory.vm(vm).map(|vm| vm.capacity() >> 10).unwrap_or_default();
        let info = HttpNfcLeaseInfo {
            lease: lease.clone(),
            entity: vm.clone(),
            device_url: urls.into_iter().map(filled).collect(),
            total_disk_capacity_in_kb: total,
            lease_timeout: i32::try_from(timeout.as_secs()).unwrap_or(i32::MAX),
        };
        let _ = self.change_lease(lease, |held| {
            (held.vm, held.files, held.info) = (Some(vm.clone()), files, Some(info));
            held.state = HttpNfcLeaseState::Ready;
            held.renewed = Instant::now();
        });
        let (server, lease) = (Arc::clone(self), lease.clone());
        self.background.spawn(async move {
            loop {
                let renewed = match server.lock().leases.get(&lease) {
                    Some(held) if held.state == HttpNfcLeaseState::Ready => held.renewed,
                    _ => return,
                };
                let left = timeout.saturating_sub(renewed.elapsed());
                if left.is_zero() {
                    let fault = Fault::new("HttpFault", "The lease has timed out.");
                    return server.end_lease(&lease, Some(fault)).await;
                }
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    () = server.closing.cancelled() => return,
                }
            }
        });
    }

    /// Ends a lease: well, or with a fault, and then what it was making goes.
    async fn end_lease(&self, lease: &Moref, fault: Option<Fault>) {
        let ended = self.change_lease(lease, |held| {
            held.state = if fault.is_some() { HttpNfcLeaseState::Error } else { HttpNfcLeaseState::Done };
            held.error.clone_from(&fault);
            held.files.clear();
            (held.vm.clone(), held.imports)
        });
        let Ok((Some(vm), imports)) = ended else { return };
        {
            let mut state = self.lock();
            if let Ok(machine) = state.inventory.change_vm(&vm) {
                machine.busy = None;
            }
            if imports && fault.is_some() {
                state.inventory.remove(&vm);
                state.tags.forget(&vm);
            }
        }
        self.sweep().await;
    }

    /// Notes that somebody is there.
    pub(super) fn renew_lease(&self, lease: &Moref) {
        if let Some(held) = self.lock().leases.get_mut(lease) {
            held.renewed = Instant::now();
        }
    }
}

/// `ImportVApp`.
pub(super) fn import(server: &Arc<Server>, call: &Call) -> Answer<Element> {
    let spec: Element = call.arg("spec")?;
    let (folder, host): (Option<Moref>, Option<Moref>) = (call.arg("folder")?, call.arg("host")?);
    if spec.xsi_type.as_deref() != Some("VirtualMachineImportSpec") {
        return Err(invalid_argument("spec"));
    }
    let config = spec.child("configSpec").ok_or_else(|| invalid_argument("spec.configSpec"))?;
    let properties = super::import::properties_of(config);
    let config = VirtualMachineConfigSpec::from_element(config).map_err(|e| crate::sandbox::faults::malformed(&e))?;
    if let Some(folder) = &folder
        && !matches!(&server.lock().inventory.node(folder)?.body, Body::Folder(kinds) if kinds.contains(&"VirtualMachine"))
    {
        return Err(invalid_argument("folder"));
    }
    let lease = server.open_lease(None, true);
    let (own, pool, fail, reply) = (Arc::clone(server), call.this.clone(), call.task_fault.clone(), lease.clone());
    let reached = if call.host.is_empty() { "localhost".to_owned() } else { call.host.clone() };
    server.background.spawn(async move {
        own.pause(own.config.clone_delay).await;
        let made = match fail {
            Some(fault) => Err(fault),
            None => make(&own, (&config, properties), &pool, folder, host, &lease),
        };
        match made {
            Ok((vm, files)) => own.lease_ready(&lease, &vm, &reached, files),
            Err(fault) => own.end_lease(&lease, Some(fault)).await,
        }
    });
    call.answer(&reply)
}

type Files = Vec<(HttpNfcLeaseDeviceUrl, LeaseFile)>;

/// Makes the machine that a lease is about.
fn make(
    server: &Server,
    (config, properties): (&VirtualMachineConfigSpec, Vec<Property>),
    pool: &Moref,
    folder: Option<Moref>,
    host: Option<Moref>,
    lease: &Moref,
) -> Answer<(Moref, Files)> {
    let mut state = server.lock();
    let owner = state.inventory.owner(pool).ok_or_else(|| invalid_argument("pool"))?;
    let host = host.or_else(|| state.inventory.a_host(&owner)).ok_or_else(|| invalid_argument("host"))?;
    let folder = folder.unwrap_or_else(|| state.places.vm_folder.clone());
    let name = config.name.as_deref().ok_or_else(|| invalid_argument("spec.configSpec.name"))?;
    let name = state.inventory.free_name(&folder, name, None)?;
    let (datastore, network) = (state.places.datastore.clone(), state.places.network.clone());
    let base = Parent::Template(DEFAULT_TEMPLATE.to_owned());
    let mut vm = Vm::new(host, Some(pool.clone()), datastore.clone(), base, crate::sandbox::now());
    let number = state.inventory.number();
    let mut devices = machine::devices(model::DATASTORE, &datastore, &network, &name, number);
    // Its disks, their controllers and its adapters are those of the descriptor.
    devices.retain(|d| matches!(d.xsi_type.as_deref(), Some("VirtualIDEController" | "VirtualPCIController")));
    vm.config.devices = devices;
    crate::sandbox::operations::apply(&mut vm, config)?;
    vm.config.devices = machine::cloned(&vm.config.devices, number);
    vm.config.properties = properties;
    if let Some(version) = config.version.as_deref().and_then(|v| v.strip_prefix("vmx-")).and_then(|v| v.parse().ok()) {
        vm.config.traits.version = version;
    }
    vm.busy = Some(lease.clone());
    let disks = vm.config.devices.iter().filter(|d| d.xsi_type.as_deref() == Some("VirtualDisk")).count();
    let keys: Vec<String> = (0..disks).map(|number| format!("/{name}/VirtualDisk:{number}")).collect();
    let vm = state.inventory.add_vm(&folder, &name, vm);
    let files = keys.into_iter().enumerate().map(|(number, import_key)| {
        let name = format!("disk-{number}.vmdk");
        let url = HttpNfcLeaseDeviceUrl {
            key: format!("/{}/VirtualDisk:{number}", vm.value),
            import_key,
            url: name.clone(),
            disk: Some(true),
            target_id: Some(name.clone()),
            ..HttpNfcLeaseDeviceUrl::default()
        };
        (url, LeaseFile { name, content: None, head: None, entry: None })
    });
    Ok((vm.clone(), files.collect()))
}

/// `ExportVm`.
pub(super) fn export(server: &Arc<Server>, call: &Call) -> Answer<Element> {
    let vm = call.this.clone();
    {
        let state = server.lock();
        let machine = state.inventory.vm(&vm)?;
        if machine.power != Power::Off {
            return Err(invalid_power_state(Some("poweredOff"), machine.power.as_str()));
        }
        if let Some(task) = &machine.busy {
            return Err(task_in_progress(task));
        }
    }
    let lease = server.open_lease(Some(vm.clone()), false);
    server.lock().inventory.change_vm(&vm)?.busy = Some(lease.clone());
    let (own, fail, reply) = (Arc::clone(server), call.task_fault.clone(), lease.clone());
    let reached = if call.host.is_empty() { "localhost".to_owned() } else { call.host.clone() };
    server.background.spawn(async move {
        let packed = match fail {
            Some(fault) => Err(fault),
            None => pack(&own, &vm).await,
        };
        match packed {
            Ok(files) => own.lease_ready(&lease, &vm, &reached, files),
            Err(fault) => own.end_lease(&lease, Some(fault)).await,
        }
    });
    call.answer(&reply)
}

/// The layers of a machine as a file. Its further disks are empty: they have no files.
async fn pack(server: &Server, vm: &Moref) -> Answer<Files> {
    let unwritable = |e: std::io::Error| system_error(&format!("the disk can't be written: {e}"));
    let file = NamedTempFile::new().map_err(unwritable)?;
    let held = server.disks.lock().await;
    let base = server.freeze(vm).await?;
    match (&server.guests, &base) {
        (Some(guests), _) => guests.pack(&base, file.as_file()).await.map_err(|e| machinery(&e))?,
        (None, Parent::Template(name)) => {
            let mut archive = tar::Builder::new(file.as_file());
            let written = Head::new(name, 0).write(&mut archive).and_then(|()| archive.finish());
            written.map_err(unwritable)?;
        }
        (None, Parent::Layer(_)) => return Err(system_error("guests can't run here, and there are layers")),
    }
    drop(held);
    let size = file.as_file().metadata().map_err(unwritable)?.len();
    let name = "disk-0.layers.vmdk".to_owned();
    let url = HttpNfcLeaseDeviceUrl {
        key: layers_disk(0),
        import_key: String::new(),
        url: name.clone(),
        disk: Some(true),
        target_id: Some(name.clone()),
        file_size: i64::try_from(size).ok(),
        ..HttpNfcLeaseDeviceUrl::default()
    };
    Ok(vec![(url, LeaseFile { name, content: Some(Arc::new(file)), head: None, entry: None })])
}

/// `HttpNfcLeaseProgress`.
pub(super) fn progress(server: &Server, call: &Call) -> Answer<Element> {
    let percent: i32 = call.arg("percent")?;
    server.change_lease(&call.this, |held| {
        (held.percent, held.renewed) = (percent, Instant::now());
        match held.state {
            HttpNfcLeaseState::Ready => Ok(()),
            _ => Err(invalid_state("The lease is not ready.")),
        }
    })??;
    call.answer(&())
}

/// `HttpNfcLeaseGetManifest`: what has come so far.
pub(super) fn manifest(server: &Server, call: &Call) -> Answer<Element> {
    let entries = server.change_lease(&call.this, |held| {
        let urls = held.info.iter().flat_map(|info| &info.device_url);
        let entry = |url: &HttpNfcLeaseDeviceUrl| {
            let name = url.url.rsplit('/').next()?;
            let entry = held.files.iter().find(|file| file.name == name)?.entry.clone()?;
            Some(HttpNfcLeaseManifestEntry { key: url.key.clone(), ..entry })
        };
        urls.filter_map(entry).collect::<Vec<_>>()
    })?;
    call.answer(&entries)
}

/// `HttpNfcLeaseComplete`: what has come becomes the machine's disk.
pub(super) async fn complete(server: &Server, call: &Call) -> Answer<Element> {
    let (vm, imports, files) = server.change_lease(&call.this, |held| match held.state {
        HttpNfcLeaseState::Ready => Ok((held.vm.clone(), held.imports, held.files.clone())),
        _ => Err(invalid_state("The lease is not ready.")),
    })??;
    let vm = vm.ok_or_else(|| invalid_state("The lease is not ready."))?;
    if imports {
        let layers = files.iter().find_map(|file| Some((file.head.clone()?, file.content.clone()?)));
        if let Some((head, file)) = layers {
            let _held = server.disks.lock().await;
            let base = match (&server.guests, head.layers) {
                (_, 0) => Ok(Parent::Template(head.template.clone())),
                (Some(guests), _) => guests.unpack(&head, file.as_file()).await.map_err(|e| machinery(&e)),
                (None, _) => Err(system_error("guests can't run here, and the disk has layers")),
            };
            match base {
                Ok(base) => server.lock().inventory.change_vm(&vm)?.disk = Disk { base, top: None },
                Err(fault) => {
                    drop(_held);
                    server.end_lease(&call.this, Some(fault.clone())).await;
                    return Err(fault);
                }
            }
        }
    }
    server.end_lease(&call.this, None).await;
    call.answer(&())
}

/// `HttpNfcLeaseAbort`.
pub(super) async fn abort(server: &Server, call: &Call) -> Answer<Element> {
    let fault: Option<Fault> = call.arg("fault")?;
    let open = server.change_lease(&call.this, |held| held.error.is_none() && held.state != HttpNfcLeaseState::Done)?;
    if !open {
        return Err(invalid_state("The lease is over."));
    }
    server.end_lease(&call.this, Some(fault.unwrap_or_else(request_canceled))).await;
    call.answer(&())
}
