//! `OUTPUT OVA`: once everything is built, the machine's disks are fetched under a lease, and written with a descriptor
//! and a manifest to a file that gets its name when it is whole.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::manifest::Digester;
use super::{SILENCE, output_path};
use crate::diagnostic::Diagnostic;
use crate::engine::codes;
use crate::engine::event::Node;
use crate::engine::journal::Record;
use crate::engine::library::made;
use crate::engine::options::{BuiltOutput, FailureClass};
use crate::engine::publish::passed;
use crate::engine::shared::{Shared, Stop};
use crate::guest::OnMoved;
use crate::plan::ResolvedOva;
use crate::sema::program::{Exists, Machine};
use crate::vsphere::client::{Deadline, Error, Lease, stands_still};
use crate::vsphere::wire::{Moref, OvfFile};

/// Writes what the machines of this build leave as files.
pub(in crate::engine) async fn publish(shared: &Shared) -> Result<Vec<BuiltOutput>, Stop> {
    let mut built = Vec::new();
    for machine in &shared.program.machines {
        let Some(resolved) = shared.resolved.get(&machine.id) else { continue };
        // What is there already has been written, too.
        let finished = shared.board.is_done(Node::Finish(machine.id));
        let vm = made(shared, machine).filter(|_| finished);
        for ova in &resolved.ovas {
            if ova.there
                && !ova.written
                && ova.exists == Exists::Keep
                && (vm.is_some() || shared.cache.passes(machine.id))
            {
                shared.events.note(None, &format!("`{}` is kept as it is", ova.name));
                continue;
            }
            let Some(vm) = &vm else { continue };
            if !passed(shared, &ova.after, &ova.name) {
                continue;
            }
            if ova.written {
                shared.events.note(Some(machine.id), &format!("`{}` is written already", ova.name));
            } else {
                shared.events.note(Some(machine.id), &format!("exporting `{}`", ova.name));
                let leaving = Leaving { shared, machine, ova, vm, moved: shared.events.moved(machine.id) };
                leaving.export().await?;
                shared.journal.note(&Record::Exported { file: ova.name.clone() });
            }
            let output = BuiltOutput {
                machine: machine.id,
                label: machine.label.clone(),
                kind: "OVA",
                name: ova.name.clone(),
                moref: output_path(&shared.options.context, &ova.name).display().to_string(),
                ip: None,
                cached: false,
            };
            shared.events.send(output.event(true));
            built.push(output);
        }
    }
    Ok(built)
}

struct Leaving<'a> {
    shared: &'a Shared,
    machine: &'a Machine,
    ova: &'a ResolvedOva,
    vm: &'a Moref,
    moved: OnMoved,
}

/// A disk that was fetched.
struct Disk {
    file: OvfFile,
    /// Where its content is.
    path: PathBuf,
    /// Its line in the manifest.
    line: String,
}

