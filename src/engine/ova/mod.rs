//! OVAs: machines that are imported from files, and files that machines are exported to.

mod export;
mod import;
mod manifest;
mod read;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use self::manifest::{Digester, Manifest};
use self::read::Reader;
use super::journal::Past;
use crate::diagnostic::Diagnostic;
use crate::plan::{self, OvaFile, Ovas, codes};
use crate::sema::context::inside;
use crate::sema::ova::{OvaPlace, ova_place};
use crate::sema::program::Program;
use crate::vsphere::client::{Class, Client};
use crate::vsphere::wire::Envelope;

pub(super) use export::publish;
pub(super) use import::deploy;

/// The largest descriptor, and the largest manifest.
const TEXT: u64 = 8 << 20;

/// Looks at the OVAs that a program names: their descriptors, and what changes with their contents.
pub async fn look_up(client: &Client, program: &Program, context: &Path, past: &Past) -> Ovas {
    let mut ovas = Ovas {
        written: past.exported.iter().cloned().collect(),
        begun: past.exporting.iter().cloned().collect(),
        ..Ovas::default()
    };
    for name in plan::ova_sources(program) {
        let found = look(client, &name, context).await.map(Arc::new);
        ovas.sources.insert(name, found);
    }
    let there = plan::ova_outputs(program).into_iter().filter(|name| output_path(context, name).exists());
    ovas.there = there.collect();
    ovas
}

/// Where an output's file is.
fn output_path(context: &Path, name: &str) -> PathBuf {
    let path = Path::new(name);
    if path.is_absolute() { path.to_path_buf() } else { context.join(path) }
}

fn unusable(text: impl Into<String>) -> Diagnostic {
    Diagnostic::new(&codes::OVA_UNUSABLE, text)
}

async fn look(client: &Client, name: &str, context: &Path) -> Result<OvaFile, (Class, Diagnostic)> {
    let local = |diagnostic: Diagnostic| (Class::Operation, diagnostic);
    let place = ova_place(name).ok_or_else(|| local(unusable(format!("`{name}` names no file"))))?;
    match place.clone() {
        OvaPlace::Web(url) => {
            let file = client.web_file(&url).await.map_err(|e| (e.class(), e.diagnostic()))?;
            let identity = file.identity();
            let mut reader = Reader::web(file, name);
            let first = reader.entry().await.map_err(local)?;
            let Some(first) = first.filter(|entry| is_descriptor(&entry.name)) else {
                let text = format!("`{name}` has no descriptor in the first place");
                return Err(local(unusable(text).help("an OVA that is read from the web begins with its `.ovf`")));
            };
            let text = reader.text(&first, TEXT).await.map_err(local)?;
            read(name, place, &text, None, identity.map(|tag| format!("{url} {tag}"))).map_err(local)
        }
        OvaPlace::File(relative) => {
            let (path, name) = (context.join(relative), name.to_owned());
            let looked = tokio::task::spawn_blocking(move || on_disk(&name, place, &path)).await;
            looked.unwrap_or_else(|e| Err(unusable(format!("it can't be read: {e}")))).map_err(local)
        }
    }
}

fn is_descriptor(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".ovf")
}

fn is_manifest(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".mf")
}

fn read(
    name: &str,
    place: OvaPlace,
    text: &[u8],
    manifest: Option<String>,
    identity: Option<String>,
) -> Result<OvaFile, Diagnostic> {
    let refused = |why: String| {
        let text = format!("the descriptor of `{name}` can't be read: {why}");
        unusable(text).help("get it anew, or have it exported anew")
    };
    let envelope = Envelope::parse(text).map_err(refused)?;
    let descriptor = String::from_utf8(text.to_vec()).map_err(|_| refused("it isn't UTF-8".to_owned()))?;
    Ok(OvaFile { name: name.to_owned(), place, descriptor, envelope, manifest, identity })
}

