//! Generated files: one tmpfs that holds them all, of which each is mounted on its own.
//!
//! ```text
//! empty/   a directory, to mask directories with
//! null     the host's /dev/null is mounted here, to mask files with
//! 0 1 2 …  contents
//! ```
//!
//! In memory only, so secrets never touch a disk, and gone with the child.

use std::ffi::CString;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use gantry_tree::{Root, TreePath};
use rustix::mount::MountAttrFlags;

use super::detached;

/// One file to generate.
pub(crate) struct Content<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The tmpfs, detached.
pub(crate) struct Files {
    mount: OwnedFd,
    root: Root,
    count: usize,
}

impl Files {
    /// Makes it with room for `bytes` in `count` files, and a little more to write into them.
    pub(crate) fn new(bytes: u64, count: u64) -> io::Result<Self> {
        let size = (bytes + (count + 1) * 65_536 + (1 << 20)).to_string();
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let options = [("mode", "0755"), ("size", size.as_str())];
        let mount = detached::filesystem("tmpfs", &options, attributes)?;
        let root = Root::from_fd(mount.try_clone()?);
        root.mkdir(&name("empty")?, 0o555).map_err(io::Error::other)?;
        root.create_file(&name("null")?, 0o444).map_err(io::Error::other)?;
        Ok(Self { mount, root, count: 0 })
    }

    /// Writes a file and returns its name.
    pub(crate) fn add(&mut self, content: &Content<'_>) -> io::Result<CString> {
        let number = self.count.to_string();
        let path = name(&number)?;
        let mut file = self.root.create_file(&path, 0o600).map_err(io::Error::other)?;
        file.write_all(content.bytes)?;
        if (content.uid, content.gid) != (0, 0) {
            let (uid, gid) = (content.uid, content.gid);
            rustix::fs::fchown(
                &file,
                Some(rustix::fs::Uid::from_raw(uid)),
                Some(rustix::fs::Gid::from_raw(gid)),
            )?;
        }
        rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(content.mode & 0o7777))?;
        self.count += 1;
        Ok(CString::new(number)?)
    }

    /// Gives the mount away, to be kept until the child has it.
    pub(crate) fn into_mount(self) -> OwnedFd {
        self.mount
    }

    /// The place for `/dev/null`.
    pub(crate) fn null(&self) -> io::Result<OwnedFd> {
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let mode = rustix::fs::Mode::empty();
        Ok(rustix::fs::openat(&self.root, "null", flags, mode)?)
    }
}

impl AsFd for Files {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mount.as_fd()
    }
}

fn name(name: &str) -> io::Result<TreePath> {
    TreePath::new(name).map_err(io::Error::other)
}
