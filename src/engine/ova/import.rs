//! `FROM ova:`: the machine is made by vCenter from the descriptor, and its disks are sent under a lease. Nothing of a
//! half-sent machine is gone on with: it is removed, and made anew.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::manifest::{Digester, Manifest};
use super::read::{Entry as File, Reader};
use super::{SILENCE, digester_for, is_descriptor, is_manifest, open, unusable};
use crate::diagnostic::Diagnostic;
use crate::engine::clone::{changes, target};
use crate::engine::event::Phase;
use crate::engine::ledger::{Entry, EntryId, State};
use crate::engine::machine::Worker;
use crate::engine::options::FailureClass;
use crate::engine::shared::{Shared, Stop};
use crate::engine::{hardware, marks, resume};
use crate::guest::OnMoved;
use crate::plan::{Imported, OvaFile, Resolved, codes};
use crate::sema::program::{Disks, Machine};
use crate::vsphere::client::{Deadline, Error, ImportRequest, Lease, mark_import, stands_still};
use crate::vsphere::wire::{Any, Fault, HttpNfcLeaseDeviceUrl, Moref, OptionValue, OvfFileItem};

/// How many pieces of a disk wait to be sent.
const WAITING: usize = 4;

/// Makes the machine.
pub(in crate::engine) async fn deploy(worker: &mut Worker, resolved: &Resolved, ova: &Imported) -> Result<(), Stop> {
    let shared = Arc::clone(&worker.shared);
    let machine = shared.program.machine(worker.id);
    worker.phase(Phase::Cloning { from: ova.file.name.clone() });
    let (vm, entry) = imported(&shared, machine, resolved, ova).await?;
    worker.vm = Some((vm.clone(), entry));
    let changes = changes(&shared, machine)?;
    let changed = shared.client.reconfigure(&vm, &changes, limit(&shared)).await;
    changed.map_err(|e| Stop::vsphere(&e, machine.span, "changing the imported machine"))?;
    hardware::run(worker, resolved, &vm).await
}

fn limit(shared: &Shared) -> Deadline {
    Deadline::after(shared.options.deadlines.task)
}

/// A failure that is the file's.
fn failed(machine: &Machine, diagnostic: Diagnostic) -> Stop {
    let diagnostic = if diagnostic.primary.is_none() { diagnostic.primary(machine.span, "") } else { diagnostic };
    Stop::failed(FailureClass::Vsphere, "importing failed", diagnostic)
}

/// Imports it, unless an earlier process of this build has done so to the end.
async fn imported(
    shared: &Shared,
    machine: &Machine,
    resolved: &Resolved,
    ova: &Imported,
) -> Result<(Moref, EntryId), Stop> {
    let (name, placement) = target(shared, machine, resolved);
    if let Some((entry, begun)) = shared.ledger.of(machine.id, 0)
        && let Some(vm) = adopt(shared, machine, &begun).await?
    {
        return Ok((vm, entry));
    } else if let Some((entry, _)) = shared.ledger.of(machine.id, 0) {
        shared.ledger.set(entry, State::Gone);
    }
    let doing = |e: &Error| Stop::vsphere(e, machine.span, "importing the OVA");
    let request = ImportRequest {
        name: name.clone(),
        descriptor: ova.file.descriptor.clone(),
        networks: ova.networks.clone(),
        properties: machine.ova.properties.iter().map(|(key, value, _)| (key.clone(), value.clone())).collect(),
        configuration: machine.ova.configuration.clone().unwrap_or_default(),
        provisioning: machine.ova.disks.map(|disks| provisioning(disks).to_owned()),
    };
    let spec = shared.interruptible(shared.client.import_spec(&request, &placement)).await?.map_err(|e| doing(&e))?;
    for warning in &spec.warning {
        shared.events.note(Some(machine.id), &format!("{}: {}", ova.file.name, words(warning)));
    }
    let Some(mut import) = spec.import_spec.filter(|_| spec.error.is_empty()) else {
        let text = format!("vCenter refuses the descriptor of `{}`", ova.file.name);
        let diagnostic = Diagnostic::new(&codes::OVA_MISFIT, text)
            .help("have it exported with hardware that this vCenter knows, or change its descriptor");
        let diagnostic =
            spec.error.iter().fold(diagnostic, |d, fault| d.note(format!("the server says: {}", words(fault))));
        return Err(failed(machine, diagnostic));
    };
    let extra: Vec<OptionValue> = marks::making(shared, machine)
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| OptionValue { key, value: Any::of(&value) })
        .collect();
    mark_import(&mut import, &extra, &placement);
    let entry = Entry::new(machine, placement.pool.clone(), &name, &placement);
    let entry = shared.ledger.begin(entry).await.map_err(|e| Stop::journal(&e))?;
    // Not interruptible: a request that is under way makes a machine.
    let lease = match shared.client.import_vapp(import, &placement).await {
        Ok(lease) => lease,
        Err(error) => {
            if !error.lost_reply() {
                shared.ledger.set(entry, State::Gone);
            }
            return Err(doing(&error));
        }
    };
    shared.ledger.set(entry, State::Cloning(Some(lease.clone())));
    match under_lease(shared, machine, (&lease, &name), &ova.file, &spec.file_item).await {
        Ok(vm) => {
            shared.ledger.set(entry, State::Made(vm.clone()));
            Ok((vm, entry))
        }
        Err(stop) => {
            // What is left all the same is removed with everything else that the build has left.
            let _ = shared.client.abort_lease(&lease, limit(shared)).await;
            Err(stop)
        }
    }
}

