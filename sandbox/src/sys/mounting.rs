//! The child's mounts. The rules of [`program`](super::program) hold: no allocation, no lock.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::RawFd;

use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::raw::{self, MountAttributes, lend};

/// One mount. `item` numbers are indexes into the parent's list of targets.
pub(crate) enum MountOp {
    /// A detached mount goes to an open target.
    Attach { mount: RawFd, target: RawFd },
    /// A copy of what `name` is below `base` (a filesystem attached before) goes to an open target.
    Copy { base: RawFd, name: CString, target: RawFd, attributes: u64 },
    /// A filesystem that belongs to the child's own namespaces.
    Own(OwnFilesystem),
}

/// `proc`, `sysfs`, `mqueue` or `cgroup2`, and what of it is hidden.
pub(crate) struct OwnFilesystem {
    pub(crate) kind: &'static CStr,
    pub(crate) attributes: MountAttrFlags,
    pub(crate) target: RawFd,
    /// Paths to cover by an empty directory or by `/dev/null`, as what is there asks for.
    pub(crate) masked: Vec<CString>,
    /// Paths to make read-only.
    pub(crate) read_only: Vec<CString>,
    /// What to mount at a path inside it, where there is that path.
    pub(crate) inner: Option<(&'static CStr, Inner)>,
    /// Whether to go on without it if the kernel refuses it.
    pub(crate) optional: bool,
}

/// What is mounted inside of an [`OwnFilesystem`].
pub(crate) enum Inner {
    /// Another one of this kind, if the kernel lets us.
    Own(&'static CStr),
    /// A detached mount.
    Attach(RawFd),
}

/// Names in the tmpfs of generated files that masks are cloned from.
pub(crate) const EMPTY_DIRECTORY: &CStr = c"empty";
/// `/dev/null` of the host, verified and mounted there by the parent's list.
pub(crate) const NULL_DEVICE: &CStr = c"null";

impl MountOp {
    /// Carries it out. `files` is the tmpfs of generated files, attached by now.
    pub(super) fn carry_out(&self, files: BorrowedFd<'_>) -> io::Result<()> {
        match self {
            Self::Attach { mount, target } => attach(lend(*mount), lend(*target)),
            Self::Copy { base, name, target, attributes } => {
                copy(lend(*base), name, lend(*target), *attributes)
            }
            Self::Own(own) => match own.mount(files) {
                Err(_) if own.optional => Ok(()),
                other => other,
            },
        }
    }
}

impl OwnFilesystem {
    /// Masks and protects the filesystem through its own descriptor, so that whatever lies at
    /// the target's path cannot stand in for it (CVE-2025-31133, CVE-2025-52881).
    fn mount(&self, files: BorrowedFd<'_>) -> io::Result<()> {
        let mount = new_filesystem(self.kind, self.attributes)?;
        attach(as_lent(&mount), lend(self.target))?;
        if let Some((path, inner)) = &self.inner
            && let Some(target) = below(&mount, path)?
        {
            match inner {
                Inner::Attach(mount) => attach(lend(*mount), as_lent(&target))?,
                Inner::Own(kind) => {
                    if let Ok(inner) = new_filesystem(kind, self.attributes) {
                        attach(as_lent(&inner), as_lent(&target))?;
                        forget(inner);
                    }
                }
            }
            forget(target);
        }
        for path in &self.masked {
            let Some(target) = below(&mount, path)? else { continue };
            let directory = is_directory(&target)?;
            let name = if directory { EMPTY_DIRECTORY } else { NULL_DEVICE };
            let attributes = if directory { libc::MOUNT_ATTR_RDONLY } else { 0 };
            copy(files, name, as_lent(&target), attributes)?;
            forget(target);
        }
        for path in &self.read_only {
            let Some(target) = below(&mount, path)? else { continue };
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_EMPTY_PATH
                | OpenTreeFlags::AT_RECURSIVE;
            let copy = open_tree(&target, c"", flags)?;
            let read_only = MountAttributes::private(libc::MOUNT_ATTR_RDONLY);
            raw::mount_setattr(as_lent(&copy), true, read_only)?;
            attach(as_lent(&copy), as_lent(&target))?;
            forget(copy);
            forget(target);
        }
        forget(mount);
        Ok(())
    }
}

fn new_filesystem(kind: &CStr, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, c"source", kind)?;
    if attributes.contains(MountAttrFlags::MOUNT_ATTR_RDONLY) {
        fsconfig_set_flag(&context, c"ro")?;
    }
    fsconfig_create(&context)?;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    forget(context);
    Ok(mount)
}

/// Leaves a descriptor to `close_from`: it need not be closed one by one.
pub(super) fn forget(fd: OwnedFd) {
    std::mem::forget(fd);
}

fn as_lent(fd: &OwnedFd) -> BorrowedFd<'_> {
    use rustix::fd::AsFd;
    debug_assert!(fd.as_raw_fd() > 2, "0 to 2 are never free here");
    fd.as_fd()
}

fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, c"", target, c"", flags)?)
}

/// Attaches a copy of what `name` is below `base`, an attached filesystem.
fn copy(
    base: BorrowedFd<'_>,
    name: &CStr,
    target: BorrowedFd<'_>,
    attributes: u64,
) -> io::Result<()> {
    let copy =
        open_tree(base, name, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    if attributes != 0 {
        raw::mount_setattr(as_lent(&copy), false, MountAttributes::private(attributes))?;
    }
    attach(as_lent(&copy), target)?;
    forget(copy);
    Ok(())
}

/// Opens a path of a filesystem that was just made; `None` if there is none.
fn below(mount: &OwnedFd, path: &CStr) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(mount, path, flags, Mode::empty(), resolve) {
        Ok(fd) => Ok(Some(fd)),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn is_directory(fd: &OwnedFd) -> io::Result<bool> {
    let stat = rustix::fs::fstat(fd)?;
    Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
}
