//! [`Root`]: a directory below which nothing is trusted.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use crate::{FileKind, Follow, Time, TreeError, TreePath, Xattrs};

/// A directory, and the only way to what lies below it. Cheap to clone.
///
/// Methods that read may follow symbolic links, always inside the root. Methods that create,
/// change or delete follow none, not even on the way: a link there is the error `ELOOP`. Who wants
/// links followed first asks [`resolve`](Self::resolve).
#[derive(Debug, Clone)]
pub struct Root {
    fd: Arc<OwnedFd>,
}

/// What `statx` says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The type.
    pub kind: FileKind,
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
    /// Last change of the content.
    pub mtime: Time,
    /// Last change of anything.
    pub ctime: Time,
    /// The file system, as major and minor number.
    pub dev: (u32, u32),
    /// The inode.
    pub ino: u64,
    /// How many names it has.
    pub nlink: u32,
    /// What a device file stands for.
    pub rdev: (u32, u32),
    /// 512-byte blocks taken on disk.
    pub blocks: u64,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name's bytes.
    pub name: Vec<u8>,
    /// The type.
    pub kind: FileKind,
    /// The inode.
    pub ino: u64,
}

impl Root {
    /// Opens a directory of the host by a trusted path. Symbolic links in it are followed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TreeError> {
        let _ = path;
        todo!()
    }
    /// Makes a root of an open directory.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd: Arc::new(fd) }
    }
    /// Opens a directory below this root as a root of its own; links are followed inside this one.
    pub fn open_in(&self, path: &TreePath) -> Result<Self, TreeError> {
        let _ = path;
        todo!()
    }
    /// Describes what lies at `path`.
    pub fn stat(&self, path: &TreePath, follow: Follow) -> Result<Stat, TreeError> {
        let _ = (path, follow);
        todo!()
    }
    /// Lists a directory, sorted by name.
    pub fn read_dir(&self, path: &TreePath, follow: Follow) -> Result<Vec<DirEntry>, TreeError> {
        let _ = (path, follow);
        todo!()
    }
    /// Opens a regular file for reading. A fifo, device or socket is [`TreeError::NotAFile`], and opening never blocks.
    pub fn open_file(&self, path: &TreePath, follow: Follow) -> Result<File, TreeError> {
        let _ = (path, follow);
        todo!()
    }
    /// Reads a whole regular file, following links inside the root; larger than `limit` is an error.
    pub fn read(&self, path: &TreePath, limit: u64) -> Result<Vec<u8>, TreeError> {
        let _ = (path, limit);
        todo!()
    }
    /// Returns a symbolic link's text.
    pub fn readlink(&self, path: &TreePath) -> Result<Vec<u8>, TreeError> {
        let _ = path;
        todo!()
    }
    /// Follows the symbolic links of `path` without leaving the root. What does not exist yet is kept as written.
    pub fn resolve(&self, path: &TreePath, follow: Follow) -> Result<TreePath, TreeError> {
        let _ = (path, follow);
        todo!()
    }
    /// Returns the extended attributes of what lies at `path` itself.
    pub fn xattrs(&self, path: &TreePath) -> Result<Xattrs, TreeError> {
        let _ = path;
        todo!()
    }
    /// Makes a directory; its parent must be there. The mode is exact, regardless of the umask.
    pub fn mkdir(&self, path: &TreePath, mode: u32) -> Result<(), TreeError> {
        let _ = (path, mode);
        todo!()
    }
    /// Makes a directory and its parents; those that are there already are left as they are.
    pub fn mkdir_all(&self, path: &TreePath, mode: u32) -> Result<(), TreeError> {
        let _ = (path, mode);
        todo!()
    }
    /// Makes a new regular file, open for reading and writing. The mode is exact.
    pub fn create_file(&self, path: &TreePath, mode: u32) -> Result<File, TreeError> {
        let _ = (path, mode);
        todo!()
    }
    /// Makes a symbolic link with the text `target`.
    pub fn symlink(&self, target: &[u8], path: &TreePath) -> Result<(), TreeError> {
        let _ = (target, path);
        todo!()
    }
    /// Makes `path` a further name of `existing`.
    pub fn hard_link(&self, existing: &TreePath, path: &TreePath) -> Result<(), TreeError> {
        let _ = (existing, path);
        todo!()
    }
    /// Makes a device file or (numbers unused) a fifo or socket. The mode is exact.
    pub fn mknod(
        &self,
        path: &TreePath,
        kind: FileKind,
        device: (u32, u32),
        mode: u32,
    ) -> Result<(), TreeError> {
        let _ = (path, kind, device, mode);
        todo!()
    }
    /// Makes an overlayfs whiteout, a character device 0/0.
    pub fn whiteout(&self, path: &TreePath) -> Result<(), TreeError> {
        self.mknod(path, FileKind::CharDevice, (0, 0), 0)
    }
    /// Sets the owner of what lies at `path` itself. Clears set-user-ID bits: set the mode after it.
    pub fn set_owner(&self, path: &TreePath, uid: u32, gid: u32) -> Result<(), TreeError> {
        let _ = (path, uid, gid);
        todo!()
    }
    /// Sets the permission bits; not of a symbolic link, which has none.
    pub fn set_mode(&self, path: &TreePath, mode: u32) -> Result<(), TreeError> {
        let _ = (path, mode);
        todo!()
    }
    /// Sets the modification time (and access time) of what lies at `path` itself.
    pub fn set_mtime(&self, path: &TreePath, mtime: Time) -> Result<(), TreeError> {
        let _ = (path, mtime);
        todo!()
    }
    /// Sets an extended attribute of what lies at `path` itself.
    pub fn set_xattr(&self, path: &TreePath, name: &[u8], value: &[u8]) -> Result<(), TreeError> {
        let _ = (path, name, value);
        todo!()
    }
    /// Removes an extended attribute; one that isn't there is no error.
    pub fn remove_xattr(&self, path: &TreePath, name: &[u8]) -> Result<(), TreeError> {
        let _ = (path, name);
        todo!()
    }
    /// Removes a file, link or device, not a directory.
    pub fn remove_file(&self, path: &TreePath) -> Result<(), TreeError> {
        let _ = path;
        todo!()
    }
    /// Removes an empty directory.
    pub fn remove_dir(&self, path: &TreePath) -> Result<(), TreeError> {
        let _ = path;
        todo!()
    }
    /// Removes whatever lies at `path` with all below it; nothing there is no error. For the root itself, empties it.
    pub fn remove_all(&self, path: &TreePath) -> Result<(), TreeError> {
        let _ = path;
        todo!()
    }
    /// Renames within the root, replacing what a rename may replace.
    pub fn rename(&self, from: &TreePath, to: &TreePath) -> Result<(), TreeError> {
        let _ = (from, to);
        todo!()
    }
}

/// Removes a directory (or file) of the host by a trusted path, with all below it; nothing there is
/// no error. Follows no symbolic links, crosses no mounts.
pub fn remove_tree(path: impl AsRef<Path>) -> Result<(), TreeError> {
    let _ = path;
    todo!()
}