/// The machine of an import that an earlier process has ended; what it has left half-made goes.
async fn adopt(shared: &Shared, machine: &Machine, begun: &Entry) -> Result<Option<Moref>, Stop> {
    let failed = |e: &Error| Stop::vsphere(e, machine.span, "looking for the imported machine");
    match &begun.state {
        State::Made(vm) | State::Unpublished(vm) | State::Published(vm) => match shared.client.vm_state(vm).await {
            Ok(_) => Ok(Some(vm.clone())),
            Err(e) if e.is_fault("ManagedObjectNotFound") => Ok(None),
            Err(e) => Err(failed(&e)),
        },
        State::Cloning(lease) => {
            if let Some(lease) = lease {
                shared.client.abort_lease(lease, limit(shared)).await.map_err(|e| failed(&e))?;
            }
            let found = shared.client.vm_in_folder(&begun.folder, &begun.name).await.map_err(|e| failed(&e))?;
            if let Some(vm) = found
                && resume::is_ours(&shared.client, &vm, &shared.options.build, &begun.label)
                    .await
                    .map_err(|e| failed(&e))?
            {
                shared.client.destroy_vm(&vm, limit(shared)).await.map_err(|e| failed(&e))?;
            }
            Ok(None)
        }
        State::Gone => Ok(None),
    }
}

fn provisioning(disks: Disks) -> &'static str {
    match disks {
        Disks::Thin => "thin",
        Disks::Thick => "thick",
        Disks::Eager => "eagerZeroedThick",
    }
}

fn words(fault: &Fault) -> String {
    match fault.messages().as_slice() {
        [] => fault.kind.clone(),
        messages => messages.join(" — "),
    }
}

/// Sends everything under a lease, and ends it; the machine.
async fn under_lease(
    shared: &Shared,
    machine: &Machine,
    (lease, name): (&Moref, &str),
    ova: &OvaFile,
    items: &[OvfFileItem],
) -> Result<Moref, Stop> {
    let what = format!("import `{name}`");
    let doing = |e: &Error| Stop::vsphere(e, machine.span, "importing the OVA");
    let ready = shared.interruptible(shared.client.lease_ready(lease, &what, limit(shared))).await?;
    let lease = ready.map_err(|e| doing(&e))?;
    let done = AtomicU64::new(0);
    let total = ova.bytes();
    let moved = shared.events.moved(machine.id);
    let sending = Sending { shared, machine, lease: &lease, what: &what, done: &done, total, moved };
    let sent = shared.interruptible(async {
        tokio::select! {
            sent = sending.all(ova, items) => sent,
            error = shared.client.keep_lease(&lease, &what, &done, total) => Err(doing(&error)),
            _ = stands_still(&done, SILENCE) => {
                Err(failed(machine, unusable(format!("no byte of `{}` could be sent for minutes", ova.name))))
            }
        }
    });
    sent.await??;
    // Not interruptible: it is almost there, and the reply says whether.
    let completed = match shared.client.complete_lease(&lease.moref, limit(shared)).await {
        Err(e) if e.lost_reply() => match shared.client.vm_state(&lease.info.entity).await {
            Ok(_) => Ok(()),
            Err(_) => Err(e),
        },
        other => other,
    };
    completed.map_err(|e| doing(&e))?;
    Ok(lease.info.entity)
}

