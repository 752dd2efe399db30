//! The child of a re-execution, and the two pipes it is steered by.
//!
//! ```text
//! parent ── go ──────► child    one byte: your maps are written. End of pipe: give up
//! parent ◄── failed ── child    errno, if executing failed; end of pipe once it has succeeded
//! ```

use std::ffi::CString;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, PidfdFlags, Signal, Uid, getpid, pidfd_open};

use super::USERNS_MARKER;
use crate::sys::clone::ChildProgram;
use crate::sys::raw::{self, has_ended, lend};
use crate::sys::strings::Strings;

/// What the child does: wait for its maps, become root of them, execute this program again.
pub(super) struct Reexec {
    go: RawFd,
    /// The parent's end of `go`, of which the child has a copy; so its end would never come.
    go_of_parent: RawFd,
    failed: RawFd,
    parent: RawFd,
    path: CString,
    strings: Strings,
}

/// Both ends of both pipes.
pub(super) struct Ends {
    go: (OwnedFd, OwnedFd),
    failed: (OwnedFd, OwnedFd),
    parent: OwnedFd,
}

/// What the parent keeps.
pub(super) struct OfParent {
    go: OwnedFd,
    failed: OwnedFd,
}

pub(super) fn prepare() -> io::Result<(Reexec, Ends)> {
    let ends = Ends {
        go: pipe_with(PipeFlags::CLOEXEC)?,
        failed: pipe_with(PipeFlags::CLOEXEC)?,
        parent: pidfd_open(getpid(), PidfdFlags::empty())?,
    };
    let argv = std::env::args_os()
        .map(|argument| CString::new(argument.into_vec()))
        .collect::<Result<_, _>>()?;
    let mut env = std::env::vars_os()
        .map(|(name, value)| {
            CString::new([name.into_vec(), b"=".to_vec(), value.into_vec()].concat())
        })
        .collect::<Result<Vec<_>, _>>()?;
    env.push(CString::new(format!("{USERNS_MARKER}=1"))?);
    let program = Reexec {
        go: ends.go.0.as_raw_fd(),
        go_of_parent: ends.go.1.as_raw_fd(),
        failed: ends.failed.1.as_raw_fd(),
        parent: ends.parent.as_raw_fd(),
        // Also right where the file has been replaced or moved since this process began.
        path: c"/proc/self/exe".to_owned(),
        strings: Strings::new(argv, env),
    };
    Ok((program, ends))
}

impl Ends {
    /// Closes the child's ends, once the child has its copies.
    pub(super) fn of_parent(self) -> OfParent {
        OfParent { go: self.go.1, failed: self.failed.0 }
    }
}

impl OfParent {
    /// Lets the child go on; returns why it could not execute, if it could not.
    pub(super) fn let_go(self) -> io::Result<Option<io::Error>> {
        rustix::io::write(&self.go, b"g")?;
        let mut errno = [0_u8; 4];
        match std::fs::File::from(self.failed).read_exact(&mut errno) {
            Ok(()) => Ok(Some(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))),
            Err(_) => Ok(None),
        }
    }
}

impl ChildProgram for Reexec {
    fn run(&self) {
        raw::close_one(self.go_of_parent);
        let mut byte = [0_u8];
        if !matches!(rustix::io::read(lend(self.go), &mut byte), Ok(1)) {
            return;
        }
        let error = self.become_root().err().unwrap_or_else(|| self.strings.execute(&self.path));
        let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
        let _ = rustix::io::write(lend(self.failed), &errno.to_ne_bytes());
    }
}

impl Reexec {
    fn become_root(&self) -> io::Result<()> {
        rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
        rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
        // After the IDs, whose change clears it; then nobody may have died in between.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if has_ended(lend(self.parent)) {
            raw::exit_now(1);
        }
        Ok(())
    }
}
