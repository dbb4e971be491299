//! The system calls that need `unsafe`, each in one small function.
//!
//! The warden, guests' inits and their helpers are forks of a single-threaded process that never becomes
//! multi-threaded; everything here that forks relies on that.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Flags of [`fork`]: new namespaces of every kind a guest gets.
pub const GUEST_NAMESPACES: u64 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC) as u64;
/// A new mount namespace.
pub const NEW_MOUNTS: u64 = libc::CLONE_NEWNS as u64;
/// A new pid namespace.
pub const NEW_PIDS: u64 = libc::CLONE_NEWPID as u64;
/// A new network namespace.
pub const NEW_NETWORK: u64 = libc::CLONE_NEWNET as u64;
/// A new user namespace.
pub const NEW_USER: u64 = libc::CLONE_NEWUSER as u64;

/// Which of the two processes after [`fork`] this is.
#[derive(Debug)]
pub enum Fork {
    /// The new one.
    Child,
    /// The one that called; with the new one's number.
    Parent(i32),
}

/// Forks with `clone3(2)`, or `clone(2)` where a container's filter hides it.
pub fn fork(flags: u64) -> io::Result<Fork> {
    fork_in(flags, None)
}

/// As [`fork`]; the child is in that control group of version 2 from its birth (Linux 5.7).
pub fn fork_in(flags: u64, group: Option<BorrowedFd<'_>>) -> io::Result<Fork> {
    #[repr(C)]
    #[derive(Default)]
    struct Arguments {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    /// How long the structure was before it knew of groups: older kernels take no more.
    const WITHOUT_GROUP: usize = size_of::<Arguments>() - 3 * size_of::<u64>();
    /// `CLONE_INTO_CGROUP`, which the C library's headers call an `int` that it doesn't fit in.
    const INTO_GROUP: u64 = 0x2_0000_0000;
    let signal = libc::SIGCHLD as u64;
    let mut arguments = Arguments { flags, exit_signal: signal, ..Arguments::default() };
    let mut length = WITHOUT_GROUP;
    if let Some(group) = group {
        arguments.flags |= INTO_GROUP;
        arguments.cgroup = u64::try_from(group.as_raw_fd()).unwrap_or_default();
        length = size_of::<Arguments>();
    }
    // SAFETY: the structure is complete and at least of the size given. No stack is given, so the child runs on a copy of
    // ours; the process has one thread, so no lock is held in the copy.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, length) };
    let result = if result < 0 && group.is_none() && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        // SAFETY: as above; with a null stack clone acts like fork, and the unused pointers are null.
        unsafe { libc::syscall(libc::SYS_clone, flags | signal, 0, 0, 0, 0) }
    } else {
        result
    };
    match result {
        0 => Ok(Fork::Child),
        pid if pid > 0 => Ok(Fork::Parent(i32::try_from(pid).unwrap_or(0))),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends this process without running anything registered for its end, which belongs to the process it was forked
/// from.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes any number and doesn't return.
    unsafe { libc::_exit(code) }
}

/// Moves this process into new namespaces.
pub fn unshare(flags: u64) -> io::Result<()> {
    // SAFETY: the flags used are namespaces only; the descriptor table, whose sharing safe code relies on, stays.
    check(unsafe { libc::unshare(i32::try_from(flags).unwrap_or(0)) })
}

/// Replaces this process' program; returns only when that fails.
pub fn execve(program: &CString, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers =
        |strings: &[CString]| strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both vectors end in a null pointer and point at strings that outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Blocks all signals and returns a descriptor to read them from.
pub fn signals_as_descriptor() -> io::Result<OwnedFd> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set that the next two calls read.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        check(libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut()))?;
        let fd = libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        check(fd)?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// The next pending signal's number, from a descriptor of [`signals_as_descriptor`].
pub fn next_signal(signals: &OwnedFd) -> Option<i32> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: the buffer has the size given; all-zero bytes are a valid signalfd_siginfo.
    let (read, info) = unsafe {
        let read = libc::read(signals.as_raw_fd(), info.as_mut_ptr().cast(), size);
        (read, info.assume_init())
    };
    (usize::try_from(read) == Ok(size)).then(|| i32::try_from(info.ssi_signo).unwrap_or(0))
}

