//! The scripts, run for real by the shells of this machine. Only the way there is another: a program is started here,
//! not by VMware Tools.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::wire::{Incoming, Listing, Program};
use crate::vsphere::client::Source;

/// This machine as a guest. The programs are started as Tools do: by a shell, with no environment but the one given.
pub(super) struct Local {
    /// Of the guest's user, for a machine where we are somebody else.
    pub started: std::sync::atomic::AtomicUsize,
    /// Listings so far.
    pub listed: std::sync::atomic::AtomicUsize,
    /// Whether transfers fail.
    pub no_transfers: bool,
}

impl Local {
    pub fn start(&self, program: &Program) -> super::Result<()> {
        self.started.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let size: usize = program.arguments.len() + program.env.iter().map(String::len).sum::<usize>();
        assert!(size < 64 << 10, "{size} bytes in one request");
        for value in &program.env {
            assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || "_+/=.,:@%-".contains(c)), "{value}");
        }
        let mut child = Command::new("/bin/bash")
            .arg("-c")
            .arg(format!("\"{}\" {}", program.path, program.arguments))
            .env_clear()
            .envs(program.env.iter().filter_map(|v| v.split_once('=')))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash");
        std::thread::spawn(move || child.wait());
        Ok(())
    }

    pub fn list(&self, directory: &str) -> Listing {
        self.listed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match fs::read_dir(directory) {
            Ok(entries) => Listing::Names(
                entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect(),
            ),
            Err(_) => Listing::Missing,
        }
    }

    pub fn upload(&self, path: &str, source: &Source) -> super::Result<Option<String>> {
        if self.no_transfers {
            return Ok(Some("no route to host".to_owned()));
        }
        match source {
            Source::Bytes(bytes) => fs::write(path, bytes).expect("written"),
            Source::File(file) => drop(fs::copy(file, path).expect("copied")),
        }
        Ok(None)
    }

    pub fn download(&self, path: &str) -> super::Result<Result<Incoming, String>> {
        if self.no_transfers {
            return Ok(Err("no route to host".to_owned()));
        }
        Ok(Ok(Incoming::Local(fs::File::open(PathBuf::from(path)).expect("a file"))))
    }
}
