//! A running sandbox and how it ends.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::plan::stdio::{Ends, resize};
use crate::spec::WindowSize;
use crate::sys::raw;

/// A process running as PID 1 of its namespaces.
///
/// Dropping it kills it, with everything it started, and waits until that is done.
#[derive(Debug)]
pub struct Child {
    handle: Handle,
    ends: Ends,
    /// For [`resize`](Self::resize) after the terminal was taken.
    terminal: Option<OwnedFd>,
    exit: Arc<Exit>,
}

/// The process itself.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
}

impl Child {
    pub(crate) fn new(handle: Handle, ends: Ends, exit: Arc<Exit>) -> Self {
        let terminal = ends.terminal.as_ref().and_then(|file| file.try_clone().ok());
        Self { handle, ends, terminal: terminal.map(OwnedFd::from), exit }
    }

    /// Its process ID on the host.
    pub fn pid(&self) -> u32 {
        self.handle.pid
    }

    /// A pidfd: readable once the process has ended (for `poll` or an async reactor).
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.handle.pidfd.as_fd()
    }

    /// The write end of its input, if that is a pipe; dropping it is the end of input.
    pub fn take_stdin(&mut self) -> Option<File> {
        self.ends.stdin.take()
    }

    /// The read end of its output, if that is a pipe.
    pub fn take_stdout(&mut self) -> Option<File> {
        self.ends.stdout.take()
    }

    /// The read end of its error output, if that is a pipe.
    pub fn take_stderr(&mut self) -> Option<File> {
        self.ends.stderr.take()
    }

    /// The host's end of its terminal. Reading gives `EIO` once nobody has the other end open.
    pub fn take_terminal(&mut self) -> Option<File> {
        self.ends.terminal.take()
    }

    /// Waits for the end; mount points and cgroup are gone by then, and what was written to the
    /// root filesystem may be read from where it keeps changes. May be called again, and from
    /// several threads.
    pub fn wait(&self) -> ExitStatus {
        self.exit.wait()
    }

    /// Like [`wait`](Self::wait), but returns `None` if it still runs.
    pub fn try_wait(&self) -> Option<ExitStatus> {
        self.exit.get()
    }

    /// Sends a signal to PID 1. With [`Signal::KILL`] the kernel ends all its processes; other
    /// signals reach it only if it has a handler for them, as PID 1 has no default actions.
    ///
    /// # Errors
    /// `ESRCH` once it has ended.
    pub fn kill(&self, signal: Signal) -> io::Result<()> {
        raw::pidfd_send_signal(self.handle.pidfd.as_fd(), signal.0)
    }

    /// A handle to kill it from elsewhere while another thread waits.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn killer(&self) -> io::Result<Killer> {
        Ok(Killer { pidfd: self.handle.pidfd.try_clone()? })
    }

    /// Sets its terminal's size, which also sends `SIGWINCH`. Nothing without a terminal.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        self.terminal.as_ref().map_or(Ok(()), |terminal| resize(terminal.as_fd(), size))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.try_wait().is_none() {
            let _ = self.kill(Signal::KILL);
            self.wait();
        }
    }
}

/// Kills a [`Child`] from another thread; harmless once it has ended.
#[derive(Debug)]
pub struct Killer {
    pidfd: OwnedFd,
}

impl Killer {
    /// Like [`Child::kill`].
    ///
    /// # Errors
    /// `ESRCH` once it has ended.
    pub fn kill(&self, signal: Signal) -> io::Result<()> {
        raw::pidfd_send_signal(self.pidfd.as_fd(), signal.0)
    }
}

/// A signal's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(pub i32);

impl Signal {
    /// `SIGKILL`.
    pub const KILL: Self = Self(libc::SIGKILL);
    /// `SIGTERM`.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// `SIGINT`.
    pub const INT: Self = Self(libc::SIGINT);
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus {
    /// The exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether the kernel killed something in it because its memory limit was reached.
    pub oom_killed: bool,
}

impl ExitStatus {
    /// Whether it exited with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// The code as a shell would give it: the exit code, or 128 and the signal's number.
    pub fn shell_code(&self) -> i32 {
        self.code.unwrap_or_else(|| 128 + self.signal.unwrap_or(0))
    }
}

/// Where a child's thread leaves how it ended.
#[derive(Debug, Default)]
pub(crate) struct Exit {
    status: Mutex<Option<ExitStatus>>,
    published: Condvar,
}

impl Exit {
    pub(crate) fn publish(&self, status: ExitStatus) {
        let mut place = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        place.get_or_insert(status);
        self.published.notify_all();
    }

    /// Should the thread panic, nobody is to wait forever.
    pub(crate) fn publish_on_unwind(&self) -> impl Drop {
        struct Guard<'a>(&'a Exit);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                self.0.publish(ExitStatus { code: Some(255), signal: None, oom_killed: false });
            }
        }
        Guard(self)
    }

    fn get(&self) -> Option<ExitStatus> {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) -> ExitStatus {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *status {
                Some(status) => return status,
                None => {
                    status = self.published.wait(status).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}
