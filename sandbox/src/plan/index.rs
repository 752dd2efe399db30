//! Mounting a layer that was not unpacked: a tar, and an EROFS image of its metadata.
//!
//! Both are files, and the kernel (6.12) takes them as they are, without loop devices. The image
//! decides which bytes of the tar a program sees: only ones that gantry wrote may come here.

use std::hash::{Hash, Hasher};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_change,
    move_mount,
};

use super::root::{Failed, failed, log};
use crate::SpawnError;
use crate::sys::raw;

/// The kernel takes 255 bytes of a path.
const LONGEST: usize = 255;

/// Mounts an index and its tar, read-only and detached: no path leads to it, and it goes with the
/// descriptor.
///
/// # Errors
/// [`SpawnError::Rootfs`] with what the kernel says.
pub fn mount_index(tar: &Path, index: &Path) -> Result<OwnedFd, SpawnError> {
    Ok(mount(tar, index, MountAttrFlags::MOUNT_ATTR_NODEV)?)
}

/// A layer's index and tar that are mounted, detached, as long as this lives.
#[derive(Debug)]
pub struct MountedIndex {
    pub(super) tar: PathBuf,
    pub(super) index: PathBuf,
    mount: OwnedFd,
}

impl MountedIndex {
    /// Mounts them as [`mount_index`] does.
    ///
    /// # Errors
    /// [`SpawnError::Rootfs`] with what the kernel says.
    pub fn new(tar: PathBuf, index: PathBuf) -> Result<Self, SpawnError> {
        let mount = mount_index(&tar, &index)?;
        Ok(Self { tar, index, mount })
    }
}

impl AsFd for MountedIndex {
    /// Its root directory.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mount.as_fd()
    }
}

/// They are the same if the same is mounted.
impl PartialEq for MountedIndex {
    fn eq(&self, other: &Self) -> bool {
        (&self.tar, &self.index) == (&other.tar, &other.index)
    }
}

impl Eq for MountedIndex {}

impl Hash for MountedIndex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.tar, &self.index).hash(state);
    }
}

/// Makes a mount of its own of a file or directory of a detached mount, for a
/// [`Bind`](crate::Bind). It lasts as long as its descriptor, whatever becomes of the other.
///
/// # Errors
/// Before Linux 6.15 that can't be done.
pub fn mount_part(file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    super::detached::copy(file, false, MountAttrFlags::empty())
}

pub(super) fn mount(
    tar: &Path,
    index: &Path,
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Failed> {
    let context = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("fsopen erofs"))?;
    let mut held = Vec::new();
    for (key, path) in [("source", index), ("device", tar)] {
        let path = short(path, &mut held)?;
        fsconfig_set_string(&context, key, path)
            .map_err(failed(format!("erofs {key}={}", index.display())))?;
    }
    fsconfig_set_flag(&context, "ro").map_err(failed("erofs ro"))?;
    fsconfig_create(&context).map_err(|errno| {
        let text = log(&context);
        failed(format!("erofs `{}`{text}", index.display()))(errno)
    })?;
    let attributes = attributes | MountAttrFlags::MOUNT_ATTR_RDONLY;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(failed("fsmount erofs"))
}

fn short(path: &Path, held: &mut Vec<OwnedFd>) -> Result<Vec<u8>, Failed> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if path.is_absolute() && bytes.len() < LONGEST {
        return Ok(bytes.to_vec());
    }
    let fd = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(failed(format!("open {}", path.display())))?;
    let name = format!("/proc/thread-self/fd/{}", fd.as_raw_fd()).into_bytes();
    held.push(fd);
    Ok(name)
}

/// Attaches detached mounts in a mount namespace that this thread alone has, all at one place: they
/// are spoken of by their descriptors. Kernels before 6.15 lay nothing over a mount that is nowhere.
pub(super) fn attach(mounts: &[impl AsFd], at: &Path) -> Result<(), Failed> {
    raw::unshare(libc::CLONE_NEWNS | libc::CLONE_FS)
        .map_err(|cause| Failed { what: "unshare mounts".to_owned(), cause })?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(failed("make mounts private"))?;
    let place = rustix::fs::open(at, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(failed(format!("open {}", at.display())))?;
    for mount in mounts {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(mount, c"", &place, c"", flags)
            .map_err(failed(format!("attach an index at {}", at.display())))?;
    }
    Ok(())
}
