//! What a [`Root`] tells: listings, contents, links, attributes.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;

use super::{DIR, DirEntry, FILE, Root, Stat, inside, list, stat_fd};
use crate::error::display;
use crate::resolve::{Step, resolve};
use crate::xattr::{self, On};
use crate::{FileKind, Follow, ResolveError, TreeError, TreePath, Xattrs};

impl Root {
    /// Opens a directory below this root as a root of its own; links are followed inside this one.
    pub fn open_in(&self, path: &TreePath) -> Result<Self, TreeError> {
        let fd = inside(self.as_fd(), path.as_bytes(), DIR.union(OFlags::PATH));
        fd.map(Self::from_fd).map_err(|error| TreeError::io("open", path.as_bytes(), error))
    }

    /// Describes what lies at `path`.
    pub fn stat(&self, path: &TreePath, follow: Follow) -> Result<Stat, TreeError> {
        let fd = self.handle(path, follow, "stat")?;
        stat_fd(fd).map_err(|error| TreeError::io("stat", path.as_bytes(), error))
    }

    /// Lists a directory, sorted by name.
    pub fn read_dir(&self, path: &TreePath, follow: Follow) -> Result<Vec<DirEntry>, TreeError> {
        let failed = |error| TreeError::io("list", path.as_bytes(), error);
        let fd = inside(self.as_fd(), path.as_bytes(), DIR.union(last(follow))).map_err(failed)?;
        let names = list(fd).map_err(failed)?;
        let entry = |(name, kind, ino): (&[u8], _, _)| DirEntry { name: name.to_vec(), kind, ino };
        Ok(names.iter().map(entry).collect())
    }

    /// Opens a regular file for reading. A fifo, device or socket is [`TreeError::NotAFile`] and
    /// isn't opened at all, so nothing blocks and no device wakes up.
    pub fn open_file(&self, path: &TreePath, follow: Follow) -> Result<File, TreeError> {
        let failed = |error| TreeError::io("open", path.as_bytes(), error);
        let handle = self.handle(path, follow, "open")?;
        match stat_fd(&handle).map_err(failed)?.kind {
            FileKind::File => {}
            FileKind::Dir => return Err(failed(Errno::ISDIR)),
            FileKind::Symlink => return Err(failed(Errno::LOOP)),
            _ => return Err(TreeError::NotAFile { path: display(path.as_bytes()) }),
        }
        // By this path the very file that was looked at is opened, whatever lies there now.
        let itself = format!("/proc/self/fd/{}", handle.as_raw_fd());
        openat(CWD, itself, FILE, Mode::empty()).map(File::from).map_err(failed)
    }

    /// Reads a whole regular file, following links inside the root. `None` if it has more than
    /// `limit` bytes, or grows beyond while it is read.
    pub fn read(&self, path: &TreePath, limit: u64) -> Result<Option<Vec<u8>>, TreeError> {
        let file = self.open_file(path, Follow::Last)?;
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| TreeError::io("read", path.as_bytes(), error))?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }

    /// Returns a symbolic link's text; links on the way to it are followed.
    pub fn readlink(&self, path: &TreePath) -> Result<Vec<u8>, TreeError> {
        let fd = self.handle(path, Follow::Parents, "read the link")?;
        // An empty name on an `O_PATH` descriptor of the link itself, see readlinkat(2).
        match readlinkat(fd, c"", Vec::new()) {
            Ok(target) => Ok(target.into_bytes()),
            // Anything but a link is said to have no such file.
            Err(Errno::NOENT) => Err(TreeError::io("read the link", path.as_bytes(), Errno::INVAL)),
            Err(error) => Err(TreeError::io("read the link", path.as_bytes(), error)),
        }
    }

    /// Follows the symbolic links of `path` without leaving the root. What does not exist is kept
    /// as written, so the answer is where something can be created.
    ///
    /// # Errors
    /// [`TreeError::Resolve`] for circles and for files where directories must be.
    pub fn resolve(&self, path: &TreePath, follow: Follow) -> Result<TreePath, TreeError> {
        resolve::<ResolveOrTree>(path, follow, |path| {
            let stat = match self.stat(path, Follow::Parents) {
                Ok(stat) => stat,
                Err(error) if error.is_not_found() => return Ok(Step::Missing),
                Err(error) => return Err(ResolveOrTree::Tree(error)),
            };
            Ok(match stat.kind {
                FileKind::Dir => Step::Dir,
                FileKind::Symlink => Step::Link(self.readlink(path)?),
                _ => Step::Other,
            })
        })
        .map_err(|error| match error {
            ResolveOrTree::Tree(error) => error,
            ResolveOrTree::Resolve(source) => {
                TreeError::Resolve { path: display(path.as_bytes()), source }
            }
        })
    }

    /// Returns the extended attributes of what lies at `path` itself, without those that belong to
    /// the host, as SELinux labels do.
    pub fn xattrs(&self, path: &TreePath) -> Result<Xattrs, TreeError> {
        let failed = |error| TreeError::io("read the attributes of", path.as_bytes(), error);
        let parent = path.parent().unwrap_or_default();
        let dir = self.open_in(&parent)?;
        xattr::read(On::Name(dir.as_fd(), path.file_name().unwrap_or(b"."))).map_err(failed)
    }

    /// Opens whatever lies at `path` only to speak of it.
    fn handle(
        &self,
        path: &TreePath,
        follow: Follow,
        action: &'static str,
    ) -> Result<OwnedFd, TreeError> {
        let flags = OFlags::PATH.union(OFlags::CLOEXEC).union(last(follow));
        inside(self.as_fd(), path.as_bytes(), flags)
            .map_err(|error| TreeError::io(action, path.as_bytes(), error))
    }
}

fn last(follow: Follow) -> OFlags {
    match follow {
        Follow::Last => OFlags::empty(),
        Follow::Parents => OFlags::NOFOLLOW,
    }
}

enum ResolveOrTree {
    Resolve(ResolveError),
    Tree(TreeError),
}

impl From<ResolveError> for ResolveOrTree {
    fn from(error: ResolveError) -> Self {
        Self::Resolve(error)
    }
}

impl From<TreeError> for ResolveOrTree {
    fn from(error: TreeError) -> Self {
        Self::Tree(error)
    }
}