/// Gives a program the signal state it expects: nothing blocked, nothing ignored.
pub fn default_signals() {
    // SAFETY: setting a signal's disposition to the default has no handler to be unsafe; numbers that can't be set
    // are refused. sigemptyset initialises the set that sigprocmask reads.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Sends a signal, as `kill(2)`: -1 is every process but init and ourselves.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { libc::kill(pid, signal) })
}

/// Waits until one of the descriptors can be read or has hung up; which ones. None waits for ever.
pub fn poll(descriptors: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<libc::pollfd> =
        descriptors.iter().map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }).collect();
    let timeout = timeout.map_or(-1, |t| i32::try_from(t.as_millis()).unwrap_or(i32::MAX));
    // SAFETY: the array has the length given.
    let result = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, timeout) };
    match check(result) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(vec![false; polled.len()]),
        Err(error) => Err(error),
        Ok(()) => Ok(polled.iter().map(|p| p.revents != 0).collect()),
    }
}

/// Closes every descriptor from 3 on except some. For a fresh fork that never returns to the code that owns them.
pub fn close_all_except(kept: &[BorrowedFd<'_>]) {
    let mut kept: Vec<RawFd> = kept.iter().map(AsRawFd::as_raw_fd).collect();
    kept.sort_unstable();
    let mut from = 3_u32;
    for fd in kept.into_iter().filter_map(|fd| u32::try_from(fd).ok()).chain([u32::MAX]) {
        if fd > from {
            // SAFETY: the caller never uses the objects that own these descriptors again.
            unsafe { libc::syscall(libc::SYS_close_range, from, fd - 1, 0) };
        }
        from = fd.saturating_add(1).max(from);
    }
}

/// Shifts the owners that a detached mount shows by the mapping of a user namespace.
pub fn shift_owners(mount: &OwnedFd, user_namespace: &OwnedFd) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(user_namespace.as_raw_fd()).unwrap_or(0),
    };
    // SAFETY: the path is empty (the descriptor itself is meant) and the structure is of the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes changes of owners and ids in this process and its children succeed without effect: what is left to a
/// guest that has one id only, so that package managers, tar and useradd go on.
pub fn pretend_owner_changes() -> io::Result<()> {
    let calls = [
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setreuid,
        libc::SYS_setregid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setgroups,
        libc::SYS_setfsuid,
        libc::SYS_setfsgid,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_chown,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_lchown,
    ];
    let instruction =
        |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    // Offsets 4 and 0 in seccomp_data: the architecture and the call's number. Programs of another architecture
    // (32-bit ones) have other numbers and go unfiltered.
    let mut filter = vec![
        instruction(load, 0, 0, 4),
        instruction(equal, 1, 0, AUDIT_ARCHITECTURE),
        instruction(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
        instruction(load, 0, 0, 0),
    ];
    for call in calls {
        filter.push(instruction(equal, 0, 1, u32::try_from(call).unwrap_or(u32::MAX)));
        filter.push(instruction(answer, 0, 0, libc::SECCOMP_RET_ERRNO));
    }
    filter.push(instruction(answer, 0, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: u16::try_from(filter.len()).unwrap_or(0), filter: filter.as_mut_ptr() };
    // SAFETY: the program points at `len` instructions that outlive the call, and every jump stays inside it.
    check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) })
}

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCHITECTURE: u32 = 0xC000_00B7;
/// No filter is written for other processors: nothing has this number, so everything is allowed.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const AUDIT_ARCHITECTURE: u32 = 0;

/// Clock ticks per second, the unit of times in /proc.
pub fn ticks_per_second() -> i64 {
    // SAFETY: a constant of the system is asked for.
    unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1)
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes a descriptor standard input, output or error (0 to 2), to stay open across execution.
pub fn make_standard(descriptor: &OwnedFd, number: i32) -> io::Result<()> {
    // SAFETY: nothing owns the standard descriptors as objects; what they were is meant to go.
    check(unsafe { libc::dup2(descriptor.as_raw_fd(), number) })
}

/// Collects a child that has ended, if it has: its exit code, or 1 after a signal.
#[allow(unsafe_code)]
pub fn reap(pid: i32, code: &mut i32) -> io::Result<bool> {
    let mut status = 0;
    // SAFETY: the status is a place of ours.
    let found = unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) };
    match found {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(false),
        _ => {
            *code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1 };
            Ok(true)
        }
    }
}

/// A descriptor of its own for standard output or error.
#[allow(unsafe_code)]
pub fn standard(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: the new descriptor belongs to nobody else.
    let copy = unsafe { libc::dup(number) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