struct Sending<'a> {
    shared: &'a Shared,
    machine: &'a Machine,
    lease: &'a Lease,
    what: &'a str,
    done: &'a AtomicU64,
    total: u64,
    moved: OnMoved,
}

impl Sending<'_> {
    async fn all(&self, ova: &OvaFile, items: &[OvfFileItem]) -> Result<(), Stop> {
        let failed = |diagnostic: Diagnostic| failed(self.machine, diagnostic);
        let mut waiting: Vec<(&OvfFileItem, &HttpNfcLeaseDeviceUrl)> = Vec::new();
        for item in items {
            let url = self.lease.info.device_url.iter().find(|url| url.import_key == item.device_id);
            let missing = || unusable(format!("vCenter has no place for `{}` of `{}`", item.path, ova.name));
            waiting.push((item, url.ok_or_else(|| failed(missing()))?));
        }
        let context = &self.shared.options.context;
        let mut reader = open(&self.shared.client, ova, context).await.map_err(failed)?;
        let mut manifest = ova.manifest.as_deref().map(Manifest::parse);
        let mut digests = Vec::new();
        while let Some(file) = reader.entry().await.map_err(failed)? {
            if is_descriptor(&file.name) {
                let text = reader.text(&file, super::TEXT).await.map_err(failed)?;
                if text != ova.descriptor.as_bytes() {
                    return Err(failed(unusable(format!("`{}` is another than when the build began", ova.name))));
                }
                let mut digester = digester_for(manifest.as_ref(), &file.name);
                digester.update(&text);
                digests.push((file.name, digester.end()));
            } else if is_manifest(&file.name) && manifest.is_none() {
                let text = reader.text(&file, super::TEXT).await.map_err(failed)?;
                manifest = Some(Manifest::parse(&String::from_utf8_lossy(&text)));
            } else if let Some(at) = waiting.iter().position(|(item, _)| item.path == file.name) {
                let (item, url) = waiting.remove(at);
                let mut digester = digester_for(manifest.as_ref(), &file.name);
                self.one(&mut reader, &file, (item, url), &mut digester).await?;
                digests.push((file.name, digester.end()));
            }
        }
        if let Some((item, _)) = waiting.first() {
            let text = format!("`{}` lacks the file `{}`, which its descriptor names", ova.name, item.path);
            return Err(failed(unusable(text).help("it was cut off, or taken apart: get it anew")));
        }
        // Before the lease is ended: until then nothing of the machine counts.
        let manifest = manifest.unwrap_or_default();
        digests.iter().try_for_each(|(name, digests)| manifest.check(name, digests)).map_err(failed)
    }

    /// Sends a file as it is read.
    async fn one(
        &self,
        reader: &mut Reader,
        file: &File,
        (item, url): (&OvfFileItem, &HttpNfcLeaseDeviceUrl),
        digester: &mut Digester,
    ) -> Result<(), Stop> {
        let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(WAITING);
        let body = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|piece| (piece, receiver))
        });
        let sending = self.shared.client.send_disk(url, (&item.path, file.size, item.create), body);
        let reading = async move {
            loop {
                match reader.chunk().await {
                    Ok(Some(piece)) => {
                        digester.update(&piece);
                        self.count(piece.len());
                        if sender.send(Ok(piece)).await.is_err() {
                            return Ok(()); // the other half tells why
                        }
                    }
                    Ok(None) => return Ok(()),
                    Err(diagnostic) => {
                        let _ = sender.send(Err(io::Error::other("there is no more of it"))).await;
                        return Err(diagnostic);
                    }
                }
            }
        };
        let (sent, read) = tokio::join!(sending, reading);
        read.map_err(|diagnostic| failed(self.machine, diagnostic))?;
        match sent {
            Ok(()) => Ok(()),
            Err(error) => {
                // The server may have given the lease up, and know why.
                let told = self.shared.client.lease_error(&self.lease.moref, self.what).await;
                let stop = Stop::vsphere(told.as_ref().unwrap_or(&error), self.machine.span, "importing the OVA");
                Err(stop)
            }
        }
    }

    fn count(&self, bytes: usize) {
        let before = self.done.fetch_add(bytes as u64, Ordering::Relaxed);
        (self.moved)(before + bytes as u64, self.total);
    }
}