impl Leaving<'_> {
    fn limit(&self) -> Deadline {
        Deadline::after(self.shared.options.deadlines.task)
    }

    fn failed(&self, error: &Error) -> Stop {
        let unsupported = ["NotSupported", "MethodNotFound", "NotImplemented"];
        let lacks = error.is_fault("MethodFault") && unsupported.iter().any(|kind| error.is_fault(kind));
        if lacks {
            let diagnostic = error.diagnostic().primary(self.ova.span, "exporting for this");
            let diagnostic =
                diagnostic.help("this server exports no machines: leave a template, or connect to a vCenter");
            return Stop::failed(FailureClass::Vsphere, "exporting failed", diagnostic);
        }
        Stop::vsphere(error, self.ova.span, "exporting")
    }

    fn unwritten(&self, path: &Path, error: &io::Error) -> Stop {
        let text = format!("`{}` can't be written: {error}", path.display());
        let diagnostic = Diagnostic::new(&codes::OVA_UNWRITTEN, text).primary(self.ova.span, "");
        let help = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room there, or name a file on another file system: while it is written it takes twice its size"
            }
            io::ErrorKind::AlreadyExists if path == Path::new(&self.ova.name) => {
                "somebody has written it meanwhile: `--exists=replace` replaces it"
            }
            _ => "choose another place, or see to the rights on it",
        };
        Stop::failed(FailureClass::Vsphere, "the OVA can't be written", diagnostic.help(help))
    }

    async fn export(&self) -> Result<(), Stop> {
        let path = std::path::absolute(output_path(&self.shared.options.context, &self.ova.name));
        let path = path.unwrap_or_else(|_| output_path(&self.shared.options.context, &self.ova.name));
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        fs::create_dir_all(&directory).map_err(|e| self.unwritten(&directory, &e))?;
        // What is left there by a process that was killed is found again by this.
        let record = Record::Fetch { directory: directory.clone() };
        self.shared.journal.intend(&record).await.map_err(|e| Stop::journal(&e))?;
        let prefix = format!(".vmwbuild-{}-", self.shared.options.build);
        let scratch = tempfile::Builder::new().prefix(&prefix).tempdir_in(&directory);
        let scratch = scratch.map_err(|e| self.unwritten(Path::new(&self.ova.name), &e))?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let lease = self.shared.client.export_vm(self.vm).await.map_err(|e| self.failed(&e))?;
        let fetched = match self.under_lease(&lease, &stem, scratch.path()).await {
            Ok(disks) => disks,
            Err(stop) => {
                let _ = self.shared.client.abort_lease(&lease, self.limit()).await;
                return Err(stop);
            }
        };
        let files = fetched.iter().map(|disk| disk.file.clone()).collect();
        let described = self.shared.client.descriptor(self.vm, &stem, files).await.map_err(|e| self.failed(&e))?;
        if let Some(fault) = described.error.first() {
            let what = format!("describe `{stem}`");
            return Err(self.failed(&Error::Task { what, fault: Box::new(fault.clone()) }));
        }
        for warning in &described.warning {
            let text = format!("{}: {}", self.ova.name, warning.messages().join(" — "));
            self.shared.events.note(Some(self.machine.id), &text);
        }
        let record = Record::Exporting { file: self.ova.name.clone() };
        self.shared.journal.intend(&record).await.map_err(|e| Stop::journal(&e))?;
        let whole = scratch.path().join("whole");
        let (to, text, replaces) = (whole.clone(), described.ovf_descriptor, self.ova.exists == Exists::Replace);
        let last = path.clone();
        let written = tokio::task::spawn_blocking(move || {
            archive(&to, &stem, &text, &fetched)?;
            publish_file(&to, &last, replaces)
        });
        let written = written.await.unwrap_or_else(|e| Err(io::Error::other(e)));
        written.map_err(|e| self.unwritten(Path::new(&self.ova.name), &e))
    }

    /// Fetches the disks.
    async fn under_lease(&self, lease: &Moref, stem: &str, scratch: &Path) -> Result<Vec<Disk>, Stop> {
        let what = format!("export `{stem}`");
        let client = &self.shared.client;
        let ready = self.shared.interruptible(client.lease_ready(lease, &what, self.limit())).await?;
        let lease = ready.map_err(|e| self.failed(&e))?;
        let (done, total) = (AtomicU64::new(0), total(&lease));
        let fetched = self.shared.interruptible(async {
            tokio::select! {
                fetched = self.fetch((&lease, &what), stem, scratch, (&done, total)) => fetched,
                error = client.keep_lease(&lease, &what, &done, total) => Err(self.failed(&error)),
                _ = stands_still(&done, SILENCE) => {
                    Err(self.failed(&Error::Stalled { what: what.clone(), silence: SILENCE }))
                }
            }
        });
        let fetched = fetched.await??;
        client.complete_lease(&lease.moref, self.limit()).await.map_err(|e| self.failed(&e))?;
        Ok(fetched)
    }

    async fn fetch(
        &self,
        (lease, what): (&Lease, &str),
        stem: &str,
        scratch: &Path,
        (done, total): (&AtomicU64, u64),
    ) -> Result<Vec<Disk>, Stop> {
        let mut disks = Vec::new();
        // Images that lie in drives, and what the firmware remembers, aren't the machine's to give away.
        let urls = lease.info.device_url.iter().filter(|url| url.disk != Some(false));
        for (number, url) in urls.enumerate() {
            let own = url.target_id.as_deref().and_then(|id| id.rsplit('/').next()).filter(|id| !id.is_empty());
            let own = own.map_or_else(|| format!("disk-{number}.vmdk"), str::to_owned);
            let name = if own.starts_with(stem) { own } else { format!("{stem}-{own}") };
            let path = scratch.join(format!("disk-{number}"));
            // Whatever it is called on the way: people know it by the name that it is to get.
            let unwritten = |e: &io::Error| self.unwritten(Path::new(&self.ova.name), e);
            let mut file = tokio::fs::File::create(&path).await.map_err(|e| unwritten(&e))?;
            let mut download = match self.shared.client.fetch_disk(url, &name).await {
                Ok(download) => download,
                Err(error) => return Err(self.told(lease, what, &error).await),
            };
            let (mut digester, mut size) = (Digester::sha256(), 0u64);
            loop {
                match download.chunk().await {
                    Ok(Some(piece)) => {
                        digester.update(&piece);
                        size += piece.len() as u64;
                        self.count(done, piece.len() as u64, total);
                        tokio::io::AsyncWriteExt::write_all(&mut file, &piece).await.map_err(|e| unwritten(&e))?;
                    }
                    Ok(None) => break,
                    Err(error) => return Err(self.told(lease, what, &error).await),
                }
            }
            tokio::io::AsyncWriteExt::flush(&mut file).await.map_err(|e| unwritten(&e))?;
            let line = digester.end().line(&name);
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            let file = OvfFile { device_id: url.key.clone(), path: name, size, ..OvfFile::default() };
            disks.push(Disk { file, path, line });
        }
        Ok(disks)
    }

    /// Why a transfer has failed: the server may have given the lease up, and know why.
    async fn told(&self, lease: &Lease, what: &str, error: &Error) -> Stop {
        let told = self.shared.client.lease_error(&lease.moref, what).await;
        self.failed(told.as_ref().unwrap_or(error))
    }

    fn count(&self, done: &AtomicU64, bytes: u64, total: u64) {
        let before = done.fetch_add(bytes, Ordering::Relaxed);
        (self.moved)(before + bytes, total);
    }
}

