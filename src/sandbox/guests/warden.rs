//! The process that owns the store and all guests.

use super::boot::{self, Home, Plan, Report};
use super::ground::Ground;
use super::hints;
use super::store::{Store, layer_path};
use super::template::{Builder, Top};
use super::wire::{self, Answer, Ask, Source};
use super::{BootSpec, Ended, Error, Facts, GuestId, LayerId, Parent, Result, archive, init, sys, tree};
use rustix::process::{WaitOptions, WaitStatus};
use std::collections::HashMap;
use std::fs;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Serves the tool, one request after the other; what takes long is done by workers.
#[derive(Debug)]
pub struct Warden {
    control: UnixStream,
    signals: OwnedFd,
    ground: Ground,
    home: Home,
    store: Store,
    guests: HashMap<i32, Guest>,
    booting: Vec<Booting>,
    workers: HashMap<i32, Worker>,
    next_guest: u64,
}

#[derive(Debug)]
struct Guest {
    id: GuestId,
    layer: LayerId,
    /// Where its end is told.
    connection: UnixStream,
    stopped: bool,
}

#[derive(Debug)]
struct Booting {
    id: GuestId,
    layer: LayerId,
    connection: UnixStream,
    reports: PipeReader,
    received: Vec<u8>,
    pid: Option<i32>,
}

/// A process that does what takes long.
#[derive(Debug)]
struct Worker {
    connection: UnixStream,
    result: PipeReader,
    then: Then,
}

/// What a worker's success means.
#[derive(Debug)]
enum Then {
    Template(String),
    Copied(LayerId),
    /// A layer that was empty.
    Filled(LayerId),
    /// Nothing in the store is another than before.
    Nothing,
}

impl Warden {
    /// A warden without guests, with the layers that are there.
    pub fn new(control: UnixStream, ground: Ground) -> Result<Self> {
        let store = hints::step("opening the store", Store::open(ground.ids))?;
        let signals = hints::step("taking signals", sys::signals_as_descriptor())?;
        let home = hints::step(hints::NAMESPACES, Home::here())?;
        if !ground.ids.is_user() {
            // Who may leave but not come back is told now, and not when the first guest boots.
            hints::step(hints::NAMESPACES, home.enter())?;
        }
        Ok(Self {
            control,
            signals,
            ground,
            home,
            store,
            guests: HashMap::new(),
            booting: Vec::new(),
            workers: HashMap::new(),
            next_guest: 1,
        })
    }

    /// What it found on this host.
    pub fn facts(&self) -> Facts {
        self.ground.facts()
    }

    /// Serves until the tool hangs up. Ending this process ends everything.
    pub fn run(&mut self) -> i32 {
        loop {
            let mut descriptors = vec![self.signals.as_fd(), self.control.as_fd()];
            descriptors.extend(self.booting.iter().map(|guest| guest.reports.as_fd()));
            let Ok(ready) = sys::poll(&descriptors, None) else { return 1 };
            // Reports before ends, and ends before requests, so that each finds what it builds on.
            let reported = ready.get(2..).unwrap_or_default().to_vec();
            self.take_reports(&reported);
            if ready.first() == Some(&true) {
                while sys::next_signal(&self.signals).is_some() {}
                self.reap();
            }
            if ready.get(1) == Some(&true) {
                match wire::accept(&self.control) {
                    Ok(Some((_, connection))) => self.serve(connection),
                    Ok(None) => return 0,
                    Err(_) => {}
                }
            }
        }
    }

