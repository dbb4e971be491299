//! The process that makes the warden, watches it, and cleans up after it.

use super::cgroup::{self, Cgroups};
use super::hints::{self, step};
use super::warden::Warden;
use super::wire::{self, Answer, Ask, Start};
use super::{Result, ground, ids, sys};
use rustix::process::{Pid, WaitOptions};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// The janitor: makes the warden and ends it with the tool. Standard input is the control socket, standard output a
/// pipe that hangs up when the tool is gone.
pub fn run() -> i32 {
    let started = (|| -> Result<(UnixStream, OwnedFd)> {
        let control = io::stdin().as_fd().try_clone_to_owned();
        let lifeline = io::stdout().as_fd().try_clone_to_owned();
        let control = step("taking the tool's socket", control)?.into();
        let lifeline = step("taking the tool's pipe", lifeline)?;
        for (number, write) in [(0, false), (1, true)] {
            let null = step("opening /dev/null", File::options().read(!write).write(write).open("/dev/null"))?;
            step("closing standard descriptors", sys::make_standard(&null.into(), number))?;
        }
        Ok((control, lifeline))
    })();
    let Ok((control, lifeline)) = started else { return 1 };
    // Signals of the tool's terminal are the tool's business.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"vmwbuild-janitor");
    let Ok(Some((_, connection))) = wire::accept(&control) else { return 1 };
    let Ok(Some((Ask::Start(start), _))) = wire::receive(&connection) else { return 1 };
    match start_warden(control, &connection, &lifeline, start) {
        Ok((pid, cgroups)) => {
            drop(connection);
            watch(pid, &lifeline, &cgroups);
            0
        }
        Err(error) => {
            let _ = wire::send(&connection, &Answer::Failed(error), &[]);
            1
        }
    }
}

fn start_warden(
    control: UnixStream,
    connection: &UnixStream,
    lifeline: &OwnedFd,
    start: Start,
) -> Result<(i32, Cgroups)> {
    let host_root = ids::is_root_of_host();
    cgroup::sweep();
    let cgroups = Cgroups::create();
    let ids = match ids::acquire(start.ids) {
        Ok(ids) => ids,
        Err(error) => {
            cgroups.remove_all();
            return Err(hints::refused(hints::USER_NAMESPACE, &error));
        }
    };
    // The other ends of guests' network cards are in a network of the warden's own, which nothing leads out of.
    match sys::fork(sys::NEW_MOUNTS | sys::NEW_PIDS | sys::NEW_NETWORK) {
        Ok(sys::Fork::Child) => {
            let outcome = ground::prepare(ids, host_root, start, cgroups, lifeline)
                .and_then(|ground| Warden::new(control, ground));
            sys::exit_now(match outcome {
                Ok(mut warden) => {
                    let _ = wire::send(connection, &Answer::Facts(warden.facts()), &[]);
                    warden.run()
                }
                Err(error) => {
                    let _ = wire::send(connection, &Answer::Failed(error), &[]);
                    1
                }
            })
        }
        Ok(sys::Fork::Parent(pid)) => Ok((pid, cgroups)),
        Err(error) => {
            cgroups.remove_all();
            Err(hints::refused(hints::NAMESPACES, &error))
        }
    }
}

/// Waits for the end of the tool or of the warden, and sees to the end of both.
fn watch(pid: i32, lifeline: &OwnedFd, cgroups: &Cgroups) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    if let Ok(warden) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        let _ = sys::poll(&[lifeline.as_fd(), warden.as_fd()], None);
    } else {
        let _ = sys::poll(&[lifeline.as_fd()], None);
    }
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    // Returns when every process of every guest is gone.
    let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
    cgroups.remove_all();
}
