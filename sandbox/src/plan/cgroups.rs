//! `/sys/fs/cgroup` where each controller has a hierarchy of its own (v1): the groups that the
//! child is in, and nothing of those around them.
//!
//! ```text
//! /sys/fs/cgroup/              a tmpfs
//!     memory/                  the child's group of this hierarchy
//!     cpu,cpuacct/             the same of one with two controllers
//!     cpu, cpuacct             links to it
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use gantry_tree::{Root, TreePath};
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountAttrFlags;

use super::system::read_only_if;
use super::{detached, dev};
use crate::cgroup::Shown;
use crate::sys::raw::{self, MountAttributes};

/// The detached mounts that make it up.
pub(super) struct Hierarchies {
    pub(super) tmpfs: OwnedFd,
    /// Each group's name and mount, and where in the tmpfs it goes.
    pub(super) groups: Vec<(String, OwnedFd, OwnedFd)>,
}

/// Makes them, read-only if `sandboxed`.
pub(super) fn hierarchies(shown: &[Shown], sandboxed: bool) -> io::Result<Hierarchies> {
    let options = [("mode", "0755"), ("size", "64k")];
    let attributes = read_only_if(sandboxed);
    let writable = attributes.difference(MountAttrFlags::MOUNT_ATTR_RDONLY);
    let tmpfs = detached::filesystem("tmpfs", &options, writable)?;
    let root = Root::from_fd(tmpfs.try_clone()?);
    let mut groups = Vec::with_capacity(shown.len());
    for group in shown {
        let name = group.controllers.join(",");
        root.mkdir(&path(&name)?, 0o755).map_err(io::Error::other)?;
        for link in group.controllers.iter().filter(|controller| **controller != name) {
            root.symlink(name.as_bytes(), &path(link)?).map_err(io::Error::other)?;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&group.directory, flags, Mode::empty())?;
        let mount = detached::copy(directory.as_fd(), false, attributes)?;
        let at = dev::place(&root, &name)?;
        groups.push((name, mount, at));
    }
    let attributes = MountAttributes::private(attributes.bits().into());
    raw::mount_setattr(tmpfs.as_fd(), false, attributes)?;
    Ok(Hierarchies { tmpfs, groups })
}

fn path(name: &str) -> io::Result<TreePath> {
    TreePath::new(name).map_err(io::Error::other)
}