    fn serve(&mut self, connection: UnixStream) {
        let Ok(Some((ask, descriptors))) = wire::receive::<Ask>(&connection) else { return };
        let mut descriptors = descriptors.into_iter();
        let answer = match ask {
            Ask::Start(_) => Err(Error::Internal("the warden runs already".to_owned())),
            Ask::NewLayer { parent } => self.store.new_layer(parent).map(Answer::Layer),
            Ask::Freeze { layer } => self.store.freeze(layer).map(|()| Answer::Done),
            Ask::Layers => Ok(Answer::Layers(self.store.list())),
            Ask::Stop { guest } => self.stop(guest).map(|()| Answer::Done),
            Ask::AddTemplate { name, source } => {
                match self.add_template(name, source, descriptors.next(), &connection) {
                    Ok(()) => return,
                    Err(error) => Err(error),
                }
            }
            Ask::Copy { layer } => match self.copy(layer, &connection) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Ask::Pack { parent } => match self.pack(&parent, descriptors.next(), &connection) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Ask::Unpack { layer, number } => match self.unpack(layer, number, descriptors.next(), &connection) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Ask::Delete { layer } => match self.delete(layer, &connection) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Ask::Boot { layer, spec } => match self.boot(layer, spec, descriptors.next(), &connection) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
        };
        // Who asked may have given up.
        let _ = wire::send(&connection, &answer.unwrap_or_else(Answer::Failed), &[]);
    }

    fn add_template(
        &mut self,
        name: String,
        source: Source,
        archive: Option<OwnedFd>,
        connection: &UnixStream,
    ) -> Result<()> {
        let directory = self
            .store
            .template_directory()
            .map_err(|error| Error::Internal(format!("no place for a template in the store: {error}")))?;
        let (ids, namespace) = (self.ground.ids, self.ground.namespace.as_ref());
        let worker = self.work(connection, Then::Template(name), || {
            let builder = Builder { ids, namespace, directory: &directory };
            match (source, archive) {
                (Source::Host, _) => builder.host(),
                (Source::Directory(path), _) => builder.directory(&path),
                (Source::Tar, Some(archive)) => builder.tar(archive.into()),
                (Source::Tar, None) => Err(Error::Internal("an archive without its descriptor".to_owned())),
            }
        })?;
        self.workers.insert(worker.0, worker.1);
        Ok(())
    }

    fn copy(&mut self, from: LayerId, connection: &UnixStream) -> Result<()> {
        let to = self.store.copy(from)?;
        let worker = self.work(connection, Then::Copied(to), || {
            let failed = |error: io::Error| {
                let _ = fs::remove_dir_all(layer_path(to));
                Error::Internal(format!("layer {} can't be copied: {error}", from.0))
            };
            for entry in fs::read_dir(layer_path(from)).map_err(failed)? {
                let name = entry.map_err(failed)?.file_name();
                if name != "meta.json" {
                    tree::copy(&layer_path(from).join(&name), &layer_path(to).join(&name), tree::Attributes::Layer)
                        .map_err(failed)?;
                }
            }
            Ok(Vec::new())
        })?;
        self.workers.insert(worker.0, worker.1);
        Ok(())
    }

    fn pack(&mut self, parent: &Parent, file: Option<OwnedFd>, connection: &UnixStream) -> Result<()> {
        let file = file.ok_or_else(|| Error::Internal("no file to pack into".to_owned()))?;
        let ((template, layers), ids) = (self.store.below(parent)?, self.ground.ids);
        let worker = self.work(connection, Then::Nothing, || {
            let packed = archive::pack(ids, &template, &layers, file.into());
            packed.map_err(|error| Error::Internal(format!("layers can't be packed: {error}")))?;
            Ok(Vec::new())
        })?;
        self.workers.insert(worker.0, worker.1);
        Ok(())
    }

    fn unpack(&mut self, layer: LayerId, number: u32, file: Option<OwnedFd>, connection: &UnixStream) -> Result<()> {
        let file = file.ok_or_else(|| Error::Internal("no file to unpack".to_owned()))?;
        self.store.fill(layer)?;
        let ids = self.ground.ids;
        let worker = self.work(connection, Then::Filled(layer), || {
            let unpacked = archive::unpack(ids, number, file.into(), layer);
            unpacked.map_err(|error| Error::Internal(format!("layers can't be unpacked: {error}")))?;
            Ok(Vec::new())
        });
        match worker {
            Ok((pid, worker)) => drop(self.workers.insert(pid, worker)),
            Err(error) => {
                self.store.give_back(layer);
                return Err(error);
            }
        }
        Ok(())
    }

