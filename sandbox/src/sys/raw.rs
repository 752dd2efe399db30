//! Single system calls that `rustix` does not have (or does not call safe).
//!
//! All of them are direct: no allocation, no lock, and only this thread is changed, where libc's
//! wrappers (`setuid` and friends) would change all threads. So all may run between `clone` and
//! `exec`.

use std::ffi::{CStr, c_char, c_long};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::seccomp::Instruction;

fn check(rc: c_long) -> io::Result<c_long> {
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(rc) }
}

/// Lends a descriptor by its number.
///
/// The caller keeps it open meanwhile; between `clone` and `exec` that is so for all that the
/// parent prepared, because the parent is suspended and the table is the child's own copy.
pub(crate) fn lend<'a>(fd: RawFd) -> BorrowedFd<'a> {
    debug_assert!(fd >= 0, "descriptors are not negative");
    // SAFETY: `fd` is not -1, and every caller passes the number of a descriptor that a longer
    // lived `OwnedFd` of the prepared program holds open.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MountAttributes {
    /// Flags to set.
    pub(crate) set: u64,
    /// Flags to clear.
    pub(crate) clear: u64,
    /// New propagation type, or 0.
    pub(crate) propagation: u64,
    userns_fd: u64,
}

impl MountAttributes {
    /// Sets `flags` and makes the mount private.
    pub(crate) fn private(flags: u64) -> Self {
        Self { set: flags, propagation: libc::MS_PRIVATE, ..Self::default() }
    }
}

/// Changes the attributes of the mount that `fd` is the root of (and of those below it).
pub(crate) fn mount_setattr(
    fd: BorrowedFd<'_>,
    recursive: bool,
    attributes: MountAttributes,
) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is NUL-terminated, `attributes` is a `mount_attr` of the size given and
    // outlives the call; the kernel writes to neither.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    check(rc).map(drop)
}

/// Detaches this thread from what it shares with others: `flags` are `CLONE_NEW*` and `CLONE_FS`.
pub(crate) fn unshare(flags: i32) -> io::Result<()> {
    debug_assert_eq!(flags & libc::CLONE_FILES, 0, "an unshared table would invalidate `OwnedFd`s");
    // SAFETY: takes no pointers. Without `CLONE_FILES` and `CLONE_VM` no memory or descriptor of
    // other threads changes its meaning.
    let rc = unsafe { libc::unshare(flags) };
    check(c_long::from(rc)).map(drop)
}

/// Closes a descriptor of a child that has its own table, and whose owner is the parent's.
pub(crate) fn close_one(fd: RawFd) {
    // SAFETY: takes no pointers. Called only in forked children, of whose table `fd` is a copy
    // that nothing in the child owns.
    unsafe { libc::syscall(libc::SYS_close, fd) };
}

/// Closes every descriptor from `first` on.
///
/// # Safety
/// Nobody in this process (as far as the descriptor table is shared) may use one of them
/// afterwards.
pub(crate) unsafe fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: takes no pointers; the caller answers for the descriptors.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Puts a copy of `from` at the number `to` (without close-on-exec), closing what was there.
///
/// # Safety
/// Nobody in this process (as far as the descriptor table is shared) may rely on `to`.
pub(crate) unsafe fn dup_onto(from: RawFd, to: RawFd) -> io::Result<()> {
    // SAFETY: takes no pointers; the caller answers for `to`. `from` differs from `to`, as the
    // kernel demands of dup3.
    check(unsafe { libc::syscall(libc::SYS_dup3, from, to, 0) }).map(drop)
}

/// Gives this thread a new, empty session keyring, so that it does not keep the host user's.
pub(crate) fn join_new_session_keyring() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring; nothing is written.
    check(unsafe {
        libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<c_char>())
    })
    .map(drop)
}

/// Installs a seccomp filter for this thread and what it executes.
pub(crate) fn load_seccomp(filter: &[Instruction]) -> io::Result<()> {
    const SECCOMP_SET_MODE_FILTER: c_long = 1;
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: `program` points to `len` instructions that outlive the call; the kernel copies
    // them and writes nothing. Filters are shorter than 4096 instructions.
    check(unsafe {
        libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    })
    .map(drop)
}

/// Sets the dispositions of all signals to the default, and blocks none.
///
/// Handlers first: they are the parent's, and would run in its memory.
pub(crate) fn reset_signals() {
    /// Larger than the kernel's `struct sigaction` on any architecture; all zero is `SIG_DFL`.
    const DEFAULT: [u64; 8] = [0; 8];
    for signal in 1..=64 {
        // SAFETY: the new action is 64 readable bytes, of which the kernel reads at most 32, and
        // the old one is not asked for. SIGKILL and SIGSTOP are refused, which is fine.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT.as_ptr(),
                std::ptr::null_mut::<u64>(),
                8,
            );
        }
    }
    let none = 0_u64;
    // SAFETY: the set is 8 readable bytes, as the size says; the old one is not asked for.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            std::ptr::null_mut::<u64>(),
            8,
        );
    }
}

/// Blocks all signals of this thread and returns which were blocked before.
pub(crate) fn block_signals() -> u64 {
    let (all, mut before) = (u64::MAX, 0_u64);
    // SAFETY: both sets are 8 bytes, as the size says; one is read, the other written.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const all,
            &raw mut before,
            8,
        );
    }
    before
}

/// Blocks exactly these signals of this thread.
pub(crate) fn restore_signals(mask: u64) {
    // SAFETY: the set is 8 readable bytes, as the size says; the old one is not asked for.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            std::ptr::null_mut::<u64>(),
            8,
        );
    }
}

/// Executes a program; returns only to fail.
///
/// # Safety
/// `argv` and `envp` are arrays of pointers to NUL-terminated strings, ended by a null pointer,
/// all of which outlive the call.
pub(crate) unsafe fn execve(
    path: &CStr,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> io::Error {
    // SAFETY: the path is NUL-terminated; the caller answers for the arrays.
    unsafe { libc::syscall(libc::SYS_execve, path.as_ptr(), argv, envp) };
    io::Error::last_os_error()
}

/// Ends this process at once, running nothing on the way.
pub(crate) fn exit_now(code: i32) -> ! {
    loop {
        // SAFETY: takes no pointers and does not return.
        unsafe { libc::syscall(libc::SYS_exit_group, code) };
    }
}

/// Sends any signal, by number, to the process of a pidfd.
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a null `siginfo` asks for the one that `kill` would send; nothing is written.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<u8>(),
            0,
        )
    })
    .map(drop)
}

/// Brings the loopback interface of this network namespace up.
pub(crate) fn raise_loopback() -> io::Result<()> {
    use std::os::fd::FromRawFd;
    // SAFETY: takes no pointers.
    let fd = check(c_long::from(unsafe {
        libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)
    }))?;
    // SAFETY: the kernel just made this descriptor, and nobody else knows its number.
    let socket = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
    // SAFETY: all zero is a valid `ifreq`: an empty name and an empty union.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as c_char;
    request.ifr_name[1] = b'o' as c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: `SIOCSIFFLAGS` reads an `ifreq`, which outlives the call.
    let rc =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    check(c_long::from(rc)).map(drop)
}

/// Whether the process of a pidfd has ended. Waits for nothing.
pub(crate) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&now)), Ok(1..))
}
