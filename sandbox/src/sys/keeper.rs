//! The first process of a PID namespace that holds a helper program, and dies with gantry.
//!
//! The helper changes its credentials, by which the kernel forgets whose death it was to follow;
//! this process does not, and when it dies, the kernel ends all others of its namespace.

use std::ffi::CString;
use std::os::fd::{AsFd, RawFd};

use rustix::process::{Signal, WaitId, WaitIdOptions, WaitOptions, wait, waitid};

use super::clone::{ChildProgram, Stack, fork_on};
use super::raw::{self, has_ended, lend};
use super::strings::Strings;

/// Descriptors given to a [`Keeper`] have at least this number.
pub(crate) const LOWEST: RawFd = 10;

/// What the keeper does: start the helper, say how that went, stay until the helper has ended.
pub(crate) struct Keeper {
    pub(crate) path: CString,
    pub(crate) strings: Strings,
    pub(crate) null: RawFd,
    /// Becomes the helper's output and errors.
    pub(crate) output: RawFd,
    /// Gets one byte, the exit status of the helper's foreground process.
    pub(crate) status: RawFd,
    pub(crate) parent: RawFd,
    /// For the helper, since nothing may be allocated here.
    pub(crate) stack: Stack,
}

struct Helper<'a>(&'a Keeper);

/// Where the keeper moves what it keeps, next to each other, to close all others.
const STATUS: RawFd = 3;
const PARENT: RawFd = 4;

impl ChildProgram for Keeper {
    fn run(&self) {
        let _ = self.keep();
    }
}

impl Keeper {
    fn keep(&self) -> std::io::Result<()> {
        raw::reset_signals();
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        rustix::process::setsid()?;
        let moves = [
            (self.null, 0),
            (self.output, 1),
            (self.output, 2),
            (self.status, STATUS),
            (self.parent, PARENT),
        ];
        for (from, to) in moves {
            // SAFETY: the table is this process's own copy, and nothing of the parent's code that
            // could rely on the numbers 0 to 4 runs in it.
            unsafe { raw::dup_onto(from, to) }?;
        }
        // SAFETY: as above. Locks and pipes of gantry must not stay open in here.
        unsafe { raw::close_from(PARENT.unsigned_abs() + 1) }?;
        if has_ended(lend(PARENT)) {
            return Ok(());
        }
        let helper = fork_on(&self.stack, 0, &Helper(self))?;
        for fd in [1, 2] {
            raw::close_one(fd);
        }
        let status = waitid(WaitId::PidFd(helper.pidfd.as_fd()), WaitIdOptions::EXITED)?;
        let code = status.and_then(|status| status.exit_status()).unwrap_or(255);
        rustix::io::write(lend(STATUS), &[code as u8])?;
        raw::close_one(STATUS);
        // What it left in the background has become this process's child.
        while wait(WaitOptions::empty()).is_ok() {}
        Ok(())
    }
}

impl ChildProgram for Helper<'_> {
    fn run(&self) {
        // SAFETY: the table is this process's own copy; only 0 to 2 are used from here on.
        if unsafe { raw::close_from(3) }.is_ok() {
            self.0.strings.execute(&self.0.path);
        }
    }
}
