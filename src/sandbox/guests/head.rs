//! What an archive of layers tells of itself, which needs no guests to be read.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// The first entry.
const HEAD: &str = "vmwbuild-layers.json";
/// The form that this version writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    format: u32,
    /// The template that the layers lie on.
    pub template: String,
    /// How many there are.
    pub layers: u32,
}

impl Head {
    /// Of so many layers on a template.
    pub fn new(template: &str, layers: u32) -> Head {
        Head { format: FORMAT, template: template.to_owned(), layers }
    }

    /// Writes it as an archive's first entry.
    pub fn write(&self, archive: &mut tar::Builder<impl Write>) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, HEAD, &text[..])
    }

    /// Reads the first entry; what is wrong where there is none.
    pub fn read(file: impl Read) -> Result<Head, String> {
        let mut archive = tar::Archive::new(file);
        let first = archive.entries().ok().and_then(|mut entries| entries.next());
        let Some(Ok(entry)) = first else { return Err("it is no archive of layers".to_owned()) };
        if entry.path_bytes().as_ref() != HEAD.as_bytes() {
            return Err("it is an archive, but not one of layers".to_owned());
        }
        let mut text = Vec::new();
        entry.take(1 << 16).read_to_end(&mut text).map_err(|e| e.to_string())?;
        let head: Head = serde_json::from_slice(&text).map_err(|e| format!("its first entry can't be read: {e}"))?;
        match head.format {
            FORMAT => Ok(head),
            other => Err(format!("it has the form {other}, and this sandbox knows {FORMAT}")),
        }
    }
}
