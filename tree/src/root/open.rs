//! The two ways in which paths below a root are opened.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, Result};

/// Opens a directory, to list it unless `O_PATH` comes on top.
pub(crate) const DIR: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// Opens a file to read it. Should a fifo or terminal have taken its place, neither waits.
pub(crate) const FILE: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

const BELOW: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// The kernel takes paths below `PATH_MAX` (4096) bytes.
const STRETCH: usize = 4095;

/// How often a resolution is begun again that a rename elsewhere made unsure (`EAGAIN`).
const TRIES: usize = 64;

/// Opens `path` without following any symbolic link: one on the way or at the end is `ELOOP`.
/// (With `O_PATH` and `O_NOFOLLOW`, one at the end is opened itself.)
pub(crate) fn below(dir: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    stretches(dir, path, flags, BELOW, BELOW)
}

/// As [`below`], and does not enter other mounts: `EXDEV`.
pub(crate) fn below_one_mount(dir: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    let resolve = BELOW.union(ResolveFlags::NO_XDEV);
    stretches(dir, path, flags, resolve, resolve)
}

/// Opens `path` following symbolic links as if `dir` were `/`; the last component's too unless
/// `O_NOFOLLOW` is set.
pub(crate) fn inside(dir: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    stretches(dir, path, flags, INSIDE, BELOW)
}

fn stretches(
    dir: BorrowedFd<'_>,
    mut path: &[u8],
    flags: OFlags,
    resolve: ResolveFlags,
    resolve_later: ResolveFlags,
) -> Result<OwnedFd> {
    let mut resolve = resolve;
    let mut reached: Option<OwnedFd> = None;
    while path.len() > STRETCH {
        let slash = path[..STRETCH].iter().rposition(|&b| b == b'/').ok_or(Errno::NAMETOOLONG)?;
        let dir = reached.as_ref().map_or(dir, AsFd::as_fd);
        reached = Some(once(dir, &path[..slash], DIR.union(OFlags::PATH), resolve)?);
        resolve = resolve_later;
        path = &path[slash + 1..];
    }
    once(reached.as_ref().map_or(dir, AsFd::as_fd), path, flags, resolve)
}

fn once(dir: BorrowedFd<'_>, path: &[u8], flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let mut tries = 0;
    loop {
        match openat2(dir, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tries < TRIES => tries += 1,
            answer => return answer,
        }
    }
}