/// One that is on disk: everything that it must have is looked for.
fn on_disk(name: &str, place: OvaPlace, path: &Path) -> Result<OvaFile, Diagnostic> {
    let alone = is_descriptor(&path.to_string_lossy());
    let (descriptor, text, manifest, there) = match alone {
        true => {
            let text = small(path)?;
            let beside = path.with_extension("mf");
            let manifest = beside.exists().then(|| small(&beside)).transpose()?;
            let own = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            (own, text, manifest, None)
        }
        false => {
            let read::Contents { entries, mut texts } = read::contents(path, TEXT)?;
            let at = texts.iter().position(|(name, _)| is_descriptor(name));
            let Some((own, text)) = at.and_then(|at| texts.remove(at)) else {
                let text = format!("`{}` has no descriptor (`.ovf`) in it", path.display());
                return Err(unusable(text).help("it is a tar archive, but no OVA"));
            };
            let stem = own.rsplit_once('.').map_or("", |(stem, _)| stem).to_owned();
            let fits = |name: &str| is_manifest(name) && name.strip_prefix(&stem).is_some();
            let at = texts.iter().position(|(name, _)| fits(name));
            (own, text, at.and_then(|at| texts.remove(at)).map(|(_, text)| text), Some(entries))
        }
    };
    let manifest = manifest.map(|text| String::from_utf8_lossy(&text).into_owned());
    if let Some(text_of) = &manifest {
        let manifest = Manifest::parse(text_of);
        let mut digester = manifest.digester(&descriptor);
        digester.update(&text);
        manifest.check(&descriptor, &digester.end())?;
    }
    let mut ova = read(name, place, &text, manifest, None)?;
    let missing = ova.envelope.files.iter().find(|file| match &there {
        Some(entries) => !entries.iter().any(|entry| entry.name == file.href),
        None => beside(path, &file.href).is_none_or(|path| !path.exists()),
    });
    if let Some(file) = missing {
        let text = format!("`{}` lacks the file `{}`, which its descriptor names", path.display(), file.href);
        return Err(unusable(text).help("it was cut off, or taken apart: get it anew"));
    }
    let mut hash = Sha256::new();
    let all = std::iter::once(Some(path.to_owned()));
    let disks = ova.envelope.files.iter().filter(|_| alone).map(|file| beside(path, &file.href));
    for path in all.chain(disks).flatten() {
        hash_file(&path, &mut hash).map_err(|e| read::unreadable(&path, &e))?;
    }
    ova.identity = Some(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
    Ok(ova)
}

fn hash_file(path: &Path, hash: &mut Sha256) -> std::io::Result<()> {
    let mut file = std::fs::File::open(path)?;
    let mut piece = vec![0; 64 << 10];
    loop {
        match std::io::Read::read(&mut file, &mut piece)? {
            0 => return Ok(()),
            n => hash.update(piece.get(..n).unwrap_or_default()),
        }
    }
}

/// A file beside a descriptor; None: its name leads elsewhere.
fn beside(descriptor: &Path, href: &str) -> Option<PathBuf> {
    let relative = inside(href).filter(|path| !path.as_os_str().is_empty())?;
    Some(descriptor.parent().unwrap_or(Path::new("")).join(relative))
}

fn small(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    let size = crate::source::regular(path)
        .map_err(|e| read::unreadable(path, &e))
        .and_then(|_| std::fs::metadata(path).map(|meta| meta.len()).map_err(|e| read::unreadable(path, &e)))?;
    if size > TEXT {
        return Err(unusable(format!("`{}` is larger than {} MiB", path.display(), TEXT >> 20)));
    }
    std::fs::read(path).map_err(|e| read::unreadable(path, &e))
}

/// Begins to read one from its beginning.
async fn open(client: &Client, ova: &OvaFile, context: &Path) -> Result<Reader, Diagnostic> {
    match &ova.place {
        OvaPlace::Web(url) => {
            let file = client.web_file(url).await.map_err(|e| e.diagnostic())?;
            Ok(Reader::web(file, &ova.name))
        }
        OvaPlace::File(relative) => {
            let path = context.join(relative);
            if !is_descriptor(&path.to_string_lossy()) {
                return Reader::archive(&path);
            }
            let own = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let disks = ova.envelope.files.iter().filter_map(|f| Some((f.href.clone(), beside(&path, &f.href)?)));
            Ok(Reader::files(std::iter::once((own, path.clone())).chain(disks).collect()))
        }
    }
}

/// What there was nothing of for so long is given up.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(600);

fn digester_for(manifest: Option<&Manifest>, name: &str) -> Digester {
    manifest.map_or_else(Digester::all, |manifest| manifest.digester(name))
}