    fn delete(&mut self, layer: LayerId, connection: &UnixStream) -> Result<()> {
        let doomed = self.store.delete(layer)?;
        let worker = self.work(connection, Then::Nothing, || {
            for path in doomed {
                match fs::remove_dir_all(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(Error::Internal(format!("layer {} can't be deleted: {error}", layer.0)));
                    }
                    _ => {}
                }
            }
            Ok(Vec::new())
        })?;
        self.workers.insert(worker.0, worker.1);
        Ok(())
    }

    /// Does something in a process of its own; its answer is given when that ends.
    fn work(
        &self,
        connection: &UnixStream,
        then: Then,
        task: impl FnOnce() -> Result<Vec<Top>>,
    ) -> Result<(i32, Worker)> {
        let internal = |error: io::Error| Error::Internal(format!("the warden can't start a worker: {error}"));
        let (result, mut tell) = io::pipe().map_err(internal)?;
        let connection = connection.try_clone().map_err(internal)?;
        match sys::fork(0).map_err(internal)? {
            sys::Fork::Child => {
                sys::default_signals();
                let outcome = task();
                let text = serde_json::to_vec(&outcome).unwrap_or_default();
                let written = tell.write_all(&text);
                sys::exit_now(i32::from(written.is_err()))
            }
            sys::Fork::Parent(pid) => Ok((pid, Worker { connection, result, then })),
        }
    }

    fn boot(
        &mut self,
        layer: LayerId,
        spec: BootSpec,
        control: Option<OwnedFd>,
        connection: &UnixStream,
    ) -> Result<()> {
        let internal = |error: io::Error| Error::Internal(format!("a guest can't be booted: {error}"));
        let control = control.ok_or_else(|| Error::Internal("a guest without its socket".to_owned()))?.into();
        let connection = connection.try_clone().map_err(internal)?;
        let id = GuestId(self.next_guest);
        self.next_guest += 1;
        let overlays = self.store.take(layer)?;
        let started = self.ground.cgroups.add(id.0, spec.max_processes, spec.max_memory).and_then(|cgroups| {
            let standing = self.ground.standing();
            boot::start(Plan { overlays, spec, standing, control, cgroups }, &self.home)
        });
        match started {
            Ok(reports) => {
                self.booting.push(Booting { id, layer, connection, reports, received: Vec::new(), pid: None });
                Ok(())
            }
            Err(error) => {
                self.store.give_back(layer);
                self.ground.cgroups.remove(id.0);
                Err(hints::refused(hints::NAMESPACES, &error))
            }
        }
    }

    fn stop(&mut self, id: GuestId) -> Result<()> {
        match self.guests.iter_mut().find(|(_, guest)| guest.id == id) {
            Some((pid, guest)) => {
                guest.stopped = true;
                // It is our child and not reaped yet, so the number is still its own.
                sys::kill(*pid, libc::SIGKILL)
                    .map_err(|error| Error::Internal(format!("a guest can't be stopped: {error}")))
            }
            None => Err(Error::NotFound(format!("guest {}", id.0))),
        }
    }

    fn take_reports(&mut self, ready: &[bool]) {
        let mut still = Vec::new();
        let booting = std::mem::take(&mut self.booting);
        for (guest, ready) in booting.into_iter().zip(ready.iter().copied().chain(std::iter::repeat(false))) {
            let mut guest = guest;
            let mut bytes = [0; 4096];
            if !ready {
                still.push(guest);
                continue;
            }
            match guest.reports.read(&mut bytes) {
                Ok(0) | Err(_) => self.booted(guest),
                Ok(read) => {
                    guest.received.extend(bytes.get(..read).unwrap_or_default());
                    still.push(guest);
                }
            }
        }
        self.booting = still;
    }

    /// All reports of a guest are there.
    fn booted(&mut self, mut guest: Booting) {
        let (mut is_ready, mut failure) = (false, None);
        for line in guest.received.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(Report::Pid(pid)) => guest.pid = Some(pid),
                Ok(Report::Ready) => is_ready = true,
                Ok(Report::Failed(error)) => failure = failure.or(Some(error)),
                Err(_) => {}
            }
        }
        match (guest.pid, is_ready, failure) {
            (Some(pid), true, None) => {
                let Booting { id, layer, connection, .. } = guest;
                if !wire::send_at_once(&connection, &Answer::Booted(id)) {
                    // Who wanted it gave up, and nobody else will ever stop it.
                    let _ = sys::kill(pid, libc::SIGKILL);
                }
                self.guests.insert(pid, Guest { id, layer, connection, stopped: false });
                // It may have ended already, and its end been collected as that of an unknown process.
                if sys::kill(pid, 0).is_err() {
                    self.ended(pid, Ended::Died);
                }
            }
            (pid, _, failure) => {
                if let Some(pid) = pid {
                    let _ = sys::kill(pid, libc::SIGKILL);
                }
                self.store.give_back(guest.layer);
                self.ground.cgroups.remove(guest.id.0);
                let failure =
                    failure.unwrap_or_else(|| Error::Internal("the guest's init ended before it was ready".to_owned()));
                wire::send_at_once(&guest.connection, &Answer::Failed(failure));
            }
        }
    }

    fn reap(&mut self) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let pid = pid.as_raw_nonzero().get();
                    if let Some(worker) = self.workers.remove(&pid) {
                        self.worked(worker);
                    } else {
                        self.ended(pid, how(status));
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn ended(&mut self, pid: i32, how: Ended) {
        if let Some(guest) = self.guests.remove(&pid) {
            self.store.give_back(guest.layer);
            self.ground.cgroups.remove(guest.id.0);
            let how = if guest.stopped { Ended::Stopped } else { how };
            wire::send_at_once(&guest.connection, &Answer::Ended(how));
        }
    }

    fn worked(&mut self, mut worker: Worker) {
        let mut text = Vec::new();
        let outcome: Result<Vec<Top>> = match worker.result.read_to_end(&mut text) {
            Ok(_) => serde_json::from_slice(&text)
                .unwrap_or_else(|_| Err(Error::Internal("a worker of the warden died".to_owned()))),
            Err(error) => Err(Error::Internal(format!("a worker's answer can't be read: {error}"))),
        };
        let answer = match (worker.then, outcome) {
            (Then::Template(name), Ok(tops)) => {
                self.store.add_template(name, tops);
                Ok(Answer::Done)
            }
            (Then::Copied(layer), Ok(_)) => self.store.copied(layer, true).map(|()| Answer::Layer(layer)),
            (Then::Copied(layer), Err(error)) => self.store.copied(layer, false).and(Err(error)),
            (Then::Filled(layer), filled) => {
                self.store.give_back(layer);
                filled.map(|_| Answer::Done)
            }
            (Then::Nothing, Ok(_)) => Ok(Answer::Done),
            (Then::Template(_) | Then::Nothing, Err(error)) => Err(error),
        };
        wire::send_at_once(&worker.connection, &answer.unwrap_or_else(Answer::Failed));
    }
}

/// What an init's end means. The kernel ends it by a signal when the guest calls reboot(2).
fn how(status: WaitStatus) -> Ended {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(init::POWERED_OFF), _) | (_, Some(libc::SIGINT)) => Ended::PoweredOff,
        (Some(init::REBOOT), _) | (_, Some(libc::SIGHUP)) => Ended::Rebooted,
        _ => Ended::Died,
    }
}
