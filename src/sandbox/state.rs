//! What is kept across restarts: the inventory, the certificates, the password. Layers keep themselves.
//!
//! One file, `sandbox.json`, written anew after every change. Machines that run when the server ends are off when it
//! is back, as after a power cut.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::guests::{LayerId, LayerInfo, Parent};
use super::inventory::{Body, Inventory};
use super::machine::{Config, Disk, Power, Property, Reported, Snapshot, Traits, Vm};
use super::rest::{Facts, Holds, Item, Library};
use super::server::Server;
use super::tls::Kept as KeptIdentity;
use crate::vsphere::wire::{CustomFieldDef, Element, Limits, Moref};

/// The form of the file.
const VERSION: u32 = 1;
const FILE: &str = "sandbox.json";

/// The number of a form, which every form has.
#[derive(Debug, Deserialize)]
#[serde(expecting = "the sandbox's state")]
struct Form {
    version: u32,
}

/// All that is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    version: u32,
    /// The last number that was given to an object.
    number: u64,
    pub instance: String,
    pub password: String,
    pub api: KeptIdentity,
    pub hosts: KeptIdentity,
    objects: Vec<KeptObject>,
    #[serde(default)]
    fields: Vec<KeptField>,
    #[serde(default)]
    pub tags: super::rest::Tags,
    #[serde(default)]
    libraries: Vec<KeptLibrary>,
}

