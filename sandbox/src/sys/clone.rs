//! Children: one that shares memory until it executes (`vfork` with namespaces), and a plain one.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};

use super::raw;

/// Bytes of stack for a child; the program needs less than 4 KiB of it.
const STACK: usize = 128 << 10;

/// A process that was just made.
pub(crate) struct Cloned {
    /// Its number in this process's PID namespace.
    pub(crate) pid: u32,
    /// A descriptor that stands for it.
    pub(crate) pidfd: OwnedFd,
}

/// What a vforked child runs. Must neither allocate nor lock, nor panic.
pub(crate) trait ChildProgram: Sync {
    /// Runs in the child, in the parent's memory. When it returns, the child exits.
    fn run(&self);
}

/// Makes a child in new namespaces (`CLONE_NEW*` in `namespaces`) that runs `program`, and returns
/// when it has executed something or exited.
///
/// The child shares this process's memory and has a copy of its descriptors. This thread is
/// suspended meanwhile, with all signals blocked; other threads run on. The child is never
/// dumpable, so nobody can attach to it (and so to this process's memory) while it changes its
/// user ID.
pub(crate) fn vfork<P: ChildProgram>(namespaces: c_int, program: &P) -> io::Result<Cloned> {
    extern "C" fn enter<P: ChildProgram>(argument: *mut c_void) -> c_int {
        // SAFETY: `argument` is the `&P` passed to `clone` below, and the parent that lends it is
        // suspended until this child is gone or has executed something.
        let program = unsafe { &*argument.cast::<P>() };
        program.run();
        raw::exit_now(1)
    }

    let argument: *const P = program;
    let _undumpable = Undumpable::enter()?;
    let signals = raw::block_signals();
    let stack = Stack::new();
    let result = clone(
        &stack,
        namespaces | libc::CLONE_VM | libc::CLONE_VFORK,
        enter::<P>,
        argument.cast::<c_void>().cast_mut(),
    );
    raw::restore_signals(signals);
    result
}

/// Makes a child in new namespaces with its own copy of memory, which runs `program`.
///
/// This process may have other threads whose locks the child sees taken forever; so the same
/// rules hold: no allocation, no lock.
pub(crate) fn fork<P: ChildProgram>(namespaces: c_int, program: &P) -> io::Result<Cloned> {
    fork_on(&Stack::new(), namespaces, program)
}

/// Like [`fork`], but allocates nothing, so that a child may do it too.
pub(crate) fn fork_on<P: ChildProgram>(
    stack: &Stack,
    namespaces: c_int,
    program: &P,
) -> io::Result<Cloned> {
    extern "C" fn enter<P: ChildProgram>(argument: *mut c_void) -> c_int {
        // SAFETY: `argument` is the `&P` passed to `clone` below; the child has its own copy of
        // the memory it lies in.
        let program = unsafe { &*argument.cast::<P>() };
        program.run();
        raw::exit_now(127)
    }

    let argument: *const P = program;
    clone(stack, namespaces, enter::<P>, argument.cast::<c_void>().cast_mut())
}

/// Makes a user namespace with a mount namespace, and throws them away.
pub(crate) fn try_user_namespace() -> io::Result<()> {
    struct Nothing;
    impl ChildProgram for Nothing {
        fn run(&self) {}
    }
    let cloned = vfork(libc::CLONE_NEWUSER | libc::CLONE_NEWNS, &Nothing)?;
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    use std::os::fd::AsFd;
    waitid(WaitId::PidFd(cloned.pidfd.as_fd()), WaitIdOptions::EXITED)?;
    Ok(())
}

/// Memory for a child to run on.
pub(crate) struct Stack(UnsafeCell<Vec<u128>>);

// SAFETY: the memory is written only by children that run on it, one at a time: `clone` lets only
// a vforked child share memory with us, and is suspended until that is done.
unsafe impl Sync for Stack {}

impl Stack {
    /// Allocates one.
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::new(vec![0; STACK / size_of::<u128>()]))
    }

    /// Its end, where it begins to be used: stacks grow down.
    fn top(&self) -> *mut c_void {
        let memory = self.0.get();
        // SAFETY: the vector lives in `self`, and nobody changes its length or place; no reference
        // to its content is ever made.
        unsafe { (*memory).as_mut_ptr().add((*memory).len()).cast() }
    }
}

fn clone(
    stack: &Stack,
    flags: c_int,
    enter: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> io::Result<Cloned> {
    let mut pidfd: c_int = -1;
    // SAFETY: the stack is memory of our own, aligned to 16, and its end is passed since stacks
    // grow down. It outlives the child's use of it: a child that shares memory is done with it
    // when this call returns (`CLONE_VFORK`), another has its own copy. `argument` is what `enter`
    // expects. `CLONE_PIDFD` has the kernel write one int to `pidfd`.
    let pid = unsafe {
        libc::clone(
            enter,
            stack.top(),
            flags | libc::CLONE_PIDFD | libc::SIGCHLD,
            argument,
            &raw mut pidfd,
        )
    };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the kernel has made this descriptor for us alone.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Cloned { pid: pid.unsigned_abs(), pidfd })
}

/// Keeps this process undumpable while at least one vforked child shares its memory.
///
/// A change of user ID in the child makes the shared memory undumpable anyway (and could, by
/// `fs.suid_dumpable`, do the opposite); this does it before, and undoes it.
struct Undumpable;

/// How many there are, and what was before the first.
static UNDUMPABLE: Mutex<(usize, Option<DumpableBehavior>)> = Mutex::new((0, None));

impl Undumpable {
    fn enter() -> io::Result<Self> {
        let mut state = UNDUMPABLE.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 == 0 {
            state.1 = Some(dumpable_behavior()?);
            set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        }
        state.0 += 1;
        Ok(Self)
    }
}

impl Drop for Undumpable {
    fn drop(&mut self) {
        let mut state = UNDUMPABLE.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 -= 1;
        if let (0, Some(DumpableBehavior::Dumpable)) = *state {
            // It was so before; that it is refused now cannot be.
            let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
        }
    }
}
