//! What a [`Root`] changes. No symbolic link is followed, neither on the way nor at the end.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, chmodat,
    chownat, fchmod, linkat, makedev, mkdirat, mknodat, openat, renameat, symlinkat, unlinkat,
    utimensat,
};
use rustix::io::{Errno, Result as SysResult};

use super::{DIR, Root, below, stat_fd};
use crate::xattr::{self, On};
use crate::{FileKind, Time, TreeError, TreePath};

/// The directory in which a path's last component lies.
enum Parent<'a> {
    Root(&'a Root),
    Opened(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Root(root) => root.as_fd(),
            Self::Opened(fd) => fd.as_fd(),
        }
    }
}

impl Root {
    /// Makes a directory; its parent must be there. The mode is exact, regardless of the umask.
    pub fn mkdir(&self, path: &TreePath, mode: u32) -> Result<(), TreeError> {
        self.at("make the directory", path, |dir, name| {
            mkdirat(dir, name, Mode::RWXU)?;
            let fd = openat(dir, name, DIR.union(OFlags::NOFOLLOW), Mode::empty())?;
            fchmod(fd, Mode::from_raw_mode(mode))
        })
    }

    /// Makes a directory and its parents; those that are there already are left as they are.
    pub fn mkdir_all(&self, path: &TreePath, mode: u32) -> Result<(), TreeError> {
        if below(self.as_fd(), path.as_bytes(), DIR.union(OFlags::PATH)).is_ok() {
            return Ok(());
        }
        let mut above: Vec<TreePath> = path.ancestors().filter(|dir| !dir.is_root()).collect();
        above.reverse();
        for dir in above.iter().chain((!path.is_root()).then_some(path)) {
            match self.mkdir(dir, mode) {
                Err(TreeError::Io { ref source, .. })
                    if Errno::from_io_error(source) == Some(Errno::EXIST) =>
                {
                    // Not if a file or link has the name.
                    below(self.as_fd(), dir.as_bytes(), DIR.union(OFlags::PATH)).map_err(
                        |error| TreeError::io("make the directory", dir.as_bytes(), error),
                    )?;
                }
                answer => answer?,
            }
        }
        Ok(())
    }

    /// Makes a new regular file, open for reading and writing. The mode is exact.
    pub fn create_file(&self, path: &TreePath, mode: u32) -> Result<File, TreeError> {
        self.at("create", path, |dir, name| {
            let flags = OFlags::RDWR
                .union(OFlags::CREATE)
                .union(OFlags::EXCL)
                .union(OFlags::NOFOLLOW)
                .union(OFlags::CLOEXEC);
            let fd = openat(dir, name, flags, Mode::RUSR.union(Mode::WUSR))?;
            fchmod(&fd, Mode::from_raw_mode(mode))?;
            Ok(File::from(fd))
        })
    }

    /// Makes a symbolic link with the text `target`.
    pub fn symlink(&self, target: &[u8], path: &TreePath) -> Result<(), TreeError> {
        self.at("make the link", path, |dir, name| symlinkat(target, dir, name))
    }

    /// Makes `path` a further name of `existing`.
    pub fn hard_link(&self, existing: &TreePath, path: &TreePath) -> Result<(), TreeError> {
        let from = self.parent(existing, "link")?;
        let old = existing.file_name().unwrap_or(b".");
        self.at("make the link", path, |dir, name| linkat(&from, old, dir, name, AtFlags::empty()))
    }

    /// Makes a device file or, with `device` unused, a fifo or socket. The mode is exact.
    ///
    /// # Errors
    /// `EPERM` for real devices without the capability `CAP_MKNOD` of the initial user namespace.
    pub fn mknod(
        &self,
        path: &TreePath,
        kind: FileKind,
        device: (u32, u32),
        mode: u32,
    ) -> Result<(), TreeError> {
        self.at("make the special file", path, |dir, name| special(dir, name, kind, device, mode))
    }

    /// Makes an overlayfs whiteout, a character device 0/0, which needs no privilege.
    pub fn whiteout(&self, path: &TreePath) -> Result<(), TreeError> {
        self.mknod(path, FileKind::CharDevice, (0, 0), 0)
    }

    /// Sets the owner of what lies at `path` itself. Clears set-user-ID bits: set the mode after it.
    pub fn set_owner(&self, path: &TreePath, uid: u32, gid: u32) -> Result<(), TreeError> {
        self.at("change the owner of", path, |dir, name| chown(dir, name, uid, gid))
    }

