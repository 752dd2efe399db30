//! [`Root`]: a directory below which nothing is trusted.
//!
//! Every path goes through `openat2(2)`. Reading resolves it with `RESOLVE_IN_ROOT`, which takes
//! the root for `/` as a chroot would; changing resolves it with `RESOLVE_NO_SYMLINKS` and
//! `RESOLVE_BENEATH`. Both refuse magic links, so `/proc` in a tree leads nowhere.

mod list;
mod open;
mod opener;
mod read;
mod remove;
mod stat;
mod write;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};

use crate::TreeError;

pub use list::DirEntry;
pub(crate) use list::{Names, list};
pub(crate) use open::{DIR, FILE, below, inside};
pub use opener::Opener;
pub use remove::remove_tree;
pub use stat::Stat;
pub(crate) use stat::{stat_fd, stat_name};
pub(crate) use write::{chmod, chown, special, times};

/// A directory, and the only way to what lies below it. Cheap to clone.
///
/// Methods that read may follow symbolic links, always inside the root. Methods that create,
/// change or delete follow none, not even on the way: a link there is the error `ELOOP`. Who wants
/// links followed first asks [`resolve`](Self::resolve).
///
/// Paths may be longer than `PATH_MAX`: they are then opened in stretches, and no link is followed
/// from the second stretch on.
#[derive(Debug, Clone)]
pub struct Root {
    fd: Arc<OwnedFd>,
}

impl Root {
    /// Opens a directory of the host by a trusted path. Symbolic links in it are followed.
    ///
    /// # Errors
    /// [`TreeError::Io`] if it isn't there or no directory.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TreeError> {
        let path = path.as_ref();
        let fd = rustix::fs::openat(CWD, path, DIR.union(OFlags::PATH), Mode::empty());
        let name = path.as_os_str().as_encoded_bytes();
        Ok(Self::from_fd(fd.map_err(|error| TreeError::io("open", name, error))?))
    }

    /// Makes a root of an open directory, which may be an `O_PATH` one.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd: Arc::new(fd) }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
