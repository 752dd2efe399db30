//! [`Opener`]: opening many files of one tree, parents first met, first opened, once.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};

use super::{DIR, FILE, Root, below, stat_fd};
use crate::error::display;
use crate::{FileKind, TreeError, TreePath};

/// Opens files below a root by paths that come in order, and keeps the directory of the last one
/// open: a file then costs one call and not one for each component.
///
/// Follows no symbolic link anywhere.
#[derive(Debug)]
pub struct Opener<'a> {
    root: &'a Root,
    dir: Option<(Vec<u8>, OwnedFd)>,
}

impl<'a> Opener<'a> {
    /// Begins at `root`, with nothing open.
    pub fn new(root: &'a Root) -> Self {
        Self { root, dir: None }
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// [`TreeError::NotAFile`] if it is something else, [`TreeError::Io`] naming it otherwise.
    pub fn open_file(&mut self, path: &TreePath) -> Result<File, TreeError> {
        let fd = self.open_unchecked(path)?;
        match stat_fd(&fd) {
            Ok(stat) if stat.kind == FileKind::File => Ok(File::from(fd)),
            Ok(_) => Err(TreeError::NotAFile { path: display(path.as_bytes()) }),
            Err(error) => Err(TreeError::io("open", path.as_bytes(), error)),
        }
    }

    /// Opens what is known to have been a regular file a moment ago.
    pub(crate) fn open_unchecked(&mut self, path: &TreePath) -> Result<OwnedFd, TreeError> {
        let name = path.file_name().unwrap_or(b".");
        let dir = self.dir(path.parent_bytes().unwrap_or_default())?;
        openat(dir, name, FILE.union(OFlags::NOFOLLOW), Mode::empty())
            .map_err(|error| TreeError::io("open", path.as_bytes(), error))
    }

    /// Returns the directory of that path, opened with `O_PATH`.
    pub(crate) fn dir(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>, TreeError> {
        if path.is_empty() {
            return Ok(self.root.as_fd());
        }
        if self.dir.as_ref().is_none_or(|(open, _)| open != path) {
            let fd = below(self.root.as_fd(), path, DIR.union(OFlags::PATH))
                .map_err(|error| TreeError::io("open", path, error))?;
            self.dir = Some((path.to_vec(), fd));
        }
        match &self.dir {
            Some((_, fd)) => Ok(fd.as_fd()),
            None => Ok(self.root.as_fd()),
        }
    }
}
