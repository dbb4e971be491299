//! Paths of Windows over a file system of Linux: drive C: is the directory `/C:`. Case doesn't matter.

use std::path::{Component, Path, PathBuf};

/// Where a path of Windows is; one that has no drive begins where the process is.
pub fn real(path: &str) -> PathBuf {
    let path = path.replace('\\', "/");
    let whole = match path.as_bytes() {
        [drive, b':', rest @ ..] if drive.is_ascii_alphabetic() => {
            let rest = String::from_utf8_lossy(rest);
            PathBuf::from(format!("/{}:/{}", char::from(drive.to_ascii_uppercase()), rest.trim_start_matches('/')))
        }
        [b'/', ..] => PathBuf::from(format!("/C:{path}")),
        _ => std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/C:")).join(&path),
    };
    let mut out = PathBuf::from("/");
    for part in whole.components() {
        match part {
            Component::Normal(name) => {
                let there = out.join(name);
                let found = if there.symlink_metadata().is_ok() { None } else { alike(&out, &name.to_string_lossy()) };
                out = found.unwrap_or(there);
            }
            Component::ParentDir => {
                out.pop();
            }
            _ => {}
        }
    }
    out
}

/// What has that name in another case.
fn alike(directory: &Path, name: &str) -> Option<PathBuf> {
    let wanted = name.to_lowercase();
    let entries = std::fs::read_dir(directory).ok()?;
    entries.flatten().find(|entry| entry.file_name().to_string_lossy().to_lowercase() == wanted).map(|e| e.path())
}

/// A path as Windows writes it.
pub fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = text.strip_prefix('/').unwrap_or(&text);
    if text.len() == 2 { format!("{text}\\") } else { text.replace('/', "\\") }
}