/// A content library.
#[derive(Debug, Serialize, Deserialize)]
struct KeptLibrary {
    id: String,
    name: String,
    items: Vec<KeptItem>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptItem {
    facts: Facts,
    /// Of an OVF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vm: Option<KeptVm>,
    /// Of a VM template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
}

/// A custom attribute.
#[derive(Debug, Serialize, Deserialize)]
struct KeptField {
    key: i32,
    name: String,
    kind: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptObject {
    object: String,
    name: String,
    parent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vm: Option<KeptVm>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptVm {
    uuid: String,
    instance_uuid: String,
    template: bool,
    host: String,
    pool: Option<String>,
    datastore: String,
    config: KeptConfig,
    created: String,
    guest: Option<(String, String)>,
    base: Parent,
    top: Option<LayerId>,
    snapshots: Vec<KeptSnapshot>,
    current: Option<String>,
    #[serde(default)]
    labels: Vec<(i32, String)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptConfig {
    cpus: i32,
    cores_per_socket: i32,
    memory_mb: i64,
    annotation: String,
    guest_id: String,
    extra: Vec<(String, String)>,
    /// Each as an XML document.
    devices: Vec<String>,
    #[serde(default)]
    traits: Traits,
    #[serde(default)]
    properties: Vec<Property>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptSnapshot {
    object: String,
    id: i32,
    name: String,
    description: String,
    created: String,
    on: bool,
    parent: Option<String>,
    base: Parent,
    config: KeptConfig,
}

fn damaged(error: &serde_json::Error) -> String {
    format!("it is damaged, or not the sandbox's: {error}")
}

/// A directory that keeps a sandbox; nobody else can use it meanwhile.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl Keeper {
    /// Takes a directory, which is made where it isn't there; what it keeps.
    pub fn open(directory: &Path) -> Result<(Keeper, Option<Kept>), Error> {
        let failed = |path: &Path, why: String| Error::State { path: path.to_owned(), why };
        fs::create_dir_all(directory).map_err(|e| failed(directory, e.to_string()))?;
        let lock_path = directory.join("lock");
        let lock = File::create(&lock_path).map_err(|e| failed(&lock_path, e.to_string()))?;
        lock.try_lock().map_err(|e| match e {
            fs::TryLockError::WouldBlock => failed(directory, "another sandbox uses it".to_owned()),
            fs::TryLockError::Error(e) => failed(&lock_path, e.to_string()),
        })?;
        let path = directory.join(FILE);
        let kept = match fs::read(&path) {
            Ok(text) => {
                // Of another form nothing but its number can be relied on.
                let form: Form = serde_json::from_slice(&text).map_err(|e| failed(&path, damaged(&e)))?;
                if form.version != VERSION {
                    let why = match form.version > VERSION {
                        true => "a newer version of this program wrote it",
                        false => "an older version of this program wrote it",
                    };
                    return Err(failed(
                        &path,
                        format!("{why} (it has the form {}, and this one knows {VERSION})", form.version),
                    ));
                }
                Some(serde_json::from_slice(&text).map_err(|e| failed(&path, damaged(&e)))?)
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(failed(&path, e.to_string())),
        };
        Ok((Keeper { path, _lock: lock }, kept))
    }

    /// Where layers go.
    pub fn layers(directory: &Path) -> PathBuf {
        directory.join("layers")
    }

    /// Replaces the file, so that it is either the old or the new one whatever happens.
    fn write(&self, text: &[u8]) -> std::io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(text)?;
        file.sync_data()?;
        fs::rename(&fresh, &self.path)
    }
}

/// Writes what changes until the server closes, and once more then.
pub(super) async fn keep(server: Arc<Server>, keeper: Keeper, api: KeptIdentity, hosts: KeptIdentity) {
    let mut clock = server.clock.subscribe();
    let mut written = Vec::new();
    let keeper = Arc::new(keeper);
    let path = keeper.path.clone();
    loop {
        clock.mark_unchanged();
        // Asked before the state is read: what changes while the file is written must not be missed at the end.
        let last = server.closing.is_cancelled();
        let kept = of_server(&server, &api, &hosts);
        // All of it can be written as JSON.
        let text = serde_json::to_vec_pretty(&kept).unwrap_or_default();
        if text != written {
            let (keeper, copy) = (keeper.clone(), text.clone());
            let done = tokio::task::spawn_blocking(move || keeper.write(&copy)).await;
            let done = done.unwrap_or_else(|e| Err(std::io::Error::other(e)));
            let problem = done.err().map(|e| format!("{}: {e}", path.display()));
            // What can't be written now (a full disk) is tried again with the next change.
            if problem.is_none() {
                written = text;
            }
            server.unkept.send_if_modified(|told| std::mem::replace(told, problem.clone()) != problem);
        }
        if last {
            return;
        }
        tokio::select! {
            _ = clock.changed() => {}
            () = server.closing.cancelled() => {}
        }
    }
}

fn of_server(server: &Server, api: &KeptIdentity, hosts: &KeptIdentity) -> Kept {
    let state = server.lock();
    let inventory = &state.inventory;
    let objects = inventory.all().map(|(object, node)| KeptObject {
        object: shown(object),
        name: node.name.clone(),
        parent: node.parent.as_ref().map(shown),
        vm: match &node.body {
            Body::Vm(vm) => Some(of_vm(vm)),
            _ => None,
        },
    });
    Kept {
        version: VERSION,
        number: inventory.last_number(),
        instance: server.fixed.instance.clone(),
        password: server.config.password.clone(),
        api: api.clone(),
        hosts: hosts.clone(),
        objects: objects.collect(),
        fields: inventory
            .fields
            .iter()
            .map(|f| KeptField { key: f.key, name: f.name.clone(), kind: f.managed_object_type.clone() })
            .collect(),
        tags: state.tags.clone(),
        libraries: state.libraries.iter().map(of_library).collect(),
    }
}

fn of_library(library: &Library) -> KeptLibrary {
    let item = |item: &Item| {
        let (vm, template) = match &item.holds {
            Holds::Machine(vm) => (Some(of_vm(vm)), None),
            Holds::Template(template) => (None, Some(shown(template))),
        };
        KeptItem { facts: item.facts.clone(), vm, template }
    };
    KeptLibrary { id: library.id.clone(), name: library.name.clone(), items: library.items.iter().map(item).collect() }
}

fn of_vm(vm: &Vm) -> KeptVm {
    KeptVm {
        uuid: vm.uuid.clone(),
        instance_uuid: vm.instance_uuid.clone(),
        template: vm.template,
        host: shown(&vm.host),
        pool: vm.pool.as_ref().map(shown),
        datastore: shown(&vm.datastore),
        config: of_config(&vm.config),
        created: vm.created.clone(),
        guest: vm.reported.id.clone().zip(vm.reported.full_name.clone()),
        base: vm.disk.base.clone(),
        top: vm.disk.top,
        snapshots: vm
            .snapshots
            .iter()
            .map(|s| KeptSnapshot {
                object: shown(&s.object),
                id: s.id,
                name: s.name.clone(),
                description: s.description.clone(),
                created: s.created.clone(),
                on: s.power == Power::On,
                parent: s.parent.as_ref().map(shown),
                base: s.base.clone(),
                config: of_config(&s.config),
            })
            .collect(),
        current: vm.current.as_ref().map(shown),
        labels: vm.labels.clone(),
    }
}

fn of_config(config: &Config) -> KeptConfig {
    KeptConfig {
        cpus: config.cpus,
        cores_per_socket: config.cores_per_socket,
        memory_mb: config.memory_mb,
        annotation: config.annotation.clone(),
        guest_id: config.guest_id.clone(),
        extra: config.extra.clone(),
        // What came by XML can be written as XML.
        devices: config.devices.iter().filter_map(|d| d.to_xml().ok()).collect(),
        traits: config.traits.clone(),
        properties: config.properties.clone(),
    }
}

impl Kept {
    /// The libraries that were kept. An item whose layer is gone isn't there any more.
    pub fn libraries(&self, layers: Option<&[LayerInfo]>) -> Vec<Library> {
        let frozen: Option<HashMap<LayerId, bool>> = layers.map(|l| l.iter().map(|l| (l.id, l.frozen)).collect());
        let item = |kept: &KeptItem| {
            let holds = match (&kept.vm, &kept.template) {
                (Some(vm), _) => Holds::Machine(Box::new(to_vm(vm, frozen.as_ref())?)),
                (None, Some(template)) => Holds::Template(read(template)),
                (None, None) => return None,
            };
            Some(Item { facts: kept.facts.clone(), holds })
        };
        let library = |kept: &KeptLibrary| Library {
            id: kept.id.clone(),
            name: kept.name.clone(),
            items: kept.items.iter().filter_map(item).collect(),
        };
        self.libraries.iter().map(library).collect()
    }

    /// Puts what was kept into an inventory that holds the model alone. `layers` are those that are there: what a
    /// sudden end kept from being written is mended.
    pub fn restore(&self, inventory: &mut Inventory, layers: Option<&[LayerInfo]>) {
        let frozen: Option<HashMap<LayerId, bool>> = layers.map(|l| l.iter().map(|l| (l.id, l.frozen)).collect());
        inventory.reserve(self.number);
        let fields = self.fields.iter().map(|f| CustomFieldDef {
            key: f.key,
            name: f.name.clone(),
            kind: "string".to_owned(),
            managed_object_type: f.kind.clone(),
        });
        inventory.fields = fields.collect();
        for kept in &self.objects {
            let object = read(&kept.object);
            match &kept.vm {
                Some(vm) => {
                    if let Some(vm) = to_vm(vm, frozen.as_ref()) {
                        inventory.add(&object, &kept.name, None, Body::Vm(Box::new(vm)));
                    }
                }
                None if inventory.get(&object).is_some() => {
                    if let Some(node) = inventory.change(&object) {
                        node.name.clone_from(&kept.name);
                    }
                }
                None if object.kind == "Folder" => {
                    inventory.add(&object, &kept.name, None, Body::Folder(Inventory::kinds_of(&object)));
                }
                None => {}
            }
        }
        for kept in &self.objects {
            if let Some(parent) = &kept.parent {
                let (object, parent) = (read(&kept.object), read(parent));
                let there = inventory.get(&object).and_then(|node| node.parent.clone());
                if there.as_ref() != Some(&parent) && inventory.get(&parent).is_some() {
                    inventory.reparent(&object, &parent);
                }
            }
        }
    }
}

/// None when the layer that it lies on is gone.
fn to_vm(kept: &KeptVm, frozen: Option<&HashMap<LayerId, bool>>) -> Option<Vm> {
    let there = |base: &Parent| match (base, frozen) {
        (Parent::Layer(id), Some(frozen)) => frozen.contains_key(id),
        _ => true,
    };
    let disk = match kept.top.map(|top| (top, frozen.map_or(Some(&false), |f| f.get(&top)))) {
        // It was frozen for a clone just before the end.
        Some((top, Some(true))) => Disk { base: Parent::Layer(top), top: None },
        Some((top, Some(false))) => Disk { base: kept.base.clone(), top: Some(top) },
        Some((_, None)) | None => Disk { base: kept.base.clone(), top: None },
    };
    if !there(&disk.base) {
        return None;
    }
    let host = read(&kept.host);
    let pool = kept.pool.as_deref().map(read);
    let mut vm = Vm::new(host, pool, read(&kept.datastore), disk.base.clone(), kept.created.clone());
    vm.disk = disk;
    vm.uuid.clone_from(&kept.uuid);
    vm.instance_uuid.clone_from(&kept.instance_uuid);
    vm.template = kept.template;
    vm.labels.clone_from(&kept.labels);
    vm.config = to_config(&kept.config);
    let (id, full_name) = kept.guest.clone().unzip();
    vm.reported = Reported { id, full_name, ..Reported::default() };
    let snapshots = kept.snapshots.iter().filter(|s| there(&s.base)).map(|s| Snapshot {
        object: read(&s.object),
        id: s.id,
        name: s.name.clone(),
        description: s.description.clone(),
        created: s.created.clone(),
        power: if s.on { Power::On } else { Power::Off },
        parent: s.parent.as_deref().map(read),
        base: s.base.clone(),
        config: to_config(&s.config),
    });
    vm.snapshots = snapshots.collect();
    vm.current = kept.current.as_deref().map(read).filter(|current| vm.snapshot(current).is_some());
    Some(vm)
}

fn to_config(kept: &KeptConfig) -> Config {
    let device = |text: &String| Element::parse(text.as_bytes(), Limits::default()).ok();
    Config {
        cpus: kept.cpus,
        cores_per_socket: kept.cores_per_socket,
        memory_mb: kept.memory_mb,
        annotation: kept.annotation.clone(),
        guest_id: kept.guest_id.clone(),
        extra: kept.extra.clone(),
        devices: kept.devices.iter().filter_map(device).collect(),
        traits: kept.traits.clone(),
        properties: kept.properties.clone(),
    }
}

fn shown(object: &Moref) -> String {
    object.to_string()
}

fn read(text: &str) -> Moref {
    let (kind, value) = text.split_once(':').unwrap_or((text, ""));
    Moref::new(kind, value)
}
