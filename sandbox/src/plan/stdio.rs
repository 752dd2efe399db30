//! Where 0, 1 and 2 of the child lead, and the ends that the caller keeps.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

use crate::{Stdio, WindowSize};

/// The caller's ends.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) stdin: Option<File>,
    pub(crate) stdout: Option<File>,
    pub(crate) stderr: Option<File>,
    pub(crate) terminal: Option<File>,
}

/// The child's ends.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) fds: [OwnedFd; 3],
    /// Name of the terminal in its devpts, if there is one.
    pub(crate) terminal: Option<String>,
    /// Whether they are ours to give to the user that runs it.
    pub(crate) ours: bool,
}

/// Opens both ends. `terminals` is the sandbox's devpts.
pub(crate) fn prepare(stdio: Stdio, terminals: BorrowedFd<'_>) -> io::Result<(Prepared, Ends)> {
    let mut ends = Ends::default();
    let mut terminal = None;
    let mut ours = true;
    let fds = match stdio {
        Stdio::Piped { stdin } => {
            let input = if stdin {
                let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
                ends.stdin = Some(File::from(write));
                read
            } else {
                null()?
            };
            let (stdout, output) = pipe_with(PipeFlags::CLOEXEC)?;
            let (stderr, errors) = pipe_with(PipeFlags::CLOEXEC)?;
            ends.stdout = Some(File::from(stdout));
            ends.stderr = Some(File::from(stderr));
            [input, output, errors]
        }
        Stdio::Inherit => {
            ours = false;
            [
                inherited(io::stdin().as_fd())?,
                inherited(io::stdout().as_fd())?,
                inherited(io::stderr().as_fd())?,
            ]
        }
        Stdio::Files(fds) => {
            ours = false;
            fds
        }
        Stdio::Terminal(size) => {
            let (master, slave, name) = open_terminal(terminals, size)?;
            ends.terminal = Some(File::from(master));
            terminal = Some(name);
            [slave.try_clone()?, slave.try_clone()?, slave]
        }
    };
    let [input, output, errors] = fds;
    let fds = [above_stdio(input)?, above_stdio(output)?, above_stdio(errors)?];
    Ok((Prepared { fds, terminal, ours }, ends))
}

/// Sets a terminal's size.
pub(crate) fn resize(terminal: BorrowedFd<'_>, size: WindowSize) -> io::Result<()> {
    let size = rustix::termios::Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(rustix::termios::tcsetwinsize(terminal, size)?)
}

/// A terminal of the sandbox's own devpts, so that its name means something inside.
fn open_terminal(
    terminals: BorrowedFd<'_>,
    size: WindowSize,
) -> io::Result<(OwnedFd, OwnedFd, String)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::openat(terminals, "ptmx", flags, Mode::empty())?;
    unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    resize(master.as_fd(), size)?;
    // The first terminal of a devpts instance; ask all the same.
    let name = rustix::pty::ptsname(&master, Vec::new())?;
    let name = name.to_string_lossy();
    let name = name.rsplit('/').next().unwrap_or("0").to_owned();
    Ok((master, slave, name))
}

fn null() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// A copy of one of this process's own; `/dev/null` if that is closed.
fn inherited(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3)
        .or_else(|_| null().map_err(|_| rustix::io::Errno::BADF))
        .map_err(io::Error::from)
}

/// The child puts things onto 0 to 2, so nothing prepared may lie there.
fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(&fd, 3)?)
}
