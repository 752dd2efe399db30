//! `/dev`: a small tmpfs with the devices that every program may use, and terminals of its own.
//!
//! Devices are mounts of the host's nodes on a filesystem that is itself `nodev`, in the user
//! namespace and as root alike: so nothing that the sandbox makes with `mknod` can be opened.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use gantry_tree::{Root, TreePath};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::MountAttrFlags;

use super::detached;

/// Name, major and minor number.
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("core", "/proc/kcore"),
];

/// The detached filesystems that make up `/dev`.
pub(crate) struct Devices {
    pub(crate) dev: OwnedFd,
    pub(crate) root: Root,
    /// Each device's mount and where it goes.
    pub(crate) nodes: Vec<(&'static str, OwnedFd, OwnedFd)>,
    pub(crate) pts: OwnedFd,
    pub(crate) shm: OwnedFd,
}

/// Makes them. `shm_size` in bytes; `console` adds a place for `/dev/console`.
pub(crate) fn devices(shm_size: u64, console: bool) -> io::Result<Devices> {
    let walled = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let dev = detached::filesystem("tmpfs", &[("mode", "0755"), ("size", "65536k")], walled)?;
    let root = Root::from_fd(dev.try_clone()?);
    for directory in ["pts", "shm", "mqueue"] {
        root.mkdir(&name(directory)?, 0o755).map_err(io::Error::other)?;
    }
    for (link, target) in LINKS {
        root.symlink(target.as_bytes(), &name(link)?).map_err(io::Error::other)?;
    }
    if console {
        root.create_file(&name("console")?, 0o600).map_err(io::Error::other)?;
    }
    let mut nodes = Vec::with_capacity(DEVICES.len());
    for (device, major, minor) in DEVICES {
        root.create_file(&name(device)?, 0o666).map_err(io::Error::other)?;
        nodes.push((device, host_device(device, major, minor)?, place(&root, device)?));
    }
    let size = shm_size.to_string();
    let shm = detached::filesystem(
        "tmpfs",
        &[("mode", "1777"), ("size", &size)],
        walled | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )?;
    Ok(Devices { dev, root, nodes, pts: terminals()?, shm })
}

/// Opens a mount point in `/dev`.
pub(crate) fn place(root: &Root, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(root, name, flags, Mode::empty())?)
}

/// Copies the mount of a device of the host, after a look at whether it is the one.
pub(crate) fn host_device(name: &str, major: u32, minor: u32) -> io::Result<OwnedFd> {
    let path = format!("/dev/{name}");
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(&path, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&fd)?;
    let is_it = FileType::from_raw_mode(stat.st_mode).is_char_device()
        && stat.st_rdev == rustix::fs::makedev(major, minor);
    if !is_it {
        return Err(io::Error::other(format!("`{path}` is not the device {major}:{minor}")));
    }
    detached::copy(fd.as_fd(), false, MountAttrFlags::empty())
}

/// An own instance of devpts. Its terminals belong to the group `tty`, which is 5 everywhere;
/// where that is not mapped, to the user's.
fn terminals() -> io::Result<OwnedFd> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let with_group = [("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
    match detached::filesystem("devpts", &with_group, attributes) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            detached::filesystem("devpts", &with_group[..2], attributes)
        }
        other => other,
    }
}

fn name(name: &str) -> io::Result<TreePath> {
    TreePath::new(name).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_another_is_refused() {
        for (name, major, minor) in [("zero", 1, 3), ("null", 1, 5), ("stdin", 1, 3)] {
            let error = host_device(name, major, minor).unwrap_err();
            assert!(error.to_string().contains("is not the device"), "{name}: {error}");
        }
    }
}