    /// Sets the permission bits; of a symbolic link, which has none, it is `EOPNOTSUPP`.
    pub fn set_mode(&self, path: &TreePath, mode: u32) -> Result<(), TreeError> {
        self.at("change the mode of", path, |dir, name| chmod(dir, name, mode))
    }

    /// Sets the modification time of what lies at `path` itself.
    pub fn set_mtime(&self, path: &TreePath, mtime: Time) -> Result<(), TreeError> {
        self.at("change the time of", path, |dir, name| {
            utimensat(dir, name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
        })
    }

    /// Sets an extended attribute of what lies at `path` itself.
    pub fn set_xattr(&self, path: &TreePath, name: &[u8], value: &[u8]) -> Result<(), TreeError> {
        self.at("set an attribute of", path, |dir, file| {
            xattr::set(On::Name(dir, file), name, value)
        })
    }

    /// Removes an extended attribute; one that isn't there is no error.
    pub fn remove_xattr(&self, path: &TreePath, name: &[u8]) -> Result<(), TreeError> {
        self.at("remove an attribute of", path, |dir, file| xattr::remove(dir, file, name))
    }

    /// Removes a file, link or device, not a directory.
    pub fn remove_file(&self, path: &TreePath) -> Result<(), TreeError> {
        self.at("remove", path, |dir, name| unlinkat(dir, name, AtFlags::empty()))
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, path: &TreePath) -> Result<(), TreeError> {
        self.at("remove", path, |dir, name| unlinkat(dir, name, AtFlags::REMOVEDIR))
    }

    /// Renames within the root, replacing what a rename may replace.
    pub fn rename(&self, from: &TreePath, to: &TreePath) -> Result<(), TreeError> {
        let target = self.parent(to, "rename to")?;
        let new = to.file_name().unwrap_or(b".");
        self.at("rename", from, |dir, name| renameat(dir, name, &target, new))
    }

    /// Runs a call on the open parent of `path` and its last component (`.` for the root).
    fn at<T>(
        &self,
        action: &'static str,
        path: &TreePath,
        call: impl FnOnce(BorrowedFd<'_>, &[u8]) -> SysResult<T>,
    ) -> Result<T, TreeError> {
        let parent = self.parent(path, action)?;
        call(parent.as_fd(), path.file_name().unwrap_or(b"."))
            .map_err(|error| TreeError::io(action, path.as_bytes(), error))
    }

    fn parent(&self, path: &TreePath, action: &'static str) -> Result<Parent<'_>, TreeError> {
        match path.parent_bytes() {
            None | Some(b"") => Ok(Parent::Root(self)),
            Some(dir) => below(self.as_fd(), dir, DIR.union(OFlags::PATH))
                .map(Parent::Opened)
                .map_err(|error| TreeError::io(action, path.as_bytes(), error)),
        }
    }
}

/// Makes a device, fifo or socket of exactly that mode.
pub(crate) fn special(
    dir: BorrowedFd<'_>,
    name: &[u8],
    kind: FileKind,
    device: (u32, u32),
    mode: u32,
) -> SysResult<()> {
    let file_type = match kind {
        FileKind::CharDevice => FileType::CharacterDevice,
        FileKind::BlockDevice => FileType::BlockDevice,
        FileKind::Fifo => FileType::Fifo,
        FileKind::Socket => FileType::Socket,
        FileKind::Dir | FileKind::File | FileKind::Symlink => return Err(Errno::INVAL),
    };
    mknodat(dir, name, file_type, Mode::empty(), makedev(device.0, device.1))?;
    if mode == 0 { Ok(()) } else { chmod(dir, name, mode) }
}

/// Changes the owner, following no link.
pub(crate) fn chown(dir: BorrowedFd<'_>, name: &[u8], uid: u32, gid: u32) -> SysResult<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

/// Changes the mode, following no link. Kernels before 6.6 have no call for that, so the file is
/// held by an `O_PATH` descriptor and changed through it.
pub(crate) fn chmod(dir: BorrowedFd<'_>, name: &[u8], mode: u32) -> SysResult<()> {
    let flags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    let handle = openat(dir, name, flags, Mode::empty())?;
    if stat_fd(&handle)?.kind == FileKind::Symlink {
        return Err(Errno::OPNOTSUPP);
    }
    let itself = format!("/proc/self/fd/{}", handle.as_raw_fd());
    chmodat(CWD, itself, Mode::from_raw_mode(mode), AtFlags::empty())
}

/// Sets the modification time and leaves the access time as it is.
pub(crate) fn times(mtime: Time) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.secs, tv_nsec: mtime.nanos.into() },
    }
}