/// How much there is to fetch, as far as the server tells; else the most that there can be.
fn total(lease: &Lease) -> u64 {
    let told: i64 = lease.info.device_url.iter().filter_map(|url| url.file_size).sum();
    let most = lease.info.total_disk_capacity_in_kb.saturating_mul(1024);
    u64::try_from(if told > 0 { told } else { most }).unwrap_or_default()
}

/// Writes the archive: descriptor, manifest, disks. The same machine makes the same bytes: nothing in it tells when or by
/// whom it was written.
fn archive(to: &Path, stem: &str, descriptor: &str, disks: &[Disk]) -> io::Result<()> {
    let file = fs::File::create(to)?;
    let mut builder = tar::Builder::new(io::BufWriter::with_capacity(1 << 20, file));
    let mut digester = Digester::sha256();
    digester.update(descriptor.as_bytes());
    let own = format!("{stem}.ovf");
    let lines = std::iter::once(digester.end().line(&own)).chain(disks.iter().map(|disk| disk.line.clone()));
    let manifest: String = lines.collect();
    let header = |size: u64| {
        // Only this form has room for the size of large disks.
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header
    };
    for (name, text) in [(own, descriptor), (format!("{stem}.mf"), manifest.as_str())] {
        builder.append_data(&mut header(text.len() as u64), name, text.as_bytes())?;
    }
    for disk in disks {
        let size = u64::try_from(disk.file.size).unwrap_or_default();
        builder.append_data(&mut header(size), &disk.file.path, fs::File::open(&disk.path)?)?;
        // So that there is never more than one of them twice.
        fs::remove_file(&disk.path)?;
    }
    let mut buffer = builder.into_inner()?;
    buffer.flush()?;
    buffer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Gives it its name. What is there is replaced only where that was asked for.
fn publish_file(from: &Path, to: &Path, replaces: bool) -> io::Result<()> {
    if replaces {
        return fs::rename(from, to);
    }
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(e),
        // A file system without links.
        Err(_) if !to.exists() => fs::rename(from, to),
        Err(_) => Err(io::ErrorKind::AlreadyExists.into()),
    }
}
