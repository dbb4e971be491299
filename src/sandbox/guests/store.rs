//! The warden's store: templates and layers, as directories under its working directory.
//!
//! | path | what |
//! |---|---|
//! | `t/N/` | a template's own files and the host's folders it shows |
//! | `s/l/N/KEY` | a layer's part of one top |
//! | `s/l/N/meta.json` | its parent, and whether it is frozen |
//! | `s/w/N/KEY` | what the overlay file system needs beside it |
//! | `s/x/N` | a layer that is being deleted |
//! | `m` | where a guest's root is mounted, in the guest's own mount namespace |
//!
//! `s` is the state directory where there is one.

use super::template::Top;
use super::{Error, Ids, LayerId, LayerInfo, Parent, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What mount(2) takes as options, less its final zero.
const LONGEST_OPTIONS: usize = 4095;

/// Templates and layers.
#[derive(Debug)]
pub struct Store {
    ids: Ids,
    templates: HashMap<String, Vec<Top>>,
    layers: BTreeMap<LayerId, Layer>,
    next_layer: u64,
    next_template: u64,
}

#[derive(Debug)]
struct Layer {
    meta: Meta,
    /// Why nothing else may happen to it now.
    busy: Option<&'static str>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Meta {
    parent: Parent,
    frozen: bool,
}

/// An overlay to mount.
#[derive(Debug)]
pub struct Overlay {
    /// Where in the guest, without the leading slash.
    pub at: String,
    /// Options of the mount, with paths relative to the store.
    pub options: String,
}

impl Store {
    /// Takes over the layers that are there.
    pub fn open(ids: Ids) -> io::Result<Self> {
        for directory in ["t", "s/l", "s/w", "s/x", "m"] {
            fs::DirBuilder::new().recursive(true).mode(0o711).create(directory)?;
        }
        let mut layers = BTreeMap::new();
        let mut next_layer = 1;
        for entry in fs::read_dir("s/l")? {
            let entry = entry?;
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            next_layer = next_layer.max(id + 1);
            // One without its description was being made when the warden was killed.
            match fs::read(entry.path().join("meta.json")).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
                Some(meta) => {
                    layers.insert(LayerId(id), Layer { meta, busy: None });
                }
                None => fs::remove_dir_all(entry.path())?,
            }
        }
        for leftover in fs::read_dir("s/x")? {
            fs::remove_dir_all(leftover?.path())?;
        }
        Ok(Self { ids, templates: HashMap::new(), layers, next_layer, next_template: 1 })
    }

    /// A fresh directory for a template.
    pub fn template_directory(&mut self) -> io::Result<PathBuf> {
        let directory = PathBuf::from(format!("t/{}", self.next_template));
        self.next_template += 1;
        fs::DirBuilder::new().mode(0o711).create(&directory)?;
        Ok(directory)
    }

    /// Makes a template known.
    pub fn add_template(&mut self, name: String, tops: Vec<Top>) {
        self.templates.insert(name, tops);
    }

    /// Makes an empty layer.
    pub fn new_layer(&mut self, parent: Parent) -> Result<LayerId> {
        if let Parent::Layer(id) = &parent
            && !self.layer(*id)?.meta.frozen
        {
            return Err(Error::Busy(format!("layer {} isn't frozen: nothing can lie on it", id.0)));
        }
        let chain = self.chain(&parent)?;
        let tops = self.tops(&parent)?.clone();
        let id = LayerId(self.next_layer);
        self.next_layer += 1;
        let made = (|| {
            make(&layer_path(id))?;
            for top in &tops {
                let key = top.key();
                let path = layer_path(id).join(&key);
                let below = chain
                    .first()
                    .map(|layer| layer_path(*layer).join(&key))
                    .filter(|path| path.exists())
                    .or_else(|| top.lowers.first().map(PathBuf::from));
                self.make_like(&path, below.as_deref())?;
            }
            write_meta(id, &Meta { parent: parent.clone(), frozen: false })
        })();
        made.map_err(|error| failed(id, "made", &error))?;
        self.layers.insert(id, Layer { meta: Meta { parent, frozen: false }, busy: None });
        Ok(id)
    }

    /// Freezes a layer.
    pub fn freeze(&mut self, id: LayerId) -> Result<()> {
        self.idle(id)?;
        let layer = self.layer_mut(id)?;
        layer.meta.frozen = true;
        write_meta(id, &layer.meta).map_err(|error| failed(id, "frozen", &error))
    }

    /// Prepares a copy of a layer: the number of the new one, which is busy until [`Self::copied`].
    pub fn copy(&mut self, from: LayerId) -> Result<LayerId> {
        let meta = Meta { frozen: false, ..self.layer(from)?.meta.clone() };
        let id = LayerId(self.next_layer);
        self.next_layer += 1;
        make(&layer_path(id)).map_err(|error| failed(id, "made", &error))?;
        self.layers.insert(id, Layer { meta, busy: Some("is being copied") });
        Ok(id)
    }

    /// Takes a layer that nothing was written to, to be filled: it is busy until it is given back.
    pub fn fill(&mut self, id: LayerId) -> Result<()> {
        self.idle(id)?;
        self.layer_mut(id)?.busy = Some("is being filled");
        Ok(())
    }

    /// What a parent is: a template, and the layers on it, the lowest first.
    pub fn below(&self, parent: &Parent) -> Result<(String, Vec<LayerId>)> {
        let mut chain = self.chain(parent)?;
        chain.reverse();
        let bottom = match chain.first() {
            Some(lowest) => self.layer(*lowest)?.meta.parent.clone(),
            None => parent.clone(),
        };
        match bottom {
            Parent::Template(name) => Ok((name, chain)),
            Parent::Layer(id) => Err(Error::Internal(format!("layer {} lies on itself", id.0))),
        }
    }

    /// Makes a copied layer usable, or forgets it.
    pub fn copied(&mut self, id: LayerId, worked: bool) -> Result<()> {
        if !worked {
            self.layers.remove(&id);
            return Ok(());
        }
        let layer = self.layer_mut(id)?;
        layer.busy = None;
        write_meta(id, &layer.meta).map_err(|error| failed(id, "copied", &error))
    }

    /// Forgets a layer; the directories that are left to delete.
    pub fn delete(&mut self, id: LayerId) -> Result<Vec<PathBuf>> {
        self.idle(id)?;
        if let Some((child, _)) = self.layers.iter().find(|(_, layer)| layer.meta.parent == Parent::Layer(id)) {
            return Err(Error::Busy(format!("layer {} can't be deleted: layer {} lies on it", id.0, child.0)));
        }
        let doomed = PathBuf::from(format!("s/x/{}", id.0));
        fs::rename(layer_path(id), &doomed).map_err(|error| failed(id, "deleted", &error))?;
        self.layers.remove(&id);
        Ok(vec![doomed, work_path(id)])
    }

    /// All layers.
    pub fn list(&self) -> Vec<LayerInfo> {
        let info = |(id, layer): (&LayerId, &Layer)| LayerInfo {
            id: *id,
            parent: layer.meta.parent.clone(),
            frozen: layer.meta.frozen,
        };
        self.layers.iter().map(info).collect()
    }

    /// Takes a layer for a guest: the overlays to mount, those of outer folders first.
    pub fn take(&mut self, id: LayerId) -> Result<Vec<Overlay>> {
        self.idle(id)?;
        let layer = self.layer(id)?;
        if layer.meta.frozen {
            return Err(Error::Busy(format!("layer {} is frozen: it can't be booted", id.0)));
        }
        let parent = layer.meta.parent.clone();
        let chain = self.chain(&parent)?;
        let mut overlays = Vec::new();
        for top in self.tops(&parent)? {
            let key = top.key();
            let (upper, work) = (layer_path(id).join(&key), work_path(id).join(&key));
            let prepared = (|| {
                if !upper.exists() {
                    // The template got a folder since the layer was made.
                    self.make_like(&upper, top.lowers.first().map(Path::new))?;
                }
                fs::create_dir_all(&work)?;
                self.ids.own(&work, 0, 0)
            })();
            prepared.map_err(|error| failed(id, "prepared", &error))?;
            let lowers: Vec<String> = chain
                .iter()
                .map(|layer| layer_path(*layer).join(&key))
                .filter(|path| path.exists())
                .map(|path| path.to_string_lossy().into_owned())
                .chain(top.lowers.iter().cloned())
                .collect();
            let options = format!(
                "lowerdir={},upperdir={},workdir={},{}",
                lowers.join(":"),
                upper.display(),
                work.display(),
                // An ordinary user's marks lie in other attributes, which know fewer features. An index would tie
                // layers to the inodes they were made on, and copies have others.
                if self.ids.is_user() { "index=off,userxattr" } else { "index=off,metacopy=off,redirect_dir=on" }
            );
            if options.len() > LONGEST_OPTIONS {
                return Err(Error::Busy(format!(
                    "layer {} lies on {} others, which is more than the kernel takes: copy its parent's system into \
                     a new template",
                    id.0,
                    chain.len()
                )));
            }
            overlays.push(Overlay { at: top.at.clone(), options });
        }
        self.layer_mut(id)?.busy = Some("is in use by a running guest");
        Ok(overlays)
    }

    /// Gives a layer back after its guest's end.
    pub fn give_back(&mut self, id: LayerId) {
        if let Some(layer) = self.layers.get_mut(&id) {
            layer.busy = None;
        }
    }

    fn layer(&self, id: LayerId) -> Result<&Layer> {
        self.layers.get(&id).ok_or_else(|| Error::NotFound(format!("layer {}", id.0)))
    }

    fn layer_mut(&mut self, id: LayerId) -> Result<&mut Layer> {
        self.layers.get_mut(&id).ok_or_else(|| Error::NotFound(format!("layer {}", id.0)))
    }

    fn idle(&self, id: LayerId) -> Result<()> {
        match self.layer(id)?.busy {
            Some(why) => Err(Error::Busy(format!("layer {} {why}", id.0))),
            None => Ok(()),
        }
    }

    /// The layers from a parent down to its template, the uppermost first.
    fn chain(&self, parent: &Parent) -> Result<Vec<LayerId>> {
        let (mut chain, mut at) = (Vec::new(), parent.clone());
        // A state directory that somebody edited might have a circle.
        while let Parent::Layer(id) = at {
            if chain.len() > self.layers.len() {
                return Err(Error::Internal(format!("layer {} lies on itself", id.0)));
            }
            chain.push(id);
            at = self.layer(id)?.meta.parent.clone();
        }
        Ok(chain)
    }

    fn tops(&self, parent: &Parent) -> Result<&Vec<Top>> {
        let mut at = parent;
        loop {
            match at {
                Parent::Layer(id) => at = &self.layer(*id)?.meta.parent,
                Parent::Template(name) => {
                    return self.templates.get(name).ok_or_else(|| Error::NotFound(format!("template `{name}`")));
                }
            }
        }
    }

    /// Makes a directory with the mode and owner of the one it will cover.
    fn make_like(&self, path: &Path, below: Option<&Path>) -> io::Result<()> {
        fs::create_dir(path)?;
        let Some(meta) = below.map(fs::metadata).transpose()? else { return Ok(()) };
        // What has no mapping is shown as nobody's, which is an id that may not even exist.
        let known = |id: u32| if self.ids.is_user() && id == 65_534 { 0 } else { id };
        std::os::unix::fs::chown(path, Some(known(meta.uid())), Some(known(meta.gid())))?;
        fs::set_permissions(path, fs::Permissions::from_mode(meta.mode() & 0o7777))
    }
}

/// A layer's directory.
pub fn layer_path(id: LayerId) -> PathBuf {
    PathBuf::from(format!("s/l/{}", id.0))
}

fn work_path(id: LayerId) -> PathBuf {
    PathBuf::from(format!("s/w/{}", id.0))
}

fn make(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o711).create(path)
}

fn write_meta(id: LayerId, meta: &Meta) -> io::Result<()> {
    let (path, new) = (layer_path(id).join("meta.json"), layer_path(id).join("meta.new"));
    fs::write(&new, serde_json::to_vec(meta)?)?;
    fs::rename(new, path)
}

fn failed(id: LayerId, what: &str, error: &io::Error) -> Error {
    let more = if error.kind() == io::ErrorKind::StorageFull {
        ": the store of layers is full; delete machines and snapshots, or give it more"
    } else {
        ""
    };
    Error::Internal(format!("layer {} can't be {what}: {error}{more}", id.0))
}
