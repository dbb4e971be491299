//! Standard input, for a command in a guest: whether there is any, and all of it.

use std::io::{self, IsTerminal};

use tempfile::NamedTempFile;

/// What is known of standard input without reading it; on other systems than Linux nothing.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "the others are for who can look"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// Nothing will come, or it is a terminal.
    Nothing,
    /// Something is there.
    Data,
    /// A pipe that is open and empty: nobody knows.
    Open,
}

/// Looks without waiting.
pub(super) fn ready() -> Ready {
    if io::stdin().is_terminal() { Ready::Nothing } else { look() }
}

#[cfg(target_os = "linux")]
fn look() -> Ready {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::fs::{FileType, fstat, seek};
    let stdin = io::stdin();
    let Ok(stat) = fstat(&stdin) else { return Ready::Nothing };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let at = seek(&stdin, rustix::fs::SeekFrom::Current(0)).unwrap_or_default();
            if u64::try_from(stat.st_size).unwrap_or_default() > at { Ready::Data } else { Ready::Nothing }
        }
        FileType::Fifo | FileType::Socket => {
            let mut list = [PollFd::new(&stdin, PollFlags::IN)];
            let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            let _ = poll(&mut list, Some(&now));
            let told = list.first().map(PollFd::revents).unwrap_or(PollFlags::empty());
            match told {
                told if told.contains(PollFlags::IN) => Ready::Data,
                told if told.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) => Ready::Nothing,
                _ => Ready::Open,
            }
        }
        // /dev/null and other devices.
        _ => Ready::Nothing,
    }
}

#[cfg(not(target_os = "linux"))]
fn look() -> Ready {
    Ready::Nothing
}

/// All of standard input, in a temporary file. Waits for its end.
pub(super) fn spool() -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    Ok(file)
}
