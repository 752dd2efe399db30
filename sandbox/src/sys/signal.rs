//! Forwarding signals to the process that took this one's place.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

/// Who gets them; 0 is nobody.
static RECEIVER: AtomicI32 = AtomicI32::new(0);

/// From here on, these signals are passed on to `pid` instead of ending this process.
///
/// Those that the terminal sends are not: it sends them to the whole process group, so `pid` has
/// got its own already.
pub(crate) fn forward(signals: &[i32], pid: u32) -> io::Result<()> {
    RECEIVER.store(i32::try_from(pid).unwrap_or(0), Ordering::SeqCst);
    for &signal in signals {
        let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = pass_on;
        // SAFETY: all zero is a valid `sigaction`: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        // SAFETY: `action` is initialised and outlives the call; its handler has the signature
        // that `SA_SIGINFO` asks for, and is async-signal-safe: it calls `kill` and nothing else.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Forwards nothing any more: the receiver is gone, and its number may be given to another.
pub(crate) fn forward_to_nobody() {
    RECEIVER.store(0, Ordering::SeqCst);
}

extern "C" fn pass_on(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    /// `si_code` of signals that the terminal driver makes.
    const SI_KERNEL: i32 = 0x80;
    // SAFETY: the kernel passes a valid `siginfo_t` to handlers set with `SA_SIGINFO`.
    let code = unsafe { (*info).si_code };
    let receiver = RECEIVER.load(Ordering::SeqCst);
    if code != SI_KERNEL && receiver > 0 {
        // SAFETY: takes no pointers, and is async-signal-safe; it may change `errno`, which is
        // put back so that the interrupted code does not see it.
        unsafe {
            let errno = *libc::__errno_location();
            libc::kill(receiver, signal);
            *libc::__errno_location() = errno;
        }
    }
}
