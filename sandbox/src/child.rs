//! A running sandbox and how it ends.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::spec::WindowSize;

/// A process running as PID 1 of its namespaces.
///
/// Dropping it kills it, with everything it started, and waits until that is done.
#[derive(Debug)]
pub struct Child {}

impl Child {
    /// Its process ID on the host.
    pub fn pid(&self) -> u32 {
        todo!()
    }

    /// A pidfd: readable once the process has ended (for `poll` or an async reactor).
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        todo!()
    }

    /// The write end of its input, if that is a pipe; dropping it is the end of input.
    pub fn take_stdin(&mut self) -> Option<File> {
        todo!()
    }

    /// The read end of its output, if that is a pipe.
    pub fn take_stdout(&mut self) -> Option<File> {
        todo!()
    }

    /// The read end of its error output, if that is a pipe.
    pub fn take_stderr(&mut self) -> Option<File> {
        todo!()
    }

    /// The host's end of its terminal. Reading gives `EIO` once nobody has the other end open.
    pub fn take_terminal(&mut self) -> Option<File> {
        todo!()
    }

    /// Waits for the end; mount points and cgroup are gone by then. May be called again, and
    /// from several threads.
    pub fn wait(&self) -> ExitStatus {
        todo!()
    }

    /// Like [`wait`](Self::wait), but returns `None` if it still runs.
    pub fn try_wait(&self) -> Option<ExitStatus> {
        todo!()
    }

    /// Sends a signal to PID 1. With [`Signal::KILL`] the kernel ends all its processes; other
    /// signals reach it only if it has a handler for them, as PID 1 has no default actions.
    pub fn kill(&self, signal: Signal) -> io::Result<()> {
        let _ = signal;
        todo!()
    }

    /// A handle to kill it from elsewhere while another thread waits.
    pub fn killer(&self) -> io::Result<Killer> {
        todo!()
    }

    /// Sets its terminal's size, which also sends `SIGWINCH`. Nothing without a terminal.
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        let _ = size;
        todo!()
    }
}

/// Kills a [`Child`] from another thread; harmless once it has ended.
#[derive(Debug)]
pub struct Killer {
    pidfd: std::os::fd::OwnedFd,
}

impl Killer {
    /// Like [`Child::kill`].
    pub fn kill(&self, signal: Signal) -> io::Result<()> {
        let _ = (signal, self.pidfd.as_fd());
        todo!()
    }
}

/// A signal's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(pub i32);

impl Signal {
    /// `SIGKILL`.
    pub const KILL: Self = Self(9);
    /// `SIGTERM`.
    pub const TERM: Self = Self(15);
    /// `SIGINT`.
    pub const INT: Self = Self(2);
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
